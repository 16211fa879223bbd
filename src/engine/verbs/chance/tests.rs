//! How far a count reaches, and that nothing is more likely to be chosen than anything else.

use super::TOO_LONG;
use crate::base::limits::REPEATED_BYTES_MAX;
use crate::command::Args;
use crate::engine::verbs::check::{Bench, texts, words};
use crate::engine::verbs::find;
use crate::engine::{Row, Run};
use crate::resp::{OwnedRequest, Reply};
use std::collections::BTreeMap;

/// Runs a read into `reply`, to look at the room it took.
fn read(bench: &Bench, line: &str, reply: &mut Reply) -> bool {
    let owned = OwnedRequest::of(words(line));
    let Some(Row { run: Run::Read(verb), .. }) = find(&words(line)[0]) else { panic!("{line}") };
    bench.engine.read(*verb, Args::new(owned.borrow(), 1, 0, &bench.env), reply).is_ok()
}

#[test]
fn a_count_no_reply_can_hold_is_refused_before_anything_is_built() {
    let mut bench = Bench::default();
    for line in ["HSET h a 1 b 2 c 3", "SADD s a b", "ZADD z 1 a 2 b"] {
        bench.ask(line);
    }
    let least = REPEATED_BYTES_MAX / 6 + 1;
    for name in ["HRANDFIELD h", "SRANDMEMBER s", "ZRANDMEMBER z"] {
        for count in [least, 200_000_000, i64::MAX as usize / 2] {
            let line = format!("{name} -{count}");
            assert_eq!(bench.ask(&line), format!("-{TOO_LONG}\n"), "{line}");
            let mut reply = Reply::default();
            assert!(!read(&bench, &line, &mut reply), "{line}");
            assert_eq!(reply.capacity(), 0, "{line}");
        }
    }
    let reply = bench.ask("HRANDFIELD h -200000000 WITHVALUES");
    assert_eq!(reply, format!("-{TOO_LONG}\n"));
}

#[test]
fn no_more_is_chosen_than_the_client_may_be_sent() {
    const BYTES_MAX: usize = 1 << 20;
    let mut bench = Bench::default();
    for line in ["HSET h a 1 b 2 c 3", "SADD s a b", "ZADD z 1 a 2 b"] {
        bench.ask(line);
    }
    // So many would take minutes to choose.
    for line in ["HRANDFIELD h", "SRANDMEMBER s", "ZRANDMEMBER z"] {
        let mut reply = Reply::default();
        reply.set_limit(BYTES_MAX);
        assert!(read(&bench, &format!("{line} -170000000"), &mut reply), "{line}");
        assert!(reply.is_overflowing() && reply.capacity() <= BYTES_MAX, "{line}");
        assert!(read(&bench, &format!("{line} -10000"), &mut Reply::default()), "{line}");
    }
}

#[test]
fn what_was_refused_before_is_answered() {
    let mut bench = Bench::default();
    bench.ask(&format!("HSET h a {}", "x".repeat(100_000)));
    let mut reply = Reply::default();
    assert!(read(&bench, "HRANDFIELD h -1000 WITHVALUES", &mut reply));
    assert!(100_000_000 < reply.bytes().len());
}

/// Entries to choose from.
const ENTRIES: usize = 300;
/// Choices; each entry may expect a hundred of them.
const DRAWS: usize = 100 * ENTRIES;

/// Pearson's sum for equal chances. At 299 degrees of freedom its mean is 299 and its deviation
/// 24.5; nine deviations above is no accident of any seed.
fn assert_fair(what: &str, chosen: &[String]) {
    let mut counts = BTreeMap::new();
    chosen.iter().for_each(|it| *counts.entry(it).or_insert(0.0) += 1.0);
    let expected = chosen.len() as f64 / ENTRIES as f64;
    let missing = (ENTRIES - counts.len()) as f64 * expected;
    let squares = counts.values().map(|it: &f64| (it - expected).powi(2) / expected).sum::<f64>();
    assert!(squares + missing < 299.0 + 9.0 * 24.5, "{what}: {}", squares + missing);
}

#[test]
fn every_entry_is_as_likely_as_any_other() {
    // Each type in its compact and in its large form.
    for (form, members_of) in [("compact", 1000), ("large", 0)] {
        let mut bench = Bench::default();
        let thresholds = &mut bench.engine.shared_mut().thresholds;
        thresholds.set_entries = members_of;
        thresholds.hash_entries = members_of;
        thresholds.zset_entries = members_of;
        for number in 0..ENTRIES {
            bench.ask(&format!("SADD s m{number}"));
            bench.ask(&format!("HSET h m{number} v"));
            bench.ask(&format!("ZADD z {number} m{number}"));
        }
        for name in ["SRANDMEMBER s", "HRANDFIELD h", "ZRANDMEMBER z"] {
            let what = format!("{name}, {form}");
            assert_fair(&what, &texts(&bench.ask(&format!("{name} -{DRAWS}"))));
            let one = |_| texts(&bench.ask(name)).remove(0);
            assert_fair(&what, &(0..DRAWS).map(one).collect::<Vec<_>>());
            // Each once: of few and of many there are two ways.
            for part in [ENTRIES / 30, ENTRIES * 2 / 3] {
                let line = format!("{name} {part}");
                let some = (0..DRAWS / part).flat_map(|_| texts(&bench.ask(&line)));
                assert_fair(&what, &some.collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn every_key_is_as_likely_as_any_other() {
    let mut bench = Bench::default();
    for number in 0..ENTRIES {
        bench.ask(&format!("SET k{number} v"));
    }
    let one = |_| texts(&bench.ask("RANDOMKEY")).remove(0);
    assert_fair("RANDOMKEY", &(0..DRAWS).map(one).collect::<Vec<_>>());
}
