//! Transactions: what is between MULTI and EXEC runs as one, unless a watched key has changed.

use crate::admin::{After, SessionRow, Turn, session_row, unwatch_all, watch};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group, Keys};
use crate::session::Queue;

const ALWAYS: Flags = Flags::NO_SCRIPT.and(Flags::LOADING).and(Flags::STALE);
const QUICK: Flags = ALWAYS.and(Flags::FAST).and(Flags::ALLOW_BUSY);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("MULTI", Exactly(1), QUICK, multi).says(
        Group::Transactions,
        "1.2.0",
        "O(1)",
        "Begins a transaction: commands are queued until EXEC.",
        "",
    ),
    session_row("EXEC", Exactly(1), ALWAYS.and(Flags::SKIP_SLOWLOG), exec).says(
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

fn multi(turn: &mut Turn<'_>) -> Result<After, Fault> {
    if turn.session.queue.is_some() {
        return Err(Fault::Says("ERR MULTI calls can not be nested"));
    }
    turn.session.queue = Some(Queue::default());
    turn.reply.ok();
    Ok(After::Answered)
}

fn exec(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let queue = turn.session.queue.take().ok_or(Fault::Says("ERR EXEC without MULTI"))?;
    if queue.is_poisoned {
        unwatch_all(&turn.house.set, turn.session);
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return Err(Fault::Says(text));
    }
    Ok(After::Execute(queue))
}

fn discard(turn: &mut Turn<'_>) -> Result<After, Fault> {
    if turn.session.queue.take().is_none() {
        return Err(Fault::Says("ERR DISCARD without MULTI"));
    }
    unwatch_all(&turn.house.set, turn.session);
    turn.reply.ok();
    Ok(After::Answered)
}

fn watch_keys(turn: &mut Turn<'_>) -> Result<After, Fault> {
    if turn.session.queue.is_some() {
        return Err(Fault::Says("ERR WATCH inside MULTI is not allowed"));
    }
    let wall = turn.args.now();
    watch(&turn.house.set, turn.session, turn.args.rest(), wall, turn.now)?;
    turn.reply.ok();
    Ok(After::Answered)
}

fn unwatch(turn: &mut Turn<'_>) -> Result<After, Fault> {
    unwatch_all(&turn.house.set, turn.session);
    turn.reply.ok();
    Ok(After::Answered)
}
