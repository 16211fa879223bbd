//! What job queues and locks do: scripts, functions, streams, hand-overs, messages. Single servers.

use crate::collections::nothing;
use crate::cpu;
use crate::drive::{Load, VALUE};
use crate::measure::{Fill, Row, measure};
use crate::options::Options;
use crate::peers::{Binaries, Party};
use crate::probes::histogram;
use crate::table::{SPEED_HEAD, Table, better, speed_row, verdict};
use crate::wire::{Wire, encode};
use std::thread;
use std::time::Instant;

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
    format!("{table}\n{}\n{}", hand_overs(&parties, options), messages(&parties, options))
}

const HAND_OVERS: u64 = 10_000;

/// Two clients that push to each other what the other waits for.
fn hand_overs(parties: &[Option<Party>], options: &Options) -> String {
    if !options.wants("BLPOP") {
        return String::new();
    }
    let mut table =
        Table::new(&["there and back", "p50 µs: redis · valkey · entourage", "× redis", "bar"]);
    let rounds = options.scaled(HAND_OVERS);
    let of = |it: &Option<Party>| ping_pong(it.as_ref()?, rounds).map_err(say).ok();
    let all: Vec<Option<f64>> = parties.iter().map(of).collect();
    let told = |it: &Option<f64>| it.map_or("n/a".to_owned(), |it| format!("{it:.0}"));
    let mut cells = vec!["BLPOP and RPUSH of two clients".to_owned()];
    cells.push(all.iter().map(told).collect::<Vec<_>>().join(" · "));
    cells.extend(verdict(all[2].zip(all[0]).map(|(ours, redis)| ours / redis), Some(1.0)));
    table.push(cells);
    table.to_string()
}

fn say(why: String) {
    eprintln!("side_by_side: {why}");
}

/// The median of a round, in microseconds.
fn ping_pong(party: &Party, rounds: u64) -> Result<f64, String> {
    let (mut here, mut there) = (party.dial()?, party.dial()?);
    here.ask(&["FLUSHALL"])?;
    let mut nanos = histogram();
    thread::scope(|scope| {
        let answers = scope.spawn(move || -> Result<(), String> {
            for _ in 0..rounds {
                there.ask(&["BLPOP", "there", "0"])?;
                there.ask(&["RPUSH", "back", "x"])?;
            }
            Ok(())
        });
        for _ in 0..rounds {
            let begun = Instant::now();
            here.ask(&["RPUSH", "there", "x"])?;
            here.ask(&["BLPOP", "back", "0"])?;
            nanos.record(begun.elapsed().as_nanos() as u64).map_err(|it| it.to_string())?;
        }
        answers.join().map_err(|_| "the other client panicked")?
    })?;
    Ok(nanos.value_at_quantile(0.5) as f64 / 1e3)
}

const SUBSCRIBERS: [u64; 3] = [1, 100, 10_000];
/// So many messages reach subscribers in a run; none fills a socket's buffer.
const DELIVERIES: u64 = 400_000;
const MESSAGES_MAX: u64 = 1_000;

/// What one message costs for each who receives it.
fn messages(parties: &[Option<Party>], options: &Options) -> String {
    if !options.wants("PUBLISH") {
        return String::new();
    }
    let head =
        ["PUBLISH to", "CPU µs/delivery: redis", "valkey", "entourage", "× better peer", "bar"];
    let mut table = Table::new(&head);
    for subscribers in SUBSCRIBERS {
        let of = |it: &Option<Party>| deliveries(it.as_ref()?, subscribers).map_err(say).ok();
        let all: Vec<Option<f64>> = parties.iter().map(of).collect();
        let mut cells = vec![format!("{subscribers} subscribers")];
        cells.extend(all.iter().map(|it| it.map_or("n/a".into(), |it| format!("{it:.2}"))));
        let ratio = all[2].zip(better(all[0], all[1])).map(|(ours, peer)| ours / peer);
        cells.extend(verdict(ratio, Some(1.05)));
        table.push(cells);
    }
    table.to_string()
}

/// CPU time of a delivery, in microseconds.
fn deliveries(party: &Party, subscribers: u64) -> Result<f64, String> {
    let mut publisher = party.dial()?;
    publisher.ask(&["CONFIG", "SET", "maxclients", "12000"])?;
    let subscribe = |_| {
        let mut wire = party.dial()?;
        wire.ask(&["SUBSCRIBE", "news"]).map(|_| wire)
    };
    let all: Vec<Wire> = (0..subscribers).map(subscribe).collect::<Result<_, String>>()?;
    cpu::wait_until_quiet(&party.pids());
    let messages = (DELIVERIES / subscribers).min(MESSAGES_MAX);
    let before = cpu::nanos(&party.pids());
    for _ in 0..messages {
        publisher.ask(&["PUBLISH", "news", VALUE])?;
    }
    cpu::wait_until_quiet(&party.pids());
    let nanos = cpu::nanos(&party.pids()) - before;
    drop(all);
    Ok(nanos as f64 / 1e3 / (messages * subscribers) as f64)
}

fn bar(depth: u64) -> Option<f64> {
    match depth {
        1 => Some(1.05),
        16 => Some(0.8),
        _ => None,
    }
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
