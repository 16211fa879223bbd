//! What an operator notices who reads INFO, CLIENT LIST, PROXY NODES, PROXY STATS and the log.

use crate::support::{BOTH, Server, Wire, info_field, node, ok, order, starts, until, words};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const ROUTES: &str = r#"
[server]
enable-debug-command = "yes"
slowlog-log-slower-than = 0

[set]
replicas = 2

[[listener]]
name = "main"
bind = "127.0.0.1:{port}"

[[listener]]
name = "strict"
unix = "strict"
level = "linearizable"

[[route]]
name = "careless"
keys = ["careless:*"]
level = "sticky"
on-lag = ["stale"]

[[route]]
name = "strict"
keys = ["strict:*"]
level = "sticky"
on-lag = ["wait 1ms", "error"]

[[route]]
name = "durable"
keys = ["durable:*"]
acks = 2
acks-timeout = "5ms"
"#;

fn field(wire: &mut Wire, section: &str, name: &str) -> String {
    info_field(wire, section, name).unwrap_or_else(|| panic!("no {name} in INFO {section}"))
}

fn routed() -> Server {
    Server::entourage_with_config_and(ROUTES, &["--loglevel", "info"])
}

/// Lines of the log about an event.
fn lines(server: &Server, event: &str) -> Vec<String> {
    let start = format!("event={event} ");
    let said = server.said();
    said.lines().filter(|it| it.contains(&start)).map(str::to_owned).collect()
}

/// How often it has happened, by its lines.
fn counted(server: &Server, event: &str) -> u64 {
    let count = |line: &String| -> u64 {
        let count = line.split("count=").nth(1).unwrap_or_else(|| panic!("no count in {line}"));
        count.split(' ').next().and_then(|it| it.parse().ok()).expect("a number")
    };
    lines(server, event).iter().map(count).sum()
}

#[test]
fn info_tells_a_paused_replica_from_one_that_is_fed() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    order(&mut wire, &["n3"], "PAUSE");
    assert!(field(&mut wire, "replication", "hosted0").contains("state=online,"));
    let paused = field(&mut wire, "replication", "hosted1");
    assert!(paused.contains("state=paused,") && paused.contains("flags=paused"), "{paused}");
    order(&mut wire, &["n3"], "RESUME");
    assert!(field(&mut wire, "replication", "hosted1").contains("state=online,"));
}

#[test]
fn wrong_passwords_are_counted_and_logged_once_a_second() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET requirepass secret");
    let began = Instant::now();
    for _ in 0..20 {
        starts(&wire.ask("AUTH hush"), "WRONGPASS");
        starts(&wire.ask("HELLO 2 AUTH hush hush"), "WRONGPASS");
    }
    assert_eq!(field(&mut wire, "stats", "acl_access_denied_auth"), "40");
    let said = lines(&server, "login-failed");
    assert!(said.len() as u64 <= 1 + began.elapsed().as_secs(), "{said:?}");
    assert!(!server.said().contains("hush"), "{}", server.said());
    // Those that were held back are told of, though no other comes.
    until("the log to tell of all", || (counted(&server, "login-failed") == 40).then_some(()));
    ok(&mut wire, "CONFIG RESETSTAT");
    assert_eq!(field(&mut wire, "stats", "acl_access_denied_auth"), "0");
}

#[test]
fn panics_and_quarantines_are_counted() {
    let server = routed();
    let mut wire = server.dial();
    assert_eq!(field(&mut wire, "stats", "member_panics"), "0");
    starts(&wire.ask("DEBUG PANIC"), "ERR");
    until("the panic to be counted", || {
        (field(&mut wire, "stats", "member_panics") == "1").then_some(())
    });
    assert_eq!(field(&mut wire, "stats", "member_quarantines"), "1");
    assert_eq!(lines(&server, "panic").len(), 1);
    // With nobody to take over, panics go on as long as clients like, and so would the lines.
    let alone = Server::entourage(&["--replicas", "0"]);
    let mut wire = alone.dial();
    (0..50).for_each(|_| drop(wire.ask("DEBUG PANIC")));
    assert_eq!(field(&mut wire, "stats", "member_panics"), "50");
    assert_eq!(field(&mut wire, "stats", "member_quarantines"), "0");
    assert!(lines(&alone, "panic").len() < 10 && lines(&alone, "panicked").len() < 10);
}

#[test]
fn clients_that_are_closed_for_what_they_send_are_counted_in_few_lines() {
    const CLIENTS: u64 = 20;
    let server = Server::entourage(&[]);
    ok(&mut server.dial(), "CONFIG SET client-query-buffer-limit 1mb");
    ok(&mut server.dial(), "SET a 1");
    let close_one = || {
        let mut wire = server.dial();
        // What comes behind a command that waits is kept, up to the limit.
        wire.send(&[words(&["BLPOP", "none", "0"])]);
        let long = words(&["SET", "a", &"x".repeat(100_000)]);
        let _ = (0..30).try_for_each(|_| wire.try_send_raw(&crate::support::wire::encode(&long)));
        assert!(wire.is_closed());
    };
    (0..CLIENTS).for_each(|_| close_one());
    let all_told = |all: u64| {
        until("the log to tell of all", || {
            (counted(&server, "query-buffer-limit") == all).then_some(())
        });
    };
    all_told(CLIENTS);
    close_one();
    all_told(CLIENTS + 1);
    assert!(lines(&server, "query-buffer-limit").len() < CLIENTS as usize / 2);
}

#[test]
fn a_second_tells_of_writes_that_are_not_durable_of_ladder_steps_and_of_lag() {
    let server = routed();
    let mut wire = server.dial();
    ok(&mut wire, "SET careless:a 1");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    order(&mut wire, BOTH, "PAUSE");
    for _ in 0..30 {
        starts(&wire.ask("SET durable:a 1"), "NOTDURABLE");
        wire.ask("SET careless:a 2");
        assert_eq!(wire.ask("GET careless:a").string(), "1");
        starts(&wire.ask("GET strict:a"), "LAGGED");
    }
    until("the log to be told", || (!lines(&server, "ladder").is_empty()).then_some(()));
    until("the log to tell of all", || (counted(&server, "not-durable") == 30).then_some(()));
    assert!(lines(&server, "not-durable").len() <= 4, "{}", server.said());
    let steps: BTreeSet<String> = lines(&server, "ladder")
        .iter()
        .filter_map(|it| it.split("step=").nth(1)?.split(' ').next().map(str::to_owned))
        .collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    assert_eq!(steps, ["error", "stale", "wait"], "{}", server.said());
    assert_eq!(counted(&server, "ladder"), 90);
    assert!(lines(&server, "lagging").is_empty(), "who is paused lags by an operator's word");
}

/// The fields of a line of CLIENT LIST.
fn client_fields(line: &str) -> Vec<(&str, &str)> {
    line.trim_end().split(' ').map(|it| it.split_once('=').expect("name=value")).collect()
}

#[test]
fn client_list_ends_with_level_and_floor() {
    let server = routed();
    let (mut wire, mut other) = (server.dial(), server.dial());
    let told = |wire: &mut Wire| {
        let line = wire.ask("CLIENT INFO").string();
        let fields = client_fields(&line);
        let last: Vec<_> = fields[fields.len() - 2..].to_vec();
        assert_eq!([last[0].0, last[1].0], ["level", "floor"], "{line}");
        (last[0].1.to_owned(), last[1].1.to_owned())
    };
    assert_eq!(told(&mut wire).0, "global");
    ok(&mut wire, "SET a 1");
    let head = field(&mut wire, "replication", "master_repl_offset");
    assert_eq!([&mut wire, &mut other].map(|it| told(it).1), [&*head, &*head], "one for all");
    ok(&mut other, "PROXY CONSISTENCY sticky");
    assert_eq!(told(&mut other), ("sticky".to_owned(), "-".to_owned()), "it has seen nothing");
    ok(&mut wire, "PROXY CONSISTENCY bounded 50ms 1mb");
    assert_eq!(told(&mut wire).0, "bounded:50ms:1mb");
    ok(&mut wire, "PROXY CONSISTENCY bounded 50ms 2mb");
    assert_eq!(told(&mut wire).0, "bounded:50ms:2mb");
    // Others see it too.
    let list = other.ask("CLIENT LIST").string();
    assert!(
        list.lines().next().unwrap().ends_with(&format!(" level=bounded:50ms:2mb floor={head}"))
    );
    ok(&mut wire, "PROXY CONSISTENCY default");
    assert_eq!(told(&mut wire).0, "global");
    let strict = crate::support::Address::Unix(server.dir().join("strict"));
    let mut strict = Wire::dial_at(&strict).expect("it listens there");
    assert_eq!(told(&mut strict).0, "linearizable");
}

#[test]
fn nodes_as_text_tell_what_the_map_tells() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    order(&mut wire, &["n3"], "DRAIN");
    let text = wire.ask("PROXY NODES TEXT").string();
    let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{text}");
    for (block, name) in blocks.iter().zip(["n1", "n2", "n3"]) {
        let mut lines = block.lines();
        assert_eq!(lines.next(), Some(name));
        let map = node(&mut wire, name);
        for line in lines {
            let (field, told) = line.trim_start().split_once(' ').expect("a field and a value");
            let told = told.trim_start();
            let value = &map[field];
            match value.int() {
                Some(1) if told == "yes" => {}
                Some(0) if told == "no" => {}
                Some(number) if field != "lag-us" => assert_eq!(told, number.to_string(), "{line}"),
                Some(_) => assert!(told.parse::<i64>().is_ok(), "{line}"),
                None => assert_eq!(told, value.string(), "{line}"),
            }
            assert!(line.starts_with("  "), "{line:?}");
        }
    }
    assert!(blocks[2].contains("state         drained"), "{text}");
    starts(&wire.ask("PROXY NODES YAML"), "ERR");
}

/// The names of all fields of a JSON value, each behind those it stands in. Names that are of
/// members, steps or the like are the same at every place.
fn names_in(value: &Json, before: &str, names: &mut BTreeSet<String>) {
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                let name = match before {
                    "waits" => "*",
                    "ladder" => "*",
                    _ => name,
                };
                let path =
                    if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") };
                names.insert(path.clone());
                names_in(value, &path, names);
            }
        }
        Json::Array(items) => items.iter().for_each(|it| names_in(it, before, names)),
        _ => {}
    }
}

#[test]
fn stats_as_json_have_the_fields_that_are_documented() {
    let server = routed();
    let mut wire = server.dial();
    wire.cmd(&["SET", "careless:\"\\\n\u{e9}", "1"]);
    assert_eq!(wire.ask("WAIT 2 0").int(), Some(2));
    order(&mut wire, BOTH, "PAUSE");
    wire.cmd(&["SET", "careless:\"\\\n\u{e9}", "2"]);
    wire.cmd(&["GET", "careless:\"\\\n\u{e9}"]);
    wire.ask("GET strict:a");
    wire.ask("SET durable:a 1");
    order(&mut wire, BOTH, "RESUME");
    let text = wire.ask("PROXY STATS JSON").string();
    let json: Json = serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"));
    let worst = json["staleness"].as_array().unwrap().iter().find(|it| !it["worst"].is_null());
    let worst = &worst.unwrap_or_else(|| panic!("no worst in {text}"))["worst"];
    assert_eq!(worst["key"], "careless:\"\\\n\u{e9}", "{text}");
    assert!(json["keyspace"]["hits"].as_u64().is_some_and(|it| 0 < it), "{text}");
    let mut found = BTreeSet::new();
    names_in(&json, "", &mut found);
    let page = include_str!("../../config/docs/stats.md");
    let documented = page.lines().filter_map(|it| it.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<String> = documented.map(str::to_owned).collect();
    assert_eq!(found, documented);
    starts(&wire.ask("PROXY STATS YAML"), "ERR");
}

#[test]
fn no_password_is_seen_whatever_stands_in_front_of_it() {
    let server = routed();
    let mut wire = server.dial();
    for line in [
        "AUTH hush",
        "PROXY EXPLAIN AUTH hush",
        "PROXY EXPLAIN MIGRATE h 1 k 0 9 AUTH2 u hush",
        "PROXY ONCE LEVEL sticky DO AUTH hush",
        "COMMAND GETKEYS AUTH hush",
        "CONFIG SET masterauth hush",
        "CONFIG SET timeout 0 requirepass hush masterauth hush",
        "CONFIG SET requirepass hush timeout",
        "MIGRATE 127.0.0.1 1 k 0 9 AUTH hush KEYS k",
    ] {
        wire.ask(line);
    }
    wire.pipeline(&[words(&["MULTI"]), words(&["AUTH", "hush"]), words(&["EXEC"])]);
    for told in ["SLOWLOG GET -1", "CLIENT LIST", "PROXY STATS", "PROXY STATS JSON", "INFO all"] {
        let told = wire.ask(told).to_string();
        assert!(!told.contains("hush"), "{told}");
    }
    assert!(!server.said().contains("hush"), "{}", server.said());
}

#[test]
fn a_key_that_expired_and_is_only_read_is_deleted_and_counted() {
    for replicas in ["0", "2"] {
        let server = Server::entourage(&["--replicas", replicas]);
        let mut wire = server.dial();
        ok(&mut wire, "DEBUG SET-ACTIVE-EXPIRE 0");
        for key in ["a", "b", "c"] {
            ok(&mut wire, &format!("SET {key} 1 PX 1"));
        }
        ok(&mut wire, "SET d 1");
        std::thread::sleep(Duration::from_millis(20));
        let before: u64 = field(&mut wire, "replication", "master_repl_offset").parse().unwrap();
        assert!(wire.ask("GET a").is_nil());
        assert_eq!(wire.ask("EXISTS b d").int(), Some(1));
        until("what was read to be deleted", || {
            (field(&mut wire, "stats", "expired_keys") == "2").then_some(())
        });
        assert!(field(&mut wire, "keyspace", "db0").starts_with("keys=2,expires=1,"));
        // Without followers the stream is not kept.
        if replicas != "0" {
            let stream = wire.ask(&format!("DEBUG STREAM {before}")).string();
            assert_eq!(stream.matches("DEL\r\n").count(), 2, "{stream}");
        }
    }
}

/// While writers are held back nothing changes, not even this.
#[test]
fn a_read_deletes_nothing_while_writers_are_paused() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "DEBUG SET-ACTIVE-EXPIRE 0");
    ok(&mut wire, "SET a 1 PX 1");
    ok(&mut wire, "CLIENT PAUSE 100000 WRITE");
    std::thread::sleep(Duration::from_millis(20));
    assert!(wire.ask("GET a").is_nil());
    assert_eq!(field(&mut wire, "stats", "expired_keys"), "0");
    ok(&mut wire, "CLIENT UNPAUSE");
    assert!(wire.ask("GET a").is_nil());
    until("it to be deleted", || (field(&mut wire, "stats", "expired_keys") == "1").then_some(()));
}

/// A read that waits is one command, one call and one step.
#[test]
fn a_read_that_waits_is_counted_once() {
    let server = Server::entourage_with_config(&ROUTES.replace("wait 1ms", "wait 30s"));
    let (mut wire, mut other) = (server.dial(), server.dial());
    order(&mut wire, BOTH, "PAUSE");
    ok(&mut wire, "SET strict:a 1");
    let count = |other: &mut Wire| -> u64 {
        field(other, "stats", "total_commands_processed").parse().expect("a number")
    };
    let before = count(&mut other);
    wire.send(&[words(&["GET", "strict:a"])]);
    crate::support::until_blocked(&mut other, 1);
    order(&mut other, BOTH, "RESUME");
    assert_eq!(wire.read().string(), "1");
    let stats = field(&mut other, "commandstats", "cmdstat_get");
    assert!(stats.starts_with("calls=1,"), "{stats}");
    let asked: u64 = {
        let all = field(&mut other, "commandstats", "cmdstat_info");
        all.split(['=', ',']).nth(1).and_then(|it| it.parse().ok()).expect("calls")
    };
    // All but the GET are of the one that looks: INFO, and two orders.
    let after = count(&mut other);
    assert!(
        before + 1 + 2 <= after && after <= before + 1 + 2 + asked + 1,
        "{before} {asked} {after}"
    );
    let steps = other.ask("PROXY STATS").string();
    assert!(steps.contains("ladder_wait:1\r\n"), "{steps}");
}
