//! What every write has made of the data, by its number: whatever a set holds at any time is what
//! one of the writes has made, and nothing between.

use super::super::finding::Checker;
use super::replica_set::{digest, order};
use entourage::node::ReplicaSet;
use std::collections::{HashMap, HashSet};

/// What the data was like behind one write.
struct Made {
    order: String,
    digest: String,
}

#[derive(Default)]
pub struct Ledger {
    made: HashMap<u64, Made>,
    last: u64,
    /// What each set holds, and the numbers of the writes that it has held at any time.
    holds: Vec<String>,
    held: Vec<HashSet<u64>>,
}

/// The number of the last write of an order; 0 for none.
pub fn last_of(order: &str) -> u64 {
    order.split(',').rev().nth(1).map_or(0, |it| it.parse().expect("a number"))
}

impl Ledger {
    pub fn new(sets: usize) -> Ledger {
        let (holds, held) = (vec![String::new(); sets], vec![HashSet::new(); sets]);
        Ledger { holds, held, ..Ledger::default() }
    }

    /// The number of the next write.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// What this set holds.
    pub fn holds(&self, number: usize) -> &str {
        &self.holds[number]
    }

    /// Whether this set has had the write at any time.
    pub fn has_been_on(&self, write: u64, number: usize) -> bool {
        self.held[number].contains(&write)
    }

    /// This set has made the write.
    pub fn wrote(&mut self, number: usize, set: &ReplicaSet, write: u64) {
        let (order, digest) = (order(set), digest(set));
        assert_eq!(last_of(&order), write, "it is there");
        self.held[number].insert(write);
        self.holds[number].clone_from(&order);
        self.made.insert(write, Made { order, digest });
    }

    /// This set may have changed. `is_replaced` says that its data may be another's by now.
    pub fn look(
        &mut self,
        number: usize,
        set: &ReplicaSet,
        is_replaced: bool,
    ) -> Result<(), (Checker, String)> {
        let now = order(set);
        let before = std::mem::replace(&mut self.holds[number], now.clone());
        if !is_replaced && !now.starts_with(&before) {
            return Err((Checker::Order, format!("set {number} goes from {before} to {now}")));
        }
        let from = if now.starts_with(&before) { before.len() } else { 0 };
        let new = now[from..].split(',').filter(|it| !it.is_empty());
        self.held[number].extend(new.map(|it| it.parse::<u64>().expect("a number")));
        let Some(made) = self.made.get(&last_of(&now)) else {
            // Nothing has been written.
            return if now.is_empty() {
                Ok(())
            } else {
                Err((Checker::Order, format!("set {number} holds {now}")))
            };
        };
        if made.order != now {
            let what = format!("set {number} holds {now} where {} was made", made.order);
            return Err((Checker::Order, what));
        }
        if made.digest != digest(set) {
            let what = format!("set {number} has the writes {now}, and other data");
            return Err((Checker::Order, what));
        }
        Ok(())
    }
}
