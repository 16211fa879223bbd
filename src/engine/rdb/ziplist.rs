//! Redis' ziplist: what came before the listpack, until Redis 7. Only read.
//!
//! ```text
//! [size: 4 bytes] [place of the last: 4 bytes] [count: 2 bytes] [size before|element] … [FF]
//! ```

use super::{Broken, Reader, listpack};
use crate::engine::packed::Element;

const END: u8 = 0xFF;
/// The size of the element before takes four bytes more.
const LONG_BEFORE: u8 = 0xFE;
const TEXT_14: u8 = 0x40;
const TEXT_32: u8 = 0x80;
const INT_16: u8 = 0xC0;
const INT_32: u8 = 0xD0;
const INT_64: u8 = 0xE0;
const INT_24: u8 = 0xF0;
const INT_8: u8 = 0xFE;

/// Visits the elements of a whole ziplist.
pub fn each(
    bytes: &[u8],
    visit: impl FnMut(Element<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut input = Reader::new(bytes);
    let size = u32::from_le_bytes(input.chunk()?) as usize;
    let _last: [u8; 4] = input.chunk()?;
    let announced = u16::from_le_bytes(input.chunk()?);
    match size == bytes.len() {
        true => listpack::rest(input, announced, element, visit),
        false => Err(Broken),
    }
}

fn element<'a>(input: &mut Reader<'a>) -> Result<Element<'a>, Broken> {
    match input.byte()? {
        END => return Err(Broken),
        LONG_BEFORE => drop(input.chunk::<4>()?),
        _ => {}
    }
    let tag = input.byte()?;
    let len = match tag {
        ..TEXT_14 => usize::from(tag),
        TEXT_14..TEXT_32 => usize::from(tag & 0x3F) << 8 | usize::from(input.byte()?),
        TEXT_32 => u32::from_be_bytes(input.chunk()?) as usize,
        INT_16 => return input.int::<2>().map(Element::Int),
        INT_32 => return input.int::<4>().map(Element::Int),
        INT_64 => return input.int::<8>().map(Element::Int),
        INT_24 => return input.int::<3>().map(Element::Int),
        INT_8 => return input.int::<1>().map(Element::Int),
        0xF1..=0xFD => return Ok(Element::Int(i64::from(tag & 0x0F) - 1)),
        _ => return Err(Broken),
    };
    input.take(len).map(Element::Text)
}
