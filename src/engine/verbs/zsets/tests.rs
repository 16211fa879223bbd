//! Sorted sets against scripts that a real server answered, and against what only we promise.

use crate::engine::verbs::check::{Bench, check, texts};
use crate::resp::Protocol;
use std::collections::{BTreeSet, HashSet};

#[test]
fn members() {
    check("zsets.txt");
}

#[test]
fn ranges() {
    check("zsets-ranges.txt");
}

#[test]
fn pops() {
    check("zsets-pops.txt");
    check("zsets-blocking.txt");
}

#[test]
fn algebra() {
    check("zsets-algebra.txt");
}

#[test]
fn sort_takes_the_order_of_the_scores() {
    check("sort-zsets.txt");
}

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    const SENT: &[&str] = &["as sent"];
    let mut bench = Bench::default();
    bench.expect_said(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g", SENT),
        ("ZADD z 1 a", &[]),
        ("ZADD z NX 9 a", &[]),
        ("ZADD z XX CH 9 nobody", &[]),
        ("ZADD z GT CH 2 a 1 b", SENT),
        ("ZADD z INCR 1.5 a", SENT),
        ("ZADD z INCR 0 a", &[]),
        ("ZINCRBY z 0.1 a", SENT),
        ("ZINCRBY z 0 a", &[]),
        ("ZADD none XX 1 a", &[]),
        ("ZADD z 1 x y", &[]),
        ("ZREM z nobody", &[]),
        ("ZREM z a nobody", SENT),
        ("ZREM nothing a", &[]),
        ("ZPOPMIN z", SENT),
        ("ZPOPMAX z 1", SENT),
        ("ZPOPMAX z 0", &[]),
        ("ZPOPMAX nothing 1", &[]),
        ("ZMPOP 2 nothing z MIN COUNT 1", &["ZPOPMIN z 1"]),
        ("ZMPOP 1 nothing MAX", &[]),
        ("ZREMRANGEBYRANK z 0 0", SENT),
        ("ZREMRANGEBYRANK z 90 100", &[]),
        ("ZREMRANGEBYSCORE z 100 200", &[]),
        ("ZREMRANGEBYLEX nothing - +", &[]),
        ("ZRANGESTORE d z 0 -1", SENT),
        ("ZRANGESTORE d z 9 10", SENT),
        ("ZRANGESTORE d z 9 10", &[]),
        ("ZUNIONSTORE d 1 z", SENT),
        ("ZINTERSTORE d 2 z nothing", SENT),
        ("ZINTERSTORE d 2 z nothing", &[]),
        ("ZDIFFSTORE d 1 z", SENT),
        ("ZMPOP 1 z MAX COUNT 100", &["ZPOPMAX z 2"]),
        ("ZADD z INCR inf i", SENT),
        ("ZADD z INCR -inf i", &[]),
        ("ZADD z 0 zero", SENT),
        ("ZADD z -0 zero", &[]),
        ("ZREMRANGEBYSCORE z -inf inf", SENT),
        ("ZREM z i", &[]),
    ]);
}

#[test]
fn resp3_has_doubles_and_pairs() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    bench.ask("ZADD z 1 a 2.5 b 3 c 4 d 5 e");
    bench.expect_replies(&[
        ("ZSCORE z b", ",2.5\n"),
        ("ZSCORE z x", "_\n"),
        ("ZMSCORE z a x", "*2\n,1\n_\n"),
        ("ZINCRBY z inf new", ",inf\n"),
        ("ZADD z INCR NX 1 a", "_\n"),
        ("ZREM z new", ":1\n"),
        ("ZRANGE z 0 0", "*1\n$1\na\n"),
        ("ZRANGE z 0 0 WITHSCORES", "*1\n*2\n$1\na\n,1\n"),
        ("ZUNION 1 z WEIGHTS 2", "*5\n$1\na\n$1\nb\n$1\nc\n$1\nd\n$1\ne\n"),
        (
            "ZINTER 1 z WITHSCORES AGGREGATE MIN",
            "*5\n*2\n$1\na\n,1\n*2\n$1\nb\n,2.5\n*2\n$1\nc\n,3\n*2\n$1\nd\n,4\n*2\n$1\ne\n,5\n",
        ),
        ("ZRANK z b WITHSCORE", "*2\n:1\n,2.5\n"),
        ("ZRANK z x WITHSCORE", "_\n"),
        ("ZPOPMIN z", "*2\n$1\na\n,1\n"),
        ("ZPOPMAX z 1", "*1\n*2\n$1\ne\n,5\n"),
        ("ZPOPMAX z 0", "*0\n"),
        ("ZMPOP 1 z MIN", "*2\n$1\nz\n*1\n*2\n$1\nb\n,2.5\n"),
        ("ZMPOP 1 none MIN", "_\n"),
        ("ZREM z c", ":1\n"),
        ("ZRANDMEMBER z 1 WITHSCORES", "*1\n*2\n$1\nd\n,4\n"),
        ("ZRANDMEMBER z -2", "*2\n$1\nd\n$1\nd\n"),
        ("ZSCAN z 0", "*2\n$1\n0\n*2\n$1\nd\n$1\n4\n"),
    ]);
}

#[test]
fn a_rank_comes_with_its_score_if_asked() {
    let mut bench = Bench::default();
    bench.ask("ZADD z 1 a 2.5 b 3 c");
    bench.expect_replies(&[
        ("ZRANK z b WITHSCORE", "*2\n:1\n$3\n2.5\n"),
        ("ZREVRANK z a withscore", "*2\n:2\n$1\n1\n"),
        ("ZRANK z x WITHSCORE", "*-1\n"),
        ("ZRANK z a WITHSCORES", "-ERR syntax error\n"),
        ("ZRANK z a WITHSCORE x", "-ERR wrong number of arguments for 'zrank' command\n"),
        ("ZREVRANK z a WITHSCORE x", "-ERR wrong number of arguments for 'zrevrank' command\n"),
    ]);
}

fn large(bench: &mut Bench, members: usize) {
    for at in 0..members {
        bench.ask(&format!("ZADD z {at} m{at}"));
    }
}

#[test]
fn every_member_is_met_once_by_a_scan_of_a_large_set() {
    for count in [1, 10, i64::MAX] {
        let mut bench = Bench::default();
        large(&mut bench, 1000);
        let mut met = HashSet::new();
        for pair in bench.scanned("ZSCAN z", &format!("COUNT {count}")).chunks(2) {
            assert_eq!(pair[0], format!("m{}", pair[1]));
            assert!(met.insert(pair[0].clone()));
        }
        assert_eq!(met.len(), 1000);
        assert_eq!(bench.ask("ZSCAN z 4294967296"), "*2\n$1\n0\n*0\n");
    }
}

#[test]
fn members_by_chance_differ_if_they_must_and_are_there() {
    for members in [5, 100, 1000] {
        let mut bench = Bench::default();
        large(&mut bench, members);
        for count in [1, 4, 30, 99, 600, 1000, 2000] {
            let picked = texts(&bench.ask(&format!("ZRANDMEMBER z {count}")));
            let wanted = count.min(members);
            assert_eq!(picked.len(), wanted);
            assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), wanted);
            let repeated = texts(&bench.ask(&format!("ZRANDMEMBER z -{count} WITHSCORES")));
            assert_eq!(repeated.len(), 2 * count);
            for pair in repeated.chunks(2) {
                assert_eq!(pair[0], format!("m{}", pair[1]));
            }
        }
    }
}

#[test]
fn a_large_set_answers_as_a_small_one_does() {
    let mut bench = Bench::default();
    large(&mut bench, 1000);
    assert_eq!(bench.ask("OBJECT ENCODING z"), "$8\nskiplist\n");
    bench.expect_replies(&[
        ("ZRANK z m700", ":700\n"),
        ("ZREVRANK z m700", ":299\n"),
        ("ZCOUNT z 100 (200", ":100\n"),
        ("ZRANGE z 500 501", "*2\n$4\nm500\n$4\nm501\n"),
        ("ZRANGE z 500 501 REV", "*2\n$4\nm499\n$4\nm498\n"),
        ("ZRANGEBYSCORE z (300 inf LIMIT 10 1", "*1\n$4\nm311\n"),
        ("ZREVRANGEBYSCORE z (300 -inf LIMIT 10 1", "*1\n$4\nm289\n"),
        ("ZREMRANGEBYRANK z 100 899", ":800\n"),
        ("ZRANK z m900", ":100\n"),
        ("ZREMRANGEBYSCORE z 0 98", ":99\n"),
        ("ZPOPMIN z", "*2\n$3\nm99\n$2\n99\n"),
        ("ZPOPMIN z 1", "*2\n$4\nm900\n$3\n900\n"),
        ("ZCARD z", ":99\n"),
        ("ZUNIONSTORE d 1 z", ":99\n"),
        ("OBJECT ENCODING d", "$8\nlistpack\n"),
        ("OBJECT ENCODING z", "$8\nskiplist\n"),
        ("ZPOPMAX z 99 x", "-ERR syntax error\n"),
        ("ZREMRANGEBYSCORE z -inf inf", ":99\n"),
        ("EXISTS z", ":0\n"),
    ]);
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut bench = Bench::default();
    bench.expect_changes("z", "ZADD z 1 a inf b", 2);
    for line in ["ZREM z x y", "ZADD z 1 a", "ZINCRBY z -inf b", "ZADD z 2 a x b", "ZPOPMIN z 0"] {
        bench.expect_changes("z", line, 0);
    }
    bench.expect_changes("z", "ZMPOP 1 z MIN COUNT 5", 2);
}
