//! Long commands harm nobody who does not need what they hold: with one worker, others are answered
//! before a long command is, and what has to wait for it waits in order and is dropped with its
//! client. Nothing here is timed: what comes first is asked.

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use support::{Server, Wire, ok, others, until, words};

/// Enough for a command that takes a good part of a second in a checked build.
const ELEMENTS: usize = 2_000_000;
const CHUNK: usize = 50_000;

/// One test at a time, and a program of its own: what is long must stay long beside what is asked
/// meanwhile.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server with one worker and this many replicas, which all have a large list.
fn loaded(replicas: usize) -> (Server, Wire) {
    let server = Server::entourage(&["--threads", "1", "--replicas", &replicas.to_string()]);
    let mut wire = server.dial();
    for first in (0..ELEMENTS).step_by(CHUNK) {
        let elements: Vec<String> = (first..first + CHUNK).map(|it| format!("m{it}")).collect();
        let push = ["RPUSH", "list"].into_iter().chain(elements.iter().map(String::as_str));
        assert_eq!(wire.cmd(&push.collect::<Vec<_>>()).int(), Some((first + CHUNK) as i64));
    }
    ok(&mut wire, "SET small 1");
    assert_eq!(wire.ask(&format!("WAIT {replicas} 60000")).int(), Some(replicas as i64));
    (server, wire)
}

/// A long write of the master, without an end that anybody sees soon.
const LONG_WRITE: &[&str] = &["SORT", "list", "ALPHA", "STORE", "sorted"];

#[test]
fn others_are_answered_while_one_client_reads_for_long() {
    let _alone = alone();
    let (server, mut long) = loaded(1);
    let mut other = server.dial();
    long.send(&[words(&["SORT", "list", "ALPHA", "LIMIT", "0", "1"]), words(&["PING"])]);
    until_at_work(&mut other, "SORT");
    assert_eq!(other.ask("PING").string(), "PONG");
    assert_eq!(other.ask("GET small").string(), "1");
    ok(&mut other, "SET small 1");
    assert!(!long.has_input(), "all of that came first");
    assert_eq!(long.read().list().len(), 1);
    assert_eq!(long.read().string(), "PONG", "in order");
}

/// Waits until a client is at this command.
fn until_at_work(operator: &mut Wire, command: &str) {
    let wanted = format!(" cmd={} ", command.to_lowercase());
    until("the command to begin", || {
        others(operator).iter().any(|it| it.contains(&wanted)).then_some(())
    });
}

/// Waits until writes wait for the long one: it is at work when it is looked up, and begins a little
/// later. The connection that was asked has a write that waits.
fn until_writes_wait(server: &Server, operator: &mut Wire) -> Wire {
    let mut probe = server.dial();
    until("writes to wait", || {
        probe.send(&[words(&["INCR", "probe"])]);
        (0..2).for_each(|_| assert_eq!(operator.ask("PING").string(), "PONG"));
        let is_done = probe.has_input();
        is_done.then(|| probe.read());
        (!is_done).then_some(())
    });
    probe
}

#[test]
fn a_long_write_holds_back_writes_and_nothing_else() {
    let _alone = alone();
    let (server, mut long) = loaded(1);
    let (mut other, mut writer, mut leaver) = (server.dial(), server.dial(), server.dial());
    ok(&mut other, "SET n 0");
    assert_eq!(other.ask("WAIT 1 60000").int(), Some(1));
    long.send(&[words(LONG_WRITE), words(&["INCR", "n"]), words(&["GET", "n"])]);
    let probe = until_writes_wait(&server, &mut other);
    writer.send(&[words(&["RPUSHX", "sorted", "last"]), words(&["INCR", "n"]), words(&["PING"])]);
    leaver.send(&[words(&["INCR", "left"])]);
    assert_eq!(other.ask("PING").string(), "PONG");
    assert_eq!(other.ask("GET small").string(), "1", "at the replica");
    drop(leaver);
    until("who has left to be gone", || (others(&mut other).len() == 3).then_some(()));
    // Looked at first: the long write may end between two looks.
    let is_written = writer.has_input();
    assert!(!long.has_input(), "all of that came first");
    assert!(!is_written, "its turn comes after the long write");
    drop(probe);
    assert_eq!(long.read().int(), Some(ELEMENTS as i64));
    assert_eq!(
        writer.read().int(),
        Some(ELEMENTS as i64 + 1),
        "its turn came after the long write"
    );
    let counts = [long.read().int(), writer.read().int()];
    assert!(counts == [Some(1), Some(2)] || counts == [Some(2), Some(1)], "{counts:?}");
    assert_eq!(writer.read().string(), "PONG", "in order");
    assert!(long.read().string().parse::<i64>().is_ok_and(|it| 1 <= it));
    assert!(other.ask("GET left").is_nil(), "who has left has asked for nothing");
    assert_eq!(other.ask("LLEN sorted").int(), Some(ELEMENTS as i64 + 1));
}

#[test]
fn a_client_that_waits_for_a_long_write_can_be_killed() {
    let _alone = alone();
    let (server, mut long) = loaded(1);
    let (mut other, mut writer) = (server.dial(), server.dial());
    let id = writer.ask("CLIENT ID").int().unwrap();
    long.send(&[words(LONG_WRITE)]);
    let _probe = until_writes_wait(&server, &mut other);
    writer.send(&[words(&["INCR", "n"])]);
    until_at_work(&mut other, "INCR");
    assert_eq!(other.ask(&format!("CLIENT KILL ID {id}")).int(), Some(1));
    until("it to be gone", || (others(&mut other).len() == 2).then_some(()));
    assert!(!long.has_input(), "all of that came first");
    long.read();
    assert!(other.ask("GET n").is_nil());
}

#[test]
fn a_long_write_that_is_to_be_confirmed_is_answered_once_it_is() {
    let _alone = alone();
    let (_server, mut long) = loaded(1);
    // Without end: only the replica's word ends the wait, which goes on at another thread.
    ok(&mut long, "PROXY ACKS 1 0");
    assert_eq!(long.cmd(LONG_WRITE).int(), Some(ELEMENTS as i64));
    assert_eq!(long.ask("INCR n").int(), Some(1));
}

#[test]
fn transactions_and_replicas_have_their_long_work_apart_too() {
    let _alone = alone();
    let (server, mut long) = loaded(2);
    let mut other = server.dial();
    ok(&mut long, "MULTI");
    long.cmd(LONG_WRITE);
    long.ask("INCR n");
    long.send(&[words(&["EXEC"])]);
    until_at_work(&mut other, "EXEC");
    assert_eq!(other.ask("PING").string(), "PONG");
    assert_eq!(other.ask("GET small").string(), "1");
    assert!(!long.has_input(), "all of that came first");
    assert_eq!(long.read().list().len(), 2);
    // The replicas repeat it now, one after the other: reads that must see it find the master.
    let mut seen = server.dial();
    assert_eq!(seen.ask("GET n").string(), "1");
    assert_eq!(seen.ask("LLEN sorted").int(), Some(ELEMENTS as i64));
    assert_eq!(long.ask("WAIT 2 60000").int(), Some(2));
    let members = server.dial().ask("DEBUG DIGEST MEMBERS");
    let digests: Vec<String> = members.list().iter().map(|it| it.list()[2].string()).collect();
    assert!(digests.iter().all(|it| *it == digests[0]), "{digests:?}");
}

/// How many waited for their turn, and how many were refused.
fn long_counts(operator: &mut Wire) -> (usize, usize) {
    let stats = operator.ask("PROXY STATS").string();
    let of = |field: &str| {
        let line = stats.lines().find_map(|it| it.strip_prefix(field)).expect("it is counted");
        line.trim().parse::<usize>().expect("a number")
    };
    (of("long_waiting:"), of("long_refused:"))
}

#[test]
fn so_many_long_commands_wait_and_more_are_refused_by_name() {
    const WAITING: usize = 1000;
    let _alone = alone();
    let (server, _) = loaded(0);
    let mut operator = server.dial();
    let long = [words(&["SORT", "list", "ALPHA", "LIMIT", "0", "1"]), words(&["PING"])];
    // Some begin, or even end, before the last has come.
    let mut clients: Vec<Wire> = (0..WAITING + 60).map(|_| server.dial()).collect();
    clients.iter_mut().for_each(|it| it.send(&long));
    let refused = clients.last_mut().unwrap().read();
    let text = "-LONGQUEUE too many long commands wait for their turn: try again later, or ask for \
                less at a time";
    assert_eq!(refused.to_string(), text);
    assert_eq!(clients.last_mut().unwrap().read().string(), "PONG", "in order, and it goes on");
    let (waiting, refused) = long_counts(&mut operator);
    assert!(waiting <= WAITING && (1..=60).contains(&refused), "{waiting} {refused}");
    assert_eq!(operator.ask("LLEN list").int(), Some(ELEMENTS as i64), "others are served");
    assert!(server.said().contains("event=long-queue-full waiting=1000 refused=1"));
    drop(clients);
    until("those that have gone to leave the queue", || {
        (long_counts(&mut operator).0 == 0).then_some(())
    });
}
