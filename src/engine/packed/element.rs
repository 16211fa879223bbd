//! One element of a packed sequence: a text, or an integer in as few bytes as it needs.
//!
//! ```text
//! 0vvvvvvv                    an integer from 0 to 127
//! 10llllll  text              a text of up to 63 bytes
//! 110lllll llllllll  text     up to 8191 bytes
//! 1110nnnn  n bytes           any other integer, little-endian, n from 1 to 8
//! 11110000  4 bytes  text     any other text
//! ```

use crate::base::number;
use crate::resp::Reply;
use std::borrow::Cow;

const TEXT_6: u8 = 0b1000_0000;
const TEXT_13: u8 = 0b1100_0000;
const INT: u8 = 0b1110_0000;
const TEXT_32: u8 = 0b1111_0000;
/// Longest spelling of a 64-bit integer.
const INT_TEXT_BYTES_MAX: usize = 20;

/// An element as it is stored. Every text has one form only: the ones that spell an integer are
/// integers, so that equal texts are equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element<'a> {
    /// Any bytes.
    Text(&'a [u8]),
    /// Bytes that spell this integer.
    Int(i64),
}

impl<'a> Element<'a> {
    /// The form in which `text` is stored.
    #[inline]
    pub fn of(text: &'a [u8]) -> Element<'a> {
        match text.len() {
            1..=INT_TEXT_BYTES_MAX => {
                number::parse_i64(text).map_or(Element::Text(text), Element::Int)
            }
            _ => Element::Text(text),
        }
    }

    /// The form in which it is stored, for a text that may not be in it yet.
    #[inline]
    pub fn settled(self) -> Element<'a> {
        match self {
            Element::Text(text) => Element::of(text),
            number => number,
        }
    }

    /// The integer it spells.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Element::Int(number) => Some(number),
            Element::Text(text) => number::parse_i64(text),
        }
    }

    /// Its bytes as a client knows them.
    pub fn text(self) -> Cow<'a, [u8]> {
        match self {
            Element::Text(text) => Cow::Borrowed(text),
            Element::Int(number) => {
                Cow::Owned(itoa::Buffer::new().format(number).as_bytes().to_vec())
            }
        }
    }

    /// Calls `read` with its bytes as a client knows them, which are spelled on the stack.
    #[inline]
    pub fn with_text<R>(self, read: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Element::Text(text) => read(text),
            Element::Int(number) => read(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// Length of its text.
    pub fn text_len(self) -> usize {
        self.with_text(<[u8]>::len)
    }

    /// Answers it as a bulk string.
    #[inline]
    pub fn answer(self, reply: &mut Reply) {
        self.with_text(|it| reply.bulk(it));
    }

    /// Bytes it takes in a sequence.
    #[inline]
    pub(super) fn size(self) -> usize {
        let head = if self.short_head().is_some() { 1 } else { self.head().len() };
        head + self.body().len()
    }

    /// Everything before the text; an integer's whole form.
    #[inline]
    pub(super) fn head(self) -> Head {
        match self {
            Element::Int(number @ 0..=127) => Head::new(&[number as u8]),
            Element::Int(number) => {
                let len = int_bytes(number);
                Head::tagged(INT | len as u8, &number.to_le_bytes()[..len])
            }
            Element::Text(text) => match text.len() {
                len @ 0..=0x3F => Head::new(&[TEXT_6 | len as u8]),
                len @ 0x40..=0x1FFF => Head::new(&[TEXT_13 | (len >> 8) as u8, len as u8]),
                len => Head::tagged(TEXT_32, &(len as u32).to_le_bytes()),
            },
        }
    }

    /// As [`Element::head`], if that is one byte: of most elements it is.
    #[inline]
    pub(super) fn short_head(self) -> Option<u8> {
        match self {
            Element::Int(number @ 0..=127) => Some(number as u8),
            Element::Text(text) if text.len() <= 0x3F => Some(TEXT_6 | text.len() as u8),
            _ => None,
        }
    }

    /// The text, unless it is an integer.
    #[inline]
    pub(super) fn body(self) -> &'a [u8] {
        match self {
            Element::Text(text) => text,
            Element::Int(_) => &[],
        }
    }

    /// The element that begins `bytes`.
    #[inline]
    pub(in crate::engine) fn read(bytes: &'a [u8]) -> Element<'a> {
        let (head, body) = extent(bytes);
        match bytes[0] {
            number @ ..TEXT_6 => Element::Int(i64::from(number)),
            INT..TEXT_32 => Element::Int(int_of(&bytes[1..head])),
            _ => Element::Text(&bytes[head..head + body]),
        }
    }
}

/// The element that begins `bytes`, and its size.
#[inline]
pub(super) fn read_sized(bytes: &[u8]) -> (Element<'_>, usize) {
    match bytes[0] {
        number @ ..TEXT_6 => (Element::Int(i64::from(number)), 1),
        tag @ TEXT_6..TEXT_13 => {
            let end = 1 + usize::from(tag & 0x3F);
            (Element::Text(&bytes[1..end]), end)
        }
        _ => {
            let (head, body) = extent(bytes);
            (Element::read(bytes), head + body)
        }
    }
}

/// How long the head and the body of the element are that begins `bytes`.
#[inline]
pub(super) fn extent(bytes: &[u8]) -> (usize, usize) {
    match bytes[0] {
        ..TEXT_6 => (1, 0),
        tag @ TEXT_6..TEXT_13 => (1, usize::from(tag & 0x3F)),
        tag @ TEXT_13..INT => (2, usize::from(tag & 0x1F) << 8 | usize::from(bytes[1])),
        tag @ INT..TEXT_32 => (1 + usize::from(tag & 0x0F), 0),
        _ => {
            let len = bytes[1..].first_chunk::<4>().expect("a long text has its length");
            (5, u32::from_le_bytes(*len) as usize)
        }
    }
}

/// Up to nine bytes on the stack.
pub(super) struct Head {
    bytes: [u8; 9],
    len: u8,
}

impl Head {
    fn new(bytes: &[u8]) -> Head {
        let mut head = Head { bytes: [0; 9], len: bytes.len() as u8 };
        head.bytes[..bytes.len()].copy_from_slice(bytes);
        head
    }

    fn tagged(tag: u8, rest: &[u8]) -> Head {
        let mut head = Head { bytes: [tag; 9], len: 1 + rest.len() as u8 };
        head.bytes[1..=rest.len()].copy_from_slice(rest);
        head
    }
}

impl std::ops::Deref for Head {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Bytes that a two's complement of `number` needs.
fn int_bytes(number: i64) -> usize {
    let size = if number < 0 { !number } else { number };
    (u64::BITS - size.leading_zeros()) as usize / 8 + 1
}

fn int_of(bytes: &[u8]) -> i64 {
    let mut padded = [0; 8];
    padded[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(padded) >> (64 - 8 * bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(element: Element<'_>) -> Vec<u8> {
        [&*element.head(), element.body()].concat()
    }

    fn comes_back(text: &[u8]) {
        let bytes = stored(Element::of(text));
        assert_eq!(bytes.len(), Element::of(text).size());
        let (head, body) = extent(&bytes);
        assert_eq!(head + body, bytes.len());
        let element = Element::read(&bytes);
        assert_eq!((&*element.text(), element.text_len()), (text, text.len()));
    }

    #[test]
    fn every_length_and_size_of_integer_comes_back() {
        for len in [0, 1, 63, 64, 8191, 8192, 70_000] {
            comes_back(&vec![b'x'; len]);
        }
        let powers = (0..63).map(|it| 1_i64 << it);
        let edges = powers.flat_map(|it| [it - 1, it, -it, -it - 1]).chain([i64::MAX, i64::MIN]);
        for number in edges {
            comes_back(number.to_string().as_bytes());
        }
    }

    #[test]
    fn integers_take_as_few_bytes_as_they_need() {
        let size = |text: &str| Element::of(text.as_bytes()).size();
        assert_eq!(["0", "127", "-1", "128", "-129"].map(size), [1, 1, 2, 3, 3]);
        assert_eq!(["8388607", "8388608", "-9223372036854775808"].map(size), [4, 5, 9]);
        assert_eq!(["", "01", "-0", "+1"].map(size), [1, 3, 3, 3]);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text: Vec<u8>, number: i64) {
            comes_back(&text);
            comes_back(number.to_string().as_bytes());
        }
    }
}
