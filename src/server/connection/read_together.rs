//! A transaction that only reads: one read at one member, of all that is queued, at one offset.

use super::batch::{BatchContext, LockCache};
use super::call::Call;
use super::caller::Caller;
use super::execute::{Execution, verb_of};
use super::read::{ReadAt, ReadRun};
use super::transaction::QueuedReads;
use crate::base::ids::RouteId;
use crate::command::{Args, Fault, Flags, ReadIn};
use crate::commands::{Command, Outcome, table};
use crate::engine::ReadVerb;
use crate::metrics::Label;
use crate::node::{ReadGuard, Verb};
use crate::resp::Request;
use crate::session::Queue;

impl Caller {
    /// The route that all queued commands are on, if a replica may answer them together: they only
    /// read, and nothing is watched, which the master alone knows of.
    pub fn route_of_reads(&self, queue: &Queue) -> Option<RouteId> {
        if self.forwards() || self.session.is_watching() {
            return None;
        }
        let origin = self.origin(None);
        let mut routes = queue.commands.iter().map(|(id, request)| {
            let (command, request) = (table().get(*id), request.borrow());
            read_of(command, request).map(|_| origin.route(command, request))
        });
        let first = routes.next()??;
        routes.all(|it| it == Some(first)).then_some(first)
    }

    /// Serves a transaction of reads where the plan of one read on their route says.
    pub fn execute_reads(
        &mut self,
        reads: QueuedReads,
        call: &mut Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let outcome = self.read(call, ReadRun::Queue(&reads), context);
        if !matches!(outcome, Ok(Outcome::Answered) | Err(_)) {
            // It waits, or goes to another thread, and EXEC is served anew then.
            self.session.queue = Some(*reads.queue);
        }
        outcome
    }

    /// Reads all that is queued at one member. Answers what came of it; `None` when the plan has
    /// been overtaken.
    pub fn read_queue_at(
        &mut self,
        at: ReadAt,
        reads: &QueuedReads,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Outcome>, Fault> {
        let (set, works_long) = (context.set, context.scratch.works_long);
        let member = set.member(at.member);
        let is_master = at.member == set.master();
        if context.locks.read(set, member, works_long).is_none() {
            // Others may serve it; the master is the last.
            return Ok(is_master.then_some(Outcome::Busy(at.member)));
        }
        if !self.still_holds(at.because, member, set.master(), set.generation()) {
            return Ok(None);
        }
        let LockCache::Reading(guard) = std::mem::replace(&mut context.locks, LockCache::Nothing)
        else {
            return Ok(None);
        };
        let (db, env) = (self.session.db, &context.scratch.env);
        let is_long = || self.is_queue_too_long(&reads.queue, guard.engine(), env);
        let done = match !works_long && is_long() {
            true => Ok(Outcome::Long),
            false => {
                let read_in = if is_master { ReadIn::Master(db) } else { ReadIn::Replica(db) };
                context.scratch.env.uses.read_in(read_in);
                let done = self.read_queue(at, &reads.queue, &guard, call, context);
                context.scratch.env.uses.read_in(ReadIn::Nowhere);
                done.map(|()| Outcome::Answered)
            }
        };
        context.locks = LockCache::Reading(guard);
        if matches!(done, Ok(Outcome::Answered)) {
            self.saw(at, member, call, context);
            if !is_master {
                self.server.counters.reads_together.add(context.scratch.worker, 1);
            }
        }
        done.map(Some)
    }

    /// Answers each, and all as one. Fails only when the whole does.
    fn read_queue(
        &mut self,
        at: ReadAt,
        queue: &Queue,
        guard: &ReadGuard<'_>,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        let (began_ns, mark) = (context.clock.mono_ns(), self.replies.mark());
        let mut execution = Execution::of(call.input);
        for (id, request) in &queue.commands {
            let (command, request) = (table().get(*id), request.borrow());
            let its = self.replies.mark();
            context.begin_command(command);
            let outcome = match read_of(command, request) {
                None => Err(Fault::WrongArity(command.name.clone())),
                Some(verb) => self.check_rights_at_exec(command, request, context).and_then(|()| {
                    let env = &context.scratch.env;
                    let args = Args::new(request, command.words, self.session.db, env);
                    guard.run(verb, args, &mut self.replies.out)
                }),
            };
            self.tell_missed(guard.member(), context);
            self.cache_read(command, request, self.position(guard.member().applied()));
            context.count(Label::new(at.route, at.member, command.id), command);
            self.answer_queued(command, request, its, outcome, context, &mut execution)?;
        }
        self.note_execution(began_ns, context);
        self.replies.out.close_array(mark, execution.answers());
        Ok(())
    }
}

/// What reads for this command, if a replica may answer it.
fn read_of(command: &Command, request: Request<'_>) -> Option<ReadVerb> {
    if command.spec.flags.contains(Flags::AT_MASTER) {
        return None;
    }
    match verb_of(command, request) {
        Some(Verb::Read(verb)) => Some(verb),
        _ => None,
    }
}
