//! The commands and settings that the guide names within its sentences: each is there.

use super::{documents, root};
use crate::support::Server;
use std::collections::BTreeSet;
use std::fs;

/// First words of what stands behind another command, or is said to another server.
const NOT_COMMANDS: &[&str] = &["ELSE", "NODE", "OVERFLOW", "SENTINEL"];

/// What stands in single backticks outside of blocks.
fn spans(text: &str) -> Vec<String> {
    let outside = text.split("\n```").step_by(2);
    let lines = outside.flat_map(str::lines);
    lines.flat_map(|it| it.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn is_upper(word: &str) -> bool {
    let is_part = |it: char| it.is_ascii_uppercase() || it == '-';
    3 <= word.len() && !word.starts_with('-') && word.chars().all(is_part)
}

#[test]
fn every_command_that_a_sentence_names_is_there() {
    let server = Server::entourage(&[]);
    let mut wire = server.dial();
    let listed = wire.ask("COMMAND LIST");
    let known: BTreeSet<String> =
        listed.list().iter().map(|it| it.string().to_uppercase()).collect();
    let (mut count, mut unknown) = (0, Vec::new());
    // That page is made of the table itself.
    for document in documents().iter().filter(|it| !it.ends_with("command-table.md")) {
        for span in spans(&fs::read_to_string(document).expect("it can be read")) {
            let mut parts = span.split(' ');
            let (first, second) = (parts.next().unwrap_or_default(), parts.next());
            let Some(second) = second.filter(|_| is_upper(first)) else { continue };
            if NOT_COMMANDS.contains(&first) {
                continue;
            }
            let has_subcommands = known.iter().any(|it| it.starts_with(&format!("{first}|")));
            let is_subcommand = has_subcommands && is_upper(second);
            let named = if is_subcommand { format!("{first}|{second}") } else { first.into() };
            let is_setting = first == "CONFIG" && ["GET", "SET"].contains(&second);
            let setting = parts.next().filter(|it| is_setting && !it.contains('…'));
            let mut is_there = |it: &str| !wire.ask(&format!("CONFIG GET {it}")).list().is_empty();
            if !known.contains(&named) || !setting.is_none_or(&mut is_there) {
                unknown.push(format!("{}: {span}", document.display()));
            }
            count += 1;
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(100 <= count, "{count} commands");
}

#[test]
fn every_rule_for_prometheus_has_a_place_in_the_guide() {
    let read = |it: &str| fs::read_to_string(root().join(it)).expect("it can be read");
    let (rules, guide) = (read("config/alerts.yml"), read("config/docs/alerts.md"));
    let named = rules.lines().filter_map(|it| it.split_once("- alert: "));
    let names: Vec<&str> = named.map(|it| it.1).collect();
    assert!(10 <= names.len(), "{names:?}");
    for name in names {
        assert!(guide.contains(&format!("`{name}`")), "{name}");
    }
}
