//! Members between two ranks, scores or texts.

use crate::base::number;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::verbs::changes;
use crate::engine::verbs::named::Named;
use crate::engine::verbs::shown::{Shown, open};
use crate::engine::{Effects, Engine, Row, Zset, row};
use crate::resp::Reply;
use std::ops::Range;

const NONE: Flags = Flags::NONE;
/// Where a result is stored, and what it is made of.
pub const STORE_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access::REPLACE), KeySpec::one(2, Access::READ)]);
const COUNTING: &str = "O(log(N)) with N being the number of elements in the sorted set.";
const RANGING: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M \
                       the number of elements returned.";
const LIMITED: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M \
                       the number of elements being returned. If M is constant (e.g. always \
                       asking for the first 10 elements with LIMIT), you can consider it \
                       O(log(N)).";
const STORING: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M \
                       the number of elements stored into the destination key.";
const REMOVING: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M \
                        the number of elements removed by the operation.";

/// A row of this family, all of which are sorted sets'.
const fn says(
    row: Row,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> Row {
    row.says(Group::SortedSet, since, complexity, summary, syntax)
}

/// The rows of the ranges.
pub const ROWS: &[Row] = &[
    says(
        row("ZCOUNT", Exactly(4), Flags::FAST, Keys::READ, Read(zcount)),
        "2.0.0",
        COUNTING,
        "Answers how many members have a score in a range.",
        "key min:double max:double",
    ),
    says(
        row("ZLEXCOUNT", Exactly(4), Flags::FAST, Keys::READ, Read(zlexcount)),
        "2.8.9",
        COUNTING,
        "Answers how many members are in a range of texts.",
        "key min max",
    ),
    says(
        row("ZRANGE", AtLeast(4), NONE, Keys::READ, Read(zrange)),
        "1.2.0",
        RANGING,
        "Answers the members between two ranks, scores or texts.",
        "key start:string stop:string [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    ),
    says(
        row("ZREVRANGE", AtLeast(4), NONE, Keys::READ, Read(zrevrange)),
        "1.2.0",
        RANGING,
        "Answers the members between two ranks, counted from the highest.",
        "key start stop [WITHSCORES]",
    ),
    says(
        row("ZRANGEBYSCORE", AtLeast(4), NONE, Keys::READ, Read(zrangebyscore)),
        "1.0.5",
        LIMITED,
        "Answers the members between two scores.",
        "key min:double max:double [WITHSCORES] [LIMIT offset count]",
    ),
    says(
        row("ZREVRANGEBYSCORE", AtLeast(4), NONE, Keys::READ, Read(zrevrangebyscore)),
        "2.2.0",
        LIMITED,
        "Answers the members between two scores, the highest first.",
        "key max:double min:double [WITHSCORES] [LIMIT offset count]",
    ),
    says(
        row("ZRANGEBYLEX", AtLeast(4), NONE, Keys::READ, Read(zrangebylex)),
        "2.8.9",
        LIMITED,
        "Answers the members between two texts.",
        "key min max [LIMIT offset count]",
    ),
    says(
        row("ZREVRANGEBYLEX", AtLeast(4), NONE, Keys::READ, Read(zrevrangebylex)),
        "2.8.9",
        LIMITED,
        "Answers the members between two texts, the highest first.",
        "key max min [LIMIT offset count]",
    ),
    says(
        row("ZRANGESTORE", AtLeast(5), Flags::DENYOOM, STORE_KEYS, Write(zrangestore)),
        "6.2.0",
        STORING,
        "Stores the members between two ranks, scores or texts.",
        "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    ),
    says(
        row("ZREMRANGEBYRANK", Exactly(4), NONE, Keys::DELETE, Write(zremrangebyrank)),
        "2.0.0",
        REMOVING,
        "Takes out the members between two ranks.",
        "key start stop",
    ),
    says(
        row("ZREMRANGEBYSCORE", Exactly(4), NONE, Keys::DELETE, Write(zremrangebyscore)),
        "1.2.0",
        REMOVING,
        "Takes out the members between two scores.",
        "key min:double max:double",
    ),
    says(
        row("ZREMRANGEBYLEX", Exactly(4), NONE, Keys::DELETE, Write(zremrangebylex)),
        "2.8.9",
        REMOVING,
        "Takes out the members between two texts.",
        "key min max",
    ),
];

/// What the two ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// Which end comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Up,
    Down,
}

/// An end of a range, which is itself inside or outside.
#[derive(Clone, Copy)]
enum End<T> {
    /// Below everything.
    Lowest,
    /// Above everything.
    Highest,
    /// Inside.
    At(T),
    /// Outside.
    Beside(T),
}

impl<T> End<T> {
    /// Whether something comes before a range that begins here; `is_below` and `is_at_most` compare
    /// it with the end.
    fn is_behind(&self, is_below: impl Fn(&T) -> bool, is_at_most: impl Fn(&T) -> bool) -> bool {
        match self {
            End::Lowest => false,
            End::Highest => true,
            End::At(it) => is_below(it),
            End::Beside(it) => is_at_most(it),
        }
    }

    /// Whether something does not come after a range that stops here.
    fn is_ahead(&self, is_below: impl Fn(&T) -> bool, is_at_most: impl Fn(&T) -> bool) -> bool {
        match self {
            End::Lowest => false,
            End::Highest => true,
            End::At(it) => is_at_most(it),
            End::Beside(it) => is_below(it),
        }
    }
}

/// A range before it meets a set.
#[derive(Clone, Copy)]
enum Span<'a> {
    /// From this index to that, both inside; negative ones count from the end.
    Rank(i64, i64),
    Score(End<f64>, End<f64>),
    Lex(End<&'a [u8]>, End<&'a [u8]>),
}

impl<'a> Span<'a> {
    fn read(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Span<'a>, Fault> {
        const NOT_FLOAT: Fault = Fault::Static("ERR min or max is not a float");
        const NOT_TEXT: Fault = Fault::Static("ERR min or max not valid string range item");
        let index = |it: &[u8]| number::parse_i64(it).ok_or(Fault::NotInteger);
        let score = |it: &[u8]| score_end(it).ok_or(NOT_FLOAT);
        let text = |it| text_end(it).ok_or(NOT_TEXT);
        Ok(match by {
            By::Rank => Span::Rank(index(min)?, index(max)?),
            By::Score => Span::Score(score(min)?, score(max)?),
            By::Lex => Span::Lex(text(min)?, text(max)?),
        })
    }

    /// The ranks of what is inside, always from the lowest; `order` says from which end indices
    /// count.
    fn ranks(self, zset: &Zset, order: Order) -> Range<usize> {
        let len = zset.len();
        let (start, end) = match self {
            Span::Rank(start, stop) => {
                let inside = between(start, stop, len);
                match order {
                    Order::Up => (inside.start, inside.end),
                    Order::Down => (len - inside.end, len - inside.start),
                }
            }
            Span::Score(min, max) => (
                zset.count_scores(|it| min.is_behind(|end| it < *end, |end| it <= *end)),
                zset.count_scores(|it| max.is_ahead(|end| it < *end, |end| it <= *end)),
            ),
            Span::Lex(min, max) => (
                zset.count_texts(|it| min.is_behind(|end| it < *end, |end| it <= *end)),
                zset.count_texts(|it| max.is_ahead(|end| it < *end, |end| it <= *end)),
            ),
        };
        start.min(end)..end
    }
}

/// The indices from `start` to `stop` of `len`.
fn between(start: i64, stop: i64, len: usize) -> Range<usize> {
    let from_end = |it: i64| if it < 0 { it.saturating_add(len as i64) } else { it };
    let start = from_end(start).max(0) as u64;
    let end = from_end(stop).saturating_add(1).clamp(0, len as i64) as usize;
    (start.min(end as u64) as usize)..end
}

fn score_end(text: &[u8]) -> Option<End<f64>> {
    match text {
        [b'(', rest @ ..] => number::parse_f64_loosely(rest).map(End::Beside),
        _ => number::parse_f64_loosely(text).map(End::At),
    }
}

fn text_end(text: &[u8]) -> Option<End<&[u8]>> {
    match text {
        [b'-'] | [b'-', 0, ..] => Some(End::Lowest),
        [b'+'] | [b'+', 0, ..] => Some(End::Highest),
        [b'[', rest @ ..] => Some(End::At(rest)),
        [b'(', rest @ ..] => Some(End::Beside(rest)),
        _ => None,
    }
}

/// What a command's name fixes; the rest is up to its options.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    order: Option<Order>,
    /// Whether WITHSCORES is understood: not where nothing is answered.
    scores: Option<Shown>,
}

impl Form {
    const FREE: Form = Form { by: None, order: None, scores: Some(Shown::Pairs) };
    const STORED: Form = Form { scores: None, ..Form::FREE };

    const fn fixed(by: By, order: Order) -> Form {
        Form { by: Some(by), order: Some(order), ..Form::FREE }
    }
}

/// A range as it was asked for.
struct Ask<'a> {
    span: Span<'a>,
    order: Order,
    shown: Shown,
    offset: i64,
    limit: i64,
}

impl<'a> Ask<'a> {
    /// Reads both ends and the options behind them.
    fn read(args: &mut Args<'a>, form: Form) -> Result<Ask<'a>, Fault> {
        let ends = (args.next()?, args.next()?);
        let (mut by, mut order, mut shown) = (form.by, form.order, Shown::Names);
        let (mut offset, mut limit) = (0, -1);
        while args.left() != 0 {
            if let (Some(pairs), true) = (form.scores, is_next(args, "WITHSCORES")) {
                args.next()?;
                shown = pairs;
            } else if 3 <= args.left() && args.word("LIMIT") {
                (offset, limit) = (args.int()?, args.int()?);
            } else if order.is_none() && args.word("REV") {
                order = Some(Order::Down);
            } else if by.is_none() && args.word("BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && args.word("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Fault::Syntax);
            }
        }
        let (by, order) = (by.unwrap_or(By::Rank), order.unwrap_or(Order::Up));
        agree(by, shown, limit)?;
        // By score or text, the end that comes first is said first.
        let (min, max) = match (by, order) {
            (By::Score | By::Lex, Order::Down) => (ends.1, ends.0),
            _ => ends,
        };
        Ok(Ask { span: Span::read(by, min, max)?, order, shown, offset, limit })
    }

    /// The ranks that are asked for, from the lowest.
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let all = self.span.ranks(zset, self.order);
        if let Span::Rank(..) = self.span {
            return all;
        }
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(all.len());
        let count = usize::try_from(self.limit).unwrap_or(usize::MAX).min(all.len() - skipped);
        match self.order {
            Order::Up => all.start + skipped..all.start + skipped + count,
            Order::Down => all.end - skipped - count..all.end - skipped,
        }
    }
}

fn is_next(args: &Args<'_>, word: &str) -> bool {
    args.peek().is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
}

/// Refuses options that do not go together.
fn agree(by: By, shown: Shown, limit: i64) -> Result<(), Fault> {
    const LIMIT: Fault = Fault::Static(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
    );
    const SCORES: Fault =
        Fault::Static("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    match (by, shown) {
        (By::Rank, _) if limit != -1 => Err(LIMIT),
        (By::Lex, Shown::Pairs) => Err(SCORES),
        _ => Ok(()),
    }
}

fn range(engine: &Engine, mut args: Args<'_>, form: Form, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let ask = Ask::read(&mut args, form)?;
    let Some(zset) = engine.db(&args).collection::<Zset>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = ask.ranks(zset);
    open(ranks.len(), ask.shown, reply);
    match ask.order {
        Order::Up => zset.walk(ranks).for_each(|it| Zset::show(it, ask.shown, reply)),
        Order::Down => zset.walk_back(ranks).for_each(|it| Zset::show(it, ask.shown, reply)),
    }
    Ok(())
}

fn zrange(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    range(engine, args, Form::FREE, reply)
}

fn zrevrange(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    range(engine, args, Form::fixed(By::Rank, Order::Down), reply)
}

fn zrangebyscore(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    range(engine, args, Form::fixed(By::Score, Order::Up), reply)
}

fn zrevrangebyscore(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    range(engine, args, Form::fixed(By::Score, Order::Down), reply)
}

fn zrangebylex(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    range(engine, args, Form::fixed(By::Lex, Order::Up), reply)
}

fn zrevrangebylex(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    range(engine, args, Form::fixed(By::Lex, Order::Down), reply)
}

fn count(engine: &Engine, mut args: Args<'_>, by: By, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let span = Span::read(by, args.next()?, args.next()?)?;
    let zset: Option<&Zset> = engine.db(&args).collection(key)?;
    reply.count(zset.map_or(0, |it| span.ranks(it, Order::Up).len()));
    Ok(())
}

fn zcount(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    count(engine, args, By::Score, reply)
}

fn zlexcount(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    count(engine, args, By::Lex, reply)
}

fn zrangestore(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (target, source) = (args.next()?, args.next()?);
    let ask = Ask::read(&mut args, Form::STORED)?;
    let (zset, shared) = (engine.db(&args).collection::<Zset>(source)?, engine.shared());
    let made = match (zset, ask.span) {
        (None, _) => Zset::default(),
        (Some(zset), Span::Rank(..)) => zset.part(ask.ranks(zset), shared),
        (Some(zset), _) => zset.part_by_part(ask.ranks(zset), shared),
    };
    changes::store(engine, &args, (target, Event::zset("zrangestore")), made, effects, reply);
    Ok(())
}

fn remove(
    engine: &mut Engine,
    mut args: Args<'_>,
    (by, event): (By, &'static str),
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let span = Span::read(by, args.next()?, args.next()?)?;
    let mut db = engine.db_mut(&args);
    let removed = db.change(key, Event::zset(event), |zset: &mut Zset, shared| {
        let ranks = span.ranks(zset, Order::Up);
        let removed = ranks.len();
        Ok(((removed, zset.take(ranks, shared, |_| {})), removed))
    })?;
    let (removed, gone) = removed.unwrap_or_default();
    db.discard_members(gone);
    changes::answer(removed, effects, reply);
    Ok(())
}

fn zremrangebyrank(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    remove(engine, args, (By::Rank, "zremrangebyrank"), effects, reply)
}

fn zremrangebyscore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    remove(engine, args, (By::Score, "zremrangebyscore"), effects, reply)
}

fn zremrangebylex(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    remove(engine, args, (By::Lex, "zremrangebylex"), effects, reply)
}
