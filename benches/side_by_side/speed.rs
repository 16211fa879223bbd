//! SET, GET and their mix: single servers, then whole replica sets.

use crate::drive::{KEYS, Load, VALUE};
use crate::measure::{Effort, Fill, Row, measure};
use crate::options::Options;
use crate::peers::{Binaries, Party};
use crate::table::{SPEED_HEAD, Table, speed_row};
use crate::wire::encode;

/// What both this section and the one on metrics send.
pub const ROWS: [Row; 3] = [
    Row { name: "SET", fill: strings, load: Load::Repeat(&["SET", "key:__rand_int__", VALUE]) },
    Row { name: "GET", fill: strings, load: Load::Repeat(&["GET", "key:__rand_int__"]) },
    Row { name: "MIXED 10:1", fill: strings, load: Load::Mixed },
];
const DEPTHS: [u64; 3] = [1, 16, 64];

/// Entourage without replicas beside one peer each.
pub fn single(binaries: &Binaries, options: &Options) -> String {
    table(&binaries.start_all(0), options, |name, depth| match (name, depth) {
        ("SET", 1) => Some(1.1),
        ("SET", 16) => Some(0.95),
        ("SET", 64) => Some(0.8),
        ("GET", 1) => Some(1.15),
        ("GET", 16 | 64) => Some(1.0),
        _ => None,
    })
}

/// Entourage with two hosted replicas beside a peer's master and two replicas, all three of the
/// peer's processes counted.
pub fn set(binaries: &Binaries, options: &Options) -> String {
    table(&binaries.start_all(2), options, |name, depth| match (name, depth) {
        ("SET", _) => Some(0.6),
        ("GET", 1) => Some(1.15),
        ("GET", 16 | 64) => Some(1.0),
        _ => None,
    })
}

type Bars = fn(&str, u64) -> Option<f64>;

fn table(parties: &[Option<Party>], options: &Options, bars: Bars) -> String {
    let mut table = Table::new(&SPEED_HEAD);
    for row in ROWS.iter().filter(|it| it.wanted(options)) {
        for depth in options.depths_or(&DEPTHS) {
            let requests = options.requests_at(depth);
            let effort = Effort { rounds: options.rounds, depth, requests };
            let samples = measure(row, parties, effort);
            table.push(speed_row(row.name, depth, &samples, bars(row.name, depth)));
        }
    }
    table.to_string()
}

fn strings(_requests: u64) -> Fill {
    Box::new((0..KEYS).map(|it| encode(&["SET", &format!("key:{it:012}"), VALUE])))
}
