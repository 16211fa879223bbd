//! Which worker a connection is served by. It stays where the acceptor put it, with one exception:
//! clients that write in deep pipelines gather at one worker, since two that write a lot spend more
//! time on taking the master from each other than on writing. Those that write no longer spread
//! again.

use crate::runtime::worker::Workers;

/// The worker where deep writers gather.
const WRITERS: usize = 0;
/// A batch with this many writes is deep.
const DEEP_WRITES: u32 = 8;
/// Deep batches in a row before a connection moves.
const DEEP_BATCHES: u32 = 4;
/// Other batches in a row before a connection that has moved spreads again.
const OTHER_BATCHES: u32 = 256;

/// What a connection's batches have been like since it has come to its worker.
#[derive(Default)]
pub struct Placement {
    deep: u32,
    other: u32,
}

impl Placement {
    /// One more batch, with this many writes.
    #[inline]
    pub fn note(&mut self, writes: u32) {
        if DEEP_WRITES <= writes {
            *self = Placement { deep: self.deep.saturating_add(1), other: 0 };
        } else {
            *self = Placement { deep: 0, other: self.other.saturating_add(1) };
        }
    }

    /// The worker that should serve this connection rather than `here`, if there is one.
    #[inline]
    pub fn better(&mut self, workers: &Workers, here: usize) -> Option<usize> {
        if DEEP_BATCHES <= self.deep && here != WRITERS {
            return Some(WRITERS);
        }
        if self.other < OTHER_BATCHES || here != WRITERS {
            return None;
        }
        self.other = 0;
        let there = workers.with_fewest();
        // Not for one: two would change places for ever.
        (workers.tasks_at(there) + 1 < workers.tasks_at(here)).then_some(there)
    }
}
