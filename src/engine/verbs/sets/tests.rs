//! Sets against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::Buried;
use crate::engine::verbs::check::{Bench, check, said, words};
use crate::resp::Protocol;
use std::collections::{BTreeSet, HashSet};

#[test]
fn sets() {
    check("sets.txt");
}

#[test]
fn algebra() {
    check("sets-algebra.txt");
}

#[test]
fn chance() {
    check("sets-chance.txt");
}

#[test]
fn scans() {
    check("sets-scan.txt");
}

#[test]
fn encodings() {
    check("sets-encodings.txt");
}

fn ask(bench: &mut Bench, line: &str) -> String {
    bench.ask(&words(line))
}

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    let facts: [(&str, &[&str]); 30] = [
        ("SADD s a b c", &["as sent"]),
        ("SADD s a b", &[]),
        ("SADD s a d", &["as sent"]),
        ("SREM s x", &[]),
        ("SREM s a b d x", &["as sent"]),
        ("SPOP s", &["SREM s c"]),
        ("SPOP s", &[]),
        ("SPOP s 3", &[]),
        ("SADD s a", &["as sent"]),
        ("SPOP s 0", &[]),
        ("SPOP s 1", &["DEL s"]),
        ("SADD s a b", &["as sent"]),
        ("SPOP s 9", &["DEL s"]),
        ("SADD s a b c d", &["as sent"]),
        ("SMOVE s t a", &["as sent"]),
        ("SMOVE s t a", &[]),
        ("SMOVE s s b", &[]),
        ("SMOVE none t b", &[]),
        ("SADD t b", &["as sent"]),
        ("SMOVE s t b", &["as sent"]),
        ("SINTERSTORE x s t", &[]),
        ("SUNIONSTORE x s t", &["as sent"]),
        ("SINTERSTORE x s none", &["as sent"]),
        ("SINTERSTORE x s none", &[]),
        ("SDIFFSTORE x s t", &["as sent"]),
        ("SDIFFSTORE x s s", &["as sent"]),
        ("SDIFFSTORE s s s", &["as sent"]),
        ("SET str v", &["as sent"]),
        ("SUNIONSTORE str none", &["as sent"]),
        ("SUNIONSTORE str none", &[]),
    ];
    let mut bench = Bench::default();
    for (line, wanted) in facts {
        bench.effects.begin(0);
        ask(&mut bench, line);
        // A string that is stored says itself in full.
        let said = if line.starts_with("SET ") { continue } else { said(&bench) };
        assert_eq!(said, wanted, "{line}");
    }
}

#[test]
fn what_is_popped_is_what_the_stream_takes_out() {
    for (members, count) in [(10, 4), (10, 9), (600, 10), (600, 599), (2000, 1000), (2000, 1999)] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", members);
        let popped = texts(&ask(&mut bench, &format!("SPOP s {count}")));
        let streamed: Vec<String> =
            said(&bench).iter().map(|it| it.trim_start_matches("SREM s ").to_owned()).collect();
        assert_eq!(popped, streamed);
        assert_eq!(popped.iter().collect::<HashSet<_>>().len(), count);
        let left = texts(&ask(&mut bench, "SMEMBERS s"));
        assert_eq!(left.len(), members - count);
        assert!(left.iter().all(|it| !popped.contains(it)));
    }
}

#[test]
fn what_takes_long_to_free_is_freed_elsewhere() {
    for line in ["DEL s", "SPOP s 5000", "SPOP s 4990", "SDIFFSTORE s s s", "SINTERSTORE s one"] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", 5000);
        ask(&mut bench, "SADD one a");
        ask(&mut bench, line);
        let buried = bench.engine.ground().graveyard.as_slice();
        assert!(matches!(buried, [Buried::Entry(_) | Buried::Part(_)]), "{line}");
    }
}

#[test]
fn resp3_has_sets() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    ask(&mut bench, "SADD s 1");
    let facts = [
        ("SMEMBERS s", "~1\n$1\n1\n"),
        ("SMEMBERS none", "~0\n"),
        ("SINTER s", "~1\n$1\n1\n"),
        ("SINTER s none", "~0\n"),
        ("SUNION s", "~1\n$1\n1\n"),
        ("SDIFF s", "~1\n$1\n1\n"),
        ("SDIFF none", "~0\n"),
        ("SMISMEMBER s 1 2", "*2\n:1\n:0\n"),
        ("SISMEMBER s 1", ":1\n"),
        ("SRANDMEMBER s", "$1\n1\n"),
        ("SRANDMEMBER s 2", "*1\n$1\n1\n"),
        ("SRANDMEMBER s -2", "*2\n$1\n1\n$1\n1\n"),
        ("SRANDMEMBER none", "_\n"),
        ("SRANDMEMBER none 2", "*0\n"),
        ("SSCAN s 0", "*2\n$1\n0\n*1\n$1\n1\n"),
        ("SPOP s 0", "~0\n"),
        ("SPOP s 2", "~1\n$1\n1\n"),
        ("SPOP s 2", "~0\n"),
        ("SPOP s", "_\n"),
    ];
    for (line, wanted) in facts {
        assert_eq!(ask(&mut bench, line), wanted, "{line}");
    }
}

fn fill(bench: &mut Bench, key: &str, members: usize) {
    for at in 0..members {
        ask(bench, &format!("SADD {key} m{at}"));
    }
}

fn texts(reply: &str) -> Vec<String> {
    let is_text = |it: &&str| !it.starts_with(['*', '$', '~']);
    reply.lines().filter(is_text).map(str::to_owned).collect()
}

#[test]
fn every_member_is_met_once_by_a_scan_of_a_table() {
    for count in [1, 10, 1000, i64::MAX] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", 1000);
        let (mut cursor, mut met) = ("0".to_owned(), Vec::new());
        loop {
            let reply = ask(&mut bench, &format!("SSCAN s {cursor} COUNT {count}"));
            let mut words = texts(&reply);
            met.extend(words.split_off(1));
            cursor = words.pop().unwrap();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(met.len(), 1000);
        assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1000);
        assert_eq!(ask(&mut bench, "SSCAN s 4294967296"), "*2\n$1\n0\n*0\n");
    }
}

#[test]
fn members_by_chance_differ_if_they_must_and_all_have_their_chance() {
    for members in [10, 300] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", members);
        for count in [1, 4, 9, 30, 299, 600] {
            let picked = texts(&ask(&mut bench, &format!("SRANDMEMBER s {count}")));
            assert_eq!(picked.len(), count.min(members));
            assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), picked.len());
            let repeated = texts(&ask(&mut bench, &format!("SRANDMEMBER s -{count}")));
            assert_eq!(repeated.len(), count);
        }
        for line in ["SRANDMEMBER s 9", "SRANDMEMBER s -9"] {
            let drawn = (0..members).flat_map(|_| texts(&ask(&mut bench, line)));
            assert_eq!(drawn.collect::<HashSet<_>>().len(), members);
        }
    }
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut bench = Bench::default();
    ask(&mut bench, "SADD s a b");
    let changes = bench.engine.ground().changes;
    assert_eq!(changes, 2);
    let version = bench.engine.space_mut(0).watch(b"s");
    for line in ["SADD s a", "SREM s x", "SMOVE s t x", "SMOVE s s a", "SPOP s 0", "SPOP s -1"] {
        ask(&mut bench, line);
    }
    assert_eq!(bench.engine.ground().changes, changes);
    assert_eq!(bench.engine.space(0).version(b"s"), Some(version));
    ask(&mut bench, "SPOP s 2");
    assert_eq!(bench.engine.ground().changes, changes + 2);
    assert_ne!(bench.engine.space(0).version(b"s"), Some(version));
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
}

#[test]
fn a_count_no_reply_can_hold_is_refused() {
    let mut bench = Bench::default();
    ask(&mut bench, &format!("SADD s {}", "x".repeat(100_000)));
    let reply = ask(&mut bench, "SRANDMEMBER s -9223372036854775807");
    assert_eq!(reply, "-ERR the reply would be too long\n");
}
