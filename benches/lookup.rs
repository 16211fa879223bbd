//! What it costs to find a command in the one table by its name.

use criterion::{Criterion, criterion_group, criterion_main};
use entourage::commands::table;
use entourage::resp::OwnedRequest;
use std::hint::black_box;

fn look_ups(criterion: &mut Criterion) {
    let table = table();
    let mut group = criterion.benchmark_group("table");
    for (name, words) in [
        ("get", vec!["get", "key"]),
        ("SET", vec!["SET", "key", "value"]),
        ("long name", vec!["ZREVRANGEBYSCORE", "key", "+inf", "-inf"]),
        ("subcommand", vec!["OBJECT", "ENCODING", "key"]),
        ("unknown", vec!["NOSUCHCOMMAND", "key"]),
    ] {
        let request = OwnedRequest::of(&words);
        group.bench_function(name, |bench| {
            bench.iter(|| table.find(black_box(request.borrow())).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, look_ups);
criterion_main!(benches);
