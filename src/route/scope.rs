//! Whose floor a session's reads keep to.

use std::fmt;

/// Who shares one floor at level `sticky`: what one of them has seen, all of them have seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum StickyScope {
    /// Nobody: each connection has its own.
    #[default]
    Connection,
    /// Connections with the same CLIENT SETNAME name. One without a name has its own.
    ClientName,
    /// Connections of the same authenticated user.
    User,
}

impl StickyScope {
    /// All of them, with their words.
    pub const ALL: [(StickyScope, &str); 3] = [
        (StickyScope::Connection, "connection"),
        (StickyScope::ClientName, "client-name"),
        (StickyScope::User, "user"),
    ];
    /// What [`StickyScope::parse`] takes, for error texts.
    pub const ACCEPTED: &str = "connection, client-name or user";

    /// Reads a scope in any case.
    pub fn parse(text: &str) -> Option<StickyScope> {
        let found = StickyScope::ALL.into_iter().find(|it| text.eq_ignore_ascii_case(it.1));
        found.map(|it| it.0)
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        StickyScope::ALL[self as usize].1
    }
}

impl fmt::Display for StickyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_survives_its_text() {
        for (scope, word) in StickyScope::ALL {
            assert_eq!(StickyScope::parse(&scope.to_string().to_uppercase()), Some(scope));
            assert_eq!(scope.as_str(), word);
        }
        assert_eq!(StickyScope::parse("client"), None);
    }
}
