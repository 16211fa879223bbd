//! A read's way: route, floor, plan, member, reply.

use super::once::plan_at;
use super::visitor::{Awaited, Climb, Held, Shift, Stop, Visitor};
use crate::admin::{Command, Origin, home_of};
use crate::base::limits::CATCH_UP_US_MAX;
use crate::base::position::Offset;
use crate::command::{Args, Class, Fault, Flags};
use crate::engine::ReadVerb;
use crate::metrics::worst::Key;
use crate::metrics::{Label, NONE, Place};
use crate::node::{CaughtUp, Duty, Member, Stint, View};
use crate::resp::Request;
use crate::route::{Level, Plan, Reason, Refusal, Rung, Where, plan};
use crate::runtime::tasks;
use crate::session::Tags;
use std::time::Duration;

/// What a catch-up may take of its worker's time.
const CATCH_UP: Stint = Stint::Micros(CATCH_UP_US_MAX);

/// Plans that are overtaken by a change of the members are made anew, at most this often.
const PLANS_MAX: usize = 8;

impl Visitor {
    /// Where routes, levels and floors of this connection come from.
    pub fn origin(&self) -> Origin<'_> {
        Origin {
            routes: &self.settings.routes,
            session: &self.session,
            listener: &self.listener,
            listener_level: self.listener_level,
            arrived: None,
        }
    }

    /// Serves a read where its plan says.
    #[inline]
    pub fn read(
        &mut self,
        command: &Command,
        verb: ReadVerb,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Result<Option<Stop>, Fault> {
        let route = self.origin().route(command, request);
        // New rules may have put it on another ladder.
        let mut climb = self.climb.take().filter(|it| it.route == route);
        for _ in 0..PLANS_MAX {
            self.keep_up(shift.set)?;
            let plan = match self.session.once.as_ref().and_then(|it| it.at) {
                None => self.plan_read(command, route, climb, shift),
                Some(at) => plan_at(at, shift.set)?,
            };
            note_step(plan, route, climb, shift);
            let member = match plan.to {
                Where::Member(member) => usize::from(member),
                Where::CatchUp { member, needs, step } => {
                    let member = usize::from(member);
                    shift.held.release();
                    match shift.set.catch_up(shift.set.member(member), needs, CATCH_UP) {
                        CaughtUp::Yes => member,
                        CaughtUp::Never => continue,
                        CaughtUp::NotYet => {
                            climb = Some(Climb {
                                route,
                                step,
                                ends: None,
                                needs: self.position(needs),
                            });
                            continue;
                        }
                    }
                }
                Where::Wait { needs, step, .. } if self.waited_for_nothing(climb, step, needs) => {
                    climb = climb.map(|it| Climb { ends: Some(shift.now), ..it });
                    continue;
                }
                Where::Wait { member, needs, at_most, step } => {
                    let ends = Some(shift.now.plus(at_most));
                    self.climb = Some(Climb { route, step, ends, needs: self.position(needs) });
                    let place = Place { route, member };
                    return Ok(Some(to_await(place, needs, at_most, command, request)));
                }
                Where::Refuse(refusal) => {
                    if refusal == Refusal::MasterDown && shift.master().is_ok() {
                        continue;
                    }
                    return Err(refusal.fault(|it| shift.set.eta_ms(it)));
                }
            };
            if self.read_at(member, plan, route, command, verb, request, shift)? {
                return Ok(None);
            }
        }
        Err(Fault::MasterDown)
    }

    /// Whether the wait that has just ended is about to begin again: somebody has what it was for,
    /// and is still not fresh. A paused replica may have all there is and be too old.
    fn waited_for_nothing(&self, climb: Option<Climb>, step: u8, needs: Offset) -> bool {
        climb.is_some_and(|it| {
            it.ends.is_some() && it.step == step && it.needs == self.position(needs)
        })
    }

    #[inline]
    fn plan_read(
        &mut self,
        command: &Command,
        route: u16,
        climb: Option<Climb>,
        shift: &mut Shift<'_, '_>,
    ) -> Plan {
        let home = home_of(tasks::worker(), shift.roster.len() - 1);
        let origin = Origin { arrived: climb.map(|it| it.needs), ..self.origin() };
        let mut ask = origin.ask(Class::Read, route, shift.set, &self.lineage, shift.now, home);
        ask.of_member = command.spec.flags.has(Flags::AT_MASTER);
        ask.rung = climb.map_or(Rung::GROUND, |it| it.rung(shift.now));
        let with_ages = matches!(ask.level, Level::Bounded { ms: Some(_), .. });
        if home.is_none() || climb.is_some() {
            ask.dice = shift.desk.dice.bits();
        }
        let view = View { set: shift.set, roster: shift.roster, now: shift.now, with_ages };
        plan(&ask, &view)
    }

    /// Reads at one member, unless the plan has been overtaken: answers whether it was served.
    #[inline]
    #[allow(clippy::too_many_arguments)] // The corridor's whole width, once.
    fn read_at(
        &mut self,
        index: usize,
        plan: Plan,
        route: u16,
        command: &Command,
        verb: ReadVerb,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Result<bool, Fault> {
        let set = shift.set;
        let member = set.member(index);
        shift.begin(command);
        let world = &shift.desk.world;
        let args = Args::new(request, command.words, self.session.db, world);
        let outcome = match &mut shift.held {
            Held::Writing(writing) if writing.member().index == index => {
                writing.read(verb, args, &mut self.reply)
            }
            held => {
                let reading = held.read(set, member);
                if !self.still_holds(plan, member, shift.set.master(), shift.set.generation()) {
                    return Ok(false);
                }
                world.uses.at_replica((index != set.master()).then_some(self.session.db));
                let outcome = reading.run(verb, args, &mut self.reply);
                // A transaction's reads, at the master, come by another way.
                world.uses.at_replica(None);
                outcome
            }
        };
        self.saw(member, plan.because, route, command, request, shift);
        shift.count(Label::new(route, index as u16, command.id), command);
        if outcome.is_err() && member.is(Duty::Quarantined) {
            shift.held.release();
            set.replace_quarantined_master();
        }
        outcome.map(|()| true)
    }

    /// With the member's lock held, nothing it has applied can change; what was planned before may
    /// have.
    #[inline]
    fn still_holds(&self, plan: Plan, member: &Member, master: usize, generation: u64) -> bool {
        let for_the_master = !matches!(
            plan.because,
            Reason::AskedMember
                | Reason::FreshHome
                | Reason::FreshOther
                | Reason::CatchUp
                | Reason::OtherReplica
                | Reason::Waited
                | Reason::StaleAllowed
        );
        generation == self.set_generation
            && member.in_service()
            && (!for_the_master || member.index == master)
    }

    /// Reads raise the floor too, and how stale they were is recorded.
    #[inline]
    #[allow(clippy::too_many_arguments)] // As wide as the corridor.
    fn saw(
        &mut self,
        member: &Member,
        because: Reason,
        route: u16,
        command: &Command,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) {
        let applied = member.applied();
        self.session.saw(self.position(applied));
        let place = Place { route, member: member.index as u16 };
        match shift.set.head().since(applied) {
            0 => shift.desk.metrics.fresh(place, 1),
            behind => note_stale(member, place, behind, command, request, shift),
        }
        if self.session.tags != Tags::Off {
            self.came_from(member, because, shift);
        }
    }
}

/// The wait of a read for a replica.
#[cold]
fn to_await(
    place: Place,
    needs: Offset,
    at_most: Duration,
    command: &Command,
    request: Request<'_>,
) -> Stop {
    let key = command.spec.keys.first(request).map(Key::new);
    Stop::Await(Box::new(Awaited { place, needs, at_most, key }))
}

/// Records a read that was `behind` bytes behind.
#[cold]
fn note_stale(
    member: &Member,
    place: Place,
    behind: u64,
    command: &Command,
    request: Request<'_>,
    shift: &mut Shift<'_, '_>,
) {
    let us = shift.set.behind_us(member, shift.now);
    let key = command.spec.keys.first(request);
    shift.desk.metrics.stale(place, behind, us, key);
}

/// Counts the step that a plan takes; a wait that goes on has been counted.
#[inline]
fn note_step(plan: Plan, route: u16, climb: Option<Climb>, shift: &mut Shift<'_, '_>) {
    let Some(taken) = plan.because.step() else { return };
    let goes_on = match (plan.to, climb) {
        (Where::Wait { step, .. }, Some(it)) => it.ends.is_some() && it.step == step,
        _ => false,
    };
    if !goes_on {
        let place = Place { route, member: plan.to.member().unwrap_or(NONE) };
        shift.desk.metrics.ladder(place, taken as u8, 1);
    }
}
