//! Scripts of commands with their replies, which can be written anew.
//!
//! Three words are for servers rather than for the bare engine: a first line `#! not redis: reason`
//! keeps a script from a real Redis, `#! since 7.2` before a command keeps that command from it,
//! and what follows an `@` line is for the bare engine only, because no real clock can be set.

#[path = "../../src/engine/verbs/check/format.rs"]
mod format;

pub use format::{Part, Step, escape, words};
use std::fs;
use std::path::PathBuf;

/// A script.
pub struct Script {
    /// Its file name.
    pub name: String,
    /// Why a real Redis answers otherwise, where one does.
    pub not_redis: Option<String>,
    /// All its lines.
    pub parts: Vec<Part>,
}

impl Script {
    /// All scripts of `tests/commands`, by name.
    pub fn all() -> Vec<Script> {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
        let entries = fs::read_dir(&dir).expect("tests/commands is there");
        let mut names: Vec<String> = entries
            .map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|it| it.ends_with(".txt"))
            .collect();
        names.sort();
        names.into_iter().map(|it| Script::read(&it)).collect()
    }

    /// One script of `tests/commands`.
    pub fn read(name: &str) -> Script {
        let text = fs::read_to_string(path(name)).unwrap_or_else(|it| panic!("{name}: {it}"));
        let not_redis = text.strip_prefix("#! not redis:");
        let not_redis = not_redis.map(|it| it.lines().next().unwrap_or("").trim().to_owned());
        Script { name: name.into(), not_redis, parts: format::parts(&text) }
    }

    /// Its commands.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.iter().filter_map(|it| match it {
            Part::Step(step) => Some(step),
            Part::Text(_) => None,
        })
    }

    /// Writes it back.
    pub fn write(&self) {
        let line = |it: &Part| match it {
            Part::Text(text) => format!("{text}\n"),
            Part::Step(step) => format!("> {}\n{}", step.command, step.reply),
        };
        let text: String = self.parts.iter().map(line).collect();
        fs::write(path(&self.name), text).expect("a script can be written");
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(name)
}
