//! Writes that answer how much they changed, and say nothing if that is nothing.

use crate::command::Args;
use crate::engine::{Collection, Effects, Engine};
use crate::resp::Reply;

/// Answers a number of changes; the stream repeats the client's words if there are any.
pub fn answer(changes: usize, effects: &mut Effects, reply: &mut Reply) {
    if changes != 0 {
        effects.as_sent();
    }
    reply.count(changes);
}

/// Stores at `key` what a command has made, or removes the key if that is empty. Answers how many
/// elements there are.
pub fn store<C: Collection>(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    made: C,
    effects: &mut Effects,
    reply: &mut Reply,
) {
    let (len, mut db) = (made.len(), engine.db_mut(args));
    let has_changed = match len {
        0 => db.remove(key),
        _ => {
            db.put_value(key, made.into_value(), None);
            true
        }
    };
    if has_changed {
        effects.as_sent();
    }
    reply.count(len);
}
