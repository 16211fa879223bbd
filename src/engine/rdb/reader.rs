//! A cursor over bytes that nobody has checked: lengths, strings and numbers.

use super::Broken;
use super::compressed::decompress;
use crate::base::limits::BULK_BYTES_MAX;
use std::borrow::Cow;

/// What the two top bits of a length say, and what is below them.
const SIX_BITS: u8 = 0x3F;
const LEN_14: u8 = 0b01;
const LEN_WIDE: u8 = 0b10;
const LEN_32: u8 = 0x80;
const LEN_64: u8 = 0x81;
const INT_8: u64 = 0;
const INT_16: u64 = 1;
const INT_32: u64 = 2;
const COMPRESSED: u64 = 3;

/// A length, or how a string without one is encoded.
enum Head {
    Len(u64),
    Encoded(u64),
}

/// Reads from left to right.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the first of these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes so many bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Broken)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes so many bytes.
    pub fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Broken)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes a byte.
    pub fn byte(&mut self) -> Result<u8, Broken> {
        self.chunk().map(|[it]| it)
    }

    /// Takes a little-endian integer of up to eight bytes.
    pub fn int<const N: usize>(&mut self) -> Result<i64, Broken> {
        let mut padded = [0; 8];
        padded[8 - N..].copy_from_slice(&self.chunk::<N>()?);
        Ok(i64::from_le_bytes(padded) >> (64 - 8 * N))
    }

    /// Takes a double in binary.
    pub fn double(&mut self) -> Result<f64, Broken> {
        self.chunk().map(f64::from_le_bytes)
    }

    /// Takes a length or a count, which may be anything.
    pub fn length(&mut self) -> Result<u64, Broken> {
        match self.head()? {
            Head::Len(len) => Ok(len),
            Head::Encoded(_) => Err(Broken),
        }
    }

    /// Takes a string and shows it. An integer is spelled on the stack.
    #[inline]
    pub fn show_string<R>(&mut self, show: impl FnOnce(&[u8]) -> R) -> Result<R, Broken> {
        if let Some(len @ 0..=SIX_BITS) = self.rest.first().copied() {
            self.byte()?;
            return self.take(len.into()).map(show);
        }
        match self.head()? {
            Head::Len(len) => self.take(bytes(len)?).map(show),
            Head::Encoded(COMPRESSED) => self.compressed().map(|it| show(&it)),
            Head::Encoded(kind) => {
                let int = self.encoded_int(kind)?;
                Ok(show(itoa::Buffer::new().format(int).as_bytes()))
            }
        }
    }

    /// Takes a string.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        match self.head()? {
            Head::Len(len) => self.take(bytes(len)?).map(Cow::Borrowed),
            Head::Encoded(COMPRESSED) => self.compressed().map(Cow::Owned),
            Head::Encoded(kind) => {
                let int = self.encoded_int(kind)?;
                Ok(Cow::Owned(itoa::Buffer::new().format(int).as_bytes().to_vec()))
            }
        }
    }

    fn encoded_int(&mut self, kind: u64) -> Result<i64, Broken> {
        match kind {
            INT_8 => self.int::<1>(),
            INT_16 => self.int::<2>(),
            INT_32 => self.int::<4>(),
            _ => Err(Broken),
        }
    }

    fn compressed(&mut self) -> Result<Vec<u8>, Broken> {
        let (packed, len) = (bytes(self.length()?)?, bytes(self.length()?)?);
        decompress(self.take(packed)?, len)
    }

    fn head(&mut self) -> Result<Head, Broken> {
        let first = self.byte()?;
        let low = u64::from(first & SIX_BITS);
        Ok(Head::Len(match (first >> 6, first) {
            (0, _) => low,
            (LEN_14, _) => low << 8 | u64::from(self.byte()?),
            (LEN_WIDE, LEN_32) => u32::from_be_bytes(self.chunk()?).into(),
            (LEN_WIDE, LEN_64) => u64::from_be_bytes(self.chunk()?),
            (LEN_WIDE, _) => return Err(Broken),
            _ => return Ok(Head::Encoded(low)),
        }))
    }
}

/// The length of a string, which has a bound.
fn bytes(len: u64) -> Result<usize, Broken> {
    usize::try_from(len).ok().filter(|it| *it <= BULK_BYTES_MAX).ok_or(Broken)
}
