//! Executes what a script calls: in a transaction at the master, or as reads of one member.
//!
//! A script begins on the worker that has received it. One that is not over soon marks its member
//! as held for long, so that nobody waits for that lock on a worker, and from then on lets the
//! other connections of its thread have their turns within its own.

use super::batch::{BatchContext, elements};
use super::caller::Caller;
use super::execute::{Execution, Published, tells_counts, verb_of};
use super::monitor::CalledBy;
use super::publish::encoded_words;
use super::script_call::ScriptCall;
use super::transaction::LOCKS_ANY;
use crate::base::ids::{MemberId, RouteId};
use crate::base::limits::{SCRIPT_GONE_US, SCRIPT_TURN_EVERY_US, SCRIPT_US_MAX};
use crate::base::lowered::long_elements;
use crate::base::time::MonoUs;
use crate::command::{Args, Fault, Flags};
use crate::commands::verbs::debug::is_of_no_member;
use crate::commands::{Command, Handler, Outcome, SessionVerb, table};
use crate::engine::Engine;
use crate::metrics::Label;
use crate::node::{PANICKED, ReadGuard, Transaction, Verb};
use crate::resp::{OwnedRequest, Protocol, Request};
use crate::script::limits::{BYTES_PER_STEP, STEPS_PER_INSTRUCTION};
use crate::script::{Host, LONG_CALL, SHORT_CALL, Tick};
use crate::state::Running;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Where a script runs.
pub enum At<'h, 'g, 's, 'e> {
    /// At the master, in this transaction.
    Master {
        /// What its calls are of.
        transaction: &'h mut Transaction<'g, 's>,
        /// What they have come to.
        execution: &'h mut Execution<'e>,
    },
    /// At this member, to read.
    Member(&'h mut ReadGuard<'s>),
}

impl At<'_, '_, '_, '_> {
    /// The data there.
    pub fn engine(&self) -> &Engine {
        match self {
            At::Master { transaction, .. } => transaction.engine(),
            At::Member(guard) => guard.engine(),
        }
    }
}

/// A script at work.
pub struct ScriptHost<'h, 'g, 's, 'e, 'c, 'd, 'r> {
    caller: &'h mut Caller,
    context: &'h mut BatchContext<'c, 'd>,
    script: &'h ScriptCall<'r>,
    at: At<'h, 'g, 's, 'e>,
    began: MonoUs,
    /// When the others have their next turn.
    next_turn: MonoUs,
    /// What others can tell of it, once it is not over soon.
    running: Option<Arc<Running>>,
    has_written: bool,
    has_panicked: bool,
    /// The error that one of its calls was answered last, which has been counted.
    last_error: Option<String>,
    /// Its own work so far.
    steps: u64,
}

const UNKNOWN: Fault = Fault::Static("ERR Unknown Redis command called from script");
const WRONG_ARITY: Fault =
    Fault::Static("ERR Wrong number of args calling Redis command from script");
const NOT_ALLOWED: Fault = Fault::Static("ERR This Redis command is not allowed from script");
const READS_ONLY: Fault =
    Fault::Static("ERR Write commands are not allowed from read-only scripts.");
const STALE: Fault = Fault::Static("ERR Can not execute the command on a stale replica");
const KILLED: Fault = Fault::Static("ERR Script killed by user with SCRIPT KILL...");
const TOO_LONG: Fault = Fault::Static("ERR the reply is too long for a script");
const LOOKS_AT_MEMBERS: Fault = Fault::Static(
    "ERR This command looks at members, and a script holds one of them: call it outside of scripts",
);

impl<'h, 'g, 's, 'e, 'c, 'd, 'r> ScriptHost<'h, 'g, 's, 'e, 'c, 'd, 'r> {
    /// Before a script's first call.
    pub fn new(
        caller: &'h mut Caller,
        context: &'h mut BatchContext<'c, 'd>,
        script: &'h ScriptCall<'r>,
        at: At<'h, 'g, 's, 'e>,
    ) -> ScriptHost<'h, 'g, 's, 'e, 'c, 'd, 'r> {
        let began = context.clock.mono_now();
        ScriptHost {
            caller,
            context,
            script,
            at,
            began,
            next_turn: MonoUs(0),
            running: None,
            has_written: false,
            has_panicked: false,
            last_error: None,
            steps: 0,
        }
    }

    /// Behind its last, with the error that one of them was answered last. Fails when a verb has
    /// panicked, and what was answered means nothing.
    pub fn end(mut self) -> Result<Option<String>, Fault> {
        if self.has_panicked { Err(PANICKED) } else { Ok(self.last_error.take()) }
    }

    fn execute(&mut self, request: Request<'_>) -> Result<(), Fault> {
        let found = self.context.scratch.script.recent.find(request);
        let command = found.map_err(|it| match it {
            Fault::WrongArity(_) => WRONG_ARITY,
            _ => UNKNOWN,
        })?;
        self.let_in(command, request)
            .inspect_err(|_| self.context.scratch.metrics.rejected(command.id))?;
        if !command.is_quick {
            self.note_long(command, request);
        }
        let outcome = match command.handler {
            Handler::Session(verb) => self.session_verb(command, verb, request),
            _ => self.verb(command, request),
        };
        self.caller.show(command, request, CalledBy::Script);
        outcome.inspect_err(|it| {
            self.context.scratch.metrics.failed(command.id);
            self.has_panicked |= *it == PANICKED;
        })
    }

    /// Whether a script may call this.
    fn let_in(&mut self, command: &Command, request: Request<'_>) -> Result<(), Fault> {
        let allows_all = || self.caller.server.scripting.allows_all.load(Relaxed);
        if command.spec.flags.contains(Flags::NOSCRIPT) && !allows_all() {
            return Err(NOT_ALLOWED);
        }
        if self.caller.is_stale && !command.spec.flags.contains(Flags::STALE) {
            return Err(STALE);
        }
        self.caller.check_rights_in_script(command, request, self.context)?;
        let writes = command.is_write(request);
        let reads_only = self.script.reads_only || matches!(self.at, At::Member(_));
        if reads_only && (writes || command.spec.flags.contains(Flags::MAY_REPLICATE)) {
            return Err(READS_ONLY);
        }
        if writes { self.begin_write(command) } else { Ok(()) }
    }

    /// Whether it may write, asked before its first write. From here on it is not killed.
    fn begin_write(&mut self, command: &Command) -> Result<(), Fault> {
        if self.has_written {
            return Ok(());
        }
        self.caller.may_script_grow(command, self.script)?;
        if self.script.flags.is_none() {
            self.caller.may_script_write(self.context)?;
        }
        if self.running.as_ref().is_some_and(|it| !it.begin_write()) {
            // Its next tick ends it.
            return Err(KILLED);
        }
        self.has_written = true;
        Ok(())
    }

    /// A call that is long, by estimate, is so for those who wait for its member.
    fn note_long(&mut self, command: &Command, request: Request<'_>) {
        if self.running.is_some() {
            return;
        }
        let engine = match &self.at {
            At::Master { transaction, .. } => transaction.engine(),
            At::Member(guard) => guard.engine(),
        };
        let (db, env) = (self.caller.session.db, &self.context.scratch.env);
        let args = Args::new(request, command.words, db, env);
        if long_elements() < elements(command, engine, args) {
            self.become_long();
        }
    }

    fn verb(&mut self, command: &Command, request: Request<'_>) -> Result<(), Fault> {
        let verb = match (command.handler, &self.at) {
            // Nothing waits within a script.
            (Handler::ReadOrWait { read, .. }, At::Member(_)) => Some(Verb::Read(read)),
            _ => verb_of(command, request),
        };
        let Some(verb) = verb else { return Err(NOT_ALLOWED) };
        let ScriptHost { caller, context, at, .. } = self;
        match (at, verb) {
            (At::Master { transaction, execution }, verb) => {
                caller.call(command, verb, request, context, transaction, execution)
            }
            (At::Member(guard), Verb::Read(verb)) => {
                context.begin_command(command);
                let route = caller.origin(None).route(command, request);
                let env = &context.scratch.env;
                let args = Args::new(request, command.words, caller.session.db, env);
                let outcome = guard.run(verb, args, &mut caller.replies.out);
                let member = guard.member();
                caller.cache_read(command, request, caller.position(member.applied()));
                caller.tell_missed(member, context);
                context.count(Label::new(route, member.id, command.id), command);
                outcome
            }
            (At::Member(_), _) => Err(READS_ONLY),
        }
    }

    fn session_verb(
        &mut self,
        command: &Command,
        verb: SessionVerb,
        request: Request<'_>,
    ) -> Result<(), Fault> {
        if command.spec.flags.intersects(LOCKS_ANY) && !is_of_no_member(command, request) {
            return Err(LOOKS_AT_MEMBERS);
        }
        let ScriptHost { caller, context, at, .. } = self;
        let wall = context.scratch.env.now.get();
        let shown = match at {
            At::Master { transaction, .. } if tells_counts(command) => {
                Some(transaction.show_counts(wall))
            }
            _ => None,
        };
        let outcome = caller.run_session_verb(command, verb, request, true, context);
        drop(shown);
        context.count(Label::new(RouteId::NONE, MemberId::NONE, command.id), command);
        match outcome? {
            Outcome::Answered => Ok(()),
            Outcome::Block(block) => {
                caller.answer_at_once(*block, context);
                Ok(())
            }
            Outcome::Publish(kind) => {
                let At::Master { transaction, execution } = at else { return Err(READS_ONLY) };
                if !transaction.pass(caller.session.db, &encoded_words(request)) {
                    return Err(Fault::MasterDown);
                }
                // What its own client receives comes like everyone's.
                let (publication, events) =
                    (caller.publish_for_script(kind, request), transaction.events());
                execution.published.push(Published { publication, events, own: None });
                execution.own_comes_behind |= caller.session.is_subscribed();
                Ok(())
            }
            _ => Err(NOT_ALLOWED),
        }
    }

    /// It has run for so long that others can tell.
    #[cold]
    fn become_long(&mut self) -> Arc<Running> {
        let is_at_master = matches!(self.at, At::Master { .. });
        match &mut self.at {
            At::Master { transaction, .. } => transaction.become_long(),
            At::Member(guard) => guard.become_long(),
        }
        let (request, which) = (self.script.request.to_owned(), &self.script.which);
        let (name, purpose) = (which.name().to_vec(), which.purpose());
        let running = Running::new(request, name, purpose, is_at_master, self.began);
        let running = Arc::new(running);
        if self.has_written {
            running.begin_write();
        }
        self.caller.server.scripting.enter(running.clone());
        self.running = Some(running.clone());
        running
    }

    /// Whether it keeps a replica from applying for so long that writes would have to wait.
    fn holds_up(&self) -> bool {
        match &self.at {
            At::Master { .. } => false,
            At::Member(guard) => self.context.set.is_far_behind(guard.member()),
        }
    }

    /// Whether nobody waits for what it answers. Its connection, whose turn this is, cannot tell. A
    /// client that sends no more may still listen for a while.
    fn is_client_gone(&self, ran_us: u64) -> bool {
        let descriptor = self.caller.client.peer.descriptor;
        SCRIPT_GONE_US < ran_us && (self.context.scratch.has_hung_up)(descriptor)
    }

    /// It has run longer than `busy-reply-threshold`: those who wait for the master are told so.
    #[cold]
    fn become_busy(&self, running: &Running, ran_us: u64) {
        let server = &self.caller.server;
        if server.scripting.is_busy_now(running) {
            let (name, id) = (running.name.escape_ascii(), self.caller.client.id);
            log::warn!("event=slow-script name={name} client={id} ran_ms={}", ran_us / 1000);
            if running.is_at_master {
                server.set.refuse_at_master(true);
            }
        }
    }
}

impl Host for ScriptHost<'_, '_, '_, '_, '_, '_, '_> {
    fn call(&mut self, argv: &[&[u8]], protocol: Protocol, reply: &mut Vec<u8>) -> u32 {
        let mut call = std::mem::take(&mut self.context.scratch.script.call);
        call.encode(argv);
        self.caller.replies.out.speak(protocol);
        let done = self.execute(call.request());
        let steps_of_words = (call.len() / BYTES_PER_STEP) as u32;
        self.context.scratch.script.call = call;
        let is_quick = self.context.scratch.script.recent.is_quick();
        let out = &mut self.caller.replies.out;
        let done = if out.is_overflowing() { Err(TOO_LONG) } else { done };
        if let Err(fault) = done {
            let text = fault.text();
            out.clear();
            out.error(&text);
            self.caller.server.counters.error(&text);
            self.last_error = Some(text.into());
        }
        reply.extend_from_slice(out.bytes());
        out.clear();
        steps_of_words.saturating_add(if is_quick { SHORT_CALL } else { LONG_CALL })
    }

    fn may_call(&mut self, argv: &[&[u8]]) -> Option<bool> {
        let request = OwnedRequest::of(argv.iter().copied());
        let command = table().locate(request.borrow()).ok()?;
        self.caller.keep_up_rights();
        Some(self.caller.denied(command, request.borrow()).is_none())
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        const LEVELS: [log::Level; 4] =
            [log::Level::Debug, log::Level::Debug, log::Level::Info, log::Level::Warn];
        let level = LEVELS[usize::from(level).min(LEVELS.len() - 1)];
        log::log!(level, "event=script-says text={:?}", String::from_utf8_lossy(text));
    }

    fn set_replication(&mut self, _: u8) {}

    fn tick(&mut self, steps: u64) -> Tick {
        self.steps = self.steps.saturating_add(steps);
        let most = self.caller.settings.server.script_instructions_max as u64;
        if most != 0 && most < self.steps / u64::from(STEPS_PER_INSTRUCTION) {
            return Tick::Exceeds;
        }
        let now = self.context.clock.mono_now();
        let ran_us = now.since(self.began);
        if ran_us < SCRIPT_US_MAX {
            return Tick::Continue;
        }
        let running = self.running.clone().unwrap_or_else(|| self.become_long());
        let server = &self.caller.server;
        let is_closing = || self.caller.client.flags.is_closing.load(Relaxed);
        let is_in_vain = running.is_killed() || server.is_ending() || is_closing();
        if !self.has_written && (is_in_vain || self.holds_up()) {
            return Tick::Stop;
        }
        let threshold_ms = self.caller.settings.server.busy_reply_ms as u64;
        if threshold_ms != 0 && threshold_ms <= ran_us / 1000 {
            self.become_busy(&running, ran_us);
        }
        if self.next_turn <= now {
            if !self.has_written && self.is_client_gone(ran_us) {
                return Tick::Stop;
            }
            // Threads for long work have nobody that waits for them, and may wait themselves.
            if !self.context.scratch.works_long {
                (self.context.scratch.let_others_in)();
            }
            self.next_turn = MonoUs(self.context.clock.mono_ns() / 1000 + SCRIPT_TURN_EVERY_US);
        }
        Tick::Continue
    }
}

impl Drop for ScriptHost<'_, '_, '_, '_, '_, '_, '_> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let server = &self.caller.server;
            server.scripting.leave(&running);
            if running.is_at_master && server.set.refuses_at_master() {
                server.set.refuse_at_master(false);
            }
        }
    }
}
