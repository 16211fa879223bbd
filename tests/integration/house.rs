//! House rules, run as an ordinary test: who may name whom, how long things may get, what is
//! banned. A text scan, not a parser: it asks for plain `use crate::room::...` lines in return.

mod circles;

use circles::{Files, circles};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms it may name. A room may only list rooms above it, so a circle cannot
/// be written down.
const ROOMS: &[(&str, &str)] = &[
    ("base", ""),
    ("resp", "base"),
    ("command", "base resp"),
    ("acl", "base resp command"),
    ("metrics", "base"),
    ("runtime", "base"),
    ("script", "base resp"),
    ("engine", "base resp command script"),
    ("persist", "base resp command engine"),
    ("replication", "base resp"),
    ("route", "base resp command"),
    ("session", "base resp command acl replication route"),
    ("node", "base resp command metrics runtime script engine persist replication route session"),
    ("pubsub", "base resp engine session"),
    ("config", "base command acl engine replication route"),
    (
        "state",
        "base resp command acl metrics runtime script engine persist route session node pubsub \
         config",
    ),
    (
        "commands",
        "base resp command acl metrics runtime script engine replication route session node pubsub \
         config state",
    ),
    (
        "server",
        "base resp command acl metrics runtime script engine persist replication route session node \
         pubsub config state commands",
    ),
    ("http", "base command metrics runtime route node config state commands server"),
    ("load", "base resp metrics runtime"),
    ("cli", "base config load route"),
];
/// Compiled for tests only: reads the scripts it runs.
const SCRIPT_RUNNER: &str = "engine/verbs/check.rs";
/// Implements a trait of serde that is called what a connection was.
const OF_SERDE: &str = "config/leaf.rs";
const FRONT: &[&str] = &["main", "lib"];
/// Decides, never does: no task, no socket, no clock below these paths.
const PURE: &[&str] = &[
    "base/",
    "resp/",
    "command/",
    "acl/",
    "metrics/",
    "engine/",
    "persist/",
    "replication/",
    "route/",
    "session/",
    "pubsub/",
    "server/connection/",
    "node/upstream/",
];
const IMPURE_WORDS: &[&str] = &["async fn", "async move", ".await", "crate::runtime"];
/// Names of a vocabulary of our own, which the field's words have replaced.
const PRIVATE_WORDS: &str = "Birth Buried Climb Deputy Desk Duty Fates Ground Hands HistoryId \
     Holding House Lap Lineage Pace Park Parked Roster Rung Said Seal Shift Standing Stint \
     Stranger Turn Untimed Visitor World bury climb dice enthrone full_syncs graveyard heir hue \
     rung standing stranger undertaker";
const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;
/// Word, and the one room where it is at home.
const BANS: &[(&str, &str)] = &[
    ("async_std", "runtime"),
    ("TcpStream", "runtime"),
    ("std::fs", "runtime"),
    ("Instant::now", "runtime"),
    ("SystemTime::now", "runtime"),
    ("thread_rng", ""),
    ("unbounded", ""),
    ("super::super", ""),
    ("dbg!", ""),
    ("todo!", ""),
    ("FIXME", ""),
];

#[test]
fn rooms_cannot_form_a_circle() {
    for (index, (room, may)) in ROOMS.iter().enumerate() {
        for named in may.split_whitespace() {
            let above = ROOMS[..index].iter().any(|(it, _)| *it == named);
            assert!(above, "{room} lists {named}, which is not above it");
        }
    }
}

#[test]
fn house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut complaints = Vec::new();
    for path in rust_files(&root) {
        let place = path.strip_prefix(&root).unwrap().to_str().unwrap();
        for it in inspect(place, &fs::read_to_string(&path).unwrap()) {
            complaints.push(format!("{place}: {it}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_of_a_room_form_no_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let place = |it: &PathBuf| it.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    let files: Files =
        rust_files(&root).iter().map(|it| (place(it), fs::read_to_string(it).unwrap())).collect();
    let found: Vec<String> = circles(&files).into_iter().map(|it| format!("{it:?}")).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_inspector_sees() {
    let of = |place: &str, line: &str| inspect(place, &format!("//! Head.\n{line}\n")).join("; ");
    assert_eq!(of("engine/args.rs", "use crate::resp::Frame;"), "");
    assert_eq!(of("engine/args.rs", "use crate::node::NodeHandle;"), "engine may not name node");
    assert_eq!(of("route/plan.rs", "Instant::now();"), "Instant::now is banned here");
    assert_eq!(of("runtime/clock.rs", "Instant::now();"), "");
    assert_eq!(of("replication/feed.rs", "next.await;"), ".await in a pure place");
    assert_eq!(of("node/hosted.rs", "next.await;"), "");
    assert_eq!(of("base/ids.rs", "use crate::{a, b};"), "write one `use crate::room` per room");
    assert_eq!(of("attic/trunk.rs", ""), "attic is not on the floor plan");
    let private = "Visitor is no word of the field: see names.md";
    assert_eq!(of("server/shell.rs", "struct Visitor;"), private);
    assert_eq!(of("server/shell.rs", "struct Visitors; // Visitor"), "");
    let private = "climb is no word of the field: see names.md";
    assert_eq!(of("server/shell.rs", "fn climb_on() {}"), private);
    assert_eq!(inspect("lib.rs", "fn f() {}\n").join("; "), "first line must be a //! caption");
}

/// The circles among files of one room, given as `place: text`, as lists of their last names.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(place, text)| (format!("room/{place}"), text.to_string()));
    let name = |it: &String| it.trim_start_matches("room/").trim_end_matches(".rs").to_owned();
    let ring = |it: &BTreeSet<String>| it.iter().map(name).collect::<Vec<_>>().join(" ");
    circles(&files.collect()).iter().map(ring).collect()
}

#[test]
fn the_inspector_sees_circles() {
    let of = circles_of;
    let parent = ("mod.rs", "mod a; mod b; pub use a::One; pub use b::Two;");
    let one = ("a.rs", "pub struct One;");
    // However the other file is named.
    for names in [
        "use super::b::Two;",
        "use super::Two;",
        "use crate::room::Two as Other;",
        "use crate::room::{One, b::{self, Two}};",
        "fn f() { super::b::g(); }",
        "fn f(it: crate::room::Two) {}",
        "use super::b; fn f() { b::g() }",
    ] {
        let a = format!("pub struct One; {names}");
        let b = ("b.rs", "use super::One; pub struct Two;");
        assert_eq!(of(&[parent, ("a.rs", &a), b]), ["a b"], "{names}");
        assert_eq!(of(&[parent, ("a.rs", &a), ("b.rs", "pub struct Two;")]), [""; 0], "{names}");
    }
    let three = [
        ("mod.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use super::b::X;"),
        ("b.rs", "use super::c::Y;"),
        ("c.rs", "use super::a::Z;"),
    ];
    assert_eq!(of(&three), ["a b c"]);
    // A parent with items of its own, named by its child, that names its child's.
    let child = ("a/c.rs", "use super::One;");
    let names = ("a.rs", "mod c; pub struct One; fn f() { c::g() }");
    assert_eq!(of(&[parent, names, child]), ["a a/c"]);
    let uses = ("a.rs", "mod c; pub use c::Three; pub struct One(Three);");
    assert_eq!(of(&[parent, uses, child]), ["a a/c"]);
    let passes_on = ("a.rs", "mod c; pub use c::Three; pub struct One;");
    assert_eq!(of(&[parent, passes_on, child]), [""; 0]);
    // What only tests, comments and texts name does not count.
    for hidden in [
        "#[cfg(test)] mod tests { use super::super::One; }",
        "#[cfg(test)] use super::One;",
        "// use super::One;",
        "/* use super::One; */",
        "const TEXT: &str = \"use super::One;\";",
        "const TEXT: &str = r#\"\"use super::One;\"#;",
        "fn f<'a>(it: &'a str) -> char { '\"' } // use super::One; \"",
    ] {
        let b = format!("pub struct Two; {hidden}");
        let a = ("a.rs", "use super::Two; pub struct One;");
        assert_eq!(of(&[parent, a, ("b.rs", &b)]), [""; 0], "{hidden}");
    }
    let (b, tests) =
        (("b.rs", "#[cfg(test)] mod bench;"), ("b/bench.rs", "use crate::room::b::X;"));
    assert_eq!(of(&[parent, one, b, tests]), [""; 0]);
}

fn inspect(place: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let room = place.split('/').next().unwrap().trim_end_matches(".rs");
    let pure = PURE.iter().any(|it| place.starts_with(it));
    let front = FRONT.contains(&room);
    let plan = ROOMS.iter().find(|(it, _)| *it == room);
    let may = |named: &str| match plan {
        None => front,
        Some((own, may)) => *own == named || may.split_whitespace().any(|it| it == named),
    };
    if plan.is_none() && !front {
        found.push(format!("{room} is not on the floor plan"));
    }
    if !text.starts_with("//!") {
        found.push("first line must be a //! caption".into());
    }
    if LINES_MAX < text.lines().count() {
        found.push(format!("longer than {LINES_MAX} lines"));
    }
    for line in text.lines() {
        if COLUMNS_MAX < line.chars().count() {
            found.push(format!("wider than {COLUMNS_MAX}: {line}"));
        }
        let code = line.split("//").next().unwrap();
        for (word, home) in BANS {
            let excused = SCRIPT_RUNNER == place && *word == "std::fs";
            if code.contains(word) && room != *home && !excused {
                found.push(format!("{word} is banned here"));
            }
        }
        for word in code.split(|it: char| !it.is_alphanumeric() && it != '_') {
            let excused = place == OF_SERDE && word == "Visitor";
            let is_private =
                |part: &&str| !excused && PRIVATE_WORDS.split(' ').any(|it| it == *part);
            if let Some(part) = std::iter::once(word).chain(word.split('_')).find(is_private) {
                found.push(format!("{part} is no word of the field: see names.md"));
            }
        }
        for word in IMPURE_WORDS {
            if pure && code.contains(word) {
                found.push(format!("{word} in a pure place"));
            }
        }
        if code.contains("crate::{") {
            found.push("write one `use crate::room` per room".into());
            continue;
        }
        for after in code.split("crate::").skip(1) {
            let named = after.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap();
            if ROOMS.iter().any(|(it, _)| *it == named) && !may(named) {
                found.push(format!("{room} may not name {named}"));
            }
        }
    }
    found
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
