//! How long the fields of hashes live.

use super::asked_fields::{self, BAD_NUMBER};
use crate::base::time::WallMs;
use crate::command::Arity::AtLeast;
use crate::command::{Args, Event, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::verbs::expire::{Condition, rounded_seconds};
use crate::engine::verbs::strings::lifetime::Clock;
use crate::engine::{DbMut, Effects, Engine, Hash, Row, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const SINCE: &str = "9.0.0";
const EACH: &str = "O(N) where N is the number of specified fields.";

/// The rows of commands that say or ask when fields expire.
pub const ROWS: &[Row] = &[
    row("HEXPIRE", AtLeast(6), FAST, Keys::UPDATE, Write(hexpire)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Lets fields live this many seconds more.",
        "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    row("HPEXPIRE", AtLeast(6), FAST, Keys::UPDATE, Write(hpexpire)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Lets fields live this many milliseconds more.",
        "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    row("HEXPIREAT", AtLeast(6), FAST, Keys::UPDATE, Write(hexpireat)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Lets fields live until a second since 1970.",
        "key unix-time-seconds:integer [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    row("HPEXPIREAT", AtLeast(6), FAST, Keys::UPDATE, Write(hpexpireat)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Lets fields live until a millisecond since 1970.",
        "key unix-time-milliseconds:integer [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    ),
    row("HTTL", AtLeast(5), FAST, Keys::READ, Read(httl)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Answers how many seconds fields have left.",
        "key FIELDS numfields field [field ...]",
    ),
    row("HPTTL", AtLeast(5), FAST, Keys::READ, Read(hpttl)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Answers how many milliseconds fields have left.",
        "key FIELDS numfields field [field ...]",
    ),
    row("HEXPIRETIME", AtLeast(5), FAST, Keys::READ, Read(hexpiretime)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Answers the second since 1970 at which fields expire.",
        "key FIELDS numfields field [field ...]",
    ),
    row("HPEXPIRETIME", AtLeast(5), FAST, Keys::READ, Read(hpexpiretime)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Answers the millisecond since 1970 at which fields expire.",
        "key FIELDS numfields field [field ...]",
    ),
    row("HPERSIST", AtLeast(5), FAST, Keys::UPDATE, Write(hpersist)).says(
        Group::Hash,
        SINCE,
        EACH,
        "Lets fields live without end.",
        "key FIELDS numfields field [field ...]",
    ),
];

/// Fields have been given deadlines.
pub(super) const EXPIRE: Event = Event::hash("hexpire");
/// Fields have lost their deadlines.
pub(super) const PERSIST: Event = Event::hash("hpersist");

/// The replies for a field that is not there, whose deadline stays as it is, that has the new one,
/// and that is gone because that is past.
const NO_FIELD: i64 = -2;
const UNCHANGED: i64 = 0;
const CHANGED: i64 = 1;
const GONE: i64 = 2;
/// The reply for a field that has no deadline.
const NO_DEADLINE: i64 = -1;

fn hexpire(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadlines(Clock::Seconds, "hexpire", engine, args, effects, reply)
}

fn hpexpire(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadlines(Clock::Milliseconds, "hpexpire", engine, args, effects, reply)
}

fn hexpireat(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadlines(Clock::UnixSeconds, "hexpireat", engine, args, effects, reply)
}

fn hpexpireat(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadlines(Clock::UnixMilliseconds, "hpexpireat", engine, args, effects, reply)
}

/// The moment that `number` stands for on `clock`. One that is past is one, but for those before
/// 1970.
pub(super) fn moment(
    clock: Clock,
    number: i64,
    now: WallMs,
    command: &'static str,
) -> Result<WallMs, Fault> {
    let ms = if number < 0 { None } else { clock.unix_ms(number, now) };
    let ms = ms.and_then(|it| u64::try_from(it).ok());
    ms.map(WallMs).ok_or(Fault::InvalidExpire(command))
}

fn set_deadlines(
    clock: Clock,
    command: &'static str,
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, now, mut number) = (args.next()?, args.now(), args);
    args.next()?;
    let behind = asked_fields::words_from(&args)?;
    let condition = Condition::read(&mut args, behind)?;
    let fields = asked_fields::take(&mut args, 1, BAD_NUMBER)?;
    let at = moment(clock, number.int()?, now, command)?;
    let is_past = at <= now;

    let mut changed = Vec::new();
    let change = |hash: &mut Hash, shared: &_| {
        let mut set = |field| {
            if !hash.has(field, shared, now) {
                return NO_FIELD;
            }
            let moment = i64::try_from(at.0).unwrap_or(i64::MAX);
            if !condition.allows(hash.deadline(field, shared), moment) {
                return UNCHANGED;
            }
            changed.push(field);
            match is_past {
                true => {
                    hash.remove(field, shared, now);
                    GONE
                }
                false => {
                    hash.set_deadline(field, Some(at), shared);
                    CHANGED
                }
            }
        };
        reply.array(fields.len());
        fields.clone().for_each(|it| reply.int(set(it)));
        Ok(((), changed.len()))
    };
    let mut db = engine.db_mut(&args);
    let event = if is_past { Event::FIELDS_TAKEN_OUT } else { EXPIRE };
    if db.change(key, event, change)?.is_none() {
        answer_absent(fields.len(), reply);
        return Ok(());
    }
    if !changed.is_empty() {
        say_deadline(&mut db, &args, key, at, &changed, effects);
    }
    Ok(())
}

/// The stream says that these fields have been given this deadline, or are gone since it is past;
/// those are counted.
pub(super) fn say_deadline(
    db: &mut DbMut<'_>,
    args: &Args<'_>,
    key: &[u8],
    at: WallMs,
    fields: &[&[u8]],
    effects: &mut Effects,
) {
    if at <= args.now() {
        db.count_expired_fields(fields.len());
        return asked_fields::say_gone(args.db, key, fields, effects);
    }
    let mut digits = itoa::Buffer::new();
    let words: [&[u8]; 3] = [b"HPEXPIREAT", key, digits.format(at.0).as_bytes()];
    asked_fields::say(args.db, &words, fields, fields.len(), effects);
}

/// The stream says that these fields have no deadline any more.
pub(super) fn say_endless(args: &Args<'_>, key: &[u8], fields: &[&[u8]], effects: &mut Effects) {
    asked_fields::say(args.db, &[b"HPERSIST", key], fields, fields.len(), effects);
}

fn answer_absent(fields: usize, reply: &mut Reply) {
    reply.array(fields);
    (0..fields).for_each(|_| reply.int(NO_FIELD));
}

fn hpersist(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let fields = asked_fields::take(&mut args, 1, BAD_NUMBER)?;

    let mut changed = Vec::new();
    let change = |hash: &mut Hash, shared: &_| {
        let mut set = |field| {
            if !hash.has(field, shared, now) {
                return NO_FIELD;
            }
            if hash.deadline(field, shared).is_none() {
                return NO_DEADLINE;
            }
            changed.push(field);
            hash.set_deadline(field, None, shared);
            CHANGED
        };
        reply.array(fields.len());
        fields.clone().for_each(|it| reply.int(set(it)));
        Ok(((), changed.len()))
    };
    if engine.db_mut(&args).change(key, PERSIST, change)?.is_none() {
        answer_absent(fields.len(), reply);
    }
    if !changed.is_empty() {
        say_endless(&args, key, &changed, effects);
    }
    Ok(())
}

fn httl(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |now, at| rounded_seconds(now.until(at)))
}

fn hpttl(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, WallMs::until)
}

fn hexpiretime(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |_, at| rounded_seconds(at.0))
}

fn hpexpiretime(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |_, at| at.0)
}

/// Answers what `number` makes of the deadline of each field.
fn tell(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
    number: impl Fn(WallMs, WallMs) -> u64,
) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let fields = asked_fields::take(&mut args, 1, Fault::Syntax)?;
    let (db, shared) = (engine.db(&args), engine.shared());
    let Some(hash) = db.collection::<Hash>(key)? else {
        answer_absent(fields.len(), reply);
        return Ok(());
    };
    reply.array(fields.len());
    for field in fields {
        reply.int(match hash.deadline(field, shared) {
            _ if !hash.has(field, shared, now) => NO_FIELD,
            None => NO_DEADLINE,
            Some(at) => i64::try_from(number(now, at)).unwrap_or(i64::MAX),
        });
    }
    Ok(())
}
