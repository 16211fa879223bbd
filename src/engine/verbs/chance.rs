//! What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER have in common: how many to choose.

use super::shown::{Shown, open};
use crate::base::limits::REPLY_BYTES_MAX;
use crate::command::{Args, Fault};
use crate::resp::Reply;

/// Most entries whose two halves can be counted, in either direction.
const PAIRS_MAX: u64 = i64::MAX as u64 / 2;

/// Takes a count of either sign. The smallest integer has no size of its own type.
pub fn count(args: &mut Args<'_>) -> Result<i64, Fault> {
    match args.int()? {
        i64::MIN => Err(Fault::Says(
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
            Err(Fault::Says("ERR value is out of range"))
        }
        shown => Ok(Some((count, shown))),
    }
}

/// As many entries as `-count` says, which need not differ.
pub fn repeat(
    count: i64,
    shown: Shown,
    reply: &mut Reply,
    mut show_one: impl FnMut(&mut Reply),
) -> Result<(), Fault> {
    let count = count.unsigned_abs() as usize;
    let mark = reply.mark();
    open(count, shown, reply);
    for _ in 0..count {
        if REPLY_BYTES_MAX < reply.since(mark).len() {
            return Err(Fault::Says("ERR the reply would be too long"));
        }
        show_one(reply);
    }
    Ok(())
}
