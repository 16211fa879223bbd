//! Where a read goes in a set that follows a remote master and forwards writes to it.

use crate::base::limits::FOLLOWER_WAIT_MS;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::node::ReplicaSet;
use crate::route::{Floor, Level, ReadRequirements, Reason, Step};
use std::time::Duration;

/// What such a read asks for.
pub struct RemoteAsk<'a> {
    /// As any read: its level, the place that it must not read before, and what it tries when the
    /// stream has not come so far.
    pub read: &'a ReadRequirements<'a>,
    /// Its session watches keys at the master.
    pub watches: bool,
    /// It has waited for the stream already.
    pub has_waited: bool,
}

/// Where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoteRead {
    /// To a member here, as in any set.
    Here,
    /// To the remote master.
    AtMaster(Reason),
    /// Nowhere before the stream has come as far as this, or so much time has passed.
    Waits(Offset, Duration),
    /// Nowhere: the stream has not come as far as this.
    Lagged(Offset),
}

impl RemoteAsk<'_> {
    /// Weighs it as the set is now.
    pub fn weigh(&self, set: &ReplicaSet, now: MonoUs) -> RemoteRead {
        let ReadRequirements { level, floor, ladder, of_member, .. } = *self.read;
        let reason = match level {
            _ if self.watches => Some(Reason::Watching),
            Level::Master => Some(Reason::AskedMaster),
            Level::Linearizable => Some(Reason::Linearizable),
            _ => of_member.then_some(Reason::OfMember),
        };
        if let Some(reason) = reason {
            return RemoteRead::AtMaster(reason);
        }
        if let Level::Bounded { ms: Some(ms), .. } = level
            && ms.saturating_mul(1000) < set.stream_age_us(now)
            && ladder.steps().iter().any(|it| matches!(it, Step::Master))
        {
            return RemoteRead::AtMaster(Reason::MasterOnLag);
        }
        let floor = match level {
            Level::Global => floor.and(set.told_floor()),
            _ => floor,
        };
        let needs = match floor {
            Floor::Needs(needs) => needs,
            // The master has it, whose history has not come here yet.
            Floor::Foreign => return RemoteRead::AtMaster(Reason::ForeignHistory),
            Floor::Lost(_) => return RemoteRead::Here,
        };
        if needs <= set.head() {
            return RemoteRead::Here;
        }
        for step in ladder.steps() {
            match step {
                Step::CatchUp | Step::OtherReplica => {}
                Step::Wait(_) if self.has_waited => {}
                Step::Wait(at_most) => return RemoteRead::Waits(needs, *at_most),
                Step::Master if self.has_waited => {
                    return RemoteRead::AtMaster(Reason::MasterOnLag);
                }
                Step::Master => {
                    return RemoteRead::Waits(needs, Duration::from_millis(FOLLOWER_WAIT_MS));
                }
                Step::Error => break,
                Step::Stale => return RemoteRead::Here,
            }
        }
        RemoteRead::Lagged(needs)
    }
}
