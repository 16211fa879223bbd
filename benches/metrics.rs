//! What recording costs: `cargo bench --bench metrics`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use entourage::base::ids::{CommandId, MemberId, RouteId};
use entourage::metrics::batch::Batch;
use entourage::metrics::shards::Shards;
use entourage::metrics::{Label, Place};

const GET: Label = label(0, 1, 7);
const SET: Label = label(0, 0, 8);
const HOME: Place = Place { route: RouteId(0), member: MemberId(1) };

const fn label(route: u16, member: u16, command: u16) -> Label {
    Label::new(RouteId(route), MemberId(member), CommandId(command))
}

/// Shards that have met the usual variety, so that tables have a real size.
fn lived_in() -> Shards {
    let (shards, mut batch) = (Shards::new(2), Batch::default());
    for command in 0..40 {
        for member in 0..3 {
            batch.command(label(0, member, command), 1, 300 * u64::from(command));
        }
    }
    shards.flush(0, &mut batch);
    shards
}

fn record(criterion: &mut Criterion) {
    let shards = lived_in();
    let mut group = criterion.benchmark_group("metrics");
    let mut row = |name: &str, mut batch: Batch, note: &dyn Fn(&mut Batch, u64)| {
        let mut nanos = 0;
        group.bench_function(name, |it| {
            it.iter(|| {
                nanos = (nanos + 7) & 0xFF;
                note(&mut batch, black_box(300 + nanos));
                shards.flush(black_box(0), &mut batch);
            })
        });
    };
    row("batch of 1", Batch::default(), &|it, nanos| it.command(GET, 1, nanos));
    row("batch of 64, one note", Batch::default(), &|it, nanos| it.command(GET, 64, nanos * 64));
    row("batch of 64, noted one by one", Batch::default(), &|it, nanos| {
        (0..64).for_each(|_| it.count(black_box(GET), 1));
        it.spread(nanos * 64);
    });
    row("batch of 64, two commands by turns", Batch::default(), &|it, nanos| {
        (0..32).for_each(|_| {
            it.count(black_box(GET), 1);
            it.count(black_box(SET), 1);
        });
        it.spread(nanos * 64);
    });
    let all = |it: &mut Batch, nanos: u64| {
        it.command(GET, 64, nanos * 64);
        it.fresh(HOME, 63);
        it.stale(HOME, nanos, nanos, Some(b"key"));
        it.hits(64);
    };
    row("batch of 64 with staleness and hits", Batch::default(), &all);
    row("nothing noted", Batch::default(), &|_, _| ());
    row("off", Batch::off(), &all);
    let lock = parking_lot::Mutex::new(0u64);
    group.bench_function("an uncontended lock", |it| it.iter(|| *black_box(&lock).lock() += 1));
    group.bench_function("snapshot", |it| it.iter(|| shards.snapshot().calls()));
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
