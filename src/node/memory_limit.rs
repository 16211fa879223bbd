//! The limit of memory, and what is known of keeping to it.

use crate::IS_SIMULATED;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::runtime::allocation;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is on its way to be freed is told apart by so many places of the stream.
const IN_FLIGHT_MAX: usize = 64;

/// Bytes that were evicted, and are given back later.
#[derive(Debug)]
pub struct InFlight {
    /// How many.
    pub bytes: u64,
    /// When all replicas have applied this.
    pub at: Offset,
    /// And then when so much has been freed in the background, once that is known.
    pub frees: Option<u64>,
    /// Something of it is freed in the background.
    pub is_deferred: bool,
}

/// Rounds of evictions in a row, and bytes that they were to bring, after which it is no chance
/// that nothing has come back.
const FUTILE_ROUNDS: u32 = 8;
/// See [`FUTILE_ROUNDS`].
const FUTILE_BYTES: u64 = 1 << 20;
/// So long after that it is tried again, in us, if no memory has been freed meanwhile.
const TRY_AGAIN_US: u64 = 1_000_000;

/// Evictions of late that have brought nothing: something else holds what was evicted, or takes as
/// much. To go on would cost all keys.
#[derive(Default)]
struct Futile {
    rounds: u32,
    bytes: u64,
    /// What was counted behind the last of them, and when that was.
    counted: u64,
    at: MonoUs,
}

impl Futile {
    /// A round was to bring this much, and has brought so much.
    fn note(&mut self, wanted: u64, brought: u64, counted: u64, at: MonoUs) {
        if wanted == 0 {
            return;
        }
        if wanted <= brought.saturating_mul(2) {
            *self = Futile::default();
            return;
        }
        let (rounds, bytes) = (self.rounds + 1, self.bytes + wanted);
        *self = Futile { rounds, bytes, counted, at };
    }

    /// Whether evictions bring nothing now. Looks anew when memory has been freed, or after a
    /// while.
    fn is_now(&mut self, counted: u64, now: MonoUs) -> bool {
        if self.rounds < FUTILE_ROUNDS || self.bytes < FUTILE_BYTES {
            return false;
        }
        let stays = self.counted <= counted && now.since(self.at) < TRY_AGAIN_US;
        if !stays {
            *self = Futile::default();
        }
        stays
    }
}

/// The limit, and what is known of keeping to it.
#[derive(Default)]
pub struct Eviction {
    pub(super) limit: AtomicU64,
    pub(super) slice_us: AtomicU64,
    /// Bytes that do not count: what is kept for snapshots, and the backlog beyond its size.
    pub(super) not_counted: AtomicU64,
    /// What was evicted while a snapshot is made, which keeps it, since that was last counted.
    pub(super) kept: AtomicU64,
    pub(super) in_flight: Mutex<VecDeque<InFlight>>,
    pub(super) in_flight_bytes: AtomicU64,
    futile: Mutex<Futile>,
    /// Keys evicted.
    pub evicted: AtomicU64,
    exceeded_since: AtomicU64,
    exceeded_us: AtomicU64,
    pub(super) wanted: Event,
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

    pub(super) fn counted(&self) -> u64 {
        let used = match IS_SIMULATED {
            true => self.simulated_bytes.load(Relaxed),
            false => allocation::allocated_bytes(),
        };
        used.saturating_sub(self.not_counted())
    }

    pub(super) fn note(&self, is_exceeded: bool, now: MonoUs) {
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

    /// A round of evictions was to bring this much at once; `before` was counted ahead of it.
    pub(super) fn note_round(&self, wanted: u64, before: u64, now: MonoUs) {
        let counted = self.counted();
        self.futile.lock().note(wanted, before.saturating_sub(counted), counted, now);
    }

    /// Whether evictions bring nothing now.
    pub(super) fn brings_nothing(&self, now: MonoUs) -> bool {
        self.futile.lock().is_now(self.counted(), now)
    }

    /// These bytes were evicted, and are given back once replicas have applied the stream up to
    /// `at`.
    pub(super) fn note_in_flight(&self, flight: InFlight) {
        let mut in_flight = self.in_flight.lock();
        let is_full = IN_FLIGHT_MAX <= in_flight.len();
        match in_flight.back_mut() {
            Some(last) if is_full || last.at == flight.at => {
                last.bytes += flight.bytes;
                last.at = flight.at;
                last.is_deferred |= flight.is_deferred;
            }
            _ => in_flight.push_back(flight),
        }
        self.in_flight_bytes.store(in_flight.iter().map(|it| it.bytes).sum(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evictions_that_bring_nothing_end_until_memory_is_freed_or_for_a_while() {
        let after = |rounds: u32, wanted, brought| {
            let mut futile = Futile::default();
            (0..rounds).for_each(|_| futile.note(wanted, brought, 100, MonoUs(5)));
            futile
        };
        let now = MonoUs(6);
        let is_now = |mut it: Futile| it.is_now(100, now);
        assert!(is_now(after(FUTILE_ROUNDS, FUTILE_BYTES / 8, 0)));
        assert!(is_now(after(FUTILE_ROUNDS, FUTILE_BYTES / 8, FUTILE_BYTES / 17)));
        assert!(!is_now(after(FUTILE_ROUNDS, FUTILE_BYTES / 8, FUTILE_BYTES / 16)), "half of it");
        assert!(!is_now(after(FUTILE_ROUNDS - 1, FUTILE_BYTES, 0)), "it may be chance");
        assert!(!is_now(after(1000, FUTILE_BYTES / 1001, 0)), "it is too little to see");
        assert!(!is_now(after(1000, 0, 0)), "nothing was to come at once");
        let mut futile = after(FUTILE_ROUNDS, FUTILE_BYTES, 0);
        futile.note(1, 1, 100, now);
        assert!(!futile.is_now(100, now), "one has brought something");
        let mut futile = after(FUTILE_ROUNDS, FUTILE_BYTES, 0);
        assert!(futile.is_now(101, now) && futile.is_now(100, now));
        assert!(!futile.is_now(99, now) && !futile.is_now(100, now), "memory has been freed");
        let mut futile = after(FUTILE_ROUNDS, FUTILE_BYTES, 0);
        assert!(!futile.is_now(100, MonoUs(5 + TRY_AGAIN_US)), "it is tried again");
    }
}
