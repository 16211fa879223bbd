//! Other clients beside a long command: what PING and GET take, and how late an idle thread wakes.

use crate::wire::Wire;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

/// Each connection asks so often.
const BEAT: Duration = Duration::from_millis(1);
/// The connections ask for so long before the work begins and after it has ended.
const MARGIN: Duration = Duration::from_millis(30);
const KEY: &str = "probe";

/// Nanoseconds of each kind.
#[derive(Clone)]
pub struct Seen {
    pub ping: Histogram<u64>,
    pub get: Histogram<u64>,
    /// Of a thread that asks nothing: what the machine itself does to whoever sleeps.
    pub idle: Histogram<u64>,
}

impl Seen {
    pub fn nothing() -> Seen {
        Seen { ping: histogram(), get: histogram(), idle: histogram() }
    }

    pub fn add(&mut self, other: &Seen) {
        self.ping += &other.ping;
        self.get += &other.get;
        self.idle += &other.idle;
    }
}

/// Does `work` while two connections PING and two others GET. The connections of a kind are made
/// one right after the other, so that with two workers each has one.
pub fn beside<T>(port: u16, work: impl FnOnce() -> Result<T, String>) -> Result<(T, Seen), String> {
    let dial = || Wire::dial(port).map_err(|it| it.to_string());
    let pings = [dial()?, dial()?];
    let mut gets = [dial()?, dial()?];
    for get in &mut gets {
        // From now on a sticky read of this connection has a floor.
        get.ask(&["SET", KEY, "value"])?;
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = |wire, words: &'static [&'static str]| {
            let done = &done;
            scope.spawn(move || ask_until(done, wire, words))
        };
        let pings = pings.map(|it| ask(it, &["PING"]));
        let gets = gets.map(|it| ask(it, &["GET", KEY]));
        let idle = scope.spawn(|| idle_until(&done));
        sleep(MARGIN);
        let worked = work();
        sleep(MARGIN);
        done.store(true, Ordering::Relaxed);
        let mut seen = Seen::nothing();
        for ping in pings {
            seen.ping += joined(ping)?;
        }
        for get in gets {
            seen.get += joined(get)?;
        }
        seen.idle += idle.join().map_err(|_| "the idle thread panicked")?;
        Ok((worked?, seen))
    })
}

fn joined(
    probe: ScopedJoinHandle<'_, Result<Histogram<u64>, String>>,
) -> Result<Histogram<u64>, String> {
    probe.join().map_err(|_| "a probe panicked")?.map_err(|it| format!("a probe: {it}"))
}

/// A reply that comes late stands for all that would have been asked meanwhile, too.
fn ask_until(done: &AtomicBool, mut wire: Wire, words: &[&str]) -> Result<Histogram<u64>, String> {
    let mut nanos = histogram();
    while !done.load(Ordering::Relaxed) {
        let sent = Instant::now();
        wire.ask(words)?;
        let took = sent.elapsed();
        record(&mut nanos, took);
        sleep(BEAT.saturating_sub(took));
    }
    Ok(nanos)
}

fn idle_until(done: &AtomicBool) -> Histogram<u64> {
    let mut nanos = histogram();
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        sleep(BEAT);
        record(&mut nanos, begun.elapsed().saturating_sub(BEAT));
    }
    nanos
}

fn record(nanos: &mut Histogram<u64>, took: Duration) {
    let took = took.as_nanos() as u64;
    nanos.record_correct(took, BEAT.as_nanos() as u64).expect("the histogram takes every value");
}

/// Of nanoseconds, for as long ones as there are.
pub fn histogram() -> Histogram<u64> {
    let mut nanos = Histogram::new(3).expect("three digits are valid");
    nanos.auto(true);
    nanos
}
