//! A script's way: where it runs, and what its reply waits for. Which one it is stands in
//! `script_call`, and what it calls is executed by `script_host`.

use super::batch::{BatchContext, LockCache};
use super::call::Call;
use super::caller::Caller;
use super::execute::Execution;
use super::monitor::CalledBy;
use super::read::{ReadAt, ReadRun};
use super::script_call::{ScriptCall, UNKNOWN_FUNCTION, UNKNOWN_SCRIPT, WORDS, Which};
use super::script_host::{At, ScriptHost};
use crate::base::ids::MemberId;
use crate::command::codes::LINK_DOWN;
use crate::command::{Fault, ReadIn};
use crate::commands::{Command, Outcome, ScriptRun};
use crate::metrics::Label;
use crate::node::Transaction;
use crate::resp::{Mark, Request};
use crate::route::Reason;
use crate::script::limits::REPLY_BYTES_MAX;
use crate::script::{Flags, Invocation};
use crate::session::LastReply;

/// Keys and arguments of most scripts.
const FEW: usize = 8;

impl Caller {
    /// Runs a script: at the master, or where reads go when it only reads.
    #[inline(never)]
    pub fn script(
        &mut self,
        call: &mut Call<'_>,
        run: ScriptRun,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        self.session.last = LastReply::OWN;
        let mut last = context.scratch.script.last.take();
        let found = {
            let libraries = || context.libraries();
            ScriptCall::of(self, call.command, run, call.request, &mut last, libraries)
        };
        context.scratch.script.last = last;
        let script = match found {
            // The master may know it.
            Err(UNKNOWN_SCRIPT | UNKNOWN_FUNCTION) if self.forwards() => {
                self.cache_forwarded(call.command, call.request);
                return self.forward(call, context);
            }
            found => found.inspect_err(|_| {
                self.show(call.command, call.request, CalledBy::Client);
                let route = self.origin(None).route(call.command, call.request);
                context.begin_command(call.command);
                context.count(Label::new(route, MemberId::NONE, call.command.id), call.command);
            })?,
        };
        let is_within = context.scratch.is_within && !context.scratch.works_long;
        let master = context.set.member(context.set.master());
        if is_within && !script.reads_only && !self.forwards() && master.is_long_held() {
            return Ok(Outcome::Busy(master.id));
        }
        if is_within {
            // Another script has let this turn in, and would have to wait for this one's end.
            return Ok(Outcome::Long);
        }
        if script.reads_only {
            return self.read(call, ReadRun::Script(&script), context);
        }
        if self.forwards() {
            self.cache_forwarded(call.command, call.request);
            return self.forward(call, context);
        }
        self.script_at_master(&script, call, context)
    }

    /// Runs a script as a transaction of its own.
    pub fn script_at_master(
        &mut self,
        script: &ScriptCall<'_>,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Outcome, Fault> {
        let route = self.origin(None).route(call.command, call.request);
        context.begin_command(call.command);
        let master = match self.lock_master(call, context) {
            Ok(master) => master,
            Err(not_now) => return not_now.outcome(),
        };
        let mut execution = Execution::of(call.input);
        let done = self.together(context, &mut execution, |it, context, transaction, execution| {
            it.run_script(script, At::Master { transaction, execution }, context)
        });
        context.writes += u32::from(*done.as_ref().unwrap_or(&false));
        self.session.last = LastReply::of_master(master, route, Reason::Write);
        context.count(Label::new(route, master, call.command.id), call.command);
        done?;
        Ok(self.after_execution(execution).unwrap_or(Outcome::Answered))
    }

    /// Runs a queued script within its transaction.
    pub fn queued_script(
        &mut self,
        command: &'static Command,
        run: ScriptRun,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
        transaction: &mut Transaction<'_, '_>,
        execution: &mut Execution<'_>,
    ) -> Result<(), Fault> {
        context.begin_command(command);
        let libraries = || transaction.engine().libraries().clone();
        let last = &mut context.scratch.script.last;
        let script = ScriptCall::of(self, command, run, request, last, libraries)
            .inspect_err(|_| self.show(command, request, CalledBy::Client))?;
        let route = self.origin(None).route(command, request);
        let master = transaction.member().id;
        let done = self.run_script(&script, At::Master { transaction, execution }, context);
        context.count(Label::new(route, master, command.id), command);
        done
    }

    /// Runs a script that only reads at one member. Answers what came of it; `None` when the plan
    /// has been overtaken.
    pub fn read_script_at(
        &mut self,
        at: ReadAt,
        script: &ScriptCall<'_>,
        call: &mut Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<Option<Outcome>, Fault> {
        let (set, works_long) = (context.set, context.scratch.works_long);
        let member = set.member(at.member);
        let is_master = at.member == set.master();
        context.begin_command(call.command);
        if context.locks.read(set, member, works_long).is_none() {
            // Others may serve it; the master is the last.
            return Ok(is_master.then_some(Outcome::Busy(at.member)));
        }
        if !self.still_holds(at.because, member, set.master(), set.generation()) {
            return Ok(None);
        }
        let LockCache::Reading(mut guard) =
            std::mem::replace(&mut context.locks, LockCache::Nothing)
        else {
            return Ok(None);
        };
        if let Which::Function(function) = &script.which
            && function.at(guard.engine()).is_none()
            && !is_master
        {
            // It has just been loaded.
            drop(guard);
            return self.script_at_master(script, call, context).map(Some);
        }
        let db = self.session.db;
        let read_in = if is_master { ReadIn::Master(db) } else { ReadIn::Replica(db) };
        context.scratch.env.uses.read_in(read_in);
        let done = self.run_script(script, At::Member(&mut guard), context);
        context.scratch.env.uses.read_in(ReadIn::Nowhere);
        context.locks = LockCache::Reading(guard);
        self.saw(at, member, call, context);
        context.count(Label::new(at.route, at.member, call.command.id), call.command);
        done.map(|()| Some(Outcome::Answered))
    }

    /// Runs a script and writes its answer, an error of its own among them.
    fn run_script(
        &mut self,
        script: &ScriptCall<'_>,
        at: At<'_, '_, '_, '_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), Fault> {
        let is_stale_safe = script.flags.is_none_or(|it| it.has(Flags::ALLOW_STALE));
        if self.is_stale && !is_stale_safe {
            return Err(LINK_DOWN);
        }
        self.may_script_begin(script)?;
        if script.says_it_writes() {
            self.may_script_write(context)?;
        }
        self.show(script.command, script.request, CalledBy::Client);
        // The clock was read when its command began.
        let began_ns = context.stopwatch.at_ns;
        let count = script.request.len() - WORDS;
        let mut words = (WORDS..).map_while(|it| script.request.get(it));
        let (few, many): ([&[u8]; FEW], Vec<&[u8]>);
        let words = if count <= FEW {
            few = std::array::from_fn(|_| words.next().unwrap_or_default());
            &few[..count]
        } else {
            many = words.collect();
            &many
        };
        let (keys, args) = words.split_at(script.keys);
        // They are looked up soon, and what lies between takes longer than memory does.
        keys.iter().take(FEW).for_each(|it| at.engine().prefetch(self.session.db, it));
        let protocol = self.replies.out.protocol();
        let invocation = Invocation { keys, args, protocol };
        let (purpose, server) = (script.which.purpose(), self.server.clone());
        let flushes = server.scripting.flushes();
        let is_at_master = matches!(at, At::Master { .. });
        let found = match &script.which {
            Which::Script(..) => None,
            Which::Function(it) => Some((it, it.at(at.engine()).ok_or(UNKNOWN_FUNCTION)?)),
        };
        // What it calls writes its replies apart.
        let (out, db) = (self.replies.out.mark(), self.session.db);
        let apart = std::mem::take(&mut context.scratch.script.replies);
        let replies = std::mem::replace(&mut self.replies.out, apart);
        self.replies.out.set_limit(REPLY_BYTES_MAX);
        let mut answer = std::mem::take(&mut context.scratch.script.answer);
        let mut own = std::mem::take(&mut context.scratch.interpreters);
        // What was slow before it has not been told yet.
        let slow_run = context.stopwatch.slow_run.take();
        context.scratch.env.in_script.set(true);
        let ended = {
            let mut host = ScriptHost::new(self, context, script, at);
            let mut at_master = is_at_master.then(|| server.scripting.at_master(purpose)).flatten();
            let interpreter = match &mut at_master {
                Some(it) => it.get(purpose, flushes),
                None => own.get(purpose, flushes),
            };
            if let Some((function, (libraries, library))) = &found {
                let name = &function.name;
                interpreter.call(libraries, library, name, &invocation, &mut host, &mut answer);
            } else if let Which::Script(sha, text) = &script.which {
                interpreter.run(sha, text, &invocation, &mut host, &mut answer);
            }
            host.end()
        };
        context.scratch.env.in_script.set(false);
        context.scratch.interpreters = own;
        context.scratch.script.replies = std::mem::replace(&mut self.replies.out, replies);
        self.session.db = db;
        // Its time is that of all it has called.
        context.end_run();
        context.goes_on();
        context.stopwatch.slow_run = slow_run;
        context.stopwatch.at_ns = began_ns;
        if let Ok(last_error) = &ended {
            self.answer_script(&answer, last_error.as_deref(), out);
            if answer.starts_with(b"-") {
                context.scratch.metrics.failed(script.command.id);
            }
        }
        context.scratch.script.answer = answer;
        context.scratch.script.clear();
        ended.map(|_| ())
    }

    /// `last_error` is what one of its calls was answered: a script that passes it on has not made
    /// an error of its own.
    fn answer_script(&mut self, answer: &[u8], last_error: Option<&str>, mark: Mark) {
        debug_assert!(self.replies.out.since(mark).is_empty());
        let error = answer.strip_prefix(b"-");
        let is_own = |it: &&[u8]| last_error.is_none_or(|last| !it.starts_with(last.as_bytes()));
        if let Some(text) = error.filter(is_own) {
            let text = text.strip_suffix(b"\r\n").unwrap_or(text);
            self.server.counters.error(&String::from_utf8_lossy(text));
        }
        self.replies.out.append(answer);
    }
}
