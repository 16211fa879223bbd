//! One run: connections, threads, what they tell, and the verdict of the checks.

use super::beside::{Done, do_faults, latest, rest_until, watch_lags};
use super::check::{Batch, Checker, Verdict};
use super::client::Lane;
use super::control::{Control, error_of, text_of};
use super::gathered::Gathered;
use super::interrupt::Interrupt;
use super::measure::{Second, Totals, latencies, length_of};
use super::members::Served;
use super::mix::write_key;
use super::outcome::Outcome;
use super::pace::{Phase, Schedule};
use super::progress::Progress;
use super::report::hdr::Log;
use super::scenario::Scenario;
use super::thread::{SHARED_KEYS, Shared, Thread, Told};
use crate::runtime::{clock, process};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// What threads have told and nobody has taken.
const TOLD_MAX: usize = 1024;
/// Batches of events on their way to the checker: past it the load waits.
const EVENT_BATCHES_MAX: usize = 256;
/// Keys read at a time at the end, and bytes, about.
const FINAL_BATCH: usize = 500;
const FINAL_BATCH_BYTES: usize = 8 << 20;
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
/// The target has stalled if nothing was answered for this long before the end: less could as well
/// be a busy machine.
const SILENT_NS_MIN: u64 = 200_000_000;
/// Of a stalled target: so many requests in a hundred may be due and not sent.
const NOT_SENT_PERCENT_MAX: u64 = 1;

/// What a run hands on while it goes on.
pub struct Watch<'p> {
    /// Shows seconds.
    pub progress: &'p mut Progress,
    /// Whether seconds are kept as a HdrHistogram log.
    pub keeps_hdr: bool,
    /// Whether it is to end early.
    pub interrupt: &'p Interrupt,
    /// Where seconds are gathered, too, if it is one slice of several.
    pub gathered: Option<&'p mut Gathered>,
}

/// Runs a scenario. An error is one of the setup.
pub fn run(scenario: &Scenario, mut watch: Watch<'_>) -> Result<Outcome, String> {
    let servers = scenario.targets.iter().map(|it| server_of(it, scenario));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    if scenario.passes_tokens && !servers[0].starts_with("entourage") {
        return Err(format!("tokens: {} is no Entourage", scenario.targets[0]));
    }
    let before = served(scenario, &servers[0]);
    let confirms_all = confirms_all(scenario)?;
    allow_connections(scenario)?;
    let shared = Shared::new(scenario, watch.interrupt);
    let mut lanes = connect(scenario)?;
    let (tell, told) = sync_channel(TOLD_MAX);
    let (sink, events) = sync_channel::<Batch>(EVENT_BATCHES_MAX);
    let checks = !scenario.checks.is_none();
    let sink = checks.then_some(sink);
    std::thread::scope(|scope| {
        let checker = checks.then(|| scope.spawn(move || observe(scenario, events, confirms_all)));
        for (number, lanes) in lanes.drain(..).enumerate() {
            let (number, sink, tell) = (number as u32, sink.clone(), tell.clone());
            let thread = Thread::new(scenario, &shared, number, lanes, sink, tell)?;
            let schedule = schedule(scenario);
            let named = std::thread::Builder::new().name(format!("load-{number}"));
            let spawned = named.spawn_scoped(scope, move || thread.run(schedule));
            spawned.map_err(|it| format!("threads: {it}"))?;
        }
        drop((tell, sink));
        watch.interrupt.set_running(true);
        let is_entourage = servers[0].starts_with("entourage");
        let outcome = attend(scenario, &shared, &told, &mut watch, is_entourage);
        // What is gathered of the slices before is to be shown, too.
        watch.interrupt.set_running(watch.gathered.is_some());
        // Whatever happened, threads that wait for the beginning end.
        shared.is_stopped.store(true, Relaxed);
        let _ = shared.begin.compare_exchange(0, 1, Release, Relaxed);
        let mut outcome = outcome?;
        let promoted = std::mem::take(&mut outcome.promoted);
        let all = before.into_iter().chain(promoted).chain(served(scenario, &servers[0]));
        outcome.served = Served::over(&all.collect::<Vec<_>>()).filter(|_| is_entourage);
        outcome.servers = servers;
        while told.recv().is_ok() {}
        if let Some(checker) = checker {
            let checker = checker.join().map_err(|_| "the checker has panicked".to_owned())?;
            let (verdict, unread) = judge(scenario, &shared, checker);
            outcome.notes.extend(nothing_compared(&verdict));
            outcome.verdict = Some(verdict);
            outcome.shortcomings.extend(unread);
        }
        Ok(outcome)
    })
}

/// Asks the system for as many open files as the connections need.
pub fn allow_connections(scenario: &Scenario) -> Result<(), String> {
    let files = u64::from(scenario.connections) * scenario.lanes() as u64 + 100;
    if process::allow_files(files) < files {
        return Err(format!("connections: the system allows fewer than {files} open files"));
    }
    Ok(())
}

/// What a server says of itself: its name and version.
pub fn server_of(address: &str, scenario: &Scenario) -> Result<String, String> {
    let mut control = Control::dial(address, &scenario.greeting)?;
    let reply = control.ask(&["INFO".to_owned(), "server".to_owned()]);
    let reply = reply.map_err(|it| format!("{address}: {it}"))?;
    if let Some(why) = error_of(&reply) {
        if ["NOAUTH", "WRONGPASS"].iter().any(|it| why.starts_with(it)) {
            return Err(format!("{address}: {why}"));
        }
        return Ok("unknown".to_owned());
    }
    let text = text_of(&reply).unwrap_or_default();
    let field = |name: &str| {
        text.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    for (name, key) in [
        ("entourage", "entourage_version"),
        ("valkey", "valkey_version"),
        ("redis", "redis_version"),
    ] {
        if let Some(version) = field(key) {
            return Ok(format!("{name} {version}"));
        }
    }
    Ok("unknown".to_owned())
}

/// Whether a write that WAIT confirms is at all servers that are read from: it waits for as many
/// replicas as the target has.
fn confirms_all(scenario: &Scenario) -> Result<bool, String> {
    if scenario.wait == 0 || scenario.targets.len() == 1 {
        return Ok(false);
    }
    let mut control = Control::dial(&scenario.targets[0], &scenario.greeting)?;
    let reply = control.ask(&["INFO".to_owned(), "replication".to_owned()])?;
    let text = text_of(&reply).unwrap_or_default();
    let count = text.lines().find_map(|it| it.strip_prefix("connected_slaves:"));
    let count = count.and_then(|it| it.trim().parse::<u32>().ok());
    Ok(count.is_some_and(|it| it <= scenario.wait))
}

/// Which members of the target have served how many reads until now.
pub fn served(scenario: &Scenario, server: &str) -> Option<Served> {
    if !server.starts_with("entourage") {
        return None;
    }
    Served::ask(&mut Control::dial(&scenario.targets[0], &scenario.greeting).ok()?)
}

/// Connects all clients. Answers their connections by thread.
fn connect(scenario: &Scenario) -> Result<Vec<Vec<Lane>>, String> {
    let threads = scenario.threads;
    let mut all: Vec<Vec<Lane>> = (0..threads).map(|_| Vec::new()).collect();
    for client in 0..scenario.connections {
        let thread = u64::from(client) * u64::from(threads) / u64::from(scenario.connections);
        for lane in 0..scenario.lanes() {
            // The last may be one for WAIT.
            let target = if lane < scenario.targets.len() { lane } else { 0 };
            let (address, greeting) = (&scenario.targets[target], &scenario.greeting);
            let target = target as u16;
            let lane = Lane::connect(address, greeting, client, target, CONNECT_PATIENCE)?;
            all[thread as usize].push(lane);
        }
    }
    Ok(all)
}

/// What is due at one thread: its share of the rate, with the warm-up at the first rate.
fn schedule(scenario: &Scenario) -> Option<Schedule> {
    if !scenario.is_open() {
        return None;
    }
    let share = 1.0 / f64::from(scenario.threads);
    let first = scenario.phases.first()?.from;
    let warmup = Phase { name: String::new(), from: first, to: first, time: scenario.warmup };
    let all = [warmup].into_iter().chain(scenario.phases.iter().cloned());
    let each = all.filter(|it| !it.time.is_zero());
    Some(Schedule::new(
        each.map(|it| Phase { from: it.from * share, to: it.to * share, ..it }).collect(),
    ))
}

/// Takes what threads tell until all have ended.
fn attend(
    scenario: &Scenario,
    shared: &Shared<'_>,
    told: &Receiver<Told>,
    watch: &mut Watch<'_>,
    is_entourage: bool,
) -> Result<Outcome, String> {
    for _ in 0..scenario.threads {
        match told.recv() {
            Ok(Told::Failed(why)) => return Err(why),
            Ok(_) => {}
            Err(_) => return Err("a thread has panicked".to_owned()),
        }
    }
    let begin = clock::mono_ns() - shared.epoch_ns;
    shared.begin.store(begin, Release);
    let measured_from = begin + scenario.warmup.as_nanos() as u64;
    let lags = Mutex::new(Vec::new());
    let lags = &lags;
    std::thread::scope(|scope| {
        let doer = scope.spawn(|| do_faults(scenario, shared, measured_from));
        let watcher = scope.spawn(move || {
            watch_lags(scenario, shared, measured_from, is_entourage, lags);
        });
        rest_until(shared, measured_from);
        let cpu_before = cpu_s();
        let mut hdr = Log::new(watch.keeps_hdr);
        let mut totals = Totals::new(scenario.commands.len());
        let mut open: BTreeMap<u32, Vec<Second>> = BTreeMap::new();
        let (mut running, mut failed) = (scenario.threads, None);
        let mut unsent = Unsent { since: latencies(), is_stalled: false };
        let mut away = BTreeSet::new();
        watch.progress.begin(scenario);
        while let Ok(it) = told.recv() {
            match it {
                Told::Filled => {}
                Told::Failed(why) => {
                    failed = Some(why);
                    shared.is_stopped.store(true, Relaxed);
                }
                Told::Ended(it) => {
                    running -= 1;
                    totals.errors.append(it.errors);
                    away.extend(it.away);
                    unsent.is_stalled |= SILENT_NS_MIN <= it.silent_ns && !it.unsent.is_empty();
                    unsent.since.add(it.unsent).expect("their bounds are the same");
                }
                Told::Second(second) => {
                    let number = second.number;
                    let seconds = open.entry(number).or_default();
                    seconds.push(second);
                    if seconds.len() == scenario.threads as usize {
                        watch.progress.lag(latest(lags));
                        take(number, seconds, &mut totals, &mut hdr, scenario, watch);
                        open.remove(&number);
                    }
                }
            }
            if running == 0 {
                break;
            }
        }
        // Seconds that not all threads have had: the last, as a rule.
        for (number, seconds) in open {
            take(number, &seconds, &mut totals, &mut hdr, scenario, watch);
        }
        let time = (clock::mono_ns() - shared.epoch_ns).saturating_sub(measured_from);
        let time = Duration::from_nanos(time).min(scenario.duration());
        let time = time.max(Duration::from_micros(1));
        let cpu_s = cpu_s() - cpu_before;
        shared.is_stopped.store(true, Relaxed);
        let (faults, promoted) = doer.join().unwrap_or_default();
        let _ = watcher.join();
        let lags = lags.lock().map_or_else(|_| Vec::new(), |mut it| std::mem::take(&mut *it));
        if let Some(why) = failed {
            return Err(why);
        }
        let hdr = hdr.into_bytes();
        let mut notes = notes(scenario, &unsent, watch.interrupt.is_asked());
        let left = shared.left.load(Relaxed);
        if scenario.count != 0 && 0 < left && !watch.interrupt.is_asked() {
            notes.push(format!("time ended it before the count of {}", scenario.count));
        }
        let mut shortcomings = shortcomings(&totals, &faults);
        shortcomings.extend(unsent.shortcoming(&totals));
        let away = away.iter().filter_map(|it| scenario.targets.get(usize::from(*it)));
        shortcomings.extend(away.map(|it| format!("{it}: there was no connection at the end")));
        Ok(Outcome {
            cpu_s,
            faults,
            lags,
            measured_from,
            promoted,
            unsent: unsent.since,
            notes,
            shortcomings,
            hdr,
            ..Outcome::of(totals, time)
        })
    })
}

/// What was due in the open loop and has not been sent.
struct Unsent {
    /// How long before the end each was due, in ns.
    since: Histogram<u64>,
    /// Whether nothing was answered any more.
    is_stalled: bool,
}

impl Unsent {
    /// If a stall has kept more than a few requests from being sent: the latencies of what was
    /// answered do not show it.
    fn shortcoming(&self, totals: &Totals) -> Option<String> {
        let count = self.since.len();
        let due = count + totals.all.len() + totals.errors.count();
        let is_much = due * NOT_SENT_PERCENT_MAX < count * 100;
        (self.is_stalled && is_much)
            .then(|| format!("the target stalled until the end: {count} of {due} were not sent"))
    }
}

/// What is to be known of how it went.
fn notes(scenario: &Scenario, unsent: &Unsent, is_interrupted: bool) -> Vec<String> {
    let mut notes = scenario.notes.clone();
    if is_interrupted {
        notes.push("interrupted: it ended early".to_owned());
    }
    if !unsent.since.is_empty() {
        notes.push(format!(
            "the rate was not reached: due, not sent: {}, for up to {:.3} s before the end, as \
             every client that was connected had its requests under way",
            unsent.since.len(),
            unsent.since.max() as f64 / 1e9
        ));
    }
    notes
}

/// Why this is not the run that was asked for.
pub fn shortcomings(totals: &Totals, faults: &[Done]) -> Vec<String> {
    let mut found = Vec::new();
    if totals.all.is_empty() {
        let why = totals.errors.0.values().next().map_or("no answer", |it| &it.example);
        found.push(format!("no request was answered well: {why}"));
    }
    let refused = faults.iter().filter(|it| it.is_refused);
    found.extend(refused.map(|it| format!("fault: {} is refused: {}", it.what, it.answer)));
    found
}

/// Checks that are no proof of anything, because nothing was there to compare.
fn nothing_compared(verdict: &Verdict) -> Option<String> {
    let idle = verdict.counts.iter().filter(|it| it.1 == 0).map(|it| it.0.name());
    let idle: Vec<&str> = idle.collect();
    (!idle.is_empty()).then(|| format!("nothing was compared for {}", idle.join(", ")))
}

fn take(
    number: u32,
    seconds: &[Second],
    totals: &mut Totals,
    hdr: &mut Log,
    scenario: &Scenario,
    watch: &mut Watch<'_>,
) {
    let is_empty = seconds.iter().all(|it| it.latencies.is_empty() && it.errors == 0);
    if is_empty && scenario.duration() <= Duration::from_secs(u64::from(number)) {
        return;
    }
    let length = length_of(seconds);
    hdr.add(number, length, seconds, scenario);
    if let Some(it) = &mut watch.gathered {
        it.add(number, seconds, scenario);
    }
    let point = totals.add(number, length, seconds);
    watch.progress.show(&point, scenario);
}

/// Processor seconds of this process until now.
pub fn cpu_s() -> f64 {
    let cpu = process::cpu();
    cpu.user + cpu.system
}

/// The checker, fed until nobody has events any more.
fn observe(scenario: &Scenario, events: Receiver<Batch>, confirms_all: bool) -> Checker {
    let mut checker = Checker::new(scenario.checks, scenario.connections as usize);
    if let Some(targets) = scenario.authoritative() {
        checker = checker.lost_only_at(&targets);
    }
    if confirms_all {
        checker = checker.confirmed_everywhere();
    }
    if scenario.checks.linearizable {
        checker = checker.shared_below(SHARED_KEYS);
    }
    for batch in events {
        batch.tokens.into_iter().for_each(|it| checker.observe_token(it));
        batch.events.into_iter().for_each(|it| checker.observe(it));
    }
    checker
}

/// Reads at the target what all keys hold now, and has the checker decide. Answers also why the end
/// could not be read.
fn judge(
    scenario: &Scenario,
    shared: &Shared<'_>,
    mut checker: Checker,
) -> (Verdict, Option<String>) {
    let checks = &scenario.checks;
    let asks_the_end =
        checks.no_lost_write || checks.no_lost_confirmed_write || checks.linearizable;
    let mut unread = None;
    if asks_the_end {
        let read = read_all(scenario, shared, &mut checker);
        unread = read.err().map(|it| format!("what is there at the end cannot be read: {it}"));
    }
    (checker.finish(), unread)
}

fn read_all(scenario: &Scenario, shared: &Shared<'_>, checker: &mut Checker) -> Result<(), String> {
    // The master's own answer, whatever level was asked for while loading.
    let mut greeting = scenario.greeting.clone();
    for words in greeting.words.iter_mut().filter(|it| it[0] == "PROXY") {
        *words = ["PROXY", "CONSISTENCY", "master"].map(str::to_owned).to_vec();
    }
    let mut control = Control::dial(&scenario.targets[0], &greeting)?;
    let (mut request, mut name) = (Vec::new(), Vec::new());
    let batch = (FINAL_BATCH_BYTES / scenario.style.sizes.most().max(1)).clamp(1, FINAL_BATCH);
    let count = shared.made.load(Relaxed);
    for first in (0..count).step_by(batch) {
        request.clear();
        let keys = first..count.min(first + batch as u64);
        for key in keys.clone() {
            name.clear();
            write_key(&mut name, &scenario.style.prefix, key);
            scenario.form.write_read(&mut request, &name);
        }
        control.send(&request)?;
        for key in keys {
            let reply = control.receive()?;
            if let Some(why) = error_of(&reply) {
                return Err(why);
            }
            let at = reply.iter().position(|it| *it == b'\n').map_or(0, |it| it + 1);
            let value = reply[at..].strip_suffix(b"\r\n").unwrap_or_default();
            let version = scenario.form.version(value, shared.version_base);
            checker.final_value(key, version);
        }
    }
    Ok(())
}
