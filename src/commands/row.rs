//! A row of the proxy's own commands.

use super::context::{ScriptRun, SessionVerb};
use crate::command::{Arity, Class, Flags, Group, Keys, Row, spec};

/// What runs a session's command.
#[derive(Clone, Copy)]
pub enum SessionRun {
    /// A verb.
    Verb(SessionVerb),
    /// A script.
    Script(ScriptRun),
    /// The request path itself, with the command that the request holds.
    Prefix,
    /// One of the subcommands, or `bare` when none is named.
    Container { rows: &'static [SessionRow], bare: Option<SessionVerb> },
}

/// A row of the session's table.
pub type SessionRow = Row<SessionRun>;

/// A row; [`SessionRow::says`] documents it.
pub const fn session_row(
    name: &'static str,
    arity: Arity,
    flags: Flags,
    verb: SessionVerb,
) -> SessionRow {
    let spec = spec(name, arity, Class::Session, flags, Keys::NONE, Group::Connection);
    SessionRow { spec, run: SessionRun::Verb(verb) }
}

/// A row of a command that runs a script.
pub const fn session_script(
    name: &'static str,
    flags: Flags,
    keys: Keys,
    run: ScriptRun,
) -> SessionRow {
    let class = if run.reads_only { Class::Read } else { Class::Session };
    let spec = spec(name, Arity::AtLeast(3), class, flags, keys, Group::Scripting);
    SessionRow { spec, run: SessionRun::Script(run) }
}

/// A row of a command in front of another.
pub const fn session_prefix(name: &'static str, arity: Arity, flags: Flags) -> SessionRow {
    let spec = spec(name, arity, Class::Session, flags, Keys::NONE, Group::Connection);
    SessionRow { spec, run: SessionRun::Prefix }
}

/// A row that only holds subcommands.
pub const fn session_container(name: &'static str, rows: &'static [SessionRow]) -> SessionRow {
    let arity = Arity::AtLeast(2);
    let spec = spec(name, arity, Class::Session, Flags::NONE, Keys::NONE, Group::Connection);
    SessionRow { spec, run: SessionRun::Container { rows, bare: None } }
}

impl SessionRow {
    /// What runs a container that is called without a subcommand.
    pub const fn alone(mut self, verb: SessionVerb) -> SessionRow {
        self.spec.arity = Arity::AtLeast(1);
        if let SessionRun::Container { bare, .. } = &mut self.run {
            *bare = Some(verb);
        }
        self
    }

    /// More flags: a container's.
    pub const fn flags(mut self, flags: Flags) -> SessionRow {
        self.spec.flags = flags;
        self
    }

    /// It changes data although no member runs it.
    pub const fn writes(mut self) -> SessionRow {
        self.spec.class = Class::Write;
        self
    }

    /// Where its keys stand, for the few that have any.
    pub const fn keys(mut self, keys: Keys) -> SessionRow {
        self.spec.keys = keys;
        self
    }
}
