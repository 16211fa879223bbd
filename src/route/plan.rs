//! Where a request goes, with its reason: one pure function.

use super::reason::{Reason, Unavailable};
use super::{Floor, Ladder, Level, Step};
use crate::base::ids::MemberId;
use crate::base::position::Offset;
use crate::base::reached::note_reached;
use crate::command::Class;
use std::time::Duration;

/// What a request brings.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequirements<'a> {
    /// Read or write. Session commands are not planned; one that is goes to the master.
    pub class: Class,
    /// The promise a read is served under.
    pub level: Level,
    /// What that promise needs today.
    pub floor: Floor,
    /// The session is between WATCH and EXEC: everything goes to the master.
    pub watching: bool,
    /// The answer depends on who gives it (OBJECT IDLETIME).
    pub of_member: bool,
    /// The session wrote less than `sticky-for` ago.
    pub wrote_lately: bool,
    /// The replica this worker prefers, by its place among the replicas.
    pub preferred: Option<usize>,
    /// 64 random bits.
    pub random: u64,
    /// What to try on lag.
    pub ladder: &'a Ladder,
    /// How far it has come on the ladder.
    pub ladder_position: LadderPosition,
}

/// How far a read has come on its ladder, from one plan to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LadderPosition {
    /// The step it stands on, counted from 0: what the plan before said.
    pub step: u8,
    /// What is left of that step's time, when it is a wait that has begun.
    pub left: Option<Duration>,
}

impl LadderPosition {
    /// The ground: no step has been tried.
    pub const START: LadderPosition = LadderPosition { step: 0, left: None };
}

/// How one replica stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Which member it is.
    pub member: MemberId,
    /// What it has applied; may be late, never early.
    pub applied: Offset,
    /// Not drained, disconnected, quarantined or in a full resync.
    pub in_service: bool,
    /// Applies nothing for now, so it cannot catch up.
    pub paused: bool,
    /// Batches of requests that read it or wait to.
    pub in_flight: u32,
    /// How long ago it last had all that the master had.
    pub behind_us: u64,
}

/// The members as they stand. Asked only for what the plan needs, so that a read at a fresh
/// preferred replica touches no other replica's cache lines.
pub trait Members {
    /// The master, if one is in service.
    fn master(&self) -> Option<MemberId>;
    /// The master's offset.
    fn head(&self) -> Offset;
    /// How many replicas there are.
    fn replicas(&self) -> usize;
    /// The replica at this place, which is below `replicas`.
    fn replica(&self, at: usize) -> Candidate;
    /// Whether the route names the members that may serve it: then its ladder decides also when
    /// none of them is in service.
    fn are_named(&self) -> bool {
        false
    }
}

/// Members written down.
#[derive(Clone, Copy, Debug)]
pub struct StaticMembers<'a> {
    /// The master, if one is in service.
    pub master: Option<MemberId>,
    /// The replicas.
    pub replicas: &'a [Candidate],
    /// The master's offset.
    pub head: Offset,
}

impl Members for StaticMembers<'_> {
    fn master(&self) -> Option<MemberId> {
        self.master
    }

    fn head(&self) -> Offset {
        self.head
    }

    fn replicas(&self) -> usize {
        self.replicas.len()
    }

    fn replica(&self, at: usize) -> Candidate {
        self.replicas[at]
    }
}

/// Where to, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where to.
    pub to: Where,
    /// Why.
    pub because: Reason,
}

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// To this member, as it is.
    Member(MemberId),
    /// To this replica, which first applies the stream up to `needs`.
    CatchUp {
        /// Which replica.
        member: MemberId,
        /// How far it must come.
        needs: Offset,
        /// [`LadderPosition::step`] of the next plan, should it take too long.
        step: u8,
    },
    /// Nowhere yet: park until this replica has applied `needs` or the time is over, then plan
    /// again from the same step with what is left of its time.
    Wait {
        /// Which replica.
        member: MemberId,
        /// How far it must come.
        needs: Offset,
        /// How long at most.
        at_most: Duration,
        /// [`LadderPosition::step`] of the next plan.
        step: u8,
    },
    /// Nowhere.
    Refuse(Unavailable),
}

impl Where {
    /// The member it names.
    pub const fn member(self) -> Option<MemberId> {
        match self {
            Where::Member(member) | Where::CatchUp { member, .. } | Where::Wait { member, .. } => {
                Some(member)
            }
            Where::Refuse(_) => None,
        }
    }
}

/// Where this request goes. Never allocates; costs a few nanoseconds when the preferred replica is
/// fresh.
#[inline]
pub fn plan(ask: &ReadRequirements<'_>, members: &impl Members) -> Plan {
    let plan = match at_the_master(ask) {
        Some(because) => at_master(members, because),
        None => read(ask, members),
    };
    note_reached(plan.because.as_str());
    plan
}

/// Why the request may only go to the master, if so. The first reason wins.
#[inline]
fn at_the_master(ask: &ReadRequirements<'_>) -> Option<Reason> {
    match ask {
        ReadRequirements { class: Class::Write | Class::Session, .. } => Some(Reason::Write),
        ReadRequirements { watching: true, .. } => Some(Reason::Watching),
        ReadRequirements { of_member: true, .. } => Some(Reason::OfMember),
        ReadRequirements { level: Level::Master, .. } => Some(Reason::AskedMaster),
        ReadRequirements { wrote_lately: true, .. } => Some(Reason::StickyFor),
        ReadRequirements { floor: Floor::Lost(_), .. } => Some(Reason::LostHistory),
        ReadRequirements { floor: Floor::Foreign, .. } => Some(Reason::ForeignHistory),
        _ => None,
    }
}

#[inline]
fn at_master(members: &impl Members, because: Reason) -> Plan {
    match members.master() {
        Some(master) => Plan { to: Where::Member(master), because },
        None => refuse(Unavailable::MasterDown, Reason::NoMaster),
    }
}

fn refuse(refusal: Unavailable, because: Reason) -> Plan {
    Plan { to: Where::Refuse(refusal), because }
}

#[inline]
fn read(ask: &ReadRequirements<'_>, members: &impl Members) -> Plan {
    if ask.level == Level::Linearizable && members.master().is_none() {
        // A floor taken from a master that may have been replaced proves nothing.
        return refuse(Unavailable::MasterDown, Reason::NoMaster);
    }
    let look = Look { ask, members };
    match look.preferred() {
        Some(preferred) if look.fresh(&preferred) => look.to(preferred, Reason::FreshPreferred),
        Some(preferred) if ask.ladder_position == LadderPosition::START => {
            look.try_ladder(Some(preferred))
        }
        Some(preferred) => look.after_a_wait(preferred),
        None => look.without_preferred(),
    }
}

/// One read, looking at the members.
struct Look<'a, M> {
    ask: &'a ReadRequirements<'a>,
    members: &'a M,
}

impl<M: Members> Look<'_, M> {
    /// The worker's own replica, if it is in service.
    #[inline]
    fn preferred(&self) -> Option<Candidate> {
        let at = self.ask.preferred.filter(|it| *it < self.members.replicas())?;
        Some(self.members.replica(at)).filter(|it| it.in_service)
    }

    #[inline]
    fn fresh(&self, it: &Candidate) -> bool {
        match (self.ask.level, self.ask.floor) {
            (Level::Bounded { ms, bytes }, Floor::Needs(needs)) => {
                needs <= it.applied
                    && ms.is_none_or(|ms| it.behind_us <= ms.saturating_mul(1000))
                    && bytes.is_none_or(|bytes| self.members.head().since(it.applied) <= bytes)
            }
            (_, Floor::Needs(needs)) => needs <= it.applied,
            (_, Floor::Lost(_) | Floor::Foreign) => false,
        }
    }

    /// How far a replica that is behind must come. Having all that the master has now keeps every
    /// bound.
    fn needs(&self) -> Offset {
        match (self.ask.level, self.ask.floor) {
            (_, Floor::Lost(_) | Floor::Foreign) => self.members.head(),
            (Level::Bounded { .. }, Floor::Needs(needs)) => self.members.head().max(needs),
            (_, Floor::Needs(needs)) => needs,
        }
    }

    fn to(&self, it: Candidate, because: Reason) -> Plan {
        let because = if self.ask.ladder_position == LadderPosition::START {
            because
        } else {
            Reason::Waited
        };
        Plan { to: Where::Member(it.member), because }
    }

    /// Whoever has become fresh meanwhile will do: a task that waited may go on at another worker,
    /// with another preferred replica.
    #[cold]
    fn after_a_wait(&self, preferred: Candidate) -> Plan {
        match self.pick(|it| self.fresh(it)) {
            Some(it) => self.to(it, Reason::FreshOther),
            None => self.try_ladder(Some(preferred)),
        }
    }

    fn without_preferred(&self) -> Plan {
        match self.pick(|it| self.fresh(it)) {
            Some(it) => self.to(it, Reason::FreshOther),
            None if !self.members.are_named() && self.pick(|_| true).is_none() => {
                at_master(self.members, Reason::NoReplicas)
            }
            None => self.try_ladder(None),
        }
    }

    /// The first step of the ladder, from where it stands, that leads somewhere.
    #[cold]
    fn try_ladder(&self, preferred: Option<Candidate>) -> Plan {
        let LadderPosition { step: first, left } = self.ask.ladder_position;
        let steps = self.ask.ladder.steps().iter().zip(0..).skip(first.into());
        for (step, at) in steps {
            let step = match (step, left) {
                (Step::Wait(_), Some(left)) if at == first => Step::Wait(left),
                _ => *step,
            };
            if let Some(plan) = self.try_step(step, at, preferred) {
                return plan;
            }
        }
        if self.ask.ladder.steps().contains(&Step::Master) {
            // There was none when its step came. Lag is not what keeps the read from its answer.
            return at_master(self.members, Reason::MasterOnLag);
        }
        self.lagged()
    }

    fn try_step(&self, step: Step, at: u8, preferred: Option<Candidate>) -> Option<Plan> {
        match step {
            Step::CatchUp => self.catch_up(at + 1, preferred),
            Step::OtherReplica => {
                let to = Where::Member(self.pick(|it| self.fresh(it))?.member);
                Some(Plan { to, because: Reason::OtherReplica })
            }
            Step::Wait(Duration::ZERO) => None,
            Step::Wait(at_most) => {
                let moving = || self.pick(|it| !it.paused);
                let it = preferred.filter(|it| !it.paused).or_else(moving).or(preferred);
                let member = it.or_else(|| self.pick(|_| true))?.member;
                let to = Where::Wait { member, needs: self.needs(), at_most, step: at };
                Some(Plan { to, because: Reason::Waiting })
            }
            Step::Master => {
                self.members.master().map(|_| at_master(self.members, Reason::MasterOnLag))
            }
            Step::Error => Some(self.lagged()),
            Step::Stale => {
                let to = Where::Member(self.freshest()?.member);
                Some(Plan { to, because: Reason::StaleAllowed })
            }
        }
    }

    /// At the preferred replica if it can, else at any replica that is being fed. A floor beyond
    /// what the master has is out of every replica's reach.
    fn catch_up(&self, next: u8, preferred: Option<Candidate>) -> Option<Plan> {
        let needs = self.needs();
        if self.members.head() < needs {
            return None;
        }
        let able = preferred.filter(|it| !it.paused).or_else(|| self.pick(|it| !it.paused))?;
        if self.fresh(&able) {
            return Some(self.to(able, Reason::FreshOther));
        }
        let to = Where::CatchUp { member: able.member, needs, step: next };
        Some(Plan { to, because: Reason::CatchUp })
    }

    fn lagged(&self) -> Plan {
        let Some(freshest) = self.freshest() else {
            return refuse(Unavailable::NoMember, Reason::Lagged);
        };
        let needs = self.needs();
        let behind_bytes = needs.since(freshest.applied);
        // What the master does not have nobody will apply.
        let moving = self.in_service(0).filter(|it| !it.paused && needs <= self.members.head());
        let moving_bytes = moving.map(|it| needs.since(it.applied)).min();
        refuse(Unavailable::Lagged { behind_bytes, moving_bytes }, Reason::Lagged)
    }

    fn freshest(&self) -> Option<Candidate> {
        self.in_service(0).max_by_key(|it| it.applied)
    }

    /// All in service, beginning at place `from`.
    fn in_service(&self, from: usize) -> impl Iterator<Item = Candidate> {
        let count = self.members.replicas();
        let turn = move |it| if it < count { it } else { it - count };
        (from..from + count)
            .map(move |it| self.members.replica(turn(it)))
            .filter(|it| it.in_service)
    }

    /// The less busy of two that are in service and suit, thrown by the random numbers.
    #[inline]
    fn pick(&self, suits: impl Fn(&Candidate) -> bool) -> Option<Candidate> {
        let count = self.members.replicas();
        if count == 0 {
            return None;
        }
        let first = throw(self.ask.random, count);
        let second = first + 1 + throw(self.ask.random >> 32, count - 1);
        let second = if second < count { second } else { second - count };
        let (one, other) = (self.members.replica(first), self.members.replica(second));
        match [&one, &other].map(|it| it.in_service && suits(it)) {
            [true, true] => Some(less_busy(one, other)),
            _ => self.pick_onward([first, second], suits),
        }
    }

    /// Each throw that does not suit moves on to the next that does.
    #[cold]
    fn pick_onward(
        &self,
        [first, second]: [usize; 2],
        suits: impl Fn(&Candidate) -> bool,
    ) -> Option<Candidate> {
        let one = self.in_service(first).find(&suits)?;
        Some(less_busy(one, self.in_service(second).find(&suits)?))
    }
}

fn less_busy(one: Candidate, other: Candidate) -> Candidate {
    if other.in_flight < one.in_flight { other } else { one }
}

/// A place below `count`, from the lower half of `bits`; 0 when there is none.
fn throw(bits: u64, count: usize) -> usize {
    (((bits & u64::from(u32::MAX)) * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests;
