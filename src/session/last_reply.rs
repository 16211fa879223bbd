//! Where a session's last reply came from (PROXY LAST, PROXY TAG).

use crate::base::ids::{MemberId, RouteId};
use crate::route::{Reason, StepsTaken};

/// Where a reply came from, and how old what it said was. Every read and write notes it, so it is
/// what they have at hand anyway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastReply {
    /// The member that gave it; none when the proxy did by itself.
    pub member: MemberId,
    /// The remote master gave it, over a connection of ours.
    pub is_remote: bool,
    /// The route of its request.
    pub route: RouteId,
    /// Why that member; why none, for a read that nobody could serve.
    pub because: Option<Reason>,
    /// The steps of the ladder that were taken.
    pub steps: StepsTaken,
    /// Its command had a level of its own (PROXY ONCE).
    pub is_of_once: bool,
    /// PROXY LAST has just told of it, and is no reply of its own.
    pub is_told: bool,
    /// Bytes of the stream that the member had still to apply.
    pub behind_bytes: u64,
    /// For how long it had been behind, in microseconds.
    pub behind_us: u64,
}

impl LastReply {
    /// The proxy's own, which asks no member.
    pub const OWN: LastReply = LastReply {
        member: MemberId::NONE,
        is_remote: false,
        route: RouteId::NONE,
        because: None,
        steps: StepsTaken::NONE,
        is_of_once: false,
        is_told: false,
        behind_bytes: 0,
        behind_us: 0,
    };

    /// The master's, to a write or a transaction.
    #[inline]
    pub const fn of_master(master: MemberId, route: RouteId, because: Reason) -> LastReply {
        LastReply { member: master, route, because: Some(because), ..LastReply::OWN }
    }

    /// That of the remote master that the set follows.
    pub const fn of_remote_master(route: RouteId, because: Reason) -> LastReply {
        LastReply { is_remote: true, route, because: Some(because), ..LastReply::OWN }
    }
}

impl Default for LastReply {
    fn default() -> LastReply {
        LastReply::OWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masters_reply_says_whose_it_is_and_why() {
        let (route, because) = (RouteId(3), Reason::Write);
        let here = LastReply::of_master(MemberId(2), route, because);
        assert_eq!((here.member, here.route, here.because), (MemberId(2), route, Some(because)));
        assert!(!here.is_remote);
        let remote = LastReply::of_remote_master(route, because);
        assert!(remote.is_remote && remote.member == MemberId::NONE);
        assert_eq!((remote.route, remote.because), (route, Some(because)));
    }
}
