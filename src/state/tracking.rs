//! Client-side caching: who caches what it reads, and how it is told of changes. The table is the
//! set's, whichever member a key was read at.

mod later;
mod telling;

use super::clients::Client;
use super::mailbox::{Message, ToldChange};
use crate::base::limits::{
    CACHED_KEY_BYTES_MAX, CACHED_KEY_BYTES_SUM_MAX, CACHED_KEYS_EVICTED_MAX, PREFIXES_CHANGED_MAX,
    READERS_TOLD_MAX,
};
use crate::base::position::Position;
use crate::base::random::Random;
use crate::engine::{Change, ChangedKeys};
use crate::node::{BroadcastKeys, ChangeSink, KeyChanges, TransactionReads};
use crate::pubsub::tracking::{Invalidation, Prefixes, ReaderTable, Readers};
use crate::runtime::lazyfree;
use crate::session;
use bytes::Bytes;
use later::{Later, ToTell};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Who caches what it reads.
pub struct Tracking {
    changes: Arc<KeyChanges>,
    readers: ReaderTable,
    clients: RwLock<Caching>,
    keys_max: AtomicUsize,
    random: Mutex<Random>,
    later: Mutex<Later>,
}

#[derive(Default)]
struct Caching {
    clients: HashMap<u64, CachingClient>,
    prefixes: Prefixes,
}

/// A client that caches what it reads.
struct CachingClient {
    client: Arc<Client>,
    /// Who is told in its place.
    redirect: Option<Arc<Client>>,
    asked: session::Tracking,
}

impl Tracking {
    /// Nobody caches anything of the set whose changes these are.
    pub fn new(changes: Arc<KeyChanges>) -> Tracking {
        Tracking {
            changes,
            readers: ReaderTable::default(),
            clients: RwLock::default(),
            keys_max: AtomicUsize::new(usize::MAX),
            random: Mutex::new(Random::new(0)),
            later: Mutex::default(),
        }
    }

    /// Somebody may cache so many keys from here on; 0 is without a limit.
    pub fn limit(&self, keys_max: usize) {
        self.keys_max.store(if keys_max == 0 { usize::MAX } else { keys_max }, Relaxed);
    }

    /// How many clients cache what they read.
    pub fn clients(&self) -> usize {
        self.clients.read().clients.len()
    }

    /// How many keys have readers.
    pub fn keys(&self) -> usize {
        self.readers.keys()
    }

    /// How many readers all keys have together.
    pub fn items(&self) -> usize {
        self.readers.items()
    }

    /// How many prefixes somebody is told of.
    pub fn prefixes(&self) -> usize {
        self.clients.read().prefixes.len()
    }

    /// The client caches what it reads, as it has asked; `redirect` is told in its place. Nothing
    /// is missed that is written behind [`crate::node::ReplicaSet::note_changes`].
    pub fn enter(
        &self,
        client: &Arc<Client>,
        redirect: Option<Arc<Client>>,
        asked: &session::Tracking,
    ) {
        client.flags.is_redirect_broken.store(false, Relaxed);
        let entered = CachingClient { client: client.clone(), redirect, asked: asked.clone() };
        let before = {
            let mut caching = self.clients.write();
            let before = caching.clients.insert(client.id, entered);
            self.ask(&caching);
            before
        };
        let known = before.as_ref().and_then(|it| it.asked.prefixes.as_ref());
        let is_new = |it: &&Bytes| known.is_none_or(|known| !known.contains(*it));
        let new = asked.prefixes.iter().flatten().filter(is_new);
        self.change_prefixes(new, |all, it| all.add(it.clone(), client.id));
    }

    /// Prefixes come or go, some at a time: others write meanwhile.
    fn change_prefixes<'p>(
        &self,
        prefixes: impl Iterator<Item = &'p Bytes>,
        change: impl Fn(&mut Prefixes, &Bytes),
    ) {
        let prefixes: Vec<&Bytes> = prefixes.collect();
        for part in prefixes.chunks(PREFIXES_CHANGED_MAX) {
            let mut caching = self.clients.write();
            part.iter().for_each(|it| change(&mut caching.prefixes, it));
            self.ask(&caching);
        }
    }

    /// The client of this number caches nothing any more, if it has.
    pub fn leave(&self, id: u64) {
        let mut caching = self.clients.write();
        let Some(left) = caching.clients.remove(&id) else { return };
        self.ask(&caching);
        if caching.clients.is_empty() {
            // Under the lock: nobody else has read anything yet.
            lazyfree::free_async(self.readers.take_all());
        }
        drop(caching);
        let prefixes = left.asked.prefixes.iter().flatten();
        self.change_prefixes(prefixes, |all, it| all.remove(it, id));
        left.client.flags.is_redirect_broken.store(false, Relaxed);
    }

    fn ask(&self, caching: &Caching) {
        self.changes.ask(caching.clients.len(), !caching.prefixes.is_empty());
    }

    /// The client, which reads so, has read this key at a member whose data stands at `at`: it
    /// hears of the next change. A change that the member lacked is told behind the reply.
    #[inline]
    pub fn read(
        self: &Arc<Self>,
        client: &Client,
        asked: &session::Tracking,
        key: &[u8],
        at: Position,
    ) {
        let hash = self.changes.hash(key);
        if asked.caches_read() {
            self.enter_reader(hash, key, client.id, at);
        }
        if let Some(behind) = self.changes.change_behind(hash, at.offset)
            && asked.may_cache(key)
        {
            self.tell_reader(client.id, key, Position { offset: behind, ..at });
        }
    }

    #[inline]
    fn enter_reader(self: &Arc<Self>, hash: u64, key: &[u8], number: u64, at: Position) {
        if CACHED_KEY_BYTES_MAX < key.len() {
            return self.tell_reader(number, key, at);
        }
        // Who holds a part of the table waits for nobody.
        let is_there = |it| self.clients.try_read().is_none_or(|all| all.clients.contains_key(&it));
        let is_new = self.readers.enter(hash, key, number, is_there);
        if is_new && self.has_too_many() {
            self.keep_within(at);
        }
    }

    fn has_too_many(&self) -> bool {
        self.keys_max.load(Relaxed) < self.readers.keys()
            || CACHED_KEY_BYTES_SUM_MAX < self.readers.bytes()
    }

    /// Gives up keys when too many have readers, some at a time: their readers are told that they
    /// have changed. `at` is where any member stands.
    #[cold]
    pub fn keep_within(self: &Arc<Self>, at: Position) {
        let (mut random, mut left) = (self.random.lock(), READERS_TOLD_MAX);
        for _ in 0..CACHED_KEYS_EVICTED_MAX {
            if !self.has_too_many() {
                return;
            }
            let Some((key, readers)) = self.readers.take_any(&mut random) else { return };
            let told = Arc::new(Invalidation::of([&*key].into_iter(), at));
            self.tell_all(readers, told, None, &mut left);
        }
    }

    /// What this client has read has changed since, at a place that whom it was read at lacked.
    #[cold]
    fn tell_reader(&self, number: u64, key: &[u8], at: Position) {
        let caching = self.clients.read();
        if let Some(reader) = caching.clients.get(&number) {
            reader.tell(&Arc::new(Invalidation::of([key].into_iter(), at)));
        }
    }

    /// All that this client has read may be of a history that has ended since.
    #[cold]
    pub fn forget_for(&self, number: u64, at: Position) {
        if let Some(reader) = self.clients.read().clients.get(&number) {
            reader.tell(&Arc::new(Invalidation::of_all(at)));
        }
    }

    /// As [`Tracking::tell_each`], as long as so many may be told: whoever holds the master does
    /// not wait until very many are.
    fn tell_all(
        self: &Arc<Self>,
        readers: Readers,
        told: Arc<Invalidation>,
        by: Option<u64>,
        left: &mut usize,
    ) {
        match left.checked_sub(readers.len()) {
            Some(rest) => {
                *left = rest;
                self.tell_each(readers.iter(), &told, by);
            }
            None => self.put_off(ToTell::Readers { readers, told, by }),
        }
    }

    /// Tells those of these clients that cache what they read, but for `by`, where that does not
    /// want to hear of its own changes.
    fn tell_each(
        &self,
        numbers: impl Iterator<Item = u64>,
        told: &Arc<Invalidation>,
        by: Option<u64>,
    ) {
        let caching = self.clients.read();
        for number in numbers {
            let Some(reader) = caching.clients.get(&number) else { continue };
            let is_own = by == Some(number) && reader.asked.no_loop;
            if !is_own && reader.asked.prefixes.is_none() {
                reader.tell(told);
            }
        }
    }
}

impl CachingClient {
    fn tell(&self, told: &Arc<Invalidation>) {
        let told = told.clone();
        let Some(redirect) = &self.redirect else {
            return self.client.mailbox.post(Message::Told(ToldChange::Own(told)));
        };
        if redirect.mailbox.is_closed() {
            self.client.flags.is_redirect_broken.store(true, Relaxed);
            let broken = ToldChange::RedirectBroken(redirect.id);
            return self.client.mailbox.post(Message::Told(broken));
        }
        // Before it is told: it may read what it is told of by its own connection.
        self.client.told_elsewhere.raise(told.at);
        redirect.mailbox.post(Message::Told(ToldChange::ForAnother(told)));
    }
}

/// Tells those who cache what has changed.
pub struct ToldChanges(pub Arc<Tracking>);

impl ChangeSink for ToldChanges {
    fn tell(
        &self,
        changed: &ChangedKeys,
        reads: Option<&TransactionReads>,
        at: Position,
        by: Option<u64>,
        left: &mut usize,
    ) {
        let Some(reads) = reads else { return self.0.tell(changed, at, by, left) };
        let stays = self.0.enter_reads(reads, changed);
        self.0.tell(changed, at, by, left);
        stays.iter().for_each(|it| self.0.enter_reader(self.0.changes.hash(it), it, reads.by, at));
    }

    fn is_broadcast(&self, key: &[u8]) -> bool {
        self.0.is_broadcast(key)
    }

    fn broadcast(&self, keys: BroadcastKeys, at: Position, left: &mut usize) {
        self.0.broadcast(keys, at, left);
    }

    fn forget(&self, at: Position) {
        self.0.forget(at);
    }
}

impl Tracking {
    fn tell(
        self: &Arc<Self>,
        changed: &ChangedKeys,
        at: Position,
        by: Option<u64>,
        left: &mut usize,
    ) {
        let mut is_all = false;
        for change in changed.iter() {
            match change {
                Change::Key { key, expired } => {
                    let Some(readers) = self.readers.take(self.changes.hash(key), key) else {
                        continue;
                    };
                    let told = Arc::new(Invalidation::of([key].into_iter(), at));
                    self.tell_all(readers, told, by.filter(|_| !expired), left);
                }
                Change::All => is_all = true,
            }
        }
        if is_all {
            self.forget(at);
        }
    }

    /// What a transaction has read: what it has changed afterwards enters the table, to be told of
    /// with its other changes. Answers what it has left as it was when it was read last.
    fn enter_reads<'r>(&self, reads: &'r TransactionReads, changed: &ChangedKeys) -> Vec<&'r [u8]> {
        let (mut last, mut last_all) = (HashMap::new(), None);
        for (number, change) in changed.iter().enumerate() {
            match change {
                Change::Key { key, .. } if reads.keys.contains_key(key) => {
                    last.insert(key, number);
                }
                Change::Key { .. } => {}
                Change::All => last_all = Some(number),
            }
        }
        let mut stays = Vec::new();
        for (key, &(first_read, last_read)) in &reads.keys {
            let changed = last.get(&**key).copied();
            if changed.is_some_and(|it| first_read <= it) {
                self.readers.enter(self.changes.hash(key), key, reads.by, |_| true);
            }
            if changed.max(last_all).is_none_or(|it| it < last_read) {
                stays.push(&**key);
            }
        }
        stays
    }

    fn is_broadcast(&self, key: &[u8]) -> bool {
        self.clients.read().prefixes.of(key).next().is_some()
    }

    fn forget(self: &Arc<Self>, at: Position) {
        lazyfree::free_async(self.readers.take_all());
        let told = Arc::new(Invalidation::of_all(at));
        let caching = self.clients.read();
        if caching.clients.len() <= READERS_TOLD_MAX {
            return caching.clients.values().for_each(|it| it.tell(&told));
        }
        let numbers = caching.clients.keys().copied().collect();
        self.put_off(ToTell::All { numbers, told });
    }
}

#[cfg(test)]
mod tests;
