//! LATENCY GRAPH: the samples of an event as columns of text, drawn as Redis draws them.

use crate::base::time::WallMs;
use crate::metrics::latency_events::{EventSamples, LatencySample};

/// Columns of one drawing; more samples are drawn below it.
const COLUMNS: usize = 80;
/// Lines of one drawing.
const LINES: usize = 4;
/// What stands at the top of a column: from low to high within its line.
const TOPS: [char; 3] = ['_', 'o', '#'];
const FILLED: char = '|';

/// The samples of an event, with how long ago they were below.
pub fn graph(of: &EventSamples, now: WallMs) -> String {
    let now_s = now.0 / 1000;
    let times = || of.samples.iter().map(|it| it.took_ms);
    let (low, high) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let (name, most) = (of.event.as_str(), of.max_ms);
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {most} ms)\n");
    text.push_str(&"-".repeat(COLUMNS));
    text.push('\n');
    let samples: Vec<LatencySample> = of.samples.iter().copied().collect();
    for (at, part) in samples.chunks(COLUMNS).enumerate() {
        if at != 0 {
            text.push('\n');
        }
        draw(&mut text, part, low, high, now_s);
    }
    text
}

fn draw(text: &mut String, part: &[LatencySample], low: u64, high: u64, now_s: u64) {
    let steps = TOPS.len() * LINES;
    let range = (high - low).max(1);
    let height = |it: &LatencySample| {
        let step = (it.took_ms - low) as u128 * steps as u128 / u128::from(range);
        (step as usize).min(steps - 1)
    };
    for line in (0..LINES).rev() {
        let top = |it: &LatencySample| match height(it).checked_sub(line * TOPS.len()) {
            None => ' ',
            Some(above) => TOPS.get(above).copied().unwrap_or(FILLED),
        };
        text.extend(part.iter().map(top));
        text.push('\n');
    }
    text.push_str(&" ".repeat(part.len()));
    text.push('\n');
    let ages: Vec<String> = part.iter().map(|it| age(now_s.saturating_sub(it.at_s))).collect();
    let longest = ages.iter().map(String::len).max().unwrap_or(0);
    for line in 0..longest {
        text.extend(ages.iter().map(|it| it.chars().nth(line).unwrap_or(' ')));
        text.push('\n');
    }
}

/// So many seconds, in the largest unit that fits.
fn age(seconds: u64) -> String {
    const UNITS: [(u64, char); 3] = [(60, 's'), (3600, 'm'), (86_400, 'h')];
    let mut unit_s = 1;
    for (next_s, letter) in UNITS {
        if seconds < next_s {
            return format!("{}{letter}", seconds / unit_s);
        }
        unit_s = next_s;
    }
    format!("{}d", seconds / unit_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::latency_events::LatencyEvent;

    /// Of samples that are so many seconds old, and took so many milliseconds.
    fn drawn(samples: &[(u64, u64)], max_ms: u64) -> String {
        let sample = |it: &(u64, u64)| LatencySample { at_s: 1_000_000 - it.0, took_ms: it.1 };
        let samples = samples.iter().map(sample).collect();
        graph(
            &EventSamples { event: LatencyEvent::Command, samples, max_ms },
            WallMs(1_000_000_999),
        )
    }

    /// As redis-server 7.0.15 has drawn the same.
    #[test]
    fn a_graph_is_drawn_as_redis_draws_it() {
        let head = "command - high 310 ms, low 5 ms (all time high 310 ms)\n";
        let line = format!("{}\n", "-".repeat(80));
        let body = "#    \n| o  \n| |_ \n|o||_\n     \n43210\nsssss\n";
        let samples = [(4, 310), (3, 50), (2, 200), (1, 100), (0, 5)];
        assert_eq!(drawn(&samples, 310), format!("{head}{line}{body}"));
    }

    #[test]
    fn one_sample_is_as_low_as_can_be() {
        let told = drawn(&[(59, 7)], 9);
        assert!(told.starts_with("command - high 7 ms, low 7 ms (all time high 9 ms)\n"), "{told}");
        assert!(told.ends_with("-\n \n \n \n_\n \n5\n9\ns\n"), "{told}");
    }

    #[test]
    fn ages_have_the_largest_unit_that_fits() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400, 8_640_000].map(age);
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "23h", "1d", "100d"]);
    }

    #[test]
    fn more_than_fit_are_drawn_below() {
        let samples: Vec<(u64, u64)> = (0..100).map(|it| (100 - it, it)).collect();
        let told = drawn(&samples, 99);
        let lines: Vec<&str> = told.lines().collect();
        // A head of two, then four of columns, an empty one and ages up to `100s`; again behind an
        // empty one.
        let (first, second) = (&lines[2..10], &lines[11..]);
        assert!(lines[10].is_empty());
        assert!(first[..5].iter().all(|it| it.len() == 80));
        assert!(second.iter().all(|it| it.len() == 20));
        assert_eq!(second.len(), 4 + 1 + 3);
    }
}
