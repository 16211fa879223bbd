//! DUMP and RESTORE against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::rdb::checksum;
use crate::engine::verbs::check::{Bench, body, check, words};

#[test]
fn payloads() {
    check("keys-dump.txt");
}

fn payload(version: u16) -> Vec<u8> {
    let mut bytes = b"\0\xC0\x07".to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
    bytes
}

fn restore(bench: &mut Bench, ttl: &str, version: u16, options: &str) -> String {
    let mut request = words(&format!("RESTORE k {ttl}"));
    request.push(payload(version));
    request.extend(words(options));
    bench.ask_words(&request)
}

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    let mut bench = Bench::default();
    for (ttl, options, effects) in [
        ("0", "", vec!["as sent"]),
        ("0", "", vec![]),
        ("5", "ABSTTL", vec![]),
        ("5", "ABSTTL REPLACE", vec!["DEL k"]),
        ("5", "ABSTTL REPLACE", vec![]),
        ("9000000", "ABSTTL", vec!["as sent"]),
    ] {
        restore(&mut bench, ttl, 10, options);
        assert_eq!(body(&bench), effects, "{ttl} {options}");
    }
}

#[test]
fn a_time_to_live_is_repeated_as_a_moment() {
    let mut bench = Bench::default();
    restore(&mut bench, "5000", 10, "REPLACE");
    let body = body(&bench).concat();
    assert!(body.starts_with("RESTORE k 1005000 "), "{body}");
    assert!(body.ends_with(" REPLACE ABSTTL"), "{body}");
}

#[test]
fn a_payload_of_a_newer_server_is_repeated_as_an_older_one() {
    let mut bench = Bench::default();
    assert_eq!(restore(&mut bench, "0", 11, ""), "+OK\n");
    let older = payload(10);
    assert!(bench.effects.words().windows(older.len()).any(|it| it == older));
}

#[test]
fn a_replica_stores_what_has_long_expired() {
    let mut bench = Bench::default();
    bench.env.now.set(WallMs::NEVER_EXPIRES);
    assert_eq!(restore(&mut bench, "5", 10, "ABSTTL"), "+OK\n");
    assert_eq!(bench.ask("EXISTS k"), ":1\n");
}
