//! CLIENT: the connection's own settings, and a look at the others.

mod kill;
mod kind;
mod pause;
pub mod tracking;

use super::connection::{printable, set_name};
use super::help::help;
use crate::base::number;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{
    CommandContext, Outcome, SessionRow, client_line, session_container, session_row,
};
use crate::session::ReplyMode;
use crate::state::{Client, UnblockAs};
use kind::Kind;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

const OWN: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const OPERATOR: Flags = OWN.union(Flags::ADMIN);
const CONSTANT: &str = "O(1)";
const EVERYBODY: &str = "O(N) where N is the number of client connections";

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("CLIENT", SUBCOMMANDS).says(
    Group::Connection,
    "2.4.0",
    "Depends on the subcommand",
    "Looks at connections and changes them.",
    "",
)];

const fn sub(
    row: SessionRow,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> SessionRow {
    row.says(Group::Connection, since, complexity, summary, syntax)
}

const SUBCOMMANDS: &[SessionRow] = &[
    sub(
        session_row("ID", Exactly(2), OWN, id),
        "5.0.0",
        CONSTANT,
        "Answers the number of this connection.",
        "",
    ),
    sub(
        session_row("INFO", Exactly(2), OWN, info),
        "6.2.0",
        CONSTANT,
        "Tells of this connection.",
        "",
    )
    .tips(&["nondeterministic_output"]),
    sub(
        session_row("LIST", AtLeast(2), OPERATOR, list),
        "2.4.0",
        EVERYBODY,
        "Tells of all connections.",
        "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
    )
    .tips(&["nondeterministic_output"]),
    sub(
        session_row("KILL", AtLeast(3), OPERATOR, kill::kill),
        "2.4.0",
        EVERYBODY,
        "Closes connections.",
        "<ip:port | ([ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | \
         [USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME yes/no]) ...>",
    ),
    sub(
        session_row("SETNAME", Exactly(3), OWN, set_name),
        "2.6.9",
        CONSTANT,
        "Gives this connection a name.",
        "connection-name",
    ),
    sub(
        session_row("GETNAME", Exactly(2), OWN, get_name),
        "2.6.9",
        CONSTANT,
        "Answers the name of this connection.",
        "",
    ),
    sub(
        session_row("SETINFO", Exactly(4), OWN, set_info),
        "7.2.0",
        CONSTANT,
        "Says which library this connection uses.",
        "<LIB-NAME libname | LIB-VER libver>",
    ),
    sub(
        session_row("REPLY", Exactly(3), OWN, replies),
        "3.2.0",
        CONSTANT,
        "Whether this connection wants replies.",
        "<ON | OFF | SKIP>",
    ),
    sub(
        session_row("NO-EVICT", Exactly(3), OPERATOR, no_evict),
        "7.0.0",
        CONSTANT,
        "Whether this connection may be closed to save memory.",
        "<ON | OFF>",
    ),
    sub(
        session_row("NO-TOUCH", Exactly(3), OWN, no_touch),
        "7.2.0",
        CONSTANT,
        "Whether reads of this connection mark keys as used.",
        "<ON | OFF>",
    ),
    sub(
        session_row("UNBLOCK", AtLeast(3), OPERATOR, unblock),
        "5.0.0",
        "O(log N) where N is the number of client connections",
        "Ends the wait of another connection.",
        "client-id [TIMEOUT | ERROR]",
    ),
    sub(
        session_row("PAUSE", AtLeast(3), OPERATOR.union(Flags::LOCKS_MASTER), pause::pause),
        "2.9.50",
        CONSTANT,
        "Lets clients wait for some milliseconds: all, or those that write.",
        "timeout [WRITE | ALL]",
    ),
    sub(
        session_row("UNPAUSE", Exactly(2), OPERATOR, pause::unpause),
        "6.2.0",
        "O(N) Where N is the number of paused clients",
        "Lets clients that wait go on.",
        "",
    ),
    sub(
        session_row("TRACKING", AtLeast(3), OWN.union(Flags::LOCKS_MASTER), tracking::tracking),
        "6.0.0",
        "O(1). Some options may introduce additional complexity.",
        "Whether this connection is told of changes of what it has read.",
        "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] \
         [OPTOUT] [NOLOOP]",
    ),
    sub(
        session_row("CACHING", Exactly(3), OWN, tracking::caching),
        "6.0.0",
        CONSTANT,
        "Whether what the next command reads is cached.",
        "<YES | NO>",
    ),
    sub(
        session_row("GETREDIR", Exactly(2), OWN, tracking::get_redirection),
        "6.0.0",
        CONSTANT,
        "Answers where invalidations of this connection go.",
        "",
    ),
    sub(
        session_row("TRACKINGINFO", Exactly(2), OWN, tracking::tracking_info),
        "6.2.0",
        CONSTANT,
        "Tells of client-side caching on this connection.",
        "",
    ),
    help(Group::Connection, "5.0.0"),
];

fn id(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.int(context.client.id as i64);
    Ok(Outcome::Answered)
}

fn info(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    mirror(context);
    let settings = context.server.settings();
    let head = context.server.set.head();
    let line = client_line(context.client, &settings, context.table, head, context.now);
    context.reply.verbatim(&line);
    Ok(Outcome::Answered)
}

/// Lets others see this client as it is now, in the middle of a batch.
fn mirror(context: &CommandContext<'_>) {
    context.client.mirror(context.session, context.reply.protocol());
    let asked = context.args.request().wire().map_or(0, <[u8]>::len);
    context.client.unread.store(asked as u64, Relaxed);
}

fn list(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    mirror(context);
    let clients = if context.args.left() == 0 {
        context.server.clients.all()
    } else if 2 <= context.args.left() && context.args.word("TYPE") {
        let kind = Kind::parse(context.args.next()?)?;
        context.args.done()?;
        context.server.clients.all().into_iter().filter(|it| kind.is_of(it)).collect()
    } else if 2 <= context.args.left() && context.args.word("ID") {
        let ids = context.args.rest().map(number::parse_i64);
        let ids: Option<Vec<i64>> = ids.collect();
        let ids = ids.ok_or(Fault::Static("ERR Invalid client ID"))?;
        let found = ids.into_iter().filter_map(|it| context.server.clients.get(it as u64));
        found.collect::<Vec<Arc<Client>>>()
    } else {
        return Err(Fault::Syntax);
    };
    let settings = context.server.settings();
    let (head, now) = (context.server.set.head(), context.now);
    let line = |it: &Arc<Client>| client_line(it, &settings, context.table, head, now);
    let text: String = clients.iter().map(line).collect();
    context.reply.verbatim(&text);
    Ok(Outcome::Answered)
}

fn get_name(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    match context.session.name.as_str() {
        "" => context.reply.null(),
        name => context.reply.bulk(name.as_bytes()),
    }
    Ok(Outcome::Answered)
}

fn set_info(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (option, value) = (context.args.next()?, context.args.next()?);
    let option = String::from_utf8_lossy(option).into_owned();
    let is_name = option.eq_ignore_ascii_case("LIB-NAME");
    if !is_name && !option.eq_ignore_ascii_case("LIB-VER") {
        return Err(Fault::Message(format!("ERR Unrecognized option '{option}'")));
    }
    let Some(value) = printable(value) else {
        let option = option.to_lowercase();
        let text = format!("ERR {option} cannot contain spaces, newlines or special characters.");
        return Err(Fault::Message(text));
    };
    let mut names = context.client.names.lock();
    let (ours, shown) = match is_name {
        true => (&mut context.session.lib_name, &mut names.lib_name),
        false => (&mut context.session.lib_version, &mut names.lib_version),
    };
    *ours = value.into();
    *shown = value.into();
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn replies(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.args.word("ON") {
        context.session.replies = ReplyMode::On;
        context.reply.ok();
    } else if context.args.word("OFF") {
        context.session.replies = ReplyMode::Off;
    } else if context.args.word("SKIP") {
        if context.session.replies != ReplyMode::Off {
            context.session.replies = ReplyMode::SkipNext;
        }
    } else {
        return Err(Fault::Syntax);
    }
    Ok(Outcome::Answered)
}

fn no_evict(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.session.no_evict = switch(context)?;
    answer_switch(context, &context.client.flags.no_evict, context.session.no_evict)
}

fn no_touch(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.session.no_touch = switch(context)?;
    context.args.env.touches.set(!context.session.no_touch);
    answer_switch(context, &context.client.flags.no_touch, context.session.no_touch)
}

fn switch(context: &mut CommandContext<'_>) -> Result<bool, Fault> {
    match (context.args.word("ON"), context.args.word("OFF")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Fault::Syntax),
    }
}

fn answer_switch(
    context: &mut CommandContext<'_>,
    shown: &AtomicBool,
    on: bool,
) -> Result<Outcome, Fault> {
    shown.store(on, Relaxed);
    context.reply.ok();
    Ok(Outcome::Answered)
}

fn unblock(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const REASONS: Fault = Fault::Static("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    let word = context.args.next()?;
    let how = match context.args.left() {
        0 => UnblockAs::Timeout,
        1 if context.args.word("TIMEOUT") => UnblockAs::Timeout,
        1 if context.args.word("ERROR") => UnblockAs::Error,
        2.. => return Err(context.args.misused("CLIENT")),
        _ => return Err(REASONS),
    };
    let id = number::parse_i64(word).ok_or(Fault::NotInteger)?;
    let client = context.server.clients.get(id as u64);
    let could = client.is_some_and(|it| it.unblock(how));
    context.reply.int(i64::from(could));
    Ok(Outcome::Answered)
}
