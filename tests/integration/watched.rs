//! What counts as a change of a watched key: every write command that finds nothing to do, or does
//! what is done already, beside a real Redis.

use crate::support::{Server, Wire};
use entourage::command::Class;
use entourage::commands::table;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What another client does between WATCH of `k` and `o` and EXEC, by what is there before.
const CASES: &[(&str, &[&str])] = &[
    (
        "SET k a",
        &[
            "SETBIT k 0 1",
            "BITOP NOT k k",
            "BITOP AND k none",
            "BITFIELD k SET u8 0 1",
            "BITFIELD k GET u8 0",
        ],
    ),
    ("PFADD k a", &["PFADD k b", "PFADD k a", "PFMERGE k none", "PFDEBUG ENCODING k"]),
    (
        "SET k 10",
        &[
            "SET k 10",
            "SET k 10 NX",
            "SET k 10 KEEPTTL",
            "SETNX k 1",
            "GETSET k 10",
            "GETDEL o",
            "APPEND k ",
            "SETRANGE k 0 1",
            "SETRANGE k 0 ",
            "INCRBY k 0",
            "DECRBY k 0",
            "INCRBYFLOAT k 0",
            "INCR l",
            "DECR l",
            "MSET l 1",
            "MSETNX k 1 o 2",
            "GETEX k",
            "GETEX k PERSIST",
            "PERSIST k",
            "EXPIRE k 100 XX",
            "PEXPIRE k 100 GT",
            "EXPIREAT k 1 XX",
            "PEXPIREAT k 1 GT",
            "EXPIRE o 100",
            "DEL o",
            "UNLINK o",
            "RENAME k k",
            "RENAMENX k k",
            "RENAME o k",
            "COPY k k",
            "COPY k l",
            "COPY o k REPLACE",
            "MOVE o 1",
            "MOVE k 0",
            "TOUCH k",
            "FLUSHDB",
            "FLUSHALL ASYNC",
            "SWAPDB 0 0",
            "SWAPDB 1 2",
            "SWAPDB 0 1",
            "RESTORE k 0 x",
            "RESTORE-ASKING k 0 x",
            "LPUSH k x",
            "SORT k STORE o",
        ],
    ),
    (
        "SET k 10 EX 1000",
        &[
            "EXPIRE k 1000",
            "EXPIRE k 1000 NX",
            "PEXPIRE k 1000 GT",
            "EXPIREAT k 99999999999 LT",
            "PERSIST k",
            "SETEX k 1000 10",
            "PSETEX k 1000000 10",
            "GETEX k EX 1000",
            "SET k 10 KEEPTTL",
        ],
    ),
    (
        "RPUSH k a b c",
        &[
            "LTRIM k 0 -1",
            "LTRIM k 0 100",
            "LTRIM k -100 100",
            "LTRIM o 0 -1",
            "LSET k 0 a",
            "LREM k 0 x",
            "LINSERT k BEFORE x y",
            "LPUSHX o x",
            "RPUSHX o x",
            "LPOP k 0",
            "RPOP k 0",
            "LPOP o",
            "RPOP o",
            "LMOVE o k LEFT LEFT",
            "LMOVE k k LEFT LEFT",
            "LMOVE k k LEFT RIGHT",
            "RPOPLPUSH o k",
            "RPOPLPUSH k k",
            "LMPOP 1 o LEFT",
            "RPUSH l x",
            "BLPOP l k 1",
            "BLMPOP 1 2 l k LEFT",
            "BRPOP k 1",
            "BRPOPLPUSH k k 1",
            "BLMOVE k k LEFT LEFT 1",
            "SORT k BY nosort STORE k",
            "SORT o STORE o",
        ],
    ),
    ("RPUSH k a", &["LMOVE k k LEFT LEFT", "RPOPLPUSH k k", "LTRIM k 0 0"]),
    (
        "SADD k a b c",
        &[
            "SADD k a",
            "SREM k x",
            "SMOVE k o x",
            "SMOVE k k a",
            "SPOP k 0",
            "SPOP o",
            "SPOP o 1",
            "SINTERSTORE o k o",
            "SDIFFSTORE o k k",
            "SUNIONSTORE o l",
            "SUNIONSTORE k k",
            "SINTERSTORE k k k",
        ],
    ),
    (
        "HSET k f 1 g 2",
        &[
            "HSET k f 1",
            "HMSET k f 1",
            "HSETNX k f 1",
            "HINCRBY k f 0",
            "HINCRBYFLOAT k f 0",
            "HDEL k x",
            "HDEL o x",
        ],
    ),
    (
        "ZADD k 1 a 2 b",
        &[
            "ZADD k 1 a",
            "ZADD k CH 1 a",
            "ZADD k NX 5 a",
            "ZADD k XX 5 x",
            "ZADD k GT 0 a",
            "ZADD k INCR 0 a",
            "ZADD k GT INCR -1 a",
            "ZADD o XX 1 a",
            "ZINCRBY k 0 a",
            "ZREM k x",
            "ZREMRANGEBYSCORE k 8 9",
            "ZREMRANGEBYRANK k 8 9",
            "ZREMRANGEBYLEX k [x [z",
            "ZPOPMIN k 0",
            "ZPOPMAX k 0",
            "ZPOPMIN o",
            "ZPOPMAX o",
            "ZMPOP 1 o MIN",
            "BZPOPMIN k 1",
            "BZPOPMAX k 1",
            "BZMPOP 1 1 k MIN",
            "ZUNIONSTORE k 1 k",
            "ZINTERSTORE o 1 l",
            "ZDIFFSTORE o 2 k k",
            "ZUNIONSTORE o 1 l",
            "ZRANGESTORE k k 0 -1",
            "ZRANGESTORE o k 5 6",
        ],
    ),
    (
        "GEOADD k 13.361389 38.115556 a 15.087269 37.502669 b",
        &[
            "GEOADD k 13.361389 38.115556 a",
            "GEOADD k CH 13.361389 38.115557 a",
            "GEOADD k CH 14 38 a",
            "GEOADD k NX 14 38 a",
            "GEOADD k XX 14 38 x",
            "GEOADD o XX 14 38 x",
            "GEOADD k 14 38 c",
            "GEOADD k 14 98 c",
            "GEOSEARCHSTORE k k FROMLONLAT 15 37 BYRADIUS 900 km",
            "GEOSEARCHSTORE o k FROMLONLAT 15 37 BYRADIUS 1 m",
            "GEOSEARCHSTORE k k FROMLONLAT 15 37 BYRADIUS 1 m",
            "GEOSEARCHSTORE o none FROMLONLAT 15 37 BYRADIUS 1 m",
            "GEORADIUS k 15 37 900 km",
            "GEORADIUS k 15 37 900 km STORE o",
            "GEORADIUS k 15 37 1 m STOREDIST k",
            "GEORADIUS k 15 37 1 m STOREDIST o",
            "GEORADIUSBYMEMBER k a 900 km",
            "GEORADIUSBYMEMBER k a 900 km STORE k",
            "GEORADIUSBYMEMBER none a 900 km STORE k",
            "GEORADIUSBYMEMBER k none 900 km STORE k",
        ],
    ),
    (
        "XADD k 1-1 a b; XADD k 2-1 a b; XGROUP CREATE k g 0; XCLAIM k g c 0 1-1 FORCE JUSTID",
        &[
            "XADD k 3-1 a b",
            "XADD k MAXLEN 1 3-1 a b",
            "XADD k NOMKSTREAM 1-1 a b",
            "XADD o NOMKSTREAM 1-1 a b",
            "XDEL k 1-1",
            "XDEL k 5-1",
            "XDEL o 1-1",
            "XTRIM k MAXLEN 1",
            "XTRIM k MAXLEN 5",
            "XTRIM k MAXLEN ~ 1",
            "XSETID k 9-1",
            "XACK k g 1-1",
            "XACK k g 2-1",
            "XACK k none 1-1",
            "XCLAIM k g c 0 1-1 JUSTID",
            "XCLAIM k g d 0 1-1 JUSTID",
            "XCLAIM k g c 0 2-1 LASTID 7",
            "XAUTOCLAIM k g d 0 0 JUSTID",
            "XREADGROUP GROUP g c STREAMS k >",
            "XREADGROUP GROUP g c STREAMS k 0",
            "XREAD STREAMS k 0",
            "XGROUP CREATE k h 0",
            "XGROUP CREATE k g 0",
            "XGROUP CREATE o g 0",
            "XGROUP CREATE o g 0 MKSTREAM",
            "XGROUP SETID k g 0",
            "XGROUP DESTROY k g",
            "XGROUP DESTROY k none",
            "XGROUP CREATECONSUMER k g d",
            "XGROUP CREATECONSUMER k g c",
            "XGROUP DELCONSUMER k g c",
            "XGROUP DELCONSUMER k g none",
            "LPUSH k x",
        ],
    ),
];

/// The same of what Redis 7 lacks and Valkey 9 has.
const NEWER: &[(&str, &[&str])] = &[(
    "SET k a",
    &[
        "SET k b IFEQ a",
        "SET k b IFEQ x",
        "SET k a IFEQ a",
        "DELIFEQ k a",
        "DELIFEQ k x",
        "DELIFEQ none x",
        "MSETEX 1 k a",
        "MSETEX 2 o 1 l 2 NX",
        "MSETEX 2 k 1 l 2 NX",
        "MSETEX 1 k 1 XX EX 100",
    ],
)];

/// Commands that write elsewhere, or need another server.
const NOT_HERE: &[&str] = &["MIGRATE"];

/// Whether a transaction that watches keys runs after `line`, and what that answers.
fn outcome(watcher: &mut Wire, other: &mut Wire, before: &str, line: &str) -> String {
    for it in std::iter::once("FLUSHALL").chain(before.split("; ")) {
        other.ask(it);
    }
    watcher.ask("WATCH k o");
    let answer = other.ask(line);
    watcher.ask("MULTI");
    watcher.ask("PING");
    format!("{} (it answers {answer})", watcher.ask("EXEC"))
}

fn compare(real: Server, cases: &[(&str, &[&str])]) {
    let servers = [real, Server::entourage(&[])];
    let mut wires = servers.each_ref().map(|it| [it.dial(), it.dial()]);
    let mut found = String::new();
    for (before, lines) in cases {
        for line in *lines {
            let [real, ours] =
                wires.each_mut().map(|[watcher, other]| outcome(watcher, other, before, line));
            if real != ours {
                let _ = writeln!(found, "{before}; {line}: {ours}, really {real}");
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn a_watch_is_broken_by_the_writes_that_break_it_in_redis() {
    compare(Server::redis(&[]), CASES);
}

#[test]
fn a_watch_is_broken_by_newer_writes_as_in_valkey() {
    let Some(valkey) = Server::valkey() else { return };
    compare(valkey, NEWER);
}

#[test]
fn every_write_command_has_a_case() {
    let lines =
        CASES.iter().chain(NEWER).flat_map(|it| it.1.iter().copied().chain(it.0.split("; ")));
    let played: BTreeSet<&str> = lines.filter_map(|it| it.split(' ').next()).collect();
    let writes = table().top().filter(|it| it.spec.class == Class::Write);
    let missing: Vec<&str> = writes
        .map(|it| it.spec.name)
        .filter(|it| !played.contains(it) && !NOT_HERE.contains(it))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
