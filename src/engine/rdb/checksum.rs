//! The checksum behind every payload: the 64-bit CRC of Jones.
//!
//! A CRC waits for its tables byte after byte. Three stretches of a long payload are therefore
//! summed side by side, each as if it stood alone, and then brought together: the sum of what has
//! other bytes behind it is what it would be with as many zeros there.

use std::sync::LazyLock;

/// Reflected, as everything here.
const POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;
const WORD_BYTES: usize = size_of::<u64>();
/// Bytes of one stretch, a power of two.
const STRETCH: usize = 4 << 10;

type Table = [u64; 256];

/// For each byte of a word, what it adds to the sum.
type Words = [Table; WORD_BYTES];

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

struct Tables {
    /// Of a word that is summed.
    words: Words,
    /// Of a sum that has a stretch of zeros behind it.
    zeros: Words,
}

impl Tables {
    fn new() -> Tables {
        let mut words = [[0; 256]; WORD_BYTES];
        let bit = |sum: u64, _| (sum >> 1) ^ if sum & 1 == 0 { 0 } else { POLYNOMIAL };
        words[0] = std::array::from_fn(|byte| (0..u8::BITS).fold(byte as u64, bit));
        for at in 1..WORD_BYTES {
            words[at] = words[at - 1].map(|sum| with_zero(&words[0], sum));
        }
        // Zeros change a sum bit by bit; twice as many zeros change it twice.
        let mut bits: [u64; 64] = std::array::from_fn(|it| with_zero(&words[0], 1 << it));
        for _ in 0..STRETCH.trailing_zeros() {
            bits = bits.map(|it| spread(&bits, it));
        }
        let zero = |at: usize, byte: usize| spread(&bits, (byte as u64) << (at * 8));
        let zeros = std::array::from_fn(|at| std::array::from_fn(|byte| zero(at, byte)));
        Tables { words, zeros }
    }
}

/// A sum after a byte of zero.
fn with_zero(table: &Table, sum: u64) -> u64 {
    table[usize::from(sum as u8)] ^ (sum >> u8::BITS)
}

/// What the bits of `sum` become, together.
fn spread(bits: &[u64; 64], sum: u64) -> u64 {
    (0..64).filter(|it| sum >> it & 1 == 1).fold(0, |all, it| all ^ bits[it])
}

/// What the bytes of `word` add to the sum, the lowest by the last table.
#[inline]
fn mix(tables: &Words, word: u64) -> u64 {
    let bytes = word.to_le_bytes();
    (0..WORD_BYTES).fold(0, |sum, at| sum ^ tables[WORD_BYTES - 1 - at][usize::from(bytes[at])])
}

/// The sum after a stretch of zeros.
fn after_stretch(tables: &Words, sum: u64) -> u64 {
    let bytes = sum.to_le_bytes();
    (0..WORD_BYTES).fold(0, |all, at| all ^ tables[at][usize::from(bytes[at])])
}

/// Of all these bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    let Tables { words, zeros } = &*TABLES;
    let mut threes = bytes.chunks_exact(3 * STRETCH);
    let mut sum = 0;
    for three in &mut threes {
        let (one, others) = three.split_at(STRETCH);
        let (two, three) = others.split_at(STRETCH);
        let mut sums = [sum, 0, 0];
        let [one, two, three] = [one, two, three].map(|it| it.chunks_exact(WORD_BYTES));
        for ((one, two), three) in one.zip(two).zip(three) {
            for (sum, bytes) in sums.iter_mut().zip([one, two, three]) {
                *sum = mix(words, *sum ^ word(bytes));
            }
        }
        sum = after_stretch(zeros, sums[0]) ^ sums[1];
        sum = after_stretch(zeros, sum) ^ sums[2];
    }
    let mut chunks = threes.remainder().chunks_exact(WORD_BYTES);
    for chunk in &mut chunks {
        sum = mix(words, sum ^ word(chunk));
    }
    chunks.remainder().iter().fold(sum, |sum, it| with_zero(&words[0], sum ^ u64::from(*it)))
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("the bytes of a word"))
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
    fn a_long_text_sums_to_what_its_bytes_sum_to_one_by_one() {
        let bytes: Vec<u8> = (0..9 * STRETCH as u32).map(|it| ((it * it) >> 7) as u8).collect();
        for len in [0, 1, 7, 8, 3 * STRETCH - 1, 3 * STRETCH, 6 * STRETCH + 13, 9 * STRETCH] {
            let step = |sum, it: &u8| with_zero(&TABLES.words[0], sum ^ u64::from(*it));
            assert_eq!(checksum(&bytes[..len]), bytes[..len].iter().fold(0, step), "{len}");
        }
    }
}
