//! What PROXY STATS tells of staleness, waits and failovers: where, and at which key first.

use crate::support::{BOTH, Server, Wire, node, ok, order, until, until_behind, words};

const ROUTES: &str = r#"
[server]
enable-debug-command = "yes"

[[listener]]
name = "main"
bind = "127.0.0.1:{port}"

[[route]]
name = "careless"
keys = ["careless:*"]
on-lag = ["stale"]

[[route]]
name = "lax"
keys = ["lax:*"]
on-lag = ["stale"]

[[route]]
name = "patient"
keys = ["patient:*"]
on-lag = ["wait 1h", "error"]

[[route]]
name = "brief"
keys = ["brief:*"]
on-lag = ["wait 5ms", "error"]

[[route]]
name = "durable"
keys = ["durable:*"]
acks = 1

[[route]]
name = "asking"
commands = ["wait"]
"#;

/// What PROXY STATS says behind `name:`.
fn stat(wire: &mut Wire, name: &str) -> Option<String> {
    let stats = wire.ask("PROXY STATS").string();
    let start = format!("{name}:");
    stats.lines().find_map(|it| it.strip_prefix(&start)).map(str::to_owned)
}

fn told(wire: &mut Wire, name: &str) -> String {
    stat(wire, name).unwrap_or_else(|| panic!("no {name} in {}", wire.ask("PROXY STATS")))
}

/// A number among `name=number,…`.
fn number(told: &str, name: &str) -> u64 {
    let fields = || told.split(',').filter_map(|it| it.split_once('='));
    let found = fields().find(|it| it.0 == name);
    found.unwrap_or_else(|| panic!("no {name} in {told}")).1.parse().expect("a number")
}

/// What is told of a series `count` times.
fn counted(wire: &mut Wire, name: &str, count: u64) {
    let told = told(wire, name);
    assert_eq!(number(&told, "count"), count, "{name}:{told}");
}

/// A server whose reads go to `n2` alone, unless to the master, and a connection to it.
fn with_one_reader() -> (Server, Wire) {
    let server = Server::entourage_with_config(ROUTES);
    let mut wire = server.dial();
    order(&mut wire, &["n3"], "DRAIN");
    (server, wire)
}

/// Whether PROXY STATS has a line that begins so.
fn tells(wire: &mut Wire, start: &str) -> bool {
    wire.ask("PROXY STATS").string().lines().any(|it| it.starts_with(start))
}

#[test]
fn the_worst_stale_read_of_each_route_and_member_gives_its_key() {
    let (_server, mut wire) = with_one_reader();
    let place = "{route=careless,member=n2}";
    ok(&mut wire, "SET careless:fresh 1");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    assert_eq!(wire.ask("GET careless:fresh").string(), "1");
    counted(&mut wire, &format!("staleness_us{place}"), 1);
    assert!(!tells(&mut wire, "staleness_worst"), "a fresh read is not the worst of anything");

    order(&mut wire, &["n2"], "PAUSE");
    ok(&mut wire, "SET careless:first x");
    assert!(wire.ask("GET careless:first").is_nil());
    let worst = told(&mut wire, &format!("staleness_worst{place}"));
    assert!(worst.ends_with(",key=\"careless:first\""), "{worst}");

    ok(&mut wire, &format!("SET careless:second {}", "x".repeat(10_000)));
    let behind = |wire: &mut Wire| node(wire, "n2")["lag-bytes"].int().unwrap() as u64;
    let before = behind(&mut wire);
    assert!(wire.ask("GET careless:second").is_nil());
    let after = behind(&mut wire);
    ok(&mut wire, "SET lax:1 x");
    assert!(wire.cmd(&["MGET", "lax:\r\n\"1\"", "lax:other"]).list()[0].is_nil());

    let worst = told(&mut wire, &format!("staleness_worst{place}"));
    assert!(worst.ends_with(",key=\"careless:second\""), "{worst}");
    assert!((before..=after).contains(&number(&worst, "bytes")), "{before} {worst} {after}");
    for (series, unit) in [("staleness_us", "us"), ("staleness_bytes", "bytes")] {
        let spread = told(&mut wire, &format!("{series}{place}"));
        assert_eq!((number(&spread, "count"), number(&spread, "max")), (3, number(&worst, unit)));
    }
    let lax = "staleness_worst{route=lax,member=n2}";
    let worst = told(&mut wire, lax);
    assert!(worst.ends_with(r#",key="lax:\r\n\"1\"""#), "{worst}");

    ok(&mut wire, "CONFIG RESETSTAT");
    assert!(!tells(&mut wire, "staleness"), "forgotten");
    assert!(wire.ask("GET lax:1").is_nil());
    assert!(told(&mut wire, lax).ends_with(",key=\"lax:1\""), "the worst since then");
}

#[test]
fn a_wait_for_a_floor_is_told_by_route_and_member_and_the_longest_gives_its_key() {
    let (server, mut operator) = with_one_reader();
    let mut wire = server.dial();
    order(&mut operator, &["n2"], "PAUSE");
    ok(&mut wire, "SET brief:1 x");
    let brief = "{route=brief,member=n2}";
    assert!(wire.ask("GET brief:1").is_error());
    counted(&mut wire, &format!("floor_wait_us{brief}"), 1);
    let worst = told(&mut wire, &format!("floor_wait_worst{brief}"));
    assert!(worst.ends_with(",key=\"brief:1\""), "{worst}");

    let patient = "{route=patient,member=n2}";
    let id = wire.ask("CLIENT ID").int().expect("a number");
    let mut waited_us = 0;
    for turn in 1..=2 {
        ok(&mut wire, &format!("SET patient:{turn} x"));
        wire.send(&[words(&["GET", &format!("patient:{turn}")])]);
        until("the read to wait", || {
            operator.ask(&format!("CLIENT LIST ID {id}")).string().contains("flags=b").then_some(())
        });
        // It waits since then, and longer than the one before.
        let since = node(&mut operator, "n2")["lag-us"].int().expect("a number");
        until_behind(&mut operator, &["n2"], since + waited_us);
        order(&mut operator, &["n2"], "RESUME");
        assert_eq!(wire.read().string(), "x");
        let worst = told(&mut wire, &format!("floor_wait_worst{patient}"));
        assert!(worst.ends_with(&format!(",key=\"patient:{turn}\"")), "{worst}");
        waited_us = number(&worst, "us") as i64;
        order(&mut operator, &["n2"], "PAUSE");
    }
    let spread = told(&mut wire, &format!("floor_wait_us{patient}"));
    assert_eq!((number(&spread, "count"), number(&spread, "max")), (2, waited_us as u64));
    counted(&mut wire, "floor_wait_us", 3);
    ok(&mut wire, "CONFIG RESETSTAT");
    counted(&mut wire, "floor_wait_us", 0);
    assert!(!tells(&mut wire, "floor_wait_us{") && !tells(&mut wire, "floor_wait_worst"));
}

#[test]
fn a_wait_for_acknowledgements_is_told_by_the_route_that_asked_for_them() {
    let server = Server::entourage_with_config(ROUTES);
    let mut wire = server.dial();
    ok(&mut wire, "SET durable:1 x");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    ok(&mut wire, "PROXY ACKS 2 0");
    ok(&mut wire, "SET plain x");
    ok(&mut wire, "PROXY ACKS 0");
    wire.ask("MULTI");
    wire.ask("SET durable:2 x");
    assert_eq!(wire.ask("EXEC").list().len(), 1);
    for (route, count) in [("durable", 2), ("asking", 1), ("default", 1)] {
        counted(&mut wire, &format!("wait_us{{route={route},member=-}}"), count);
    }
    counted(&mut wire, "wait_us", 4);
    ok(&mut wire, "CONFIG RESETSTAT");
    counted(&mut wire, "wait_us", 0);
    assert!(!tells(&mut wire, "wait_us{"));
}

#[test]
fn push_lag_is_told_by_replica() {
    let server = Server::entourage_with_config(ROUTES);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    until("both to have noted it", || {
        let series =
            |it: &&str| tells(&mut server.dial(), &format!("push_lag_us{{route=-,member={it}}}:"));
        BOTH.iter().all(series).then_some(())
    });
    assert!(!tells(&mut wire, "push_lag_us{route=-,member=n1}"), "nothing is pushed to the master");
}

#[test]
fn how_long_failovers_held_writers_is_told() {
    let server = Server::entourage_with_config(ROUTES);
    let mut wire = server.dial();
    counted(&mut wire, "failover_pause_us", 0);
    let told_us = |wire: &mut Wire, name: &str| {
        let told = wire.ask(&format!("PROXY FAILOVER TO {name}")).string();
        told.strip_prefix("OK paused-us=").expect("it is done").parse::<u64>().expect("a number")
    };
    let longest = told_us(&mut wire, "n2").max(told_us(&mut wire, "n3"));
    let spread = told(&mut wire, "failover_pause_us");
    assert_eq!((number(&spread, "count"), number(&spread, "max")), (2, longest));
    let info = wire.ask("INFO replication").string();
    let line = format!("failover_pause_us_p99:{}", number(&spread, "p99"));
    assert!(info.lines().any(|it| it == line), "no {line} in {info}");
    assert!(wire.ask("DEBUG PANIC WRITE").is_error());
    until("the master to be replaced", || {
        (number(&told(&mut wire, "failover_pause_us"), "count") == 3).then_some(())
    });
    ok(&mut wire, "CONFIG RESETSTAT");
    counted(&mut wire, "failover_pause_us", 0);
    assert!(wire.ask("INFO replication").string().contains("failover_pause_us_p99:0\r\n"));
}
