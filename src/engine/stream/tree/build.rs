//! A tree of items that come in order.

use super::{Child, INNER_MAX, Item, LEAF_MAX, Tree, Weighed};

impl<V: Weighed> FromIterator<Item<V>> for Tree<V> {
    /// Of items in order.
    fn from_iter<I: IntoIterator<Item = Item<V>>>(items: I) -> Tree<V> {
        let (mut items, mut level) = (items.into_iter(), Vec::new());
        loop {
            let leaf: Vec<Item<V>> = items.by_ref().take(LEAF_MAX).collect();
            if leaf.is_empty() {
                break;
            }
            level.push(Child::of_leaf(leaf));
        }
        while 1 < level.len() {
            let mut below = level.into_iter();
            level = Vec::new();
            while below.len() != 0 {
                level.push(Child::of_inner(below.by_ref().take(INNER_MAX).collect()));
            }
        }
        match level.pop() {
            Some(root) => Tree { root: root.node, len: root.len, weight: root.weight },
            None => Tree::default(),
        }
    }
}
