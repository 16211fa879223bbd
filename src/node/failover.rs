//! Changing the master: on an operator's word, or because the old one cannot be trusted.

use super::feed::Applied;
use super::member::{Duty, Member};
use super::set::Set;
use crate::base::dice::Dice;
use crate::base::position::HistoryId;
use crate::base::time::MonoUs;
use crate::runtime::clock;
use std::fmt;
use std::sync::Arc;

/// Batches an heir applies at most before the master stands still for it.
const ROUNDS_MAX: usize = 1000;

/// Why an order to a member was not carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is the master.
    IsMaster,
    /// Its data does not follow the stream, or it is paused.
    Unfit(String),
}

impl Set {
    /// Makes `target` the master. Writers wait for the lock meanwhile and go on at the new master:
    /// no client gets an error. The old master becomes a replica.
    pub fn fail_over(&self, target: &Arc<Member>) -> Result<MonoUs, Refused> {
        let _alone = self.changing.lock();
        let roster = self.roster();
        if target.index == self.master() {
            return Err(Refused::IsMaster);
        }
        if !target.is_sound() || target.is(Duty::Paused) {
            return Err(Refused::Unfit(target.duties()));
        }
        // Most of the way without a lock on the master; the rest is short.
        for _ in 0..ROUNDS_MAX {
            if self.apply(target) != Applied::Some {
                break;
            }
        }

        let began = clock::mono_now();
        let old = &roster[self.master()];
        let mut old_hosted = old.hosted.write();
        let mut hosted = target.hosted.write();
        while self.apply_locked(target, &mut hosted) == Applied::Some {}
        if !target.is_sound() {
            return Err(Refused::Unfit(target.duties()));
        }
        let mut log = self.log.lock();
        assert_eq!(target.applied(), log.head(), "the heir has the whole stream");
        let lineage = log.lineage().promoted(new_history(), log.head());
        log.begin_history(lineage);
        let (heir_feed, old_feed) = (target.open_feed(&mut log), old.open_feed(&mut log));
        match old.is(Duty::Quarantined) {
            true => old.enter(Duty::Unsynced, began),
            false => log.attach(old_feed),
        }
        log.detach(heir_feed);
        old.set_applied(log.head());
        old_hosted.engine.forget_watches();
        // A master takes no orders, so none may be left from its time as a replica.
        target.leave(Duty::Drained);
        target.leave(Duty::Paused);
        self.enthrone(target.index, lineage);
        drop((log, hosted, old_hosted));
        // Who waits for the old roles looks again, and the old master's feed begins.
        self.applied.notify(usize::MAX);
        self.push();
        let paused_us = clock::mono_now().since(began);
        log::info!("event=failover from={} to={} paused-us={paused_us}", old.name, target.name);
        Ok(MonoUs(paused_us))
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
