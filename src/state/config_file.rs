//! The config file that the server was started with: read again, and written back.

use crate::acl::{Catalogue, Users};
use crate::base::remote_address::RemoteAddress;
use crate::config::{Checked, Config, REPLICAS, Rewrite, Rewritten, USERS};
use crate::route::MemberConfig;
use crate::runtime::process;
use crate::runtime::replace::replace_text;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Reads the text of a file.
pub type ReadText<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// What a config file comes to, with the flags over it, when its text is read like this. `None` in
/// a server that has no file.
pub type Source = Option<Box<dyn Fn(ReadText<'_>) -> Result<Checked, String> + Send + Sync>>;

/// A config file.
pub struct ConfigFile {
    /// Where it is; empty where there is none.
    name: String,
    source: Source,
    /// What it said when it was read last, or what was written into it since.
    read: Arc<Config>,
}

const NO_FILE: &str = "there is no config file: start with --config FILE to have one";

impl ConfigFile {
    /// The file of this name, which has come to `read`.
    pub fn new(name: String, source: Source, read: Arc<Config>) -> ConfigFile {
        ConfigFile { name, source, read }
    }

    /// What the file says now.
    pub fn read(&self) -> Result<Checked, String> {
        self.source.as_ref().ok_or(NO_FILE)?(&process::read_text)
    }

    /// Whether this master is another than the one that the file said before.
    pub fn says_another_master(&self, master: Option<&RemoteAddress>) -> bool {
        self.read.set.master.as_ref() != master
    }

    /// What the file says is in force.
    pub fn is_in_force(&mut self, read: Arc<Config>) {
        self.read = read;
    }

    /// Writes into the file what was changed at run time. Answers which keys, and what the file
    /// comes to, if there were any. `clamp` is what the machine makes of what a file says.
    pub fn rewrite(
        &mut self,
        running: &Arc<Config>,
        members: &[MemberConfig],
        users: Option<(Users, &Catalogue)>,
        clamp: impl Fn(&mut Config),
    ) -> Result<Option<(Vec<String>, Config)>, String> {
        let source = self.source.as_ref().ok_or(NO_FILE)?;
        let path = Path::new(&self.name);
        let before = process::read_text(path).map_err(|why| format!("{}: {why}", self.name))?;
        let comes_to = |text: &str| {
            let mut config = source(&|_| Ok(text.to_owned()))?.config;
            clamp(&mut config);
            Ok::<Config, String>(config)
        };
        let file = comes_to(&before)?;
        let rewrite = Rewrite { read: &self.read, file: &file, running, members };
        let rewritten = rewrite.text(&before).map_err(|why| format!("{}: {why}", self.name))?;
        let Rewritten { mut text, mut keys } = rewritten;
        if let Some((users, catalogue)) = users {
            let with_users = rewrite.users(&text, &users, catalogue);
            if let Some(written) = with_users.map_err(|why| format!("{}: {why}", self.name))? {
                text = written;
                keys.push(USERS.to_owned());
            }
        }
        if keys.is_empty() {
            self.read = running.clone();
            return Ok(None);
        }
        let after = comes_to(&text)
            .map_err(|why| format!("what is in force cannot be in a file: it would say {why}"))?;
        replace_text(path, &before, &text).map_err(|why| format!("{}: {why}", self.name))?;
        let has_members = keys.iter().any(|it| it == REPLICAS);
        // What was written and will not be in force when the file is read again.
        let mut overruled = after.changes(running);
        overruled.retain(|it| it != REPLICAS && it != USERS && keys.contains(it));
        if has_members && after.all_members() != members {
            overruled.push(REPLICAS.to_owned());
        }
        for key in overruled {
            log::warn!("event=config-rewrite-overruled key={key} why=a flag says otherwise");
        }
        let mut read = Config { users: after.users, ..Config::clone(running) };
        if has_members {
            read.members = after.members;
            read.set.replicas = after.set.replicas;
        }
        self.read = Arc::new(read.clone());
        Ok(Some((keys, read)))
    }
}
