//! All users, by name.

use super::{Catalogue, RuleFault, User};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The user that a client is who says nothing.
pub const DEFAULT_USER: &str = "default";

/// Why users stay as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsersFault {
    /// A parenthesis that nobody closes, in this rule.
    Unclosed(String),
    /// This rule is wrong.
    Rule(String, RuleFault),
}

impl fmt::Display for UsersFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsersFault::Unclosed(rule) => {
                write!(f, "Unmatched parenthesis in acl selector starting at '{rule}'.")
            }
            UsersFault::Rule(rule, fault) => {
                write!(f, "Error in ACL SETUSER modifier '{rule}': {fault}")
            }
        }
    }
}

/// Whether a user may be called so.
pub fn is_user_name(name: &str) -> bool {
    !name.bytes().any(|it| it.is_ascii_whitespace() || matches!(it, 0 | 0x0b))
}

/// Rules with those that a selector's parentheses hold together made one.
pub fn joined_selectors<'a>(
    rules: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, UsersFault> {
    let mut joined: Vec<Vec<u8>> = Vec::new();
    let mut begun: Option<(&[u8], Vec<u8>)> = None;
    for rule in rules {
        begun = match begun.take() {
            None if rule.starts_with(b"(") && !rule.ends_with(b")") => Some((rule, rule.to_vec())),
            None => {
                joined.push(rule.to_vec());
                None
            }
            Some((first, mut whole)) => {
                whole.push(b' ');
                whole.extend_from_slice(rule);
                if rule.ends_with(b")") {
                    joined.push(whole);
                    None
                } else {
                    Some((first, whole))
                }
            }
        };
    }
    match begun {
        Some((first, _)) => Err(UsersFault::Unclosed(String::from_utf8_lossy(first).into_owned())),
        None => Ok(joined),
    }
}

/// All users. Cheap to copy: who changes them makes new ones.
#[derive(Clone, Debug)]
pub struct Users {
    by_name: BTreeMap<String, Arc<User>>,
}

impl Users {
    /// The default user alone, who may do everything: with this password, if there is one.
    pub fn new(password: Option<&str>) -> Users {
        let mut users = Users { by_name: BTreeMap::new() };
        users.by_name.insert(DEFAULT_USER.to_owned(), Arc::new(User::of_everything(DEFAULT_USER)));
        users.set_default_password(password);
        users
    }

    /// `requirepass`: the only password of the default user; none when there is none.
    pub fn set_default_password(&mut self, password: Option<&str>) {
        let mut user = self.default_user().clone();
        user.set_password(password.map(str::as_bytes));
        self.by_name.insert(DEFAULT_USER.to_owned(), Arc::new(user));
    }

    /// ACL SETUSER: applies all of these rules to the user of this name, whom they make if there is
    /// none, or none of them.
    pub fn set<'a>(
        &mut self,
        name: &str,
        rules: impl Iterator<Item = &'a [u8]>,
        catalogue: &Catalogue,
        all_channels: bool,
    ) -> Result<(), UsersFault> {
        let mut user = match self.by_name.get(name) {
            Some(user) => (**user).clone(),
            None => User::new(name, all_channels),
        };
        // A selector is one rule, though its words come one by one.
        for rule in joined_selectors(rules)? {
            user.apply(&rule, catalogue, all_channels).map_err(|fault| {
                UsersFault::Rule(String::from_utf8_lossy(&rule).into_owned(), fault)
            })?;
        }
        self.by_name.insert(name.to_owned(), Arc::new(user));
        Ok(())
    }

    /// Removes the user of this name. Answers whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// The user of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// The default user: there always is one.
    pub fn default_user(&self) -> &User {
        self.by_name.get(DEFAULT_USER).expect("nobody removes the default user")
    }

    /// All of them, by name.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::PasswordDigest;
    use crate::acl::catalogue::tests::few;

    #[test]
    fn rules_apply_together_or_not_at_all() {
        let few = few();
        let mut users = Users::new(None);
        let mut set = |words: &str| {
            let rules = words.split(' ').map(str::as_bytes);
            users.set("u", rules, &few, false).map_err(|it| it.to_string())
        };
        assert_eq!(set("on +get (~a +set )"), Ok(()));
        let why = "Error in ACL SETUSER modifier '+foo': Unknown command or category name in ACL";
        assert_eq!(set("off -get +foo"), Err(why.to_owned()));
        let why = "Unmatched parenthesis in acl selector starting at '(+set'.";
        assert_eq!(set("off (+set ~k ("), Err(why.to_owned()));
        let text = "user u on resetchannels -@all +get (~a resetchannels -@all +set)";
        assert_eq!(users.get("u").unwrap().text(), text.as_bytes());
        assert!(users.remove("u") && !users.remove("u"));
    }

    #[test]
    fn the_default_user_may_do_everything() {
        let mut users = Users::new(None);
        assert_eq!(users.default_user().text(), b"user default on nopass ~* &* +@all");
        assert!(users.default_user().may_all() && users.default_user().lets_in_anybody());
        users.set_default_password(Some("a b"));
        assert!(
            users.default_user().lets_in(&PasswordDigest::of(b"a b"))
                && !users.default_user().lets_in_anybody()
        );
        users.set_default_password(None);
        assert!(users.default_user().lets_in_anybody());
        assert_eq!(users.all().len(), 1);
    }

    #[test]
    fn names_hold_no_spaces() {
        assert!(is_user_name("a-b") && is_user_name(""));
        assert!(!is_user_name("a b") && !is_user_name("a\0"));
    }
}
