//! The one table of parameters: a row for each, with its section in the file and Redis' name.

use super::alert_rows;
use super::daemon_rows;
use super::engine_rows;
use super::observed_rows;
use super::param::{Param, Section, live, start};
use super::shown::{bind, port, replicaof, tls_port, unixsocket};
use super::slot::{Beyond, Slot, lens};
use super::tls_rows;
use crate::base::limits::{BACKLOG_BYTES_MIN, BULK_BYTES_MAX, QUERY_BYTES_MAX, REPLICAS_MAX};

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

const MB: i64 = 1 << 20;
const INT_MAX: i64 = i32::MAX as i64;
const THREADS_MAX: i64 = 1024;

use Section::{Nowhere, Server, Set};

/// Every parameter an operator or a client may ask for, beyond [`super::fixed::FIXED`].
pub const PARAMS: Tables = Tables([
    MOST,
    engine_rows::ROWS,
    observed_rows::ROWS,
    tls_rows::ROWS,
    daemon_rows::ROWS,
    alert_rows::ROWS,
]);

/// Rows that stand in several files.
#[derive(Clone, Copy)]
pub struct Tables([&'static [Param]; 6]);

impl Tables {
    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = &'static Param> {
        self.0.into_iter().flatten()
    }
}

/// The others.
const MOST: &[Param] = &[
    start(
        Server,
        "threads",
        "Worker threads; 0 is one per core.",
        count!(0, THREADS_MAX, server.threads),
    )
    .once("io-threads"),
    live(
        Server,
        "maxclients",
        "Connections at most; lowered at the start to what the limit of open files \
         allows.",
        count!(1, u32::MAX as i64, server.maxclients),
    ),
    live(
        Server,
        "timeout",
        "Closes a client that is idle for this long; 0 is never.",
        time!(0, server.timeout),
    ),
    live(
        Server,
        "tcp-keepalive",
        "Probes an idle connection this often; 0 is never.",
        time!(0, server.tcp_keepalive),
    ),
    live(
        Server,
        "shutdown-timeout",
        "How long SIGTERM waits for clients and replicas.",
        time!(0, server.shutdown_timeout),
    ),
    live(
        Server,
        "requirepass",
        "The password of the default user; empty is none.",
        Slot::Text(lens!(server.requirepass)),
    ),
    start(
        Server,
        "aclfile",
        "The file of users that ACL LOAD reads and ACL SAVE writes; empty is none.",
        Slot::Text(lens!(server.aclfile)),
    ),
    start(
        Server,
        "token-secret",
        "Signs PROXY TOKEN, the same at proxies that exchange tokens; empty is a \
         random one at each start.",
        Slot::Secret(lens!(server.token_secret)),
    ),
    live(
        Server,
        "client-output-buffer-limit",
        "Output that may wait for a client, by kind: a hard limit, a soft limit, \
         and the seconds for which the soft one may be passed; 0 is none.",
        Slot::Limits(lens!(server.output_limits)),
    ),
    live(
        Server,
        "client-query-buffer-limit",
        "Input that may wait for its request to be complete, or for replies to be read.",
        size!(MB, QUERY_BYTES_MAX as i64, server.query_bytes_max),
    ),
    live(
        Server,
        "proto-max-bulk-len",
        "The longest bulk string of a request.",
        size!(MB, BULK_BYTES_MAX as i64, server.bulk_bytes_max),
    ),
    live(
        Server,
        "tracking-table-max-keys",
        "Keys that clients with CLIENT TRACKING may cache together; 0 is without a limit.",
        count!(0, i64::MAX, server.cached_keys_max),
    ),
    live(
        Server,
        "acllog-max-len",
        "Denials that are kept for ACL LOG.",
        count!(0, i64::MAX, server.acl_log_entries_max),
    ),
    live(
        Server,
        "acl-pubsub-default",
        "The channels that a new user may hear.",
        Slot::OneOf {
            at: lens!(server.acl_pubsub_default),
            words: &["allchannels", "resetchannels"],
        },
    ),
    live(
        Server,
        "busy-reply-threshold",
        "Milliseconds that a script may run before those who need the master are answered -BUSY; 0 \
         is for ever.",
        count!(0, i64::MAX, server.busy_reply_ms),
    )
    .once("lua-time-limit"),
    live(
        Server,
        "script-max-instructions",
        "Instructions that a script may execute before it is stopped with an error; 0 is any \
         number. What it had written stays, as with any error.",
        count!(0, i64::MAX, server.script_instructions_max),
    ),
    live(
        Server,
        "loglevel",
        "What is worth a line in the log.",
        Slot::Loglevel(lens!(server.loglevel)),
    ),
    live(
        Server,
        "log-format",
        "The form of the log's lines: text, for people, or json, for programs.",
        Slot::LogFormat(lens!(server.log.format)),
    ),
    start(
        Server,
        "logfile",
        "The path of the log; empty is stderr. SIGHUP opens it anew, for whoever rotates it.",
        Slot::Text(lens!(server.log.file)),
    ),
    live(
        Server,
        "protected-mode",
        "Refuses clients from other machines while there is no password.",
        Slot::Switch(lens!(server.protected_mode)),
    ),
    start(
        Server,
        "enable-protected-configs",
        "Who may change protected parameters (dir, dbfilename) while the server runs: nobody, \
         everybody, or the clients of this machine.",
        Slot::Access(lens!(server.protected_configs)),
    ),
    start(
        Server,
        "enable-debug-command",
        "Who may say DEBUG: nobody, everybody, or the clients of this machine.",
        Slot::Access(lens!(server.debug)),
    ),
    start(
        Set,
        "replicas",
        "Replicas beside the master; without it, as many as the [[member]] tables give.",
        count!(0, REPLICAS_MAX as i64, set.replicas),
    ),
    live(
        Set,
        "repl-backlog-size",
        "Bytes of the stream that are kept for a partial resync.",
        Slot::Size {
            at: lens!(set.backlog_bytes),
            min: BACKLOG_BYTES_MIN as i64,
            max: i64::MAX,
            beyond: Beyond::Clamp,
        },
    ),
    live(
        Set,
        "replica-feed-limit",
        "A hosted replica this far behind is disconnected and must resync.",
        size!(MB, i64::MAX, set.feed_bytes_max),
    ),
    live(
        Set,
        "repl-ping-replica-period",
        "How often an idle master says PING on the stream.",
        time!(1, set.ping_every),
    )
    .once("repl-ping-slave-period"),
    live(
        Set,
        "repl-timeout",
        "A link of replication on which nothing comes, or nothing is taken, for this long ends.",
        time!(1, set.repl_timeout),
    ),
    live(
        Set,
        "repl-diskless-sync-delay",
        "How long a full resync waits for other replicas that want one; they can join it later.",
        time!(0, set.diskless_sync_delay),
    ),
    live(
        Set,
        "repl-diskless-sync-max-replicas",
        "As soon as so many replicas wait for a full resync, it begins; 0 is never.",
        count!(0, INT_MAX, set.sync_max_replicas),
    ),
    live(
        Set,
        "repl-backlog-ttl",
        "How long the kept stream outlives the last replica on the wire; 0 is for ever.",
        time!(0, set.backlog_ttl),
    ),
    live(
        Set,
        "count-hosted",
        "Whether hosted replicas count for WAIT, acks and min-replicas-to-write; auto: until a \
         replica on the wire has synced.",
        Slot::CountHosted(lens!(set.count_hosted)),
    ),
    live(
        Set,
        "min-replicas-to-write",
        "Refuses writes unless this many replicas are near enough to the master; 0 \
         is off.",
        count!(0, INT_MAX, set.min_replicas),
    )
    .once("min-slaves-to-write"),
    live(
        Set,
        "min-replicas-max-lag",
        "How far behind a replica is that still counts for min-replicas-to-write.",
        time!(0, set.max_lag),
    )
    .once("min-slaves-max-lag"),
    live(
        Set,
        "active-expire",
        "The master looks for expired keys by itself.",
        Slot::Switch(lens!(set.active_expire)),
    ),
    live(
        Set,
        "hz",
        "How often a second the master looks for expired keys.",
        Slot::Count { at: lens!(set.hz), min: 1, max: 500, beyond: Beyond::Clamp },
    ),
    live(
        Set,
        "maxmemory",
        "Bytes that the process may allocate, all members with their buffers: beyond, keys are \
         evicted, or writes refused; 0 is any number.",
        size!(0, i64::MAX, set.memory.bytes),
    ),
    live(
        Set,
        "maxmemory-policy",
        "Which keys are evicted.",
        Slot::Policy(lens!(thresholds.eviction.policy)),
    ),
    live(
        Set,
        "maxmemory-samples",
        "Keys that are looked at for one that is evicted; more than 64 are not.",
        count!(1, INT_MAX, thresholds.eviction.samples),
    ),
    live(
        Set,
        "maxmemory-eviction-tenacity",
        "How long one write may evict: 10 is 500 µs, 100 any time.",
        count!(0, 100, set.memory.tenacity),
    ),
    live(
        Set,
        "maxmemory-clients",
        "Bytes that the buffers of clients may use together, or percents of maxmemory: beyond, the \
         largest are closed; 0 is any number.",
        Slot::Share(lens!(set.memory.clients)),
    ),
    live(
        Set,
        "lfu-log-factor",
        "How much more uses it takes to count one more, where the policy counts uses.",
        count!(0, INT_MAX, thresholds.eviction.log_factor),
    ),
    live(
        Set,
        "lfu-decay-time",
        "Minutes after which one use less is counted; 0 is never.",
        count!(0, INT_MAX, thresholds.eviction.decay_minutes),
    ),
    live(
        Set,
        "notify-keyspace-events",
        "Which changes of keys subscribers hear of, in letters: K, on the key's channel, E, on the \
         event's; and A, for all of g$lshzxetd, m, for reads of keys that are not there, and n, \
         for new keys. Empty is none.",
        Slot::Events(lens!(set.events)),
    ),
    start(
        Set,
        "master",
        "The master that the set follows, over the wire; with a password, if it wants one.",
        Slot::Master,
    ),
    live(
        Set,
        "writes",
        "Where writes go while the set follows a master: forward, to it; readonly, nowhere; auto: \
         forward until REPLICAOF names a master.",
        Slot::Writes(lens!(set.follow.writes)),
    ),
    live(
        Set,
        "masteruser",
        "The user that logs in at the master; empty is the default user.",
        Slot::Text(lens!(set.follow.user)),
    ),
    live(
        Set,
        "masterauth",
        "The password that the master wants; empty is none.",
        Slot::Text(lens!(set.follow.password)),
    ),
    live(
        Set,
        "replica-serve-stale-data",
        "Serves what there is while the link to the master is down.",
        Slot::Switch(lens!(set.follow.serves_stale)),
    )
    .once("slave-serve-stale-data"),
    live(
        Set,
        "replica-priority",
        "Which replica Sentinel promotes first: the lowest number, and never one of 0.",
        count!(0, INT_MAX, set.follow.priority),
    )
    .once("slave-priority"),
    live(
        Set,
        "replica-announced",
        "Lets Sentinel tell others of this replica.",
        Slot::Switch(lens!(set.follow.is_announced)),
    ),
    live(
        Set,
        "replica-announce-ip",
        "The address at which others reach this replica; empty is where it comes from.",
        Slot::Text(lens!(set.follow.announce_ip)),
    )
    .once("slave-announce-ip"),
    live(
        Set,
        "replica-announce-port",
        "The port at which others reach this replica; 0 is that of its first listener.",
        count!(0, u16::MAX as i64, set.follow.announce_port),
    )
    .once("slave-announce-port"),
    live(
        Set,
        "repl-diskless-load",
        "Redis' word for where a snapshot is loaded; here that is always beside the old data.",
        Slot::OneOf {
            at: lens!(set.follow.diskless_load),
            words: &["disabled", "on-empty-db", "swapdb", "flush-before-load"],
        },
    ),
    start(
        Set,
        "dir",
        "The directory in which data is kept; empty is none: nothing is written, and a restart \
         loses everything.",
        Slot::Text(lens!(set.disk.dir)),
    ),
    live(
        Set,
        "appendonly",
        "Keeps an append-only file: every write, in the order in which they were made.",
        Slot::Switch(lens!(set.disk.appendonly)),
    ),
    live(
        Set,
        "appendfsync",
        "When the append-only file is on disk: always, before a write is answered; everysec, a \
         second later; no, when the system likes.",
        Slot::Fsync(lens!(set.disk.fsync)),
    ),
    start(
        Set,
        "appenddirname",
        "The directory of the append-only file's parts, within `dir`.",
        Slot::FileName(lens!(set.disk.aof_dir)),
    ),
    start(
        Set,
        "appendfilename",
        "What the names of the append-only file's parts begin with.",
        Slot::FileName(lens!(set.disk.aof_name)),
    ),
    live(
        Set,
        "aof-timestamp-enabled",
        "Notes in the append-only file when its commands were written.",
        Slot::Switch(lens!(set.disk.timestamps)),
    ),
    live(
        Set,
        "aof-load-truncated",
        "Loads an append-only file whose end is missing, and cuts off what is not whole.",
        Slot::Switch(lens!(set.disk.loads_truncated)),
    ),
    live(
        Set,
        "auto-aof-rewrite-percentage",
        "Rewrites the append-only file when it has grown by so many percent; 0 is never.",
        count!(0, INT_MAX, set.disk.rewrite_percentage),
    ),
    live(
        Set,
        "auto-aof-rewrite-min-size",
        "But not while it is smaller.",
        size!(0, i64::MAX, set.disk.rewrite_bytes_min),
    ),
    live(
        Set,
        "dbfilename",
        "The name of the snapshot in `dir`.",
        Slot::FileName(lens!(set.disk.dbfilename)),
    ),
    live(
        Set,
        "save",
        "When a snapshot is made: after so many seconds, if there were so many changes.",
        Slot::Save(lens!(set.disk.save)),
    ),
    live(
        Set,
        "stop-writes-on-bgsave-error",
        "Refuses writes after a snapshot that could not be made, while `save` asks for some.",
        Slot::Switch(lens!(set.disk.stops_writes)),
    ),
    start(
        Nowhere,
        "replicaof",
        "The master that the set follows, for CONFIG GET.",
        Slot::Shown(replicaof),
    )
    .once("slaveof"),
    start(Nowhere, "bind", "The addresses of all listeners, for CONFIG GET.", Slot::Shown(bind)),
    start(Nowhere, "port", "The first listener's port, for CONFIG GET.", Slot::Shown(port)),
    start(Nowhere, "tls-port", "That of the first with TLS.", Slot::Shown(tls_port)),
    start(
        Nowhere,
        "unixsocket",
        "The first listener's path, for CONFIG GET.",
        Slot::Shown(unixsocket),
    ),
];

/// The parameter of this name.
pub fn param(name: &str) -> Option<&'static Param> {
    PARAMS.iter().find(|it| it.is_called(name))
}
