//! A table of commands: rows that it is given, and how to find one by its name.
//!
//! What runs a command is left open, since a verb may look at the table it stands in.

use crate::base::ids::CommandId;
use crate::command::{Fault, Lookup, Spec, echo};
use crate::engine::Work;
use crate::resp::Request;

/// A command or subcommand, with its number.
pub struct Command<H> {
    /// Its place in the table.
    pub id: CommandId,
    /// Lower-case, `container|subcommand` for a subcommand: what errors and statistics call it.
    pub name: String,
    /// Upper-case, as route rules write it.
    pub upper_name: String,
    /// What is known without running it.
    pub spec: Spec,
    /// What runs it.
    pub handler: H,
    /// Whether its time may be measured with its neighbours'.
    pub is_quick: bool,
    /// What decides how much it does.
    pub work: Work,
    /// Numbers of its subcommands.
    pub subcommands: Vec<CommandId>,
    /// Words before the arguments: 1, or 2 for a subcommand.
    pub words: usize,
    index: Lookup,
}

/// All commands, and how to find one.
pub struct Table<H> {
    commands: Vec<Command<H>>,
    index: Lookup,
    top: Vec<CommandId>,
}

/// What a table is made of: a command, and its subcommands.
pub struct Entry<H> {
    /// What is known without running it.
    pub spec: Spec,
    /// What runs it.
    pub handler: H,
    /// Its subcommands, if it is a container.
    pub subcommands: Vec<(Spec, H)>,
}

impl<H> Table<H> {
    /// All of these, numbered in this order. Entries of one name are one command: MEMORY asks
    /// members for one thing and the proxy for the others.
    pub fn of(entries: impl Iterator<Item = Entry<H>>) -> Table<H> {
        let mut table = Table { commands: Vec::new(), index: Lookup::default(), top: Vec::new() };
        entries.for_each(|it| table.add_entry(it));
        table.index = Lookup::of(table.top().map(|it| it.spec.name));
        table
    }

    fn add_entry(&mut self, entry: Entry<H>) {
        let container = entry.spec.name;
        let same = self.top.iter().copied().find(|it| self.get(*it).spec.name == container);
        let id = same.unwrap_or_else(|| {
            let id = self.add(entry.spec, entry.handler, None);
            self.top.push(id);
            id
        });
        let more = entry.subcommands.into_iter();
        let more: Vec<CommandId> =
            more.map(|(spec, handler)| self.add(spec, handler, Some(container))).collect();
        let ids = [self.get(id).subcommands.as_slice(), &more].concat();
        let names: Vec<&'static str> = ids.iter().map(|it| self.get(*it).spec.name).collect();
        let command = &mut self.commands[id.index()];
        command.index = Lookup::of(names.into_iter());
        command.subcommands = ids;
    }

    fn add(&mut self, spec: Spec, handler: H, container: Option<&str>) -> CommandId {
        let id = CommandId(self.commands.len() as u16);
        let upper_name = match container {
            Some(container) => format!("{container}|{}", spec.name),
            None => spec.name.to_string(),
        };
        self.commands.push(Command {
            id,
            name: upper_name.to_lowercase(),
            spec,
            handler,
            is_quick: spec.complexity.starts_with("O(1)"),
            work: Work::of(&upper_name),
            upper_name,
            subcommands: Vec::new(),
            words: 1 + usize::from(container.is_some()),
            index: Lookup::default(),
        });
        id
    }

    /// Command number `id`.
    #[inline]
    pub fn get(&self, id: CommandId) -> &Command<H> {
        &self.commands[id.index()]
    }

    /// Lower-case names of all commands and subcommands, by number.
    pub fn names(&self) -> Vec<&str> {
        self.commands.iter().map(|it| it.name.as_str()).collect()
    }

    /// All commands and subcommands, by number.
    pub fn all(&self) -> &[Command<H>] {
        &self.commands
    }

    /// Commands that are not subcommands.
    pub fn top(&self) -> impl ExactSizeIterator<Item = &Command<H>> {
        self.top.iter().map(|it| self.get(*it))
    }

    /// The command of this name, in any case; `name|sub` finds a subcommand.
    pub fn named(&self, name: &[u8]) -> Option<&Command<H>> {
        let mut words = name.splitn(2, |it| *it == b'|');
        let command = self.get(self.top[usize::from(self.index.find(words.next()?)?)]);
        match words.next() {
            Some(sub) => command.index.find(sub).map(|it| self.sub(command, it)),
            None => Some(command),
        }
    }

    /// The command of a request, whose arity fits.
    #[inline]
    pub fn find(&self, request: Request<'_>) -> Result<&Command<H>, Fault> {
        let command = self.locate(request)?;
        if !command.spec.arity.fits(request.len()) {
            return Err(Fault::WrongArity(command.name.clone()));
        }
        Ok(command)
    }

    /// The command that was found, and refused for its arguments.
    pub fn misused(&self, fault: &Fault) -> Option<&Command<H>> {
        match fault {
            Fault::WrongArity(name) => self.named(name.as_bytes()),
            _ => None,
        }
    }

    /// The command of a request, however many arguments it has.
    #[inline]
    pub fn locate(&self, request: Request<'_>) -> Result<&Command<H>, Fault> {
        let name = request.get(0).unwrap_or_default();
        let Some(place) = self.index.find(name) else { return Err(unknown(request)) };
        let command = self.get(self.top[usize::from(place)]);
        if command.subcommands.is_empty() || request.len() <= 1 {
            return Ok(command);
        }
        self.find_sub(command, request)
    }

    fn find_sub(&self, container: &Command<H>, request: Request<'_>) -> Result<&Command<H>, Fault> {
        let given = request.get(1).unwrap_or_default();
        let found = container.index.find(given);
        found.map(|it| self.sub(container, it)).ok_or_else(|| Fault::UnknownSubcommand {
            given: echo(given).into_owned(),
            container: container.spec.name,
        })
    }

    fn sub(&self, container: &Command<H>, place: u16) -> &Command<H> {
        self.get(container.subcommands[usize::from(place)])
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
