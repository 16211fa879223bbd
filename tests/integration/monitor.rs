//! MONITOR, beside a real Redis: which commands are shown, in which order, and to whom.

use crate::support::script::words as split;
use crate::support::{Server, Wire, info_field, until, words};

/// What the client that is watched asks. Behind `!` is what another one asks.
const LINES: &[&str] = &[
    "SET k \"v\\n\\\"\\\\\\x00\\xe9\\x09\\x07\\x08\\r\"",
    "get k",
    "NOSUCH x",
    "GET",
    "LPUSH k a",
    "CONFIG GET port",
    "CLIENT ID",
    "CLIENT LIST",
    "INFO server",
    "MEMORY USAGE k",
    "HELLO 3 AUTH default secret",
    "HELLO 2",
    "AUTH secret",
    "SELECT 3",
    "SET n 1",
    "MULTI",
    "INCR n",
    "NOSUCH",
    "EXEC",
    "MULTI",
    "INCR n",
    "EVAL \"return redis.call('GET', KEYS[1])\" 1 n",
    "LPUSH n a",
    "EXEC",
    "WATCH n",
    "!SELECT 3",
    "!SET n 2",
    "MULTI",
    "GET n",
    "EXEC",
    "MULTI",
    "SET a 1",
    "DISCARD",
    "EVAL \"redis.call('SET', KEYS[1], 1) return redis.pcall('LPUSH', KEYS[1], ARGV[1])\" 1 z 5",
    "EVAL_RO \"return redis.call('GET', KEYS[1])\" 1 z",
    "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
    "FUNCTION LOAD \"#!lua name=l\\nredis.register_function('f', function(k) return \
     redis.call('incr', k[1]) end)\"",
    "FCALL f 1 q",
    "SELECT 0",
    "!SUBSCRIBE channel",
    "PUBLISH channel hello",
    "SCRIPT LOAD \"return 1\"",
    "BLPOP nothing 0.01",
    "WAIT 0 0",
    "UNWATCH",
    "SLOWLOG LEN",
    "LATENCY LATEST",
    "DEL k n z q",
    "COMMAND COUNT",
    "PING",
];

/// A line without its time, and with a name for each address.
fn shown(line: &str, addresses: &[(String, &str)]) -> String {
    let (time, rest) = line.split_once(' ').expect("a time and more");
    let (seconds, us) = time.split_once('.').expect("a fraction");
    assert!(9 < seconds.len() && us.len() == 6, "{line}");
    let mut line = rest.to_owned();
    for (address, name) in addresses {
        line = line.replace(address, name);
    }
    line
}

fn address(wire: &mut Wire) -> String {
    let told = wire.ask("CLIENT INFO").string();
    let address = told.split(' ').find_map(|it| it.strip_prefix("addr="));
    address.expect("it has one").to_owned()
}

fn told(server: &Server) -> Vec<String> {
    let (mut monitor, mut client, mut other) = (server.dial(), server.dial(), server.dial());
    let addresses = [(address(&mut client), "client"), (address(&mut other), "other")];
    assert_eq!(monitor.ask("MONITOR").string(), "OK");
    for line in LINES {
        match line.strip_prefix('!') {
            Some(line) => other.cmd(&split(line)),
            None => client.cmd(&split(line)),
        };
    }
    client.ask("ECHO end");
    let mut lines = Vec::new();
    loop {
        let line = monitor.read().string();
        if line.contains("\"ECHO\" \"end\"") {
            return lines;
        }
        lines.push(shown(&line, &addresses));
    }
}

#[test]
fn it_shows_what_redis_shows() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (theirs, ours) = (told(&redis), told(&ours));
    for (nth, line) in theirs.iter().enumerate() {
        assert_eq!(ours.get(nth), Some(line), "line {nth} of {theirs:#?}");
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn a_monitor_touches_no_data_until_it_is_reset() {
    let ours = Server::entourage(&[]);
    let (mut monitor, mut client) = (ours.dial(), ours.dial());
    monitor.ask("HELLO 3");
    assert_eq!(monitor.ask("MONITOR").string(), "OK");
    assert!(client.ask("CLIENT LIST TYPE normal").string().contains("flags=O"));
    for line in ["GET k", "SET k v", "EVAL \"return 1\" 0", "PUBLISH a b", "PROXY ONCE DO GET k"] {
        let refused = monitor.ask(line).string();
        assert_eq!(refused, "ERR Replica can't interact with the keyspace", "{line}");
    }
    assert_eq!(monitor.ask("PING").string(), "PONG");
    assert!(monitor.read().string().ends_with("\"PING\""), "its own are shown, too");
    client.cmd(&["SET", "long", &"x".repeat(1 << 20)]);
    let line = monitor.read().string();
    assert!(line.ends_with("x... (786439 more bytes)\""), "{}", line.len());
    assert_eq!(monitor.ask("RESET").string(), "RESET");
    client.ask("SET k v");
    assert_eq!(monitor.ask("GET k").string(), "v");
}

#[test]
fn monitors_that_hang_up_or_read_nothing_are_forgotten() {
    let ours = Server::entourage(&[]);
    let mut client = ours.dial();
    let mut slow = ours.dial();
    slow.ask("MONITOR");
    for _ in 0..50 {
        let mut gone = ours.dial();
        gone.send(&[words(&["MONITOR"])]);
        drop(gone);
    }
    client.cmd(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let value = "x".repeat(100_000);
    until("the one that reads nothing to be closed", || {
        client.cmd(&["SET", "k", &value]);
        info_field(&mut client, "clients", "clients_closed_for_output").filter(|it| it == "1")
    });
    until("the others to be forgotten", || {
        (info_field(&mut client, "clients", "connected_clients")? == "1").then_some(())
    });
    assert_eq!(client.ask("PING").string(), "PONG");
}
