//! The reference of all commands as a table in Markdown, made from the command table.

use super::all::table;
use super::context::{Command, Handler};
use crate::command::grammar::shown;
use crate::command::{Flags, Group};
use std::fmt::Write;

/// The reference: `config/docs/command-table.md`.
pub fn command_reference() -> String {
    let mut text = String::from(HEAD);
    for group in Group::ALL {
        let of_group =
            |it: &&Command| it.spec.group == *group && !matches!(it.handler, Handler::Container);
        let mut commands: Vec<&Command> = table().all().iter().filter(of_group).collect();
        commands.sort_by_key(|it| it.name.as_str());
        let _ = write!(text, "\n## {}\n\n{COLUMNS}", group.name());
        commands.iter().for_each(|it| add(&mut text, it));
    }
    text
}

const HEAD: &str = "\
# Commands

<!-- Made by `entourage command-reference`; a test fails when it differs from the code. -->

Who serves a command decides where it goes: what a **replica** may serve goes to one that is fresh
enough for the level of the read, what changes data goes to the **master**, and what is about the
connection or the proxy is answered by the **proxy** itself. *since* is the version of Redis, or of
Entourage in the group `proxy`, that brought it.
";

const COLUMNS: &str = "| command | arguments | since | served by |\n|---|---|---|---|\n";

fn add(text: &mut String, command: &Command) {
    let name = command.upper_name.replace('|', " ");
    let syntax = shown(command.spec.syntax).replace('|', "\\|");
    let arguments = if syntax.is_empty() { String::new() } else { format!("`{syntax}`") };
    let (since, served_by) = (command.spec.since, served_by(command));
    let _ = writeln!(text, "| `{name}` | {arguments} | {since} | {served_by} |");
}

fn served_by(command: &Command) -> &'static str {
    match command.handler {
        Handler::Read(_) if command.spec.flags.contains(Flags::AT_MASTER) => "master",
        Handler::Read(_) => "replica",
        Handler::Write(_) => "master",
        Handler::Blocking(_) => "master, may wait",
        Handler::ReadOrWait { .. } => "replica; master when it may wait",
        Handler::Either { .. } => "master; replica when it changes nothing",
        Handler::Session(_) | Handler::Container => "proxy",
        Handler::Script(it) if it.reads_only => "replica",
        Handler::Script(_) => "master; replica when it says no-writes",
        Handler::Prefix => "as the command behind it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../config/docs/command-table.md");

    #[test]
    fn the_reference_is_what_the_table_says() {
        let how = "entourage command-reference > config/docs/command-table.md";
        assert!(FILE == command_reference(), "{how}");
    }

    #[test]
    fn every_command_has_one_row() {
        let reference = command_reference();
        let rows: Vec<&str> = reference.lines().filter(|it| it.starts_with("| `")).collect();
        let is_row = |it: &&Command| !matches!(it.handler, Handler::Container);
        assert_eq!(rows.len(), table().all().iter().filter(is_row).count());
        for row in rows {
            let columns = row.replace("\\|", "").matches('|').count();
            assert_eq!(columns, 5, "{row}");
        }
    }
}
