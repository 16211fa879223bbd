//! The scripts that a set knows by their SHA-1.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::flags::{Flags, split_script};
use super::limits::EVALUATED_MAX;

use super::sha1::{Sha, sha1hex};

/// One of them.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its whole text.
    pub text: Arc<[u8]>,
    /// What its first line says, if it has one of the kind.
    pub flags: Option<Flags>,
}

/// All of them. Those that only EVAL has brought are forgotten when many others have come, so that
/// a client that spells its arguments into its scripts fills no memory.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    by_sha: HashMap<Sha, Script>,
    bytes: usize,
    /// Those that only EVAL has brought, the oldest first.
    evaluated: VecDeque<Sha>,
    removals: u64,
}

impl Scripts {
    /// Adds a script that compiles, for as long as nobody says SCRIPT FLUSH.
    pub fn keep(&mut self, text: &[u8]) -> Result<Sha, String> {
        let sha = self.add(text)?.0;
        self.evaluated.retain(|it| *it != sha);
        Ok(sha)
    }

    /// Adds a script that EVAL runs.
    pub fn note(&mut self, text: &[u8]) -> Result<Sha, String> {
        let (sha, is_new) = self.add(text)?;
        if is_new {
            self.evaluated.push_back(sha);
            if EVALUATED_MAX < self.evaluated.len()
                && let Some(oldest) = self.evaluated.pop_front()
                && let Some(gone) = self.by_sha.remove(&oldest)
            {
                self.bytes -= gone.text.len();
                self.removals += 1;
            }
        }
        Ok(sha)
    }

    fn add(&mut self, text: &[u8]) -> Result<(Sha, bool), String> {
        let (flags, _) = split_script(text)?;
        let sha = sha1hex(text);
        let is_new = self.by_sha.insert(sha, Script { text: text.into(), flags }).is_none();
        if is_new {
            self.bytes += text.len();
        }
        Ok((sha, is_new))
    }

    /// The script of this name, in either case.
    pub fn find(&self, name: &[u8]) -> Option<(Sha, &Script)> {
        let mut sha: Sha = name.try_into().ok()?;
        sha.make_ascii_lowercase();
        Some((sha, self.by_sha.get(&sha)?))
    }

    /// Forgets all.
    pub fn flush(&mut self) {
        *self = Scripts { removals: self.removals + 1, ..Scripts::default() };
    }

    /// Grows whenever a script is forgotten: while it stays, all that were known are.
    pub fn removals(&self) -> u64 {
        self.removals
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
        let sha = scripts.keep(b"return 1").unwrap();
        assert!(scripts.find(&sha.to_ascii_uppercase()).is_some());
        assert!(scripts.find(b"e0e1").is_none());
        scripts.flush();
        assert!(scripts.find(&sha).is_none());
    }

    #[test]
    fn what_only_eval_has_brought_is_forgotten_in_time() {
        let mut scripts = Scripts::default();
        let kept = scripts.keep(b"return 'kept'").unwrap();
        let first = scripts.note(b"return 'first'").unwrap();
        assert_eq!(scripts.removals(), 0);
        let loaded = scripts.note(b"return 'loaded'").unwrap();
        scripts.keep(b"return 'loaded'").unwrap();
        for number in 0..EVALUATED_MAX {
            scripts.note(format!("return {number}").as_bytes()).unwrap();
        }
        assert!(scripts.find(&first).is_none());
        assert!(scripts.find(&kept).is_some() && scripts.find(&loaded).is_some());
        assert_eq!(scripts.len(), EVALUATED_MAX + 2);
        assert_eq!(scripts.removals(), 1);
        scripts.flush();
        assert_eq!(scripts.removals(), 2);
    }
}
