//! A group: what it has delivered to whom, and what of it is still pending.

use super::consumers::{Consumer, ConsumerId, Consumers};
use super::tree::{Tree, Weighed};
use super::{Entries, StreamId};
use crate::base::time::WallMs;

/// An entry that was delivered and has not been acknowledged. There is one record of it; its
/// consumer knows the id only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// When it was delivered last, in milliseconds since 1970.
    pub delivered_ms: i64,
    /// How often it has been delivered.
    pub deliveries: u64,
    /// To whom.
    pub consumer: ConsumerId,
}

impl Weighed for Pending {}

/// A group of consumers.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// `last-delivered-id`.
    pub last_id: StreamId,
    /// `entries-read`, if it is known.
    pub entries_read: Option<u64>,
    pub(super) pending: Tree<Pending>,
    pub(super) consumers: Consumers,
}

/// Looking.
impl Group {
    /// How many entries are pending.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What is pending, the lowest id first.
    pub fn pending_iter(&self) -> impl Iterator<Item = (StreamId, &Pending)> {
        self.pending.iter()
    }

    /// The record of an entry that is pending.
    pub fn pending_of(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(id)
    }

    pub(in crate::engine) fn pending_tree(&self) -> &Tree<Pending> {
        &self.pending
    }

    /// Its consumers, in the order of their names.
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// One of its consumers.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers.get(id)
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.consumers.find(name)
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        self.consumers.len() + self.pending.len() / 16
    }

    /// Heap bytes it holds.
    pub fn bytes(&self) -> usize {
        size_of::<Group>() + self.pending.bytes() + self.consumers.bytes()
    }
}

/// Changing.
impl Group {
    /// That goes on behind an id, with nothing pending.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group { last_id, entries_read, ..Group::default() }
    }

    /// Creates a consumer; `None` if there is one of this name. XGROUP CREATECONSUMER, and every
    /// command that names one: XREADGROUP, and since Redis 7.2 XCLAIM and XAUTOCLAIM too before
    /// they claim anything.
    ///
    /// Effect: XGROUP CREATECONSUMER, but where an XCLAIM of the same command names it.
    pub fn create_consumer(&mut self, name: &[u8], now: WallMs) -> Option<ConsumerId> {
        self.consumers.add(name, now)
    }

    /// The consumer asks for something.
    pub fn see_consumer(&mut self, id: ConsumerId, now: WallMs) {
        self.consumers.get_mut(id).seen_ms = now.0 as i64;
    }

    /// Deletes a consumer with all that is pending for it. Answers how many entries that were, and
    /// what is left to be freed elsewhere.
    ///
    /// Takes a step for each of them, or for each that is pending in the group if that is less.
    /// Effect: XGROUP DELCONSUMER as it was sent, if there was one.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<(usize, Consumer)> {
        let (id, consumer) = self.consumers.remove(name)?;
        let count = consumer.pending.len();
        if count == self.pending.len() {
            self.pending = Tree::default();
        } else if self.pending.len() / 8 < count {
            let left = self.pending.iter().filter(|(_, it)| it.consumer != id);
            self.pending = left.map(|(at, pending)| (at, *pending)).collect();
        } else {
            for (at, ()) in consumer.pending.iter() {
                self.pending.remove(at);
            }
        }
        Some((count, consumer))
    }

    /// Sets the last delivered id, and how many entries were read if that is told: XGROUP SETID.
    ///
    /// Effect: XGROUP SETID as it was sent.
    pub fn set_id(&mut self, last_id: StreamId, entries_read: Option<u64>) {
        (self.last_id, self.entries_read) = (last_id, entries_read);
    }

    /// An entry is done with: XACK. Answers whether it was pending.
    ///
    /// Effect: XACK as it was sent, if any was.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(id) else { return false };
        self.consumers.get_mut(pending.consumer).pending.remove(id);
        true
    }

    /// Notes that an entry was delivered to a consumer, whoever had it before.
    pub(super) fn hand_over(&mut self, id: StreamId, new: Pending) {
        let old = self.pending.insert(id, new);
        if old.is_some_and(|it| it.consumer == new.consumer) {
            return;
        }
        if let Some(old) = old {
            self.consumers.get_mut(old.consumer).pending.remove(id);
        }
        self.consumers.get_mut(new.consumer).pending.insert(id, ());
    }

    /// Of an RDB file: an entry that is pending for nobody yet, and then to whom it was delivered.
    /// Both answer whether that could be so.
    pub(in crate::engine) fn load_pending(
        &mut self,
        id: StreamId,
        delivered_ms: i64,
        deliveries: u64,
    ) -> bool {
        let consumer = ConsumerId(u32::MAX);
        self.pending.insert(id, Pending { delivered_ms, deliveries, consumer }).is_none()
    }

    /// See [`Group::load_pending`].
    pub(in crate::engine) fn load_owner(&mut self, id: StreamId, owner: ConsumerId) -> bool {
        let has_none = self.pending.get(id).is_some_and(|it| it.consumer.0 == u32::MAX);
        if has_none {
            self.pending.change(id, |it| it.consumer = owner);
            self.consumers.get_mut(owner).pending.insert(id, ());
        }
        has_none
    }

    /// Of an RDB file: a consumer with its times.
    pub(in crate::engine) fn load_consumer(
        &mut self,
        name: &[u8],
        seen_ms: i64,
        active_ms: Option<i64>,
    ) -> Option<ConsumerId> {
        let id = self.consumers.add(name, WallMs(0))?;
        let consumer = self.consumers.get_mut(id);
        (consumer.seen_ms, consumer.active_ms) = (seen_ms, active_ms);
        Some(id)
    }

    /// Whether the entry with this id is there to be delivered.
    pub(super) fn is_there(entries: &Entries, id: StreamId) -> bool {
        entries.get(id).is_some()
    }
}
