//! How the bytes of each form follow each other.

use super::{Broken, Reader, form};

/// Something that tells its own length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// So many bytes.
    Fixed(usize),
    /// A length or a count.
    Length,
    /// A string.
    String,
    /// A score as it was spelled until Redis 4.
    Score,
}

/// A value: what it begins with, and what comes as often as it says there.
#[derive(Clone, Copy)]
pub struct Layout {
    /// If there are units, it ends with their count.
    pub head: &'static [Part],
    /// What is counted; nothing in a value that is one string.
    pub unit: &'static [Part],
}

/// The count of units stands behind a time of eight bytes.
const TIMED: &[Part] = &[Part::Fixed(8), Part::Length];
const COUNTED: &[Part] = &[Part::Length];
const ONE: &[Part] = &[Part::String];

impl Layout {
    /// That of a form; `None` of one that is not read.
    pub fn of(form: u8) -> Option<Layout> {
        let (head, unit): (&'static [Part], &'static [Part]) = match form {
            form::STRING
            | form::HASH_ZIPMAP
            | form::LIST_ZIPLIST
            | form::SET_INTSET
            | form::ZSET_ZIPLIST
            | form::HASH_ZIPLIST
            | form::HASH_LISTPACK
            | form::ZSET_LISTPACK
            | form::SET_LISTPACK => (ONE, &[]),
            form::HASH_LISTPACK_TTL => (&[Part::Fixed(8), Part::String], &[]),
            form::LIST | form::SET | form::LIST_ZIPLISTS => (COUNTED, ONE),
            form::HASH => (COUNTED, &[Part::String, Part::String]),
            form::ZSET => (COUNTED, &[Part::String, Part::Score]),
            form::ZSET_BINARY => (COUNTED, &[Part::String, Part::Fixed(8)]),
            form::LIST_LISTPACKS => (COUNTED, &[Part::Length, Part::String]),
            form::HASH_TTL_VALKEY => (COUNTED, &[Part::String, Part::String, Part::Fixed(8)]),
            form::HASH_TTL => (TIMED, &[Part::Length, Part::String, Part::String]),
            _ => return None,
        };
        Some(Layout { head, unit })
    }

    /// Whether it has units.
    pub fn is_counted(self) -> bool {
        !self.unit.is_empty()
    }

    /// How many units a value has whose head is there.
    pub fn count(self, bytes: &[u8]) -> Result<u64, Broken> {
        if !self.is_counted() {
            return Ok(0);
        }
        let mut input = Reader::new(bytes);
        for part in self.head {
            match part {
                Part::Fixed(len) => drop(input.take(*len)?),
                _ => return input.length(),
            }
        }
        Err(Broken)
    }
}
