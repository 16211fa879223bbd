//! A stream as an RDB file has it: its nodes are the listpacks that it holds.
//!
//! ```text
//! nodes, [id, listpack] …, length, last id [, first id, greatest deleted id, added]
//! groups, [name, last id [, read], pending, [id, time, count] …,
//!          consumers, [name, seen [, active], ids, [id] …] …] …
//! ```
//!
//! Redis 7.0 has brought what stands in brackets, but for `active`, which 7.2 has. Both ways it is
//! taken in units, so that neither what is held nor what is written at a time grows with it.

mod load;
mod save;
#[cfg(test)]
mod tests;

pub use load::StreamLoader;
pub use save::{Out, StreamPlace, write, write_unit};

/// The number that stands for a count of entries read that is not known.
const UNKNOWN: u64 = u64::MAX;
/// The time that stands for never.
const NEVER: i64 = -1;
