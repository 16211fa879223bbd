//! When collections leave their compact forms: Redis' names, Redis' defaults.

/// Redis' `*-max-listpack-*` and `set-max-intset-entries`.
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
        }
    }
}
