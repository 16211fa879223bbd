//! What of a set of real servers is measured, spared and checked beside the requests themselves.

use crate::base::remote_address::RemoteAddress;
use std::time::Duration;

/// What of a set of real servers is measured, spared and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamTuning {
    /// What is written at the master to know how old replicas are.
    pub heartbeat: Heartbeat,
    /// How long a replica is spared at first that has failed or is slow; zero for never.
    pub eject_for: Duration,
    /// How long a read waits for its replica before another is asked, too; zero for never.
    pub hedge_after: Duration,
    /// How many reads of a hundred may be asked of another replica, too.
    pub hedge_percent: u32,
    /// One in so many reads of replicas is checked at the master; 0 for none.
    pub audit_one_in: u64,
    /// A server of another set that is asked the same as this one, to compare.
    pub shadow: Option<RemoteAddress>,
    /// One in so many reads is compared with what the other set answers.
    pub shadow_one_in: u64,
}

/// What is written at the master to know how old replicas are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Where it is written.
    pub to: BeatTo,
    /// It is written though no read asks for it.
    pub is_always: bool,
    /// How often; without it as often as the reads need it.
    pub every: Option<Duration>,
}

/// Where a heartbeat is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BeatTo {
    /// It is published, and kept nowhere.
    Channel(String),
    /// It is the value of this key, for a while.
    Key(String),
}

impl Default for Heartbeat {
    fn default() -> Heartbeat {
        let to = BeatTo::Channel("__entourage:heartbeat".to_owned());
        Heartbeat { to, is_always: false, every: None }
    }
}

impl Default for UpstreamTuning {
    fn default() -> UpstreamTuning {
        UpstreamTuning {
            heartbeat: Heartbeat::default(),
            eject_for: Duration::from_secs(1),
            hedge_after: Duration::ZERO,
            hedge_percent: 5,
            audit_one_in: 0,
            shadow: None,
            shadow_one_in: 100,
        }
    }
}
