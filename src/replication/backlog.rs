//! The backlog: the stream's last bytes, encoded once, read by any number of followers.

use crate::base::limits::{BACKLOG_PIECES_MAX, LOG_BLOCK_BYTES};
use crate::base::position::Offset;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes of the stream from [`Backlog::start`] to [`Backlog::end`].
///
/// Bytes are appended to one block after the other. What has been appended can be handed out while
/// the rest of its block is written on: the block is split there, and both parts go on sharing its
/// memory, so that reading neither copies nor costs the next append an allocation.
pub struct Backlog {
    /// What may be handed out, in order and without gaps.
    pieces: VecDeque<Piece>,
    /// What has been appended since, and the room that is left in its block.
    tail: BytesMut,
    tail_start: Offset,
    /// How many of the last pieces are of the tail's block.
    pieces_of_block: usize,
}

/// Bytes of one block that may be handed out.
struct Piece {
    start: Offset,
    bytes: Bytes,
}

impl Piece {
    fn end(&self) -> Offset {
        self.start.after(self.bytes.len())
    }
}

impl Backlog {
    /// No bytes yet; the first one will stand at `start`.
    pub fn new(start: Offset) -> Backlog {
        Backlog {
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            tail_start: start,
            pieces_of_block: 0,
        }
    }

    /// The first byte that is still here.
    pub fn start(&self) -> Offset {
        self.pieces.front().map_or(self.tail_start, |it| it.start)
    }

    /// One past the last byte.
    pub fn end(&self) -> Offset {
        self.tail_start.after(self.tail.len())
    }

    /// Bytes kept.
    pub fn len(&self) -> u64 {
        self.end().since(self.start())
    }

    /// Appends bytes that stay together in one piece. Answers whether they began a block, which is
    /// the time to look after bounds.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.tail.capacity() - self.tail.len();
        if !fits {
            self.begin_block(LOG_BLOCK_BYTES.max(bytes.len()));
        }
        self.tail.extend_from_slice(bytes);
        !fits
    }

    /// As [`Backlog::append`], for bytes that stay in the memory where they are. Always the time to
    /// look after bounds.
    #[cold]
    pub fn append_owned(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.begin_block(0);
        let start = self.tail_start;
        self.tail_start = start.after(bytes.len());
        self.pieces.push_back(Piece { start, bytes });
    }

    /// Bytes `from..to`, which were appended together and are kept.
    pub fn read(&mut self, from: Offset, to: Offset) -> Bytes {
        if self.tail_start < to {
            self.commit();
        }
        let piece = &self.pieces[self.piece_at(from)];
        let start = from.since(piece.start) as usize;
        piece.bytes.slice(start..start + to.since(from) as usize)
    }

    /// What stands together from `from` on, at most `most` bytes; nothing at the end. `from` must
    /// be kept.
    pub fn chunk(&mut self, from: Offset, most: usize) -> Bytes {
        assert!(self.start() <= from && from <= self.end(), "{from} is not in the backlog");
        if self.tail_start <= from {
            self.commit();
        }
        if from == self.end() {
            return Bytes::new();
        }
        let piece = &self.pieces[self.piece_at(from)];
        let start = from.since(piece.start) as usize;
        let end = piece.bytes.len().min(start.saturating_add(most));
        piece.bytes.slice(start..end)
    }

    /// Bytes `from..to`, chunk by chunk. They must be kept.
    pub fn chunks(&mut self, from: Offset, to: Offset) -> Vec<Bytes> {
        let (mut at, mut chunks) = (from, Vec::new());
        while at < to {
            let chunk = self.chunk(at, to.since(at) as usize);
            at = at.after(chunk.len());
            chunks.push(chunk);
        }
        chunks
    }

    /// Drops the oldest bytes until about `bytes_min` are left, but none from `keep_from` on. One
    /// piece that is much longer than that is dropped whole: a single large write must not stay for
    /// as long as it takes to write as much again.
    pub fn trim(&mut self, bytes_min: usize, keep_from: Offset) {
        let large = bytes_min + LOG_BLOCK_BYTES;
        if large < self.tail.len() {
            self.commit();
        }
        while let Some(piece) = self.pieces.front() {
            let len = piece.bytes.len();
            let is_in_excess = bytes_min as u64 + len as u64 <= self.len();
            if keep_from < piece.end() || !(is_in_excess || large < len) {
                return;
            }
            self.pieces.pop_front();
        }
    }

    /// Drops what is kept before `keep_from`, as far as it can be told apart.
    pub fn release(&mut self, keep_from: Offset) {
        self.commit();
        self.trim(0, keep_from);
    }

    /// Whether so much more than `bytes_min` is kept that [`Backlog::trim`] has been put off by
    /// somebody who needed it.
    pub fn is_due_for_trim(&self, bytes_min: usize) -> bool {
        bytes_min as u64 + 2 * (LOG_BLOCK_BYTES as u64) < self.len()
    }

    /// The piece that `from` is in, which must be one.
    fn piece_at(&self, from: Offset) -> usize {
        let last = self.pieces.len().checked_sub(1).expect("bytes that were kept");
        if self.pieces[last].start <= from {
            return last;
        }
        let after = self.pieces.partition_point(|it| it.start <= from);
        after.checked_sub(1).expect("bytes that were kept")
    }

    #[cold]
    fn begin_block(&mut self, room: usize) {
        self.commit();
        self.merge();
        self.tail = BytesMut::with_capacity(room);
        self.pieces_of_block = 0;
    }

    /// What has been appended so far may be handed out.
    fn commit(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let bytes = self.tail.split().freeze();
        let start = self.tail_start;
        self.tail_start = start.after(bytes.len());
        self.pieces.push_back(Piece { start, bytes });
        self.pieces_of_block += 1;
        if self.tail.capacity() == 0 {
            // Empty as it is, it would keep its block's memory.
            self.tail = BytesMut::new();
        }
    }

    /// A full block that was read in very many pieces becomes one again, so that what is kept
    /// beside the bytes stays small. This copies each byte once at most, whoever reads.
    fn merge(&mut self) {
        let count = self.pieces_of_block.min(self.pieces.len());
        if count <= BACKLOG_PIECES_MAX {
            return;
        }
        let first = self.pieces.len() - count;
        let start = self.pieces[first].start;
        let mut block = Vec::with_capacity(self.tail_start.since(start) as usize);
        self.pieces.drain(first..).for_each(|it| block.extend_from_slice(&it.bytes));
        self.pieces.push_back(Piece { start, bytes: block.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseResult;

    #[derive(Clone, Debug)]
    enum Deed {
        Append(usize),
        AppendOwned(usize),
        /// The append at this place, of those that are kept, in per mille.
        ReadAppended(usize),
        /// A range, in per mille of what is kept.
        ReadRange(usize, usize),
        Chunk(usize, usize),
        Trim(usize, usize),
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let size = prop_oneof![8 => 0..300usize, 2 => 0..70_000usize, 1 => 0..300_000usize];
        let mille = || 0..1001usize;
        let deed = prop_oneof![
            6 => size.clone().prop_map(Deed::Append),
            1 => size.prop_map(Deed::AppendOwned),
            4 => (0..1000usize).prop_map(Deed::ReadAppended),
            2 => (mille(), mille()).prop_map(|(a, b)| Deed::ReadRange(a.min(b), b.max(a))),
            2 => (mille(), 1..100_000usize).prop_map(|(a, most)| Deed::Chunk(a, most)),
            1 => (0..200_000usize, mille()).prop_map(|(a, b)| Deed::Trim(a, b)),
        ];
        prop::collection::vec(deed, 0..200)
    }

    /// A backlog, and all that was ever appended to it.
    struct Pair {
        backlog: Backlog,
        start: Offset,
        all: Vec<u8>,
        /// Where each append stands.
        appended: Vec<(usize, usize)>,
    }

    impl Pair {
        fn offset(&self, index: usize) -> Offset {
            self.start.after(index)
        }

        fn first_kept(&self) -> usize {
            self.backlog.start().since(self.start) as usize
        }

        fn at_mille(&self, mille: usize) -> usize {
            let first = self.first_kept();
            first + (self.all.len() - first) * mille / 1000
        }

        fn do_one(&mut self, deed: Deed) -> TestCaseResult {
            match deed {
                Deed::Append(len) => {
                    let bytes = self.next(len);
                    self.backlog.append(&bytes);
                }
                Deed::AppendOwned(len) => {
                    let bytes = self.next(len);
                    self.backlog.append_owned(bytes.into());
                }
                Deed::ReadAppended(mille) => {
                    let first = self.first_kept();
                    let kept = self.appended.iter().filter(|it| first <= it.0 && it.0 < it.1);
                    let kept: Vec<_> = kept.copied().collect();
                    if !kept.is_empty() {
                        let (from, to) = kept[kept.len() * mille / 1000];
                        let read = self.backlog.read(self.offset(from), self.offset(to));
                        prop_assert!(read == self.all[from..to]);
                    }
                }
                Deed::ReadRange(from, to) => {
                    let (from, to) = (self.at_mille(from), self.at_mille(to));
                    let chunks = self.backlog.chunks(self.offset(from), self.offset(to));
                    prop_assert!(chunks.iter().all(|it| !it.is_empty()));
                    prop_assert!(chunks.concat() == self.all[from..to]);
                }
                Deed::Chunk(from, most) => {
                    let from = self.at_mille(from);
                    let chunk = self.backlog.chunk(self.offset(from), most);
                    prop_assert_eq!(chunk.is_empty(), from == self.all.len());
                    prop_assert!(chunk.len() <= most && self.all[from..].starts_with(&chunk));
                }
                Deed::Trim(bytes_min, keep_from) => self.trim(bytes_min, keep_from)?,
            }
            prop_assert_eq!(self.backlog.end(), self.offset(self.all.len()));
            prop_assert_eq!(self.backlog.len() as usize, self.all.len() - self.first_kept());
            Ok(())
        }

        /// The bytes that are appended next.
        fn next(&mut self, len: usize) -> Vec<u8> {
            let from = self.all.len();
            self.all.extend((0..len).map(|it| (from + 7 * it) as u8));
            self.appended.push((from, self.all.len()));
            self.all[from..].to_vec()
        }

        fn trim(&mut self, bytes_min: usize, keep_from: usize) -> TestCaseResult {
            let (before, len) = (self.first_kept(), self.backlog.len() as usize);
            let keep_from = self.at_mille(keep_from);
            self.backlog.trim(bytes_min, self.offset(keep_from));
            let (first, left) = (self.first_kept(), self.backlog.len() as usize);
            prop_assert!(before <= first && first <= keep_from.max(before), "kept what is needed");
            let longest = self.appended.iter().map(|it| it.1 - it.0).max().unwrap_or(0);
            let is_large_gone = bytes_min + LOG_BLOCK_BYTES < longest;
            prop_assert!(bytes_min.min(len) <= left || is_large_gone, "{} of {}", left, len);
            if keep_from == self.all.len() {
                let most = bytes_min + bytes_min.max(LOG_BLOCK_BYTES) + LOG_BLOCK_BYTES;
                prop_assert!(left <= most, "{} kept of {}", left, bytes_min);
            }
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn it_reads_like_a_plain_buffer_wherever_it_starts(
            start in prop_oneof![Just(0), 0..u64::MAX / 2],
            deeds in deeds(),
        ) {
            let start = Offset::new(start);
            let (backlog, all, appended) = (Backlog::new(start), vec![], vec![]);
            let mut pair = Pair { backlog, start, all, appended };
            for deed in deeds {
                pair.do_one(deed)?;
            }
        }
    }

    #[test]
    fn reading_leaves_the_rest_of_the_block_writable() {
        let mut backlog = Backlog::new(Offset::ZERO);
        backlog.append(&[1; 100]);
        let room = backlog.tail.capacity() - backlog.tail.len();
        let first = backlog.chunk(Offset::ZERO, usize::MAX);
        assert_eq!(backlog.tail.capacity() - backlog.tail.len(), room, "no room was given up");
        assert!(!backlog.append(&[2; 100]), "no block was begun");
        let second = backlog.chunk(Offset::new(100), usize::MAX);
        assert_eq!(first.as_ptr().wrapping_add(100), second.as_ptr(), "both are in one block");
        assert_eq!(first.as_ptr(), backlog.chunk(Offset::ZERO, 5).as_ptr(), "nothing is copied");
    }

    #[test]
    fn a_block_that_was_read_byte_by_byte_is_kept_in_one_piece() {
        let mut backlog = Backlog::new(Offset::new(5));
        let count = 3 * LOG_BLOCK_BYTES;
        for at in 0..count {
            backlog.append(&[at as u8]);
            let read = backlog.read(Offset::new(5).after(at), Offset::new(5).after(at + 1));
            assert_eq!(*read, [at as u8]);
        }
        assert!(backlog.pieces.len() <= 2 + LOG_BLOCK_BYTES);
        backlog.append(b"x");
        assert_eq!(backlog.pieces.len(), 3);
        let all = backlog.chunks(Offset::new(5), backlog.end()).concat();
        assert!(all[..count].iter().enumerate().all(|(at, it)| *it == at as u8));
    }

    #[test]
    fn one_write_longer_than_the_backlog_goes_as_soon_as_nobody_needs_it() {
        let mut backlog = Backlog::new(Offset::ZERO);
        backlog.append(&[1; 100]);
        backlog.append(&[2; 1 << 20]);
        backlog.trim(LOG_BLOCK_BYTES, Offset::new(100));
        assert_eq!((backlog.start(), backlog.len()), (Offset::new(100), 1 << 20), "it is needed");
        let end = backlog.end();
        backlog.trim(LOG_BLOCK_BYTES, end);
        assert_eq!((backlog.start(), backlog.len(), backlog.tail.capacity()), (end, 0, 0));
    }

    #[test]
    fn what_was_put_off_is_due_beyond_two_blocks_more_than_should_be_kept() {
        let mut backlog = Backlog::new(Offset::new(7));
        let least = 1000;
        backlog.append(&vec![1; least + 2 * LOG_BLOCK_BYTES]);
        assert!(!backlog.is_due_for_trim(least));
        backlog.append(b"x");
        assert!(backlog.is_due_for_trim(least));
        assert!(!backlog.is_due_for_trim(least + 1));
    }
}
