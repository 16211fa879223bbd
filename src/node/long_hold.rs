//! Members that somebody holds for long, and says so: nobody waits for their locks on a worker.
//!
//! Whoever is about to hold a member for long marks it first and locks it then. A worker that finds
//! a lock taken looks at the mark: a short holder is worth a short wait, for a long one the request
//! waits in its connection until the mark is gone, and the worker serves others.

use super::member::{Hosted, Member};
use super::member_state::Hold;
use super::replica_set::ReplicaSet;
use crate::runtime::steps;
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Longest that a worker waits for a lock before it looks again whether its holder will be long.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// How often who wants it soon waits for so long.
const SOON_LOOKS: u32 = 20;
/// Longest that somebody with a thread of its own waits before it looks again.
const REST: Duration = Duration::from_micros(500);

impl Member {
    /// Whether somebody changes it for long: reads would wait.
    #[inline]
    pub fn is_long_written(&self) -> bool {
        self.state().is_long_written()
    }

    /// Whether somebody reads or changes it for long: writes would wait.
    #[inline]
    pub fn is_long_held(&self) -> bool {
        self.state().is_long_held()
    }

    /// Locks it to read, unless somebody changes it for long.
    #[inline]
    pub(super) fn read_unless_long(&self) -> Option<RwLockReadGuard<'_, Hosted>> {
        self.hosted.try_read().or_else(|| self.wait_to_read())
    }

    #[cold]
    fn wait_to_read(&self) -> Option<RwLockReadGuard<'_, Hosted>> {
        while !self.is_long_written() {
            let wait = || self.hosted.try_read_for(LOOK_EVERY);
            if let Some(hosted) = steps::lock_for(|| self.hosted.try_read(), wait) {
                return Some(hosted);
            }
        }
        None
    }

    /// Locks it to read if that is possible soon. Whoever asks may hold it to write itself: a
    /// script.
    pub(super) fn read_soon(&self) -> Option<RwLockReadGuard<'_, Hosted>> {
        let wait = || self.hosted.try_read_for(LOOK_EVERY);
        let mut looks = SOON_LOOKS;
        loop {
            if let Some(hosted) = self.hosted.try_read() {
                return Some(hosted);
            }
            if looks == 0 || self.is_long_written() {
                return None;
            }
            looks -= 1;
            if let Some(hosted) = steps::lock_for(|| self.hosted.try_read(), wait) {
                return Some(hosted);
            }
        }
    }

    /// Locks it to write, unless somebody holds it for long.
    #[inline]
    pub(super) fn write_unless_long(&self) -> Option<RwLockWriteGuard<'_, Hosted>> {
        self.hosted.try_write().or_else(|| self.wait_to_write())
    }

    #[cold]
    fn wait_to_write(&self) -> Option<RwLockWriteGuard<'_, Hosted>> {
        while !self.is_long_held() {
            let wait = || self.hosted.try_write_for(LOOK_EVERY);
            if let Some(hosted) = steps::lock_for(|| self.hosted.try_write(), wait) {
                return Some(hosted);
            }
        }
        None
    }

    /// Locks it to write, however long that takes: for threads of their own. It never stands in
    /// line behind a long reader, which would keep other readers out.
    pub(super) fn write_patiently(&self) -> RwLockWriteGuard<'_, Hosted> {
        loop {
            if let Some(hosted) = self.write_unless_long() {
                return hosted;
            }
            steps::rest(REST);
        }
    }
}

impl Member {
    /// Locks it to read, however long that takes: not for a worker that has clients to serve.
    #[inline]
    pub(super) fn lock_to_read(&self) -> RwLockReadGuard<'_, Hosted> {
        steps::lock(|| self.hosted.try_read(), || self.hosted.read())
    }

    /// Locks it to write, as [`Member::lock_to_read`] does.
    #[inline]
    pub(super) fn lock_to_write(&self) -> RwLockWriteGuard<'_, Hosted> {
        steps::lock(|| self.hosted.try_write(), || self.hosted.write())
    }
}

/// A mark that a member is held for long. Dropped after its lock, it lets those go on who wait.
pub(super) struct LongHold<'s> {
    set: &'s ReplicaSet,
    member: &'s Member,
    hold: Hold,
}

impl ReplicaSet {
    /// Marks a member, before it is locked.
    pub(super) fn hold_long<'s>(&'s self, member: &'s Member, hold: Hold) -> LongHold<'s> {
        member.state.enter(hold);
        let long = LongHold { set: self, member, hold };
        steps::works();
        long
    }
}

impl Drop for LongHold<'_> {
    fn drop(&mut self) {
        self.member.state.leave(self.hold);
        self.member.settle_thresholds();
        self.set.end_outlived_watches();
        self.set.wake_waiters();
        // What came meanwhile was left to its feed.
        self.member.call_feed();
    }
}
