//! How busy a member is, as whoever chooses among members sees it.

use crate::base::time::MonoUs;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How fast a slow answer is forgotten: in so many µs about half of it.
const FADES_US: u64 = 1_000_000;

/// What was sent to a member, and how long its answers took lately.
#[derive(Debug)]
pub struct MemberLoad {
    in_flight: AtomicU32,
    took_us: AtomicU32,
    /// How long the fastest answer took since this was taken last; [`NO_ANSWER`] without one.
    least_us: AtomicU32,
    /// When what was remembered last changed.
    faded_at: AtomicU64,
    /// Connections that ended in a fault since these were taken last.
    faults: AtomicU32,
}

/// Longer than anything takes.
const NO_ANSWER: u32 = u32::MAX;

impl Default for MemberLoad {
    fn default() -> MemberLoad {
        MemberLoad {
            in_flight: AtomicU32::new(0),
            took_us: AtomicU32::new(0),
            least_us: AtomicU32::new(NO_ANSWER),
            faded_at: AtomicU64::new(0),
            faults: AtomicU32::new(0),
        }
    }
}

impl MemberLoad {
    /// A run is sent to it.
    #[inline]
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A run is there no more.
    #[inline]
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// A connection to it has ended in a fault.
    pub fn failed(&self) {
        self.faults.fetch_add(1, Relaxed);
    }

    /// How many have since this was asked last.
    pub fn take_faults(&self) -> u32 {
        self.faults.swap(0, Relaxed)
    }

    /// Runs that were sent and are not answered.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How many µs an answer takes: the slowest of late, which fades.
    #[inline]
    pub fn took_us(&self) -> u32 {
        self.took_us.load(Relaxed)
    }

    /// How many µs the fastest answer took since this was asked last; `None` if there was none.
    pub fn take_least_us(&self) -> Option<u32> {
        let least = self.least_us.swap(NO_ANSWER, Relaxed);
        (least != NO_ANSWER).then_some(least)
    }

    /// The member has answered now what it was asked at `asked_at`. What takes longer than is
    /// known counts at once, so that one that has become slow is left alone; what is faster counts
    /// little by little.
    pub fn answered(&self, asked_at: MonoUs, now: MonoUs) {
        let took = u32::try_from(now.since(asked_at)).unwrap_or(u32::MAX).max(1);
        self.least_us.fetch_min(took, Relaxed);
        let since = now.since(MonoUs(self.faded_at.load(Relaxed)));
        let before = self.took_us.load(Relaxed);
        let faded = u64::from(before.saturating_sub(took)) * since / (since + FADES_US);
        if faded == 0 && took < before {
            // So that many fast answers fade it as much as few.
            return;
        }
        self.faded_at.store(now.0, Relaxed);
        let after = before.saturating_sub(u32::try_from(faded).unwrap_or(u32::MAX));
        self.took_us.store(after.max(took), Relaxed);
    }

    /// How long one more run waits there, in µs: what is in flight counts less at one that is to
    /// have a greater share, in percent.
    pub fn cost(&self, share: u32) -> u32 {
        let waits = 100 + u64::from(self.in_flight()) * 10_000 / u64::from(share.max(1));
        let cost = waits * u64::from(self.took_us().max(1)) / 100;
        u32::try_from(cost).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_counts_at_once_and_fades() {
        let load = MemberLoad::default();
        let answered = |took: u64, now: u64| {
            load.answered(MonoUs(now - took), MonoUs(now));
            load.took_us()
        };
        assert_eq!(answered(100, 1_000_000), 100);
        assert_eq!(answered(50_000, 1_000_100), 50_000);
        assert!((49_000..50_000).contains(&answered(100, 1_001_000)), "not by one fast answer");
        let half = answered(100, 2_001_000);
        assert!((24_000..26_000).contains(&half), "{half}");
        let last = (1..=20).fold(None, |_, it| Some(answered(100, 2_001_000 + it * 1_000_000)));
        assert!(last.is_some_and(|it| it <= 102), "{last:?}");
    }

    #[test]
    fn the_fastest_answer_since_the_last_look_is_told() {
        let load = MemberLoad::default();
        assert_eq!(load.take_least_us(), None);
        for took in [700, 300, 50_000] {
            load.answered(MonoUs(1_000_000), MonoUs(1_000_000 + took));
        }
        assert_eq!([load.take_least_us(), load.take_least_us()], [Some(300), None]);
        load.answered(MonoUs(0), MonoUs(50_000));
        assert_eq!(load.take_least_us(), Some(50_000));
    }

    #[test]
    fn a_slow_answer_fades_under_many_fast_ones() {
        let load = MemberLoad::default();
        load.answered(MonoUs(0), MonoUs(10_000));
        for it in 1..=200_000 {
            let now = MonoUs(10_000 + it * 50);
            load.answered(MonoUs(now.0 - 100), now);
        }
        // Ten seconds later.
        assert!(load.took_us() < 300, "{}", load.took_us());
    }

    #[test]
    fn it_costs_more_where_more_waits_answers_are_slow_or_little_is_to_be_done() {
        let load = MemberLoad::default();
        assert_eq!(load.cost(100), 1);
        load.answered(MonoUs(0), MonoUs(200));
        assert_eq!(load.cost(100), 200);
        load.begin();
        assert_eq!((load.cost(100), load.cost(200), load.cost(10)), (400, 300, 2200));
        assert_eq!(load.cost(0), 20_200, "nobody is divided by nothing");
        load.end();
        assert_eq!(load.cost(10), 200);
    }
}
