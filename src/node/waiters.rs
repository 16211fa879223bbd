//! Who waits for an offset, and is woken by exactly what makes that wait end.
//!
//! Waits with the same condition stand in one group, sorted by offset. When a follower has applied
//! something, each group is asked up to which offset its condition holds now, and only the waits up
//! to there are taken out and woken: a wait that cannot end yet costs nothing. While nobody waits,
//! a look at one counter is all there is.

use super::member::Member;
use super::replica_set::ReplicaSet;
use crate::base::ids::BlockId;
use crate::base::limits::REPLICAS_MAX;
use crate::base::position::Offset;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst, fence};

/// Something that waits, and can be told that its wait has ended.
pub trait Wake: Send + Sync {
    /// The wait of this number has ended. Called with locks held: it only leaves a message.
    fn wake(&self, block: BlockId);
}

/// A set of members, by place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Places(u128);

const _: () = assert!(REPLICAS_MAX < u128::BITS as usize);

impl Places {
    /// These places.
    pub fn of(places: impl Iterator<Item = usize>) -> Places {
        Places(places.fold(0, |all, it| all | 1 << it))
    }

    /// Whether this place is one of them.
    pub fn has(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a wait for an offset wants of the replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// This many replicas, whichever they are, have acknowledged it.
    AckedBy(usize),
    /// All of these replicas that are still in sync have acknowledged it, and so have this many in
    /// all. Over at once when there are none of these.
    InSync { places: Places, count: usize },
    /// The replica at this place, or any other that serves reads, has applied it.
    Readable { member: usize },
    /// Clients are not held back by CLIENT PAUSE. The end of its time is not told: whoever waits
    /// for it knows when that is.
    Unpaused,
    /// Never: only time, or a word from outside, ends the wait.
    Never,
}

impl Condition {
    /// Up to which offset it holds now; `None` when it holds for none.
    pub fn reached(self, set: &ReplicaSet) -> Option<Offset> {
        match self {
            Condition::AckedBy(count) => set.acked_by_at_least(count),
            Condition::InSync { places, .. } if places.is_empty() => Some(Offset::MAX),
            Condition::InSync { places, count } => {
                let is_awaited = |it: &Member| places.has(it.index) && it.is_in_sync();
                let slowest = replicas(set).filter(|it| is_awaited(it)).map(Member::applied).min();
                Some(slowest.unwrap_or(Offset::MAX)).min(set.acked_by_at_least(count))
            }
            Condition::Readable { member } => {
                let may_serve = |it: &&Member| it.index == member || it.in_service();
                replicas(set).filter(may_serve).map(Member::applied).max()
            }
            Condition::Unpaused => (!set.is_paused()).then_some(Offset::MAX),
            Condition::Never => None,
        }
    }
}

fn replicas(set: &ReplicaSet) -> impl Iterator<Item = &Member> {
    let master = set.master();
    set.members().map(Arc::as_ref).filter(move |it| it.index != master)
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

/// A wait that has not ended. Dropped, it is given up.
pub struct Wait {
    set: Arc<ReplicaSet>,
    condition: Condition,
    key: (Offset, u64),
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.set.waiters.leave(self.condition, self.key);
    }
}

impl ReplicaSet {
    /// Waits until `condition` holds for `offset`; `block` is then told to `who`, once. `None` when
    /// it holds already: nothing is told then.
    pub fn wait_for(
        self: &Arc<Self>,
        condition: Condition,
        offset: Offset,
        who: Arc<dyn Wake>,
        block: BlockId,
    ) -> Option<Wait> {
        let key = self.waiters.enter(condition, offset, who, block);
        let wait = Wait { set: self.clone(), condition, key };
        // Whoever made it hold before the wait was there has woken nobody.
        fence(SeqCst);
        (condition.reached(self) < Some(offset)).then_some(wait)
    }

    /// Wakes those whose condition has come to hold: a replica has applied something, or has left
    /// or entered service.
    #[inline]
    pub fn wake_waiters(&self) {
        // Between what has changed and the look whether anybody waits for it.
        fence(SeqCst);
        if self.waiters.count.load(SeqCst) != 0 {
            self.waiters.wake(self);
        }
    }
}

impl Waiters {
    fn enter(
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

    fn leave(&self, condition: Condition, key: (Offset, u64)) {
        let mut waits = self.waits.lock();
        let Some(at) = waits.groups.iter().position(|it| it.condition == condition) else { return };
        if waits.groups[at].waiting.remove(&key).is_some() {
            self.count.fetch_sub(1, SeqCst);
        }
        if waits.groups[at].waiting.is_empty() {
            waits.groups.swap_remove(at);
        }
    }

    #[cold]
    fn wake(&self, set: &ReplicaSet) {
        let mut waits = self.waits.lock();
        for group in &mut waits.groups {
            let reached = group.condition.reached(set);
            while let Some(first) = group.waiting.first_entry() {
                if reached < Some(first.key().0) {
                    break;
                }
                let (who, block) = first.remove();
                who.wake(block);
                self.count.fetch_sub(1, SeqCst);
            }
        }
        waits.groups.retain(|it| !it.waiting.is_empty());
    }

    /// How many waits there are.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.count.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::MonoUs;
    use crate::engine::Thresholds;
    use crate::node::{ApplyBudget, MemberFlag, new_replid};

    #[derive(Default)]
    struct Woken(Mutex<Vec<u64>>);

    impl Wake for Woken {
        fn wake(&self, block: BlockId) {
            self.0.lock().push(block.0);
        }
    }

    fn set() -> Arc<ReplicaSet> {
        let set = ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        Arc::new(set)
    }

    fn write(set: &ReplicaSet) -> Offset {
        set.ping(MonoUs(1));
        set.head()
    }

    fn apply(set: &ReplicaSet, at: usize) {
        set.apply(set.member(at), ApplyBudget::Writes(1));
    }

    fn told(woken: &Woken) -> Vec<u64> {
        std::mem::take(&mut woken.0.lock())
    }

    #[test]
    fn only_waits_up_to_what_was_reached_are_woken_and_once() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let ends = [write(&set), write(&set), write(&set)];
        let wait = |count, end, id| {
            set.wait_for(Condition::AckedBy(count), end, woken.clone(), BlockId(id))
        };
        let _waits: Vec<Wait> = (0..3).filter_map(|it| wait(1, ends[it], it as u64)).collect();
        let _both = wait(2, ends[0], 9).expect("no replica has it");
        assert_eq!(set.waiters.count(), 4);
        apply(&set, 1);
        assert_eq!(told(&woken), [0]);
        apply(&set, 1);
        assert_eq!(told(&woken), [1]);
        apply(&set, 2);
        assert_eq!(told(&woken), [9], "two replicas have the first");
        apply(&set, 1);
        assert_eq!(told(&woken), [2]);
        assert_eq!(set.waiters.count(), 0);
    }

    #[test]
    fn a_wait_whose_condition_holds_is_none() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        apply(&set, 1);
        let wait = set.wait_for(Condition::AckedBy(1), end, woken.clone(), BlockId(1));
        assert!(wait.is_none() && set.waiters.count() == 0 && told(&woken).is_empty());
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        drop(set.wait_for(Condition::AckedBy(1), end, woken.clone(), BlockId(1)));
        assert_eq!(set.waiters.count(), 0);
        apply(&set, 1);
        assert!(told(&woken).is_empty());
    }

    #[test]
    fn waits_for_replicas_in_sync_end_when_those_that_lack_it_leave() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        let condition = Condition::InSync { places: Places::of([1, 2].into_iter()), count: 0 };
        let _wait = set.wait_for(condition, end, woken.clone(), BlockId(7)).expect("both lack it");
        apply(&set, 1);
        assert!(told(&woken).is_empty());
        set.pause(set.member(2), MonoUs(1)).unwrap();
        assert_eq!(told(&woken), [7]);
        assert!(set.wait_for(condition, end, woken.clone(), BlockId(8)).is_none());
    }

    #[test]
    fn a_read_waits_for_its_replica_or_for_any_that_serves() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        let condition = Condition::Readable { member: 1 };
        let _wait = set.wait_for(condition, end, woken.clone(), BlockId(1)).expect("nobody has it");
        set.member(2).enter(MemberFlag::Drained, MonoUs(1));
        apply(&set, 2);
        assert!(told(&woken).is_empty(), "who is drained serves no reads");
        set.undrain(set.member(2));
        set.wake_waiters();
        assert_eq!(told(&woken), [1]);
    }
}
