//! What reads have seen and the master has yet to hear of: uses of keys at replicas, without which
//! keys that are only read there would look cold at the master (trap 18 of `semantics.md`), and
//! keys that have expired, which only the master deletes.

use crate::base::limits::{EXPIRED_KEY_BYTES_MAX, EXPIRED_SEEN_MAX, USES_MAX};
use std::cell::{Cell, RefCell};

/// A use of every key whose hash this is. That two keys share one is rare, and harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The database.
    pub db: usize,
    /// The hash of the key, the same at all members.
    pub hash: u32,
    /// How often it is used there, where uses are counted.
    pub count: u8,
}

/// A key that was found expired, with its database.
pub type ExpiredKey = (usize, Box<[u8]>);

/// Where the reads are made whose uses are noted, with their database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReadIn {
    /// Nowhere: nothing is noted.
    #[default]
    Nowhere,
    /// At the master, which needs not be told of its own uses.
    Master(usize),
    /// At a replica.
    Replica(usize),
}

/// What a worker has gathered. Bounded: what does not fit any more is not told.
#[derive(Debug, Default)]
pub struct Uses {
    read_in: Cell<ReadIn>,
    gathered: RefCell<Vec<Use>>,
    expired: RefCell<Vec<ExpiredKey>>,
}

impl Uses {
    /// None yet, and none to be noted.
    pub const fn new() -> Uses {
        Uses {
            read_in: Cell::new(ReadIn::Nowhere),
            gathered: RefCell::new(Vec::new()),
            expired: RefCell::new(Vec::new()),
        }
    }

    /// Where the reads that follow are made.
    #[inline]
    pub fn read_in(&self, place: ReadIn) {
        self.read_in.set(place);
    }

    /// A use of the key with this hash at `second`, after one at `before`. What is used every
    /// second is told one time in eight, so the master's knowledge is at most that many seconds
    /// old.
    pub fn note(&self, hash: u32, before: u32, second: u32) {
        const OLD_S: u32 = 8;
        let is_due = OLD_S <= second.abs_diff(before) || (hash ^ second).is_multiple_of(OLD_S);
        if is_due {
            self.note_count(hash, 0);
        }
    }

    /// A use of the key with this hash, which is used so often where the read is made.
    pub fn note_count(&self, hash: u32, count: u8) {
        let ReadIn::Replica(db) = self.read_in.get() else { return };
        let mut gathered = self.gathered.borrow_mut();
        if gathered.len() < USES_MAX {
            gathered.push(Use { db, hash, count });
        }
    }

    /// A read has met a key that has expired.
    #[cold]
    pub fn note_expired(&self, key: &[u8]) {
        let (ReadIn::Master(db) | ReadIn::Replica(db)) = self.read_in.get() else { return };
        let mut expired = self.expired.borrow_mut();
        let is_known = expired.last().is_some_and(|it| it.0 == db && *it.1 == *key);
        if !is_known && expired.len() < EXPIRED_SEEN_MAX && key.len() <= EXPIRED_KEY_BYTES_MAX {
            expired.push((db, key.into()));
        }
    }

    /// Whether there is something to tell.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.gathered.borrow().is_empty() && self.expired.borrow().is_empty()
    }

    /// Tells which keys have been found expired, and forgets them.
    pub fn take_expired(&self) -> Vec<ExpiredKey> {
        self.expired.take()
    }

    /// Tells all, and forgets it.
    pub fn tell(&self, hear: impl FnMut(Use)) {
        self.gathered.borrow_mut().drain(..).for_each(hear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uses: &Uses) -> Vec<Use> {
        let mut told = Vec::new();
        uses.tell(|it| told.push(it));
        told
    }

    #[test]
    fn a_key_used_after_long_is_told_at_once_and_a_busy_one_within_eight_seconds() {
        let uses = Uses::new();
        uses.read_in(ReadIn::Replica(3));
        for hash in [0, 5, 0xDEAD_BEEF] {
            uses.note(hash, 100, 108);
            assert_eq!(told(&uses), [Use { db: 3, hash, count: 0 }]);
            (200..208).for_each(|it| uses.note(hash, it - 1, it));
            assert_eq!(told(&uses), [Use { db: 3, hash, count: 0 }]);
        }
        assert!(uses.is_empty());
    }

    #[test]
    fn the_master_needs_not_be_told_of_its_own() {
        let uses = Uses::new();
        uses.note(1, 0, 100);
        uses.read_in(ReadIn::Replica(0));
        uses.read_in(ReadIn::Master(0));
        uses.note(1, 0, 100);
        assert!(uses.is_empty());
    }

    #[test]
    fn what_is_gathered_is_bounded() {
        let uses = Uses::new();
        uses.read_in(ReadIn::Replica(0));
        (0..10 * USES_MAX as u32).for_each(|it| uses.note(it, 0, 100));
        assert_eq!(told(&uses).len(), USES_MAX);
    }
    #[test]
    fn expired_keys_are_told_wherever_they_are_read() {
        let uses = Uses::new();
        uses.note_expired(b"nowhere");
        uses.read_in(ReadIn::Master(1));
        uses.note_expired(b"a");
        uses.read_in(ReadIn::Replica(2));
        (0..9).for_each(|_| uses.note_expired(b"b"));
        uses.note_expired(&vec![b'x'; EXPIRED_KEY_BYTES_MAX + 1]);
        assert!(!uses.is_empty());
        let expired = uses.take_expired();
        assert_eq!(expired, [(1, Box::from(&b"a"[..])), (2, Box::from(&b"b"[..]))]);
        assert!(uses.is_empty());
        (0..2 * EXPIRED_SEEN_MAX).for_each(|it| uses.note_expired(&it.to_be_bytes()));
        assert_eq!(uses.take_expired().len(), EXPIRED_SEEN_MAX);
    }
}
