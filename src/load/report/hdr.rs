//! Latencies of each second as a HdrHistogram V2 log, which its tools read.

use crate::load::measure::Second;
use crate::load::scenario::Scenario;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::time::Duration;

/// The log as it grows.
pub struct Log {
    is_kept: bool,
    bytes: Vec<u8>,
}

impl Log {
    /// Empty; nothing is added where it is not kept.
    pub fn new(is_kept: bool) -> Log {
        Log { is_kept, bytes: Vec::new() }
    }

    /// Adds one second, which was so long: a histogram for each command of each thread and target,
    /// tagged with them.
    pub fn add(&mut self, number: u32, length: Duration, seconds: &[Second], scenario: &Scenario) {
        if !self.is_kept {
            return;
        }
        let mut builder = IntervalLogWriterBuilder::new();
        builder.with_max_value_divisor(1e6);
        let is_first = self.bytes.is_empty();
        let mut lines = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        // Bytes in memory take all that is written, and the tags hold no character that is refused.
        let Ok(mut writer) = builder.begin_log_with(&mut lines, &mut serializer) else { return };
        let begin = Duration::from_secs(u64::from(number));
        for (class, histogram) in seconds.iter().flat_map(|it| &it.latencies) {
            let command = scenario.commands.get(usize::from(class.command));
            let name = command.map_or("WAIT", |it| &it.name);
            let tag = format!("{name}@{}", class.target);
            let _ = writer.write_histogram(histogram, begin, length, Tag::new(&tag));
        }
        drop(writer);
        // Each writer begins with a head; only the first is one of the log.
        let text = String::from_utf8_lossy(&lines).into_owned();
        let is_head = |it: &&str| it.starts_with('#') || it.starts_with("\"StartTimestamp");
        text.lines().filter(|it| is_first || !is_head(it)).for_each(|it| {
            self.bytes.extend_from_slice(it.as_bytes());
            self.bytes.push(b'\n');
        });
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::measure::{Class, Recorder};
    use crate::load::settings::Settings;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn what_is_written_can_be_read() {
        let scenario = Scenario::new(Settings::default()).unwrap();
        let (mut log, mut recorder) = (Log::new(true), Recorder::new(2, 1));
        let half = Duration::from_millis(500);
        for second in 0..3 {
            recorder.record(Class { command: 0, target: 0 }, 1_000_000);
            log.add(second, half, &[recorder.take(second, half)], &scenario);
        }
        let bytes = log.into_bytes();
        let all: Result<Vec<_>, _> = IntervalLogIterator::new(&bytes).collect();
        let is_interval = |it: &&LogEntry<'_>| matches!(it, LogEntry::Interval(_));
        assert_eq!(all.unwrap().iter().filter(is_interval).count(), 3);
    }
}
