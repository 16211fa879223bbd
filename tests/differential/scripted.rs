//! The same commands, called by a client and by scripts: they answer the same and leave the same.

use super::classes::{Class, class};
use super::client::Servers;
use super::grammar::Grammar;
use super::shrink;
use super::vocabulary::Vocabulary;
use crate::support::{Value, Wire, Words, words};
use entourage::base::random::Random;

const CALL: &str = "return redis.pcall(unpack(ARGV))";
/// What a script calls some refusals.
const OF_SCRIPTS: [&str; 3] = [
    "ERR Unknown Redis command called from script",
    "ERR Wrong number of args calling Redis command from script",
    "ERR This Redis command is not allowed from script",
];
/// What the grammar has that scripts may not do.
const NO_SCRIPT: &[u8] = b"CONFIG";
const COMMANDS: usize = 1_000;
const PIPELINE: usize = 100;
/// Elements of big groups: fewer than Lua's stack has room for.
const CROWD: u64 = 300;

/// What commands have answered, and what they have left.
struct Played {
    replies: Vec<Value>,
    digest: Value,
    keys: Vec<(Value, Value)>,
}

/// Plays random commands on our server, empty at first, in both ways.
pub fn compare(servers: &Servers, grammar: &Grammar, random: &mut Random) -> Result<(), String> {
    let vocabulary = Vocabulary { db: 0, other_db: super::client::SECOND_DBS, crowd: CROWD };
    let commands: Vec<Words> = std::iter::repeat_with(|| grammar.command(random, &vocabulary))
        .filter(|it| class(it) == Class::Exact && !it[0].eq_ignore_ascii_case(NO_SCRIPT))
        .take(COMMANDS)
        .collect();
    let called: Vec<Words> =
        commands.iter().map(|it| [words(&["EVAL", CALL, "0"]), it.clone()].concat()).collect();
    let plainly = play(&mut servers.ours.dial(), &commands, &vocabulary);
    let in_scripts = play(&mut servers.ours.dial(), &called, &vocabulary);
    let both = plainly.replies.iter().zip(&in_scripts.replies);
    for (command, (plain, told)) in commands.iter().zip(both) {
        if !are_same(plain, told) {
            let line = shrink::line(command);
            return Err(format!("{line}\n  plainly:     {plain}\n  in a script: {told}"));
        }
    }
    if let Some((one, other)) =
        plainly.keys.iter().zip(&in_scripts.keys).find(|(one, other)| one != other)
    {
        return Err(format!("a script leaves {} {}, not {} {}", other.0, other.1, one.0, one.1));
    }
    if plainly.digest != in_scripts.digest {
        return Err(format!("a script leaves {}, not {}", in_scripts.digest, plainly.digest));
    }
    Ok(())
}

fn play(wire: &mut Wire, commands: &[Words], vocabulary: &Vocabulary) -> Played {
    assert_eq!(wire.ask("FLUSHALL").string(), "OK");
    let mut replies = vec![];
    for batch in commands.chunks(PIPELINE) {
        wire.send(batch);
        replies.extend(wire.read_many(batch.len()));
    }
    let mut keys = vec![];
    for db in [vocabulary.db, vocabulary.other_db] {
        assert_eq!(wire.ask(&format!("SELECT {db}")).string(), "OK");
        let mut names = wire.ask("KEYS *").list().to_vec();
        names.sort();
        for name in names {
            let text = name.text().expect("a key").to_vec();
            let digest = wire.cmd(&[b"DEBUG".to_vec(), b"DIGEST-VALUE".to_vec(), text]);
            keys.push((name, digest));
        }
    }
    Played { replies, digest: wire.ask("DEBUG DIGEST"), keys }
}

/// Whether a script's reply is the plain one, as far as Lua can tell.
fn are_same(plain: &Value, told: &Value) -> bool {
    if plain.is_error() && told.is_error() {
        return plain == told || OF_SCRIPTS.contains(&told.string().as_str());
    }
    as_in_lua(plain) == as_in_lua(told)
}

/// Lua's numbers are doubles, and it has one nil.
fn as_in_lua(value: &Value) -> Value {
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Int(it) if EXACT < it.unsigned_abs() => Value::Int(0),
        Value::NilArray => Value::NilBulk,
        Value::Array(items) => Value::Array(items.iter().map(as_in_lua).collect()),
        other => other.clone(),
    }
}
