//! Many seeds, on all cores.

use super::finding::Finding;
use super::runs::{Counts, Simulation, run_steps, run_to_end, set_quiet};
use super::shrink::shrink;
use entourage::base::planted::{Planted, plant};
use std::fmt::{self, Display, Formatter};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is said how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Which runs.
#[derive(Clone, Copy)]
pub struct Asked {
    /// The first seed, and how many.
    pub first: u64,
    /// See [`Asked::first`].
    pub seeds: u64,
    /// What happens in each run, at most.
    pub steps: u64,
    /// How many run at a time.
    pub threads: usize,
    /// A fault that is planted.
    pub planted: Option<Planted>,
}

/// What they came to.
pub struct Explored {
    /// Runs that were begun.
    pub seeds: u64,
    /// What happened in all of them.
    pub steps: u64,
    /// How long it took.
    pub took: Duration,
    /// How often each thing has happened.
    pub counts: Counts,
    /// The first thing that was found.
    pub found: Option<Found>,
    /// What happened, where there was one seed alone.
    pub trace: Vec<String>,
}

/// What was found, and the shortest way there.
pub struct Found {
    /// Of this seed.
    pub seed: u64,
    /// What.
    pub finding: Finding,
    /// The steps that are needed.
    pub steps: Vec<u64>,
    /// What happens in them.
    pub trace: Vec<String>,
}

/// Runs seed after seed, until one finds something.
pub fn explore<S: Simulation>(asked: Asked, new: impl Fn(u64) -> S + Sync) -> Explored {
    let (began, next, steps) = (Instant::now(), AtomicU64::new(asked.first), AtomicU64::new(0));
    let (counts, found) = (Mutex::new(Counts::new()), Mutex::new(None::<(u64, Finding, u64)>));
    let (is_over, trace) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let end = asked.first.saturating_add(asked.seeds);
    let work = || {
        plant(asked.planted);
        set_quiet(true);
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if end <= seed || is_over.load(Relaxed) {
                return;
            }
            let run = run_to_end(new(seed), asked.steps as usize);
            steps.fetch_add(run.steps(), Relaxed);
            let mut counts = counts.lock().unwrap_or_else(|it| it.into_inner());
            run.counts().iter().for_each(|it| *counts.entry(it.0.clone()).or_default() += it.1);
            drop(counts);
            if asked.seeds == 1 {
                *trace.lock().unwrap_or_else(|it| it.into_inner()) = run.trace().to_vec();
            }
            if let Some(finding) = run.findings().first() {
                let mut found = found.lock().unwrap_or_else(|it| it.into_inner());
                if found.as_ref().is_none_or(|it| seed < it.0) {
                    *found = Some((seed, finding.clone(), run.steps()));
                }
                is_over.store(true, Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..asked.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut told = Instant::now();
        while workers.iter().any(|it| !it.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            if TELL_EVERY <= told.elapsed() {
                told = Instant::now();
                let seeds = next.load(Relaxed).min(end) - asked.first;
                eprintln!("{seeds} of {} seeds, {} steps", asked.seeds, steps.load(Relaxed));
            }
        }
    });
    let found = found.into_inner().unwrap_or_else(|it| it.into_inner());
    let took = began.elapsed();
    plant(asked.planted);
    set_quiet(true);
    let found = found.map(|(seed, finding, steps)| {
        let steps = shrink(|| new(seed), steps, finding.checker);
        let trace = run_steps(new(seed), steps.iter().copied()).trace().to_vec();
        Found { seed, finding, steps, trace }
    });
    plant(None);
    Explored {
        seeds: next.load(Relaxed).min(end) - asked.first,
        steps: steps.load(Relaxed),
        took,
        counts: counts.into_inner().unwrap_or_else(|it| it.into_inner()),
        found,
        trace: trace.into_inner().unwrap_or_else(|it| it.into_inner()),
    }
}

impl Display for Explored {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        for (what, count) in &self.counts {
            writeln!(f, "{count:>12}  {what}")?;
        }
        let a_second = self.steps as f64 / seconds.max(1e-9);
        let (seeds, steps) = (self.seeds, self.steps);
        writeln!(f, "{seeds} seeds, {steps} steps in {seconds:.1} s: {a_second:.0} steps/s")?;
        let Some(found) = &self.found else { return writeln!(f, "nothing was found") };
        let Found { seed, finding, steps, trace } = found;
        writeln!(f, "\nseed {seed}: {:?}: {}", finding.checker, finding.what)?;
        writeln!(f, "{} steps are enough for that; what happens in them:\n", steps.len())?;
        trace.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}
