//! Long commands harm nobody who does not need what they hold: with one worker, others are answered
//! before a long command is, and what has to wait for it waits in order and is dropped with its
//! client. Nothing here is timed: what comes first is asked.

mod support;

use support::{Server, Wire, ok, others, until, words};

/// Enough for a command that takes a good part of a second in a checked build.
const ELEMENTS: usize = 1_000_000;
const CHUNK: usize = 50_000;

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

#[test]
fn a_long_write_holds_back_writes_and_nothing_else() {
    let (server, mut long) = loaded(1);
    let (mut other, mut writer, mut leaver) = (server.dial(), server.dial(), server.dial());
    ok(&mut other, "SET n 0");
    assert_eq!(other.ask("WAIT 1 60000").int(), Some(1));
    long.send(&[words(LONG_WRITE), words(&["INCR", "n"]), words(&["GET", "n"])]);
    until_at_work(&mut other, "SORT");
    writer.send(&[words(&["INCR", "n"]), words(&["PING"])]);
    leaver.send(&[words(&["INCR", "left"])]);
    assert_eq!(other.ask("PING").string(), "PONG");
    assert_eq!(other.ask("GET small").string(), "1", "at the replica");
    drop(leaver);
    until("who has left to be gone", || (others(&mut other).len() == 2).then_some(()));
    assert!(!long.has_input(), "all of that came first");
    assert!(!writer.has_input(), "its turn comes after the long write");
    assert_eq!(long.read().int(), Some(ELEMENTS as i64));
    let counts = [long.read().int(), writer.read().int()];
    assert!(counts == [Some(1), Some(2)] || counts == [Some(2), Some(1)], "{counts:?}");
    assert_eq!(writer.read().string(), "PONG", "in order");
    assert!(long.read().string().parse::<i64>().is_ok_and(|it| 1 <= it));
    assert!(other.ask("GET left").is_nil(), "who has left has asked for nothing");
    assert_eq!(other.ask("LLEN sorted").int(), Some(ELEMENTS as i64));
}

#[test]
fn a_client_that_waits_for_a_long_write_can_be_killed() {
    let (server, mut long) = loaded(1);
    let (mut other, mut writer) = (server.dial(), server.dial());
    let id = writer.ask("CLIENT ID").int().unwrap();
    long.send(&[words(LONG_WRITE)]);
    until_at_work(&mut other, "SORT");
    writer.send(&[words(&["INCR", "n"])]);
    until_at_work(&mut other, "INCR");
    assert_eq!(other.ask(&format!("CLIENT KILL ID {id}")).int(), Some(1));
    until("it to be gone", || (others(&mut other).len() == 1).then_some(()));
    assert!(!long.has_input(), "all of that came first");
    long.read();
    assert!(other.ask("GET n").is_nil());
}

#[test]
fn transactions_and_replicas_have_their_long_work_apart_too() {
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
    let members = server.dial().ask("DEBUG DIGEST");
    let digests: Vec<String> = members.list().iter().map(|it| it.list()[2].string()).collect();
    assert!(digests.iter().all(|it| *it == digests[0]), "{digests:?}");
}
