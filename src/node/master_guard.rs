//! The master, locked to write. What is written there is a `Transaction`.

use super::changes::{BroadcastKeys, TransactionReads};
use super::long_hold::LongHold;
use super::member::{Hosted, Member};
use super::member_state::Hold;
use super::notify::Behind;
use super::read_guard::{VerbResult, read_caught};
use super::replica_set::{MemberList, ReplicaSet};
use crate::base::ids::MemberId;
use crate::base::limits::READERS_TOLD_MAX;
use crate::base::time::MonoUs;
use crate::command::Args;
use crate::engine::{ChangedKeys, Engine, ReadVerb};
use crate::resp::Reply;
use crate::runtime::{lazyfree, steps};
use parking_lot::RwLockWriteGuard;

/// The master, locked to write.
pub struct MasterGuard<'s> {
    pub(super) set: &'s ReplicaSet,
    pub(super) member: &'s Member,
    pub(super) hosted: RwLockWriteGuard<'s, Hosted>,
    /// Something was appended to the log under this lock.
    pub(super) has_news: bool,
    /// Blocked calls are being served.
    pub(super) is_serving: bool,
    /// The client that writes, where that is of interest.
    pub(super) by: Option<u64>,
    /// What was told last; serves for what changes next.
    pub(super) changed: ChangedKeys,
    /// What a client that caches it has read in the transaction at hand.
    pub(super) reads: Option<Box<TransactionReads>>,
    /// What is told to those who are told of all keys with a prefix.
    pub(super) broadcast: BroadcastKeys,
    /// So many clients may be told of changes before this lock is free.
    pub(super) told_left: usize,
    applied_by: AppliedBy,
    // Behind the lock, which must be free before anybody is told.
    long: Option<LongHold<'s>>,
}

/// Who sees to it that replicas apply what is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AppliedBy {
    /// Their feeds' tasks.
    Feeds,
    /// The worker that has written, in its turn (see [`super::TurnApplier`]).
    Worker,
}

impl ReplicaSet {
    /// Locks the master to write. Feeds are called to apply what is written.
    pub fn write<'s>(&'s self, member_list: &'s MemberList) -> MasterGuard<'s> {
        loop {
            let member = self.master_of(member_list);
            let hosted = member.write_patiently();
            if let Some(guard) = self.guard(member, hosted, AppliedBy::Feeds, None) {
                return guard;
            }
        }
    }

    /// As [`ReplicaSet::write`], unless somebody holds the master for long.
    pub fn write_unless_long<'s>(&'s self, member_list: &'s MemberList) -> Option<MasterGuard<'s>> {
        loop {
            let member = self.master_of(member_list);
            let hosted = member.write_unless_long()?;
            if let Some(guard) = self.guard(member, hosted, AppliedBy::Feeds, None) {
                return Some(guard);
            }
        }
    }

    /// Locks the master to write, for a worker, which sees to it that what is written is applied
    /// ([`super::TurnApplier`]). `Err` with the master when somebody holds it for long, and
    /// with a replica that is so far behind that it must catch up first.
    #[inline]
    pub fn write_in_turn<'s>(
        &'s self,
        member_list: &'s MemberList,
    ) -> Result<MasterGuard<'s>, MemberId> {
        if let Some(behind) = self.far_behind() {
            return Err(behind);
        }
        loop {
            let member = self.master_of(member_list);
            let Some(hosted) = member.write_unless_long() else { return Err(member.id) };
            if let Some(guard) = self.guard(member, hosted, AppliedBy::Worker, None) {
                return Ok(guard);
            }
        }
    }

    /// As [`ReplicaSet::write_in_turn`], for who will be long: however long it takes.
    pub fn write_long<'s>(&'s self, member_list: &'s MemberList) -> MasterGuard<'s> {
        loop {
            let member = self.master_of(member_list);
            let long = self.hold_long(member, Hold::Write);
            let hosted = member.lock_to_write();
            steps::works();
            if let Some(guard) = self.guard(member, hosted, AppliedBy::Worker, Some(long)) {
                return guard;
            }
        }
    }

    #[inline]
    fn master_of<'s>(&'s self, member_list: &'s MemberList) -> &'s Member {
        let master = self.master();
        // A master may be younger than the caller's member list.
        member_list.get(master.index()).map_or_else(|| self.member(master), |it| it.as_ref())
    }

    /// The guard of a locked member; `None` when it is no longer the master: a failover swaps the
    /// master while it holds the old one's lock.
    #[inline]
    fn guard<'s>(
        &'s self,
        member: &'s Member,
        mut hosted: RwLockWriteGuard<'s, Hosted>,
        applied_by: AppliedBy,
        long: Option<LongHold<'s>>,
    ) -> Option<MasterGuard<'s>> {
        if self.master() != member.id {
            return None;
        }
        hosted.engine.written_mut().events.ask(self.events.asked());
        self.settle_changes(&mut hosted.engine);
        Some(MasterGuard {
            set: self,
            member,
            hosted,
            has_news: false,
            is_serving: false,
            by: None,
            changed: ChangedKeys::default(),
            reads: None,
            broadcast: BroadcastKeys::new(),
            told_left: READERS_TOLD_MAX,
            applied_by,
            long,
        })
    }

    /// Appends the heartbeat to the stream. Answers whether it has: not while somebody holds the
    /// master for long.
    pub fn ping(&self, now: MonoUs) -> bool {
        // Under the master's lock like every other write: a failover that has locked it must find
        // the stream's end where it left it.
        let member_list = self.member_list();
        let Some(mut writing) = self.write_unless_long(&member_list) else { return false };
        writing.ping(now);
        true
    }
}

impl MasterGuard<'_> {
    /// The member that is written.
    pub fn member(&self) -> &Member {
        self.member
    }

    /// Runs a read at the master.
    pub fn read(&self, verb: ReadVerb, args: Args<'_>, reply: &mut Reply) -> VerbResult {
        read_caught(self.set, self.member, &self.hosted.engine, verb, args, reply)
    }

    /// The engine itself, for WATCH and for digests.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.hosted.engine
    }

    /// Whether it is held for long: so will be whoever does the same at a replica.
    pub(super) fn is_long(&self) -> bool {
        self.long.is_some()
    }

    /// It turns out to be held for long: from here on no worker waits for it.
    pub fn become_long(&mut self) {
        if self.long.is_none() {
            self.long = Some(self.set.hold_long(self.member, Hold::Write));
        }
    }

    /// Whether writes note events.
    #[inline]
    pub(super) fn notes_events(&self) -> bool {
        self.hosted.engine.written().events.is_asked()
    }

    /// Tells what has been raised so far, all of which is in the log.
    #[cold]
    pub(super) fn tell_events(&mut self) {
        let events = self.hosted.engine.written_mut().events.take();
        if !events.is_empty() {
            self.set.events.tell(&events, self.set.position());
        }
    }

    /// As [`MasterGuard::tell_events`], with messages between them.
    #[cold]
    pub(super) fn tell_events_and(&mut self, messages: Vec<Behind>) {
        let (events, at) = (self.hosted.engine.written_mut().events.take(), self.set.position());
        let mut rest = events.as_slice();
        for Behind { events: place, tell } in messages {
            let told = events.len() - rest.len();
            let before = place.saturating_sub(told).min(rest.len());
            self.set.events.tell(&rest[..before], at);
            rest = &rest[before..];
            tell(at);
        }
        self.set.events.tell(rest, at);
    }

    fn ping(&mut self, at: MonoUs) {
        if self.set.is_following() {
            return;
        }
        let mut log = self.set.log.lock();
        log.ping(at);
        self.set.publish(log, self.member);
        self.has_news = true;
    }
}

impl Drop for MasterGuard<'_> {
    /// Tells once for all that was written under this lock.
    fn drop(&mut self) {
        if !self.broadcast.is_empty() {
            self.tell_broadcast();
        }
        let deferred_frees = &mut self.hosted.engine.written_mut().deferred_frees;
        if !deferred_frees.is_empty() {
            lazyfree::free_async(std::mem::take(deferred_frees));
        }
        if !self.has_news {
            return;
        }
        match self.applied_by {
            AppliedBy::Feeds => {
                self.set.push();
                self.set.tell_wire();
            }
            AppliedBy::Worker => {
                self.set.replicas().for_each(|it| it.note_work());
                self.set.tell_wire_in_turn();
            }
        }
    }
}
