//! BLPOP, BRPOP, BLMOVE, BRPOPLPUSH and BLMPOP: as their kin, but they wait for an element.

use super::moving::{pop_first, shift};
use super::{end, pop_at, take_one};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::Blocking;
use crate::engine::verbs::counted;
use crate::engine::verbs::timeout::{keys_and_timeout, read_timeout, timeout};
use crate::engine::{Called, Effects, End, Engine, Kind, Row, row};
use crate::resp::Reply;

const WAITS: Flags = Flags::NOSCRIPT.union(Flags::BLOCKING);
const MOVES: Flags = WAITS.union(Flags::DENYOOM);
const COUNTS: Flags = Flags::BLOCKING.union(Flags::MOVABLEKEYS);
const ALL_BUT_LAST: Keys = Keys(&[KeySpec::range(1, -2, 1, Access::TAKE)]);
const TWO_KEYS: Keys = Keys(&[KeySpec::one(1, Access::TAKE), KeySpec::one(2, Access::INSERT)]);
const COUNTED: Keys = Keys(&[KeySpec::counted(2, Access::TAKE)]);

/// The rows of what waits for lists.
pub const ROWS: &[Row] = &[
    row("BLPOP", AtLeast(3), WAITS, ALL_BUT_LAST, Blocking(blpop)).says(
        Group::List,
        "2.0.0",
        "O(N) where N is the number of provided keys.",
        "Takes the first element of the first list that is there, or waits for one.",
        "key [key ...] timeout:double",
    ),
    row("BRPOP", AtLeast(3), WAITS, ALL_BUT_LAST, Blocking(brpop)).says(
        Group::List,
        "2.0.0",
        "O(N) where N is the number of provided keys.",
        "Takes the last element of the first list that is there, or waits for one.",
        "key [key ...] timeout:double",
    ),
    row("BLMOVE", Exactly(6), MOVES, TWO_KEYS, Blocking(blmove)).says(
        Group::List,
        "6.2.0",
        "O(1)",
        "Moves an element from an end of one list to an end of another, or waits for one.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout:double",
    ),
    row("BRPOPLPUSH", Exactly(4), MOVES, TWO_KEYS, Blocking(brpoplpush)).says(
        Group::List,
        "2.2.0",
        "O(1)",
        "Moves the last element of one list to the front of another, or waits for one.",
        "source destination timeout:double",
    ),
    row("BLMPOP", AtLeast(5), COUNTS, COUNTED, Blocking(blmpop)).says(
        Group::List,
        "7.0.0",
        "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        "Takes elements away from the first list that is there, or waits for one.",
        "timeout:double numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    ),
];

fn blpop(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    pop(engine, args, End::Front, effects, reply)
}

fn brpop(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    pop(engine, args, End::Back, effects, reply)
}

fn pop(
    engine: &mut Engine,
    mut args: Args<'_>,
    end: End,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let (keys, timeout) = keys_and_timeout(&mut args)?;

    let there = keys.clone().find(|it| engine.db_mut(&args).has(it));
    let Some(key) = there else {
        reply.null_array();
        return Ok(Called::block(keys, Kind::List, timeout));
    };
    reply.array(2);
    reply.bulk(key);
    take_one(engine, &args, key, end, reply)?;
    effects.propagate(&[pop_at(end), key]);
    Ok(Called::Done)
}

fn blmove(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let (source, destination) = (args.next()?, args.next()?);
    let ends = (end(&mut args)?, end(&mut args)?);
    let timeout = timeout(&mut args)?;

    let keys = (source, destination);
    if shift(&mut engine.db_mut(&args), keys, ends, reply)?.is_none() {
        reply.null();
        let source = std::iter::once(source);
        return Ok(Called::block(source, Kind::List, timeout));
    }
    let [from, to] = [ends.0, ends.1].map(side);
    effects.propagate(&[b"LMOVE", source, destination, from, to]);
    Ok(Called::Done)
}

/// The word for an end.
fn side(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LEFT",
        End::Back => b"RIGHT",
    }
}

fn brpoplpush(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let (source, destination) = (args.next()?, args.next()?);
    let timeout = timeout(&mut args)?;

    let keys = (source, destination);
    if shift(&mut engine.db_mut(&args), keys, (End::Back, End::Front), reply)?.is_none() {
        reply.null();
        let source = std::iter::once(source);
        return Ok(Called::block(source, Kind::List, timeout));
    }
    effects.propagate(&[b"RPOPLPUSH", source, destination]);
    Ok(Called::Done)
}

fn blmpop(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let waits = args.next()?;
    let pop = counted::pop(&mut args, end)?;
    let timeout = read_timeout(waits, &args)?;

    if pop_first(engine, &args, &pop, effects, reply)?.is_none() {
        reply.null_array();
        return Ok(Called::block(pop.keys.into_iter(), Kind::List, timeout));
    }
    Ok(Called::Done)
}
