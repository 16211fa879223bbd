//! The same seeded commands go to Entourage, a master with two replicas, and to a real Redis:
//! every reply must be the same, but for the classes that `classes.rs` lists with their reasons.
//! What that Redis does not have yet is compared with a Valkey, and so are calls that wait for
//! keys, which have a family of their own (`blocking.rs`).
//!
//! Families take turns at one, two and four workers, and at others with another seed, unless
//! `--threads` names a number.
//!
//! `cargo test --test differential -- --seed 7 --count 500000 --families hashes,keys --threads 2`

mod blocking;
mod classes;
mod client;
mod families;
mod grammar;
mod keyspace;
mod libraries;
mod lua;
mod pubsub;
mod replay;
mod rounds;
mod schedules;
mod scripted;
mod shrink;
#[path = "../support/mod.rs"]
mod support;
mod vocabulary;

use client::{Model, Servers};
use replay::Replay;
use rounds::{Failures, Family};
use support::{Server, Suite, WORKERS};

/// Commands of each family, unless `--count` says otherwise.
const COUNT: u64 = 60_000;
/// Different failures of a family that are shown before it gives up.
const FAILURES_MAX: u64 = 8;

/// The family that `blocking.rs` plays.
const BLOCKING: &str = "blocking";
/// The family that `pubsub.rs` plays.
const PUBSUB: &str = "pubsub";

/// What is played when `--families` says nothing.
const FAMILIES: &str = "strings,keys,hashes,lists,sets,sorted_sets,sort,encodings,newer_encodings,newer,entries,\
     streams,bitmaps,hyperloglog,geo,blocking,pubsub,scripts";

fn main() {
    let mut suite =
        Suite::new("differential", &["seed", "count", "families", "failures", "threads"]);
    let seed = suite.number("seed", 1);
    let count = suite.number("count", COUNT);
    let failures_max = suite.number("failures", FAILURES_MAX) as usize;
    let wanted = suite.text("families", FAMILIES).to_owned();
    let threads = suite.text("threads", "").to_owned();
    for (at, name) in wanted.split(',').enumerate() {
        let turn = WORKERS[(at + seed as usize) % WORKERS.len()];
        let threads = if threads.is_empty() { turn } else { threads.as_str() };
        if name == BLOCKING {
            suite.test(name, || blocking::run(seed, threads));
            continue;
        }
        if name == PUBSUB {
            suite.test(name, || pubsub::run(seed, threads));
            continue;
        }
        let family = Family::named(name);
        suite.test(name, || run(&family, seed, count, failures_max, threads));
    }
    suite.finish();
}

fn run(
    family: &Family,
    seed: u64,
    count: u64,
    failures_max: usize,
    threads: &str,
) -> Result<String, String> {
    let theirs = match family.model {
        Model::Redis => Server::redis(&["--enable-debug-command", "yes"]),
        Model::Valkey => match Server::valkey() {
            Some(valkey) => valkey,
            None => return Ok("SKIPPED: NO VALKEY-SERVER HERE, NAME ONE IN VALKEY_SERVER".into()),
        },
    };
    let extra = ["--replicas", family.replicas, "--threads", threads];
    let servers = Servers { model: family.model, theirs, ours: Server::entourage(&extra) };
    let replay = Replay::of(&servers.ours);
    let mut failures = Failures::new(failures_max);
    let played = rounds::play_all(&servers, family, &replay, seed, count, &mut failures);
    match failures.is_empty() {
        true => Ok(format!("({played} commands, seed {seed}, {threads} workers)")),
        false => Err(format!("after {played} commands of seed {seed}:\n{failures}")),
    }
}
