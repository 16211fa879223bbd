//! Sorting what was found. Where distances are equal, the order of Redis is that of its two sorts:
//! one keeps what came first in front; the other, for a few out of many, moves such elements about,
//! so that its steps have to be repeated to come to the same end (Bentley and McIlroy, "Engineering
//! a Sort Function", 1993, whose parts beyond the wanted ones are left as they are).

use std::cmp::Ordering;

/// So few are put in order one by one.
const FEW: usize = 7;
/// Among so many, a pivot is looked for in nine places.
const MANY: usize = 40;
/// How many times each element may be looked at, before what is left is sorted in another way: no
/// order in which elements come makes it take for ever.
const LOOKS_MAX: usize = 64;

/// Brings the first `wanted` elements to the front, in order; `wanted` or all. The rest comes in
/// any order.
pub fn sort_first<T>(items: &mut [T], wanted: usize, order: impl Fn(&T, &T) -> Ordering) {
    if items.len() <= wanted {
        return items.sort_by(order);
    }
    let mut looks = items.len().saturating_mul(LOOKS_MAX);
    let whole = 0..items.len();
    let mut parts = Vec::from([whole]);
    while let Some(part) = parts.pop() {
        let items = &mut items[part.clone()];
        let left = looks.checked_sub(part.len());
        if left.is_none() || part.len() < FEW {
            items.sort_by(&order);
            continue;
        }
        looks = left.unwrap_or(0);
        let (lower, higher) = split(items, &order);
        let behind = part.end - higher..part.end;
        if 1 < higher && behind.start < wanted {
            parts.push(behind);
        }
        if 1 < lower {
            parts.push(part.start..part.start + lower);
        }
    }
}

/// Moves what is lower than a pivot to the front and what is higher to the end; answers how many
/// these are.
fn split<T>(items: &mut [T], order: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    items.swap(0, pivot(items, order));
    let end = items.len();
    // Equal ones are gathered before `equal` and behind `equal_end`; `low` and `high` meet.
    let (mut equal, mut low, mut high, mut equal_end) = (1, 1, end - 1, end - 1);
    loop {
        while low <= high && order(&items[low], &items[0]).is_le() {
            if order(&items[low], &items[0]).is_eq() {
                items.swap(equal, low);
                equal += 1;
            }
            low += 1;
        }
        while low <= high && order(&items[high], &items[0]).is_ge() {
            if order(&items[high], &items[0]).is_eq() {
                items.swap(high, equal_end);
                equal_end -= 1;
            }
            high -= 1;
        }
        if high < low {
            break;
        }
        items.swap(low, high);
        low += 1;
        high -= 1;
    }
    let (lower, higher) = (low - equal, equal_end - high);
    exchange(items, 0, low, equal.min(lower));
    exchange(items, low, end, higher.min(end - 1 - equal_end));
    (lower, higher)
}

/// Exchanges the `len` elements from `start` on with those before `end`.
fn exchange<T>(items: &mut [T], start: usize, end: usize, len: usize) {
    (0..len).for_each(|it| items.swap(start + it, end - len + it));
}

/// Where an element stands that is likely to be in the middle.
fn pivot<T>(items: &[T], order: &impl Fn(&T, &T) -> Ordering) -> usize {
    let (last, middle, step) = (items.len() - 1, items.len() / 2, items.len() / 8);
    let of_three = |it: [usize; 3]| median(items, it, order);
    if items.len() <= FEW {
        return middle;
    }
    if items.len() <= MANY {
        return of_three([0, middle, last]);
    }
    of_three([
        of_three([0, step, 2 * step]),
        of_three([middle - step, middle, middle + step]),
        of_three([last - 2 * step, last - step, last]),
    ])
}

/// The place of the middle one of three; which one of equal ones is part of the order.
fn median<T>(items: &[T], [a, b, c]: [usize; 3], order: &impl Fn(&T, &T) -> Ordering) -> usize {
    let of = |one: usize, other: usize| order(&items[one], &items[other]);
    if of(a, b).is_lt() {
        match of(b, c) {
            Ordering::Less => b,
            _ if of(a, c).is_lt() => c,
            _ => a,
        }
    } else {
        match of(b, c) {
            Ordering::Greater => b,
            _ if of(a, c).is_lt() => a,
            _ => c,
        }
    }
}
