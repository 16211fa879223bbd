//! A database to change. The gate in front of every write has already deleted what had expired
//! among its keys, so a verb never meets a dead key here.

use super::db::Db;
use super::hash::Hash;
use super::keyspace::Keyspace;
use super::set;
use super::shared::EngineShared;
use super::slot::KeySlot;
use super::stream::{Consumer, GoneNodes, Group};
use super::table::Slot;
use super::text::{Form, Text};
use super::value::{Collection, Value};
use super::written::{DeferredFree, Written};
use super::zset::Gone;
use crate::base::time::WallMs;
use crate::command::{Event, Fault};
use bytes::Bytes;
use std::cell::RefCell;
use std::iter;
use triomphe::Arc;

/// Removed values with more allocations than this are freed elsewhere.
const FREE_COST_MAX: usize = 64;
/// Space for bringing a text's parts together is given back when it has grown past this.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn with_scratch<R>(build: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        let built = build(scratch);
        if SCRATCH_BYTES_MAX < scratch.capacity() {
            *scratch = Vec::new();
        }
        built
    })
}

/// Who hears of a change that is not all that a key's value can undergo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeardBy {
    /// Who watches the key: those that wait for it gain nothing.
    Watchers,
    /// Who waits for the key: to those that watch it, it is as it was.
    Waiters,
    /// Nobody.
    Nobody,
}

/// A mutable view of one database at one time.
pub struct DbMut<'e> {
    space: &'e mut Keyspace,
    index: usize,
    shared: &'e EngineShared,
    written: &'e mut Written,
    now: WallMs,
}

impl<'e> DbMut<'e> {
    pub(super) fn new(
        space: &'e mut Keyspace,
        index: usize,
        shared: &'e EngineShared,
        written: &'e mut Written,
        now: WallMs,
    ) -> DbMut<'e> {
        DbMut { space, index, shared, written, now }
    }

    /// The same database, to read.
    pub fn as_db(&self) -> Db<'_> {
        Db::new(self.space, self.shared, self.now, None)
    }

    /// The time of this request. 0 when the stream is applied at a replica.
    pub fn now(&self) -> WallMs {
        self.now
    }

    /// What all databases stand on.
    pub fn shared(&self) -> &EngineShared {
        self.shared
    }

    /// Hash of a key at this member.
    pub fn hash(&self, key: &[u8]) -> u32 {
        self.shared.hash(key)
    }

    /// The entry of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&KeySlot> {
        self.space.get(self.shared.hash(key), key)
    }

    /// The entry of `key`, remembered as used.
    pub fn used(&self, key: &[u8]) -> Option<&KeySlot> {
        self.get(key).inspect(|it| it.touch(self.now, self.shared))
    }

    /// Whether `key` is there.
    pub fn has(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// The string at `key`.
    pub fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, Fault> {
        self.get(key).map(KeySlot::as_string).transpose()
    }

    /// When `key` expires; `None` also when it is not there.
    pub fn deadline(&self, key: &[u8]) -> Option<WallMs> {
        self.get(key).and_then(KeySlot::deadline)
    }

    /// Stores a string whole. Answers an entry that hosted feeds may share.
    #[inline]
    pub fn put_string(&mut self, key: &[u8], value: &[u8], deadline: Option<WallMs>) -> KeySlot {
        self.put_string_as(Form::Whole, key, value, deadline)
    }

    /// As [`DbMut::put_string`], for a string that came to be in another way than being stored.
    pub fn put_string_as(
        &mut self,
        form: Form,
        key: &[u8],
        value: &[u8],
        deadline: Option<WallMs>,
    ) -> KeySlot {
        let hash = self.shared.hash(key);
        // A text is a pointer, which comes in a register. A slot would be copied in pieces of other
        // sizes than it was written in, for which the processor waits.
        let slot = if KeySlot::is_text(key, value) {
            let text = with_scratch(|it| Text::new(key, value, deadline, form, it));
            KeySlot::Text { hash, text }
        } else {
            KeySlot::shared(hash, key, value, deadline)
        };
        slot.touch(self.now, self.shared);
        let shared = slot.share().expect("a string put whole can be shared");
        self.put_new(key, slot);
        shared
    }

    /// As [`DbMut::put_string`], for a string that is stored where it is.
    #[cold]
    pub fn put_adopted(&mut self, key: &[u8], value: Bytes, deadline: Option<WallMs>) -> KeySlot {
        self.put_to_share(key, Value::Adopted(Arc::new(value)), deadline)
    }

    /// Stores a string that was made of others. A long one stays in the memory where it was made.
    pub fn put_made(&mut self, key: &[u8], made: Vec<u8>) -> KeySlot {
        match KeySlot::is_text(key, &made) {
            true => self.put_string_as(Form::Raw, key, &made, None),
            false => self.put_adopted(key, Bytes::from(made), None),
        }
    }

    fn put_to_share(&mut self, key: &[u8], value: Value, deadline: Option<WallMs>) -> KeySlot {
        let slot = KeySlot::node(self.shared.hash(key), key, value, deadline);
        slot.touch(self.now, self.shared);
        let shared = slot.share().expect("a string put whole can be shared");
        self.put_new(key, slot);
        shared
    }

    /// Stores any other value whole.
    pub fn put_value(&mut self, key: &[u8], value: Value, deadline: Option<WallMs>) {
        let slot = KeySlot::node(self.shared.hash(key), key, value, deadline);
        slot.touch(self.now, self.shared);
        self.put_new(key, slot);
    }

    /// Stores an entry under its own key and hash, replacing what was there. Answers whether
    /// nothing was.
    // Without this it is a call of its own: 50 instructions of a SET.
    #[inline(always)]
    pub fn put(&mut self, slot: KeySlot) -> bool {
        self.written.changes += 1;
        let Some(old) = self.space.put(slot) else { return true };
        self.free_async(old);
        false
    }

    /// As [`DbMut::put`], and raises the event of a new key.
    #[inline(always)]
    fn put_new(&mut self, key: &[u8], slot: KeySlot) {
        if self.shared.thresholds.eviction.policy.counts_uses() {
            self.keep_count(key, &slot);
        }
        if self.put(slot) {
            self.event(Event::NEW, key);
        }
    }

    /// What takes the place of an entry is used as often as that was, and once more.
    #[cold]
    fn keep_count(&mut self, key: &[u8], slot: &KeySlot) {
        if let Some(old) = self.get(key) {
            slot.usage().set_like(old.usage());
            slot.touch(self.now, self.shared);
        }
    }

    /// Raises an event of a key, which subscribers hear of once the write is in the log. Costs next
    /// to nothing while nobody asks for its class.
    #[inline]
    pub fn event(&mut self, event: Event, key: &[u8]) {
        self.written.events.raise(event, self.index, key);
    }

    /// Stores an entry under a key that may be another than its own, for RENAME, MOVE and COPY. To
    /// Redis that is a new key, whatever was there.
    pub fn put_as(&mut self, key: &[u8], mut slot: KeySlot) {
        if slot.key() != key {
            let hash = self.shared.hash(key);
            with_scratch(|it| slot.set_key(hash, key, it));
        }
        slot.touch(self.now, self.shared);
        self.put(slot);
        self.event(Event::NEW, key);
    }

    /// The entry of `key` for hosted feeds, as [`KeySlot::share`] gives it.
    pub fn share(&self, key: &[u8]) -> Option<KeySlot> {
        self.get(key).and_then(KeySlot::share)
    }

    /// Removes a key. Answers whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some(old) = self.space.delete(self.shared.hash(key), key) else { return false };
        self.written.changes += 1;
        self.free_async(old);
        true
    }

    /// Removes a key and answers its entry.
    pub fn take(&mut self, key: &[u8]) -> Option<KeySlot> {
        let old = self.space.remove(self.shared.hash(key), key)?;
        self.written.changes += 1;
        Some(old)
    }

    /// Gives `key` another deadline, or none. Answers whether the key is there.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<WallMs>) -> bool {
        let hash = self.shared.hash(key);
        let there = with_scratch(|it| self.space.set_deadline(hash, key, deadline, it));
        self.written.changes += u64::from(there);
        there
    }

    /// Changes the collection at `key`, if there is one, with one look-up. `act` answers what the
    /// verb wants to know and how many changes it made; a collection it leaves empty goes. Raises
    /// `event` if there are changes, and behind it that the key is gone.
    pub fn change<C: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        act: impl FnOnce(&mut C, &EngineShared) -> Result<(R, usize), Fault>,
    ) -> Result<Option<R>, Fault> {
        let hash = self.shared.hash(key);
        let Some(slot) = self.space.get_mut(hash, key) else { return Ok(None) };
        let collection = slot.as_collection_mut::<C>()?;
        let was = collection.next_deadline();
        let (answer, changes) = act(collection, self.shared)?;
        let (is_empty, is) = (collection.is_empty(), collection.next_deadline());
        slot.touch(self.now, self.shared);
        if was != is {
            self.space.move_field_deadline(hash, was, is);
        }
        match is_empty {
            true => self.drop_empty(hash, key),
            false if changes != 0 => self.space.touch(key),
            false => {}
        }
        self.written.changes += changes as u64;
        if self.written.events.is_asked() {
            self.raise_changed(key, event, changes, is_empty);
        }
        Ok(Some(answer))
    }

    #[cold]
    fn raise_changed(&mut self, key: &[u8], event: Event, changes: usize, is_empty: bool) {
        if changes != 0 {
            self.event(event, key);
        }
        if is_empty {
            self.event(Event::DEL, key);
        }
    }

    /// As [`DbMut::change`], of a collection that stays when it is empty, where the change is told
    /// to some only.
    pub fn change_for<C: Collection, R>(
        &mut self,
        key: &[u8],
        heard_by: HeardBy,
        act: impl FnOnce(&mut C, &EngineShared) -> Result<(R, usize), Fault>,
    ) -> Result<Option<R>, Fault> {
        let hash = self.shared.hash(key);
        let Some(slot) = self.space.get_mut(hash, key) else { return Ok(None) };
        let collection = slot.as_collection_mut::<C>()?;
        let (answer, changes) = act(collection, self.shared)?;
        slot.touch(self.now, self.shared);
        match heard_by {
            HeardBy::Watchers if changes != 0 => self.space.touch_unready(key),
            HeardBy::Waiters if changes != 0 => self.space.wake(key),
            HeardBy::Watchers | HeardBy::Waiters | HeardBy::Nobody => {}
        }
        self.written.changes += changes as u64;
        Ok(Some(answer))
    }

    /// As [`DbMut::change`], with an empty collection when `key` is not there, which is stored if
    /// `act` leaves something in it.
    pub fn change_or_create<C: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        act: impl FnOnce(&mut C, &EngineShared) -> Result<(R, usize), Fault>,
    ) -> Result<R, Fault> {
        let mut act = Some(act);
        let found =
            self.change(key, event, |it: &mut C, shared| (act.take().expect("once"))(it, shared))?;
        match (found, act) {
            (Some(answer), _) => Ok(answer),
            (None, Some(act)) => self.create(key, event, act),
            (None, None) => unreachable!("acted, but found nothing"),
        }
    }

    fn create<C: Collection, R>(
        &mut self,
        key: &[u8],
        event: Event,
        act: impl FnOnce(&mut C, &EngineShared) -> Result<(R, usize), Fault>,
    ) -> Result<R, Fault> {
        let mut fresh = C::default();
        let (answer, changes) = act(&mut fresh, self.shared)?;
        if fresh.is_empty() {
            return Ok(answer);
        }
        let slot = KeySlot::node(self.shared.hash(key), key, fresh.into_value(), None);
        slot.touch(self.now, self.shared);
        self.space.put(slot);
        self.written.changes += changes as u64;
        if self.written.events.is_asked() {
            self.event(Event::NEW, key);
            self.raise_changed(key, event, changes, false);
        }
        Ok(answer)
    }

    /// Whether a field of any hash has passed its deadline.
    #[inline]
    pub fn any_field_due(&self) -> bool {
        self.space.any_field_due(self.now)
    }

    /// Takes those of these fields out of the hash at `key` that have expired, for a command that
    /// is about to give at least one of them a value: the key stays though nothing may be left.
    /// Answers how many they were, and raises their event.
    #[inline]
    pub fn remove_due_fields<'f>(
        &mut self,
        key: &[u8],
        fields: impl Iterator<Item = &'f [u8]>,
    ) -> usize {
        if self.any_field_due() { self.remove_fields_that_are_due(key, fields) } else { 0 }
    }

    #[cold]
    fn remove_fields_that_are_due<'f>(
        &mut self,
        key: &[u8],
        fields: impl Iterator<Item = &'f [u8]>,
    ) -> usize {
        let (hash, now, shared) = (self.shared.hash(key), self.now, self.shared);
        let is_due = |it: &KeySlot| it.field_deadline().is_some_and(|at| at < now);
        if !self.space.get(hash, key).is_some_and(is_due) {
            return 0;
        }
        let slot = self.space.get_mut(hash, key).expect("just looked");
        let Ok(found) = slot.as_collection_mut::<Hash>() else { return 0 };
        let was = found.next_deadline();
        let removed = fields.filter(|it| found.remove_due(it, shared, now)).count();
        let is = found.next_deadline();
        self.space.move_field_deadline(hash, was, is);
        if removed != 0 {
            self.written.expired.fields += removed as u64;
            self.event(Event::FIELDS_TAKEN_OUT, key);
        }
        removed
    }

    /// Counts fields that a command has taken out because their deadlines are past.
    pub fn count_expired_fields(&mut self, count: usize) {
        self.written.expired.fields += count as u64;
    }

    /// Takes up to `most` fields that have expired out of the hash at `key`, which goes with its
    /// last field. Answers them.
    pub fn take_due_fields(&mut self, key: &[u8], now: WallMs, most: usize) -> Vec<Box<[u8]>> {
        let hash = self.shared.hash(key);
        let Some(slot) = self.space.get_mut(hash, key) else { return Vec::new() };
        let Ok(found) = slot.as_collection_mut::<Hash>() else { return Vec::new() };
        let was = found.next_deadline();
        let taken: Vec<_> = iter::from_fn(|| found.take_due(now)).take(most).collect();
        let (is_empty, is) = (found.is_empty(), found.next_deadline());
        self.space.move_field_deadline(hash, was, is);
        match is_empty {
            true => self.drop_empty(hash, key),
            false => self.space.touch(key),
        }
        self.written.changes += taken.len() as u64;
        self.written.expired.fields += taken.len() as u64;
        self.raise_changed(key, Event::FIELDS_EXPIRED, taken.len(), is_empty);
        taken
    }

    /// Removes a collection that a change has emptied, which the change has counted.
    fn drop_empty(&mut self, hash: u32, key: &[u8]) {
        if let Some(old) = self.space.delete(hash, key) {
            self.free_async(old);
        }
    }

    /// Asks memory for the place of `key`, which is about to be written.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) {
        self.space.table().prefetch(self.shared.hash(key));
    }

    /// Lets those who watch `key` take it for changed, although it is as it was.
    pub fn signal(&mut self, key: &[u8]) {
        self.space.touch(key);
    }

    fn announce(&mut self, key: &[u8]) {
        self.written.changes += 1;
        self.space.touch(key);
    }

    /// Frees what a change has taken out of a value, or all of it, elsewhere if that takes long.
    pub fn discard(&mut self, value: Value) {
        if FREE_COST_MAX < value.free_cost() {
            self.written.deferred_frees.push(DeferredFree::Part(value));
        }
    }

    /// The same for what a change has taken out of a sorted set.
    pub fn discard_members(&mut self, gone: Gone) {
        if FREE_COST_MAX < gone.free_cost() {
            self.written.deferred_frees.push(DeferredFree::Members(gone));
        }
    }

    /// The same for what was popped from a set.
    pub fn discard_popped(&mut self, gone: set::Gone) {
        if FREE_COST_MAX < gone.free_cost() {
            self.written.deferred_frees.push(DeferredFree::Popped(gone));
        }
    }

    /// The same for nodes that a stream has lost.
    pub fn discard_nodes(&mut self, gone: GoneNodes) {
        if FREE_COST_MAX < gone.len() {
            self.written.deferred_frees.push(DeferredFree::Nodes(gone));
        }
    }

    /// The same for a group.
    pub fn discard_group(&mut self, gone: Arc<Group>) {
        if FREE_COST_MAX < gone.free_cost() {
            self.written.deferred_frees.push(DeferredFree::Group(gone));
        }
    }

    /// The same for a consumer.
    pub fn discard_consumer(&mut self, gone: Consumer) {
        if FREE_COST_MAX < gone.pending() {
            self.written.deferred_frees.push(DeferredFree::Consumer(gone));
        }
    }

    fn free_async(&mut self, old: KeySlot) {
        if FREE_COST_MAX < old.free_cost() {
            self.written.deferred_frees.push(DeferredFree::Entry(old));
        }
    }
}

/// Applies an entry that the master shared: the whole effect of a write, decoded once.
impl DbMut<'_> {
    /// Stores a shared entry, whose hash is the same at every member.
    pub fn apply_shared(&mut self, slot: KeySlot) {
        debug_assert_eq!(slot.hash(), Some(self.shared.hash(slot.key())));
        self.put(slot);
    }
}

mod in_place;
