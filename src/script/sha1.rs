//! The name of a script: the SHA-1 of its text, in hexadecimal.

use sha1::{Digest, Sha1};

/// Forty lower-case digits.
pub type Sha = [u8; 40];

/// Of these bytes.
pub fn sha1hex(bytes: &[u8]) -> Sha {
    hex(Sha1::digest(bytes).into())
}

/// The same, in pieces: `go_on` is told the length of each before it is worked on.
pub fn sha1hex_in_pieces<E>(
    bytes: &[u8],
    mut go_on: impl FnMut(usize) -> Result<(), E>,
) -> Result<Sha, E> {
    let mut sha = Sha1::new();
    for piece in bytes.chunks(PIECE) {
        go_on(piece.len())?;
        sha.update(piece);
    }
    Ok(hex(sha.finalize().into()))
}

const PIECE: usize = 64 << 10;

fn hex(digest: [u8; 20]) -> Sha {
    let mut hex = [0; 40];
    for (place, byte) in hex.chunks_exact_mut(2).zip(digest) {
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

    #[test]
    fn pieces_have_the_name_of_the_whole() {
        for len in [0, 1, PIECE, 2 * PIECE + 7] {
            let (bytes, mut seen) = (vec![b'x'; len], 0);
            let name = sha1hex_in_pieces(&bytes, |it| {
                seen += it;
                Ok::<(), ()>(())
            });
            assert_eq!((name, seen), (Ok(sha1hex(&bytes)), len));
        }
    }
}
