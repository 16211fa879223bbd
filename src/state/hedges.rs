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

#[derive(Default)]
struct Queue {
    all: VecDeque<Hedge>,
    bytes: usize,
}

impl Queue {
    /// Takes the first, if this holds of it.
    fn pop_if(&mut self, is_meant: impl Fn(&Hedge) -> bool) -> Option<Hedge> {
        if !self.all.front().is_some_and(is_meant) {
            return None;
        }
        let first = self.all.pop_front()?;
        self.bytes -= first.run.bytes.len();
        Some(first)
    }
}

/// Those of one worker's clients.
#[derive(Default)]
pub struct Hedges {
    all: Mutex<Queue>,
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
    /// A read was sent. All of them wait for as long, so the first is due first. Where too many
    /// wait, or more bytes than `bytes_max`, it waits for the one replica.
    pub fn push(&self, hedge: Hedge, percent: u32, bytes_max: usize) {
        self.budget.earn(percent);
        let mut queue = self.all.lock();
        // What is answered waits no longer.
        while queue.pop_if(|it| it.waiter.has_gone()).is_some() {}
        let bytes = queue.bytes + hedge.run.bytes.len();
        if WAITING_MAX <= queue.all.len() || bytes_max < bytes {
            return;
        }
        queue.bytes = bytes;
        queue.all.push_back(hedge);
        if queue.all.len() == 1 {
            self.task.wake();
        }
    }

    /// Takes those that have waited for long enough and nobody has answered, as far as the budget
    /// goes. Answers when the next is due.
    pub fn take_due(&self, now: MonoUs) -> (Vec<Hedge>, Option<MonoUs>) {
        let mut queue = self.all.lock();
        let mut due = Vec::new();
        while let Some(first) = queue.pop_if(|it| it.due <= now || it.waiter.has_gone()) {
            due.extend(Some(first).filter(|it| !it.waiter.has_gone() && self.budget.spend()));
        }
        (due, queue.all.front().map(|it| it.due))
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
    use crate::state::JobReply;
    use crate::state::test_run::run_of;
    use futures::channel::oneshot::{Receiver, channel};

    /// A read of so many bytes, and where its answer comes.
    fn hedge(bytes: usize) -> (Hedge, Receiver<JobReply>) {
        let (answer, answered) = channel();
        let (_, waiter) = shared(RunWaiter::Task(answer));
        (Hedge { due: MonoUs(5), run: run_of(bytes), first: MemberId(1), waiter }, answered)
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_what_is_answered_waits_no_longer() {
        let hedges = Hedges::default();
        let [(one, first), (two, _second), (three, _third)] = [hedge(60), hedge(60), hedge(60)];
        hedges.push(one, 0, 100);
        hedges.push(two, 0, 100);
        assert_eq!(hedges.all.lock().all.len(), 1, "there is no room");
        drop(first);
        hedges.push(three, 0, 100);
        let queue = hedges.all.lock();
        assert_eq!((queue.all.len(), queue.bytes), (1, 60));
    }

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
