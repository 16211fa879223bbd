//! What is remembered from one eviction to the next: the best of the keys that were looked at.

use super::keyspace::Deadline;
use crate::base::limits::DATABASES;
use crate::base::random::Random;

/// Keys that are remembered (Redis' `EVPOOL_SIZE`).
const REMEMBERED_MAX: usize = 16;

/// A key that may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The higher, the sooner it goes.
    pub score: u64,
    /// Its database.
    pub db: usize,
    /// The hash of the key. Another key of the same hash is as good a choice as any.
    pub hash: u32,
}

/// What is remembered from one eviction to the next.
#[derive(Debug)]
pub struct Evictor {
    /// The lowest score first.
    pub remembered: Vec<Candidate>,
    /// Chooses at which keys to look.
    pub random: Random,
    /// Where a key by chance is looked for next.
    pub next_db: usize,
    /// The deadlines that were looked at last, database by database.
    pub last_deadlines: [Option<Deadline>; DATABASES],
}

impl Default for Evictor {
    fn default() -> Evictor {
        Evictor {
            remembered: Vec::new(),
            random: Random::new(0x5EED),
            next_db: 0,
            last_deadlines: [None; DATABASES],
        }
    }
}

impl Evictor {
    /// Remembers a key, if it is among the best.
    pub fn remember(&mut self, new: Candidate) {
        if self.remembered.iter().any(|it| (it.db, it.hash) == (new.db, new.hash)) {
            return;
        }
        let at = self.remembered.partition_point(|it| it.score < new.score);
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.insert(at, new);
        } else if at != 0 {
            // The lowest gives way.
            self.remembered[..at].rotate_left(1);
            self.remembered[at - 1] = new;
        }
    }
}
