//! Why a request may be refused, or held back, before anything of it happens.
//!
//! ```text
//!   look-up            REFUSALS, top to bottom, the first wins     a write: lock_master
//!   known, arity ────▶ authenticated … not paused, not queued ────▶ run
//! ```
//!
//! What a request is (known, its arity) is settled by its look-up in the table, since all else asks
//! the command that was found. Every request passes [`REFUSALS`] once, and so does the command
//! behind PROXY ONCE. What may change while a write waits for the master's lock is asked again with
//! the lock held, in [`Caller::lock_master`].

use super::batch::{BatchContext, NotNow, elements};
use super::call::Call;
use super::caller::Caller;
use super::script_call::ScriptCall;
use super::transaction::{has_write, looks_at_members, runs_at_once};
use crate::base::ids::{CommandId, MemberId};
use crate::base::lowered::long_elements;
use crate::base::time::MonoUs;
use crate::command::codes::{self, LINK_DOWN, LOADING};
use crate::command::{Args, CallEnv, Fault, Flags};
use crate::commands::{Command, Handler, Outcome, table};
use crate::engine::Engine;
use crate::node::{DiskTrouble, PauseMode, View, Writes};
use crate::resp::{OwnedRequest, Protocol, Request};
use crate::session::Queue;

/// What becomes of a request that does not run now.
#[derive(Debug)]
enum Refusal {
    /// It is answered with this.
    Fault(Fault),
    /// It waits until CLIENT PAUSE is over, and is served again from the start.
    Paused,
    /// It waits for EXEC.
    Queue,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Fault(fault)
    }
}

/// A request that asks to run.
struct Asking<'r> {
    command: &'r Command,
    request: Request<'r>,
}

type Check = fn(&mut Caller, &Asking<'_>, &mut BatchContext<'_, '_>) -> Result<(), Refusal>;

/// Checked top to bottom, the first refusal wins: the order is Redis' (`processCommand`), and part
/// of what clients see.
const REFUSALS: &[(&str, Check)] = &[
    ("authenticated", |caller, asking, _| {
        let may = caller.session.is_known || asking.command.spec.flags.contains(Flags::NO_AUTH);
        if may { Ok(()) } else { Err(Fault::NoAuth.into()) }
    }),
    ("in_transaction", |caller, asking, _| match caller.session.queue {
        Some(_) => may_be_queued(asking.command).map_err(Refusal::Fault),
        None => Ok(()),
    }),
    ("permitted", |caller, asking, context| {
        let (command, request) = (asking.command, asking.request);
        caller.check_rights(command, request, context).map_err(Refusal::Fault)
    }),
    ("not_refused_by_route", |caller, asking, _| {
        if !caller.settings.routes.refuses() {
            return Ok(());
        }
        let refusing = caller.origin(None).refusing(asking.command, asking.request);
        refusing.map_or(Ok(()), |route| {
            Err(codes::refused_by_route(&route.name, &asking.command.name).into())
        })
    }),
    ("enough_memory", |caller, asking, context| {
        caller.find_room(asking.command, context).map_err(Refusal::Fault)
    }),
    ("can_be_kept", |caller, asking, _| {
        if caller.is_write(asking) || asking.command.spec.name == "PING" {
            caller.can_be_kept()?;
        }
        Ok(())
    }),
    ("enough_replicas", |caller, asking, context| {
        if !caller.has_enough_replicas(context) && caller.is_write(asking) {
            return Err(Fault::NoReplicas.into());
        }
        Ok(())
    }),
    ("writable_here", |caller, asking, _| {
        if caller.writes == Writes::Here || !caller.is_write(asking) {
            return Ok(());
        }
        caller.may_write().map_err(Refusal::Fault)
    }),
    ("not_subscribed", |caller, asking, _| {
        let may = asking.command.spec.flags.contains(Flags::IN_PUBSUB);
        if may
            || caller.replies.out.protocol() == Protocol::Resp3
            || !caller.session.is_subscribed()
        {
            return Ok(());
        }
        let name = &asking.command.name;
        let text = format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
             RESET are allowed in this context"
        );
        Err(Fault::Message(text).into())
    }),
    ("not_monitoring", |caller, asking, context| {
        let is_own = matches!(asking.command.handler, Handler::Session(_) | Handler::Prefix);
        if caller.session.is_monitor && (!is_own || caller.may_replicate(asking, context)) {
            return Err(Fault::Static("ERR Replica can't interact with the keyspace").into());
        }
        Ok(())
    }),
    ("link_is_up", |caller, asking, _| {
        let may = !caller.is_stale || caller.all_are(asking, Flags::STALE);
        if may { Ok(()) } else { Err(LINK_DOWN.into()) }
    }),
    ("not_loading", |caller, asking, _| {
        let may = !caller.is_loading || caller.all_are(asking, Flags::LOADING);
        if may { Ok(()) } else { Err(LOADING.into()) }
    }),
    ("nothing_lost", |caller, _, _| {
        // A transaction ends at its EXEC, not before: the loss is told behind it.
        let lost = if caller.session.queue.is_none() { caller.take_lost() } else { None };
        lost.map_or(Ok(()), |fault| Err(fault.into()))
    }),
    ("not_paused", |caller, asking, context| {
        let now = context.now;
        let is_held = |it: &Caller| it.is_write(asking) || it.may_replicate(asking, context);
        if caller.is_paused(now, is_held) { Err(Refusal::Paused) } else { Ok(()) }
    }),
    ("not_queued", |caller, asking, _| {
        let runs = caller.session.queue.is_none() || runs_at_once(asking.command);
        if runs { Ok(()) } else { Err(Refusal::Queue) }
    }),
];

/// Whether a command may stand between MULTI and EXEC.
fn may_be_queued(command: &Command) -> Result<(), Fault> {
    if let Handler::Prefix = command.handler {
        let text = "ERR PROXY ONCE is not allowed inside a transaction: its commands run as one, \
                    at the master";
        return Err(Fault::Static(text));
    }
    if command.spec.flags.contains(Flags::NO_MULTI) {
        return Err(Fault::Static("ERR Command not allowed inside a transaction"));
    }
    if command.spec.flags.contains(Flags::APART) {
        let name = command.upper_name.replace('|', " ");
        let text = "is not allowed inside a transaction: it waits for another server or for a disk";
        return Err(Fault::Message(format!("ERR {name} {text}")));
    }
    Ok(())
}

impl Caller {
    /// What becomes of a request of this command that does not run now; `None` when it runs.
    #[inline]
    pub fn refused(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Outcome> {
        // Whose rights have been taken away since the batch began writes nothing more in it.
        self.keep_up_rights();
        if self.is_unrestricted() && self.has_room(command) && self.is_permitted(command, request) {
            // What is free changes from one look to the next.
            debug_assert!(
                self.limits_memory || self.first_refusal(command, request, context).is_none()
            );
            return None;
        }
        self.first_refusal(command, request, context)
    }

    /// Whether none of the refusals has anything to say, whatever is asked for.
    #[inline]
    fn is_unrestricted(&self) -> bool {
        self.session.is_known
            && self.session.queue.is_none()
            && self.session.lost.is_none()
            && self.session.subscriptions.is_none()
            && !self.session.is_monitor
            && self.pause_mode == PauseMode::Nobody
            && !self.is_gated
    }

    #[inline(never)]
    fn first_refusal(
        &mut self,
        command: &Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Option<Outcome> {
        let asking = Asking { command, request };
        let refusal = REFUSALS.iter().find_map(|(_, check)| check(self, &asking, context).err())?;
        Some(match refusal {
            Refusal::Fault(fault) => self.refuse(Some(command), fault, context),
            Refusal::Paused => Outcome::Paused,
            Refusal::Queue => self.enqueue(command, request, context),
        })
    }

    /// What must hold with the master's lock held: while it was waited for, its last holder may
    /// have panicked, a failover may have come, a pause may have begun. Answers who the master is.
    #[inline(always)]
    pub fn lock_master(
        &mut self,
        call: &Call<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<MemberId, NotNow> {
        let master = context.master()?.member().id;
        self.keep_up_to_write(context.set, context.now)?;
        call.may_write_at(master)?;
        self.write_as_caching(context);
        if self.is_paused(context.now, |_| true) { Err(NotNow::Paused) } else { Ok(master) }
    }

    /// As [`Caller::lock_master`], for EXEC: the master is locked to write afterwards. What else
    /// may end a transaction is looked at together with its watches.
    pub fn lock_master_for(
        &mut self,
        queue: &Queue,
        context: &mut BatchContext<'_, '_>,
    ) -> Result<(), NotNow> {
        context.master().map(drop).or_else(|it| match it {
            // EXEC says so itself.
            NotNow::Fault(_) => Ok(()),
            other => Err(other),
        })?;
        self.write_as_caching(context);
        self.refresh(context.now);
        if has_write(queue) {
            self.may_write()?;
        }
        if has_write(queue) && self.is_paused(context.now, |_| true) {
            return Err(NotNow::Paused);
        }
        let is_within = context.scratch.is_within && !context.scratch.works_long;
        let runs_scripts = || queue.commands.iter().any(|it| table().get(it.0).runs_script());
        let (works_long, env) = (context.scratch.works_long, &context.scratch.env);
        let engine = context.locks.writing().engine();
        // Somebody else may take the master in the midst of it, and hold it for ever.
        let is_long =
            !works_long && (self.is_queue_too_long(queue, engine, env) || looks_at_members(queue));
        if is_long || is_within && runs_scripts() { Err(NotNow::Long) } else { Ok(()) }
    }

    /// Whether the queued commands together are long, by estimate.
    pub fn is_queue_too_long(&self, queue: &Queue, engine: &Engine, env: &CallEnv) -> bool {
        let of_command = |(id, request): &(CommandId, OwnedRequest)| {
            let command = table().get(*id);
            let args = Args::new(request.borrow(), command.words, self.session.db, env);
            let copies = |it: &Command| engine.is_walked() && it.is_write(args.request());
            let copied = match copies(command) {
                true => engine.copy_cost(args.db, command.spec.keys, args.request()),
                false => 0,
            };
            copied.saturating_add(elements(command, engine, args))
        };
        long_elements() < queue.commands.iter().map(of_command).fold(0, usize::saturating_add)
    }

    /// Whether a request writes: itself, or what was queued for it.
    fn is_write(&self, asking: &Asking<'_>) -> bool {
        let runs_queue = asking.command.spec.name == "EXEC";
        asking.command.is_write(asking.request)
            || (runs_queue && self.session.queue.as_ref().is_some_and(has_write))
    }

    /// Whether a request has these flags: itself, and what was queued for it.
    fn all_are(&self, asking: &Asking<'_>, flags: Flags) -> bool {
        let has = |it: &Command| it.spec.flags.contains(flags);
        let queue = self.session.queue.as_ref().filter(|_| asking.command.spec.name == "EXEC");
        has(asking.command)
            && queue.is_none_or(|it| it.commands.iter().all(|it| has(table().get(it.0))))
    }

    /// Whether a request moves the stream though it writes nothing: itself, or what was queued for
    /// it. A script does not that says it only reads.
    fn may_replicate(&self, asking: &Asking<'_>, context: &mut BatchContext<'_, '_>) -> bool {
        let mut may = |id: CommandId, request: Request<'_>| {
            let command = table().get(id);
            let flagged = command.spec.flags.contains(Flags::MAY_REPLICATE);
            flagged && !self.is_script_that_reads(command, request, context)
        };
        let queue = self.session.queue.as_ref().filter(|_| asking.command.spec.name == "EXEC");
        may(asking.command.id, asking.request)
            || queue.is_some_and(|it| it.commands.iter().any(|it| may(it.0, it.1.borrow())))
    }

    fn is_script_that_reads(
        &self,
        command: &'static Command,
        request: Request<'_>,
        context: &mut BatchContext<'_, '_>,
    ) -> bool {
        let Handler::Script(run) = command.handler else { return false };
        let libraries = || context.libraries();
        let found = ScriptCall::of(self, command, run, request, &mut None, libraries);
        found.is_ok_and(|it| it.reads_only)
    }

    /// Whether what is written now will be on disk, where it is to be.
    fn can_be_kept(&self) -> Result<(), Fault> {
        let Some(trouble) = self.disk_trouble else { return Ok(()) };
        if self.writes != Writes::Here {
            return Ok(());
        }
        let status = self.server.persistence.status();
        let why = status.aof.trouble.as_deref().unwrap_or_default();
        Err(codes::misconf(trouble == DiskTrouble::AppendOnlyFile, why))
    }

    /// Whether a script may write: what is asked of other writes before they begin.
    pub fn may_script_write(&self, context: &BatchContext<'_, '_>) -> Result<(), Fault> {
        self.may_write()?;
        self.can_be_kept()?;
        if self.has_enough_replicas(context) { Ok(()) } else { Err(Fault::NoReplicas) }
    }

    /// `min-replicas-to-write`, checked before anything is applied.
    pub fn has_enough_replicas(&self, context: &BatchContext<'_, '_>) -> bool {
        if let (Some(upstream), Some(gate)) = (&self.server.upstream, self.settings.set.gate()) {
            return upstream.view().lets_through(gate, context.now);
        }
        let Some(gate) = self.settings.set.gate().filter(|_| self.writes == Writes::Here) else {
            return true;
        };
        let (set, member_list, now) = (context.set, context.member_list, context.now);
        gate.allows(View { set, member_list, now, with_ages: true }.fed())
    }

    /// Whether the request at hand waits until CLIENT PAUSE is over. `writes` says whether it is
    /// one of those that wait while only writers are held back.
    #[inline]
    fn is_paused(&mut self, now: MonoUs, writes: impl FnOnce(&Caller) -> bool) -> bool {
        self.pause_mode != PauseMode::Nobody && self.is_paused_now(now, writes)
    }

    #[cold]
    fn is_paused_now(&mut self, now: MonoUs, writes: impl FnOnce(&Caller) -> bool) -> bool {
        match self.server.set.pause_in_force(now) {
            Some((PauseMode::All, _)) => true,
            Some(_) => writes(self),
            None => {
                self.pause_mode = PauseMode::Nobody;
                false
            }
        }
    }
}
