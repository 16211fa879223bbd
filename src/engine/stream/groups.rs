//! The groups of a stream, in the order of their names.

use super::{Group, StreamId};
use triomphe::Arc;

/// All of them. A copy shares each until one of the two changes it.
#[derive(Clone, Debug, Default)]
pub struct Groups(Vec<(Box<[u8]>, Arc<Group>)>);

impl Groups {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.0.iter().map(|(name, group)| (&**name, &**group))
    }

    /// The one of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.place(name).ok().map(|at| &*self.0[at].1)
    }

    /// The one of this name, to change.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.place(name).ok().map(|at| Arc::make_mut(&mut self.0[at].1))
    }

    /// Creates a group that goes on behind `last_id`: XGROUP CREATE. Answers whether there was none
    /// of this name.
    ///
    /// Effect: XGROUP CREATE as it was sent.
    pub fn create(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>) -> bool {
        self.add(name, Group::new(last_id, entries_read))
    }

    /// Takes a group out, to be freed elsewhere: XGROUP DESTROY.
    ///
    /// Effect: XGROUP DESTROY as it was sent, if there was one.
    pub fn destroy(&mut self, name: &[u8]) -> Option<Arc<Group>> {
        self.place(name).ok().map(|at| self.0.remove(at).1)
    }

    /// Adds a group. Answers whether there was none of this name.
    pub(in crate::engine) fn add(&mut self, name: &[u8], group: Group) -> bool {
        let Err(at) = self.place(name) else { return false };
        self.0.insert(at, (name.into(), Arc::new(group)));
        true
    }

    /// The one with so many before it.
    pub(in crate::engine) fn at(&self, rank: usize) -> Option<(&[u8], &Group)> {
        self.0.get(rank).map(|(name, group)| (&**name, &**group))
    }

    /// Roughly how many allocations freeing them takes.
    pub fn free_cost(&self) -> usize {
        self.iter().map(|(_, group)| 1 + group.free_cost()).sum()
    }

    /// About how much a clone copies.
    pub fn copy_cost(&self) -> usize {
        self.len()
    }

    /// Heap bytes they hold.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(name, group)| name.len() + group.bytes()).sum()
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|it| (*it.0).cmp(name))
    }
}
