//! Runs of a simulation, whatever it simulates: seed after seed, each to its end.

use super::finding::{Checker, Finding};
use entourage::base::random::Random;
use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// What is simulated.
pub trait Simulation {
    /// From here on, what happens depends on the seed and on this number alone: so that a step that
    /// is left out changes no other.
    fn enter(&mut self, number: u64);
    /// Something happens.
    fn step(&mut self);
    /// Everything comes to rest, and the last promises are looked at.
    fn end_all(&mut self);
    /// A promise was not kept.
    fn find(&mut self, checker: Checker, what: String);
    fn findings(&self) -> &[Finding];
    /// What happened, in order.
    fn trace(&self) -> &[String];
    fn counts(&self) -> &HashMap<&'static str, u64>;
    /// How much has happened.
    fn steps(&self) -> u64;
}

/// A number that no step has: that of the end.
const END: u64 = u64::MAX;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics of this thread are not printed, or are again: those that are meant to happen never are.
pub fn set_quiet(is_quiet: bool) {
    IS_QUIET.set(is_quiet);
}

fn hush() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |it| {
            let text = it.to_string();
            let is_meant = text.contains("broken before") || text.contains("DEBUG PANIC");
            if !is_meant && !IS_QUIET.get() {
                loud(it);
            }
        }));
    });
}

/// Runs it to its end, or to the first finding.
pub fn run_to_end<S: Simulation>(simulation: S, steps: usize) -> S {
    run_steps(simulation, 0..steps as u64)
}

/// The same, with only these of its steps.
pub fn run_steps<S: Simulation>(mut simulation: S, steps: impl IntoIterator<Item = u64>) -> S {
    hush();
    let done = catch_unwind(AssertUnwindSafe(|| {
        for number in steps {
            simulation.enter(number);
            simulation.step();
            if !simulation.findings().is_empty() {
                return;
            }
        }
        simulation.enter(END);
        simulation.end_all();
    }));
    if done.is_err() {
        simulation.find(Checker::Panicked, "something panicked".to_owned());
    }
    simulation
}

/// No run may find anything. Answers how often each thing has happened in all of them.
pub fn count_without_findings<S: Simulation>(
    seeds: impl Iterator<Item = u64>,
    run: impl Fn(u64) -> S,
    shows_trace: bool,
) -> HashMap<&'static str, u64> {
    let (mut counts, mut steps) = (HashMap::<&str, u64>::new(), 0);
    for seed in seeds {
        let simulation = run(seed);
        if shows_trace {
            simulation.trace().iter().for_each(|it| println!("{it}"));
        }
        assert_eq!(simulation.findings(), [], "replay with SIM_SEED={seed}");
        steps += simulation.steps();
        simulation.counts().iter().for_each(|it| *counts.entry(it.0).or_default() += it.1);
    }
    println!("{steps} steps: {counts:?}");
    counts
}

/// What a step draws.
pub fn random_of(seed: u64, number: u64) -> Random {
    Random::new(seed.rotate_left(32) ^ number)
}

/// What must have happened often enough for a test to mean anything.
pub fn must_have_happened(least: &[(&str, u64)], counts: &HashMap<&str, u64>) {
    for (what, least) in least {
        assert!(*least <= counts.get(what).copied().unwrap_or(0), "too few {what}: {counts:?}");
    }
}

/// A simulation that has its findings, its trace and its counts in fields of these names.
macro_rules! simulation {
    ($world:ty) => {
        impl $crate::sim::runs::Simulation for $world {
            fn enter(&mut self, number: u64) {
                self.random = $crate::sim::runs::random_of(self.seed, number);
                self.steps += 1;
            }

            fn steps(&self) -> u64 {
                self.steps
            }

            fn step(&mut self) {
                <$world>::step(self);
            }

            fn end_all(&mut self) {
                <$world>::end_all(self);
            }

            fn find(&mut self, checker: Checker, what: String) {
                <$world>::find(self, checker, what);
            }

            fn findings(&self) -> &[Finding] {
                &self.findings
            }

            fn trace(&self) -> &[String] {
                &self.trace
            }

            fn counts(&self) -> &HashMap<&'static str, u64> {
                &self.counts
            }
        }
    };
}
pub(super) use simulation;
