//! A member of a large set: sixteen bytes in its table.

use crate::base::prefetch::prefetch;
use crate::engine::table::Slot;
use triomphe::ThinArc;

/// Longest text that has room in the slot itself.
const SHORT_BYTES_MAX: usize = 10;

/// A slot with a member. Most members are short: a number, or a name of a few letters, costs no
/// allocation and is compared without following a pointer.
#[derive(Clone)]
pub enum Member {
    /// Nothing.
    Empty,
    /// A short text, in place.
    Short {
        /// Its hash.
        hash: u32,
        /// How many of the bytes are it.
        len: u8,
        /// The text and what is left of the room.
        bytes: [u8; SHORT_BYTES_MAX],
    },
    /// A longer text.
    Long {
        /// Its hash.
        hash: u32,
        /// Thin, so that the slot stays small; shared, so that a copy of the set costs its table.
        text: ThinArc<(), u8>,
    },
}

const _: () = assert!(size_of::<Member>() == 16);

impl Member {
    /// A member with its hash.
    #[inline]
    pub fn new(hash: u32, text: &[u8]) -> Member {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text);
                Member::Short { hash, len: text.len() as u8, bytes }
            }
            None => Member::Long { hash, text: ThinArc::from_header_and_slice((), text) },
        }
    }

    /// Its bytes as a client knows them.
    #[inline]
    pub fn text(&self) -> &[u8] {
        match self {
            Member::Empty => &[],
            Member::Short { len, bytes, .. } => &bytes[..usize::from(*len)],
            Member::Long { text, .. } => &text.slice,
        }
    }

    /// Heap bytes it holds, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Member::Empty | Member::Short { .. } => 0,
            Member::Long { text, .. } => 2 * size_of::<usize>() + text.slice.len(),
        }
    }
}

impl Slot for Member {
    fn empty() -> Member {
        Member::Empty
    }

    #[inline]
    fn hash(&self) -> Option<u32> {
        match self {
            Member::Empty => None,
            Member::Short { hash, .. } | Member::Long { hash, .. } => Some(*hash),
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.text()
    }

    #[inline]
    fn prefetch(&self) {
        if let Member::Long { text, .. } = self {
            prefetch(&text.header);
        }
    }
}
