//! Strings that are numbers, and counting with them.

use crate::base::extended::Extended;
use crate::base::number;
use crate::command::{Args, Event, Fault};
use crate::engine::{Effects, Engine, Form};
use crate::resp::Reply;

pub(super) fn incr(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    add(engine, args, key, 1, effects, reply)
}

pub(super) fn decr(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    add(engine, args, key, -1, effects, reply)
}

pub(super) fn incrby(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, step) = (args.next()?, args.int()?);
    add(engine, args, key, step, effects, reply)
}

pub(super) fn decrby(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, step) = (args.next()?, args.int()?);
    let step = step.checked_neg().ok_or(Fault::Static("ERR decrement would overflow"))?;
    add(engine, args, key, step, effects, reply)
}

fn add(
    engine: &mut Engine,
    args: Args<'_>,
    key: &[u8],
    step: i64,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let mut db = engine.db_mut(&args);
    let (old, deadline) = match db.get(key) {
        None => (0, None),
        Some(slot) => {
            let old = number::parse_i64(slot.as_string()?).ok_or(Fault::NotInteger)?;
            (old, slot.deadline())
        }
    };
    let new = old.checked_add(step).ok_or(Fault::Overflow)?;
    let stored = db.put_string(key, itoa::Buffer::new().format(new).as_bytes(), deadline);
    db.event(Event::string("incrby"), key);
    effects.as_sent();
    effects.share(stored);
    reply.int(new);
    Ok(())
}

pub(super) fn incrbyfloat(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, step) = (args.next()?, args.next()?);

    let mut db = engine.db_mut(&args);
    let (old, deadline): (&[u8], _) = match db.get(key) {
        None => (b"0", None),
        Some(slot) => (slot.as_string()?, slot.deadline()),
    };
    let old = Extended::parse(old).ok_or(Fault::NotFloat)?;
    let new = old.plus(Extended::parse(step).ok_or(Fault::NotFloat)?);
    if !new.is_finite() {
        return Err(Fault::NanOrInfinity);
    }
    let text = new.to_text();
    let stored = db.put_string_as(Form::Embedded, key, text.as_bytes(), deadline);
    db.event(Event::string("incrbyfloat"), key);
    // The sum itself, so that no replica's arithmetic can differ.
    effects.propagate(&[b"SET", key, text.as_bytes(), b"KEEPTTL"]);
    effects.share(stored);
    reply.bulk(text.as_bytes());
    Ok(())
}
