//! Runs of a simulation, whatever it simulates: seed after seed, each to its end.

use super::finding::{Checker, Finding};
use entourage::base::random::Random;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, Once};
use std::thread;

/// How often each thing has happened.
pub type Counts = BTreeMap<Cow<'static, str>, u64>;

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
    fn counts(&self) -> &Counts;
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

/// Does the work for each of these, on all cores; `may_go_on` says whether to begin another.
pub fn on_all_cores<T: Sync>(
    all: &[T],
    work: impl Fn(&T) + Sync,
    may_go_on: impl Fn() -> bool + Sync,
) {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, |it| it.get());
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(it) = all.get(next.fetch_add(1, Relaxed)).filter(|_| may_go_on()) {
                    work(it);
                }
            });
        }
    });
}

/// No run may find anything. Answers how often each thing has happened in all of them.
pub fn count_without_findings<S: Simulation>(
    seeds: &[u64],
    run: impl Fn(u64) -> S + Sync,
    shows_trace: bool,
) -> Counts {
    let all = Mutex::new((Counts::new(), 0, Vec::<(u64, Vec<Finding>)>::new()));
    let has_found = AtomicBool::new(false);
    let work = |seed: &u64| {
        let simulation = run(*seed);
        if shows_trace {
            simulation.trace().iter().for_each(|it| println!("{it}"));
        }
        let mut all = all.lock().unwrap_or_else(|it| it.into_inner());
        let (counts, steps, found) = &mut *all;
        if !simulation.findings().is_empty() {
            has_found.store(true, Relaxed);
            found.push((*seed, simulation.findings().to_vec()));
        }
        *steps += simulation.steps();
        simulation.counts().iter().for_each(|it| *counts.entry(it.0.clone()).or_default() += it.1);
    };
    on_all_cores(seeds, work, || !has_found.load(Relaxed));
    let (counts, steps, mut found) = all.into_inner().unwrap_or_else(|it| it.into_inner());
    found.sort_by_key(|it| it.0);
    if let Some((seed, findings)) = found.first() {
        assert_eq!(findings, &[], "replay with SIM_SEED={seed}");
    }
    println!("{steps} steps: {counts:?}");
    counts
}

/// What a step draws.
pub fn random_of(seed: u64, number: u64) -> Random {
    Random::new(seed.rotate_left(32) ^ number)
}

/// What must have happened often enough for a test to mean anything.
pub fn must_have_happened(least: &[(&str, u64)], counts: &Counts) {
    for (what, least) in least {
        assert!(*least <= counts.get(*what).copied().unwrap_or(0), "too few {what}: {counts:?}");
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

            fn counts(&self) -> &$crate::sim::runs::Counts {
                &self.counts
            }
        }
    };
}
pub(super) use simulation;
