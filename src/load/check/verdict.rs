//! What the checks have come to.

use super::checks::CheckName;
use super::staleness::Staleness;
use super::violation::Violation;

/// The result of all checks of a run.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Per check that was switched on: pairs of events compared, and violations.
    pub counts: Vec<(CheckName, u64, u64)>,
    /// The first few violations of each check.
    pub violations: Vec<Violation>,
    /// How stale reads were, if that was asked for.
    pub staleness: Option<Staleness>,
    /// Events of which it could not be decided whether they are linearizable: too many requests at
    /// once, too long without a moment of rest, or seen too late.
    pub undecided: u64,
    /// Events that no check has looked at, because there were too many keys or too many reads of
    /// unknown values.
    pub not_checked: u64,
}

impl Verdict {
    /// Whether nothing is violated.
    pub fn is_clean(&self) -> bool {
        self.counts.iter().all(|(_, _, violations)| *violations == 0)
    }

    /// Pairs compared and violations of one check; zeros if it was switched off.
    pub fn count(&self, check: CheckName) -> (u64, u64) {
        let found = self.counts.iter().find(|(it, _, _)| *it == check);
        found.map_or((0, 0), |(_, pairs, violations)| (*pairs, *violations))
    }
}
