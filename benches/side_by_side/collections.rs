//! Lists, sets, hashes and sorted sets, and MSET: single servers.

use crate::drive::{KEYS, Load, VALUE};
use crate::measure::{Fill, Row, measure};
use crate::options::Options;
use crate::peers::Binaries;
use crate::table::{SPEED_HEAD, Table, speed_row};
use crate::wire::encode;

const MEMBER: &str = "element:__rand_int__";
const PAIR: [&str; 2] = ["key:__rand_int__", VALUE];
const MSET: [&str; 21] = {
    let mut words = ["MSET"; 21];
    let mut at = 1;
    while at < words.len() {
        words[at] = PAIR[(at - 1) % 2];
        at += 1;
    }
    words
};

const ROWS: [Row; 12] = [
    Row { name: "LPUSH", fill: nothing, load: Load::Repeat(&["LPUSH", "list", VALUE]) },
    Row { name: "RPOP", fill: list_to_drain, load: Load::Repeat(&["RPOP", "list"]) },
    Row { name: "LRANGE_100", fill: list, load: Load::Repeat(&["LRANGE", "list", "0", "99"]) },
    Row { name: "SADD", fill: nothing, load: Load::Repeat(&["SADD", "set", MEMBER]) },
    Row { name: "SPOP", fill: set_to_drain, load: Load::Repeat(&["SPOP", "set"]) },
    Row { name: "HSET", fill: nothing, load: Load::Repeat(&["HSET", "hash", MEMBER, VALUE]) },
    Row { name: "HGETALL", fill: hashes, load: Load::Repeat(&["HGETALL", "hash:__rand_int__"]) },
    Row {
        name: "ZADD",
        fill: nothing,
        load: Load::Repeat(&["ZADD", "zset", "__rand_int__", MEMBER]),
    },
    Row { name: "ZPOPMIN", fill: zset_to_drain, load: Load::Repeat(&["ZPOPMIN", "zset"]) },
    Row { name: "ZRANGE", fill: zset, load: Load::Repeat(&["ZRANGE", "zset", "50000", "50009"]) },
    Row { name: "ZRANK", fill: zset, load: Load::Repeat(&["ZRANK", "zset", MEMBER]) },
    Row { name: "MSET", fill: nothing, load: Load::Repeat(&MSET) },
];
const DEPTHS: [u64; 2] = [1, 16];
/// Elements per filling command.
const BUNCH: u64 = 100;

/// Every row at every depth.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let parties = binaries.start_all(0);
    let mut table = Table::new(&SPEED_HEAD);
    for row in ROWS.iter().filter(|it| options.wants(it.name)) {
        for depth in options.depths_or(&DEPTHS) {
            // Half of what a plain SET gets: a command here does more.
            let requests = options.requests_at(depth) / 2;
            let effort = options.effort(depth, requests);
            let samples = measure(row, &parties, effort);
            table.push(speed_row(row.name, depth, &samples, bar(depth)));
        }
    }
    table.to_string()
}

fn bar(depth: u64) -> Option<f64> {
    match depth {
        1 => Some(1.1),
        16 => Some(0.9),
        _ => None,
    }
}

/// No data.
pub fn nothing(_requests: u64) -> Fill {
    Box::new(std::iter::empty())
}

fn list(_requests: u64) -> Fill {
    in_bunches(1000, |_| vec![VALUE.into()], &["RPUSH", "list"])
}

fn list_to_drain(requests: u64) -> Fill {
    in_bunches(requests, |_| vec![VALUE.into()], &["RPUSH", "list"])
}

fn set_to_drain(requests: u64) -> Fill {
    in_bunches(requests, |it| vec![member(it)], &["SADD", "set"])
}

fn zset(_requests: u64) -> Fill {
    zset_to_drain(KEYS)
}

fn zset_to_drain(requests: u64) -> Fill {
    in_bunches(requests, |it| vec![it.to_string(), member(it)], &["ZADD", "zset"])
}

/// Ten fields in each: small enough to stay in a peer's compact form.
fn hashes(_requests: u64) -> Fill {
    Box::new((0..KEYS).map(|hash| {
        let mut words = vec!["HSET".to_owned(), format!("hash:{hash:012}")];
        words.extend((0..10).flat_map(|it| [format!("field:{it}"), format!("value:{hash}:{it}")]));
        encode(&words)
    }))
}

fn member(index: u64) -> String {
    format!("element:{index:012}")
}

/// `count` elements, `BUNCH` to a command that starts with `head`.
pub fn in_bunches(
    count: u64,
    element: fn(u64) -> Vec<String>,
    head: &'static [&'static str],
) -> Fill {
    Box::new((0..count).step_by(BUNCH as usize).map(move |from| {
        let mut words: Vec<String> = head.iter().map(|it| it.to_string()).collect();
        words.extend((from..count.min(from + BUNCH)).flat_map(element));
        encode(&words)
    }))
}
