//! What the simulation of replicas on the wire must find, and must not.

use super::super::coverage::{must_be_reached, of_links};
use super::super::finding::{Checker, Finding};
use super::super::runs::{count_without_findings, must_have_happened, on_all_cores, run_to_end};
use super::world::World;
use entourage::base::planted::{Planted, plant};
use std::sync::Mutex;

const SEEDS: u64 = 1200;
const STEPS: usize = 600;
/// A planted fault must be found within this many seeds.
const PLANTED_SEEDS: u64 = 300;

fn seeds() -> Vec<u64> {
    let asked = |name: &str| std::env::var(name).ok().and_then(|it| it.parse().ok());
    match asked("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=asked("SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs a seed to its end.
fn run(seed: u64) -> World {
    run_to_end(World::new(seed), STEPS)
}

#[test]
fn promises_hold_over_links_that_break() {
    let seeds = seeds();
    let counts = count_without_findings(&seeds, run, seeds.len() == 1);
    if SEEDS <= seeds.len() as u64 {
        must_have_happened(LEAST, &counts);
        must_be_reached(&of_links(), UNREACHABLE, &counts);
    }
}

/// What must have happened often enough for the test to mean anything.
const LEAST: &[(&str, u64)] = &[
    ("writes", 50 * SEEDS),
    ("served", 10 * SEEDS),
    ("lost", SEEDS / 30),
    ("cuts in the stream", 5 * SEEDS),
    ("resumed", 5 * SEEDS),
    ("replaced", 2 * SEEDS),
    ("failovers", SEEDS),
    ("promotions", SEEDS / 2),
    ("renamed", SEEDS / 30),
];

/// What no run reaches.
const UNREACHABLE: &[(&str, &str)] = &[
    ("follower: feed limit", "nobody is slower here than its feed allows"),
    ("follower: promoted", "whoever is the master is no follower"),
    ("follower: not applicable", "nothing that cannot be applied is ever written"),
    ("follower: quarantined", "no verb panics here"),
    ("follower: resync failed", "a copy within the process does not fail"),
    ("follower: removed", "members stay"),
    ("follower: peer fault", "a replica that breaks the protocol is a finding"),
];

#[test]
fn the_same_seed_gives_the_same_trace() {
    assert_eq!(run(7).trace, run(7).trace);
    assert_ne!(run(7).trace, run(8).trace);
}

/// Every fault that is planted, and who finds it.
const PLANTED: &[(Planted, &[Checker])] = &[
    (Planted::ResumesLate, &[Checker::LinkFault]),
    (Planted::ResumesEarly, &[Checker::LinkFault]),
    (Planted::CutOffResumed, &[Checker::Order, Checker::WaitCount]),
    (Planted::OldHistoryAcked, &[Checker::WaitCount, Checker::LinkFault]),
    (Planted::SentCountsAsAcked, &[Checker::WaitCount]),
    (Planted::SnapshotLacks, &[Checker::Order]),
    (Planted::SelectForgotten, &[Checker::Order]),
    (Planted::FloorKept, &[Checker::Stale]),
    (Planted::JoinsLate, &[Checker::LinkFault, Checker::Order]),
    (Planted::RenameUnnoticed, &[Checker::Order, Checker::Stale]),
];

fn first_seed_that_finds(fault: Planted, checkers: &[Checker]) -> Option<(u64, Finding)> {
    plant(Some(fault));
    let found = (1..=PLANTED_SEEDS).find_map(|seed| {
        let mut findings = run(seed).findings.into_iter();
        Some((seed, findings.find(|it| checkers.contains(&it.checker))?))
    });
    plant(None);
    found
}

#[test]
fn every_planted_fault_of_the_wire_is_found() {
    let missed = Mutex::new(Vec::new());
    let look_for =
        |(fault, checkers): &(Planted, &[Checker])| match first_seed_that_finds(*fault, checkers) {
            Some((seed, finding)) => println!("{fault:?}: seed {seed}, {finding:?}"),
            None => missed.lock().expect("nobody panics").push(*fault),
        };
    on_all_cores(PLANTED, look_for, || true);
    let missed = missed.into_inner().expect("nobody panics");
    assert!(missed.is_empty(), "not found: {missed:?}");
}
