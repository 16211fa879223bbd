//! The command that a worker has looked up last: the next request is often for the same.

use crate::command::Fault;
use crate::commands::{Command, table};
use crate::resp::Request;

/// Longest name that is remembered.
const NAME_BYTES_MAX: usize = 16;

/// A command and the very bytes that it was called by.
#[derive(Default)]
pub struct RecentCommand {
    name: [u8; NAME_BYTES_MAX],
    len: usize,
    command: Option<&'static Command>,
}

impl RecentCommand {
    /// The command of a request, whose arity fits: as [`crate::commands::Table::find`].
    // Scripts look up, too: left to itself, that costs every other request a call.
    #[inline(always)]
    pub fn find(&mut self, request: Request<'_>) -> Result<&'static Command, Fault> {
        let name = request.get(0).unwrap_or_default();
        if let Some(command) = self.command
            && *name == self.name[..self.len]
            && command.spec.arity.fits(request.len())
        {
            return Ok(command);
        }
        self.look_up(name, request)
    }

    /// Whether that one is never long; not known of a subcommand.
    pub fn is_quick(&self) -> bool {
        self.command.is_some_and(|it| it.is_quick)
    }

    #[inline(never)]
    fn look_up(&mut self, name: &[u8], request: Request<'_>) -> Result<&'static Command, Fault> {
        let command = table().find(request)?;
        // A container's subcommand is in its second word.
        if command.words == 1 && command.subcommands.is_empty() && name.len() <= NAME_BYTES_MAX {
            self.name[..name.len()].copy_from_slice(name);
            self.len = name.len();
            self.command = Some(command);
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedRequest;

    #[test]
    fn what_was_looked_up_last_changes_no_answer() {
        let mut recent = RecentCommand::default();
        let lines = ["GET a", "GET a", "get b", "GET", "GET a b", "SET a 1", "GETT a", "CLIENT ID"];
        let more =
            ["CLIENT", "CLIENT LIST", "CONFIG GET a", "INFO", "INFO memory", "MEMORY USAGE a"];
        for line in lines.iter().chain(&more).cycle().take(60) {
            let owned = OwnedRequest::of(line.split(' '));
            let told = |it: Result<&Command, Fault>| {
                it.map(|it| it.name.clone()).map_err(|it| it.to_string())
            };
            let found = told(recent.find(owned.borrow()));
            assert_eq!(found, told(table().find(owned.borrow())), "{line}");
        }
    }
}
