//! `maxmemory`: which keys go, that the limit is kept, that replicas follow, and what is refused
//! where nothing may go.

use crate::support::process::resident_bytes;
use crate::support::{
    Server, Wire, Words, digests, info_field, node, ok, order, starts, until, words,
};

const MB: i64 = 1 << 20;
/// What a limit may be passed by: what replicas have yet to give back, and the buffers at work.
const SLACK: i64 = MB;

fn number(wire: &mut Wire, section: &str, name: &str) -> i64 {
    info_field(wire, section, name).and_then(|it| it.parse().ok()).expect("a number")
}

fn used(wire: &mut Wire) -> i64 {
    number(wire, "memory", "used_memory")
}

fn evicted(wire: &mut Wire) -> i64 {
    number(wire, "stats", "evicted_keys")
}

fn set(wire: &mut Wire, name: &str, value: impl ToString) {
    assert_eq!(wire.cmd(&["CONFIG", "SET", name, &value.to_string()]).string(), "OK", "{name}");
}

#[test]
fn without_room_the_same_is_refused_in_the_same_words_as_by_redis() {
    const SCRIPTS: [&str; 6] = [
        "return redis.call('set','a','b')",
        "return redis.pcall('set','a','b')",
        "redis.call('del','a') return redis.call('set','a','b')",
        "#!lua\nreturn redis.call('set','a','b')",
        "#!lua flags=allow-oom\nreturn redis.call('set','a','b')",
        "#!lua flags=no-writes\nreturn redis.call('get','a')",
    ];
    const LINES: &str = "SET a c; APPEND a c; GET a; DEL b; HSET h f v; SORT a; EXPIRE a 1000; \
         MULTI; SET a 1; GET a; EXEC; MULTI; GET a; EXEC; MULTI; DISCARD; \
         CONFIG SET maxmemory 0; MULTI; SET a 1; GET a; CONFIG SET maxmemory 1; EXEC; \
         CONFIG SET maxmemory 0; MULTI; GET a; DEL c; EXEC; DISCARD; CONFIG SET maxmemory 0; \
         SET a 7; CONFIG SET maxmemory-policy volatile-lru; PERSIST a; CONFIG SET maxmemory 1; \
         SET a 8; CONFIG SET maxmemory-policy allkeys-lru; SET a 9; DBSIZE; CONFIG SET maxmemory 0; \
         CONFIG SET maxmemory-policy foo; CONFIG SET maxmemory-samples 0; \
         CONFIG SET maxmemory -5; CONFIG SET maxmemory 5x; \
         CONFIG SET maxmemory-eviction-tenacity 101; CONFIG SET maxmemory-clients 101%; \
         CONFIG SET maxmemory-clients -1; CONFIG SET lfu-log-factor -1; \
         CONFIG SET maxmemory 100mb; CONFIG GET maxmemory; CONFIG SET maxmemory-clients 5%; \
         CONFIG GET maxmemory-clients; CONFIG SET maxmemory 0; \
         CONFIG SET maxmemory-policy allkeys-lfu; SET f word; OBJECT FREQ f; OBJECT IDLETIME f; \
         RESTORE g 0 \x00 FREQ 256; OBJECT FREQ none; CONFIG SET maxmemory-policy allkeys-lru; \
         OBJECT FREQ f; MEMORY USAGE f SAMPLES -1; MEMORY USAGE f SAMPLES x; \
         MEMORY USAGE f FOO; MEMORY USAGE none; MEMORY PURGE";
    let talk = |server: Server| -> Vec<String> {
        let mut wire = server.dial();
        ok(&mut wire, "MSET a 1 b 2");
        set(&mut wire, "maxmemory", 1);
        let scripts = SCRIPTS.map(|it| wire.cmd(&["EVAL", it, "1", "a"]).to_string());
        let lines = LINES.split("; ").map(|it| format!("{it}: {}", wire.ask(it)));
        scripts.into_iter().chain(lines.collect::<Vec<_>>()).collect()
    };
    let [theirs, ours] = Server::both().map(talk);
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(our, their);
    }
    assert!(ours[6].starts_with("SET a c: -OOM command not allowed"), "{}", ours[6]);
}

/// A write of a kilobyte, more or less, of one of several types; `at` is its number.
fn write(at: usize) -> [Words; 2] {
    let (key, ttl) = (format!("key:{at}"), format!("{}", 10_000 + at));
    let value = "x".repeat(900 + at % 200);
    let write = match at % 5 {
        0 => words(&["HSET", &key, "a", &value, "b", "2"]),
        1 => words(&["RPUSH", &key, &value, "b"]),
        2 => words(&["ZADD", &key, "1", &value]),
        _ => words(&["SET", &key, &value]),
    };
    [write, words(&["EXPIRE", &key, &ttl])]
}

#[test]
fn under_every_policy_the_limit_is_kept_and_replicas_hold_the_same() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let server = Server::entourage(&["--replicas", "2", "--threads", "2"]);
        let mut wire = server.dial();
        let stay: Vec<Words> =
            (0..500).map(|it| words(&["SET", &format!("stay:{it}"), "v"])).collect();
        wire.pipeline(&stay);
        let limit = used(&mut wire) + 6 * MB;
        set(&mut wire, "maxmemory", limit);
        set(&mut wire, "maxmemory-policy", policy);
        for round in 0..200 {
            let batch: Vec<Words> = (round * 100..round * 100 + 100).flat_map(write).collect();
            for reply in wire.pipeline(&batch) {
                assert!(!reply.to_string().starts_with('-'), "{policy}: {reply}");
            }
            let over = used(&mut wire) - limit;
            assert!(over < SLACK, "{policy}: {over} bytes over");
            // What was written is read: a reply never shows less than was acknowledged.
            let last = format!("key:{}", round * 100 + 99);
            assert_eq!(wire.cmd(&["EXISTS", &last]).int(), Some(1), "{policy}: {last}");
        }
        assert!(10_000 < evicted(&mut wire), "{policy}");
        let left =
            (0..500).filter(|it| wire.cmd(&["EXISTS", &format!("stay:{it}")]).int() == Some(1));
        if policy.starts_with("volatile") {
            assert_eq!(left.count(), 500, "{policy}");
        }
        let digests = digests(&mut wire);
        assert!(digests.len() == 3 && digests.iter().all(|it| *it == digests[0]), "{digests:?}");
    }
}

/// A replica that is paused shares what is evicted, and is cut off when it lacks too much; the
/// others' keys do not go for that, before or afterwards, nor while it is copied anew.
#[test]
fn a_replica_that_is_paused_or_cut_off_costs_no_keys() {
    const KEYS: usize = 20_000;
    let server = Server::entourage(&["--replicas", "2", "--threads", "2"]);
    server.disconnects_replicas();
    let (mut wire, value) = (server.dial(), "x".repeat(1000));
    set(&mut wire, "replica-feed-limit", 4 * MB);
    let put = |wire: &mut Wire, from: usize, count: usize| {
        let batch: Vec<Words> =
            (from..from + count).map(|it| words(&["SET", &format!("key:{it}"), &value])).collect();
        for reply in batch.chunks(100).flat_map(|it| wire.pipeline(it)) {
            assert_eq!(reply.string(), "OK");
        }
    };
    put(&mut wire, 0, KEYS);
    let limit = used(&mut wire);
    set(&mut wire, "maxmemory-policy", "allkeys-lru");
    set(&mut wire, "maxmemory", limit);
    let mut next = KEYS;
    let mut write = |wire: &mut Wire, count: usize| {
        for _ in 0..count {
            put(wire, next, 100);
            next += 100;
            let left = wire.ask("DBSIZE").int().expect("a number");
            assert!(KEYS as i64 * 8 / 10 < left, "{left} keys are left of {KEYS}");
        }
    };
    for _ in 0..3 {
        order(&mut wire, &["n2"], "PAUSE");
        until("it to be cut off", || {
            write(&mut wire, 10);
            node(&mut wire, "n2")["state"].string().contains("unsynced").then_some(())
        });
        write(&mut wire, 100);
        order(&mut wire, &["n2"], "RESUME");
        write(&mut wire, 100);
        let digests = digests(&mut wire);
        assert!(digests.len() == 3 && digests.iter().all(|it| *it == digests[0]), "{digests:?}");
    }
    until("what was evicted to be given back", || (used(&mut wire) < limit + SLACK).then_some(()));
}

#[test]
fn a_lower_limit_takes_effect_without_a_write() {
    let server = Server::entourage(&["--replicas", "1"]);
    let mut wire = server.dial();
    let base = used(&mut wire);
    let batch: Vec<Words> = (0..20_000).flat_map(write).collect();
    batch.chunks(500).for_each(|it| drop(wire.pipeline(it)));
    set(&mut wire, "maxmemory-policy", "allkeys-random");
    set(&mut wire, "maxmemory", base + 8 * MB);
    until("used_memory to fall", || (used(&mut wire) < base + 8 * MB + SLACK).then_some(()));
    assert!(5_000 < evicted(&mut wire));
    ok(&mut wire, "CONFIG RESETSTAT");
    assert_eq!(evicted(&mut wire), 0);
}

#[test]
fn who_listens_hears_of_evictions() {
    let server = Server::entourage(&[]);
    let (mut wire, mut listener) = (server.dial(), server.dial());
    ok(&mut wire, "CONFIG SET notify-keyspace-events Ee");
    listener.ask("SUBSCRIBE __keyevent@0__:evicted");
    ok(&mut wire, "SET a 1");
    set(&mut wire, "maxmemory-policy", "allkeys-lru");
    set(&mut wire, "maxmemory", 1);
    let told = listener.read();
    assert_eq!(told.list()[2].string(), "a");
    starts(&wire.ask("SET b 1"), "OOM");
}

#[test]
fn a_watched_key_that_is_evicted_has_changed() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    ok(&mut wire, "WATCH a");
    set(&mut wire, "maxmemory-policy", "allkeys-lru");
    set(&mut wire, "maxmemory", 1);
    until("it to go", || (wire.ask("DBSIZE").int() == Some(0)).then_some(()));
    set(&mut wire, "maxmemory", 0);
    ok(&mut wire, "MULTI");
    wire.ask("SET b 1");
    assert!(wire.ask("EXEC").is_nil());
}

/// Trap 18: a key that is only read, at replicas, is in use at the master, whatever its type.
#[test]
fn reads_at_replicas_count_at_the_master() {
    let server = Server::entourage(&["--replicas", "2"]);
    let mut wire = server.dial();
    set(&mut wire, "maxmemory-policy", "allkeys-lfu");
    wire.ask("HSET h f v");
    ok(&mut wire, "SET s v");
    ok(&mut wire, "PROXY CONSISTENCY eventual");
    let reads: Vec<Words> =
        (0..200).flat_map(|_| [words(&["HGET", "h", "f"]), words(&["GET", "s"])]).collect();
    for key in ["h", "s"] {
        let counts = |wire: &mut Wire| {
            wire.pipeline(&reads);
            let count = wire.cmd(&["OBJECT", "FREQ", key]).int().expect("it is counted");
            (10 < count).then_some(count)
        };
        until("the master to hear", || counts(&mut wire));
    }
    let member = wire.ask("PROXY LAST").to_string();
    wire.ask("HGET h f");
    assert_ne!(wire.ask("PROXY LAST").to_string(), member);
    set(&mut wire, "maxmemory-policy", "allkeys-lru");
    assert!(wire.ask("OBJECT IDLETIME h").int().expect("a time") < 120);
}

#[test]
fn the_largest_buffers_go_first_but_not_of_who_must_stay() {
    let server = Server::entourage(&["--replicas", "0"]);
    let mut wire = server.dial();
    ok(&mut wire, "CLIENT NO-EVICT on");
    // A part of a request, which waits for the rest.
    let part = |bytes: usize, stays: bool| {
        let mut client = server.dial();
        if stays {
            ok(&mut client, "CLIENT NO-EVICT on");
        }
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9000000\r\n");
        client.send_raw(&vec![b'x'; bytes]);
        client
    };
    let mut clients = [part(4 << 20, true), part(3 << 20, false), part(1 << 20, false)];
    let waiting = |wire: &mut Wire| number(wire, "memory", "mem_clients_normal");
    until("all to be there", || (8 * MB <= waiting(&mut wire)).then_some(()));
    set(&mut wire, "maxmemory-clients", 6 * MB);
    until("the largest to go", || clients[1].is_closed().then_some(()));
    assert_eq!(number(&mut wire, "stats", "evicted_clients"), 1);
    set(&mut wire, "maxmemory-clients", 2 * MB);
    until("the next to go", || clients[2].is_closed().then_some(()));
    assert_eq!(number(&mut wire, "stats", "evicted_clients"), 2);
    assert!(4 * MB <= waiting(&mut wire), "who must stay is there, with all it has sent");
}

#[test]
fn what_a_client_waits_with_counts_as_its_memory() {
    let server = Server::entourage(&["--replicas", "0"]);
    let mut wire = server.dial();
    ok(&mut wire, "CLIENT NO-EVICT on");
    let mut client = server.dial();
    let id = client.ask("CLIENT ID").int().expect("a number");
    let keys: Vec<String> = (0..5).map(|it| format!("{it}{}", "k".repeat(1_000_000))).collect();
    let call: Vec<&str> = ["BLPOP"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    client.send(&[words(&[&call[..], &["100"]].concat())]);
    let field = |wire: &mut Wire, name: &str| -> i64 {
        let line = wire.ask(&format!("CLIENT LIST ID {id}")).string();
        let of = line.split(' ').find_map(|it| it.strip_prefix(name));
        of.and_then(|it| it.strip_prefix('=')?.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    until("it to wait", || (5_000_006 <= field(&mut wire, "argv-mem")).then_some(()));
    assert!(field(&mut wire, "argv-mem") < field(&mut wire, "tot-mem"));
    assert_eq!(number(&mut wire, "clients", "clients_in_timeout_table"), 1);
    assert_eq!(wire.cmd(&["RPUSH", &keys[4], "x"]).int(), Some(1));
    assert_eq!(client.read().list().len(), 2);
    assert_eq!(client.ask("PING").string(), "PONG");
    assert_eq!(field(&mut wire, "argv-mem"), 0);
    assert_eq!(number(&mut wire, "clients", "clients_in_timeout_table"), 0);
    client.send(&[words(&[&call[..], &["0"]].concat())]);
    until("it to wait", || (5_000_006 <= field(&mut wire, "argv-mem")).then_some(()));
    assert_eq!(number(&mut wire, "clients", "clients_in_timeout_table"), 0);
    set(&mut wire, "maxmemory-clients", MB);
    until("it to go", || client.is_closed().then_some(()));
    assert_eq!(number(&mut wire, "stats", "evicted_clients"), 1);
}

#[test]
fn what_clients_watch_subscribe_to_and_are_told_of_counts_as_theirs() {
    type Line = fn(usize) -> String;
    let kinds: [Line; 4] = [
        |at| format!("WATCH key:{at}"),
        |at| format!("SUBSCRIBE channel:{at}"),
        |at| format!("PSUBSCRIBE pattern:{at}"),
        |at| format!("CLIENT TRACKING ON BCAST PREFIX {at:09}"),
    ];
    let server = Server::entourage(&["--replicas", "0"]);
    let mut wire = server.dial();
    ok(&mut wire, "CLIENT NO-EVICT on");
    set(&mut wire, "maxmemory-clients", 100_000);
    for (at, line) in kinds.iter().enumerate() {
        let mut client = server.dial();
        let lines: Vec<Words> =
            (0..2000).map(|it| words(&line(it).split(' ').collect::<Vec<_>>())).collect();
        client.send(&lines);
        until("it to go", || client.is_closed().then_some(()));
        assert_eq!(number(&mut wire, "stats", "evicted_clients"), at as i64 + 1);
    }
}

#[test]
fn a_limit_that_is_lifted_refuses_nothing_any_more() {
    for server in Server::both() {
        let mut wire = server.dial();
        let mut write = |limit: i64| {
            set(&mut wire, "maxmemory", limit);
            wire.cmd(&["EVAL", "#!lua\nreturn redis.call('set', KEYS[1], 1)", "1", "a"]).to_string()
        };
        let refused = write(1);
        assert!(refused.starts_with("-OOM command not allowed"), "{refused}");
        assert_eq!(write(0), "+OK");
    }
}

/// What a fill of each type adds to `used_memory` and to what the machine has given, a key.
#[test]
fn what_is_counted_is_what_the_process_grows_by() {
    const KEYS: usize = 200_000;
    /// Filled before, so that what the process needs anyway is there.
    const BEFORE: usize = 50_000;
    type Fill = fn(usize) -> Vec<String>;
    // A large set of short members is not among them: its table is all that it has, and while that
    // grows from one size of segments to the next, the allocator keeps room of both.
    let kinds: [(&str, Fill); 15] = [
        ("one list", |at| vec!["RPUSH".into(), "one".into(), format!("element:{at:012}")]),
        ("one hash", |at| {
            vec!["HSET".into(), "one".into(), format!("field:{at:010}"), format!("value:{at:010}")]
        }),
        ("one set", |at| vec!["SADD".into(), "one".into(), format!("element:{at:012}")]),
        ("one sorted set", |at| {
            vec!["ZADD".into(), "one".into(), at.to_string(), format!("element:{at:012}")]
        }),
        ("one stream", |at| {
            vec!["XADD".into(), "one".into(), "*".into(), "field".into(), format!("value:{at:010}")]
        }),
        ("HyperLogLogs", |at| {
            let more = (0..10).map(|it| format!("e{}", at * 10 + it));
            ["PFADD".into(), format!("key:{}", at / 400)].into_iter().chain(more).collect()
        }),
        ("bitmaps", |at| {
            let bit = at % 500 * 800;
            vec!["SETBIT".into(), format!("key:{}", at / 500), bit.to_string(), "1".into()]
        }),
        ("short strings", |at| text(at, 3)),
        ("strings", |at| text(at, 64)),
        ("longer strings", |at| text(at, 1000)),
        ("lists", |at| tenfold("RPUSH", at, |it| vec![format!("e{it}")])),
        ("hashes", |at| tenfold("HSET", at, |it| vec![format!("f{it}"), format!("v{it}")])),
        ("sets", |at| tenfold("SADD", at, |it| vec![format!("e{it}")])),
        ("sorted sets", |at| tenfold("ZADD", at, |it| vec![it.to_string(), format!("e{it}")])),
        ("streams", |at| {
            vec!["XADD".into(), format!("key:{at}"), "*".into(), "a".into(), "b".into()]
        }),
    ];
    let mut failed = Vec::new();
    for (name, fill) in kinds {
        let server = Server::entourage(&["--replicas", "0", "--threads", "1"]);
        let mut wire = server.dial();
        let all: Vec<Words> = (0..BEFORE + KEYS).map(|it| words(&fill(it))).collect();
        let put = |wire: &mut Wire, batch: &[Words]| {
            batch.chunks(1000).for_each(|it| drop(wire.pipeline(it)));
        };
        put(&mut wire, &all[..BEFORE]);
        let (used_before, resident_before) = (used(&mut wire), resident_bytes(server.pid()) as i64);
        put(&mut wire, &all[BEFORE..]);
        let counted = used(&mut wire) - used_before;
        let resident = resident_bytes(server.pid()) as i64 - resident_before;
        let off = (counted - resident).abs() * 100 / resident;
        let told = format!(
            "{name}: {} counted, {} resident a key: {off} % off",
            counted / KEYS as i64,
            resident / KEYS as i64
        );
        eprintln!("{told}");
        if 10 < off {
            failed.push(told);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

fn text(at: usize, bytes: usize) -> Vec<String> {
    vec!["SET".into(), format!("key:{at}"), "x".repeat(bytes)]
}

fn tenfold(command: &str, at: usize, item: fn(usize) -> Vec<String>) -> Vec<String> {
    let head = [command.to_owned(), format!("key:{at}")];
    head.into_iter().chain((0..10).flat_map(item)).collect()
}

/// Hits of a load in which some keys are asked for much more often than others, as a cache has it:
/// what is not there is put there.
fn hits(server: &Server, policy: &str, room: i64) -> i64 {
    const KEYS: u64 = 100_000;
    const READS: usize = 300_000;
    const BATCH: usize = 100;
    let mut wire = server.dial();
    let base = used(&mut wire);
    set(&mut wire, "maxmemory", base + room);
    set(&mut wire, "maxmemory-policy", policy);
    let mut random = entourage::base::random::Random::new(7);
    let (mut hits, value) = (0, "x".repeat(200));
    for _ in 0..READS / BATCH {
        // Nearly Zipf's law: the logarithm of a key's rank is as likely as any other.
        let mut key = || {
            let fraction = random.below(1 << 32) as f64 / (1_u64 << 32) as f64;
            format!("key:{}", (KEYS as f64).powf(fraction) as u64)
        };
        let keys: Vec<String> = (0..BATCH).map(|_| key()).collect();
        let reads: Vec<Words> = keys.iter().map(|it| words(&["GET", it])).collect();
        let found = wire.pipeline(&reads);
        let missing = keys.iter().zip(&found).filter(|it| it.1.is_nil());
        let puts: Vec<Words> = missing.map(|it| words(&["SET", it.0, &value])).collect();
        hits += (BATCH - puts.len()) as i64;
        wire.pipeline(&puts);
    }
    hits
}

#[test]
#[ignore = "a minute of load; prints what is hit"]
fn as_much_is_hit_as_in_redis_with_the_same_memory() {
    for policy in ["allkeys-lru", "allkeys-lfu"] {
        let ours = hits(&Server::entourage(&["--replicas", "0", "--threads", "1"]), policy, 3 * MB);
        let theirs = hits(&Server::redis(&[]), policy, 3 * MB);
        eprintln!("{policy}: {ours} hits, redis {theirs}");
        assert!(theirs <= ours + ours / 100, "{policy}: {ours} hits, redis {theirs}");
    }
}
