//! HELP of a container: its subcommands with their grammar, out of the table.

use crate::admin::{After, Turn, table};
use crate::command::Fault;

/// Answers HELP of the container that the request names.
pub fn help(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let container = turn.args.request().get(0).unwrap_or_default();
    let Some(container) = table().named(container) else { return Err(Fault::Syntax) };
    let name = container.spec.name;
    let subcommands = container.subcommands.iter().map(|it| &table().get(*it).spec);
    let mut lines =
        vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    for spec in subcommands.filter(|it| it.name != "HELP") {
        lines.push(format!("{} {}", spec.name, spec.syntax).trim_end().to_string());
        lines.push(format!("    {}", spec.summary));
    }
    lines.push("HELP".into());
    lines.push("    Print this help.".into());
    turn.reply.array(lines.len());
    lines.iter().for_each(|it| turn.reply.simple(it));
    Ok(After::Answered)
}
