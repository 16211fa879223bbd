//! The upgrade of a running server: another process, of a newer version or with another
//! configuration, takes its place, and gets its sockets.
//!
//! ```text
//!   new process                                        this one
//!   ───────────                                        ────────
//!   PROXY UPGRADE BEGIN ──────────────────────────▶    says who it is
//!   PROXY UPGRADE SOCKETS path ───────────────────▶    sends its listening sockets there
//!   PSYNC, until it has everything ───────────────▶
//!   PROXY UPGRADE ROLE path ──────────────────────▶    FAILOVER: follows the new process
//!   accepts clients
//!   PROXY UPGRADE END pid ────────────────────────▶    accepts nobody more, serves what was
//!                                                      asked, and ends
//!   takes the directory
//! ```

use crate::runtime::passed_sockets::PassedSocket;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// The name of the listener that an upgrade comes by. No listener of the configuration has it,
/// since those have no brackets.
pub const UPGRADE_LISTENER: &str = "(upgrade)";

/// What the process that takes our place asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpgradeStep {
    /// Our sockets, at this path.
    Sockets(String),
    /// That it becomes the master, and that we follow it at this path.
    Role(String),
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
    /// The number of the process that has taken our place; 0 while none has.
    successor: AtomicU32,
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

    /// Another process has taken our place.
    pub fn taken_by(&self, pid: u32) {
        self.successor.store(pid, Release);
    }

    /// The number of the process that has taken our place, if one has.
    pub fn successor(&self) -> Option<u32> {
        Some(self.successor.load(Acquire)).filter(|it| *it != 0)
    }
}
