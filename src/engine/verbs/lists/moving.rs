//! LMOVE, RPOPLPUSH and LMPOP: elements that go from one place to another.

use super::{end, pop_at, popped, pushed, take};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::Write;
use crate::engine::verbs::counted::{self, Pop};
use crate::engine::{DbMut, Effects, End, Engine, EngineShared, List, Row, row};
use crate::resp::Reply;
use std::iter;

const TWO_KEYS: Keys = Keys(&[KeySpec::one(1, Access::TAKE), KeySpec::one(2, Access::INSERT)]);
const COUNTED: Keys = Keys(&[KeySpec::counted(1, Access::TAKE)]);

/// The rows of what moves.
pub const ROWS: &[Row] = &[
    row("LMPOP", AtLeast(4), Flags::MOVABLEKEYS, COUNTED, Write(lmpop)).says(
        Group::List,
        "7.0.0",
        "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        "Takes elements away from the first list that is there, and answers them.",
        "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    ),
    row("LMOVE", Exactly(5), Flags::DENYOOM, TWO_KEYS, Write(lmove)).says(
        Group::List,
        "6.2.0",
        "O(1)",
        "Moves an element from an end of one list to an end of another, and answers it.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    ),
    row("RPOPLPUSH", Exactly(3), Flags::DENYOOM, TWO_KEYS, Write(rpoplpush)).says(
        Group::List,
        "1.2.0",
        "O(1)",
        "Moves the last element of one list to the front of another, and answers it.",
        "source destination",
    ),
];

fn lmove(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let keys = (args.next()?, args.next()?);
    let ends = (end(&mut args)?, end(&mut args)?);
    match shift(&mut engine.db_mut(&args), keys, ends, reply)? {
        Some(()) => effects.as_sent(),
        None => reply.null(),
    }
    Ok(())
}

fn rpoplpush(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let keys = (args.next()?, args.next()?);
    match shift(&mut engine.db_mut(&args), keys, (End::Back, End::Front), reply)? {
        Some(()) => effects.as_sent(),
        None => reply.null(),
    }
    Ok(())
}

/// Moves an element and answers it, if there is a source.
pub(super) fn shift(
    db: &mut DbMut<'_>,
    (source, destination): (&[u8], &[u8]),
    (from, to): (End, End),
    reply: &mut Reply,
) -> Result<Option<()>, Fault> {
    let Some(slot) = db.get(source) else { return Ok(None) };
    let first = slot.as_collection::<List>()?.first(from);
    let text = first.map(|it| it.text().into_owned()).unwrap_or_default();
    db.get(destination).map_or(Ok(()), |it| it.as_collection::<List>().map(|_| ()))?;

    if source == destination {
        db.change(source, pushed(to), |list: &mut List, shared| {
            list.cut(from, 1, shared);
            push(list, to, &text, shared);
            Ok(((), 1))
        })?;
        db.event(popped(from), source);
    } else {
        db.change_or_create(destination, pushed(to), |list: &mut List, shared| {
            push(list, to, &text, shared);
            Ok(((), 1))
        })?;
        db.change(source, popped(from), |list: &mut List, shared| {
            list.cut(from, 1, shared);
            Ok(((), 1))
        })?;
    }
    reply.bulk(&text);
    Ok(Some(()))
}

fn push(list: &mut List, end: End, text: &[u8], shared: &EngineShared) {
    list.make_room(iter::once(text), shared);
    list.push(end, text);
}

fn lmpop(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let pop = counted::pop(&mut args, end)?;

    if pop_first(engine, &args, &pop, effects, reply)?.is_none() {
        reply.null_array();
    }
    Ok(())
}

/// Takes elements away from the first list that is there and answers them.
pub(super) fn pop_first(
    engine: &mut Engine,
    args: &Args<'_>,
    pop: &Pop<'_, End>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Option<()>, Fault> {
    let db = engine.db_mut(args);
    let found = pop.keys.iter().find_map(|it| db.get(it).map(|slot| (*it, slot)));
    let Some((key, slot)) = found else { return Ok(None) };
    slot.as_collection::<List>()?;
    reply.array(2);
    reply.bulk(key);
    let taken = take(engine, args, key, (pop.end, pop.count), reply)?.unwrap_or(0);
    effects.propagate(&[pop_at(pop.end), key, itoa::Buffer::new().format(taken).as_bytes()]);
    Ok(Some(()))
}
