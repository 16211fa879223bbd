//! How late hosted replicas apply what they are pushed: at a steady rate, then at full speed.

use crate::drive::{KEYS, Replies, VALUE, Volume, drive};
use crate::members::Members;
use crate::options::Options;
use crate::peers::{Binaries, Party};
use crate::speed::SET;
use crate::table::{Table, thousands};
use crate::wire::{Wire, encode};
use async_std::future::timeout;
use async_std::net::TcpStream;
use async_std::task;
use entourage::base::random::Random;
use futures::AsyncWriteExt;
use futures::future::try_join_all;
use std::io;
use std::time::{Duration, Instant};

const WRITES_PER_SECOND: u64 = 50_000;
const CONNECTIONS: u64 = 10;
/// Each connection writes a few commands every so often.
const BEAT: Duration = Duration::from_millis(1);
const WRITES_PER_BEAT: u64 = WRITES_PER_SECOND / CONNECTIONS / 1000;
const _: () = assert!(WRITES_PER_BEAT * CONNECTIONS * 1000 == WRITES_PER_SECOND);
/// Beats of all rounds together.
const BEATS: u64 = 10_000;
const PACED_BAR_US: f64 = 200.0;

const DEPTHS: [u64; 3] = [1, 16, 64];
const WORKERS: [u32; 2] = [1, 2];
const REPLICAS: u32 = 2;

/// What is written.
#[derive(Clone, Copy)]
enum Writers {
    /// A steady rate.
    Paced { beats: u64 },
    /// As fast as the server answers.
    FullSpeed(Volume),
}

/// What `PROXY STATS` says about one round's push lag, in microseconds.
struct Lag {
    per_second: f64,
    p50: f64,
    p99: f64,
    longest: f64,
    full_resyncs: u64,
}

/// Rows of one worker, then of two.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "writers",
        "workers",
        "writes/s",
        "push lag µs: p50",
        "p99",
        "longest",
        "replicas cut off",
        "bar: p99",
    ]);
    for workers in WORKERS {
        let Some(party) = binaries.start_workers(workers, REPLICAS) else { continue };
        for (name, writers, bar) in rows(options) {
            eprintln!("side_by_side: push lag, {name}, {workers} workers");
            let mut cells = vec![name, workers.to_string()];
            cells.extend(measured(&party, writers, options.rounds, bar).unwrap_or_else(|why| {
                eprintln!("side_by_side: push lag: {why}");
                ["n/a"; 6].map(str::to_owned)
            }));
            table.push(cells);
        }
    }
    table.to_string()
}

fn rows(options: &Options) -> Vec<(String, Writers, Option<f64>)> {
    let beats = options.scaled(BEATS) / u64::from(options.rounds);
    let paced = format!("{CONNECTIONS}, together {}/s", thousands(WRITES_PER_SECOND as f64));
    let mut rows = vec![(paced, Writers::Paced { beats: beats.max(1) }, Some(PACED_BAR_US))];
    for depth in options.depths_or(&DEPTHS) {
        let volume = options.effort(depth, options.requests_at(depth)).volume;
        let name = format!("{}, full speed, depth {depth}", volume.clients);
        rows.push((name, Writers::FullSpeed(volume), bar(depth)));
    }
    rows
}

fn bar(depth: u64) -> Option<f64> {
    match depth {
        1 => Some(50.0),
        16 => Some(150.0),
        64 => Some(400.0),
        _ => None,
    }
}

/// Cells: each figure's median of the rounds, of the longest the longest.
fn measured(
    party: &Party,
    writers: Writers,
    rounds: u32,
    bar: Option<f64>,
) -> Result<[String; 6], String> {
    let rounds: Vec<Lag> =
        (0..rounds).map(|_| round(party, writers)).collect::<Result<_, String>>()?;
    let sorted = |of: fn(&Lag) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures
    };
    let middle = |of| sorted(of)[rounds.len() / 2];
    let p99 = middle(|it| it.p99);
    let bar = match bar {
        None => "–".into(),
        Some(bar) if p99 <= bar => format!("≤ {bar} met"),
        Some(bar) => format!("≤ {bar} missed"),
    };
    Ok([
        thousands(middle(|it| it.per_second)),
        middle(|it| it.p50).to_string(),
        p99.to_string(),
        sorted(|it| it.longest)[rounds.len() - 1].to_string(),
        rounds.iter().map(|it| it.full_resyncs).sum::<u64>().to_string(),
        bar,
    ])
}

fn round(party: &Party, writers: Writers) -> Result<Lag, String> {
    let mut members = Members::dial(party)?;
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    members.wait_until_drained_and_quiet()?;
    wire.ask(&["CONFIG", "RESETSTAT"])?;
    let resyncs = members.full_resyncs()?;
    let per_second = match writers {
        Writers::Paced { beats } => paced_writes(party, beats)?,
        Writers::FullSpeed(volume) => drive(SET.load, party.target(), volume)?.per_second,
    };
    members.wait_until_drained_and_quiet()?;
    let stats = wire.ask(&["PROXY", "STATS"])?;
    let stats = String::from_utf8_lossy(&stats);
    let line = stats.lines().find_map(|it| it.strip_prefix("push_lag_us:"));
    let line = line.ok_or("PROXY STATS lacks push_lag_us")?;
    let figure = |name: &str| {
        let told = line.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        told.and_then(|it| it.trim().parse::<f64>().ok())
            .ok_or_else(|| format!("no {name}: {line}"))
    };
    Ok(Lag {
        per_second,
        p50: figure("p50")?,
        p99: figure("p99")?,
        longest: figure("max")?,
        full_resyncs: members.full_resyncs()?.saturating_sub(resyncs),
    })
}

/// Writes and answers the rate that was reached.
fn paced_writes(party: &Party, beats: u64) -> Result<f64, String> {
    let begun = Instant::now();
    let patience = Duration::from_secs(60) + BEAT * 2 * beats as u32;
    let run = timeout(patience, write_all(party.port(), beats));
    task::block_on(run).map_err(|it| it.to_string())?.map_err(|it| it.to_string())?;
    let writes = beats * WRITES_PER_BEAT * CONNECTIONS;
    Ok(writes as f64 / begun.elapsed().as_secs_f64())
}

async fn write_all(port: u16, beats: u64) -> io::Result<()> {
    let begun = Instant::now();
    try_join_all((0..CONNECTIONS).map(|seed| write(port, seed, beats, begun))).await.map(drop)
}

/// Keeps to the timetable: after a delay the missed beats follow at once.
async fn write(port: u16, seed: u64, beats: u64, begun: Instant) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut random = Random::new(seed);
    let mut replies = Replies::default();
    let phase = BEAT * seed as u32 / CONNECTIONS as u32;
    for beat in 0..beats {
        task::sleep((phase + BEAT * beat as u32).saturating_sub(begun.elapsed())).await;
        let mut burst = Vec::new();
        for _ in 0..WRITES_PER_BEAT {
            let key = format!("key:{:012}", random.below(KEYS));
            burst.extend_from_slice(&encode(&["SET", &key, VALUE]));
        }
        stream.write_all(&burst).await?;
        replies.take(&mut stream, WRITES_PER_BEAT).await?;
    }
    Ok(())
}
