//! The last bytes of the stream that a file has shown, for replicas that lack them.

use crate::base::position::{Offset, Position};

/// Bytes that end at a position.
#[derive(Debug)]
pub struct StreamTail {
    bytes: Vec<u8>,
    bytes_max: usize,
    end: Option<Position>,
}

impl StreamTail {
    /// No bytes; it will keep so many at least, if there are as many.
    pub fn new(bytes_max: usize) -> StreamTail {
        StreamTail { bytes: Vec::new(), bytes_max, end: None }
    }

    /// Where it ends; `None` when nobody has said.
    pub fn end(&self) -> Option<Position> {
        self.end
    }

    /// What comes now stands at this position. What was before is kept if it ends there.
    pub fn stands_at(&mut self, at: Position) {
        let goes_on = self.end.is_some_and(|it| it.offset == at.offset);
        if !goes_on {
            self.bytes.clear();
        }
        self.end = Some(at);
    }

    /// The next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(end) = &mut self.end else { return };
        end.offset = end.offset.after(bytes.len());
        let kept = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        if kept.len() < bytes.len() {
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(kept);
        if 2 * self.bytes_max < self.bytes.len() {
            self.bytes.drain(..self.bytes.len() - self.bytes_max);
        }
    }

    /// Where it begins, and what there is.
    pub fn into_bytes(self) -> (Offset, Vec<u8>) {
        let end = self.end.map_or(Offset::ZERO, |it| it.offset);
        (Offset::new(end.bytes() - self.bytes.len() as u64), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::ReplId;

    fn at(id: u8, offset: u64) -> Position {
        Position { replid: ReplId::new([id; 20]), offset: Offset::new(offset) }
    }

    #[test]
    fn it_keeps_the_last_bytes_for_as_long_as_they_stand_together() {
        let mut tail = StreamTail::new(4);
        tail.push(b"lost");
        assert_eq!(tail.end(), None);
        tail.stands_at(at(1, 100));
        for byte in b"abcdefghijk" {
            tail.push(&[*byte]);
        }
        tail.stands_at(at(2, 111));
        tail.push(b"l");
        assert_eq!(tail.end(), Some(at(2, 112)));
        let (start, bytes) = tail.into_bytes();
        assert!(bytes.ends_with(b"ijkl") && start.after(bytes.len()) == Offset::new(112));
        let mut tail = StreamTail::new(4);
        tail.stands_at(at(1, 5));
        tail.push(b"abcdefgh");
        tail.stands_at(at(1, 99));
        assert_eq!(tail.into_bytes(), (Offset::new(99), vec![]));
    }
}
