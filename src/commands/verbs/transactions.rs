//! Transactions: what is between MULTI and EXEC runs as one, unless a watched key has changed.

use crate::base::limits::ADOPTED_BYTES_MIN;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group, Keys};
use crate::commands::{CommandContext, Outcome, SessionRow, session_row};
use crate::node::{unwatch_all, watch, watch_in_vain};
use crate::runtime::lazyfree;
use crate::session::Queue;

const ALWAYS: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const QUICK: Flags = ALWAYS.union(Flags::FAST).union(Flags::ALLOW_BUSY);
const EXEC: Flags = ALWAYS.union(Flags::SKIP_SLOWLOG).union(Flags::LOCKS_MASTER);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("MULTI", Exactly(1), QUICK, multi).says(
        Group::Transactions,
        "1.2.0",
        "O(1)",
        "Begins a transaction: commands are queued until EXEC.",
        "",
    ),
    session_row("EXEC", Exactly(1), EXEC, exec).says(
        Group::Transactions,
        "1.2.0",
        "Depends on the queued commands",
        "Runs all queued commands as one.",
        "",
    ),
    session_row("DISCARD", Exactly(1), QUICK, discard).says(
        Group::Transactions,
        "2.0.0",
        "O(N), when N is the number of queued commands",
        "Drops all queued commands.",
        "",
    ),
    session_row("WATCH", AtLeast(2), QUICK, watch_keys)
        .says(
            Group::Transactions,
            "2.2.0",
            "O(1) for every key",
            "Makes the next EXEC do nothing if one of these keys changes before it.",
            "key [key ...]",
        )
        .keys(Keys::PEEK_ALL),
    session_row("UNWATCH", Exactly(1), QUICK, unwatch).says(
        Group::Transactions,
        "2.2.0",
        "O(1)",
        "Forgets all watched keys.",
        "",
    ),
];

fn multi(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.session.queue.is_some() {
        return Err(Fault::Static("ERR MULTI calls can not be nested"));
    }
    context.session.queue = Some(Queue::default());
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn exec(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let queue = context.session.queue.take().ok_or(Fault::Static("ERR EXEC without MULTI"))?;
    if queue.is_poisoned {
        unwatch_all(&context.server.set, context.session);
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return Err(Fault::Static(text));
    }
    Ok(Outcome::Execute(Box::new(queue)))
}

fn discard(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let queue = context.session.queue.take();
    let queue = queue.ok_or(Fault::Static("ERR DISCARD without MULTI"))?;
    if ADOPTED_BYTES_MIN <= queue.bytes {
        lazyfree::free_async(queue);
    }
    unwatch_all(&context.server.set, context.session);
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn watch_keys(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.session.queue.is_some() {
        return Err(Fault::Static("ERR WATCH inside MULTI is not allowed"));
    }
    let wall = context.args.now();
    let (set, member_list) = (&context.server.set, context.server.set.member_list());
    let keys = context.args.rest();
    match set.write_unless_long(&member_list) {
        Some(mut writing) => {
            watch(set, &mut writing, context.session, keys, wall, context.now)?;
        }
        // What the script has changed by now nobody can see before it ends.
        None if set.refuses_at_master() => watch_in_vain(context.session, keys)?,
        None => return Ok(Outcome::Busy(set.master())),
    }
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn unwatch(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    unwatch_all(&context.server.set, context.session);
    context.reply.ok();
    Ok(Outcome::Answered)
}
