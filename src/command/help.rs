//! HELP of a container: its subcommands with their grammar, out of their rows.

use super::Spec;
use super::grammar::shown;
use crate::resp::Reply;

/// Answers the lines of HELP.
pub fn help<'s>(container: &str, subcommands: impl Iterator<Item = &'s Spec>, reply: &mut Reply) {
    let first = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let mut lines = vec![first];
    for spec in subcommands.filter(|it| it.name != "HELP") {
        lines.push(format!("{} {}", spec.name, marked(&shown(spec.syntax))).trim_end().to_string());
        lines.push(format!("    {}", spec.summary));
    }
    lines.push("HELP".into());
    lines.push("    Prints this help.".into());
    reply.array(lines.len());
    lines.iter().for_each(|it| reply.simple(it));
}

/// A grammar as HELP shows it: what is to be replaced stands in angle brackets.
fn marked(syntax: &str) -> String {
    let is_word = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
    let mut marked = String::new();
    for part in syntax.split_inclusive(|it| !is_word(it)) {
        let word = part.trim_end_matches(|it| !is_word(it));
        match word.contains(|it: char| it.is_lowercase()) && !marked.ends_with('<') {
            true => marked += &format!("<{word}>{}", &part[word.len()..]),
            false => marked += part,
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_replaced_stands_in_angle_brackets() {
        assert_eq!(marked("key [SAMPLES count]"), "<key> [SAMPLES <count>]");
        assert_eq!(marked("<0 | 1> ON | OFF unix-time"), "<0 | 1> ON | OFF <unix-time>");
        assert_eq!(marked(""), "");
    }
}
