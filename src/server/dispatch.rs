//! The request path: a request is looked up, passes the gates, and goes to its handler. One screen.

use super::connection::{BatchContext, Connection, LockCache, Stop};
use super::parked::Parked;
use super::scratch::WorkerScratch;
use super::timing::Stopwatch;
use super::transaction;
use crate::base::limits::REPLY_FLUSH_BYTES;
use crate::command::{Args, Class, Fault, Flags, Group};
use crate::commands::{Command, CommandContext, Handler, Outcome, table};
use crate::metrics::batch::Batch;
use crate::metrics::{Label, NONE};
use crate::resp::{Decoder, OwnedRequest, Request, Step};
use crate::runtime::{clock, tasks};
use crate::session::{Replies, Tags};

/// Serves as many requests of `input` as there are. Answers how many bytes were taken, and why it
/// ended early if it did. No lock is held afterwards.
pub fn serve(
    connection: &mut Connection,
    decoder: &mut Decoder,
    input: &[u8],
    scratch: &mut WorkerScratch,
) -> (usize, Option<Stop>) {
    connection.refresh();
    let (server, member_list) = (connection.server.clone(), connection.member_list.clone());
    let limits = connection.limits();
    decoder.limit(limits);
    scratch.env.now.set(clock::wall_now());
    scratch.env.bulk_bytes_max.set(limits.bulk_bytes_max);
    scratch.env.touches.set(!connection.session.no_touch);
    if scratch.metrics.is_on() != connection.settings.server.metrics {
        scratch.metrics = if scratch.metrics.is_on() { Batch::off() } else { Batch::default() };
    }
    let settings = &connection.settings.server;
    let (now, locks) = (clock::mono_now(), LockCache::Nothing);
    let stopwatch = Stopwatch::begin(settings.metrics, settings.slowlog_slower_than_us);
    let (set, member_list) = (&server.set, &member_list);
    let mut context =
        BatchContext { scratch, set, member_list, locks, now, stopwatch, input, at: 0, served: 0 };
    let (taken, stop) = requests(connection, decoder, input, &mut context);
    context.locks.release();
    context.end(connection);
    if context.has_slow() {
        connection.tell_slow_run(&mut context);
    }
    (taken, stop)
}

fn requests(
    connection: &mut Connection,
    decoder: &mut Decoder,
    input: &[u8],
    context: &mut BatchContext<'_, '_>,
) -> (usize, Option<Stop>) {
    let mut taken = 0;
    loop {
        let rest = &input[taken..];
        let consumed = match decoder.poll(rest) {
            Ok(Step::Ready { consumed }) => consumed,
            Ok(Step::More { .. }) => return (taken, None),
            Err(malformed) => {
                connection.reply.error(&format!("ERR {malformed}"));
                return (input.len(), Some(Stop::Close));
            }
        };
        context.at = taken;
        let request = decoder.request(rest);
        let stop = if request.is_empty() { None } else { connection.request(request, context) };
        match stop {
            Some(stop @ (Stop::Await(_) | Stop::LockCache)) => return (taken, Some(stop)),
            Some(stop) => return (taken + consumed, Some(stop)),
            None => taken += consumed,
        }
        if REPLY_FLUSH_BYTES < connection.reply.bytes().len() {
            return (taken, Some(Stop::Flush));
        }
    }
}

impl Connection {
    /// One request, from its name to its reply.
    #[inline]
    fn request(
        &mut self,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Stop> {
        let command = match table().find(request) {
            Ok(command) => command,
            Err(_) if is_http(request) => return Some(self.turn_away()),
            Err(fault) => return self.refuse(table().misused(&fault), fault, context),
        };
        self.note(command);
        if let Some(fault) = self.refused(command) {
            return self.refuse(Some(command), fault, context);
        }
        if self.is_held(|it| it.would_write(command, request)) {
            return Some(Stop::LockCache);
        }
        if self.session.queue.is_some() && !transaction::runs_at_once(command) {
            return self.enqueue(command, request, context);
        }
        let (command, request) = match command.handler {
            Handler::Prefix => match self.begin_once(command, request, context) {
                Ok(inner) => inner,
                Err(stop) => return stop,
            },
            _ => (command, request),
        };
        context.served += 1;
        let stop = self.run(command, request, context);
        if self.session.once.is_some() {
            self.end_once(context);
        }
        stop
    }

    /// A request that has passed the gates.
    #[inline]
    fn run(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Stop> {
        let mark = self.reply.mark();
        let outcome = match command.handler {
            Handler::Read(verb) => self.read(command, verb, request, context),
            Handler::Write(verb) => self.write(command, verb, request, context),
            Handler::Either { read, is_read, .. } if is_read(request) => {
                self.read(command, read, request, context)
            }
            Handler::Either { write, .. } => self.write(command, write, request, context),
            Handler::Session(verb) => self.session_verb(command, verb, request, context),
            Handler::Prefix | Handler::Container => Err(Fault::WrongArity(command.name.clone())),
        };
        if context.has_slow() {
            if matches!(&outcome, Ok(Some(Stop::Park(parked))) if parked.is_work()) {
                context.goes_on();
            }
            self.tell_slow(command, request, context);
        }
        let stop = match outcome {
            Ok(stop) => stop,
            Err(fault) => {
                self.reply.cut(mark);
                self.fail(command, &fault, context);
                None
            }
        };
        if self.session.tags != Tags::Off {
            self.put_tag(mark);
        }
        if self.session.replies != Replies::On
            && !matches!(stop, Some(Stop::Await(_) | Stop::Park(_) | Stop::LockCache))
        {
            self.silence(mark);
        }
        match &stop {
            Some(Stop::Park(Parked::Acks(_))) => self.owed = self.reply.take(mark),
            Some(Stop::Park(parked)) if parked.is_work() => {
                self.parked_request = OwnedRequest::of(request.iter());
            }
            _ => {}
        }
        stop
    }

    /// Checked top to bottom; the first refusal wins.
    fn refused(&mut self, command: &Command) -> Option<Fault> {
        let flags = command.spec.flags;
        if !self.session.is_known && !flags.has(Flags::NO_AUTH) {
            return Some(Fault::NoAuth);
        }
        // A transaction ends at its EXEC, not before: the loss is told behind it.
        if self.session.queue.is_none() { self.take_lost() } else { None }
    }

    /// A request that never reached its handler.
    pub fn refuse(
        &mut self,
        command: Option<&Command>,
        fault: Fault,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Stop> {
        if let Some(command) = command {
            context.scratch.metrics.rejected(command.id);
        }
        if let Some(queue) = &mut self.session.queue {
            queue.is_poisoned = true;
        }
        let fault = self.abort_if_exec(fault, context);
        let mark = self.reply.mark();
        self.answer_fault(&fault);
        self.silence(mark);
        None
    }

    /// An EXEC with arguments ends the transaction too.
    fn abort_if_exec(&mut self, fault: Fault, context: &mut BatchContext<'_, '_>) -> Fault {
        if !matches!(&fault, Fault::WrongArity(name) if name == "exec") {
            return fault;
        }
        self.session.queue = None;
        context.locks.release();
        self.unwatch_all();
        let text = fault.to_string();
        let text = text.trim_start_matches("ERR ");
        Fault::Message(format!("EXECABORT Transaction discarded because of: {text}"))
    }

    /// Answers a request whose handler failed.
    pub fn fail(&mut self, command: &Command, fault: &Fault, context: &mut BatchContext<'_, '_>) {
        context.scratch.metrics.failed(command.id);
        self.answer_fault(fault);
    }

    /// Writes a fault as the reply.
    pub fn answer_fault(&mut self, fault: &Fault) {
        let text = fault.to_string();
        self.server.counters.error(&text);
        self.reply.error(&text);
    }

    /// CLIENT REPLY: what was written since `mark` may have to go.
    pub fn silence(&mut self, mark: crate::resp::Mark) {
        match self.session.replies {
            Replies::On => {}
            Replies::Off => self.reply.cut(mark),
            Replies::SkipNext => self.session.replies = Replies::SkipThis,
            Replies::SkipThis => {
                self.reply.cut(mark);
                self.session.replies = Replies::On;
            }
        }
    }

    /// A web page has made its reader's browser send commands here: none of them is to run.
    #[cold]
    fn turn_away(&self) -> Stop {
        log::warn!("event=http-refused client={}", self.client.id);
        Stop::Close
    }

    /// Notes what the client is at, for the others.
    pub fn note(&self, command: &Command) {
        use std::sync::atomic::Ordering::Relaxed;
        self.client.command.store(command.id, Relaxed);
    }

    fn session_verb(
        &mut self,
        command: &Command,
        verb: crate::commands::SessionVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Stop>, Fault> {
        if command.spec.class == Class::Write {
            self.pass_gate(context)?;
        }
        context.locks.release();
        let after = self.run_session_verb(command, verb, request, context);
        context.count(Label::new(NONE, NONE, command.id), command);
        if command.spec.flags.has(Flags::ADMIN) {
            // It may be held back by its own word.
            self.refresh();
        }
        Ok(match after? {
            Outcome::Answered => None,
            Outcome::Park(park) => {
                let route = self.origin().route(command, request);
                Some(Stop::Park(Parked::of(park, route)))
            }
            Outcome::Execute(queue) if self.holds_back(&queue, context) => {
                self.session.queue = Some(queue);
                Some(Stop::LockCache)
            }
            Outcome::Execute(queue) => self.execute(&queue, context)?,
            Outcome::Close => Some(Stop::Close),
            Outcome::ShutDown => Some(Stop::ShutDown),
        })
    }

    /// Lets a session verb act.
    pub fn run_session_verb(
        &mut self,
        command: &Command,
        verb: crate::commands::SessionVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        context.begin(command);
        if command.spec.group != Group::ConnectionTask {
            context.end_run();
            self.server.metrics.flush(tasks::worker(), &mut context.scratch.metrics);
        }
        let args = Args::new(request, command.words, self.session.db, &context.scratch.env);
        let mut context = CommandContext {
            server: &self.server,
            session: &mut self.session,
            client: &self.client,
            listener: &self.listener,
            listener_level: self.listener_level,
            args,
            reply: &mut self.reply,
            now: context.now,
        };
        verb(&mut context)
    }
}

/// Whether the request is a line of an HTTP request that may carry others in its body.
fn is_http(request: Request<'_>) -> bool {
    let name = request.get(0).unwrap_or_default();
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}
