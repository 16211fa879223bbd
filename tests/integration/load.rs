//! `entourage load`: its scenarios run clean against ours, it finds what replicas of Redis do not
//! promise, and its exit codes and files are what the guide says.

mod odd;

use crate::support::{Relay, Server, info_field, until};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const SCENARIOS: [&str; 12] = [
    "session-store",
    "cache",
    "counters",
    "leaderboard",
    "write-burst",
    "job-queue",
    "ycsb-a",
    "ycsb-b",
    "ycsb-c",
    "ycsb-d",
    "ycsb-e",
    "ycsb-f",
];

/// Runs it against a server, quietly.
fn load(server: &Server, flags: &[&str]) -> Output {
    let target = format!("127.0.0.1:{}", server.port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
    command.args(["load", "--quiet"]).args(flags);
    if !flags.contains(&"--warmup") {
        command.args(["--warmup", "100ms"]);
    }
    if !flags.contains(&"--target") {
        command.args(["--target", &target]);
    }
    command.output().expect("it runs")
}

fn shown(output: &Output) -> String {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    format!("{:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Pairs and violations of a check, as the table has them.
fn pairs(output: &Output, check: &str) -> (u64, u64) {
    let text = shown(output);
    let line = text.lines().find(|it| it.starts_with(check)).unwrap_or_else(|| panic!("{text}"));
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    (numbers[0], numbers[1])
}

/// A file that a run writes.
fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("load-{}-{name}", std::process::id()))
}

fn taken(path: &PathBuf) -> String {
    let text = fs::read_to_string(path).expect("it was written");
    let _ = fs::remove_file(path);
    text
}

/// A redis-server and a replica of it that has caught up.
fn redis_with_replica() -> [Server; 2] {
    let master = Server::redis(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(master.port());
    [master, replica]
}

fn replica_of(port: u16) -> Server {
    let replica = Server::redis(&["--replicaof", "127.0.0.1", &port.to_string()]);
    until("the replica to be online", || {
        let status = info_field(&mut replica.dial(), "replication", "master_link_status");
        (status.as_deref() == Some("up")).then_some(())
    });
    replica
}

#[test]
fn every_ready_scenario_runs_clean_against_ours() {
    let server = Server::entourage(&[]);
    for name in SCENARIOS {
        let flags = ["--scenario", name, "--level", "sticky", "--phase", "step 2000 500ms"];
        let output = load(&server, &flags);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {text}");
        assert!(!text.contains("errors:"), "{name}: {text}");
        let share = text.lines().find_map(|it| it.split_once("% at replicas")?.0.rsplit_once('('));
        let share = share.and_then(|it| it.1.trim().parse::<f64>().ok());
        assert!(share.is_some_and(|it| 99.0 <= it), "{name}: {text}");
    }
}

#[test]
fn sticky_and_global_reads_keep_every_promise() {
    let server = Server::entourage(&[]);
    for (level, connections, depth) in
        [("sticky", "20", "1"), ("global", "8", "1"), ("sticky", "8", "16")]
    {
        let flags = [
            ["--check", "all"],
            ["--level", level],
            ["--keys", "500"],
            ["--connections", connections],
            ["--depth", depth],
            ["--duration", "1s"],
            ["--command", "1 SET {key} {value}"],
            ["--command", "1 GET {key}"],
        ];
        let output = load(&server, &flags.concat());
        assert_eq!(output.status.code(), Some(0), "{level} {depth}: {}", shown(&output));
        assert!(0 < pairs(&output, "read-your-writes").0, "{}", shown(&output));
    }
}

#[test]
fn a_replica_of_redis_does_not_show_a_client_its_own_writes() {
    let [master, replica] = redis_with_replica();
    let reads = format!("127.0.0.1:{}", replica.port());
    let flags = [
        ["--read-from", reads.as_str()],
        ["--check", "read-your-writes,staleness"],
        ["--keys", "100"],
        ["--depth", "16"],
        ["--duration", "2s"],
        ["--command", "9 SET {key} {value}"],
        ["--command", "1 GET {key}"],
    ];
    let output = load(&master, &flags.concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("VIOLATION read-your-writes: a client did not see its own write"));
    assert!(text.contains(" wrote key ") && text.contains(" at target 1"), "{text}");
}

/// The guarantees of sessions.
const SESSIONS: &str = "read-your-writes,monotonic-reads,monotonic-writes,writes-follow-reads";

#[test]
fn eventual_reads_of_a_paused_replica_are_found_and_sticky_ones_are_clean() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    for (level, code) in [("eventual", 1), ("sticky", 0)] {
        let flags = [
            ["--level", level],
            ["--check", SESSIONS],
            ["--keys", "200"],
            ["--connections", "20"],
            ["--depth", "4"],
            ["--duration", "1200ms"],
            ["--command", "1 SET {key} {value}"],
            ["--command", "1 GET {key}"],
            ["--fault", "100ms pause n2"],
            ["--fault", "1s resume n2"],
        ];
        let output = load(&server, &flags.concat());
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(code), "{level}: {text}");
        let (pairs, violations) = pairs(&output, "read-your-writes");
        assert!(100 < pairs && (0 < violations) == (code == 1), "{level}: {text}");
    }
}

#[test]
fn who_is_given_a_token_sees_what_it_stands_for() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    for depth in ["1", "8"] {
        let flags = [
            ["--level", "sticky"],
            ["--tokens", "true"],
            ["--check", "tokens,writes-follow-reads"],
            ["--keys", "200"],
            ["--connections", "20"],
            ["--depth", depth],
            ["--duration", "1200ms"],
            ["--command", "1 SET {key} {value}"],
            ["--command", "1 GET {key}"],
            ["--fault", "100ms pause n2 for 700ms"],
            ["--fault", "random*3 pause n3 for 100ms"],
        ];
        let output = load(&server, &flags.concat());
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(1000 < pairs(&output, "tokens").0, "{text}");
        assert_eq!(text.matches(" pause n3: ").count(), 3, "{text}");
    }
    let redis = Server::redis(&[]);
    let output = load(&redis, &["--tokens", "--duration", "100ms"]);
    assert!(shown(&output).contains("is no Entourage"), "{}", shown(&output));
}

#[test]
fn a_wait_confirms_what_its_own_connection_has_written_and_nothing_else() {
    let master = Server::redis(&["--repl-diskless-sync-delay", "0"]);
    let link = Relay::to(master.port());
    let replica = replica_of(link.port());
    // So that a replica is behind, whatever the machine does.
    link.delay(Duration::from_millis(20));
    let reads = format!("127.0.0.1:{}", replica.port());
    let lost = |on: &str| {
        let flags = [
            ["--read-from", reads.as_str()],
            ["--check", "no-lost-confirmed-write"],
            ["--wait", "1"],
            ["--wait-on", on],
            ["--keys", "100"],
            ["--depth", "16"],
            ["--duration", "1500ms"],
            ["--command", "9 SET {key} {value}"],
            ["--command", "1 GET {key}"],
        ];
        let output = load(&master, &flags.concat());
        let (pairs, violations) = pairs(&output, "no-lost-confirmed-write");
        let code = if violations == 0 { 0 } else { 1 };
        assert!(100 < pairs && output.status.code() == Some(code), "{on}: {}", shown(&output));
        violations
    };
    assert_eq!(lost("same"), 0);
    // What is read when is a matter of luck.
    assert!((0..10).any(|_| 0 < lost("other")), "no write was missed that was not confirmed");
}

#[test]
fn a_server_that_goes_away_leaves_results_and_is_told() {
    let server = Server::redis(&[]);
    let mut output = std::thread::scope(|scope| {
        let mut wire = server.dial();
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            wire.send_raw(b"SHUTDOWN NOSAVE\r\n");
        });
        load(&server, &["--check", "no-lost-write", "--keys", "500", "--duration", "1500ms"])
    });
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("what is there at the end cannot be read"), "{text}");
    assert!(text.contains("connection lost") && text.contains("GET {key} "), "{text}");
    output = load(&server, &["--duration", "100ms"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
}

#[test]
fn an_interrupt_ends_a_run_with_its_results() {
    let server = Server::redis(&[]);
    let target = format!("127.0.0.1:{}", server.port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
    command.args(["load", "--target", &target, "--duration", "60s", "--warmup", "50ms"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    std::thread::sleep(std::time::Duration::from_millis(800));
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().expect("there is kill");
    let output = child.wait_with_output().expect("it ends");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("note: interrupted") && text.contains("GET {key} "), "{text}");
}

#[test]
fn confirmed_writes_are_there_at_the_end() {
    let [master, _replica] = redis_with_replica();
    let flags = ["--wait", "1", "--check", "no-lost-confirmed-write", "--keys", "200"];
    let output = load(&master, &[&flags[..], &["--duration", "500ms"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(0 < pairs(&output, "no-lost-confirmed-write").0, "{}", shown(&output));
}

#[test]
fn what_cannot_be_run_is_told_with_its_reason() {
    let server = Server::redis(&[]);
    let path = file("odd.toml");
    fs::write(&path, "depth = 2\ncolour = 'red'\n").expect("a file can be written");
    let path_text = path.display().to_string();
    let told = |flags: &[&str]| {
        let output = load(&server, flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", shown(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let why = told(&["--scenario", &path_text]);
    assert!(why.contains(&format!("{path_text}:2: colour: unknown field `colour`")), "{why}");
    let _ = fs::remove_file(&path);
    assert!(told(&["--scenario", "no-such-file"]).contains("no-such-file: "));
    assert!(told(&["--depth", "0"]).contains("depth: 0 is not accepted"));
    assert!(told(&["--level", "sticky"]).contains("refuses PROXY CONSISTENCY sticky"));
    assert!(told(&["--password", "secret"]).contains("refuses AUTH"));
    assert!(!told(&["--password", "secret"]).contains("secret"));
    assert!(told(&["--target", "127.0.0.1:1"]).contains("cannot connect to 127.0.0.1:1"));
    assert!(told(&["--json", "/no/such/file"]).contains("/no/such/file: No such file"));
    let short = ["--duration", "100ms", "--warmup", "0s"];
    let why = told(&[&short[..], &["--command", "NOSUCH {key}"]].concat());
    assert!(why.contains("no request was answered well: ERR unknown command 'NOSUCH'"), "{why}");
    let why = told(&[&short[..], &["--fault", "10ms pause n2"]].concat());
    assert!(why.contains("fault: pause n2 is refused"), "{why}");
    let reader = Server::redis(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let target = format!("127.0.0.1:{}", reader.port());
    let why = told(&["--target", &target, "--check", "staleness"]);
    assert!(why.contains("the keys cannot be set: READONLY"), "{why}");
}

#[test]
fn what_happens_to_members_is_seen_and_survived() {
    let server = Server::entourage(&[]);
    server.disconnects_replicas();
    let flags = [
        ["--scenario", "ycsb-a"],
        ["--level", "sticky"],
        ["--keys", "500"],
        ["--connections", "10"],
        ["--duration", "1500ms"],
        ["--fault", "200ms pause n2"],
        ["--fault", "500ms resume n2"],
        ["--fault", "700ms failover n3"],
        ["--fault", "1000ms cut"],
    ];
    let output = load(&server, &flags.concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("pause n2: +OK") && text.contains("failover n3: +OK"), "{text}");
    assert!(text.contains("errors: connection lost "), "{text}");
    let share = text.lines().find_map(|it| it.split_once("% at replicas")?.0.rsplit_once('('));
    let share = share.and_then(|it| it.1.trim().parse::<f64>().ok());
    assert!(share.is_some_and(|it| 90.0 <= it), "what the last master served before: {text}");
}

#[test]
fn an_open_loop_keeps_its_rate_and_tells_of_a_stall() {
    let server = Server::redis(&["--enable-debug-command", "yes"]);
    let pauses = std::thread::scope(|scope| {
        let port = server.port();
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            let mut wire = crate::support::Wire::dial(port).expect("it accepts");
            wire.ask("DEBUG SLEEP 0.3");
        });
        load(&server, &["--rate", "1000", "--duration", "1s", "--json", "/dev/stdout"])
    });
    let text = String::from_utf8_lossy(&pauses.stdout).into_owned();
    let json = text.lines().find(|it| it.starts_with('{')).unwrap_or_else(|| panic!("{text}"));
    let json: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    let requests = json["all"]["requests"].as_u64().expect("a number");
    assert!((900..=1100).contains(&requests), "{requests}");
    // A third of the requests should have been sent while nothing was answered.
    let p90 = json["all"]["latency_ns"]["p90"].as_u64().expect("a number");
    assert!(100_000_000 < p90, "{p90} ns: the stall is hidden");
}

#[test]
fn results_are_files_that_others_read() {
    let server = Server::entourage(&["--unix", crate::support::servers::SOCKET]);
    let socket = server.dir().join(crate::support::servers::SOCKET).display().to_string();
    let [json, hdr, report] = ["a.json", "a.hdr", "a.html"].map(file);
    let paths = [&json, &hdr, &report].map(|it| it.display().to_string());
    let flags = [
        ["--target", socket.as_str()],
        ["--scenario", "cache"],
        ["--protocol", "3"],
        ["--threads", "2"],
        ["--count", "2000"],
        ["--json", &paths[0]],
        ["--hdr", &paths[1]],
        ["--report", &paths[2]],
    ];
    let output = load(&server, &flags.concat());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let json: serde_json::Value = serde_json::from_str(&taken(&json)).expect("it is JSON");
    assert_eq!(json["all"]["requests"].as_u64(), Some(2000));
    assert!(json["settings"].as_str().is_some_and(|it| it.contains("distribution = ")));
    assert!(json["replica_lag"].as_array().is_some_and(|it| !it.is_empty()));
    assert!(taken(&hdr).lines().any(|it| it.starts_with("Tag=GET@0,")));
    let page = taken(&report);
    assert_eq!(page.matches("<svg").count(), 4, "percentiles, throughput, latency, lag");
    assert!(!page.contains("no plot") && !page.contains("<script"), "{page}");
}

#[test]
fn a_target_does_not_differ_from_itself_by_much() {
    let server = Server::redis(&[]);
    let same = format!("127.0.0.1:{}", server.port());
    let output = load(&server, &["--compare", &same, "--duration", "1600ms"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let line = text.lines().find(|it| it.starts_with("requests per second "));
    let ratio = line.and_then(|it| it.split_whitespace().nth(3)?.parse::<f64>().ok());
    assert!(ratio.is_some_and(|it| (0.5..2.0).contains(&it)), "{text}");
}

#[test]
fn slices_add_up_with_phases_and_replicas_that_are_read_from() {
    let [master, replica] = redis_with_replica();
    let (target, reads) =
        (format!("127.0.0.1:{}", master.port()), format!("127.0.0.1:{}", replica.port()));
    let both = format!("{target},{reads}");
    let (json, hdr, report) = (file("c.json"), file("c.hdr"), file("c.html"));
    let (j, h, r) =
        (json.display().to_string(), hdr.display().to_string(), report.display().to_string());
    let flags = ["--read-from", &reads, "--compare", &both, "--phase", "step 1000 2s"];
    let files = ["--phase", "spike 4000 1200ms", "--json", &j, "--hdr", &h, "--report", &r];
    let output = load(&master, &[&flags[..], &files[..]].concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let json: serde_json::Value = serde_json::from_str(&taken(&json)).expect("it is JSON");
    // Half of all that is due in both phases.
    let requests = json["all"]["requests"].as_u64().unwrap();
    assert!((2_500..4_000).contains(&requests), "{requests} {text}");
    let seconds = json["per_second"].as_array().unwrap();
    let sum: u64 = seconds.iter().map(|it| it["requests"].as_u64().unwrap()).sum();
    assert_eq!((seconds.len(), sum), (2, requests), "{text}");
    let others = json["comparison"]["all"]["requests"].as_u64().unwrap();
    assert!(requests.abs_diff(others) < requests / 3, "{others} {text}");
    let hdr = taken(&hdr);
    assert!(hdr.contains("GET@1") && hdr.contains("SET@0"), "{hdr}");
    assert_eq!(taken(&report).matches("spike 4000<").count() % 8, 0);
}

/// What all keys of three databases hold, that of a script apart: scripts are not repeated.
fn data(server: &Server) -> String {
    let port = server.port().to_string();
    let script = "for d in 0 1 2; do r=\"redis-cli --no-raw -p $0 -n $d\"
                  for k in $(redis-cli -p $0 -n $d keys '*' | grep -v script | sort); do
                  echo $d $k; $r get $k; $r lrange $k 0 -1; done; done";
    let output = Command::new("sh").args(["-c", script, &port]).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_a_redis_was_asked_is_asked_again() {
    is_asked_again("redis", &Server::redis(&[]));
}

#[test]
fn what_we_were_asked_is_asked_again() {
    is_asked_again("ours", &Server::entourage(&[]));
}

fn is_asked_again(name: &str, redis: &Server) {
    let ours = Server::entourage(&[]);
    let (path, json) = (file(&format!("capture-{name}")), file(&format!("r-{name}.json")));
    let (p, j) = (path.display().to_string(), json.display().to_string());
    let target = format!("127.0.0.1:{}", redis.port());
    let begun = Command::new(env!("CARGO_BIN_EXE_entourage"))
        .args(["load", "--record", &p, "--duration", "2500ms", "--target", &target])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    until("the recording to begin", || {
        info_field(&mut redis.dial(), "clients", "connected_clients").filter(|it| it != "1")
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    let all: Vec<u8> = (0..=255).collect();
    for number in 0..3 {
        let address = format!("redis://127.0.0.1:{}/{number}", redis.port());
        let mut client = redis::Client::open(address).unwrap().get_connection().unwrap();
        let run = |words: &[&[u8]], on: &mut redis::Connection| {
            let mut command = redis::cmd(std::str::from_utf8(words[0]).unwrap());
            for word in &words[1..] {
                command.arg(*word);
            }
            command.query::<redis::Value>(on).unwrap();
        };
        let key = format!("k{number}");
        for _ in 0..50 {
            run(&[b"INCR", b"n"], &mut client);
            run(&[b"APPEND", key.as_bytes(), &all], &mut client);
        }
        run(&[b"MULTI"], &mut client);
        run(&[b"RPUSH", b"l", b"a", b"", b"\"\\"], &mut client);
        run(&[b"LPOP", b"l"], &mut client);
        run(&[b"EXEC"], &mut client);
        run(&[b"EVAL", b"return redis.call('SET', 'script', 'once')", b"0"], &mut client);
        run(&[b"BLPOP", b"nothing", b"0.01"], &mut client);
    }
    let output = begun.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(data(redis).contains("2 k2"));
    for (speed, connections) in [("0", "50"), ("2", "1")] {
        redis::cmd("FLUSHALL").query::<()>(&mut client_of(&ours)).unwrap();
        let flags = ["--replay", &p, "--speed", speed, "--connections", connections, "--json", &j];
        let output = load(&ours, &flags);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert_eq!(data(redis), data(&ours), "{text}");
        let json: serde_json::Value = serde_json::from_str(&taken(&json)).expect("it is JSON");
        let of = |name: &str| {
            let all = json["commands"].as_array().unwrap();
            all.iter().find(|it| it["command"] == name).and_then(|it| it["requests"].as_u64())
        };
        assert_eq!((of("INCR"), of("EXEC"), of("BLPOP")), (Some(150), Some(3), Some(3)), "{text}");
        assert!(text.contains("lines are of scripts"), "{text}");
    }
    let _ = fs::remove_file(path);
}

fn client_of(server: &Server) -> redis::Connection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port()));
    client.unwrap().get_connection().unwrap()
}

#[test]
fn a_capture_with_bad_lines_is_replayed_without_them() {
    let server = Server::entourage(&[]);
    let path = file("bad");
    let text = "OK\n1.0 [0 a:1] \"SET\" \"k\" \"\\x00\\xff\\n\"\nodd\n\
                1.1 [0 a:1] \"SET\" \"k\n1.2 [0 a:1] \"APPEND\" \"k\" \"x\"\n\
                1.3 [0 a:1] \"AUTH\" \"(redacted)\"\n1.4 [3 b:1] \"SET\" \"k\" \"3\"\n";
    fs::write(&path, text).expect("a file can be written");
    let p = path.display().to_string();
    let output = load(&server, &["--replay", &p, "--connections", "1"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("2 lines cannot be read and are left out: line 3: no time"), "{text}");
    assert!(text.contains("line 4: a quote is not closed"), "{text}");
    assert!(text.contains("1 commands make no sense to repeat"), "{text}");
    let mut client = client_of(&server);
    let value: Vec<u8> = redis::cmd("GET").arg("k").query(&mut client).unwrap();
    assert_eq!(value, b"\0\xff\nx");
    redis::cmd("SELECT").arg(3).query::<()>(&mut client).unwrap();
    let value: Vec<u8> = redis::cmd("GET").arg("k").query(&mut client).unwrap();
    assert_eq!(value, b"3");
    let output = load(&server, &["--replay", &p, "--check", "all"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let _ = fs::remove_file(path);
}

/// The blocks of a language in the guide's page.
fn blocks(language: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/docs/load.md");
    let page = fs::read_to_string(path).expect("the page is there");
    let open = format!("```{language}\n");
    let behind = page.split(&open).skip(1);
    behind.map(|it| it.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_command_of_the_guide_runs() {
    let (ours, [master, replica]) = (Server::entourage(&[]), redis_with_replica());
    ours.disconnects_replicas();
    let dir = file("guide");
    fs::create_dir_all(&dir).expect("a directory can be made");
    let mut count = 0;
    for line in blocks("sh").iter().flat_map(|it| it.lines()) {
        let is_pair = line.contains("6380");
        let port = if is_pair { master.port() } else { ours.port() }.to_string();
        let mut words = line.replace("6380", &replica.port().to_string()).replace("6379", &port);
        for seconds in ["3s", "4s", "5s"] {
            words = words.replace(&format!("--duration {seconds}"), "--duration 400ms");
        }
        words = words.replace("\"1s ", "\"100ms ").replace("\"2s ", "\"200ms ");
        if !words.contains("--duration") {
            words += " --duration 400ms";
        }
        if !words.contains("--target") {
            words += &format!(" --target 127.0.0.1:{port}");
        }
        let script = format!("entourage() {{ \"$0\" \"$@\" --warmup 50ms; }}\n{words}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_entourage")]).current_dir(&dir);
        let output = command.output().expect("it runs");
        let may_violate = is_pair || line.contains("eventual");
        let is_right = output.status.code().is_some_and(|it| it == 0 || may_violate && it == 1);
        assert!(is_right, "{line}: {}", shown(&output));
        count += 1;
    }
    assert!(8 <= count, "{count} commands");
    let scenario = dir.join("mine.toml");
    fs::write(&scenario, &blocks("ini")[0]).expect("a file can be written");
    let path = scenario.display().to_string();
    let flags = ["--scenario", &path, "--phase", "step 500 400ms", "--fault", "100ms pause n2"];
    // One in which nothing has failed over yet.
    let output = load(&Server::entourage(&[]), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let _ = fs::remove_dir_all(&dir);
}
