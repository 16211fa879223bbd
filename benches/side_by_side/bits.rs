//! Bitmaps, HyperLogLogs and places: single servers.

use crate::collections::{in_bunches, nothing};
use crate::drive::{Load, VALUE};
use crate::measure::{Fill, Row, measure};
use crate::options::Options;
use crate::peers::Binaries;
use crate::table::{SPEED_HEAD, Table, speed_row};
use crate::wire::encode;

const DEPTHS: [u64; 2] = [1, 16];
const MB: usize = 1 << 20;
/// How many places there are, 100 degrees by 10.
const PLACES: u64 = 100_000;

/// A row, and of how many requests there is one of it: some take a hundred times as long.
const ROWS: [(Row, u64); 8] = [
    (row("SETBIT", nothing, &["SETBIT", "key:__rand_int__", "7", "1"]), 1),
    (row("GETBIT", bitmaps, &["GETBIT", "a", "4194304"]), 1),
    (row("BITCOUNT", bitmaps, &["BITCOUNT", "a"]), 20),
    (row("BITOP", bitmaps, &["BITOP", "AND", "to", "a", "b", "c"]), 50),
    (row("PFADD", nothing, &["PFADD", "counted", "element:__rand_int__"]), 1),
    (row("PFCOUNT", counted, &["PFCOUNT", "counted"]), 1),
    (
        row(
            "GEOADD",
            nothing,
            &["GEOADD", "places", "__rand_int__e-3", "__rand_int__e-4", "place:__rand_int__"],
        ),
        2,
    ),
    (
        row(
            "GEOSEARCH",
            places,
            &[
                "GEOSEARCH",
                "places",
                "FROMLONLAT",
                "50",
                "5",
                "BYRADIUS",
                "50",
                "km",
                "ASC",
                "COUNT",
                "10",
            ],
        ),
        5,
    ),
];

const fn row(name: &'static str, fill: fn(u64) -> Fill, words: &'static [&'static str]) -> Row {
    Row { name, fill, load: Load::Repeat(words) }
}

/// Every row at every depth.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let parties = binaries.start_all(0);
    let mut table = Table::new(&SPEED_HEAD);
    for (row, one_of) in ROWS.iter().filter(|it| options.wants(it.0.name)) {
        for depth in options.depths_or(&DEPTHS) {
            let requests = options.requests_at(depth) / 2 / one_of;
            let samples = measure(row, &parties, options.effort(depth, requests));
            table.push(speed_row(row.name, depth, &samples, bar(depth)));
        }
    }
    table.to_string()
}

fn bar(depth: u64) -> Option<f64> {
    match depth {
        1 => Some(1.05),
        16 => Some(0.8),
        _ => None,
    }
}

/// Three of a megabyte.
fn bitmaps(_requests: u64) -> Fill {
    Box::new(["a", "b", "c"].into_iter().map(|key| {
        let text = format!("{key}{VALUE}");
        let value: String = text.chars().cycle().take(MB).collect();
        encode(&["SET".to_owned(), key.to_owned(), value])
    }))
}

fn counted(_requests: u64) -> Fill {
    in_bunches(PLACES, |it| vec![format!("element:{it}")], &["PFADD", "counted"])
}

fn places(_requests: u64) -> Fill {
    let place = |it: u64| {
        let (east, north) = (it * 7919 % PLACES, it * 104_729 % PLACES);
        vec![format!("{east}e-3"), format!("{north}e-4"), format!("place:{it}")]
    };
    in_bunches(PLACES, place, &["GEOADD", "places"])
}
