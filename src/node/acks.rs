//! Who has acknowledged what, and what a write's reply waits for.

use super::member::Member;
use super::member_state::MemberFlags;
use super::membership::present;
use super::replica_set::{MemberList, ReplicaSet};
use super::waiters::Condition;
use crate::base::ids::MemberId;
use crate::base::places::Places;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::Offset;
use crate::route::Acks;
use crate::session::AskedAcks;
use std::sync::Arc;
use std::time::Duration;

impl ReplicaSet {
    /// Replicas that have acknowledged everything up to `offset`: what WAIT answers.
    pub fn acked_by(&self, offset: Offset) -> usize {
        self.acked().filter(|it| offset <= *it).count()
    }

    /// Up to where at least `count` replicas have acknowledged; `None` when there are not as many.
    pub fn acked_by_at_least(&self, count: usize) -> Option<Offset> {
        if count == 0 {
            return Some(Offset::MAX);
        }
        let mut acked: Vec<Offset> = self.acked().collect();
        acked.sort_unstable_by_key(|it| std::cmp::Reverse(*it));
        acked.get(count - 1).copied()
    }

    /// Replicas that have everything up to `offset` in an append-only file of their own: what
    /// WAITAOF answers. Hosted ones have none.
    pub fn on_disk_at(&self, offset: Offset) -> usize {
        self.on_disk_on_wire().iter().filter(|it| offset <= **it).count()
    }

    /// Up to where at least `count` replicas have it on disk; `None` when there are not as many.
    pub fn on_disk_at_least(&self, count: usize) -> Option<Offset> {
        if count == 0 {
            return Some(Offset::MAX);
        }
        let mut on_disk = self.on_disk_on_wire();
        on_disk.sort_unstable_by_key(|it| std::cmp::Reverse(*it));
        on_disk.get(count - 1).copied()
    }

    /// What each replica has acknowledged, hosted or on the wire.
    fn acked(&self) -> impl Iterator<Item = Offset> {
        let again = usize::from(is_planted(Planted::AckCountedTwice));
        let counts = self.counts_hosted();
        let counted = move |it: &&Arc<Member>| counts && it.is_sound();
        let hosted = self.replicas().filter(counted).map(|it| it.applied());
        let twice = self.replicas().filter(|it| it.is_sound()).map(|it| it.applied()).take(again);
        hosted.chain(twice).chain(self.acked_on_wire())
    }
}

/// Which replicas must have applied a write before its reply may leave, and for how long it waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// This many, whichever they are.
    count: usize,
    /// As many as these that are still members, whichever they are.
    all: Places,
    /// Places of those that were in sync when the write was made. All that still are must have it,
    /// and one replica at least.
    in_sync: Option<Vec<MemberId>>,
    /// It must be on disk here.
    is_synced: bool,
    /// Without an end when zero.
    timeout: Duration,
}

/// How far a write has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Confirmed {
    /// Replicas that have applied it.
    pub acked: usize,
    /// How many must have.
    pub wanted: usize,
    /// Whether to wait is of no more use: all that were in sync have it, or left, and nobody waits
    /// for a number of them.
    is_settled: bool,
}

impl Confirmed {
    /// Whether the reply may leave.
    pub fn is_enough(self) -> bool {
        self.wanted <= self.acked
    }

    /// Whether there is nothing more to wait for.
    pub fn is_final(self) -> bool {
        self.is_enough() || self.is_settled
    }
}

impl Wanted {
    /// What all of `asked` want together; `None` when that is nothing. The time is that of the one
    /// who asks for most, and the longest where that is not plain.
    pub fn of_all(
        set: &ReplicaSet,
        member_list: &MemberList,
        mut asked: impl Iterator<Item = AskedAcks>,
    ) -> Option<Wanted> {
        let mut most = asked.next()?;
        let mut wanted = Wanted {
            count: 0,
            all: Places::default(),
            in_sync: None,
            is_synced: false,
            timeout: most.timeout,
        };
        wanted.add(most.acks, set, member_list);
        for it in asked {
            wanted.add(it.acks, set, member_list);
            wanted.timeout = match (most.acks.covers(it.acks), it.acks.covers(most.acks)) {
                (true, _) => wanted.timeout,
                (false, true) => it.timeout,
                (false, false) => longer(wanted.timeout, it.timeout),
            };
            most = if most.acks.covers(it.acks) { most } else { it };
        }
        (wanted.is_synced || wanted.wants_replicas()).then_some(wanted)
    }

    fn wants_replicas(&self) -> bool {
        0 < self.count || !self.all.is_empty() || self.in_sync.is_some()
    }

    /// Whether it must be on disk here.
    pub fn wants_sync(&self) -> bool {
        self.is_synced
    }

    /// What else is to be waited for, when [`Wanted::condition`] has come to hold.
    pub fn next_condition(&self, set: &ReplicaSet, offset: Offset) -> Option<Condition> {
        if !self.is_synced || !self.wants_replicas() {
            return None;
        }
        let is_there = self.confirmed(set, offset, set.acked_by(offset)).is_final();
        (!is_there).then(|| self.condition_of_replicas())
    }

    fn add(&mut self, acks: Acks, set: &ReplicaSet, member_list: &MemberList) {
        let master = set.master();
        let in_sync = |it: &&std::sync::Arc<Member>| it.id != master && it.is_in_sync();
        match acks {
            Acks::None => {}
            Acks::Fsync => self.is_synced = true,
            Acks::Count(count) => self.count = self.count.max(count.into()),
            Acks::All => {
                let replicas = present(member_list).map(|it| it.id).filter(|it| *it != master);
                self.all = Places::of(replicas);
            }
            Acks::InSync => {
                let places = || member_list.iter().filter(in_sync).map(|it| it.id).collect();
                self.in_sync.get_or_insert_with(places);
            }
        }
    }

    /// How long to wait, if that has an end.
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout != Duration::ZERO).then_some(self.timeout)
    }

    /// When there is nothing more to wait for.
    pub fn condition(&self) -> Condition {
        if self.is_synced { Condition::Durable } else { self.condition_of_replicas() }
    }

    fn condition_of_replicas(&self) -> Condition {
        if !self.all.is_empty() {
            // Those in sync are among all of them.
            let count = self.count.max(usize::from(self.in_sync.is_some()));
            return Condition::AckedByAll { places: self.all, count };
        }
        match &self.in_sync {
            None => Condition::AckedBy(self.count),
            Some(in_sync) => {
                let places = Places::of(in_sync.iter().copied());
                Condition::InSync { places, count: self.count }
            }
        }
    }

    /// How far a write that ended at `offset` has come, now that `acked` replicas have it.
    pub fn confirmed(&self, set: &ReplicaSet, offset: Offset, acked: usize) -> Confirmed {
        let left = self.all.iter().filter(|it| !set.member(*it).is(MemberFlags::REMOVED));
        let count = self.count.max(left.count());
        let Some(in_sync) = &self.in_sync else {
            return Confirmed { acked, wanted: count, is_settled: false };
        };
        let master = set.master();
        let members = in_sync.iter().map(|it| set.member(*it));
        let lacking = members
            .filter(|it| it.id != master && it.is_in_sync() && it.applied() < offset)
            .count();
        // A number may still be reached by those who were not in sync.
        let is_settled = lacking == 0 && (in_sync.is_empty() || count <= acked);
        // With none in sync there was nobody to count on: a drained replica may have it by now, or
        // not, and the answer must not be a matter of luck.
        let lacking = if in_sync.is_empty() { 1 } else { lacking };
        let wanted = count.max(acked + lacking).max(1);
        Confirmed { acked, wanted, is_settled }
    }
}

/// Of two times, of which zero has no end.
fn longer(this: Duration, other: Duration) -> Duration {
    match this.is_zero() || other.is_zero() {
        true => Duration::ZERO,
        false => this.max(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::MonoUs;
    use crate::engine::Thresholds;
    use crate::node::{ApplyBudget, new_replid};

    /// Three members, and a write that no replica has yet.
    fn set() -> ReplicaSet {
        let set = ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        set.ping(MonoUs(1));
        set
    }

    fn wanted(set: &ReplicaSet, asked: &[(Acks, u64)]) -> Option<Wanted> {
        let asked =
            asked.iter().map(|it| AskedAcks { acks: it.0, timeout: Duration::from_millis(it.1) });
        Wanted::of_all(set, &set.member_list(), asked)
    }

    /// Acked, wanted, and whether there is nothing more to wait for.
    fn stands(wanted: &Wanted, set: &ReplicaSet) -> (usize, usize, bool) {
        let (master, head) = (set.master(), set.head());
        let has =
            |it: &&std::sync::Arc<Member>| it.id != master && it.is_sound() && head <= it.applied();
        let acked = set.member_list().iter().filter(has).count();
        let stands = wanted.confirmed(set, head, acked);
        (stands.acked, stands.wanted, stands.is_final())
    }

    #[test]
    fn a_replica_that_leaves_is_no_longer_waited_for_but_one_must_have_the_write() {
        let set = set();
        let wanted = wanted(&set, &[(Acks::InSync, 5)]).unwrap();
        assert_eq!(stands(&wanted, &set), (0, 2, false));
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!(stands(&wanted, &set), (1, 2, false));
        set.pause(set.member(MemberId(2)), MonoUs(1)).unwrap();
        assert_eq!(stands(&wanted, &set), (1, 1, true));
        set.resume(set.member(MemberId(2)));
        assert_eq!(stands(&wanted, &set), (1, 2, false), "it is back, and lacks the write");
        set.drain(set.member(MemberId(2)), MonoUs(1)).unwrap();
        assert_eq!(stands(&wanted, &set), (1, 1, true));
    }

    #[test]
    fn when_all_leave_without_the_write_nothing_is_waited_for_and_nothing_is_durable() {
        let set = set();
        let wanted = wanted(&set, &[(Acks::InSync, 5)]).unwrap();
        set.pause(set.member(MemberId(1)), MonoUs(1)).unwrap();
        set.member(MemberId(2)).enter(MemberFlags::UNSYNCED, MonoUs(1));
        assert_eq!(stands(&wanted, &set), (0, 1, true));
    }

    #[test]
    fn a_candidate_is_no_replica_any_more_and_the_old_master_has_all_there_is() {
        let set = set();
        let wanted = wanted(&set, &[(Acks::InSync, 5)]).unwrap();
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert_eq!(stands(&wanted, &set), (1, 2, false));
        set.apply(set.member(MemberId(2)), ApplyBudget::SHORT);
        assert_eq!(stands(&wanted, &set), (2, 2, true));
    }

    #[test]
    fn with_none_in_sync_the_answer_is_known_at_once_and_who_comes_later_was_not_counted() {
        let set = set();
        [1, 2].map(MemberId).iter().for_each(|it| set.pause(set.member(*it), MonoUs(1)).unwrap());
        let none = wanted(&set, &[(Acks::InSync, 5)]).unwrap();
        assert_eq!(stands(&none, &set), (0, 1, true));
        [1, 2].map(MemberId).iter().for_each(|it| set.resume(set.member(*it)));
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!(stands(&none, &set), (1, 2, true), "it is not a matter of luck");
        set.member(MemberId(1)).enter(MemberFlags::PAUSED, MonoUs(1));
        let all = wanted(&set, &[(Acks::All, 5)]).unwrap();
        assert_eq!(stands(&all, &set), (1, 2, false), "a member that is paused is still a member");
    }

    #[test]
    fn a_member_that_is_removed_is_no_longer_one_of_all() {
        let set = set();
        let all = wanted(&set, &[(Acks::All, 5)]).unwrap();
        let both = wanted(&set, &[(Acks::All, 5), (Acks::InSync, 5)]).unwrap();
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!(stands(&all, &set), (1, 2, false));
        assert!(all.condition().reached(&set) < Some(set.head()));
        set.remove_member(set.member(MemberId(2)), MonoUs(1)).unwrap();
        assert_eq!((stands(&all, &set), stands(&both, &set)), ((1, 1, true), (1, 1, true)));
        assert!(Some(set.head()) <= all.condition().reached(&set));
        assert!(Some(set.head()) <= both.condition().reached(&set));
        assert_eq!(stands(&wanted(&set, &[(Acks::All, 5)]).unwrap(), &set), (1, 1, true));
    }

    #[test]
    fn those_who_ask_for_different_things_get_all_of_them() {
        let set = set();
        set.pause(set.member(MemberId(2)), MonoUs(1)).unwrap();
        let both = wanted(&set, &[(Acks::InSync, 5), (Acks::Count(2), 9)]).unwrap();
        assert_eq!(both.timeout(), Some(Duration::from_millis(9)), "neither is surely more");
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!(stands(&both, &set), (1, 2, false), "the second may resume in time");
        set.resume(set.member(MemberId(2)));
        set.apply(set.member(MemberId(2)), ApplyBudget::SHORT);
        assert_eq!(stands(&both, &set), (2, 2, true));
        let time = |asked: &[(Acks, u64)]| wanted(&set, asked).unwrap().timeout();
        assert_eq!(time(&[(Acks::Count(2), 5), (Acks::Count(1), 9)]), Some(ms(5)));
        assert_eq!(time(&[(Acks::Count(1), 5), (Acks::All, 3)]), Some(ms(3)));
        assert_eq!(time(&[(Acks::InSync, 5), (Acks::Count(2), 0)]), None);
        assert_eq!(wanted(&set, &[]), None);
    }

    fn ms(it: u64) -> Duration {
        Duration::from_millis(it)
    }

    #[test]
    fn what_must_be_on_disk_here_and_at_replicas_is_waited_for_in_turn() {
        let set = set();
        let head = set.head();
        let disk = wanted(&set, &[(Acks::Fsync, 5)]).unwrap();
        assert!(disk.wants_sync() && disk.next_condition(&set, head).is_none());
        let count = wanted(&set, &[(Acks::Count(1), 5)]).unwrap();
        assert!(!count.wants_sync() && count.next_condition(&set, head).is_none());
        let both = wanted(&set, &[(Acks::Fsync, 5), (Acks::Count(1), 5)]).unwrap();
        assert_eq!(both.condition(), Condition::Durable);
        assert_eq!(both.next_condition(&set, head), Some(Condition::AckedBy(1)));
        set.apply(set.member(MemberId(1)), ApplyBudget::SHORT);
        assert_eq!(both.next_condition(&set, head), None, "a replica has it meanwhile");
        assert_eq!(wanted(&set, &[(Acks::None, 5)]), None);
    }
}
