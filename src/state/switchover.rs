//! Whether the role of the master is being handed over to another real server: meanwhile what is
//! the master's waits.

use crate::base::time::MonoUs;
use event_listener::Event;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// The handing over that is under way, if one is.
#[derive(Default)]
pub struct Switchover {
    /// Until when what is the master's waits; 0 while none is under way.
    until: AtomicU64,
    /// What clients' own connections do at the master now.
    private: AtomicUsize,
    over: Event,
}

/// One is under way of which nobody knows how it ends, and nothing waits for that.
const NOTHING_WAITS: u64 = u64::MAX;

/// Something that a client's own connection does at the master: a switchover waits for its end.
pub struct PrivateWork<'s>(&'s AtomicUsize);

impl Drop for PrivateWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Switchover {
    /// From here on what is the master's waits, until then at most. Answers whether none was under
    /// way before.
    pub fn begin(&self, until: MonoUs) -> bool {
        let until = until.0.clamp(1, NOTHING_WAITS - 1);
        // In one order with those that enter: each of the two sees the other, or is seen by it.
        self.until.compare_exchange(0, until, SeqCst, SeqCst).is_ok()
    }

    /// Nothing waits any more, and no other begins before this one has ended.
    pub fn release(&self) {
        self.until.store(NOTHING_WAITS, SeqCst);
        self.over.notify(usize::MAX);
    }

    /// None is under way any more.
    pub fn end(&self) {
        self.until.store(0, SeqCst);
        self.over.notify(usize::MAX);
    }

    /// Until when what is the master's waits; `None` while it does not.
    #[inline]
    pub fn waits_until(&self) -> Option<MonoUs> {
        let until = self.until.load(SeqCst);
        (until != 0 && until != NOTHING_WAITS).then_some(MonoUs(until))
    }

    /// Comes back when nothing waits any more.
    pub async fn over(&self) {
        loop {
            let over = self.over.listen();
            if self.waits_until().is_none() {
                return;
            }
            over.await;
        }
    }

    /// The same, and none begins to hand over before what is answered is dropped.
    pub async fn enter(&self) -> PrivateWork<'_> {
        loop {
            self.over().await;
            self.private.fetch_add(1, SeqCst);
            let work = PrivateWork(&self.private);
            if self.waits_until().is_none() {
                return work;
            }
        }
    }

    /// How much clients' own connections do at the master now.
    pub fn private_work(&self) -> usize {
        self.private.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn one_is_under_way_at_a_time() {
        let switchover = Switchover::default();
        assert_eq!(switchover.waits_until(), None);
        assert!(switchover.begin(MonoUs(5)) && !switchover.begin(MonoUs(9)));
        assert_eq!(switchover.waits_until(), Some(MonoUs(5)));
        switchover.end();
        assert!(switchover.waits_until().is_none() && switchover.begin(MonoUs(0)));
        assert!(switchover.waits_until().is_some());
    }

    #[test]
    fn one_whose_end_nobody_knows_keeps_nobody_waiting_and_lets_no_other_begin() {
        let switchover = Switchover::default();
        assert!(switchover.begin(MonoUs(5)));
        assert!(switchover.over().now_or_never().is_none());
        switchover.release();
        assert!(switchover.over().now_or_never().is_some());
        assert!(switchover.waits_until().is_none() && !switchover.begin(MonoUs(9)));
        switchover.end();
        assert!(switchover.begin(MonoUs(9)));
    }

    #[test]
    fn what_has_entered_is_seen_and_what_comes_later_waits() {
        let switchover = Switchover::default();
        let work = switchover.enter().now_or_never().expect("none is under way");
        assert!(switchover.begin(MonoUs(5)));
        assert_eq!(switchover.private_work(), 1);
        assert!(switchover.enter().now_or_never().is_none());
        assert_eq!(switchover.private_work(), 1, "who waits does nothing there");
        drop(work);
        assert_eq!(switchover.private_work(), 0);
        switchover.end();
        assert!(switchover.enter().now_or_never().is_some());
    }
}
