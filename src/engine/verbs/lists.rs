//! Lists: pushed and popped at both ends, looked at and changed anywhere.

pub mod moving;
pub mod blocking;
mod positions;
#[cfg(test)]
mod tests;

use super::{changes, counted, length};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Event, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::packed::Element;
use crate::engine::{Effects, End, Engine, List, Row, Value, row};
use crate::resp::Reply;
use std::ops::Range;

const FAST: Flags = Flags::FAST;
const TRIMMED: Event = Event::list("ltrim");
const FAST_DENYOOM: Flags = FAST.union(Flags::DENYOOM);
const EACH_ADDED: &str = "O(1) for each element added, so O(N) to add N elements when the command \
     is called with multiple arguments.";

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("LPUSH", AtLeast(3), FAST_DENYOOM, Keys::INSERT, Write(lpush)).says(
        Group::List,
        "1.0.0",
        EACH_ADDED,
        "Puts elements at the left end, one after the other.",
        "key element [element ...]",
    ),
    row("RPUSH", AtLeast(3), FAST_DENYOOM, Keys::INSERT, Write(rpush)).says(
        Group::List,
        "1.0.0",
        EACH_ADDED,
        "Puts elements at the right end, one after the other.",
        "key element [element ...]",
    ),
    row("LPUSHX", AtLeast(3), FAST_DENYOOM, Keys::INSERT, Write(lpushx)).says(
        Group::List,
        "2.2.0",
        EACH_ADDED,
        "Puts elements at the left end of a list that is there.",
        "key element [element ...]",
    ),
    row("RPUSHX", AtLeast(3), FAST_DENYOOM, Keys::INSERT, Write(rpushx)).says(
        Group::List,
        "2.2.0",
        EACH_ADDED,
        "Puts elements at the right end of a list that is there.",
        "key element [element ...]",
    ),
    row("LPOP", AtLeast(2), FAST, Keys::TAKE, Write(lpop)).says(
        Group::List,
        "1.0.0",
        "O(N) where N is the number of elements returned",
        "Takes elements away at the left end and answers them.",
        "key [count]",
    ),
    row("RPOP", AtLeast(2), FAST, Keys::TAKE, Write(rpop)).says(
        Group::List,
        "1.0.0",
        "O(N) where N is the number of elements returned",
        "Takes elements away at the right end and answers them.",
        "key [count]",
    ),
    row("LLEN", Exactly(2), FAST, Keys::PEEK, Read(length::of::<List>)).says(
        Group::List,
        "1.0.0",
        "O(1)",
        "Answers how many elements there are.",
        "key",
    ),
    row("LINDEX", Exactly(3), Flags::NONE, Keys::READ, Read(lindex)).says(
        Group::List,
        "1.0.0",
        "O(sqrt(N)) at worst, with a small constant; O(1) near the ends.",
        "Answers the element at an index.",
        "key index",
    ),
    row("LRANGE", Exactly(4), Flags::NONE, Keys::READ, Read(lrange)).says(
        Group::List,
        "1.0.0",
        "O(S+N) where S is what finding the first element takes, as for LINDEX, and N is the \
         number of elements in the range.",
        "Answers the elements between two indexes.",
        "key start stop",
    ),
    row("LPOS", AtLeast(3), Flags::NONE, Keys::READ, Read(positions::lpos)).says(
        Group::List,
        "6.0.6",
        "O(N) where N is the number of elements compared.",
        "Answers the indexes of elements that equal a text.",
        "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    ),
    row("LSET", Exactly(4), Flags::DENYOOM, Keys::UPDATE, Write(lset)).says(
        Group::List,
        "1.0.0",
        "As for LINDEX.",
        "Replaces the element at an index.",
        "key index element",
    ),
    row("LINSERT", Exactly(5), Flags::DENYOOM, Keys::INSERT, Write(linsert)).says(
        Group::List,
        "2.2.0",
        "O(N) where N is the number of elements before the pivot.",
        "Puts an element before or behind the first that equals a pivot.",
        "key <BEFORE | AFTER> pivot element",
    ),
    row("LREM", Exactly(4), Flags::NONE, Keys::DELETE, Write(lrem)).says(
        Group::List,
        "1.0.0",
        "O(N+M) where N is the number of elements compared and M is the number of elements \
         removed.",
        "Takes out elements that equal a text, from either end.",
        "key count element",
    ),
    row("LTRIM", Exactly(4), Flags::NONE, Keys::DELETE, Write(ltrim)).says(
        Group::List,
        "1.0.0",
        "O(N) where N is the number of elements to be removed by the operation.",
        "Keeps only the elements between two indexes.",
        "key start stop",
    ),
];

/// Takes `LEFT` or `RIGHT`.
fn end(args: &mut Args<'_>) -> Result<End, Fault> {
    if args.word("LEFT") {
        return Ok(End::Front);
    }
    if args.word("RIGHT") { Ok(End::Back) } else { Err(Fault::Syntax) }
}

/// Which of `len` elements an index means; negative ones count from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let place = if index < 0 { index + len as i64 } else { index };
    usize::try_from(place).ok().filter(|it| *it < len)
}

/// Which of `len` elements lie between two indexes, both included.
fn span(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_front = |it: i64| if it < 0 { it + len } else { it };
    let start = from_front(start).max(0);
    let stop = from_front(stop).min(len - 1);
    match start <= stop {
        true => start as usize..stop as usize + 1,
        false => 0..0,
    }
}

/// The command that pops at this end.
fn pop_at(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

/// The event of elements that were pushed at this end.
fn pushed(end: End) -> Event {
    match end {
        End::Front => Event::list("lpush"),
        End::Back => Event::list("rpush"),
    }
}

/// The event of elements that were popped at this end.
fn popped(end: End) -> Event {
    match end {
        End::Front => Event::list("lpop"),
        End::Back => Event::list("rpop"),
    }
}

/// Answers `count` elements, or all, from one end on.
fn answer_from(list: &List, end: End, count: usize, reply: &mut Reply) {
    reply.array(count.min(list.len()));
    match end {
        End::Front => list.onward(0).take(count).for_each(|it| it.answer(reply)),
        End::Back => list.backward(usize::MAX).take(count).for_each(|it| it.answer(reply)),
    }
}

fn lpush(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    push(engine, args, End::Front, effects, reply)
}

fn rpush(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    push(engine, args, End::Back, effects, reply)
}

/// From so many texts on a block is written as a whole.
const MANY: usize = 64;

fn push(
    engine: &mut Engine,
    mut args: Args<'_>,
    end: End,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let texts = args.rest();

    let len =
        engine.db_mut(&args).change_or_create(key, pushed(end), |list: &mut List, shared| {
            list.make_room(texts.clone(), shared);
            let added = texts.len();
            match MANY <= added {
                true => list.extend(end, texts, shared),
                false => texts.for_each(|it| list.push(end, it)),
            }
            Ok((list.len(), added))
        })?;
    effects.as_sent();
    reply.count(len);
    Ok(())
}

fn lpushx(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    push_if_there(engine, args, End::Front, effects, reply)
}

fn rpushx(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    push_if_there(engine, args, End::Back, effects, reply)
}

fn push_if_there(
    engine: &mut Engine,
    args: Args<'_>,
    end: End,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.peek().ok_or(Fault::Syntax)?;
    if engine.db_mut(&args).has(key) {
        return push(engine, args, end, effects, reply);
    }
    reply.count(0);
    Ok(())
}

fn lpop(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    pop(engine, args, (End::Front, "lpop"), effects, reply)
}

fn rpop(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    pop(engine, args, (End::Back, "rpop"), effects, reply)
}

fn pop(
    engine: &mut Engine,
    mut args: Args<'_>,
    (end, name): (End, &str),
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    if 1 < args.left() {
        return Err(Fault::WrongArity(name.to_owned()));
    }
    if args.left() == 1 {
        return pop_many(engine, key, args, end, effects, reply);
    }

    match take_one(engine, &args, key, end, reply)? {
        Some(()) => effects.as_sent(),
        None => reply.null(),
    }
    Ok(())
}

/// Takes an element away at one end and answers it, if there is a list.
fn take_one(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    end: End,
    reply: &mut Reply,
) -> Result<Option<()>, Fault> {
    engine.db_mut(args).change(key, popped(end), |list: &mut List, shared| {
        list.first(end).into_iter().for_each(|it| it.answer(reply));
        list.cut(end, 1, shared);
        Ok(((), 1))
    })
}

fn pop_many(
    engine: &mut Engine,
    key: &[u8],
    mut args: Args<'_>,
    end: End,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let count = counted::pops(&mut args)?;

    match take(engine, &args, key, (end, count), reply)? {
        None => reply.null_array(),
        Some(0) => {}
        Some(_) => effects.as_sent(),
    }
    Ok(())
}

/// Takes up to `count` elements away at one end and answers them. Answers how many, unless there is
/// no list.
fn take(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    (end, count): (End, usize),
    reply: &mut Reply,
) -> Result<Option<usize>, Fault> {
    let (mut db, mut gone) = (engine.db_mut(args), None);
    let taken = db.change(key, popped(end), |list: &mut List, shared| {
        let taken = count.min(list.len());
        answer_from(list, end, taken, reply);
        gone = list.cut(end, taken, shared);
        Ok((taken, taken))
    });
    gone.into_iter().for_each(|it| db.discard(Value::List(it)));
    taken
}

fn lindex(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let list: Option<&List> = engine.db(&args).collection(args.next()?)?;
    // Redis reads the index only if there is a list.
    let Some(list) = list else {
        reply.null();
        return Ok(());
    };
    let place = place(args.int()?, list.len());
    match place.and_then(|it| list.get(it)) {
        Some(element) => element.answer(reply),
        None => reply.null(),
    }
    Ok(())
}

fn lrange(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, start, stop) = (args.next()?, args.int()?, args.int()?);
    let list: Option<&List> = engine.db(&args).collection(key)?;
    let Some(list) = list else {
        reply.array(0);
        return Ok(());
    };
    let span = span(start, stop, list.len());
    reply.array(span.len());
    list.onward(span.start).take(span.len()).for_each(|it| it.answer(reply));
    Ok(())
}

fn lset(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;

    let set =
        engine.db_mut(&args).change(key, Event::list("lset"), |list: &mut List, shared| {
            let (index, text) = (args.int()?, args.next()?);
            let place = place(index, list.len()).ok_or(Fault::IndexOutOfRange)?;
            list.make_room(std::iter::once(text), shared);
            list.set(place, text, shared);
            Ok(((), 1))
        })?;
    set.ok_or(Fault::NoSuchKey)?;
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn linsert(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let is_before = args.word("BEFORE");
    if !is_before && !args.word("AFTER") {
        return Err(Fault::Syntax);
    }
    let behind = usize::from(!is_before);
    let (pivot, text) = (args.next()?, args.next()?);

    let len =
        engine.db_mut(&args).change(key, Event::list("linsert"), |list: &mut List, shared| {
            let pivot = Element::of(pivot);
            let Some(place) = list.onward(0).position(|it| it == pivot) else {
                return Ok((None, 0));
            };
            list.make_room(std::iter::once(text), shared);
            list.insert(place + behind, text);
            Ok((Some(list.len()), 1))
        })?;
    match len {
        None => reply.int(0),
        Some(None) => reply.int(-1),
        Some(Some(len)) => {
            effects.as_sent();
            reply.count(len);
        }
    }
    Ok(())
}

fn lrem(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, count, text) = (args.next()?, args.int()?, args.next()?);
    let (end, most) = match count {
        0 => (End::Front, usize::MAX),
        count @ 1.. => (End::Front, count as usize),
        count => (End::Back, count.unsigned_abs() as usize),
    };

    let removed =
        engine.db_mut(&args).change(key, Event::list("lrem"), |list: &mut List, shared| {
            let removed = list.remove_equal(end, text, most, shared);
            Ok((removed, removed))
        })?;
    changes::answer(removed.unwrap_or(0), effects, reply);
    Ok(())
}

fn ltrim(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, start, stop) = (args.next()?, args.int()?, args.int()?);

    let (mut db, mut gone) = (engine.db_mut(&args), [None, None]);
    let cut = db.change(key, TRIMMED, |list: &mut List, shared| {
        let (len, kept) = (list.len(), span(start, stop, list.len()));
        let (behind, before) = (len - kept.end, kept.start);
        gone = [list.cut(End::Back, behind, shared), list.cut(End::Front, before, shared)];
        Ok((len - kept.len(), len - kept.len()))
    })?;
    gone.into_iter().flatten().for_each(|it| db.discard(Value::List(it)));
    match cut {
        // Nothing is cut off: nothing for replicas to repeat, and yet Redis breaks a WATCH of it.
        Some(0) => {
            db.signal(key);
            db.event(TRIMMED, key);
        }
        Some(_) => effects.as_sent(),
        None => {}
    }
    reply.ok();
    Ok(())
}
