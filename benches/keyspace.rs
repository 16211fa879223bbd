//! What a lookup, an insert, a removal and a step of SCAN cost at three sizes of the table.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use entourage::base::random::Random;
use entourage::engine::table::{Slot, Table};
use std::hint::black_box;

/// A slot of 16 bytes with its key behind a pointer, as in the keyspace.
enum Entry {
    Empty,
    Key(u32, Box<[u8; 16]>),
}

impl Slot for Entry {
    fn empty() -> Self {
        Entry::Empty
    }
    fn hash(&self) -> Option<u32> {
        match self {
            Entry::Empty => None,
            Entry::Key(hash, _) => Some(*hash),
        }
    }
    fn key(&self) -> &[u8] {
        match self {
            Entry::Empty => b"",
            Entry::Key(_, key) => key.as_slice(),
        }
    }
}

type Key = [u8; 16];

fn key(number: u64) -> (u32, Key) {
    let mut random = Random::new(number);
    let (hash, mut key) = (random.bits() as u32, [b'k'; 16]);
    key[8..].copy_from_slice(&number.to_le_bytes());
    (hash, key)
}

fn entry(number: u64) -> Entry {
    let (hash, key) = key(number);
    Entry::Key(hash, Box::new(key))
}

fn filled(len: u64) -> Table<Entry> {
    let mut table = Table::new();
    (0..len).for_each(|it| drop(table.insert(entry(it))));
    table
}

/// Prepares 1000 random keys from `from` on, and measures `act` on all of them.
fn per_thousand<T>(
    b: &mut criterion::Bencher<'_>,
    numbers: std::ops::Range<u64>,
    prepare: impl Fn(u64) -> T,
    mut act: impl FnMut(T),
) {
    let mut random = Random::new(1);
    let mut draw = || numbers.start + random.below(numbers.end - numbers.start);
    b.iter_batched(
        || (0..1000).map(|_| prepare(draw())).collect::<Vec<T>>(),
        |batch| batch.into_iter().for_each(&mut act),
        BatchSize::LargeInput,
    );
}

fn keyspace(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keyspace");
    group.throughput(criterion::Throughput::Elements(1000));
    for len in [10, 10_000, 1_000_000] {
        let id = |name: &str| BenchmarkId::new(name, len);
        let mut table = filled(len);
        group.bench_function(id("get"), |b| {
            per_thousand(b, 0..len, key, |(hash, key)| {
                look(table.get(hash, &key));
            });
        });
        group.bench_function(id("get in turn"), |b| {
            let keys: Vec<_> = (0..1000).map(|it| key(it % len)).collect();
            b.iter(|| keys.iter().for_each(|(hash, key)| look(table.get(*hash, key))));
        });
        group.bench_function(id("get absent"), |b| {
            per_thousand(b, len..2 * len, key, |(hash, key)| {
                look(table.get(hash, &key));
            });
        });
        group.bench_function(id("get prefetched"), |b| {
            let mut random = Random::new(1);
            b.iter_batched(
                || (0..1000).map(|_| key(random.below(len))).collect::<Vec<_>>(),
                |batch| batch.chunks(16).for_each(|chunk| get_prefetched(&table, chunk)),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(id("random"), |b| {
            let mut random = Random::new(1);
            b.iter(|| (0..1000).for_each(|_| look(table.random(&mut random))));
        });
        group.bench_function(id("scan 10"), |b| {
            per_thousand(b, 0..len, key, |(hash, _)| {
                black_box(table.scan(hash, 10, |it| look(Some(it))));
            });
        });
        group.bench_function(id("replace"), |b| {
            per_thousand(b, 0..len, entry, |it| drop(black_box(table.insert(it))));
        });
        group.bench_function(id("remove + insert"), |b| {
            per_thousand(b, 0..len, key, |(hash, key)| {
                if let Some(slot) = table.remove(hash, &key) {
                    table.insert(slot);
                }
            });
        });
    }
    group.finish();
}

fn look(entry: Option<&Entry>) {
    black_box(entry.is_some());
}

fn get_prefetched(table: &Table<Entry>, chunk: &[(u32, Key)]) {
    chunk.iter().for_each(|(hash, _)| table.prefetch(*hash));
    for (hash, key) in chunk {
        look(table.get(*hash, key));
    }
}

/// Filling and emptying whole tables, where the cost of growing and shrinking shows.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole");
    for len in [10, 10_000, 1_000_000u64] {
        group.sample_size(10).throughput(criterion::Throughput::Elements(len));
        group.bench_function(BenchmarkId::new("fill", len), |b| {
            b.iter_batched(
                || (0..len).map(entry).collect::<Vec<_>>(),
                |entries| {
                    let mut table = Table::new();
                    entries.into_iter().for_each(|it| drop(table.insert(it)));
                    table
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("empty", len), |b| {
            b.iter_batched(
                || (filled(len), (0..len).map(key).collect::<Vec<_>>()),
                |(mut table, keys)| {
                    keys.iter().for_each(|(hash, key)| drop(table.remove(*hash, key)));
                    table
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, keyspace, whole);
criterion_main!(benches);
