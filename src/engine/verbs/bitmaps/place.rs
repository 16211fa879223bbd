//! Where bits are, and what is raised when they change.

use crate::base::number::parse_i64;
use crate::command::{Args, Event, Fault};
use crate::engine::DbMut;

/// What is raised when bits have changed.
pub const CHANGED: Event = Event::string("setbit");

/// What is answered to a place that is none.
pub const OFFSET: Fault = Fault::Static("ERR bit offset is not an integer or out of range");

/// Reads where a bit is.
pub fn offset(args: &Args<'_>, word: &[u8]) -> Result<u64, Fault> {
    let offset = parse_i64(word).and_then(|it| u64::try_from(it).ok()).ok_or(OFFSET)?;
    check_offset(args, offset)
}

/// It must be within the longest string that there may be.
pub fn check_offset(args: &Args<'_>, offset: u64) -> Result<u64, Fault> {
    let most = args.env.bulk_bytes_max.get() as u64;
    if offset / 8 < most { Ok(offset) } else { Err(OFFSET) }
}

/// Whether a string has another encoding than it has from the moment on when bits are to be
/// written in it, even if they turn out to be those that are there.
pub fn becomes_raw(db: &DbMut<'_>, key: &[u8]) -> bool {
    db.get(key).is_some_and(|it| it.encoding() != "raw")
}
