//! What clients of MONITOR are shown: each command that was executed, behind what it has called
//! itself when it is EXEC, and before that when it is a script.

use super::caller::Caller;
use crate::command::Flags;
use crate::commands::{Command, without_secrets};
use crate::resp::Request;

/// Who has called a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CalledBy {
    /// The client itself.
    Client,
    /// A script of its.
    Script,
}

impl Caller {
    /// Shows a command, unless nobody wants to see it or nobody is to.
    #[inline]
    pub fn show(&self, command: &Command, request: Request<'_>, by: CalledBy) {
        if self.server.monitors.are_any() {
            self.show_to_monitors(command, request, by);
        }
    }

    #[cold]
    fn show_to_monitors(&self, command: &Command, request: Request<'_>, by: CalledBy) {
        if command.spec.flags.contains(Flags::ADMIN) {
            return;
        }
        let peer = &self.client.peer;
        let unix;
        let who = match by {
            CalledBy::Script => "lua",
            CalledBy::Client if peer.is_unix => {
                unix = format!("unix:{}", peer.local_address);
                &unix
            }
            CalledBy::Client => &peer.address,
        };
        let words = without_secrets(command, request);
        self.server.monitors.show(self.session.db, who, words);
    }
}
