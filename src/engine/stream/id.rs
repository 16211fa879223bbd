//! The id of an entry: a time with a sequence number, and how clients spell it.

use crate::base::number::{parse_i64, parse_u64};
use std::fmt;

/// Longer texts are no ids.
const TEXT_BYTES_MAX: usize = 127;

/// Ordered as the entries are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct StreamId {
    /// Milliseconds, usually since 1970.
    pub ms: u64,
    /// Tells ids of one millisecond apart.
    pub seq: u64,
}

/// What XADD is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddId {
    /// `*`: any that is greater than all before.
    Auto,
    /// `ms-*`: the next one of this millisecond.
    NextOf(u64),
    /// This one. Without a sequence number, that is 0.
    Exact(StreamId),
}

/// Why a bound of a range is none. Each has Redis' text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadBound {
    /// It is no id.
    Id,
    /// `(` before the greatest id of all: nothing comes after it.
    Start,
    /// `(` before `0-0`: nothing comes before it.
    End,
}

impl BadBound {
    /// The error that a client gets, without its prefix `ERR`.
    pub fn text(self) -> &'static str {
        match self {
            BadBound::Id => StreamId::INVALID,
            BadBound::Start => "invalid start ID for the interval",
            BadBound::End => "invalid end ID for the interval",
        }
    }
}

impl StreamId {
    /// `0-0`, which no entry has.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// After it there is no other.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };
    /// The error for what is no id, without its prefix `ERR`.
    pub const INVALID: &'static str = "Invalid stream ID specified as stream command argument";
    /// Bytes of [`StreamId::to_bytes`].
    pub const BYTES: usize = 16;

    /// Of these numbers.
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The next greater id.
    pub fn next(self) -> Option<StreamId> {
        match (self.ms, self.seq.checked_add(1)) {
            (ms, Some(seq)) => Some(StreamId { ms, seq }),
            (ms, None) => Some(StreamId { ms: ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The next smaller id.
    pub fn prev(self) -> Option<StreamId> {
        match (self.ms, self.seq.checked_sub(1)) {
            (ms, Some(seq)) => Some(StreamId { ms, seq }),
            (ms, None) => Some(StreamId { ms: ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Big-endian, as it stands in RDB files.
    pub fn to_bytes(self) -> [u8; StreamId::BYTES] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// See [`StreamId::to_bytes`].
    pub fn from_bytes(bytes: [u8; StreamId::BYTES]) -> StreamId {
        let both = u128::from_be_bytes(bytes);
        StreamId { ms: (both >> 64) as u64, seq: both as u64 }
    }

    /// Reads `ms-seq`, or `ms` with a sequence number that is filled in. Neither `-` nor `+` is an
    /// id here: XACK, XCLAIM, XDEL, XREAD, XGROUP, XSETID, MINID.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        let text = c_text(text)?;
        let (ms, seq) = split(text);
        let seq = seq.map_or(Some(missing_seq), number);
        Some(StreamId { ms: number(ms)?, seq: seq? })
    }

    /// Reads the bound from which a range goes on, itself included: XRANGE, XPENDING, XAUTOCLAIM.
    pub fn parse_start(text: &[u8]) -> Result<StreamId, BadBound> {
        match exclusive(text) {
            Some(text) => {
                let id = StreamId::parse(text, 0).ok_or(BadBound::Id)?;
                id.next().ok_or(BadBound::Start)
            }
            None => StreamId::parse_bound(text, 0),
        }
    }

    /// Reads the bound to which a range goes, itself included.
    pub fn parse_end(text: &[u8]) -> Result<StreamId, BadBound> {
        match exclusive(text) {
            Some(text) => {
                let id = StreamId::parse(text, u64::MAX).ok_or(BadBound::Id)?;
                id.prev().ok_or(BadBound::End)
            }
            None => StreamId::parse_bound(text, u64::MAX),
        }
    }

    fn parse_bound(text: &[u8], missing_seq: u64) -> Result<StreamId, BadBound> {
        match c_text(text).ok_or(BadBound::Id)? {
            b"-" => Ok(StreamId::MIN),
            b"+" => Ok(StreamId::MAX),
            _ => StreamId::parse(text, missing_seq).ok_or(BadBound::Id),
        }
    }
}

impl AddId {
    /// Reads the id of XADD.
    pub fn parse(text: &[u8]) -> Option<AddId> {
        if text == b"*" {
            return Some(AddId::Auto);
        }
        match split(c_text(text)?) {
            (ms, Some(b"*")) => number(ms).map(AddId::NextOf),
            _ => StreamId::parse(text, 0).map(AddId::Exact),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// An id as text, kept on the stack.
pub struct IdText {
    bytes: [u8; IdText::BYTES_MAX],
    len: u8,
}

impl IdText {
    /// Two numbers of 20 digits.
    const BYTES_MAX: usize = 41;
}

impl StreamId {
    /// As clients get it.
    pub fn text(self) -> IdText {
        let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (ms, seq) = (ms.format(self.ms).as_bytes(), seq.format(self.seq).as_bytes());
        let (middle, len) = (ms.len() + 1, ms.len() + 1 + seq.len());
        let mut bytes = [b'-'; IdText::BYTES_MAX];
        bytes[..ms.len()].copy_from_slice(ms);
        bytes[middle..len].copy_from_slice(seq);
        IdText { bytes, len: len as u8 }
    }
}

impl std::ops::Deref for IdText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What C would see of a text: it ends before its first zero byte.
fn c_text(text: &[u8]) -> Option<&[u8]> {
    if TEXT_BYTES_MAX < text.len() {
        return None;
    }
    text.split(|it| *it == 0).next()
}

fn exclusive(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"(").filter(|it| !it.is_empty())
}

fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|it| *it == b'-') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// A number as Redis reads it here: in its canonical spelling if it is not negative, and any other
/// that C's `strtoull` takes whole.
fn number(text: &[u8]) -> Option<u64> {
    match parse_i64(text) {
        Some(number) => u64::try_from(number).ok(),
        None => parse_u64(text).or_else(|| loose_number(text)),
    }
}

/// Spaces, a sign and zeros may lead; what is negative wraps around.
fn loose_number(text: &[u8]) -> Option<u64> {
    let text = &text[text.iter().take_while(|it| matches!(it, b' ' | 9..=13)).count()..];
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let zeros = digits.iter().take_while(|it| **it == b'0').count();
    let size = match &digits[zeros..] {
        [] if zeros != 0 => 0,
        rest => parse_u64(rest)?,
    };
    Some(if is_negative { size.wrapping_neg() } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> Option<StreamId> {
        Some(StreamId { ms, seq })
    }

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let parse = |text: &[u8]| StreamId::parse(text, 7);
        for good in [&b"5"[..], b"005", b"+5", b" 5", b"5\0abc", b"5\0-9"] {
            assert_eq!(parse(good), id(5, 7), "{}", good.escape_ascii());
        }
        for good in [&b"5-1"[..], b"5-+1", b"5-01", b"5-  1", b"5-\t1", b"5-1\0"] {
            assert_eq!(parse(good), id(5, 1), "{}", good.escape_ascii());
        }
        assert_eq!(parse(b"5--01"), id(5, u64::MAX));
        assert_eq!(parse(b"5--00"), id(5, 0));
        assert_eq!(parse(b"5--18446744073709551615"), id(5, 1));
        assert_eq!(parse(&[b"0".repeat(126), b"5".to_vec()].concat()), id(5, 7));
        for bad in [
            &b""[..],
            b"-",
            b"+",
            b"-5",
            b"5-",
            b"5 ",
            b"(5",
            b"x",
            b"*",
            b"5-*",
            b"$",
            b">",
            b"5--1",
            b"5-1-1",
            b"18446744073709551616",
            b"5-18446744073709551616",
            b"1e3",
            b"0x5",
            b"-05",
            b"5- ",
            b"5-+",
            b"5-+-1",
            b"5-\0",
            b"\0",
        ] {
            assert_eq!(parse(bad), None, "{}", bad.escape_ascii());
        }
        assert_eq!(parse(&[b"0".repeat(127), b"5".to_vec()].concat()), None);
    }

    #[test]
    fn bounds_may_exclude_and_be_open() {
        assert_eq!(StreamId::parse_start(b"-"), Ok(StreamId::MIN));
        assert_eq!(StreamId::parse_end(b"+"), Ok(StreamId::MAX));
        assert_eq!(StreamId::parse_start(b"+\0"), Ok(StreamId::MAX));
        assert_eq!(StreamId::parse_start(b"(5"), Ok(StreamId::new(5, 1)));
        assert_eq!(StreamId::parse_end(b"(5"), Ok(StreamId::new(5, u64::MAX - 1)));
        assert_eq!(StreamId::parse_end(b"(5-0"), Ok(StreamId::new(4, u64::MAX)));
        assert_eq!(StreamId::parse_end(b"(0-0"), Err(BadBound::End));
        let last = b"(18446744073709551615-18446744073709551615";
        assert_eq!(StreamId::parse_start(last), Err(BadBound::Start));
        for bad in [&b"("[..], b"(-", b"(+", b"((5", b"(\x005"] {
            assert_eq!(StreamId::parse_start(bad), Err(BadBound::Id));
            assert_eq!(StreamId::parse_end(bad), Err(BadBound::Id));
        }
    }

    #[test]
    fn xadd_may_leave_parts_of_the_id_open() {
        assert_eq!(AddId::parse(b"*"), Some(AddId::Auto));
        assert_eq!(AddId::parse(b"5-*"), Some(AddId::NextOf(5)));
        assert_eq!(AddId::parse(b"5-*\0"), Some(AddId::NextOf(5)));
        assert_eq!(AddId::parse(b"5"), Some(AddId::Exact(StreamId::new(5, 0))));
        assert_eq!([AddId::parse(b"*\0"), AddId::parse(b"-*"), AddId::parse(b"-")], [None; 3]);
    }

    #[test]
    fn ids_have_neighbours_and_texts() {
        let ids = [StreamId::MIN, StreamId::new(3, u64::MAX), StreamId::new(4, 0), StreamId::MAX];
        for id in ids {
            assert!(id.next().is_none_or(|it| id < it && it.prev() == Some(id)));
            assert!(id.prev().is_none_or(|it| it < id && it.next() == Some(id)));
            assert_eq!(&*id.text(), id.to_string().as_bytes());
            assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
        }
    }
}
