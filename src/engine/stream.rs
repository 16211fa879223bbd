//! A stream: entries in the order of their ids, and groups of consumers that share them out.
//!
//! Entries stand in nodes that are listpacks, the very bytes that RDB files and DUMP have; a tree
//! over the ids finds a node. What groups have delivered stands in trees of ids as well. A copy of
//! a stream shares all of it until one of the two changes.

mod autoclaim;
mod claim;
mod consumers;
mod count;
mod deliver;
mod entries;
mod group;
mod groups;
mod id;
mod limits;
mod node;
mod pack;
mod pending;
mod radix;
mod range;
mod rules;
mod tree;
mod trim;
#[cfg(test)]
mod tests;

pub use autoclaim::{AutoClaim, AutoClaimed, COUNT_MAX as AUTOCLAIM_COUNT_MAX};
pub use claim::{Claim, Claimed, Deliveries, Unknown};
pub use consumers::{Consumer, ConsumerId};
pub use deliver::{Acks, Delivered};
pub use entries::{AddFault, Entries, SetIdFault};
pub use group::{Group, Pending};
pub use groups::Groups;
pub use id::{AddId, BadBound, IdText, StreamId};
pub use limits::NodeLimits;
pub use node::{Entry, Fields};
pub use pending::{PendingFilter, PendingSummary};
pub use range::{Range, RangeBack};
pub use rules::Rules;
pub use trim::{GoneNodes, Trim, Trimmed};

pub(in crate::engine) use node::Node;

/// The stream. One without entries is still there: its key goes only with DEL.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Its entries.
    pub entries: Entries,
    /// Its groups.
    pub groups: Groups,
}

impl Stream {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len() as usize
    }

    /// Whether there is no entry, which does not make the key go.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer of OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        self.entries.nodes().len() + self.groups.free_cost()
    }

    /// About how many elements a clone copies: entries and what is pending are shared.
    pub fn copy_cost(&self) -> usize {
        self.groups.copy_cost()
    }

    /// Heap bytes it holds, roughly: MEMORY USAGE.
    pub fn bytes(&self) -> usize {
        size_of::<Stream>() + self.entries.bytes() + self.groups.bytes()
    }
}
