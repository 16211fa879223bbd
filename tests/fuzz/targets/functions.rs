//! Any bytes as the payload of FUNCTION RESTORE, and any text as a library in one: no panic, no
//! memory for what was only announced, and what is restored can be dumped and restored again.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz functions`.

#![no_main]

mod watched;

use entourage::base::time::WallMs;
use entourage::engine::rdb::functions::{dump, texts};
use entourage::engine::rdb::{Writer, checksum};
use entourage::engine::{Effects, Engine, Thresholds};
use entourage::resp::{OwnedRequest, Reply};
use libfuzzer_sys::fuzz_target;

/// What precedes a library.
const LIBRARY: u8 = 245;
const VERSION: u16 = 11;
/// What three bytes of a compressed string stand for at most, twice for a buffer's slack.
const BYTES_PER_BYTE: usize = 2 * 264;
const BYTES_SPARE: usize = 64 << 10;

fn payload_of(mut body: Vec<u8>) -> Vec<u8> {
    body.extend_from_slice(&VERSION.to_le_bytes());
    let sum = checksum(&body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

/// Restores it into a new engine. `None` when it is refused.
fn restored(payload: &[u8]) -> Option<Engine> {
    let (mut engine, mut effects) = (Engine::new(1, Thresholds::default()), Effects::default());
    let request = OwnedRequest::of([b"FUNCTION".as_slice(), b"RESTORE", payload]);
    let done = engine.repeat(0, WallMs(0), request.borrow(), &mut effects, &mut Reply::default());
    done.ok().map(|_| engine)
}

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let (is_raw, parts) = input;
    let mut body = Writer::default();
    for (at, part) in parts.iter().enumerate() {
        if is_raw {
            body.raw(part);
        } else {
            body.byte(LIBRARY);
            body.blob(&[format!("#!lua name=l{at}\n").as_bytes(), part].concat());
        }
    }
    let payload = payload_of(body.into_bytes());
    watched::reset();
    let _ = texts(&payload);
    assert!(watched::largest() <= payload.len() * BYTES_PER_BYTE + BYTES_SPARE);
    let Some(engine) = restored(&payload) else { return };
    let dumped = dump(engine.libraries());
    let again = restored(&dumped).expect("what we dump is restored");
    assert_eq!(dump(again.libraries()), dumped);
});
