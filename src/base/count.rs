//! A count that many threads add to at once, each in a cache line of its own: lines that cores take
//! from each other cost more than the work that is counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Lines of one count; threads beyond that share.
const LINES: usize = 16;

/// Two lines, since processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// A count in as many lines as there may be workers.
#[derive(Default)]
pub struct SharedCount {
    lines: [Line; LINES],
}

impl SharedCount {
    /// Adds what the worker of this number has counted.
    #[inline]
    pub fn add(&self, worker: usize, count: u64) {
        self.lines[worker % LINES].0.fetch_add(count, Relaxed);
    }

    /// All of it.
    pub fn get(&self) -> u64 {
        self.lines.iter().map(|it| it.0.load(Relaxed)).sum()
    }

    /// Forgets it.
    pub fn reset(&self) {
        self.lines.iter().for_each(|it| it.0.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_workers_add_is_told_as_one() {
        let count = SharedCount::default();
        (0..40).for_each(|worker| count.add(worker, 2));
        assert_eq!(count.get(), 80);
        count.reset();
        assert_eq!(count.get(), 0);
    }
}
