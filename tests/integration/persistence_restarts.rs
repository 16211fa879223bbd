//! Restarts under a load of writes: replicas go on where they were, files are sound whenever the
//! process was killed, and clients can wait for disks of replicas.

use crate::support::on_disk::{
    ALWAYS, AOF, Dir, check_killed, config, field, fill, ours, redis_on, until_loaded, valkey_on,
};
use crate::support::{
    Server, Wire, hold_the_same, info_field, ok, starts, until, until_caught_up, words,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

/// Clients that write for as long as this lives, and come back when they lose their server.
struct Load {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// The highest number that each has an answer for.
    answered: Vec<Arc<AtomicU64>>,
}

const CLIENTS: u64 = 3;
const KEYS: u64 = 500;
const PIPELINE: u64 = 20;

impl Load {
    /// Each counts on from the numbers that were answered before.
    fn begin(port: u16, from: &[u64]) -> Load {
        let ends = Arc::new(AtomicBool::new(false));
        let answered = from.iter().map(|it| Arc::new(AtomicU64::new(*it))).collect::<Vec<_>>();
        let client = |(number, answered): (usize, &Arc<AtomicU64>)| {
            let (ends, answered) = (ends.clone(), answered.clone());
            spawn(move || {
                while !ends.load(Relaxed) {
                    let Ok(wire) = Wire::dial(port) else {
                        sleep(Duration::from_millis(2));
                        continue;
                    };
                    write(wire, number, &answered, &ends);
                }
            })
        };
        let threads = answered.iter().enumerate().map(client).collect();
        Load { ends, threads, answered }
    }

    /// What is answered so far.
    fn answered(&self) -> Vec<u64> {
        self.answered.iter().map(|it| it.load(Relaxed)).collect()
    }

    /// Waits until each has so many more.
    fn until_grown(&self, by: u64) {
        let before = self.answered();
        until("writes to be answered", || {
            let now = self.answered();
            now.iter().zip(&before).all(|(now, before)| before + by <= *now).then_some(())
        });
    }

    fn end(self) -> Vec<u64> {
        self.ends.store(true, Relaxed);
        self.threads.into_iter().for_each(|it| it.join().expect("it does not panic"));
        self.answered.iter().map(|it| it.load(Relaxed)).collect()
    }
}

/// Writes ever higher numbers, and values beside them, until the connection is lost.
fn write(mut wire: Wire, number: usize, answered: &AtomicU64, ends: &AtomicBool) {
    let mut next = answered.load(Relaxed);
    while !ends.load(Relaxed) {
        let mut commands = Vec::new();
        for at in next..next + PIPELINE {
            let key = format!("key:{number}:{}", at % KEYS);
            commands.push(words(&["SET", &key, &format!("{at:0>100}")]));
            let list = format!("list:{number}:{}", at / 50 % 20);
            commands.push(words(&[if at % 50 == 0 { "DEL" } else { "RPUSH" }, &list, "x"]));
            commands.last_mut().expect("it is there").truncate(if at % 50 == 0 { 2 } else { 3 });
            commands.push(words(&["SET", &format!("count:{number}"), &(at + 1).to_string()]));
        }
        let bytes: Vec<u8> =
            commands.iter().flat_map(|it| crate::support::wire::encode(it)).collect();
        if wire.try_send_raw(&bytes).is_err() {
            return;
        }
        for at in next..next + PIPELINE {
            for _ in 0..2 {
                if wire.try_read().is_none() {
                    return;
                }
            }
            match wire.try_read() {
                Some(told) if told.to_string() == "+OK" => answered.store(at + 1, Relaxed),
                // It loads, or is about to end.
                Some(_) => return,
                None => return,
            }
        }
        next += PIPELINE;
    }
}

fn counts(wire: &mut Wire) -> Vec<u64> {
    let count = |it| {
        let told = wire.ask(&format!("GET count:{it}"));
        told.text().map_or(0, |it| String::from_utf8_lossy(it).parse().expect("a number"))
    };
    (0..CLIENTS).map(count).collect()
}

fn stat(wire: &mut Wire, name: &str) -> u64 {
    info_field(wire, "stats", name).and_then(|it| it.parse().ok()).expect("a number")
}

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Asked,
    Killed,
}

fn end(server: Server, how: End) {
    match how {
        End::Asked => assert_eq!(server.stop().code(), Some(0)),
        End::Killed => server.crash(),
    }
}

#[test]
fn a_replica_of_redis_goes_on_by_a_partial_resync_when_its_master_restarts_under_load() {
    let dir = Dir::new();
    let backlog = "repl-backlog-size = \"64mb\"";
    let more = format!("{AOF}\nreplicas = 0\n{backlog}");
    let mut server = ours(&dir, &more);
    let port = server.port();
    let replica = Server::redis(&["--repl-backlog-size", "64mb"]);
    let mut redis = replica.dial();
    // One behind it shows what it does: a full resync of its own would be one of that, too.
    let behind = Server::redis(&[]);
    ok(&mut behind.dial(), &format!("REPLICAOF 127.0.0.1 {}", replica.port()));
    ok(&mut redis, &format!("REPLICAOF 127.0.0.1 {port}"));
    until_caught_up(&mut redis, &mut server.dial());
    until_caught_up(&mut behind.dial(), &mut redis);
    let fulls = stat(&mut redis, "sync_full");
    let load = Load::begin(port, &[0; CLIENTS as usize]);
    for _ in 0..3 {
        load.until_grown(500);
        end(server, End::Asked);
        server = Server::entourage_with_config_at(port, &config(&dir, &more));
        until_loaded(&server);
        load.until_grown(200);
        let mut wire = server.dial();
        until("the replica to be back", || {
            let partial = stat(&mut wire, "sync_partial_ok");
            let full = stat(&mut wire, "sync_full");
            assert_eq!(full, 0, "{}", server.said());
            (partial == 1).then_some(())
        });
    }
    let answered = load.end();
    let mut wire = server.dial();
    until_caught_up(&mut redis, &mut wire);
    hold_the_same(&mut wire, &mut redis);
    assert!(counts(&mut wire).iter().zip(&answered).all(|(there, told)| told <= there));
    assert_eq!(stat(&mut redis, "sync_full"), fulls, "it has never taken another copy");
    let told = replica.said().matches("Successful partial resynchronization with master").count();
    assert_eq!(told, 3, "{}", replica.said());
}

#[test]
fn a_set_that_follows_redis_goes_on_by_a_partial_resync_when_it_restarts_under_load() {
    for how in [End::Asked, End::Killed] {
        let (dir, files) = (Dir::new(), Dir::new());
        let master = redis_on(&files, &["--repl-backlog-size", "64mb"]);
        let mut redis = master.dial();
        let load = Load::begin(master.port(), &[0; CLIENTS as usize]);
        let more = format!("{AOF}\nreplicas = 0\nmaster = \"127.0.0.1:{}\"", master.port());
        let mut follower = ours(&dir, &more);
        until_caught_up(&mut follower.dial(), &mut redis);
        // The file that it began with is not of this data.
        let mut wire = follower.dial();
        until("a file of its own", || {
            (field(&mut wire, "aof_fsynced_offset") != "0").then_some(())
        });
        for round in 1..=3 {
            load.until_grown(500);
            end(follower, how);
            load.until_grown(200);
            follower = ours(&dir, &more);
            let mut wire = follower.dial();
            until("it to follow again", || {
                let is_up = info_field(&mut wire, "replication", "master_link_status")?;
                (is_up == "up").then_some(())
            });
            let counts = ["sync_full", "sync_partial_ok"].map(|it| stat(&mut redis, it));
            assert_eq!(counts, [1, round], "{how:?}: {}", follower.said());
            assert_eq!(stat(&mut wire, "sync_full"), 0, "{how:?}: {}", follower.said());
        }
        load.end();
        let mut wire = follower.dial();
        until_caught_up(&mut wire, &mut redis);
        hold_the_same(&mut wire, &mut redis);
    }
}

#[test]
fn files_are_sound_whenever_the_process_was_killed() {
    let rounds = if std::env::var("ENTOURAGE_LONG").is_ok() { 500 } else { 50 };
    let dir = Dir::new();
    let mut answered = vec![0; CLIENTS as usize];
    for round in 0..rounds {
        let fsync = [ALWAYS, AOF][round % 2];
        let server = ours(&dir, fsync);
        let mut wire = server.dial();
        let there = counts(&mut wire);
        let is_kept = answered.iter().zip(&there).all(|(told, there)| told <= there);
        assert!(is_kept, "round {round}: {answered:?} were answered, {there:?} are there");
        let load = Load::begin(server.port(), &there);
        load.until_grown(20);
        for command in [["BGREWRITEAOF", "BGSAVE SCHEDULE"], ["BGSAVE", "BGREWRITEAOF"]][round % 2]
        {
            let told = wire.ask(command).string();
            // One may be at work already: parts that come of many restarts are made one.
            assert!(told.contains("ackground"), "{told}");
        }
        sleep(Duration::from_millis(round as u64 * 7 % 41));
        server.crash();
        let told = load.end();
        // With `everysec` a reply does not say that it is in the file.
        answered = if fsync == ALWAYS { told } else { vec![0; CLIENTS as usize] };
        check_killed(&dir);
    }
    let files = dir.copy();
    let (ours, redis) = (ours(&dir, AOF), redis_on(&files, &["--appendonly", "yes"]));
    hold_the_same(&mut ours.dial(), &mut redis.dial());
}

#[test]
fn clients_wait_for_the_disks_of_replicas() {
    let (dir, other) = (Dir::new(), Dir::new());
    let server = ours(&dir, AOF);
    let mut wire = server.dial();
    let waited = |wire: &mut Wire, line: &str| {
        let told = wire.ask(line);
        [0, 1].map(|it: usize| told.list()[it].int())
    };
    ok(&mut wire, "SET a 1");
    assert_eq!(waited(&mut wire, "WAITAOF 1 1 2000"), [Some(1), Some(0)], "nobody is there");
    let follows = format!("{AOF}\nmaster = \"127.0.0.1:{}\"", server.port());
    let follower = ours(&other, &follows);
    until_caught_up(&mut follower.dial(), &mut wire);
    for it in 0..3 {
        ok(&mut wire, &format!("SET a {it}"));
        assert_eq!(waited(&mut wire, "WAITAOF 1 1 10000"), [Some(1), Some(1)]);
    }
    assert_eq!(wire.ask("WAIT 1 1000").int(), Some(1));
    starts(&follower.dial().ask("WAITAOF 0 0 0"), "ERR WAITAOF cannot be used with replica");
    // Redis 7.0 says nothing of its disk.
    let silent = Server::redis(&["--appendonly", "yes"]);
    ok(&mut silent.dial(), &format!("REPLICAOF 127.0.0.1 {}", server.port()));
    until_caught_up(&mut silent.dial(), &mut wire);
    ok(&mut wire, "SET a 5");
    assert_eq!(wire.ask("WAIT 2 5000").int(), Some(2));
    assert_eq!(waited(&mut wire, "WAITAOF 1 2 1500"), [Some(1), Some(1)]);
    // A replica without a file of its own counts for WAIT alone.
    drop(follower);
    let bare = ours(&Dir::new(), &format!("master = \"127.0.0.1:{}\"", server.port()));
    until_caught_up(&mut bare.dial(), &mut wire);
    ok(&mut wire, "SET a 6");
    assert_eq!(waited(&mut wire, "WAITAOF 0 1 300"), [Some(1), Some(0)]);
}

#[test]
fn valkey_and_ours_tell_each_other_what_is_on_disk() {
    let (dir, files) = (Dir::new(), Dir::new());
    let Some(valkey) = valkey_on(&files, &["--appendonly", "yes"]) else { return };
    let mut theirs = valkey.dial();
    let ours = ours(&dir, AOF);
    let mut wire = ours.dial();
    ok(&mut theirs, &format!("REPLICAOF 127.0.0.1 {}", ours.port()));
    until_caught_up(&mut theirs, &mut wire);
    ok(&mut wire, "SET a 1");
    let told = wire.ask("WAITAOF 1 1 20000");
    assert_eq!([0, 1].map(|it: usize| told.list()[it].int()), [Some(1), Some(1)]);
    ok(&mut theirs, "REPLICAOF NO ONE");
    ok(&mut wire, &format!("REPLICAOF 127.0.0.1 {}", valkey.port()));
    until_caught_up(&mut wire, &mut theirs);
    ok(&mut theirs, "SET a 2");
    let told = theirs.ask("WAITAOF 1 1 20000");
    assert_eq!([0, 1].map(|it: usize| told.list()[it].int()), [Some(1), Some(1)]);
}

#[test]
fn info_tells_how_far_a_snapshot_has_come_and_what_was_loaded() {
    const MANY: usize = 100_000;
    let dir = Dir::new();
    let server = ours(&dir, "");
    let mut wire = server.dial();
    fill(&mut wire);
    let set = |it| words(&["SET", &format!("key:{it}"), "value"]);
    wire.pipeline(&(0..MANY).map(set).collect::<Vec<_>>());
    let told = wire.pipeline(&[words(&["BGSAVE"]), words(&["INFO", "persistence"])]);
    assert!(told[1].string().contains("rdb_bgsave_in_progress:1"), "it has begun for all to see");
    let seen = (0..5000).any(|_| {
        wire.ask("BGSAVE");
        let text = wire.ask("INFO persistence").string();
        let number = |name: &str| -> usize {
            let line = text.lines().find_map(|it| it.strip_prefix(name));
            line.expect("it is there").trim().parse().expect("a number")
        };
        let [written, total] =
            ["current_save_keys_processed:", "current_save_keys_total:"].map(number);
        assert!(written <= total);
        0 < total && total < 2 * MANY
    });
    assert!(seen, "a snapshot that is being written has keys");
    until("the save", || (field(&mut wire, "rdb_bgsave_in_progress") == "0").then_some(()));
    assert_eq!(field(&mut wire, "current_save_keys_total"), "0");
    let keys = wire.ask("DBSIZE").int().expect("a number");
    server.crash();
    let again = ours(&dir, "");
    let loaded: i64 = field(&mut again.dial(), "rdb_last_load_keys_loaded").parse().expect("one");
    // One more is in another database.
    assert_eq!(loaded, keys + 1);
    assert_eq!(field(&mut again.dial(), "rdb_last_load_keys_expired"), "0");
}
