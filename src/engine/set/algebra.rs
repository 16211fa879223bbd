//! What sets have in common, what they have together, and what the first has alone.

use super::Set;
use crate::engine::Ground;
use crate::engine::packed::Element;
use std::ops::ControlFlow;

/// Visits what all of `sets` have, until `visit` has enough.
pub fn common<'s>(
    sets: &[&'s Set],
    ground: &Ground,
    visit: impl FnMut(Element<'s>) -> ControlFlow<()>,
) {
    let mut sets = sets.to_vec();
    // What the smallest lacks need not be looked for; what a small one lacks is found out soon.
    sets.sort_by_key(|it| it.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    let mut visit = visit;
    let mut in_all = smallest.iter().filter(|it| others.iter().all(|set| set.has(*it, ground)));
    let _ = in_all.try_for_each(&mut visit);
}

/// A set of what any of `sets` has.
pub fn union(sets: &[&Set], ground: &Ground) -> Set {
    let mut all = Set::default();
    add(&mut all, sets.iter().flat_map(|it| it.iter()), ground);
    all
}

/// A set of what `first` has and none of `others`.
pub fn difference(first: &Set, others: &[&Set], ground: &Ground) -> Set {
    let mut rest = Set::default();
    if others.iter().any(|it| std::ptr::eq(*it, first)) {
        return rest;
    }
    // Either each member of the first is looked for in the others, until it is met, or all of the
    // others are taken out of a copy. A search may end early, hence the halving.
    let searches = first.len() * (others.len() + 1) / 2;
    let takings: usize = first.len() + others.iter().map(|it| it.len()).sum::<usize>();
    match searches <= takings {
        true => {
            let mut others = others.to_vec();
            others.sort_by_key(|it| std::cmp::Reverse(it.len()));
            let alone = first.iter().filter(|it| !others.iter().any(|set| set.has(*it, ground)));
            add(&mut rest, alone, ground);
        }
        false => {
            add(&mut rest, first.iter(), ground);
            for member in others.iter().flat_map(|it| it.iter()) {
                rest.remove(member, ground);
            }
        }
    }
    rest
}

fn add<'s>(set: &mut Set, members: impl Iterator<Item = Element<'s>>, ground: &Ground) {
    members.for_each(|it| {
        set.add(it, ground);
    });
}
