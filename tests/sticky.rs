//! Reads of one's own writes, a million times, while replicas stop and go: at level sticky none is
//! stale and none goes back; at level eventual the same test must find some that are. The same for
//! pools of two connections, one of which writes and the other reads, that share a floor by their
//! name; without that the same test must find reads that are stale. And the same for a set that
//! follows a real server, which its writes are forwarded to, while the link is cut again and again.
//!
//! The pairs are split over servers with one, two and four workers, unless `--threads` names a number.
//!
//! `cargo test --test sticky -- --pairs 10000000 --seconds-max 600 --threads 2`
//! `cargo test --test sticky -- --pairs 3000 --remote-pairs 1000000 --seconds-max 900`

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use support::{Server, Suite, Value, WORKERS, Wire, Words, until_caught_up, words};

const PAIRS: u64 = 1_000_000;
/// In so many, those who keep no promise are found to do so.
const PAIRS_TO_FAIL: u64 = 300_000;
/// Pairs through each kind of remote master.
const REMOTE_PAIRS: u64 = 30_000;
/// The link is cut at every so many ticks.
const CUT_EVERY: usize = 5;
const SECONDS_MAX: u64 = 240;
const READERS: u64 = 24;
const WRITERS: u64 = 2;
/// Pairs under way on a connection at a time.
const DEPTH: u64 = 16;
/// Every so many pairs a replica is paused or resumed.
const TOGGLE_EVERY: u64 = 1_000;
const REPLICAS: &[&str] = &["n2", "n3"];

fn main() {
    let mut suite = Suite::new("sticky", &["pairs", "remote-pairs", "seconds-max", "threads"]);
    let pairs = suite.number("pairs", PAIRS);
    let seconds = suite.number("seconds-max", SECONDS_MAX);
    let named = suite.text("threads", "").to_owned();
    let workers = if named.is_empty() { WORKERS.to_vec() } else { vec![named.as_str()] };
    let (pairs, limit) = (pairs / workers.len() as u64, seconds / workers.len() as u64);
    let limit = Duration::from_secs(limit);
    // What must be found, however few pairs are to find nothing.
    let to_fail = pairs.max(PAIRS_TO_FAIL);
    for threads in &workers {
        suite.test(&format!("no_read_is_stale_or_goes_back_at_{threads}_workers"), || {
            let server = Server::entourage(&["--threads", threads]);
            let found = run(&server, Pool::of("sticky", 1), pairs, limit);
            found.must_have_run(pairs)?;
            match (found.stale, found.backwards, found.refused) {
                (0, 0, 0) => Ok(found.to_string()),
                _ => Err(found.to_string()),
            }
        });
    }
    suite.test("the_test_can_fail", || {
        if Server::is_stand_in() {
            return Ok("(skipped: a stand-in has no levels)".into());
        }
        let found = run(&Server::entourage(&[]), Pool::of("eventual", 1), to_fail / 3, limit);
        match found.stale {
            0 => Err(format!("level eventual never was stale: {found}")),
            _ => Ok(found.to_string()),
        }
    });
    suite.test("no_read_of_a_pool_that_shares_a_floor_is_stale_or_goes_back", || {
        if Server::is_stand_in() {
            return Ok("(skipped: a stand-in has no scopes)".into());
        }
        let pools = Pool::of("sticky SCOPE client-name", 2);
        let found = run(&Server::entourage(&[]), pools, pairs / 5, limit);
        found.must_have_run(pairs / 5)?;
        match (found.stale, found.backwards, found.refused) {
            (0, 0, 0) => Ok(found.to_string()),
            _ => Err(found.to_string()),
        }
    });
    suite.test("the_test_of_pools_can_fail", || {
        if Server::is_stand_in() {
            return Ok("(skipped: a stand-in has no levels)".into());
        }
        let pools = Pool::of("sticky SCOPE connection", 2);
        let found = run(&Server::entourage(&[]), pools, to_fail / 10, limit);
        match found.stale {
            0 => Err(format!("connections that share nothing never were stale: {found}")),
            _ => Ok(found.to_string()),
        }
    });
    let remote_pairs = suite.number("remote-pairs", REMOTE_PAIRS);
    let masters = [("redis", Some(Server::redis(&[]))), ("valkey", Server::valkey())];
    for (kind, master) in masters {
        let Some(master) = master else { continue };
        suite.test(&format!("no_read_through_a_remote_{kind}_is_stale_or_goes_back"), || {
            if Server::is_stand_in() {
                return Ok("(skipped: a stand-in follows nobody)".into());
            }
            let address = format!("127.0.0.1:{}", master.port());
            let server = Server::entourage(&["--replicaof", &address]);
            until_caught_up(&mut server.dial(), &mut master.dial());
            let found = run_beside(&server, Pool::of("sticky", 1), remote_pairs, limit, |due| {
                cut_links(&mut master.dial(), due)
            });
            found.must_have_run(remote_pairs)?;
            match (found.stale, found.backwards, found.refused) {
                (0, 0, 0) => Ok(found.to_string()),
                _ => Err(found.to_string()),
            }
        });
    }
    suite.finish();
}

/// What a reader asks for, and how many connections it has.
#[derive(Clone, Copy)]
struct Pool {
    consistency: &'static str,
    connections: usize,
}

impl Pool {
    fn of(consistency: &'static str, connections: usize) -> Pool {
        Pool { consistency, connections }
    }
}

/// What all connections share.
struct Race {
    wanted: u64,
    pairs: AtomicU64,
    stale: AtomicU64,
    backwards: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
    ends: Instant,
}

impl Race {
    /// Counts pairs; each time a toggle is due one connection says so.
    fn count(&self, pairs: u64, ticks: &mpsc::Sender<()>) {
        let before = self.pairs.fetch_add(pairs, Ordering::Relaxed);
        if before / TOGGLE_EVERY != (before + pairs) / TOGGLE_EVERY {
            // The controller may have ended already.
            let _ = ticks.send(());
        }
        if self.wanted <= before + pairs {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.ends <= Instant::now()
    }
}

/// What came of a race.
struct Found {
    pairs: u64,
    stale: u64,
    backwards: u64,
    refused: u64,
    toggles: u64,
    seconds: f64,
}

impl Found {
    fn must_have_run(&self, wanted: u64) -> Result<(), String> {
        match self.pairs {
            pairs if pairs < wanted => Err(format!("only {pairs} of {wanted} pairs: {self}")),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Found { pairs, stale, backwards, refused, toggles, seconds } = self;
        write!(
            f,
            "({pairs} pairs, {stale} stale, {backwards} backwards, {refused} refused, {toggles} \
             disturbances, {seconds:.1} s)"
        )
    }
}

fn run(server: &Server, pool: Pool, wanted: u64, limit: Duration) -> Found {
    run_beside(server, pool, wanted, limit, |due| toggle(&mut server.dial(), due))
}

/// As [`run`], while somebody `disturbs` whenever told to. That answers how often it has.
fn run_beside(
    server: &Server,
    pool: Pool,
    wanted: u64,
    limit: Duration,
    disturb: impl FnOnce(mpsc::Receiver<()>) -> u64 + Send,
) -> Found {
    let begun = Instant::now();
    let race = Race {
        wanted,
        pairs: AtomicU64::new(0),
        stale: AtomicU64::new(0),
        backwards: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        ends: begun + limit,
    };
    let readers: Vec<Reader> = (0..READERS).map(|it| Reader::new(server, pool, it)).collect();
    let (ticks, due) = mpsc::channel();
    let toggles = thread::scope(|scope| {
        let controller = scope.spawn(move || disturb(due));
        for number in 0..WRITERS {
            let race = &race;
            scope.spawn(move || saturate(&mut server.dial(), race, number));
        }
        for mut reader in readers {
            let (race, ticks) = (&race, ticks.clone());
            scope.spawn(move || reader.race(race, &ticks));
        }
        drop(ticks);
        controller.join().expect("the controller ends")
    });
    Found {
        pairs: race.pairs.into_inner(),
        stale: race.stale.into_inner(),
        backwards: race.backwards.into_inner(),
        refused: race.refused.into_inner(),
        toggles,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// Pauses and resumes the replicas in turn, now one, now all of them; all go at the end.
fn toggle(wire: &mut Wire, due: mpsc::Receiver<()>) -> u64 {
    if Server::is_stand_in() {
        return due.iter().count() as u64;
    }
    let orders = [
        (REPLICAS[0], "PAUSE"),
        (REPLICAS[0], "RESUME"),
        (REPLICAS[1], "PAUSE"),
        (REPLICAS[0], "PAUSE"),
        (REPLICAS[0], "RESUME"),
        (REPLICAS[1], "RESUME"),
    ];
    let mut toggles = 0;
    for ((), (name, order)) in due.into_iter().zip(orders.iter().cycle()) {
        let told = wire.cmd(&["PROXY", "NODE", name, order]);
        assert_eq!(told.string(), "OK", "PROXY NODE {name} {order}");
        toggles += 1;
    }
    for name in REPLICAS {
        wire.cmd(&["PROXY", "NODE", name, "RESUME"]);
    }
    toggles
}

/// Ends the links of the master's replicas, which come back by themselves.
fn cut_links(master: &mut Wire, due: mpsc::Receiver<()>) -> u64 {
    let mut cuts = 0;
    for () in due.into_iter().step_by(CUT_EVERY) {
        master.ask("CLIENT KILL TYPE replica");
        cuts += 1;
    }
    cuts
}

/// Writes as much as the master takes, and moves the counter that readers watch.
fn saturate(wire: &mut Wire, race: &Race, number: u64) {
    let noise =
        |it: u64| words(&["SET", &format!("noise{number}:{}", it % 5_000), "xxxxxxxxxxxxxxxx"]);
    let mut batch: Vec<Words> = (0..63).map(|it| noise(it * 79)).collect();
    batch.push(words(&["INCR", "counter"]));
    while !race.is_over() {
        wire.pipeline(&batch);
    }
}

/// A client that reads what it has just written, over one connection or over two.
struct Reader {
    wire: Wire,
    /// What its writes go over, if that is another connection.
    other: Option<Wire>,
    number: u64,
    round: u64,
    counter: i64,
}

impl Reader {
    fn new(server: &Server, pool: Pool, number: u64) -> Reader {
        let dial = || {
            let mut wire = server.dial();
            if !Server::is_stand_in() {
                let name = format!("reader{number}");
                assert_eq!(wire.cmd(&["CLIENT", "SETNAME", &name]).string(), "OK");
                let told = wire.ask(&format!("PROXY CONSISTENCY {}", pool.consistency));
                assert_eq!(told.string(), "OK", "PROXY CONSISTENCY {}", pool.consistency);
            }
            wire
        };
        let other = (1 < pool.connections).then(dial);
        Reader { wire: dial(), other, number, round: 0, counter: 0 }
    }

    /// Every other round the reads wait for the replies of the writes; of two connections they
    /// always do, and take turns.
    fn race(&mut self, race: &Race, ticks: &mpsc::Sender<()>) {
        while !race.is_over() {
            self.round += 1;
            let (writes, reads) = self.pairs();
            let replies = match (&mut self.other, self.round % 2) {
                (Some(other), _) => {
                    other.pipeline(&writes);
                    std::mem::swap(other, &mut self.wire);
                    other.pipeline(&reads)
                }
                (None, 0) => self.together(&writes, &reads),
                (None, _) => {
                    self.wire.pipeline(&writes);
                    self.wire.pipeline(&reads)
                }
            };
            self.judge(&replies, race);
            race.count(DEPTH, ticks);
        }
    }

    /// Writes of this round's value, with the reads of it; one more read looks at the counter.
    fn pairs(&self) -> (Vec<Words>, Vec<Words>) {
        let keys: Vec<String> = (0..DEPTH).map(|it| format!("own{}:{it}", self.number)).collect();
        let value = self.round.to_string();
        let writes = keys.iter().map(|it| words(&["SET", it, &value])).collect();
        let mut reads: Vec<Words> = keys.iter().map(|it| words(&["GET", it])).collect();
        reads.push(words(&["GET", "counter"]));
        (writes, reads)
    }

    /// Each read right behind its write, in one pipeline.
    fn together(&mut self, writes: &[Words], reads: &[Words]) -> Vec<Value> {
        let pairs = writes.iter().zip(reads).flat_map(|(write, read)| [write, read]);
        let batch: Vec<Words> = pairs.chain(reads.last()).cloned().collect();
        let replies = self.wire.pipeline(&batch);
        let (paired, last) = replies.split_at(2 * writes.len());
        paired.iter().skip(1).step_by(2).chain(last).cloned().collect()
    }

    fn judge(&mut self, replies: &[Value], race: &Race) {
        let refused = replies.iter().filter(|it| it.is_error()).count();
        if refused != 0 {
            race.refused.fetch_add(refused as u64, Ordering::Relaxed);
            return;
        }
        let (own, counter) = replies.split_at(DEPTH as usize);
        let wanted = self.round.to_string();
        let stale = own.iter().filter(|it| it.text() != Some(wanted.as_bytes())).count();
        race.stale.fetch_add(stale as u64, Ordering::Relaxed);
        let counter = match counter[0].text() {
            Some(text) => std::str::from_utf8(text).ok().and_then(|it| it.parse().ok()),
            None => Some(0),
        };
        let counter = counter.expect("the counter is a number");
        if counter < self.counter {
            race.backwards.fetch_add(1, Ordering::Relaxed);
        }
        self.counter = counter;
    }
}
