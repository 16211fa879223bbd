//! The one table of all commands: the engine's families, then the proxy's own.

use super::context::{SessionRow, SessionRun, SessionVerb};
use super::verbs;
use crate::command::{Class, Fault, Lookup, Spec, echo};
use crate::engine;
use crate::engine::{ReadVerb, Row, WriteVerb};
use crate::resp::Request;
use std::sync::OnceLock;

/// What runs a command. The kind decides where it may go.
#[derive(Clone, Copy)]
pub enum Handler {
    /// At any member.
    Read(ReadVerb),
    /// At the master.
    Write(WriteVerb),
    /// A read or a write, depending on its arguments.
    Either { write: WriteVerb, read: ReadVerb, is_read: fn(Request<'_>) -> bool },
    /// At the proxy.
    Session(SessionVerb),
    /// Where the command goes that it stands in front of.
    Prefix,
    /// Nowhere: a container of subcommands.
    Container,
}

/// A command or subcommand, with its number.
pub struct Command {
    /// Its place in the table.
    pub id: u16,
    /// Lower-case, `container|subcommand` for a subcommand: what errors and statistics call it.
    pub name: String,
    /// Upper-case, as route rules write it.
    pub upper_name: String,
    /// What is known without running it.
    pub spec: Spec,
    /// What runs it.
    pub handler: Handler,
    /// Whether its time may be measured with its neighbours'.
    pub is_quick: bool,
    /// Numbers of its subcommands.
    pub subcommands: Vec<u16>,
    /// Words before the arguments: 1, or 2 for a subcommand.
    pub words: usize,
    index: Lookup,
}

impl Command {
    /// Whether this request reads or writes.
    #[inline]
    pub fn class(&self, request: Request<'_>) -> Class {
        match self.handler {
            Handler::Either { is_read, .. } if is_read(request) => Class::Read,
            Handler::Either { .. } => Class::Write,
            _ => self.spec.class,
        }
    }
}

/// All commands, and how to find one.
pub struct Table {
    commands: Vec<Command>,
    index: Lookup,
    top: Vec<u16>,
}

/// The table.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::build)
}

impl Table {
    fn build() -> Table {
        let mut table = Table { commands: Vec::new(), index: Lookup::default(), top: Vec::new() };
        engine::verbs::rows().for_each(|row| table.add_engine_row(row));
        verbs::rows().for_each(|row| table.add_session_row(row));
        let names: Vec<&'static str> =
            table.top.iter().map(|it| table.get(*it).spec.name).collect();
        table.index = Lookup::of(names.into_iter());
        table
    }

    fn add_engine_row(&mut self, row: &'static Row) {
        let id = self.add(row.spec, engine_handler(row), None);
        self.top.push(id);
        let engine::Run::Container(rows) = row.run else { return };
        let ids = rows.iter().map(|it| self.add(it.spec, engine_handler(it), Some(row.spec.name)));
        let ids: Vec<u16> = ids.collect();
        self.add_subcommands(id, ids);
    }

    fn add_session_row(&mut self, row: &'static SessionRow) {
        // MEMORY asks members for one thing and the proxy for the others.
        let same = self.top.iter().copied().find(|it| self.get(*it).spec.name == row.spec.name);
        let id = same.unwrap_or_else(|| {
            let id = self.add(row.spec, session_handler(row), None);
            self.top.push(id);
            id
        });
        let SessionRun::Container { rows, .. } = row.run else { return };
        let ids = rows.iter().map(|it| self.add(it.spec, session_handler(it), Some(row.spec.name)));
        let ids: Vec<u16> = ids.collect();
        self.add_subcommands(id, ids);
    }

    fn add_subcommands(&mut self, container: u16, more: Vec<u16>) {
        let mut ids = self.get(container).subcommands.clone();
        ids.extend(more);
        let names: Vec<&'static str> = ids.iter().map(|it| self.get(*it).spec.name).collect();
        let command = &mut self.commands[usize::from(container)];
        command.index = Lookup::of(names.into_iter());
        command.subcommands = ids;
    }

    fn add(&mut self, spec: Spec, handler: Handler, container: Option<&str>) -> u16 {
        let id = self.commands.len() as u16;
        let upper_name = match container {
            Some(container) => format!("{container}|{}", spec.name),
            None => spec.name.to_string(),
        };
        self.commands.push(Command {
            id,
            name: upper_name.to_lowercase(),
            upper_name,
            spec,
            handler,
            is_quick: spec.complexity.starts_with("O(1)"),
            subcommands: Vec::new(),
            words: 1 + usize::from(container.is_some()),
            index: Lookup::default(),
        });
        id
    }

    /// Command number `id`.
    #[inline]
    pub fn get(&self, id: u16) -> &Command {
        &self.commands[usize::from(id)]
    }

    /// All commands and subcommands, by number.
    pub fn all(&self) -> &[Command] {
        &self.commands
    }

    /// Commands that are not subcommands.
    pub fn top(&self) -> impl ExactSizeIterator<Item = &Command> {
        self.top.iter().map(|it| self.get(*it))
    }

    /// The command of this name, in any case; `name|sub` finds a subcommand.
    pub fn named(&self, name: &[u8]) -> Option<&Command> {
        let mut words = name.splitn(2, |it| *it == b'|');
        let command = self.get(self.top[usize::from(self.index.find(words.next()?)?)]);
        match words.next() {
            Some(sub) => command.index.find(sub).map(|it| self.sub(command, it)),
            None => Some(command),
        }
    }

    /// The command of a request, whose arity fits.
    #[inline]
    pub fn find(&self, request: Request<'_>) -> Result<&Command, Fault> {
        let command = self.locate(request)?;
        let is_bare = matches!(command.handler, Handler::Container);
        if is_bare || !command.spec.arity.fits(request.len()) {
            return Err(Fault::WrongArity(command.name.clone()));
        }
        Ok(command)
    }

    /// The command that was found, and refused for its arguments.
    pub fn misused(&self, fault: &Fault) -> Option<&Command> {
        match fault {
            Fault::WrongArity(name) => self.named(name.as_bytes()),
            _ => None,
        }
    }

    /// The command of a request, however many arguments it has.
    #[inline]
    pub fn locate(&self, request: Request<'_>) -> Result<&Command, Fault> {
        let name = request.get(0).unwrap_or_default();
        let Some(place) = self.index.find(name) else { return Err(unknown(request)) };
        let command = self.get(self.top[usize::from(place)]);
        if command.subcommands.is_empty() || request.len() <= 1 {
            return Ok(command);
        }
        self.find_sub(command, request)
    }

    fn find_sub(&self, container: &Command, request: Request<'_>) -> Result<&Command, Fault> {
        let given = request.get(1).unwrap_or_default();
        let found = container.index.find(given);
        found.map(|it| self.sub(container, it)).ok_or_else(|| Fault::UnknownSubcommand {
            given: echo(given).into_owned(),
            container: container.spec.name,
        })
    }

    fn sub(&self, container: &Command, place: u16) -> &Command {
        self.get(container.subcommands[usize::from(place)])
    }
}

fn engine_handler(row: &Row) -> Handler {
    match row.run {
        engine::Run::Read(verb) => Handler::Read(verb),
        engine::Run::Write(verb) => Handler::Write(verb),
        engine::Run::Either { write, read, is_read } => Handler::Either { write, read, is_read },
        engine::Run::Container(_) => Handler::Container,
    }
}

fn session_handler(row: &SessionRow) -> Handler {
    match row.run {
        SessionRun::Verb(verb) | SessionRun::Container { bare: Some(verb), .. } => {
            Handler::Session(verb)
        }
        SessionRun::Prefix => Handler::Prefix,
        SessionRun::Container { bare: None, .. } => Handler::Container,
    }
}

/// Redis' text: the name and the beginnings of the arguments, at most 128 bytes of each.
fn unknown(request: Request<'_>) -> Fault {
    const SHOWN_BYTES_MAX: usize = 128;
    let mut words = request.iter();
    let name = echo(words.next().unwrap_or_default());
    let mut args = String::new();
    for arg in words {
        if SHOWN_BYTES_MAX <= args.len() {
            break;
        }
        let room = SHOWN_BYTES_MAX - args.len();
        args.push_str(&format!("'{}' ", echo(&arg[..arg.len().min(room)])));
    }
    Fault::UnknownCommand(format!("ERR unknown command '{name}', with args beginning with: {args}"))
}
