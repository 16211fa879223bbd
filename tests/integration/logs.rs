//! The log: lines that programs can read, a file that can be rotated, not too many of a kind, and
//! nothing in it that nobody should know.

use crate::support::on_disk::Dir;
use crate::support::{Server, info_field, ok, starts, until, words};
use rustix::fs::OFlags;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

const LISTENER: &str = "[[listener]]\nname = \"main\"\nbind = \"127.0.0.1:{port}\"\n";

fn server(settings: &str) -> Server {
    let text = format!("{LISTENER}[server]\nlogfile = \"e.log\"\n{settings}");
    Server::entourage_with_config_and(&text, &[])
}

fn written(server: &Server, file: &str) -> String {
    fs::read_to_string(server.dir().join(file)).unwrap_or_default()
}

/// The lines of a log of JSON; each must be one object.
fn objects(text: &str) -> Vec<Value> {
    let object = |it: &str| -> Value {
        serde_json::from_str(it).unwrap_or_else(|why| panic!("{why}: {it}"))
    };
    text.lines().map(object).collect()
}

/// Waits for a line about this event.
fn line(server: &Server, event: &str) -> Value {
    until(event, || {
        let text = written(server, "e.log");
        let whole = text.rsplit_once('\n').map_or("", |it| it.0);
        objects(whole).into_iter().find(|it| it["event"] == event)
    })
}

#[test]
fn lines_of_json_say_who_it_was_and_no_secret() {
    let settings = "log-format = \"json\"\n\
                    slowlog-log-slower-than = 0\nenable-debug-command = \"local\"\n";
    let server = server(settings);
    ok(&mut server.dial(), "CONFIG SET requirepass s3cret-one");
    let mut wire = server.dial();
    starts(&wire.ask("AUTH s3cret-wrong"), "WRONGPASS");
    starts(&wire.ask("AUTH s3cret-user s3cret-wrong"), "WRONGPASS");
    ok(&mut wire, "AUTH s3cret-one");
    let id = wire.ask("CLIENT ID").int().unwrap();
    starts(&wire.ask("CONFIG SET maxclients s3cret-number"), "ERR CONFIG SET failed");
    ok(&mut wire, "CONFIG SET requirepass s3cret-two");
    ok(&mut wire, "SET s3cret-key s3cret-value");
    starts(&wire.ask("DEBUG PANIC"), "ERR internal error");

    let login = line(&server, "login-failed");
    assert_eq!((&login["client"], &login["severity"]), (&id.into(), &"warn".into()));
    assert_eq!(login["user"], "default");
    assert!(login["addr"].as_str().unwrap().starts_with("127.0.0.1:"), "{login}");
    assert!(login["time"].as_str().unwrap().ends_with('Z'), "{login}");
    let refused = line(&server, "config-refused");
    assert_eq!((&refused["client"], &refused["by"]), (&id.into(), &"CONFIG-SET".into()));
    assert!(refused["why"].as_str().unwrap().contains("'maxclients'"), "{refused}");
    let set = line(&server, "config-set");
    assert_eq!((&set["names"], &set["user"]), (&"requirepass".into(), &"default".into()));
    let slow = line(&server, "slow-command");
    assert!(slow["client"].is_u64() && slow["us"].is_u64() && slow["command"].is_string());
    let panicked = line(&server, "panicked");
    assert!(panicked["why"].as_str().unwrap().starts_with("DEBUG PANIC"), "{panicked}");
    assert_eq!(line(&server, "panic")["action"], "quarantine");

    server.write_config("[server]\nmaxclients = \"no\"\nrequirepass = \"s3cret-three\"\n");
    server.hang_up();
    let refused = line(&server, "reload-refused");
    assert!(refused["why"].as_str().unwrap().contains("entourage.toml:2: server.maxclients"));
    starts(&wire.ask("PROXY RELOAD"), "RELOADFAILED");
    let text = written(&server, "e.log");
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(server.said(), "", "it has a file");
}

#[test]
fn the_form_changes_while_it_runs() {
    let server = server("");
    let mut wire = server.dial();
    let has = |part: &str| written(&server, "e.log").contains(part).then_some(());
    ok(&mut wire, "CONFIG SET maxclients 100");
    until("a line of text", || has(" INFO  entourage::commands::verbs::config] event=config-set "));
    ok(&mut wire, "CONFIG SET log-format json");
    ok(&mut wire, "CONFIG SET maxclients 101");
    until("a line of JSON", || has("\"event\":\"config-set\""));
    assert_eq!(wire.ask("CONFIG GET log*").list().len(), 6, "{}", wire.ask("CONFIG GET log*"));
    starts(&wire.ask("CONFIG SET logfile other.log"), "ERR CONFIG SET failed");
    starts(&wire.ask("CONFIG SET log-format xml"), "ERR CONFIG SET failed");
}

#[test]
fn hanging_up_opens_the_file_anew() {
    let server = server("");
    until("the first lines", || written(&server, "e.log").contains("event=start ").then_some(()));
    fs::rename(server.dir().join("e.log"), server.dir().join("e.log.1")).unwrap();
    ok(&mut server.dial(), "CONFIG SET maxclients 100");
    until("a line in the old file", || {
        written(&server, "e.log.1").contains("event=config-set ").then_some(())
    });
    assert_eq!(written(&server, "e.log"), "");
    server.hang_up();
    until("a line in the new file", || {
        written(&server, "e.log").contains("event=reloaded ").then_some(())
    });
    assert!(!written(&server, "e.log.1").contains("event=reloaded"), "the old one is left alone");
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let dir = Dir::new();
    let path = dir.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = fs::File::options();
    let pipe = options.read(true).write(true).custom_flags(nonblocking).open(&path);
    let mut pipe = pipe.unwrap();
    let text = format!("{LISTENER}[server]\nlogfile = {:?}\n", path.display().to_string());
    let server = Server::entourage_with_config_and(&text, &[]);
    let mut wire = server.dial();
    while pipe.write(b"\n").is_ok() {}
    for count in 100..150 {
        ok(&mut wire, &format!("CONFIG SET maxclients {count}"));
        ok(&mut server.dial(), "SET k v");
    }
    let mut read = Vec::new();
    until("all lines", || {
        // All that is there is read: then there is nothing yet.
        let _ = pipe.read_to_end(&mut read);
        let told = String::from_utf8_lossy(&read);
        (told.lines().filter(|it| it.contains("event=config-set ")).count() == 50).then_some(())
    });
}

#[test]
fn a_log_that_cannot_be_written_is_refused_at_the_start() {
    let server = Server::entourage(&[]);
    let text = "[server]\nlogfile = \"no/such/place.log\"\n[[listener]]\nbind = \"127.0.0.1:0\"\n";
    fs::write(server.dir().join("bad.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
    let done = command.args(["serve", "--config", "bad.toml"]).current_dir(server.dir()).output();
    let done = done.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write the log no/such/place.log"), "{said}");
}

#[test]
fn a_kind_has_so_many_lines_a_second_and_what_is_left_out_is_counted() {
    const TIMES: usize = 3000;
    let server = server("log-format = \"json\"\n");
    let mut wire = server.dial();
    let sets = vec![words(&["CONFIG", "SET", "maxclients", "100"]); TIMES];
    assert_eq!(wire.pipeline(&sets).len(), TIMES);
    let (lines, left_out) = until("all of them, written or counted", || {
        let text = written(&server, "e.log");
        let all = objects(text.rsplit_once('\n')?.0);
        let lines = all.iter().filter(|it| it["event"] == "config-set").count();
        let told = all
            .iter()
            .filter(|it| it["event"] == "log-lines-left-out" && it["kind"] == "config-set");
        let left_out: u64 = told.map(|it| it["count"].as_u64().unwrap()).sum();
        (lines + left_out as usize == TIMES).then_some((lines, left_out))
    });
    assert!(100 <= lines && 0 < left_out, "{lines} {left_out}");
    assert_eq!(info_field(&mut wire, "server", "redis_mode").as_deref(), Some("standalone"));
}

/// Texts of Rust files below `dir`.
fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|it| it == "rs") {
            all.push(fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_line_names_its_event_and_every_kind_that_is_kept_is_written_somewhere() {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let mut events = BTreeSet::new();
    for text in &texts {
        for rest in text.split("event=").skip(1) {
            let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
            events.insert(rest.split(|it| !is_plain(it)).next().unwrap().to_owned());
        }
        for call in ["error!(", "warn!(", "info!(", "debug!("] {
            for rest in text.split(&format!("log::{call}")).skip(1) {
                let first = rest.trim_start();
                assert!(first.starts_with("\"event="), "a line without an event: {:.60}", first);
            }
        }
    }
    for kind in entourage::state::KEPT {
        assert!(events.contains(*kind), "nobody writes event={kind}");
    }
    assert!(60 < events.len(), "{events:?}");
    for reserved in ["time", "severity", "target", "message"] {
        let named = texts.iter().filter(|it| it.contains(&format!(" {reserved}={{")));
        let of_log = named.filter(|it| it.contains("event="));
        assert_eq!(of_log.count(), 0, "{reserved} is a name of every line of JSON");
    }
}
