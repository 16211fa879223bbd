//! Changing the master: on an operator's word, or because the old one cannot be trusted.

use super::apply_budget::ApplyBudget;
use super::feed::Applied;
use super::member::Member;
use super::member_state::{Hold, MemberFlags};
use super::replica_set::ReplicaSet;
use crate::base::limits::{CANDIDATE_US_MAX, REPLICAS_MAX};
use crate::base::position::{Position, ReplId};
use crate::base::random::Random;
use crate::base::time::MonoUs;
use crate::command::Fault;
use crate::engine::KeySlot;
use crate::replication::{DisconnectReason, Log};
use crate::runtime::{clock, steps};
use std::fmt;
use std::sync::Arc;

/// What a call that waits for keys is told.
pub const FORCED: Fault = Fault::Static(
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
);

/// Why an order to a member was not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is the master.
    IsMaster,
    /// Its data does not follow the stream, or it is paused.
    Unfit(String),
    /// It lacks this many bytes of the stream, and does not come nearer.
    Behind(u64),
}

impl ReplicaSet {
    /// Makes `target` the master. Writers wait for the lock meanwhile and go on at the new master:
    /// no client gets an error. The old master becomes a replica. Answers for how long writers
    /// waited. Takes as long as the target has to catch up: not for a worker that has clients to
    /// serve.
    pub fn fail_over(&self, target: &Member) -> Result<MonoUs, Refused> {
        self.fit_to_lead(target)?;
        // Most of the way without a lock on the master; the rest is short.
        self.come_near(target)?;
        let _alone = self.change();
        self.fit_to_lead(target)?;
        let old = self.member(self.master());
        let began = clock::mono_now();
        self.succeed(old, target, began)?;
        // Who waits for the old roles looks again, and the old master's feed begins.
        self.wake_waiters();
        self.push();
        // Replicas on the wire ask again, and learn the new history's name.
        self.tell_wire();
        let paused_us = clock::mono_now().since(began);
        self.seen.lock().failover_pause(paused_us);
        log::info!("event=failover from={} to={} paused-us={paused_us}", old.name, target.name);
        Ok(MonoUs(paused_us))
    }

    /// Whether `target` may become the master now.
    pub fn fit_to_lead(&self, target: &Member) -> Result<(), Refused> {
        if target.id == self.master() {
            return Err(Refused::IsMaster);
        }
        // Who drains a member is about to work on it: to undrain it silently would be no help.
        if !target.is_sound() || target.is(MemberFlags::PAUSED | MemberFlags::DRAINED) {
            return Err(Refused::Unfit(target.flags()));
        }
        Ok(())
    }

    /// Applies until no more is left than one batch does. Whoever is not fit any more ends here
    /// too; the caller looks again.
    fn come_near(&self, target: &Member) -> Result<(), Refused> {
        let began = clock::mono_now();
        loop {
            let before = target.applied();
            match self.apply(target, ApplyBudget::SHORT) {
                Applied::Some => {}
                Applied::Long => self.apply_long(target),
                Applied::All | Applied::Nothing => return Ok(()),
            }
            let done = target.applied().since(before);
            let left = self.head().since(target.applied());
            if left <= done {
                return Ok(());
            }
            if CANDIDATE_US_MAX < clock::mono_now().since(began) {
                return Err(Refused::Behind(left));
            }
        }
    }

    /// The change itself, with both engines locked. An order or a panic may have come until now, so
    /// whether the candidate has the whole stream is a question, not a certainty.
    fn succeed(&self, old: &Member, target: &Member, now: MonoUs) -> Result<(), Refused> {
        let _old_long = self.hold_long(old, Hold::Write);
        // Declared here, so that it ends when both locks are free.
        let _target_long;
        // A script at the old master may keep it for ever: its replicas are read meanwhile.
        let mut old_hosted = old.lock_to_write();
        _target_long = self.hold_long(target, Hold::Write);
        let mut hosted = target.lock_to_write();
        steps::works();
        // PUBLISH moves the stream without the master's lock: what has come between the last look
        // and the log's lock is applied, too.
        let mut log = loop {
            let mut has_applied = false;
            while self.apply_locked(target, &mut hosted, ApplyBudget::ALL) == Applied::Some {
                has_applied = true;
            }
            target.state.set_replaying(false);
            if !target.is_sound() {
                return Err(Refused::Unfit(target.flags()));
            }
            let log = self.log.lock();
            match log.head().since(target.applied()) {
                0 => break log,
                _ if target.is(MemberFlags::PAUSED) => return Err(Refused::Unfit(target.flags())),
                _ if has_applied => drop(log),
                left => return Err(Refused::Behind(left)),
            }
        };
        let mut history = log.history().clone();
        // The stream of a set that follows a master stays what it is.
        if !self.is_following() {
            history = history.promoted(new_replid(), log.head());
            log.begin_history(history.clone());
        }
        self.change_roles(&mut log, old, target, now);
        old.set_applied(log.head());
        old_hosted.engine.forget_watches();
        self.install_master(target.id, history);
        self.begin_wire_history();
        // Nobody is woken under the log's lock.
        drop(log);
        self.forget_cached();
        self.key_waiters.end_all(&FORCED);
        // A master takes no orders, so none may be left from its time as a replica. One that comes
        // from here on finds the master, and takes itself back.
        target.leave(MemberFlags::DRAINED);
        target.leave(MemberFlags::PAUSED);
        Ok(())
    }

    /// In the log: the old master has all there is, and follows from there on, unless its data
    /// cannot be trusted.
    fn change_roles(&self, log: &mut Log<KeySlot>, old: &Member, target: &Member, now: MonoUs) {
        let (follower, promoted) = (old.make_follower(log), target.make_follower(log));
        log.disconnect(promoted, DisconnectReason::Promoted);
        if old.is(MemberFlags::QUARANTINED) {
            old.enter(MemberFlags::UNSYNCED, now);
            return log.disconnect(follower, DisconnectReason::Quarantined);
        }
        log.handshake(follower);
        let end = Position { replid: log.history().replid, offset: log.head() };
        assert!(log.resume(follower, end), "the end of the stream is always there");
    }

    /// Replaces a quarantined master by the replica that has applied most, a dedicated one only
    /// when there is no other. The stream is whole: what the broken verb did was never appended.
    pub fn replace_quarantined_master(&self) {
        // An order may come between the choice and the change: then there is another choice.
        (0..=REPLICAS_MAX).any(|_| self.replace_once());
    }

    /// Who takes the master's place when nobody is named: the replica that has applied most, a
    /// dedicated or drained one only when there is no other.
    pub fn best_candidate(&self) -> Option<Arc<Member>> {
        let master = self.master();
        let is_fit = |it: &&Arc<Member>| it.id != master && it.is_sound();
        let rank =
            |it: &&Arc<Member>| (!it.is_dedicated(), !it.is(MemberFlags::DRAINED), it.applied());
        self.members().filter(is_fit).max_by_key(rank).cloned()
    }

    /// Answers whether it is over: the master is sound, or nobody can take its place.
    fn replace_once(&self) -> bool {
        let master = self.member(self.master());
        if !master.is(MemberFlags::QUARANTINED) {
            return true;
        }
        let Some(candidate) = self.best_candidate() else { return true };
        // Better a member that somebody wanted to rest than none.
        if candidate.is(MemberFlags::PAUSED | MemberFlags::DRAINED) {
            let (name, flags) = (&candidate.name, candidate.flags());
            log::warn!("event=order-dropped member={name} state={flags} why=no-other-candidate");
            candidate.leave(MemberFlags::PAUSED);
            candidate.leave(MemberFlags::DRAINED);
            // It may be read again, whatever becomes of the failover.
            self.wake_waiters();
        }
        match self.fail_over(&candidate) {
            // Several connections may have met the same panic.
            Ok(_) | Err(Refused::IsMaster) => true,
            Err(why) => {
                log::error!("event=failover-failed to={} why={why}", candidate.name);
                false
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::IsMaster => f.write_str("it is the master"),
            Refused::Unfit(flags) => write!(f, "it is {flags}"),
            Refused::Behind(bytes) => write!(f, "it is {bytes} bytes behind"),
        }
    }
}

/// A name for a new history.
pub fn new_replid() -> ReplId {
    let mut random = Random::new(clock::entropy());
    let mut bytes = [0; 20];
    bytes.iter_mut().for_each(|it| *it = random.bits() as u8);
    ReplId::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::time::WallMs;
    use crate::command::{Args, CallEnv};
    use crate::engine::{Run, Thresholds, verbs};
    use crate::node::transaction::tests::write;
    use crate::resp::{OwnedRequest, Reply};

    fn set() -> ReplicaSet {
        let set = ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        (0..20).for_each(|it| write(&set, &format!("RPUSH list {it}"), WallMs(1)));
        set
    }

    #[test]
    fn a_candidate_that_is_paused_on_the_way_is_refused_and_nothing_changes() {
        let set = set();
        let (old, candidate) = (set.member(MemberId(0)), set.member(MemberId(1)));
        set.apply(candidate, ApplyBudget::Writes(3));
        set.pause(candidate, MonoUs(1)).unwrap();
        assert_eq!(set.succeed(old, candidate, MonoUs(1)), Err(Refused::Unfit("paused".into())));
        assert_eq!((set.master(), set.generation()), (MemberId(0), 0));
        candidate.leave(MemberFlags::PAUSED);
        assert_eq!(set.succeed(old, candidate, MonoUs(1)), Ok(()));
        assert_eq!((set.master(), candidate.applied()), (MemberId(1), set.head()));
    }

    #[test]
    fn an_order_that_meets_a_failover_leaves_no_master_paused() {
        let set = set();
        let (old, candidate) = (set.member(MemberId(0)), set.member(MemberId(1)));
        set.fail_over(candidate).unwrap();
        assert_eq!(set.pause(candidate, MonoUs(1)), Err(Refused::IsMaster));
        assert_eq!((candidate.flags(), old.flags()), ("ok".into(), "ok".into()));
    }

    #[test]
    fn a_budget_ends_between_two_writes_and_the_next_goes_on_there() {
        let set = set();
        let member = set.member(MemberId(1));
        let mut stops = vec![member.applied()];
        while set.apply(member, ApplyBudget::Writes(7)) == Applied::Some {
            stops.push(member.applied());
            assert!(member.applied() == set.head() || 0 < set.behind_us(member, MonoUs(9)));
        }
        assert_eq!(stops.len(), 4, "20 writes, 7 at a time: {stops:?}");
        assert!(stops.is_sorted() && stops.last() == Some(&set.head()));
    }

    #[test]
    fn a_copy_takes_along_what_its_source_has_taken_and_not_applied() {
        let set = set();
        let (source, member) = (set.member(MemberId(1)), set.member(MemberId(2)));
        set.apply(source, ApplyBudget::Writes(7));
        set.disconnect(member, DisconnectReason::NotApplicable);
        assert_eq!(set.sync(member, MonoUs(1)), crate::node::Synced::Done);
        assert_eq!(member.applied(), source.applied(), "the replica was copied");
        while set.apply(member, ApplyBudget::SHORT) == Applied::Some {}
        assert_eq!(member.applied(), set.head());
        while set.apply(source, ApplyBudget::SHORT) == Applied::Some {}
        assert_eq!([0, 1, 2].map(|it| listed(&set, it)), [":20\r\n"; 3]);
    }

    fn listed(set: &ReplicaSet, at: u16) -> String {
        let owned = OwnedRequest::of(["LLEN", "list"]);
        let Run::Read(verb) = verbs::find(b"LLEN").unwrap().run else { panic!("LLEN reads") };
        let env = CallEnv::new(WallMs(1), 1);
        let mut reply = Reply::default();
        let args = Args::new(owned.borrow(), 1, 0, &env);
        set.read(set.member(MemberId(at))).run(verb, args, &mut reply).unwrap();
        String::from_utf8_lossy(reply.bytes()).into_owned()
    }

    #[test]
    fn who_has_applied_most_takes_over_unless_it_is_drained_or_serves_others() {
        let set = set();
        let [more, less] = [1, 2].map(|it| set.member(MemberId(it)));
        let best = || set.best_candidate().unwrap().id;
        set.apply(more, ApplyBudget::Writes(7));
        assert_eq!(best(), more.id);
        more.enter(MemberFlags::DRAINED, MonoUs(1));
        assert_eq!(best(), less.id);
        less.enter(MemberFlags::DRAINED, MonoUs(1));
        assert_eq!(best(), more.id);
        [more, less].iter().for_each(|it| it.leave(MemberFlags::DRAINED));
        more.describe(crate::route::MemberConfig { dedicated: true, ..more.described() });
        assert_eq!(best(), less.id);
        less.enter(MemberFlags::DRAINED, MonoUs(1));
        assert_eq!(best(), less.id, "drained, but for anybody");
        less.enter(MemberFlags::QUARANTINED, MonoUs(1));
        assert_eq!(best(), more.id, "there is no other");
    }

    #[test]
    fn a_member_has_caught_up_once_it_has_what_was_asked_for() {
        use crate::node::CaughtUp::*;
        let set = set();
        let member = set.member(MemberId(1));
        let caught = |floor, writes| set.catch_up(member, floor, ApplyBudget::Writes(writes));
        let (start, head) = (member.applied(), set.head());
        assert_eq!(caught(start, 1), Yes);
        assert_eq!((caught(head, 7), member.applied() == start), (NotYet, false));
        let near = member.applied();
        assert_eq!((caught(near.after(1), 7), near < member.applied()), (Yes, true));
        assert_eq!((caught(head, 7), member.applied()), (Yes, head));
        (0..3).for_each(|it| write(&set, &format!("RPUSH list {it}"), WallMs(1)));
        member.enter(MemberFlags::PAUSED, MonoUs(1));
        assert_eq!(caught(set.head(), 7), Never);
    }

    #[test]
    fn what_a_batch_leaves_is_known_to_be_there() {
        let set = set();
        let member = set.member(MemberId(1));
        let has_work = || member.has_work.load(std::sync::atomic::Ordering::Relaxed);
        set.apply(member, ApplyBudget::Writes(19));
        assert!(has_work());
        set.apply(member, ApplyBudget::Writes(1));
        assert!(!has_work());
    }

    #[test]
    fn only_who_can_go_on_no_more_and_may_is_synced() {
        for (flags, needs) in [
            (MemberFlags::UNSYNCED, true),
            (MemberFlags::empty(), false),
            (MemberFlags::DRAINED, false),
            (MemberFlags::UNSYNCED | MemberFlags::DRAINED, true),
            (MemberFlags::UNSYNCED | MemberFlags::PAUSED, false),
            (MemberFlags::UNSYNCED | MemberFlags::QUARANTINED, false),
            (MemberFlags::UNSYNCED | MemberFlags::REMOVED, false),
        ] {
            let set = set();
            let [master, replica] = [0, 1].map(|it| set.member(MemberId(it)));
            [master, replica].iter().for_each(|it| it.enter(flags, MonoUs(1)));
            assert_eq!(set.needs_sync(replica), needs, "{flags:?}");
            assert!(!set.needs_sync(master), "{flags:?}");
        }
    }
}
