//! A string key with its value in one immutable allocation, shared by all hosted members.

use super::usage::Usage;
use crate::base::block::block_bytes;
use crate::base::number::parse_i64;
use crate::base::time::WallMs;
use triomphe::ThinArc;

/// Longest value kept in one allocation with its key; longer ones are shared by reference count of
/// their own, so that they are copied once.
pub const TEXT_VALUE_BYTES_MAX: usize = 4 << 10;
const HAS_DEADLINE: u32 = 1 << 31;
const IS_RAW: u32 = 1 << 30;
const IS_EMBEDDED: u32 = 1 << 29;
const LEN_MASK: u32 = IS_EMBEDDED - 1;

/// Longest key of a text; the word that holds its length has flags above.
pub const TEXT_KEY_BYTES_MAX: usize = LEN_MASK as usize;

/// Longest string that Redis keeps in one allocation with its object.
const EMBEDDED_BYTES_MAX: usize = 44;

/// What OBJECT ENCODING tells of a string besides its bytes: Redis remembers how it came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Stored whole, as SET does: `int` if it is one.
    Whole,
    /// Written out by the server, as INCRBYFLOAT does: never `int`.
    Embedded,
    /// Changed within, as APPEND does: always `raw`.
    Raw,
}

impl Form {
    /// Redis' name for a string of this form.
    pub fn encoding(self, value: &[u8]) -> &'static str {
        match self {
            Form::Raw => "raw",
            Form::Whole if parse_i64(value).is_some() => "int",
            _ if value.len() <= EMBEDDED_BYTES_MAX => "embstr",
            _ => "raw",
        }
    }

    #[inline]
    fn flag(self) -> u32 {
        match self {
            Form::Whole => 0,
            Form::Embedded => IS_EMBEDDED,
            Form::Raw => IS_RAW,
        }
    }
}

/// Length of the key and flags in one word, and what is known of its uses.
struct Head {
    key_len_and_flags: u32,
    usage: Usage,
}

/// `[deadline: 8 bytes, if any][key][value]` behind a head, thin and reference-counted. Immutable
/// but for what is known of its uses, which all members share: a read at a replica keeps a key warm
/// at the master.
#[derive(Clone)]
pub struct Text(ThinArc<Head, u8>);

impl Text {
    /// Key and value in one allocation. `scratch` is cleared and used to bring the parts together.
    /// The key must not be longer than [`TEXT_KEY_BYTES_MAX`].
    #[inline]
    pub fn new(
        key: &[u8],
        value: &[u8],
        deadline: Option<WallMs>,
        form: Form,
        scratch: &mut Vec<u8>,
    ) -> Text {
        debug_assert!(key.len() <= TEXT_KEY_BYTES_MAX);
        let mut key_len_and_flags = key.len() as u32 | form.flag();
        scratch.clear();
        if let Some(WallMs(ms)) = deadline {
            key_len_and_flags |= HAS_DEADLINE;
            scratch.extend_from_slice(&ms.to_le_bytes());
        }
        scratch.extend_from_slice(key);
        scratch.extend_from_slice(value);
        let head = Head { key_len_and_flags, usage: Usage::unknown() };
        Text(ThinArc::from_header_and_slice(head, scratch))
    }

    /// The same key and value with another deadline.
    pub fn with_deadline(&self, deadline: Option<WallMs>, scratch: &mut Vec<u8>) -> Text {
        let moved = Text::new(self.key(), self.value(), deadline, self.form(), scratch);
        moved.usage().set_like(self.usage());
        moved
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
        if self.0.header.header.key_len_and_flags & HAS_DEADLINE == 0 {
            return None;
        }
        let ms = self.0.slice.first_chunk::<8>().expect("a flagged text begins with its deadline");
        Some(WallMs(u64::from_le_bytes(*ms)))
    }

    /// How the value came to be.
    pub fn form(&self) -> Form {
        match self.0.header.header.key_len_and_flags & (IS_RAW | IS_EMBEDDED) {
            0 => Form::Whole,
            IS_EMBEDDED => Form::Embedded,
            _ => Form::Raw,
        }
    }

    /// What is known of its uses.
    #[inline]
    pub fn usage(&self) -> &Usage {
        &self.0.header.header.usage
    }

    /// Where its allocation is.
    pub fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// Bytes of its allocation.
    pub fn bytes(&self) -> usize {
        block_bytes(3 * size_of::<usize>() + self.0.slice.len())
    }

    #[inline]
    fn key_span(&self) -> (usize, usize) {
        let word = self.0.header.header.key_len_and_flags;
        let from = if word & HAS_DEADLINE == 0 { 0 } else { size_of::<u64>() };
        (from, from + (word & LEN_MASK) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_come_back_as_they_went_in() {
        let scratch = &mut Vec::new();
        for form in [Form::Whole, Form::Embedded, Form::Raw] {
            for deadline in [None, Some(WallMs(7))] {
                for (key, value) in [("", ""), ("k", ""), ("", "v"), ("key", "value")] {
                    let (key, value) = (key.as_bytes(), value.as_bytes());
                    let text = Text::new(key, value, deadline, form, scratch);
                    assert_eq!((text.key(), text.value()), (key, value));
                    assert_eq!((text.deadline(), text.form()), (deadline, form));
                    let moved = text.with_deadline(None, scratch);
                    assert_eq!((moved.value(), moved.deadline()), (value, None));
                    assert_eq!(moved.form(), form);
                }
            }
        }
    }

    #[test]
    fn a_string_stored_whole_is_named_by_its_bytes() {
        let named = |value: &str| Form::Whole.encoding(value.as_bytes());
        assert_eq!([named("-12"), named("012"), named("")], ["int", "embstr", "embstr"]);
        assert_eq!([named(&"x".repeat(44)), named(&"x".repeat(45))], ["embstr", "raw"]);
        assert_eq!(Form::Embedded.encoding(b"12"), "embstr");
        assert_eq!(Form::Raw.encoding(b"12"), "raw");
    }
}
