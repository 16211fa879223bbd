//! A hash: fields with their values, packed while they are few and short.

mod fields;
mod pair;

use super::EngineShared;
use super::deadlines::is_live;
use super::packed::{Element, Packed, Place};
use super::sample;
use crate::base::random::Random;
use crate::base::time::WallMs;
use fields::Fields;
use pair::Pair;

pub use pair::Entry;

/// Fields and values side by side, or a table of pairs. Once a table, it stays one. Only in a table
/// can fields have deadlines; a field that has outlived its own stays until it is taken out, and
/// whoever looks at a later time does not find it.
#[derive(Clone)]
pub enum Hash {
    /// Field, value, field, value, in the order in which the fields came.
    Packed(Packed),
    /// In hash order.
    Table(Box<Fields>),
}

const _: () = assert!(size_of::<Hash>() == 16);

/// A packed hash stays smaller than this, whatever the thresholds.
const PACKED_BYTES_MAX: usize = 1 << 30;
/// Throws for a field that has not expired, before all fields are looked at.
const LIVE_THROWS: usize = 100;

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
        Hash::Table(Box::new(Fields::of(self.pairs)))
    }
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::Packed(Packed::default())
    }
}

impl Hash {
    /// Number of fields, those that have expired and are still there among them.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.len() / 2,
            Hash::Table(fields) => fields.table().len(),
        }
    }

    /// Whether there are none, which only a hash that is being built may say.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of fields that have not expired.
    pub fn live_len(&self, now: WallMs) -> usize {
        match self {
            Hash::Packed(_) => self.len(),
            Hash::Table(fields) => fields.table().len() - fields.due(now),
        }
    }

    /// Whether any field has expired.
    #[inline]
    pub fn any_due(&self, now: WallMs) -> bool {
        self.table().is_some_and(|it| it.any_due(now))
    }

    /// Whether any field has not expired.
    pub fn any_live(&self, now: WallMs) -> bool {
        self.table().map_or(!self.is_empty(), |it| it.any_live(now))
    }

    /// The earliest deadline of its fields.
    #[inline]
    pub fn next_deadline(&self) -> Option<WallMs> {
        self.table()?.deadlines()?.first().map(|(at, _)| at)
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
            Hash::Table(_) => self.copy_cost(),
        }
    }

    /// About how many elements a clone copies.
    pub fn copy_cost(&self) -> usize {
        self.len() + self.with_deadline()
    }

    fn with_deadline(&self) -> usize {
        self.table().and_then(Fields::deadlines).map_or(0, |it| it.len())
    }

    /// Heap bytes it holds, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.bytes(),
            Hash::Table(fields) => {
                let table = fields.table();
                let pairs = sample::weigh(table.len(), table.iter().map(Pair::bytes));
                let deadlines = fields.deadlines().map_or(0, |it| size_of_val(it) + it.bytes());
                size_of::<Fields>() + table.bytes() + pairs + deadlines
            }
        }
    }

    /// The value of `field`, unless that has expired.
    #[inline]
    pub fn get(&self, field: &[u8], shared: &EngineShared, now: WallMs) -> Option<Element<'_>> {
        match self {
            Hash::Packed(packed) => {
                let place = find(packed, Element::of(field))?;
                Some(packed.get(packed.after(place)))
            }
            Hash::Table(fields) => {
                let found = fields.table().get(shared.hash(field), field)?;
                found.is_live(now).then(|| Element::Text(found.value()))
            }
        }
    }

    /// Whether `field` is there and has not expired.
    pub fn has(&self, field: &[u8], shared: &EngineShared, now: WallMs) -> bool {
        self.get(field, shared, now).is_some()
    }

    /// When `field` expires, expired or not; `None` also when it is not there.
    pub fn deadline(&self, field: &[u8], shared: &EngineShared) -> Option<WallMs> {
        let fields = self.table().filter(|it| it.deadlines().is_some())?;
        fields.table().get(shared.hash(field), field)?.deadline()
    }

    /// All fields that have not expired, with their values.
    pub fn iter(&self, now: WallMs) -> impl Iterator<Item = Entry<'_>> {
        let packed = self.packed().map(Packed::pairs);
        let table = self.table().map(|it| it.table().iter().filter(move |it| it.is_live(now)));
        let table = table.into_iter().flatten().map(Pair::entry);
        packed.into_iter().flatten().chain(table)
    }

    /// All fields, the expired ones among them, with their values and deadlines.
    pub fn iter_timed(&self) -> impl Iterator<Item = (Entry<'_>, Option<WallMs>)> {
        let packed = self.packed().map(|it| it.pairs().map(|it| (it, None)));
        let table = self.table().map(|it| it.table().iter().map(|it| (it.entry(), it.deadline())));
        packed.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// Visits entries in hash order from `from` on (`None` is behind all hashes), at least
    /// `at_least` if there are so many; expired ones count, but are not shown. Answers where to go
    /// on, `None` at the end. A packed hash is visited whole.
    pub fn scan<'h>(
        &'h self,
        from: Option<u32>,
        at_least: usize,
        now: WallMs,
        mut visit: impl FnMut(Entry<'h>),
    ) -> Option<u32> {
        self.scan_timed(from, at_least, |entry, at| {
            if is_live(at, now) {
                visit(entry);
            }
        })
    }

    /// As [`Hash::scan`], with those that have expired, and the deadlines.
    pub fn scan_timed<'h>(
        &'h self,
        from: Option<u32>,
        at_least: usize,
        mut visit: impl FnMut(Entry<'h>, Option<WallMs>),
    ) -> Option<u32> {
        match self {
            Hash::Packed(packed) => {
                packed.pairs().for_each(|it| visit(it, None));
                None
            }
            Hash::Table(fields) => {
                fields.table().scan(from?, at_least, |it| visit(it.entry(), it.deadline()))
            }
        }
    }

    /// A field by chance that has not expired, with its value. All of them are walked through where
    /// throws meet none.
    pub fn random(&self, random: &mut Random, now: WallMs) -> Option<Entry<'_>> {
        match self {
            Hash::Packed(packed) if packed.is_empty() => None,
            Hash::Packed(packed) => {
                let place = packed.nth(random.below(self.len() as u64) as usize * 2);
                Some((packed.get(place), packed.get(packed.after(place))))
            }
            Hash::Table(fields) if !fields.any_due(now) => {
                fields.table().random(random).map(Pair::entry)
            }
            Hash::Table(fields) => self.random_live(fields, random, now),
        }
    }

    #[cold]
    fn random_live<'h>(
        &'h self,
        fields: &'h Fields,
        random: &mut Random,
        now: WallMs,
    ) -> Option<Entry<'h>> {
        if !fields.any_live(now) {
            return None;
        }
        let mut thrown = (0..LIVE_THROWS).filter_map(|_| fields.table().random(random));
        if let Some(found) = thrown.find(|it| it.is_live(now)) {
            return Some(found.entry());
        }
        let at = random.below(self.live_len(now) as u64);
        self.iter(now).nth(at as usize)
    }

    /// Visits `count` different fields by chance that have not expired, or all.
    pub fn sample<'h>(
        &'h self,
        count: usize,
        random: &mut Random,
        now: WallMs,
        visit: impl FnMut(Entry<'h>),
    ) {
        match self {
            Hash::Table(fields) if sample::is_few(count, self.len()) && !fields.any_due(now) => {
                let (mut visit, table) = (visit, fields.table());
                let pick = |random: &mut Random| table.random(random);
                sample::few(count, table.iter(), pick, random, |it| visit(it.entry()));
            }
            _ => sample::many(count, self.live_len(now), self.iter(now), random, visit),
        }
    }

    /// Gives `field` a value, and no deadline. Answers whether the field is new.
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
        self.as_table(shared).insert(pair)
    }

    /// As [`Hash::set`], with a deadline, if one is given.
    pub fn set_until(
        &mut self,
        field: &[u8],
        value: &[u8],
        at: Option<WallMs>,
        shared: &EngineShared,
    ) -> bool {
        if at.is_none() {
            return self.set(field, value, shared);
        }
        let pair = Pair::until(shared.hash(field), field, value, at);
        self.as_table(shared).insert_timed(pair)
    }

    /// Gives `field`, which is there, another deadline, or none.
    pub fn set_deadline(&mut self, field: &[u8], at: Option<WallMs>, shared: &EngineShared) {
        if at.is_none() && self.next_deadline().is_none() {
            return;
        }
        let (hash, fields) = (shared.hash(field), self.as_table(shared));
        if let Some(pair) = fields.table().get(hash, field).map(|it| it.with_deadline(at)) {
            fields.insert_timed(pair);
        }
    }

    /// Takes `field` out, unless it has expired. Answers whether it was there.
    pub fn remove(&mut self, field: &[u8], shared: &EngineShared, now: WallMs) -> bool {
        match self {
            Hash::Packed(packed) => match find(packed, Element::of(field)) {
                Some(place) => 0 < packed.remove(place, 2),
                None => false,
            },
            Hash::Table(fields) => {
                let hash = shared.hash(field);
                if fields.any_due(now) {
                    let found = fields.table().get(hash, field);
                    return found.is_some_and(|it| it.is_live(now))
                        && fields.remove(hash, field).is_some();
                }
                fields.remove(hash, field).is_some()
            }
        }
    }

    /// Takes `field` out if it has expired. Answers whether it had.
    pub fn remove_due(&mut self, field: &[u8], shared: &EngineShared, now: WallMs) -> bool {
        let Hash::Table(fields) = self else { return false };
        let hash = shared.hash(field);
        let is_due = |it: &Pair| !it.is_live(now);
        fields.any_due(now)
            && fields.table().get(hash, field).is_some_and(is_due)
            && fields.remove(hash, field).is_some()
    }

    /// Takes out the field that has been due for longest, and answers its name.
    pub fn take_due(&mut self, now: WallMs) -> Option<Box<[u8]>> {
        let Hash::Table(fields) = self else { return None };
        let (hash, field) = fields.first_due(now)?;
        let field: Box<[u8]> = field.into();
        fields.remove(hash, &field);
        Some(field)
    }

    fn packed(&self) -> Option<&Packed> {
        match self {
            Hash::Packed(packed) => Some(packed),
            Hash::Table(_) => None,
        }
    }

    #[inline]
    fn table(&self) -> Option<&Fields> {
        match self {
            Hash::Packed(_) => None,
            Hash::Table(fields) => Some(fields),
        }
    }

    /// The table that this hash is, from now on if it was not.
    fn as_table(&mut self, shared: &EngineShared) -> &mut Fields {
        if let Hash::Packed(packed) = self {
            let mut fields = Box::new(Fields::default());
            for (field, value) in packed.pairs() {
                let (field, value) = (field.text(), value.text());
                fields.insert(Pair::new(shared.hash(&field), &field, &value));
            }
            *self = Hash::Table(fields);
        }
        match self {
            Hash::Table(fields) => fields,
            Hash::Packed(_) => unreachable!("just made a table"),
        }
    }
}

fn find(packed: &Packed, field: Element<'_>) -> Option<Place> {
    packed.find(field, packed.start(), 2)
}

#[cfg(test)]
mod tests;
