//! Times of two kinds that cannot be compared with each other.

use std::time::Duration;

/// Tells the time. What decides is handed a clock and never asks the machine.
pub trait Clock: Sync {
    /// Nanoseconds on a clock that never jumps.
    fn mono_ns(&self) -> u64;

    /// Milliseconds since 1970.
    fn wall_now(&self) -> WallMs;

    /// Microseconds on a clock that never jumps.
    fn mono_now(&self) -> MonoUs {
        MonoUs(self.mono_ns() / 1000)
    }
}

/// Milliseconds since 1970: key expiry, and replies that name a date.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct WallMs(pub u64);

impl WallMs {
    /// Before every deadline. A replica applies the stream at this time, so that it hides nothing
    /// and deletes nothing by itself.
    pub const NEVER_EXPIRES: WallMs = WallMs(0);

    /// Whole milliseconds from here to `later`; 0 when it is not later.
    pub const fn until(self, later: WallMs) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// Microseconds on a clock that never jumps: deadlines of waits, ages, service times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct MonoUs(pub u64);

impl MonoUs {
    /// This much later.
    pub fn plus(self, by: Duration) -> MonoUs {
        MonoUs(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Microseconds since `earlier`; 0 when it is not earlier.
    pub const fn since(self, earlier: MonoUs) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
