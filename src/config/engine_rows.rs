//! When values leave their compact forms, as it is written and set.

use super::param::{Param, Section, live};
use super::slot::{Beyond, Slot, lens};

use Section::Engine;

/// Entries and lengths of the compact forms have no upper bound in Redis.
macro_rules! entries {
    ($field:ident) => {
        Slot::Count { at: lens!(thresholds.$field), min: 0, max: i64::MAX, beyond: Beyond::Refuse }
    };
}

macro_rules! length {
    ($field:ident) => {
        Slot::Size { at: lens!(thresholds.$field), min: 0, max: i64::MAX, beyond: Beyond::Refuse }
    };
}

/// What stands in `[engine]`.
pub const ROWS: &[Param] = &[
    live(
        Engine,
        "hash-max-listpack-entries",
        "A hash with more fields leaves its compact form.",
        entries!(hash_entries),
    )
    .once("hash-max-ziplist-entries"),
    live(
        Engine,
        "hash-max-listpack-value",
        "A hash with a longer field or value leaves its compact form.",
        length!(hash_value),
    )
    .once("hash-max-ziplist-value"),
    live(
        Engine,
        "list-max-listpack-size",
        "Elements of a list's compact nodes, or their bytes: -1 is 4 kB, -2 8 kB, \
         to -5 64 kB.",
        Slot::Signed {
            at: lens!(thresholds.list_size),
            min: i32::MIN as i64,
            max: i32::MAX as i64,
        },
    )
    .once("list-max-ziplist-size"),
    live(
        Engine,
        "set-max-intset-entries",
        "A set of more whole numbers leaves its compact form.",
        entries!(set_intset_entries),
    ),
    live(
        Engine,
        "set-max-listpack-entries",
        "A set of more members leaves its compact form.",
        entries!(set_entries),
    ),
    live(
        Engine,
        "set-max-listpack-value",
        "A set with a longer member leaves its compact form.",
        entries!(set_value),
    ),
    live(
        Engine,
        "zset-max-listpack-entries",
        "A sorted set of more members leaves its compact form.",
        entries!(zset_entries),
    )
    .once("zset-max-ziplist-entries"),
    live(
        Engine,
        "zset-max-listpack-value",
        "A sorted set with a longer member leaves its compact form.",
        length!(zset_value),
    )
    .once("zset-max-ziplist-value"),
    live(
        Engine,
        "stream-node-max-bytes",
        "Bytes of a stream's node, behind which the next one begins; 0 is no bound.",
        length!(stream_node_bytes),
    ),
    live(
        Engine,
        "stream-node-max-entries",
        "Entries of a stream's node, behind which the next one begins; 0 is no bound.",
        entries!(stream_node_entries),
    ),
    live(
        Engine,
        "hll-sparse-max-bytes",
        "A HyperLogLog that gets longer leaves its compact form.",
        length!(hll_sparse_bytes),
    ),
];
