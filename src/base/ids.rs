//! Numbers that name things, each of a type of its own.

/// One wait of one connection: a wake-up for a wait that is over finds another number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BlockId(pub u64);

/// A reply's place in the order of one connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SlotId(pub u64);
