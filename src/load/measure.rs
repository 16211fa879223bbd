//! What was measured: a histogram of latencies per second, command and target, and their sums.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
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
#[derive(Clone)]
pub struct Second {
    /// Which, since the measured part began.
    pub number: u32,
    /// How long it was: the last may be a part of one.
    pub length: Duration,
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
    /// Errors since the measured part began.
    pub errors: Errors,
}

/// How many requests failed, by the first word of the error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Errors(pub BTreeMap<String, ErrorCount>);

/// Errors that begin with the same word.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ErrorCount {
    /// How many.
    pub count: u64,
    /// The text of the first.
    pub example: String,
}

impl Errors {
    /// Takes one in.
    pub fn add(&mut self, text: &str) {
        let word = text.split(' ').next().unwrap_or_default();
        let is_word = !word.is_empty() && word.chars().all(|it| it.is_ascii_uppercase());
        // What we say ourselves, "connection lost", is no word of a server.
        let key = if is_word && word.len() < text.len() && word != "WAIT" { word } else { text };
        let is_kept = self.0.len() < ERRORS_MAX || self.0.contains_key(key);
        let of = self.0.entry(if is_kept { key } else { "others" }.to_owned()).or_default();
        if of.count == 0 {
            of.example = text.to_owned();
        }
        of.count += 1;
    }

    /// Takes in what another has counted.
    pub fn append(&mut self, other: Errors) {
        for (word, it) in other.0 {
            let of = self.0.entry(word).or_insert(ErrorCount { count: 0, example: it.example });
            of.count += it.count;
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.values().map(|it| it.count).sum()
    }
}

impl Recorder {
    /// For so many commands, and WAIT, at so many targets.
    pub fn new(commands: usize, targets: usize) -> Recorder {
        let all = (0..(commands + 1) * targets).map(|_| None).collect();
        Recorder { targets, all, errors_in_second: 0, errors: Errors::default() }
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
        self.errors.add(text);
    }

    /// Gives out what was recorded since the last time, in so long a second.
    pub fn take(&mut self, number: u32, length: Duration) -> Second {
        let targets = self.targets;
        let class =
            |at: usize| Class { command: (at / targets) as u16, target: (at % targets) as u16 };
        let all = self.all.iter_mut().enumerate();
        let latencies = all.filter_map(|(at, it)| Some((class(at), it.take()?))).collect();
        Second { number, length, latencies, errors: std::mem::take(&mut self.errors_in_second) }
    }
}

/// The part of a second that lies between these times, ns each; never nothing.
pub fn part_of_second(from: u64, to: u64) -> Duration {
    Duration::from_nanos(to.saturating_sub(from)).clamp(Duration::from_micros(1), SECOND)
}

/// How long a second was that several threads have had at the same time.
pub fn length_of(seconds: &[Second]) -> Duration {
    seconds.iter().map(|it| it.length).max().unwrap_or(SECOND)
}

/// One second of all threads, in numbers.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Point {
    /// Which second.
    pub second: u32,
    /// How long it was, in seconds.
    pub length: f64,
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
    /// How many requests failed.
    pub errors: Errors,
    wait: u16,
}

impl Point {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.length
    }
}

impl Totals {
    /// Nothing yet; `commands` is their number.
    pub fn new(commands: usize) -> Totals {
        let (classes, errors, points) = (BTreeMap::new(), Errors::default(), Vec::new());
        Totals { classes, all: latencies(), points, errors, wait: commands as u16 }
    }

    /// Adds one second of all threads, which was so long. Answers its numbers.
    pub fn add(&mut self, number: u32, length: Duration, seconds: &[Second]) -> Point {
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
            length: length.as_secs_f64(),
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
        let half = Duration::from_millis(500);
        let second = [recorder.take(0, half)];
        assert_eq!(length_of(&second), half);
        let point = totals.add(0, half, &second);
        assert_eq!(point.rate(), 2000.0);
        assert_eq!((point.count, point.errors, totals.all.len()), (1000, 1, 1000));
        assert!(point.p50.abs_diff(500_000_000) < 1_000_000, "{}", point.p50);
        assert_eq!(totals.classes.len(), 2);
        recorder.record_error("LAGGED further");
        let of = ErrorCount { count: 2, example: "LAGGED too far".to_owned() };
        assert_eq!(recorder.errors.0.get("LAGGED"), Some(&of));
        assert!(recorder.take(1, SECOND).latencies.is_empty());
    }
}
