//! What stands at ids, in their order: a tree whose copies share what has not changed since.
//!
//! ```text
//! inner   [first, len, weight, ·] …     up to 32 children, each with what it holds
//! leaf    [id, value] [id, value] …     up to 64 items, side by side
//! ```
//!
//! A copy costs nothing; who changes a node that a copy has too makes it its own first. What is
//! taken out at the front goes as whole branches.
//!
//! What holds between any two calls: all leaves are equally deep; no node is empty but a root; a
//! child's `first`, `len` and `weight` are those of what is below it.

mod build;
mod change;
mod walk;
#[cfg(test)]
mod tests;

use super::StreamId;
use std::ops::Range;
use triomphe::Arc;

pub use walk::{Walk, WalkBack};

const LEAF_MAX: usize = 64;
const INNER_MAX: usize = 32;

/// What is added up over all items.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weight {
    /// Entries of a stream.
    pub entries: u64,
    /// Heap bytes.
    pub bytes: u64,
}

impl Weight {
    fn plus(self, more: Weight) -> Weight {
        let (entries, bytes) = (self.entries + more.entries, self.bytes + more.bytes);
        Weight { entries, bytes }
    }

    fn minus(self, less: Weight) -> Weight {
        let (entries, bytes) = (self.entries - less.entries, self.bytes - less.bytes);
        Weight { entries, bytes }
    }
}

/// What may stand at an id.
pub trait Weighed: Clone {
    /// What it adds to the whole.
    fn weight(&self) -> Weight {
        Weight::default()
    }
}

impl Weighed for () {}

/// An id with what stands there.
pub type Item<V> = (StreamId, V);

/// The tree.
#[derive(Clone, Debug)]
pub struct Tree<V> {
    root: Arc<Node<V>>,
    len: usize,
    weight: Weight,
}

#[derive(Clone, Debug)]
enum Node<V> {
    Leaf(Vec<Item<V>>),
    Inner(Vec<Child<V>>),
}

#[derive(Clone, Debug)]
struct Child<V> {
    first: StreamId,
    len: usize,
    weight: Weight,
    node: Arc<Node<V>>,
}

impl<V> Default for Tree<V> {
    fn default() -> Tree<V> {
        let root = Arc::new(Node::Leaf(Vec::new()));
        Tree { root, len: 0, weight: Weight::default() }
    }
}

/// What was taken out at once: to be freed elsewhere.
#[derive(Debug)]
pub struct Gone<V> {
    nodes: Vec<Arc<Node<V>>>,
    len: usize,
}

impl<V> Gone<V> {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Looking.
impl<V: Weighed> Tree<V> {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Of all items.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// What stands at an id.
    pub fn get(&self, id: StreamId) -> Option<&V> {
        let (at, value) = self.floor(id)?;
        (at == id).then_some(value)
    }

    /// The last item that is not behind an id.
    pub fn floor(&self, id: StreamId) -> Option<(StreamId, &V)> {
        let mut node = &self.root;
        loop {
            match &**node {
                Node::Leaf(items) => {
                    let at = items.partition_point(|it| it.0 <= id).checked_sub(1)?;
                    return Some((items[at].0, &items[at].1));
                }
                Node::Inner(children) => node = &children[child_of(children, id)].node,
            }
        }
    }

    /// How many items stand before an id.
    pub fn rank(&self, id: StreamId) -> usize {
        let (mut node, mut passed) = (&self.root, 0);
        loop {
            match &**node {
                Node::Leaf(items) => return passed + items.partition_point(|it| it.0 < id),
                Node::Inner(children) => {
                    let at = child_of(children, id);
                    passed += children[..at].iter().map(|it| it.len).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The ranks of the items from one id to another, both included.
    pub fn ranks(&self, from: StreamId, to: StreamId) -> Range<usize> {
        let start = self.rank(from);
        start..to.next().map_or(self.len, |it| self.rank(it)).max(start)
    }

    /// The item with this rank.
    pub fn at(&self, rank: usize) -> Option<(StreamId, &V)> {
        let (items, skipped) = self.leaf(rank);
        items.get(skipped).map(|it| (it.0, &it.1))
    }

    /// The last item.
    pub fn last(&self) -> Option<(StreamId, &V)> {
        self.at(self.len.checked_sub(1)?)
    }

    /// How many items, counted from the first, can go at once: as many as it takes until `enough`
    /// entries are gone, or as many as leave it at no more than that, and never more than `most`
    /// entries.
    pub fn prefix(&self, enough: u64, most: u64) -> usize {
        let (mut node, mut rank, mut entries) = (&self.root, 0, 0);
        'down: loop {
            match &**node {
                Node::Leaf(items) => {
                    for (_, value) in items {
                        let after = entries + value.weight().entries;
                        if enough <= entries || enough < after || most < after {
                            break;
                        }
                        (rank, entries) = (rank + 1, after);
                    }
                    return rank;
                }
                Node::Inner(children) => {
                    for child in children {
                        let after = entries + child.weight.entries;
                        if enough <= after || most < after {
                            node = &child.node;
                            continue 'down;
                        }
                        (rank, entries) = (rank + child.len, after);
                    }
                    return rank;
                }
            }
        }
    }

    /// The leaf with the item of this rank, and how many items come before it there.
    fn leaf(&self, rank: usize) -> (&[Item<V>], usize) {
        let (mut node, mut left) = (&self.root, rank);
        loop {
            match &**node {
                Node::Leaf(items) => return (items, left),
                Node::Inner(children) => {
                    let mut at = 0;
                    while at + 1 < children.len() && children[at].len <= left {
                        left -= children[at].len;
                        at += 1;
                    }
                    node = &children[at].node;
                }
            }
        }
    }

    /// Heap bytes of the nodes, about: what the items hold is in the weight.
    pub fn bytes(&self) -> usize {
        let item = size_of::<Item<V>>();
        size_of::<Node<V>>() + self.len * item + self.len.div_ceil(LEAF_MAX) * size_of::<Child<V>>()
    }
}

/// The child in which an id stands, if it stands anywhere.
fn child_of<V>(children: &[Child<V>], id: StreamId) -> usize {
    children[1..].partition_point(|it| it.first <= id)
}

fn sum(weights: impl Iterator<Item = Weight>) -> Weight {
    weights.fold(Weight::default(), Weight::plus)
}

impl<V: Weighed> Child<V> {
    fn of_leaf(items: Vec<Item<V>>) -> Child<V> {
        let weight = sum(items.iter().map(|it| it.1.weight()));
        Child { first: items[0].0, len: items.len(), weight, node: Arc::new(Node::Leaf(items)) }
    }

    fn of_inner(children: Vec<Child<V>>) -> Child<V> {
        let weight = sum(children.iter().map(|it| it.weight));
        let len = children.iter().map(|it| it.len).sum();
        Child { first: children[0].first, len, weight, node: Arc::new(Node::Inner(children)) }
    }
}
