//! XCLAIM: what is pending for one consumer is given to another.

use super::consumers::ConsumerId;
use super::group::{Group, Pending};
use super::{Entries, StreamId};
use crate::base::time::WallMs;

/// What happens to the count of deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deliveries {
    /// One more.
    Count,
    /// As many as before: JUSTID.
    Keep,
    /// So many: RETRYCOUNT.
    Set(u64),
}

/// What happens with an entry that is not pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// Nothing.
    Skip,
    /// It is from now on: FORCE.
    Create,
}

/// How to claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Milliseconds since the last delivery, at least. 0 is any, in the future too.
    pub min_idle_ms: i64,
    /// When it counts as delivered: now, or what [`Claim::at`] makes of IDLE and TIME.
    pub delivered_ms: i64,
    /// What becomes of the count.
    pub deliveries: Deliveries,
    /// What happens with what is not pending.
    pub unknown: Unknown,
}

impl Claim {
    /// With the options of XAUTOCLAIM, and of XCLAIM if there are none.
    pub fn new(min_idle_ms: i64, deliveries: Deliveries, now: WallMs) -> Claim {
        Claim { min_idle_ms, delivered_ms: now.0 as i64, deliveries, unknown: Unknown::Skip }
    }

    /// When an entry counts as delivered with a time that was given: not before 1970 and not in the
    /// future. IDLE is now without its milliseconds.
    pub fn at(time_ms: i64, now: WallMs) -> i64 {
        let now_ms = now.0 as i64;
        if (0..=now_ms).contains(&time_ms) { time_ms } else { now_ms }
    }
}

/// What has come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimed {
    /// It is not pending, or not for long enough, or not in the stream.
    Nothing,
    /// It is not in the stream any more, and so it is not pending any more. What it was.
    ///
    /// Effect: XCLAIM as for [`Claimed::Taken`], by the consumer that had it.
    Dropped(Pending),
    /// The consumer has it.
    ///
    /// Effect: `XCLAIM key group consumer 0 id TIME delivered_ms RETRYCOUNT deliveries FORCE JUSTID
    /// LASTID last-id`.
    Taken(Pending),
}

impl Group {
    /// Gives an entry to a consumer. Redis' name for it is XCLAIM, of one id. The consumer is
    /// active if it gets one, see [`Group::note_active`].
    ///
    /// Before the first id, LASTID raises [`Group::last_id`] if that is smaller; behind the last
    /// one, if that was raised and no XCLAIM has told it, the effect is `XGROUP SETID key group
    /// last-id ENTRIESREAD n`.
    pub fn claim(
        &mut self,
        entries: &Entries,
        consumer: ConsumerId,
        id: StreamId,
        claim: &Claim,
        now: WallMs,
    ) -> Claimed {
        let known = self.pending.get(id).copied();
        if !Group::is_there(entries, id) {
            let Some(known) = known else { return Claimed::Nothing };
            self.acknowledge(id);
            return Claimed::Dropped(known);
        }
        let before = match (known, claim.unknown) {
            (Some(known), _) => {
                let idle_ms = (now.0 as i64).wrapping_sub(known.delivered_ms);
                if claim.min_idle_ms != 0 && idle_ms < claim.min_idle_ms {
                    return Claimed::Nothing;
                }
                known.deliveries
            }
            (None, Unknown::Create) => 1,
            (None, Unknown::Skip) => return Claimed::Nothing,
        };
        let deliveries = match claim.deliveries {
            Deliveries::Count => before.wrapping_add(1),
            Deliveries::Keep => before,
            Deliveries::Set(count) => count,
        };
        let taken = Pending { delivered_ms: claim.delivered_ms, deliveries, consumer };
        self.hand_over(id, taken);
        Claimed::Taken(taken)
    }

    /// The consumer has got something.
    pub fn note_active(&mut self, consumer: ConsumerId, now: WallMs) {
        self.consumers.get_mut(consumer).active_ms = Some(now.0 as i64);
    }
}
