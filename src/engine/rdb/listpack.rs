//! Redis' listpack: small collections and the nodes of lists since Redis 7.
//!
//! ```text
//! [size: 4 bytes] [count: 2 bytes] [element|its size] … [FF]
//!
//! 0vvvvvvv                     an integer from 0 to 127
//! 10llllll  text               up to 63 bytes
//! 110vvvvv vvvvvvvv            an integer of 13 bits
//! 1110llll llllllll  text      up to 4095 bytes
//! F0  4 bytes  text            any other text
//! F1 F2 F3 F4                  an integer of 2, 3, 4, 8 bytes
//! ```

use super::{Broken, Reader};
use crate::engine::list;
use crate::engine::packed::{BothWays, Element, Packed};

const HEAD_BYTES: usize = 6;
const END: u8 = 0xFF;
/// As a count: walk and see.
const UNCOUNTED: u16 = u16::MAX;
const TEXT_6: u8 = 0x80;
const INT_13: u8 = 0xC0;
const TEXT_12: u8 = 0xE0;
const TEXT_32: u8 = 0xF0;
const INT_16: u8 = 0xF1;
const INT_24: u8 = 0xF2;
const INT_32: u8 = 0xF3;
const INT_64: u8 = 0xF4;

/// A listpack being written.
pub struct Listpack {
    bytes: Vec<u8>,
    count: usize,
}

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack { bytes: vec![0; HEAD_BYTES], count: 0 }
    }
}

impl Listpack {
    /// Of all these.
    pub fn of<'a>(elements: impl Iterator<Item = Element<'a>>) -> Listpack {
        let mut pack = Listpack::default();
        elements.for_each(|it| pack.push(it));
        pack
    }

    /// Puts an element behind the last one.
    pub fn push(&mut self, element: Element<'_>) {
        let from = self.bytes.len();
        match element {
            Element::Int(number) => self.push_int(number),
            Element::Text(text) => self.push_text(text),
        }
        let size = self.bytes.len() - from;
        self.count += 1;
        let (back, len) = back_size(size);
        self.bytes.extend_from_slice(&back[..len]);
    }

    /// Puts a sequence behind the last element: most of its elements are stored here as they are
    /// there.
    pub fn push_sequence(&mut self, sequence: &Packed<BothWays>) {
        let mut rest = sequence.elements();
        while !rest.is_empty() {
            let mut copied = 0;
            while let Some(size) = Packed::<BothWays>::short_element(&rest[copied..]) {
                copied += size;
                self.count += 1;
            }
            self.bytes.extend_from_slice(&rest[..copied]);
            rest = &rest[copied..];
            if !rest.is_empty() {
                self.push(Element::read(rest));
                rest = &rest[Packed::<BothWays>::stored_size(Element::read(rest))..];
            }
        }
    }

    /// Bytes it takes.
    pub fn size(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The whole of it.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let size = (self.bytes.len() as u32).to_le_bytes();
        let count = u16::try_from(self.count).unwrap_or(UNCOUNTED).to_le_bytes();
        self.bytes[..4].copy_from_slice(&size);
        self.bytes[4..HEAD_BYTES].copy_from_slice(&count);
        self.bytes
    }

    fn push_int(&mut self, number: i64) {
        let bytes = number.to_le_bytes();
        let (tag, len) = match number {
            0..=0x7F => return self.bytes.push(number as u8),
            -0x1000..=0xFFF => {
                let high = INT_13 | (number >> 8) as u8 & 0x1F;
                return self.bytes.extend_from_slice(&[high, number as u8]);
            }
            -0x8000..=0x7FFF => (INT_16, 2),
            -0x80_0000..=0x7F_FFFF => (INT_24, 3),
            -0x8000_0000..=0x7FFF_FFFF => (INT_32, 4),
            _ => (INT_64, 8),
        };
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&bytes[..len]);
    }

    fn push_text(&mut self, text: &[u8]) {
        match text.len() {
            len @ 0..=0x3F => self.bytes.push(TEXT_6 | len as u8),
            len @ 0x40..=0xFFF => {
                self.bytes.extend_from_slice(&[TEXT_12 | (len >> 8) as u8, len as u8]);
            }
            len => {
                self.bytes.push(TEXT_32);
                self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
    }
}

/// An element's size, to be read backwards, seven bits a byte. The borders are Redis': the largest
/// size of each length takes one byte more than it needs, but for the first.
fn back_size(size: usize) -> ([u8; 5], usize) {
    let len = match size {
        ..0x80 => 1,
        0x80..0x3FFF => 2,
        0x3FFF..0x1F_FFFF => 3,
        0x1F_FFFF..0xFFF_FFFF => 4,
        _ => 5,
    };
    (spelled_back(size, len), len)
}

fn spelled_back(size: usize, len: usize) -> [u8; 5] {
    let mut back = [0; 5];
    for (place, byte) in back[..len].iter_mut().enumerate() {
        let more = if place == 0 { 0 } else { 0x80 };
        *byte = more | (size >> (7 * (len - 1 - place))) as u8 & 0x7F;
    }
    back
}

/// Whether servers disagree about the bytes that tell this size: Valkey 9 takes no more of them
/// than it needs, and neither it nor Redis reads the other's.
fn is_disputed(size: usize) -> bool {
    matches!(size, 0x3FFF | 0x1F_FFFF | 0xFFF_FFFF)
}

/// The smallest size about which servers disagree.
pub const DISPUTED_MIN: usize = 0x3FFF;
const LONG_HEAD_BYTES: usize = 5;

/// Whether a listpack with this element is one only to some servers. It is then better not in one.
pub fn is_disputed_element(element: Element<'_>) -> bool {
    is_disputed(element.text_len() + LONG_HEAD_BYTES)
}

/// Visits the elements of a whole listpack.
pub fn each(
    bytes: &[u8],
    visit: impl FnMut(Element<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut input = Reader::new(bytes);
    let size = u32::from_le_bytes(input.chunk()?) as usize;
    let announced = u16::from_le_bytes(input.chunk()?);
    match size == bytes.len() {
        true => rest(input, announced, element, visit),
        false => Err(Broken),
    }
}

/// Puts the elements of a whole listpack into a list: most are stored there as they are here.
pub fn copy(bytes: &[u8], list: &mut list::Builder) -> Result<(), Broken> {
    let mut input = Reader::new(bytes);
    let size = u32::from_le_bytes(input.chunk()?) as usize;
    let announced = u16::from_le_bytes(input.chunk()?);
    let mut count = 0_usize;
    loop {
        let (copied, len) = list.push_stored(input.rest());
        input.take(len)?;
        count += copied;
        if matches!(input.rest(), [END]) {
            break;
        }
        list.push_element(element(&mut input)?.settled());
        count += 1;
    }
    let is_whole = size == bytes.len() && is_announced(announced, count);
    if is_whole { Ok(()) } else { Err(Broken) }
}

fn is_announced(announced: u16, count: usize) -> bool {
    announced == UNCOUNTED || usize::from(announced) == count
}

/// Visits the elements behind the head of a listpack or a ziplist, which tells how many there are.
pub fn rest<'a>(
    mut input: Reader<'a>,
    announced: u16,
    element: fn(&mut Reader<'a>) -> Result<Element<'a>, Broken>,
    mut visit: impl FnMut(Element<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut count = 0_usize;
    while !matches!(input.rest(), [END]) {
        visit(element(&mut input)?)?;
        count += 1;
    }
    if is_announced(announced, count) { Ok(()) } else { Err(Broken) }
}

fn element<'a>(input: &mut Reader<'a>) -> Result<Element<'a>, Broken> {
    let before = input.rest().len();
    let element = body(input)?;
    let size = before - input.rest().len();
    let (mut back, mut len) = back_size(size);
    if is_disputed(size) && !input.rest().starts_with(&back[..len]) {
        (back, len) = (spelled_back(size, len - 1), len - 1);
    }
    match input.take(len)? == &back[..len] {
        true => Ok(element),
        false => Err(Broken),
    }
}

fn body<'a>(input: &mut Reader<'a>) -> Result<Element<'a>, Broken> {
    let tag = input.byte()?;
    let wide = |input: &mut Reader<'a>| {
        input.byte().map(|low| usize::from(tag & 0x0F) << 8 | usize::from(low))
    };
    let len = match tag {
        ..TEXT_6 => return Ok(Element::Int(tag.into())),
        TEXT_6..INT_13 => usize::from(tag & 0x3F),
        INT_13..TEXT_12 => {
            let high = i64::from((tag << 3) as i8 >> 3);
            return Ok(Element::Int(high << 8 | i64::from(input.byte()?)));
        }
        TEXT_12..TEXT_32 => wide(input)?,
        TEXT_32 => u32::from_le_bytes(input.chunk()?) as usize,
        INT_16 => return input.int::<2>().map(Element::Int),
        INT_24 => return input.int::<3>().map(Element::Int),
        INT_32 => return input.int::<4>().map(Element::Int),
        INT_64 => return input.int::<8>().map(Element::Int),
        _ => return Err(Broken),
    };
    input.take(len).map(Element::Text)
}
