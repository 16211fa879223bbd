//! From a run that finds something to the fewest of its steps that still find it.

use super::finding::Checker;
use super::runs::{Simulation, run_steps};

/// Runs after which what is left is good enough.
const TRIES_MAX: usize = 2000;

/// The steps of `0..steps` without which this checker would find nothing (Zeller and Hildebrandt's
/// ddmin, IEEE TSE 28/2, 2002): as each step draws from numbers of its own, those that stay do what
/// they did, as far as they can.
pub fn shrink<S: Simulation>(new: impl Fn() -> S, steps: u64, checker: Checker) -> Vec<u64> {
    let mut left: Vec<u64> = (0..steps).collect();
    let mut tries = 0;
    let mut finds = |some: &[u64]| {
        tries += 1;
        let run = run_steps(new(), some.iter().copied());
        let finds = run.findings().first().is_some_and(|it| it.checker == checker);
        (finds, tries < TRIES_MAX)
    };
    let mut parts = 2;
    while 1 < left.len() {
        let size = left.len().div_ceil(parts);
        let mut has_shrunk = false;
        let mut at = 0;
        while at < left.len() {
            let mut without = left.clone();
            without.drain(at..left.len().min(at + size));
            let (still_finds, may_go_on) = finds(&without);
            if !may_go_on {
                return left;
            }
            if still_finds {
                left = without;
                has_shrunk = true;
            } else {
                at += size;
            }
        }
        if size == 1 && !has_shrunk {
            return left;
        }
        parts = if has_shrunk { parts.max(2) } else { (2 * parts).min(left.len()) };
    }
    left
}
