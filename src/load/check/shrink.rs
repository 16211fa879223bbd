//! A history that is not linearizable, made as small as it can be.

use super::event::Event;
use super::search::{Answer, Starts, search};
use std::collections::HashSet;

/// Searches made at most; past it what has been reached is shown.
const SEARCHES_MAX: usize = 5_000;

/// The smallest part found of a history that is not linearizable either: without any one of its
/// events (a write goes with its reads) there would be an order.
pub fn minimal(events: &[Event], starts: &Starts) -> Vec<Event> {
    let mut left = SEARCHES_MAX;
    let mut is_impossible = |part: &[Event]| {
        left = left.saturating_sub(1);
        0 < left && search(part, starts) == Answer::Impossible
    };
    let mut kept = shortest_beginning(events, &mut is_impossible);
    let mut size = kept.len().div_ceil(2);
    while 0 < size {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < kept.len() {
            let part = without(&kept, at..kept.len().min(at + size));
            if is_impossible(&part) {
                kept = part;
                has_shrunk = true;
            } else {
                at += size;
            }
        }
        if !has_shrunk || 1 < size {
            size /= 2;
        }
    }
    kept
}

/// The events up to the first end after which there is no order any more.
fn shortest_beginning(
    events: &[Event],
    is_impossible: &mut impl FnMut(&[Event]) -> bool,
) -> Vec<Event> {
    let mut ordered = events.to_vec();
    ordered.sort_by_key(Event::place);
    let (mut possible, mut impossible) = (0, ordered.len());
    while possible + 1 < impossible {
        let middle = usize::midpoint(possible, impossible);
        if is_impossible(&with_writes(&ordered, middle)) {
            impossible = middle;
        } else {
            possible = middle;
        }
    }
    with_writes(&ordered, impossible)
}

/// The first `n` events, and those of the others that wrote what the first read.
fn with_writes(events: &[Event], n: usize) -> Vec<Event> {
    let read: HashSet<u64> = events[..n].iter().filter_map(Event::version_read).collect();
    let is_read = |it: &&Event| it.version_written().is_some_and(|it| read.contains(&it));
    events[..n].iter().chain(events[n..].iter().filter(is_read)).copied().collect()
}

/// The events without those in `range`, and without the reads of what those wrote.
fn without(events: &[Event], range: std::ops::Range<usize>) -> Vec<Event> {
    let gone: HashSet<u64> =
        events[range.clone()].iter().filter_map(Event::version_written).collect();
    let stays = |(at, event): &(usize, &Event)| {
        !range.contains(at) && event.version_read().is_none_or(|it| !gone.contains(&it))
    };
    events.iter().enumerate().filter(stays).map(|(_, it)| *it).collect()
}
