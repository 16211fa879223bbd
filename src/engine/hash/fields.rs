//! The fields of a hash that is a table, and when those of them expire that have a deadline.

use super::pair::Pair;
use crate::base::time::WallMs;
use crate::engine::deadlines::Deadlines;
use crate::engine::table::{Slot, Table};

/// The fields of a hash that is a table.
#[derive(Clone, Default)]
pub struct Fields {
    table: Table<Pair>,
    /// Of the fields that have one; nothing while none has.
    deadlines: Option<Box<Deadlines>>,
}

// As much as a table took before any field had a deadline.
const _: () = assert!(size_of::<Fields>() <= 88);

impl Fields {
    /// Of these, which have no deadlines.
    pub fn of(pairs: Vec<Pair>) -> Fields {
        Fields { table: Table::of(pairs), deadlines: None }
    }

    /// The table, to read.
    #[inline]
    pub fn table(&self) -> &Table<Pair> {
        &self.table
    }

    /// The deadlines of those that have one, if any has.
    #[inline]
    pub fn deadlines(&self) -> Option<&Deadlines> {
        self.deadlines.as_deref()
    }

    /// How many have passed their deadlines.
    pub fn due(&self, now: WallMs) -> usize {
        self.deadlines().map_or(0, |it| it.due(now))
    }

    /// Whether any has passed its deadline.
    #[inline]
    pub fn any_due(&self, now: WallMs) -> bool {
        self.deadlines().is_some_and(|it| it.any_due(now))
    }

    /// Whether any has not expired.
    pub fn any_live(&self, now: WallMs) -> bool {
        let Some(deadlines) = self.deadlines() else { return !self.table.is_empty() };
        let is_later = |(at, _)| now <= at;
        deadlines.len() < self.table.len() || deadlines.last().is_some_and(is_later)
    }

    /// Puts a field in that has no deadline. Answers whether it is new.
    #[inline]
    pub fn insert(&mut self, pair: Pair) -> bool {
        match self.deadlines {
            None => self.table.insert(pair).is_none(),
            Some(_) => self.insert_timed(pair),
        }
    }

    /// Puts a field in that may have a deadline. Answers whether it is new.
    #[cold]
    pub fn insert_timed(&mut self, pair: Pair) -> bool {
        if let (Some(at), Some(hash)) = (pair.deadline(), pair.hash()) {
            self.deadlines.get_or_insert_default().note(at, hash);
        }
        let old = self.table.insert(pair);
        old.as_ref().inspect(|it| self.forget(it)).is_none()
    }

    /// Takes a field out.
    pub fn remove(&mut self, hash: u32, field: &[u8]) -> Option<Pair> {
        let old = self.table.remove(hash, field)?;
        if self.deadlines.is_some() {
            self.forget(&old);
        }
        Some(old)
    }

    /// The hash and the name of the field that has been due for longest.
    pub fn first_due(&self, now: WallMs) -> Option<(u32, &[u8])> {
        let (at, hash) = self.deadlines()?.first().filter(|(at, _)| *at < now)?;
        let found = self.table.same_hash(hash).find(|it| it.deadline() == Some(at));
        Some((hash, found.expect("every indexed deadline has its field").key()))
    }

    /// What was noted of a field that is no longer there.
    #[cold]
    fn forget(&mut self, old: &Pair) {
        let (Some(at), Some(hash)) = (old.deadline(), old.hash()) else { return };
        let Some(deadlines) = &mut self.deadlines else { return };
        deadlines.forget(at, hash);
        if deadlines.is_empty() {
            self.deadlines = None;
        }
    }
}
