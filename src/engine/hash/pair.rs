//! A field with its value in a table, and until when it is there.

use crate::base::prefetch::prefetch;
use crate::base::time::WallMs;
use crate::engine::packed::Element;
use crate::engine::table::Slot;
use triomphe::ThinArc;

/// A field and its value, as they are stored.
pub type Entry<'a> = (Element<'a>, Element<'a>);

/// A field with its value in a table: sixteen bytes that lead to one shared, immutable allocation
/// `[field][value]`, or `[field][value][deadline: 8 bytes]`.
#[derive(Clone)]
pub enum Pair {
    /// Nothing.
    Empty,
    /// The length of the field, and both texts.
    Taken {
        /// The field's hash.
        hash: u32,
        /// Thin, so that the slot stays small; shared, so that a copy of the hash costs its table.
        texts: ThinArc<u32, u8>,
    },
    /// The same of a field that expires, with its deadline.
    Timed {
        /// The field's hash.
        hash: u32,
        /// As in [`Pair::Taken`].
        texts: ThinArc<u32, u8>,
    },
}

const _: () = assert!(size_of::<Pair>() == 16);

/// Texts up to this long together are joined on the stack.
const JOINED_BYTES: usize = 256;
const DEADLINE_BYTES: usize = size_of::<u64>();

impl Pair {
    /// A field that stays.
    pub fn new(hash: u32, field: &[u8], value: &[u8]) -> Pair {
        let (middle, end) = (field.len(), field.len() + value.len());
        let share = |it: &[u8]| ThinArc::from_header_and_slice(middle as u32, it);
        let mut joined = [0; JOINED_BYTES];
        let texts = match joined.get_mut(..end) {
            Some(joined) => {
                joined[..middle].copy_from_slice(field);
                joined[middle..].copy_from_slice(value);
                share(joined)
            }
            None => share(&[field, value].concat()),
        };
        Pair::Taken { hash, texts }
    }

    /// A field that is there until `at`, or stays.
    pub fn until(hash: u32, field: &[u8], value: &[u8], at: Option<WallMs>) -> Pair {
        let Some(at) = at else { return Pair::new(hash, field, value) };
        let parts = [field, value, &at.0.to_le_bytes()].concat();
        let texts = ThinArc::from_header_and_slice(field.len() as u32, &parts);
        Pair::Timed { hash, texts }
    }

    /// The same field and value with another deadline, or none.
    pub fn with_deadline(&self, at: Option<WallMs>) -> Pair {
        let (field, value) = self.split();
        self.hash().map_or(Pair::Empty, |hash| Pair::until(hash, field, value, at))
    }

    #[inline]
    fn split(&self) -> (&[u8], &[u8]) {
        match self {
            Pair::Taken { texts, .. } => texts.slice.split_at(texts.header.header as usize),
            Pair::Timed { texts, .. } => {
                let (field, rest) = texts.slice.split_at(texts.header.header as usize);
                (field, &rest[..rest.len() - DEADLINE_BYTES])
            }
            Pair::Empty => (&[], &[]),
        }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.split().1
    }

    /// The field with its value.
    #[inline]
    pub fn entry(&self) -> Entry<'_> {
        let (field, value) = self.split();
        (Element::Text(field), Element::Text(value))
    }

    /// When the field expires, if it does.
    #[inline]
    pub fn deadline(&self) -> Option<WallMs> {
        match self {
            Pair::Timed { texts, .. } => {
                let at = texts.slice.last_chunk::<DEADLINE_BYTES>()?;
                Some(WallMs(u64::from_le_bytes(*at)))
            }
            Pair::Taken { .. } | Pair::Empty => None,
        }
    }

    /// Whether the field has not expired.
    #[inline]
    pub fn is_live(&self, now: WallMs) -> bool {
        self.deadline().is_none_or(|at| now <= at)
    }

    /// Heap bytes it takes.
    pub fn bytes(&self) -> usize {
        let texts = match self {
            Pair::Taken { texts, .. } | Pair::Timed { texts, .. } => texts.slice.len(),
            Pair::Empty => 0,
        };
        3 * size_of::<usize>() + texts
    }
}

impl Slot for Pair {
    fn empty() -> Pair {
        Pair::Empty
    }

    #[inline]
    fn hash(&self) -> Option<u32> {
        match self {
            Pair::Empty => None,
            Pair::Taken { hash, .. } | Pair::Timed { hash, .. } => Some(*hash),
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.split().0
    }

    #[inline]
    fn prefetch(&self) {
        if let Pair::Taken { texts, .. } | Pair::Timed { texts, .. } = self {
            prefetch(&texts.header);
        }
    }
}
