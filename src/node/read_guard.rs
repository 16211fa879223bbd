//! A member, locked to read.

use super::counts::{MemberCounts, SeenCounts};
use super::long_hold::LongHold;
use super::member::{Hosted, Member};
use super::member_state::Hold;
use super::replica_set::ReplicaSet;
use crate::base::time::WallMs;
use crate::command::{Args, Fault};
use crate::engine::{Engine, ReadVerb};
use crate::resp::Reply;
use crate::runtime::steps;
use crate::script::Libraries;
use parking_lot::RwLockReadGuard;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// How a verb ended.
pub type VerbResult = Result<(), Fault>;

/// What a client is told whose verb panicked.
pub const PANICKED: Fault =
    Fault::Static("ERR internal error, the member has been taken out of service");

/// A member, locked to read.
pub struct ReadGuard<'s> {
    set: &'s ReplicaSet,
    member: &'s Member,
    hosted: RwLockReadGuard<'s, Hosted>,
    // Behind the lock, which must be free before anybody is told.
    long: Option<LongHold<'s>>,
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        self.member.readers.fetch_sub(1, Relaxed);
    }
}

impl ReplicaSet {
    /// Locks a member to read.
    #[inline]
    pub fn read<'s>(&'s self, member: &'s Member) -> ReadGuard<'s> {
        member.readers.fetch_add(1, Relaxed);
        ReadGuard { set: self, member, hosted: member.lock_to_read(), long: None }
    }

    /// As [`ReplicaSet::read`], for a worker: `None` when somebody changes the member for long.
    #[inline]
    pub fn read_unless_long<'s>(&'s self, member: &'s Member) -> Option<ReadGuard<'s>> {
        let hosted = member.read_unless_long()?;
        member.readers.fetch_add(1, Relaxed);
        Some(ReadGuard { set: self, member, hosted, long: None })
    }

    /// As [`ReplicaSet::read`], for who will be long.
    pub fn read_long<'s>(&'s self, member: &'s Member) -> ReadGuard<'s> {
        let long = self.hold_long(member, Hold::Read);
        member.readers.fetch_add(1, Relaxed);
        let hosted = member.lock_to_read();
        steps::works();
        ReadGuard { set: self, member, hosted, long: Some(long) }
    }
}

impl ReplicaSet {
    /// What a member's data comes to, as of now or of when it was seen last.
    pub fn counts(&self, member: &Member, now: WallMs) -> MemberCounts {
        let mut seen = member.seen.lock();
        if !seen.is_shown
            && let Some(hosted) = member.read_soon()
        {
            seen.counts = MemberCounts::of(&hosted.engine, now);
        }
        seen.counts.clone()
    }

    /// The same of the master.
    pub fn master_counts(&self, now: WallMs) -> MemberCounts {
        self.counts(self.member(self.master()), now)
    }

    /// The libraries of functions of the master, or of another member while somebody holds that for
    /// long. The calling thread holds no member.
    pub fn libraries(&self) -> Arc<Libraries> {
        let member_list = self.member_list();
        let others = member_list.iter().map(Arc::as_ref).filter(|it| it.is_sound());
        let readable = std::iter::once(self.member(self.master())).chain(others);
        let found = readable.filter_map(|it| self.read_unless_long(it)).next();
        found.map(|it| it.engine().libraries().clone()).unwrap_or_default()
    }
}

/// A member's counts are shown as they were when this was made, for as long as it is kept.
pub struct ShownCounts<'m>(&'m Member);

impl<'m> ShownCounts<'m> {
    /// Those of this data, which is the member's.
    pub(super) fn of(member: &'m Member, engine: &Engine, now: WallMs) -> ShownCounts<'m> {
        let counts = MemberCounts::of(engine, now);
        *member.seen.lock() = SeenCounts { counts, is_shown: true };
        ShownCounts(member)
    }
}

impl Drop for ShownCounts<'_> {
    fn drop(&mut self) {
        self.0.seen.lock().is_shown = false;
    }
}

impl ReadGuard<'_> {
    /// The member that is read.
    pub fn member(&self) -> &Member {
        self.member
    }

    /// It turns out to be held for long: from here on no worker waits to change it.
    pub fn become_long(&mut self) {
        if self.long.is_none() {
            self.long = Some(self.set.hold_long(self.member, Hold::Read));
        }
    }

    /// Runs a read. A panic is caught here.
    #[inline]
    pub fn run(&self, verb: ReadVerb, args: Args<'_>, reply: &mut Reply) -> VerbResult {
        read_caught(self.set, self.member, &self.hosted.engine, verb, args, reply)
    }

    /// The engine itself, for INFO and digests.
    pub fn engine(&self) -> &Engine {
        &self.hosted.engine
    }
}

/// Runs a read at a member whose lock is held. A panic is caught here: the client gets an error,
/// and the member is out of service.
#[inline]
pub(super) fn read_caught(
    set: &ReplicaSet,
    member: &Member,
    engine: &Engine,
    verb: ReadVerb,
    args: Args<'_>,
    reply: &mut Reply,
) -> VerbResult {
    let mark = reply.mark();
    let run = AssertUnwindSafe(|| engine.read(verb, args, reply));
    catch_unwind(run).unwrap_or_else(|_| {
        reply.cut(mark);
        set.quarantine(member);
        Err(PANICKED)
    })
}
