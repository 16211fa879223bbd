//! Commands that look at or change fields and say how long they live, or take them out, in one.

use super::asked_fields::{self, BAD_NUMBER};
use super::{SET, answer, expiry};
use crate::base::number;
use crate::base::time::WallMs;
use crate::command::Arity::AtLeast;
use crate::command::{Args, Event, Fault, Flags, Group, Keys};
use crate::engine::Run::{Either, Write};
use crate::engine::verbs::strings::lifetime::Lifetime;
use crate::engine::{Effects, Engine, Hash, KeySlot, Row, row};
use crate::resp::{Reply, Request};

const FAST: Flags = Flags::FAST;
const EACH: &str = "O(N) where N is the number of specified fields.";

/// The rows of these commands.
pub const ROWS: &[Row] = &[
    row(
        "HGETEX",
        AtLeast(5),
        FAST,
        Keys::CHANGE,
        Either { write: hgetex, read: hgetex_read, is_read: is_hgetex_a_read },
    )
    .says(
        Group::Hash,
        "9.0.0",
        EACH,
        "Answers the values of fields, and lets them live until then.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
         PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]",
    ),
    row("HSETEX", AtLeast(6), FAST.union(Flags::DENYOOM), Keys::INSERT, Write(hsetex)).says(
        Group::Hash,
        "9.0.0",
        EACH,
        "Gives fields their values if they are all there, or all are not, and lets them live \
         until then.",
        "key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | \
         PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]",
    ),
    row("HGETDEL", AtLeast(5), FAST, Keys::TAKE, Write(hgetdel)).says(
        Group::Hash,
        "9.1.0",
        "O(N) where N is the number of fields to be retrieved and deleted.",
        "Answers the values of fields and takes them out.",
        "key FIELDS numfields field [field ...]",
    ),
];

/// The moment that the options name, if they name one. It may be past.
fn moment(
    lifetime: Lifetime<'_>,
    now: WallMs,
    command: &'static str,
) -> Result<Option<WallMs>, Fault> {
    let Lifetime::Until(clock, text) = lifetime else { return Ok(None) };
    let number = number::parse_i64(text).ok_or(Fault::NotInteger)?;
    expiry::moment(clock, number, now, command).map(Some)
}

fn is_hgetex_a_read(request: Request<'_>) -> bool {
    request.get(2).is_some_and(|it| it.eq_ignore_ascii_case(b"FIELDS"))
}

fn hgetex_read(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let fields = asked_fields::take(&mut args, 1, BAD_NUMBER)?;
    let (db, shared) = (engine.db(&args), engine.shared());
    let hash: Option<&Hash> = db.collection(key)?;
    reply.array(fields.len());
    fields.for_each(|field| answer(hash.and_then(|it| it.get(field, shared, now)), reply));
    Ok(())
}

fn hgetex(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let behind = asked_fields::words_from(&args)?;
    let mut lifetime = Lifetime::Unsaid;
    while behind < args.left() {
        let word = args.next()?;
        lifetime = match word.eq_ignore_ascii_case(b"PERSIST") {
            true => lifetime.endless()?,
            false => lifetime.until(word, &mut args)?,
        };
    }
    if args.left() != behind {
        return Err(Fault::Syntax);
    }
    let fields = asked_fields::take(&mut args, 1, BAD_NUMBER)?;

    let mut db = engine.db_mut(&args);
    if let Some(slot) = args.env.looked(key, db.get(key)) {
        slot.as_collection::<Hash>()?;
    }
    let at = moment(lifetime, now, "hgetex")?;
    let is_past = at.is_some_and(|at| at <= now);
    let event = match at {
        Some(_) if is_past => Event::FIELDS_TAKEN_OUT,
        Some(_) => expiry::EXPIRE,
        None => expiry::PERSIST,
    };
    let mut changed = Vec::new();
    reply.array(fields.len());
    let change = |hash: &mut Hash, shared: &_| {
        for field in fields.clone() {
            let value = hash.get(field, shared, now);
            let is_there = value.is_some();
            answer(value, reply);
            let had = hash.deadline(field, shared);
            match lifetime {
                _ if !is_there => {}
                Lifetime::Until(..) if is_past => {
                    hash.remove(field, shared, now);
                    changed.push(field);
                }
                Lifetime::Until(..) => {
                    hash.set_deadline(field, at, shared);
                    changed.push(field);
                }
                Lifetime::Endless if had.is_some() => {
                    hash.set_deadline(field, None, shared);
                    changed.push(field);
                }
                _ => {}
            }
        }
        Ok(((), changed.len()))
    };
    if db.change(key, event, change)?.is_none() {
        (0..fields.len()).for_each(|_| reply.null());
    }
    match at {
        _ if changed.is_empty() => {}
        Some(at) => expiry::say_deadline(&mut db, &args, key, at, &changed, effects),
        None => expiry::say_endless(&args, key, &changed, effects),
    }
    Ok(())
}

fn hgetdel(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let fields = asked_fields::take(&mut args, 1, BAD_NUMBER)?;

    let mut gone = Vec::new();
    reply.array(fields.len());
    let change = |hash: &mut Hash, shared: &_| {
        for field in fields.clone() {
            answer(hash.get(field, shared, now), reply);
            if hash.remove(field, shared, now) {
                gone.push(field);
            }
        }
        Ok(((), gone.len()))
    };
    if engine.db_mut(&args).change(key, Event::hash("hdel"), change)?.is_none() {
        (0..fields.len()).for_each(|_| reply.null());
    }
    if !gone.is_empty() {
        asked_fields::say_gone(args.db, key, &gone, effects);
    }
    Ok(())
}

/// What must be there already, or must not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Anything,
    Absent,
    Present,
}

impl Wanted {
    /// The other one may not be said, too.
    fn and(self, other: Wanted) -> Result<Wanted, Fault> {
        if self == Wanted::Anything || self == other { Ok(other) } else { Err(Fault::Syntax) }
    }

    fn allows(self, is_there: bool) -> bool {
        match self {
            Wanted::Anything => true,
            Wanted::Absent => !is_there,
            Wanted::Present => is_there,
        }
    }
}

/// The options of HSETEX.
struct Options<'a> {
    key: Wanted,
    fields: Wanted,
    lifetime: Lifetime<'a>,
}

impl<'a> Options<'a> {
    /// Takes all words but the last `behind`.
    fn read(args: &mut Args<'a>, behind: usize) -> Result<Options<'a>, Fault> {
        let (mut key, mut fields) = (Wanted::Anything, Wanted::Anything);
        let mut lifetime = Lifetime::Unsaid;
        while behind < args.left() {
            if args.word("NX") {
                key = key.and(Wanted::Absent)?;
            } else if args.word("XX") {
                key = key.and(Wanted::Present)?;
            } else if args.word("FNX") {
                fields = fields.and(Wanted::Absent)?;
            } else if args.word("FXX") {
                fields = fields.and(Wanted::Present)?;
            } else if args.word("KEEPTTL") {
                lifetime = lifetime.keep()?;
            } else {
                let word = args.next()?;
                lifetime = lifetime.until(word, args)?;
            }
        }
        match args.left() == behind {
            true => Ok(Options { key, fields, lifetime }),
            false => Err(Fault::Syntax),
        }
    }
}

fn hsetex(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, now) = (args.next()?, args.now());
    let behind = asked_fields::words_from(&args)?;
    let options = Options::read(&mut args, behind)?;
    let words = asked_fields::take(&mut args, 2, BAD_NUMBER)?;

    let (db, fields) = (engine.db_mut(&args), words.clone().step_by(2));
    let hash = db.get(key).map(KeySlot::as_collection::<Hash>).transpose()?;
    if !options.key.allows(hash.is_some()) {
        reply.int(0);
        return Ok(());
    }
    // A bad number goes unnoticed where the key is not as it is wanted.
    let at = moment(options.lifetime, now, "hsetex")?;
    let is_there = |field| hash.is_some_and(|it| it.has(field, db.shared(), now));
    let is_wanted = fields.clone().all(|it| options.fields.allows(is_there(it)));
    reply.int(i64::from(is_wanted));
    match at {
        _ if !is_wanted => Ok(()),
        Some(at) if at <= now => {
            remove_set(engine, &args, key, fields, effects);
            Ok(())
        }
        _ => {
            let pairs = fields.zip(words.skip(1).step_by(2));
            set(engine, &args, (key, options.lifetime, at), pairs, effects)
        }
    }
}

/// Fields are given values until a moment that is past: they are gone.
fn remove_set<'a>(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    fields: impl ExactSizeIterator<Item = &'a [u8]>,
    effects: &mut Effects,
) {
    let (mut db, count) = (engine.db_mut(args), fields.len());
    let was_there = db.has(key);
    if !was_there {
        db.event(Event::NEW, key);
    }
    db.event(SET, key);
    db.event(expiry::EXPIRE, key);
    // What had expired goes, too.
    let remove = |hash: &mut Hash, shared: &_| {
        let gone: Vec<&[u8]> =
            fields.filter(|it| hash.remove(it, shared, WallMs::NEVER_EXPIRES)).collect();
        let count = gone.len();
        Ok((gone, count))
    };
    let gone = db.change(key, Event::FIELDS_TAKEN_OUT, remove).ok().flatten().unwrap_or_default();
    db.count_expired_fields(count);
    if gone.is_empty() {
        db.event(Event::FIELDS_TAKEN_OUT, key);
    } else {
        asked_fields::say_gone(args.db, key, &gone, effects);
    }
    if !was_there {
        db.event(Event::DEL, key);
    }
}

fn set<'a>(
    engine: &mut Engine,
    args: &Args<'_>,
    (key, lifetime, at): (&[u8], Lifetime<'_>, Option<WallMs>),
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone,
    effects: &mut Effects,
) -> Result<(), Fault> {
    let mut db = engine.db_mut(args);
    db.remove_due_fields(key, pairs.clone().map(|it| it.0));
    let keeps = matches!(lifetime, Lifetime::Keep);
    // Those that keep a deadline of their own.
    let (mut kept, mut others) = (Vec::new(), Vec::new());
    let count = pairs.len();
    db.change_or_create(key, SET, |hash: &mut Hash, shared| {
        for (field, value) in pairs {
            let own = if keeps { hash.deadline(field, shared) } else { None };
            hash.set_until(field, value, at.or(own), shared);
            if own.is_some() { &mut kept } else { &mut others }.extend([field, value]);
        }
        Ok(((), count))
    })?;
    if at.is_some() {
        db.event(expiry::EXPIRE, key);
    }
    let mut digits = itoa::Buffer::new();
    if !kept.is_empty() {
        let words: [&[u8]; 3] = [b"HSETEX", key, b"KEEPTTL"];
        asked_fields::say(args.db, &words, &kept, kept.len() / 2, effects);
    }
    match at {
        _ if others.is_empty() => {}
        Some(at) => {
            let words: [&[u8]; 4] = [b"HSETEX", key, b"PXAT", digits.format(at.0).as_bytes()];
            asked_fields::say(args.db, &words, &others, others.len() / 2, effects);
        }
        None => {
            let words = [b"HSET", key].into_iter().chain(others);
            effects.say_all(args.db, words.collect::<Vec<&[u8]>>().into_iter());
        }
    }
    Ok(())
}
