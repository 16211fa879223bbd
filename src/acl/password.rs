//! Passwords, of which only hashes are kept.

use super::RuleFault;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

const BYTES: usize = 32;

/// The SHA-256 of a password.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PasswordDigest([u8; BYTES]);

impl PasswordDigest {
    /// That of this password.
    pub fn of(password: &[u8]) -> PasswordDigest {
        PasswordDigest(Sha256::digest(password).into())
    }

    /// The one that is written so: 64 hexadecimal digits, in lower case.
    pub fn parse(text: &[u8]) -> Result<PasswordDigest, RuleFault> {
        let digit = |it: u8| match it {
            b'0'..=b'9' => Ok(it - b'0'),
            b'a'..=b'f' => Ok(it - b'a' + 10),
            _ => Err(RuleFault::BadHash),
        };
        if text.len() != 2 * BYTES {
            return Err(RuleFault::BadHash);
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(PasswordDigest(bytes))
    }

    /// Whether both are of the same password: in a time that does not depend on how much of it is
    /// right.
    pub fn is_same(&self, other: &PasswordDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_told_and_read_again() {
        let digest = PasswordDigest::of(b"pw");
        let text = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";
        assert_eq!(digest.to_string(), text);
        assert_eq!(PasswordDigest::parse(text.as_bytes()), Ok(digest));
        for wrong in ["", &text[1..], &text.to_uppercase(), &text.replace('3', "g")] {
            assert_eq!(PasswordDigest::parse(wrong.as_bytes()), Err(RuleFault::BadHash));
        }
        assert!(digest.is_same(&PasswordDigest::of(b"pw")));
        assert!(!digest.is_same(&PasswordDigest::of(b"pW")));
        assert_eq!(format!("{digest:?}"), "PasswordDigest");
    }
}
