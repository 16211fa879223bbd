//! What a set knows of its replicas on the wire, beside what stands in the log.

use super::snapshot::Snapshot;
use crate::base::time::MonoUs;
use crate::engine::Walk;
use crate::route::CountHosted;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::*};
use std::time::Duration;

/// What the set knows of its replicas on the wire, beside what stands in the log.
#[derive(Default)]
pub struct Wire {
    /// The stream has grown, or a follower has been disconnected.
    pub(super) news: Event,
    /// Replicas on the wire: followers that are neither members nor files.
    pub(super) replicas: AtomicUsize,
    /// The last snapshot that was taken, while somebody still reads it.
    pub(super) snapshot: Mutex<Weak<Snapshot>>,
    /// The walks that are under way, and those for which something is still kept.
    pub(super) walks: Mutex<Vec<Walk>>,
    /// When the next snapshot is begun for those who ask until then, in µs.
    pub(super) gathers_until: AtomicU64,
    /// Where the stream ended when replicas were last asked what they have applied.
    pub(super) asked_at: AtomicU64,
    /// When that was, in µs.
    pub(super) asked_when: AtomicU64,
    /// Followers that wait for others before they ask for a snapshot.
    pub(super) gathering: AtomicUsize,
    /// Enough of them wait.
    pub(super) gathered: Event,
    /// When a replica last left, in µs; 0 when none has since the backlog was released.
    pub(super) last_left: AtomicU64,
    /// A replica has synced in this history.
    pub(super) has_synced: AtomicBool,
    /// What [`CountHosted`] is.
    pub(super) count_hosted: AtomicU8,
    /// Full resyncs that were begun.
    pub full_resyncs: AtomicU64,
    /// Partial resyncs.
    pub partial_resyncs: AtomicU64,
    /// Replicas that asked for a partial resync and got a full one.
    pub partial_resyncs_refused: AtomicU64,
}

impl Wire {
    pub(super) fn counted(&self) -> CountHosted {
        CountHosted::ALL[self.count_hosted.load(Acquire) as usize].0
    }

    /// A follower is about to wait for this long before it asks for a snapshot: those that come
    /// meanwhile wait no longer than it does, ask at the same time, and share one. As soon as
    /// `enough` wait, they all ask; 0 for never.
    pub fn gather(&self, now: MonoUs, delay: Duration, enough: usize) -> Gathering<'_> {
        let called = self.gathered.listen();
        let count = 1 + self.gathering.fetch_add(1, AcqRel);
        let until = MonoUs(self.gathers_until.load(Acquire));
        let wait = if now <= until { Duration::from_micros(until.since(now)) } else { delay };
        let gathering = Gathering { wire: self, wait, called };
        if enough != 0 && enough <= count {
            self.gathers_until.store(0, Release);
            self.gathered.notify(usize::MAX);
        } else {
            self.gathers_until.store(now.plus(wait).0, Release);
        }
        gathering
    }
}

/// A follower's wait for others. Dropped when it is over.
pub struct Gathering<'w> {
    wire: &'w Wire,
    /// The longest that it lasts.
    pub wait: Duration,
    /// Ready when enough wait.
    pub called: EventListener,
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.wire.gathering.fetch_sub(1, AcqRel);
    }
}
