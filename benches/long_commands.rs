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
#[path = "side_by_side/peers.rs"]
mod peers;
#[allow(dead_code)]
#[path = "side_by_side/wire.rs"]
mod wire;

use clap::Parser;
use options::Options;
use peers::{Binaries, Kind, Party};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

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
/// Words of one command that fills a collection.
const FILL_WORDS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Ends a reply of any length: nothing in a collection looks like it.
const MARK: &str = "the-end-of-this-reply";

/// What a collection is filled with, and by which command.
struct Filling {
    key: &'static str,
    command: &'static str,
    /// The words for the element of this number.
    words: fn(usize) -> Vec<String>,
    /// The number of the first element, in parts of a hundred of all there are.
    from: usize,
}

const fn filling(
    key: &'static str,
    command: &'static str,
    from: usize,
    words: fn(usize) -> Vec<String>,
) -> Filling {
    Filling { key, command, words, from }
}

fn member(at: usize) -> Vec<String> {
    vec![format!("member:{at:09}")]
}

fn number(at: usize) -> Vec<String> {
    vec![(at * 7).to_string()]
}

fn pair(at: usize) -> Vec<String> {
    vec![format!("field:{at:09}"), format!("value:{at:09}")]
}

fn scored(at: usize) -> Vec<String> {
    vec![(at * 7919 % 1_000_003).to_string(), format!("member:{at:09}")]
}

/// A set of texts and another that has half of it, the same of sorted sets, and one of each other
/// kind.
const FILLINGS: &[Filling] = &[
    filling("set", "SADD", 0, member),
    filling("half", "SADD", 50, member),
    filling("ints", "SADD", 0, number),
    filling("hash", "HSET", 0, pair),
    filling("zset", "ZADD", 0, scored),
    filling("zhalf", "ZADD", 50, scored),
    filling("list", "RPUSH", 0, member),
    filling("numbers", "RPUSH", 0, number),
];

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

impl Filling {
    fn of(key: &str) -> &'static Filling {
        FILLINGS.iter().find(|it| it.key == key).expect("rows name collections that there are")
    }

    /// Numbers of all elements, well mixed.
    fn numbers(&self, elements: usize) -> impl Iterator<Item = usize> {
        const STRIDE: usize = 611_953;
        let from = elements * self.from / 100;
        // A list is in order; elsewhere each comes as if by chance.
        let stride = if self.command == "RPUSH" { 1 } else { STRIDE };
        (0..elements).map(move |it| from + it * stride % elements)
    }

    fn commands(&self, elements: usize) -> impl Iterator<Item = Vec<u8>> {
        let numbers: Vec<usize> = self.numbers(elements).collect();
        let chunks: Vec<Vec<usize>> = numbers.chunks(FILL_WORDS).map(<[usize]>::to_vec).collect();
        chunks.into_iter().map(|chunk| {
            let words = chunk.into_iter().flat_map(self.words);
            let head = [self.command.to_owned(), self.key.to_owned()];
            wire::encode(&head.into_iter().chain(words).collect::<Vec<_>>())
        })
    }

    /// The name of the element of this number.
    fn name(&self, at: usize) -> String {
        let words = (self.words)(at);
        words[usize::from(self.command == "ZADD")].clone()
    }
}

/// A server with a connection that takes replies of any size.
struct Server {
    party: Party,
    stream: TcpStream,
    payloads: HashMap<&'static str, Vec<u8>>,
}

impl Server {
    fn start(binaries: &Binaries, kind: Kind, options: &Options) -> Result<Server, String> {
        let party = binaries.start(kind, options.replicas).ok_or("a server does not start")?;
        let stream = TcpStream::connect(("127.0.0.1", party.port())).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        Ok(Server { party, stream, payloads: HashMap::new() })
    }

    /// Fills this collection unless it is there.
    fn fill(&mut self, key: &'static str, elements: usize) -> Result<(), String> {
        if self.payloads.contains_key(key) {
            return Ok(());
        }
        let mut wire = wire::Wire::dial(self.party.port()).map_err(text)?;
        wire.fill(Filling::of(key).commands(elements))?;
        let reply = self.ask(&wire::encode(&["DUMP", key]))?;
        let start = 2 + reply.windows(2).position(|it| it == b"\r\n").ok_or("no payload")?;
        self.payloads.insert(key, reply[start..reply.len() - 2].to_vec());
        cpu::wait_until_quiet(&self.party.pids());
        Ok(())
    }

    /// Sends a command and answers its whole reply.
    fn ask(&mut self, command: &[u8]) -> Result<Vec<u8>, String> {
        let mut writer = self.stream.try_clone().map_err(text)?;
        thread::scope(|scope| {
            // The reply may begin before the request has been taken.
            scope.spawn(move || {
                let _ = writer.write_all(command);
                let _ = writer.write_all(&wire::encode(&["ECHO", MARK]));
            });
            self.read_reply().map_err(text)
        })
        .and_then(|reply| match reply.first() {
            Some(b'-') => Err(String::from_utf8_lossy(&reply).into_owned()),
            _ => Ok(reply),
        })
    }

    fn read_reply(&mut self) -> io::Result<Vec<u8>> {
        let end = format!("${}\r\n{MARK}\r\n", MARK.len());
        let (mut reply, mut chunk) = (Vec::new(), vec![0; 1 << 20]);
        while !reply.ends_with(end.as_bytes()) {
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => reply.extend_from_slice(&chunk[..len]),
            }
        }
        reply.truncate(reply.len() - end.len());
        Ok(reply)
    }

    fn restore(&self, to: &str, from: &str) -> Vec<u8> {
        let payload = &self.payloads[from];
        let mut out = format!("*4\r\n$7\r\nRESTORE\r\n${}\r\n{to}\r\n", to.len()).into_bytes();
        out.extend_from_slice(format!("$1\r\n0\r\n${}\r\n", payload.len()).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        out
    }

    /// CPU in ms that this row's command takes once.
    fn round(&mut self, (_, before, measured): Row, elements: usize) -> Result<f64, String> {
        self.ask(&wire::encode(&["UNLINK", "d", "x"]))?;
        if let Before::Fresh(from) = before {
            let command = self.restore("x", from);
            self.ask(&command)?;
        }
        let command = self.command(measured, elements);
        let pids = self.party.pids();
        cpu::wait_until_quiet(&pids);
        let begun = cpu::nanos(&pids);
        self.ask(&command)?;
        cpu::wait_until_quiet(&pids);
        Ok((cpu::nanos(&pids) - begun) as f64 / 1e6)
    }

    fn command(&self, measured: Measured, elements: usize) -> Vec<u8> {
        let half = (elements / 2).to_string();
        match measured {
            Measured::Restore(key) => self.restore("d", key),
            Measured::Words(words) => {
                let words = words.replace("{half}", &half);
                wire::encode(&words.split(' ').collect::<Vec<_>>())
            }
            Measured::Named(words, key) => {
                let of = Filling::of(key);
                let half = of.numbers(elements).take(elements / 2);
                let said: Vec<String> = match words.starts_with(of.command) {
                    true => half.flat_map(of.words).collect(),
                    false => half.map(|it| of.name(it)).collect(),
                };
                let words = words.split(' ').map(str::to_owned);
                wire::encode(&words.chain(said).collect::<Vec<_>>())
            }
        }
    }
}

fn text(why: io::Error) -> String {
    why.to_string()
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
            server.fill(key, options.elements)?;
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
