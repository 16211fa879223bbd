//! The scripts that a set knows by their SHA-1.

use std::collections::HashMap;
use std::sync::Arc;

use super::flags::{Flags, split_script};
use super::sha1::{Sha, sha1hex};

/// One of them.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its whole text.
    pub text: Arc<[u8]>,
    /// What its first line says, if it has one of the kind.
    pub flags: Option<Flags>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    by_sha: HashMap<Sha, Script>,
    bytes: usize,
}

impl Scripts {
    /// Adds a script that compiles, and names it.
    pub fn add(&mut self, text: &[u8]) -> Result<Sha, String> {
        let (flags, _) = split_script(text)?;
        let sha = sha1hex(text);
        if self.by_sha.insert(sha, Script { text: text.into(), flags }).is_none() {
            self.bytes += text.len();
        }
        Ok(sha)
    }

    /// The script of this name, in either case.
    pub fn find(&self, name: &[u8]) -> Option<(Sha, &Script)> {
        let mut sha: Sha = name.try_into().ok()?;
        sha.make_ascii_lowercase();
        Some((sha, self.by_sha.get(&sha)?))
    }

    /// Forgets all.
    pub fn flush(&mut self) {
        *self = Scripts::default();
    }

    /// How many there are, for `number_of_cached_scripts`.
    pub fn len(&self) -> usize {
        self.by_sha.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.by_sha.is_empty()
    }

    /// Bytes of their texts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case() {
        let mut scripts = Scripts::default();
        let sha = scripts.add(b"return 1").unwrap();
        assert!(scripts.find(&sha.to_ascii_uppercase()).is_some());
        assert!(scripts.find(b"e0e1").is_none());
        scripts.flush();
        assert!(scripts.find(&sha).is_none());
    }
}
