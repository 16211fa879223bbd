//! Waiting for an offset of a set: when it is there, and how who waits hears of it.

use super::member::Member;
use super::member_state::MemberFlags;
use super::replica_set::ReplicaSet;
use super::waiters::{Condition, Wake};
use crate::base::ids::BlockId;
use crate::base::position::Offset;
use crate::runtime::clock;
use std::sync::Arc;
use std::sync::atomic::{Ordering::SeqCst, fence};

impl Condition {
    /// Up to which offset it holds now; `None` when it holds for none.
    pub fn reached(self, set: &ReplicaSet) -> Option<Offset> {
        match self {
            Condition::AckedBy(count) => set.acked_by_at_least(count),
            Condition::InSync { places, .. } if places.is_empty() => Some(Offset::MAX),
            Condition::InSync { places, count } => {
                let is_awaited = |it: &Member| places.has(it.id) && it.is_in_sync();
                let slowest = replicas(set).filter(|it| is_awaited(it)).map(Member::applied).min();
                Some(slowest.unwrap_or(Offset::MAX)).min(set.acked_by_at_least(count))
            }
            Condition::AckedByAll { places, count } => {
                let left = places.iter().filter(|it| !set.member(*it).is(MemberFlags::REMOVED));
                set.acked_by_at_least(count.max(left.count()))
            }
            // It has become the master, which has everything, or is gone: another may be asked.
            Condition::Readable { member, .. }
                if member == set.master() || set.member(member).is(MemberFlags::REMOVED) =>
            {
                Some(Offset::MAX)
            }
            Condition::Readable { member, allowed } => {
                let may_serve =
                    |it: &&Member| it.id == member || (allowed.has(it.id) && it.in_service());
                replicas(set).filter(may_serve).map(Member::applied).max()
            }
            Condition::Streamed => Some(set.head()),
            Condition::Durable if !set.expects_file() => Some(Offset::MAX),
            Condition::Durable => Some(set.durable()),
            Condition::DurableAt { is_here, replicas } => {
                let here = Condition::Durable.reached(set).filter(|_| is_here);
                set.on_disk_at_least(replicas).min(here.or(Some(Offset::MAX)))
            }
            Condition::Unpaused => (!set.pause.has_begun()).then_some(Offset::MAX),
            Condition::Free { member } if member == set.master() && set.refuses_at_master() => {
                Some(Offset::MAX)
            }
            Condition::Free { member } => {
                let member = set.member(member);
                (!member.is_busy() && !set.is_far_behind(member)).then_some(Offset::MAX)
            }
            Condition::Never => None,
        }
    }

    /// Whether it holds once it is on disk here.
    fn wants_sync(self) -> bool {
        matches!(self, Condition::Durable | Condition::DurableAt { is_here: true, .. })
    }

    /// Whether it holds once replicas have acknowledged something.
    fn wants_acks(self) -> bool {
        match self {
            Condition::AckedBy(_) | Condition::InSync { .. } | Condition::AckedByAll { .. } => true,
            Condition::DurableAt { replicas, .. } => replicas != 0,
            Condition::Readable { .. }
            | Condition::Streamed
            | Condition::Durable
            | Condition::Unpaused
            | Condition::Free { .. }
            | Condition::Never => false,
        }
    }
}

fn replicas(set: &ReplicaSet) -> impl Iterator<Item = &Member> {
    let master = set.master();
    set.members().map(Arc::as_ref).filter(move |it| it.id != master)
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
    /// Waits until `condition` holds for `offset`; `block` is then told to `who`. `None` when it
    /// holds already; it may have been told then all the same, and who waits goes by the number.
    pub fn wait_for(
        self: &Arc<Self>,
        condition: Condition,
        offset: Offset,
        who: Arc<dyn Wake>,
        block: BlockId,
    ) -> Option<Wait> {
        let key = self.waiters.enter(condition, offset, who, block);
        if condition.wants_acks() {
            self.ask_wire(offset, clock::mono_now());
        }
        if condition.wants_sync() {
            self.ask_sync(offset);
        }
        let wait = Wait { set: self.clone(), condition, key };
        // Whoever made it hold before the wait was there has woken nobody.
        fence(SeqCst);
        (condition.reached(self) < Some(offset)).then_some(wait)
    }

    /// How many wait.
    pub fn waits(&self) -> usize {
        self.waiters.count()
    }

    /// Wakes those whose condition has come to hold: a replica has applied something, or has left
    /// or entered service.
    #[inline]
    pub fn wake_waiters(&self) {
        // Between what has changed and the look whether anybody waits for it.
        fence(SeqCst);
        if self.waiters.has_any() {
            self.waiters.wake(|it| it.reached(self));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::places::Places;
    use crate::base::time::MonoUs;
    use crate::engine::Thresholds;
    use crate::node::member_state::Hold;
    use crate::node::{ApplyBudget, new_replid};
    use crate::replication::{DisconnectReason, FollowerKind};
    use parking_lot::Mutex;

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

    fn apply(set: &ReplicaSet, at: u16) {
        set.apply(set.member(MemberId(at)), ApplyBudget::Writes(1));
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
        let condition =
            Condition::InSync { places: Places::of([1, 2].map(MemberId).into_iter()), count: 0 };
        let _wait = set.wait_for(condition, end, woken.clone(), BlockId(7)).expect("both lack it");
        apply(&set, 1);
        assert!(told(&woken).is_empty());
        set.pause(set.member(MemberId(2)), MonoUs(1)).unwrap();
        assert_eq!(told(&woken), [7]);
        assert!(set.wait_for(condition, end, woken.clone(), BlockId(8)).is_none());
    }

    #[test]
    fn a_read_waits_for_its_replica_or_for_any_that_serves() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        let condition = Condition::Readable { member: MemberId(1), allowed: Places::ALL };
        let _wait = set.wait_for(condition, end, woken.clone(), BlockId(1)).expect("nobody has it");
        set.member(MemberId(2)).enter(MemberFlags::DRAINED, MonoUs(1));
        apply(&set, 2);
        assert!(told(&woken).is_empty(), "who is drained serves no reads");
        set.undrain(set.member(MemberId(2)));
        set.wake_waiters();
        assert_eq!(told(&woken), [1]);
    }

    #[test]
    fn a_read_is_not_woken_for_a_replica_that_may_not_serve_it() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        let condition = Condition::Readable {
            member: MemberId(1),
            allowed: Places::of([MemberId(1)].into_iter()),
        };
        let _wait = set.wait_for(condition, end, woken.clone(), BlockId(1)).expect("nobody has it");
        apply(&set, 2);
        assert!(told(&woken).is_empty(), "its route does not name it");
        apply(&set, 1);
        assert_eq!(told(&woken), [1]);
    }

    #[test]
    fn a_write_that_is_to_wait_for_a_master_is_woken_when_there_is_to_be_none() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let master = set.member(set.master());
        let free = Condition::Free { member: master.id };
        let long = set.hold_long(master, Hold::Write);
        let wait = |id| set.wait_for(free, Offset::new(1), woken.clone(), BlockId(id));
        let _wait = wait(1).expect("somebody works long there");
        set.refuse_at_master(true);
        assert_eq!(told(&woken), [1], "it is refused at once");
        set.refuse_at_master(false);
        let _wait = wait(2).expect("it still does");
        drop(long);
        assert_eq!(told(&woken), [2]);
    }

    #[test]
    fn who_waits_for_a_member_that_lets_go_of_its_data_amid_something_long_looks_for_another() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let replica = set.member(MemberId(1));
        replica.state.set_replaying(true);
        let free = Condition::Free { member: replica.id };
        let wait = set.wait_for(free, Offset::new(1), woken.clone(), BlockId(1));
        let _wait = wait.expect("it repeats something long");
        set.disconnect(replica, DisconnectReason::FeedLimit);
        set.let_go_unsynced(replica);
        assert_eq!(told(&woken), [1]);
    }

    #[test]
    fn only_what_is_to_be_on_disk_asks_for_it() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        set.expect_file(true);
        let _acked = set.wait_for(Condition::AckedBy(1), end, woken.clone(), BlockId(1));
        assert!(!set.is_sync_asked());
        let _durable = set.wait_for(Condition::Durable, end, woken.clone(), BlockId(2));
        assert!(set.is_sync_asked());
    }

    #[test]
    fn a_read_waits_no_longer_for_a_member_that_has_become_the_master_or_is_gone() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        let readable = |it| {
            let member = MemberId(it);
            Condition::Readable { member, allowed: Places::of([member].into_iter()) }
        };
        let wait = |it, id| set.wait_for(readable(it), end, woken.clone(), BlockId(id));
        let _waits = [wait(1, 1).expect("it lacks it"), wait(2, 2).expect("it lacks it")];
        set.remove_member(set.member(MemberId(2)), MonoUs(1)).unwrap();
        assert_eq!(told(&woken), [2]);
        assert!(wait(0, 3).is_none(), "the master has everything");
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert!(told(&woken).contains(&1));
    }

    #[test]
    fn a_wait_for_nobody_in_sync_is_none() {
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let end = write(&set);
        let nobody = Condition::InSync { places: Places::default(), count: 1 };
        assert!(set.wait_for(nobody, end, woken.clone(), BlockId(1)).is_none());
    }

    #[test]
    fn who_waits_for_a_pause_to_end_waits_while_there_is_one() {
        use crate::node::PauseMode;
        let (set, woken) = (set(), Arc::new(Woken::default()));
        let wait = || set.wait_for(Condition::Unpaused, Offset::ZERO, woken.clone(), BlockId(3));
        assert!(wait().is_none());
        set.pause_clients(PauseMode::All, MonoUs(90), MonoUs(1));
        let waits = wait();
        assert!(waits.is_some() && set.waits() == 1);
        set.unpause_clients();
        assert_eq!((told(&woken), set.waits()), (vec![3], 0));
    }

    #[test]
    fn replicas_on_the_wire_are_asked_only_where_their_word_is_waited_for() {
        for (condition, asks) in [
            (Condition::AckedBy(1), true),
            (Condition::DurableAt { is_here: false, replicas: 1 }, true),
            (Condition::DurableAt { is_here: true, replicas: 0 }, false),
            (Condition::Durable, false),
            (Condition::Never, false),
        ] {
            let (set, woken) = (set(), Arc::new(Woken::default()));
            set.add_wire_follower(FollowerKind::Wire, "127.0.0.1:7001".into(), 0);
            let head = write(&set);
            let _wait = set.wait_for(condition, head, woken, BlockId(1));
            assert_eq!(head < set.head(), asks, "{condition:?}");
        }
    }
}
