//! What operators write: files, flags, Redis' names, and how each is answered by the real binary.

use crate::support::{Server, Wire, info_field, ok, starts, until};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_entourage");

/// Exit code, and what was said.
fn run(server: &Server, args: &[&str]) -> (i32, String) {
    let made = Command::new(BINARY).args(args).current_dir(server.dir()).output();
    let Output { status, stdout, stderr } = made.unwrap();
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    (status.code().unwrap(), text)
}

const FOOLISH: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n\
                       [consistency]\nacks = 50\n";
const WARNING: &str = "entourage.toml:5: consistency.acks = 50 is more than the 2 replicas there";

#[test]
fn what_is_foolish_is_told_by_check_at_the_start_and_by_a_reload() {
    let server = Server::entourage_with_config(FOOLISH);
    let logged = format!("event=config-warning why={WARNING}");
    until("the warning", || server.said().contains(&logged).then_some(()));
    let (code, text) = run(&server, &["check", "entourage.toml"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("warning: {WARNING}")), "{text}");
    assert!(text.ends_with("entourage.toml: sound, with one warning\n"), "{text}");
    let (code, strict) = run(&server, &["check", "--strict", "entourage.toml"]);
    assert_eq!((code, strict), (3, text));
    assert_eq!(server.dial().ask("PROXY RELOAD").string(), "OK");
    assert_eq!(server.said().matches(&logged).count(), 2, "{}", server.said());

    fs::write(server.dir().join("good.toml"), "[consistency]\nacks = 2\n").unwrap();
    let sound = (0, "good.toml: sound\n".to_owned());
    assert_eq!(run(&server, &["check", "good.toml", "--strict"]), sound);
    let bad = "[[route]]\nname = \"a\"\ncommands = [\"gett\"]\n";
    fs::write(server.dir().join("bad.toml"), bad).unwrap();
    let (code, text) = run(&server, &["check", "bad.toml"]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("bad.toml:3: route.commands = \"gett\" is not accepted; write"),
        "{text}"
    );
    let good = bad.replace("gett", "wait\", \"object|freq\", \"proxy");
    fs::write(server.dir().join("bad.toml"), good).unwrap();
    assert_eq!(run(&server, &["check", "bad.toml", "--strict"]).0, 0);
}

#[test]
fn the_examples_are_sound_and_sensible() {
    let server = Server::entourage(&[]);
    for name in ["entourage", "routes", "upstream", "sentinel"] {
        let path = format!("{}/config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let (code, text) = run(&server, &["check", "--strict", &path]);
        assert_eq!(code, 0, "{text}");
    }
}

#[test]
fn who_starts_reads_that_nothing_is_kept_and_who_is_reachable_without_a_password_is_warned() {
    let text = "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[[listener]]\nbind = \"*:0\"\n";
    let server = Server::entourage_with_config_and(text, &["--loglevel", "notice"]);
    let said = server.said();
    let lost = "event=in-memory why=nothing is written to disk: a restart loses everything";
    assert_eq!(said.matches(lost).count(), 1, "{said}");
    let open = "event=config-warning why=entourage.toml:4: listener.bind = \"*:0\" listens at \
                0.0.0.0:0, and clients from other machines are refused: there is no password";
    assert!(said.contains(open), "{said}");
}

#[test]
fn every_name_that_redis_knows_is_known() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let names = |server: &Server| -> BTreeSet<String> {
        let told = server.dial().ask("CONFIG GET *").list().to_vec();
        told.chunks(2).map(|it| it[0].string()).collect()
    };
    let (theirs, known) = (names(&redis), names(&ours));
    assert!(190 < theirs.len(), "{}", theirs.len());
    let missing: Vec<&String> = theirs.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let mut wire = ours.dial();
    for name in &theirs {
        let told = wire.cmd(&["CONFIG", "GET", name]);
        assert_eq!(told.list().len(), 2, "{name}");
    }
}

#[test]
fn a_setting_that_would_do_nothing_is_not_taken() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let refused = |wire: &mut Wire, words: &str, why: &str| {
        let told = wire.ask(&format!("CONFIG SET {words}")).string();
        assert!(told.starts_with("ERR CONFIG SET failed") && told.ends_with(why), "{told}");
    };
    refused(&mut wire, "replica-ignore-maxmemory no", "and what is large is freed apart");
    refused(&mut wire, "appendonly yes", "names no directory, so nothing is written to disk");
    ok(&mut wire, "CONFIG SET maxmemory-policy noeviction");
    ok(&mut wire, "CONFIG SET appendonly no");
    ok(&mut wire, "SET k v");
    starts(&wire.ask("OBJECT FREQ k"), "ERR An LFU maxmemory policy is not selected");
    let told = wire.ask("INFO persistence").string();
    let never = ["rdb_last_save_time:0", "rdb_last_bgsave_status:never", "rdb_saves:0"];
    assert!(never.iter().all(|it| told.lines().any(|line| line == *it)), "{told}");
}

#[test]
fn a_file_says_what_was_at_the_start_or_what_node_add_has_made_of_it() {
    let head = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n[set]\n";
    let with = |replicas: usize| format!("{head}replicas = {replicas}\n");
    let server = Server::entourage_with_config(&with(2));
    let mut wire = server.dial();
    assert_eq!(wire.ask("PROXY NODE ADD").string(), "n4");
    assert_eq!(wire.ask("PROXY RELOAD").string(), "OK");
    server.write_config(&with(3));
    assert_eq!(wire.ask("PROXY RELOAD").string(), "OK");
    let route = "[[route]]\nname = \"r\"\nmembers = \"n4\"\n";
    server.write_config(&format!("{}{route}", with(3)));
    assert_eq!(wire.ask("PROXY RELOAD").string(), "OK");
    server.write_config(&with(4));
    let why = "RELOADFAILED entourage.toml: set.replicas = 4 needs a restart: it is 3 now";
    starts(&wire.ask("PROXY RELOAD"), why);
    assert_eq!(wire.ask("PROXY NODE n4 REMOVE FORCE").string(), "OK", "a route names it");
    server.write_config(&with(2));
    assert_eq!(wire.ask("PROXY RELOAD").string(), "OK");
}

#[test]
fn a_signal_that_means_nothing_here_is_a_line_and_not_the_end() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    for name in ["USR1", "USR2"] {
        let sent = Command::new("kill").args(["-s", name, &server.pid().to_string()]).status();
        assert!(sent.unwrap().success());
        let line = format!("event=signal name=SIG{name} action=none");
        until("the line", || server.said().contains(&line).then_some(()));
    }
    assert_eq!(wire.ask("PING").string(), "PONG");
}

#[test]
fn redis_flags_and_names_of_hosts_start_the_server() {
    let server = Server::entourage(&[]);
    let (code, text) = run(&server, &["--port", "65536"]);
    assert_eq!(code, 2, "{text}");
    let (code, text) = run(&server, &["--bind", "no-such-host.invalid:1"]);
    assert_eq!((code, text.contains("is not accepted; write an address or a name")), (2, true));
    let taken = server.port().to_string();
    for flags in [["--bind", "localhost", "--port", &taken], ["--port", &taken, "--threads", "1"]] {
        let (code, text) = run(&server, &flags);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(&format!("cannot listen at 127.0.0.1:{taken}")), "{text}");
    }
}

/// Each topology's example starts and serves, but for where it listens and whom it follows.
#[test]
fn the_example_of_each_topology_starts() {
    let master = Server::redis(&[]);
    for name in ["wire-replicas", "following", "watched-by-sentinel", "three-machines"] {
        let file = format!("{}/config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).expect("the example is there");
        let text = text.replace("127.0.0.1:6379", "127.0.0.1:{port}");
        let text = text.replace("127.0.0.1:6380", &format!("127.0.0.1:{}", master.port()));
        let server = Server::entourage_with_config(&text);
        let mut wire = server.dial();
        let done = crate::support::until("a write", || {
            let reply = wire.ask("SET k v").string();
            (!reply.starts_with("MASTERDOWN")).then_some(reply)
        });
        assert_eq!(done, "OK", "{name}");
        assert_eq!(wire.ask("GET k").string(), "v", "{name}");
    }
}

/// The file says another master, or none: as REPLICAOF would. What REPLICAOF has said stays while
/// the file says what it said before.
#[test]
fn a_reload_follows_the_master_that_the_file_names() {
    let masters = [Server::redis(&[]), Server::redis(&[])];
    let text =
        |master: &str| format!("[[listener]]\nbind = \"127.0.0.1:{{port}}\"\n[set]\n{master}");
    let of = |it: &Server| format!("master = \"redis://127.0.0.1:{}\"\n", it.port());
    let server = Server::entourage_with_config(&text(""));
    let mut wire = server.dial();
    let follows = |wire: &mut Wire, master: &Server| {
        let port = master.port().to_string();
        until("the link", || {
            let field = |wire: &mut Wire, name| info_field(wire, "replication", name);
            let is_it = field(wire, "master_port")? == port;
            (is_it && field(wire, "master_link_status")? == "up").then_some(())
        });
    };
    for master in &masters {
        server.write_config(&text(&of(master)));
        ok(&mut wire, "PROXY RELOAD");
        follows(&mut wire, master);
        // As after a start with this file, writes are forwarded.
        ok(&mut wire, &format!("SET port {}", master.port()));
        assert_eq!(master.dial().ask("GET port").string(), master.port().to_string());
    }
    let other = &masters[0];
    ok(&mut wire, &format!("REPLICAOF 127.0.0.1 {}", other.port()));
    follows(&mut wire, other);
    ok(&mut wire, "PROXY RELOAD");
    follows(&mut wire, other);
    server.write_config(&text(&format!("master = \"127.0.0.1:{}\"\n", server.port())));
    let told = wire.ask("PROXY RELOAD").string();
    assert!(told.contains("set.master: it is this server itself"), "{told}");
    follows(&mut wire, other);
    server.write_config(&text(""));
    server.hang_up();
    until("the role", || (info_field(&mut wire, "replication", "role")? == "master").then_some(()));
}
