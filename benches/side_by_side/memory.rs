//! Resident memory of the same data in each server.

use crate::collections::in_bunches;
use crate::cpu;
use crate::drive::VALUE;
use crate::measure::Fill;
use crate::members::Members;
use crate::options::Options;
use crate::peers::{Binaries, KINDS, Kind, Party};
use crate::table::{Table, figure, verdict};
use crate::wire::{Wire, encode};
use entourage::base::random::Random;

/// One element in this many is put in and flushed before the data is weighed.
const WARM_UP_SHARE: u64 = 1000;

/// What of the resident memory a row tells.
enum Share {
    /// All of it: what the process costs.
    Whole,
    /// What the fill added to a server that has run such commands: what the data costs.
    Added,
}

struct Row {
    name: &'static str,
    fill: fn(u64) -> Fill,
    count: u64,
    replicas: u32,
    share: Share,
    bar: f64,
}

const ROWS: [Row; 7] = [
    Row {
        name: "1 M strings of 64 bytes, whole process",
        fill: strings,
        count: 1_000_000,
        replicas: 0,
        share: Share::Whole,
        bar: 1.1,
    },
    Row {
        name: "the same with two hosted replicas, beside one peer",
        fill: strings,
        count: 1_000_000,
        replicas: 2,
        share: Share::Whole,
        bar: 2.2,
    },
    added("100,000 hashes of 10 fields", hashes, 100_000),
    added("100,000 sets of 20 integers", integer_sets, 100_000),
    added("one list of 1 M elements", list, 1_000_000),
    added("one sorted set of 1 M members", zset, 1_000_000),
    added("one stream of 1 M entries of 5 fields", stream, 1_000_000),
];

const fn added(name: &'static str, fill: fn(u64) -> Fill, count: u64) -> Row {
    Row { name, fill, count, replicas: 0, share: Share::Added, bar: 1.0 }
}

/// Megabytes per row and server, each in a fresh process.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let mut table = Table::new(&["resident MB", "redis", "valkey", "entourage", "× redis", "bar"]);
    for row in ROWS {
        eprintln!("side_by_side: memory of {}", row.name);
        let bytes = KINDS.map(|it| weigh_or_say_why(&row, it, binaries, options));
        let mb = bytes.map(|it| it.map(|it| it as f64 / f64::from(1 << 20)));
        let mut cells = vec![row.name.to_owned()];
        cells.extend(mb.map(figure));
        let ratio = mb[2].zip(mb[0]).map(|(ours, redis)| ours / redis);
        cells.extend(verdict(ratio, Some(row.bar)));
        table.push(cells);
    }
    table.to_string()
}

fn weigh_or_say_why(row: &Row, kind: Kind, all: &Binaries, options: &Options) -> Option<u64> {
    let say = |why| eprintln!("side_by_side: {} at {}: {why}", row.name, kind.name());
    weigh(row, kind, all, options)?.map_err(say).ok()
}

fn weigh(
    row: &Row,
    kind: Kind,
    binaries: &Binaries,
    options: &Options,
) -> Option<Result<u64, String>> {
    let replicas = if kind == Kind::Entourage { row.replicas } else { 0 };
    let party = binaries.start(kind, replicas)?;
    Some(weigh_party(row, &party, options.scaled(row.count)))
}

fn weigh_party(row: &Row, party: &Party, count: u64) -> Result<u64, String> {
    let pids = party.pids();
    let mut members = Members::dial(party)?;
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    let empty = match row.share {
        Share::Whole => 0,
        Share::Added => {
            // The code that the fill runs is no data: let it be in memory before.
            wire.fill((row.fill)(count.div_ceil(WARM_UP_SHARE)))?;
            wire.ask(&["FLUSHALL"])?;
            members.wait_until_drained_and_quiet()?;
            cpu::resident(&pids)
        }
    };
    wire.fill((row.fill)(count))?;
    members.wait_until_drained_and_quiet()?;
    Ok(cpu::resident(&pids).saturating_sub(empty))
}

pub fn strings(count: u64) -> Fill {
    Box::new((0..count).map(|it| encode(&["SET", &format!("key:{it:012}"), VALUE])))
}

pub fn hashes(count: u64) -> Fill {
    Box::new((0..count).map(|hash| {
        let mut words = vec!["HSET".to_owned(), format!("hash:{hash:012}")];
        words.extend(
            (0..10).flat_map(|it| [format!("field:{it}"), format!("value:{hash:06}:{it}")]),
        );
        encode(&words)
    }))
}

fn integer_sets(count: u64) -> Fill {
    Box::new((0..count).map(|set| {
        let mut random = Random::new(set);
        let mut words = vec!["SADD".to_owned(), format!("set:{set:012}")];
        words.extend((0..20).map(|_| random.below(1_000_000).to_string()));
        encode(&words)
    }))
}

fn list(count: u64) -> Fill {
    in_bunches(count, |it| vec![format!("element:{it:012}")], &["RPUSH", "list"])
}

fn zset(count: u64) -> Fill {
    let scored = |it| vec![Random::new(it).below(1 << 32).to_string(), format!("element:{it:012}")];
    in_bunches(count, scored, &["ZADD", "zset"])
}

fn stream(count: u64) -> Fill {
    Box::new((0..count).map(|entry| {
        let mut words = vec!["XADD".to_owned(), "stream".to_owned(), (entry + 1).to_string()];
        words.extend((0..5).flat_map(|it| [format!("field:{it}"), format!("{entry:06}:{it}")]));
        encode(&words)
    }))
}
