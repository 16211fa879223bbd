//! Rights on the ways by which requests leave this process: whom they are refused to, nothing is
//! sent for.

use crate::support::{Kind, RealSet, Server, Value, Wire, info_field, ok, starts, until, words};

/// How often this server has been asked each command, but for what links and probes ask.
fn asked(server: &Server) -> Vec<String> {
    const OURS: [&str; 13] = [
        "info",
        "ping",
        "role",
        "replconf",
        "psync",
        "command",
        "hello",
        "select",
        "client",
        "auth",
        "config",
        "wait",
        "subscribe",
    ];
    let stats = server.dial().ask("INFO commandstats").string();
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let is_ours = OURS.iter().any(|it| name == *it || name.starts_with(&format!("{it}|")));
        let calls = rest.split([',', '=']).nth(1)?;
        (!is_ours).then(|| format!("{name} {calls}"))
    };
    stats.lines().filter_map(calls).collect()
}

/// A client of a user who may read and write `a*`, and hear and tell `c*`.
fn of_user(server: &Server) -> Wire {
    let mut op = server.dial();
    ok(&mut op, "ACL SETUSER u on nopass ~a* &c* +@all -@dangerous -incr -lpush -eval (+incr ~n)");
    let mut wire = server.dial();
    ok(&mut wire, "AUTH u x");
    wire
}

/// Requests that are refused to it, alone and within a pipeline and a transaction.
const REFUSED: [&str; 16] = [
    "SET x 1",
    "GET x",
    "MSET a 1 x 2",
    "MGET a x",
    "DEL a x",
    "INCR a",
    "LPUSH a 1",
    "BLPOP x 1",
    "WATCH x",
    "COPY a x",
    "SORT a STORE x",
    "XREAD STREAMS x 0",
    "EVAL return(1) 0",
    "PUBLISH x m",
    "KEYS *",
    "FLUSHALL",
];

fn is_refused(reply: &Value, line: &str) {
    assert!(reply.string().starts_with("NOPERM"), "{line}: {reply}");
}

/// Asks all of it of a proxy, and finds that these servers have been asked nothing.
fn nothing_is_sent(proxy: &Server, servers: &[&Server]) {
    let mut wire = of_user(proxy);
    let mut other = proxy.dial();
    ok(&mut other, "SET a 0");
    // What was asked before has been counted once the next is answered.
    let before: Vec<_> = servers.iter().map(|it| asked(it)).collect();
    for line in REFUSED {
        is_refused(&wire.ask(line), line);
    }
    let batch: Vec<_> =
        REFUSED.iter().map(|it| words(&it.split(' ').collect::<Vec<_>>())).collect();
    for (reply, line) in wire.pipeline(&batch).iter().zip(REFUSED) {
        is_refused(reply, line);
    }
    for line in REFUSED {
        ok(&mut wire, "MULTI");
        let reply = wire.ask(line);
        let reply = reply.string();
        assert!(reply.starts_with("NOPERM") || line.starts_with("WATCH"), "{line}: {reply}");
        starts(&wire.ask("EXEC"), "EXECABORT");
    }
    let after: Vec<_> = servers.iter().map(|it| asked(it)).collect();
    assert_eq!(after, before, "nobody is asked for what is refused");
    // Rules that change between MULTI and EXEC hold for what was queued, as a whole.
    ok(&mut wire, "MULTI");
    assert_eq!(wire.ask("SET a 1").string(), "QUEUED");
    let mut op = proxy.dial();
    ok(&mut op, "ACL SETUSER u -set");
    let refused = wire.ask("EXEC").to_string();
    assert!(refused.contains("NOPERM"), "{refused}");
    assert_eq!(other.ask("GET a").string(), "0");
    // What is allowed goes its way.
    assert_eq!(wire.ask("INCR n").int(), Some(1));
    assert_eq!(wire.ask("GET a").string(), "0");
    assert!(wire.ask("PUBLISH c1 m").int().is_some());
}

#[test]
fn a_node_that_follows_a_master_sends_it_nothing_that_is_refused() {
    let masters = [Some(Server::redis(&[])), Server::valkey()];
    for master in masters.into_iter().flatten() {
        let address = format!("127.0.0.1:{}", master.port());
        let node = Server::entourage(&["--replicaof", &address]);
        let mut wire = node.dial();
        until("the link", || {
            (info_field(&mut wire, "replication", "master_link_status")? == "up").then_some(())
        });
        nothing_is_sent(&node, &[&master]);
    }
}

#[test]
fn nothing_is_sent_to_real_servers_that_is_refused() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let proxy = set.proxy("");
        nothing_is_sent(&proxy, &set.members.iter().collect::<Vec<_>>());
    }
}
