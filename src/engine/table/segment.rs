//! One segment: a short array of slots in hash order, with gaps.

use std::iter;
use std::mem;

use super::Slot;
use crate::base::prefetch::prefetch;

/// The sizes a segment grows through. Only one whose entries cannot be told apart grows further.
const CAPACITIES: [usize; 15] = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 320, 384, 448, 512];
/// Below this many slots, memory matters less than speed.
const SPACIOUS: usize = 64;
/// How many slots ahead of a walk over all of them memory is asked for.
const AHEAD: usize = 16;
const SMALLEST: usize = CAPACITIES[0];
const LARGEST: usize = CAPACITIES[CAPACITIES.len() - 1];
/// Most entries of a segment that needs not split.
pub const ROOM_MAX: usize = load_max(LARGEST);

/// Linear probing where an entry stands at its home slot or after it, behind all entries of lower
/// hashes (Celis' Robin Hood hashing, with equal homes in hash order). A run that meets the end
/// of the array goes on at its front. At least one slot is always empty, which ends every walk.
pub struct Segment<S> {
    slots: Box<[S]>,
    taken: u32,
    /// The lowest hash this segment is for; all its hashes share the first `depth` bits.
    first: u32,
    depth: u32,
}

impl<S: Slot> Segment<S> {
    /// A segment of no slots, which stands in while another is being rebuilt.
    pub fn nowhere() -> Self {
        Segment { slots: Box::default(), taken: 0, first: 0, depth: 0 }
    }

    /// A segment with room for `entries`, filled with `sorted`, which comes in hash order.
    pub fn build(
        first: u32,
        depth: u32,
        entries: usize,
        sorted: impl Iterator<Item = S>,
    ) -> Segment<S> {
        let slots = iter::repeat_with(S::empty).take(capacity_for(entries)).collect();
        let mut segment = Segment { slots, taken: 0, first, depth };
        segment.fill(sorted);
        segment
    }

    fn fill(&mut self, sorted: impl Iterator<Item = S>) {
        let mut next = 0;
        let mut wrapped = Vec::new();
        for slot in sorted {
            let at = self.home(hash_of(&slot)).max(next);
            next = at + 1;
            match self.slots.get_mut(at) {
                Some(free) => *free = slot,
                None => wrapped.push(slot),
            }
            self.taken += 1;
        }
        self.taken -= wrapped.len() as u32;
        for slot in wrapped {
            self.add(hash_of(&slot), slot);
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.taken as usize
    }

    /// The slots as they are.
    pub fn into_slots(self) -> Box<[S]> {
        self.slots
    }

    /// Number of slots.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The lowest hash this segment is for.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The lowest hash after this segment's; `None` at the end of all hashes.
    pub fn end(&self) -> Option<u32> {
        u32::try_from(u64::from(self.first) + (1 << (32 - self.depth))).ok()
    }

    /// How many leading bits all hashes of this segment share.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The lowest hash of the segment this one was split from; `None` if there was no split.
    pub fn buddy(&self) -> Option<u32> {
        self.depth.checked_sub(1).map(|above| self.first ^ (1 << (31 - above)))
    }

    /// Whether one more entry fits.
    pub fn has_room(&self) -> bool {
        self.len() < load_max(self.capacity())
    }

    /// Whether it is better split than grown.
    pub fn is_largest(&self) -> bool {
        LARGEST <= self.capacity()
    }

    /// Whether so little is left that it should become smaller, or one with its neighbour.
    pub fn is_sparse(&self) -> bool {
        self.len() * 4 < self.capacity()
    }

    /// Whether there is a smaller size than this.
    pub fn can_shrink(&self) -> bool {
        SMALLEST < self.capacity()
    }

    /// The slot at an index that `seek` found.
    #[inline]
    pub fn slot(&self, at: usize) -> &S {
        &self.slots[at]
    }

    /// The same, to change.
    #[inline]
    pub fn slot_mut(&mut self, at: usize) -> &mut S {
        &mut self.slots[at]
    }

    /// The slot at `at`, if there is one with an entry.
    pub fn taken_slot(&self, at: usize) -> Option<&S> {
        self.slots.get(at).filter(|it| it.hash().is_some())
    }

    /// Where the first entry of `hash` that `is_it` stands, or else where one would have to.
    // Of each SET and GET: a call of its own costs 30 instructions.
    #[inline(always)]
    pub fn seek(&self, hash: u32, is_it: impl Fn(&S) -> bool) -> Result<usize, usize> {
        let mut at = self.home(hash);
        let mut steps = 0;
        loop {
            let slot = &self.slots[at];
            match slot.hash() {
                None => return Err(at),
                Some(same) if same == hash && is_it(slot) => return Ok(at),
                Some(other) if self.belongs_after(other, at, hash, steps) => return Err(at),
                Some(_) => {}
            }
            at = self.after(at);
            steps += 1;
        }
    }

    /// Whether `other`, met at `at`, comes after `hash`, which is `steps` from home there.
    #[inline]
    fn belongs_after(&self, other: u32, at: usize, hash: u32, steps: usize) -> bool {
        let away = self.steps_from_home(other, at);
        away < steps || (away == steps && hash < other)
    }

    #[inline]
    fn steps_from_home(&self, hash: u32, at: usize) -> usize {
        let home = self.home(hash);
        if at < home { at + self.slots.len() - home } else { at - home }
    }

    /// The bits after the shared ones, as a fraction of the slots: grows with the hash.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        let fraction = (u64::from(hash) << self.depth) & 0xFFFF_FFFF;
        ((fraction * self.slots.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 < self.slots.len() { at + 1 } else { 0 }
    }

    /// Puts in an entry whose key is not there.
    pub fn add(&mut self, hash: u32, slot: S) {
        let (Ok(at) | Err(at)) = self.seek(hash, |_| false);
        self.put(at, slot);
    }

    /// Puts an entry where `seek` said, and moves what stands there up to the next gap.
    pub fn put(&mut self, at: usize, slot: S) {
        let (mut at, mut carried) = (at, slot);
        while carried.hash().is_some() {
            mem::swap(&mut self.slots[at], &mut carried);
            at = self.after(at);
        }
        self.taken += 1;
    }

    /// Takes out the entry at `at`, and closes the gap with those that are not at home.
    pub fn take(&mut self, at: usize) -> S {
        let slot = mem::replace(&mut self.slots[at], S::empty());
        let (mut gap, mut next) = (at, self.after(at));
        while self.slots[next].hash().is_some_and(|it| self.steps_from_home(it, next) != 0) {
            self.slots.swap(gap, next);
            (gap, next) = (next, self.after(next));
        }
        self.taken -= 1;
        slot
    }

    /// The entries whose hashes are not below `from`, in hash order.
    pub fn onward(&self, from: u32) -> impl Iterator<Item = &S> {
        let wrapped = self.wrapped();
        let start = match from <= self.first {
            true => wrapped,
            false => self.seek(from, |_| true).unwrap_or_else(|at| at),
        };
        let [head, tail] = match start < wrapped {
            true => [start..wrapped, 0..0],
            false => [start..self.slots.len(), 0..wrapped],
        };
        let slots = self.slots[head].iter().chain(&self.slots[tail]);
        slots.filter(move |it| it.hash().is_some_and(|hash| from <= hash))
    }

    /// Number `nth` of the entries whose hashes are `from` or more but below `end`; how many there
    /// are if there are not so many.
    pub fn nth_between(&self, from: u32, end: u64, nth: usize) -> Result<&S, usize> {
        let mut at = match from <= self.first {
            true => self.wrapped(),
            false => self.seek(from, |_| true).unwrap_or_else(|at| at),
        };
        let mut met = 0;
        for _ in 0..self.slots.len() {
            let slot = &self.slots[at];
            match slot.hash() {
                // Behind the highest hash of all the lowest comes again.
                Some(hash) if hash < from || end <= u64::from(hash) => break,
                Some(_) if met == nth => return Ok(slot),
                Some(_) => met += 1,
                None => {}
            }
            at = self.after(at);
        }
        Err(met)
    }

    /// How many entries at the front belong behind the end of the array.
    fn wrapped(&self) -> usize {
        let strays = |at: &usize| self.slots[*at].hash().is_some_and(|it| *at < self.home(it));
        (0..self.slots.len()).take_while(strays).count()
    }

    /// The entries themselves, in hash order.
    pub fn drain(mut self) -> impl Iterator<Item = S> {
        let wrapped = self.wrapped();
        let order = (wrapped..self.slots.len()).chain(0..wrapped);
        let slots = order.map(move |at| mem::replace(&mut self.slots[at], S::empty()));
        slots.filter(|it| it.hash().is_some())
    }

    /// The same entries in a segment with room for `entries`.
    pub fn resized(self, entries: usize) -> Segment<S> {
        Segment::build(self.first, self.depth, entries, self.drain())
    }

    /// Two segments of one: by the first bit that its hashes may differ in.
    pub fn halves(self) -> [Segment<S>; 2] {
        let depth = self.depth + 1;
        let (first, middle) = (self.first, self.first | 1 << (32 - depth));
        let total = self.len();
        let upper = self.onward(middle).count();
        let lower = total - upper;
        let mut slots = self.drain();
        let below = Segment::build(first, depth, with_slack(lower), slots.by_ref().take(lower));
        [below, Segment::build(middle, depth, with_slack(upper), slots)]
    }

    /// One segment of the two that a split made.
    pub fn whole(halves: [Segment<S>; 2]) -> Segment<S> {
        let [mut lower, mut upper] = halves;
        if upper.first < lower.first {
            mem::swap(&mut lower, &mut upper);
        }
        let entries = lower.len() + upper.len();
        let (first, depth) = (lower.first, lower.depth - 1);
        Segment::build(first, depth, entries * 3 / 2, lower.drain().chain(upper.drain()))
    }

    /// Starts fetching the home slot of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.slots.get(self.home(hash)).into_iter().for_each(prefetch);
    }

    /// The slots, where each is asked to fetch what it points to well before it is shown.
    fn ahead(&self) -> impl Iterator<Item = &S> {
        let due = self.slots.iter().skip(AHEAD).map(Some).chain(iter::repeat(None));
        self.slots.iter().zip(due).map(|(slot, due)| {
            due.into_iter().for_each(S::prefetch);
            slot
        })
    }

    /// Keeps the entries that `stays` holds for, in as much room as they need. Answers the slots
    /// with all others.
    pub fn sweep(&mut self, mut stays: impl FnMut(&S) -> bool) -> Box<[S]> {
        let stays: Vec<bool> = self.ahead().map(|it| it.hash().is_some() && stays(it)).collect();
        let wrapped = self.wrapped();
        let kept = stays.iter().filter(|it| **it).count();
        let mut old = mem::take(&mut self.slots);
        let order = (wrapped..old.len()).chain(0..wrapped).filter(|it| stays[*it]);
        let sorted = order.map(|at| mem::replace(&mut old[at], S::empty()));
        *self = Segment::build(self.first, self.depth, with_slack(kept), sorted);
        old
    }
}

impl<S: Slot + Clone> Clone for Segment<S> {
    fn clone(&self) -> Segment<S> {
        let Segment { taken, first, depth, .. } = *self;
        Segment { slots: self.ahead().cloned().collect(), taken, first, depth }
    }
}

fn hash_of<S: Slot>(slot: &S) -> u32 {
    slot.hash().expect("an entry has a hash")
}

/// Some room beyond what so many entries need.
pub fn with_slack(entries: usize) -> usize {
    entries + entries / 8
}

/// One slot in eight stays empty: beyond that, walks get long. A small segment can afford to leave
/// more empty, so that most entries are at home.
const fn load_max(capacity: usize) -> usize {
    match capacity < SPACIOUS {
        true => capacity - capacity * 3 / 8,
        false => capacity - capacity / 8,
    }
}

fn capacity_for(entries: usize) -> usize {
    let fits = CAPACITIES.into_iter().find(|it| entries <= load_max(*it));
    fits.unwrap_or(entries * 3 / 2)
}
