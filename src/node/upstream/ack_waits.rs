//! Who waits for replicas of the master to acknowledge, and what the one connection that is for
//! that asks next.
//!
//! WAIT counts who has acknowledged what its own connection has written, and holds that connection
//! up. So one connection asks it for all: it writes a barrier behind everything that they have
//! written, and who has acknowledged that has acknowledged all of theirs.

use crate::base::time::MonoUs;
use std::time::Duration;

/// Where barriers are published: nobody listens there.
pub const BARRIER: &[u8] = b"__entourage:barrier";
/// How long one WAIT takes at most: who comes later waits for its end.
const SLICE: Duration = Duration::from_millis(20);

/// Somebody who waits, `W`.
#[derive(Debug)]
struct Wait<W> {
    waiter: W,
    replicas: usize,
    until: Option<MonoUs>,
    /// A barrier was sent behind what it waits for.
    is_behind: bool,
    /// How many have acknowledged, as far as was told.
    acked: usize,
}

/// All who wait.
#[derive(Debug)]
pub struct AckWaits<W> {
    all: Vec<Wait<W>>,
}

/// What the connection asks next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AckRound {
    /// A barrier is written first.
    pub has_barrier: bool,
    /// WAIT for so many replicas ...
    pub replicas: usize,
    /// ... for so many milliseconds.
    pub timeout_ms: u64,
}

impl<W> Default for AckWaits<W> {
    fn default() -> AckWaits<W> {
        AckWaits { all: Vec::new() }
    }
}

impl<W> AckWaits<W> {
    /// One more waits for so many replicas, until then.
    pub fn add(&mut self, waiter: W, replicas: usize, until: Option<MonoUs>) {
        self.all.push(Wait { waiter, replicas, until, is_behind: false, acked: 0 });
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What to ask for them; `None` while nobody waits.
    pub fn next_round(&mut self, now: MonoUs) -> Option<AckRound> {
        let replicas = self.all.iter().map(|it| it.replicas).min()?;
        let left = |it: MonoUs| Duration::from_micros(it.since(now));
        let first = self.all.iter().filter_map(|it| it.until).map(left).min();
        let time = first.unwrap_or(SLICE).min(SLICE);
        let has_barrier = self.all.iter().any(|it| !it.is_behind);
        self.all.iter_mut().for_each(|it| it.is_behind = true);
        // WAIT for ever is not meant.
        Some(AckRound { has_barrier, replicas, timeout_ms: (time.as_millis() as u64).max(1) })
    }

    /// So many replicas have acknowledged the last barrier, and `has` tells how many have what one
    /// waits for by what they have acknowledged each. Answers who waits no longer, with how many
    /// have acknowledged.
    pub fn answered(
        &mut self,
        acked: usize,
        has: impl Fn(&W) -> usize,
        now: MonoUs,
    ) -> Vec<(W, usize)> {
        for wait in &mut self.all {
            let by_barrier = if wait.is_behind { acked } else { 0 };
            wait.acked = wait.acked.max(by_barrier).max(has(&wait.waiter));
        }
        self.take(|it| it.replicas <= it.acked || it.is_behind && is_over(it, now))
    }

    /// The connection has ended, and with it its barrier. Answers whose time is over.
    pub fn interrupted(&mut self, now: MonoUs) -> Vec<(W, usize)> {
        self.all.iter_mut().for_each(|it| it.is_behind = false);
        self.take(|it| is_over(it, now))
    }

    /// Takes those of whom this holds.
    pub fn take_if(&mut self, is_meant: impl Fn(&W) -> bool) -> Vec<(W, usize)> {
        self.take(|it| is_meant(&it.waiter))
    }

    fn take(&mut self, is_done: impl Fn(&Wait<W>) -> bool) -> Vec<(W, usize)> {
        let (done, kept) = std::mem::take(&mut self.all).into_iter().partition(|it| is_done(it));
        self.all = kept;
        let done: Vec<Wait<W>> = done;
        done.into_iter().map(|it| (it.waiter, it.acked)).collect()
    }
}

fn is_over<W>(wait: &Wait<W>, now: MonoUs) -> bool {
    wait.until.is_some_and(|it| it <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> MonoUs {
        MonoUs(ms * 1000)
    }

    #[test]
    fn one_barrier_serves_all_who_wait_and_those_who_come_later_get_another() {
        let mut waits = AckWaits::default();
        assert_eq!(waits.next_round(at(0)), None);
        waits.add('a', 1, None);
        waits.add('b', 2, Some(at(100)));
        let round = AckRound { has_barrier: true, replicas: 1, timeout_ms: 20 };
        assert_eq!(waits.next_round(at(0)), Some(round));
        // It comes after the barrier: what is told of that says nothing of what it has written.
        waits.add('c', 1, None);
        assert_eq!(waits.answered(1, |_| 0, at(1)), [('a', 1)]);
        assert_eq!(waits.next_round(at(1)), Some(round));
        assert_eq!(waits.answered(2, |_| 0, at(2)), [('b', 2), ('c', 2)]);
        assert!(waits.is_empty());
    }

    #[test]
    fn who_is_far_away_is_counted_by_what_it_has_acknowledged() {
        let mut waits = AckWaits::default();
        waits.add('a', 1, None);
        waits.add('b', 1, None);
        waits.next_round(at(0));
        assert_eq!(waits.answered(0, |it| usize::from(*it == 'a'), at(20)), [('a', 1)]);
        waits.next_round(at(20));
        assert_eq!(waits.answered(0, |_| 1, at(40)), [('b', 1)]);
    }

    #[test]
    fn whoever_waits_too_long_is_told_how_many_have_it() {
        let mut waits = AckWaits::default();
        waits.add('a', 3, Some(at(30)));
        waits.next_round(at(0));
        assert_eq!(waits.answered(1, |_| 0, at(20)), []);
        let round = waits.next_round(at(20)).unwrap();
        assert_eq!((round.has_barrier, round.timeout_ms), (false, 10));
        assert_eq!(waits.answered(1, |_| 0, at(30)), [('a', 1)]);
        waits.add('b', 1, Some(at(40)));
        waits.next_round(at(30));
        assert_eq!(waits.interrupted(at(35)), []);
        assert!(waits.next_round(at(35)).unwrap().has_barrier, "the old one is gone");
        assert_eq!(waits.interrupted(at(40)), [('b', 0)]);
    }

    #[test]
    fn who_gives_up_is_taken_out_and_the_others_wait_on() {
        let mut waits = AckWaits::default();
        assert!(waits.is_empty());
        for it in ['a', 'b', 'c'] {
            waits.add(it, 1, None);
        }
        assert!(waits.len() == 3 && !waits.is_empty());
        assert_eq!(waits.take_if(|it| *it == 'b'), [('b', 0)]);
        assert_eq!(waits.len(), 2);
        waits.next_round(at(0));
        assert_eq!(waits.answered(1, |_| 0, at(1)), [('a', 1), ('c', 1)]);
        assert!(waits.is_empty());
    }
}
