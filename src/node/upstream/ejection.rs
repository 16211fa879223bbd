//! Which replicas are spared for a while: those whose connections fail again and again, and those
//! that answer far slower than others.
//!
//! ```text
//!           faults, or slow for some looks         its time is over
//!   serves ────────────────────────────▶ ejected ─────────────────▶ serves, with little at first
//!      ▲                                                                 │ the next time is twice
//!      └────────────────────── well for long: the first time again ◀─────┘ as long
//! ```

use crate::base::time::MonoUs;
use std::time::Duration;

/// So many faults within [`KEPT_US`] are too many.
const FAULTS_MAX: u32 = 3;
/// For so long a fault counts, and a look that found it slow.
const KEPT_US: u64 = 10_000_000;
/// So many looks in a row that find all its answers slow are too many.
const SLOW_LOOKS_MAX: u32 = 4;
/// So many times as long as the middle one of the others is slow ...
const SLOWER: u64 = 10;
/// ... if it is so much at least.
const SLOW_US_MIN: u32 = 20_000;
/// It is spared at most so many times as long as the first time.
const DOUBLED_MAX: u32 = 6;
/// Who has been well for so long begins anew.
const WELL_US: u64 = 60_000_000;

/// Whether one replica is spared, and how it comes to that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ejection {
    faults: u32,
    /// When the last fault was.
    failed_at: MonoUs,
    slow_looks: u32,
    /// When the last of these was.
    slow_at: MonoUs,
    until: Option<MonoUs>,
    /// How often its time has doubled.
    doubled: u32,
    /// When it was last spared.
    ended_at: MonoUs,
    count: u64,
}

impl Ejection {
    /// It has failed so often since the last look, and was slow or not where anybody can tell.
    /// `first` is how long it is spared the first time.
    pub fn judge(&mut self, faults: u32, is_slow: Option<bool>, first: Duration, now: MonoUs) {
        if let Some(until) = self.until {
            if until <= now {
                (self.until, self.ended_at) = (None, now);
                (self.faults, self.slow_looks) = (0, 0);
            }
            return;
        }
        if KEPT_US < now.since(self.failed_at) {
            self.faults = 0;
        }
        if KEPT_US < now.since(self.slow_at) {
            self.slow_looks = 0;
        }
        if faults != 0 {
            self.faults += faults;
            self.failed_at = now;
        }
        match is_slow {
            Some(true) => (self.slow_looks, self.slow_at) = (self.slow_looks + 1, now),
            Some(false) => self.slow_looks = 0,
            None => {}
        }
        if self.faults < FAULTS_MAX && self.slow_looks < SLOW_LOOKS_MAX {
            return;
        }
        let was_well = WELL_US < now.since(self.ended_at);
        self.doubled = if self.count == 0 || was_well { 0 } else { self.doubled + 1 };
        self.doubled = self.doubled.min(DOUBLED_MAX);
        self.until = Some(now.plus(first * (1 << self.doubled)));
        self.count += 1;
    }

    /// It is no replica that serves now: that its connections fail says nothing. Until when it is
    /// spared, and for how long the next time, stays: else one that comes and goes would begin anew
    /// each time.
    pub fn away(&mut self) {
        (self.faults, self.slow_looks) = (0, 0);
    }

    /// Whether it is spared.
    pub fn is_ejected(&self) -> bool {
        self.until.is_some()
    }

    /// How often it has been.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Whether an answer that takes so long is slow beside those of the others who serve; `None` where
/// there are none.
pub fn is_slow(took_us: u32, mut others: Vec<u32>) -> Option<bool> {
    others.sort_unstable();
    let middle = others.get(others.len().saturating_sub(1) / 2)?;
    Some(SLOW_US_MIN <= took_us && u64::from(*middle) * SLOWER <= u64::from(took_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> MonoUs {
        MonoUs(1_000_000_000 + ms * 1000)
    }

    #[test]
    fn faults_in_a_row_eject_for_longer_each_time() {
        let mut ejection = Ejection::default();
        ejection.judge(2, Some(false), FIRST, at(0));
        assert!(!ejection.is_ejected());
        ejection.judge(1, Some(false), FIRST, at(500));
        assert!(ejection.is_ejected());
        ejection.judge(9, Some(true), FIRST, at(1499));
        assert!(ejection.is_ejected(), "and what it does meanwhile counts for nothing");
        ejection.judge(0, Some(false), FIRST, at(1500));
        assert!(!ejection.is_ejected());
        ejection.judge(3, Some(false), FIRST, at(2000));
        ejection.judge(0, Some(false), FIRST, at(3999));
        assert!(ejection.is_ejected(), "two seconds now");
        ejection.judge(0, Some(false), FIRST, at(4000));
        assert!(!ejection.is_ejected() && ejection.count() == 2);
        ejection.judge(3, Some(false), FIRST, at(100_000));
        ejection.judge(0, Some(false), FIRST, at(101_000));
        assert!(!ejection.is_ejected(), "it has been well for long: one second again");
    }

    #[test]
    fn faults_that_are_far_apart_eject_nobody() {
        let mut ejection = Ejection::default();
        for it in 0..20 {
            ejection.judge(1, Some(false), FIRST, at(it * 11_000));
            assert!(!ejection.is_ejected());
        }
    }

    #[test]
    fn one_slow_answer_ejects_nobody_and_many_do() {
        let mut ejection = Ejection::default();
        for it in 0..SLOW_LOOKS_MAX * 3 {
            ejection.judge(0, Some(it % SLOW_LOOKS_MAX != 0), FIRST, at(it.into()));
            assert!(!ejection.is_ejected());
        }
        ejection.judge(0, Some(false), FIRST, at(99));
        for it in 0..SLOW_LOOKS_MAX {
            assert!(!ejection.is_ejected());
            ejection.judge(0, Some(true), FIRST, at(100 + 2 * u64::from(it)));
            // Nobody has asked it anything.
            ejection.judge(0, None, FIRST, at(101 + 2 * u64::from(it)));
        }
        assert!(ejection.is_ejected());
    }

    #[test]
    fn slow_answers_that_are_far_apart_eject_nobody() {
        let mut ejection = Ejection::default();
        for it in 0..20 {
            ejection.judge(0, Some(true), FIRST, at(it * 11_000));
            assert!(!ejection.is_ejected());
        }
    }

    #[test]
    fn who_goes_away_and_comes_back_is_spared_for_as_long_as_it_was_to_be() {
        let mut ejection = Ejection::default();
        ejection.judge(3, None, FIRST, at(0));
        ejection.away();
        ejection.judge(0, None, FIRST, at(999));
        assert!(ejection.is_ejected());
        ejection.judge(0, None, FIRST, at(1000));
        ejection.away();
        ejection.judge(3, None, FIRST, at(2000));
        ejection.judge(0, None, FIRST, at(3999));
        assert!(ejection.is_ejected(), "twice as long now");
        ejection.judge(0, None, FIRST, at(4000));
        ejection.judge(2, Some(true), FIRST, at(4001));
        ejection.away();
        ejection.judge(2, Some(true), FIRST, at(4002));
        assert!(!ejection.is_ejected(), "what it did before counts for nothing");
    }

    #[test]
    fn slow_is_who_takes_far_longer_than_the_others() {
        let is_slow = |took_us, others: &[u32]| is_slow(took_us, others.to_vec());
        assert_eq!(is_slow(50_000, &[300, 400]), Some(true));
        assert_eq!(is_slow(300, &[50_000, 400]), Some(false));
        assert_eq!(is_slow(19_000, &[300, 400]), Some(false), "nobody minds so little");
        assert_eq!(is_slow(50_000, &[40_000, 60_000]), Some(false), "all are");
        assert_eq!(is_slow(50_000, &[]), None, "there is nobody else");
        assert_eq!(is_slow(50_000, &[300]), Some(true));
    }
}
