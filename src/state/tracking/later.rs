//! What is left to be told of changes when the master's lock is free.

use crate::base::position::Position;
use crate::node::BroadcastKeys;
use crate::pubsub::tracking::{Invalidation, Readers};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a task tells, in order, so that whoever holds the master need not. What waits here was
/// entered by reads or is as long as writes, and is told faster than either.
#[derive(Default)]
pub(super) struct Later {
    pub waiting: VecDeque<ToTell>,
    /// There is a task that tells it.
    pub is_told: bool,
}

/// One thing of that.
pub(super) enum ToTell {
    /// A key has changed that these have read, by one of them or not.
    Readers { readers: Readers, told: Arc<Invalidation>, by: Option<u64> },
    /// These keys have changed, for whoever is told of all with a prefix.
    Keys { keys: BroadcastKeys, at: Position },
    /// Those with this prefix have.
    Prefix { prefix: Bytes, keys: Arc<BroadcastKeys>, at: Position },
    /// Nothing holds for these clients.
    All { numbers: Vec<u64>, told: Arc<Invalidation> },
}
