//! SORT against scripts that a real server answered, and against what only we promise.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, body, check};

#[test]
fn sort() {
    check("sort.txt");
}

#[test]
fn only_what_is_stored_is_said() {
    let mut bench = Bench::default();
    bench.expect_said(&[
        ("RPUSH l 2 1", &["as sent"]),
        ("SORT l STORE d", &["as sent"]),
        ("SORT l", &[]),
        ("SORT none STORE d", &["as sent"]),
        ("SORT none STORE d", &[]),
        ("SORT l LIMIT 5 1 STORE d", &[]),
        ("SORT l BY x STORE", &[]),
    ]);
}

#[test]
fn what_had_expired_when_a_result_was_stored_is_gone_before_a_replica_sorts() {
    let mut bench = Bench::default();
    for line in ["RPUSH l 1 2", "SET w_1 5 PX 10", "SET w_2 3", "SET d old PX 10"] {
        bench.ask(line);
    }
    bench.env.now.set(WallMs(2_000_000));
    bench.ask("SORT l BY w_* STORE d");
    assert_eq!(body(&bench), ["DEL w_1", "DEL d", "as sent"]);
    assert_eq!(bench.ask("LRANGE d 0 -1"), "*2\n$1\n1\n$1\n2\n");
}
