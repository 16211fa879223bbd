//! What changes a tree: whatever a copy has too is made its own on the way down.

use super::{Child, Gone, INNER_MAX, Item, LEAF_MAX, Node, Tree, Weighed, Weight, child_of, sum};
use crate::engine::stream::StreamId;
use triomphe::Arc;

/// Nodes grow by this many, so that little of an allocation is unused.
const STEP: usize = 8;

/// Changing.
impl<V: Weighed> Tree<V> {
    /// Puts a value at an id. Answers what stood there.
    pub fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        let weight = value.weight();
        self.weight = self.weight.plus(weight);
        let root = Arc::make_mut(&mut self.root);
        let (old, right) = root.insert(id, value, weight);
        match &old {
            Some(old) => self.weight = self.weight.minus(old.weight()),
            None => self.len += 1,
        }
        if let Some(right) = right {
            let left = std::mem::replace(root, Node::Leaf(Vec::new()));
            let (len, weight) = (self.len - right.len, self.weight.minus(right.weight));
            let left = Child { first: left.first(), len, weight, node: Arc::new(left) };
            *root = Node::Inner(vec![left, right]);
        }
        old
    }

    /// Takes out what stands at an id.
    pub fn remove(&mut self, id: StreamId) -> Option<V> {
        self.get(id)?;
        let removed = Arc::make_mut(&mut self.root).remove(id)?;
        self.len -= 1;
        self.weight = self.weight.minus(removed.weight());
        self.flatten();
        Some(removed)
    }

    /// Changes what stands at an id.
    pub fn change<R>(&mut self, id: StreamId, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.get(id)?;
        let (result, old, new) = Arc::make_mut(&mut self.root).change(id, change)?;
        self.weight = self.weight.minus(old).plus(new);
        Some(result)
    }

    /// Changes what stands last.
    pub fn change_last<R>(&mut self, change: impl FnOnce(StreamId, &mut V) -> R) -> Option<R> {
        if self.len == 0 {
            return None;
        }
        let (result, old, new) = Arc::make_mut(&mut self.root).change_last(change);
        self.weight = self.weight.minus(old).plus(new);
        Some(result)
    }

    /// Takes out the first `count` items, or all.
    pub fn take_front(&mut self, count: usize) -> Gone<V> {
        let count = count.min(self.len);
        let mut gone = Gone { nodes: Vec::new(), len: count };
        if count == self.len {
            gone.nodes.push(std::mem::take(self).root);
            return gone;
        }
        if count != 0 {
            let taken = Arc::make_mut(&mut self.root).take_front(count, &mut gone.nodes);
            self.len -= count;
            self.weight = self.weight.minus(taken);
            self.flatten();
        }
        gone
    }

    /// Makes a root of a lone child, and a leaf of a root without any.
    fn flatten(&mut self) {
        while let Node::Inner(children) = &*self.root {
            match children.as_slice() {
                [] => self.root = Arc::new(Node::Leaf(Vec::new())),
                [only] => self.root = only.node.clone(),
                _ => return,
            }
        }
    }
}

impl<V: Weighed> Node<V> {
    /// The lowest id of a node that is not empty.
    pub(super) fn first(&self) -> StreamId {
        match self {
            Node::Leaf(items) => items[0].0,
            Node::Inner(children) => children[0].first,
        }
    }

    /// Puts a value in. Answers what stood there, and what was split off to the right.
    fn insert(&mut self, id: StreamId, value: V, weight: Weight) -> (Option<V>, Option<Child<V>>) {
        match self {
            Node::Leaf(items) => {
                let at = items.partition_point(|it| it.0 < id);
                if let Some(place) = items.get_mut(at).filter(|it| it.0 == id) {
                    return (Some(std::mem::replace(&mut place.1, value)), None);
                }
                let right = insert_at(items, at, (id, value), LEAF_MAX);
                (None, right.map(|it| Child::of_leaf(it)))
            }
            Node::Inner(children) => {
                let at = child_of(children, id);
                let child = &mut children[at];
                let (old, below) = Arc::make_mut(&mut child.node).insert(id, value, weight);
                child.first = child.first.min(id);
                child.weight = child.weight.plus(weight);
                match &old {
                    Some(old) => child.weight = child.weight.minus(old.weight()),
                    None => child.len += 1,
                }
                let Some(below) = below else { return (old, None) };
                child.len -= below.len;
                child.weight = child.weight.minus(below.weight);
                let right = insert_at(children, at + 1, below, INNER_MAX);
                (old, right.map(|it| Child::of_inner(it)))
            }
        }
    }

    /// Takes out what stands at an id. May leave the node empty.
    fn remove(&mut self, id: StreamId) -> Option<V> {
        match self {
            Node::Leaf(items) => {
                let at = items.binary_search_by(|it| it.0.cmp(&id)).ok()?;
                Some(items.remove(at).1)
            }
            Node::Inner(children) => {
                let at = child_of(children, id);
                let child = &mut children[at];
                let removed = Arc::make_mut(&mut child.node).remove(id)?;
                child.len -= 1;
                child.weight = child.weight.minus(removed.weight());
                tidy(children, at);
                Some(removed)
            }
        }
    }

    fn change<R>(
        &mut self,
        id: StreamId,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<(R, Weight, Weight)> {
        match self {
            Node::Leaf(items) => {
                let at = items.binary_search_by(|it| it.0.cmp(&id)).ok()?;
                let value = &mut items[at].1;
                let old = value.weight();
                let result = change(value);
                Some((result, old, value.weight()))
            }
            Node::Inner(children) => {
                let at = child_of(children, id);
                let child = &mut children[at];
                let changed = Arc::make_mut(&mut child.node).change(id, change)?;
                child.weight = child.weight.minus(changed.1).plus(changed.2);
                Some(changed)
            }
        }
    }

    /// Of a node that is not empty.
    fn change_last<R>(
        &mut self,
        change: impl FnOnce(StreamId, &mut V) -> R,
    ) -> (R, Weight, Weight) {
        match self {
            Node::Leaf(items) => {
                let (id, value) = items.last_mut().expect("a node is not empty");
                let old = value.weight();
                let result = change(*id, value);
                (result, old, value.weight())
            }
            Node::Inner(children) => {
                let child = children.last_mut().expect("a node is not empty");
                let changed = Arc::make_mut(&mut child.node).change_last(change);
                child.weight = child.weight.minus(changed.1).plus(changed.2);
                changed
            }
        }
    }

    /// Takes out the first `count` items, but not all. Answers their weight.
    fn take_front(&mut self, count: usize, gone: &mut Vec<Arc<Node<V>>>) -> Weight {
        match self {
            Node::Leaf(items) => {
                let taken: Vec<Item<V>> = items.drain(..count).collect();
                let weight = sum(taken.iter().map(|it| it.1.weight()));
                gone.push(Arc::new(Node::Leaf(taken)));
                weight
            }
            Node::Inner(children) => {
                let (mut whole, mut left) = (0, count);
                while children[whole].len <= left {
                    left -= children[whole].len;
                    whole += 1;
                }
                let mut weight = sum(children[..whole].iter().map(|it| it.weight));
                gone.extend(children.drain(..whole).map(|it| it.node));
                if left != 0 {
                    let child = &mut children[0];
                    let node = Arc::make_mut(&mut child.node);
                    let taken = node.take_front(left, gone);
                    child.first = node.first();
                    child.len -= left;
                    child.weight = child.weight.minus(taken);
                    weight = weight.plus(taken);
                }
                weight
            }
        }
    }

    /// How much of its room it uses, and how much there is.
    fn width(&self) -> (usize, usize) {
        match self {
            Node::Leaf(items) => (items.len(), LEAF_MAX),
            Node::Inner(children) => (children.len(), INNER_MAX),
        }
    }
}

/// Inserts into a node; one that was full answers its right part. A node that is full and grows at
/// its right end is left full: items that come in order leave no gaps.
fn insert_at<T>(node: &mut Vec<T>, at: usize, new: T, most: usize) -> Option<Vec<T>> {
    if node.len() < most {
        if node.len() == node.capacity() {
            node.reserve_exact(STEP);
        }
        node.insert(at, new);
        return None;
    }
    let cut = if at == node.len() { at } else { node.len() / 2 };
    let mut right = Vec::with_capacity((node.len() - cut).next_multiple_of(STEP).max(STEP));
    right.extend(node.drain(cut..));
    if cut <= at {
        if right.len() == right.capacity() {
            right.reserve_exact(STEP);
        }
        right.insert(at - cut, new);
    } else {
        node.insert(at, new);
    }
    Some(right)
}

/// After the child at `at` has lost something: an empty one goes, a sparse one joins a neighbour
/// with which it leaves room.
fn tidy<V: Weighed>(children: &mut Vec<Child<V>>, at: usize) {
    let (used, room) = children[at].node.width();
    if used == 0 {
        children.remove(at);
        return;
    }
    children[at].first = children[at].node.first();
    if room / 4 <= used {
        return;
    }
    let fits = |left: &usize| {
        let pair = children.get(*left..*left + 2);
        pair.is_some_and(|it| it[0].node.width().0 + it[1].node.width().0 <= room * 3 / 4)
    };
    if let Some(left) = [at.checked_sub(1), Some(at)].into_iter().flatten().find(fits) {
        let right = children.remove(left + 1);
        children[left].join(&right);
    }
}

impl<V: Weighed> Child<V> {
    /// Takes in its right neighbour.
    fn join(&mut self, right: &Child<V>) {
        self.len += right.len;
        self.weight = self.weight.plus(right.weight);
        match (Arc::make_mut(&mut self.node), &*right.node) {
            (Node::Leaf(items), Node::Leaf(more)) => items.extend_from_slice(more),
            (Node::Inner(children), Node::Inner(more)) => children.extend_from_slice(more),
            _ => unreachable!("all leaves are equally deep"),
        }
    }
}
