//! A storm of writes at the limit of memory, for each policy.

use crate::drive::{KEYS, Load, VALUE};
use crate::measure::{Fill, Row, measure};
use crate::options::Options;
use crate::peers::Binaries;
use crate::table::{SPEED_HEAD, Table, speed_row};
use crate::wire::encode;

/// Some half of what all keys would need.
const LIMIT: &str = "8mb";
const DEPTHS: [u64; 2] = [1, 16];
/// All have a deadline, so that every policy finds some.
const SET: Load = Load::Repeat(&["SET", "key:__rand_int__", VALUE, "EX", "100000"]);

const ROWS: [Row; 7] = [
    Row { name: "allkeys-lru", fill: |_| at_limit("allkeys-lru"), load: SET },
    Row { name: "allkeys-lfu", fill: |_| at_limit("allkeys-lfu"), load: SET },
    Row { name: "allkeys-random", fill: |_| at_limit("allkeys-random"), load: SET },
    Row { name: "volatile-lru", fill: |_| at_limit("volatile-lru"), load: SET },
    Row { name: "volatile-lfu", fill: |_| at_limit("volatile-lfu"), load: SET },
    Row { name: "volatile-random", fill: |_| at_limit("volatile-random"), load: SET },
    Row { name: "volatile-ttl", fill: |_| at_limit("volatile-ttl"), load: SET },
];

/// Single servers.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let (parties, mut table) = (binaries.start_all(0), Table::new(&SPEED_HEAD));
    for row in ROWS.iter().filter(|it| it.wanted(options)) {
        for depth in options.depths_or(&DEPTHS) {
            let requests = options.requests_at(depth);
            let samples = measure(row, &parties, options.effort(depth, requests));
            let bar = if depth == 1 { 1.05 } else { 0.8 };
            table.push(speed_row(row.name, depth, &samples, Some(bar)));
        }
    }
    table.to_string()
}

fn at_limit(policy: &'static str) -> Fill {
    let limit = [("maxmemory-policy", policy), ("maxmemory", LIMIT)];
    let limit = limit.map(|(name, value)| encode(&["CONFIG", "SET", name, value]));
    let set = |it| encode(&["SET", &format!("key:{it:012}"), VALUE, "EX", "100000"]);
    Box::new(limit.into_iter().chain((0..KEYS).map(set)))
}
