//! Reads and orders while replicas are behind: the real binary, asked over the wire.

use crate::support::{BOTH, Server, Value, Wire, ok, order, until, words};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

const LISTENER: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";

fn config(text: &str) -> Server {
    Server::entourage_with_config(&format!("{LISTENER}{text}"))
}

fn explained(wire: &mut Wire, line: &str) -> Vec<String> {
    wire.ask(&format!("PROXY EXPLAIN {line}")).list().iter().map(Value::string).collect()
}

/// How often this step of a ladder was taken.
fn steps_taken(wire: &mut Wire, step: &str) -> u64 {
    let stats = wire.ask("PROXY STATS").string();
    let start = format!("ladder_{step}:");
    let found = stats.lines().find_map(|it| it.strip_prefix(&start));
    found.unwrap_or_else(|| panic!("no {start} in {stats}")).parse().unwrap()
}

/// `n2` is resumed with much to apply, and told to become the master.
fn heir_with_much_to_do(server: &Server) -> Wire {
    let mut wire = server.dial();
    let members: Vec<String> = (0..3000).map(|it| format!("{it} m{it}")).collect();
    wire.ask(&format!("ZADD z {}", members.join(" ")));
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    order(&mut wire, &["n2"], "PAUSE");
    let copy = words(&["ZUNIONSTORE", "d", "1", "z"]);
    wire.pipeline(&vec![copy; 400]);
    order(&mut wire, &["n2"], "RESUME");
    wire.send(&[words(&["PROXY", "FAILOVER", "TO", "n2"])]);
    wire
}

#[test]
fn a_failover_of_a_replica_far_behind_keeps_no_other_client_waiting() {
    let server = Server::entourage(&["--threads", "1"]);
    let mut operator = heir_with_much_to_do(&server);
    let mut other = server.dial();
    assert_eq!(other.ask("PING").string(), "PONG");
    let nodes = other.ask("PROXY NODES").to_string();
    let master = nodes.find("\"master\"").expect("there is one");
    assert!(master < nodes.find("\"n2\"").unwrap(), "answered before the failover was: {nodes}");
    let told = operator.read().string();
    assert!(told.starts_with("OK paused-us="), "{told}");
    ok(&mut other, "SET a 1");
}

#[test]
fn a_pause_that_races_a_failover_is_refused_or_refuses_it() {
    let server = Server::entourage(&["--threads", "4"]);
    let mut operator = heir_with_much_to_do(&server);
    let mut other = server.dial();
    let paused = other.ask("PROXY NODE n2 PAUSE").string();
    let told = operator.read().string();
    match paused.as_str() {
        "OK" => {
            assert!(
                told.contains("n2 cannot take over: it is ") || told.starts_with("OK"),
                "{told}"
            )
        }
        refused => assert!(refused.ends_with("it is the master"), "{refused}"),
    }
    ok(&mut other, "SET a 1");
    assert_eq!(other.ask("GET a").string(), "1");
    assert!(!server.said().contains("panicked"), "{}", server.said());
}

#[test]
fn a_read_that_waits_is_not_overtaken_by_later_writes() {
    let server =
        config("[consistency]\nlevel = \"linearizable\"\non-lag = [\"wait 20s\", \"error\"]\n");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut wire = server.dial();
                let sets: Vec<_> =
                    (0..50).map(|it| words(&["SET", &format!("k{it}"), "x"])).collect();
                while !is_over.load(Relaxed) {
                    wire.pipeline(&sets);
                }
            });
        }
        let read = |level: &str| {
            let mut wire = server.dial();
            ok(&mut wire, &format!("PROXY CONSISTENCY {level}"));
            (0..1500).filter(|_| wire.ask("GET k1").is_error()).count()
        };
        let late = ["linearizable", "global"].map(read);
        is_over.store(true, Relaxed);
        assert_eq!(late, [0, 0], "each had its floor long before its time was over");
    });
    assert!(0 < steps_taken(&mut server.dial(), "wait"), "they did wait");
}

const LADDERS: &str = r#"
[[route]]
name = "other"
keys = ["other:*"]
on-lag = ["other-replica", "error"]

[[route]]
name = "brief"
keys = ["brief:*"]
on-lag = ["wait 5ms", "error"]

[[route]]
name = "careless"
keys = ["careless:*"]
on-lag = ["stale"]
"#;

#[test]
fn every_step_of_a_ladder_is_counted_once_for_each_read_that_takes_it() {
    let server =
        Server::entourage_with_config(&format!("[server]\nthreads = 1\n{LISTENER}{LADDERS}"));
    let mut wire = server.dial();
    let told = explained(&mut wire, "GET other:1");
    let preferred = told.iter().find(|it| it.ends_with(" preferred"));
    let preferred = preferred.expect("one replica is preferred").split(' ').nth(1).unwrap();
    order(&mut wire, &[preferred], "PAUSE");
    ok(&mut wire, "SET other:1 here");
    assert_eq!(wire.ask("WAIT 1 0").int(), Some(1));
    assert_eq!(wire.ask("GET other:1").string(), "here");
    let told = explained(&mut wire, "GET other:1");
    assert!(told.last().unwrap().starts_with("because other-replica: "), "{told:?}");
    order(&mut wire, BOTH, "PAUSE");
    for key in ["other:1", "brief:1", "careless:1", "plain"] {
        ok(&mut wire, &format!("SET {key} 2"));
    }
    let refused = wire.ask("GET other:1").string();
    assert!(
        refused.starts_with("LAGGED ") && refused.contains(" bytes behind: try again"),
        "{refused}"
    );
    assert!(wire.ask("GET brief:1").is_error());
    assert!(wire.ask("GET careless:1").is_nil());
    assert_eq!(wire.ask("GET plain").string(), "2");
    let steps = ["catch-up", "other-replica", "wait", "master", "error", "stale"];
    assert_eq!(steps.map(|it| steps_taken(&mut wire, it)), [0, 1, 1, 1, 2, 1]);
    assert_eq!(steps_taken(&mut wire, "master{route=default,member=n1}"), 1);
    assert_eq!(steps_taken(&mut wire, "error{route=brief,member=-}"), 1);
}

#[test]
fn a_wait_that_cannot_help_is_not_waited_for() {
    let server =
        config("[consistency]\nlevel = \"bounded 1ms\"\non-lag = [\"wait 1h\", \"master\"]\n");
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    order(&mut wire, BOTH, "PAUSE");
    until("a millisecond to pass", || {
        let told = explained(&mut wire, "GET a");
        told.last().unwrap().starts_with("because waiting: ").then_some(())
    });
    // What a replica was about to say when it was paused may still make it fresh, for the first.
    until("the master to be asked", || {
        assert_eq!(wire.ask("GET a").string(), "1", "the replicas have all, and are too old");
        (steps_taken(&mut wire, "master") == 1).then_some(())
    });
    assert_ne!(steps_taken(&mut wire, "wait"), 0);
}

#[test]
fn sticky_for_keeps_a_session_at_the_master_for_a_while_and_no_other() {
    let server = config(
        "[[route]]\nname = \"mine\"\nkeys = [\"mine:*\"]\nsticky-for = \"1m\"\n\n\
                         [[route]]\nname = \"brief\"\nkeys = [\"brief:*\"]\nsticky-for = \"20ms\"\n",
    );
    let mut wire = server.dial();
    let because = |wire: &mut Wire, key: &str| {
        explained(wire, &format!("GET {key}"))
            .last()
            .unwrap()
            .split(": ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(because(&mut wire, "mine:1"), "because fresh-preferred");
    ok(&mut wire, "SET mine:1 a");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    assert_eq!(because(&mut wire, "mine:1"), "because sticky-for");
    assert_eq!(
        because(&mut wire, "plain"),
        "because fresh-preferred",
        "the route says so, not the session"
    );
    assert_eq!(because(&mut server.dial(), "mine:1"), "because fresh-preferred");
    until("20 ms to pass", || {
        (because(&mut wire, "brief:1") == "because fresh-preferred").then_some(())
    });
}

/// Asks one connection after the other, so that members take turns, until the cursor is back at 0.
fn scanned(wires: &mut [Wire], before: &[&str], after: &[&str], step: usize) -> HashSet<String> {
    let (mut cursor, mut turn, mut seen) = ("0".to_owned(), 0, HashSet::new());
    loop {
        let mut line = before.to_vec();
        line.push(&cursor);
        line.extend(after);
        let count = wires.len();
        let told = wires[turn % count].cmd(&line);
        seen.extend(told.list()[1].list().iter().step_by(step).map(Value::string));
        cursor = told.list()[0].string();
        turn += 1;
        if cursor == "0" {
            return seen;
        }
    }
}

#[test]
fn a_scan_that_changes_members_misses_nothing_that_was_there_all_along() {
    let server = Server::entourage(&["--threads", "4"]);
    let mut wire = server.dial();
    let sets: Vec<_> = (0..2000).map(|it| words(&["SET", &format!("stays{it}"), "x"])).collect();
    let fields = (0..2000).map(|it| words(&["HSET", "h", &format!("stays{it}"), "x"]));
    wire.pipeline(&sets);
    wire.pipeline(&fields.collect::<Vec<_>>());
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| churn(&server, &is_over));
        scope.spawn(|| {
            let mut operator = server.dial();
            for name in ["n2", "n3", "n1"].iter().cycle() {
                if is_over.load(Relaxed) {
                    return;
                }
                operator.ask(&format!("PROXY FAILOVER TO {name}"));
                operator.ask("PING");
            }
        });
        let mut wires: Vec<Wire> = (0..7).map(|_| server.dial()).collect();
        wires.iter_mut().for_each(|it| ok(it, "PROXY CONSISTENCY eventual"));
        for _ in 0..6 {
            let keys = scanned(&mut wires, &["SCAN"], &["COUNT", "50"], 1);
            let fields = scanned(&mut wires, &["HSCAN", "h"], &["COUNT", "50"], 2);
            let missed = |seen: &HashSet<String>| {
                (0..2000).filter(|it| !seen.contains(&format!("stays{it}"))).count()
            };
            assert_eq!((missed(&keys), missed(&fields)), (0, 0));
        }
        is_over.store(true, Relaxed);
    });
}

/// Keys and fields come and go, many at a time, so that tables grow and shrink.
fn churn(server: &Server, is_over: &AtomicBool) {
    let mut wire = server.dial();
    while !is_over.load(Relaxed) {
        for (set, hash) in [("SET", "HSET"), ("DEL", "HDEL")] {
            let of = |it: usize| {
                let name = format!("goes{it}");
                let value: &[&str] = if set == "SET" { &["x"] } else { &[] };
                let key = words(&[&[set, name.as_str()], value].concat());
                [key, words(&[&[hash, "h", name.as_str()], value].concat())]
            };
            (0..6000).step_by(500).for_each(|from| {
                wire.pipeline(&(from..from + 500).flat_map(of).collect::<Vec<_>>());
            });
        }
    }
}
