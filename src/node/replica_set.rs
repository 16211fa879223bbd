//! The replica set: its members, who is master, and the log.

use super::apply_budget::Rate;
use super::changes::KeyChanges;
use super::disk_state::OnDisk;
use super::key_waiters::KeyWaiters;
use super::member::Member;
use super::member_state::MemberFlags;
use super::memory_limit::Eviction;
use super::notify::KeyspaceEvents;
use super::pause::Pause;
use super::remote_master::RemoteMaster;
use super::told::ToldFloor;
use super::waiters::Waiters;
use super::wire_state::Wire;
use crate::base::ids::MemberId;
use crate::base::limits::REPLICAS_MAX;
use crate::base::log_limit::LogLimit;
use crate::base::position::{Coverage, Offset, Position, ReplId, ReplicationHistory};
use crate::base::time::{MonoUs, WallMs};
use crate::command::{ExpiredKey, Uses};
use crate::engine::{Effects, Engine, KeySlot, Thresholds};
use crate::metrics::batch::Batch;
use crate::metrics::latency_events::LatencyMonitor;
use crate::replication::Log;
use crate::route::MemberConfig;
use crate::runtime::steps;
use crate::session::Watches;
use bytes::Bytes;
use event_listener::Event;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};

/// The members at one time, by place. Members are added; one that is removed keeps its place.
pub type MemberList = Arc<[Arc<Member>]>;

/// A hosted replica set.
pub struct ReplicaSet {
    pub(super) log: Mutex<Log<KeySlot>>,
    member_list: RwLock<MemberList>,
    /// The same members by place, for looks that must outlive any one member list.
    members: Box<[OnceLock<Arc<Member>>]>,
    /// Grows when the member list, the master, the history or CLIENT PAUSE changes.
    generation: AtomicU64,
    master: AtomicU16,
    head: AtomicU64,
    history: RwLock<ReplicationHistory>,
    pub(super) waiters: Waiters,
    /// The calls that wait for keys.
    pub key_waiters: Arc<KeyWaiters>,
    /// What subscribers are told of.
    pub events: KeyspaceEvents,
    /// What clients are told of that cache what they read.
    pub changes: Arc<KeyChanges>,
    pub(super) changing: Mutex<()>,
    /// Watches that their sessions have ended, and the master's engine still notes.
    pub(super) outlived_watches: Mutex<Vec<Watches>>,
    /// Held while a member repeats a write that takes long.
    pub(super) replaying: Mutex<()>,
    pub(super) rate: Rate,
    /// Stream bytes that a replica may lack before writes wait for it.
    lag_bytes_max: AtomicU64,
    pub(super) pause: Pause,
    /// The remote master that the set follows, if it does.
    pub(super) remote: RwLock<Option<Arc<RemoteMaster>>>,
    pub(super) is_following: AtomicBool,
    /// Whether writes go to that master.
    pub(super) forwards: AtomicBool,
    /// Where that master's stream stood when it last told.
    pub(super) told: ToldFloor,
    pub(super) remote_change: Event,
    pub(super) stream_errors: LogLimit,
    /// Who waits for the master is answered instead: a script has it for very long.
    refuses_at_master: AtomicBool,
    seed: u64,
    thresholds: RwLock<Thresholds>,
    /// Full resyncs done, for INFO.
    pub full_resyncs: AtomicU64,
    /// Verbs that have panicked.
    pub panics: AtomicU64,
    /// Members that a panic has taken out of service.
    pub quarantines: AtomicU64,
    pub(super) panic_log: LogLimit,
    /// Followers that are no members.
    pub(super) links: AtomicUsize,
    /// The replicas on the wire.
    pub wire: Wire,
    pub(super) on_disk: OnDisk,
    /// The limit of memory.
    pub eviction: Eviction,
    /// What has taken long.
    pub latency: LatencyMonitor,
    /// What feeds and failovers have seen, until the metrics collect it.
    pub seen: Mutex<Batch>,
}

impl ReplicaSet {
    /// A set of one master and `replicas` replicas that nobody has described, all empty. Members
    /// share `seed`'s hash order.
    pub fn new(
        replicas: usize,
        seed: u64,
        replid: ReplId,
        thresholds: Thresholds,
        backlog_bytes: usize,
        feed_bytes_max: usize,
    ) -> ReplicaSet {
        let start = Position { replid, offset: Offset::ZERO };
        ReplicaSet::starting_at(start, replicas, seed, thresholds, backlog_bytes, feed_bytes_max)
    }

    /// The same, with a stream whose first byte will stand at `start`.
    pub fn starting_at(
        start: Position,
        replicas: usize,
        seed: u64,
        thresholds: Thresholds,
        backlog_bytes: usize,
        feed_bytes_max: usize,
    ) -> ReplicaSet {
        let members = MemberConfig::all_unnamed(replicas);
        let (backlog, feed) = (backlog_bytes, feed_bytes_max);
        ReplicaSet::with_members(start, &members, seed, thresholds, backlog, feed)
    }

    /// The same with these members: the first is the master.
    pub fn with_members(
        start: Position,
        members: &[MemberConfig],
        seed: u64,
        thresholds: Thresholds,
        backlog_bytes: usize,
        feed_bytes_max: usize,
    ) -> ReplicaSet {
        let history = ReplicationHistory::new(start.replid);
        let mut log = Log::new(history.clone(), start.offset, backlog_bytes, feed_bytes_max);
        let places: Box<[OnceLock<Arc<Member>>]> =
            (0..=REPLICAS_MAX).map(|_| OnceLock::new()).collect();
        for (index, config) in members.iter().enumerate() {
            let id = MemberId::of(index);
            let member = Member::new(id, config.clone(), Engine::new(seed, thresholds));
            member.set_applied(start.offset);
            if index != 0 {
                let follower = member.make_follower(&mut log);
                // It has all there is, which is nothing.
                assert!(log.resume(follower, start));
            }
            places[index].get_or_init(|| Arc::new(member));
        }
        ReplicaSet {
            log: Mutex::new(log),
            member_list: RwLock::new(places.iter().map_while(|it| it.get().cloned()).collect()),
            members: places,
            generation: AtomicU64::new(0),
            master: AtomicU16::new(0),
            head: AtomicU64::new(start.offset.bytes()),
            history: RwLock::new(history),
            waiters: Waiters::default(),
            key_waiters: Arc::default(),
            events: KeyspaceEvents::default(),
            changes: Arc::new(KeyChanges::new(seed)),
            changing: Mutex::new(()),
            outlived_watches: Mutex::default(),
            replaying: Mutex::new(()),
            rate: Rate::default(),
            lag_bytes_max: AtomicU64::new(lag_bytes_max(feed_bytes_max)),
            pause: Pause::default(),
            remote: RwLock::new(None),
            is_following: AtomicBool::new(false),
            forwards: AtomicBool::new(false),
            told: ToldFloor::default(),
            remote_change: Event::new(),
            stream_errors: LogLimit::default(),
            refuses_at_master: AtomicBool::new(false),
            seed,
            thresholds: RwLock::new(thresholds),
            full_resyncs: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            quarantines: AtomicU64::new(0),
            panic_log: LogLimit::default(),
            links: AtomicUsize::new(0),
            wire: Wire::default(),
            on_disk: OnDisk::default(),
            eviction: Eviction::default(),
            latency: LatencyMonitor::default(),
            seen: Mutex::new(Batch::default()),
        }
    }

    /// Whether those who wait for the master are answered instead, from here on.
    pub fn refuse_at_master(&self, refuses: bool) {
        self.refuses_at_master.store(refuses, SeqCst);
        self.wake_waiters();
    }

    /// See [`ReplicaSet::refuse_at_master`].
    pub fn refuses_at_master(&self) -> bool {
        self.refuses_at_master.load(Relaxed)
    }

    /// The members.
    pub fn member_list(&self) -> MemberList {
        self.member_list.read().clone()
    }

    /// The member at this place: one of any member list, or the master.
    #[inline]
    pub fn member(&self, id: MemberId) -> &Member {
        self.members[id.index()].get().expect("a member keeps its place")
    }

    /// All members there are now.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.places().filter(|it| !it.is(MemberFlags::REMOVED))
    }

    /// All members there have been, by place.
    pub(super) fn places(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.iter().map_while(OnceLock::get)
    }

    /// A member at the first place that nobody has had; `None` when there is no such place.
    pub(super) fn new_place(
        &self,
        member: impl FnOnce(MemberId) -> Arc<Member>,
    ) -> Option<Arc<Member>> {
        let index = self.places().count();
        let place = self.members.get(index)?;
        Some(place.get_or_init(|| member(MemberId::of(index))).clone())
    }

    /// Makes everybody look at the members again.
    pub(super) fn renew_member_list(&self) {
        *self.member_list.write() = self.places().cloned().collect();
        self.announce();
    }

    /// Grows whenever [`ReplicaSet::member_list`], [`ReplicaSet::master`], [`ReplicaSet::history`]
    /// or [`ReplicaSet::pause_in_force`] has changed.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Makes everybody look again at what has changed.
    pub(super) fn announce(&self) {
        self.generation.fetch_add(1, AcqRel);
    }

    /// Who is master.
    #[inline]
    pub fn master(&self) -> MemberId {
        MemberId(self.master.load(Acquire))
    }

    /// The end of the stream.
    #[inline]
    pub fn head(&self) -> Offset {
        Offset::new(self.head.load(Acquire))
    }

    /// The stream's history and those before it.
    pub fn history(&self) -> ReplicationHistory {
        self.history.read().clone()
    }

    /// The end of the stream, as a position.
    pub fn position(&self) -> Position {
        Position { replid: self.history.read().replid, offset: self.head() }
    }

    /// How a floor stands against this set's stream. An offset that the stream has not reached is
    /// of no stream we know.
    pub fn cover(&self, floor: Position) -> Coverage {
        match self.history().cover(floor) {
            // A replica may have heard of what its stream has not brought yet.
            Coverage::To(offset) if self.head() < offset && !self.is_following() => {
                Coverage::Foreign
            }
            covered => covered,
        }
    }

    /// First byte and length of the backlog.
    pub fn backlog(&self) -> (Offset, u64) {
        self.log.lock().backlog()
    }

    /// The backlog's bytes from `from` on, chunk by chunk; `None` when they are not kept.
    pub fn stream_from(&self, from: Offset) -> Option<Vec<Bytes>> {
        self.log.lock().stream_from(from)
    }

    /// Stream bytes that a replica may lack before writes wait for it.
    #[inline]
    pub(super) fn lag_bytes_max(&self) -> u64 {
        self.lag_bytes_max.load(Relaxed)
    }

    /// Changes the bounds of the log.
    pub fn bound_log(&self, backlog_bytes: usize, feed_bytes_max: usize) {
        self.lag_bytes_max.store(lag_bytes_max(feed_bytes_max), Relaxed);
        let mut log = self.log.lock();
        log.set_backlog_bytes(backlog_bytes);
        log.set_feed_bytes_max(feed_bytes_max);
        self.mark_disconnected(log);
        self.push();
    }

    /// Changes when collections leave their compact forms, at every member.
    pub fn set_thresholds(&self, thresholds: Thresholds) {
        *self.thresholds.write() = thresholds;
        for member in self.member_list().iter() {
            member.set_thresholds(thresholds);
        }
    }

    /// When collections leave their compact forms.
    pub(super) fn thresholds(&self) -> Thresholds {
        *self.thresholds.read()
    }

    /// An empty engine for a member of this set.
    pub fn new_engine(&self) -> Engine {
        Engine::new(self.seed, self.thresholds())
    }

    /// Whoever changes roles, or who the members are, does it alone.
    pub(super) fn change(&self) -> MutexGuard<'_, ()> {
        steps::lock(|| self.changing.try_lock(), || self.changing.lock())
    }

    pub(super) fn install_master(&self, id: MemberId, history: ReplicationHistory) {
        *self.history.write() = history;
        self.master.store(id.0, Release);
        self.announce();
    }

    pub(super) fn set_head(&self, head: Offset) {
        self.head.store(head.bytes(), Release);
    }

    /// Tells the master which keys replicas have seen used, and which keys reads have found
    /// expired, unless it is busy: then it hears of them after another batch. Nothing is locked.
    #[cold]
    pub fn tell_uses(&self, uses: &Uses, wall: WallMs, now: MonoUs) {
        let Some(hosted) = self.member(self.master()).hosted.try_read() else { return };
        uses.tell(|it| hosted.engine.heed(it, wall));
        let mut expired = uses.take_expired();
        // A replica that is behind may show what the master has renewed or deleted.
        expired.retain(|(db, key)| hosted.engine.has_outlived(*db, wall, key));
        drop(hosted);
        // While writers are held back nothing may change, nor does a replica delete by itself.
        let may = self.pause_in_force(now).is_none() && !self.is_following();
        if !expired.is_empty() && may {
            self.delete_expired(&expired, wall, now);
        }
    }

    fn delete_expired(&self, expired: &[ExpiredKey], wall: WallMs, now: MonoUs) {
        let member_list = self.member_list();
        let Ok(mut writing) = self.write_in_turn(&member_list) else { return };
        if self.is_following() {
            return;
        }
        let mut effects = Effects::default();
        let mut transaction = writing.begin(&mut effects, now);
        expired.iter().for_each(|(db, key)| transaction.expire(*db, key, wall));
        transaction.commit_each();
    }

    /// Calls the feeds of all replicas.
    pub fn push(&self) {
        self.replicas().for_each(|it| it.call_feed());
    }

    /// How old what `member` has may be, in microseconds: as [`ReplicaSet::lacks_us`], and a paused
    /// member has heard nothing since it was paused. [`u64::MAX`] when nobody can tell. Levels and
    /// the gate go by this.
    pub fn behind_us(&self, member: &Member, now: MonoUs) -> u64 {
        let Some(lacks_us) = self.lacks_us(member, now) else { return u64::MAX };
        if member.id != self.master() && member.is(MemberFlags::PAUSED) {
            return lacks_us.max(now.since(member.paused_at()));
        }
        lacks_us
    }

    /// Microseconds since the first write that `member` has not applied was appended; 0 when it has
    /// all, `None` when nobody can tell. Operators are shown this.
    pub fn lacks_us(&self, member: &Member, now: MonoUs) -> Option<u64> {
        if member.id == self.master() {
            return Some(0);
        }
        if !member.is_sound() {
            return None;
        }
        if member.applied() == self.head() {
            return Some(0);
        }
        let since = {
            let log = self.log.lock();
            member.applying_since().or_else(|| log.waiting_since(member.follower()?))
        };
        Some(since.map_or(0, |it| now.since(it)))
    }

    /// Milliseconds that members will take to apply this much, going by what they did lately;
    /// `None` when nobody can tell.
    pub fn eta_ms(&self, bytes: u64) -> Option<u64> {
        self.rate.eta_ms(bytes)
    }

    /// Lets everybody see what was appended to the log.
    pub(super) fn publish(&self, log: MutexGuard<'_, Log<KeySlot>>, master: &Member) {
        let head = log.head();
        self.set_head(head);
        master.set_applied(head);
        self.mark_disconnected(log);
    }
}

/// Half of what disconnects a replica: the other half is for writes that are at work.
fn lag_bytes_max(feed_bytes_max: usize) -> u64 {
    feed_bytes_max as u64 / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::ReadIn;
    use crate::node::transaction::tests::write;
    use crate::node::{PauseMode, new_replid};
    use futures::task::noop_waker_ref;
    use std::task::Context;

    fn set() -> ReplicaSet {
        ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    #[test]
    fn a_key_that_a_read_has_found_expired_is_deleted_where_something_may_change() {
        let set = set();
        let deletes = |key: &str, wall| {
            let (uses, before) = (Uses::new(), set.head());
            uses.read_in(ReadIn::Replica(0));
            if !key.is_empty() {
                uses.note_expired(key.as_bytes());
            }
            set.tell_uses(&uses, WallMs(wall), MonoUs(1));
            before < set.head()
        };
        for key in ["a", "b"] {
            write(&set, &format!("SET {key} 1 PX 100"), WallMs(1000));
        }
        assert!(!deletes("", 2000), "nobody has met any");
        assert!(!deletes("a", 1100), "its time has not come here");
        assert!(deletes("a", 1101));
        assert!(!deletes("a", 1101), "it is gone");
        set.pause_clients(PauseMode::Writers, MonoUs(50), MonoUs(0));
        assert!(!deletes("b", 2000) && !deletes("", 2000));
        set.unpause_clients();
        assert!(deletes("b", 2000));
    }

    #[test]
    fn a_set_tells_what_it_keeps_and_how_long_it_will_take() {
        let set = set();
        write(&set, "SET a 1", WallMs(1));
        assert_eq!(set.backlog(), (Offset::ZERO, set.head().bytes()));
        assert_eq!(set.eta_ms(1000), None);
        set.rate.note(100, 1000);
        assert_eq!(set.eta_ms(1000), Some(10));
    }

    #[test]
    fn the_feeds_of_replicas_are_called_once_for_each_time_that_they_look() {
        let set = set();
        let mut context = Context::from_waker(noop_waker_ref());
        let mut is_called = |at| set.member(MemberId(at)).feed.poll(&mut context).is_ready();
        is_called(1);
        assert!(!is_called(1) && !is_called(0));
        set.push();
        set.push();
        assert_eq!([0, 1, 1].map(&mut is_called), [false, true, false]);
    }

    #[test]
    fn thresholds_are_those_of_all_members_and_of_who_comes_later() {
        let set = set();
        let thresholds = Thresholds { hash_entries: 3, ..Thresholds::default() };
        set.set_thresholds(thresholds);
        assert_eq!(set.thresholds(), thresholds);
        for at in [0, 1] {
            let reading = set.read(set.member(MemberId(at)));
            assert_eq!(reading.engine().shared().thresholds, thresholds);
        }
    }
}
