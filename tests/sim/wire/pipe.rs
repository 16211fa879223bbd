//! One direction of a link.

use std::collections::VecDeque;

/// Bytes on their way. They come in order, and what has been cut off never comes.
#[derive(Default)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    /// Nothing comes behind them any more.
    pub is_ended: bool,
}

impl Pipe {
    /// Sends bytes, which go nowhere if the link is cut.
    pub fn send(&mut self, bytes: &[u8]) {
        if !self.is_ended {
            self.bytes.extend(bytes);
        }
    }

    /// Bytes on their way.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// At most so many arrive.
    pub fn deliver(&mut self, most: usize) -> Vec<u8> {
        self.bytes.drain(..most.min(self.bytes.len())).collect()
    }

    /// Of the bytes on their way only so many arrive, and nothing after them.
    pub fn cut(&mut self, keep: usize) {
        self.bytes.truncate(keep);
        self.is_ended = true;
    }

    /// Whether the end has arrived.
    pub fn is_over(&self) -> bool {
        self.is_ended && self.bytes.is_empty()
    }
}
