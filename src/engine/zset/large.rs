//! The large form: a tree for the order, a table for the way from a member to its score.

use super::member::{Member, Named};
use super::tree::Tree;
use crate::base::dice::Dice;
use crate::engine::sample;
use crate::engine::table::{Slot, Table};
use std::ops::Range;

/// How many members stand for all when memory is estimated.
const WEIGHED: usize = 16;

/// Both hold the same members.
#[derive(Clone, Default)]
pub struct Large {
    tree: Tree,
    table: Table<Named>,
}

impl Large {
    /// Number of members.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// The members in order.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The members in hash order.
    pub fn table(&self) -> &Table<Named> {
        &self.table
    }

    /// Heap bytes, roughly.
    pub fn bytes(&self) -> usize {
        let weighed: usize = self.table.iter().take(WEIGHED).map(Named::bytes).sum();
        let texts = weighed * self.len() / self.len().clamp(1, WEIGHED);
        size_of::<Large>() + self.tree.bytes() + self.table.bytes() + texts
    }

    /// The score of `member`, whose hash is `hash`.
    #[inline]
    pub fn score(&self, hash: u32, member: &[u8]) -> Option<f64> {
        self.table.get(hash, member).map(Named::score)
    }

    /// Stores for `member` the score that `decide` tells, given the one it has.
    pub fn update<R>(
        &mut self,
        hash: u32,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> (R, Option<f64>),
    ) -> R {
        let found = self.table.get_mut(hash, member);
        let old = found.as_deref().map(Named::score);
        let (answer, new) = decide(old);
        let Some(score) = new else { return answer };
        let fresh = Member::new(score, member);
        let named = Named::new(hash, &fresh);
        match (found, old) {
            (Some(slot), Some(old)) => {
                *slot = named;
                self.tree.remove(old, member);
            }
            _ => {
                self.table.insert(named);
            }
        }
        self.tree.insert(fresh);
        answer
    }

    /// Takes `member` out. Answers whether it was there.
    pub fn remove(&mut self, hash: u32, member: &[u8]) -> bool {
        let removed = self.table.remove(hash, member);
        removed.is_some_and(|it| self.tree.remove(it.score(), member))
    }

    /// Takes out the members with these ranks, and shows each.
    pub fn take(
        &mut self,
        ranks: Range<usize>,
        hash: impl Fn(&[u8]) -> u32,
        mut visit: impl FnMut(Member),
    ) {
        let Large { tree, table } = self;
        tree.take(ranks, |it| {
            table.remove(hash(it.text()), it.text());
            visit(it);
        });
    }

    /// Visits `count` different members by chance, or all.
    pub fn sample<'l>(
        &'l self,
        count: usize,
        dice: &mut Dice,
        mut visit: impl FnMut(&'l [u8], f64),
    ) {
        let shown = |it: &'l Named| visit(it.key(), it.score());
        match sample::is_few(count, self.len()) {
            true => {
                let pick = |dice: &mut Dice| self.table.random(dice);
                sample::few(count, self.table.iter(), pick, dice, shown);
            }
            false => sample::many(count, self.len(), self.table.iter(), dice, shown),
        }
    }
}
