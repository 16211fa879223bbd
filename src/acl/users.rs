//! All users, by name.

use super::{Catalogue, RuleFault, Selector, User};
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

/// What becomes of users, by name: another, or `None` for who is removed.
pub type UserEdits = Vec<(String, Option<User>)>;

/// All users.
#[derive(Clone, Debug)]
pub struct Users {
    by_name: BTreeMap<Arc<str>, Arc<User>>,
}

impl Users {
    /// The default user alone, who may do everything: with this password, if there is one.
    pub fn new(password: Option<&str>) -> Users {
        let mut users = Users { by_name: BTreeMap::new() };
        users.put(Users::plain_default(password));
        users
    }

    /// These, and the default user as a server without any settings has it where they do not tell
    /// of it.
    pub fn of(all: impl IntoIterator<Item = User>) -> Users {
        let mut users = Users::new(None);
        all.into_iter().for_each(|it| users.put(it));
        users
    }

    /// The default user as a server without rules has it, with this password.
    pub fn plain_default(password: Option<&str>) -> User {
        let mut user = User::of_everything(DEFAULT_USER);
        user.set_password(password.map(str::as_bytes));
        user
    }

    /// `requirepass`: the default user with this as its only password; with none when there is
    /// none.
    pub fn default_with(&self, password: Option<&str>) -> User {
        let mut user = self.default_user().clone();
        user.set_password(password.map(str::as_bytes));
        user
    }

    /// ACL SETUSER: the user of this name, or a new one, with all of these rules applied.
    pub fn with_rules<'a>(
        &self,
        name: &str,
        rules: impl Iterator<Item = &'a [u8]>,
        catalogue: &Catalogue,
        all_channels: bool,
    ) -> Result<User, UsersFault> {
        let user = match self.by_name.get(name) {
            Some(user) => (**user).clone(),
            None => User::new(name, all_channels),
        };
        user.with_rules(rules, catalogue, all_channels)
    }

    /// Makes this the user of its name.
    pub fn put(&mut self, user: User) {
        self.by_name.insert(user.name().into(), Arc::new(user));
    }

    /// Does all of these edits.
    pub fn edit(&mut self, edits: UserEdits) {
        for (name, user) in edits {
            match user {
                Some(user) => self.put(user),
                None => drop(self.by_name.remove(&*name)),
            }
        }
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

impl User {
    /// It with all of these rules applied, which may be words of selectors.
    pub fn with_rules<'a>(
        mut self,
        rules: impl Iterator<Item = &'a [u8]>,
        catalogue: &Catalogue,
        all_channels: bool,
    ) -> Result<User, UsersFault> {
        // A selector is one rule, though its words come one by one.
        for rule in joined_selectors(rules)? {
            self.apply(&rule, catalogue, all_channels).map_err(|fault| {
                UsersFault::Rule(String::from_utf8_lossy(&rule).into_owned(), fault)
            })?;
        }
        self.each_selector().for_each(Selector::make_ready);
        Ok(self)
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
            let user = users.with_rules("u", rules, &few, false).map_err(|it| it.to_string())?;
            users.edit(vec![("u".to_owned(), Some(user))]);
            Ok(())
        };
        assert_eq!(set("on +get (~a +set )"), Ok(()));
        let why = "Error in ACL SETUSER modifier '+foo': Unknown command or category name in ACL";
        assert_eq!(set("off -get +foo"), Err(why.to_owned()));
        let why = "Unmatched parenthesis in acl selector starting at '(+set'.";
        assert_eq!(set("off (+set ~k ("), Err(why.to_owned()));
        let text = "user u on resetchannels -@all +get (~a resetchannels -@all +set)";
        assert_eq!(users.get("u").unwrap().text(), text.as_bytes());
        users.edit(vec![("u".to_owned(), None), ("v".to_owned(), None)]);
        assert!(users.get("u").is_none() && users.all().len() == 1);
    }

    #[test]
    fn the_default_user_may_do_everything() {
        let mut users = Users::new(None);
        assert_eq!(users.default_user().text(), b"user default on nopass ~* &* +@all");
        assert!(users.default_user().may_all() && users.default_user().lets_in_anybody());
        users.put(users.default_with(Some("a b")));
        let password = PasswordDigest::of(b"a b");
        assert!(users.default_user().lets_in(&password) && !users.default_user().lets_in_anybody());
        users.put(users.default_with(None));
        assert!(users.default_user().lets_in_anybody());
        assert_eq!(users.all().len(), 1);
    }

    #[test]
    fn names_hold_no_spaces() {
        assert!(is_user_name("a-b") && is_user_name(""));
        assert!(!is_user_name("a b") && !is_user_name("a\0"));
    }
}
