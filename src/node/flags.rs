//! What operators and panics do to one member: pause, resume, drain, quarantine.

use super::failover::Refused;
use super::member::Member;
use super::member_state::MemberFlags;
use super::replica_set::ReplicaSet;
use crate::base::time::MonoUs;
use crate::replication::DisconnectReason;
use crate::runtime::clock;
use std::sync::atomic::Ordering::Relaxed;

impl ReplicaSet {
    /// `member` applies nothing from here on. A batch that was being applied has ended on return,
    /// but for a write that takes long: no worker waits for that.
    pub fn pause(&self, member: &Member, now: MonoUs) -> Result<(), Refused> {
        self.order(member, MemberFlags::PAUSED, now)?;
        drop(member.write_unless_long());
        log::info!("event=paused member={}", member.name);
        Ok(())
    }

    /// `member` goes on where it stopped, or with a full resync when it cannot, because it was
    /// disconnected or a verb panicked in it. A quarantined master goes on as it is when nobody can
    /// take its place: whoever says so vouches for its data.
    pub fn resume(&self, member: &Member) {
        member.leave(MemberFlags::PAUSED);
        if member.is(MemberFlags::QUARANTINED) {
            self.replace_quarantined_master();
            if member.id != self.master() {
                member.enter(MemberFlags::UNSYNCED, MonoUs(0));
            }
            member.leave(MemberFlags::QUARANTINED);
        }
        log::info!("event=resumed member={}", member.name);
        // All of them: one that needs a sync may have found nobody to copy until now.
        self.push();
    }

    /// `member` serves no new reads, and is fed all the same.
    pub fn drain(&self, member: &Member, now: MonoUs) -> Result<(), Refused> {
        self.order(member, MemberFlags::DRAINED, now)?;
        log::info!("event=drained member={}", member.name);
        Ok(())
    }

    /// `member` serves again.
    pub fn undrain(&self, member: &Member) {
        member.leave(MemberFlags::DRAINED);
        self.wake_waiters();
        log::info!("event=undrained member={}", member.name);
    }

    /// Only replicas take orders. Looks again afterwards: a failover may have come between.
    fn order(&self, member: &Member, flag: MemberFlags, now: MonoUs) -> Result<(), Refused> {
        if member.id == self.master() {
            return Err(Refused::IsMaster);
        }
        member.enter(flag, now);
        if member.id == self.master() {
            member.leave(flag);
            return Err(Refused::IsMaster);
        }
        self.left_sync();
        Ok(())
    }

    /// Writes that wait for every replica in sync look again: one is no longer.
    pub(super) fn left_sync(&self) {
        self.wake_waiters();
    }

    /// A line for panics that were held back from the log, once its second is over.
    pub fn tell_panics(&self, now: MonoUs) {
        tell_panics(self.member(self.master()), self.panic_log.held_back(now));
    }

    /// A verb panicked in `member`, whose lock the caller holds: its data cannot be trusted any
    /// more.
    pub(super) fn quarantine(&self, member: &Member) {
        self.panics.fetch_add(1, Relaxed);
        let is_master = member.id == self.master();
        let has_candidate = self.members().any(|it| it.id != member.id && it.is_sound());
        // Where the master is out of service already, this one is about to take its place.
        let is_next = self.member(self.master()).is(MemberFlags::QUARANTINED);
        let stays = (is_master || is_next) && !has_candidate;
        if stays {
            // It may go on like this as often as clients like.
            tell_panics(member, self.panic_log.note(clock::mono_now()));
            return;
        }
        log::error!("event=panic member={} action=quarantine", member.name);
        if !member.is(MemberFlags::QUARANTINED) {
            self.quarantines.fetch_add(1, Relaxed);
        }
        member.enter(MemberFlags::QUARANTINED, MonoUs(0));
        self.left_sync();
        if !is_master {
            self.disconnect(member, DisconnectReason::Quarantined);
        }
    }
}

fn tell_panics(member: &Member, count: Option<u64>) {
    if let Some(count) = count {
        let name = &member.name;
        log::error!("event=panic member={name} action=none reason=no-candidate count={count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{BlockId, MemberId};
    use crate::base::places::Places;
    use crate::engine::Thresholds;
    use crate::node::new_replid;
    use crate::node::{Condition, Wake};
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Default)]
    struct Woken(Mutex<usize>);

    impl Wake for Woken {
        fn wake(&self, _: BlockId) {
            *self.0.lock() += 1;
        }
    }

    #[test]
    fn whoever_waits_for_replicas_in_sync_hears_of_one_that_leaves() {
        let set = ReplicaSet::new(4, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let set = Arc::new(set);
        set.ping(MonoUs(1));
        let leave: [fn(&ReplicaSet); 4] = [
            |it| it.pause(it.member(MemberId(1)), MonoUs(1)).unwrap(),
            |it| it.drain(it.member(MemberId(2)), MonoUs(1)).unwrap(),
            |it| it.quarantine(it.member(MemberId(3))),
            |it| it.disconnect(it.member(MemberId(4)), DisconnectReason::NotApplicable),
        ];
        for (at, leave) in leave.iter().enumerate() {
            let member = MemberId::of(at + 1);
            assert!(set.member(member).is_in_sync());
            let woken = Arc::new(Woken::default());
            let places = Places::of([member].into_iter());
            let condition = Condition::InSync { places, count: 0 };
            let wait = set.wait_for(condition, set.head(), woken.clone(), BlockId(0));
            assert!(wait.is_some());
            leave(&set);
            assert!(!set.member(member).is_in_sync());
            assert_eq!(*woken.0.lock(), 1, "n{}", at + 2);
        }
    }

    #[test]
    fn who_panics_is_put_out_of_service_and_counted_once_unless_nobody_else_is_there() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let (master, replica) = (set.member(MemberId(0)), set.member(MemberId(1)));
        set.quarantine(replica);
        set.quarantine(replica);
        assert!(replica.is(MemberFlags::QUARANTINED) && !replica.is_sound());
        assert!(replica.is(MemberFlags::UNSYNCED), "it is fed no more");
        assert_eq!(set.quarantines.load(Relaxed), 1);
        set.quarantine(master);
        assert!(!master.is(MemberFlags::QUARANTINED), "nobody could take its place");
        assert_eq!(set.quarantines.load(Relaxed), 1);
    }

    #[test]
    fn a_master_that_panics_leaves_its_place_to_another_and_is_not_cut_off() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let master = set.member(MemberId(0));
        set.quarantine(master);
        assert!(master.is(MemberFlags::QUARANTINED) && !master.is(MemberFlags::UNSYNCED));
        assert_eq!(set.quarantines.load(Relaxed), 1);
    }

    #[test]
    fn the_time_of_a_pause_is_that_of_its_beginning() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let member = set.member(MemberId(1));
        member.enter(MemberFlags::DRAINED, MonoUs(3));
        member.enter(MemberFlags::PAUSED, MonoUs(5));
        member.enter(MemberFlags::PAUSED, MonoUs(7));
        member.enter(MemberFlags::DRAINED, MonoUs(9));
        assert_eq!(member.paused_at(), MonoUs(5));
        set.ping(MonoUs(10));
        assert!(9 <= set.behind_us(member, MonoUs(14)), "it has heard nothing since");
        member.leave(MemberFlags::PAUSED);
        member.enter(MemberFlags::PAUSED, MonoUs(20));
        assert_eq!(member.paused_at(), MonoUs(20));
    }
}
