//! Scripts and functions: where they run, what they hold, who waits for them, and what is known of
//! them after failovers and restarts. What they answer is compared in `commands` and
//! `differential`.

use crate::support::on_disk::{self, AOF, Dir};
use crate::support::{Server, Value, Wire, ok, others, until, until_running, words};
use std::time::Instant;

const ENDLESS: &[&str] = &["EVAL", "while true do end", "0"];
const ENDLESS_WRITER: &[&str] = &[
    "EVAL",
    "redis.call('SET', KEYS[1], 'written') while redis.call('TIME')[1] < ARGV[1] do end return 1",
    "1",
    "k",
];
const LIBRARY: &str = "#!lua name=lib\n\
    redis.register_function('add', function(k, a) return redis.call('INCRBY', k[1], a[1]) end)\n\
    redis.register_function{function_name='look', flags={'no-writes'}, \
    callback=function(k) return redis.call('GET', k[1]) end}";

/// So many keys, `k0` and so on.
fn fill(wire: &mut Wire, count: usize) {
    for from in (0..count).step_by(1_000) {
        let keys = (from..from + 1_000).flat_map(|it| [format!("k{it}"), "v".into()]);
        let mset: Vec<String> = std::iter::once("MSET".to_owned()).chain(keys).collect();
        assert_eq!(wire.cmd(&mset).string(), "OK");
    }
}

fn last_member(wire: &mut Wire) -> String {
    let told = wire.ask("PROXY LAST").to_string();
    told.to_lowercase()
}

#[test]
fn an_endless_script_harms_nobody_who_does_not_need_the_master() {
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let (mut other, mut writer, mut long) = (server.dial(), server.dial(), server.dial());
    ok(&mut other, "SET k 1");
    assert_eq!(other.ask("WAIT 1 60000").int(), Some(1));
    ok(&mut other, "CONFIG SET busy-reply-threshold 200");
    long.send(&[words(ENDLESS)]);
    until_running(&mut other);
    for _ in 0..100 {
        assert_eq!(other.ask("PING").string(), "PONG");
        assert_eq!(other.ask("GET k").string(), "1");
        assert_eq!(other.cmd(&["EVAL_RO", "return redis.call('GET', 'k')", "0"]).string(), "1");
    }
    // It waits at first, and is answered once the script has run for too long.
    assert!(writer.ask("SET k 2").string().starts_with("BUSY Redis is busy running a script."));
    ok(&mut writer, "MULTI");
    writer.ask("SET k 2");
    let refused = writer.ask("EXEC").string();
    assert!(refused.starts_with("EXECABORT Transaction discarded because of: BUSY"), "{refused}");
    assert!(!long.has_input());
    // What it does to a key nobody knows before it ends: to watch one is to be told that it has
    // changed.
    ok(&mut writer, "WATCH k");
    let mut third = server.dial();
    ok(&mut third, "WATCH k");
    ok(&mut third, "SELECT 3");
    assert_eq!(third.ask("RESET").string(), "RESET");
    assert!(other.ask("SHUTDOWN SAVE").string().starts_with("BUSY"));
    assert!(other.ask("FUNCTION KILL").string().starts_with("BUSY"));
    ok(&mut other, "SCRIPT KILL");
    let killed = long.read().string();
    assert!(killed.contains("Script killed by user with SCRIPT KILL"), "{killed}");
    ["MULTI", "SET k 0"].iter().for_each(|it| drop(writer.ask(it)));
    assert!(writer.ask("EXEC").is_nil());
    ["MULTI", "SET k 1"].iter().for_each(|it| drop(third.ask(it)));
    assert_eq!(third.ask("EXEC").list().len(), 1, "RESET has ended its watch");
    ok(&mut writer, "SET k 2");
    assert_eq!(other.ask("GET k").string(), "2");
    assert!(other.ask("SCRIPT KILL").string().starts_with("NOTBUSY"));
}

#[test]
fn a_script_that_has_written_is_not_killed_and_ends_by_itself() {
    let server = Server::entourage(&["--threads", "2", "--replicas", "1"]);
    let (mut other, mut writer, mut long) = (server.dial(), server.dial(), server.dial());
    let now: u64 = other.ask("TIME").list()[0].string().parse().unwrap();
    let until_s = (now + 4).to_string();
    long.send(&[words(&[ENDLESS_WRITER, &[until_s.as_str()]].concat())]);
    until_running(&mut other);
    let told = until("it to be told of", || {
        let told = other.ask("SCRIPT KILL").string();
        (!told.starts_with("NOTBUSY")).then_some(told)
    });
    assert!(told.starts_with("UNKILLABLE"), "{told}");
    assert!(other.ask("FUNCTION KILL").string().starts_with("UNKILLABLE"));
    assert!(other.ask("GET k").is_nil(), "nothing of it is seen before its end");
    ok(&mut writer, "SET after 1");
    assert_eq!(long.read().int(), Some(1));
    assert_eq!(other.ask("GET k").string(), "written");
}

#[test]
fn endless_scripts_at_replicas_hold_up_neither_writes_nor_each_other() {
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let mut other = server.dial();
    ok(&mut other, "SET k 1");
    assert_eq!(other.ask("WAIT 1 60000").int(), Some(1));
    let endless = ["EVAL_RO", "while true do end", "0"];
    let mut long: Vec<Wire> = (0..2).map(|_| server.dial()).collect();
    long.iter_mut().for_each(|it| it.send(&[words(&endless)]));
    until_running(&mut other);
    ok(&mut other, "SET k 2");
    assert_eq!(other.ask("GET k").string(), "2");
    // One may have begun only after the other was told to stop.
    for wire in &mut long {
        until("it to be killed", || {
            other.ask("SCRIPT KILL");
            wire.has_input().then_some(())
        });
        assert!(wire.read().string().contains("Script killed by user"));
    }
    assert_eq!(other.ask("WAIT 1 60000").int(), Some(1));
}

#[test]
fn many_scripts_that_take_a_while_and_long_commands_all_end() {
    // One worker, so that they meet within each other's turns and go on at the threads for long
    // work.
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let mut other = server.dial();
    fill(&mut other, 20_000);
    assert_eq!(other.ask("WAIT 1 60000").int(), Some(1));
    let loops = "for i = 1, 200000 do local x = i * i end return 1";
    let queued = [words(&["MULTI"]), words(&["EVAL", loops, "0"]), words(&["EXEC"])];
    let mut clients: Vec<Wire> = (0..8).map(|_| server.dial()).collect();
    for _ in 0..5 {
        for (at, client) in clients.iter_mut().enumerate() {
            match at % 4 {
                0 => client.send(&[words(&["EVAL", loops, "0"])]),
                1 => client.send(&[words(&["EVAL_RO", loops, "0"])]),
                2 => client.send(&queued),
                _ => client.send(&[words(&["KEYS", "k1*"])]),
            }
        }
        for (at, client) in clients.iter_mut().enumerate() {
            let replies = client.read_many(if at % 4 == 2 { 3 } else { 1 });
            assert!(replies.iter().all(|it| !it.is_error()), "{at}: {replies:?}");
        }
    }
}

#[test]
fn long_commands_that_a_script_calls_stall_nobody() {
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let (mut other, mut long) = (server.dial(), server.dial());
    fill(&mut other, 100_000);
    long.send(&[words(&["EVAL", "for i = 1, 900 do redis.call('KEYS', '*') end return 1", "0"])]);
    until_running(&mut other);
    for _ in 0..10 {
        assert_eq!(other.ask("PING").string(), "PONG");
        assert_eq!(other.ask("GET k1").string(), "v");
    }
    assert!(!long.has_input(), "all of that came first");
    until("it to be killed", || (other.ask("SCRIPT KILL").string() == "OK").then_some(()));
    assert!(long.read().string().contains("Script killed by user"));
}

#[test]
fn an_endless_answer_is_refused() {
    let server = Server::entourage(&["--threads", "2", "--replicas", "1"]);
    let (mut wire, mut other) = (server.dial(), server.dial());
    let text = "local t = 'x' for i = 1, 40 do t = {t, t} end return t";
    wire.send(&[words(&["EVAL", text, "0"])]);
    until("it to end", || {
        assert_eq!(other.ask("PING").string(), "PONG");
        other.ask("SCRIPT KILL");
        wire.has_input().then_some(())
    });
    let told = wire.read().string();
    assert!(told.contains("too long") || told.contains("killed by user"), "{told}");
    ok(&mut wire, "SET k 1");
}

#[test]
fn a_client_that_hangs_up_leaves_no_script_behind_that_only_reads() {
    let library = "#!lua name=loops\nredis.register_function{function_name='loop', \
        flags={'no-writes'}, callback=function() while true do end end}";
    for replicas in ["0", "1"] {
        let server = Server::entourage(&["--threads", "1", "--replicas", replicas]);
        let mut other = server.dial();
        other.cmd(&["FUNCTION", "LOAD", library]);
        for call in [ENDLESS, &["EVAL_RO", "while true do end", "0"], &["FCALL", "loop", "0"]] {
            let mut long = server.dial();
            long.send(&[words(call)]);
            until("it to run", || (!others(&mut other).is_empty()).then_some(()));
            until("others to tell", || {
                let told = others(&mut other);
                told.iter().any(|it| it.contains(" cmd=eval") || it.contains("fcall")).then_some(())
            });
            drop(long);
            until("its client to be gone", || others(&mut other).is_empty().then_some(()));
            let killed = other.ask("SCRIPT KILL").string();
            assert!(killed.starts_with("NOTBUSY"), "{call:?}: {killed}");
            ok(&mut other, "SET k 1");
        }
    }
}

#[test]
fn a_client_that_hangs_up_leaves_a_script_that_has_written_to_its_end() {
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let (mut other, mut long) = (server.dial(), server.dial());
    let text = "redis.call('SET', 'k', 'begun') local from = redis.call('TIME')[1] \
        while redis.call('TIME')[1] - from < 3 do end redis.call('SET', 'k', 'done')";
    long.send(&[words(&["EVAL", text, "0"])]);
    until_running(&mut other);
    drop(long);
    until("its client to be gone", || others(&mut other).is_empty().then_some(()));
    assert_eq!(other.ask("GET k").string(), "done");
}

#[test]
fn scripts_that_only_read_run_at_replicas_past_the_floor() {
    let server = Server::entourage(&["--threads", "2", "--replicas", "2"]);
    let mut wire = server.dial();
    wire.cmd(&["FUNCTION", "LOAD", LIBRARY]);
    let sha = wire.cmd(&["SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])"]).string();
    for round in 0..200 {
        wire.cmd(&["SET", "k", &round.to_string()]);
        let flagged = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])";
        for read in [
            vec!["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "k"],
            vec!["EVALSHA_RO", &sha, "1", "k"],
            vec!["EVAL", flagged, "1", "k"],
            vec!["FCALL_RO", "look", "1", "k"],
            vec!["FCALL", "look", "1", "k"],
        ] {
            assert_eq!(wire.cmd(&read).string(), round.to_string(), "{read:?}");
            let last = last_member(&mut wire);
            assert!(!last.contains("because\", \"write"), "{read:?}: {last}");
        }
        assert_eq!(wire.cmd(&["EVALSHA", &sha, "1", "k"]).string(), round.to_string());
    }
    let explained = wire.cmd(&["PROXY", "EXPLAIN", "EVAL_RO", "return 1", "1", "k"]).to_string();
    assert!(explained.contains("chosen n2") || explained.contains("chosen n3"), "{explained}");
}

#[test]
fn scripts_and_functions_survive_failovers() {
    let server = Server::entourage(&["--replicas", "2"]);
    let mut wire = server.dial();
    wire.cmd(&["FUNCTION", "LOAD", LIBRARY]);
    let sha = wire.cmd(&["SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])"]).string();
    for (round, master) in (1..).zip(['2', '3', '1', '2']) {
        assert_eq!(wire.cmd(&["EVALSHA", &sha, "1", "n"]).int(), Some(2 * round - 1));
        assert_eq!(wire.cmd(&["FCALL", "add", "1", "n", "1"]).int(), Some(2 * round));
        let told = wire.ask(&format!("PROXY FAILOVER TO n{master}")).string();
        assert!(told.starts_with("OK"), "{told}");
        assert_eq!(wire.cmd(&["FCALL_RO", "look", "1", "n"]).string(), (2 * round).to_string());
    }
}

/// Names and texts of all libraries, and how many functions each has. Redis has no order for them.
fn libraries(wire: &mut Wire) -> Vec<(String, String, usize)> {
    let told = wire.ask("FUNCTION LIST WITHCODE");
    let one = |it: &Value| {
        let fields = it.list();
        (fields[1].string(), fields[7].string(), fields[5].list().len())
    };
    let mut all: Vec<_> = told.list().iter().map(one).collect();
    all.sort();
    all
}

/// Each takes the other's payload; texts may be compressed in it or not.
fn exchange_payloads(one: &mut Wire, other: &mut Wire) {
    let list = libraries(one);
    for _ in 0..2 {
        let Value::Bulk(payload) = one.ask("FUNCTION DUMP") else { panic!("a payload") };
        let restore = [b"FUNCTION".as_slice(), b"RESTORE", &payload, b"FLUSH"];
        assert_eq!(other.cmd(&restore).string(), "OK");
        assert_eq!(libraries(other), list);
        std::mem::swap(one, other);
    }
}

fn until_equal_functions(ours: &mut Wire, theirs: &mut Wire) {
    until("the functions to have come", || (libraries(ours) == libraries(theirs)).then_some(()));
}

#[test]
fn functions_go_over_the_wire_both_ways() {
    let others = [Some(Server::redis(&[])), Server::valkey()];
    for theirs in others.into_iter().flatten() {
        let ours = Server::entourage(&["--replicas", "1"]);
        let (mut us, mut them) = (ours.dial(), theirs.dial());
        assert_eq!(us.cmd(&["FUNCTION", "LOAD", LIBRARY]).string(), "lib");
        // In the snapshot.
        ok(&mut them, &format!("REPLICAOF 127.0.0.1 {}", ours.port()));
        until("their link", || {
            them.ask("INFO replication").string().contains("master_link_status:up").then_some(())
        });
        until_equal_functions(&mut us, &mut them);
        // In the stream.
        us.cmd(&["FUNCTION", "LOAD", "#!lua name=more\nredis.register_function('f', print)"]);
        us.cmd(&["EVAL", "redis.call('SET', 'a', 1) redis.call('INCR', 'a')", "0"]);
        us.cmd(&[
            "FUNCTION",
            "LOAD",
            &LIBRARY.replace("lib", "bil").replace("'add'", "'dda'").replace("'look'", "'kool'"),
        ]);
        ok(&mut us, "FUNCTION DELETE lib");
        until_equal_functions(&mut us, &mut them);
        until("their data", || (them.ask("GET a").string() == "2").then_some(()));
        ok(&mut them, "REPLICAOF NO ONE");
        exchange_payloads(&mut us, &mut them);
        // The other way round.
        assert_eq!(them.cmd(&["FUNCTION", "LOAD", LIBRARY]).string(), "lib");
        ok(&mut us, &format!("REPLICAOF 127.0.0.1 {}", theirs.port()));
        // What this session had written there is lost, and it is told so.
        until("our link", || {
            let told = ours.dial().ask("INFO replication").string();
            told.contains("master_link_status:up").then_some(())
        });
        let mut us = ours.dial();
        ok(&mut us, "CONFIG SET writes forward");
        until_equal_functions(&mut us, &mut them);
        ok(&mut them, "FUNCTION FLUSH");
        until_equal_functions(&mut us, &mut them);
        assert_eq!(us.cmd(&["FUNCTION", "LOAD", LIBRARY]).string(), "lib");
        until_equal_functions(&mut us, &mut them);
        assert_eq!(us.cmd(&["FCALL", "add", "1", "forwarded", "3"]).to_string(), ":3");
        assert_eq!(us.cmd(&["FCALL_RO", "look", "1", "forwarded"]).string(), "3");
        assert_eq!(us.cmd(&["EVAL", "return redis.call('INCR', 'forwarded')", "0"]).int(), Some(4));
        assert_eq!(us.ask("GET forwarded").string(), "4");
    }
}

#[test]
fn functions_survive_restarts() {
    let dir = Dir::new();
    let server = on_disk::ours(&dir, AOF);
    let mut wire = server.dial();
    wire.cmd(&["FUNCTION", "LOAD", LIBRARY]);
    assert_eq!(wire.cmd(&["FCALL", "add", "1", "n", "1"]).int(), Some(1));
    let (dump, list) = (wire.ask("FUNCTION DUMP"), libraries(&mut wire));
    server.stop();
    let server = on_disk::ours(&dir, AOF);
    on_disk::until_loaded(&server);
    let mut wire = server.dial();
    assert_eq!(wire.ask("FUNCTION DUMP"), dump, "from the increment");
    on_disk::rewrite(&mut wire);
    assert_eq!(wire.cmd(&["FCALL", "add", "1", "n", "1"]).int(), Some(2));
    server.stop();
    let server = on_disk::ours(&dir, AOF);
    on_disk::until_loaded(&server);
    let mut wire = server.dial();
    assert_eq!(wire.ask("FUNCTION DUMP"), dump, "from the base");
    assert_eq!(wire.cmd(&["FCALL_RO", "look", "1", "n"]).string(), "2");
    server.stop();
    // What we have written, Redis reads.
    let redis = on_disk::redis_on(&dir, &["--appendonly", "yes"]);
    let mut wire = redis.dial();
    until("it to load", || (!wire.ask("PING").is_error()).then_some(()));
    assert_eq!(libraries(&mut wire), list, "by redis");
    assert_eq!(wire.cmd(&["FCALL_RO", "look", "1", "n"]).string(), "2");
}

#[test]
fn the_gate_is_asked_before_a_script_writes() {
    for server in [Server::redis(&[]), Server::entourage(&["--replicas", "0"])] {
        let mut wire = server.dial();
        ok(&mut wire, "CONFIG SET min-replicas-to-write 1");
        let texts: Vec<String> = [
            vec!["EVAL", "return redis.call('GET', 'k')", "0"],
            vec!["EVAL", "return redis.pcall('SET', 'k', 1)", "0"],
            vec!["EVAL", "#!lua\nreturn 1", "0"],
            vec!["EVAL", "#!lua flags=no-writes\nreturn 1", "0"],
        ]
        .iter()
        .map(|it| wire.cmd(it).to_string())
        .collect();
        assert_eq!(texts[0], wire.ask("GET none").to_string());
        assert!(texts[1].contains("NOREPLICAS Not enough good replicas to write."), "{texts:?}");
        assert!(texts[2].contains("NOREPLICAS Not enough good replicas to write."), "{texts:?}");
        assert_eq!(texts[3], ":1");
    }
}

#[test]
fn what_a_script_writes_is_confirmed_as_its_route_asks() {
    let server = Server::entourage(&["--replicas", "1"]);
    let mut wire = server.dial();
    ok(&mut wire, "PROXY NODE n2 PAUSE");
    ok(&mut wire, "PROXY ACKS 1 50");
    let told = wire.cmd(&["EVAL", "return redis.call('SET', 'k', 1)", "0"]).string();
    assert!(told.starts_with("NOTDURABLE applied"), "{told}");
    assert_eq!(wire.cmd(&["EVAL", "return redis.call('GET', 'k')", "0"]).string(), "1");
    ok(&mut wire, "PROXY NODE n2 RESUME");
    ok(&mut wire, "PROXY ACKS 1 60000");
    assert_eq!(wire.cmd(&["EVAL", "return redis.call('INCR', 'k')", "0"]).int(), Some(2));
}

#[test]
fn scripts_that_allocate_recurse_or_format_without_end_are_stopped() {
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let (mut wire, mut other) = (server.dial(), server.dial());
    for text in [
        "local t = {} while true do t[#t + 1] = string.rep('x', 1000) end",
        "local s = 'x' while true do s = s .. s end",
        "local function f() return 1 + f() end return f()",
        "return string.rep('x', 1e10)",
        "return string.format('%99999999d', 1)",
        "return ('x'):rep(1000000):find(('.-'):rep(1000) .. 'y')",
    ] {
        wire.send(&[words(&["EVAL", text, "0"])]);
        until("it to end", || {
            assert_eq!(other.ask("PING").string(), "PONG");
            other.ask("SCRIPT KILL");
            wire.has_input().then_some(())
        });
        assert!(wire.read().is_error(), "{text}");
    }
    ok(&mut wire, "SET k 1");
}

#[test]
fn scripts_that_work_in_native_functions_stall_nobody_and_are_killed() {
    let server = Server::entourage(&["--threads", "1", "--replicas", "1"]);
    let (mut wire, mut other) = (server.dial(), server.dial());
    let mut longest = (0, "");
    for text in NATIVE_WORK {
        wire.send(&[words(&["EVAL", text, "0"])]);
        until_running(&mut other);
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(other.ask("PING").string(), "PONG");
            longest = longest.max((began.elapsed().as_millis(), text));
        }
        ok(&mut other, "SCRIPT KILL");
        let told = wire.read().string();
        assert!(told.contains("Script killed by user"), "{text}: {told}");
    }
    // Seconds, where nothing was counted.
    assert!(longest.0 < 3_000, "{longest:?}");
}

/// Each works without end, hardly in instructions.
const NATIVE_WORK: &[&str] = &[
    "local t = {} for i = 1, 5e5 do t[i] = 'x' end while true do local s = table.concat(t) end",
    "local s = ('x'):rep(1e7) while true do s:upper() end",
    "local s = ('x'):rep(1e7) while true do redis.sha1hex(s) end",
    "local s = ('x'):rep(1e7) while true do local x = s .. 'y' end",
    "local s = ('x'):rep(1e7) .. 'y' local t = s:sub(1, -2) .. 'z' while s < t do end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.insert(t, 1, 1) end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.remove(t, 1) t[2e6] = 1 end",
    "local t = {} for i = 1, 2e6 do t[i] = i end while true do table.maxn(t) end",
    "local t = {} for i = 1, 1e6 do t[i] = math.random() end while true do table.sort(t) end",
    "local s = ('x = 1 '):rep(1e5) while true do loadstring(s) end",
    "local s = ('1'):rep(1e6) while true do tonumber(s) end",
    "local t = {} for i = 1, 1e6 do t[i] = {} end while true do collectgarbage() end",
];

#[test]
fn a_script_that_executes_more_than_it_may_is_stopped() {
    let server = Server::entourage(&["--replicas", "1"]);
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET script-max-instructions 3000000");
    let eval = |text: &str| words(&["EVAL", text, "0"]);
    for text in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "redis.call('SET', 'k', 'written') while true do redis.call('GET', 'k') end",
        "return string.find(string.rep('a', 200000), string.rep('a*', 30) .. 'b')",
        "local t = {} for i = 1, 1e5 do t[i] = i % 999 end while true do table.sort(t) end",
        "local s = ('x'):rep(1e6) while true do redis.sha1hex(s) end",
    ] {
        let told = wire.cmd(&eval(text)).string();
        assert!(told.contains("more instructions than script-max-instructions"), "{text}: {told}");
    }
    assert_eq!(wire.ask("WAIT 1 60000").int(), Some(1));
    assert_eq!(wire.ask("GET k").string(), "written", "an error leaves what was written");
    assert_eq!(wire.cmd(&eval("for i = 1, 100000 do end return 1")).int(), Some(1));
    ok(&mut wire, "CONFIG SET script-max-instructions 0");
    assert_eq!(wire.cmd(&eval("for i = 1, 5000000 do end return 1")).int(), Some(1));
}

#[test]
fn a_script_may_ask_for_info() {
    for replicas in ["0", "2"] {
        let server = Server::entourage(&["--replicas", replicas, "--threads", "1"]);
        let mut wire = server.dial();
        ok(&mut wire, "SET k v");
        for section in ["everything", "memory", "keyspace"] {
            let text = format!("redis.call('SET', 'k', 1) return redis.call('INFO', '{section}')");
            let told = wire.cmd(&words(&["EVAL", &text, "0"])).string();
            assert!(told.starts_with('#'), "{told}");
        }
        let counted = "redis.call('SET', 'new', 1) return redis.call('INFO', 'keyspace')";
        let told = wire.cmd(&words(&["EVAL", counted, "0"])).string();
        assert!(told.contains("db0:keys=2,"), "what it has written is counted: {told}");
        let stats = "return redis.call('MEMORY', 'STATS')[1]";
        assert_eq!(wire.cmd(&words(&["EVAL", stats, "0"])).string(), "peak.allocated");
    }
}

/// EXEC lets go of the master for a command that looks at members, and an endless script takes it:
/// nobody else waits for that, on whichever thread.
#[test]
fn an_endless_script_amid_a_transaction_holds_up_nobody_who_does_not_need_the_master() {
    let server = Server::entourage(&["--threads", "2", "--replicas", "1"]);
    let (mut operator, mut others) = (server.dial(), [(); 6].map(|()| server.dial()));
    let looks = words(&["INFO", "everything"]);
    let all = [vec![words(&["MULTI"]), words(&["SET", "k", "1"])], vec![looks; 400]].concat();
    let mut was_amid = 0;
    for round in 0..40 {
        let (mut long, mut queueing) = (server.dial(), server.dial());
        queueing.send(&all);
        queueing.read_many(all.len());
        let end = round.to_string();
        assert_eq!(queueing.cmd(&["SET", "k", &end]).string(), "QUEUED");
        queueing.send(&[words(&["EXEC"])]);
        long.send(&[words(ENDLESS)]);
        until_running(&mut operator);
        others.iter_mut().for_each(|it| assert_eq!(it.ask("PING").string(), "PONG"));
        was_amid += usize::from(!queueing.has_input());
        ok(&mut operator, "SCRIPT KILL");
        assert!(long.read().is_error());
        let replies = queueing.read();
        assert_eq!(replies.list().last().map(Value::to_string).as_deref(), Some("+OK"));
        assert_eq!(operator.ask("GET k").string(), end);
        if was_amid == 3 {
            return;
        }
    }
    panic!("the script has never come in between");
}

/// How often each kind of error was answered, and how often these commands failed.
fn failures(wire: &mut Wire) -> Vec<String> {
    let all = wire.ask("INFO everything").string();
    let is_meant =
        |it: &&str| it.starts_with("errorstat_") || it.starts_with("total_error_replies:");
    let mut told: Vec<String> = all.lines().filter(is_meant).map(str::to_owned).collect();
    const NAMES: [&str; 10] = [
        "eval",
        "eval_ro",
        "evalsha",
        "blpop",
        "xgroup|createconsumer",
        "set",
        "lpush",
        "select",
        "geoadd",
        "subscribe",
    ];
    for name in NAMES {
        let start = format!("cmdstat_{name}:");
        let line = all.lines().find_map(|it| it.strip_prefix(&start)).unwrap_or_default();
        let is_count = |it: &&str| it.contains("calls=");
        let counts: Vec<&str> = line.split(',').filter(is_count).collect();
        told.push(format!("{name}: {}", counts.join(" ")));
    }
    told
}

#[test]
fn errors_of_scripts_and_of_waits_are_counted_as_by_redis() {
    let told = Server::both().map(|server| {
        let mut wire = server.dial();
        wire.ask("SET text a");
        wire.ask("CONFIG RESETSTAT");
        for script in [
            "redis.pcall('GET') return 1",
            "return redis.pcall('XGROUP', 'CREATECONSUMER', 's', 'g', 'c')",
            "return redis.error_reply('MINE it is')",
            "redis.pcall('GET') return redis.error_reply('MINE it is')",
            "redis.call('SUBSCRIBE', 'c')",
            "return redis.pcall('SELECT', 99)",
            "redis.pcall('SELECT', 99) return 1",
            "return redis.call('SELECT', 9)",
            "redis.call('GEOADD', 'text', 1, 1, 'm')",
            "redis.call('SET', 'text', 'b') redis.call('LPUSH', 'text', 'x')",
            "this is no Lua",
        ] {
            wire.cmd(&["EVAL", script, "0"]);
            wire.cmd(&["EVAL_RO", script, "0"]);
        }
        ok(&mut wire, "CONFIG SET maxmemory 1");
        for script in [
            "redis.call('SET', 'text', 'y')",
            "return redis.pcall('SET', 'text', 'y')",
            "redis.pcall('SET', 'text', 'y') return 1",
        ] {
            wire.cmd(&["EVAL", script, "1", "text"]);
        }
        ok(&mut wire, "CONFIG SET maxmemory 0");
        assert!(wire.ask("EVALSHA ffffffffffffffffffffffffffffffffffffffff 0").is_error());
        let mut blocked = server.dial();
        let id = blocked.ask("CLIENT ID").to_string();
        blocked.send(&[words(&["BLPOP", "none", "0"])]);
        crate::support::until_blocked(&mut wire, 1);
        wire.ask(&format!("CLIENT UNBLOCK {} ERROR", id.trim_start_matches(':')));
        assert!(blocked.read().is_error());
        failures(&mut wire)
    });
    let [redis, ours] = told;
    assert_eq!(ours, redis);
}
