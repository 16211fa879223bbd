//! LATENCY: how long commands take. Events are not monitored; there are histograms of everything.

use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{
    Command, CommandContext, Outcome, SessionRow, Table, session_container, session_row,
};
use crate::metrics::render::latency_histogram;

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("LATENCY", LATENCY).says(
    Group::Server,
    "2.8.13",
    "Depends on subcommand.",
    "Tells how long commands take.",
    "",
)];

const LATENCY: &[SessionRow] = &[
    session_row("HISTOGRAM", AtLeast(2), ADMIN, histogram)
        .says(
            Group::Server,
            "7.0.0",
            "O(N) where N is the number of commands.",
            "Answers the distribution of service times, by command.",
            "[command [command ...]]",
        )
        .tips(TIPS),
    session_row("LATEST", Exactly(2), ADMIN, latest)
        .says(Group::Server, "2.8.13", "O(1)", "Answers the last sample of each event.", "")
        .tips(TIPS),
    session_row("HISTORY", Exactly(3), ADMIN, history)
        .says(Group::Server, "2.8.13", "O(1)", "Answers the samples of an event.", "event")
        .tips(TIPS),
    session_row("RESET", AtLeast(2), ADMIN, reset)
        .says(
            Group::Server,
            "2.8.13",
            "O(1)",
            "Forgets samples; answers of how many events.",
            "[event [event ...]]",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    session_row("GRAPH", Exactly(3), ADMIN, graph)
        .says(Group::Server, "2.8.13", "O(1)", "Draws the samples of an event.", "event")
        .tips(TIPS),
    session_row("DOCTOR", Exactly(2), ADMIN, doctor)
        .says(Group::Server, "2.8.13", "O(1)", "Says what to look at.", "")
        .tips(TIPS),
    help(Group::Server, "2.8.13"),
];

fn histogram(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (table, snapshot) = (context.table, context.server.snapshot());
    let wanted: Vec<&Command> = match context.args.left() {
        0 => table.all().iter().collect(),
        _ => context
            .args
            .rest()
            .filter_map(|it| table.named(it))
            .flat_map(|it| family(table, it))
            .collect(),
    };
    let found = wanted.iter().filter_map(|it| Some((it, latency_histogram(&snapshot, it.id)?)));
    let found: Vec<_> = found.collect();
    let reply = &mut *context.reply;
    reply.map(found.len());
    for (command, (calls, levels)) in found {
        reply.bulk(command.name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(calls as i64);
        reply.bulk(b"histogram_usec");
        reply.map(levels.len());
        for (micros, calls) in levels {
            reply.int(micros as i64);
            reply.int(calls as i64);
        }
    }
    Ok(Outcome::Answered)
}

/// A command, or what a container contains.
fn family(table: &'static Table, command: &'static Command) -> Vec<&'static Command> {
    match command.subcommands.as_slice() {
        [] => vec![command],
        subcommands => subcommands.iter().map(|it| table.get(*it)).collect(),
    }
}

fn latest(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.array(0);
    Ok(Outcome::Answered)
}

fn history(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.array(0);
    Ok(Outcome::Answered)
}

fn reset(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.int(0);
    Ok(Outcome::Answered)
}

fn graph(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let event = String::from_utf8_lossy(context.args.next()?);
    Err(Fault::Message(format!("ERR No samples available for event '{event}'")))
}

fn doctor(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.verbatim(
        "Events are not monitored here. LATENCY HISTOGRAM has the service times of every command, \
         and PROXY STATS has them by route and member, with staleness and waits.\n",
    );
    Ok(Outcome::Answered)
}
