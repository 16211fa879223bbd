//! The way of requests in a set that follows a remote master: writes go there, and so do reads that
//! must be answered there.
//!
//! Writes that follow each other in one batch are gathered and sent together; whatever comes behind
//! them waits for their replies, which bring the floor that the next read needs.

use super::batch::BatchContext;
use super::call::Call;
use super::caller::Caller;
use super::gathered::{Gathered, GatheredFor};
use crate::base::ids::{MemberId, RouteId};
use crate::base::limits::DATABASES;
use crate::base::number::parse_i64;
use crate::base::position::{Offset, Position};
use crate::base::time::MonoUs;
use crate::command::{Class, Fault, Flags, Group, codes};
use crate::commands::{
    BlockOn, Command, Handler, Job, Leased, Outcome, ReadRetry, RemoteAsk, RemoteRead, Resume,
    table,
};
use crate::metrics::Label;
use crate::node::{Awaited, Condition, Writes};
use crate::resp::{ReplyScanner, Request, encode_command};
use crate::route::{Reason, StepsTaken, Unavailable};
use crate::session::{LastReply, Queue, ReplyMode, Tags};
use crate::state::Forwarded;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of writes that are gathered at most.
const GATHERED_BYTES_MAX: usize = 1 << 20;

impl Caller {
    /// Whether writes go to a remote master.
    #[inline]
    pub fn forwards(&self) -> bool {
        self.writes == Writes::Forwarded
    }

    /// It has seen the end of the stream that is here: of all there is, unless a remote master has
    /// more, of a history that has not come here yet.
    #[inline]
    pub fn saw_end(&mut self, end: Position) {
        let is_comparable = self.session.saw(end);
        if self.forwards() {
            return;
        }
        if !is_comparable {
            self.session.saw_all(end);
        }
        if let Some(subscriptions) = &mut self.session.subscriptions {
            subscriptions.saw_end(end, &self.history);
        }
    }

    /// Whether the next request joins the writes that were gathered.
    #[cold]
    pub fn may_join(&self, request: Request<'_>) -> bool {
        // A reply that is silenced is known to be so when it comes, and stands alone.
        if self.session.replies != ReplyMode::On {
            return false;
        }
        if self.server.upstream.is_some() {
            return self.may_join_upstream(request);
        }
        let is_write = |it: &Command| match it.handler {
            Handler::Write(_) => true,
            Handler::Either { is_read, .. } => !is_read(request),
            _ => false,
        };
        let has_room =
            self.gathered.as_ref().is_none_or(|it| it.forwarded.bytes.len() < GATHERED_BYTES_MAX);
        // A script that the master does not know is sent again: what comes behind it waits.
        let is_script = self.gathered.as_ref().is_some_and(|it| it.forwarded.script.is_some());
        has_room
            && !is_script
            && self.forwards()
            && self.session.queue.is_none()
            && self.session.tags == Tags::Off
            && table().locate(request).is_ok_and(is_write)
    }

    /// Gathers a write. What waits for keys has a connection of its own.
    #[cold]
    pub fn forward(
        &mut self,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        self.may_run_elsewhere(call.command)?;
        context.begin_command(call.command);
        let route = self.origin(None).route(call.command, call.request);
        context.count(Label::new(route, MemberId::NONE, call.command.id), call.command);
        self.session.last = LastReply::of_remote_master(route, Reason::Write);
        let mut one = self.nothing_yet(context);
        add_request(&mut one, call.request);
        if call.command.blocking_verb(call.request).is_some() {
            return Ok(leased(one, call.request, Leased::Once));
        }
        one.script = self.script_text(call.command, call.request);
        self.gather_write(one, call.request, route);
        Ok(Outcome::Answered)
    }

    /// Adds a write to those that were gathered.
    pub fn gather_write(&mut self, mut one: Forwarded, request: Request<'_>, route: RouteId) {
        match &mut self.gathered {
            Some(gathered) => {
                if gathered.only_reads() {
                    gathered.first = request.to_owned();
                }
                gathered.forwarded.bytes.append(&mut one.bytes);
                gathered.forwarded.replies.append(&mut one.replies);
            }
            None => {
                let upstream = self.server.upstream.is_some();
                let upstream =
                    upstream.then(|| GatheredFor::writes(route, self.upstream_acks(route)));
                let first = request.to_owned();
                let gathered = Gathered::new(one, first, upstream);
                self.gathered = Some(Box::new(gathered));
            }
        }
        if let Some(gathered) = &mut self.gathered {
            gathered.is_gated = true;
            gathered.note_write();
        }
    }

    /// Nothing that is to be sent, for the database and protocol of this client.
    pub fn nothing_yet(&self, context: &BatchContext<'_, '_>) -> Forwarded {
        let mut forwarded = Forwarded::new(self.session.db, self.replies.out.protocol());
        forwarded.worker = context.scratch.worker;
        forwarded
    }

    /// A request behind gathered writes was refused here: its reply has its place among theirs.
    #[cold]
    pub fn join_reply(&mut self, reply: Vec<u8>) {
        if let Some(gathered) = self.gathered.as_mut().filter(|_| !reply.is_empty()) {
            gathered.forwarded.replies.push_back(Awaited::Known(reply));
        }
    }

    /// These requests, of which the last writes, done by the master.
    fn write_job(&self, forwarded: Forwarded, request: Request<'_>, now: MonoUs) -> Outcome {
        let first = request.to_owned();
        let acks = self.upstream_acks(RouteId::DEFAULT);
        let upstream = self.server.upstream.is_some();
        let upstream = upstream.then(|| GatheredFor::writes(RouteId::DEFAULT, acks));
        let mut gathered = Gathered::new(forwarded, first, upstream);
        gathered.note_write();
        let (job, first) = self.upstream_job(gathered, now);
        Outcome::apart(job, first)
    }

    /// Sends what was gathered.
    #[cold]
    pub fn send_gathered(&mut self, now: MonoUs) -> Option<Outcome> {
        let gathered = *self.gathered.take()?;
        let (job, first) = self.upstream_job(gathered, now);
        Some(Outcome::apart(job, first))
    }

    /// One request that is answered by the master, with all that it has been told before.
    pub fn forward_one(
        &self,
        call: &Call<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        self.may_run_elsewhere(call.command)?;
        let mut one = self.nothing_yet(context);
        add_request(&mut one, call.request);
        one.script = self.script_text(call.command, call.request);
        Ok(self.write_job(one, call.request, context.now))
    }

    /// The text of the script that this names by its SHA-1, if it is known here: the master may not
    /// know it.
    fn script_text(&self, command: &Command, request: Request<'_>) -> Option<Arc<[u8]>> {
        if !matches!(command.name.as_str(), "evalsha" | "evalsha_ro") {
            return None;
        }
        let sha = request.get(1)?;
        match &self.server.upstream {
            Some(upstream) => upstream.scripts.find(sha),
            None => self.server.scripting.scripts.read().find(sha).map(|it| it.1.text.clone()),
        }
    }

    /// A read of a set that follows a master, when it is not for a member here: it goes to the
    /// master, or waits for the stream. `None` when members here may serve it.
    #[cold]
    pub fn read_following(
        &mut self,
        call: &Call<'_>,
        route: RouteId,
        retry: Option<&ReadRetry>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Outcome>, Fault> {
        let origin = self.origin(call.once.as_deref());
        let mut ask = origin.ask(Class::Read, route, context.set, &self.history, context.now, None);
        if call.once.as_ref().is_some_and(|it| it.at.is_some()) {
            return Ok(None);
        }
        ask.of_member = call.command.spec.flags.contains(Flags::AT_MASTER);
        let remote_ask = RemoteAsk {
            read: &ask,
            watches: self.session.watches_remote,
            has_waited: retry.is_some_and(|it| it.ends.is_some()),
        };
        match remote_ask.weigh(context.set, context.now) {
            RemoteRead::Here => Ok(None),
            RemoteRead::AtMaster(because) => {
                self.session.last = LastReply {
                    steps: retry.map_or(StepsTaken::NONE, |it| it.steps),
                    is_of_once: call.once.is_some(),
                    ..LastReply::of_remote_master(route, because)
                };
                self.cache_forwarded(call.command, call.request);
                self.forward_one(call, context).map(Some)
            }
            RemoteRead::Waits(needs, at_most) => {
                Ok(Some(self.wait_for_stream(needs, at_most, route, context)))
            }
            RemoteRead::Lagged(needs) => {
                let behind_bytes = needs.since(context.set.head());
                let why = Unavailable::Lagged { behind_bytes, moving_bytes: None };
                Err(why.fault(|it| context.set.eta_ms(it)))
            }
        }
    }

    /// Waits until the stream has come as far as `needs`.
    fn wait_for_stream(
        &self,
        needs: Offset,
        at_most: Duration,
        route: RouteId,
        context: &BatchContext<'_, '_>,
    ) -> Outcome {
        let retry = ReadRetry {
            ends: Some(context.now.plus(at_most)),
            ..self.retry_from(route, 0, StepsTaken::NONE, context.set.head())
        };
        let on = BlockOn::Offset(Condition::Streamed, needs);
        Outcome::block(on, Some(at_most), Resume::Retry(Box::new(retry)))
    }

    /// Session verbs that belong to the master in such a set. `None` for the others.
    #[cold]
    pub fn forward_verb(
        &mut self,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Result<Outcome, Fault>> {
        let (name, request) = (call.command.name.as_str(), call.request);
        if let Some(outcome) = self.upstream_verb(call, context) {
            return Some(outcome);
        }
        let is_queueing = self.session.queue.is_some();
        match name {
            "watch" if !is_queueing => {
                let how = match std::mem::replace(&mut self.session.watches_remote, true) {
                    true => Leased::WatchMore,
                    false => Leased::Watch,
                };
                let mut one = self.nothing_yet(context);
                add_request(&mut one, request);
                Some(Ok(leased(one, request, how)))
            }
            // Without a transaction DISCARD is an error.
            "discard" if !is_queueing => None,
            "unwatch" | "discard" | "reset" => {
                self.end_remote_watches();
                None
            }
            "exec" if self.session.queue.as_ref().is_some_and(ends_here) => {
                self.end_remote_watches();
                None
            }
            _ => None,
        }
    }

    /// What is watched at the master is watched no more: the end of its connection is its end.
    pub fn end_remote_watches(&mut self) {
        if std::mem::take(&mut self.session.watches_remote) {
            drop(self.server.forwarding.take_lease(self.client.id));
        }
    }

    /// EXEC: the whole transaction goes to the master.
    #[cold]
    pub fn forward_transaction(
        &mut self,
        queue: &Queue,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let watches = std::mem::take(&mut self.session.watches_remote);
        if let Err(fault) = self.may_forward_queue(queue, context) {
            drop(self.server.forwarding.take_lease(self.client.id));
            return Err(fault);
        }
        self.session.last = LastReply::of_remote_master(RouteId::NONE, Reason::Transaction);
        let mut whole = self.nothing_yet(context);
        let texts: Vec<Arc<[u8]>> = queue
            .commands
            .iter()
            .filter_map(|(id, request)| self.script_text(table().get(*id), request.borrow()))
            .collect();
        for text in &texts {
            encode_command(&mut whole.bytes, [&b"SCRIPT"[..], b"LOAD", text].into_iter());
        }
        encode_command(&mut whole.bytes, [&b"MULTI"[..]].into_iter());
        let mut selects = Vec::new();
        for (at, (id, request)) in queue.commands.iter().enumerate() {
            let (command, request) = (table().get(*id), request.borrow());
            encode_command(&mut whole.bytes, request.iter());
            self.cache_forwarded(command, request);
            if command.name == "select" {
                let db = request.get(1).and_then(parse_i64).and_then(|it| it.try_into().ok());
                selects.push((at, db.unwrap_or(DATABASES)));
            }
        }
        encode_command(&mut whole.bytes, [&b"EXEC"[..]].into_iter());
        whole.replies.push_back(Awaited::Last(texts.len() + queue.commands.len() + 2));
        whole.selects = !selects.is_empty();
        self.selects_forwarded = selects;
        if watches {
            return Ok(leased(whole, call.request, Leased::Exec));
        }
        Ok(self.write_job(whole, call.request, context.now))
    }

    /// Whether the master may do all that is queued. Of a script nobody knows whether it writes.
    fn may_forward_queue(
        &mut self,
        queue: &Queue,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        self.check_rights_of_queue(queue, context)?;
        let commands = || queue.commands.iter().map(|it| table().get(it.0));
        let writes = |it: &Command| matches!(it.handler, Handler::Script(run) if !run.reads_only);
        if commands().any(writes) && !self.has_enough_replicas(context) {
            return Err(codes::transaction_discarded(Fault::NoReplicas.text()));
        }
        match commands().find(|it| !goes_along(it)) {
            Some(other) => Err(codes::transaction_discarded(format_args!(
                "{} cannot be forwarded to the master within a transaction",
                other.upper_name
            ))),
            None => Ok(()),
        }
    }

    /// The reply to what was forwarded has come: what the master has selected in it is selected
    /// here.
    #[inline]
    pub fn settle_db(&mut self, reply: &Result<Vec<u8>, String>) {
        if !self.selects_forwarded.is_empty() {
            self.settle_selected(reply);
        }
    }

    #[cold]
    fn settle_selected(&mut self, reply: &Result<Vec<u8>, String>) {
        let selects = std::mem::take(&mut self.selects_forwarded);
        let Ok(reply) = reply else { return };
        let replies = elements(reply);
        let is_done = |it: &&(usize, usize)| {
            it.1 < DATABASES && replies.get(it.0).is_some_and(|it| *it == b"+OK\r\n")
        };
        if let Some((_, db)) = selects.iter().rfind(is_done) {
            self.session.db = *db;
            if let Some(upstream) = &self.server.upstream {
                upstream.note_selected(*db);
            }
        }
    }

    /// PUBLISH: the message comes back by the stream, to those who have subscribed here too.
    #[cold]
    pub fn forward_message(
        &self,
        call: &Call<'_>,
        context: &BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        self.forward_one(call, context)
    }
}

/// The elements of an array, each with its end; a reply that is none is the only element.
fn elements(reply: &[u8]) -> Vec<&[u8]> {
    let is_array = reply.starts_with(b"*");
    let head = memchr::memchr(b'\n', reply).filter(|_| is_array).map_or(0, |it| it + 1);
    let (mut rest, mut all) = (&reply[head..], Vec::new());
    while let Ok(Some(len)) = ReplyScanner::default().poll(rest) {
        all.push(&rest[..len]);
        rest = &rest[len..];
    }
    all
}

/// Whether a transaction is the master's: it has more in it than what is said to the proxy itself,
/// as Sentinel does.
pub fn is_of_master(queue: &Queue) -> bool {
    queue.commands.is_empty() || queue.commands.iter().any(|it| goes_along(table().get(it.0)))
}

/// Whether the master never hears of this transaction: its EXEC is answered here.
fn ends_here(queue: &Queue) -> bool {
    queue.is_poisoned || !is_of_master(queue)
}

/// Whether a queued command may go to the master with its transaction.
fn goes_along(command: &Command) -> bool {
    match command.handler {
        Handler::Session(_) => {
            command.spec.group == Group::Pubsub && command.name.ends_with("publish")
                || matches!(command.name.as_str(), "select" | "ping" | "echo" | "wait" | "unwatch")
        }
        Handler::Prefix | Handler::Container => false,
        _ => true,
    }
}

/// Adds a request as it is sent.
pub fn add_request(forwarded: &mut Forwarded, request: Request<'_>) {
    match request.wire() {
        Some(bytes) => forwarded.bytes.extend_from_slice(bytes),
        None => encode_command(&mut forwarded.bytes, request.iter()),
    }
    forwarded.replies.push_back(Awaited::Last(1));
}

/// The client's own connection does these.
pub fn leased(forwarded: Forwarded, request: Request<'_>, how: Leased) -> Outcome {
    Outcome::apart(Job::Leased(Box::new(forwarded), how), request.to_owned())
}
