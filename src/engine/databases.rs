//! One member's sixteen databases.

use super::changed::{ChangeNotes, ChangedKeys};
use super::db::Db;
use super::db_mut::DbMut;
use super::effects::Effects;
use super::evictor::Evictor;
use super::keyspace::Keyspace;
use super::shared::EngineShared;
use super::slot::KeySlot;
use super::thresholds::Thresholds;
use super::value::Kind;
use super::walk::Walk;
use super::walked::Walked;
use super::written::{DeferredFree, Written};
use crate::base::limits::DATABASES;
use crate::base::lowered::long_elements;
use crate::base::time::WallMs;
use crate::command::{Args, Event, EventClasses, Keys, Use};
use crate::resp::Request;
use crate::script::Libraries;
use std::sync::Arc;

/// One member's sixteen databases.
pub struct Engine {
    spaces: Vec<Keyspace>,
    shared: EngineShared,
    written: Written,
    /// Where all databases note the keys that change, while anybody caches what it reads.
    changed: Option<ChangeNotes>,
    /// How many times a blocked call waits for a key, or did until it was given up.
    blocked: usize,
    /// The walks that are under way.
    walks: Vec<Walk>,
    /// Keyspaces that were emptied before their walks had come to their end.
    emptied: Vec<Keyspace>,
    /// The libraries of functions.
    libraries: Arc<Libraries>,
    pub(super) evictor: Evictor,
}

impl Engine {
    /// An empty engine. All members of a set share `seed`, so that they share the hash order.
    pub fn new(seed: u64, thresholds: Thresholds) -> Engine {
        Engine {
            spaces: (0..DATABASES).map(|_| Keyspace::default()).collect(),
            shared: EngineShared::new(seed, thresholds),
            written: Written::default(),
            changed: None,
            blocked: 0,
            walks: Vec::new(),
            emptied: Vec::new(),
            libraries: Arc::default(),
            evictor: Evictor::default(),
        }
    }

    /// The libraries of functions: those of the set as of what this member has applied.
    pub fn libraries(&self) -> &Arc<Libraries> {
        &self.libraries
    }

    /// As [`Engine::libraries`], to change them.
    pub fn libraries_mut(&mut self) -> &mut Libraries {
        Arc::make_mut(&mut self.libraries)
    }

    /// Takes the libraries of the member that its keys were copied from.
    pub fn take_libraries(&mut self, libraries: Arc<Libraries>) {
        self.libraries = libraries;
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
            let rules = &self.shared.thresholds.eviction;
            match rules.policy.counts_uses() {
                false => slot.touch(now, &self.shared),
                true => slot.usage().raise_count(used.count, now, rules),
            }
        }
    }

    /// The session's database, to change.
    #[inline]
    pub fn db_mut<'e>(&'e mut self, args: &Args<'_>) -> DbMut<'e> {
        self.db_mut_at(args.db, args.now())
    }

    /// Another database, to change. `index` must be below [`DATABASES`].
    pub fn db_mut_at(&mut self, index: usize, now: WallMs) -> DbMut<'_> {
        DbMut::new(&mut self.spaces[index], index, &self.shared, &mut self.written, now)
    }

    /// What all databases stand on.
    pub fn shared(&self) -> &EngineShared {
        &self.shared
    }

    /// As [`Engine::shared`], to change thresholds.
    pub fn shared_mut(&mut self) -> &mut EngineShared {
        &mut self.shared
    }

    /// What writes have left behind beside the data.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// As [`Engine::written`], to empty the deferred frees.
    pub fn written_mut(&mut self) -> &mut Written {
        &mut self.written
    }

    /// Swaps the contents of two databases.
    pub fn swap(&mut self, one: usize, other: usize) {
        self.written.changes += 1;
        if one == other {
            return;
        }
        self.note_all_changed();
        let (lower, upper) = self.spaces.split_at_mut(one.max(other));
        lower[one.min(other)].exchange(&mut upper[0], |key| self.shared.hash(key));
    }

    /// Deletes what has expired among the watched keys of two databases that are about to be
    /// swapped, in both of them: a key that nobody can see is neither lost nor gained by a swap.
    pub fn expire_watched(&mut self, one: usize, other: usize, now: WallMs, effects: &mut Effects) {
        if !self.any_due(one, now) && !self.any_due(other, now) {
            return;
        }
        let watched = [one, other].into_iter().flat_map(|it| self.spaces[it].watched_keys());
        let watched: Vec<Box<[u8]>> = watched.map(Into::into).collect();
        for key in &watched {
            self.expire(one, now, key, effects);
            self.expire(other, now, key, effects);
        }
    }

    /// Empties a database. What was in it is freed elsewhere.
    pub fn flush(&mut self, index: usize) {
        self.note_all_changed();
        let Engine { spaces, shared, written, .. } = self;
        let emptied = spaces[index].emptied(|key| shared.hash(key));
        written.changes += emptied.len() as u64;
        if emptied.cuts().iter().any(|it| !it.is_ended()) {
            self.emptied.push(emptied);
        } else if !emptied.is_empty() {
            written.deferred_frees.push(DeferredFree::Space(Box::new(emptied)));
        }
    }

    /// Notes the keys that change from here on, or none.
    pub fn track(&mut self, on: bool) {
        self.changed = on.then(ChangeNotes::default);
        self.spaces.iter_mut().for_each(|it| it.track(self.changed.clone()));
    }

    /// Whether the keys that change are noted.
    #[inline]
    pub fn is_tracked(&self) -> bool {
        self.changed.is_some()
    }

    /// How many changes have been noted since they were last taken.
    pub fn changes_noted(&self) -> usize {
        self.changed.as_ref().map_or(0, |it| it.lock().len())
    }

    /// Takes the changes that were noted; `spent` is emptied, and serves for those that come.
    pub fn take_changed(&mut self, spent: &mut ChangedKeys) {
        spent.clear();
        if let Some(changed) = &self.changed {
            std::mem::swap(&mut *changed.lock(), spent);
        }
    }

    /// What has changed last was no client's doing: its time had come, or it had to go.
    pub fn disown_change(&self) {
        if let Some(changed) = &self.changed {
            changed.lock().last_expired();
        }
    }

    fn note_all_changed(&self) {
        if let Some(changed) = &self.changed {
            changed.lock().note_all();
        }
    }

    /// Ends all watches and waits, and raises no events: this member is no longer the master.
    pub fn forget_watches(&mut self) {
        self.track(false);
        self.written.events.ask(EventClasses::NONE);
        self.spaces.iter_mut().for_each(Keyspace::forget_watches);
        self.blocked = 0;
    }

    /// A blocked call waits for `key`: its changes are noted.
    pub fn block(&mut self, index: usize, key: &[u8]) {
        self.blocked += 1;
        self.spaces[index].block(key);
    }

    /// A blocked call waits for `key` no more.
    pub fn unblock(&mut self, index: usize, key: &[u8]) {
        self.blocked -= 1;
        self.spaces[index].unblock(key);
    }

    /// Whether changes are noted for blocked calls.
    #[inline]
    pub fn has_blocked(&self) -> bool {
        self.blocked != 0
    }

    /// The keys that blocked calls wait for and that have changed since the last look, with their
    /// databases.
    pub fn take_ready(&mut self) -> Vec<(usize, Box<[u8]>)> {
        let ready = |(index, space): (usize, &mut Keyspace)| {
            space.take_ready().into_iter().map(move |it| (index, it))
        };
        self.spaces.iter_mut().enumerate().flat_map(ready).collect()
    }

    /// The type of what is under `key` at `now`.
    pub fn kind(&self, index: usize, key: &[u8], now: WallMs) -> Option<Kind> {
        self.view(index, now).peek(key).map(KeySlot::kind)
    }

    /// Asks memory for the place of `key`, which is about to be looked up.
    #[inline]
    pub fn prefetch(&self, index: usize, key: &[u8]) {
        self.spaces[index].table().prefetch(self.shared.hash(key));
    }

    /// Raw access for a full resync and for digests.
    pub fn space(&self, index: usize) -> &Keyspace {
        &self.spaces[index]
    }

    /// Raw access for a full resync.
    pub fn space_mut(&mut self, index: usize) -> &mut Keyspace {
        &mut self.spaces[index]
    }

    /// Deletes up to `most` keys, and fields of hashes, whose time has come and says so; the
    /// master's active cycle. Answers how many it deleted. The fields of a hash that would have to
    /// be copied first, because a walk is to find it as it is, are left until the walk has.
    pub fn expire_due(&mut self, now: WallMs, most: usize, effects: &mut Effects) -> usize {
        let mut deleted = 0;
        for index in 0..self.spaces.len() {
            while deleted < most {
                let Some(key) = self.spaces[index].first_due(now) else { break };
                self.expire(index, now, &key, effects);
                deleted += 1;
            }
            while deleted < most {
                let space = &self.spaces[index];
                let Some((key, copied)) = space.first_field_due(now, long_elements()) else {
                    break;
                };
                let gone = self.expire_fields(index, now, &key, most - deleted, effects);
                debug_assert!(gone != 0, "a hash with a field that is due has one");
                // What may be copied for walks is one long hash for all of them together.
                deleted += gone.max(1) + (copied * most).div_ceil(long_elements());
            }
        }
        deleted
    }

    /// Deletes up to `most` fields of the hash at `key` whose time has come, and says so. Answers
    /// how many they were.
    fn expire_fields(
        &mut self,
        index: usize,
        now: WallMs,
        key: &[u8],
        most: usize,
        effects: &mut Effects,
    ) -> usize {
        let mut db = self.db_mut_at(index, WallMs::NEVER_EXPIRES);
        let gone = db.take_due_fields(key, now, most);
        self.disown_change();
        let names: Vec<&[u8]> =
            [b"HDEL", key].into_iter().chain(gone.iter().map(|it| &**it)).collect();
        effects.say_all(index, names.into_iter());
        gone.len()
    }

    /// Deletes `key` if its time has come, and says so.
    pub fn expire(&mut self, index: usize, now: WallMs, key: &[u8], effects: &mut Effects) {
        let mut db = self.db_mut_at(index, WallMs::NEVER_EXPIRES);
        if db.deadline(key).is_none_or(|it| now <= it) {
            return;
        }
        db.remove(key);
        db.event(Event::EXPIRED, key);
        self.disown_change();
        self.written.expired.keys += 1;
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

    /// A walk begins: it will find all keys as they are now, expired ones among them, until it is
    /// ended. Until it comes to a key, the first change of that key keeps what it was.
    pub fn begin_walk(&mut self) -> Walk {
        let walk = Walk::begin(self.libraries.clone());
        for (db, space) in self.spaces.iter_mut().enumerate().filter(|it| !it.1.is_empty()) {
            space.begin_walk(&walk, db);
        }
        self.walks.push(walk.clone());
        walk
    }

    /// How many walks are under way.
    pub fn walks(&self) -> usize {
        self.walks.iter().filter(|it| !it.is_ended()).count()
    }

    /// Whether anything may have to be kept before it is changed.
    #[inline]
    pub fn is_walked(&self) -> bool {
        !self.walks.is_empty()
    }

    /// About how many elements a write with these keys copies beside what it does, because walks
    /// are to find them as they are.
    pub fn copy_cost(&self, index: usize, keys: Keys, request: Request<'_>) -> usize {
        let mut cost = 0_usize;
        let of = |key: &[u8]| self.spaces[index].copy_cost(self.shared.hash(key), key);
        keys.each(request, |key| cost = cost.saturating_add(of(key)));
        cost
    }

    /// Whether this walk is under way here, and not at an engine that this one has replaced.
    pub fn has_walk(&self, walk: &Walk) -> bool {
        self.walks.iter().any(|it| it.is(walk))
    }

    /// The keyspace that was `db` when the walk began; `None` when it held nothing.
    pub fn walked(&self, walk: &Walk, db: usize) -> Option<Walked<'_>> {
        Walked::find(walk, db, self.spaces.iter().chain(&self.emptied))
    }

    /// Leaves what was kept for walks that have ended to the deferred frees.
    pub fn end_walks(&mut self) {
        self.walks.retain(|it| !it.is_ended());
        let Engine { spaces, emptied, written, .. } = self;
        let cuts = spaces.iter_mut().chain(&mut *emptied).flat_map(Keyspace::take_ended_cuts);
        written.deferred_frees.extend(cuts.map(|it| DeferredFree::Cut(Box::new(it))));
        let all = std::mem::take(emptied);
        let (over, going_on) = all.into_iter().partition::<Vec<_>, _>(|it| it.cuts().is_empty());
        *emptied = going_on;
        written.deferred_frees.extend(over.into_iter().map(|it| DeferredFree::Space(Box::new(it))));
    }
}
