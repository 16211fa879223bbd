//! Who follows the set's stream, and what each has acknowledged: WAIT, acks, the gate, INFO and
//! ROLE ask here.
//!
//! A hosted replica has acknowledged what it has applied, and its member says so without a lock.
//! What the others have acknowledged stands in the log.

use super::member::Member;
use super::member_state::MemberFlags;
use super::replica_set::ReplicaSet;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::engine::KeySlot;
use crate::replication::{
    DisconnectReason, Follower, FollowerId, FollowerKind, FollowerState, Log, PeerFault,
};
use crate::route::Fed;
use crate::runtime::clock;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Release};

/// A follower at one time.
#[derive(Clone)]
pub struct FollowerStatus {
    /// Which it is.
    pub id: FollowerId,
    /// A member's name, or a peer's address.
    pub name: String,
    /// What it is.
    pub kind: FollowerKind,
    /// Where it stands. A hosted replica's `acked` is what it had applied when it last took more.
    pub state: FollowerState,
    /// What it has acknowledged: a hosted replica all it has applied, online or not.
    pub acked: Offset,
    /// Microseconds since the first write that it has not acknowledged was appended; 0 when it has
    /// all, [`u64::MAX`] when nobody can tell.
    pub behind_us: u64,
    /// Microseconds since it last acknowledged anything; 0 of a hosted one.
    pub silent_us: u64,
    /// The member that a hosted replica is.
    pub member: Option<Arc<Member>>,
}

impl FollowerStatus {
    /// Whether it is a replica: it counts where replicas do. An append-only file does not, and the
    /// other process of an upgrade neither.
    pub fn is_replica(&self) -> bool {
        matches!(self.kind, FollowerKind::Hosted | FollowerKind::Wire)
    }

    /// Whether it is at the other end of a link.
    pub fn is_on_wire(&self) -> bool {
        self.kind.is_on_wire()
    }

    /// Whether it is a replica at the other end of a link.
    pub fn is_wire_replica(&self) -> bool {
        self.kind == FollowerKind::Wire
    }

    /// Host and port at which others reach one on the wire; port 0 where it has not said.
    pub fn address(&self) -> (&str, &str) {
        self.name.rsplit_once(':').unwrap_or((&self.name, "0"))
    }

    /// Why an online member applies nothing, if it does not.
    pub fn held_back(&self) -> Option<&'static str> {
        let member = self.member.as_ref().filter(|_| self.state.is_online())?;
        member.is(MemberFlags::PAUSED).then_some("paused")
    }

    /// The words of a member's flags; `ok` for the others.
    pub fn flags(&self) -> String {
        self.member.as_ref().map_or_else(|| "ok".into(), |it| it.flags())
    }
}

impl ReplicaSet {
    /// All followers: hosted replicas in the order of the member list, then the others.
    pub fn followers(&self, now: MonoUs) -> Vec<FollowerStatus> {
        let hosted: Vec<_> = self.replicas().cloned().collect();
        let mut all: Vec<FollowerStatus> = {
            let log = self.log.lock();
            let of_member = |it: &Arc<Member>| Some((it.follower()?, it.clone()));
            let status = |(id, it)| FollowerStatus::hosted(id, log.follower(id), it);
            let others = log.followers().filter(|it| it.1.kind != FollowerKind::Hosted);
            let others = others.map(|(id, it)| FollowerStatus::other(id, it, log.head(), now));
            hosted.iter().filter_map(of_member).map(status).chain(others).collect()
        };
        for it in &mut all {
            if let Some(member) = &it.member {
                it.behind_us = self.behind_us(member, now);
            }
        }
        all
    }

    /// What each replica on the wire has acknowledged.
    pub(super) fn acked_on_wire(&self) -> Vec<Offset> {
        if !self.has_wire_replicas() {
            return Vec::new();
        }
        let log = self.log.lock();
        let on_wire = log.followers().filter(|it| is_on_wire(it.1));
        on_wire.filter_map(|it| it.1.state.acked()).collect()
    }

    /// What each replica on the wire has in an append-only file of its own.
    pub(super) fn on_disk_on_wire(&self) -> Vec<Offset> {
        if !self.has_wire_replicas() {
            return Vec::new();
        }
        let log = self.log.lock();
        let on_wire = log.followers().filter(|it| is_on_wire(it.1) && it.1.state.is_online());
        on_wire.map(|it| it.1.on_disk).filter(|it| *it != Offset::ZERO).collect()
    }

    /// How the replicas are being fed, for the gate in front of writes.
    pub fn fed(&self, now: MonoUs) -> impl Iterator<Item = Fed> {
        let counts = self.counts_hosted();
        let hosted = self
            .replicas()
            .filter(move |_| counts)
            .map(move |it| Fed { linked: it.is_sound(), behind_us: self.behind_us(it, now) });
        hosted.chain(self.fed_on_wire(now))
    }

    fn fed_on_wire(&self, now: MonoUs) -> Vec<Fed> {
        if !self.has_wire_replicas() {
            return Vec::new();
        }
        let log = self.log.lock();
        let on_wire = log.followers().filter(|it| is_on_wire(it.1));
        let fed = on_wire.map(|(_, it)| Fed {
            linked: it.state.is_online(),
            behind_us: behind_us(it, log.head(), now),
        });
        fed.collect()
    }

    /// A follower that is no member, before its handshake.
    pub fn add_follower(&self, kind: FollowerKind, name: String) -> FollowerId {
        assert_ne!(kind, FollowerKind::Hosted, "members are added by add_replica");
        let mut log = self.log.lock();
        self.links.fetch_add(1, AcqRel);
        if kind.is_on_wire() {
            self.wire.replicas.fetch_add(1, AcqRel);
        }
        log.add_follower(kind, name)
    }

    /// A follower that is no member is gone for good. Who waits for it looks again.
    pub fn remove_follower(&self, id: FollowerId) {
        let mut log = self.log.lock();
        if log.remove_follower(id).is_on_wire() {
            self.wire.replicas.fetch_sub(1, AcqRel);
            self.wire.last_left.store(clock::mono_now().0, Release);
        }
        self.links.fetch_sub(1, AcqRel);
        drop(log);
        self.left_sync();
    }

    /// A follower that is no member says what it has. After a fault it is disconnected.
    pub fn ack(&self, id: FollowerId, offset: Offset, now: MonoUs) -> Result<(), PeerFault> {
        let acked = self.log.lock().ack(id, offset, now);
        self.wake_waiters();
        acked
    }

    /// A replica on the wire says what it has on disk. After a fault it is disconnected.
    pub fn synced_on_wire(&self, id: FollowerId, offset: Offset) -> Result<(), PeerFault> {
        let synced = self.log.lock().synced(id, offset);
        self.wake_waiters();
        synced
    }

    /// The members that are replicas.
    pub(super) fn replicas(&self) -> impl Iterator<Item = &Arc<Member>> {
        let master = self.master();
        self.members().filter(move |it| it.id != master)
    }

    /// `member` is sent nothing more: it serves nothing, and will be synced anew.
    pub(super) fn disconnect(&self, member: &Member, why: DisconnectReason) {
        member.enter(MemberFlags::UNSYNCED, MonoUs(0));
        if let Some(id) = member.follower() {
            self.log.lock().disconnect(id, why);
        }
        // A stream that cannot be applied is a broken promise of ours, not the replica's doing.
        let is_ours = why == DisconnectReason::NotApplicable;
        let level = if is_ours { log::Level::Error } else { log::Level::Warn };
        log::log!(level, "event=replica-disconnected member={} why={why}", member.name);
        self.left_sync();
        member.call_feed();
    }

    /// Those that have gone over their bound are disconnected: replicas serve nothing from here on.
    #[inline]
    pub(super) fn mark_disconnected(&self, log: MutexGuard<'_, Log<KeySlot>>) {
        if log.has_over_bound() {
            self.mark_over_bound(log);
        }
    }

    #[cold]
    fn mark_over_bound(&self, mut log: MutexGuard<'_, Log<KeySlot>>) {
        for id in log.take_over_bound() {
            if let Some(member) = self.members().find(|it| it.follower() == Some(id)) {
                member.enter(MemberFlags::UNSYNCED, MonoUs(0));
            }
            let (name, head) = (&log.follower(id).name, log.head());
            let why = DisconnectReason::FeedLimit;
            log::warn!("event=replica-disconnected member={name} why={why} head={head}");
        }
        // Who is woken may ask the log.
        drop(log);
        self.left_sync();
        // They are to be synced anew.
        self.push();
        self.tell_wire();
    }
}

impl FollowerStatus {
    fn hosted(id: FollowerId, follower: &Follower, member: Arc<Member>) -> FollowerStatus {
        FollowerStatus {
            id,
            name: follower.name.clone(),
            kind: follower.kind,
            state: follower.state,
            acked: member.applied(),
            behind_us: u64::MAX,
            silent_us: 0,
            member: Some(member),
        }
    }

    fn other(id: FollowerId, follower: &Follower, head: Offset, now: MonoUs) -> FollowerStatus {
        FollowerStatus {
            id,
            name: follower.name.clone(),
            kind: follower.kind,
            state: follower.state,
            acked: follower.state.acked().unwrap_or(Offset::ZERO),
            behind_us: behind_us(follower, head, now),
            silent_us: now.since(follower.heard_at),
            member: None,
        }
    }
}

/// An append-only file is a follower, and no replica; the other process of an upgrade counts as
/// none.
fn is_on_wire(follower: &Follower) -> bool {
    follower.kind == FollowerKind::Wire
}

/// What Redis calls a replica's lag: the time since it last acknowledged anything, unless that was
/// everything.
fn behind_us(follower: &Follower, head: Offset, now: MonoUs) -> u64 {
    match follower.state.acked() {
        None => u64::MAX,
        Some(acked) if acked == head => 0,
        Some(_) => now.since(follower.heard_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::position::{Coverage, Position};
    use crate::engine::Thresholds;
    use crate::node::{ApplyBudget, Condition, new_replid};
    use crate::route::MinReplicas;
    use std::time::Duration;

    fn set() -> ReplicaSet {
        ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    fn linked(set: &ReplicaSet) -> FollowerId {
        let id = set.add_follower(FollowerKind::Wire, "127.0.0.1:7001".into());
        let at = Position { replid: set.history().replid, offset: set.head() };
        assert!(set.log.lock().resume(id, at));
        id
    }

    #[test]
    fn a_follower_on_the_wire_counts_like_a_hosted_one() {
        let set = set();
        let id = linked(&set);
        let file = set.add_follower(FollowerKind::AppendOnlyFile, "appendonly.aof".into());
        set.ping(MonoUs(5));
        let head = set.head();
        assert_eq!((set.acked_by(head), set.acked_by_at_least(2)), (0, Some(Offset::ZERO)));
        let gate = MinReplicas { replicas: 2, max_lag: Duration::from_micros(10) };
        assert!(!gate.allows(set.fed(MonoUs(100))));

        let sent = set.log.lock().next_chunk(id, usize::MAX);
        assert_eq!(sent.len() as u64, head.bytes());
        set.ack(id, head, MonoUs(100)).unwrap();
        assert_eq!(set.acked_by(head), 1);
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!((set.acked_by(head), set.acked_by_at_least(2)), (2, Some(head)));
        assert!(gate.allows(set.fed(MonoUs(200))));
        let stands = |it: &FollowerStatus| (it.kind, it.acked, it.behind_us);
        let all: Vec<_> = set.followers(MonoUs(200)).iter().map(stands).collect();
        let file_stands = (FollowerKind::AppendOnlyFile, Offset::ZERO, u64::MAX);
        let (hosted, wire) = (FollowerKind::Hosted, FollowerKind::Wire);
        assert_eq!(all, [(hosted, head, 0), (wire, head, 0), file_stands]);

        set.remove_follower(id);
        set.remove_follower(file);
        assert_eq!(set.acked_by(head), 1);
    }

    #[test]
    fn a_file_is_no_replica_that_could_be_asked_what_it_has() {
        let set = set();
        set.add_follower(FollowerKind::AppendOnlyFile, "appendonly.aof".into());
        set.ping(MonoUs(5));
        let head = set.head();
        set.ask_wire(head, MonoUs(6));
        assert_eq!((set.has_wire_replicas(), set.head()), (false, head));
        let id = linked(&set);
        set.ask_wire(head, MonoUs(7));
        assert!(set.has_wire_replicas() && head < set.head());
        set.remove_follower(id);
        assert!(!set.has_wire_replicas());
    }

    #[test]
    fn the_backlog_outlives_the_last_replica_on_the_wire_for_as_long_as_told() {
        let (set, ttl) = (set(), Duration::from_secs(60));
        let begin = Position { replid: set.history().replid, offset: set.head() };
        let resumes = || {
            let id = set.add_follower(FollowerKind::Wire, "127.0.0.1:7001".into());
            let does = set.resume_wire(id, begin).is_some();
            (id, does)
        };
        let (first, does) = resumes();
        assert!(does);
        set.ping(MonoUs(5));
        // A hosted replica that lags keeps what it lacks.
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        let later = || clock::mono_now().plus(ttl);
        set.release_backlog(ttl, later());
        set.remove_follower(first);
        set.release_backlog(ttl, clock::mono_now());
        set.release_backlog(Duration::ZERO, later());
        let (second, does) = resumes();
        assert!(does, "it is kept until then");
        set.remove_follower(second);
        set.release_backlog(ttl, later());
        assert!(!resumes().1, "it is gone");
    }

    #[test]
    fn a_peer_that_lies_is_disconnected_and_counts_no_more() {
        let set = set();
        let id = linked(&set);
        set.ping(MonoUs(5));
        let sent = Offset::ZERO;
        let lie = Err(PeerFault::AckBeyondSent { acked: set.head(), sent });
        assert_eq!(set.ack(id, set.head(), MonoUs(6)), lie);
        assert_eq!(set.acked_by(Offset::ZERO), 1);
    }

    #[test]
    fn a_hosted_replica_is_online_exactly_while_its_member_is_sound() {
        let set = set();
        let state = || set.followers(MonoUs(9))[0].state;
        assert!(state().is_online());
        set.disconnect(set.member(MemberId(1)), DisconnectReason::NotApplicable);
        let why = DisconnectReason::NotApplicable;
        assert_eq!(state(), FollowerState::Disconnected { why });
        set.sync(set.member(MemberId(1)), MonoUs(9));
        assert!(state().is_online() && set.member(MemberId(1)).is_sound());
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert_eq!((set.followers(MonoUs(9))[0].name.as_str(), state().is_online()), ("n1", true));
        set.fail_over(set.member(MemberId(0))).unwrap();
        assert_eq!((set.followers(MonoUs(9))[0].name.as_str(), state().is_online()), ("n2", true));
    }

    #[test]
    fn one_write_longer_than_the_feed_limit_disconnects_nobody_and_is_not_kept() {
        let set = set();
        set.bound_log(1 << 20, 1 << 20);
        let member = set.member(MemberId(1));
        let mut log = set.log.lock();
        let mut entry = log.write(1, MonoUs(1));
        entry.propagate(0, &vec![b'x'; 64 << 20], [].into_iter());
        entry.close();
        set.mark_disconnected(log);
        assert!(member.is_in_sync());
        let mut due = std::collections::VecDeque::new();
        set.log.lock().take(member.follower().unwrap(), Offset::ZERO, 9, &mut due);
        assert_eq!(due.len(), 1);
        assert!(set.backlog().1 <= 2 << 20, "the backlog has dropped it");
    }

    #[test]
    fn half_of_what_cuts_a_replica_off_makes_writes_wait() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 100);
        assert_eq!(set.lag_bytes_max(), 50);
        let member = set.member(MemberId(1));
        while set.head().since(member.applied()) <= 50 {
            assert!(!set.is_far_behind(member) && set.far_behind().is_none());
            set.ping(MonoUs(1));
        }
        assert!(set.is_far_behind(member));
        assert_eq!(set.far_behind(), Some(member.id));
        set.bound_log(1 << 20, 1000);
        assert_eq!((set.lag_bytes_max(), set.far_behind()), (500, None));
        set.apply(member, ApplyBudget::ALL);
        assert!(!set.is_far_behind(member) && !set.is_far_behind(set.member(set.master())));
    }

    #[test]
    fn a_replica_on_the_wire_may_have_a_bound_or_none() {
        let set = set();
        let id = linked(&set);
        let cut = || matches!(set.follower_state(id), FollowerState::Disconnected { .. });
        // Bounds are looked at when a block begins, and when one of all changes.
        let look = || set.bound_log(1 << 20, 1 << 20);
        set.bound_wire(id, 0);
        assert!((0..20).all(|_| set.ping(MonoUs(1))));
        look();
        assert!(!cut(), "no bound");
        set.bound_wire(id, 1000);
        look();
        assert!(!cut());
        set.bound_wire(id, 50);
        look();
        assert!(cut());
    }

    #[test]
    fn replicas_on_the_wire_are_asked_what_they_have_once_for_each_place_and_time() {
        let set = set();
        linked(&set);
        set.ping(MonoUs(1));
        let asks = |ask: &dyn Fn()| {
            let before = set.head();
            ask();
            before < set.head()
        };
        let wrote_at = set.head();
        assert!(asks(&|| set.ask_wire(wrote_at, MonoUs(5))));
        assert!(!asks(&|| set.ask_wire(wrote_at, MonoUs(6))), "they have been");
        assert!(asks(&|| set.ask_wire(set.head(), MonoUs(7))), "there is more by now");
        let every = Duration::from_micros(10);
        assert!(!asks(&|| set.ask_wire_every(every, MonoUs(16))));
        assert!(asks(&|| set.ask_wire_every(every, MonoUs(17))));
        assert!(!asks(&|| set.ask_wire_every(every, MonoUs(26))));
    }

    #[test]
    fn floors_beyond_the_stream_are_of_no_stream_we_know() {
        let set = set();
        set.ping(MonoUs(1));
        let at = |offset| Position { replid: set.history().replid, offset };
        assert_eq!(set.cover(at(set.head())), Coverage::To(set.head()));
        let beyond = Offset::new(set.head().bytes() + 1);
        assert_eq!(set.cover(at(beyond)), Coverage::Foreign);
    }

    #[test]
    fn what_replicas_on_the_wire_have_on_disk_is_what_they_have_said() {
        let set = set();
        assert_eq!((set.on_disk_at(Offset::ZERO), set.on_disk_at_least(1)), (0, None));
        assert_eq!(set.on_disk_at_least(0), Some(Offset::MAX));
        let (one, other) = (linked(&set), linked(&set));
        set.ping(MonoUs(1));
        let first = set.head();
        set.ping(MonoUs(2));
        let head = set.head();
        for id in [one, other] {
            set.log.lock().next_chunk(id, usize::MAX);
        }
        assert_eq!(set.on_disk_at_least(1), None, "nobody has said anything");
        set.synced_on_wire(one, head).unwrap();
        set.synced_on_wire(other, first).unwrap();
        assert_eq!((set.on_disk_at(first), set.on_disk_at(head)), (2, 1));
        let at_least = [1, 2, 3].map(|it| set.on_disk_at_least(it));
        assert_eq!(at_least, [Some(head), Some(first), None]);
        let durable = |is_here| Condition::DurableAt { is_here, replicas: 1 }.reached(&set);
        assert_eq!((durable(false), durable(true)), (Some(head), Some(head)), "no file is kept");
        set.expect_file(true);
        assert_eq!((durable(false), durable(true)), (Some(head), Some(Offset::ZERO)));
        let beyond = Offset::new(head.bytes() + 1);
        assert!(set.synced_on_wire(other, beyond).is_err());
        assert_eq!(set.on_disk_at(first), 1, "who says what cannot be is cut off");
    }

    #[test]
    fn a_follower_is_told_by_what_it_is_and_where_it_can_be_reached() {
        let set = set();
        linked(&set);
        set.add_follower(FollowerKind::AppendOnlyFile, "appendonly.aof".into());
        set.pause(set.member(MemberId(1)), MonoUs(1)).unwrap();
        let all = set.followers(MonoUs(1));
        let told = |it: &FollowerStatus| (it.is_replica(), it.is_on_wire(), it.flags());
        let [hosted, wire, file] = [0, 1, 2].map(|it| &all[it]);
        assert_eq!(told(hosted), (true, false, "paused".into()));
        assert_eq!(told(wire), (true, true, "ok".into()));
        assert_eq!(told(file), (false, false, "ok".into()));
        assert_eq!(wire.address(), ("127.0.0.1", "7001"));
        assert_eq!(file.address(), ("appendonly.aof", "0"), "it has said no port");
        let held_back = [hosted, wire, file].map(FollowerStatus::held_back);
        assert_eq!(held_back, [Some("paused"), None, None]);
    }

    #[test]
    fn who_has_all_is_not_behind_and_who_has_not_is_since_it_was_heard() {
        let set = set();
        let id = linked(&set);
        let behind = |now| set.followers(MonoUs(now))[1].behind_us;
        set.ack(id, set.head(), MonoUs(5)).unwrap();
        assert_eq!(behind(9), 0);
        set.ping(MonoUs(6));
        assert_eq!(behind(9), 4);
        set.heard_wire(id, MonoUs(8));
        assert_eq!(behind(9), 1);
    }

    #[test]
    fn what_a_replica_has_on_disk_counts_no_more_once_it_is_cut_off() {
        let set = set();
        let id = linked(&set);
        set.ping(MonoUs(5));
        let head = set.head();
        set.log.lock().next_chunk(id, usize::MAX);
        set.synced_on_wire(id, head).unwrap();
        assert_eq!(set.on_disk_on_wire(), [head]);
        set.bound_wire(id, 1);
        set.ping(MonoUs(6));
        set.ping(MonoUs(7));
        let mut log = set.log.lock();
        log.set_feed_bytes_max(1 << 20);
        let is_online = log.follower(id).state.is_online();
        drop(log);
        if !is_online {
            assert_eq!(set.on_disk_on_wire(), [Offset::ZERO; 0]);
        } else {
            set.disconnect_wire(id, PeerFault::Silent);
            assert_eq!(set.on_disk_on_wire(), [Offset::ZERO; 0]);
        }
    }
}
