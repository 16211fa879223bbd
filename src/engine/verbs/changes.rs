//! Writes that answer how much they changed, and say nothing if that is nothing.

use crate::command::{Args, Event};
use crate::engine::{Collection, Effects, Engine};
use crate::resp::Reply;

/// Answers a number of changes; the stream repeats the client's words if there are any.
pub fn answer(changes: usize, effects: &mut Effects, reply: &mut Reply) {
    if changes != 0 {
        effects.as_sent();
    }
    reply.count(changes);
}

/// Stores at `key` what a command has made, and raises `event`, or removes the key if that is
/// empty. Answers how many elements there are.
pub fn store<C: Collection>(
    engine: &mut Engine,
    args: &Args<'_>,
    (key, event): (&[u8], Event),
    made: C,
    effects: &mut Effects,
    reply: &mut Reply,
) {
    let (len, mut db) = (made.len(), engine.db_mut(args));
    if len != 0 {
        db.put_value(key, made.into_value(), None);
        db.event(event, key);
        effects.as_sent();
    } else if db.remove(key) {
        db.event(Event::DEL, key);
        effects.as_sent();
    }
    reply.count(len);
}
