//! XPENDING: what is pending, in short and one by one.

use super::StreamId;
use super::consumers::{Consumer, ConsumerId};
use super::group::{Group, Pending};
use crate::base::time::WallMs;

/// What is pending in a group, in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingSummary {
    /// How many entries.
    pub count: usize,
    /// The lowest and the highest id; none without an entry.
    pub ends: Option<(StreamId, StreamId)>,
}

/// Which entries to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PendingFilter {
    /// The lowest id.
    pub from: StreamId,
    /// The highest id.
    pub to: StreamId,
    /// Milliseconds since the last delivery, at least. 0 is any, in the future too.
    pub min_idle_ms: i64,
    /// Of this consumer only.
    pub consumer: Option<ConsumerId>,
}

impl Group {
    /// In short. [`Group::waiting_consumers`] comes behind it.
    pub fn pending_summary(&self) -> PendingSummary {
        let ends = self.pending.at(0).zip(self.pending.last());
        PendingSummary {
            count: self.pending.len(),
            ends: ends.map(|(one, other)| (one.0, other.0)),
        }
    }

    /// The consumers that have something pending, in the order of their names.
    pub fn waiting_consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter().map(|(_, it)| it).filter(|it| it.pending() != 0)
    }

    /// One by one, the lowest id first. Of these the client takes as many as it has asked for.
    pub fn pending_range(
        &self,
        filter: PendingFilter,
        now: WallMs,
    ) -> impl Iterator<Item = (StreamId, Pending)> {
        let PendingFilter { from, to, min_idle_ms, consumer } = filter;
        let (of_group, of_consumer) = match consumer {
            None => (Some(self.pending.walk(self.pending.ranks(from, to))), None),
            Some(id) => {
                let pending = &self.consumers.get(id).pending;
                (None, Some(pending.walk(pending.ranks(from, to))))
            }
        };
        let of_group = of_group.into_iter().flatten().map(|(id, pending)| (id, *pending));
        let of_consumer = of_consumer.into_iter().flatten();
        let of_consumer =
            of_consumer.filter_map(|(id, ())| self.pending.get(id).map(|it| (id, *it)));
        of_group.chain(of_consumer).filter(move |(_, it)| {
            let idle_ms = (now.0 as i64).wrapping_sub(it.delivered_ms);
            min_idle_ms == 0 || min_idle_ms <= idle_ms
        })
    }
}
