//! What a second worker costs: Entourage with two beside itself with one, and one client alone.

use crate::drive::Volume;
use crate::measure::{Effort, Row, Sample, median, runs};
use crate::options::Options;
use crate::peers::{Binaries, Kind, Party};
use crate::speed::ROWS;
use crate::table::{Table, interval_verdict, thousands};

const COMMANDS: [&str; 2] = ["SET", "GET"];
const DEPTHS: [u64; 3] = [1, 16, 64];
const REPLICAS: u32 = 2;
/// Of one client alone: one worker, then two, beside valkey.
const BARS_ALONE: [f64; 2] = [1.0, 1.15];

/// Fifty connections to a set of three, then one connection to a server without replicas.
pub fn tables(binaries: &Binaries, options: &Options) -> String {
    let of_set = two_beside_one(binaries, options);
    let alone = one_client(binaries, options);
    format!(
        "With two hosted replicas, until they have applied everything. A ratio is the median of \
         the rounds' ratios with its 90 % interval.\n\n{of_set}\nOne client alone at depth 1, without \
         replicas, beside valkey with its one worker:\n\n{alone}"
    )
}

fn rows(options: &Options) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|it| COMMANDS.contains(&it.name) && it.wanted(options))
}

fn two_beside_one(binaries: &Binaries, options: &Options) -> String {
    let parties = [1, 2].map(|workers| binaries.start_workers(workers, REPLICAS));
    let mut table = Table::new(&[
        "command",
        "depth",
        "requests/s: one worker · two",
        "CPU µs/request: one worker",
        "two",
        "replicas cut off",
        "× one",
        "bar",
    ]);
    for row in rows(options) {
        for depth in options.depths_or(&DEPTHS) {
            let runs = runs(row, &parties, options.effort(depth, options.requests_at(depth)));
            let medians: Vec<_> = runs.iter().map(|it| median(it.as_deref()?)).collect();
            let rates = medians.iter().map(|it| it.map_or("n/a".into(), rate));
            let mut cells = vec![row.name.to_owned(), depth.to_string()];
            cells.push(rates.collect::<Vec<_>>().join(" · "));
            cells.extend(medians.iter().map(cpu));
            cells.push(medians.iter().flatten().map(|it| it.full_resyncs).sum::<u64>().to_string());
            cells.extend(interval_verdict(ratios(&runs[1], &runs[0]), bar(depth)));
            table.push(cells);
        }
    }
    table.to_string()
}

fn bar(depth: u64) -> f64 {
    if depth <= 16 { 1.10 } else { 1.05 }
}

fn one_client(binaries: &Binaries, options: &Options) -> String {
    let parties: [Option<Party>; 3] = [
        binaries.start(Kind::Valkey, 0),
        binaries.start_workers(1, 0),
        binaries.start_workers(2, 0),
    ];
    let head =
        ["command", "workers", "p50 ms: valkey · entourage", "CPU µs/request: valkey", "entourage"];
    let mut table = Table::new(&[&head[..], &["× valkey", "bar"]].concat());
    for row in rows(options) {
        let volume = Volume { clients: 1, depth: 1, requests: options.requests_at(1) };
        let runs = runs(row, &parties, Effort { rounds: options.rounds, volume });
        let medians: Vec<_> = runs.iter().map(|it| median(it.as_deref()?)).collect();
        for (at, alone_bar) in BARS_ALONE.into_iter().enumerate() {
            let (valkey, ours) = (medians[0], medians[at + 1]);
            let mut cells = vec![row.name.to_owned(), (at + 1).to_string()];
            let p50 = [valkey, ours].map(|it| it.map_or("n/a".into(), p50));
            cells.push(p50.join(" · "));
            cells.extend([valkey, ours].iter().map(cpu));
            cells.extend(interval_verdict(ratios(&runs[at + 1], &runs[0]), alone_bar));
            table.push(cells);
        }
    }
    table.to_string()
}

/// CPU per request of one party's runs over another's, round by round.
fn ratios(of: &Option<Vec<Sample>>, over: &Option<Vec<Sample>>) -> Vec<f64> {
    let rounds = of.iter().flatten().zip(over.iter().flatten());
    rounds.map(|(of, over)| of.cpu_us / over.cpu_us).collect()
}

fn rate(of: Sample) -> String {
    thousands(of.per_second)
}

fn p50(of: Sample) -> String {
    format!("{:.3}", of.p50_ms)
}

fn cpu(of: &Option<Sample>) -> String {
    of.map_or("n/a".into(), |it| format!("{:.2}", it.cpu_us))
}
