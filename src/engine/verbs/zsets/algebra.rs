//! Unions, intersections and differences of sorted sets and of sets, whose members score 1.

use super::answer_score;
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::packed::Element;
use crate::engine::verbs::shown::{Shown, open, open_entry};
use crate::engine::verbs::{changes, counted};
use crate::engine::{
    Effects, Engine, EngineShared, KeySlot, Row, Scored, Set, Value, Zset, row, sort_members,
};
use crate::resp::Reply;
use std::borrow::Cow;
use std::collections::HashMap;

const MOVABLE: Flags = Flags::MOVABLEKEYS;
const MOVABLE_DENYOOM: Flags = MOVABLE.union(Flags::DENYOOM);
const READ_KEYS: Keys = Keys(&[KeySpec::counted(1, Access::READ)]);
const STORE_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access::REPLACE), KeySpec::counted(2, Access::READ)]);

/// The rows of the algebra.
pub const ROWS: &[Row] = &[
    row("ZUNION", AtLeast(3), MOVABLE, READ_KEYS, Read(zunion)).says(
        Group::SortedSet,
        "6.2.0",
        "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being \
         the number of elements in the resulting sorted set.",
        "Answers what is in any of several sorted sets.",
        "numkeys key [key ...] [WEIGHTS weight:integer [weight:integer ...]] [AGGREGATE <SUM | \
         MIN | MAX>] [WITHSCORES]",
    ),
    row("ZINTER", AtLeast(3), MOVABLE, READ_KEYS, Read(zinter)).says(
        Group::SortedSet,
        "6.2.0",
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the \
         number of input sorted sets and M being the number of elements in the resulting sorted \
         set.",
        "Answers what is in all of several sorted sets.",
        "numkeys key [key ...] [WEIGHTS weight:integer [weight:integer ...]] [AGGREGATE <SUM | \
         MIN | MAX>] [WITHSCORES]",
    ),
    row("ZDIFF", AtLeast(3), MOVABLE, READ_KEYS, Read(zdiff)).says(
        Group::SortedSet,
        "6.2.0",
        "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N \
         is the size of the first set, and K is the size of the result set.",
        "Answers what is in the first of several sorted sets only.",
        "numkeys key [key ...] [WITHSCORES]",
    ),
    row("ZUNIONSTORE", AtLeast(4), MOVABLE_DENYOOM, STORE_KEYS, Write(zunionstore)).says(
        Group::SortedSet,
        "2.0.0",
        "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being \
         the number of elements in the resulting sorted set.",
        "Stores what is in any of several sorted sets.",
        "destination numkeys key [key ...] [WEIGHTS weight:integer [weight:integer ...]] \
         [AGGREGATE <SUM | MIN | MAX>]",
    ),
    row("ZINTERSTORE", AtLeast(4), MOVABLE_DENYOOM, STORE_KEYS, Write(zinterstore)).says(
        Group::SortedSet,
        "2.0.0",
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the \
         number of input sorted sets and M being the number of elements in the resulting sorted \
         set.",
        "Stores what is in all of several sorted sets.",
        "destination numkeys key [key ...] [WEIGHTS weight:integer [weight:integer ...]] \
         [AGGREGATE <SUM | MIN | MAX>]",
    ),
    row("ZDIFFSTORE", AtLeast(4), MOVABLE_DENYOOM, STORE_KEYS, Write(zdiffstore)).says(
        Group::SortedSet,
        "6.2.0",
        "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N \
         is the size of the first set, and K is the size of the result set.",
        "Stores what is in the first of several sorted sets only.",
        "destination numkeys key [key ...]",
    ),
    row("ZINTERCARD", AtLeast(3), MOVABLE, READ_KEYS, Read(zintercard)).says(
        Group::SortedSet,
        "7.0.0",
        "O(N*K) worst case with N being the smallest input sorted set, K being the number of \
         input sorted sets.",
        "Answers how many members several sorted sets have in common.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
];

/// A value whose members have scores.
#[derive(Clone, Copy)]
enum Source<'e> {
    Nothing,
    Scored(&'e Zset),
    /// A plain set: every member scores 1.
    Plain(&'e Set),
}

impl<'e> Source<'e> {
    fn of(slot: Option<&'e KeySlot>) -> Result<Source<'e>, Fault> {
        let Some(slot) = slot else { return Ok(Source::Nothing) };
        match slot.value() {
            Some(Value::Zset(zset)) => Ok(Source::Scored(zset)),
            Some(Value::Set(set)) => Ok(Source::Plain(set)),
            _ => Err(Fault::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Source::Nothing => 0,
            Source::Scored(zset) => zset.len(),
            Source::Plain(set) => set.len(),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = Scored<'e>> + 'e> {
        match self {
            Source::Nothing => Box::new(std::iter::empty()),
            Source::Scored(zset) => Box::new(zset.iter()),
            Source::Plain(set) => Box::new(set.iter().map(|it| (it, 1.0))),
        }
    }

    fn score(self, member: &[u8], shared: &EngineShared) -> Option<f64> {
        match self {
            Source::Nothing => None,
            Source::Scored(zset) => zset.score(member, shared),
            Source::Plain(set) => set.has(Element::of(member), shared).then_some(1.0),
        }
    }
}

#[derive(Clone, Copy)]
struct Input<'e> {
    source: Source<'e>,
    weight: f64,
}

impl Input<'_> {
    fn weighed(&self, score: f64) -> f64 {
        self.weight * score
    }
}

/// How two scores of one member become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn read(args: &mut Args<'_>) -> Result<Aggregate, Fault> {
        let all = [("SUM", Aggregate::Sum), ("MIN", Aggregate::Min), ("MAX", Aggregate::Max)];
        let found = all.into_iter().find(|(word, _)| args.word(word));
        found.map(|it| it.1).ok_or(Fault::Syntax)
    }

    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => number(one + other),
            Aggregate::Min if other < one => other,
            Aggregate::Max if one < other => other,
            _ => one,
        }
    }
}

/// Infinities of both signs, and an infinity times 0, cancel each other out.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// Which of the three is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
    /// How many an intersection has.
    Card,
}

/// A request, read.
struct Ask<'e> {
    operation: Operation,
    inputs: Vec<Input<'e>>,
    aggregate: Aggregate,
    shown: Shown,
    limit: usize,
}

/// Which words a command takes besides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Answer,
    Store,
}

impl<'e> Ask<'e> {
    /// Reads everything from the number of keys on.
    fn read(
        engine: &'e Engine,
        mut args: Args<'e>,
        name: &str,
        operation: Operation,
        purpose: Purpose,
    ) -> Result<Ask<'e>, Fault> {
        let inputs = inputs(engine, &mut args, name)?;
        let (aggregate, shown) = (Aggregate::Sum, Shown::Names);
        let mut ask = Ask { operation, inputs, aggregate, shown, limit: 0 };
        while args.left() != 0 {
            ask.read_option(&mut args, purpose)?;
        }
        Ok(ask)
    }

    fn read_option(&mut self, args: &mut Args<'_>, purpose: Purpose) -> Result<(), Fault> {
        const NOT_FLOAT: Fault = Fault::Static("ERR weight value is not a float");
        const NEGATIVE: Fault = Fault::Static("ERR LIMIT can't be negative");
        let weighs = matches!(self.operation, Operation::Union | Operation::Inter);
        if weighs && self.inputs.len() < args.left() && args.word("WEIGHTS") {
            for input in &mut self.inputs {
                input.weight = args.float().map_err(|_| NOT_FLOAT)?;
            }
        } else if weighs && 2 <= args.left() && args.word("AGGREGATE") {
            self.aggregate = Aggregate::read(args)?;
        } else if self.operation == Operation::Card && 2 <= args.left() && args.word("LIMIT") {
            self.limit =
                usize::try_from(args.int().map_err(|_| NEGATIVE)?).map_err(|_| NEGATIVE)?;
        } else if self.operation != Operation::Card
            && purpose == Purpose::Answer
            && args.word("WITHSCORES")
        {
            self.shown = Shown::Pairs;
        } else {
            return Err(Fault::Syntax);
        }
        Ok(())
    }

    /// The members of the result, in order.
    fn result(mut self, shared: &EngineShared) -> Vec<(Cow<'e, [u8]>, f64)> {
        let mut result = match self.operation {
            Operation::Diff => self.difference(shared).collect(),
            Operation::Union => self.union(shared),
            Operation::Inter | Operation::Card => {
                self.smallest_first();
                self.intersection(shared).collect::<Vec<_>>()
            }
        };
        sort_members(&mut result);
        result
    }

    /// Redis adds in this order, which can be seen in the last digit of a sum.
    fn smallest_first(&mut self) {
        self.inputs.sort_by_key(|it| it.source.len());
    }

    fn union(&mut self, shared: &EngineShared) -> Vec<(Cow<'e, [u8]>, f64)> {
        self.smallest_first();
        let hasher = shared.hasher.clone();
        let mut scores: HashMap<Cow<'e, [u8]>, f64, _> = HashMap::with_hasher(hasher);
        for input in &self.inputs {
            for (member, score) in input.source.iter() {
                let score = number(input.weighed(score));
                let aggregated = |it: &mut f64| *it = self.aggregate.of(*it, score);
                scores.entry(member.text()).and_modify(aggregated).or_insert(score);
            }
        }
        scores.into_iter().collect()
    }

    fn intersection(&self, shared: &EngineShared) -> impl Iterator<Item = (Cow<'e, [u8]>, f64)> {
        let (first, others) = self.inputs.split_first().expect("at least one key");
        first.source.iter().filter_map(move |(member, score)| {
            let text = member.text();
            let met = number(first.weighed(score));
            let score = others.iter().try_fold(met, |sum, it| {
                let other = it.source.score(&text, shared)?;
                Some(self.aggregate.of(sum, it.weighed(other)))
            })?;
            Some((text, score))
        })
    }

    fn difference(&self, shared: &EngineShared) -> impl Iterator<Item = (Cow<'e, [u8]>, f64)> {
        let (first, others) = self.inputs.split_first().expect("at least one key");
        let members = first.source.iter().map(|(member, score)| (member.text(), score));
        members.filter(move |(text, _)| {
            others.iter().all(|it| it.source.score(text, shared).is_none())
        })
    }
}

/// `numkeys key [key …]`, with what the keys hold.
fn inputs<'e>(
    engine: &'e Engine,
    args: &mut Args<'e>,
    name: &str,
) -> Result<Vec<Input<'e>>, Fault> {
    let count = usize::try_from(args.int()?).ok().filter(|it| *it != 0).ok_or_else(|| {
        Fault::Message(format!("ERR at least 1 input key is needed for '{name}' command"))
    })?;
    let keys = counted::take(args, count, 0, Fault::Syntax)?;
    let db = engine.db(args);
    let input = |key: &[u8]| Ok(Input { source: Source::of(db.get(key))?, weight: 1.0 });
    keys.into_iter().map(input).collect()
}

fn zunion(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(engine, args, "zunion", Operation::Union, reply)
}

fn zinter(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(engine, args, "zinter", Operation::Inter, reply)
}

fn zdiff(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(engine, args, "zdiff", Operation::Diff, reply)
}

fn answer(
    engine: &Engine,
    args: Args<'_>,
    name: &str,
    operation: Operation,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let ask = Ask::read(engine, args, name, operation, Purpose::Answer)?;
    let shown = ask.shown;
    let result = ask.result(engine.shared());
    open(result.len(), shown, reply);
    for (member, score) in result {
        open_entry(shown, reply);
        reply.bulk(&member);
        if shown == Shown::Pairs {
            answer_score(score, reply);
        }
    }
    Ok(())
}

fn zintercard(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let mut ask = Ask::read(engine, args, "zintercard", Operation::Card, Purpose::Answer)?;
    ask.smallest_first();
    let limit = if ask.limit == 0 { usize::MAX } else { ask.limit };
    reply.count(ask.intersection(engine.shared()).take(limit).count());
    Ok(())
}

fn zunionstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store_result(engine, args, "zunionstore", Operation::Union, effects, reply)
}

fn zinterstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store_result(engine, args, "zinterstore", Operation::Inter, effects, reply)
}

fn zdiffstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store_result(engine, args, "zdiffstore", Operation::Diff, effects, reply)
}

fn store_result(
    engine: &mut Engine,
    mut args: Args<'_>,
    name: &'static str,
    operation: Operation,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let ask = Ask::read(engine, args, name, operation, Purpose::Store)?;
    let shared = engine.shared();
    let result = ask.result(shared);
    let made = Zset::of_sorted(&result, shared);
    changes::store(engine, &args, (key, Event::zset(name)), made, effects, reply);
    Ok(())
}
