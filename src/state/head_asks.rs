//! Reads that wait to be told where the master stands, and for how old replicas may be that serve
//! others: what is asked of the one connection that knows.

use super::run_waiter::RunWaiter;
use crate::base::time::MonoUs;
use crate::node::upstream::Run;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::sync::atomic::AtomicU64;

/// Most reads that wait to be told.
const ASKS_MAX: usize = 16 << 10;
/// For how long a bound in time counts that a read has asked for.
const AGES_KEPT_US: u64 = 10_000_000;
/// Bounds in time that are told apart at most.
const AGES_MAX: usize = 8;

#[derive(Default)]
struct Queue {
    all: Vec<HeadAsk>,
    bytes: usize,
}

/// The bounds in time that reads have asked for of late, in µs, each with when that was last.
#[derive(Default)]
struct Ages(Vec<(u64, MonoUs)>);

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
    all: Mutex<Queue>,
    news: Event,
    ages: Mutex<Ages>,
    /// Heartbeats that were written.
    pub beats: AtomicU64,
    /// Why the last could not be.
    pub refused: Mutex<Option<String>>,
}

impl HeadAsks {
    /// One more waits. `Err` with it when too many do, or too many bytes.
    // Its error is what it was given.
    #[allow(clippy::result_large_err)]
    pub fn push(&self, ask: HeadAsk, bytes_max: usize) -> Result<(), HeadAsk> {
        let mut queue = self.all.lock();
        let bytes = queue.bytes + ask.run.bytes.len();
        if ASKS_MAX <= queue.all.len() || (bytes_max < bytes && queue.bytes != 0) {
            return Err(ask);
        }
        queue.bytes = bytes;
        queue.all.push(ask);
        drop(queue);
        self.news.notify(usize::MAX);
        Ok(())
    }

    /// Those who have come.
    pub fn take(&self) -> Vec<HeadAsk> {
        std::mem::take(&mut *self.all.lock()).all
    }

    /// A read asks for a replica that is at most so old.
    pub fn note_age(&self, age_us: u64, now: MonoUs) {
        let mut ages = self.ages.lock();
        let before = ages.least(now);
        ages.note(age_us, now);
        drop(ages);
        if before.is_none_or(|it| age_us < it) {
            self.news.notify(usize::MAX);
        }
    }

    /// The least age that reads have asked for of late, in µs; `None` when none has.
    pub fn age_wanted(&self, now: MonoUs) -> Option<u64> {
        self.ages.lock().least(now)
    }

    /// Hears of the next; take what has come after asking for it.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }
}

impl Ages {
    fn note(&mut self, age_us: u64, now: MonoUs) {
        if let Some(same) = self.0.iter_mut().find(|it| it.0 == age_us) {
            same.1 = now;
            return;
        }
        self.0.retain(|it| now.since(it.1) <= AGES_KEPT_US);
        if AGES_MAX <= self.0.len() {
            // What holds for a lower one holds for this, too; without one this is the least.
            self.0.sort_unstable();
            match self.0.iter_mut().rfind(|it| it.0 < age_us) {
                Some(lower) => {
                    lower.1 = now;
                    return;
                }
                None => drop(self.0.pop()),
            }
        }
        self.0.push((age_us, now));
    }

    fn least(&self, now: MonoUs) -> Option<u64> {
        let of_late = self.0.iter().filter(|it| now.since(it.1) <= AGES_KEPT_US);
        of_late.map(|it| it.0).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::test_run::run_of;
    use futures::channel::oneshot::channel;

    fn ask(bytes: usize) -> HeadAsk {
        let (run, waiter) = (run_of(bytes), RunWaiter::Task(channel().0));
        HeadAsk { run, waiter, worker: 0, bytes: 0 }
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_but_for_one_long_request() {
        let asks = HeadAsks::default();
        assert!(asks.push(ask(101), 100).is_ok());
        assert!(asks.push(ask(1), 100).is_err());
        assert_eq!(asks.take().len(), 1);
        assert!([asks.push(ask(60), 100), asks.push(ask(40), 100)].iter().all(Result::is_ok));
        assert!(asks.push(ask(1), 100).is_err());
    }

    #[test]
    fn an_age_is_forgotten_though_others_are_asked_for() {
        let (asks, at) = (HeadAsks::default(), |s: u64| MonoUs(s * 1_000_000));
        asks.note_age(5_000, at(1));
        (2..=11).for_each(|it| asks.note_age(200_000, at(it)));
        assert_eq!(asks.age_wanted(at(11)), Some(5_000));
        asks.note_age(200_000, at(12));
        assert_eq!(asks.age_wanted(at(12)), Some(200_000));
    }

    #[test]
    fn the_least_of_many_ages_is_kept() {
        let (asks, now) = (HeadAsks::default(), MonoUs(1_000_000));
        (0..100).for_each(|it| asks.note_age(1_000 + it, now));
        (0..100).for_each(|it| asks.note_age(900 - it, now));
        assert_eq!(asks.age_wanted(now), Some(801));
        assert!(asks.ages.lock().0.len() <= AGES_MAX);
    }

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
