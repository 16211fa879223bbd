//! One row of a table: the same load on every server in turn, round after round.

use crate::cpu;
use crate::drive::{Load, Volume, drive};
use crate::members::Members;
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
    /// How often a replica was cut off; of several runs the sum.
    pub full_resyncs: u64,
}

/// How often, and how much each time.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: u32,
    pub volume: Volume,
}

/// The medians, one per party; `None` for a party that is absent or answers with an error.
pub fn measure(row: &Row, parties: &[Option<Party>], effort: Effort) -> Vec<Option<Sample>> {
    runs(row, parties, effort).into_iter().map(|it| median(&it?)).collect()
}

/// Every run, per party and round; `None` for a party that is absent or once failed.
pub fn runs(row: &Row, parties: &[Option<Party>], effort: Effort) -> Vec<Option<Vec<Sample>>> {
    let Volume { clients, depth, requests } = effort.volume;
    eprintln!(
        "side_by_side: {} at depth {depth}, {clients} clients, {requests} requests",
        row.name
    );
    let mut runs: Vec<Vec<Option<Sample>>> = parties.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.rounds {
        for (party, runs) in parties.iter().zip(&mut runs) {
            runs.push(party.as_ref().and_then(|it| run_or_say_why(row, it, effort.volume)));
        }
    }
    runs.into_iter().map(|it| it.into_iter().collect()).collect()
}

fn run_or_say_why(row: &Row, party: &Party, volume: Volume) -> Option<Sample> {
    let say = |why| eprintln!("side_by_side: {} at {}: {why}", row.name, party.kind.name());
    run(row, party, volume).map_err(say).ok()
}

fn run(row: &Row, party: &Party, volume: Volume) -> Result<Sample, String> {
    let mut members = Members::dial(party)?;
    prepare(row, party.port(), volume.requests)?;
    members.wait_until_drained_and_quiet()?;
    let pids = party.pids();
    let resyncs = members.full_resyncs()?;
    let before = cpu::nanos(&pids);
    let seen = drive(row.load, party.target(), volume)?;
    members.wait_until_drained_and_quiet()?;
    let nanos = cpu::nanos(&pids) - before;
    Ok(Sample {
        per_second: seen.per_second,
        p50_ms: seen.p50_ms,
        p99_ms: seen.p99_ms,
        cpu_us: nanos as f64 / 1000.0 / volume.requests as f64,
        full_resyncs: members.full_resyncs()? - resyncs,
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

/// Each figure's median by itself; `None` of no runs.
pub fn median(runs: &[Sample]) -> Option<Sample> {
    if runs.is_empty() {
        return None;
    }
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
        full_resyncs: runs.iter().map(|it| it.full_resyncs).sum(),
    })
}
