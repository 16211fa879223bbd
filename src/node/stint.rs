//! How long a member may be kept from its readers at a time.

use crate::base::limits::APPLY_US_MAX;
use crate::base::time::MonoUs;
use crate::runtime::clock;

/// How much is applied at a time. A write is never split, so the last one may take longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stint {
    /// For this long.
    Micros(u64),
    /// This many writes: what simulations say, which must not depend on a clock.
    Writes(usize),
}

impl Stint {
    /// What readers do not notice.
    pub const SHORT: Stint = Stint::Micros(APPLY_US_MAX);

    /// What of it may be done under one acquisition of a member's lock.
    pub(super) fn of_one_batch(self) -> Stint {
        match self {
            Stint::Micros(us) => Stint::Micros(us.min(APPLY_US_MAX)),
            writes => writes,
        }
    }

    /// Whether several batches since `began` have used it up.
    pub(super) fn is_over(self, began: MonoUs) -> bool {
        match self {
            Stint::Micros(us) => us <= clock::mono_now().since(began),
            Stint::Writes(_) => true,
        }
    }
}

/// Tells when a batch has lasted long enough. Looks at the clock rarely while writes are cheap, and
/// after each one as soon as they are not.
pub(super) struct Pace {
    stint: Stint,
    began: MonoUs,
    looked: MonoUs,
    done: usize,
    look_at: usize,
    stride: usize,
}

/// Most writes between two looks at the clock.
const STRIDE_MAX: usize = 32;
/// A stride that took longer than this was too long.
const STRIDE_US: u64 = 50;

impl Pace {
    /// Begins now.
    pub fn new(stint: Stint) -> Pace {
        let began = match stint {
            Stint::Micros(_) => clock::mono_now(),
            Stint::Writes(_) => MonoUs(0),
        };
        Pace { stint, began, looked: began, done: 0, look_at: 1, stride: 1 }
    }

    /// One more write has been applied.
    #[inline]
    pub fn is_over(&mut self) -> bool {
        self.done += 1;
        match self.stint {
            Stint::Writes(most) => most <= self.done,
            Stint::Micros(_) if self.done < self.look_at => false,
            Stint::Micros(most) => self.look(most),
        }
    }

    fn look(&mut self, most: u64) -> bool {
        let now = clock::mono_now();
        let was_quick = now.since(self.looked) < STRIDE_US;
        self.stride = if was_quick { STRIDE_MAX.min(2 * self.stride) } else { 1 };
        self.looked = now;
        self.look_at = self.done + self.stride;
        most <= now.since(self.began)
    }
}
