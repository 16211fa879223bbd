//! XAUTOCLAIM: XCLAIM of whatever is pending for long enough, a part at a time.

use super::claim::{Claim, Claimed};
use super::consumers::ConsumerId;
use super::group::Group;
use super::{Entries, StreamId};
use crate::base::time::WallMs;

/// Entries that are looked at for each that may be claimed.
const LOOKS_PER_ENTRY: usize = 10;

/// Most entries that XAUTOCLAIM may be asked for: it looks at ten times as many.
pub const COUNT_MAX: usize = i64::MAX as usize / LOOKS_PER_ENTRY;

/// What to claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AutoClaim {
    /// Where to begin.
    pub start: StreamId,
    /// Most entries to claim or drop.
    pub count: usize,
    /// How: what is not pending is not met.
    pub claim: Claim,
}

/// What has come of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AutoClaimed {
    /// Where to go on; `0-0` if that is the end.
    pub next: StreamId,
    /// The entries that were claimed or dropped, in order, each with its effect.
    pub claimed: Vec<(StreamId, Claimed)>,
}

impl Group {
    /// Gives a consumer what has been pending for long enough. What is not in the stream any more
    /// is dropped, and the reply names it: both count.
    ///
    /// Effects: those of the [`Claimed`], in one transaction.
    pub fn auto_claim(
        &mut self,
        entries: &Entries,
        consumer: ConsumerId,
        asked: &AutoClaim,
        now: WallMs,
    ) -> AutoClaimed {
        let (mut claimed, mut looks) = (Vec::new(), asked.count.saturating_mul(LOOKS_PER_ENTRY));
        let mut next = Some(asked.start);
        while let Some(from) = next {
            let rank = self.pending.rank(from);
            let Some((id, _)) = self.pending.at(rank) else { break };
            if looks == 0 || claimed.len() == asked.count {
                return AutoClaimed { next: id, claimed };
            }
            looks -= 1;
            match self.claim(entries, consumer, id, &asked.claim, now) {
                Claimed::Nothing => {}
                outcome => claimed.push((id, outcome)),
            }
            next = id.next();
        }
        AutoClaimed { next: StreamId::MIN, claimed }
    }
}
