//! LATENCY: how long commands take, and what has taken long.

mod doctor;
mod graph;

use self::doctor::report;
use self::graph::graph;
use super::help::help;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Fault, Flags, Group};
use crate::commands::{
    Command, CommandContext, Outcome, SessionRow, Table, session_container, session_row,
};
use crate::metrics::latency_events::{EventSamples, LatencyEvent};
use crate::metrics::render::latency_histogram;
use crate::runtime::clock;

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
    session_row("GRAPH", Exactly(3), ADMIN, draw)
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
    let events = context.server.set.latency.all();
    let reply = &mut *context.reply;
    reply.array(events.len());
    for EventSamples { event, samples, max_ms } in &events {
        let Some(last) = samples.back() else { continue };
        reply.array(4);
        reply.bulk(event.as_str().as_bytes());
        reply.int(last.at_s as i64);
        reply.int(last.took_ms as i64);
        reply.int(*max_ms as i64);
    }
    Ok(Outcome::Answered)
}

fn history(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let event = LatencyEvent::named(context.args.next()?);
    let of = event.and_then(|it| context.server.set.latency.of(it));
    let samples = of.map(|it| it.samples).unwrap_or_default();
    let reply = &mut *context.reply;
    reply.array(samples.len());
    for sample in &samples {
        reply.array(2);
        reply.int(sample.at_s as i64);
        reply.int(sample.took_ms as i64);
    }
    Ok(Outcome::Answered)
}

fn reset(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let latency = &context.server.set.latency;
    let count = match context.args.left() {
        0 => latency.reset(|_| true),
        _ => context
            .args
            .rest()
            .map(|name| latency.reset(|it| it.as_str().as_bytes().eq_ignore_ascii_case(name)))
            .sum(),
    };
    context.reply.count(count);
    Ok(Outcome::Answered)
}

fn draw(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let name = context.args.next()?;
    let event = LatencyEvent::named(name);
    let Some(of) = event.and_then(|it| context.server.set.latency.of(it)) else {
        let name = String::from_utf8_lossy(name);
        return Err(Fault::Message(format!("ERR No samples available for event '{name}'")));
    };
    context.reply.verbatim(&graph(&of, clock::wall_now()));
    Ok(Outcome::Answered)
}

fn doctor(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let server = context.server;
    let text = report(&server.set.latency.all(), &server.settings(), clock::wall_now());
    context.reply.verbatim(&text);
    Ok(Outcome::Answered)
}
