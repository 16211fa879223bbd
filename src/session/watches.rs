//! The keys that a session watches, each once.

use crate::base::limits::{WATCHED_BYTES_MAX, WATCHED_KEYS_MAX};
use crate::base::position::ReplId;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A key under WATCH, and the version it had.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// Its version at the master then.
    pub version: u64,
    /// The stream's history then: after a failover the versions of another member mean nothing.
    pub replid: ReplId,
}

impl Watch {
    fn place(&self) -> (usize, &[u8]) {
        (self.db, &self.key)
    }
}

/// A key of a database is watched once, whatever its version was.
impl Ord for Watch {
    fn cmp(&self, other: &Watch) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for Watch {
    fn partial_cmp(&self, other: &Watch) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Watch {
    fn eq(&self, other: &Watch) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Watch {}

/// The keys that a session watches, in order: found without a search, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    all: BTreeSet<Watch>,
    bytes: usize,
}

impl Watches {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Bytes of memory that they take, but for the allocator's.
    pub fn kept_bytes(&self) -> usize {
        self.bytes + self.all.len() * size_of::<Watch>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds the key of this database, unless it is watched already; `begin` begins the watch, and
    /// answers the key's version. Answers whether the session may watch that much.
    #[must_use]
    pub fn add(
        &mut self,
        db: usize,
        key: &[u8],
        replid: ReplId,
        begin: impl FnOnce() -> u64,
    ) -> bool {
        let mut watch = Watch { db, key: key.into(), version: 0, replid };
        if self.all.contains(&watch) {
            return true;
        }
        let bytes = self.bytes + key.len();
        if WATCHED_KEYS_MAX <= self.all.len() || WATCHED_BYTES_MAX < bytes {
            return false;
        }
        watch.version = begin();
        self.bytes = bytes;
        self.all.insert(watch)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Watch> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLID: ReplId = ReplId::new([1; 20]);

    fn watch(watches: &mut Watches, db: usize, key: &[u8]) -> (bool, bool) {
        let mut begun = false;
        let may = watches.add(db, key, REPLID, || {
            begun = true;
            7
        });
        (may, begun)
    }

    #[test]
    fn a_key_is_watched_once_in_each_database() {
        let mut watches = Watches::default();
        assert_eq!(watch(&mut watches, 0, b"a"), (true, true));
        assert_eq!(watch(&mut watches, 0, b"a"), (true, false));
        assert_eq!(watch(&mut watches, 1, b"a"), (true, true));
        assert_eq!(watches.len(), 2);
        assert!(watches.iter().all(|it| (&*it.key, it.version) == (&b"a"[..], 7)));
    }

    #[test]
    fn watches_take_room_for_each_and_for_their_keys() {
        let mut watches = Watches::default();
        assert_eq!(watches.kept_bytes(), 0);
        for number in 1..4 {
            assert_eq!(watch(&mut watches, number, b"abc"), (true, true));
            assert_eq!(watches.kept_bytes(), number * (3 + size_of::<Watch>()));
        }
    }

    #[test]
    fn keys_and_their_bytes_are_bounded_and_what_is_watched_may_be_watched_again() {
        let mut watches = Watches::default();
        for number in 0..WATCHED_KEYS_MAX {
            assert_eq!(watch(&mut watches, 0, &number.to_le_bytes()), (true, true));
        }
        assert_eq!(watch(&mut watches, 0, b"one more"), (false, false));
        assert_eq!(watch(&mut watches, 0, &7usize.to_le_bytes()), (true, false));
        let (mut watches, long) = (Watches::default(), vec![0; WATCHED_BYTES_MAX]);
        assert_eq!(watch(&mut watches, 0, &long), (true, true));
        assert_eq!(watch(&mut watches, 0, b"x"), (false, false));
    }

    #[test]
    fn a_watch_is_the_same_where_database_and_key_are_whatever_the_version() {
        let of = |db, key: &[u8], version| Watch { db, key: key.into(), version, replid: REPLID };
        let all = [of(0, b"a", 1), of(0, b"a", 2), of(0, b"b", 1), of(1, b"a", 1)];
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(one == other, at.max(1) == other_at.max(1));
                assert_eq!(one.partial_cmp(other), Some(at.max(1).cmp(&other_at.max(1))));
            }
        }
    }
}
