//! The large form: a tree for the order, a table for the way from a member to its score.

use super::member::{Member, Named};
use super::tree::{Cut, LEAF_MAX, Tree};
use crate::base::random::Random;
use crate::engine::sample;
use crate::engine::table::{Remains, Slot, Table};
use std::ops::Range;

/// How many members stand for all when memory is estimated.
const WEIGHED: usize = 16;
/// Fewer than one in this many are looked up one by one; among more, a walk through all is cheaper.
const FEW: usize = 5;

/// Both hold the same members.
#[derive(Clone, Default)]
pub struct Large {
    tree: Tree,
    table: Table<Named>,
}

/// Members that were taken out at once. Dropping them takes its time.
#[derive(Default)]
pub struct Gone {
    cut: Cut,
    /// What else of the table is no longer of use.
    remains: Remains<Named>,
}

impl Gone {
    /// Roughly how many allocations freeing them takes.
    pub fn free_cost(&self) -> usize {
        self.cut.len() + self.remains.free_cost()
    }

    /// Shows them in order.
    pub fn each(&self, mut visit: impl FnMut(&Member)) {
        self.cut.each_leaf(&mut |leaf| leaf.iter().for_each(&mut visit));
    }
}

impl Large {
    /// Of all these, in any order. Of several that have the same text it keeps one.
    pub fn of(mut members: Vec<Member>, hash: impl Fn(&[u8]) -> u32) -> Large {
        let is_behind = |pair: &[Member]| pair[1].order(pair[0].score, pair[0].text()).is_lt();
        if 1 < members.len() && is_behind(&members) {
            members.reverse();
        }
        if members.windows(2).any(is_behind) {
            members.sort_unstable_by(|one, other| one.order(other.score, other.text()));
        }
        let table = table_of(&members, &hash);
        if table.len() < members.len() {
            members = table.iter().map(Named::member).collect();
            members.sort_unstable_by(|one, other| one.order(other.score, other.text()));
        }
        Large { tree: Tree::of(members), table }
    }

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

    /// Takes out the member with this rank.
    pub fn take_at(&mut self, rank: usize, hash: impl Fn(&[u8]) -> u32) -> Option<Member> {
        let taken = self.tree.take_at(rank)?;
        self.table.remove(hash(taken.text()), taken.text());
        Some(taken)
    }

    /// Takes out the members with these ranks, which are there.
    pub fn take(&mut self, ranks: Range<usize>, hash: impl Fn(&[u8]) -> u32) -> Gone {
        let Large { tree, table } = self;
        let ends = [ranks.start, ranks.end.saturating_sub(1)].map(|it| tree.get(it).cloned());
        let cut = tree.take(ranks);
        let remains = match ends {
            _ if cut.len() * FEW < tree.len() => {
                forget(table, &cut, hash);
                Remains::default()
            }
            [Some(first), Some(last)] if cut.len() < tree.len() * FEW => {
                table.sweep(|it| it.order(&first).is_lt() || it.order(&last).is_gt())
            }
            _ => {
                let members: Vec<Member> = tree.walk(0..tree.len()).cloned().collect();
                std::mem::replace(table, table_of(&members, hash)).remains()
            }
        };
        Gone { cut, remains }
    }

    /// Visits `count` different members by chance, or all.
    pub fn sample<'l>(
        &'l self,
        count: usize,
        random: &mut Random,
        mut visit: impl FnMut(&'l [u8], f64),
    ) {
        let shown = |it: &'l Named| visit(it.key(), it.score());
        match sample::is_few(count, self.len()) {
            true => {
                let pick = |random: &mut Random| self.table.random(random);
                sample::few(count, self.table.iter(), pick, random, shown);
            }
            false => sample::many(count, self.len(), self.table.iter(), random, shown),
        }
    }
}

/// Takes the members of `cut` out of the table.
fn forget(table: &mut Table<Named>, cut: &Cut, hash: impl Fn(&[u8]) -> u32) {
    cut.each_leaf(&mut |leaf| {
        let hashes = hashes(leaf, &hash);
        hashes[..leaf.len()].iter().for_each(|it| table.prefetch(*it));
        for (member, hash) in leaf.iter().zip(hashes) {
            table.remove(hash, member.text());
        }
    });
}

/// A table of all these.
fn table_of(members: &[Member], hash: impl Fn(&[u8]) -> u32) -> Table<Named> {
    let mut named = Vec::with_capacity(members.len());
    for few in members.chunks(LEAF_MAX) {
        let hashes = hashes(few, &hash);
        named.extend(few.iter().zip(hashes).map(|(it, hash)| Named::new(hash, it)));
    }
    Table::of(named)
}

/// The hashes of the members of a leaf, whose texts are asked for together.
fn hashes(leaf: &[Member], hash: impl Fn(&[u8]) -> u32) -> [u32; LEAF_MAX] {
    let mut hashes = [0; LEAF_MAX];
    leaf.iter().for_each(Member::prefetch);
    for (at, member) in hashes.iter_mut().zip(leaf) {
        *at = hash(member.text());
    }
    hashes
}
