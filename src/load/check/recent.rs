//! The recent writes of all keys in one ring, chained per key from newest to oldest.
//!
//! Each write points to the one before it and to one further back (the skew-binary jump pointers of
//! Myers, 1983), so that a version is found in logarithmic time however far behind a read is.

use super::event::WriteEvent;
use super::keys::{Acked, KeyState, Took};

/// Writes remembered at most.
const WRITES_MAX: usize = 1 << 19;
/// Writes of a key that do not jump.
const ORDINAL_MIN: u32 = 8;
/// Writes looked at one by one at most, where the chain cannot be searched by version.
const STEPS_MAX: usize = 4_096;
/// Writes of one key, answered in time, among which one that is meant is looked for.
const OVERLAPPING_MAX: usize = 16;

/// A write and its place in its key's chain.
#[derive(Clone, Copy, Debug)]
struct Entry {
    write: WriteEvent,
    /// How many writes the key had had before.
    ordinal: u32,
    /// Place of the write before; 0 if there is none.
    prev: u64,
    /// Place of a write further back.
    jump: u64,
}

/// What is known of a version.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// This write made it.
    Written(WriteEvent),
    /// No write of it has been seen.
    NotWritten,
    /// It may have been written so long ago that nothing is remembered.
    Forgotten,
}

/// How far a version lies behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behind {
    /// Versions, at least.
    pub versions: u64,
    /// When the next version was acknowledged, at the latest.
    pub since: u64,
}

/// The recent writes.
pub struct Recent {
    entries: Vec<Entry>,
    capacity: usize,
    /// Place of the next write; places are counted from 1 and never reused.
    next: u64,
}

impl Recent {
    /// Nothing yet.
    pub fn new() -> Recent {
        Recent::with_capacity(WRITES_MAX)
    }

    fn with_capacity(capacity: usize) -> Recent {
        Recent { entries: Vec::new(), capacity, next: 1 }
    }

    /// Takes a write in as the newest of its key, and learns from it how the key is written.
    pub fn push(&mut self, key: &mut KeyState, write: WriteEvent) {
        let newest = self.get(key.newest).copied();
        if let Some(Entry { write: before, .. }) = newest {
            let is_older = write.version < key.newest_version;
            let overlaps = before.ended.is_some_and(|it| write.began <= it);
            if before.client != write.client {
                key.has_several_writers = true;
                key.is_shared |= is_older || overlaps;
            }
            key.is_disordered |= is_older;
        } else if key.newest != 0 {
            key.is_disordered |= write.version < key.newest_version;
            if let Some(acked) = key.acked.filter(|it| it.client != write.client) {
                key.has_several_writers = true;
                key.is_shared |= write.version < acked.version || write.began <= acked.ended;
            }
        }
        key.has_unanswered |= write.ended.is_none();
        self.learn_acked(key, &write);
        let entry = Entry {
            write,
            ordinal: newest.map_or(0, |it| it.ordinal.wrapping_add(1)),
            prev: key.newest,
            jump: newest.map_or(0, |it| self.jump_over(key.newest, &it)),
        };
        key.newest_version = key.newest_version.max(write.version);
        key.newest = self.next;
        let index = (self.next as usize) % self.capacity;
        self.next += 1;
        if index < self.entries.len() {
            self.entries[index] = entry;
            return;
        }
        if self.entries.is_empty() {
            // Place 0 is nobody's.
            self.entries.push(entry);
        }
        self.entries.push(entry);
    }

    /// Who wrote this version of the key `id`.
    pub fn find(&self, id: u64, key: &KeyState, version: u64) -> Known {
        if key.newest == 0 || key.newest_version < version {
            return Known::NotWritten;
        }
        if key.is_disordered || key.is_shared {
            return self.find_step_by_step(key, version);
        }
        // Most reads see what was acknowledged last, which stands with the key.
        if let Some(acked) = key.acked.filter(|it| it.version == version) {
            return Known::Written(acked.event(id, key.is_acked_confirmed));
        }
        let Some(at) = self.oldest_from(key.newest, version) else { return Known::Forgotten };
        if at.write.version == version {
            return Known::Written(at.write);
        }
        // `at` is the oldest that is newer than the version.
        if at.prev == 0 {
            return Known::NotWritten;
        }
        if self.get(at.prev).is_none() { Known::Forgotten } else { Known::NotWritten }
    }

    /// The newest write of the key, by `is_meant`, that ended before `time`.
    pub fn newest_ended(
        &self,
        key: &KeyState,
        time: u64,
        is_meant: impl Fn(&WriteEvent) -> bool,
    ) -> Option<WriteEvent> {
        // Writes stand about in the order in which they ended, so that long stretches which ended
        // too late are jumped over. Whatever is come to by that did end before.
        let is_late = |it: &Entry| time <= it.write.ended.unwrap_or(it.write.began);
        let late = |place| self.get(place).filter(|it| is_late(it));
        let mut first = self.get(key.newest)?;
        while is_late(first) {
            let further = late(first.jump).or_else(|| self.get(first.prev));
            first = further?;
        }
        let ended = |it: &WriteEvent| it.ended.is_some_and(|it| it < time);
        let chain = self.chain_from(first).take(OVERLAPPING_MAX);
        chain.map(|it| it.write).find(|it| ended(it) && is_meant(it))
    }

    /// How far behind a version is, seen from `newest`, a newer acknowledged write of the key.
    pub fn behind(&self, key: &KeyState, version: Option<u64>, newest: &WriteEvent) -> Behind {
        let since = newest.ended.unwrap_or(newest.began);
        let unknown = Behind { versions: 1, since };
        let first = version.map_or(0, |it| it + 1);
        if key.is_disordered || key.is_shared {
            return unknown;
        }
        let Some(oldest) = self.oldest_from(key.newest, first) else { return unknown };
        // Ordinals start anew when a key's newest write has been forgotten.
        let Some(top) = self.oldest_from(key.newest, newest.version) else { return unknown };
        let versions = u64::from(top.ordinal.saturating_sub(oldest.ordinal)) + 1;
        Behind { versions, since: oldest.write.ended.unwrap_or(since).min(since) }
    }

    /// The oldest remembered write from `start` backwards with this version or a newer one.
    fn oldest_from(&self, start: u64, version: u64) -> Option<Entry> {
        let mut at = self.get(start).filter(|it| version <= it.write.version)?;
        loop {
            let reaches = |place| self.get(place).filter(|it| version <= it.write.version);
            let Some(further) = reaches(at.jump).or_else(|| reaches(at.prev)) else {
                return Some(*at);
            };
            at = further;
        }
    }

    fn find_step_by_step(&self, key: &KeyState, version: u64) -> Known {
        let Some(newest) = self.get(key.newest) else { return Known::Forgotten };
        let mut last = None;
        for (steps, entry) in self.chain_from(newest).enumerate() {
            if entry.write.version == version {
                return Known::Written(entry.write);
            }
            if STEPS_MAX <= steps {
                return Known::Forgotten;
            }
            last = Some(entry);
        }
        let is_whole = last.is_some_and(|it| it.prev == 0);
        if is_whole { Known::NotWritten } else { Known::Forgotten }
    }

    fn chain_from<'a>(&'a self, first: &'a Entry) -> impl Iterator<Item = &'a Entry> {
        std::iter::successors(Some(first), |it| self.get(it.prev))
    }

    fn get(&self, place: u64) -> Option<&Entry> {
        let is_kept = place != 0 && self.next <= place + self.capacity as u64;
        if is_kept { self.entries.get(place as usize % self.capacity) } else { None }
    }

    /// Where the write after `entry`, which is at `place`, jumps to.
    fn jump_over(&self, place: u64, entry: &Entry) -> u64 {
        // Keys that are seldom written need no jumps, nor looks at what is far back in memory.
        if entry.ordinal < ORDINAL_MIN {
            return place;
        }
        let Some(first) = self.get(entry.jump) else { return place };
        let Some(second) = self.get(first.jump) else { return place };
        let length = |from: &Entry, to: &Entry| from.ordinal.wrapping_sub(to.ordinal);
        if length(entry, first) == length(first, second) { first.jump } else { place }
    }

    fn learn_acked(&self, key: &mut KeyState, write: &WriteEvent) {
        let Some(ended) = write.ended else { return };
        let took = Took::between(write.began, ended);
        let acked = Acked { version: write.version, ended, took, client: write.client };
        let is_shared = key.is_shared;
        let is_newer = |before: Option<Acked>| match before {
            None => true,
            Some(it) if is_shared => it.took.before(it.ended) < write.began,
            Some(it) => it.version < write.version,
        };
        if is_newer(key.acked) {
            key.acked = Some(acked);
            key.is_acked_confirmed = write.is_confirmed;
        }
        if write.is_confirmed && is_newer(key.confirmed) {
            key.confirmed = Some(acked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(version: u64) -> WriteEvent {
        let began = version * 10;
        WriteEvent {
            client: 1,
            key: 0,
            version,
            began,
            ended: Some(began + 5),
            is_confirmed: false,
        }
    }

    #[test]
    fn versions_are_found_and_counted_while_they_are_remembered() {
        let mut recent = Recent::with_capacity(1_000);
        let (mut key, mut other) = (KeyState::default(), KeyState::default());
        for version in 1..=3_000 {
            // Every third version does not exist; a second key takes half of the ring.
            recent.push(&mut other, write(version));
            if version % 3 != 0 {
                recent.push(&mut key, write(version));
            }
        }
        assert!(recent.entries.len() <= 1_000);
        for version in 1..=3_001 {
            let known = recent.find(0, &key, version);
            let is_old = version < 2_400 - 1;
            match known {
                Known::Written(it) => assert!(it.version == version && version % 3 != 0 && !is_old),
                Known::NotWritten => assert!(version % 3 == 0 && !is_old || 3_000 < version),
                Known::Forgotten => assert!(is_old || version <= 2_402, "{version}"),
            }
        }
        let behind = recent.behind(&key, Some(2_990), &write(2_999));
        assert_eq!(behind, Behind { versions: 6, since: 29_925 });
    }

    #[test]
    fn the_search_takes_logarithmic_time() {
        let mut recent = Recent::new();
        let mut key = KeyState::default();
        (1..=100_000).for_each(|it| recent.push(&mut key, write(it)));
        let mut steps = 0;
        let mut at = *recent.get(key.newest).unwrap();
        while at.write.version != 1 {
            let jump = recent.get(at.jump).or(recent.get(at.prev));
            at = *jump.unwrap();
            steps += 1;
        }
        assert!(steps < 64, "{steps} steps");
    }

    #[test]
    fn writers_that_overlap_share_a_key() {
        let mut recent = Recent::new();
        let of = |client, version, began, ended| WriteEvent {
            client,
            key: 0,
            version,
            began,
            ended: Some(ended),
            is_confirmed: false,
        };
        let mut key = KeyState::default();
        recent.push(&mut key, of(1, 1, 10, 20));
        recent.push(&mut key, of(2, 2, 21, 30));
        assert!(!key.is_shared);
        recent.push(&mut key, of(1, 3, 29, 40));
        assert!(key.is_shared);
        assert!(matches!(recent.find(0, &key, 4), Known::NotWritten));
        assert!(matches!(recent.find(0, &key, 1), Known::Written(it) if it.client == 1));
    }
}
