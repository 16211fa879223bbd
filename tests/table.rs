//! The one table beside a real Redis: what COMMAND INFO says of every command that both know.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use support::{Server, Value, Wire};

/// Where we differ, and why; everything else must be equal.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("wait", "flags", "as Redis 7.2 has it"),
    ("zrank", "arity", "takes WITHSCORE, as in Redis 7.2"),
    ("zrevrank", "arity", "takes WITHSCORE, as in Redis 7.2"),
    ("wait", "categories", "as Redis 7.2 has it"),
    ("object|help", "flags", "answered by a member, as its neighbours are"),
    ("xgroup|help", "flags", "answered by a member, as its neighbours are"),
    ("xinfo|help", "flags", "answered by a member, as its neighbours are"),
    ("config|resetstat", "tips", "as Redis 7.2 has it"),
    ("config|rewrite", "tips", "as Redis 7.2 has it"),
    ("lolwut", "flags", "answered by the proxy, not by a member"),
    ("function|dump", "flags", "answered by a member, as other data is"),
    ("function|list", "flags", "answered by a member, as other data is"),
    ("pfselftest", "flags", "answered by a member, as its neighbours are"),
];

/// A command's name, and what is said of it, by the name of the part.
type Rows = BTreeMap<String, BTreeMap<&'static str, String>>;

const PARTS: &[&str] =
    &["name", "arity", "flags", "first", "last", "step", "categories", "tips", "keys"];

#[test]
fn rows_say_what_redis_says() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (redis, ours) = (rows(&mut redis.dial()), rows(&mut ours.dial()));
    let mut found = String::new();
    for (name, row) in &ours {
        let Some(theirs) = redis.get(name) else { continue };
        for (part, text) in row {
            let is_known = DIFFERENCES.iter().any(|it| it.0 == name && it.1 == *part);
            if *text != theirs[part] && !is_known {
                let _ = writeln!(found, "{name} {part}: {text}, not {}", theirs[part]);
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// What Redis has and we do not answers as any unknown name, and then says what there is to say.
#[test]
fn what_is_not_built_is_told_from_a_slip() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let theirs = rows(&mut redis.dial());
    let mut wire = ours.dial();
    let known = rows(&mut wire);
    let missing: Vec<&String> = theirs.keys().filter(|it| !known.contains_key(*it)).collect();
    for name in &missing {
        let (container, sub) = name.split_once('|').unwrap_or((name.as_str(), "a"));
        let told = wire.ask(&format!("{container} {sub}")).string();
        let text = match known.contains_key(container) {
            true => {
                format!("ERR unknown subcommand '{sub}'. Try {} HELP.", container.to_uppercase())
            }
            false => {
                format!("ERR unknown command '{container}', with args beginning with: '{sub}'")
            }
        };
        let note = told.strip_prefix(&text).unwrap_or_else(|| panic!("{told}, not {text}"));
        // They are being built.
        let is_known = note.starts_with(" (") && note.ends_with(')');
        assert!(is_known || ["replicaof", "slaveof"].contains(&container), "{told}");
    }
    let told = wire.ask("MODULE x 0").string();
    assert!(told.contains("'x' '0' (there are no modules"), "{told}");
    assert_eq!(wire.ask("NOPE a").string(), redis.dial().ask("NOPE a").string());
}

#[test]
fn documented_differences_are_still_there() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (redis, ours) = (rows(&mut redis.dial()), rows(&mut ours.dial()));
    for (name, part, _) in DIFFERENCES {
        assert_ne!(ours[*name][part], redis[*name][part], "{name} {part} is no difference");
    }
}

#[test]
fn documentation_names_the_same_groups_and_versions() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (redis, ours) = (docs(&mut redis.dial()), docs(&mut ours.dial()));
    let mut found = String::new();
    for (name, (since, group)) in ours {
        let Some((their_since, their_group)) = redis.get(&name) else { continue };
        // COMMAND is about connections to its ACL category, about servers to its documentation.
        let is_same_group = group == *their_group || name.starts_with("command");
        if since != *their_since || !is_same_group {
            let _ = writeln!(found, "{name}: {since} {group}, not {their_since} {their_group}");
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

fn rows(wire: &mut Wire) -> Rows {
    let mut rows = Rows::new();
    wire.ask("COMMAND").list().iter().for_each(|it| add(&mut rows, it));
    rows
}

fn add(rows: &mut Rows, command: &Value) {
    let parts = command.list();
    let row = PARTS.iter().zip(parts).map(|(name, it)| (*name, unordered(&plain(it))));
    rows.insert(parts[0].string(), row.collect());
    parts[9].list().iter().for_each(|it| add(rows, it));
}

/// Without the notes that Redis writes beside some keys.
fn plain(value: &Value) -> Value {
    let Some(items) = value.items() else { return value.clone() };
    match items {
        [first, _, rest @ ..] if first.text() == Some(b"notes") => Value::Array(rest.to_vec()),
        _ => Value::Array(items.iter().map(plain).collect()),
    }
}

/// Flags and categories have no order; neither have the flags of a key.
fn unordered(value: &Value) -> String {
    match value.items() {
        None => value.to_string(),
        Some(items) => {
            let is_words = items.iter().all(|it| matches!(it, Value::Simple(_)));
            let mut texts: Vec<String> = items.iter().map(unordered).collect();
            if is_words {
                texts.sort();
            }
            format!("[{}]", texts.join(" "))
        }
    }
}

fn docs(wire: &mut Wire) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    collect_docs(&wire.ask("COMMAND DOCS"), &mut found);
    found
}

fn collect_docs(commands: &Value, found: &mut BTreeMap<String, (String, String)>) {
    for pair in commands.list().chunks(2) {
        let part = |name: &str| {
            let parts = pair[1].list().chunks(2);
            parts.clone().find(|it| it[0].string() == name).map(|it| it[1].clone())
        };
        let text = |name| part(name).map_or(String::new(), |it| it.string());
        found.insert(pair[0].string(), (text("since"), text("group")));
        if let Some(subcommands) = part("subcommands") {
            collect_docs(&subcommands, found);
        }
    }
}
