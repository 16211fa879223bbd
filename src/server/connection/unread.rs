//! What a connection has sent and nobody has executed yet.
//!
//! Pieces stay as they came, so that a client that sends a hundred megabytes before it reads costs
//! just that: nothing is moved when more comes, or when what stands in front has been served. Only
//! a request that lies across two pieces is put together.

use super::scratch::WorkerScratch;
use crate::base::limits::{ADOPTED_BYTES_MIN, READ_CHUNK_BYTES};
use bytes::Bytes;
use std::collections::VecDeque;

/// Largest piece that input is gathered in.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Most that is read at a time into an unfinished request.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// Bytes that wait to be served, oldest first.
#[derive(Default)]
pub struct Unread {
    /// The oldest piece.
    front: Vec<u8>,
    /// How much of it has been served.
    served: usize,
    /// The others.
    rest: VecDeque<Vec<u8>>,
    /// Bytes of the others.
    rest_bytes: usize,
    /// All that is here is a request that has not ended.
    is_unfinished: bool,
}

impl Unread {
    /// All of them.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.front.drain(..self.served);
        self.rest.iter().for_each(|it| self.front.extend_from_slice(it));
        self.front
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.front.len() - self.served + self.rest_bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there may be a whole request.
    pub fn has_requests(&self) -> bool {
        !self.is_empty() && !self.is_unfinished
    }

    /// More has come.
    pub fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.is_unfinished = false;
        if self.front.is_empty() && self.rest.is_empty() {
            self.front.extend_from_slice(bytes);
            return;
        }
        self.rest_bytes += bytes.len();
        let mut left = bytes;
        while !left.is_empty() {
            let room = self.rest.back().map_or(0, |it| PIECE_BYTES_MAX.saturating_sub(it.len()));
            if room == 0 {
                let capacity =
                    if self.rest.is_empty() { READ_CHUNK_BYTES } else { PIECE_BYTES_MAX };
                self.rest
                    .push_back(Vec::with_capacity(capacity.max(left.len().min(PIECE_BYTES_MAX))));
                continue;
            }
            let (now, later) = left.split_at(room.min(left.len()));
            if let Some(piece) = self.rest.back_mut() {
                piece.extend_from_slice(now);
            }
            left = later;
        }
    }

    /// Keeps what was left of bytes that were served without having been here.
    pub fn keep_unfinished(&mut self, bytes: &[u8]) {
        self.append(bytes);
        self.is_unfinished = true;
    }

    /// Takes the oldest piece out, to be served from the place named.
    pub fn take_front(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.front), std::mem::take(&mut self.served))
    }

    /// Puts it back, served up to `served`. When nothing in it was whole, `is_unfinished`, the next
    /// piece joins it. Answers whether there is more to look at.
    pub fn put_back(&mut self, front: Vec<u8>, served: usize, is_unfinished: bool) -> bool {
        self.front = front;
        self.served = served;
        if self.served == self.front.len() {
            self.served = 0;
            self.front = self.rest.pop_front().unwrap_or_default();
            self.rest_bytes -= self.front.len();
            self.is_unfinished = false;
            return !self.front.is_empty();
        }
        self.is_unfinished = is_unfinished;
        if !is_unfinished {
            return true;
        }
        // An unfinished request begins its piece, so that it can grow in place.
        self.front.drain(..self.served);
        self.served = 0;
        let Some(next) = self.rest.pop_front() else { return false };
        self.rest_bytes -= next.len();
        self.front.extend_from_slice(&next);
        self.is_unfinished = false;
        true
    }

    /// An unfinished request with room behind it, when that is all there is: what is read is added
    /// to it, and then [`Unread::commit`]ted. The room grows with what has arrived.
    pub fn room(&mut self, most: usize) -> Option<&mut Vec<u8>> {
        if !self.is_unfinished || !self.rest.is_empty() || most <= self.front.len() {
            return None;
        }
        let before = self.front.len();
        let room = before.clamp(READ_CHUNK_BYTES, ROOM_BYTES_MAX).min(most - before);
        // A very long one is a map of the system, which grows without being copied.
        self.front.reserve_exact(room);
        Some(&mut self.front)
    }

    /// `count` bytes were added to the room.
    pub fn commit(&mut self, count: usize) {
        self.is_unfinished = count == 0;
    }
}

/// The oldest piece while it is served: a long one is lent to the requests in it, which may keep
/// their part of its memory.
pub enum Lent {
    /// Nobody keeps any of it.
    Short(Vec<u8>),
    /// Some may be kept.
    Long(Bytes),
}

impl Lent {
    /// Lends `piece`, if it is long and `may_be_whole`.
    pub fn new(mut piece: Vec<u8>, may_be_whole: bool, scratch: &WorkerScratch) -> Lent {
        if piece.len() < ADOPTED_BYTES_MIN || !may_be_whole {
            return Lent::Short(piece);
        }
        piece.shrink_to_fit();
        let piece = Bytes::from(piece);
        scratch.env.input.replace(Some(piece.clone()));
        Lent::Long(piece)
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Lent::Short(bytes) => bytes,
            Lent::Long(bytes) => bytes,
        }
    }

    /// Takes it back, served up to `served`: the piece, and up to where it is served. What is not
    /// needed any more is for the shell to free.
    pub fn take_back(self, served: usize, scratch: &mut WorkerScratch) -> (Vec<u8>, usize) {
        let bytes = match self {
            Lent::Short(bytes) => return (bytes, served),
            Lent::Long(bytes) => bytes,
        };
        scratch.env.input.replace(None);
        if bytes.is_unique() && served < bytes.len() {
            return (Vec::from(bytes), served);
        }
        let rest = bytes[served..].to_vec();
        scratch.spent.push(Box::new(bytes));
        (rest, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_appended_comes_out_in_order_whatever_is_served_at_a_time() {
        proptest!(|(pieces in prop::collection::vec(0usize..70_000, 1..12),
                    line in 1usize..90_000)| {
            let total: usize = pieces.iter().sum();
            let all: Vec<u8> = (0..total).map(|it| (it % 251) as u8).collect();
            let (mut unread, mut at, mut out) = (Unread::default(), 0, Vec::new());
            for piece in pieces {
                unread.append(&all[at..at + piece]);
                at += piece;
                // "Requests" of `line` bytes each.
                while unread.has_requests() {
                    let (front, from) = unread.take_front();
                    let whole = (front.len() - from) / line * line;
                    out.extend_from_slice(&front[from..from + whole]);
                    let is_unfinished = from + whole != front.len();
                    unread.put_back(front, from + whole, is_unfinished);
                }
                prop_assert_eq!(out.len() + unread.len(), at);
            }
            prop_assert_eq!(&out[..], &all[..total / line * line]);
        });
    }

    #[test]
    fn an_unfinished_request_grows_in_place() {
        let mut unread = Unread::default();
        unread.keep_unfinished(b"ab");
        assert!(!unread.has_requests() && unread.room(2).is_none());
        let room = unread.room(usize::MAX).expect("it is unfinished");
        assert!(4 <= room.capacity());
        room.extend_from_slice(b"cd");
        unread.commit(2);
        assert!(unread.has_requests() && unread.len() == 4);
        assert_eq!(unread.take_front(), (b"abcd".to_vec(), 0));
    }
}
