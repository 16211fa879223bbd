//! What is kept of one database for a walk, so that the walk finds it as it was when it began.
//!
//! ```text
//!  hashes  0 ────────────── next ──────────────────────── 2³²
//!          written already │ as they are, but for those kept
//! ```
//!
//! Before a key at `next` or behind is changed for the first time since the cut, what it was is
//! kept. The walk goes in hash order, over all keys of one hash at a time, so that neither a change
//! of the table's layout nor a key that comes or goes can make it miss or repeat anything.

use super::slot::KeySlot;
use super::table::{Slot, Table};
use super::walk::Walk;
use crate::base::planted::{Planted, is_planted};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Behind all hashes.
pub const END: u64 = 1 << 32;

/// What is kept of one database for one walk. The walk moves it on under the member's lock for
/// readers, writers add to it under the lock for writers: they never meet.
pub struct Cut {
    walk: Walk,
    /// The database that it was.
    db: usize,
    counts: Counts,
    /// Hashes below are written. 64 bits, so that all of them can be.
    next: AtomicU64,
    kept: Mutex<Table<Kept>>,
}

/// What there is in a database, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Keys.
    pub keys: usize,
    /// Keys that have a deadline.
    pub with_deadline: usize,
    /// Hashes that have fields with deadlines.
    pub timed_hashes: usize,
}

/// What a key was at the cut.
#[derive(Default)]
pub enum Kept {
    /// No place of a key.
    #[default]
    Empty,
    /// It held this.
    Was(KeySlot),
    /// It was not there, or its entry has been taken.
    Nothing { hash: u32, key: Box<[u8]> },
}

impl Kept {
    /// The entry, if there was one.
    pub fn slot(&self) -> Option<&KeySlot> {
        match self {
            Kept::Was(slot) => Some(slot),
            Kept::Empty | Kept::Nothing { .. } => None,
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Kept>()
            + match self {
                Kept::Empty => 0,
                Kept::Was(slot) => slot.bytes(),
                Kept::Nothing { key, .. } => key.len(),
            }
    }
}

impl Slot for Kept {
    fn empty() -> Kept {
        Kept::Empty
    }

    fn hash(&self) -> Option<u32> {
        match self {
            Kept::Empty => None,
            Kept::Was(slot) => slot.hash(),
            Kept::Nothing { hash, .. } => Some(*hash),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Kept::Empty => &[],
            Kept::Was(slot) => slot.key(),
            Kept::Nothing { key, .. } => key,
        }
    }
}

impl Cut {
    /// Through a database in which there is so much.
    pub fn new(walk: Walk, db: usize, counts: Counts) -> Cut {
        let (next, kept) = (AtomicU64::new(0), Mutex::new(Table::new()));
        Cut { walk, db, counts, next, kept }
    }

    /// Whether it is this walk's, of the database that was this one.
    pub fn is_of(&self, walk: &Walk, db: usize) -> bool {
        self.db == db && self.walk.is(walk)
    }

    /// Whether nobody goes its walk any more.
    pub fn is_ended(&self) -> bool {
        self.walk.is_ended()
    }

    /// What there was.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether what `key` is must be kept before it changes.
    pub fn wants(&self, hash: u32, key: &[u8]) -> bool {
        let is_ahead = self.next.load(Relaxed) <= u64::from(hash);
        let is_here = self.next.load(Relaxed) == u64::from(hash);
        is_ahead
            && !(is_here && is_planted(Planted::CutPassesEarly))
            && !self.walk.is_ended()
            && self.kept.lock().get(hash, key).is_none()
    }

    /// Keeps what a key was, `None` if it was not there. The cut wants it.
    pub fn keep(&mut self, hash: u32, key: &[u8], was: Option<KeySlot>) {
        let nothing = || Kept::Nothing { hash, key: key.into() };
        let kept = was.map_or_else(nothing, Kept::Was);
        self.walk.add_kept(kept.bytes());
        let before = self.kept.get_mut().insert(kept);
        debug_assert!(before.is_none());
    }

    /// What is kept, for the walk itself.
    pub fn kept(&self) -> MutexGuard<'_, Table<Kept>> {
        self.kept.lock()
    }

    /// The walk has come to `next`. What was kept of the keys before is over.
    pub fn pass(&self, next: u64, kept: &mut Table<Kept>, mut over: impl FnMut(Kept)) {
        self.next.store(next, Relaxed);
        if kept.is_empty() {
            return;
        }
        let is_before = |it: &&Kept| it.hash().is_some_and(|it| u64::from(it) < next);
        let passed = kept.iter().take_while(is_before);
        let passed: Vec<(Option<u32>, Box<[u8]>)> =
            passed.map(|it| (it.hash(), it.key().into())).collect();
        for (hash, key) in passed {
            if let Some(kept) = hash.and_then(|it| kept.remove(it, &key)) {
                self.walk.sub_kept(kept.bytes());
                over(kept);
            }
        }
    }

    /// Takes a kept entry.
    pub fn take(&self, hash: u32, key: &[u8], kept: &mut Table<Kept>) -> Option<TakenEntry> {
        let place = kept.get_mut(hash, key)?;
        place.slot()?;
        let nothing = Kept::Nothing { hash, key: key.into() };
        self.walk.add_kept(nothing.bytes());
        match std::mem::replace(place, nothing) {
            Kept::Was(slot) => Some(TakenEntry { slot, walk: self.walk.clone() }),
            Kept::Empty | Kept::Nothing { .. } => unreachable!("just looked"),
        }
    }
}

/// An entry that was kept and is being written. It counts as kept until it is dropped.
pub struct TakenEntry {
    slot: KeySlot,
    walk: Walk,
}

impl TakenEntry {
    /// The entry.
    pub fn slot(&self) -> &KeySlot {
        &self.slot
    }
}

impl Drop for TakenEntry {
    fn drop(&mut self) {
        self.walk.sub_kept(size_of::<Kept>() + self.slot.bytes());
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let left = self.kept.get_mut().iter().map(Kept::bytes).sum();
        self.walk.sub_kept(left);
    }
}
