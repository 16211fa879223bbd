//! Keys of any type: whether they are there, and where they go.

#[cfg(test)]
mod tests;

use super::changes;
use crate::base::limits::DATABASES;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::{DbMut, Effects, Engine, Row, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const ADD: Access = Access(&["OW", "insert"]);
const RENAME_KEYS: Keys = Keys(&[KeySpec::one(1, Access::TAKE), KeySpec::one(2, Access::REPLACE)]);
const RENAMENX_KEYS: Keys = Keys(&[KeySpec::one(1, Access::TAKE), KeySpec::one(2, ADD)]);
const COPY_KEYS: Keys = Keys(&[KeySpec::one(1, Access::READ), KeySpec::one(2, Access::REPLACE)]);
const SAME_OBJECT: Fault = Fault::Static("ERR source and destination objects are the same");
const SHARDS_SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("DEL", AtLeast(2), Flags::NONE, Keys::REMOVE_ALL, Write(del))
        .says(
            Group::Generic,
            "1.0.0",
            "O(N) where N is the number of keys",
            "Removes keys.",
            "key [key ...]",
        )
        .tips(SHARDS_SUM),
    row("UNLINK", AtLeast(2), FAST, Keys::REMOVE_ALL, Write(del))
        .says(
            Group::Generic,
            "4.0.0",
            "O(1) for each key; what it held is freed elsewhere",
            "Removes keys, as DEL does.",
            "key [key ...]",
        )
        .tips(SHARDS_SUM),
    row("EXISTS", AtLeast(2), FAST, Keys::PEEK_ALL, Read(exists))
        .says(
            Group::Generic,
            "1.0.0",
            "O(N) where N is the number of keys",
            "Counts how many of the keys are there.",
            "key [key ...]",
        )
        .tips(SHARDS_SUM),
    row("TOUCH", AtLeast(2), FAST, Keys::PEEK_ALL, Read(touch))
        .says(
            Group::Generic,
            "3.2.1",
            "O(N) where N is the number of keys",
            "Counts how many of the keys are there, and marks them as used now.",
            "key [key ...]",
        )
        .tips(SHARDS_SUM),
    row("TYPE", Exactly(2), FAST, Keys::PEEK, Read(kind)).says(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Names the type of the value at a key.",
        "key",
    ),
    row("RENAME", Exactly(3), Flags::NONE, RENAME_KEYS, Write(rename)).says(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Gives a key another name, replacing what has that name.",
        "key newkey",
    ),
    row("RENAMENX", Exactly(3), FAST, RENAMENX_KEYS, Write(renamenx)).says(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Gives a key another name if nothing has that name.",
        "key newkey",
    ),
    row("COPY", AtLeast(3), Flags::DENYOOM, COPY_KEYS, Write(copy)).says(
        Group::Generic,
        "6.2.0",
        "O(N) where N is the number of elements of a collection; O(1) for strings",
        "Copies the value at a key, with its time to live, to another key.",
        "source destination [DB destination-db] [REPLACE]",
    ),
    row("MOVE", Exactly(3), FAST, Keys::CHANGE, Write(shift)).says(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Moves a key to another database, unless it is there too.",
        "key db",
    ),
];

fn del(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let mut db = engine.db_mut(&args);
    let mut remove = |key: &&[u8]| {
        let removed = db.remove(key);
        if removed {
            db.event(Event::DEL, key);
        }
        removed
    };
    let removed = args.rest().filter(|it| remove(it)).count();
    changes::answer(removed, effects, reply);
    Ok(())
}

fn exists(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let db = engine.db(&args);
    reply.count(args.rest().filter(|key| db.see(key).is_some()).count());
    Ok(())
}

fn touch(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let db = engine.db(&args);
    // What is asked for by name is done for a client with NO-TOUCH, too.
    let use_it = |key: &&[u8]| db.see(key).map(|it| db.touch(it)).is_some();
    reply.count(args.rest().filter(use_it).count());
    Ok(())
}

fn kind(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let found = engine.db(&args).see(args.next()?);
    reply.simple(found.map_or("none", |it| it.kind().name()));
    Ok(())
}

fn rename(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (from, to) = (args.next()?, args.next()?);
    give_name(engine.db_mut(&args), from, to, |_| from != to, effects)?;
    reply.ok();
    Ok(())
}

fn renamenx(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (from, to) = (args.next()?, args.next()?);
    let given = give_name(engine.db_mut(&args), from, to, |db| !db.has(to), effects)?;
    reply.int(i64::from(given));
    Ok(())
}

/// Gives what is at `from` the name `to`, if it may have it. Answers whether it did.
fn give_name(
    mut db: DbMut<'_>,
    from: &[u8],
    to: &[u8],
    may: impl FnOnce(&DbMut<'_>) -> bool,
    effects: &mut Effects,
) -> Result<bool, Fault> {
    if db.used(from).is_none() {
        return Err(Fault::NoSuchKey);
    }
    let slot = if may(&db) { db.take(from) } else { None };
    let given = slot.map(|it| db.put_as(to, it)).is_some();
    if given {
        db.event(Event::generic("rename_from"), from);
        db.event(Event::generic("rename_to"), to);
        effects.as_sent();
    }
    Ok(given)
}

/// Takes a database's number, which must fit C's `int` before it can be out of range.
fn database(args: &mut Args<'_>) -> Result<usize, Fault> {
    const WIDE: Fault =
        Fault::Static("ERR value is out of range, value must between -2147483648 and 2147483647");
    let number = i32::try_from(args.int()?).map_err(|_| WIDE)?;
    let index = usize::try_from(number).ok().filter(|it| *it < DATABASES);
    index.ok_or(Fault::DbOutOfRange)
}

fn shift(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, to) = (args.next()?, database(&mut args)?);
    if to == args.db {
        return Err(SAME_OBJECT);
    }

    if engine.db_mut(&args).used(key).is_none() {
        reply.int(0);
        return Ok(());
    }
    // The gate in front of writes only knows the session's database.
    engine.expire(to, args.now(), key, effects);
    let is_free = !engine.db_mut_at(to, args.now()).has(key);
    let slot = if is_free { engine.db_mut(&args).take(key) } else { None };
    reply.int(i64::from(slot.is_some()));
    if let Some(slot) = slot {
        engine.db_mut_at(to, args.now()).put_as(key, slot);
        engine.db_mut(&args).event(Event::generic("move_from"), key);
        engine.db_mut_at(to, args.now()).event(Event::generic("move_to"), key);
        effects.as_sent();
    }
    Ok(())
}

/// What COPY says behind its keys.
struct CopyOptions {
    to: usize,
    replace: bool,
}

fn copy_options(args: &mut Args<'_>) -> Result<CopyOptions, Fault> {
    let (mut to, mut replace) = (args.db, false);
    while args.left() != 0 {
        if args.word("REPLACE") {
            replace = true;
        } else if 2 <= args.left() && args.word("DB") {
            to = database(args)?;
        } else {
            return Err(Fault::Syntax);
        }
    }
    Ok(CopyOptions { to, replace })
}

fn copy(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (from, key) = (args.next()?, args.next()?);
    let CopyOptions { to, replace } = copy_options(&mut args)?;
    if to == args.db && from == key {
        return Err(SAME_OBJECT);
    }

    let Some(slot) = args.env.looked(from, engine.db_mut(&args).used(from)).cloned() else {
        reply.int(0);
        return Ok(());
    };
    engine.expire(to, args.now(), key, effects);
    if !replace && engine.db_mut_at(to, args.now()).has(key) {
        reply.int(0);
        return Ok(());
    }
    let mut db = engine.db_mut_at(to, args.now());
    db.put_as(key, slot);
    db.event(Event::generic("copy_to"), key);
    effects.as_sent();
    if to == args.db {
        engine.db_mut(&args).share(key).into_iter().for_each(|it| effects.share(it));
    }
    reply.int(1);
    Ok(())
}
