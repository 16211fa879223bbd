//! Strings that Redis has compressed with LZF.
//!
//! ```text
//! 000lllll  l + 1 bytes                    these bytes
//! llldddddd dddddddd                       l + 2 bytes from d + 1 back, l from 1 to 6
//! 111ddddd  llllllll dddddddd              l + 9 bytes from d + 1 back
//! ```

use super::Broken;
use crate::base::limits::BULK_BYTES_MAX;

/// What the three bytes of the longest repetition become.
const EXPANSION_MAX: usize = 264;
/// So much is reserved for what is announced before it is there.
const RESERVED_BYTES_MAX: usize = 1 << 10;
const LITERAL_MAX: u8 = 0x1F;
const LONG: u8 = 7;

/// The `len` bytes that `packed` stands for. Grows with what is really there, not with what is
/// announced; refuses what no string may be and what so few bytes cannot stand for.
pub fn decompress(packed: &[u8], len: usize) -> Result<Vec<u8>, Broken> {
    if !may_expand(packed.len(), len) {
        return Err(Broken);
    }
    let mut out = Vec::with_capacity(len.min(RESERVED_BYTES_MAX));
    let taken = decompress_more(packed, &mut out, len)?;
    if taken == packed.len() && out.len() == len { Ok(out) } else { Err(Broken) }
}

/// Bytes of an instruction that begins with this one.
pub fn instruction_size(tag: u8) -> usize {
    match tag {
        ..=LITERAL_MAX => usize::from(tag) + 2,
        _ if tag >> 5 == LONG => 3,
        _ => 2,
    }
}

/// Goes on behind what has come out before, as far as there are whole instructions in `packed`.
/// Answers how many bytes they took. What comes out in the end has `len` bytes.
pub fn decompress_more(packed: &[u8], out: &mut Vec<u8>, len: usize) -> Result<usize, Broken> {
    let mut rest = packed;
    while let Some((&tag, behind)) = rest.split_first() {
        if rest.len() < instruction_size(tag) {
            break;
        }
        rest = match tag {
            ..=LITERAL_MAX => {
                let (text, behind) = behind.split_at_checked(usize::from(tag) + 1).ok_or(Broken)?;
                out.extend_from_slice(text);
                behind
            }
            _ => repeat(out, tag, behind)?,
        };
        if len < out.len() {
            return Err(Broken);
        }
    }
    Ok(packed.len() - rest.len())
}

/// Whether so many bytes can stand for `len`.
pub fn may_expand(packed: usize, len: usize) -> bool {
    len <= BULK_BYTES_MAX && len <= packed.saturating_mul(EXPANSION_MAX)
}

/// Appends what has been before. Answers what is left to read.
fn repeat<'a>(out: &mut Vec<u8>, tag: u8, rest: &'a [u8]) -> Result<&'a [u8], Broken> {
    let (extra, rest) = match tag >> 5 {
        LONG => rest.split_first().map(|(it, rest)| (usize::from(*it), rest)).ok_or(Broken)?,
        _ => (0, rest),
    };
    let (&low, rest) = rest.split_first().ok_or(Broken)?;
    let count = usize::from(tag >> 5) + extra + 2;
    let back = (usize::from(tag & LITERAL_MAX) << 8 | usize::from(low)) + 1;
    let from = out.len().checked_sub(back).ok_or(Broken)?;
    let mut left = count;
    while left != 0 {
        // It may repeat what it is just appending: each time there is twice as much of that.
        let len = left.min(out.len() - from);
        out.extend_from_within(from..from + len);
        left -= len;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_and_repetitions_come_out() {
        assert_eq!(decompress(b"\x02abc", 3).unwrap(), b"abc");
        assert_eq!(decompress(b"\x00a\x20\x00", 4).unwrap(), b"aaaa");
        assert_eq!(decompress(b"\x01ab\xE0\x00\x01", 11).unwrap(), b"abababababa");
        assert_eq!(decompress(b"\x00a\xE0\xFF\x00", 265).unwrap(), vec![b'a'; 265]);
    }

    #[test]
    fn lies_about_lengths_and_places_are_refused() {
        for (packed, len) in [
            (&b"\x02abc"[..], 4),
            (b"\x02abc", 2),
            (b"\x02ab", 2),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xE0", 4),
            (b"\x00a", usize::MAX),
        ] {
            assert!(decompress(packed, len).is_err(), "{packed:?} {len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_within_their_bounds(packed: Vec<u8>, len in 0..100_000_usize) {
            if let Ok(out) = decompress(&packed, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
