//! MULTI/EXEC of reads alone: one read at one member, at one offset, where its route's level lets it.

use crate::support::{BOTH, Server, Value, Wire, info_field, ok, order, starts, until_blocked};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

const LISTENER: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";

fn config(text: &str) -> Server {
    Server::entourage_with_config(&format!("{LISTENER}{text}"))
}

/// The answers of a transaction.
fn exec(wire: &mut Wire, lines: &[&str]) -> Value {
    ok(wire, "MULTI");
    lines.iter().for_each(|it| assert_eq!(wire.ask(it).string(), "QUEUED"));
    wire.ask("EXEC")
}

/// Why the last command went where it did, and the member.
fn last(wire: &mut Wire) -> (String, String) {
    let told = wire.ask("PROXY LAST");
    let field = |name: &str| {
        told.list().chunks(2).find(|it| it[0].string() == name).expect("a field")[1].string()
    };
    (field("because"), field("member"))
}

fn at_replicas(wire: &mut Wire) -> u64 {
    info_field(wire, "stats", "transactions_at_replicas").unwrap().parse().unwrap()
}

#[test]
fn reads_alone_go_to_a_replica_that_has_all_and_everything_else_to_the_master() {
    let server = config("[[route]]\nname = \"apart\"\nkeys = [\"apart:*\"]\n");
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    assert_eq!(exec(&mut wire, &["GET a", "STRLEN a", "LPOP a"]).list().len(), 3);
    assert_eq!(last(&mut wire).1, "n1", "one of them would write");
    for round in 0..100 {
        ok(&mut wire, &format!("SET a {round}"));
        assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
        let answers = exec(&mut wire, &["GET a", "LLEN a", "EXISTS a b"]);
        let [get, wrong, exists] = answers.list() else { panic!("{answers}") };
        assert_eq!((get.string(), exists.int()), (round.to_string(), Some(1)));
        starts(wrong, "WRONGTYPE ");
        let (because, member) = last(&mut wire);
        assert_ne!(member, "n1", "{because}");
    }
    assert_eq!(at_replicas(&mut wire), 100);
    // Whoever watches must ask the master, and what is on two routes has two levels.
    ok(&mut wire, "WATCH a");
    exec(&mut wire, &["GET a"]);
    assert_eq!(last(&mut wire), ("transaction".to_owned(), "n1".to_owned()));
    exec(&mut wire, &["GET a", "GET apart:1"]);
    assert_eq!(last(&mut wire).1, "n1");
    exec(&mut wire, &["GET a", "PING"]);
    assert_eq!(last(&mut wire).1, "n1");
    ok(&mut wire, "PROXY CONSISTENCY master");
    assert_eq!(exec(&mut wire, &["GET a"]).to_string(), "[\"99\"]");
    assert_eq!(last(&mut wire), ("asked-master".to_owned(), "n1".to_owned()));
    assert_eq!(at_replicas(&mut wire), 100);
    let told = wire.ask("PROXY EXPLAIN EXEC");
    assert!(told.list()[1].string().starts_with("of reads alone "), "{told}");
}

/// A writer changes two keys at once; who reads both at once finds them equal, however stale.
#[test]
fn all_reads_of_one_are_of_one_offset() {
    let server = config("");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut wire = server.dial();
            for round in 0.. {
                if stop.load(Relaxed) {
                    break;
                }
                exec(&mut wire, &[&format!("SET a {round}"), &format!("SET b {round}")]);
            }
        });
        let mut wire = server.dial();
        ok(&mut wire, "PROXY CONSISTENCY eventual");
        for _ in 0..3000 {
            let answers = exec(&mut wire, &["GET a", "GET b"]);
            assert_eq!(answers.list()[0].to_string(), answers.list()[1].to_string());
        }
        stop.store(true, Relaxed);
        assert!(2000 < at_replicas(&mut wire), "most were read at replicas");
    });
}

#[test]
fn it_climbs_its_ladder_and_is_served_in_its_turn() {
    let server = config("[consistency]\nlevel = \"sticky\"\non-lag = [\"wait 1h\", \"error\"]\n");
    let (mut wire, mut operator) = (server.dial(), server.dial());
    order(&mut operator, BOTH, "PAUSE");
    ok(&mut wire, "SET a 1");
    wire.send_raw(b"MULTI\r\nGET a\r\nSTRLEN a\r\nEXEC\r\nPING\r\nMULTI\r\nGET a\r\nEXEC\r\n");
    until_blocked(&mut operator, 1);
    order(&mut operator, BOTH, "RESUME");
    let told: Vec<String> = wire.read_many(8).iter().map(ToString::to_string).collect();
    let expected =
        ["+OK", "+QUEUED", "+QUEUED", "[\"1\", :1]", "+PONG", "+OK", "+QUEUED", "[\"1\"]"];
    assert_eq!(told, expected);
}

/// What runs long for one client keeps nobody from the master.
#[test]
fn a_long_one_holds_up_no_write() {
    let server = config("");
    let (mut wire, mut other) = (server.dial(), server.dial());
    let members: Vec<String> = (0..200_000).map(|it| it.to_string()).collect();
    for part in members.chunks(10_000) {
        wire.ask(&format!("SADD s {}", part.join(" ")));
    }
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    ok(&mut wire, "MULTI");
    (0..10).for_each(|_| assert_eq!(wire.ask("SORT_RO s LIMIT 0 1").string(), "QUEUED"));
    wire.send_raw(b"EXEC\r\n");
    let mut written = 0;
    while !wire.has_input() {
        ok(&mut other, &format!("SET k {written}"));
        written += 1;
    }
    assert_eq!(wire.read().list().len(), 10);
    assert_ne!(last(&mut wire).1, "n1");
    assert!(10 < written, "{written} writes while it ran");
}

#[test]
fn an_exec_with_what_only_looks_is_one_step() {
    for looks in ["INFO", "CONFIG GET maxmemory", "ROLE", "MEMORY STATS", "PROXY NODES"] {
        let server = config("");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut wire = server.dial();
                for round in 0..150 {
                    let (a, b) = (format!("SET a {round}"), format!("SET b {round}"));
                    exec(&mut wire, &[&a, looks, &b]);
                }
                stop.store(true, Relaxed);
            });
            let mut wire = server.dial();
            ok(&mut wire, "PROXY CONSISTENCY master");
            while !stop.load(Relaxed) {
                let both = wire.ask("MGET a b");
                let [a, b] = both.list() else { panic!("{both}") };
                assert_eq!(a.to_string(), b.to_string(), "{looks} lets others see half of it");
            }
        });
    }
}
