//! What a rule is for: criteria, and the question they are asked.

use crate::base::glob::{Case, matches};
use crate::command::{Class, Group, Keys};
use crate::resp::Request;
use std::fmt;

/// What a rule is for. An empty list matches everything, a list matches when one of its entries
/// does, a rule matches when all its lists do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Match {
    /// Glob patterns of keys.
    pub keys: Vec<String>,
    /// Command groups.
    pub groups: Vec<Group>,
    /// Commands by name; a container's name stands for all its subcommands.
    pub commands: Vec<String>,
    /// Reads or writes; `None` for both.
    pub class: Option<Class>,
    /// Databases.
    pub dbs: Vec<usize>,
    /// Users.
    pub users: Vec<String>,
    /// Glob patterns of the names clients give themselves; who has none has an empty one.
    pub clients: Vec<String>,
    /// Listeners by name.
    pub listeners: Vec<String>,
}

/// All that rules look at. Keys are only searched for when a rule asks.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The command, upper-case; `CONTAINER|SUBCOMMAND` for a subcommand.
    pub command: &'a str,
    /// Whether it reads or writes.
    pub class: Class,
    /// Its group.
    pub group: Group,
    /// Where its keys stand.
    pub keys: Keys,
    /// Its arguments.
    pub request: Request<'a>,
    /// The session's database.
    pub db: usize,
    /// The session's user.
    pub user: &'a str,
    /// The session's name, by CLIENT SETNAME or HELLO.
    pub client: &'a str,
    /// The listener it came in by.
    pub listener: &'a str,
}

impl Match {
    /// What rules can tell apart, with the words for it.
    pub const CLASSES: [(Class, &str); 2] = [(Class::Read, "read"), (Class::Write, "write")];

    /// The group of this name.
    pub fn group(name: &str) -> Option<Group> {
        Group::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// Names of all groups, for refusals.
    pub fn group_names() -> impl Iterator<Item = &'static str> {
        Group::ALL.iter().map(|it| it.name())
    }

    /// Whether it is for the command of this upper-case name, when that does this.
    #[inline]
    pub fn takes(&self, command: &str, group: Group, class: Class) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group))
            && (self.commands.is_empty() || self.commands.iter().any(|it| is_or_holds(it, command)))
            && self.class.is_none_or(|it| it == class)
    }

    /// Whether everything but the keys matches.
    pub(super) fn suits(&self, ask: &Question<'_>) -> bool {
        let named =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|it| it == name);
        self.takes(ask.command, ask.group, ask.class)
            && (self.dbs.is_empty() || self.dbs.contains(&ask.db))
            && named(&self.users, ask.user)
            && one_fits(&self.clients, ask.client.as_bytes())
            && named(&self.listeners, ask.listener)
    }

    pub(super) fn holds(&self, key: &[u8]) -> bool {
        one_fits(&self.keys, key)
    }
}

fn one_fits(globs: &[String], text: &[u8]) -> bool {
    globs.is_empty() || globs.iter().any(|it| matches(it.as_bytes(), text, Case::Exact))
}

fn is_or_holds(name: &str, command: &str) -> bool {
    let head = command.split('|').next().unwrap_or_default();
    name.eq_ignore_ascii_case(command) || name.eq_ignore_ascii_case(head)
}

/// Its criteria, as a config file names them: `keys a:* b:*, class read`.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = Match::CLASSES.iter().find(|it| Some(it.0) == self.class);
        let dbs: Vec<String> = self.dbs.iter().map(usize::to_string).collect();
        let said = [
            ("keys", words(&self.keys)),
            ("groups", self.groups.iter().map(|it| it.name()).collect::<Vec<_>>().join(" ")),
            ("commands", words(&self.commands)),
            ("class", class.map_or_else(String::new, |it| it.1.to_owned())),
            ("dbs", dbs.join(" ")),
            ("users", words(&self.users)),
            ("clients", words(&self.clients)),
            ("listeners", words(&self.listeners)),
        ];
        let said: Vec<String> = said
            .into_iter()
            .filter(|(_, words)| !words.is_empty())
            .map(|(name, words)| format!("{name} {words}"))
            .collect();
        f.write_str(if said.is_empty() { "everything" } else { "" })?;
        f.write_str(&said.join(", "))
    }
}

/// A word that is empty, or would look like several, in quotes.
fn words(all: &[String]) -> String {
    let word = |it: &String| match it.is_empty() || it.contains([' ', ',', ')']) {
        true => format!("{it:?}"),
        false => it.clone(),
    };
    all.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedRequest;

    fn all(words: &[&str]) -> Vec<String> {
        words.iter().map(|it| it.to_string()).collect()
    }

    fn suits(rule: &Match, class: Class, client: &str) -> bool {
        let owned = OwnedRequest::of(["GET", "k"]);
        let (command, group, keys, request) = ("GET", Group::String, Keys::READ, owned.borrow());
        let (db, user, listener) = (0, "default", "main");
        let ask = Question { command, class, group, keys, request, db, user, client, listener };
        rule.suits(&ask)
    }

    #[test]
    fn a_client_is_known_by_the_name_it_gives_itself() {
        let reports = Match { clients: all(&["report-*", "bi"]), ..Match::default() };
        assert!(suits(&reports, Class::Read, "report-7") && suits(&reports, Class::Read, "bi"));
        assert!(!suits(&reports, Class::Read, "") && !suits(&reports, Class::Read, "Report-7"));
        for any in ["*", ""] {
            let rule = Match { clients: all(&[any]), ..Match::default() };
            assert!(suits(&rule, Class::Read, ""), "{any:?} is for those without a name");
            assert_eq!(suits(&rule, Class::Read, "x"), any == "*");
        }
    }

    #[test]
    fn a_class_is_reads_or_writes() {
        let writes = Match { class: Some(Class::Write), ..Match::default() };
        assert!(suits(&writes, Class::Write, "") && !suits(&writes, Class::Read, ""));
        assert!(suits(&Match::default(), Class::Write, ""));
    }

    #[test]
    fn criteria_are_told_as_the_file_names_them() {
        assert_eq!(Match::default().to_string(), "everything");
        let rule = Match {
            keys: all(&["a:*", "b c"]),
            groups: vec![Group::Hash, Group::List],
            commands: all(&["object"]),
            class: Some(Class::Read),
            dbs: vec![1, 2],
            users: all(&["u"]),
            clients: all(&["", "report-*"]),
            listeners: all(&["main"]),
        };
        assert_eq!(
            rule.to_string(),
            "keys a:* \"b c\", groups hash list, commands object, class read, dbs 1 2, users u, \
             clients \"\" report-*, listeners main"
        );
    }

    #[test]
    fn users_and_listeners_are_those_that_are_named() {
        let of_user = |it: &[&str]| Match { users: all(it), ..Match::default() };
        let of_listener = |it: &[&str]| Match { listeners: all(it), ..Match::default() };
        assert!(suits(&of_user(&["ann", "default"]), Class::Read, ""));
        assert!(!suits(&of_user(&["ann"]), Class::Read, ""));
        assert!(suits(&of_listener(&["main", "other"]), Class::Read, ""));
        assert!(!suits(&of_listener(&["other"]), Class::Read, ""));
    }
}
