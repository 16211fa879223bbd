//! What the stream says of deliveries: what a replica can repeat without knowing who asked.

use crate::engine::Effects;
use crate::engine::stream::{Group, Pending, StreamId};

/// A key with one of its groups.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The name of the group.
    pub group: &'a [u8],
}

impl Place<'_> {
    /// A consumer has come to be.
    pub fn say_consumer(self, consumer: &[u8], effects: &mut Effects) {
        effects.propagate(&[b"XGROUP", b"CREATECONSUMER", self.key, self.group, consumer]);
    }

    /// An entry is pending for a consumer. `id` is its text.
    pub fn say_claim(
        self,
        group: &Group,
        id: &[u8],
        pending: Pending,
        last_id: StreamId,
        effects: &mut Effects,
    ) {
        let (mut time, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
        effects.propagate(&[
            b"XCLAIM",
            self.key,
            self.group,
            group.consumer(pending.consumer).name(),
            b"0",
            id,
            b"TIME",
            time.format(pending.delivered_ms).as_bytes(),
            b"RETRYCOUNT",
            // Past the end of an integer it goes on below zero, as it does in Redis.
            count.format(pending.deliveries as i64).as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            &last_id.text(),
        ]);
    }

    /// How far the group has come.
    pub fn say_last_id(self, group: &Group, effects: &mut Effects) {
        let mut read = itoa::Buffer::new();
        let read = match group.entries_read {
            // Past the end of an integer it goes on below zero, as it does in Redis.
            Some(count) => read.format(count as i64),
            None => "-1",
        };
        effects.propagate(&[
            b"XGROUP",
            b"SETID",
            self.key,
            self.group,
            &group.last_id.text(),
            b"ENTRIESREAD",
            read.as_bytes(),
        ]);
    }
}
