//! What belongs to a connection, in front of real servers that many clients share connections to:
//! databases, transactions, watches, blocking calls, subscriptions, scripts and scans.

use crate::support::upstream::states;
use crate::support::{
    Kind, RealSet, Value, Wire, info_field, ok, starts, until, waits_are_served, words,
};
use std::collections::BTreeSet;

const STICKY: &str = "[consistency]\nlevel = \"sticky\"\n";

#[test]
fn transactions_watches_and_blocking_calls_are_the_masters() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy(STICKY);
        let (mut ours, mut theirs, mut other) = (proxy.dial(), set.members[0].dial(), proxy.dial());
        ["MULTI", "SET a 1", "INCR a", "SELECT 3", "SET b 2"].iter().for_each(|it| {
            ours.ask(it);
        });
        let replies = ours.ask("EXEC");
        assert_eq!(replies.list().len(), 4, "{replies:?}");
        assert_eq!(ours.ask("GET b").string(), "2", "the database is the one that was selected");
        assert_eq!(other.ask("GET a").string(), "2", "and no other client's");
        ok(&mut ours, "SELECT 0");
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
        assert_eq!(ours.ask("GET a").string(), "10");
        // Who waits for a key keeps nobody else waiting.
        waits_are_served(&mut ours, &mut other, proxy.dial(), &mut theirs);
    }
}

#[test]
fn a_transaction_that_is_aborted_leaves_nothing_watched() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 0, &[]);
        let proxy = set.proxy(STICKY);
        let (mut ours, mut theirs) = (proxy.dial(), set.members[0].dial());
        for poison in ["NOSUCH", "SET k", "EVAL x", "GET k k"] {
            ok(&mut ours, "WATCH k");
            ok(&mut ours, "MULTI");
            ours.ask(poison);
            starts(&ours.ask("EXEC"), "EXECABORT");
            ok(&mut theirs, "SET k 1");
            // What is queued now depends on nothing that was watched before.
            ok(&mut ours, "MULTI");
            ours.ask("SET k 2");
            assert_eq!(ours.ask("EXEC").list().len(), 1, "{kind:?} {poison}");
            assert_eq!(theirs.ask("GET k").string(), "2");
            // Servers flag those whose watched keys have changed.
            let is_flagged =
                |it: &str| it.strip_prefix("flags=").is_some_and(|flags| flags.contains('d'));
            until("the server to have lost its watcher", || {
                let clients = theirs.ask("CLIENT LIST").string();
                (!clients.split_whitespace().any(is_flagged)).then_some(())
            });
        }
    }
}

#[test]
fn a_client_speaks_resp3_while_another_speaks_resp2() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let proxy = set.proxy(STICKY);
    let (mut three, mut two) = (proxy.dial(), proxy.dial());
    three.ask("HELLO 3");
    three.ask("HSET h f v");
    for _ in 0..50 {
        let (map, list) = (three.ask("HGETALL h"), two.ask("HGETALL h"));
        assert!(map.to_string().starts_with('%') || map.to_string() != list.to_string());
        assert_eq!(list.list().len(), 2);
    }
}

#[test]
fn subscribers_of_all_clients_share_one_connection() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy(STICKY);
        let mut listeners: Vec<Wire> = (0..20).map(|_| proxy.dial()).collect();
        for (at, it) in listeners.iter_mut().enumerate() {
            let word = if at % 2 == 0 { "SUBSCRIBE news" } else { "PSUBSCRIBE n*" };
            let reply = it.ask(word);
            assert!(reply.list()[0].string().ends_with("subscribe"), "{reply:?}");
        }
        let (mut ours, mut theirs) = (proxy.dial(), set.members[0].dial());
        assert_eq!(theirs.ask("PUBSUB NUMSUB news").list()[1].int(), Some(1));
        theirs.ask("PUBLISH news hello");
        ours.ask("PUBLISH news again");
        theirs.ask("PUBLISH nest egg");
        for (at, it) in listeners.iter_mut().enumerate() {
            let mut last = |wanted: &str| {
                assert_eq!(it.read().list().last().expect("a message").string(), wanted);
            };
            last("hello");
            last("again");
            if at % 2 == 1 {
                last("egg");
            }
        }
        // When nobody listens any more, nothing is subscribed to.
        drop(listeners);
        until("the end of it", || {
            (theirs.ask("PUBSUB NUMSUB news").list()[1].int() == Some(0)).then_some(())
        });
    }
}

#[test]
fn whoever_is_told_reads_nothing_older_than_what_its_publisher_had_written() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy(STICKY);
    let (mut listener, mut writer) = (proxy.dial(), proxy.dial());
    listener.ask("HELLO 3");
    listener.ask("SUBSCRIBE told");
    for it in 0..500 {
        let replies = writer.pipeline(&[
            words(&["SET", "k", &it.to_string()]),
            words(&["PUBLISH", "told", &it.to_string()]),
        ]);
        assert_eq!(replies[0].string(), "OK");
        let message = listener.read();
        assert_eq!(message.list()[2].string(), it.to_string());
        assert_eq!(listener.ask("GET k").string(), it.to_string());
    }
}

#[test]
fn scripts_are_known_to_all_servers_and_reading_ones_run_at_replicas() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy("[consistency]\nlevel = \"eventual\"\n");
        let mut wire = proxy.dial();
        let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        starts(&wire.cmd(&["EVALSHA", sha, "0"]), "NOSCRIPT");
        assert_eq!(wire.cmd(&["EVAL", "return 1", "0"]).int(), Some(1));
        assert_eq!(wire.cmd(&["EVALSHA", sha, "0"]).int(), Some(1));
        ok(&mut set.members[0].dial(), "SCRIPT FLUSH");
        assert_eq!(wire.cmd(&["EVALSHA", sha, "0"]).int(), Some(1), "the master is told again");
        ok(&mut set.members[0].dial(), "SCRIPT FLUSH");
        ["MULTI", &format!("EVALSHA {sha} 0")].iter().for_each(|it| drop(wire.ask(it)));
        assert_eq!(wire.ask("EXEC").list()[0].int(), Some(1), "and within a transaction");
        ok(&mut wire, "SET k v");
        let read = "return redis.call('GET', KEYS[1])";
        let load = wire.cmd(&["SCRIPT", "LOAD", read]).string();
        until("the replica", || {
            (wire.cmd(&["EVALSHA_RO", &load, "1", "k"]).string() == "v").then_some(())
        });
        let stats = set.members[1].dial().ask("INFO commandstats").string();
        assert!(stats.contains("cmdstat_evalsha_ro"), "{stats}");
        assert_eq!(wire.cmd(&["EVAL", "return redis.call('SET', 'a', 'b')", "0"]).string(), "OK");
        assert_eq!(set.members[0].dial().ask("GET a").string(), "b");
    }
}

fn is_lost(reply: &Value) -> bool {
    reply.text().is_some_and(|it| it.starts_with(b"SCANLOST"))
}

/// All keys that a scan finds.
fn scanned(wire: &mut Wire) -> Result<BTreeSet<String>, String> {
    let (mut cursor, mut found) = ("0".to_owned(), BTreeSet::new());
    loop {
        let reply = wire.cmd(&["SCAN", &cursor, "COUNT", "50"]);
        if is_lost(&reply) {
            return Err(reply.string());
        }
        let reply = reply.list();
        cursor = reply[0].string();
        found.extend(reply[1].list().iter().map(|it| it.string()));
        if cursor == "0" {
            return Ok(found);
        }
    }
}

#[test]
fn a_scan_stays_at_the_server_where_it_began() {
    for kind in Kind::all() {
        let mut set = RealSet::new(kind, 2, &[]);
        let proxy = set.proxy(&format!("{STICKY}[upstream]\nreplica-timeout = \"300ms\"\n"));
        let mut wire = proxy.dial();
        let keys: Vec<_> = (0..3000).map(|it| words(&["SET", &format!("k{it}"), "v"])).collect();
        wire.pipeline(&keys);
        wire.ask("WAIT 2 5000");
        for _ in 0..10 {
            let found = scanned(&mut wire).expect("every server is there");
            assert_eq!(found.len(), 3000);
        }
        // Once its server is gone it says so.
        let cursors: Vec<String> =
            (0..80).map(|_| wire.ask("SCAN 0 COUNT 10").list()[0].string()).collect();
        set.members.pop().expect("a replica").crash();
        until("it to be missed", || (states(&mut wire)[2] == "unreachable").then_some(()));
        let go_on = |it: &String| wire.cmd(&["SCAN", it, "COUNT", "10"]);
        let replies: Vec<Value> = cursors.iter().map(go_on).collect();
        let lost = replies.iter().filter(|it| is_lost(it)).count();
        assert!(0 < lost && lost < cursors.len(), "{lost} were of the server that is gone");
        assert!(replies.iter().all(|it| is_lost(it) || it.items().is_some()));
        let found = scanned(&mut wire).expect("the others are there");
        assert_eq!(found.len(), 3000);
        starts(&wire.ask("SCAN 127"), "SCANLOST");
    }
}

#[test]
fn a_script_that_answers_like_a_server_is_run_once() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy(STICKY);
        let mut ours = proxy.dial();
        let mut run = 0;
        for error in ["READONLY", "LOADING", "MASTERDOWN", "NOSCRIPT", "BUSY"] {
            let script = format!("redis.call('incr','n') return redis.error_reply('{error} mine')");
            let name = ours.cmd(&["SCRIPT", "LOAD", &script]).string();
            for words in [["EVAL", &script, "0"], ["EVALSHA", &name, "0"]] {
                starts(&ours.cmd(&words), error);
                run += 1;
                assert_eq!(ours.ask("GET n").string(), run.to_string(), "{error}");
            }
        }
    }
}

#[test]
fn a_replica_that_shows_nothing_old_is_asked_once() {
    let mut set = RealSet::new(Kind::Redis, 1, &["--replica-serve-stale-data", "no"]);
    let proxy = set.proxy(
        "[upstream]\nbuffer-for = \"5s\"\n[consistency]\nlevel = \"eventual\"\n\
         on-lag = [\"stale\", \"error\"]\n",
    );
    let mut ours = proxy.dial();
    ok(&mut ours, "SET k v");
    set.members.remove(0).crash();
    // While the master is thought to be there, a read may wait for it.
    until("it to be without a link, and the master to be missed", || {
        let states = states(&mut ours);
        (states[1] == "link-down" && states[0] != "master").then_some(())
    });
    starts(&ours.ask("GET k"), "LAGGED");
    let stats = set.members[0].dial().ask("INFO commandstats").string();
    let gets = stats.lines().find(|it| it.starts_with("cmdstat_get:")).unwrap_or_default();
    let refused = gets.split_once("rejected_calls=").and_then(|it| it.1.split(',').next());
    let refused: u32 = refused.and_then(|it| it.parse().ok()).expect("it was asked");
    assert!(refused <= 3, "{gets}");
    assert_eq!(ours.ask("PING").string(), "PONG");
}

#[test]
fn who_subscribes_to_much_and_goes_leaves_nothing() {
    let set = RealSet::new(Kind::Redis, 0, &[]);
    let proxy = set.proxy("");
    let mut theirs = set.members[0].dial();
    let mut ours = proxy.dial();
    let names: Vec<String> = (0..5000).map(|it| format!("c{it}")).collect();
    let all: Vec<&str> =
        std::iter::once("SUBSCRIBE").chain(names.iter().map(String::as_str)).collect();
    ours.send(&[words(&all)]);
    names.iter().for_each(|_| assert_eq!(ours.read().list()[0].string(), "subscribe"));
    let channels = |wire: &mut Wire| info_field(wire, "stats", "pubsub_channels");
    assert_eq!(channels(&mut theirs).as_deref(), Some("5000"));
    // Steady messages keep nobody from looking whether names are used.
    let mut listener = proxy.dial();
    listener.ask("SUBSCRIBE c1");
    drop(ours);
    until("the others to be given up", || {
        theirs.ask("PUBLISH c1 x");
        listener.read();
        (channels(&mut theirs)? == "1").then_some(())
    });
}

#[test]
fn who_may_not_subscribe_is_told_so() {
    let set = RealSet::new(Kind::Redis, 0, &[]);
    let mut theirs = set.members[0].dial();
    ok(&mut theirs, "ACL SETUSER proxy on >secret ~* +@all resetchannels &ok*");
    let proxy = set.proxy("[upstream]\nuser = \"proxy\"\npassword = \"secret\"\n");
    let (mut ours, mut other) = (proxy.dial(), proxy.dial());
    assert_eq!(ours.ask("SUBSCRIBE ok1").list()[0].string(), "subscribe");
    starts(&other.ask("SUBSCRIBE no"), "NOPERM");
    starts(&other.ask("SUBSCRIBE ok1 no"), "NOPERM");
    assert_eq!(other.ask("SUBSCRIBE ok1").list()[0].string(), "subscribe");
    theirs.ask("PUBLISH ok1 x");
    assert_eq!(ours.read().list()[2].string(), "x");
    assert_eq!(other.read().list()[2].string(), "x");
}

#[test]
fn private_connections_are_used_again_and_nothing_is_left_on_them() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 0, &[]);
        let mut theirs = set.members[0].dial();
        ok(&mut theirs, "CONFIG SET requirepass secret");
        ok(&mut theirs, "AUTH secret");
        let proxy = set.proxy("[upstream]\npassword = \"secret\"\n");
        let made = |wire: &mut Wire| {
            let made = info_field(wire, "stats", "total_connections_received");
            made.and_then(|it| it.parse::<u64>().ok()).expect("it is told")
        };
        let (mut ours, mut other) = (proxy.dial(), proxy.dial());
        let before = made(&mut theirs);
        for it in 0..60 {
            // One leaves another database, a watch or a transaction behind, and one another protocol.
            ok(&mut ours, &format!("SELECT {}", it % 3));
            assert_eq!(ours.ask("RPUSH l x").int(), Some(1));
            assert_eq!(ours.ask("BLPOP l 5").list()[1].string(), "x");
            ok(&mut ours, "WATCH l");
            ok(&mut ours, "MULTI");
            ours.ask("SET own 1");
            assert_eq!(ours.ask("EXEC").list().len(), 1);
            assert!(other.ask("BLPOP l 0.001").is_nil(), "database 0 has none");
            let protocol = if it % 2 == 0 { "HELLO 3" } else { "HELLO 2" };
            other.ask(protocol);
            until("them to be given back", || {
                let idle = info_field(&mut other, "replication", "upstream_idle_connections");
                (idle? != "0").then_some(())
            });
        }
        let new = made(&mut theirs) - before;
        assert!(new < 20, "{new} for 180 calls");
    }
}

#[test]
fn invalidations_are_refused_by_name() {
    let set = RealSet::new(Kind::Redis, 0, &[]);
    let proxy = set.proxy("");
    let mut wire = proxy.dial();
    wire.ask("HELLO 3");
    starts(&wire.ask("CLIENT TRACKING ON"), "NOTHOSTED CLIENT TRACKING");
    starts(&wire.ask("client caching yes"), "NOTHOSTED CLIENT TRACKING");
    starts(&wire.ask("CLIENT NOSUCH"), "ERR");
}
