//! Streams: entries that are added at the end, and looked at between two ids.

pub mod claims;
pub mod groups;
pub mod info;
pub mod pending;
pub mod reading;
mod shown;
mod told;
mod trimming;
mod words;
#[cfg(test)]
mod tests;

use self::shown::show_entries;
use self::trimming::Options;
use self::words::{end_bound, first_bound, id_of, ids_of};
use super::{changes, length};
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::stream::{AddFault, AddId, Entry, SetIdFault, Stream, StreamId};
use crate::engine::{Effects, Engine, EngineShared, HeardBy, Row, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const FAST_DENYOOM: Flags = FAST.union(Flags::DENYOOM);
const VARIES: &[&str] = &["nondeterministic_output"];

const ADD_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access::UPDATE)
        .noting("It may also take entries out, with MAXLEN or MINID.")]);

/// The rows of what needs no group.
pub const ROWS: &[Row] = &[
    row("XADD", AtLeast(5), FAST_DENYOOM, ADD_KEYS, Write(xadd))
        .says(
            Group::Stream,
            "5.0.0",
            "O(1) when adding a new entry, O(N) when trimming where N being the number of entries \
             evicted.",
            "Adds an entry behind the last one.",
            "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field \
             value [field value ...]",
        )
        .tips(VARIES),
    row("XTRIM", AtLeast(4), Flags::NONE, Keys::DELETE, Write(xtrim))
        .says(
            Group::Stream,
            "5.0.0",
            "O(N), with N being the number of evicted entries. Constant times are very small \
             however, since entries are organized in macro nodes containing multiple entries that \
             can be released with a single deallocation.",
            "Takes entries away from the front.",
            "key (<MAXLEN | MINID> [= | ~] threshold [LIMIT count])",
        )
        .tips(VARIES),
    row("XDEL", AtLeast(3), FAST, Keys::DELETE, Write(xdel)).says(
        Group::Stream,
        "5.0.0",
        "O(1) for each single item to delete in the stream, regardless of the stream size.",
        "Deletes entries.",
        "key id [id ...]",
    ),
    row("XLEN", Exactly(2), FAST, Keys::PEEK, Read(length::of::<Stream>)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Answers how many entries there are.",
        "key",
    ),
    row("XRANGE", AtLeast(4), Flags::NONE, Keys::READ, Read(xrange)).says(
        Group::Stream,
        "5.0.0",
        "O(N) with N being the number of elements being returned. If N is constant (e.g. always \
         asking for the first 10 elements with COUNT), you can consider it O(1).",
        "Answers the entries between two ids.",
        "key start:string end:string [COUNT count]",
    ),
    row("XREVRANGE", AtLeast(4), Flags::NONE, Keys::READ, Read(xrevrange)).says(
        Group::Stream,
        "5.0.0",
        "O(N) with N being the number of elements returned. If N is constant (e.g. always asking \
         for the first 10 elements with COUNT), you can consider it O(1).",
        "Answers the entries between two ids, the last one first.",
        "key end:string start:string [COUNT count]",
    ),
    row("XSETID", AtLeast(3), FAST_DENYOOM, Keys::UPDATE, Write(xsetid)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Sets the last id, and what else a stream remembers.",
        "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    ),
];

const ADDED: Event = Event::stream("xadd");
const TRIMMED: Event = Event::stream("xtrim");
const DELETED: Event = Event::stream("xdel");
const LAST_ID_SET: Event = Event::stream("xsetid");
/// Also of a consumer that comes to be because it reads or claims.
const CONSUMER_CREATED: Event = Event::stream("xgroup-createconsumer");

/// The fault of a stream itself, which has no prefix.
fn fault(text: &str) -> Fault {
    Fault::Message(format!("ERR {text}"))
}

fn xadd(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let options = Options::of_add(&mut args)?;
    let (Some(asked), words) = (options.id, args.left()) else {
        return Err(Fault::WrongArity("xadd".into()));
    };
    if words < 2 || words % 2 == 1 {
        return Err(Fault::WrongArity("xadd".into()));
    }
    if asked == AddId::Exact(StreamId::MIN) {
        return Err(fault(AddFault::Zero.text()));
    }
    let (request, from) = (args.request(), args.request().len() - words);
    let word = |at| request.get(at).unwrap_or_default();
    let fields = (0..words / 2).map(|it| (word(from + 2 * it), word(from + 2 * it + 1)));

    let (now, mut db) = (args.now(), engine.db_mut(&args));
    let add = |stream: &mut Stream, shared: &EngineShared| {
        let (entries, limits) = (&mut stream.entries, shared.thresholds.stream_nodes());
        let id = entries.next_id(asked, now).map_err(|it| fault(it.text()))?;
        entries.add(id, fields, &limits).map_err(|it| fault(it.text()))?;
        let trimmed = options.trim.map(|it| it.apply(entries, &limits));
        Ok(((id, trimmed, options.left(entries)), 1))
    };
    let added = match options.creates {
        true => Some(db.change_or_create(key, ADDED, add)?),
        false => db.change(key, ADDED, add)?,
    };
    let Some((id, trimmed, left)) = added else {
        reply.null();
        return Ok(());
    };
    if let Some(trimmed) = trimmed {
        if trimmed.entries != 0 {
            db.event(TRIMMED, key);
        }
        db.discard_nodes(trimmed.gone);
    }
    let id = id.text();
    options.say(&args, says_other_id(asked).then_some(&*id), left, effects);
    reply.bulk(&id);
    Ok(())
}

/// Whether the stream must say another id than the client.
fn says_other_id(asked: AddId) -> bool {
    !matches!(asked, AddId::Exact(_))
}

fn xtrim(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let (options, trim) = Options::of_trim(&mut args)?;

    let mut db = engine.db_mut(&args);
    let trimmed = db.change_for(key, HeardBy::Watchers, |stream: &mut Stream, shared| {
        let trimmed = trim.apply(&mut stream.entries, &shared.thresholds.stream_nodes());
        let count = trimmed.entries as usize;
        Ok(((count, trimmed.gone, options.left(&stream.entries)), count))
    })?;
    let Some((count, gone, left)) = trimmed else {
        reply.int(0);
        return Ok(());
    };
    db.discard_nodes(gone);
    if count != 0 {
        db.event(TRIMMED, key);
        options.say(&args, None, left, effects);
    }
    reply.count(count);
    Ok(())
}

fn xdel(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, ids) = (args.next()?, args.rest());

    let mut db = engine.db_mut(&args);
    let deleted = db.change_for(key, HeardBy::Watchers, |stream: &mut Stream, _| {
        let ids = ids_of(ids)?;
        let deleted = ids.into_iter().filter(|it| stream.entries.delete(*it)).count();
        Ok((deleted, deleted))
    })?;
    let deleted = deleted.unwrap_or(0);
    if deleted != 0 {
        db.event(DELETED, key);
    }
    changes::answer(deleted, effects, reply);
    Ok(())
}

fn xrange(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, start, end) = (args.next()?, args.next()?, args.next()?);
    let (from, to) = (first_bound(start)?, end_bound(end)?);
    let count = count(&mut args)?;

    let stream = engine.db(&args).collection::<Stream>(key)?;
    show_range(stream.map(|it| it.entries.range(from, to)), count, reply);
    Ok(())
}

fn xrevrange(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, end, start) = (args.next()?, args.next()?, args.next()?);
    let (from, to) = (first_bound(start)?, end_bound(end)?);
    let count = count(&mut args)?;

    let stream = engine.db(&args).collection::<Stream>(key)?;
    show_range(stream.map(|it| it.entries.range_back(from, to)), count, reply);
    Ok(())
}

/// Answers the first `count` of these entries; nothing where there is no stream.
fn show_range<'e>(
    entries: Option<impl Iterator<Item = Entry<'e>>>,
    count: Option<usize>,
    reply: &mut Reply,
) {
    match (entries, count) {
        (None, _) => reply.array(0),
        (Some(_), Some(0)) => reply.null_array(),
        (Some(all), count) => show_entries(all.take(count.unwrap_or(usize::MAX)), reply),
    }
}

/// Takes `[COUNT count]`; a negative count is 0.
fn count(args: &mut Args<'_>) -> Result<Option<usize>, Fault> {
    let mut count = None;
    while args.left() != 0 {
        if args.left() < 2 || !args.word("COUNT") {
            return Err(Fault::Syntax);
        }
        count = Some(args.int()?.max(0) as usize);
    }
    Ok(count)
}

fn xsetid(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, last_id) = (args.next()?, id_of(args.next()?)?);
    let (mut added, mut max_deleted_id) = (None, StreamId::MIN);
    while args.left() != 0 {
        if 2 <= args.left() && args.word("ENTRIESADDED") {
            let count = u64::try_from(args.int()?);
            added = Some(count.map_err(|_| fault("entries_added must be positive"))?);
        } else if 2 <= args.left() && args.word("MAXDELETEDID") {
            max_deleted_id = id_of(args.next()?)?;
            if last_id < max_deleted_id {
                return Err(fault(SetIdFault::SmallerThanDeleted.text()));
            }
        } else {
            return Err(Fault::Syntax);
        }
    }

    let (now, mut db) = (args.now(), engine.db_mut(&args));
    let set = db.change_for(key, HeardBy::Nobody, |stream: &mut Stream, _| {
        let set = match now {
            WallMs::NEVER_EXPIRES => stream.entries.repeat_set_id(last_id, added, max_deleted_id),
            _ => stream.entries.set_id(last_id, added, max_deleted_id),
        };
        set.map(|()| ((), 1)).map_err(|it| fault(it.text()))
    })?;
    set.ok_or(Fault::NoSuchKey)?;
    db.event(LAST_ID_SET, key);
    effects.as_sent();
    reply.ok();
    Ok(())
}
