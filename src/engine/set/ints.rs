//! Sorted integers of two, four or eight bytes each, in one allocation.
//!
//! ```text
//! [count: 30 bits, width: 2 bits] [number] [number] …
//! ```
//!
//! The allocation is one that a packed sequence could own: such a sequence is never so long that it
//! needs the bits that say the width here.

use crate::engine::packed::Packed;
use std::ops::Range;

const HEAD_BYTES: usize = size_of::<u32>();
const COUNT_BITS: u32 = 30;
/// Most numbers, whatever the thresholds.
pub const INTS_MAX: usize = (1 << COUNT_BITS) - 1;

/// How many bytes each number takes, as a power of two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Width(u32);

impl Width {
    const NARROWEST: Width = Width(1);

    fn of(number: i64) -> Width {
        match number {
            _ if i16::try_from(number).is_ok() => Width(1),
            _ if i32::try_from(number).is_ok() => Width(2),
            _ => Width(3),
        }
    }

    const fn bytes(self) -> usize {
        1 << self.0
    }

    #[inline]
    fn read(self, bytes: &[u8]) -> i64 {
        match bytes.len() {
            2 => i16::from_le_bytes(bytes.try_into().expect("two bytes")).into(),
            4 => i32::from_le_bytes(bytes.try_into().expect("four bytes")).into(),
            _ => i64::from_le_bytes(bytes.try_into().expect("eight bytes")),
        }
    }
}

/// The integers in an allocation.
#[derive(Clone, Copy)]
pub struct Ints<'a> {
    numbers: &'a [u8],
    width: Width,
}

impl<'a> Ints<'a> {
    /// The integers in `packed`, unless it is a sequence. Nothing at all is no integers.
    #[inline]
    pub fn of(packed: &'a Packed) -> Option<Ints<'a>> {
        let bytes = packed.raw();
        let Some((head, numbers)) = bytes.split_first_chunk() else {
            return Some(Ints { numbers: &[], width: Width::NARROWEST });
        };
        match u32::from_le_bytes(*head) >> COUNT_BITS {
            0 => None,
            width => Some(Ints { numbers, width: Width(width) }),
        }
    }

    /// How many.
    #[inline]
    pub fn len(self) -> usize {
        self.numbers.len() >> self.width.0
    }

    /// The one at `index`, in order of size.
    #[inline]
    pub fn get(self, index: usize) -> i64 {
        let bytes = self.width.bytes();
        self.width.read(&self.numbers[index * bytes..][..bytes])
    }

    /// All, in order of size.
    pub fn iter(self) -> impl Iterator<Item = i64> + use<'a> {
        self.numbers.chunks_exact(self.width.bytes()).map(move |it| self.width.read(it))
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
    let head = (width.0 << COUNT_BITS) | len as u32;
    packed.raw_mut()[..HEAD_BYTES].copy_from_slice(&head.to_le_bytes());
}
