//! Failovers of real servers behind an Entourage: by three sentinels, by an operator, and by one who
//! loses a write, of which its session is told.

use crate::support::upstream::{NAME, proxy_of_sentinels, sentinels, states, until_linked};
use crate::support::{Kind, RealSet, Server, Wire, info_field, ok, starts, until, words};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// What a client that writes and reads all the time has seen.
#[derive(Default, Debug)]
struct Seen {
    done: i64,
    lost: i64,
    told_lost: i64,
}

impl Seen {
    /// Of two failovers, and of a write under way during each.
    fn was_told(&mut self) {
        self.told_lost += 1;
        assert!(self.told_lost <= 4, "what is lost is told once: {self:?}");
    }
}

/// Sets its flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Counts up and reads what it has counted to, until it is told to end. Every read is answered, and
/// none is older than what was counted; every write is, or is told to be lost.
fn count_up(port: u16, is_over: &AtomicBool) -> Seen {
    let mut wire = Wire::dial(port).expect("a connection");
    let (mut seen, mut last) = (Seen::default(), 0);
    while !is_over.load(Relaxed) {
        let reply = wire.ask("INCR n");
        match reply.int() {
            Some(count) => {
                seen.done += 1;
                assert!(last < count || 0 < seen.told_lost, "{count} behind {last}");
                last = count;
            }
            None if reply.string().starts_with("LOSTWRITE") => {
                seen.was_told();
                last = 0;
            }
            None => {
                starts(&reply, "FORWARDLOST");
                seen.lost += 1;
            }
        }
        let reply = wire.ask("GET n");
        let reply = reply.text().map_or_else(String::new, |_| reply.string());
        match reply.parse::<i64>() {
            Ok(read) => {
                assert!(last <= read, "read {read}, counted {last}");
                last = read;
            }
            Err(_) if reply.starts_with("LOSTWRITE") => {
                seen.was_told();
                last = 0;
            }
            Err(_) if last == 0 && reply.is_empty() => {}
            Err(_) => panic!("a read is answered: {reply}"),
        }
    }
    seen
}

#[test]
fn sentinels_fail_over_and_clients_hear_of_nothing_but_what_is_lost() {
    let mut set = RealSet::new(Kind::Redis, 2, &[]);
    let sentinels = sentinels(&set.members[0]);
    let proxy = proxy_of_sentinels(&sentinels);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (port, is_over) = (proxy.port(), &is_over);
        // Whatever panics here: the client ends, and with it the scope.
        let _ending = Over(is_over);
        let client = scope.spawn(move || count_up(port, is_over));
        // Whoever has read what is lost is told so, whatever it asks next.
        let (mut wire, mut operator) = (proxy.dial(), proxy.dial());
        let count = |wire: &mut Wire| {
            let reply = wire.ask("GET n");
            reply.text().map_or(0, |_| reply.string().parse::<i64>().unwrap_or(0))
        };
        until("some counts", || (100 < count(&mut wire)).then_some(()));
        set.members.remove(0).crash();
        until("another master", || {
            let states = states(&mut operator);
            (states.iter().filter(|it| *it == "master").count() == 1
                && states.contains(&"unreachable".to_owned()))
            .then_some(())
        });
        let before = count(&mut wire);
        until("counts at the new master", || (before + 100 < count(&mut wire)).then_some(()));
        until("its replica", || {
            states(&mut operator).contains(&"replica".to_owned()).then_some(())
        });
        // One that is planned.
        let now = |wire: &mut Wire| states(wire).iter().position(|it| it == "master");
        let first = now(&mut operator);
        until("a failover on order", || {
            let reply = sentinels[0].dial().cmd(&["SENTINEL", "FAILOVER", NAME]).string();
            (reply == "OK").then_some(())
        });
        until("the other master", || now(&mut operator).filter(|it| Some(*it) != first));
        let before = count(&mut wire);
        until("counts at the other master", || (before + 100 < count(&mut wire)).then_some(()));
        is_over.store(true, Relaxed);
        let seen = client.join().expect("it has seen nothing that must not be");
        println!("{seen:?}");
        let end = count(&mut wire);
        assert!(end <= seen.done + seen.lost, "{seen:?} and {end}");
        assert!(seen.done <= end || 0 < seen.told_lost, "{seen:?} and {end}");
    });
}

#[test]
fn a_session_whose_write_is_lost_is_told_so_once() {
    for kind in Kind::all() {
        let mut set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy("[upstream]\nreplica-timeout = \"300ms\"\nprobe-every = \"50ms\"\n");
        let (mut ours, mut reader) = (proxy.dial(), proxy.dial());
        ok(&mut ours, "SET k kept");
        assert_eq!(ours.ask("WAIT 1 5000").int(), Some(1));
        assert_eq!(reader.ask("GET k").string(), "kept");
        set.members[1].freeze();
        // What was sent before is in its socket, and would be found there.
        set.members[0].dial().ask("CLIENT KILL TYPE replica");
        ok(&mut ours, "SET k lost");
        set.members.remove(0).crash();
        set.members[0].thaw();
        let replica = &set.members[0];
        until("it to have noticed", || {
            let status = info_field(&mut replica.dial(), "replication", "master_link_status");
            (status? == "down").then_some(())
        });
        assert_eq!(replica.dial().ask("GET k").string(), "kept", "it never had the other");
        ok(&mut replica.dial(), "REPLICAOF NO ONE");
        let mut wire = proxy.dial();
        until("another master", || (states(&mut wire)[1] == "master").then_some(()));
        starts(&ours.ask("GET k"), "LOSTWRITE");
        assert_eq!(ours.ask("GET k").string(), "kept");
        ok(&mut ours, "SET k again");
        assert_eq!(ours.ask("GET k").string(), "again");
        assert_eq!(
            reader.ask("GET k").string(),
            "again",
            "who has lost nothing is told of nothing"
        );
    }
}

#[test]
fn writes_wait_for_a_master_for_as_long_as_they_may() {
    let mut set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("[upstream]\nbuffer-for = \"300ms\"\nprobe-every = \"50ms\"\n");
    let (mut ours, mut wire) = (proxy.dial(), proxy.dial());
    ok(&mut ours, "SET k v");
    assert_eq!(ours.ask("WAIT 1 5000").int(), Some(1));
    let gone = set.members.remove(0);
    let port = gone.port();
    gone.crash();
    until("it to be gone", || (states(&mut wire)[0] == "unreachable").then_some(()));
    starts(&ours.ask("SET k w"), "MASTERDOWN");
    ok(&mut ours, "PROXY CONSISTENCY eventual");
    assert_eq!(ours.ask("GET k").string(), "v", "replicas serve without one");
    // One that comes in time serves what waits.
    let back = Server::redis_at(port, &[]);
    until("it to be back", || (states(&mut wire)[0] == "master").then_some(()));
    until_linked(&set.members[0]);
    until("a write", || (ours.ask("SET k x").string() == "OK").then_some(()));
    assert_eq!(back.dial().ask("GET k").string(), "x");
}

#[test]
fn a_write_to_one_that_is_no_master_any_more_goes_to_the_next() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("[upstream]\nbuffer-for = \"20s\"\nprobe-every = \"20s\"\n");
    let mut ours = proxy.dial();
    ok(&mut ours, "SET k v");
    let [old, new] = [0, 1].map(|it| &set.members[it]);
    ok(&mut new.dial(), "REPLICAOF NO ONE");
    ok(&mut old.dial(), &format!("REPLICAOF 127.0.0.1 {}", new.port()));
    until_linked(old);
    // Nobody has asked them since: the answer of the old one is what tells.
    ok(&mut ours, "SET k w");
    assert_eq!(ours.ask("GET k").string(), "w");
    assert_eq!(new.dial().ask("GET k").string(), "w");
}

#[test]
fn a_deposed_master_gets_no_transaction_though_it_still_says_that_it_is_one() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy("[upstream]\nprobe-every = \"50ms\"\n");
        let (mut operator, mut watcher) = (proxy.dial(), proxy.dial());
        let [mut first, mut second] = [0, 1].map(|it| set.members[it].dial());
        ok(&mut watcher, "WATCH k");
        let mut waiting: Vec<Wire> = (0..4).map(|_| proxy.dial()).collect();
        waiting.iter_mut().for_each(|it| it.send(&[words(&["BLPOP", "list", "0"])]));
        until("them to wait", || {
            (info_field(&mut first, "clients", "blocked_clients")? == "4").then_some(())
        });
        ok(&mut operator, "PROXY NODE n1 MAINTENANCE FORCE");
        ok(&mut second, "REPLICAOF NO ONE");
        until("another master", || (states(&mut operator)[1] == "master").then_some(()));
        // Nobody pushes to the old one what who waits there is waiting for.
        waiting.iter_mut().for_each(|it| starts(&it.read(), "UNBLOCKED"));
        // What was watched there means nothing, whatever is watched elsewhere.
        ok(&mut watcher, "WATCH l");
        ok(&mut watcher, "MULTI");
        watcher.ask("SET k v");
        assert!(watcher.ask("EXEC").is_nil());
        for round in 0..3 {
            let mut clients: Vec<Wire> = (0..8).map(|_| proxy.dial()).collect();
            clients.iter_mut().for_each(|it| ok(it, "WATCH k"));
            for (at, client) in clients.iter_mut().enumerate() {
                ok(client, "MULTI");
                client.ask(&format!("SET n{round}.{at} v"));
                assert_eq!(client.ask("EXEC").list().len(), 1);
            }
            for at in 0..clients.len() {
                assert_eq!(second.ask(&format!("GET n{round}.{at}")).string(), "v");
            }
        }
        assert_eq!(first.ask("DBSIZE").int(), Some(0), "nothing was done at the old one");
    }
}

#[test]
fn what_was_watched_at_a_master_that_was_taken_away_is_not_done_there() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("");
    let (mut operator, mut watcher) = (proxy.dial(), proxy.dial());
    ok(&mut watcher, "WATCH k");
    ok(&mut watcher, "MULTI");
    watcher.ask("SET k v");
    ok(&mut operator, "PROXY NODE n1 MAINTENANCE FORCE");
    assert!(watcher.ask("EXEC").is_nil());
    assert!(set.members[0].dial().ask("GET k").is_nil());
}
