//! Sorted sets: members with scores, one by one.

pub mod ranges;
pub mod pops;
pub mod blocking;
pub mod algebra;

use super::named::{self, Named};
use super::shown::{Shown, open_entry};
use super::{chance, length, scan};
use crate::base::number::format_f64;
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Event, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::packed::Element;
use crate::engine::{Effects, Engine, EngineShared, Row, Scored, Zset, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const FAST_DENYOOM: Flags = FAST.union(Flags::DENYOOM);
const BY_CHANCE: &[&str] = &["nondeterministic_output"];

/// The family's rows; ranges, pops and the algebra have their own.
pub const ROWS: &[Row] = &[
    row("ZADD", AtLeast(4), FAST_DENYOOM, Keys::UPDATE, Write(zadd)).says(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        "Gives members their scores and answers how many of them are new.",
        "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
    ),
    row("ZINCRBY", Exactly(4), FAST_DENYOOM, Keys::CHANGE, Write(zincrby)).says(
        Group::SortedSet,
        "1.2.0",
        "O(log(N)) where N is the number of elements in the sorted set.",
        "Adds to the score of a member.",
        "key increment member",
    ),
    row("ZREM", AtLeast(3), FAST, Keys::DELETE, Write(named::remove::<Zset>)).says(
        Group::SortedSet,
        "1.2.0",
        "O(M*log(N)) with N being the number of elements in the sorted set and M the number of \
         elements to be removed.",
        "Takes members out, and removes the key with the last one.",
        "key member [member ...]",
    ),
    row("ZSCORE", Exactly(3), FAST, Keys::READ, Read(zscore)).says(
        Group::SortedSet,
        "1.2.0",
        "O(1)",
        "Answers the score of a member.",
        "key member",
    ),
    row("ZMSCORE", AtLeast(3), FAST, Keys::READ, Read(zmscore)).says(
        Group::SortedSet,
        "6.2.0",
        "O(N) where N is the number of members being requested.",
        "Answers the scores of several members.",
        "key member [member ...]",
    ),
    row("ZCARD", Exactly(2), FAST, Keys::PEEK, Read(length::of::<Zset>)).says(
        Group::SortedSet,
        "1.2.0",
        "O(1)",
        "Answers how many members there are.",
        "key",
    ),
    row("ZRANK", AtLeast(3), FAST, Keys::READ, Read(zrank)).says(
        Group::SortedSet,
        "2.0.0",
        "O(log(N))",
        "Answers how many members come before one.",
        "key member [WITHSCORE]",
    ),
    row("ZREVRANK", AtLeast(3), FAST, Keys::READ, Read(zrevrank)).says(
        Group::SortedSet,
        "2.0.0",
        "O(log(N))",
        "Answers how many members come after one.",
        "key member [WITHSCORE]",
    ),
    row("ZRANDMEMBER", AtLeast(2), Flags::NONE, Keys::READ, Read(zrandmember))
        .says(
            Group::SortedSet,
            "6.2.0",
            "O(N) where N is the number of elements returned",
            "Answers members chosen by chance.",
            "key [count [WITHSCORES]]",
        )
        .tips(BY_CHANCE),
    row("ZSCAN", AtLeast(3), Flags::NONE, Keys::READ, Read(scan::entries::<Zset>))
        .says(
            Group::SortedSet,
            "2.8.0",
            scan::COMPLEXITY,
            "Answers some of the members with their scores, and where to go on.",
            "key cursor [MATCH pattern] [COUNT count]",
        )
        .tips(BY_CHANCE),
];

/// The words of ZADD between the key and the first score.
#[derive(Clone, Copy, Default)]
pub struct Terms {
    /// NX: only members that are not there.
    pub new: bool,
    /// XX: only members that are there.
    pub there: bool,
    /// GT: only to a higher score.
    higher: bool,
    /// LT: only to a lower score.
    lower: bool,
    /// CH: count those whose score has changed, too.
    pub changed: bool,
    /// INCR: add to the score.
    increment: bool,
}

/// What becomes of one member.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Added(f64),
    Updated(f64),
    Same(f64),
    Refused,
}

impl Terms {
    fn read(mut self, args: &mut Args<'_>) -> Terms {
        while let Some(term) = self.term(args) {
            *term = true;
        }
        self
    }

    /// The term that the next word names.
    fn term(&mut self, args: &mut Args<'_>) -> Option<&mut bool> {
        let words = [
            ("NX", &mut self.new),
            ("XX", &mut self.there),
            ("GT", &mut self.higher),
            ("LT", &mut self.lower),
            ("CH", &mut self.changed),
            ("INCR", &mut self.increment),
        ];
        words.into_iter().find(|(it, _)| args.word(it)).map(|(_, term)| term)
    }

    /// Refuses terms that contradict each other, in Redis' order.
    fn check(self, pairs: usize) -> Result<(), Fault> {
        const NEW_AND_THERE: Fault =
            Fault::Static("ERR XX and NX options at the same time are not compatible");
        const TWO_ORDERS: Fault =
            Fault::Static("ERR GT, LT, and/or NX options at the same time are not compatible");
        const MANY_STEPS: Fault =
            Fault::Static("ERR INCR option supports a single increment-element pair");
        if self.new && self.there {
            return Err(NEW_AND_THERE);
        }
        let orders = [self.new, self.higher, self.lower];
        if 1 < orders.into_iter().filter(|it| *it).count() {
            return Err(TWO_ORDERS);
        }
        if self.increment && pairs != 1 {
            return Err(MANY_STEPS);
        }
        Ok(())
    }

    fn decide(self, old: Option<f64>, given: f64) -> Result<Outcome, Fault> {
        const NOT_A_NUMBER: Fault = Fault::Static("ERR resulting score is not a number (NaN)");
        let old = match old {
            None if self.there => return Ok(Outcome::Refused),
            None => return Ok(Outcome::Added(given)),
            Some(_) if self.new => return Ok(Outcome::Refused),
            Some(old) => old,
        };
        let new = if self.increment { old + given } else { given };
        if new.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        let refused = (self.lower && old <= new) || (self.higher && new <= old);
        Ok(match new == old {
            _ if refused => Outcome::Refused,
            true => Outcome::Same(new),
            false => Outcome::Updated(new),
        })
    }
}

/// What ZADD did to all its members.
#[derive(Default)]
pub struct Tally {
    added: usize,
    updated: usize,
    /// The score of the last member that was not refused.
    score: Option<f64>,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Added(score) => (self.added, self.score) = (self.added + 1, Some(score)),
            Outcome::Updated(score) => (self.updated, self.score) = (self.updated + 1, Some(score)),
            Outcome::Same(score) => self.score = Some(score),
            Outcome::Refused => {}
        }
    }

    /// How many members have another score now, or one.
    pub fn changes(&self) -> usize {
        self.added + self.updated
    }

    /// Answers how many there are of those that `terms` ask for.
    pub fn answer(&self, terms: Terms, reply: &mut Reply) {
        reply.count(if terms.changed { self.changes() } else { self.added });
    }
}

fn zadd(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    add(engine, args, Terms::default(), effects, reply)
}

fn zincrby(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    add(engine, args, Terms { increment: true, ..Terms::default() }, effects, reply)
}

fn add(
    engine: &mut Engine,
    mut args: Args<'_>,
    terms: Terms,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let terms = terms.read(&mut args);
    if args.left() == 0 || !args.left().is_multiple_of(2) {
        return Err(Fault::Syntax);
    }
    terms.check(args.left() / 2)?;
    let tally = put(engine, &args, key, terms, pairs(args)?.into_iter())?;
    if tally.changes() != 0 {
        effects.as_sent();
    }
    match (terms.increment, tally.score) {
        (true, Some(score)) => answer_score(score, reply),
        (true, None) => reply.null(),
        (false, _) => tally.answer(terms, reply),
    }
    Ok(())
}

/// Gives members their scores, as far as `terms` allow it.
pub fn put<'p>(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    terms: Terms,
    pairs: impl Iterator<Item = (f64, &'p [u8])>,
) -> Result<Tally, Fault> {
    let mut tally = Tally::default();
    let event = Event::zset(if terms.increment { "zincr" } else { "zadd" });
    engine.db_mut(args).change_or_create(key, event, |zset: &mut Zset, shared| {
        for (given, member) in pairs {
            tally.count(settle(zset, member, shared, |old| terms.decide(old, given))?);
        }
        Ok(((), tally.changes()))
    })?;
    Ok(tally)
}

/// The rest as scores with members: all scores must be numbers before anything changes.
fn pairs<'a>(mut args: Args<'a>) -> Result<Vec<(f64, &'a [u8])>, Fault> {
    let mut pairs = Vec::with_capacity(args.left() / 2);
    while args.left() != 0 {
        pairs.push((args.float()?, args.next()?));
    }
    Ok(pairs)
}

/// Does to a member what `decide` says.
fn settle(
    zset: &mut Zset,
    member: &[u8],
    shared: &EngineShared,
    decide: impl FnOnce(Option<f64>) -> Result<Outcome, Fault>,
) -> Result<Outcome, Fault> {
    zset.update(member, shared, |old| {
        let outcome = decide(old);
        let stored = match outcome {
            Ok(Outcome::Added(score) | Outcome::Updated(score)) => Some(score),
            _ => None,
        };
        (outcome, stored)
    })
}

fn answer_score(score: f64, reply: &mut Reply) {
    reply.double_text(&format_f64(score));
}

fn answer(score: Option<f64>, reply: &mut Reply) {
    match score {
        Some(score) => answer_score(score, reply),
        None => reply.null(),
    }
}

impl Named for Zset {
    type Entry<'c> = Scored<'c>;

    const REMOVE: &'static [u8] = b"ZREM";
    const REMOVED: Event = Event::zset("zrem");

    fn name<'c>(&'c self, (member, _): Scored<'c>) -> Element<'c> {
        member
    }

    fn show((member, score): Scored<'_>, shown: Shown, reply: &mut Reply) {
        open_entry(shown, reply);
        member.answer(reply);
        if shown == Shown::Pairs {
            answer_score(score, reply);
        }
    }

    fn show_met(&self, (member, score): Scored<'_>, _: Shown, reply: &mut Reply) -> usize {
        member.answer(reply);
        // Not a double even in RESP3.
        match self.is_packed() && is_whole(score) {
            true => reply.bulk_int(score as i64),
            false => reply.bulk(format_f64(score).as_bytes()),
        }
        2
    }

    fn remove(&mut self, name: &[u8], shared: &EngineShared, _: WallMs) -> bool {
        Zset::remove(self, name, shared)
    }

    fn scan<'c>(
        &'c self,
        from: Option<u32>,
        at_least: usize,
        _: WallMs,
        visit: impl FnMut(Scored<'c>),
    ) -> Option<u32> {
        Zset::scan(self, from, at_least, visit)
    }

    fn random(&self, random: &mut Random, _: WallMs) -> Option<Scored<'_>> {
        Zset::random(self, random)
    }

    fn sample<'c>(
        &'c self,
        count: usize,
        random: &mut Random,
        _: WallMs,
        visit: impl FnMut(Scored<'c>),
    ) {
        Zset::sample(self, count, random, visit);
    }
}

fn zscore(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, member) = (args.next()?, args.next()?);
    let zset: Option<&Zset> = engine.db(&args).collection(key)?;
    answer(zset.and_then(|it| it.score(member, engine.shared())), reply);
    Ok(())
}

fn zmscore(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let zset: Option<&Zset> = engine.db(&args).collection(key)?;
    reply.array(args.left());
    for member in args.rest() {
        answer(zset.and_then(|it| it.score(member, engine.shared())), reply);
    }
    Ok(())
}

fn zrank(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    ranked(engine, args, "zrank", |rank, _| rank, reply)
}

fn zrevrank(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    ranked(engine, args, "zrevrank", |rank, len| len - 1 - rank, reply)
}

/// Answers a rank as `counted` counts it, and the score if asked.
fn ranked(
    engine: &Engine,
    mut args: Args<'_>,
    name: &str,
    counted: fn(usize, usize) -> usize,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, member) = (args.next()?, args.next()?);
    if 1 < args.left() {
        return Err(Fault::WrongArity(name.to_owned()));
    }
    let with_score = args.word("WITHSCORE");
    args.done()?;

    let zset: Option<&Zset> = engine.db(&args).collection(key)?;
    let found = zset.and_then(|it| it.rank(member, engine.shared()).map(|found| (it.len(), found)));
    match found {
        None if with_score => reply.null_array(),
        None => reply.null(),
        Some((len, (rank, score))) => {
            if with_score {
                reply.array(2);
            }
            reply.count(counted(rank, len));
            if with_score {
                answer_score(score, reply);
            }
        }
    }
    Ok(())
}

fn zrandmember(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let asked = chance::how_many(&mut args, "WITHSCORES")?;
    chance::answer::<Zset>(engine, &args, key, asked, reply)
}

/// Whether a compact form keeps the score as an integer, which is then how a scan shows it.
fn is_whole(score: f64) -> bool {
    const WHOLE: std::ops::Range<f64> = -9.2e18..9.2e18;
    WHOLE.contains(&score) && score.fract() == 0.0
}

#[cfg(test)]
mod tests;
