//! A string that is a long HyperLogLog, with its count beside it.
//!
//! Redis keeps the count among the bytes, so that there to count is to write. Here it is a read,
//! which any member answers, many at a time: what it finds it leaves beside the bytes. Whoever gets
//! the bytes to change gets them by [`Hyperloglog::edit`], which forgets the count, and nobody gets
//! them while another reads or shares them. So a count is never of other bytes, whatever becomes of
//! the key: it moves, is copied, shared and freed with what was counted.
//!
//! Short ones are strings as all others: what they would take more of memory would be a good part
//! of them, and counting them takes no longer than the rest of the request.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

/// What all of them begin with.
pub const MAGIC: &[u8] = b"HYLL";
/// Shorter ones have no count beside them.
pub const COUNTED_BYTES_MIN: usize = 512;
/// Not counted yet; no count is below 0.
const UNKNOWN: i64 = -1;

/// A string that begins like a HyperLogLog, and its count.
pub struct Hyperloglog {
    bytes: Vec<u8>,
    /// Every reader that sets it sets the same, so the order of their stores does not matter.
    count: AtomicI64,
}

impl Hyperloglog {
    /// Of these bytes, which nobody has counted.
    pub fn new(bytes: Vec<u8>) -> Hyperloglog {
        Hyperloglog { bytes, count: AtomicI64::new(UNKNOWN) }
    }

    /// Whether a string begins like one and is long enough to keep its count beside it. It need not
    /// be sound.
    #[inline]
    pub fn is_one(string: &[u8]) -> bool {
        COUNTED_BYTES_MIN <= string.len() && string.starts_with(MAGIC)
    }

    /// The string.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Heap bytes it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Its count, if anybody has counted since it was changed.
    #[inline]
    pub fn count(&self) -> Option<i64> {
        Some(self.count.load(Relaxed)).filter(|it| *it != UNKNOWN)
    }

    /// This is its count.
    pub fn keep_count(&self, count: i64) {
        self.count.store(count, Relaxed);
    }

    /// The string, to change. Its count is forgotten.
    pub fn edit(&mut self) -> &mut Vec<u8> {
        *self.count.get_mut() = UNKNOWN;
        &mut self.bytes
    }
}

impl Clone for Hyperloglog {
    /// A copy that is about to be changed: it takes no count along.
    fn clone(&self) -> Hyperloglog {
        Hyperloglog::new(self.bytes.clone())
    }
}
