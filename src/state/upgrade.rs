//! The upgrade of a running server: another process, of a newer version or with another
//! configuration, takes its place, and gets its sockets.
//!
//! ```text
//!   new process                                        this one
//!   ───────────                                        ────────
//!   PROXY UPGRADE BEGIN ──────────────────────────▶    says who it is
//!   PROXY UPGRADE SOCKETS path ───────────────────▶    sends its listening sockets there
//!   PSYNC, until it has everything ───────────────▶
//!   PROXY UPGRADE ROLE pid path master ───────────▶    is its from here on; FAILOVER: follows it
//!   PROXY UPGRADE END pid ────────────────────────▶    accepts nobody more, gives up the
//!   accepts clients, takes the directory               directory, serves what was asked, and ends
//! ```
//!
//! Until ROLE is answered nothing has changed here, whatever becomes of the other process. If it
//! ends between ROLE and END, this one takes its role back. END is refused where something else has
//! changed the role meanwhile; the other process ends then. Behind END there is one process.

use crate::runtime::passed_sockets::PassedSocket;
use crate::runtime::process;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

/// The name of the listener that an upgrade comes by. No listener of the configuration has it,
/// since those have no brackets.
pub const UPGRADE_LISTENER: &str = "(upgrade)";

/// How a refusal begins that the other process may ask again after.
pub const UPGRADE_NOT_YET: &str = "not yet:";

/// What the process that takes our place asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpgradeStep {
    /// Our sockets, at this path.
    Sockets(String),
    /// That our place is its alone from here on: it becomes the master in it, if we are one.
    Role {
        /// Its number.
        pid: u32,
        /// Where we follow it then.
        path: String,
        /// Whom it follows in our place; empty where that is us.
        master: String,
    },
    /// That we end: it is the process of this number.
    End(u32),
}

/// What is known of an upgrade, whichever of the two processes this is.
#[derive(Default)]
pub struct Upgrade {
    /// Our sockets, for who takes our place; none once we end.
    sockets: Mutex<Vec<PassedSocket>>,
    /// Where the other process reaches this one.
    path: Mutex<String>,
    /// The number of the process that our place is promised to; 0 while it is nobody's.
    claimed_by: AtomicU32,
    /// Whether it has taken it.
    is_taken: AtomicBool,
    /// The directory is still to come.
    awaits_files: AtomicBool,
}

impl Upgrade {
    /// The other process reaches this one at this path.
    pub fn reached_at(&self, path: &str) {
        path.clone_into(&mut self.path.lock());
    }

    /// Where the other process reaches this one; empty where it cannot.
    pub fn path(&self) -> String {
        self.path.lock().clone()
    }

    /// Keeps these sockets for who takes our place.
    pub fn keep_sockets(&self, sockets: Vec<PassedSocket>) {
        *self.sockets.lock() = sockets;
    }

    /// Does something with the sockets.
    pub fn with_sockets<T>(&self, does: impl FnOnce(&[PassedSocket]) -> T) -> T {
        does(&self.sockets.lock())
    }

    /// Nobody listens at our sockets any more for our sake.
    pub fn drop_sockets(&self) {
        self.sockets.lock().clear();
    }

    /// Promises our place to this process, unless it is promised to one that lives. Answers whether
    /// it is its now.
    pub fn claim(&self, pid: u32) -> bool {
        let before = self.claimed_by.load(Acquire);
        let is_free = before == 0 || process::has_ended(before);
        let swapped = || self.claimed_by.compare_exchange(before, pid, AcqRel, Acquire);
        is_free && swapped().is_ok()
    }

    /// Our place is nobody's again.
    pub fn unclaim(&self) {
        self.claimed_by.store(0, Release);
    }

    /// The number of the process that our place is promised to, if it is.
    pub fn claimed_by(&self) -> Option<u32> {
        Some(self.claimed_by.load(Acquire)).filter(|it| *it != 0)
    }

    /// The process that has claimed our place takes it.
    pub fn take(&self) {
        self.is_taken.store(true, Release);
    }

    /// The number of the process that has taken our place, if one has.
    pub fn successor(&self) -> Option<u32> {
        self.claimed_by().filter(|_| self.is_taken.load(Acquire))
    }

    /// The directory is still to come from the process before, or has come.
    pub fn await_files(&self, awaits: bool) {
        self.awaits_files.store(awaits, Release);
    }

    /// Whether the directory is still to come.
    pub fn awaits_files(&self) -> bool {
        self.awaits_files.load(Acquire)
    }
}
