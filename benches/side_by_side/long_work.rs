//! What one client does while others are watched, and what must be there before.

use crate::drive::VALUE;
use crate::fillings::Payloads;
use crate::members::Members;
use crate::memory::strings;
use crate::options::Options;
use crate::peers::Party;
use crate::wire::{Wire, encode};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ELEMENTS: u64 = 1_000_000;
const KEYS: u64 = 1_000_000;
const KEYS_TO_LIST_FULL: u64 = 5_000_000;
const KEYS_TO_FLUSH_FULL: u64 = 4_000_000;
const WRITES_BEFORE_FAILOVER: u64 = 600_000;
const LARGE_BYTES: usize = 100_000_000;
/// A replica that is so far behind is cut off (`replica-feed-limit`); some more, to be sure.
const FEED_LIMIT_BYTES: u64 = 72 << 20;
const CHUNK_BYTES: usize = 1 << 20;
/// Until what is to expire has been written: in a first round, then at least, and how much more
/// than the round before has needed.
const FILL_TIME_PER_KEY: Duration = Duration::from_micros(12);
const FILL_TIME_LEAST: Duration = Duration::from_secs(1);
const FILL_TIME_SPARE: f64 = 1.5;
const EXPIRING_TIME: Duration = Duration::from_secs(1);

/// What a row's client does.
pub enum Deed {
    /// These commands, one after the other.
    Commands(Vec<Vec<u8>>),
    /// Nothing, until then: something happens by itself.
    WaitUntil(Instant),
    /// This command, and what it begins in the background: until the field of INFO says 0.
    Background(&'static str, &'static str),
}

/// Brings a server to where a row begins, and tells what its client then does.
pub type Prepare = fn(&mut Subject) -> Result<Deed, String>;

/// A row of the table.
pub struct Work {
    pub name: &'static str,
    /// Only of hosted replicas.
    pub hosted: bool,
    pub prepare: Prepare,
}

const fn work(name: &'static str, prepare: Prepare) -> Work {
    Work { name, hosted: false, prepare }
}

const fn hosted(name: &'static str, prepare: Prepare) -> Work {
    Work { name, hosted: true, prepare }
}

/// In this order: those on keys first, so that no collection is flushed with them, and those that
/// add members last.
pub const WORKS: [Work; 48] = [
    work("KEYS *", |it| it.with_keys(it.keys_to_list, "KEYS *")),
    work("SCAN 0 COUNT 1000000", |it| it.with_keys(it.keys_to_list, "SCAN 0 COUNT 1000000")),
    work("FLUSHALL", |it| it.with_keys(it.keys_to_flush, "FLUSHALL")),
    work("FLUSHALL ASYNC", |it| it.with_keys(it.keys_to_flush, "FLUSHALL ASYNC")),
    work("SMEMBERS", |it| it.with(&["set"], "SMEMBERS set")),
    work("HGETALL", |it| it.with(&["hash"], "HGETALL hash")),
    work("LRANGE", |it| it.with(&["list"], "LRANGE list 0 -1")),
    work("SORT", |it| it.with(&["numbers"], "SORT numbers")),
    work("SINTERSTORE", |it| it.with(&["set", "half"], "SINTERSTORE d set half")),
    work("SUNIONSTORE", |it| it.with(&["set", "half"], "SUNIONSTORE d set half")),
    work("ZUNIONSTORE", |it| it.with(&["zset", "zhalf"], "ZUNIONSTORE d 2 zset zhalf")),
    work("ZRANGESTORE", |it| it.with(&["zset"], "ZRANGESTORE d zset 0 -1")),
    work("COPY of a set", |it| it.with(&["set"], "COPY set d")),
    work("COPY of a hash", |it| it.with(&["hash"], "COPY hash d")),
    work("COPY of a sorted set", |it| it.with(&["zset"], "COPY zset d")),
    work("COPY of a list", |it| it.with(&["list"], "COPY list d")),
    work("RESTORE of a set", |it| it.restoring("set")),
    work("RESTORE of a hash", |it| it.restoring("hash")),
    work("RESTORE of a sorted set", |it| it.restoring("zset")),
    work("RESTORE of a list", |it| it.restoring("list")),
    work("DEL of a set", |it| it.with_fresh("set", "DEL x")),
    work("DEL of a hash", |it| it.with_fresh("hash", "DEL x")),
    work("DEL of a sorted set", |it| it.with_fresh("zset", "DEL x")),
    work("DEL of a list", |it| it.with_fresh("list", "DEL x")),
    work("EXPIRE 0 of a set", |it| it.with_fresh("set", "EXPIRE x 0")),
    work("EXPIRE 0 of a hash", |it| it.with_fresh("hash", "EXPIRE x 0")),
    work("EXPIRE 0 of a sorted set", |it| it.with_fresh("zset", "EXPIRE x 0")),
    work("EXPIRE 0 of a list", |it| it.with_fresh("list", "EXPIRE x 0")),
    work("SET of 100 MB", |it| it.large("SET")),
    work("GET of 100 MB", |it| it.large("GET")),
    work("SETBIT that makes 64 MB", |it| it.without_string("SETBIT x 536870911 1")),
    work("SETRANGE that makes 64 MB", |it| it.without_string("SETRANGE x 67108863 x")),
    work("BITFIELD that makes 64 MB", |it| it.without_string("BITFIELD x SET u8 536870904 1")),
    work("SETBIT in 64 MB", |it| it.with_string("SETBIT x 7 1")),
    work("SETRANGE in 64 MB", |it| it.with_string("SETRANGE x 7 y")),
    work("BITFIELD in 64 MB", |it| it.with_string("BITFIELD x SET u8 7 1")),
    work("APPEND to 64 MB", |it| it.with_string("APPEND x y")),
    work("XRANGE", |it| it.streaming("XRANGE x - +")),
    work("XINFO FULL of a stream", |it| it.streaming("XINFO STREAM x FULL COUNT 0")),
    work("XTRIM", |it| it.streaming("XTRIM x MAXLEN 0")),
    work("XDEL of 100,000 ids", Subject::deleting_entries),
    work("XGROUP DESTROY", |it| it.streaming("XGROUP DESTROY x group")),
    work("DEL of a stream", |it| it.streaming("DEL x")),
    work("EVAL that loops for a second", Subject::looping),
    work("keys expiring in one second", Subject::expiring),
    hosted("a failover with writes to apply", Subject::failover),
    hosted("a full resync of a hosted replica", Subject::full_resync),
    hosted("PROXY NODE ADD", |it| it.with_keys(it.keys, "PROXY NODE ADD")),
];

/// Of servers that keep files.
pub const DISK_WORKS: [Work; 2] = [
    work("BGSAVE", |it| it.in_background("BGSAVE", "rdb_bgsave_in_progress")),
    work("BGREWRITEAOF", |it| it.in_background("BGREWRITEAOF", "aof_rewrite_in_progress")),
];

/// Asks for it, and waits until this field of INFO says that it is over.
pub fn background(wire: &mut Wire, command: &str, field: &str) -> Result<Duration, String> {
    const LOOK: Duration = Duration::from_millis(2);
    const PATIENCE: Duration = Duration::from_secs(120);
    let (begun, over) = (Instant::now(), format!("{field}:0"));
    wire.ask(&[command])?;
    // It may be asked for before it is begun.
    sleep(5 * LOOK);
    while begun.elapsed() < PATIENCE {
        let told = wire.ask(&["INFO", "persistence"])?;
        let is_scheduled = String::from_utf8_lossy(&told).contains("aof_rewrite_scheduled:1");
        if !is_scheduled && String::from_utf8_lossy(&told).contains(&over) {
            return Ok(begun.elapsed());
        }
        sleep(LOOK);
    }
    Err(format!("{command} does not end"))
}

/// A server that long work is done on.
pub struct Subject {
    pub party: Party,
    pub members: Members,
    wire: Wire,
    payloads: Payloads,
    elements: usize,
    keys: u64,
    keys_to_list: u64,
    keys_to_flush: u64,
    writes_before_failover: u64,
    /// What writing the keys that are to expire needs.
    fill_time: Duration,
}

impl Subject {
    pub fn new(party: Party, options: &Options) -> Result<Subject, String> {
        let full = |count| if options.full { count } else { KEYS };
        Ok(Subject {
            members: Members::dial(&party)?,
            wire: Wire::dial(party.port()).map_err(|it| it.to_string())?,
            party,
            payloads: Payloads::default(),
            elements: options.scaled(ELEMENTS) as usize,
            keys: options.scaled(KEYS),
            keys_to_list: options.scaled(full(KEYS_TO_LIST_FULL)),
            keys_to_flush: options.scaled(full(KEYS_TO_FLUSH_FULL)),
            writes_before_failover: options.scaled(WRITES_BEFORE_FAILOVER),
            fill_time: FILL_TIME_LEAST + FILL_TIME_PER_KEY * options.scaled(KEYS) as u32,
        })
    }

    /// Connects anew: a row that failed may have left a reply on the way.
    pub fn redial(&mut self) -> Result<(), String> {
        self.wire = Wire::dial(self.party.port()).map_err(|it| it.to_string())?;
        self.members = Members::dial(&self.party)?;
        Ok(())
    }

    /// Does it, and answers how long it took.
    pub fn perform(&mut self, deed: &Deed) -> Result<Duration, String> {
        let begun = Instant::now();
        match deed {
            Deed::WaitUntil(then) => sleep(then.saturating_duration_since(begun)),
            Deed::Background(command, field) => drop(background(&mut self.wire, command, field)?),
            Deed::Commands(commands) => {
                for command in commands {
                    self.wire.ask_long(command)?;
                }
            }
        }
        Ok(begun.elapsed())
    }

    /// Collections are there, destinations are not, and all is quiet.
    fn with(&mut self, collections: &[&'static str], then: &str) -> Result<Deed, String> {
        self.clear()?;
        for collection in collections {
            self.payloads.fill(&mut self.wire, collection, self.elements)?;
        }
        self.rest(then)
    }

    /// `x` is there, in memory of its own.
    fn with_fresh(&mut self, collection: &'static str, then: &str) -> Result<Deed, String> {
        self.with(&[collection], "PING")?;
        self.wire.ask_long(&self.payloads.restore("x", collection))?;
        self.rest(then)
    }

    fn restoring(&mut self, collection: &'static str) -> Result<Deed, String> {
        self.with(&[collection], "PING")?;
        Ok(Deed::Commands(vec![self.payloads.restore("d", collection)]))
    }

    /// At least so many keys are there.
    fn with_keys(&mut self, keys: u64, then: &str) -> Result<Deed, String> {
        self.clear()?;
        if self.count_keys()? < keys {
            self.wire.fill(strings(keys))?;
        }
        self.rest(then)
    }

    fn in_background(
        &mut self,
        command: &'static str,
        field: &'static str,
    ) -> Result<Deed, String> {
        self.with_keys(self.keys, "PING")?;
        Ok(Deed::Background(command, field))
    }

    /// `x` is a stream of its own, with a group that has pending entries.
    fn streaming(&mut self, then: &str) -> Result<Deed, String> {
        const PENDING: &str = "10000";
        self.clear()?;
        if self.wire.ask(&["EXISTS", "stream"])? == b":0\r\n" {
            let add =
                |it: usize| encode(&["XADD", "stream", &format!("{}-0", it + 1), "field", VALUE]);
            self.wire.fill((0..self.elements).map(add))?;
            self.wire.ask(&["XGROUP", "CREATE", "stream", "group", "0"])?;
            let read = ["XREADGROUP", "GROUP", "group", "consumer", "COUNT", PENDING, "STREAMS"];
            self.wire.ask_long(&encode(&[&read[..], &["stream", ">"]].concat()))?;
        }
        self.wire.ask_long(&encode(&["COPY", "stream", "x"]))?;
        self.rest(then)
    }

    fn deleting_entries(&mut self) -> Result<Deed, String> {
        const DELETED: usize = 100_000;
        self.streaming("PING")?;
        let ids = (0..DELETED.min(self.elements)).map(|it| format!("{}-0", it + 1));
        let words = ["XDEL".to_owned(), "x".to_owned()].into_iter().chain(ids);
        Ok(Deed::Commands(vec![encode(&words.collect::<Vec<_>>())]))
    }

    /// A script that does not end before the second after next begins.
    fn looping(&mut self) -> Result<Deed, String> {
        const LOOPS: &str = "local ends = redis.call('TIME')[1] + 2 \
                             while tonumber(redis.call('TIME')[1]) < ends do end";
        self.rest("PING")?;
        Ok(Deed::Commands(vec![encode(&["EVAL", LOOPS, "0"])]))
    }

    fn large(&mut self, command: &str) -> Result<Deed, String> {
        self.clear()?;
        let set = encode(&["SET", "large", &"x".repeat(LARGE_BYTES)]);
        if command == "SET" {
            self.rest("PING")?;
            return Ok(Deed::Commands(vec![set]));
        }
        self.wire.ask_long(&set)?;
        self.rest("GET large")
    }

    /// `x` is a long string that has never been changed within: it is about to be.
    fn with_string(&mut self, then: &str) -> Result<Deed, String> {
        const BYTES: usize = 64 << 20;
        self.clear()?;
        self.wire.ask_long(&encode(&["SET", "x", &"0".repeat(BYTES)]))?;
        self.rest(then)
    }

    /// `x` is not there.
    fn without_string(&mut self, then: &str) -> Result<Deed, String> {
        self.clear()?;
        self.rest(then)
    }

    /// Keys whose deadlines lie in one second, soon.
    fn expiring(&mut self) -> Result<Deed, String> {
        self.clear()?;
        let begun = Instant::now();
        let fill_time = self.fill_time;
        let first = begun + fill_time;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|it| it.to_string())?;
        let deadline_ms = (now + fill_time).as_millis() as u64;
        let keys = self.keys;
        self.wire.fill((0..keys).map(|it| {
            let at = deadline_ms + it * EXPIRING_TIME.as_millis() as u64 / keys;
            encode(&["SET", &format!("expiring:{it:012}"), VALUE, "PXAT", &at.to_string()])
        }))?;
        self.rest("PING")?;
        self.fill_time = FILL_TIME_LEAST + begun.elapsed().mul_f64(FILL_TIME_SPARE);
        if first < Instant::now() {
            return Err("the keys took too long to be written".into());
        }
        sleep(first - Instant::now());
        Ok(Deed::WaitUntil(first + 2 * EXPIRING_TIME))
    }

    /// Replicas that were paused have all writes before them when one is to take over.
    fn failover(&mut self) -> Result<Deed, String> {
        self.clear()?;
        self.rest("PING")?;
        let replicas = self.members.hosted_replicas()?;
        let candidate = replicas.first().ok_or("there is no replica")?.clone();
        for replica in &replicas {
            self.wire.ask(&["PROXY", "NODE", replica, "PAUSE"])?;
        }
        let writes = 0..self.writes_before_failover;
        self.wire.fill(writes.map(|it| encode(&["SET", &format!("late:{it:09}"), "x"])))?;
        let resume = replicas.iter().map(|it| encode(&["PROXY", "NODE", it, "RESUME"]));
        let failover = encode(&["PROXY", "FAILOVER", "TO", &candidate]);
        Ok(Deed::Commands(resume.chain([failover]).collect()))
    }

    /// A paused replica is so far behind that it has been cut off.
    fn full_resync(&mut self) -> Result<Deed, String> {
        self.with_keys(self.keys, "PING")?;
        let replicas = self.members.hosted_replicas()?;
        let replica = replicas.last().ok_or("there is no replica")?;
        self.wire.ask(&["PROXY", "NODE", replica, "PAUSE"])?;
        let chunk = encode(&["SET", "large", &"x".repeat(CHUNK_BYTES)]);
        for _ in 0..FEED_LIMIT_BYTES / CHUNK_BYTES as u64 {
            self.wire.ask_long(&chunk)?;
        }
        if !self.members.is_cut_off(replica)? {
            return Err("the replica was not cut off".into());
        }
        Ok(Deed::Commands(vec![encode(&["PROXY", "NODE", replica, "RESUME"])]))
    }

    fn clear(&mut self) -> Result<(), String> {
        self.wire.ask(&["UNLINK", "d", "x", "large"]).map(drop)
    }

    /// What came before has been applied everywhere; next comes this command.
    fn rest(&mut self, then: &str) -> Result<Deed, String> {
        self.members.wait_until_drained_and_quiet()?;
        Ok(Deed::Commands(vec![encode(&then.split(' ').collect::<Vec<_>>())]))
    }

    fn count_keys(&mut self) -> Result<u64, String> {
        let told = self.wire.ask(&["DBSIZE"])?;
        let told = String::from_utf8_lossy(&told);
        told.trim().trim_start_matches(':').parse().map_err(|_| format!("DBSIZE says {told}"))
    }
}
