//! One member's data: keyspaces, values and verbs. A request comes in, a reply and effects go out.
//!
//! **Invariant:** no network, clock, randomness or thread of its own. The same requests at the same
//! times give the same bytes.
//! **Invariant:** reads take `&Engine`, writes `&mut Engine`; only a [`Run::Read`] can go to a
//! replica.

pub mod table;
pub mod packed;

mod list;
mod hash;
mod set;
mod zset;
mod sample;
mod text;
mod value;
mod slot;
mod keyspace;
mod db;
mod db_mut;
mod effects;
mod row;
mod thresholds;
pub mod rdb;
mod digest;
pub mod verbs;

pub use db::Db;
pub use db_mut::DbMut;
pub use digest::Digest;
pub use effects::{EffectBody, Effects, Item};
pub use hash::Hash;
pub use keyspace::Keyspace;
pub use list::{End, List};
pub use row::{BlockingKeys, BlockingVerb, Called, ReadVerb, Row, Run, WriteVerb, container, row};
pub use set::Set;
pub use slot::{KeySlot, Node};
pub use text::{Form, Text};
pub use thresholds::Thresholds;
pub use value::{Collection, Kind, Value};
pub use zset::{Gone, Scored, Zset, score_order};

use crate::base::limits::DATABASES;
use crate::base::time::WallMs;
use crate::command::{Args, Use};
use std::hash::{BuildHasher, Hasher};

/// One member's sixteen databases.
pub struct Engine {
    spaces: Vec<Keyspace>,
    shared: EngineShared,
}

/// What all databases of a member stand on.
pub struct EngineShared {
    hasher: ahash::RandomState,
    /// When collections leave their compact forms.
    pub thresholds: Thresholds,
    /// What is too large to free on the command path; the shell drops it elsewhere.
    pub deferred_frees: Vec<Buried>,
    /// Changes since the start (Redis' `dirty`).
    pub changes: u64,
    /// Keys deleted because their time had come.
    pub expired: u64,
}

/// What waits in the graveyard to be dropped.
pub enum Buried {
    /// One entry with a large value.
    Entry(KeySlot),
    /// A large value, or part of one, whose key stays.
    Part(Value),
    /// What a sorted set has lost at once.
    Members(Gone),
    /// What a set has lost at once.
    Popped(set::Gone),
    /// All that a flush took.
    Space(Box<Keyspace>),
}

impl EngineShared {
    /// The hash of a key, field or member: the same at every member of a set.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        (hasher.finish() >> 32) as u32
    }
}

impl Engine {
    /// An empty engine. All members of a set share `seed`, so that they share the hash order.
    pub fn new(seed: u64, thresholds: Thresholds) -> Engine {
        let hasher = ahash::RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0x5EED);
        let shared =
            EngineShared { hasher, thresholds, deferred_frees: Vec::new(), changes: 0, expired: 0 };
        Engine { spaces: (0..DATABASES).map(|_| Keyspace::default()).collect(), shared }
    }

    /// The session's database, to read.
    #[inline]
    pub fn db<'e>(&'e self, args: &Args<'e>) -> Db<'e> {
        self.db_at(args.db, args)
    }

    /// Another database, to read. `index` must be below [`DATABASES`].
    pub fn db_at<'e>(&'e self, index: usize, args: &Args<'e>) -> Db<'e> {
        Db::new(&self.spaces[index], &self.shared, args.now(), Some(args.env))
    }

    /// A database as it is at `now`, without counting hits.
    pub fn view(&self, index: usize, now: WallMs) -> Db<'_> {
        Db::new(&self.spaces[index], &self.shared, now, None)
    }

    /// Remembers a use that a replica has seen.
    pub fn heed(&self, used: Use, now: WallMs) {
        if let Some(slot) = self.spaces[used.db].table().any_of(used.hash) {
            slot.touch(now);
        }
    }

    /// The session's database, to change.
    #[inline]
    pub fn db_mut<'e>(&'e mut self, args: &Args<'_>) -> DbMut<'e> {
        self.db_mut_at(args.db, args.now())
    }

    /// Another database, to change. `index` must be below [`DATABASES`].
    pub fn db_mut_at(&mut self, index: usize, now: WallMs) -> DbMut<'_> {
        DbMut::new(&mut self.spaces[index], &mut self.shared, now)
    }

    /// What all databases stand on.
    pub fn shared(&self) -> &EngineShared {
        &self.shared
    }

    /// As [`Engine::shared`], to change thresholds or empty the deferred frees.
    pub fn shared_mut(&mut self) -> &mut EngineShared {
        &mut self.shared
    }

    /// Swaps the contents of two databases.
    pub fn swap(&mut self, one: usize, other: usize) {
        self.shared.changes += 1;
        if one == other {
            return;
        }
        let (lower, upper) = self.spaces.split_at_mut(one.max(other));
        lower[one.min(other)].exchange(&mut upper[0], |key| self.shared.hash(key));
    }

    /// Empties a database. What was in it is left in the graveyard.
    pub fn flush(&mut self, index: usize) {
        let Engine { spaces, shared } = self;
        let emptied = spaces[index].emptied(|key| shared.hash(key));
        shared.changes += emptied.len() as u64;
        if !emptied.is_empty() {
            shared.deferred_frees.push(Buried::Space(Box::new(emptied)));
        }
    }

    /// Ends all watches: this member is no longer the master.
    pub fn forget_watches(&mut self) {
        self.spaces.iter_mut().for_each(Keyspace::forget_watches);
    }

    /// Raw access for a full resync and for digests.
    pub fn space(&self, index: usize) -> &Keyspace {
        &self.spaces[index]
    }

    /// Raw access for a full resync.
    pub fn space_mut(&mut self, index: usize) -> &mut Keyspace {
        &mut self.spaces[index]
    }

    /// Deletes up to `most` keys whose time has come and says so; the master's active cycle.
    /// Answers how many it deleted.
    pub fn expire_due(&mut self, now: WallMs, most: usize, effects: &mut Effects) -> usize {
        let mut deleted = 0;
        for index in 0..self.spaces.len() {
            while deleted < most {
                let Some(key) = self.spaces[index].first_due(now) else { break };
                self.expire(index, now, &key, effects);
                deleted += 1;
            }
        }
        deleted
    }

    /// Deletes `key` if its time has come, and says so.
    pub fn expire(&mut self, index: usize, now: WallMs, key: &[u8], effects: &mut Effects) {
        let mut db = self.db_mut_at(index, WallMs::NEVER_EXPIRES);
        if db.deadline(key).is_none_or(|it| now <= it) {
            return;
        }
        db.remove(key);
        self.shared.expired += 1;
        effects.say_in(index, &[b"DEL", key]);
    }

    /// Whether `key` is there although its time has come.
    pub fn has_outlived(&self, index: usize, now: WallMs, key: &[u8]) -> bool {
        let space = &self.spaces[index];
        let deadline = space.get(self.shared.hash(key), key).and_then(KeySlot::deadline);
        deadline.is_some_and(|it| it < now)
    }

    /// Whether any key of this database has outlived its deadline: one comparison.
    #[inline]
    pub fn any_due(&self, index: usize, now: WallMs) -> bool {
        self.spaces[index].any_due(now)
    }
}
