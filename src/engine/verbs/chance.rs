//! What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER have in common: a count that may be negative.

use crate::base::limits::REPLY_BYTES_MAX;
use crate::command::{Args, Fault};
use crate::resp::Reply;

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

/// Answers as many times as `-count` says, unless that makes a reply nobody should be sent.
pub fn repeat(
    count: i64,
    reply: &mut Reply,
    mut answer: impl FnMut(&mut Reply),
) -> Result<(), Fault> {
    let mark = reply.mark();
    for _ in 0..count.unsigned_abs() {
        if REPLY_BYTES_MAX < reply.since(mark).len() {
            return Err(Fault::Says("ERR the reply would be too long"));
        }
        answer(reply);
    }
    Ok(())
}
