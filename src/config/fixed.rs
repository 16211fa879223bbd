//! Parameters that clients ask for and that have one answer here.

/// Redis' name, and the value that is true of this server. CONFIG SET takes only that value.
pub const FIXED: &[(&str, &str)] = &[
    ("activedefrag", "no"),
    ("activerehashing", "no"),
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("busy-reply-threshold", "5000"),
    ("cluster-enabled", "no"),
    ("daemonize", "no"),
    ("databases", "16"),
    ("dbfilename", "dump.rdb"),
    ("dir", "."),
    ("dynamic-hz", "no"),
    ("hll-sparse-max-bytes", "3000"),
    ("latency-monitor-threshold", "0"),
    ("lazyfree-lazy-eviction", "yes"),
    ("lazyfree-lazy-expire", "yes"),
    ("lazyfree-lazy-server-del", "yes"),
    ("lazyfree-lazy-user-del", "yes"),
    ("lazyfree-lazy-user-flush", "yes"),
    ("lfu-decay-time", "1"),
    ("lfu-log-factor", "10"),
    ("logfile", ""),
    ("lua-time-limit", "5000"),
    ("maxmemory", "0"),
    ("maxmemory-clients", "0"),
    ("maxmemory-samples", "5"),
    ("notify-keyspace-events", ""),
    ("protected-mode", "no"),
    ("repl-diskless-load", "disabled"),
    ("repl-diskless-sync", "yes"),
    ("repl-timeout", "60"),
    ("replica-priority", "100"),
    ("replica-read-only", "yes"),
    ("replica-serve-stale-data", "yes"),
    ("replicaof", ""),
    ("save", ""),
    ("slave-read-only", "yes"),
    ("slaveof", ""),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("tcp-backlog", "511"),
    ("tls-port", "0"),
];

/// The value of the fixed parameter of this name.
pub fn fixed(name: &str) -> Option<&'static str> {
    FIXED.iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1)
}
