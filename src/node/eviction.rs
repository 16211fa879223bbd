//! The limit of memory: whether there is room, and how it is made.
//!
//! What is limited is what the process has allocated: the data of all hosted members, the buffers
//! of clients, the backlog. Evictions are made at the master, and replicas follow by the stream; so
//! what an eviction brings may come later, when the last member that shares it has let go. Until
//! then it counts as gone: otherwise a slow replica, or a large value that is freed in the
//! background, would cost the keys of others.
//!
//! ```text
//!            over the limit             a slice evicts enough
//!   room ──────────────────▶ make_room ───────────────────────▶ room
//!                               │ the slice's time is over        ▲
//!                               ├──────────▶ a task goes on ──────┘
//!                               │ no key may go
//!                               └──────────▶ writes are refused
//! ```

use super::master_guard::MasterGuard;
use super::replica_set::ReplicaSet;
use crate::IS_SIMULATED;
use crate::base::position::Offset;
use crate::base::time::{Clock, MonoUs, WallMs};
use crate::engine::{Effects, Evicted};
use crate::runtime::{allocation, lazyfree};
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Keys that are evicted between two looks at the clock, in one write of the log each.
const KEYS_PER_LOOK: usize = 16;
/// What is on its way to be freed is told apart by so many places of the stream.
const IN_FLIGHT_MAX: usize = 64;
/// What has not come back after this long is not on its way: a replica is paused, or gone.
const FLIGHT_US_MAX: u64 = 10_000_000;

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

/// Bytes that were evicted, and are given back later.
#[derive(Debug)]
struct InFlight {
    bytes: u64,
    /// When all replicas have applied this.
    at: Offset,
    /// And then when so much has been freed in the background, once that is known.
    frees: Option<u64>,
    is_deferred: bool,
    since: MonoUs,
}

/// The limit, and what is known of keeping to it.
#[derive(Default)]
pub struct Eviction {
    limit: AtomicU64,
    slice_us: AtomicU64,
    /// Bytes that do not count: what is kept for snapshots, and the backlog beyond its size.
    not_counted: AtomicU64,
    /// What was evicted while a snapshot is made, which keeps it, since that was last counted.
    kept: AtomicU64,
    in_flight: Mutex<VecDeque<InFlight>>,
    in_flight_bytes: AtomicU64,
    /// Keys evicted.
    pub evicted: AtomicU64,
    exceeded_since: AtomicU64,
    exceeded_us: AtomicU64,
    wanted: Event,
    /// In the simulator, where nothing else is measured.
    pub simulated_bytes: AtomicU64,
}

impl Eviction {
    /// The limit from here on, 0 for none, and for how long one write may evict.
    pub fn set_limit(&self, limit: u64, slice_us: u64) {
        self.limit.store(limit, Relaxed);
        self.slice_us.store(slice_us, Relaxed);
        self.wanted.notify(1);
    }

    /// Whether there is a limit, and more than that is in use. What is on its way to be freed
    /// counts as used.
    #[inline]
    pub fn is_tight(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        limit != 0 && limit < self.counted()
    }

    /// Hears that keys are to be evicted in the background.
    pub fn wanted(&self) -> EventListener {
        self.wanted.listen()
    }

    /// Bytes in use that do not count.
    pub fn not_counted(&self) -> u64 {
        self.not_counted.load(Relaxed) + self.kept.load(Relaxed)
    }

    /// Milliseconds for which more was in use than may be: all in all, and now.
    pub fn exceeded_ms(&self, now: MonoUs) -> (u64, u64) {
        let since = self.exceeded_since.load(Relaxed);
        let current = if since == 0 { 0 } else { now.since(MonoUs(since)) };
        ((self.exceeded_us.load(Relaxed) + current) / 1000, current / 1000)
    }

    /// Forgets what has been counted.
    pub fn reset(&self) {
        self.evicted.store(0, Relaxed);
        self.exceeded_us.store(0, Relaxed);
    }

    fn counted(&self) -> u64 {
        let used = match IS_SIMULATED {
            true => self.simulated_bytes.load(Relaxed),
            false => allocation::allocated_bytes(),
        };
        used.saturating_sub(self.not_counted())
    }

    fn note(&self, is_exceeded: bool, now: MonoUs) {
        if is_exceeded {
            let _ = self.exceeded_since.compare_exchange(0, now.0.max(1), Relaxed, Relaxed);
            return;
        }
        if self.exceeded_since.load(Relaxed) != 0 {
            let since = self.exceeded_since.swap(0, Relaxed);
            if since != 0 {
                self.exceeded_us.fetch_add(now.since(MonoUs(since)), Relaxed);
            }
        }
    }

    /// These bytes were evicted, and are given back once replicas have applied the stream up to
    /// `at`.
    fn depart(&self, flight: InFlight) {
        let mut in_flight = self.in_flight.lock();
        let is_full = IN_FLIGHT_MAX <= in_flight.len();
        match in_flight.back_mut() {
            Some(last) if is_full || last.at == flight.at => {
                last.bytes += flight.bytes;
                last.at = flight.at;
                last.is_deferred |= flight.is_deferred;
                last.since = flight.since;
            }
            _ => in_flight.push_back(flight),
        }
        self.in_flight_bytes.store(in_flight.iter().map(|it| it.bytes).sum(), Relaxed);
    }
}

impl ReplicaSet {
    /// Bytes that are used beyond the limit, but for those on their way to be freed.
    fn bytes_over(&self, now: MonoUs) -> Option<u64> {
        let eviction = &self.eviction;
        if !eviction.is_tight() {
            return None;
        }
        self.land(now);
        let counted = eviction.counted().saturating_sub(eviction.in_flight_bytes.load(Relaxed));
        counted.checked_sub(eviction.limit.load(Relaxed)).filter(|it| *it != 0)
    }

    /// What has come back is no longer on its way.
    fn land(&self, now: MonoUs) {
        let eviction = &self.eviction;
        let mut in_flight = eviction.in_flight.lock();
        if in_flight.is_empty() {
            return;
        }
        let applied = self.replicas().filter(|it| it.is_sound()).map(|it| it.applied()).min();
        while let Some(first) = in_flight.front_mut() {
            let is_late = FLIGHT_US_MAX < now.since(first.since);
            if !is_late && applied.is_some_and(|it| it < first.at) {
                break;
            }
            let waiting = || lazyfree::freed() + lazyfree::waiting();
            if first.is_deferred
                && !is_late
                && lazyfree::freed() < *first.frees.get_or_insert_with(waiting)
            {
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
        eviction.kept.store(0, Relaxed);
        eviction.not_counted.store(kept + backlog, Relaxed);
        let is_over = self.bytes_over(now).is_some();
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
        let Some(mut over) = set.bytes_over(began) else {
            set.eviction.note(false, began);
            return Room::Enough;
        };
        // A replica's master evicts, and while clients are held back nothing may change.
        if set.is_following() || set.is_loading() || set.pause_in_force(began).is_some() {
            return Room::Enough;
        }
        set.eviction.note(true, began);
        let slice_us = set.eviction.slice_us.load(Relaxed);
        let mut effects = Effects::default();
        loop {
            let now = clock.mono_now();
            let evicted = self.evict_some(&mut effects, over, now, clock.wall_now());
            over = over.saturating_sub(evicted.bytes);
            if over == 0 {
                let still = set.bytes_over(now).is_some();
                set.eviction.note(still, now);
                if still {
                    set.eviction.wanted.notify(1);
                }
                return Room::Enough;
            }
            if evicted.is_all {
                return Room::Lacking;
            }
            if slice_us <= clock.mono_now().since(began) {
                set.eviction.wanted.notify(1);
                return Room::Soon;
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
        let replicas = set.replicas().filter(|it| it.is_sound()).count() as u64;
        let is_walked = self.hosted.engine.is_walked();
        let mut some = EvictedSome { bytes: 0, is_all: false };
        let (mut later, mut is_deferred, mut keys) = (0, false, 0);
        let mut transaction = self.begin(effects, now);
        while keys < KEYS_PER_LOOK && some.bytes < over {
            let Some(evicted) = transaction.evict(wall) else {
                some.is_all = true;
                break;
            };
            let (all, at_once) = brought(evicted, replicas);
            some.bytes += all;
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
            eviction.depart(InFlight { bytes: later, at, frees: None, is_deferred, since: now });
        }
        some
    }
}

/// What a few evictions have come to.
struct EvictedSome {
    bytes: u64,
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
