//! Any bytes as an RDB file, in any pieces: no panic, the same keys or the same fault as in one
//! piece, no memory for what was only announced, and what is loaded can be written and loaded again.
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz rdb`.

#![no_main]

mod watched;

use entourage::base::time::WallMs;
use entourage::engine::rdb::{FileFault, FileInfo, LoadedFile, Loader, SnapshotWriter, Transfer};
use entourage::engine::{Engine, Thresholds};
use libfuzzer_sys::fuzz_target;

/// What three bytes of a compressed string stand for at most, twice for a buffer's slack.
const BYTES_PER_BYTE: usize = 2 * 264;
/// A buffer of one chunk, and a table of keys.
const BYTES_SPARE: usize = 256 << 10;
const NOW: WallMs = WallMs(0);

type Found = Result<LoadedFile, FileFault>;

fn loader() -> Loader {
    Loader::new(Engine::new(1, Thresholds::default()), NOW)
}

fn found(bytes: &[u8], pieces: &[u8]) -> Found {
    let (mut loader, mut rest, mut sizes) = (loader(), bytes, pieces.iter().cycle());
    watched::reset();
    while !rest.is_empty() && !loader.is_done() {
        let size = sizes.next().map_or(usize::MAX, |it| 1 + usize::from(*it));
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        loader.feed(piece)?;
        rest = behind;
    }
    assert!(watched::largest() <= bytes.len() * BYTES_PER_BYTE + BYTES_SPARE);
    loader.finish()
}

fn written(engine: &Engine) -> Vec<u8> {
    let (redis_version, made_s, used_bytes) = ("7.2.5", 0, 0);
    let replication = None;
    let info = FileInfo { redis_version, made_s, used_bytes, replication, is_aof_base: false };
    let (mut writer, mut file) = (SnapshotWriter::new(info), Vec::new());
    while let Some(piece) = writer.next_piece(engine) {
        file.extend_from_slice(piece);
    }
    file
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u8)| {
    let (bytes, pieces, version) = input;
    let magic = [&b"REDIS0003"[..], b"REDIS0009", b"REDIS0012", b"VALKEY080", b""];
    let file = [magic[usize::from(version) % magic.len()], &bytes].concat();
    let (whole, cut) = (found(&file, &[]), found(&file, &pieces));
    match (whole, cut) {
        (Ok(whole), Ok(cut)) => {
            assert_eq!(whole.engine.digest(NOW), cut.engine.digest(NOW));
            let again = found(&written(&whole.engine), &pieces).expect("what we write loads");
            assert_eq!(whole.engine.digest(NOW), again.engine.digest(NOW));
        }
        (Err(whole), Err(cut)) => assert_eq!(whole, cut),
        (whole, cut) => panic!("{:?} and {:?}", whole.err(), cut.err()),
    }
    let _ = Transfer::default().feed(&file, &mut loader());
});
