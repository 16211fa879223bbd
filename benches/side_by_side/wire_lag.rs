//! How late replicas on the wire apply what their master has acknowledged, what WAIT 1 takes, and
//! what each replica costs its master.

use crate::cpu;
use crate::drive::{Volume, drive};
use crate::options::Options;
use crate::peers::{Binaries, Kind, Party};
use crate::probes::histogram;
use crate::speed::SET;
use crate::table::{Table, verdict};
use hdrhistogram::Histogram;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Who sends, and who takes.
const PAIRS: [(Kind, Kind); 4] = [
    (Kind::Redis, Kind::Redis),
    (Kind::Valkey, Kind::Valkey),
    (Kind::Entourage, Kind::Redis),
    (Kind::Entourage, Kind::Valkey),
];
const WRITES: u64 = 5_000;
const PACE: Duration = Duration::from_micros(500);
const REPLICAS: usize = 2;
const DEPTH: u64 = 16;
const CROWD: usize = 10;
const CROWD_WRITES: u64 = 5_000;
const CROWD_PACE: Duration = Duration::from_millis(1);
const HOSTED_CROWD: u32 = 100;
const UP_LOOK: Duration = Duration::from_millis(10);
const UP_PATIENCE: Duration = Duration::from_secs(60);

/// Microseconds of each kind, and of a SET the CPU time of the master alone.
struct Lags {
    lag: Histogram<u64>,
    wait: Histogram<u64>,
    cpu_us: f64,
}

/// One row per pair of servers, then what a crowd of replicas costs.
pub fn tables(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&[
        "master → replica",
        "acknowledged → applied µs: p50 · p99 · p99.9",
        "p99 × redis",
        "bar",
        "SET + WAIT 1 µs: p50 · p99",
        "p50 × redis",
        "bar",
        "CPU µs/SET of the master with two replicas, depth 16",
        "× redis",
        "bar",
    ]);
    let all = PAIRS.map(|pair| lags_or_say_why(pair, binaries, options));
    for ((master, replica), lags) in PAIRS.iter().zip(&all) {
        let bar = |it: f64| (*master == Kind::Entourage).then_some(it);
        let against = |of: fn(&Lags) -> f64| {
            lags.as_ref().zip(all[0].as_ref()).map(|(it, redis)| of(it) / of(redis))
        };
        let mut cells = vec![format!("{} → {}", master.name(), replica.name())];
        cells.push(lags.as_ref().map_or("n/a".into(), |it| micros(&it.lag, &[0.5, 0.99, 0.999])));
        cells.extend(verdict(against(|it| it.lag.value_at_quantile(0.99) as f64), bar(1.0)));
        cells.push(lags.as_ref().map_or("n/a".into(), |it| micros(&it.wait, &[0.5, 0.99])));
        cells.extend(verdict(against(|it| it.wait.value_at_quantile(0.5) as f64), bar(1.0)));
        cells.push(lags.as_ref().map_or("n/a".into(), |it| format!("{:.2}", it.cpu_us)));
        cells.extend(verdict(against(|it| it.cpu_us), bar(0.9)));
        table.push(cells);
    }
    format!("{table}\n{}", crowds(binaries))
}

fn micros(of: &Histogram<u64>, at: &[f64]) -> String {
    let told = at.iter().map(|it| (of.value_at_quantile(*it) / 1000).to_string());
    told.collect::<Vec<_>>().join(" · ")
}

fn lags_or_say_why(pair: (Kind, Kind), binaries: &Binaries, options: &Options) -> Option<Lags> {
    let name = format!("{} → {}", pair.0.name(), pair.1.name());
    eprintln!("side_by_side: wire lag {name}");
    let say = |why: &String| eprintln!("side_by_side: wire lag {name}: {why}");
    lags(pair, binaries, options).inspect_err(say).ok()
}

fn lags(pair: (Kind, Kind), binaries: &Binaries, options: &Options) -> Result<Lags, String> {
    let master = start(binaries, pair.0, 0)?;
    let replicas = attached(binaries, &master, pair.1, REPLICAS)?;
    let (mut writer, mut reader) = (master.dial()?, replicas[0].dial()?);
    let (mut lag, mut wait) = (histogram(), histogram());
    for at in 0..options.scaled(WRITES) {
        let value = at.to_string();
        writer.ask(&["SET", "lag", &value])?;
        let acknowledged = Instant::now();
        let expected = format!("${}\r\n{value}\r\n", value.len()).into_bytes();
        while reader.ask(&["GET", "lag"])? != expected {}
        record(&mut lag, acknowledged.elapsed());
        sleep(PACE);
    }
    for at in 0..options.scaled(WRITES) {
        let asked = Instant::now();
        writer.ask(&["SET", "lag", &at.to_string()])?;
        writer.ask(&["WAIT", "1", "0"])?;
        record(&mut wait, asked.elapsed());
        sleep(PACE);
    }
    Ok(Lags { lag, wait, cpu_us: cpu_per_set(&master, &replicas, options)? })
}

/// The median of the rounds.
fn cpu_per_set(master: &Party, replicas: &[Party], options: &Options) -> Result<f64, String> {
    let requests = options.requests_at(DEPTH);
    let all: Vec<u32> = replicas.iter().flat_map(Party::pids).chain(master.pids()).collect();
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        cpu::wait_until_quiet(&all);
        let before = cpu::nanos(&master.pids());
        drive(SET.load, master.target(), Volume { clients: 50, depth: DEPTH, requests })?;
        cpu::wait_until_quiet(&all);
        let nanos = cpu::nanos(&master.pids()) - before;
        rounds.push(nanos as f64 / 1e3 / requests as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

/// What one replica more costs the master at 1,000 writes a second.
fn crowds(binaries: &Binaries) -> String {
    let mut table = Table::new(&[
        "1,000 writes/s, replicas",
        "CPU of the master, % of a core",
        "% a replica",
        "memory KB a replica",
    ]);
    for kind in [Kind::Redis, Kind::Entourage] {
        eprintln!("side_by_side: {CROWD} wire replicas of {}", kind.name());
        let alone = crowd(binaries, kind, 0, 0);
        let many = crowd(binaries, kind, 0, CROWD);
        table.push(crowd_cells(
            &format!("{CROWD} redis-servers of {}", kind.name()),
            alone,
            many,
            CROWD,
        ));
    }
    eprintln!("side_by_side: {HOSTED_CROWD} hosted replicas");
    let alone = crowd(binaries, Kind::Entourage, 0, 0);
    let many = crowd(binaries, Kind::Entourage, HOSTED_CROWD, 0);
    let name = format!("{HOSTED_CROWD} hosted by entourage");
    table.push(crowd_cells(&name, alone, many, HOSTED_CROWD as usize));
    table.to_string()
}

/// CPU in parts of a core, and resident bytes.
type Cost = Result<(f64, u64), String>;

fn crowd_cells(name: &str, alone: Cost, many: Cost, count: usize) -> Vec<String> {
    let told = alone.and_then(|alone| many.map(|many| (alone, many)));
    let Ok(((cpu_alone, bytes_alone), (cpu, bytes))) = told else {
        return [name, "n/a", "n/a", "n/a"].map(str::to_owned).to_vec();
    };
    vec![
        name.to_owned(),
        format!("{:.1} (alone {:.1})", cpu * 100.0, cpu_alone * 100.0),
        format!("{:.2}", (cpu - cpu_alone) * 100.0 / count as f64),
        format!("{:.0}", bytes.saturating_sub(bytes_alone) as f64 / 1024.0 / count as f64),
    ]
}

fn crowd(binaries: &Binaries, kind: Kind, hosted: u32, wire: usize) -> Cost {
    let master = start(binaries, kind, hosted)?;
    let replicas = attached(binaries, &master, Kind::Redis, wire)?;
    let all: Vec<u32> = replicas.iter().flat_map(Party::pids).chain(master.pids()).collect();
    cpu::wait_until_quiet(&all);
    let mut writer = master.dial()?;
    let (before, begun) = (cpu::nanos(&master.pids()), Instant::now());
    for at in 0..CROWD_WRITES {
        writer.ask(&["SET", &format!("key:{at}"), "value"])?;
        sleep((CROWD_PACE * at as u32).saturating_sub(begun.elapsed()));
    }
    let cpu = cpu::nanos(&master.pids()) - before;
    Ok((cpu as f64 / begun.elapsed().as_nanos() as f64, cpu::resident(&master.pids())))
}

fn start(binaries: &Binaries, kind: Kind, hosted: u32) -> Result<Party, String> {
    binaries.start(kind, hosted).ok_or_else(|| "a server is missing".to_owned())
}

/// So many replicas on the wire, all of which follow.
fn attached(
    binaries: &Binaries,
    master: &Party,
    kind: Kind,
    count: usize,
) -> Result<Vec<Party>, String> {
    let port = master.port().to_string();
    let attach = |_| {
        let replica = start(binaries, kind, 0)?;
        replica.dial()?.ask(&["REPLICAOF", "127.0.0.1", &port])?;
        Ok(replica)
    };
    let replicas: Vec<Party> = (0..count).map(attach).collect::<Result<_, String>>()?;
    let begun = Instant::now();
    for replica in &replicas {
        let mut wire = replica.dial()?;
        let is_up = |told: Vec<u8>| String::from_utf8_lossy(&told).contains("link_status:up");
        while !is_up(wire.ask(&["INFO", "replication"])?) {
            if UP_PATIENCE < begun.elapsed() {
                return Err("a replica does not follow".into());
            }
            sleep(UP_LOOK);
        }
    }
    Ok(replicas)
}

fn record(nanos: &mut Histogram<u64>, took: Duration) {
    nanos.record(took.as_nanos() as u64).expect("the histogram takes every value");
}
