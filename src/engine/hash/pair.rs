//! A field with its value in a table, and until when it is there.

use crate::base::prefetch::prefetch;
use crate::base::time::WallMs;
use crate::engine::deadlines::is_live;
use crate::engine::packed::Element;
use crate::engine::table::Slot;
use triomphe::{Arc, ThinArc};

/// A field and its value, as they are stored.
pub type Entry<'a> = (Element<'a>, Element<'a>);

/// A field's text and its value's, one behind the other; the header is the length of the field.
type Texts = ThinArc<u32, u8>;

/// A field with its value in a table: sixteen bytes that lead to one shared, immutable allocation
/// `[field][value]`, or to a deadline beside which that is.
#[derive(Clone)]
pub enum Pair {
    /// Nothing.
    Empty,
    /// The length of the field, and both texts.
    Taken {
        /// The field's hash.
        hash: u32,
        /// Thin, so that the slot stays small; shared, so that a copy of the hash costs its table.
        texts: Texts,
    },
    /// The same of a field that expires.
    Timed {
        /// The field's hash.
        hash: u32,
        /// Shared, too.
        timed: Arc<TimedTexts>,
    },
}

/// A deadline and what has it: another deadline costs nothing of the texts, however long they are.
pub struct TimedTexts {
    at: WallMs,
    texts: Texts,
}

const _: () = assert!(size_of::<Pair>() == 16);

/// Texts up to this long together are joined on the stack.
const JOINED_BYTES: usize = 256;

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
        Pair::new(hash, field, value).with_deadline(at)
    }

    /// The same field and value with another deadline, or none.
    pub fn with_deadline(&self, at: Option<WallMs>) -> Pair {
        let (Some(hash), Some(texts)) = (self.hash(), self.texts()) else { return Pair::Empty };
        let texts = texts.clone();
        match at {
            Some(at) => Pair::Timed { hash, timed: Arc::new(TimedTexts { at, texts }) },
            None => Pair::Taken { hash, texts },
        }
    }

    #[inline]
    fn texts(&self) -> Option<&Texts> {
        match self {
            Pair::Taken { texts, .. } => Some(texts),
            Pair::Timed { timed, .. } => Some(&timed.texts),
            Pair::Empty => None,
        }
    }

    #[inline]
    fn split(&self) -> (&[u8], &[u8]) {
        match self.texts() {
            Some(texts) => texts.slice.split_at(texts.header.header as usize),
            None => (&[], &[]),
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
            Pair::Timed { timed, .. } => Some(timed.at),
            Pair::Taken { .. } | Pair::Empty => None,
        }
    }

    /// Whether the field has not expired.
    #[inline]
    pub fn is_live(&self, now: WallMs) -> bool {
        is_live(self.deadline(), now)
    }

    /// Heap bytes it takes.
    pub fn bytes(&self) -> usize {
        // The count of who shares it stands in front of each of the two.
        let timed = match self {
            Pair::Timed { .. } => size_of::<usize>() + size_of::<TimedTexts>(),
            Pair::Taken { .. } | Pair::Empty => 0,
        };
        3 * size_of::<usize>() + self.texts().map_or(0, |it| it.slice.len()) + timed
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
        match self {
            Pair::Taken { texts, .. } => prefetch(&texts.header),
            Pair::Timed { timed, .. } => prefetch(&**timed),
            Pair::Empty => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_deadline_copies_no_text() {
        let pair = Pair::new(7, b"field", &[b'x'; 1000]);
        let at = |it: &Pair| it.texts().map(|it| it.slice.as_ptr());
        let timed = pair.with_deadline(Some(WallMs(5)));
        let later = timed.with_deadline(Some(WallMs(9)));
        let stays = later.with_deadline(None);
        assert!([&timed, &later, &stays].iter().all(|it| at(it) == at(&pair)), "it is shared");
        assert_eq!(
            [&timed, &later, &stays].map(Pair::deadline),
            [Some(WallMs(5)), Some(WallMs(9)), None]
        );
        assert_eq!(
            (later.key(), later.value().len(), later.hash()),
            (&b"field"[..], 1000, Some(7))
        );
        assert!(pair.bytes() < timed.bytes() && timed.bytes() == later.bytes());
        assert!(later.is_live(WallMs(9)) && !later.is_live(WallMs(10)));
        assert!(Pair::Empty.with_deadline(Some(WallMs(1))).key().is_empty());
    }
}
