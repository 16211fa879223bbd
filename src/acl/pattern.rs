//! Patterns of keys and channels, made ready to be matched.

use super::RuleFault;
use super::ordered::Ordered;
use crate::base::glob::{self, Case};
use crate::command::Access;
use bitflags::bitflags;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

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
        // Most requests are such: this saves looking at the words one by one.
        if let ["RO", "access"] = access.0 {
            return Some(KeyRights::READ);
        }
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

/// Patterns, each of which stands once, with what they allow.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    all: bool,
    listed: Vec<(Pattern, KeyRights)>,
    places: HashMap<Arc<[u8]>, usize>,
    /// Made when it is first asked for.
    index: OnceLock<Arc<Index>>,
}

impl Patterns {
    /// Whether everything is meant.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Everything is meant from here on, or nothing.
    pub fn set_all(&mut self, all: bool) {
        *self = Patterns { all, ..Patterns::default() };
    }

    /// One more pattern; what the same one allowed already it goes on to allow.
    pub fn add(
        &mut self,
        text: &[u8],
        rights: KeyRights,
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
        self.index.take();
        match self.places.get(text) {
            Some(at) => self.listed[*at].1 |= rights,
            None => {
                let pattern = Pattern::of(text);
                self.places.insert(pattern.text.clone(), self.listed.len());
                self.listed.push((pattern, rights));
            }
        }
        Ok(())
    }

    /// Whether one is spelled so.
    pub fn has(&self, text: &[u8]) -> bool {
        self.places.contains_key(text)
    }

    /// Whether one that allows so much matches this name.
    #[inline]
    pub fn allow(&self, name: &[u8], needed: KeyRights) -> bool {
        self.all || self.index().allows(name, needed)
    }

    /// Makes ready what the first look would make.
    #[inline]
    pub fn index(&self) -> &Index {
        self.index.get_or_init(|| Arc::new(Index::of(&self.listed)))
    }

    /// All of them, in the order they came in.
    pub fn iter(&self) -> impl Iterator<Item = &(Pattern, KeyRights)> {
        self.listed.iter()
    }
}

/// Patterns by what they allow, each kind in the form in which it is found soonest.
#[derive(Debug)]
pub struct Index {
    by_rights: [Found; 3],
}

/// Patterns that all allow the same.
#[derive(Debug, Default)]
struct Found {
    literals: Ordered,
    /// Without those that begin with another.
    prefixes: Ordered,
    globs: Vec<Pattern>,
}

impl Index {
    const RIGHTS: [KeyRights; 3] = [KeyRights::READ, KeyRights::WRITE, KeyRights::all()];

    fn of(listed: &[(Pattern, KeyRights)]) -> Index {
        Index { by_rights: Index::RIGHTS.map(|rights| Found::of(listed, rights)) }
    }

    #[inline]
    fn allows(&self, name: &[u8], needed: KeyRights) -> bool {
        let mut all = self.by_rights.iter().zip(Index::RIGHTS);
        all.any(|(found, rights)| rights.contains(needed) && found.matches(name))
    }
}

impl Found {
    fn of(listed: &[(Pattern, KeyRights)], rights: KeyRights) -> Found {
        let mut found = Found::default();
        let (mut literals, mut prefixes) = (Vec::new(), Vec::new());
        for (pattern, _) in listed.iter().filter(|it| it.1 == rights) {
            let text = &pattern.text;
            match pattern.kind {
                Kind::Literal => literals.push(text.clone()),
                Kind::Prefix => prefixes.push(text[..text.len() - 1].into()),
                Kind::Glob => found.globs.push(pattern.clone()),
            }
        }
        found.literals = Ordered::of(literals);
        found.prefixes = Ordered::of_shortest(prefixes);
        found
    }

    #[inline]
    fn matches(&self, name: &[u8]) -> bool {
        self.prefixes.last_up_to(name).is_some_and(|it| name.starts_with(it))
            || self.literals.last_up_to(name).is_some_and(|it| name == it)
            || self.globs.iter().any(|it| it.matches(name))
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

        #[test]
        fn patterns_together_match_as_one_by_one(
            texts in prop::collection::vec(("[ab]{0,10}[*?]{0,1}[ab]{0,1}", 1_u8..4), 0..12),
            names in prop::collection::vec("[ab]{0,11}", 1..8),
            needed in 0_u8..4,
        ) {
            let mut patterns = Patterns::default();
            for (text, rights) in &texts {
                let rights = KeyRights::from_bits_truncate(*rights);
                patterns.add(text.as_bytes(), rights, RuleFault::AllKeys).unwrap();
            }
            let needed = KeyRights::from_bits_truncate(needed);
            for name in &names {
                let name = name.as_bytes();
                let one_by_one =
                    patterns.iter().any(|(it, rights)| rights.contains(needed) && it.matches(name));
                prop_assert_eq!(patterns.allow(name, needed), one_by_one);
            }
        }
    }
}
