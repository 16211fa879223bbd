//! Snapshots that are read while their member changes.

use super::{Overtaken, Piece, SnapshotReader};
use crate::base::ids::MemberId;
use crate::base::limits::{LONG_ELEMENTS, SNAPSHOT_WINDOW_BYTES, WALKS_MAX};
use crate::base::lowered::lower_long_elements;
use crate::base::position::{Offset, Position};
use crate::base::time::{MonoUs, WallMs};
use crate::engine::rdb::{FileInfo, Loader};
use crate::engine::{Digest, Engine, Thresholds};
use crate::node::transaction::tests::write;
use crate::node::{Applied, ApplyBudget, ReplicaSet, new_replid};
use crate::replication::{FollowerId, FollowerKind};
use crate::runtime::clock;

const NOW: WallMs = WallMs(1);

fn set(replicas: usize) -> ReplicaSet {
    let set = ReplicaSet::new(replicas, 1, new_replid(), Thresholds::default(), 64 << 20, 64 << 20);
    (0..200).for_each(|it| write(&set, &format!("SET k{it} {}", "v".repeat(100)), NOW));
    (0..200).for_each(|it| write(&set, &format!("RPUSH l{it} a b"), NOW));
    set
}

fn info(_: Position, _: Option<usize>) -> FileInfo {
    FileInfo { redis_version: "7", made_s: 0, used_bytes: 0, replication: None, is_aof_base: false }
}

fn follower(set: &ReplicaSet) -> FollowerId {
    set.add_wire_follower(FollowerKind::Wire, "f".into(), 0)
}

fn read(set: &ReplicaSet) -> SnapshotReader {
    set.snapshot(follower(set), info).expect("there are not too many")
}

/// Reads on to the end, and has `between` done after every look.
fn rest(reader: &SnapshotReader, mut between: impl FnMut()) -> Result<Vec<u8>, Overtaken> {
    let mut file = Vec::new();
    loop {
        match reader.look()? {
            Piece::Bytes(bytes) => file.extend_from_slice(&bytes),
            Piece::End => return Ok(file),
            Piece::Again => {}
            other => panic!("{other:?}"),
        }
        between();
    }
}

fn loaded(file: &[u8]) -> Digest {
    let mut loader = Loader::new(Engine::new(3, Thresholds::default()), NOW);
    loader.feed(file).expect("a file");
    loader.finish().expect("a whole file").engine.digest(NOW)
}

fn digest(set: &ReplicaSet) -> Digest {
    set.read(set.member(set.master())).engine().digest(NOW)
}

fn apply(set: &ReplicaSet) {
    for member in set.replicas() {
        while set.apply(member, ApplyBudget::SHORT) == Applied::Some {}
    }
}

#[test]
fn a_snapshot_is_of_its_moment_whatever_is_written_meanwhile() {
    for replicas in [0, 2] {
        let set = set(replicas);
        let (then, at) = (digest(&set), set.head());
        let reader = read(&set);
        assert_eq!(reader.snapshot().at().offset, at);
        let mut number = 0;
        let file = rest(&reader, || {
            write(&set, &format!("RPUSH l{} c", number % 200), NOW);
            write(&set, &format!("DEL k{}", number * 7 % 200), NOW);
            write(&set, &format!("SET new{number} v"), NOW);
            apply(&set);
            number += 1;
            if number == 20 {
                write(&set, "SWAPDB 0 1", NOW);
            }
            if number == 30 {
                write(&set, "FLUSHALL", NOW);
            }
        });
        assert_eq!(loaded(&file.unwrap()), then, "{replicas} replicas");
        assert!(number > 30, "it was read in {number} pieces");
        assert_ne!(digest(&set), then);
        assert_eq!(set.walks(), (0, 0), "nothing is kept");
    }
}

#[test]
fn those_who_ask_together_share_one() {
    let set = set(2);
    let (one, other) = (read(&set), read(&set));
    assert_eq!(set.walks().0, 1);
    let file = rest(&one, || {}).unwrap();
    assert_eq!(rest(&other, || {}).unwrap(), file);
    // All of it is still at hand.
    assert_eq!(rest(&read(&set), || {}).unwrap(), file);
    drop((one, other));
    let [counted, file] = set.counted_snapshot(follower(&set), info).unwrap();
    assert_eq!(set.walks().0, 2);
    let len = rest(&counted, || write(&set, "FLUSHALL", NOW)).unwrap().len();
    assert_eq!(rest(&file, || {}).unwrap().len(), len);
}

#[test]
fn the_fastest_waits_for_the_slowest() {
    let set = set(0);
    let value = "x".repeat(400 << 10);
    (0..20).for_each(|it| write(&set, &format!("SET long{it} {value}"), NOW));
    let (fast, slow) = (read(&set), read(&set));
    let mut bytes = 0;
    while !matches!(fast.look(), Ok(Piece::Ahead)) {
        bytes = fast.snapshot().output.lock().bytes;
    }
    assert!((SNAPSHOT_WINDOW_BYTES..SNAPSHOT_WINDOW_BYTES + (128 << 10)).contains(&bytes));
    write(&set, "FLUSHALL", NOW);
    assert_eq!(fast.kept_bytes(), 0, "it is not the one that others wait for");
    assert!(matches!(slow.look(), Ok(Piece::Bytes(_))));
    while !matches!(fast.look(), Ok(Piece::Ahead)) {}
    drop(slow);
    assert!(rest(&fast, || {}).is_ok());
    let later = set.snapshot(follower(&set), info).expect("another");
    assert!(later.snapshot().at() != fast.snapshot().at(), "its beginning has gone");
}

#[test]
fn what_is_kept_is_freed_when_nobody_reads() {
    for replicas in [0, 2] {
        let set = set(replicas);
        let (one, other) = (read(&set), read(&set));
        (0..100).for_each(|it| write(&set, &format!("RPUSH l{it} c"), NOW));
        apply(&set);
        assert!(100 * 2 < one.kept_bytes(), "{replicas}: {}", one.kept_bytes());
        drop(one);
        assert_eq!(set.walks().0, 1);
        // Somebody holds the member right now.
        let member = if replicas == 0 { MemberId(0) } else { MemberId(1) };
        let holds = [1, 2].map(|it| set.read(set.member(MemberId(it.min(replicas as u16)))));
        drop(other);
        write_unless_held(&set, replicas);
        drop(holds);
        set.free_ended_walks();
        assert!(!set.read(set.member(member)).engine().is_walked());
        let began = clock::mono_now();
        while set.walks() != (0, 0) && clock::mono_now().since(began) < 10_000_000 {
            std::thread::yield_now();
        }
        assert_eq!(set.walks(), (0, 0));
    }
}

fn write_unless_held(set: &ReplicaSet, replicas: usize) {
    if replicas != 0 {
        write(set, "RPUSH l7 c", NOW);
    }
}

#[test]
fn there_are_not_too_many_at_a_time() {
    let set = set(0);
    let mut readers = Vec::new();
    for _ in 0..WALKS_MAX / 2 {
        readers.push(set.counted_snapshot(follower(&set), info).unwrap());
    }
    let late = follower(&set);
    assert!(set.counted_snapshot(late, info).is_none());
    assert!(set.snapshot(late, info).is_none());
    readers.pop();
    assert!(set.snapshot(late, info).is_some());
}

#[test]
fn a_walk_outlives_a_change_of_roles_and_ends_with_the_data() {
    let set = set(1);
    let then = digest(&set);
    let (staying, ending) = (read(&set), read(&set));
    assert!(matches!(staying.look(), Ok(Piece::Again)));
    set.fail_over(set.member(MemberId(1))).unwrap();
    (0..200).for_each(|it| write(&set, &format!("RPUSH l{it} c"), NOW));
    assert_eq!(loaded(&rest(&staying, || {}).unwrap()), then);
    drop((staying, ending));
    apply(&set);
    set.fail_over(set.member(MemberId(0))).unwrap();
    let reader = read(&set);
    assert!(reader.look().is_ok());
    set.remove_member(set.member(MemberId(1)), MonoUs(1)).unwrap();
    assert_eq!(rest(&reader, || {}), Err(Overtaken));
    assert_eq!(set.head(), set.member(MemberId(0)).applied());
    assert_ne!(set.head(), Offset::ZERO);
}

/// A write to a large value that is still to be walked copies it: that is no work for a worker.
#[test]
fn what_must_be_copied_first_takes_long() {
    lower_long_elements(8);
    let set = set(1);
    (0..20).for_each(|it| write(&set, &format!("RPUSH large {it}"), NOW));
    apply(&set);
    let (then, member) = (digest(&set), set.member(MemberId(1)));
    let reader = read(&set);
    write(&set, "RPUSH l7 c", NOW);
    write(&set, "LPOP large", NOW);
    write(&set, "RPUSH l8 c", NOW);
    assert_eq!(set.apply(member, ApplyBudget::SHORT), Applied::Some);
    assert_eq!(set.apply(member, ApplyBudget::SHORT), Applied::Long);
    assert_eq!(set.apply(member, ApplyBudget::SHORT), Applied::Long);
    set.apply_long(member);
    // It has been copied by now.
    write(&set, "LPOP large", NOW);
    apply(&set);
    assert_eq!(member.applied(), set.head());
    assert_eq!(loaded(&rest(&reader, || {}).unwrap()), then);
    lower_long_elements(LONG_ELEMENTS);
}

#[test]
fn a_file_to_keep_needs_no_follower() {
    let set = set(1);
    let then = digest(&set);
    let reader = set.snapshot_to_keep(info).unwrap();
    write(&set, "FLUSHALL", NOW);
    let mut file = Vec::new();
    while let Some(bytes) = reader.wait_for_next().unwrap() {
        file.extend_from_slice(&bytes);
    }
    assert_eq!(loaded(&file), then);
}

#[test]
fn who_asks_in_another_history_gets_a_snapshot_of_that() {
    let set = set(2);
    apply(&set);
    let _one = read(&set);
    set.fail_over(set.member(MemberId(1))).unwrap();
    let other = read(&set);
    assert_eq!(set.walks().0, 2);
    assert_eq!(other.snapshot().at().replid, set.history().replid);
}

#[test]
fn a_snapshot_tells_how_far_it_has_come_and_nothing_is_known_of_it_afterwards() {
    let set = set(0);
    let reader = read(&set);
    assert_eq!(reader.snapshot().progress(), (0, 400));
    rest(&reader, || {}).unwrap();
    assert_eq!(reader.snapshot().progress(), (400, 400));
    drop(reader);
    assert_eq!(set.walks(), (0, 0));
    assert!(set.wire.walks.lock().is_empty());
}
