//! MEMORY, but for USAGE, which asks a member.

use super::help::help;
use crate::command::Arity::Exactly;
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, session_container, session_row};
use crate::runtime::lazyfree;
use crate::state::Memory;

const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

/// The family's rows. The engine's MEMORY has USAGE; these join it.
pub const ROWS: &[SessionRow] = &[session_container("MEMORY", MEMORY)];

const MEMORY: &[SessionRow] = &[
    session_row("STATS", Exactly(2), Flags::NONE, stats)
        .says(Group::Server, "4.0.0", "O(1)", "Answers where memory goes.", "")
        .tips(TIPS),
    session_row("DOCTOR", Exactly(2), Flags::NONE, doctor)
        .says(Group::Server, "4.0.0", "O(1)", "Says what to look at.", "")
        .tips(TIPS),
    session_row("MALLOC-STATS", Exactly(2), Flags::NONE, malloc_stats)
        .says(Group::Server, "4.0.0", "O(1)", "Answers what the allocator tells.", "")
        .tips(TIPS),
    session_row("PURGE", Exactly(2), Flags::NONE, purge)
        .says(Group::Server, "4.0.0", "O(1)", "Gives free memory back.", "")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    help(Group::Server, "4.0.0"),
];

fn stats(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let server = context.server;
    let memory = server.memory();
    let keys = server.set.master_counts(context.args.now()).keys() as u64;
    let (_, backlog) = server.set.backlog();
    let dataset = memory.dataset().saturating_sub(backlog);
    let told = [
        ("peak.allocated", memory.peak),
        ("total.allocated", memory.used),
        ("startup.allocated", memory.at_start),
        ("replication.backlog", backlog),
        ("clients.slaves", 0),
        ("clients.normal", server.client_bytes()),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
        ("overhead.total", memory.at_start + backlog),
        ("keys.count", keys),
        ("keys.bytes-per-key", memory.dataset().checked_div(keys).unwrap_or(0)),
        ("dataset.bytes", dataset),
        ("allocator.allocated", memory.used),
        ("allocator.active", memory.resident),
        ("allocator.resident", memory.resident),
        ("fragmentation.bytes", memory.fragmentation_bytes() as u64),
    ];
    let ratios = [
        ("dataset.percentage", Memory::percent(dataset, memory.dataset())),
        ("peak.percentage", Memory::percent(memory.used, memory.peak)),
        ("fragmentation", memory.fragmentation()),
    ];
    context.reply.map(told.len() + ratios.len());
    for (name, bytes) in told {
        context.reply.bulk(name.as_bytes());
        context.reply.int(bytes as i64);
    }
    for (name, ratio) in ratios {
        context.reply.bulk(name.as_bytes());
        context.reply.double_text(&ratio.to_string());
    }
    Ok(Outcome::Answered)
}

fn doctor(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.verbatim("Nothing is measured that could worry a doctor; see MEMORY STATS.\n");
    Ok(Outcome::Answered)
}

fn malloc_stats(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.verbatim("The allocator is mimalloc; it tells no figures.\n");
    Ok(Outcome::Answered)
}

/// Memory is given back by itself; this is for who does not want to wait that second.
fn purge(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    lazyfree::give_back_soon();
    context.reply.ok();
    Ok(Outcome::Answered)
}
