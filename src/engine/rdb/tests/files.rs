//! Whole files: what is written comes back, in pieces of any size.

use super::furnished;
use crate::base::time::WallMs;
use crate::engine::rdb::{
    FileFault, FileInfo, LoadedFile, Loader, PIECE_BYTES, ReplicationInfo, SnapshotWriter,
    Transfer, Why,
};
use crate::engine::table::Slot;
use crate::engine::verbs::check::Bench;
use crate::engine::{Engine, Thresholds};
use proptest::prelude::*;

const NOW: WallMs = WallMs(1_000_000);

pub fn loader() -> Loader {
    Loader::new(Engine::new(9, Thresholds::default()), NOW)
}

pub fn info() -> FileInfo {
    FileInfo {
        redis_version: "7.0.15",
        made_s: 1_700_000_000,
        used_bytes: 123_456_789_012,
        replication: Some(ReplicationInfo {
            stream_db: Some(3),
            id: "0123456789012345678901234567890123456789".into(),
            offset: 98_765_432_109_876,
        }),
        is_aof_base: false,
    }
}

pub fn written(engine: &Engine) -> Vec<u8> {
    let (mut writer, mut file) = (SnapshotWriter::new(info()), Vec::new());
    while let Some(piece) = writer.next_piece(engine) {
        assert!(piece.len() <= PIECE_BYTES);
        file.extend_from_slice(piece);
    }
    assert!(writer.is_done() && writer.next_piece(engine).is_none());
    file
}

/// Loads a file in pieces of these sizes, again and again.
pub fn loaded(file: &[u8], sizes: &[usize]) -> Result<LoadedFile, FileFault> {
    let (mut loader, mut rest) = (loader(), file);
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        let taken = loader.feed(piece)?;
        rest = behind;
        if rest.is_empty() || loader.is_done() {
            assert!(taken == piece.len() || loader.is_done());
            break;
        }
    }
    loader.finish()
}

/// Keys that are written in steps and read in parts.
fn large() -> Bench {
    let mut bench = Bench::default();
    let long = |byte: &str, len: usize| byte.repeat(len);
    for number in 0..20_000 {
        let pad = "x".repeat(number % 90);
        bench.ask(&format!("SADD set \"member {number} {pad}\""));
        bench.ask(&format!("HSET hash \"field {number}\" \"{pad} {number}\""));
        bench.ask(&format!("ZADD zset {number}.5 \"member {number} {pad}\""));
        bench.ask(&format!("RPUSH list \"element {number} {pad}\" {number}"));
    }
    bench.ask("ZADD zset -0 zero");
    bench.ask(&format!("SET text \"{}\"", long("ab", 1_700_000)));
    bench.ask(&format!("HSET hash longest \"{}\"", long("cd", 1_200_000)));
    bench.ask(&format!("RPUSH list \"{}\" last", long("ef", 1_100_000)));
    bench.ask(&format!("SADD set \"{}\"", long("gh", 100_000)));
    bench.ask(&format!("ZADD zset 7 \"{}\"", long("ij", 100_000)));
    bench.ask(&format!("RPUSH \"key {}\" 1", long("k", 100_000)));
    bench
}

#[test]
fn every_value_comes_back_from_a_file_in_the_same_form() {
    let mut bench = furnished();
    bench.ask("PEXPIREAT many 123456789");
    bench.ask("MOVE s3 9");
    let file = written(&bench.engine);
    let back = loaded(&file, &[1000]).unwrap();
    assert_eq!(back.engine.digest(NOW), bench.engine.digest(NOW));
    for slot in bench.engine.space(0).table().iter() {
        let hash = back.engine.shared().hash(slot.key());
        let found = back.engine.space(0).get(hash, slot.key()).expect("the key");
        assert_eq!(found.encoding(), slot.encoding());
        assert_eq!(found.deadline(), slot.deadline());
    }
    assert_eq!(back.version, 10);
    assert_eq!(back.aux("repl-stream-db"), Some(&b"3"[..]));
    assert_eq!(back.aux("repl-offset"), Some(&b"98765432109876"[..]));
    assert_eq!(back.aux("repl-id").map(<[u8]>::len), Some(40));
    assert_eq!(back.aux("used-mem"), Some(&b"123456789012"[..]));
    assert_eq!(back.aux("redis-bits"), Some(&b"64"[..]));
}

#[test]
fn large_values_come_back_and_take_no_room_beside_them() {
    let bench = large();
    let file = written(&bench.engine);
    for sizes in [&[60_000][..], &[1, 77_777], &[4_000_000], &[usize::MAX]] {
        let back = loaded(&file, sizes).unwrap();
        assert_eq!(back.engine.digest(NOW), bench.engine.digest(NOW));
        assert_eq!(written(&back.engine).len(), file.len());
    }
}

/// One collection of many bytes, of which no element is long: it is never held whole.
#[test]
fn what_is_held_of_a_large_collection_has_a_bound() {
    let mut head = b"REDIS0010\xFA\x01a\x01b\xFE\x00".to_vec();
    head.extend_from_slice(b"\x02\x01k\x80");
    let units = 400_000_u32;
    head.extend_from_slice(&units.to_be_bytes());
    let mut loader = loader();
    loader.feed(&head).unwrap();
    for unit in 0..units {
        let member = format!("\x3Fmember {unit:056}");
        assert_eq!(member.len(), 64);
        loader.feed(member.as_bytes()).unwrap();
        assert!(loader.held_bytes() < 4 << 20, "{}", loader.held_bytes());
    }
    loader.feed(b"\xFF\0\0\0\0\0\0\0\0").unwrap();
    let back = loader.finish().unwrap();
    assert_eq!(back.engine.view(0, NOW).len(), 1);
}

#[test]
fn a_fault_names_its_place_and_key_and_stays() {
    let mut loader = loader();
    let file = b"REDIS0011\xFE\x02\x00\x01a\x01b\x17\x05queue\x01";
    let fault = loader.feed(file).unwrap_err();
    let why = Why::UnsupportedType("hash of a candidate for Redis 7.4");
    let wanted = FileFault { why, at: 16, key: Some(b"queue".to_vec()) };
    assert_eq!(fault, wanted);
    let said = "values of the type hash of a candidate for Redis 7.4 are not supported at byte \
                16, key \"queue\"";
    assert_eq!(fault.to_string(), said);
    assert_eq!(loader.feed(b"more"), Err(wanted.clone()));
    assert_eq!(loader.finish().err(), Some(wanted));
}

#[test]
fn what_follows_the_file_is_left() {
    let file = written(&furnished().engine);
    let stream = [&file[..], b"*1\r\n$4\r\nPING\r\n"].concat();
    for size in [1, 7, 1000, stream.len()] {
        let (mut loader, mut taken) = (loader(), 0);
        for piece in stream.chunks(size) {
            taken += loader.feed(piece).unwrap();
        }
        assert!(loader.is_done());
        assert_eq!(taken, file.len());
    }
}

/// Sends a stream through a transfer. Answers how much of it the transfer took.
fn transferred(stream: &[u8], size: usize) -> Result<(usize, bool), FileFault> {
    let (mut transfer, mut loader, mut taken) = (Transfer::default(), loader(), 0);
    for piece in stream.chunks(size) {
        taken += transfer.feed(piece, &mut loader)?;
    }
    Ok((taken, transfer.is_done()))
}

#[test]
fn both_framings_end_where_the_file_does() {
    let file = written(&furnished().engine);
    let mark = b"0123456789abcdef0123456789abcdef01234567";
    let marked = [&b"\n\n$EOF:"[..], mark, b"\r\n", &file, mark].concat();
    let sized = [format!("\n${}\r\n", file.len()).as_bytes(), &file].concat();
    for framed in [marked, sized] {
        let stream = [&framed[..], b"*1\r\n"].concat();
        for size in [1, 13, 50_000, stream.len()] {
            assert_eq!(transferred(&stream, size), Ok((framed.len(), true)));
            let short = transferred(&framed[..framed.len() - 1], size);
            assert_eq!(short, Ok((framed.len() - 1, false)));
        }
    }
}

#[test]
fn lies_of_a_transfer_are_named() {
    let file = written(&Engine::new(1, Thresholds::default()));
    let why = |stream: &[u8]| transferred(stream, 10).unwrap_err().why;
    for wrong in [file.len() - 1, file.len() + 1] {
        let stream = [format!("${wrong}\r\n").as_bytes(), &file, b"x"].concat();
        assert_eq!(why(&stream), Why::Length);
    }
    let (mark, other) = ("a".repeat(40), "b".repeat(40));
    let stream = [format!("$EOF:{mark}\r\n").as_bytes(), &file, other.as_bytes()].concat();
    assert_eq!(why(&stream), Why::Mark);
    let error = b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n";
    assert!(matches!(why(error), Why::NotAnnounced(said) if said.starts_with("-NOMASTERLINK")));
    for line in ["$\r\n", "$0\r\n", "$-1\r\n", "$99999999999999999999\r\n", "$EOF:abc\r\n"] {
        assert!(matches!(why(line.as_bytes()), Why::NotAnnounced(_)), "{line}");
    }
    assert!(matches!(why(&[b'$'; 2000]), Why::NotAnnounced(_)));
}

/// A change to some key, in some database.
fn command() -> impl Strategy<Value = (usize, String)> {
    let text = prop_oneof![
        "[a-c]{0,3}",
        "-?[0-9]{1,12}",
        "[a-z]{60,70}",
        any::<i64>().prop_map(|it| it.to_string()),
        (1..4_usize).prop_map(|it| "long".repeat(it * 3000)),
    ];
    let key = "[a-h]";
    let words = (key, text.clone(), text, any::<f64>(), 0..9_u8).prop_map(
        |(key, one, other, score, verb)| match verb {
            0 => format!("SET {key} \"{one}\""),
            1 => format!("APPEND {key} \"{one}\""),
            2 => format!("RPUSH {key} \"{one}\" \"{other}\""),
            3 => format!("SADD {key} \"{one}\" \"{other}\""),
            4 => format!("HSET {key} \"{one}\" \"{other}\""),
            5 if !score.is_nan() => format!("ZADD {key} {score} \"{one}\""),
            6 => format!("PEXPIREAT {key} {}", 2_000_000 + one.len()),
            7 => format!("DEL {key}"),
            _ => format!("SADD {key} 1 2 3"),
        },
    );
    (0..16_usize, words)
}

fn made_by(commands: &[(usize, String)]) -> Bench {
    let mut bench = Bench::default();
    for (db, words) in commands {
        bench.ask(words);
        if db % 4 == 1 {
            bench.engine.swap(0, *db);
        }
    }
    bench
}

proptest! {
    #[test]
    fn any_engine_comes_back_in_pieces_of_any_size(
        commands in prop::collection::vec(command(), 1..120),
        sizes in prop::collection::vec(1..9000_usize, 1..20),
    ) {
        let bench = made_by(&commands);
        let file = written(&bench.engine);
        let back = loaded(&file, &sizes).unwrap();
        prop_assert_eq!(back.engine.digest(NOW), bench.engine.digest(NOW));
    }

    #[test]
    fn any_bytes_behind_the_magic_do_no_harm(
        bytes: Vec<u8>,
        sizes in prop::collection::vec(1..50_usize, 1..5),
    ) {
        for magic in [&b"REDIS0003"[..], b"REDIS0012", b"VALKEY080"] {
            let _ = loaded(&[magic, &bytes].concat(), &sizes);
        }
    }
}
