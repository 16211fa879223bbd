//! What one command on a million elements costs beside redis-server: `cargo bench --bench
//! long_commands`.
//!
//! ```text
//! cargo bench --bench long_commands -- --rounds 9 --entourage PATH --only SINTERSTORE,RESTORE
//! ```
//!
//! CPU of all threads and processes until they have come to rest: what replicas repeat and what
//! is freed in the background is part of a command's cost. Both servers run with one worker and are
//! asked in turn. What a command takes away or replaces is restored before each round from a payload
//! of its own, so that no memory is shared with what stays. Tables go to stdout as Markdown,
//! progress to stderr.

#[allow(dead_code)]
#[path = "side_by_side/cpu.rs"]
mod cpu;
#[allow(dead_code)]
#[path = "side_by_side/fillings.rs"]
mod fillings;
#[allow(dead_code)]
#[path = "side_by_side/peers.rs"]
mod peers;
#[allow(dead_code)]
#[path = "side_by_side/wire.rs"]
mod wire;

use clap::Parser;
use fillings::{FILLINGS, Filling, Payloads};
use options::Options;
use peers::{Binaries, Kind, Party};
use wire::Wire;

/// The command line, under the name by which the shared modules know it.
mod options {
    use std::path::PathBuf;

    /// Measures commands on large collections beside redis-server.
    #[derive(clap::Parser)]
    pub struct Options {
        /// Rounds per figure; the median counts.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        pub rounds: u32,
        /// Elements of each collection; half as many are taken out.
        #[arg(long, default_value_t = 1_000_000)]
        pub elements: usize,
        /// Replicas: hosted ones, and as many processes of redis-server.
        #[arg(long, default_value_t = 0)]
        pub replicas: u32,
        /// Only rows whose name contains one of these.
        #[arg(long, value_delimiter = ',')]
        pub only: Vec<String>,
        /// Another binary in Entourage's place; `ENTOURAGE_BIN` names one, too.
        #[arg(long, value_name = "PATH")]
        pub entourage: Option<PathBuf>,
        /// Given by `cargo bench`; means nothing here.
        #[arg(long, hide = true)]
        bench: bool,
    }

    impl Options {
        pub fn wants(&self, row: &str) -> bool {
            self.only.is_empty() || self.only.iter().any(|it| row.contains(it.as_str()))
        }
    }
}

const BAR_ALONE: f64 = 1.0;
/// Against all of redis' processes.
const BAR_WITH_REPLICAS: f64 = 0.7;
/// What is done before a round, and not measured.
#[derive(Clone, Copy)]
enum Before {
    /// The destination is deleted.
    Absent,
    /// `x` is restored from this key's payload.
    Fresh(&'static str),
}

/// What is measured.
#[derive(Clone, Copy)]
enum Measured {
    /// These words; `{half}` is half the number of elements.
    Words(&'static str),
    /// These words and half of the elements of a collection: all words of each where they are put
    /// in, else their names.
    Named(&'static str, &'static str),
    /// RESTORE of this key's payload.
    Restore(&'static str),
}

type Row = (&'static str, Before, Measured);

const fn made(words: &'static str) -> Row {
    (words, Before::Absent, Measured::Words(words))
}

const fn taken(from: &'static str, words: &'static str) -> Row {
    (words, Before::Fresh(from), Measured::Words(words))
}

const fn named(before: Before, name: &'static str, of: &'static str, words: &'static str) -> Row {
    (name, before, Measured::Named(words, of))
}

const fn restored(name: &'static str, key: &'static str) -> Row {
    (name, Before::Absent, Measured::Restore(key))
}

const ROWS: &[Row] = &[
    // What the measuring itself costs, in every other row too.
    made("PING"),
    made("SINTERSTORE d set set"),
    made("SINTERSTORE d set half"),
    made("SINTERSTORE d ints ints"),
    made("SUNIONSTORE d set half"),
    made("SUNIONSTORE d ints set"),
    made("SDIFFSTORE d set half"),
    made("SDIFFSTORE d set ints"),
    made("ZUNIONSTORE d 2 zset zhalf"),
    made("ZUNIONSTORE d 1 set"),
    made("ZINTERSTORE d 2 zset zhalf"),
    made("ZDIFFSTORE d 2 zset zhalf"),
    made("ZRANGESTORE d zset 0 -1"),
    made("ZRANGESTORE d zset -inf +inf BYSCORE"),
    made("SORT numbers STORE d"),
    made("SORT list ALPHA STORE d"),
    made("SORT ints STORE d"),
    made("SORT list BY nosort STORE d"),
    made("COPY set d"),
    made("COPY ints d"),
    made("COPY hash d"),
    made("COPY zset d"),
    made("COPY list d"),
    restored("RESTORE of set", "set"),
    restored("RESTORE of ints", "ints"),
    restored("RESTORE of hash", "hash"),
    restored("RESTORE of zset", "zset"),
    restored("RESTORE of list", "list"),
    ("DEL set", Before::Fresh("set"), Measured::Words("DEL x")),
    ("DEL hash", Before::Fresh("hash"), Measured::Words("DEL x")),
    ("DEL zset", Before::Fresh("zset"), Measured::Words("DEL x")),
    ("DEL list", Before::Fresh("list"), Measured::Words("DEL x")),
    ("UNLINK set", Before::Fresh("set"), Measured::Words("UNLINK x")),
    ("UNLINK hash", Before::Fresh("hash"), Measured::Words("UNLINK x")),
    ("UNLINK zset", Before::Fresh("zset"), Measured::Words("UNLINK x")),
    named(Before::Fresh("set"), "SREM of half", "set", "SREM x"),
    named(Before::Fresh("hash"), "HDEL of half", "hash", "HDEL x"),
    named(Before::Fresh("zset"), "ZREM of half", "zset", "ZREM x"),
    named(Before::Absent, "SADD of half", "set", "SADD d"),
    named(Before::Absent, "HSET of half", "hash", "HSET d"),
    named(Before::Absent, "ZADD of half", "zset", "ZADD d"),
    named(Before::Absent, "RPUSH of half", "list", "RPUSH d"),
    named(Before::Absent, "LPUSH of half", "list", "LPUSH d"),
    named(Before::Absent, "SMISMEMBER of half", "set", "SMISMEMBER set"),
    named(Before::Absent, "HMGET of half", "hash", "HMGET hash"),
    named(Before::Absent, "ZMSCORE of half", "zset", "ZMSCORE zset"),
    taken("zset", "ZREMRANGEBYRANK x 0 {half}"),
    taken("zset", "ZREMRANGEBYSCORE x -inf {half}"),
    taken("set", "SPOP x {half}"),
    ("SPOP of ints", Before::Fresh("ints"), Measured::Words("SPOP x {half}")),
    taken("zset", "ZPOPMIN x {half}"),
    taken("zset", "ZPOPMAX x {half}"),
    taken("list", "LPOP x {half}"),
    taken("list", "RPOP x {half}"),
    taken("list", "LTRIM x {half} -1"),
    taken("list", "LREM x 0 member:000000007"),
    made("SMEMBERS set"),
    made("SINTER set half"),
    made("SUNION set half"),
    made("SDIFF set half"),
    made("HGETALL hash"),
    made("LRANGE list 0 -1"),
    made("ZRANGE zset 0 -1 WITHSCORES"),
    made("ZUNION 2 zset zhalf"),
    made("SORT numbers"),
    made("SRANDMEMBER set {half}"),
    made("HRANDFIELD hash {half}"),
    made("ZRANDMEMBER zset {half}"),
    made("ZREVRANGE zset 0 -1"),
    made("ZRANGEBYSCORE zset -inf +inf"),
    made("HVALS hash"),
    made("LPOS list none"),
    made("DUMP set"),
    made("DUMP hash"),
    made("DUMP zset"),
    made("DUMP list"),
];

/// A server, a connection to it, and what it has been filled with.
struct Server {
    party: Party,
    wire: Wire,
    payloads: Payloads,
}

impl Server {
    fn start(binaries: &Binaries, kind: Kind, options: &Options) -> Result<Server, String> {
        let party = binaries.start(kind, options.replicas).ok_or("a server does not start")?;
        let wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
        Ok(Server { party, wire, payloads: Payloads::default() })
    }

    /// CPU in ms that this row's command takes once.
    fn round(&mut self, (_, before, measured): Row, elements: usize) -> Result<f64, String> {
        self.wire.ask(&["UNLINK", "d", "x"])?;
        if let Before::Fresh(from) = before {
            self.wire.ask_long(&self.payloads.restore("x", from))?;
        }
        let command = self.command(measured, elements);
        let pids = self.party.pids();
        cpu::wait_until_quiet(&pids);
        let begun = cpu::nanos(&pids);
        self.wire.ask_long(&command)?;
        cpu::wait_until_quiet(&pids);
        Ok((cpu::nanos(&pids) - begun) as f64 / 1e6)
    }

    fn command(&self, measured: Measured, elements: usize) -> Vec<u8> {
        let half = (elements / 2).to_string();
        match measured {
            Measured::Restore(key) => self.payloads.restore("d", key),
            Measured::Words(words) => {
                let words = words.replace("{half}", &half);
                wire::encode(&words.split(' ').collect::<Vec<_>>())
            }
            Measured::Named(words, key) => {
                let of = Filling::of(key);
                let half = of.numbers(elements).take(elements / 2);
                let said: Vec<String> = match words.starts_with(of.command) {
                    true => half.flat_map(of.words).collect(),
                    false => half.map(|it| name_of(of, it)).collect(),
                };
                let words = words.split(' ').map(str::to_owned);
                wire::encode(&words.chain(said).collect::<Vec<_>>())
            }
        }
    }
}

/// The name of the element of this number.
fn name_of(filling: &Filling, at: usize) -> String {
    let words = (filling.words)(at);
    words[usize::from(filling.command == "ZADD")].clone()
}

/// The collections that a row needs.
fn collections((_, before, measured): Row) -> Vec<&'static str> {
    let fresh = match before {
        Before::Fresh(key) => Some(key),
        Before::Absent => None,
    };
    let measured = match measured {
        Measured::Words(words) => words,
        Measured::Named(_, key) | Measured::Restore(key) => key,
    };
    let keys = FILLINGS.iter().map(|it| it.key);
    keys.filter(|it| fresh == Some(it) || measured.split(' ').any(|word| word == *it)).collect()
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn measure(servers: &mut [Server; 2], row: Row, options: &Options) -> Result<[f64; 2], String> {
    for server in servers.iter_mut() {
        for key in collections(row) {
            server.payloads.fill(&mut server.wire, key, options.elements)?;
        }
    }
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..options.rounds {
        for (server, times) in servers.iter_mut().zip(&mut rounds) {
            times.push(server.round(row, options.elements)?);
        }
    }
    Ok(rounds.map(median))
}

fn main() {
    let options = Options::parse();
    let binaries = Binaries::find(&options);
    println!("{}\n", binaries.caption());
    let started = [Kind::Redis, Kind::Entourage].map(|it| Server::start(&binaries, it, &options));
    let mut servers = match started {
        [Ok(redis), Ok(entourage)] => [redis, entourage],
        [Err(why), _] | [_, Err(why)] => {
            eprintln!("long_commands: {why}");
            std::process::exit(1)
        }
    };
    let bar = if options.replicas == 0 { BAR_ALONE } else { BAR_WITH_REPLICAS };
    println!(
        "### CPU of one command, {} elements, {} replicas\n",
        options.elements, options.replicas
    );
    println!("| command | redis, ms | entourage, ms | × redis | bar {bar:.1} |");
    println!("| --- | --- | --- | --- | --- |");
    for row in ROWS.iter().filter(|it| options.wants(it.0)) {
        let (name, ..) = *row;
        match measure(&mut servers, *row, &options) {
            Err(why) => println!("| {name} | {} | | | |", why.trim_end()),
            Ok([redis, entourage]) => {
                let ratio = entourage / redis;
                let verdict = if ratio <= bar { "met" } else { "missed" };
                println!("| {name} | {redis:.1} | {entourage:.1} | {ratio:.2} | {verdict} |");
            }
        }
    }
}
