//! What is shown while a run goes on: a line per second.

use super::measure::Point;
use super::scenario::Scenario;
use std::io::{IsTerminal, Write};

/// Writes to stderr, so that stdout holds nothing but results.
pub struct Progress {
    is_quiet: bool,
    is_terminal: bool,
    label: String,
}

impl Progress {
    /// With a line per second, or without any.
    pub fn new(is_quiet: bool) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        Progress { is_quiet, is_terminal, label: String::new() }
    }

    /// What comes from now on is of this target.
    pub fn label(&mut self, label: &str) {
        self.label = format!("{label} ");
    }

    /// The measured part begins.
    pub fn begin(&mut self, scenario: &Scenario) {
        if !self.is_quiet && self.label.is_empty() {
            let Scenario { name, connections, depth, .. } = scenario;
            let target = scenario.targets.join(", reads from ");
            self.line(&format!("{name} at {target}: {connections} connections, depth {depth}"));
            if self.is_terminal {
                self.line("");
            }
        }
    }

    /// A second has passed.
    pub fn show(&mut self, point: &Point, scenario: &Scenario) {
        if self.is_quiet {
            return;
        }
        let line = format!(
            "{}{:>4} s {:>9}/s  p50 {:>9}  p99 {:>9}  p99.9 {:>9}  errors {}{}",
            self.label,
            point.second + 1,
            point.count,
            milliseconds(point.p50),
            milliseconds(point.p99),
            milliseconds(point.p999),
            point.errors,
            phase_at(scenario, point.second),
        );
        if self.is_terminal {
            // The line before it is written over.
            return self.line(&format!("\x1b[1A\x1b[2K{line}"));
        }
        self.line(&line);
    }

    fn line(&self, text: &str) {
        // Whoever does not read it does not miss it.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
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
