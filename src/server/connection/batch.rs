//! One batch at work: the worker's scratch, the lock that neighbours share, and when it began.

use super::event::Action;
use super::scratch::WorkerScratch;
use super::stopwatch::Stopwatch;
use crate::base::time::{Clock, MonoUs};
use crate::command::Fault;
use crate::node::{MasterGuard, Member, MemberFlags, MemberList, ReadGuard, ReplicaSet};

/// What an event is handled with. Borrowed apart from the connection, so that locks can outlive a
/// call.
pub struct BatchContext<'s, 'd> {
    /// The worker's scratch.
    pub scratch: &'d mut WorkerScratch,
    /// The set.
    pub set: &'s ReplicaSet,
    /// The members of this batch.
    pub member_list: &'s MemberList,
    /// The lock.
    pub locks: LockCache<'s>,
    /// The clocks.
    pub clock: &'d dyn Clock,
    /// When the batch began.
    pub now: MonoUs,
    /// The stopwatch.
    pub stopwatch: Stopwatch,
    /// Where in the input the request at hand begins.
    pub at: usize,
    /// Commands of this batch that reached their handler or the queue.
    pub served: u64,
    /// Commands of this batch that have changed something.
    pub writes: u32,
    /// What the connection wants done.
    pub actions: &'d mut Vec<Action>,
    /// What a request may hold has changed: the client has logged in, or a setting has changed.
    pub has_new_limits: bool,
}

impl<'s, 'd> BatchContext<'s, 'd> {
    /// A batch that begins at `at_ns` of the clock, and adds what is wanted to `actions`.
    pub fn begin(
        scratch: &'d mut WorkerScratch,
        set: &'s ReplicaSet,
        member_list: &'s MemberList,
        clock: &'d dyn Clock,
        at_ns: u64,
        actions: &'d mut Vec<Action>,
    ) -> BatchContext<'s, 'd> {
        BatchContext {
            scratch,
            set,
            member_list,
            locks: LockCache::Nothing,
            clock,
            now: MonoUs(at_ns / 1000),
            stopwatch: Stopwatch::begin(at_ns),
            at: 0,
            served: 0,
            writes: 0,
            actions,
            has_new_limits: false,
        }
    }

    /// Locks the master to write. One that a panic has taken out of service is replaced first.
    #[inline]
    pub fn master(&mut self) -> Result<&mut MasterGuard<'s>, Fault> {
        // Looked at under the lock: its last holder's verb may have panicked while this waited.
        let guard = self.locks.write(self.set, self.member_list);
        if guard.member().is(MemberFlags::QUARANTINED) {
            self.locks.release();
            self.set.replace_quarantined_master();
        }
        let guard = self.locks.write(self.set, self.member_list);
        if guard.member().is(MemberFlags::QUARANTINED) {
            return Err(Fault::MasterDown);
        }
        Ok(guard)
    }
}

/// The lock a batch holds, so that neighbours that go to the same member take it once.
pub enum LockCache<'s> {
    /// None.
    Nothing,
    /// A member's, to read.
    Reading(ReadGuard<'s>),
    /// The master's, to write.
    Writing(MasterGuard<'s>),
}

impl<'s> LockCache<'s> {
    /// Lets go.
    pub fn release(&mut self) {
        *self = LockCache::Nothing;
    }

    /// Holds `member` to read.
    #[inline]
    pub fn read(&mut self, set: &'s ReplicaSet, member: &'s Member) -> &ReadGuard<'s> {
        if !matches!(self, LockCache::Reading(it) if it.member().id == member.id) {
            self.release();
            *self = LockCache::Reading(set.read(member));
        }
        match self {
            LockCache::Reading(guard) => guard,
            _ => unreachable!("just locked to read"),
        }
    }

    /// Holds the master to write.
    #[inline]
    pub fn write(
        &mut self,
        set: &'s ReplicaSet,
        member_list: &'s MemberList,
    ) -> &mut MasterGuard<'s> {
        if !matches!(self, LockCache::Writing(_)) {
            self.release();
            *self = LockCache::Writing(set.write_in_turn(member_list));
        }
        match self {
            LockCache::Writing(guard) => guard,
            _ => unreachable!("just locked to write"),
        }
    }
}
