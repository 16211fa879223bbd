//! Copies the keys that a walk sees into another engine.

use super::cut::END;
use super::databases::Engine;
use super::keyspace::Keyspace;
use super::slot::KeySlot;
use super::value::Value;
use super::walk::Walk;
use crate::base::limits::DATABASES;

/// Places that are looked at together, under one lock of the member.
const BATCH: usize = if cfg!(test) { 5 } else { 512 };

/// How far a copy has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyStep {
    /// There is more.
    Some,
    /// The next value has more elements than may be copied at a time.
    Long,
    /// All of it has been taken.
    All,
}

/// A copy that is being made of what a walk sees. Strings are shared, collections copied.
pub struct WalkCopy {
    walk: Walk,
    db: usize,
    from: u64,
    taken: Vec<Vec<KeySlot>>,
}

impl WalkCopy {
    /// Before its first key.
    pub fn new(walk: Walk) -> WalkCopy {
        let taken = (0..DATABASES).map(|_| Vec::new()).collect();
        WalkCopy { walk, db: 0, from: 0, taken }
    }

    /// Goes on a little, while the member is locked to read. No value with more elements than
    /// `elements_max` is copied; the others together may have as many more.
    pub fn step(&mut self, engine: &Engine, elements_max: usize) -> CopyStep {
        let Some(mut keys) = engine.walked(&self.walk, self.db) else { return self.next_db() };
        let (mut elements, mut is_long, mut next) = (0, false, END);
        let taken = &mut self.taken[self.db];
        // The hash at hand, where its entries begin, and whether any were before.
        let (mut at, mut group, mut has_moved) = (None, taken.len(), false);
        for (count, stop) in keys.onward(self.from).enumerate() {
            if at != Some(stop.hash) {
                if BATCH <= count || elements_max < elements {
                    next = u64::from(stop.hash);
                    break;
                }
                has_moved = at.is_some();
                (at, group) = (Some(stop.hash), taken.len());
            }
            // What was kept is taken as it is, below.
            let Some(slot) = stop.slot.filter(|_| !stop.is_kept) else { continue };
            let cost = slot.value().map_or(0, Value::copy_cost);
            if elements_max < cost {
                taken.truncate(group);
                (next, is_long) = (u64::from(stop.hash), !has_moved);
                break;
            }
            elements = elements.saturating_add(cost);
            taken.push(slot.clone());
        }
        self.from = next;
        taken.extend(keys.pass(next));
        if is_long {
            return CopyStep::Long;
        }
        if next == END { self.next_db() } else { CopyStep::Some }
    }

    fn next_db(&mut self) -> CopyStep {
        (self.db, self.from) = (self.db + 1, 0);
        if self.db < DATABASES { CopyStep::Some } else { CopyStep::All }
    }

    /// Puts all that was taken into an engine that is empty, of the same seed.
    pub fn put_into(self, engine: &mut Engine) {
        engine.take_libraries(self.walk.libraries().clone());
        for (db, slots) in self.taken.into_iter().enumerate() {
            *engine.space_mut(db) = Keyspace::of(slots);
        }
    }
}
