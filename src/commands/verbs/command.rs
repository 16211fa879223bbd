//! COMMAND: what the table says of itself.

mod describe;
mod docs;

use super::help::help;
use crate::acl::Categories;
use crate::base::glob;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Fault, Flags, Group};
use crate::commands::{
    Command, CommandContext, Outcome, SessionRow, categories, key_places, session_container,
    session_row,
};
use crate::resp::OwnedRequest;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const ALL: &str = "O(N) where N is the number of commands";
const NAMED: &str = "O(N) where N is the number of commands that are asked for";

/// The family's rows.
pub const ROWS: &[SessionRow] = &[session_container("COMMAND", SUBCOMMANDS)
    .alone(all)
    .says(Group::Connection, "2.8.13", ALL, "Describes all commands.", "")
    .flags(ANYTIME)
    .tips(UNORDERED)];

const SUBCOMMANDS: &[SessionRow] = &[
    session_row("COUNT", Exactly(2), ANYTIME, count).says(
        Group::Connection,
        "2.8.13",
        "O(1)",
        "Counts the commands.",
        "",
    ),
    session_row("LIST", AtLeast(2), ANYTIME, list)
        .says(
            Group::Connection,
            "7.0.0",
            ALL,
            "Names the commands.",
            "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
        )
        .tips(UNORDERED),
    session_row("INFO", AtLeast(2), ANYTIME, info)
        .says(
            Group::Connection,
            "2.8.13",
            NAMED,
            "Describes commands to clients.",
            "[command-name [command-name ...]]",
        )
        .tips(UNORDERED),
    session_row("DOCS", AtLeast(2), ANYTIME, docs)
        .says(
            Group::Connection,
            "7.0.0",
            NAMED,
            "Describes commands to people.",
            "[command-name [command-name ...]]",
        )
        .tips(UNORDERED),
    session_row("GETKEYS", AtLeast(4), ANYTIME, get_keys).says(
        Group::Connection,
        "2.8.13",
        "O(N) where N is the number of arguments",
        "Answers the keys of a command.",
        "command [arg [arg ...]]",
    ),
    session_row("GETKEYSANDFLAGS", AtLeast(4), ANYTIME, get_keys_and_flags).says(
        Group::Connection,
        "7.0.0",
        "O(N) where N is the number of arguments",
        "Answers the keys of a command, and what it does to them.",
        "command [arg [arg ...]]",
    ),
    help(Group::Connection, "5.0.0"),
];

fn all(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.array(context.table.top().len());
    context.table.top().for_each(|it| describe::describe(context.reply, context.table, it));
    Ok(Outcome::Answered)
}

fn count(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    context.reply.count(context.table.top().len());
    Ok(Outcome::Answered)
}

fn info(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if context.args.left() == 0 {
        return all(context);
    }
    context.reply.array(context.args.left());
    for name in context.args.rest() {
        match context.table.named(name) {
            Some(command) => describe::describe(context.reply, context.table, command),
            None => context.reply.null(),
        }
    }
    Ok(Outcome::Answered)
}

fn docs(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let commands: Vec<&Command> = match context.args.left() {
        0 => context.table.top().collect(),
        _ => context.args.rest().filter_map(|it| context.table.named(it)).collect(),
    };
    context.reply.map(commands.len());
    for command in commands {
        context.reply.bulk(command.name.as_bytes());
        docs::document(context.reply, context.table, command);
    }
    Ok(Outcome::Answered)
}

/// Which commands COMMAND LIST names.
enum Filter<'a> {
    All,
    Module,
    Category(&'a [u8]),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn fits(&self, command: &Command) -> bool {
        match self {
            Filter::All => true,
            // We have no modules, so no command is of one.
            Filter::Module => false,
            Filter::Category(name) => {
                Categories::named(name).is_some_and(|it| categories(command).contains(it))
            }
            Filter::Pattern(pattern) => {
                glob::matches(pattern, command.name.as_bytes(), glob::Case::Folded)
            }
        }
    }
}

fn list(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let filter = filter(context)?;
    let named: Vec<&Command> = context.table.all().iter().filter(|it| filter.fits(it)).collect();
    context.reply.array(named.len());
    named.iter().for_each(|it| context.reply.bulk(it.name.as_bytes()));
    Ok(Outcome::Answered)
}

fn filter<'a>(context: &mut CommandContext<'a>) -> Result<Filter<'a>, Fault> {
    let args = &mut context.args;
    if args.left() == 0 {
        return Ok(Filter::All);
    }
    if args.left() != 3 || !args.word("FILTERBY") {
        return Err(Fault::Syntax);
    }
    if args.word("MODULE") {
        Ok(Filter::Module)
    } else if args.word("ACLCAT") {
        args.next().map(Filter::Category)
    } else if args.word("PATTERN") {
        args.next().map(Filter::Pattern)
    } else {
        Err(Fault::Syntax)
    }
}

fn get_keys(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (request, places) = asked_keys(context)?;
    context.reply.array(places.len());
    for (place, _) in places {
        context.reply.bulk(request.borrow().get(place).unwrap_or_default());
    }
    Ok(Outcome::Answered)
}

fn get_keys_and_flags(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (request, places) = asked_keys(context)?;
    context.reply.array(places.len());
    for (place, access) in places {
        let words: Vec<&str> =
            access.0.iter().copied().filter(|it| !it.starts_with("variable")).collect();
        context.reply.array(2);
        context.reply.bulk(request.borrow().get(place).unwrap_or_default());
        context.reply.set(words.len());
        words.iter().for_each(|it| context.reply.simple(it));
    }
    Ok(Outcome::Answered)
}

/// The command that is asked about, and where its keys stand.
fn asked_keys(
    context: &mut CommandContext<'_>,
) -> Result<(OwnedRequest, Vec<(usize, Access)>), Fault> {
    let request = OwnedRequest::of(context.args.rest());
    let command = context.table.locate(request.borrow());
    let command = command.map_err(|_| Fault::Static("ERR Invalid command specified"))?;
    if command.spec.keys.0.iter().all(|it| it.access == Access::CHANNEL) {
        return Err(Fault::Static("ERR The command has no key arguments"));
    }
    if !command.spec.arity.fits(request.borrow().len()) {
        return Err(Fault::Static("ERR Invalid number of arguments specified for command"));
    }
    let may_have_none = command.spec.flags.contains(Flags::NO_MANDATORY_KEYS);
    let counts_none = command.spec.keys.are_counted_none(request.borrow());
    let places = match key_places(command, request.borrow()) {
        Err(_) if may_have_none => Vec::new(),
        Ok(places) if (counts_none || places.is_empty()) && !may_have_none => {
            return Err(Fault::Static("ERR Invalid arguments specified for command"));
        }
        places => places?,
    };
    Ok((request, places))
}
