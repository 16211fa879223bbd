//! What all databases of a member stand on: one hash, and one set of thresholds.

use super::thresholds::Thresholds;
use std::hash::{BuildHasher, Hasher};

/// What all databases of a member stand on.
pub struct EngineShared {
    pub(super) hasher: ahash::RandomState,
    /// When collections leave their compact forms.
    pub thresholds: Thresholds,
}

impl EngineShared {
    /// All members of a set share `seed`, so that they share the hash order.
    pub(super) fn new(seed: u64, thresholds: Thresholds) -> EngineShared {
        let hasher = ahash::RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0x5EED);
        EngineShared { hasher, thresholds }
    }

    /// The hash of a key, field or member: the same at every member of a set.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        (hasher.finish() >> 32) as u32
    }
}
