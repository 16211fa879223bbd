//! SLOWLOG: the last commands that took longer than `slowlog-log-slower-than`.

use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, session_container, session_row};

const ADMIN: Flags = Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE);
const SHOWN: usize = 10;

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("SLOWLOG", SLOWLOG).says(
    Group::Server,
    "2.2.12",
    "Depends on subcommand.",
    "Tells which commands took long.",
    "",
)];

const SLOWLOG: &[SessionRow] = &[
    session_row("GET", AtLeast(2), ADMIN, get)
        .says(
            Group::Server,
            "2.2.12",
            "O(N) where N is the number of entries returned",
            "Answers the newest entries: 10, as many as asked for, or all (-1).",
            "[count]",
        )
        .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    session_row("LEN", Exactly(2), ADMIN, len)
        .says(Group::Server, "2.2.12", "O(1)", "Answers how many entries there are.", "")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    session_row("RESET", Exactly(2), ADMIN, reset)
        .says(
            Group::Server,
            "2.2.12",
            "O(N) where N is the number of entries in the slowlog",
            "Forgets all entries.",
            "",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    help(Group::Server, "6.2.0"),
];

fn get(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let count = match context.args.left() {
        0 => SHOWN,
        1 => count(context)?,
        _ => return Err(context.args.misused("SLOWLOG")),
    };
    let entries = context.server.slowlog.lock().newest(count);
    let reply = &mut *context.reply;
    reply.array(entries.len());
    for slow in entries {
        reply.array(6);
        reply.int(slow.id as i64);
        reply.int((slow.at.0 / 1000) as i64);
        reply.int(slow.took_us as i64);
        reply.array(slow.words.len());
        slow.words.iter().for_each(|it| reply.bulk(it));
        reply.bulk(slow.address.as_bytes());
        reply.bulk(slow.name.as_bytes());
    }
    Ok(Outcome::Answered)
}

/// As many entries as asked for; -1 is all.
fn count(context: &mut CommandContext<'_>) -> Result<usize, Fault> {
    const TOO_SMALL: Fault = Fault::Static("ERR count should be greater than or equal to -1");
    match context.args.int().map_err(|_| TOO_SMALL)? {
        -1 => Ok(usize::MAX),
        count => usize::try_from(count).map_err(|_| TOO_SMALL),
    }
}

fn len(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.count(context.server.slowlog.lock().len());
    Ok(Outcome::Answered)
}

fn reset(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.server.slowlog.lock().clear();
    context.reply.ok();
    Ok(Outcome::Answered)
}
