//! Who waits for an offset, and is woken by exactly what makes that wait end.
//!
//! Waits with the same condition stand in one group, sorted by offset. When a follower has applied
//! something, each group is asked up to which offset its condition holds now, and only the waits up
//! to there are taken out and woken: a wait that cannot end yet costs nothing. While nobody waits,
//! a look at one counter is all there is.

use crate::base::ids::{BlockId, MemberId};
use crate::base::places::Places;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::Offset;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Something that waits, and can be told that its wait has ended.
pub trait Wake: Send + Sync {
    /// The wait of this number has ended. Called with locks held: it only leaves a message.
    fn wake(&self, block: BlockId);
}

/// What a wait for an offset wants of the replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// This many replicas, whichever they are, have acknowledged it.
    AckedBy(usize),
    /// As many replicas as there are still members of these, and this many at least, have
    /// acknowledged it.
    AckedByAll { places: Places, count: usize },
    /// All of these replicas that are still in sync have acknowledged it, and so have this many in
    /// all. Over at once when there are none of these.
    InSync { places: Places, count: usize },
    /// This replica, or any other of those allowed that serves reads, has applied it.
    Readable { member: MemberId, allowed: Places },
    /// The stream has come as far: that of a remote master.
    Streamed,
    /// The stream is on disk as far.
    Durable,
    /// The stream is on disk as far at so many replicas, and here if that is wanted.
    DurableAt { is_here: bool, replicas: usize },
    /// Clients are not held back by CLIENT PAUSE. The end of its time is not told: whoever waits
    /// for it knows when that is.
    Unpaused,
    /// Nobody holds this member for long, and it is not far behind.
    Free { member: MemberId },
    /// Never: only time, or a word from outside, ends the wait.
    Never,
}

/// The waits of one set.
#[derive(Default)]
pub struct Waiters {
    count: AtomicUsize,
    waits: Mutex<Waits>,
}

#[derive(Default)]
struct Waits {
    groups: Vec<Group>,
    last: u64,
}

/// Waits that differ in their offset alone.
struct Group {
    condition: Condition,
    waiting: BTreeMap<(Offset, u64), (Arc<dyn Wake>, BlockId)>,
}

impl Waiters {
    /// One more waits.
    pub fn enter(
        &self,
        condition: Condition,
        offset: Offset,
        who: Arc<dyn Wake>,
        block: BlockId,
    ) -> (Offset, u64) {
        let mut waits = self.waits.lock();
        waits.last += 1;
        let key = (offset, waits.last);
        let at = waits.groups.iter().position(|it| it.condition == condition);
        let at = at.unwrap_or_else(|| {
            waits.groups.push(Group { condition, waiting: BTreeMap::new() });
            waits.groups.len() - 1
        });
        waits.groups[at].waiting.insert(key, (who, block));
        self.count.fetch_add(1, SeqCst);
        key
    }

    /// Gives a wait up, if it has not ended.
    pub fn leave(&self, condition: Condition, key: (Offset, u64)) {
        let mut waits = self.waits.lock();
        let Some(at) = waits.groups.iter().position(|it| it.condition == condition) else { return };
        if waits.groups[at].waiting.remove(&key).is_some() {
            self.count.fetch_sub(1, SeqCst);
        }
        if waits.groups[at].waiting.is_empty() {
            waits.groups.swap_remove(at);
        }
    }

    /// Wakes those whose condition has come to hold. `reached` says up to which offset a condition
    /// holds now.
    #[cold]
    pub fn wake(&self, reached: impl Fn(Condition) -> Option<Offset>) {
        let mut waits = self.waits.lock();
        for group in &mut waits.groups {
            let reached = reached(group.condition);
            while let Some(first) = group.waiting.first_entry() {
                if reached < Some(first.key().0) {
                    break;
                }
                let (who, block) = first.remove();
                if !is_planted(Planted::WaiterNotWoken) {
                    who.wake(block);
                }
                self.count.fetch_sub(1, SeqCst);
            }
        }
        waits.groups.retain(|it| !it.waiting.is_empty());
    }

    /// Whether anybody waits.
    #[inline]
    pub fn has_any(&self) -> bool {
        self.count.load(SeqCst) != 0
    }

    /// How many waits there are.
    pub fn count(&self) -> usize {
        self.count.load(SeqCst)
    }
}
