//! Hashes against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, body, check, texts};
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

#[test]
fn newer_hashes() {
    check("hashes-newer.txt");
}

/// What only lives until then is said in words of Valkey, and everything else in older ones.
#[test]
fn the_stream_says_of_deadlines_what_has_become_of_the_fields() {
    let mut bench = Bench::default();
    // The clock stands at 1,000,000 ms.
    bench.expect_said(&[
        ("HSETEX h FIELDS 2 a 1 b 2", &["HSET h a 1 b 2"]),
        ("HSETEX h KEEPTTL FIELDS 1 b 2", &["HSET h b 2"]),
        ("HSETEX h FNX FIELDS 1 a 3", &[]),
        ("HSETEX h fxx EX 100 FIELDS 1 a 3", &["HSETEX h PXAT 1100000 FIELDS 1 a 3"]),
        (
            "HSETEX h KEEPTTL FIELDS 3 a 1 b 2 a 4",
            &["HSETEX h KEEPTTL FIELDS 2 a 1 a 4", "HSET h b 2"],
        ),
        ("HINCRBY h a 1", &["HSETEX h PXAT 1100000 FIELDS 1 a 5"]),
        ("HINCRBY h b 1", &["as sent"]),
        ("HINCRBYFLOAT h a 1.5", &["HSETEX h PXAT 1100000 FIELDS 1 a 6.5"]),
        ("HEXPIRE h 10 FIELDS 3 b x b", &["HPEXPIREAT h 1010000 FIELDS 2 b b"]),
        ("HPEXPIRE h 10 NX FIELDS 2 a b", &[]),
        ("HPEXPIREAT h 2000000 GT FIELDS 1 a", &["HPEXPIREAT h 2000000 FIELDS 1 a"]),
        ("HPERSIST h FIELDS 3 a x b", &["HPERSIST h FIELDS 2 a b"]),
        ("HPERSIST h FIELDS 1 a", &[]),
        ("HGETEX h FIELDS 2 a b", &[]),
        ("HGETEX h EX 10 FIELDS 2 a x", &["HPEXPIREAT h 1010000 FIELDS 1 a"]),
        ("HGETEX h PERSIST FIELDS 2 a b", &["HPERSIST h FIELDS 1 a"]),
        ("HGETEX h PERSIST FIELDS 2 a b", &[]),
        ("HGETDEL h FIELDS 2 b x", &["HDEL h b"]),
        ("HGETDEL h FIELDS 1 x", &[]),
        ("HSETEX h PXAT 1 FIELDS 2 a 1 new 2", &["HDEL h a"]),
        ("HSETEX new PXAT 1 FIELDS 1 a 1", &[]),
        ("HSET h a 1 b 2", &["as sent"]),
        ("HEXPIRE h 0 FIELDS 2 a x", &["HDEL h a"]),
        ("HGETEX h PXAT 1000000 FIELDS 1 b", &["HDEL h b"]),
        ("EXISTS h", &[]),
    ]);
}

/// A replica hides nothing: what has expired is there, until the stream says otherwise.
#[test]
fn the_stream_says_so_when_a_field_was_there_no_more() {
    let later = |bench: &mut Bench| {
        bench.env.now.set(WallMs(1_000_000));
        bench.ask("DEL h");
        bench.ask("HSETEX h PX 10 FIELDS 3 a 1 b 2 c 3");
        bench.ask("HSET h stays 1");
        bench.env.now.set(WallMs(1_000_010));
        assert_eq!(bench.ask("HGET h a"), "$1\n1\n");
        bench.env.now.set(WallMs(1_000_011));
    };
    let facts: &[(&str, &str, &[&str])] = &[
        ("HINCRBY h a 5", ":5\n", &["HSET h a 5"]),
        ("HINCRBYFLOAT h a 5", "$1\n5\n", &["HSET h a 5"]),
        ("HSETNX h a 5", ":1\n", &["HSET h a 5"]),
        ("HSET h a 5 stays 2", ":1\n", &["as sent"]),
        ("HSETEX h KEEPTTL FIELDS 1 a 5", ":1\n", &["HSET h a 5"]),
        ("HSETEX h FXX FIELDS 1 a 5", ":0\n", &[]),
        ("HSETEX h FNX FIELDS 1 a 5", ":1\n", &["HSET h a 5"]),
        ("HDEL h a", ":0\n", &[]),
        ("HDEL h a stays", ":1\n", &["HDEL h stays"]),
        ("HGETDEL h FIELDS 2 a stays", "*2\n$-1\n$1\n1\n", &["HDEL h stays"]),
        ("HEXPIRE h 9 FIELDS 2 a stays", "*2\n:-2\n:1\n", &["HPEXPIREAT h 1009011 FIELDS 1 stays"]),
        ("HEXPIRE h 0 FIELDS 1 a", "*1\n:-2\n", &[]),
        ("HPERSIST h FIELDS 1 a", "*1\n:-2\n", &[]),
        ("HGETEX h EX 9 FIELDS 1 a", "*1\n$-1\n", &[]),
        ("HSETEX h PXAT 1 FIELDS 2 a 1 new 1", ":1\n", &["HDEL h a"]),
    ];
    let mut bench = Bench::default();
    for (line, reply, said) in facts {
        later(&mut bench);
        assert_eq!(bench.ask(line), *reply, "{line}");
        later(&mut bench);
        assert_eq!(bench.body(line), *said, "{line}");
    }
}

#[test]
fn reads_find_nothing_of_a_field_whose_time_has_come() {
    let mut bench = Bench::default();
    bench.ask("HSETEX h PX 10 FIELDS 2 a 1 b 2");
    bench.ask("HSET h c 30");
    bench.ask("RPUSH l a b c");
    bench.env.now.set(WallMs(1_000_011));
    let replies = [
        // Only the count of all tells that they are still there, as in Valkey.
        ("HLEN h", ":3\n"),
        ("HGET h a", "$-1\n"),
        ("HMGET h a c", "*2\n$-1\n$2\n30\n"),
        ("HGETALL h", "*2\n$1\nc\n$2\n30\n"),
        ("HKEYS h", "*1\n$1\nc\n"),
        ("HVALS h", "*1\n$2\n30\n"),
        ("HEXISTS h a", ":0\n"),
        ("HSTRLEN h a", ":0\n"),
        ("HSCAN h 0", "*2\n$1\n0\n*2\n$1\nc\n$2\n30\n"),
        ("HRANDFIELD h", "$1\nc\n"),
        ("HRANDFIELD h 5", "*1\n$1\nc\n"),
        ("HRANDFIELD h -2", "*2\n$1\nc\n$1\nc\n"),
        ("HGETEX h FIELDS 2 a c", "*2\n$-1\n$2\n30\n"),
        ("HTTL h FIELDS 2 a c", "*2\n:-2\n:-1\n"),
        ("SORT l BY nosort GET h->a GET h->c LIMIT 0 1", "*2\n$-1\n$-1\n"),
        ("HDEL h c", ":1\n"),
        ("HRANDFIELD h", "$-1\n"),
        ("HRANDFIELD h 5", "*0\n"),
        ("HRANDFIELD h -5", "*0\n"),
        ("HGETALL h", "*0\n"),
        ("EXISTS h", ":1\n"),
        ("HSETEX h NX FIELDS 1 a 1", ":0\n"),
        ("HSETNX h a 1", ":1\n"),
        ("HTTL h FIELDS 1 a", "*1\n:-1\n"),
    ];
    bench.expect_replies(&replies);
}

/// A replica would find what was hidden here.
#[test]
fn what_sort_has_stored_of_hidden_fields_is_said_by_its_elements() {
    let mut bench = Bench::default();
    for line in ["RPUSH l x y", "HSET hx f 2 g 1", "HSET hy f 1", "HEXPIRE hx 10 FIELDS 1 f"] {
        bench.ask(line);
    }
    let line = "SORT l BY h*->f GET # GET h*->f STORE d";
    assert_eq!(bench.body(line), ["as sent"]);
    bench.env.now.set(WallMs(1_010_001));
    assert_eq!(bench.body(line), ["DEL d", "RPUSH d x  y 1"]);
    assert_eq!(bench.body("SORT l BY nosort GET h* STORE d"), ["as sent"]);
    assert_eq!(bench.body("SORT none BY h*->f STORE d"), ["as sent"]);
    assert_eq!(bench.ask("EXISTS d"), ":0\n");
}

#[test]
fn the_cycle_takes_out_so_many_fields_at_a_time_and_the_key_with_the_last() {
    let mut bench = Bench::default();
    for name in 0..10 {
        bench.ask(&format!("HSETEX h PX {} FIELDS 1 f{name} v", 10 + name));
    }
    bench.ask("HSETEX other PX 500 FIELDS 1 a 1");
    bench.ask("SETEX key 1 v");
    let said = |bench: &mut Bench, now: u64, most: usize| {
        bench.effects.begin(0);
        let Bench { engine, effects, .. } = bench;
        let count = engine.expire_due(WallMs(now), most, effects);
        (count, body(bench))
    };
    assert_eq!(said(&mut bench, 1_000_010, 100), (0, vec![]));
    assert_eq!(said(&mut bench, 1_000_014, 3), (3, vec!["HDEL h f0 f1 f2".into()]));
    assert_eq!(said(&mut bench, 1_000_014, 3), (1, vec!["HDEL h f3".into()]));
    let rest = "HDEL h f4 f5 f6 f7 f8 f9".to_owned();
    let all = vec!["DEL key".to_owned(), rest, "HDEL other a".to_owned()];
    assert_eq!(said(&mut bench, 1_002_000, 100), (8, all));
    assert_eq!(bench.ask("EXISTS h other key"), ":0\n");
    let expired = bench.engine.written().expired;
    assert_eq!((expired.keys, expired.fields), (1, 11));
    assert_eq!(bench.engine.space(0).with_field_deadlines(), 0);
}

#[test]
fn hashes_with_deadlines_are_counted_wherever_they_go() {
    let mut bench = Bench::default();
    let timed = |bench: &Bench, db: usize| bench.engine.space(db).with_field_deadlines();
    let facts = [
        ("HSET h a 1", 0),
        ("HEXPIRE h 10 FIELDS 1 a", 1),
        ("HEXPIRE h 20 FIELDS 1 a", 1),
        ("COPY h i", 2),
        ("RENAME i j", 2),
        ("HPERSIST j FIELDS 1 a", 1),
        ("SET h x", 0),
        ("HSETEX k EX 10 FIELDS 2 a 1 b 2", 1),
        ("HSET k a 1", 1),
        ("HDEL k b", 0),
        ("HSETEX k EX 10 FIELDS 2 a 1 b 2", 1),
        ("HGETDEL k FIELDS 2 a b", 0),
        ("HSETEX k EX 10 FIELDS 2 a 1 b 2", 1),
        ("MOVE k 1", 0),
        ("HSETEX k EX 10 FIELDS 2 a 1 b 2", 1),
        ("DEL k", 0),
    ];
    for (line, wanted) in facts {
        bench.ask(line);
        assert_eq!(timed(&bench, 0), wanted, "{line}");
    }
    assert_eq!(timed(&bench, 1), 1);
    bench.ask("SWAPDB 0 1");
    assert_eq!((timed(&bench, 0), timed(&bench, 1)), (1, 0));
    bench.ask("FLUSHALL");
    assert_eq!(timed(&bench, 0), 0);
}

#[test]
fn changes_of_deadlines_are_heard_of() {
    let mut bench = Bench::default();
    bench.ask("HSET h a 1 b 2 c 3 d 4");
    bench.expect_changes("h", "HEXPIRE h 10 FIELDS 2 a x", 1);
    bench.expect_changes("h", "HEXPIRE h 10 FIELDS 1 x", 0);
    bench.expect_changes("h", "HEXPIRE h 10 NX FIELDS 1 a", 0);
    bench.expect_changes("h", "HPERSIST h FIELDS 2 a b", 1);
    bench.expect_changes("h", "HPERSIST h FIELDS 2 a b", 0);
    bench.expect_changes("h", "HGETEX h EX 10 FIELDS 2 a b", 2);
    bench.expect_changes("h", "HGETEX h FIELDS 2 a b", 0);
    bench.expect_changes("h", "HEXPIRE h 0 FIELDS 1 a", 1);
    bench.expect_changes("h", "HGETDEL h FIELDS 2 b x", 1);
    bench.expect_changes("h", "HSETEX h FNX FIELDS 1 c 1", 0);
    bench.expect_changes("h", "HSETEX h PXAT 1 FIELDS 2 x 1 y 1", 0);
    bench.expect_changes("h", "HSETEX h FIELDS 2 c 1 y 1", 2);
}
