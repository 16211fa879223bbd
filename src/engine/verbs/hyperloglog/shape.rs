//! How many registers there are, and what they may say.

/// Bits of a hash that choose a register.
pub const REGISTER_BITS: u32 = 14;
/// How many registers there are.
pub const REGISTERS: usize = 1 << REGISTER_BITS;
/// The highest value of a register.
pub const VALUE_MAX: usize = 64 - REGISTER_BITS as usize + 1;
