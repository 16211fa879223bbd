//! A read's way: route, floor, plan, member, reply.

use super::connection::{Awaited, BatchContext, Connection, LockCache, ReadRetry, Stop};
use super::once::plan_at;
use crate::base::limits::CATCH_UP_US_MAX;
use crate::base::position::Offset;
use crate::command::{Args, Class, Fault, Flags};
use crate::commands::{Command, RequestContext, preferred_replica};
use crate::engine::ReadVerb;
use crate::metrics::worst::Key;
use crate::metrics::{Label, NONE, Place};
use crate::node::{ApplyBudget, CaughtUp, Member, MemberFlag, View};
use crate::resp::Request;
use crate::route::{LadderPosition, Level, Plan, Reason, Refusal, Where, plan};
use crate::runtime::tasks;
use crate::session::Tags;
use std::time::Duration;

/// What a catch-up may take of its worker's time.
const CATCH_UP: ApplyBudget = ApplyBudget::Micros(CATCH_UP_US_MAX);

/// Plans that are overtaken by a change of the members are made anew, at most this often.
const PLANS_MAX: usize = 8;

impl Connection {
    /// Where routes, levels and floors of this connection come from.
    pub fn origin(&self) -> RequestContext<'_> {
        RequestContext {
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
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Stop>, Fault> {
        let route = self.origin().route(command, request);
        // New rules may have put it on another ladder.
        let mut retry = self.retry.take().filter(|it| it.route == route);
        for _ in 0..PLANS_MAX {
            self.keep_up(context.set)?;
            let plan = match self.session.once.as_ref().and_then(|it| it.at) {
                None => self.plan_read(command, route, retry, context),
                Some(at) => plan_at(at, context.set)?,
            };
            note_step(plan, route, retry, context);
            let member = match plan.to {
                Where::Member(member) => usize::from(member),
                Where::CatchUp { member, needs, step } => {
                    let member = usize::from(member);
                    context.locks.release();
                    match context.set.catch_up(context.set.member(member), needs, CATCH_UP) {
                        CaughtUp::Yes => member,
                        CaughtUp::Never => continue,
                        CaughtUp::NotYet => {
                            retry = Some(ReadRetry {
                                route,
                                step,
                                ends: None,
                                needs: self.position(needs),
                            });
                            continue;
                        }
                    }
                }
                Where::Wait { needs, step, .. } if self.waited_for_nothing(retry, step, needs) => {
                    retry = retry.map(|it| ReadRetry { ends: Some(context.now), ..it });
                    continue;
                }
                Where::Wait { member, needs, at_most, step } => {
                    let ends = Some(context.now.plus(at_most));
                    self.retry = Some(ReadRetry { route, step, ends, needs: self.position(needs) });
                    let place = Place { route, member };
                    return Ok(Some(to_await(place, needs, at_most, command, request)));
                }
                Where::Refuse(refusal) => {
                    if refusal == Refusal::MasterDown && context.master().is_ok() {
                        continue;
                    }
                    return Err(refusal.fault(|it| context.set.eta_ms(it)));
                }
            };
            if self.read_at(member, plan, route, command, verb, request, context)? {
                return Ok(None);
            }
        }
        Err(Fault::MasterDown)
    }

    /// Whether the wait that has just ended is about to begin again: somebody has what it was for,
    /// and is still not fresh. A paused replica may have all there is and be too old.
    fn waited_for_nothing(&self, retry: Option<ReadRetry>, step: u8, needs: Offset) -> bool {
        retry.is_some_and(|it| {
            it.ends.is_some() && it.step == step && it.needs == self.position(needs)
        })
    }

    #[inline]
    fn plan_read(
        &mut self,
        command: &Command,
        route: u16,
        retry: Option<ReadRetry>,
        context: &mut BatchContext<'_, '_>,
    ) -> Plan {
        let preferred = preferred_replica(tasks::worker(), context.member_list.len() - 1);
        let origin = RequestContext { arrived: retry.map(|it| it.needs), ..self.origin() };
        let mut ask =
            origin.ask(Class::Read, route, context.set, &self.history, context.now, preferred);
        ask.of_member = command.spec.flags.has(Flags::AT_MASTER);
        ask.ladder_position =
            retry.map_or(LadderPosition::START, |it| it.ladder_position(context.now));
        let with_ages = matches!(ask.level, Level::Bounded { ms: Some(_), .. });
        if preferred.is_none() || retry.is_some() {
            ask.random = context.scratch.random.bits();
        }
        let view = View {
            set: context.set,
            member_list: context.member_list,
            now: context.now,
            with_ages,
        };
        plan(&ask, &view)
    }

    /// Reads at one member, unless the plan has been overtaken: answers whether it was served.
    #[inline]
    #[allow(clippy::too_many_arguments)] // One read needs all of these.
    fn read_at(
        &mut self,
        index: usize,
        plan: Plan,
        route: u16,
        command: &Command,
        verb: ReadVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<bool, Fault> {
        let set = context.set;
        let member = set.member(index);
        context.begin(command);
        let env = &context.scratch.env;
        let args = Args::new(request, command.words, self.session.db, env);
        let outcome = match &mut context.locks {
            LockCache::MasterGuard(writing) if writing.member().index == index => {
                writing.read(verb, args, &mut self.reply)
            }
            locks => {
                let reading = locks.read(set, member);
                if !self.still_holds(plan, member, context.set.master(), context.set.generation()) {
                    return Ok(false);
                }
                env.uses.at_replica((index != set.master()).then_some(self.session.db));
                let outcome = reading.run(verb, args, &mut self.reply);
                // A transaction's reads, at the master, come by another way.
                env.uses.at_replica(None);
                outcome
            }
        };
        self.saw(member, plan.because, route, command, request, context);
        context.count(Label::new(route, index as u16, command.id), command);
        if outcome.is_err() && member.is(MemberFlag::Quarantined) {
            context.locks.release();
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
                | Reason::FreshPreferred
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
    #[allow(clippy::too_many_arguments)] // As wide as the request path.
    fn saw(
        &mut self,
        member: &Member,
        because: Reason,
        route: u16,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) {
        let applied = member.applied();
        self.session.saw(self.position(applied));
        let place = Place { route, member: member.index as u16 };
        match context.set.head().since(applied) {
            0 => context.scratch.metrics.fresh(place, 1),
            behind => note_stale(member, place, behind, command, request, context),
        }
        if self.session.tags != Tags::Off {
            self.came_from(member, because, context);
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
    context: &mut BatchContext<'_, '_>,
) {
    let us = context.set.behind_us(member, context.now);
    let key = command.spec.keys.first(request);
    context.scratch.metrics.stale(place, behind, us, key);
}

/// Counts the step that a plan takes; a wait that goes on has been counted.
#[inline]
fn note_step(plan: Plan, route: u16, retry: Option<ReadRetry>, context: &mut BatchContext<'_, '_>) {
    let Some(taken) = plan.because.step() else { return };
    let goes_on = match (plan.to, retry) {
        (Where::Wait { step, .. }, Some(it)) => it.ends.is_some() && it.step == step,
        _ => false,
    };
    if !goes_on {
        let place = Place { route, member: plan.to.member().unwrap_or(NONE) };
        context.scratch.metrics.ladder(place, taken as u8, 1);
    }
}
