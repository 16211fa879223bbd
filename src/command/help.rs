//! HELP of a container: its subcommands with their grammar, out of their rows.

use super::Spec;
use crate::resp::Reply;

/// Answers the lines of HELP.
pub fn help<'s>(container: &str, subcommands: impl Iterator<Item = &'s Spec>, reply: &mut Reply) {
    let first = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let mut lines = vec![first];
    for spec in subcommands.filter(|it| it.name != "HELP") {
        lines.push(format!("{} {}", spec.name, spec.syntax).trim_end().to_string());
        lines.push(format!("    {}", spec.summary));
    }
    lines.push("HELP".into());
    lines.push("    Print this help.".into());
    reply.array(lines.len());
    lines.iter().for_each(|it| reply.simple(it));
}
