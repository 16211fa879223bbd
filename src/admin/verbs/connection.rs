//! Verbs of the connection itself.

use crate::admin::{After, SessionRow, Turn, session_row};
use crate::base::limits::DATABASES;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use std::sync::atomic::Ordering::Relaxed;

const QUICK: Flags = Flags::FAST.and(Flags::LOADING).and(Flags::STALE);

/// The family's rows.
pub const ROWS: &[SessionRow] = &[
    session_row("PING", AtLeast(1), Flags::FAST, ping).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Answers PONG, or what it is given.",
        "[message]",
    ),
    session_row("ECHO", Exactly(2), QUICK, echo).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Answers what it is given.",
        "message",
    ),
    session_row("SELECT", Exactly(2), QUICK, select).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Changes the database of this connection.",
        "index",
    ),
    session_row("QUIT", AtLeast(1), QUICK.and(Flags::NO_AUTH), quit).says(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Closes this connection.",
        "",
    ),
];

fn ping(turn: &mut Turn<'_>) -> Result<After, Fault> {
    match turn.args.left() {
        0 => turn.reply.simple("PONG"),
        1 => turn.reply.bulk(turn.args.next()?),
        _ => return Err(Fault::WrongArity("ping".into())),
    }
    Ok(After::Answered)
}

fn echo(turn: &mut Turn<'_>) -> Result<After, Fault> {
    turn.reply.bulk(turn.args.next()?);
    Ok(After::Answered)
}

fn select(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let db = turn.args.int()?;
    let db = usize::try_from(db).ok().filter(|it| *it < DATABASES).ok_or(Fault::DbOutOfRange)?;
    turn.session.db = db;
    turn.client.db.store(db as u8, Relaxed);
    turn.reply.ok();
    Ok(After::Answered)
}

fn quit(turn: &mut Turn<'_>) -> Result<After, Fault> {
    turn.reply.ok();
    Ok(After::Close)
}
