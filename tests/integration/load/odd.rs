//! What goes wrong at a target while it is loaded is told, and ends in the right exit code.

use super::{file, load, redis_with_replica, shown, taken};
use crate::support::tls::HOST;
use crate::support::{Authority, Server, info_field, until};

#[test]
fn what_is_wrong_with_the_other_target_of_a_comparison_counts() {
    let server = Server::redis(&[]);
    let full = Server::redis(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let other = format!("127.0.0.1:{}", full.port());
    let flags = ["--compare", &other, "--command", "SET {key} {value}", "--duration", "1600ms"];
    let output = load(&server, &flags);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("nothing to compare") && text.contains("8 pairs left out"), "{text}");
    assert!(text.contains(&format!("{other}: errors: OOM ")), "{text}");
    assert!(text.contains(&format!("{other}: no request was answered well: OOM")), "{text}");
}

#[test]
fn a_pause_is_undone_though_the_run_ends_first() {
    let server = Server::entourage(&[]);
    let short = ["--duration", "400ms", "--rate", "200"];
    let output = load(&server, &[&short[..], &["--fault", "100ms pause n2 for 60s"]].concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("pause n2: +OK") && text.contains("resume n2: +OK"), "{text}");
    let output = load(&server, &[&short[..], &["--fault", "100ms failover"]].concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(": failover n") && text.contains(": +OK"), "{text}");
    for (fault, why) in [
        ("400ms cut", "fault: cut at 0.4 s: the run ends after 0.4 s"),
        ("random pause n9", "fault: pause n9 is refused: -NOSUCHMEMBER"),
    ] {
        let output = load(&server, &[&short[..], &["--fault", fault]].concat());
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(shown(&output).contains(why), "{}", shown(&output));
    }
}

#[test]
fn what_a_stall_kept_from_being_sent_counts_as_late() {
    let server = Server::redis(&["--enable-debug-command", "yes"]);
    let path = file("stalled.json");
    let json = path.display().to_string();
    let output = std::thread::scope(|scope| {
        let mut wire = server.dial();
        scope.spawn(move || {
            until("the load to be there", || {
                let clients = info_field(&mut wire, "clients", "connected_clients");
                clients.filter(|it| 50 < it.parse::<u32>().unwrap_or(0))
            });
            wire.ask("DEBUG SLEEP 3");
        });
        load(&server, &["--rate", "1000", "--duration", "2s", "--json", &json])
    });
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("the target stalled until the end: "), "{text}");
    assert!(text.contains("\nall that was due "), "{text}");
    let told: serde_json::Value = serde_json::from_str(&taken(&path)).expect("it is JSON");
    let not_sent = told["not_sent"].as_u64().expect("a number");
    let counts = ["all", "all_due"].map(|it| told[it]["requests"].as_u64().expect("a number"));
    assert_eq!(counts[0] + not_sent, counts[1], "{text}");
    // Nearly all were due while nothing was answered.
    let late = told["all_due"]["latency_ns"]["p99"].as_u64().expect("a number");
    assert!(500_000_000 < late, "{late} ns: {text}");
}

#[test]
fn a_server_that_is_away_stops_no_requests_to_others() {
    let [master, replica] = redis_with_replica();
    let (path, reads) = (file("away.json"), format!("127.0.0.1:{}", replica.port()));
    let json = path.display().to_string();
    for rate in ["0", "2000"] {
        let other = Server::redis(&[]);
        let gone = format!("127.0.0.1:{}", other.port());
        let output = std::thread::scope(|scope| {
            let mut wire = other.dial();
            scope.spawn(move || {
                until("the load to be there", || {
                    let clients = info_field(&mut wire, "clients", "connected_clients");
                    clients.filter(|it| 50 < it.parse::<u32>().unwrap_or(0))
                });
                std::thread::sleep(std::time::Duration::from_millis(500));
                wire.send_raw(b"SHUTDOWN NOSAVE\r\n");
            });
            let flags = [["--read-from", &reads], ["--read-from", &gone], ["--rate", rate]];
            load(&master, &[&flags.concat()[..], &["--duration", "3s", "--json", &json]].concat())
        });
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(&format!("no connection to {gone}")), "{text}");
        assert!(text.contains(&format!("{gone}: there was no connection at the end")), "{text}");
        let json: serde_json::Value = serde_json::from_str(&taken(&path)).expect("it is JSON");
        let last = json["per_second"].as_array().and_then(|it| it.last()).expect("a second");
        assert!(last["requests"].as_u64().is_some_and(|it| 100 < it), "{rate}: {last} {text}");
        assert!(last["errors"].as_u64().is_some_and(|it| 0 < it), "{rate}: {last} {text}");
    }
}

#[test]
fn a_target_that_speaks_tls_is_loaded_and_checked() {
    let authority = Authority::new();
    let server = Server::entourage_with_config_and(&authority.config(""), &[]);
    let target = format!("{HOST}:{}", server.port());
    let flags = ["--check", "all", "--keys", "500", "--depth", "4", "--duration", "600ms"];
    let flags = [&flags[..], &["--fault", "300ms cut", "--target", &target]].concat();
    let trusted = authority.flags();
    let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
    let output = load(&server, &[&trusted[..], &flags].concat());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(shown(&output).contains("connection lost"), "{}", shown(&output));
    // Its authority is none of the system's.
    let output = load(&server, &[&["--tls"][..], &flags].concat());
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
}
