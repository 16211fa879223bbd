//! The count that is kept beside a HyperLogLog is that of its bytes, at every member, whatever has
//! become of its key. With a second key that is not there PFCOUNT counts from scratch, so each
//! question has two answers that must be one.

use crate::support::{Server, Value, Wire, ok};
use entourage::base::random::Random;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const MEMBERS: [&str; 3] = ["n1", "n2", "n3"];
const STEPS: usize = 600;
const ADDS: &str = "redis.call('PFCOUNT', KEYS[1]) redis.call('PFADD', KEYS[1], ARGV[1]) \
                    return {redis.call('PFCOUNT', KEYS[1]), \
                    redis.call('PFCOUNT', KEYS[1], 'none')}";
/// As long as a dense one.
const DENSE_BYTES: u64 = 12_304;

fn elements(random: &mut Random, count: u64) -> Vec<String> {
    (0..count).map(|_| format!("e{}", random.below(50_000))).collect()
}

fn add(wire: &mut Wire, key: &str, random: &mut Random, count: u64) {
    let mut line = vec!["PFADD".to_owned(), key.to_owned()];
    line.extend(elements(random, count));
    wire.cmd(&line);
}

/// Something that changes a key, or does not. Refusals are as good as anything else.
fn step(wire: &mut Wire, random: &mut Random) {
    let (key, other) = (KEYS[random.below(4) as usize], KEYS[random.below(4) as usize]);
    let place = (16 + random.below(DENSE_BYTES - 16)).to_string();
    let count = 1 + random.below(3);
    match random.below(28) {
        0..=6 => add(wire, key, random, count),
        7 => add(wire, key, random, 300),
        8 | 26 | 27 => {
            wire.ask(&format!("DEL {key}"));
            add(wire, key, random, 5000);
        }
        9 => drop(wire.cmd(&["SETRANGE", key, &place, "x"])),
        10 => {
            let bit = (128 + random.below((DENSE_BYTES - 16) * 8)).to_string();
            wire.cmd(&["SETBIT", key, &bit, if count == 1 { "0" } else { "1" }]);
        }
        11 => drop(wire.cmd(&["SETRANGE", key, "0", if count == 1 { "?" } else { "H" }])),
        12 => drop(wire.cmd(&[if count == 1 { "APPEND" } else { "PFADD" }, key, "x"])),
        13 => drop(wire.ask(&format!("DEL {key}"))),
        14 => {
            let value = wire.ask(&format!("GET {other}"));
            if let Some(value) = value.text() {
                wire.cmd(&[&b"SET"[..], key.as_bytes(), value]);
            }
        }
        15 => drop(wire.ask(&format!("RENAME {key} {other}"))),
        16 => drop(wire.ask(&format!("COPY {key} {other} REPLACE"))),
        17 if count == 1 => ok(wire, "FLUSHALL"),
        17 => drop(wire.ask(&format!("EXPIRE {key} 1000"))),
        18 | 19 => {
            ok(wire, "MULTI");
            wire.ask(&format!("PFCOUNT {key}"));
            add(wire, key, random, 3);
            wire.ask(&format!("PFCOUNT {key}"));
            wire.ask(&format!("PFCOUNT {key} none"));
            let told = wire.ask("EXEC");
            assert_eq!(told.list()[2], told.list()[3], "in a transaction");
        }
        20 | 21 => {
            let element = elements(random, 1);
            let told = wire.cmd(&["EVAL", ADDS, "1", key, &element[0]]);
            if !told.is_error() {
                assert_eq!(told.list()[0], told.list()[1], "in a script");
            }
        }
        22 => drop(wire.ask(&format!("PFMERGE {key} {other}"))),
        23 => {
            let dumped = wire.ask(&format!("DUMP {other}"));
            if let Some(dumped) = dumped.text() {
                wire.cmd(&[&b"RESTORE"[..], key.as_bytes(), b"0", dumped, b"REPLACE"]);
            }
        }
        24 => drop(wire.ask(&format!("PFDEBUG TODENSE {key}"))),
        _ => drop(wire.ask(&format!("BITOP OR {key} {key} {other}"))),
    }
}

/// The count of a key at a member, asked for twice, and from scratch.
fn counts(wire: &mut Wire, member: &str, key: &str) -> [Value; 3] {
    let mut ask = |of: &str| wire.ask(&format!("PROXY ONCE AT {member} DO PFCOUNT {of}"));
    [ask(key), ask(key), ask(&format!("{key} none"))]
}

#[test]
fn a_count_is_that_of_the_bytes_whatever_became_of_them() {
    let server = Server::entourage(&["--replicas", "2"]);
    let (mut wire, mut random) = (server.dial(), Random::new(29));
    let mut counted = 0;
    for at in 0..STEPS {
        step(&mut wire, &mut random);
        for key in KEYS {
            let mut all = MEMBERS.map(|it| counts(&mut wire, it, key)).concat();
            counted += usize::from(all[0].int().is_some_and(|it| 1000 < it));
            all.dedup();
            assert_eq!(all.len(), 1, "{key} after step {at}: {all:?}");
        }
    }
    assert!(STEPS < counted, "few long ones: {counted}");
}

#[test]
fn a_count_changes_nothing_that_can_be_seen() {
    let server = Server::entourage(&["--replicas", "0"]);
    let (mut wire, mut random) = (server.dial(), Random::new(1));
    add(&mut wire, "h", &mut random, 5000);
    let seen = |wire: &mut Wire| {
        ["GET h", "DUMP h", "DEBUG DIGEST", "OBJECT ENCODING h", "MEMORY USAGE h"]
            .map(|it| wire.ask(it))
    };
    let before = seen(&mut wire);
    assert_eq!(wire.ask("PFCOUNT h"), wire.ask("PFCOUNT h none"));
    assert_eq!(seen(&mut wire), before);
    // What Redis has left among the bytes is believed.
    let text = wire.ask("GET h");
    let mut bytes = text.text().expect("a string").to_vec();
    bytes[8..16].copy_from_slice(&7u64.to_le_bytes());
    wire.cmd(&[&b"SET"[..], b"h", &bytes]);
    assert_eq!(wire.ask("PFCOUNT h").int(), Some(7));
}
