//! Commands of streams at a bare engine.

use crate::base::time::WallMs;
use crate::engine::verbs::check::{Bench, check};
use crate::engine::{Engine, Stream, Thresholds};
use crate::resp::{OwnedRequest, Protocol, Reply};

#[test]
fn entries() {
    check("streams.txt");
}

#[test]
fn groups() {
    check("streams-groups.txt");
}

#[test]
fn effects_name_ids_and_what_a_loose_bound_has_come_to() {
    let mut bench = Bench::default();
    bench.engine.shared_mut().thresholds.stream_node_entries = 2;
    bench.expect_said(&[
        ("XADD k * f v", &["XADD k 1000000-0 f v"]),
        ("xadd k 1000000-* f v", &["xadd k 1000000-1 f v"]),
        ("XADD k 1000001 f v", &["as sent"]),
        ("XADD k 5 f v", &[]),
        ("XADD none NOMKSTREAM * f v", &[]),
        ("XADD k MAXLEN 10 1000002-1 f v", &["as sent"]),
        ("XADD k MAXLEN ~ 3 * f v", &["XADD k MAXLEN = 3 1000002-2 f v"]),
        (
            "XADD k MINID ~ 1000002-2 LIMIT 1 * f v",
            &["XADD k MINID = 1000001-0 LIMIT 1 1000002-3 f v"],
        ),
        ("XTRIM k MAXLEN ~ 3", &[]),
        ("XTRIM k MAXLEN ~ 2", &["XTRIM k MAXLEN = 2"]),
        ("XTRIM k MAXLEN 5", &[]),
        ("XDEL k 9-9", &[]),
        ("XDEL k 9-9 1000002-2", &["as sent"]),
        ("XTRIM k MINID ~ 2000000", &["XTRIM k MINID = 18446744073709551615-18446744073709551615"]),
        ("XSETID k 1000009-0", &["as sent"]),
        ("XREAD STREAMS k 0", &[]),
    ]);
}

#[test]
fn effects_of_groups_say_what_was_delivered() {
    let mut bench = Bench::default();
    for line in ["XADD k 1-1 f v", "XADD k 2-1 f v", "XADD k 3-1 f v"] {
        bench.ask(line);
    }
    bench.expect_said(&[
        ("XGROUP CREATE k g 0", &["as sent"]),
        ("XGROUP CREATE k g 0", &[]),
        ("XGROUP CREATECONSUMER k g a", &["as sent"]),
        ("XGROUP CREATECONSUMER k g a", &[]),
        (
            "XREADGROUP GROUP g a COUNT 1 STREAMS k >",
            &[
                "XCLAIM k g a 0 1-1 TIME 1000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
                "XGROUP SETID k g 1-1 ENTRIESREAD 1",
            ],
        ),
        (
            "XREADGROUP GROUP g new COUNT 1 STREAMS k >",
            &[
                "XCLAIM k g new 0 2-1 TIME 1000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-1",
                "XGROUP SETID k g 2-1 ENTRIESREAD 2",
            ],
        ),
        (
            "XREADGROUP GROUP g silent NOACK STREAMS k >",
            &["XGROUP CREATECONSUMER k g silent", "XGROUP SETID k g 3-1 ENTRIESREAD 3"],
        ),
        ("XREADGROUP GROUP g a STREAMS k 0", &[]),
        ("XREADGROUP GROUP g old STREAMS k 0", &["XGROUP CREATECONSUMER k g old"]),
        ("XREADGROUP GROUP g late STREAMS k >", &["XGROUP CREATECONSUMER k g late"]),
        ("XREADGROUP GROUP g late STREAMS k >", &[]),
        (
            "XCLAIM k g b 0 1-1 TIME 5",
            &["XCLAIM k g b 0 1-1 TIME 5 RETRYCOUNT 3 FORCE JUSTID LASTID 3-1"],
        ),
        (
            "XCLAIM k g c 0 9-1 LASTID 4",
            &["XGROUP CREATECONSUMER k g c", "XGROUP SETID k g 4-0 ENTRIESREAD 3"],
        ),
        ("XDEL k 2-1", &["as sent"]),
        (
            "XAUTOCLAIM k g d 0 0 JUSTID",
            &[
                "XCLAIM k g d 0 1-1 TIME 1000000 RETRYCOUNT 3 FORCE JUSTID LASTID 4-0",
                "XCLAIM k g new 0 2-1 TIME 1000000 RETRYCOUNT 1 FORCE JUSTID LASTID 4-0",
            ],
        ),
        ("XACK k g 2-1", &[]),
        ("XACK k g 1-1", &["as sent"]),
        ("XGROUP DELCONSUMER k g nobody", &[]),
        ("XGROUP DELCONSUMER k g a", &["as sent"]),
        ("XGROUP SETID k g $", &["as sent"]),
        ("XGROUP DESTROY k g", &["as sent"]),
        ("XGROUP DESTROY k g", &[]),
    ]);
}

/// What the stream says makes another engine the same, whatever the time is there.
#[test]
fn effects_make_the_same_elsewhere() {
    let mut bench = Bench::default();
    let mut other = Engine::new(7, Thresholds::default());
    let (mut spoken, mut reply) = (Default::default(), Reply::default());
    for line in [
        "XADD k * f v",
        "XADD k * f v",
        "XADD k MAXLEN ~ 100 * f v",
        "XGROUP CREATE k g 0",
        "XREADGROUP GROUP g a COUNT 2 STREAMS k >",
        "XREADGROUP GROUP g b COUNT 2 STREAMS k >",
        "XREADGROUP GROUP g empty STREAMS k >",
        "XREADGROUP GROUP g a STREAMS k 0",
        "XCLAIM k g c 0 1000000-0 JUSTID",
        "XDEL k 1000000-1",
        "XAUTOCLAIM k g d 0 0",
        "XGROUP SETID k g 0 ENTRIESREAD 1",
        "XADD k * f v",
        "XREADGROUP GROUP g a NOACK STREAMS k >",
        "XACK k g 1000000-0",
        "XGROUP DELCONSUMER k g b",
        "COPY k j",
    ] {
        bench.effects.begin(0);
        assert!(!bench.ask(line).starts_with('-'), "{line}");
        for item in bench.effects.items() {
            let words: Vec<Vec<u8>> = match bench.effects.encoded(&item.body) {
                None => crate::engine::verbs::check::words(line),
                Some(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let is_word = |it: &&str| !it.is_empty() && !it.starts_with(['*', '$']);
                    text.split("\r\n").filter(is_word).map(|it| it.as_bytes().to_vec()).collect()
                }
            };
            let owned = OwnedRequest::of(&words);
            let repeated = other.repeat(0, WallMs(9), owned.borrow(), &mut spoken, &mut reply);
            repeated.expect("it can be repeated");
        }
        assert_eq!(bench.engine.digest(WallMs(0)), other.digest(WallMs(0)), "{line}");
    }
}

#[test]
fn a_consumer_has_come_to_be_when_its_creation_was_repeated() {
    let mut other = Engine::new(7, Thresholds::default());
    let (mut spoken, mut reply) = (Default::default(), Reply::default());
    for line in ["XADD k 1-1 f v", "XGROUP CREATE k g 0", "XGROUP CREATECONSUMER k g c"] {
        let owned = OwnedRequest::of(crate::engine::verbs::check::words(line));
        let done = other.repeat(0, WallMs(9), owned.borrow(), &mut spoken, &mut reply);
        done.expect("it can be repeated");
    }
    let slot = other.view(0, WallMs(10)).peek(b"k").expect("just added");
    let stream = slot.as_collection::<Stream>().expect("a stream");
    let consumers = stream.groups.get(b"g").expect("just created").consumers();
    assert_eq!(consumers.iter().map(|it| it.1.seen_ms).collect::<Vec<_>>(), [9]);
}

#[test]
fn replies_are_maps_where_the_client_knows_them() {
    let mut bench = Bench { protocol: Protocol::Resp3, ..Bench::default() };
    for line in ["XADD k 1-1 f v", "XGROUP CREATE k g 0"] {
        bench.ask(line);
    }
    bench.expect_replies(&[
        ("XREAD STREAMS k j 0 0", "%1\n$1\nk\n*1\n*2\n$3\n1-1\n*2\n$1\nf\n$1\nv\n"),
        ("XREAD STREAMS k 5", "_\n"),
        ("XREADGROUP GROUP g c STREAMS k >", "%1\n$1\nk\n*1\n*2\n$3\n1-1\n*2\n$1\nf\n$1\nv\n"),
        ("XPENDING k none", "-NOGROUP No such key 'k' or consumer group 'none'\n"),
    ]);
    assert!(bench.ask("XINFO STREAM k").starts_with("%10\n"));
    assert!(bench.ask("XINFO STREAM k FULL").starts_with("%9\n"));
    assert!(bench.ask("XINFO GROUPS k").starts_with("*1\n%6\n"));
    assert!(bench.ask("XINFO CONSUMERS k g").starts_with("*1\n%4\n"));
}

#[test]
fn a_stream_stays_without_entries_and_is_freed_elsewhere() {
    let mut bench = Bench::default();
    for ms in 1..=20_000 {
        bench.ask(&format!("XADD k {ms} f v"));
    }
    bench.ask("XTRIM k MAXLEN 0");
    assert_eq!(bench.engine.written().deferred_frees.len(), 1);
    bench.expect_replies(&[
        ("XLEN k", ":0\n"),
        ("TYPE k", "+stream\n"),
        ("XADD k 7 f v", {
            "-ERR The ID specified in XADD is equal or smaller than the target stream top item\n"
        }),
    ]);
    bench.ask("XGROUP CREATE k g 0");
    for ms in 20_001..=40_000 {
        bench.ask(&format!("XADD k {ms} f v"));
    }
    bench.ask("XREADGROUP GROUP g c STREAMS k >");
    bench.ask("XGROUP DELCONSUMER k g c");
    bench.ask("XGROUP SETID k g 0");
    bench.ask("XREADGROUP GROUP g c STREAMS k >");
    bench.ask("XGROUP DESTROY k g");
    bench.ask("DEL k");
    assert_eq!(bench.engine.written().deferred_frees.len(), 4);
}
