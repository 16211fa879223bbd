//! One run: connections, threads, what they tell, and the verdict of the checks.

use super::check::{Checker, Event, Verdict};
use super::client::Lane;
use super::control::{Control, error_of, text_of, write_request};
use super::measure::{Second, Totals};
use super::members::Served;
use super::mix::write_key;
use super::pace::{Phase, Schedule};
use super::progress::Progress;
use super::report::hdr::Log;
use super::scenario::{Fault, Scenario};
use super::thread::{Shared, Thread, Told};
use super::values::version_of;
use crate::runtime::{clock, process, tasks};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// What threads have told and nobody has taken.
const TOLD_MAX: usize = 1024;
/// Batches of events on their way to the checker: past it the load waits.
const EVENT_BATCHES_MAX: usize = 256;
/// Keys read at a time at the end.
const FINAL_BATCH: usize = 500;

/// What a run has come to.
pub struct Outcome {
    /// What was measured.
    pub totals: Totals,
    /// What the checks say, if there were any.
    pub verdict: Option<Verdict>,
    /// How long the measured part was.
    pub time: Duration,
    /// Processor seconds of the load generator meanwhile.
    pub cpu_s: f64,
    /// Faults, when each was done (ns since the measured part began), and what was answered.
    pub faults: Vec<(u64, String, String)>,
    /// What each target says it is.
    pub servers: Vec<String>,
    /// Which members of an Entourage served the reads.
    pub served: Option<Served>,
    /// Seconds as a HdrHistogram log, if that was asked for.
    pub hdr: Vec<u8>,
}

/// What a run hands on while it goes on.
pub struct Watch<'p> {
    /// Shows seconds.
    pub progress: &'p mut Progress,
    /// Whether seconds are kept as a HdrHistogram log.
    pub keeps_hdr: bool,
}

/// Runs a scenario. An error is one of the setup.
pub fn run(scenario: &Scenario, mut watch: Watch<'_>) -> Result<Outcome, String> {
    let servers = scenario.targets.iter().map(|it| server_of(it, scenario));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    let before = served(scenario, &servers[0]);
    let files = u64::from(scenario.connections) * scenario.targets.len() as u64 + 100;
    if process::allow_files(files) < files {
        return Err(format!("connections: the system allows fewer than {files} open files"));
    }
    let shared = Shared {
        epoch_ns: clock::mono_ns(),
        begin: AtomicU64::new(0),
        is_stopped: AtomicBool::new(false),
        left: AtomicI64::new(i64::try_from(scenario.count).unwrap_or(i64::MAX)),
        made: AtomicU64::new(scenario.keys),
        // Later runs begin above all that an earlier one can have reached.
        version_base: clock::wall_us() * 4,
    };
    let mut lanes = connect(scenario)?;
    let (tell, told) = sync_channel(TOLD_MAX);
    let (sink, events) = sync_channel::<Vec<Event>>(EVENT_BATCHES_MAX);
    let checks = !scenario.checks.is_none();
    let sink = checks.then_some(sink);
    std::thread::scope(|scope| {
        let checker = checks.then(|| scope.spawn(|| observe(scenario, events)));
        for (number, lanes) in lanes.drain(..).enumerate() {
            let (number, sink, tell) = (number as u32, sink.clone(), tell.clone());
            let thread = Thread::new(scenario, &shared, number, lanes, sink, tell)?;
            let schedule = schedule(scenario);
            let named = std::thread::Builder::new().name(format!("load-{number}"));
            let spawned = named.spawn_scoped(scope, move || thread.run(schedule));
            spawned.map_err(|it| format!("threads: {it}"))?;
        }
        drop((tell, sink));
        let outcome = attend(scenario, &shared, &told, &mut watch);
        // Whatever happened, threads that wait for the beginning end.
        shared.is_stopped.store(true, Relaxed);
        let _ = shared.begin.compare_exchange(0, 1, Release, Relaxed);
        let mut outcome = outcome?;
        outcome.served = before.and_then(|it| Some(served(scenario, &servers[0])?.since(&it)));
        outcome.servers = servers;
        while told.recv().is_ok() {}
        if let Some(checker) = checker {
            let checker = checker.join().map_err(|_| "the checker has panicked".to_owned())?;
            outcome.verdict = Some(judge(scenario, &shared, checker)?);
        }
        Ok(outcome)
    })
}

/// What a server says of itself: its name and version.
fn server_of(address: &str, scenario: &Scenario) -> Result<String, String> {
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

/// Which members of the target have served how many reads until now.
fn served(scenario: &Scenario, server: &str) -> Option<Served> {
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
        for (target, address) in scenario.targets.iter().enumerate() {
            let lane = Lane::connect(address, &scenario.greeting, client, target as u16)?;
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
    shared: &Shared,
    told: &Receiver<Told>,
    watch: &mut Watch<'_>,
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
    std::thread::scope(|scope| {
        let doer = scope.spawn(|| do_faults(scenario, shared, measured_from));
        tasks::rest(scenario.warmup);
        let cpu_before = cpu_s();
        let mut hdr = Log::new(watch.keeps_hdr);
        let mut totals = Totals::new(scenario.commands.len());
        let mut open: BTreeMap<u32, Vec<Second>> = BTreeMap::new();
        let (mut running, mut failed) = (scenario.threads, None);
        watch.progress.begin(scenario);
        while let Ok(it) = told.recv() {
            match it {
                Told::Filled => {}
                Told::Failed(why) => failed = Some(why),
                Told::Ended(errors) => {
                    running -= 1;
                    errors.into_iter().for_each(|(word, count)| {
                        *totals.errors.entry(word).or_default() += count;
                    });
                }
                Told::Second(second) => {
                    let number = second.number;
                    let seconds = open.entry(number).or_default();
                    seconds.push(second);
                    if seconds.len() == scenario.threads as usize {
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
        let time = clock::mono_ns() - shared.epoch_ns - measured_from;
        let time =
            Duration::from_nanos(time).min(scenario.duration().max(Duration::from_millis(1)));
        let cpu_s = cpu_s() - cpu_before;
        shared.is_stopped.store(true, Relaxed);
        let faults = doer.join().unwrap_or_default();
        if let Some(why) = failed {
            return Err(why);
        }
        let hdr = hdr.into_bytes();
        let (verdict, served, servers) = (None, None, Vec::new());
        Ok(Outcome { totals, verdict, time, cpu_s, faults, servers, served, hdr })
    })
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
    hdr.add(number, seconds, scenario);
    let point = totals.add(number, seconds);
    watch.progress.show(&point, scenario);
}

fn cpu_s() -> f64 {
    let cpu = process::cpu();
    cpu.user + cpu.system
}

/// Does what is to be done to the target, each at its time.
fn do_faults(
    scenario: &Scenario,
    shared: &Shared,
    measured_from: u64,
) -> Vec<(u64, String, String)> {
    let mut faults: Vec<&Fault> = scenario.faults.iter().collect();
    faults.sort_by_key(|it| it.at);
    let mut done = Vec::new();
    for fault in faults {
        let at = measured_from + fault.at.as_nanos() as u64;
        while clock::mono_ns() - shared.epoch_ns < at {
            if shared.is_stopped.load(Relaxed) {
                return done;
            }
            tasks::rest(Duration::from_millis(2));
        }
        let asked = Control::dial(&scenario.targets[0], &scenario.greeting)
            .and_then(|mut it| it.ask(&fault.command));
        let answer = match asked {
            Ok(reply) => String::from_utf8_lossy(&reply).trim().replace("\r\n", " "),
            Err(why) => why,
        };
        done.push((fault.at.as_nanos() as u64, fault.what.clone(), answer));
    }
    done
}

/// The checker, fed until nobody has events any more.
fn observe(scenario: &Scenario, events: Receiver<Vec<Event>>) -> Checker {
    let mut checker = Checker::new(scenario.checks, scenario.connections as usize);
    if let Some(targets) = scenario.authoritative() {
        checker = checker.lost_only_at(&targets);
    }
    for batch in events {
        batch.into_iter().for_each(|it| checker.observe(it));
    }
    checker
}

/// Reads at the target what all keys hold now, and has the checker decide.
fn judge(scenario: &Scenario, shared: &Shared, mut checker: Checker) -> Result<Verdict, String> {
    let checks = &scenario.checks;
    let asks_the_end =
        checks.no_lost_write || checks.no_lost_confirmed_write || checks.linearizable;
    if asks_the_end {
        read_all(scenario, shared, &mut checker)?;
    }
    Ok(checker.finish())
}

fn read_all(scenario: &Scenario, shared: &Shared, checker: &mut Checker) -> Result<(), String> {
    // The master's own answer, whatever level was asked for while loading.
    let mut greeting = scenario.greeting.clone();
    for words in greeting.iter_mut().filter(|it| it[0] == "PROXY") {
        *words = ["PROXY", "CONSISTENCY", "master"].map(str::to_owned).to_vec();
    }
    let mut control = Control::dial(&scenario.targets[0], &greeting)?;
    let keys: Vec<u64> = (0..shared.made.load(Relaxed)).collect();
    let (mut request, mut name) = (Vec::new(), Vec::new());
    for keys in keys.chunks(FINAL_BATCH) {
        request.clear();
        for key in keys {
            name.clear();
            write_key(&mut name, &scenario.style.prefix, *key);
            write_request(&mut request, &[b"GET", &name]);
        }
        control.send(&request)?;
        for key in keys {
            let reply = control.receive()?;
            if let Some(why) = error_of(&reply) {
                return Err(format!("reading at the end: {why}"));
            }
            let at = reply.iter().position(|it| *it == b'\n').map_or(0, |it| it + 1);
            let version =
                version_of(&reply[at..]).and_then(|it| it.checked_sub(shared.version_base));
            checker.final_value(*key, version);
        }
    }
    Ok(())
}
