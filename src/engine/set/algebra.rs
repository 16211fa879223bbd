//! What sets have in common, what they have together, and what the first has alone.
//!
//! Each can be visited, for an answer, or made a set of, to be stored. A visit builds no set: its
//! members would be freed one by one before anybody else is served.

use super::member::Member;
use super::{Set, element};
use crate::engine::EngineShared;
use crate::engine::packed::Element;
use crate::engine::table::{Slot, Table};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// How many members are asked for together.
const TOGETHER: usize = 32;
/// Fewer than one in so many are taken out of a copy one by one.
const FEW: usize = 4;

/// Members of sets that stay where they are.
type Met<'s> = HashSet<Element<'s>, ahash::RandomState>;

/// Visits what all of `sets` have, until `visit` has enough.
pub fn common<'s>(
    sets: &[&'s Set],
    shared: &EngineShared,
    visit: impl FnMut(Element<'s>) -> ControlFlow<()>,
) {
    let mut sets = sets.to_vec();
    // What the smallest lacks need not be looked for; what a small one lacks is found out soon.
    sets.sort_by_key(|it| it.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    let mut visit = visit;
    let mut in_all = smallest.iter().filter(|it| others.iter().all(|set| set.has(*it, shared)));
    let _ = in_all.try_for_each(&mut visit);
}

/// A set of what all of `sets` have.
pub fn intersection(sets: &[&Set], shared: &EngineShared) -> Set {
    let mut sets = distinct(sets);
    sets.sort_by_key(|it| it.len());
    if let [Set::Table(smallest), others @ ..] = sets.as_slice() {
        if others.is_empty() && is_surely_table(smallest.len(), shared) {
            return sets[0].clone();
        }
        let in_all = |it: &Member| others.iter().all(|set| set.has_member(it, shared));
        let members = sift(smallest, others, in_all);
        if is_surely_table(members.len(), shared) {
            return Set::of(members);
        }
        let elements: Vec<_> = members.iter().map(|it| element(it).settled()).collect();
        return Set::smallest_of(&elements, shared);
    }
    let mut members = Vec::new();
    common(&sets, shared, |it| {
        members.push(it.settled());
        ControlFlow::Continue(())
    });
    // Redis begins with the form of the smallest: integers go straight to a table when they are
    // too many, while others get the smallest form that will do.
    match sets.first() {
        Some(smallest) if smallest.ints().is_none() => Set::smallest_of(&members, shared),
        _ => set_of(members.into_iter(), shared),
    }
}

/// Each of the sets once.
fn distinct<'s>(sets: &[&'s Set]) -> Vec<&'s Set> {
    let mut distinct: Vec<&Set> = Vec::with_capacity(sets.len());
    for set in sets {
        if !distinct.iter().any(|it| std::ptr::eq(*it, *set)) {
            distinct.push(set);
        }
    }
    distinct
}

/// The members of `table` that `keep` accepts, which looks for each in `others`: in hash order, so
/// that tables are walked through side by side. They share their texts with the table.
fn sift(table: &Table<Member>, others: &[&Set], keep: impl Fn(&Member) -> bool) -> Vec<Member> {
    let (mut kept, mut members) = (Vec::new(), table.iter());
    loop {
        let few: Vec<&Member> = members.by_ref().take(TOGETHER).collect();
        for member in &few {
            member.prefetch();
            others.iter().for_each(|it| it.prefetch(member));
        }
        kept.extend(few.iter().filter(|it| keep(it)).map(|it| (*it).clone()));
        if few.len() < TOGETHER {
            return kept;
        }
    }
}

/// Visits what any of `sets` has, each member once.
pub fn each_of_any<'s>(
    sets: &[&'s Set],
    shared: &EngineShared,
    mut visit: impl FnMut(Element<'s>),
) {
    let mut sets = sets.to_vec();
    // The largest need not be remembered: it is at hand to be asked.
    sets.sort_by_key(|it| std::cmp::Reverse(it.len()));
    let Some((largest, others)) = sets.split_first() else { return };
    largest.iter().for_each(&mut visit);
    let mut met = Met::with_hasher(shared.hasher.clone());
    for member in others.iter().flat_map(|it| it.iter()) {
        let is_new = !largest.has(member, shared);
        if is_new && (others.len() == 1 || met.insert(member.settled())) {
            visit(member);
        }
    }
}

/// A set of what any of `sets` has.
pub fn union(sets: &[&Set], shared: &EngineShared) -> Set {
    let mut sets = sets.to_vec();
    let largest = (0..sets.len()).max_by_key(|it| sets[*it].len());
    // Whatever the order is, so many members make a table.
    let mut all = match largest.filter(|it| stays_table(sets[*it], shared)) {
        Some(largest) => sets.swap_remove(largest).clone(),
        None => Set::default(),
    };
    for set in sets {
        match (&mut all, set) {
            (Set::Table(all), Set::Table(table)) => table.iter().for_each(|it| add(all, it)),
            (all, set) => set.iter().for_each(|it| {
                all.add(it, shared);
            }),
        }
    }
    all
}

/// Puts in a member of another table, whose text both then share.
fn add(all: &mut Table<Member>, member: &Member) {
    if let Some(hash) = member.hash()
        && all.get(hash, member.text()).is_none()
    {
        all.insert(member.clone());
    }
}

/// Visits what `first` has and none of `others`.
pub fn each_alone<'s>(
    first: &'s Set,
    others: &[&'s Set],
    shared: &EngineShared,
    mut visit: impl FnMut(Element<'s>),
) {
    match way(first, others) {
        Way::Nothing => {}
        Way::Search => alone(first, others, shared).for_each(visit),
        Way::TakeOut => {
            let mut rest = Met::with_hasher(shared.hasher.clone());
            rest.extend(first.iter().map(Element::settled));
            for member in others.iter().flat_map(|it| it.iter()) {
                rest.remove(&member.settled());
            }
            rest.into_iter().for_each(&mut visit);
        }
    }
}

/// A set of what `first` has and none of `others`.
pub fn difference(first: &Set, others: &[&Set], shared: &EngineShared) -> Set {
    let is_alone = |it: &Member| !others.iter().any(|set| set.has_member(it, shared));
    match (way(first, others), first) {
        (Way::Nothing, _) => Set::default(),
        (Way::Search, Set::Table(table)) if is_surely_table(table.len(), shared) => {
            let members = sift(table, others, is_alone);
            match is_surely_table(members.len(), shared) {
                true => Set::of(members),
                false => set_of(members.iter().map(element), shared),
            }
        }
        (Way::Search, _) => set_of(alone(first, others, shared), shared),
        // The form of the rest tells that Redis takes members out of a copy. If they are many, it
        // is cheaper not to put them in.
        (Way::TakeOut, Set::Table(table)) if is_surely_table(table.len(), shared) => {
            let out: usize = others.iter().map(|it| it.len()).sum();
            match out < table.len() / FEW {
                true => without(first.clone(), others, shared),
                false => Set::of(sift(table, others, is_alone)),
            }
        }
        (Way::TakeOut, _) => without(set_of(first.iter(), shared), others, shared),
    }
}

fn without(mut rest: Set, others: &[&Set], shared: &EngineShared) -> Set {
    for member in others.iter().flat_map(|it| it.iter()) {
        rest.remove(member, shared);
    }
    rest
}

/// How a difference is found.
enum Way {
    /// A set has nothing that it has not.
    Nothing,
    /// Each member of the first is looked for in the others, until it is met.
    Search,
    /// All of the others are taken out of what the first has.
    TakeOut,
}

/// The cheaper one. A search may end early, hence the halving.
fn way(first: &Set, others: &[&Set]) -> Way {
    if others.iter().any(|it| std::ptr::eq(*it, first)) {
        return Way::Nothing;
    }
    let searches = first.len() * (others.len() + 1) / 2;
    let takings: usize = first.len() + others.iter().map(|it| it.len()).sum::<usize>();
    if searches <= takings { Way::Search } else { Way::TakeOut }
}

fn alone<'s>(
    first: &'s Set,
    others: &[&'s Set],
    shared: &EngineShared,
) -> impl Iterator<Item = Element<'s>> {
    let mut others = others.to_vec();
    others.sort_by_key(|it| std::cmp::Reverse(it.len()));
    first.iter().filter(move |it| !others.iter().any(|set| set.has(*it, shared)))
}

/// Whether it is a table and would be one if it were made anew. A copy of it shares its members.
fn stays_table(set: &Set, shared: &EngineShared) -> bool {
    matches!(set, Set::Table(_)) && is_surely_table(set.len(), shared)
}

/// Whether so many members make a table, whatever they are and however they come.
pub fn is_surely_table(len: usize, shared: &EngineShared) -> bool {
    let limits = &shared.thresholds;
    limits.set_entries.max(limits.set_intset_entries) < len
}

fn set_of<'s>(members: impl Iterator<Item = Element<'s>>, shared: &EngineShared) -> Set {
    let mut set = Set::default();
    members.for_each(|it| {
        set.add(it, shared);
    });
    set
}
