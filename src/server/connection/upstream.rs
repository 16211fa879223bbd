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
use crate::base::limits::DATABASES;
use crate::base::number::parse_i64;
use crate::base::places::Places;
use crate::base::position::{Offset, Position};
use crate::base::time::MonoUs;
use crate::command::{Class, Fault, Flags, codes};
use crate::commands::{BlockOn, Command, Handler, Job, Leased, Outcome, Resume, table};
use crate::metrics::Label;
use crate::node::Awaited;
use crate::node::upstream::{
    BARRIER, MemberState, ReadRun, Run, RunAcks, RunKind, ScanCursor, ScanRun, UpstreamView,
};
use crate::resp::{OwnedRequest, Request, encode_command};
use crate::route::{
    Acks, Allowed, Among, Floor, Ladder, Level, Plan, ReadRequirements, Reason, Step, Unavailable,
    Where, plan,
};
use crate::session::{AskedAcks, LastReply, SubscriptionKind, Tags};
use crate::state::{Aim, AimedRun, Forwarded, PRIVATE_MAX, Upstream};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of requests that are gathered at most.
const GATHERED_BYTES_MAX: usize = 1 << 20;
/// Most requests that are gathered: the replies of all of them are here before the first leaves.
const GATHERED_MAX: usize = 1 << 10;
/// What is unknown here and would change a connection that others share, or is the proxy's own.
const NEVER_SHARED: &[&str] = &["ACL", "ASKING", "MONITOR", "READONLY", "READWRITE", "SENTINEL"];

/// Verbs of the proxy that the master answers where it is a real server.
const FORWARDED_VERBS: &[&str] = &[
    "script|load",
    "script|exists",
    "script|flush",
    "script|show",
    "module|list",
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
    "psync",
    "replconf",
    "replicaof",
    "save",
    "slaveof",
    "sync",
];

impl Caller {
    /// Whether the next request joins those that were gathered for a member.
    pub fn may_join_upstream(&self, request: Request<'_>) -> bool {
        let Some(gathered) = &self.gathered else { return false };
        let Forwarded { bytes, replies, .. } = &gathered.forwarded;
        let has_room = bytes.len() < GATHERED_BYTES_MAX && replies.len() < GATHERED_MAX;
        if !has_room || self.session.queue.is_some() || self.session.tags != Tags::Off {
            return false;
        }
        if gathered.scan.is_some() || gathered.script.is_some() {
            return false;
        }
        let command = match table().locate(request) {
            Ok(command) if cursor_of(command, request).is_some() => return false,
            Ok(command) => command,
            Err(fault) => {
                // It is a write, as far as anybody knows.
                let is_there = matches!(
                    &gathered.upstream,
                    Some(GatheredFor { aim: Aim::Master, route, .. }) if *route == RouteId::DEFAULT
                );
                return is_there
                    && self.may_write_behind(gathered, RouteId::DEFAULT)
                    && self.is_for_upstream(request, &fault);
            }
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
                let its = self.origin(None).route(command, request);
                (self.settings.routes.is_trivial() || its == *route)
                    && self.may_write_behind(gathered, its)
            }
            // What is to be confirmed is not held up by what is not.
            Some(GatheredFor { aim: Aim::Master, acks, .. }) => acks.is_none(),
            Some(GatheredFor { route, kind: RunKind::Read(_), .. }) => {
                is_read
                    && !command.may_write()
                    && !command.spec.flags.contains(Flags::AT_MASTER)
                    && self.origin(None).route(command, request) == *route
            }
            Some(_) | None => false,
        }
    }

    /// Whether a write of this route may join what was gathered for the master: reads begin without
    /// the acknowledgements that a write may want, and are not held up by them.
    fn may_write_behind(&self, gathered: &Gathered, route: RouteId) -> bool {
        !gathered.only_reads() || self.upstream_acks(route).is_none()
    }

    /// A read: it joins those before it, or goes where its plan says.
    #[cold]
    pub fn read_upstream(
        &mut self,
        call: &Call<'_>,
        route: RouteId,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        self.may_run_elsewhere(call.command)?;
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
        let scanned = match cursor_of(call.command, call.request) {
            Some(cursor) => Some((cursor, self.pinned(cursor.1, &view, route)?)),
            None => None,
        };
        let (aim, kind, because) = match scanned {
            Some((_, Some(pinned))) => pinned,
            Some((_, None)) | None => self.aim(call, route, &upstream, &view, context)?,
        };
        self.session.last = LastReply {
            is_of_once: call.once.is_some(),
            // Which replica it will be, nobody knows before it has proved to have it.
            is_remote: aim == Aim::Master,
            ..LastReply::of_remote_master(route, because)
        };
        let mut forwarded = self.nothing_yet(context);
        let pinned = scanned.and_then(|(cursor, _)| Some((cursor.0, cursor.1?)));
        match pinned {
            Some((place, cursor)) => {
                let own = cursor.cursor.to_string();
                let words = call.request.iter().enumerate();
                let words = words.map(|(at, it)| if at == place { own.as_bytes() } else { it });
                encode_command(&mut forwarded.bytes, words.collect::<Vec<_>>().into_iter());
                forwarded.replies.push_back(Awaited::Last(1));
            }
            None => add_request(&mut forwarded, call.request),
        }
        let upstream = Some(GatheredFor { aim, kind, route, because, acks: None });
        let first = call.request.to_owned();
        let scan = scanned.map(|_| ScanRun { pinned: pinned.map(|it| it.1.member) });
        let script = self.known_script(call);
        let stands_alone = call.once.is_some() || scan.is_some() || script.is_some();
        let gathered = Gathered { scan, script, ..Gathered::new(forwarded, first, upstream) };
        self.gathered = Some(Box::new(gathered));
        // The next has another level, or another place.
        let sent = if stands_alone { self.send_gathered(context.now) } else { None };
        Ok(sent.unwrap_or(Outcome::Answered))
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
        let outcome = self.forward(call, context)?;
        let script = self.known_script(call);
        if let Some(gathered) = &mut self.gathered {
            gathered.script = script;
        }
        Ok(outcome)
    }

    /// The script that this names, if it is known here; one that is sent is known from here on.
    fn known_script(&self, call: &Call<'_>) -> Option<Arc<[u8]>> {
        let scripts = &self.server.upstream.as_ref()?.scripts;
        let text = call.request.get(1)?;
        match call.command.name.as_str() {
            "eval" | "eval_ro" => scripts.note(text),
            "script|load" => scripts.note(call.request.get(2)?),
            "evalsha" | "evalsha_ro" => return scripts.find(text),
            _ => {}
        }
        None
    }

    /// Where a SCAN goes on that has begun. `None` when it begins.
    fn pinned(
        &self,
        cursor: Option<ScanCursor>,
        view: &UpstreamView,
        route: RouteId,
    ) -> Result<Option<(Aim, RunKind, Reason)>, Fault> {
        let Some(ScanCursor { member, life, .. }) = cursor else { return Ok(None) };
        let is_there = view.members.get(member.index()).is_some_and(|it| it.life == life);
        if is_there && view.master == Some(member) {
            let kind = RunKind::Master { written: 0, wants_place: true };
            return Ok(Some((Aim::Master, kind, Reason::AskedMember)));
        }
        let state = view.members.get(member.index()).map(|it| &it.state);
        let may_serve = state.is_some_and(MemberState::may_be_fed);
        if !is_there {
            // Whoever is at its place now has not given it.
            return Err(codes::SCAN_LOST);
        }
        if !may_serve {
            let upstream = self.server.upstream.as_ref().map(|it| it.member(member));
            let name = upstream.map(|it| it.described.name.clone()).unwrap_or_default();
            return Err(codes::scan_lost_at(&name));
        }
        let level = self.settings.routes.level(route, self.session.level, self.listener_level);
        let read = ReadRun {
            needs: self.session.floor.filter(|_| level != Level::Eventual),
            allowed: Some(Allowed { places: Places::of([member].into_iter()), named: true }),
            ladder: Ladder::new(&[Step::Wait(SCAN_WAIT), Step::Error]).unwrap_or_default(),
            step: 0,
            waits_until: None,
            tried: Places::default(),
        };
        Ok(Some((Aim::Replica(member), RunKind::Read(read), Reason::AskedMember)))
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
        if call.command.may_write() {
            return Ok(master(Reason::Write));
        }
        if ask.level == Level::Linearizable {
            return Ok(master(Reason::Linearizable));
        }
        if self.settings.routes.get(route).prefers_master && view.master.is_some() {
            return Ok(master(Reason::PrefersMaster));
        }
        if ask.level == Level::Global {
            ask.floor = ask.floor.and(set.told_floor());
        }
        let mut needs = match (ask.level, ask.floor) {
            (Level::Eventual, _) | (_, Floor::Lost(_) | Floor::Foreign) => None,
            (_, Floor::Needs(offset)) => Some(Position { offset, ..self.position(offset) }),
        };
        let mut may_lack = None;
        if let Level::Bounded { ms, bytes } = ask.level {
            if let Some(ms) = ms {
                let Some(young) = upstream.needs_for_age(ms.saturating_mul(1000), now) else {
                    return Ok(master(Reason::MasterOnLag));
                };
                let is_more = |it: &Position| it.replid == young.replid && young.offset < it.offset;
                needs = Some(needs.filter(is_more).unwrap_or(young));
            }
            may_lack = bytes;
        }
        let allowed = upstream.allowed(self.settings.routes.get(route));
        let near = upstream.near(view, allowed);
        let may = near.or(allowed);
        let plan = planned(&ask, view, may);
        let read = RunKind::Read(ReadRun {
            needs,
            allowed,
            ladder: *ask.ladder,
            step: 0,
            waits_until: None,
            tried: Places::default(),
        });
        let at_replica = |it| may_lack.map_or(it, |bytes| Aim::Head { bytes });
        match plan.to {
            Where::Member(member) if view.master == Some(member) => Ok(master(plan.because)),
            // The plan says that one may; which of them goes by their shares, too.
            Where::Member(member) => {
                let chosen = view.replica(may, ask.random, |_| true).unwrap_or(member);
                Ok((at_replica(Aim::Replica(chosen)), read, plan.because))
            }
            Where::CatchUp { .. } | Where::Wait { .. } => {
                Ok((at_replica(Aim::Ladder), read, plan.because))
            }
            Where::Refuse(Unavailable::MasterDown)
                if ask.level == Level::Eventual
                    && view.unfed_replica(allowed, |_| true).is_some() =>
            {
                let replica =
                    view.unfed_replica(allowed, |_| true).map_or(Aim::Ladder, Aim::Replica);
                Ok((replica, read, Reason::StaleAllowed))
            }
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
        let is_ours = |it: &str| name.eq_ignore_ascii_case(it.as_bytes());
        self.server.upstream.is_some()
            && matches!(fault, Fault::UnknownCommand(_))
            && self.session.is_known
            // Nobody knows what it does, so only who may do everything may do it.
            && self.session.rules.is_none()
            && self.rights_generation == self.server.accounts.generation()
            && self.session.queue.is_none()
            && !self.session.is_subscribed()
            && !NEVER_SHARED.iter().any(|it| is_ours(it))
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
            "script|kill" | "function|kill" | "function|stats" => {
                Some(Ok(self.private(call, context, Leased::Kill)))
            }
            "migrate" => Some(Ok(self.private(call, context, Leased::Once))),
            "select" => self.select_upstream(call, context).map(Ok),
            "waitaof" => {
                // What is behind a barrier on a connection of its own is behind all that is done.
                let mut one = self.nothing_yet(context);
                let barrier = [&b"PUBLISH"[..], BARRIER, b""];
                encode_command(&mut one.bytes, barrier.into_iter());
                encode_command(&mut one.bytes, call.request.iter());
                one.replies.push_back(Awaited::LastUnlessError(2));
                Some(Ok(leased(one, call.request, Leased::Once)))
            }
            _ if FORWARDED_VERBS.contains(&name) => {
                // A script that is loaded is known from here on.
                self.known_script(call);
                Some(self.forward_one(call, context))
            }
            _ if HOSTED_VERBS.contains(&name) || HOSTED_VERBS.contains(&container) => {
                Some(Err(codes::not_upstream(&call.command.upper_name.replace('|', " "))))
            }
            _ => None,
        }
    }

    /// SELECT of a database that no client has been in: the master may have none of that number,
    /// or its user may not select. `None` where it can be answered here.
    fn select_upstream(
        &mut self,
        call: &Call<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Option<Outcome> {
        let db = call.request.get(1).and_then(parse_i64)?.try_into().ok()?;
        let is_known = self.server.upstream.as_ref()?.has_selected(db);
        if call.request.len() != 2 || DATABASES <= db || is_known {
            return None;
        }
        // Where many ask at once the others are not held up: what they send meanwhile is an error
        // if it cannot be selected.
        let place = self.server.forwarding.enter_private(SELECTS_MAX)?;
        self.selects_forwarded = vec![(0, db)];
        // Who shares a connection with others must know which database it is in.
        let mut one = self.nothing_yet(context);
        add_request(&mut one, call.request);
        one.place = Some(place);
        Some(leased(one, call.request, Leased::Once))
    }

    /// This request over a connection of the client's own.
    fn private(&self, call: &Call<'_>, context: &BatchContext<'_, '_>, how: Leased) -> Outcome {
        let mut one = self.nothing_yet(context);
        add_request(&mut one, call.request);
        leased(one, call.request, how)
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
        if let Some(text) = subscriptions.refusal(kind, names()) {
            return Some(Err(Fault::Message(text)));
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
        let replicas = view.count().saturating_sub(1);
        let count = |acks: Acks| match acks {
            Acks::None | Acks::Fsync => 0,
            Acks::Count(count) => count.into(),
            Acks::InSync => view.members.iter().filter(|it| it.state.may_be_fed()).count().max(1),
            Acks::All => replicas,
        };
        let route = self.settings.routes.get(route);
        let of_route = AskedAcks { acks: route.acks, timeout: route.acks_timeout };
        let asked = self.session.acks.into_iter().chain([of_route]);
        let asked = asked.map(|it| RunAcks { replicas: count(it.acks), timeout: it.timeout });
        asked.max_by_key(|it| it.replicas).filter(|it| it.replicas != 0)
    }

    /// A request that was under way while a failover cut off what this session had written has been
    /// told so: it is told once.
    #[cold]
    pub fn note_told_loss(&mut self, reply: &Result<Vec<u8>, String>) {
        if reply.as_ref().is_ok_and(|it| it.starts_with(b"-LOSTWRITE ")) {
            self.session.lost = None;
        }
    }

    /// What was gathered, as a job, and the request that stands for all of it.
    pub fn upstream_job(&self, gathered: Gathered, now: MonoUs) -> (Job, OwnedRequest) {
        let Gathered { forwarded, first, upstream, scan, script, is_gated } = gathered;
        let Some(GatheredFor { aim, kind, acks, .. }) = upstream else {
            return (Job::Forward(Box::new(forwarded)), first);
        };
        let Forwarded { worker, db, selects, protocol, bytes, replies, .. } = forwarded;
        let settings = self.settings.upstream.as_ref();
        let unsent_until = now.plus(settings.map_or(Duration::ZERO, |it| it.buffer_for));
        let floor = self.session.floor.filter(|_| self.session.last_write != Offset::ZERO);
        let gate = self.settings.set.gate().filter(|_| is_gated);
        let run = Run {
            gate,
            db,
            selects,
            protocol,
            bytes,
            replies,
            kind,
            unsent_until,
            acks,
            floor,
            scan,
            script,
            is_hedge: false,
            is_check: false,
        };
        (Job::Upstream(Box::new(AimedRun { run, aim, worker })), first)
    }
}

/// Clients with connections of their own beyond which no more ask whether a database is there.
const SELECTS_MAX: usize = PRIVATE_MAX / 4;

/// How long a SCAN that goes on at a replica waits for that to have what it needs.
const SCAN_WAIT: Duration = Duration::from_secs(1);

/// The place of a SCAN's cursor among its words, and the cursor, if it has one already.
fn cursor_of(command: &Command, request: Request<'_>) -> Option<(usize, Option<ScanCursor>)> {
    let place = match command.name.as_str() {
        "scan" => 1,
        "hscan" | "sscan" | "zscan" => 2,
        _ => return None,
    };
    Some((place, ScanCursor::read(request.get(place)?)))
}

fn planned(ask: &ReadRequirements<'_>, view: &UpstreamView, allowed: Option<Allowed>) -> Plan {
    match allowed {
        None => plan(ask, view),
        Some(allowed) => plan(ask, &Among { members: view, allowed }),
    }
}
