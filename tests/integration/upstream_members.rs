//! Who is a member in front of real servers: not for ever whom sentinels name no more, and never an
//! Entourage, least of all this one.

use crate::support::upstream::{
    NAME, each, node_field, proxy_of_sentinels, sentinels, states, until_linked,
};
use crate::support::{
    Kind, RealSet, Server, Value, Wire, info_field, ok, starts, until, within, words,
};
use std::time::Duration;

/// Sixty answers of sentinels, each 100 ms behind the one before, and time to spare.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(60);

/// The addresses of the members, in their order.
fn addresses(wire: &mut Wire) -> Vec<String> {
    each(wire, "address")
}

/// A replica of this master at this port, or at any.
fn replica(master: &Server, port: Option<u16>) -> Server {
    let its = master.port().to_string();
    let flags = ["--replicaof", "127.0.0.1", &its, "--repl-diskless-sync-delay", "0"];
    let server = match port {
        Some(port) => Server::redis_at(port, &flags),
        None => Server::redis(&flags),
    };
    until_linked(&server);
    server
}

/// How often a server was asked for a key.
fn gets(server: &Server) -> u64 {
    let stat = info_field(&mut server.dial(), "commandstats", "cmdstat_get");
    let calls = stat.and_then(|it| it.strip_prefix("calls=")?.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

/// Reads until this server has served some.
fn until_read(ours: &mut Wire, server: &Server) {
    let before = gets(server);
    until("reads there", || {
        ours.pipeline(&vec![words(&["GET", "k"]); 50]);
        (before < gets(server)).then_some(())
    });
}

#[test]
fn whom_sentinels_name_no_more_is_none_any_more_until_they_do_again() {
    let mut set = RealSet::new(Kind::Redis, 2, &[]);
    let sentinels = sentinels(&set.members[0]);
    let proxy = proxy_of_sentinels(&sentinels);
    let (mut ours, mut wire) = (proxy.dial(), proxy.dial());
    ok(&mut ours, "PROXY CONSISTENCY eventual");
    ours.pipeline(&(0..500).map(|it| words(&["SET", &format!("k{it}"), "v"])).collect::<Vec<_>>());
    assert_eq!(ours.ask("WAIT 2 5000").int(), Some(2));
    let cursors: Vec<String> =
        (0..80).map(|_| ours.ask("SCAN 0 COUNT 10").list()[0].string()).collect();
    let gone = set.members.remove(1);
    let port = gone.port();
    let at = format!("127.0.0.1:{port}");
    assert!(addresses(&mut wire).contains(&at));
    gone.crash();
    let is_named = |sentinel: &Server| {
        let replicas = sentinel.dial().cmd(&["SENTINEL", "REPLICAS", NAME]);
        let is_port = |it: &[Value]| it[0].string() == "port" && it[1].string() == port.to_string();
        replicas.list().iter().any(|it| it.list().chunks(2).any(is_port))
    };
    // One that was told of it by another in the meantime is told to forget it again.
    let are_all = |forgotten: &mut Vec<bool>| {
        for (it, is_forgotten) in sentinels.iter().zip(forgotten.iter_mut()) {
            *is_forgotten = !is_named(it);
            if !*is_forgotten {
                it.dial().cmd(&["SENTINEL", "RESET", NAME]);
            }
        }
        forgotten.iter().all(|it| *it)
    };
    let mut forgotten = vec![false; sentinels.len()];
    let is_forgotten = within(FORGOTTEN_WITHIN, || {
        let is_gone = are_all(&mut forgotten) && !addresses(&mut wire).contains(&at);
        is_gone.then_some(())
    });
    assert!(is_forgotten.is_some(), "{:?} {:?}", addresses(&mut wire), states(&mut wire));
    let mut left = states(&mut wire);
    left.sort();
    assert_eq!(left, ["master", "replica"]);
    let told = |wire: &mut Wire, name: &str| info_field(wire, "replication", name);
    assert_eq!(told(&mut wire, "upstream_members").as_deref(), Some("2"));
    assert!(!wire.ask("INFO replication").string().contains(&at));
    assert!(!wire.ask("PROXY EXPLAIN GET k").to_string().contains(&at));
    // Its cursors are nobody's, the other's go on.
    let replies: Vec<_> = cursors.iter().map(|it| ours.cmd(&["SCAN", it, "COUNT", "10"])).collect();
    let lost = replies.iter().filter(|it| it.to_string().contains("SCANLOST")).count();
    assert!(0 < lost && lost < replies.len(), "{lost} of {}", replies.len());
    // Another is found, and serves.
    let new = replica(&set.members[0], None);
    let is_there = |wire: &mut Wire, port: u16| {
        let at = format!("127.0.0.1:{port}");
        let place = addresses(wire).iter().position(|it| *it == at)?;
        (states(wire).get(place)? == "replica").then_some(place)
    };
    until("the new one to be found", || is_there(&mut wire, new.port()));
    until_read(&mut ours, &new);
    // So is one at the old address: it is a member like any, with counts of its own.
    let back = replica(&set.members[0], Some(port));
    let place = until("the old one to be found", || is_there(&mut wire, port));
    assert_eq!(node_field(&mut wire, place, "writes-lost"), "0");
    until_read(&mut ours, &back);
    assert_eq!(states(&mut wire).len(), 4);
    assert_eq!(told(&mut wire, "upstream_members").as_deref(), Some("4"));
    ok(&mut ours, "SET k w");
    assert_eq!(ours.ask("WAIT 3 5000").int(), Some(3));
    assert!(ours.ask("PROXY EXPLAIN GET k").to_string().contains(&at));
}

/// An Entourage whose members are at these ports; `{port}` is its own.
fn proxy_at(ports: &[&str]) -> Server {
    let member = |it: &&str| format!("[[member]]\naddress = \"127.0.0.1:{it}\"\n");
    let members: String = ports.iter().map(member).collect();
    let text = format!(
        "[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n{members}[upstream]\n\
         buffer-for = \"200ms\"\nprobe-every = \"50ms\"\n"
    );
    Server::entourage_with_config_and(&text, &["--loglevel", "notice"])
}

fn until_states(wire: &mut Wire, expected: &[&str]) {
    let met = within(Duration::from_secs(20), || (states(wire) == expected).then_some(()));
    assert!(met.is_some(), "{:?}, not {expected:?}", states(wire));
}

#[test]
fn a_proxy_in_front_of_itself_serves_nobody_and_says_why() {
    let proxy = proxy_at(&["{port}"]);
    let (mut ours, mut wire) = (proxy.dial(), proxy.dial());
    until_states(&mut wire, &["proxy"]);
    assert_eq!(node_field(&mut wire, 0, "why"), "it is this proxy itself");
    for command in ["SET k v", "GET k", "INCR n", "BLPOP l 1", "CONFIG GET maxmemory"] {
        starts(&ours.ask(command), "MASTERDOWN");
    }
    ok(&mut ours, "PROXY CONSISTENCY eventual");
    starts(&ours.ask("GET k"), "MASTERDOWN");
    assert_eq!(node_field(&mut wire, 0, "answered"), "0");
    assert_eq!(node_field(&mut wire, 0, "in-service"), "0");
}

#[test]
fn a_proxy_among_members_is_none_of_them() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    let ports = [set.members[0].port(), set.members[1].port()].map(|it| it.to_string());
    let proxy = proxy_at(&["{port}", &ports[0], &ports[1]]);
    let (mut ours, mut wire) = (proxy.dial(), proxy.dial());
    until_states(&mut wire, &["proxy", "master", "replica"]);
    ok(&mut ours, "SET k v");
    assert_eq!(ours.ask("WAIT 1 5000").int(), Some(1));
    (0..50).for_each(|_| assert_eq!(ours.ask("GET k").string(), "v"));
    assert_eq!(node_field(&mut wire, 0, "answered"), "0");
    // Nor is another that stands in front of the same.
    let behind = proxy_at(&[&proxy.port().to_string()]);
    let (mut theirs, mut wire) = (behind.dial(), behind.dial());
    until_states(&mut wire, &["proxy"]);
    let run_id = info_field(&mut ours, "server", "run_id").unwrap();
    assert!(node_field(&mut wire, 0, "why").ends_with(&run_id));
    starts(&theirs.ask("SET k w"), "MASTERDOWN");
    assert_eq!(ours.ask("GET k").string(), "v");
}
