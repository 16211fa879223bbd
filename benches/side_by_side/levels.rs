//! What stronger promises cost: the same mix of reads and writes at levels sticky, global and
//! linearizable, CPU and all, until the replicas have applied everything.

use crate::measure::{Row, Sample, median, runs};
use crate::options::Options;
use crate::peers::Binaries;
use crate::speed::ROWS;
use crate::table::{Table, interval_verdict, thousands};

const REPLICAS: u32 = 2;
const DEPTHS: [u64; 2] = [1, 16];
/// Levels beside the first, with their bars.
const LEVELS: [(&str, f64); 3] = [("sticky", 1.0), ("global", 1.03), ("linearizable", 1.10)];
/// Ten GETs to one SET.
const MIX: &str = "MIXED";

/// A row per depth and level; the levels take turns.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let parties = LEVELS.map(|it| binaries.start_at_level(it.0, REPLICAS));
    let mut table = Table::new(&[
        "depth",
        "level",
        "requests/s",
        "p50 ms",
        "CPU µs/request",
        "× sticky",
        "bar",
    ]);
    let row: &Row = ROWS.iter().find(|it| it.name.contains(MIX)).expect("the mix is a row");
    for depth in options.depths_or(&DEPTHS) {
        let runs = runs(row, &parties, options.effort(depth, options.requests_at(depth)));
        for ((level, bar), of_level) in LEVELS.iter().zip(&runs) {
            let sample = of_level.as_deref().and_then(median);
            let figure = |of: fn(Sample) -> String| sample.map_or("n/a".into(), of);
            let mut cells = vec![depth.to_string(), (*level).to_owned()];
            cells.push(figure(|it| thousands(it.per_second)));
            cells.push(figure(|it| format!("{:.3}", it.p50_ms)));
            cells.push(figure(|it| format!("{:.2}", it.cpu_us)));
            let rounds = of_level.iter().flatten().zip(runs[0].iter().flatten());
            let ratios = rounds.map(|(of, over)| of.cpu_us / over.cpu_us).collect();
            cells.extend(interval_verdict(ratios, *bar));
            table.push(cells);
        }
    }
    format!(
        "Ten GETs to one SET, one worker, two hosted replicas, until they have applied everything. \
         A ratio is the median of the rounds' ratios with its 90 % interval.\n\n{table}"
    )
}
