//! Changing the master: on an operator's word, or because the old one cannot be trusted.

use super::feed::Applied;
use super::member::{Duty, Member};
use super::set::Set;
use super::stint::Stint;
use crate::base::dice::Dice;
use crate::base::limits::HEIR_US_MAX;
use crate::base::position::HistoryId;
use crate::base::time::MonoUs;
use crate::runtime::clock;
use std::fmt;
use std::sync::Arc;

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

impl Set {
    /// Makes `target` the master. Writers wait for the lock meanwhile and go on at the new master:
    /// no client gets an error. The old master becomes a replica. Answers for how long writers
    /// waited. Takes as long as the target has to catch up: not for a worker that has clients to
    /// serve.
    pub fn fail_over(&self, target: &Member) -> Result<MonoUs, Refused> {
        self.fit_to_lead(target)?;
        // Most of the way without a lock on the master; the rest is short.
        self.come_near(target)?;
        let _alone = self.changing.lock();
        self.fit_to_lead(target)?;
        let old = self.member(self.master());
        let began = clock::mono_now();
        self.succeed(old, target, began)?;
        // Who waits for the old roles looks again, and the old master's feed begins.
        self.applied.notify(usize::MAX);
        self.push();
        let paused_us = clock::mono_now().since(began);
        self.seen.lock().failover_pause(paused_us);
        log::info!("event=failover from={} to={} paused-us={paused_us}", old.name, target.name);
        Ok(MonoUs(paused_us))
    }

    fn fit_to_lead(&self, target: &Member) -> Result<(), Refused> {
        match () {
            () if target.index == self.master() => Err(Refused::IsMaster),
            () if !target.is_sound() || target.is(Duty::Paused) => {
                Err(Refused::Unfit(target.duties()))
            }
            () => Ok(()),
        }
    }

    /// Applies until no more is left than one batch does. Whoever is not fit any more ends here
    /// too; the caller looks again.
    fn come_near(&self, target: &Member) -> Result<(), Refused> {
        let began = clock::mono_now();
        loop {
            let before = target.applied();
            if self.apply(target, Stint::SHORT) != Applied::Some {
                return Ok(());
            }
            let done = target.applied().since(before);
            let left = self.head().since(target.applied());
            if left <= done {
                return Ok(());
            }
            if HEIR_US_MAX < clock::mono_now().since(began) {
                return Err(Refused::Behind(left));
            }
        }
    }

    /// The change itself, with both engines locked. An order or a panic may have come until now, so
    /// whether the heir has the whole stream is a question, not a certainty.
    fn succeed(&self, old: &Member, target: &Member, now: MonoUs) -> Result<(), Refused> {
        let mut old_hosted = old.hosted.write();
        let mut hosted = target.hosted.write();
        while self.apply_locked(target, &mut hosted, Stint::SHORT) == Applied::Some {}
        if !target.is_sound() {
            return Err(Refused::Unfit(target.duties()));
        }
        let mut log = self.log.lock();
        match log.head().since(target.applied()) {
            0 => {}
            _ if target.is(Duty::Paused) => return Err(Refused::Unfit(target.duties())),
            left => return Err(Refused::Behind(left)),
        }
        let lineage = log.lineage().promoted(new_history(), log.head());
        log.begin_history(lineage.clone());
        let (heir_feed, old_feed) = (target.open_feed(&mut log), old.open_feed(&mut log));
        match old.is(Duty::Quarantined) {
            true => old.enter(Duty::Unsynced, now),
            false => log.attach(old_feed),
        }
        log.detach(heir_feed);
        old.set_applied(log.head());
        old_hosted.engine.forget_watches();
        self.enthrone(target.index, lineage);
        // A master takes no orders, so none may be left from its time as a replica. One that comes
        // from here on finds the master, and takes itself back.
        target.leave(Duty::Drained);
        target.leave(Duty::Paused);
        Ok(())
    }

    /// Replaces a quarantined master by the replica that has applied most. The stream is whole:
    /// what the broken verb did was never appended.
    pub fn replace_quarantined_master(&self) {
        let master = self.member(self.master());
        if !master.is(Duty::Quarantined) {
            return;
        }
        let fit = |it: &&Arc<Member>| it.index != master.index && it.is_sound();
        let Some(heir) = self.members().filter(fit).max_by_key(|it| it.applied()) else { return };
        heir.leave(Duty::Paused);
        match self.fail_over(heir) {
            // Several connections may have met the same panic.
            Ok(_) | Err(Refused::IsMaster) => {}
            Err(why) => log::error!("event=failover-failed to={} why={why}", heir.name),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::IsMaster => f.write_str("it is the master"),
            Refused::Unfit(duties) => write!(f, "it is {duties}"),
            Refused::Behind(bytes) => write!(f, "it is {bytes} bytes behind"),
        }
    }
}

/// A name for a new history.
pub fn new_history() -> HistoryId {
    let mut dice = Dice::new(clock::entropy());
    let mut bytes = [0; 20];
    bytes.iter_mut().for_each(|it| *it = dice.bits() as u8);
    HistoryId::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::WallMs;
    use crate::command::{Args, World};
    use crate::engine::{Effects, Run, Thresholds, verbs};
    use crate::resp::{OwnedRequest, Reply};

    fn set() -> Set {
        let set = Set::new(2, 1, new_history(), Thresholds::default(), 1 << 20, 1 << 20);
        (0..20).for_each(|it| say(&set, &format!("RPUSH list {it}")));
        set
    }

    fn say(set: &Set, words: &str) {
        let owned = OwnedRequest::of(words.split(' '));
        let row = verbs::find(words.split(' ').next().unwrap().as_bytes()).unwrap();
        let Run::Write(verb) = row.run else { panic!("{words} writes") };
        let (world, roster) = (World::new(WallMs(1), 1), set.roster());
        let args = Args::new(owned.borrow(), 1, 0, &world);
        let (mut effects, mut reply) = (Effects::default(), Reply::default());
        let mut writing = set.write(&roster);
        writing.run(&row.spec, verb, args, &mut effects, &mut reply, MonoUs(1)).unwrap();
    }

    #[test]
    fn an_heir_that_is_paused_on_the_way_is_refused_and_nothing_changes() {
        let set = set();
        let (old, heir) = (set.member(0), set.member(1));
        set.apply(heir, Stint::Writes(3));
        set.pause(heir, MonoUs(1)).unwrap();
        assert_eq!(set.succeed(old, heir, MonoUs(1)), Err(Refused::Unfit("paused".into())));
        assert_eq!((set.master(), set.generation()), (0, 0));
        heir.leave(Duty::Paused);
        heir.enter(Duty::Frozen, MonoUs(1));
        assert!(matches!(set.succeed(old, heir, MonoUs(1)), Err(Refused::Behind(_))));
        heir.leave(Duty::Frozen);
        assert_eq!(set.succeed(old, heir, MonoUs(1)), Ok(()));
        assert_eq!((set.master(), heir.applied()), (1, set.head()));
    }

    #[test]
    fn an_order_that_meets_a_failover_leaves_no_master_paused() {
        let set = set();
        let (old, heir) = (set.member(0), set.member(1));
        set.fail_over(heir).unwrap();
        assert_eq!(set.pause(heir, MonoUs(1)), Err(Refused::IsMaster));
        assert_eq!((heir.duties(), old.duties()), ("ok".into(), "ok".into()));
    }

    #[test]
    fn a_stint_ends_between_two_writes_and_the_next_goes_on_there() {
        let set = set();
        let member = set.member(1);
        let mut stops = vec![member.applied()];
        while set.apply(member, Stint::Writes(7)) == Applied::Some {
            stops.push(member.applied());
            assert!(member.applied() == set.head() || 0 < set.behind_us(member, MonoUs(9)));
        }
        assert_eq!(stops.len(), 4, "20 writes, 7 at a time: {stops:?}");
        assert!(stops.is_sorted() && stops.last() == Some(&set.head()));
    }

    #[test]
    fn a_copy_takes_along_what_its_source_has_taken_and_not_applied() {
        let set = set();
        let (source, member) = (set.member(1), set.member(2));
        set.apply(source, Stint::Writes(7));
        set.cut_off(member);
        assert_eq!(set.sync(member, MonoUs(1)), crate::node::Synced::Done);
        assert_eq!(member.applied(), source.applied(), "the replica was copied");
        while set.apply(member, Stint::SHORT) == Applied::Some {}
        assert_eq!(member.applied(), set.head());
        while set.apply(source, Stint::SHORT) == Applied::Some {}
        assert_eq!([0, 1, 2].map(|it| listed(&set, it)), [":20\r\n"; 3]);
    }

    fn listed(set: &Set, at: usize) -> String {
        let owned = OwnedRequest::of(["LLEN", "list"]);
        let Run::Read(verb) = verbs::find(b"LLEN").unwrap().run else { panic!("LLEN reads") };
        let world = World::new(WallMs(1), 1);
        let mut reply = Reply::default();
        let args = Args::new(owned.borrow(), 1, 0, &world);
        set.read(set.member(at)).run(verb, args, &mut reply).unwrap();
        String::from_utf8_lossy(reply.bytes()).into_owned()
    }
}
