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
    /// When it was evicted.
    pub since: MonoUs,
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
                last.since = flight.since;
            }
            _ => in_flight.push_back(flight),
        }
        self.in_flight_bytes.store(in_flight.iter().map(|it| it.bytes).sum(), Relaxed);
    }
}
