//! A read's way: route, floor, plan, member, reply.

use super::batch::{BatchContext, LockCache, NotNow, is_long};
use super::call::Call;
use super::caller::Caller;
use super::once::plan_at;
use super::script_call::ScriptCall;
use super::transaction::QueuedReads;
use crate::base::ids::{MemberId, RouteId};
use crate::base::places::Places;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Coverage, Offset, Position};
use crate::command::{Args, Class, Fault, Flags, ReadIn};
use crate::commands::{
    BlockOn, Command, Outcome, ReadRetry, RequestContext, Resume, preferred_replica,
};
use crate::engine::ReadVerb;
use crate::metrics::worst::Key;
use crate::metrics::{Label, Place};
use crate::node::{CaughtUp, Condition, Member, MemberFlags, ReplicaSet, View};
use crate::resp::Request;
use crate::route::{
    Allowed, Among, Floor, LadderPosition, Level, Plan, ReadRequirements, Reason, StepKind,
    StepsTaken, Unavailable, Where, plan,
};
use crate::session::{LastReply, Once};
use std::sync::Arc;
use std::time::Duration;

/// Plans that are overtaken by a change of the members are made anew, at most this often.
const PLANS_MAX: usize = 8;

/// A member to read at, and why it may be.
#[derive(Clone, Copy)]
pub struct ReadAt {
    /// The route of the read.
    pub route: RouteId,
    /// The member.
    pub member: MemberId,
    /// Why that one.
    pub because: Reason,
    /// The steps of its ladder that led there.
    pub steps: StepsTaken,
}

/// What reads.
#[derive(Clone, Copy)]
pub enum ReadRun<'r> {
    /// A verb.
    Verb(ReadVerb),
    /// A script.
    Script(&'r ScriptCall<'r>),
    /// A transaction.
    Queue(&'r QueuedReads),
}

impl Caller {
    /// Where routes, levels and floors of a request come from.
    pub fn origin<'a>(&'a self, once: Option<&'a Once>) -> RequestContext<'a> {
        RequestContext {
            routes: &self.settings.routes,
            session: &self.session,
            once,
            listener: &self.listener,
            listener_level: self.listener_level,
            arrived: None,
        }
    }

    /// Serves a read where its plan says.
    #[inline]
    pub fn read(
        &mut self,
        call: &mut Call<'_>,
        run: ReadRun<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let (command, request) = (call.command, call.request);
        self.session.last = LastReply::OWN;
        let route = match run {
            ReadRun::Queue(reads) => reads.route,
            _ => self.origin(call.once.as_deref()).route(command, request),
        };
        // New rules may have put it on another route, or its route on another ladder.
        let ladder = || self.settings.routes.get(route).ladder;
        let mut retry = call.retry.take().filter(|it| it.route == route && it.ladder == ladder());
        let mut steps = retry.as_ref().map_or(StepsTaken::NONE, |it| it.steps);
        if self.forwards() {
            self.keep_up(context.set, context.now)?;
            context.locks.release();
            if self.server.upstream.is_some() {
                return self.read_upstream(call, route, context);
            }
            if let Some(outcome) = self.read_following(call, route, retry.as_deref(), context)? {
                return Ok(outcome);
            }
            // A wait for the stream is none of the ladder's.
            retry = None;
        }
        for _ in 0..PLANS_MAX {
            self.keep_up(context.set, context.now)?;
            let mut plan = match call.once.as_ref().and_then(|it| it.at) {
                None => self.plan_read(call, route, retry.as_deref(), context),
                Some(at) => plan_at(at, context.set)?,
            };
            if let Some(once) = &call.once {
                plan = once_plan(once, plan);
            }
            if let Some(taken) = plan.because.step() {
                steps = steps.and(taken);
                note_step(plan, taken, route, retry.as_deref(), context);
            }
            let member = match plan.to {
                Where::Member(member) => member,
                Where::CatchUp { member, needs, step } => {
                    context.locks.release();
                    let budget = context.scratch.catch_up;
                    match context.set.catch_up(context.set.member(member), needs, budget) {
                        CaughtUp::Yes => member,
                        CaughtUp::Never => continue,
                        CaughtUp::NotYet => {
                            retry = Some(Box::new(self.retry_from(route, step, steps, needs)));
                            continue;
                        }
                    }
                }
                Where::Wait { needs, step, .. }
                    if self.waited_for_nothing(retry.as_deref(), step, needs, context.set) =>
                {
                    if let Some(retry) = &mut retry {
                        retry.ends = Some(context.now);
                    }
                    continue;
                }
                Where::Wait { member, needs, at_most, step } => {
                    let key = command.spec.keys.first(request).map(Key::new);
                    let retry = ReadRetry {
                        ends: Some(context.now.plus(at_most)),
                        waits_for: Some((Place { route, member }, key)),
                        ..self.retry_from(route, step, steps, needs)
                    };
                    let allowed = self.allowed_on(route).map_or(Places::ALL, |it| it.places);
                    return Ok(wait_for(needs, member, allowed, at_most, retry));
                }
                Where::Refuse(why) => {
                    let master = context.set.member(context.set.master());
                    if why == Unavailable::MasterDown || master.is(MemberFlags::QUARANTINED) {
                        // Another may serve it once it has taken over.
                        match context.master() {
                            Ok(_) => continue,
                            Err(NotNow::Fault(_)) => {}
                            Err(not_now) => return not_now.outcome(),
                        }
                    }
                    let is_busy = |it: &&Arc<Member>| it.is_long_written();
                    if why == Unavailable::NoMember
                        && let Some(busy) = context.member_list.iter().find(is_busy)
                    {
                        return Ok(Outcome::Busy(busy.id));
                    }
                    let because = Some(plan.because);
                    self.session.last = LastReply { route, because, steps, ..LastReply::OWN };
                    return Err(why.fault(|it| context.set.eta_ms(it)));
                }
            };
            let at = ReadAt { route, member, because: plan.because, steps };
            let done = match run {
                ReadRun::Verb(verb) => self.read_at(at, call, verb, context)?,
                ReadRun::Script(script) => self.read_script_at(at, script, call, context)?,
                ReadRun::Queue(reads) => self.read_queue_at(at, reads, call, context)?,
            };
            if let Some(outcome) = done {
                return Ok(outcome);
            }
        }
        Err(Fault::MasterDown)
    }

    /// The read has come as far as this step of its route's ladder.
    #[cold]
    pub fn retry_from(
        &self,
        route: RouteId,
        step: u8,
        steps: StepsTaken,
        needs: Offset,
    ) -> ReadRetry {
        let (ladder, needs) = (self.settings.routes.get(route).ladder, self.position(needs));
        ReadRetry { route, ladder, step, steps, ends: None, needs, waits_for: None }
    }

    /// Whether the wait that has just ended is about to begin again: somebody has what it was for,
    /// and is still not fresh. A paused replica may have all there is and be too old. A wait that
    /// ended because its replica was removed goes on at another, for what is left of its time.
    fn waited_for_nothing(
        &self,
        retry: Option<&ReadRetry>,
        step: u8,
        needs: Offset,
        set: &ReplicaSet,
    ) -> bool {
        let is_gone = |it: &ReadRetry| {
            let member = it.waits_for.as_ref().map(|it| it.0.member);
            member.is_some_and(|it| set.member(it).is(MemberFlags::REMOVED))
        };
        retry.is_some_and(|it| {
            it.ends.is_some() && it.step == step && it.needs == self.position(needs) && !is_gone(it)
        })
    }

    #[inline]
    fn plan_read(
        &self,
        call: &Call<'_>,
        route: RouteId,
        retry: Option<&ReadRetry>,
        context: &mut BatchContext<'_, '_>,
    ) -> Plan {
        if let Some(allowed) = self.allowed_on(route) {
            return self.plan_among(allowed, call, route, retry, context);
        }
        let preferred = preferred_replica(context.scratch.worker, context.member_list.len() - 1);
        let ask = self.ask_read(preferred, call, route, retry, context);
        plan(&ask, &view(&ask, context))
    }

    /// As [`Caller::plan_read`] on a route that not every member may serve.
    #[inline(never)]
    fn plan_among(
        &self,
        allowed: Allowed,
        call: &Call<'_>,
        route: RouteId,
        retry: Option<&ReadRetry>,
        context: &mut BatchContext<'_, '_>,
    ) -> Plan {
        let preferred = allowed.preferred(context.scratch.worker, context.set.master());
        let ask = self.ask_read(preferred, call, route, retry, context);
        plan(&ask, &Among { members: &view(&ask, context), allowed })
    }

    // Its answer is large, and would be copied: 45 of the instructions of a GET.
    #[inline(always)]
    fn ask_read<'a>(
        &'a self,
        preferred: Option<usize>,
        call: &'a Call<'_>,
        route: RouteId,
        retry: Option<&ReadRetry>,
        context: &mut BatchContext<'_, '_>,
    ) -> ReadRequirements<'a> {
        let arrived = retry.map(|it| match is_planted(Planted::RetryForgetsFloor) {
            true => self.position(Offset::ZERO),
            false => it.needs,
        });
        let origin = RequestContext { arrived, ..self.origin(call.once.as_deref()) };
        let (set, now) = (context.set, context.now);
        let mut ask = origin.ask(Class::Read, route, set, &self.history, now, preferred);
        ask.of_member = call.command.spec.flags.contains(Flags::AT_MASTER);
        if let Some(arrived) = arrived {
            ask.floor = self.floor_on_arrival(ask.floor, arrived);
        }
        ask.ladder_position =
            retry.map_or(LadderPosition::START, |it| it.ladder_position(context.now));
        if preferred.is_none() || retry.is_some() {
            ask.random = context.scratch.random.bits();
        }
        ask
    }

    /// The floor of a read that has waited: others who share its session's may have raised that.
    #[cold]
    fn floor_on_arrival(&self, floor: Floor, arrived: Position) -> Floor {
        match (floor, self.history.cover(arrived)) {
            (Floor::Needs(floor), Coverage::To(offset)) => Floor::Needs(floor.min(offset)),
            (floor, _) => floor,
        }
    }

    /// Reads at one member. Answers what came of it; `None` when the plan has been overtaken.
    #[inline]
    fn read_at(
        &mut self,
        at: ReadAt,
        call: &mut Call<'_>,
        verb: ReadVerb,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Outcome>, Fault> {
        let set = context.set;
        let member = set.member(at.member);
        let works_long = context.scratch.works_long;
        context.begin_command(call.command);
        let env = &context.scratch.env;
        let args = Args::new(call.request, call.command.words, self.session.db, env);
        let mark = self.replies.mark();
        let outcome = match &mut context.locks {
            LockCache::Writing(guard) if guard.member().id == at.member => {
                if !works_long && is_long(call.command, guard.engine(), args) {
                    return Ok(Some(Outcome::Long));
                }
                if !works_long {
                    self.replies.out.stop_when_long();
                }
                guard.read(verb, args, &mut self.replies.out)
            }
            locks => {
                let Some(guard) = locks.read(set, member, works_long) else {
                    // Others may serve it; the master is the last.
                    let is_last = at.member == set.master();
                    return Ok(is_last.then_some(Outcome::Busy(at.member)));
                };
                if !self.still_holds(at.because, member, set.master(), set.generation()) {
                    return Ok(None);
                }
                if !works_long && is_long(call.command, guard.engine(), args) {
                    return Ok(Some(Outcome::Long));
                }
                let db = self.session.db;
                let is_replica = at.member != set.master();
                env.uses.read_in(if is_replica { ReadIn::Replica(db) } else { ReadIn::Master(db) });
                if !works_long {
                    self.replies.out.stop_when_long();
                }
                let outcome = guard.run(verb, args, &mut self.replies.out);
                // A transaction's reads, at the master, come by another way.
                env.uses.read_in(ReadIn::Nowhere);
                outcome
            }
        };
        let has_stopped = self.replies.out.has_stopped(mark);
        if has_stopped {
            // What is made again misses them again.
            drop(env.take_missed());
            return Ok(Some(Outcome::Long));
        }
        self.tell_missed(member, context);
        self.cache_read(call.command, call.request, self.position(member.applied()));
        self.saw(at, member, call, context);
        let label = Label::new(at.route, at.member, call.command.id);
        context.count(label, call.command);
        outcome.map(|()| Some(Outcome::Answered))
    }

    /// Tells of the keys that a read at this member has missed, where anybody asks.
    #[inline]
    pub fn tell_missed(&self, member: &Member, context: &BatchContext<'_, '_>) {
        let env = &context.scratch.env;
        if env.notes_misses() {
            let at = self.position(member.applied());
            context.set.events.tell_missed(self.session.db, env.take_missed(), at);
        }
    }

    /// With the member's lock held, nothing it has applied can change; what was planned before may
    /// have.
    #[inline]
    pub fn still_holds(
        &self,
        because: Reason,
        member: &Member,
        master: MemberId,
        generation: u64,
    ) -> bool {
        let for_the_master = !matches!(
            because,
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
            && (!for_the_master || member.id == master)
    }

    /// Reads raise the floor too, and how stale they were is recorded.
    // As scripts read, too: see `RecentCommand::find`.
    #[inline(always)]
    pub fn saw(
        &mut self,
        at: ReadAt,
        member: &Member,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) {
        let applied = member.applied();
        if !is_planted(Planted::ReadRaisesNoFloor) {
            let seen = self.position(applied);
            if member.id == context.set.master() {
                self.saw_end(seen);
            } else {
                self.session.saw(seen);
            }
        }
        let ReadAt { route, member: id, because, steps } = at;
        let (place, behind_bytes) =
            (Place { route, member: id }, context.set.head().since(applied));
        let (because, is_of_once) = (Some(because), call.once.is_some());
        self.session.last = LastReply {
            member: id,
            route,
            because,
            steps,
            is_of_once,
            behind_bytes,
            ..LastReply::OWN
        };
        match behind_bytes {
            0 => context.scratch.metrics.fresh(place, 1),
            behind => {
                let (command, request) = (call.command, call.request);
                self.session.last.behind_us =
                    note_stale(member, place, behind, command, request, context);
            }
        }
    }
}

/// The plan of a command that asks for something itself. What is fresh enough for its session may
/// still be stale when nobody knows what its token asks for.
#[cold]
fn once_plan(once: &Once, plan: Plan) -> Plan {
    let is_fresh = matches!(
        plan.because,
        Reason::FreshPreferred | Reason::FreshOther | Reason::OtherReplica | Reason::Waited
    );
    let because = if once.may_be_stale && is_fresh { Reason::StaleAllowed } else { plan.because };
    Plan { because, ..plan }
}

/// The members as a plan of `ask` sees them.
#[inline]
fn view<'s>(ask: &ReadRequirements<'_>, context: &BatchContext<'s, '_>) -> View<'s> {
    let with_ages = matches!(ask.level, Level::Bounded { ms: Some(_), .. });
    View { set: context.set, member_list: context.member_list, now: context.now, with_ages }
}

/// The wait of a read for a replica that has what it needs.
#[cold]
fn wait_for(
    needs: Offset,
    member: MemberId,
    allowed: Places,
    at_most: Duration,
    retry: ReadRetry,
) -> Outcome {
    let condition = Condition::Readable { member, allowed };
    Outcome::block(BlockOn::Offset(condition, needs), Some(at_most), Resume::Retry(Box::new(retry)))
}

/// Records a read that was `behind` bytes behind; answers for how long its member had been.
#[cold]
fn note_stale(
    member: &Member,
    place: Place,
    behind: u64,
    command: &Command,
    request: Request<'_>,
    context: &mut BatchContext<'_, '_>,
) -> u64 {
    let us = context.set.lacks_us(member, context.now).unwrap_or(u64::MAX);
    let key = command.spec.keys.first(request);
    context.scratch.metrics.stale(place, behind, us, key);
    us
}

/// Counts the step that a plan takes; a wait that goes on has been counted.
fn note_step(
    plan: Plan,
    taken: StepKind,
    route: RouteId,
    retry: Option<&ReadRetry>,
    context: &mut BatchContext<'_, '_>,
) {
    let goes_on = match (plan.to, retry) {
        (Where::Wait { step, .. }, Some(it)) => it.ends.is_some() && it.step == step,
        _ => false,
    };
    if !goes_on {
        let place = Place { route, member: plan.to.member().unwrap_or(MemberId::NONE) };
        context.scratch.metrics.ladder(place, taken as u8, 1);
    }
}
