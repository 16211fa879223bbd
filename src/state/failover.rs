//! FAILOVER: the set hands its role over to one of its replicas on the wire.

use parking_lot::Mutex;
use std::time::Duration;

/// What FAILOVER was told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FailoverOrder {
    /// The replica that becomes the master, by host and port; without it the first that has
    /// everything.
    pub to: Option<(String, u16)>,
    /// Whether that replica becomes the master although it has not got everything in time.
    pub is_forced: bool,
    /// Whether it is an upgrade, whose other process becomes the master.
    pub is_upgrade: bool,
    /// How long replicas have to get everything; without it as long as it takes.
    pub timeout: Option<Duration>,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailoverPhase {
    /// None is under way.
    #[default]
    None,
    /// Writers wait until a replica has everything.
    WaitingForSync,
    /// The replica is asked to become the master.
    InProgress,
}

impl FailoverPhase {
    /// INFO's word.
    pub fn as_str(self) -> &'static str {
        match self {
            FailoverPhase::None => "no-failover",
            FailoverPhase::WaitingForSync => "waiting-for-sync",
            FailoverPhase::InProgress => "failover-in-progress",
        }
    }
}

/// The one that is under way, if one is.
#[derive(Default)]
pub struct Failovers {
    now: Mutex<(FailoverPhase, bool)>,
}

impl Failovers {
    /// Begins one, unless one is under way. Answers whether it has begun.
    pub fn begin(&self) -> bool {
        let mut now = self.now.lock();
        let is_first = now.0 == FailoverPhase::None;
        if is_first {
            *now = (FailoverPhase::WaitingForSync, false);
        }
        is_first
    }

    /// It has come as far as this.
    pub fn enter(&self, phase: FailoverPhase) {
        self.now.lock().0 = phase;
    }

    /// It is over, and so is the pause that `unpause` ends: who is served behind that sees no
    /// failover, and who sees none may begin another, with a pause of its own.
    pub fn end(&self, unpause: impl FnOnce()) {
        let mut now = self.now.lock();
        unpause();
        now.0 = FailoverPhase::None;
    }

    /// How far it has come.
    pub fn phase(&self) -> FailoverPhase {
        self.now.lock().0
    }

    /// It is to end. Answers whether one was under way.
    pub fn abort(&self) -> bool {
        let mut now = self.now.lock();
        now.1 = true;
        now.0 != FailoverPhase::None
    }

    /// Whether it is to end.
    pub fn is_aborted(&self) -> bool {
        self.now.lock().1
    }
}
