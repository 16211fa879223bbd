//! Markdown tables: cells, ratios, and whether a bar was met.

use crate::measure::Sample;
use hdrhistogram::Histogram;
use std::fmt::{self, Display};

/// Rows of cells under a head, rendered with padded columns.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table { rows: vec![head.iter().map(|it| it.to_string()).collect()] }
    }

    pub fn push(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.rows[0].len(), "a row has a cell for every column");
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.rows.iter().map(|it| it[column].chars().count()).max();
        (0..self.rows[0].len()).map(|it| width(it).unwrap_or(0)).collect()
    }
}

impl Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            let cell = |(text, width): (&String, &usize)| format!(" {text:<width$} |");
            writeln!(out, "|{}", row.iter().zip(&widths).map(cell).collect::<String>())?;
            if index == 0 {
                let rule = widths.iter().map(|it| format!("{:-<1$}|", "", it + 2));
                writeln!(out, "|{}", rule.collect::<String>())?;
            }
        }
        Ok(())
    }
}

/// The columns of a table of speeds.
pub const SPEED_HEAD: [&str; 10] = [
    "command",
    "depth",
    "requests/s: redis · valkey · entourage",
    "p50 ms",
    "p99 ms",
    "CPU µs/request: redis",
    "valkey",
    "entourage",
    "× better peer",
    "bar",
];

/// A row under `SPEED_HEAD`; the samples come as redis, valkey, entourage.
pub fn speed_row(name: &str, depth: u64, of: &[Option<Sample>], bar: Option<f64>) -> Vec<String> {
    let each = |figure: fn(&Sample) -> String| {
        let cells = of.iter().map(|it| it.as_ref().map_or("n/a".to_owned(), figure));
        cells.collect::<Vec<_>>()
    };
    let mut cells = vec![name.to_owned(), depth.to_string()];
    cells.push(each(|it| thousands(it.per_second)).join(" · "));
    cells.push(each(|it| format!("{:.2}", it.p50_ms)).join(" · "));
    cells.push(each(|it| format!("{:.2}", it.p99_ms)).join(" · "));
    cells.extend(each(|it| format!("{:.2}", it.cpu_us)));
    let cpu: Vec<_> = of.iter().map(|it| it.map(|it| it.cpu_us)).collect();
    let ratio = cpu[2].zip(better(cpu[0], cpu[1])).map(|(ours, peer)| ours / peer);
    cells.extend(verdict(ratio, bar));
    cells
}

/// The smaller of what there is.
pub fn better(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().min_by(f64::total_cmp)
}

/// Two cells: the ratio, and the bar with whether it was met.
pub fn verdict(ratio: Option<f64>, bar: Option<f64>) -> [String; 2] {
    let told = ratio.map_or("n/a".into(), |it| format!("{it:.2}"));
    let bar = match (ratio, bar) {
        (_, None) => "–".into(),
        (None, Some(bar)) => format!("≤ {bar:.2}"),
        (Some(ratio), Some(bar)) if ratio <= bar => format!("≤ {bar:.2} met"),
        (Some(_), Some(bar)) => format!("≤ {bar:.2} missed"),
    };
    [told, bar]
}

/// Cells of ratios, one per round: their median with its 90 % interval, the bar with whether it was
/// met. It is missed when the whole interval lies above it.
pub fn interval_verdict(mut ratios: Vec<f64>, bar: f64) -> [String; 2] {
    ratios.sort_by(f64::total_cmp);
    let Some(last) = ratios.len().checked_sub(1) else {
        return ["n/a".into(), format!("≤ {bar:.2}")];
    };
    let low = interval_start(ratios.len());
    let (from, to) = (ratios[low], ratios[last - low]);
    let told = format!("{:.2} ({from:.2}–{to:.2})", ratios[ratios.len() / 2]);
    let met = if from <= bar { "met" } else { "missed" };
    [told, format!("≤ {bar:.2} {met}")]
}

/// So many of the smallest, and as many of the largest, lie outside the 90 % interval of the median
/// of `count`.
fn interval_start(count: usize) -> usize {
    const OUTSIDE_MAX: f64 = 0.05;
    // The median lies below the value of this index as often as `count` thrown coins show at most
    // so many heads.
    let (mut at_most, mut exactly) = (0.0, 0.5f64.powi(count as i32));
    for heads in 0..count {
        at_most += exactly;
        if OUTSIDE_MAX < at_most {
            return heads.saturating_sub(1);
        }
        exactly *= (count - heads) as f64 / (heads + 1) as f64;
    }
    0
}

/// A figure, or `n/a`.
pub fn figure(value: Option<f64>) -> String {
    value.map_or("n/a".into(), |it| format!("{it:.1}"))
}

/// A rate in thousands.
pub fn thousands(per_second: f64) -> String {
    format!("{:.0}k", per_second / 1000.0)
}

/// The 99.9th percentile and the longest of nanoseconds, in milliseconds.
pub fn milliseconds(of: &Histogram<u64>) -> String {
    format!("{:.1} · {:.1}", ms(of.value_at_quantile(0.999)), ms(of.max()))
}

/// Milliseconds of nanoseconds.
pub fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
