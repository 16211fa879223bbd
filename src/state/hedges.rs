//! Reads whose replica has not answered yet, each until the time at which another is asked, too.

use super::run_waiter::{RunWaiter, SharedWaiter};
use crate::base::ids::MemberId;
use crate::base::time::MonoUs;
use crate::node::upstream::Run;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Waker;

/// Most reads that are looked after: those beyond wait for the one replica.
const WAITING_MAX: usize = 16 << 10;
/// What one read that is asked twice takes of the budget.
const PRICE: u64 = 100;
/// What the budget holds at most: after a quiet time so many may be asked twice in a row.
const BUDGET_MAX: u64 = 10 * PRICE;

/// A read that was sent to a replica.
pub struct Hedge {
    /// When another is asked.
    pub due: MonoUs,
    /// The read.
    pub run: Run,
    /// Who has been asked.
    pub first: MemberId,
    /// Who waits for it, with the first.
    pub waiter: SharedWaiter,
}

/// Those of one worker's clients.
#[derive(Default)]
pub struct Hedges {
    all: Mutex<VecDeque<Hedge>>,
    task: AtomicWaker,
    budget: Budget,
    /// Reads that were asked of another replica, too.
    pub sent: AtomicU64,
    /// Those that the other answered first.
    pub won: AtomicU64,
}

/// What may be spent on asking twice: so many of a hundred reads.
#[derive(Default)]
struct Budget(AtomicU64);

impl Budget {
    fn earn(&self, percent: u32) {
        let earned = |it: u64| Some((it + u64::from(percent)).min(BUDGET_MAX));
        let _ = self.0.fetch_update(Relaxed, Relaxed, earned);
    }

    fn spend(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |it| it.checked_sub(PRICE)).is_ok()
    }
}

impl Hedges {
    /// A read was sent. All of them wait for as long, so the first is due first.
    pub fn push(&self, hedge: Hedge, percent: u32) {
        self.budget.earn(percent);
        let mut all = self.all.lock();
        if WAITING_MAX <= all.len() {
            return;
        }
        all.push_back(hedge);
        if all.len() == 1 {
            self.task.wake();
        }
    }

    /// Takes those that have waited for long enough and nobody has answered, as far as the budget
    /// goes. Answers when the next is due.
    pub fn take_due(&self, now: MonoUs) -> (Vec<Hedge>, Option<MonoUs>) {
        let mut all = self.all.lock();
        let mut due = Vec::new();
        while let Some(first) = all.front() {
            let has_gone = first.waiter.has_gone();
            if !has_gone && now < first.due {
                return (due, Some(first.due));
            }
            let taken = all.pop_front().filter(|_| !has_gone && self.budget.spend());
            due.extend(taken);
        }
        (due, None)
    }

    /// Who is woken by the first. Call [`Hedges::take_due`] afterwards.
    pub fn wake_next(&self, task: &Waker) {
        self.task.register(task);
    }
}

/// Two who wait for the same answer: the first that comes is it.
pub fn shared(waiter: RunWaiter) -> (RunWaiter, SharedWaiter) {
    let shared: SharedWaiter = Arc::new(Mutex::new(Some(waiter))).into();
    (RunWaiter::Shared(shared.clone()), shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_spent_than_was_earned_or_is_held() {
        let budget = Budget::default();
        assert!(!budget.spend());
        let mut spent = 0;
        for _ in 0..10_000 {
            budget.earn(5);
            spent += u32::from(budget.spend());
        }
        assert_eq!(spent, 500);
        (0..10_000).for_each(|_| budget.earn(5));
        let held = (0..1000).filter(|_| budget.spend()).count() as u64;
        assert_eq!(held, BUDGET_MAX / PRICE);
    }
}
