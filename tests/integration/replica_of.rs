//! A hosted set that follows a real master over the wire: the same data, the same bytes at the same
//! offsets, through cuts, restarts and masters that do not behave.

use crate::support::{
    Server, Value, Wire, furnish, hold_the_same, info_field, starts, until, until_caught_up, words,
};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A master of each kind that there is here.
fn masters() -> Vec<Server> {
    let redis = Server::redis(&["--repl-diskless-sync-delay", "0"]);
    let valkey = Server::valkey_with(&["--repl-diskless-sync-delay", "0"]);
    [Some(redis), valkey].into_iter().flatten().collect()
}

fn redis() -> Server {
    Server::redis(&["--repl-diskless-sync-delay", "0"])
}

fn follow(ours: &mut Wire, port: u16) {
    assert_eq!(ours.ask(&format!("REPLICAOF 127.0.0.1 {port}")).to_string(), "+OK");
}

fn field(wire: &mut Wire, name: &str) -> String {
    info_field(wire, "replication", name).unwrap_or_default()
}

fn number(text: &[u8]) -> u64 {
    String::from_utf8_lossy(text).parse().expect("a number")
}

fn until_up(ours: &mut Wire) {
    until("the link to be up", || (field(ours, "master_link_status") == "up").then_some(()));
}

/// Waits until what the master has said so far is there, and all members have it.
fn until_same(master: &mut Wire, ours: &mut Wire) {
    until_caught_up(ours, master);
    until("members to agree", || {
        let members = ours.ask("DEBUG DIGEST MEMBERS");
        // A real server has one member, and does not say.
        if members.is_error() {
            return Some(());
        }
        let digests: Vec<Value> = members.list().iter().map(|it| it.list()[2].clone()).collect();
        digests.windows(2).all(|it| it[0] == it[1]).then_some(())
    });
}

fn assert_same(master: &mut Wire, ours: &mut Wire) {
    until_same(master, ours);
    hold_the_same(master, ours);
}

/// Writes that the stream says in another way than the client did, and the like.
const WRITES: &[&str] = &[
    "SET ttl v EX 1000",
    "SETEX ttl2 1000 v",
    "EXPIRE ttl 500",
    "GETEX ttl PERSIST",
    "INCRBYFLOAT f 1.5",
    "HINCRBYFLOAT hf a 2.25",
    "APPEND s abc",
    "SETRANGE s 5 x",
    "GETDEL s",
    "MSET a 1 b 2 c 3",
    "RENAME a d",
    "COPY b e",
    "MOVE c 3",
    "RPUSH l 1 2 3 4 5",
    "LPOP l 2",
    "LMOVE l l2 LEFT RIGHT",
    "LINSERT l BEFORE 4 x",
    "LTRIM l 0 5",
    "SADD set a b c d e f g h",
    "SPOP set 2",
    "SPOP set",
    "SMOVE set set2 zz",
    "SUNIONSTORE u set set2",
    "ZADD z 1 a 2 b 3 c",
    "ZINCRBY z 2.5 a",
    "ZPOPMIN z",
    "ZRANGESTORE z2 z 0 -1",
    "ZUNIONSTORE z3 2 z z2",
    "SORT l ALPHA STORE sorted",
    "UNLINK u",
    "PEXPIRE z 100000",
    "HSET h f v g w",
    "HDEL h f",
    "SET x 1 PX 1",
    "SETNX y 1",
    "INCR n",
    "BLPOP l 1",
    "LMPOP 1 l RIGHT COUNT 1",
    "ZMPOP 1 z3 MAX",
    "SWAPDB 4 5",
    "PUBLISH ch msg",
];

#[test]
fn every_type_travels_by_snapshot_and_by_stream() {
    for server in masters() {
        let ours = Server::entourage(&["--replicas", "2"]);
        let (mut master, mut wire) = (server.dial(), ours.dial());
        furnish(&mut master);
        master.ask("SELECT 7");
        master.ask("SET seven 7");
        wire.ask("SET mine 1");
        follow(&mut wire, server.port());
        assert_same(&mut master, &mut wire);
        assert_eq!(wire.ask("EXISTS mine").int(), Some(0));
        for line in WRITES {
            let reply = master.ask(line);
            assert!(!reply.is_error(), "{line}: {reply}");
        }
        master.ask("SELECT 9");
        for line in ["MULTI", "SET m 1", "INCR m", "SELECT 2", "SADD ms a b", "EXEC"] {
            assert!(!master.ask(line).is_error(), "{line}");
        }
        master.ask("SELECT 0");
        assert_same(&mut master, &mut wire);
        let fulls = field(&mut wire, "master_link_faults");
        assert_eq!(fulls, "", "{}", server.program());
    }
}

#[test]
fn writes_under_load_arrive_and_readers_of_replicas_never_go_back() {
    let (server, ours) = (redis(), Server::entourage(&["--replicas", "2"]));
    let (mut master, mut wire) = (server.dial(), ours.dial());
    follow(&mut wire, server.port());
    until_up(&mut wire);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (mut wire, is_over) = (ours.dial(), is_over.clone());
            thread::spawn(move || {
                let (mut before, mut reads) = (0, 0);
                while !is_over.load(SeqCst) {
                    let now = wire.ask("GET n").text().map_or(0, number);
                    assert!(before <= now, "{now} after {before}");
                    (before, reads) = (now, reads + 1);
                }
                reads
            })
        })
        .collect();
    for round in 0..200 {
        let batch: Vec<_> = (0..100)
            .flat_map(|it| {
                let (key, value) = (format!("k{}", it * 7 % 50), format!("{round}-{it}"));
                [words(&["INCR", "n"]), words(&["RPUSH", &key, &value])]
            })
            .collect();
        master.pipeline(&batch);
    }
    is_over.store(true, SeqCst);
    let reads: Vec<u64> = readers.into_iter().map(|it| it.join().unwrap()).collect();
    assert!(reads.iter().all(|it| 100 < *it), "{reads:?}");
    assert_same(&mut master, &mut wire);
    let reply = wire.ask("PROXY NODES").to_string();
    assert!(!reply.contains("unsynced"), "{reply}");
}

#[test]
fn a_replica_refuses_writes_in_redis_words() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let mut wire = ours.dial();
    follow(&mut wire, server.port());
    until_up(&mut wire);
    let read_only = "READONLY You can't write against a read only replica.";
    for line in ["SET a 1", "DEL a", "FLUSHALL", "BLPOP l 1", "MIGRATE 127.0.0.1 1 k 0 100"] {
        assert_eq!(wire.ask(line).string(), read_only, "{line}");
    }
    assert_eq!(wire.ask("MULTI").string(), "OK");
    assert_eq!(wire.ask("SET a 1").string(), read_only);
    starts(&wire.ask("EXEC"), "EXECABORT");
    for line in ["GET a", "PUBLISH a b", "WATCH a", "MULTI", "GET a", "PUBLISH a b", "EXEC"] {
        assert!(!wire.ask(line).is_error(), "{line}");
    }
    let config =
        |wire: &mut Wire, name: &str| wire.cmd(&["CONFIG", "GET", name]).list()[1].string();
    let address = format!("127.0.0.1 {}", server.port());
    assert_eq!(config(&mut wire, "replicaof"), address);
    assert_eq!(config(&mut wire, "slaveof"), address);
    assert_eq!(config(&mut wire, "replica-read-only"), "yes");
    starts(&wire.ask("CONFIG SET replica-read-only no"), "ERR CONFIG SET failed");
    starts(&wire.ask("CONFIG SET replicaof x"), "ERR CONFIG SET failed");
    assert_eq!(wire.ask("CONFIG SET slave-priority 7").string(), "OK");
    assert_eq!(field(&mut wire, "slave_priority"), "7");
    let offset: u64 = field(&mut wire, "slave_repl_offset").parse().unwrap();
    let there: u64 = field(&mut server.dial(), "master_repl_offset").parse().unwrap();
    assert!(offset <= there, "nothing of ours is in the stream");
}

#[test]
fn info_and_role_say_what_a_redis_replica_says() {
    let server = redis();
    let (other, ours) = (redis(), Server::entourage(&["--replicas", "0"]));
    let [mut other, mut ours] = [other.dial(), ours.dial()];
    let fields = |wire: &mut Wire| -> Vec<String> {
        let text = wire.ask("INFO replication").string();
        let names = text.lines().filter_map(|it| Some(it.split_once(':')?.0.to_owned()));
        names.filter(|it| !it.starts_with("failover_pause") && it != "master_name").collect()
    };
    for wire in [&mut other, &mut ours] {
        wire.ask("CONFIG SET replica-priority 100");
        follow(wire, server.port());
        until_up(wire);
    }
    let (theirs, mine) = (fields(&mut other), fields(&mut ours));
    let known: Vec<_> = mine.into_iter().filter(|it| theirs.contains(it)).collect();
    assert_eq!(theirs, known, "the same fields in the same order");
    let role = |wire: &mut Wire| wire.ask("ROLE").list()[..4].to_vec();
    assert_eq!(role(&mut other), role(&mut ours));
    for name in ["master_host", "master_port", "slave_priority", "slave_read_only", "role"] {
        assert_eq!(field(&mut other, name), field(&mut ours, name), "{name}");
    }
    server.stop();
    for wire in [&mut other, &mut ours] {
        until("the link to be down", || {
            (field(wire, "master_link_status") == "down").then_some(())
        });
    }
    let ours_down = fields(&mut ours);
    let ours_down: Vec<String> = ours_down
        .into_iter()
        .filter(|it| !it.starts_with("master_link_") || it.len() > 22)
        .collect();
    assert!(ours_down.iter().any(|it| it == "master_link_down_since_seconds"), "{ours_down:?}");
    assert_eq!(role(&mut other)[0], role(&mut ours)[0]);
    assert_eq!(ours.ask("ROLE").list()[4].int(), Some(-1));
}

#[test]
fn a_chain_of_three_has_the_same_bytes_at_the_same_offsets() {
    let (server, middle, last) = (redis(), Server::entourage(&[]), Server::entourage(&[]));
    let end = redis();
    let [mut master, mut second, mut third, mut fourth] =
        [server.dial(), middle.dial(), last.dial(), end.dial()];
    master.ask("SELECT 4");
    master.ask("SET a 1");
    follow(&mut third, middle.port());
    follow(&mut second, server.port());
    follow(&mut fourth, last.port());
    until_up(&mut fourth);
    for it in 0..300 {
        master.ask(&format!("RPUSH l{} {it}", it % 7));
        if it % 100 == 50 {
            second.ask("CLIENT KILL TYPE replica");
        }
    }
    master.ask("SELECT 0");
    for wire in [&mut second, &mut third, &mut fourth] {
        assert_same(&mut master, wire);
    }
    let replids = [&mut master, &mut second, &mut third, &mut fourth]
        .map(|it| (field(it, "master_replid"), field(it, "master_repl_offset")));
    assert!(replids.windows(2).all(|it| it[0] == it[1]), "{replids:?}");
}

#[test]
fn orders_answer_what_redis_answers() {
    let (redis, ours) = (redis(), Server::entourage(&["--replicas", "0"]));
    let target = Server::redis(&[]);
    let port = target.port();
    let mut wires = [redis.dial(), ours.dial()];
    for line in [
        "REPLICAOF NO ONE".to_owned(),
        "REPLICAOF no one".to_owned(),
        "REPLICAOF 127.0.0.1 x".to_owned(),
        "REPLICAOF 127.0.0.1 -1".to_owned(),
        "REPLICAOF 127.0.0.1 65536".to_owned(),
        "REPLICAOF 127.0.0.1".to_owned(),
        format!("REPLICAOF 127.0.0.1 {port}"),
        format!("SLAVEOF 127.0.0.1 {port}"),
        "WAIT 0 10".to_owned(),
        "SLAVEOF NO ONE".to_owned(),
        "WAIT 0 10".to_owned(),
    ] {
        let [there, here] = wires.each_mut().map(|it| it.ask(&line).to_string());
        assert_eq!(there, here, "{line}");
    }
    let own = format!("REPLICAOF localhost {}", ours.port());
    assert!(wires[1].ask(&own).is_error(), "nobody follows themselves");
    assert_eq!(field(&mut wires[1], "role"), "master");
}

#[test]
fn a_link_that_is_cut_goes_on_where_it_was() {
    for server in masters() {
        let ours = Server::entourage(&[]);
        let (mut master, mut wire) = (server.dial(), ours.dial());
        follow(&mut wire, server.port());
        assert_same(&mut master, &mut wire);
        for round in 0..5 {
            master.ask(&format!("SELECT {round}"));
            master.ask(&format!("RPUSH l{round} a"));
            assert_eq!(master.ask("CLIENT KILL TYPE replica").int(), Some(1));
            // Without a SELECT in front: the database is the one that was selected before.
            master.ask(&format!("RPUSH l{round} b"));
            until_same(&mut master, &mut wire);
            until("the link", || {
                let partial = info_field(&mut master, "stats", "sync_partial_ok").unwrap();
                (partial == (round + 1).to_string()).then_some(())
            });
        }
        assert_same(&mut master, &mut wire);
        assert_eq!(info_field(&mut master, "stats", "sync_full").unwrap(), "1");
        assert_eq!(field(&mut wire, "master_link_last_fault"), "closed");
    }
}

#[test]
fn another_master_behind_the_same_address_gives_its_own_data() {
    let (one, other, ours) = (redis(), redis(), Server::entourage(&[]));
    let relay = Relay::to(one.port());
    let (mut first, mut second, mut wire) = (one.dial(), other.dial(), ours.dial());
    first.ask("SET who first");
    second.ask("SET who second");
    for it in 0..100 {
        first.ask(&format!("SET k{it} v"));
    }
    follow(&mut wire, relay.port);
    assert_same(&mut first, &mut wire);
    let mut reader = ours.dial();
    assert_eq!(reader.ask("GET who").string(), "first");
    relay.turn_to(other.port());
    until("the other's data", || (reader.ask("GET who").string() == "second").then_some(()));
    assert_same(&mut second, &mut wire);
    assert_eq!(reader.ask("EXISTS k1").int(), Some(0));
    assert_eq!(field(&mut wire, "second_repl_offset"), "-1");
}

#[test]
fn a_writer_hears_once_that_its_history_is_gone() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let (mut writer, mut reader, mut wire) = (ours.dial(), ours.dial(), ours.dial());
    assert_eq!(writer.ask("SET a 1").string(), "OK");
    assert_eq!(reader.ask("GET a").string(), "1");
    follow(&mut wire, server.port());
    until_up(&mut wire);
    starts(&writer.ask("GET a"), "LOSTWRITE");
    assert!(writer.ask("GET a").is_nil());
    assert!(reader.ask("GET a").is_nil(), "it has written nothing");
}

#[test]
fn a_replica_that_is_promoted_goes_on_with_a_history_of_its_own_and_comes_back() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let (mut master, mut wire) = (server.dial(), ours.dial());
    master.ask("SET a 1");
    follow(&mut wire, server.port());
    master.ask("SET b 1");
    assert_same(&mut master, &mut wire);
    let (before, offset) =
        (field(&mut wire, "master_replid"), field(&mut wire, "slave_repl_offset"));
    assert_eq!(wire.ask("REPLICAOF NO ONE").string(), "OK");
    assert_eq!(field(&mut wire, "role"), "master");
    assert_eq!(field(&mut wire, "master_replid2"), before);
    let second: u64 = field(&mut wire, "second_repl_offset").parse().unwrap();
    assert_eq!(second, offset.parse::<u64>().unwrap() + 1);
    let mut writer = ours.dial();
    assert_eq!(writer.ask("SET c 1").string(), "OK");
    assert_eq!(wire.ask("GET a").string(), "1");
    follow(&mut wire, server.port());
    assert_same(&mut master, &mut wire);
    starts(&writer.ask("GET c"), "LOSTWRITE");
    assert!(writer.ask("GET c").is_nil());
}

#[test]
fn who_waits_for_keys_is_told_when_the_set_begins_to_follow() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let (mut waiter, mut wire) = (ours.dial(), ours.dial());
    waiter.send(&[words(&["BLPOP", "l", "0"])]);
    crate::support::until_blocked(&mut wire, 1);
    follow(&mut wire, server.port());
    let reply = waiter.read().to_string();
    assert!(reply.starts_with("-UNBLOCKED"), "{reply}");
}

#[test]
fn a_password_is_given_and_a_wrong_one_is_named() {
    let server = Server::redis(&["--repl-diskless-sync-delay", "0"]);
    let mut master = server.dial();
    master.ask("SET a 1");
    master.ask("ACL SETUSER repl on >pw2 +psync +replconf +ping");
    master.ask("CONFIG SET requirepass pw");
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    follow(&mut wire, server.port());
    let until_fault = |wire: &mut Wire, name: &str| {
        until(name, || (field(wire, "master_link_last_fault") == name).then_some(()));
    };
    until_fault(&mut wire, "no-auth");
    wire.ask("CONFIG SET masterauth wrong");
    until_fault(&mut wire, "wrong-password");
    wire.ask("CONFIG SET masterauth pw");
    assert_same(&mut master, &mut wire);
    wire.ask("CONFIG SET masterauth pw2 masteruser repl");
    master.ask("CLIENT KILL TYPE replica");
    master.ask("SET b 1");
    assert_same(&mut master, &mut wire);
    let url =
        format!("[set]\nreplicas = 1\nmaster = \"redis://repl:pw2@127.0.0.1:{}\"\n", server.port());
    let text = format!("[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n{url}");
    let third = Server::entourage_with_config(&text);
    assert_same(&mut master, &mut third.dial());
}

#[test]
fn a_master_that_is_away_leaves_the_data_and_is_tried_again() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let relay = Relay::to(server.port());
    let (mut master, mut wire) = (server.dial(), ours.dial());
    master.ask("SET a 1");
    follow(&mut wire, relay.port);
    assert_same(&mut master, &mut wire);
    relay.turn_to(1);
    until("the link to be down", || {
        (field(&mut wire, "master_link_status") == "down").then_some(())
    });
    assert_eq!(wire.ask("GET a").string(), "1");
    let down = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    assert_eq!(wire.ask("CONFIG SET replica-serve-stale-data no").string(), "OK");
    assert_eq!(wire.ask("GET a").string(), down);
    assert!(!wire.ask("INFO replication").is_error());
    assert_eq!(wire.ask("CONFIG SET slave-serve-stale-data yes").string(), "OK");
    assert_eq!(wire.ask("GET a").string(), "1");
    wire.ask("CONFIG SET slave-serve-stale-data no");
    relay.turn_to(server.port());
    until("reads to go on", || (wire.ask("GET a").string() == "1").then_some(()));
    master.ask("SET b 1");
    assert_same(&mut master, &mut wire);
}

#[test]
fn what_was_queued_and_what_scripts_call_is_refused_without_a_link_as_by_redis() {
    const MAY: &str = "#!lua flags=no-writes,allow-stale\nreturn redis.call(unpack(ARGV))";
    let talk = |server: Server| {
        let (mut wire, mut other) = (server.dial(), server.dial());
        wire.ask("SET a 1");
        wire.ask("CONFIG SET replica-serve-stale-data no");
        let mut told = Vec::new();
        for queued in ["GET a", "PING", "INFO server"] {
            told.push(wire.ask("MULTI").to_string());
            told.push(wire.ask(queued).to_string());
            other.ask("REPLICAOF 127.0.0.1 1");
            let executed = wire.ask("EXEC");
            let has_run = executed.to_string().contains("redis_version");
            told.push(if has_run { "it has run".into() } else { executed.to_string() });
            told.push(other.ask("REPLICAOF NO ONE").to_string());
        }
        other.ask("REPLICAOF 127.0.0.1 1");
        for words in [&["get", "a"][..], &["ping"]] {
            let call = [&["EVAL", MAY, "0"], words].concat();
            let reply = wire.cmd(&call).to_string();
            told.push(reply.split(" script:").next().unwrap_or_default().to_owned());
        }
        told
    };
    let (redis, ours) = (talk(redis()), talk(Server::entourage(&[])));
    assert_eq!(ours, redis);
    assert!(ours[2].starts_with("-EXECABORT") && ours.contains(&"it has run".to_owned()));
}

#[test]
fn messages_of_the_master_reach_subscribers_here() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let (mut master, mut wire) = (server.dial(), ours.dial());
    follow(&mut wire, server.port());
    until_up(&mut wire);
    let mut subscriber = ours.dial();
    subscriber.ask("SUBSCRIBE news");
    master.ask("PUBLISH news hello");
    assert_eq!(subscriber.read().list()[2].string(), "hello");
    master.ask("SPUBLISH news shard");
    assert_same(&mut master, &mut wire);
}

#[test]
fn keys_expire_when_the_master_says_so_and_are_hidden_before() {
    let server = Server::redis(&["--enable-debug-command", "yes"]);
    let ours = Server::entourage(&[]);
    let (mut master, mut wire) = (server.dial(), ours.dial());
    assert_eq!(master.ask("DEBUG SET-ACTIVE-EXPIRE 0").string(), "OK");
    follow(&mut wire, server.port());
    until_up(&mut wire);
    master.ask("SET a 1 PX 50");
    master.ask("SET b 1");
    until_same(&mut master, &mut wire);
    until("the key to be hidden", || wire.ask("GET a").is_nil().then_some(()));
    thread::sleep(Duration::from_millis(300));
    let keys = |wire: &mut Wire| info_field(wire, "keyspace", "db0").unwrap_or_default();
    assert!(keys(&mut wire).starts_with("keys=2"), "it is there until its master deletes it");
    assert!(master.ask("GET a").is_nil());
    until("the master's deletion", || keys(&mut wire).starts_with("keys=1").then_some(()));
}

#[test]
fn a_hosted_failover_of_a_replica_leaves_the_stream_as_it_is() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let (mut master, mut wire) = (server.dial(), ours.dial());
    follow(&mut wire, server.port());
    master.ask("SET a 1");
    until_same(&mut master, &mut wire);
    let before = field(&mut wire, "master_replid");
    starts(&wire.ask("PROXY FAILOVER TO n2"), "OK");
    assert_eq!(field(&mut wire, "master_replid"), before);
    master.ask("SET a 2");
    assert_same(&mut master, &mut wire);
    assert_eq!(info_field(&mut master, "stats", "sync_full").unwrap(), "1");
}

#[test]
fn a_master_that_does_not_behave_is_named_and_harms_nothing() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let full = format!("+FULLRESYNC {id} 10\r\n");
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("no-answer", vec!["HTTP/1.1 400 Bad Request\r\n".into()]),
        ("endless-line", vec!["x".repeat(10_000)]),
        ("closed", vec![String::new()]),
        ("no-master-link", vec!["+PONG\r\n+OK\r\n+OK\r\n".into(), "-NOMASTERLINK x\r\n".into()]),
        ("loading", vec!["-LOADING x\r\n".into()]),
        ("no-answer", vec!["+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC x y\r\n".into()]),
        ("snapshot", vec![format!("+PONG\r\n+OK\r\n+OK\r\n{full}"), "$5\r\nabcde".into()]),
        (
            "snapshot",
            vec![
                format!("+PONG\r\n+OK\r\n+OK\r\n{full}"),
                "$999\r\nREDIS0009\x7f\x01aaaaaaaaaa".into(),
            ],
        ),
        ("snapshot", vec![format!("+PONG\r\n+OK\r\n+OK\r\n{full}"), "-ERR no\r\n".into()]),
    ];
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    wire.ask("SET mine 1");
    for (name, lines) in cases {
        let port = liar(lines);
        follow(&mut wire, port);
        until(name, || (field(&mut wire, "master_link_last_fault") == name).then_some(()));
        assert_eq!(wire.ask("GET mine").string(), "1", "{name}");
        assert_eq!(wire.ask("REPLICAOF NO ONE").string(), "OK");
    }
}

#[test]
fn a_stream_that_makes_no_sense_is_named_and_the_data_stays() {
    let renamed = ["--repl-diskless-sync-delay", "0", "--rename-command", "APPEND", "NOSUCH"];
    let (server, ours) = (Server::redis(&renamed), Server::entourage(&[]));
    let (mut master, mut wire) = (server.dial(), ours.dial());
    master.ask("SET a 1");
    follow(&mut wire, server.port());
    until_same(&mut master, &mut wire);
    // What nobody knows here.
    master.ask("SET b 1");
    assert_eq!(master.ask("NOSUCH near 1").int(), Some(1));
    until("the command to be named", || {
        (field(&mut wire, "master_link_last_fault") == "unknown-command").then_some(())
    });
    assert_eq!([wire.ask("GET a").string(), wire.ask("GET b").string()], ["1", "1"]);
    assert_eq!(wire.ask("EXISTS near").int(), Some(0));
}

#[test]
fn cuts_at_any_time_end_in_the_same_data() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let relay = Relay::to(server.port());
    let (mut master, mut wire) = (server.dial(), ours.dial());
    for it in 0..2000 {
        master.ask(&format!("RPUSH big{} {}", it % 20, "x".repeat(it % 300)));
    }
    follow(&mut wire, relay.port);
    for round in 0..40_u64 {
        for it in 0..50 {
            master.ask(&format!("RPUSH k{it} {round}"));
            master.ask("INCR n");
        }
        for line in ["MULTI", "INCR m", "RPUSH ml a b c", "EXEC"] {
            master.ask(line);
        }
        thread::sleep(Duration::from_millis(round * 7919 % 30));
        relay.cut();
    }
    assert_same(&mut master, &mut wire);
}

#[test]
fn a_long_write_of_the_master_stops_no_reader() {
    let (server, ours) = (redis(), Server::entourage(&[]));
    let (mut master, mut wire) = (server.dial(), ours.dial());
    for chunk in 0..100 {
        let batch: Vec<_> = (0..2000)
            .map(|it| {
                let member = (chunk * 2000 + it).to_string();
                words(&["SADD", "big", &format!("m{member}"), &format!("x{member}")])
            })
            .collect();
        master.pipeline(&batch);
    }
    follow(&mut wire, server.port());
    until_same(&mut master, &mut wire);
    master.ask("SUNIONSTORE copy big");
    master.ask("SET after 1");
    assert_same(&mut master, &mut wire);
}

/// Passes bytes between a replica and a master that may change, and can be cut.
struct Relay {
    port: u16,
    target: Arc<AtomicU16>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(target: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(AtomicU16::new(target));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (to, all) = (target.clone(), open.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(master) = TcpStream::connect(("127.0.0.1", to.load(SeqCst))) else {
                    continue;
                };
                let copy = |it: &TcpStream| it.try_clone().unwrap();
                all.lock().unwrap().extend([copy(&client), copy(&master)]);
                pass(copy(&client), copy(&master));
                pass(master, client);
            }
        });
        Relay { port, target, open }
    }

    fn turn_to(&self, target: u16) {
        self.target.store(target, SeqCst);
        self.cut();
    }

    fn cut(&self) {
        for socket in self.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut buffer = [0; 1000];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}

/// A master that says these lines whatever it hears, and closes.
fn liar(lines: Vec<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut heard = [0; 4096];
            for line in &lines {
                let _ = client.read(&mut heard);
                let _ = client.write_all(line.as_bytes());
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    port
}
