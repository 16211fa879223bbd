//! An upgrade: a new process takes the place of one that serves clients. Nobody is refused, nothing
//! that was acknowledged is lost, and no read is older than what was shown before.

use crate::support::on_disk::Dir;
use crate::support::process::Running;
use crate::support::servers::{SOCKET, free_port};
use crate::support::wire::{encode, words};
use crate::support::{Address, Server, Socket, Wire, info_field, ok, starts, until};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_entourage");
const UPGRADE: &str = "upgrade.sock";
const CLIENTS: usize = 4;

/// A process of ours in this directory, which holds its config file.
fn process(dir: &Dir, name: &str, flags: &[&str]) -> Running {
    let said = File::create(dir.join(name)).expect("its directory is ours");
    let mut command = Command::new(BINARY);
    command.args(["serve", "--config", "e.toml"]).args(flags).current_dir(dir.path());
    command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
    Running(command.spawn().expect("it starts"))
}

fn said(dir: &Dir, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

/// Waits until it has ended, and answers how.
fn ended(child: &mut Child) -> Option<i32> {
    until("the process to end", || child.try_wait().expect("it is our child")).code()
}

fn until_up(port: u16) {
    until("it to have loaded", || Wire::dial(port).ok()?.ask("EXISTS k").int());
}

/// What one client has tried and what was acknowledged, while processes came and went.
#[derive(Default, Debug)]
struct Counted {
    tried: i64,
    acknowledged: i64,
    closed: usize,
}

/// Increments its key and reads it until told to stop, over as many connections as it takes. A
/// connection may be closed between requests; it may not be refused.
fn count(port: u16, key: &str, stop: &AtomicBool) -> Counted {
    let (increment, read) = (format!("INCR {key}"), format!("GET {key}"));
    let mut counted = Counted::default();
    while !stop.load(Relaxed) {
        let mut wire = Wire::dial(port).unwrap_or_else(|why| panic!("nobody is refused: {why}"));
        while !stop.load(Relaxed) {
            counted.tried += 1;
            let Some(count) = number(&mut wire, &increment) else { break };
            let is_next = counted.acknowledged < count && count <= counted.tried;
            assert!(is_next, "{key} is {count}: {counted:?}");
            counted.acknowledged = count;
            let Some(read) = number(&mut wire, &read) else { break };
            assert_eq!(read, count, "{key} is read as it was written");
        }
        counted.closed += 1;
    }
    counted
}

/// The number that is answered; `None` when the connection was closed instead.
fn number(wire: &mut Wire, line: &str) -> Option<i64> {
    let words: Vec<Vec<u8>> = line.split(' ').map(|it| it.as_bytes().to_vec()).collect();
    wire.try_send_raw(&encode(&words)).ok()?;
    let reply = wire.try_read()?;
    let told = reply.int().or_else(|| std::str::from_utf8(reply.text()?).ok()?.parse().ok());
    Some(told.unwrap_or_else(|| panic!("{line}: {reply}")))
}

fn config(port: u16, more: &str) -> String {
    format!(
        "[[listener]]\nbind = \"127.0.0.1:{port}\"\n[[listener]]\nunix = \"{SOCKET}\"\n\
         [server]\nupgrade-socket = \"{UPGRADE}\"\npidfile = \"pid\"\n{more}"
    )
}

const ON_DISK: &str =
    "[set]\ndir = \"data\"\nappendonly = true\nappendfsync = \"always\"\nsave = \"\"\n";

#[test]
fn processes_take_each_others_place_and_nobody_is_refused_and_nothing_is_lost() {
    let (dir, port, http) = (Dir::new(), free_port().unwrap(), free_port().unwrap());
    fs::create_dir(dir.join("data")).unwrap();
    let page = format!("{ON_DISK}[http]\nbind = \"127.0.0.1:{http}\"\n");
    dir.file("e.toml", config(port, &page));
    let mut serving = process(&dir, "0", &[]);
    until_up(port);
    // Of a process that was killed: no number is as high as this.
    let left = dir.join(&format!("{UPGRADE}.{}", i32::MAX));
    drop(UnixListener::bind(&left).unwrap());
    let stop = AtomicBool::new(false);
    let (dir, stop) = (&dir, &stop);
    let all: Vec<Counted> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|it| scope.spawn(move || count(port, &format!("key:{it}"), stop)))
            .collect();
        for generation in 1..=3 {
            let name = generation.to_string();
            let begun = total(port);
            until("clients to be served", || (begun + 100 < total(port)).then_some(()));
            let next = process(dir, &name, &["--upgrade"]);
            assert_eq!(ended(&mut serving.0), Some(0), "{}", said(dir, &name));
            serving = next;
            // It has the other's pid file and its place for the next one as soon as it is done.
            let is_done = || {
                let pid = fs::read_to_string(dir.join("pid")).unwrap_or_default();
                (pid == format!("{}\n", serving.0.id()) && dir.join(UPGRADE).exists()).then_some(())
            };
            until("the upgrade to be done", is_done);
            assert!(!left.exists(), "what others have left is taken away");
            let mode = fs::metadata(dir.join(UPGRADE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let health = Wire::dial(http).map(|mut it| {
                it.send_raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
                it.read_until(b"\r\n")
            });
            assert_eq!(health.unwrap(), b"HTTP/1.1 200 OK\r\n", "the page has come along");
            let unix = Address::Unix(dir.join(SOCKET));
            ok(&mut Wire::dial_at(&unix).unwrap(), "SET unix 1");
        }
        stop.store(true, Relaxed);
        clients.into_iter().map(|it| it.join().expect("a client")).collect()
    });
    let holds_all = |what: &str| {
        let mut wire = Wire::dial(port).unwrap();
        for (at, it) in all.iter().enumerate() {
            let count = wire.ask(&format!("GET key:{at}")).string().parse::<i64>().unwrap();
            assert!(it.acknowledged <= count && count <= it.tried, "{what}: {count}, {it:?}");
        }
        assert_eq!(wire.ask("GET unix").string(), "1");
    };
    holds_all("as it is");
    assert!(all.iter().all(|it| 3 <= it.closed), "each process has had all of them: {all:?}");
    // What each process has added to the files of the one before is whole.
    for name in ["1", "2", "3"] {
        assert!(said(dir, name).contains("event=aof-goes-on"), "{}", said(dir, name));
    }
    serving.0.kill().unwrap();
    let _ = ended(&mut serving.0);
    let _last = process(dir, "last", &[]);
    until_up(port);
    holds_all("from its files");
}

/// All that was counted so far.
fn total(port: u16) -> i64 {
    let Ok(mut wire) = Wire::dial(port) else { return 0 };
    (0..CLIENTS).filter_map(|it| number(&mut wire, &format!("INCRBY key:{it} 0"))).sum()
}

/// The process that serves once `serving` has been replaced.
fn upgraded(dir: &Dir, name: &str, mut serving: Running) -> Running {
    let next = process(dir, name, &["--upgrade"]);
    assert_eq!(ended(&mut serving.0), Some(0), "{}", said(dir, name));
    next
}

#[test]
fn a_quiet_set_goes_on_with_its_files_whichever_database_is_selected() {
    let (dir, port) = (Dir::new(), free_port().unwrap());
    fs::create_dir(dir.join("data")).unwrap();
    dir.file("e.toml", config(port, ON_DISK));
    let mut serving = process(&dir, "0", &[]);
    until_up(port);
    let put = |db: u32, key: &str| {
        let mut wire = Wire::dial(port).unwrap();
        ok(&mut wire, &format!("SELECT {db}"));
        ok(&mut wire, &format!("SET {key} {db}"));
    };
    put(3, "a");
    for (name, keys) in [("1", vec![(3, "b"), (5, "c")]), ("2", vec![]), ("3", vec![(5, "d")])] {
        serving = upgraded(&dir, name, serving);
        keys.into_iter().for_each(|(db, key)| put(db, key));
        until("it to have the files", || said(&dir, name).contains("aof-goes-on").then_some(()));
    }
    serving.0.kill().unwrap();
    let _ = ended(&mut serving.0);
    let _last = process(&dir, "last", &[]);
    until_up(port);
    for (db, key) in [(3, "a"), (3, "b"), (5, "c"), (5, "d")] {
        let mut wire = Wire::dial(port).unwrap();
        ok(&mut wire, &format!("SELECT {db}"));
        assert_eq!(wire.ask(&format!("GET {key}")).string(), db.to_string(), "{key}");
    }
}

#[test]
fn a_set_that_follows_a_master_follows_it_afterwards_too() {
    let master = Server::redis(&["--repl-diskless-sync-delay", "0"]);
    let (dir, port) = (Dir::new(), free_port().unwrap());
    dir.file("e.toml", config(port, ""));
    let serving = process(&dir, "0", &[]);
    until_up(port);
    let follows = format!("REPLICAOF 127.0.0.1 {}", master.port());
    ok(&mut Wire::dial(port).unwrap(), &follows);
    ok(&mut master.dial(), "SET k 1");
    let reads = |value: &'static str| {
        until("the write to come", || {
            let mut wire = Wire::dial(port).ok()?;
            (wire.ask("GET k").text()? == value.as_bytes()).then_some(())
        });
    };
    reads("1");
    let _next = upgraded(&dir, "1", serving);
    reads("1");
    ok(&mut master.dial(), "SET k 2");
    reads("2");
    let mut wire = Wire::dial(port).unwrap();
    assert_eq!(info_field(&mut wire, "replication", "role").unwrap(), "slave");
    starts(&wire.ask("SET k 3"), "READONLY");
}

#[test]
fn of_two_processes_that_would_take_over_one_does() {
    let (dir, port) = (Dir::new(), free_port().unwrap());
    dir.file("e.toml", config(port, ""));
    let mut serving = process(&dir, "0", &[]);
    until_up(port);
    ok(&mut Wire::dial(port).unwrap(), "SET k v");
    let mut both = ["1", "2"].map(|it| process(&dir, it, &["--upgrade"]));
    assert_eq!(ended(&mut serving.0), Some(0));
    let lost = until("one to give up", || {
        let ended = both.iter_mut().find_map(|it| it.0.try_wait().expect("our child"));
        ended.map(|it| it.code())
    });
    assert_eq!(lost, Some(1), "{}{}", said(&dir, "1"), said(&dir, "2"));
    assert_eq!(Wire::dial(port).unwrap().ask("GET k").string(), "v");
    let lives = both.iter_mut().filter_map(|it| it.0.try_wait().expect("our child")).count();
    assert_eq!(lives, 1, "one has ended, and one serves");
}

#[test]
fn a_process_that_cannot_take_over_leaves_the_other_as_it_was() {
    let (dir, port) = (Dir::new(), free_port().unwrap());
    fs::create_dir(dir.join("data")).unwrap();
    fs::create_dir(dir.join("other")).unwrap();
    dir.file("e.toml", config(port, ON_DISK));
    let nobody = ended(&mut process(&dir, "nobody", &["--upgrade"]).0);
    let why = said(&dir, "nobody");
    assert!(nobody == Some(1) && why.contains("nobody to take over from"), "{why}");
    let mut serving = process(&dir, "0", &[]);
    until_up(port);
    let mut wire = Wire::dial(port).unwrap();
    ok(&mut wire, "SET k v");
    let wrong = [
        (config(port, &ON_DISK.replace("\"data\"", "\"other\"")), "goes on with the files in"),
        (config(port, ON_DISK).replace("\"socket\"", "\"no/such/s\""), "cannot listen at"),
        (config(port, ON_DISK).replace(UPGRADE, ""), "--upgrade needs server.upgrade-socket"),
    ];
    for (text, why) in &wrong {
        dir.file("e.toml", text);
        assert_eq!(ended(&mut process(&dir, "wrong", &["--upgrade"]).0), Some(1), "{why}");
        assert!(said(&dir, "wrong").contains(why), "{why}: {}", said(&dir, "wrong"));
        assert_eq!(wire.ask("GET k").string(), "v");
    }
    // A client of any other kind may not.
    let refused = wire.ask("PROXY UPGRADE END 1");
    assert!(refused.string().contains("server.upgrade-socket"), "{refused:?}");
    let mut asks = Wire::dial_at(&Address::Unix(dir.join(UPGRADE))).unwrap();
    for (order, why) in [
        ("ROLE 9 /no/such/replica \"\"", "does not follow"),
        ("ROLE 9 /a 127.0.0.1:7", "this process follows"),
        ("ROLE 9 relative \"\"", "ERR write PROXY UPGRADE"),
        ("SOCKETS /no/such/path", "cannot be sent"),
        ("END 0", "ERR write PROXY UPGRADE"),
        ("END 9", "place is not"),
        ("END -1", "ERR write PROXY UPGRADE"),
        ("HELP", "ERR write PROXY UPGRADE"),
    ] {
        let line = format!("PROXY UPGRADE {order}");
        let words: Vec<&str> = line.split(' ').map(|it| it.trim_matches('"')).collect();
        let refused = asks.cmd(&words);
        assert!(refused.string().contains(why), "{order}: {refused:?}");
    }
    ok(&mut wire, "SET k w");
    assert!(serving.0.try_wait().unwrap().is_none());
}

#[test]
fn who_has_handed_its_role_to_a_process_that_ends_then_is_the_master_again() {
    let (dir, port) = (Dir::new(), free_port().unwrap());
    dir.file("e.toml", config(port, ""));
    let _serving = process(&dir, "0", &[]);
    until_up(port);
    let mut wire = Wire::dial(port).unwrap();
    ok(&mut wire, "SET k v");
    // The test takes the other process' part: it follows, becomes the master, and ends then.
    let own = dir.join("own.sock");
    let listener = UnixListener::bind(&own).unwrap();
    let own = own.to_str().unwrap();
    let upgrade = || Wire::dial_at(&Address::Unix(dir.join(UPGRADE))).unwrap();
    let (mut replica, mut orders) = (upgrade(), upgrade());
    ok(&mut replica, "REPLCONF listening-port 0 ip-address /no/such");
    ok(&mut replica, &format!("REPLCONF ip-address {own} capa psync2"));
    replica.send_raw(b"PSYNC ? -1\r\n");
    let told = String::from_utf8(replica.read_until(b"\r\n")).unwrap();
    let at = told.trim_end().rsplit(' ').next().unwrap();
    let mut offset: usize = at.parse().unwrap_or_else(|_| panic!("{told}"));
    // Empty lines tell that the snapshot is being made.
    let head = until("the snapshot's length", || {
        let line = String::from_utf8(replica.read_until(b"\n")).unwrap();
        line.trim().strip_prefix('$').map(str::to_owned)
    });
    replica.read_exact(head.parse().expect("a length"));
    let acknowledge = |wire: &mut Wire, offset: usize| {
        let offset = offset.to_string();
        wire.send_raw(&encode(&words(&["REPLCONF", "ACK", &offset])));
    };
    acknowledge(&mut replica, offset);
    until("it to be online", || {
        let nodes = wire.ask("PROXY NODES TEXT").string();
        nodes.split("\n\n").any(|it| it.contains(own) && it.contains("online")).then_some(())
    });
    let mut other = Command::new("sleep").arg("60").spawn().expect("a process");
    let pid = other.id().to_string();
    orders.send(&[words(&["PROXY", "UPGRADE", "ROLE", &pid, own, ""])]);
    let successor = thread::spawn(move || {
        loop {
            let (socket, _) = listener.accept().expect("it comes to the new master");
            let mut wire = Wire::over(Socket::Unix(socket));
            // Others than the link ask, too, and are content with less.
            while let Some(asked) = wire.try_read() {
                let _ = match asked.list()[0].string().as_str() {
                    "PING" => wire.try_send_raw(b"+PONG\r\n"),
                    "PSYNC" => {
                        assert_eq!(asked.list()[3].string(), "FAILOVER");
                        wire.send_raw(b"+CONTINUE\r\n");
                        return (listener, wire);
                    }
                    _ => wire.try_send_raw(b"+OK\r\n"),
                };
            }
        }
    });
    // Where what we have is asked, that is a part of the stream.
    until("the role to be handed over", || {
        if replica.has_input() {
            offset += replica.read_raw().1.len();
            acknowledge(&mut replica, offset);
        }
        successor.is_finished().then_some(())
    });
    let (listener, link) = successor.join().unwrap();
    assert_eq!(orders.read().string(), "OK", "the role has been handed over");
    assert_eq!(info_field(&mut wire, "replication", "role").unwrap(), "slave");
    drop((listener, link));
    other.kill().unwrap();
    let _ = ended(&mut other);
    until("it to be the master again", || {
        (info_field(&mut wire, "replication", "role")? == "master").then_some(())
    });
    ok(&mut wire, "SET k w");
    assert!(said(&dir, "0").contains("event=upgrade-failed"), "{}", said(&dir, "0"));
}

/// Ends the process that a pid file names, which is no child of ours.
struct Named(PathBuf);

impl Named {
    fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

#[test]
fn a_claim_ends_with_its_process_and_a_snapshot_that_is_being_made_is_waited_for() {
    let (dir, port) = (Dir::new(), free_port().unwrap());
    fs::create_dir(dir.join("data")).unwrap();
    dir.file("e.toml", config(port, "[set]\ndir = \"data\"\n"));
    let _serving = process(&dir, "0", &[]);
    until_up(port);
    let mut wire = Wire::dial(port).unwrap();
    // A master that is not there: then the role is given without more.
    ok(&mut wire, "REPLICAOF 127.0.0.1 1");
    let mut other = Command::new("sleep").arg("60").spawn().expect("a process");
    let pid = other.id().to_string();
    let mut orders = Wire::dial_at(&Address::Unix(dir.join(UPGRADE))).unwrap();
    let mut role = || orders.cmd(&["PROXY", "UPGRADE", "ROLE", &pid, "/no/such", "127.0.0.1:1"]);
    assert_eq!(role().string(), "OK");
    starts(&wire.ask("BGSAVE"), "ERR Background save already in progress");
    starts(&role(), "ERR another process takes over");
    other.kill().unwrap();
    let _ = ended(&mut other);
    until("a snapshot to be possible again", || {
        (wire.ask("BGSAVE").string() == "Background saving started").then_some(())
    });
}

#[test]
fn who_is_slow_to_take_a_reply_gets_all_of_it() {
    const BYTES: usize = 20 << 20;
    let (dir, port) = (Dir::new(), free_port().unwrap());
    dir.file("e.toml", config(port, ""));
    let serving = process(&dir, "0", &[]);
    until_up(port);
    let mut wire = Wire::dial(port).unwrap();
    assert_eq!(wire.ask(&format!("SETRANGE k {} x", BYTES - 1)).int(), Some(BYTES as i64));
    let mut slow = Wire::dial(port).unwrap();
    slow.send_raw(b"GET k\r\n");
    until("the reply to begin", || slow.has_input().then_some(()));
    let next = process(&dir, "1", &["--upgrade"]);
    let id = next.0.id().to_string();
    until("the next process to serve", || {
        let mut wire = Wire::dial(port).ok()?;
        wire.try_send_raw(b"INFO server\r\n").ok()?;
        let told = wire.try_read()?.string();
        told.contains(&format!("process_id:{id}")).then_some(())
    });
    assert_eq!(slow.read().text().map(<[u8]>::len), Some(BYTES));
    assert!(slow.is_closed());
    let mut serving = serving;
    assert_eq!(ended(&mut serving.0), Some(0), "{}", said(&dir, "0"));
}

#[test]
fn a_signal_starts_the_process_that_takes_over() {
    let (dir, port) = (Dir::new(), free_port().unwrap());
    dir.file("e.toml", config(port, "requirepass = \"a-long-secret\"\n"));
    let mut serving = process(&dir, "0", &[]);
    let login = || {
        let mut wire = Wire::dial(port).ok()?;
        wire.ask("AUTH a-long-secret").text()?;
        Some(wire)
    };
    let mut wire = until("it to serve", login);
    ok(&mut wire, "SET k v");
    let pid = serving.0.id();
    Command::new("kill").args(["-USR2", &pid.to_string()]).status().expect("a signal");
    assert_eq!(ended(&mut serving.0), Some(0), "{}", said(&dir, "0"));
    let named = Named(dir.join("pid"));
    until("the next one's number", || named.pid().filter(|it| *it != pid));
    assert!(wire.is_closed());
    let mut wire = until("the next one to serve", login);
    assert_eq!(wire.ask("GET k").string(), "v");
    let id = info_field(&mut wire, "server", "process_id");
    assert_eq!(id, named.pid().map(|it| it.to_string()));
    assert_eq!(info_field(&mut wire, "replication", "role").unwrap(), "master");
}
