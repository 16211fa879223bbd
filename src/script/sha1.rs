//! The name of a script: the SHA-1 of its text, in hexadecimal.

use sha1::{Digest, Sha1};

/// Forty lower-case digits.
pub type Sha = [u8; 40];

/// Of these bytes.
pub fn sha1hex(bytes: &[u8]) -> Sha {
    let mut hex = [0; 40];
    for (place, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(bytes)) {
        let digit = |it: u8| b"0123456789abcdef"[usize::from(it)];
        place.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_nothing_is_the_known_one() {
        assert_eq!(&sha1hex(b""), b"da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }
}
