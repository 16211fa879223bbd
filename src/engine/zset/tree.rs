//! Members in order of score and text, counted: any rank, score or text is found in O(log n).
//!
//! ```text
//! inner   [first, len, ·] [first, len, ·] …        up to 32 children, each with what it holds
//! leaf    [score, text] [score, text] …            up to 64 members, side by side
//! ```
//!
//! A tree of our own: the ordered maps of the standard library and of the crates we looked at do
//! not count, and those that count keep one node per element, which costs what a skip list costs.
//!
//! What holds between any two calls: all leaves are equally deep; no leaf is empty but a root; a
//! child's `first` is not after any of its members and after all of its left neighbour's. The
//! `first` of a leftmost child is never looked at.

mod build;

use super::member::Member;
use std::ops::Range;

/// Most members of a leaf.
pub const LEAF_MAX: usize = 64;
const INNER_MAX: usize = 32;
/// Leaves grow and shrink by this many members, so that little of an allocation is unused.
const LEAF_STEP: usize = 8;

/// The tree.
#[derive(Clone, Default)]
pub struct Tree {
    root: Node,
    len: usize,
}

#[derive(Clone)]
enum Node {
    Leaf(Vec<Member>),
    Inner(Vec<Child>),
}

#[derive(Clone)]
struct Child {
    first: Member,
    len: usize,
    node: Node,
}

impl Default for Node {
    fn default() -> Node {
        Node::Leaf(Vec::new())
    }
}

/// Looking.
impl Tree {
    /// Number of members.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many members, counted from the first, `is_before` holds for; it must not hold again
    /// after it has failed.
    pub fn count(&self, is_before: impl Fn(&Member) -> bool) -> usize {
        let (mut node, mut passed) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(members) => return passed + members.partition_point(is_before),
                Node::Inner(children) => {
                    let at = children[1..].partition_point(|it| is_before(&it.first));
                    passed += children[..at].iter().map(|it| it.len).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The members with these ranks, the lowest first.
    pub fn walk(&self, ranks: Range<usize>) -> impl Iterator<Item = &Member> {
        let Range { start: mut at, end } = ranks;
        let mut leaf = [].iter();
        std::iter::from_fn(move || {
            if end <= at {
                return None;
            }
            if leaf.as_slice().is_empty() {
                let (members, skipped) = self.leaf(at);
                leaf = members[skipped..].iter();
            }
            at += 1;
            leaf.next()
        })
    }

    /// The members with these ranks, the highest first.
    pub fn walk_back(&self, ranks: Range<usize>) -> impl Iterator<Item = &Member> {
        let Range { start, end: mut at } = ranks;
        let mut leaf = [].iter();
        std::iter::from_fn(move || {
            if at <= start {
                return None;
            }
            at -= 1;
            if leaf.as_slice().is_empty() {
                let (members, skipped) = self.leaf(at);
                leaf = members[..=skipped].iter();
            }
            leaf.next_back()
        })
    }

    /// The member with this rank.
    pub fn get(&self, rank: usize) -> Option<&Member> {
        let (members, skipped) = self.leaf(rank);
        members.get(skipped)
    }

    /// Shows all members in order, as they stand side by side.
    pub fn each_leaf<'t>(&'t self, visit: &mut impl FnMut(&'t [Member])) {
        self.root.each_leaf(visit);
    }

    /// The leaf with the member of this rank, and how many members come before it there.
    fn leaf(&self, rank: usize) -> (&[Member], usize) {
        let (mut node, mut left) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(members) => return (members, left),
                Node::Inner(children) => {
                    let at = Aim::Rank(left).among(children);
                    left -= children[..at].iter().map(|it| it.len).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// Heap bytes of the nodes, without the texts.
    pub fn bytes(&self) -> usize {
        self.root.bytes()
    }
}

/// Changing.
impl Tree {
    /// Puts in a member that is not there.
    pub fn insert(&mut self, new: Member) {
        self.len += 1;
        let Some(right) = self.root.insert(new, Spine::WHOLE) else { return };
        let node = std::mem::take(&mut self.root);
        let left = Child { first: right.first.clone(), len: self.len - right.len, node };
        self.root = Node::Inner(vec![left, right]);
    }

    /// Takes out the member with this score and text. Answers whether it was there.
    pub fn remove(&mut self, score: f64, text: &[u8]) -> bool {
        self.take_one(Aim::Member(score, text)).is_some()
    }

    /// Takes out the member with this rank.
    pub fn take_at(&mut self, rank: usize) -> Option<Member> {
        self.take_one(Aim::Rank(rank))
    }

    fn take_one(&mut self, aim: Aim<'_>) -> Option<Member> {
        let taken = self.root.take_one(aim)?;
        self.len -= 1;
        self.root.flatten();
        Some(taken)
    }

    /// Takes out the members with these ranks: whole branches wherever it can.
    pub fn take(&mut self, ranks: Range<usize>) -> Cut {
        let ranks = ranks.start..ranks.end.min(self.len);
        let mut cut = Cut { nodes: Vec::new(), len: ranks.len() };
        if !ranks.is_empty() {
            self.len -= ranks.len();
            self.root.take(ranks, &mut cut.nodes);
            self.root.flatten();
        }
        cut
    }
}

/// What was taken out of a tree at once.
#[derive(Default)]
pub struct Cut {
    nodes: Vec<Node>,
    len: usize,
}

impl Cut {
    /// Number of members.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Shows all members in order, as they stand side by side.
    pub fn each_leaf<'c>(&'c self, visit: &mut impl FnMut(&'c [Member])) {
        self.nodes.iter().for_each(|it| it.each_leaf(visit));
    }
}

/// What is looked for on the way down.
#[derive(Clone, Copy)]
enum Aim<'a> {
    /// The member with so many before it.
    Rank(usize),
    /// This score and text.
    Member(f64, &'a [u8]),
}

impl Aim<'_> {
    fn among(self, children: &[Child]) -> usize {
        match self {
            Aim::Rank(rank) => {
                let mut passed = 0;
                let ends = children.iter().position(|it| {
                    passed += it.len;
                    rank < passed
                });
                ends.unwrap_or(children.len() - 1)
            }
            Aim::Member(score, text) => {
                children[1..].partition_point(|it| it.first.order(score, text).is_le())
            }
        }
    }

    /// What to look for in the child at `at`.
    fn within(self, children: &[Child], at: usize) -> Self {
        match self {
            Aim::Rank(rank) => {
                Aim::Rank(rank - children[..at].iter().map(|it| it.len).sum::<usize>())
            }
            same => same,
        }
    }

    fn find(self, members: &[Member]) -> Option<usize> {
        match self {
            Aim::Rank(rank) => (rank < members.len()).then_some(rank),
            Aim::Member(score, text) => members.binary_search_by(|it| it.order(score, text)).ok(),
        }
    }
}

/// Whether the way down has kept to the first or the last child all along. A node that is full and
/// grows at its outer end is left full: members that come in order leave no gaps.
#[derive(Clone, Copy)]
struct Spine {
    first: bool,
    last: bool,
}

impl Spine {
    const WHOLE: Spine = Spine { first: true, last: true };

    fn through(self, at: usize, len: usize) -> Spine {
        Spine { first: self.first && at == 0, last: self.last && at + 1 == len }
    }

    /// Where to cut a full node of `len` when something comes to `at`.
    fn cut(self, at: usize, len: usize) -> usize {
        match at {
            0 if self.first => 0,
            _ if self.last && at == len => len,
            _ => len / 2,
        }
    }
}

impl Node {
    /// Puts a member in; answers what was split off to the right.
    fn insert(&mut self, new: Member, spine: Spine) -> Option<Child> {
        match self {
            Node::Leaf(members) => {
                let at = members.partition_point(|it| it.order(new.score, new.text()).is_lt());
                let right = insert_at(members, at, new, LEAF_MAX, spine)?;
                tighten(members);
                let (first, len) = (right[0].clone(), right.len());
                Some(Child { first, len, node: Node::Leaf(right) })
            }
            Node::Inner(children) => {
                let at = Aim::Member(new.score, new.text()).among(children);
                let spine_below = spine.through(at, children.len());
                children[at].len += 1;
                let below = children[at].node.insert(new, spine_below)?;
                children[at].len -= below.len;
                let right = insert_at(children, at + 1, below, INNER_MAX, spine)?;
                let len = right.iter().map(|it| it.len).sum();
                Some(Child { first: right[0].first.clone(), len, node: Node::Inner(right) })
            }
        }
    }

    fn take_one(&mut self, aim: Aim<'_>) -> Option<Member> {
        match self {
            Node::Leaf(members) => {
                let taken = members.remove(aim.find(members)?);
                tighten(members);
                Some(taken)
            }
            Node::Inner(children) => {
                let at = aim.among(children);
                let within = aim.within(children, at);
                let taken = children[at].node.take_one(within)?;
                children[at].len -= 1;
                tidy(children, at);
                Some(taken)
            }
        }
    }

    /// Takes out members that are there, and leaves them in `gone`. A node that loses all of them
    /// is left empty.
    fn take(&mut self, ranks: Range<usize>, gone: &mut Vec<Node>) {
        match self {
            Node::Leaf(members) => {
                gone.push(Node::Leaf(members.drain(ranks).collect()));
                tighten(members);
            }
            Node::Inner(children) => take_below(children, ranks, gone),
        }
    }

    /// Makes a root of a lone child, and a leaf of a root without any.
    fn flatten(&mut self) {
        while let Node::Inner(children) = self {
            match children.len() {
                0 => *self = Node::default(),
                1 => *self = children.remove(0).node,
                _ => return,
            }
        }
    }

    fn each_leaf<'c>(&'c self, visit: &mut impl FnMut(&'c [Member])) {
        match self {
            Node::Leaf(members) => visit(members),
            Node::Inner(children) => children.iter().for_each(|it| it.node.each_leaf(visit)),
        }
    }

    /// How much of its room it uses, and how much there is.
    fn width(&self) -> (usize, usize) {
        match self {
            Node::Leaf(members) => (members.len(), LEAF_MAX),
            Node::Inner(children) => (children.len(), INNER_MAX),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Node::Leaf(members) => members.capacity() * size_of::<Member>(),
            Node::Inner(children) => {
                let below: usize = children.iter().map(|it| it.node.bytes()).sum();
                children.capacity() * size_of::<Child>() + below
            }
        }
    }
}

/// Inserts into a node; one that was full answers its right part.
fn insert_at<T>(node: &mut Vec<T>, at: usize, new: T, most: usize, spine: Spine) -> Option<Vec<T>> {
    if node.len() < most {
        make_room(node);
        node.insert(at, new);
        return None;
    }
    let cut = spine.cut(at, node.len());
    let mut right = Vec::with_capacity((node.len() - cut).next_multiple_of(LEAF_STEP));
    right.extend(node.drain(cut..));
    match at <= cut && !right.is_empty() {
        true => node.insert(at, new),
        false => {
            make_room(&mut right);
            right.insert(at - cut, new);
        }
    }
    Some(right)
}

fn make_room<T>(node: &mut Vec<T>) {
    if node.len() == node.capacity() {
        node.reserve_exact(LEAF_STEP);
    }
}

/// Gives back what a leaf has lost.
fn tighten(members: &mut Vec<Member>) {
    if members.len() + 2 * LEAF_STEP <= members.capacity() {
        members.shrink_to(members.len().next_multiple_of(LEAF_STEP));
    }
}

/// Takes members out of some neighbours: the first and the last of them may keep a part, those
/// between go as they are.
fn take_below(children: &mut Vec<Child>, ranks: Range<usize>, gone: &mut Vec<Node>) {
    let (mut at, mut start) = (0, ranks.start);
    while children[at].len <= start {
        start -= children[at].len;
        at += 1;
    }
    let (first, mut left) = (at, ranks.len());
    if start != 0 {
        left -= children[at].take(start, left, gone);
        at += 1;
    }
    let whole = at;
    while at < children.len() && children[at].len <= left {
        left -= children[at].len;
        at += 1;
    }
    gone.extend(children.drain(whole..at).map(|it| it.node));
    if left != 0 {
        children[whole].take(0, left, gone);
        tidy(children, whole);
    }
    if first < whole {
        tidy(children, first);
    }
}

/// After the child at `at` has lost something: an empty one goes, a sparse one joins a neighbour
/// with which it leaves room.
fn tidy(children: &mut Vec<Child>, at: usize) {
    let (used, room) = children[at].node.width();
    if used == 0 {
        children.remove(at);
        return;
    }
    if room / 4 <= used {
        return;
    }
    let fits = |left: &usize| {
        let pair = children.get(*left..*left + 2);
        pair.is_some_and(|it| it[0].node.width().0 + it[1].node.width().0 <= room * 3 / 4)
    };
    if let Some(left) = [at.checked_sub(1), Some(at)].into_iter().flatten().find(fits) {
        let right = children.remove(left + 1);
        children[left].join(right);
    }
}

impl Child {
    /// Takes out up to `most` of its members from `start` on, but not all. Answers how many.
    fn take(&mut self, start: usize, most: usize, gone: &mut Vec<Node>) -> usize {
        let taken = most.min(self.len - start);
        self.node.take(start..start + taken, gone);
        self.len -= taken;
        taken
    }

    /// Takes in its right neighbour.
    fn join(&mut self, right: Child) {
        self.len += right.len;
        match (&mut self.node, right.node) {
            (Node::Leaf(members), Node::Leaf(more)) => {
                members.reserve_exact(more.len());
                members.extend(more);
            }
            (Node::Inner(children), Node::Inner(mut more)) => {
                // A leftmost child's own `first` may be stale.
                more[0].first = right.first;
                children.extend(more);
            }
            _ => unreachable!("neighbours are equally deep"),
        }
    }
}

#[cfg(test)]
mod tests;
