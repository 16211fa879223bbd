//! A session verb's call: what it may look at and change, the table it stands in included.

use super::outcome::Outcome;
use super::table;
use crate::acl::Categories;
use crate::base::ids::CommandId;
use crate::base::lowered::long_elements;
use crate::base::time::{Clock, MonoUs};
use crate::command::{Args, Class, Fault};
use crate::engine::{BlockingVerb, ReadVerb, WriteVerb};
use crate::resp::{OwnedRequest, Reply, Request};
use crate::session::Session;
use crate::state::{Client, Server};
use std::sync::Arc;

/// All that a session verb sees.
pub struct CommandContext<'t> {
    /// All commands.
    pub table: &'static Table,
    /// What all connections share.
    pub server: &'t Arc<Server>,
    /// The connection's own memory.
    pub session: &'t mut Session,
    /// What others may know of the connection.
    pub client: &'t Arc<Client>,
    /// Name of the listener it came in by.
    pub listener: &'t str,
    /// The listener's own level.
    pub listener_level: Option<crate::route::Level>,
    /// Arguments behind the name.
    pub args: Args<'t>,
    /// Where the answer goes.
    pub reply: &'t mut Reply,
    /// When the batch began.
    pub now: MonoUs,
    /// The clocks, for what must not be as of when the batch began.
    pub clock: &'t dyn Clock,
    /// Whether nobody else waits for this thread, or what is long cannot go elsewhere.
    pub works_long: bool,
}

impl CommandContext<'_> {
    /// Whether something that touches so many elements is for a thread for long work.
    pub fn is_too_long(&self, elements: usize) -> bool {
        !self.works_long && long_elements() < elements
    }

    /// The request, for after its verb.
    pub fn kept_request(&self) -> OwnedRequest {
        OwnedRequest::of(self.args.request().iter())
    }
}

/// Talks to the proxy itself.
pub type SessionVerb = fn(&mut CommandContext<'_>) -> Result<Outcome, Fault>;

/// How a command says which script it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScriptBy {
    /// By its text.
    Text,
    /// By the SHA-1 of its text.
    Sha,
    /// By the name of a function.
    Function,
}

/// A command that runs a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScriptRun {
    /// How it says which.
    pub by: ScriptBy,
    /// Whether the script may only read.
    pub reads_only: bool,
}

/// What runs a command. The kind decides where it may go.
#[derive(Clone, Copy)]
pub enum Handler {
    /// At any member.
    Read(ReadVerb),
    /// At the master.
    Write(WriteVerb),
    /// At the master, where it may wait for keys.
    Blocking(BlockingVerb),
    /// A read, or at the master where it may wait for keys, depending on its arguments.
    ReadOrWait { wait: BlockingVerb, read: ReadVerb, is_read: fn(Request<'_>) -> bool },
    /// A read or a write, depending on its arguments.
    Either { write: WriteVerb, read: ReadVerb, is_read: fn(Request<'_>) -> bool },
    /// At the proxy.
    Session(SessionVerb),
    /// A script, at the master unless it only reads.
    Script(ScriptRun),
    /// Where the command goes that it stands in front of.
    Prefix,
    /// Nowhere: a container of subcommands.
    Container,
}

/// A command or subcommand, with what runs it.
pub type Command = table::Command<Handler>;
/// All commands.
pub type Table = table::Table<Handler>;

/// The categories that a command is in.
pub fn categories(command: &Command) -> Categories {
    Categories::of(&command.spec, command.is_container()).corrected(&command.name)
}

/// The class of a command by its number, as labels of metrics have it.
pub fn class_name(table: &Table, id: CommandId) -> &'static str {
    table.all().get(usize::from(id.0)).map_or("session", |it| it.spec.class.as_str())
}

impl Command {
    /// Whether this request may change data.
    pub fn is_write(&self, request: Request<'_>) -> bool {
        match self.handler {
            Handler::Write(_) | Handler::Blocking(_) => true,
            Handler::Either { is_read, .. } => !is_read(request),
            Handler::Session(_) => self.may_write(),
            // What it calls is looked at when it does.
            Handler::Script(_) => false,
            Handler::Read(_)
            | Handler::ReadOrWait { .. }
            | Handler::Prefix
            | Handler::Container => false,
        }
    }

    /// Whether requests of this name may write, whether one does or not: real replicas refuse them
    /// all.
    #[inline]
    pub fn may_write(&self) -> bool {
        self.spec.class == Class::Write
    }

    /// Whether this request reads or writes.
    #[inline]
    pub fn class(&self, request: Request<'_>) -> Class {
        match self.handler {
            Handler::Either { is_read, .. } if is_read(request) => Class::Read,
            Handler::Either { .. } => Class::Write,
            _ => self.spec.class,
        }
    }

    /// What runs this request if it may wait for keys.
    pub fn blocking_verb(&self, request: Request<'_>) -> Option<BlockingVerb> {
        match self.handler {
            Handler::Blocking(verb) => Some(verb),
            Handler::ReadOrWait { wait, is_read, .. } => (!is_read(request)).then_some(wait),
            _ => None,
        }
    }

    /// Whether it runs a script.
    pub fn runs_script(&self) -> bool {
        matches!(self.handler, Handler::Script(_))
    }

    /// Whether it only holds subcommands.
    pub fn is_container(&self) -> bool {
        matches!(self.handler, Handler::Container)
    }
}
