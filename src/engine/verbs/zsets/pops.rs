//! The members at one end of a sorted set, taken out and answered.

use super::answer_score;
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::Write;
use crate::engine::verbs::counted::{self, Pop};
use crate::engine::{Effects, Engine, EngineShared, Gone, Row, Scored, Zset, row};
use crate::resp::{Protocol, Reply};

const ZMPOP_KEYS: Keys = Keys(&[KeySpec::counted(1, Access::TAKE)]);

/// The rows of what pops.
pub const ROWS: &[Row] = &[
    row("ZPOPMIN", AtLeast(2), Flags::FAST, Keys::TAKE, Write(zpopmin)).says(
        Group::SortedSet,
        "5.0.0",
        "O(log(N)*M) with N being the number of elements in the sorted set, and M being the \
         number of elements popped.",
        "Takes out the members with the lowest scores and answers them.",
        "key [count]",
    ),
    row("ZPOPMAX", AtLeast(2), Flags::FAST, Keys::TAKE, Write(zpopmax)).says(
        Group::SortedSet,
        "5.0.0",
        "O(log(N)*M) with N being the number of elements in the sorted set, and M being the \
         number of elements popped.",
        "Takes out the members with the highest scores and answers them.",
        "key [count]",
    ),
    row("ZMPOP", AtLeast(4), Flags::MOVABLEKEYS, ZMPOP_KEYS, Write(zmpop)).says(
        Group::SortedSet,
        "7.0.0",
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of \
         elements in the sorted set, and M being the number of elements popped.",
        "Takes members out at one end of the first sorted set that has any.",
        "numkeys key [key ...] <MIN | MAX> [COUNT count]",
    ),
];

/// Where to pop.
#[derive(Clone, Copy)]
pub(super) enum End {
    Lowest,
    Highest,
}

impl End {
    /// Takes `MIN` or `MAX`.
    pub(super) fn read(args: &mut Args<'_>) -> Result<End, Fault> {
        if args.word("MIN") {
            return Ok(End::Lowest);
        }
        if args.word("MAX") { Ok(End::Highest) } else { Err(Fault::Syntax) }
    }

    pub(super) fn command(self) -> &'static [u8] {
        match self {
            End::Lowest => b"ZPOPMIN",
            End::Highest => b"ZPOPMAX",
        }
    }

    /// The event of members that were popped.
    pub(super) fn popped(self) -> Event {
        match self {
            End::Lowest => Event::zset("zpopmin"),
            End::Highest => Event::zset("zpopmax"),
        }
    }

    /// Takes out up to `count` members, and shows each, the outermost first.
    fn pop(
        self,
        zset: &mut Zset,
        count: usize,
        shared: &EngineShared,
        show: impl FnMut(Scored<'_>),
    ) -> Gone {
        let (len, count) = (zset.len(), count.min(zset.len()));
        let ranks = match self {
            End::Lowest => 0..count,
            End::Highest => len - count..len,
        };
        match self {
            End::Lowest => zset.take(ranks, shared, show),
            End::Highest => {
                zset.walk_back(ranks.clone()).for_each(show);
                zset.take(ranks, shared, |_| {})
            }
        }
    }
}

fn zpopmin(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    pop_one(engine, args, End::Lowest, effects, reply)
}

fn zpopmax(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    pop_one(engine, args, End::Highest, effects, reply)
}

fn pop_one(
    engine: &mut Engine,
    mut args: Args<'_>,
    end: End,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    if 1 < args.left() {
        return Err(Fault::Syntax);
    }
    let count = if args.left() == 0 { None } else { Some(counted::pops(&mut args)?) };

    let shape = match (reply.protocol(), count) {
        (Protocol::Resp3, Some(_)) => Shape::Nested,
        _ => Shape::Flat,
    };
    let mut db = engine.db_mut(&args);
    let popped = db.change(key, end.popped(), |zset: &mut Zset, shared| {
        let (popped, gone) = pop(zset, end, count.unwrap_or(1), shared, shape, reply);
        Ok(((popped, gone), popped))
    })?;
    let Some((popped, gone)) = popped else {
        reply.array(0);
        return Ok(());
    };
    db.discard_members(gone);
    if popped != 0 {
        effects.as_sent();
    }
    Ok(())
}

/// Whether members and scores follow each other, in an array or in one that the caller has begun,
/// or stand in arrays of two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Flat,
    Open,
    Nested,
}

/// Pops and answers the array of what was popped. Tells how many and what is left to be dropped.
pub(super) fn pop(
    zset: &mut Zset,
    end: End,
    count: usize,
    shared: &EngineShared,
    shape: Shape,
    reply: &mut Reply,
) -> (usize, Gone) {
    let count = count.min(zset.len());
    match shape {
        Shape::Flat => reply.array(2 * count),
        Shape::Open => {}
        Shape::Nested => reply.array(count),
    }
    let gone = end.pop(zset, count, shared, |(member, score)| {
        if shape == Shape::Nested {
            reply.array(2);
        }
        member.answer(reply);
        answer_score(score, reply);
    });
    (count, gone)
}

fn zmpop(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let pop = counted::pop(&mut args, End::read)?;

    if pop_first(engine, &args, &pop, effects, reply)?.is_none() {
        reply.null_array();
    }
    Ok(())
}

/// Takes members out of the first sorted set that is there and answers them.
pub(super) fn pop_first(
    engine: &mut Engine,
    args: &Args<'_>,
    &Pop { ref keys, end, count }: &Pop<'_, End>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Option<()>, Fault> {
    let mut db = engine.db_mut(args);
    for key in keys {
        let popped = db.change(key, end.popped(), |zset: &mut Zset, shared| {
            reply.array(2);
            reply.bulk(key);
            let (popped, gone) = pop(zset, end, count, shared, Shape::Nested, reply);
            Ok(((popped, gone), popped))
        })?;
        if let Some((popped, gone)) = popped {
            db.discard_members(gone);
            let popped = itoa::Buffer::new().format(popped).to_owned();
            effects.propagate(&[end.command(), key, popped.as_bytes()]);
            return Ok(Some(()));
        }
    }
    Ok(None)
}
