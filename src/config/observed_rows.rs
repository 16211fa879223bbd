//! What of the server is observed, and what of that is kept.

use super::param::{Param, Section, live, start};
use super::slot::{Beyond, Slot, lens};

use Section::Server;

/// What of `[server]` is about times and what takes long.
pub const ROWS: &[Param] = &[
    live(
        Server,
        "slowlog-log-slower-than",
        "Microseconds that make a command slow; 0 is every command, -1 none.",
        Slot::Signed { at: lens!(server.slowlog_slower_than_us), min: -1, max: i64::MAX },
    ),
    live(
        Server,
        "slowlog-max-len",
        "Slow commands that are kept for SLOWLOG GET.",
        Slot::Count {
            at: lens!(server.slowlog_entries_max),
            min: 0,
            max: i64::MAX,
            beyond: Beyond::Refuse,
        },
    ),
    live(
        Server,
        "latency-monitor-threshold",
        "Milliseconds that make an event a sample of LATENCY; 0 is none.",
        Slot::Count {
            at: lens!(server.latency_monitor_ms),
            min: 0,
            max: i64::MAX,
            beyond: Beyond::Refuse,
        },
    ),
    start(
        Server,
        "metrics",
        "Records service times, staleness served and waits.",
        Slot::Switch(lens!(server.metrics)),
    ),
    live(
        Server,
        "latency-tracking",
        "Keeps service times per command.",
        Slot::Switch(lens!(server.latency_tracking)),
    ),
    live(
        Server,
        "latency-tracking-info-percentiles",
        "The percentiles of INFO latencystats.",
        Slot::Percentiles(lens!(server.latency_percentiles)),
    ),
];
