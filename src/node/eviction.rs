//! The limit of memory: whether there is room, and how it is made.
//!
//! What is limited is what the process has allocated: the data of all hosted members, the buffers
//! of clients, the backlog. Evictions are made at the master, and replicas follow by the stream; so
//! what an eviction brings may come later, when the last member that shares it has let go. Until
//! then it counts as gone: otherwise a slow replica, or a large value that is freed in the
//! background, would cost the keys of others. That has a bound: who lacks more of the stream than
//! `replica-feed-limit` is cut off, and lets go of all it has.
//!
//! ```text
//!            over the limit             a slice evicts enough
//!   room ──────────────────▶ make_room ───────────────────────▶ room
//!                               │ the slice's time is over        ▲
//!                               ├──────────▶ a task goes on ──────┘
//!                               │ no key may go, or it brings nothing
//!                               └──────────▶ writes are refused
//! ```

use super::master_guard::MasterGuard;
use super::member::Member;
use super::memory_limit::InFlight;
use super::replica_set::ReplicaSet;
use crate::IS_SIMULATED;
use crate::base::position::Offset;
use crate::base::time::{Clock, MonoUs, WallMs};
use crate::engine::{Effects, Evicted};
use crate::metrics::latency_events::LatencyEvent;
use crate::runtime::lazyfree;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Keys that are evicted between two looks at the clock, in one write of the log each.
const KEYS_PER_LOOK: usize = 16;
/// Who evicts for longer than this, in us, is not waited for.
const SHORT_US_MAX: u64 = 1000;

/// Whether a write that grows finds room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// There is enough.
    Enough,
    /// There will be: others go on to make it.
    Soon,
    /// There is none, and no key may go.
    Lacking,
}

impl ReplicaSet {
    /// Bytes that are used beyond the limit, but for those on their way to be freed.
    fn bytes_over(&self) -> Option<u64> {
        let eviction = &self.eviction;
        if !eviction.is_tight() {
            return None;
        }
        self.forget_freed();
        let counted = eviction.counted().saturating_sub(eviction.in_flight_bytes.load(Relaxed));
        counted.checked_sub(eviction.limit.load(Relaxed)).filter(|it| *it != 0)
    }

    /// The members beside the master that have data: in service or not, they may share its own.
    fn holders(&self) -> impl Iterator<Item = &Arc<Member>> {
        let master = self.master();
        self.places().filter(move |it| it.id != master && it.holds_data())
    }

    /// What has been freed is no longer on its way.
    fn forget_freed(&self) {
        let eviction = &self.eviction;
        let mut in_flight = eviction.in_flight.lock();
        if in_flight.is_empty() {
            return;
        }
        // Who is about to let go of all it has applies nothing.
        let applied = |it: &Arc<Member>| if it.is_sound() { it.applied() } else { Offset::ZERO };
        let applied = self.holders().map(applied).min();
        while let Some(first) = in_flight.front_mut() {
            if applied.is_some_and(|it| it < first.at) {
                break;
            }
            let waiting = || lazyfree::freed() + lazyfree::waiting();
            if first.is_deferred && lazyfree::freed() < *first.frees.get_or_insert_with(waiting) {
                break;
            }
            in_flight.pop_front();
        }
        eviction.in_flight_bytes.store(in_flight.iter().map(|it| it.bytes).sum(), Relaxed);
    }

    /// Counts anew what does not count, and tells members the time. Keys are evicted in the
    /// background if that is due: several times a second.
    pub fn look_at_memory(&self, backlog_bytes: usize, now: MonoUs, wall: WallMs) {
        for member in self.members() {
            if let Some(hosted) = member.hosted.try_read() {
                hosted.engine.shared().tell_time(wall);
            }
        }
        let eviction = &self.eviction;
        if eviction.limit.load(Relaxed) == 0 {
            return eviction.note(false, now);
        }
        let kept = self.walks().1 as u64;
        let backlog = self.backlog().1.saturating_sub(backlog_bytes as u64);
        // In this order: in between nothing of it would be left out, and keys would go for it.
        eviction.not_counted.store(kept + backlog, Relaxed);
        eviction.kept.store(0, Relaxed);
        let is_over = self.bytes_over().is_some();
        eviction.note(is_over, now);
        if is_over {
            eviction.wanted.notify(1);
        }
    }
}

impl MasterGuard<'_> {
    /// Makes room where there is too little, for a bounded time.
    pub fn make_room(&mut self, clock: &dyn Clock) -> Room {
        let (set, began) = (self.set, clock.mono_now());
        let Some(over) = set.bytes_over() else {
            set.eviction.note(false, began);
            return Room::Enough;
        };
        // A replica's master evicts, and while clients are held back nothing may change.
        if set.is_following() || set.is_loading() || set.pause_in_force(began).is_some() {
            return Room::Enough;
        }
        set.eviction.note(true, began);
        if set.eviction.brings_nothing(began) {
            return Room::Lacking;
        }
        let room = self.evict_for_a_while(over, began, clock);
        let took_us = clock.mono_now().since(began);
        set.latency.note(LatencyEvent::EvictionCycle, took_us, clock.wall_now());
        room
    }

    /// Evicts until there is room, no other key may go, or the slice's time is over.
    fn evict_for_a_while(&mut self, mut over: u64, began: MonoUs, clock: &dyn Clock) -> Room {
        let set = self.set;
        let slice_us = set.eviction.slice_us.load(Relaxed);
        let mut effects = Effects::default();
        loop {
            let (now, before) = (clock.mono_now(), set.eviction.counted());
            let evicted = self.evict_some(&mut effects, over, now, clock.wall_now());
            over = over.saturating_sub(evicted.bytes);
            set.eviction.note_round(evicted.at_once, before, now);
            if set.eviction.brings_nothing(now) {
                return Room::Lacking;
            }
            if over == 0 {
                let still = set.bytes_over().is_some();
                set.eviction.note(still, now);
                if still {
                    set.eviction.wanted.notify(1);
                }
                return Room::Enough;
            }
            if evicted.is_all {
                return Room::Lacking;
            }
            let took_us = clock.mono_now().since(began);
            if slice_us <= took_us {
                set.eviction.wanted.notify(1);
                return Room::Soon;
            }
            if SHORT_US_MAX < took_us {
                self.become_long();
            }
        }
    }

    /// Evicts a few keys, each a write of its own.
    fn evict_some(
        &mut self,
        effects: &mut Effects,
        over: u64,
        now: MonoUs,
        wall: WallMs,
    ) -> EvictedSome {
        let set = self.set;
        let replicas = set.holders().count() as u64;
        let is_walked = self.hosted.engine.is_walked();
        let mut some = EvictedSome { bytes: 0, at_once: 0, is_all: false };
        let (mut later, mut is_deferred, mut keys) = (0, false, 0);
        let mut transaction = self.begin(effects, now);
        while keys < KEYS_PER_LOOK && some.bytes < over {
            let Some(evicted) = transaction.evict(wall) else {
                some.is_all = true;
                break;
            };
            let (all, at_once) = brought(evicted, replicas);
            some.bytes += all;
            some.at_once += at_once;
            later += all - at_once;
            is_deferred |= evicted.is_deferred;
            keys += 1;
        }
        transaction.commit_each();
        let eviction = &set.eviction;
        eviction.evicted.fetch_add(keys as u64, Relaxed);
        if IS_SIMULATED {
            let left = eviction.simulated_bytes.load(Relaxed).saturating_sub(some.bytes);
            eviction.simulated_bytes.store(left, Relaxed);
        } else if is_walked {
            eviction.kept.fetch_add(some.bytes, Relaxed);
        } else if later != 0 {
            let at = set.head();
            eviction.note_in_flight(InFlight { bytes: later, at, frees: None, is_deferred });
        }
        some
    }
}

/// What a few evictions have come to.
struct EvictedSome {
    bytes: u64,
    /// What of that has been given back already.
    at_once: u64,
    /// No other key may go.
    is_all: bool,
}

/// What an eviction brings, and what of it at once.
fn brought(evicted: Evicted, replicas: u64) -> (u64, u64) {
    let Evicted { bytes, is_shared, is_deferred } = evicted;
    let bytes = bytes as u64;
    let all = if is_shared { bytes } else { bytes * (1 + replicas) };
    let at_once = match (is_shared && replicas != 0) || is_deferred {
        true => 0,
        false => bytes,
    };
    (all, at_once)
}

#[cfg(test)]
mod tests;
