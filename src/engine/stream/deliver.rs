//! XREADGROUP: a group hands entries to a consumer, new ones or those that it had before.

use super::consumers::ConsumerId;
use super::group::{Group, Pending};
use super::{Entries, Entry, Rules, StreamId};
use crate::base::time::WallMs;

/// Whether what is delivered is pending until it is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// It is.
    Wanted,
    /// NOACK: it is done with at once.
    Unwanted,
}

/// Which entries were delivered: all that are there between two ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivered {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub from: StreamId,
    /// The last of them.
    pub to: StreamId,
}

impl Group {
    /// Delivers up to `count` entries behind the last one that was: XREADGROUP with `>`, and as in
    /// Redis with [`StreamId::MAX`]. `None` if there is none.
    ///
    /// The reply is [`Entries::range`] of what is answered. Effects, in one transaction: XGROUP
    /// CREATECONSUMER if the consumer is new; then, with [`Acks::Wanted`], for each entry `XCLAIM
    /// key group consumer 0 id TIME now RETRYCOUNT 1 FORCE JUSTID LASTID id`; and `XGROUP SETID key
    /// group last-id ENTRIESREAD n`, which redis-server 7.0 leaves out behind an XCLAIM, so that
    /// its replicas do not know what was read. If it is not known, n is -1.
    pub fn deliver(
        &mut self,
        entries: &Entries,
        consumer: ConsumerId,
        count: usize,
        acks: Acks,
        now: WallMs,
        rules: Rules,
    ) -> Option<Delivered> {
        let from = self.last_id.next()?;
        let mut delivered = None::<Delivered>;
        let delivered_ms = now.0 as i64;
        for entry in entries.range(from, StreamId::MAX).take(count) {
            self.count_read(entry.id, entries, rules);
            if acks == Acks::Wanted {
                self.hand_over(entry.id, Pending { delivered_ms, deliveries: 1, consumer });
            }
            let before = delivered.unwrap_or(Delivered { count: 0, from: entry.id, to: entry.id });
            delivered = Some(Delivered { count: before.count + 1, to: entry.id, ..before });
        }
        if delivered.is_some() && acks == Acks::Wanted {
            self.consumers.get_mut(consumer).active_ms = Some(delivered_ms);
        }
        delivered
    }

    /// How many ids [`Group::deliver_again`] shows.
    pub fn pending_behind(&self, consumer: ConsumerId, after: StreamId, count: usize) -> usize {
        let pending = &self.consumers.get(consumer).pending;
        let before = after.next().map_or(pending.len(), |it| pending.rank(it));
        count.min(pending.len() - before)
    }

    /// Shows up to `count` entries behind an id that are pending for a consumer, and counts that as
    /// a delivery: XREADGROUP with an id. An entry that is not in the stream any more is shown
    /// without fields, and not counted.
    ///
    /// Effect: none, as in Redis: a replica does not know of these deliveries.
    pub fn deliver_again<'s>(
        &mut self,
        entries: &'s Entries,
        consumer: ConsumerId,
        after: StreamId,
        count: usize,
        now: WallMs,
        mut show: impl FnMut(StreamId, Option<Entry<'s>>),
    ) {
        let Some(from) = after.next() else { return };
        let (owner, pending) = (self.consumers.get(consumer), &mut self.pending);
        for id in owner.ids_from(owner.pending.rank(from)).take(count) {
            let entry = entries.get(id);
            if entry.is_some() {
                pending.change(id, |it| {
                    it.delivered_ms = now.0 as i64;
                    it.deliveries = it.deliveries.wrapping_add(1);
                });
            }
            show(id, entry);
        }
    }
}
