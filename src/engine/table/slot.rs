//! What a table asks of its entries.

/// A slot of a table: empty, or an entry that knows its hash and key.
pub trait Slot: Sized {
    /// A slot without an entry.
    fn empty() -> Self;
    /// The entry's hash; `None` for an empty slot.
    fn hash(&self) -> Option<u32>;
    /// The entry's key; only asked of a taken slot.
    fn key(&self) -> &[u8];
    /// Starts fetching what the slot points to, if it does.
    #[inline]
    fn prefetch(&self) {}
}
