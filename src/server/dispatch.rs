//! The corridor: a request is looked up, passes the gates, and goes to its handler. One screen.

use super::desk::Desk;
use super::parked::Parked;
use super::timing::Lap;
use super::transaction;
use super::visitor::{Held, Shift, Stop, Visitor};
use crate::admin::{After, Command, Handler, Turn, table};
use crate::base::limits::REPLY_FLUSH_BYTES;
use crate::command::{Args, Class, Fault, Flags, Group};
use crate::metrics::batch::Batch;
use crate::metrics::{Label, NONE};
use crate::resp::{Decoder, OwnedRequest, Request, Step};
use crate::runtime::{clock, tasks};
use crate::session::{Replies, Tags};

/// Serves as many requests of `input` as there are. Answers how many bytes were taken, and why it
/// ended early if it did. No lock is held afterwards.
pub fn serve(
    visitor: &mut Visitor,
    decoder: &mut Decoder,
    input: &[u8],
    desk: &mut Desk,
) -> (usize, Option<Stop>) {
    visitor.refresh();
    let (house, roster) = (visitor.house.clone(), visitor.roster.clone());
    let limits = visitor.limits();
    decoder.limit(limits);
    desk.world.now.set(clock::wall_now());
    desk.world.bulk_bytes_max.set(limits.bulk_bytes_max);
    desk.world.touches.set(!visitor.session.no_touch);
    if desk.metrics.is_on() != visitor.settings.server.metrics {
        desk.metrics = if desk.metrics.is_on() { Batch::off() } else { Batch::default() };
    }
    let server = &visitor.settings.server;
    let (now, held) = (clock::mono_now(), Held::Nothing);
    let lap = Lap::begin(server.metrics, server.slowlog_slower_than_us);
    let (set, roster) = (&house.set, &roster);
    let mut shift = Shift { desk, set, roster, held, now, lap, input, at: 0, served: 0 };
    let (taken, stop) = requests(visitor, decoder, input, &mut shift);
    shift.held.release();
    shift.end(visitor);
    if shift.has_slow() {
        visitor.tell_slow_run(&mut shift);
    }
    (taken, stop)
}

fn requests(
    visitor: &mut Visitor,
    decoder: &mut Decoder,
    input: &[u8],
    shift: &mut Shift<'_, '_>,
) -> (usize, Option<Stop>) {
    let mut taken = 0;
    loop {
        let rest = &input[taken..];
        let consumed = match decoder.poll(rest) {
            Ok(Step::Ready { consumed }) => consumed,
            Ok(Step::More { .. }) => return (taken, None),
            Err(malformed) => {
                visitor.reply.error(&format!("ERR {malformed}"));
                return (input.len(), Some(Stop::Close));
            }
        };
        shift.at = taken;
        let request = decoder.request(rest);
        let stop = if request.is_empty() { None } else { visitor.request(request, shift) };
        match stop {
            Some(stop @ (Stop::Await(_) | Stop::Held)) => return (taken, Some(stop)),
            Some(stop) => return (taken + consumed, Some(stop)),
            None => taken += consumed,
        }
        if REPLY_FLUSH_BYTES < visitor.reply.bytes().len() {
            return (taken, Some(Stop::Flush));
        }
    }
}

impl Visitor {
    /// One request, from its name to its reply.
    #[inline]
    fn request(&mut self, request: Request<'_>, shift: &mut Shift<'_, '_>) -> Option<Stop> {
        let command = match table().find(request) {
            Ok(command) => command,
            Err(_) if is_http(request) => return Some(self.turn_away()),
            Err(fault) => return self.refuse(table().misused(&fault), fault, shift),
        };
        self.note(command);
        if let Some(fault) = self.refused(command) {
            return self.refuse(Some(command), fault, shift);
        }
        if self.is_held(|it| it.would_write(command, request)) {
            return Some(Stop::Held);
        }
        if self.session.queue.is_some() && !transaction::runs_at_once(command) {
            return self.enqueue(command, request, shift);
        }
        let (command, request) = match command.handler {
            Handler::Prefix => match self.begin_once(command, request, shift) {
                Ok(inner) => inner,
                Err(stop) => return stop,
            },
            _ => (command, request),
        };
        shift.served += 1;
        let stop = self.run(command, request, shift);
        if self.session.once.is_some() {
            self.end_once(shift);
        }
        stop
    }

    /// A request that has passed the gates.
    #[inline]
    fn run(
        &mut self,
        command: &Command,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Option<Stop> {
        let mark = self.reply.mark();
        let outcome = match command.handler {
            Handler::Read(verb) => self.read(command, verb, request, shift),
            Handler::Write(verb) => self.write(command, verb, request, shift),
            Handler::Either { read, is_read, .. } if is_read(request) => {
                self.read(command, read, request, shift)
            }
            Handler::Either { write, .. } => self.write(command, write, request, shift),
            Handler::Session(verb) => self.session_verb(command, verb, request, shift),
            Handler::Prefix | Handler::Container => Err(Fault::WrongArity(command.name.clone())),
        };
        if shift.has_slow() {
            if matches!(&outcome, Ok(Some(Stop::Park(parked))) if parked.is_work()) {
                shift.goes_on();
            }
            self.tell_slow(command, request, shift);
        }
        let stop = match outcome {
            Ok(stop) => stop,
            Err(fault) => {
                self.reply.cut(mark);
                self.fail(command, &fault, shift);
                None
            }
        };
        if self.session.tags != Tags::Off {
            self.put_tag(mark);
        }
        if self.session.replies != Replies::On
            && !matches!(stop, Some(Stop::Await(_) | Stop::Park(_) | Stop::Held))
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
        shift: &mut Shift<'_, '_>,
    ) -> Option<Stop> {
        if let Some(command) = command {
            shift.desk.metrics.rejected(command.id);
        }
        if let Some(queue) = &mut self.session.queue {
            queue.is_poisoned = true;
        }
        let fault = self.abort_if_exec(fault, shift);
        let mark = self.reply.mark();
        self.answer_fault(&fault);
        self.silence(mark);
        None
    }

    /// An EXEC with arguments ends the transaction too.
    fn abort_if_exec(&mut self, fault: Fault, shift: &mut Shift<'_, '_>) -> Fault {
        if !matches!(&fault, Fault::WrongArity(name) if name == "exec") {
            return fault;
        }
        self.session.queue = None;
        shift.held.release();
        self.unwatch_all();
        let text = fault.to_string();
        let text = text.trim_start_matches("ERR ");
        Fault::Told(format!("EXECABORT Transaction discarded because of: {text}"))
    }

    /// Answers a request whose handler failed.
    pub fn fail(&mut self, command: &Command, fault: &Fault, shift: &mut Shift<'_, '_>) {
        shift.desk.metrics.failed(command.id);
        self.answer_fault(fault);
    }

    /// Writes a fault as the reply.
    pub fn answer_fault(&mut self, fault: &Fault) {
        let text = fault.to_string();
        self.house.counters.error(&text);
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
        verb: crate::admin::SessionVerb,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Result<Option<Stop>, Fault> {
        if command.spec.class == Class::Write {
            self.pass_gate(shift)?;
        }
        shift.held.release();
        let after = self.take_turn(command, verb, request, shift);
        shift.count(Label::new(NONE, NONE, command.id), command);
        if command.spec.flags.has(Flags::ADMIN) {
            // It may be held back by its own word.
            self.refresh();
        }
        Ok(match after? {
            After::Answered => None,
            After::Park(park) => {
                let route = self.origin().route(command, request);
                Some(Stop::Park(Parked::of(park, route)))
            }
            After::Execute(queue) if self.holds_back(&queue, shift) => {
                self.session.queue = Some(queue);
                Some(Stop::Held)
            }
            After::Execute(queue) => self.execute(&queue, shift)?,
            After::Close => Some(Stop::Close),
            After::ShutDown => Some(Stop::ShutDown),
        })
    }

    /// Lets a session verb act.
    pub fn take_turn(
        &mut self,
        command: &Command,
        verb: crate::admin::SessionVerb,
        request: Request<'_>,
        shift: &mut Shift<'_, '_>,
    ) -> Result<After, Fault> {
        shift.begin(command);
        if command.spec.group != Group::Connection {
            shift.end_run();
            self.house.metrics.flush(tasks::worker(), &mut shift.desk.metrics);
        }
        let args = Args::new(request, command.words, self.session.db, &shift.desk.world);
        let mut turn = Turn {
            house: &self.house,
            session: &mut self.session,
            client: &self.client,
            listener: &self.listener,
            listener_level: self.listener_level,
            args,
            reply: &mut self.reply,
            now: shift.now,
        };
        verb(&mut turn)
    }
}

/// Whether the request is a line of an HTTP request that may carry others in its body.
fn is_http(request: Request<'_>) -> bool {
    let name = request.get(0).unwrap_or_default();
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}
