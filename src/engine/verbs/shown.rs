//! How entries of two halves (field and value, member and score) are shown: alone or in pairs.

use crate::resp::{Protocol, Reply};

/// What of an entry a reply shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Its name.
    Names,
    /// Its name and what belongs to it.
    Pairs,
}

/// The header of a reply of `count` entries.
pub fn open(count: usize, shown: Shown, reply: &mut Reply) {
    match (shown, reply.protocol()) {
        (Shown::Pairs, Protocol::Resp2) => reply.array(2 * count),
        _ => reply.array(count),
    }
}

/// The header of one entry: RESP3 keeps pairs together.
pub fn open_entry(shown: Shown, reply: &mut Reply) {
    if let (Shown::Pairs, Protocol::Resp3) = (shown, reply.protocol()) {
        reply.array(2);
    }
}
