//! The way of requests in a set whose members are real servers: writes go to the master, reads to
//! replicas that prove to have what they need.
//!
//! Requests that follow each other in one batch and go to the same member are gathered and sent
//! together; whatever comes behind them waits for their replies. So each client's requests are done
//! in its order, whoever does them.

use super::batch::BatchContext;
use super::call::Call;
use super::caller::Caller;
use super::forward::{add_request, leased};
use super::gathered::{Gathered, GatheredFor};
use crate::base::ids::{MemberId, RouteId};
use crate::base::places::Places;
use crate::base::position::Position;
use crate::base::time::MonoUs;
use crate::command::{Class, Fault, Flags, codes};
use crate::commands::{BlockOn, Handler, Job, Leased, Outcome, Resume, table};
use crate::metrics::Label;
use crate::node::upstream::{ReadRun, Run, RunAcks, RunKind, UpstreamView};
use crate::resp::Request;
use crate::route::{
    Acks, Allowed, Among, Floor, Level, Plan, ReadRequirements, Reason, Unavailable, Where, plan,
};
use crate::session::{AskedAcks, LastReply, SubscriptionKind, Tags};
use crate::state::{Aim, AimedRun, Forwarded, Upstream};
use bytes::Bytes;
use std::time::Duration;

/// Bytes of requests that are gathered at most.
const GATHERED_BYTES_MAX: usize = 1 << 20;
/// What is unknown here and would change a connection that others share, or is the proxy's own.
const NEVER_SHARED: &[&str] =
    &["ACL", "ASKING", "MODULE", "MONITOR", "READONLY", "READWRITE", "RESTORE-ASKING", "SENTINEL"];

/// Verbs of the proxy that the master answers where it is a real server.
const FORWARDED_VERBS: &[&str] = &[
    "script|load",
    "script|exists",
    "script|flush",
    "script|show",
    "pubsub|channels",
    "pubsub|numpat",
    "pubsub|numsub",
    "pubsub|shardchannels",
    "pubsub|shardnumsub",
];
/// Verbs, or containers, of the proxy that make no sense where members are real servers.
const HOSTED_VERBS: &[&str] = &[
    "DEBUG",
    "bgrewriteaof",
    "bgsave",
    "failover",
    "lastsave",
    "proxy|failover",
    "proxy|node",
    "psync",
    "replconf",
    "replicaof",
    "save",
    "slaveof",
    "sync",
    "waitaof",
];

impl Caller {
    /// Whether the next request joins those that were gathered for a member.
    pub fn may_join_upstream(&self, request: Request<'_>) -> bool {
        let Some(gathered) = &self.gathered else { return false };
        let has_room = gathered.forwarded.bytes.len() < GATHERED_BYTES_MAX;
        if !has_room || self.session.queue.is_some() || self.session.tags != Tags::Off {
            return false;
        }
        let command = match table().locate(request) {
            Ok(command) => command,
            Err(fault) => return self.is_for_upstream(request, &fault),
        };
        let is_read = match command.handler {
            Handler::Read(_) => true,
            Handler::Write(_) => false,
            Handler::Either { is_read, .. } => is_read(request),
            _ => return false,
        };
        match &gathered.upstream {
            // Whoever wants them confirmed may not want it of each route.
            Some(GatheredFor { aim: Aim::Master, route, .. }) if !is_read => {
                self.settings.routes.is_trivial()
                    || self.origin(None).route(command, request) == *route
            }
            // What is to be confirmed is not held up by what is not.
            Some(GatheredFor { aim: Aim::Master, acks, .. }) => acks.is_none(),
            Some(GatheredFor { route, kind: RunKind::Read(_), .. }) => {
                is_read
                    && !command.spec.flags.contains(Flags::AT_MASTER)
                    && self.origin(None).route(command, request) == *route
            }
            Some(_) | None => false,
        }
    }

    /// A read: it joins those before it, or goes where its plan says.
    #[cold]
    pub fn read_upstream(
        &mut self,
        call: &Call<'_>,
        route: RouteId,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let upstream = self.server.upstream.clone().expect("its members are real servers");
        context.begin_command(call.command);
        context.count(Label::new(route, MemberId::NONE, call.command.id), call.command);
        let is_eventual =
            self.settings.routes.level(route, self.session.level, self.listener_level)
                == Level::Eventual;
        if let Some(gathered) = &mut self.gathered {
            let because = gathered.upstream.as_ref().map_or(Reason::Write, |it| it.because);
            if let Some(GatheredFor { kind: RunKind::Master { wants_place, .. }, .. }) =
                &mut gathered.upstream
            {
                *wants_place |= !is_eventual;
            }
            add_request(&mut gathered.forwarded, call.request);
            self.session.last = LastReply::of_remote_master(route, because);
            return Ok(Outcome::Answered);
        }
        let view = upstream.view();
        let (aim, kind, because) = self.aim(call, route, &upstream, &view, context)?;
        self.session.last = LastReply {
            is_of_once: call.once.is_some(),
            ..LastReply::of_remote_master(route, because)
        };
        let mut forwarded = self.nothing_yet(context);
        add_request(&mut forwarded, call.request);
        let upstream = Some(GatheredFor { aim, kind, route, because, acks: None });
        let first = call.request.to_owned();
        self.gathered = Some(Box::new(Gathered { forwarded, first, upstream }));
        match call.once {
            // The next has another level.
            Some(_) => Ok(self.send_gathered(context.now).expect("there is one")),
            None => Ok(Outcome::Answered),
        }
    }

    /// Whether its members are real servers.
    #[inline]
    pub fn has_upstream(&self) -> bool {
        self.forwards() && self.server.upstream.is_some()
    }

    /// A script: the master runs it, unless it says that it only reads.
    #[cold]
    pub fn script_upstream(
        &mut self,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        self.keep_up(context.set, context.now)?;
        let reads_only = matches!(call.command.handler, Handler::Script(it) if it.reads_only);
        if reads_only {
            let route = self.origin(call.once.as_deref()).route(call.command, call.request);
            return self.read_upstream(call, route, context);
        }
        self.forward(call, context)
    }

    /// Where a read goes, what it asks for there, and why.
    fn aim(
        &self,
        call: &Call<'_>,
        route: RouteId,
        upstream: &Upstream,
        view: &UpstreamView,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(Aim, RunKind, Reason), Fault> {
        let origin = self.origin(call.once.as_deref());
        let (set, now) = (context.set, context.now);
        let mut ask = origin.ask(Class::Read, route, set, &self.history, now, None);
        ask.of_member = call.command.spec.flags.contains(Flags::AT_MASTER);
        ask.random = context.scratch.random.bits();
        let master = |because| {
            let wants_place = ask.level != Level::Eventual;
            (Aim::Master, RunKind::Master { written: 0, wants_place }, because)
        };
        if self.session.watches_remote {
            return Ok(master(Reason::Watching));
        }
        if ask.level == Level::Linearizable {
            return Ok(master(Reason::Linearizable));
        }
        if ask.level == Level::Global {
            ask.floor = ask.floor.and(set.told_floor());
        }
        let needs = match (ask.level, ask.floor) {
            (Level::Eventual, _) => None,
            (Level::Bounded { ms, .. }, _) => {
                let age_us = ms.unwrap_or(0).saturating_mul(1000);
                match upstream.needs_for_age(age_us, now) {
                    Some(needs) => Some(needs),
                    None => return Ok(master(Reason::MasterOnLag)),
                }
            }
            (_, Floor::Needs(offset)) => Some(Position { offset, ..self.position(offset) }),
            (_, Floor::Lost(_) | Floor::Foreign) => None,
        };
        let allowed = upstream.allowed(self.settings.routes.get(route));
        let plan = planned(&ask, view, allowed);
        let read = RunKind::Read(ReadRun {
            needs,
            allowed,
            ladder: *ask.ladder,
            step: 0,
            waits_until: None,
            tried: Places::default(),
        });
        match plan.to {
            Where::Member(member) if view.master == Some(member) => Ok(master(plan.because)),
            Where::Member(member) => Ok((Aim::Replica(member), read, plan.because)),
            Where::CatchUp { .. } | Where::Wait { .. } => Ok((Aim::Ladder, read, plan.because)),
            // Until there is one again it may wait.
            Where::Refuse(Unavailable::MasterDown) => Ok(master(plan.because)),
            Where::Refuse(why) => Err(why.fault(|_| None)),
        }
    }

    /// Whether a request that is unknown here may be known to the master: as a write, since nobody
    /// knows what it does.
    #[cold]
    pub fn is_for_upstream(&self, request: Request<'_>, fault: &Fault) -> bool {
        let name = request.get(0).unwrap_or_default();
        let is_ours = |it: &&str| name.eq_ignore_ascii_case(it.as_bytes());
        self.server.upstream.is_some()
            && matches!(fault, Fault::UnknownCommand(_))
            && self.session.is_known
            && self.session.queue.is_none()
            && !self.session.is_subscribed()
            && !NEVER_SHARED.iter().any(|it| is_ours(&it))
    }

    /// Session verbs that belong to the members, or that only hosted ones know. `None` for the
    /// others.
    #[cold]
    pub fn upstream_verb(
        &mut self,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Result<Outcome, Fault>> {
        self.server.upstream.as_ref()?;
        let (name, container) = (call.command.name.as_str(), call.command.spec.name);
        if self.session.queue.is_some() {
            return None;
        }
        match name {
            "subscribe" => self.cover(SubscriptionKind::Channel, call.request),
            "psubscribe" => self.cover(SubscriptionKind::Pattern, call.request),
            "ssubscribe" => self.cover(SubscriptionKind::ShardChannel, call.request),
            "script|kill" | "function|kill" | "function|stats" | "migrate" => {
                let mut one = self.nothing_yet(context);
                add_request(&mut one, call.request);
                Some(Ok(leased(one, call.request, Leased::Once)))
            }
            _ if FORWARDED_VERBS.contains(&name) => {
                Some(Ok(self.forward_one(call.request, context)))
            }
            _ if HOSTED_VERBS.contains(&name) || HOSTED_VERBS.contains(&container) => {
                Some(Err(codes::not_upstream(&call.command.upper_name.replace('|', " "))))
            }
            _ => None,
        }
    }

    /// What a client subscribes to is subscribed to at the master first. `None` when it is.
    fn cover(
        &self,
        kind: SubscriptionKind,
        request: Request<'_>,
    ) -> Option<Result<Outcome, Fault>> {
        let subscriptions = &self.server.upstream.as_ref()?.subscriptions;
        let names = || request.iter().skip(1);
        if subscriptions.covers(kind, names()) {
            return None;
        }
        let wanted = names().map(|it| (kind, Bytes::copy_from_slice(it))).collect();
        subscriptions.want(wanted, self.client.clone(), self.next_block());
        Some(Ok(Outcome::block(BlockOn::Time, None, Resume::Again)))
    }

    /// A request that is unknown here: the master does it.
    #[cold]
    pub fn forward_unknown(
        &mut self,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Outcome {
        if let Some(lost) = self.take_lost() {
            return self.refuse(None, lost, context);
        }
        if !self.has_enough_replicas(context) {
            return self.refuse(None, Fault::NoReplicas, context);
        }
        self.session.last = LastReply::of_remote_master(RouteId::DEFAULT, Reason::Write);
        let mut one = self.nothing_yet(context);
        add_request(&mut one, request);
        self.gather_write(one, request, RouteId::DEFAULT);
        Outcome::Answered
    }

    /// Who must have what is written on this route before it is answered: a session may ask for
    /// more than its route, not for less.
    pub fn upstream_acks(&self, route: RouteId) -> Option<RunAcks> {
        let view = self.server.upstream.as_ref()?.view();
        let replicas = view.members.len().saturating_sub(1);
        let count = |acks: Acks| match acks {
            Acks::None | Acks::Fsync => 0,
            Acks::Count(count) => count.into(),
            Acks::InSync => {
                (0..view.members.len()).filter(|it| view.serves_reads(*it)).count().max(1)
            }
            Acks::All => replicas,
        };
        let route = self.settings.routes.get(route);
        let of_route = AskedAcks { acks: route.acks, timeout: route.acks_timeout };
        let asked = self.session.acks.into_iter().chain([of_route]);
        let asked = asked.map(|it| RunAcks { replicas: count(it.acks), timeout: it.timeout });
        asked.max_by_key(|it| it.replicas).filter(|it| it.replicas != 0)
    }

    /// What was gathered, as a job.
    pub fn upstream_job(&self, forwarded: Forwarded, gathered: GatheredFor, now: MonoUs) -> Job {
        let Forwarded { worker, db, selects, protocol, bytes, replies, .. } = forwarded;
        let settings = self.settings.upstream.as_ref();
        let unsent_until = now.plus(settings.map_or(Duration::ZERO, |it| it.buffer_for));
        let GatheredFor { aim, kind, acks, .. } = gathered;
        let run = Run { db, selects, protocol, bytes, replies, kind, unsent_until, acks };
        Job::Upstream(Box::new(AimedRun { run, aim, worker }))
    }
}

fn planned(ask: &ReadRequirements<'_>, view: &UpstreamView, allowed: Option<Allowed>) -> Plan {
    match allowed {
        None => plan(ask, view),
        Some(allowed) => plan(ask, &Among { members: view, allowed }),
    }
}
