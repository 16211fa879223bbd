//! A table made at once of all that is to be in it: no segment grows or splits on the way.

use super::segment::{ROOM_MAX, Segment, with_slack};
use super::{Slot, Table, leading};
use std::iter;

/// Entries of a segment on average, at most: some more than that many find room.
const ENTRIES: usize = 288;
const _: () = assert!(ENTRIES * 4 <= ROOM_MAX * 3);

impl<S: Slot> Table<S> {
    /// A table of these entries, in any order; quickest in hash order. Of several that have the
    /// same key it keeps one, which its length then tells.
    pub fn of(mut entries: Vec<S>) -> Table<S> {
        if entries.is_empty() {
            return Table::new();
        }
        let pieces = entries.len().div_ceil(ENTRIES).next_power_of_two();
        let depth = pieces.trailing_zeros();
        if !entries.is_sorted_by_key(hash_of) {
            entries = in_hash_order(entries, depth);
        }
        let mut table = Table {
            directory: (0..pieces as u32).collect(),
            segments: Vec::with_capacity(pieces),
            depth,
            deepest: pieces,
            len: 0,
            slots: 0,
            widest: 0,
        };
        // What cannot be told apart by its hash must be compared, and what a segment has no room
        // for splits it.
        let (mut rest, mut sorted) = (Vec::new(), entries.into_iter().peekable());
        for piece in 0..pieces {
            let is_here = |it: &S| leading(hash_of(it), depth) == piece;
            let mut here: Vec<S> = Vec::with_capacity(ROOM_MAX);
            while let Some(slot) = sorted.next_if(is_here) {
                let is_same = here.last().is_some_and(|it| hash_of(it) == hash_of(&slot));
                let place = if is_same || here.len() == ROOM_MAX { &mut rest } else { &mut here };
                place.push(slot);
            }
            table.len += here.len();
            let first = ((piece as u64) << (32 - depth)) as u32;
            let room = with_slack(here.len()).min(ROOM_MAX);
            table.add_segment(Segment::build(first, depth, room, here.into_iter()));
        }
        for slot in rest {
            table.insert(slot);
        }
        table
    }
}

fn hash_of<S: Slot>(slot: &S) -> u32 {
    slot.hash().expect("an entry has a hash")
}

/// First by their leading bits, in one walk, then those that share them.
fn in_hash_order<S: Slot>(entries: Vec<S>, depth: u32) -> Vec<S> {
    let mut ends = vec![0; 1 << depth];
    entries.iter().for_each(|it| ends[leading(hash_of(it), depth)] += 1);
    let mut sum = 0;
    for end in &mut ends {
        (*end, sum) = (sum, sum + *end);
    }
    let mut sorted: Vec<S> = iter::repeat_with(S::empty).take(entries.len()).collect();
    for slot in entries {
        let place = &mut ends[leading(hash_of(&slot), depth)];
        sorted[*place] = slot;
        *place += 1;
    }
    let mut start = 0;
    for end in ends {
        sorted[start..end].sort_unstable_by_key(hash_of);
        start = end;
    }
    sorted
}
