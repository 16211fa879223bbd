//! Whole databases: emptied, swapped.

use crate::base::limits::DATABASES;
use crate::base::number;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Fault, Flags, Group, Keys};
use crate::engine::Run::Write;
use crate::engine::{Effects, Engine, Row, row};
use crate::resp::Reply;

const ALL_SUCCEED: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("FLUSHDB", AtLeast(1), Flags::DANGEROUS, Keys::NONE, Write(flushdb))
        .says(
            Group::Server,
            "1.0.0",
            "O(1); the keys are freed elsewhere",
            "Removes all keys of the database.",
            "[ASYNC | SYNC]",
        )
        .tips(ALL_SUCCEED),
    row("FLUSHALL", AtLeast(1), Flags::DANGEROUS, Keys::NONE, Write(flushall))
        .says(
            Group::Server,
            "1.0.0",
            "O(1); the keys are freed elsewhere",
            "Removes all keys of all databases.",
            "[ASYNC | SYNC]",
        )
        .tips(ALL_SUCCEED),
    row("SWAPDB", Exactly(3), Flags::FAST.union(Flags::DANGEROUS), Keys::NONE, Write(swapdb)).says(
        Group::Server,
        "4.0.0",
        "O(N) where N is the number of watched keys in both databases",
        "Swaps two databases.",
        "index1 index2",
    ),
];

/// Either word will do: a flushed keyspace is always freed elsewhere.
fn flush_option(args: &mut Args<'_>) -> Result<(), Fault> {
    if args.left() == 1 && !args.word("ASYNC") {
        args.word("SYNC");
    }
    args.done()
}

fn flushdb(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    flush_option(&mut args)?;

    engine.flush(args.db);
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn flushall(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    flush_option(&mut args)?;

    (0..DATABASES).for_each(|it| engine.flush(it));
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn swapdb(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let one = index(args.next()?, "ERR invalid first DB index")?;
    let other = index(args.next()?, "ERR invalid second DB index")?;
    let in_range = |it| usize::try_from(it).ok().filter(|it| *it < DATABASES);
    let one = in_range(one).ok_or(Fault::DbOutOfRange)?;
    let other = in_range(other).ok_or(Fault::DbOutOfRange)?;

    engine.expire_watched(one, other, args.now(), effects);
    engine.swap(one, other);
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn index(word: &[u8], invalid: &'static str) -> Result<i32, Fault> {
    let number = number::parse_i64(word).and_then(|it| i32::try_from(it).ok());
    number.ok_or(Fault::Static(invalid))
}
