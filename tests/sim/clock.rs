//! Time as the simulation says.

use entourage::base::time::{Clock, MonoUs, WallMs};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Late enough to go back from.
const WALL_BEGINS: u64 = 1_700_001_000_000;

/// A clock that goes on when it is told to. The wall's time may jump, too.
pub struct VirtualClock {
    us: AtomicU64,
    jumped_ms: AtomicI64,
}

impl VirtualClock {
    pub fn new() -> VirtualClock {
        VirtualClock { us: AtomicU64::new(1000), jumped_ms: AtomicI64::new(0) }
    }

    pub fn mono_now_us(&self) -> u64 {
        self.us.load(Relaxed)
    }

    pub fn advance(&self, us: u64) {
        self.us.fetch_add(us, Relaxed);
    }

    /// The time on the wall is put forward, or back.
    pub fn jump_wall(&self, ms: i64) {
        self.jumped_ms.fetch_add(ms, Relaxed);
    }

    /// Goes on to `at`, if that has not come yet.
    pub fn advance_to(&self, at: MonoUs) {
        self.us.fetch_max(at.0, Relaxed);
    }
}

impl Clock for VirtualClock {
    fn mono_ns(&self) -> u64 {
        self.us.load(Relaxed) * 1000
    }

    fn wall_now(&self) -> WallMs {
        let ms = WALL_BEGINS + self.us.load(Relaxed) / 1000;
        WallMs(ms.saturating_add_signed(self.jumped_ms.load(Relaxed)))
    }
}
