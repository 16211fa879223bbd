//! The answer of HELP, for every container.

use crate::resp::Reply;

/// Subcommands with their arguments, and what each does. HELP itself is added.
pub fn help(reply: &mut Reply, container: &str, lines: &[(&str, &str)]) {
    let own = ("HELP", "Answers these lines.");
    reply.array(1 + 2 * (lines.len() + 1));
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (words, meaning) in lines.iter().chain([&own]) {
        reply.simple(words);
        reply.simple(&format!("    {meaning}"));
    }
}
