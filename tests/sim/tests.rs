//! What the simulation must find, and must not.

use super::coverage::{must_be_reached, of_connections};
use super::finding::{Checker, Finding};
use super::runs::{count_without_findings, must_have_happened, on_all_cores};
use super::runs::{run_steps, run_to_end, set_quiet};
use super::shrink::shrink;
use super::world::World;
use entourage::base::planted::{Planted, plant};
use std::sync::Mutex;

const SEEDS: u64 = 2200;
const STEPS: usize = 2500;
/// A planted fault must be found within this many seeds.
const PLANTED_SEEDS: u64 = 500;

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
fn promises_hold_whatever_happens() {
    let seeds = seeds();
    let counts = count_without_findings(&seeds, run, seeds.len() == 1);
    if SEEDS <= seeds.len() as u64 {
        must_have_happened(LEAST, &counts);
        must_be_reached(&of_connections(), UNREACHABLE, &counts);
    }
}

/// What must have happened often enough for the test to mean anything.
const LEAST: &[(&str, u64)] = &[
    ("reads", 10 * SEEDS),
    ("confirmed", SEEDS / 2),
    ("not durable", SEEDS / 10),
    ("waits", SEEDS),
    ("waits in vain", SEEDS / 10),
    ("aborted", SEEDS / 10),
    ("scripts of several calls", SEEDS),
    ("unblocked", SEEDS / 10),
    ("killed", SEEDS / 10),
    ("flooded", SEEDS / 10),
    ("flooded while it waits", SEEDS / 100),
    ("long reads", SEEDS),
    ("long writes", SEEDS),
    ("waited for a long holder", SEEDS),
    ("left while it waited for a long holder", SEEDS / 100),
    ("left before its long request", SEEDS / 100),
    ("left while it worked long", SEEDS / 100),
    ("replayed apart", SEEDS / 10),
    ("waited apart", SEEDS / 10),
    ("turned away", SEEDS / 50),
    ("served", SEEDS / 20),
    ("popped at once", SEEDS / 10),
    ("entries told", SEEDS / 50),
    ("unblocked by a failover", SEEDS / 100),
    ("left with its element", SEEDS / 100),
    ("links served", SEEDS),
    ("links cut", SEEDS),
    ("waits that count replicas behind links", SEEDS / 50),
    ("refused by the gate", SEEDS),
    ("jumped back", SEEDS),
    ("jumped forward", SEEDS),
    ("fleeting reads", SEEDS / 10),
    ("crashes", SEEDS / 4),
    ("crashes that lose writes", SEEDS / 10),
    ("tokens of before a crash", SEEDS / 20),
    ("lost writes told", SEEDS / 100),
    ("subscribed", SEEDS),
    ("unsubscribed", SEEDS / 4),
    ("published", SEEDS),
    ("messages heard", SEEDS),
    ("heard a message at once", SEEDS / 2),
    ("events heard", SEEDS),
];

/// What no run reaches.
const UNREACHABLE: &[(&str, &str)] = &[
    ("linearizable", "the master is hosted here, and knows what is newest"),
    ("prefers-master", "the master is hosted here, and no route prefers another's"),
    ("lost-history", "a session is told of a loss before its read is planned"),
    ("follower: promoted", "whoever is the master is no follower"),
    ("follower: not applicable", "nothing that cannot be applied is ever written"),
    ("follower: peer fault", "a replica that breaks the protocol is a finding"),
    ("wait for the stream: ", "the set follows nobody"),
    ("wait for the disk: ", "no file is kept here; tests of server::disk have one, and crashes"),
    ("wait for disks: ", "no file is kept here"),
    ("wait for nothing that is an offset's: ", "no verb asks for it"),
    ("wait for the end of a pause: unblocked", "CLIENT UNBLOCK ends no pause"),
    ("wait for the end of a pause: unblocked by an error", "CLIENT UNBLOCK ends no pause"),
    ("wait for a long holder: time up", "it has no end of its own"),
    ("wait for a long holder: unblocked", "CLIENT UNBLOCK does not end it"),
    ("wait for a long holder: unblocked by an error", "CLIENT UNBLOCK does not end it"),
    ("wait for time: reached", "nothing but time is waited for"),
    ("wait for a job: time up", "it has no end of its own"),
    ("wait for a job: unblocked", "CLIENT UNBLOCK does not end it"),
    ("wait for a job: unblocked by an error", "CLIENT UNBLOCK does not end it"),
    (": shut down", "the proxy does not shut down"),
    (": nothing that ends a wait", "what comes in while a request waits stays where it is"),
];

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [7, 8] {
        assert_eq!(run(seed).trace, run(seed).trace);
    }
    assert_ne!(run(7).trace, run(8).trace);
}

#[test]
fn a_finding_is_shrunk_to_the_steps_that_it_needs() {
    let finds = |checker: Checker, steps: &[u64]| {
        let run = run_steps(World::new(1), steps.iter().copied());
        run.findings.first().is_some_and(|it| it.checker == checker)
    };
    plant(Some(Planted::AckCountedTwice));
    let (found, checker) = (run(1), Checker::WaitCount);
    let steps = shrink(|| World::new(1), found.steps, checker);
    let still_finds = finds(checker, &steps);
    let is_least = (0..steps.len()).all(|at| {
        let mut without = steps.clone();
        without.remove(at);
        !finds(checker, &without)
    });
    plant(None);
    assert!(still_finds && is_least && steps.len() < 100, "{steps:?}");
}

/// Every fault that is planted, and who finds it.
const PLANTED: &[(Planted, Checker)] = &[
    (Planted::HangUpUnnoticed, Checker::LeftWrite),
    (Planted::SlotFilledTwice, Checker::Answers),
    (Planted::ReadRaisesNoFloor, Checker::Stale),
    (Planted::HistoriesMixed, Checker::KeptFromReplicas),
    (Planted::FloorForgotten, Checker::Stale),
    (Planted::SharedFloorUnread, Checker::Stale),
    (Planted::SharedFloorLate, Checker::Stale),
    (Planted::AckCountedTwice, Checker::WaitCount),
    (Planted::WaiterNotWoken, Checker::Asleep),
    (Planted::ReplyOvertakes, Checker::Answers),
    (Planted::WatchLeftBehind, Checker::LeftBehind),
    (Planted::ServedTwice, Checker::Once),
    (Planted::WaitAnswersWanted, Checker::WaitCount),
    (Planted::RetryForgetsFloor, Checker::Stale),
    (Planted::UnblockEndsPause, Checker::Paused),
    (Planted::AnyWakeUpEndsWait, Checker::Early),
    (Planted::TimeConfirms, Checker::Acks),
    (Planted::WatchIgnored, Checker::Watch),
    (Planted::OverflowUnnoticed, Checker::Flooded),
    (Planted::GateOpensEarly, Checker::Gate),
    (Planted::ExpiredShown, Checker::Expired),
    (Planted::MessageRaisesNoFloor, Checker::Stale),
    (Planted::MessageTwice, Checker::Heard),
    (Planted::MessageDropped, Checker::Heard),
    (Planted::SubscriptionLeftBehind, Checker::LeftBehind),
    (Planted::LastComesFirst, Checker::Popped),
    (Planted::WaiterStaysInLine, Checker::LeftBehind),
    (Planted::ServedAndNotTold, Checker::Popped),
    (Planted::LossUntold, Checker::LossUntold),
];

fn first_seed_that_finds(fault: Planted, checker: Checker) -> Option<(u64, Finding)> {
    plant(Some(fault));
    set_quiet(true);
    let found = (1..=PLANTED_SEEDS).find_map(|seed| {
        let finding = run(seed).findings.into_iter().find(|it| it.checker == checker)?;
        Some((seed, finding))
    });
    set_quiet(false);
    plant(None);
    found
}

#[test]
fn every_planted_fault_is_found() {
    let missed = Mutex::new(Vec::new());
    let look_for =
        |(fault, checker): &(Planted, Checker)| match first_seed_that_finds(*fault, *checker) {
            Some((seed, finding)) => println!("{fault:?}: seed {seed}, {finding:?}"),
            None => missed.lock().expect("nobody panics").push(*fault),
        };
    on_all_cores(PLANTED, look_for, || true);
    let missed = missed.into_inner().expect("nobody panics");
    assert!(missed.is_empty(), "not found: {missed:?}");
}
