//! LLEN, SCARD, HLEN, ZCARD: how many elements a collection holds.

use crate::command::{Args, Fault};
use crate::engine::{Collection, Engine};
use crate::resp::Reply;

/// Answers the length of the collection at the key; 0 without one.
pub fn of<C: Collection>(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let found: Option<&C> = engine.db(&args).collection(args.next()?)?;
    reply.count(found.map_or(0, C::len));
    Ok(())
}
