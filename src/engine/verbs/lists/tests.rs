//! Lists against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, check};
use crate::resp::Protocol;

#[test]
fn lists() {
    check("lists.txt");
}

#[test]
fn moves_between_lists() {
    check("lists-moving.txt");
    check("lists-blocking.txt");
}

#[test]
fn effects_are_what_a_replica_of_redis_would_hear() {
    let mut bench = Bench::default();
    bench.expect_said(&[
        ("RPUSH l 1 2 3 4 5 6 7 8", &["as sent"]),
        ("LPUSHX none 1", &[]),
        ("RPUSHX l 9", &["as sent"]),
        ("LPOP l", &["as sent"]),
        ("RPOP l 2", &["as sent"]),
        ("LPOP l 0", &[]),
        ("LPOP none", &[]),
        ("LPOP none 1", &[]),
        ("LMPOP 2 none l RIGHT COUNT 2", &["RPOP l 2"]),
        ("LMPOP 1 none LEFT", &[]),
        ("LSET l 0 1", &["as sent"]),
        ("LSET l 0 1", &["as sent"]),
        ("LSET l 100 1", &[]),
        ("LINSERT l BEFORE 1 0", &["as sent"]),
        ("LINSERT l BEFORE nothing 0", &[]),
        ("LREM l 0 nothing", &[]),
        ("LREM l 0 0", &["as sent"]),
        ("LTRIM l 0 -1", &[]),
        ("LTRIM l 0 -2", &["as sent"]),
        ("LTRIM none 0 -2", &[]),
        ("LMOVE l m LEFT RIGHT", &["as sent"]),
        ("LMOVE m m LEFT RIGHT", &["as sent"]),
        ("LMOVE none m LEFT RIGHT", &[]),
        ("RPOPLPUSH m l", &["as sent"]),
        ("LMPOP 1 l LEFT COUNT 100", &["LPOP l 3"]),
        ("LMPOP 1 l LEFT COUNT 100", &[]),
    ]);
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
}

#[test]
fn resp3_has_one_null() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    for line in ["LPOP none", "LPOP none 1", "LMPOP 1 none LEFT", "LINDEX none 0", "LPOS none a"] {
        assert_eq!(bench.ask(line), "_\n", "{line}");
    }
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut bench = Bench::default();
    bench.expect_changes("l", "RPUSH l a b c", 3);
    let nothing = [
        "LPOP l 0",
        "LREM l 0 x",
        "LSET l 9 x",
        "LINSERT l AFTER x y",
        "LMOVE none l LEFT LEFT",
        "RPUSHX none 1",
        "LPUSH l",
    ];
    for line in nothing {
        bench.expect_changes("l", line, 0);
    }
    // Redis breaks a WATCH by this one all the same.
    bench.expect_heard("l", "LTRIM l 0 -1", 0, true);
    bench.expect_changes("l", "RPOP l 5", 3);
    assert!(bench.engine.view(0, WallMs(0)).is_empty());
}

#[test]
fn long_lists_answer_as_short_ones_do() {
    let [mut short, mut long] = [Bench::default(), Bench::default()];
    short.engine.shared_mut().thresholds.list_size = -5;
    long.engine.shared_mut().thresholds.list_size = 1;
    let texts: Vec<_> = (0..1500).map(|it| format!("e{}", it % 700)).collect();
    let push = format!("RPUSH l {}", texts.join(" "));
    let lines = [
        push.as_str(),
        "LRANGE l 690 710",
        "LRANGE l -800 -700",
        "LINDEX l 1000",
        "LINDEX l -1000",
        "LPOS l e5 COUNT 0",
        "LPOS l e5 RANK -2",
        "LPOS l e699 RANK -1 MAXLEN 102",
        "LREM l -2 e7",
        "LINSERT l AFTER e600 here",
        "LSET l 650 there",
        "LMOVE l l LEFT RIGHT",
        "RPOP l 3",
        "LPOP l 100",
        "SORT l ALPHA LIMIT 600 20",
        "SORT l BY nosort DESC LIMIT 600 20",
        "LTRIM l 100 -100",
        "LRANGE l 0 -1",
        "LMPOP 1 l RIGHT COUNT 3000",
        "EXISTS l",
    ];
    for line in lines {
        assert_eq!(short.ask(line), long.ask(line), "{line}");
        if line == push {
            let encodings = [&mut short, &mut long].map(|it| it.ask("OBJECT ENCODING l"));
            assert_eq!(encodings, ["$8\nlistpack\n", "$9\nquicklist\n"]);
        }
    }
}

#[test]
fn a_huge_list_is_freed_elsewhere() {
    let mut bench = Bench::default();
    let text = "x".repeat(3000);
    for _ in 0..200 {
        bench.ask(&format!("LPUSH l {text}"));
    }
    bench.ask("DEL l");
    assert_eq!(bench.engine.written().deferred_frees.len(), 1);
    for _ in 0..400 {
        bench.ask(&format!("LPUSH l {text}"));
    }
    bench.ask("LTRIM l 10 20");
    assert!(1 < bench.engine.written().deferred_frees.len());
    assert_eq!(bench.ask("LLEN l"), ":11\n");
}
