//! Which key goes when there is no room.
//!
//! As Redis does, a few keys are looked at by chance, and the best of all that were looked at
//! lately are remembered, so that the choice is nearly the one that a look at all keys would make.
//! Two things are better here than there: a remembered key that has been used since is let go, and
//! where deadlines decide, an index knows the next one.

use super::databases::Engine;
use super::effects::Effects;
use super::evictor::{Candidate, Evictor};
use super::keyspace::Keyspace;
use super::slot::KeySlot;
use super::table::Slot;
use super::usage::{EvictionRules, Policy};
use super::value::Value;
use crate::base::limits::DATABASES;
use crate::base::time::WallMs;
use crate::command::Event;

/// Looks at more keys than `maxmemory-samples` says find nothing better.
const SAMPLES_MAX: usize = 64;
/// Looks for a key that may go before nothing is found.
const ROUNDS_MAX: usize = 64;

/// A key that has been evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evicted {
    /// What it took.
    pub bytes: usize,
    /// All members share that, so that the last of them gives it back; otherwise each has its own.
    pub is_shared: bool,
    /// It is given back elsewhere.
    pub is_deferred: bool,
}

impl Engine {
    /// Deletes the key that is to go next, and says so. `None` when no key may go.
    pub fn evict(&mut self, now: WallMs, effects: &mut Effects) -> Option<Evicted> {
        let (db, hash) = self.next_to_go(now)?;
        let policy = self.shared().thresholds.eviction.policy;
        let slot = self.space(db).table().same_hash(hash).find(|it| may_go(it, policy))?;
        let key: Box<[u8]> = slot.key().into();
        let (bytes, is_shared) = (size_of::<KeySlot>() + slot.bytes(), is_shared(slot));
        let waiting = self.written().deferred_frees.len();
        let mut space = self.db_mut_at(db, WallMs::NEVER_EXPIRES);
        space.remove(&key);
        space.event(Event::EVICTED, &key);
        self.disown_change();
        effects.say_in(db, &[b"DEL", &key]);
        let is_deferred = waiting < self.written().deferred_frees.len();
        Some(Evicted { bytes, is_shared, is_deferred })
    }

    /// The database and the hash of that key.
    fn next_to_go(&mut self, now: WallMs) -> Option<(usize, u32)> {
        let rules = self.shared().thresholds.eviction;
        // Put aside, so that the keys can be looked at.
        let mut evictor = std::mem::take(&mut self.evictor);
        let found = match rules.policy {
            Policy::NoEviction => None,
            Policy::VolatileTtl => self.next_deadline(),
            Policy::AllkeysRandom | Policy::VolatileRandom => self.by_chance(&rules, &mut evictor),
            _ => self.best(&rules, &mut evictor, now),
        };
        self.evictor = evictor;
        found
    }

    fn next_deadline(&self) -> Option<(usize, u32)> {
        let first = |db| self.space(db).first_deadline().map(|(at, hash)| (at, db, hash));
        (0..DATABASES).filter_map(first).min().map(|(_, db, hash)| (db, hash))
    }

    /// Redis takes a key of each database in turn.
    fn by_chance(&self, rules: &EvictionRules, evictor: &mut Evictor) -> Option<(usize, u32)> {
        (0..DATABASES).find_map(|_| {
            let db = evictor.next_db % DATABASES;
            evictor.next_db = db + 1;
            let slot = sample(self.space(db), db, rules.policy, evictor)?;
            slot.hash().map(|it| (db, it))
        })
    }

    fn best(
        &self,
        rules: &EvictionRules,
        evictor: &mut Evictor,
        now: WallMs,
    ) -> Option<(usize, u32)> {
        for _ in 0..ROUNDS_MAX {
            if !self.look(rules, evictor, now) {
                return None;
            }
            while let Some(it) = evictor.remembered.pop() {
                let slot = self.space(it.db).table().any_of(it.hash);
                let slot = slot.filter(|it| may_go(it, rules.policy));
                if slot.is_some_and(|slot| it.score <= score(slot, rules, now)) {
                    return Some((it.db, it.hash));
                }
            }
        }
        None
    }

    /// Looks at some keys of each database. Answers whether there were any.
    fn look(&self, rules: &EvictionRules, evictor: &mut Evictor, now: WallMs) -> bool {
        let mut has_found = false;
        for db in 0..DATABASES {
            let space = self.space(db);
            let there =
                if rules.policy.spares_persistent() { space.with_deadline() } else { space.len() };
            for _ in 0..rules.samples.min(SAMPLES_MAX).min(there) {
                let Some(slot) = sample(space, db, rules.policy, evictor) else { break };
                has_found = true;
                let hash = slot.hash().expect("an entry has a hash");
                evictor.remember(Candidate { score: score(slot, rules, now), db, hash });
            }
        }
        has_found
    }
}

fn sample<'k>(
    space: &'k Keyspace,
    db: usize,
    policy: Policy,
    evictor: &mut Evictor,
) -> Option<&'k KeySlot> {
    let Evictor { random, last_deadlines, .. } = evictor;
    match policy.spares_persistent() {
        true => space.any_with_deadline(&mut last_deadlines[db], random),
        false => space.table().any(random),
    }
}

fn may_go(slot: &KeySlot, policy: Policy) -> bool {
    !policy.spares_persistent() || slot.deadline().is_some()
}

fn score(slot: &KeySlot, rules: &EvictionRules, now: WallMs) -> u64 {
    match rules.policy.counts_uses() {
        true => u64::from(u8::MAX - slot.usage().frequency(now, rules)),
        false => slot.usage().idle_s(now),
    }
}

fn is_shared(slot: &KeySlot) -> bool {
    match slot.value() {
        None | Some(Value::Shared(_) | Value::Adopted(_)) => true,
        Some(Value::Hyperloglog(it)) => !it.is_unique(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
