//! The one table beside a real Redis: what COMMAND INFO says of every command that both know.

use crate::support::{Server, Value, Wire};
use std::collections::BTreeMap;
use std::fmt::Write;

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

/// Where the arguments of COMMAND DOCS differ in more than their names, and why.
const ARGUMENT_DIFFERENCES: &[(&str, &str)] = &[
    ("bitop", "which operations there are, as in Redis 7.2"),
    ("client|list", "no block of one"),
    ("command|getkeys", "has its arguments, as in Redis 7.2"),
    ("command|getkeysandflags", "likewise"),
    ("config|get", "no block of one"),
    ("hscan", "takes NOVALUES, as Valkey"),
    ("module|loadex", "no block of one"),
    ("pfmerge", "sources may be left out, as in Redis 7.2"),
    ("psubscribe", "no block of one"),
    ("replconf", "has its arguments"),
    ("set", "takes IFEQ, as Valkey"),
    ("sort", "patterns are no keys"),
    ("sort_ro", "patterns are no keys"),
    ("xinfo|stream", "no block of one"),
    ("zrank", "takes WITHSCORE, as in Redis 7.2"),
    ("zrevrank", "takes WITHSCORE, as in Redis 7.2"),
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

#[test]
fn every_command_of_redis_is_known() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let mut wire = ours.dial();
    let (theirs, known) = (rows(&mut redis.dial()), rows(&mut wire));
    let missing: Vec<&String> = theirs.keys().filter(|it| !known.contains_key(*it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for line in ["NOPE a", "MODULE NOPE", "CLUSTER NOPE x", "SCRIPT NOPE"] {
        assert_eq!(wire.ask(line).string(), redis.dial().ask(line).string());
    }
}

#[test]
fn documented_differences_are_still_there() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (redis, ours) = (rows(&mut redis.dial()), rows(&mut ours.dial()));
    for (name, part, _) in DIFFERENCES {
        assert_ne!(ours[*name][part], redis[*name][part], "{name} {part} is no difference");
    }
}

/// What COMMAND DOCS says but for its sentences, which are our own.
#[test]
fn documentation_names_the_same_groups_versions_and_successors() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (redis, ours) = (docs(&mut redis.dial()), docs(&mut ours.dial()));
    let mut found = String::new();
    for (name, mut doc) in ours {
        let Some(theirs) = redis.get(&name) else { continue };
        // COMMAND is about connections to its ACL category, about servers to its documentation.
        if name.starts_with("command") {
            doc.group.clone_from(&theirs.group);
        }
        doc.changed.retain(|it| !is_newer_than_redis(it));
        if doc != *theirs {
            let _ = writeln!(found, "{name}: {doc:?}, not {theirs:?}");
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn documented_arguments_are_built_alike() {
    let (redis, ours) = (Server::redis(&[]), Server::entourage(&[]));
    let (redis, ours) = (arguments(&mut redis.dial()), arguments(&mut ours.dial()));
    let mut found = String::new();
    for (name, theirs) in &redis {
        let is_known = ARGUMENT_DIFFERENCES.iter().any(|it| it.0 == name);
        match &ours[name] {
            ours if is_known && ours == theirs => {
                let _ = writeln!(found, "{name} is no difference");
            }
            ours if !is_known && ours != theirs => {
                let _ = writeln!(found, "{name}:\n  {ours}\n not\n  {theirs}");
            }
            _ => {}
        }
    }
    assert!(found.is_empty(), "\n{found}");
}

/// How the arguments of each command are built.
fn arguments(wire: &mut Wire) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    each_doc(&wire.ask("COMMAND DOCS"), &mut |name, doc| {
        let arguments = part(doc, "arguments");
        found.insert(name, arguments.map_or(String::new(), |it| sketch(&it)));
    });
    found
}

/// Tokens, types, keys, flags and members, without names.
fn sketch(arguments: &Value) -> String {
    let one = |it: &Value| {
        let text = |name| part(it, name).map_or(String::new(), |it| format!("{it} "));
        let members =
            part(it, "arguments").map_or(String::new(), |it| format!("[{}]", sketch(&it)));
        let flags = part(it, "flags").map_or(String::new(), |it| unordered(&it));
        format!("{}{}{}{members}{flags}", text("token"), text("type"), text("key_spec_index"))
    };
    arguments.list().iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether a version comes after those of redis-server 7.0.
fn is_newer_than_redis(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map(|it| it.parse().expect("a number")).collect();
    7 < parts[0] || parts[0] == 7 && 0 < parts[1]
}

#[test]
fn each_change_of_a_command_is_told_in_words() {
    let ours = Server::entourage(&[]);
    let mut wire = ours.dial();
    wire.ask("HELLO 3");
    let told = wire.ask("COMMAND DOCS client|kill hmset").to_string();
    assert!(told.contains("history") && told.contains("Takes LADDR."), "{told}");
    assert!(told.contains("deprecated_since") && told.contains("multiple field-value"), "{told}");
}

/// What kind of aggregate each part of a row is.
fn kinds(wire: &mut Wire, name: &str) -> Vec<&'static str> {
    let told = wire.cmd(&["COMMAND", "INFO", name]);
    let kind = |it: &Value| match it {
        Value::Array(_) => "array",
        Value::Set(_) => "set",
        Value::Map(_) => "map",
        _ => "one",
    };
    told.list()[0].list().iter().map(kind).collect()
}

#[test]
fn parts_of_rows_are_the_aggregates_of_redis_in_resp3() {
    let [redis, ours] = Server::both().map(|server| {
        let mut wire = server.dial();
        wire.ask("HELLO 3");
        let names = ["xgroup", "script", "function", "pubsub", "xinfo", "get", "xgroup|create"];
        names.map(|it| (it, kinds(&mut wire, it)))
    });
    assert_eq!(ours, redis);
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

/// With what stands in the notes that are beside some keys left out: our words are others.
fn plain(value: &Value) -> Value {
    let Some(items) = value.items() else { return value.clone() };
    match items {
        [first, _, rest @ ..] if first.text() == Some(b"notes") => {
            Value::Array([std::slice::from_ref(first), rest].concat())
        }
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

/// What is said of a command.
#[derive(PartialEq, Eq, Debug)]
struct Doc {
    since: String,
    group: String,
    flags: Vec<String>,
    deprecated_since: String,
    replaced_by: String,
    /// The versions that have changed it.
    changed: Vec<String>,
}

fn docs(wire: &mut Wire) -> BTreeMap<String, Doc> {
    let mut found = BTreeMap::new();
    each_doc(&wire.ask("COMMAND DOCS"), &mut |name, doc| {
        let text = |name| part(doc, name).map_or(String::new(), |it| it.string());
        let all = |name, of: fn(&Value) -> String| {
            part(doc, name).map_or(Vec::new(), |it| it.list().iter().map(of).collect())
        };
        let doc = Doc {
            since: text("since"),
            group: text("group"),
            flags: all("doc_flags", Value::string),
            deprecated_since: text("deprecated_since"),
            replaced_by: text("replaced_by"),
            changed: all("history", |it| it.list()[0].string()),
        };
        found.insert(name, doc);
    });
    found
}

/// Calls `visit` with each command, and subcommand, and what is said of it.
fn each_doc(commands: &Value, visit: &mut impl FnMut(String, &Value)) {
    for pair in commands.list().chunks(2) {
        visit(pair[0].string(), &pair[1]);
        if let Some(subcommands) = part(&pair[1], "subcommands") {
            each_doc(&subcommands, visit);
        }
    }
}

/// What stands beside this name in a map.
fn part(map: &Value, name: &str) -> Option<Value> {
    let pair = map.list().chunks(2).find(|it| it[0].string() == name);
    pair.map(|it| it[1].clone())
}
