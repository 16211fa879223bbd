//! The members as a plan sees them.

use super::member::Member;
use super::member_state::MemberFlags;
use super::replica_set::{MemberList, ReplicaSet};
use crate::base::ids::MemberId;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::route::{Candidate, Fed, Members};
use std::sync::atomic::Ordering::Relaxed;

/// The set at one time. Ages cost a look into the log, so they are only looked up when asked for.
pub struct View<'s> {
    /// The set.
    pub set: &'s ReplicaSet,
    /// Its members.
    pub member_list: &'s MemberList,
    /// The time of the request.
    pub now: MonoUs,
    /// Whether the plan depends on how long ago replicas were fresh.
    pub with_ages: bool,
}

impl View<'_> {
    /// The replica at this place among the replicas: the member list without the master.
    #[inline]
    pub fn replica_at(&self, at: usize) -> &Member {
        let master = self.set.master().index();
        &self.member_list[at + usize::from(master <= at)]
    }

    /// What the head of a set that follows a master lacks of that, its replicas lack too.
    #[cold]
    fn age_us(&self, member: &Member) -> u64 {
        let behind_us = self.set.behind_us(member, self.now);
        behind_us.saturating_add(self.set.stream_age_us(self.now))
    }

    /// How the replicas are being fed, for the gate in front of writes.
    pub fn fed(&self) -> impl Iterator<Item = Fed> {
        self.set.fed(self.now)
    }
}

impl Members for View<'_> {
    #[inline]
    fn master(&self) -> Option<MemberId> {
        let master = self.set.master();
        (!self.set.member(master).is(MemberFlags::QUARANTINED)).then_some(master)
    }

    #[inline]
    fn head(&self) -> Offset {
        self.set.head()
    }

    #[inline]
    fn replicas(&self) -> usize {
        self.member_list.len() - 1
    }

    #[inline]
    fn replica(&self, at: usize) -> Candidate {
        let member = self.replica_at(at);
        let state = member.state();
        Candidate {
            member: member.id,
            applied: member.applied(),
            in_service: state.takes_reads(),
            paused: !state.applies_at_once(),
            in_flight: member.readers.load(Relaxed),
            behind_us: if self.with_ages { self.age_us(member) } else { 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Class;
    use crate::engine::Thresholds;
    use crate::node::new_replid;
    use crate::route::{Floor, Ladder, LadderPosition, Level, ReadRequirements, Where, plan};

    #[test]
    fn of_two_replicas_the_one_with_fewer_readers_is_chosen() {
        let set = ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let (member_list, ladder) = (set.member_list(), Ladder::default());
        let chosen = |random: u64| {
            let view =
                View { set: &set, member_list: &member_list, now: MonoUs(1), with_ages: false };
            let ask = ReadRequirements {
                class: Class::Read,
                level: Level::Eventual,
                floor: Floor::NONE,
                watching: false,
                of_member: false,
                wrote_lately: false,
                preferred: None,
                random: random.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                ladder: &ladder,
                ladder_position: LadderPosition::START,
            };
            plan(&ask, &view).to
        };
        let counts = || {
            [1, 2]
                .map(MemberId)
                .map(|it| (0..100).filter(|d| chosen(*d) == Where::Member(it)).count())
        };
        assert!(counts().iter().all(|it| *it < 90), "idle replicas share: {:?}", counts());
        for (busy, idle) in [(1, 2), (2, 1)] {
            let (busy, idle) = (MemberId(busy), MemberId(idle));
            let reading = set.read(set.member(busy));
            assert!((0..100).all(|it| chosen(it) == Where::Member(idle)));
            drop(reading);
        }
        assert!(counts().iter().all(|it| *it < 90), "nothing is left behind: {:?}", counts());
    }

    #[test]
    fn a_view_shows_the_set_as_it_stands_and_ages_where_they_are_asked_for() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        set.ping(MonoUs(1));
        let member_list = set.member_list();
        let of =
            |with_ages| View { set: &set, member_list: &member_list, now: MonoUs(9), with_ages };
        let view = of(true);
        assert!(Offset::ZERO < view.head() && view.head() == set.head());
        assert_eq!(view.fed().map(|it| (it.linked, it.behind_us)).collect::<Vec<_>>(), [(true, 8)]);
        let replica = view.replica(0);
        assert_eq!((replica.paused, replica.behind_us), (false, 8));
        assert_eq!(of(false).replica(0).behind_us, 0);
        set.pause(set.member(MemberId(1)), MonoUs(1)).unwrap();
        assert!(view.replica(0).paused);
    }
}
