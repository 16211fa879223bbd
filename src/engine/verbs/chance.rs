//! What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER have in common: entries chosen by chance.

use super::named::Named;
use super::shown::{Shown, open};
use crate::base::limits::REPEATED_BYTES_MAX;
use crate::command::{Args, Fault};
use crate::engine::Engine;
use crate::resp::Reply;

/// Most entries whose two halves can be counted, in either direction.
const PAIRS_MAX: u64 = i64::MAX as u64 / 2;
/// The shortest entry a reply can have.
const EMPTY_BULK: &[u8] = b"$0\r\n\r\n";

const TOO_LONG: Fault = Fault::Static("ERR count is too large, the reply would exceed 1 GB");
const _: () = assert!(REPEATED_BYTES_MAX == 1 << 30, "what the refusal says");

/// Takes a count of either sign. The smallest integer has no size of its own type.
pub fn count(args: &mut Args<'_>) -> Result<i64, Fault> {
    match args.int()? {
        i64::MIN => Err(Fault::Static(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        )),
        count => Ok(count),
    }
}

/// `[count [<pairs>]]`, where the second word asks for pairs.
pub fn how_many(args: &mut Args<'_>, pairs: &str) -> Result<Option<(i64, Shown)>, Fault> {
    if args.left() == 0 {
        return Ok(None);
    }
    let count = count(args)?;
    let shown = if args.word(pairs) { Shown::Pairs } else { Shown::Names };
    args.done()?;
    match shown {
        Shown::Pairs if PAIRS_MAX < count.unsigned_abs() => {
            Err(Fault::Static("ERR value is out of range"))
        }
        shown => Ok(Some((count, shown))),
    }
}

/// Answers as many entries of the collection at `key` as were asked for; one, and not in an array,
/// if no number was.
pub fn answer<C: Named>(
    engine: &Engine,
    args: &Args<'_>,
    key: &[u8],
    asked: Option<(i64, Shown)>,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (mut random, now) = (args.env.random(), args.now());
    let found: Option<&C> = engine.db(args).collection(key)?;
    match (found, asked) {
        (found, None) => match found.and_then(|it| it.random(&mut random, now)) {
            Some(entry) => C::show(entry, Shown::Names, reply),
            None => reply.null(),
        },
        (None, Some(_)) => reply.array(0),
        (Some(found), Some((count @ 0.., shown))) => {
            let count = found.live_len(now).min(count as usize);
            open(count, shown, reply);
            found.sample(count, &mut random, now, |it| C::show(it, shown, reply));
        }
        (Some(found), Some((count, shown))) if found.any_due(now) => {
            // Gathered once, not looked for as often as one is drawn.
            let mut live = Vec::new();
            found.sample(found.len(), &mut random, now, |it| live.push(it));
            let count = if live.is_empty() { 0 } else { count };
            repeat(count, shown, reply, |reply| {
                C::show(live[random.below(live.len() as u64) as usize], shown, reply);
            })?;
        }
        (Some(found), Some((count, shown))) => repeat(count, shown, reply, |reply| {
            found.random(&mut random, now).into_iter().for_each(|it| C::show(it, shown, reply));
        })?,
    }
    Ok(())
}

/// As many entries as `-count` says, which need not differ. What could not be answered even if
/// every entry were the shortest there can be is refused before anything is written. A reply past
/// the client's own limit is left where that was met: it is not sent.
fn repeat(
    count: i64,
    shown: Shown,
    reply: &mut Reply,
    mut show_one: impl FnMut(&mut Reply),
) -> Result<(), Fault> {
    let count = count.unsigned_abs() as usize;
    if REPEATED_BYTES_MAX / EMPTY_BULK.len() < count {
        return Err(TOO_LONG);
    }
    let mark = reply.mark();
    open(count, shown, reply);
    for _ in 0..count {
        if reply.is_overflowing() {
            return Ok(());
        }
        if REPEATED_BYTES_MAX < reply.since(mark).len() {
            return Err(TOO_LONG);
        }
        show_one(reply);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
