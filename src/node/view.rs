//! The members as a plan sees them.

use super::member::{Duty, Member};
use super::set::{Roster, Set};
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::route::{Candidate, Fed, Members};
use std::sync::atomic::Ordering::Relaxed;

/// The set at one time. Ages cost a look into the log, so they are only looked up when asked for.
pub struct View<'s> {
    /// The set.
    pub set: &'s Set,
    /// Its members.
    pub roster: &'s Roster,
    /// The time of the request.
    pub now: MonoUs,
    /// Whether the plan depends on how long ago replicas were fresh.
    pub with_ages: bool,
}

impl View<'_> {
    /// The replica at this place among the replicas: the roster without the master.
    #[inline]
    pub fn replica_at(&self, at: usize) -> &Member {
        let master = self.set.master();
        &self.roster[at + usize::from(master <= at)]
    }

    /// How the replicas are being fed, for the gate in front of writes.
    pub fn fed(&self) -> impl Iterator<Item = Fed> {
        let replicas = self.roster.iter().filter(|it| it.index != self.set.master());
        replicas
            .map(|it| Fed { linked: it.is_sound(), behind_us: self.set.behind_us(it, self.now) })
    }
}

impl Members for View<'_> {
    #[inline]
    fn master(&self) -> Option<u16> {
        let master = self.set.master();
        (!self.set.member(master).is(Duty::Quarantined)).then_some(master as u16)
    }

    #[inline]
    fn head(&self) -> Offset {
        self.set.head()
    }

    #[inline]
    fn replicas(&self) -> usize {
        self.roster.len() - 1
    }

    #[inline]
    fn replica(&self, at: usize) -> Candidate {
        let member = self.replica_at(at);
        Candidate {
            member: member.index as u16,
            applied: member.applied(),
            in_service: member.in_service(),
            paused: !member.is_moving(),
            in_flight: member.readers.load(Relaxed),
            behind_us: if self.with_ages { self.set.behind_us(member, self.now) } else { 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Class;
    use crate::engine::Thresholds;
    use crate::node::new_history;
    use crate::route::{Asked, Floor, Ladder, Level, Rung, Where, plan};

    #[test]
    fn of_two_replicas_the_one_with_fewer_readers_is_chosen() {
        let set = Set::new(2, 1, new_history(), Thresholds::default(), 1 << 20, 1 << 20);
        let (roster, ladder) = (set.roster(), Ladder::default());
        let chosen = |dice: u64| {
            let view = View { set: &set, roster: &roster, now: MonoUs(1), with_ages: false };
            let ask = Asked {
                class: Class::Read,
                level: Level::Eventual,
                floor: Floor::NONE,
                watching: false,
                of_member: false,
                wrote_lately: false,
                home: None,
                dice: dice.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                ladder: &ladder,
                rung: Rung::GROUND,
            };
            plan(&ask, &view).to
        };
        let counts =
            || [1, 2].map(|it| (0..100).filter(|d| chosen(*d) == Where::Member(it)).count());
        assert!(counts().iter().all(|it| *it < 90), "idle replicas share: {:?}", counts());
        for (busy, idle) in [(1, 2), (2, 1)] {
            let reading = set.read(set.member(busy));
            assert!((0..100).all(|it| chosen(it) == Where::Member(idle as u16)));
            drop(reading);
        }
        assert!(counts().iter().all(|it| *it < 90), "nothing is left behind: {:?}", counts());
    }
}
