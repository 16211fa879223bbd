//! Entries as replies.

use crate::engine::stream::{Entry, StreamId};
use crate::resp::Reply;

/// Answers an id.
pub fn show_id(id: StreamId, reply: &mut Reply) {
    reply.bulk(&id.text());
}

/// Answers an entry: its id, and its fields with their values.
pub fn show_entry(entry: &Entry<'_>, reply: &mut Reply) {
    reply.array(2);
    show_id(entry.id, reply);
    reply.array(2 * entry.len());
    for (name, value) in entry.fields() {
        name.answer(reply);
        value.answer(reply);
    }
}

/// Answers entries.
pub fn show_entries<'e>(entries: impl Iterator<Item = Entry<'e>>, reply: &mut Reply) {
    let (mark, mut count) = (reply.mark(), 0);
    for entry in entries {
        show_entry(&entry, reply);
        count += 1;
    }
    reply.close_array(mark, count);
}

/// Answers an entry, or that there is none.
pub fn show_maybe(entry: Option<Entry<'_>>, reply: &mut Reply) {
    match entry {
        Some(entry) => show_entry(&entry, reply),
        None => reply.null(),
    }
}

/// Answers a number, or that there is none.
pub fn show_number(number: Option<i64>, reply: &mut Reply) {
    match number {
        Some(number) => reply.int(number),
        None => reply.null(),
    }
}
