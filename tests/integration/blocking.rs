//! Clients that wait for keys: who is served, when, and with what, compared with a real Redis, and
//! with a Valkey where Redis 7.2 differs from the Redis at hand.

use crate::support::{
    BOTH, Server, Value, WORKERS, Wire, info_field, ok, order, until_blocked, until_gone, words,
};
use std::collections::BTreeMap;

const SCENARIOS: &str = include_str!("blocking/scenarios.txt");

/// One server, and the clients of a scenario by their letters.
struct Stage<'s> {
    server: &'s Server,
    operator: Wire,
    clients: BTreeMap<char, (Wire, i64)>,
}

impl Stage<'_> {
    /// Plays a scenario. Answers what was shown, line by line.
    fn play(server: &Server, lines: &[&str]) -> Vec<String> {
        let mut stage = Stage { server, operator: server.dial(), clients: BTreeMap::new() };
        ok(&mut stage.operator, "FLUSHALL");
        let told = lines.iter().map(|it| format!("{it} -> {}", stage.step(it))).collect();
        drop(stage.clients);
        until_blocked(&mut stage.operator, 0);
        told
    }

    fn step(&mut self, line: &str) -> String {
        let (letter, mark) = (line.chars().next().unwrap(), line.chars().nth(1).unwrap());
        let mut text = line[2..].trim().to_owned();
        for (name, (_, id)) in &self.clients {
            text = text.replace(&format!("{{{name}}}"), &id.to_string());
        }
        let server = self.server;
        let (client, id) = self.clients.entry(letter).or_insert_with(|| {
            let mut wire = server.dial();
            let id = wire.ask("CLIENT ID").int().unwrap();
            (wire, id)
        });
        let command =
            words(&text.split_whitespace().map(|it| it.trim_matches('"')).collect::<Vec<_>>());
        match mark {
            ':' => shown(&text, client.cmd(&command)),
            '>' => {
                client.send(&[command]);
                String::new()
            }
            '~' => {
                let blocked = info_field(&mut self.operator, "clients", "blocked_clients").unwrap();
                client.send(&[command]);
                until_blocked(&mut self.operator, blocked.parse::<usize>().unwrap() + 1);
                String::new()
            }
            '=' => client.read().to_string(),
            '?' => {
                let list = self.operator.ask("CLIENT LIST").string();
                let is_it = |it: &&str| it.starts_with(&format!("id={id} "));
                let told = list.lines().find(is_it).expect("it is connected");
                assert!(told.contains(" flags=b "), "{line}: {told}");
                String::new()
            }
            '!' => {
                let id = *id;
                self.clients.remove(&letter);
                until_gone(&mut self.operator, id);
                String::new()
            }
            other => panic!("no such mark: {other}"),
        }
    }
}

/// What differs from server to server is left out.
fn shown(text: &str, value: Value) -> String {
    match text.split(' ').next().unwrap() {
        "HELLO" => String::new(),
        "CLIENT" if text == "CLIENT ID" => String::new(),
        "KEYS" => {
            let mut keys: Vec<String> = value.list().iter().map(Value::to_string).collect();
            keys.sort();
            keys.join(" ")
        }
        _ => value.to_string(),
    }
}

/// The scenarios: name and lines.
fn scenarios() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    SCENARIOS.split("\n## ").skip(1).map(|it| {
        let (name, lines) = it.split_once('\n').expect("a name and lines");
        (name, lines.lines().filter(|it| !it.is_empty()).collect())
    })
}

#[test]
fn who_waits_for_keys_is_served_as_by_redis() {
    let (redis, valkey, ours) = (Server::redis(&[]), Server::valkey(), Server::entourage(&[]));
    let mut found = String::new();
    for (name, lines) in scenarios() {
        let is_of_valkey = name.ends_with("[valkey]");
        let Some(theirs) = (if is_of_valkey { valkey.as_ref() } else { Some(&redis) }) else {
            continue;
        };
        let (theirs, ours) = (Stage::play(theirs, &lines), Stage::play(&ours, &lines));
        for (their, our) in theirs.iter().zip(&ours).filter(|(their, our)| their != our) {
            found.push_str(&format!("{name}\n  theirs {their}\n  ours   {our}\n"));
        }
    }
    assert!(found.is_empty(), "\n{found}");
    let mut operator = ours.dial();
    assert_eq!(info_field(&mut operator, "clients", "total_blocking_keys").as_deref(), Some("0"));
    members_agree(&mut operator);
}

/// Every replica has what the master has.
fn members_agree(operator: &mut Wire) {
    assert_eq!(operator.ask("WAIT 2 0").int(), Some(2));
    let digests = operator.ask("DEBUG DIGEST MEMBERS");
    let digests: Vec<Value> = digests.list().iter().map(|it| it.list()[2].clone()).collect();
    assert!(digests.windows(2).all(|it| it[0] == it[1]), "{digests:?}");
}

#[test]
fn a_failover_unblocks_with_redis_text_and_the_new_master_serves() {
    WORKERS.iter().for_each(|it| unblock_by_failover(it));
}

fn unblock_by_failover(workers: &str) {
    let server = Server::entourage(&["--threads", workers]);
    let (mut operator, mut client) = (server.dial(), server.dial());
    client.send(&[words(&["BLPOP", "k", "0"])]);
    until_blocked(&mut operator, 1);
    assert!(operator.ask("PROXY FAILOVER TO n2").string().starts_with("OK"));
    let text = "-UNBLOCKED force unblock from blocking operation, instance state changed \
                (master -> replica?)";
    assert_eq!(client.read().to_string(), text);
    client.send(&[words(&["BLPOP", "k", "0"])]);
    until_blocked(&mut operator, 1);
    assert_eq!(operator.ask("RPUSH k 1").int(), Some(1));
    assert_eq!(client.read().to_string(), "[\"k\", \"1\"]");
    members_agree(&mut operator);
}

#[test]
fn a_read_after_a_served_call_sees_what_it_did() {
    let server = Server::entourage(&[]);
    let (mut operator, mut client) = (server.dial(), server.dial());
    for round in 0..200 {
        client.send(&[words(&["BLMOVE", "k", "moved", "LEFT", "RIGHT", "0"])]);
        until_blocked(&mut operator, 1);
        operator.ask(&format!("RPUSH k {round}"));
        client.read();
        assert_eq!(client.ask("LLEN moved").int(), Some(round + 1), "at a replica");
    }
}

#[test]
fn what_was_served_is_confirmed_as_its_route_asks() {
    let server = Server::entourage(&[]);
    let (mut operator, mut client) = (server.dial(), server.dial());
    ok(&mut client, "PROXY ACKS all 100");
    client.send(&[words(&["BLPOP", "k", "0"])]);
    until_blocked(&mut operator, 1);
    order(&mut operator, BOTH, "PAUSE");
    operator.ask("RPUSH k 1");
    assert!(client.read().to_string().starts_with("-NOTDURABLE applied offset="));
    assert_eq!(operator.ask("EXISTS k").int(), Some(0));
    order(&mut operator, BOTH, "RESUME");
}

/// What is restored was dumped by the same server: a payload is no text, so no scenario has it.
#[test]
fn a_restored_key_serves_who_waits_for_it() {
    let waits = [
        ("RPUSH from a b c", "BLPOP k 0"),
        ("RPUSH from a b c", "BLMOVE k to LEFT RIGHT 0"),
        ("ZADD from 1 a 2 b", "BZPOPMIN k 0"),
        ("ZADD from 1 a 2 b", "BZPOPMAX none k 0"),
    ];
    let told = [Server::redis(&[]), Server::entourage(&[])].map(|server| {
        let mut operator = server.dial();
        let told: Vec<String> =
            waits.iter().map(|(fill, wait)| restored(&server, &mut operator, fill, wait)).collect();
        assert_eq!(info_field(&mut operator, "clients", "blocked_clients").as_deref(), Some("0"));
        told
    });
    assert_eq!(told[0], told[1]);
}

/// What a client is told that waits for a key, and the others find, when it comes by RESTORE.
fn restored(server: &Server, operator: &mut Wire, fill: &str, wait: &str) -> String {
    ok(operator, "FLUSHALL");
    operator.ask(fill);
    let Value::Bulk(payload) = operator.ask("DUMP from") else { panic!("it is there") };
    let mut client = server.dial();
    client.send(&[words(&wait.split(' ').collect::<Vec<_>>())]);
    until_blocked(operator, 1);
    let done = operator.cmd(&[&b"RESTORE"[..], b"k", b"0", &payload]);
    let (got, left) = (client.read(), operator.ask("DUMP k") == operator.ask("DUMP from"));
    let rest = if fill.starts_with('Z') { "ZRANGE k 0 -1" } else { "LRANGE k 0 -1" };
    format!("{fill}, {wait}: {done} {got} {left} {} {}", operator.ask(rest), operator.ask("DBSIZE"))
}
