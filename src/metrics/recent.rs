//! What counts and distributions that only grow have gained lately.

use super::distribution::Distribution;
use crate::base::time::MonoUs;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Gains that are told apart; more within one window lie together with the newest.
const GAINS_MAX: usize = 1000;

/// A count's gains, each with its time.
#[derive(Default)]
pub struct RecentCount {
    last: Option<u64>,
    gains: VecDeque<(MonoUs, u64)>,
}

impl RecentCount {
    /// What it has gained within `window`, now that it is `total`. What it was when it was looked
    /// at first is no gain; one that has begun anew has gained what it is.
    pub fn within(&mut self, window: Duration, total: u64, now: MonoUs) -> u64 {
        let before = self.last.replace(total).unwrap_or(total);
        let gain = total.checked_sub(before).unwrap_or(total);
        if gain != 0 && self.gains.len() < GAINS_MAX {
            self.gains.push_back((now, gain));
        } else if let Some(newest) = self.gains.back_mut().filter(|_| gain != 0) {
            *newest = (now, newest.1 + gain);
        }
        while self.gains.front().is_some_and(|it| it.0.plus(window) <= now) {
            self.gains.pop_front();
        }
        self.gains.iter().map(|it| it.1).sum()
    }
}

/// Counts by the upper edges of buckets.
type Buckets = BTreeMap<u64, u64>;

/// What distributions have gained within the last one or two halves of a window, by their names.
pub struct RecentDistributions {
    half: Duration,
    /// When the older mark gives way to the newer.
    turns_at: MonoUs,
    older: BTreeMap<String, Buckets>,
    newer: BTreeMap<String, Buckets>,
}

impl RecentDistributions {
    /// Nothing yet.
    pub fn new(window: Duration) -> RecentDistributions {
        RecentDistributions {
            half: window / 2,
            turns_at: MonoUs(0),
            older: BTreeMap::new(),
            newer: BTreeMap::new(),
        }
    }

    /// A percentile of what each has gained lately, now that they are these; 0 where nothing was
    /// gained.
    pub fn percentiles(
        &mut self,
        percentile: f64,
        totals: BTreeMap<String, Distribution>,
        now: MonoUs,
    ) -> BTreeMap<String, u64> {
        let totals: BTreeMap<String, Buckets> =
            totals.into_iter().map(|(name, it)| (name, it.buckets().collect())).collect();
        let none = Buckets::new();
        let found = totals.iter().map(|(name, total)| {
            let before = self.older.get(name).unwrap_or(&none);
            (name.clone(), percentile_of(percentile, &gained(before, total)))
        });
        let found = found.collect();
        if self.turns_at <= now {
            self.turns_at = now.plus(self.half);
            self.older = std::mem::replace(&mut self.newer, totals);
        }
        found
    }
}

/// What each bucket has gained; all that there is, where some have lost: it was begun anew.
fn gained(before: &Buckets, after: &Buckets) -> Buckets {
    let lacks = |(edge, count): (&u64, &u64)| after.get(edge).is_none_or(|it| it < count);
    if before.iter().any(lacks) {
        return after.clone();
    }
    let gain = |(edge, count): (&u64, &u64)| (*edge, count - before.get(edge).unwrap_or(&0));
    after.iter().map(gain).filter(|it| it.1 != 0).collect()
}

fn percentile_of(percentile: f64, buckets: &Buckets) -> u64 {
    let all: u64 = buckets.values().sum();
    let rank = (percentile / 100.0 * all as f64).ceil() as u64;
    let mut passed = 0;
    let reaches = |(_, count): &(&u64, &u64)| {
        passed += **count;
        rank <= passed
    };
    buckets.iter().find(reaches).map_or(0, |it| *it.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_gained_what_came_within_the_window() {
        let mut count = RecentCount::default();
        let mut at = |us, total| count.within(Duration::from_micros(10), total, MonoUs(us));
        assert_eq!(at(1, 7), 0, "what was before nobody has seen");
        assert_eq!([at(2, 8), at(3, 8), at(5, 10)], [1, 1, 3]);
        assert_eq!([at(11, 10), at(12, 10), at(15, 10)], [3, 2, 0]);
        assert_eq!(at(16, 4), 4, "it was begun anew");
    }

    #[test]
    fn a_count_that_grows_all_the_time_costs_no_more_for_it() {
        let mut count = RecentCount::default();
        let mut grow = |it| count.within(Duration::from_secs(1), it, MonoUs(it));
        let last = (0..5000).map(&mut grow).last();
        assert_eq!(last, Some(4999));
        assert_eq!(count.gains.len(), GAINS_MAX);
    }

    fn totals(values: &[(u64, u32)]) -> BTreeMap<String, Distribution> {
        let mut it = Distribution::default();
        values.iter().for_each(|(value, n)| it.record(*value, *n));
        BTreeMap::from([("r".to_owned(), it)])
    }

    #[test]
    fn percentiles_are_those_of_the_last_minute_or_half() {
        let mut recent = RecentDistributions::new(Duration::from_micros(20));
        let mut at =
            |us, values: &[(u64, u32)]| recent.percentiles(99.0, totals(values), MonoUs(us))["r"];
        assert_eq!(at(1, &[]), 0);
        assert_eq!(at(2, &[(10, 98), (50, 2)]), 50);
        assert_eq!(at(12, &[(10, 98), (50, 2)]), 50);
        assert_eq!(at(23, &[(10, 1098), (50, 2)]), 10, "1 of 550 is no percent");
        assert_eq!(at(34, &[(10, 1098), (50, 2)]), 10);
        assert_eq!(at(45, &[(10, 1098), (50, 2)]), 0, "nothing was read since");
        assert_eq!(at(46, &[(7, 1)]), 7, "they were begun anew");
    }
}
