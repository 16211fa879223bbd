//! The connections that wait for a thread for long work: only so many, and who comes then is told.

use crate::base::log_limit::LogLimit;
use crate::base::lowered::long_waiting;
use crate::base::time::MonoUs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The connections that wait for a thread for long work.
#[derive(Default)]
pub struct LongQueue {
    waiting: AtomicUsize,
    refused: AtomicU64,
    refusals: LogLimit,
}

/// A place among those who wait. Dropped, it is free again.
pub struct LongPlace(Arc<LongQueue>);

impl LongQueue {
    /// One more waits; `None` when there are too many.
    pub fn enter(self: &Arc<LongQueue>, now: MonoUs) -> Option<LongPlace> {
        let place = LongPlace(self.clone());
        if self.waiting.fetch_add(1, Relaxed) < long_waiting() {
            return Some(place);
        }
        self.refused.fetch_add(1, Relaxed);
        tell(self.refusals.note(now));
        None
    }

    /// A line for those that were refused and held back from the log, once its second is over.
    pub fn tell(&self, now: MonoUs) {
        tell(self.refusals.held_back(now));
    }

    /// One more waits, however many there are.
    pub fn enter_anyway(self: &Arc<LongQueue>) -> LongPlace {
        self.waiting.fetch_add(1, Relaxed);
        LongPlace(self.clone())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// How many were told that there are too many.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Forgets what it has counted.
    pub fn reset(&self) {
        self.refused.store(0, Relaxed);
    }
}

fn tell(refused: Option<u64>) {
    if let Some(count) = refused {
        let waiting = long_waiting();
        log::warn!("event=long-queue-full waiting={waiting} refused={count}");
    }
}

impl Drop for LongPlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::lowered::lower_long_waiting;

    #[test]
    fn only_so_many_wait_and_whoever_leaves_makes_room() {
        lower_long_waiting(2);
        let queue = Arc::new(LongQueue::default());
        let enter = || queue.enter(MonoUs(1));
        let (first, _second) = (enter().unwrap(), enter().unwrap());
        assert!((0..2).all(|_| enter().is_none()));
        assert_eq!((queue.waiting(), queue.refused()), (2, 2));
        drop(first);
        let _third = enter().unwrap();
        assert!(enter().is_none());
        queue.reset();
        assert_eq!((queue.waiting(), queue.refused()), (2, 0));
    }
}
