//! The one table of parameters: a row for each, with its section in the file and Redis' name.

use super::Config;
use super::slot::{Beyond, Slot, lens};
use super::tree::Address;
use crate::base::limits::{BACKLOG_BYTES_MIN, BULK_BYTES_MAX, QUERY_BYTES_MAX, REPLICAS_MAX};

/// A section of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// `[server]`
    Server,
    /// `[set]`
    Set,
    /// `[engine]`
    Engine,
    /// Not in the file.
    Nowhere,
}

/// When a parameter may change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At run time too.
    Live,
    /// Only before the start.
    Start,
}

/// One parameter.
pub struct Param {
    pub name: &'static str,
    /// Redis' older name.
    pub alias: Option<&'static str>,
    pub section: Section,
    pub when: When,
    pub slot: Slot,
}

impl Param {
    /// Whether this is its name, or its older one, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        let same = |it: &str| it.eq_ignore_ascii_case(name);
        same(self.name) || self.alias.is_some_and(same)
    }

    /// Whether CONFIG GET tells it.
    pub fn is_told(&self) -> bool {
        !matches!(self.slot, Slot::Secret(_))
    }

    /// Its name in the file.
    pub fn key(&self) -> String {
        match self.section {
            Section::Server => format!("server.{}", self.name),
            Section::Set => format!("set.{}", self.name),
            Section::Engine => format!("engine.{}", self.name),
            Section::Nowhere => self.name.to_owned(),
        }
    }

    const fn once(mut self, alias: &'static str) -> Param {
        self.alias = Some(alias);
        self
    }
}

const fn live(section: Section, name: &'static str, slot: Slot) -> Param {
    Param { name, alias: None, section, when: When::Live, slot }
}

const fn start(section: Section, name: &'static str, slot: Slot) -> Param {
    Param { name, alias: None, section, when: When::Start, slot }
}

macro_rules! count {
    ($min:expr, $max:expr, $($path:tt)+) => {
        Slot::Count { at: lens!($($path)+), min: $min, max: $max, beyond: Beyond::Refuse }
    };
}

macro_rules! size {
    ($min:expr, $max:expr, $($path:tt)+) => {
        Slot::Size { at: lens!($($path)+), min: $min, max: $max, beyond: Beyond::Refuse }
    };
}

macro_rules! time {
    ($min:expr, $($path:tt)+) => { Slot::Time { at: lens!($($path)+), min: $min } };
}

/// Entries and lengths of the compact forms have no upper bound in Redis. A length may have a unit,
/// but not that of a set's members, which is newer.
macro_rules! entries {
    ($($path:tt)+) => { count!(0, i64::MAX, thresholds.$($path)+) };
}

macro_rules! length {
    ($($path:tt)+) => { size!(0, i64::MAX, thresholds.$($path)+) };
}

const MB: i64 = 1 << 20;
const INT_MAX: i64 = i32::MAX as i64;
const THREADS_MAX: i64 = 1024;

use Section::{Engine, Nowhere, Server, Set};

/// Every parameter an operator or a client may ask for, beyond [`super::fixed::FIXED`].
pub const PARAMS: &[Param] = &[
    start(Server, "threads", count!(0, THREADS_MAX, server.threads)).once("io-threads"),
    live(Server, "maxclients", count!(1, u32::MAX as i64, server.maxclients)),
    live(Server, "timeout", time!(0, server.timeout)),
    live(Server, "tcp-keepalive", time!(0, server.tcp_keepalive)),
    live(Server, "shutdown-timeout", time!(0, server.shutdown_timeout)),
    live(Server, "requirepass", Slot::Text(lens!(server.requirepass))),
    start(Server, "token-secret", Slot::Secret(lens!(server.token_secret))),
    live(Server, "client-output-buffer-limit", Slot::Limits(lens!(server.output_limits))),
    live(
        Server,
        "client-query-buffer-limit",
        size!(MB, QUERY_BYTES_MAX as i64, server.query_bytes_max),
    ),
    live(Server, "proto-max-bulk-len", size!(MB, BULK_BYTES_MAX as i64, server.bulk_bytes_max)),
    live(
        Server,
        "slowlog-log-slower-than",
        Slot::Signed { at: lens!(server.slowlog_slower_than_us), min: -1, max: i64::MAX },
    ),
    live(Server, "slowlog-max-len", count!(0, i64::MAX, server.slowlog_entries_max)),
    live(Server, "loglevel", Slot::Loglevel(lens!(server.loglevel))),
    start(Server, "enable-debug-command", Slot::Debug(lens!(server.debug))),
    start(Server, "metrics", Slot::Switch(lens!(server.metrics))),
    live(Server, "latency-tracking", Slot::Switch(lens!(server.latency_tracking))),
    live(
        Server,
        "latency-tracking-info-percentiles",
        Slot::Percentiles(lens!(server.latency_percentiles)),
    ),
    start(Set, "replicas", count!(0, REPLICAS_MAX as i64, set.replicas)),
    live(
        Set,
        "repl-backlog-size",
        Slot::Size {
            at: lens!(set.backlog_bytes),
            min: BACKLOG_BYTES_MIN as i64,
            max: i64::MAX,
            beyond: Beyond::Clamp,
        },
    ),
    live(Set, "replica-feed-limit", size!(MB, i64::MAX, set.feed_bytes_max)),
    live(Set, "repl-ping-replica-period", time!(1, set.ping_every)).once("repl-ping-slave-period"),
    live(Set, "min-replicas-to-write", count!(0, INT_MAX, set.min_replicas))
        .once("min-slaves-to-write"),
    live(Set, "min-replicas-max-lag", time!(0, set.max_lag)).once("min-slaves-max-lag"),
    live(Set, "active-expire", Slot::Switch(lens!(set.active_expire))),
    live(Set, "hz", Slot::Count { at: lens!(set.hz), min: 1, max: 500, beyond: Beyond::Clamp }),
    live(Engine, "hash-max-listpack-entries", entries!(hash_entries))
        .once("hash-max-ziplist-entries"),
    live(Engine, "hash-max-listpack-value", length!(hash_value)).once("hash-max-ziplist-value"),
    live(
        Engine,
        "list-max-listpack-size",
        Slot::Signed { at: lens!(thresholds.list_size), min: i32::MIN as i64, max: INT_MAX },
    )
    .once("list-max-ziplist-size"),
    live(Engine, "list-compress-depth", count!(0, INT_MAX, idle.list_compress_depth)),
    live(Engine, "maxmemory-policy", Slot::Eviction(lens!(idle.eviction))),
    live(Engine, "set-max-intset-entries", entries!(set_intset_entries)),
    live(Engine, "set-max-listpack-entries", entries!(set_entries)),
    live(Engine, "set-max-listpack-value", entries!(set_value)),
    live(Engine, "zset-max-listpack-entries", entries!(zset_entries))
        .once("zset-max-ziplist-entries"),
    live(Engine, "zset-max-listpack-value", length!(zset_value)).once("zset-max-ziplist-value"),
    start(Nowhere, "bind", Slot::Shown(bind)),
    start(Nowhere, "port", Slot::Shown(port)),
    start(Nowhere, "unixsocket", Slot::Shown(unixsocket)),
];

/// The parameter of this name.
pub fn param(name: &str) -> Option<&'static Param> {
    PARAMS.iter().find(|it| it.is_called(name))
}

/// Every address, in the order they are listed.
fn bind(config: &Config) -> String {
    let mut hosts: Vec<String> = Vec::new();
    for listener in &config.listeners {
        match &listener.at {
            Address::Tcp(at) if !hosts.contains(&at.ip().to_string()) => {
                hosts.push(at.ip().to_string());
            }
            Address::Tcp(_) | Address::Unix(_) => {}
        }
    }
    hosts.join(" ")
}

/// The first port; 0 when there is none, as Redis has it.
fn port(config: &Config) -> String {
    let ports = config.listeners.iter().filter_map(|it| match &it.at {
        Address::Tcp(at) => Some(at.port()),
        Address::Unix(_) => None,
    });
    ports.into_iter().next().unwrap_or(0).to_string()
}

fn unixsocket(config: &Config) -> String {
    let paths = config.listeners.iter().filter_map(|it| match &it.at {
        Address::Unix(path) => Some(path.display().to_string()),
        Address::Tcp(_) => None,
    });
    paths.into_iter().next().unwrap_or_default()
}
