//! Moments at which keys or fields expire, in order, each with the hash of what expires.

use crate::base::time::WallMs;
use std::collections::BTreeMap;
use std::ops::Bound;

/// When something expires, and its hash.
pub type Deadline = (WallMs, u32);

/// Whether what has this deadline, or none, is still there.
#[inline]
pub fn is_live(deadline: Option<WallMs>, now: WallMs) -> bool {
    deadline.is_none_or(|at| now <= at)
}

/// About what an entry takes in the tree, with its share of the nodes and of their room.
const ENTRY_BYTES: usize = 40;

/// Deadlines, the earliest first.
#[derive(Clone, Default)]
pub struct Deadlines {
    /// How many there are of each.
    counts: BTreeMap<Deadline, u32>,
    /// The sum of those counts.
    len: usize,
}

impl Deadlines {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Notes one.
    pub fn note(&mut self, at: WallMs, hash: u32) {
        *self.counts.entry((at, hash)).or_default() += 1;
        self.len += 1;
    }

    /// Forgets one that was noted.
    pub fn forget(&mut self, at: WallMs, hash: u32) {
        self.len -= 1;
        let count = self.counts.get_mut(&(at, hash)).expect("a deadline is indexed");
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&(at, hash));
        }
    }

    /// The earliest.
    #[inline]
    pub fn first(&self) -> Option<Deadline> {
        self.counts.first_key_value().map(|(first, _)| *first)
    }

    /// The latest.
    pub fn last(&self) -> Option<Deadline> {
        self.counts.last_key_value().map(|(last, _)| *last)
    }

    /// Whether the earliest has passed.
    #[inline]
    pub fn any_due(&self, now: WallMs) -> bool {
        self.len != 0 && self.first().is_some_and(|(at, _)| at < now)
    }

    /// How many have passed.
    pub fn due(&self, now: WallMs) -> usize {
        self.counts.range(..(now, 0)).map(|(_, count)| *count as usize).sum()
    }

    /// Each that differs, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Deadline> {
        self.counts.keys().copied()
    }

    /// As [`Deadlines::iter`], behind `last`.
    pub fn behind(&self, last: Option<Deadline>) -> impl Iterator<Item = Deadline> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.counts.range((after, Bound::Unbounded)).map(|(it, _)| *it)
    }

    /// Heap bytes they take, roughly.
    pub fn bytes(&self) -> usize {
        self.counts.len() * ENTRY_BYTES
    }
}
