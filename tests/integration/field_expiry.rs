//! Fields of hashes that expire: at replicas of both kinds, in files of both kinds, in what
//! subscribers and caching clients hear, and a million of them at once.

use crate::support::on_disk::{AOF, Dir, config, ours, rewrite, valkey_on};
use crate::support::{
    Server, Value, Wire, digests, hold_the_same, info_field, ok, shown, until, until_caught_up,
    words,
};
use std::thread::sleep;
use std::time::Duration;

/// Writes of every kind that fields have deadlines by, some of which are over soon.
fn fill(wire: &mut Wire) {
    for line in [
        "HSET plain a 1 b 2",
        "HSETEX kept PXAT 9999999999000 FIELDS 3 a 1 b 2 c 3",
        "HSET kept d 4",
        "HINCRBY kept a 10",
        "HINCRBYFLOAT kept b 0.5",
        "HSETEX kept KEEPTTL FIELDS 2 c 30 e 50",
        "HEXPIREAT kept 9999999998 FIELDS 1 d",
        "HGETEX kept PXAT 9999999997000 FIELDS 1 e",
        "HSETEX mixed PX 1 FIELDS 3 gone1 1 gone2 2 again 3",
        "HSET mixed stays 1",
        "HSETEX over PX 1 FIELDS 2 a 1 b 2",
        "HSET persisted a 1 b 2",
        "HPEXPIREAT persisted 9999999999000 FIELDS 2 a b",
        "HPERSIST persisted FIELDS 1 a",
        "HSETEX taken PXAT 9999999999000 FIELDS 2 a 1 b 2",
        "HGETDEL taken FIELDS 1 a",
        "SELECT 5",
        "HSETEX elsewhere PXAT 9999999999000 FIELDS 1 a 1",
        "MULTI",
        "HSETEX multi PXAT 9999999999000 FIELDS 1 a 1",
        "HEXPIREAT multi 9999999990 FIELDS 1 a",
        "EXEC",
        "SELECT 0",
    ] {
        let told = wire.ask(line);
        assert!(!told.is_error(), "{line}: {told}");
    }
    let long: Vec<String> = (0..600).map(|it| format!("field{it} {}", "x".repeat(90))).collect();
    let told = wire.ask(&format!("HSETEX long PXAT 9999999999000 FIELDS 600 {}", long.join(" ")));
    assert_eq!(told.int(), Some(1));
    let script = "return redis.call('HEXPIRE', KEYS[1], '0', 'FIELDS', '1', ARGV[1])";
    let told = wire.cmd(&["EVAL", script, "1", "long", "field7"]);
    assert_eq!(told.list()[0].int(), Some(2));
    // What has expired has another value now, or none.
    until("fields to expire", || (wire.ask("HKEYS mixed").list().len() == 1).then_some(()));
    wire.ask("HSETNX mixed again 4");
    until("all of them to be gone", || (wire.ask("EXISTS over").int() == Some(0)).then_some(()));
}

/// When each field of this hash expires.
fn deadlines(wire: &mut Wire, key: &str) -> Vec<(String, Option<i64>)> {
    let fields = wire.cmd(&["HKEYS", key]);
    let mut fields: Vec<String> = fields.list().iter().map(Value::string).collect();
    fields.sort();
    let count = fields.len().to_string();
    let head = ["HPEXPIRETIME", key, "FIELDS", &count];
    let asked: Vec<&str> = head.into_iter().chain(fields.iter().map(String::as_str)).collect();
    let told = wire.cmd(&asked);
    fields.into_iter().zip(told.list().iter().map(Value::int)).collect()
}

const HASHES: &[&str] = &["plain", "kept", "mixed", "persisted", "taken", "long"];

/// Compares values, and deadlines of fields.
fn agree(this: &mut Wire, other: &mut Wire) {
    hold_the_same(this, other);
    for key in HASHES {
        assert_eq!(deadlines(this, key), deadlines(other, key), "{key}");
    }
    ok(this, "SELECT 5");
    ok(other, "SELECT 5");
    for key in ["elsewhere", "multi"] {
        assert_eq!(deadlines(this, key), deadlines(other, key), "{key}");
    }
    ok(this, "SELECT 0");
    ok(other, "SELECT 0");
}

/// What [`fill`] leaves, though files and streams were between.
fn is_whole(wire: &mut Wire) {
    let at = |it: i64| Some(it);
    let kept = deadlines(wire, "kept");
    let wanted = [
        ("a", at(9_999_999_999_000)),
        ("b", at(9_999_999_999_000)),
        ("c", at(9_999_999_999_000)),
        ("d", at(9_999_999_998_000)),
        ("e", at(9_999_999_997_000)),
    ];
    assert_eq!(kept, wanted.map(|(field, at)| (field.to_owned(), at)));
    let names = |it: &str| (it.to_owned(), at(-1));
    assert_eq!(deadlines(wire, "mixed"), [names("again"), names("stays")]);
    assert_eq!(deadlines(wire, "plain"), [names("a"), names("b")]);
    assert_eq!(wire.ask("HLEN long").int(), Some(599));
    assert_eq!(wire.ask("HGET kept b").string(), "2.5");
}

#[test]
fn replicas_within_and_on_the_wire_have_what_the_master_has() {
    let master = Server::entourage(&[]);
    let mut wire = master.dial();
    fill(&mut wire);
    is_whole(&mut wire);
    let all = digests(&mut wire);
    assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
    let Some(valkey) = Server::valkey() else { return };
    let mut replica = valkey.dial();
    // By the file, which is in Valkey's own version then, and by the stream.
    ok(&mut replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    until_caught_up(&mut replica, &mut wire);
    agree(&mut wire, &mut replica);
    ok(&mut wire, "FLUSHALL");
    fill(&mut wire);
    until_caught_up(&mut replica, &mut wire);
    agree(&mut wire, &mut replica);
    assert_eq!(info_field(&mut wire, "replication", "connected_slaves").as_deref(), Some("1"));
}

#[test]
fn a_set_follows_a_valkey_whose_fields_expire() {
    let Some(valkey) = Server::valkey_with(&["--repl-diskless-sync-delay", "0"]) else { return };
    let mut master = valkey.dial();
    fill(&mut master);
    let follower = Server::entourage(&[]);
    let mut wire = follower.dial();
    ok(&mut wire, &format!("REPLICAOF 127.0.0.1 {}", valkey.port()));
    until_caught_up(&mut wire, &mut master);
    agree(&mut master, &mut wire);
    ok(&mut master, "FLUSHALL");
    fill(&mut master);
    until_caught_up(&mut wire, &mut master);
    agree(&mut master, &mut wire);
    is_whole(&mut wire);
    // It becomes a master, which lets fields expire by itself.
    ok(&mut wire, "REPLICAOF NO ONE");
    wire.ask("HSETEX own PX 1 FIELDS 1 a 1");
    until("its own field to expire", || (wire.ask("EXISTS own").int() == Some(0)).then_some(()));
}

#[test]
fn an_append_only_file_and_its_rewrite_keep_deadlines() {
    let dir = Dir::new();
    let server = ours(&dir, AOF);
    let mut wire = server.dial();
    fill(&mut wire);
    let plain = digests(&mut wire);
    assert_eq!(server.stop().code(), Some(0));
    let server = ours(&dir, AOF);
    let mut wire = server.dial();
    is_whole(&mut wire);
    assert_eq!(digests(&mut wire), plain);
    // The base of it is in Valkey's version now.
    rewrite(&mut wire);
    ok(&mut wire, "SET behind the-rewrite");
    wire.ask("HSETEX behind2 PXAT 9999999999000 FIELDS 1 a 1");
    let rewritten = digests(&mut wire);
    assert_eq!(server.stop().code(), Some(0));
    let for_valkey = dir.copy();
    let back = ours(&dir, AOF);
    is_whole(&mut back.dial());
    assert_eq!(digests(&mut back.dial()), rewritten);
    if let Some(valkey) = valkey_on(&for_valkey, &["--appendonly", "yes"]) {
        agree(&mut back.dial(), &mut valkey.dial());
    }
}

#[test]
fn snapshots_of_ours_and_of_valkey_are_the_same_files() {
    let dir = Dir::new();
    let server = Server::entourage_with_config(&config(&dir, ""));
    let mut wire = server.dial();
    ok(&mut wire, "SAVE");
    let magic = |dir: &Dir| std::fs::read(dir.join("dump.rdb")).expect("it is there")[..9].to_vec();
    // Without such fields it is what it was.
    wire.ask("HSET plain a 1 b 2");
    ok(&mut wire, "SAVE");
    assert_eq!(magic(&dir), b"REDIS0010");
    fill(&mut wire);
    ok(&mut wire, "SAVE");
    assert_eq!(magic(&dir), b"VALKEY080");
    assert_eq!(server.stop().code(), Some(0));
    let for_valkey = dir.copy();
    let back = ours(&dir, "");
    is_whole(&mut back.dial());
    let Some(valkey) = valkey_on(&for_valkey, &[]) else { return };
    let mut other = valkey.dial();
    agree(&mut back.dial(), &mut other);
    // And the other way.
    other.ask("HSETEX kept KEEPTTL FIELDS 1 a 12");
    ok(&mut other, "SAVE");
    other.send(&[words(&["SHUTDOWN", "NOSAVE"])]);
    valkey.until_ended();
    let again = ours(&for_valkey, "");
    is_whole(&mut again.dial());
    assert_eq!(again.dial().ask("HGET kept a").string(), "12");
    for key in HASHES {
        let (mut this, mut other) = (again.dial(), back.dial());
        assert_eq!(deadlines(&mut this, key), deadlines(&mut other, key), "{key}");
    }
}

#[test]
fn a_dump_is_restored_by_either_with_its_deadlines() {
    let ours = Server::entourage(&[]);
    let mut here = ours.dial();
    fill(&mut here);
    let restore = |from: &mut Wire, to: &mut Wire, key: &str, target: &str| {
        let dump = from.cmd(&["DUMP", key]).text().expect("it is there").to_vec();
        let head = [&b"RESTORE"[..], target.as_bytes(), b"0"].map(<[u8]>::to_vec);
        let told = to.cmd(&[head.to_vec(), vec![dump]].concat());
        assert_eq!(told.string(), "OK", "{key}");
    };
    let mut own = ours.dial();
    for key in HASHES {
        let copy = format!("{key}:copy");
        restore(&mut here, &mut own, key, &copy);
        assert_eq!(deadlines(&mut here, key), deadlines(&mut own, &copy));
    }
    let all = digests(&mut here);
    assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
    let Some(valkey) = Server::valkey() else { return };
    let mut there = valkey.dial();
    for key in ["kept", "long", "persisted"] {
        restore(&mut here, &mut there, key, key);
        assert_eq!(deadlines(&mut here, key), deadlines(&mut there, key));
        restore(&mut there, &mut here, key, &format!("{key}:back"));
        assert_eq!(deadlines(&mut there, key), deadlines(&mut here, &format!("{key}:back")));
        assert_eq!(shown(key.as_bytes(), &mut there), shown(key.as_bytes(), &mut here));
    }
}

/// What is heard of each line, at a real server and at ours.
#[test]
fn subscribers_hear_what_valkey_tells_them() {
    let Some(valkey) = Server::valkey() else { return };
    let servers = [valkey, Server::entourage(&[])];
    let heard = servers.each_ref().map(|server| {
        let (mut wire, mut listener) = (server.dial(), server.dial());
        ok(&mut wire, "CONFIG SET notify-keyspace-events KEAmn");
        listener.ask("PSUBSCRIBE __keyevent*__:*");
        listener.ask("SUBSCRIBE mark");
        let mut all = Vec::new();
        for line in EVENTFUL {
            wire.ask(line);
            wire.ask("PUBLISH mark x");
            let mut told = format!("{line}:");
            loop {
                let message = listener.read();
                let items = message.list();
                if items[0].string() == "message" {
                    break;
                }
                let event = items[2].string();
                let event = event.rsplit(':').next().unwrap_or_default();
                told += &format!(" {event} {}", items[3].string());
            }
            all.push(told);
        }
        // Only the cycle's event is one of its class.
        ok(&mut wire, "CONFIG SET notify-keyspace-events Ex");
        wire.ask("HSETEX by-the-cycle PX 1 FIELDS 1 a 1");
        all.push(listener.read().list()[2].string());
        all
    });
    assert_eq!(heard[0], heard[1]);
}

const EVENTFUL: &[&str] = &[
    "HSET h a 1 b 2 c 3",
    "HEXPIRE h 100 FIELDS 2 a b",
    "HEXPIRE h 100 NX FIELDS 1 a",
    "HEXPIRE h 100 FIELDS 1 none",
    "HEXPIRE none 100 FIELDS 1 none",
    "HPERSIST h FIELDS 2 a b",
    "HPERSIST h FIELDS 2 a b",
    "HGETEX h FIELDS 1 a",
    "HGETEX h EX 100 FIELDS 1 a",
    "HGETEX h PERSIST FIELDS 1 a",
    "HGETEX h PERSIST FIELDS 1 a",
    "HGETEX none FIELDS 1 a",
    "HGETEX none EX 10 FIELDS 1 a",
    "HTTL none FIELDS 1 a",
    "HGETDEL none FIELDS 1 a",
    "HSETEX h FIELDS 1 a 1",
    "HSETEX h EX 100 FIELDS 1 a 1",
    "HSETEX h KEEPTTL FIELDS 1 a 1",
    "HSETEX h FNX FIELDS 1 a 1",
    "HSETEX new EX 100 FIELDS 1 a 1",
    "HSETEX new2 FIELDS 1 a 1",
    "HSETEX new3 PXAT 1 FIELDS 1 a 1",
    "HSETEX h PXAT 1 FIELDS 2 a 1 new 1",
    "HSETEX h PXAT 1 FIELDS 1 new 1",
    "HEXPIRE h 0 FIELDS 1 b",
    "HGETEX h PXAT 1 FIELDS 1 none",
    "HGETEX h PXAT 1 FIELDS 1 c",
    "HSET h a 1 b 2",
    "HGETDEL h FIELDS 2 a none",
    "HGETDEL h FIELDS 1 b",
];

#[test]
fn who_caches_a_hash_hears_when_its_fields_expire() {
    let server = Server::entourage(&[]);
    let (mut wire, mut caching) = (server.dial(), server.dial());
    caching.ask("HELLO 3");
    for (line, is_over) in [("HSETEX h PX 1 FIELDS 1 a 1", true), ("HSET h b 1", false)] {
        ok(&mut caching, "CLIENT TRACKING OFF");
        ok(&mut caching, "CLIENT TRACKING ON");
        wire.ask("DEL h");
        wire.ask("DEBUG SET-ACTIVE-EXPIRE 0");
        wire.ask("HSETEX h PX 200 FIELDS 1 a 1");
        if !is_over {
            wire.ask(line);
        }
        caching.ask("HGETALL h");
        wire.ask("DEBUG SET-ACTIVE-EXPIRE 1");
        let told = caching.read();
        assert!(told.to_string().contains("invalidate"), "{told}");
        let is_there = wire.ask("EXISTS h").int() == Some(1);
        assert_eq!(is_there, !is_over);
    }
}

#[test]
fn expired_fields_are_counted() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let count = |wire: &mut Wire| info_field(wire, "stats", "expired_fields").unwrap();
    wire.ask("HSETEX h EX 1000 FIELDS 4 a 1 b 2 c 3 d 4");
    let keyspace = info_field(&mut wire, "keyspace", "db0").unwrap();
    assert!(keyspace.ends_with("keys_with_volatile_items=1"), "{keyspace}");
    wire.ask("HEXPIRE h 0 FIELDS 1 a");
    wire.ask("HSETEX h PXAT 1 FIELDS 2 b 1 new 1");
    wire.ask("HGETEX h PXAT 1 FIELDS 1 c");
    assert_eq!(count(&mut wire), "4");
    wire.ask("HPEXPIRE h 1 FIELDS 1 d");
    until("the last to expire", || (count(&mut wire) == "5").then_some(()));
    assert_eq!(info_field(&mut wire, "stats", "expired_keys").unwrap(), "0");
    ok(&mut wire, "CONFIG RESETSTAT");
    assert_eq!(count(&mut wire), "0");
}

/// Time stands still within a transaction and a script, for fields as it does for keys.
#[test]
fn time_stands_still_for_fields_where_it_does_for_keys() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let script = "redis.call('HSETEX', KEYS[1], 'PX', '5', 'FIELDS', '1', 'a', '1') \
                  local n = 0 \
                  while n < 2000000 do n = n + 1 end \
                  return redis.call('HPTTL', KEYS[1], 'FIELDS', '1', 'a')";
    let told = wire.cmd(&["EVAL", script, "1", "h"]);
    assert_eq!(told.list()[0].int(), Some(5));
}

/// A million fields that are due at once are taken out in steps, between which others are served.
#[test]
fn a_million_fields_that_are_due_at_once_give_way_to_others() {
    const FIELDS: usize = 1_000_000;
    const AT_A_TIME: usize = 10_000;
    let server = Server::entourage(&[]);
    let (mut wire, mut other) = (server.dial(), server.dial());
    wire.ask("DEBUG SET-ACTIVE-EXPIRE 0");
    ok(&mut other, "SET k v");
    for from in (0..FIELDS).step_by(AT_A_TIME) {
        let fields: Vec<String> = (from..from + AT_A_TIME).map(|it| format!("f{it} v")).collect();
        let count = fields.len();
        let told = wire.ask(&format!("HSETEX h PX 60000 FIELDS {count} {}", fields.join(" ")));
        assert_eq!(told.int(), Some(1));
    }
    wire.ask("HSET h stays v");
    assert_eq!(wire.ask("HLEN h").int(), Some(FIELDS as i64 + 1));
    // All at one moment: time stands still within a script.
    let all = "local all = redis.call('HKEYS', KEYS[1]) \
               for from = 1, #all, 1000 do \
                 local some = {} \
                 for at = from, math.min(from + 999, #all) do \
                   if all[at] ~= 'stays' then some[#some + 1] = all[at] end \
                 end \
                 redis.call('HPEXPIRE', KEYS[1], '1', 'FIELDS', #some, unpack(some)) \
               end";
    wire.cmd(&["EVAL", all, "1", "h"]);
    sleep(Duration::from_millis(5));
    assert_eq!(wire.ask("HGET h stays").string(), "v");
    assert!(wire.ask("HGET h f77").is_nil());
    wire.ask("DEBUG SET-ACTIVE-EXPIRE 1");
    let (mut steps, mut before) = (0, FIELDS as i64 + 1);
    while 1 < before {
        assert_eq!(other.ask("GET k").string(), "v");
        let left = other.ask("HLEN h").int().expect("a number");
        assert!(left <= before);
        steps += usize::from(left < before);
        before = left;
    }
    assert!(3 < steps, "all were gone after {steps} looks");
    assert_eq!(
        wire.ask("HGETALL h").to_string(),
        Value::Array(vec![Value::Bulk(b"stays".to_vec()), Value::Bulk(b"v".to_vec()),]).to_string()
    );
    let all = digests(&mut wire);
    assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
    assert_eq!(info_field(&mut wire, "stats", "expired_fields").unwrap(), FIELDS.to_string());
}
