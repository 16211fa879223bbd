//! Who is told of all keys that begin with a prefix.

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Who is told of all keys that begin with a prefix.
#[derive(Default)]
pub struct Prefixes {
    /// The numbers of the clients of each prefix.
    all: BTreeMap<Bytes, BTreeSet<u64>>,
    /// How many prefixes have each length: a key is looked up by its own beginnings.
    lengths: BTreeMap<usize, usize>,
}

impl Prefixes {
    /// The client of this number is told of keys with `prefix`.
    pub fn add(&mut self, prefix: Bytes, number: u64) {
        let len = prefix.len();
        let clients = self.all.entry(prefix).or_default();
        if clients.is_empty() {
            *self.lengths.entry(len).or_default() += 1;
        }
        clients.insert(number);
    }

    /// It is told of them no more.
    pub fn remove(&mut self, prefix: &[u8], number: u64) {
        let Some(clients) = self.all.get_mut(prefix) else { return };
        clients.remove(&number);
        if !clients.is_empty() {
            return;
        }
        self.all.remove(prefix);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// Who is told of keys with `prefix`, from the client of this number on.
    pub fn clients_from(&self, prefix: &[u8], first: u64) -> impl Iterator<Item = u64> {
        self.all.get(prefix).into_iter().flat_map(move |it| it.range(first..)).copied()
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The prefixes that `key` begins with, with the clients of each.
    pub fn of<'p>(&'p self, key: &'p [u8]) -> impl Iterator<Item = (&'p Bytes, &'p BTreeSet<u64>)> {
        let lengths = self.lengths.range(..=key.len());
        lengths.filter_map(|(len, _)| self.all.get_key_value(&key[..*len]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_has_the_prefixes_that_it_begins_with() {
        let word = || prop::collection::vec(0u8..2, 0..4);
        let step = (any::<bool>(), word(), 0u64..3);
        proptest!(|(steps in prop::collection::vec(step, 0..40), key in word())| {
            let mut prefixes = Prefixes::default();
            let mut model: BTreeSet<(Vec<u8>, u64)> = BTreeSet::new();
            for (adds, prefix, number) in steps {
                if adds {
                    prefixes.add(prefix.clone().into(), number);
                    model.insert((prefix, number));
                } else {
                    prefixes.remove(&prefix, number);
                    model.remove(&(prefix, number));
                }
            }
            let found = prefixes.of(&key);
            let found: BTreeSet<(Vec<u8>, u64)> = found
                .flat_map(|(prefix, all)| all.iter().map(|it| (prefix.to_vec(), *it)))
                .collect();
            let all: BTreeSet<&Vec<u8>> = model.iter().map(|it| &it.0).collect();
            prop_assert_eq!(prefixes.len(), all.len());
            prop_assert_eq!(prefixes.is_empty(), model.is_empty());
            model.retain(|it| key.starts_with(&it.0));
            prop_assert_eq!(found, model);
        });
    }
}
