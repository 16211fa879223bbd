//! The load: redis-benchmark where it can say it, a loop of our own for the 10:1 mix.

use crate::peers::{Target, named_or_on_path};
use crate::wire::{encode, reply_len};
use async_std::future::timeout;
use async_std::net::TcpStream;
use async_std::task;
use entourage::base::random::Random;
use futures::future::try_join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

pub const CONNECTIONS: u64 = 50;
/// Keys are drawn from so many.
pub const KEYS: u64 = 100_000;
/// What a SET writes.
pub const VALUE: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const _: () = assert!(VALUE.len() == 64);
/// A run that takes longer has hung.
const PATIENCE_SECONDS: u64 = 180;
/// In the mix one command in so many is a SET, the others are GETs.
const MIX: u64 = 11;

/// How much is sent, and over how many connections.
#[derive(Clone, Copy)]
pub struct Volume {
    pub clients: u64,
    pub depth: u64,
    pub requests: u64,
}

/// What is sent.
#[derive(Clone, Copy)]
pub enum Load {
    /// One command over and over; `__rand_int__` in it becomes a number below `KEYS`.
    Repeat(&'static [&'static str]),
    /// Ten GETs to one SET, shuffled, on every connection.
    Mixed,
}

impl Load {
    /// The load in one command, for asking whether a server knows it.
    pub fn example(self) -> Vec<String> {
        let words = match self {
            Load::Repeat(words) => words,
            Load::Mixed => &["SET", "key:__rand_int__", VALUE],
        };
        words.iter().map(|it| it.replace("__rand_int__", "000000000000")).collect()
    }
}

/// What the clients saw.
pub struct Seen {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

pub fn drive(load: Load, target: Target, volume: Volume) -> Result<Seen, String> {
    match (load, target) {
        (Load::Repeat(words), _) => redis_benchmark(words, target, volume),
        (Load::Mixed, Target::Tls(_)) => Err("the mix is without TLS".into()),
        (Load::Mixed, Target::Plain(port)) => task::block_on(async {
            let patience = Duration::from_secs(PATIENCE_SECONDS);
            let run = timeout(patience, mixed(port, volume)).await;
            run.map_err(|_| "the mix hung")?.map_err(|it| it.to_string())
        }),
    }
}

fn redis_benchmark(words: &[&str], target: Target, volume: Volume) -> Result<Seen, String> {
    let Volume { clients, depth, requests } = volume;
    let (port, tls) = match target {
        Target::Plain(port) => (port, ""),
        // The certificate is one of a minute ago: who signed it is of no interest.
        Target::Tls(port) => (port, " --tls --insecure"),
    };
    let binary = named_or_on_path("REDIS_BENCHMARK", "redis-benchmark");
    let binary = binary.ok_or("redis-benchmark is not here")?;
    let flags =
        format!("-p {port} -c {clients} -P {depth} -n {requests} -r {KEYS} --precision 3{tls}");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &PATIENCE_SECONDS.to_string()]).arg(binary);
    command.args(flags.split(' ')).arg("--csv").args(words);
    let told = command.output().map_err(|it| it.to_string())?;
    let text = String::from_utf8_lossy(&told.stdout);
    text.lines().last().and_then(csv_row).ok_or_else(|| {
        format!("redis-benchmark: {} {}", told.status, String::from_utf8_lossy(&told.stderr).trim())
    })
}

/// Columns from the end, for the title in front may hold anything:
/// requests/s, then avg, min, p50, p95, p99 and max in milliseconds.
fn csv_row(line: &str) -> Option<Seen> {
    let mut columns = line.rsplit(',').map(|it| it.trim_matches('"').parse::<f64>().ok());
    let _max = columns.next()?;
    let p99_ms = columns.next()??;
    let _p95 = columns.next()?;
    let p50_ms = columns.next()??;
    let per_second = columns.nth(2)??;
    Some(Seen { per_second, p50_ms, p99_ms })
}

/// What the connections of one run share; they all live on one thread.
struct Shared {
    depth: u64,
    left: Cell<u64>,
    micros: RefCell<Histogram<u64>>,
}

async fn mixed(port: u16, volume: Volume) -> io::Result<Seen> {
    let Volume { clients, depth, requests } = volume;
    let micros = Histogram::new_with_bounds(1, 1 << 30, 3).expect("these bounds are valid");
    let shared = Shared { depth, left: Cell::new(requests), micros: RefCell::new(micros) };
    let begun = Instant::now();
    try_join_all((0..clients).map(|seed| converse(port, seed, &shared))).await?;
    let per_second = requests as f64 / begun.elapsed().as_secs_f64();
    let micros = shared.micros.borrow();
    let ms = |quantile| micros.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Seen { per_second, p50_ms: ms(0.5), p99_ms: ms(0.99) })
}

async fn converse(port: u16, seed: u64, shared: &Shared) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut random = Random::new(seed);
    let mut replies = Replies::default();
    let mut burst = Vec::new();
    loop {
        let count = shared.depth.min(shared.left.get());
        if count == 0 {
            return Ok(());
        }
        shared.left.set(shared.left.get() - count);
        burst.clear();
        (0..count).for_each(|_| burst.extend_from_slice(&throw_command(&mut random)));
        let sent = Instant::now();
        stream.write_all(&burst).await?;
        replies.take(&mut stream, count).await?;
        shared.micros.borrow_mut().saturating_record(sent.elapsed().as_micros() as u64);
    }
}

fn throw_command(random: &mut Random) -> Vec<u8> {
    let key = format!("key:{:012}", random.below(KEYS));
    match random.below(MIX) {
        0 => encode(&["SET", &key, VALUE]),
        _ => encode(&["GET", &key]),
    }
}

/// Counts replies as they arrive.
#[derive(Default)]
pub struct Replies {
    got: Vec<u8>,
}

impl Replies {
    /// Returns when `count` more replies have come; an error reply ends the run.
    pub async fn take(&mut self, stream: &mut TcpStream, mut count: u64) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        while count != 0 {
            let len = stream.read(&mut chunk).await?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.got.extend_from_slice(&chunk[..len]);
            count -= self.count_whole()?;
        }
        Ok(())
    }

    fn count_whole(&mut self) -> io::Result<u64> {
        let mut at = 0;
        let mut whole = 0;
        while let Some(len) = reply_len(&self.got[at..]) {
            if self.got[at] == b'-' {
                let text = String::from_utf8_lossy(&self.got[at..at + len]).into_owned();
                return Err(io::Error::other(text));
            }
            at += len;
            whole += 1;
        }
        self.got.drain(..at);
        Ok(whole)
    }
}
