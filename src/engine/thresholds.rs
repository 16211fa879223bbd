//! When collections leave their compact forms, and keys their databases: Redis' names, Redis'
//! defaults.

use super::stream::NodeLimits;
use super::usage::EvictionRules;

/// Redis' `*-max-listpack-*`, `set-max-intset-entries`, `stream-node-max-*` and
/// `hll-sparse-max-bytes`, and what all members know of evictions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// `hash-max-listpack-entries`.
    pub hash_entries: usize,
    /// `hash-max-listpack-value`, bytes.
    pub hash_value: usize,
    /// `list-max-listpack-size`: entries when positive, a size class (-1 is 4 KiB … -5 is 64 KiB)
    /// when negative.
    pub list_size: i64,
    /// `set-max-intset-entries`.
    pub set_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub set_entries: usize,
    /// `set-max-listpack-value`, bytes.
    pub set_value: usize,
    /// `zset-max-listpack-entries`.
    pub zset_entries: usize,
    /// `zset-max-listpack-value`, bytes.
    pub zset_value: usize,
    /// `stream-node-max-bytes`; 0 is no bound.
    pub stream_node_bytes: usize,
    /// `stream-node-max-entries`; 0 is no bound.
    pub stream_node_entries: usize,
    /// `hll-sparse-max-bytes`, with the header.
    pub hll_sparse_bytes: usize,
    /// Which keys are evicted.
    pub eviction: EvictionRules,
}

impl Thresholds {
    /// When an entry of a stream begins a new node.
    pub fn stream_nodes(&self) -> NodeLimits {
        NodeLimits { bytes: self.stream_node_bytes, entries: self.stream_node_entries }
    }
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            hash_entries: 512,
            hash_value: 64,
            list_size: -2,
            set_intset_entries: 512,
            set_entries: 128,
            set_value: 64,
            zset_entries: 128,
            zset_value: 64,
            stream_node_bytes: 4096,
            stream_node_entries: 100,
            hll_sparse_bytes: 3000,
            eviction: EvictionRules::default(),
        }
    }
}
