//! What the allocator gives where a number of bytes is asked for.

const WORD_BYTES: usize = 8;
/// Others up to this size have multiples of two words.
const EVEN_BYTES_MAX: usize = 64;
/// Blocks beyond this size have whole pages.
const CLASSED_BYTES_MAX: usize = 64 << 10;
const PAGE_BYTES: usize = 4 << 10;

/// Smallest block that is a map of its own, which grows without being copied. What is smaller is
/// used again too often to be given back each time: a page that is new costs 0.25 µs.
pub const MAPPED_BYTES_MIN: usize = 4 << 20;

/// Whether a block of so many bytes grows without being copied.
pub fn grows_in_place(bytes: usize) -> bool {
    MAPPED_BYTES_MIN <= bytes
}

/// What a block of this many bytes takes: mimalloc keeps blocks of four sizes between one power of
/// two and the next, and gives the smallest that fits.
#[inline]
pub const fn block_bytes(asked: usize) -> usize {
    if asked <= WORD_BYTES {
        return WORD_BYTES;
    }
    if asked <= EVEN_BYTES_MAX {
        return asked.next_multiple_of(16);
    }
    if CLASSED_BYTES_MAX < asked {
        return asked.saturating_add(PAGE_BYTES - 1) & !(PAGE_BYTES - 1);
    }
    let step = 1 << ((asked - 1).ilog2() - 2);
    (asked + step - 1) & !(step - 1)
}
