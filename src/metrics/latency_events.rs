//! The latency monitor: what has taken long lately, event by event, as LATENCY tells it.

use crate::base::time::WallMs;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Samples that are kept of one event: Redis' `LATENCY_TS_LEN`.
pub const SAMPLES_MAX: usize = 160;

/// What may take long. Redis' names, of what there is here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LatencyEvent {
    /// A command whose time depends on its arguments.
    Command,
    /// One that is quick by nature.
    FastCommand,
    /// The members are held while a snapshot begins: what is a fork in Redis.
    Fork,
    /// The append-only file is written.
    AofWrite,
    /// The same, while no snapshot is written.
    AofWriteAlone,
    /// The same, while one is.
    AofWriteActiveChild,
    /// The append-only file is synced, and replies wait for that.
    AofFsyncAlways,
    /// A rewrite takes the place of the parts before it.
    AofRename,
    /// The master is held while what has expired is deleted.
    ExpireCycle,
    /// The master is held while keys are evicted.
    EvictionCycle,
}

impl LatencyEvent {
    /// All of them.
    pub const ALL: [LatencyEvent; 10] = [
        LatencyEvent::Command,
        LatencyEvent::FastCommand,
        LatencyEvent::Fork,
        LatencyEvent::AofWrite,
        LatencyEvent::AofWriteAlone,
        LatencyEvent::AofWriteActiveChild,
        LatencyEvent::AofFsyncAlways,
        LatencyEvent::AofRename,
        LatencyEvent::ExpireCycle,
        LatencyEvent::EvictionCycle,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            LatencyEvent::Command => "command",
            LatencyEvent::FastCommand => "fast-command",
            LatencyEvent::Fork => "fork",
            LatencyEvent::AofWrite => "aof-write",
            LatencyEvent::AofWriteAlone => "aof-write-alone",
            LatencyEvent::AofWriteActiveChild => "aof-write-active-child",
            LatencyEvent::AofFsyncAlways => "aof-fsync-always",
            LatencyEvent::AofRename => "aof-rename",
            LatencyEvent::ExpireCycle => "expire-cycle",
            LatencyEvent::EvictionCycle => "eviction-cycle",
        }
    }

    /// The event of this name.
    pub fn named(name: &[u8]) -> Option<LatencyEvent> {
        LatencyEvent::ALL.into_iter().find(|it| it.as_str().as_bytes() == name)
    }
}

/// The longest of one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LatencySample {
    /// When it ended, in seconds of the wall clock.
    pub at_s: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// What is known of one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventSamples {
    /// Which one.
    pub event: LatencyEvent,
    /// The last ones, the oldest first, one for each second that had any. There is at least one.
    pub samples: VecDeque<LatencySample>,
    /// The longest since the last reset.
    pub max_ms: u64,
}

impl EventSamples {
    fn add(&mut self, sample: LatencySample) {
        self.max_ms = self.max_ms.max(sample.took_ms);
        if let Some(last) = self.samples.back_mut().filter(|it| it.at_s == sample.at_s) {
            last.took_ms = last.took_ms.max(sample.took_ms);
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// What has taken long since the last reset. While its threshold is 0, what it costs is one look at
/// that.
#[derive(Default)]
pub struct LatencyMonitor {
    threshold_ms: AtomicU64,
    events: Mutex<Vec<EventSamples>>,
}

impl LatencyMonitor {
    /// From here on what takes so long is a sample; 0 is nothing. What there is stays.
    pub fn set_threshold(&self, ms: u64) {
        self.threshold_ms.store(ms, Relaxed);
    }

    /// Whether anything is looked at.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.threshold_ms.load(Relaxed) != 0
    }

    /// Whether this would be a sample.
    #[inline]
    pub fn is_slow(&self, took_us: u64) -> bool {
        let threshold_ms = self.threshold_ms.load(Relaxed);
        threshold_ms != 0 && threshold_ms <= took_us / 1000
    }

    /// Notes what took so long, if that is long, and ended at this time.
    #[inline]
    pub fn note(&self, event: LatencyEvent, took_us: u64, at: WallMs) {
        if self.is_slow(took_us) {
            self.add(event, LatencySample { at_s: at.0 / 1000, took_ms: took_us / 1000 });
        }
    }

    #[cold]
    fn add(&self, event: LatencyEvent, sample: LatencySample) {
        let mut events = self.events.lock();
        match events.binary_search_by_key(&event, |it| it.event) {
            Ok(at) => events[at].add(sample),
            Err(at) => {
                let (samples, max_ms) = (VecDeque::from([sample]), sample.took_ms);
                events.insert(at, EventSamples { event, samples, max_ms });
            }
        }
    }

    /// All events that have samples.
    pub fn all(&self) -> Vec<EventSamples> {
        self.events.lock().clone()
    }

    /// What is known of one event, if it has samples.
    pub fn of(&self, event: LatencyEvent) -> Option<EventSamples> {
        self.events.lock().iter().find(|it| it.event == event).cloned()
    }

    /// Forgets all that `is_meant`. Answers how many events those were.
    pub fn reset(&self, is_meant: impl Fn(LatencyEvent) -> bool) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        events.retain(|it| !is_meant(it.event));
        before - events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn monitor(threshold_ms: u64) -> LatencyMonitor {
        let monitor = LatencyMonitor::default();
        monitor.set_threshold(threshold_ms);
        monitor
    }

    fn samples(monitor: &LatencyMonitor, event: LatencyEvent) -> Vec<(u64, u64)> {
        let of = monitor.of(event);
        of.iter().flat_map(|it| &it.samples).map(|it| (it.at_s, it.took_ms)).collect()
    }

    #[test]
    fn only_what_takes_as_long_as_the_threshold_is_a_sample() {
        let off = monitor(0);
        off.note(LatencyEvent::Fork, u64::MAX, WallMs(1000));
        assert!(off.all().is_empty() && !off.is_on());
        let on = monitor(2);
        on.note(LatencyEvent::Fork, 1999, WallMs(1000));
        assert!(on.all().is_empty());
        on.note(LatencyEvent::Fork, 2000, WallMs(1000));
        assert_eq!(samples(&on, LatencyEvent::Fork), [(1, 2)]);
        on.set_threshold(0);
        on.note(LatencyEvent::Fork, 9000, WallMs(2000));
        assert_eq!(samples(&on, LatencyEvent::Fork), [(1, 2)], "what there is stays");
    }

    #[test]
    fn a_reset_forgets_what_it_names() {
        let monitor = monitor(1);
        for event in [LatencyEvent::Fork, LatencyEvent::Command, LatencyEvent::ExpireCycle] {
            monitor.note(event, 5000, WallMs(1000));
        }
        assert_eq!(monitor.reset(|it| it == LatencyEvent::AofWrite), 0);
        assert_eq!(monitor.reset(|it| it == LatencyEvent::Fork), 1);
        let left: Vec<_> = monitor.all().iter().map(|it| it.event).collect();
        assert_eq!(left, [LatencyEvent::Command, LatencyEvent::ExpireCycle]);
        assert_eq!(monitor.reset(|_| true), 2);
        assert!(monitor.all().is_empty());
    }

    #[test]
    fn each_event_is_found_by_its_name_alone() {
        for event in LatencyEvent::ALL {
            assert_eq!(LatencyEvent::named(event.as_str().as_bytes()), Some(event));
        }
        assert_eq!(LatencyEvent::named(b"Command"), None);
        assert!(LatencyEvent::ALL.is_sorted());
    }

    proptest! {
        /// The longest of each second, the last seconds only, and the longest of all.
        #[test]
        fn a_second_has_one_sample_and_an_event_a_bounded_number(
            notes in prop::collection::vec((0u64..3, 1u64..900), 1..600)
        ) {
            let monitor = monitor(1);
            let (mut at_s, mut expected) = (0, Vec::<(u64, u64)>::new());
            for (passed, took_ms) in &notes {
                at_s += passed;
                monitor.note(LatencyEvent::Command, took_ms * 1000 + 999, WallMs(at_s * 1000));
                match expected.last_mut().filter(|it| it.0 == at_s) {
                    Some(last) => last.1 = last.1.max(*took_ms),
                    None => expected.push((at_s, *took_ms)),
                }
            }
            let from = expected.len().saturating_sub(SAMPLES_MAX);
            prop_assert_eq!(samples(&monitor, LatencyEvent::Command), &expected[from..]);
            let max_ms = monitor.of(LatencyEvent::Command).map(|it| it.max_ms);
            prop_assert_eq!(max_ms, notes.iter().map(|it| it.1).max());
        }
    }
}
