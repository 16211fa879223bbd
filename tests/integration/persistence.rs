//! Data on disk: what was written is there after a restart, and our files and those of real servers
//! are the same files.

use crate::support::on_disk::{
    ALWAYS, AOF, Dir, check_all, check_killed, config, field, fill, ours, redis_on, refused,
    rewrite, until_loaded, valkey_on,
};
use crate::support::{
    Server, Wire, furnish, hold_the_same, info_field, ok, starts, until, until_caught_up, words,
};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};

#[test]
fn an_append_only_file_outlives_its_process_and_real_servers_load_it() {
    let dir = Dir::new();
    let server = ours(&dir, AOF);
    let mut wire = server.dial();
    furnish(&mut wire);
    fill(&mut wire);
    rewrite(&mut wire);
    ok(&mut wire, "SET behind the-rewrite");
    ok(&mut wire, "SET a-null 1 EX 1000");
    let kept = Server::redis(&[]);
    ok(&mut kept.dial(), &format!("REPLICAOF 127.0.0.1 {}", server.port()));
    until_caught_up(&mut kept.dial(), &mut wire);
    ok(&mut kept.dial(), "REPLICAOF NO ONE");
    assert_eq!(server.stop().code(), Some(0));
    check_all(&dir);

    let flags = ["--appendonly", "yes"];
    let (for_redis, for_valkey) = (dir.copy(), dir.copy());
    let redis = redis_on(&for_redis, &flags);
    hold_the_same(&mut kept.dial(), &mut redis.dial());
    if let Some(valkey) = valkey_on(&for_valkey, &flags) {
        hold_the_same(&mut kept.dial(), &mut valkey.dial());
    }
    let again = ours(&dir, AOF);
    hold_the_same(&mut kept.dial(), &mut again.dial());
    // What a real server writes behind that is loaded, too.
    ok(&mut redis.dial(), "SET from-redis 1");
    redis.dial().send(&[words(&["SHUTDOWN", "NOSAVE"])]);
    redis.until_ended();
    let back = ours(&for_redis, AOF);
    ok(&mut again.dial(), "SET from-redis 1");
    hold_the_same(&mut again.dial(), &mut back.dial());
}

#[test]
fn files_of_real_servers_are_loaded() {
    let aof = ["--appendonly", "yes", "--appendfsync", "always"];
    for with_preamble in ["yes", "no"] {
        let flags = [&aof[..], &["--aof-use-rdb-preamble", with_preamble]].concat();
        for is_redis in [true, false] {
            let dir = Dir::new();
            let real = match is_redis {
                true => redis_on(&dir, &flags),
                false => match valkey_on(&dir, &flags) {
                    Some(valkey) => valkey,
                    None => continue,
                },
            };
            let mut wire = real.dial();
            // As commands, real servers write -0 without its sign.
            if with_preamble == "yes" {
                furnish(&mut wire);
            }
            fill(&mut wire);
            starts(&wire.ask("BGREWRITEAOF"), "Background append only file rewriting started");
            until("the rewrite", || {
                (field(&mut wire, "aof_rewrite_in_progress") == "0").then_some(())
            });
            ok(&mut wire, "SET behind the-rewrite");
            ok(&mut wire, "SAVE");
            let (copy, snapshot) = (dir.copy(), dir.copy());
            let server = ours(&copy, AOF);
            hold_the_same(&mut wire, &mut server.dial());
            let server = ours(&snapshot, "");
            hold_the_same(&mut wire, &mut server.dial());
        }
    }
}

#[test]
fn a_file_that_is_switched_on_is_there_when_no_rewrite_is_told_any_more() {
    let dir = Dir::new();
    let server = ours(&dir, "");
    let mut wire = server.dial();
    ok(&mut wire, "CONFIG SET appendonly yes");
    until("the rewrite", || (field(&mut wire, "aof_rewrite_in_progress") == "0").then_some(()));
    assert!(dir.join("appendonlydir/appendonly.aof.manifest").exists());
}

#[test]
fn a_snapshot_outlives_its_process_and_real_servers_load_it() {
    let dir = Dir::new();
    let server = ours(&dir, "save = \"3600 1\"");
    let mut wire = server.dial();
    furnish(&mut wire);
    fill(&mut wire);
    let before = wire.ask("LASTSAVE").int();
    ok(&mut wire, "SAVE");
    assert!(before <= wire.ask("LASTSAVE").int());
    assert_eq!(field(&mut wire, "rdb_changes_since_last_save"), "0");
    ok(&mut wire, "SET behind the-save");
    starts(&wire.ask("BGSAVE"), "Background saving started");
    until("the save", || {
        let is_done = field(&mut wire, "rdb_bgsave_in_progress") == "0";
        (is_done && field(&mut wire, "rdb_saves") == "2").then_some(())
    });
    check_all(&dir);
    let (for_redis, for_valkey) = (dir.copy(), dir.copy());
    let redis = redis_on(&for_redis, &[]);
    hold_the_same(&mut wire, &mut redis.dial());
    if let Some(valkey) = valkey_on(&for_valkey, &[]) {
        hold_the_same(&mut wire, &mut valkey.dial());
    }
    // The end saves, where save points say so.
    ok(&mut wire, "SET at the-end");
    ok(&mut redis.dial(), "SET at the-end");
    assert_eq!(server.stop().code(), Some(0));
    let again = ours(&dir, "");
    hold_the_same(&mut redis.dial(), &mut again.dial());
    let mut wire = again.dial();
    ok(&mut wire, "SET not kept");
    wire.send(&[words(&["SHUTDOWN", "NOSAVE"])]);
    again.until_ended();
    let again = ours(&dir, "save = \"1 1\"");
    hold_the_same(&mut redis.dial(), &mut again.dial());
    ok(&mut again.dial(), "SET kept by-itself");
    let mut wire = again.dial();
    until("a save point", || (field(&mut wire, "rdb_saves") == "1").then_some(()));
    again.crash();
    let last = ours(&dir, "");
    assert_eq!(last.dial().ask("GET kept").string(), "by-itself");
}

#[test]
fn what_was_answered_is_there_after_the_process_was_killed() {
    survives_kills(ALWAYS);
}

/// A worker writes the file before it replies: what a process has written outlives it without any
/// fsync.
#[test]
fn so_it_is_without_an_fsync() {
    survives_kills("appendonly = true\nappendfsync = \"no\"");
}

fn survives_kills(policy: &str) {
    let dir = Dir::new();
    for round in 0..50 {
        let server = ours(&dir, policy);
        let mut wire = server.dial();
        for earlier in 0..round {
            let told = wire.ask(&format!("LLEN round:{earlier}")).int();
            assert!(Some(100) <= told, "round {earlier} has {told:?}");
        }
        let mut pipelined = server.dial();
        let push = |value: &str| words(&["RPUSH", &format!("round:{round}"), value]);
        pipelined.send(&vec![push("x"); 100]);
        if round % 3 == 0 {
            // One may be at work already: parts that come of many restarts are made one.
            let told = wire.ask("BGREWRITEAOF").string();
            assert!(told.contains("Background append only file rewriting"), "{told}");
        }
        for nth in 1..=100 {
            assert_eq!(pipelined.read().int(), Some(nth));
        }
        pipelined.send(&vec![push("y"); 50]);
        server.crash();
        check_killed(&dir.copy());
    }
}

#[test]
fn a_restart_is_a_partial_resync_both_ways() {
    let dir = Dir::new();
    let server = ours(&dir, ALWAYS);
    let port = server.port();
    let mut wire = server.dial();
    fill(&mut wire);
    let replica = Server::redis(&["--repl-backlog-size", "1mb"]);
    let mut redis = replica.dial();
    ok(&mut redis, &format!("REPLICAOF 127.0.0.1 {port}"));
    until_caught_up(&mut redis, &mut wire);
    server.crash();
    // As replicas would without a restart, it comes back by itself.
    let server = Server::entourage_with_config_at(port, &config(&dir, ALWAYS));
    until_loaded(&server);
    let mut wire = server.dial();
    ok(&mut wire, "SET behind the-restart");
    until_caught_up(&mut redis, &mut wire);
    hold_the_same(&mut wire, &mut redis);
    let told = |wire: &mut Wire, name| info_field(wire, "stats", name).unwrap_or_default();
    assert_eq!(told(&mut wire, "sync_partial_ok"), "1");

    // The other way: a set that follows goes on where its file ends.
    let other = Dir::new();
    let follows = format!("{AOF}\nmaster = \"127.0.0.1:{port}\"");
    let follower = ours(&other, &follows);
    until_caught_up(&mut follower.dial(), &mut wire);
    assert_eq!(follower.stop().code(), Some(0));
    ok(&mut wire, "SET while it-was-away");
    let before = told(&mut wire, "sync_partial_ok");
    let follower = ours(&other, &follows);
    until_caught_up(&mut follower.dial(), &mut wire);
    hold_the_same(&mut wire, &mut follower.dial());
    let after = told(&mut wire, "sync_partial_ok");
    assert_eq!(after.parse::<u32>().ok(), before.parse::<u32>().ok().map(|it| it + 1));
}

#[test]
fn a_torn_end_is_cut_off_and_damage_is_refused_with_its_place() {
    let dir = Dir::new();
    let server = ours(&dir, ALWAYS);
    let mut wire = server.dial();
    (0..20).for_each(|it| ok(&mut wire, &format!("SET key:{it} value")));
    server.crash();
    let file = dir.incr();
    let whole = fs::read(&file).expect("it is there");
    fs::write(&file, &whole[..whole.len() - 7]).expect("it is ours");
    let strict = config(&dir, &format!("{AOF}\naof-load-truncated = false"));
    let said = refused(&strict);
    assert!(said.contains("it ends in the middle of the write at byte"), "{said}");
    assert_eq!(fs::read(&file).expect("it is there").len(), whole.len() - 7, "nothing is touched");
    let server = ours(&dir, AOF);
    assert_eq!(server.dial().ask("DBSIZE").int(), Some(19));
    assert!(server.said().contains("event=aof-truncated"), "{}", server.said());
    server.crash();
    let mut damaged = whole.clone();
    let at = whole.len() / 2;
    let at = at + damaged[at..].iter().position(|it| *it == b'*').expect("a command");
    damaged[at] = b'!';
    fs::write(&file, &damaged).expect("it is ours");
    let said = refused(&config(&dir, AOF));
    assert!(said.contains(&format!("expected '*', got '!' at byte {at}")), "{said}");
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let none = Dir::new();
    fs::remove_dir(none.path()).expect("it is ours");
    let said = refused(&config(&none, AOF));
    assert!(said.contains("it cannot be used; make it, or name another"), "{said}");
    let dir = Dir::new();
    let server = ours(&dir, AOF);
    let said = refused(&config(&dir, AOF));
    assert!(said.contains("another process uses it"), "{said}");
    ok(&mut server.dial(), "SET a 1");
    assert_eq!(server.stop().code(), Some(0));
    let base = dir.parts().into_iter().find(|it| it.to_string_lossy().ends_with("base.rdb"));
    fs::remove_file(base.expect("there is one")).expect("it is ours");
    let said = refused(&config(&dir, AOF));
    assert!(said.contains("names what is not there: appendonly.aof.1.base.rdb"), "{said}");
}

#[test]
fn writes_wait_for_the_disk_where_that_is_asked_for() {
    let dir = Dir::new();
    let server = ours(&dir, AOF);
    let mut wire = server.dial();
    ok(&mut wire, "SET a 1");
    assert_eq!(wire.ask("WAITAOF 1 0 5000").list()[0].int(), Some(1));
    ok(&mut wire, "PROXY ACKS fsync 5000");
    for it in 0..50 {
        ok(&mut wire, &format!("SET a {it}"));
        let head = info_field(&mut wire, "replication", "master_repl_offset");
        let durable = field(&mut wire, "aof_fsynced_offset");
        assert_eq!(head, Some(durable));
    }
    ok(&mut wire, "CONFIG SET appendonly no");
    until("the file to end", || (field(&mut wire, "aof_enabled") == "0").then_some(()));
    starts(&wire.ask("WAITAOF 1 0 1"), "ERR WAITAOF cannot be used when numlocal is set");
    ok(&mut wire, "PROXY ACKS 0");
    ok(&mut wire, "SET a off");
    ok(&mut wire, "CONFIG SET appendonly yes");
    assert_eq!(wire.ask("WAITAOF 1 0 5000").list()[0].int(), Some(1));
    server.crash();
    assert_eq!(ours(&dir, AOF).dial().ask("GET a").string(), "off");
}

#[test]
fn a_flushall_by_mistake_is_undone_to_the_second() {
    let dir = Dir::new();
    let server = ours(&dir, &format!("{ALWAYS}\naof-timestamp-enabled = true"));
    let mut wire = server.dial();
    (0..10).for_each(|it| ok(&mut wire, &format!("SET key:{it} value")));
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after");
    let before = now().as_secs();
    until("the next second", || (before < now().as_secs()).then_some(()));
    ok(&mut wire, "FLUSHALL");
    let file = dir.incr();
    let tool = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
        let output = command.arg("check-aof").arg(&file).args(args).output().expect("it runs");
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&told).into_owned())
    };
    let (code, told) = tool(&[]);
    assert!(code == Some(0) && told.contains("whole"), "{told}");
    let (code, told) = tool(&["--truncate-to", &before.to_string()]);
    assert!(code == Some(1) && told.contains("a server uses it"), "{told}");
    server.crash();
    let (code, told) = tool(&["--truncate-to", &before.to_string()]);
    assert!(code == Some(0) && told.contains("cut at byte"), "{told}");
    let bytes = fs::read(&file).expect("it is there");
    fs::write(&file, &bytes[..bytes.len() - 3]).expect("it is ours");
    let (code, told) = tool(&[]);
    assert!(code == Some(1) && told.contains("it ends in the middle of a write"), "{told}");
    let (code, told) = tool(&["--fix"]);
    assert!(code == Some(0) && told.contains("cut at byte"), "{told}");
    check_all(&dir);
    assert_eq!(ours(&dir, AOF).dial().ask("DBSIZE").int(), Some(9));
}

/// A process with an append-only file in this directory, and who connects to it at once.
fn started(dir: &Dir) -> (Child, Wire) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("it has one").port();
    drop(free);
    let file = dir.join("entourage.toml");
    fs::write(&file, config(dir, AOF).replace("{port}", &port.to_string())).expect("it is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_entourage"));
    let child = command.args(["serve", "--config"]).arg(&file).spawn().expect("it starts");
    let wire = until("it to listen", || Wire::dial(port).ok());
    (child, wire)
}

#[test]
fn who_comes_at_once_hears_nothing_of_loading_where_there_is_nothing_to_load() {
    let dir = Dir::new();
    for number in 0..20 {
        let (mut child, mut wire) = started(&dir);
        assert_eq!(wire.ask("PING").string(), "PONG", "start {number}");
        wire.send(&[words(&["SHUTDOWN", "NOSAVE"])]);
        assert!(child.wait().expect("it is ours").success());
    }
}

#[test]
fn who_comes_while_data_is_loaded_is_told_so() {
    const KEYS: usize = 700_000;
    let dir = Dir::new();
    let mut text = String::from("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    for it in 0..KEYS {
        let key = format!("key:{it}");
        text.push_str(&format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$5\r\nvalue\r\n", key.len()));
    }
    // As before Redis 7: one file without parts.
    fs::write(dir.join("appendonly.aof"), text).expect("it is ours");
    let (mut child, mut wire) = started(&dir);
    starts(&wire.ask("GET key:1"), "LOADING Redis is loading the dataset in memory");
    starts(&wire.ask("PING"), "LOADING");
    let told = wire.ask("INFO persistence").string();
    for name in
        ["loading:1", "loading_total_bytes:", "loading_loaded_perc:", "loading_eta_seconds:"]
    {
        assert!(told.contains(name), "{name} in {told}");
    }
    until("data to be loaded", || (field(&mut wire, "loading") == "0").then_some(()));
    assert_eq!(wire.ask("DBSIZE").int(), Some(KEYS as i64));
    assert!(dir.join("appendonly.aof").exists(), "it stays");
    wire.send(&[words(&["SHUTDOWN", "NOSAVE"])]);
    assert!(child.wait().expect("it is ours").success());
    check_all(&dir);
}

#[test]
fn the_commented_example_starts() {
    let dir = Dir::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/persistent.toml");
    let text = fs::read_to_string(example).expect("it is there");
    let text = text.replace("/var/lib/entourage", dir.path()).replace(":6379\"", ":{port}\"");
    let server = Server::entourage_with_config(&text);
    ok(&mut server.dial(), "SET a 1");
    assert_eq!(server.stop().code(), Some(0));
    check_all(&dir);
    let again = Server::entourage_with_config(&text);
    assert_eq!(again.dial().ask("GET a").string(), "1");
}
