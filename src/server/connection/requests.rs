//! A request's way through the connection: it is looked up, passes the refusals, and goes to its
//! handler. One screen.

use super::batch::{BatchContext, NotNow};
use super::call::Call;
use super::caller::Caller;
use super::forward::is_of_master;
use super::monitor::CalledBy;
use super::publish::answers_with_pushes;
use super::read::ReadRun;
use super::transaction::QueuedReads;
use crate::base::ids::{CommandId, MemberId, RouteId};
use crate::base::limits::{ADOPTED_BYTES_MIN, OPERATOR_REQUESTS, REPLY_FLUSH_BYTES};
use crate::base::planted::{Planted, is_planted};
use crate::base::time::MonoUs;
use crate::command::{Args, Fault, Flags, Group, codes};
use crate::commands::{
    Command, CommandContext, Handler, Outcome, ReadRetry, Resume, SessionVerb, table,
};
use crate::metrics::Label;
use crate::node::{Member, MemberFlags, Verb};
use crate::resp::{Decoder, Malformed, Mark, Request, Step};
use crate::script::Purpose;
use crate::session::{LastReply, Queue, ReplyMode, Tags};
use crate::state::LongPlace;
use std::sync::Arc;

/// Why a batch ended.
pub enum BatchEnd {
    /// The input is used up, but for what may be the beginning of a request.
    OutOfInput,
    /// Replies must leave, or others have their turn, before more is served.
    TurnOver,
    /// A request has come to more than an answer.
    With(Outcome),
}

/// Serves as many requests of `input` as there are, about `at_most`. Answers how many bytes were
/// taken, and why it ended. `retry` is what the first of them has settled before it waited.
pub fn serve(
    caller: &mut Caller,
    decoder: &mut Decoder,
    input: &[u8],
    retry: Option<Box<ReadRetry>>,
    at_most: u64,
    context: &mut BatchContext<'_, '_>,
) -> (usize, BatchEnd) {
    let (taken, ended) = serve_here(caller, decoder, input, retry, at_most, context);
    match caller.send_gathered(context.now) {
        None => (taken, ended),
        Some(outcome) => (taken, BatchEnd::With(outcome)),
    }
}

fn serve_here(
    caller: &mut Caller,
    decoder: &mut Decoder,
    input: &[u8],
    mut retry: Option<Box<ReadRetry>>,
    at_most: u64,
    context: &mut BatchContext<'_, '_>,
) -> (usize, BatchEnd) {
    let mut taken = 0;
    loop {
        let rest = &input[taken..];
        let consumed = match decoder.poll(rest) {
            Ok(Step::Ready { consumed }) => consumed,
            Ok(Step::More { .. }) => return (taken, BatchEnd::OutOfInput),
            Err(_) if caller.gathered.is_some() => {
                // It is found again once what is before it is answered.
                *decoder = Decoder::new(caller.limits());
                return (taken, BatchEnd::TurnOver);
            }
            Err(malformed) => {
                if malformed == Malformed::Tls {
                    caller.note_tls(context.now);
                }
                caller.answer_fault(&Fault::Message(format!("ERR {malformed}")));
                return (input.len(), BatchEnd::With(Outcome::Close));
            }
        };
        context.at = taken;
        let request = decoder.request(rest);
        if caller.gathered.is_some() && !caller.may_join(request) {
            return (taken, BatchEnd::TurnOver);
        }
        if !request.is_empty() {
            let joins = caller.gathered.is_some().then(|| caller.replies.mark());
            match caller.request(request, input, retry.take(), context) {
                Outcome::Answered => {}
                outcome if is_taken(&outcome) => {
                    caller.end_said(request);
                    return (taken + consumed, BatchEnd::With(outcome));
                }
                outcome => return (taken, BatchEnd::With(outcome)),
            }
            if caller.session.tracking.is_some() {
                caller.end_cached(request);
            }
            if let Some(mark) = joins {
                let reply = caller.replies.out.take(mark);
                caller.join_reply(reply);
            }
            if context.has_new_limits {
                context.has_new_limits = false;
                decoder.limit(caller.limits());
            }
        }
        taken += consumed;
        let is_full = REPLY_FLUSH_BYTES < caller.replies.out.bytes().len();
        // On a thread for long work the one that is long is served, and its neighbours are not.
        let weight = context.served + context.extra_weight;
        let is_enough = at_most <= weight || context.scratch.works_long;
        if is_full || is_enough {
            return (taken, BatchEnd::TurnOver);
        }
    }
}

/// Whether a request is done with: it is not served again.
fn is_taken(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Paused | Outcome::Busy(_) | Outcome::Long => false,
        Outcome::Block(block) => match block.then {
            Resume::Retry(_) | Resume::Again => false,
            Resume::Confirm { .. } => !is_planted(Planted::ServedTwice),
            _ => true,
        },
        _ => true,
    }
}

impl Caller {
    /// One request, from its name to its reply.
    #[inline]
    fn request(
        &mut self,
        request: Request<'_>,
        input: &[u8],
        retry: Option<Box<ReadRetry>>,
        context: &mut BatchContext<'_, '_>,
    ) -> Outcome {
        let command = match context.scratch.recent.find(request) {
            Ok(command) => command,
            Err(_) if is_http(request) => return self.turn_away(context.now),
            Err(fault) if self.is_for_upstream(request, &fault) => {
                self.note(None);
                return self.forward_unknown(request, context);
            }
            Err(fault) => {
                let misused = table().misused(&fault);
                self.note(misused);
                return self.refuse(misused, fault, context);
            }
        };
        self.note(Some(command));
        if let Some(outcome) = self.refused(command, request, context) {
            return outcome;
        }
        let mut call = Call { retry, ..Call::new(command, request, input) };
        if let Handler::Prefix = command.handler {
            return self.run_once(call, context);
        }
        self.run(&mut call, context)
    }

    /// A request that has passed the refusals.
    #[inline]
    pub fn run(&mut self, call: &mut Call<'_>, context: &mut BatchContext<'_, '_>) -> Outcome {
        let mark = self.replies.mark();
        let (command, request) = (call.command, call.request);
        let result = match command.handler {
            Handler::Read(verb) => self.read(call, ReadRun::Verb(verb), context),
            Handler::Write(_) | Handler::Blocking(_) if self.forwards() => {
                self.forward(call, context)
            }
            Handler::Write(verb) => self.write(call, Verb::Write(&command.spec, verb), context),
            Handler::Either { read, is_read, .. } if is_read(request) => {
                self.read(call, ReadRun::Verb(read), context)
            }
            Handler::ReadOrWait { read, is_read, .. } if is_read(request) => {
                self.read(call, ReadRun::Verb(read), context)
            }
            Handler::Either { .. } | Handler::ReadOrWait { .. } if self.forwards() => {
                self.cache_forwarded(command, request);
                self.forward(call, context)
            }
            Handler::Either { write, .. } => {
                self.write(call, Verb::Write(&command.spec, write), context)
            }
            Handler::Blocking(verb) | Handler::ReadOrWait { wait: verb, .. } => {
                self.write(call, Verb::Blocking(&command.spec, verb), context)
            }
            Handler::Session(verb) => self.session_verb(call, verb, context),
            Handler::Script(_) if self.has_upstream() => self.script_upstream(call, context),
            Handler::Script(run) => self.script(call, run, context),
            Handler::Prefix | Handler::Container => Err(Fault::WrongArity(command.name.clone())),
        };
        if context.has_slow() {
            if result.as_ref().is_ok_and(goes_on) {
                context.goes_on();
            }
            self.tell_slow(command, request, call.input, context);
        }
        let mut outcome = result.unwrap_or_else(|fault| {
            self.replies.out.cut(mark);
            self.fail(command, &fault, context);
            Outcome::Answered
        });
        if self.session.tags != Tags::Off {
            self.put_tag(mark);
        }
        if self.server.monitors.are_any() {
            self.show_request(command, request, &outcome);
        }
        if self.gathered.is_some()
            && self.session.replies != ReplyMode::On
            && let Outcome::Answered = outcome
        {
            // Its reply is silenced when it comes.
            outcome = self.send_gathered(context.now).unwrap_or(Outcome::Answered);
        }
        if let Outcome::Answered = outcome {
            context.served += 1;
            self.silence_reply(command, mark);
            return outcome;
        }
        if let Outcome::Busy(member) = outcome
            && let Some(fault) = self.busy_with_script(member, context)
        {
            return self.refuse(Some(command), fault, context);
        }
        if let Outcome::Long = outcome {
            self.long_place = self.enter_long_queue(context);
            if self.long_place.is_none() {
                return self.refuse(Some(command), Fault::LongQueue, context);
            }
        }
        context.served += u64::from(is_taken(&outcome));
        self.complete(&mut outcome, call, mark);
        outcome
    }

    /// Shows monitors a request, once it is done with. A script is shown before what it calls.
    #[cold]
    fn show_request(&self, command: &Command, request: Request<'_>, outcome: &Outcome) {
        if is_taken(outcome) && !matches!(command.handler, Handler::Script(_)) {
            self.show(command, request, CalledBy::Client);
        }
    }

    /// A request that has come to more than an answer. To a wait is added what its handler does not
    /// know: the reply that a write owes until it is confirmed, and the route of WAIT.
    #[cold]
    fn complete(&mut self, outcome: &mut Outcome, call: &Call<'_>, mark: Mark) {
        let block = match outcome {
            Outcome::Block(block) => block,
            Outcome::Close => return self.silence(mark),
            _ => return,
        };
        match &mut block.then {
            Resume::Confirm { owed, .. } => *owed = self.replies.out.take(mark),
            Resume::CountAcks(_) => {
                block.route = self.origin(None).route(call.command, call.request);
            }
            _ => {}
        }
    }

    /// Why a request does not wait for this member: a script has kept the master busy for longer
    /// than anybody is to wait.
    #[cold]
    fn busy_with_script(&self, member: MemberId, context: &BatchContext<'_, '_>) -> Option<Fault> {
        let is_meant = context.set.refuses_at_master() && member == context.set.master();
        let purpose = self.server.scripting.busy().filter(|_| is_meant)?;
        Some(Fault::Busy(purpose == Purpose::Functions))
    }

    /// A place among those who wait for a thread for long work. Whoever waits for another master is
    /// never refused: a failover costs no error.
    fn enter_long_queue(&self, context: &BatchContext<'_, '_>) -> Option<LongPlace> {
        let (queue, set) = (&self.server.long_queue, context.set);
        if set.member(set.master()).is(MemberFlags::QUARANTINED) {
            return Some(queue.enter_anyway());
        }
        queue.enter(context.now)
    }

    /// A request that never reached its handler.
    #[cold]
    pub fn refuse(
        &mut self,
        command: Option<&Command>,
        fault: Fault,
        context: &mut BatchContext<'_, '_>,
    ) -> Outcome {
        if let Some(command) = command {
            context.scratch.metrics.rejected(command.id);
        }
        if let Some(queue) = &mut self.session.queue {
            queue.is_poisoned = true;
        }
        let fault = match command {
            Some(command) if command.spec.name == "EXEC" => self.abort(&fault, context),
            _ => fault,
        };
        let mark = self.replies.mark();
        self.session.last = LastReply::OWN;
        self.answer_fault(&fault);
        self.silence(mark);
        Outcome::Answered
    }

    /// An EXEC that is refused ends the transaction too.
    fn abort(&mut self, fault: &Fault, context: &mut BatchContext<'_, '_>) -> Fault {
        self.session.queue = None;
        context.locks.release();
        self.unwatch_all();
        codes::transaction_discarded(fault.to_string().trim_start_matches("ERR "))
    }

    /// Answers a request whose handler failed.
    pub fn fail(&mut self, command: &Command, fault: &Fault, context: &mut BatchContext<'_, '_>) {
        context.scratch.metrics.failed(command.id);
        self.answer_fault(fault);
    }

    /// Writes a fault as the reply.
    pub fn answer_fault(&mut self, fault: &Fault) {
        let text = fault.text();
        self.server.counters.error(&text);
        self.replies.out.error(&text);
    }

    /// CLIENT REPLY: what was written since `mark` may have to go.
    #[inline]
    pub fn silence(&mut self, mark: Mark) {
        if self.session.replies != ReplyMode::On {
            self.silence_now(mark);
        }
    }

    /// As [`Caller::silence`], for the reply of this command, which may be pushes.
    #[inline]
    fn silence_reply(&mut self, command: &Command, mark: Mark) {
        if self.session.replies != ReplyMode::On {
            let mark = if answers_with_pushes(command) { self.replies.mark() } else { mark };
            self.silence_now(mark);
        }
    }

    #[cold]
    fn silence_now(&mut self, mark: Mark) {
        match self.session.replies {
            ReplyMode::On => {}
            ReplyMode::Off => self.replies.out.cut(mark),
            ReplyMode::SkipNext => self.session.replies = ReplyMode::SkipThis,
            ReplyMode::SkipThis => {
                self.replies.out.cut(mark);
                self.session.replies = ReplyMode::On;
            }
        }
    }

    /// A web page has made its reader's browser send commands here: none of them is to run.
    #[cold]
    fn turn_away(&self, now: MonoUs) -> Outcome {
        if let Some(count) = self.server.log_limits.http_refused.note(now) {
            log::warn!("event=http-refused {} count={count}", self.client.logged());
        }
        Outcome::Close
    }

    /// The client speaks TLS where none is spoken.
    #[cold]
    fn note_tls(&self, now: MonoUs) {
        if let Some(count) = self.server.log_limits.tls_refused.note(now) {
            let (id, peer) = (self.client.id, &self.client.peer.address);
            log::warn!("event=tls-on-plain-port client={id} peer={peer} count={count}");
        }
    }

    /// Notes what the client is at, for the others: nothing that has a name, behind an unknown one.
    pub fn note(&self, command: Option<&Command>) {
        use std::sync::atomic::Ordering::Relaxed;
        let id = command.map_or(CommandId::NONE, |it| it.id);
        self.client.command.store(id.0, Relaxed);
    }

    fn session_verb(
        &mut self,
        call: &mut Call<'_>,
        verb: SessionVerb,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let command = call.command;
        context.locks.release();
        if let Some(member) = in_the_way(command, context) {
            return Ok(Outcome::Busy(member));
        }
        let master = context.set.member(context.set.master());
        let is_panic = command.spec.name == "DEBUG"
            && call.request.get(1).is_some_and(|it| it.eq_ignore_ascii_case(b"panic"));
        // An order may end with another master as well.
        let is_order = command.name == "proxy|node";
        let is_at_master = command.spec.name == "WATCH" || is_panic || is_order;
        if is_at_master && master.is(MemberFlags::QUARANTINED) {
            // Another becomes the master first, if there is one.
            if let Err(not_now @ (NotNow::Long | NotNow::Busy(_))) = context.master() {
                return not_now.outcome();
            }
            context.locks.release();
        }
        if self.forwards()
            && let Some(outcome) = self.forward_verb(call, context)
        {
            return outcome;
        }
        let was_known = self.session.is_known;
        let works_long = context.scratch.works_long;
        let outcome = self.run_session_verb(command, verb, call.request, works_long, context);
        if let Ok(Outcome::Long) = outcome {
            return outcome;
        }
        context.has_new_limits |= was_known != self.session.is_known;
        if command.spec.flags.contains(Flags::ADMIN) {
            // It may be held back by its own word, and be slow by it.
            self.refresh(context.now);
            context.has_new_limits = true;
            context.extra_weight += OPERATOR_REQUESTS;
            context.stopwatch.measure(&self.settings.server);
        }
        context.count(Label::new(RouteId::NONE, MemberId::NONE, command.id), command);
        match outcome? {
            Outcome::Execute(queue) if self.forwards() && is_of_master(&queue) => {
                self.forward_transaction(&queue, call, context)
            }
            Outcome::Publish(_) if self.forwards() => self.forward_message(call, context),
            Outcome::Execute(queue) => match self.route_of_reads(&queue) {
                Some(route) => self.execute_reads(QueuedReads { queue, route }, call, context),
                None => self.execute_at_master(queue, call, context),
            },
            Outcome::Publish(kind) => match self.publish(kind, call.request, context) {
                Ok(()) => Ok(Outcome::Answered),
                Err(not_now) => not_now.outcome(),
            },
            outcome => Ok(outcome),
        }
    }

    /// EXEC, once the master is locked.
    fn execute_at_master(
        &mut self,
        queue: Box<Queue>,
        call: &mut Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        match self.lock_master_for(&queue, context) {
            Ok(()) => {
                let outcome = self.execute(&queue, call, context);
                if ADOPTED_BYTES_MIN <= queue.bytes {
                    context.scratch.spent.push(queue);
                }
                outcome
            }
            Err(NotNow::Fault(fault)) => {
                // The set follows a master since the queue has passed the refusals.
                Err(self.abort(&fault, context))
            }
            Err(not_now) => {
                self.session.queue = Some(*queue);
                not_now.outcome()
            }
        }
    }

    /// Lets a session verb act.
    pub fn run_session_verb(
        &mut self,
        command: &Command,
        verb: SessionVerb,
        request: Request<'_>,
        works_long: bool,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        context.begin_command(command);
        if !matches!(command.spec.group, Group::Connection | Group::Pubsub) {
            context.end_run();
            self.server.metrics.flush(context.scratch.worker, &mut context.scratch.metrics);
        }
        let args = Args::new(request, command.words, self.session.db, &context.scratch.env);
        let mut verb_context = CommandContext {
            table: table(),
            server: &self.server,
            session: &mut self.session,
            client: &self.client,
            listener: &self.listener,
            listener_level: self.listener_level,
            args,
            reply: &mut self.replies.out,
            now: context.now,
            clock: context.clock,
            works_long,
        };
        verb_context.session.last.is_told = false;
        let outcome = verb(&mut verb_context);
        if command.spec.flags.contains(Flags::PUBSUB) {
            self.check_new_subscriptions();
        }
        if !self.session.last.is_told {
            self.session.last = LastReply::OWN;
        }
        outcome
    }
}

/// Who is held for long, if a session verb would have to wait for that member's lock.
#[inline]
fn in_the_way(command: &Command, context: &BatchContext<'_, '_>) -> Option<MemberId> {
    let is_busy = context.member_list.iter().any(|it| it.is_long_held());
    if !is_busy || context.scratch.works_long { None } else { whose_lock(command, context) }
}

#[cold]
fn whose_lock(command: &Command, context: &BatchContext<'_, '_>) -> Option<MemberId> {
    let locks = |flag| command.spec.flags.contains(flag);
    let changes_members = locks(Flags::CHANGES_MEMBERS);
    let locks_members = locks(Flags::LOCKS_MEMBERS);
    let locks_master = locks_members || locks(Flags::LOCKS_MASTER);
    let is_in_the_way = |it: &&Arc<Member>| {
        let is_master = it.id == context.set.master();
        (locks_members && it.is_long_written())
            || (changes_members && it.is_long_held())
            || (is_master && locks_master && it.is_long_held())
    };
    context.member_list.iter().find(is_in_the_way).map(|it| it.id)
}

/// Whether the time of a command is not over when its handler returns: it works on.
fn goes_on(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Apart(..) => true,
        Outcome::Block(block) => matches!(block.then, Resume::AnswerOk(_)),
        _ => false,
    }
}

/// Whether the request is a line of an HTTP request that may carry others in its body.
fn is_http(request: Request<'_>) -> bool {
    let name = request.get(0).unwrap_or_default();
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}
