//! Strings as rows of bits, the first of each byte being its highest: the family's rows, and the
//! verbs of single bits, of spans and of whole strings.

mod bits;
mod field;
mod place;

use self::bits::{Span, Unit};
use self::place::{Change, offset, write};
use super::strings::SET;
use crate::base::number::parse_i64;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Either, Read, Write};
use crate::engine::{Effects, Engine, Row, row};
use crate::resp::Reply;

const DENYOOM: Flags = Flags::DENYOOM;
const UPDATE: Keys = Keys(&[KeySpec::one(1, Access(&["RW", "access", "update"]))]);
/// BITFIELD's key, whose access depends on its operations.
const FIELD_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access(&["RW", "access", "update", "variable_flags"]))
        .noting("The key is read, changed or both, as the operations say.")]);
const OP_KEYS: Keys =
    Keys(&[KeySpec::one(2, Access::REPLACE), KeySpec::range(3, -1, 1, Access::READ)]);
/// The family's rows.
pub const ROWS: &[Row] = &[
    row("SETBIT", Exactly(4), DENYOOM, UPDATE, Write(setbit)).says(
        Group::Bitmap,
        "2.2.0",
        "O(1)",
        "Sets or clears a bit of the string at a key and answers what it was.",
        "key offset value:integer",
    ),
    row("GETBIT", Exactly(3), Flags::FAST, Keys::READ, Read(getbit)).says(
        Group::Bitmap,
        "2.2.0",
        "O(1)",
        "Answers a bit of the string at a key.",
        "key offset",
    ),
    row("BITCOUNT", AtLeast(2), Flags::NONE, Keys::READ, Read(bitcount)).says(
        Group::Bitmap,
        "2.6.0",
        "O(N)",
        "Counts the bits that are set in the string at a key, or in a span of it.",
        "key [start end [BYTE | BIT]]",
    ),
    row("BITPOS", AtLeast(3), Flags::NONE, Keys::READ, Read(bitpos)).says(
        Group::Bitmap,
        "2.8.7",
        "O(N)",
        "Finds the first bit of the string at a key that is set, or that is clear.",
        "key bit [start [end [BYTE | BIT]]]",
    ),
    row("BITOP", AtLeast(4), DENYOOM, OP_KEYS, Write(bitop)).says(
        Group::Bitmap,
        "2.6.0",
        "O(N)",
        "Combines the bits of strings and stores what comes of it.",
        "<AND | OR | XOR | NOT> destkey key [key ...]",
    ),
    row(
        "BITFIELD",
        AtLeast(2),
        DENYOOM,
        FIELD_KEYS,
        Either { write: field::bitfield, read: field::look, is_read: field::only_reads },
    )
    .says(
        Group::Bitmap,
        "3.2.0",
        "O(1) for each subcommand specified",
        "Reads, writes and adds to integers of any width within the string at a key.",
        "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset \
         value:integer | INCRBY encoding offset increment>] ...",
    ),
    row("BITFIELD_RO", AtLeast(2), Flags::FAST, Keys::READ, Read(field::look)).says(
        Group::Bitmap,
        "6.0.0",
        "O(1) for each subcommand specified",
        "Reads integers of any width within the string at a key.",
        "key [GET encoding offset [GET encoding offset ...]]",
    ),
];

fn setbit(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, at, bit) = (args.next()?, args.next()?, args.next()?);
    let at = offset(&args, at)?;
    let is_set = match parse_i64(bit) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(Fault::Static("ERR bit is not an integer or out of range")),
    };

    let mut db = engine.db_mut(&args);
    let old = db.string(key)?;
    let (place, mask) = ((at / 8) as usize, 0x80 >> (at % 8));
    let was_set = bits::get(old.unwrap_or_default(), at);
    let old_len = old.map_or(0, <[u8]>::len);
    let len = old_len.max(place + 1);
    let has_changed = old_len < len || was_set != is_set;
    let what = Change { len, has_changed, is_told: has_changed };
    write(&mut db, key, what, effects, |it| {
        if is_set {
            it[place] |= mask;
        } else {
            it[place] &= !mask;
        }
    })?;
    reply.int(was_set.into());
    Ok(())
}

fn getbit(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, at) = (args.next()?, args.next()?);
    let at = offset(&args, at)?;
    let string = engine.db(&args).string(key)?.unwrap_or_default();
    reply.int(bits::get(string, at).into());
    Ok(())
}

/// `BYTE` or `BIT`; bytes where nothing is said.
fn unit(word: Option<&[u8]>) -> Result<Unit, Fault> {
    match word {
        None => Ok(Unit::Byte),
        Some(it) if it.eq_ignore_ascii_case(b"BYTE") => Ok(Unit::Byte),
        Some(it) if it.eq_ignore_ascii_case(b"BIT") => Ok(Unit::Bit),
        Some(_) => Err(Fault::Syntax),
    }
}

fn bitcount(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    // What is not there is not asked for its span, however wrong that is: so does Redis 7.0.
    let Some(string) = engine.db(&args).string(key)? else {
        reply.count(0);
        return Ok(());
    };
    let span = match args.left() {
        0 => Some(Span::all(string)),
        2 | 3 => {
            let (start, end) = (args.int()?, args.int()?);
            let is_turned = start < 0 && end < 0 && end < start;
            if is_turned { None } else { Span::new(string, start, end, unit(args.peek())?) }
        }
        _ => return Err(Fault::Syntax),
    };
    reply.count(span.map_or(0, |it| bits::count(string, it)) as usize);
    Ok(())
}

fn bitpos(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, bit) = (args.next()?, args.int()?);
    let looks_for_set = match bit {
        0 => false,
        1 => true,
        _ => return Err(Fault::Static("ERR The bit argument must be 1 or 0.")),
    };
    let Some(string) = engine.db(&args).string(key)? else {
        // It is as long as anybody wants, and clear.
        reply.int(if looks_for_set { -1 } else { 0 });
        return Ok(());
    };
    if 3 < args.left() {
        return Err(Fault::Syntax);
    }
    let start = if args.left() == 0 { 0 } else { args.int()? };
    let unit = unit(args.request().get(5))?;
    let end = if args.left() == 0 { None } else { Some(args.int()?) };
    let Some(span) = Span::new(string, start, end.unwrap_or(-1), unit) else {
        reply.int(-1);
        return Ok(());
    };
    let found = bits::position(string, span, looks_for_set);
    // Behind the string all bits are clear, unless its end was said.
    let behind = (!looks_for_set && end.is_none()).then(|| string.len() as u64 * 8);
    reply.int(found.or(behind).map_or(-1, |it| it as i64));
    Ok(())
}

fn bitop(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let word = args.next()?;
    let is = |it: &str| word.eq_ignore_ascii_case(it.as_bytes());
    let op = match () {
        _ if is("AND") => bits::Op::And,
        _ if is("OR") => bits::Op::Or,
        _ if is("XOR") => bits::Op::Xor,
        _ if is("NOT") => bits::Op::Not,
        _ => return Err(Fault::Syntax),
    };
    let to = args.next()?;
    if op == bits::Op::Not && args.left() != 1 {
        let text = "ERR BITOP NOT must be called with a single source key.";
        return Err(Fault::Static(text));
    }
    let mut db = engine.db_mut(&args);
    let sources = args.rest();
    let mut len = 0;
    for source in sources.clone() {
        let found = args.env.looked(source, db.used(source));
        len = len.max(found.map_or(Ok(0), |it| it.as_string().map(<[u8]>::len))?);
    }
    reply.count(len);
    if len == 0 {
        if db.remove(to) {
            db.event(Event::DEL, to);
            effects.as_sent();
        }
        return Ok(());
    }
    // Memory that is new to the process takes as long to get as the strings to combine.
    let is_source = sources.clone().any(|it| it == to);
    let mut made = if is_source { Vec::new() } else { db.take_memory(to, len) };
    let strings: Result<Vec<&[u8]>, Fault> =
        sources.map(|it| Ok(db.string(it)?.unwrap_or_default())).collect();
    bits::combine(op, &strings?, &mut made);
    let stored = db.put_made(to, made);
    db.event(SET, to);
    effects.as_sent_with(Some(stored));
    Ok(())
}

#[cfg(test)]
mod tests;
