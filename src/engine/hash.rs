//! A hash: fields with their values, packed while they are few and short.

use super::EngineShared;
use super::packed::{Element, Packed, Place};
use super::sample;
use super::table::{Slot, Table};
use crate::base::prefetch::prefetch;
use crate::base::random::Random;
use triomphe::ThinArc;

/// Fields and values side by side, or a table of pairs. Once a table, it stays one.
#[derive(Clone)]
pub enum Hash {
    /// Field, value, field, value, in the order in which the fields came.
    Packed(Packed),
    /// In hash order.
    Table(Box<Table<Pair>>),
}

const _: () = assert!(size_of::<Hash>() == 16);

/// A packed hash stays smaller than this, whatever the thresholds.
const PACKED_BYTES_MAX: usize = 1 << 30;
/// A field and its value, as they are stored.
pub type Entry<'a> = (Element<'a>, Element<'a>);

/// A hash of many fields that is a table from the start, and laid out once.
pub struct Builder<'e> {
    pairs: Vec<Pair>,
    shared: &'e EngineShared,
}

impl<'e> Builder<'e> {
    /// For so many fields; `None` if that does not tell their form.
    pub fn new(count: usize, shared: &'e EngineShared) -> Option<Builder<'e>> {
        let is_table = shared.thresholds.hash_entries < count;
        is_table.then(|| Builder { pairs: Vec::new(), shared })
    }

    /// Takes one more.
    #[inline]
    pub fn push(&mut self, field: &[u8], value: &[u8]) {
        self.pairs.push(Pair::new(self.shared.hash(field), field, value));
    }

    /// The hash; shorter than what was put in if a field came twice.
    pub fn build(self) -> Hash {
        Hash::Table(Box::new(Table::of(self.pairs)))
    }
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::Packed(Packed::default())
    }
}

impl Hash {
    /// Number of fields.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.len() / 2,
            Hash::Table(table) => table.len(),
        }
    }

    /// Whether there are none, which only a hash that is being built may say.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer of OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        match self {
            Hash::Packed(_) => "listpack",
            Hash::Table(_) => "hashtable",
        }
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        match self {
            Hash::Packed(_) => 1,
            Hash::Table(table) => table.len(),
        }
    }

    /// Heap bytes it holds, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.bytes(),
            Hash::Table(table) => {
                let pairs = sample::weigh(table.len(), table.iter().map(Pair::bytes));
                size_of::<Table<Pair>>() + table.bytes() + pairs
            }
        }
    }

    /// The value of `field`.
    #[inline]
    pub fn get(&self, field: &[u8], shared: &EngineShared) -> Option<Element<'_>> {
        match self {
            Hash::Packed(packed) => {
                let place = find(packed, Element::of(field))?;
                Some(packed.get(packed.after(place)))
            }
            Hash::Table(table) => {
                table.get(shared.hash(field), field).map(|it| Element::Text(it.value()))
            }
        }
    }

    /// Whether `field` is there.
    pub fn has(&self, field: &[u8], shared: &EngineShared) -> bool {
        self.get(field, shared).is_some()
    }

    /// All fields with their values.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let (packed, table) = match self {
            Hash::Packed(packed) => (Some(packed.pairs()), None),
            Hash::Table(table) => (None, Some(table.iter().map(Pair::entry))),
        };
        packed.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// Visits entries in hash order from `from` on (`None` is behind all hashes), at least
    /// `at_least` if there are so many. Answers where to go on, `None` at the end. A packed hash is
    /// visited whole.
    pub fn scan<'h>(
        &'h self,
        from: Option<u32>,
        at_least: usize,
        mut visit: impl FnMut(Entry<'h>),
    ) -> Option<u32> {
        match self {
            Hash::Packed(packed) => {
                packed.pairs().for_each(visit);
                None
            }
            Hash::Table(table) => table.scan(from?, at_least, |it| visit(it.entry())),
        }
    }

    /// A field by chance, with its value.
    pub fn random(&self, random: &mut Random) -> Option<Entry<'_>> {
        match self {
            Hash::Packed(packed) if packed.is_empty() => None,
            Hash::Packed(packed) => {
                let place = packed.nth(random.below(self.len() as u64) as usize * 2);
                Some((packed.get(place), packed.get(packed.after(place))))
            }
            Hash::Table(table) => table.random(random).map(Pair::entry),
        }
    }

    /// Visits `count` different fields by chance, or all.
    pub fn sample<'h>(&'h self, count: usize, random: &mut Random, visit: impl FnMut(Entry<'h>)) {
        match self {
            Hash::Table(table) if sample::is_few(count, self.len()) => {
                let mut visit = visit;
                let all = table.iter();
                let pick = |random: &mut Random| table.random(random);
                sample::few(count, all, pick, random, |it| visit(it.entry()));
            }
            _ => sample::many(count, self.len(), self.iter(), random, visit),
        }
    }

    /// Gives `field` a value. Answers whether the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], shared: &EngineShared) -> bool {
        if let Hash::Packed(packed) = self {
            let limits = &shared.thresholds;
            let fits = field.len().max(value.len()) <= limits.hash_value
                && packed.bytes() < PACKED_BYTES_MAX;
            let (field, value) = (Element::of(field), Element::of(value));
            match find(packed, field) {
                // A lowered limit counts from the next change on, whatever that is.
                Some(place) if fits && packed.len() / 2 <= limits.hash_entries => {
                    packed.replace(packed.after(place), value);
                    return false;
                }
                None if fits && packed.len() / 2 < limits.hash_entries => {
                    packed.push(&[field, value]);
                    return true;
                }
                _ => {}
            }
        }
        let pair = Pair::new(shared.hash(field), field, value);
        self.as_table(shared).insert(pair).is_none()
    }

    /// Takes `field` out. Answers whether it was there.
    pub fn remove(&mut self, field: &[u8], shared: &EngineShared) -> bool {
        match self {
            Hash::Packed(packed) => match find(packed, Element::of(field)) {
                Some(place) => 0 < packed.remove(place, 2),
                None => false,
            },
            Hash::Table(table) => table.remove(shared.hash(field), field).is_some(),
        }
    }

    /// The table that this hash is, from now on if it was not.
    fn as_table(&mut self, shared: &EngineShared) -> &mut Table<Pair> {
        if let Hash::Packed(packed) = self {
            let mut table = Box::new(Table::new());
            for (field, value) in packed.pairs() {
                let (field, value) = (field.text(), value.text());
                table.insert(Pair::new(shared.hash(&field), &field, &value));
            }
            *self = Hash::Table(table);
        }
        match self {
            Hash::Table(table) => table,
            Hash::Packed(_) => unreachable!("just made a table"),
        }
    }
}

fn find(packed: &Packed, field: Element<'_>) -> Option<Place> {
    packed.find(field, packed.start(), 2)
}

/// A field with its value in a table: sixteen bytes that lead to one shared, immutable allocation
/// `[field][value]`.
#[derive(Clone)]
pub enum Pair {
    /// Nothing.
    Empty,
    /// The length of the field, and both texts.
    Taken {
        /// The field's hash.
        hash: u32,
        /// Thin, so that the slot stays small; shared, so that a copy of the hash costs its table.
        texts: ThinArc<u32, u8>,
    },
}

const _: () = assert!(size_of::<Pair>() == 16);

/// Texts up to this long together are joined on the stack.
const JOINED_BYTES: usize = 256;

impl Pair {
    fn new(hash: u32, field: &[u8], value: &[u8]) -> Pair {
        let (middle, end) = (field.len(), field.len() + value.len());
        let share = |it: &[u8]| ThinArc::from_header_and_slice(middle as u32, it);
        let mut joined = [0; JOINED_BYTES];
        let texts = match joined.get_mut(..end) {
            Some(joined) => {
                joined[..middle].copy_from_slice(field);
                joined[middle..].copy_from_slice(value);
                share(joined)
            }
            None => share(&[field, value].concat()),
        };
        Pair::Taken { hash, texts }
    }

    #[inline]
    fn split(&self) -> (&[u8], &[u8]) {
        match self {
            Pair::Empty => (&[], &[]),
            Pair::Taken { texts, .. } => texts.slice.split_at(texts.header.header as usize),
        }
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.split().1
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        let (field, value) = self.split();
        (Element::Text(field), Element::Text(value))
    }

    fn bytes(&self) -> usize {
        let (field, value) = self.split();
        3 * size_of::<usize>() + field.len() + value.len()
    }
}

impl Slot for Pair {
    fn empty() -> Pair {
        Pair::Empty
    }

    #[inline]
    fn hash(&self) -> Option<u32> {
        match self {
            Pair::Empty => None,
            Pair::Taken { hash, .. } => Some(*hash),
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.split().0
    }

    #[inline]
    fn prefetch(&self) {
        if let Pair::Taken { texts, .. } = self {
            prefetch(&texts.header);
        }
    }
}

#[cfg(test)]
mod tests;
