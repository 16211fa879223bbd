//! Redis' intset: sorted integers of one width.
//!
//! ```text
//! [bytes of each: 4 bytes] [count: 4 bytes] [integer] …
//! ```

use super::{Broken, Reader};
use crate::engine::packed::Element;

/// Visits the integers of a whole intset.
pub fn each(
    bytes: &[u8],
    mut visit: impl FnMut(Element<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut input = Reader::new(bytes);
    let width = u32::from_le_bytes(input.chunk()?) as usize;
    let count = u32::from_le_bytes(input.chunk()?) as usize;
    if count.checked_mul(width) != Some(input.rest().len()) {
        return Err(Broken);
    }
    for _ in 0..count {
        let number = match width {
            2 => input.int::<2>()?,
            4 => input.int::<4>()?,
            8 => input.int::<8>()?,
            _ => return Err(Broken),
        };
        visit(Element::Int(number))?;
    }
    Ok(())
}

/// An intset of these, which are sorted.
pub fn of(numbers: &[i64]) -> Vec<u8> {
    let ends = || [numbers.first(), numbers.last()].into_iter().flatten();
    let width = if ends().all(|it| i16::try_from(*it).is_ok()) {
        2
    } else if ends().all(|it| i32::try_from(*it).is_ok()) {
        4
    } else {
        8
    };
    let mut bytes = Vec::with_capacity(8 + numbers.len() * width);
    bytes.extend_from_slice(&(width as u32).to_le_bytes());
    bytes.extend_from_slice(&(numbers.len() as u32).to_le_bytes());
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes()[..width]);
    }
    bytes
}
