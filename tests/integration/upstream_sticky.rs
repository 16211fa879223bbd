//! Reads of one's own writes in front of real servers, beside a writer that never rests, while
//! replicas are frozen at random: at level sticky none is stale and none goes back, and replicas
//! serve a good part of them. At level eventual the same test must find some that are stale.

use crate::support::upstream::node_field;
use crate::support::{Kind, RealSet, Server, Wire, words};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const PAIRS: u64 = 50_000;
const CLIENTS: u64 = 8;
/// Requests of the writer that are under way at a time.
const DEPTH: usize = 64;

#[derive(Debug, Default)]
struct Found {
    stale: AtomicU64,
    backwards: AtomicU64,
    pairs: AtomicU64,
}

/// A number that falls the same way for the same seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Writes all the time, so that replicas are always behind.
fn saturate(port: u16, is_over: &AtomicBool) {
    let mut wire = Wire::dial(port).expect("a connection");
    let filler = "x".repeat(400);
    let batch: Vec<_> = (0..DEPTH)
        .map(|it| match it {
            0 => words(&["INCR", "shared"]),
            _ => words(&["SET", &format!("filler{it}"), &filler]),
        })
        .collect();
    while !is_over.load(Relaxed) {
        wire.pipeline(&batch);
    }
}

/// Freezes one replica after the other for a moment.
fn freeze(set: &RealSet, is_over: &AtomicBool) {
    let mut seed = 7;
    while !is_over.load(Relaxed) {
        let replica = &set.members[1 + next(&mut seed) as usize % (set.members.len() - 1)];
        replica.freeze();
        thread::sleep(Duration::from_millis(next(&mut seed) % 60));
        replica.thaw();
        thread::sleep(Duration::from_millis(next(&mut seed) % 120));
    }
}

/// Writes and reads what it has written, and what the writer counts.
fn pairs(proxy: &Server, number: u64, count: u64, found: &Found) {
    let mut wire = proxy.dial();
    let (key, mut seen) = (format!("own{number}"), 0);
    for pair in 0..count {
        let value = pair.to_string();
        assert_eq!(wire.cmd(&["SET", &key, &value]).string(), "OK");
        // A replica that is behind from the begin has nothing: that is stale, too.
        let read = wire.cmd(&["GET", &key]);
        found.stale.fetch_add(u64::from(read.text() != Some(value.as_bytes())), Relaxed);
        if pair % 4 == 0 {
            let shared = wire.ask("GET shared");
            let shared = shared.text().and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
            let shared = shared.unwrap_or(0);
            found.backwards.fetch_add(u64::from(shared < seen), Relaxed);
            seen = shared;
        }
        found.pairs.fetch_add(1, Relaxed);
    }
}

/// Runs so many pairs at this level; answers what was found, and how many runs of reads replicas
/// have proved and refused.
fn run(kind: Kind, level: &str, count: u64, freezes: bool) -> (Found, u64, u64) {
    let set = RealSet::new(kind, 2, &[]);
    let config = format!(
        "[consistency]\nlevel = \"{level}\"\n[upstream]\nreplica-timeout = \"100ms\"\n\
         probe-every = \"50ms\"\n"
    );
    let proxy = set.proxy(&config);
    let (found, is_over) = (Found::default(), AtomicBool::new(false));
    // Before what any client writes: from there on nobody may find nothing.
    assert_eq!(proxy.dial().ask("INCR shared").int(), Some(1));
    thread::scope(|scope| {
        let (set, proxy, found, is_over) = (&set, &proxy, &found, &is_over);
        scope.spawn(move || saturate(proxy.port(), is_over));
        if freezes {
            scope.spawn(move || freeze(set, is_over));
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|it| scope.spawn(move || pairs(proxy, it, count / CLIENTS, found)))
            .collect();
        let done: Vec<_> = clients.into_iter().map(|it| it.join()).collect();
        is_over.store(true, Relaxed);
        assert!(done.iter().all(Result::is_ok), "every client comes to its end");
    });
    let mut wire = proxy.dial();
    let mut sum = |name: &str| -> u64 {
        (1..=2).map(|at| node_field(&mut wire, at, name).parse::<u64>().expect("a number")).sum()
    };
    let (accepted, refused) = (sum("reads-accepted"), sum("reads-refused"));
    println!("{kind:?} {level}: {found:?}, {accepted} accepted, {refused} refused by replicas");
    (found, accepted, refused)
}

#[test]
fn no_read_is_stale_or_goes_back_while_replicas_freeze() {
    for kind in Kind::all() {
        let (found, accepted, refused) = run(kind, "sticky", PAIRS, true);
        assert_eq!(found.stale.into_inner(), 0);
        assert_eq!(found.backwards.into_inner(), 0);
        assert_eq!(found.pairs.into_inner(), PAIRS / CLIENTS * CLIENTS);
        assert!(PAIRS / 10 < accepted, "replicas serve a good part of them: {accepted}");
        assert!(0 < refused, "and some are behind");
    }
}

#[test]
fn the_test_can_fail() {
    let (found, ..) = run(Kind::Redis, "eventual", PAIRS / 2, true);
    assert!(0 < found.stale.into_inner(), "eventual reads are stale at times");
}
