//! A capture that is sent again: each client's commands in their order, at their times.

mod lanes;

use super::beside::{latest, watch_lags};
use super::capture::Capture;
use super::measure::{Recorder, Totals, part_of_second};
use super::members::Served;
use super::mix::Command;
use super::outcome::Outcome;
use super::pace::Phase;
use super::repeat::{Repeated, Repeater};
use super::report::hdr::Log;
use super::run::{Watch, allow_connections, cpu_s, served, server_of, shortcomings};
use super::scenario::Scenario;
use super::settings::Settings;
use super::thread::Shared;
use crate::runtime::poller::sleep_precisely;
use crate::runtime::{clock, process};
use lanes::Lanes;
use std::io::BufRead;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Names of commands that are told apart; what comes later counts as the last.
const NAMES_MAX: usize = 200;
/// Bytes read ahead of what the target has taken, at most.
const AHEAD_BYTES_MAX: usize = 16 << 20;
/// Requests under way of a connection, where times are kept and no depth is given.
const DEPTH_AT_TIMES: u32 = 1_000;
const SECOND_NS: u64 = 1_000_000_000;
const SLEEP_MAX: Duration = Duration::from_millis(5);
/// How long the last answers are waited for, since something was sent or answered.
const GRACE_NS: u64 = 5 * SECOND_NS;
/// A request that was due this long ago is late.
const LATE_NS_MIN: u64 = 100_000_000;
/// A capture of a year or less.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is to be sent next, and when: ns since the beginning.
struct Next {
    due: u64,
    what: Repeated,
}

/// Sends a capture to the target. Answers the scenario that this was, with a command for each name.
pub fn replay(
    path: &Path,
    speed: Option<&str>,
    settings: Settings,
    watch: Watch<'_>,
) -> Result<(Scenario, Outcome), String> {
    let speed = speed.unwrap_or("1");
    let factor = speed.parse::<f64>().ok().filter(|it| it.is_finite() && 0.0 <= *it);
    let factor = factor.ok_or_else(|| format!("speed: {speed} is no number of 0 or more"))?;
    refuse_unused(&settings)?;
    let named = |it: std::io::Error| format!("{}: {it}", path.display());
    let capture = Capture::new(process::open_file(path).map_err(named)?);
    let has_end = settings.duration.is_some();
    let mut scenario = Scenario::new(settings)?;
    scenario.commands.clear();
    scenario.warmup = Duration::ZERO;
    if scenario.settings.name.is_none() {
        scenario.name = format!("replay of {}", path.display());
    }
    if scenario.settings.depth.is_none() && factor != 0.0 {
        scenario.depth = DEPTH_AT_TIMES;
    }
    if !has_end {
        scenario.is_timeless = true;
        scenario.phases =
            vec![Phase { name: "replay".to_owned(), from: 0.0, to: 0.0, time: TIME_MAX }];
    }
    let outcome = run(capture, factor, &mut scenario, watch).map_err(|why| match why {
        Wrong::Setup(why) => why,
        Wrong::Capture(why) => named(why),
    })?;
    // For plots and lines: as long as it was.
    scenario.phases[0].time = outcome.time;
    Ok((scenario, outcome))
}

/// Why it cannot go on.
enum Wrong {
    Setup(String),
    Capture(std::io::Error),
}

impl From<String> for Wrong {
    fn from(why: String) -> Wrong {
        Wrong::Setup(why)
    }
}

/// What a capture says itself, and checks, which need values of their own.
fn refuse_unused(s: &Settings) -> Result<(), String> {
    let given = [
        ("command", !s.commands.is_empty()),
        ("read-from", !s.read_from.is_empty()),
        ("phase", !s.phases.is_empty()),
        ("fault", !s.faults.is_empty()),
        ("rate", s.rate.is_some_and(|it| it != 0)),
        ("check", s.check.as_deref().is_some_and(|it| it != "none")),
        ("wait", s.wait.is_some_and(|it| it != 0)),
        ("tokens", s.tokens == Some(true)),
        ("fill", s.fill == Some(true)),
        ("fill-with", s.fill_with.is_some()),
    ];
    given
        .iter()
        .find(|it| it.1)
        .map_or(Ok(()), |it| Err(format!("replay: {} does not apply to a capture", it.0)))
}

fn run(
    capture: Capture<impl BufRead>,
    factor: f64,
    scenario: &mut Scenario,
    watch: Watch<'_>,
) -> Result<Outcome, Wrong> {
    let server = server_of(&scenario.targets[0], scenario)?;
    let is_entourage = server.starts_with("entourage");
    let before = served(scenario, &server);
    allow_connections(scenario)?;
    let lanes = Lanes::new(scenario)?;
    let interrupt = watch.interrupt;
    let shared = Shared::new(scenario, interrupt);
    let lags = Mutex::new(Vec::new());
    let watched = scenario.clone();
    interrupt.set_running(true);
    let mut outcome = std::thread::scope(|scope| {
        scope.spawn(|| watch_lags(&watched, &shared, 0, is_entourage, &lags));
        let (totals, hdr) = (Totals::new(NAMES_MAX), Log::new(watch.keeps_hdr));
        let replay = Replay {
            repeater: Repeater::default(),
            recorder: Recorder::new(NAMES_MAX, 1),
            begin_us: None,
            number: 0,
            late_ns: 0,
            capture,
            factor,
            scenario,
            lanes,
            shared: &shared,
            totals,
            hdr,
            watch,
            lags: &lags,
        };
        let outcome = replay.work();
        interrupt.set_running(false);
        shared.is_stopped.store(true, Relaxed);
        outcome
    })?;
    outcome.lags = lags.into_inner().unwrap_or_default();
    let all: Vec<Served> = before.into_iter().chain(served(scenario, &server)).collect();
    outcome.served = Served::over(&all).filter(|_| is_entourage);
    outcome.servers = vec![server];
    Ok(outcome)
}

struct Replay<'r, R> {
    capture: Capture<R>,
    repeater: Repeater,
    factor: f64,
    /// When the first command was called.
    begin_us: Option<u64>,
    scenario: &'r mut Scenario,
    lanes: Lanes,
    shared: &'r Shared<'r>,
    recorder: Recorder,
    totals: Totals,
    hdr: Log,
    watch: Watch<'r>,
    lags: &'r Mutex<Vec<super::beside::LagPoint>>,
    /// The second that goes on.
    number: u32,
    /// How late a request was at most.
    late_ns: u64,
}

impl<R: BufRead> Replay<'_, R> {
    fn work(mut self) -> Result<Outcome, Wrong> {
        sleep_precisely();
        let cpu_before = cpu_s();
        self.watch.progress.begin(self.scenario);
        let mut next = self.read_next()?;
        let end_ns = self.scenario.duration().as_nanos() as u64;
        let begin = self.now();
        loop {
            let now = self.now() - begin;
            while (u64::from(self.number) + 1) * SECOND_NS <= now {
                self.take_second(now);
            }
            let mut sleep = SLEEP_MAX;
            while let Some(it) = &next {
                if now < it.due {
                    sleep = sleep.min(Duration::from_nanos(it.due - now));
                    break;
                }
                if AHEAD_BYTES_MAX < self.lanes.ahead_bytes {
                    break;
                }
                let intended = if self.factor == 0.0 { None } else { Some(begin + it.due) };
                self.late_ns = self.late_ns.max(intended.map_or(0, |it| begin + now - it));
                self.hand_over(intended, &next.take().expect("it is there").what);
                next = if self.has_left() { self.read_next()? } else { None };
            }
            if end_ns <= now || self.watch.interrupt.is_asked() {
                next = None;
                self.lanes.forget_ahead();
            }
            let now = self.now();
            self.lanes.send(now);
            let active = self.lanes.active;
            if next.is_none() && (self.lanes.are_idle() || active.max(begin) + GRACE_NS <= now) {
                break;
            }
            self.lanes.wait(sleep, self.shared.epoch_ns, &mut self.recorder)?;
            self.lanes.reconnect(self.scenario, now)?;
        }
        self.lanes.give_up(&mut self.recorder);
        let time = Duration::from_nanos((self.now() - begin).max(1_000));
        self.take_second(time.as_nanos() as u64);
        let cpu_s = cpu_s() - cpu_before;
        self.totals.errors = std::mem::take(&mut self.recorder.errors);
        let (notes, shortcomings) = (self.notes(), shortcomings(&self.totals, &[]));
        let (totals, hdr) = (self.totals, self.hdr.into_bytes());
        Ok(Outcome { cpu_s, notes, shortcomings, hdr, ..Outcome::of(totals, time) })
    }

    fn now(&self) -> u64 {
        clock::mono_ns() - self.shared.epoch_ns
    }

    fn has_left(&self) -> bool {
        self.scenario.count == 0 || 0 < self.shared.left.load(Relaxed)
    }

    /// Reads until there is something to send.
    fn read_next(&mut self) -> Result<Option<Next>, Wrong> {
        while let Some(it) = self.capture.next_command().map_err(Wrong::Capture)? {
            let begin_us = *self.begin_us.get_or_insert(it.at_us);
            let Some(what) = self.repeater.take(it) else { continue };
            let since_ns = what.at_us.saturating_sub(begin_us) as f64 * 1e3;
            let due = if self.factor == 0.0 { 0 } else { (since_ns / self.factor) as u64 };
            return Ok(Some(Next { due, what }));
        }
        Ok(None)
    }

    /// Gives requests to the connection of their client.
    fn hand_over(&mut self, intended: Option<u64>, what: &Repeated) {
        self.shared.left.fetch_sub(what.names.len() as i64, Relaxed);
        let commands = &mut self.scenario.commands;
        let numbers = what.names.iter().map(|name| {
            let known = commands.iter().position(|it| it.name == *name);
            let number = known.unwrap_or_else(|| {
                let is_full = commands.len() == NAMES_MAX;
                if !is_full {
                    let is_last = commands.len() + 1 == NAMES_MAX;
                    commands.push(Command::named(if is_last { "others" } else { name }));
                }
                commands.len() - 1
            });
            number as u16
        });
        let numbers: Vec<u16> = numbers.collect();
        self.lanes.add(what, intended, numbers);
    }

    /// Takes the second that goes on, or has ended; it is so late, ns since the beginning.
    fn take_second(&mut self, now: u64) {
        let length = part_of_second(u64::from(self.number) * SECOND_NS, now);
        let second = self.recorder.take(self.number, length);
        let is_empty = second.latencies.is_empty() && second.errors == 0;
        self.number += 1;
        if is_empty {
            return;
        }
        let seconds = std::slice::from_ref(&second);
        self.hdr.add(second.number, length, seconds, self.scenario);
        let point = self.totals.add(second.number, length, seconds);
        self.watch.progress.lag(latest(self.lags));
        self.watch.progress.show(&point, self.scenario);
    }

    /// What is to be known of how it went.
    fn notes(&self) -> Vec<String> {
        let (capture, repeater) = (&self.capture, &self.repeater);
        let mut notes = self.scenario.notes.clone();
        let mut note = |is_so: bool, text: String| notes.extend(is_so.then_some(text));
        note(self.watch.interrupt.is_asked(), "interrupted: it ended early".to_owned());
        let (bad, named) = (capture.bad, capture.named.join("; "));
        note(bad != 0, format!("{bad} lines cannot be read and are left out: {named}"));
        let lua = capture.of_scripts;
        note(lua != 0, format!("{lua} lines are of scripts, whose calls stand for them"));
        let skipped = repeater.skipped;
        note(skipped != 0, format!("{skipped} commands make no sense to repeat"));
        let unfinished = repeater.unfinished();
        note(unfinished != 0, format!("{unfinished} commands are of transactions without end"));
        let (clients, lanes) = (self.lanes.clients, self.scenario.connections as usize);
        note(
            lanes < clients,
            format!("{clients} recorded clients shared {lanes} connections; see --connections"),
        );
        let late = self.late_ns as f64 / 1e9;
        note(
            LATE_NS_MIN <= self.late_ns,
            format!("the recorded times were not kept: requests were up to {late:.1} s late"),
        );
        notes
    }
}
