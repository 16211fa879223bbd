//! Full resync in memory: a replica that was disconnected, or is new, becomes a copy of another
//! member at one exact offset, and goes on from there.

use super::member::{ApplyState, DataMark, Member};
use super::member_state::{Hold, MemberFlags};
use super::replica_set::ReplicaSet;
use super::snapshot::MemberWalk;
use crate::base::lowered::long_elements;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::engine::{CopyStep, Engine, KeySlot, WalkCopy};
use crate::replication::{DisconnectReason, PendingRecord};
use crate::runtime::{clock, lazyfree, steps};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How a full resync ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Synced {
    /// It follows the stream.
    Done,
    /// Its source, or the copy itself, was disconnected meanwhile: begin again.
    Overtaken,
    /// Nobody can be copied now.
    NoSource,
}

/// A member's keys at one offset, and the writes behind it that the log no longer keeps for it.
struct Copied {
    engine: Engine,
    at: Offset,
    due: VecDeque<PendingRecord<KeySlot>>,
    mark: DataMark,
}

impl ReplicaSet {
    /// Whether `member` is a replica that cannot go on without a full resync, and may have one.
    pub fn needs_sync(&self, member: &Member) -> bool {
        member.id != self.master()
            && member.is(MemberFlags::UNSYNCED)
            && !member.is(MemberFlags::PAUSED)
            && !member.is(MemberFlags::QUARANTINED | MemberFlags::REMOVED)
    }

    /// Makes `member` a copy of a sound member, a replica if there is one: the work that comes of
    /// being copied is not the master's then. Nobody waits meanwhile; strings are shared, not
    /// copied.
    pub fn sync(&self, member: &Member, now: MonoUs) -> Synced {
        let _alone = self.change();
        if !self.needs_sync(member) {
            return Synced::Done;
        }
        let Some(source) = self.source_of_sync(member) else {
            log::warn!("event=full-resync-put-off member={} why=no-source", member.name);
            return Synced::NoSource;
        };
        let Some(copy) = self.copy_caught(&source, member) else {
            return Synced::Overtaken;
        };
        let at = copy.at;
        if !self.adopt_copy(member, copy) {
            return Synced::Overtaken;
        }
        self.wake_waiters();
        log::info!(
            "event=full-resync member={} source={} offset={at} us={}",
            member.name,
            source.name,
            clock::mono_now().since(now)
        );
        Synced::Done
    }

    /// A replica that is not behind `member`, so that what it serves never goes back in time; else
    /// the master.
    fn source_of_sync(&self, member: &Member) -> Option<Arc<Member>> {
        let master = self.master();
        let is_fit = |it: &&Arc<Member>| {
            it.id != master
                && it.id != member.id
                && it.is_sound()
                && !it.is(MemberFlags::PAUSED)
                && member.applied() <= it.applied()
        };
        let replica = self.members().find(is_fit);
        let master = || {
            self.members().find(|it| it.id == master).filter(|it| !it.is(MemberFlags::QUARANTINED))
        };
        replica.or_else(master).cloned()
    }

    fn copy_caught(&self, source: &Arc<Member>, member: &Member) -> Option<Copied> {
        let copied = catch_unwind(AssertUnwindSafe(|| self.copy(source, member)));
        match copied {
            Ok(Some(copied)) => Some(copied),
            Ok(None) => {
                self.give_up_resync(member);
                None
            }
            Err(_) => {
                let (member_name, source) = (&member.name, &source.name);
                log::error!("event=full-resync-failed member={member_name} source={source}");
                self.disconnect(member, DisconnectReason::ResyncFailed);
                None
            }
        }
    }

    /// The stream is no longer kept for `member`, whose source has other data by now: it begins
    /// again.
    fn give_up_resync(&self, member: &Member) {
        let Some(follower) = member.follower() else { return };
        let mut log = self.log.lock();
        if log.follower(follower).state.is_fed() {
            log.disconnect(follower, DisconnectReason::ResyncFailed);
        }
    }

    /// A copy of `source` where it stands; `member` is sent the stream from there on.
    fn copy(&self, source: &Arc<Member>, member: &Member) -> Option<Copied> {
        // From here on there is data of its own, though it is not in its place.
        let mark = member.mark_data();
        let (source, at, due) = self.begin_copy(source, member)?;
        let mut copy = WalkCopy::new(source.walk.clone());
        let mut step = CopyStep::Some;
        while step != CopyStep::All {
            // A value that takes long is copied at once: workers do not wait for that.
            let is_long = step == CopyStep::Long;
            let long = is_long.then(|| self.hold_long(&source.member, Hold::Read));
            let elements_max = if is_long { usize::MAX } else { long_elements() };
            let hosted = source.member.lock_to_read();
            if !hosted.engine.has_walk(&source.walk) || source.member.is(MemberFlags::QUARANTINED) {
                return None;
            }
            step = copy.step(&hosted.engine, elements_max);
            drop((hosted, long));
            // In between, writes and reads of others go on.
            steps::works();
        }
        drop(source);
        let mut engine = self.new_engine();
        copy.put_into(&mut engine);
        Some(Copied { engine, at, due, mark })
    }

    /// A walk over `source` as it stands; `member` will be sent the stream from there on. Answers
    /// also where that is, and what the source has taken from the log and not applied.
    fn begin_copy(
        &self,
        source: &Arc<Member>,
        member: &Member,
    ) -> Option<(MemberWalk, Offset, VecDeque<PendingRecord<KeySlot>>)> {
        let mut hosted = source.write_patiently();
        let due = hosted.apply_state.due.clone();
        let mut log = self.log.lock();
        let follower = member.make_follower(&mut log);
        log.handshake(follower);
        match source.follower().filter(|_| source.id != self.master()) {
            Some(other) if log.full_resync_like(follower, other) => {}
            Some(_) => return None,
            None => log.full_resync(follower),
        }
        let (at, walk) = (source.applied(), hosted.engine.begin_walk());
        self.note_walk(&walk);
        Some((MemberWalk { member: source.clone(), walk, keys: 0 }, at, due))
    }

    /// Puts the copy in its place. The log stays locked until the member is in service: that it was
    /// disconnected before is seen here, and after marks it as any other.
    fn adopt_copy(&self, member: &Member, copy: Copied) -> bool {
        let mut hosted = member.write_patiently();
        let old = std::mem::replace(&mut hosted.engine, copy.engine);
        // They may have changed since it was made.
        hosted.engine.shared_mut().thresholds = self.thresholds();
        member.set_applying_since(copy.due.front().map(|it| it.at));
        hosted.apply_state = ApplyState { due: copy.due, ..ApplyState::new() };
        let mark = hosted.mark.replace(copy.mark);
        member.state.set_replaying(false);
        member.set_applied(copy.at);
        let mut log = self.log.lock();
        let fed = member.follower().filter(|it| log.follower(*it).state.is_fed());
        if let Some(follower) = fed {
            log.online(follower, copy.at);
            // Counted before it serves, so that who sees it back in service sees why.
            self.full_resyncs.fetch_add(1, Relaxed);
            member.full_resyncs.fetch_add(1, Relaxed);
            member.leave(MemberFlags::UNSYNCED);
        }
        drop((log, hosted));
        lazyfree::free_async((old, mark));
        fed.is_some()
    }
}
