//! Metrics as Prometheus, its tools and redis_exporter see them.

use crate::support::{Server, Site, info_field, ok, order, until, until_alone};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const GRAFANA: &str = include_str!("../../config/grafana.json");
const ALERTS: &str = include_str!("../../config/alerts.yml");

/// Each sample by its name with labels, and each metric's kind.
fn samples(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut values, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a kind");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(values.insert(name.to_owned(), value).is_none(), "{name} twice");
        }
    }
    (values, kinds)
}

/// Runs promtool, which has nothing to complain of.
fn promtool(words: &[&str], input: &str) {
    let mut command = Command::new(std::env::var("PROMTOOL").unwrap_or("promtool".into()));
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is here: tests/run.sh installs it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    let is_lint = words == ["check", "metrics"];
    assert!(done.status.success() && (!is_lint || said.is_empty()), "{words:?}: {said}");
}

/// Something of everything: reads and writes on two routes, lag, waits, a failover, errors.
fn busy() -> Site {
    let routes = "[[route]]\nname = \"carts\"\nkeys = [\"cart:*\"]\nacks = 1\non-lag = [\"wait 1ms\", \
                  \"master\"]\n";
    let site = Site::with("", routes);
    let mut wire = site.server.dial();
    for at in 0..50 {
        ok(&mut wire, &format!("SET cart:{at} v"));
        ok(&mut wire, &format!("SET k{at} v EX 100"));
        wire.ask(&format!("GET cart:{at}"));
        wire.ask("GET missing");
    }
    wire.ask("INCR k1");
    wire.ask("GET");
    order(&mut wire, &["n2", "n3"], "PAUSE");
    ok(&mut wire, "SET k v");
    wire.ask("GET k");
    wire.cmd(&["WAIT", "2", "1"]);
    order(&mut wire, &["n2", "n3"], "RESUME");
    wire.ask("PROXY FAILOVER TO n2");
    site
}

#[test]
fn promtool_has_no_complaint() {
    let site = busy();
    let answer = site.get("/metrics");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    promtool(&["check", "metrics"], &answer.body);
    promtool(&["check", "rules", "config/alerts.yml"], "");
    promtool(&["test", "rules", "tests/alerts.yml"], "");
}

#[test]
fn a_server_of_real_servers_has_metrics_too() {
    let real = Server::redis(&[]);
    let file = format!("[[member]]\nname = \"r1\"\naddress = \"127.0.0.1:{}\"\n", real.port());
    let site = Site::with("", &file);
    until("the master to be known", || (site.get("/ready").status == 200).then_some(()));
    ok(&mut site.server.dial(), "SET k v");
    let status = site.json("/api/v1/status");
    assert_eq!(
        (&status["nodes"][0]["name"], &status["nodes"][0]["role"]),
        (&"r1".into(), &"master".into())
    );
    let text = site.get("/metrics").body;
    promtool(&["check", "metrics"], &text);
    let (values, _) = samples(&text);
    assert_eq!(values["entourage_member_is_master{member=\"r1\"}"], 1.0);
    assert!(1.0 <= values["entourage_upstream_answered_total{member=\"r1\"}"], "{text}");
}

#[test]
fn numbers_are_those_of_info_and_proxy_stats() {
    let site = busy();
    let mut wire = site.server.dial();
    until_alone(&mut wire);
    let (before, _) = samples(&site.get("/metrics").body);
    let mut info = |section: &str, name: &str| -> f64 {
        info_field(&mut wire, section, name).unwrap().parse().unwrap()
    };
    for (metric, section, field) in [
        ("entourage_keyspace_hits_total", "stats", "keyspace_hits"),
        ("entourage_keyspace_misses_total", "stats", "keyspace_misses"),
        ("entourage_expired_keys_total", "stats", "expired_keys"),
        ("entourage_connections_total", "stats", "total_connections_received"),
        ("entourage_rejected_connections_total", "stats", "rejected_connections"),
        ("entourage_error_replies_total", "stats", "total_error_replies"),
        ("entourage_connected_clients", "clients", "connected_clients"),
        ("entourage_blocked_clients", "clients", "blocked_clients"),
        ("entourage_max_clients", "clients", "maxclients"),
        ("entourage_replication_backlog_bytes", "replication", "repl_backlog_histlen"),
        ("entourage_replication_offset_bytes", "replication", "master_repl_offset"),
        ("entourage_panics_total", "stats", "member_panics"),
        ("entourage_memory_machine_bytes", "memory", "total_system_memory"),
    ] {
        assert_eq!(before[metric], info(section, field), "{metric}");
    }
    let resyncs = info("stats", "sync_full") + info("stats", "hosted_full_resyncs");
    assert_eq!(before["entourage_full_resyncs_total"], resyncs);
    assert!(
        100.0
            <= before["entourage_keyspace_hits_total"] + before["entourage_keyspace_misses_total"]
    );
    let keys = wire.ask("DBSIZE").int().unwrap() as f64;
    assert_eq!(before["entourage_db_keys{db=\"db0\"}"], keys);
    let stats = wire.cmd(&["PROXY", "STATS", "JSON"]).string();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    for route in ["carts", "default"] {
        let all = stats["service"].as_array().unwrap().iter();
        let mine = all.filter(|it| {
            let is_ours = ["set", "get", "incr"].contains(&it["command"].as_str().unwrap());
            it["route"] == route && is_ours
        });
        let calls: u64 = mine.map(|it| it["calls"].as_u64().unwrap()).sum();
        let told: f64 = before
            .iter()
            .filter(|it| {
                let name = it.0;
                name.starts_with("entourage_command_duration_seconds_count{")
                    && name.contains(&format!("route=\"{route}\""))
                    && !name.contains("class=\"session\"")
            })
            .map(|it| it.1)
            .sum();
        // WAIT and the like are commands of the route, too, and no reads or writes.
        assert_eq!(told, calls as f64, "{route}");
    }
}

#[test]
fn histograms_are_whole() {
    let site = busy();
    let (values, kinds) = samples(&site.get("/metrics").body);
    let mut seen = 0;
    for (name, count) in &values {
        let Some((metric, labels)) = name.split_once("_count") else { continue };
        if kinds.get(metric).map(String::as_str) != Some("histogram") {
            continue;
        }
        seen += 1;
        let labels = labels.trim_matches(['{', '}']);
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket =
            |edge: &str| values.get(&format!("{metric}_bucket{{{labels}{comma}le=\"{edge}\"}}"));
        assert_eq!(bucket("+Inf"), Some(count), "{name}");
        let edges = values.iter().filter(|it| {
            it.0.starts_with(&format!("{metric}_bucket{{{labels}{comma}le="))
                && !it.0.contains("Inf")
        });
        assert!(edges.map(|it| it.1).all(|it| it <= count), "{name}");
    }
    assert!(5 < seen, "{seen}");
}

#[test]
fn no_label_holds_a_key_or_a_client() {
    let site = Site::with("", "");
    let mut wire = site.server.dial();
    ok(&mut wire, "CLIENT SETNAME a-client-of-ours");
    ok(&mut wire, "SET secret-key secret-value");
    wire.ask("GET secret-key");
    wire.ask("NOSUCHCOMMAND secret-word");
    let text = site.get("/metrics").body;
    for word in ["secret", "a-client-of-ours", "127.0.0.1", "nosuch"] {
        assert!(!text.to_lowercase().contains(word), "{word}");
    }
}

/// Names of metrics in a text, without what Prometheus adds to those of histograms.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let ours = words.filter(|it| it.starts_with("entourage_"));
    ours.map(|it| {
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| it.strip_suffix(end));
        bare.unwrap_or(it).to_owned()
    })
    .collect()
}

#[test]
fn the_board_and_the_rules_name_metrics_that_there_are() {
    let known: BTreeSet<&str> = entourage::commands::metrics().map(|it| it.name).collect();
    for (file, text) in [("grafana.json", GRAFANA), ("alerts.yml", ALERTS)] {
        let named = named(text);
        assert!(8 < named.len(), "{file}: {named:?}");
        for name in named {
            assert!(known.contains(name.as_str()), "{file} names {name}");
        }
    }
    let board: serde_json::Value = serde_json::from_str(GRAFANA).expect("it is JSON");
    assert!(20 < board["panels"].as_array().unwrap().len());
}

#[test]
fn every_metric_told_is_of_the_catalogue() {
    let site = busy();
    let (_, kinds) = samples(&site.get("/metrics").body);
    let known: BTreeMap<&str, &str> =
        entourage::commands::metrics().map(|it| (it.name, it.kind.as_str())).collect();
    for (name, kind) in &kinds {
        assert_eq!(known.get(name.as_str()), Some(&kind.as_str()), "{name}");
    }
    assert!(45 < kinds.len(), "{}", kinds.len());
}

/// A program that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn redis_exporter_reads_us_as_it_reads_redis() {
    let ours = busy();
    let theirs = Server::redis(&[]);
    let mut wire = theirs.dial();
    ok(&mut wire, "SET k v EX 100");
    wire.ask("GET k");
    let names = |port: u16| -> BTreeMap<String, f64> {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("prometheus-redis-exporter");
        command.arg(format!("-redis.addr=redis://127.0.0.1:{port}"));
        command.arg(format!("-web.listen-address={listen}"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            Ending(command.spawn().expect("redis_exporter is here: tests/run.sh installs it"));
        let mut log = BufReader::new(child.0.stderr.take().unwrap());
        let mut line = String::new();
        let mut text = String::new();
        until("redis_exporter to answer", || {
            let mut socket = TcpStream::connect(listen).ok()?;
            write!(socket, "GET /metrics HTTP/1.0\r\n\r\n").ok()?;
            text.clear();
            socket.read_to_string(&mut text).ok()
        });
        drop(child);
        // What it could not read it logs.
        while log.read_line(&mut line).is_ok_and(|it| it != 0) {}
        assert!(!line.to_lowercase().contains("level=error"), "{line}");
        let body = text.split_once("\r\n\r\n").expect("a head and a body").1;
        samples(body).0
    };
    let (ours, theirs) = (names(ours.server.port()), names(theirs.port()));
    assert_eq!((ours["redis_up"], theirs["redis_up"]), (1.0, 1.0));
    assert_eq!(ours["redis_exporter_last_scrape_error{err=\"\"}"], 0.0);
    assert_eq!(ours["redis_db_keys{db=\"db0\"}"], 101.0);
    let bare = |all: &BTreeMap<String, f64>| -> BTreeSet<String> {
        let name = |it: &String| it.split('{').next().unwrap().to_owned();
        all.keys().map(name).filter(|it| it.starts_with("redis_")).collect()
    };
    let missing: Vec<String> = bare(&theirs).difference(&bare(&ours)).cloned().collect();
    assert!(missing.is_empty(), "a redis has these, too: {missing:?}");
}
