//! Sets made of sets: what they have in common, together, or the first has alone.

use crate::base::number::parse_i64;
use crate::command::{Args, Fault};
use crate::engine::packed::Element;
use crate::engine::set::algebra;
use crate::engine::verbs::{changes, counted};
use crate::engine::{Effects, Engine, EngineShared, Set};
use crate::resp::Reply;
use std::ops::ControlFlow;

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

pub(super) fn sinter(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
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

pub(super) fn sunion(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
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

pub(super) fn sdiff(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
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

pub(super) fn sinterstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store(intersection, engine, args, effects, reply)
}

pub(super) fn sunionstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store(union, engine, args, effects, reply)
}

pub(super) fn sdiffstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store(difference, engine, args, effects, reply)
}

fn store(
    make: Make,
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let target = args.next()?;
    let keys = args.rest();
    let sets = sets(engine, &args, keys)?;
    let made = make(&sets, engine.shared());

    changes::store(engine, &args, target, made, effects, reply);
    Ok(())
}

const TOO_FEW: Fault = Fault::Static("ERR Number of keys can't be greater than number of args");

pub(super) fn sintercard(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
) -> Result<(), Fault> {
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
