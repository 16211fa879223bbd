//! Two targets loaded in turns, and whether they differ beyond noise.

use super::gathered::Gathered;
use super::outcome::Outcome;
use super::run::{Watch, run};
use super::scenario::{Scenario, check_address};
use super::settings::Settings;
use hdrhistogram::Histogram;
use std::fmt::Write;
use std::time::Duration;

/// Slices of each target.
const SLICES: usize = 8;
/// Of Student's distribution with one less than so many degrees of freedom, two-sided, 95 %.
const STUDENT: f64 = 2.365;
const WARMUP: &str = "200ms";
/// A slice is not shorter.
const SLICE_MIN: Duration = Duration::from_millis(100);

/// Target and other, measured in turns.
pub struct Comparison {
    /// What the target was compared with.
    pub other: String,
    /// What differs, by how much.
    pub rows: Vec<Row>,
    /// All latencies of the other.
    pub other_all: Histogram<u64>,
    /// How long the other was loaded.
    pub other_seconds: f64,
}

/// Target over other, in one respect.
pub struct Row {
    /// In which.
    pub what: &'static str,
    /// The mean over all pairs of slices.
    pub ratio: f64,
    /// Where it lies with 95 % confidence, at least.
    pub from: f64,
    /// At most.
    pub to: f64,
}

impl Row {
    /// Whether it is more than noise.
    pub fn differs(&self) -> bool {
        1.0 < self.from || self.to < 1.0
    }
}

/// Loads both in turns: target, other, other, target and so on. Answers what all slices of the
/// target have come to, one behind the other, and how the two compare.
pub fn compare(
    settings: &Settings,
    other: &str,
    watch: Watch<'_>,
) -> Result<(Scenario, Outcome, Comparison), String> {
    let mut addresses = other.split(',').map(str::to_owned);
    let other = addresses.next().unwrap_or_default();
    check_address(&other).map_err(|it| format!("compare: {it}"))?;
    let read_from: Vec<String> = addresses.collect();
    let whole = Scenario::new(settings.clone())?;
    let ours = sliced(&whole, settings.clone())?;
    let target = Some(other.clone());
    let theirs = Settings { target, read_from, ..settings.clone() };
    let mut both = [ours, sliced(&whole, theirs)?];
    let mut seen: [Vec<[f64; 3]>; 2] = [Vec::new(), Vec::new()];
    let mut gathered = [Gathered::new(&both[0], watch.keeps_hdr), Gathered::new(&both[1], false)];
    for turn in 0..SLICES {
        // Who is first changes, so that a drift of the machine hits both alike.
        for at in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            watch.progress.label(&both[at].targets[0]);
            let slice = Watch {
                progress: &mut *watch.progress,
                keeps_hdr: false,
                interrupt: watch.interrupt,
                gathered: Some(&mut gathered[at]),
            };
            let outcome = run(&both[at], slice)?;
            if watch.interrupt.is_asked() {
                return Err("compare: interrupted".to_owned());
            }
            let seconds = outcome.time.as_secs_f64();
            let all = &outcome.totals.all;
            let quantile = |it: f64| all.value_at_quantile(it).max(1) as f64;
            seen[at].push([all.len().max(1) as f64 / seconds, quantile(0.5), quantile(0.99)]);
            gathered[at].end_slice(&both[at], outcome);
        }
    }
    let rows = ["requests per second", "p50 latency", "p99 latency"].into_iter().enumerate();
    let rows = rows.map(|(at, what)| {
        let pairs = seen[0].iter().zip(&seen[1]);
        row(what, &pairs.map(|(a, b)| (a[at] / b[at]).ln()).collect::<Vec<_>>())
    });
    let rows = rows.collect();
    let [ours, theirs] = gathered;
    let (outcome, theirs) = (ours.finish(&both[0]), theirs.finish(&both[1]));
    let outcome = outcome.ok_or("compare: nothing was measured")?;
    let theirs = theirs.ok_or("compare: nothing was measured")?;
    let comparison = Comparison {
        other,
        rows,
        other_all: theirs.totals.all,
        other_seconds: theirs.time.as_secs_f64(),
    };
    // As the plots have it: all slices, one behind the other.
    let [scenario, _] = &mut both;
    scenario.phases = (0..SLICES).flat_map(|_| scenario.phases.clone()).collect();
    scenario.settings = whole.settings;
    let [scenario, _] = both;
    Ok((scenario, outcome, comparison))
}

/// The scenario of one slice: each phase of the whole, that much shorter.
fn sliced(whole: &Scenario, settings: Settings) -> Result<Scenario, String> {
    let warmup = Some(WARMUP.to_owned());
    let mut slice = Scenario::new(Settings { warmup, ..settings })?;
    let stretch = SLICE_MIN.as_secs_f64() * (2 * SLICES) as f64 / whole.duration().as_secs_f64();
    let share = stretch.max(1.0) / (2 * SLICES) as f64;
    slice.phases.iter_mut().for_each(|it| it.time = it.time.mul_f64(share));
    slice.faults.iter_mut().for_each(|it| it.at = it.at.mul_f64(share));
    Ok(slice)
}

/// The mean ratio of pairs, given as logarithms, and its spread.
fn row(what: &'static str, logs: &[f64]) -> Row {
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let spread = STUDENT * (variance / count).sqrt();
    Row { what, ratio: mean.exp(), from: (mean - spread).exp(), to: (mean + spread).exp() }
}

/// The comparison, for people.
pub fn table(target: &str, comparison: &Comparison) -> String {
    let mut out = format!("\n{target} over {}, {SLICES} pairs of slices:\n", comparison.other);
    for it in &comparison.rows {
        let noise = if it.differs() { "differs" } else { "no difference beyond noise" };
        writeln!(
            out,
            "{:<28} {:>8.3} x  ({:.3} to {:.3}, 95 %)  {noise}",
            it.what, it.ratio, it.from, it.to
        )
        .expect("a String takes all that is written");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_difference() {
        let noisy = row("x", &[0.1, -0.1, 0.08, -0.09, 0.02, -0.01, 0.05, -0.04]);
        assert!(!noisy.differs() && (0.9..1.1).contains(&noisy.ratio));
        let faster = row("x", &[0.7, 0.69, 0.71, 0.68, 0.7, 0.72, 0.66, 0.7]);
        assert!(faster.differs() && (1.9..2.1).contains(&faster.ratio));
    }
}
