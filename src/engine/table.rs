//! A hash table that never pauses to rehash: it grows and shrinks a segment at a time.
//!
//! ```text
//! hash    010|0110…      top bits → directory, the rest → home slot inside the segment
//! directory [0 0 1 2 3 3 3 3]         2^depth indices; a shallow segment is named more than once
//! segments   0 ─ sorted by hash, with gaps      1 ─ …      2 ─ …      3 ─ …
//! ```
//!
//! What holds between any two calls: every hash has exactly one segment; inside a segment entries
//! stand in hash order (with the last ones possibly wrapped to its front); so the whole table reads
//! in hash order, and a hash is a cursor that survives any change of layout.

mod build;
mod segment;
mod slot;
#[cfg(test)]
mod tests;

use std::iter;

use crate::base::random::Random;
use segment::Segment;

pub use slot::Slot;

/// Two neighbours with at most this many entries together become one segment again.
const MERGE_MAX: usize = 192;
/// A directory index must serve this many entries, or the directory does not double: hashes that
/// differ only in their last bits lengthen a segment instead of the directory.
const ENTRIES_PER_INDEX: usize = 8;
/// Entries whose hashes are near each other, on average, for `random`.
const CROWD: u64 = 16;
/// As many as there are in a crowd at most: more hashes than this meet in one range with a chance
/// of one in 10^10.
const CROWD_MAX: u64 = 48;
/// Throws of the random numbers before `random` and `any` settle for less than an even chance.
const TRIES_MAX: usize = 128;
/// How many entries after a random hash take part in them when the random numbers would not hit.
const NEARBY: u64 = 16;

/// What a table has lost at once, to be dropped where there is time.
pub struct Remains<S>(Vec<Box<[S]>>);

impl<S> Remains<S> {
    /// How many allocations they are, without what the slots point to.
    pub fn free_cost(&self) -> usize {
        self.0.len()
    }
}

impl<S> Default for Remains<S> {
    fn default() -> Self {
        Remains(Vec::new())
    }
}

/// The table. Only its segments hold entries; everything else says where they are.
#[derive(Clone)]
pub struct Table<S: Slot> {
    /// Which segment holds the hashes that begin with these `depth` bits. Empty until an insert.
    directory: Vec<u32>,
    segments: Vec<Segment<S>>,
    depth: u32,
    /// Segments only one directory index names; without any, the directory can halve.
    deepest: usize,
    len: usize,
    /// Slots of all segments together, and the most that one segment ever had.
    slots: usize,
    widest: u32,
}

impl<S: Slot> Default for Table<S> {
    fn default() -> Self {
        Table::new()
    }
}

impl<S: Slot> Table<S> {
    /// A table without entries, which allocates nothing until the first insert.
    pub const fn new() -> Self {
        Table {
            directory: Vec::new(),
            segments: Vec::new(),
            depth: 0,
            deepest: 0,
            len: 0,
            slots: 0,
            widest: 0,
        }
    }

    /// Its slots, the empty ones among them, in no particular order.
    pub fn into_slots(self) -> impl Iterator<Item = S> {
        self.segments.into_iter().flat_map(|it| it.into_slots().into_vec())
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry with this key, whose hash is `hash`.
    #[inline]
    pub fn get(&self, hash: u32, key: &[u8]) -> Option<&S> {
        let segment = self.home(hash)?;
        segment.seek(hash, |it| it.key() == key).ok().map(|at| segment.slot(at))
    }

    /// Some entry whose hash this is.
    pub fn any_of(&self, hash: u32) -> Option<&S> {
        let segment = self.home(hash)?;
        segment.seek(hash, |_| true).ok().map(|at| segment.slot(at))
    }

    /// The same as [`Table::get`], to change; its hash and key must stay as they are.
    #[inline]
    pub fn get_mut(&mut self, hash: u32, key: &[u8]) -> Option<&mut S> {
        let index = self.index(hash)?;
        let segment = &mut self.segments[index];
        segment.seek(hash, |it| it.key() == key).ok().map(|at| segment.slot_mut(at))
    }

    /// Puts an entry in, and gives back the one with the same key that it replaces.
    // A call of its own costs 40 of the instructions of a SET, at each member.
    #[inline(always)]
    pub fn insert(&mut self, slot: S) -> Option<S> {
        let hash = slot.hash().expect("only an entry can be inserted");
        let index = self.index(hash).unwrap_or_else(|| self.found());
        let segment = &mut self.segments[index];
        match segment.seek(hash, |it| it.key() == slot.key()) {
            Ok(at) => return Some(std::mem::replace(segment.slot_mut(at), slot)),
            Err(at) if segment.has_room() => segment.put(at, slot),
            Err(_) => self.roomy(hash).add(hash, slot),
        }
        self.len += 1;
        None
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u32, key: &[u8]) -> Option<S> {
        let index = self.index(hash)?;
        let segment = &mut self.segments[index];
        let at = segment.seek(hash, |it| it.key() == key).ok()?;
        let slot = segment.take(at);
        self.len -= 1;
        if self.segments[index].is_sparse() {
            self.tighten(index);
        }
        Some(slot)
    }

    /// Keeps the entries that `stays` holds for, in one walk, and answers the others. Each is asked
    /// about once, in no particular order.
    pub fn sweep(&mut self, mut stays: impl FnMut(&S) -> bool) -> Remains<S> {
        let gone = self.segments.iter_mut().map(|it| it.sweep(&mut stays)).collect();
        self.len = self.segments.iter().map(Segment::len).sum();
        self.slots = self.segments.iter().map(Segment::capacity).sum();
        // From the end, because what a merge moves comes from there.
        for index in (0..self.segments.len()).rev() {
            if index < self.segments.len() {
                self.join(index);
            }
        }
        self.flatten();
        let widest = self.segments.iter().map(Segment::capacity).max();
        self.widest = widest.unwrap_or(0) as u32;
        Remains(gone)
    }

    /// All of it, to be dropped.
    pub fn remains(self) -> Remains<S> {
        Remains(self.segments.into_iter().map(Segment::into_slots).collect())
    }

    /// Every entry with this hash.
    pub fn same_hash(&self, hash: u32) -> impl Iterator<Item = &S> {
        let onward = self.home(hash).into_iter().flat_map(move |it| it.onward(hash));
        onward.take_while(move |it| it.hash() == Some(hash))
    }

    /// Visits `at_least` entries (0 counts as 1) whose hashes are not below `from`, in hash order,
    /// and any more that share the last one's hash. Returns the hash to go on from, or `None` at
    /// the end. An entry that is there all along is visited, whatever else comes and goes.
    pub fn scan<'t>(
        &'t self,
        from: u32,
        at_least: usize,
        mut visit: impl FnMut(&'t S),
    ) -> Option<u32> {
        let mut last = None;
        for (count, slot) in self.onward(from).enumerate() {
            if at_least.max(1) <= count && slot.hash() != last {
                return slot.hash();
            }
            last = slot.hash();
            visit(slot);
        }
        None
    }

    /// Every entry, in hash order: the same on every member that holds the same keys.
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        self.onward(0)
    }

    /// Every entry, taken out of the table, in no particular order.
    pub fn drain(self) -> impl Iterator<Item = S> {
        self.segments.into_iter().flat_map(Segment::drain)
    }

    /// Forgets every entry and gives all memory back.
    pub fn clear(&mut self) {
        *self = Table::new();
    }

    /// Number of pieces `segment` can be asked for.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The entries of one piece, in hash order. The numbering holds until the next change.
    pub fn segment(&self, index: usize) -> impl Iterator<Item = &S> {
        self.segments[index].onward(0)
    }

    /// An entry by chance, each as likely as the next. The same random numbers choose the same
    /// entry of every table that holds the same keys, however it came to hold them.
    pub fn random(&self, random: &mut Random) -> Option<&S> {
        let len = self.len as u64;
        if len <= CROWD_MAX {
            let at = if len == 0 { 0 } else { random.below(len) };
            return self.iter().nth(at as usize);
        }
        // As many equal ranges of hashes as make a crowd of the entries in each, on average. Every
        // place in every crowd is as likely as every other, hence also every one that is taken.
        let crowds = len / CROWD;
        let mut hits = (0..TRIES_MAX).filter_map(|_| {
            let crowd = random.below(crowds);
            let [first, end] = [crowd, crowd + 1].map(|it| (it << 32) / crowds);
            self.nth_between(first as u32, end, random.below(CROWD_MAX) as usize)
        });
        match hits.next() {
            Some(slot) => Some(slot),
            None => self.nearby(random),
        }
    }

    /// As [`Table::random`], but quicker, and which entry depends on the layout too: for one that
    /// is to be taken out, which the stream then names. Each is as likely as the next, or nearly so
    /// in a table that is nearly empty of what it once held.
    pub fn any(&self, random: &mut Random) -> Option<&S> {
        let wide = match self.segments.as_slice() {
            [only] => only.capacity(),
            _ => self.widest as usize,
        };
        let tries = if self.is_empty() { 0 } else { TRIES_MAX };
        let mut hits = (0..tries).filter_map(|_| {
            // Every slot there could be is as likely as every other, hence also every taken one.
            let segment = &self.segments[random.below(self.segments.len() as u64) as usize];
            segment.taken_slot(random.below(wide as u64) as usize)
        });
        match hits.next() {
            Some(slot) => Some(slot),
            None => self.nearby(random),
        }
    }

    /// Starts fetching the slot where a lookup of `hash` will begin.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        if let Some(segment) = self.home(hash) {
            segment.prefetch(hash);
        }
    }

    /// Memory of the table itself, without what its slots point to.
    pub fn bytes(&self) -> usize {
        self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment<S>>()
            + self.slots * size_of::<S>()
    }

    #[inline]
    fn index(&self, hash: u32) -> Option<usize> {
        self.directory.get(leading(hash, self.depth)).map(|it| *it as usize)
    }

    #[inline]
    fn home(&self, hash: u32) -> Option<&Segment<S>> {
        self.index(hash).map(|index| &self.segments[index])
    }

    /// All entries whose hashes are not below `from`, in hash order.
    pub fn onward(&self, from: u32) -> impl Iterator<Item = &S> {
        let mut next = Some(from);
        let segments = iter::from_fn(move || {
            let segment = self.home(next?)?;
            next = segment.end();
            Some(segment)
        });
        segments.flat_map(move |it| it.onward(from))
    }

    /// Number `nth`, in hash order, of the entries whose hashes are not below `first` but `end`.
    fn nth_between(&self, first: u32, end: u64, nth: usize) -> Option<&S> {
        let (mut from, mut left) = (first, nth);
        loop {
            let segment = self.home(from)?;
            match segment.nth_between(from, end, left) {
                Ok(slot) => return Some(slot),
                Err(met) => left -= met,
            }
            from = segment.end().filter(|it| u64::from(*it) < end)?;
        }
    }

    fn nearby(&self, random: &mut Random) -> Option<&S> {
        let from = random.bits() as u32;
        let steps = random.below(NEARBY.min(self.len.max(1) as u64)) as usize;
        self.onward(from).chain(self.iter()).nth(steps)
    }
}

/// How the layout changes. Each of these touches one segment or two neighbours, and the directory.
impl<S: Slot> Table<S> {
    /// Lays the first segment, and returns its index.
    fn found(&mut self) -> usize {
        self.directory.push(0);
        self.add_segment(Segment::build(0, 0, 0, iter::empty()));
        self.deepest = 1;
        0
    }

    /// The segment of `hash`, with room for one more.
    fn roomy(&mut self, hash: u32) -> &mut Segment<S> {
        loop {
            let index = self.index(hash).expect("a table with entries has a directory");
            let segment = &self.segments[index];
            if segment.has_room() {
                return &mut self.segments[index];
            }
            match segment.is_largest() && self.may_split(segment) {
                true => self.split(index),
                false => self.resize(index, segment.len() + 1),
            }
        }
    }

    fn may_split(&self, segment: &Segment<S>) -> bool {
        let doubled = self.directory.len() * 2;
        segment.depth() < self.depth || doubled <= self.len / ENTRIES_PER_INDEX
    }

    fn split(&mut self, index: usize) {
        let depth = self.segments[index].depth() + 1;
        if self.depth < depth {
            self.double();
        }
        let old = self.take_segment(index);
        let [lower, upper] = old.halves();
        self.put_segment(index, lower);
        self.add_segment(upper);
        self.point(self.segments.len() - 1);
        if depth == self.depth {
            self.deepest += 2;
        }
    }

    /// Makes the segment as small as its entries allow, or one with its neighbour.
    fn tighten(&mut self, index: usize) {
        if !self.join(index) && self.segments[index].can_shrink() {
            self.resize(index, self.segments[index].len() * 2);
        }
        self.flatten();
    }

    /// Makes the segment one with its neighbour as often as it can. Answers whether it could.
    fn join(&mut self, index: usize) -> bool {
        let mut joined = index;
        let mut merged = false;
        while let Some(buddy) = self.buddy(joined) {
            joined = self.merge(joined, buddy);
            merged = true;
        }
        merged
    }

    fn flatten(&mut self) {
        while self.deepest == 0 && 0 < self.depth {
            self.halve();
        }
    }

    /// The neighbour this segment can become one with.
    fn buddy(&self, index: usize) -> Option<usize> {
        let segment = &self.segments[index];
        let buddy = self.index(segment.buddy()?)?;
        let other = &self.segments[buddy];
        let both = segment.len() + other.len();
        (other.depth() == segment.depth() && both <= MERGE_MAX).then_some(buddy)
    }

    /// Makes one segment of two, and returns its index.
    fn merge(&mut self, one: usize, other: usize) -> usize {
        if self.segments[one].depth() == self.depth {
            self.deepest -= 2;
        }
        let (stays, goes) = (one.min(other), one.max(other));
        let both = [self.take_segment(stays), self.take_segment(goes)];
        self.put_segment(stays, Segment::whole(both));
        self.segments.swap_remove(goes);
        self.point(stays);
        if goes < self.segments.len() {
            self.point(goes);
        }
        stays
    }

    fn resize(&mut self, index: usize, entries: usize) {
        let old = self.take_segment(index);
        self.put_segment(index, old.resized(entries));
    }

    fn double(&mut self) {
        self.directory = self.directory.iter().flat_map(|it| [*it, *it]).collect();
        self.depth += 1;
        self.deepest = 0;
    }

    fn halve(&mut self) {
        self.directory = self.directory.iter().step_by(2).copied().collect();
        self.depth -= 1;
        self.deepest = self.segments.iter().filter(|it| it.depth() == self.depth).count();
        self.segments.shrink_to(self.segments.len() * 2);
    }

    /// Lets the directory name this segment for all its hashes.
    fn point(&mut self, index: usize) {
        let segment = &self.segments[index];
        let first = leading(segment.first(), self.depth);
        let count = 1 << (self.depth - segment.depth());
        self.directory[first..first + count].fill(index as u32);
    }

    fn take_segment(&mut self, index: usize) -> Segment<S> {
        let segment = std::mem::replace(&mut self.segments[index], Segment::nowhere());
        self.slots -= segment.capacity();
        segment
    }

    fn put_segment(&mut self, index: usize, segment: Segment<S>) {
        self.slots += segment.capacity();
        self.widest = self.widest.max(segment.capacity() as u32);
        self.segments[index] = segment;
    }

    fn add_segment(&mut self, segment: Segment<S>) {
        self.segments.push(Segment::nowhere());
        self.put_segment(self.segments.len() - 1, segment);
    }
}

/// The top `depth` bits of a hash. In 64 bits because a shift of a `u32` by 32 is none.
#[inline]
fn leading(hash: u32, depth: u32) -> usize {
    (u64::from(hash) >> (32 - depth)) as usize
}
