//! Links of replication through a proxy that splits, delays and cuts them anywhere: in handshakes,
//! in files, in streams. Whoever replicates from whom, in the end both hold the same.

use crate::support::{
    LinkProxy, Server, Wire, furnish, hold_the_same, info_field, until_caught_up, words,
};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// For so long links are cut; longer with `--long`.
fn time_of_cuts() -> Duration {
    let is_long = std::env::var_os("ENTOURAGE_LONG").is_some();
    Duration::from_secs(if is_long { 60 } else { 5 })
}

/// Writes of all types until told to end. Answers how many batches there were.
fn write_until(port: u16, ends: &AtomicBool) -> usize {
    let mut wire = Wire::dial(port).expect("a connection");
    let mut round = 0;
    while !ends.load(Relaxed) {
        let key = round % 331;
        let lines = [
            format!("SET s{key} {round}"),
            format!("INCR n{key}"),
            format!("APPEND a{key} {round}"),
            format!("RPUSH l{key} {round}"),
            format!("LTRIM l{key} -50 -1"),
            format!("HINCRBY h{key} f{} 1", round % 40),
            format!("ZINCRBY z{key} 1 m{}", round % 40),
            format!("SADD t{key} {}", round % 97),
            format!("SPOP t{key}"),
            format!("DEL s{}", (key + 7) % 331),
        ];
        let batch: Vec<_> =
            lines.iter().map(|it| words(&it.split(' ').collect::<Vec<_>>())).collect();
        wire.pipeline(&batch).iter().for_each(|it| assert!(!it.is_error(), "{it:?}"));
        round += 1;
        thread::sleep(Duration::from_micros(300));
    }
    round
}

fn number(wire: &mut Wire, name: &str) -> u64 {
    info_field(wire, "stats", name).and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn replicate(master: &Server, replica: &Server, seed: u64) {
    let (mut from, mut to) = (master.dial(), replica.dial());
    from.ask("CONFIG SET repl-backlog-size 4mb");
    furnish(&mut from);
    let proxy = LinkProxy::to(master.port(), seed);
    to.ask(&format!("REPLICAOF 127.0.0.1 {}", proxy.port()));
    let (ends, began) = (AtomicBool::new(false), Instant::now());
    let rounds = thread::scope(|scope| {
        let writing = scope.spawn(|| write_until(master.port(), &ends));
        while began.elapsed() < time_of_cuts() {
            // What is read meanwhile is something, not a crash.
            to.ask("GET n1");
            thread::sleep(Duration::from_millis(20));
        }
        proxy.heal();
        until_caught_up(&mut to, &mut from);
        ends.store(true, Relaxed);
        writing.join().expect("all were written")
    });
    until_caught_up(&mut to, &mut from);
    hold_the_same(&mut from, &mut to);
    let [full, partial] = ["sync_full", "sync_partial_ok"].map(|it| number(&mut from, it));
    println!("{rounds} rounds, {} links, {full} full and {partial} partial resyncs", proxy.links());
    assert!(2 < proxy.links(), "links were cut");
    assert!(partial != 0 || time_of_cuts() < Duration::from_secs(60), "none went on");
}

#[test]
fn redis_replicates_from_us() {
    replicate(&Server::entourage(&[]), &Server::redis(&[]), 1);
}

#[test]
fn redis_replicates_from_us_without_hosted_replicas() {
    replicate(&Server::entourage(&["--replicas", "0"]), &Server::redis(&[]), 2);
}

#[test]
fn valkey_replicates_from_us() {
    let Some(valkey) = Server::valkey() else { return };
    replicate(&Server::entourage(&[]), &valkey, 3);
}

#[test]
fn we_replicate_from_redis() {
    replicate(&Server::redis(&["--repl-diskless-sync-delay", "0"]), &Server::entourage(&[]), 4);
}

#[test]
fn we_replicate_from_valkey() {
    let Some(valkey) = Server::valkey_with(&["--repl-diskless-sync-delay", "0"]) else { return };
    replicate(&valkey, &Server::entourage(&[]), 5);
}

#[test]
fn we_replicate_from_us() {
    replicate(&Server::entourage(&[]), &Server::entourage(&[]), 6);
}
