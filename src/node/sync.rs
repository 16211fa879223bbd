//! Full sync in memory: a replica that was cut off, or is new, becomes a copy of another member at
//! one exact offset, and goes on from there.

use super::member::{Duty, Member};
use super::set::Set;
use crate::base::limits::DATABASES;
use crate::base::time::MonoUs;
use crate::engine::Engine;
use crate::runtime::undertaker;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Set {
    /// Whether `member` is a replica that cannot go on without a full sync, and may have one.
    pub fn needs_sync(&self, member: &Member) -> bool {
        member.index != self.master()
            && member.is(Duty::Unsynced)
            && !member.is(Duty::Paused)
            && !member.is(Duty::Quarantined)
    }

    /// Makes `member` a copy of a sound member. A replica is copied when there is one: it stands
    /// still meanwhile and the master does not notice. Strings are shared, not copied.
    pub fn sync(&self, member: &Member, now: MonoUs) {
        let _alone = self.changing.lock();
        if !self.needs_sync(member) {
            return;
        }
        let source = self.source_of_sync(member);
        let mut copy = self.new_engine();
        let applied = {
            let hosted = source.hosted.read();
            copy_keys(&hosted.engine, &mut copy);
            let mut log = self.log.lock();
            let feed = member.open_feed(&mut log);
            match source.feed().filter(|_| source.index != self.master()) {
                Some(other) => log.attach_like(feed, other),
                None => {
                    log.attach(feed);
                    Some(log.head())
                }
            }
        };
        let Some(applied) = applied else { return };
        let old = std::mem::replace(&mut member.hosted.write().engine, copy);
        undertaker::bury(old);
        member.set_applied(applied);
        member.leave(Duty::Unsynced);
        self.full_syncs.fetch_add(1, Relaxed);
        log::info!(
            "event=full-sync member={} source={} offset={applied} us={}",
            member.name,
            source.name,
            crate::runtime::clock::mono_now().since(now)
        );
    }

    fn source_of_sync(&self, member: &Member) -> Arc<Member> {
        let (roster, master) = (self.roster(), self.master());
        let is_fit = |it: &&Arc<Member>| {
            it.index != member.index && it.index != master && it.is_sound() && !it.is(Duty::Paused)
        };
        roster.iter().find(is_fit).unwrap_or(&roster[master]).clone()
    }
}

fn copy_keys(from: &Engine, to: &mut Engine) {
    for index in 0..DATABASES {
        *to.space_mut(index) = from.space(index).copy();
    }
}
