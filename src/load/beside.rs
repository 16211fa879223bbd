//! What goes on beside the load: faults are done, and the lag of replicas is watched.

use super::control::Control;
use super::faults::{FAILOVER, FAILOVER_TO, Fault, undoings};
use super::members::{Lag, Served, lags};
use super::scenario::Scenario;
use super::thread::Shared;
use crate::runtime::{clock, tasks};
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(2);
/// How often replicas are asked for their lag.
const LAG_EVERY: Duration = Duration::from_millis(250);
/// Points of lag that are kept at most.
const LAGS_MAX: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(1);

/// A fault that was done.
pub struct Done {
    /// When: ns since the measured part began.
    pub at: u64,
    /// What.
    pub what: String,
    /// What was answered.
    pub answer: String,
    /// Whether that is a refusal, and should not be.
    pub is_refused: bool,
}

/// How far replicas were behind at one time.
#[derive(Clone, PartialEq, Debug)]
pub struct LagPoint {
    /// Seconds since the measured part began.
    pub at: f64,
    /// Each replica.
    pub lags: Vec<Lag>,
}

/// Does what is to be done to the target, each at its time. Answers also what members had served
/// when there was a new master.
pub fn do_faults(
    scenario: &Scenario,
    shared: &Shared<'_>,
    measured_from: u64,
) -> (Vec<Done>, Vec<Served>) {
    let (mut done, mut promoted) = (Vec::new(), Vec::new());
    let is_due = |it: &&Fault| rest_until(shared, measured_from + it.at.as_nanos() as u64);
    for fault in scenario.faults.iter().take_while(is_due) {
        let at = fault.at.as_nanos() as u64;
        done.push(do_fault(scenario, fault, at, &mut promoted));
    }
    // Whatever ends the run: nobody stays paused whose pause has an end.
    for fault in undoings(&scenario.faults, done.len()).collect::<Vec<_>>() {
        let now = clock::mono_ns() - shared.epoch_ns;
        let at = now.saturating_sub(measured_from);
        done.push(do_fault(scenario, fault, at, &mut promoted));
    }
    (done, promoted)
}

fn do_fault(scenario: &Scenario, fault: &Fault, at: u64, promoted: &mut Vec<Served>) -> Done {
    let mut what = fault.what.clone();
    let control = Control::dial(&scenario.targets[0], &scenario.greeting);
    let asked = control.and_then(|mut it| {
        let mut command = fault.command.clone();
        if let Some(name) = (fault.what == FAILOVER).then(|| candidate(&mut it)).flatten() {
            what = format!("{FAILOVER} {name}");
            command = FAILOVER_TO.map(str::to_owned).into_iter().chain([name]).collect();
        }
        let reply = it.ask(&command)?;
        if fault.what.starts_with(FAILOVER) {
            promoted.extend(Served::ask(&mut it));
        }
        Ok(reply)
    });
    let answer = match asked {
        Ok(reply) => String::from_utf8_lossy(&reply).trim().replace("\r\n", " "),
        Err(why) => format!("-{why}"),
    };
    // A name that is nobody's is a mistake at any time.
    let may_be_refused = fault.is_random && !answer.starts_with("-NOSUCHMEMBER");
    let is_refused = !may_be_refused && answer.starts_with('-');
    Done { at, what, answer, is_refused }
}

/// The replica of an Entourage that is least behind; `None` of another server.
fn candidate(control: &mut Control) -> Option<String> {
    let replicas = lags(control, true)?;
    replicas.into_iter().min_by_key(|it| (it.bytes, it.us)).map(|it| it.member)
}

/// Asks for the lag of replicas until the run ends.
pub fn watch_lags(
    scenario: &Scenario,
    shared: &Shared<'_>,
    measured_from: u64,
    is_entourage: bool,
    into: &Mutex<Vec<LagPoint>>,
) {
    let (address, greeting) = (&scenario.targets[0], &scenario.greeting);
    let mut control = None;
    let mut at = measured_from;
    while rest_until(shared, at) {
        at += LAG_EVERY.as_nanos() as u64;
        // A cut ends this connection, too.
        if control.is_none() {
            control = Control::dial_within(address, greeting, PATIENCE).ok();
        }
        let asked = control.as_mut().and_then(|it| lags(it, is_entourage));
        let Some(lags) = asked else {
            control = None;
            continue;
        };
        if lags.is_empty() && !is_entourage {
            // Nobody follows it.
            return;
        }
        let now = (clock::mono_ns() - shared.epoch_ns).saturating_sub(measured_from);
        let Ok(mut all) = into.lock() else { return };
        if all.len() < LAGS_MAX {
            all.push(LagPoint { at: now as f64 / 1e9, lags });
        }
    }
}

/// The last lag of the replica that is furthest behind.
pub fn latest(all: &Mutex<Vec<LagPoint>>) -> Option<Lag> {
    let all = all.lock().ok()?;
    all.last()?.lags.iter().max_by_key(|it| (it.us, it.bytes)).cloned()
}

/// Rests. False if the run has ended before.
pub fn rest_until(shared: &Shared<'_>, at: u64) -> bool {
    loop {
        if shared.is_stopped.load(Relaxed) || shared.interrupt.is_asked() {
            return false;
        }
        if at <= clock::mono_ns() - shared.epoch_ns {
            return true;
        }
        tasks::rest(STEP);
    }
}
