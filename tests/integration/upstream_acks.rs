//! WAIT, acks and the gate in front of real servers: the count is right however many clients share
//! connections, and a write that replicas cannot take is refused before it is sent.

use crate::support::{Kind, RealSet, Wire, ok, starts, until, words};
use std::thread;
use std::time::{Duration, Instant};

const QUICK: &str = "[upstream]\nreplica-timeout = \"300ms\"\nprobe-every = \"50ms\"\n";

#[test]
fn wait_counts_replicas_that_have_the_sessions_own_write() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let proxy = set.proxy(QUICK);
        let mut wire = proxy.dial();
        for it in 0..200 {
            ok(&mut wire, &format!("SET k {it}"));
            assert_eq!(wire.ask("WAIT 2 5000").int(), Some(2), "{it}");
        }
        set.members[1].freeze();
        set.members[2].freeze();
        ok(&mut wire, "SET k frozen");
        assert_eq!(wire.ask("WAIT 1 100").int(), Some(0), "nobody has it");
        // Who waits for more than there is keeps nobody else waiting.
        let mut other = proxy.dial();
        other.send(&[words(&["WAIT", "2", "0"])]);
        set.members[1].thaw();
        ok(&mut wire, "SET k thawed");
        let begun = Instant::now();
        assert_eq!(wire.ask("WAIT 1 20000").int(), Some(1));
        assert!(begun.elapsed() < Duration::from_secs(20));
        set.members[2].thaw();
        assert_eq!(other.read().int(), Some(2));
    }
}

#[test]
fn many_sessions_wait_at_once_over_one_connection() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy(QUICK);
    let port = proxy.port();
    thread::scope(|scope| {
        for number in 0..40 {
            scope.spawn(move || {
                let mut wire = Wire::dial(port).expect("a connection");
                for it in 0..25 {
                    ok(&mut wire, &format!("SET k{number} {it}"));
                    let wanted = 1 + (number + it) % 2;
                    let acked = wire.ask(&format!("WAIT {wanted} 10000")).int();
                    assert!(acked.is_some_and(|it| wanted <= it), "{acked:?} of {wanted}");
                }
            });
        }
    });
    let list = set.members[0].dial().ask("CLIENT LIST").string();
    let waiting = list.lines().filter(|it| it.contains("cmd=wait")).count();
    assert!(waiting <= 1, "{list}");
}

#[test]
fn a_write_is_answered_once_enough_replicas_have_it() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let config = format!("[consistency]\nacks = 1\nacks-timeout = \"200ms\"\n{QUICK}");
        let proxy = set.proxy(&config);
        let mut wire = proxy.dial();
        ok(&mut wire, "SET k v");
        assert_eq!(wire.ask("GET k").string(), "v");
        set.members[1].freeze();
        set.members[2].freeze();
        let replies = wire.pipeline(&[words(&["SET", "k", "w"]), words(&["SET", "k"])]);
        starts(&replies[0], "NOTDURABLE");
        starts(&replies[1], "ERR wrong number");
        assert_eq!(set.members[0].dial().ask("GET k").string(), "w", "it is done all the same");
        assert_eq!(wire.ask("GET k").string(), "w");
        set.members[1].thaw();
        set.members[2].thaw();
        until("replicas", || (wire.ask("SET k x").string() == "OK").then_some(()));
    }
}

#[test]
fn the_gate_refuses_writes_before_they_are_sent() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let gate = "[set]\nmin-replicas-to-write = 1\nmin-replicas-max-lag = \"500ms\"\n";
        let proxy = set.proxy(&format!("{gate}{QUICK}"));
        let mut wire = proxy.dial();
        until("the gate to open", || (wire.ask("SET k v").string() == "OK").then_some(()));
        set.members[1].freeze();
        ok(&mut wire, "SET k w");
        set.members[2].freeze();
        until("the gate to shut", || {
            wire.ask("INCR n").to_string().contains("NOREPLICAS").then_some(())
        });
        let before = set.members[0].dial().ask("GET n").to_string();
        for _ in 0..20 {
            starts(&wire.ask("INCR n"), "NOREPLICAS");
            starts(&wire.ask("NOSUCHCOMMAND g x"), "NOREPLICAS");
        }
        assert_eq!(set.members[0].dial().ask("GET n").to_string(), before);
        set.members[1].thaw();
        set.members[2].thaw();
        until("the gate to open", || (wire.ask("SET k v").string() == "OK").then_some(()));
    }
}

#[test]
fn waitaof_counts_what_is_on_disk_where_the_server_knows_it() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &["--appendonly", "yes"]);
        let proxy = set.proxy(QUICK);
        let mut wire = proxy.dial();
        ok(&mut wire, "SET k v");
        let reply = wire.ask("WAITAOF 1 1 10000");
        match kind {
            Kind::Redis => starts(&reply, "ERR unknown command"),
            Kind::Valkey => {
                let counts: Vec<_> = reply.list().iter().map(|it| it.int()).collect();
                assert_eq!(counts, [Some(1), Some(1)]);
                set.members[1].freeze();
                ok(&mut wire, "SET k w");
                let reply = wire.ask("WAITAOF 1 1 100");
                assert_eq!(reply.list()[1].int(), Some(0), "{reply:?}");
                set.members[1].thaw();
            }
        }
    }
}

#[test]
fn who_may_write_no_barrier_is_not_told_that_replicas_have_it() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &["--appendonly", "yes"]);
        for member in &set.members {
            // Since Redis 7 a user may use no channel unless somebody says so.
            ok(&mut member.dial(), "ACL SETUSER proxy on >secret resetchannels ~* +@all");
        }
        let login = "[upstream]\nuser = \"proxy\"\npassword = \"secret\"\n";
        let proxy = set.proxy(&QUICK.replace("[upstream]\n", login));
        let mut wire = proxy.dial();
        ok(&mut wire, "SET k v");
        assert_eq!(wire.ask("WAIT 1 20000").int(), Some(1), "by what it has acknowledged");
        set.members[1].freeze();
        ok(&mut wire, "SET k w");
        assert_eq!(wire.ask("WAIT 1 300").int(), Some(0), "nobody has it");
        assert!(proxy.said().contains("event=upstream-barrier-refused"));
        starts(&wire.ask("WAITAOF 0 1 300"), "NOPERM");
        set.members[1].thaw();
        assert_eq!(wire.ask("WAIT 1 20000").int(), Some(1));
    }
}
