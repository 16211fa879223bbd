//! The gate a write passes before it is applied: enough good replicas, now.

use std::time::Duration;

/// Redis' `min-replicas-to-write` and `min-replicas-max-lag`, which only make sense together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MinReplicas {
    /// How many must be good.
    pub replicas: usize,
    /// How far behind the master a good one may be.
    pub max_lag: Duration,
}

/// How a replica is being fed. A drained one serves no reads but is still fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fed {
    /// Online: not disconnected, in a full resync or quarantined.
    pub linked: bool,
    /// How long ago, as of now, it last had all that the master had.
    pub behind_us: u64,
}

impl MinReplicas {
    /// Whether a write may be applied. Looks at no more replicas than it must.
    pub fn allows(&self, replicas: impl IntoIterator<Item = Fed>) -> bool {
        let max_lag_us = self.max_lag.as_micros();
        let good = |it: &Fed| it.linked && u128::from(it.behind_us) <= max_lag_us;
        self.replicas <= replicas.into_iter().filter(good).take(self.replicas).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_linked_replicas_within_the_lag_count() {
        let gate = MinReplicas { replicas: 2, max_lag: Duration::from_millis(5) };
        let fed = |linked, behind_us| Fed { linked, behind_us };
        assert!(gate.allows([fed(true, 0), fed(true, 5000)]));
        assert!(!gate.allows([fed(true, 0), fed(true, 5001)]));
        assert!(!gate.allows([fed(true, 0), fed(false, 0)]));
        assert!(gate.allows([fed(false, 0), fed(true, 1), fed(true, 1)]));
        assert!(!gate.allows([]));
    }
}
