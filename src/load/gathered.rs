//! Slices of one target, gathered as if they had been one run.

use super::beside::{Done, LagPoint};
use super::check::{StaleSecond, Verdict};
use super::measure::{Second, Totals, length_of};
use super::outcome::Outcome;
use super::report::hdr::Log;
use super::scenario::Scenario;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the slices until now have come to.
pub struct Gathered {
    totals: Totals,
    hdr: Log,
    /// The second that goes on, over all slices, how long it has been, and what belongs to it.
    open: (u32, Duration, Vec<Second>),
    /// How long the slices before were.
    before: Duration,
    outcome: Option<Outcome>,
    faults: Vec<Done>,
    lags: Vec<LagPoint>,
}

impl Gathered {
    /// Nothing yet.
    pub fn new(scenario: &Scenario, keeps_hdr: bool) -> Gathered {
        Gathered {
            totals: Totals::new(scenario.commands.len()),
            hdr: Log::new(keeps_hdr),
            open: (0, Duration::ZERO, Vec::new()),
            before: Duration::ZERO,
            outcome: None,
            faults: Vec::new(),
            lags: Vec::new(),
        }
    }

    /// Takes a second of the slice that goes on.
    pub fn add(&mut self, number: u32, seconds: &[Second], scenario: &Scenario) {
        let at = (self.before + Duration::from_secs(number.into())).as_secs() as u32;
        if self.open.0 != at {
            self.close_second(scenario);
            self.open.0 = at;
        }
        self.open.1 += length_of(seconds);
        self.open.2.extend_from_slice(seconds);
    }

    fn close_second(&mut self, scenario: &Scenario) {
        let (number, length) = (self.open.0, std::mem::take(&mut self.open.1));
        let seconds = std::mem::take(&mut self.open.2);
        if !seconds.is_empty() {
            self.hdr.add(number, length, &seconds, scenario);
            self.totals.add(number, length, &seconds);
        }
    }

    /// A slice has ended.
    pub fn end_slice(&mut self, scenario: &Scenario, mut slice: Outcome) {
        let before_s = self.before.as_secs_f64();
        self.faults.extend(slice.faults.drain(..).map(|mut it| {
            it.at += self.before.as_nanos() as u64;
            it
        }));
        self.lags.extend(slice.lags.drain(..).map(|mut it| {
            it.at += before_s;
            it
        }));
        if let Some(staleness) = slice.verdict.as_mut().and_then(|it| it.staleness.as_mut()) {
            // From the begin of the measured part of the first slice.
            let by = before_s - slice.measured_from as f64 / 1e9;
            staleness.seconds = moved(&staleness.seconds, by);
        }
        self.before += scenario.duration();
        self.totals.errors.append(std::mem::take(&mut slice.totals.errors));
        let Some(all) = &mut self.outcome else {
            self.outcome = Some(slice);
            return;
        };
        all.time += slice.time;
        all.cpu_s += slice.cpu_s;
        all.unsent.add(&slice.unsent).expect("their bounds are the same");
        append_new(&mut all.notes, slice.notes);
        append_new(&mut all.shortcomings, slice.shortcomings);
        if let Some((all, of_slice)) = all.served.as_mut().zip(slice.served) {
            all.master = of_slice.master;
            all.of_master += of_slice.of_master;
            of_slice.reads.into_iter().for_each(|(member, reads)| {
                *all.reads.entry(member).or_default() += reads;
            });
        }
        if let Some((all, of_slice)) = all.verdict.as_mut().zip(slice.verdict) {
            append_verdict(all, of_slice);
        }
    }

    /// A slice has been interrupted: what it misses is no fault of its target.
    pub fn end_broken_slice(&mut self, scenario: &Scenario, mut slice: Outcome) {
        if slice.totals.errors.count() == 0 {
            slice.shortcomings.clear();
        }
        self.end_slice(scenario, slice);
    }

    /// What all slices have come to.
    pub fn finish(mut self, scenario: &Scenario) -> Option<Outcome> {
        self.close_second(scenario);
        let mut outcome = self.outcome?;
        outcome.totals = self.totals;
        outcome.hdr = self.hdr.into_bytes();
        outcome.faults = self.faults;
        outcome.lags = self.lags;
        outcome.measured_from = 0;
        Some(outcome)
    }
}

fn append_new(all: &mut Vec<String>, more: Vec<String>) {
    for it in more {
        if !all.contains(&it) {
            all.push(it);
        }
    }
}

/// Takes in what the checks say of a further slice.
fn append_verdict(all: &mut Verdict, slice: Verdict) {
    for (of_all, of_slice) in all.counts.iter_mut().zip(&slice.counts) {
        of_all.1 += of_slice.1;
        of_all.2 += of_slice.2;
    }
    all.violations.extend(slice.violations);
    all.undecided += slice.undecided;
    all.not_checked += slice.not_checked;
    if let Some((all, of_slice)) = all.staleness.as_mut().zip(slice.staleness) {
        all.append(of_slice);
    }
}

/// Seconds, this much later; those before the beginning are left out.
fn moved(seconds: &BTreeMap<u64, StaleSecond>, by: f64) -> BTreeMap<u64, StaleSecond> {
    let mut all: BTreeMap<u64, StaleSecond> = BTreeMap::new();
    for (second, of) in seconds {
        let second = (*second as f64 + by).round();
        if 0.0 <= second {
            all.entry(second as u64).or_default().append(of);
        }
    }
    all
}
