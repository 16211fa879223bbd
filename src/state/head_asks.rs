//! Reads that wait to be told where the master stands, and for how old replicas may be that serve
//! others: what is asked of the one connection that knows.

use super::run_waiter::RunWaiter;
use crate::base::time::MonoUs;
use crate::node::upstream::Run;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Most reads that wait to be told.
const ASKS_MAX: usize = 16 << 10;
/// For how long a bound in time counts that a read has asked for.
const AGES_KEPT_US: u64 = 10_000_000;

/// A read that may lack so many bytes of what the master has when it is told.
pub struct HeadAsk {
    /// The read.
    pub run: Run,
    /// Who waits for it.
    pub waiter: RunWaiter,
    /// The worker that serves its client.
    pub worker: usize,
    /// What its replica may lack.
    pub bytes: u64,
}

/// What is asked of the master's place.
#[derive(Default)]
pub struct HeadAsks {
    all: Mutex<Vec<HeadAsk>>,
    news: Event,
    least_age_us: AtomicU64,
    /// When that was asked last.
    asked_at: AtomicU64,
    /// Heartbeats that were written.
    pub beats: AtomicU64,
    /// Why the last could not be.
    pub refused: Mutex<Option<String>>,
}

impl HeadAsks {
    /// One more waits. `Err` with it when too many do.
    // Its error is what it was given.
    #[allow(clippy::result_large_err)]
    pub fn push(&self, ask: HeadAsk) -> Result<(), HeadAsk> {
        let mut all = self.all.lock();
        if ASKS_MAX <= all.len() {
            return Err(ask);
        }
        all.push(ask);
        drop(all);
        self.news.notify(usize::MAX);
        Ok(())
    }

    /// Those who have come.
    pub fn take(&self) -> Vec<HeadAsk> {
        std::mem::take(&mut *self.all.lock())
    }

    /// A read asks for a replica that is at most so old.
    pub fn note_age(&self, age_us: u64, now: MonoUs) {
        let is_wanted = self.age_wanted(now).is_some();
        let least = self.least_age_us.load(Relaxed);
        if !is_wanted || age_us < least {
            self.least_age_us.store(age_us.max(1), Relaxed);
        }
        self.asked_at.store(now.0, Relaxed);
        if !is_wanted || age_us < least {
            self.news.notify(usize::MAX);
        }
    }

    /// The least age that reads have asked for of late, in µs; `None` when none has.
    pub fn age_wanted(&self, now: MonoUs) -> Option<u64> {
        let least = self.least_age_us.load(Relaxed);
        let is_late = AGES_KEPT_US < now.since(MonoUs(self.asked_at.load(Relaxed)));
        (least != 0 && !is_late).then_some(least)
    }

    /// Hears of the next; take what has come after asking for it.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_age_counts_while_reads_ask_for_one() {
        let (asks, at) = (HeadAsks::default(), |s: u64| MonoUs(s * 1_000_000));
        assert_eq!(asks.age_wanted(at(1)), None);
        asks.note_age(50_000, at(1));
        asks.note_age(200_000, at(2));
        assert_eq!(asks.age_wanted(at(11)), Some(50_000));
        assert_eq!(asks.age_wanted(at(13)), None, "nobody asks any more");
        asks.note_age(200_000, at(14));
        assert_eq!(asks.age_wanted(at(14)), Some(200_000));
    }
}
