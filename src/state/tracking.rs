//! Client-side caching: who caches what it reads, and how it is told of changes. The table is the
//! set's, whichever member a key was read at.

use super::clients::Client;
use super::mailbox::{Message, ToldChange};
use crate::base::limits::{CACHED_KEYS_EVICTED_MAX, READERS_TOLD_MAX};
use crate::base::position::Position;
use crate::base::random::Random;
use crate::engine::{Change, ChangedKeys};
use crate::node::{BroadcastKeys, ChangeSink, KeyChanges, TransactionReads};
use crate::pubsub::tracking::{Invalidation, Prefixes, ReaderTable, Readers};
use crate::runtime::{lazyfree, tasks};
use crate::session;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Who caches what it reads.
pub struct Tracking {
    changes: Arc<KeyChanges>,
    readers: ReaderTable,
    clients: RwLock<Caching>,
    keys_max: AtomicUsize,
    random: Mutex<Random>,
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
        asked: session::Tracking,
    ) {
        client.flags.is_redirect_broken.store(false, Relaxed);
        let mut caching = self.clients.write();
        for prefix in asked.prefixes.iter().flatten() {
            caching.prefixes.add(prefix.clone(), client.id);
        }
        let entered = CachingClient { client: client.clone(), redirect, asked };
        caching.clients.insert(client.id, entered);
        self.ask(&caching);
    }

    /// The client of this number caches nothing any more, if it has.
    pub fn leave(&self, id: u64) {
        let mut caching = self.clients.write();
        let Some(left) = caching.clients.remove(&id) else { return };
        for prefix in left.asked.prefixes.iter().flatten() {
            caching.prefixes.remove(prefix, id);
        }
        self.ask(&caching);
        if caching.clients.is_empty() {
            // Under the lock: nobody else has read anything yet.
            lazyfree::free_async(self.readers.take_all());
        }
        drop(caching);
        left.client.flags.is_redirect_broken.store(false, Relaxed);
    }

    fn ask(&self, caching: &Caching) {
        self.changes.ask(caching.clients.len(), !caching.prefixes.is_empty());
    }

    /// The client, which reads so, has read this key at a member whose data stands at `at`: it
    /// hears of the next change. A change that the member lacked is told behind the reply.
    #[inline]
    pub fn read(&self, client: &Client, asked: &session::Tracking, key: &[u8], at: Position) {
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
    fn enter_reader(&self, hash: u64, key: &[u8], number: u64, at: Position) {
        // Who holds a part of the table waits for nobody.
        let is_there = |it| self.clients.try_read().is_none_or(|all| all.clients.contains_key(&it));
        let is_new = self.readers.enter(hash, key, number, is_there);
        if is_new && self.keys_max.load(Relaxed) < self.readers.keys() {
            self.keep_within(at);
        }
    }

    /// Gives up keys when too many have readers, some at a time: their readers are told that they
    /// have changed. `at` is where any member stands.
    #[cold]
    pub fn keep_within(&self, at: Position) {
        let mut random = self.random.lock();
        for _ in 0..CACHED_KEYS_EVICTED_MAX {
            if self.readers.keys() <= self.keys_max.load(Relaxed) {
                return;
            }
            let Some((key, readers)) = self.readers.take_any(&mut random) else { return };
            let told = Arc::new(Invalidation::of([&*key].into_iter(), at));
            self.tell_each(readers.iter(), &told, None);
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

    /// As [`Tracking::tell_each`]. Who holds the master does not wait until very many are told.
    fn tell_all(self: &Arc<Self>, readers: &Readers, told: Arc<Invalidation>, by: Option<u64>) {
        if readers.len() <= READERS_TOLD_MAX {
            return self.tell_each(readers.iter(), &told, by);
        }
        let (tracking, numbers) = (self.clone(), readers.iter().collect::<Vec<u64>>());
        tasks::spawn(async move {
            for part in numbers.chunks(READERS_TOLD_MAX) {
                tracking.tell_each(part.iter().copied(), &told, by);
                tasks::give_way().await;
            }
        });
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
    ) {
        let Some(reads) = reads else { return self.0.tell(changed, at, by) };
        let stays = self.0.enter_reads(reads, changed);
        self.0.tell(changed, at, by);
        stays.iter().for_each(|it| self.0.enter_reader(self.0.changes.hash(it), it, reads.by, at));
    }

    fn is_broadcast(&self, key: &[u8]) -> bool {
        self.0.is_broadcast(key)
    }

    fn broadcast(&self, keys: &BroadcastKeys, at: Position) {
        self.0.broadcast(keys, at);
    }

    fn forget(&self, at: Position) {
        self.0.forget(at);
    }
}

impl Tracking {
    fn tell(self: &Arc<Self>, changed: &ChangedKeys, at: Position, by: Option<u64>) {
        let mut is_all = false;
        for change in changed.iter() {
            match change {
                Change::Key { key, expired } => {
                    let Some(readers) = self.readers.take(self.changes.hash(key), key) else {
                        continue;
                    };
                    let told = Arc::new(Invalidation::of([key].into_iter(), at));
                    self.tell_all(&readers, told, by.filter(|_| !expired));
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

    fn broadcast(&self, keys: &BroadcastKeys, at: Position) {
        let caching = self.clients.read();
        // By prefix, with the keys in their order.
        type Change<'k> = (&'k [u8], u64);
        let mut found: BTreeMap<&[u8], (Vec<Change<'_>>, _)> = BTreeMap::new();
        for (key, by) in keys {
            for (prefix, clients) in caching.prefixes.of(key) {
                let (keys, _) = found.entry(prefix).or_insert_with(|| (Vec::new(), clients));
                keys.push((key, *by));
            }
        }
        for (keys, clients) in found.into_values() {
            let told = Arc::new(Invalidation::of(keys.iter().map(|it| it.0), at));
            for number in clients {
                let Some(client) = caching.clients.get(number) else { continue };
                if !client.asked.no_loop || keys.iter().all(|it| it.1 != *number) {
                    client.tell(&told);
                    continue;
                }
                let others = keys.iter().filter(|it| it.1 != *number).map(|it| it.0);
                let others: Vec<&[u8]> = others.collect();
                if !others.is_empty() {
                    client.tell(&Arc::new(Invalidation::of(others.into_iter(), at)));
                }
            }
        }
    }

    fn forget(self: &Arc<Self>, at: Position) {
        lazyfree::free_async(self.readers.take_all());
        let told = Arc::new(Invalidation::of_all(at));
        let clients = self.clients.read();
        if clients.clients.len() <= READERS_TOLD_MAX {
            return clients.clients.values().for_each(|it| it.tell(&told));
        }
        let (tracking, numbers) =
            (self.clone(), clients.clients.keys().copied().collect::<Vec<_>>());
        tasks::spawn(async move {
            for part in numbers.chunks(READERS_TOLD_MAX) {
                {
                    let clients = tracking.clients.read();
                    let there = part.iter().filter_map(|it| clients.clients.get(it));
                    there.for_each(|it| it.tell(&told));
                }
                tasks::give_way().await;
            }
        });
    }
}
