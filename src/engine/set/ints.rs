//! Sorted integers in one allocation, each in as many bytes as the widest of them needs.
//!
//! ```text
//! [count: 29 bits, width: 3 bits] [number] [number] …
//! ```
//!
//! The allocation is one that a packed sequence could own: such a sequence is never so long that it
//! needs the bits that say the width here.

use crate::engine::packed::Packed;
use std::ops::Range;

const HEAD_BYTES: usize = size_of::<u32>();
const COUNT_BITS: u32 = 29;
/// Most numbers, whatever the thresholds.
pub const INTS_MAX: usize = (1 << COUNT_BITS) - 1;

/// How many bytes each number takes. In the head it is a number above zero, which says that these
/// are integers and no sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Width {
    One = 1,
    Two,
    Three,
    Four,
    Eight,
}

impl Width {
    const NARROWEST: Width = Width::One;

    fn of(number: i64) -> Width {
        const THREE_BYTES: Range<i64> = -(1 << 23)..1 << 23;
        match number {
            _ if i8::try_from(number).is_ok() => Width::One,
            _ if i16::try_from(number).is_ok() => Width::Two,
            _ if THREE_BYTES.contains(&number) => Width::Three,
            _ if i32::try_from(number).is_ok() => Width::Four,
            _ => Width::Eight,
        }
    }

    /// What a head says; `None` for a sequence.
    #[inline]
    fn in_head(head: u32) -> Option<Width> {
        match head >> COUNT_BITS {
            0 => None,
            1 => Some(Width::One),
            2 => Some(Width::Two),
            3 => Some(Width::Three),
            4 => Some(Width::Four),
            _ => Some(Width::Eight),
        }
    }

    #[inline]
    const fn bytes(self) -> usize {
        match self {
            Width::Eight => 8,
            narrower => narrower as usize,
        }
    }

    #[inline]
    fn read(bytes: &[u8]) -> i64 {
        match *bytes {
            [a] => (a as i8).into(),
            [a, b] => i16::from_le_bytes([a, b]).into(),
            [a, b, c] => (i32::from_le_bytes([0, a, b, c]) >> 8).into(),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
            _ => i64::from_le_bytes(bytes.try_into().expect("eight bytes")),
        }
    }
}

/// The integers in an allocation.
#[derive(Clone, Copy)]
pub struct Ints<'a> {
    numbers: &'a [u8],
    len: usize,
    width: Width,
}

impl<'a> Ints<'a> {
    /// The integers in `packed`, unless it is a sequence. Nothing at all is no integers.
    #[inline]
    pub fn of(packed: &'a Packed) -> Option<Ints<'a>> {
        let bytes = packed.raw();
        let Some((head, numbers)) = bytes.split_first_chunk() else {
            return Some(Ints { numbers: &[], len: 0, width: Width::NARROWEST });
        };
        let head = u32::from_le_bytes(*head);
        let width = Width::in_head(head)?;
        Some(Ints { numbers, len: head as usize & INTS_MAX, width })
    }

    /// How many.
    #[inline]
    pub fn len(self) -> usize {
        self.len
    }

    /// The one at `index`, in order of size.
    #[inline]
    pub fn get(self, index: usize) -> i64 {
        let bytes = self.width.bytes();
        Width::read(&self.numbers[index * bytes..][..bytes])
    }

    /// All, in order of size.
    pub fn iter(self) -> impl Iterator<Item = i64> + use<'a> {
        self.numbers.chunks_exact(self.width.bytes()).map(Width::read)
    }

    /// The smallest and the largest.
    pub fn ends(self) -> Option<[i64; 2]> {
        self.len().checked_sub(1).map(|last| [self.get(0), self.get(last)])
    }

    /// Where `number` is, or else where it would have to be.
    #[inline]
    pub fn find(self, number: i64) -> Result<usize, usize> {
        // Numbers often come in order.
        let mut span = match self.ends() {
            None => return Err(0),
            Some([_, last]) if last < number => return Err(self.len()),
            Some(_) => 0..self.len(),
        };
        while !span.is_empty() {
            let middle = span.start + span.len() / 2;
            match self.get(middle).cmp(&number) {
                std::cmp::Ordering::Less => span.start = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => span.end = middle,
            }
        }
        Err(span.start)
    }
}

/// Puts `number` among the integers in `packed`. Answers whether it is new.
pub fn insert(packed: &mut Packed, number: i64) -> bool {
    let ints = Ints::of(packed).expect("integers");
    let Err(at) = ints.find(number) else { return false };
    let (width, len) = (ints.width, ints.len());
    match width < Width::of(number) {
        true => widen(packed, number, Width::of(number)),
        false => {
            let place = place(at, width);
            packed.stretch(place.start..place.start, place.len());
            write(packed, place, number);
        }
    }
    let width = width.max(Width::of(number));
    set_head(packed, len + 1, width);
    true
}

/// Takes the integer at `index` out.
pub fn remove(packed: &mut Packed, index: usize) {
    let ints = Ints::of(packed).expect("integers");
    let (width, len) = (ints.width, ints.len());
    match len {
        1 => *packed = Packed::default(),
        _ => {
            packed.stretch(place(index, width), 0);
            set_head(packed, len - 1, width);
        }
    }
}

/// Writes all integers wider, and `number` among them, which is beyond one of their ends.
fn widen(packed: &mut Packed, number: i64, width: Width) {
    let mut numbers: Vec<i64> = Ints::of(packed).expect("integers").iter().collect();
    numbers.insert(if number < 0 { 0 } else { numbers.len() }, number);
    let old = packed.raw().len().max(HEAD_BYTES);
    packed.stretch(HEAD_BYTES..old, numbers.len() * width.bytes());
    for (at, number) in numbers.into_iter().enumerate() {
        write(packed, place(at, width), number);
    }
}

fn place(index: usize, width: Width) -> Range<usize> {
    let start = HEAD_BYTES + index * width.bytes();
    start..start + width.bytes()
}

fn write(packed: &mut Packed, place: Range<usize>, number: i64) {
    let len = place.len();
    packed.raw_mut()[place].copy_from_slice(&number.to_le_bytes()[..len]);
}

fn set_head(packed: &mut Packed, len: usize, width: Width) {
    let head = ((width as u32) << COUNT_BITS) | len as u32;
    packed.raw_mut()[..HEAD_BYTES].copy_from_slice(&head.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width_come_back_in_order() {
        let powers = (0..63).map(|it| 1_i64 << it);
        let edges = powers.flat_map(|it| [it - 1, it, -it, -it - 1]).chain([i64::MAX, i64::MIN]);
        let (mut packed, mut model) = (Packed::default(), std::collections::BTreeSet::new());
        for number in edges {
            assert_eq!(insert(&mut packed, number), model.insert(number));
            let ints = Ints::of(&packed).expect("integers");
            assert!(ints.iter().eq(model.iter().copied()), "{number}");
            assert_eq!(ints.len(), model.len());
        }
    }

    #[test]
    fn small_integers_take_few_bytes() {
        let bytes = |number| {
            let mut packed = Packed::default();
            insert(&mut packed, number);
            packed.bytes() - HEAD_BYTES
        };
        assert_eq!([127, -128, 128, -32_768, 32_768, 8_388_607].map(bytes), [1, 1, 2, 2, 3, 3]);
        assert_eq!([-8_388_608, 8_388_608, 1 << 31, i64::MIN].map(bytes), [3, 4, 8, 8]);
    }
}
