//! What a worker thread needs while it serves a batch, shared by all its connections: an idle
//! connection keeps none of it.

use super::recent::RecentCommand;
use super::script_buffers::ScriptBuffers;
use crate::base::limits::{CATCH_UP_US_MAX, READ_CHUNK_BYTES, REPLY_BYTES_KEPT};
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::CallEnv;
use crate::engine::Effects;
use crate::metrics::batch::Batch;
use crate::node::ApplyBudget;
use crate::state::Interpreters;
use std::any::Any;

/// Something to be freed.
pub type Spent = Box<dyn Any + Send>;

/// A worker's scratch.
pub struct WorkerScratch {
    /// Number of the worker, which says whose shard its counts go to and which replica it prefers.
    pub worker: usize,
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
    /// The command that was looked up last.
    pub recent: RecentCommand,
    /// What a read that catches a replica up may take of the worker's time.
    pub catch_up: ApplyBudget,
    /// Batches since replicas lack something.
    pub unapplied_batches: u32,
    /// This thread is for long work: nobody waits for it.
    pub works_long: bool,
    /// What is large and nobody needs any more: freeing it takes long, and is the shell's to do
    /// elsewhere.
    pub spent: Vec<Spent>,
    /// The interpreters that run scripts at replicas.
    pub interpreters: Interpreters,
    /// What the script at hand fills.
    pub script: ScriptBuffers,
    /// Gives others of this thread a turn, in the middle of one; see
    /// `runtime::worker::let_others_in`.
    pub let_others_in: fn() -> bool,
    /// Whether the peer of the socket with this descriptor has hung up; see
    /// `runtime::stream::has_hung_up`.
    pub has_hung_up: fn(i32) -> bool,
    /// This turn is within another of this thread, which runs a script.
    pub is_within: bool,
    /// An empty reply buffer with room.
    output: Vec<u8>,
}

impl WorkerScratch {
    /// The scratch of this worker. `seed` decides how its random numbers fall.
    pub fn new(worker: usize, seed: u64) -> WorkerScratch {
        WorkerScratch {
            worker,
            input: vec![0; READ_CHUNK_BYTES].into(),
            effects: Effects::default(),
            metrics: Batch::default(),
            env: CallEnv::new(WallMs(0), seed),
            random: Random::new(seed.rotate_left(32)),
            recent: RecentCommand::default(),
            catch_up: ApplyBudget::Micros(CATCH_UP_US_MAX),
            unapplied_batches: 0,
            works_long: false,
            spent: Vec::new(),
            interpreters: Interpreters::default(),
            script: ScriptBuffers::default(),
            let_others_in: || false,
            has_hung_up: |_| false,
            is_within: false,
            output: Vec::new(),
        }
    }

    /// Lends the empty buffer.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes back an empty buffer.
    pub fn return_output(&mut self, mut buffer: Vec<u8>) {
        if self.output.capacity() < buffer.capacity() && buffer.capacity() <= REPLY_BYTES_KEPT {
            buffer.clear();
            self.output = buffer;
        }
    }
}
