//! Which keys have changed, for clients that cache what they read: what a write has changed is told
//! under its lock, as soon as it is in the log, and where the last change of a key stands is kept,
//! for whoever reads the key at a replica that is behind.
//!
//! ```text
//! a write:  log ──▶ place of the key = where the write ends ──▶ table of readers ──▶ told
//! a read:   member, at what it has applied ──▶ table of readers ──▶ place of the key
//! ```
//!
//! A read enters the table before it looks at the key's place, and a write does it the other way
//! round: so one of the two sees the other, and no change behind what was read is missed.

use crate::base::position::{Offset, Position};
use crate::engine::{ChangedKeys, Engine};
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

/// Places for the last change of a key. Keys that share one take each other's changes for their
/// own, but only while a replica lacks them.
const PLACES: usize = 1 << 16;

/// Who tells those that cache keys. Called with the master's lock held: never waits, and tells at
/// most `left` clients before it returns; others tell the rest.
pub trait ChangeSink: Send + Sync {
    /// These changes of a write stand before `at`. `by` is the number of the client that made them,
    /// and `reads` what the client that caches it has read between them.
    fn tell(
        &self,
        changed: &ChangedKeys,
        reads: Option<&TransactionReads>,
        at: Position,
        by: Option<u64>,
        left: &mut usize,
    );
    /// Whether those that are told of all keys with a prefix are told of this one.
    fn is_broadcast(&self, key: &[u8]) -> bool;
    /// These keys have changed before `at`, each with who has changed it first, or 0.
    fn broadcast(&self, keys: BroadcastKeys, at: Position, left: &mut usize);
    /// From `at` on nothing holds of what was read before.
    fn forget(&self, at: Position);
}

/// Changed keys in their order, each with the number of the client that changed it first, or 0.
pub type BroadcastKeys = BTreeMap<Box<[u8]>, u64>;

/// What one client has read within a transaction.
#[derive(Default)]
pub struct TransactionReads {
    /// The number of the client.
    pub by: u64,
    /// The keys, each with how many changes the transaction had made before it read it first and
    /// last.
    pub keys: HashMap<Box<[u8]>, (usize, usize)>,
}

impl TransactionReads {
    /// It has read `key`, behind so many changes.
    pub fn note(&mut self, key: &[u8], changes: usize) {
        if let Some((_, last)) = self.keys.get_mut(key) {
            *last = changes;
        } else {
            self.keys.insert(key.into(), (changes, changes));
        }
    }
}

/// Which keys have changed, and who is told of it.
pub struct KeyChanges {
    /// How many clients cache what they read.
    clients: AtomicUsize,
    /// Some are told of all keys with a prefix.
    broadcasts: AtomicBool,
    sink: OnceLock<Box<dyn ChangeSink>>,
    hasher: ahash::RandomState,
    /// Where the last change of the keys of each place stands.
    places: OnceLock<Box<[AtomicU64]>>,
    /// Before this nothing was kept.
    from: AtomicU64,
}

impl KeyChanges {
    /// Nobody caches anything. Places depend on `seed`.
    pub fn new(seed: u64) -> KeyChanges {
        KeyChanges {
            clients: AtomicUsize::new(0),
            broadcasts: AtomicBool::new(false),
            sink: OnceLock::new(),
            hasher: ahash::RandomState::with_seeds(!seed, seed, 0x7AC6, seed.rotate_left(13)),
            places: OnceLock::new(),
            from: AtomicU64::new(0),
        }
    }

    /// From now on `sink` tells them.
    pub fn install(&self, sink: Box<dyn ChangeSink>) {
        let _ = self.sink.set(sink);
    }

    /// So many clients cache what they read, some of them by prefix. The first of them must let a
    /// write begin anew: see `ReplicaSet::note_changes`.
    pub fn ask(&self, clients: usize, broadcasts: bool) {
        self.broadcasts.store(broadcasts, SeqCst);
        self.clients.store(clients, SeqCst);
    }

    /// Whether anybody caches anything.
    #[inline]
    pub fn are_asked(&self) -> bool {
        self.clients.load(Relaxed) != 0
    }

    /// The hash of a key, by which its place and its readers are found.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The engine of the master begins to note what changes, or ends. `head` is where the log ends.
    #[cold]
    pub(super) fn settle(&self, engine: &mut Engine, head: Offset) {
        let on = self.are_asked();
        if on {
            self.places();
            self.from.store(head.bytes(), Release);
        }
        engine.track(on);
    }

    /// A write has changed the key with this hash, and ends at `at`.
    pub(super) fn note(&self, hash: u64, at: Offset) {
        self.place(hash).store(at.bytes(), Release);
    }

    /// Every key may have changed before `at`.
    pub(super) fn note_all(&self, at: Offset) {
        self.from.store(at.bytes(), Release);
    }

    /// Nothing that was kept means anything any more. Answers whether anything was.
    pub(super) fn forget_places(&self) -> bool {
        let Some(places) = self.places.get() else { return false };
        places.iter().for_each(|it| it.store(0, Release));
        true
    }

    /// Whether some are told of all keys with a prefix.
    pub(super) fn are_broadcast(&self) -> bool {
        self.broadcasts.load(Relaxed)
    }

    /// Who tells.
    pub(super) fn sink(&self) -> Option<&dyn ChangeSink> {
        self.sink.get().map(|it| &**it)
    }

    fn places(&self) -> &[AtomicU64] {
        self.places.get_or_init(|| (0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places()[hash as usize % PLACES]
    }

    /// Where a change of the key with this hash stands that one who has applied `at` may lack, if
    /// there may be such. Asked by whoever has entered the table of readers.
    #[inline]
    pub fn change_behind(&self, hash: u64, at: Offset) -> Option<Offset> {
        let last = self.place(hash).load(Acquire).max(self.from.load(Acquire));
        (at.bytes() < last).then(|| Offset::new(last))
    }
}
