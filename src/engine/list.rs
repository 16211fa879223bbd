//! A list: one allocation while it is short, then blocks on shelves.

mod block;
mod builder;
mod long;
#[cfg(test)]
mod tests;

use super::EngineShared;
use super::packed::{BothWays, Element, Packed};
use long::Long;

pub use block::End;
pub use builder::Builder;

/// The elements in order. A list goes to blocks when it outgrows `list-max-listpack-size`, and
/// comes back when it has shrunk to a few neighbours that take half of that.
#[derive(Clone)]
pub enum List {
    /// In one allocation.
    Packed(Packed<BothWays>),
    /// In many.
    Long(Box<Long>),
}

const _: () = assert!(size_of::<List>() == 16);

/// With a bound on the number of elements, a packed list still takes no more than this.
const COUNTED_BYTES_MAX: usize = 8 << 10;
/// The first of Redis' five size classes; each next one is twice as large.
const CLASS_BYTES: usize = 4 << 10;
const LAST_CLASS: i64 = 4;
/// What Redis' empty listpack takes: thresholds count its bytes.
const LISTPACK_BYTES: usize = 7;

impl Default for List {
    fn default() -> List {
        List::Packed(Packed::default())
    }
}

/// Most bytes and most elements of a packed list.
fn bounds(shared: &EngineShared) -> (usize, usize) {
    match shared.thresholds.list_size {
        count @ 0.. => (COUNTED_BYTES_MAX, count.max(1) as usize),
        class => (CLASS_BYTES << (-1 - class.max(-1 - LAST_CLASS)), usize::MAX),
    }
}

/// Looking.
impl List {
    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            List::Packed(packed) => packed.len(),
            List::Long(long) => long.len(),
        }
    }

    /// Whether there are none, which only a list that is being changed may say.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer of OBJECT ENCODING, in the words of Redis 7.2; 7.0 calls every list a
    /// `quicklist`.
    pub fn encoding(&self) -> &'static str {
        match self {
            List::Packed(_) => "listpack",
            List::Long(_) => "quicklist",
        }
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        match self {
            List::Packed(_) => 1,
            List::Long(long) => long.blocks(),
        }
    }

    /// Heap bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            List::Packed(packed) => packed.bytes(),
            List::Long(long) => long.bytes(),
        }
    }

    /// The element number `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        if self.len() <= index {
            return None;
        }
        Some(match self {
            List::Packed(packed) => packed.get(block::place(packed, packed.len(), index)),
            List::Long(long) => long.get(index),
        })
    }

    /// The elements, as many together as stand in one allocation.
    pub fn sequences(&self) -> impl Iterator<Item = &Packed<BothWays>> {
        let (packed, long) = match self {
            List::Packed(packed) => (Some(packed), None),
            List::Long(long) => (None, Some(long.sequences())),
        };
        packed.into_iter().chain(long.into_iter().flatten())
    }

    /// As [`List::sequences`], from that on which has the element number `index`.
    pub fn sequences_from(&self, index: usize) -> impl Iterator<Item = &Packed<BothWays>> {
        let (packed, long) = match self {
            _ if self.len() <= index => (None, None),
            List::Packed(packed) => (Some(packed), None),
            List::Long(long) => (None, Some(long.sequences_from(index))),
        };
        packed.into_iter().chain(long.into_iter().flatten())
    }

    /// The element at one end.
    pub fn first(&self, end: End) -> Option<Element<'_>> {
        match end {
            End::Front => self.get(0),
            End::Back => self.get(self.len().checked_sub(1)?),
        }
    }

    /// The elements from number `index` on.
    #[inline]
    pub fn onward(&self, index: usize) -> impl Iterator<Item = Element<'_>> {
        let (packed, long) = match self {
            _ if self.len() <= index => (None, None),
            List::Packed(packed) => {
                let place = block::place(packed, packed.len(), index);
                (Some(packed.walk(place).map(|(_, it)| it)), None)
            }
            List::Long(long) => (None, Some(long.onward(index))),
        };
        packed.into_iter().flatten().chain(long.into_iter().flatten())
    }

    /// The elements from number `index`, or from the last if there are fewer, back to the first.
    pub fn backward(&self, index: usize) -> impl Iterator<Item = Element<'_>> {
        let index = index.min(self.len().saturating_sub(1));
        let (packed, long) = match self {
            _ if self.is_empty() => (None, None),
            List::Packed(packed) => {
                let place = block::place(packed, packed.len(), index);
                (Some(packed.walk_back(packed.after(place)).map(|(_, it)| it)), None)
            }
            List::Long(long) => (None, Some(long.backward(index))),
        };
        packed.into_iter().flatten().chain(long.into_iter().flatten())
    }
}

/// Changing. Who adds texts calls [`List::make_room`] for all of them first.
impl List {
    /// Goes to blocks if the list would outgrow its bounds by these texts.
    pub fn make_room<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>, shared: &EngineShared) {
        let List::Packed(packed) = self else { return };
        let (bytes_max, len_max) = bounds(shared);
        let (mut bytes, mut len) = (LISTPACK_BYTES + packed.elements_bytes(), packed.len());
        for text in texts {
            (bytes, len) = (bytes + text.len(), len + 1);
        }
        if bytes_max < bytes || len_max < len {
            let mut long = Box::<Long>::default();
            packed.iter().for_each(|it| long.push(End::Back, it));
            *self = List::Long(long);
        }
    }

    /// Puts an element at one end.
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8]) {
        let element = Element::of(text);
        match self {
            List::Packed(packed) => block::push(packed, end, element),
            List::Long(long) => long.push(end, element),
        }
    }

    /// Puts an element before the one number `index`, or behind all.
    pub fn insert(&mut self, index: usize, text: &[u8]) {
        let element = Element::of(text);
        match self {
            List::Packed(packed) => packed.insert(packed.nth(index), &[element]),
            List::Long(long) => long.insert(index, element),
        }
    }

    /// Puts an element in the place of the one number `index`, which is below the length.
    pub fn set(&mut self, index: usize, text: &[u8], shared: &EngineShared) {
        let element = Element::of(text);
        match self {
            List::Packed(packed) => packed.replace(packed.nth(index), element),
            List::Long(long) => {
                long.set(index, element);
                self.settle(shared);
            }
        }
    }

    /// Takes `count` elements away at one end, or all. Answers a part of them if they are many: to
    /// be freed elsewhere.
    pub fn cut(&mut self, end: End, count: usize, shared: &EngineShared) -> Option<List> {
        match self {
            List::Packed(packed) => {
                block::cut(packed, end, count.min(packed.len()));
                None
            }
            List::Long(long) => {
                let gone = long.cut(end, count);
                self.settle(shared);
                (gone.len() != 0).then(|| List::Long(Box::new(gone)))
            }
        }
    }

    /// Takes out up to `most` elements equal to `text`, the nearest to one end first. Answers how
    /// many.
    pub fn remove_equal(
        &mut self,
        end: End,
        text: &[u8],
        most: usize,
        shared: &EngineShared,
    ) -> usize {
        let wanted = Element::of(text);
        match self {
            List::Packed(packed) => block::remove_equal(packed, end, wanted, most),
            List::Long(long) => {
                let removed = long.remove_equal(end, wanted, most);
                self.settle(shared);
                removed
            }
        }
    }

    /// Comes back to one allocation if half of the bounds would do. Redis asks besides that one of
    /// its nodes be left; a block or a few of ours stand for half a node, so both come back at the
    /// same length when a list of the default size shrinks at its ends, and nearly so otherwise.
    fn settle(&mut self, shared: &EngineShared) {
        let List::Long(long) = self else { return };
        let (bytes_max, len_max) = bounds(shared);
        if long.len() <= len_max / 2
            && let Some(packed) = long.packed((bytes_max / 2).saturating_sub(LISTPACK_BYTES))
        {
            *self = List::Packed(packed);
        }
    }
}
