//! What operators rely on: config errors, signals, limits, sockets, statistics, quarantine.

use crate::support::on_disk::Dir;
use crate::support::{Server, Value, Wire, digests, until, words};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_entourage");

fn run(args: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = Command::new(BINARY).args(args).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
}

fn check(path: &Path) -> (i32, String) {
    run(&["check", path.to_str().unwrap()])
}

fn field(wire: &mut Wire, section: &str, name: &str) -> String {
    let text = wire.cmd(&["INFO", section]).string();
    let start = format!("{name}:");
    let found = text.lines().find_map(|it| it.strip_prefix(&start));
    found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

fn signal(pid: &str, name: &str) {
    let sent = Command::new("kill").args(["-s", name, pid]).status().unwrap();
    assert!(sent.success());
}

/// A client that has begun to wait in the server.
fn sleeper(server: &Server, seconds: &str) -> Wire {
    let mut sleeper = server.dial();
    let command = format!("DEBUG SLEEP {seconds}\r\n");
    sleeper.send_raw(command.as_bytes());
    let mut other = server.dial();
    until("a sleeping client", || {
        (field(&mut other, "clients", "blocked_clients") != "0").then_some(())
    });
    sleeper
}

#[test]
fn check_names_file_line_key_value_and_what_is_accepted() {
    let dir = Dir::new();
    let bad = dir.file("bad.toml", "[set]\nreplicas = -1\n");
    let (code, text) = check(&bad);
    assert_eq!(code, 2, "{text}");
    for part in ["bad.toml:2", "set.replicas", "-1", "from 0 to"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
    let unknown = dir.file("unknown.toml", "[server]\nmaxclient = 1\n");
    let (code, text) = check(&unknown);
    assert!(code == 2 && text.contains("maxclient"), "{text}");
    let (code, text) = check(&dir.join("missing.toml"));
    assert!(code == 2 && text.contains("missing.toml"), "{text}");
    let (code, _) = run(&["serve", "--config", bad.to_str().unwrap()]);
    assert_eq!(code, 2);
}

#[test]
fn the_examples_are_sound() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let paths = fs::read_dir(config).unwrap().map(|it| it.unwrap().path());
    for path in paths.filter(|it| it.extension().is_some_and(|it| it == "toml")) {
        let (code, text) = check(&path);
        assert_eq!(code, 0, "{text}");
    }
}

#[test]
fn an_address_in_use_is_named_and_ends_the_start() {
    let server = Server::entourage(&[]);
    let address = format!("127.0.0.1:{}", server.port());
    let (code, text) = run(&["--bind", &address]);
    assert_eq!(code, 1);
    assert!(text.contains(&format!("cannot listen at {address}")), "{text}");
}

#[test]
fn sigterm_answers_what_was_asked_and_ends_with_0() {
    let server = Server::entourage(&[]);
    let mut idle = server.dial();
    idle.ask("PING");
    let mut busy = sleeper(&server, "0.3");
    let port = server.port();
    let stopped = thread::spawn(|| server.stop());
    assert!(idle.is_closed());
    assert_eq!(busy.read().to_string(), "+OK");
    assert!(busy.is_closed());
    assert_eq!(stopped.join().unwrap().code(), Some(0));
    assert!(Wire::dial(port).is_err());
}

/// A server whose process the test itself waits for.
struct Own {
    child: Child,
    port: u16,
    _dir: Dir,
}

impl Own {
    fn start(config: &str) -> Own {
        let dir = Dir::new();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let listener = format!("[[listener]]\nbind = \"127.0.0.1:{port}\"\n");
        let path = dir.file("entourage.toml", format!("{listener}{config}"));
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config"]).arg(path).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        until("the server to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
        Own { child, port, _dir: dir }
    }

    fn sleeper(&self) -> Wire {
        let mut sleeper = Wire::dial(self.port).unwrap();
        sleeper.send_raw(b"DEBUG SLEEP 1000\r\n");
        let mut other = Wire::dial(self.port).unwrap();
        until("a sleeping client", || {
            (field(&mut other, "clients", "blocked_clients") != "0").then_some(())
        });
        sleeper
    }

    fn end(mut self) -> (Option<i32>, String) {
        let status = until("the process to end", || self.child.try_wait().unwrap());
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn shutdown_timeout_cuts_off_clients_that_take_longer() {
    let server = Own::start("[server]\nshutdown-timeout = \"100ms\"\n");
    let _sleeper = server.sleeper();
    signal(&server.child.id().to_string(), "INT");
    let (code, text) = server.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("event=drain-timeout"), "{text}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Own::start("[server]\nshutdown-timeout = \"1000s\"\n");
    let _sleeper = server.sleeper();
    let pid = server.child.id().to_string();
    signal(&pid, "TERM");
    until("the door to close", || TcpStream::connect(("127.0.0.1", server.port)).err());
    signal(&pid, "TERM");
    let (code, text) = server.end();
    assert_eq!(code, Some(1), "{text}");
}

#[test]
fn shutdown_ends_the_server_and_its_modifiers_are_those_of_redis() {
    let server = Own::start("");
    let mut wire = Wire::dial(server.port).unwrap();
    let facts = [
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
        ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
        ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
        ("SHUTDOWN NOW NONSENSE", "-ERR syntax error"),
    ];
    facts.iter().for_each(|(line, reply)| assert_eq!(wire.ask(line).to_string(), *reply));
    wire.send_raw(b"SHUTDOWN NOSAVE NOW FORCE\r\n");
    assert!(wire.is_closed());
    let (code, text) = server.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().all(|it| it.contains("event=")), "{text}");
}

#[test]
fn one_client_too_many_is_turned_away() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    until("other clients to leave", || {
        (field(&mut wire, "clients", "connected_clients") == "1").then_some(())
    });
    wire.ask("CONFIG SET maxclients 2");
    let mut second = server.dial();
    assert_eq!(second.ask("PING").to_string(), "+PONG");
    let mut third = server.dial();
    assert_eq!(third.read().to_string(), "-ERR max number of clients reached");
    assert!(third.is_closed());
    assert_eq!(field(&mut wire, "stats", "rejected_connections"), "1");
    drop(second);
    until("room for another", || {
        let mut again = server.dial();
        again.send_raw(b"PING\r\n");
        (again.read().to_string() == "+PONG").then_some(())
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_and_others_go_on() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    assert!(!wire.cmd(&[&b"SET"[..], b"big", &vec![b'x'; 32 << 20]]).is_error());
    for (limit, closed) in [("normal 1mb 0 0", "1"), ("normal 0 1mb 1", "2")] {
        wire.cmd(&["CONFIG", "SET", "client-output-buffer-limit", limit]);
        let mut deaf = server.dial();
        deaf.send_raw(b"GET big\r\n");
        until("the deaf client to be closed", || {
            assert_eq!(wire.ask("ECHO here").string(), "here");
            (field(&mut wire, "clients", "clients_closed_for_output") == closed).then_some(())
        });
    }
}

#[test]
fn a_unix_socket_serves_and_is_taken_away() {
    let dir = Dir::new();
    let path = dir.join("socket");
    let server = Server::entourage(&["--unix", path.to_str().unwrap()]);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
    assert_eq!(
        server.dial().ask("CONFIG GET unixsocket").list()[1].string(),
        path.to_str().unwrap()
    );
    server.stop();
    assert!(!path.exists());
    // What a process left behind that could not clean up.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let _server = Server::entourage(&["--unix", path.to_str().unwrap()]);
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let dir = Dir::new();
    let path = dir.file("precious.rdb", "data");
    let (code, text) = run(&["--unix", path.to_str().unwrap()]);
    assert_ne!(code, 0, "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "data");
}

#[test]
fn config_set_takes_effect_and_changes_all_or_nothing() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let set = "CONFIG SET hash-max-listpack-entries 1 maxclients 321";
    assert_eq!(wire.ask(set).to_string(), "+OK");
    assert_eq!(wire.ask("CONFIG GET maxclients").list()[1].string(), "321");
    wire.ask("HSET h a 1 b 2");
    assert_eq!(wire.ask("OBJECT ENCODING h").string(), "hashtable");
    assert!(wire.ask("CONFIG SET maxclients 5 hz none").is_error());
    assert_eq!(wire.ask("CONFIG GET maxclients").list()[1].string(), "321");
    wire.ask("CONFIG SET repl-backlog-size 32kb");
    assert_eq!(field(&mut wire, "replication", "repl_backlog_size"), "32768");
    let odd = wire.ask("CONFIG SET maxclients 1 hz").to_string();
    assert_eq!(odd, "-ERR syntax error");
    let rewrite = wire.ask("CONFIG REWRITE").to_string();
    assert_eq!(rewrite, "-ERR The server is running without a config file");
}

#[test]
fn info_counts_what_happened() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ["SET k v", "GET k", "GET none", "SET t v PX 100000", "NONSENSE", "LPOP"].iter().for_each(
        |it| {
            wire.ask(it);
        },
    );
    assert!(field(&mut wire, "server", "redis_version").starts_with("7.2."));
    assert_eq!(field(&mut wire, "server", "entourage_version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(field(&mut wire, "server", "tcp_port"), server.port().to_string());
    assert_eq!(field(&mut wire, "stats", "keyspace_hits"), "1");
    assert_eq!(field(&mut wire, "stats", "keyspace_misses"), "1");
    assert_eq!(field(&mut wire, "replication", "connected_slaves"), "0");
    for (hosted, name) in [("hosted0", "n2"), ("hosted1", "n3")] {
        let told = field(&mut wire, "replication", hosted);
        assert!(
            told.starts_with(&format!("name={name},")) && told.contains("state=online"),
            "{told}"
        );
    }
    assert!(field(&mut wire, "keyspace", "db0").starts_with("keys=2,expires=1,avg_ttl="));
    assert!(field(&mut wire, "commandstats", "cmdstat_get").starts_with("calls=2,"));
    assert_eq!(field(&mut wire, "errorstats", "errorstat_ERR"), "count=2");
    assert!(field(&mut wire, "latencystats", "latency_percentiles_usec_get").contains("p50="));
    assert_ne!(field(&mut wire, "memory", "used_memory"), "0");
    let head = field(&mut wire, "replication", "master_repl_offset");
    assert_eq!(wire.ask("ROLE").list()[1].int().unwrap().to_string(), head);
    wire.ask("CONFIG RESETSTAT");
    assert_eq!(field(&mut wire, "stats", "keyspace_hits"), "0");
    assert!(!wire.ask("INFO commandstats").string().contains("cmdstat_get"));
}

#[test]
fn writes_that_look_first_count_hits_and_misses_like_redis() {
    let (ours, redis) = (Server::entourage(&[]), Server::redis(&[]));
    let counted = |server: &Server, line: &str| {
        let mut wire = server.dial();
        ["FLUSHALL", "SET k v", "RPUSH l a", "CONFIG RESETSTAT", line]
            .iter()
            .for_each(|it| drop(wire.ask(it)));
        ["keyspace_hits", "keyspace_misses"].map(|it| field(&mut wire, "stats", it))
    };
    for line in [
        "GETEX k EX 100",
        "GETEX none EX 100",
        "GETDEL k",
        "GETDEL l",
        "GETDEL none",
        "GETSET k v",
        "GETSET none v",
        "SET k v GET",
        "SET none v GET",
        "SET k v NX GET",
        "SET k v NX",
        "COPY k k2",
        "COPY none k2",
        "SETNX k v",
    ] {
        assert_eq!(counted(&ours, line), counted(&redis, line), "{line}");
    }
}

#[test]
fn a_wrong_number_of_arguments_is_a_rejected_call() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    ["GET", "CONFIG SET", "MULTI", "GET", "DISCARD"].iter().for_each(|it| drop(wire.ask(it)));
    let mut stat = |name: &str| field(&mut wire, "commandstats", name);
    assert!(stat("cmdstat_get").ends_with("rejected_calls=2,failed_calls=0"));
    assert!(stat("cmdstat_config|set").ends_with("rejected_calls=1,failed_calls=0"));
}

#[test]
fn a_reset_of_the_counts_forgets_expired_keys_too() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.ask("SET k v PX 1");
    until("the key to be gone", || {
        (field(&mut wire, "stats", "expired_keys") == "1").then_some(())
    });
    wire.ask("CONFIG RESETSTAT");
    assert_eq!(field(&mut wire, "stats", "expired_keys"), "0");
}

#[test]
fn every_field_of_redis_that_tools_read_is_there() {
    let (ours, redis) = (Server::entourage(&[]), Server::redis(&[]));
    let fields = |server: &Server, section: &str| -> Vec<String> {
        let text = server.dial().cmd(&["INFO", section]).string();
        let names = text.lines().filter_map(|it| it.split_once(':'));
        names.map(|it| it.0.to_owned()).collect()
    };
    let is_there = |ours: &[String], it: &str| ours.iter().any(|our| our == it);
    for section in [
        "server",
        "clients",
        "memory",
        "persistence",
        "stats",
        "replication",
        "cpu",
        "keyspace",
        "cluster",
    ] {
        let (ours, redis) = (fields(&ours, section), fields(&redis, section));
        let missing: Vec<_> = redis.iter().filter(|it| !is_there(&ours, it)).collect();
        assert!(missing.is_empty(), "{section}: {missing:?}");
    }
    let headings = |server: &Server| -> Vec<String> {
        let text = server.dial().cmd(&["INFO", "everything"]).string();
        // One section is ours alone.
        let headings = text.lines().filter(|it| it.starts_with('#') && *it != "# Alerts");
        headings.map(str::to_owned).collect()
    };
    assert_eq!(headings(&ours), headings(&redis));
}

#[test]
fn reads_writes_and_waits_for_no_key_are_counted() {
    let server = Server::entourage(&[]);
    let (mut wire, mut waiting) = (server.dial(), server.dial());
    let count = |wire: &mut Wire, section: &str, name: &str| -> i64 {
        field(wire, section, name).parse().expect("a number")
    };
    let reads = count(&mut wire, "stats", "total_reads_processed");
    let writes = count(&mut wire, "stats", "total_writes_processed");
    (0..10).for_each(|_| drop(wire.ask("PING")));
    assert_eq!(count(&mut wire, "stats", "total_reads_processed"), reads + 12);
    assert_eq!(count(&mut wire, "stats", "total_writes_processed"), writes + 12);
    wire.ask("XGROUP CREATE s g $ MKSTREAM");
    waiting
        .send(&[words(&"XREADGROUP GROUP g c BLOCK 0 STREAMS s >".split(' ').collect::<Vec<_>>())]);
    until("it to wait", || {
        (count(&mut wire, "clients", "total_blocking_keys_on_nokey") == 1).then_some(())
    });
    wire.ask("DEL s");
    assert!(waiting.read().is_error());
    assert_eq!(count(&mut wire, "clients", "total_blocking_keys_on_nokey"), 0);
}

#[test]
fn memory_stats_have_the_fields_of_redis_as_numbers() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.ask("HELLO 3");
    let Value::Map(told) = wire.ask("MEMORY STATS") else { panic!("no map") };
    let of = |name: &str| {
        let at = told.chunks(2).find(|it| it[0].to_string() == format!("{name:?}"));
        &at.unwrap_or_else(|| panic!("no {name}"))[1]
    };
    for name in ["clients.normal", "overhead.total", "dataset.bytes", "allocator.active"] {
        assert!(of(name).int().is_some(), "{name}");
    }
    for name in ["dataset.percentage", "peak.percentage", "fragmentation"] {
        assert!(of(name).to_string().trim_start_matches(',').parse::<f64>().is_ok(), "{name}");
    }
    let redis = Server::redis(&[]);
    let [ours, theirs] = [&server, &redis].map(|it| {
        let mut wire = it.dial();
        ["SET k v", "SELECT 3", "SET k v"].iter().for_each(|it| drop(wire.ask(it)));
        let told = wire.ask("MEMORY STATS");
        told.list().iter().step_by(2).map(Value::to_string).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
}

/// The same reply with its numbers erased.
fn shape(value: &Value) -> String {
    match value {
        Value::Int(_) => "int".to_owned(),
        Value::Map(items) if items.first().is_some_and(|it| it.int().is_some()) => "levels".into(),
        Value::Array(items) if items.first().is_some_and(|it| it.int().is_some()) => {
            format!("levels of pairs {}", items.len() % 2 == 0)
        }
        Value::Map(items) => format!("%{:?}", items.iter().map(shape).collect::<Vec<_>>()),
        Value::Array(items) => format!("[{:?}", items.iter().map(shape).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

#[test]
fn latency_histogram_has_the_shape_of_redis() {
    let ask = |server: &Server, hello: &str, histogram: &str| {
        let mut wire = server.dial();
        wire.ask(hello);
        ["SET k v", "GET k", "CONFIG GET hz"].iter().for_each(|it| drop(wire.ask(it)));
        shape(&wire.ask(histogram))
    };
    let (ours, redis) = (Server::entourage(&[]), Server::redis(&[]));
    for histogram in [
        "LATENCY HISTOGRAM set get",
        "LATENCY HISTOGRAM config",
        "LATENCY HISTOGRAM config|get none",
        "LATENCY HISTOGRAM lpush none",
        "LATENCY HISTOGRAM",
    ] {
        let (ours, redis) = (ask(&ours, "PING", histogram), ask(&redis, "PING", histogram));
        match histogram.split(' ').count() {
            2 => assert!(ours.contains("histogram_usec")),
            _ => assert_eq!(ours, redis, "{histogram}"),
        }
    }
}

#[test]
fn metrics_can_be_switched_off() {
    let server = Server::entourage_with_config(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[server]\nmetrics = false\n",
    );
    let mut wire = server.dial();
    wire.ask("SET k v");
    assert_eq!(wire.ask("GET k").string(), "v");
    assert_eq!(wire.ask("INFO commandstats").string(), "# Commandstats\r\n");
    assert_ne!(field(&mut wire, "stats", "total_commands_processed"), "0");
}

#[test]
fn digests_agree_between_members_and_tell_data_apart() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let mut seen = Vec::new();
    for line in ["DEL x", "SET a 1", "SET a 2", "HSET h f v g w", "PEXPIREAT a 99999999999999"] {
        wire.ask(line);
        let found = digests(&mut wire);
        assert!(found.iter().all(|it| *it == found[0]), "{line}: {found:?}");
        assert!(!seen.contains(&found[0]), "{line}");
        seen.push(found[0].clone());
    }
    ["PERSIST a", "SET a 1", "DEL h"].iter().for_each(|it| drop(wire.ask(it)));
    assert_eq!(digests(&mut wire)[0], seen[1]);
}

#[test]
fn the_stream_can_be_read_back() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    wire.ask("SET a 1");
    let stream = wire.ask("DEBUG STREAM 0").string();
    assert!(stream.ends_with("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"), "{stream:?}");
    assert!(wire.ask("DEBUG STREAM 1000000").is_error());
}

#[test]
fn a_panic_quarantines_its_member_and_no_other_client_gets_an_error() {
    let server = Server::entourage(&["--replicas", "3", "--threads", "2"]);
    let is_over = AtomicBool::new(false);
    let mut wire = server.dial();
    thread::scope(|scope| {
        let others: Vec<_> = (0..4)
            .map(|id| {
                let (server, is_over) = (&server, &is_over);
                scope.spawn(move || hammer(server, id, is_over))
            })
            .collect();
        let mut panics = |line: &str, master: &str| {
            let reply = wire.ask(line);
            assert!(reply.is_error(), "{reply}");
            until("the master to be replaced, if it is to be", || {
                let is_first = field(&mut wire, "replication", "master_name") == "n1";
                (is_first == (master == "n1")).then_some(())
            });
        };
        panics("DEBUG PANIC READ", "n1");
        panics("DEBUG PANIC WRITE", "another");
        is_over.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|it| assert!(0 < it.join().unwrap()));
    });
    let info = wire.ask("INFO replication").string();
    assert_eq!(info.matches("state=quarantined").count(), 2, "{info}");
    assert_eq!(info.matches("state=online").count(), 1, "{info}");
    assert_eq!(server.said().matches("event=panic ").count(), 2);
    assert_eq!(wire.ask("SET after all").to_string(), "+OK");
    assert_eq!(wire.ask("GET after").string(), "all");
}

/// Writes and reads its own counter until it is over; answers how often. Panics at any error.
fn hammer(server: &Server, id: usize, is_over: &AtomicBool) -> u64 {
    let mut wire = server.dial();
    let mut rounds = 0;
    while !is_over.load(Ordering::Relaxed) || rounds == 0 {
        rounds += 1;
        let written = wire.ask(&format!("INCR n{id}"));
        assert_eq!(written.int(), Some(rounds as i64), "{written}");
        assert_eq!(wire.ask(&format!("GET n{id}")).string(), rounds.to_string());
    }
    rounds
}

#[test]
fn debug_is_for_those_who_may() {
    let server = Server::entourage_with_config(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[server]\nenable-debug-command = \"no\"\n",
    );
    let (mut ours, redis) = (server.dial(), Server::redis(&[]));
    let refused = redis.dial().ask("DEBUG SLEEP 0");
    assert!(refused.is_error());
    assert_eq!(ours.ask("DEBUG SLEEP 0"), refused);
}
