//! COMMAND DOCS of one command.

use crate::command::grammar::{self, Argument, Kind};
use crate::command::history::{Deprecation, changes, deprecation, doc_flags};
use crate::commands::{Command, Table};
use crate::resp::Reply;

/// Writes what people, and the hints of redis-cli, need to know of a command.
pub fn document(reply: &mut Reply, table: &Table, command: &Command) {
    let spec = &command.spec;
    let arguments = grammar::parse(spec.syntax).unwrap_or_default();
    let (has_arguments, has_sub) = (!arguments.is_empty(), !command.subcommands.is_empty());
    let (changes, deprecation) = (changes(&command.name), deprecation(&command.name));
    let doc_flags = doc_flags(&command.name);
    let is_deprecated = deprecation.is_some();
    let parts = [
        !doc_flags.is_empty(),
        is_deprecated,
        is_deprecated,
        !changes.is_empty(),
        has_arguments,
        has_sub,
    ];
    reply.map(4 + parts.iter().filter(|it| **it).count());
    pair(reply, "summary", spec.summary);
    pair(reply, "since", spec.since);
    pair(reply, "group", spec.group.name());
    pair(reply, "complexity", spec.complexity);
    if !doc_flags.is_empty() {
        reply.bulk(b"doc_flags");
        reply.set(doc_flags.len());
        doc_flags.iter().for_each(|it| reply.simple(it));
    }
    if let Some(Deprecation { since, replaced_by }) = deprecation {
        pair(reply, "deprecated_since", since);
        pair(reply, "replaced_by", replaced_by);
    }
    if !changes.is_empty() {
        reply.bulk(b"history");
        reply.set(changes.len());
        for (version, change) in changes {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    if has_arguments {
        reply.bulk(b"arguments");
        let mut keys = KeySpecs { next: 0, count: spec.keys.0.len() };
        write_all(reply, &arguments, &mut keys);
    }
    if has_sub {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        for sub in command.subcommands.iter().map(|it| table.get(*it)) {
            reply.bulk(sub.name.as_bytes());
            document(reply, table, sub);
        }
    }
}

fn pair(reply: &mut Reply, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

/// Numbers keys by the specifications they belong to, in order; the last one takes all that follow.
struct KeySpecs {
    next: usize,
    count: usize,
}

impl KeySpecs {
    fn take(&mut self, kind: Kind) -> Option<usize> {
        if kind != Kind::Key || self.count == 0 {
            return None;
        }
        let number = self.next.min(self.count - 1);
        self.next += 1;
        Some(number)
    }
}

fn write_all(reply: &mut Reply, arguments: &[Argument], keys: &mut KeySpecs) {
    reply.array(arguments.len());
    arguments.iter().for_each(|it| write(reply, it, keys));
}

fn write(reply: &mut Reply, argument: &Argument, keys: &mut KeySpecs) {
    let key = keys.take(argument.kind);
    let is_leaf = argument.members.is_empty();
    let flags = flags(argument);
    let parts = [is_leaf, key.is_some(), argument.token.is_some(), !flags.is_empty(), !is_leaf];
    reply.map(2 + parts.iter().filter(|it| **it).count());
    pair(reply, "name", &argument.name);
    pair(reply, "type", argument.kind.word());
    if is_leaf {
        pair(reply, "display_text", &argument.name);
    }
    if let Some(key) = key {
        reply.bulk(b"key_spec_index");
        reply.count(key);
    }
    if let Some(token) = &argument.token {
        pair(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|it| reply.simple(it));
    }
    if !is_leaf {
        reply.bulk(b"arguments");
        write_all(reply, &argument.members, keys);
    }
}

fn flags(argument: &Argument) -> Vec<&'static str> {
    let all = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.repeats_token, "multiple_token"),
    ];
    all.iter().filter(|it| it.0).map(|it| it.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table;

    #[test]
    fn every_row_has_a_grammar_that_can_be_read() {
        for command in table().all() {
            let syntax = command.spec.syntax;
            assert!(grammar::parse(syntax).is_some(), "{}: {syntax}", command.name);
        }
    }
}
