//! The checksum behind every payload: the 64-bit CRC of Jones.

use crc_fast::{CrcAlgorithm, Digest};

/// Of all these bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Redis, bytes)
}

/// The same, of bytes that come one behind the other.
pub struct Checksum(Digest);

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum(Digest::new(CrcAlgorithm::Crc64Redis))
    }
}

impl Checksum {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far.
    pub fn get(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_one_that_its_makers_print() {
        assert_eq!(checksum(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        assert_eq!(checksum(b""), 0);
    }
}
