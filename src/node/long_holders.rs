//! How many hold a member for long, or are about to. What that means to others is in `long_hold`.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Who holds a member for long, or is about to.
#[derive(Default)]
pub(super) struct LongHolders {
    readers: AtomicU32,
    writers: AtomicU32,
}

/// What somebody does with a member for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hold {
    /// Others may read it meanwhile.
    Read,
    /// Nobody else comes near it.
    Write,
}

impl LongHolders {
    /// Whether there is anybody who does this for long.
    #[inline]
    pub fn has(&self, hold: Hold) -> bool {
        self.count(hold).load(SeqCst) != 0
    }

    /// One more.
    pub fn enter(&self, hold: Hold) {
        self.count(hold).fetch_add(1, SeqCst);
    }

    /// One less.
    pub fn leave(&self, hold: Hold) {
        self.count(hold).fetch_sub(1, SeqCst);
    }

    fn count(&self, hold: Hold) -> &AtomicU32 {
        match hold {
            Hold::Read => &self.readers,
            Hold::Write => &self.writers,
        }
    }
}
