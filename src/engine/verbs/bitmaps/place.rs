//! Where bits are, and how they are written.

use crate::base::number::parse_i64;
use crate::command::{Args, Event, Fault};
use crate::engine::{DbMut, Effects};

/// What is raised when bits have changed.
const CHANGED: Event = Event::string("setbit");

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

/// What a command does to a string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// How many bytes the string has then.
    pub len: usize,
    /// Whether its bytes are others, or more.
    pub has_changed: bool,
    /// Whether an event is raised.
    pub is_told: bool,
}

/// Writes bits in the string at `key`, clear where it had none. It becomes `raw` even if the bits
/// turn out to be those that are there.
pub fn write(
    db: &mut DbMut<'_>,
    key: &[u8],
    Change { len, has_changed, is_told }: Change,
    effects: &mut Effects,
    change: impl FnOnce(&mut [u8]),
) -> Result<(), Fault> {
    let is_raw = db.get(key).is_some_and(|it| it.encoding() == "raw");
    if is_raw && !has_changed {
        return Ok(());
    }
    let shared = db.change_string(key, len, change)?;
    if is_told {
        db.event(CHANGED, key);
    }
    effects.as_sent_with(shared);
    Ok(())
}
