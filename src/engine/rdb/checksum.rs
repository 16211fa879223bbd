//! The checksum behind every payload: the 64-bit CRC of Jones, eight bytes at a time.
//!
//! Our own few lines rather than a package: the tables are made at compile time, and the one
//! polynomial is all we need.

const POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;
const STRIDE: usize = 8;

/// `TABLES[n][byte]`: what `byte` leaves behind when `n` more bytes have followed.
static TABLES: [[u64; 256]; STRIDE] = tables();

const fn tables() -> [[u64; 256]; STRIDE] {
    let mut tables = [[0; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u64, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut index = 0;
    while index < 256 * (STRIDE - 1) {
        let (row, byte) = (index / 256, index % 256);
        let sum = tables[row][byte];
        tables[row + 1][byte] = tables[0][(sum & 0xFF) as usize] ^ sum >> 8;
        index += 1;
    }
    tables
}

/// Of all these bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    let strides = bytes.chunks_exact(STRIDE);
    let rest = strides.remainder();
    let sum = strides.fold(0, |sum, stride| {
        let word = u64::from_le_bytes(stride.try_into().expect("a whole stride"));
        let mixed = (sum ^ word).to_le_bytes().into_iter().zip(TABLES.iter().rev());
        mixed.fold(0, |sum, (byte, table)| sum ^ table[usize::from(byte)])
    });
    rest.iter().fold(sum, |sum, byte| TABLES[0][usize::from(sum as u8 ^ byte)] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_one_that_its_makers_print() {
        assert_eq!(checksum(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn strides_make_no_difference() {
        let bytes: Vec<u8> = (0..100_u8).map(|it| it.wrapping_mul(37)).collect();
        for len in 0..bytes.len() {
            let one_by_one = bytes[..len]
                .iter()
                .fold(0_u64, |sum, byte| TABLES[0][usize::from(sum as u8 ^ byte)] ^ sum >> 8);
            assert_eq!(checksum(&bytes[..len]), one_by_one);
        }
    }
}
