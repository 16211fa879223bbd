//! Bits of bytes: counted by vectors of bytes, found by words of eight, and combined block by
//! block, in loops that the compiler makes vectors of.

use std::ops::Range;

/// What the ends of a span are given in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    Byte,
    Bit,
}

/// Bits that are looked at, by their numbers; never none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span(Range<u64>);

impl Span {
    /// All bits of a string; of an empty one none.
    pub fn all(string: &[u8]) -> Span {
        Span(0..string.len() as u64 * 8)
    }

    /// From `start` to `end` inclusive; negative ones count from the end of the string. `None` when
    /// nothing lies between them.
    pub fn new(string: &[u8], start: i64, end: i64, unit: Unit) -> Option<Span> {
        let bits = string.len() as i64 * 8;
        let (total, each) = match unit {
            Unit::Byte => (string.len() as i64, 8),
            Unit::Bit => (bits, 1),
        };
        let place = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
        let (start, end) = (place(start), place(end).min(total - 1));
        (start <= end).then(|| Span(start as u64 * each..(end as u64 + 1) * each))
    }
}

/// The bit of this number; behind the end all are clear.
pub fn get(string: &[u8], at: u64) -> bool {
    let byte = usize::try_from(at / 8).ok().and_then(|it| string.get(it));
    byte.is_some_and(|it| it & (0x80 >> (at % 8)) != 0)
}

/// How many bits of a span are set.
pub fn count(string: &[u8], Span(span): Span) -> u64 {
    let (first, last) = (span.start.div_ceil(8), span.end / 8);
    if last < first {
        // It lies within one byte.
        return span.filter(|it| get(string, *it)).count() as u64;
    }
    let whole = simd_popcnt::popcnt(&string[first as usize..last as usize]);
    let edges = (span.start..first * 8).chain(last * 8..span.end);
    whole + edges.filter(|it| get(string, *it)).count() as u64
}

/// Eight bytes, in whatever order.
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

/// The first bit of a span that is set, or that is clear.
pub fn position(string: &[u8], Span(span): Span, is_set: bool) -> Option<u64> {
    let (first, last) = (span.start.div_ceil(8), span.end / 8);
    let is_it = |it: &u64| get(string, *it) == is_set;
    if last < first {
        return { span }.find(is_it);
    }
    let whole = || {
        let bytes = &string[first as usize..last as usize];
        let (all, byte) = if is_set { (0, 0) } else { (u64::MAX, u8::MAX) };
        let skipped = bytes.chunks_exact(8).take_while(|it| word(it) == all).count() * 8;
        let found = bytes[skipped..].iter().position(|it| *it != byte)?;
        let at = first + (skipped + found) as u64;
        let byte = string[at as usize];
        let ahead = if is_set { byte.leading_zeros() } else { byte.leading_ones() };
        Some(at * 8 + u64::from(ahead))
    };
    (span.start..first * 8).find(is_it).or_else(whole).or_else(|| (last * 8..span.end).find(is_it))
}

/// How strings are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    And,
    Or,
    Xor,
    Not,
}

/// How many bytes are combined at a time: they stay in the nearest cache until all strings have had
/// their part in them, so that each string is read once and the result written once.
const BLOCK_BYTES: usize = 4 << 10;

/// These strings combined in `made`, whatever that holds: as long as the longest, the others being
/// followed by clear bits.
pub fn combine(op: Op, strings: &[&[u8]], made: &mut Vec<u8>) {
    made.clear();
    let Some((first, others)) = strings.split_first() else { return };
    let len = strings.iter().map(|it| it.len()).max().unwrap_or(0);
    made.reserve_exact(len);
    for from in (0..len).step_by(BLOCK_BYTES) {
        let to = (from + BLOCK_BYTES).min(len);
        let part = |it: &'_ [u8]| it.len().min(from)..it.len().min(to);
        made.extend_from_slice(&first[part(first)]);
        made.resize(to, 0);
        let block = &mut made[from..];
        match op {
            Op::Not => block.iter_mut().for_each(|it| *it = !*it),
            Op::And => others.iter().for_each(|other| {
                let other = &other[part(other)];
                block[other.len()..].fill(0);
                block.iter_mut().zip(other).for_each(|(it, other)| *it &= other);
            }),
            Op::Or => others.iter().for_each(|other| {
                block.iter_mut().zip(&other[part(other)]).for_each(|(it, other)| *it |= other);
            }),
            Op::Xor => others.iter().for_each(|other| {
                block.iter_mut().zip(&other[part(other)]).for_each(|(it, other)| *it ^= other);
            }),
        }
    }
}
