//! How old the data of a set is that follows a master: since when it is known to be all there was.
//!
//! The master is asked where its stream stands. Once as much has come, everything that it had when
//! it was asked is here.

use crate::base::position::Offset;
use crate::base::time::MonoUs;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Answers of the master that are remembered while they are still to come true.
const ASKED_MAX: usize = 64;
/// The master is asked for so long after somebody wanted to know.
const WANTED_FOR: Duration = Duration::from_secs(1);

/// What is known of it.
#[derive(Default, Debug)]
pub struct Freshness {
    known: Mutex<Known>,
    wanted_at: AtomicU64,
    wanted: Event,
}

#[derive(Default, Debug)]
struct Known {
    fresh_at: Option<MonoUs>,
    /// When the master was asked and what it said, oldest first.
    asked: VecDeque<(MonoUs, Offset)>,
}

impl Freshness {
    /// The master was asked at `at`, and its stream stood at `offset` then or later.
    pub fn note(&self, at: MonoUs, offset: Offset) {
        let mut known = self.known.lock();
        if known.asked.len() < ASKED_MAX {
            known.asked.push_back((at, offset));
        }
    }

    /// Nothing is known any more: the link has ended.
    pub fn forget(&self) {
        *self.known.lock() = Known::default();
    }

    /// Microseconds since everything was here that the master had, when the stream is here up to
    /// `has`; [`u64::MAX`] when nobody knows. From now on the master is asked for a while.
    pub fn age_us(&self, has: Offset, now: MonoUs) -> u64 {
        let is_new = !self.is_wanted(now);
        self.wanted_at.store(now.0, Relaxed);
        if is_new {
            self.wanted.notify(usize::MAX);
        }
        let mut known = self.known.lock();
        while let Some((at, _)) = known.asked.front().copied().filter(|it| it.1 <= has) {
            known.asked.pop_front();
            known.fresh_at = Some(at);
        }
        known.fresh_at.map_or(u64::MAX, |it| now.since(it))
    }

    /// Whether somebody has wanted to know lately.
    pub fn is_wanted(&self, now: MonoUs) -> bool {
        let wanted_at = self.wanted_at.load(Relaxed);
        wanted_at != 0 && now < MonoUs(wanted_at).plus(WANTED_FOR)
    }

    /// Hears of who wants to know; look at [`Freshness::is_wanted`] after asking for it.
    pub fn wanted(&self) -> EventListener {
        self.wanted.listen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_is_as_old_as_the_last_answer_that_it_reaches() {
        let (freshness, at) = (Freshness::default(), Offset::new);
        assert!(!freshness.is_wanted(MonoUs(10)));
        assert_eq!(freshness.age_us(at(50), MonoUs(10)), u64::MAX, "nobody was asked");
        assert!(freshness.is_wanted(MonoUs(20)));
        freshness.note(MonoUs(100), at(60));
        freshness.note(MonoUs(200), at(80));
        assert_eq!(freshness.age_us(at(59), MonoUs(210)), u64::MAX);
        assert_eq!(freshness.age_us(at(60), MonoUs(210)), 110);
        assert_eq!(freshness.age_us(at(79), MonoUs(300)), 200);
        assert_eq!(freshness.age_us(at(80), MonoUs(300)), 100);
        freshness.forget();
        assert_eq!(freshness.age_us(at(80), MonoUs(300)), u64::MAX);
        assert!(!freshness.is_wanted(MonoUs(300).plus(WANTED_FOR)));
    }

    #[test]
    fn a_bounded_number_of_answers_is_remembered_and_who_asks_is_woken_when_it_was_not() {
        use futures::FutureExt;
        let freshness = Freshness::default();
        let wanted = freshness.wanted();
        for it in 1..=ASKED_MAX as u64 + 1 {
            freshness.note(MonoUs(it), Offset::new(it));
        }
        let most = ASKED_MAX as u64;
        assert_eq!(freshness.age_us(Offset::new(most + 1), MonoUs(1000)), 1000 - most);
        assert!(wanted.now_or_never().is_some(), "nobody had asked");
        let wanted = freshness.wanted();
        freshness.age_us(Offset::new(1), MonoUs(1001));
        assert!(wanted.now_or_never().is_none(), "it is asked already");
    }
}
