//! The clocks, and the machine's randomness.

use crate::base::time::{Clock, MonoUs, WallMs};
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The machine's clocks.
pub struct SystemClock;

impl Clock for SystemClock {
    fn mono_ns(&self) -> u64 {
        mono_ns()
    }

    fn wall_now(&self) -> WallMs {
        wall_now()
    }
}

/// Milliseconds since 1970.
pub fn wall_now() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallMs(since.as_millis() as u64)
}

/// Microseconds since 1970, for TIME.
pub fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// Microseconds since the first look at this clock.
pub fn mono_now() -> MonoUs {
    MonoUs((mono_ns()) / 1000)
}

/// Nanoseconds since the first look at this clock: service times.
pub fn mono_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// How long it is until then.
pub fn until(due: MonoUs) -> Duration {
    Duration::from_micros(due.since(mono_now()))
}

/// A seed that differs from one start to the next. Not for secrets.
pub fn entropy() -> u64 {
    RandomState::new().hash_one(wall_us())
}
