//! Hashes: fields with values.

mod asked_fields;
pub mod expiry;
pub mod timed;

use super::named::{self, Named};
use super::shown::{Shown, open_entry};
use super::{chance, changes, length, scan};
use crate::base::extended::Extended;
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Event, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::hash::Entry;
use crate::engine::packed::Element;
use crate::engine::{Effects, Engine, EngineShared, Hash, Row, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const FAST_DENYOOM: Flags = FAST.union(Flags::DENYOOM);
const NO_ORDER: &[&str] = &["nondeterministic_output_order"];
const BY_CHANCE: &[&str] = &["nondeterministic_output"];

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("HSET", AtLeast(4), FAST_DENYOOM, Keys::UPDATE, Write(hset)).says(
        Group::Hash,
        "2.0.0",
        "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the \
         command is called with multiple field/value pairs.",
        "Gives fields their values and answers how many of them are new.",
        "key field value [field value ...]",
    ),
    row("HSETNX", Exactly(4), FAST_DENYOOM, Keys::INSERT, Write(hsetnx)).says(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Gives a field a value unless it has one.",
        "key field value",
    ),
    row("HMSET", AtLeast(4), FAST_DENYOOM, Keys::UPDATE, Write(hmset)).says(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields being set.",
        "Gives fields their values.",
        "key field value [field value ...]",
    ),
    row("HGET", Exactly(3), FAST, Keys::READ, Read(hget)).says(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Answers the value of a field.",
        "key field",
    ),
    row("HMGET", AtLeast(3), FAST, Keys::READ, Read(hmget)).says(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields being requested.",
        "Answers the values of several fields.",
        "key field [field ...]",
    ),
    row("HGETALL", Exactly(2), Flags::NONE, Keys::READ, Read(hgetall))
        .says(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the size of the hash.",
            "Answers all fields with their values.",
            "key",
        )
        .tips(NO_ORDER),
    row("HDEL", AtLeast(3), FAST, Keys::DELETE, Write(named::remove::<Hash>)).says(
        Group::Hash,
        "2.0.0",
        "O(N) where N is the number of fields to be removed.",
        "Takes fields out, and removes the key with the last one.",
        "key field [field ...]",
    ),
    row("HLEN", Exactly(2), FAST, Keys::PEEK, Read(length::of::<Hash>)).says(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Answers how many fields there are.",
        "key",
    ),
    row("HSTRLEN", Exactly(3), FAST, Keys::PEEK, Read(hstrlen)).says(
        Group::Hash,
        "3.2.0",
        "O(1)",
        "Answers how long the value of a field is.",
        "key field",
    ),
    row("HEXISTS", Exactly(3), FAST, Keys::PEEK, Read(hexists)).says(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Answers whether a field is there.",
        "key field",
    ),
    row("HKEYS", Exactly(2), Flags::NONE, Keys::READ, Read(hkeys))
        .says(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the size of the hash.",
            "Answers all fields.",
            "key",
        )
        .tips(NO_ORDER),
    row("HVALS", Exactly(2), Flags::NONE, Keys::READ, Read(hvals))
        .says(
            Group::Hash,
            "2.0.0",
            "O(N) where N is the size of the hash.",
            "Answers all values.",
            "key",
        )
        .tips(NO_ORDER),
    row("HINCRBY", Exactly(4), FAST_DENYOOM, Keys::CHANGE, Write(hincrby)).says(
        Group::Hash,
        "2.0.0",
        "O(1)",
        "Adds to the integer in a field.",
        "key field increment",
    ),
    row("HINCRBYFLOAT", Exactly(4), FAST_DENYOOM, Keys::CHANGE, Write(hincrbyfloat)).says(
        Group::Hash,
        "2.6.0",
        "O(1)",
        "Adds to the number in a field.",
        "key field increment:double",
    ),
    row("HRANDFIELD", AtLeast(2), Flags::NONE, Keys::READ, Read(hrandfield))
        .says(
            Group::Hash,
            "6.2.0",
            "O(N) where N is the number of fields returned",
            "Answers fields chosen by chance.",
            "key [count [WITHVALUES]]",
        )
        .tips(BY_CHANCE),
    row("HSCAN", AtLeast(3), Flags::NONE, Keys::READ, Read(scan::entries::<Hash>))
        .says(
            Group::Hash,
            "2.8.0",
            scan::COMPLEXITY,
            "Answers some of the fields with their values, and where to go on.",
            "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        )
        .tips(BY_CHANCE),
];

impl Named for Hash {
    type Entry<'c> = Entry<'c>;

    const NAMES_ONLY: Option<&'static str> = Some("NOVALUES");
    const REMOVE: &'static [u8] = b"HDEL";
    const REMOVED: Event = Event::hash("hdel");

    fn name<'c>(&'c self, (field, _): Entry<'c>) -> Element<'c> {
        field
    }

    fn show(entry: Entry<'_>, shown: Shown, reply: &mut Reply) {
        open_entry(shown, reply);
        answer_entry(entry, shown, reply);
    }

    fn show_met(&self, entry: Entry<'_>, shown: Shown, reply: &mut Reply) -> usize {
        answer_entry(entry, shown, reply);
        if shown == Shown::Pairs { 2 } else { 1 }
    }

    fn remove(&mut self, name: &[u8], shared: &EngineShared, now: WallMs) -> bool {
        Hash::remove(self, name, shared, now)
    }

    fn any_due(&self, now: WallMs) -> bool {
        Hash::any_due(self, now)
    }

    fn live_len(&self, now: WallMs) -> usize {
        Hash::live_len(self, now)
    }

    fn scan<'c>(
        &'c self,
        from: Option<u32>,
        at_least: usize,
        now: WallMs,
        visit: impl FnMut(Entry<'c>),
    ) -> Option<u32> {
        Hash::scan(self, from, at_least, now, visit)
    }

    fn random(&self, random: &mut Random, now: WallMs) -> Option<Entry<'_>> {
        Hash::random(self, random, now)
    }

    fn sample<'c>(
        &'c self,
        count: usize,
        random: &mut Random,
        now: WallMs,
        visit: impl FnMut(Entry<'c>),
    ) {
        Hash::sample(self, count, random, now, visit);
    }
}

const SET: Event = Event::hash("hset");
const ADDED: Event = Event::hash("hincrby");
const ADDED_FLOAT: Event = Event::hash("hincrbyfloat");
const NOT_INTEGER: Fault = Fault::Static("ERR hash value is not an integer");
const NOT_FLOAT: Fault = Fault::Static("ERR hash value is not a float");
const NOT_FINITE: Fault = Fault::Static("ERR value is NaN or Infinity");

fn hset(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    reply.count(set_all(engine, args, effects, "hset")?);
    Ok(())
}

fn hmset(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_all(engine, args, effects, "hmset")?;
    reply.ok();
    Ok(())
}

/// Sets the pairs that follow the key; answers how many of the fields are new.
fn set_all(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    name: &str,
) -> Result<usize, Fault> {
    let key = args.next()?;
    let pairs = args.left() / 2;
    if !args.left().is_multiple_of(2) {
        return Err(Fault::WrongArity(name.to_owned()));
    }

    let mut db = engine.db_mut(&args);
    if db.any_field_due() {
        let mut words = args;
        db.remove_due_fields(key, words.rest().step_by(2));
    }
    let created = db.change_or_create(key, SET, |hash: &mut Hash, shared| {
        let mut created = 0;
        for _ in 0..pairs {
            created += usize::from(hash.set(args.next()?, args.next()?, shared));
        }
        Ok((created, pairs))
    })?;
    effects.as_sent();
    Ok(created)
}

fn hsetnx(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, field, value) = (args.next()?, args.next()?, args.next()?);
    args.done()?;

    let mut db = engine.db_mut(&args);
    let was_due = db.remove_due_fields(key, [field].into_iter()) != 0;
    let created = db.change_or_create(key, SET, |hash: &mut Hash, shared| {
        let created = !hash.has(field, shared, args.now()) && hash.set(field, value, shared);
        Ok((created, usize::from(created)))
    })?;
    if was_due {
        // A replica, which hides nothing, has the field.
        effects.propagate(&[b"HSET", key, field, value]);
        reply.int(1);
        return Ok(());
    }
    changes::answer(usize::from(created), effects, reply);
    Ok(())
}

fn hincrby(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, field, step) = (args.next()?, args.next()?, args.int()?);
    args.done()?;

    let (mut digits, mut db) = (itoa::Buffer::new(), engine.db_mut(&args));
    let was_due = db.remove_due_fields(key, [field].into_iter()) != 0;
    let change = |hash: &mut Hash, shared: &EngineShared| {
        let old = match hash.get(field, shared, args.now()) {
            None => 0,
            Some(value) => value.as_int().ok_or(NOT_INTEGER)?,
        };
        let new = old.checked_add(step).ok_or(Fault::Overflow)?;
        let at = hash.deadline(field, shared);
        hash.set_until(field, digits.format(new).as_bytes(), at, shared);
        Ok(((new, at), 1))
    };
    let (new, at) = db.change_or_create(key, ADDED, change)?;
    match (at, was_due) {
        (None, false) => effects.as_sent(),
        _ => say_value(key, field, digits.format(new).as_bytes(), at, effects),
    }
    reply.int(new);
    Ok(())
}

fn hincrbyfloat(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, field) = (args.next()?, args.next()?);
    let step = Extended::parse(args.next()?).ok_or(Fault::NotFloat)?;
    args.done()?;
    if !step.is_finite() {
        return Err(NOT_FINITE);
    }

    let mut db = engine.db_mut(&args);
    db.remove_due_fields(key, [field].into_iter());
    let change = |hash: &mut Hash, shared: &EngineShared| {
        let new = sum(hash.get(field, shared, args.now()), step)?;
        let at = hash.deadline(field, shared);
        hash.set_until(field, new.as_bytes(), at, shared);
        Ok(((new, at), 1))
    };
    let (new, at) = db.change_or_create(key, ADDED_FLOAT, change)?;
    // A replica that adds for itself could round otherwise.
    say_value(key, field, new.as_bytes(), at, effects);
    reply.bulk(new.as_bytes());
    Ok(())
}

/// The stream names the value that a field has now, and until when.
fn say_value(key: &[u8], field: &[u8], value: &[u8], at: Option<WallMs>, effects: &mut Effects) {
    match at {
        None => effects.propagate(&[b"HSET", key, field, value]),
        Some(at) => {
            let mut digits = itoa::Buffer::new();
            let at = digits.format(at.0).as_bytes();
            effects.propagate(&[b"HSETEX", key, b"PXAT", at, b"FIELDS", b"1", field, value]);
        }
    }
}

fn sum(old: Option<Element<'_>>, step: Extended) -> Result<String, Fault> {
    let old = match old {
        None => return Ok(step.to_text()),
        Some(value) => value.with_text(Extended::parse).ok_or(NOT_FLOAT)?,
    };
    let new = old.plus(step);
    match new.is_finite() {
        true => Ok(new.to_text()),
        false => Err(Fault::NanOrInfinity),
    }
}

/// The fields with their values of the hash at the key, for a command that takes nothing else, and
/// how many they are.
fn all_entries<'e>(
    engine: &'e Engine,
    mut args: Args<'e>,
) -> Result<(usize, impl Iterator<Item = Entry<'e>>), Fault> {
    let (key, now) = (args.next()?, args.now());
    args.done()?;
    let hash: Option<&Hash> = engine.db(&args).collection(key)?;
    let len = hash.map_or(0, |it| it.live_len(now));
    Ok((len, hash.into_iter().flat_map(move |it| it.iter(now))))
}

/// The value of the field at the argument behind the key.
fn value<'e>(engine: &'e Engine, mut args: Args<'e>) -> Result<Option<Element<'e>>, Fault> {
    let (key, field) = (args.next()?, args.next()?);
    let hash: Option<&Hash> = engine.db(&args).collection(key)?;
    Ok(hash.and_then(|it| it.get(field, engine.shared(), args.now())))
}

fn answer(value: Option<Element<'_>>, reply: &mut Reply) {
    match value {
        Some(value) => value.answer(reply),
        None => reply.null(),
    }
}

fn hget(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(value(engine, args)?, reply);
    Ok(())
}

fn hmget(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let hash: Option<&Hash> = engine.db(&args).collection(key)?;
    reply.array(args.left());
    for field in args.rest() {
        answer(hash.and_then(|it| it.get(field, engine.shared(), now)), reply);
    }
    Ok(())
}

fn hstrlen(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    reply.count(value(engine, args)?.map_or(0, Element::text_len));
    Ok(())
}

fn hexists(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    reply.count(usize::from(value(engine, args)?.is_some()));
    Ok(())
}

fn hgetall(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (len, entries) = all_entries(engine, args)?;
    reply.map(len);
    entries.for_each(|it| answer_entry(it, Shown::Pairs, reply));
    Ok(())
}

fn answer_entry((field, value): Entry<'_>, shown: Shown, reply: &mut Reply) {
    field.answer(reply);
    if shown == Shown::Pairs {
        value.answer(reply);
    }
}

fn hkeys(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (len, entries) = all_entries(engine, args)?;
    reply.array(len);
    entries.for_each(|(field, _)| field.answer(reply));
    Ok(())
}

fn hvals(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (len, entries) = all_entries(engine, args)?;
    reply.array(len);
    entries.for_each(|(_, value)| value.answer(reply));
    Ok(())
}

fn hrandfield(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let asked = chance::how_many(&mut args, "WITHVALUES")?;
    chance::answer::<Hash>(engine, &args, key, asked, reply)
}

#[cfg(test)]
mod tests;
