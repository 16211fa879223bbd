//! Uses of keys that a replica has seen and the master has yet to hear of: without them, keys that
//! are only read at replicas would look cold at the master (trap 18 of `semantics.md`).

use crate::base::limits::USES_MAX;
use std::cell::{Cell, RefCell};

/// A use of every key whose hash this is. That two keys share one is rare, and harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The database.
    pub db: usize,
    /// The hash of the key, the same at all members.
    pub hash: u32,
}

/// What a worker has gathered. Bounded: what does not fit any more is not told.
#[derive(Debug, Default)]
pub struct Uses {
    db: Cell<Option<usize>>,
    gathered: RefCell<Vec<Use>>,
}

impl Uses {
    /// None yet, and none to be noted.
    pub const fn new() -> Uses {
        Uses { db: Cell::new(None), gathered: RefCell::new(Vec::new()) }
    }

    /// The reads that follow are of this database of a replica; `None` for the master's own.
    #[inline]
    pub fn at_replica(&self, db: Option<usize>) {
        self.db.set(db);
    }

    /// A use of the key with this hash at `second`, after one at `before`. What is used every
    /// second is told one time in eight, so the master's knowledge is at most that many seconds
    /// old.
    pub fn note(&self, hash: u32, before: u32, second: u32) {
        const OLD_S: u32 = 8;
        let is_due = OLD_S <= second.abs_diff(before) || (hash ^ second) % OLD_S == 0;
        let Some(db) = self.db.get().filter(|_| is_due) else { return };
        let mut gathered = self.gathered.borrow_mut();
        if gathered.len() < USES_MAX {
            gathered.push(Use { db, hash });
        }
    }

    /// Whether there is something to tell.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.gathered.borrow().is_empty()
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
        uses.at_replica(Some(3));
        for hash in [0, 5, 0xDEAD_BEEF] {
            uses.note(hash, 100, 108);
            assert_eq!(told(&uses), [Use { db: 3, hash }]);
            (200..208).for_each(|it| uses.note(hash, it - 1, it));
            assert_eq!(told(&uses), [Use { db: 3, hash }]);
        }
        assert!(uses.is_empty());
    }

    #[test]
    fn the_master_needs_not_be_told_of_its_own() {
        let uses = Uses::new();
        uses.note(1, 0, 100);
        uses.at_replica(Some(0));
        uses.at_replica(None);
        uses.note(1, 0, 100);
        assert!(uses.is_empty());
    }

    #[test]
    fn what_is_gathered_is_bounded() {
        let uses = Uses::new();
        uses.at_replica(Some(0));
        (0..10 * USES_MAX as u32).for_each(|it| uses.note(it, 0, 100));
        assert_eq!(told(&uses).len(), USES_MAX);
    }
}
