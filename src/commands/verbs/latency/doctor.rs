//! LATENCY DOCTOR: what has taken long, and what to do about it.

use crate::base::time::WallMs;
use crate::config::{Config, Fsync};
use crate::metrics::latency_events::{EventSamples, LatencyEvent};
use std::fmt::Write;

/// What is to be said of these events, under these settings.
pub fn report(events: &[EventSamples], settings: &Config, now: WallMs) -> String {
    if events.is_empty() {
        return match settings.server.latency_monitor_ms {
            0 => "Nothing is looked at: latency-monitor-threshold is 0. CONFIG SET \
                  latency-monitor-threshold says how many milliseconds are long.\n"
                .to_owned(),
            ms => format!("Nothing has taken {ms} ms since the last reset.\n"),
        };
    }
    let mut text = "What has taken long, by event:\n\n".to_owned();
    for (at, of) in events.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", at + 1, Summary::of(of, now.0 / 1000));
    }
    let mut advice: Vec<String> = Vec::new();
    for of in events {
        for one in advice_on(of.event, settings) {
            if !advice.contains(&one) {
                advice.push(one);
            }
        }
    }
    text.push_str("\nWhat may help:\n\n");
    advice.iter().for_each(|it| {
        let _ = writeln!(text, "- {it}");
    });
    text
}

/// What the samples of one event come to.
struct Summary {
    event: &'static str,
    count: u64,
    average_ms: u64,
    /// The mean of how far they are from their average.
    deviation_ms: u64,
    /// Seconds from the first of them to now, for each of them.
    period_s: f64,
    max_ms: u64,
}

impl Summary {
    fn of(of: &EventSamples, now_s: u64) -> Summary {
        let count = of.samples.len().max(1) as u64;
        let times = || of.samples.iter().map(|it| it.took_ms);
        let average_ms = times().sum::<u64>() / count;
        let deviation_ms = times().map(|it| it.abs_diff(average_ms)).sum::<u64>() / count;
        let first_s = of.samples.front().map_or(now_s, |it| it.at_s);
        let period_s = now_s.saturating_sub(first_s).max(1) as f64 / count as f64;
        let (event, max_ms) = (of.event.as_str(), of.max_ms);
        Summary { event, count, average_ms, deviation_ms, period_s, max_ms }
    }
}

/// With the words that programs look for in Redis' report.
impl std::fmt::Display for Summary {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { event, count, average_ms, deviation_ms, period_s, max_ms } = self;
        write!(
            to,
            "{event}: {count} latency spikes (average {average_ms}ms, mean deviation \
             {deviation_ms}ms, period {period_s:.2} sec). Worst all time event {max_ms}ms."
        )
    }
}

fn advice_on(event: LatencyEvent, settings: &Config) -> Vec<String> {
    let say = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    match event {
        LatencyEvent::Command => {
            let mut advice = say(&[
                "SLOWLOG GET has the slow commands with their arguments, and LATENCY HISTOGRAM \
                 what each takes.",
                "What touches many elements is served on threads of its own and keeps nobody else \
                 waiting, but its client: ask for parts (SCAN, HSCAN, SSCAN, ZSCAN, LIMIT).",
            ]);
            let slower_than_us = settings.server.slowlog_slower_than_us;
            let threshold_us = (settings.server.latency_monitor_ms as u64).saturating_mul(1000);
            if u64::try_from(slower_than_us).map_or(true, |it| threshold_us < it) {
                advice.push(format!(
                    "The slow log does not have all of these: CONFIG SET slowlog-log-slower-than \
                     {threshold_us}."
                ));
            }
            advice
        }
        LatencyEvent::FastCommand => say(&[
            "Commands that are quick by nature took long, so threads have waited for a processor: \
             look at the machine's load, for neighbours on the same host, and whether `threads` is \
             more than there are cores.",
        ]),
        LatencyEvent::Fork => say(&[
            "Members were held while a snapshot began, since a replica had much to apply first: \
             look at PROXY NODES for replicas that lag.",
        ]),
        LatencyEvent::AofWrite
        | LatencyEvent::AofWriteAlone
        | LatencyEvent::AofWriteActiveChild
        | LatencyEvent::AofRename => say(&[
            "The disk was slow: look for other programs that write to it, and prefer a local disk \
             for `dir`. While it is slow a thread writes what workers else would, so that replies \
             do not wait.",
        ]),
        LatencyEvent::AofFsyncAlways if settings.set.disk.fsync == Fsync::Always => say(&[
            "Replies to writes wait for the disk: appendfsync is `always`. With `everysec` a crash \
             of the machine may lose the last second.",
        ]),
        LatencyEvent::AofFsyncAlways => say(&["appendfsync is no longer `always`."]),
        LatencyEvent::ExpireCycle => say(&[
            "Many keys expired at once: let them do so at different times, or look for them more \
             often, and for fewer each time, by a higher `hz`.",
        ]),
        LatencyEvent::EvictionCycle => say(&[
            "Many keys were evicted at once: look for commands that store large values, give more \
             `maxmemory`, or let one write evict for a shorter time by a lower \
             `maxmemory-eviction-tenacity`.",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::latency_events::LatencySample;

    fn events(event: LatencyEvent) -> Vec<EventSamples> {
        let samples = [(100, 310), (101, 50), (102, 200), (103, 100), (104, 5)];
        let sample = |it: (u64, u64)| LatencySample { at_s: it.0, took_ms: it.1 };
        vec![EventSamples { event, samples: samples.map(sample).into(), max_ms: 310 }]
    }

    /// The numbers of redis-server 7.0.15 for the same samples.
    #[test]
    fn samples_come_to_what_redis_says_of_them() {
        let line = "command: 5 latency spikes (average 133ms, mean deviation 97ms, period 0.80 \
                    sec). Worst all time event 310ms.";
        assert_eq!(Summary::of(&events(LatencyEvent::Command)[0], 104).to_string(), line);
    }

    #[test]
    fn every_event_has_advice_and_none_is_given_twice() {
        let all: Vec<_> = LatencyEvent::ALL.into_iter().flat_map(events).collect();
        let told = report(&all, &Config::default(), WallMs(104_000));
        for event in LatencyEvent::ALL {
            assert!(told.contains(&format!(". {}: 5 latency spikes", event.as_str())), "{told}");
            assert!(!advice_on(event, &Config::default()).is_empty());
        }
        let advice: Vec<&str> = told.lines().filter(|it| it.starts_with("- ")).collect();
        let mut once = advice.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), advice.len());
    }

    #[test]
    fn it_is_told_when_nothing_is_looked_at_and_what_the_slow_log_lacks() {
        let mut settings = Config::default();
        assert!(report(&[], &settings, WallMs(1)).contains("latency-monitor-threshold is 0"));
        settings.server.latency_monitor_ms = 100;
        assert!(report(&[], &settings, WallMs(1)).starts_with("Nothing has taken 100 ms"));
        let lacks = |settings: &Config| {
            report(&events(LatencyEvent::Command), settings, WallMs(104_000))
                .contains("does not have all")
        };
        assert!(!lacks(&settings), "it has what takes 10 ms");
        settings.server.latency_monitor_ms = 5;
        assert!(lacks(&settings));
        settings.server.slowlog_slower_than_us = -1;
        settings.server.latency_monitor_ms = 100;
        assert!(lacks(&settings));
    }
}
