//! Files travel: what real servers save is loaded here, what we write they start on, and the
//! digests are equal.

#[path = "../support/mod.rs"]
mod support;

use entourage::base::time::WallMs;
use entourage::engine::rdb::{
    FileInfo, LoadedFile, Loader, ReplicationInfo, SnapshotWriter, checksum,
};
use entourage::engine::{Engine, Thresholds};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use support::on_disk::Dir;
use support::{Server, Wire, furnish, words};

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];
const REPL_ID: &str = "0123456789abcdef0123456789abcdef01234567";
/// In 2100.
const LATER_MS: u64 = 4_102_444_800_000;

/// The servers that there are, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Redis,
    Valkey,
}

impl Kind {
    fn start(self, extra: &[&str]) -> Option<Server> {
        let flags = [&DEBUG[..], extra].concat();
        match self {
            Kind::Redis => Some(Server::redis(&flags)),
            Kind::Valkey => Server::valkey_with(&flags),
        }
    }
}

fn now() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    WallMs(since.as_millis() as u64)
}

/// Keys of every kind in three databases, some of which expire.
fn fill(wire: &mut Wire) {
    furnish(wire);
    for (nth, key) in
        ["s:1", "list", "many:hash", "many:zset", "ints:3", "hash:7"].iter().enumerate()
    {
        wire.cmd(&["PEXPIREAT", key, &(LATER_MS + nth as u64).to_string()]);
    }
    wire.ask("SELECT 3");
    for number in 0..5000 {
        wire.cmd(&["SET", &format!("key:{number}"), &number.to_string()]);
        if number % 3 == 0 {
            let at = LATER_MS + number;
            wire.cmd(&["PEXPIREAT", &format!("key:{number}"), &at.to_string()]);
        }
    }
    wire.ask("SELECT 15");
    wire.ask("ZADD large -0 zero 0 other");
    let mut commands = Vec::new();
    for number in 0..40_000 {
        let [member, score] = [format!("member {number:040}"), format!("{number}.125")];
        commands.push(words(&["ZADD", "large", &score, &member]));
        commands.push(words(&["HSET", "fields", &member, &score]));
        commands.push(words(&["SADD", "members", &member]));
        commands.push(words(&["RPUSH", "elements", &member, &score]));
    }
    commands.chunks(1000).for_each(|it| drop(wire.pipeline(it)));
    wire.ask("SELECT 0");
}

fn saved(server: &Server, wire: &mut Wire) -> Vec<u8> {
    assert_eq!(wire.ask("SAVE").string(), "OK");
    fs::read(server.dir().join("dump.rdb")).expect("the file it has saved")
}

fn digest_of(wire: &mut Wire) -> String {
    wire.ask("DEBUG DIGEST").string()
}

fn load(file: &[u8], piece: usize) -> LoadedFile {
    let mut loader = Loader::new(Engine::new(5, Thresholds::default()), now());
    for bytes in file.chunks(piece) {
        let taken = loader.feed(bytes).unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(taken, bytes.len());
    }
    loader.finish().unwrap_or_else(|it| panic!("{it}"))
}

fn written(engine: &Engine) -> Vec<u8> {
    let stream = ReplicationInfo { stream_db: Some(0), id: REPL_ID.into(), offset: 12_345 };
    let mut writer = SnapshotWriter::new(FileInfo {
        redis_version: "7.2.5",
        made_s: now().0 / 1000,
        used_bytes: 1 << 20,
        replication: Some(stream),
        is_aof_base: false,
    });
    let mut file = Vec::new();
    while let Some(piece) = writer.next_piece(engine) {
        file.extend_from_slice(piece);
    }
    file
}

/// What a server holds that has started on a file.
struct Started {
    digest: String,
    deadlines: Vec<String>,
    /// What it saves itself.
    file: Vec<u8>,
}

/// A server starts on a file.
fn started_on(kind: Kind, file: &[u8], keys: &[&str]) -> Option<Started> {
    let dir = Dir::new();
    let path = dir.file("dump.rdb", file);
    check_rdb(&path);
    let server = kind.start(&["--dir", dir.path()])?;
    let mut wire = server.dial();
    let (digest, deadlines) = (digest_of(&mut wire), deadlines(&mut wire, keys));
    assert_eq!(wire.ask("SAVE").string(), "OK");
    Some(Started { digest, deadlines, file: fs::read(path).expect("the file it has saved") })
}

fn deadlines(wire: &mut Wire, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|it| wire.cmd(&["PEXPIRETIME", it]).to_string()).collect()
}

/// Redis' own tool accepts a file, if it is installed.
fn check_rdb(file: &Path) {
    let tool = Command::new("redis-check-rdb").arg(file).stdin(Stdio::null()).output();
    if let Ok(said) = tool {
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }
}

const EXPIRING: &[&str] = &["s:1", "list", "many:hash", "many:zset", "ints:3", "hash:7", "hash"];

fn files_travel(kind: Kind, settings: &[&str]) {
    let Some(server) = kind.start(settings) else { return };
    let mut wire = server.dial();
    fill(&mut wire);
    let (wanted, expiring) = (digest_of(&mut wire), deadlines(&mut wire, EXPIRING));
    let file = saved(&server, &mut wire);
    drop((wire, server));

    for piece in [usize::MAX, 64 << 10, 1777] {
        let back = load(&file, piece);
        if kind == Kind::Redis {
            assert_eq!(back.engine.redis_digest(now()).to_string(), wanted, "{settings:?}");
        }
        assert!(back.aux("ctime").is_some() && back.aux("used-mem").is_some());
    }
    let back = load(&file, 64 << 10);
    let ours = written(&back.engine);
    for other in [Kind::Redis, Kind::Valkey] {
        let Some(started) = started_on(other, &ours, EXPIRING) else { continue };
        // Valkey spells scores otherwise in its digests: there, what it saves tells what it holds.
        match (kind, other) {
            (Kind::Redis, Kind::Valkey) => {}
            (Kind::Valkey, Kind::Redis) => {
                assert_eq!(started.digest, back.engine.redis_digest(now()).to_string());
            }
            _ => assert_eq!(started.digest, wanted, "{kind:?} {settings:?}"),
        }
        assert_eq!(started.deadlines, expiring);
        let again = load(&started.file, 64 << 10);
        assert_eq!(again.engine.digest(now()), back.engine.digest(now()), "to {other:?}");
    }
}

#[test]
fn files_of_redis_travel_both_ways() {
    files_travel(Kind::Redis, &[]);
}

#[test]
fn files_of_redis_that_are_not_compressed_or_summed_travel_both_ways() {
    let plain = ["--rdbcompression", "no", "--rdbchecksum", "no"];
    let small = ["--list-max-listpack-size", "3", "--list-compress-depth", "1"];
    files_travel(Kind::Redis, &[&plain[..], &small].concat());
}

#[test]
fn files_of_valkey_travel_both_ways() {
    files_travel(Kind::Valkey, &[]);
}

#[test]
fn functions_and_fields_that_expire_are_loaded() {
    let server = Kind::Redis.start(&[]).expect("redis-server");
    let mut wire = server.dial();
    wire.ask("SET before 1");
    let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    wire.cmd(&["FUNCTION", "LOAD", code]);
    let file = saved(&server, &mut wire);
    let loaded = load(&file, 10);
    assert_eq!(&*loaded.engine.libraries().function(b"f").expect("it").0.text, code.as_bytes());

    let Some(server) = Kind::Valkey.start(&[]) else { return };
    let mut wire = server.dial();
    wire.ask("HSET h f v g w");
    wire.ask("HEXPIRE h 1000 FIELDS 1 f");
    for command in ["HTTL h FIELDS 2 f g", "HPERSIST h FIELDS 1 f"] {
        let wanted = digest_of(&mut wire);
        let file = saved(&server, &mut wire);
        let loaded = load(&file, 10).engine;
        assert_eq!(loaded.redis_digest(now()).to_string(), wanted, "before {command}");
        wire.ask(command);
    }
    // Its payloads have a version of their own.
    let payload = wire.ask("DUMP h");
    let payload = payload.text().expect("a payload");
    let ours = Server::entourage(&[]);
    let said = ours.dial().cmd(&[b"RESTORE", &b"h"[..], b"0", payload]);
    assert_eq!(said.string(), "OK");
}

/// A full resync as a real server sends it, in its two framings.
#[test]
fn what_a_real_master_sends_is_loaded() {
    use entourage::engine::rdb::Transfer;
    for diskless in ["yes", "no"] {
        let flags = ["--repl-diskless-sync", diskless, "--repl-diskless-sync-delay", "0"];
        let server = Kind::Redis.start(&flags).expect("redis-server");
        let mut wire = server.dial();
        furnish(&mut wire);
        let wanted = digest_of(&mut wire);
        let mut link = std::net::TcpStream::connect(("127.0.0.1", server.port())).expect("a link");
        let timeout = std::time::Duration::from_secs(20);
        link.set_read_timeout(Some(timeout)).expect("a time-out");
        use std::io::{Read, Write};
        for (request, wanted) in
            [("REPLCONF capa eof capa psync2\r\n", "+OK"), ("PSYNC ? -1\r\n", "+FULLRESYNC")]
        {
            link.write_all(request.as_bytes()).expect("a request");
            let (mut head, mut byte) = (String::new(), [0]);
            while !head.ends_with('\n') {
                link.read_exact(&mut byte).expect("an answer");
                head.push(char::from(byte[0]));
            }
            assert!(head.starts_with(wanted), "{head}");
        }
        let mut loader = Loader::new(Engine::new(5, Thresholds::default()), now());
        let (mut transfer, mut bytes) = (Transfer::default(), [0; 5000]);
        while !transfer.is_done() {
            let len = link.read(&mut bytes).expect("more of it");
            assert_ne!(len, 0, "the file ends before its end");
            transfer.feed(&bytes[..len], &mut loader).unwrap_or_else(|it| panic!("{it}"));
        }
        let back = loader.finish().unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(back.engine.redis_digest(now()).to_string(), wanted, "{diskless}");
        assert_eq!(back.aux("repl-id").map(<[u8]>::len), Some(40));
        assert!(back.aux("repl-offset").is_some());
    }
}

/// Redis reads the files of old as we do.
#[test]
fn a_file_of_an_old_server_is_read_as_redis_reads_it() {
    let zipmap = b"\x09\x01h\x12\x02\x01f\x03\x00one\x01g\x03\x02twoxx\xFF";
    let scores = b"\x03\x01z\x03\x01a\x031.5\x01b\xFE\x01c\xFF";
    let list = b"\x01\x01l\x02\x01a\xC1\x2C\x01";
    let text = b"\xFC\x80\x84\x1E\0\xFF\0\0\0\x00\x01a\xC3\x04\x04\x00a\x20\x00";
    let mut file = [&b"REDIS0005\xFE\x02"[..], zipmap, scores, list, text, b"\xFF"].concat();
    file.extend_from_slice(&checksum(&file).to_le_bytes());
    let ours = load(&file, 1).engine.redis_digest(now()).to_string();
    let theirs = started_on(Kind::Redis, &file, &[]).expect("redis-server");
    assert_eq!(ours, theirs.digest);
}
