//! Replicas on the wire: what the set has for whoever serves them.
//!
//! A full resync begins with a [`Snapshot`]: the keys of one member at one offset, which others go
//! on to read and to change. It is a replica of the set where there is one, so that what comes of
//! being walked is not the master's work; the master stands still only for the moment in which the
//! offset is chosen.

use super::apply_budget::ApplyBudget;
use super::feed::Applied;
use super::member::{Hosted, Member};
use super::member_state::{Hold, MemberFlags};
use super::replica_set::ReplicaSet;
use super::snapshot::{MemberWalk, Snapshot, SnapshotReader};
use crate::base::limits::{DATABASES, WALKS_MAX, WIRE_JOIN_BYTES_MAX};
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Offset, Position, ReplId};
use crate::base::time::MonoUs;
use crate::engine::rdb::FileInfo;
use crate::engine::{Engine, KeySlot, Walk};
use crate::metrics::latency_events::LatencyEvent;
use crate::replication::{
    DisconnectReason, FollowerId, FollowerKind, FollowerState, Log, PeerFault,
};
use crate::route::CountHosted;
use crate::runtime::{clock, steps};
use bytes::Bytes;
use event_listener::EventListener;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// What a follower is sent next.
#[derive(Debug)]
pub enum Next {
    /// These bytes.
    Bytes(Bytes),
    /// Nothing: it has been sent all there is.
    Nothing,
    /// Nothing under the name that it knows the history by: it has to ask again.
    Renamed,
    /// Nothing ever again.
    Disconnected(DisconnectReason),
}

/// Walks that have begun at the same place.
struct Begun {
    walks: Vec<MemberWalk>,
    at: Position,
    stream_db: Option<usize>,
}

impl Begun {
    fn snapshots(self, info: &FileInfo) -> impl Iterator<Item = Arc<Snapshot>> {
        let Begun { walks, at, stream_db } = self;
        walks.into_iter().map(move |it| Arc::new(Snapshot::new(it, at, stream_db, info.clone())))
    }
}

impl ReplicaSet {
    /// The follower goes on from `from`, if the stream is kept from there on. Answers the name of
    /// the history if it does; otherwise it needs a [`ReplicaSet::snapshot`].
    pub fn resume_wire(&self, id: FollowerId, from: Position) -> Option<ReplId> {
        let mut log = self.log.lock();
        let does = log.resume(id, from);
        let replid = log.history().replid;
        drop(log);
        if does {
            self.note_synced(id);
        }
        does.then_some(replid)
    }

    /// A snapshot for a follower, which will be sent the stream from there on; how to read it
    /// stands in `snapshot.rs`. One that others read is read from its beginning if that is at hand
    /// and the stream has not gone far since. `info` is what the file says beside the keys, which
    /// are as of that position, with that database selected. `None` while as many are read as may
    /// be: ask again. Not for a worker: members are waited for.
    pub fn snapshot(
        &self,
        id: FollowerId,
        info: impl FnOnce(Position, Option<usize>) -> FileInfo,
    ) -> Option<SnapshotReader> {
        let _alone = self.change();
        if let Some(reader) = self.join_snapshot(id) {
            return Some(reader);
        }
        let snapshot = self.begin_snapshot(Some(id), info)?;
        *self.wire.snapshot.lock() = Arc::downgrade(&snapshot);
        snapshot.join()
    }

    /// As [`ReplicaSet::snapshot`], for who follows nothing afterwards: a file to keep.
    pub fn snapshot_to_keep(
        &self,
        info: impl FnOnce(Position, Option<usize>) -> FileInfo,
    ) -> Option<SnapshotReader> {
        let _alone = self.change();
        self.begin_snapshot(None, info)?.join()
    }

    fn begin_snapshot(
        &self,
        id: Option<FollowerId>,
        info: impl FnOnce(Position, Option<usize>) -> FileInfo,
    ) -> Option<Arc<Snapshot>> {
        let begun = self.begin_snapshots(id, 1)?;
        let info = info(begun.at, begun.stream_db);
        begun.snapshots(&info).next()
    }

    /// As [`ReplicaSet::snapshot`], for a follower that must know how long the file is before it
    /// begins: the same file twice, one to be counted.
    pub fn counted_snapshot(
        &self,
        id: FollowerId,
        info: impl FnOnce(Position, Option<usize>) -> FileInfo,
    ) -> Option<[SnapshotReader; 2]> {
        let _alone = self.change();
        let begun = self.begin_snapshots(Some(id), 2)?;
        let info = info(begun.at, begun.stream_db);
        let mut readers = begun.snapshots(&info).filter_map(|it| it.join());
        Some([readers.next()?, readers.next()?])
    }

    fn join_snapshot(&self, id: FollowerId) -> Option<SnapshotReader> {
        let snapshot = self.wire.snapshot.lock().upgrade()?;
        let reader = snapshot.join()?;
        let at = snapshot.at();
        let mut log = self.log.lock();
        let is_near = log.head().since(at.offset) <= WIRE_JOIN_BYTES_MAX;
        let is_of_this = log.history().replid == at.replid;
        let from = if is_planted(Planted::JoinsLate) { log.head() } else { at.offset };
        (is_near && is_of_this && log.full_resync_from(id, from)).then_some(reader)
    }

    /// So many walks over the same keys begin; `None` if that were too many. Nobody is copied: all
    /// locks are held for a moment.
    fn begin_snapshots(&self, id: Option<FollowerId>, count: usize) -> Option<Begun> {
        let began = clock::mono_now();
        let begun = match self.source_of_snapshot() {
            Some(source) => self.walk_replica(&source, id, count),
            None => self.walk_master(id, count),
        };
        let took_us = clock::mono_now().since(began);
        self.latency.note(LatencyEvent::Fork, took_us, clock::wall_now());
        begun
    }

    /// The follower gets a copy of what the stream has made until now. Answers where that is, and
    /// the database that is selected there unless the stream says it next.
    fn resync_here(
        &self,
        log: &mut Log<KeySlot>,
        id: Option<FollowerId>,
    ) -> (Position, Option<usize>) {
        let stream_db = log.repeated_db().filter(|_| self.is_following());
        if let Some(id) = id {
            log.full_resync(id);
        }
        (Position { replid: log.history().replid, offset: log.head() }, stream_db)
    }

    /// The replica that has applied most.
    fn source_of_snapshot(&self) -> Option<Arc<Member>> {
        let is_fit = |it: &&Arc<Member>| it.is_sound() && !it.is(MemberFlags::PAUSED);
        self.replicas().filter(is_fit).max_by_key(|it| it.applied()).cloned()
    }

    /// Walks over a replica at the end of the stream.
    fn walk_replica(
        &self,
        source: &Arc<Member>,
        id: Option<FollowerId>,
        count: usize,
    ) -> Option<Begun> {
        let member_list = self.member_list();
        let (long, mut hosted, writing) = loop {
            let long = self.hold_long(source, Hold::Write);
            let mut hosted = source.lock_to_write();
            steps::works();
            // Most of the way without the master; the rest is short.
            self.apply_all(source, &mut hosted);
            // Whoever waits for that need not wait for the master as well.
            self.wake_waiters();
            if let Some(writing) = self.write_unless_long(&member_list) {
                break (long, hosted, writing);
            }
            // Whoever holds the master keeps nobody from this one.
            drop((hosted, long));
            drop(self.write(&member_list));
        };
        self.apply_all(source, &mut hosted);
        let mut log = self.log.lock();
        if log.head() != source.applied() && !is_planted(Planted::SnapshotLacks) {
            // It has been paused, or does not follow any more.
            drop((log, writing, hosted, long));
            return self.walk_master(id, count);
        }
        let walks = self.begin_walks(&mut hosted.engine, source, count)?;
        let (at, stream_db) = self.resync_here(&mut log, id);
        drop((log, writing, hosted, long));
        Some(Begun { walks, at, stream_db })
    }

    fn begin_walks(
        &self,
        engine: &mut Engine,
        member: &Arc<Member>,
        count: usize,
    ) -> Option<Vec<MemberWalk>> {
        if WALKS_MAX < engine.walks() + count {
            return None;
        }
        let keys = (0..DATABASES).map(|it| engine.space(it).len() as u64).sum();
        let begin = |_| {
            let walk = engine.begin_walk();
            self.note_walk(&walk);
            MemberWalk { member: member.clone(), walk, keys }
        };
        Some((0..count).map(begin).collect())
    }

    fn apply_all(&self, member: &Member, hosted: &mut Hosted) {
        if is_planted(Planted::SnapshotLacks) {
            return;
        }
        while self.apply_locked(member, hosted, ApplyBudget::ALL) == Applied::Some {}
    }

    fn walk_master(&self, id: Option<FollowerId>, count: usize) -> Option<Begun> {
        let member_list = self.member_list();
        let mut writing = self.write(&member_list);
        let master = self.places().nth(writing.member().id.index())?;
        let walks = self.begin_walks(writing.engine(), master, count)?;
        let (at, stream_db) = self.resync_here(&mut self.log.lock(), id);
        drop(writing);
        Some(Begun { walks, at, stream_db })
    }

    /// Frees what was kept for walks that have ended while their members were held.
    pub fn free_ended_walks(&self) {
        self.places().for_each(|it| it.free_ended_walks());
    }

    /// A walk has begun, for [`ReplicaSet::walks`].
    pub(super) fn note_walk(&self, walk: &Walk) {
        self.wire.walks.lock().push(walk.clone());
    }

    /// How many walks are under way, and the bytes that members keep for them.
    pub fn walks(&self) -> (usize, usize) {
        let mut walks = self.wire.walks.lock();
        walks.retain(|it| !it.is_ended() || it.kept_bytes() != 0);
        let kept = walks.iter().map(Walk::kept_bytes).sum();
        (walks.iter().filter(|it| !it.is_ended()).count(), kept)
    }

    /// The follower has been sent its copy, and is sent the stream from here on. What it has of it,
    /// it says.
    pub fn online_wire(&self, id: FollowerId, now: MonoUs) {
        let mut log = self.log.lock();
        if let FollowerState::FullResync { at } = log.follower(id).state {
            let is_counted = is_planted(Planted::SentCountsAsAcked);
            log.online(id, if is_counted { at } else { Offset::ZERO });
            log.heard(id, now);
        }
        drop(log);
        self.note_synced(id);
    }

    /// A replica on the wire has all there was.
    fn note_synced(&self, id: FollowerId) {
        if self.log.lock().follower(id).kind == FollowerKind::Upgrade {
            return;
        }
        let is_first = !self.wire.has_synced.swap(true, AcqRel);
        if is_first && self.wire.counted() == CountHosted::Auto {
            log::info!("event=hosted-replicas-not-counted why=a replica on the wire has synced");
        }
        self.wake_waiters();
    }

    /// Changes whether hosted replicas count as replicas.
    pub fn count_hosted(&self, count: CountHosted) {
        self.wire.count_hosted.store(count as u8, Release);
        self.wake_waiters();
    }

    /// Whether hosted replicas count as replicas now.
    #[inline]
    pub fn counts_hosted(&self) -> bool {
        self.wire.counted().counts(self.wire.has_synced.load(Acquire))
    }

    /// A new history has begun, in which no replica on the wire has synced yet.
    pub(super) fn begin_wire_history(&self) {
        self.wire.has_synced.store(false, Release);
    }

    /// The follower lives.
    pub fn heard_wire(&self, id: FollowerId, now: MonoUs) {
        self.log.lock().heard(id, now);
    }

    /// A replica on the wire, before it is sent anything. Past `bytes_max` stream bytes that it has
    /// not taken, it is disconnected; 0 for no bound.
    pub fn add_wire_follower(
        &self,
        kind: FollowerKind,
        name: String,
        bytes_max: u64,
    ) -> FollowerId {
        let id = self.add_follower(kind, name);
        self.bound_wire(id, bytes_max);
        id
    }

    /// Changes how many stream bytes may wait for the follower to take them; 0 for no bound.
    pub fn bound_wire(&self, id: FollowerId, bytes_max: u64) {
        let bytes_max = if bytes_max == 0 { u64::MAX } else { bytes_max };
        self.log.lock().set_wire_bytes_max(id, bytes_max);
    }

    /// Where the follower stands.
    pub fn follower_state(&self, id: FollowerId) -> FollowerState {
        self.log.lock().follower(id).state
    }

    /// What the follower, which knows the history by this name, is sent next: at most `most` bytes.
    pub fn next_for_wire(&self, id: FollowerId, replid: ReplId, most: usize) -> Next {
        let mut log = self.log.lock();
        if log.history().replid != replid {
            return Next::Renamed;
        }
        if let FollowerState::Disconnected { why } = log.follower(id).state {
            return Next::Disconnected(why);
        }
        let bytes = log.next_chunk(id, most);
        if bytes.is_empty() { Next::Nothing } else { Next::Bytes(bytes) }
    }

    /// The follower's link is to end: it broke the protocol.
    pub fn disconnect_wire(&self, id: FollowerId, fault: PeerFault) {
        self.log.lock().disconnect(id, DisconnectReason::Peer(fault));
        self.left_sync();
    }

    /// Forgets the stream that is kept for replicas on the wire, once the last of them has been
    /// gone for `ttl`; 0 for never.
    pub fn release_backlog(&self, ttl: Duration, now: MonoUs) {
        let left = self.wire.last_left.load(Acquire);
        if ttl.is_zero() || left == 0 || now < MonoUs(left).plus(ttl) {
            return;
        }
        let mut log = self.log.lock();
        if !log.has_followers_on_wire() {
            self.wire.last_left.store(0, Release);
            log.release_backlog();
            log::info!("event=backlog-released offset={} why=no-replica-on-the-wire", log.head());
        }
    }

    /// Hears when the stream has grown. Look at [`ReplicaSet::next_for_wire`] after asking for it.
    pub fn wire_news(&self) -> EventListener {
        self.wire.news.listen()
    }

    /// Whether there are replicas on the wire.
    #[inline]
    pub fn has_wire_replicas(&self) -> bool {
        self.wire.replicas.load(Acquire) != 0
    }

    /// Tells those who serve replicas on the wire, and who writes the append-only file.
    #[inline]
    pub fn tell_wire(&self) {
        if self.links.load(Relaxed) != 0 {
            self.wire.news.notify(usize::MAX);
            self.tell_file();
        }
    }

    /// As [`ReplicaSet::tell_wire`], by a worker: it writes the file itself where that is its to do
    /// (see [`ReplicaSet::must_write_file`]).
    #[inline]
    pub(super) fn tell_wire_in_turn(&self) {
        if self.links.load(Relaxed) != 0 {
            self.wire.news.notify(usize::MAX);
            if !self.is_file_first() {
                self.tell_file();
            }
        }
    }

    /// Asks replicas on the wire what they have applied, unless they have been since the stream
    /// was at `offset`.
    pub fn ask_wire(&self, offset: Offset, now: MonoUs) {
        let is_asked = || offset.bytes() < self.wire.asked_at.load(Acquire);
        if self.has_wire_replicas() && !is_asked() {
            self.ask_wire_unless(is_asked, now);
        }
    }

    /// Asks replicas on the wire what they have applied, unless they have been for so long.
    pub fn ask_wire_every(&self, period: Duration, now: MonoUs) {
        let is_asked = || now < MonoUs(self.wire.asked_when.load(Acquire)).plus(period);
        self.ask_wire_unless(is_asked, now);
    }

    fn ask_wire_unless(&self, is_asked: impl FnOnce() -> bool, now: MonoUs) {
        let mut log = self.log.lock();
        // A replica's stream says what its master's says, and nothing else.
        if is_asked() || self.is_following() {
            return;
        }
        log.ask_for_acks(now);
        self.wire.asked_at.store(log.head().bytes(), Release);
        self.wire.asked_when.store(now.0, Release);
        self.publish(log, self.member(self.master()));
        self.replicas().for_each(|it| it.note_work());
        self.tell_wire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::engine::Thresholds;
    use crate::node::{ApplyBudget, new_replid};
    use futures::FutureExt;

    fn set(replicas: usize) -> ReplicaSet {
        ReplicaSet::new(replicas, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    #[test]
    fn hosted_replicas_count_until_one_on_the_wire_has_synced_in_this_history() {
        let set = set(1);
        assert!(set.counts_hosted());
        let sync = |kind| set.note_synced(set.add_wire_follower(kind, "n".to_owned(), 0));
        sync(FollowerKind::Upgrade);
        assert!(set.counts_hosted(), "that is no replica");
        sync(FollowerKind::Wire);
        assert!(!set.counts_hosted());
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert!(set.counts_hosted(), "nobody has synced in the new one");
    }

    #[test]
    fn a_snapshot_is_of_the_replica_that_has_applied_most_and_applies() {
        let set = set(2);
        let source = || set.source_of_snapshot().map(|it| it.id);
        set.ping(MonoUs(1));
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!(source(), Some(MemberId(1)));
        set.pause(set.member(MemberId(1)), MonoUs(1)).unwrap();
        assert_eq!(source(), Some(MemberId(2)));
        set.member(MemberId(2)).enter(MemberFlags::UNSYNCED, MonoUs(1));
        assert_eq!(source(), None);
    }

    #[test]
    fn who_serves_links_and_who_writes_the_file_are_told_where_there_are_any() {
        let set = set(0);
        let told = |tell: &dyn Fn()| {
            let (wire, file) = (set.wire_news(), set.file_news());
            tell();
            [wire, file].map(|it| it.now_or_never().is_some())
        };
        assert_eq!(told(&|| set.tell_wire()), [false, false]);
        assert_eq!(told(&|| set.tell_wire_in_turn()), [false, false]);
        set.add_wire_follower(FollowerKind::Wire, "127.0.0.1:7001".into(), 0);
        assert_eq!(told(&|| set.tell_wire()), [true, true]);
        assert_eq!(told(&|| set.tell_wire_in_turn()), [true, true]);
        set.set_file_first(true);
        assert_eq!(told(&|| set.tell_wire_in_turn()), [true, false], "the worker writes it");
        assert_eq!(told(&|| set.tell_wire()), [true, true]);
    }
}
