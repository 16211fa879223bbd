//! The gate a write passes before it is applied: enough good replicas, now.

use crate::base::planted::{Planted, is_planted};
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

/// Whether hosted replicas count where replicas are counted: for WAIT, acks and the gate. A hosted
/// replica shares the fate of its process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CountHosted {
    /// Until a replica on the wire has synced in this history; from then on only those count.
    #[default]
    Auto,
    /// They do.
    Yes,
    /// They do not.
    No,
}

impl CountHosted {
    /// All of them with their names.
    pub const ALL: [(CountHosted, &str); 3] =
        [(CountHosted::Auto, "auto"), (CountHosted::Yes, "true"), (CountHosted::No, "false")];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        CountHosted::ALL[self as usize].1
    }

    /// What it comes to, when a replica on the wire has synced in this history or not.
    pub fn counts(self, has_wire: bool) -> bool {
        match self {
            CountHosted::Auto => !has_wire,
            CountHosted::Yes => true,
            CountHosted::No => false,
        }
    }
}

impl MinReplicas {
    /// How many replicas are good.
    pub fn good(&self, replicas: impl IntoIterator<Item = Fed>) -> usize {
        replicas.into_iter().filter(|it| self.is_good(it)).count()
    }

    /// Whether a write may be applied. Looks at no more replicas than it must.
    pub fn allows(&self, replicas: impl IntoIterator<Item = Fed>) -> bool {
        let good = replicas.into_iter().filter(|it| self.is_good(it));
        let wanted = self.replicas - usize::from(is_planted(Planted::GateOpensEarly));
        wanted <= good.take(wanted).count()
    }

    fn is_good(&self, replica: &Fed) -> bool {
        replica.linked && u128::from(replica.behind_us) <= self.max_lag.as_micros()
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

    #[test]
    fn the_good_are_counted_as_the_gate_counts_them() {
        let gate = MinReplicas { replicas: 1, max_lag: Duration::from_millis(5) };
        let fed = |linked, behind_us| Fed { linked, behind_us };
        let all = [fed(true, 0), fed(true, 5001), fed(false, 0), fed(true, 5000), fed(true, 9)];
        for (count, good) in [(0, 0), (1, 1), (3, 1), (4, 2), (5, 3)] {
            assert_eq!(gate.good(all[..count].iter().copied()), good);
        }
    }
}
