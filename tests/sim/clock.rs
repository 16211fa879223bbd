//! Time as the simulation says.

use entourage::base::time::{Clock, MonoUs, WallMs};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const WALL_BEGINS: u64 = 1_700_000_000_000;

/// A clock that goes on when it is told to.
pub struct VirtualClock(AtomicU64);

impl VirtualClock {
    pub fn new() -> VirtualClock {
        VirtualClock(AtomicU64::new(1000))
    }

    pub fn mono_now_us(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub fn advance(&self, us: u64) {
        self.0.fetch_add(us, Relaxed);
    }

    /// Goes on to `at`, if that has not come yet.
    pub fn advance_to(&self, at: MonoUs) {
        self.0.fetch_max(at.0, Relaxed);
    }
}

impl Clock for VirtualClock {
    fn mono_ns(&self) -> u64 {
        self.0.load(Relaxed) * 1000
    }

    fn wall_now(&self) -> WallMs {
        WallMs(WALL_BEGINS + self.0.load(Relaxed) / 1000)
    }
}
