//! Two targets loaded in turns, and whether they differ beyond noise.

use super::gathered::Gathered;
use super::measure::Totals;
use super::outcome::Outcome;
use super::report::table::wrongs;
use super::run::{Watch, run};
use super::scenario::{Scenario, check_address};
use super::settings::Settings;
use std::fmt::Write;
use std::time::Duration;

/// Slices of each target.
const SLICES: usize = 8;
/// Of Student's distribution with 1 degree of freedom, 2 and so on, two-sided, 95 %.
const STUDENT: [f64; SLICES - 1] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365];
/// Pairs of slices that a spread needs.
const PAIRS_MIN: usize = 2;
/// Time of each side where nothing says how long it is.
const DURATION: &str = "10s";
const WARMUP: &str = "200ms";
/// A slice is not shorter.
const SLICE_MIN: Duration = Duration::from_millis(100);

/// Target and other, measured in turns.
pub struct Comparison {
    /// What the target was compared with.
    pub other: String,
    /// What differs, by how much; empty if there was nothing to compare.
    pub rows: Vec<Row>,
    /// Pairs of slices that were compared.
    pub pairs: usize,
    /// Pairs that were left out, as nothing was answered well in one slice at least.
    pub pairs_without: usize,
    /// What all slices of the other have come to.
    pub theirs: Outcome,
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
    let mut settings = settings.clone();
    if settings.phases.is_empty() && settings.count.is_some_and(|it| it != 0) {
        // Slices have a length, whatever the count.
        settings.duration.get_or_insert_with(|| DURATION.to_owned());
    }
    let whole = Scenario::new(settings.clone())?;
    let ours = sliced(&whole, settings.clone())?;
    let target = Some(other.clone());
    let theirs = Settings { target, read_from, ..settings.clone() };
    let mut both = [ours, sliced(&whole, theirs)?];
    let mut seen: [Vec<Option<[f64; 3]>>; 2] = [Vec::new(), Vec::new()];
    let mut gathered = [Gathered::new(&both[0], watch.keeps_hdr), Gathered::new(&both[1], false)];
    'turns: for turn in 0..SLICES {
        // Who is first changes, so that a drift of the machine hits both alike.
        for at in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
            watch.progress.label(&both[at].targets[0]);
            let slice = Watch {
                progress: &mut *watch.progress,
                keeps_hdr: false,
                interrupt: watch.interrupt,
                gathered: Some(&mut gathered[at]),
            };
            let outcome = run(&both[at], slice);
            if watch.interrupt.is_asked() {
                // What is not whole counts in the sums, and not among the pairs.
                outcome.into_iter().for_each(|it| gathered[at].end_broken_slice(&both[at], it));
                break 'turns;
            }
            let outcome = outcome?;
            seen[at].push(measured(&outcome));
            gathered[at].end_slice(&both[at], outcome);
        }
    }
    watch.interrupt.set_running(false);
    let slices = seen[0].len().max(1);
    let whole_pairs: Vec<_> = seen[0].iter().zip(&seen[1]).collect();
    let pairs: Vec<_> = whole_pairs.iter().filter_map(|(a, b)| a.zip(**b)).collect();
    let pairs_without = whole_pairs.len() - pairs.len();
    let rows = rows(&pairs);
    let [ours, theirs] = gathered;
    let outcome =
        ours.finish(&both[0]).ok_or("compare: interrupted before anything was measured")?;
    // Interrupted in its first slice there is nothing of the other.
    let nothing = || Outcome::of(Totals::new(both[1].commands.len()), Duration::from_micros(1));
    let theirs = theirs.finish(&both[1]).unwrap_or_else(nothing);
    let comparison = Comparison { other, rows, pairs: pairs.len(), pairs_without, theirs };
    // As the plots have it: all slices, one behind the other.
    let [scenario, _] = &mut both;
    scenario.phases = (0..slices).flat_map(|_| scenario.phases.clone()).collect();
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

/// Requests per second and latencies of a slice; `None` if nothing was answered well.
fn measured(outcome: &Outcome) -> Option<[f64; 3]> {
    let (all, due) = (&outcome.totals.all, outcome.all_due());
    let due = due.as_ref().unwrap_or(all);
    let quantile = |it: f64| due.value_at_quantile(it).max(1) as f64;
    let per_second = all.len() as f64 / outcome.time.as_secs_f64();
    (!all.is_empty()).then(|| [per_second, quantile(0.5), quantile(0.99)])
}

/// How pairs of slices compare; nothing if there are too few of them.
fn rows(pairs: &[([f64; 3], [f64; 3])]) -> Vec<Row> {
    if pairs.len() < PAIRS_MIN {
        return Vec::new();
    }
    let rows = ["requests per second", "p50 latency", "p99 latency"].into_iter().enumerate();
    let logs = |at: usize| pairs.iter().map(|(a, b)| (a[at] / b[at]).ln()).collect::<Vec<_>>();
    rows.map(|(at, what)| row(what, &logs(at))).collect()
}

/// The mean ratio of pairs, given as logarithms, and its spread.
fn row(what: &'static str, logs: &[f64]) -> Row {
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let spread = STUDENT[(logs.len() - PAIRS_MIN).min(SLICES - 2)] * (variance / count).sqrt();
    Row { what, ratio: mean.exp(), from: (mean - spread).exp(), to: (mean + spread).exp() }
}

/// The comparison, for people.
pub fn table(target: &str, comparison: &Comparison) -> String {
    let Comparison { other, rows, pairs, pairs_without, theirs } = comparison;
    let mut out = format!("\n{target} over {other}, {pairs} pairs of slices:\n");
    let mut line = |it: String| writeln!(out, "{it}").expect("a String takes all that is written");
    if rows.is_empty() {
        line("nothing to compare: that needs two pairs in which both have answered".to_owned());
    }
    for it in rows {
        let noise = if it.differs() { "differs" } else { "no difference beyond noise" };
        let Row { what, ratio, from, to } = it;
        line(format!("{what:<28} {ratio:>8.3} x  ({from:.3} to {to:.3}, 95 %)  {noise}"));
    }
    if *pairs_without != 0 {
        line(format!("{pairs_without} pairs left out: in these one has answered nothing well"));
    }
    let wrong = wrongs(theirs);
    wrong.lines().filter(|it| !it.is_empty()).for_each(|it| line(format!("{other}: {it}")));
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

    #[test]
    fn who_answers_nothing_well_is_not_compared_and_what_is_wrong_is_told() {
        let mut totals = Totals::new(1);
        totals.errors.add("OOM no room");
        let theirs = Outcome::of(totals, Duration::from_secs(1));
        assert_eq!(measured(&theirs), None);
        let pair = ([100.0, 1.0, 2.0], [50.0, 2.0, 4.0]);
        assert!(rows(&[pair]).is_empty());
        assert_eq!(rows(&[pair, pair]).len(), 3);
        let other = "h:1".to_owned();
        let none = Comparison { other, rows: Vec::new(), pairs: 0, pairs_without: 8, theirs };
        let text = table("h:0", &none);
        assert!(text.contains("nothing to compare") && text.contains("8 pairs left out"), "{text}");
        assert!(text.contains("h:1: errors: OOM 1"), "{text}");
    }
}
