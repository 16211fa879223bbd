//! A user that the config file describes: its rules may hold passwords, and are never told.

use crate::acl::{Catalogue, DEFAULT_USER, User, UsersFault};
use std::fmt;

/// A user as the file describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserTable {
    /// Its name.
    pub name: String,
    /// Its rules, as ACL SETUSER takes them.
    pub rules: Vec<String>,
}

impl fmt::Debug for UserTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl UserTable {
    /// Whether it describes the default user.
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_USER
    }

    /// The user that it describes: a new one with these rules. `all_channels` is what a new user
    /// may hear.
    pub fn user(&self, catalogue: &Catalogue, all_channels: bool) -> Result<User, UsersFault> {
        let rules = self.rules.iter().map(String::as_bytes);
        User::new(&self.name, all_channels).with_rules(rules, catalogue, all_channels)
    }
}
