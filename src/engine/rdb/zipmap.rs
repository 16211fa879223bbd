//! Small hashes until Redis 2.6. Only read.
//!
//! ```text
//! [count] ([size] field [size] [free] value free bytes) … [FF]
//!
//! A size is a byte below FE, or FE with four bytes. A count of FE and more says nothing.
//! ```

use super::{Broken, Reader};

const END: u8 = 0xFF;
const LONG: u8 = 0xFE;
const UNCOUNTED: u8 = 0xFE;

/// Visits the fields of a whole zipmap with their values.
pub fn each(
    bytes: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut input = Reader::new(bytes);
    let announced = input.byte()?;
    let mut count = 0_usize;
    while !matches!(input.rest(), [END]) {
        let len = size(&mut input)?;
        let field = input.take(len)?;
        let len = size(&mut input)?;
        let free = input.byte()?;
        let value = input.take(len)?;
        input.take(free.into())?;
        visit(field, value)?;
        count += 1;
    }
    match UNCOUNTED <= announced || usize::from(announced) == count {
        true => Ok(()),
        false => Err(Broken),
    }
}

fn size(input: &mut Reader<'_>) -> Result<usize, Broken> {
    match input.byte()? {
        END => Err(Broken),
        LONG => input.chunk().map(|it| u32::from_le_bytes(it) as usize),
        short => Ok(short.into()),
    }
}
