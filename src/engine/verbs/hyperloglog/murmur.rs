//! Which register an element belongs to, and what it says there.

use super::shape::{REGISTER_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;

/// Its register, by the lowest bits of its hash, and one more than how many of the bits above are
/// clear in a row.
pub fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let register = hash as usize % REGISTERS;
    // The bit behind the last ends the row.
    let rest = hash >> REGISTER_BITS | 1 << (64 - REGISTER_BITS);
    (register, rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A, reading words with the lowest byte first on every machine.
fn hash(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(M);
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let mut word = word.try_into().map_or(0, u64::from_le_bytes).wrapping_mul(M);
        word ^= word >> R;
        hash = (hash ^ word.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |all, it| all << 8 | u64::from(*it));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> R
}
