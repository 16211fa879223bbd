//! A role that is handed over on purpose in front of real servers: clients hear of no error, nothing
//! is lost, and when it cannot be done in time all goes on as before.

mod support;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use support::upstream::{node_field, states, until_linked};
use support::{Kind, RealSet, Relay, Wire, info_field, ok, starts, until, words};

const CONFIG: &str = "[consistency]\nlevel = \"sticky\"\n[upstream]\nprobe-every = \"100ms\"\n";

/// Sets its flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Writes and reads what it has written, alone, in pipelines, in transactions and with WAIT, until it
/// is told to end; nothing of that is an error, or old. Answers how often it has counted.
fn client(port: u16, number: usize, is_over: &AtomicBool) -> i64 {
    let mut wire = Wire::dial(port).expect("a connection");
    let key = format!("n{number}");
    let mut count = 0;
    let counted = |count: &mut i64, told: Option<i64>| {
        *count += 1;
        assert_eq!(told, Some(*count), "client {number}");
    };
    while !is_over.load(Relaxed) {
        let reply = wire.cmd(&["INCR", &key]);
        assert!(reply.int().is_some(), "{reply:?}");
        counted(&mut count, reply.int());
        assert_eq!(wire.cmd(&["GET", &key]).string(), count.to_string());
        let batch: Vec<_> = (0..8).map(|_| words(&["INCR", &key])).collect();
        for reply in wire.pipeline(&batch) {
            assert!(reply.int().is_some(), "{reply:?}");
            counted(&mut count, reply.int());
        }
        ok(&mut wire, "MULTI");
        wire.cmd(&["INCR", &key]);
        let reply = wire.ask("EXEC");
        counted(&mut count, reply.list()[0].int());
        let acked = wire.ask("WAIT 1 5000");
        assert!(acked.int().is_some(), "{acked:?}");
    }
    count
}

#[test]
fn a_switchover_is_heard_by_nobody() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let proxy = set.proxy(CONFIG);
        let is_over = AtomicBool::new(false);
        let counts = thread::scope(|scope| {
            let (port, is_over) = (proxy.port(), &is_over);
            let _ending = Over(is_over);
            let clients: Vec<_> =
                (0..4).map(|it| scope.spawn(move || client(port, it, is_over))).collect();
            let mut wire = proxy.dial();
            let mut reader = proxy.dial();
            for to in [2, 3, 1, 2] {
                let reply = until("the replica to follow whoever is master now", || {
                    let reply = wire.ask(&format!("PROXY FAILOVER TO n{to} TIMEOUT 20000"));
                    let reply = reply.string();
                    let is_early = reply.contains("does not know it as a replica")
                        || reply.contains("cannot take over: it is link-down");
                    (!is_early).then_some(reply)
                });
                println!("{kind:?} to n{to}: {reply}");
                let is_done = reply.starts_with("OK paused-us=") && !reply.contains("by-hand");
                assert!(is_done, "{reply}");
                assert_eq!(states(&mut wire)[to - 1], "master");
                until("the others to follow", || {
                    let states = states(&mut wire);
                    (states.iter().filter(|it| *it == "replica").count() == 2).then_some(())
                });
                let before = reader.ask("GET n0").string();
                until("more to be counted", || {
                    (reader.ask("GET n0").string() != before).then_some(())
                });
                assert!(clients.iter().all(|it| !it.is_finished()), "nobody hears of an error");
            }
            is_over.store(true, Relaxed);
            clients.into_iter().map(|it| it.join().expect("no error")).collect::<Vec<_>>()
        });
        // All others follow the last one directly.
        for it in [0, 2] {
            let port = info_field(&mut set.members[it].dial(), "replication", "master_port");
            assert_eq!(port, Some(set.members[1].port().to_string()));
        }
        for (number, count) in counts.iter().enumerate() {
            let told = set.members[1].dial().ask(&format!("GET n{number}")).string();
            assert_eq!(told, count.to_string(), "of client {number}");
        }
        assert_eq!(node_field(&mut proxy.dial(), 1, "role"), "master");
    }
}

#[test]
fn what_takes_too_long_is_given_up_and_writes_go_on() {
    for kind in Kind::all() {
        let mut set = RealSet::new(kind, 0, &[]);
        let relay = Relay::to(set.members[0].port());
        let port = relay.port().to_string();
        set.members.push(kind.server(&["--replicaof", "127.0.0.1", &port]));
        until_linked(&set.members[1]);
        let proxy = set.proxy(CONFIG);
        let mut wire = proxy.dial();
        ok(&mut wire, "SET k v");
        // What is written from here on does not come there.
        relay.stall(true);
        ok(&mut wire, "SET k w");
        let mut other = proxy.dial();
        wire.send(&[words(&["PROXY", "FAILOVER", "TO", "n2", "TIMEOUT", "700"])]);
        until("the pause", || {
            let info = set.members[0].dial().ask("INFO replication").string();
            info.contains("master_failover_state:waiting-for-sync").then_some(())
        });
        ok(&mut other, "SET k x");
        starts(&wire.read(), "REFUSEDORDER n2 cannot take over: it has not got everything in time");
        assert_eq!(states(&mut wire)[0], "master");
        assert_eq!(other.ask("GET k").string(), "x");
        relay.stall(false);
        until("it to be given the role", || {
            wire.ask("PROXY FAILOVER TO n2").string().starts_with("OK").then_some(())
        });
        assert_eq!(other.ask("GET k").string(), "x");
    }
}

#[test]
fn who_cannot_take_over_is_refused_before_anything_waits() {
    let mut set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy(CONFIG);
    let mut wire = proxy.dial();
    starts(&wire.ask("PROXY FAILOVER TO n1"), "REFUSEDORDER n1 cannot take over: it is the master");
    starts(&wire.ask("PROXY FAILOVER TO n9"), "NOSUCHMEMBER");
    starts(&wire.ask("PROXY FAILOVER n2"), "ERR write PROXY FAILOVER TO");
    starts(&wire.ask("PROXY FAILOVER TO n2 TIMEOUT 0"), "ERR");
    set.members.pop().expect("a replica").crash();
    until("it to be gone", || (states(&mut wire)[2] == "unreachable").then_some(()));
    starts(
        &wire.ask("PROXY FAILOVER TO n3"),
        "REFUSEDORDER n3 cannot take over: it is unreachable",
    );
    // Who watched something at the old master is told by nil, as if somebody had written it.
    ok(&mut wire, "WATCH k");
    let mut other = proxy.dial();
    assert!(other.ask("PROXY FAILOVER TO n2").string().starts_with("OK"));
    ok(&mut wire, "MULTI");
    wire.ask("SET k v");
    assert!(wire.ask("EXEC").is_nil());
    ok(&mut wire, "SET k v");
}
