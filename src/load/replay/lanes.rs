//! The connections of a replay, one for each recorded client while there are enough.

use crate::load::client::{Lane, Pending};
use crate::load::connector::Connector;
use crate::load::measure::{Class, Recorder};
use crate::load::repeat::Repeated;
use crate::load::scenario::Scenario;
use crate::load::skim::{Skimmed, skim};
use crate::resp::ReplyScanner;
use crate::runtime::clock;
use crate::runtime::poller::{Poller, Ready};
use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::time::Duration;

const READ_BYTES: usize = 64 << 10;
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
const RECONNECT_NS: u64 = 50_000_000;
/// Recorded clients whose connection is known; of more, each command finds one by its name.
const CLIENTS_MAX: usize = 1_000_000;
/// In the place of a command: it is not measured.
const SELECT: u16 = u16::MAX;
const LOST: &str = "connection lost";

/// Requests that wait for their turn on a connection.
struct Ahead {
    intended: Option<u64>,
    database: u32,
    numbers: Vec<u16>,
    bytes: Vec<u8>,
}

/// A connection, and what waits for it.
struct Replayed {
    lane: Lane,
    database: u32,
    ahead: VecDeque<Ahead>,
    /// When it is tried again, if it is down.
    down: Option<u64>,
}

/// All connections.
pub struct Lanes {
    all: Vec<Replayed>,
    of_client: HashMap<String, usize>,
    poller: Poller,
    /// Who connects again; `None` while nobody was needed.
    connector: Option<Connector>,
    ready: Vec<Ready>,
    depth: usize,
    database: u32,
    /// Recorded clients.
    pub clients: usize,
    /// Bytes that wait for their turn or have not been taken by the system.
    pub ahead_bytes: usize,
    /// When something was sent or answered the last time: ns since the run began.
    pub active: u64,
}

impl Lanes {
    /// Connects them.
    pub fn new(scenario: &Scenario) -> Result<Lanes, String> {
        let poller = Poller::new().map_err(|it| format!("no epoll: {it}"))?;
        let database = scenario.settings.database.unwrap_or(0);
        let mut all = Vec::new();
        for at in 0..scenario.connections {
            let (address, greeting) = (&scenario.targets[0], &scenario.greeting);
            let lane = Lane::connect(address, greeting, at, 0, CONNECT_PATIENCE)?;
            let watched = lane.watch(&poller, at as usize);
            watched.map_err(|it| format!("cannot watch a socket: {it}"))?;
            all.push(Replayed { lane, database, ahead: VecDeque::new(), down: None });
        }
        let (of_client, ready, depth) = (HashMap::new(), Vec::new(), scenario.depth as usize);
        Ok(Lanes {
            all,
            of_client,
            poller,
            connector: None,
            ready,
            depth,
            database,
            clients: 0,
            ahead_bytes: 0,
            active: 0,
        })
    }

    /// Gives a client's requests to its connection; `numbers` are those of the commands' names.
    pub fn add(&mut self, what: &Repeated, intended: Option<u64>, numbers: Vec<u16>) {
        let known = self.of_client.get(&what.client).copied();
        let at = known.unwrap_or_else(|| {
            let at = self.clients % self.all.len();
            if self.of_client.len() == CLIENTS_MAX {
                return what.client.bytes().map(usize::from).sum::<usize>() % self.all.len();
            }
            self.clients += 1;
            self.of_client.insert(what.client.clone(), at);
            at
        });
        self.ahead_bytes += what.bytes.len();
        let (database, bytes) = (what.database, what.bytes.clone());
        self.all[at].ahead.push_back(Ahead { intended, database, numbers, bytes });
    }

    /// Sends what may be sent.
    pub fn send(&mut self, now: u64) {
        for at in 0..self.all.len() {
            let it = &mut self.all[at];
            if it.down.is_some() {
                continue;
            }
            while it.lane.pending.len() < self.depth {
                let Some(next) = it.ahead.pop_front() else { break };
                self.ahead_bytes -= next.bytes.len();
                self.active = now;
                if next.database != it.database {
                    it.database = next.database;
                    let select = format!("SELECT {}\r\n", next.database);
                    it.lane.out.extend_from_slice(select.as_bytes());
                    it.lane.pending.push_back(pending(SELECT, now, now));
                }
                it.lane.out.extend_from_slice(&next.bytes);
                let intended = next.intended.unwrap_or(now);
                let all = next.numbers.iter().map(|it| pending(*it, intended, now));
                it.lane.pending.extend(all);
            }
            if it.lane.flush().is_err() {
                // What was not answered is told when the end of the connection is read.
                it.lane.out.clear();
                it.lane.sent = 0;
            }
        }
    }

    /// What waits is not sent any more.
    pub fn forget_ahead(&mut self) {
        self.all.iter_mut().for_each(|it| it.ahead.clear());
        self.ahead_bytes = 0;
    }

    /// Whether everything is answered.
    pub fn are_idle(&self) -> bool {
        self.all.iter().all(|it| it.ahead.is_empty() && it.lane.pending.is_empty())
    }

    /// Waits for answers, and records them.
    pub fn wait(
        &mut self,
        sleep: Duration,
        epoch_ns: u64,
        recorder: &mut Recorder,
    ) -> Result<(), String> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.poller.wait(Some(sleep), &mut ready).map_err(|it| format!("epoll: {it}"))?;
        let now = clock::mono_ns() - epoch_ns;
        for it in ready.iter().filter(|it| it.is_readable) {
            self.active = now;
            let at = &mut self.all[it.socket as usize];
            if read(&mut at.lane, now, recorder).is_none() {
                lose(at, now, self.database, recorder);
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Has connected again what is down, when its time has come.
    pub fn reconnect(&mut self, scenario: &Scenario, now: u64) -> Result<(), String> {
        let is_due = |it: &(usize, &mut Replayed)| it.1.down.is_some_and(|it| it <= now);
        for (number, at) in self.all.iter_mut().enumerate().filter(is_due) {
            // Until it is made, or not.
            at.down = Some(u64::MAX);
            if self.connector.is_none() {
                let (address, greeting) = (&scenario.targets[0], &scenario.greeting);
                self.connector = Some(Connector::new(address, greeting, 0)?);
            }
            self.connector.iter().for_each(|it| it.ask(number, number as u32));
        }
        while let Some((number, lane)) = self.connector.as_ref().and_then(Connector::take) {
            let at = &mut self.all[number];
            match lane.filter(|it| it.watch(&self.poller, number).is_ok()) {
                Some(lane) => (at.lane, at.down) = (lane, None),
                None => at.down = Some(now + RECONNECT_NS),
            }
        }
        Ok(())
    }

    /// What is not answered by now will not be.
    pub fn give_up(&mut self, recorder: &mut Recorder) {
        for it in &mut self.all {
            let never_sent = it.ahead.iter().map(|it| it.numbers.len()).sum::<usize>();
            let unanswered = it.lane.lose().iter().filter(|it| it.command != SELECT).count();
            (0..never_sent + unanswered).for_each(|_| recorder.record_error("no answer"));
        }
    }
}

fn pending(command: u16, intended: u64, began: u64) -> Pending {
    Pending { command, key: 0, version: 0, intended, began }
}

/// A connection has ended: what was under way on it has failed, and what waits stays.
fn lose(it: &mut Replayed, now: u64, database: u32, recorder: &mut Recorder) {
    let lost = it.lane.lose();
    lost.iter().filter(|it| it.command != SELECT).for_each(|_| recorder.record_error(LOST));
    it.database = database;
    it.down = Some(now + RECONNECT_NS);
}

/// Reads what is there of a connection; `None` if it has ended, or what came is no reply.
fn read(lane: &mut Lane, now: u64, recorder: &mut Recorder) -> Option<()> {
    let mut bytes = std::mem::take(&mut lane.rest);
    loop {
        bytes.reserve(READ_BYTES);
        match lane.socket.as_ref()?.try_read_more(&mut bytes) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(it) if it.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return None,
        }
        let taken = answer(lane, &bytes, now, recorder)?;
        bytes.drain(..taken);
    }
    lane.rest = bytes;
    Some(())
}

/// Takes the whole replies among these bytes. Answers how many bytes they are.
fn answer(lane: &mut Lane, bytes: &[u8], now: u64, recorder: &mut Recorder) -> Option<usize> {
    let (mut taken, mut scanner) = (0, std::mem::take::<ReplyScanner>(&mut lane.scanner));
    while let Some((len, reply)) = skim(&bytes[taken..], &mut scanner).ok()? {
        taken += len;
        if bytes[taken - len] == b'>' {
            continue;
        }
        let pending = lane.pending.pop_front()?;
        match reply {
            Skimmed::Error(text) => recorder.record_error(&String::from_utf8_lossy(text)),
            _ if pending.command == SELECT => {}
            _ => {
                let class = Class { command: pending.command, target: 0 };
                recorder.record(class, now.saturating_sub(pending.intended));
            }
        }
    }
    lane.scanner = scanner;
    Some(taken)
}
