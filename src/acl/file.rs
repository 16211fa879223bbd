//! The file of users: a line for each, as ACL LIST tells of it.

use super::{Catalogue, RuleFault, User, Users, is_user_name, joined_selectors};
use std::collections::BTreeMap;
use std::fmt;

/// All that is wrong with a file of users, as Redis tells it. Passwords are not repeated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileFault(String);

/// So much is told of what is wrong.
const TOLD_BYTES_MAX: usize = 16 << 10;

impl FileFault {
    fn add(&mut self, what: fmt::Arguments<'_>) {
        if self.0.len() < TOLD_BYTES_MAX {
            // Writing into a text does not fail.
            let _ = fmt::write(&mut self.0, what);
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)?;
        f.write_str(
            "WARNING: ACL errors detected, no change to the previously active ACL rules was \
             performed",
        )
    }
}

/// The users that this file tells of, and the default user, though it does not. `name` is the
/// file's, for what is wrong with it.
pub fn parse_file(
    name: &str,
    bytes: &[u8],
    catalogue: &Catalogue,
    all_channels: bool,
) -> Result<Users, FileFault> {
    let mut fault = FileFault::default();
    let mut users: BTreeMap<&str, User> = BTreeMap::new();
    for (at, line) in bytes.split(|it| *it == b'\n').enumerate() {
        let line = Line { file: name, number: at + 1, text: trimmed(line) };
        if line.text.is_empty() {
            continue;
        }
        let Some(user_name) = line.user_name(&mut fault) else { continue };
        if users.contains_key(user_name) {
            let number = line.number;
            fault.add(format_args!(
                "WARNING: Duplicate user '{user_name}' found on line {number}. "
            ));
            continue;
        }
        let user = line.user(user_name, catalogue, all_channels, &mut fault);
        users.insert(user_name, user);
    }
    if fault.0.is_empty() { Ok(Users::of(users.into_values())) } else { Err(fault) }
}

fn trimmed(mut line: &[u8]) -> &[u8] {
    let is_blank = |it: &u8| matches!(it, b' ' | b'\t' | b'\r' | b'\n');
    while let [first, rest @ ..] = line
        && is_blank(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(last)
    {
        line = rest;
    }
    line
}

struct Line<'a> {
    file: &'a str,
    number: usize,
    text: &'a [u8],
}

impl<'a> Line<'a> {
    fn words(&self) -> impl Iterator<Item = &'a [u8]> {
        self.text.split(|it| *it == b' ')
    }

    /// The user that it tells of.
    fn user_name(&self, fault: &mut FileFault) -> Option<&'a str> {
        let (file, number) = (self.file, self.number);
        let mut words = self.words();
        let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
            fault.add(format_args!(
                "{file}:{number} should start with user keyword followed by the username. "
            ));
            return None;
        };
        match std::str::from_utf8(name).ok().filter(|it| is_user_name(it)) {
            Some(name) => Some(name),
            None => {
                let name = String::from_utf8_lossy(name);
                fault.add(format_args!(
                    "'{file}:{number}: username '{name}' contains invalid characters. "
                ));
                None
            }
        }
    }

    /// That user, as far as the rules are right. Of wrong rules the first is told, but all that
    /// name no command: they hold no secrets.
    fn user(
        &self,
        name: &str,
        catalogue: &Catalogue,
        all_channels: bool,
        fault: &mut FileFault,
    ) -> User {
        let (file, number) = (self.file, self.number);
        let mut user = User::new(name, all_channels);
        let Ok(rules) = joined_selectors(self.words().skip(2)) else {
            fault.add(format_args!(
                "{file}:{number}: Unmatched parenthesis in selector definition."
            ));
            return user;
        };
        let mut is_told = false;
        for rule in &rules {
            let rule = trimmed(rule);
            match user.apply(rule, catalogue, all_channels) {
                Ok(()) => {}
                Err(why @ RuleFault::Unknown) => {
                    let rule = String::from_utf8_lossy(rule);
                    fault.add(format_args!(
                        "{file}:{number}: Error in applying operation '{rule}': {why}. "
                    ));
                }
                Err(_) if is_told => {}
                Err(why) => {
                    is_told = true;
                    fault.add(format_args!("{file}:{number}: {why}. "));
                }
            }
        }
        user
    }
}

impl Users {
    /// As a file of users tells of them.
    pub fn file_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for user in self.all() {
            text.extend_from_slice(&user.text());
            text.push(b'\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::catalogue::tests::few;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<String, String> {
        let users = parse_file("users.acl", text.as_bytes(), &few(), false);
        let users = users.map_err(|it| it.to_string())?;
        Ok(String::from_utf8(users.file_text()).unwrap())
    }

    const NOTHING_CHANGED: &str =
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";

    #[test]
    fn a_file_tells_of_users_line_by_line() {
        let default = "user default on nopass ~* &* +@all\n";
        assert_eq!(parsed(""), Ok(default.to_owned()));
        let text = "\r\n  user b on +get ( ~a  +set ) \r\n\nuser default off\nuser a";
        let told = "user a off resetchannels -@all\n\
                    user b on resetchannels -@all +get (~a resetchannels -@all +set)\n\
                    user default off resetchannels -@all\n";
        assert_eq!(parsed(text), Ok(told.to_owned()));
        assert_eq!(parsed(told), Ok(told.to_owned()));
    }

    #[test]
    fn all_that_is_wrong_is_told_without_passwords() {
        let text = "# users\nuser\nuser a\tb\nuser a >secret ~* ~x topsecret +foo -bar\nuser a\n\
                    user b (~x\nuser c on";
        let why = "users.acl:1 should start with user keyword followed by the username. \
                   users.acl:2 should start with user keyword followed by the username. \
                   'users.acl:3: username 'a\tb' contains invalid characters. \
                   users.acl:4: Adding a pattern after the * pattern (or the 'allkeys' flag) is \
                   not valid and does not have any effect. Try 'resetkeys' to start with an empty \
                   list of patterns. \
                   users.acl:4: Error in applying operation '+foo': Unknown command or category \
                   name in ACL. \
                   users.acl:4: Error in applying operation '-bar': Unknown command or category \
                   name in ACL. \
                   WARNING: Duplicate user 'a' found on line 5. \
                   users.acl:6: Unmatched parenthesis in selector definition.";
        assert_eq!(parsed(text), Err(format!("{why}{NOTHING_CHANGED}")));
        let much = parsed(&"x\n".repeat(100_000)).unwrap_err();
        assert!(much.len() < 2 * TOLD_BYTES_MAX && much.ends_with(NOTHING_CHANGED));
    }

    proptest! {
        #[test]
        fn any_bytes_are_users_or_refused(bytes: Vec<u8>, prefix in 0..3) {
            let begin: &[u8] = [&b""[..], b"user a ", b"user default on (~x "][prefix as usize];
            let text = [begin, &bytes].concat();
            if let Ok(users) = parse_file("f", &text, &few(), false) {
                let told = users.file_text();
                let again = parse_file("f", &told, &few(), false).unwrap();
                prop_assert_eq!(again.file_text(), told);
            }
        }
    }
}
