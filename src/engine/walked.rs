//! One database as a walk sees it: the keys as they were at the cut, in hash order.

use super::cut::{Counts, Cut, END, Kept, TakenEntry};
use super::keyspace::Keyspace;
use super::slot::KeySlot;
use super::table::{Slot, Table};
use super::walk::Walk;
use parking_lot::MutexGuard;
use std::iter;

/// One database as a walk sees it, while the member is locked to read.
pub struct Walked<'e> {
    table: &'e Table<KeySlot>,
    cut: Option<(&'e Cut, MutexGuard<'e, Table<Kept>>)>,
    counts: Counts,
}

/// A place that a walk comes to.
pub struct Stop<'w> {
    /// Its hash.
    pub hash: u32,
    /// The entry that was there at the cut, if there was one.
    pub slot: Option<&'w KeySlot>,
    /// Whether it is one that was kept.
    pub is_kept: bool,
}

impl<'e> Walked<'e> {
    /// A database in which nothing changes while it is walked.
    pub fn unchanging(space: &'e Keyspace) -> Walked<'e> {
        Walked { table: space.table(), cut: None, counts: space.counts() }
    }

    /// The keyspace that was `db` when the walk began, if it is among these and held anything.
    pub fn find(
        walk: &Walk,
        db: usize,
        spaces: impl Iterator<Item = &'e Keyspace>,
    ) -> Option<Walked<'e>> {
        spaces.into_iter().find_map(|space| {
            let cut = space.cuts().iter().find(|it| it.is_of(walk, db))?;
            let (counts, table) = (cut.counts(), space.table());
            Some(Walked { table, cut: Some((cut, cut.kept())), counts })
        })
    }

    /// What there was at the cut.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What stands at `from` and behind, in hash order.
    pub fn onward(&self, from: u64) -> impl Iterator<Item = Stop<'_>> {
        let from = u32::try_from(from).ok();
        let kept = self.cut.as_ref().map(|it| &*it.1).filter(|it| !it.is_empty());
        let is_hidden =
            move |hash, slot: &KeySlot| kept.is_some_and(|it| it.get(hash, slot.key()).is_some());
        let mut there = from.into_iter().flat_map(|it| self.table.onward(it)).peekable();
        let mut before =
            kept.into_iter().flat_map(move |it| from.into_iter().flat_map(|from| it.onward(from)));
        let mut next_before = before.next();
        iter::from_fn(move || {
            let here = there.peek().and_then(|it| it.hash());
            let hash = next_before.and_then(Kept::hash);
            if let Some(hash) = hash.filter(|it| here.is_none_or(|here| *it <= here)) {
                let slot = next_before.and_then(Kept::slot);
                next_before = before.next();
                return Some(Stop { hash, slot, is_kept: true });
            }
            let (slot, hash) = (there.next()?, here?);
            let slot = (!is_hidden(hash, slot)).then_some(slot);
            Some(Stop { hash, slot, is_kept: false })
        })
    }

    /// The walk has come to `next`. Answers what had been kept of the keys before.
    pub fn pass(&mut self, next: u64) -> Vec<KeySlot> {
        let mut over = Vec::new();
        if let Some((cut, kept)) = &mut self.cut {
            cut.pass(next, kept, |it| {
                if let Kept::Was(slot) = it {
                    over.push(slot);
                }
            });
        }
        over
    }

    /// The entry of `key` as it was, which is in the table unless it has been kept: it is taken
    /// then.
    pub fn take_kept(&mut self, hash: u32, key: &[u8]) -> Option<TakenEntry> {
        let (cut, kept) = self.cut.as_mut()?;
        cut.take(hash, key, kept)
    }

    /// The entry that is in the table now.
    pub fn there(&self, hash: u32, key: &[u8]) -> Option<&'e KeySlot> {
        self.table.get(hash, key)
    }
}

/// The hash after this one.
pub fn after(hash: u32) -> u64 {
    let after = u64::from(hash) + 1;
    debug_assert!(after <= END);
    after
}
