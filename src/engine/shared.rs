//! What all databases of a member stand on: one hash, and one set of thresholds.

use super::thresholds::Thresholds;
use super::usage::{Usage, UsageClock};
use crate::base::time::WallMs;
use std::hash::{BuildHasher, Hasher};

/// What all databases of a member stand on.
pub struct EngineShared {
    pub(super) hasher: ahash::RandomState,
    /// When collections leave their compact forms.
    pub thresholds: Thresholds,
    usage_clock: UsageClock,
}

impl EngineShared {
    /// All members of a set share `seed`, so that they share the hash order.
    pub(super) fn new(seed: u64, thresholds: Thresholds) -> EngineShared {
        let hasher = ahash::RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0x5EED);
        EngineShared { hasher, thresholds, usage_clock: UsageClock::default() }
    }

    /// Remembers a use of a key. Answers what was known before, if that has changed.
    #[inline]
    pub(super) fn touch(&self, usage: &Usage, now: WallMs) -> Option<u32> {
        usage.touch(now, &self.thresholds.eviction, &self.usage_clock)
    }

    /// The time of what is applied from the stream, which brings none, from here on: for the uses
    /// that writes are.
    pub fn tell_time(&self, now: WallMs) {
        self.usage_clock.tell(now);
    }

    /// The hash of a key, field or member: the same at every member of a set.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        (hasher.finish() >> 32) as u32
    }
}
