//! How old what reads see is.

use super::reading::Reading;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Significant digits of the histograms.
const DIGITS: u8 = 2;
const SECOND_NS: u64 = 1_000_000_000;

/// How stale the reads of a run were. Keys that several clients write at once do not count.
#[derive(Clone, Debug)]
pub struct Staleness {
    /// Of each stale read: how many versions newer than what it saw existed when the newest
    /// acknowledged one was written.
    pub versions_behind: Histogram<u64>,
    /// Of each stale read: microseconds from the acknowledgement of the next version to its begin.
    pub us_behind: Histogram<u64>,
    /// Per target: its place in the list of targets, its reads, and how many of them were stale.
    pub targets: Vec<(u16, u64, u64)>,
    /// By the second in which reads began, since the run did.
    pub seconds: BTreeMap<u64, StaleSecond>,
}

/// The reads that began in one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StaleSecond {
    /// How many there were.
    pub reads: u64,
    /// How many of them were stale.
    pub stale: u64,
    /// How old the oldest was, in microseconds.
    pub us_behind_max: u64,
}

impl StaleSecond {
    /// Takes in more reads of the same second.
    pub fn append(&mut self, more: &StaleSecond) {
        self.reads += more.reads;
        self.stale += more.stale;
        self.us_behind_max = self.us_behind_max.max(more.us_behind_max);
    }
}

impl Staleness {
    /// No reads yet.
    pub(super) fn new() -> Staleness {
        let histogram = || Histogram::new(DIGITS).expect("two digits are in range");
        Staleness {
            versions_behind: histogram(),
            us_behind: histogram(),
            targets: Vec::new(),
            seconds: BTreeMap::new(),
        }
    }

    /// Takes a read in: it is stale if a newer version had been acknowledged when it began.
    pub(super) fn learn(&mut self, reading: &Reading<'_>) {
        let missed = reading.newest_acked().filter(|it| reading.certainly_misses(it.version));
        let count = self.of_target(reading.read.target);
        count.1 += 1;
        count.2 += u64::from(missed.is_some());
        let second = reading.read.began / SECOND_NS;
        self.seconds.entry(second).or_default().reads += 1;
        let Some(newest) = missed else { return };
        let behind = reading.recent.behind(reading.key, reading.read.version, &newest);
        let us = reading.read.began.saturating_sub(behind.since) / 1_000;
        let of_second = self.seconds.entry(second).or_default();
        of_second.stale += 1;
        of_second.us_behind_max = of_second.us_behind_max.max(us);
        for (histogram, value) in
            [(&mut self.versions_behind, behind.versions), (&mut self.us_behind, us)]
        {
            histogram.record(value).expect("a histogram that grows takes every value");
        }
    }

    /// Reads at all targets.
    pub fn reads(&self) -> u64 {
        self.targets.iter().map(|(_, reads, _)| reads).sum()
    }

    /// Stale reads at all targets.
    pub fn stale(&self) -> u64 {
        self.targets.iter().map(|(_, _, stale)| stale).sum()
    }

    /// The share of reads that were stale, from 0 to 1.
    pub fn stale_share(&self) -> f64 {
        self.stale() as f64 / self.reads().max(1) as f64
    }

    /// Takes in the reads of a further run.
    pub fn append(&mut self, more: Staleness) {
        self.versions_behind.add(&more.versions_behind).expect("a histogram that grows");
        self.us_behind.add(&more.us_behind).expect("a histogram that grows");
        for (target, reads, stale) in more.targets {
            let count = self.of_target(target);
            count.1 += reads;
            count.2 += stale;
        }
        for (second, of) in &more.seconds {
            self.seconds.entry(*second).or_default().append(of);
        }
    }

    fn of_target(&mut self, target: u16) -> &mut (u16, u64, u64) {
        let at = self.targets.partition_point(|(it, _, _)| *it < target);
        if self.targets.get(at).is_none_or(|(it, _, _)| *it != target) {
            self.targets.insert(at, (target, 0, 0));
        }
        &mut self.targets[at]
    }
}
