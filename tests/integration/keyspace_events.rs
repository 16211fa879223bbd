//! Keyspace events: what subscribers hear of changes must be what a real Redis tells, in its order;
//! and what only a replica set has to keep.

use crate::families;
use crate::grammar::{Grammar, SPOILT_ONE_IN};
use crate::support::{BOTH, Server, Value, Wire, Words, ok, order, until, until_blocked, words};
use crate::vocabulary::Vocabulary;
use entourage::base::random::Random;
use std::thread::{scope, sleep};
use std::time::Duration;

const FAMILIES: [&str; 12] = [
    families::STRINGS,
    families::KEYS,
    families::HASHES,
    families::LISTS,
    families::SETS,
    families::SORTED_SETS,
    families::SORT,
    families::ENTRIES,
    families::STREAMS,
    families::BITMAPS,
    families::HYPERLOGLOG,
    families::GEO,
];
/// Steps of a family: commands, and transactions.
const STEPS: usize = 4000;
/// Steps of one pipeline.
const PIPELINE: usize = 50;
/// After so many pipelines everything goes.
const FLUSH_EVERY: usize = 8;
const QUEUED_MAX: u64 = 5;

/// What is popped by chance is gone at one of them alone, and Redis 7.2 takes a word behind these
/// ranks, where 7.0 aborts a transaction.
const UNLIKE: [&str; 3] = ["SPOP", "ZRANK", "ZREVRANK"];

/// What is said at once, and heard of together.
type Step = Vec<Words>;

/// A connection that speaks, and one that hears of all events.
struct Ends {
    speaker: Wire,
    listener: Wire,
}

impl Ends {
    fn of(server: &Server) -> Ends {
        let (mut speaker, mut listener) = (server.dial(), server.dial());
        ok(&mut speaker, "CONFIG SET notify-keyspace-events KEAmn");
        listener.ask("PSUBSCRIBE __key*__:*");
        listener.ask("SUBSCRIBE mark");
        Ends { speaker, listener }
    }

    /// Says all in one pipeline. Answers what is heard of each step.
    fn hear(&mut self, steps: &[Step]) -> Vec<Vec<String>> {
        let mark = words(&["PUBLISH", "mark", "x"]);
        let marked = |it: &Step| [it.clone(), vec![mark.clone()]].concat();
        let all: Vec<Words> = steps.iter().flat_map(marked).collect();
        self.speaker.send(&all);
        let heard = steps.iter().map(|_| self.until_mark()).collect();
        self.speaker.read_many(all.len());
        heard
    }

    /// What is heard of one line, of which others do the rest.
    fn hear_line(&mut self, line: &str) -> Vec<String> {
        self.hear(&[vec![line.split(' ').map(Into::into).collect()]]).remove(0)
    }

    fn until_quiet(&mut self) {
        self.hear_line("PING");
    }

    fn until_mark(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let message = self.listener.read();
            let text = |it: &Value| it.text().unwrap().escape_ascii().to_string();
            match message.list() {
                [_, _, channel, word] => heard.push(format!("{} {}", text(channel), text(word))),
                _ => return heard,
            }
        }
    }
}

/// Where Redis 7.2 and we create a consumer that is named, and 7.0 one that gets something.
const NAMES_CONSUMERS: [&[u8]; 3] = [b"XREADGROUP", b"XCLAIM", b"XAUTOCLAIM"];

fn without_consumers(heard: &mut Vec<String>) {
    heard.retain(|it| !it.contains("xgroup-createconsumer") && !it.contains("xgroup-delconsumer"));
}

/// Both servers hear of the same commands.
struct Both {
    theirs: Ends,
    ours: Ends,
    found: Vec<String>,
    /// Whether all groups have the same consumers at both.
    have_same_consumers: bool,
}

impl Both {
    fn of(servers: &[Server; 2]) -> Both {
        Both {
            theirs: Ends::of(&servers[0]),
            ours: Ends::of(&servers[1]),
            found: Vec::new(),
            have_same_consumers: true,
        }
    }

    fn compare(&mut self, steps: &[Step]) {
        let (wanted, got) = (self.theirs.hear(steps), self.ours.hear(steps));
        for (step, (mut wanted, mut got)) in steps.iter().zip(wanted.into_iter().zip(got)) {
            // It looks its weights up in an order of its own, and stops at the first that is none.
            if step.iter().any(|it| it[0].eq_ignore_ascii_case(b"SORT")) {
                [&mut wanted, &mut got]
                    .iter_mut()
                    .for_each(|it| it.retain(|it| !it.contains("keymiss")));
            }
            let names_one = |it: &Words| {
                let is = |name: &&[u8]| it[0].eq_ignore_ascii_case(name);
                NAMES_CONSUMERS.iter().any(is)
                    || it[0].eq_ignore_ascii_case(b"XGROUP") && !self.have_same_consumers
            };
            if step.iter().any(names_one) {
                [&mut wanted, &mut got].into_iter().for_each(without_consumers);
            }
            self.note(&shown(step), wanted, got);
        }
    }

    fn note(&mut self, what: &str, wanted: Vec<String>, got: Vec<String>) {
        if wanted != got && self.found.len() < 8 {
            self.found.push(format!("{what}\n  wanted {wanted:#?}\n  got {got:#?}"));
        }
    }

    fn assert_same(self) {
        assert!(self.found.is_empty(), "\n{}", self.found.join("\n"));
    }
}

fn shown(step: &Step) -> String {
    let line = |it: &Words| it.iter().map(|it| it.escape_ascii().to_string()).collect::<Vec<_>>();
    step.iter().map(|it| line(it).join(" ")).collect::<Vec<_>>().join("; ")
}

fn servers(extra: &[&str]) -> [Server; 2] {
    [Server::redis(&["--enable-debug-command", "yes"]), Server::entourage(extra)]
}

#[test]
fn random_commands_raise_the_events_of_redis() {
    let servers = servers(&[]);
    let vocabulary = Vocabulary { db: 0, other_db: 8, crowd: 12 };
    let mut both = Both { have_same_consumers: false, ..Both::of(&servers) };
    for (number, text) in FAMILIES.iter().enumerate() {
        let mut grammar = Grammar::read(text, SPOILT_ONE_IN);
        grammar.retain(|it| !UNLIKE.contains(&it.name.as_str()) && !it.is_optional);
        let mut random = Random::new(1 + number as u64);
        for pipeline in 0..STEPS / PIPELINE {
            let steps: Vec<Step> =
                (0..PIPELINE).map(|_| step(&grammar, &mut random, &vocabulary)).collect();
            both.compare(&steps);
            if pipeline % FLUSH_EVERY == 0 {
                both.compare(&[vec![words(&["FLUSHALL"])]]);
            }
        }
    }
    both.assert_same();
}

fn step(grammar: &Grammar, random: &mut Random, vocabulary: &Vocabulary) -> Step {
    let mut command = || grammar.command(random, vocabulary);
    let first = command();
    if first.len() % 4 != 0 {
        return vec![first];
    }
    let more = first.iter().map(Vec::len).sum::<usize>() as u64 % QUEUED_MAX;
    let queued = (0..more).map(|_| command());
    let mut step = vec![words(&["MULTI"]), first];
    step.extend(queued);
    step.push(words(&["EXEC"]));
    step
}

/// Each line is one step; commands of one step are said together.
const LINES: &[&str] = &[
    "SET k v; SET k v; SET k v EX 100; SET k v PX 100000; SETEX k 9 v; PSETEX k 9000 v; GETSET k v",
    "SET k v GET; SET n v NX GET; SET n v XX; SET x v XX; SETNX k v; SETNX l v; SET k v KEEPTTL",
    "MSET a 1 b 2 a 3; MSETNX a 1 z 2; MSETNX y 1 z 2; APPEND k x; APPEND new x; SETRANGE k 9 x",
    "SETRANGE other 3 x; SETRANGE other 3; INCR n; INCRBY n 3; DECR n; DECRBY n 4",
    "DEL n; INCR n; INCRBYFLOAT f 1.5; INCRBYFLOAT f 1; GETDEL f; GETDEL f; GETEX k EX 100",
    "GETEX k PERSIST; GETEX k PERSIST; GETEX k EXAT 1; GETEX k; EXPIRE a 100; EXPIRE a 50 GT",
    "PEXPIRE a 100000; EXPIREAT a 99999999999; PERSIST a; PERSIST a; EXPIRE a -1; EXPIRE a 1",
    "SET a 1; SET b 2; RENAME a b; RENAME b b; RENAMENX b c; SET d 1; RENAMENX c d; RENAME no x",
    "MOVE d 1; MOVE d 1; COPY c e; COPY c e; COPY c e REPLACE; COPY c e DB 1; COPY no e; COPY c c DB 1",
    "DEL a b c d e; UNLINK k l m; TOUCH a; EXISTS a b; TYPE a; TTL a; PTTL a; OBJECT ENCODING a",
    "DUMP a; STRLEN a; GETRANGE a 0 1; MGET a b c; LCS a b; OBJECT IDLETIME a; OBJECT REFCOUNT a",
    "LPUSH l a b c; RPUSH l d; LPUSHX l x; RPUSHX no x; LPOP l; RPOP l 2; LPOP l 0; LPOP no; LPOP no 1",
    "LINSERT l BEFORE a z; LINSERT l AFTER no z; LSET l 0 y; LREM l 0 y; LREM l 0 no; LTRIM l 0 -1",
    "LTRIM l 5 9; RPUSH l a b c d; LMOVE l m LEFT RIGHT; LMOVE l l LEFT RIGHT; LMOVE l m RIGHT LEFT",
    "RPOPLPUSH l m; RPOPLPUSH l l; RPOPLPUSH l m; RPOPLPUSH l m; LMPOP 2 l m LEFT COUNT 2; LMPOP 1 no LEFT",
    "LMPOP 1 m RIGHT COUNT 9; LRANGE l 0 1; LLEN l; LINDEX l 0; LPOS l a; LPUSH l a; LPOP l; RPUSH l 1",
    "SORT l STORE s; SORT no STORE s; SORT no STORE s; SORT no; SORT l BY w_* GET x_* GET #; DEL l",
    "SADD s a b c d; SADD s a; SREM s a x; SREM s x; SMOVE s t b; SMOVE s t no; SMOVE s s c; SMOVE s t c",
    "SMOVE s t d; SADD s a; SPOP s; SADD s a b c; SPOP s 0; SPOP s 2; SPOP s 9; SPOP s; SPOP s 1",
    "SADD a 1 2 3; SADD b 2 3 4; SINTERSTORE d a b; SINTERSTORE d a no; SINTERSTORE d a no; SUNIONSTORE d a b",
    "SDIFFSTORE d a b; SDIFFSTORE d a a; SUNIONSTORE e no nope; SINTER a no; SUNION a no; SDIFF no a",
    "SINTERCARD 2 a no; SMEMBERS no; SCARD no; SISMEMBER no a; SMISMEMBER no a; SRANDMEMBER no; SSCAN no 0",
    "DEL a b d; HSET h f v; HSET h f v g w; HMSET h f v; HSETNX h f v; HSETNX h i v; HINCRBY h n 1",
    "HINCRBYFLOAT h n 1.5; HINCRBY new n 1; HINCRBYFLOAT newer n 1; HDEL h f no; HDEL h no; HDEL h g i n",
    "HGET no f; HMGET no f; HGETALL no; HKEYS no; HLEN no; HEXISTS no f; HSTRLEN no f; HRANDFIELD no; HSCAN no 0",
    "ZADD z 1 a 2 b; ZADD z 1 a; ZADD z NX 1 a; ZADD z XX CH 9 a; ZADD z INCR 1 a; ZADD no XX 1 a; ZINCRBY z 1 a",
    "ZINCRBY zz 1 a; ZREM z a no; ZREM z no; ZREM zz a; ZADD z 1 a 2 b 3 c 4 d 5 e; ZREMRANGEBYRANK z 0 0",
    "ZREMRANGEBYSCORE z 2 2; ZREMRANGEBYLEX z [c [c; ZREMRANGEBYRANK z 9 9; ZPOPMIN z; ZPOPMAX z 9; ZPOPMIN z",
    "ZADD z 1 a 2 b 3 c; ZPOPMIN z 0; ZMPOP 2 no z MIN; ZMPOP 1 z MAX COUNT 9; ZADD z 1 a 2 b; ZADD y 3 a",
    "ZRANGESTORE d z 0 -1; ZRANGESTORE d z 5 9; ZRANGESTORE d z 5 9; ZRANGESTORE d no 0 -1; ZUNIONSTORE d 2 z y",
    "ZINTERSTORE d 2 z y; ZDIFFSTORE d 2 z y; ZDIFFSTORE d 1 no; ZDIFFSTORE d 1 no; ZUNION 2 z no; ZINTER 2 no z",
    "ZSCORE no a; ZMSCORE no a; ZCARD no; ZRANK no a; ZRANGE no 0 1; ZCOUNT no 0 1; ZRANDMEMBER no; ZSCAN no 0",
    "GEOADD g 13.361389 38.115556 a 15 37 b; GEOADD g 15 37 b; GEOADD g XX CH 14 37 b; GEOADD no XX 1 1 a",
    "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 900 km; GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 1 m",
    "GEOSEARCHSTORE d no FROMLONLAT 1 1 BYBOX 1 1 m; GEORADIUS g 15 37 900 km; GEORADIUS g 15 37 900 km STORE d",
    "GEORADIUS g 15 37 1 m STORE d; GEORADIUSBYMEMBER g a 9 km STOREDIST d; GEORADIUSBYMEMBER no a 9 km STORE d",
    "GEOPOS no a; GEODIST no a b; GEOHASH no a; GEOSEARCH no FROMMEMBER a BYRADIUS 1 m; GEORADIUS_RO no 1 1 1 m",
    "XADD x 1-1 a b; XADD x NOMKSTREAM 2-1 a b; XADD no NOMKSTREAM 1-1 a b; XADD x MAXLEN 1 3-1 a b; XADD x 4-1 a b",
    "XTRIM x MAXLEN 1; XTRIM x MAXLEN 9; XTRIM no MAXLEN 1; XDEL x 4-1; XDEL x 4-1; XDEL no 1-1; XSETID x 9-9",
    "XADD x 10-1 a b; XGROUP CREATE x g 0; XGROUP CREATE x g 0; XGROUP CREATE y g 0 MKSTREAM; XGROUP CREATE no g 0",
    "XGROUP CREATECONSUMER x g c; XGROUP CREATECONSUMER x g c; XGROUP SETID x g 0; XGROUP SETID no g 0",
    "XREADGROUP GROUP g c STREAMS x >; XREADGROUP GROUP g d STREAMS x >; XREADGROUP GROUP g e STREAMS x 0",
    "XREADGROUP GROUP g c STREAMS no >; XREADGROUP GROUP no c STREAMS x >; XREAD STREAMS no x 0 0; XREAD STREAMS no $",
    "XPENDING x g; XPENDING no g; XCLAIM x g d 0 10-1; XCLAIM x g new 0 10-1; XCLAIM no g d 0 10-1; XCLAIM x no d 0 1-1",
    "XAUTOCLAIM x g c 0 0; XAUTOCLAIM x g newer 0 0; XAUTOCLAIM no g c 0 0; XACK x g 10-1; XACK x g 10-1; XACK no g 1-1",
    "XGROUP DELCONSUMER x g c; XGROUP DELCONSUMER x g c; XGROUP DELCONSUMER no g c; XGROUP DESTROY x g; XGROUP DESTROY x g",
    "XLEN no; XRANGE no - +; XREVRANGE no + -; XINFO STREAM no; XINFO GROUPS no; XINFO CONSUMERS no g; COPY x z; DEL x",
    "SETBIT bits 7 1; SETBIT bits 7 1; SETBIT bits 9 0; GETBIT no 1; BITCOUNT no; BITPOS no 1; BITFIELD no GET u8 0",
    "BITFIELD bits SET u8 0 1; BITFIELD bits SET u8 0 1; BITFIELD fresh SET u8 0 0; BITFIELD_RO no GET u8 0",
    "BITOP AND d bits no; BITOP OR d no none; BITOP OR d no none; BITOP NOT d no; BITOP NOT d bits; BITOP XOR no d d",
    "PFADD hll x; PFADD hll x; PFADD hll y; PFADD empty; PFADD empty; PFCOUNT hll; PFCOUNT nohll; PFCOUNT hll nohll",
    "PFMERGE merged hll; PFMERGE merged nohll hll; PFMERGE other other; PFMERGE alone; PFDEBUG ENCODING nohll",
    "MULTI; SET a 1; GET no; DEL a; INCR n; LPUSH n x; EXEC; MULTI; SET a 1; DISCARD; WATCH a; SET a 2; MULTI; \
     SET a 3; EXEC",
    "SELECT 3; SET a 1; GET no; MOVE a 0; SELECT 0; SWAPDB 0 3; FLUSHDB; SET a 1; FLUSHALL; SET a 1; LPUSH a x",
];

#[test]
fn each_command_raises_the_events_of_redis() {
    let servers = servers(&[]);
    let mut both = Both::of(&servers);
    for line in LINES {
        let steps: Vec<Step> = line
            .split(';')
            .map(|it| vec![it.split_whitespace().map(Into::into).collect()])
            .collect();
        // Within MULTI the mark is queued.
        let steps = if line.contains("MULTI") { vec![steps.concat()] } else { steps };
        both.compare(&steps);
    }
    both.assert_same();
}

/// Who waits, what is said, and what is heard then.
const BLOCKED: &[(&str, &str)] = &[
    ("BLPOP k 0", "RPUSH k a"),
    ("BRPOP k 0", "RPUSH k a b"),
    ("BLMOVE k d LEFT RIGHT 0", "LPUSH k a b"),
    ("BLMOVE k k LEFT RIGHT 0", "LPUSH k a b"),
    ("BRPOPLPUSH k d 0", "RPUSH k a"),
    ("BLMPOP 0 2 k j LEFT COUNT 2", "RPUSH j 1 2 3"),
    ("BZPOPMIN z 0", "ZADD z 1 a"),
    ("BZPOPMAX z 0", "ZADD z 1 a 2 b"),
    ("BZMPOP 0 1 z MIN COUNT 2", "ZADD z 1 a 2 b"),
    ("XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "XADD x 1-1 a b"),
    ("XREADGROUP GROUP g old BLOCK 0 STREAMS x >", "XADD x 1-1 a b"),
    ("XREADGROUP GROUP g c BLOCK 0 NOACK STREAMS x >", "XADD x 1-1 a b"),
    ("XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "XGROUP DESTROY x g"),
    ("XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "DEL x"),
    ("XREAD BLOCK 0 STREAMS x $", "XADD x 1-1 a b"),
    ("BLPOP k 0", "RENAME l k"),
    ("BLPOP k 0", "COPY l k"),
];

#[test]
fn blocked_clients_that_are_served_raise_theirs_behind_those_of_who_serves_them() {
    let servers = servers(&[]);
    let mut both = Both::of(&servers);
    for within in [false, true] {
        for (waits, line) in BLOCKED {
            let mut heard = Vec::new();
            for (server, ends) in servers.iter().zip([&mut both.theirs, &mut both.ours]) {
                ends.hear_line("FLUSHALL");
                ends.hear_line("RPUSH l x");
                ends.hear_line("XGROUP CREATE x g $ MKSTREAM");
                ends.hear_line("XGROUP CREATECONSUMER x g old");
                let mut blocked = server.dial();
                blocked.send(&[waits.split(' ').map(Into::into).collect()]);
                until_blocked(&mut server.dial(), 1);
                let say = |it: &str| it.split(' ').map(Into::into).collect::<Words>();
                let step = match within {
                    false => vec![say(line)],
                    true => ["MULTI", line, "SET other 1", "EXEC"].map(say).to_vec(),
                };
                let mut of = ends.hear(&[step]).remove(0);
                if waits.starts_with("XREADGROUP") {
                    without_consumers(&mut of);
                }
                heard.push(of);
                blocked.read();
            }
            let got = heard.pop().unwrap();
            both.note(&format!("{waits}, {line}"), heard.pop().unwrap(), got);
        }
    }
    both.assert_same();
}

/// What is said of a key `k` whose time has come.
const LATE: &[&str] = &[
    "SET k w",
    "SET k w NX",
    "SET k w XX",
    "SET k w GET",
    "SETNX k w",
    "GETSET k w",
    "GETDEL k",
    "INCR k",
    "APPEND k x",
    "MSET k 1",
    "LPUSH k a",
    "LPUSHX k a",
    "RPOP k",
    "SADD k a",
    "SREM k a",
    "HSET k f v",
    "HDEL k f",
    "ZADD k 1 a",
    "ZREM k a",
    "DEL k",
    "UNLINK k",
    "EXPIRE k 9",
    "PERSIST k",
    "RENAME k j",
    "RENAME l k",
    "COPY k j",
    "COPY l k",
    "MOVE k 1",
    "SINTERSTORE d k",
    "SUNIONSTORE k s",
    "SORT k STORE d",
    "SORT l STORE k",
    "ZRANGESTORE d k 0 -1",
    "GEOADD k 1 1 a",
    "GEORADIUS k 1 1 1 m STORE d",
    "GEOSEARCHSTORE d k FROMLONLAT 1 1 BYRADIUS 1 m",
    "LMOVE l k LEFT LEFT",
    "LMOVE k l LEFT LEFT",
    "SMOVE s k a",
    "RESTORE k 0 x",
];
const LATE_READS: &[&str] = &[
    "GET k",
    "EXISTS k",
    "TYPE k",
    "TTL k",
    "STRLEN k",
    "MGET k k",
    "LRANGE k 0 1",
    "OBJECT ENCODING k",
    "DUMP k",
    "TOUCH k",
    "HGETALL k",
    "SINTER k s",
    "SCAN 0 COUNT 1000",
    "KEYS *",
    "GETEX k",
    "GEOPOS k a",
    "GEORADIUS k 1 1 1 m",
    "GEOSEARCH k FROMMEMBER a BYRADIUS 1 m",
];

#[test]
fn keys_whose_time_has_come_are_told_of_as_redis_does() {
    let servers = servers(&[]);
    let mut both = Both::of(&servers);
    for ends in [&mut both.theirs, &mut both.ours] {
        ok(&mut ends.speaker, "DEBUG SET-ACTIVE-EXPIRE 0");
    }
    let reads = LATE_READS.iter().map(|it| (it, true));
    for (line, is_read) in LATE.iter().map(|it| (it, false)).chain(reads) {
        let mut heard = Vec::new();
        for ends in [&mut both.theirs, &mut both.ours] {
            for before in ["FLUSHALL", "RPUSH l 1", "SADD s a", "SET k v PX 1"] {
                ends.hear_line(before);
            }
            sleep(Duration::from_millis(3));
            ends.speaker.ask(line);
            // What a read has found is told to the master behind its batch.
            let mut of = ends.hear_line("PING");
            if is_read {
                of.sort();
            }
            heard.push(of);
        }
        let got = heard.pop().unwrap();
        both.note(line, heard.pop().unwrap(), got);
    }
    both.assert_same();
}

#[test]
fn the_master_tells_of_keys_that_nobody_asks_for() {
    for server in servers(&[]) {
        let mut ends = Ends::of(&server);
        ends.hear_line("SET k v PX 20");
        let heard = [ends.listener.read(), ends.listener.read()];
        let words = heard.map(|it| (it.list()[2].string(), it.list()[3].string()));
        let wanted = [("__keyspace@0__:k", "expired"), ("__keyevent@0__:expired", "k")];
        assert_eq!(words, wanted.map(|it| (it.0.to_owned(), it.1.to_owned())));
    }
}

/// Both replicas are paused while something is written: whoever has heard of it reads it.
#[test]
fn a_read_after_an_event_is_never_older_than_the_event() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let mut writer = server.dial();
    ok(&mut writer, "CONFIG SET notify-keyspace-events KEA");
    writer.ask("PROXY CONSISTENCY eventual");
    let levels = ["eventual", "bounded 3600000ms", "sticky", "global", "linearizable", "master"];
    for (round, level) in levels.iter().enumerate() {
        for within in [false, true] {
            let mut reader = server.dial();
            reader.ask("HELLO 3");
            reader.ask(&format!("PROXY CONSISTENCY {level}"));
            writer.ask("SET k old");
            writer.ask("WAIT 2 10000");
            reader.ask("SUBSCRIBE __keyevent@0__:set");
            assert_eq!(reader.ask("GET k").string(), "old");
            order(&mut writer, BOTH, "PAUSE");
            let say = format!("SET k v{round}");
            let all = if within { vec!["MULTI", &say, "EXEC"] } else { vec![&*say] };
            all.iter().for_each(|it| drop(writer.ask(it)));
            assert!(matches!(reader.read(), Value::Push(_)));
            assert_eq!(reader.ask("GET k").string(), format!("v{round}"), "{level}");
            order(&mut writer, BOTH, "RESUME");
        }
    }
    // A reader that has heard of nothing shows that the test can fail.
    writer.ask("WAIT 2 10000");
    order(&mut writer, BOTH, "PAUSE");
    writer.ask("SET k new");
    let mut reader = server.dial();
    reader.ask("PROXY CONSISTENCY eventual");
    assert_ne!(reader.ask("GET k").string(), "new");
    order(&mut writer, BOTH, "RESUME");
}

#[test]
fn only_what_is_asked_for_is_told() {
    for server in servers(&[]) {
        let mut ends = Ends::of(&server);
        for (letters, wanted) in [
            ("", &[][..]),
            ("A", &[]),
            ("Kl", &["__keyspace@0__:l rpush", "__keyspace@0__:l lpop"]),
            ("E$g", &["__keyevent@0__:set k", "__keyevent@0__:del l"]),
            ("Km", &["__keyspace@0__:no keymiss"]),
            ("En", &["__keyevent@0__:new k", "__keyevent@0__:new l"]),
        ] {
            ends.speaker.ask("DEL k l");
            ends.until_quiet();
            ends.speaker.cmd(&["CONFIG", "SET", "notify-keyspace-events", letters]);
            let steps = ["SET k v", "RPUSH l a", "GET no", "LPOP l"];
            let step = |it: &&str| vec![it.split(' ').map(Into::into).collect()];
            let heard = ends.hear(&steps.iter().map(step).collect::<Vec<Step>>()).concat();
            assert_eq!(heard, wanted, "{letters}");
        }
    }
}

#[test]
fn the_setting_is_that_of_redis() {
    let servers = servers(&[]);
    let told = |server: &Server| {
        let mut wire = server.dial();
        let letters = [
            "KEA",
            "AKE",
            "KEAn",
            "KEAmn",
            "gx",
            "Kg$lshzxetdn",
            "mnKE",
            "q",
            "KEA ",
            "",
            "dnmtEKezhsl$gx",
        ];
        let say = |it: &&str| {
            let said = wire.cmd(&["CONFIG", "SET", "notify-keyspace-events", it]);
            let told = wire.ask("CONFIG GET notify-keyspace-events");
            format!("{it}: {said} {told}")
        };
        letters.iter().map(say).collect::<Vec<_>>()
    };
    assert_eq!(told(&servers[1]), told(&servers[0]));
    let server = Server::entourage_with_config(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[set]\nnotify-keyspace-events = \"Kg\"\n",
    );
    let mut wire = server.dial();
    assert_eq!(wire.ask("CONFIG GET notify-keyspace-events").list()[1].string(), "gK");
    wire.ask("CONFIG SET notify-keyspace-events AnE");
    ok(&mut wire, "CONFIG REWRITE");
    let file = std::fs::read_to_string(server.dir().join("entourage.toml")).unwrap();
    assert!(file.contains("notify-keyspace-events = \"AnE\""), "{file}");
}

/// A set that follows a master tells of what that master's stream does, as a replica of Redis does.
#[test]
fn a_follower_tells_of_what_its_master_does() {
    let master = Server::redis(&[]);
    let followers = servers(&[]);
    let mut all = Vec::new();
    for follower in &followers {
        let mut wire = follower.dial();
        wire.cmd(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
        until("the link", || {
            let told = wire.ask("INFO replication").string();
            told.contains("master_link_status:up").then_some(())
        });
        ok(&mut wire, "CONFIG SET notify-keyspace-events KEA");
        wire.ask("PSUBSCRIBE __key*__:*");
        all.push(wire);
    }
    let mut writer = master.dial();
    for line in LINES {
        line.split(';').for_each(|it| {
            let said: Words = it.split_whitespace().map(Into::into).collect();
            writer.cmd(&said);
        });
    }
    // The names of the last event say where to end.
    writer.ask("SELECT 9");
    writer.ask("SET end 1");
    let heard = |wire: &mut Wire| {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|it| it != "__keyevent@9__:set end") {
            let message = wire.read();
            heard.push(format!("{} {}", message.list()[2].string(), message.list()[3].string()));
        }
        heard
    };
    let (wanted, got) = (heard(&mut all[0]), heard(&mut all[1]));
    assert_eq!(got, wanted);
}

/// Events of a key come in the order of its writes, whoever makes them, over failovers.
#[test]
fn events_keep_the_order_of_the_stream_and_a_failover_loses_none() {
    const EACH: usize = 1000;
    let server = Server::entourage(&["--threads", "2"]);
    let (mut operator, mut listener) = (server.dial(), server.dial());
    ok(&mut operator, "CONFIG SET notify-keyspace-events KEA");
    listener.ask("PSUBSCRIBE __keyspace@0__:*");
    scope(|scope| {
        for _ in 0..2 {
            let mut wire = server.dial();
            scope.spawn(move || {
                for _ in 0..EACH {
                    wire.pipeline(&[words(&["RPUSH", "l", "a"]), words(&["LPOP", "l"])]);
                }
            });
        }
        scope.spawn(|| {
            for it in 0..20 {
                operator.ask(&format!("PROXY FAILOVER TO n{}", it % 3 + 1));
                sleep(Duration::from_millis(5));
            }
        });
        let (mut pushed, mut popped, mut gone) = (0, 0, 0);
        while popped < 2 * EACH {
            match listener.read().list()[3].string().as_str() {
                "rpush" => pushed += 1,
                "lpop" => popped += 1,
                "del" => gone += 1,
                other => panic!("{other}"),
            }
            // The list is there exactly while more has been pushed than popped.
            assert!(popped <= pushed && pushed <= popped + 2, "{pushed} {popped}");
        }
        assert!(gone <= popped);
    });
}

/// Everything that this connection is pushed before it is answered PING, as text. Redis 7.0 puts
/// what a transaction's own client hears between the replies of EXEC.
fn pushes(wire: &mut Wire) -> Vec<String> {
    fn gather(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Push(_) => into.push(value.to_string()),
            Value::Array(items) => items.iter().for_each(|it| gather(it, into)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    // What is pushed is sent before the next request is read, and may be behind the answers so far.
    for _ in 0..2 {
        wire.send(&[words(&["PING", "end"])]);
        while {
            let value = wire.read();
            gather(&value, &mut found);
            value.to_string() != "\"end\""
        } {}
    }
    found
}

#[test]
fn messages_of_a_transaction_stand_between_its_events() {
    let conversations: [&[&[&str]]; 5] = [
        &[&["MULTI"], &["SET", "k", "1"], &["PUBLISH", "a", "1"], &["EXEC"]],
        &[&["MULTI"], &["PUBLISH", "a", "1"], &["SET", "k", "1"], &["EXEC"]],
        &[
            &["MULTI"],
            &["PUBLISH", "a", "1"],
            &["INCR", "k"],
            &["PUBLISH", "a", "2"],
            &["PUBLISH", "a", "3"],
            &["MSET", "k", "1", "j", "2"],
            &["PUBLISH", "a", "4"],
            &["DEL", "k", "j"],
            &["EXEC"],
        ],
        // Whoever is served is served afterwards.
        &[&["MULTI"], &["RPUSH", "list", "x"], &["PUBLISH", "a", "1"], &["EXEC"]],
        &[&[
            "EVAL",
            "redis.call('SET', 'k', 1) redis.call('PUBLISH', 'a', 1) redis.call('DEL', 'k')",
            "0",
        ]],
    ];
    let heard = |server: &Server| {
        let [mut speaker, mut other, mut waiter] = [server.dial(), server.dial(), server.dial()];
        ok(&mut speaker, "CONFIG SET notify-keyspace-events KEA");
        for wire in [&mut speaker, &mut other] {
            wire.ask("HELLO 3");
            wire.ask("PSUBSCRIBE __key*@0__:*");
            wire.ask("SUBSCRIBE a");
        }
        let mut all = Vec::new();
        for conversation in conversations {
            let is_waited_for = conversation.len() == 4 && conversation[1][0] == "RPUSH";
            if is_waited_for {
                waiter.send(&[words(&["BLPOP", "list", "0"])]);
                until_blocked(&mut other, 1);
            }
            speaker.send(&conversation.iter().map(|it| words(it)).collect::<Vec<_>>());
            let own = pushes(&mut speaker);
            if is_waited_for {
                assert_eq!(waiter.read().list().len(), 2);
            }
            all.push((conversation, own, pushes(&mut other)));
        }
        all
    };
    let (wanted, got) = (heard(&Server::redis(&[])), heard(&Server::entourage(&[])));
    for (wanted, got) in wanted.iter().zip(&got) {
        assert_eq!(wanted, got);
        assert_eq!(wanted.1, wanted.2, "all hear the same");
    }
}
