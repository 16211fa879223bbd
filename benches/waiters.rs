//! What clients cost that wait, that idle, or that write all before they read: `cargo bench --bench
//! waiters`, and with `-- --quick` with a tenth of the clients and requests.
//!
//! ```text
//! ENTOURAGE_BIN=path/to/entourage cargo bench --bench waiters -- --rows waiting,unread --rounds 5
//! ```
//!
//! Three servers in turn, each fresh for each table: redis-server, Entourage alone, and Entourage with
//! two hosted replicas. CPU is that of the server's process alone. The tables go to stdout as
//! Markdown, the progress to stderr.

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
use peers::{Binaries, Kind, Party};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};
use wire::{Wire, encode};

/// The command line, under the name by which the shared modules know it.
mod options {
    use std::path::PathBuf;

    /// Measures waiting clients, idle clients and unread replies beside redis-server.
    #[derive(clap::Parser)]
    pub struct Options {
        /// Tables: waiting, idle, unread.
        #[arg(long, value_delimiter = ',', default_value = "waiting,idle,unread")]
        pub rows: Vec<String>,
        /// Rounds per figure; the median counts.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        pub rounds: u32,
        /// Small runs: to see that everything works, not to quote.
        #[arg(long)]
        pub quick: bool,
        /// Another binary in Entourage's place; `ENTOURAGE_BIN` names one, too.
        #[arg(long, value_name = "PATH")]
        pub entourage: Option<PathBuf>,
        /// Given by `cargo bench`; means nothing here.
        #[arg(long, hide = true)]
        bench: bool,
    }

    impl Options {
        /// `count`, or a tenth of it in a quick run.
        pub fn scaled(&self, count: usize) -> usize {
            if self.quick { count / 10 } else { count }
        }
    }
}

use options::Options;

const WAITERS: usize = 4_000;
const WAITING_BAR: f64 = 1.3;
const CROWD: usize = 10_000;
const IDLE_CPU_PERCENT_BAR: f64 = 0.5;
const IDLE_BYTES_BAR: f64 = 8192.0;
const UNREAD_BYTES_BAR: f64 = (16 << 20) as f64;
/// More than the crowd and those who look at it.
const MAXCLIENTS: &str = "12000";
/// A run of single SETs takes so long, or so many.
const SETS_FOR: Duration = Duration::from_secs(2);
const SETS_MAX: u32 = 20_000;
const IDLE_FOR: Duration = Duration::from_secs(5);
/// A server that takes or gives nothing for so long has stopped.
const STALL: Duration = Duration::from_secs(20);
/// Until what has just been done has been done by replicas, too.
const SETTLE: Duration = Duration::from_millis(200);
const MB: f64 = (1 << 20) as f64;

fn main() {
    let options = Options::parse();
    allow_many_files();
    let binaries = Binaries::find(&options);
    println!("{}\n", binaries.caption());
    if options.quick {
        println!("A quick run, with a tenth of the data: not to be quoted.\n");
    }
    for rows in &options.rows {
        match rows.as_str() {
            "waiting" => waiting(&binaries, &options),
            "idle" => idle(&binaries, &options),
            "unread" => unread(&binaries, &options),
            other => eprintln!("waiters: no table is called {other}"),
        }
    }
}

/// This process holds a socket for each client, and its children inherit the limit.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    raised.expect("up to its maximum a limit can be raised");
}

/// The servers that are compared: the first is the measure.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    kind: Kind,
    replicas: u32,
}

const COLUMNS: [Column; 3] = [
    Column { name: "redis", kind: Kind::Redis, replicas: 0 },
    Column { name: "entourage alone", kind: Kind::Entourage, replicas: 0 },
    Column { name: "entourage + 2", kind: Kind::Entourage, replicas: 2 },
];

impl Column {
    /// A fresh server, ready for the crowd.
    fn start(self, binaries: &Binaries) -> Option<Party> {
        eprintln!("waiters: {}", self.name);
        let party = binaries.start(self.kind, self.replicas)?;
        let mut wire = Wire::dial(party.port()).ok()?;
        let set = wire.ask(&["CONFIG", "SET", "maxclients", MAXCLIENTS]);
        set.inspect_err(|why| eprintln!("waiters: {}: {why}", self.name)).ok()?;
        Some(party)
    }
}

/// A table in Markdown, written line by line: a run takes minutes.
struct Table {
    columns: usize,
}

impl Table {
    fn new(title: &str, head: &[&str]) -> Table {
        println!("### {title}\n\n| {} |\n|{}", head.join(" | "), " --- |".repeat(head.len()));
        Table { columns: head.len() }
    }

    /// A row that has no more to tell leaves its last cells empty.
    fn row(&self, cells: &[String]) {
        let rest = " |".repeat(self.columns - cells.len());
        println!("| {} |{rest}", cells.join(" | "));
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn verdict(value: f64, bar: f64) -> String {
    if value <= bar { "met".to_owned() } else { "missed".to_owned() }
}

/// Sockets of clients that say one thing each.
struct Crowd(Vec<TcpStream>);

impl Crowd {
    /// Each is answered a PING, so that the server has served it once.
    fn gather(port: u16, count: usize) -> io::Result<Crowd> {
        let one = |_| {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(STALL))?;
            say(&stream, &["PING"], "+PONG\r\n").map(|()| stream)
        };
        (0..count).map(one).collect::<io::Result<_>>().map(Crowd)
    }

    /// All of them wait for more replicas than there are.
    fn wait(&self, wire: &mut Wire) -> Result<(), String> {
        for stream in &self.0 {
            say(stream, &["SET", "waiter", "1"], "+OK\r\n").map_err(|it| it.to_string())?;
            let sent = (&*stream).write_all(&encode(&["WAIT", "9", "0"]));
            sent.map_err(|it| it.to_string())?;
        }
        let all = format!("blocked_clients:{}\r\n", self.0.len());
        let begun = Instant::now();
        while begun.elapsed() < STALL {
            let told = wire.ask(&["INFO", "clients"])?;
            if String::from_utf8_lossy(&told).contains(&all) {
                return Ok(());
            }
            sleep(SETTLE);
        }
        Err("clients in WAIT are not blocked".into())
    }
}

fn say(mut stream: &TcpStream, words: &[&str], wanted: &str) -> io::Result<()> {
    stream.write_all(&encode(words))?;
    let mut reply = vec![0; wanted.len()];
    stream.read_exact(&mut reply)?;
    match reply == wanted.as_bytes() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&reply).into_owned())),
    }
}

fn waiting(binaries: &Binaries, options: &Options) {
    let waiters = options.scaled(WAITERS);
    let with = format!("with {waiters} waiters");
    let head = ["server", "CPU µs/SET", &with, "ratio", "× redis with them", "bar 1.30"];
    let table = Table::new("SET beside clients in WAIT", &head);
    let mut redis = None;
    for column in COLUMNS {
        let measured = column.start(binaries).map(|it| set_beside(&it, waiters, options));
        let Some(measured) = measured else { continue };
        match measured {
            Err(why) => table.row(&[column.name.to_owned(), why]),
            Ok([alone, beside]) => {
                let redis = *redis.get_or_insert(beside);
                table.row(&[
                    column.name.to_owned(),
                    format!("{alone:.1}"),
                    format!("{beside:.1}"),
                    format!("{:.2}", beside / alone),
                    format!("{:.2}", beside / redis),
                    verdict(beside / alone, WAITING_BAR),
                ]);
            }
        }
    }
    println!();
}

/// CPU per SET without and with so many clients in WAIT.
fn set_beside(party: &Party, waiters: usize, options: &Options) -> Result<[f64; 2], String> {
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    let cost = || -> Result<f64, String> {
        let rounds = (0..options.rounds).map(|_| cpu_us_per_set(party, options));
        Ok(median(rounds.collect::<Result<_, _>>()?))
    };
    let alone = cost()?;
    let crowd = Crowd::gather(party.port(), waiters).map_err(|it| it.to_string())?;
    crowd.wait(&mut wire)?;
    Ok([alone, cost()?])
}

fn cpu_us_per_set(party: &Party, options: &Options) -> Result<f64, String> {
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    let most = options.scaled(SETS_MAX as usize) as u32;
    sleep(SETTLE);
    let (before, begun) = (cpu::nanos(&party.pids()), Instant::now());
    let mut sets = 0;
    while sets < most && begun.elapsed() < SETS_FOR {
        wire.ask(&["SET", "written", "1"])?;
        sets += 1;
    }
    sleep(SETTLE);
    Ok((cpu::nanos(&party.pids()) - before) as f64 / 1000.0 / f64::from(sets))
}

fn idle(binaries: &Binaries, options: &Options) {
    let crowd = options.scaled(CROWD);
    let head = [
        "server",
        "bytes per idle client",
        "bar 8192",
        "% of a core, idle",
        "% of a core, in WAIT",
        "bar 0.5",
    ];
    let table = Table::new(&format!("{crowd} clients that do nothing"), &head);
    for column in COLUMNS {
        let Some(party) = column.start(binaries) else { continue };
        match do_nothing(&party, crowd) {
            Err(why) => table.row(&[column.name.to_owned(), why]),
            Ok([bytes, idle, blocked]) => table.row(&[
                column.name.to_owned(),
                format!("{bytes:.0}"),
                verdict(bytes, IDLE_BYTES_BAR),
                format!("{idle:.2}"),
                format!("{blocked:.2}"),
                verdict(blocked, IDLE_CPU_PERCENT_BAR),
            ]),
        }
    }
    println!();
}

/// Memory of each of so many clients; what they use of a core when idle, and when in WAIT.
fn do_nothing(party: &Party, count: usize) -> Result<[f64; 3], String> {
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    let resident = cpu::resident(&party.pids());
    let crowd = Crowd::gather(party.port(), count).map_err(|it| it.to_string())?;
    sleep(SETTLE);
    let grown = cpu::resident(&party.pids()).saturating_sub(resident);
    let idle = percent_of_a_core(party);
    crowd.wait(&mut wire)?;
    Ok([grown as f64 / count as f64, idle, percent_of_a_core(party)])
}

fn percent_of_a_core(party: &Party) -> f64 {
    sleep(SETTLE);
    let (before, begun) = (cpu::nanos(&party.pids()), Instant::now());
    sleep(IDLE_FOR);
    let used = (cpu::nanos(&party.pids()) - before) as f64;
    100.0 * used / begun.elapsed().as_nanos() as f64
}

/// Requests that are all written before the first reply is read.
struct Load {
    name: &'static str,
    count: usize,
    request: &'static [&'static str],
    /// The length of the reply to the request of this number, the first being 1.
    reply_len: fn(usize) -> usize,
}

const LOADS: [Load; 3] = [
    Load {
        name: "GET of 1 kB",
        count: 300_000,
        request: &["GET", "v"],
        reply_len: |_| "$1000\r\n".len() + 1000 + 2,
    },
    Load {
        name: "INCR",
        count: 1_000_000,
        request: &["INCR", "n"],
        reply_len: |at| 3 + at.ilog10() as usize + 1,
    },
    Load {
        name: "SET",
        count: 3_000_000,
        request: &["SET", "k", "v"],
        reply_len: |_| "+OK\r\n".len(),
    },
];

fn unread(binaries: &Binaries, options: &Options) {
    let head = [
        "requests",
        "server",
        "s",
        "× redis",
        "MB at the peak",
        "beside the requests",
        "bars 1.00, 16 MB",
    ];
    let table = Table::new("All requests written before a reply is read", &head);
    for load in LOADS {
        let mut redis = None;
        for column in COLUMNS {
            let name = format!("{} × {}", options.scaled(load.count), load.name);
            let measured = write_then_read(column, binaries, &load, options);
            match measured {
                None => {}
                Some(Err(why)) => table.row(&[name, column.name.to_owned(), why]),
                Some(Ok([seconds, peak, beside])) => {
                    let ratio = seconds / *redis.get_or_insert(seconds);
                    let verdicts = [verdict(ratio, 1.0), verdict(beside, UNREAD_BYTES_BAR)];
                    table.row(&[
                        name,
                        column.name.to_owned(),
                        format!("{seconds:.2}"),
                        format!("{ratio:.2}"),
                        format!("{:.1}", peak / MB),
                        format!("{:.1}", beside / MB),
                        verdicts.join(", "),
                    ]);
                }
            }
        }
    }
    println!();
}

/// Wall time, what memory has grown by at its peak, and how much of that is more than the requests:
/// each the median of rounds with a fresh server.
fn write_then_read(
    column: Column,
    binaries: &Binaries,
    load: &Load,
    options: &Options,
) -> Option<Result<[f64; 3], String>> {
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..options.rounds {
        match one_round(&column.start(binaries)?, load, options.scaled(load.count)) {
            Err(why) => return Some(Err(why)),
            Ok(found) => rounds.iter_mut().zip(found).for_each(|(of, it)| of.push(it)),
        }
    }
    Some(Ok(rounds.map(median)))
}

fn one_round(party: &Party, load: &Load, count: usize) -> Result<[f64; 3], String> {
    let mut wire = Wire::dial(party.port()).map_err(|it| it.to_string())?;
    wire.ask(&["SET", "v", &"x".repeat(1000)])?;
    let requests = encode(load.request).repeat(count);
    let replies: usize = (1..=count).map(load.reply_len).sum();
    let resident = cpu::resident(&party.pids());
    let mut stream =
        TcpStream::connect(("127.0.0.1", party.port())).map_err(|it| it.to_string())?;
    let begun = Instant::now();
    transfer(&mut stream, &requests, replies).map_err(|why| match why.kind() {
        io::ErrorKind::WouldBlock => "stalls".to_owned(),
        _ => why.to_string(),
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let grown = peak(&party.pids()).saturating_sub(resident);
    let beside = grown.saturating_sub(requests.len() as u64);
    Ok([seconds, grown as f64, beside as f64])
}

/// Writes all of it, then reads so much.
fn transfer(stream: &mut TcpStream, requests: &[u8], mut replies: usize) -> io::Result<()> {
    stream.set_write_timeout(Some(STALL))?;
    stream.set_read_timeout(Some(STALL))?;
    stream.write_all(requests)?;
    let mut chunk = vec![0; 256 << 10];
    while 0 < replies {
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => replies = replies.saturating_sub(len),
        }
    }
    Ok(())
}

/// The most memory that the processes have held since they started.
fn peak(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|it| it.starts_with("VmHWM:"))?;
        let kb: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kb << 10)
    };
    pids.iter().filter_map(of).sum()
}
