//! HELP of a container, out of the table.

use crate::command;
use crate::command::Arity::Exactly;
use crate::command::{Fault, Flags, Group};
use crate::commands::{CommandContext, Outcome, SessionRow, session_row};

/// Its row among a container's.
pub const fn help(group: Group, since: &'static str) -> SessionRow {
    session_row("HELP", Exactly(2), Flags::LOADING.union(Flags::STALE), tell).says(
        group,
        since,
        "O(1)",
        "Lists the subcommands.",
        "",
    )
}

/// Answers HELP of the container that the request names.
fn tell(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let container = context.args.request().get(0).unwrap_or_default();
    let Some(container) = context.table.named(container) else { return Err(Fault::Syntax) };
    let subcommands = container.subcommands.iter().map(|it| &context.table.get(*it).spec);
    command::help(container.spec.name, subcommands, context.reply);
    Ok(Outcome::Answered)
}
