//! The stream: what the master did, byte for byte as a Redis replica would receive it, and the
//! cursors that read it.
//!
//! **Invariant:** knows bytes and positions, not keys: what hosted feeds share is opaque here.
//! **Invariant:** no clock, no socket, no task. Time comes in as an argument.

mod blocks;
mod log;

pub use log::{Entry, FeedId, Log, PendingRecord, Record, What};
