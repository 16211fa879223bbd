//! Hashes against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, check, texts};
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

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    let mut bench = Bench::default();
    bench.expect_said(&[
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
    ]);
}

#[test]
fn resp3_has_maps_and_pairs() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    bench.ask("HSET h a 1");
    bench.expect_replies(&[
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
    ]);
}

fn large(bench: &mut Bench, fields: usize) {
    for at in 0..fields {
        bench.ask(&format!("HSET h f{at} {at}"));
    }
}

#[test]
fn every_field_is_met_once_by_a_scan_of_a_table() {
    for count in [1, 10, 1000, i64::MAX] {
        let mut bench = Bench::default();
        large(&mut bench, 1000);
        let met = bench.scanned("HSCAN h", &format!("COUNT {count} NOVALUES"));
        assert_eq!(met.len(), 1000);
        assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1000);
        let beyond = bench.ask("HSCAN h 4294967296");
        assert_eq!(beyond, "*2\n$1\n0\n*0\n");
    }
}

#[test]
fn fields_by_chance_differ_if_they_must_and_are_there() {
    for fields in [5, 100, 1000] {
        let mut bench = Bench::default();
        large(&mut bench, fields);
        for count in [1, 4, 5, 30, 99, 600, 1000, 2000] {
            let picked = texts(&bench.ask(&format!("HRANDFIELD h {count}")));
            let wanted = count.min(fields);
            assert_eq!(picked.len(), wanted);
            assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), wanted);
            let repeated = texts(&bench.ask(&format!("HRANDFIELD h -{count} WITHVALUES")));
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
            (0..fields).flat_map(|_| texts(&bench.ask(line))).collect()
        };
        assert_eq!(draw("HRANDFIELD h 9", &mut bench).len(), fields);
        assert_eq!(draw("HRANDFIELD h -9", &mut bench).len(), fields);
    }
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut bench = Bench::default();
    bench.expect_changes("h", "HSET h a 1 b 2", 2);
    for line in ["HDEL h x y", "HSETNX h a 1", "HINCRBY h a x", "HINCRBY h a 9223372036854775807"] {
        bench.expect_changes("h", line, 0);
    }
    bench.expect_changes("h", "HDEL h a b", 2);
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
    bench.ask("HINCRBYFLOAT none a x");
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
}
