//! What a worker thread needs while it serves a batch, shared by all its connections: an idle
//! connection keeps none of it.

use crate::base::limits::{READ_CHUNK_BYTES, REPLY_BYTES_KEPT};
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::CallEnv;
use crate::engine::Effects;
use crate::metrics::batch::Batch;
use crate::runtime::clock;
use std::cell::RefCell;

/// A worker's scratch.
pub struct WorkerScratch {
    /// Where sockets are read into.
    pub input: Box<[u8]>,
    /// Effects of the write at hand.
    pub effects: Effects,
    /// What was seen since the last flush.
    pub metrics: Batch,
    /// Time and random numbers of the batch.
    pub env: CallEnv,
    /// Random numbers that choose members; those of requests are in `env`.
    pub random: Random,
    /// An empty reply buffer with room.
    pub output: Vec<u8>,
}

impl WorkerScratch {
    fn new() -> WorkerScratch {
        WorkerScratch {
            input: vec![0; READ_CHUNK_BYTES].into(),
            effects: Effects::default(),
            metrics: Batch::default(),
            env: CallEnv::new(WallMs(0), clock::entropy()),
            random: Random::new(clock::entropy()),
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
    static SCRATCH: RefCell<WorkerScratch> = RefCell::new(WorkerScratch::new());
}

/// Works at the calling thread's scratch.
pub fn with_scratch<R>(work: impl FnOnce(&mut WorkerScratch) -> R) -> R {
    SCRATCH.with_borrow_mut(work)
}
