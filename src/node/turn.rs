//! Who applies: the worker that has written, at the replicas, between two batches or at the end of
//! its turn. The feeds' tasks do what is left: what takes long, what was written outside of
//! workers, and what a replica has missed.
//!
//! ```text
//!                            the replica's lock is free, and it takes little
//!   a write is in the log ──┬──────────────────────────────────────────────▶ its worker applies it
//!                           └──────────────────────────────────────────────▶ the feed's task does
//!                            else
//! ```
//!
//! A worker that writes faster than a feed applies waits for it at the end of its turns, past a
//! soft lag: load alone never disconnects a replica.

use super::apply_budget::ApplyBudget;
use super::feed::Applied;
use super::member::{Hosted, Member};
use super::member_state::MemberFlags;
use super::replica_set::ReplicaSet;
use crate::base::ids::MemberId;
use crate::base::limits::{
    APPLY_AFTER_BATCHES, APPLY_AFTER_BYTES, LAG_BYTES_SOFT, LAG_WAIT_US_MAX, REPLICAS_MAX,
    TURN_APPLY_US_MAX,
};
use crate::runtime::{clock, steps, tasks};
use parking_lot::RwLockWriteGuard;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How far a worker has come with one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    /// The replica has all there is, or applies nothing now.
    Done,
    /// It has more to apply than a worker has time for.
    Left,
    /// Somebody has it locked, for a moment.
    Busy,
    /// Somebody holds it for long, and its feed is called afterwards.
    Held,
}

/// Ends of turns in a row at which a worker finds a replica locked, before its feed has to wait for
/// the lock.
const BUSY_TURNS_MAX: u32 = 16;
/// Looks at a lock that is held before a worker comes back to it later.
const SPINS_MAX: u32 = 20;
/// How long a worker that waits for a replica rests before it looks at its lock again.
const REST: Duration = Duration::from_micros(50);

impl ReplicaSet {
    /// What a worker does after a batch of its: it applies when enough has come together, or when
    /// it has served several since, so that replicas do not hear of it late. `batches` is how many
    /// that are.
    #[inline]
    pub fn apply_after_batch(&self, batches: &mut u32) {
        let head = self.head();
        let mut is_left = false;
        for member in self.replicas() {
            if !member.has_work.load(Relaxed) {
                continue;
            }
            let has_much = APPLY_AFTER_BYTES <= head.since(member.applied());
            if has_much || APPLY_AFTER_BATCHES <= *batches {
                self.apply_short(member);
            } else {
                is_left = true;
            }
        }
        *batches = if is_left { *batches + 1 } else { 0 };
    }

    /// Applies what `member` lacks, if nobody holds it and it does not take long.
    fn apply_short(&self, member: &Member) -> Progress {
        let began = clock::mono_now();
        while member.has_work.load(Relaxed) && member.is_moving() {
            let Some(mut hosted) = try_lock(member) else {
                return if member.is_long_held() { Progress::Held } else { Progress::Busy };
            };
            let applied = self.apply_locked(member, &mut hosted, ApplyBudget::SHORT);
            drop(hosted);
            if applied != Applied::Some {
                break;
            }
            self.wake_waiters();
            if TURN_APPLY_US_MAX <= clock::mono_now().since(began) {
                return Progress::Left;
            }
        }
        Progress::Done
    }

    /// A replica that would be disconnected soon though it is neither paused nor stuck: somebody
    /// holds it for long. Writes wait until it has caught up.
    #[inline]
    pub(super) fn far_behind(&self) -> Option<MemberId> {
        self.replicas().find(|it| self.is_far_behind(it)).map(|it| it.id)
    }

    /// Whether writes wait for this replica.
    #[inline]
    pub fn is_far_behind(&self, member: &Member) -> bool {
        self.lags_by(member, self.lag_bytes_max())
    }

    /// Whether `member` is further behind than writers should get ahead of a replica.
    fn is_past_soft_lag(&self, member: &Member) -> bool {
        self.lags_by(member, LAG_BYTES_SOFT)
    }

    /// Whether a replica that applies what it is fed lacks more than this of the stream.
    #[inline]
    fn lags_by(&self, member: &Member, bytes: u64) -> bool {
        bytes < self.head().since(member.applied())
            && member.id != self.master()
            && member.is_moving()
            && member.is_sound()
    }
}

fn try_lock(member: &Member) -> Option<RwLockWriteGuard<'_, Hosted>> {
    for _ in 0..SPINS_MAX {
        if let Some(hosted) = member.hosted.try_write() {
            return Some(hosted);
        }
        std::hint::spin_loop();
    }
    None
}

/// A worker's part in applying.
pub struct TurnApplier {
    set: Arc<ReplicaSet>,
    busy_turns: u32,
    /// Stream bytes that each replica past the soft lag lacked when this worker last looked.
    lags: [Cell<u64>; REPLICAS_MAX + 1],
    /// The quarantined master for which a replacement has been called.
    replaced: Option<MemberId>,
}

impl TurnApplier {
    /// The part of a worker that has written nothing yet.
    pub fn new(set: Arc<ReplicaSet>) -> TurnApplier {
        TurnApplier {
            set,
            busy_turns: 0,
            lags: [const { Cell::new(0) }; REPLICAS_MAX + 1],
            replaced: None,
        }
    }

    /// The worker has served all that was there. Answers whether it should come back at once.
    pub fn turn_end(&mut self) -> bool {
        let mut is_busy = false;
        self.look_after_master();
        for member in self.set.replicas() {
            if !member.has_work.load(Relaxed) {
                continue;
            }
            if self.set.is_past_soft_lag(member) && !self.falls_behind(member) {
                // It catches up by itself, after a pause or a long command: nobody need wait.
                member.call_feed();
                continue;
            }
            match self.set.apply_short(member) {
                Progress::Done | Progress::Held => {}
                Progress::Left => member.call_feed(),
                Progress::Busy if self.busy_turns < BUSY_TURNS_MAX => is_busy = true,
                Progress::Busy => member.call_feed(),
            }
            if self.set.is_past_soft_lag(member) {
                self.wait_for(member);
            }
        }
        self.busy_turns = if is_busy { self.busy_turns + 1 } else { 0 };
        is_busy
    }

    /// Whoever has met the panic of a master's verb has it replaced, apart: the candidate may have
    /// much to apply.
    #[inline]
    fn look_after_master(&mut self) {
        let master = self.set.member(self.set.master());
        if !master.is(MemberFlags::QUARANTINED) {
            self.replaced = None;
        } else if self.replaced != Some(master.id) {
            self.replaced = Some(master.id);
            let set = self.set.clone();
            tasks::spawn(async { tasks::apart(move || set.replace_quarantined_master()).await });
        }
    }

    /// Whether a replica lacks more than at the end of this worker's last turn that found it past
    /// the soft lag.
    #[cold]
    fn falls_behind(&self, member: &Member) -> bool {
        let lag = self.set.head().since(member.applied());
        self.lags[member.id.index()].replace(lag) < lag
    }

    /// Writing waits for applying: what this worker would write next waits for what it has written.
    #[cold]
    fn wait_for(&self, member: &Member) {
        let began = clock::mono_now();
        member.call_feed();
        // Whoever holds the member applies, or will let go; then this worker applies.
        let mut waited_us = 0;
        while self.set.is_past_soft_lag(member) && waited_us < LAG_WAIT_US_MAX {
            if matches!(self.set.apply_short(member), Progress::Busy | Progress::Held) {
                // To yield would be worse: Linux puts whoever does so often behind all others, for
                // tens of milliseconds.
                steps::rest(REST);
            }
            waited_us = clock::mono_now().since(began);
        }
        self.set.seen.lock().soft_lag(waited_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallMs;
    use crate::engine::Thresholds;
    use crate::node::new_replid;
    use crate::node::transaction::tests::write;
    use std::task::Context;

    fn set() -> Arc<ReplicaSet> {
        let (thresholds, bytes) = (Thresholds::default(), 64 << 20);
        Arc::new(ReplicaSet::new(1, 1, new_replid(), thresholds, bytes, bytes))
    }

    fn replica(set: &ReplicaSet) -> &Member {
        set.member(MemberId(1))
    }

    fn say(set: &ReplicaSet, bytes: usize) {
        write(set, &format!("SET k {}", "x".repeat(bytes)), WallMs(1));
    }

    /// Whether the feed has been called since the last look.
    fn is_called(set: &ReplicaSet) -> bool {
        let mut context = Context::from_waker(futures::task::noop_waker_ref());
        replica(set).feed.poll(&mut context).is_ready()
    }

    #[test]
    fn a_worker_applies_when_much_has_come_together_or_after_several_batches() {
        let (set, mut batches) = (set(), 0);
        set.apply_after_batch(&mut batches);
        assert_eq!(batches, 0, "there is nothing to apply");
        say(&set, 1);
        for it in 1..=APPLY_AFTER_BATCHES {
            set.apply_after_batch(&mut batches);
            assert_eq!(batches, it);
            assert!(replica(&set).applied() < set.head());
        }
        set.apply_after_batch(&mut batches);
        assert_eq!((replica(&set).applied(), batches), (set.head(), 0));
        say(&set, APPLY_AFTER_BYTES as usize);
        set.apply_after_batch(&mut batches);
        assert_eq!((replica(&set).applied(), batches), (set.head(), 0));
    }

    #[test]
    fn at_the_end_of_its_turn_a_worker_comes_back_to_who_is_held_until_the_feed_has_to() {
        let set = set();
        let mut applier = TurnApplier::new(set.clone());
        say(&set, 1);
        assert!(!applier.turn_end());
        assert_eq!(replica(&set).applied(), set.head());
        say(&set, 1);
        for _ in 0..2 {
            is_called(&set);
            let reading = set.read(replica(&set));
            for turn in 0..BUSY_TURNS_MAX {
                assert!(applier.turn_end() && !is_called(&set), "turn {turn}");
            }
            assert!(!applier.turn_end() && is_called(&set));
            drop(reading);
        }
        assert!(!applier.turn_end());
        assert_eq!(replica(&set).applied(), set.head());
        assert!(!applier.turn_end(), "there is nothing to do");
    }

    #[test]
    fn a_worker_waits_for_who_falls_behind_and_not_for_who_catches_up() {
        let set = set();
        let mut applier = TurnApplier::new(set.clone());
        let reading = set.read(replica(&set));
        for _ in 0..2 {
            say(&set, LAG_BYTES_SOFT as usize + 1);
            is_called(&set);
            assert!(applier.turn_end() && is_called(&set), "it lacks more than before");
            assert!(!applier.turn_end() && is_called(&set), "it lacks no more than before");
        }
        drop(reading);
        while set.apply(replica(&set), ApplyBudget::ALL) == Applied::Some {}
        assert_eq!(replica(&set).applied(), set.head());
    }
}
