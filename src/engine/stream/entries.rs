//! The entries of a stream, and what is remembered of those that are gone.

use super::node::{Entry, Node};
use super::tree::Tree;
use super::{AddId, NodeLimits, Range, RangeBack, StreamId, radix};
use crate::base::time::WallMs;

/// More bytes of fields and values are not stored in one entry.
const ENTRY_BYTES_MAX: usize = 1 << 30;

/// Entries in nodes, found by their ids.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    pub(super) nodes: Tree<Node>,
    pub(super) last_id: StreamId,
    pub(super) first_id: StreamId,
    pub(super) max_deleted_id: StreamId,
    pub(super) added: u64,
}

/// Why XADD adds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddFault {
    /// `0-0` is no entry's id.
    Zero,
    /// Its last id is the greatest of all.
    Exhausted,
    /// The id is not greater than the last one.
    NotGreater,
    /// It is too large.
    TooLarge,
}

impl AddFault {
    /// The error that a client gets, without its prefix `ERR`.
    pub fn text(self) -> &'static str {
        match self {
            AddFault::Zero => "The ID specified in XADD must be greater than 0-0",
            AddFault::Exhausted => {
                "The stream has exhausted the last possible ID, unable to add more items"
            }
            AddFault::NotGreater => {
                "The ID specified in XADD is equal or smaller than the target stream top item"
            }
            AddFault::TooLarge => "Elements are too large to be stored",
        }
    }
}

/// Why XSETID sets nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetIdFault {
    /// There is an entry behind it.
    SmallerThanTop,
    /// An entry behind it was deleted before.
    SmallerThanBefore,
    /// Fewer were added than there are.
    FewerAdded,
    /// An entry behind it was deleted.
    SmallerThanDeleted,
}

impl SetIdFault {
    /// The error that a client gets, without its prefix `ERR`.
    pub fn text(self) -> &'static str {
        match self {
            SetIdFault::SmallerThanTop => {
                "The ID specified in XSETID is smaller than the target stream top item"
            }
            SetIdFault::SmallerThanBefore => {
                "The ID specified in XSETID is smaller than current max_deleted_entry_id"
            }
            SetIdFault::FewerAdded => {
                "The entries_added specified in XSETID is smaller than the target stream length"
            }
            SetIdFault::SmallerThanDeleted => {
                "The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
            }
        }
    }
}

/// Looking.
impl Entries {
    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.nodes.weight().entries
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `last-generated-id`.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// `recorded-first-entry-id`: that of the first entry, `0-0` without one.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The id of the first entry of all that are kept, deleted or not: what trimming whole nodes
    /// has come to. The greatest id without one.
    pub fn edge_id(&self) -> StreamId {
        self.nodes.at(0).map_or(StreamId::MAX, |it| it.0)
    }

    /// `max-deleted-entry-id`: the greatest that XDEL has deleted.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// `entries-added`, over all time.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// `radix-tree-keys`: number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// `radix-tree-nodes`: how many Redis' tree would have. Takes a step per node.
    pub fn radix_nodes(&self) -> usize {
        radix::nodes(self.nodes.iter().map(|(key, _)| key))
    }

    /// The nodes: the id that each begins at, and its listpack.
    pub(in crate::engine) fn nodes(&self) -> &Tree<Node> {
        &self.nodes
    }

    /// Heap bytes of nodes and tree.
    pub fn bytes(&self) -> usize {
        self.nodes.bytes() + self.nodes.weight().bytes as usize
    }

    /// The entries from one id to another, both included, the lowest first.
    pub fn range(&self, from: StreamId, to: StreamId) -> Range<'_> {
        Range::new(&self.nodes, from, to)
    }

    /// The same, the highest first.
    pub fn range_back(&self, from: StreamId, to: StreamId) -> RangeBack<'_> {
        RangeBack::new(&self.nodes, from, to)
    }

    /// About how many entries stand from one id to another, found in no time.
    pub fn about(&self, from: StreamId, to: StreamId) -> usize {
        if to < from || self.is_empty() {
            return 0;
        }
        // The node before may have some of them.
        let nodes = self.nodes.ranks(from, to).len() + 1;
        let each = self.len() as usize / self.nodes.len();
        (nodes * each).min(self.len() as usize)
    }

    /// The first entry.
    pub fn first(&self) -> Option<Entry<'_>> {
        self.range(StreamId::MIN, StreamId::MAX).next()
    }

    /// The last entry.
    pub fn last(&self) -> Option<Entry<'_>> {
        self.range_back(StreamId::MIN, StreamId::MAX).next()
    }

    /// The entry with this id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let (key, node) = self.nodes.floor(id)?;
        node.find(key, id)
    }
}

/// Changing.
impl Entries {
    /// The id of the next entry: that of the first one ever may be anything but `0-0`. Effects name
    /// this id, never the one that was asked for.
    pub fn next_id(&self, asked: AddId, now: WallMs) -> Result<StreamId, AddFault> {
        if asked == AddId::Exact(StreamId::MIN) {
            return Err(AddFault::Zero);
        }
        if self.last_id == StreamId::MAX {
            return Err(AddFault::Exhausted);
        }
        let id = match asked {
            AddId::Auto if self.last_id.ms < now.0 => StreamId::new(now.0, 0),
            AddId::Auto => self.last_id.next().ok_or(AddFault::Exhausted)?,
            AddId::NextOf(ms) if ms == self.last_id.ms => {
                let seq = self.last_id.seq.checked_add(1).ok_or(AddFault::NotGreater)?;
                StreamId { ms, seq }
            }
            AddId::NextOf(ms) => StreamId { ms, seq: 0 },
            AddId::Exact(id) => id,
        };
        if self.last_id < id { Ok(id) } else { Err(AddFault::NotGreater) }
    }

    /// Adds an entry behind the last one. [`Entries::next_id`] has made its id.
    ///
    /// Effect: XADD with this id. If it trims, see [`super::Trimmed`].
    pub fn add<'f>(
        &mut self,
        id: StreamId,
        fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
        limits: &NodeLimits,
    ) -> Result<(), AddFault> {
        debug_assert!(self.last_id < id);
        let bytes: usize = fields.clone().map(|(name, value)| name.len() + value.len()).sum();
        if ENTRY_BYTES_MAX < bytes {
            return Err(AddFault::TooLarge);
        }
        let each = fields.clone();
        let is_added = self.nodes.change_last(|key, node| {
            if node.takes(bytes, limits) {
                node.append(key, id, each);
                return true;
            }
            node.close();
            false
        });
        if is_added != Some(true) {
            let mut node = Node::new(fields.clone());
            node.append(id, id, fields);
            self.nodes.insert(id, node);
        }
        if self.len() == 1 {
            self.first_id = id;
        }
        self.last_id = id;
        self.added = self.added.wrapping_add(1);
        Ok(())
    }

    /// Deletes an entry: XDEL. Answers whether it was there. A node without entries goes.
    ///
    /// Effect: XDEL as it was sent, if any was there.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some((key, node)) = self.nodes.floor(id) else { return false };
        let Some(entry) = node.find(key, id) else { return false };
        let place = entry.start();
        if super::node::Master::of(node.pack()).count == 1 {
            self.nodes.remove(key);
        } else {
            self.nodes.change(key, |node| node.delete(&[place]));
        }
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first_id();
        }
        true
    }

    /// After entries have gone at the front.
    pub(super) fn find_first_id(&mut self) {
        self.first_id = match self.len() {
            0 => StreamId::MIN,
            _ => self.first().map_or(StreamId::MIN, |it| it.id),
        };
    }

    /// Sets the last id, and what else is given: the number of entries ever added, and the greatest
    /// deleted id unless that is `0-0`. XSETID. As since Redis 7.2, entries that are deleted are
    /// not behind the last id either.
    ///
    /// Effect: XSETID as it was sent.
    pub fn set_id(
        &mut self,
        last_id: StreamId,
        added: Option<u64>,
        max_deleted_id: StreamId,
    ) -> Result<(), SetIdFault> {
        if last_id < max_deleted_id {
            return Err(SetIdFault::SmallerThanDeleted);
        }
        if last_id < self.max_deleted_id {
            return Err(SetIdFault::SmallerThanBefore);
        }
        self.repeat_set_id(last_id, added, max_deleted_id)
    }

    /// As [`Entries::set_id`], in the log of a master that may still have let the last id stand
    /// before what was deleted, as until Redis 7.2.
    pub fn repeat_set_id(
        &mut self,
        last_id: StreamId,
        added: Option<u64>,
        max_deleted_id: StreamId,
    ) -> Result<(), SetIdFault> {
        if self.last().is_some_and(|it| last_id < it.id) {
            return Err(SetIdFault::SmallerThanTop);
        }
        if added.is_some_and(|it| it < self.len()) {
            return Err(SetIdFault::FewerAdded);
        }
        self.last_id = last_id;
        self.added = added.unwrap_or(self.added);
        if max_deleted_id != StreamId::MIN {
            self.max_deleted_id = max_deleted_id;
        }
        Ok(())
    }

    /// Of an RDB file: a node behind the last one.
    pub(in crate::engine) fn load_node(&mut self, key: StreamId, node: Node) {
        self.nodes.insert(key, node);
    }

    /// Of an RDB file, behind the nodes: the last id, and unless the file is older than Redis 7 the
    /// first one, the greatest deleted one and how many entries were added.
    pub(in crate::engine) fn load_ids(
        &mut self,
        last_id: StreamId,
        known: Option<(StreamId, StreamId, u64)>,
    ) {
        // Only nodes without an entry can be behind it, and nothing could be added behind them.
        while let Some((key, _)) = self.nodes.last().filter(|it| last_id < it.0) {
            self.nodes.remove(key);
        }
        self.last_id = last_id;
        match known {
            Some(known) => (self.first_id, self.max_deleted_id, self.added) = known,
            None => {
                self.added = self.len();
                self.find_first_id();
            }
        }
    }
}
