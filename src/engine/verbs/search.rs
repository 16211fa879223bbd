//! Finding keys whose names one does not know.

use super::scan;
use crate::base::glob::{self, Case};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Fault, Flags, Group, Keys};
use crate::engine::Run::Read;
use crate::engine::table::Slot;
use crate::engine::{Engine, KeySlot, Row, row};
use crate::resp::Reply;

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("KEYS", Exactly(2), Flags::DANGEROUS, Keys::NONE, Read(keys))
        .says(
            Group::Generic,
            "1.0.0",
            "O(N) with N being the number of keys in the database",
            "Names all keys that match a pattern.",
            "pattern",
        )
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    row("SCAN", AtLeast(2), Flags::NONE, Keys::NONE, Read(scan))
        .says(
            Group::Generic,
            "2.8.0",
            "O(1) for every call, O(N) for a walk through all N keys",
            "Walks through the keys of the database, some at a time.",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
        )
        .tips(&["nondeterministic_output", "request_policy:special"]),
    row("RANDOMKEY", Exactly(1), Flags::NONE, Keys::NONE, Read(randomkey))
        .says(Group::Generic, "1.0.0", "O(1)", "Names a key chosen by chance.", "")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    row("DBSIZE", Exactly(1), Flags::FAST, Keys::NONE, Read(dbsize))
        .says(Group::Server, "1.0.0", "O(1)", "Counts the keys of the database.", "")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
];

fn keys(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let pattern = args.next()?;
    let (mark, mut len) = (reply.mark(), 0);
    for slot in engine.db(&args).iter() {
        if glob::matches(pattern, slot.key(), Case::Exact) {
            reply.bulk(slot.key());
            len += 1;
        }
    }
    reply.close_array(mark, len);
    Ok(())
}

fn scan(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let from = scan::cursor(&mut args)?;
    let mut kind: Option<&[u8]> = None;
    let options = scan::Options::read(&mut args, |args| {
        let is_kind = 2 <= args.left() && args.word("TYPE");
        if is_kind {
            kind = Some(args.next()?);
        }
        Ok(is_kind)
    })?;

    let is_kind = |slot: &KeySlot| {
        kind.is_none_or(|it| it.eq_ignore_ascii_case(slot.kind().name().as_bytes()))
    };
    let (mark, mut len) = (reply.mark(), 0);
    let visit = |slot: &KeySlot| {
        if options.fits(slot.key()) && is_kind(slot) {
            reply.bulk(slot.key());
            len += 1;
        }
    };
    let next = from.and_then(|from| engine.db(&args).scan(from, options.count, visit));
    scan::close(reply, mark, next, len);
    Ok(())
}

fn randomkey(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let chosen = engine.db(&args).random(&mut args.env.random());
    reply.maybe(chosen.map(Slot::key));
    Ok(())
}

fn dbsize(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    reply.count(engine.db(&args).len());
    Ok(())
}
