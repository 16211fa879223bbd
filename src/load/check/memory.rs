//! A map that forgets: what was used least lately goes when a bound is reached.

use super::keys::hasher;
use ahash::RandomState;
use std::collections::HashMap;

/// Something per client and per key (or per other client), in two generations. When the young one
/// is full, the old one is forgotten and the young one becomes old. What is used becomes young.
pub struct Memory<V> {
    young: HashMap<(u64, u32), V, RandomState>,
    old: HashMap<(u64, u32), V, RandomState>,
    generation_max: usize,
}

impl<V: Copy + Default> Memory<V> {
    /// Remembers at least the latest `generation_max` and at most twice as many.
    pub fn new(generation_max: usize) -> Memory<V> {
        let empty = || HashMap::with_hasher(hasher());
        Memory { young: empty(), old: empty(), generation_max }
    }

    /// What is remembered, or the default, remembered from now on.
    pub fn entry(&mut self, client: u32, of: u64) -> &mut V {
        if self.generation_max <= self.young.len() && !self.young.contains_key(&(of, client)) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let old = &self.old;
        let remembered = || if old.is_empty() { None } else { old.get(&(of, client)).copied() };
        self.young.entry((of, client)).or_insert_with(|| remembered().unwrap_or_default())
    }

    /// What is remembered.
    pub fn get(&self, client: u32, of: u64) -> Option<&V> {
        self.young.get(&(of, client)).or_else(|| self.old.get(&(of, client)))
    }
}

/// The latest evidence that had ended when something later began.
///
/// With several requests under way at once the latest evidence has mostly not ended yet; so one
/// that has is kept beside one that is going to be used.
#[derive(Clone, Copy, Debug)]
pub struct Settling<E> {
    settled: Option<E>,
    fresh: Option<E>,
}

impl<E> Default for Settling<E> {
    fn default() -> Self {
        Settling { settled: None, fresh: None }
    }
}

/// Something that was read at some time and shows how much has been seen.
pub trait Evidence: Copy {
    /// When the read that shows it ended.
    fn ended(&self) -> u64;
    /// Greater if it shows more.
    fn strength(&self) -> u64;
}

impl<E: Evidence> Settling<E> {
    /// The strongest evidence known to have ended when something began at `began`.
    pub fn at(&self, began: u64) -> Option<E> {
        let ended = |it: &E| it.ended() <= began;
        let (settled, fresh) = (self.settled.filter(ended), self.fresh.filter(ended));
        let is_stronger = |it: &E| settled.is_none_or(|than| than.strength() <= it.strength());
        fresh.filter(is_stronger).or(settled)
    }

    /// Takes in evidence by a read that began at `began`.
    pub fn learn(&mut self, evidence: E, began: u64) {
        let Some(fresh) = self.fresh else {
            self.fresh = Some(evidence);
            return;
        };
        if began < fresh.ended() {
            return;
        }
        if self.settled.is_none_or(|it| it.strength() < fresh.strength()) {
            self.settled = Some(fresh);
        }
        self.fresh = Some(evidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Debug)]
    struct At(u64);

    impl Evidence for At {
        fn ended(&self) -> u64 {
            self.0
        }
        fn strength(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn the_latest_are_remembered() {
        let mut memory = Memory::<u64>::new(10);
        for of in 0..100 {
            *memory.entry(1, of) = of;
            *memory.entry(1, 0) += 1;
        }
        assert_eq!(*memory.entry(1, 0), 100, "what is used stays");
        assert_eq!(*memory.entry(1, 95), 95);
        assert_eq!(memory.get(1, 50), None);
        assert!(memory.young.len() + memory.old.len() <= 20);
    }

    #[test]
    fn requests_that_overlap_leave_evidence_nevertheless() {
        let mut settling = Settling::default();
        // Each request takes 16 and one begins at each instant.
        for began in 0..100 {
            settling.learn(At(began + 16), began);
        }
        let evidence = settling.at(100).unwrap();
        assert!(68 <= evidence.0 && evidence.0 <= 100, "{evidence:?}");
        assert_eq!(settling.at(10), None);
    }
}
