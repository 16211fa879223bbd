//! COMMAND INFO of one command.

use crate::command::{Begin, Class, Find, KeySpec};
use crate::commands::{Command, Table, categories};
use crate::resp::Reply;

/// Writes what clients need to know of a command.
pub fn describe(reply: &mut Reply, table: &Table, command: &Command) {
    let spec = &command.spec;
    let (first, last, step) = key_range(spec.keys.0);
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.int(spec.arity.as_redis());
    simple_set(reply, &flags(command));
    reply.int(first);
    reply.int(last);
    reply.int(step);
    let of: Vec<String> = categories(command).names().map(|it| format!("@{it}")).collect();
    simple_set(reply, &of);
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|it| reply.bulk(it.as_bytes()));
    reply.set(spec.keys.0.len());
    spec.keys.0.iter().for_each(|it| key_spec(reply, it));
    // Redis has an empty set where there are none.
    match command.subcommands.len() {
        0 => reply.set(0),
        many => reply.array(many),
    }
    command.subcommands.iter().for_each(|it| describe(reply, table, table.get(*it)));
}

fn simple_set(reply: &mut Reply, words: &[impl AsRef<str>]) {
    reply.set(words.len());
    words.iter().for_each(|it| reply.simple(it.as_ref()));
}

fn flags(command: &Command) -> Vec<String> {
    let class = match command.spec.class {
        _ if command.is_container() => None,
        Class::Read => Some("readonly"),
        Class::Write => Some("write"),
        Class::Session => None,
    };
    class.map(String::from).into_iter().chain(command.spec.flags.words()).collect()
}

/// First key, last key and step, for clients that know no key specifications. Ranges that follow
/// each other are one.
fn key_range(specs: &[KeySpec]) -> (i64, i64, i64) {
    let range = |it: &KeySpec| match (it.begin, it.find) {
        (Begin::Index(first), Find::Range { last, step, .. }) => {
            let base = if 0 <= last { first as i64 } else { 0 };
            Some((first as i64, base + i64::from(last), step as i64))
        }
        _ => None,
    };
    if let [only] = specs {
        return range(only).unwrap_or((0, 0, 0));
    }
    let mut whole: Option<(i64, i64)> = None;
    for (first, last, step) in specs.iter().filter_map(range) {
        let follows = whole.is_none_or(|it| it.1 == first - 1);
        if step == 1 && follows {
            whole = Some((whole.map_or(first, |it| it.0), last));
        }
    }
    whole.map_or((0, 0, 0), |(first, last)| (first, last, 1))
}

fn keyword(reply: &mut Reply, word: &str, from: i64) {
    typed_header(reply, "keyword", 2);
    reply.bulk(b"keyword");
    reply.bulk(word.as_bytes());
    reply.bulk(b"startfrom");
    reply.int(from);
}

fn key_spec(reply: &mut Reply, spec: &KeySpec) {
    reply.map(3 + usize::from(spec.note.is_some()));
    if let Some(note) = spec.note {
        reply.bulk(b"notes");
        reply.bulk(note.as_bytes());
    }
    reply.bulk(b"flags");
    simple_set(reply, spec.access.0);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => typed(reply, "index", &[("index", index as i64)]),
        Begin::Keyword(word, from) => keyword(reply, word, from.into()),
        Begin::Among(options) => keyword(reply, options.keyword, options.from as i64),
        Begin::Unknown => typed(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            let numbers =
                [("lastkey", last.into()), ("keystep", step as i64), ("limit", limit as i64)];
            typed(reply, "range", &numbers);
        }
        Find::Count { count, first, step } => {
            let numbers =
                [("keynumidx", count as i64), ("firstkey", first as i64), ("keystep", step as i64)];
            typed(reply, "keynum", &numbers);
        }
        Find::Unknown => typed(reply, "unknown", &[]),
    }
}

fn typed(reply: &mut Reply, kind: &str, numbers: &[(&str, i64)]) {
    typed_header(reply, kind, numbers.len());
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.int(*number);
    }
}

fn typed_header(reply: &mut Reply, kind: &str, len: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(len);
}
