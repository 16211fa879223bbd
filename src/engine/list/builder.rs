//! A list of elements that come one behind the other, each block of which is laid out once.

use super::block::{BLOCK_BYTES_MAX, End};
use super::long::Long;
use super::{LISTPACK_BYTES, List, bounds};
use crate::engine::EngineShared;
use crate::engine::packed::{BothWays, Element, Packed, size_of_elements};

/// The list so far, without its last block.
pub struct Builder {
    /// The blocks, once they are more than one allocation may take.
    long: Option<Box<Long>>,
    /// The elements behind them, as they are stored.
    bytes: Vec<u8>,
    len: usize,
    bytes_max: usize,
    len_max: usize,
}

impl Builder {
    /// Without elements yet.
    pub fn new(shared: &EngineShared) -> Builder {
        Builder::onto(List::default(), shared)
    }

    /// Goes on behind the last element of a list.
    pub fn onto(list: List, shared: &EngineShared) -> Builder {
        let (bytes_max, len_max) = bounds(shared);
        let (long, last) = match list {
            List::Packed(packed) => (None, packed),
            List::Long(mut long) => {
                let last = long.pop_block();
                (Some(long), last)
            }
        };
        let (bytes, len) = (last.elements().to_vec(), last.len());
        Builder { long, bytes, len, bytes_max, len_max }
    }

    /// For what will stand before a list; it has blocks if that has them.
    pub fn before(list: &List, shared: &EngineShared) -> Builder {
        let mut builder = Builder::new(shared);
        if let List::Long(_) = list {
            builder.long = Some(Box::default());
        }
        builder
    }

    /// Puts a text behind the last element.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.push_element(Element::of(text));
    }

    /// Puts an element behind the last one, in the form in which it is stored.
    #[inline]
    pub fn push_element(&mut self, element: Element<'_>) {
        self.make_room(Packed::<BothWays>::stored_size(element), || element.text_len());
        Packed::<BothWays>::encode(&mut self.bytes, element);
        self.len += 1;
    }

    /// Puts elements behind the last one as long as `bytes` begin with such that are stored here as
    /// they are in a listpack. Answers how many, and how many bytes they took.
    pub fn push_stored(&mut self, bytes: &[u8]) -> (usize, usize) {
        let (mut count, mut at) = (0, 0);
        while let Some(size) = Packed::<BothWays>::short_element(&bytes[at..]) {
            let stored = &bytes[at..at + size];
            self.make_room(size, || Element::read(stored).text_len());
            self.bytes.extend_from_slice(stored);
            self.len += 1;
            (count, at) = (count + 1, at + size);
        }
        (count, at)
    }

    /// Closes the last block if it has no room for an element of `size` stored bytes.
    #[inline]
    fn make_room(&mut self, size: usize, text_len: impl FnOnce() -> usize) {
        if self.long.is_none() {
            let bytes = LISTPACK_BYTES + self.bytes.len() + text_len();
            if self.bytes_max < bytes || self.len_max < self.len + 1 {
                self.outgrow();
            }
        }
        let is_full = BLOCK_BYTES_MAX < size_of_elements(&self.bytes) + size;
        if is_full && self.long.is_some() && 0 < self.len {
            self.close_block();
        }
    }

    /// The list.
    pub fn build(mut self) -> List {
        if self.long.is_none() {
            return List::Packed(Packed::of(self.len, &self.bytes));
        }
        self.close_block();
        List::Long(self.long.unwrap_or_default())
    }

    /// The list with another behind it.
    pub fn build_before(mut self, list: List) -> List {
        match list {
            List::Packed(packed) => {
                packed.iter().for_each(|it| self.push_element(it));
                self.build()
            }
            List::Long(rest) => {
                self.close_block();
                let mut long = self.long.unwrap_or_default();
                long.append(*rest);
                List::Long(long)
            }
        }
    }

    fn outgrow(&mut self) {
        let packed = Packed::<BothWays>::of(self.len, &self.bytes);
        self.long = Some(Box::default());
        self.bytes.clear();
        self.len = 0;
        packed.iter().for_each(|it| self.push_element(it));
    }

    fn close_block(&mut self) {
        let elements = Packed::of(self.len, &self.bytes);
        self.bytes.clear();
        self.len = 0;
        if let Some(long) = &mut self.long {
            long.push_block(elements);
        }
    }
}

impl List {
    /// Puts many texts at one end, one after the other, for which there must be room.
    pub fn extend<'t>(
        &mut self,
        end: End,
        texts: impl Iterator<Item = &'t [u8]>,
        shared: &EngineShared,
    ) {
        let old = std::mem::take(self);
        if end == End::Back {
            let mut longer = Builder::onto(old, shared);
            texts.for_each(|it| longer.push(it));
            *self = longer.build();
            return;
        }
        let texts: Vec<&[u8]> = texts.collect();
        let mut longer = Builder::before(&old, shared);
        texts.into_iter().rev().for_each(|it| longer.push(it));
        *self = longer.build_before(old);
    }
}
