//! Client-side caching where replies are held, until writes are on disk or at replicas: what is
//! told of a key never overtakes the reply that has read it, or a cache would keep what is old.

use crate::support::{BOTH, Server, Value, Wire, Words, ok, order, until, words};
use entourage::base::random::Random;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::thread;

const ALWAYS: &str = "appendonly = true\nappendfsync = \"always\"\n";

/// A server whose writes are on disk before they are answered, in a directory of its own.
fn on_disk() -> (crate::support::on_disk::Dir, Server) {
    let dir = crate::support::on_disk::Dir::new();
    let server = crate::support::on_disk::ours(&dir, ALWAYS);
    (dir, server)
}

fn caching(server: &Server, options: &str) -> Cache {
    let mut wire = server.dial();
    wire.ask("HELLO 3");
    ok(&mut wire, format!("CLIENT TRACKING ON {options}").trim());
    Cache { wire, values: HashMap::new(), told: 0 }
}

/// A client that caches what it reads and does as it is told, in the order in which it hears it.
struct Cache {
    wire: Wire,
    values: HashMap<String, u64>,
    told: usize,
}

impl Cache {
    fn take(&mut self, push: &Value) {
        match &push.list()[1] {
            Value::Null => self.values.clear(),
            keys => {
                for key in keys.list().iter().map(Value::string) {
                    self.told += usize::from(self.values.remove(&key).is_some());
                }
            }
        }
    }

    /// The next reply: what is pushed before it is taken first.
    fn reply(&mut self) -> Value {
        loop {
            match self.wire.read() {
                push @ Value::Push(_) => self.take(&push),
                reply => return reply,
            }
        }
    }

    /// The reply of a read of this key, which is cached from here on.
    fn cached(&mut self, key: &str, value: &Value) {
        self.values.insert(key.into(), value.string().parse().unwrap());
    }

    fn settle(&mut self) {
        for _ in 0..2 {
            self.wire.send(&[words(&["PING", "settled"])]);
            assert_eq!(self.reply().string(), "settled");
        }
    }
}

fn lines(all: &[&str]) -> Vec<Words> {
    all.iter().map(|it| it.split(' ').map(|it| it.as_bytes().to_vec()).collect()).collect()
}

#[test]
fn with_replies_that_wait_for_the_disk_none_is_overtaken() {
    let (_dir, server) = on_disk();
    let mut cache = caching(&server, "");
    ok(&mut cache.wire, "SET k 0");
    for round in 1..=500_u64 {
        // The second comes while the reply to the first waits.
        cache.wire.send(&lines(&["SET x 1"]));
        cache.wire.send(&lines(&["GET k", &format!("SET k {round}")]));
        assert_eq!(cache.reply().string(), "OK");
        let read = cache.reply();
        assert_eq!(read.string(), (round - 1).to_string());
        cache.cached("k", &read);
        assert_eq!(cache.reply().string(), "OK");
        cache.settle();
        assert_eq!(cache.values.get("k"), None, "round {round}: it was told before it had read");
    }
    assert_eq!(cache.told, 500);
}

/// A transaction and a script that read one key and write another wait for a replica; meanwhile
/// another client changes the key.
#[test]
fn a_reply_that_waits_for_replicas_is_not_overtaken() {
    let (_dir, durable) = on_disk();
    for server in [Server::entourage(&[]), durable] {
        server.disconnects_replicas();
        let script = "local v = redis.call('get','k') redis.call('set','other','1') return v";
        let transaction = ["MULTI", "GET k", "SET other 1", "EXEC"];
        for is_script in [false, true] {
            let (mut cache, mut writer) = (caching(&server, ""), server.dial());
            ok(&mut writer, "SET k 1");
            ok(&mut cache.wire, "PROXY ACKS 1 60000");
            order(&mut writer, BOTH, "PAUSE");
            if is_script {
                let eval = words(&["EVAL", script, "2", "k", "other"]);
                cache.wire.send(&[eval]);
            } else {
                cache.wire.send(&lines(&transaction));
                assert_eq!(cache.reply().string(), "OK");
                (0..2).for_each(|_| assert_eq!(cache.reply().string(), "QUEUED"));
            }
            crate::support::until_blocked(&mut writer, 1);
            ok(&mut writer, "SET k 2");
            order(&mut writer, BOTH, "RESUME");
            let first = cache.wire.read();
            let read = if is_script { &first } else { &first.list()[0] };
            assert!(!matches!(first, Value::Push(_)), "{is_script}: {first} comes first");
            assert_eq!(read.string(), "1");
            cache.cached("k", read);
            cache.settle();
            assert_eq!((cache.told, cache.values.len()), (1, 0), "{is_script}");
            // The next change is told again, once it is read again.
            cache.wire.send(&lines(&["GET k"]));
            let read = cache.reply();
            assert_eq!(read.string(), "2");
            cache.cached("k", &read);
            ok(&mut writer, "SET k 3");
            until("it to be told", || {
                cache.settle();
                (cache.told == 2).then_some(())
            });
        }
    }
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// One round of a client: it reads one key and writes another, which may be the same.
fn play(cache: &mut Cache, random: &mut Random, value: u64, is_told_own: bool) {
    let [key, other] = [(); 2].map(|_| KEYS[random.below(KEYS.len() as u64) as usize]);
    let (get, set) = (format!("GET {key}"), format!("SET {other} {value}"));
    match random.below(3) {
        0 => {
            cache.wire.send(&lines(&["SET x 1"]));
            cache.wire.send(&lines(&[&get, &set]));
            cache.reply();
            let read = cache.reply();
            cache.cached(key, &read);
            cache.reply();
        }
        1 => {
            cache.wire.send(&lines(&["MULTI", &get, &set, "EXEC"]));
            (0..3).for_each(|_| drop(cache.reply()));
            let all = cache.reply();
            cache.cached(key, &all.list()[0]);
        }
        _ => {
            let script = "local v = redis.call('get', KEYS[1]) \
                 redis.call('set', KEYS[2], ARGV[1]) return v";
            let text = value.to_string();
            cache.wire.send(&[words(&["EVAL", script, "2", key, other, &text])]);
            let read = cache.reply();
            cache.cached(key, &read);
        }
    }
    if !is_told_own {
        // It knows what it has written.
        cache.values.remove(other);
    }
}

/// Many clients cache what they read and write themselves, in pipelines, transactions and scripts,
/// with replies that wait for the disk and for replicas that are paused time and again. Whenever
/// all are quiet, no cache holds anything that is not the newest.
#[test]
fn no_cache_keeps_what_is_old_though_replies_are_held() {
    const CLIENTS: usize = 8;
    const PHASES: u64 = 60;
    const ROUNDS: u64 = 3;
    let (_dir, server) = on_disk();
    server.disconnects_replicas();
    let mut operator = server.dial();
    KEYS.iter().for_each(|it| ok(&mut operator, &format!("SET {it} 0")));
    let (is_over, quiet) = (AtomicBool::new(false), Barrier::new(CLIENTS));
    // Nobody leaves before all do.
    let (told, old) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let client = |own: usize| {
        let options = ["", "NOLOOP", "OPTOUT", ""][own % 4];
        let (mut cache, mut newest) = (caching(&server, options), server.dial());
        newest.ask("PROXY CONSISTENCY master");
        if own % 2 == 1 {
            ok(&mut cache.wire, "PROXY ACKS 1 60000");
        }
        let mut random = Random::new(own as u64);
        for phase in 0..PHASES {
            for round in 0..ROUNDS {
                let value = (phase * ROUNDS + round + 1) * 10 + own as u64;
                play(&mut cache, &mut random, value, options != "NOLOOP");
            }
            quiet.wait();
            cache.settle();
            for (key, value) in &cache.values {
                let newest = newest.ask(&format!("GET {key}")).string();
                if value.to_string() != newest {
                    let what = format!("client {own} keeps {value} of {key}, which is {newest}");
                    old.lock().unwrap().push(what);
                }
            }
            quiet.wait();
        }
        told.fetch_add(cache.told, Relaxed);
    };
    thread::scope(|scope| {
        let (server, is_over, client) = (&server, &is_over, &client);
        let disturber = scope.spawn(move || {
            let mut wire = server.dial();
            while !is_over.load(Relaxed) {
                for names in [&BOTH[..1], BOTH] {
                    order(&mut wire, names, "PAUSE");
                    wire.ask("SET y 1");
                    order(&mut wire, names, "RESUME");
                }
            }
        });
        let clients: Vec<_> = (0..CLIENTS).map(|own| scope.spawn(move || client(own))).collect();
        clients.into_iter().for_each(|it| it.join().unwrap());
        is_over.store(true, Relaxed);
        disturber.join().unwrap();
    });
    let (old, told) = (old.into_inner().unwrap(), told.into_inner());
    assert!(old.is_empty(), "{} times, first {:?}", old.len(), &old[..old.len().min(5)]);
    assert!(CLIENTS * (PHASES * ROUNDS) as usize / 10 < told, "told {told} times");
}

/// Others' writes and requests go on while a client asks for very many prefixes.
#[test]
fn very_many_prefixes_are_refused_and_many_taken() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.ask("HELLO 3");
    let mut asked = 0;
    for turn in 0..3 {
        let mut line = words(&["CLIENT", "TRACKING", "ON", "BCAST"]);
        for at in 0..4900 {
            line.extend(words(&["PREFIX", &format!("{turn}:{at:06}")]));
        }
        wire.send(&[line]);
        let said = wire.read();
        if turn < 2 {
            asked += 4900;
            assert_eq!(said.string(), "OK");
        } else {
            crate::support::starts(&said, "ERR too many prefixes");
        }
        let told =
            crate::support::info_field(&mut server.dial(), "stats", "tracking_total_prefixes");
        assert_eq!(told.unwrap(), asked.to_string());
    }
    ok(&mut server.dial(), "SET 1:004899:x 1");
    assert!(matches!(wire.read(), Value::Push(_)));
    drop(wire);
    until("all of them to go", || {
        let told =
            crate::support::info_field(&mut server.dial(), "stats", "tracking_total_prefixes");
        (told.unwrap() == "0").then_some(())
    });
}
