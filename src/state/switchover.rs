//! Whether the role of the master is being handed over to another real server: meanwhile what is
//! the master's waits.

use crate::base::time::MonoUs;
use event_listener::Event;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The handing over that is under way, if one is.
#[derive(Default)]
pub struct Switchover {
    /// Until when what is the master's waits; 0 while nothing does.
    until: AtomicU64,
    over: Event,
}

impl Switchover {
    /// From here on what is the master's waits, until then at most. Answers whether none was under
    /// way before.
    pub fn begin(&self, until: MonoUs) -> bool {
        self.until.compare_exchange(0, until.0.max(1), AcqRel, Acquire).is_ok()
    }

    /// Nothing waits any more.
    pub fn end(&self) {
        self.until.store(0, Release);
        self.over.notify(usize::MAX);
    }

    /// Until when what is the master's waits; `None` while it does not.
    #[inline]
    pub fn waits_until(&self) -> Option<MonoUs> {
        let until = self.until.load(Acquire);
        (until != 0).then_some(MonoUs(until))
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
