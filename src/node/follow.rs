//! A set that follows a remote master: when it begins, when its data is replaced, when it ends.
//!
//! The member that is [`ReplicaSet::master`] is at the head of such a set: it takes the stream
//! first, and the others are fed from the log as always.

use super::failover::{FORCED, new_replid};
use super::member_state::{Hold, MemberFlags};
use super::remote_master::{LinkPhase, RemoteMaster};
use super::replica_set::ReplicaSet;
use super::told::Told;
use crate::base::position::{Coverage, Offset, Position, ReplId};
use crate::base::time::MonoUs;
use crate::engine::Engine;
use crate::route::Floor;
use crate::runtime::{clock, lazyfree, steps};
use event_listener::EventListener;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// What becomes of the writes of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writes {
    /// They are made here.
    Here,
    /// They are refused: the set follows a master.
    Refused,
    /// They are forwarded to the master that the set follows.
    Forwarded,
}

/// The set follows another master by now, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotFollowed;

impl ReplicaSet {
    /// The master that the set follows, if it does.
    pub fn remote(&self) -> Option<Arc<RemoteMaster>> {
        self.remote.read().clone()
    }

    /// Whether the set follows a remote master: nothing may change by itself, and nothing but its
    /// stream enters the log.
    #[inline]
    pub fn is_following(&self) -> bool {
        self.is_following.load(Acquire)
    }

    /// What becomes of the writes of clients.
    pub fn writes(&self) -> Writes {
        match self.is_following() {
            false => Writes::Here,
            true if self.forwards.load(Acquire) => Writes::Forwarded,
            true => Writes::Refused,
        }
    }

    /// Changes whether writes are forwarded to the master that the set follows.
    pub fn forward_writes(&self, forwards: bool) {
        self.forwards.store(forwards, Release);
        self.announce();
    }

    /// The floor of whoever wants to see all that a reply of the master has told of here.
    pub fn told_floor(&self) -> Floor {
        self.told.floor(&self.history())
    }

    /// Where the remote master's stream stood when it last told, in whatever history.
    pub fn told(&self) -> Option<Position> {
        self.told.position()
    }

    /// The master has told where its stream stands. Answers the place.
    pub fn was_told(&self, told: Told) -> Position {
        let history = self.history();
        let at = told.position(&history);
        match history.cover(at) {
            Coverage::To(offset) | Coverage::Lost(offset) if at.replid != history.replid => {
                self.told.raise_late(Position { replid: history.replid, offset }, &history);
            }
            _ => self.told.raise(at, told.by.number),
        }
        at
    }

    /// Microseconds since everything was here that the master had, which the set follows; 0 when it
    /// follows nobody, [`u64::MAX`] when that is not known.
    pub fn stream_age_us(&self, now: MonoUs) -> u64 {
        self.remote().map_or(0, |it| it.freshness.age_us(self.head(), now))
    }

    /// Hears of the next master, or that there is none; look at [`ReplicaSet::remote`] after asking
    /// for it.
    pub fn remote_changes(&self) -> EventListener {
        self.remote_change.listen()
    }

    /// Whether this is the master that the set follows.
    pub fn follows(&self, remote: &Arc<RemoteMaster>) -> bool {
        self.remote.read().as_ref().is_some_and(|it| Arc::ptr_eq(it, remote))
    }

    /// Follows this master from here on. The data stays until that of the master has come. Waits
    /// for the master's lock: not for a worker that has clients to serve.
    pub fn follow(&self, remote: RemoteMaster) {
        let _alone = self.change();
        log::info!("event=follows master={}", remote.address);
        self.change_remote(Some(Arc::new(remote)), |set| set.log.lock().keep());
        self.key_waiters.end_all(&FORCED);
    }

    /// Follows nobody any more: the set goes on from where it stands, with a history of its own.
    /// Answers whether it followed anybody.
    pub fn stop_following(&self) -> bool {
        let _alone = self.change();
        let Some(remote) = self.remote() else { return false };
        self.change_remote(None, |set| {
            let mut log = set.log.lock();
            let mut history = log.history().promoted(new_replid(), log.head());
            // What has not come is lost, and those who have written it are told.
            if let Some(told) = set.told()
                && history.cover(told) == Coverage::Foreign
            {
                history = history.lacking(told.replid);
            }
            log.begin_history(history.clone());
            set.install_master(set.master(), history);
            set.begin_wire_history();
        });
        self.tell_wire();
        let (history, head) = (self.history(), self.head());
        let replid = history.replid;
        log::info!("event=follows-nobody before={} replid={replid} offset={head}", remote.address);
        true
    }

    /// Under the master's lock, so that whoever writes has written before, or sees it.
    fn change_remote(&self, remote: Option<Arc<RemoteMaster>>, also: impl FnOnce(&ReplicaSet)) {
        let member_list = self.member_list();
        let guard = self.write_long(&member_list);
        self.is_following.store(remote.is_some(), Release);
        *self.remote.write() = remote;
        also(self);
        self.told.forget();
        self.announce();
        self.forget_cached();
        drop(guard);
        self.wake_waiters();
        self.remote_change.notify(usize::MAX);
    }

    /// The link to the master has come as far as this.
    pub fn enter_link_phase(&self, remote: &RemoteMaster, phase: LinkPhase, now: MonoUs) {
        if remote.enter(phase, now) {
            // Reads of a set whose link is down may be refused.
            self.announce();
        }
    }

    /// Where the stream can go on, if there has been any, with the database that is selected there.
    pub fn resume_from(&self) -> (Option<Position>, usize) {
        let log = self.log.lock();
        let at = Position { replid: log.history().replid, offset: log.head() };
        let has_begun = log.repeated_db().is_some() || at.offset != Offset::ZERO;
        (has_begun.then_some(at), log.repeated_db().unwrap_or(0))
    }

    /// The master's stream goes on under this name. `past` is what the master says of what it went
    /// on with: that may share more of the stream than had come here, so that what a client has
    /// seen elsewhere is not lost.
    pub fn rename_stream(
        &self,
        remote: &Arc<RemoteMaster>,
        replid: ReplId,
        past: &[Position],
    ) -> Result<(), NotFollowed> {
        let _alone = self.change();
        if !self.follows(remote) {
            return Err(NotFollowed);
        }
        let mut log = self.log.lock();
        let history = log.history().followed(replid, past, Some(log.head()));
        log.rename_history(history.clone());
        self.install_master(self.master(), history);
        drop(log);
        self.forget_cached();
        self.begin_wire_history();
        self.tell_wire();
        log::info!("event=history-renamed master={} replid={replid}", remote.address);
        Ok(())
    }

    /// The master's data has come, as it was at `at`, where `db` is selected: it takes the place of
    /// what was here. `past` is what the master says of what that history went on with. Hosted
    /// replicas get copies of the data. Not for a worker that has clients to serve.
    pub fn replace_data(
        &self,
        remote: &Arc<RemoteMaster>,
        mut engine: Engine,
        at: Position,
        db: usize,
        past: &[Position],
    ) -> Result<(), NotFollowed> {
        let began = clock::mono_now();
        let _alone = self.change();
        if !self.follows(remote) {
            lazyfree::free_async(engine);
            return Err(NotFollowed);
        }
        let head = self.member(self.master());
        let long = self.hold_long(head, Hold::Write);
        let mut hosted = head.lock_to_write();
        steps::works();
        // Before the new stream is seen: its offsets mean nothing to who has the old data.
        self.replicas().for_each(|it| it.enter(MemberFlags::UNSYNCED, MonoUs(0)));
        let mut log = self.log.lock();
        let history = log.history().followed(at.replid, past, None);
        log.replace(history.clone(), at.offset, db);
        engine.written_mut().expired = hosted.engine.written().expired;
        engine.shared_mut().thresholds = hosted.engine.shared().thresholds;
        engine.libraries_mut().come_after(hosted.engine.libraries());
        // What waits for keys is noted in the engine that goes.
        self.key_waiters.end_all(&FORCED);
        let old = std::mem::replace(&mut hosted.engine, engine);
        head.set_applied(at.offset);
        self.set_head(at.offset);
        // The file is of the other data.
        self.on_disk.durable.store(0, Release);
        // What could not be trusted has gone.
        head.leave(MemberFlags::QUARANTINED);
        self.install_master(head.id, history);
        drop(log);
        self.forget_cached();
        drop((hosted, long));
        lazyfree::free_async(old);
        self.full_resyncs.fetch_add(1, Relaxed);
        head.full_resyncs.fetch_add(1, Relaxed);
        self.begin_wire_history();
        self.wake_waiters();
        self.push();
        self.tell_wire();
        let us = clock::mono_now().since(began);
        log::info!("event=data-replaced master={} position={at} us={us}", remote.address);
        Ok(())
    }
}
