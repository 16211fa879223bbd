//! The stream's bytes in shared blocks: encoded once, read by every feed, kept as the backlog.

use crate::base::limits::LOG_BLOCK_BYTES;
use crate::base::position::Offset;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes of the stream from [`Blocks::start`] to [`Blocks::end`].
pub struct Blocks {
    sealed: VecDeque<(Offset, Bytes)>,
    tail: BytesMut,
    tail_start: Offset,
}

impl Blocks {
    /// No bytes yet; the first one will stand at `at`.
    pub fn new(at: Offset) -> Blocks {
        Blocks { sealed: VecDeque::new(), tail: BytesMut::new(), tail_start: at }
    }

    /// The first byte that is still here.
    pub fn start(&self) -> Offset {
        self.sealed.front().map_or(self.tail_start, |(at, _)| *at)
    }

    /// One past the last byte.
    pub fn end(&self) -> Offset {
        self.tail_start.after(self.tail.len())
    }

    /// Appends bytes that stay together in one block. Answers whether a block was sealed, which is
    /// the time to look after bounds.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.tail.capacity() - self.tail.len();
        if !fits {
            self.seal();
            self.tail = BytesMut::with_capacity(LOG_BLOCK_BYTES.max(bytes.len()));
        }
        self.tail.extend_from_slice(bytes);
        !fits
    }

    /// Bytes `from..to`, which were appended together: shared, not copied.
    pub fn read(&mut self, from: Offset, to: Offset) -> Bytes {
        if self.tail_start < to {
            self.seal();
        }
        let index = self.sealed.partition_point(|(at, _)| *at <= from);
        let (at, block) = &self.sealed[index.checked_sub(1).expect("bytes that were kept")];
        let start = from.since(*at) as usize;
        block.slice(start..start + to.since(from) as usize)
    }

    /// A copy of everything from `from` on, which must be kept.
    pub fn copy_from(&mut self, from: Offset) -> Vec<u8> {
        self.seal();
        let mut copy = Vec::with_capacity(self.end().since(from) as usize);
        for (at, block) in &self.sealed {
            let skip = from.since(*at).min(block.len() as u64) as usize;
            copy.extend_from_slice(&block[skip..]);
        }
        copy
    }

    /// Drops blocks that end at or before `keep_from`.
    pub fn trim(&mut self, keep_from: Offset) {
        while let Some((at, block)) = self.sealed.front() {
            if keep_from < at.after(block.len()) {
                return;
            }
            self.sealed.pop_front();
        }
    }

    /// Bytes kept.
    pub fn len(&self) -> u64 {
        self.end().since(self.start())
    }

    /// What has been written so far becomes readable by others; the rest of its block stays
    /// writable.
    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let bytes = self.tail.split().freeze();
        let at = self.tail_start;
        self.tail_start = at.after(bytes.len());
        self.sealed.push_back((at, bytes));
    }

    /// Everything written so far, block by block.
    #[cfg(test)]
    pub fn sealed_for_test(&mut self) -> Vec<(Offset, Bytes)> {
        self.seal();
        self.sealed.iter().cloned().collect()
    }
}
