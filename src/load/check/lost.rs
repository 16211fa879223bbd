//! Writes that were acknowledged, or confirmed, and then missed.

use super::checks::{CheckName, Checks};
use super::event::{Event, WriteEvent};
use super::findings::Findings;
use super::keys::{Acked, KeyState};
use super::reading::Reading;
use super::recent::{Known, Recent};
use super::violation::FinalValue;

/// Compares a read with the writes that had been answered when it began.
pub fn judge_acked(reading: &Reading<'_>, checks: &Checks, findings: &mut Findings) {
    if checks.no_lost_write {
        compare(reading, CheckName::NoLostWrite, reading.newest_acked(), findings);
    }
}

/// The same with those that had been confirmed.
pub fn judge_confirmed(reading: &Reading<'_>, checks: &Checks, findings: &mut Findings) {
    if checks.no_lost_confirmed_write {
        compare(reading, CheckName::NoLostConfirmedWrite, reading.newest_confirmed(), findings);
    }
}

fn compare(
    reading: &Reading<'_>,
    check: CheckName,
    write: Option<WriteEvent>,
    findings: &mut Findings,
) {
    let Some(write) = write else { return };
    findings.compared(check);
    if reading.misses(write.version) {
        findings.suspect(check, reading.read, None, || {
            let mut events = reading.shown();
            events.push(Event::Write(write));
            events
        });
    }
}

/// Compares what a key holds at the very end with its newest answered write.
pub fn judge_final(
    end: FinalValue,
    key: &KeyState,
    recent: &Recent,
    checks: &Checks,
    findings: &mut Findings,
) {
    let held = end.version.map(|it| recent.find(end.key, key, it));
    if let Some(Known::NotWritten) = held {
        findings.compared(CheckName::WrittenValues);
        findings.violated(CheckName::WrittenValues, Vec::new(), Some(end));
        return;
    }
    let confirmed = (CheckName::NoLostConfirmedWrite, key.confirmed, true);
    for (check, acked, is_confirmed) in
        [(CheckName::NoLostWrite, key.acked, key.is_acked_confirmed), confirmed]
    {
        let Some(acked) = acked.filter(|_| checks.has(check)) else { continue };
        findings.compared(check);
        if !is_lost(acked, held, end, key) {
            continue;
        }
        let mut events = vec![Event::Write(acked.event(end.key, is_confirmed))];
        if let Some(Known::Written(write)) = held {
            events.push(Event::Write(write));
        }
        findings.violated(check, events, Some(end));
    }
}

fn is_lost(acked: Acked, held: Option<Known>, end: FinalValue, key: &KeyState) -> bool {
    let acked_began = acked.took.before(acked.ended);
    match held {
        // The key has no value.
        None => true,
        // A write without an answer may have happened last.
        Some(Known::Written(write)) if write.ended.is_none() => false,
        Some(Known::Written(write)) if key.is_shared => {
            write.ended.is_some_and(|ended| ended < acked_began)
        }
        Some(Known::Forgotten) if key.has_unanswered || key.is_shared => false,
        Some(_) => end.version < Some(acked.version),
    }
}
