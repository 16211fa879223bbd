//! The stopwatch of one batch: what has been measured and not yet told.

use crate::config;

/// Below this threshold of the slow log every command has a time of its own.
const FINE_NS: u64 = 1_000_000;

/// The stopwatch of one batch.
pub struct Stopwatch {
    /// The last reading of the clock.
    pub at_ns: u64,
    /// What is slow; [`u64::MAX`] when nobody asks.
    pub slow_ns: u64,
    /// Whether the clock is read at all.
    pub is_running: bool,
    /// Whether every command is timed by itself.
    pub is_fine: bool,
    /// Commands since the last reading that share their time.
    pub run: u32,
    /// Where in the input the last of them begins.
    pub last: usize,
    /// Whether one of the next two is there.
    pub has_slow: bool,
    /// A slow run, and its last command.
    pub slow_run: Option<SlowRun>,
    /// The time of the command at hand, if it was slow.
    pub slow_one: Option<u64>,
}

/// Commands that were slow together.
pub struct SlowRun {
    /// How many.
    pub commands: u32,
    /// How long they took.
    pub took_ns: u64,
    /// Where in the input the last of them begins.
    pub last: usize,
}

impl Stopwatch {
    /// Begins at `at_ns`, and measures nothing before it is told what for.
    pub fn begin(at_ns: u64) -> Stopwatch {
        Stopwatch {
            at_ns,
            slow_ns: u64::MAX,
            is_running: false,
            is_fine: false,
            run: 0,
            last: 0,
            has_slow: false,
            slow_run: None,
            slow_one: None,
        }
    }

    /// What it measures for: the slow log and the latency monitor look at what is slow.
    pub fn measure(&mut self, settings: &config::Server) {
        let slowlog_us = u64::try_from(settings.slowlog_slower_than_us);
        let monitor_ms = Some(settings.latency_monitor_ms).filter(|it| *it != 0);
        let slowlog_ns = slowlog_us.map_or(u64::MAX, |it| it.saturating_mul(1000));
        let monitor_ns = monitor_ms.map_or(u64::MAX, |it| it.saturating_mul(1_000_000) as u64);
        self.slow_ns = slowlog_ns.min(monitor_ns);
        let with_metrics = settings.metrics;
        self.is_running = with_metrics || self.slow_ns != u64::MAX;
        self.is_fine = self.slow_ns < FINE_NS;
    }
}
