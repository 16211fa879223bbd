//! What a worker thread needs while it serves a batch, shared by all its connections: an idle
//! connection keeps none of it.

use crate::base::dice::Dice;
use crate::base::limits::{READ_CHUNK_BYTES, REPLY_BYTES_KEPT};
use crate::base::time::WallMs;
use crate::command::World;
use crate::engine::Effects;
use crate::metrics::batch::Batch;
use crate::runtime::clock;
use std::cell::RefCell;

/// A worker's desk.
pub struct Desk {
    /// Where sockets are read into.
    pub input: Box<[u8]>,
    /// Effects of the write at hand.
    pub effects: Effects,
    /// What was seen since the last flush.
    pub metrics: Batch,
    /// Time and dice of the batch.
    pub world: World,
    /// Dice that choose members; those of requests are the world's.
    pub dice: Dice,
    /// An empty reply buffer with room.
    pub output: Vec<u8>,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            input: vec![0; READ_CHUNK_BYTES].into(),
            effects: Effects::default(),
            metrics: Batch::default(),
            world: World::new(WallMs(0), clock::entropy()),
            dice: Dice::new(clock::entropy()),
            output: Vec::new(),
        }
    }

    /// Takes back an empty buffer.
    pub fn return_output(&mut self, mut buffer: Vec<u8>) {
        if self.output.capacity() < buffer.capacity() && buffer.capacity() <= REPLY_BYTES_KEPT {
            buffer.clear();
            self.output = buffer;
        }
    }
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(Desk::new());
}

/// Works at the calling thread's desk.
pub fn at_desk<R>(work: impl FnOnce(&mut Desk) -> R) -> R {
    DESK.with_borrow_mut(work)
}
