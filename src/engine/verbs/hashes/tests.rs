//! Hashes against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, check, said, words};
use crate::resp::Protocol;
use std::collections::{BTreeSet, HashSet};

#[test]
fn hashes() {
    check("hashes.txt");
}

#[test]
fn numbers() {
    check("hashes-numbers.txt");
}

#[test]
fn chance() {
    check("hashes-chance.txt");
}

#[test]
fn scans() {
    check("hashes-scan.txt");
}

fn ask(bench: &mut Bench, line: &str) -> String {
    bench.ask(&words(line))
}

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    let facts: [(&str, &[&str]); 14] = [
        ("HSET h a 1 b 2", &["as sent"]),
        ("HSET h a 1", &["as sent"]),
        ("HMSET h a 1", &["as sent"]),
        ("HSETNX h a 2", &[]),
        ("HSETNX h c 2", &["as sent"]),
        ("HINCRBY h a 0", &["as sent"]),
        ("HINCRBYFLOAT h a 1.50", &["HSET h a 2.5"]),
        ("HINCRBYFLOAT new a 3.0", &["HSET new a 3"]),
        ("HDEL h nothing", &[]),
        ("HDEL nothing a", &[]),
        ("HDEL h a nothing", &["as sent"]),
        ("HDEL h b c", &["as sent"]),
        ("HINCRBY h a x", &[]),
        ("HSET h a", &[]),
    ];
    let mut bench = Bench::default();
    for (line, wanted) in facts {
        bench.effects.begin(0);
        ask(&mut bench, line);
        assert_eq!(said(&bench), wanted, "{line}");
    }
}

#[test]
fn resp3_has_maps_and_pairs() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    ask(&mut bench, "HSET h a 1");
    let facts = [
        ("HGETALL h", "%1\n$1\na\n$1\n1\n"),
        ("HGETALL none", "%0\n"),
        ("HGET h b", "_\n"),
        ("HMGET h a b", "*2\n$1\n1\n_\n"),
        ("HKEYS h", "*1\n$1\na\n"),
        ("HVALS h", "*1\n$1\n1\n"),
        ("HRANDFIELD none", "_\n"),
        ("HRANDFIELD h 2 WITHVALUES", "*1\n*2\n$1\na\n$1\n1\n"),
        ("HRANDFIELD h -2 WITHVALUES", "*2\n*2\n$1\na\n$1\n1\n*2\n$1\na\n$1\n1\n"),
        ("HSCAN h 0", "*2\n$1\n0\n*2\n$1\na\n$1\n1\n"),
    ];
    for (line, wanted) in facts {
        assert_eq!(ask(&mut bench, line), wanted, "{line}");
    }
}

fn large(bench: &mut Bench, fields: usize) {
    for at in 0..fields {
        ask(bench, &format!("HSET h f{at} {at}"));
    }
}

fn texts(reply: &str) -> Vec<String> {
    let is_text = |it: &&str| !it.starts_with(['*', '$', '%']);
    reply.lines().filter(is_text).map(str::to_owned).collect()
}

#[test]
fn every_field_is_met_once_by_a_scan_of_a_table() {
    for count in [1, 10, 1000, i64::MAX] {
        let mut bench = Bench::default();
        large(&mut bench, 1000);
        let (mut cursor, mut met) = ("0".to_owned(), Vec::new());
        loop {
            let reply = ask(&mut bench, &format!("HSCAN h {cursor} COUNT {count} NOVALUES"));
            let mut words = texts(&reply);
            met.extend(words.split_off(1));
            cursor = words.pop().unwrap();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(met.len(), 1000);
        assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1000);
        let beyond = ask(&mut bench, "HSCAN h 4294967296");
        assert_eq!(beyond, "*2\n$1\n0\n*0\n");
    }
}

#[test]
fn fields_by_chance_differ_if_they_must_and_are_there() {
    for fields in [5, 100, 1000] {
        let mut bench = Bench::default();
        large(&mut bench, fields);
        for count in [1, 4, 5, 30, 99, 600, 1000, 2000] {
            let picked = texts(&ask(&mut bench, &format!("HRANDFIELD h {count}")));
            let wanted = count.min(fields);
            assert_eq!(picked.len(), wanted);
            assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), wanted);
            let repeated = texts(&ask(&mut bench, &format!("HRANDFIELD h -{count} WITHVALUES")));
            assert_eq!(repeated.len(), 2 * count);
            for pair in repeated.chunks(2) {
                assert_eq!(pair[0], format!("f{}", pair[1]));
            }
        }
    }
}

#[test]
fn every_field_has_its_chance() {
    for fields in [10, 300] {
        let mut bench = Bench::default();
        large(&mut bench, fields);
        let draw = |line: &str, bench: &mut Bench| -> HashSet<String> {
            (0..fields).flat_map(|_| texts(&ask(bench, line))).collect()
        };
        assert_eq!(draw("HRANDFIELD h 9", &mut bench).len(), fields);
        assert_eq!(draw("HRANDFIELD h -9", &mut bench).len(), fields);
    }
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut bench = Bench::default();
    ask(&mut bench, "HSET h a 1 b 2");
    let changes = bench.engine.ground().changes;
    assert_eq!(changes, 2);
    let version = bench.engine.space_mut(0).watch(b"h");
    for line in ["HDEL h x y", "HSETNX h a 1", "HINCRBY h a x", "HINCRBY h a 9223372036854775807"] {
        ask(&mut bench, line);
    }
    assert_eq!(bench.engine.ground().changes, changes);
    assert_eq!(bench.engine.space(0).version(b"h"), Some(version));
    ask(&mut bench, "HDEL h a b");
    assert_eq!(bench.engine.ground().changes, changes + 2);
    assert_ne!(bench.engine.space(0).version(b"h"), Some(version));
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
    ask(&mut bench, "HINCRBYFLOAT none a x");
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
}
