//! Data on disk: what an append-only file costs, how fast files are loaded, and what snapshots take.

use crate::cpu;
use crate::disk_load;
use crate::drive::VALUE;
use crate::long_work::{DISK_WORKS, Subject, background};
use crate::measure::{Sample, measure};
use crate::memory::strings;
use crate::options::Options;
use crate::peers::{Aof, Binaries, DataDir, KINDS, Kind, Party};
use crate::speed::SET;
use crate::stalls;
use crate::table::{Table, figure, thousands, verdict};
use crate::wire::encode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const DEPTHS: [u64; 3] = [1, 16, 64];
const BAR_EVERYSEC: f64 = 1.25;
const BAR_ALWAYS: f64 = 1.0;
const KEYS: u64 = 1_000_000;
const WRITES_PER_SECOND: u64 = 50_000;
const BURST: u64 = 500;
const MEMORY_LOOK: Duration = Duration::from_millis(20);
/// The writers write for so long before what is in memory is looked at first.
const SETTLED: Duration = Duration::from_secs(1);
const BAR_EXTRA_MB: f64 = 64.0;

type TableOf = fn(&Binaries, &Options) -> String;

/// Five tables.
pub fn tables(binaries: &Binaries, options: &Options) -> String {
    let mut told = Vec::new();
    let parts: [(&str, TableOf); 5] = [
        ("everysec", everysec),
        ("always", always),
        ("load", disk_load::table),
        ("stalls", beside_works),
        ("memory", memory),
    ];
    for (_, table) in parts.iter().filter(|it| options.wants(it.0)) {
        told.push(table(binaries, options));
    }
    told.join("\n")
}

/// CPU per SET with a file that is synced every second, beside the same server without a file.
fn everysec(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "SET with `everysec`, CPU µs",
        "depth",
        "without a file",
        "with it",
        "× without",
        "bar",
    ]);
    for kind in KINDS {
        let dirs = [DataDir::new(), DataDir::new()];
        let parties = [(&dirs[0], None), (&dirs[1], Some(Aof::Everysec))];
        let parties = parties.map(|(dir, aof)| binaries.start_on(kind, dir, aof));
        for depth in options.depths_or(&DEPTHS) {
            let effort = options.effort(depth, options.requests_at(depth));
            let cpu = measure(&SET, &parties, effort);
            let cpu: Vec<_> = cpu.into_iter().map(|it| it.map(|it| it.cpu_us)).collect();
            let bar = (kind == Kind::Entourage && depth == 16).then_some(BAR_EVERYSEC);
            let told = |it: Option<f64>| it.map_or("n/a".into(), |it| format!("{it:.2}"));
            let mut cells = vec![kind.name().to_owned(), depth.to_string()];
            cells.extend([told(cpu[0]), told(cpu[1])]);
            cells.extend(verdict(cpu[1].zip(cpu[0]).map(|(with, without)| with / without), bar));
            table.push(cells);
        }
    }
    table.to_string()
}

/// What 50 clients write who wait for the disk.
fn always(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "SET with `always`, depth",
        "requests/s: redis · valkey · entourage",
        "p50 · p99 ms: redis",
        "entourage",
        "redis' × entourage's",
        "bar",
    ]);
    let dirs = KINDS.map(|_| DataDir::new());
    let start = |it: (&Kind, &DataDir)| binaries.start_on(*it.0, it.1, Some(Aof::Always));
    let parties: Vec<_> = KINDS.iter().zip(&dirs).map(start).collect();
    for depth in options.depths_or(&DEPTHS[..1]) {
        // A disk is no memory: fewer requests take as long.
        let samples =
            measure(&SET, &parties, options.effort(depth, options.requests_at(depth) / 2));
        let each = |figure: fn(&Sample) -> String| {
            let cells = samples.iter().map(|it| it.as_ref().map_or("n/a".to_owned(), figure));
            cells.collect::<Vec<_>>()
        };
        let times = each(|it| format!("{:.2} · {:.2}", it.p50_ms, it.p99_ms));
        let mut cells = vec![depth.to_string(), each(|it| thousands(it.per_second)).join(" · ")];
        cells.extend([times[0].clone(), times[2].clone()]);
        let ratio =
            samples[0].zip(samples[2]).map(|(redis, ours)| redis.per_second / ours.per_second);
        cells.extend(verdict(ratio, Some(BAR_ALWAYS)));
        table.push(cells);
    }
    table.to_string()
}

/// What others wait beside snapshots and rewrites.
fn beside_works(binaries: &Binaries, options: &Options) -> String {
    let dirs = [DataDir::new(), DataDir::new()];
    let redis = binaries.start_on(Kind::Redis, &dirs[0], Some(Aof::Everysec));
    let entourage = binaries.start_workers_on(stalls::WORKERS, &dirs[1], Some(Aof::Everysec));
    let mut subjects = [redis, entourage].map(|it| Subject::new(it?, options).ok());
    stalls::rows(&DISK_WORKS, &mut subjects, options)
}

/// The most that a snapshot takes beside the data, while keys are overwritten.
fn memory(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "BGSAVE beside 50,000 writes/s",
        "it takes ms",
        "writes/s meanwhile",
        "memory beside the data MB",
        "bar",
    ]);
    for kind in KINDS {
        let dir = DataDir::new();
        let Some(party) = binaries.start_on(kind, &dir, None) else { continue };
        eprintln!("side_by_side: memory of a snapshot of {}", kind.name());
        let say = |why: &String| eprintln!("side_by_side: a snapshot of {}: {why}", kind.name());
        let took = snapshot_memory(&party, options.scaled(KEYS)).inspect_err(say).ok();
        let extra_mb = took.as_ref().map(|it| it.extra_mb);
        let mut cells = vec![kind.name().to_owned()];
        cells.push(figure(took.as_ref().map(|it| it.took.as_secs_f64() * 1e3)));
        cells.push(took.as_ref().map_or("n/a".into(), |it| thousands(it.per_second)));
        cells.push(figure(extra_mb));
        let met = |it: f64| if it <= BAR_EXTRA_MB { "met" } else { "missed" };
        cells.push(match extra_mb.filter(|_| kind == Kind::Entourage) {
            Some(it) => format!("≤ {BAR_EXTRA_MB:.0} {}", met(it)),
            None => "–".into(),
        });
        table.push(cells);
    }
    table.to_string()
}

struct SnapshotMemory {
    took: Duration,
    per_second: f64,
    extra_mb: f64,
}

fn snapshot_memory(party: &Party, keys: u64) -> Result<SnapshotMemory, String> {
    let pids = party.pids();
    party.dial()?.fill(strings(keys))?;
    cpu::wait_until_quiet(&pids);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing = scope.spawn(|| overwrite(party, keys, &done));
        sleep(SETTLED);
        let before = cpu::proportional(&pids);
        let looking = scope.spawn(|| most_memory(&pids, &done));
        let saved = background(&mut party.dial()?, "BGSAVE", "rdb_bgsave_in_progress");
        done.store(true, Relaxed);
        let most = looking.join().map_err(|_| "the look at memory panicked")?;
        let per_second = writing.join().map_err(|_| "the writer panicked")??;
        let extra_mb = most.saturating_sub(before) as f64 / f64::from(1 << 20);
        Ok(SnapshotMemory { took: saved?, per_second, extra_mb })
    })
}

fn most_memory(pids: &[u32], done: &AtomicBool) -> u64 {
    let mut most = 0;
    while !done.load(Relaxed) {
        most = most.max(cpu::proportional(pids));
        sleep(MEMORY_LOOK);
    }
    most
}

/// Overwrites keys at a steady pace; answers how many a second it came to.
fn overwrite(party: &Party, keys: u64, done: &AtomicBool) -> Result<f64, String> {
    let mut wire = party.dial()?;
    let (begun, mut written) = (Instant::now(), 0);
    while !done.load(Relaxed) {
        let at = |it: u64| (written + it) * 611_953 % keys;
        let set = |it| encode(&["SET", &format!("key:{:012}", at(it)), VALUE]);
        wire.fill((0..BURST).map(set))?;
        written += BURST;
        let due = Duration::from_micros(written * 1_000_000 / WRITES_PER_SECOND);
        sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(written as f64 / begun.elapsed().as_secs_f64())
}
