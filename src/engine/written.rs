//! What writes leave behind beside the data.

use super::cut::Cut;
use super::events::Events;
use super::keyspace::Keyspace;
use super::set;
use super::slot::KeySlot;
use super::stream::{self, Consumer, Group};
use super::value::Value;
use super::zset;
use triomphe::Arc;

/// What writes leave behind beside the data.
#[derive(Default)]
pub struct Written {
    /// What is too large to free on the command path; the shell drops it elsewhere.
    pub deferred_frees: Vec<DeferredFree>,
    /// Changes since the start (Redis' `dirty`).
    pub changes: u64,
    /// What was deleted because its time had come.
    pub expired: Expired,
    /// What subscribers are to be told.
    pub events: Events,
}

/// What was deleted because its time had come, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Expired {
    /// Keys.
    pub keys: u64,
    /// Fields of hashes.
    pub fields: u64,
}

/// What waits to be dropped elsewhere.
pub enum DeferredFree {
    /// One entry with a large value.
    Entry(KeySlot),
    /// A large value, or part of one, whose key stays.
    Part(Value),
    /// What a sorted set has lost at once.
    Members(zset::Gone),
    /// What a set has lost at once.
    Popped(set::Gone),
    /// Nodes that a stream has lost at once.
    Nodes(stream::GoneNodes),
    /// A group that a stream has lost.
    Group(Arc<Group>),
    /// A consumer that a group has lost.
    Consumer(Consumer),
    /// All that a flush took.
    Space(Box<Keyspace>),
    /// What was kept for a walk that has ended.
    Cut(Box<Cut>),
}
