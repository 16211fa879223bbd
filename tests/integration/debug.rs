//! DEBUG: what tests of others ask of a server, beside redis-server.

use crate::support::on_disk::{Dir, fill, ours};
use crate::support::{Server, Value, Wire, digests, furnish, until_blocked, words};

/// Ours and redis-server, both of which allow DEBUG.
fn servers() -> (Server, Server) {
    (Server::entourage(&[]), Server::redis(&["--enable-debug-command", "yes"]))
}

#[test]
fn digests_are_those_of_redis() {
    let (ours, redis) = servers();
    let (mut here, mut there) = (ours.dial(), redis.dial());
    let mut seen = Vec::new();
    for line in [
        "SET text value",
        "SET number 12345",
        "RPUSH list a 1 b -7 a",
        "SADD set 3 1 2",
        "SADD words one two three",
        "ZADD zset 1.5 a 3 b -inf c 1e300 d 0.1 e",
        "HSET hash f v 1 2",
        "XADD stream 1-1 field value other 12",
        "PEXPIREAT text 4102444800000",
        "SELECT 9",
        "SET text value",
    ] {
        assert_eq!(here.ask(line).is_error(), there.ask(line).is_error(), "{line}");
        let (found, wanted) = (here.ask("DEBUG DIGEST"), there.ask("DEBUG DIGEST"));
        assert_eq!(found, wanted, "{line}");
        let is_select = line.starts_with("SELECT");
        assert_eq!(seen.contains(&found), is_select, "{line}");
        seen.push(found);
    }
    for wire in [&mut here, &mut there] {
        wire.ask("SELECT 0");
    }
    let line = "DEBUG DIGEST-VALUE text list none set words zset hash stream";
    assert_eq!(here.ask(line), there.ask(line));
}

#[test]
fn examples_of_replies_and_refusals_are_those_of_redis() {
    let (ours, redis) = servers();
    let (mut here, mut there) = (ours.dial(), redis.dial());
    for hello in ["HELLO 2", "HELLO 3"] {
        for wire in [&mut here, &mut there] {
            wire.ask(hello);
        }
        for name in [
            "string", "integer", "double", "bignum", "null", "array", "set", "map", "verbatim",
            "true", "FALSE", "attrib", "nonsense",
        ] {
            let line = format!("DEBUG PROTOCOL {name}\r\nPING\r\n");
            let raw = |wire: &mut Wire| {
                wire.send_raw(line.as_bytes());
                wire.read_until(b"+PONG\r\n")
            };
            assert_eq!(raw(&mut here), raw(&mut there), "{hello} {name}");
        }
    }
    for wire in [&mut here, &mut there] {
        ["HELLO 2", "SET k v", "HSET h f v", "RPUSH l a"].iter().for_each(|it| drop(wire.ask(it)));
    }
    for line in [
        "DEBUG ERROR some-error",
        "DEBUG ERROR",
        "DEBUG LOG hello",
        "DEBUG LISTPACK h",
        "DEBUG LISTPACK k",
        "DEBUG LISTPACK none",
        "DEBUG HTSTATS 99",
        "DEBUG HTSTATS-KEY k",
        "DEBUG HTSTATS-KEY none",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 100b",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 5gb",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 0",
        "DEBUG RELOAD NONSENSE",
        "DEBUG POPULATE x",
        "DEBUG POPULATE 2 prefix y",
        "DEBUG POPULATE 3",
        "DEBUG POPULATE 3 prefix 10",
        "MGET key:0 key:2 key:3 prefix:0 prefix:2",
        "DEBUG NOSUCH",
        "DBSIZE",
    ] {
        assert_eq!(here.ask(line), there.ask(line), "{line}");
    }
}

#[test]
fn data_goes_through_its_files_and_is_what_it_was() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    furnish(&mut wire);
    let library = "#!lua name=lib\nserver.register_function('f', function() return 7 end)";
    assert_eq!(wire.cmd(&["FUNCTION", "LOAD", library]).string(), "lib");
    let before = digests(&mut wire);
    assert_eq!(wire.ask("DEBUG RELOAD").string(), "OK");
    let after = digests(&mut wire);
    assert_eq!(before, after);
    assert!(after.iter().all(|it| *it == after[0]), "{after:?}");
    assert_eq!(wire.ask("FCALL F 0"), Value::Int(7), "letters are the same in either case");
    assert_eq!(wire.ask("SET after reload").string(), "OK");
    let end = digests(&mut wire);
    assert!(end.iter().all(|it| *it == end[0]) && end[0] != after[0]);
    assert!(wire.ask("DEBUG RELOAD NOSAVE").is_error());
}

#[test]
fn data_comes_back_out_of_the_append_only_file() {
    let dir = Dir::new();
    let server = ours(&dir, "appendonly = true\nappendfsync = \"everysec\"\n");
    let mut wire = server.dial();
    fill(&mut wire);
    let before = digests(&mut wire);
    assert_eq!(wire.ask("DEBUG LOADAOF").string(), "OK");
    assert_eq!(digests(&mut wire), before);
    wire.ask("SET after it");
    assert_eq!(wire.ask("DEBUG LOADAOF").string(), "OK");
    assert_eq!(wire.ask("GET after").string(), "it");
    assert!(Server::entourage(&[]).dial().ask("DEBUG LOADAOF").is_error(), "there is none");
}

#[test]
fn what_watches_or_waits_for_keys_hears_of_a_reload() {
    let server = Server::entourage(&[]);
    let (mut watcher, mut waiter, mut other) = (server.dial(), server.dial(), server.dial());
    other.ask("SET k v");
    watcher.ask("WATCH k");
    waiter.send(&[words(&["BLPOP", "l", "0"])]);
    until_blocked(&mut other, 1);
    assert_eq!(other.ask("DEBUG RELOAD").string(), "OK");
    assert!(waiter.read().string().starts_with("UNBLOCKED"));
    ["MULTI", "SET k w"].iter().for_each(|it| drop(watcher.ask(it)));
    assert_eq!(watcher.ask("EXEC"), Value::NilArray);
    assert_eq!(other.ask("GET k").string(), "v");
}

#[test]
fn a_stream_gets_another_name_and_goes_on() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let id = |wire: &mut Wire| {
        let info = wire.ask("INFO replication").string();
        info.lines().find_map(|it| it.strip_prefix("master_replid:").map(str::to_owned)).unwrap()
    };
    wire.ask("SET k v");
    let before = id(&mut wire);
    assert_eq!(wire.ask("DEBUG CHANGE-REPL-ID").string(), "OK");
    assert_ne!(id(&mut wire), before);
    assert_eq!(wire.ask("GET k").string(), "v", "what was written before is covered");
    wire.ask("SET k w");
    let members = digests(&mut wire);
    assert!(members.iter().all(|it| *it == members[0]));
}

#[test]
fn what_has_expired_and_is_there_can_be_looked_at() {
    let (ours, redis) = servers();
    for mut wire in [ours.dial(), redis.dial()] {
        assert_eq!(wire.ask("DEBUG SET-ACTIVE-EXPIRE 0").string(), "OK");
        let reply = wire.cmd(&["EVAL", "return redis.call('TIME')", "0"]);
        let now: u64 = reply.list()[0].string().parse().expect("seconds");
        assert_eq!(wire.ask(&format!("SET k v EXAT {}", now + 2)).string(), "OK");
        // Nobody reads it: a real one would delete it.
        crate::support::until("its time to be over", || {
            let reply = wire.ask("TIME");
            let at: u64 = reply.list()[0].string().parse().expect("seconds");
            (now + 3 <= at).then_some(())
        });
        let told = wire.ask("DEBUG OBJECT k").string();
        assert!(told.starts_with("Value at:"), "{told}");
        assert!(wire.ask("GET k").is_nil());
    }
}

#[test]
fn scripts_call_what_scripts_may_not_while_that_is_allowed() {
    const CALL: [&str; 3] = ["EVAL", "return redis.call('debug', 'protocol', 'integer')", "0"];
    let (ours, redis) = servers();
    for mut wire in [ours.dial(), redis.dial()] {
        assert!(wire.cmd(&CALL).is_error());
        assert_eq!(wire.ask("DEBUG SET-DISABLE-DENY-SCRIPTS 1").string(), "OK");
        assert_eq!(wire.cmd(&CALL).int(), Some(12345));
        assert_eq!(wire.ask("DEBUG SET-DISABLE-DENY-SCRIPTS 0").string(), "OK");
        assert!(wire.cmd(&CALL).is_error());
    }
}
