//! Reads that are bounded in time or in bytes, in front of real servers whose writer passes Entourage
//! by: what a read shows is never older than its bound, while replicas freeze, and replicas serve
//! a good part of the reads.

use crate::support::upstream::node_field;
use crate::support::{Kind, RealSet, Server, Wire, ok, until};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

const READS: usize = 3000;
/// The least that a write takes of the stream.
const WRITE_BYTES: usize = 100;

/// When each write was answered; its value is its place.
struct Writes {
    done_at: Vec<Instant>,
}

/// A read: when it was sent, how many writes had been answered by then, and what it has shown.
struct Read {
    begun: Instant,
    written: usize,
    shown: usize,
}

/// Writes 0, 1, 2, … at the master itself.
fn write(master: u16, count: &AtomicUsize, is_over: &AtomicBool) -> Writes {
    let mut wire = Wire::dial(master).expect("a connection");
    let filler = "x".repeat(WRITE_BYTES);
    let mut done_at = Vec::new();
    while !is_over.load(Relaxed) {
        ok(&mut wire, &format!("SET n {}.{filler}", done_at.len()));
        done_at.push(Instant::now());
        count.store(done_at.len(), SeqCst);
    }
    Writes { done_at }
}

fn read(proxy: u16, count: &AtomicUsize) -> Vec<Read> {
    let mut wire = Wire::dial(proxy).expect("a connection");
    let read = |_| {
        let (begun, written) = (Instant::now(), count.load(SeqCst));
        let text = wire.ask("GET n").string();
        let shown = text.split('.').next().and_then(|it| it.parse().ok()).expect("a number");
        Read { begun, written, shown }
    };
    (0..READS).map(read).collect()
}

fn freeze(set: &RealSet, is_over: &AtomicBool) {
    let mut turn = 0;
    while !is_over.load(Relaxed) {
        let replica = &set.members[1 + turn % (set.members.len() - 1)];
        replica.freeze();
        thread::sleep(Duration::from_millis(150));
        replica.thaw();
        thread::sleep(Duration::from_millis(60));
        turn += 1;
    }
}

/// Runs at this level; answers what was written and read, and how many runs replicas have proved.
fn run(kind: Kind, level: &str) -> (Writes, Vec<Read>, u64) {
    let set = RealSet::new(kind, 2, &[]);
    ok(&mut set.members[0].dial(), "SET n 0");
    let config = format!(
        "[consistency]\nlevel = \"{level}\"\n[upstream]\nreplica-timeout = \"400ms\"\n\
         eject-for = \"0s\"\n"
    );
    let proxy = set.proxy(&config);
    let mut wire = proxy.dial();
    until("the value", || (!wire.ask("GET n").is_nil()).then_some(()));
    let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let master = set.members[0].port();
    let (writes, reads) = thread::scope(|scope| {
        let (set, count, is_over) = (&set, &count, &is_over);
        let writer = scope.spawn(move || write(master, count, is_over));
        scope.spawn(move || freeze(set, is_over));
        let port = proxy.port();
        let reader = scope.spawn(move || read(port, count));
        let reads = reader.join();
        is_over.store(true, Relaxed);
        (writer.join().expect("it writes"), reads.expect("it reads"))
    });
    let accepted = |at| node_field(&mut wire, at, "reads-accepted").parse::<u64>().unwrap_or(0);
    let accepted = [1, 2].map(accepted).iter().sum();
    println!("{kind:?} {level}: {} writes, {accepted} accepted", writes.done_at.len());
    (writes, reads, accepted)
}

/// How many reads show less than was written so long before they were sent.
fn older(writes: &Writes, reads: &[Read], bound: Duration) -> usize {
    let is_older = |read: &&Read| {
        let before = read.begun.checked_sub(bound).expect("a while after the start");
        // The first write is number 0: of so many the last has one less.
        let had = writes.done_at.partition_point(|it| *it <= before);
        read.shown + 1 < had
    };
    reads.iter().filter(is_older).count()
}

/// How many reads show less than so many writes before those that were answered when they were
/// sent.
fn further(reads: &[Read], bound: usize) -> usize {
    reads.iter().filter(|it| it.shown + 1 + bound < it.written).count()
}

#[test]
fn what_is_bounded_in_time_is_never_older() {
    for kind in Kind::all() {
        let (writes, reads, accepted) = run(kind, "bounded 50ms");
        assert_eq!(older(&writes, &reads, Duration::from_millis(50)), 0);
        assert!(READS as u64 / 10 < accepted, "{accepted} by replicas");
    }
}

#[test]
fn what_is_bounded_in_bytes_lacks_no_more() {
    for kind in Kind::all() {
        let (_, reads, accepted) = run(kind, "bounded 1kb");
        assert_eq!(further(&reads, 1024 / WRITE_BYTES), 0);
        assert!(READS as u64 / 10 < accepted, "{accepted} by replicas");
    }
}

#[test]
fn the_tests_can_fail() {
    // How much a frozen replica lacks when it is read is up to the machine.
    let (mut in_time, mut in_bytes) = (0, 0);
    for _ in 0..5 {
        let (writes, reads, _) = run(Kind::Redis, "eventual");
        in_time += older(&writes, &reads, Duration::from_millis(50));
        in_bytes += further(&reads, 1024 / WRITE_BYTES);
        if 0 < in_time.min(in_bytes) {
            return;
        }
    }
    panic!("{in_time} were older than 50 ms, {in_bytes} lacked more than 1 kB");
}

fn explained(wire: &mut Wire) -> String {
    let lines = wire.ask("PROXY EXPLAIN GET k");
    lines.list().iter().map(|it| it.string()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_heartbeat_is_written_while_it_is_needed_and_names_who_writes_it() {
    for kind in Kind::all() {
        let set = RealSet::new(kind, 1, &[]);
        let quiet = set.proxy("");
        let proxy = set.proxy("[upstream]\nheartbeat-key = \"beat\"\nheartbeat-every = \"20ms\"\n");
        let mut theirs = set.members[0].dial();
        let beat = until("a heartbeat", || Some(theirs.ask("GET beat")).filter(|it| !it.is_nil()));
        let run = proxy.dial().ask("INFO server").string();
        let run = run.lines().find_map(|it| it.strip_prefix("run_id:")).expect("it has one").trim();
        assert!(beat.string().starts_with(run), "{beat:?}");
        assert!(theirs.ask("PTTL beat").int().is_some_and(|it| (1..=10_000).contains(&it)));
        let beats = |wire: &mut Wire| {
            crate::support::info_field(wire, "replication", "upstream_heartbeats")
        };
        let mut wire = quiet.dial();
        assert_eq!(beats(&mut wire).as_deref(), Some("0"), "nobody has asked for any");
        let reply = wire.cmd(&["PROXY", "CONSISTENCY", "bounded 40ms"]);
        assert_eq!(reply.string(), "OK");
        until("reads at the replica", || {
            wire.ask("GET k");
            (node_field(&mut wire, 1, "reads-accepted") != "0").then_some(())
        });
        // The first reads may go by what the members were asked for last.
        until("heartbeats", || {
            wire.ask("GET k");
            (beats(&mut wire).as_deref() != Some("0")).then_some(())
        });
        let told = explained(&mut wire);
        assert!(told.contains("heartbeat PUBLISH __entourage:heartbeat, "), "{told}");
    }
}

#[test]
fn who_may_write_no_heartbeat_is_told_so_and_bounds_hold_by_the_masters_place() {
    let set = RealSet::new(Kind::Redis, 1, &[]);
    for member in &set.members {
        ok(&mut member.dial(), "ACL SETUSER proxy on >secret ~* &no +@all -publish");
    }
    let config = "[upstream]\nuser = \"proxy\"\npassword = \"secret\"\n[consistency]\n\
                  level = \"bounded 100ms 1mb\"\n";
    let proxy: Server = set.proxy(config);
    let mut wire = proxy.dial();
    until("reads at the replica", || {
        wire.ask("GET k");
        (node_field(&mut wire, 1, "reads-accepted") != "0").then_some(())
    });
    let told = until("a heartbeat to be refused", || {
        Some(explained(&mut wire)).filter(|it| it.contains("refused: NOPERM"))
    });
    assert!(told.contains("a replica may lack 1048576 bytes"), "{told}");
}
