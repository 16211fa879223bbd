//! Files with every byte changed and cut at every length: what is loaded is what was written, or it
//! is refused with its file and byte.

use super::*;
use crate::base::time::WallMs;
use crate::config::Config;
use crate::engine::Thresholds;
use crate::engine::rdb::{FileInfo, ReplicationInfo, SnapshotWriter};
use crate::engine::verbs::check::Bench;
use crate::node::ReplicaSet;
use crate::persist::{AofNames, Manifest, position_note};
use crate::resp::encode_command;
use crate::runtime::disk::Disk;
use crate::runtime::disk::simulated::SimulatedDisk;
use crate::session::TokenSigner;
use crate::state::ProcessInfo;
use std::sync::Arc;

const NOW: WallMs = WallMs(1_000_000);
const NAME: &str = "dump.rdb";
const OFFSET: u64 = 98_765;
/// The magic is before what the checksum covers for certain: a file of an older version has none.
const MAGIC_BYTES: usize = 9;

fn server() -> Arc<Server> {
    let mut config = Config::default();
    let settings = &mut config.set.disk;
    (settings.dir, settings.appendonly) = ("simulated".into(), true);
    let set = ReplicaSet::new(0, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
    let info = ProcessInfo::now(0, String::new());
    let signer = TokenSigner::new(b"0123456789abcdef");
    Arc::new(Server::new(Arc::new(set), 1, config, info, signer, None))
}

/// A disk with these files.
fn store(files: &[(&str, &[u8])]) -> Store {
    let disk = SimulatedDisk::new(1);
    for (name, bytes) in files {
        disk.create(name).expect("it has room").write(bytes).expect("it has room");
    }
    Store::on(Arc::new(disk), &server().settings().set.disk).expect("its names are sound")
}

/// Values of all types, some of them in the form that has no limit.
fn furnished() -> Bench {
    let mut bench = Bench::default();
    for command in [
        "SET a 1",
        "SET text \"some text of a few words\"",
        "SET wide \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
        "SET expires 1 PXAT 99999999999999",
        "RPUSH list a 2 \"a longer one\"",
        "HSET hash f 1 g text",
        "SADD ints 1 2 70000",
        "SADD set x y 3",
        "ZADD zset 1.5 a -inf b",
    ] {
        bench.ask(command);
    }
    bench
}

fn snapshot(engine: &Engine, is_aof_base: bool) -> Vec<u8> {
    let replication = ReplicationInfo {
        stream_db: Some(3),
        id: "0123456789012345678901234567890123456789".into(),
        offset: OFFSET,
    };
    let mut writer = SnapshotWriter::new(FileInfo {
        redis_version: "7.0.15",
        made_s: 1_700_000_000,
        used_bytes: 123_456,
        replication: Some(replication),
        is_aof_base,
    });
    let mut file = Vec::new();
    while let Some(piece) = writer.next_piece(engine) {
        file.extend_from_slice(piece);
    }
    file
}

/// A file of one byte changed in each way, and where.
fn flipped(file: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let changes = [1, 2, 4, 8, 16, 32, 64, 128, 0xFF, 0x55];
    (0..file.len()).flat_map(move |at| {
        changes.map(|bits| {
            let mut other = file.to_vec();
            other[at] ^= bits;
            (at, other)
        })
    })
}

/// What is refused is refused with its file and byte.
fn has_place(why: &str, name: &str, len: usize) {
    assert!(why.starts_with(&format!("simulated/{name}: ")), "{why}");
    let (_, byte) = why.rsplit_once("at byte ").unwrap_or_else(|| panic!("no place in {why}"));
    let byte: String = byte.chars().take_while(char::is_ascii_digit).collect();
    let byte: usize = byte.parse().unwrap_or_else(|_| panic!("no place in {why}"));
    assert!(byte <= len, "{why}");
}

#[test]
fn a_snapshot_with_any_byte_changed_is_refused_with_its_place_or_holds_the_same() {
    let (server, bench) = (server(), furnished());
    let (file, wanted) = (snapshot(&bench.engine, false), bench.engine.digest(NOW));
    let load = |bytes: &[u8]| load_snapshot(&server, &store(&[(NAME, bytes)]), NAME);
    assert_eq!(load(&file).expect("it is whole").engine.digest(NOW), wanted);
    let (mut refused, mut loaded) = (0, 0);
    for (at, other) in flipped(&file) {
        match load(&other) {
            Err(why) => {
                has_place(&why, NAME, file.len());
                refused += 1;
            }
            Ok(held) => {
                assert!(at < MAGIC_BYTES, "byte {at} is covered by the checksum");
                assert_eq!(held.engine.digest(NOW), wanted, "byte {at}");
                assert_eq!(held.position.map(|it| it.offset), Some(Offset::new(OFFSET)));
                loaded += 1;
            }
        }
    }
    assert!(loaded <= 20 && refused + loaded == 10 * file.len(), "{refused} and {loaded}");
}

#[test]
fn a_snapshot_that_is_cut_anywhere_or_too_long_is_refused_with_its_place() {
    let (server, bench) = (server(), furnished());
    let file = snapshot(&bench.engine, false);
    let load = |bytes: &[u8]| load_snapshot(&server, &store(&[(NAME, bytes)]), NAME).err();
    for len in 0..file.len() {
        let why = load(&file[..len]).unwrap_or_else(|| panic!("cut at {len} it loads"));
        has_place(&why, NAME, len);
        // As a machine that crashed may leave it. Where only the sum is gone, nobody has summed.
        let zeros = [&file[..len], &vec![0; file.len() - len][..]].concat();
        match load_snapshot(&server, &store(&[(NAME, &zeros)]), NAME) {
            Ok(held) => assert_eq!(held.engine.digest(NOW), bench.engine.digest(NOW), "{len}"),
            Err(why) => has_place(&why, NAME, file.len()),
        }
    }
    let why = load(&[&file[..], b"more"].concat()).expect("something is behind its end");
    has_place(&why, NAME, file.len());
}

/// The parts of an append-only file, with a base.
struct Parts {
    names: AofNames,
    base: Vec<u8>,
    incr: Vec<u8>,
    manifest: String,
}

impl Parts {
    fn new(engine: &Engine) -> Parts {
        let names = AofNames::new("appendonly.aof");
        let manifest = Manifest::default().replaced(names.base(1), names.incr(1)).text();
        let replid = crate::base::position::ReplId::new([9; 20]);
        let at = Position { replid, offset: Offset::new(OFFSET) };
        let mut incr = position_note(at).into_bytes();
        for line in ["SELECT 0", "SET behind 1", "INCR a", "RPUSH list z"] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            encode_command(&mut incr, words.into_iter());
        }
        Parts { names, base: snapshot(engine, true), incr, manifest }
    }

    /// What is loaded when the parts are these, and what was told.
    fn load(&self, server: &Server, base: &[u8], incr: &[u8]) -> Result<Loaded, String> {
        let path = |it: String| format!("appendonlydir/{it}");
        let paths = [path(self.names.base(1).name), path(self.names.incr(1).name)];
        let manifest = path(self.names.manifest());
        let files = [(manifest.as_str(), self.manifest.as_bytes()), (&paths[0], base)];
        let store = store(&[&files[..], &[(&paths[1], incr)]].concat());
        load_aof(server, &store, &paths)
    }
}

#[test]
fn a_base_that_is_changed_or_cut_anywhere_is_refused_with_its_place_or_holds_the_same() {
    let (server, bench) = (server(), furnished());
    let parts = Parts::new(&bench.engine);
    let load = |base: &[u8]| parts.load(&server, base, &parts.incr);
    let wanted = load(&parts.base).expect("it is whole").engine.digest(NOW);
    let name = format!("appendonlydir/{}", parts.names.base(1).name);
    for (at, other) in flipped(&parts.base) {
        match load(&other) {
            Err(why) => has_place(&why, &name, other.len()),
            Ok(held) => {
                assert!(at < MAGIC_BYTES, "byte {at} is covered by the checksum");
                assert_eq!(held.engine.digest(NOW), wanted, "byte {at}");
            }
        }
    }
    for len in 0..parts.base.len() {
        let why = load(&parts.base[..len]).err().unwrap_or_else(|| panic!("cut at {len} it loads"));
        has_place(&why, &name, len);
    }
}

#[test]
fn the_last_part_that_is_cut_anywhere_loads_the_writes_before_that() {
    let (server, bench) = (server(), furnished());
    let parts = Parts::new(&bench.engine);
    let keys = keys_of(&bench.engine);
    let mut seen = Vec::new();
    for len in 0..=parts.incr.len() {
        let held = parts.load(&server, &parts.base, &parts.incr[..len]);
        let held = held.unwrap_or_else(|why| panic!("cut at {len}: {why}"));
        let has_behind = keys_of(&held.engine) - keys;
        assert!(seen.last().is_none_or(|it| *it <= has_behind), "cut at {len}");
        seen.push(has_behind);
        let end = held.position.map_or(Offset::ZERO, |it| it.offset);
        assert!(end <= Offset::new(OFFSET + parts.incr.len() as u64));
    }
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&1)));
    let name = format!("appendonlydir/{}", parts.names.incr(1).name);
    let whole = parts.load(&server, &parts.base, &parts.incr).expect("it is whole").position;
    let note = parts.incr.iter().position(|it| *it == b'\n').expect("it begins with a note");
    for (at, other) in flipped(&parts.incr) {
        match parts.load(&server, &parts.base, &other) {
            Err(why) => has_place(&why, &name, other.len()),
            // Where the stream stands is said twice: nobody goes on from a wrong place.
            Ok(held) if at <= note => {
                assert_eq!(held.position.map(|it| it.offset), whole.map(|it| it.offset), "{at}");
            }
            Ok(_) => {}
        }
    }
}

#[test]
fn writes_that_are_missing_between_two_parts_are_found() {
    let (server, bench) = (server(), furnished());
    let parts = Parts::new(&bench.engine);
    let names = [parts.names.base(1), parts.names.incr(1), parts.names.incr(2)];
    let [first, second, third] = names.map(|it| format!("appendonlydir/{}", it.name));
    let whole = parts.load(&server, &parts.base, &parts.incr).expect("it is whole");
    let mut behind = position_note(whole.position.expect("it says so")).into_bytes();
    encode_command(&mut behind, [&b"SELECT"[..], b"0"].into_iter());
    let load = |incr: &[u8], behind: &[u8]| {
        let files = [(&first, &parts.base[..]), (&second, incr), (&third, behind)];
        let files = files.map(|(name, bytes)| (name.as_str(), bytes));
        load_aof(&server, &store(&files), &[first.clone(), second.clone(), third.clone()])
    };
    assert!(load(&parts.incr, &behind).is_ok());
    for len in 0..parts.incr.len() {
        let why = load(&parts.incr[..len], &behind).err();
        let why = why.unwrap_or_else(|| panic!("cut at {len} it loads"));
        assert!(why.contains("appendonlydir/") && why.contains("byte"), "{why}");
    }
    // A replica's part begins with the database that its master has selected, which is no stream.
    let mut selected = Vec::new();
    encode_command(&mut selected, [&b"SELECT"[..], b"3"].into_iter());
    assert!(load(&parts.incr, &[selected, behind].concat()).is_ok());
}

#[test]
fn keys_of_a_snapshot_are_counted_and_so_are_those_that_had_expired() {
    let server = server();
    let mut bench = furnished();
    let keys = keys_of(&bench.engine);
    for (command, counted) in [("SET later 1 PXAT 99999999999999", 0), ("SET soon 1 PX 5000", 1)] {
        bench.ask(command);
        let file = snapshot(&bench.engine, false);
        let held = load_snapshot(&server, &store(&[(NAME, &file)]), NAME).expect("it is whole");
        assert_eq!(held.keys, (keys + 1 + counted, counted));
    }
}
