//! What must have been seen, told from the writes alone: no offsets, no members.

use std::collections::HashMap;

/// What a checker complains about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// A read did not see a write that it must see.
    Stale { client: usize, level: String, saw: u64, must_see: u64 },
    /// A write was refused.
    Refused(String),
}

/// Every write to the keys that are checked, numbered through.
#[derive(Default)]
pub struct Ledger {
    last: u64,
    by_key: HashMap<(usize, u64), Vec<u64>>,
}

impl Ledger {
    /// The number of the next write.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn wrote(&mut self, db: usize, key: u64, number: u64) {
        self.by_key.entry((db, key)).or_default().push(number);
    }

    /// The last write to a key at or before write `number`: what somebody who has seen that one must
    /// see. 0 without any.
    pub fn latest(&self, db: usize, key: u64, number: u64) -> u64 {
        let Some(all) = self.by_key.get(&(db, key)) else { return 0 };
        all[..all.partition_point(|it| *it <= number)].last().copied().unwrap_or(0)
    }

    /// The last write of all.
    pub fn last(&self) -> u64 {
        self.last
    }
}
