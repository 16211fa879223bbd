//! Nodes that follow a remote master and take every command: writes are forwarded, reads are served
//! here and never older than what was written or shown through the node.

use crate::support::{
    Server, Value, Wire, are_answered_in_order, are_left_out_as_asked, furnish, hold_the_same,
    info_field, ok, starts, until, until_caught_up, waits_are_served, words,
};
use std::thread;

/// A node that follows `master`, with its link up.
fn node_of(master: &Server, extra: &[&str]) -> Server {
    let address = format!("127.0.0.1:{}", master.port());
    let flags = [&["--replicaof", &address], extra].concat();
    let node = Server::entourage(&flags);
    let mut wire = node.dial();
    until("the link", || {
        (info_field(&mut wire, "replication", "master_link_status")? == "up").then_some(())
    });
    node
}

/// Every kind of master there is here.
fn masters() -> Vec<Server> {
    let real = [Some(Server::redis(&[])), Server::valkey()];
    real.into_iter().flatten().chain([Server::entourage(&[])]).collect()
}

#[test]
fn a_node_takes_every_command_and_reads_its_own_writes() {
    for master in masters() {
        let node = node_of(&master, &[]);
        let (mut ours, mut theirs) = (node.dial(), master.dial());
        furnish(&mut ours);
        until_caught_up(&mut ours, &mut theirs);
        hold_the_same(&mut ours, &mut theirs);
        for it in 0..2000 {
            let value = it.to_string();
            assert_eq!(ours.cmd(&["SET", "k", &value]).string(), "OK");
            assert_eq!(ours.ask("GET k").string(), value);
        }
        assert_eq!(ours.ask("INCR n").int(), Some(1));
        assert_eq!(ours.ask("HSET h f v").int(), Some(1));
        assert_eq!(ours.ask("HGET h f").string(), "v");
        starts(&ours.ask("LPUSH k x"), "WRONGTYPE");
        ours.ask("SELECT 7");
        ok(&mut ours, "SET seven 7");
        assert_eq!(ours.ask("GET seven").string(), "7");
        theirs.ask("SELECT 7");
        assert_eq!(theirs.ask("GET seven").string(), "7");
        assert_eq!(ours.ask("SELECT 0").string(), "OK");
        assert_eq!(ours.ask("GET n").string(), "1");
    }
}

#[test]
fn pipelines_are_answered_in_order() {
    for master in masters() {
        let node = node_of(&master, &[]);
        let mut wire = node.dial();
        are_answered_in_order(&mut wire, "c");
        wire.send_raw(b"SET a 1\r\nSET b 2\r\n*bad\r\n");
        assert_eq!(wire.read().string(), "OK");
        assert_eq!(wire.read().string(), "OK");
        starts(&wire.read(), "ERR Protocol error");
        until("the end", || wire.is_closed().then_some(()));
    }
}

#[test]
fn replies_are_left_out_as_asked_wherever_they_come_from() {
    for master in masters() {
        are_left_out_as_asked(&mut node_of(&master, &[]).dial());
        are_left_out_as_asked(&mut master.dial());
    }
}

#[test]
fn transactions_watches_and_blocking_calls_are_the_masters() {
    for master in masters() {
        let node = node_of(&master, &[]);
        let (mut ours, mut theirs, mut other) = (node.dial(), master.dial(), node.dial());
        ["MULTI", "SET a 1", "INCR a", "SELECT 3", "SET b 2"].iter().for_each(|it| {
            ours.ask(it);
        });
        let replies = ours.ask("EXEC");
        assert_eq!(replies.list().len(), 4, "{replies:?}");
        assert_eq!(replies.list()[1].int(), Some(2));
        assert_eq!(ours.ask("GET b").string(), "2", "the database is the one that was selected");
        ok(&mut ours, "SELECT 0");
        assert_eq!(ours.ask("GET a").string(), "2");
        // A transaction that is not done has selected nothing.
        ok(&mut ours, "WATCH a");
        ok(&mut theirs, "SET a 2");
        ["MULTI", "SELECT 5", "SET five 5"].iter().for_each(|it| {
            ours.ask(it);
        });
        assert!(ours.ask("EXEC").is_nil());
        ok(&mut ours, "SET zero 0");
        assert_eq!(theirs.ask("GET zero").string(), "0");
        // A watched key that changes at the master, and one that does not.
        ok(&mut ours, "WATCH a");
        ok(&mut theirs, "SET a 9");
        ours.ask("MULTI");
        ours.ask("SET a 10");
        assert!(ours.ask("EXEC").is_nil());
        ok(&mut ours, "WATCH a");
        assert_eq!(ours.ask("GET a").string(), "9");
        ours.ask("MULTI");
        ours.ask("SET a 10");
        assert_eq!(ours.ask("EXEC").list().len(), 1);
        assert_eq!(theirs.ask("GET a").string(), "10");
        ok(&mut ours, "WATCH a");
        ok(&mut ours, "UNWATCH");
        ok(&mut theirs, "SET a 11");
        ours.ask("MULTI");
        ours.ask("GET a");
        assert_eq!(ours.ask("EXEC").list()[0].string(), "11");
        // Who waits for a key is served when another node's client pushes.
        // One that hangs up leaves nothing behind: the element stays.
        waits_are_served(&mut ours, &mut other, node.dial(), &mut theirs);
    }
}

#[test]
fn a_message_reaches_subscribers_at_every_node() {
    for master in masters() {
        let nodes = [node_of(&master, &[]), node_of(&master, &[])];
        let mut listeners = [nodes[0].dial(), nodes[1].dial(), master.dial()];
        for it in &mut listeners {
            it.ask("SUBSCRIBE news");
        }
        assert_eq!(nodes[0].dial().ask("PUBLISH news hello").int(), Some(1), "at the master");
        for it in &mut listeners {
            assert_eq!(it.read().list()[2].string(), "hello");
        }
    }
}

/// Several clients of one node share what was written and shown through it.
#[test]
fn nobody_at_a_node_sees_less_than_was_told_there() {
    let master = Server::redis(&[]);
    let node = node_of(&master, &["--replicas", "2"]);
    let port = node.port();
    ok(&mut node.dial(), "SET n 0");
    let writers: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                let mut wire = Wire::dial(port).expect("a connection");
                let mut reader = Wire::dial(port).expect("a connection");
                for _ in 0..1500 {
                    let told = wire.ask("INCR n").int().expect("a number");
                    let seen: i64 = reader.ask("GET n").string().parse().expect("a number");
                    assert!(told <= seen, "told {told}, seen {seen}");
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|it| it.join().expect("nothing older"));
    assert_eq!(node.dial().ask("GET n").string(), "3000");
}

#[test]
fn what_was_sent_and_not_answered_is_an_error_and_never_sent_again() {
    let master = Server::redis(&[]);
    let node = node_of(&master, &[]);
    let (mut ours, mut theirs) = (node.dial(), master.dial());
    ok(&mut ours, "SET n 0");
    let lost = thread::scope(|scope| {
        let port = node.port();
        let writer = scope.spawn(move || {
            let mut wire = Wire::dial(port).expect("a connection");
            let (mut done, mut lost) = (0, 0);
            while done < 3000 {
                let reply = wire.ask("INCR n");
                match reply.int() {
                    Some(_) => done += 1,
                    None => {
                        let text = reply.string();
                        assert!(
                            text.starts_with("FORWARDLOST") || text.starts_with("MASTERDOWN"),
                            "{text}"
                        );
                        lost += i64::from(text.starts_with("FORWARDLOST"));
                    }
                }
            }
            (done, lost)
        });
        while !writer.is_finished() {
            theirs.ask("CLIENT KILL TYPE normal SKIPME yes");
            thread::sleep(std::time::Duration::from_millis(20));
        }
        let (done, lost) = writer.join().expect("it wrote");
        let count: i64 = theirs.ask("GET n").string().parse().expect("a number");
        assert!((done..=done + lost).contains(&count), "{done} done, {lost} lost, {count} counted");
        lost
    });
    let _ = lost;
    drop(master);
    until("the master's end to be told", || {
        ours.ask("SET n 1").string().starts_with("MASTERDOWN").then_some(())
    });
    assert!(!ours.ask("GET n").is_error(), "what is here is served");
}

#[test]
fn levels_that_only_the_master_can_keep_are_asked_of_it() {
    let master = Server::redis(&[]);
    let node = node_of(&master, &[]);
    let (mut ours, mut theirs) = (node.dial(), master.dial());
    for level in ["linearizable", "master"] {
        ok(&mut ours, &format!("PROXY CONSISTENCY {level}"));
        for it in 0..300 {
            ok(&mut theirs, &format!("SET k {it}"));
            assert_eq!(ours.ask("GET k").string(), it.to_string(), "{level}");
        }
    }
}

/// How often the master has been asked to GET.
fn gets(master: &mut Wire) -> u64 {
    let told = info_field(master, "commandstats", "cmdstat_get");
    told.and_then(|it| it.split([',', '=']).nth(1)?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_read_with_a_bound_in_time_counts_from_what_the_master_has() {
    let master = Server::redis(&[]);
    let node = node_of(&master, &[]);
    let (mut ours, mut theirs) = (node.dial(), master.dial());
    ok(&mut theirs, "SET k old");
    until_caught_up(&mut ours, &mut theirs);
    ok(&mut ours, "PROXY CONSISTENCY bounded 1s");
    // Until the master has been asked, nobody knows how old the data is: the master is asked.
    until("reads to be served here", || {
        let before = gets(&mut theirs);
        assert_eq!(ours.ask("GET k").string(), "old");
        (gets(&mut theirs) == before).then_some(())
    });
    // A link that does not come back: what is here grows old.
    ok(&mut theirs, "ACL SETUSER default -psync");
    theirs.ask("CLIENT KILL TYPE replica");
    ok(&mut theirs, "SET k new");
    let mut eventual = node.dial();
    ok(&mut eventual, "PROXY CONSISTENCY eventual");
    assert_eq!(eventual.ask("GET k").string(), "old");
    until("the bound to be kept", || (ours.ask("GET k").string() == "new").then_some(()));
    assert_eq!(ours.ask("GET k").string(), "new");
    assert_eq!(eventual.ask("GET k").string(), "old");
    ok(&mut theirs, "ACL SETUSER default +psync");
    until("the link to be back", || (eventual.ask("GET k").string() == "new").then_some(()));
}

#[test]
fn a_node_told_to_be_read_only_refuses_writes_as_redis_does() {
    let master = Server::redis(&[]);
    let node = Server::entourage(&[]);
    let mut ours = node.dial();
    ok(&mut ours, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    until_caught_up(&mut ours, &mut master.dial());
    starts(&ours.ask("SET k v"), "READONLY You can't write against a read only replica.");
    ok(&mut ours, "CONFIG SET writes forward");
    ok(&mut ours, "SET k v");
    assert_eq!(ours.ask("GET k").string(), "v");
    ok(&mut ours, "CONFIG SET writes readonly");
    starts(&ours.ask("SET k v"), "READONLY");
    ok(&mut ours, "REPLICAOF NO ONE");
    ok(&mut ours, "SET k w");
}

/// Three nodes: the first hosts the master, the others follow, and one of those the other.
#[test]
fn nodes_follow_each_other() {
    let first = Server::entourage(&[]);
    let second = node_of(&first, &[]);
    let third = node_of(&second, &["--replicas", "1"]);
    let [mut one, mut two, mut three] = [first.dial(), second.dial(), third.dial()];
    furnish(&mut two);
    until_caught_up(&mut two, &mut one);
    until_caught_up(&mut three, &mut two);
    hold_the_same(&mut one, &mut two);
    hold_the_same(&mut one, &mut three);
    for it in 0..300 {
        let value = it.to_string();
        assert_eq!(three.cmd(&["SET", "k", &value]).string(), "OK");
        assert_eq!(three.ask("GET k").string(), value);
    }
    assert_eq!(one.ask("GET k").string(), "299");
    let above = |wire: &mut Wire| info_field(wire, "replication", "master_servers_above");
    assert_eq!([&mut one, &mut two, &mut three].map(above), [None, number(0), number(1)]);
}

fn number(it: u8) -> Option<String> {
    Some(it.to_string())
}

#[test]
fn client_unblock_ends_what_waits_at_the_master() {
    for master in masters() {
        let node = node_of(&master, &[]);
        let (mut ours, mut other, mut theirs) = (node.dial(), node.dial(), master.dial());
        let id = ours.ask("CLIENT ID").int().expect("a number");
        let blocked = |wire: &mut Wire| info_field(wire, "clients", "blocked_clients");
        for how in ["TIMEOUT", "ERROR"] {
            ours.send(&[words(&["BLPOP", "list", "0"])]);
            until("it to wait", || (blocked(&mut theirs)? == "1").then_some(()));
            assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id} {how}")).int(), Some(1));
            let reply = ours.read();
            match how {
                "ERROR" => starts(&reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
                _ => assert!(reply.is_nil(), "{reply:?}"),
            }
            until("nobody to wait", || (blocked(&mut theirs)? == "0").then_some(()));
        }
        assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id}")).int(), Some(0));
        // Nobody is left who would take what comes.
        assert_eq!(other.ask("RPUSH list x").int(), Some(1));
        assert_eq!(other.ask("LLEN list").int(), Some(1));
        assert_eq!(ours.ask("BLPOP list 1").list()[1].string(), "x");
    }
}

#[test]
fn wait_counts_the_replicas_of_the_master() {
    for master in masters() {
        let nodes = [node_of(&master, &[]), node_of(&master, &[])];
        let (mut ours, mut other) = (nodes[0].dial(), nodes[0].dial());
        for round in 0..3 {
            ok(&mut ours, &format!("SET k {round}"));
            assert_eq!(ours.ask("WAIT 2 10000").int(), Some(2), "both nodes are its replicas");
        }
        ok(&mut ours, "SET k v");
        assert!(ours.ask("WAIT 9 30").int().is_some_and(|it| it <= 2));
        starts(&ours.ask("WAIT 1 -1"), "ERR timeout is negative");
        let id = ours.ask("CLIENT ID").int().expect("a number");
        let unblock = format!("CLIENT UNBLOCK {id}");
        for how in ["TIMEOUT", "ERROR"] {
            ours.send(&[words(&["WAIT", "9", "0"])]);
            let line = format!("{unblock} {how}");
            until("it to wait", || (other.ask(&line).int()? == 1).then_some(()));
            let reply = ours.read();
            match how {
                "ERROR" => starts(&reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
                _ => assert!(reply.int().is_some_and(|it| it <= 2), "{reply:?}"),
            }
        }
    }
}

#[test]
fn who_asks_hears_what_the_master_answers_and_why() {
    let master = Server::redis(&[]);
    let node = node_of(&master, &[]);
    let mut wire = node.dial();
    let remote = format!("remote 127.0.0.1:{}", master.port());
    let last = |wire: &mut Wire| wire.ask("PROXY LAST").to_string();
    let explained =
        |wire: &mut Wire, line: &str| wire.ask(&format!("PROXY EXPLAIN {line}")).to_string();
    let tells = |text: &str, words: &[&str]| {
        words.iter().for_each(|it| assert!(text.contains(it), "{it} in {text}"));
    };
    ok(&mut wire, "SET k v");
    tells(&last(&mut wire), &["\"write\"", &remote]);
    tells(&explained(&mut wire, "SET k v"), &[&format!("chosen {remote}"), "because write: "]);
    assert_eq!(wire.ask("GET k").string(), "v");
    assert!(!last(&mut wire).contains(&remote));
    assert!(!explained(&mut wire, "GET k").contains(&remote));
    for (level, because) in [("master", "asked-master"), ("linearizable", "linearizable")] {
        ok(&mut wire, &format!("PROXY CONSISTENCY {level}"));
        assert_eq!(wire.ask("GET k").string(), "v");
        tells(&last(&mut wire), &[because, level, &remote]);
        let because = format!("because {because}: ");
        tells(&explained(&mut wire, "GET k"), &[&format!("chosen {remote}"), &because]);
    }
    ok(&mut wire, "PROXY CONSISTENCY eventual");
    wire.ask("GET k");
    assert!(!last(&mut wire).contains(&remote));
}

/// A master that makes no snapshot before it is told.
const NO_SNAPSHOTS: [&str; 4] =
    ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "3600"];

/// Tells it.
fn allow_snapshots(master: &Server) {
    ok(&mut master.dial(), "CONFIG SET repl-diskless-sync-delay 0");
}

/// Writes at a node whose link is not there, and reads them there, at every level that promises
/// that. Answers the wires, each of which has written.
fn write_without_a_link(node: &Server, keys: &str) -> Vec<Wire> {
    let levels = ["sticky", "global", "sticky SCOPE client-name"];
    let writers = levels.iter().enumerate().map(|(number, level)| {
        let [mut writer, mut reader] = [(); 2].map(|()| node.dial());
        let others = match number {
            0 => vec![],
            _ => vec![&mut reader],
        };
        let key = format!("{keys}{number}");
        ok(&mut writer, &format!("CLIENT SETNAME {keys}"));
        ok(&mut writer, &format!("PROXY CONSISTENCY {level}"));
        for it in 0..20 {
            ok(&mut writer, &format!("SET {key} {it}"));
            assert_eq!(writer.ask(&format!("GET {key}")).string(), it.to_string(), "{level}");
        }
        for other in others {
            ok(other, &format!("CLIENT SETNAME {keys}"));
            ok(other, &format!("PROXY CONSISTENCY {level}"));
            assert_eq!(other.ask(&format!("GET {key}")).string(), "19", "{level}, another");
        }
        writer
    });
    writers.collect()
}

fn is_of_master(last: &crate::support::Value) -> bool {
    format!("{last}").contains("remote")
}

/// What the master tells before its first snapshot has come is of a history that nobody here knows.
#[test]
fn a_node_that_has_nothing_yet_reads_its_own_writes() {
    let master = Server::redis(&NO_SNAPSHOTS);
    let port = master.port();
    let address = format!("127.0.0.1:{port}");
    let node = Server::entourage(&["--replicaof", &address]);
    let mut wire = node.dial();
    let is_up = |wire: &mut Wire| {
        info_field(wire, "replication", "master_link_status").as_deref() == Some("up")
    };
    let mut first = write_without_a_link(&node, "first");
    assert!(!is_up(&mut wire));
    allow_snapshots(&master);
    until("the link", || is_up(&mut wire).then_some(()));
    for (number, writer) in first.iter_mut().enumerate() {
        for _ in 0..3 {
            let read = format!("GET first{number}");
            assert_eq!(writer.ask(&read).string(), "19", "nothing was lost");
        }
        assert!(!is_of_master(&writer.ask("PROXY LAST")), "reads have come here");
    }

    // The next master has another history, and nothing of this one.
    drop(master);
    let next = Server::redis_at(port, &NO_SNAPSHOTS);
    until("the next master", || (wire.ask("SET other 1").string() == "OK").then_some(()));
    assert_eq!(wire.ask("GET other").string(), "1");
    write_without_a_link(&node, "second");
    // What members here show raises no floor above what the master has told.
    let mut reader = node.dial();
    ok(&mut reader, "SET fourth 1");
    assert!(reader.ask("PROXY ONCE LEVEL eventual DO GET fourth").is_nil());
    assert_eq!(reader.ask("GET fourth").string(), "1");
    let token = reader.ask("PROXY TOKEN").string();
    ok(&mut reader, "PROXY CONSISTENCY sticky");
    ok(&mut reader, &format!("PROXY ATLEAST {token}"));
    assert_eq!(reader.ask("GET fourth").string(), "1");
    for (number, writer) in first.iter_mut().enumerate().skip(1) {
        ok(writer, &format!("SET third{number} x"));
        assert_eq!(writer.ask(&format!("GET third{number}")).string(), "x");
    }
    assert!(!is_up(&mut wire));
    allow_snapshots(&next);
    until("the link", || is_up(&mut wire).then_some(()));
    for (number, writer) in first.iter_mut().enumerate() {
        // With the first reply, or behind one that came from the master.
        let read = format!("GET third{number}");
        let is_lost = |it: Value| it.is_error() && it.string().starts_with("LOSTWRITE");
        let told = (0..4).filter(|_| is_lost(writer.ask(&read))).count();
        assert_eq!(told, 1, "what the first master had is lost, and that is told once");
    }
}

#[test]
fn a_script_that_is_known_at_the_node_alone_is_run_by_its_master() {
    const TEXT: &str = "return redis.call('INCR', KEYS[1])";
    for master in masters() {
        let node = node_of(&master, &[]);
        let (mut ours, mut theirs) = (node.dial(), master.dial());
        let sha = ours.cmd(&["SCRIPT", "LOAD", TEXT]).string();
        let call = ["EVALSHA", &sha, "1", "n"];
        assert_eq!(ours.cmd(&call).int(), Some(1));
        // A master that has forgotten it, as one does that has been started again.
        let forget = |theirs: &mut Wire| ok(theirs, "SCRIPT FLUSH");
        forget(&mut theirs);
        assert_eq!(ours.cmd(&call).int(), Some(2));
        forget(&mut theirs);
        ours.send(&[words(&call), words(&["INCRBY", "n", "0"]), words(&["GET", "n"])]);
        let told = [ours.read(), ours.read(), ours.read()].map(|it| it.to_string());
        assert_eq!(told, [":3", ":3", "\"3\""], "in their order");
        for (watches, sum) in [(false, 4 + 5), (true, 6 + 7)] {
            forget(&mut theirs);
            if watches {
                ok(&mut ours, "WATCH other");
            }
            ours.ask("MULTI");
            (0..2).for_each(|_| drop(ours.cmd(&call)));
            let told = ours.ask("EXEC");
            assert_eq!(told.list().iter().filter_map(Value::int).sum::<i64>(), sum, "{told}");
        }
        // What nobody knows, and what only the script itself says.
        let unknown = ["EVALSHA", &"0".repeat(40), "0"];
        starts(&ours.cmd(&unknown), "NOSCRIPT");
        let says = "return redis.error_reply('NOSCRIPT of my own')";
        let sha = ours.cmd(&["SCRIPT", "LOAD", says]).string();
        starts(&ours.cmd(&["EVALSHA", &sha, "0"]), "NOSCRIPT of my own");
        // A read of the master, as its level asks.
        let look = ours.cmd(&["SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])"]).string();
        ok(&mut ours, "PROXY CONSISTENCY linearizable");
        assert_eq!(ours.cmd(&["EVALSHA_RO", &look, "1", "n"]).string(), "7");
    }
}
