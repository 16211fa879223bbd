//! What has become of commands since the version that brought them: for COMMAND DOCS.

/// What a version has changed.
pub type Change = (&'static str, &'static str);

/// A command that another takes the place of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deprecation {
    /// From this version on.
    pub since: &'static str,
    /// What to say in its place.
    pub replaced_by: &'static str,
}

const DOUBLE_TIMEOUT: Change = ("6.0.0", "The timeout may have a fraction.");
const SEVERAL_ELEMENTS_4: Change = ("4.0.0", "Takes several elements.");
const UPPER_CASE_UNITS: Change = ("7.0.0", "Units may be written in capitals.");
const EXPIRE_CONDITIONS: Change = ("7.0.0", "Takes NX, XX, GT and LT.");
const EXCLUSIVE_IDS: Change = ("6.2.0", "A range may leave its ends out.");
const NO_KEY_IS_TOLD: Change = ("2.8.0", "-2 says that there is no such key.");
const FLUSH_ASYNC: Change = ("4.0.0", "Takes ASYNC.");
const FLUSH_SYNC: Change = ("6.2.0", "Takes SYNC.");
const RESTORE_CHANGES: &[Change] = &[
    ("3.0.0", "Takes REPLACE."),
    ("5.0.0", "Takes ABSTTL."),
    ("5.0.0", "Takes IDLETIME and FREQ."),
];

/// By the name of the command, `container|subcommand` of a subcommand. Sorted.
const CHANGES: &[(&str, &[Change])] = &[
    (
        "acl|getuser",
        &[
            ("6.2.0", "Tells patterns of channels."),
            ("7.0.0", "Tells selectors, and patterns as the rules that make them."),
        ],
    ),
    (
        "acl|setuser",
        &[
            ("6.2.0", "Takes patterns of channels."),
            ("7.0.0", "Takes selectors, and patterns of keys to read or to write."),
        ],
    ),
    ("auth", &[("6.0.0", "Takes the name of a user.")]),
    ("bgsave", &[("3.2.2", "Takes SCHEDULE.")]),
    ("bitcount", &[("7.0.0", "Takes BYTE or BIT.")]),
    ("bitpos", &[("7.0.0", "Takes BYTE or BIT.")]),
    ("blpop", &[DOUBLE_TIMEOUT]),
    ("brpop", &[DOUBLE_TIMEOUT]),
    ("brpoplpush", &[DOUBLE_TIMEOUT]),
    ("bzpopmax", &[DOUBLE_TIMEOUT]),
    ("bzpopmin", &[DOUBLE_TIMEOUT]),
    (
        "client|kill",
        &[
            ("2.8.12", "Takes filters."),
            ("2.8.12", "Takes ID."),
            ("3.2.0", "TYPE may be master."),
            ("5.0.0", "TYPE may be replica, which slave still means."),
            ("6.2.0", "Takes LADDR."),
        ],
    ),
    (
        "client|list",
        &[
            ("2.8.12", "Tells the id."),
            ("5.0.0", "Takes TYPE."),
            ("6.0.0", "Tells the user."),
            ("6.2.0", "Tells argv-mem, tot-mem, laddr and redir, and takes ID."),
            ("7.0.0", "Tells resp, multi-mem, rbs and rbp."),
            ("7.0.3", "Tells ssub."),
        ],
    ),
    ("client|pause", &[("6.2.0", "May pause writes alone.")]),
    ("cluster|meet", &[("4.0.0", "Takes the port of the bus.")]),
    (
        "cluster|slots",
        &[("4.0.0", "Tells the ids of nodes."), ("7.0.0", "Tells more of their networks.")],
    ),
    ("command|info", &[("7.0.0", "Tells of all commands when none is named.")]),
    ("config|get", &[("7.0.0", "Takes several patterns.")]),
    ("config|set", &[("7.0.0", "Takes several parameters.")]),
    ("exists", &[("3.0.3", "Takes several keys.")]),
    ("expire", &[EXPIRE_CONDITIONS]),
    ("expireat", &[EXPIRE_CONDITIONS]),
    ("flushall", &[FLUSH_ASYNC, FLUSH_SYNC]),
    ("flushdb", &[FLUSH_ASYNC, FLUSH_SYNC]),
    ("geoadd", &[("6.2.0", "Takes CH, NX and XX.")]),
    ("georadius", &[("6.2.0", "COUNT takes ANY."), UPPER_CASE_UNITS]),
    ("georadius_ro", &[("6.2.0", "COUNT takes ANY.")]),
    ("georadiusbymember", &[UPPER_CASE_UNITS]),
    ("geosearch", &[UPPER_CASE_UNITS]),
    ("geosearchstore", &[UPPER_CASE_UNITS]),
    ("hdel", &[("2.4.0", "Takes several fields.")]),
    ("hello", &[("6.2.0", "Without a version it tells of the connection alone.")]),
    ("hset", &[("4.0.0", "Takes several fields with values.")]),
    ("info", &[("7.0.0", "Takes several sections.")]),
    ("lpop", &[("6.2.0", "Takes a count.")]),
    ("lpush", &[("2.4.0", "Takes several elements.")]),
    ("lpushx", &[SEVERAL_ELEMENTS_4]),
    (
        "migrate",
        &[
            ("3.0.0", "Takes COPY and REPLACE."),
            ("3.0.6", "Takes KEYS."),
            ("4.0.7", "Takes AUTH."),
            ("6.0.0", "Takes AUTH2."),
        ],
    ),
    ("pexpire", &[EXPIRE_CONDITIONS]),
    ("pexpireat", &[EXPIRE_CONDITIONS]),
    ("pttl", &[NO_KEY_IS_TOLD]),
    ("renamenx", &[("3.2.0", "Both names may be the same.")]),
    ("restore", RESTORE_CHANGES),
    ("restore-asking", RESTORE_CHANGES),
    ("rpop", &[("6.2.0", "Takes a count.")]),
    ("rpush", &[("2.4.0", "Takes several elements.")]),
    ("rpushx", &[SEVERAL_ELEMENTS_4]),
    ("sadd", &[("2.4.0", "Takes several members.")]),
    ("scan", &[("6.0.0", "Takes TYPE.")]),
    ("script|flush", &[("6.2.0", "Takes ASYNC and SYNC.")]),
    (
        "set",
        &[
            ("2.6.12", "Takes EX, PX, NX and XX."),
            ("6.0.0", "Takes KEEPTTL."),
            ("6.2.0", "Takes GET, EXAT and PXAT."),
            ("7.0.0", "NX and GET may stand together."),
            ("8.1.0", "Takes IFEQ."),
        ],
    ),
    ("shutdown", &[("7.0.0", "Takes NOW, FORCE and ABORT.")]),
    ("slowlog|get", &[("4.0.0", "Tells the client's address and name.")]),
    ("spop", &[("3.2.0", "Takes a count.")]),
    ("srandmember", &[("2.6.0", "Takes a count.")]),
    ("srem", &[("2.4.0", "Takes several members.")]),
    ("ttl", &[NO_KEY_IS_TOLD]),
    (
        "xadd",
        &[
            ("6.2.0", "Takes NOMKSTREAM, MINID and LIMIT."),
            ("7.0.0", "An id may be a time alone: <ms>-*."),
        ],
    ),
    ("xautoclaim", &[("7.0.0", "Tells which entries it has found deleted.")]),
    ("xgroup|create", &[("7.0.0", "Takes ENTRIESREAD.")]),
    ("xgroup|setid", &[("7.0.0", "Takes ENTRIESREAD.")]),
    ("xinfo|groups", &[("7.0.0", "Tells entries-read and lag.")]),
    (
        "xinfo|stream",
        &[
            ("6.0.0", "Takes FULL."),
            (
                "7.0.0",
                "Tells max-deleted-entry-id, entries-added, recorded-first-entry-id, entries-read \
                 and lag.",
            ),
        ],
    ),
    ("xpending", &[("6.2.0", "Takes IDLE, and ranges that leave their ends out.")]),
    ("xrange", &[EXCLUSIVE_IDS]),
    ("xrevrange", &[EXCLUSIVE_IDS]),
    ("xsetid", &[("7.0.0", "Takes ENTRIESADDED and MAXDELETEDID.")]),
    ("xtrim", &[("6.2.0", "Takes MINID and LIMIT.")]),
    (
        "zadd",
        &[
            ("2.4.0", "Takes several members."),
            ("3.0.2", "Takes XX, NX, CH and INCR."),
            ("6.2.0", "Takes GT and LT."),
        ],
    ),
    ("zrange", &[("6.2.0", "Takes REV, BYSCORE, BYLEX and LIMIT.")]),
    ("zrangebyscore", &[("2.0.0", "Takes WITHSCORES.")]),
    ("zrank", &[("7.2.0", "Takes WITHSCORE.")]),
    ("zrem", &[("2.4.0", "Takes several members.")]),
    ("zrevrangebyscore", &[("2.1.6", "A range may leave its ends out.")]),
    ("zrevrank", &[("7.2.0", "Takes WITHSCORE.")]),
];

const fn replaced(since: &'static str, replaced_by: &'static str) -> Deprecation {
    Deprecation { since, replaced_by }
}

/// By the name of the command. Sorted.
const DEPRECATED: &[(&str, Deprecation)] = &[
    ("brpoplpush", replaced("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
    ("cluster|slaves", replaced("5.0.0", "`CLUSTER REPLICAS`")),
    ("cluster|slots", replaced("7.0.0", "`CLUSTER SHARDS`")),
    (
        "georadius",
        replaced("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    ),
    ("georadius_ro", replaced("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
    (
        "georadiusbymember",
        replaced(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
    ),
    (
        "georadiusbymember_ro",
        replaced("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    ),
    ("getset", replaced("6.2.0", "`SET` with the `!GET` argument")),
    ("hmset", replaced("4.0.0", "`HSET` with multiple field-value pairs")),
    ("rpoplpush", replaced("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
    ("slaveof", replaced("5.0.0", "`REPLICAOF`")),
    ("substr", replaced("2.0.0", "`GETRANGE`")),
    ("zrangebylex", replaced("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
    ("zrangebyscore", replaced("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
    ("zrevrange", replaced("6.2.0", "`ZRANGE` with the `REV` argument")),
    ("zrevrangebylex", replaced("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
    ("zrevrangebyscore", replaced("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
];

/// What only servers, and tests of servers, say. Sorted.
const FOR_SYSTEMS: &[&str] = &["debug", "pfdebug", "pfselftest", "replconf", "restore-asking"];

/// What versions have changed, the oldest first.
pub fn changes(name: &str) -> &'static [Change] {
    let at = CHANGES.binary_search_by_key(&name, |it| it.0);
    at.map_or(&[], |it| CHANGES[it].1)
}

/// What takes its place, if something does.
pub fn deprecation(name: &str) -> Option<Deprecation> {
    let at = DEPRECATED.binary_search_by_key(&name, |it| it.0);
    at.ok().map(|it| DEPRECATED[it].1)
}

/// What COMMAND DOCS calls its `doc_flags`.
pub fn doc_flags(name: &str) -> &'static [&'static str] {
    match (deprecation(name), FOR_SYSTEMS.binary_search(&name)) {
        (Some(_), _) => &["deprecated"],
        (None, Ok(_)) => &["syscmd"],
        (None, Err(_)) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_can_be_searched() {
        assert!(CHANGES.is_sorted_by(|one, next| one.0 < next.0));
        assert!(DEPRECATED.is_sorted_by(|one, next| one.0 < next.0));
        assert!(FOR_SYSTEMS.is_sorted_by(|one, next| one < next));
        assert_eq!(changes("ttl"), [NO_KEY_IS_TOLD]);
        assert_eq!(doc_flags("hmset"), ["deprecated"]);
        assert_eq!(doc_flags("debug"), ["syscmd"]);
        assert!(changes("get").is_empty() && deprecation("get").is_none());
    }
}
