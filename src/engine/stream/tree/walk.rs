//! Items of a tree one by one, in both directions.

use super::{Item, Tree, Weighed};
use crate::engine::stream::StreamId;
use std::ops::Range;

impl<V: Weighed> Tree<V> {
    /// The items with these ranks, the lowest first.
    pub fn walk(&self, ranks: Range<usize>) -> Walk<'_, V> {
        Walk { tree: self, ranks, leaf: [].iter() }
    }

    /// The items with these ranks, the highest first.
    pub fn walk_back(&self, ranks: Range<usize>) -> WalkBack<'_, V> {
        WalkBack { tree: self, ranks, leaf: [].iter() }
    }

    /// All items, the lowest first.
    pub fn iter(&self) -> Walk<'_, V> {
        self.walk(0..self.len)
    }
}

/// Items of a tree, the lowest first.
#[derive(Clone)]
pub struct Walk<'t, V> {
    pub(super) tree: &'t Tree<V>,
    pub(super) ranks: Range<usize>,
    pub(super) leaf: std::slice::Iter<'t, Item<V>>,
}

impl<'t, V: Weighed> Iterator for Walk<'t, V> {
    type Item = (StreamId, &'t V);

    #[inline]
    fn next(&mut self) -> Option<(StreamId, &'t V)> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.leaf.as_slice().is_empty() {
            let (items, skipped) = self.tree.leaf(self.ranks.start);
            self.leaf = items[skipped..].iter();
        }
        self.ranks.start += 1;
        self.leaf.next().map(|it| (it.0, &it.1))
    }
}

/// Items of a tree, the highest first.
#[derive(Clone)]
pub struct WalkBack<'t, V> {
    pub(super) tree: &'t Tree<V>,
    pub(super) ranks: Range<usize>,
    pub(super) leaf: std::slice::Iter<'t, Item<V>>,
}

impl<'t, V: Weighed> Iterator for WalkBack<'t, V> {
    type Item = (StreamId, &'t V);

    fn next(&mut self) -> Option<(StreamId, &'t V)> {
        if self.ranks.is_empty() {
            return None;
        }
        self.ranks.end -= 1;
        if self.leaf.as_slice().is_empty() {
            let (items, skipped) = self.tree.leaf(self.ranks.end);
            self.leaf = items[..=skipped].iter();
        }
        self.leaf.next_back().map(|it| (it.0, &it.1))
    }
}
