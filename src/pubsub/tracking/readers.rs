//! Which clients have read which keys and cache them: a table by key, in parts with a lock each.

use crate::base::random::Random;
use crate::engine::table::{Slot, Table};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Parts of the table.
const PARTS: usize = 64;
/// With as many readers of one key as this, and whenever they are twice as many again, those that
/// have gone are looked for.
const CROWD_MIN: usize = 64;

/// The numbers of the clients that have read one key. Those that have gone are left out when it is
/// told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readers {
    /// One.
    One(u64),
    /// More.
    Many(BTreeSet<u64>),
}

impl Readers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Readers::One(_) => 1,
            Readers::Many(all) => all.len(),
        }
    }

    /// Whether there are none: whoever has gone may have been the last.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let (one, many) = match self {
            Readers::One(one) => (Some(*one), None),
            Readers::Many(all) => (None, Some(all.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Adds one. Answers whether it is new.
    fn add(&mut self, number: u64) -> bool {
        match self {
            Readers::One(one) if *one == number => false,
            Readers::One(one) => {
                *self = Readers::Many(BTreeSet::from([*one, number]));
                true
            }
            Readers::Many(all) => all.insert(number),
        }
    }
}

/// A key that clients cache.
struct CachedKey {
    hash: u32,
    key: Box<[u8]>,
    /// `None` in an empty slot.
    readers: Option<Readers>,
}

impl Slot for CachedKey {
    fn empty() -> Self {
        CachedKey { hash: 0, key: Box::default(), readers: None }
    }

    fn hash(&self) -> Option<u32> {
        self.readers.as_ref().map(|_| self.hash)
    }

    fn key(&self) -> &[u8] {
        &self.key
    }
}

/// A part of the table.
#[derive(Default)]
struct Part {
    keys: Table<CachedKey>,
    /// How many readers they have together.
    items: usize,
    /// How long they are together.
    bytes: usize,
}

/// Who has read what.
pub struct ReaderTable {
    parts: Box<[Mutex<Part>]>,
    keys: AtomicUsize,
    bytes: AtomicUsize,
}

impl Default for ReaderTable {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        ReaderTable { parts, keys: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }
}

/// The hash of a key within its part; the part goes by the lower half.
fn within(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl ReaderTable {
    fn part(&self, hash: u64) -> &Mutex<Part> {
        &self.parts[hash as usize % PARTS]
    }

    /// The client of this number caches `key`, whose hash this is. `is_there` is asked of others
    /// now and then. Answers whether nobody did.
    #[inline]
    pub fn enter(
        &self,
        hash: u64,
        key: &[u8],
        number: u64,
        is_there: impl Fn(u64) -> bool,
    ) -> bool {
        let mut part = self.part(hash).lock();
        let Part { keys, items, bytes } = &mut *part;
        let Some(cached) = keys.get_mut(within(hash), key) else {
            let readers = Some(Readers::One(number));
            keys.insert(CachedKey { hash: within(hash), key: key.into(), readers });
            *items += 1;
            *bytes += key.len();
            self.keys.fetch_add(1, Relaxed);
            self.bytes.fetch_add(key.len(), Relaxed);
            return true;
        };
        let Some(readers) = &mut cached.readers else { return false };
        if readers.add(number) {
            *items += 1;
            let crowd = readers.len();
            if let Readers::Many(all) = readers
                && CROWD_MIN <= crowd
                && crowd.is_power_of_two()
            {
                all.retain(|it| *it == number || is_there(*it));
                *items -= crowd - all.len();
            }
        }
        false
    }

    /// Takes out a key that has changed, with those who cache it.
    #[inline]
    pub fn take(&self, hash: u64, key: &[u8]) -> Option<Readers> {
        self.take_from(&mut self.part(hash).lock(), within(hash), key)
    }

    fn take_from(&self, part: &mut Part, hash: u32, key: &[u8]) -> Option<Readers> {
        let readers = part.keys.remove(hash, key)?.readers?;
        part.items -= readers.len();
        part.bytes -= key.len();
        self.keys.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(key.len(), Relaxed);
        Some(readers)
    }

    /// Takes out any key, with those who cache it.
    pub fn take_any(&self, random: &mut Random) -> Option<(Box<[u8]>, Readers)> {
        let first = random.below(PARTS as u64) as usize;
        (0..PARTS).find_map(|at| {
            let mut part = self.parts[(first + at) % PARTS].lock();
            let found = part.keys.any(random)?;
            let (hash, key) = (found.hash, found.key.clone());
            let readers = self.take_from(&mut part, hash, &key)?;
            Some((key, readers))
        })
    }

    /// Takes out all keys. What they take is dropped by whoever drops the answer.
    pub fn take_all(&self) -> impl Send + use<> {
        let taken: Vec<Part> =
            self.parts.iter().map(|it| std::mem::take(&mut *it.lock())).collect();
        self.keys.fetch_sub(taken.iter().map(|it| it.keys.len()).sum(), Relaxed);
        self.bytes.fetch_sub(taken.iter().map(|it| it.bytes).sum(), Relaxed);
        taken
    }

    /// How many keys somebody caches.
    pub fn keys(&self) -> usize {
        self.keys.load(Relaxed)
    }

    /// How long those keys are together.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// How many readers all keys have together.
    pub fn items(&self) -> usize {
        self.parts.iter().map(|it| it.lock().items).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Few bits, so that keys meet in a part and under one hash.
    fn hash(key: u8) -> u64 {
        u64::from(key / 3) << 32 | u64::from(key % 2)
    }

    #[test]
    fn it_is_a_map_from_keys_to_sets_of_readers() {
        proptest!(|(steps in prop::collection::vec((0u8..8, 0u8..12, 0u64..5), 1..200))| {
            let (table, mut random) = (ReaderTable::default(), Random::new(1));
            let mut model: BTreeMap<u8, BTreeSet<u64>> = BTreeMap::new();
            for (step, key, number) in steps {
                match step {
                    0..5 => {
                        let is_new = table.enter(hash(key), &[key], number, |_| true);
                        prop_assert_eq!(is_new, !model.contains_key(&key));
                        model.entry(key).or_default().insert(number);
                    }
                    5 => {
                        let taken = table.take(hash(key), &[key]);
                        let taken = taken.map(|it| it.iter().collect::<BTreeSet<_>>());
                        prop_assert_eq!(taken, model.remove(&key));
                    }
                    6 => match table.take_any(&mut random) {
                        Some((key, readers)) => {
                            let readers: BTreeSet<u64> = readers.iter().collect();
                            prop_assert_eq!(Some(readers), model.remove(&key[0]));
                        }
                        None => prop_assert!(model.is_empty()),
                    },
                    _ => {
                        drop(table.take_all());
                        model.clear();
                    }
                }
                prop_assert_eq!((table.keys(), table.bytes()), (model.len(), model.len()));
                prop_assert_eq!(table.items(), model.values().map(BTreeSet::len).sum::<usize>());
            }
        });
    }

    #[test]
    fn those_who_have_gone_do_not_add_up_at_a_key_that_never_changes() {
        let table = ReaderTable::default();
        for number in 0..10_000 {
            table.enter(7, b"k", number, |it| 9_990 <= it);
            assert!(table.items() <= 2 * CROWD_MIN, "{}", table.items());
        }
        let left: Vec<u64> = table.take(7, b"k").unwrap().iter().collect();
        assert!((9_990..10_000).all(|it| left.contains(&it)));
        assert_eq!((table.keys(), table.items()), (0, 0));
    }
}
