//! One row of a table: the same load on every server in turn, round after round.

use crate::cpu;
use crate::drive::{Load, drive};
use crate::options::Options;
use crate::peers::Party;
use crate::wire::Wire;

/// Encoded commands that bring an empty server to where a row begins.
pub type Fill = Box<dyn Iterator<Item = Vec<u8>>>;

/// A load, and the data it meets. The fill may depend on the number of requests to come.
pub struct Row {
    pub name: &'static str,
    pub fill: fn(u64) -> Fill,
    pub load: Load,
}

impl Row {
    /// Whether one of the words of its name was asked for.
    pub fn wanted(&self, options: &Options) -> bool {
        self.name.split(' ').any(|it| options.wants(it))
    }
}

/// One run, or the median of several, each figure by itself.
#[derive(Clone, Copy)]
pub struct Sample {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub cpu_us: f64,
}

/// How often, how deep, how many.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: u32,
    pub depth: u64,
    pub requests: u64,
}

/// The medians, one per party; `None` for a party that is absent or answers with an error.
pub fn measure(row: &Row, parties: &[Option<Party>], effort: Effort) -> Vec<Option<Sample>> {
    eprintln!("side_by_side: {} at depth {}, {} requests", row.name, effort.depth, effort.requests);
    let mut runs: Vec<Vec<Option<Sample>>> = parties.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.rounds {
        for (party, runs) in parties.iter().zip(&mut runs) {
            runs.push(party.as_ref().and_then(|it| run_or_say_why(row, it, effort)));
        }
    }
    runs.into_iter().map(median).collect()
}

fn run_or_say_why(row: &Row, party: &Party, effort: Effort) -> Option<Sample> {
    let say = |why| eprintln!("side_by_side: {} at {}: {why}", row.name, party.kind.name());
    run(row, party, effort).map_err(say).ok()
}

fn run(row: &Row, party: &Party, effort: Effort) -> Result<Sample, String> {
    prepare(row, party.port(), effort.requests)?;
    let pids = party.pids();
    cpu::wait_until_quiet(&pids);
    let before = cpu::nanos(&pids);
    let seen = drive(row.load, party.port(), effort.depth, effort.requests)?;
    cpu::wait_until_quiet(&pids);
    let nanos = cpu::nanos(&pids) - before;
    Ok(Sample {
        per_second: seen.per_second,
        p50_ms: seen.p50_ms,
        p99_ms: seen.p99_ms,
        cpu_us: nanos as f64 / 1000.0 / effort.requests as f64,
    })
}

/// redis-benchmark counts error replies as requests like any other, so a command the server
/// refuses must be found out before.
fn prepare(row: &Row, port: u16, requests: u64) -> Result<(), String> {
    let mut wire = Wire::dial(port).map_err(|it| it.to_string())?;
    wire.ask(&["FLUSHALL"])?;
    wire.fill((row.fill)(requests))?;
    let example = row.load.example();
    wire.ask(&example.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
}

/// A party that failed once has no median.
fn median(runs: Vec<Option<Sample>>) -> Option<Sample> {
    let runs: Vec<Sample> = runs.into_iter().collect::<Option<_>>()?;
    let middle = |of: fn(&Sample) -> f64| {
        let mut figures: Vec<f64> = runs.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Some(Sample {
        per_second: middle(|it| it.per_second),
        p50_ms: middle(|it| it.p50_ms),
        p99_ms: middle(|it| it.p99_ms),
        cpu_us: middle(|it| it.cpu_us),
    })
}
