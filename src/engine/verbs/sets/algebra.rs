//! Sets made of sets: what they have in common, together, or the first has alone.

use crate::base::number::parse_i64;
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::packed::Element;
use crate::engine::set::algebra;
use crate::engine::verbs::{changes, counted};
use crate::engine::{Effects, Engine, EngineShared, Row, Set, row};
use crate::resp::Reply;
use std::ops::ControlFlow;

const NO_ORDER: &[&str] = &["nondeterministic_output_order"];
const INTERSECTING: &str = "O(N*M) worst case where N is the cardinality of the smallest set and M \
                            is the number of sets.";
const ADDING: &str = "O(N) where N is the total number of elements in all given sets.";
const COUNTED: Keys = Keys(&[KeySpec::counted(1, Access::READ)]);
const SOURCES: KeySpec = KeySpec::range(2, -1, 1, Access::READ);
const INTO_UPDATED: Keys = Keys(&[KeySpec::one(1, Access::UPDATE), SOURCES]);
const INTO_REPLACED: Keys = Keys(&[KeySpec::one(1, Access::REPLACE), SOURCES]);

/// The rows of the algebra.
pub const ROWS: &[Row] = &[
    row("SINTER", AtLeast(2), Flags::NONE, Keys::READ_ALL, Read(sinter))
        .says(Group::Set, "1.0.0", INTERSECTING, "Answers what all sets have.", "key [key ...]")
        .tips(NO_ORDER),
    row("SINTERSTORE", AtLeast(3), Flags::DENYOOM, INTO_UPDATED, Write(sinterstore)).says(
        Group::Set,
        "1.0.0",
        INTERSECTING,
        "Stores what all sets have.",
        "destination key [key ...]",
    ),
    row("SINTERCARD", AtLeast(3), Flags::MOVABLEKEYS, COUNTED, Read(sintercard)).says(
        Group::Set,
        "7.0.0",
        INTERSECTING,
        "Answers how many members all sets have.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
    row("SUNION", AtLeast(2), Flags::NONE, Keys::READ_ALL, Read(sunion))
        .says(Group::Set, "1.0.0", ADDING, "Answers what any of the sets has.", "key [key ...]")
        .tips(NO_ORDER),
    row("SUNIONSTORE", AtLeast(3), Flags::DENYOOM, INTO_REPLACED, Write(sunionstore)).says(
        Group::Set,
        "1.0.0",
        ADDING,
        "Stores what any of the sets has.",
        "destination key [key ...]",
    ),
    row("SDIFF", AtLeast(2), Flags::NONE, Keys::READ_ALL, Read(sdiff))
        .says(
            Group::Set,
            "1.0.0",
            ADDING,
            "Answers what the first set has and no other.",
            "key [key ...]",
        )
        .tips(NO_ORDER),
    row("SDIFFSTORE", AtLeast(3), Flags::DENYOOM, INTO_REPLACED, Write(sdiffstore)).says(
        Group::Set,
        "1.0.0",
        ADDING,
        "Stores what the first set has and no other.",
        "destination key [key ...]",
    ),
];

/// The sets at `keys`, in order; every key is looked at, also behind one that is missing.
fn sets<'e, 'k>(
    engine: &'e Engine,
    args: &Args<'e>,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<Vec<Option<&'e Set>>, Fault> {
    let db = engine.db(args);
    keys.map(|it| db.collection(it)).collect()
}

/// A set made of others.
type Make = fn(&[Option<&Set>], &EngineShared) -> Set;

fn intersection(sets: &[Option<&Set>], shared: &EngineShared) -> Set {
    let sets: Option<Vec<_>> = sets.iter().copied().collect();
    sets.map(|it| algebra::intersection(&it, shared)).unwrap_or_default()
}

/// As [`algebra::common`]; a key without a set has nothing in common with any other.
fn each_common<'s>(
    sets: &[Option<&'s Set>],
    shared: &EngineShared,
    visit: impl FnMut(Element<'s>) -> ControlFlow<()>,
) {
    if let Some(sets) = sets.iter().copied().collect::<Option<Vec<_>>>() {
        algebra::common(&sets, shared, visit);
    }
}

fn union(sets: &[Option<&Set>], shared: &EngineShared) -> Set {
    let sets: Vec<_> = sets.iter().flatten().copied().collect();
    algebra::union(&sets, shared)
}

fn difference(sets: &[Option<&Set>], shared: &EngineShared) -> Set {
    let Some((Some(first), others)) = sets.split_first() else { return Set::default() };
    let others: Vec<_> = others.iter().flatten().copied().collect();
    algebra::difference(first, &others, shared)
}

fn sinter(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let keys = args.rest();
    let sets = sets(engine, &args, keys)?;
    let (mark, mut met) = (reply.mark(), 0);
    each_common(&sets, engine.shared(), |it| {
        met += 1;
        it.answer(reply);
        ControlFlow::Continue(())
    });
    reply.close_set(mark, met);
    Ok(())
}

/// Members at most for which an answer is made a set first, so that it has a set's order.
const ORDERED_MAX: usize = 512;

fn sunion(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let keys = args.rest();
    let (sets, shared) = (sets(engine, &args, keys)?, engine.shared());
    if sets.iter().flatten().map(|it| it.len()).sum::<usize>() <= ORDERED_MAX {
        super::answer_all(Some(&union(&sets, shared)), reply);
        return Ok(());
    }
    let sets: Vec<_> = sets.into_iter().flatten().collect();
    answer_each(reply, |visit| algebra::each_of_any(&sets, shared, visit));
    Ok(())
}

fn sdiff(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let keys = args.rest();
    let (sets, shared) = (sets(engine, &args, keys)?, engine.shared());
    match sets.split_first() {
        Some((Some(first), others)) if ORDERED_MAX < first.len() => {
            let others: Vec<_> = others.iter().flatten().copied().collect();
            answer_each(reply, |visit| algebra::each_alone(first, &others, shared, visit));
        }
        _ => super::answer_all(Some(&difference(&sets, shared)), reply),
    }
    Ok(())
}

/// Answers what is visited.
fn answer_each(reply: &mut Reply, visit_all: impl FnOnce(&mut dyn FnMut(Element<'_>))) {
    let (mark, mut met) = (reply.mark(), 0);
    visit_all(&mut |it| {
        met += 1;
        it.answer(reply);
    });
    reply.close_set(mark, met);
}

fn sinterstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store((intersection, "sinterstore"), engine, args, effects, reply)
}

fn sunionstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store((union, "sunionstore"), engine, args, effects, reply)
}

fn sdiffstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store((difference, "sdiffstore"), engine, args, effects, reply)
}

fn store(
    (make, event): (Make, &'static str),
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let target = args.next()?;
    let keys = args.rest();
    let sets = sets(engine, &args, keys)?;
    let made = make(&sets, engine.shared());

    changes::store(engine, &args, (target, Event::set(event)), made, effects, reply);
    Ok(())
}

const TOO_FEW: Fault = Fault::Static("ERR Number of keys can't be greater than number of args");

fn sintercard(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let keys = counted::keys(&mut args, 0, TOO_FEW)?;
    let limit = limit(&mut args)?;
    let sets = sets(engine, &args, keys.into_iter())?;
    let mut met = 0;
    each_common(&sets, engine.shared(), |_| {
        met += 1;
        if met == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    reply.count(met);
    Ok(())
}

/// `[LIMIT limit]`; 0 is none, also in the answer.
fn limit(args: &mut Args<'_>) -> Result<usize, Fault> {
    const NEGATIVE: Fault = Fault::Static("ERR LIMIT can't be negative");
    let mut limit = 0;
    while args.left() != 0 {
        if args.left() < 2 || !args.word("LIMIT") {
            return Err(Fault::Syntax);
        }
        let number = parse_i64(args.next()?).ok_or(NEGATIVE)?;
        limit = usize::try_from(number).map_err(|_| NEGATIVE)?;
    }
    Ok(limit)
}
