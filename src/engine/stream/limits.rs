//! How large a node of a stream may become.

/// `stream-node-max-bytes` and `stream-node-max-entries`. 0 is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeLimits {
    /// Bytes of a node.
    pub bytes: usize,
    /// Entries of a node, deleted ones too.
    pub entries: usize,
}

impl Default for NodeLimits {
    fn default() -> NodeLimits {
        NodeLimits { bytes: 4096, entries: 100 }
    }
}

impl NodeLimits {
    /// Most entries that go with `~` when no LIMIT is given; 0 is no limit.
    pub fn trim_limit(&self) -> u64 {
        match 100 * self.entries as u64 {
            0 => 10_000,
            limit => limit.min(1_000_000),
        }
    }
}
