//! A set: integers in order or texts side by side while they are few, else a table.
//!
//! The forms and their limits are those of Redis 7.2; 7.0, which we otherwise follow, has no packed
//! one and goes from integers to a table directly.

pub mod algebra;
mod builder;
mod ints;
mod member;
#[cfg(test)]
mod tests;

use super::EngineShared;
use super::packed::{Element, Packed};
use super::sample;
use super::table::{Remains, Slot, Table};
use crate::base::random::Random;
pub use builder::Builder;
use ints::{INTS_MAX, Ints};
use member::Member;

/// Once a table, it stays one.
#[derive(Clone)]
pub enum Set {
    /// Integers or a packed sequence: the allocation itself says which. An empty one is both.
    Small(Packed),
    /// In hash order.
    Table(Box<Table<Member>>),
}

const _: () = assert!(size_of::<Set>() == 16);

/// A packed set stays smaller than this, whatever the thresholds.
const PACKED_BYTES_MAX: usize = 1 << 29;
/// Popping leaves members where they are if it leaves more than one in this many; otherwise it is
/// those that are moved.
const FEW_LEFT: usize = 5;

/// Members that were taken out at once. Dropping them takes its time.
#[derive(Default)]
pub struct Gone {
    count: usize,
    /// All there were, if the others have moved to another set.
    set: Set,
    remains: Remains<Member>,
}

impl Gone {
    /// Roughly how many allocations freeing them takes.
    pub fn free_cost(&self) -> usize {
        self.count.max(self.set.free_cost() + self.remains.free_cost())
    }
}

/// A set as one can look at it.
enum Form<'s> {
    Ints(Ints<'s>),
    Packed(&'s Packed),
    Table(&'s Table<Member>),
}

impl Default for Set {
    fn default() -> Set {
        Set::Small(Packed::default())
    }
}

/// Looking.
impl Set {
    #[inline]
    fn form(&self) -> Form<'_> {
        match self {
            Set::Small(packed) => Ints::of(packed).map_or(Form::Packed(packed), Form::Ints),
            Set::Table(table) => Form::Table(table),
        }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match self.form() {
            Form::Ints(ints) => ints.len(),
            Form::Packed(packed) => packed.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there are none, which only a set that is being built may say.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer of OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        match self.form() {
            Form::Ints(_) => "intset",
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        match self {
            Set::Small(_) => 1,
            Set::Table(table) => table.len(),
        }
    }

    /// Heap bytes it holds, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Set::Small(packed) => packed.bytes(),
            Set::Table(table) => {
                let members = sample::weigh(table.len(), table.iter().map(Member::bytes));
                size_of::<Table<Member>>() + table.bytes() + members
            }
        }
    }

    /// Whether `member` is there.
    #[inline]
    pub fn has(&self, member: Element<'_>, shared: &EngineShared) -> bool {
        match self.form() {
            Form::Ints(ints) => member.as_int().is_some_and(|it| ints.find(it).is_ok()),
            Form::Packed(packed) => packed.find(member.settled(), packed.start(), 1).is_some(),
            Form::Table(table) => member.with_text(|it| table.get(shared.hash(it), it).is_some()),
        }
    }

    /// As [`Set::has`], for a member of another table.
    #[inline]
    fn has_member(&self, member: &Member, shared: &EngineShared) -> bool {
        match (self, member.hash()) {
            (Set::Table(table), Some(hash)) => table.get(hash, member.text()).is_some(),
            _ => self.has(element(member), shared),
        }
    }

    /// Starts fetching what a look for this member will compare it with.
    #[inline]
    fn prefetch(&self, member: &Member) {
        if let (Set::Table(table), Some(hash)) = (self, member.hash()) {
            table.any_of(hash).into_iter().for_each(Slot::prefetch);
        }
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> {
        let (ints, packed, table) = match self.form() {
            Form::Ints(ints) => (Some(ints.iter().map(Element::Int)), None, None),
            Form::Packed(packed) => (None, Some(packed.iter()), None),
            Form::Table(table) => (None, None, Some(table.iter().map(element))),
        };
        let small = ints.into_iter().flatten().chain(packed.into_iter().flatten());
        small.chain(table.into_iter().flatten())
    }

    /// The members in order, if all are kept as integers.
    pub fn ints(&self) -> Option<impl Iterator<Item = i64>> {
        match self.form() {
            Form::Ints(ints) => Some(ints.iter()),
            Form::Packed(_) | Form::Table(_) => None,
        }
    }

    /// Visits members in hash order from `from` on (`None` is behind all hashes), at least
    /// `at_least` if there are so many. Answers where to go on, `None` at the end. A small set is
    /// visited whole.
    pub fn scan<'s>(
        &'s self,
        from: Option<u32>,
        at_least: usize,
        mut visit: impl FnMut(Element<'s>),
    ) -> Option<u32> {
        match self {
            Set::Small(_) => {
                self.iter().for_each(visit);
                None
            }
            Set::Table(table) => table.scan(from?, at_least, |it| visit(element(it))),
        }
    }

    /// A member by chance.
    pub fn random(&self, random: &mut Random) -> Option<Element<'_>> {
        let len = self.len();
        if len == 0 {
            return None;
        }
        match self.form() {
            Form::Ints(ints) => Some(Element::Int(ints.get(below(len, random)))),
            Form::Packed(packed) => Some(packed.get(packed.nth(below(len, random)))),
            Form::Table(table) => table.random(random).map(element),
        }
    }

    /// Visits `count` different members by chance, or all.
    pub fn sample<'s>(&'s self, count: usize, random: &mut Random, visit: impl FnMut(Element<'s>)) {
        match self {
            Set::Table(table) if sample::is_few(count, self.len()) => {
                let mut visit = visit;
                let pick = |random: &mut Random| table.random(random);
                sample::few(count, table.iter(), pick, random, |it| visit(element(it)));
            }
            _ => sample::many(count, self.len(), self.iter(), random, visit),
        }
    }
}

/// Changing.
impl Set {
    /// Puts members in. Answers how many are new.
    pub fn add_all<'a>(
        &mut self,
        members: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        shared: &EngineShared,
    ) -> usize {
        let before = self.len();
        self.expect(members.clone(), shared);
        for member in members {
            self.add(Element::Text(member), shared);
        }
        self.len() - before
    }

    /// Takes the form at once that so many members would lead to, should none of them be there.
    fn expect<'a>(
        &mut self,
        mut members: impl ExactSizeIterator<Item = &'a [u8]>,
        shared: &EngineShared,
    ) {
        let (count, limits) = (members.len(), &shared.thresholds);
        let Set::Small(packed) = self else { return };
        let first = members.next().filter(|_| packed.is_empty()).map(Element::of);
        let is_ints = Ints::of(packed).is_some() && !matches!(first, Some(Element::Text(_)));
        match is_ints {
            true if count <= limits.set_intset_entries => {}
            false if count <= limits.set_entries => {}
            // Integers that will be too many, yet not too many for a sequence.
            true if count <= limits.set_entries => match first {
                Some(first) if first.text_len() <= limits.set_value => packed.push(&[first]),
                _ => drop(self.as_table(shared)),
            },
            _ => drop(self.as_table(shared)),
        }
    }

    /// Puts `member` in. Answers whether it is new.
    #[inline]
    pub fn add(&mut self, member: Element<'_>, shared: &EngineShared) -> bool {
        match self {
            Set::Small(packed) => match add_small(packed, member.settled(), shared) {
                Some(is_new) => is_new,
                None => self.add_large(member, shared),
            },
            Set::Table(_) => self.add_large(member, shared),
        }
    }

    fn add_large(&mut self, member: Element<'_>, shared: &EngineShared) -> bool {
        let table = self.as_table(shared);
        member.with_text(|it| {
            let hash = shared.hash(it);
            // A look is cheaper than an allocation in vain.
            table.get(hash, it).is_none() && table.insert(Member::new(hash, it)).is_none()
        })
    }

    /// Takes `member` out. Answers whether it was there.
    pub fn remove(&mut self, member: Element<'_>, shared: &EngineShared) -> bool {
        match self {
            Set::Small(packed) => remove_small(packed, member),
            Set::Table(table) => member.with_text(|it| table.remove(shared.hash(it), it).is_some()),
        }
    }

    /// Takes a member out by chance, and shows it.
    pub fn pop<R>(
        &mut self,
        random: &mut Random,
        show: impl FnOnce(Element<'_>) -> R,
    ) -> Option<R> {
        let len = self.len();
        if len == 0 {
            return None;
        }
        match self {
            Set::Small(packed) => {
                let index = below(len, random);
                let shown = match Ints::of(packed) {
                    Some(ints) => show(Element::Int(ints.get(index))),
                    None => show(packed.get(packed.nth(index))),
                };
                remove_at(packed, index);
                Some(shown)
            }
            Set::Table(table) => {
                let (hash, text) = table.any(random).map(|it| (it.hash(), it.clone()))?;
                let member = table.remove(hash?, text.text())?;
                Some(show(element(&member)))
            }
        }
    }

    /// Takes `count` members out by chance, fewer than there are, and shows them. Answers what is
    /// left to be dropped.
    pub fn pop_many(
        &mut self,
        count: usize,
        random: &mut Random,
        shared: &EngineShared,
        mut show: impl FnMut(Element<'_>),
    ) -> Gone {
        let (len, left) = (self.len(), self.len().saturating_sub(count));
        match self {
            Set::Table(_) if sample::is_few(count, len) => {
                for _ in 0..count {
                    self.pop(random, &mut show);
                }
                return Gone::default();
            }
            Set::Table(table) if count < left.saturating_mul(FEW_LEFT) => {
                return Gone {
                    remains: sweep(table, count, random, show),
                    count,
                    ..Gone::default()
                };
            }
            _ => {}
        }
        let mut kept = Vec::with_capacity(left);
        sample::split(count, self.len(), self.iter(), random, show, |it| kept.push(it));
        let kept = self.with_only(&kept, shared);
        let set = std::mem::replace(self, kept);
        Gone { count: set.free_cost(), set, ..Gone::default() }
    }

    /// A table of these, at once. Of several that are equal it keeps one.
    fn of(members: Vec<Member>) -> Set {
        Set::Table(Box::new(Table::of(members)))
    }

    /// A set of these, all different and settled, in the smallest form that takes them.
    fn smallest_of(members: &[Element<'_>], shared: &EngineShared) -> Set {
        let (limits, mut set) = (&shared.thresholds, Set::default());
        let are_ints = members.iter().all(|it| matches!(it, Element::Int(_)));
        if !are_ints || limits.set_intset_entries.min(INTS_MAX) < members.len() {
            let mut packed = Packed::default();
            let is_short = members.iter().all(|it| it.text_len() <= limits.set_value);
            if members.len() <= limits.set_entries && is_short {
                packed.push(members);
                return Set::Small(packed);
            }
            set.as_table(shared);
        }
        for member in members {
            set.add(*member, shared);
        }
        set
    }

    /// A set of some of this one's members. A sequence stays one, even one of integers only.
    fn with_only(&self, members: &[Element<'_>], shared: &EngineShared) -> Set {
        let mut packed = Packed::default();
        if let Form::Packed(_) = self.form() {
            packed.push(members);
            return Set::Small(packed);
        }
        let mut set = Set::Small(packed);
        for member in members {
            set.add(*member, shared);
        }
        set
    }

    /// The table that this set is, from now on if it was not.
    fn as_table(&mut self, shared: &EngineShared) -> &mut Table<Member> {
        if let Set::Small(_) = self {
            let mut table = Box::new(Table::new());
            for member in self.iter() {
                member.with_text(|it| table.insert(Member::new(shared.hash(it), it)));
            }
            *self = Set::Table(table);
        }
        match self {
            Set::Table(table) => table,
            Set::Small(_) => unreachable!("just made a table"),
        }
    }
}

/// Takes `count` members out by chance in one walk, and shows them.
fn sweep(
    table: &mut Table<Member>,
    count: usize,
    random: &mut Random,
    mut show: impl FnMut(Element<'_>),
) -> Remains<Member> {
    let (mut unmet, mut wanted) = (table.len(), count);
    table.sweep(|member| {
        let goes = below(unmet, random) < wanted;
        unmet -= 1;
        if goes {
            wanted -= 1;
            show(element(member));
        }
        !goes
    })
}

#[inline]
fn element(member: &Member) -> Element<'_> {
    Element::Text(member.text())
}

fn below(len: usize, random: &mut Random) -> usize {
    random.below(len as u64) as usize
}

/// Answers whether `member` is new; `None` if there is no room for it here.
fn add_small(packed: &mut Packed, member: Element<'_>, shared: &EngineShared) -> Option<bool> {
    let limits = &shared.thresholds;
    let (ints, number) = match (Ints::of(packed), member) {
        (Some(ints), Element::Int(number)) => (ints, number),
        (Some(ints), Element::Text(text)) => {
            let fits = ints.len() < limits.set_entries
                && text.len().max(longest(ints)) <= limits.set_value;
            let sequence = fits.then(|| sequence(ints))?;
            *packed = sequence;
            packed.push(&[member]);
            return Some(true);
        }
        (None, _) => return push(packed, member, shared),
    };
    if ints.len() < limits.set_intset_entries.min(INTS_MAX) {
        return Some(ints::insert(packed, number));
    }
    ints.find(number).is_ok().then_some(false)
}

fn push(packed: &mut Packed, member: Element<'_>, shared: &EngineShared) -> Option<bool> {
    let limits = &shared.thresholds;
    if packed.find(member, packed.start(), 1).is_some() {
        return Some(false);
    }
    let fits = packed.len() < limits.set_entries
        && member.text_len() <= limits.set_value
        && packed.bytes() < PACKED_BYTES_MAX;
    fits.then(|| {
        packed.push(&[member]);
        true
    })
}

/// Length of the longest of these integers' texts, which is at one of their ends.
fn longest(ints: Ints<'_>) -> usize {
    let lens = ints.ends().into_iter().flatten().map(|it| Element::Int(it).text_len());
    lens.max().unwrap_or(0)
}

fn sequence(ints: Ints<'_>) -> Packed {
    let elements: Vec<_> = ints.iter().map(Element::Int).collect();
    let mut packed = Packed::default();
    if !elements.is_empty() {
        packed.push(&elements);
    }
    packed
}

fn remove_small(packed: &mut Packed, member: Element<'_>) -> bool {
    match Ints::of(packed) {
        Some(ints) => match member.as_int().map(|it| ints.find(it)) {
            Some(Ok(index)) => {
                ints::remove(packed, index);
                true
            }
            _ => false,
        },
        None => match packed.find(member.settled(), packed.start(), 1) {
            Some(place) => 0 < packed.remove(place, 1),
            None => false,
        },
    }
}

fn remove_at(packed: &mut Packed, index: usize) {
    match Ints::of(packed) {
        Some(_) => ints::remove(packed, index),
        None => drop(packed.remove(packed.nth(index), 1)),
    }
}
