//! The members as a plan sees them.

use super::member::{Duty, Member};
use super::set::{Roster, Set};
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::route::{Candidate, Fed, Members};

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
            in_flight: 0,
            behind_us: if self.with_ages { self.set.behind_us(member, self.now) } else { 0 },
        }
    }
}
