//! A sorted set: members in the order of their scores, packed while they are few and short.

mod large;
mod member;
mod tree;

use super::EngineShared;
use super::packed::{Element, Packed, Place};
use super::sample;
use super::table::Slot;
use crate::base::random::Random;
pub use large::Gone;
use large::Large;
use member::{Member, Named, score_order};
use std::ops::Range;

/// Pairs side by side, or a tree with a table. Once large, it stays so.
#[derive(Clone)]
pub enum Zset {
    /// Member, score, member, score, in order. A score is an integer if it can be, or else the
    /// eight bytes of a double: -0 becomes 0 here, as in Redis.
    Packed(Packed),
    /// Everything else.
    Large(Box<Large>),
}

const _: () = assert!(size_of::<Zset>() == 16);

/// A packed set stays smaller than this, whatever the thresholds.
const PACKED_BYTES_MAX: usize = 1 << 30;
/// Doubles below this are told from their neighbours by their integer part.
const INTEGER_MAX: f64 = (1_u64 << 53) as f64;

/// A member as it is stored, and its score.
pub type Scored<'a> = (Element<'a>, f64);

impl Default for Zset {
    fn default() -> Zset {
        Zset::Packed(Packed::default())
    }
}

/// A sorted set of many members that is large from the start, and laid out once.
pub struct Builder<'e> {
    members: Vec<Member>,
    shared: &'e EngineShared,
}

impl<'e> Builder<'e> {
    /// Without members yet.
    pub fn new(shared: &'e EngineShared) -> Builder<'e> {
        Builder { members: Vec::new(), shared }
    }

    /// Takes one more, in any order; quickest in that of the scores or its reverse. The score must
    /// be a number.
    #[inline]
    pub fn push(&mut self, text: &[u8], score: f64) {
        self.members.push(Member::new(score, text));
    }

    /// The set; shorter than what was put in if a member came twice.
    pub fn build(self) -> Zset {
        let shared = self.shared;
        Zset::Large(Box::new(Large::of(self.members, |it| shared.hash(it))))
    }
}

/// Looking.
impl Zset {
    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Zset::Packed(packed) => packed.len() / 2,
            Zset::Large(large) => large.len(),
        }
    }

    /// Whether there are none, which only a set that is being built may say.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer of OBJECT ENCODING: ours is a tree, but clients know it by the other name.
    pub fn encoding(&self) -> &'static str {
        match self {
            Zset::Packed(_) => "listpack",
            Zset::Large(_) => "skiplist",
        }
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        match self {
            Zset::Packed(_) => 1,
            Zset::Large(large) => large.len(),
        }
    }

    /// Heap bytes it holds, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Zset::Packed(packed) => packed.bytes(),
            Zset::Large(large) => large.bytes(),
        }
    }

    /// The score of `member`.
    #[inline]
    pub fn score(&self, member: &[u8], shared: &EngineShared) -> Option<f64> {
        match self {
            Zset::Packed(packed) => {
                find(packed, Element::of(member)).map(|it| score_of(packed, it))
            }
            Zset::Large(large) => large.score(shared.hash(member), member),
        }
    }

    /// How many members come before `member`, and its score.
    pub fn rank(&self, member: &[u8], shared: &EngineShared) -> Option<(usize, f64)> {
        match self {
            Zset::Packed(packed) => {
                let place = find(packed, Element::of(member))?;
                let rank = packed.walk(packed.start()).take_while(|it| it.0 < place).count() / 2;
                Some((rank, score_of(packed, place)))
            }
            Zset::Large(large) => {
                let score = large.score(shared.hash(member), member)?;
                Some((large.tree().count(|it| it.order(score, member).is_lt()), score))
            }
        }
    }

    /// How many members, counted from the first, have a score for which `is_before` holds.
    pub fn count_scores(&self, is_before: impl Fn(f64) -> bool) -> usize {
        match self {
            Zset::Packed(packed) => pairs(packed).take_while(|it| is_before(it.1)).count(),
            Zset::Large(large) => large.tree().count(|it| is_before(it.score)),
        }
    }

    /// How many members, counted from the first, have a text for which `is_before` holds; only of
    /// use where all scores are equal.
    pub fn count_texts(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        match self {
            Zset::Packed(packed) => {
                pairs(packed).take_while(|it| it.0.with_text(&is_before)).count()
            }
            Zset::Large(large) => large.tree().count(|it| is_before(it.text())),
        }
    }

    /// The members with these ranks, the lowest first.
    pub fn walk(&self, ranks: Range<usize>) -> impl Iterator<Item = Scored<'_>> {
        let (packed, large) = match self {
            Zset::Packed(packed) => (Some(pairs(packed).skip(ranks.start).take(ranks.len())), None),
            Zset::Large(large) => (None, Some(large.tree().walk(ranks).map(scored))),
        };
        packed.into_iter().flatten().chain(large.into_iter().flatten())
    }

    /// The members with these ranks, the highest first.
    pub fn walk_back(&self, ranks: Range<usize>) -> impl Iterator<Item = Scored<'_>> {
        let (packed, large) = match self {
            Zset::Packed(packed) => {
                let those = pairs(packed).skip(ranks.start).take(ranks.len());
                (Some(those.collect::<Vec<_>>().into_iter().rev()), None)
            }
            Zset::Large(large) => (None, Some(large.tree().walk_back(ranks).map(scored))),
        };
        packed.into_iter().flatten().chain(large.into_iter().flatten())
    }

    /// The members whose scores are in a range, the lowest first.
    pub fn walk_scores(&self, scores: Range<f64>) -> impl Iterator<Item = Scored<'_>> {
        let first = self.count_scores(|it| it < scores.start);
        self.walk(first..self.len()).take_while(move |(_, score)| *score < scores.end)
    }

    /// All members, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Scored<'_>> {
        self.walk(0..self.len())
    }

    /// Visits members in hash order from `from` on (`None` is behind all hashes), at least
    /// `at_least` if there are so many. Answers where to go on, `None` at the end. A packed set is
    /// visited whole.
    pub fn scan<'z>(
        &'z self,
        from: Option<u32>,
        at_least: usize,
        mut visit: impl FnMut(Scored<'z>),
    ) -> Option<u32> {
        match self {
            Zset::Packed(packed) => {
                pairs(packed).for_each(visit);
                None
            }
            Zset::Large(large) => large.table().scan(from?, at_least, |it| visit(named(it))),
        }
    }

    /// A member by chance.
    pub fn random(&self, random: &mut Random) -> Option<Scored<'_>> {
        match self {
            Zset::Packed(packed) if packed.is_empty() => None,
            Zset::Packed(packed) => {
                let place = packed.nth(random.below(self.len() as u64) as usize * 2);
                Some((packed.get(place), score_of(packed, place)))
            }
            Zset::Large(large) => large.table().random(random).map(named),
        }
    }

    /// Visits `count` different members by chance, or all.
    pub fn sample<'z>(
        &'z self,
        count: usize,
        random: &mut Random,
        mut visit: impl FnMut(Scored<'z>),
    ) {
        match self {
            Zset::Packed(packed) => sample::many(count, self.len(), pairs(packed), random, visit),
            Zset::Large(large) => {
                large.sample(count, random, |text, score| visit((Element::Text(text), score)));
            }
        }
    }
}

/// Changing.
impl Zset {
    /// Stores for `member` the score that `decide` tells, given the one it has; `None` leaves it.
    /// The score must be a number.
    pub fn update<R>(
        &mut self,
        member: &[u8],
        shared: &EngineShared,
        decide: impl FnOnce(Option<f64>) -> (R, Option<f64>),
    ) -> R {
        let packed = match self {
            Zset::Packed(packed) => packed,
            Zset::Large(large) => return large.update(shared.hash(member), member, decide),
        };
        let element = Element::of(member);
        let place = find(packed, element);
        let (answer, new) = decide(place.map(|it| score_of(packed, it)));
        match (place, new) {
            (_, None) => {}
            (Some(place), Some(score)) => {
                packed.remove(place, 2);
                insert(packed, member, score);
            }
            (None, Some(score)) if has_room(packed, member, shared) => {
                insert(packed, member, score);
            }
            (None, Some(score)) => {
                let hash = shared.hash(member);
                self.as_large(shared).update(hash, member, |_| ((), Some(score)));
            }
        }
        answer
    }

    /// Gives `member` a score.
    pub fn set(&mut self, member: &[u8], score: f64, shared: &EngineShared) {
        self.update(member, shared, |_| ((), Some(score)));
    }

    /// Takes `member` out. Answers whether it was there.
    pub fn remove(&mut self, member: &[u8], shared: &EngineShared) -> bool {
        match self {
            Zset::Packed(packed) => match find(packed, Element::of(member)) {
                Some(place) => 0 < packed.remove(place, 2),
                None => false,
            },
            Zset::Large(large) => large.remove(shared.hash(member), member),
        }
    }

    /// Takes out the members with these ranks, which are there, and shows each, the lowest first.
    /// Answers what is left to be dropped.
    pub fn take(
        &mut self,
        ranks: Range<usize>,
        shared: &EngineShared,
        mut visit: impl FnMut(Scored<'_>),
    ) -> Gone {
        match self {
            Zset::Packed(packed) => {
                let place = packed.nth(2 * ranks.start);
                pairs_from(packed, place).take(ranks.len()).for_each(visit);
                packed.remove(place, 2 * ranks.len());
                Gone::default()
            }
            Zset::Large(large) if ranks.len() == 1 => {
                let taken = large.take_at(ranks.start, |it| shared.hash(it));
                taken.iter().for_each(|it| visit(scored(it)));
                Gone::default()
            }
            Zset::Large(large) => {
                let gone = large.take(ranks, |it| shared.hash(it));
                gone.each(|it| visit(scored(it)));
                gone
            }
        }
    }

    /// A set of these, which come in order: in its final form from the start.
    pub fn of_sorted<T: AsRef<[u8]>>(members: &[(T, f64)], shared: &EngineShared) -> Zset {
        let limits = &shared.thresholds;
        let longest = members.iter().map(|(text, _)| text.as_ref().len()).max().unwrap_or(0);
        if limits.zset_entries < members.len() || limits.zset_value < longest {
            let mut large = Builder::new(shared);
            members.iter().for_each(|(text, score)| large.push(text.as_ref(), *score));
            return large.build();
        }
        let mut set = Zset::default();
        members.iter().for_each(|(text, score)| set.set(text.as_ref(), *score, shared));
        set
    }

    /// A set of the members with these ranks, which has its final form from the start. It shares
    /// their texts if they are many.
    pub fn part(&self, ranks: Range<usize>, shared: &EngineShared) -> Zset {
        match self {
            Zset::Large(large) if ranks.len() <= shared.thresholds.zset_entries => {
                grown(large.tree().walk(ranks).map(scored), shared)
            }
            Zset::Large(large) if ranks.len() < large.len() => {
                let members = large.tree().walk(ranks).cloned().collect();
                Zset::Large(Box::new(Large::of(members, |it| shared.hash(it))))
            }
            Zset::Large(_) => self.clone(),
            Zset::Packed(packed) => {
                let place = packed.nth(2 * ranks.start);
                grown(pairs_from(packed, place).take(ranks.len()), shared)
            }
        }
    }

    /// As [`Zset::part`], as if members were put in one by one: the first of them lose a sign of
    /// zero that only the compact form does not know, as in Redis.
    pub fn part_by_part(&self, ranks: Range<usize>, shared: &EngineShared) -> Zset {
        let first = ranks.len().min(shared.thresholds.zset_entries);
        let mut first = self.walk(ranks.start..ranks.start + first);
        match first.any(|(_, score)| score == 0.0 && score.is_sign_negative()) {
            true => grown(self.walk(ranks), shared),
            false => self.part(ranks, shared),
        }
    }

    /// Whether it is in the compact form.
    pub fn is_packed(&self) -> bool {
        matches!(self, Zset::Packed(_))
    }

    /// The large form that this set has, from now on if it had not.
    fn as_large(&mut self, shared: &EngineShared) -> &mut Large {
        if let Zset::Packed(packed) = self {
            let mut large = Box::new(Large::default());
            for (member, score) in pairs(packed) {
                let text = member.text();
                large.update(shared.hash(&text), &text, |_| ((), Some(score)));
            }
            *self = Zset::Large(large);
        }
        match self {
            Zset::Large(large) => large,
            Zset::Packed(_) => unreachable!("just made large"),
        }
    }
}

/// Puts members into the order of a sorted set.
pub fn sort_members<T: AsRef<[u8]>>(members: &mut [(T, f64)]) {
    members.sort_unstable_by(|one, other| {
        score_order(one.1, other.1).then_with(|| one.0.as_ref().cmp(other.0.as_ref()))
    });
}

fn grown<'z>(members: impl Iterator<Item = Scored<'z>>, shared: &EngineShared) -> Zset {
    let mut set = Zset::default();
    members.for_each(|(member, score)| member.with_text(|it| set.set(it, score, shared)));
    set
}

fn scored(member: &Member) -> Scored<'_> {
    (Element::Text(member.text()), member.score)
}

fn named(named: &Named) -> Scored<'_> {
    (Element::Text(named.key()), named.score())
}

fn find(packed: &Packed, member: Element<'_>) -> Option<Place> {
    packed.find(member, packed.start(), 2)
}

/// The score of the member at `place`.
fn score_of(packed: &Packed, place: Place) -> f64 {
    as_score(packed.get(packed.after(place)))
}

fn as_score(element: Element<'_>) -> f64 {
    match element {
        Element::Int(number) => number as f64,
        Element::Text(bytes) => {
            f64::from_le_bytes(*bytes.first_chunk().expect("a score has eight bytes"))
        }
    }
}

fn pairs(packed: &Packed) -> impl Iterator<Item = Scored<'_>> {
    pairs_from(packed, packed.start())
}

fn pairs_from(packed: &Packed, place: Place) -> impl Iterator<Item = Scored<'_>> {
    let mut elements = packed.walk(place).map(|(_, it)| it);
    std::iter::from_fn(move || {
        Some((elements.next()?, as_score(elements.next().expect("a member has a score"))))
    })
}

fn has_room(packed: &Packed, member: &[u8], shared: &EngineShared) -> bool {
    let limits = &shared.thresholds;
    packed.len() / 2 < limits.zset_entries
        && member.len() <= limits.zset_value
        && packed.bytes() < PACKED_BYTES_MAX
}

/// Puts a member that is not there where it belongs.
fn insert(packed: &mut Packed, member: &[u8], score: f64) {
    let bytes = score.to_le_bytes();
    let is_integer = score.fract() == 0.0 && score.abs() < INTEGER_MAX;
    let stored = if is_integer { Element::Int(score as i64) } else { Element::Text(&bytes) };
    packed.insert(place_for(packed, member, score), &[Element::of(member), stored]);
}

/// Where the first member stands that comes after this one, or the end.
fn place_for(packed: &Packed, member: &[u8], score: f64) -> Place {
    let mut place = packed.start();
    while place < packed.end() {
        let middle = packed.after(place);
        let by_score = score_order(as_score(packed.get(middle)), score);
        let stands = by_score.then_with(|| packed.get(place).with_text(|it| it.cmp(member)));
        if stands.is_gt() {
            return place;
        }
        place = packed.after(middle);
    }
    place
}

#[cfg(test)]
mod tests;
