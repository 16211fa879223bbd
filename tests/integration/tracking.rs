//! Client-side caching: what clients are told must be what a real Redis tells, though their reads
//! are served by replicas; and nobody's cache is ever older than what it was told.

use crate::support::{
    BOTH, Server, Value, Wire, Words, info_field, ok, order, python, until, until_blocked,
    until_gone, words,
};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::thread;

/// One server with the clients of a scene.
struct Stage<'s> {
    server: &'s Server,
    clients: Vec<(String, Wire, i64)>,
    marks: usize,
}

/// What the clients are told behind one line, each in its order.
type Told = Vec<(String, Vec<String>)>;

impl<'s> Stage<'s> {
    fn of(server: &'s Server) -> Stage<'s> {
        ok(&mut server.dial(), "FLUSHALL");
        Stage { server, clients: Vec::new(), marks: 0 }
    }

    fn at(&self, name: &str) -> usize {
        self.clients.iter().position(|it| it.0 == name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn play(&mut self, line: &str) -> Told {
        if line == "~" {
            // Whatever was to expire within a moment has.
            let clients = &mut self.server.dial();
            until("keys to expire", || {
                let left = info_field(clients, "Keyspace", "db0");
                left.is_none().then_some(())
            });
        } else if let Some(dialled) = line.strip_prefix('+') {
            let (name, protocol) = dialled.split_once(' ').unwrap();
            let mut wire = self.server.dial();
            wire.ask(&format!("HELLO {protocol}"));
            let id = wire.ask("CLIENT ID").int().unwrap();
            self.clients.push((name.into(), wire, id));
        } else if let Some(name) = line.strip_suffix('!') {
            let (_, wire, id) = self.clients.remove(self.at(name));
            drop(wire);
            until_gone(&mut self.server.dial(), id);
        } else {
            let (name, commands) = line.split_once("> ").unwrap();
            let commands: Vec<Words> = commands.split("; ").map(|it| self.words(it)).collect();
            let at = self.at(name);
            self.clients[at].1.send(&commands);
            // Who has spoken is told its own first: it has been done then.
            return self.hear_from(at);
        }
        self.hear_from(0)
    }

    fn words(&self, line: &str) -> Words {
        let said = |it: &str| match self.clients.iter().find(|c| it == format!("<{}>", c.0)) {
            Some((_, _, id)) => id.to_string().into_bytes(),
            None => it.as_bytes().to_vec(),
        };
        line.split(' ').map(said).collect()
    }

    /// What each client is told until it answers a mark, and once more for what came beside that.
    fn hear_from(&mut self, first: usize) -> Told {
        let count = self.clients.len();
        let mut told = Told::new();
        for at in (0..count).map(|it| (first + it) % count.max(1)) {
            let mut heard = Vec::new();
            for _ in 0..2 {
                self.marks += 1;
                let mark = format!("mark-{}", self.marks);
                self.clients[at].1.send(&[vec![b"PING".to_vec(), mark.clone().into_bytes()]]);
                loop {
                    let value = self.clients[at].1.read();
                    let text = self.shown(&value);
                    if text.contains(&mark) {
                        break;
                    }
                    heard.push(text);
                }
            }
            told.push((self.clients[at].0.clone(), heard));
        }
        told
    }

    /// A value with names for the numbers of clients.
    fn shown(&self, value: &Value) -> String {
        match value {
            Value::Int(it) => match self.clients.iter().find(|c| c.2 == *it) {
                Some((name, ..)) => format!("<{name}>"),
                None if *it > 4 => "<number>".into(),
                None => it.to_string(),
            },
            Value::Push(all) => {
                let all: Vec<String> = all.iter().map(|it| self.shown(it)).collect();
                format!("push {}", all.join(" "))
            }
            Value::Array(all) | Value::Set(all) | Value::Map(all) => {
                let all: Vec<String> = all.iter().map(|it| self.shown(it)).collect();
                format!("[{}]", all.join(" "))
            }
            // HELLO tells it.
            other => other.to_string().replace("7.0.15", "7.2.5"),
        }
    }
}

fn scenes() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let text = include_str!("tracking/scenes.txt");
    text.split("\n== ").skip(1).map(|scene| {
        let mut lines = scene.lines().filter(|it| !it.is_empty());
        (lines.next().unwrap(), lines.collect())
    })
}

#[test]
fn clients_are_told_what_redis_tells_them() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (valkey, mut found) = (Server::valkey(), Vec::new());
    for (name, lines) in scenes() {
        let theirs = if name.contains("(valkey)") { valkey.as_ref() } else { Some(&redis) };
        let Some(theirs) = theirs else { continue };
        let mut stages = [theirs, &ours].map(Stage::of);
        for line in lines {
            let [theirs, ours] = stages.each_mut().map(|it| it.play(line));
            if theirs != ours {
                found.push(format!("{name}: {line}\n  wanted {theirs:?}\n  got    {ours:?}"));
            }
        }
    }
    assert!(found.is_empty(), "{} differ\n{}", found.len(), found.join("\n"));
}

const LEVELS: [&str; 6] =
    ["eventual", "bounded 3600000ms", "sticky", "global", "linearizable", "master"];

fn caching(server: &Server, level: &str, options: &str) -> Wire {
    let mut wire = server.dial();
    wire.ask("HELLO 3");
    let said = wire.ask(&format!("PROXY CONSISTENCY {level}"));
    assert!(!said.is_error(), "{level}: {said}");
    ok(&mut wire, format!("CLIENT TRACKING ON {options}").trim());
    wire
}

fn writer(server: &Server) -> Wire {
    let mut wire = server.dial();
    wire.ask("PROXY CONSISTENCY eventual");
    wire
}

fn set_everywhere(writer: &mut Wire, key: &str, value: &str) {
    ok(writer, &format!("SET {key} {value}"));
    assert_eq!(writer.ask("WAIT 2 10000").int(), Some(2));
}

fn invalidates(value: &Value, key: &str) {
    let Value::Push(words) = value else { panic!("no push: {value}") };
    assert_eq!(words[0].string(), "invalidate");
    assert_eq!(words[1].list().iter().map(Value::string).collect::<Vec<_>>(), [key]);
}

fn invalidates_all(value: &Value) {
    assert!(matches!(value, Value::Push(it) if it[1] == Value::Null), "{value}");
}

/// Both replicas are paused while a key is changed: who has read it before hears of the change, and
/// reads it, at every level, whether it was told itself or another in its place.
#[test]
fn a_read_behind_an_invalidation_is_never_older_than_it() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let mut writer = writer(&server);
    for (round, level) in LEVELS.iter().enumerate() {
        for options in ["", "BCAST", "OPTOUT", "REDIRECT", "BCAST REDIRECT"] {
            let mut listener = server.dial();
            listener.ask("SUBSCRIBE __redis__:invalidate");
            let id = info_of(&mut server.dial(), "sub=1", "id");
            let asked = options.replace("REDIRECT", &format!("REDIRECT {id}"));
            let mut reader = caching(&server, level, &asked);
            set_everywhere(&mut writer, "k", "old");
            if options.contains("BCAST") {
                // It is told of that one, too, and of a key more to know where it ends.
                drain(&mut reader);
                if options.contains("REDIRECT") {
                    listener.read();
                }
            }
            assert_eq!(reader.ask("GET k").string(), "old", "{level} {options}");
            order(&mut writer, BOTH, "PAUSE");
            let value = format!("v{round}");
            ok(&mut writer, &format!("SET k {value}"));
            if options.contains("REDIRECT") {
                let told = listener.read();
                assert_eq!(told.list()[2].list()[0].string(), "k", "{level} {options}: {told}");
            } else {
                invalidates(&reader.read(), "k");
            }
            assert_eq!(reader.ask("GET k").string(), value, "{level} {options}");
            order(&mut writer, BOTH, "RESUME");
        }
    }
    // A reader that has heard of nothing shows that the test can fail.
    set_everywhere(&mut writer, "k", "old");
    order(&mut writer, BOTH, "PAUSE");
    ok(&mut writer, "SET k new");
    let mut deaf = server.dial();
    deaf.ask("PROXY CONSISTENCY eventual");
    assert_eq!(deaf.ask("GET k").string(), "old");
    order(&mut writer, BOTH, "RESUME");
}

/// A field of the line of CLIENT LIST that has this mark.
fn info_of(wire: &mut Wire, mark: &str, field: &str) -> String {
    let list = wire.ask("CLIENT LIST").string();
    let line = list.lines().rfind(|it| it.contains(mark)).expect("a line with it");
    let start = format!("{field}=");
    line.split(' ').find_map(|it| it.strip_prefix(&start)).expect("the field").to_owned()
}

/// The answer, and not what is pushed before it.
fn answer(wire: &mut Wire, line: &str) -> Value {
    wire.send(&[words_of(line)]);
    loop {
        match wire.read() {
            Value::Push(_) => {}
            answer => return answer,
        }
    }
}

/// All pushes until a mark is answered, and what comes beside it.
fn drain(wire: &mut Wire) -> Vec<Value> {
    let mut pushes = Vec::new();
    for _ in 0..2 {
        wire.send(&[words_of("PING mark")]);
        while let push @ Value::Push(_) = wire.read() {
            pushes.push(push);
        }
    }
    pushes
}

fn words_of(line: &str) -> Words {
    line.split(' ').map(|it| it.as_bytes().to_vec()).collect()
}

/// The change was made at the master before the key was read at a replica that lacks it: it is told
/// behind the reply, and the next read sees it.
#[test]
fn a_change_that_a_replica_lacked_is_told_behind_the_reply() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let mut writer = writer(&server);
    let reads = |reader: &mut Wire, words: &[&str]| {
        let all: Vec<Words> = words.iter().map(|it| words_of(it)).collect();
        reader.send(&all);
    };
    // Before it has asked for anything, and afterwards; by prefix, it is told at once.
    for options in ["", "BCAST", "OPTOUT", "NOLOOP"] {
        for is_earlier in [true, false] {
            set_everywhere(&mut writer, "k", "old");
            let mut early = caching(&server, "eventual", options);
            early.ask("GET other");
            order(&mut writer, BOTH, "PAUSE");
            ok(&mut writer, "SET k new");
            let mut reader = match is_earlier {
                true => early,
                false => caching(&server, "eventual", options),
            };
            if is_earlier && options == "BCAST" {
                drain(&mut reader);
            }
            reads(&mut reader, &["GET k"]);
            let first = reader.read();
            if is_earlier && options == "BCAST" {
                assert_eq!(first.string(), "new", "it was told");
            } else {
                assert_eq!(first.string(), "old", "{options} {is_earlier}");
                invalidates(&reader.read(), "k");
                assert_eq!(reader.ask("GET k").string(), "new", "{options} {is_earlier}");
            }
            order(&mut writer, BOTH, "RESUME");
        }
    }
    // A script that only reads, at a replica.
    set_everywhere(&mut writer, "k", "old");
    let mut reader = caching(&server, "eventual", "");
    order(&mut writer, BOTH, "PAUSE");
    ok(&mut writer, "SET k new");
    let script = ["EVAL_RO", "return redis.call('get', 'k')", "0"];
    assert_eq!(reader.cmd(&script).string(), "old");
    invalidates(&reader.read(), "k");
    assert_eq!(reader.cmd(&script).string(), "new");
    order(&mut writer, BOTH, "RESUME");
}

/// What it writes itself when it is served is told behind the reply, whoever has served it.
#[test]
fn a_wait_that_is_served_is_answered_before_it_is_told_of_its_own_change() {
    for server in Server::both() {
        let (mut waiting, mut other) = (server.dial(), server.dial());
        waiting.ask("HELLO 3");
        ok(&mut waiting, "CLIENT TRACKING ON");
        for round in 0..300 {
            assert_eq!(waiting.ask("LRANGE to 0 -1").list().len(), round);
            waiting.send(&[words(&["BLMOVE", "from", "to", "LEFT", "LEFT", "0"])]);
            until_blocked(&mut other, 1);
            assert_eq!(other.ask("RPUSH from x").int(), Some(1));
            assert_eq!(waiting.read().string(), "x");
            invalidates(&waiting.read(), "to");
        }
        // What another changes meanwhile is told of at once.
        waiting.ask("GET k");
        waiting.send(&[words(&["BLPOP", "from", "0"])]);
        until_blocked(&mut other, 1);
        ok(&mut other, "SET k 1");
        invalidates(&waiting.read(), "k");
        // And so it is when it could have been served, and was not.
        other.ask("DEL k");
        other.send(&[words(&["MULTI"]), words(&["RPUSH", "from", "x"]), words(&["DEL", "from"])]);
        other.send(&[words(&["EXEC"])]);
        (0..4).for_each(|_| drop(other.read()));
        other.ask("RPUSH from y");
        assert_eq!(waiting.read().list()[1].string(), "y");
    }
}

#[test]
fn what_ends_a_history_ends_all_caches() {
    let server = Server::entourage(&[]);
    let mut operator = server.dial();
    ok(&mut operator, "SET k v");
    let (mut reader, mut broadcast) =
        (caching(&server, "global", ""), caching(&server, "global", "BCAST PREFIX z"));
    for orders in [
        vec!["PROXY FAILOVER TO n2"],
        vec!["PROXY FAILOVER TO n1"],
        vec!["SWAPDB 0 1", "SWAPDB 0 1"],
        vec!["REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"],
    ] {
        reader.ask("GET k");
        for order in &orders {
            let said = operator.ask(order);
            assert!(!said.is_error(), "{order}: {said}");
            invalidates_all(&reader.read());
            invalidates_all(&broadcast.read());
        }
        drain(&mut reader);
        drain(&mut broadcast);
    }
    // And the next change is told again.
    assert_eq!(reader.ask("GET k").string(), "v");
    ok(&mut operator, "SET k w");
    invalidates(&reader.read(), "k");
    assert_eq!(reader.ask("GET k").string(), "w");
}

/// A set that follows a real master hears of its changes by the stream.
#[test]
fn a_set_that_follows_tells_what_its_stream_brings() {
    let (master, server) = (Server::redis(&[]), Server::entourage(&[]));
    let mut there = master.dial();
    ok(&mut there, "SET k 1");
    ok(&mut server.dial(), "CONFIG SET writes forward");
    let mut reader = caching(&server, "global", "");
    ok(&mut server.dial(), &format!("REPLICAOF 127.0.0.1 {}", master.port()));
    until("the data of the master", || {
        (answer(&mut reader, "GET k").text() == Some(b"1")).then_some(())
    });
    drain(&mut reader);
    for round in 2..20 {
        assert_eq!(reader.ask("GET k").string(), (round - 1).to_string());
        ok(&mut there, &format!("SET k {round}"));
        invalidates(&reader.read(), "k");
        // One that is forwarded, a transaction and a script among them.
        assert_eq!(reader.ask("GET k").string(), round.to_string());
        ok(&mut server.dial(), &format!("SET k {round}"));
        invalidates(&reader.read(), "k");
        for line in ["MULTI", "GET k"] {
            reader.ask(line);
        }
        assert_eq!(reader.ask("EXEC").list()[0].string(), round.to_string());
        ok(&mut there, &format!("SET k {round}"));
        invalidates(&reader.read(), "k");
    }
    ok(&mut there, "FLUSHALL");
    invalidates_all(&reader.read());
}

#[test]
fn the_table_is_bounded_and_told_of() {
    let server = Server::entourage(&[]);
    let mut operator = server.dial();
    let told = |operator: &mut Wire, section: &str, name: &str| {
        info_field(operator, section, name).expect("a field").parse::<usize>().unwrap()
    };
    let counts = |operator: &mut Wire| {
        let of = |it: &&str| told(operator, "stats", &format!("tracking_total_{it}"));
        ["keys", "items", "prefixes"].iter().map(of).collect::<Vec<_>>()
    };
    let (mut one, mut other) = (caching(&server, "global", ""), caching(&server, "global", ""));
    let prefixes = caching(&server, "global", "BCAST PREFIX a PREFIX b");
    one.ask("MGET a b c d");
    other.ask("MGET c d e");
    assert_eq!(counts(&mut operator), [5, 7, 2]);
    assert_eq!(told(&mut operator, "clients", "tracking_clients"), 3);
    ok(&mut operator, "CONFIG SET tracking-table-max-keys 100");
    let mut given_up = 0;
    for turn in 0..20 {
        let keys: Vec<String> = (0..50).map(|it| format!("k{}", turn * 50 + it)).collect();
        one.ask(&format!("MGET {}", keys.join(" ")));
        given_up += drain(&mut one).len();
        assert!(counts(&mut operator)[0] <= 100);
    }
    assert!((900..=1010).contains(&given_up), "{given_up}");
    ok(&mut operator, "CONFIG SET tracking-table-max-keys 10");
    until("the table to be within its bound", || (counts(&mut operator)[0] <= 10).then_some(()));
    ok(&mut operator, "CONFIG SET tracking-table-max-keys 0");
    drop((one, other, prefixes));
    until("nobody to cache anything", || {
        (told(&mut operator, "clients", "tracking_clients") == 0).then_some(())
    });
    assert_eq!(counts(&mut operator), [0, 0, 0], "those who have gone leave nothing behind");
}

#[test]
fn the_list_of_clients_shows_who_caches() {
    let servers = [Server::redis(&[]), Server::entourage(&[])];
    let shown = |server: &Server| {
        let (mut reader, mut target) = (server.dial(), server.dial());
        let id = target.ask("CLIENT ID").int().unwrap();
        let mut shown = Vec::new();
        for line in [
            "CLIENT TRACKING ON",
            "CLIENT TRACKING OFF",
            "CLIENT TRACKING ON BCAST",
            "CLIENT TRACKING OFF",
            &format!("CLIENT TRACKING ON REDIRECT {id}"),
        ] {
            ok(&mut reader, line);
            let line = reader.ask("CLIENT INFO").string();
            let fields = line.split(' ').filter(|it| ["flag", "redi"].contains(&&it[..4]));
            shown.extend(fields.map(|it| it.replace(&format!("={id}"), "=<id>")));
        }
        shown
    };
    assert_eq!(shown(&servers[1]), shown(&servers[0]));
}

#[test]
fn redis_py_caches() {
    let server = Server::entourage(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/caching_redis_py.py");
    let mut command = Command::new("timeout");
    command.args(["120", &python()]).arg(script).arg(server.port().to_string());
    let output = command.output().expect("it runs");
    let [told, errors] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    // A thread of its own may find its socket closed at the end, and says so.
    assert!(output.status.success() && told.trim().ends_with("ok"), "{told}{errors}");
}

const KEYS: usize = 6;
const WRITES: u64 = 6000;

/// A client with a cache of its own that does as it is told.
struct Cache {
    wire: Wire,
    values: HashMap<String, u64>,
    /// What it held of a key when it was told that this has changed.
    dropped: HashMap<String, u64>,
    /// How often it was told, and how often the next read was no newer.
    told: usize,
    not_newer: usize,
    prefix: Option<&'static str>,
}

impl Cache {
    fn of(wire: Wire, prefix: Option<&'static str>) -> Cache {
        let (values, dropped) = (HashMap::new(), HashMap::new());
        Cache { wire, values, dropped, told: 0, not_newer: 0, prefix }
    }

    fn take(&mut self, push: &Value) {
        match &push.list()[1] {
            Value::Null => {
                self.values.clear();
                self.dropped.clear();
            }
            keys => {
                for key in keys.list().iter().map(Value::string) {
                    if let Some(had) = self.values.remove(&key) {
                        self.told += 1;
                        self.dropped.insert(key, had);
                    }
                }
            }
        }
    }

    /// Asks, and takes all that comes before the answer.
    fn ask(&mut self, lines: &[&str]) -> Value {
        self.wire.send(&lines.iter().map(|it| words_of(it)).collect::<Vec<_>>());
        let mut left = lines.len();
        loop {
            match self.wire.read() {
                push @ Value::Push(_) => self.take(&push),
                answer => {
                    left -= 1;
                    if left == 0 {
                        return answer;
                    }
                }
            }
        }
    }

    fn read(&mut self, key: &str, opts_in: bool) {
        if self.values.contains_key(key) {
            // What has come meanwhile.
            self.ask(&["PING"]);
            return;
        }
        let get = format!("GET {key}");
        let answer =
            if opts_in { self.ask(&["CLIENT CACHING YES", &get]) } else { self.ask(&[&get]) };
        let value: u64 = answer.string().parse().unwrap();
        if let Some(had) = self.dropped.remove(key) {
            assert!(had <= value, "{key}: {value} behind an invalidation of {had}");
            self.not_newer += usize::from(had == value);
        }
        if self.prefix.is_none_or(|it| key.starts_with(it)) {
            self.values.insert(key.into(), value);
        }
    }
}

/// Clients cache what they read at replicas that are paused time and again, at the weakest levels.
/// What they read behind an invalidation is newer than what they held; and when all is quiet, no
/// cache holds anything that is not so.
#[test]
fn no_cache_stays_older_than_what_it_was_told() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let mut operator = writer(&server);
    let keys: Vec<String> = (0..KEYS).map(|it| format!("{}{it}", ["a", "b"][it % 2])).collect();
    keys.iter().for_each(|it| ok(&mut operator, &format!("SET {it} 0")));
    operator.ask("WAIT 2 10000");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let kinds = [
        ("eventual", "", None),
        ("sticky", "NOLOOP", None),
        ("eventual", "BCAST PREFIX a", Some("a")),
        ("eventual", "OPTIN", None),
    ];
    let (caches, deaf) = thread::scope(|scope| {
        let (server, keys, is_over) = (&server, &keys, &is_over);
        let done = || is_over.load(std::sync::atomic::Ordering::Relaxed);
        let readers: Vec<_> = kinds
            .iter()
            .map(|(level, options, prefix)| {
                let mut cache = Cache::of(caching(server, level, options), *prefix);
                scope.spawn(move || {
                    let opts_in = *options == "OPTIN";
                    while !done() {
                        keys.iter().for_each(|it| cache.read(it, opts_in));
                    }
                    cache
                })
            })
            .collect();
        let mut silent = Cache::of(server.dial(), None);
        silent.wire.ask("PROXY CONSISTENCY eventual");
        let deaf = scope.spawn(move || {
            keys.iter().for_each(|it| silent.read(it, false));
            silent
        });
        let disturber = scope.spawn(move || {
            let mut wire = writer(server);
            while !done() {
                for names in [&BOTH[..1], &BOTH[1..], BOTH] {
                    order(&mut wire, names, "PAUSE");
                    wire.ask("GET a0");
                    order(&mut wire, names, "RESUME");
                }
            }
        });
        let writers: Vec<_> = (0..2)
            .map(|own| {
                scope.spawn(move || {
                    let mut wire = writer(server);
                    for value in 1..=WRITES {
                        let key = &keys[own + 2 * (value as usize % (KEYS / 2))];
                        match value % 3 {
                            0 => ok(&mut wire, &format!("SET {key} {value}")),
                            1 => {
                                let lines = ["MULTI", &format!("SET {key} {value}"), "EXEC"];
                                wire.pipeline(&lines.map(words_of));
                            }
                            _ => {
                                let script = "return redis.call('set', KEYS[1], ARGV[1])";
                                wire.cmd(&["EVAL", script, "1", key, &value.to_string()]);
                            }
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|it| it.join().unwrap());
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        disturber.join().unwrap();
        let caches: Vec<Cache> = readers.into_iter().map(|it| it.join().unwrap()).collect();
        (caches, deaf.join().unwrap())
    });
    let master = |key: &str, operator: &mut Wire| -> u64 {
        operator.ask("PROXY CONSISTENCY master");
        operator.ask(&format!("GET {key}")).string().parse().unwrap()
    };
    for (mut cache, (level, options, _)) in caches.into_iter().zip(kinds) {
        for push in drain(&mut cache.wire) {
            cache.take(&push);
        }
        for (key, value) in &cache.values {
            assert_eq!(*value, master(key, &mut operator), "{level} {options}: {key}");
        }
        assert!(100 < cache.told, "{level} {options}: told {} times", cache.told);
        assert!(cache.not_newer * 50 <= cache.told, "{level} {options}: {}", cache.not_newer);
    }
    let mut is_stale = |it: (&String, &u64)| *it.1 != master(it.0, &mut operator);
    assert!(
        deaf.values.iter().any(&mut is_stale),
        "one that is told nothing shows that this can fail"
    );
}
