//! Client-side caching: who has read what, who is told of which keys, and what they are told.

mod prefixes;
mod readers;

pub use prefixes::Prefixes;
pub use readers::{ReaderTable, Readers};

use crate::base::position::Position;
use crate::resp::{Protocol, Reply};
use bytes::Bytes;
use std::sync::OnceLock;

/// The channel of those who cannot be pushed to.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What clients are told that cache keys: some are not what they were, or none is. Encoded once,
/// whatever protocols they speak.
#[derive(Debug)]
pub struct Invalidation {
    /// The changes stand before this.
    pub at: Position,
    /// The keys, encoded; `None` is all there are.
    keys: Option<Bytes>,
    pushed: OnceLock<Bytes>,
    published: OnceLock<Bytes>,
}

impl Invalidation {
    /// These keys have changed before `at`.
    pub fn of<'k>(keys: impl ExactSizeIterator<Item = &'k [u8]>, at: Position) -> Invalidation {
        let mut encoded = Reply::new(Protocol::Resp2);
        encoded.array(keys.len());
        keys.for_each(|it| encoded.bulk(it));
        Invalidation { keys: Some(encoded.into_bytes().into()), ..Invalidation::of_all(at) }
    }

    /// From `at` on nothing holds of what was read before.
    pub fn of_all(at: Position) -> Invalidation {
        Invalidation { at, keys: None, pushed: OnceLock::new(), published: OnceLock::new() }
    }

    /// About how long it is when it is sent.
    pub fn len(&self) -> usize {
        self.keys.as_ref().map_or(0, Bytes::len) + CHANNEL.len()
    }

    /// Whether it is empty, which it never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As who speaks RESP3 is pushed it.
    pub fn pushed(&self) -> &[u8] {
        self.pushed.get_or_init(|| {
            let mut frame = Reply::new(Protocol::Resp3);
            frame.push(2);
            frame.bulk(b"invalidate");
            self.append(frame)
        })
    }

    /// As who speaks RESP2 is sent it, who subscribes to something.
    pub fn published(&self) -> &[u8] {
        self.published.get_or_init(|| {
            let mut frame = Reply::new(Protocol::Resp2);
            frame.array(3);
            frame.bulk(b"message");
            frame.bulk(CHANNEL);
            self.append(frame)
        })
    }

    fn append(&self, mut frame: Reply) -> Bytes {
        match &self.keys {
            Some(keys) => frame.append(keys),
            None => frame.null(),
        }
        frame.into_bytes().into()
    }
}

/// What a client is told whose invalidations went to the client of this number, which has gone.
pub fn redirection_broken(to: u64) -> Bytes {
    let mut frame = Reply::new(Protocol::Resp3);
    frame.push(2);
    frame.bulk(b"tracking-redir-broken");
    frame.int(to as i64);
    frame.into_bytes().into()
}
