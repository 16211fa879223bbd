//! What operators are told of, by the real binary: raised once, cleared once, wherever the replica is,
//! and whoever is told and hangs.

use crate::support::faulty_disk::{DiskFault, FaultyDisk};
use crate::support::on_disk::Dir;
use crate::support::tls::Authority;
use crate::support::{
    BOTH, Kind, RealSet, Server, Site, Value, Wire, info_field, ok, order, starts, until, words,
};
use rustls::{ServerConnection, StreamOwned};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

const LISTENER: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";

/// A server with these settings of `[alerts]`, and more of a file.
fn server(alerts: &str, more: &str) -> Server {
    let text = format!("{LISTENER}{more}\n[alerts]\n{alerts}\n");
    Server::entourage_with_config_and(&text, &["--loglevel", "notice"])
}

type Fields = HashMap<String, Value>;

fn fields(of: &Value) -> Fields {
    of.list().chunks(2).map(|it| (it[0].string(), it[1].clone())).collect()
}

/// The alert of this name about this member, if it is raised.
fn raised(wire: &mut Wire, alert: &str, member: &str) -> Option<Fields> {
    let all = wire.ask("PROXY ALERTS");
    let is_it = |it: &Fields| it["alert"].string() == alert && it["member"].string() == member;
    all.list().iter().map(fields).find(is_it)
}

fn until_raised(wire: &mut Wire, alert: &str, member: &str) -> Fields {
    until(alert, || raised(wire, alert, member))
}

fn until_cleared(wire: &mut Wire, alert: &str, member: &str) {
    until("its end", || raised(wire, alert, member).is_none().then_some(()));
}

/// The same, while somebody writes.
fn until_raised_by_writes(wire: &mut Wire, alert: &str, member: &str) -> Fields {
    until(alert, || {
        ok(wire, "SET k v");
        raised(wire, alert, member)
    })
}

/// How often PROXY EVENTS tells of an alert's being raised or cleared.
fn told(wire: &mut Wire, event: &str, about: &str) -> usize {
    let events = wire.ask("PROXY EVENTS COUNT 500");
    let is_it =
        |it: &Fields| it["event"].string() == event && it["text"].string().starts_with(about);
    events.list().iter().map(fields).filter(is_it).count()
}

/// Raised once and cleared once, as far as the log knows.
fn once_each(server: &Server, alert: &str, member: &str) {
    let mut wire = server.dial();
    let about = match member {
        "" => format!("alert={alert} "),
        member => format!("alert={alert} member={member} "),
    };
    until("the line of its end", || (told(&mut wire, "alert-cleared", &about) == 1).then_some(()));
    assert_eq!(told(&mut wire, "alert-raised", &about), 1, "{about}");
    for event in ["alert-raised", "alert-cleared"] {
        let line = format!("event={event} {about}");
        assert_eq!(server.said().matches(&line).count(), 1, "{}", server.said());
    }
}

#[test]
fn a_paused_replica_beside_writes_raises_lag_once_and_clears_once() {
    let http = "[http]\nbind = \"127.0.0.1:0\"\n";
    let site = Site::of(server("lag = \"100ms\"", http));
    let mut wire = site.server.dial();
    assert_eq!(wire.ask("PROXY ALERTS").list().len(), 0, "nothing is wrong");
    order(&mut wire, &["n2"], "PAUSE");
    let alert = until_raised_by_writes(&mut wire, "lag", "n2");
    assert!(alert["what"].string().starts_with("n2 (paused) has been behind the master for"));
    assert_eq!((alert["unit"].string(), alert["threshold"].int()), ("us".into(), Some(100_000)));
    assert!(100_000 < alert["worst"].int().unwrap() && 0 < alert["since-ms"].int().unwrap());
    assert!(
        raised(&mut wire, "lag", "n3").is_none() && raised(&mut wire, "lag-bytes", "n2").is_none()
    );

    assert_eq!(info_field(&mut wire, "alerts", "alerts_raised").as_deref(), Some("1"));
    let line = info_field(&mut wire, "alerts", "alert0").unwrap();
    assert!(line.starts_with("name=lag,member=n2,route=,value="), "{line}");
    let metric =
        |is: u8| format!("entourage_alert{{alert=\"lag\",member=\"n2\",route=\"\"}} {is}\n");
    assert!(site.get("/metrics").body.contains(&metric(1)));
    let json = site.json("/api/v1/alerts");
    assert_eq!((&json[0]["alert"], &json[0]["member"]), (&"lag".into(), &"n2".into()));
    assert_eq!(site.json("/api/v1/status")["alerts"][0]["alert"], "lag");

    (0..50).for_each(|_| ok(&mut wire, "SET k v"));
    order(&mut wire, &["n2"], "RESUME");
    until_cleared(&mut wire, "lag", "n2");
    once_each(&site.server, "lag", "n2");
    assert!(site.get("/metrics").body.contains(&metric(0)));
    let events = site.json("/api/v1/events?count=2");
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert_eq!(events[0]["event"], "alert-cleared", "{events}");
    assert!(
        site.json("/api/v1/events").as_array().unwrap().iter().any(|it| it["event"] == "paused")
    );
}

/// The name of the replica on the wire, once it is fed.
fn until_online(wire: &mut Wire) -> String {
    until("the replica", || {
        let nodes = wire.ask("PROXY NODES");
        let named = nodes.list().chunks(2).find(|it| {
            let fields = fields(&it[1]);
            fields["role"].string() == "wire-replica" && fields["feed"].string() == "online"
        });
        named.map(|it| it[0].string())
    })
}

#[test]
fn a_replica_on_the_wire_is_watched_as_hosted_ones_are() {
    let server = server("lag = \"100ms\"\nbacklog-window = 50", "[set]\nreplicas = 0\n");
    let replica = Server::redis(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let mut wire = server.dial();
    let name = until_online(&mut wire);
    replica.freeze();
    let value = "x".repeat(100_000);
    (0..8).for_each(|_| assert_eq!(wire.cmd(&["SET", "k", &value]).string(), "OK"));
    until_raised_by_writes(&mut wire, "lag", &name);
    let window = until_raised(&mut wire, "backlog-window", &name);
    let what = window["what"].string();
    assert!(
        what.contains("of the 1.0 MB that are kept for it: repl-backlog-size 4mb would do"),
        "{what}"
    );
    assert!(70 < window["value"].int().unwrap(), "{what}");
    replica.thaw();
    until_cleared(&mut wire, "lag", &name);
    until_cleared(&mut wire, "backlog-window", &name);
    once_each(&server, "lag", &name);
    once_each(&server, "backlog-window", &name);
}

#[test]
fn a_replica_on_the_wire_that_is_gone_is_not_told_to_have_caught_up() {
    let server = server("lag = \"100ms\"", "[set]\nreplicas = 0\n");
    let replica = Server::redis(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let mut wire = server.dial();
    let name = until_online(&mut wire);
    replica.freeze();
    until_raised_by_writes(&mut wire, "lag", &name);
    replica.crash();
    until_cleared(&mut wire, "lag", &name);
    once_each(&server, "lag", &name);
    let said = server.said();
    let line = said.lines().find(|it| it.contains("event=alert-cleared")).unwrap();
    assert!(line.ends_with(" why=gone") && !line.contains(" value=0 "), "{line}");
}

#[test]
fn a_real_server_is_watched_as_hosted_ones_are() {
    let set = RealSet::new(Kind::Redis, 2, &[]);
    let proxy = set.proxy("[alerts]\nlag = \"2s\"\n");
    let mut wire = proxy.dial();
    set.members[1].freeze();
    let alert = until_raised(&mut wire, "lag", "n2");
    assert!(alert["what"].string().contains("n2 (silent) has been behind"), "{alert:?}");
    assert!(raised(&mut wire, "no-replica-in-service", "").is_none(), "n3 serves");
    set.members[2].freeze();
    until_raised(&mut wire, "no-replica-in-service", "");
    set.members[1].thaw();
    set.members[2].thaw();
    until_cleared(&mut wire, "lag", "n2");
    until_cleared(&mut wire, "no-replica-in-service", "");
    once_each(&proxy, "lag", "n2");
    assert!(raised(&mut wire, "failover", "").is_none(), "the master was there all along");
}

#[test]
fn a_closed_gate_is_told_with_what_it_takes() {
    let gate = "[set]\nmin-replicas-to-write = 2\nmin-replicas-max-lag = \"500ms\"\n";
    let server = server("", gate);
    let mut wire = server.dial();
    order(&mut wire, &["n2"], "PAUSE");
    let alert = until_raised(&mut wire, "gate-closed", "");
    let what = "writes are answered -NOREPLICAS: fewer than 2 replicas are within 500ms";
    assert_eq!(alert["what"].string(), what);
    starts(&wire.ask("SET k v"), "NOREPLICAS");
    order(&mut wire, &["n2"], "RESUME");
    until_cleared(&mut wire, "gate-closed", "");
    once_each(&server, "gate-closed", "");
}

#[test]
fn a_failover_is_told_of_for_a_while() {
    let server = server("", "");
    let mut wire = server.dial();
    // The first check learns who the master is.
    until("a check", || {
        let text = info_field(&mut wire, "alerts", "alerts_raised")?;
        let metrics = wire.ask("PROXY EVENTS").list().len();
        (text == "0" && 0 < metrics).then_some(())
    });
    until("the alert", || {
        let to = if wire.ask("INFO replication").string().contains("master_name:n2") {
            "n1"
        } else {
            "n2"
        };
        starts(&wire.cmd(&["PROXY", "FAILOVER", "TO", to]), "OK");
        raised(&mut wire, "failover", "")
    });
    let alert = until_raised(&mut wire, "failover", "");
    assert!(alert["what"].string().starts_with("the master has changed: it is n"), "{alert:?}");
    ok(&mut wire, "CONFIG SET alerts.failover no");
    until_cleared(&mut wire, "failover", "");
    once_each(&server, "failover", "");
    let failovers = told(&mut wire, "failover", "from=");
    assert!(1 <= failovers, "each is an event, too");
}

#[test]
fn replicas_that_serve_nobody_are_told_of() {
    let server = server("", "");
    let mut wire = server.dial();
    order(&mut wire, BOTH, "DRAIN FORCE");
    let alert = until_raised(&mut wire, "no-replica-in-service", "");
    assert!(alert["what"].string().contains("all reads go to the master"), "{alert:?}");
    order(&mut wire, &["n3"], "UNDRAIN");
    until_cleared(&mut wire, "no-replica-in-service", "");
    once_each(&server, "no-replica-in-service", "");
}

#[test]
fn thresholds_change_while_it_runs() {
    let server = server("lag = 0", "");
    let mut wire = server.dial();
    order(&mut wire, &["n2"], "PAUSE");
    let value = "x".repeat(10_000);
    assert_eq!(wire.cmd(&["SET", "k", &value]).string(), "OK");
    ok(&mut wire, "CONFIG SET alerts.lag-bytes 9kb");
    let alert = until_raised(&mut wire, "lag-bytes", "n2");
    assert_eq!(alert["threshold"].int(), Some(9 << 10));
    assert!(raised(&mut wire, "lag", "n2").is_none(), "0 is never");
    ok(&mut wire, "CONFIG SET alerts.lag-bytes 1gb");
    until_cleared(&mut wire, "lag-bytes", "n2");
    ok(&mut wire, "CONFIG SET alerts.lag-bytes 1kb");
    until_raised(&mut wire, "lag-bytes", "n2");
    ok(&mut wire, "CONFIG SET alerts.lag-bytes 0");
    until_cleared(&mut wire, "lag-bytes", "n2");
    for refused in ["alerts.memory 101", "alerts.command x", "alerts.webhook http://h/", "lag 1"] {
        starts(&wire.ask(&format!("CONFIG SET {refused}")), "ERR");
    }
    assert_eq!(wire.ask("CONFIG GET alerts.memory").list()[1].string(), "85");
    ok(&mut wire, "CONFIG SET alerts.memory 77 alerts.lag 2");
    ok(&mut wire, "CONFIG REWRITE");
    let file = fs::read_to_string(server.dir().join("entourage.toml")).unwrap();
    assert!(file.contains("lag = \"2s\"") && file.contains("memory = 77"), "{file}");
}

#[test]
fn settings_that_do_not_fit_are_told_of() {
    let server = server("", "");
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET repl-timeout 20");
    let alert = until_raised(&mut wire, "repl-timeout", "");
    let what = "repl-timeout is 20s and a ping is sent every 10s: set it to 50s or more";
    assert_eq!(alert["what"].string(), what);
    ok(&mut wire, "CONFIG SET repl-timeout 50");
    until_cleared(&mut wire, "repl-timeout", "");
    once_each(&server, "repl-timeout", "");
}

#[test]
fn a_chain_of_masters_is_told_of() {
    let top = Server::entourage(&[]);
    let below = |above: &Server, wanted: &str| {
        let text = format!("[set]\nmaster = \"127.0.0.1:{}\"\n", above.port());
        let server = server(wanted, &text);
        let mut wire = server.dial();
        until("the link", || {
            (info_field(&mut wire, "replication", "master_link_status")? == "up").then_some(())
        });
        server
    };
    let middle = below(&top, "");
    let last = below(&middle, "");
    let alert = until_raised(&mut last.dial(), "deep-chain", "");
    assert!(alert["what"].string().contains("follows another (1 above it)"), "{alert:?}");
    assert!(raised(&mut middle.dial(), "deep-chain", "").is_none());
}

#[test]
fn a_master_that_is_gone_is_told_of() {
    let above = Server::entourage(&[]);
    let address = format!("127.0.0.1:{}", above.port());
    let server = server("link-down = \"50ms\"", &format!("[set]\nmaster = \"{address}\"\n"));
    let mut wire = server.dial();
    until("the link", || {
        (info_field(&mut wire, "replication", "master_link_status")? == "up").then_some(())
    });
    assert!(raised(&mut wire, "link-down", "").is_none());
    drop(above);
    let alert = until_raised(&mut wire, "link-down", "");
    let begins = format!("the link to the master {address} has been down for ");
    assert!(alert["what"].string().starts_with(&begins), "{alert:?}");
    ok(&mut wire, "REPLICAOF NO ONE");
    until_cleared(&mut wire, "link-down", "");
    once_each(&server, "link-down", "");
}

#[test]
fn replicas_that_are_copied_again_and_again_are_told_of() {
    let server = server("resync-storm = 1", "");
    let mut wire = server.dial();
    let alert = until("the storm", || {
        let name = wire.ask("PROXY NODE ADD").string();
        until("it to serve", || {
            (crate::support::node(&mut wire, &name)["in-service"].to_string() != "0").then_some(())
        });
        starts(&wire.ask(&format!("PROXY NODE {name} REMOVE")), "OK");
        raised(&mut wire, "resync-storm", "")
    });
    assert!(alert["what"].string().ends_with("full resyncs in ten minutes"), "{alert:?}");
}

#[test]
fn stale_reads_are_told_of_by_route() {
    let route = "[[route]]\nname = \"careless\"\nkeys = [\"c:*\"]\non-lag = [\"stale\"]\n";
    let server = server("staleness-p99 = \"20ms\"\nlag = 0", route);
    let mut wire = server.dial();
    order(&mut wire, BOTH, "PAUSE");
    ok(&mut wire, "SET c:1 v");
    let alert = until("the alert", || {
        wire.ask("GET c:1");
        raised(&mut wire, "staleness-p99", "")
    });
    assert_eq!(alert["route"].string(), "careless");
    assert!(alert["what"].string().starts_with("one in a hundred reads of route careless was"));
    ok(&mut wire, "CONFIG SET alerts.staleness-p99 0");
    until_cleared(&mut wire, "staleness-p99", "");
}

#[test]
fn a_disk_that_fails_is_told_of() {
    let (disk, dir) = (FaultyDisk::new(), Dir::new());
    let aof = "appendonly = true\nappendfsync = \"always\"\n";
    let server = disk.ours(&dir, aof);
    let mut wire = server.dial();
    ok(&mut wire, "SET k v");
    until("a check", || (!wire.ask("PROXY EVENTS").list().is_empty()).then_some(()));
    let mut writer = server.dial();
    until("the alert", || {
        disk.begin(DiskFault::Sync);
        writer.send(&[words(&["SET", "k", "v"])]);
        until("the fault", || {
            (info_field(&mut wire, "persistence", "aof_last_write_status")? == "err").then_some(())
        });
        disk.end(DiskFault::Sync);
        until("its end", || {
            (info_field(&mut wire, "persistence", "aof_last_write_status")? == "ok").then_some(())
        });
        writer.read();
        raised(&mut wire, "fsync-late", "")
    });
    assert!(0 < told(&mut wire, "aof-write-failed", ""), "and that was an event");
}

/// A page that takes what is posted, and answers it with `answer`; nothing where that is empty.
struct Page {
    port: u16,
    posts: Receiver<(String, Json)>,
}

impl Page {
    fn new(answer: &'static str) -> Page {
        Page::over(answer, |socket| socket)
    }

    /// One over what is made of each socket.
    fn over<S: Read + Write + Send + 'static>(
        answer: &'static str,
        speak: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> Page {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, posts) = channel();
        // It ends with the test's process.
        thread::spawn(move || {
            let mut open = Vec::new();
            for socket in listener.incoming() {
                let mut socket = speak(socket.unwrap());
                let Some(post) = read_post(&mut socket) else { continue };
                let _ = socket.write_all(answer.as_bytes());
                if answer.is_empty() {
                    open.push(socket);
                }
                if sender.send(post).is_err() {
                    return;
                }
            }
        });
        Page { port, posts }
    }

    fn next(&self) -> (String, Json) {
        until("a post", || self.posts.try_recv().ok())
    }
}

fn read_post(socket: &mut impl Read) -> Option<(String, Json)> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        let count = socket.read(&mut piece).ok().filter(|it| *it != 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(json) = serde_json::from_str(body) {
            return Some((head.to_lowercase(), json));
        }
    }
}

const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// Raises the alert about a timeout, which takes no lag.
fn raise(wire: &mut Wire) {
    ok(wire, "CONFIG SET repl-timeout 20");
    until_raised(wire, "repl-timeout", "");
}

fn clear(wire: &mut Wire) {
    ok(wire, "CONFIG SET repl-timeout 50");
    until_cleared(wire, "repl-timeout", "");
}

#[test]
fn a_webhook_is_posted_what_is_raised_and_what_is_cleared() {
    let page = Page::new(TAKEN);
    let server = server(&format!("webhook = \"http://127.0.0.1:{}/a?b=c\"", page.port), "");
    let mut wire = server.dial();
    raise(&mut wire);
    let (head, json) = page.next();
    assert!(head.starts_with("post /a?b=c http/1.1"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!((&json["alert"], &json["state"]), (&"repl-timeout".into(), &"raised".into()));
    assert_eq!((&json["port"], &json["why"]), (&server.port().into(), &"".into()));
    assert!(json["what"].as_str().unwrap().starts_with("repl-timeout is 20s"), "{json}");
    clear(&mut wire);
    let cleared = page.next().1;
    assert_eq!((&cleared["state"], &cleared["why"]), (&"cleared".into(), &"below".into()));
    until("both to be counted", || {
        (info_field(&mut wire, "alerts", "alerts_delivered")? == "2").then_some(())
    });
    assert_eq!(info_field(&mut wire, "alerts", "alerts_undelivered").as_deref(), Some("0"));
}

#[test]
fn a_webhook_with_tls_is_posted_to_if_its_certificate_is_trusted() {
    let authority = Authority::new();
    let shown = authority.server();
    let page = Page::over(TAKEN, move |socket| {
        StreamOwned::new(ServerConnection::new(shown.clone()).unwrap(), socket)
    });
    let webhook = format!("[alerts]\nwebhook = \"https://localhost:{}/hook\"\n", page.port);
    let text = format!("{LISTENER}{webhook}");
    let trusting = |authority: &Authority| {
        let trusted = format!("SSL_CERT_FILE={}", authority.path("ca.pem"));
        Server::entourage_with_config_under(&text, &[trusted])
    };
    let server = trusting(&authority);
    raise(&mut server.dial());
    let (head, json) = page.next();
    assert!(head.starts_with("post /hook http/1.1"), "{head}");
    assert_eq!(json["alert"], "repl-timeout");
    let doubting = trusting(&Authority::new());
    raise(&mut doubting.dial());
    until("the line", || {
        let line = "event=alert-undelivered by=alert-webhook alert=repl-timeout why=\"invalid peer";
        doubting.said().contains(line).then_some(())
    });
    assert!(page.posts.try_recv().is_err(), "whom nobody trusts is told nothing");
}

#[test]
fn a_webhook_that_hangs_harms_nobody() {
    let page = Page::new("");
    let alerts = format!(
        "webhook = \"http://127.0.0.1:{}/\"\ntimeout = \"1h\"\n\
         command = [\"sh\", \"-c\", \"cat >> told\"]",
        page.port
    );
    let server = server(&alerts, "");
    let mut wire = server.dial();
    raise(&mut wire);
    page.next();
    clear(&mut wire);
    raise(&mut wire);
    let told = || fs::read_to_string(server.dir().join("told")).unwrap_or_default();
    until("the command, three times", || (told().lines().count() == 3).then_some(()));
    assert!(page.posts.try_recv().is_err(), "the second waits for the first");
    ok(&mut wire, "SET k v");
    until("all three to be counted", || {
        (info_field(&mut wire, "alerts", "alerts_delivered")? == "3").then_some(())
    });

    let file = server.dir().join("entourage.toml");
    let text = fs::read_to_string(&file).unwrap().replace("\"1h\"", "\"200ms\"");
    fs::write(file, text).unwrap();
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(server.stop().code(), Some(0), "nor does it keep the process from ending");
}

#[test]
fn a_webhook_that_is_late_is_given_up_and_told_of() {
    let page = Page::new("");
    let alerts = format!("webhook = \"http://127.0.0.1:{}/\"\ntimeout = \"100ms\"", page.port);
    let server = server(&alerts, "");
    let mut wire = server.dial();
    raise(&mut wire);
    until("the line", || {
        let line = "event=alert-undelivered by=alert-webhook alert=repl-timeout why=\"no answer within 100ms\"";
        server.said().contains(line).then_some(())
    });
    assert_eq!(info_field(&mut wire, "alerts", "alerts_undelivered").as_deref(), Some("1"));
}

#[test]
fn a_command_gets_it_as_variables_and_as_json() {
    let script = "cat >> told; echo $ENTOURAGE_ALERT $ENTOURAGE_ALERT_STATE >> told";
    let server = server(&format!("command = [\"sh\", \"-c\", \"{script}\"]"), "");
    let mut wire = server.dial();
    raise(&mut wire);
    clear(&mut wire);
    let lines = until("both", || {
        let text = fs::read_to_string(server.dir().join("told")).ok()?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() == 4 && text.ends_with('\n')).then_some(lines)
    });
    assert_eq!(
        (lines[1].as_str(), lines[3].as_str()),
        ("repl-timeout raised", "repl-timeout cleared")
    );
    let json: Json = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&json["alert"], &json["threshold"]), (&"repl-timeout".into(), &0.into()));
}

#[test]
fn a_command_that_fails_is_told_of() {
    let server = server("command = [\"/no/such/program\"]", "");
    let mut wire = server.dial();
    raise(&mut wire);
    until("the line", || {
        server.said().contains("event=alert-undelivered by=alert-command").then_some(())
    });
}

#[test]
fn events_are_the_newest_first_and_as_many_as_were_asked_for() {
    let server = server("", "");
    let mut wire = server.dial();
    order(&mut wire, &["n2"], "PAUSE");
    order(&mut wire, &["n2"], "RESUME");
    ok(&mut wire, "CONFIG SET maxclients 100");
    let events = wire.ask("PROXY EVENTS COUNT 3");
    let events: Vec<Fields> = events.list().iter().map(fields).collect();
    let kinds: Vec<String> = events.iter().map(|it| it["event"].string()).collect();
    assert_eq!(kinds, ["config-set", "resumed", "paused"]);
    assert_eq!(events[1]["text"].string(), "member=n2");
    let ids: Vec<i64> = events.iter().map(|it| it["id"].int().unwrap()).collect();
    assert!(ids[0] == ids[1] + 1 && ids[1] == ids[2] + 1, "{ids:?}");
    assert_eq!(wire.ask("PROXY EVENTS COUNT 0").list().len(), 0);
    starts(&wire.ask("PROXY EVENTS COUNT -1"), "ERR COUNT");
    starts(&wire.ask("PROXY EVENTS 3"), "ERR syntax error");
}

#[test]
fn events_are_kept_whatever_is_worth_a_line() {
    let text = format!("{LISTENER}[server]\nloglevel = \"warning\"\n");
    let server = Server::entourage_with_config_and(&text, &[]);
    let mut wire = server.dial();
    starts(&wire.ask("PROXY FAILOVER TO n2"), "OK");
    assert_eq!(told(&mut wire, "failover", "from=n1 to=n2"), 1);
    assert!(!server.said().contains("event=failover"), "{}", server.said());
}

/// The built-in alerts and Prometheus' rules are of one mind.
#[test]
fn the_rules_for_prometheus_have_the_same_thresholds() {
    const RULES: &str = include_str!("../../config/alerts.yml");
    let alerts = entourage::config::Alerts::default();
    let mb = alerts.lag_bytes >> 20;
    for part in [
        format!("entourage_member_lag_bytes > {mb} * 1024 * 1024"),
        format!("entourage_member_lag_seconds > {}", alerts.lag.as_secs()),
        format!(
            "rate(entourage_read_staleness_seconds_bucket[5m]))) > {}",
            alerts.staleness_p99.as_secs()
        ),
        format!("increase(entourage_full_resyncs_total[10m]) > {}", alerts.resync_storm),
        // What has no metric of its own everywhere is left to what is measured here.
        "entourage_alert{alert=\"memory\"} == 1".to_owned(),
        "entourage_alert{alert=\"failover\"} == 1".to_owned(),
        "entourage_alert{alert=\"gate-closed\"} == 1".to_owned(),
        "increase(entourage_fsync_late_total[5m]) > 0".to_owned(),
        "entourage_member_in_service".to_owned(),
    ] {
        assert!(RULES.contains(&part), "{part}");
    }
}

#[test]
fn every_alert_has_a_setting_and_a_place_in_the_guide() {
    const GUIDE: &str = include_str!("../../config/docs/alerts.md");
    const FILE: &str = include_str!("../../config/entourage.toml");
    for kind in entourage::state::AlertKind::ALL {
        let name = kind.as_str();
        assert!(GUIDE.contains(&format!("\n| `{name}` | ")), "{name} is not in the guide");
        assert!(FILE.contains(&format!("\n{name} = ")), "{name} is not in the example");
    }
}
