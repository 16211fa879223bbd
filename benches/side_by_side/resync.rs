//! A full resync of a replica on the wire: how long it takes, what others wait meanwhile, and what
//! memory it takes beside the data.

use crate::cpu;
use crate::drive::VALUE;
use crate::memory;
use crate::options::Options;
use crate::peers::{Binaries, Kind, Party};
use crate::probes::{self, Seen};
use crate::table::{Table, figure, milliseconds, ms, verdict};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const STRINGS: u64 = 1_000_000;
const HASHES: u64 = 100_000;
const LOOK: Duration = Duration::from_millis(2);
const MEMORY_LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);
const BAR_RATIO: f64 = 0.8;
const BAR_P999_MS: f64 = 5.0;
const BAR_EXTRA_MB: f64 = 64.0;

/// Who sends, with how many hosted replicas, and who takes.
struct Row {
    master: Kind,
    hosted: u32,
    replica: Kind,
}

const fn row(master: Kind, hosted: u32, replica: Kind) -> Row {
    Row { master, hosted, replica }
}

/// The peers first, against which the others are held.
const ROWS: [Row; 7] = [
    row(Kind::Redis, 0, Kind::Redis),
    row(Kind::Valkey, 0, Kind::Valkey),
    row(Kind::Entourage, 0, Kind::Redis),
    row(Kind::Entourage, 2, Kind::Redis),
    row(Kind::Entourage, 0, Kind::Valkey),
    row(Kind::Entourage, 2, Kind::Valkey),
    row(Kind::Redis, 0, Kind::Entourage),
];

/// What one row has come to: of times the median, of the rest the worst.
struct Resynced {
    ms: f64,
    seen: Seen,
    /// Beside writes that go on.
    extra_mb: f64,
}

/// One row per pair of servers.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "master → replica",
        "full resync ms",
        "× the same replica of its own kind",
        "bar",
        "PING p99.9 · longest ms",
        "GET p99.9 · longest ms",
        "idle thread, longest ms",
        "memory beside the data MB, while writes go on",
        "bars of the master",
    ]);
    let mut peers = Vec::new();
    for row in &ROWS {
        let name = row.name();
        eprintln!("side_by_side: full resync {name}");
        let resynced = measured(row, binaries, options)
            .inspect_err(|why| eprintln!("side_by_side: full resync {name}: {why}"))
            .ok();
        let ms = resynced.as_ref().map(|it| it.ms);
        let is_ours = row.master == Kind::Entourage || row.replica == Kind::Entourage;
        if !is_ours {
            peers.push((row.replica, ms));
        }
        // The same replica behind a master of its own kind; of our own, redis' behind the same one.
        let peer = if row.replica == Kind::Entourage { Kind::Redis } else { row.replica };
        let peer = peers.iter().find(|it| it.0 == peer).and_then(|it| it.1);
        let ratio = ms.zip(peer).map(|(ours, peer)| ours / peer);
        let mut cells = vec![name, figure(ms)];
        cells.extend(verdict(ratio, is_ours.then_some(BAR_RATIO)));
        cells.extend(resynced.as_ref().map_or(["n/a"; 4].map(str::to_owned), |it| it.cells()));
        let bars = resynced.filter(|_| row.master == Kind::Entourage);
        cells.push(bars.map_or("–".into(), |it| it.verdict()));
        table.push(cells);
    }
    table.to_string()
}

impl Row {
    fn name(&self) -> String {
        let hosted = match (self.master, self.hosted) {
            (Kind::Entourage, 0) => ", alone",
            (Kind::Entourage, _) => " with two hosted replicas",
            _ => "",
        };
        format!("{}{hosted} → {}", self.master.name(), self.replica.name())
    }
}

impl Resynced {
    fn cells(&self) -> [String; 4] {
        [
            milliseconds(&self.seen.ping),
            milliseconds(&self.seen.get),
            format!("{:.1}", ms(self.seen.idle.max())),
            format!("{:.0}", self.extra_mb),
        ]
    }

    fn verdict(&self) -> String {
        let all = [&self.seen.ping, &self.seen.get];
        let is_quick = all.iter().all(|it| ms(it.value_at_quantile(0.999)) <= BAR_P999_MS);
        let is_small = self.extra_mb <= BAR_EXTRA_MB;
        let told = |is: bool| if is { "met" } else { "missed" };
        format!(
            "≤ {BAR_P999_MS:.0} ms {}, ≤ {BAR_EXTRA_MB:.0} MB {}",
            told(is_quick),
            told(is_small)
        )
    }
}

fn measured(row: &Row, binaries: &Binaries, options: &Options) -> Result<Resynced, String> {
    let missing = || "a server is missing".to_owned();
    let master = binaries.start(row.master, row.hosted).ok_or_else(missing)?;
    let replica = binaries.start(row.replica, 0).ok_or_else(missing)?;
    let mut wire = master.dial()?;
    wire.fill(memory::strings(options.scaled(STRINGS)))?;
    wire.fill(memory::hashes(options.scaled(HASHES)))?;
    let mut seen = Seen::nothing();
    let mut times = Vec::new();
    for _ in 0..options.rounds {
        forget(&master, &replica)?;
        let (took, beside) = probes::beside(master.port(), || resync(&master, &replica))?;
        times.push(took.as_secs_f64() * 1e3);
        seen.add(&beside);
    }
    times.sort_by(f64::total_cmp);
    forget(&master, &replica)?;
    let extra_mb = extra_memory(&master, &replica)?;
    Ok(Resynced { ms: times[times.len() / 2], seen, extra_mb })
}

/// The replica follows nobody and holds nothing, and the master is at rest.
fn forget(master: &Party, replica: &Party) -> Result<(), String> {
    let mut wire = replica.dial()?;
    wire.ask(&["REPLICAOF", "NO", "ONE"])?;
    wire.ask(&["FLUSHALL"])?;
    cpu::wait_until_quiet(&[master.pids(), replica.pids()].concat());
    Ok(())
}

/// From the order until the replica says that it follows.
fn resync(master: &Party, replica: &Party) -> Result<Duration, String> {
    let mut wire = replica.dial()?;
    let begun = Instant::now();
    wire.ask(&["REPLICAOF", "127.0.0.1", &master.port().to_string()])?;
    while begun.elapsed() < PATIENCE {
        let told = wire.ask(&["INFO", "replication"])?;
        if String::from_utf8_lossy(&told).contains("master_link_status:up") {
            return Ok(begun.elapsed());
        }
        sleep(LOOK);
    }
    Err("the replica does not come up".into())
}

/// The most that the master's processes take during a full resync beside what they took before, in
/// MB, while one client overwrites keys one by one.
fn extra_memory(master: &Party, replica: &Party) -> Result<f64, String> {
    let pids = master.pids();
    let before = cpu::proportional(&pids);
    let done = AtomicBool::new(false);
    let mut writer = master.dial()?;
    let most = thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let keys = (0..STRINGS).map(|it| it * 611_953 % STRINGS);
            for key in keys.take_while(|_| !done.load(Relaxed)) {
                writer.ask(&["SET", &format!("key:{key:012}"), VALUE])?;
            }
            Ok::<(), String>(())
        });
        let looking = scope.spawn(|| {
            let mut most = before;
            while !done.load(Relaxed) {
                most = most.max(cpu::proportional(&pids));
                sleep(MEMORY_LOOK);
            }
            most
        });
        let resynced = resync(master, replica);
        done.store(true, Relaxed);
        let most = looking.join().map_err(|_| "the look at memory panicked")?;
        writing.join().map_err(|_| "the writer panicked")??;
        resynced.map(|_| most)
    })?;
    Ok(most.saturating_sub(before) as f64 / f64::from(1 << 20))
}
