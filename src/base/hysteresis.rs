//! When something that is measured again and again is worth an alarm, and when it is over: raised
//! once and cleared once, however the values dance around the threshold.
//!
//! ```text
//!           over the threshold, RAISE_CHECKS checks in a row
//!  Quiet ─────────────────────────────────────────────────────▶ Raised
//!    ▲                                                             │
//!    └──── at most 80 % of the threshold, CLEAR_CHECKS in a row ───┘
//! ```

use super::time::MonoUs;

/// Checks in a row that must find it over the threshold.
pub const RAISE_CHECKS: u32 = 3;
/// Checks in a row that must find it well below.
pub const CLEAR_CHECKS: u32 = 5;
/// What is well below, in percent of the threshold.
pub const CLEAR_PERCENT: u64 = 80;

/// What one check has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// More than the threshold.
    Over,
    /// Neither more than the threshold nor well below.
    Between,
    /// Well below.
    Under,
    /// Nobody can tell.
    Unknown,
}

impl Found {
    /// What this value is beside a threshold.
    pub fn of(value: Option<u64>, threshold: u64) -> Found {
        let Some(value) = value else { return Found::Unknown };
        let clear = u128::from(threshold) * u128::from(CLEAR_PERCENT) / 100;
        match value {
            it if threshold < it => Found::Over,
            it if u128::from(it) <= clear => Found::Under,
            _ => Found::Between,
        }
    }
}

/// How it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hysteresis {
    /// Not raised; the last `over` checks have found it over the threshold.
    Quiet {
        /// How many.
        over: u32,
    },
    /// Raised at `since`; the last `under` checks have found it well below.
    Raised {
        /// When.
        since: MonoUs,
        /// How many.
        under: u32,
    },
}

/// What a check has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// It is raised from now on.
    Raised,
    /// It is over.
    Cleared {
        /// How long it was raised.
        after_us: u64,
    },
}

impl Default for Hysteresis {
    fn default() -> Hysteresis {
        Hysteresis::Quiet { over: 0 }
    }
}

impl Hysteresis {
    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        matches!(self, Hysteresis::Raised { .. })
    }

    /// One more check. What nobody can tell raises nothing and clears nothing.
    pub fn check(&mut self, found: Found, now: MonoUs) -> Option<Edge> {
        match (&mut *self, found) {
            (Hysteresis::Quiet { over }, Found::Over) => {
                *over += 1;
                if *over < RAISE_CHECKS {
                    return None;
                }
                *self = Hysteresis::Raised { since: now, under: 0 };
                Some(Edge::Raised)
            }
            (Hysteresis::Raised { since, under }, Found::Under) => {
                *under += 1;
                if *under < CLEAR_CHECKS {
                    return None;
                }
                let after_us = now.since(*since);
                *self = Hysteresis::default();
                Some(Edge::Cleared { after_us })
            }
            (Hysteresis::Quiet { over }, _) => {
                *over = 0;
                None
            }
            (Hysteresis::Raised { under, .. }, _) => {
                *under = 0;
                None
            }
        }
    }

    /// Nobody wants to know any more.
    pub fn end(&mut self, now: MonoUs) -> Option<Edge> {
        let Hysteresis::Raised { since, .. } = *self else { return None };
        *self = Hysteresis::default();
        Some(Edge::Cleared { after_us: now.since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_over_the_threshold_or_well_below_or_between() {
        let of = |value| Found::of(value, 100);
        assert_eq!([of(Some(101)), of(Some(100))], [Found::Over, Found::Between]);
        assert_eq!(
            [of(Some(81)), of(Some(80)), of(None)],
            [Found::Between, Found::Under, Found::Unknown]
        );
        assert_eq!([Found::of(Some(1), 0), Found::of(Some(0), 0)], [Found::Over, Found::Under]);
        assert_eq!(Found::of(Some(u64::MAX - 1), u64::MAX), Found::Between);
    }

    fn checked(found: &[Found]) -> Vec<(usize, Edge)> {
        let mut it = Hysteresis::default();
        let edge = |(at, found): (usize, &Found)| {
            it.check(*found, MonoUs(at as u64)).map(|edge| (at, edge))
        };
        found.iter().enumerate().filter_map(edge).collect()
    }

    #[test]
    fn it_takes_checks_in_a_row() {
        use Found::{Between as B, Over as O, Under as U, Unknown as N};
        assert_eq!(checked(&[O, O, U, O, O, N, O, O, B, O, O]), []);
        assert_eq!(checked(&[O, O, O, O]), [(2, Edge::Raised)]);
        let on_and_off = [O, O, O, U, U, U, U, O, U, U, U, U, B, U, U, U, U, N, U, U, U, U, U, U];
        let after_us = 22 - 2;
        assert_eq!(checked(&on_and_off), [(2, Edge::Raised), (22, Edge::Cleared { after_us })]);
    }

    #[test]
    fn what_is_ended_is_cleared_once() {
        let mut it = Hysteresis::default();
        assert_eq!(it.end(MonoUs(1)), None);
        for at in 0..3 {
            it.check(Found::Over, MonoUs(at));
        }
        assert_eq!(it.end(MonoUs(9)), Some(Edge::Cleared { after_us: 7 }));
        assert_eq!(it.end(MonoUs(9)), None);
    }

    fn any_found() -> impl Strategy<Value = Found> {
        let all = [Found::Over, Found::Between, Found::Under, Found::Unknown];
        (0..all.len()).prop_map(move |at| all[at])
    }

    proptest! {
        /// Edges take turns, and each stands behind as many checks in a row as it takes.
        #[test]
        fn each_edge_has_its_checks_behind_it(found in prop::collection::vec(any_found(), 0..200)) {
            let edges = checked(&found);
            for (place, (at, edge)) in edges.iter().enumerate() {
                let (kind, checks) = match edge {
                    Edge::Raised => (Found::Over, RAISE_CHECKS as usize),
                    Edge::Cleared { .. } => (Found::Under, CLEAR_CHECKS as usize),
                };
                prop_assert_eq!(place % 2 == 0, *edge == Edge::Raised, "they take turns");
                prop_assert!(found[at + 1 - checks..=*at].iter().all(|it| *it == kind));
            }
        }

        /// Where there are so many checks in a row, it is raised behind them, and cleared likewise.
        #[test]
        fn nothing_is_missed(found in prop::collection::vec(any_found(), 0..200)) {
            let mut it = Hysteresis::default();
            let (mut over, mut under) = (0, 0);
            for (at, found) in found.iter().enumerate() {
                it.check(*found, MonoUs(at as u64));
                over = if *found == Found::Over { over + 1 } else { 0 };
                under = if *found == Found::Under { under + 1 } else { 0 };
                prop_assert!(over < RAISE_CHECKS || it.is_raised());
                prop_assert!(under < CLEAR_CHECKS || !it.is_raised());
            }
        }

        /// Values that never come down to 80 % of the threshold raise it once at most.
        #[test]
        fn what_dances_around_the_threshold_is_one_alarm(
            values in prop::collection::vec(81u64..200, 0..300),
        ) {
            let found: Vec<Found> = values.iter().map(|it| Found::of(Some(*it), 100)).collect();
            prop_assert!(checked(&found).len() <= 1);
        }
    }
}
