//! A whole replica set in one thread, from a seed: random numbers pick writes, reads at every level, pauses,
//! disconnections, syncs, failovers and panics; checkers that know nothing of offsets look at what was read.
//!
//! `SET_SIM_SEED=17 cargo test --test set_sim` replays one seed.

mod sim;

use sim::{CallEnv, Finding};

const SEEDS: u64 = 1000;
const DEEDS: usize = 600;

fn seeds() -> std::ops::RangeInclusive<u64> {
    match std::env::var("SET_SIM_SEED").ok().and_then(|it| it.parse().ok()) {
        Some(seed) => seed..=seed,
        None => 1..=SEEDS,
    }
}

#[test]
fn promises_hold_and_members_converge_whatever_happens_to_them() {
    let mut at_replicas = 0;
    let mut syncs = 0;
    for seed in seeds() {
        let mut env = CallEnv::new(seed);
        (0..DEEDS).for_each(|_| env.deed());
        assert_eq!(env.findings, [], "replay with SET_SIM_SEED={seed}");
        at_replicas += env.reads_at_replicas;
        syncs += env.syncs;
        env.calm_down();
        env.assert_converged();
        env.assert_stream_tells_all();
    }
    if 1 < seeds().count() {
        assert!(SEEDS * 50 < at_replicas, "must not pass by always reading at the master");
        assert!(SEEDS < syncs, "must not pass without any full resync");
    }
}

#[test]
fn the_checker_can_fail() {
    let stale = |seed| {
        let mut env = CallEnv::new(seed);
        env.hold_everyone_to("sticky");
        env.serve_everyone_at("eventual");
        (0..DEEDS).for_each(|_| env.deed());
        env.findings.iter().filter(|it| matches!(it, Finding::Stale { .. })).count()
    };
    assert!((1..=20).map(stale).sum::<usize>() > 100);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let story = |seed| {
        let mut env = CallEnv::new(seed);
        (0..DEEDS).for_each(|_| env.deed());
        (env.story, env.reads_at_replicas, env.set.head())
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7).0, story(8).0);
}
