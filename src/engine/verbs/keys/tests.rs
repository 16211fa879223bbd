//! What commands on keys of any type promise: Redis' replies, Redis' stream, and that a member
//! which follows the stream holds the same keys.

use crate::base::limits::DATABASES;
use crate::base::time::WallMs;
use crate::command::Args;
use crate::engine::table::Slot;
use crate::engine::verbs::check::{Bench, check, words};
use crate::engine::{DeferredFree, EffectBody, Effects, Engine, Run, Thresholds};
use crate::resp::{OwnedRequest, Reply};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn keys_come_and_go_as_in_redis() {
    check("keys.txt");
}

#[test]
fn keys_expire_as_in_redis() {
    check("keys-expire.txt");
}

#[test]
fn keys_are_found_as_in_redis() {
    check("keys-search.txt");
    check("keys-cursors.txt");
}

#[test]
fn keys_are_described_as_in_redis() {
    check("keys-object.txt");
}

#[test]
fn databases_are_emptied_and_swapped_as_in_redis() {
    check("keys-databases.txt");
}

/// The commands a write said, with the database of each: what a replica runs when it is not shared
/// their outcome.
fn spoken(effects: &Effects, sent: &[Vec<u8>]) -> Vec<(usize, Vec<Vec<u8>>)> {
    let command = |body: &EffectBody| match body {
        EffectBody::AsSent => sent.to_vec(),
        other => decode(&effects.encoded(other).expect("it has words")),
    };
    effects.items().iter().map(|it| (it.db, command(&it.body))).collect()
}

/// Words of an encoded command, none of which holds a line break.
fn decode(encoded: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8(encoded.to_vec()).expect("text");
    text.split("\r\n").skip(2).step_by(2).map(|it| it.as_bytes().to_vec()).collect()
}

fn text(command: &(usize, Vec<Vec<u8>>)) -> String {
    let words = command.1.iter().map(|it| String::from_utf8_lossy(it));
    let words = words.collect::<Vec<_>>().join(" ");
    if command.0 == 0 { words } else { format!("{}> {words}", command.0) }
}

/// Each line with what redis-server 7.0.15 puts on its stream for it, at 1,000,000 ms.
const STREAM: &[(&str, &str)] = &[
    ("FlushAll sync", "FlushAll sync"),
    ("flushdb", "flushdb"),
    ("SET a 1", "SET a 1"),
    ("SET b 1", "SET b 1"),
    ("del a nokey b a", "del a nokey b a"),
    ("DEL nokey", ""),
    ("SET a 1", "SET a 1"),
    ("EXPIRE a 100", "PEXPIREAT a 1100000"),
    ("EXPIRE a 100 nx", ""),
    ("expire a 200 XX GT", "PEXPIREAT a 1200000 XX GT"),
    ("PEXPIRE a 200001", "PEXPIREAT a 1200001"),
    ("EXPIREAT a 2000", "PEXPIREAT a 2000000"),
    ("PExpireAt a 2000001 GT", "PExpireAt a 2000001 GT"),
    ("TOUCH a", ""),
    ("PERSIST a", "PERSIST a"),
    ("PERSIST a", ""),
    ("EXPIRE a -1 GT", ""),
    ("EXPIREAT a 1000 LT", "DEL a"),
    ("SET a 1", "SET a 1"),
    ("RENAME a a", ""),
    ("RENAME a b", "RENAME a b"),
    ("RENAME a b", ""),
    ("RENAMENX b b", ""),
    ("RENAMENX b a", "RENAMENX b a"),
    ("COPY a b", "COPY a b"),
    ("COPY a b", ""),
    ("COPY a b DB 3 REPLACE", "COPY a b DB 3 REPLACE"),
    ("MOVE a 0", ""),
    ("MOVE a 2", "MOVE a 2"),
    ("MOVE a 2", ""),
    ("SWAPDB 0 0", "SWAPDB 0 0"),
    ("SWAPDB 3 1", "SWAPDB 3 1"),
    ("SWAPDB 0 16", ""),
    ("SET f 1 PX 5", "SET f 1 PXAT 1000005"),
    ("SET g 1", "SET g 1"),
    ("COPY g h DB 1", "COPY g h DB 1"),
    ("SWAPDB 0 1", "SWAPDB 0 1"),
    ("PEXPIRE h 5", "PEXPIREAT h 1000005"),
    ("SWAPDB 0 1", "SWAPDB 0 1"),
    ("SET h 2", "SET h 2"),
];

/// As [`STREAM`], at 2,000,000 ms, when `f` and the `h` of database 1 are due.
const STREAM_LATER: &[(&str, &str)] = &[
    ("RENAMENX g f", "DEL f; RENAMENX g f"),
    ("SET g 1 PXAT 1500000", "SET g 1 PXAT 1500000"),
    ("RENAME g f", "DEL g"),
    ("COPY h h DB 1 FOO", ""),
    ("COPY h h DB 1", "1> DEL h; COPY h h DB 1"),
    ("COPY h h DB 1", ""),
    ("SET k 1 PXAT 1500000", "SET k 1 PXAT 1500000"),
    ("DEL k nokey", "DEL k"),
];

#[test]
fn the_stream_says_what_redis_says() {
    let mut bench = Bench::default();
    for (now, facts) in [(1_000_000, STREAM), (2_000_000, STREAM_LATER)] {
        bench.env.now.set(WallMs(now));
        for (line, wanted) in facts {
            bench.effects.begin(0);
            bench.ask(line);
            let spoken = spoken(&bench.effects, &words(line));
            let spoken: Vec<String> = spoken.iter().map(text).collect();
            assert_eq!(spoken.join("; "), *wanted, "{line}");
        }
    }
}

#[test]
fn what_a_flush_takes_is_freed_elsewhere() {
    let mut bench = Bench::default();
    bench.ask("FLUSHALL");
    assert!(bench.engine.written().deferred_frees.is_empty(), "nothing needs no grave");
    bench.ask("MSET a 1 b 2");
    bench.ask("FLUSHALL SYNC");
    let deferred_frees = std::mem::take(&mut bench.engine.written_mut().deferred_frees);
    let [DeferredFree::Space(space)] = deferred_frees.as_slice() else { panic!("one keyspace") };
    assert_eq!(space.len(), 2);
    assert_eq!(bench.engine.written().changes, 4);
}

#[test]
fn only_watched_keys_that_were_there_notice_a_flush_or_a_swap() {
    let mut bench = Bench::default();
    bench.ask("SET there 1");
    let space = bench.engine.space_mut(0);
    let [there, nowhere] = [space.watch(b"there"), space.watch(b"nowhere")];
    let elsewhere = bench.engine.space_mut(1).watch(b"there");
    bench.ask("SWAPDB 0 1");
    let version = |bench: &Bench, db: usize, key: &str| {
        bench.engine.space(db).version(key.as_bytes()).expect("watched")
    };
    assert_ne!(version(&bench, 0, "there"), there);
    assert_ne!(version(&bench, 1, "there"), elsewhere);
    let swapped = version(&bench, 1, "there");
    bench.ask("FLUSHALL");
    assert_ne!(version(&bench, 1, "there"), swapped);
    assert_eq!(version(&bench, 0, "nowhere"), nowhere);
}

#[test]
fn a_key_is_idle_since_its_value_was_used() {
    let mut bench = Bench::default();
    let mut idle_after = |ms: u64, line: &str| {
        let now = bench.env.now.get();
        bench.env.now.set(WallMs(now.0 + ms));
        bench.ask(line);
        bench.ask("OBJECT IDLETIME k")
    };
    assert_eq!(idle_after(0, "SET k v"), ":0\n");
    for (line, idle) in [
        ("TTL k", ":5\n"),
        ("TYPE k", ":10\n"),
        ("EXISTS k", ":15\n"),
        ("GET k", ":0\n"),
        ("RANDOMKEY", ":5\n"),
        ("TOUCH k", ":0\n"),
        ("SCAN 0", ":5\n"),
        ("EXPIRE k 1000", ":0\n"),
        ("MEMORY USAGE k", ":5\n"),
        ("PERSIST k", ":0\n"),
        ("RENAME k k", ":0\n"),
    ] {
        assert_eq!(idle_after(5000, line), idle, "{line}");
    }
}

#[test]
fn who_asks_of_a_key_is_counted_as_one_who_asks_for_its_value() {
    let mut bench = Bench::default();
    bench.ask("SET k v");
    for line in ["EXISTS k nokey", "TTL k", "TYPE nokey", "OBJECT ENCODING k", "KEYS *"] {
        bench.ask(line);
    }
    assert_eq!((bench.env.hits.get(), bench.env.misses.get()), (3, 2));
}

/// A master at database `db` whose writes a follower repeats.
struct Pair {
    master: Bench,
    db: usize,
    follower: Engine,
}

impl Pair {
    fn new() -> Pair {
        let follower = Engine::new(7, Thresholds::default());
        Pair { master: Bench::default(), db: 0, follower }
    }

    fn write(&mut self, line: &str) {
        let words = words(line);
        let owned = OwnedRequest::of(&words);
        let row = crate::engine::verbs::find(&words[0]).expect("a known command");
        let Run::Write(verb) = row.run else { panic!("{line} is not a write") };
        let Bench { engine, env, effects, .. } = &mut self.master;
        let args = Args::new(owned.borrow(), 1, self.db, env);
        effects.clear();
        // A fault may still have said that something expired.
        let _ = engine.write(&row.spec, verb, args, effects, &mut Reply::default());
        self.follow(&words);
    }

    fn follow(&mut self, sent: &[Vec<u8>]) {
        let effects = &self.master.effects;
        for (item, (db, words)) in effects.items().iter().zip(spoken(effects, sent)) {
            let shared = &effects.shared()[item.shared.clone()];
            for slot in shared {
                let slot = slot.share().expect("what is shared can be shared again");
                self.follower.db_mut_at(db, WallMs::NEVER_EXPIRES).apply_shared(slot);
            }
            if shared.is_empty() {
                let owned = OwnedRequest::of(&words);
                let (mut spoken, mut reply) = (Effects::default(), Reply::default());
                let (at, request) = (WallMs(0), owned.borrow());
                let repeated = self.follower.repeat(db, at, request, &mut spoken, &mut reply);
                repeated.expect("the stream can be repeated");
            }
        }
    }
}

type Content = BTreeMap<(usize, String), (String, Option<WallMs>, &'static str)>;

/// Everything a member holds, expired or not.
fn content(engine: &Engine) -> Content {
    let entries = (0..DATABASES).flat_map(|db| {
        engine.space(db).table().iter().map(move |slot| {
            let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
            let value = text(slot.as_string().expect("a string"));
            ((db, text(slot.key())), (value, slot.deadline(), slot.encoding()))
        })
    });
    entries.collect()
}

fn line() -> impl Strategy<Value = String> {
    let key = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let db = || 0..3_usize;
    let condition = || prop::sample::select(vec!["", " NX", " XX", " GT", " LT", " XX GT"]);
    prop_oneof![
        (key(), 0..20_000_i64).prop_map(|(key, value)| format!("SET {key} {value}")),
        (key(), 1..60_u64).prop_map(|(key, ms)| format!("SET {key} x PX {ms}")),
        (key(), 0..3_i64).prop_map(|(key, by)| format!("INCRBY {key} {by}")),
        key().prop_map(|key| format!("APPEND {key} 1")),
        (key(), key()).prop_map(|(one, other)| format!("DEL {one} {other}")),
        (key(), key()).prop_map(|(one, other)| format!("RENAME {one} {other}")),
        (key(), key()).prop_map(|(one, other)| format!("RENAMENX {one} {other}")),
        (key(), key(), db()).prop_map(|(one, other, db)| format!("COPY {one} {other} DB {db}")),
        (key(), key()).prop_map(|(one, other)| format!("COPY {one} {other} REPLACE")),
        (key(), db()).prop_map(|(key, db)| format!("MOVE {key} {db}")),
        (key(), -5..60_i64, condition())
            .prop_map(|(key, ms, it)| format!("PEXPIRE {key} {ms}{it}")),
        (key(), condition()).prop_map(|(key, it)| format!("PEXPIREAT {key} 1000050{it}")),
        key().prop_map(|key| format!("PERSIST {key}")),
        (db(), db()).prop_map(|(one, other)| format!("SWAPDB {one} {other}")),
        Just("FLUSHDB".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_follower_holds_what_the_master_holds(
        steps in prop::collection::vec((0..3_usize, 0..10_u64, line()), 1..80),
    ) {
        let mut pair = Pair::new();
        for (db, passed_ms, line) in steps {
            let now = pair.master.env.now.get();
            pair.master.env.now.set(WallMs(now.0 + passed_ms));
            pair.db = db;
            pair.write(&line);
            prop_assert_eq!(content(&pair.master.engine), content(&pair.follower), "{}", line);
        }
    }

    #[test]
    fn all_ways_to_look_agree_on_what_has_expired(
        lives in prop::collection::btree_map("[a-z]{1,3}", prop::option::of(1..50_u64), 0..40),
        later in 0..60_u64,
    ) {
        let mut bench = Bench::default();
        for (key, life) in &lives {
            let life = life.map_or(String::new(), |ms| format!(" PX {ms}"));
            bench.ask(&format!("SET {key} v{life}"));
        }
        bench.env.now.set(WallMs(1_000_000 + later));
        let is_live = |it: &(&String, &Option<u64>)| it.1.is_none_or(|ms| later <= ms);
        let live: Vec<&String> = lives.iter().filter(is_live).map(|it| it.0).collect();
        let mut asked = |line: &str| bench.ask(line);

        let sorted = |reply: String| {
            let mut names: Vec<String> = reply.lines().map(str::to_owned).collect();
            names.retain(|it| !it.starts_with(['*', '$']));
            names.sort();
            names
        };
        prop_assert_eq!(asked("DBSIZE"), format!(":{}\n", live.len()));
        let names = sorted(asked("KEYS *"));
        prop_assert_eq!(names.iter().collect::<Vec<_>>(), live.clone());
        let names = sorted(asked("SCAN 0 COUNT 1000"));
        prop_assert_eq!(names.iter().skip(1).collect::<Vec<_>>(), live.clone());
        let chosen = sorted(asked("RANDOMKEY"));
        prop_assert_eq!(chosen.is_empty(), live.is_empty());
        prop_assert!(chosen.iter().all(|it| live.contains(&it)));
        for key in lives.keys() {
            let there = format!(":{}\n", u8::from(live.contains(&key)));
            prop_assert_eq!(asked(&format!("EXISTS {key}")), there.clone());
            prop_assert_eq!(asked(&format!("TTL {key}")) != ":-2\n", live.contains(&key));
            prop_assert_eq!(asked(&format!("GET {key}")) != "$-1\n", live.contains(&key));
        }
    }

    #[test]
    fn a_scan_meets_every_key_that_stays(
        stay in 0..300_usize,
        count in 1..20_usize,
        changes in prop::collection::vec((0..500_usize, any::<bool>()), 0..200),
    ) {
        let mut bench = Bench::default();
        (0..stay).for_each(|it| drop(bench.ask(&format!("SET stay:{it} 1"))));
        (0..100).for_each(|it| drop(bench.ask(&format!("SET go:{it} 1"))));
        let (mut met, mut cursor) = (std::collections::BTreeSet::new(), "0".to_owned());
        let mut changes = changes.chunks(7);
        loop {
            let step = format!("SCAN {cursor} COUNT {count} MATCH stay:* TYPE string");
            let reply = bench.ask(&step);
            let mut lines = reply.lines().filter(|it| !it.starts_with(['*', '$']));
            cursor = lines.next().expect("a cursor").to_owned();
            met.extend(lines.map(str::to_owned));
            if cursor == "0" {
                break;
            }
            for (name, comes) in changes.next().unwrap_or_default() {
                let verb = if *comes { "MSET" } else { "DEL" };
                bench.ask(&format!("{verb} go:{name} 1"));
            }
        }
        prop_assert_eq!(met.len(), stay);
    }
}
