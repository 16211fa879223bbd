//! The members as they stand at one time, and whom of them a read may be asked of.

use super::member_load::MemberLoad;
use super::member_state::MemberState;
use crate::base::ids::MemberId;
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::route::{Allowed, Candidate, Members, MinReplicas};
use std::sync::Arc;

/// The members as they stand at one time.
#[derive(Clone, Debug)]
pub struct UpstreamView {
    /// The master, if there is one.
    pub master: Option<MemberId>,
    /// All of them, by place.
    pub members: Vec<ViewMember>,
    /// The master's history, once there has been one.
    pub history: Option<ReplicationHistory>,
    /// Grows with each change.
    pub epoch: u64,
}

/// One member at one time.
#[derive(Clone, Debug)]
pub struct ViewMember {
    /// How it stands.
    pub state: MemberState,
    /// Where its stream stood when it last told.
    pub at: Option<Position>,
    /// Until when it is known to have had all that the master had.
    pub fresh_at: Option<MonoUs>,
    /// Which of its lives this is: another has other cursors.
    pub life: u8,
    /// How busy it is.
    pub load: Arc<MemberLoad>,
    /// Its weight in percent: less while it is new.
    pub share: u32,
    /// It is spared, since it has failed or is slow: while others can serve.
    pub is_ejected: bool,
    /// How often it has been.
    pub ejections: u64,
}

impl ViewMember {
    /// Whether there is a member at this place.
    pub fn is_there(&self) -> bool {
        self.state != MemberState::Gone
    }
}

impl UpstreamView {
    /// How many members there are.
    pub fn count(&self) -> usize {
        self.members.iter().filter(|it| it.is_there()).count()
    }

    /// Those of these that are there, each with how it stands; `members` are by place.
    pub fn there<'v, M>(
        &'v self,
        members: &'v [M],
    ) -> impl Iterator<Item = (&'v M, &'v ViewMember)> {
        // One that sentinels have just named is not seen yet.
        members.iter().zip(&self.members).filter(|it| it.1.is_there())
    }

    /// The less busy of two replicas in service that suit, each drawn by its share; `random` are 64
    /// random bits.
    pub fn replica(
        &self,
        allowed: Option<Allowed>,
        random: u64,
        suits: impl Fn(MemberId) -> bool,
    ) -> Option<MemberId> {
        let can = |at: &usize| {
            let id = MemberId::of(*at);
            self.serves_reads(*at) && allowed.is_none_or(|it| it.places.has(id)) && suits(id)
        };
        // Those that are spared serve while nobody else can.
        let is_spared = |at: &usize| self.members[*at].is_ejected;
        let are_all_spared = (0..self.members.len()).filter(can).all(|at| is_spared(&at));
        let may = |at: &usize| can(at) && (are_all_spared || !is_spared(at));
        let all = || (0..self.members.len()).filter(may);
        let share = |at: usize| u64::from(self.members[at].share.max(1));
        let total: u64 = all().map(share).sum();
        let draw = |bits: u64| {
            let mut left = bits.checked_rem(total)?;
            all().find(|at| match left.checked_sub(share(*at)) {
                Some(less) => {
                    left = less;
                    false
                }
                None => true,
            })
        };
        let (one, other) = (draw(random & 0xFFFF_FFFF)?, draw(random >> 32)?);
        Some(MemberId::of(if self.cost(other) < self.cost(one) { other } else { one }))
    }

    /// What one more read costs at this member, beside others.
    fn cost(&self, at: usize) -> u32 {
        let ViewMember { load, share, .. } = &self.members[at];
        load.cost(*share)
    }

    /// Whether one of those that may serve is being asked again: it may serve in a moment.
    pub fn is_any_doubtful(&self, allowed: Option<Allowed>) -> bool {
        let may = |at: &usize| allowed.is_none_or(|it| it.places.has(MemberId::of(*at)));
        (0..self.members.len())
            .filter(may)
            .any(|it| self.members[it].state == MemberState::Doubtful)
    }

    /// A replica that has lost its link: what it has is old, and better than nothing for who takes
    /// that.
    pub fn unfed_replica(
        &self,
        allowed: Option<Allowed>,
        suits: impl Fn(MemberId) -> bool,
    ) -> Option<MemberId> {
        let may = |at: &usize| {
            let id = MemberId::of(*at);
            allowed.is_none_or(|it| it.places.has(id)) && suits(id)
        };
        let is_unfed = |at: &usize| self.members[*at].state == MemberState::LinkDown;
        (0..self.members.len()).find(|at| is_unfed(at) && may(at)).map(MemberId::of)
    }

    /// Whether this member serves reads as a replica, and is not spared.
    pub fn is_preferred(&self, at: usize) -> bool {
        self.serves_reads(at) && !self.members[at].is_ejected
    }

    /// Whether this member serves reads as a replica.
    pub fn serves_reads(&self, at: usize) -> bool {
        self.members[at].state == MemberState::Replica
    }

    /// Whether enough replicas are near now for writes to pass.
    pub fn lets_through(&self, gate: MinReplicas, now: MonoUs) -> bool {
        let lag_us = u64::try_from(gate.max_lag.as_micros()).unwrap_or(u64::MAX);
        gate.replicas <= self.fresh_replicas(lag_us, now)
    }

    /// How many replicas are known to have had, at most so many µs ago, all that the master had.
    pub fn fresh_replicas(&self, age_us_max: u64, now: MonoUs) -> usize {
        let is_fresh = |it: &&ViewMember| {
            it.state.may_be_fed() && it.fresh_at.is_some_and(|at| now.since(at) <= age_us_max)
        };
        self.members.iter().filter(is_fresh).count()
    }
}

/// As a plan sees them: whether a replica has what a read needs shows when it answers.
impl Members for UpstreamView {
    fn master(&self) -> Option<MemberId> {
        self.master
    }

    fn head(&self) -> Offset {
        Offset::MAX
    }

    fn replicas(&self) -> usize {
        self.members.len()
    }

    fn replica(&self, at: usize) -> Candidate {
        Candidate {
            member: MemberId::of(at),
            applied: Offset::MAX,
            in_service: self.serves_reads(at),
            paused: false,
            in_flight: self.cost(at),
            behind_us: 0,
        }
    }
}
