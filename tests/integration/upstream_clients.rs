//! What a client says of its own session in front of real servers: its database, its transactions,
//! the replies that it does not want, what it waits for while the master changes.

use crate::support::upstream::states;
use crate::support::{Kind, RealSet, Server, Value, Wire, ok, starts, until, until_blocked, words};

fn said(value: &Value) -> String {
    value.int().map_or_else(|| value.string(), |it| it.to_string())
}

/// Does these in a transaction.
fn transact(wire: &mut Wire, commands: &[&str]) -> Vec<String> {
    ok(wire, "MULTI");
    commands.iter().for_each(|it| drop(wire.ask(it)));
    wire.ask("EXEC").list().iter().map(said).collect()
}

/// Which of the first databases at this server has `k`.
fn where_is(server: &Server, key: &str) -> Vec<usize> {
    let mut wire = server.dial();
    let has = |wire: &mut Wire, db: usize| {
        wire.ask(&format!("SELECT {db}"));
        wire.ask(&format!("EXISTS {key}")).int() == Some(1)
    };
    (0..4).filter(|it| has(&mut wire, *it)).collect()
}

#[test]
fn a_database_that_the_servers_do_not_have_is_not_selected() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &["--databases", "4"]);
        let proxy = set.proxy("");
        let (mut ours, mut other) = (proxy.dial(), proxy.dial());
        for _ in 0..2 {
            starts(&ours.ask("SELECT 10"), "ERR DB index is out of range");
        }
        ok(&mut ours, "SET k 1");
        assert_eq!(where_is(&set.members[0], "k"), [0], "it is where it was");
        ok(&mut other, "SELECT 3");
        ok(&mut other, "SET three 1");
        ok(&mut other, "FLUSHDB");
        assert_eq!(where_is(&set.members[0], "k"), [0]);
        assert!(where_is(&set.members[0], "three").is_empty());
    }
}

#[test]
fn a_user_that_may_not_select_stays_where_it_is() {
    let set = RealSet::new(Kind::Redis, 0, &[]);
    ok(&mut set.members[0].dial(), "ACL SETUSER proxy on >secret ~* &* +@all -select");
    let proxy = set.proxy("[upstream]\nuser = \"proxy\"\npassword = \"secret\"\n");
    let mut ours = proxy.dial();
    starts(&ours.ask("SELECT 2"), "NOPERM");
    ok(&mut ours, "SET k 1");
    assert_eq!(where_is(&set.members[0], "k"), [0]);
}

#[test]
fn what_a_transaction_selects_is_what_the_server_has_selected() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("");
    let mut ours = proxy.dial();
    let told = transact(&mut ours, &["SELECT 2", "SELECT 99"]);
    assert!(told[1].contains("ERR DB index"), "{told:?}");
    ok(&mut ours, "SET two 1");
    assert_eq!(where_is(&set.members[0], "two"), [2]);
    for odd in ["SELECT +3", "SELECT 03", "SELECT x"] {
        transact(&mut ours, &[odd]);
        ok(&mut ours, "SET two 1");
        assert_eq!(where_is(&set.members[0], "two"), [2], "{odd}");
    }
    transact(&mut ours, &["SELECT 1", "SET one 1", "SELECT 3"]);
    ok(&mut ours, "SET three 1");
    assert_eq!(where_is(&set.members[0], "one"), [1]);
    assert_eq!(where_is(&set.members[0], "three"), [3]);
}

#[test]
fn a_server_that_is_busy_with_a_script_puts_nothing_where_it_does_not_belong() {
    let set = RealSet::new(Kind::Redis, 0, &[]);
    let mut theirs = set.members[0].dial();
    ok(&mut theirs, "CONFIG SET busy-reply-threshold 50");
    let proxy = set.proxy("");
    let (mut ours, mut long) = (proxy.dial(), set.members[0].dial());
    ok(&mut theirs, "SET k kept");
    ok(&mut ours, "SELECT 3");
    ok(&mut ours, "SELECT 0");
    ok(&mut ours, "SET warm 1");
    long.send(&[words(&["EVAL", "while true do end", "0"])]);
    until("it to be busy", || theirs.ask("GET k").to_string().contains("BUSY").then_some(()));
    ok(&mut ours, "SELECT 3");
    ours.send(&[words(&["SET", "three", "1"])]);
    until("it to end", || (theirs.ask("SCRIPT KILL").string() == "OK").then_some(()));
    ours.read();
    until("a write", || (ours.ask("SET three 2").string() == "OK").then_some(()));
    assert_eq!(where_is(&set.members[0], "three"), [3]);
    ok(&mut ours, "FLUSHDB");
    assert_eq!(theirs.ask("GET k").string(), "kept");
}

#[test]
fn replies_that_nobody_wants_are_not_sent_and_no_other_is_held_back() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("");
    let mut ours = proxy.dial();
    ok(&mut ours, "SET before 1");
    for silent in ["SET k 1", "GET k", "EVAL return(1) 0", "KEYS k", "INCR k"] {
        for lines in [
            vec!["CLIENT REPLY SKIP", silent, "ECHO x"],
            vec!["SET a 1", "CLIENT REPLY SKIP", silent, "GET before", "ECHO x"],
            vec!["CLIENT REPLY OFF", "SET a 1", silent, "GET before", "CLIENT REPLY ON", "ECHO x"],
        ] {
            ours.send(
                &lines
                    .iter()
                    .map(|it| words(&it.split(' ').collect::<Vec<_>>()))
                    .collect::<Vec<_>>(),
            );
            let mut told = Vec::new();
            while told.last().map(String::as_str) != Some("x") {
                told.push(said(&ours.read()));
            }
            let wanted: &[&str] = match lines[0] {
                "SET a 1" => &["OK", "1", "x"],
                "CLIENT REPLY OFF" => &["OK", "x"],
                _ => &["x"],
            };
            assert_eq!(told, wanted, "{lines:?}");
        }
    }
}

#[test]
fn a_script_writes_no_more_than_its_gate_lets_through() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("[set]\nmin-replicas-to-write = 1\nmin-replicas-max-lag = \"1s\"\n");
    let mut ours = proxy.dial();
    until("the gate to open", || (!ours.ask("SET k 0").is_error()).then_some(()));
    set.members[1].freeze();
    until("the gate to close", || ours.ask("SET other 1").is_error().then_some(()));
    let script = "EVAL redis.call('INCR',KEYS[1]) 1 k";
    starts(&ours.ask(script), "NOREPLICAS");
    assert_eq!(ours.ask("EVAL_RO return(redis.call('GET',KEYS[1])) 1 k").string(), "0");
    ok(&mut ours, "MULTI");
    ours.ask(script);
    starts(&ours.ask("EXEC"), "EXECABORT Transaction discarded because of: NOREPLICAS");
    assert_eq!(set.members[0].dial().ask("GET k").string(), "0");
    set.members[1].thaw();
}

#[test]
fn what_is_watched_stays_so_until_a_transaction_has_ended() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("");
    let (mut ours, mut other) = (proxy.dial(), proxy.dial());
    ok(&mut ours, "WATCH k");
    starts(&ours.ask("DISCARD"), "ERR DISCARD without MULTI");
    ok(&mut other, "SET k theirs");
    ok(&mut ours, "MULTI");
    ours.ask("SET k ours");
    assert!(ours.ask("EXEC").is_nil());
    assert_eq!(other.ask("GET k").string(), "theirs");
}

#[test]
fn a_transaction_may_hold_what_a_server_does_at_once_within_one() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("");
    let mut ours = proxy.dial();
    let told = transact(&mut ours, &["SET k 1", "WAIT 5 0", "UNWATCH", "GET k"]);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!((told[0].as_str(), told[2].as_str(), told[3].as_str()), ("OK", "OK", "1"));
}

/// A set whose master does not answer any more, once another is in its place.
fn overtake(set: &RealSet, ours: &mut Wire) {
    ok(&mut set.members[1].dial(), "REPLICAOF NO ONE");
    until("the other to be the master", || (states(ours)[1] == "master").then_some(()));
}

#[test]
fn who_waits_at_a_master_that_is_none_any_more_is_told_so() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("[upstream]\nreplica-timeout = \"300ms\"\nreply-timeout = \"500ms\"\n");
    let (mut ours, mut waits) = (proxy.dial(), proxy.dial());
    ok(&mut ours, "SET k 1");
    waits.send(&[words(&["BLPOP", "list", "0"])]);
    until_blocked(&mut set.members[0].dial(), 1);
    set.members[0].freeze();
    overtake(&set, &mut ours);
    starts(&waits.read(), "UNBLOCKED");
    set.members[0].thaw();
}

#[test]
fn what_a_master_has_done_that_is_none_any_more_is_not_told_as_done() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy("[upstream]\nreplica-timeout = \"300ms\"\nreply-timeout = \"60s\"\n");
    let (mut ours, mut writes) = (proxy.dial(), proxy.dial());
    ok(&mut writes, "SET k 1");
    set.members[0].freeze();
    writes.send(&[words(&["SET", "k", "2"])]);
    overtake(&set, &mut ours);
    starts(&writes.read(), "FORWARDLOST");
    // It may be told first of what was lost. While the other says that it is a master, too, neither
    // gets writes: it goes on afterwards.
    until("a write", || (writes.ask("SET k 3").string() == "OK").then_some(()));
    assert_eq!(set.members[1].dial().ask("GET k").string(), "3");
    set.members[0].thaw();
}

#[test]
fn what_is_published_while_the_master_is_busy_is_heard() {
    let set = RealSet::new(Kind::Redis, 0, &[]);
    let proxy = set.proxy("");
    let mut listener = proxy.dial();
    assert_eq!(listener.ask("SUBSCRIBE c").list()[0].string(), "subscribe");
    let mut theirs = set.members[0].dial();
    theirs.send(&[words(&["DEBUG", "SLEEP", "2.5"]), words(&["PUBLISH", "c", "x"])]);
    theirs.read();
    theirs.read();
    assert_eq!(listener.read().list()[2].string(), "x");
}
