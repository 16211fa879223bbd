//! A database to read: what has expired is hidden.

use super::EngineShared;
use super::deadlines::is_live;
use super::keyspace::Keyspace;
use super::slot::KeySlot;
use super::table::Slot;
use super::value::Collection;
use crate::base::planted::{Planted, is_planted};
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::{CallEnv, Fault};

/// A read-only view of one database at one time.
#[derive(Clone, Copy)]
pub struct Db<'e> {
    space: &'e Keyspace,
    shared: &'e EngineShared,
    now: WallMs,
    env: Option<&'e CallEnv>,
}

impl<'e> Db<'e> {
    pub(super) fn new(
        space: &'e Keyspace,
        shared: &'e EngineShared,
        now: WallMs,
        env: Option<&'e CallEnv>,
    ) -> Db<'e> {
        Db { space, shared, now, env }
    }

    /// The entry of `key`, counted as a hit or a miss and remembered as used.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&'e KeySlot> {
        let found = self.see(key)?;
        if self.env.is_none_or(|it| it.touches.get()) {
            self.touch(found);
        }
        Some(found)
    }

    /// Remembers a use of an entry.
    #[inline]
    pub fn touch(&self, found: &KeySlot) {
        match self.env {
            Some(env) => found.touch_and_note(self.now, self.shared, &env.uses),
            None => found.touch(self.now, self.shared),
        }
    }

    /// The entry of `key`, counted as a hit or a miss but not as a use: for who asks of the key,
    /// not of its value.
    #[inline]
    pub fn see(&self, key: &[u8]) -> Option<&'e KeySlot> {
        let found = self.peek(key);
        match self.env {
            Some(env) => env.looked(key, found),
            None => found,
        }
    }

    /// As [`Db::see`], but nobody hears of a miss: for OBJECT.
    pub fn see_quietly(&self, key: &[u8]) -> Option<&'e KeySlot> {
        let found = self.peek(key);
        match self.env {
            Some(env) => env.looked_quietly(found),
            None => found,
        }
    }

    /// The entry of `key`, neither counted nor remembered.
    #[inline]
    pub fn peek(&self, key: &[u8]) -> Option<&'e KeySlot> {
        let found = self.space.get(self.shared.hash(key), key)?;
        if self.is_live(found) || is_planted(Planted::ExpiredShown) {
            return Some(found);
        }
        self.note_expired(key);
        None
    }

    /// The master is to hear of a key that it has to delete.
    #[cold]
    fn note_expired(&self, key: &[u8]) {
        if let Some(env) = self.env {
            env.uses.note_expired(key);
        }
    }

    /// The string at `key`.
    #[inline]
    pub fn string(&self, key: &[u8]) -> Result<Option<&'e [u8]>, Fault> {
        self.get(key).map(KeySlot::as_string).transpose()
    }

    /// The collection at `key`.
    pub fn collection<C: Collection>(&self, key: &[u8]) -> Result<Option<&'e C>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(slot) => slot.as_collection().map(Some),
        }
    }

    /// Whether a field of any hash has passed its deadline.
    pub fn any_field_due(&self) -> bool {
        self.space.any_field_due(self.now)
    }

    /// Keys that have not expired.
    pub fn len(&self) -> usize {
        self.space.len() - self.space.due(self.now)
    }

    /// No keys that have not expired.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries that have not expired, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &'e KeySlot> + use<'e> {
        let this = *self;
        self.space.table().iter().filter(move |it| this.is_live(it))
    }

    /// Visits entries in hash order from `from` on, at least `at_least` if there are so many
    /// (expired ones count, but are not shown). Answers where to go on, `None` at the end.
    pub fn scan(
        &self,
        from: u32,
        at_least: usize,
        mut visit: impl FnMut(&'e KeySlot),
    ) -> Option<u32> {
        self.space.table().scan(from, at_least, |slot| match self.is_live(slot) {
            true => visit(slot),
            false => self.note_expired(slot.key()),
        })
    }

    /// An entry chosen by `random`.
    pub fn random(&self, random: &mut Random) -> Option<&'e KeySlot> {
        const TRIES: usize = 100;
        let table = self.space.table();
        (0..TRIES)
            .map_while(|_| table.random(random))
            .find(|it| self.is_live(it))
            .or_else(|| self.iter().next())
    }

    /// Hash of a key at this member, for tables inside values.
    pub fn hash(&self, key: &[u8]) -> u32 {
        self.shared.hash(key)
    }

    /// What all databases stand on.
    pub fn shared(&self) -> &'e EngineShared {
        self.shared
    }

    /// The time of this view.
    pub fn now(&self) -> WallMs {
        self.now
    }

    #[inline]
    fn is_live(&self, slot: &KeySlot) -> bool {
        debug_assert!(slot.hash().is_some());
        is_live(slot.deadline(), self.now)
    }
}
