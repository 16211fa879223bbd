//! Strings: the family's rows, and the verbs that take or leave whole values.

pub(super) mod lifetime;
mod set;
mod msetex;
mod count;
mod span;
mod lcs;

pub(super) use self::set::SET;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Either, Read, Write};
use crate::engine::{Effects, Engine, KeySlot, Row, Run, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const DENYOOM: Flags = Flags::DENYOOM;
const FAST_DENYOOM: Flags = FAST.union(DENYOOM);

/// SET's key, whose access depends on GET.
const SET_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access(&["RW", "access", "update", "variable_flags"]))
        .noting("With GET the key is read, too.")]);
const GETEX_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access::CHANGE).noting("The key's deadline may change.")]);
const ADD: Access = Access(&["OW", "insert"]);
const SETNX_KEYS: Keys = Keys(&[KeySpec::one(1, ADD)]);
const MSET_KEYS: Keys = Keys(&[KeySpec::range(1, -1, 2, Access::REPLACE)]);
const MSETNX_KEYS: Keys = Keys(&[KeySpec::range(1, -1, 2, ADD)]);
const MSETEX_KEYS: Keys = Keys(&[KeySpec::counted_pairs(1, Access::REPLACE)]);
const DELIFEQ_KEYS: Keys = Keys(&[KeySpec::one(1, Access::REMOVE)]);
const LCS_KEYS: Keys = Keys(&[KeySpec::range(1, 1, 1, Access::READ)]);

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("GET", Exactly(2), FAST, Keys::READ, Read(get)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Answers the string at a key.",
        "key",
    ),
    row("SET", AtLeast(3), DENYOOM, SET_KEYS, Write(set::set)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Stores a string at a key, whatever was there.",
        "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds \
         | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    ),
    row("SETNX", Exactly(3), FAST_DENYOOM, SETNX_KEYS, Write(set::setnx)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Stores a string at a key that is not there yet.",
        "key value",
    ),
    row("SETEX", Exactly(4), DENYOOM, Keys::REPLACE, Write(set::setex)).says(
        Group::String,
        "2.0.0",
        "O(1)",
        "Stores a string that expires in so many seconds.",
        "key seconds value",
    ),
    row("PSETEX", Exactly(4), DENYOOM, Keys::REPLACE, Write(set::psetex)).says(
        Group::String,
        "2.6.0",
        "O(1)",
        "Stores a string that expires in so many milliseconds.",
        "key milliseconds value",
    ),
    row("GETSET", Exactly(3), FAST_DENYOOM, Keys::CHANGE, Write(getset)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Stores a string and answers the one it replaces.",
        "key value",
    ),
    row("GETDEL", Exactly(2), FAST, Keys::TAKE, Write(getdel)).says(
        Group::String,
        "6.2.0",
        "O(1)",
        "Answers the string at a key and deletes the key.",
        "key",
    ),
    row("GETEX", AtLeast(2), FAST, GETEX_KEYS, GETEX).says(
        Group::String,
        "6.2.0",
        "O(1)",
        "Answers the string at a key and may change when it expires.",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds \
         | PXAT unix-time-milliseconds | PERSIST]",
    ),
    row("MGET", AtLeast(2), FAST, Keys::READ_ALL, Read(mget))
        .says(
            Group::String,
            "1.0.0",
            "O(N) where N is the number of keys to retrieve.",
            "Answers the strings at several keys.",
            "key [key ...]",
        )
        .tips(&["request_policy:multi_shard"]),
    row("MSET", AtLeast(3), DENYOOM, MSET_KEYS, Write(mset))
        .says(
            Group::String,
            "1.0.1",
            "O(N) where N is the number of keys to set.",
            "Stores strings at several keys at once.",
            "key value [key value ...]",
        )
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    row("MSETNX", AtLeast(3), DENYOOM, MSETNX_KEYS, Write(msetnx))
        .says(
            Group::String,
            "1.0.1",
            "O(N) where N is the number of keys to set.",
            "Stores strings at several keys if none of them is there yet.",
            "key value [key value ...]",
        )
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    row(
        "MSETEX",
        AtLeast(4),
        DENYOOM.union(Flags::MOVABLEKEYS),
        MSETEX_KEYS,
        Write(msetex::msetex),
    )
    .says(
        Group::String,
        "9.1.0",
        "O(N) where N is the number of keys to set.",
        "Stores strings at several keys at once, which may expire together.",
        "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds \
             | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    )
    .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    row("DELIFEQ", Exactly(3), FAST, DELIFEQ_KEYS, Write(delifeq)).says(
        Group::String,
        "9.0.0",
        "O(1)",
        "Deletes a key if this string is there.",
        "key value",
    ),
    row("STRLEN", Exactly(2), FAST, Keys::PEEK, Read(strlen)).says(
        Group::String,
        "2.2.0",
        "O(1)",
        "Answers how many bytes the string at a key has.",
        "key",
    ),
    row("APPEND", Exactly(3), FAST_DENYOOM, Keys::INSERT, Write(span::append)).says(
        Group::String,
        "2.0.0",
        "O(1), amortized over the bytes appended.",
        "Adds bytes to the end of a string.",
        "key value",
    ),
    row("GETRANGE", Exactly(4), Flags::NONE, Keys::READ, Read(span::getrange)).says(
        Group::String,
        "2.4.0",
        "O(N) where N is the length of the returned string.",
        "Answers a span of the string at a key.",
        "key start end",
    ),
    row("SUBSTR", Exactly(4), Flags::NONE, Keys::READ, Read(span::getrange)).says(
        Group::String,
        "1.0.0",
        "O(N) where N is the length of the returned string.",
        "Answers a span of the string at a key; GETRANGE's old name.",
        "key start end",
    ),
    row("SETRANGE", Exactly(4), DENYOOM, Keys::UPDATE, Write(span::setrange)).says(
        Group::String,
        "2.2.0",
        "O(M) where M is the length of the value argument, amortized.",
        "Overwrites a span of a string, padding it with zero bytes up to there.",
        "key offset value",
    ),
    row("INCR", Exactly(2), FAST_DENYOOM, Keys::CHANGE, Write(count::incr)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Adds one to the integer at a key.",
        "key",
    ),
    row("DECR", Exactly(2), FAST_DENYOOM, Keys::CHANGE, Write(count::decr)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Takes one from the integer at a key.",
        "key",
    ),
    row("INCRBY", Exactly(3), FAST_DENYOOM, Keys::CHANGE, Write(count::incrby)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Adds to the integer at a key.",
        "key increment",
    ),
    row("DECRBY", Exactly(3), FAST_DENYOOM, Keys::CHANGE, Write(count::decrby)).says(
        Group::String,
        "1.0.0",
        "O(1)",
        "Takes from the integer at a key.",
        "key decrement",
    ),
    row("INCRBYFLOAT", Exactly(3), FAST_DENYOOM, Keys::CHANGE, Write(count::incrbyfloat)).says(
        Group::String,
        "2.6.0",
        "O(1)",
        "Adds to the number at a key.",
        "key increment:double",
    ),
    row("LCS", AtLeast(3), Flags::NONE, LCS_KEYS, Read(lcs::lcs)).says(
        Group::String,
        "7.0.0",
        "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        "Answers the longest subsequence that two strings have in common.",
        "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
    ),
];

/// Without options GETEX is GET, and may go to a replica.
const GETEX: Run = Either { write: set::getex, read: get, is_read: |request| request.len() == 2 };

fn get(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    reply.maybe(engine.db(&args).string(key)?);
    Ok(())
}

fn strlen(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    reply.count(engine.db(&args).string(key)?.map_or(0, <[u8]>::len));
    Ok(())
}

/// Another type is not a fault here, but nothing.
fn mget(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let db = engine.db(&args);
    reply.array(args.left());
    for key in args.rest() {
        reply.maybe(db.get(key).and_then(|it| it.as_string().ok()));
    }
    Ok(())
}

fn getset(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, value) = (args.next()?, args.next()?);

    let mut db = engine.db_mut(&args);
    let old = args.env.looked(key, db.get(key));
    reply.maybe(old.map(KeySlot::as_string).transpose()?);
    let stored = db.put_string(key, value, None);
    db.event(SET, key);
    effects.propagate(&[b"SET", key, value]);
    effects.share(stored);
    Ok(())
}

fn getdel(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;

    let mut db = engine.db_mut(&args);
    let old = args.env.looked(key, db.get(key));
    reply.maybe(old.map(KeySlot::as_string).transpose()?);
    if db.remove(key) {
        db.event(Event::DEL, key);
        effects.propagate(&[b"DEL", key]);
    }
    Ok(())
}

fn delifeq(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, value) = (args.next()?, args.next()?);

    let mut db = engine.db_mut(&args);
    let old = args.env.looked(key, db.get(key));
    let is_equal = old.map(KeySlot::as_string).transpose()? == Some(value);
    if is_equal && db.remove(key) {
        db.event(Event::DEL, key);
        effects.propagate(&[b"DEL", key]);
    }
    reply.int(is_equal.into());
    Ok(())
}

fn mset(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    refuse_half_a_pair(&args, "mset")?;
    put_pairs(engine, args, effects)?;
    reply.ok();
    Ok(())
}

fn msetnx(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    refuse_half_a_pair(&args, "msetnx")?;
    let pairs = args;
    let db = engine.db_mut(&args);
    if args.rest().step_by(2).any(|key| db.has(key)) {
        reply.int(0);
        return Ok(());
    }
    put_pairs(engine, pairs, effects)?;
    reply.int(1);
    Ok(())
}

fn refuse_half_a_pair(args: &Args<'_>, command: &str) -> Result<(), Fault> {
    match args.left() % 2 {
        0 => Ok(()),
        _ => Err(Fault::WrongArity(command.into())),
    }
}

fn put_pairs(engine: &mut Engine, mut args: Args<'_>, effects: &mut Effects) -> Result<(), Fault> {
    /// How many keys ahead memory is asked for.
    const AHEAD: usize = 8;
    effects.as_sent();
    let mut db = engine.db_mut(&args);
    let mut to_come = args;
    let mut to_come = to_come.rest().step_by(2);
    to_come.by_ref().take(AHEAD).for_each(|it| db.prefetch(it));
    while args.left() != 0 {
        to_come.next().into_iter().for_each(|it| db.prefetch(it));
        let (key, value) = (args.next()?, args.next()?);
        effects.share(db.put_string(key, value, None));
        db.event(SET, key);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
