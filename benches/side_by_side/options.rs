//! What the command line can ask of the bench.

use crate::drive::{CONNECTIONS, Volume};
use crate::measure::Effort;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Drives redis-server, valkey-server and Entourage with the same load, side by side.
#[derive(Parser)]
pub struct Options {
    /// Rounds per row; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Requests per run at depth 1; deeper runs send up to 8 times as many.
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..))]
    pub requests: Option<u64>,
    /// Only the rows with these names, such as SET,GET,MIXED.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Small runs: to see that everything works, not to quote.
    #[arg(long)]
    pub quick: bool,
    /// Stalls beside as many keys as the bars name: 5 M, and 4 M to flush, instead of 1 M.
    #[arg(long)]
    pub full: bool,
    /// Pipeline depths [default: 1,16,64; collections: 1,16].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    pub depths: Vec<u64>,
    /// Sections to run.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub rows: Vec<Rows>,
    /// Another binary in Entourage's place; `ENTOURAGE_BIN` names one, too.
    #[arg(long, value_name = "PATH")]
    pub entourage: Option<PathBuf>,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A section of the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rows {
    /// One server of each kind.
    Single,
    /// A master with two replicas of each kind.
    Set,
    /// Two workers beside one.
    Workers,
    /// Lists, sets, sorted sets, hashes.
    Collections,
    /// Bitmaps, HyperLogLogs and places.
    Bits,
    /// What job queues do: scripts, functions, streams.
    Queues,
    /// Resident memory.
    Memory,
    /// Writes at the limit of memory.
    Eviction,
    /// How late hosted replicas apply what they are pushed.
    Lag,
    /// What stronger levels cost.
    Levels,
    /// What recording latencies costs.
    Metrics,
    /// What TLS costs.
    Tls,
    /// What an open status page and a scrape each second cost.
    Watched,
    /// How long other clients wait while one runs something long.
    Stalls,
    /// A full resync of a replica on the wire.
    Resync,
    /// How late replicas on the wire apply, what WAIT takes, what they cost their master.
    WireLag,
    /// What files cost, and how fast they are loaded.
    Disk,
    /// The longest command during a load of 10 M keys.
    Load,
    /// Every section but `bits`, `eviction`, `queues`, `tls`, `watched`, `stalls`, `resync`,
    /// `wire-lag`, `disk` and `load`.
    All,
}

impl Rows {
    pub fn title(self) -> &'static str {
        match self {
            Rows::Single => "Single servers",
            Rows::Set => "A master and two replicas",
            Rows::Workers => "One worker and two",
            Rows::Collections => "Collections",
            Rows::Bits => "Bitmaps, HyperLogLogs and places",
            Rows::Queues => "Scripts, functions and streams",
            Rows::Memory => "Memory",
            Rows::Eviction => "Writes at maxmemory",
            Rows::Lag => "Hosted push lag",
            Rows::Levels => "Levels",
            Rows::Metrics => "Metrics on and off",
            Rows::Tls => "TLS",
            Rows::Watched => "The status page and the scrape",
            Rows::Stalls => "Other clients beside a long command",
            Rows::Resync => "Full resync over the wire",
            Rows::WireLag => "Replicas on the wire",
            Rows::Disk => "Data on disk",
            Rows::Load => "Longest command during a load",
            Rows::All => "All",
        }
    }
}

const ALL: [Rows; 8] = [
    Rows::Single,
    Rows::Set,
    Rows::Workers,
    Rows::Collections,
    Rows::Memory,
    Rows::Lag,
    Rows::Levels,
    Rows::Metrics,
];

impl Options {
    /// The sections asked for, in the order asked.
    pub fn sections(&self) -> Vec<Rows> {
        let expand = |it: &Rows| if *it == Rows::All { ALL.to_vec() } else { vec![*it] };
        self.rows.iter().flat_map(expand).collect()
    }

    /// Whether a row of this name was asked for.
    pub fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it.eq_ignore_ascii_case(row))
    }

    /// The depths asked for, or else `usual`.
    pub fn depths_or(&self, usual: &[u64]) -> Vec<u64> {
        if self.depths.is_empty() { usual.to_vec() } else { self.depths.clone() }
    }

    /// How many requests a run at this depth sends: enough for a second or so.
    pub fn requests_at(&self, depth: u64) -> u64 {
        let base = self.requests.unwrap_or(if self.quick { 10_000 } else { 100_000 });
        base * depth.min(8)
    }

    /// The rounds asked for of a run with the usual connections.
    pub fn effort(&self, depth: u64, requests: u64) -> Effort {
        Effort { rounds: self.rounds, volume: Volume { clients: CONNECTIONS, depth, requests } }
    }

    /// `count`, or a tenth of it in a quick run.
    pub fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 10 } else { count }
    }
}
