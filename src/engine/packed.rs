//! A short sequence of texts in one allocation: the compact form of every small collection.
//!
//! ```text
//! [count: 4 bytes] [element] [element] …          and in sequences that are walked both ways:
//! [count: 4 bytes] [element|its size] [element|its size] …
//! ```

mod element;
#[cfg(test)]
mod tests;

pub use element::Element;

use std::marker::PhantomData;
use std::ops::Range;

const COUNT_BYTES: usize = size_of::<u32>();
/// Most bytes that tell an element's size.
const BACK_BYTES_MAX: usize = usize::BITS.div_ceil(7) as usize;

/// Whether a sequence can be walked from its end; that costs a byte for each element.
pub trait Walk {
    /// Whether each element is followed by its size.
    const BACK: bool;
}

/// Only from the front: hashes, sets, sorted sets.
#[derive(Clone, Copy)]
pub enum Onward {}
impl Walk for Onward {
    const BACK: bool = false;
}

/// From both ends: lists.
#[derive(Clone, Copy)]
pub enum BothWays {}
impl Walk for BothWays {
    const BACK: bool = true;
}

/// Where an element begins. It holds until the sequence changes before that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(usize);

/// The sequence. Empty, it allocates nothing; otherwise its allocation is never larger than what is
/// in it.
#[derive(Clone)]
pub struct Packed<W = Onward> {
    bytes: Box<[u8]>,
    walk: PhantomData<W>,
}

impl<W> Default for Packed<W> {
    fn default() -> Packed<W> {
        Packed { bytes: Box::default(), walk: PhantomData }
    }
}

/// Looking.
impl<W: Walk> Packed<W> {
    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.first_chunk().map_or(0, |it| u32::from_le_bytes(*it) as usize)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of its allocation.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The allocation itself, for a set that keeps something else than a sequence in it.
    #[inline]
    pub(super) fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// As [`Packed::raw`], to change.
    pub(super) fn raw_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Bytes its allocation would have with one more element.
    #[inline]
    pub fn bytes_with(&self, element: Element<'_>) -> usize {
        self.end().0 + with_back::<W>(element.size())
    }

    /// Bytes of its elements alone.
    pub fn elements_bytes(&self) -> usize {
        self.elements().len()
    }

    /// Its elements as they are stored.
    pub(super) fn elements(&self) -> &[u8] {
        self.bytes.get(COUNT_BYTES..).unwrap_or_default()
    }

    /// Where the first element is, or would be.
    pub fn start(&self) -> Place {
        Place(COUNT_BYTES)
    }

    /// Behind the last element.
    pub fn end(&self) -> Place {
        Place(self.bytes.len().max(COUNT_BYTES))
    }

    /// The element at `place`, which is not the end.
    #[inline]
    pub fn get(&self, place: Place) -> Element<'_> {
        Element::read(&self.bytes[place.0..])
    }

    /// The place behind the element at `place`, which is not the end.
    #[inline]
    pub fn after(&self, place: Place) -> Place {
        let (head, body) = element::extent(&self.bytes[place.0..]);
        Place(place.0 + with_back::<W>(head + body))
    }

    /// Where the element number `index` begins, counted from the front; the end if there are fewer.
    pub fn nth(&self, index: usize) -> Place {
        match index < self.len() {
            true => (0..index).fold(self.start(), |it, _| self.after(it)),
            false => self.end(),
        }
    }

    /// The elements from `place` on, each with its place.
    pub fn walk(&self, place: Place) -> impl Iterator<Item = (Place, Element<'_>)> + use<'_, W> {
        let mut next = place;
        std::iter::from_fn(move || {
            let place = (next < self.end()).then_some(next)?;
            let (element, size) = element::read_sized(&self.bytes[place.0..]);
            next = Place(place.0 + with_back::<W>(size));
            Some((place, element))
        })
    }

    /// The elements from the front.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> + use<'_, W> {
        self.walk(self.start()).map(|(_, it)| it)
    }

    /// The elements two by two; there must be an even number of them.
    pub fn pairs(&self) -> impl Iterator<Item = (Element<'_>, Element<'_>)> + use<'_, W> {
        let mut elements = self.iter();
        std::iter::from_fn(move || {
            Some((elements.next()?, elements.next().expect("pairs have two halves")))
        })
    }

    /// Where `wanted` is, if only every `stride`-th element from `from` on is looked at.
    #[inline]
    pub fn find(&self, wanted: Element<'_>, from: Place, stride: usize) -> Option<Place> {
        let (wanted_head, wanted_body) = (wanted.head(), wanted.body());
        let mut at = from.0;
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let (head, body) = element::extent(rest);
            // The head says how long the body is.
            if rest[..head] == *wanted_head && rest[head..head + body] == *wanted_body {
                return Some(Place(at));
            }
            let next = Place(at + with_back::<W>(head + body));
            at = self.skip(next, stride - 1).0;
        }
        None
    }

    #[inline]
    fn skip(&self, place: Place, count: usize) -> Place {
        let more = |it: Place| if it < self.end() { self.after(it) } else { it };
        (0..count).fold(place, |it, _| more(it))
    }
}

/// Walking back.
impl Packed<BothWays> {
    /// The place before `place`, unless it is the start.
    pub fn before(&self, place: Place) -> Option<Place> {
        if place <= self.start() {
            return None;
        }
        let (mut size, mut shift, mut at) = (0, 0, place.0);
        loop {
            at -= 1;
            size |= usize::from(self.bytes[at] & 0x7F) << shift;
            shift += 7;
            if self.bytes[at] < 0x80 {
                return Some(Place(at - size));
            }
        }
    }

    /// The last element's place.
    pub fn last(&self) -> Option<Place> {
        self.before(self.end())
    }

    /// Where the element number `index` begins, counted from the end.
    pub fn nth_back(&self, index: usize) -> Option<Place> {
        (0..index).try_fold(self.last()?, |it, _| self.before(it))
    }

    /// The elements before `place`, the nearest first, each with its place.
    pub fn walk_back(&self, place: Place) -> impl Iterator<Item = (Place, Element<'_>)> {
        std::iter::successors(self.before(place), |it| self.before(*it))
            .map(|it| (it, self.get(it)))
    }
}

/// Changing.
impl<W: Walk> Packed<W> {
    /// Puts elements behind the last one.
    pub fn push(&mut self, elements: &[Element<'_>]) {
        self.insert(self.end(), elements);
    }

    /// Puts elements before the one at `place`.
    pub fn insert(&mut self, place: Place, elements: &[Element<'_>]) {
        let count = self.len() + elements.len();
        self.splice(place.0..place.0, elements, count);
    }

    /// Puts an element in the place of another.
    pub fn replace(&mut self, place: Place, element: Element<'_>) {
        self.splice(place.0..self.after(place).0, &[element], self.len());
    }

    /// Takes out `count` elements, or as many as there are from `place` on. Answers how many.
    pub fn remove(&mut self, place: Place, count: usize) -> usize {
        let ends = self.walk(place).take(count).map(|(it, _)| self.after(it));
        let (removed, end) = ends.fold((0, place), |(count, _), end| (count + 1, end));
        match self.len() - removed {
            0 => *self = Packed::default(),
            left => self.splice(place.0..end.0, &[], left),
        }
        removed
    }

    /// Takes out all elements from `place` on, before which there are `kept`.
    pub fn split_off(&mut self, place: Place, kept: usize) -> Packed<W> {
        let rest = Packed::of(self.len() - kept, &self.bytes[place.0..]);
        *self = Packed::of(kept, &self.bytes[COUNT_BYTES..place.0]);
        rest
    }

    /// Puts all elements of another sequence behind the last one.
    pub fn append(&mut self, other: &Packed<W>) {
        if !other.is_empty() {
            let elements = [self.elements(), other.elements()].concat();
            *self = Packed::of(self.len() + other.len(), &elements);
        }
    }

    /// Keeps only the elements that `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(Element<'_>) -> bool) {
        let (mut kept, mut count) = (Vec::with_capacity(self.bytes.len()), 0);
        for (place, element) in self.walk(self.start()) {
            if keep(element) {
                kept.extend_from_slice(&self.bytes[place.0..self.after(place).0]);
                count += 1;
            }
        }
        *self = Packed::of(count, &kept);
    }

    /// A sequence of `count` elements as they are stored.
    pub(super) fn of(count: usize, elements: &[u8]) -> Packed<W> {
        if count == 0 {
            return Packed::default();
        }
        let bytes = [&u32::to_le_bytes(count as u32), elements].concat();
        Packed { bytes: bytes.into_boxed_slice(), walk: PhantomData }
    }

    /// Bytes that an element takes in a sequence.
    #[inline]
    pub(super) fn stored_size(element: Element<'_>) -> usize {
        with_back::<W>(element.size())
    }

    /// Writes an element as it is stored in a sequence that is to be made [`Packed::of`] it.
    #[inline]
    pub(super) fn encode(out: &mut Vec<u8>, element: Element<'_>) {
        let body = element.body();
        out.reserve(1 + body.len() + 1);
        if let Some(head) = element.short_head() {
            out.push(head);
            out.extend_from_slice(body);
            out.extend(W::BACK.then_some(1 + body.len() as u8));
            return;
        }
        let head = element.head();
        out.extend_from_slice(&head);
        out.extend_from_slice(body);
        if W::BACK {
            let (back, len) = back(head.len() + body.len());
            out.extend_from_slice(&back[..len]);
        }
    }

    /// The length of the element that `bytes` begin with, if it is one that [`Packed::encode`]
    /// would write just so and Redis' listpack, too: a short text or a small number.
    #[inline]
    pub(super) fn short_element(bytes: &[u8]) -> Option<usize> {
        const { assert!(W::BACK) };
        let (head, body) = match bytes.first()? {
            ..0x80 => (1, 0),
            tag @ 0x80..0xC0 => (1, usize::from(tag & 0x3F)),
            _ => return None,
        };
        let size = head + body;
        let is_whole = bytes.get(size).is_some_and(|it| usize::from(*it) == size);
        let is_settled = || match &bytes[head..size] {
            [b'0'..=b'9' | b'-', ..] => matches!(Element::of(&bytes[head..size]), Element::Text(_)),
            _ => true,
        };
        (is_whole && is_settled()).then_some(size + 1)
    }

    /// Replaces a span by elements, after which there are `count`.
    fn splice(&mut self, span: Range<usize>, elements: &[Element<'_>], count: usize) {
        let size = elements.iter().map(|it| with_back::<W>(it.size())).sum();
        let mut at = span.start;
        self.stretch(span, size);
        for element in elements {
            at = self.write::<W>(at, *element);
        }
        if let Some(head) = self.bytes.first_chunk_mut() {
            *head = u32::to_le_bytes(count as u32);
        }
    }

    /// Makes a span `size` bytes long and moves what is behind it.
    pub(super) fn stretch(&mut self, span: Range<usize>, size: usize) {
        if span.len() == size {
            return;
        }
        let mut bytes = Vec::from(std::mem::take(&mut self.bytes));
        let old = bytes.len().max(COUNT_BYTES);
        let new = old - span.len() + size;
        if old < new {
            bytes.reserve_exact(new - bytes.len());
            bytes.resize(new, 0);
        }
        bytes.copy_within(span.end..old, span.start + size);
        bytes.truncate(new);
        self.bytes = bytes.into_boxed_slice();
    }

    fn write<V: Walk>(&mut self, at: usize, element: Element<'_>) -> usize {
        let (head, body) = (element.head(), element.body());
        let (middle, end) = (at + head.len(), at + head.len() + body.len());
        self.bytes[at..middle].copy_from_slice(&head);
        self.bytes[middle..end].copy_from_slice(body);
        match V::BACK {
            true => self.write_back(end, end - at),
            false => end,
        }
    }

    fn write_back(&mut self, at: usize, size: usize) -> usize {
        let (back, len) = back(size);
        self.bytes[at..at + len].copy_from_slice(&back[..len]);
        at + len
    }
}

/// Bytes of the allocation of a sequence with these elements.
pub(super) fn size_of_elements(elements: &[u8]) -> usize {
    COUNT_BYTES + elements.len()
}

/// Seven bits a byte, to be read backwards: the first byte, met last, lacks the top bit.
#[inline]
fn back(size: usize) -> ([u8; BACK_BYTES_MAX], usize) {
    let (mut back, len) = ([0; BACK_BYTES_MAX], back_bytes(size));
    for (place, byte) in back[..len].iter_mut().enumerate() {
        let more = if place == 0 { 0 } else { 0x80 };
        *byte = more | (size >> (7 * (len - 1 - place))) as u8 & 0x7F;
    }
    (back, len)
}

/// The bytes of an element of `size` together with those that tell its size.
#[inline]
fn with_back<W: Walk>(size: usize) -> usize {
    if W::BACK { size + back_bytes(size) } else { size }
}

#[inline]
fn back_bytes(size: usize) -> usize {
    if size < 0x80 && size != 0 {
        return 1;
    }
    (usize::BITS - size.leading_zeros()).div_ceil(7) as usize
}
