//! XINFO: what is known of a stream, its groups and their consumers.

use super::VARIES;
use super::shown::{show_entries, show_id, show_maybe, show_number};
use super::words::no_group;
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Fault, Flags, Group, KeySpec, Keys, help};
use crate::engine::Run::Read;
use crate::engine::stream::{self, Consumer, Rules, Stream, StreamId};
use crate::engine::{Engine, Row, container, row};
use crate::resp::Reply;

const NAMED: Keys = Keys(&[KeySpec::one(2, Access::READ)]);
const HELP_FLAGS: Flags = Flags::LOADING.union(Flags::STALE);
/// As many entries and pending ids XINFO STREAM FULL shows without being asked.
const SHOWN: usize = 10;

/// The container.
pub const ROWS: &[Row] = &[container("XINFO", XINFO).says(
    Group::Stream,
    "5.0.0",
    "Depends on subcommand.",
    "Tells what is known of a stream.",
    "",
)];

/// Times and nodes are those of the member that is asked.
const XINFO: &[Row] = &[
    row("STREAM", AtLeast(3), Flags::AT_MASTER, NAMED, Read(stream)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Tells of a stream, in short or in full.",
        "key [FULL [COUNT count]]",
    ),
    row("GROUPS", Exactly(3), Flags::NONE, NAMED, Read(groups)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Tells of the groups of a stream.",
        "key",
    ),
    row("CONSUMERS", Exactly(4), Flags::AT_MASTER, NAMED, Read(consumers))
        .says(Group::Stream, "5.0.0", "O(1)", "Tells of the consumers of a group.", "key group")
        .tips(VARIES),
    row("HELP", Exactly(2), HELP_FLAGS, Keys::NONE, Read(tell)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Lists the subcommands.",
        "",
    ),
];

fn tell(_: &Engine, _: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    help("XINFO", XINFO.iter().map(|it| &it.spec), reply);
    Ok(())
}

fn find<'e>(engine: &'e Engine, args: &Args<'e>, key: &[u8]) -> Result<&'e Stream, Fault> {
    engine.db(args).collection::<Stream>(key)?.ok_or(Fault::NoSuchKey)
}

fn consumers(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, name) = (args.next()?, args.next()?);

    let group = find(engine, &args, key)?.groups.get(name);
    let group = group.ok_or_else(|| no_group(key, name))?;
    reply.array(group.consumers().len());
    for (_, consumer) in group.consumers().iter() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.count(consumer.pending());
        reply.bulk(b"idle");
        reply.int(since(consumer.seen_ms, args.now()));
        reply.bulk(b"inactive");
        reply.int(consumer.active_ms.map_or(-1, |it| since(it, args.now())));
    }
    Ok(())
}

/// Milliseconds since then. A member that knows it from the log alone does not know when it was.
fn since(ms: i64, now: WallMs) -> i64 {
    if ms == 0 { 0 } else { (now.0 as i64).saturating_sub(ms).max(0) }
}

fn groups(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;

    let stream = find(engine, &args, key)?;
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.count(group.consumers().len());
        reply.bulk(b"pending");
        reply.count(group.pending());
        show_progress(stream, group, reply);
    }
    Ok(())
}

/// How far a group has come: three pairs of a map.
fn show_progress(stream: &Stream, group: &stream::Group, reply: &mut Reply) {
    reply.bulk(b"last-delivered-id");
    show_id(group.last_id, reply);
    reply.bulk(b"entries-read");
    show_number(group.entries_read.map(|it| it as i64), reply);
    reply.bulk(b"lag");
    show_number(group.lag(&stream.entries, Rules::Redis72), reply);
}

/// Takes `[FULL [COUNT count]]`: how much is shown in full, if anything.
fn full(args: &mut Args<'_>) -> Result<Option<usize>, Fault> {
    let wrong = args.misused("XINFO");
    let words = args.left();
    if words == 0 {
        return Ok(None);
    }
    if ![1, 3].contains(&words) || !args.word("FULL") {
        return Err(wrong);
    }
    if words == 1 {
        return Ok(Some(SHOWN));
    }
    if !args.word("COUNT") {
        return Err(wrong);
    }
    Ok(Some(match args.int()? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(SHOWN),
    }))
}

fn stream(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;

    let stream = find(engine, &args, key)?;
    let full = full(&mut args)?;
    reply.map(if full.is_some() { 9 } else { 10 });
    show_stream(stream, reply);
    match full {
        Some(count) => show_full(stream, count, reply),
        None => {
            reply.bulk(b"groups");
            reply.count(stream.groups.len());
            reply.bulk(b"first-entry");
            show_maybe(stream.entries.first(), reply);
            reply.bulk(b"last-entry");
            show_maybe(stream.entries.last(), reply);
        }
    }
    Ok(())
}

/// Seven pairs of a map.
fn show_stream(stream: &Stream, reply: &mut Reply) {
    let entries = &stream.entries;
    reply.bulk(b"length");
    reply.count(stream.len());
    reply.bulk(b"radix-tree-keys");
    reply.count(entries.node_count());
    reply.bulk(b"radix-tree-nodes");
    reply.count(entries.radix_nodes());
    reply.bulk(b"last-generated-id");
    show_id(entries.last_id(), reply);
    reply.bulk(b"max-deleted-entry-id");
    show_id(entries.max_deleted_id(), reply);
    reply.bulk(b"entries-added");
    reply.int(entries.added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    show_id(entries.first_id(), reply);
}

/// Two pairs of a map: the entries, and the groups with what is pending in them.
fn show_full(stream: &Stream, count: usize, reply: &mut Reply) {
    reply.bulk(b"entries");
    show_entries(stream.entries.range(StreamId::MIN, StreamId::MAX).take(count), reply);
    reply.bulk(b"groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        show_progress(stream, group, reply);
        reply.bulk(b"pel-count");
        reply.count(group.pending());
        reply.bulk(b"pending");
        reply.array(group.pending().min(count));
        for (id, pending) in group.pending_iter().take(count) {
            reply.array(4);
            show_id(id, reply);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.int(pending.delivered_ms);
            reply.int(pending.deliveries as i64);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumers().len());
        for (_, consumer) in group.consumers().iter() {
            show_consumer(group, consumer, count, reply);
        }
    }
}

fn show_consumer(group: &stream::Group, consumer: &Consumer, count: usize, reply: &mut Reply) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.int(consumer.seen_ms);
    reply.bulk(b"active-time");
    reply.int(consumer.active_ms.unwrap_or(-1));
    reply.bulk(b"pel-count");
    reply.count(consumer.pending());
    reply.bulk(b"pending");
    reply.array(consumer.pending().min(count));
    for id in consumer.ids().take(count) {
        let pending = group.pending_of(id);
        reply.array(3);
        show_id(id, reply);
        reply.int(pending.map_or(0, |it| it.delivered_ms));
        reply.int(pending.map_or(0, |it| it.deliveries as i64));
    }
}
