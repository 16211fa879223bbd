//! What was measured: a histogram of latencies per second, command and target, and their sums.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longest latency that is told apart: longer ones count as this one.
const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// Kinds of errors that are told apart.
const ERRORS_MAX: usize = 32;

/// A histogram of latencies in nanoseconds, to three digits.
pub fn latencies() -> Histogram<u64> {
    // Below a microsecond nothing is answered, so 64 ns are exact enough.
    Histogram::new_with_bounds(64, LATENCY_NS_MAX, 3).expect("these bounds are sound")
}

/// Which latencies one histogram holds: those of a command at a target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Class {
    /// Place among the commands; one past the last is WAIT.
    pub command: u16,
    /// Place among the targets.
    pub target: u16,
}

/// What one thread has seen in one second.
pub struct Second {
    /// Which, since the measured part began.
    pub number: u32,
    /// Latencies.
    pub latencies: Vec<(Class, Histogram<u64>)>,
    /// Errors.
    pub errors: u64,
}

/// Records for one thread.
pub struct Recorder {
    targets: usize,
    all: Vec<Option<Histogram<u64>>>,
    errors_in_second: u64,
    /// Errors since the measured part began, by their first word.
    pub errors: BTreeMap<String, u64>,
}

impl Recorder {
    /// For so many commands, and WAIT, at so many targets.
    pub fn new(commands: usize, targets: usize) -> Recorder {
        let all = (0..(commands + 1) * targets).map(|_| None).collect();
        Recorder { targets, all, errors_in_second: 0, errors: BTreeMap::new() }
    }

    /// A request has been answered after so many nanoseconds.
    #[inline]
    pub fn record(&mut self, class: Class, latency_ns: u64) {
        let at = usize::from(class.command) * self.targets + usize::from(class.target);
        self.all[at].get_or_insert_with(latencies).saturating_record(latency_ns);
    }

    /// A request has failed.
    pub fn record_error(&mut self, text: &str) {
        self.errors_in_second += 1;
        let word = text.split(' ').next().unwrap_or_default();
        let key = if self.errors.len() < ERRORS_MAX { word } else { "others" };
        let key = if word.chars().all(|it| it.is_ascii_uppercase()) { key } else { text };
        *self.errors.entry(key.to_owned()).or_default() += 1;
    }

    /// Gives out what was recorded since the last time.
    pub fn take(&mut self, number: u32) -> Second {
        let targets = self.targets;
        let class =
            |at: usize| Class { command: (at / targets) as u16, target: (at % targets) as u16 };
        let all = self.all.iter_mut().enumerate();
        let latencies = all.filter_map(|(at, it)| Some((class(at), it.take()?))).collect();
        Second { number, latencies, errors: std::mem::take(&mut self.errors_in_second) }
    }
}

/// One second of all threads, in numbers.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Point {
    /// Which second.
    pub second: u32,
    /// Requests answered.
    pub count: u64,
    /// Requests failed.
    pub errors: u64,
    /// Latency in ns.
    pub p50: u64,
    /// Latency in ns.
    pub p99: u64,
    /// Latency in ns.
    pub p999: u64,
    /// Latency in ns.
    pub max: u64,
}

/// All of a run.
pub struct Totals {
    /// Latencies per command and target.
    pub classes: BTreeMap<Class, Histogram<u64>>,
    /// Latencies of all requests, without WAIT.
    pub all: Histogram<u64>,
    /// Second by second.
    pub points: Vec<Point>,
    /// How many requests failed, by the first word of the error.
    pub errors: BTreeMap<String, u64>,
    wait: u16,
}

impl Totals {
    /// Nothing yet; `commands` is their number.
    pub fn new(commands: usize) -> Totals {
        let (classes, errors, points) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Totals { classes, all: latencies(), points, errors, wait: commands as u16 }
    }

    /// Adds one second of all threads. Answers its numbers.
    pub fn add(&mut self, number: u32, seconds: &[Second]) -> Point {
        let mut of_second = latencies();
        for (class, histogram) in seconds.iter().flat_map(|it| &it.latencies) {
            let sum = self.classes.entry(*class).or_insert_with(latencies);
            sum.add(histogram).expect("their bounds are the same");
            if class.command != self.wait {
                of_second.add(histogram).expect("their bounds are the same");
            }
        }
        self.all.add(&of_second).expect("their bounds are the same");
        let point = Point {
            second: number,
            count: of_second.len(),
            errors: seconds.iter().map(|it| it.errors).sum(),
            p50: of_second.value_at_quantile(0.5),
            p99: of_second.value_at_quantile(0.99),
            p999: of_second.value_at_quantile(0.999),
            max: of_second.max(),
        };
        self.points.push(point);
        point
    }

    /// How many requests failed.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_add_up() {
        let mut recorder = Recorder::new(2, 1);
        let (get, wait) = (Class { command: 1, target: 0 }, Class { command: 2, target: 0 });
        (1..=1000).for_each(|it| recorder.record(get, it * 1_000_000));
        recorder.record(wait, 5);
        recorder.record_error("LAGGED too far");
        let mut totals = Totals::new(2);
        let point = totals.add(0, &[recorder.take(0)]);
        assert_eq!((point.count, point.errors, totals.all.len()), (1000, 1, 1000));
        assert!(point.p50.abs_diff(500_000_000) < 1_000_000, "{}", point.p50);
        assert_eq!(totals.classes.len(), 2);
        assert_eq!(recorder.errors.get("LAGGED"), Some(&1));
        assert!(recorder.take(1).latencies.is_empty());
    }
}
