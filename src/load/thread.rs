//! One thread of the load generator: it sends what is due, skims what comes, and measures.

mod answers;
mod tokens;

use super::check::Batch;
use super::client::{Client, FILL, Lane, Pending};
use super::connector::Connector;
use super::form::Meaning;
use super::interrupt::Interrupt;
use super::keys::Keys;
use super::measure::{Errors, Recorder, Second, latencies, part_of_second};
use super::mix::{Command, Maker, Subject};
use super::pace::Schedule;
use super::scenario::Scenario;
use crate::base::random::Random;
use crate::runtime::clock;
use crate::runtime::poller::{Poller, Ready, sleep_precisely};
use hdrhistogram::Histogram;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

const READ_BYTES: usize = 64 << 10;
const SECOND_NS: u64 = 1_000_000_000;
/// How long a thread sleeps at most, so that it tells of its seconds.
const SLEEP_MAX: Duration = Duration::from_millis(5);
/// Events are handed over this often.
const HAND_OVER_NS: u64 = 5_000_000;
/// How long the last answers are waited for.
const GRACE_NS: u64 = 5 * SECOND_NS;
/// Requests of the filling that a client has under way, and bytes of them, about.
const FILL_DEPTH: usize = 64;
const FILL_BYTES: usize = 4 << 20;
/// Keys that all clients write, where linearizability is checked: few, so that writes meet.
pub const SHARED_KEYS: u64 = 16;
/// One request of so many is about one of them.
const SHARED_EVERY: u64 = 8;

/// What all threads of a run share.
pub struct Shared<'s> {
    /// The clock's time when the run began.
    pub epoch_ns: u64,
    /// When all threads begin: ns since then; 0 while some still fill.
    pub begin: AtomicU64,
    /// The run is to end early.
    pub is_stopped: AtomicBool,
    /// Whoever runs it wants it to end.
    pub interrupt: &'s Interrupt,
    /// Requests left to send, where their count ends the run.
    pub left: AtomicI64,
    /// Keys that there are.
    pub made: AtomicU64,
    /// Versions of this run are above it, those of earlier runs below.
    pub version_base: u64,
}

impl<'s> Shared<'s> {
    /// A run that begins now.
    pub fn new(scenario: &Scenario, interrupt: &'s Interrupt) -> Shared<'s> {
        Shared {
            epoch_ns: clock::mono_ns(),
            begin: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            interrupt,
            left: AtomicI64::new(i64::try_from(scenario.count).unwrap_or(i64::MAX)),
            made: AtomicU64::new(scenario.keys),
            // Later runs begin above all that an earlier one can have reached.
            version_base: clock::wall_us() * 4,
        }
    }
}

/// What a thread tells whoever started it.
pub enum Told {
    /// Its keys are set.
    Filled,
    /// A second has passed.
    Second(Second),
    /// It has ended.
    Ended(Ended),
    /// It cannot go on.
    Failed(String),
}

/// What a thread tells at its end.
pub struct Ended {
    /// Errors by their first word.
    pub errors: Errors,
    /// The open loop: of requests that were due before the end and have not been sent, how long
    /// before it they were due, in ns.
    pub unsent: Histogram<u64>,
    /// For how long nothing had been answered when the time was over, in ns.
    pub silent_ns: u64,
    /// Targets to which a connection could not be made again.
    pub away: BTreeSet<u16>,
}

/// A connection that is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Down {
    /// Which lane.
    at: usize,
    /// When it is tried next; `None` while it is.
    next: Option<u64>,
    /// Whether it has been tried in vain.
    has_failed: bool,
}

/// A thread's state.
pub struct Thread<'s> {
    scenario: &'s Scenario,
    shared: &'s Shared<'s>,
    number: u32,
    poller: Poller,
    lanes: Vec<Lane>,
    clients: Vec<Client>,
    /// Number of its first client among all.
    first_client: u32,
    maker: Maker<'s>,
    recorder: Recorder,
    choose: Vec<u64>,
    weights: u64,
    /// The open loop: clients that can send, and when the next is due.
    free: VecDeque<u32>,
    schedule: Option<Schedule>,
    /// The closed loop: clients that could send nothing, and when they try again.
    resting: VecDeque<(u64, usize)>,
    /// Connections that are down.
    down: Vec<Down>,
    /// Who connects again, by target; `None` while nobody was needed.
    connectors: Vec<Option<Connector>>,
    events: Option<(SyncSender<Batch>, Batch)>,
    written: u64,
    /// Where INCR is checked: to what it has counted each key.
    counted: HashMap<u64, u64>,
    touched: Vec<usize>,
    ready: Vec<Ready>,
    /// What is read, of whichever connection.
    scratch: Vec<u8>,
    measured_from: u64,
    ends_at: u64,
    /// When it began to end; the greatest number before.
    ended_at: u64,
    /// When something was answered last, before the end.
    answered_at: u64,
    /// Why a key could not be set.
    refused: Option<String>,
    tell: SyncSender<Told>,
}

impl Drop for Thread<'_> {
    fn drop(&mut self) {
        // Others wait for what it tells.
        if std::thread::panicking() {
            let _ = self.tell.send(Told::Failed("a thread has panicked".to_owned()));
        }
    }
}

impl<'s> Thread<'s> {
    /// With its connections made.
    pub fn new(
        scenario: &'s Scenario,
        shared: &'s Shared<'s>,
        number: u32,
        lanes: Vec<Lane>,
        events: Option<SyncSender<Batch>>,
        tell: SyncSender<Told>,
    ) -> Result<Thread<'s>, String> {
        let poller = Poller::new().map_err(|it| format!("no epoll: {it}"))?;
        for (at, lane) in lanes.iter().enumerate() {
            lane.watch(&poller, at).map_err(|it| format!("cannot watch a socket: {it}"))?;
        }
        let mut keys = Keys::new(scenario.keys, scenario.distribution);
        keys.begin_at(scenario.keys / u64::from(scenario.threads) * u64::from(number));
        let random = Random::new(Random::new(scenario.seed.wrapping_add(number.into())).bits());
        let mut sum = 0;
        let choose = scenario.commands.iter().map(|it| {
            sum += it.weight;
            sum
        });
        let choose = choose.collect();
        Ok(Thread {
            scenario,
            shared,
            number,
            poller,
            clients: vec![Client::default(); lanes.len() / scenario.lanes()],
            first_client: lanes.first().map_or(0, |it| it.client),
            lanes,
            maker: Maker::new(&scenario.style, keys, random, &shared.made),
            recorder: Recorder::new(scenario.commands.len(), scenario.targets.len()),
            choose,
            weights: sum,
            free: VecDeque::new(),
            schedule: None,
            resting: VecDeque::new(),
            down: Vec::new(),
            connectors: scenario.targets.iter().map(|_| None).collect(),
            events: events.map(|it| (it, Batch::default())),
            written: 0,
            counted: HashMap::new(),
            touched: Vec::new(),
            ready: Vec::new(),
            scratch: Vec::with_capacity(READ_BYTES),
            measured_from: u64::MAX,
            ends_at: u64::MAX,
            ended_at: u64::MAX,
            answered_at: 0,
            refused: None,
            tell,
        })
    }

    /// Fills, waits for the others, loads, and ends.
    pub fn run(mut self, schedule: Option<Schedule>) {
        sleep_precisely();
        if let Err(why) = self.work(schedule) {
            let _ = self.tell.send(Told::Failed(why));
        }
    }

    fn now(&self) -> u64 {
        clock::mono_ns() - self.shared.epoch_ns
    }

    fn work(&mut self, schedule: Option<Schedule>) -> Result<(), String> {
        if self.scenario.fills {
            self.fill()?;
        }
        let _ = self.tell.send(Told::Filled);
        let begin = loop {
            match self.shared.begin.load(Acquire) {
                0 => crate::runtime::tasks::rest(Duration::from_micros(200)),
                begin => break begin,
            }
        };
        self.measured_from = begin + self.scenario.warmup.as_nanos() as u64;
        self.ends_at = self.measured_from + self.scenario.duration().as_nanos() as u64;
        self.schedule = schedule;
        self.start();
        self.attend(begin)?;
        self.end();
        Ok(())
    }

    /// Each client sets the keys that it owns.
    fn fill(&mut self) -> Result<(), String> {
        let (all, keys) = (u64::from(self.scenario.connections), self.scenario.keys);
        let set = &self.scenario.filling;
        let depth = (FILL_BYTES / self.scenario.style.sizes.most().max(1)).clamp(1, FILL_DEPTH);
        let mut next: Vec<u64> =
            (0..self.clients.len()).map(|it| u64::from(self.first_client) + it as u64).collect();
        loop {
            let now = self.now();
            let mut is_done = true;
            for (at, next) in next.iter_mut().enumerate() {
                if self.clients[at].under_way != 0 || keys <= *next {
                    is_done &= self.clients[at].under_way == 0;
                    continue;
                }
                is_done = false;
                for _ in 0..depth {
                    if keys <= *next {
                        break;
                    }
                    self.send(at, FILL, set, *next, now, now);
                    *next += all;
                }
            }
            if is_done {
                self.hand_over();
                return Ok(());
            }
            self.flush()?;
            self.wait(SLEEP_MAX)?;
            if let Some(why) = &self.refused {
                return Err(format!("the keys cannot be set: {why}"));
            }
            if self.shared.interrupt.is_asked() {
                return Err("interrupted while keys were set".to_owned());
            }
            if let Some(down) = self.down.first() {
                let target = &self.scenario.targets[usize::from(self.lanes[down.at].target)];
                return Err(format!("{target}: a connection was lost while keys were set"));
            }
        }
    }

    fn start(&mut self) {
        let count = self.clients.len() as u32;
        if self.schedule.is_some() {
            // Round about, so that not one client sends all that is due at once.
            self.free = (0..self.scenario.depth).flat_map(|_| 0..count).collect();
            return;
        }
        let now = self.now();
        (0..count as usize).for_each(|it| self.refill(it, now));
    }

    fn attend(&mut self, begin: u64) -> Result<(), String> {
        let mut next_second = self.measured_from + SECOND_NS;
        let (mut number, mut next_hand_over) = (0, begin + HAND_OVER_NS);
        loop {
            let now = self.now();
            // The last second ends with the run, late answers included.
            if next_second <= now && next_second < self.ends_at {
                self.tell_second(number);
                (number, next_second) = (number + 1, next_second + SECOND_NS);
            }
            if next_hand_over <= now {
                self.hand_over();
                next_hand_over = now + HAND_OVER_NS;
            }
            let is_over = self.ends_at <= now
                || self.shared.is_stopped.load(Relaxed)
                || self.shared.interrupt.is_asked();
            if is_over && !self.is_ending() {
                // What became due while this thread slept.
                self.send_due(now);
                self.begin_to_end(now);
            }
            if self.is_ending() {
                let is_idle = self.clients.iter().all(|it| it.under_way == 0);
                let waits = self.lanes.iter().any(|it| !it.pending.is_empty());
                if is_idle && !waits || self.ends_at.min(now) + GRACE_NS <= now {
                    self.tell_second(number);
                    return Ok(());
                }
            }
            let sleep = self.send_due(now);
            self.flush()?;
            self.wait(sleep)?;
            if !self.down.is_empty() {
                self.reconnect()?;
            }
            self.wake_resting();
        }
    }

    fn tell_second(&mut self, number: u32) {
        // A second that goes on when the run ends was not a whole one.
        let from = self.measured_from + u64::from(number) * SECOND_NS;
        let length = part_of_second(from, self.now().min(self.ends_at));
        let _ = self.tell.send(Told::Second(self.recorder.take(number, length)));
    }

    fn hand_over(&mut self) {
        if let Some((to, batch)) = &mut self.events
            && !batch.events.is_empty()
        {
            let _ = to.send(std::mem::take(batch));
        }
    }

    /// What is not answered by now will not be.
    fn end(&mut self) {
        for at in 0..self.lanes.len() {
            let pending = self.lanes[at].lose();
            pending.iter().for_each(|it| self.give_up(at, it));
            self.give_up_unconfirmed(at);
        }
        self.hand_over();
        let errors = std::mem::take(&mut self.recorder.errors);
        let unsent = self.unsent();
        let silent_ns = self.ended_at.saturating_sub(self.answered_at.max(self.measured_from));
        let away = self.down.iter().filter(|it| it.has_failed);
        let away = away.map(|it| self.lanes[it.at].target).collect();
        let ended = Ended { errors, unsent, silent_ns, away };
        let _ = self.tell.send(Told::Ended(ended));
    }

    fn is_ending(&self) -> bool {
        self.ended_at != u64::MAX
    }

    /// Nothing more is sent from now on.
    fn begin_to_end(&mut self, now: u64) {
        self.ended_at = self.ended_at.min(now).min(self.ends_at);
    }

    /// Requests that were due before the end and have not been sent. Where their count ends the run
    /// nothing more is due.
    fn unsent(&mut self) -> Histogram<u64> {
        let begin = self.measured_from - self.scenario.warmup.as_nanos() as u64;
        let has_left = self.scenario.count == 0 || 0 < self.shared.left.load(Relaxed);
        let end = self.ended_at.saturating_sub(begin);
        let schedule = self.schedule.as_mut().filter(|_| has_left);
        schedule.map_or_else(latencies, |it| it.unsent_before(end))
    }

    /// Sends what is due in the open loop. Answers how long to sleep at most.
    fn send_due(&mut self, now: u64) -> Duration {
        if self.is_ending() {
            return SLEEP_MAX;
        }
        let Some(mut schedule) = self.schedule.take() else { return SLEEP_MAX };
        let begin = self.measured_from - self.scenario.warmup.as_nanos() as u64;
        let mut sleep = SLEEP_MAX;
        while let Some(due) = schedule.next_due() {
            let due = begin + due;
            if now < due {
                sleep = sleep.min(Duration::from_nanos(due - now));
                break;
            }
            let Some(client) = self.free.pop_front() else { break };
            if !self.may_send(now) {
                break;
            }
            if !self.send_next(client as usize, due, now) {
                self.free.push_back(client);
            }
            schedule.advance();
        }
        self.schedule = Some(schedule);
        sleep
    }

    /// Whether the count of requests, those of the warm-up apart, leaves one.
    fn may_send(&mut self, now: u64) -> bool {
        if self.scenario.count == 0 || now < self.measured_from {
            return true;
        }
        let may = 0 < self.shared.left.fetch_sub(1, Relaxed);
        if !may {
            self.begin_to_end(now);
        }
        may
    }

    /// A client's next request. False if the connection for it is down, which is an error.
    #[inline]
    fn send_next(&mut self, client: usize, intended: u64, now: u64) -> bool {
        let scenario = self.scenario;
        let command = match scenario.commands.len() {
            1 => 0,
            _ => {
                let chosen = self.maker.random.below(self.weights);
                self.choose.iter().position(|it| chosen < *it).unwrap_or(0)
            }
        };
        let it = &scenario.commands[command];
        let key = self.key_for(client, it);
        self.send(client, command as u16, it, key, intended, now)
    }

    fn key_for(&mut self, client: usize, command: &Command) -> u64 {
        let key = self.maker.next_key(command);
        if self.events.is_none() || command.makes_keys() {
            return key;
        }
        let is_shared = self.scenario.checks.linearizable
            && self.maker.random.below(SHARED_EVERY) == 0
            && command.meaning != Meaning::Unchecked;
        if is_shared {
            return self.maker.random.below(SHARED_KEYS.min(self.scenario.keys));
        }
        if command.meaning != Meaning::Write {
            return key;
        }
        // Each key has one writer, so that its versions grow in the order of its writes.
        let (all, own) =
            (u64::from(self.scenario.connections), self.first_client as usize + client);
        let key = key - key % all + own as u64;
        if key < self.scenario.keys { key } else { key - all }
    }

    #[inline]
    fn send(
        &mut self,
        client: usize,
        number: u16,
        command: &Command,
        key: u64,
        intended: u64,
        began: u64,
    ) -> bool {
        let targets = self.scenario.targets.len();
        let mut target = 0;
        if command.is_read && targets != 1 {
            let next = &mut self.clients[client].next_target;
            target = 1 + usize::from(*next);
            *next = if target + 1 == targets { 0 } else { *next + 1 };
        }
        let at = client * self.scenario.lanes() + target;
        if self.lanes[at].socket.is_none() {
            if self.measured_from <= began {
                let address = &self.scenario.targets[target];
                self.recorder.record_error(&format!("no connection to {address}"));
            }
            return false;
        }
        self.written += 1;
        // Numbers of all threads, each once.
        let version = self.written * u64::from(self.scenario.threads) + u64::from(self.number);
        if command.is_read && self.lanes[at].token.is_some() {
            self.hand_in_token(at, began);
        }
        let lane = &mut self.lanes[at];
        let stamped = self.shared.version_base + version;
        let subject = Subject { key, version: stamped, client: lane.client };
        command.write(&mut lane.out, &mut self.maker, subject);
        lane.pending.push_back(Pending { command: number, key, version, intended, began });
        lane.has_written |= !command.is_read;
        self.clients[client].under_way += 1;
        if self.touched.last() != Some(&at) {
            self.touched.push(at);
        }
        true
    }

    fn flush(&mut self) -> Result<(), String> {
        let mut touched = std::mem::take(&mut self.touched);
        for at in touched.drain(..) {
            if self.scenario.passes_tokens && self.lanes[at].has_written && self.has_begun() {
                self.ask_for_token(at);
            }
            let lane = &mut self.lanes[at];
            if self.scenario.wait != 0 && !self.scenario.waits_elsewhere && lane.has_written {
                let began = lane.pending.back().map_or(0, |it| it.began);
                self.send_wait(at, began);
            }
            self.lanes[at].has_written = false;
            if self.lanes[at].flush().is_err() {
                self.lose(at);
            }
        }
        self.touched = touched;
        Ok(())
    }

    fn send_wait(&mut self, at: usize, began: u64) {
        let (lane, scenario) = (&mut self.lanes[at], self.scenario);
        let wait = format!("WAIT {} 1000\r\n", scenario.wait);
        lane.out.extend_from_slice(wait.as_bytes());
        let command = scenario.commands.len() as u16;
        lane.pending.push_back(Pending { command, key: 0, version: 0, intended: began, began });
    }

    fn wait(&mut self, sleep: Duration) -> Result<(), String> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.poller.wait(Some(sleep), &mut ready).map_err(|it| format!("epoll: {it}"))?;
        for it in &ready {
            let at = it.socket as usize;
            if it.is_writable && !self.lanes[at].out.is_empty() && self.lanes[at].flush().is_err() {
                self.lose(at);
            }
            if it.is_readable {
                self.read(at);
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Whether the filling is over.
    fn has_begun(&self) -> bool {
        self.ends_at != u64::MAX
    }
}
