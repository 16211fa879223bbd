//! Runs of a simulation, whatever it simulates: seed after seed, each to its end.

use super::finding::{Checker, Finding};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is simulated.
pub trait Simulation {
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
}

/// Runs it to its end, or to the first finding.
pub fn run_to_end<S: Simulation>(mut simulation: S, steps: usize) -> S {
    let done = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..steps {
            simulation.step();
            if !simulation.findings().is_empty() {
                return;
            }
        }
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
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for seed in seeds {
        let simulation = run(seed);
        if shows_trace {
            simulation.trace().iter().for_each(|it| println!("{it}"));
        }
        assert_eq!(simulation.findings(), [], "replay with SIM_SEED={seed}");
        simulation.counts().iter().for_each(|it| *counts.entry(it.0).or_default() += it.1);
    }
    println!("{counts:?}");
    counts
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
