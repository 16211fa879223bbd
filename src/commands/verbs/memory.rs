//! MEMORY, but for USAGE, which asks a member.

mod doctor;

use super::help::help;
use crate::command::Arity::Exactly;
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, session_container, session_row};
use crate::node::SpaceCounts;
use crate::resp::Reply;
use crate::runtime::{clock, lazyfree, process};
use crate::state::Memory;
use doctor::{Facts, findings};

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
    let (_, backlog) = server.set.backlog();
    let counts = server.set.master_counts(context.args.now());
    let members = server.set.member_list().len() as u64;
    let tables = |of: &SpaceCounts| of.table_bytes as u64 * members;
    let deadlines = |of: &SpaceCounts| of.deadline_bytes as u64 * members;
    let overhead = counts.spaces.iter().map(|it| tables(it) + deadlines(it)).sum::<u64>();
    let (scripts, libraries) = server.script_bytes();
    let dataset = memory.dataset().saturating_sub(backlog + overhead);
    let keys = counts.keys() as u64;
    use Figure::{Bytes, Ratio};
    let before_databases = [
        ("peak.allocated", Bytes(memory.peak)),
        ("total.allocated", Bytes(memory.used)),
        ("startup.allocated", Bytes(memory.at_start)),
        ("replication.backlog", Bytes(backlog)),
        ("clients.slaves", Bytes(0)),
        ("clients.normal", Bytes(server.client_bytes())),
        ("cluster.links", Bytes(0)),
        ("aof.buffer", Bytes(0)),
        ("lua.caches", Bytes(scripts)),
        ("functions.caches", Bytes(libraries)),
    ];
    let behind_databases = [
        ("overhead.total", Bytes(memory.at_start + backlog + overhead)),
        ("keys.count", Bytes(keys)),
        ("keys.bytes-per-key", Bytes(memory.dataset().checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", Bytes(dataset)),
        ("dataset.percentage", Ratio(Memory::percent(dataset, memory.dataset()))),
        ("peak.percentage", Ratio(Memory::percent(memory.used, memory.peak))),
        ("allocator.allocated", Bytes(memory.used)),
        ("allocator.active", Bytes(memory.resident)),
        ("allocator.resident", Bytes(memory.resident)),
        ("allocator-fragmentation.ratio", Ratio(memory.fragmentation())),
        // The allocator does not say which pages it holds: all that is resident counts as its own.
        ("allocator-fragmentation.bytes", Bytes(memory.fragmentation_bytes() as u64)),
        ("allocator-rss.ratio", Ratio(1.0)),
        ("allocator-rss.bytes", Bytes(0)),
        ("rss-overhead.ratio", Ratio(1.0)),
        ("rss-overhead.bytes", Bytes(0)),
        ("fragmentation", Ratio(memory.fragmentation())),
        ("fragmentation.bytes", Bytes(memory.fragmentation_bytes() as u64)),
    ];
    let filled = counts.spaces.iter().enumerate().filter(|it| it.1.keys != 0);
    let count = before_databases.len() + filled.clone().count() + behind_databases.len();
    context.reply.map(count);
    before_databases.iter().for_each(|it| it.1.put(it.0, context.reply));
    for (db, space) in filled {
        context.reply.bulk(format!("db.{db}").as_bytes());
        context.reply.map(3);
        for (name, bytes) in [
            ("overhead.hashtable.main", tables(space)),
            ("overhead.hashtable.expires", deadlines(space)),
            ("overhead.hashtable.slot-to-keys", 0),
        ] {
            context.reply.bulk(name.as_bytes());
            context.reply.int(bytes as i64);
        }
    }
    behind_databases.iter().for_each(|it| it.1.put(it.0, context.reply));
    Ok(Outcome::Answered)
}

/// A figure of MEMORY STATS.
enum Figure {
    Bytes(u64),
    Ratio(f64),
}

impl Figure {
    fn put(&self, name: &str, reply: &mut Reply) {
        reply.bulk(name.as_bytes());
        match self {
            Figure::Bytes(bytes) => reply.int(*bytes as i64),
            Figure::Ratio(ratio) => reply.double_text(&ratio.to_string()),
        }
    }
}

fn doctor(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (server, now) = (context.server, clock::mono_now());
    let (memory, limit) = (server.memory(), server.settings().set.memory.bytes as u64);
    let found = findings(&Facts {
        used: memory.used,
        peak: memory.peak,
        resident: memory.resident,
        machine: process::machine_bytes(),
        limit,
        exceeded_ms: server.set.eviction.exceeded_ms(now).1,
        kept: server.set.walks().1 as u64,
        buffered: server.client_bytes(),
        clients: server.clients.all().len() as u64,
        scripts: server.scripting.scripts.read().len(),
    });
    match found.as_slice() {
        [] => context.reply.verbatim("Nothing stands out; MEMORY STATS has the figures.\n"),
        found => context.reply.verbatim(&format!("{}\n", found.join("\n"))),
    }
    Ok(Outcome::Answered)
}

fn malloc_stats(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let memory = context.server.memory();
    let (waiting, freed) = (lazyfree::waiting(), lazyfree::freed_lately());
    let text = format!(
        "mimalloc\nblocks in use: {} bytes\nmost so far: {} bytes\ngiven by the system: {} bytes\n\
         in use at the start: {} bytes\nlarge frees that wait: {waiting}, done: {freed}\n",
        memory.used, memory.peak, memory.resident, memory.at_start
    );
    context.reply.verbatim(&text);
    Ok(Outcome::Answered)
}

/// Memory is given back by itself; this is for who does not want to wait that second.
fn purge(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    lazyfree::give_back_soon();
    context.reply.ok();
    Ok(Outcome::Answered)
}
