//! Strings.

use crate::base::number;
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::{Effects, Engine, Row, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const GROWS: Flags = Flags::GROWS;
const FAST_GROWS: Flags = FAST.and(GROWS);

/// SET's key, whose access depends on GET.
const SET_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access(&["RW", "access", "update", "variable_flags"]))]);

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("GET", Exactly(2), FAST, Keys::READ, Read(get)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Answers the string at a key.",
        "key",
    ),
    row("SET", AtLeast(3), GROWS, SET_KEYS, Write(set)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Stores a string at a key.",
        "key value",
    ),
    row("INCRBY", Exactly(3), FAST_GROWS, Keys::CHANGE, Write(incrby)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Adds to the integer at a key.",
        "key increment",
    ),
];

fn get(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    reply.maybe(engine.db(&args).string(key)?);
    Ok(())
}

fn set(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, value) = (args.next()?, args.next()?);
    args.done()?;

    let stored = engine.db_mut(&args).put_string(key, value, None);
    effects.as_sent();
    effects.share(stored);
    reply.ok();
    Ok(())
}

fn incrby(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, step) = (args.next()?, args.int()?);
    args.done()?;

    let mut db = engine.db_mut(&args);
    let old = match db.string(key)? {
        None => 0,
        Some(text) => number::parse_i64(text).ok_or(Fault::NotInteger)?,
    };
    let new = old.checked_add(step).ok_or(Fault::Overflow)?;
    let deadline: Option<WallMs> = db.deadline(key);
    let stored = db.put_string(key, itoa::Buffer::new().format(new).as_bytes(), deadline);
    effects.as_sent();
    effects.share(stored);
    reply.int(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::engine::verbs::check::check;

    #[test]
    fn strings() {
        check("strings.txt");
    }
}
