//! What the table promises, against a model.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Remains, Slot, Table};
use crate::base::random::Random;

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    hash: u32,
    key: Option<Box<[u8]>>,
    value: u32,
}

impl Slot for Entry {
    fn empty() -> Self {
        Entry { hash: 0, key: None, value: 0 }
    }
    fn hash(&self) -> Option<u32> {
        self.key.as_ref().map(|_| self.hash)
    }
    fn key(&self) -> &[u8] {
        self.key.as_deref().expect("only asked of an entry")
    }
}

fn entry(hash: u32, key: u32) -> Entry {
    Entry { hash, key: Some(key.to_le_bytes().into()), value: key }
}

/// How a test's hashes fall.
#[derive(Clone, Copy, Debug)]
enum Hashing {
    Even,
    AllEqual(u32),
    FewDistinct,
    Sequential,
    TopBitsEqual,
}

impl Hashing {
    fn of(self, key: u32) -> u32 {
        let even = Random::new(u64::from(key)).bits() as u32;
        match self {
            Hashing::Even => even,
            Hashing::AllEqual(hash) => hash,
            Hashing::FewDistinct => even | 0x3FFF_FFFF,
            Hashing::Sequential => key,
            Hashing::TopBitsEqual => even >> 12 | 0xABC0_0000,
        }
    }
}

fn hashings() -> impl Strategy<Value = Hashing> {
    prop_oneof![
        4 => Just(Hashing::Even),
        1 => prop_oneof![Just(0), Just(u32::MAX), any::<u32>()].prop_map(Hashing::AllEqual),
        1 => Just(Hashing::FewDistinct),
        1 => Just(Hashing::Sequential),
        1 => Just(Hashing::TopBitsEqual),
    ]
}

/// All keys of steps are below this.
const STEPS_END: u32 = 4500;

/// A stretch of keys that comes or goes at once, so that segments split and merge.
#[derive(Clone, Debug)]
enum Step {
    Insert(std::ops::Range<u32>),
    Remove(std::ops::Range<u32>),
    /// Sweeps: of all that steps put in, what is outside the range stays, or what is inside it.
    Lose(std::ops::Range<u32>),
    Keep(std::ops::Range<u32>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stretch = (0..3000u32, 1..1500u32).prop_map(|(from, len)| from..from + len);
    let step = prop_oneof![
        stretch.clone().prop_map(Step::Insert),
        stretch.clone().prop_map(Step::Remove),
        stretch.clone().prop_map(Step::Lose),
        stretch.prop_map(Step::Keep),
        (0..STEPS_END).prop_map(|it| Step::Insert(it..it + 1)),
        (0..STEPS_END).prop_map(|it| Step::Remove(it..it + 1)),
    ];
    prop::collection::vec(step, 1..12)
}

struct Pair {
    hashing: Hashing,
    table: Table<Entry>,
    model: BTreeMap<u32, Entry>,
}

impl Pair {
    fn new(hashing: Hashing) -> Pair {
        Pair { hashing, table: Table::new(), model: BTreeMap::new() }
    }

    fn filled(hashing: Hashing, keys: std::ops::Range<u32>) -> Pair {
        let mut pair = Pair::new(hashing);
        pair.take(&Step::Insert(keys));
        pair
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Insert(keys) => keys.clone().for_each(|key| self.insert(key)),
            Step::Remove(keys) => keys.clone().for_each(|key| self.remove(key)),
            Step::Lose(keys) => self.sweep(|it| !keys.contains(&it)),
            Step::Keep(keys) => self.sweep(|it| STEPS_END <= it || keys.contains(&it)),
        }
    }

    fn sweep(&mut self, stays: impl Fn(u32) -> bool) {
        let Remains(pieces) = self.table.sweep(|it| stays(it.value));
        let entries = pieces.iter().flat_map(|it| it.iter()).filter(|it| it.key.is_some());
        let gone = in_order(entries);
        assert_eq!(gone, in_order(self.model.values().filter(|it| !stays(it.value))));
        self.model.retain(|key, _| stays(*key));
    }

    fn insert(&mut self, key: u32) {
        let entry = entry(self.hashing.of(key), key);
        assert_eq!(self.table.insert(entry.clone()), self.model.insert(key, entry));
    }

    fn remove(&mut self, key: u32) {
        let gone = self.table.remove(self.hashing.of(key), &key.to_le_bytes());
        assert_eq!(gone, self.model.remove(&key));
    }

    fn check(&mut self) {
        assert_eq!(self.table.len(), self.model.len());
        for key in 0..4500 {
            let (hash, bytes) = (self.hashing.of(key), key.to_le_bytes());
            assert_eq!(self.table.get(hash, &bytes), self.model.get(&key));
            assert_eq!(self.table.get_mut(hash, &bytes).is_some(), self.model.contains_key(&key));
        }
        assert_eq!(in_order(self.table.iter()), in_order(self.model.values()));
        assert!(self.table.iter().is_sorted_by_key(|it| it.hash));
        let pieces = (0..self.table.segments()).flat_map(|it| self.table.segment(it));
        assert_eq!(in_order(pieces), in_order(self.model.values()));
        self.check_layout();
    }

    fn check_layout(&self) {
        let table = &self.table;
        assert_eq!(table.slots, table.segments.iter().map(|it| it.capacity()).sum::<usize>());
        assert_eq!(table.len, table.segments.iter().map(|it| it.len()).sum::<usize>());
        let deepest = table.segments.iter().filter(|it| it.depth() == table.depth);
        assert_eq!(table.deepest, deepest.count());
        assert!(table.is_empty() || table.directory.len() == 1 << table.depth);
        assert!(table.directory.len() <= 8 + 4500 / 8);
    }
}

fn in_order<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<(u32, u32)> {
    let mut all: Vec<_> = entries.map(|it| (it.hash, it.value)).collect();
    all.sort_unstable();
    all
}

fn small() -> ProptestConfig {
    ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(small())]

    #[test]
    fn a_table_holds_what_a_map_holds(hashing in hashings(), steps in steps()) {
        let mut pair = Pair::new(hashing);
        for step in &steps {
            pair.take(step);
            pair.check();
        }
        let copy = pair.table.clone();
        prop_assert_eq!(in_order(copy.iter()), in_order(pair.model.values()));
        let mut drained: Vec<_> = copy.drain().map(|it| (it.hash, it.value)).collect();
        drained.sort_unstable();
        prop_assert_eq!(drained, in_order(pair.model.values()));
        pair.table.clear();
        prop_assert_eq!((pair.table.len(), pair.table.bytes()), (0, 0));
    }

    #[test]
    fn a_table_made_at_once_is_as_one_made_step_by_step(
        hashing in hashings(),
        keys in prop::collection::vec(0..4500_u32, 0..6000),
        is_sorted in any::<bool>(),
        steps in steps(),
    ) {
        let mut pair = Pair::new(hashing);
        let mut entries: Vec<_> = keys.iter().map(|it| entry(hashing.of(*it), *it)).collect();
        if is_sorted {
            entries.sort_by_key(|it| it.hash);
        }
        pair.model.extend(entries.iter().map(|it| (it.value, it.clone())));
        pair.table = Table::of(entries);
        pair.check();
        for step in &steps {
            pair.take(step);
            pair.check();
        }
    }

    #[test]
    fn a_scan_gives_what_was_asked_for_in_hash_order(
        hashing in hashings(),
        steps in steps(),
        from in any::<u32>(),
        at_least in 0..50usize,
    ) {
        let mut pair = Pair::new(hashing);
        steps.iter().for_each(|it| pair.take(it));
        let due = in_order(pair.model.values().filter(|it| from <= it.hash));
        let mut seen = Vec::new();
        let next = pair.table.scan(from, at_least, |it| seen.push((it.hash, it.value)));
        prop_assert!(seen.is_sorted_by_key(|it| it.0));
        seen.sort_unstable();
        prop_assert_eq!(&seen[..], &due[..seen.len()]);
        prop_assert_eq!(next, due.get(seen.len()).map(|it| it.0));
        let last = seen.last().map(|it| it.0);
        let needed = seen.iter().filter(|it| Some(it.0) != last).count();
        prop_assert!(needed < at_least.max(1));
        prop_assert!(next.is_none() || at_least <= seen.len());
    }

    #[test]
    fn a_scan_misses_nothing_that_stays(
        hashing in hashings(),
        steps in steps(),
        at_least in 1..400usize,
    ) {
        let stays = 10_000..11_000u32;
        let mut pair = Pair::filled(hashing, stays.clone());
        let (mut seen, mut from, mut turn) = (BTreeSet::new(), Some(0), steps.iter().cycle());
        while let Some(hash) = from {
            from = pair.table.scan(hash, at_least, |it| { seen.insert(it.value); });
            pair.take(turn.next().expect("there is a step"));
        }
        prop_assert!(stays.into_iter().all(|it| seen.contains(&it)));
    }

    #[test]
    fn places_between_hashes_are_those_of_the_hash_order(
        hashing in hashings(),
        steps in steps(),
        from: u32,
        len in prop_oneof![any::<u32>(), 0..1u32 << 22],
    ) {
        let mut pair = Pair::new(hashing);
        steps.iter().for_each(|it| pair.take(it));
        let end = u64::from(from) + u64::from(len);
        let inside = |it: &&Entry| from <= it.hash && u64::from(it.hash) < end;
        let due: Vec<&Entry> = pair.table.iter().filter(inside).collect();
        let places = (0..due.len() + 2).step_by(1 + due.len() / 20).chain([due.len()]);
        for nth in places {
            let found = pair.table.nth_between(from, end, nth);
            prop_assert_eq!(found.map(|it| it.value), due.get(nth).map(|it| it.value));
        }
    }

    #[test]
    fn same_hash_gives_exactly_those(hashing in hashings(), steps in steps(), key in 0..4500u32) {
        let mut pair = Pair::new(hashing);
        steps.iter().for_each(|it| pair.take(it));
        let hash = hashing.of(key);
        let due = in_order(pair.model.values().filter(|it| it.hash == hash));
        prop_assert_eq!(in_order(pair.table.same_hash(hash)), due);
    }
}

type Throw = for<'t> fn(&'t Table<Entry>, &mut Random) -> Option<&'t Entry>;

/// Both ways to choose an entry.
const THROWS: [Throw; 2] = [Table::random, Table::any];

/// The chi-square statistic of 100 throws per entry, per degree of freedom: about 1 if even.
fn unevenness(table: &Table<Entry>, throw: Throw) -> f64 {
    let mut random = Random::new(7);
    let mut counts: BTreeMap<u32, f64> = table.iter().map(|it| (it.value, 0.0)).collect();
    for _ in 0..table.len() * 100 {
        let hit = throw(table, &mut random).expect("the table has entries");
        *counts.get_mut(&hit.value).expect("an entry of the table") += 1.0;
    }
    assert!(counts.values().all(|it| 0.0 < *it), "an entry was never hit");
    counts.values().map(|it| (it - 100.0) * (it - 100.0) / 100.0).sum::<f64>() / table.len() as f64
}

#[test]
fn random_reaches_every_entry_about_as_often() {
    for (count, throw) in
        [1, 2, 7, 49, 100, 300, 5_000].into_iter().flat_map(|it| THROWS.map(|t| (it, t)))
    {
        let pair = Pair::filled(Hashing::Even, 0..count);
        let unevenness = unevenness(&pair.table, throw);
        assert!(unevenness < 1.5, "{count}: {unevenness}");
    }
    assert!(THROWS.iter().all(|it| it(&Table::new(), &mut Random::new(1)).is_none()));
}

#[test]
fn random_stays_even_after_most_entries_have_gone() {
    let mut pair = Pair::filled(Hashing::Even, 0..20_000);
    pair.take(&Step::Remove(500..20_000));
    assert!(THROWS.iter().all(|it| unevenness(&pair.table, *it) < 1.5));
}

#[test]
fn random_depends_on_what_is_there_and_not_on_how_it_came_there() {
    let mut grown = Pair::filled(Hashing::Even, 0..30_000);
    grown.take(&Step::Remove(2_000..30_000));
    let fresh = Pair::filled(Hashing::Even, 0..2_000);
    let mut backwards = Pair::new(Hashing::Even);
    (0..2_000).rev().for_each(|it| backwards.take(&Step::Insert(it..it + 1)));
    let throws = |table: &Table<Entry>, seed| -> Vec<u32> {
        let mut random = Random::new(seed);
        (0..100).map(|_| table.random(&mut random).expect("an entry").value).collect()
    };
    for seed in 0..20 {
        let expected = throws(&fresh.table, seed);
        assert_eq!(throws(&grown.table, seed), expected);
        assert_eq!(throws(&backwards.table, seed), expected);
        assert_eq!(throws(&fresh.table.clone(), seed), expected);
    }
}

#[test]
fn random_finds_the_last_entries_of_equal_hashes() {
    let mut pair = Pair::filled(Hashing::AllEqual(u32::MAX), 0..2_000);
    pair.take(&Step::Remove(3..2_000));
    for throw in THROWS {
        unevenness(&pair.table, throw);
    }
}

/// As small as the keyspace's slots.
#[derive(Clone)]
struct Sixteen([u8; 8], u32, bool);

impl Slot for Sixteen {
    fn empty() -> Self {
        Sixteen([0; 8], 0, false)
    }
    fn hash(&self) -> Option<u32> {
        self.2.then_some(self.1)
    }
    fn key(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn a_table_costs_at_most_half_more_than_its_slots_at_any_size() {
    assert_eq!(size_of::<Sixteen>(), 16);
    let mut random = Random::new(3);
    let mut table = Table::new();
    assert_eq!(table.bytes(), 0);
    while table.len() < 1_000_000 {
        table.insert(Sixteen([0; 8], random.bits() as u32, true));
        let bytes = table.bytes();
        assert!(table.len() < 10_000 || bytes <= table.len() * 24, "{} {bytes}", table.len());
    }
}

#[test]
fn memory_comes_back_when_entries_go() {
    let mut pair = Pair::filled(Hashing::Even, 0..100_000);
    let full = pair.table.bytes();
    pair.take(&Step::Remove(100..100_000));
    pair.check_layout();
    assert!(pair.table.bytes() * 100 < full, "{} of {full}", pair.table.bytes());
    pair.take(&Step::Remove(0..100));
    assert!(pair.table.bytes() <= 1024, "{}", pair.table.bytes());
}
