//! CONFIG REWRITE of users: the tables `[[user]]` of those who are other than the file says.

use super::rewrite::{keep_comments, put, take_trailing, written};
use super::{Config, Rewrite};
use crate::acl::{Catalogue, User, Users};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

/// The key that stands for all users.
pub const USERS: &str = "user";

impl Rewrite<'_> {
    /// The file of this text with the users that there are. `None` when it says them already, and
    /// refused when they were changed at run time and in the file.
    pub fn users(
        &self,
        text: &str,
        users: &Users,
        catalogue: &Catalogue,
    ) -> Result<Option<String>, String> {
        let described = described(self.file, self.running, catalogue)?;
        let names = described.all().chain(users.all()).map(|it| it.name());
        let told = |users: &Users, name: &str| users.get(name).map(|it| it.text());
        let mut changed = names.filter(|it| told(&described, it) != told(users, it)).peekable();
        if changed.peek().is_none() {
            return Ok(None);
        }
        if self.file.users != self.read.users {
            return Err(
                "user was changed by ACL SETUSER and in the file since it was read: PROXY \
                        RELOAD takes what the file says now"
                    .to_owned(),
            );
        }
        let mut document: DocumentMut = text.parse().map_err(|why| format!("{why}"))?;
        self.put_users(&mut document, users, &described)?;
        Ok(Some(written(&document, text)))
    }

    fn put_users(
        &self,
        document: &mut DocumentMut,
        users: &Users,
        described: &Users,
    ) -> Result<(), String> {
        let mut before = match document.get(USERS) {
            None => Vec::new(),
            Some(Item::ArrayOfTables(tables)) => tables.iter().cloned().collect::<Vec<Table>>(),
            Some(_) => {
                return Err("users can only be written where each has a table, [[user]]".to_owned());
            }
        };
        let kept: Vec<bool> =
            self.file.users.iter().map(|it| users.get(&it.name).is_some()).collect();
        keep_comments(document, &mut before, &kept);
        let mut tables = ArrayOfTables::new();
        for ((mut table, said), _) in
            before.into_iter().zip(&self.file.users).zip(kept).filter(|it| it.1)
        {
            let Some(user) = users.get(&said.name) else { continue };
            let was = described.get(&said.name);
            if was.is_none_or(|it| it.text() != user.text()) {
                put(&mut table, "rules", rules(user)?.into());
            }
            tables.push(table);
        }
        let is_said = |it: &User| self.file.users.iter().any(|said| said.name == it.name());
        let is_plain =
            |it: &User| described.get(it.name()).is_some_and(|was| was.text() == it.text());
        for user in users.all().filter(|it| !is_said(it) && !is_plain(it)) {
            let mut table = Table::new();
            put(&mut table, "name", user.name().into());
            put(&mut table, "rules", rules(user)?.into());
            tables.push(table);
        }
        if tables.is_empty() {
            document.remove(USERS);
        } else if document.contains_key(USERS) {
            document[USERS] = Item::ArrayOfTables(tables);
        } else {
            take_trailing(document, tables.get_mut(0));
            document.insert(USERS, Item::ArrayOfTables(tables));
        }
        Ok(())
    }
}

/// The users that a start with this file would have. The password of the default user is the one in
/// force, which is written where it belongs.
fn described(file: &Config, running: &Config, catalogue: &Catalogue) -> Result<Users, String> {
    let mut users = Users::new(running.server.password());
    for table in &file.users {
        users.put(table.user(catalogue, running.hears_all()).map_err(|why| why.to_string())?);
    }
    Ok(users)
}

/// A user's rules as a table has them.
fn rules(user: &User) -> Result<String, String> {
    String::from_utf8(user.rules_text())
        .map_err(|_| format!("a rule of user {} is no text: ACL SAVE can write it", user.name()))
}
