//! BZPOPMIN, BZPOPMAX and BZMPOP: as their kin, but they wait for a member.

use super::pops::{End, Shape, pop, pop_first};
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::Blocking;
use crate::engine::verbs::counted;
use crate::engine::verbs::timeout::{keys_and_timeout, read_timeout};
use crate::engine::{Called, Effects, Engine, Kind, Row, Zset, row};
use crate::resp::Reply;

const WAITS: Flags = Flags::NOSCRIPT.union(Flags::BLOCKING).union(Flags::FAST);
const COUNTS: Flags = Flags::BLOCKING.union(Flags::MOVABLEKEYS);
const ALL_BUT_LAST: Keys = Keys(&[KeySpec::range(1, -2, 1, Access::TAKE)]);
const COUNTED: Keys = Keys(&[KeySpec::counted(2, Access::TAKE)]);

/// The rows of what waits for sorted sets.
pub const ROWS: &[Row] = &[
    row("BZPOPMIN", AtLeast(3), WAITS, ALL_BUT_LAST, Blocking(bzpopmin)).says(
        Group::SortedSet,
        "5.0.0",
        "O(log(N)) with N being the number of elements in the sorted set.",
        "Takes out the member with the lowest score of the first sorted set that is there, or \
         waits for one.",
        "key [key ...] timeout:double",
    ),
    row("BZPOPMAX", AtLeast(3), WAITS, ALL_BUT_LAST, Blocking(bzpopmax)).says(
        Group::SortedSet,
        "5.0.0",
        "O(log(N)) with N being the number of elements in the sorted set.",
        "Takes out the member with the highest score of the first sorted set that is there, or \
         waits for one.",
        "key [key ...] timeout:double",
    ),
    row("BZMPOP", AtLeast(5), COUNTS, COUNTED, Blocking(bzmpop)).says(
        Group::SortedSet,
        "7.0.0",
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of \
         elements in the sorted set, and M being the number of elements popped.",
        "Takes members out at one end of the first sorted set that is there, or waits for one.",
        "timeout:double numkeys key [key ...] <MIN | MAX> [COUNT count]",
    ),
];

fn bzpopmin(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    pop_one(engine, args, End::Lowest, effects, reply)
}

fn bzpopmax(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    pop_one(engine, args, End::Highest, effects, reply)
}

fn pop_one(
    engine: &mut Engine,
    mut args: Args<'_>,
    end: End,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let (keys, timeout) = keys_and_timeout(&mut args)?;

    let mut db = engine.db_mut(&args);
    let Some(key) = keys.clone().find(|it| db.has(it)) else {
        reply.null_array();
        return Ok(Called::block(keys, Kind::Zset, timeout));
    };
    let gone = db.change(key, end.popped(), |zset: &mut Zset, shared| {
        reply.array(3);
        reply.bulk(key);
        let (popped, gone) = pop(zset, end, 1, shared, Shape::Open, reply);
        Ok((gone, popped))
    })?;
    gone.into_iter().for_each(|it| db.discard_members(it));
    effects.propagate(&[end.command(), key]);
    Ok(Called::Done)
}

fn bzmpop(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let waits = args.next()?;
    let pop = counted::pop(&mut args, End::read)?;
    let timeout = read_timeout(waits, &args)?;

    if pop_first(engine, &args, &pop, effects, reply)?.is_none() {
        reply.null_array();
        return Ok(Called::block(pop.keys.into_iter(), Kind::Zset, timeout));
    }
    Ok(Called::Done)
}
