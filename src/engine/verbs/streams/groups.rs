//! XGROUP: groups, and their consumers.

use super::words::{id_of, no_group};
use super::{CONSUMER_CREATED, fault};
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys, help};
use crate::engine::Run::{Read, Write};
use crate::engine::stream::{self, Entries, Stream, StreamId};
use crate::engine::{Effects, Engine, HeardBy, Row, container, row};
use crate::resp::Reply;

const NO_KEY: Fault = Fault::Static(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
     use the MKSTREAM option to create an empty stream automatically.",
);
const BUSY_GROUP: Fault = Fault::Static("BUSYGROUP Consumer Group name already exists");

const INSERTED: Keys = Keys(&[KeySpec::one(2, Access::INSERT)]);
const UPDATED: Keys = Keys(&[KeySpec::one(2, Access::UPDATE)]);
const DELETED: Keys = Keys(&[KeySpec::one(2, Access::DELETE)]);
const HELP_FLAGS: Flags = Flags::LOADING.union(Flags::STALE);

/// The container.
pub const ROWS: &[Row] = &[container("XGROUP", XGROUP).says(
    Group::Stream,
    "5.0.0",
    "Depends on subcommand.",
    "Changes the groups of a stream.",
    "",
)];

const XGROUP: &[Row] = &[
    row("CREATE", AtLeast(5), Flags::DENYOOM, INSERTED, Write(create)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Creates a group that goes on behind an id.",
        "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    ),
    row("SETID", AtLeast(5), Flags::NONE, UPDATED, Write(set_id)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Sets the last id that a group has delivered.",
        "key group <id | $> [ENTRIESREAD entries-read]",
    ),
    row("DESTROY", Exactly(4), Flags::NONE, DELETED, Write(destroy)).says(
        Group::Stream,
        "5.0.0",
        "O(N) where N is the number of entries in the group's pending entries list (PEL).",
        "Takes a group away, with all that is pending in it.",
        "key group",
    ),
    row("CREATECONSUMER", Exactly(5), Flags::DENYOOM, INSERTED, Write(create_consumer)).says(
        Group::Stream,
        "6.2.0",
        "O(1)",
        "Creates a consumer in a group.",
        "key group consumer",
    ),
    row("DELCONSUMER", Exactly(5), Flags::NONE, DELETED, Write(delete_consumer)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Takes a consumer out of a group, with all that is pending for it.",
        "key group consumer",
    ),
    row("HELP", Exactly(2), HELP_FLAGS, Keys::NONE, Read(tell)).says(
        Group::Stream,
        "5.0.0",
        "O(1)",
        "Lists the subcommands.",
        "",
    ),
];

/// Where a group is to go on.
enum Start {
    /// Behind the last entry there is: `$`.
    End,
    /// Behind this id.
    Behind(StreamId),
}

impl Start {
    fn read(text: &[u8]) -> Result<Start, Fault> {
        if text == b"$" { Ok(Start::End) } else { id_of(text).map(Start::Behind) }
    }

    /// As XGROUP SETID takes it: the ends may be named.
    fn read_open(text: &[u8]) -> Result<Start, Fault> {
        match text {
            b"-" => Ok(Start::Behind(StreamId::MIN)),
            b"+" => Ok(Start::Behind(StreamId::MAX)),
            text => Start::read(text),
        }
    }

    fn of(&self, entries: &Entries) -> StreamId {
        match self {
            Start::End => entries.last_id(),
            Start::Behind(id) => *id,
        }
    }
}

/// Takes `[MKSTREAM] [ENTRIESREAD entries-read]`: whether the key is created, and the count.
fn options(args: &mut Args<'_>, may_create: bool) -> Result<(bool, Option<u64>), Fault> {
    let (mut creates, mut entries_read) = (false, None);
    while args.left() != 0 {
        if may_create && args.word("MKSTREAM") {
            creates = true;
        } else if 2 <= args.left() && args.word("ENTRIESREAD") {
            entries_read = match args.int()? {
                -1 => None,
                // What has been counted past the end of an integer.
                count if args.now() == WallMs::NEVER_EXPIRES => Some(count as u64),
                count => {
                    let wrong = || fault("value for ENTRIESREAD must be positive or -1");
                    Some(u64::try_from(count).map_err(|_| wrong())?)
                }
            };
        } else {
            return Err(args.misused("XGROUP"));
        }
    }
    Ok((creates, entries_read))
}

fn create(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, name, start) = (args.next()?, args.next()?, args.next()?);
    let (creates, entries_read) = options(&mut args, true)?;

    let has_too_many = 8 < args.request().len();
    let mut db = engine.db_mut(&args);
    let has_key = match db.get(key) {
        Some(slot) => slot.as_collection::<Stream>().map(|_| true)?,
        None => false,
    };
    if !has_key && !creates {
        return Err(NO_KEY);
    }
    if has_too_many {
        return Err(args.misused("XGROUP"));
    }
    let start = Start::read(start)?;
    let add = |stream: &mut Stream| {
        let last_id = start.of(&stream.entries);
        let is_new = stream.groups.create(name, last_id, entries_read);
        if is_new { Ok(((), 1)) } else { Err(BUSY_GROUP) }
    };
    if has_key {
        db.change_for(key, HeardBy::Nobody, |it: &mut Stream, _| add(it))?;
        db.event(CREATED, key);
    } else {
        db.change_or_create(key, CREATED, |it: &mut Stream, _| add(it))?;
    }
    effects.as_sent();
    reply.ok();
    Ok(())
}

const CREATED: Event = Event::stream("xgroup-create");

/// Changes a group that must be there.
fn change<R>(
    engine: &mut Engine,
    args: &Args<'_>,
    (key, name): (&[u8], &[u8]),
    act: impl FnOnce(&mut stream::Group, &Entries) -> Result<(R, usize), Fault>,
) -> Result<R, Fault> {
    let mut db = engine.db_mut(args);
    let changed = db.change_for(key, HeardBy::Nobody, |stream: &mut Stream, _| {
        let Stream { entries, groups } = stream;
        act(groups.get_mut(name).ok_or_else(|| no_group(key, name))?, entries)
    })?;
    changed.ok_or(NO_KEY)
}

fn set_id(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, name, start) = (args.next()?, args.next()?, args.next()?);
    let (_, entries_read) = options(&mut args, false)?;

    let has_too_many = 7 < args.request().len();
    change(engine, &args, (key, name), |group, entries| {
        if has_too_many {
            return Err(args.misused("XGROUP"));
        }
        group.set_id(Start::read_open(start)?.of(entries), entries_read);
        Ok(((), 1))
    })?;
    engine.db_mut(&args).event(Event::stream("xgroup-setid"), key);
    effects.as_sent();
    reply.ok();
    Ok(())
}

fn destroy(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, name) = (args.next()?, args.next()?);

    let mut db = engine.db_mut(&args);
    // Who waits for entries of the group is refused then.
    let gone = db.change_for(key, HeardBy::Waiters, |stream: &mut Stream, _| {
        let gone = stream.groups.destroy(name);
        let changes = usize::from(gone.is_some());
        Ok((gone, changes))
    })?;
    match gone.ok_or(NO_KEY)? {
        None => reply.int(0),
        Some(group) => {
            db.event(Event::stream("xgroup-destroy"), key);
            db.discard_group(group);
            effects.as_sent();
            reply.int(1);
        }
    }
    Ok(())
}

fn create_consumer(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, name, consumer) = (args.next()?, args.next()?, args.next()?);

    let now = args.created_at();
    let is_new = change(engine, &args, (key, name), |group, _| {
        let is_new = group.create_consumer(consumer, now).is_some();
        Ok((is_new, usize::from(is_new)))
    })?;
    if is_new {
        engine.db_mut(&args).event(CONSUMER_CREATED, key);
        effects.as_sent();
    }
    reply.int(is_new.into());
    Ok(())
}

fn delete_consumer(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, name, consumer) = (args.next()?, args.next()?, args.next()?);

    let gone = change(engine, &args, (key, name), |group, _| {
        let gone = group.delete_consumer(consumer);
        let changes = usize::from(gone.is_some());
        Ok((gone, changes))
    })?;
    let Some((pending, consumer)) = gone else {
        reply.int(0);
        return Ok(());
    };
    let mut db = engine.db_mut(&args);
    db.event(Event::stream("xgroup-delconsumer"), key);
    db.discard_consumer(consumer);
    effects.as_sent();
    reply.count(pending);
    Ok(())
}

fn tell(_: &Engine, _: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    help("XGROUP", XGROUP.iter().map(|it| &it.spec), reply);
    Ok(())
}
