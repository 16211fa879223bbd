//! Transactions: the same conversations with a real Redis and with Entourage, and what only a replica
//! set has to keep.

use crate::support::{Server, Value, Wire, until, words};
use std::time::Duration;

/// Conversations of two connections: each line says who speaks. Replies must be equal.
const CONVERSATIONS: &[&str] = &[
    "A MULTI; A SET a 1; A INCR a; A GET a; A EXEC; A GET a",
    "A EXEC; A DISCARD; A MULTI; A MULTI; A WATCH a; A EXEC",
    "A MULTI; A GET; A SET a 1; A EXEC; A EXEC; A GET a",
    "A MULTI; A NOSUCH; A EXEC a; A EXEC",
    "A MULTI; A SET a 1; A EXEC a; A EXEC; A GET a",
    "A MULTI; A SET a x; A INCR a; A HSET a f v; A GET a; A EXEC",
    "A MULTI; A SET a 1; A DISCARD; A GET a; A EXEC",
    "A MULTI; A EXEC",
    "A SELECT 1; A MULTI; A SELECT 2; A SET b 1; A SELECT 99; A GET b; A EXEC; A GET b; A SELECT 1; \
     A GET b",
    "A MULTI; A PING; A ECHO hi; A PING a b; A CLIENT GETNAME; A CLIENT SETNAME bob; A EXEC; A CLIENT GETNAME",
    "A MULTI; A HELLO 3; A GET a; A HELLO 9; A EXEC b; A GET a",
    "A MULTI; A SET a 1; A RESET; A GET a; A EXEC",
    "A WATCH a; A SET a 2; A MULTI; A SET a 3; A EXEC; A EXEC; A GET a",
    "A WATCH a; B SET a 2; A MULTI; A SET a 3; A EXEC; A MULTI; A SET a 3; A EXEC; A GET a",
    "A SET a 1; A WATCH a; B SELECT 1; B SET a 1; A MULTI; A GET a; A EXEC",
    "A WATCH a; A MULTI; B DEL a; B SET a 1; A EXEC",
    "A WATCH a; B DEL a; A MULTI; A EXEC",
    "A WATCH nosuch; B FLUSHALL; A MULTI; A GET x; A EXEC",
    "A SET a 1; A WATCH a; B FLUSHALL; A MULTI; A GET x; A EXEC",
    "A SET a 1; A WATCH a; B SELECT 3; B FLUSHDB; A MULTI; A GET x; A EXEC",
    "A SET a 1; A WATCH a; B SWAPDB 0 5; A MULTI; A GET x; A EXEC",
    "A WATCH a; B SWAPDB 0 5; A MULTI; A GET x; A EXEC",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SET a 1 PX 1; A SELECT 1; A SET a 1 PX 1; A SELECT 0; A SLEEP; \
     A WATCH a; B SWAPDB 0 1; A MULTI; A GET x; A EXEC",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SELECT 1; A SET a 1 PX 1; A SELECT 0; A SLEEP; A WATCH a; \
     B SWAPDB 0 1; A MULTI; A GET x; A EXEC; A EXISTS a",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SET a 1 PX 1; A SLEEP; A WATCH a; B SWAPDB 0 1; A MULTI; A GET x; \
     A EXEC",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SET a 1 PX 1; A SELECT 1; A SET a 1; A SELECT 0; A SLEEP; \
     A WATCH a; B SWAPDB 0 1; A MULTI; A GET x; A EXEC",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SET a 1 PX 30; A WATCH a; A SLEEP; B SWAPDB 0 1; A MULTI; A GET x; \
     A EXEC",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SET a 1; A SELECT 1; A SET a 1 PX 1; A SELECT 0; A SLEEP; \
     A WATCH a; B SWAPDB 0 1; A MULTI; A GET x; A EXEC",
    "B DEBUG SET-ACTIVE-EXPIRE 0; A SET a 1; A WATCH a; A SELECT 1; A SET a 1 PX 1; A SLEEP; \
     B SWAPDB 0 1; A MULTI; A GET x; A EXEC",
    "A SET a 1; A WATCH a; A UNWATCH; B SET a 2; A MULTI; A GET a; A EXEC",
    "A WATCH a; A MULTI; A DISCARD; B SET a 2; A MULTI; A GET a; A EXEC",
    "A WATCH a; A RESET; B SET a 2; A MULTI; A GET a; A EXEC",
    "A WATCH a; A MULTI; A NOSUCH; A EXEC; B SET a 2; A MULTI; A GET a; A EXEC",
    "A WATCH; A UNWATCH a; A MULTI a; A DISCARD a",
    "A SET a 1; A WATCH a; B PEXPIRE a 0; A MULTI; A GET a; A EXEC",
    "A SET a 1; A WATCH a; B PERSIST a; A MULTI; A GET a; A EXEC",
    "A HSET h f 1; A WATCH h; B HSET h f 1; A MULTI; A HGET h f; A EXEC",
    "A MULTI; A UNWATCH; A COMMAND COUNT x; A EXEC",
    "A MULTI; A QUIT",
];

#[test]
fn transactions_are_those_of_redis() {
    let redis = Server::redis(&["--enable-debug-command", "yes"]);
    let ours = Server::entourage(&[]);
    for conversation in CONVERSATIONS {
        let (expected, got) = (talk(&redis, conversation), talk(&ours, conversation));
        assert_eq!(got, expected, "{conversation}");
    }
}

/// The replies, each behind what it answers.
fn talk(server: &Server, conversation: &str) -> Vec<String> {
    let (mut a, mut b) = (server.dial(), server.dial());
    b.ask("FLUSHALL");
    b.ask("DEBUG SET-ACTIVE-EXPIRE 1");
    let lines = conversation.split(';').map(str::trim);
    let mut answer = |line: &str| match line.split_at(2) {
        (_, "SLEEP") => {
            std::thread::sleep(Duration::from_millis(40));
            Value::Simple("slept".into())
        }
        ("A ", words) => a.ask(words),
        (_, words) => b.ask(words),
    };
    lines.map(|it| format!("{it} -> {}", answer(it))).collect()
}

#[test]
fn nothing_waits_inside_a_transaction() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    let replies = all(&mut wire, &["MULTI", "SET a 1", "WAIT 99 0", "EXEC"]);
    let [_, Value::Int(_)] = replies[3].list() else { panic!("{}", replies[3]) };
}

#[test]
fn a_transaction_is_read_back_from_replicas() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    for round in 0..1000 {
        let set = format!("SET k {round}");
        all(&mut wire, &["MULTI", set.as_str(), "INCR n", "EXEC"]);
        assert_eq!(wire.ask("GET k").string(), round.to_string());
        assert_eq!(wire.ask("GET n").string(), (round + 1).to_string());
    }
}

/// A command that looks at the set finds the log as the commands before it have left it, and those
/// behind it go on.
#[test]
fn what_looks_at_members_within_a_transaction_sees_what_came_before() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    let lines = [
        "MULTI",
        "SET a 1",
        "INFO keyspace",
        "INCR a",
        "SELECT 1",
        "SET b 1",
        "DEBUG DIGEST MEMBERS",
        "PROXY NODES",
        "GET a",
        "EXEC",
        "DEBUG DIGEST MEMBERS",
    ];
    let mut replies = all(&mut wire, &lines);
    let (after, exec) = (replies.pop().unwrap(), replies.pop().unwrap());
    let [set, info, incr, select, other, digest, _, get] = exec.list() else { panic!("{exec}") };
    assert!(info.string().contains("db0:keys=1,"), "{info}");
    assert_eq!([set, incr, select, other].map(|it| it.to_string()), ["+OK", ":2", "+OK", "+OK"]);
    assert!(get.is_nil());
    // Of the first member, which is the master.
    assert_eq!(digest.list()[0], after.list()[0]);
}

#[test]
fn no_increment_is_lost_between_watch_and_exec() {
    const CLIENTS: usize = 4;
    const EACH: usize = 100;
    let ours = Server::entourage(&[]);
    let count = |mut wire: Wire| {
        let mut done = 0;
        while done < EACH {
            let seen = all(&mut wire, &["WATCH n", "GET n"]).pop().unwrap();
            let seen = if seen.is_nil() { 0 } else { seen.string().parse::<usize>().unwrap() };
            let set = format!("SET n {}", seen + 1);
            let outcome = all(&mut wire, &["MULTI", set.as_str(), "EXEC"]).pop().unwrap();
            done += usize::from(!outcome.is_nil());
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let wire = ours.dial();
            scope.spawn(|| count(wire));
        }
    });
    assert_eq!(ours.dial().ask("GET n").string(), (CLIENTS * EACH).to_string());
}

#[test]
fn a_client_that_leaves_watches_no_longer() {
    let ours = Server::entourage(&[]);
    let mut leaving = ours.dial();
    leaving.ask("WATCH a");
    leaving.ask("MULTI");
    drop(leaving);
    let mut wire = ours.dial();
    until("the other to be gone", || {
        (wire.ask("CLIENT LIST").string().lines().count() == 1).then_some(())
    });
    assert_eq!(all(&mut wire, &["WATCH a", "SET b 1", "MULTI", "EXEC"])[3].to_string(), "[]");
}

fn all(wire: &mut Wire, lines: &[&str]) -> Vec<Value> {
    lines.iter().map(|it| wire.ask(it)).collect()
}

#[test]
fn a_client_may_watch_many_keys_and_is_told_when_they_are_too_many() {
    const KEYS_MAX: usize = 64 << 10;
    let ours = Server::entourage(&[]);
    let (mut wire, mut other) = (ours.dial(), ours.dial());
    let watches: Vec<_> =
        (0..KEYS_MAX).map(|it| words(&["WATCH".into(), format!("k{it}")])).collect();
    assert!(wire.pipeline(&watches).iter().all(|it| it.to_string() == "+OK"));
    let refused = wire.ask("WATCH k0 more").to_string();
    assert!(refused.starts_with("-WATCHLIMIT too many keys under WATCH"), "{refused}");
    assert_eq!(all(&mut wire, &["WATCH k0", "MULTI", "EXEC"])[2].to_string(), "[]");
    // All were let go.
    assert!(wire.pipeline(&watches).iter().all(|it| it.to_string() == "+OK"));
    other.ask(&format!("SET k{} 1", KEYS_MAX - 1));
    assert!(all(&mut wire, &["MULTI", "EXEC"])[1].is_nil());
}
