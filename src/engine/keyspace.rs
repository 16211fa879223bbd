//! One database: its table, the index of deadlines, and the keys somebody watches.

use super::changed::ChangeNotes;
use super::cut::{Counts, Cut};
use super::deadlines::{Deadline, Deadlines};
use super::slot::KeySlot;
use super::table::{Slot, Table};
use super::value::Value;
use super::walk::Walk;
use crate::base::planted::{Planted, is_planted};
use crate::base::random::Random;
use crate::base::time::WallMs;
use std::collections::HashMap;
use std::mem;

/// The keys of one database. Every change to it goes through [`Keyspace::put`] and
/// [`Keyspace::remove`], or is announced by [`Keyspace::touch`]; what was there before goes to the
/// walks that have not come to it yet.
#[derive(Default)]
pub struct Keyspace {
    table: Table<KeySlot>,
    /// Of the keys that have one.
    deadlines: Deadlines,
    /// Of the hashes that have fields with deadlines: the earliest of each, with the hash of its
    /// key.
    field_deadlines: Deadlines,
    /// Keys whose changes are noted: under WATCH, or waited for.
    watched: HashMap<Box<[u8]>, Watched>,
    version: u64,
    /// Keys that are waited for and have changed, in that order, each once.
    ready: Vec<Box<[u8]>>,
    /// Where all keys are noted that change, while anybody caches what it reads.
    changed: Option<ChangeNotes>,
    /// Whether changes are noted for anybody: somebody watches, waits or caches.
    is_noted: bool,
    /// What is kept for walks, which find the keys as they were; hardly ever any.
    cuts: Vec<Cut>,
}

/// With more entries than this they are dropped in the order of their addresses. Those that are
/// neighbours in memory are nowhere near each other in the table, and an allocator that is given
/// back all of one page before it sees the next has a fraction of the work.
const DROPPED_AS_THEY_STAND_MAX: usize = 16 << 10;

impl Drop for Keyspace {
    fn drop(&mut self) {
        if self.table.len() <= DROPPED_AS_THEY_STAND_MAX {
            return;
        }
        let slots = mem::take(&mut self.table).into_slots().filter(|it| it.hash().is_some());
        let mut slots: Vec<KeySlot> = slots.collect();
        slots.sort_unstable_by_key(KeySlot::address);
    }
}

#[derive(Default)]
struct Watched {
    /// How many sessions watch it.
    sessions: usize,
    /// What they compare.
    version: u64,
    /// How many blocked calls wait for it.
    blocked: usize,
    /// It is among the ready ones.
    is_ready: bool,
}

impl Watched {
    fn change(&mut self, version: u64, key: &[u8], ready: &mut Vec<Box<[u8]>>) {
        self.version = version;
        if self.blocked != 0 && !self.is_ready {
            self.is_ready = true;
            ready.push(key.into());
        }
    }

    fn is_over(&self) -> bool {
        self.sessions == 0 && self.blocked == 0
    }
}

impl Keyspace {
    /// All keys, the expired ones that are still there included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// No keys at all.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// The table, to read, scan and copy.
    pub fn table(&self) -> &Table<KeySlot> {
        &self.table
    }

    /// How many keys have a deadline.
    pub fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    /// How many keys have fields that have a deadline.
    pub fn with_field_deadlines(&self) -> usize {
        self.field_deadlines.len()
    }

    /// The entry of `key`, expired or not.
    #[inline]
    pub fn get(&self, hash: u32, key: &[u8]) -> Option<&KeySlot> {
        self.table.get(hash, key)
    }

    /// The entry of `key`, to change in place: neither its key nor its deadline, and whoever moves
    /// the earliest deadline of its fields says so to [`Keyspace::move_field_deadline`].
    pub fn get_mut(&mut self, hash: u32, key: &[u8]) -> Option<&mut KeySlot> {
        if !self.cuts.is_empty() {
            self.keep(hash, key);
        }
        self.table.get_mut(hash, key)
    }

    /// Puts an entry, and answers the one it replaces; an empty one in its place when a walk has
    /// it.
    pub fn put(&mut self, slot: KeySlot) -> Option<KeySlot> {
        if !self.cuts.is_empty() {
            return self.put_walked(slot);
        }
        self.touch(slot.key());
        let (hash, deadline) = (slot.hash().expect("only taken slots are put"), slot.deadline());
        let field_deadline = slot.field_deadline();
        let old = self.table.insert(slot);
        if let Some(at) = old.as_ref().and_then(KeySlot::deadline) {
            self.deadlines.forget(at, hash);
        }
        if let Some(at) = deadline {
            self.deadlines.note(at, hash);
        }
        if field_deadline.is_some() || !self.field_deadlines.is_empty() {
            let old = old.as_ref().and_then(KeySlot::field_deadline);
            self.move_field_deadline(hash, old, field_deadline);
        }
        old
    }

    /// The earliest deadline of the fields of a key with this hash was another.
    #[cold]
    pub fn move_field_deadline(&mut self, hash: u32, was: Option<WallMs>, is: Option<WallMs>) {
        if let Some(at) = was {
            self.field_deadlines.forget(at, hash);
        }
        if let Some(at) = is {
            self.field_deadlines.note(at, hash);
        }
    }

    #[cold]
    fn put_walked(&mut self, slot: KeySlot) -> Option<KeySlot> {
        let (wanted, hash) = (self.wanted(&slot), slot.hash().expect("only taken slots are put"));
        // Put aside, so that `put` has one place where it inserts: the compiler inlines that.
        let cuts = mem::take(&mut self.cuts);
        let old = self.put(slot);
        self.cuts = cuts;
        match wanted {
            Some(key) => self.keep_replaced(hash, &key, old),
            None => old,
        }
    }

    /// Takes an entry out, to be used.
    pub fn remove(&mut self, hash: u32, key: &[u8]) -> Option<KeySlot> {
        if !self.cuts.is_empty() {
            self.keep(hash, key);
        }
        self.take_out(hash, key)
    }

    /// Takes an entry out, to be dropped: an empty one in its place when a walk has it.
    pub fn delete(&mut self, hash: u32, key: &[u8]) -> Option<KeySlot> {
        let old = self.take_out(hash, key)?;
        if self.cuts.is_empty() { Some(old) } else { Some(self.keep_old(hash, key, Some(old))) }
    }

    fn take_out(&mut self, hash: u32, key: &[u8]) -> Option<KeySlot> {
        let old = self.table.remove(hash, key)?;
        self.touch(key);
        if let Some(at) = old.deadline() {
            self.deadlines.forget(at, hash);
        }
        if let Some(at) = old.field_deadline() {
            self.field_deadlines.forget(at, hash);
        }
        Some(old)
    }

    /// Gives a key another deadline, or none. Answers whether the key is there.
    pub fn set_deadline(
        &mut self,
        hash: u32,
        key: &[u8],
        deadline: Option<WallMs>,
        scratch: &mut Vec<u8>,
    ) -> bool {
        let Some(slot) = self.get_mut(hash, key) else { return false };
        let old = slot.deadline();
        slot.set_deadline(deadline, scratch);
        if let Some(at) = old {
            self.deadlines.forget(at, hash);
        }
        if let Some(at) = deadline {
            self.deadlines.note(at, hash);
        }
        if self.is_noted {
            self.touch_unready(key);
        }
        true
    }

    /// Says that the value of `key` has changed in place.
    #[inline]
    pub fn touch(&mut self, key: &[u8]) {
        if self.is_noted {
            self.note_touched(key);
        }
    }

    /// As [`Keyspace::touch`], where those that wait for the key gain nothing by the change.
    pub fn touch_unready(&mut self, key: &[u8]) {
        self.note_changed(key);
        if let Some(watched) = self.watched.get_mut(key) {
            self.version += 1;
            watched.version = self.version;
        }
    }

    /// Lets those that wait for the key look at it again, where its value is as it was.
    pub fn wake(&mut self, key: &[u8]) {
        if let Some(watched) = self.watched.get_mut(key) {
            watched.change(watched.version, key, &mut self.ready);
        }
    }

    #[cold]
    fn note_touched(&mut self, key: &[u8]) {
        self.note_changed(key);
        if self.watched.is_empty() {
            return;
        }
        self.version += 1;
        if let Some(watched) = self.watched.get_mut(key) {
            watched.change(self.version, key, &mut self.ready);
        }
    }

    fn note_changed(&self, key: &[u8]) {
        if let Some(changed) = &self.changed {
            changed.lock().note(key);
        }
    }

    /// From here on all keys that change are noted there, or nowhere.
    pub(super) fn track(&mut self, changed: Option<ChangeNotes>) {
        self.changed = changed;
        self.settle_noted();
    }

    fn settle_noted(&mut self) {
        self.is_noted = self.changed.is_some() || !self.watched.is_empty();
    }

    /// Begins to watch `key`; answers the version to compare later.
    pub fn watch(&mut self, key: &[u8]) -> u64 {
        self.version += 1;
        let first = Watched { version: self.version, ..Watched::default() };
        let watched = self.watched.entry(key.into()).or_insert(first);
        watched.sessions += 1;
        self.is_noted = true;
        watched.version
    }

    /// The keys that somebody watches.
    pub fn watched_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.watched.keys().map(|it| &**it)
    }

    /// The version of a watched key.
    pub fn version(&self, key: &[u8]) -> Option<u64> {
        self.watched.get(key).map(|it| it.version)
    }

    /// Ends one session's watch.
    pub fn unwatch(&mut self, key: &[u8]) {
        let Some(watched) = self.watched.get_mut(key) else { return };
        watched.sessions -= 1;
        if watched.is_over() {
            self.watched.remove(key);
            self.settle_noted();
        }
    }

    /// A blocked call waits for `key`.
    pub fn block(&mut self, key: &[u8]) {
        let first = Watched { version: self.version, ..Watched::default() };
        self.watched.entry(key.into()).or_insert(first).blocked += 1;
        self.is_noted = true;
    }

    /// A blocked call waits for `key` no more.
    pub fn unblock(&mut self, key: &[u8]) {
        let Some(watched) = self.watched.get_mut(key) else { return };
        watched.blocked -= 1;
        if watched.is_over() {
            self.watched.remove(key);
            self.settle_noted();
        }
    }

    /// The keys that are waited for and have changed since the last look.
    pub fn take_ready(&mut self) -> Vec<Box<[u8]>> {
        let ready = mem::take(&mut self.ready);
        for key in &ready {
            if let Some(watched) = self.watched.get_mut(key) {
                watched.is_ready = false;
            }
        }
        ready
    }

    /// Ends all watches and waits: this member is no longer the master.
    pub fn forget_watches(&mut self) {
        self.watched.clear();
        self.ready.clear();
        self.settle_noted();
    }

    /// Whether the earliest deadline has passed.
    #[inline]
    pub fn any_due(&self, now: WallMs) -> bool {
        self.deadlines.any_due(now)
    }

    /// Whether a field of any hash has passed its deadline.
    #[inline]
    pub fn any_field_due(&self, now: WallMs) -> bool {
        self.field_deadlines.any_due(now)
    }

    /// The earliest deadline, with the hash of its key.
    pub fn first_deadline(&self) -> Option<(WallMs, u32)> {
        self.deadlines.first()
    }

    /// A key that has a deadline, by chance. Where few have one it is one of the next behind
    /// `last`, which is moved there, and the first is the next of the last: so none is looked at
    /// more often than others, whatever their deadlines are.
    pub fn any_with_deadline(
        &self,
        last: &mut Option<Deadline>,
        random: &mut Random,
    ) -> Option<&KeySlot> {
        const FEW: usize = 8;
        const LOOKS: usize = 4 * FEW;
        // Keys that were given their deadlines together are used alike: not all are looked at.
        const SKIPPED: u64 = 16;
        if self.len() <= self.with_deadline() * FEW {
            let looks = (0..LOOKS).map_while(|_| self.table.any(random));
            if let Some(found) = looks.into_iter().find(|it| it.deadline().is_some()) {
                return Some(found);
            }
        }
        let (behind, ahead) = (self.deadlines.behind(*last), self.deadlines.iter());
        let skipped = random.below(SKIPPED.min(ahead.len().max(1) as u64));
        let (at, hash) = behind.chain(ahead).nth(skipped as usize)?;
        *last = Some((at, hash));
        self.table.same_hash(hash).find(|it| it.deadline() == Some(at))
    }

    /// A key whose deadline has passed, the earliest first.
    pub fn first_due(&self, now: WallMs) -> Option<Box<[u8]>> {
        let (at, hash) = self.deadlines.first().filter(|(at, _)| *at < now)?;
        let slot = self.table.same_hash(hash).find(|it| it.deadline() == Some(at));
        Some(slot.expect("every indexed deadline has its key").key().into())
    }

    /// A key with a field whose deadline has passed, the earliest first, of those that are changed
    /// at the cost of at most so many copied elements; with that cost.
    pub fn first_field_due(&self, now: WallMs, copied_max: usize) -> Option<(Box<[u8]>, usize)> {
        let due = self.field_deadlines.iter().take_while(|(at, _)| *at < now);
        let mut keys = due.flat_map(|(at, hash)| {
            self.table.same_hash(hash).filter(move |it| it.field_deadline() == Some(at))
        });
        keys.find_map(|it| {
            let cost = match self.cuts.is_empty() {
                true => 0,
                false => self.copy_cost(it.hash()?, it.key()),
            };
            (cost <= copied_max).then(|| (it.key().into(), cost))
        })
    }

    /// How many keys are still there although their deadline has passed.
    pub fn due(&self, now: WallMs) -> usize {
        self.deadlines.due(now)
    }

    /// Mean time to live of the keys that have one, in ms, over at most 100 of them; 0 without any.
    pub fn mean_ttl_ms(&self, now: WallMs) -> u64 {
        let sample = self.deadlines.iter().take(100);
        let (sum, count) = sample.fold((0u64, 0), |(sum, count), (at, _)| {
            (sum.saturating_add(now.until(at)), count + 1)
        });
        sum.checked_div(count).unwrap_or(0)
    }

    /// A keyspace of these entries, each of a key of its own.
    pub fn of(slots: Vec<KeySlot>) -> Keyspace {
        let mut space = Keyspace::default();
        for slot in &slots {
            let hash = slot.hash().unwrap_or_default();
            if let Some(at) = slot.deadline() {
                space.deadlines.note(at, hash);
            }
            if let Some(at) = slot.field_deadline() {
                space.field_deadlines.note(at, hash);
            }
        }
        space.table = Table::of(slots);
        space
    }

    /// A walk begins, to which this keyspace is database `db`.
    pub fn begin_walk(&mut self, walk: &Walk, db: usize) {
        self.cuts.push(Cut::new(walk.clone(), db, self.counts()));
    }

    /// What there is in it.
    pub fn counts(&self) -> Counts {
        let (with_deadline, timed_hashes) = (self.with_deadline(), self.with_field_deadlines());
        Counts { keys: self.len(), with_deadline, timed_hashes }
    }

    /// What is kept for walks.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// What is kept for walks that have ended, to be dropped.
    pub fn take_ended_cuts(&mut self) -> Vec<Cut> {
        let cuts = mem::take(&mut self.cuts);
        let (ended, going_on) = cuts.into_iter().partition(Cut::is_ended);
        self.cuts = going_on;
        ended
    }

    /// About how many elements are copied when `key` is changed, because a walk is to find it as it
    /// is.
    pub fn copy_cost(&self, hash: u32, key: &[u8]) -> usize {
        let cost = self.table.get(hash, key).and_then(KeySlot::value).map_or(0, Value::copy_cost);
        if cost == 0 {
            return 0;
        }
        cost.saturating_mul(self.cuts.iter().filter(|it| it.wants(hash, key)).count())
    }

    /// Before `key` is changed in place or taken: what it is goes to the walks that have not come
    /// to it yet.
    #[cold]
    fn keep(&mut self, hash: u32, key: &[u8]) {
        let Keyspace { cuts, table, .. } = self;
        let Some(slot) = table.get(hash, key) else { return };
        if is_planted(Planted::ChangeNotKept) {
            return;
        }
        for cut in cuts.iter_mut().filter(|it| it.wants(hash, key)) {
            cut.keep(hash, key, Some(slot.clone()));
        }
    }

    /// The key of an entry that is about to be put, if a walk wants what it was until now.
    #[cold]
    #[inline(never)]
    fn wanted(&self, slot: &KeySlot) -> Option<Box<[u8]>> {
        let (hash, key) = (slot.hash()?, slot.key());
        self.cuts.iter().any(|it| it.wants(hash, key)).then(|| key.into())
    }

    #[cold]
    #[inline(never)]
    fn keep_replaced(&mut self, hash: u32, key: &[u8], old: Option<KeySlot>) -> Option<KeySlot> {
        let was_there = old.is_some();
        if !was_there && is_planted(Planted::NewKeyWalked) {
            return None;
        }
        let left = self.keep_old(hash, key, old);
        was_there.then_some(left)
    }

    /// What `key` was until now goes to the walks that have not come to it yet. Answers it, unless
    /// one of them has it: the last need not copy it.
    #[cold]
    fn keep_old(&mut self, hash: u32, key: &[u8], mut old: Option<KeySlot>) -> KeySlot {
        let mut wanting = self.cuts.iter_mut().filter(|it| it.wants(hash, key)).peekable();
        while let Some(cut) = wanting.next() {
            let is_last = wanting.peek().is_none();
            cut.keep(hash, key, if is_last { old.take() } else { old.clone() });
        }
        old.unwrap_or_default()
    }

    /// Empties this keyspace, keeping who watches what, and answers what was in it.
    pub fn emptied(&mut self, hash: impl Fn(&[u8]) -> u32) -> Keyspace {
        let mut keys = Keyspace::default();
        self.exchange(&mut keys, hash);
        keys
    }

    /// Swaps the keys of two keyspaces. Who watches a key stays where it is, and learns of a change
    /// when the key is on either side.
    pub fn exchange(&mut self, other: &mut Keyspace, hash: impl Fn(&[u8]) -> u32) {
        std::mem::swap(&mut self.table, &mut other.table);
        std::mem::swap(&mut self.deadlines, &mut other.deadlines);
        std::mem::swap(&mut self.field_deadlines, &mut other.field_deadlines);
        // A walk finds the keys where they go.
        std::mem::swap(&mut self.cuts, &mut other.cuts);
        self.touch_exchanged(other, &hash);
        other.touch_exchanged(self, &hash);
    }

    fn touch_exchanged(&mut self, other: &Keyspace, hash: impl Fn(&[u8]) -> u32) {
        self.version += 1;
        for (key, watched) in &mut self.watched {
            let hash = hash(key);
            let is_in = |it: &Table<KeySlot>| it.get(hash, key).is_some();
            if is_in(&self.table) || is_in(&other.table) {
                watched.change(self.version, key, &mut self.ready);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Form;
    use proptest::prelude::*;

    #[test]
    fn the_keys_with_a_deadline_are_counted_as_they_come_and_go() {
        proptest!(|(steps in prop::collection::vec((0u8..6, 0u8..8, 0u64..4), 1..60))| {
            let (mut space, mut other, scratch) =
                (Keyspace::default(), Keyspace::default(), &mut Vec::new());
            for (step, key, at) in steps {
                // Two keys of each hash, so that deadlines share their place in the index.
                let (hash, deadline) = (u32::from(key / 2), (at != 0).then_some(WallMs(at)));
                let key = &[key];
                match step {
                    0 | 1 => drop(space.put(
                        KeySlot::string(hash, key, b"v", deadline, Form::Whole, scratch))),
                    2 => drop(space.remove(hash, key)),
                    3 => drop(space.set_deadline(hash, key, deadline, scratch)),
                    4 => space.exchange(&mut other, |it| u32::from(it[0] / 2)),
                    _ => space = Keyspace::of(space.table.iter().cloned().collect()),
                }
                let walked = space.table.iter().filter(|it| it.deadline().is_some()).count();
                prop_assert_eq!(space.with_deadline(), walked);
            }
        });
    }
}
