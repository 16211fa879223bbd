//! Any bytes as a stream of a payload of DUMP: no panic, no memory for what was only announced, and
//! whatever is loaded can be walked both ways, taken apart, and written and loaded again.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz streams`.

#![no_main]

mod watched;

use entourage::base::time::WallMs;
use entourage::engine::rdb::{Loaded, Payload, checksum, dump};
use entourage::engine::stream::{StreamId, Trim};
use entourage::engine::{Engine, Stream, Thresholds, Value};
use libfuzzer_sys::fuzz_target;

/// The forms that a stream has had.
const FORMS: [u8; 3] = [15, 19, 21];
const VERSION: u16 = 11;
/// What three bytes of a compressed string stand for at most, twice for a buffer's slack.
const BYTES_PER_BYTE: usize = 2 * 264;
const BYTES_SPARE: usize = 64 << 10;

fn loaded(payload: &[u8], engine: &Engine) -> Option<Box<Stream>> {
    match Payload::check(payload).ok()?.load(engine.shared()).ok()? {
        Loaded::Value(Value::Stream(stream)) => Some(stream),
        _ => None,
    }
}

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (bytes, form) = input;
    let mut payload = vec![FORMS[usize::from(form) % FORMS.len()]];
    payload.extend_from_slice(&bytes);
    payload.extend_from_slice(&VERSION.to_le_bytes());
    payload.extend_from_slice(&checksum(&payload).to_le_bytes());
    let mut engine = Engine::new(1, Thresholds::default());
    watched::reset();
    let found = loaded(&payload, &engine);
    assert!(watched::largest() <= bytes.len() * BYTES_PER_BYTE + BYTES_SPARE);
    let Some(mut stream) = found else { return };

    let all = stream.entries.range(StreamId::MIN, StreamId::MAX);
    let ids: Vec<StreamId> = all.map(|it| (it.id, it.fields().count()).0).collect();
    let back = stream.entries.range_back(StreamId::MIN, StreamId::MAX).map(|it| it.id);
    assert!(back.eq(ids.iter().rev().copied()) && ids.len() == stream.len());

    engine.db_mut_at(0, WallMs(0)).put_value(b"k", Value::Stream(stream.clone()), None);
    let before = engine.digest(WallMs(0));
    let again = dump(engine.view(0, WallMs(0)).peek(b"k").expect("just put"));
    let again = loaded(&again, &engine).expect("what we write loads");
    engine.db_mut_at(0, WallMs(0)).put_value(b"k", Value::Stream(again), None);
    assert_eq!(engine.digest(WallMs(0)), before);

    if let Some(middle) = ids.get(ids.len() / 2) {
        stream.entries.trim(Trim::From(*middle));
    }
    ids.iter().for_each(|it| {
        stream.entries.delete(*it);
    });
    assert_eq!(stream.len(), 0);
});
