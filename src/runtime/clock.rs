//! The clocks, and the machine's randomness.

use crate::IS_SIMULATED;
use crate::base::time::{Clock, MonoUs, WallMs};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
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

/// A clock that goes on when a simulation says so.
pub type SimulatedClock = Arc<dyn Clock + Send + Sync>;

thread_local! {
    static SIMULATED: RefCell<Option<SimulatedClock>> = const { RefCell::new(None) };
}

/// The calling thread goes by this clock from here on: of the simulator alone.
pub fn simulate(clock: Option<SimulatedClock>) {
    SIMULATED.set(clock);
}

/// The clock that the calling thread goes by, if it is not the machine's.
#[inline(always)]
pub fn simulated() -> Option<SimulatedClock> {
    if IS_SIMULATED { SIMULATED.with_borrow(Option::clone) } else { None }
}

/// Milliseconds since 1970.
pub fn wall_now() -> WallMs {
    if let Some(clock) = simulated() {
        return clock.wall_now();
    }
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
    if let Some(clock) = simulated() {
        return clock.mono_ns();
    }
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
