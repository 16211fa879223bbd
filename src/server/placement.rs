//! Which thread a connection is served by. It stays at the worker where the acceptor put it, with
//! two exceptions. While a request takes long it is at a thread for long work, so that nobody waits
//! for it who does not need what it holds. And clients that write in deep pipelines gather at one
//! worker, since two that write a lot spend more time on taking the master from each other than on
//! writing; those that write no longer spread again.
//!
//! ```text
//!             a request is long, by estimate
//!   Worker ──────────────────────────────────▶ Long
//!      ▲                                         │
//!      └──────────── it is answered ─────────────┘
//! ```

use crate::base::limits::LONG_WORKERS;
use crate::runtime::worker::{TurnEnd, Workers};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// All threads that serve connections.
pub struct Threads {
    workers: Workers,
    long: Workers,
}

/// What workers have answered who were asked whether they run.
pub struct Answers {
    /// How many were asked.
    pub asked: usize,
    count: Arc<AtomicUsize>,
}

impl Answers {
    /// How many have answered.
    pub fn count(&self) -> usize {
        self.count.load(Acquire)
    }
}

/// A thread that serves connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// This worker.
    Worker(usize),
    /// A thread for long work; afterwards the connection goes back to its worker.
    Long { home: usize },
}

impl Threads {
    /// Starts this many workers, and the threads for long work. `turn_end` says what each does at
    /// the end of its turns.
    pub fn start(workers: usize, turn_end: impl Fn() -> TurnEnd) -> io::Result<Threads> {
        Ok(Threads {
            workers: Workers::start("worker", 0, workers, &turn_end)?,
            long: Workers::start("long", workers, LONG_WORKERS, &turn_end)?,
        })
    }

    /// Where a new connection goes.
    pub fn place(&self) -> Place {
        Place::Worker(self.workers.with_fewest())
    }

    /// Asks every worker for an answer, which it gives when the turn comes of a task of its own.
    pub fn ask_workers(&self) -> Answers {
        let (asked, count) = (self.workers.count(), Arc::new(AtomicUsize::new(0)));
        for worker in 0..asked {
            let count = count.clone();
            self.workers.spawn_at(worker, move || async move {
                count.fetch_add(1, AcqRel);
            });
        }
        Answers { asked, count }
    }

    /// Gives the task that `make` makes to the thread of this place. It is made there.
    pub fn spawn<T: Future<Output = ()> + 'static>(
        &self,
        place: Place,
        make: impl FnOnce() -> T + Send + 'static,
    ) {
        match place {
            Place::Worker(worker) => self.workers.spawn_at(worker, make),
            Place::Long { .. } => self.long.spawn_at(self.long.with_fewest(), make),
        }
    }
}

/// The worker where deep writers gather.
const WRITERS: usize = 0;
/// A batch with this many writes is deep.
const DEEP_WRITES: u32 = 8;
/// Deep batches in a row before a connection moves.
const DEEP_BATCHES: u32 = 4;
/// Other batches in a row before a connection that has moved spreads again.
const OTHER_BATCHES: u32 = 256;

/// Where a connection is, and what its batches have been like since it has come there.
pub struct Placement {
    place: Place,
    deep: u32,
    other: u32,
}

impl Placement {
    /// It has just come here.
    pub fn at(place: Place) -> Placement {
        Placement { place, deep: 0, other: 0 }
    }

    /// The worker that it comes from, or is at.
    pub fn home(&self) -> Place {
        match self.place {
            Place::Worker(home) | Place::Long { home } => Place::Worker(home),
        }
    }

    /// Whether this thread is for long work.
    pub fn is_long(&self) -> bool {
        matches!(self.place, Place::Long { .. })
    }

    /// One more batch, with this many writes.
    #[inline]
    pub fn note(&mut self, writes: u32) {
        if DEEP_WRITES <= writes {
            self.deep = self.deep.saturating_add(1);
            self.other = 0;
        } else {
            self.deep = 0;
            self.other = self.other.saturating_add(1);
        }
    }

    /// Where it must go on: long requests are served where they harm nobody, others are not.
    #[inline]
    pub fn must_go_to(&self, is_long_next: bool) -> Option<Place> {
        match (self.place, is_long_next) {
            (Place::Worker(home), true) => Some(Place::Long { home }),
            (Place::Long { home }, false) => Some(Place::Worker(home)),
            (Place::Worker(_), false) | (Place::Long { .. }, true) => None,
        }
    }

    /// The worker that should rather serve it while it has nothing to do, if there is one.
    #[inline]
    pub fn should_go_to(&mut self, threads: &Threads) -> Option<Place> {
        let Place::Worker(here) = self.place else { return None };
        if DEEP_BATCHES <= self.deep && here != WRITERS {
            return Some(Place::Worker(WRITERS));
        }
        if self.other < OTHER_BATCHES || here != WRITERS {
            return None;
        }
        self.other = 0;
        let workers = &threads.workers;
        let there = workers.with_fewest();
        // Not for one: two would change places for ever.
        let is_better = workers.tasks_at(there) + 1 < workers.tasks_at(here);
        is_better.then_some(Place::Worker(there))
    }
}
