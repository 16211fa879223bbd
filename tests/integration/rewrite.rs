//! CONFIG REWRITE: what was changed at run time is in the file, and all else is as it was.

use crate::support::{Server, Wire, ok, starts, until};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

const FILE: &str = "\
# Whoever reads this: the front door.
[[listener]]
name = \"main\"
bind = \"127.0.0.1:{port}\"

[server]
maxclients = 50    # few
# timeout = 3

[[route]]          # the only one
name = \"cache\"
keys = \"cache:*\"
level = \"eventual\"
";

fn server() -> (Server, Wire) {
    let server = Server::entourage_with_config_and(FILE, &["--loglevel", "notice"]);
    let wire = server.dial();
    (server, wire)
}

fn path(server: &Server) -> PathBuf {
    server.dir().join("entourage.toml")
}

fn file(server: &Server) -> String {
    fs::read_to_string(path(server)).unwrap()
}

/// A reload finds nothing new, and `check` nothing wrong.
fn comes_to_the_same(server: &Server, wire: &mut Wire) {
    let line = "event=reloaded by=client-";
    let before = server.said().matches(line).count();
    ok(wire, "PROXY RELOAD");
    let said = server.said();
    let reloaded: Vec<&str> = said.lines().filter(|it| it.contains(line)).collect();
    assert_eq!(reloaded.len(), before + 1);
    let last = reloaded[before];
    assert!(last.ends_with("changed=nothing"), "{last}\n{}", file(server));
    let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
    let checked = command.arg("check").arg(path(server)).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn without_a_file_there_is_nothing_to_write() {
    let told = [Server::redis(&[]), Server::entourage(&[])]
        .map(|server| server.dial().ask("CONFIG REWRITE").string());
    assert_eq!(told[0], "ERR The server is running without a config file");
    assert_eq!(told[1], told[0]);
}

#[test]
fn only_what_was_changed_is_written_and_a_reload_changes_nothing() {
    let (server, mut wire) = server();
    let text = file(&server);
    ok(&mut wire, "CONFIG REWRITE");
    assert_eq!(file(&server), text);
    ok(&mut wire, "CONFIG SET maxclients 60 timeout 9 hz 20");
    ok(&mut wire, "CONFIG REWRITE");
    let expected = text.replace("= 50 ", "= 60 ").replace("few\n", "few\ntimeout = \"9s\"\n")
        + "\n[set]\nhz = 20\n";
    assert_eq!(file(&server), expected);
    let written = "event=config-rewritten by=client-";
    let keys = "keys=server.maxclients,server.timeout,set.hz";
    let said = server.said();
    assert!(said.lines().any(|it| it.contains(written) && it.ends_with(keys)), "{said}");
    comes_to_the_same(&server, &mut wire);
    ok(&mut wire, "CONFIG SET maxclients 50 timeout 0");
    ok(&mut wire, "CONFIG REWRITE");
    comes_to_the_same(&server, &mut wire);
    assert_eq!(fs::read_dir(server.dir()).unwrap().count(), 2, "the file, and what was said");
    ok(&mut wire, "MULTI");
    assert_eq!(wire.ask("CONFIG SET timeout 7").string(), "QUEUED");
    assert_eq!(wire.ask("CONFIG REWRITE").string(), "QUEUED");
    assert_eq!(wire.ask("EXEC").list().len(), 2);
    until("the file", || file(&server).contains("timeout = \"7s\"").then_some(()));
}

#[test]
fn a_link_and_permissions_stay_as_they_are() {
    let (server, mut wire) = server();
    let real = server.dir().join("real.toml");
    fs::rename(path(&server), &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.toml", path(&server)).unwrap();
    ok(&mut wire, "CONFIG SET requirepass secret");
    ok(&mut wire, "CONFIG REWRITE");
    assert!(fs::symlink_metadata(path(&server)).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("requirepass = \"secret\""));
}

#[test]
fn what_somebody_else_has_written_is_never_lost() {
    let (server, mut wire) = server();
    ok(&mut wire, "CONFIG SET maxclients 60");
    let refused = |wire: &mut Wire, text: &str, why: &str| {
        server.write_config(text);
        let before = file(&server);
        let told = wire.ask("CONFIG REWRITE").string();
        assert!(told.starts_with("ERR Rewriting config file: entourage.toml"), "{told}");
        assert!(told.contains(why), "{told}");
        assert_eq!(file(&server), before);
    };
    refused(&mut wire, &FILE.replace("few", "few\nbroken"), "entourage.toml:8: ");
    let both = "server.maxclients was changed by CONFIG SET and in the file since it was read";
    refused(&mut wire, &FILE.replace("= 50 ", "= 70 "), both);
    refused(&mut wire, &FILE.replace("maxclients", "# maxclients"), both);
    // Another key: both are kept.
    server.write_config(&FILE.replace("# timeout = 3", "timeout = 3").replace("cache:*", "c:*"));
    ok(&mut wire, "CONFIG REWRITE");
    let merged = file(&server);
    assert!(merged.contains("= 60 ") && merged.contains("\ntimeout = 3\n"), "{merged}");
    assert!(merged.contains("\"c:*\""), "{merged}");
    ok(&mut wire, "PROXY RELOAD");
    assert_eq!(wire.ask("CONFIG GET timeout").list()[1].string(), "3");
    comes_to_the_same(&server, &mut wire);
    fs::remove_file(path(&server)).unwrap();
    ok(&mut wire, "CONFIG SET maxclients 61");
    starts(&wire.ask("CONFIG REWRITE"), "ERR Rewriting config file: entourage.toml: No such file");
}

#[test]
fn what_no_file_may_say_is_not_written() {
    let (server, mut wire) = server();
    let before = file(&server);
    ok(&mut wire, "CONFIG SET min-replicas-to-write 3");
    let told = wire.ask("CONFIG REWRITE").string();
    let why = "set.min-replicas-to-write = 3 with set.replicas = 2 refuses every write";
    assert!(told.contains("cannot be in a file") && told.contains(why), "{told}");
    assert_eq!(file(&server), before);
    ok(&mut wire, "CONFIG SET min-replicas-to-write 2");
    ok(&mut wire, "CONFIG REWRITE");
    comes_to_the_same(&server, &mut wire);
}

#[test]
fn members_that_came_and_went_are_written() {
    let (server, mut wire) = server();
    assert_eq!(wire.ask("PROXY NODE ADD NAME reports TAG slow DEDICATED").string(), "reports");
    ok(&mut wire, "CONFIG REWRITE");
    let table = "[[member]]\nname = \"reports\"\ntags = [\"slow\"]\ndedicated = true\n";
    assert!(file(&server).contains(table), "{}", file(&server));
    comes_to_the_same(&server, &mut wire);
    ok(&mut wire, "PROXY NODE reports REMOVE");
    ok(&mut wire, "CONFIG REWRITE");
    assert!(!file(&server).contains("reports"), "{}", file(&server));
    comes_to_the_same(&server, &mut wire);
    ok(&mut wire, "PROXY NODE n2 REMOVE");
    let told = wire.ask("CONFIG REWRITE").string();
    assert!(told.contains("the member name `n3` is kept for the third member"), "{told}");
}

#[test]
fn a_flag_that_wins_over_what_was_written_is_told_of() {
    let (server, mut wire) = server();
    ok(&mut wire, "CONFIG SET loglevel verbose");
    ok(&mut wire, "CONFIG REWRITE");
    let overruled = "event=config-rewrite-overruled key=server.loglevel why=a flag says otherwise";
    assert!(server.said().contains(overruled), "{}", server.said());
    assert!(file(&server).contains("loglevel = \"verbose\""));
}

#[test]
fn whatever_was_set_is_written_and_read_back() {
    let (server, mut wire) = server();
    let mut random = 7_u64;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (random >> 33) % limit
    };
    for _ in 0..30 {
        for _ in 0..=below(4) {
            let number = below(100_000);
            let mb = 1 << 20;
            let (name, value) = match below(14) {
                0 => ("maxclients", (100 + number % 100).to_string()),
                1 => ("timeout", number.to_string()),
                2 => ("tcp-keepalive", format!("{number}ms")),
                3 => ("shutdown-timeout", format!("{number}us")),
                4 => ("requirepass", String::new()),
                5 => ("client-output-buffer-limit", format!("pubsub {number}kb {number} 7")),
                6 => ("client-output-buffer-limit", format!("slave {number} 0 {}", number % 60)),
                7 => ("proto-max-bulk-len", (mb + number).to_string()),
                8 => ("slowlog-log-slower-than", (number as i64 - 1).to_string()),
                9 => ("latency-tracking", ["yes", "no"][number as usize % 2].to_owned()),
                10 => ("latency-tracking-info-percentiles", format!("{} 99.9", number % 99)),
                11 => ("repl-backlog-size", (mb + number).to_string()),
                12 => ("min-replicas-max-lag", format!("{number}ms")),
                _ => ("set-max-intset-entries", number.to_string()),
            };
            let set = wire.cmd(&["CONFIG", "SET", name, &value]);
            assert_eq!(set.string(), "OK", "{name} {value}");
        }
        ok(&mut wire, "CONFIG REWRITE");
        comes_to_the_same(&server, &mut wire);
    }
    let text = file(&server);
    assert_eq!(text.matches('#').count(), FILE.matches('#').count(), "{text}");
}
