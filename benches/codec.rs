//! What it costs to decode requests and to write replies.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use entourage::resp::{AuthState, Decoder, Limits, Protocol, Reply, Step, encode_command};

const REQUESTS: &[(&str, &str)] = &[
    ("set", "SET key:000000012345 value-of-sixteen"),
    ("get", "GET key:000000012345"),
    ("mset_10", "MSET k0 v0 k1 v1 k2 v2 k3 v3 k4 v4 k5 v5 k6 v6 k7 v7 k8 v8 k9 v9"),
];

fn encoded(text: &str) -> Vec<u8> {
    let args: Vec<_> = text.split(' ').map(str::as_bytes).collect();
    let mut out = Vec::new();
    encode_command(&mut out, args.into_iter());
    out
}

/// Decodes all of `bytes` and returns how many arguments they held.
fn drain(decoder: &mut Decoder, bytes: &[u8]) -> usize {
    let (mut start, mut args) = (0, 0);
    while let Ok(Step::Ready { consumed }) = decoder.poll(&bytes[start..]) {
        args += black_box(decoder.request(&bytes[start..])).len();
        start += consumed;
    }
    args
}

/// Feeds `bytes` in pieces of one socket read each.
fn trickle(decoder: &mut Decoder, bytes: &[u8]) {
    for end in (0..bytes.len()).step_by(16 << 10).chain([bytes.len()]) {
        let _ = black_box(decoder.poll(&bytes[..end]));
    }
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    for (name, text) in REQUESTS {
        let bytes = encoded(text);
        group.bench_function(*name, |it| it.iter(|| drain(&mut decoder, black_box(&bytes))));
    }
    let inline = b"SET key:000000012345 value-of-sixteen\r\n";
    group.bench_function("inline", |it| it.iter(|| drain(&mut decoder, black_box(inline))));
    let batch = encoded(REQUESTS[0].1).repeat(64);
    group.throughput(Throughput::Elements(64));
    group
        .bench_function("set_pipeline_64", |it| it.iter(|| drain(&mut decoder, black_box(&batch))));
    let many = [b"*1000000\r\n".as_slice(), &b"$1\r\na\r\n".repeat(1_000_000)].concat();
    group.throughput(Throughput::Elements(1_000_000));
    group.sample_size(10);
    group.bench_function("million_args", |it| it.iter(|| trickle(&mut decoder, black_box(&many))));
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    let mut reply = Reply::new(Protocol::Resp2);
    group.bench_function("bulk_64", |it| {
        it.iter(|| {
            reply.clear();
            reply.bulk(black_box(&[b'v'; 64]));
        });
    });
    group.bench_function("int", |it| {
        it.iter(|| {
            reply.clear();
            reply.int(black_box(1_234_567));
        });
    });
}

criterion_group!(benches, decode, write);
criterion_main!(benches);
