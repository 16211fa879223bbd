//! What a client has asked for that caches what it reads (CLIENT TRACKING).

use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Which reads are cached, where not all are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CachedReads {
    /// All.
    #[default]
    All,
    /// Those behind CLIENT CACHING YES (OPTIN).
    OptIn,
    /// All but those behind CLIENT CACHING NO (OPTOUT).
    OptOut,
}

/// What a client has asked for that caches what it reads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tracking {
    /// The number of the client that is told in its place (REDIRECT).
    pub redirect: Option<u64>,
    /// The prefixes of the keys that it is told of, whether it has read them or not (BCAST).
    pub prefixes: Option<BTreeSet<Bytes>>,
    /// It is not told of what it changes itself (NOLOOP).
    pub no_loop: bool,
    /// Which of its reads are cached.
    pub reads: CachedReads,
    /// CLIENT CACHING has been said for the next command or transaction.
    pub is_said: bool,
}

impl Tracking {
    /// Whether it is told of the keys that the command at hand reads, because it reads them.
    #[inline]
    pub fn caches_read(&self) -> bool {
        match self.reads {
            CachedReads::All => self.prefixes.is_none(),
            CachedReads::OptIn => self.is_said,
            CachedReads::OptOut => !self.is_said,
        }
    }

    /// Bytes of memory that its prefixes take, but for the allocator's.
    pub fn kept_bytes(&self) -> usize {
        let bytes = |it: &BTreeSet<Bytes>| {
            it.iter().map(Bytes::len).sum::<usize>() + it.len() * 2 * size_of::<Bytes>()
        };
        self.prefixes.as_ref().map_or(0, bytes)
    }

    /// Whether it may cache this key, once it has read it.
    pub fn may_cache(&self, key: &[u8]) -> bool {
        // None but the empty one begins with another.
        let begins = |all: &BTreeSet<Bytes>| {
            let upto = (Bound::Unbounded, Bound::Included(key));
            let before = all.range::<[u8], _>(upto).next_back();
            all.contains(&b""[..]) || before.is_some_and(|it| key.starts_with(it))
        };
        self.prefixes.as_ref().map_or_else(|| self.caches_read(), begins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_cached_as_was_asked_for() {
        for (reads, is_said, is_cached) in [
            (CachedReads::All, false, true),
            (CachedReads::OptIn, false, false),
            (CachedReads::OptIn, true, true),
            (CachedReads::OptOut, false, true),
            (CachedReads::OptOut, true, false),
        ] {
            let tracking = Tracking { reads, is_said, ..Tracking::default() };
            assert_eq!(tracking.caches_read(), is_cached, "{reads:?} {is_said}");
            assert_eq!(tracking.may_cache(b"k"), is_cached);
        }
        let prefixes = Some(["a".into(), "bc".into()].into());
        let broadcast = Tracking { prefixes, ..Tracking::default() };
        assert!(!broadcast.caches_read());
        for (key, is_cached) in [("a", true), ("ab", true), ("b", false), ("bcd", true)] {
            assert_eq!(broadcast.may_cache(key.as_bytes()), is_cached, "{key}");
        }
    }

    #[test]
    fn prefixes_take_room_for_each_and_for_their_bytes() {
        assert_eq!(Tracking::default().kept_bytes(), 0);
        let of = |all: &[&'static str]| {
            let prefixes = Some(all.iter().map(|it| Bytes::from_static(it.as_bytes())).collect());
            Tracking { prefixes, ..Tracking::default() }.kept_bytes()
        };
        let each = 2 * size_of::<Bytes>();
        assert_eq!((of(&["abc"]), of(&["a", "bcd", "e"])), (3 + each, 5 + 3 * each));
    }
}
