//! Patterns of keys and channels, made ready to be matched.

use super::RuleFault;
use crate::base::glob::{self, Case};
use crate::command::Access;
use bitflags::bitflags;
use std::collections::HashMap;
use std::sync::Arc;

/// Patterns of keys, or of channels, that one selector may have.
const PATTERNS_MAX: usize = 4096;
/// How long one may be: what compares it with a key takes as long as both together, or as their
/// product.
const PATTERN_BYTES_MAX: usize = 4096;

bitflags! {
    /// What may be done to keys.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct KeyRights: u8 {
        /// Their values may be read.
        const READ = 1;
        /// They may be changed.
        const WRITE = 2;
    }
}

impl KeyRights {
    /// What a command needs that does this to a key; `None` where it is no key.
    #[inline]
    pub fn needed(access: Access) -> Option<KeyRights> {
        let mut needed = KeyRights::empty();
        for word in access.0 {
            match *word {
                "access" => needed |= KeyRights::READ,
                "insert" | "update" | "delete" => needed |= KeyRights::WRITE,
                "not_key" => return None,
                _ => {}
            }
        }
        Some(needed)
    }
}

/// How a pattern is matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It means what it spells.
    Literal,
    /// That, and anything behind it.
    Prefix,
    /// As a glob.
    Glob,
}

/// A pattern of keys or channels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: Arc<[u8]>,
    kind: Kind,
}

impl Pattern {
    /// The pattern that is spelled so.
    pub fn of(text: &[u8]) -> Pattern {
        let kind = match text {
            it if glob::is_literal(it) => Kind::Literal,
            [before @ .., b'*'] if glob::is_literal(before) => Kind::Prefix,
            _ => Kind::Glob,
        };
        Pattern { text: text.into(), kind }
    }

    /// Whether it matches the whole of `name`.
    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        match self.kind {
            Kind::Literal => *self.text == *name,
            Kind::Prefix => name.starts_with(&self.text[..self.text.len() - 1]),
            Kind::Glob => glob::matches(&self.text, name, Case::Exact),
        }
    }

    /// How it is spelled.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Patterns, each of which stands once and is worth something.
#[derive(Clone, Debug, Default)]
pub struct Patterns<V> {
    all: bool,
    listed: Vec<(Pattern, V)>,
    places: HashMap<Arc<[u8]>, usize>,
}

impl<V: Copy> Patterns<V> {
    /// Whether everything is meant.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Everything is meant from here on, or nothing.
    pub fn set_all(&mut self, all: bool) {
        self.all = all;
        self.listed.clear();
        self.places.clear();
    }

    /// One more pattern; of one that is there already the worth is joined.
    pub fn add(
        &mut self,
        text: &[u8],
        worth: V,
        join: fn(V, V) -> V,
        fault: RuleFault,
    ) -> Result<(), RuleFault> {
        if self.all {
            return Err(fault);
        }
        if text.iter().any(|it| it.is_ascii_whitespace() || matches!(it, 0 | 0x0b)) {
            return Err(RuleFault::Syntax);
        }
        if PATTERN_BYTES_MAX < text.len() {
            return Err(RuleFault::LongPattern);
        }
        if PATTERNS_MAX <= self.listed.len() && !self.has(text) {
            return Err(RuleFault::TooMany);
        }
        match self.places.get(text) {
            Some(at) => self.listed[*at].1 = join(self.listed[*at].1, worth),
            None => {
                let pattern = Pattern::of(text);
                self.places.insert(pattern.text.clone(), self.listed.len());
                self.listed.push((pattern, worth));
            }
        }
        Ok(())
    }

    /// Whether one is spelled so.
    pub fn has(&self, text: &[u8]) -> bool {
        self.places.contains_key(text)
    }

    /// All of them, in the order they came in.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &(Pattern, V)> {
        self.listed.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_command_needs_follows_from_its_access() {
        let needed = |it| KeyRights::needed(it);
        assert_eq!(needed(Access::READ), Some(KeyRights::READ));
        assert_eq!(needed(Access::PEEK), Some(KeyRights::empty()));
        assert_eq!(needed(Access::REPLACE), Some(KeyRights::WRITE));
        assert_eq!(needed(Access::TAKE), Some(KeyRights::all()));
        assert_eq!(needed(Access::CHANNEL), None);
    }

    proptest! {
        #[test]
        fn a_pattern_made_ready_matches_as_a_glob_does(
            text in "[ab*?\\[\\]\\\\]{0,6}",
            name in "[ab]{0,6}",
        ) {
            let ready = Pattern::of(text.as_bytes()).matches(name.as_bytes());
            let plain = glob::matches(text.as_bytes(), name.as_bytes(), Case::Exact);
            prop_assert_eq!(ready, plain, "{} {}", text, name);
        }
    }
}
