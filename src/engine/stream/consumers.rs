//! The consumers of a group: found by name, in the order of their names, and by number.

use super::StreamId;
use super::tree::Tree;
use crate::base::time::WallMs;

/// Names a consumer within its group, as long as it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerId(pub(super) u32);

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// `seen-time`: when it has last asked for anything, in milliseconds since 1970.
    pub seen_ms: i64,
    /// `active-time`: when it has last got anything; none if it never has.
    pub active_ms: Option<i64>,
    /// The ids that are pending for it.
    pub(super) pending: Tree<()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries are pending for it.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The ids that are pending for it, the lowest first.
    pub fn ids(&self) -> impl Iterator<Item = StreamId> {
        self.pending.iter().map(|(id, ())| id)
    }

    /// The same from an id on.
    pub(in crate::engine) fn ids_from(&self, rank: usize) -> impl Iterator<Item = StreamId> {
        self.pending.walk(rank..self.pending.len()).map(|(id, ())| id)
    }
}

/// All of a group.
#[derive(Clone, Debug, Default)]
pub struct Consumers {
    all: Vec<Option<Consumer>>,
    /// In the order of their names.
    order: Vec<u32>,
}

impl Consumers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The one of this name.
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.place(name).ok().map(|at| ConsumerId(self.order[at]))
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        self.iter_from(0)
    }

    /// The same, without the first so many.
    pub fn iter_from(&self, rank: usize) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        self.order.iter().skip(rank).map(|it| (ConsumerId(*it), self.get(ConsumerId(*it))))
    }

    /// One that is there.
    pub fn get(&self, id: ConsumerId) -> &Consumer {
        self.all[id.0 as usize].as_ref().expect("a consumer is asked for while it is there")
    }

    /// One that is there, to change.
    pub fn get_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.all[id.0 as usize].as_mut().expect("a consumer is asked for while it is there")
    }

    /// Adds one; `None` if there is one of this name.
    pub fn add(&mut self, name: &[u8], now: WallMs) -> Option<ConsumerId> {
        let at = self.place(name).err()?;
        let (name, seen_ms) = (name.into(), now.0 as i64);
        let new = Consumer { name, seen_ms, active_ms: None, pending: Tree::default() };
        let free = if self.order.len() < self.all.len() {
            self.all.iter().position(Option::is_none)
        } else {
            None
        };
        let number = match free {
            Some(number) => {
                self.all[number] = Some(new);
                number
            }
            None => {
                self.all.push(Some(new));
                self.all.len() - 1
            }
        };
        self.order.insert(at, number as u32);
        Some(ConsumerId(number as u32))
    }

    /// Takes one out.
    pub fn remove(&mut self, name: &[u8]) -> Option<(ConsumerId, Consumer)> {
        let number = self.order.remove(self.place(name).ok()?);
        Some((ConsumerId(number), self.all[number as usize].take()?))
    }

    /// Heap bytes they hold.
    pub fn bytes(&self) -> usize {
        let each = self.iter().map(|(_, it)| it.name.len() + it.pending.bytes());
        self.all.capacity() * size_of::<Option<Consumer>>() + each.sum::<usize>()
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.order.binary_search_by(|it| (*self.get(ConsumerId(*it)).name).cmp(name))
    }
}
