//! How long to leave a server alone that cannot be reached.

use crate::base::random::Random;
use std::time::Duration;

const FIRST_MS: u64 = 20;
const LAST_MS: u64 = 2000;

/// Doubles from 20 ms to 2 s. What is answered lies between half of that and all of it, so that
/// those who lost a server together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    next_ms: u64,
    random: Random,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(seed: u64) -> Backoff {
        Backoff { next_ms: FIRST_MS, random: Random::new(seed) }
    }

    /// It has failed: how long to wait.
    pub fn failed(&mut self) -> Duration {
        let most = self.next_ms;
        self.next_ms = (most * 2).min(LAST_MS);
        Duration::from_micros(most * 500 + self.random.below(most * 500))
    }

    /// It has succeeded.
    pub fn succeeded(&mut self) {
        self.next_ms = FIRST_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_are_never_all_the_same() {
        let (mut one, mut other) = (Backoff::new(1), Backoff::new(2));
        let mut most = FIRST_MS;
        for _ in 0..12 {
            let (a, b) = (one.failed(), other.failed());
            let range = Duration::from_millis(most) / 2..Duration::from_millis(most);
            assert!(range.contains(&a) && range.contains(&b) && a != b, "{a:?} {b:?} of {range:?}");
            most = (most * 2).min(LAST_MS);
        }
        one.succeeded();
        assert!(one.failed() < Duration::from_millis(FIRST_MS));
    }

    #[test]
    fn waits_are_spread_over_half_of_their_bound() {
        let mut backoff = Backoff::new(1);
        (0..20).for_each(|_| assert!(Duration::ZERO < backoff.failed()));
        let all: Vec<_> = (0..200).map(|_| backoff.failed()).collect();
        let last = Duration::from_millis(LAST_MS);
        assert!(all.iter().any(|it| *it < last * 6 / 10));
        assert!(all.iter().any(|it| last * 9 / 10 < *it));
    }
}
