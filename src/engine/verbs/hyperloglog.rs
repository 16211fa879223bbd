//! HyperLogLog: how many different elements were added, about, in at most 12 kB. The bytes are
//! those of Redis (`hyperloglog/registers.rs`), but for the count that Redis keeps among them: a
//! count is a read here, and stands beside the bytes of a long one (`engine/hyperloglog.rs`). One
//! that Redis has left among them is taken as long as it says that it is right.

mod shape;
mod registers;
mod estimate;
mod murmur;

use self::registers::{Corrupted, Registers, dense_of, is_dense, raise, raise_dense, runs};
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::{Db, Effects, Engine, KeySlot, Row, row};
use crate::resp::Reply;

const ADD_KEYS: Keys = Keys(&[KeySpec::one(1, Access::INSERT)]);
const COUNT_KEYS: Keys = Keys(&[KeySpec::range(1, -1, 1, Access(&["RW", "access"]))
    .noting("Redis may write the count that it finds into the key.")]);
const MERGE_KEYS: Keys = Keys(&[
    KeySpec::one(1, Access(&["RW", "access", "insert"])),
    KeySpec::range(2, -1, 1, Access::READ),
]);
const DEBUG_KEYS: Keys = Keys(&[KeySpec::one(2, Access(&["RW", "access"]))]);
/// What is raised when one has changed.
const CHANGED: Event = Event::string("pfadd");

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("PFADD", AtLeast(2), Flags::DENYOOM.union(Flags::FAST), ADD_KEYS, Write(pfadd)).says(
        Group::Hyperloglog,
        "2.8.9",
        "O(1) to add every element.",
        "Adds elements to a HyperLogLog.",
        "key [element [element ...]]",
    ),
    row("PFCOUNT", AtLeast(2), Flags::NONE, COUNT_KEYS, Read(pfcount)).says(
        Group::Hyperloglog,
        "2.8.9",
        "O(1) with a very small average constant time when called with a single key. O(N) with N \
         being the number of keys, and much bigger constant times, when called with multiple keys.",
        "Answers about how many different elements HyperLogLogs have seen together.",
        "key [key ...]",
    ),
    row("PFMERGE", AtLeast(2), Flags::DENYOOM, MERGE_KEYS, Write(pfmerge)).says(
        Group::Hyperloglog,
        "2.8.9",
        "O(N) to merge N HyperLogLogs, but with high constant times.",
        "Merges HyperLogLogs into one.",
        "destkey [sourcekey [sourcekey ...]]",
    ),
    row("PFDEBUG", Exactly(3), Flags::DENYOOM.union(Flags::ADMIN), DEBUG_KEYS, Write(pfdebug))
        .says(
            Group::Hyperloglog,
            "2.8.9",
            "N/A",
            "Shows what a HyperLogLog is made of; for tests.",
            "subcommand key",
        ),
    row("PFSELFTEST", Exactly(1), Flags::ADMIN, Keys::NONE, Read(pfselftest)).says(
        Group::Hyperloglog,
        "2.8.9",
        "N/A",
        "Tries whether counts come near; for tests.",
        "",
    ),
];

impl From<Corrupted> for Fault {
    fn from(Corrupted: Corrupted) -> Fault {
        Fault::Static("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The HyperLogLog at a key; `None` where there is nothing.
fn found<'e>(db: Db<'e>, key: &[u8]) -> Result<Option<&'e [u8]>, Fault> {
    db.get(key).map(bytes_of).transpose()
}

/// As [`found`], of what is about to be changed: nobody hears of a miss.
fn found_to_change<'e>(db: Db<'e>, key: &[u8]) -> Result<Option<&'e [u8]>, Fault> {
    db.peek(key).inspect(|it| db.touch(it)).map(bytes_of).transpose()
}

fn bytes_of(slot: &KeySlot) -> Result<&[u8], Fault> {
    let string = slot.as_string()?;
    if registers::is_valid(string) {
        return Ok(string);
    }
    Err(Fault::Static("WRONGTYPE Key is not a valid HyperLogLog string value."))
}

/// Stores these bytes in the place of a HyperLogLog, which keeps its lifetime.
fn store(engine: &mut Engine, args: &Args<'_>, key: &[u8], bytes: Vec<u8>, effects: &mut Effects) {
    let stored = engine.db_mut(args).put_hyperloglog(key, bytes);
    effects.as_sent_with(Some(stored));
}

fn pfadd(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let (elements, mut seen) = (args.rest(), 0);
    let old = found_to_change(engine.db(&args), key)?;
    if let Some(old) = old {
        // Most elements have been seen before, and then there is nothing to change.
        for element in elements.clone() {
            let (register, value) = murmur::place_of(element);
            if registers::is_below(old, register, value)? {
                break;
            }
            seen += 1;
        }
        if seen == elements.len() {
            reply.int(0);
            return Ok(());
        }
    }
    let places = elements.skip(seen).map(murmur::place_of);
    if old.is_some_and(is_dense) {
        let mut db = engine.db_mut(&args);
        db.change_hyperloglog(key, |bytes| {
            for (register, value) in places {
                raise_dense(bytes, register, value);
            }
            registers::forget_count(bytes);
        })?;
        db.event(CHANGED, key);
        effects.as_sent();
    } else {
        let mut bytes = old.map_or_else(registers::empty, <[u8]>::to_vec);
        let sparse_max = engine.shared().thresholds.hll_sparse_bytes;
        for (register, value) in places {
            raise(&mut bytes, register, value, sparse_max)?;
        }
        registers::forget_count(&mut bytes);
        store(engine, &args, key, bytes, effects);
        engine.db_mut(&args).event(CHANGED, key);
    }
    reply.int(1);
    Ok(())
}

/// The count of one, found or looked up; what is found is kept if there is a place for it.
fn count_of(slot: &KeySlot) -> Result<i64, Fault> {
    let (bytes, beside) = (bytes_of(slot)?, slot.as_hyperloglog());
    let known = registers::known_count(bytes).or_else(|| beside?.count());
    if let Some(count) = known {
        return Ok(count);
    }
    let count = estimate::estimate(&registers::histogram(bytes)?);
    beside.inspect(|it| it.keep_count(count));
    Ok(count)
}

fn pfcount(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let db = engine.db(&args);
    if args.left() == 1 {
        let slot = db.get(args.next()?);
        reply.int(slot.map_or(Ok(0), count_of)?);
        return Ok(());
    }
    let mut all = Registers::new();
    for key in args.rest() {
        if let Some(bytes) = found(db, key)? {
            all.merge(bytes)?;
        }
    }
    reply.int(estimate::estimate(&all.histogram()));
    Ok(())
}

fn pfmerge(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.peek().unwrap_or_default();
    let db = engine.db(&args);
    let (mut all, mut becomes_dense) = (Registers::new(), false);
    for key in args.rest() {
        if let Some(bytes) = found(db, key)? {
            becomes_dense |= is_dense(bytes);
            all.merge(bytes)?;
        }
    }
    let mut bytes = found_to_change(db, key)?.map_or_else(registers::empty, <[u8]>::to_vec);
    if becomes_dense {
        bytes = dense_of(&bytes)?;
    }
    let sparse_max = engine.shared().thresholds.hll_sparse_bytes;
    for (register, value) in all.set() {
        raise(&mut bytes, register, value, sparse_max)?;
    }
    registers::forget_count(&mut bytes);
    store(engine, &args, key, bytes, effects);
    engine.db_mut(&args).event(CHANGED, key);
    reply.ok();
    Ok(())
}

fn pfdebug(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (word, key) = (args.next()?, args.next()?);
    let missing = Fault::Static("ERR The specified key does not exist");
    let bytes = found_to_change(engine.db(&args), key)?.ok_or(missing)?;
    let is = |it: &str| word.eq_ignore_ascii_case(it.as_bytes());
    let (gets, becomes_dense) = (is("GETREG"), is("TODENSE"));
    if gets || becomes_dense {
        let was_sparse = !is_dense(bytes);
        let dense = dense_of(bytes)?;
        if gets {
            let mut all = Registers::new();
            all.merge(&dense)?;
            let values = all.values();
            reply.array(values.len());
            values.iter().for_each(|it| reply.int((*it).into()));
        } else {
            reply.int(was_sparse.into());
        }
        if was_sparse {
            store(engine, &args, key, dense, effects);
        }
        return Ok(());
    }
    if is("DECODE") {
        if is_dense(bytes) {
            return Err(Fault::Static("ERR HLL encoding is not sparse"));
        }
        let told: Vec<String> = runs(bytes).map(|it| it.to_string()).collect();
        reply.bulk(told.join(" ").as_bytes());
        return Ok(());
    }
    if is("ENCODING") {
        reply.simple(if is_dense(bytes) { "dense" } else { "sparse" });
        return Ok(());
    }
    // As much of it as C takes for a text.
    let text = word.split(|it| *it == 0).next().unwrap_or_default();
    let word = String::from_utf8_lossy(text);
    Err(Fault::Message(format!("ERR Unknown PFDEBUG subcommand '{word}'")))
}

/// Counts a few thousand elements that are known to differ.
fn pfselftest(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    args.done()?;
    let mut bytes = registers::empty();
    let sparse_max = engine.shared().thresholds.hll_sparse_bytes;
    for number in 1..=20_000_u64 {
        let (register, value) = murmur::place_of(&number.to_le_bytes());
        raise(&mut bytes, register, value, sparse_max)?;
        if number % 5000 == 0 {
            let mut all = Registers::new();
            all.merge(&bytes)?;
            let count = estimate::estimate(&all.histogram());
            // Six standard errors.
            if count.abs_diff(number as i64) * 100 > number * 5 {
                let text = format!("ERR TESTFAILED Too high error: {count} of {number}");
                return Err(Fault::Message(text));
            }
        }
    }
    reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests;
