//! How long a member may be kept from its readers at a time.

use crate::base::limits::APPLY_US_MAX;
use crate::base::time::MonoUs;
use crate::runtime::clock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much is applied at a time. A write is never split, so the last one may take longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApplyBudget {
    /// For this long.
    Micros(u64),
    /// This many writes, long ones included: what simulations say, which must not depend on a
    /// clock, and whoever has a thread of its own for a long one.
    Writes(usize),
    /// This many writes, long ones left to others: what simulations say.
    ShortWrites(usize),
}

impl ApplyBudget {
    /// What readers do not notice.
    pub const SHORT: ApplyBudget = ApplyBudget::Micros(APPLY_US_MAX);

    /// All there is, however long it takes.
    pub const ALL: ApplyBudget = ApplyBudget::Writes(usize::MAX);

    /// Whether writes that take long are left to others.
    pub(super) fn is_short(self) -> bool {
        matches!(self, ApplyBudget::Micros(_) | ApplyBudget::ShortWrites(_))
    }

    /// What of it may be done under one acquisition of a member's lock.
    pub(super) fn of_one_batch(self) -> ApplyBudget {
        match self {
            ApplyBudget::Micros(us) => ApplyBudget::Micros(us.min(APPLY_US_MAX)),
            writes => writes,
        }
    }

    /// Whether it is plainly too little for this many bytes: a part of them is no help to whoever
    /// needs them all.
    pub(super) fn is_too_short_for(self, bytes: u64, rate: &Rate) -> bool {
        matches!(self, ApplyBudget::Micros(us) if rate.eta_us(bytes).is_some_and(|it| us < it))
    }

    /// Whether several batches since `began` have used it up.
    pub(super) fn is_over(self, began: MonoUs) -> bool {
        match self {
            ApplyBudget::Micros(us) => us <= clock::mono_now().since(began),
            ApplyBudget::Writes(_) | ApplyBudget::ShortWrites(_) => true,
        }
    }
}

/// Tells when a batch has lasted long enough. Looks at the clock rarely while writes are cheap, and
/// after each one as soon as they are not.
pub(super) struct BudgetClock {
    budget: ApplyBudget,
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

impl BudgetClock {
    /// Of a batch that begins now.
    pub fn new(budget: ApplyBudget, began: MonoUs) -> BudgetClock {
        BudgetClock { budget, began, looked: began, done: 0, look_at: 1, stride: 1 }
    }

    /// Whether writes that take long are left to others.
    pub fn is_short(&self) -> bool {
        self.budget.is_short()
    }

    /// One more write has been applied.
    #[inline]
    pub fn is_over(&mut self) -> bool {
        self.done += 1;
        match self.budget {
            ApplyBudget::Writes(most) | ApplyBudget::ShortWrites(most) => most <= self.done,
            ApplyBudget::Micros(_) if self.done < self.look_at => false,
            ApplyBudget::Micros(most) => self.look_at_time(clock::mono_now(), most),
        }
    }

    fn look_at_time(&mut self, now: MonoUs, most: u64) -> bool {
        let was_quick = now.since(self.looked) < STRIDE_US;
        self.stride = if was_quick { STRIDE_MAX.min(2 * self.stride) } else { 1 };
        self.looked = now;
        self.look_at = self.done + self.stride;
        most <= now.since(self.began)
    }
}

/// How fast members have applied the stream lately. Feeds of several members may lose each other's
/// notes: it is an estimate.
#[derive(Default)]
pub(super) struct Rate {
    bytes: AtomicU64,
    us: AtomicU64,
}

/// What is older than about this much applying has faded.
const RATE_US: u64 = 100_000;

impl Rate {
    /// A batch of this many bytes took this long.
    pub fn note(&self, bytes: u64, us: u64) {
        let (bytes, us) = (self.bytes.load(Relaxed) + bytes, self.us.load(Relaxed) + us);
        let fade = u32::from(RATE_US < us);
        self.bytes.store(bytes >> fade, Relaxed);
        self.us.store(us >> fade, Relaxed);
    }

    /// Milliseconds that this many bytes will take; `None` when nobody can tell.
    pub fn eta_ms(&self, bytes: u64) -> Option<u64> {
        self.eta_us(bytes).map(|it| it.div_ceil(1000))
    }

    /// As [`Rate::eta_ms`], in microseconds.
    pub fn eta_us(&self, bytes: u64) -> Option<u64> {
        let (done, us) = (self.bytes.load(Relaxed), self.us.load(Relaxed));
        let all = u128::from(bytes) * u128::from(us);
        all.checked_div(u128::from(done)).map(|it| it.try_into().unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_follows_what_was_lately_seen() {
        let rate = Rate::default();
        assert_eq!(rate.eta_ms(1000), None, "nobody can tell");
        (0..1000).for_each(|_| rate.note(100, 1000));
        assert_eq!(rate.eta_ms(1000), Some(10));
        let is_too_short = |budget: ApplyBudget| budget.is_too_short_for(1000, &rate);
        assert!(is_too_short(ApplyBudget::Micros(9_999)), "1,000 bytes take 10,000 us");
        assert!(!is_too_short(ApplyBudget::Micros(10_000)) && !is_too_short(ApplyBudget::ALL));
        (0..1000).for_each(|_| rate.note(1000, 1000));
        let eta = rate.eta_ms(1000);
        assert!(matches!(eta, Some(1..=2)), "what was slow has faded");
        (0..100).for_each(|_| rate.note(0, u64::MAX / 1000));
        assert_eq!(rate.eta_ms(1000), None, "all of it has faded");
    }

    #[test]
    fn a_budget_looks_at_the_clock_after_each_write_that_is_not_cheap() {
        let mut budget_clock = BudgetClock::new(ApplyBudget::Micros(u64::MAX), clock::mono_now());
        (0..1000).for_each(|_| assert!(!budget_clock.is_over()));
        assert!(budget_clock.stride <= STRIDE_MAX && budget_clock.look_at <= 1000 + STRIDE_MAX);
        assert!(BudgetClock::new(ApplyBudget::Micros(0), MonoUs(0)).is_over());
        let mut budget_clock = BudgetClock::new(ApplyBudget::Writes(3), MonoUs(0));
        assert_eq!(
            [budget_clock.is_over(), budget_clock.is_over(), budget_clock.is_over()],
            [false, false, true]
        );
    }

    #[test]
    fn several_batches_end_with_the_time_or_with_the_first() {
        let now = clock::mono_now();
        assert!(ApplyBudget::Micros(0).is_over(now));
        assert!(!ApplyBudget::Micros(u64::MAX).is_over(MonoUs(0)));
        assert!(ApplyBudget::Writes(9).is_over(now) && ApplyBudget::ShortWrites(9).is_over(now));
    }

    #[test]
    fn while_writes_are_cheap_the_clock_is_looked_at_twice_as_rarely_each_time() {
        let mut budget = BudgetClock::new(ApplyBudget::Micros(1_000_000), MonoUs(0));
        let mut now = 0;
        let mut look = |budget: &mut BudgetClock, us| {
            (now, budget.done) = (now + us, budget.look_at);
            let is_over = budget.look_at_time(MonoUs(now), 1_000_000);
            (budget.look_at - budget.done, is_over)
        };
        for stride in [2, 4, 8, 16, STRIDE_MAX, STRIDE_MAX] {
            assert_eq!(look(&mut budget, STRIDE_US - 1), (stride, false));
        }
        assert_eq!(look(&mut budget, STRIDE_US), (1, false), "that was too long");
        assert_eq!(look(&mut budget, 1), (2, false));
        assert_eq!(look(&mut budget, 1_000_000), (1, true));
    }
}
