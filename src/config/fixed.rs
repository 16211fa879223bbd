//! Parameters that clients and tools ask for and that have one answer here: every name that
//! redis-server 7.0.15 knows and [`super::table`] does not, and two of 7.2.

/// Parameters that cannot be changed for one reason.
pub struct Fixed {
    /// Why CONFIG SET takes no other value.
    pub why: &'static str,
    /// Whether it is about data: in front of real servers, theirs.
    pub is_of_data: bool,
    /// Redis' name, and the value that is true of this server: Redis' default where any would be.
    pub params: &'static [(&'static str, &'static str)],
}

/// All of them, by reason.
pub const FIXED: &[Fixed] = &[
    Fixed {
        why: "the append-only file begins with a snapshot here, always",
        is_of_data: true,
        params: &[("aof-use-rdb-preamble", "yes")],
    },
    Fixed {
        why: "files are written in one way here, by a thread that nobody waits for",
        is_of_data: true,
        params: &[
            ("aof-disable-auto-gc", "no"),
            ("aof-rewrite-incremental-fsync", "yes"),
            ("aof_rewrite_cpulist", ""),
            ("bgsave_cpulist", ""),
            ("no-appendfsync-on-rewrite", "no"),
            ("rdb-del-sync-files", "no"),
            ("rdb-save-incremental-fsync", "yes"),
            ("rdbchecksum", "yes"),
            ("sanitize-dump-payload", "no"),
        ],
    },
    Fixed {
        why: "snapshots are never compressed here",
        is_of_data: true,
        params: &[("rdbcompression", "no")],
    },
    Fixed {
        why: "texts are compared by their bytes here",
        is_of_data: true,
        params: &[("locale-collate", "")],
    },
    Fixed {
        why: "a set that follows a master leaves evictions to it, and what is large is freed apart",
        is_of_data: true,
        params: &[
            ("lazyfree-lazy-eviction", "yes"),
            ("replica-ignore-maxmemory", "yes"),
            ("slave-ignore-maxmemory", "yes"),
        ],
    },
    Fixed {
        why: "what takes long to free is always freed in the background",
        is_of_data: true,
        params: &[
            ("lazyfree-lazy-expire", "yes"),
            ("lazyfree-lazy-server-del", "yes"),
            ("lazyfree-lazy-user-del", "yes"),
            ("lazyfree-lazy-user-flush", "yes"),
            ("replica-lazy-flush", "yes"),
            ("slave-lazy-flush", "yes"),
        ],
    },
    Fixed {
        why: "there is no cluster mode",
        is_of_data: false,
        params: &[
            ("cluster-allow-pubsubshard-when-down", "yes"),
            ("cluster-allow-reads-when-down", "no"),
            ("cluster-allow-replica-migration", "yes"),
            ("cluster-announce-bus-port", "0"),
            ("cluster-announce-hostname", ""),
            ("cluster-announce-human-nodename", ""),
            ("cluster-announce-ip", ""),
            ("cluster-announce-port", "0"),
            ("cluster-announce-tls-port", "0"),
            ("cluster-config-file", "nodes.conf"),
            ("cluster-enabled", "no"),
            ("cluster-link-sendbuf-limit", "0"),
            ("cluster-migration-barrier", "1"),
            ("cluster-node-timeout", "15000"),
            ("cluster-port", "0"),
            ("cluster-preferred-endpoint-type", "ip"),
            ("cluster-replica-no-failover", "no"),
            ("cluster-replica-validity-factor", "10"),
            ("cluster-require-full-coverage", "yes"),
            ("cluster-slave-no-failover", "no"),
            ("cluster-slave-validity-factor", "10"),
            ("tls-cluster", "no"),
        ],
    },
    Fixed {
        why: "rustls chooses among suites that all are sound, and keeps sessions by itself",
        is_of_data: false,
        params: &[
            ("tls-ciphers", ""),
            ("tls-ciphersuites", ""),
            ("tls-dh-params-file", ""),
            ("tls-prefer-server-ciphers", "no"),
            ("tls-session-cache-size", "4096"),
            ("tls-session-cache-timeout", "86400"),
            ("tls-session-caching", "yes"),
        ],
    },
    Fixed {
        why: "keys are read as they are: keep a key's file from others by its permissions",
        is_of_data: false,
        params: &[("tls-client-key-file-pass", ""), ("tls-key-file-pass", "")],
    },
    Fixed {
        why: "the allocator does not fragment as Redis' does, and nothing is defragmented",
        is_of_data: true,
        params: &[
            ("active-defrag-cycle-max", "25"),
            ("active-defrag-cycle-min", "1"),
            ("active-defrag-ignore-bytes", "104857600"),
            ("active-defrag-max-scan-fields", "1000"),
            ("active-defrag-threshold-lower", "10"),
            ("active-defrag-threshold-upper", "100"),
            ("activedefrag", "no"),
            ("jemalloc-bg-thread", "yes"),
        ],
    },
    Fixed {
        why: "replicas are always sent their snapshot while it is made, and are never held back by \
              their own files",
        is_of_data: true,
        params: &[
            ("propagation-error-behavior", "ignore"),
            ("repl-disable-tcp-nodelay", "no"),
            ("repl-diskless-sync", "yes"),
            ("replica-ignore-disk-write-errors", "no"),
        ],
    },
    Fixed {
        why: "a replica's stream is its master's, byte for byte: writes of its own have no place",
        is_of_data: true,
        params: &[("replica-read-only", "yes"), ("slave-read-only", "yes")],
    },
    Fixed {
        why: "there are no modules",
        is_of_data: true,
        params: &[("enable-module-command", "no")],
    },
    Fixed {
        why: "lists are never compressed here",
        is_of_data: true,
        params: &[("list-compress-depth", "0")],
    },
    Fixed {
        why: "this is left to whoever starts the process",
        is_of_data: false,
        params: &[
            ("always-show-logo", "no"),
            ("bind-source-addr", ""),
            ("bio_cpulist", ""),
            ("crash-log-enabled", "yes"),
            ("crash-memcheck-enabled", "yes"),
            ("daemonize", "no"),
            ("disable-thp", "yes"),
            ("ignore-warnings", ""),
            ("oom-score-adj", "no"),
            ("oom-score-adj-values", "0 200 800"),
            ("proc-title-template", "{title} {listen-addr} {server-mode}"),
            ("server_cpulist", ""),
            ("set-proc-title", "yes"),
            ("shutdown-on-sigint", "default"),
            ("shutdown-on-sigterm", "default"),
            ("socket-mark-id", "0"),
            ("supervised", "no"),
            ("syslog-enabled", "no"),
            ("syslog-facility", "local0"),
            ("syslog-ident", "redis"),
            ("tcp-backlog", "511"),
        ],
    },
    Fixed {
        why: "this is not adjustable here",
        is_of_data: true,
        params: &[
            ("active-expire-effort", "1"),
            ("activerehashing", "no"),
            ("databases", "16"),
            ("dynamic-hz", "no"),
            ("io-threads-do-reads", "no"),
        ],
    },
];

/// Parameters whose value is told as it is here, and that CONFIG SET takes whatever they are set
/// to: applications set them when they start, and nobody can tell what came of it.
const WITHOUT_EFFECT: &[&str] = &[
    "activerehashing",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "rdbcompression",
];

/// Whether CONFIG SET takes both values of this switch, and does nothing.
pub fn is_without_effect(name: &str) -> bool {
    WITHOUT_EFFECT.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Parameters that `enable-protected-configs` is about: Redis' PROTECTED_CONFIG. What they name is
/// written by the server wherever a client says, which is how servers are broken into.
const PROTECTED: &[&str] = &["dbfilename", "dir"];

/// Whether `enable-protected-configs` says who may set this.
pub fn is_protected(name: &str) -> bool {
    PROTECTED.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// The value of the fixed parameter of this name, and what is said of it and others.
fn find(name: &str) -> Option<(&'static str, &'static Fixed)> {
    FIXED.iter().find_map(|it| {
        let found = it.params.iter().find(|it| it.0.eq_ignore_ascii_case(name))?;
        Some((found.1, it))
    })
}

/// The value of the fixed parameter of this name, and why it has no other.
pub fn fixed(name: &str) -> Option<(&'static str, &'static str)> {
    find(name).map(|(value, of)| (value, of.why))
}

/// Whether the fixed parameter of this name is about data; `None` if it is no fixed one.
pub fn is_of_data(name: &str) -> Option<bool> {
    find(name).map(|(_, of)| of.is_of_data)
}

/// The names of all fixed parameters.
pub fn names() -> impl Iterator<Item = &'static str> {
    FIXED.iter().flat_map(|it| it.params).map(|it| it.0)
}
