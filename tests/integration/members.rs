//! What becomes of clients when members are paused, disconnected, drained, added and replaced: the real
//! binary, asked over the wire.

use crate::support::{BOTH, Server, Value, WORKERS, Wire, node, ok, order, starts, until};
use entourage::base::position::Position;
use entourage::session::TokenSigner;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Replicas stand still, having applied all that was written before.
fn paused(extra: &[&str]) -> (Server, Wire) {
    let server = Server::entourage(extra);
    let mut wire = server.dial();
    order(&mut wire, BOTH, "PAUSE");
    (server, wire)
}

fn config(text: &str) -> Server {
    let listener = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";
    Server::entourage_with_config(&format!("{listener}{text}"))
}

#[test]
fn a_paused_replica_past_its_bound_is_disconnected_serves_nothing_and_resyncs_when_resumed() {
    let server = config("[set]\nreplica-feed-limit = \"1mb\"\n");
    server.disconnects_replicas();
    let mut wire = server.dial();
    order(&mut wire, &["n2"], "PAUSE");
    let value = "x".repeat(64 << 10);
    for at in 0..64 {
        ok(&mut wire, &format!("SET k{at} {value}"));
    }
    let gone = node(&mut wire, "n2");
    assert_eq!(gone["state"].string(), "paused,unsynced");
    let feed = gone["feed"].string();
    assert_eq!((feed.as_str(), gone["in-service"].int()), ("disconnected", Some(0)));
    assert!(server.said().contains("event=replica-disconnected member=n2 why=feed-limit"));
    assert_eq!(node(&mut wire, "n3")["state"].string(), "ok", "the others go on");
    for at in 0..64 {
        let mut other = server.dial();
        assert_eq!(other.ask(&format!("STRLEN k{at}")).int(), Some(64 << 10));
    }
    let told = wire.ask("PROXY EXPLAIN GET k1").to_string();
    assert!(told.contains("out-of-service paused"), "{told}");

    order(&mut wire, &["n2"], "RESUME");
    until("a full resync", || {
        let it = node(&mut wire, "n2");
        (it["state"].string() == "ok" && it["lag-bytes"].int() == Some(0)).then_some(())
    });
    assert_eq!(node(&mut wire, "n2")["full-resyncs"].int(), Some(1));
    order(&mut wire, &["n3"], "DRAIN");
    assert_eq!(server.dial().ask("STRLEN k63").int(), Some(64 << 10), "n2 has it all");
}

#[test]
fn one_write_longer_than_the_bound_disconnects_no_replica_that_had_everything_before() {
    let server = config(
        "[set]\nreplica-feed-limit = \"1mb\"\n[consistency]\nacks = \"in-sync\"\nacks-timeout = \"20s\"\n",
    );
    let mut wire = server.dial();
    for at in 0..5 {
        let value = char::from(b'a' + at).to_string().repeat(4 << 20);
        assert_eq!(wire.ask(&format!("APPEND big{at} x")).int(), Some(1));
        assert_eq!(wire.cmd(&["APPEND", &format!("big{at}"), &value]).int(), Some(1 + (4 << 20)));
    }
    for name in BOTH {
        let it = node(&mut wire, name);
        assert_eq!((it["full-resyncs"].int(), it["feed"].string().as_str()), (Some(0), "online"));
    }
    assert!(!server.said().contains("event=replica-disconnected"), "{}", server.said());
    let told = wire.ask("INFO replication").string();
    let kept = told.lines().find_map(|it| it.strip_prefix("repl_backlog_histlen:"));
    assert!(kept.unwrap().trim().parse::<u64>().unwrap() < 3 << 20, "{told}");
}

#[test]
fn a_paused_replica_within_its_bound_goes_on_where_it_stopped() {
    let (_server, mut wire) = paused(&[]);
    ok(&mut wire, "SET a 1");
    assert!(0 < node(&mut wire, "n2")["lag-bytes"].int().unwrap());
    order(&mut wire, BOTH, "RESUME");
    until("n2 to have all", || (node(&mut wire, "n2")["lag-bytes"].int() == Some(0)).then_some(()));
    assert_eq!(node(&mut wire, "n2")["full-resyncs"].int(), Some(0));
}

#[test]
fn a_drained_replica_is_fed_and_serves_nothing() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    order(&mut wire, &["n2"], "DRAIN");
    let last = "REFUSEDORDER n3 is the last replica in service: without it all reads go to the master; \
                write DRAIN FORCE if that is meant";
    assert_eq!(wire.ask("PROXY NODE n3 DRAIN").string(), last);
    order(&mut wire, &["n3"], "DRAIN FORCE");
    assert!(server.said().contains("event=no-replica-in-service last=n3"), "{}", server.said());
    assert_eq!(node(&mut wire, "n3")["state"].string(), "drained");
    let told = wire.ask("PROXY EXPLAIN GET a").to_string();
    assert!(told.contains("chosen n1") && told.contains("because no-replicas"), "{told}");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2), "they apply all the same");
    assert_eq!(wire.ask("GET a").string(), "1");
    order(&mut wire, BOTH, "UNDRAIN");
    let told = wire.ask("PROXY EXPLAIN GET a").to_string();
    assert!(told.contains("because fresh-preferred"), "{told}");
}

#[test]
fn orders_that_make_no_sense_are_refused_with_a_reason() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    starts(
        &wire.ask("PROXY NODE n1 PAUSE"),
        "REFUSEDORDER n1 does not take that order: it is the master",
    );
    starts(
        &wire.ask("PROXY NODE n1 DRAIN"),
        "REFUSEDORDER n1 does not take that order: it is the master",
    );
    starts(&wire.ask("PROXY NODE n9 PAUSE"), "NOSUCHMEMBER no such member; there are n1, n2, n3");
    starts(
        &wire.ask("PROXY NODE n2 JUMP"),
        "ERR an order is PAUSE, RESUME, DRAIN, UNDRAIN or REMOVE",
    );
    starts(&wire.ask("PROXY NODE n2"), "ERR an order is PAUSE, RESUME, DRAIN, UNDRAIN or REMOVE");
    starts(&wire.ask("PROXY FAILOVER TO n1"), "REFUSEDORDER n1 cannot take over: it is the master");
    order(&mut wire, &["n2"], "PAUSE");
    starts(&wire.ask("PROXY FAILOVER TO n2"), "REFUSEDORDER n2 cannot take over: it is paused");
    for words in ["", " FROM n2", " n2", " TO", " TO n2 n3"] {
        let told = wire.ask(&format!("PROXY FAILOVER{words}"));
        starts(&told, "ERR write PROXY FAILOVER TO and a name, like n2");
    }
    order(&mut wire, &["n3"], "DRAIN");
    starts(&wire.ask("PROXY FAILOVER TO n3"), "REFUSEDORDER n3 cannot take over: it is drained");
    assert_eq!(node(&mut wire, "n3")["state"].string(), "drained", "nothing has changed");
    starts(
        &wire.ask("PROXY NODE n1 REMOVE"),
        "REFUSEDORDER n1 does not take that order: it is the master",
    );
    starts(&wire.ask("PROXY NODE n2 REMOVE NOW"), "ERR syntax error");
    starts(&wire.ask("PROXY NOPE"), "ERR unknown subcommand 'NOPE'. Try PROXY HELP.");
}

#[test]
fn a_replica_that_is_removed_is_gone_and_can_be_added_again() {
    let server = config(
        "[set]\nreplicas = 2\n[consistency]\nacks = \"all\"\nacks-timeout = \"60s\"\n\
         on-lag = [\"wait 60s\", \"error\"]\n",
    );
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    order(&mut wire, BOTH, "PAUSE");
    let (mut writer, mut reader, mut waiter) = (server.dial(), server.dial(), server.dial());
    writer.send_raw(b"SET a 2\r\n");
    until("the write", || {
        let head = node(&mut wire, "n1")["offset"].int();
        (head != node(&mut wire, "n2")["offset"].int()).then_some(())
    });
    reader.send_raw(b"PROXY CONSISTENCY global\r\nGET a\r\n");
    waiter.send_raw(b"WAIT 1 60000\r\n");
    assert_eq!(reader.read().string(), "OK");
    order(&mut wire, &["n2"], "REMOVE");
    let names = |wire: &mut Wire| wire.ask("PROXY NODES").to_string();
    assert!(!names(&mut wire).contains("n2"), "{}", names(&mut wire));
    starts(&wire.ask("PROXY NODE n2 PAUSE"), "NOSUCHMEMBER no such member; there are n1, n3");
    starts(&wire.ask("PROXY ONCE AT n2 DO GET a"), "NOSUCHMEMBER no such member; there are n1, n3");
    let told = wire.ask("INFO replication").string();
    assert!(
        told.contains("hosted0:") && !told.contains("hosted1:") && !told.contains("name=n2"),
        "{told}"
    );
    assert!(!wire.ask("PROXY EXPLAIN GET a").to_string().contains("n2"));
    let last = "REFUSEDORDER n3 is the last replica in service: without it all reads go to the master; \
                write REMOVE FORCE if that is meant";
    assert_eq!(wire.ask("PROXY NODE n3 REMOVE").string(), last);
    // Who waits for all of them waits for the one that is left, and so does the read.
    order(&mut wire, &["n3"], "RESUME");
    assert_eq!((writer.read().string(), reader.read().string()), ("OK".into(), "2".into()));
    // It has written nothing: whoever is there when it asks counts.
    assert!(matches!(waiter.read().int(), Some(1 | 2)));

    assert_eq!(wire.ask("PROXY NODE ADD ZONE b").string(), "n2");
    until("n2 to serve", || {
        let it = node(&mut wire, "n2");
        (it["in-service"].int() == Some(1) && it["lag-bytes"].int() == Some(0)).then_some(())
    });
    assert_eq!(node(&mut wire, "n2")["zone"].string(), "b");
    assert_eq!(wire.ask("PROXY ONCE AT n2 DO GET a").string(), "2");
    order(&mut wire, &["n3"], "REMOVE");
    order(&mut wire, &["n2"], "REMOVE FORCE");
    ok(&mut wire, "SET a 3");
    assert_eq!(wire.ask("GET a").string(), "3");
    assert_eq!(wire.ask("PROXY NODE ADD").string(), "n2");
    starts(&wire.ask("PROXY NODE ADD NAME n3"), "n3");
    until("both to serve", || (wire.ask("WAIT 2 100").int() == Some(2)).then_some(()));
}

#[test]
fn replicas_are_removed_and_added_under_load_without_an_error_or_a_stale_read() {
    let server = Server::entourage(&[]);
    let is_over = AtomicBool::new(false);
    let port = server.port();
    let counted = thread::scope(|scope| {
        let is_over = &is_over;
        let client = |own| scope.spawn(move || count(port, own, is_over));
        let clients: Vec<_> = (0..2).map(client).collect();
        let mut wire = server.dial();
        for _ in 0..20 {
            for name in BOTH {
                order(&mut wire, &[name], "REMOVE");
                assert_eq!(wire.ask(&format!("PROXY NODE ADD NAME {name}")).string(), *name);
                until("it to serve", || {
                    (node(&mut wire, name)["in-service"].int() == Some(1)).then_some(())
                });
            }
        }
        is_over.store(true, Relaxed);
        clients.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(counted.iter().all(|it| 0 < *it), "{counted:?}");
}

#[test]
fn failovers_under_load_cost_no_error_and_no_stale_read() {
    WORKERS.iter().for_each(|it| fail_over_under_load(it));
}

fn fail_over_under_load(workers: &str) {
    let server = Server::entourage(&["--threads", workers]);
    let is_over = AtomicBool::new(false);
    let port = server.port();
    let counted = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|it| {
                scope.spawn({
                    let is_over = &is_over;
                    move || count(port, it, is_over)
                })
            })
            .collect();
        let mut wire = server.dial();
        for turn in 0..20 {
            let name = ["n2", "n3", "n1"][turn % 3];
            starts(&wire.ask(&format!("PROXY FAILOVER TO {name}")), "OK paused-us=");
            for _ in 0..20 {
                wire.ask("PING");
            }
        }
        is_over.store(true, Relaxed);
        clients.into_iter().map(|it| it.join().expect("no error, nothing stale")).sum::<i64>()
    });
    let mut wire = server.dial();
    let stats = wire.ask("PROXY STATS").string();
    let pauses = stats.lines().find_map(|it| it.strip_prefix("failover_pause_us:count=20,"));
    println!(
        "20 failovers at {workers} workers held writers for, in µs: {}",
        pauses.expect("each was measured")
    );
    ok(&mut wire, "PROXY CONSISTENCY linearizable");
    assert_eq!(wire.ask("GET total").string(), counted.to_string(), "no write twice, none lost");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
}

/// Counts up on a key of its own and on one of all, reading what it wrote. Answers how often.
fn count(port: u16, own: usize, is_over: &AtomicBool) -> i64 {
    let mut wire = Wire::dial(port).expect("a connection");
    let mut counted = 0;
    while !is_over.load(Relaxed) {
        counted += 1;
        assert_eq!(wire.ask(&format!("INCR own{own}")).int(), Some(counted));
        assert_eq!(wire.ask(&format!("GET own{own}")).string(), counted.to_string());
        let total = wire.ask("INCR total").int().expect("no error");
        let seen: i64 = wire.ask("GET total").string().parse().expect("a number");
        assert!(total <= seen);
    }
    counted
}

#[test]
fn an_added_replica_syncs_serves_and_can_become_the_master() {
    WORKERS.iter().for_each(|it| add_replica_and_fail_over(it));
}

fn add_replica_and_fail_over(workers: &str) {
    let server = Server::entourage(&["--threads", workers]);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("PROXY NODE ADD").string(), "n4");
    until("n4 to be synced", || (node(&mut wire, "n4")["state"].string() == "ok").then_some(()));
    // One pipeline, planned with a member list that is older than the new master.
    let lines = ["PROXY FAILOVER TO n4", "SET b 2", "GET a", "GET b"];
    let lines: Vec<_> =
        lines.iter().map(|it| crate::support::words(&it.split(' ').collect::<Vec<_>>())).collect();
    let replies = wire.pipeline(&lines);
    starts(&replies[0], "OK paused-us=");
    let rest: Vec<String> = replies[1..].iter().map(Value::string).collect();
    assert_eq!(rest, ["OK", "1", "2"]);
    assert_eq!(node(&mut wire, "n4")["role"].string(), "master");
    assert_eq!(node(&mut wire, "n1")["role"].string(), "replica");
    assert_eq!(wire.ask("WAIT 3 0").int(), Some(3));
}

#[test]
fn writes_are_refused_once_too_few_replicas_are_near_and_nothing_changes() {
    let server = config("[set]\nmin-replicas-to-write = 1\nmin-replicas-max-lag = \"40ms\"\n");
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    order(&mut wire, &["n2"], "PAUSE");
    ok(&mut wire, "SET a 2");
    order(&mut wire, &["n3"], "PAUSE");
    until("a refusal", || wire.ask("SET b 1").is_error().then_some(()));
    assert_eq!(wire.ask("INCR a").to_string(), "-NOREPLICAS Not enough good replicas to write.");
    let told = wire.ask("PROXY EXPLAIN INCR a").to_string();
    assert!(told.contains("-NOREPLICAS"), "{told}");
    assert_eq!(wire.ask("GET a").string(), "2");
    order(&mut wire, &["n3"], "RESUME");
    until("a write to pass", || (!wire.ask("SET b 1").is_error()).then_some(()));
}

#[test]
fn a_session_is_told_when_it_asks_for_more_acks_than_there_are_replicas() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    assert_eq!(wire.ask("PROXY ACKS 2 100").string(), "OK");
    let told = wire.ask("PROXY ACKS 3 1").to_string();
    assert!(told.starts_with("+OK, but there are 2 replicas: until there are 3, every"), "{told}");
    starts(&wire.ask("SET a 1"), "NOTDURABLE");
    assert_eq!(wire.ask("PROXY NODE ADD").string(), "n4");
    assert_eq!(wire.ask("PROXY ACKS 3 1").string(), "OK");
    assert_eq!(wire.ask("PROXY ACKS 0").string(), "OK");
}

#[test]
fn a_paused_replica_that_lacks_nothing_does_not_lag() {
    let (server, mut wire) = paused(&[]);
    let lag = |wire: &mut Wire, field: &str| node(wire, "n2")[field].int().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!((lag(&mut wire, "lag-bytes"), lag(&mut wire, "lag-us")), (0, 0));
    ok(&mut wire, "SET a 1");
    crate::support::until_behind(&mut wire, BOTH, 20_000);
    drop(server);
}

#[test]
fn where_nobody_can_tell_how_old_a_replica_is_that_is_said() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET replica-feed-limit 1mb");
    order(&mut wire, &["n2"], "PAUSE");
    for _ in 0..3 {
        wire.cmd(&["SET", "a", &"x".repeat(1 << 20)]);
    }
    until("it to be cut off", || (node(&mut wire, "n2")["lag-us"].int() == Some(-1)).then_some(()));
    let text = wire.ask("PROXY NODES TEXT").string();
    assert!(text.contains("  lag-us        unknown\n"), "{text}");
    let told = wire.ask("PROXY EXPLAIN GET a").to_string();
    assert!(told.contains(" bytes, nobody can tell for how long in-flight "), "{told}");
}

#[test]
fn wait_counts_replicas_past_this_sessions_own_last_write() {
    let (server, mut wire) = paused(&[]);
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("WAIT 1 30").int(), Some(0), "both are paused");
    assert_eq!(server.dial().ask("WAIT 2 30").int(), Some(2), "a session that wrote nothing");
    order(&mut wire, &["n2"], "RESUME");
    assert_eq!(wire.ask("WAIT 1 0").int(), Some(1));
    assert_eq!(wire.ask("WAIT 2 30").int(), Some(1));
    order(&mut wire, &["n3"], "RESUME");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
}

#[test]
fn a_write_that_nobody_confirms_is_said_to_be_applied_and_not_durable() {
    let (_server, mut wire) = paused(&[]);
    assert_eq!(wire.ask("PROXY ACKS").list()[0].string(), "0");
    ok(&mut wire, "PROXY ACKS 1 30");
    assert_eq!(wire.ask("PROXY ACKS").to_string(), "[\"1\", :30]");
    let refused = wire.ask("INCR a");
    starts(&refused, "NOTDURABLE applied offset=");
    assert!(refused.string().contains(" acked=0/1: the write is done"), "{refused}");
    assert_eq!(wire.ask("GET a").string(), "1", "it has happened");
    ok(&mut wire, "PROXY ACKS all 30");
    order(&mut wire, &["n2"], "RESUME");
    starts(&wire.ask("INCR a"), "NOTDURABLE applied");
    order(&mut wire, &["n3"], "RESUME");
    ok(&mut wire, "PROXY ACKS all 0");
    assert_eq!(wire.ask("INCR a").int(), Some(3));
    ok(&mut wire, "PROXY ACKS 0");
    starts(
        &wire.ask("PROXY ACKS -1 5"),
        "ERR acks is a number of replicas, in-sync, all, or fsync",
    );
    starts(&wire.ask("PROXY ACKS 1 x"), "ERR the timeout is a number of milliseconds");
    starts(&wire.ask("PROXY ACKS 1"), "ERR a timeout in milliseconds is missing");
}

#[test]
fn a_token_carries_what_a_session_has_seen_to_another_connection() {
    let level = "[consistency]\nlevel = \"sticky\"\n";
    let server = config(&format!("[server]\ntoken-secret = \"as long as it must be\"\n{level}"));
    let mut wire = server.dial();
    order(&mut wire, BOTH, "PAUSE");
    ok(&mut wire, "SET a 1");
    let token = wire.ask("PROXY TOKEN").string();
    let mut other = server.dial();
    assert!(other.ask("GET a").is_nil(), "nothing told it to wait for the write");
    ok(&mut other, &format!("PROXY ATLEAST {token}"));
    assert_eq!(other.ask("GET a").string(), "1");

    let signer = TokenSigner::new(b"as long as it must be");
    let Position { replid, offset } = signer.open(token.as_bytes()).expect("our own token");
    let beyond = signer.sign(Position { replid, offset: offset.after(1000) });
    starts(
        &other.ask(&format!("PROXY ATLEAST {beyond}")),
        "UNKNOWNHISTORY the token is of another",
    );
    starts(&other.ask("PROXY ATLEAST nonsense"), "BADTOKEN that is not a token");
    order(&mut wire, BOTH, "RESUME");
    starts(&wire.ask("PROXY FAILOVER TO n2"), "OK");
    ok(&mut other, &format!("PROXY ATLEAST {token}"));
    starts(&other.ask(&format!("PROXY ATLEAST {beyond}")), "LOSTWRITE ");
    assert_eq!(other.ask("GET a").string(), "1", "and then it goes on");
    for name in ["n3", "n1", "n2"] {
        starts(&wire.ask(&format!("PROXY FAILOVER TO {name}")), "OK");
        ok(&mut other, &format!("PROXY ATLEAST {token}"));
    }
    let carried = other.ask("PROXY TOKEN").string();
    assert!(!carried.starts_with(&replid.to_string()), "the floor is of the new history");
}

#[test]
fn an_explanation_tells_all_that_was_weighed_and_changes_nothing() {
    let (_server, mut wire) = paused(&[]);
    ok(&mut wire, "SET a 1");
    let token = wire.ask("PROXY TOKEN");
    let lines = wire.ask("PROXY EXPLAIN GET a");
    let lines: Vec<String> = lines.list().iter().map(Value::string).collect();
    let offset = token.string().split(':').nth(1).unwrap().to_owned();
    assert_eq!(lines[..3], ["command get read", "route default (no rule matched)", "level global"]);
    assert_eq!(lines[3], format!("floor {offset} of every client of this proxy"));
    assert_eq!(lines[4], "ladder catch-up, master");
    assert_eq!(lines[5], format!("master n1 offset {offset}"));
    assert!(lines[6].starts_with(&format!("replica n2 offset 0 behind {offset} bytes, at most ")));
    assert!(lines[7].starts_with("replica n3 ") && lines[7].ends_with("paused"));
    assert_eq!(lines[8], "chosen n1");
    assert!(lines[9].starts_with("because master-on-lag: "));
    assert_eq!(wire.ask("PROXY TOKEN"), token);
    assert!(wire.ask("PROXY EXPLAIN SET a 2").to_string().contains("because write"));
    assert!(wire.ask("PROXY EXPLAIN PING").to_string().contains("by the proxy itself"));
    assert_eq!(wire.ask("GET a").string(), "1");
    starts(&wire.ask("PROXY EXPLAIN NOPE a"), "ERR unknown command 'NOPE'");
    starts(&wire.ask("PROXY EXPLAIN GET"), "ERR wrong number of arguments for 'get' command");
}

/// Trap 18: a key that is only read at replicas must not look cold at the master.
#[test]
fn the_master_hears_of_keys_that_replicas_see_used() {
    let server = Server::entourage(&["--threads", "1"]);
    let mut wire = server.dial();
    wire.ask("HSET hash field value");
    ok(&mut wire, &format!("SET text {}", "x".repeat(5000)));
    for (key, read) in [("hash", "HLEN hash"), ("text", "STRLEN text"), ("hash", "TOUCH hash")] {
        let payload = dump(&mut wire, key);
        restore_idle(&mut wire, key, &payload);
        let told = wire.ask(&format!("PROXY EXPLAIN {read}")).to_string();
        assert!(
            ["fresh-preferred", "catch-up"]
                .iter()
                .any(|it| told.contains(&format!("because {it}")))
        );
        until("the master to hear of it", || {
            assert!(!wire.ask(read).is_error());
            (idle(&mut wire, key) < 100).then_some(())
        });
    }
}

#[test]
fn a_transaction_s_read_is_no_use_of_a_key_in_the_database_that_a_replica_read_before() {
    let server = Server::entourage(&["--threads", "1"]);
    let mut wire = server.dial();
    wire.ask("HSET hash field value");
    let payload = dump(&mut wire, "hash");
    for db in [0, 3] {
        ok(&mut wire, &format!("SELECT {db}"));
        restore_idle(&mut wire, "hash", &payload);
    }
    assert!(wire.ask("GET other").is_nil());
    for (line, told) in
        [("SELECT 0", "OK"), ("MULTI", "OK"), ("HLEN hash", "QUEUED"), ("EXEC", "[:1]")]
    {
        assert_eq!(wire.ask(line).to_string().trim_matches('+'), told);
    }
    ok(&mut wire, "SELECT 3");
    assert!(1000 <= idle(&mut wire, "hash"));
}

fn dump(wire: &mut Wire, key: &str) -> Vec<u8> {
    match wire.ask(&format!("DUMP {key}")) {
        Value::Bulk(it) => it,
        other => panic!("{other}"),
    }
}

/// Puts a key there that has not been used for long.
fn restore_idle(wire: &mut Wire, key: &str, payload: &[u8]) {
    let restored =
        [&b"RESTORE"[..], key.as_bytes(), b"0", payload, b"REPLACE", b"IDLETIME", b"1000"];
    assert_eq!(wire.cmd(&restored).string(), "OK");
    assert!(1000 <= idle(wire, key), "{key} has not been used for long");
}

fn idle(wire: &mut Wire, key: &str) -> i64 {
    wire.ask(&format!("OBJECT IDLETIME {key}")).int().unwrap()
}

#[test]
fn each_level_keeps_its_promise_and_no_more() {
    let (server, mut writer) = paused(&[]);
    ok(&mut writer, "SET a 1");
    let sees = |level: &str| {
        let mut wire = server.dial();
        ok(&mut wire, &format!("PROXY CONSISTENCY {level}"));
        assert_eq!(wire.ask("PROXY CONSISTENCY").string(), level);
        !wire.ask("GET a").is_nil()
    };
    let levels = ["master", "linearizable", "global", "bounded 1b", "bounded 30s 1mb", "sticky"];
    assert_eq!(levels.map(sees), [true, true, true, true, false, false]);
    assert!(!sees("eventual"));
    assert!(until("the bound to pass", || sees("bounded 1ms").then_some(true)));
    ok(&mut writer, "PROXY CONSISTENCY eventual");
    assert!(writer.ask("GET a").is_nil(), "not even its own write");
    ok(&mut writer, "PROXY CONSISTENCY default");
    assert_eq!(writer.ask("PROXY CONSISTENCY").string(), "global");
    assert_eq!(writer.ask("GET a").string(), "1");
    starts(&writer.ask("PROXY CONSISTENCY quick"), "ERR a level is master, linearizable,");
}

const LADDERS: &str = r#"
[[route]]
name = "brief"
keys = ["brief:*"]
on-lag = ["wait 20ms", "error"]

[[route]]
name = "patient"
keys = ["patient:*"]
on-lag = ["wait 1m", "error"]

[[route]]
name = "strict"
keys = ["strict:*"]
on-lag = ["error"]

[[route]]
name = "careless"
keys = ["careless:*"]
on-lag = ["wait 1ms", "stale"]
"#;

#[test]
fn the_ladder_decides_when_all_replicas_are_paused() {
    let server = config(LADDERS);
    let mut wire = server.dial();
    order(&mut wire, BOTH, "PAUSE");
    for key in ["brief:1", "patient:1", "strict:1", "careless:1", "plain"] {
        ok(&mut wire, &format!("SET {key} here"));
    }
    starts(&wire.ask("GET strict:1"), "LAGGED no member is fresh enough, ");
    starts(&wire.ask("GET brief:1"), "LAGGED no member is fresh enough, ");
    assert!(wire.ask("GET careless:1").is_nil(), "stale, as was asked for");
    assert_eq!(wire.ask("GET plain").string(), "here", "the default ladder ends at the master");

    // A read that waits, and a neighbour behind it that must not overtake it.
    wire.send(&[crate::support::words(&["GET", "patient:1"]), crate::support::words(&["PING"])]);
    let mut operator = server.dial();
    order(&mut operator, BOTH, "RESUME");
    assert_eq!(wire.read().string(), "here");
    assert_eq!(wire.read().string(), "PONG");
}

#[test]
fn a_transaction_cannot_remove_a_member() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "MULTI");
    assert_eq!(wire.ask("PROXY NODE n3 REMOVE").string(), "QUEUED");
    assert_eq!(wire.ask("SET k v").string(), "QUEUED");
    let told = wire.ask("EXEC");
    starts(&told.list()[0], "ERR that takes its time, which a transaction cannot wait for");
    assert_eq!(told.list()[1].string(), "OK");
    assert_eq!(node(&mut wire, "n3")["role"].string(), "replica");
}

#[test]
fn a_panic_costs_one_client_one_error_and_a_replica_takes_over() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    starts(&wire.ask("DEBUG PANIC WRITE"), "ERR internal error");
    let mut other = server.dial();
    assert_eq!(other.ask("INCR a").int(), Some(2), "the next client notices nothing");
    assert_eq!(wire.ask("GET a").string(), "2");
    let broken = node(&mut wire, "n1");
    assert_eq!(broken["role"].string(), "replica");
    assert_eq!(broken["state"].string(), "quarantined,unsynced");
    assert_eq!(broken["in-service"].int(), Some(0));
    order(&mut wire, &["n1"], "RESUME");
    until("n1 to be synced", || (node(&mut wire, "n1")["state"].string() == "ok").then_some(()));
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
}
