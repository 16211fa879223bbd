//! LCS: what two strings have in common, in order.

use crate::command::{Args, Fault};
use crate::engine::{Db, Engine};
use crate::resp::Reply;
use std::ops::RangeInclusive;

const NOT_STRINGS: Fault = Fault::Static("ERR The specified keys must contain string values");
const BOTH_ASKED: Fault =
    Fault::Static("ERR If you want both the length and indexes, please just use IDX.");
const TOO_LONG: Fault =
    Fault::Static("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");

/// Redis has four bytes for every pair of places, and no more of them than a string may be long. We
/// need a bit, but take the same time for it.
const PAIR_BYTES: usize = 4;

/// What the answer shows.
#[derive(Default)]
struct Ask {
    len: bool,
    matches: bool,
    match_len_min: i64,
    match_lens: bool,
}

impl Ask {
    fn parse(mut args: Args<'_>) -> Result<Ask, Fault> {
        let mut ask = Ask::default();
        while args.left() != 0 {
            if args.word("IDX") {
                ask.matches = true;
            } else if args.word("LEN") {
                ask.len = true;
            } else if args.word("WITHMATCHLEN") {
                ask.match_lens = true;
            } else if args.word("MINMATCHLEN") {
                ask.match_len_min = args.int()?;
            } else {
                return Err(Fault::Syntax);
            }
        }
        match ask.matches && ask.len {
            true => Err(BOTH_ASKED),
            false => Ok(ask),
        }
    }
}

pub(super) fn lcs(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (one, other) = (args.next()?, args.next()?);
    let db = engine.db(&args);
    let (one, other) = (string(db, one), string(db, other));
    let (one, other) = (one?, other?);
    let ask = Ask::parse(args)?;
    let pairs_max = args.env.bulk_bytes_max.get() / PAIR_BYTES;
    if pairs_max < (one.len() + 1).saturating_mul(other.len() + 1) {
        return Err(TOO_LONG);
    }

    let common = Common::of(one, other);
    if ask.matches {
        answer_matches(&common, &ask, reply);
    } else if ask.len {
        reply.count(common.len);
    } else {
        let pieces = common.runs().map(|run| &one[run.span_of(run.one)]);
        let mut text: Vec<u8> = Vec::with_capacity(common.len);
        pieces.for_each(|piece| text.extend(piece.iter().rev()));
        text.reverse();
        reply.bulk(&text);
    }
    Ok(())
}

fn string<'e>(db: Db<'e>, key: &[u8]) -> Result<&'e [u8], Fault> {
    db.string(key).map(Option::unwrap_or_default).map_err(|_| NOT_STRINGS)
}

fn answer_matches(common: &Common<'_>, ask: &Ask, reply: &mut Reply) {
    reply.map(2);
    reply.bulk(b"matches");
    let mark = reply.mark();
    let mut shown = 0;
    for run in common.runs().filter(|it| ask.match_len_min <= it.len as i64) {
        shown += 1;
        reply.array(2 + usize::from(ask.match_lens));
        for start in [run.one, run.other] {
            let span = run.span_of(start);
            reply.array(2);
            reply.count(*span.start());
            reply.count(*span.end());
        }
        if ask.match_lens {
            reply.count(run.len);
        }
    }
    reply.close_array(mark, shown);
    reply.bulk(b"len");
    reply.count(common.len);
}

/// Two strings, the length of their longest common subsequence, and the way back through it.
struct Common<'s> {
    one: &'s [u8],
    other: &'s [u8],
    len: usize,
    /// A bit for every pair of places where the bytes differ: whether stepping back in `one` loses
    /// less than stepping back in `other`.
    backs: Vec<u64>,
}

/// Bytes that lie together in both strings.
#[derive(Clone, Copy)]
struct Run {
    one: usize,
    other: usize,
    len: usize,
}

impl Run {
    fn span_of(&self, start: usize) -> RangeInclusive<usize> {
        start..=start + self.len - 1
    }
}

impl<'s> Common<'s> {
    /// Row by row, keeping the lengths of one row.
    fn of(one: &'s [u8], other: &'s [u8]) -> Common<'s> {
        let mut backs = vec![0u64; (one.len() * other.len()).div_ceil(64)];
        let mut row = vec![0u32; other.len()];
        let mut pair = 0;
        for byte in one {
            let (mut corner, mut left) = (0, 0);
            for (best, against) in row.iter_mut().zip(other) {
                let above = *best;
                *best = if byte == against { corner + 1 } else { above.max(left) };
                backs[pair / 64] |= u64::from(left < above) << (pair % 64);
                (corner, left) = (above, *best);
                pair += 1;
            }
        }
        let len = row.last().map_or(0, |it| *it as usize);
        Common { one, other, len, backs }
    }

    /// The common bytes from the last to the first, as runs.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let (mut one, mut other) = (self.one.len(), self.other.len());
        std::iter::from_fn(move || {
            while 0 < one && 0 < other && self.one[one - 1] != self.other[other - 1] {
                let pair = (one - 1) * self.other.len() + other - 1;
                match self.backs[pair / 64] >> (pair % 64) & 1 {
                    1 => one -= 1,
                    _ => other -= 1,
                }
            }
            let back = self.one[..one].iter().rev().zip(self.other[..other].iter().rev());
            let len = back.take_while(|(it, against)| it == against).count();
            (one, other) = (one - len, other - len);
            (len != 0).then_some(Run { one, other, len })
        })
    }
}
