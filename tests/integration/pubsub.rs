//! Publish and subscribe: conversations that must be those of a real Redis frame by frame, clients
//! that people use, and what only a replica set has to keep.

use crate::support::wire::{Wire, encode};
use crate::support::{BOTH, Server, Value, info_field, order, python, until, within, words};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{scope, sleep};
use std::time::Duration;

/// What a program gets to run.
const SECONDS_MAX: &str = "60";

/// Conversations of two connections: each line says who speaks, and `B3` begins in RESP3. What
/// either receives behind each line must be equal.
const CONVERSATIONS: &[&str] = &[
    // The names are those of Redis' own unit/pubsub.
    "A PUBLISH a hi; B SUBSCRIBE a b; A PUBLISH a hi; A PUBLISH b hi; B UNSUBSCRIBE a; \
     A PUBLISH a gone; A PUBLISH b hi; B UNSUBSCRIBE b; A PUBLISH b gone",
    "B SUBSCRIBE a a a; A PUBLISH a once; A PUBSUB NUMSUB a; B UNSUBSCRIBE a a",
    "B UNSUBSCRIBE; B UNSUBSCRIBE x y; B PUNSUBSCRIBE; B PUNSUBSCRIBE x; B SUNSUBSCRIBE; B PING",
    "B PSUBSCRIBE a.* b?c; A PUBLISH a.x hi; A PUBLISH bxc hi; A PUBLISH bc no; B PUNSUBSCRIBE a.*; \
     A PUBLISH a.x gone; B PUNSUBSCRIBE b?c",
    "B PSUBSCRIBE *; B SUBSCRIBE a; A PUBLISH a twice; A PUBSUB NUMPAT; A PUBSUB NUMSUB a; B UNSUBSCRIBE",
    "B PSUBSCRIBE h[ae]llo h\\*llo; A PUBLISH hello 1; A PUBLISH hallo 2; A PUBLISH h*llo 3",
    "B SUBSCRIBE a; B PSUBSCRIBE p; B SSUBSCRIBE s; B UNSUBSCRIBE; B PING; B PUNSUBSCRIBE; B PING; \
     B SUNSUBSCRIBE; B PING",
    "A SPUBLISH a 1; B SSUBSCRIBE a b; A SPUBLISH a 1; A PUBLISH a 1; A PUBSUB SHARDCHANNELS a*; \
     A PUBSUB SHARDNUMSUB a x; A PUBSUB CHANNELS; B SUNSUBSCRIBE a; A SPUBLISH a 1",
    "A PUBSUB CHANNELS; B SUBSCRIBE abc; A PUBSUB CHANNELS; A PUBSUB CHANNELS a*; A PUBSUB CHANNELS x*; \
     A PUBSUB NUMSUB; A PUBSUB NUMSUB abc x abc; A PUBSUB NUMPAT",
    "A PUBSUB; A PUBSUB NOSUCH; A PUBSUB NUMPAT x; A PUBSUB CHANNELS a b; A PUBLISH a; A PUBLISH a b c; \
     A SUBSCRIBE; A PSUBSCRIBE; A SPUBLISH a; A PUBSUB SHARDCHANNELS a b",
    // What a subscriber may say.
    "B SUBSCRIBE a; B GET k; B SET k v; B PING; B PING x; B PING x y; B ECHO x; B PUBLISH a x; B MULTI; \
     B CLIENT ID; B NOSUCH x; B GET; B HELLO; B AUTH x; B UNSUBSCRIBE a; B GET k; B PING",
    "B SUBSCRIBE a; B RESET; B PING; A PUBLISH a x; A PUBSUB NUMSUB a; B GET k",
    "B PSUBSCRIBE a; B SSUBSCRIBE a; B RESET; A PUBSUB NUMPAT; A SPUBLISH a x; B PING",
    "B SUBSCRIBE a; B QUIT; A PUBLISH a x",
    // A publisher that subscribes.
    "B3 SUBSCRIBE a; B PUBLISH a self; B PSUBSCRIBE *; B PUBLISH a both; B GET k; B PING; B PING x; \
     A PUBLISH a other; B UNSUBSCRIBE; B PUNSUBSCRIBE; B PUBLISH a nobody",
    "B3 SUBSCRIBE a; B HELLO 2; B GET k; B PING; A PUBLISH a x; B UNSUBSCRIBE; B HELLO 3; B PING",
    "B3 SSUBSCRIBE a; B SPUBLISH a x; B PUBLISH a x; B RESET; B PING",
    // Within transactions.
    "B MULTI; B SUBSCRIBE a b; B PUBLISH a x; B PING; B PING y; B UNSUBSCRIBE a; B EXEC; B GET k; \
     B UNSUBSCRIBE; B GET k",
    "B SUBSCRIBE a; A MULTI; A SET k v; A PUBLISH a x; A INCR n; A PUBLISH a y; A PUBSUB NUMSUB a; A EXEC",
    "B SUBSCRIBE a; A MULTI; A PUBLISH a x; A DISCARD; A MULTI; A PUBLISH a; A EXEC; A WATCH k; \
     A SET k v; A MULTI; A PUBLISH a x; A EXEC",
    "B3 MULTI; B PUBLISH a x; B SUBSCRIBE a; B PUBLISH a y; B PUNSUBSCRIBE; B EXEC; B PUBLISH a z",
    "B MULTI; B PSUBSCRIBE *; B EXEC; A PUBLISH a x; B MULTI; B PUNSUBSCRIBE *; B MULTI; B EXEC",
    // CLIENT REPLY silences no message.
    "B CLIENT REPLY OFF; B SUBSCRIBE a; A PUBLISH a x; B GET k; B PING; B UNSUBSCRIBE a",
    "B3 CLIENT REPLY SKIP; B SUBSCRIBE a; B PING; B CLIENT REPLY OFF; B GET k; A PUBLISH a x; \
     B CLIENT REPLY ON; B PING",
    // It is not a write.
    "B SUBSCRIBE a; A CONFIG SET min-replicas-to-write 9; A PUBLISH a x; A SET k v; A MULTI; A PUBLISH a x; \
     A EXEC; A CONFIG SET min-replicas-to-write 0",
    "A COMMAND GETKEYS PUBLISH a x; A COMMAND GETKEYS SUBSCRIBE a; A PUBSUB CHANNELS; A PUBSUB channels",
];

#[test]
fn conversations_are_those_of_redis() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    for conversation in CONVERSATIONS {
        talk(&redis, &ours, conversation, "");
        if !conversation.contains("B3") {
            talk(&redis, &ours, conversation, "HELLO 3");
        }
    }
}

/// Every frame that Redis says is awaited from ours; and before the end both answer RESET, which
/// stands behind all that there can be.
fn talk(redis: &Server, ours: &Server, conversation: &str, first: &str) {
    let mut theirs = [redis.dial(), redis.dial()];
    let mut own = [ours.dial(), ours.dial()];
    // Numbers of clients are compared, too.
    let (mut bystander, _same) = (redis.dial(), ours.dial());
    let mut has_quit = [false; 2];
    for wires in [&mut theirs, &mut own] {
        wires[0].ask("FLUSHALL");
        if !first.is_empty() || conversation.starts_with("B3") {
            wires[1].ask("HELLO 3");
        }
    }
    for line in conversation.split(';').map(str::trim) {
        let (who, line) = line.split_once(' ').expect("who speaks, and what");
        let who = usize::from(who != "A");
        let say = encode(&words(&line.split(' ').collect::<Vec<_>>()));
        theirs[who].send_raw(&say);
        own[who].send_raw(&say);
        // Redis is one thread, which sends what it has to say before it reads again.
        (0..2).for_each(|_| assert_eq!(bystander.ask("PING").string(), "PONG"));
        if line == "QUIT" {
            let ends = [theirs[who].read_to_end(), own[who].read_to_end()];
            assert_eq!(ends[0], ends[1], "{first} {conversation}");
            has_quit[who] = true;
        }
        for of in [0, 1].into_iter().filter(|of| !has_quit[*of]) {
            while theirs[of].has_input() {
                must_say_the_same(&mut theirs[of], &mut own[of], (first, conversation, line));
            }
        }
    }
    for of in [0, 1].into_iter().filter(|of| !has_quit[*of]) {
        let reset = encode(&words(&["RESET"]));
        theirs[of].send_raw(&reset);
        own[of].send_raw(&reset);
        let about = (first, conversation, "RESET");
        while must_say_the_same(&mut theirs[of], &mut own[of], about) != "+RESET" {}
    }
}

/// The next frame of Redis, which is ours, too.
fn must_say_the_same(theirs: &mut Wire, own: &mut Wire, about: (&str, &str, &str)) -> String {
    let ((wanted, bytes), got) = (theirs.read_raw(), own.read_raw());
    let hello = about.2.starts_with("HELLO") && !wanted.is_error();
    let is_same = got.1 == bytes || hello;
    assert!(is_same, "{} {}\n{}: {} not {wanted}", about.0, about.1, about.2, got.0);
    wanted.to_string()
}

#[test]
fn unsubscribing_from_all_tells_of_each() {
    for server in [Server::redis(&[]), Server::entourage(&[])] {
        let mut wire = server.dial();
        for (command, count) in [("SUBSCRIBE", 20), ("PSUBSCRIBE", 20)] {
            let names: Vec<String> = (0..count).map(|it| format!("c{it}")).collect();
            wire.send_raw(&encode(&words(&[&[command.to_owned()][..], &names].concat())));
            let told = wire.read_many(count);
            let counts: BTreeSet<i64> = told.iter().map(|it| it.list()[2].int().unwrap()).collect();
            assert_eq!(counts, (1..=count as i64).collect());
            wire.send_raw(&encode(&words(&[command.replace("SUB", "UNSUB")])));
            let told = wire.read_many(count);
            let left: Vec<i64> = told.iter().map(|it| it.list()[2].int().unwrap()).collect();
            assert_eq!(left, (0..count as i64).rev().collect::<Vec<_>>());
            let gone: BTreeSet<String> = told.iter().map(|it| it.list()[1].string()).collect();
            assert_eq!(gone, names.into_iter().collect());
        }
    }
}

#[test]
fn subscribers_are_listed_counted_and_killed_as_such() {
    for server in [Server::redis(&[]), Server::entourage(&[])] {
        let (mut reader, mut other, mut asking) = (server.dial(), server.dial(), server.dial());
        reader.ask("SUBSCRIBE a");
        reader.ask("PSUBSCRIBE p");
        other.ask("SSUBSCRIBE s");
        let mut list = |what: &str| asking.ask(what).string();
        let listed = list("CLIENT LIST TYPE pubsub");
        assert_eq!(listed.lines().count(), 2, "{listed}");
        for wanted in [" flags=P db=0 sub=1 psub=1 ssub=0 ", " flags=P db=0 sub=0 psub=0 ssub=1 "] {
            assert!(listed.contains(wanted), "{listed}");
        }
        assert_eq!(list("CLIENT LIST TYPE normal").lines().count(), 1);
        let mut field = |name: &str| info_field(&mut asking, "stats", name).unwrap();
        let fields = ["pubsub_channels", "pubsub_patterns", "pubsubshard_channels"];
        assert_eq!(fields.map(&mut field), ["1", "1", "1"]);
        assert_eq!(asking.ask("CLIENT KILL TYPE pubsub").int(), Some(2));
        assert!(reader.is_closed() && other.is_closed());
        until("nothing to be left", || {
            let mut field = |name: &str| info_field(&mut asking, "stats", name).unwrap();
            (fields.map(&mut field) == ["0", "0", "0"]).then_some(())
        });
    }
}

#[test]
fn a_subscriber_that_hangs_up_is_gone() {
    let server = Server::entourage(&[]);
    let mut asking = server.dial();
    for kind in ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
        let mut reader = server.dial();
        reader.ask(&format!("{kind} a"));
        reader.reset();
        until("nobody to receive it", || {
            let received = ["PUBLISH a x", "SPUBLISH a x"].map(|it| asking.ask(it).int());
            (received == [Some(0), Some(0)]).then_some(())
        });
    }
    // It is listening, not idle.
    asking.ask("CONFIG SET timeout 1");
    let mut reader = server.dial();
    reader.ask("SUBSCRIBE a");
    sleep(Duration::from_millis(2500));
    let mut asking = server.dial();
    assert_eq!(asking.ask("PUBLISH a x").int(), Some(1));
    assert_eq!(reader.read().list()[2].string(), "x");
}

/// Both replicas are paused while something is written and published: whoever has received the
/// message reads what was written before it, at every level.
#[test]
fn a_read_after_a_message_is_never_older_than_the_message() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let mut publisher = server.dial();
    publisher.ask("PROXY CONSISTENCY eventual");
    let levels = ["eventual", "bounded 3600000ms", "sticky", "global", "linearizable", "master"];
    for (round, level) in levels.iter().enumerate() {
        for within in [false, true] {
            let mut reader = server.dial();
            reader.ask("HELLO 3");
            let said = reader.ask(&format!("PROXY CONSISTENCY {level}"));
            assert!(!said.is_error(), "{level}: {said}");
            reader.ask("SUBSCRIBE a");
            publisher.ask("SET k old");
            publisher.ask("WAIT 2 10000");
            assert_eq!(reader.ask("GET k").string(), "old");
            order(&mut publisher, BOTH, "PAUSE");
            let value = format!("v{round}");
            let say = [format!("SET k {value}"), "PUBLISH a x".into()];
            let (before, after) =
                if within { (vec!["MULTI"], vec!["EXEC"]) } else { (vec![], vec![]) };
            let all = before.into_iter().chain(say.iter().map(String::as_str)).chain(after);
            all.for_each(|it| drop(publisher.ask(it)));
            assert!(matches!(reader.read(), Value::Push(_)));
            assert_eq!(reader.ask("GET k").string(), value, "{level}");
            order(&mut publisher, BOTH, "RESUME");
            reader.ask("UNSUBSCRIBE a");
            assert_eq!(reader.ask("GET k").string(), value, "{level}");
        }
    }
    // A reader that was told nothing shows that the test can fail.
    publisher.ask("WAIT 2 10000");
    order(&mut publisher, BOTH, "PAUSE");
    publisher.ask("SET k new");
    publisher.ask("PUBLISH a x");
    let mut reader = server.dial();
    reader.ask("PROXY CONSISTENCY eventual");
    assert_ne!(reader.ask("GET k").string(), "new");
    order(&mut publisher, BOTH, "RESUME");
}

/// Applications listen on one connection and read on others.
#[test]
fn what_one_connection_was_told_others_of_its_scope_see() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let (mut publisher, mut listener, mut reader) = (server.dial(), server.dial(), server.dial());
    for wire in [&mut listener, &mut reader] {
        wire.ask("CLIENT SETNAME app");
        wire.ask("PROXY CONSISTENCY sticky");
        let said = wire.ask("PROXY CONSISTENCY SCOPE client-name");
        assert!(!said.is_error(), "{said}");
    }
    listener.ask("SUBSCRIBE a");
    publisher.ask("SET k old");
    publisher.ask("WAIT 2 10000");
    order(&mut publisher, BOTH, "PAUSE");
    publisher.ask("SET k new");
    publisher.ask("PUBLISH a x");
    listener.read();
    assert_eq!(reader.ask("GET k").string(), "new");
    order(&mut publisher, BOTH, "RESUME");
}

#[test]
fn a_slow_subscriber_is_closed_and_nobody_else_notices() {
    let server = Server::entourage(&[]);
    let (mut publisher, mut reader, mut slow) = (server.dial(), server.dial(), server.dial());
    publisher.cmd(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 2mb 0 0"]);
    reader.ask("SUBSCRIBE a");
    slow.ask("SUBSCRIBE a");
    let body = "x".repeat(10_000);
    let mut received = Vec::new();
    for it in 0..3000 {
        let message = format!("{it}:{body}");
        received.push(publisher.cmd(&["PUBLISH", "a", &message]).int().unwrap());
        // It is never behind, or it would be slow as well.
        assert_eq!(reader.read().list()[2].string(), message);
    }
    assert_eq!((received[0], received[2999]), (2, 1), "one of them has been closed");
    slow.read_to_end();
    // A client that does not subscribe has the other limit.
    assert_eq!(info_field(&mut publisher, "clients", "clients_closed_for_output").unwrap(), "1");
}

/// What does not fit into its socket is kept, and comes whole.
#[test]
fn a_subscriber_that_reads_late_gets_every_message_whole() {
    let server = Server::entourage(&[]);
    let (mut publisher, mut readers) = (server.dial(), [server.dial(), server.dial()]);
    readers[1].ask("HELLO 3");
    readers.iter_mut().for_each(|it| drop(it.ask("SUBSCRIBE a")));
    let message = |it: usize| format!("{it}:{}", "x".repeat(it * 997 % 150_000));
    const COUNT: usize = 200;
    for it in 0..COUNT {
        assert_eq!(publisher.cmd(&["PUBLISH", "a", &message(it)]).int(), Some(2));
    }
    for (reader, first) in readers.iter_mut().zip(*b"*>") {
        for it in 0..COUNT {
            let (value, bytes) = reader.read_raw();
            assert_eq!(bytes[0], first);
            assert_eq!(value.list()[2].string(), message(it), "{it}");
        }
        assert!(!reader.ask("PING").is_error(), "it is served as before");
    }
}

#[test]
fn the_messages_of_a_publisher_keep_their_order() {
    let server = Server::entourage(&[]);
    let mut reader = server.dial();
    reader.ask("SUBSCRIBE a");
    const EACH: usize = 20_000;
    scope(|scope| {
        for name in ["p", "q"] {
            let mut wire = server.dial();
            scope.spawn(move || {
                let publish = |it: usize| words(&["PUBLISH", "a", &format!("{name}:{it}")]);
                for part in 0..EACH / 100 {
                    let part = part * 100;
                    wire.pipeline(&(part..part + 100).map(publish).collect::<Vec<_>>());
                }
            });
        }
        let mut next = [0, 0];
        for _ in 0..2 * EACH {
            let text = reader.read().list()[2].string();
            let (name, number) = text.split_once(':').unwrap();
            let of = usize::from(name == "q");
            assert_eq!(number.parse::<usize>().unwrap(), next[of], "{name}");
            next[of] += 1;
        }
    });
}

/// More receivers than a worker hands messages to: a thread for long work does it, in order.
#[test]
fn very_many_receive_a_message() {
    let server = Server::entourage(&[]);
    let (mut publisher, mut reader) = (server.dial(), server.dial());
    const PATTERNS: usize = 3000;
    let patterns = (0..PATTERNS).map(|it| format!("a*[a{it}]")).collect();
    let all = [vec!["PSUBSCRIBE".to_owned()], patterns].concat();
    reader.send_raw(&encode(&words(&all)));
    reader.read_many(PATTERNS);
    let publish = |it: u32| words(&["PUBLISH", "aaaa", &it.to_string()]);
    publisher.send(&(0..3).map(publish).collect::<Vec<_>>());
    publisher.send(&[words(&["PING"])]);
    for round in 0..3 {
        let got = reader.read_many(PATTERNS);
        assert!(got.iter().all(|it| it.list()[3].string() == round.to_string()));
        assert_eq!(publisher.read().int(), Some(PATTERNS as i64));
    }
    assert_eq!(publisher.read().string(), "PONG");
}

#[test]
fn very_many_channels_are_subscribed_to_and_left() {
    let server = Server::entourage(&[]);
    let (mut reader, mut asking) = (server.dial(), server.dial());
    let names: Vec<String> = (0..100_000).map(|it| format!("channel:{it}")).collect();
    let all = [vec!["SUBSCRIBE".to_owned()], names].concat();
    let bytes = encode(&words(&all));
    let told = scope(|scope| {
        scope.spawn(|| reader.send_raw(&bytes));
        within(Duration::from_secs(30), || {
            let channels = info_field(&mut asking, "stats", "pubsub_channels")?;
            (channels == "100000").then_some(())
        })
    });
    assert!(told.is_some());
    assert_eq!(asking.ask("PUBSUB CHANNELS").list().len(), 100_000);
    assert_eq!(asking.ask("PUBLISH channel:99999 x").int(), Some(1));
    reader.reset();
    until("all of them to be left", || {
        let channels = info_field(&mut asking, "stats", "pubsub_channels")?;
        (channels == "0").then_some(())
    });
}

#[test]
fn an_own_message_outlives_a_transaction_that_is_not_confirmed() {
    let server = Server::entourage(&[]);
    let mut client = server.dial();
    let before = ["HELLO 3", "SUBSCRIBE a", "PROXY ACKS 3 1"];
    for line in before.into_iter().chain(["MULTI", "SET k v", "PUBLISH a x"]) {
        client.ask(line);
    }
    let told = [client.ask("EXEC"), client.read()].map(|it| it.to_string());
    for part in ["NOTDURABLE", "message"] {
        assert!(told.iter().any(|it| it.contains(part)), "{told:?}");
    }
}

#[test]
fn a_pause_holds_publishers_back() {
    let server = Server::entourage(&[]);
    let (mut operator, mut publisher, mut reader) = (server.dial(), server.dial(), server.dial());
    reader.ask("SUBSCRIBE a");
    for say in [&["PUBLISH a x"][..], &["MULTI", "PUBLISH a x", "EXEC"]] {
        operator.ask("CLIENT PAUSE 30000 WRITE");
        publisher.send(
            &say.iter().map(|it| it.split(' ').map(Into::into).collect()).collect::<Vec<_>>(),
        );
        sleep(Duration::from_millis(50));
        assert!(!reader.has_input());
        operator.ask("CLIENT UNPAUSE");
        assert_eq!(reader.read().list()[2].string(), "x");
        publisher.read_many(say.len());
    }
}

#[test]
fn a_failover_loses_no_message_and_no_subscriber() {
    let server = Server::entourage(&[]);
    let (mut operator, mut publisher, mut reader) = (server.dial(), server.dial(), server.dial());
    reader.ask("HELLO 3");
    reader.ask("SUBSCRIBE a");
    scope(|scope| {
        scope.spawn(|| {
            for it in 0..2000 {
                publisher.ask(&format!("SET k {it}"));
                assert_eq!(publisher.ask(&format!("PUBLISH a {it}")).int(), Some(1));
            }
        });
        scope.spawn(|| {
            for it in 0..20 {
                operator.ask(&format!("PROXY FAILOVER TO n{}", it % 3 + 1));
                sleep(Duration::from_millis(5));
            }
        });
        for it in 0..2000 {
            assert_eq!(reader.read().list()[2].string(), it.to_string());
        }
    });
    assert_eq!(reader.ask("GET k").string(), "1999");
}

/// Runs a script of a client with the port as its argument; it ends with `ok`.
fn run_client(interpreter: &str, script: &str, dir: &Path, port: u16) {
    let mut command = Command::new("timeout");
    command.args([SECONDS_MAX, interpreter, script, &port.to_string()]).current_dir(dir);
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(told.trim().ends_with("ok"), "{interpreter} {script}: {told}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
fn redis_py_publishes_and_subscribes() {
    let server = Server::entourage(&[]);
    run_client(&python(), "pubsub_redis_py.py", &root().join("clients"), server.port());
}

#[test]
fn node_redis_and_ioredis_publish_and_subscribe() {
    let server = Server::entourage(&[]);
    run_client("node", "pubsub.js", &root().join("apps"), server.port());
}
