//! What is shown while a run goes on: a line per second.

use super::measure::Point;
use super::members::Lag;
use super::scenario::Scenario;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Writes to stderr, so that stdout holds nothing but results: a bar on a terminal, else lines.
pub struct Progress {
    is_quiet: bool,
    bar: Option<ProgressBar>,
    label: String,
    lag: Option<Lag>,
}

impl Progress {
    /// With a line per second, or without any.
    pub fn new(is_quiet: bool) -> Progress {
        let bar = (!is_quiet && std::io::stderr().is_terminal()).then(bar);
        Progress { is_quiet, bar, label: String::new(), lag: None }
    }

    /// What comes from now on is of this target.
    pub fn label(&mut self, label: &str) {
        self.label = format!("{label} ");
    }

    /// The replica that is furthest behind.
    pub fn lag(&mut self, lag: Option<Lag>) {
        self.lag = lag;
    }

    /// The measured part begins.
    pub fn begin(&mut self, scenario: &Scenario) {
        if let Some(bar) = &self.bar {
            bar.reset();
            let seconds = if scenario.is_timeless { 1 } else { scenario.duration().as_secs() };
            bar.set_length(seconds.max(1));
        }
        if !self.is_quiet && self.label.is_empty() {
            let Scenario { name, connections, depth, .. } = scenario;
            let target = scenario.targets.join(", reads from ");
            self.line(&format!("{name} at {target}: {connections} connections, depth {depth}"));
        }
    }

    /// A second has passed.
    pub fn show(&mut self, point: &Point, scenario: &Scenario) {
        if self.is_quiet {
            return;
        }
        let lag = match &self.lag {
            Some(Lag { member, us: Some(us), .. }) => {
                format!("  lag {} {member}", milliseconds(us * 1_000))
            }
            Some(Lag { member, bytes, .. }) => format!("  lag {bytes} bytes {member}"),
            None => String::new(),
        };
        let text = format!(
            "{:>9.0}/s  p50 {:>9}  p99 {:>9}  p99.9 {:>9}  errors {}{lag}{}",
            point.rate(),
            milliseconds(point.p50),
            milliseconds(point.p99),
            milliseconds(point.p999),
            point.errors,
            phase_at(scenario, point.second),
        );
        match &self.bar {
            Some(bar) => {
                if scenario.is_timeless {
                    bar.set_length(u64::from(point.second) + 1);
                }
                bar.set_position(u64::from(point.second) + 1);
                bar.set_message(format!("{}{text}", self.label));
            }
            None => self.line(&format!("{}{:>4} s {text}", self.label, point.second + 1)),
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }

    fn line(&self, text: &str) {
        if let Some(bar) = &self.bar {
            return bar.println(text);
        }
        // Whoever does not read it does not miss it.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Seconds of all, and what the last was like.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:20} {pos:>3}/{len} s {msg}");
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The name of the phase of a second, if there are several.
fn phase_at(scenario: &Scenario, second: u32) -> String {
    if scenario.phases.len() < 2 {
        return String::new();
    }
    let mut end = 0.0;
    for phase in &scenario.phases {
        end += phase.time.as_secs_f64();
        if f64::from(second) < end {
            return format!("  {}", phase.name);
        }
    }
    String::new()
}

/// Nanoseconds as milliseconds.
pub fn milliseconds(ns: u64) -> String {
    format!("{:.3} ms", ns as f64 / 1e6)
}
