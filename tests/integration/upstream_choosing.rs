//! Which replica a read goes to in front of real servers: not to one that fails or is slow while
//! another can serve, to two when the first does not answer, to the master where that is preferred.

use crate::support::upstream::{node_field, states};
use crate::support::{Kind, RealSet, Relay, Wire, info_field, ok, starts, until, words};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const EVENTUAL: &str = "[consistency]\nlevel = \"eventual\"\n";

/// Reads all the time; every read is answered.
fn read(port: u16, is_over: &AtomicBool) {
    let mut wire = Wire::dial(port).expect("a connection");
    let batch: Vec<_> = (0..16).map(|_| words(&["GET", "k"])).collect();
    while !is_over.load(Relaxed) {
        wire.pipeline(&batch).iter().for_each(|it| assert_eq!(it.string(), "v"));
    }
}

/// Sets its flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Kills the connections to one replica again and again until it has been spared.
fn fail_until_ejected(set: &RealSet, proxy_port: u16, is_over: &AtomicBool) {
    let mut wire = Wire::dial(proxy_port).expect("a connection");
    let mut theirs = set.members[1].dial();
    thread::scope(|scope| {
        let _ending = Over(is_over);
        let reader = scope.spawn(move || read(proxy_port, is_over));
        until("it to be spared", || {
            theirs.ask("CLIENT KILL TYPE normal SKIPME yes");
            (node_field(&mut wire, 1, "ejections") != "0").then_some(())
        });
        is_over.store(true, Relaxed);
        reader.join().expect("every read is answered");
    });
}

#[test]
fn a_replica_whose_connections_fail_is_spared_for_a_while() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        ok(&mut set.members[0].dial(), "SET k v");
        set.members[0].dial().ask("WAIT 2 5000");
        let config = format!("{EVENTUAL}[upstream]\nprobe-every = \"100ms\"\neject-for = \"2s\"\n");
        let proxy = set.proxy(&config);
        fail_until_ejected(&set, proxy.port(), &AtomicBool::new(false));
        let mut wire = proxy.dial();
        until("it to serve again", || (node_field(&mut wire, 1, "ejected") == "0").then_some(()));
        until("its reads", || {
            let before = node_field(&mut wire, 1, "answered");
            (0..50).for_each(|_| assert_eq!(wire.ask("GET k").string(), "v"));
            (node_field(&mut wire, 1, "answered") != before).then_some(())
        });
    }
}

#[test]
fn the_last_replica_is_never_spared() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    ok(&mut set.members[0].dial(), "SET k v");
    set.members[0].dial().ask("WAIT 1 5000");
    let config = format!("{EVENTUAL}[upstream]\nprobe-every = \"100ms\"\neject-for = \"600s\"\n");
    let proxy = set.proxy(&config);
    fail_until_ejected(&set, proxy.port(), &AtomicBool::new(false));
    let mut wire = proxy.dial();
    until("it to be believed again", || (states(&mut wire)[1] == "replica").then_some(()));
    let count = |wire: &mut Wire| node_field(wire, 1, "answered").parse::<u64>().expect("a number");
    // Connections that were cut before may still be noticed, one by one.
    until("all reads to go to it, as there is nobody else", || {
        let before = count(&mut wire);
        (0..50).for_each(|_| assert_eq!(wire.ask("GET k").string(), "v"));
        (count(&mut wire) == before + 50).then_some(())
    });
    assert_eq!(node_field(&mut wire, 1, "ejected"), "1");
}

#[test]
fn a_replica_that_is_far_slower_than_the_others_is_spared() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let relay = Relay::to(set.members[2].port());
    let listed: String = [set.members[0].port(), set.members[1].port(), relay.port()]
        .map(|it| format!("[[member]]\naddress = \"127.0.0.1:{it}\"\n"))
        .concat();
    let config = format!("{EVENTUAL}[upstream]\nprobe-every = \"100ms\"\neject-for = \"600s\"\n");
    let proxy = set.proxy_of(&listed, &config);
    let mut wire = proxy.dial();
    (0..20).for_each(|_| assert!(wire.ask("GET k").is_nil()));
    relay.delay(Duration::from_millis(300));
    until("it to be spared", || {
        wire.ask("GET k");
        (node_field(&mut wire, 2, "ejected") == "1").then_some(())
    });
    let before = node_field(&mut wire, 2, "answered");
    (0..100).for_each(|_| assert!(wire.ask("GET k").is_nil()));
    assert_eq!(node_field(&mut wire, 2, "answered"), before);
}

#[test]
fn a_read_whose_replica_does_not_answer_is_asked_of_another_too() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let config = "[upstream]\nhedge-after = \"10ms\"\nhedge-percent = 100\n\
                  replica-timeout = \"600s\"\nprobe-every = \"600s\"\n";
    for level in ["eventual", "sticky"] {
        let proxy = set.proxy(&format!("[consistency]\nlevel = \"{level}\"\n{config}"));
        let mut wire = proxy.dial();
        ok(&mut wire, "SET k v");
        assert_eq!(wire.ask("WAIT 2 5000").int(), Some(2));
        set.members[1].freeze();
        let won = |wire: &mut Wire| {
            let won = info_field(wire, "replication", "upstream_hedges_won");
            won.and_then(|it| it.parse::<u64>().ok()).expect("it is told")
        };
        // Nobody else notices that it is frozen: whoever is sent there is answered by the other.
        until("reads that were asked twice", || {
            assert_eq!(wire.ask("GET k").string(), "v");
            (5 <= won(&mut wire)).then_some(())
        });
        assert_eq!(states(&mut wire)[1], "replica");
        set.members[1].thaw();
    }
}

#[test]
fn reads_are_the_masters_where_that_is_preferred_and_there_is_one() {
    let mut set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy(&format!(
        "[upstream]\nprobe-every = \"100ms\"\nreplica-timeout = \"300ms\"\n{EVENTUAL}\
         prefer-master = true\n[[route]]\nname = \"moved\"\nkeys = [\"m:*\"]\n\
         prefer-master = false\n"
    ));
    let mut wire = proxy.dial();
    ok(&mut wire, "SET k v");
    ok(&mut wire, "SET m:k w");
    assert_eq!(wire.ask("WAIT 1 5000").int(), Some(1));
    let count = |wire: &mut Wire| node_field(wire, 1, "answered").parse::<u64>().expect("a number");
    let before = count(&mut wire);
    (0..20).for_each(|_| assert_eq!(wire.ask("GET k").string(), "v"));
    assert_eq!(count(&mut wire), before);
    (0..20).for_each(|_| assert_eq!(wire.ask("GET m:k").string(), "w"));
    assert_eq!(count(&mut wire), before + 20);
    let told = wire.ask("PROXY EXPLAIN GET k");
    assert!(told.list().iter().any(|it| it.string().starts_with("because prefers-master")));
    set.members.remove(0).crash();
    until("it to be gone", || (states(&mut wire)[0] == "unreachable").then_some(()));
    assert_eq!(wire.ask("GET k").string(), "v");
}

#[test]
fn who_is_in_maintenance_may_be_anything() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy("[upstream]\nprobe-every = \"50ms\"\n");
    let mut wire = proxy.dial();
    starts(&wire.ask("PROXY NODE n1 MAINTENANCE"), "REFUSEDORDER n1 is the master");
    ok(&mut wire, "PROXY NODE n2 MAINTENANCE");
    ok(&mut set.members[1].dial(), "REPLICAOF NO ONE");
    assert_eq!(states(&mut wire), ["master", "maintenance", "replica"]);
    ok(&mut wire, "SET k v");
    assert_eq!(wire.ask("GET k").string(), "v");
    // Whoever sees to readers does not end what another has ordered.
    for order in ["DRAIN", "UNDRAIN"] {
        let reply = wire.ask(&format!("PROXY NODE n2 {order}"));
        starts(&reply, "REFUSEDORDER n2 does not take that order: it is in maintenance");
    }
    assert_eq!(states(&mut wire), ["master", "maintenance", "replica"]);
    ok(&mut wire, "PROXY NODE n2 RESUME");
    until("both to be seen", || (states(&mut wire)[0] == "two-masters").then_some(()));
}
