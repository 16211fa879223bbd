//! A long string that comes in pieces: it is gathered where it will stay.

use super::Broken;
use super::compressed::{decompress_more, instruction_size, may_expand};
use super::extent::{Head, Reach};

/// Room that is made at first; then as much again as has come.
const FIRST_BYTES: usize = 64 << 10;

/// What has come of it.
pub struct LongText {
    text: Vec<u8>,
    /// Bytes that it will have.
    len: usize,
    /// Bytes that are still to come of a compressed one.
    packed_left: Option<usize>,
}

impl LongText {
    /// A string that begins so, if it has at least `least` bytes; with the length of its head.
    pub fn of(head: Head, least: usize) -> Result<Option<(usize, LongText)>, Broken> {
        let (head, packed_left, len) = match head {
            Head::Raw(head, len) => (head, None, len),
            Head::Compressed(head, packed, len) if may_expand(packed, len) => {
                (head, Some(packed), len)
            }
            Head::Compressed(..) => return Err(Broken),
            Head::Int(_) | Head::Wants(_) => return Ok(None),
        };
        let text = LongText { text: Vec::new(), len, packed_left };
        Ok((least <= len).then_some((head, text)))
    }

    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        self.text.len() == self.len && self.packed_left.is_none_or(|it| it == 0)
    }

    /// Whether its bytes come as they are.
    pub fn is_raw(&self) -> bool {
        self.packed_left.is_none()
    }

    /// Takes what belongs to it from the front of these bytes, or tells how many it needs.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Reach, Broken> {
        let Some(left) = self.packed_left else {
            let taken = bytes.len().min(self.len - self.text.len());
            self.make_room(taken);
            self.text.extend_from_slice(&bytes[..taken]);
            return Ok(Reach::Whole(taken));
        };
        let packed = &bytes[..bytes.len().min(left)];
        let next = packed.first().map_or(1, |it| instruction_size(*it));
        if left < next {
            return Err(Broken);
        }
        if packed.len() < next {
            return Ok(Reach::Wants(next));
        }
        let taken = decompress_more(packed, &mut self.text, self.len)?;
        self.packed_left = Some(left - taken);
        if taken == left && self.text.len() != self.len {
            return Err(Broken);
        }
        Ok(Reach::Whole(taken))
    }

    /// The string.
    pub fn into_text(mut self) -> Vec<u8> {
        self.text.shrink_to_fit();
        self.text
    }

    /// Makes room for so many bytes, and never for more than it will have.
    fn make_room(&mut self, more: usize) {
        let needed = self.text.len() + more;
        if self.text.capacity() < needed {
            let room = needed.max(self.text.len() * 2).max(FIRST_BYTES).min(self.len);
            self.text.reserve_exact(room - self.text.len());
        }
    }
}
