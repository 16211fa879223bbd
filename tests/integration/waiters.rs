//! Many clients that wait for replicas at the same time: each is answered what it waits for, when
//! that is so, and what becomes of one does not touch the others.

use crate::support::{
    BOTH, Ending, HANG_UPS, Server, Wire, ok, order, others, until, until_alone, until_blocked,
    words,
};

const WAITERS: usize = 500;
/// Different offsets, counts and fates are dealt out in turn.
const GROUPS: usize = 5;

/// A set whose replicas have all, and stand still.
fn paused() -> (Server, Wire) {
    let server = Server::entourage(&[]);
    let mut operator = server.dial();
    order(&mut operator, BOTH, "PAUSE");
    (server, operator)
}

/// Clients that have written and say this line next, which depends on their number.
fn waiters(server: &Server, line: impl Fn(usize) -> String) -> Vec<(i64, Wire)> {
    let start = |at: usize| {
        let mut wire = server.dial();
        let id = wire.ask("CLIENT ID").int().unwrap();
        ok(&mut wire, &format!("SET k{at} {at}"));
        wire.send_raw(format!("{}\r\n", line(at)).as_bytes());
        (id, wire)
    };
    (0..WAITERS).map(start).collect()
}

/// Those of one group hear this next.
fn hear(waiters: &mut [(i64, Wire)], group: usize, wanted: &str) {
    for (id, wire) in waiters.iter_mut().skip(group).step_by(GROUPS) {
        assert_eq!(wire.read().to_string(), wanted, "client {id} of group {group}");
    }
}

#[test]
fn each_waiter_is_answered_when_its_own_count_is_reached_and_no_sooner() {
    const EACH: usize = WAITERS / GROUPS;
    let (server, mut operator) = paused();
    let mut waiters = waiters(&server, |at| {
        ["WAIT 1 0", "WAIT 2 0", "WAIT 3 0", "WAIT 2 50", "WAIT 0 0"][at % GROUPS].to_owned()
    });
    hear(&mut waiters, 4, ":0");
    hear(&mut waiters, 3, ":0");
    until_blocked(&mut operator, 3 * EACH);
    order(&mut operator, &["n2"], "RESUME");
    hear(&mut waiters, 0, ":1");
    until_blocked(&mut operator, 2 * EACH);
    order(&mut operator, &["n3"], "RESUME");
    hear(&mut waiters, 1, ":2");
    until_blocked(&mut operator, EACH);
    for (at, (id, _)) in waiters.iter().skip(2).step_by(GROUPS).enumerate() {
        let mode = if at % 2 == 0 { "TIMEOUT" } else { "ERROR" };
        assert_eq!(operator.ask(&format!("CLIENT UNBLOCK {id} {mode}")).int(), Some(1));
    }
    for (at, (_, wire)) in waiters.iter_mut().skip(2).step_by(GROUPS).enumerate() {
        let wanted = match at % 2 {
            0 => ":2",
            _ => "-UNBLOCKED client unblocked via CLIENT UNBLOCK",
        };
        assert_eq!(wire.read().to_string(), wanted);
    }
    until_blocked(&mut operator, 0);
    waiters.iter_mut().for_each(|(_, it)| assert_eq!(it.ask("PING").string(), "PONG"));
}

/// One that waits for what the replicas have does not wait, though many wait for later offsets.
#[test]
fn a_waiter_for_an_earlier_offset_does_not_wait_for_a_later_one() {
    let server = Server::entourage(&[]);
    let mut operator = server.dial();
    let mut early: Vec<Wire> = (0..WAITERS).map(|_| server.dial()).collect();
    early.iter_mut().for_each(|it| ok(it, "SET early 1"));
    ok(&mut operator, "SET after 1");
    assert_eq!(operator.ask("WAIT 2 0").int(), Some(2));
    order(&mut operator, BOTH, "PAUSE");
    let mut late = waiters(&server, |_| "WAIT 2 0".to_owned());
    until_blocked(&mut operator, WAITERS);
    early.iter_mut().for_each(|it| assert_eq!(it.ask("WAIT 2 0").int(), Some(2)));
    until_blocked(&mut operator, WAITERS);
    order(&mut operator, BOTH, "RESUME");
    late.iter_mut().for_each(|(_, it)| assert_eq!(it.read().int(), Some(2)));
}

/// The shortest does not stand first in line.
#[test]
fn each_waiter_is_answered_when_its_own_time_is_up() {
    let servers = [Server::redis(&[]), Server::entourage(&["--replicas", "0"])];
    for server in servers {
        let ms = |at: usize| 1 + (at * 7919) % WAITERS;
        let mut waiters = waiters(&server, |at| format!("WAIT 1 {}", ms(at)));
        waiters.iter_mut().for_each(|(_, it)| assert_eq!(it.read().int(), Some(0)));
        until_blocked(&mut server.dial(), 0);
    }
}

#[test]
fn waiters_are_unblocked_one_by_one() {
    let servers = [Server::redis(&[]), Server::entourage(&["--replicas", "0"])];
    for server in servers {
        let mut operator = server.dial();
        let mut waiters = waiters(&server, |_| "WAIT 1 0".to_owned());
        until_blocked(&mut operator, WAITERS);
        for (at, (id, wire)) in waiters.iter_mut().enumerate() {
            let unblock = ["TIMEOUT", "ERROR"].map(|it| format!("CLIENT UNBLOCK {id} {it}"));
            assert_eq!(operator.ask(&unblock[at % 2]).int(), Some(1));
            match at % 2 {
                0 => assert_eq!(wire.read().int(), Some(0)),
                _ => crate::support::starts(&wire.read(), "UNBLOCKED"),
            }
            assert_eq!(operator.ask(&unblock[at % 2]).int(), Some(0), "it waits no more");
        }
    }
}

#[test]
fn waiters_that_leave_are_gone_and_the_others_wait_on() {
    let (server, mut operator) = paused();
    let mut staying = Vec::new();
    let mut left = Vec::new();
    for (at, (_, wire)) in waiters(&server, |_| "WAIT 2 0".to_owned()).into_iter().enumerate() {
        match HANG_UPS.get(at % GROUPS) {
            Some(ending) => left.extend(ending.end(wire, &mut operator)),
            None => staying.push(wire),
        }
    }
    until("those who left to be gone", || {
        (others(&mut operator).len() == staying.len()).then_some(())
    });
    until_blocked(&mut operator, staying.len());
    order(&mut operator, BOTH, "RESUME");
    staying.iter_mut().for_each(|it| assert_eq!(it.read().int(), Some(2)));
    staying.clear();
    left.clear();
    until_alone(&mut operator);
}

#[test]
fn a_writer_goes_on_beside_many_waiters() {
    const WRITES: usize = 20_000;
    let servers = [Server::redis(&[]), Server::entourage(&[])];
    for server in servers {
        let mut operator = server.dial();
        let waiters = waiters(&server, |_| "WAIT 9 0".to_owned());
        until_blocked(&mut operator, WAITERS);
        let replies = operator.pipeline(&vec![words(&["INCR", "n"]); WRITES]);
        assert_eq!(replies.last().and_then(|it| it.int()), Some(WRITES as i64));
        until_blocked(&mut operator, WAITERS);
        drop(waiters);
        until_alone(&mut operator);
    }
}

#[test]
fn writes_that_wait_for_confirmation_are_answered_once_it_is_there_or_their_time_is_up() {
    let (server, mut operator) = paused();
    let mut writers: Vec<Wire> = (0..WAITERS).map(|_| server.dial()).collect();
    for (at, writer) in writers.iter_mut().enumerate() {
        let (replicas, ms) = [("all", 100_000_000), ("1", 100_000_000), ("all", 50)][at % 3];
        ok(writer, &format!("PROXY ACKS {replicas} {ms}"));
        writer.send_raw(format!("SET k{at} {at}\r\n").as_bytes());
    }
    for writer in writers.iter_mut().skip(2).step_by(3) {
        crate::support::starts(&writer.read(), "NOTDURABLE");
    }
    let waiting = |of: usize| (0..WAITERS).filter(|it| it % 3 == of).count();
    until_blocked(&mut operator, waiting(0) + waiting(1));
    order(&mut operator, &["n3"], "RESUME");
    writers.iter_mut().skip(1).step_by(3).for_each(|it| assert_eq!(it.read().string(), "OK"));
    until_blocked(&mut operator, waiting(0));
    order(&mut operator, &["n2"], "RESUME");
    writers.iter_mut().step_by(3).for_each(|it| assert_eq!(it.read().string(), "OK"));
    until_blocked(&mut operator, 0);
}

/// Each has written a value of its own, and must not read before a replica has it.
#[test]
fn reads_that_wait_for_a_replica_are_answered_with_their_own_writes() {
    let server = Server::entourage_with_config(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[consistency]\nlevel = \"sticky\"\n\
         on-lag = [\"wait 1h\", \"error\"]\n",
    );
    let mut operator = server.dial();
    order(&mut operator, BOTH, "PAUSE");
    let mut readers: Vec<Wire> = (0..WAITERS).map(|_| server.dial()).collect();
    for (at, reader) in readers.iter_mut().enumerate() {
        ok(reader, &format!("SET k{at} {at}"));
        reader.send_raw(format!("GET k{at}\r\n").as_bytes());
    }
    let kept = readers.split_off(WAITERS / 2);
    let _left: Vec<_> =
        kept.into_iter().filter_map(|it| Ending::HalfClose.end(it, &mut operator)).collect();
    until("those who left to be gone", || {
        (others(&mut operator).len() == WAITERS / 2).then_some(())
    });
    order(&mut operator, &["n3"], "RESUME");
    for (at, reader) in readers.iter_mut().enumerate() {
        assert_eq!(reader.read().string(), at.to_string());
    }
}
