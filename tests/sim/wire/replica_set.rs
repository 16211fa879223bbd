//! Writes to a set and looks at it, without clients.

use super::super::members;
use entourage::base::time::{MonoUs, WallMs};
use entourage::command::{Args, CallEnv};
use entourage::engine::{Effects, Run, Thresholds, verbs};
use entourage::node::{Applied, ApplyBudget, ReplicaSet, Verb, new_replid};
use entourage::resp::{OwnedRequest, Reply};
use entourage::route::CountHosted;

/// The key that says which writes there have been.
pub const ORDER: &str = "order";
/// Digests hold what has expired, too: every set deletes when its master says so.
pub const EARLY: WallMs = WallMs(1_700_000_000_000);

const BACKLOG_BYTES: usize = 4 << 20;

/// A set with so many hosted replicas, which do not count as replicas.
pub fn new_set(replicas: usize, seed: u64) -> ReplicaSet {
    let (backlog, feed) = (BACKLOG_BYTES, 64 << 20);
    let id = new_replid();
    let set = ReplicaSet::new(replicas, seed, id, Thresholds::default(), backlog, feed);
    set.count_hosted(CountHosted::No);
    set
}

/// Makes these calls as one write. What a key's type does not allow is passed over.
pub fn write(set: &ReplicaSet, calls: &[(usize, String)], wall: WallMs, now: MonoUs) {
    let (member_list, mut effects) = (set.member_list(), Effects::default());
    let mut writing = set.write(&member_list);
    let mut transaction = writing.begin(&mut effects, now);
    for (db, line) in calls {
        if line == "EXPIRE-DUE" {
            transaction.expire_due(wall, 10);
            continue;
        }
        let owned = OwnedRequest::of(line.split(' '));
        let env = CallEnv::new(wall, now.0);
        let args = Args::new(owned.borrow(), 1, *db, &env);
        let row = verbs::find(args.request().get(0).unwrap_or_default()).expect("a known command");
        let (Run::Write(verb) | Run::Either { write: verb, .. }) = row.run else {
            panic!("{line} does not write");
        };
        let _ = transaction.call(Verb::Write(&row.spec, verb), args, &mut Reply::default());
    }
    transaction.commit();
}

/// The numbers of the writes that the head of the set has, each with a comma behind it.
pub fn order(set: &ReplicaSet) -> String {
    members::value_at(set, set.member(set.master()), 0, ORDER).unwrap_or_default()
}

/// What the head of the set holds.
pub fn digest(set: &ReplicaSet) -> String {
    set.read(set.member(set.master())).engine().digest(EARLY).to_string()
}

/// Hosted replicas apply all there is.
pub fn apply_all(set: &ReplicaSet, now: MonoUs) {
    for member in set.member_list().iter() {
        if set.needs_sync(member) {
            set.sync(member, now);
        }
        while set.apply(member, ApplyBudget::Writes(64)) == Applied::Some {}
    }
}
