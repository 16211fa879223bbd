//! Changing the master: on an operator's word, or because the old one cannot be trusted.

use super::feed::Applied;
use super::member::{Duty, Member};
use super::set::Set;
use crate::base::dice::Dice;
use crate::base::position::HistoryId;
use crate::base::time::MonoUs;
use crate::runtime::clock;
use std::sync::Arc;

/// Why a failover was not begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is the master already.
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
        while self.apply(target, clock::mono_now()) == Applied::Some {}

        let began = clock::mono_now();
        let old = &roster[self.master()];
        let old_hosted = old.hosted.write();
        let mut hosted = target.hosted.write();
        while self.apply_locked(target, &mut hosted, began) == Applied::Some {}
        if !target.is_sound() {
            return Err(Refused::Unfit(target.duties()));
        }
        let mut log = self.log.lock();
        assert_eq!(target.applied(), log.head(), "the heir has the whole stream");
        let lineage = log.lineage().promoted(new_history(), log.head());
        log.begin_history(lineage);
        let (heir_feed, old_feed) = (target.open_feed(&mut log), old.open_feed(&mut log));
        log.attach(old_feed);
        log.detach(heir_feed);
        old.set_applied(log.head());
        self.enthrone(target.index, lineage);
        drop((log, hosted, old_hosted));
        let paused_us = clock::mono_now().since(began);
        log::info!("event=failover from={} to={} paused-us={paused_us}", old.name, target.name);
        Ok(MonoUs(paused_us))
    }

    /// Replaces a quarantined master by the replica that has applied most. The stream is whole:
    /// what the broken verb did was never appended.
    pub fn replace_quarantined_master(&self) {
        let roster = self.roster();
        let master = &roster[self.master()];
        if !master.is(Duty::Quarantined) {
            return;
        }
        let fit = |it: &&Arc<Member>| it.index != master.index && it.is_sound();
        let Some(heir) = roster.iter().filter(fit).max_by_key(|it| it.applied()) else { return };
        heir.leave(Duty::Paused);
        if let Err(why) = self.fail_over(heir) {
            log::error!("event=failover-failed to={} why={why:?}", heir.name);
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
