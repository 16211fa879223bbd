//! Clients that people really use, unmodified, against Entourage: redis-cli, redis-benchmark,
//! redis-py and the `redis` crate.

use crate::support::wire::encode;
use crate::support::{Server, words};
use redis::Commands;
use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a program gets to run; `timeout` ends it so that no test hangs.
const SECONDS_MAX: &str = "240";

#[test]
fn redis_cli_scans_every_key() {
    let server = Server::entourage(&[]);
    let sets: Vec<_> = (0..1000).map(|it| words(&["SET", &format!("k:{it}"), "v"])).collect();
    server.dial().pipeline(&sets);
    let told = cli(&server, &["--scan", "--pattern", "k:*"], b"");
    let found: BTreeSet<&str> = told.lines().collect();
    assert_eq!((found.len(), told.lines().count()), (1000, 1000));
}

#[test]
fn redis_cli_pipes_a_mass_of_commands() {
    let server = Server::entourage(&[]);
    let set = |it: i32| encode(&words(&["SET", &format!("k:{it}"), "v"]));
    let told = cli(&server, &["--pipe"], &(0..10_000).flat_map(set).collect::<Vec<u8>>());
    assert!(told.contains("errors: 0, replies: 10000"), "{told}");
    // Another connection has no floor of its own.
    let mut wire = server.dial();
    wire.ask("PROXY CONSISTENCY global");
    assert_eq!(wire.ask("DBSIZE").int(), Some(10_000));
}

#[test]
fn redis_cli_measures_latency() {
    let server = Server::entourage(&[]);
    let told = cli(&server, &["--raw", "--latency", "-i", "1"], b"");
    let numbers: Vec<f64> = told.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    assert!(4 <= numbers.len() && 10.0 < numbers[3], "min, max, average, samples: {told}");
}

#[test]
fn redis_cli_talks_line_by_line() {
    let server = Server::entourage(&[]);
    let lines = b"SET a 1\nINCRBY a 41\nGET a\nHSET h f v\nHGETALL h\nGET\nSELECT 3\nGET a\n";
    let told = cli(&server, &[], lines);
    let wanted = "OK\n42\n42\n1\nf\nv\nERR wrong number of arguments for 'get' command\n\nOK\n\n";
    assert_eq!(told, wanted);
    let told = cli(&server, &["-3", "--no-raw"], b"HGETALL h\n");
    assert_eq!(told, "1# \"f\" => \"v\"\n");
}

#[test]
fn redis_benchmark_runs_its_tests() {
    let server = Server::entourage(&[]);
    let tests = ["ping", "set", "get", "incr", "mset", "hset"];
    let binary = program("REDIS_BENCHMARK", "redis-benchmark");
    let args = ["-t", &tests.join(","), "-n", "2000", "-P", "8", "-q"].map(str::to_owned);
    let port = ["-p".to_owned(), server.port().to_string()];
    let told = run(&binary, &[&port[..], &args].concat(), b"");
    let rates = told.matches("requests per second").count();
    // PING is tried inline and as an array.
    assert_eq!(rates, tests.len() + 1, "{told}");
    assert!(!told.to_lowercase().contains("error"), "{told}");
}

#[test]
fn redis_py_works() {
    let Some(python) = python_with_redis() else {
        // Not through the test harness, which would hide it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no python with the redis package ($PYTHON)");
        return;
    };
    let server = Server::entourage(&[]);
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/redis_py.py");
    for protocol in ["2", "3"] {
        let args = [script.display().to_string(), server.port().to_string(), protocol.into()];
        let told = run(&python, &args, b"");
        assert!(told.starts_with("ok"), "protocol {protocol}: {told}");
    }
}

#[test]
fn the_redis_crate_works() -> redis::RedisResult<()> {
    let server = Server::entourage(&[]);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/2", server.port()))?;
    let mut link = client.get_connection()?;
    let () = link.set("greeting", "hello")?;
    assert_eq!(link.get::<_, String>("greeting")?, "hello");
    assert_eq!(link.get::<_, Option<String>>("nothing")?, None);
    assert_eq!(link.incr::<_, _, i64>("n", 7)?, 7);
    let (set, got): (String, i64) = redis::pipe().atomic().set("n", 8).get("n").query(&mut link)?;
    assert_eq!((set.as_str(), got), ("OK", 8));
    let () = link.hset_multiple("h", &[("f", 1), ("g", 2)])?;
    assert_eq!(link.hgetall::<_, Vec<(String, i64)>>("h")?.len(), 2);
    let keys: BTreeSet<String> = link.scan()?.collect();
    assert_eq!(keys, ["greeting", "n", "h"].map(String::from).into());
    let refused = link.incr::<_, _, i64>("h", 1).unwrap_err();
    assert_eq!(refused.code(), Some("WRONGTYPE"));
    Ok(())
}

fn cli(server: &Server, args: &[&str], stdin: &[u8]) -> String {
    let port = server.port().to_string();
    let all: Vec<String> = ["-p", &port].iter().chain(args).map(|it| it.to_string()).collect();
    run(&program("REDIS_CLI", "redis-cli"), &all, stdin)
}

/// Runs a program to its end; answers what it wrote to stdout and stderr.
fn run(binary: &str, args: &[String], stdin: &[u8]) -> String {
    let mut child = Command::new("timeout")
        .arg(SECONDS_MAX)
        .arg(binary)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|it| panic!("{binary}: {it}"));
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = stdin.to_vec();
    let feeder = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output().expect("an end");
    // A program may end before it has read everything.
    let _ = feeder.join();
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn program(variable: &str, name: &str) -> String {
    env::var(variable).unwrap_or_else(|_| name.into())
}

fn python_with_redis() -> Option<String> {
    let venv = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python3");
    let named = env::var("PYTHON").ok();
    let places = named.into_iter().chain([venv.display().to_string(), "python3".into()]);
    let knows = |it: &String| {
        let mut command = Command::new(it);
        command.args(["-c", "import redis"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|it| it.success())
    };
    places.into_iter().find(knows)
}
