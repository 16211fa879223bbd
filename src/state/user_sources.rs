//! Where users come from and are kept: tables of the config file, or a file of their own.

use super::server::Server;
use crate::acl::{Catalogue, User, UserEdits, Users, UsersFault, parse_file};
use crate::config::{Config, UserTable};
use crate::runtime::{process, replace};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// What SAVE answers that fails: why stands in the log.
const NOT_SAVED: &str = "There was an error trying to save the ACLs. Please check the server logs \
                         for more information";

/// The system's words without its number, as Redis has them.
fn why(error: &io::Error) -> String {
    let told = error.to_string();
    told.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The users that the config file's own file of users tells of.
pub fn read_users(config: &Config, catalogue: &Catalogue) -> Result<Users, String> {
    let name = &config.server.aclfile;
    let path = path_of(config);
    let bytes = process::read_bytes(&path)
        .map_err(|it| format!("Error loading ACLs, opening file '{name}': {}", why(&it)))?;
    parse_file(name, &bytes, catalogue, config.hears_all()).map_err(|it| it.to_string())
}

/// Where the file of users is: one without a path is beside the data, if there is a place for that.
fn path_of(config: &Config) -> PathBuf {
    Path::new(&config.set.disk.dir).join(&config.server.aclfile)
}

/// The user that a table of the config file makes.
fn made(table: &UserTable, config: &Config, catalogue: &Catalogue) -> Result<User, UsersFault> {
    table.user(catalogue, config.hears_all())
}

impl Server {
    /// Lets in the users of the settings from here on: those of the file of users, or those that
    /// the config file itself describes.
    pub fn begin_users(&self, catalogue: &'static Catalogue) -> Result<(), String> {
        self.accounts.catalogue.get_or_init(|| catalogue);
        let settings = self.settings();
        if settings.has_users_file() {
            self.replace_users(0, &read_users(&settings, catalogue)?);
            return Ok(());
        }
        self.take_tables(&settings, &settings.users)
    }

    /// Makes the users anew that these tables describe.
    fn take_tables(&self, settings: &Config, tables: &[UserTable]) -> Result<(), String> {
        let Some(catalogue) = self.accounts.catalogue.get() else { return Ok(()) };
        let made = |it: &UserTable| {
            let user = made(it, settings, catalogue).map_err(|why| why.to_string())?;
            Ok((it.name.clone(), Some(user)))
        };
        let edits = tables.iter().map(made).collect::<Result<UserEdits, String>>()?;
        self.change_users(0, |_| Ok::<UserEdits, String>(edits)).map(drop)
    }

    /// The config file was read again: whom it describes otherwise than before is made anew, whom
    /// it describes no more is removed, and whom only ACL SETUSER has made stays.
    pub(super) fn take_described_users(
        &self,
        before: &Config,
        after: &Config,
    ) -> Result<(), String> {
        if after.has_users_file() {
            return Ok(());
        }
        let known: HashMap<&str, &UserTable> =
            before.users.iter().map(|it| (it.name.as_str(), it)).collect();
        let has_password_changed = before.server.requirepass != after.server.requirepass;
        let is_new = |it: &&UserTable| {
            known.get(it.name.as_str()) != Some(it) || it.is_default() && has_password_changed
        };
        let tables: Vec<UserTable> = after.users.iter().filter(is_new).cloned().collect();
        self.take_tables(after, &tables)?;
        let described: HashSet<&str> = after.users.iter().map(|it| it.name.as_str()).collect();
        let gone: Vec<&UserTable> =
            before.users.iter().filter(|it| !described.contains(it.name.as_str())).collect();
        let change = |users: &Users| {
            let edit = |it: &&UserTable| match it.is_default() {
                true => (it.name.clone(), Some(Users::plain_default(after.server.password()))),
                false => (it.name.clone(), None),
            };
            let is_there = |it: &&&UserTable| users.get(&it.name).is_some();
            Ok::<UserEdits, String>(gone.iter().filter(is_there).map(edit).collect())
        };
        if gone.is_empty() { Ok(()) } else { self.change_users(0, change).map(drop) }
    }

    /// The users that CONFIG REWRITE writes, unless they have a file of their own.
    pub(super) fn users_to_write(&self, settings: &Config) -> Option<(Users, &'static Catalogue)> {
        let catalogue = self.accounts.catalogue.get().filter(|_| !settings.has_users_file())?;
        Some((self.accounts.look(Users::clone), *catalogue))
    }

    /// ACL LOAD: the users of the file take the place of all there are, or nothing changes. Reads a
    /// file: not for a worker that has clients to serve. Answers whether `own` is to be closed.
    pub fn load_users(&self, own: u64, asked_by: &str) -> Result<bool, String> {
        let _alone = self.accounts.at_file.lock();
        let settings = self.settings();
        let catalogue = self.accounts.catalogue.get().copied();
        let users = read_users(&settings, catalogue.ok_or("there are no commands yet")?);
        let users = users.inspect_err(|why| {
            log::error!("event=acl-load-failed by={asked_by} why={}", why.escape_debug());
        })?;
        let closes_own = self.replace_users(own, &users);
        log::info!("event=acl-loaded by={asked_by} users={}", users.all().len());
        Ok(closes_own)
    }

    /// ACL SAVE: writes the users into their file. Writes a file: not for a worker that has clients
    /// to serve.
    pub fn save_users(&self, asked_by: &str) -> Result<(), String> {
        let _alone = self.accounts.at_file.lock();
        let users = self.accounts.look(Users::clone);
        let path = path_of(&self.settings());
        replace::replace_file(&path, &users.file_text()).map_err(|why| {
            let path = path.display();
            log::error!("event=acl-save-failed by={asked_by} file={path} why={why}");
            NOT_SAVED.to_owned()
        })?;
        log::info!("event=acl-saved by={asked_by} users={}", users.all().len());
        Ok(())
    }
}
