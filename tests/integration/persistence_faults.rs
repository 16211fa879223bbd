//! Disks that are full or fail, for real: writes are refused meanwhile, none that was answered is
//! lost, and they are taken again by themselves.

use crate::support::faulty_disk::{DiskFault, FaultyDisk};
use crate::support::on_disk::{
    ALWAYS, AOF, Dir, SmallDisk, check_all, field, ours, redis_on, refused,
};
use crate::support::{Server, Wire, info_field, ok, starts, until, until_blocked, words};
use std::process::Command;
use std::{fs, io, thread};

const WRITES: usize = 200;

fn until_status(wire: &mut Wire, status: &str) {
    until(&format!("the last write to be {status}"), || {
        (field(wire, "aof_last_write_status") == status).then_some(())
    });
}

/// Which of the writes that were sent have been answered with OK.
fn answered(writer: &mut Wire) -> Vec<usize> {
    (0..WRITES).filter(|_| writer.read().to_string() == "+OK").collect()
}

/// A fault begins under writes, and ends; then the process is killed.
fn survives(fault: DiskFault, told: &str, fsync: &str) {
    let (dir, disk) = (Dir::new(), FaultyDisk::new());
    let server = disk.ours(&dir, fsync);
    let mut wire = server.dial();
    (0..50).for_each(|it| ok(&mut wire, &format!("SET before:{it} 1")));
    let before = dir.parts();
    disk.begin(fault);
    let mut writer = server.dial();
    let value = "x".repeat(1000);
    let set = |it| words(&["SET", &format!("during:{it}"), &value]);
    writer.send(&(0..WRITES).map(set).collect::<Vec<_>>());
    until_status(&mut wire, "err");
    starts(&wire.ask("SET refused 1"), &format!("MISCONF Errors writing to the AOF file: {told}"));
    starts(&wire.ask("PING"), "MISCONF");
    assert_eq!(wire.ask("GET before:7").string(), "1", "reads go on");
    disk.end(fault);
    until_status(&mut wire, "ok");
    let kept = answered(&mut writer);
    ok(&mut wire, "SET behind 1");
    if matches!(fault, DiskFault::Sync) {
        assert_ne!(field(&mut wire, "aof_failed_fsyncs"), "0");
        // What an fsync has failed for is trusted no more, whatever a later one says.
        let parts = dir.parts();
        assert!(parts.iter().all(|it| !before.contains(it)), "{before:?} and {parts:?}");
    }
    // Without an fsync before each reply, that is the last second's.
    assert_eq!(wire.ask("WAITAOF 1 0 5000").list()[0].int(), Some(1));
    server.crash();
    check_all(&dir);
    let again = ours(&dir, AOF);
    let mut wire = again.dial();
    assert_eq!(wire.ask("GET behind").string(), "1");
    (0..50).for_each(|it| assert_eq!(wire.ask(&format!("GET before:{it}")).string(), "1"));
    for it in kept {
        assert_eq!(wire.ask(&format!("STRLEN during:{it}")).int(), Some(1000), "{it} was answered");
    }
}

#[test]
fn an_fsync_that_fails_before_replies_loses_nothing_and_begins_a_new_generation() {
    survives(DiskFault::Sync, "Input/output error", ALWAYS);
}

#[test]
fn an_fsync_that_fails_once_a_second_loses_nothing_and_begins_a_new_generation() {
    survives(DiskFault::Sync, "Input/output error", AOF);
}

#[test]
fn writes_that_have_room_in_part_are_whole_once_there_is_room_again() {
    for fsync in [ALWAYS, AOF] {
        survives(DiskFault::Full, "No space left on device", fsync);
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_last_one() {
    for fault in [DiskFault::Sync, DiskFault::Full] {
        let (dir, disk) = (Dir::new(), FaultyDisk::new());
        let server = disk.ours(&dir, "save = \"3600 1\"");
        let mut wire = server.dial();
        ok(&mut wire, "SET a 1");
        ok(&mut wire, "SAVE");
        let file = dir.join("dump.rdb");
        let before = fs::read(&file).expect("it is there");
        ok(&mut wire, "SET a 2");
        disk.begin(fault);
        starts(&wire.ask("SAVE"), "ERR ");
        assert_eq!(field(&mut wire, "rdb_last_bgsave_status"), "err");
        starts(&wire.ask("SET a 3"), "MISCONF");
        assert_eq!(fs::read(&file).expect("it is there"), before);
        disk.end(fault);
        ok(&mut wire, "SAVE");
        ok(&mut wire, "SET a 4");
        check_all(&dir);
        server.crash();
        assert_eq!(ours(&dir, "").dial().ask("GET a").string(), "2");
    }
}

#[test]
fn a_rewrite_that_cannot_be_written_leaves_the_file_as_it_was() {
    for fault in [DiskFault::Sync, DiskFault::Full] {
        let (dir, disk) = (Dir::new(), FaultyDisk::new());
        // With `no` nothing else is written or synced meanwhile.
        let server = disk.ours(&dir, "appendonly = true\nappendfsync = \"no\"");
        let mut wire = server.dial();
        ok(&mut wire, "SET a 1");
        assert_eq!(wire.ask("WAITAOF 1 0 5000").list()[0].int(), Some(1));
        let before = dir.parts();
        disk.begin(fault);
        starts(&wire.ask("BGREWRITEAOF"), "Background append only file rewriting started");
        until("the rewrite to fail", || {
            (field(&mut wire, "aof_last_bgrewrite_status") == "err").then_some(())
        });
        disk.end(fault);
        assert_eq!(dir.parts(), before);
        until_status(&mut wire, "ok");
        ok(&mut wire, "SET a 2");
        assert_eq!(wire.ask("WAITAOF 1 0 5000").list()[0].int(), Some(1));
        server.crash();
        check_all(&dir);
        assert_eq!(ours(&dir, AOF).dial().ask("GET a").string(), "2");
    }
}

#[test]
fn a_full_disk_refuses_writes_and_loses_none_that_was_answered() {
    let Some(disk) = SmallDisk::new() else { return };
    let server =
        ours(&disk.0, &format!("{ALWAYS}\nsave = \"3600 1\"\nauto-aof-rewrite-percentage = 0"));
    let mut wire = server.dial();
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 2 << 20]).expect("it fits");
    // A client whose write is not on disk has no answer, and others go on.
    let value = "x".repeat(100_000);
    let mut writer = server.dial();
    writer.send(&(0..40).map(|it| words(&["SET", &format!("k{it}"), &value])).collect::<Vec<_>>());
    until("the disk to be full", || {
        (field(&mut wire, "aof_last_write_status") == "err").then_some(())
    });
    starts(&wire.ask("SET refused 1"), "MISCONF Errors writing to the AOF file: No space left");
    starts(&wire.ask("PING"), "MISCONF");
    assert!(wire.ask("GET none").is_nil(), "reads go on");
    starts(&wire.ask("SAVE"), "ERR ");
    assert_eq!(field(&mut wire, "rdb_last_bgsave_status"), "err");
    fs::remove_file(&filler).expect("it is ours");
    until("the disk to have room", || {
        (field(&mut wire, "aof_last_write_status") == "ok").then_some(())
    });
    let answered = (0..40).filter(|_| writer.read().to_string() == "+OK").count();
    ok(&mut wire, "CONFIG SET stop-writes-on-bgsave-error no");
    until("writes to be taken", || (!wire.ask("SET taken 1").is_error()).then_some(()));
    server.crash();
    let again = ours(&disk.0, AOF);
    let keys = again.dial().ask("DBSIZE").int().expect("a number") as usize;
    assert!(answered < keys, "{answered} were answered, and {keys} are there");
}

/// A small file of every kind, damaged in some of all places. What a start does with each of all
/// bytes is tested within the process.
#[test]
fn damaged_files_are_refused_with_their_place_and_nothing_is_changed() {
    const PLACES: usize = 12;
    let dir = Dir::new();
    let server = ours(&dir, AOF);
    let mut wire = server.dial();
    for command in ["SET a 1", "RPUSH l x y z", "HSET h f 1", "ZADD z 1 a", "SADD s 1 2"] {
        assert!(!wire.ask(command).is_error());
    }
    ok(&mut wire, "SAVE");
    crate::support::on_disk::rewrite(&mut wire);
    assert_eq!(server.stop().code(), Some(0));
    let base = dir.parts().into_iter().find(|it| it.to_string_lossy().ends_with("base.rdb"));
    let base = base.expect("there is one");
    for (file, more) in [(dir.join("dump.rdb"), ""), (base, AOF)] {
        let whole = fs::read(&file).expect("it is there");
        let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
        for place in 0..PLACES {
            // Behind the magic: files of older versions have no checksum.
            let at = 9 + place * (whole.len() - 9) / PLACES;
            let mut flipped = whole.clone();
            flipped[at] ^= 0x41;
            for damaged in [&flipped[..], &whole[..at]] {
                fs::write(&file, damaged).expect("it is ours");
                let said = refused(&crate::support::on_disk::config(&dir, more));
                assert!(said.contains(&name) && said.contains(" at byte "), "{at}: {said}");
                assert!(!said.contains("panicked"), "{at}: {said}");
                assert_eq!(fs::read(&file).expect("it is there"), damaged);
            }
        }
        fs::write(&file, &whole).expect("it is ours");
        let server: Server = ours(&dir, more);
        assert_eq!(server.dial().ask("DBSIZE").int(), Some(5));
    }
}

const SAVES: &str = "save = \"3600 1\"";
/// Where ours writes a snapshot first; a directory there keeps it from being made.
const TEMPORARY: &str = "temp-dump.rdb";

#[test]
fn a_server_whose_last_snapshot_cannot_be_made_stays() {
    const NOT_SHUT_DOWN: &str = "ERR Errors trying to SHUTDOWN. Check logs.";
    let dirs = [Dir::new(), Dir::new()];
    let redis = redis_on(&dirs[0], &["--save", "3600 1"]);
    let temporary = format!("temp-{}.rdb", redis.pid());
    for (server, dir, temporary, refusal) in [
        (redis, &dirs[0], temporary.as_str(), "Errors trying to shut down"),
        (ours(&dirs[1], SAVES), &dirs[1], TEMPORARY, "event=shutdown-refused"),
    ] {
        let (mut wire, mut writer) = (server.dial(), server.dial());
        ok(&mut wire, "SET a 1");
        let blocker = dir.join(temporary);
        fs::create_dir(&blocker).expect("it is ours");
        for order in ["SHUTDOWN", "SHUTDOWN SAVE", "SHUTDOWN NOW"] {
            starts(&wire.ask(order), NOT_SHUT_DOWN);
        }
        let refusals = |server: &Server| server.said().matches(refusal).count();
        let before = refusals(&server);
        server.terminate();
        until("the signal to be refused", || (before < refusals(&server)).then_some(()));
        assert_eq!(wire.ask("GET a").string(), "1");
        ok(&mut writer, "SET b 2");
        fs::remove_dir(&blocker).expect("it is there");
        wire.send_raw(b"SHUTDOWN\r\n");
        assert_eq!(server.until_ended().code(), Some(0));
        assert_eq!((wire.read_to_end(), writer.read_to_end()), (Vec::new(), Vec::new()));
        let again = redis_on(dir, &[]);
        assert_eq!(again.dial().ask("GET b").string(), "2");
    }
}

#[test]
fn a_forced_end_does_without_its_snapshot() {
    for order in ["SHUTDOWN FORCE", "SHUTDOWN NOSAVE", "SHUTDOWN SAVE NOW FORCE"] {
        let dir = Dir::new();
        let server = ours(&dir, SAVES);
        let mut wire = server.dial();
        ok(&mut wire, "SET a 1");
        fs::create_dir(dir.join(TEMPORARY)).expect("it is ours");
        wire.send_raw(format!("{order}\r\n").as_bytes());
        assert_eq!(server.until_ended().code(), Some(0), "{order}");
        assert_eq!(wire.read_to_end(), b"", "{order}");
    }
}

#[test]
fn the_last_snapshot_has_every_write_that_was_answered() {
    for order in [None, Some("SHUTDOWN\r\n")] {
        let dir = Dir::new();
        let server = ours(&dir, SAVES);
        let (mut wire, mut writer) = (server.dial(), server.dial());
        ok(&mut wire, "DEBUG POPULATE 200000");
        let written = thread::spawn(move || {
            let mut last = 0;
            loop {
                if writer.try_send_raw(b"INCR n\r\n").is_err() {
                    return last;
                }
                match writer.try_read().and_then(|it| it.int()) {
                    Some(told) => last = told,
                    None => return last,
                }
            }
        });
        until("writes", || (4 <= wire.ask("STRLEN n").int()?).then_some(()));
        match order {
            None => server.terminate(),
            Some(order) => wire.send_raw(order.as_bytes()),
        }
        assert_eq!(server.until_ended().code(), Some(0));
        let last = written.join().expect("it ends");
        let again = ours(&dir, SAVES);
        let kept: i64 = again.dial().ask("GET n").string().parse().expect("a number");
        assert_eq!(kept, last, "{order:?}");
    }
}

/// A server whose next snapshot does not get on: it is written into a pipe that nobody reads.
fn with_a_snapshot_that_waits(dir: &Dir) -> Server {
    let server = ours(dir, SAVES);
    ok(&mut server.dial(), "SET a 1");
    ok(&mut server.dial(), "CONFIG SET loglevel notice");
    let pipe = dir.join(TEMPORARY);
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    server
}

fn until_saving(wire: &mut Wire) {
    until("the last snapshot", || (field(wire, "rdb_bgsave_in_progress") == "1").then_some(()));
}

#[test]
fn an_end_that_is_called_off_leaves_nobody_waiting() {
    let dir = Dir::new();
    let server = with_a_snapshot_that_waits(&dir);
    let [mut wire, mut ending, mut writer] = [(); 3].map(|()| server.dial());
    starts(&wire.ask("SHUTDOWN ABORT"), "ERR No shutdown in progress");
    // A pause whose time is over, and that nobody has ended.
    ok(&mut wire, "CLIENT PAUSE 1 WRITE");
    ok(&mut writer, "SET b 0");
    ending.send(&[words(&["SHUTDOWN"])]);
    until_saving(&mut wire);
    starts(&writer.ask("SHUTDOWN"), "ERR Errors trying to SHUTDOWN");
    let blocked = info_field(&mut wire, "clients", "blocked_clients");
    let blocked: usize = blocked.and_then(|it| it.parse().ok()).expect("a number");
    writer.send(&[words(&["SET", "b", "1"])]);
    until_blocked(&mut wire, blocked + 1);
    assert_eq!(wire.ask("GET a").string(), "1", "reads go on");
    assert!(!writer.has_input());
    ok(&mut wire, "SHUTDOWN ABORT");
    assert_eq!(writer.read().to_string(), "+OK");
    // What waits for the pipe is not waited for.
    wire.send_raw(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(server.until_ended().code(), Some(0));
}

#[test]
fn the_first_signal_goes_on_with_the_end_that_is_under_way() {
    let dir = Dir::new();
    let server = with_a_snapshot_that_waits(&dir);
    let [mut wire, mut ending] = [(); 2].map(|()| server.dial());
    ending.send(&[words(&["SHUTDOWN"])]);
    until_saving(&mut wire);
    ok(&mut wire, "SHUTDOWN ABORT");
    server.terminate();
    until("the signal", || server.said().contains("action=drain").then_some(()));
    assert_eq!(wire.ask("PING").string(), "PONG");
    // Somebody reads at last. A pipe cannot be synced: the snapshot fails, and the server stays.
    let mut pipe = fs::File::open(dir.join(TEMPORARY)).expect("it is there");
    io::copy(&mut pipe, &mut io::sink()).expect("it is read");
    starts(&ending.read(), "ERR Errors trying to SHUTDOWN");
    ok(&mut wire, "SET b 1");
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(0));
    assert_eq!(redis_on(&dir, &[]).dial().ask("GET b").string(), "1");
}

#[test]
fn a_script_that_has_written_is_ended_by_nosave_alone() {
    let dir = Dir::new();
    let server = ours(&dir, SAVES);
    let [mut wire, mut script] = [(); 2].map(|()| server.dial());
    ok(&mut wire, "CONFIG SET busy-reply-threshold 10 shutdown-timeout 1");
    script.send(&[words(&["EVAL", "redis.call('SET', 'a', 1) while true do end", "0"])]);
    until("others to be refused", || {
        wire.ask("SET b 1").to_string().starts_with("-BUSY").then_some(())
    });
    starts(&wire.ask("SHUTDOWN"), "BUSY");
    starts(&wire.ask("SHUTDOWN SAVE"), "BUSY");
    wire.send_raw(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(server.until_ended().code(), Some(0));
}
