//! Any bytes as strings that call themselves HyperLogLogs: no panic of a command that looks at them
//! or changes them, and no memory but for one of the longest.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz hyperloglog`.

#![no_main]

mod watched;

use entourage::base::time::WallMs;
use entourage::command::{Args, CallEnv, Fault};
use entourage::engine::{Effects, Engine, Run, Thresholds, verbs};
use entourage::resp::{OwnedRequest, Reply};
use libfuzzer_sys::fuzz_target;

const HEADER_BYTES: usize = 16;
/// Of one that has all registers in a row.
const DENSE_BYTES: usize = HEADER_BYTES + 12_288;
/// Registers are told one by one, and runs by names longer than they are: `v:32,1`.
const BYTES_SPARE: usize = 1 << 20;
const BYTES_PER_BYTE: usize = 64;

/// What one command answers.
fn ask(engine: &mut Engine, words: &[&[u8]]) -> Result<(), Fault> {
    let request = OwnedRequest::of(words);
    let found = verbs::find_for(request.borrow()).expect("a command");
    let env = CallEnv::new(WallMs(1), 1);
    let args = Args::new(request.borrow(), found.words, 0, &env);
    let (mut effects, mut reply) = (Effects::default(), Reply::default());
    match found.row.run {
        Run::Read(verb) => engine.read(verb, args, &mut reply),
        Run::Write(verb) => {
            effects.begin(0);
            engine.write(&found.row.spec, verb, args, &mut effects, &mut reply)
        }
        _ => unreachable!("the family has no others"),
    }
}

/// As Redis would have written it, if these bytes were right: as long as it must be if it is to be
/// one with all registers in a row.
fn string(bytes: &[u8], is_dense: bool) -> Vec<u8> {
    let mut all = [&b"HYLL"[..], &[u8::from(!is_dense), 0, 0, 0], bytes].concat();
    all.resize(if is_dense { DENSE_BYTES } else { all.len().max(HEADER_BYTES) }, 0);
    all
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, Vec<Vec<u8>>, u8)| {
    let (one, other, elements, kinds) = input;
    let strings = [
        (&b"one"[..], string(&one, kinds & 1 != 0)),
        (b"other", string(&other, kinds & 2 != 0)),
        (b"raw", one.clone()),
    ];
    let size: usize = strings.iter().map(|it| it.1.len()).sum();
    let added: usize = elements.iter().map(|it| it.len() + size_of::<Vec<u8>>()).sum();
    let mut engine = Engine::new(1, Thresholds::default());
    watched::reset();
    for (key, bytes) in &strings {
        ask(&mut engine, &[b"SET", key, bytes]).expect("any string can be set");
        let _ = ask(&mut engine, &[b"PFCOUNT", key]);
        for word in [&b"ENCODING"[..], b"DECODE", b"GETREG", b"TODENSE"] {
            ask(&mut engine, &[b"SET", key, bytes]).expect("any string can be set");
            let _ = ask(&mut engine, &[b"PFDEBUG", word, key]);
        }
        ask(&mut engine, &[b"SET", key, bytes]).expect("any string can be set");
        let words = [&b"PFADD"[..], key].into_iter().chain(elements.iter().map(Vec::as_slice));
        let _ = ask(&mut engine, &words.collect::<Vec<_>>());
        let _ = ask(&mut engine, &[b"PFCOUNT", key]);
    }
    let _ = ask(&mut engine, &[b"PFCOUNT", b"one", b"other", b"none"]);
    let merges = ask(&mut engine, &[b"PFMERGE", b"merged", b"one", b"other"]).is_ok();
    assert!(!merges || ask(&mut engine, &[b"PFCOUNT", b"merged"]).is_ok());
    let _ = ask(&mut engine, &[b"PFMERGE", b"one", b"other"]);
    assert!(watched::largest() <= (size + added) * BYTES_PER_BYTE + BYTES_SPARE);
});
