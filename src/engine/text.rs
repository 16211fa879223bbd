//! A string key with its value in one immutable allocation, shared by all hosted members.

use crate::base::time::WallMs;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use triomphe::ThinArc;

/// Longest value kept in one allocation with its key; longer ones are shared by reference count of
/// their own, so that they are copied once.
pub const TEXT_VALUE_BYTES_MAX: usize = 4 << 10;
const _: () = assert!((crate::base::limits::KEY_BYTES_MAX as u64) < LEN_MASK as u64);

const HAS_DEADLINE: u32 = 1 << 31;

const LEN_MASK: u32 = HAS_DEADLINE - 1;

/// Length of the key and a flag in one word, and when the key was last used.
struct Head {
    key_len_and_flag: u32,
    touched_s: AtomicU32,
}

/// `[deadline: 8 bytes, if any][key][value]` behind a head, thin and reference-counted. Immutable but
/// for the time of last use, which all members share: a read at a replica keeps a key warm at the master.
#[derive(Clone)]
pub struct Text(ThinArc<Head, u8>);

impl Text {
    /// Key and value in one allocation. `scratch` is cleared and used to bring the parts together.
    pub fn new(key: &[u8], value: &[u8], deadline: Option<WallMs>, scratch: &mut Vec<u8>) -> Text {
        let mut key_len_and_flag = key.len() as u32;
        scratch.clear();
        if let Some(WallMs(ms)) = deadline {
            key_len_and_flag |= HAS_DEADLINE;
            scratch.extend_from_slice(&ms.to_le_bytes());
        }
        scratch.extend_from_slice(key);
        scratch.extend_from_slice(value);
        let head = Head { key_len_and_flag, touched_s: AtomicU32::new(0) };
        Text(ThinArc::from_header_and_slice(head, scratch))
    }

    /// The same key and value with another deadline.
    pub fn with_deadline(&self, deadline: Option<WallMs>, scratch: &mut Vec<u8>) -> Text {
        Text::new(self.key(), self.value(), deadline, scratch)
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let (from, to) = self.key_span();
        &self.0.slice[from..to]
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        &self.0.slice[self.key_span().1..]
    }

    /// When it expires.
    #[inline]
    pub fn deadline(&self) -> Option<WallMs> {
        if self.0.header.header.key_len_and_flag & HAS_DEADLINE == 0 {
            return None;
        }
        let ms = self.0.slice.first_chunk::<8>().expect("a flagged text begins with its deadline");
        Some(WallMs(u64::from_le_bytes(*ms)))
    }

    /// Seconds of the wall clock, truncated to 32 bits, at the last use; 0 when never used.
    pub fn touched_s(&self) -> &AtomicU32 {
        &self.0.header.header.touched_s
    }

    /// Bytes of its allocation, before the allocator rounds up.
    pub fn bytes(&self) -> usize {
        3 * size_of::<usize>() + self.0.slice.len()
    }

    #[inline]
    fn key_span(&self) -> (usize, usize) {
        let word = self.0.header.header.key_len_and_flag;
        let from = if word & HAS_DEADLINE == 0 { 0 } else { size_of::<u64>() };
        (from, from + (word & LEN_MASK) as usize)
    }
}

/// Remembers a use at `now`. Writes only when the second has changed, so that a hot key's cache line
/// stays shared.
#[inline]
pub fn touch(touched_s: &AtomicU32, now: WallMs) {
    let second = (now.0 / 1000) as u32;
    if touched_s.load(Relaxed) != second {
        touched_s.store(second, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_come_back_as_they_went_in() {
        let mut scratch = Vec::new();
        for deadline in [None, Some(WallMs(7))] {
            for (key, value) in [("", ""), ("k", ""), ("", "v"), ("key", "value")] {
                let text = Text::new(key.as_bytes(), value.as_bytes(), deadline, &mut scratch);
                assert_eq!((text.key(), text.value()), (key.as_bytes(), value.as_bytes()));
                assert_eq!(text.deadline(), deadline);
                let moved = text.with_deadline(None, &mut scratch);
                assert_eq!((moved.value(), moved.deadline()), (value.as_bytes(), None));
            }
        }
    }
}
