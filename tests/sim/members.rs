//! What happens to members in a simulation, and what must be true of them in the end.

use super::script::{DATABASES, KEYS};
use entourage::base::limits::HISTORIES_MAX;
use entourage::base::planted::planted;
use entourage::base::position::Offset;
use entourage::base::time::{MonoUs, WallMs};
use entourage::command::{Args, CallEnv, Fault};
use entourage::commands::table;
use entourage::engine::rdb::{FileInfo, Loader};
use entourage::engine::{Effects, Engine, Run, Thresholds, verbs};
use entourage::node::{Applied, ApplyBudget, Member, MemberFlags, ReplicaSet, Verb};
use entourage::node::{Overtaken, Piece, SnapshotReader, present};
use entourage::replication::FollowerKind;
use entourage::resp::{AuthState, Decoder, Limits, OwnedRequest, Reply, Step};
use entourage::runtime::steps;
use std::sync::Arc;
use std::time::Duration;

pub const BACKLOG_BYTES: usize = 64 << 20;
const MEMBERS_MAX: usize = 5;
/// From this on, and below 92, there are more failovers than anybody remembers.
const FAILOVERS_FROM: u64 = 90;
/// Before anything has expired: digests hold all there is.
const WALL: WallMs = WallMs(1_700_000_000_000);

const FILE_INFO: FileInfo = FileInfo {
    redis_version: "7",
    made_s: 0,
    used_bytes: 0,
    replication: None,
    is_aof_base: false,
};

/// Whether this waits until nobody works apart.
pub fn waits_for_all(which: u64) -> bool {
    (FAILOVERS_FROM..92).contains(&which)
}

/// Whether this takes long, and is done by threads of their own.
pub fn is_apart(which: u64) -> bool {
    (73..86).contains(&which)
}

/// Something that takes long happens to a member, while others may work apart as well.
pub fn happen_apart(set: &ReplicaSet, which: u64, member: &Member, now: MonoUs) -> String {
    match which {
        // Some planted faults are found so seldom that nothing else should take their turns.
        73 | 74 if planted().is_none() && !set.needs_sync(member) => walk(set),
        73..83 => sync(set, member, now),
        _ => format!("failover to {} {}", member.name, set.fail_over(member).is_ok()),
    }
}

/// Something that happens to members. Answers what, for the trace. `is_alone` says that nobody
/// works apart.
pub fn happen(
    set: &ReplicaSet,
    which: u64,
    mut below: impl FnMut(usize) -> usize,
    now: MonoUs,
    is_alone: bool,
) -> String {
    let member = any_member(set, &mut below);
    let name = &member.name;
    match which {
        0..48 => {
            // A batch may end before all that was taken from the log has been applied.
            set.apply(&member, ApplyBudget::ShortWrites(1 + below(12)));
            format!("{name} applied {}", member.applied())
        }
        48..59 => format!("{name} pauses {}", set.pause(&member, now).is_ok()),
        59..66 if !is_alone => "nothing".to_owned(),
        59..66 => {
            set.resume(&member);
            format!("{name} resumes")
        }
        66..70 if member.is(MemberFlags::DRAINED) => {
            set.undrain(&member);
            format!("{name} undrained")
        }
        66..70 => format!("{name} drained {}", set.drain(&member, now).is_ok()),
        // Whoever is to take over is not cut off.
        70..73 if set.member(set.master()).is(MemberFlags::QUARANTINED) => "nothing".to_owned(),
        70..73 => squeeze(set, below(2000)),
        92 | 93 => {
            while set.apply(&member, ApplyBudget::ShortWrites(64)) == Applied::Some {}
            format!("{name} applied all, {}", member.applied())
        }
        _ if !is_alone => "nothing".to_owned(),
        73..83 => sync(set, &member, now),
        83..86 => format!("failover to {name} {}", fail_over(set, &member)),
        86 => {
            set.ping(now);
            "heartbeat".to_owned()
        }
        87..89 => panic_at_work(set, now),
        89 if below(4) == 0 => remove(set, &member, now),
        89 => grow(set, now),
        FAILOVERS_FROM..92 => fail_over_often(set, below(2) == 0, now),
        _ => "nothing".to_owned(),
    }
}

/// One that has not been taken out.
pub fn any_member(set: &ReplicaSet, mut below: impl FnMut(usize) -> usize) -> Arc<Member> {
    let member_list = set.member_list();
    let members: Vec<&Arc<Member>> = present(&member_list).collect();
    members[below(members.len())].clone()
}

/// The bound tightens for a moment: who is behind is cut.
fn squeeze(set: &ReplicaSet, bytes: usize) -> String {
    set.bound_log(BACKLOG_BYTES, bytes);
    set.bound_log(BACKLOG_BYTES, BACKLOG_BYTES);
    for member in set.member_list().iter().filter(|it| !it.is_sound()) {
        assert!(!member.in_service());
        assert_eq!(set.apply(member, ApplyBudget::Writes(1)), Applied::Nothing);
        set.let_go_unsynced(member);
    }
    format!("feeds squeezed to {bytes}")
}

fn sync(set: &ReplicaSet, member: &Member, now: MonoUs) -> String {
    let before = member.applied();
    if set.needs_sync(member) {
        set.sync(member, now);
        assert!(before <= member.applied(), "a sync never goes back");
    }
    format!("{} synced {}", member.name, member.applied())
}

/// Somebody reads a snapshot, a piece at a time, and finds in it what there was when it began.
fn walk(set: &ReplicaSet) -> String {
    let id = set.add_wire_follower(FollowerKind::Wire, "reader".to_owned(), 0);
    let found = match set.snapshot(id, |_, _| FILE_INFO) {
        Some(reader) => read_snapshot(set, &reader),
        None => "too many".to_owned(),
    };
    set.remove_follower(id);
    format!("a snapshot: {found}")
}

fn read_snapshot(set: &ReplicaSet, reader: &SnapshotReader) -> String {
    let at = reader.snapshot().at();
    let master = set.member(set.master());
    // Another may have begun it long ago, and somebody may change the master for long.
    let is_new = at.offset == set.head() && !master.is_long_held();
    let then = is_new.then(|| set.read(master).engine().digest(WALL));
    let mut loader = Loader::new(set.new_engine(), WALL);
    loop {
        match reader.look() {
            Err(Overtaken) => return "overtaken".to_owned(),
            Ok(Piece::Bytes(bytes)) => assert_eq!(loader.feed(&bytes).ok(), Some(bytes.len())),
            Ok(Piece::End) => break,
            Ok(Piece::Again) => steps::works(),
            Ok(Piece::Busy | Piece::Ahead) => steps::rest(Duration::ZERO),
        }
    }
    let loaded = loader.finish().unwrap_or_else(|fault| panic!("{fault}"));
    let now = loaded.engine.digest(WALL);
    assert!(then.is_none_or(|it| it == now), "a snapshot at {at} is of another time");
    format!("{} {}", at.offset, if then.is_some() { "as it was" } else { "joined" })
}

/// Whether a member can take over.
fn is_fit(set: &ReplicaSet, member: &Member) -> bool {
    let has_orders = member.is(MemberFlags::PAUSED | MemberFlags::DRAINED);
    member.id != set.master() && member.is_sound() && !has_orders
}

/// Makes a member the master, if it is fit. Answers whether it was.
pub fn fail_over(set: &ReplicaSet, member: &Member) -> bool {
    let is_fit = is_fit(set, member);
    assert_eq!(set.fail_over(member).is_ok(), is_fit, "{}", member.flags());
    is_fit
}

/// More failovers than a stream remembers: whoever has slept through them has a floor of a history
/// that nobody knows any more.
/// A member may sleep through all of them, too, and goes on serving what it has.
fn fail_over_often(set: &ReplicaSet, one_sleeps: bool, now: MonoUs) -> String {
    let member_list = set.member_list();
    let one = member_list[set.master().index()].clone();
    let Some(other) = member_list.iter().find(|it| is_fit(set, it)) else {
        return "nobody to fail over to".to_owned();
    };
    // The one that lacks most has most to hide from those who wake up.
    let thirds = member_list.iter().filter(|it| it.id != other.id && is_fit(set, it));
    let third = thirds.min_by_key(|it| it.applied());
    if let Some(third) = third.filter(|_| one_sleeps) {
        assert!(set.pause(third, now).is_ok());
    }
    for _ in 0..=HISTORIES_MAX / 2 {
        fail_over(set, other);
        fail_over(set, &one);
    }
    format!("{} failovers", 2 * (HISTORIES_MAX / 2 + 1))
}

fn grow(set: &ReplicaSet, now: MonoUs) -> String {
    if set.member_list().len() < MEMBERS_MAX {
        let _ = set.add_replica(now);
    }
    format!("{} members", set.member_list().len())
}

/// What has expired by this time is deleted.
pub fn expire(set: &ReplicaSet, wall: WallMs, now: MonoUs) {
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    if writing.member().is(MemberFlags::QUARANTINED) {
        return;
    }
    let mut transaction = writing.begin(&mut effects, now);
    transaction.expire_due(wall, 20);
    transaction.commit();
}

/// One that is no use is taken out; its place is the next one's.
fn remove(set: &ReplicaSet, member: &Member, now: MonoUs) -> String {
    let replicas = present(&set.member_list()).count() - 1;
    if replicas < 2 {
        return "nobody to spare".to_owned();
    }
    format!("{} is removed {}", member.name, set.remove_member(member, now).is_ok())
}

/// A verb changes something at the master, and panics.
fn panic_at_work(set: &ReplicaSet, now: MonoUs) -> String {
    let (member_list, master) = (set.member_list(), set.master());
    if !member_list.iter().any(|it| it.id != master && it.is_sound()) {
        return "nobody to take over from a master that panics".to_owned();
    }
    let owned = OwnedRequest::of(["SET", "k0", "999999999:broken"]);
    let request = owned.borrow();
    let spec = &table().find(request).expect("SET is known").spec;
    let env = CallEnv::new(WALL, 1);
    let (mut effects, mut reply) = (Effects::default(), Reply::default());
    {
        let mut writing = set.write(&member_list);
        let transaction = writing.begin(&mut effects, now);
        let args = Args::new(request, 1, 0, &env);
        let done = transaction.call_and_commit(Verb::Write(spec, half_a_set), args, &mut reply);
        assert!(done.is_err() && reply.bytes().is_empty());
    }
    set.replace_quarantined_master();
    assert_ne!(set.master(), master, "a replica takes over");
    format!("{} panicked", member_list[master.index()].name)
}

/// Stores its key, and does not live to say so.
fn half_a_set(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let row = verbs::find(b"SET").expect("SET is known");
    let (Run::Write(set) | Run::Either { write: set, .. }) = row.run else { panic!("SET writes") };
    set(engine, args, effects, reply)?;
    panic!("broken before it was said");
}

/// All orders end, and everybody applies all there is.
pub fn settle(set: &ReplicaSet, now: MonoUs) {
    // Somebody may wait for as many as there were.
    while set.member_list().iter().any(|it| it.is(MemberFlags::REMOVED)) {
        set.add_replica(now).expect("a place is free");
    }
    let member_list = set.member_list();
    for member in present(&member_list) {
        set.resume(member);
        set.undrain(member);
    }
    for member in present(&member_list).chain(present(&member_list)) {
        if set.needs_sync(member) {
            set.sync(member, now);
        }
        while set.apply(member, ApplyBudget::Writes(64)) == Applied::Some {}
    }
}

/// The value of a string at one member, as it is.
pub fn value_at(set: &ReplicaSet, member: &Member, db: usize, key: &str) -> Option<String> {
    let reading = set.read(member);
    let value = reading.engine().view(db, WALL).string(key.as_bytes());
    value.ok().flatten().map(|it| String::from_utf8_lossy(it).into_owned())
}

/// Whether somebody watches this key at the master.
pub fn is_watched(set: &ReplicaSet, db: usize, key: &str) -> bool {
    let member_list = set.member_list();
    set.write(&member_list).engine().space(db).version(key.as_bytes()).is_some()
}

/// Every key that is checked, with its name.
pub fn keys() -> impl Iterator<Item = (usize, u64, String)> {
    (0..DATABASES).flat_map(|db| (0..KEYS).map(move |it| (db, it, format!("k{it}"))))
}

/// What is wrong with the members in the end, when all of them have applied all there is.
pub fn differences(set: &ReplicaSet, start: Offset) -> Vec<String> {
    let member_list = set.member_list();
    let of = |it: &Arc<Member>| set.read(it).engine().digest(WALL).to_string();
    let master = of(&member_list[set.master().index()]);
    let mut found = Vec::new();
    for member in present(&member_list) {
        if member.applied() != set.head() || of(member) != master {
            found.push(format!("{} differs from the master", member.name));
        }
    }
    let stream = set.stream_from(start).expect("the backlog keeps everything").concat();
    let engine = Engine::new(1, Thresholds::default());
    if replayed(engine, &stream).digest(WALL).to_string() != master {
        found.push("the stream does not make the master's data".to_owned());
    }
    found
}

/// Where the stream's writes end: a transaction is one.
pub fn ends_of_writes(stream: &[u8]) -> Vec<usize> {
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    let (mut at, mut is_within, mut ends) = (0, false, Vec::new());
    while at < stream.len() {
        let Ok(Step::Ready { consumed }) = decoder.poll(&stream[at..]) else {
            panic!("half a command")
        };
        match decoder.request(&stream[at..]).get(0).unwrap_or_default() {
            b"MULTI" => is_within = true,
            b"EXEC" => is_within = false,
            _ => {}
        }
        at += consumed;
        if !is_within {
            ends.push(at);
        }
    }
    ends
}

/// A fresh engine after this stream.
pub fn replayed(mut engine: Engine, stream: &[u8]) -> Engine {
    let mut decoder = Decoder::new(Limits::of(AuthState::Known));
    let (mut rest, mut db) = (stream, 0);
    while !rest.is_empty() {
        let Ok(Step::Ready { consumed }) = decoder.poll(rest) else { panic!("half a command") };
        let request = decoder.request(rest);
        match request.get(0).unwrap_or_default() {
            b"SELECT" => {
                let index = String::from_utf8_lossy(request.get(1).unwrap_or_default());
                db = index.parse().expect("a database");
            }
            b"PING" | b"MULTI" | b"EXEC" | b"REPLCONF" | b"PUBLISH" | b"SPUBLISH" => {}
            _ => {
                let (mut effects, mut reply) = (Effects::default(), Reply::default());
                let done = engine.repeat(db, WallMs(0), request, &mut effects, &mut reply);
                done.expect("it can be repeated");
            }
        }
        rest = &rest[consumed..];
    }
    engine
}
