//! SET, GET and their mix: single servers, then whole replica sets.

use crate::drive::{KEYS, Load, VALUE};
use crate::measure::{Fill, Row, measure};
use crate::options::Options;
use crate::peers::{Binaries, Party};
use crate::table::{SPEED_HEAD, Table, speed_row};
use crate::wire::encode;

/// What both this section and the one on metrics send.
pub const ROWS: [Row; 3] = [
    SET,
    Row { name: "GET", fill: strings, load: Load::Repeat(&["GET", "key:__rand_int__"]) },
    Row { name: "MIXED 10:1", fill: strings, load: Load::Mixed },
];
pub const SET: Row =
    Row { name: "SET", fill: strings, load: Load::Repeat(&["SET", "key:__rand_int__", VALUE]) };
const DEPTHS: [u64; 3] = [1, 16, 64];

/// Entourage without replicas beside one peer each.
pub fn single(binaries: &Binaries, options: &Options) -> String {
    let bars: Bars = |name, depth| match (name, depth) {
        ("SET" | "GET", 1) => Some(1.0),
        ("SET" | "GET", 16) => Some(0.65),
        ("SET" | "GET", 64) => Some(0.5),
        _ => None,
    };
    table(&binaries.start_all(0), options, bars).0
}

/// Entourage with two hosted replicas beside a peer's master and two replicas, all three of the
/// peer's processes counted, until every replica has applied everything.
pub fn set(binaries: &Binaries, options: &Options) -> String {
    let bars: Bars = |name, depth| match (name, depth) {
        ("SET", 1) => Some(0.55),
        ("SET", 16) => Some(0.3),
        ("SET", 64) => Some(0.22),
        ("GET", 1) => Some(1.15),
        ("GET", 16 | 64) => Some(1.0),
        _ => None,
    };
    let (table, [redis, valkey, entourage]) = table(&binaries.start_all(2), options, bars);
    format!(
        "{table}\nReplicas cut off, with a full resync: redis {redis}, valkey {valkey}, \
         entourage {entourage} (bar: 0).\n"
    )
}

type Bars = fn(&str, u64) -> Option<f64>;

/// The table, and how often each party's replicas were cut off.
fn table(parties: &[Option<Party>], options: &Options, bars: Bars) -> (String, [u64; 3]) {
    let mut table = Table::new(&SPEED_HEAD);
    let mut full_resyncs = [0; 3];
    for row in ROWS.iter().filter(|it| it.wanted(options)) {
        for depth in options.depths_or(&DEPTHS) {
            let requests = options.requests_at(depth);
            let effort = options.effort(depth, requests);
            let samples = measure(row, parties, effort);
            for (sum, sample) in full_resyncs.iter_mut().zip(&samples) {
                *sum += sample.map_or(0, |it| it.full_resyncs);
            }
            table.push(speed_row(row.name, depth, &samples, bars(row.name, depth)));
        }
    }
    (table.to_string(), full_resyncs)
}

fn strings(_requests: u64) -> Fill {
    Box::new((0..KEYS).map(|it| encode(&["SET", &format!("key:{it:012}"), VALUE])))
}
