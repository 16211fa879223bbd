//! Telling very many, a part at a time: of all keys with a prefix, and what a lock of the master
//! had no room for.

use super::later::ToTell;
use super::{Caching, Tracking};
use crate::base::limits::{BROADCAST_KEYS_MAX, READERS_TOLD_MAX};
use crate::base::position::Position;
use crate::node::BroadcastKeys;
use crate::pubsub::tracking::Invalidation;
use crate::runtime::tasks;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

impl Tracking {
    /// These keys have changed before `at`: tells those who are told of all with a prefix.
    pub(super) fn broadcast(self: &Arc<Self>, keys: BroadcastKeys, at: Position, left: &mut usize) {
        if keys.len() <= BROADCAST_KEYS_MAX {
            self.broadcast_some(&Arc::new(keys), at, left);
        } else {
            self.put_off(ToTell::Keys { keys, at });
        }
    }

    /// By prefix, with the keys in their order.
    fn broadcast_some(self: &Arc<Self>, keys: &Arc<BroadcastKeys>, at: Position, left: &mut usize) {
        let caching = self.clients.read();
        let found = keys.keys().flat_map(|it| caching.prefixes.of(it));
        let found: BTreeMap<&Bytes, _> = found.collect();
        for (prefix, clients) in found {
            match left.checked_sub(clients.len()) {
                Some(rest) => {
                    *left = rest;
                    let change = PrefixChange::new(prefix, keys, at);
                    change.tell(&caching, clients.iter().copied());
                }
                None => {
                    let (prefix, keys) = (prefix.clone(), keys.clone());
                    self.put_off(ToTell::Prefix { prefix, keys, at });
                }
            }
        }
    }

    /// It is told by a task, behind what is told so already.
    #[cold]
    pub(super) fn put_off(self: &Arc<Self>, what: ToTell) {
        let mut later = self.later.lock();
        later.waiting.push_back(what);
        if !mem::replace(&mut later.is_told, true) {
            drop(later);
            let tracking = self.clone();
            tasks::spawn(async move { tracking.tell_later().await });
        }
    }

    fn next_to_tell(&self) -> Option<ToTell> {
        let mut later = self.later.lock();
        let next = later.waiting.pop_front();
        later.is_told = next.is_some();
        next
    }

    pub(super) async fn tell_later(self: Arc<Self>) {
        while let Some(next) = self.next_to_tell() {
            match next {
                ToTell::Readers { readers, told, by } => {
                    let numbers: Vec<u64> = readers.iter().collect();
                    for part in numbers.chunks(READERS_TOLD_MAX) {
                        self.tell_each(part.iter().copied(), &told, by);
                        tasks::give_way().await;
                    }
                }
                ToTell::Keys { keys, at } => {
                    let mut keys = keys.into_iter();
                    loop {
                        let part: BroadcastKeys = keys.by_ref().take(BROADCAST_KEYS_MAX).collect();
                        if part.is_empty() {
                            break;
                        }
                        let mut left = READERS_TOLD_MAX;
                        self.broadcast_some(&Arc::new(part), at, &mut left);
                        tasks::give_way().await;
                    }
                }
                ToTell::Prefix { prefix, keys, at } => {
                    let (change, mut first) = (PrefixChange::new(&prefix, &keys, at), Some(0));
                    while let Some(from) = first {
                        first = self.tell_some(&prefix, &change, from);
                        tasks::give_way().await;
                    }
                }
                ToTell::All { numbers, told } => {
                    for part in numbers.chunks(READERS_TOLD_MAX) {
                        self.tell_these(part, &told);
                        tasks::give_way().await;
                    }
                }
            }
        }
    }

    /// Tells some of those with this prefix, from a number on. Answers whose is the next.
    fn tell_some(&self, prefix: &[u8], change: &PrefixChange<'_>, first: u64) -> Option<u64> {
        let caching = self.clients.read();
        let mut numbers = caching.prefixes.clients_from(prefix, first);
        change.tell(&caching, numbers.by_ref().take(READERS_TOLD_MAX));
        numbers.next()
    }

    fn tell_these(&self, numbers: &[u64], told: &Arc<Invalidation>) {
        let caching = self.clients.read();
        let there = numbers.iter().filter_map(|it| caching.clients.get(it));
        there.for_each(|it| it.tell(told));
    }
}

/// What has changed of the keys with one prefix.
struct PrefixChange<'k> {
    /// The keys in their order, each with who has changed it first.
    keys: Vec<(&'k [u8], u64)>,
    /// Those who have changed any of them.
    by: BTreeSet<u64>,
    told: Arc<Invalidation>,
}

impl<'k> PrefixChange<'k> {
    fn new(prefix: &[u8], keys: &'k BroadcastKeys, at: Position) -> PrefixChange<'k> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let keys = keys.range::<[u8], _>(from).map(|(key, by)| (&**key, *by));
        let keys: Vec<_> = keys.take_while(|it| it.0.starts_with(prefix)).collect();
        let told = Arc::new(Invalidation::of(keys.iter().map(|it| it.0), at));
        PrefixChange { by: keys.iter().map(|it| it.1).collect(), keys, told }
    }

    /// Tells these clients, but for what they have changed themselves, where they do not want to
    /// hear of that.
    fn tell(&self, caching: &Caching, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            let Some(client) = caching.clients.get(&number) else { continue };
            if !client.asked.no_loop || !self.by.contains(&number) {
                client.tell(&self.told);
                continue;
            }
            let others = self.keys.iter().filter(|it| it.1 != number).map(|it| it.0);
            let others: Vec<&[u8]> = others.collect();
            if !others.is_empty() {
                client.tell(&Arc::new(Invalidation::of(others.into_iter(), self.told.at)));
            }
        }
    }
}
