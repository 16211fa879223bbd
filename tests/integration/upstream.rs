//! Entourage in front of real servers: writes go to the master, reads to replicas that prove to have
//! what they need, and nobody sees less than was written or shown through it.

use crate::support::upstream::{node_field, states};
use crate::support::{
    Kind, RealSet, Server, Wire, are_answered_in_order, are_left_out_as_asked, furnish, ok, starts,
    until, words,
};

const EVENTUAL: &str = "[consistency]\nlevel = \"eventual\"\n";

#[test]
fn writes_go_to_the_master_and_eventual_reads_to_replicas() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let proxy = set.proxy(EVENTUAL);
        let (mut ours, mut theirs) = (proxy.dial(), set.members[0].dial());
        furnish(&mut ours);
        assert_eq!(ours.ask("INCR n").int(), Some(1));
        assert_eq!(theirs.ask("GET n").string(), "1");
        until("the replicas", || (ours.ask("GET n").string() == "1").then_some(()));
        let calls = |at: usize| {
            let stats = set.members[at].dial().ask("INFO commandstats").string();
            let line = stats.lines().find(|it| it.starts_with("cmdstat_get:"));
            line.map_or(0, |it| it.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap())
        };
        let before = [0, 1, 2].map(calls);
        for _ in 0..200 {
            assert_eq!(ours.ask("GET n").string(), "1");
        }
        let after = [0, 1, 2].map(calls);
        assert_eq!(after[0], before[0], "no read at the master");
        assert!(before[1] + 20 < after[1] && before[2] + 20 < after[2], "{before:?} {after:?}");
    }
}

#[test]
fn pipelines_are_answered_in_order_and_see_what_was_written_before_them() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        for level in ["eventual", "sticky", "global"] {
            let proxy = set.proxy(&format!("[consistency]\nlevel = \"{level}\"\n"));
            let mut wire = proxy.dial();
            are_answered_in_order(&mut wire, &format!("c{level}"));
        }
    }
}

#[test]
fn replies_are_left_out_as_asked_wherever_they_come_from() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        are_left_out_as_asked(&mut set.proxy("").dial());
    }
}

#[test]
fn many_clients_share_a_few_connections() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy(EVENTUAL);
    let mut clients: Vec<Wire> = (0..200).map(|_| proxy.dial()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        ok(client, &format!("SELECT {}", at % 3));
        ok(client, &format!("SET k{at} {at}"));
    }
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(&[words(&["INCR", &format!("k{at}")]), words(&["ECHO", "x"])]);
    }
    for (at, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.read().int(), Some(at as i64 + 1));
        assert_eq!(client.read().string(), "x");
    }
    for member in &set.members {
        let list = member.dial().ask("CLIENT LIST").string();
        let ours = list.lines().filter(|it| it.contains("name=entourage")).count();
        assert!(ours <= 1 + 2, "a probe, and a connection of each worker: {list}");
    }
    assert_eq!(clients[7].ask("GET k7").string().parse::<i64>().ok(), Some(8));
}

#[test]
fn unknown_commands_are_writes_to_the_master() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy("");
        let mut wire = proxy.dial();
        assert_eq!(wire.ask("SETBIT bits 7 1").int(), Some(0));
        assert_eq!(wire.ask("PFADD hll a b").int(), Some(1));
        assert_eq!(wire.ask("GEOADD g 13.4 52.5 x").int(), Some(1));
        assert_eq!(wire.ask("GET bits").string(), "\u{1}");
        let replies = wire.pipeline(&[
            words(&["SET", "a", "1"]),
            words(&["GETBIT", "bits", "7"]),
            words(&["GET", "a"]),
        ]);
        assert_eq!(replies[1].int(), Some(1));
        assert_eq!(replies[2].string(), "1");
        let refused = || set.members[0].dial().ask("INFO errorstats").string();
        let before = refused();
        starts(&wire.ask("NOSUCHCOMMAND x"), "ERR unknown command");
        assert_ne!(refused(), before, "the master has refused it");
        let of_master = set.members[0].dial().ask("MODULE LIST");
        assert_eq!(wire.ask("MODULE LIST"), of_master);
        starts(&wire.ask("SAVE"), "NOTHOSTED");
        starts(&wire.ask("REPLICAOF NO ONE"), "NOTHOSTED");
    }
}

/// Real replicas refuse them all the same, and are not asked.
#[test]
fn commands_that_may_store_are_answered_by_the_master_whether_they_do_or_not() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 2, &[]);
        let proxy = set.proxy(EVENTUAL);
        let mut wire = proxy.dial();
        assert_eq!(wire.ask("GEOADD g 13.4 52.5 x").int(), Some(1));
        assert_eq!(wire.ask("RPUSH l 1").int(), Some(1));
        let was_asked = |member: usize, command: &str| {
            let stats = set.members[member].dial().ask("INFO commandstats").string();
            stats.lines().any(|it| it.starts_with(&format!("cmdstat_{command}:")))
        };
        until("the replicas to serve reads", || {
            wire.ask("LLEN l");
            [1, 2].iter().all(|it| was_asked(*it, "llen")).then_some(())
        });
        for _ in 0..20 {
            assert_eq!(wire.ask("SORT l").list().len(), 1);
            assert_eq!(wire.ask("GEORADIUS g 13.4 52.5 1 km").list().len(), 1);
            let replies = wire.pipeline(&[
                words(&["GEOPOS", "g", "x"]),
                words(&["GEORADIUS", "g", "13.4", "52.5", "1", "km"]),
                words(&["GEORADIUSBYMEMBER", "g", "x", "1", "km", "STORE", "h"]),
            ]);
            assert_eq!(replies[1].list().len(), 1);
            assert_eq!(replies[2].int(), Some(1));
        }
        for member in [1, 2] {
            assert!(!was_asked(member, "sort") && !was_asked(member, "georadius"));
        }
    }
}

#[test]
fn what_was_sent_and_not_answered_is_an_error_and_never_sent_again() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy("");
        let (mut ours, mut theirs) = (proxy.dial(), set.members[0].dial());
        ok(&mut ours, "SET n 0");
        std::thread::scope(|scope| {
            let port = proxy.port();
            let writer = scope.spawn(move || {
                let mut wire = Wire::dial(port).expect("a connection");
                let (mut done, mut lost) = (0, 0);
                while done < 3000 {
                    let reply = wire.ask("INCR n");
                    match reply.int() {
                        Some(_) => done += 1,
                        None => {
                            starts(&reply, "FORWARDLOST");
                            lost += 1;
                        }
                    }
                }
                (done, lost)
            });
            while !writer.is_finished() {
                theirs.ask("CLIENT KILL TYPE normal SKIPME yes");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let (done, lost) = writer.join().expect("it wrote");
            let count: i64 = theirs.ask("GET n").string().parse().expect("a number");
            let range = done..=done + lost;
            assert!(range.contains(&count), "{done} done, {lost} lost, {count} counted");
        });
    }
}

#[test]
fn members_are_named_by_how_they_stand() {
    let mut set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy("");
    let mut wire = proxy.dial();
    ok(&mut wire, "SET k v");
    set.members[1].freeze();
    until("it to be silent", || (states(&mut wire)[1] == "silent").then_some(()));
    assert_eq!(wire.ask("GET k").string(), "v");
    set.members[1].thaw();
    until("it to be back", || (states(&mut wire)[1] == "replica").then_some(()));
    let gone = set.members.pop().expect("there is one");
    gone.crash();
    until("it to be gone", || (states(&mut wire)[2] == "unreachable").then_some(()));
    assert_eq!(wire.ask("GET k").string(), "v");
    set.members[1].dial().ask("REPLICAOF NO ONE");
    until("two masters", || (states(&mut wire)[0] == "two-masters").then_some(()));
    starts(&wire.ask("SET k w"), "MASTERDOWN");
    let port = set.members[0].port();
    ok(&mut set.members[1].dial(), &format!("REPLICAOF 127.0.0.1 {port}"));
    until("one master", || (states(&mut wire)[..2] == ["master", "replica"]).then_some(()));
    ok(&mut wire, "SET k x");
    assert_eq!(wire.ask("GET k").string(), "x");
    assert_eq!(node_field(&mut wire, 0, "role"), "master");
}

#[test]
fn operators_see_where_requests_go_and_how_members_stand() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy("[consistency]\nlevel = \"sticky\"\n");
    let mut wire = proxy.dial();
    let explained = |wire: &mut Wire, words: &str| {
        let lines = wire.ask(&format!("PROXY EXPLAIN {words}"));
        lines.list().iter().map(|it| it.string()).collect::<Vec<_>>().join("\n")
    };
    assert!(explained(&mut wire, "SET k v").contains("chosen n1\n"));
    assert!(explained(&mut wire, "SORT k").contains("chosen n1\n"), "it may write");
    let read = explained(&mut wire, "GET k");
    assert!(read.contains("chosen n2\n") || read.contains("chosen n3\n"), "{read}");
    assert!(read.contains("proved by ROLE"), "{read}");
    assert_eq!(read.matches("member n").count(), 3, "{read}");
    ok(&mut wire, "PROXY CONSISTENCY master");
    assert!(explained(&mut wire, "GET k").contains("chosen n1\n"));
    let info = wire.ask("INFO replication").string();
    assert!(info.contains("role:master\r\n") && info.contains("upstream_master:n1\r\n"), "{info}");
    assert_eq!(info.matches("state=replica").count(), 2, "{info}");
    assert_eq!(wire.ask("ROLE").list()[0].string(), "master");
}

#[test]
fn a_bounded_read_is_no_older_than_it_may_be() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let config = "[consistency]\nlevel = \"bounded 500ms\"\n[upstream]\nprobe-every = \"50ms\"\n\
                  replica-timeout = \"100ms\"\n";
    let proxy = set.proxy(config);
    let mut wire = proxy.dial();
    for it in 0..20 {
        ok(&mut wire, &format!("SET k {it}"));
        until("the bound", || (wire.ask("GET k").string() == it.to_string()).then_some(()));
    }
    until("reads at the replica", || {
        wire.ask("GET k");
        (node_field(&mut wire, 1, "reads-accepted") != "0").then_some(())
    });
}

#[test]
fn servers_that_refuse_or_talk_nonsense_have_names() {
    let master = Kind::Redis.server(&[]);
    ok(&mut master.dial(), "CONFIG SET requirepass secret");
    // It takes connections, and what it answers is no reply.
    let nonsense = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = nonsense.local_addr().expect("it has one").port();
    let talker = std::thread::spawn(move || {
        use std::io::Write;
        for client in nonsense.incoming() {
            let Ok(mut client) = client else { return };
            if client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err() {
                return;
            }
        }
    });
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[[member]]\naddress = \"127.0.0.1:{}\"\n\
         [[member]]\naddress = \"127.0.0.1:{port}\"\n[[member]]\naddress = \"nowhere.invalid:1\"\n\
         [upstream]\nbuffer-for = \"100ms\"\n",
        master.port()
    );
    let proxy = Server::entourage_with_config_and(&text, &["--loglevel", "notice"]);
    let mut wire = proxy.dial();
    until("each to have its name", || {
        (states(&mut wire) == ["refused", "garbage", "unreachable"]).then_some(())
    });
    assert!(node_field(&mut wire, 0, "why").starts_with("NOAUTH"));
    starts(&wire.ask("SET k v"), "MASTERDOWN");
    drop(talker);
    let text = text.replace("[upstream]\n", "[upstream]\npassword = \"secret\"\n");
    let proxy = Server::entourage_with_config_and(&text, &["--loglevel", "notice"]);
    let mut wire = proxy.dial();
    until("a master", || (states(&mut wire)[0] == "master").then_some(()));
    ok(&mut wire, "SET k v");
    assert_eq!(wire.ask("GET k").string(), "v");
    ok(&mut wire, "WATCH k");
}

#[test]
fn reads_go_to_members_nearby_that_are_not_drained() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let said = ["", "zone = \"a\"\nweight = 3\n", "zone = \"b\"\n"];
    let config = "[upstream]\nzone = \"a\"\n[consistency]\nlevel = \"eventual\"\n";
    let proxy = set.proxy_of(&set.described(&said), config);
    let mut wire = proxy.dial();
    let answered = |wire: &mut Wire| {
        [1, 2].map(|it| node_field(wire, it, "answered").parse::<i64>().expect("a number"))
    };
    let read = |wire: &mut Wire| (0..50).for_each(|_| assert!(wire.ask("GET k").is_nil()));
    read(&mut wire);
    assert_eq!(answered(&mut wire), [50, 0], "the one of our zone");
    assert_eq!([1, 2].map(|it| node_field(&mut wire, it, "weight")), ["3", "1"]);
    ok(&mut wire, "PROXY NODE n2 DRAIN");
    assert_eq!(states(&mut wire), ["master", "drained", "replica"]);
    read(&mut wire);
    assert_eq!(answered(&mut wire), [50, 50]);
    starts(&wire.ask("PROXY NODE n3 DRAIN"), "REFUSEDORDER");
    ok(&mut wire, "PROXY NODE n3 DRAIN FORCE");
    read(&mut wire);
    assert_eq!(answered(&mut wire), [50, 50], "the master");
    // Drained replicas are fed and acknowledge.
    ok(&mut wire, "SET k v");
    assert_eq!(wire.ask("WAIT 2 5000").int(), Some(2));
    ["n2", "n3"].iter().for_each(|it| ok(&mut wire, &format!("PROXY NODE {it} UNDRAIN")));
    assert_eq!(wire.ask("GET k").string(), "v");
    assert_eq!(answered(&mut wire), [51, 50]);
    starts(&wire.ask("PROXY NODE n9 DRAIN"), "NOSUCHMEMBER");
    starts(&wire.ask("PROXY NODE n2 PAUSE"), "ERR");
}
