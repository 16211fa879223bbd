//! The set and its files: how far the stream is on disk, how the append-only file follows it, and
//! data that comes from files.

use super::disk_state::DiskTrouble;
use super::member_state::MemberFlags;
use super::replica_set::ReplicaSet;
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::engine::Engine;
use crate::replication::{FollowerId, FollowerKind};
use crate::runtime::lazyfree;
use event_listener::EventListener;
use std::sync::atomic::Ordering::*;

/// Data that comes from files.
pub struct Restored {
    /// The keys.
    pub engine: Engine,
    /// The stream's history.
    pub history: ReplicationHistory,
    /// Where the stream goes on.
    pub at: Offset,
    /// The last bytes before that, and where they begin.
    pub tail: (Offset, Vec<u8>),
    /// The database that is selected there, where another master's stream goes on.
    pub repeated_db: Option<usize>,
}

impl ReplicaSet {
    /// Everything before this is on disk.
    #[inline]
    pub fn durable(&self) -> Offset {
        Offset::new(self.on_disk.durable.load(Acquire))
    }

    /// There is to be an append-only file from here on, or none: then nobody waits for it.
    pub fn expect_file(&self, is_kept: bool) {
        self.on_disk.has_file.store(is_kept, Release);
        self.wake_waiters();
    }

    /// Whether there is to be an append-only file.
    pub fn expects_file(&self) -> bool {
        self.on_disk.has_file.load(Acquire)
    }

    /// Whether somebody waits for more to be on disk.
    pub fn is_sync_asked(&self) -> bool {
        self.durable().bytes() < self.on_disk.asked.load(Acquire)
    }

    /// Somebody waits for everything before `offset` to be on disk.
    pub(super) fn ask_sync(&self, offset: Offset) {
        self.on_disk.asked.fetch_max(offset.bytes(), AcqRel);
        self.tell_file();
    }

    /// Hears when the append-only file has something to take that no worker sees to.
    pub fn file_news(&self) -> EventListener {
        self.on_disk.news.listen()
    }

    /// Tells who writes the append-only file.
    #[inline]
    pub fn tell_file(&self) {
        self.on_disk.news.notify(usize::MAX);
    }

    /// Whether workers write the file before they reply, from here on.
    pub fn set_file_first(&self, is_first: bool) {
        self.on_disk.is_file_first.store(is_first, Release);
    }

    /// Whether workers write the file before they reply.
    #[inline]
    pub(super) fn is_file_first(&self) -> bool {
        self.on_disk.is_file_first.load(Acquire)
    }

    /// Whether a worker has to write the file before it replies.
    #[inline]
    pub fn must_write_file(&self) -> bool {
        self.is_file_first() && self.on_disk.written.load(Acquire) < self.head().bytes()
    }

    /// Everything before this is in the file.
    pub fn note_written(&self, offset: Offset) {
        self.on_disk.written.store(offset.bytes(), Release);
    }

    /// Why writes are refused, if they are.
    pub fn disk_trouble(&self) -> Option<DiskTrouble> {
        match self.on_disk.trouble.load(Acquire) {
            1 => Some(DiskTrouble::AppendOnlyFile),
            2 => Some(DiskTrouble::Snapshot),
            _ => None,
        }
    }

    /// From here on writes are refused, or are not.
    pub fn set_disk_trouble(&self, trouble: Option<DiskTrouble>) {
        let trouble = trouble.map_or(0, |it| it as u8);
        if self.on_disk.trouble.swap(trouble, AcqRel) != trouble {
            self.announce();
        }
    }

    /// Whether data is being loaded, so that there is none yet.
    pub fn is_loading(&self) -> bool {
        self.on_disk.is_loading.load(Acquire)
    }

    /// Data is being loaded from here on, or is no longer.
    pub fn set_loading(&self, is_loading: bool) {
        self.on_disk.is_loading.store(is_loading, Release);
        self.announce();
    }

    /// An append-only file, before it gets anything.
    pub fn add_file(&self, name: &str) -> FollowerId {
        self.add_follower(FollowerKind::AppendOnlyFile, name.to_owned())
    }

    /// The file holds all there is, and is sent what comes. Answers where that is, and the database
    /// that is selected there unless the stream says it next.
    pub fn resume_file(&self, id: FollowerId) -> (Position, Option<usize>) {
        let mut log = self.log.lock();
        let at = Position { replid: log.history().replid, offset: log.head() };
        let db = log.repeated_db().filter(|_| self.is_following());
        log.full_resync(id);
        log.online(id, Offset::ZERO);
        (at, db)
    }

    /// The file holds all before `from`, which another process has written, and is sent what comes
    /// behind that, if the stream is kept from there on. Answers where that is in our history.
    pub fn resume_file_from(&self, id: FollowerId, from: Position) -> Option<Position> {
        let mut log = self.log.lock();
        log.handshake(id);
        let here = Position { replid: log.history().replid, offset: from.offset };
        log.resume(id, from).then_some(here)
    }

    /// Where the stream of another master ends here, and the database that is selected there,
    /// unless it says that next.
    pub fn repeated_end(&self) -> (Offset, Option<usize>) {
        let log = self.log.lock();
        (log.head(), log.repeated_db())
    }

    /// The file is sent the stream behind its snapshot.
    pub fn online_file(&self, id: FollowerId) {
        self.log.lock().online(id, Offset::ZERO);
    }

    /// Everything before `offset` is in the file, for good. Answers whether the file still follows.
    pub fn synced_file(&self, id: FollowerId, offset: Offset, now: MonoUs) -> bool {
        let mut log = self.log.lock();
        let follows = log.follower(id).state.is_online() && log.ack(id, offset, now).is_ok();
        if follows {
            self.on_disk.durable.store(offset.bytes(), Release);
        }
        drop(log);
        self.wake_waiters();
        follows
    }

    /// Begins with data that comes from files. Nobody has written before, and hosted replicas get
    /// copies.
    pub fn begin_with(&self, restored: Restored) {
        let Restored { mut engine, history, at, tail, repeated_db } = restored;
        let _alone = self.change();
        let head = self.member(self.master());
        let mut hosted = head.lock_to_write();
        self.replicas().for_each(|it| it.enter(MemberFlags::UNSYNCED, MonoUs(0)));
        let mut log = self.log.lock();
        log.restore(history.clone(), at, tail, repeated_db);
        engine.shared_mut().thresholds = hosted.engine.shared().thresholds;
        engine.written_mut().deferred_frees.clear();
        let old = std::mem::replace(&mut hosted.engine, engine);
        head.set_applied(at);
        self.set_head(at);
        self.install_master(head.id, history);
        drop(log);
        self.forget_cached();
        drop(hosted);
        lazyfree::free_async(old);
        self.wake_waiters();
        self.push();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::position::ReplId;
    use crate::engine::Thresholds;
    use crate::node::new_replid;

    fn set() -> ReplicaSet {
        ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    #[test]
    fn a_worker_writes_the_file_before_it_replies_where_that_is_asked_and_not_done() {
        let set = set();
        set.set_file_first(true);
        set.ping(MonoUs(1));
        assert!(set.must_write_file());
        set.note_written(set.head());
        assert!(!set.must_write_file(), "all is there");
        set.ping(MonoUs(2));
        assert!(set.must_write_file());
        set.set_file_first(false);
        assert!(!set.must_write_file());
    }

    #[test]
    fn what_the_file_has_is_durable_as_long_as_it_follows() {
        let set = set();
        set.expect_file(true);
        assert!(set.expects_file());
        let file = set.add_file("appendonly");
        set.ping(MonoUs(1));
        let (at, db) = set.resume_file(file);
        assert_eq!((at, db), (Position { replid: set.history().replid, offset: set.head() }, None));
        assert!(set.durable() < set.head());
        set.ask_sync(set.head());
        assert!(set.is_sync_asked());
        assert!(set.synced_file(file, set.head(), MonoUs(2)));
        assert_eq!(set.durable(), set.head());
        assert!(!set.is_sync_asked());
    }

    #[test]
    fn trouble_of_the_disk_and_loading_are_told_until_they_are_over() {
        let set = set();
        assert_eq!((set.disk_trouble(), set.is_loading()), (None, false));
        for trouble in [DiskTrouble::AppendOnlyFile, DiskTrouble::Snapshot] {
            set.set_disk_trouble(Some(trouble));
            assert_eq!(set.disk_trouble(), Some(trouble));
        }
        set.set_disk_trouble(None);
        set.set_loading(true);
        assert_eq!((set.disk_trouble(), set.is_loading()), (None, true));
        set.set_loading(false);
        assert!(!set.is_loading());
    }

    #[test]
    fn a_set_that_begins_with_data_of_files_goes_on_where_they_end() {
        let set = set();
        let engine = Engine::new(1, Thresholds::default());
        let history = ReplicationHistory::new(ReplId::new([7; 20]));
        let (at, tail) = (Offset::new(90), (Offset::new(90), Vec::new()));
        set.begin_with(Restored { engine, history, at, tail, repeated_db: None });
        assert_eq!((set.history().replid, set.head()), (ReplId::new([7; 20]), at));
        assert_eq!(set.member(set.master()).applied(), at);
        assert!(set.member(MemberId(1)).is(MemberFlags::UNSYNCED), "replicas get copies");
    }

    #[test]
    fn trouble_is_announced_when_it_begins_and_when_it_ends() {
        let set = set();
        let mut announced = |trouble| {
            let before = set.generation();
            set.set_disk_trouble(trouble);
            set.generation() != before
        };
        let trouble = Some(DiskTrouble::AppendOnlyFile);
        assert_eq!([None, trouble, trouble, None].map(&mut announced), [false, true, false, true]);
    }

    #[test]
    fn a_file_that_follows_no_more_makes_nothing_durable() {
        let set = set();
        set.expect_file(true);
        let file = set.add_file("appendonly");
        assert!(!set.synced_file(file, set.head(), MonoUs(1)), "it has not begun");
        set.resume_file(file);
        set.ping(MonoUs(1));
        set.log.lock().disconnect(file, crate::replication::DisconnectReason::Replaced);
        assert!(!set.synced_file(file, set.head(), MonoUs(2)));
        assert!(set.durable() < set.head());
    }
}
