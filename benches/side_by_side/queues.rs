//! What job queues and locks do: scripts, functions, streams. Single servers.

use crate::drive::{Load, VALUE};
use crate::measure::{Fill, Row, measure};
use crate::options::Options;
use crate::peers::Binaries;
use crate::table::{SPEED_HEAD, Table, speed_row};
use crate::wire::encode;

const COUNTER: &str = "counter:__rand_int__";
const COUNTS: &str = "return redis.call('INCR', KEYS[1])";
const LOOPS: &str = "for i = 1, 1000 do redis.call('INCR', KEYS[1]) end";
const LIBRARY: &str = "#!lua name=counts\nredis.register_function('count', function(keys) return \
                       redis.call('INCR', keys[1]) end)";
/// Commands that a script of `EVAL_LOOP` calls.
const CALLS: u64 = 1000;

const ROWS: [Row; 6] = [
    Row { name: "EVAL", fill: nothing, load: Load::Repeat(&["EVAL", COUNTS, "1", COUNTER]) },
    Row { name: EVAL_LOOP, fill: nothing, load: Load::Repeat(&["EVAL", LOOPS, "1", "counter"]) },
    Row { name: "FCALL", fill: library, load: Load::Repeat(&["FCALL", "count", "1", COUNTER]) },
    Row {
        name: "XADD",
        fill: nothing,
        load: Load::Repeat(&["XADD", "stream", "MAXLEN", "~", "100000", "*", "field", VALUE]),
    },
    Row {
        name: "XRANGE_100",
        fill: stream,
        load: Load::Repeat(&["XRANGE", "stream", "500", "+", "COUNT", "100"]),
    },
    Row {
        name: "XREADGROUP",
        fill: group,
        load: Load::Repeat(&[
            "XREADGROUP",
            "GROUP",
            "group",
            "consumer",
            "COUNT",
            "1",
            "STREAMS",
            "stream",
            ">",
        ]),
    },
];
const EVAL_LOOP: &str = "EVAL_LOOP";
const DEPTHS: [u64; 2] = [1, 16];

/// Every row at every depth.
pub fn table(binaries: &Binaries, options: &Options) -> String {
    let parties = binaries.start_all(0);
    let mut table = Table::new(&SPEED_HEAD);
    for row in ROWS.iter().filter(|it| options.wants(it.name)) {
        for depth in options.depths_or(&DEPTHS) {
            let requests = options.requests_at(depth) / 2;
            let requests = if row.name == EVAL_LOOP { 20 * requests / CALLS } else { requests };
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

fn nothing(_requests: u64) -> Fill {
    Box::new(std::iter::empty())
}

fn library(_requests: u64) -> Fill {
    Box::new(std::iter::once(encode(&["FUNCTION", "LOAD", "REPLACE", LIBRARY])))
}

fn stream(requests: u64) -> Fill {
    let entries = requests.max(1000);
    let add = |it: u64| encode(&["XADD", "stream", &format!("{}-0", it + 1), "field", VALUE]);
    Box::new((0..entries).map(add))
}

fn group(requests: u64) -> Fill {
    let create = encode(&["XGROUP", "CREATE", "stream", "group", "0"]);
    Box::new(stream(requests).chain(std::iter::once(create)))
}
