//! Real servers as replicas of the hosted master: Redis 7.0 and Valkey 9.1, and peers that break
//! the protocol.

use crate::support::{
    Server, Wire, furnish, hold_the_same, info_field, ok, starts, until, until_caught_up,
};
use std::process::Command;

fn field(wire: &mut Wire, section: &str, name: &str) -> String {
    info_field(wire, section, name).unwrap_or_else(|| panic!("no field {name}"))
}

fn number(wire: &mut Wire, section: &str, name: &str) -> u64 {
    field(wire, section, name).parse().expect("a number")
}

/// Every kind of real server there is here.
fn real_servers() -> Vec<Server> {
    [Some(Server::redis(&[])), Server::valkey()].into_iter().flatten().collect()
}

fn follow(replica: &mut Wire, master: &Server) {
    ok(replica, &format!("REPLICAOF 127.0.0.1 {}", master.port()));
}

/// Waits until the first replica has acknowledged what it was sent at the start.
fn until_online(master: &mut Wire) {
    until("it to be online", || {
        field(master, "replication", "slave0").contains("state=online").then_some(())
    });
}

#[test]
fn a_real_server_gets_everything_and_follows() {
    for replica in real_servers() {
        let master = Server::entourage(&[]);
        let (mut ours, mut theirs) = (master.dial(), replica.dial());
        furnish(&mut ours);
        ours.ask("SELECT 9");
        ok(&mut ours, "SET in-nine 1 PX 100000000");
        follow(&mut theirs, &master);
        until_caught_up(&mut theirs, &mut ours);
        hold_the_same(&mut ours, &mut theirs);
        // What comes now comes as a stream: from several databases, in transactions, expiring.
        ours.ask("SELECT 3");
        furnish(&mut ours);
        ["MULTI", "SET a 1", "INCR a", "SELECT 5", "LPUSH l x", "EXEC"].iter().for_each(|it| {
            ours.ask(it);
        });
        ok(&mut ours, "SET gone 1 PX 1");
        until("it to expire", || ours.ask("GET gone").is_nil().then_some(()));
        until_caught_up(&mut theirs, &mut ours);
        hold_the_same(&mut ours, &mut theirs);
        until_online(&mut ours);
        let port = replica.port().to_string();
        let line = field(&mut ours, "replication", "slave0");
        assert!(
            line.starts_with(&format!("ip=127.0.0.1,port={port},state=online,offset=")),
            "{line}"
        );
        let role = ours.ask("ROLE");
        let told = &role.list()[2].list()[0];
        assert_eq!((told.list()[0].string(), told.list()[1].string()), ("127.0.0.1".into(), port));
        assert!(ours.ask("CLIENT LIST TYPE replica").string().contains("flags=S"));
    }
}

#[test]
fn a_link_that_was_cut_goes_on_where_it_was() {
    for replica in real_servers() {
        let master = Server::entourage(&[]);
        let (mut ours, mut theirs) = (master.dial(), replica.dial());
        follow(&mut theirs, &master);
        until_caught_up(&mut theirs, &mut ours);
        for round in 1..=3 {
            ours.ask("CLIENT KILL TYPE replica");
            (0..50).for_each(|it| ok(&mut ours, &format!("SET k{round}:{it} v")));
            until_caught_up(&mut theirs, &mut ours);
            until("the link to be another", || {
                (number(&mut ours, "stats", "sync_partial_ok") == round).then_some(())
            });
        }
        assert_eq!(number(&mut ours, "stats", "sync_full"), 1);
        hold_the_same(&mut ours, &mut theirs);
    }
}

/// Roles change within the process: the history has another name then, and nothing is lost.
#[test]
fn a_failover_costs_a_real_replica_a_partial_resync() {
    for replica in real_servers() {
        let master = Server::entourage(&[]);
        let (mut ours, mut theirs) = (master.dial(), replica.dial());
        follow(&mut theirs, &master);
        until_caught_up(&mut theirs, &mut ours);
        for (round, name) in ["n2", "n1", "n3"].iter().enumerate() {
            (0..50).for_each(|it| ok(&mut ours, &format!("SET a{it} {round}")));
            starts(&ours.ask(&format!("PROXY FAILOVER TO {name}")), "OK");
            (0..50).for_each(|it| ok(&mut ours, &format!("SET b{it} {round}")));
            until_caught_up(&mut theirs, &mut ours);
        }
        assert_eq!(number(&mut ours, "stats", "sync_full"), 1);
        assert_eq!(
            field(&mut theirs, "replication", "master_replid"),
            field(&mut ours, "replication", "master_replid")
        );
        hold_the_same(&mut ours, &mut theirs);
    }
}

#[test]
fn a_set_without_replicas_of_its_own_is_copied_too() {
    for replica in real_servers() {
        let master = Server::entourage(&["--replicas", "0"]);
        let (mut ours, mut theirs) = (master.dial(), replica.dial());
        furnish(&mut ours);
        follow(&mut theirs, &master);
        until_caught_up(&mut theirs, &mut ours);
        ok(&mut ours, "SET after 1");
        until_caught_up(&mut theirs, &mut ours);
        hold_the_same(&mut ours, &mut theirs);
    }
}

/// Writes of every type, each key again and again: what a snapshot has not come to is changed.
fn write_all(port: u16, rounds: usize) {
    let mut wire = Wire::dial(port).expect("a connection");
    for round in 0..rounds {
        let batch: Vec<_> = (0..100)
            .map(|it| {
                let key = format!("k{}", (round * 37 + it) % 997);
                let line = match it % 16 {
                    0 => format!("SET s{key} {round}"),
                    1 => format!("RPUSH l{key} {round}"),
                    2 => format!("HINCRBY h{key} f {it}"),
                    3 => format!("ZADD z{key} {it} m{round}"),
                    4 => format!("SADD t{key} m{round} 7"),
                    5 => format!("APPEND a{key} {round}"),
                    6 => format!("DEL s{key}"),
                    7 => format!("LPOP l{key}"),
                    8 => format!("SPOP t{key}"),
                    9 => format!("SET e{key} {round} PX {}", 1 + it),
                    10 => format!("RPUSH many:list {round}"),
                    11 => format!("HSET many:hash f{round} {it}"),
                    12 => format!("ZADD many:zset {it} m{it}"),
                    13 => format!("COPY s{key} c{key} DB 3 REPLACE"),
                    14 if it == 14 && round % 40 == 7 => "SWAPDB 3 5".to_owned(),
                    14 if it == 30 && round % 90 == 50 => "FLUSHDB".to_owned(),
                    _ => format!("SADD many:texts {round}:{it}"),
                };
                line.split(' ').map(|it| it.as_bytes().to_vec()).collect()
            })
            .collect();
        wire.pipeline(&batch).iter().for_each(|it| assert!(!it.is_error(), "{it:?}"));
    }
}

#[test]
fn replicas_that_come_while_writes_go_on_hold_the_same() {
    for hosted in ["2", "0"] {
        let master = Server::entourage(&["--replicas", hosted]);
        let replicas = real_servers();
        let mut ours = master.dial();
        furnish(&mut ours);
        ok(&mut ours, "CONFIG SET repl-backlog-size 64mb");
        let port = master.port();
        let writer = std::thread::spawn(move || write_all(port, 300));
        let mut theirs: Vec<Wire> = replicas.iter().map(Server::dial).collect();
        theirs.iter_mut().for_each(|it| follow(it, &master));
        // Links end at any time, in the middle of a file too.
        while !writer.is_finished() {
            ours.ask("CLIENT KILL TYPE replica");
            std::thread::sleep(std::time::Duration::from_millis(150));
        }
        writer.join().expect("all were written");
        // What expires while it is compared is here and not there.
        until("short-lived keys to expire", || {
            ours.ask("KEYS ek*").list().is_empty().then_some(())
        });
        for wire in &mut theirs {
            until_caught_up(wire, &mut ours);
            hold_the_same(&mut ours, wire);
        }
    }
}

const SLOW_KEYS: usize = 400;

/// Each key holds 100 kB, all of them 40 MB.
fn write_large(wire: &mut Wire, round: usize) {
    for key in 0..SLOW_KEYS {
        let value = format!("{key}:{round}:").repeat(100_000 / 4);
        assert_eq!(wire.cmd(&["SET", &format!("k{key}"), &value[..100_000]]).string(), "OK");
    }
}

/// What begins as PSYNC does, up to the first byte of the file.
fn begin_file(master: &Server) -> Wire {
    let mut peer = psync(master, "? -1");
    peer.socket().set_buffers(64 << 10);
    peer.read_until(b"\r\n");
    peer.read_until(b"\r\n");
    peer
}

/// A replica takes its file a bit at a time while all of it is written anew. Hosted replicas are
/// not cut off (the server of this test fails if one is), nobody waits, and what the file holds is
/// what there was.
#[test]
fn a_replica_that_reads_slowly_holds_up_nobody() {
    for hosted in ["0", "2"] {
        let master = Server::entourage(&["--replicas", hosted]);
        let (mut ours, mut writer) = (master.dial(), master.dial());
        write_large(&mut ours, 0);
        let mut peer = begin_file(&master);
        let reader = std::thread::spawn(move || {
            let mut bytes = 0;
            let mut file = Vec::new();
            while bytes < 35 << 20 {
                let piece = peer.read_exact(256 << 10);
                bytes += piece.len();
                file.extend(piece);
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            (peer, file)
        });
        let mut longest = std::time::Duration::ZERO;
        let mut kept_most = 0;
        for round in 1..4 {
            for key in 0..SLOW_KEYS {
                let value = format!("{key}:{round}:").repeat(100_000 / 4);
                let began = std::time::Instant::now();
                assert_eq!(
                    writer.cmd(&["SET", &format!("k{key}"), &value[..100_000]]).string(),
                    "OK"
                );
                longest = longest.max(began.elapsed());
            }
            kept_most = kept_most.max(number(&mut ours, "replication", "snapshots_kept_bytes"));
            assert!(ours.ask("GET k7").string().starts_with(&format!("7:{round}:7:{round}:")));
        }
        assert!((1 << 20..42 << 20).contains(&kept_most), "{kept_most} bytes were kept");
        let (mut peer, file) = reader.join().expect("it reads");
        let text = String::from_utf8_lossy(&file);
        assert!(!text.contains(":1:7:1:") && text.contains(":0:"), "writes of later are in it");
        println!("{hosted}: longest write {longest:?}, kept {kept_most}");
        peer.send_raw(b"REPLCONF ACK 0\r\n");
        drop(peer);
        until("nothing to be kept", || {
            (number(&mut ours, "replication", "snapshots_kept_bytes") == 0).then_some(())
        });
        assert_eq!(number(&mut ours, "replication", "snapshots_under_way"), 0);
        if hosted == "2" {
            for at in 0..2 {
                let line = field(&mut ours, "replication", &format!("hosted{at}"));
                assert!(line.contains("flags=ok"), "{line}");
            }
        }
    }
}

/// What is kept for a replica that does not take its file counts against its limit.
#[test]
fn a_replica_that_does_not_take_its_file_is_cut_off_at_its_limit() {
    for hosted in ["0", "2"] {
        let master = Server::entourage(&["--replicas", hosted]);
        master.disconnects_replicas();
        let mut ours = master.dial();
        let limit = ["CONFIG", "SET", "client-output-buffer-limit", "replica 32mb 0 0"];
        assert_eq!(ours.cmd(&limit).string(), "OK");
        write_large(&mut ours, 0);
        let peer = begin_file(&master);
        until("the snapshot to be read", || {
            (number(&mut ours, "replication", "snapshots_under_way") == 1).then_some(())
        });
        // What is kept and what is to be streamed are as much each.
        let mut round = 1;
        until("it to be cut off", || {
            let key = format!("k{}", round % SLOW_KEYS);
            round += 1;
            assert_eq!(ours.cmd(&["SET", &key, &"x".repeat(100_000)]).string(), "OK");
            (field(&mut ours, "replication", "connected_slaves") == "0").then_some(())
        });
        assert!(master.said().contains("why=output-limit"), "{}", master.said());
        assert!(round < 2 * SLOW_KEYS, "{round} writes");
        until("nothing to be kept", || {
            (number(&mut ours, "replication", "snapshots_kept_bytes") == 0).then_some(())
        });
        drop(peer);
    }
}

#[test]
fn wait_counts_real_replicas_and_from_then_on_only_those() {
    let (master, replica) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut ours, mut theirs) = (master.dial(), replica.dial());
    ok(&mut ours, "SET a 1");
    assert_eq!(ours.ask("WAIT 2 5000").int(), Some(2), "hosted ones");
    assert_eq!(field(&mut ours, "replication", "hosted_replicas_count"), "1");
    follow(&mut theirs, &master);
    until_caught_up(&mut theirs, &mut ours);
    until("it to be counted", || {
        (field(&mut ours, "replication", "hosted_replicas_count") == "0").then_some(())
    });
    for it in 0..20 {
        ok(&mut ours, &format!("SET a {it}"));
        assert_eq!(ours.ask("WAIT 1 5000").int(), Some(1));
        assert_eq!(theirs.ask("GET a").string(), it.to_string());
    }
    assert_eq!(ours.ask("WAIT 2 50").int(), Some(1), "hosted ones share their process' fate");
    ok(&mut ours, "CONFIG SET count-hosted true");
    assert_eq!(ours.ask("WAIT 3 5000").int(), Some(3));
}

#[test]
fn a_gate_in_milliseconds_does_not_flap() {
    let master = Server::entourage(&["--replicas", "0"]);
    let replica = Server::redis(&[]);
    let (mut ours, mut theirs) = (master.dial(), replica.dial());
    ok(&mut ours, "CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 500ms");
    starts(&ours.ask("SET a 1"), "NOREPLICAS");
    follow(&mut theirs, &master);
    until_caught_up(&mut theirs, &mut ours);
    until("a write", || (!ours.ask("SET a 1").is_error()).then_some(()));
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_secs(2) {
        ok(&mut ours, "SET a 2");
    }
    assert_eq!(field(&mut ours, "replication", "min_slaves_good_slaves"), "1");
    drop(theirs);
    drop(replica);
    until("the gate to close", || ours.ask("SET a 3").is_error().then_some(()));
}

/// `redis-cli --rdb` is a replica that wants the file alone, and Redis' own checker reads it.
#[test]
fn a_client_can_fetch_the_file() {
    let master = Server::entourage(&[]);
    furnish(&mut master.dial());
    let file = master.dir().join("fetched.rdb");
    let port = master.port().to_string();
    let done = Command::new("redis-cli")
        .args(["-p", &port, "--rdb"])
        .arg(&file)
        .output()
        .expect("redis-cli runs");
    assert!(done.status.success(), "{done:?}");
    let checked = Command::new("redis-check-rdb").arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("RDB looks OK"), "{said}");
}

/// What replicas said before there was PSYNC, and what they cannot all do today.
#[test]
fn a_file_of_known_length_is_for_those_who_know_no_mark() {
    let master = Server::entourage(&[]);
    let (mut ours, mut replica) = (master.dial(), master.dial());
    ok(&mut ours, "SET k v");
    replica.send_raw(b"SYNC\r\n");
    let line = String::from_utf8(replica.read_until(b"\r\n")).expect("a line");
    let len: usize = line.trim().trim_start_matches(['\n', '$']).parse().expect("a length");
    let file = replica.read_exact(len);
    assert!(file.starts_with(b"REDIS00") && file[len - 9] == 0xFF);
    ok(&mut ours, "SET after 1");
    let stream = replica.read_until(b"after\r\n$1\r\n1\r\n");
    assert!(stream.starts_with(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"), "{stream:?}");
}

fn psync(master: &Server, words: &str) -> Wire {
    let mut peer = master.dial();
    ok(&mut peer, "REPLCONF listening-port 7777 ip-address 10.1.2.3 capa eof capa psync2");
    peer.send_raw(format!("PSYNC {words}\r\n").as_bytes());
    peer
}

#[test]
fn a_peer_that_breaks_the_protocol_ends_its_own_link_by_name() {
    let master = Server::entourage(&[]);
    let mut ours = master.dial();
    ok(&mut ours, "SET k v");
    let faults = [
        ("*1\r\n$1000000000\r\n", "malformed"),
        ("REPLCONF ACK 999999999\r\n", "ack-beyond-sent"),
        ("REPLCONF ACK never\r\n", "ack-not-a-number"),
    ];
    for (count, (bytes, name)) in faults.iter().enumerate() {
        let mut peer = psync(&master, "? -1");
        let answer = String::from_utf8(peer.read_until(b"\r\n")).expect("a line");
        assert!(answer.starts_with("+FULLRESYNC "), "{answer}");
        until("it to be listed", || {
            Some(()).filter(|()| {
                field(&mut ours, "replication", "slave0").contains("10.1.2.3,port=7777")
            })
        });
        let announced = peer.read_until(b"\r\n");
        let mark = announced[5..45].to_vec();
        peer.read_until(&mark);
        peer.send_raw(bytes.as_bytes());
        until("the link to end", || peer.is_closed().then_some(()));
        until("the fault to be counted", || {
            (number(&mut ours, "stats", "sync_peer_faults") == count as u64 + 1).then_some(())
        });
        assert!(master.said().contains(&format!("why={name}")), "{}", master.said());
    }
    ok(&mut ours, "SET k w");
    assert_eq!(field(&mut ours, "replication", "connected_slaves"), "0");
}

#[test]
fn what_cannot_be_gone_on_with_is_a_full_resync() {
    let master = Server::entourage(&[]);
    let mut ours = master.dial();
    ok(&mut ours, "SET k v");
    let replid = field(&mut ours, "replication", "master_replid");
    let foreign = "0123456789abcdef0123456789abcdef01234567";
    let asked = [format!("{foreign} 1"), format!("{replid} 999999"), format!("{replid} -7")];
    for words in &asked {
        let mut peer = psync(&master, words);
        let answer = String::from_utf8(peer.read_until(b"\r\n")).expect("a line");
        assert!(answer.starts_with(&format!("+FULLRESYNC {replid} ")), "{words}: {answer}");
    }
    let head = number(&mut ours, "replication", "master_repl_offset");
    let mut peer = psync(&master, &format!("{replid} {}", head + 1));
    assert_eq!(peer.read_until(b"\r\n"), format!("+CONTINUE {replid}\r\n").as_bytes());
    assert_eq!(number(&mut ours, "stats", "sync_partial_err"), 2);
}

#[test]
fn replconf_is_answered_as_redis_answers_it() {
    let (master, redis) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut ours, mut theirs) = (master.dial(), redis.dial());
    let lines = [
        "REPLCONF",
        "REPLCONF listening-port",
        "REPLCONF listening-port 7000",
        "REPLCONF listening-port x",
        "REPLCONF capa eof capa psync2 capa new",
        "REPLCONF what 1",
        "REPLCONF rdb-only 1",
        "REPLCONF rdb-only x",
        "REPLCONF rdb-filter-only functions",
        "REPLCONF rdb-filter-only keys",
        "MULTI",
        "PSYNC ? -1",
        "SYNC",
        "EXEC",
    ];
    for line in lines {
        assert_eq!(ours.ask(line), theirs.ask(line), "{line}");
    }
}

/// A replica that does not read is cut off at its limit, and nobody else notices.
#[test]
fn a_replica_that_does_not_read_is_cut_off_at_its_limit() {
    let master = Server::entourage(&[]);
    master.disconnects_replicas();
    let mut ours = master.dial();
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "replica 64mb 0 0"];
    assert_eq!(ours.cmd(&limit).string(), "OK");
    let mut peer = psync(&master, "? -1");
    peer.read_until(b"\r\n");
    let announced = peer.read_until(b"\r\n");
    peer.read_until(&announced[5..45]);
    peer.send_raw(b"REPLCONF ACK 0\r\n");
    let value = "x".repeat(1 << 20);
    for it in 0..120 {
        assert_eq!(ours.cmd(&["SET", &format!("k{}", it % 4), &value]).string(), "OK");
    }
    until("it to be cut off", || {
        (field(&mut ours, "replication", "connected_slaves") == "0").then_some(())
    });
    assert!(master.said().contains("output-limit"), "{}", master.said());
}

/// FAILOVER hands the role over to a real replica, and the set follows it: nothing is copied again.
#[test]
fn failover_hands_the_role_over_and_back() {
    for replica in real_servers() {
        let master = Server::entourage(&[]);
        let (mut ours, mut theirs) = (master.dial(), replica.dial());
        starts(&ours.ask("FAILOVER"), "ERR FAILOVER requires connected replicas.");
        starts(&ours.ask("FAILOVER ABORT"), "ERR No failover in progress.");
        furnish(&mut ours);
        follow(&mut theirs, &master);
        until_caught_up(&mut theirs, &mut ours);
        starts(&ours.ask("FAILOVER TO 127.0.0.1 1"), "ERR FAILOVER target HOST and PORT is not");
        starts(&ours.ask("FAILOVER FORCE"), "ERR FAILOVER with force option requires both");
        until_online(&mut ours);
        ok(&mut ours, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 10000", replica.port()));
        until("the other to be the master", || {
            (field(&mut theirs, "replication", "role") == "master").then_some(())
        });
        until("the end of it", || {
            let state = field(&mut ours, "replication", "master_failover_state");
            (state == "no-failover").then_some(())
        });
        assert_eq!(field(&mut ours, "replication", "role"), "slave");
        starts(&ours.ask("SET k v"), "READONLY");
        ok(&mut theirs, "SET after 1");
        until_caught_up(&mut ours, &mut theirs);
        hold_the_same(&mut theirs, &mut ours);
        assert_eq!(number(&mut theirs, "stats", "sync_full"), 0, "it went on where it was");
        // And back, as that server does it.
        until_online(&mut theirs);
        ok(&mut theirs, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 10000", master.port()));
        until("the role to be back", || {
            (field(&mut ours, "replication", "role") == "master").then_some(())
        });
        until("writes to be taken", || (!ours.ask("SET back 1").is_error()).then_some(()));
        until_caught_up(&mut theirs, &mut ours);
        hold_the_same(&mut ours, &mut theirs);
    }
}

#[test]
fn a_failover_that_nobody_can_take_ends_with_the_master_as_before() {
    let (master, replica) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut ours, mut theirs) = (master.dial(), replica.dial());
    follow(&mut theirs, &master);
    until_caught_up(&mut theirs, &mut ours);
    ok(&mut theirs, "REPLICAOF NO ONE");
    until("it to leave", || {
        (field(&mut ours, "replication", "connected_slaves") == "0").then_some(())
    });
    // A peer that reads the stream, and says nothing of it.
    let mut peer = psync(&master, "? -1");
    peer.read_until(b"\r\n");
    let announced = peer.read_until(b"\r\n");
    peer.read_until(&announced[5..45]);
    peer.send_raw(b"REPLCONF ACK 0\r\n");
    until_online(&mut ours);
    ok(&mut ours, "SET k v");
    ok(&mut ours, "FAILOVER TIMEOUT 200");
    starts(&ours.ask("FAILOVER"), "ERR FAILOVER already in progress.");
    ok(&mut ours, "SET k w");
    assert_eq!(field(&mut ours, "replication", "master_failover_state"), "no-failover");
    assert_eq!(field(&mut ours, "replication", "role"), "master");
    ok(&mut ours, "FAILOVER");
    ok(&mut ours, "FAILOVER ABORT");
    assert_eq!(field(&mut ours, "replication", "master_failover_state"), "no-failover", "at once");
    ok(&mut ours, "SET k x");
}

#[test]
fn a_failover_to_one_that_refuses_ends_with_the_refusal() {
    let (master, replica) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut ours, mut theirs) = (master.dial(), replica.dial());
    follow(&mut theirs, &master);
    until_caught_up(&mut theirs, &mut ours);
    until_online(&mut ours);
    ok(&mut theirs, "ACL SETUSER default -psync");
    ok(&mut ours, &format!("FAILOVER TO 127.0.0.1 {}", replica.port()));
    until("the failover to end", || {
        let state = field(&mut ours, "replication", "master_failover_state");
        (state == "no-failover").then_some(())
    });
    assert!(master.said().contains("why=the replica has refused"), "{}", master.said());
    assert_eq!(field(&mut ours, "replication", "role"), "master");
    ok(&mut ours, "SET k v");
    ok(&mut theirs, "ACL SETUSER default +psync");
    until_caught_up(&mut theirs, &mut ours);
}

#[test]
fn an_old_master_says_what_it_drops() {
    let (master, replica) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut ours, mut theirs) = (master.dial(), replica.dial());
    follow(&mut theirs, &master);
    ok(&mut ours, "SET k taken-over");
    until_caught_up(&mut theirs, &mut ours);
    ok(&mut theirs, "REPLICAOF NO ONE");
    let parted = number(&mut theirs, "replication", "second_repl_offset") - 1;
    ok(&mut ours, "SET k only-here");
    let dropped = number(&mut ours, "replication", "master_repl_offset") - parted;
    assert!(0 < dropped);
    ok(&mut ours, &format!("REPLICAOF 127.0.0.1 {}", replica.port()));
    until_caught_up(&mut ours, &mut theirs);
    assert_eq!(number(&mut ours, "replication", "dropped_history_bytes"), dropped);
    assert_eq!(ours.ask("GET k").string(), "taken-over");
    // Nothing more is lost by following on.
    ok(&mut theirs, "SET k more");
    theirs.ask("CLIENT KILL TYPE replica");
    until_caught_up(&mut ours, &mut theirs);
    assert_eq!(number(&mut ours, "replication", "dropped_history_bytes"), dropped);
}

#[test]
fn enough_replicas_that_wait_for_a_file_get_it_at_once() {
    let master = Server::entourage(&[]);
    let mut ours = master.dial();
    ok(&mut ours, "CONFIG SET repl-diskless-sync-delay 3600");
    ok(&mut ours, "CONFIG SET repl-diskless-sync-max-replicas 2");
    let replicas = [Server::redis(&[]), Server::redis(&[])];
    let mut theirs = replicas.each_ref().map(Server::dial);
    theirs.iter_mut().for_each(|it| follow(it, &master));
    theirs.iter_mut().for_each(|it| until_caught_up(it, &mut ours));
}

#[test]
fn a_failover_is_explained_and_not_done() {
    let (master, replica) = (Server::entourage(&[]), Server::redis(&[]));
    let (mut ours, mut theirs) = (master.dial(), replica.dial());
    follow(&mut theirs, &master);
    until_caught_up(&mut theirs, &mut ours);
    let mut told = |words: &str| {
        let answer = ours.ask(&format!("PROXY EXPLAIN FAILOVER{words}"));
        answer.list().iter().map(|it| it.string()).collect::<Vec<_>>().join("\n")
    };
    for words in ["", " TO n2", " to N2"] {
        let told = told(words);
        assert!(told.contains("candidate n") && told.contains("lacks 0 bytes"), "{told}");
        assert!(told.contains("1 replicas on the wire resync in part"), "{told}");
    }
    assert!(told(" TO n1").contains("refused: it is the master"));
    let wire = told(&format!(" TO 127.0.0.1 {}", replica.port()));
    assert!(wire.contains("a replica on the wire"), "{wire}");
    assert!(wire.contains("then this set follows it"), "{wire}");
    starts(&ours.ask("PROXY EXPLAIN FAILOVER TO nobody"), "NOSUCHMEMBER");
    starts(&ours.ask("PROXY EXPLAIN FAILOVER TO nobody 1"), "ERR FAILOVER target");
    starts(&ours.ask("PROXY EXPLAIN FAILOVER FOR n2"), "ERR write PROXY EXPLAIN FAILOVER");
    assert_eq!(field(&mut ours, "replication", "role"), "master");
    ok(&mut ours, "PROXY NODE n2 PAUSE");
    let answer = ours.ask("PROXY EXPLAIN FAILOVER TO n2");
    assert_eq!(answer.list()[1].string(), "refused: it is paused");
}

/// The members that the file comes from know of a consumer that has got nothing by the log alone.
#[test]
fn a_consumer_that_has_got_nothing_is_not_older_than_it_is() {
    const SECONDS_MAX: i64 = 60;
    for replica in real_servers() {
        let master = Server::entourage(&[]);
        let (mut ours, mut theirs) = (master.dial(), replica.dial());
        for line in [
            "XADD s 1-1 a b",
            "XGROUP CREATE s g $",
            "XREADGROUP GROUP g waits STREAMS s >",
            "XGROUP CREATECONSUMER s g created",
            "XADD s 2-1 a b",
            "XREADGROUP GROUP g gets STREAMS s >",
            "WAIT 2 10000",
        ] {
            ours.ask(line);
        }
        follow(&mut theirs, &master);
        until_caught_up(&mut theirs, &mut ours);
        for name in ["later", "much-later"] {
            ours.ask(&format!("XGROUP CREATECONSUMER s g {name}"));
        }
        until_caught_up(&mut theirs, &mut ours);
        let told = theirs.ask("XINFO CONSUMERS s g");
        let idle_ms: Vec<i64> = told.list().iter().filter_map(|it| it.list()[5].int()).collect();
        assert_eq!(idle_ms.len(), 5, "{told}");
        let is_recent = |it: &i64| (0..SECONDS_MAX * 1000).contains(it);
        assert!(idle_ms.iter().all(is_recent), "{told}");
    }
}
