//! SET and its kin, and GETEX: what a string is and until when.

use super::lifetime::{Clock, Lifetime};
use crate::base::limits::ADOPTED_BYTES_MIN;
use crate::base::time::WallMs;
use crate::command::{Args, Event, Fault};
use crate::engine::{Effects, Engine, KeySlot};
use crate::resp::Reply;
use bytes::Bytes;

/// A string is stored.
pub const SET: Event = Event::string("set");
/// It will expire.
pub const EXPIRE: Event = Event::generic("expire");

/// When SET may store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    Always,
    Absent,
    Present,
    /// This string is there.
    Equal(&'a [u8]),
}

impl Condition<'_> {
    fn holds(self, old: Option<&KeySlot>) -> Result<bool, Fault> {
        Ok(match self {
            Condition::Always => true,
            Condition::Absent => old.is_none(),
            Condition::Present => old.is_some(),
            Condition::Equal(value) => old.map(KeySlot::as_string).transpose()? == Some(value),
        })
    }
}

/// SET with all its words.
struct Ask<'a> {
    key: &'a [u8],
    value: &'a [u8],
    condition: Condition<'a>,
    lifetime: Lifetime<'a>,
    wants_old: bool,
}

impl<'a> Ask<'a> {
    fn new(key: &'a [u8], value: &'a [u8]) -> Ask<'a> {
        let (condition, lifetime) = (Condition::Always, Lifetime::Unsaid);
        Ask { key, value, condition, lifetime, wants_old: false }
    }

    fn with_options(mut self, mut args: Args<'a>) -> Result<Ask<'a>, Fault> {
        while args.left() != 0 {
            let word = args.next()?;
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let may_be = |it| [Condition::Always, it].contains(&self.condition);
            if is("NX") && may_be(Condition::Absent) {
                self.condition = Condition::Absent;
            } else if is("XX") && may_be(Condition::Present) {
                self.condition = Condition::Present;
            } else if is("IFEQ") && may_be(Condition::Always) && args.left() != 0 {
                self.condition = Condition::Equal(args.next()?);
            } else if is("GET") {
                self.wants_old = true;
            } else if is("KEEPTTL") {
                self.lifetime = self.lifetime.keep()?;
            } else {
                self.lifetime = self.lifetime.until(word, &mut args)?;
            }
        }
        Ok(self)
    }
}

pub(super) fn set(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, value) = (args.next()?, args.next()?);
    if args.left() != 0 {
        let ask = Ask::new(key, value).with_options(args)?;
        return set_as_asked(ask, engine, args, effects, reply);
    }

    let stored = store(engine, &args, key, value, None);
    effects.as_sent();
    effects.share(stored);
    reply.ok();
    Ok(())
}

fn set_as_asked(
    ask: Ask<'_>,
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let named = ask.lifetime.moment(args.now(), "set")?;

    let db = engine.db_mut(&args);
    let old = db.get(ask.key);
    if ask.wants_old {
        args.env.looked(ask.key, old);
        reply.maybe(old.map(KeySlot::as_string).transpose()?);
    }
    if !ask.condition.holds(old)? {
        if !ask.wants_old {
            reply.null();
        }
        return Ok(());
    }
    let deadline = match ask.lifetime {
        Lifetime::Keep => old.and_then(KeySlot::deadline),
        _ => named,
    };
    let stored = store(engine, &args, ask.key, ask.value, deadline);
    if named.is_some() {
        engine.db_mut(&args).event(EXPIRE, ask.key);
    }
    say_set(&ask, named, args, effects);
    effects.share(stored);
    if !ask.wants_old {
        reply.ok();
    }
    Ok(())
}

/// The stream carries moments, not spans of time, and no question about the old value.
fn say_set(ask: &Ask<'_>, named: Option<WallMs>, args: Args<'_>, effects: &mut Effects) {
    let is_compared = matches!(ask.condition, Condition::Equal(_));
    match named {
        Some(at) => say_until(ask.key, ask.value, at, args, effects),
        None if is_compared => {
            let keeps = matches!(ask.lifetime, Lifetime::Keep);
            let rest: &[&[u8]] = if keeps { &[b"KEEPTTL"] } else { &[] };
            say_with(ask.key, ask.value, rest, args, effects);
        }
        None if ask.wants_old => {
            let is_get = |it: &[u8]| it.eq_ignore_ascii_case(b"GET");
            let words = args.request().iter().enumerate();
            let kept = words.filter(|(at, it)| *at < 3 || !is_get(it)).map(|(_, it)| it);
            effects.propagate(&kept.collect::<Vec<_>>());
        }
        None => effects.as_sent(),
    }
}

fn say_until(key: &[u8], value: &[u8], at: WallMs, args: Args<'_>, effects: &mut Effects) {
    let mut digits = itoa::Buffer::new();
    say_with(key, value, &[b"PXAT", digits.format(at.0).as_bytes()], args, effects);
}

/// SET with these words behind the value.
fn say_with(key: &[u8], value: &[u8], rest: &[&[u8]], args: Args<'_>, effects: &mut Effects) {
    match adopted(&args, value) {
        Some(value) => effects.propagate_long(b"SET", key, value, rest),
        None => {
            let words = [&[b"SET", key, value][..], rest].concat();
            effects.propagate(&words);
        }
    }
}

/// A very long value that a client has sent, where it was read into.
#[inline]
fn adopted(args: &Args<'_>, value: &[u8]) -> Option<Bytes> {
    if value.len() < ADOPTED_BYTES_MIN { None } else { args.env.adopt(value) }
}

/// Stores a string that a client has sent, and says so to subscribers. A very long one stays where
/// it was read into.
#[inline]
fn store(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    value: &[u8],
    deadline: Option<WallMs>,
) -> KeySlot {
    let mut db = engine.db_mut(args);
    let stored = match adopted(args, value) {
        Some(value) => db.put_adopted(key, value, deadline),
        None => db.put_string(key, value, deadline),
    };
    db.event(SET, key);
    stored
}

pub(super) fn setnx(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, value) = (args.next()?, args.next()?);

    if engine.db_mut(&args).has(key) {
        reply.int(0);
        return Ok(());
    }
    let stored = store(engine, &args, key, value, None);
    effects.as_sent();
    effects.share(stored);
    reply.int(1);
    Ok(())
}

pub(super) fn setex(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_until(Clock::Seconds, "setex", engine, args, effects, reply)
}

pub(super) fn psetex(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_until(Clock::Milliseconds, "psetex", engine, args, effects, reply)
}

fn set_until(
    clock: Clock,
    command: &'static str,
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, number, value) = (args.next()?, args.next()?, args.next()?);
    let at = clock.moment(number, args.now(), command)?;

    let stored = store(engine, &args, key, value, Some(at));
    engine.db_mut(&args).event(EXPIRE, key);
    say_until(key, value, at, args, effects);
    effects.share(stored);
    reply.ok();
    Ok(())
}

pub(super) fn getex(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let lifetime = getex_options(args)?;

    let mut db = engine.db_mut(&args);
    // A bad number goes unnoticed when there is nothing it could apply to.
    let Some(slot) = args.env.looked(key, db.get(key)) else {
        reply.null();
        return Ok(());
    };
    let (value, had) = (slot.as_string()?, slot.deadline());
    let at = lifetime.moment(args.now(), "getex")?;
    reply.bulk(value);
    match (lifetime, at) {
        (Lifetime::Until(clock, _), Some(at)) if clock.is_absolute() && at <= args.now() => {
            db.remove(key);
            db.event(Event::DEL, key);
            effects.propagate(&[b"DEL", key]);
        }
        (_, Some(at)) => {
            db.set_deadline(key, Some(at));
            db.event(EXPIRE, key);
            let mut digits = itoa::Buffer::new();
            effects.propagate(&[b"PEXPIREAT", key, digits.format(at.0).as_bytes()]);
        }
        (Lifetime::Endless, None) if had.is_some() => {
            db.set_deadline(key, None);
            db.event(Event::generic("persist"), key);
            effects.propagate(&[b"PERSIST", key]);
        }
        _ => {}
    }
    Ok(())
}

fn getex_options(mut args: Args<'_>) -> Result<Lifetime<'_>, Fault> {
    let mut lifetime = Lifetime::Unsaid;
    while args.left() != 0 {
        let word = args.next()?;
        lifetime = match word.eq_ignore_ascii_case(b"PERSIST") {
            true => lifetime.endless()?,
            false => lifetime.until(word, &mut args)?,
        };
    }
    Ok(lifetime)
}
