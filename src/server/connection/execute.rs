//! EXEC: the queued commands run as one, under one lock of the master, at one time.

use super::batch::BatchContext;
use super::call::Call;
use super::caller::Caller;
use super::transaction::has_write;
use crate::command::{Args, Class, Fault, Group};
use crate::commands::{Command, Handler, Outcome, SessionVerb, table};
use crate::engine::{ReadVerb, WriteVerb};
use crate::metrics::{Label, NONE};
use crate::node::{Gathered, MasterGuard, MemberFlag, PANICKED};
use crate::node::{has_stale_watch, unwatch};
use crate::resp::Request;
use crate::route::Reason;
use crate::session::{Queue, Tags};

/// A transaction at work.
#[derive(Default)]
struct Execution {
    /// Effects that are not in the log yet.
    gathered: Gathered,
    /// Routes of the writes that changed something.
    routes: Vec<u16>,
    /// Answers so far.
    answers: usize,
    /// What a session verb wants to happen afterwards.
    stop: Option<Outcome>,
}

/// Whether a queued request goes to the master's write lock.
pub fn is_write(command: &Command, request: Request<'_>) -> bool {
    match command.handler {
        Handler::Write(_) => true,
        Handler::Either { is_read, .. } => !is_read(request),
        Handler::Session(_) => command.spec.class == Class::Write,
        Handler::Read(_) | Handler::Prefix | Handler::Container => false,
    }
}

/// Session verbs that never look at a member, so that the lock may be held around them.
fn leaves_members_alone(command: &Command) -> bool {
    // CLIENT PAUSE waits for writes that are at work.
    let is_quiet =
        matches!(command.spec.group, Group::Connection | Group::Transactions | Group::Generic);
    is_quiet && command.name != "client|pause"
}

impl Caller {
    /// Runs what was queued, unless a watched key has changed.
    pub fn execute(
        &mut self,
        queue: &Queue,
        call: &mut Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        if let Err(fault) = self.pass_gate_with(queue, context) {
            self.unwatch_all();
            return Err(fault);
        }
        if !self.watches_hold(context)? {
            self.replies.out.null_array();
            return Ok(Outcome::Answered);
        }
        let mark = self.replies.mark();
        let mut execution = Execution::default();
        for (id, request) in &queue.commands {
            let command = table().get(*id);
            self.execute_one(command, request.borrow(), context, &mut execution)?;
        }
        self.commit(context, &mut execution);
        self.replies.out.close_array(mark, execution.answers);
        let because = if has_write(queue) { Reason::Write } else { Reason::Watching };
        if self.session.tags != Tags::Off {
            self.came_from(context.set.member(context.set.master()), because, call, context);
        }
        Ok(self.after_execution(execution).unwrap_or(Outcome::Answered))
    }

    /// As a write's gate, for a transaction that has one.
    fn pass_gate_with(&self, queue: &Queue, context: &BatchContext<'_, '_>) -> Result<(), Fault> {
        if !has_write(queue) {
            return Ok(());
        }
        self.pass_gate(context).map_err(|fault| {
            Fault::Message(format!("EXECABORT Transaction discarded because of: {fault}"))
        })
    }

    /// Locks the master and ends all watches; answers whether none of their keys has changed.
    fn watches_hold(&mut self, context: &mut BatchContext<'_, '_>) -> Result<bool, Fault> {
        let watches = std::mem::take(&mut self.session.watches);
        let (set, wall) = (context.set, context.scratch.env.now.get());
        let writing = context.locks.write(set, context.member_list);
        let is_down = writing.member().is(MemberFlag::Quarantined);
        let is_stale = has_stale_watch(set, writing, &watches, wall);
        unwatch(set, writing, watches);
        self.refresh(context.now);
        self.session.saw(self.position(set.head()));
        if is_down { Err(Fault::MasterDown) } else { Ok(!is_stale) }
    }

    /// One queued command and its answer. Fails only when the whole transaction does.
    fn execute_one(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution,
    ) -> Result<(), Fault> {
        let mark = self.replies.mark();
        let outcome = match command.handler {
            Handler::Read(verb) => self.read_within(command, verb, request, context),
            Handler::Either { read, is_read, .. } if is_read(request) => {
                self.read_within(command, read, request, context)
            }
            Handler::Write(verb) | Handler::Either { write: verb, .. } => {
                self.write_within(command, verb, request, context, execution)
            }
            Handler::Session(verb) => {
                self.session_verb_within(command, verb, request, context, execution)
            }
            Handler::Prefix | Handler::Container => Err(Fault::WrongArity(command.name.clone())),
        };
        if context.has_slow() {
            self.tell_slow(command, request, &[], context);
        }
        match outcome {
            Ok(()) => {}
            Err(PANICKED) => return Err(self.break_off(context, execution)),
            Err(fault) => {
                self.replies.out.cut(mark);
                self.fail(command, &fault, context);
            }
        }
        // CLIENT REPLY may leave one out.
        execution.answers += usize::from(!self.replies.out.since(mark).is_empty());
        Ok(())
    }

    fn read_within(
        &mut self,
        command: &Command,
        verb: ReadVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        context.begin_command(command);
        let route = self.origin(None).route(command, request);
        let writing = sound(context.locks.write(context.set, context.member_list))?;
        let master = writing.member().index as u16;
        let args = Args::new(request, command.words, self.session.db, &context.scratch.env);
        let outcome = writing.read(verb, args, &mut self.replies.out);
        context.count(Label::new(route, master, command.id), command);
        outcome
    }

    fn write_within(
        &mut self,
        command: &Command,
        verb: WriteVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution,
    ) -> Result<(), Fault> {
        context.begin_command(command);
        let route = self.origin(None).route(command, request);
        let writing = sound(context.locks.write(context.set, context.member_list))?;
        let master = writing.member().index as u16;
        let scratch = &mut *context.scratch;
        let args = Args::new(request, command.words, self.session.db, &scratch.env);
        let (spec, gathered) = (&command.spec, &mut execution.gathered);
        let outcome = writing.run_within(
            spec,
            verb,
            args,
            &mut scratch.effects,
            &mut self.replies.out,
            gathered,
        );
        let has_changed = !scratch.effects.is_empty();
        context.count(Label::new(route, master, command.id), command);
        if has_changed {
            self.note_routes(command, request, route, &mut execution.routes);
        }
        outcome
    }

    /// A session verb that may look at members finds them unlocked, and the log complete.
    fn session_verb_within(
        &mut self,
        command: &Command,
        verb: SessionVerb,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution,
    ) -> Result<(), Fault> {
        if !leaves_members_alone(command) {
            self.commit(context, execution);
            context.locks.release();
        }
        match self.run_session_verb(command, verb, request, context)? {
            Outcome::Answered => {}
            Outcome::Block(block) => self.answer_at_once(*block, context),
            Outcome::Close => execution.stop = Some(Outcome::Close),
            Outcome::ShutDown => execution.stop = Some(Outcome::ShutDown),
            Outcome::Execute(_) | Outcome::Paused | Outcome::Apart(..) => {
                unreachable!("EXEC, and what works apart, is never queued")
            }
        }
        context.count(Label::new(NONE, NONE, command.id), command);
        Ok(())
    }

    /// Appends what was gathered, as one transaction of the stream.
    fn commit(&mut self, context: &mut BatchContext<'_, '_>, execution: &mut Execution) {
        let has_changed = !execution.gathered.is_empty();
        if has_changed {
            let writing = context.locks.write(context.set, context.member_list);
            writing.append_all(&mut execution.gathered, context.now);
        }
        self.refresh(context.now);
        let end = self.position(context.set.head());
        match has_changed {
            true => self.session.wrote(end, context.now),
            false => self.session.saw(end),
        }
    }

    /// A verb panicked. What its member did before goes with the member; if there is none to take
    /// over, it stays, and the log must say so.
    fn break_off(
        &mut self,
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution,
    ) -> Fault {
        let writing = context.locks.write(context.set, context.member_list);
        if !writing.member().is(MemberFlag::Quarantined) {
            self.commit(context, execution);
            return PANICKED;
        }
        context.locks.release();
        context.set.replace_quarantined_master();
        PANICKED
    }

    /// Closing comes first; else the confirmations that the writes' routes ask for.
    fn after_execution(&self, execution: Execution) -> Option<Outcome> {
        execution.stop.or_else(|| match execution.routes.as_slice() {
            [] => None,
            routes => self.confirmation(routes),
        })
    }
}

/// The master, unless its data cannot be trusted.
fn sound<'w, 's>(writing: &'w mut MasterGuard<'s>) -> Result<&'w mut MasterGuard<'s>, Fault> {
    match writing.member().is(MemberFlag::Quarantined) {
        true => Err(Fault::MasterDown),
        false => Ok(writing),
    }
}
