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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const DELAY: Duration = Duration::from_micros(50);

    #[test]
    fn those_who_come_while_one_waits_wait_no_longer_than_it_does() {
        let wire = Wire::default();
        let wait = |now| wire.gather(MonoUs(now), DELAY, 0).wait;
        assert_eq!(wait(100), DELAY);
        assert_eq!(wait(130), Duration::from_micros(20));
        assert_eq!(wait(150), Duration::ZERO);
        assert_eq!(wait(151), DELAY, "that is over");
    }

    #[test]
    fn as_soon_as_enough_wait_they_are_called() {
        let wire = Wire::default();
        for enough in [2, 3] {
            let few: Vec<_> =
                (1..enough).map(|_| wire.gather(MonoUs(100), DELAY, enough)).collect();
            let last = wire.gather(MonoUs(110), DELAY, enough);
            for it in few.into_iter().chain([last]) {
                assert!((&mut { it }.called).now_or_never().is_some());
            }
        }
        let first = wire.gather(MonoUs(120), DELAY, 2);
        assert_eq!(first.wait, DELAY, "those before have asked");
        assert!((&mut { first }.called).now_or_never().is_none(), "they have gone");
        let never = [0, 0].map(|it| wire.gather(MonoUs(130), DELAY, it));
        assert!(never.into_iter().all(|it| (&mut { it }.called).now_or_never().is_none()));
    }
}
