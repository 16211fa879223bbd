//! Events of several clients, put into the order in which they ended.
//!
//! Load threads hand their events over in batches, so that what one thread saw arrives milliseconds
//! after what another saw later. Events wait here until everything before them should have come.

use super::event::Event;
#[cfg(test)]
use super::event::ReadEvent;
use std::collections::VecDeque;

/// Width of a bucket.
const BUCKET_NS: u64 = 1_000_000;
/// For how many buckets of time an event waits.
const WAIT: u64 = 64;
/// Events that wait at most; past it the oldest bucket is taken early.
const WAITING_MAX: usize = 1 << 17;

/// The waiting events, in buckets by when they ended.
#[derive(Default)]
pub struct Arrivals {
    buckets: VecDeque<Vec<Event>>,
    /// Number of the first bucket.
    first: u64,
    waiting: usize,
    spare: Vec<Vec<Event>>,
}

impl Arrivals {
    /// Takes an event in, or gives it back if its time has passed already.
    pub fn put(&mut self, event: Event) -> Option<Event> {
        let at = event.place() / BUCKET_NS;
        if self.waiting == 0 && self.first + WAIT / 2 < at {
            self.first = at - WAIT / 2;
            self.buckets.clear();
        }
        let Some(index) = at.checked_sub(self.first) else { return Some(event) };
        // What is far ahead waits in the last bucket, which is sorted as all are: a step of the
        // clock does not make a million buckets.
        let index = index.min(4 * WAIT) as usize;
        while self.buckets.len() <= index {
            self.buckets.push_back(self.spare.pop().unwrap_or_default());
        }
        self.buckets[index].push(event);
        self.waiting += 1;
        None
    }

    /// The next bucket whose time has come, in order.
    pub fn due(&mut self) -> Option<Vec<Event>> {
        let is_due = WAIT < self.buckets.len() as u64 || WAITING_MAX < self.waiting;
        if is_due { self.next() } else { None }
    }

    /// The next bucket, due or not.
    pub fn next(&mut self) -> Option<Vec<Event>> {
        let mut bucket = self.buckets.pop_front()?;
        self.first += 1;
        self.waiting -= bucket.len();
        // Stable, because a client's events that end at one time keep their order.
        bucket.sort_by_key(Event::place);
        Some(bucket)
    }

    /// Takes an emptied bucket back, to be filled again.
    pub fn give_back(&mut self, bucket: Vec<Event>) {
        if self.spare.len() < WAIT as usize {
            self.spare.push(bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(ended: u64) -> Event {
        let (client, key, version, target) = (0, 0, None, 0);
        Event::Read(ReadEvent { client, key, version, began: ended, ended, target })
    }

    #[test]
    fn events_leave_in_the_order_of_their_endings() {
        let mut arrivals = Arrivals::default();
        let mut places = Vec::new();
        let mut take = |bucket: Vec<Event>| places.extend(bucket.iter().map(Event::place));
        for step in 0..100_000_u64 {
            // Every second thread is 20 ms late.
            let place = if step % 2 == 0 {
                step * 10_000
            } else {
                (step * 10_000).max(20_000_000) - 20_000_000
            };
            assert_eq!(arrivals.put(ended(place)), None, "step {step}");
            while let Some(bucket) = arrivals.due() {
                take(bucket);
            }
        }
        while let Some(bucket) = arrivals.next() {
            take(bucket);
        }
        assert_eq!(places.len(), 100_000);
        assert!(places.is_sorted());
    }

    #[test]
    fn what_is_too_late_is_given_back_and_a_pause_makes_few_buckets() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.put(ended(5_000_000_000)), None);
        assert_eq!(arrivals.put(ended(3_600_000_000_000)), None);
        assert!(arrivals.buckets.len() <= 4 * WAIT as usize + 1);
        while arrivals.next().is_some() {}
        assert!(arrivals.put(ended(3_600_000_000_000)).is_none());
        assert_eq!(arrivals.put(ended(1_000)), Some(ended(1_000)));
    }
}
