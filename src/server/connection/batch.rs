//! One batch at work: the worker's scratch, the lock that neighbours share, and when it began.

use super::event::Action;
use super::scratch::WorkerScratch;
use super::stopwatch::Stopwatch;
use crate::base::ids::MemberId;
use crate::base::lowered::long_elements;
use crate::base::time::{Clock, MonoUs};
use crate::command::{Args, Fault};
use crate::commands::{Command, Outcome};
use crate::engine::{Engine, Work};
use crate::node::{MasterGuard, Member, MemberFlags, MemberList, ReadGuard, ReplicaSet};
use crate::script::Libraries;
use std::sync::Arc;

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
    /// Those of operators weigh so much more: see `OPERATOR_REQUESTS`.
    pub extra_weight: u64,
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
            extra_weight: 0,
            writes: 0,
            actions,
            has_new_limits: false,
        }
    }

    /// The libraries to look a function up in: those of a member that nobody holds for long.
    pub fn libraries(&mut self) -> Arc<Libraries> {
        if let LockCache::Writing(guard) = &mut self.locks {
            return MasterGuard::engine(guard).libraries().clone();
        }
        self.locks.release();
        self.set.libraries()
    }

    /// Locks the master to write. One that a panic has taken out of service is replaced first.
    #[inline]
    pub fn master(&mut self) -> Result<&mut MasterGuard<'s>, NotNow> {
        // Looked at under the lock: its last holder's verb may have panicked while this waited.
        let guard = self.write()?;
        if guard.member().is(MemberFlags::QUARANTINED) {
            self.locks.release();
            if !self.scratch.works_long {
                return Err(NotNow::Long);
            }
            self.set.replace_quarantined_master();
        }
        let guard = self.write()?;
        if guard.member().is(MemberFlags::QUARANTINED) {
            return Err(NotNow::Fault(Fault::MasterDown));
        }
        Ok(guard)
    }

    fn write(&mut self) -> Result<&mut MasterGuard<'s>, NotNow> {
        let BatchContext { locks, set, member_list, scratch, .. } = self;
        locks.write(set, member_list, scratch.works_long).map_err(NotNow::Busy)
    }
}

/// Whether a request is long, by estimate.
#[inline]
pub fn is_long(command: &Command, engine: &Engine, args: Args<'_>) -> bool {
    let may_be_long = command.work != Work::Short || long_elements() < args.request().len();
    may_be_long && long_elements() < elements(command, engine, args)
}

/// Whether a write is long, by estimate.
#[inline]
pub fn is_long_write(command: &Command, engine: &Engine, args: Args<'_>) -> bool {
    is_long(command, engine, args) || engine.is_walked() && copies_long(command, engine, args)
}

/// Whether a write changes what a walk is to find as it is, and that is much to copy.
#[cold]
fn copies_long(command: &Command, engine: &Engine, args: Args<'_>) -> bool {
    long_elements() < engine.copy_cost(args.db, command.spec.keys, args.request())
}

/// About how many elements a request touches.
#[inline(never)]
pub fn elements(command: &Command, engine: &Engine, args: Args<'_>) -> usize {
    command.work.elements(engine.db(&args), command.spec.keys, args)
}

/// Why a request is not served now.
#[derive(Debug)]
pub enum NotNow {
    /// It is refused.
    Fault(Fault),
    /// It waits until CLIENT PAUSE is over.
    Paused,
    /// It waits until nobody holds this member for long.
    Busy(MemberId),
    /// It goes to a thread for long work first.
    Long,
}

impl From<Fault> for NotNow {
    fn from(fault: Fault) -> NotNow {
        NotNow::Fault(fault)
    }
}

impl NotNow {
    /// What its request has come to.
    #[cold]
    pub fn outcome(self) -> Result<Outcome, Fault> {
        match self {
            NotNow::Fault(fault) => Err(fault),
            NotNow::Paused => Ok(Outcome::Paused),
            NotNow::Busy(member) => Ok(Outcome::Busy(member)),
            NotNow::Long => Ok(Outcome::Long),
        }
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

    /// Holds `member` to read; for as long as it takes when this thread `works_long`, and else
    /// unless somebody changes it for long.
    // As scripts read, too: see `RecentCommand::find`.
    #[inline(always)]
    pub fn read(
        &mut self,
        set: &'s ReplicaSet,
        member: &'s Member,
        works_long: bool,
    ) -> Option<&ReadGuard<'s>> {
        if !matches!(self, LockCache::Reading(it) if it.member().id == member.id) {
            self.release();
            let guard =
                if works_long { set.read_long(member) } else { set.read_unless_long(member)? };
            *self = LockCache::Reading(guard);
        }
        match self {
            LockCache::Reading(guard) => Some(guard),
            _ => unreachable!("just locked to read"),
        }
    }

    /// Holds the master to write; for as long as it takes when this thread `works_long`. `Err` with
    /// the master when somebody holds it for long.
    #[inline]
    fn write(
        &mut self,
        set: &'s ReplicaSet,
        member_list: &'s MemberList,
        works_long: bool,
    ) -> Result<&mut MasterGuard<'s>, MemberId> {
        if !matches!(self, LockCache::Writing(_)) {
            self.release();
            let guard = if works_long {
                set.write_long(member_list)
            } else {
                set.write_in_turn(member_list)?
            };
            *self = LockCache::Writing(guard);
        }
        Ok(self.writing())
    }

    /// The master, which is held to write.
    #[inline]
    pub fn writing(&mut self) -> &mut MasterGuard<'s> {
        match self {
            LockCache::Writing(guard) => guard,
            _ => unreachable!("the master has been locked to write"),
        }
    }

    /// Takes the master out, locked to write. It is locked again if it was let go within this
    /// request, which cannot begin anew.
    pub fn take_writing(
        &mut self,
        set: &'s ReplicaSet,
        member_list: &'s MemberList,
    ) -> MasterGuard<'s> {
        match std::mem::replace(self, LockCache::Nothing) {
            LockCache::Writing(guard) => guard,
            other => {
                drop(other);
                set.write(member_list)
            }
        }
    }
}
