//! Metrics as Prometheus reads them: its text format, with histograms of fixed buckets.

use crate::metrics::distribution::Distribution;
use std::fmt::{Display, Write};

/// What kind of metric it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It only grows, until CONFIG RESETSTAT or a restart.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often which value occurred.
    Histogram,
}

impl Kind {
    /// Prometheus' word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric. Its unit is in its name: seconds, bytes, or nothing for a plain number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
}

/// What the values of a distribution count, and the upper edges of its buckets in that.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    edges: &'static [u64],
    /// What is counted per second, or per byte.
    per_unit: f64,
}

/// Edges of times in nanoseconds: 1 µs to 10 s.
const NANOS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Edges of times in microseconds: 10 µs to 10 s, and none at all.
const MICROS: &[u64] = &[
    0, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Edges of distances: nothing to 1 GB.
const BYTES: &[u64] = &[
    0,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
    1 << 30,
];

impl Scale {
    /// Nanoseconds, told in seconds.
    pub const NANOS: Scale = Scale { edges: NANOS, per_unit: 1e9 };
    /// Microseconds, told in seconds.
    pub const MICROS: Scale = Scale { edges: MICROS, per_unit: 1e6 };
    /// Bytes.
    pub const BYTES: Scale = Scale { edges: BYTES, per_unit: 1.0 };
}

/// The text as it grows.
#[derive(Default)]
pub struct Exposition(String);

/// What is told of one metric.
pub struct Samples<'t> {
    text: &'t mut String,
    metric: Metric,
}

impl Exposition {
    /// All of it.
    pub fn into_text(self) -> String {
        self.0
    }

    /// A metric, with the samples that `tell` gives. One without samples is not told of.
    pub fn metric(&mut self, metric: Metric, tell: impl FnOnce(&mut Samples<'_>)) {
        let mark = self.0.len();
        let Metric { name, kind, help, .. } = metric;
        let kind = kind.as_str();
        push(&mut self.0, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        let head = self.0.len();
        tell(&mut Samples { text: &mut self.0, metric });
        if self.0.len() == head {
            self.0.truncate(mark);
        }
    }
}

impl Samples<'_> {
    /// A value under the values of its labels, in their order.
    pub fn value(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Yes or no, as 1 or 0.
    pub fn switch(&mut self, labels: &[&str], is: bool) {
        self.value(labels, u8::from(is));
    }

    /// A distribution: how many values lie at or below each edge, as exactly as it tells them
    /// apart, then their sum and their count.
    pub fn histogram(&mut self, labels: &[&str], of: &Distribution, scale: Scale) {
        let mut buckets = of.buckets().peekable();
        let mut passed = 0;
        for edge in scale.edges {
            while let Some((_, count)) = buckets.next_if(|it| it.0 <= *edge) {
                passed += count;
            }
            let edge = (*edge as f64 / scale.per_unit).to_string();
            self.line("_bucket", labels, Some(&edge), passed);
        }
        self.line("_bucket", labels, Some("+Inf"), of.count());
        self.line("_sum", labels, None, of.sum() as f64 / scale.per_unit);
        self.line("_count", labels, None, of.count());
    }

    fn line(&mut self, suffix: &str, labels: &[&str], edge: Option<&str>, value: impl Display) {
        let names = self.metric.labels;
        assert_eq!(names.len(), labels.len(), "{} has labels {names:?}", self.metric.name);
        push(self.text, format_args!("{}{suffix}", self.metric.name));
        let edge = edge.map(|it| ("le", it));
        let mut mark = '{';
        for (name, value) in names.iter().copied().zip(labels.iter().copied()).chain(edge) {
            push(self.text, format_args!("{mark}{name}=\"{}\"", Escaped(value)));
            mark = ',';
        }
        let end = if mark == ',' { "}" } else { "" };
        push(self.text, format_args!("{end} {value}\n"));
    }
}

/// The value of a label.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|it| match it {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            it => f.write_char(it),
        })
    }
}

fn push(text: &mut String, it: std::fmt::Arguments<'_>) {
    text.write_fmt(it).expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Metric =
        Metric { name: "wait_seconds", kind: Kind::Histogram, labels: &["route"], help: "Waits." };

    fn told(metric: Metric, tell: impl FnOnce(&mut Samples<'_>)) -> Vec<String> {
        let mut text = Exposition::default();
        text.metric(metric, tell);
        text.into_text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_histogram_counts_up_to_each_edge() {
        let mut waits = Distribution::default();
        [0, 10, 11, 30_000_000].iter().for_each(|it| waits.record(*it, 1));
        let lines = told(WAIT, |it| it.histogram(&["a\"b\\c\n"], &waits, Scale::MICROS));
        let label = "route=\"a\\\"b\\\\c\\n\"";
        assert_eq!(lines[..2], ["# HELP wait_seconds Waits.", "# TYPE wait_seconds histogram"]);
        let bucket =
            |edge: &str, count| format!("wait_seconds_bucket{{{label},le=\"{edge}\"}} {count}");
        assert_eq!(lines[2..5], [bucket("0", 1), bucket("0.00001", 2), bucket("0.000025", 3)]);
        let end = [
            bucket("10", 3),
            bucket("+Inf", 4),
            format!("wait_seconds_sum{{{label}}} 30.000021"),
            format!("wait_seconds_count{{{label}}} 4"),
        ];
        assert_eq!(lines[lines.len() - 4..], end);
    }

    #[test]
    fn a_metric_without_samples_is_not_told_of() {
        assert!(told(WAIT, |_| {}).is_empty());
        let plain = Metric { name: "up", kind: Kind::Gauge, labels: &[], help: "Up." };
        assert_eq!(told(plain, |it| it.switch(&[], true)).last().unwrap(), "up 1");
    }

    #[test]
    fn edges_ascend() {
        for scale in [Scale::NANOS, Scale::MICROS, Scale::BYTES] {
            assert!(scale.edges.is_sorted_by(|one, other| one < other));
        }
    }
}
