//! When to sync, where replies wait for it: one sync for the writes of many clients.
//!
//! Who has just been answered writes again at once. A sync that began with the first of them would
//! leave all others to the next one, so that each client waited for two.

use crate::base::time::MonoUs;

/// The longest that a sync is put off, and that as a part of the time that one takes.
const WAIT_US_MAX: u64 = 500;
const WAIT_PART: u64 = 4;

/// What the last syncs were like.
pub struct GroupCommit {
    /// Bytes of the last two.
    bytes: [u64; 2],
    /// How long the last one took, and when it ended.
    took_us: u64,
    ended: MonoUs,
}

impl GroupCommit {
    /// Before the first.
    pub fn new(now: MonoUs) -> GroupCommit {
        GroupCommit { bytes: [0; 2], took_us: 0, ended: now }
    }

    /// Whether so many bytes are to be synced now: about as many have come as before, or they are
    /// not to wait any longer.
    pub fn is_due(&self, bytes: u64, now: MonoUs) -> bool {
        let expected = self.bytes[0].max(self.bytes[1]) / 4 * 3;
        let most_us = (self.took_us / WAIT_PART).min(WAIT_US_MAX);
        expected <= bytes || most_us <= now.since(self.ended)
    }

    /// So many bytes were synced.
    pub fn synced(&mut self, bytes: u64, took_us: u64, now: MonoUs) {
        self.bytes = [self.bytes[1], bytes];
        (self.took_us, self.ended) = (took_us, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_waited_for_and_one_never_waits() {
        let mut group = GroupCommit::new(MonoUs(0));
        assert!(group.is_due(1, MonoUs(0)));
        group.synced(40, 1000, MonoUs(1000));
        assert!(group.is_due(40, MonoUs(1010)), "a client that is alone");
        group.synced(2000, 1000, MonoUs(3000));
        assert!(!group.is_due(40, MonoUs(3010)) && group.is_due(1500, MonoUs(3020)));
        assert!(group.is_due(40, MonoUs(3250)), "the others have gone");
        group.synced(40, 1000, MonoUs(4000));
        assert!(!group.is_due(40, MonoUs(4001)), "one small one does not forget them");
        group.synced(40, 90_000, MonoUs(99_000));
        assert!(group.is_due(40, MonoUs(99_001)));
        group.synced(4000, 90_000, MonoUs(200_000));
        assert!(group.is_due(40, MonoUs(200_500)));
    }
}
