//! BITFIELD: integers of 1 to 64 bits anywhere within a string.

use super::place::{Change, OFFSET, check_offset, write};
use crate::base::number::parse_i64;
use crate::command::{Args, Fault};
use crate::engine::{Effects, Engine};
use crate::resp::{Reply, Request};
use std::collections::BTreeMap;

/// The width of an integer, and whether it has a sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    is_signed: bool,
    bits: u32,
}

/// What happens to a result that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overflow {
    /// Its higher bits are lost.
    Wrap,
    /// It is the nearest that fits.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// What an operation does with its integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Operation {
    encoding: Encoding,
    at: u64,
    act: Act,
}

/// Whether it changes nothing whatever the string is: a replica may do it.
pub fn only_reads(request: Request<'_>) -> bool {
    let mut at = 2;
    while let Some(word) = request.get(at) {
        let is = |it: &str| word.eq_ignore_ascii_case(it.as_bytes());
        at += match () {
            _ if is("GET") => 3,
            _ if is("OVERFLOW") => 2,
            _ => return false,
        };
    }
    true
}

/// BITFIELD that only reads, and BITFIELD_RO.
pub fn look(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let operations = operations(&mut args)?;
    if operations.iter().any(|it| it.act != Act::Get) {
        return Err(Fault::Static("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let string = engine.db(&args).string(key)?.unwrap_or_default();
    let draft = Draft { string, changed: BTreeMap::new() };
    reply.array(operations.len());
    for it in operations {
        reply.int(it.encoding.value(draft.read(it.at, it.encoding.bits)));
    }
    Ok(())
}

pub fn bitfield(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let operations = operations(&mut args)?;

    let mut db = engine.db_mut(&args);
    let string = db.string(key)?.unwrap_or_default();
    let mut draft = Draft { string, changed: BTreeMap::new() };
    let (mut writes, mut differs) = (false, false);
    reply.array(operations.len());
    for it in &operations {
        let old = draft.read(it.at, it.encoding.bits);
        match draft.does(it) {
            Some(answer) => {
                reply.int(answer);
                writes |= it.act != Act::Get;
                differs |= draft.read(it.at, it.encoding.bits) != old;
            }
            None => reply.null(),
        }
    }
    // Up to its last write the string is there, whatever comes of that.
    let all = operations.iter().filter(|it| it.act != Act::Get);
    let end = all.map(|it| (it.at + u64::from(it.encoding.bits) - 1) / 8 + 1).max();
    let old_len = string.len();
    let len = end.map_or(old_len, |it| old_len.max(it as usize));
    let changed = draft.changed;
    // Redis tells of what its operations have done, though it be undone by the next.
    let has_changed = old_len < len || differs;
    if end.is_some() {
        let is_told = differs || writes && old_len < len;
        write(&mut db, key, Change { len, has_changed, is_told }, effects, |it| {
            changed.iter().for_each(|(at, byte)| it[*at] = *byte);
        })?;
    }
    Ok(())
}

fn operations(args: &mut Args<'_>) -> Result<Vec<Operation>, Fault> {
    let (mut all, mut overflow) = (Vec::new(), Overflow::Wrap);
    while args.left() != 0 {
        if args.left() < 2 {
            return Err(Fault::Syntax);
        }
        if args.word("OVERFLOW") {
            overflow = match () {
                _ if args.word("WRAP") => Overflow::Wrap,
                _ if args.word("SAT") => Overflow::Saturate,
                _ if args.word("FAIL") => Overflow::Fail,
                _ => return Err(Fault::Static("ERR Invalid OVERFLOW type specified")),
            };
            continue;
        }
        let (makes, words): (fn(i64, Overflow) -> Act, usize) = match () {
            _ if args.word("GET") => (|_, _| Act::Get, 2),
            _ if args.word("SET") => (Act::Set, 3),
            _ if args.word("INCRBY") => (Act::Add, 3),
            _ => return Err(Fault::Syntax),
        };
        if args.left() < words {
            return Err(Fault::Syntax);
        }
        let encoding = Encoding::read(args.next()?)?;
        let at = offset(args, encoding)?;
        let number = if words == 3 { args.int()? } else { 0 };
        if words == 3 {
            // All of it is within the longest string that there may be.
            check_offset(args, at + u64::from(encoding.bits) - 1)?;
        }
        all.push(Operation { encoding, at, act: makes(number, overflow) });
    }
    Ok(all)
}

/// `#3` is behind three integers of this width.
fn offset(args: &mut Args<'_>, encoding: Encoding) -> Result<u64, Fault> {
    let word = args.next()?;
    let (number, each) = match word.strip_prefix(b"#") {
        Some(number) => (number, u64::from(encoding.bits)),
        None => (word, 1),
    };
    let number = parse_i64(number).and_then(|it| u64::try_from(it).ok());
    check_offset(args, number.and_then(|it| it.checked_mul(each)).ok_or(OFFSET)?)
}

impl Encoding {
    fn read(word: &[u8]) -> Result<Encoding, Fault> {
        let wrong = || {
            Fault::Static(
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not \
                 supported but i64 is.",
            )
        };
        let (kind, bits) = word.split_first().ok_or_else(wrong)?;
        let most = match kind {
            b'i' => 64,
            b'u' => 63,
            _ => return Err(wrong()),
        };
        let bits = parse_i64(bits).and_then(|it| u32::try_from(it).ok());
        let bits = bits.filter(|it| (1..=most).contains(it)).ok_or_else(wrong)?;
        Ok(Encoding { is_signed: *kind == b'i', bits })
    }

    /// What these bits say.
    fn value(self, bits: u64) -> i64 {
        let spare = 64 - self.bits;
        if self.is_signed { ((bits << spare) as i64) >> spare } else { bits as i64 }
    }

    /// What Redis takes a number to be that is to be stored: it finds how far that is below what
    /// fits by a subtraction in 64 bits, and one that is too far below is above.
    fn as_redis_takes(self, number: i64) -> i128 {
        let most = (1i128 << (self.bits - 1)) - 1;
        let (number, wraps) = (i128::from(number), 1i128 << 64);
        let is_too_far = self.bits < 64 && i128::from(i64::MAX) < most - number;
        if is_too_far { number + wraps } else { number }
    }

    /// The bits of this number, and whether it fits into them.
    fn fits(self, number: i128, overflow: Overflow) -> Option<u64> {
        let (least, most) = match self.is_signed {
            true => (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1),
            false => (0, (1i128 << self.bits) - 1),
        };
        let kept = match overflow {
            _ if (least..=most).contains(&number) => number,
            Overflow::Wrap => number,
            Overflow::Saturate => number.clamp(least, most),
            Overflow::Fail => return None,
        };
        Some(kept as u64 & (u64::MAX >> (64 - self.bits)))
    }
}

/// A string, and the bytes that operations have changed so far.
struct Draft<'s> {
    string: &'s [u8],
    changed: BTreeMap<usize, u8>,
}

impl Draft<'_> {
    /// Answers what Redis answers; `None` when it would not have fitted.
    fn does(&mut self, Operation { encoding, at, act }: &Operation) -> Option<i64> {
        let old = encoding.value(self.read(*at, encoding.bits));
        match *act {
            Act::Get => Some(old),
            Act::Set(number, overflow) => {
                // An unsigned one takes a negative number for a very large one.
                let number = match encoding.is_signed {
                    true => encoding.as_redis_takes(number),
                    false => i128::from(number as u64),
                };
                self.write(*at, encoding.bits, encoding.fits(number, overflow)?);
                Some(old)
            }
            Act::Add(number, overflow) => {
                let bits = encoding.fits(i128::from(old) + i128::from(number), overflow)?;
                self.write(*at, encoding.bits, bits);
                Some(encoding.value(bits))
            }
        }
    }

    fn byte(&self, at: usize) -> u8 {
        let changed = self.changed.get(&at).copied();
        changed.unwrap_or_else(|| self.string.get(at).copied().unwrap_or(0))
    }

    /// Up to 64 bits lie within nine bytes: those as one number, and how far the bits are from its
    /// end.
    fn window(&self, at: u64, bits: u32) -> (usize, u128, u32) {
        let first = (at / 8) as usize;
        let bytes = (first..first + 9).fold(0u128, |all, it| all << 8 | u128::from(self.byte(it)));
        (first, bytes, 72 - (at % 8) as u32 - bits)
    }

    fn read(&self, at: u64, bits: u32) -> u64 {
        let (_, window, shift) = self.window(at, bits);
        (window >> shift) as u64 & (u64::MAX >> (64 - bits))
    }

    fn write(&mut self, at: u64, bits: u32, value: u64) {
        let (first, window, shift) = self.window(at, bits);
        let mask = u128::from(u64::MAX >> (64 - bits)) << shift;
        let window = window & !mask | u128::from(value) << shift;
        let last = ((at + u64::from(bits) - 1) / 8) as usize;
        for it in first..=last {
            self.changed.insert(it, (window >> (8 * (8 - (it - first)))) as u8);
        }
    }
}
