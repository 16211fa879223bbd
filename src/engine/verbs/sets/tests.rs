//! Sets against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::DeferredFree;
use crate::engine::verbs::check::{Bench, body, check, texts};
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

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    let mut bench = Bench::default();
    bench.expect_said(&[
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
    ]);
    bench.ask("SET str v");
    bench.expect_said(&[("SUNIONSTORE str none", &["as sent"]), ("SUNIONSTORE str none", &[])]);
}

#[test]
fn what_is_popped_is_what_the_stream_takes_out() {
    for (members, count) in
        [(10, 4_usize), (10, 9), (600, 10), (600, 599), (2000, 1000), (2000, 1999)]
    {
        let mut bench = Bench::default();
        fill(&mut bench, "s", members);
        let popped = texts(&bench.ask(&format!("SPOP s {count}")));
        let said = body(&bench);
        assert!(said.iter().all(|it| it.starts_with("SREM s ")));
        assert_eq!(said.len(), count.div_ceil(1024));
        let streamed: Vec<&str> = said.iter().flat_map(|it| it.split(' ').skip(2)).collect();
        assert_eq!(popped, streamed);
        assert_eq!(popped.iter().collect::<HashSet<_>>().len(), count);
        let left = texts(&bench.ask("SMEMBERS s"));
        assert_eq!(left.len(), members - count);
        assert!(left.iter().all(|it| !popped.contains(it)));
    }
}

#[test]
fn what_takes_long_to_free_is_freed_elsewhere() {
    for line in [
        "DEL s",
        "SPOP s 5000",
        "SPOP s 4990",
        "SPOP s 2500",
        "SDIFFSTORE s s s",
        "SINTERSTORE s one",
    ] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", 5000);
        bench.ask("SADD one a");
        bench.ask(line);
        let freed = bench.engine.written().deferred_frees.as_slice();
        assert!(
            matches!(
                freed,
                [DeferredFree::Entry(_) | DeferredFree::Part(_) | DeferredFree::Popped(_)]
            ),
            "{line}"
        );
    }
}

#[test]
fn resp3_has_sets() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    bench.ask("SADD s 1");
    bench.expect_replies(&[
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
    ]);
}

fn fill(bench: &mut Bench, key: &str, members: usize) {
    for at in 0..members {
        bench.ask(&format!("SADD {key} m{at}"));
    }
}

#[test]
fn every_member_is_met_once_by_a_scan_of_a_table() {
    for count in [1, 10, 1000, i64::MAX] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", 1000);
        let met = bench.scanned("SSCAN s", &format!("COUNT {count}"));
        assert_eq!(met.len(), 1000);
        assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1000);
        assert_eq!(bench.ask("SSCAN s 4294967296"), "*2\n$1\n0\n*0\n");
    }
}

#[test]
fn members_by_chance_differ_if_they_must_and_all_have_their_chance() {
    for members in [10, 300] {
        let mut bench = Bench::default();
        fill(&mut bench, "s", members);
        for count in [1, 4, 9, 30, 299, 600] {
            let picked = texts(&bench.ask(&format!("SRANDMEMBER s {count}")));
            assert_eq!(picked.len(), count.min(members));
            assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), picked.len());
            let repeated = texts(&bench.ask(&format!("SRANDMEMBER s -{count}")));
            assert_eq!(repeated.len(), count);
        }
        for line in ["SRANDMEMBER s 9", "SRANDMEMBER s -9"] {
            let drawn = (0..2 * members).flat_map(|_| texts(&bench.ask(line)));
            assert_eq!(drawn.collect::<HashSet<_>>().len(), members);
        }
    }
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut bench = Bench::default();
    bench.expect_changes("s", "SADD s a b", 2);
    for line in ["SADD s a", "SREM s x", "SMOVE s t x", "SMOVE s s a", "SPOP s 0", "SPOP s -1"] {
        bench.expect_changes("s", line, 0);
    }
    bench.expect_changes("s", "SPOP s 2", 2);
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
}
