//! How far lengths, strings and whole values reach, found out before all of their bytes are there.

use super::layout::{Layout, Part};
use super::{Broken, Reader};
use crate::base::limits::BULK_BYTES_MAX;

/// How far something reaches that begins with certain bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// So many of them belong to it.
    Whole(usize),
    /// There must be at least so many of them to tell.
    Wants(usize),
}

/// A string's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    /// A string as it is: bytes of the head, and of the text behind it.
    Raw(usize, usize),
    /// A compressed string: bytes of the head, of what is behind it, and of the text.
    Compressed(usize, usize, usize),
    /// An integer: bytes of all of it.
    Int(usize),
    /// There must be at least so many bytes to tell.
    Wants(usize),
}

/// How far these parts reach, one behind the other.
#[inline]
pub fn reach(bytes: &[u8], parts: &[Part]) -> Result<Reach, Broken> {
    let mut at = 0;
    for part in parts {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = match part {
            Part::Fixed(len) => *len,
            Part::Length => match rest.first() {
                None => 1,
                Some(tag) => length_size(*tag)?,
            },
            Part::Score => match rest.first() {
                Some(len @ ..=SCORE_TEXT_MAX) => 1 + usize::from(*len),
                _ => 1,
            },
            Part::String => match head(rest)? {
                Head::Wants(len) => return Ok(Reach::Wants(at + len)),
                Head::Raw(head, text) => head + text,
                Head::Compressed(head, packed, _) => head + packed,
                Head::Int(len) => len,
            },
        };
        if rest.len() < len {
            return Ok(Reach::Wants(at + len));
        }
        at += len;
    }
    Ok(Reach::Whole(at))
}

/// Spelled scores that are longer are the three special ones.
const SCORE_TEXT_MAX: u8 = 252;
const SIX_BITS: u8 = 0x3F;
const COMPRESSED: u8 = 0xC3;

/// What a string begins with.
pub fn head(bytes: &[u8]) -> Result<Head, Broken> {
    match bytes.first() {
        None => Ok(Head::Wants(1)),
        Some(short @ 0..=SIX_BITS) => Ok(Head::Raw(1, usize::from(*short))),
        Some(0xC0) => Ok(Head::Int(2)),
        Some(0xC1) => Ok(Head::Int(3)),
        Some(0xC2) => Ok(Head::Int(5)),
        Some(&COMPRESSED) => compressed_head(bytes),
        Some(tag @ ..0xC0) => {
            let size = length_size(*tag)?;
            match bytes.get(..size) {
                None => Ok(Head::Wants(size)),
                Some(length) => Ok(Head::Raw(size, string_len(Reader::new(length).length()?)?)),
            }
        }
        Some(_) => Err(Broken),
    }
}

fn compressed_head(bytes: &[u8]) -> Result<Head, Broken> {
    let lengths = [Part::Length, Part::Length];
    match reach(&bytes[1..], &lengths)? {
        Reach::Wants(len) => Ok(Head::Wants(1 + len)),
        Reach::Whole(len) => {
            let mut input = Reader::new(&bytes[1..]);
            let (packed, text) = (string_len(input.length()?)?, string_len(input.length()?)?);
            Ok(Head::Compressed(1 + len, packed, text))
        }
    }
}

/// The length of a string, which has a bound.
fn string_len(len: u64) -> Result<usize, Broken> {
    usize::try_from(len).ok().filter(|it| *it <= BULK_BYTES_MAX).ok_or(Broken)
}

/// Bytes of a length that begins with this one.
fn length_size(tag: u8) -> Result<usize, Broken> {
    match tag {
        ..0x40 => Ok(1),
        0x40..0x80 => Ok(2),
        0x80 => Ok(5),
        0x81 => Ok(9),
        _ => Err(Broken),
    }
}

/// How far a value reaches. Remembers what it has seen, so that it may ask for more bytes as often
/// as it likes.
#[derive(Default)]
pub struct Extent {
    /// Bytes of the value that have been seen to belong to it.
    len: usize,
    /// Units that are still to come, once their number is known.
    left: Option<u64>,
}

impl Extent {
    /// Looks on over the bytes that a value begins with. `None` if the value has more than `most`
    /// of them, and is one that can be taken unit by unit.
    pub fn go_on(
        &mut self,
        bytes: &[u8],
        layout: Layout,
        most: usize,
    ) -> Result<Option<Reach>, Broken> {
        let mut left = match self.left {
            Some(left) => left,
            None => match reach(bytes, layout.head)? {
                Reach::Wants(len) => return Ok(Some(Reach::Wants(len))),
                Reach::Whole(len) => {
                    self.len = len;
                    layout.count(bytes)?
                }
            },
        };
        while left != 0 {
            if most < self.len {
                return Ok(None);
            }
            match reach(&bytes[self.len..], layout.unit)? {
                Reach::Whole(len) => (self.len, left) = (self.len + len, left - 1),
                Reach::Wants(len) => {
                    self.left = Some(left);
                    return Ok(Some(Reach::Wants(self.len + len)));
                }
            }
        }
        self.left = Some(0);
        Ok(Some(Reach::Whole(self.len)))
    }
}
