//! What single commands cost as what they work on grows: `cargo bench --bench growth`, and with
//! `-- --quick` up to a million elements instead of ten million. Prints a table in Markdown.
//!
//! A bare engine in this process, without a server around it. Means come from runs of prepared
//! requests without a look at the clock between them; the slowest come from a second run with one.

use entourage::base::random::Random;
use entourage::base::time::WallMs;
use entourage::command::{Args, CallEnv};
use entourage::engine::{Effects, Engine, Row, Run, Thresholds, verbs};
use entourage::resp::{OwnedRequest, Protocol, Reply};
use hdrhistogram::Histogram;
use std::env;
use std::time::Instant;

const SIZES: [u64; 3] = [1_000, 100_000, 10_000_000];
const QUICK_SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
/// Requests of each of the two runs, prepared so many at a time.
const REQUESTS: usize = 200_000;
const PREPARED: usize = 1_000;
/// A minute: nothing measured here may take longer.
const SLOWEST_NS_MAX: u64 = 60_000_000_000;
const NOW: WallMs = WallMs(1_700_000_000_000);

/// The words of a command about the element of this number.
type Says = fn(u64) -> String;

/// Something that grows, and the commands that are asked of it.
struct Subject {
    fill: Says,
    asks: &'static [Ask],
}

/// Shares of all elements, one in so many, that are taken out at once.
const SHARES: [u64; 3] = [10, 2, 1];

/// A command that takes out many elements at once, at a key where `fill` puts them.
struct Bulk {
    fill: Says,
    says: Says,
}

const BULKS: &[Bulk] = &[
    Bulk {
        fill: |it| format!("ZADD zset {} member:{it}", score(it)),
        says: |count| format!("ZREMRANGEBYRANK zset 0 {}", count - 1),
    },
    Bulk {
        fill: |it| format!("ZADD zset {} member:{it}", score(it)),
        says: |count| format!("ZPOPMIN zset {count}"),
    },
    Bulk { fill: |it| format!("SADD set member:{it}"), says: |count| format!("SPOP set {count}") },
    Bulk {
        fill: |it| format!("RPUSH list element:{it}"),
        says: |count| format!("LPOP list {count}"),
    },
];

/// A command that is measured.
struct Ask {
    says: Says,
    of: Of,
}

/// The elements that a command is asked about, by chance.
#[derive(Clone, Copy)]
enum Of {
    /// Those that are there.
    Present,
    /// As many others as those that are there.
    HalfNew,
}

const SUBJECTS: &[Subject] = &[
    Subject {
        fill: |it| format!("SET key:{it} value:{it}"),
        asks: &[
            Ask { says: |it| format!("GET key:{it}"), of: Of::Present },
            Ask { says: |it| format!("SET key:{it} other:{it}"), of: Of::HalfNew },
        ],
    },
    Subject {
        fill: |it| format!("RPUSH list element:{it}"),
        asks: &[
            Ask { says: |it| format!("LINDEX list {it}"), of: Of::Present },
            Ask { says: |it| format!("LPUSH list element:{it}"), of: Of::HalfNew },
        ],
    },
    Subject {
        fill: |it| format!("SADD set member:{it}"),
        asks: &[
            Ask { says: |it| format!("SISMEMBER set member:{it}"), of: Of::Present },
            Ask { says: |it| format!("SADD set member:{it}"), of: Of::HalfNew },
        ],
    },
    Subject {
        fill: |it| format!("HSET hash field:{it} value:{it}"),
        asks: &[
            Ask { says: |it| format!("HGET hash field:{it}"), of: Of::Present },
            Ask { says: |it| format!("HSET hash field:{it} other:{it}"), of: Of::HalfNew },
        ],
    },
    Subject {
        fill: |it| format!("ZADD zset {} member:{it}", score(it)),
        asks: &[
            Ask { says: |it| format!("ZSCORE zset member:{it}"), of: Of::Present },
            Ask { says: |it| format!("ZRANK zset member:{it}"), of: Of::Present },
            Ask { says: |it| format!("ZADD zset {} member:{it}", score(it + 1)), of: Of::HalfNew },
        ],
    },
];

/// Members come in an order that is not that of their scores.
fn score(number: u64) -> u64 {
    Random::new(number).below(1_000_000_000)
}

fn main() {
    let is_quick = env::args().any(|it| it == "--quick");
    println!("| command | elements | mean ns | p99.9 ns | max ns |");
    println!("|---|---:|---:|---:|---:|");
    for subject in SUBJECTS {
        for size in if is_quick { QUICK_SIZES } else { SIZES } {
            grow(subject, size);
        }
    }
    println!("\n| command | elements | taken | ms | ns per element taken |");
    println!("|---|---:|---:|---:|---:|");
    for bulk in BULKS {
        for size in QUICK_SIZES {
            SHARES.into_iter().for_each(|it| lose(bulk, size, size / it));
        }
    }
}

/// Prints a line for a command that takes `count` of `size` elements at once.
fn lose(bulk: &Bulk, size: u64, count: u64) {
    let mut bench = Bench::new();
    (0..size).for_each(|it| bench.run(&prepared(&(bulk.fill)(it))));
    let request = prepared(&(bulk.says)(count));
    let begun = Instant::now();
    bench.serve(&request);
    let spent = begun.elapsed().as_nanos() as f64;
    let name =
        request.borrow().get(0).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let (ms, each) = (spent / 1e6, spent / count as f64);
    println!("| {name} | {size} | {count} | {ms:.2} | {each:.1} |");
}

/// Prints a line for each command that is asked of a subject of this size.
fn grow(subject: &Subject, size: u64) {
    let mut bench = Bench::new();
    (0..size).for_each(|it| bench.run(&prepared(&(subject.fill)(it))));
    for ask in subject.asks {
        let name = (ask.says)(0).split(' ').next().unwrap_or_default().to_owned();
        let of = match ask.of {
            Of::Present => size,
            Of::HalfNew => 2 * size,
        };
        let mean = bench.mean(ask.says, of);
        let each = bench.each(ask.says, of);
        let (slow, slowest) = (each.value_at_quantile(0.999), each.max());
        println!("| {name} | {size} | {mean:.0} | {slow} | {slowest} |");
    }
}

fn prepared(line: &str) -> OwnedRequest {
    OwnedRequest::of(line.split(' '))
}

/// An engine with all that a request needs.
struct Bench {
    engine: Engine,
    env: CallEnv,
    effects: Effects,
    reply: Reply,
    random: Random,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            engine: Engine::new(1, Thresholds::default()),
            env: CallEnv::new(NOW, 1),
            effects: Effects::default(),
            reply: Reply::new(Protocol::Resp2),
            random: Random::new(1),
        }
    }

    fn prepare(&mut self, says: Says, of: u64) -> Vec<OwnedRequest> {
        (0..PREPARED).map(|_| prepared(&says(self.random.below(of)))).collect()
    }

    fn mean(&mut self, says: Says, of: u64) -> f64 {
        let mut spent = 0;
        for _ in 0..REQUESTS / PREPARED {
            let requests = self.prepare(says, of);
            let begun = Instant::now();
            requests.iter().for_each(|it| self.run(it));
            spent += begun.elapsed().as_nanos();
        }
        spent as f64 / REQUESTS as f64
    }

    fn each(&mut self, says: Says, of: u64) -> Histogram<u64> {
        let mut each = Histogram::new_with_max(SLOWEST_NS_MAX, 3).expect("bounds of a histogram");
        for _ in 0..REQUESTS / PREPARED {
            for request in self.prepare(says, of) {
                let begun = Instant::now();
                self.run(&request);
                each.saturating_record(begun.elapsed().as_nanos() as u64);
            }
        }
        each
    }

    fn run(&mut self, owned: &OwnedRequest) {
        self.serve(owned);
        self.engine.written_mut().deferred_frees.clear();
    }

    /// What a command costs whoever waits for it: the dead are freed elsewhere.
    fn serve(&mut self, owned: &OwnedRequest) {
        let request = owned.borrow();
        let row: &Row = verbs::find(request.get(0).unwrap_or_default()).expect("a known command");
        let args = Args::new(request, 1, 0, &self.env);
        let mark = self.reply.mark();
        self.effects.clear();
        let done = match row.run {
            Run::Read(verb) => self.engine.read(verb, args, &mut self.reply),
            Run::Write(verb) => {
                self.engine.write(&row.spec, verb, args, &mut self.effects, &mut self.reply)
            }
            Run::Blocking(_) | Run::ReadOrWait { .. } | Run::Either { .. } | Run::Container(_) => {
                unreachable!("not measured")
            }
        };
        done.unwrap_or_else(|fault| panic!("{fault}"));
        self.reply.cut(mark);
    }
}
