//! EXEC: the queued commands run as one transaction of the master, at one time.

use super::batch::{BatchContext, LockCache};
use super::call::Call;
use super::caller::Caller;
use super::event::Action;
use super::monitor::CalledBy;
use super::publish::encoded_words;
use super::transaction::{has_write, runs_within};
use crate::base::ids::{CommandId, MemberId, RouteId};
use crate::base::time::MonoUs;
use crate::command::{Args, Fault, Group};
use crate::commands::{Command, Handler, Job, Outcome, table};
use crate::metrics::Label;
use crate::node::{Behind, MemberFlags, PANICKED, Transaction, Verb};
use crate::node::{has_stale_watch, unwatch};
use crate::pubsub::Publication;
use crate::resp::{Mark, OwnedRequest, Request};
use crate::route::Reason;
use crate::session::{LastReply, Queue};

/// What the queued commands have come to so far.
pub struct Execution<'r> {
    /// The bytes of the batch that EXEC came in.
    input: &'r [u8],
    /// Routes of the writes that changed something.
    routes: Vec<RouteId>,
    /// Answers so far.
    answers: usize,
    /// What a session verb wants to happen afterwards.
    stop: Option<Outcome>,
    /// Jobs that are done behind the transaction, in this order.
    later: Vec<Job>,
    /// Messages that wait until what was written before them is in the log.
    pub published: Vec<Published>,
    /// The publisher may receive one of them behind the reply, and so what it publishes after that.
    pub own_comes_behind: bool,
}

impl<'r> Execution<'r> {
    /// Nothing has been called yet.
    pub fn of(input: &'r [u8]) -> Execution<'r> {
        Execution {
            input,
            routes: Vec::new(),
            answers: 0,
            stop: None,
            later: Vec::new(),
            published: Vec::new(),
            own_comes_behind: false,
        }
    }

    /// Answers so far.
    pub fn answers(&self) -> usize {
        self.answers
    }
}

/// A message that waits until what was written before it is in the log.
pub struct Published {
    /// The message.
    pub publication: Publication,
    /// So many events of its transaction stand before it.
    pub events: usize,
    /// The number of the publisher, where it has received its own already.
    pub own: Option<u64>,
}

impl Published {
    /// It is told when the transaction is in the log. What its publisher has received goes with the
    /// replies when the transaction fails.
    fn behind(self, time: MonoUs, has_replies: bool) -> Behind {
        let Published { publication, events, own } = self;
        let own = own.filter(|_| has_replies);
        Behind { events, tell: Box::new(move |at| publication.deliver(at, time, own)) }
    }
}

/// Where a transaction was served, or a command within one, for a command behind it that asks.
fn last_at(master: MemberId, has_changed: bool) -> LastReply {
    let because = if has_changed { Reason::Write } else { Reason::Transaction };
    LastReply::of_master(master, RouteId::NONE, because)
}

/// What looks at a member that somebody holds for long.
const HELD: Fault =
    Fault::Static("ERR somebody holds a member for long, which a transaction cannot wait for");

/// What only some words of a command ask for, like PROXY NODE … REMOVE, and EXEC cannot wait for.
const WORKS_APART: Fault =
    Fault::Static("ERR that takes its time, which a transaction cannot wait for: say it alone");

/// What a member is to run; `None` for the proxy's own commands.
pub fn verb_of<'c>(command: &'c Command, request: Request<'_>) -> Option<Verb<'c>> {
    match command.handler {
        Handler::Read(verb) => Some(Verb::Read(verb)),
        Handler::Either { read, is_read, .. } if is_read(request) => Some(Verb::Read(read)),
        Handler::ReadOrWait { read, is_read, .. } if is_read(request) => Some(Verb::Read(read)),
        Handler::Write(verb) | Handler::Either { write: verb, .. } => {
            Some(Verb::Write(&command.spec, verb))
        }
        Handler::Blocking(verb) | Handler::ReadOrWait { wait: verb, .. } => {
            Some(Verb::Blocking(&command.spec, verb))
        }
        Handler::Session(_) | Handler::Script(_) | Handler::Prefix | Handler::Container => None,
    }
}

impl Caller {
    /// Runs what was queued, unless a watched key has changed.
    pub fn execute(
        &mut self,
        queue: &Queue,
        call: &mut Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        if !self.watches_hold(context)? {
            self.replies.out.null_array();
            return Ok(Outcome::Answered);
        }
        let began_ns = context.clock.mono_ns();
        let mark = self.replies.mark();
        let mut execution = Execution::of(call.input);
        let within = |it: &(CommandId, OwnedRequest)| runs_within(table().get(it.0));
        let mut parts = queue.commands.chunk_by(|one, next| within(one) && within(next));
        self.session.is_in_exec = true;
        let done = parts.try_for_each(|part| match within(&part[0]) {
            true => self.execute_together(part, context, &mut execution),
            false => self.execute_apart(&part[0], context, &mut execution),
        });
        self.session.is_in_exec = false;
        self.note_execution(began_ns, context);
        done?;
        self.replies.out.close_array(mark, execution.answers);
        self.session.last = last_at(context.set.master(), has_write(queue));
        let later = std::mem::take(&mut execution.later);
        if !later.is_empty() {
            context.actions.push(Action::Later(later));
        }
        Ok(self.after_execution(execution).unwrap_or(Outcome::Answered))
    }

    /// Locks the master and ends all watches; answers whether none of their keys has changed.
    fn watches_hold(&mut self, context: &mut BatchContext<'_, '_>) -> Result<bool, Fault> {
        let watches = std::mem::take(&mut self.session.watches);
        let (set, wall) = (context.set, context.scratch.env.now.get());
        let writing = context.locks.writing();
        let is_down = writing.member().is(MemberFlags::QUARANTINED);
        let is_stale = has_stale_watch(set, writing, &watches, wall);
        unwatch(set, writing, &watches);
        self.refresh(context.now);
        self.saw_end(self.position(set.head()));
        if is_down { Err(Fault::MasterDown) } else { Ok(!is_stale) }
    }

    /// Queued commands that are one transaction of the master, and their answers. Fails only when
    /// EXEC does.
    fn execute_together(
        &mut self,
        calls: &[(CommandId, OwnedRequest)],
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution<'_>,
    ) -> Result<(), Fault> {
        let all = |caller: &mut Caller,
                   context: &mut BatchContext<'_, '_>,
                   transaction: &mut Transaction<'_, '_>,
                   execution: &mut Execution<'_>| {
            calls.iter().try_for_each(|(id, request)| {
                let (command, request) = (table().get(*id), request.borrow());
                let mark = caller.replies.mark();
                let denied = caller.check_rights_at_exec(command, request, context);
                let outcome = match (command.handler, verb_of(command, request)) {
                    _ if denied.is_err() => denied,
                    (_, Some(verb)) => {
                        let outcome =
                            caller.call(command, verb, request, context, transaction, execution);
                        let has_changed = transaction.effects() != 0;
                        caller.session.last = last_at(transaction.member().id, has_changed);
                        outcome
                    }
                    (Handler::Script(run), _) => {
                        caller.queued_script(command, run, request, context, transaction, execution)
                    }
                    _ => {
                        let within = Some(&mut *transaction);
                        caller.queued_session_verb(command, request, context, within, execution)
                    }
                };
                caller.answer_queued(command, request, mark, outcome, context, execution)
            })
        };
        self.together(context, execution, all).map(drop)
    }

    /// Makes calls as one transaction of the master, which is locked to write. Answers whether they
    /// have changed anything. Fails when they do and the master has gone with it.
    pub fn together<'s, 'd, 'e>(
        &mut self,
        context: &mut BatchContext<'s, 'd>,
        execution: &mut Execution<'e>,
        make: impl FnOnce(
            &mut Caller,
            &mut BatchContext<'s, 'd>,
            &mut Transaction<'_, 's>,
            &mut Execution<'e>,
        ) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        let mut writing = context.locks.take_writing(context.set, context.member_list);
        let mut effects = std::mem::take(&mut context.scratch.effects);
        let mut transaction = writing.begin(&mut effects, context.now);
        let outcome = make(self, context, &mut transaction, execution);
        let has_changed = transaction.effects() != 0;
        // Of one that is broken off, and its member with it, the stream says nothing.
        let is_said = outcome.is_ok() || !transaction.member().is(MemberFlags::QUARANTINED);
        let has_heard = execution.published.iter().any(|it| it.own.is_some());
        let published = execution.published.drain(..).filter(|_| is_said);
        let behind = published.map(|it| it.behind(context.now, outcome.is_ok())).collect();
        let end = transaction.commit_and_tell(behind);
        let is_down = writing.member().is(MemberFlags::QUARANTINED);
        context.scratch.effects = effects;
        context.locks = LockCache::Writing(writing);
        if is_down {
            outcome.clone()?;
        }
        self.refresh(context.now);
        let end = self.position(end);
        if has_changed {
            self.session.wrote(end, context.now);
        } else {
            self.saw_end(end);
        }
        if has_heard {
            // As one that another had published: no read at any level is older from here on.
            self.session.heard(end, &self.history, end);
        }
        self.session.last = last_at(context.set.master(), has_changed);
        outcome.map(|()| has_changed)
    }

    /// A queued session verb that may look at members, and its answer.
    fn execute_apart(
        &mut self,
        (id, request): &(CommandId, OwnedRequest),
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution<'_>,
    ) -> Result<(), Fault> {
        context.locks.release();
        let (command, request) = (table().get(*id), request.borrow());
        let mark = self.replies.mark();
        let outcome = self
            .check_rights_at_exec(command, request, context)
            .and_then(|()| self.queued_session_verb(command, request, context, None, execution));
        self.answer_queued(command, request, mark, outcome, context, execution)?;
        self.refresh(context.now);
        self.saw_end(self.position(context.set.head()));
        Ok(())
    }

    /// A queued command, or a script's, that a member runs.
    pub fn call(
        &mut self,
        command: &Command,
        verb: Verb<'_>,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
        transaction: &mut Transaction<'_, '_>,
        execution: &mut Execution<'_>,
    ) -> Result<(), Fault> {
        context.begin_command(command);
        let route = self.origin(None).route(command, request);
        let (master, before) = (transaction.member().id, transaction.effects());
        let args = Args::new(request, command.words, self.session.db, &context.scratch.env);
        let outcome = transaction.call(verb, args, &mut self.replies.out);
        self.cache_read_within(command, request, transaction);
        context.count(Label::new(route, master, command.id), command);
        if before < transaction.effects() {
            self.note_routes(command, request, route, &mut execution.routes);
        }
        outcome
    }

    fn queued_session_verb(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
        transaction: Option<&mut Transaction<'_, '_>>,
        execution: &mut Execution<'_>,
    ) -> Result<(), Fault> {
        let Handler::Session(verb) = command.handler else {
            return Err(Fault::WrongArity(command.name.clone()));
        };
        let wall = context.scratch.env.now.get();
        let shows = transaction.as_ref().filter(|_| tells_counts(command));
        let shown = shows.map(|it| it.show_counts(wall));
        // There is no other thread to go to in the middle of a transaction.
        let outcome = self.run_session_verb(command, verb, request, true, context);
        drop(shown);
        context.count(Label::new(RouteId::NONE, MemberId::NONE, command.id), command);
        match outcome? {
            Outcome::Answered => {}
            Outcome::Block(block) => self.answer_at_once(*block, context),
            Outcome::Close => execution.stop = Some(Outcome::Close),
            Outcome::Publish(kind) => {
                let words = encoded_words(request);
                let pass = |it: &mut Transaction<'_, '_>| {
                    it.pass(self.session.db, &words).then(|| it.events())
                };
                let Some(events) = transaction.and_then(pass) else {
                    return Err(Fault::MasterDown);
                };
                // Events come behind the replies.
                let is_first = events == 0 || !self.may_hear_events();
                let may_come =
                    is_first && !execution.own_comes_behind && !self.may_be_unconfirmed();
                let own = self.takes_own().filter(|_| may_come);
                execution.own_comes_behind |= self.session.is_subscribed() && own.is_none();
                let publication = self.publish_within(kind, request, own);
                execution.published.push(Published { publication, events, own });
            }
            Outcome::Apart(apart) if apart.0.may_be_later() => {
                self.replies.out.ok();
                execution.later.push(apart.0);
            }
            Outcome::Apart(..) => return Err(WORKS_APART),
            Outcome::Busy(_) => return Err(HELD),
            Outcome::Execute(_) | Outcome::Paused | Outcome::Long | Outcome::Follow(_) => {
                unreachable!("EXEC and PSYNC are never queued, and nothing is waited for within it")
            }
        }
        Ok(())
    }

    /// What a queued command is answered. A panic is the answer to the whole EXEC.
    pub fn answer_queued(
        &mut self,
        command: &Command,
        request: Request<'_>,
        mark: Mark,
        outcome: Result<(), Fault>,
        context: &mut BatchContext<'_, '_>,
        execution: &mut Execution<'_>,
    ) -> Result<(), Fault> {
        if context.has_slow() {
            self.tell_slow(command, request, execution.input, context);
        }
        if !matches!(command.handler, Handler::Script(_)) {
            self.show(command, request, CalledBy::Client);
        }
        match outcome {
            Ok(()) => {}
            Err(PANICKED) => return Err(PANICKED),
            Err(fault) => {
                self.replies.out.cut(mark);
                self.fail(command, &fault, context);
            }
        }
        // CLIENT REPLY may leave one out.
        execution.answers += usize::from(!self.replies.out.since(mark).is_empty());
        Ok(())
    }

    /// Closing comes first; else the confirmations that the writes' routes ask for.
    pub fn after_execution(&self, execution: Execution<'_>) -> Option<Outcome> {
        execution.stop.or_else(|| match execution.routes.as_slice() {
            [] => None,
            routes => self.confirmation(routes),
        })
    }
}

/// Whether a command may tell what the data comes to, of which it then shows what the calls before
/// it have left.
pub fn tells_counts(command: &Command) -> bool {
    matches!(command.spec.group, Group::Server | Group::Scripting | Group::Proxy)
}
