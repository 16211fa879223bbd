//! Comparing what must not be guessed.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Compares in a time that depends on what was given, never on how much of it is right: digests,
/// since `subtle` compares lengths first, and that of the secret is a secret too.
pub fn is_same_secret(expected: &[u8], given: &[u8]) -> bool {
    Sha256::digest(expected).as_slice().ct_eq(Sha256::digest(given).as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_is_the_same() {
        for (one, other) in [("", ""), ("a", "a"), ("secret", "secret")] {
            assert!(is_same_secret(one.as_bytes(), other.as_bytes()));
        }
        let wrong =
            [("", "a"), ("a", ""), ("ab", "abab"), ("abab", "ab"), ("a", "b"), ("ab", "aa")];
        for (one, other) in wrong {
            assert!(!is_same_secret(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
    }
}
