//! A role that is handed over on purpose in front of real servers: clients hear of no error, nothing
//! is lost, and when it cannot be done in time all goes on as before.

use crate::support::upstream::{node_field, states, until_linked};
use crate::support::{
    Kind, RealSet, Relay, Server, Wire, info_field, ok, starts, until, within, words,
};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

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
        ok(&mut wire, &format!("WATCH {key}"));
        ok(&mut wire, "MULTI");
        wire.cmd(&["INCR", &key]);
        // Nil is as if somebody had written it: the switchover has come between.
        let reply = wire.ask("EXEC");
        if !reply.is_nil() {
            counted(&mut count, reply.list()[0].int());
        }
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
            until("a first count", || reader.ask("GET n0").text().map(|_| ()));
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

/// A master behind a relay, with one replica that follows it directly, or by another relay.
fn relayed(kind: Kind, replica_of: impl Fn(&RealSet) -> u16) -> (RealSet, Relay, String) {
    let mut set = RealSet::new(kind, 0, &[]);
    let relay = Relay::to(set.members[0].port());
    let port = replica_of(&set).to_string();
    set.members.push(kind.server(&["--replicaof", "127.0.0.1", &port]));
    until_linked(&set.members[1]);
    let listed = [relay.port(), set.members[1].port()]
        .map(|it| format!("[[member]]\naddress = \"127.0.0.1:{it}\"\n"))
        .concat();
    (set, relay, listed)
}

const PATIENT: &str = "[upstream]\nreplica-timeout = \"10s\"\n";

#[test]
fn an_order_that_the_master_reads_late_is_taken_back() {
    for kind in Kind::all() {
        let stream = std::cell::OnceCell::new();
        let (set, relay, listed) =
            relayed(kind, |set| stream.get_or_init(|| Relay::to(set.members[0].port())).port());
        let proxy = set.proxy_of(&listed, "[upstream]\nreplica-timeout = \"300ms\"\n");
        let mut wire = proxy.dial();
        // What is written from here on does not come to the replica, so the role cannot go there.
        let stream = stream.get().expect("it is made");
        stream.stall(true);
        ok(&mut wire, "SET k v");
        relay.hold("FAILOVER\r\n$2\r\nTO");
        wire.send(&[words(&["PROXY", "FAILOVER", "TO", "n2", "TIMEOUT", "600000"])]);
        until("the order", || relay.is_holding().then_some(()));
        starts(&wire.read(), "REFUSEDORDER n2 cannot take over: the master has not answered");
        // Nothing waits meanwhile, but nobody else may begin.
        ok(&mut wire, "SET k w");
        starts(&wire.ask("PROXY FAILOVER TO n2"), "REFUSEDORDER n2 cannot take over: another");
        relay.let_go();
        let mut theirs = set.members[0].dial();
        let calls = |wire: &mut Wire| {
            let told = wire.ask("INFO commandstats").string();
            let line = told.lines().find_map(|it| it.strip_prefix("cmdstat_failover:calls="));
            line.and_then(|it| it.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        until("the order to be read, and taken back", || {
            let info = theirs.ask("INFO replication").string();
            let is_over = info.contains("master_failover_state:no-failover");
            (2 <= calls(&mut theirs) && is_over).then_some(())
        });
        ok(&mut wire, "SET k x");
        stream.stall(false);
        until("it to be given the role", || {
            wire.ask("PROXY FAILOVER TO n2").string().starts_with("OK").then_some(())
        });
        assert_eq!(wire.ask("GET k").string(), "x");
    }
}

/// Whether a master that must not do so yet is told to hand over.
fn begins_to_hand_over(master: &Server) -> bool {
    let mut wire = master.dial();
    let begun = within(Duration::from_millis(500), || {
        let told = wire.ask("INFO commandstats").string();
        told.contains("cmdstat_failover").then_some(())
    });
    begun.is_some()
}

#[test]
fn a_transaction_of_who_has_watched_is_waited_for() {
    for kind in Kind::all() {
        let (set, relay, listed) = relayed(kind, |set| set.members[0].port());
        let proxy = set.proxy_of(&listed, PATIENT);
        let (mut wire, mut watcher) = (proxy.dial(), proxy.dial());
        ok(&mut watcher, "WATCH k");
        ok(&mut watcher, "MULTI");
        watcher.ask("SET k v");
        relay.hold("EXEC");
        watcher.send(&[words(&["EXEC"])]);
        until("it to be on its way", || relay.is_holding().then_some(()));
        wire.send(&[words(&["PROXY", "FAILOVER", "TO", "n2", "TIMEOUT", "20000"])]);
        let has_begun = begins_to_hand_over(&set.members[0]);
        relay.let_go();
        let reply = watcher.read();
        assert!(!has_begun, "it is answered {reply:?}");
        assert_eq!(reply.list().len(), 1);
        starts(&wire.read(), "OK paused-us=");
        assert_eq!(watcher.ask("GET k").string(), "v");
    }
}

#[test]
fn a_script_may_be_killed_while_a_switchover_waits_for_its_end() {
    for kind in Kind::all() {
        let (set, relay, listed) = relayed(kind, |set| set.members[0].port());
        let mut theirs = set.members[0].dial();
        ok(&mut theirs, "CONFIG SET lua-time-limit 50");
        let proxy = set.proxy_of(&listed, &format!("{PATIENT}probe-every = \"600s\"\n"));
        let (mut wire, mut busy, mut killer) = (proxy.dial(), proxy.dial(), proxy.dial());
        relay.hold("EVAL");
        busy.send(&[words(&["EVAL", "while true do end", "0"])]);
        until("it to be on its way", || relay.is_holding().then_some(()));
        wire.send(&[words(&["PROXY", "FAILOVER", "TO", "n2", "TIMEOUT", "20000"])]);
        assert!(!begins_to_hand_over(&set.members[0]));
        relay.let_go();
        until("it to be busy", || theirs.ask("GET k").to_string().contains("BUSY").then_some(()));
        ok(&mut killer, "SCRIPT KILL");
        let killed = busy.read().string();
        assert!(killed.contains("killed"), "{killed}");
        starts(&wire.read(), "OK paused-us=");
    }
}

#[test]
fn who_could_not_be_told_whom_to_follow_is_named() {
    let set = RealSet::new(Kind::Redis, 3, &[]);
    let proxy = set.proxy("[upstream]\nprobe-every = \"50ms\"\n");
    let mut wire = proxy.dial();
    ok(&mut wire, "PROXY NODE n3 MAINTENANCE");
    ok(&mut set.members[3].dial(), "REPLICAOF 127.0.0.1 1");
    until("it to be seen", || (states(&mut wire)[3] == "link-down").then_some(()));
    let reply = wire.ask("PROXY FAILOVER TO n2").string();
    assert!(reply.ends_with(" tell-by-hand-whom-to-follow=n3,n4"), "{reply}");
}

/// To the other hosts that are this machine, too.
const OPEN: [&str; 4] = ["--protected-mode", "no", "--repl-diskless-sync-delay", "0"];

/// A redis-server at this host of this machine, and at the same port as another.
fn redis_beside(master: &Server, host: &str, follows: &str) -> Server {
    let port = master.port().to_string();
    let bound = ["--bind", host, "--bind-source-addr", host, "--replicaof", follows, &port];
    Server::redis_at(master.port(), &[&bound[..], &OPEN].concat())
}

#[test]
fn a_replica_is_not_taken_for_another_that_has_its_port() {
    // Both have the port of the master, and the second follows the first.
    let master = Server::redis(&OPEN);
    let first = redis_beside(&master, "127.0.0.2", "127.0.0.1");
    let second = redis_beside(&master, "127.0.0.3", "127.0.0.2");
    let set = RealSet { kind: Kind::Redis, members: vec![master, first, second] };
    let port = set.members[0].port();
    let of = |hosts: &[&str]| {
        let listed = |it: &&str| format!("[[member]]\naddress = \"{it}:{port}\"\n");
        let members: String = hosts.iter().map(listed).collect();
        let text = format!(
            "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n{members}[upstream]\n\
             probe-every = \"100ms\"\n"
        );
        let proxy = Server::entourage_with_config(&text);
        let mut wire = proxy.dial();
        until("the replicas", || {
            let states = states(&mut wire);
            states[1..].iter().all(|it| it == "replica").then_some(())
        });
        (proxy, wire)
    };
    let (_proxy, mut wire) = of(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let why = "REFUSEDORDER n3 cannot take over: the master does not know it as a replica";
    starts(&wire.ask("PROXY FAILOVER TO n3"), why);
    let (_other, mut unaware) = of(&["127.0.0.1", "127.0.0.3"]);
    let why = unaware.ask("PROXY FAILOVER TO n2").string();
    assert!(why.contains("it follows 127.0.0.2:"), "{why}");
    assert_eq!(states(&mut wire), ["master", "replica", "replica"]);
    // By another name it is still the one that the master knows.
    let (_named, mut named) = of(&["localhost", "127.0.0.2"]);
    starts(&named.ask("PROXY FAILOVER TO n2"), "OK paused-us=");
}

#[test]
fn a_replica_that_the_master_knows_by_another_host_takes_over() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let listed = set.listed().replace("127.0.0.1", "localhost");
        let proxy = set.proxy_of(&listed, "");
        let mut wire = proxy.dial();
        starts(&wire.ask("PROXY FAILOVER TO n2"), "OK paused-us=");
        assert_eq!(states(&mut wire)[1], "master");
    }
}
