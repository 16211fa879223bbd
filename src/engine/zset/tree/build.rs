//! A tree made at once of members that come in order: leaf by leaf, then row by row.

use super::{Child, INNER_MAX, LEAF_MAX, Node, Tree};
use crate::engine::zset::member::Member;

impl Tree {
    /// A tree of members that come in order, all different.
    pub fn of(members: Vec<Member>) -> Tree {
        let len = members.len();
        let leaf = |members: Vec<Member>| Child {
            first: members[0].clone(),
            len: members.len(),
            node: Node::Leaf(members),
        };
        let inner = |children: Vec<Child>| Child {
            first: children[0].first.clone(),
            len: children.iter().map(|it| it.len).sum(),
            node: Node::Inner(children),
        };
        let mut row: Vec<Child> = evenly(members, LEAF_MAX).map(leaf).collect();
        while 1 < row.len() {
            row = evenly(row, INNER_MAX).map(inner).collect();
        }
        Tree { root: row.pop().map(|it| it.node).unwrap_or_default(), len }
    }
}

/// As few parts as can be, none of more than `most` and all nearly of one length.
fn evenly<T>(all: Vec<T>, most: usize) -> impl Iterator<Item = Vec<T>> {
    let (len, parts) = (all.len(), all.len().div_ceil(most));
    let mut all = all.into_iter();
    (0..parts).map(move |part| {
        let [start, end] = [part, part + 1].map(|it| it * len / parts);
        let mut items = Vec::with_capacity(end - start);
        items.extend(all.by_ref().take(end - start));
        items
    })
}
