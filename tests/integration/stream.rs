//! What writes do, as the world is told of it: for the same input our log must hold what a real
//! Redis puts on its replication stream.
//!
//! The input is every script of `tests/commands` and seeded commands of each family. PING and
//! SELECT are left out (the database of each effect is compared instead), moments may differ by a
//! minute.

use crate::families;
use crate::grammar::{Grammar, SPOILT_ONE_IN};
use crate::support::parse::parse;
use crate::support::script::{self, Script};
use crate::support::{Server, Value, Wire, Words, words};
use crate::vocabulary::Vocabulary;
use entourage::base::random::Random;
use entourage::command::Class;
use entourage::commands::table;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Commands between two looks at the stream: their effects must fit our backlog.
const LOOK_EVERY: usize = 100;
const COMMANDS_PER_FAMILY: usize = 8_000;
const MARK: &str = "stream:mark";
/// Random numbers decide what these take out.
const BY_CHANCE: &[&[u8]] = &[b"SPOP"];
const MOMENT_MS_MIN: i64 = 1_000_000_000_000;
const TOLERANCE_MS: u64 = 60_000;

const FAMILIES: &[(&str, &str)] = &[
    ("strings", families::STRINGS),
    ("keys", families::KEYS),
    ("hashes", families::HASHES),
    ("lists", families::LISTS),
    ("sets", families::SETS),
    ("sorted_sets", families::SORTED_SETS),
    ("geo", families::GEO),
    ("sort", families::SORT),
    ("entries", families::ENTRIES),
];
/// What Valkey says of groups is what Redis 7.2 says: in 7.0 a replica does not hear how far they
/// have come.
const GROUPS: (&str, &str) = ("streams", families::STREAMS);

#[test]
fn the_scripts_have_the_same_effects() {
    let mut pair = Pair::start();
    let mut found = String::new();
    // Redis 7 does not know these commands.
    for script in Script::all().into_iter().filter(|it| !it.name.ends_with("-newer.txt")) {
        let steps = script.steps().filter(|it| !it.is_clocked && !it.is_newer);
        let commands: Vec<Words> = steps.map(|it| script::words(&it.command)).collect();
        let _ = write!(found, "{}", pair.compare(&script.name, &commands));
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn seeded_commands_have_the_same_effects() {
    let mut pair = Pair::start();
    let found = seeded(&mut pair, FAMILIES);
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn groups_have_the_effects_that_they_have_in_valkey() {
    let Some(valkey) = Server::valkey_with(SERVER_FLAGS) else { return };
    let found = seeded(&mut Pair::with(valkey), &[GROUPS]);
    assert!(found.is_empty(), "\n{found}");
}

fn seeded(pair: &mut Pair, families: &[(&str, &str)]) -> String {
    let vocabulary = Vocabulary { db: 0, other_db: 8, crowd: 12 };
    let mut random = Random::new(1);
    let mut found = String::new();
    for (family, text) in families {
        let mut grammar = Grammar::read(text, SPOILT_ONE_IN);
        grammar.retain(|it| pair.is_known(&it.name));
        let mut commands: Vec<Words> =
            (0..COMMANDS_PER_FAMILY).map(|_| grammar.command(&mut random, &vocabulary)).collect();
        commands.retain(|it| !BY_CHANCE.contains(&&it[0].to_ascii_uppercase()[..]));
        let _ = write!(found, "{}", pair.compare(family, &commands));
    }
    found
}

const SERVER_FLAGS: &[&str] = &["--repl-timeout", "3600", "--enable-debug-command", "yes"];

/// A real Redis with a raw replica, and ours.
struct Pair {
    _servers: [Server; 2],
    theirs: Wire,
    ours: Wire,
    their_stream: Wire,
    /// Of a stand-in only; ours is asked with DEBUG STREAM.
    our_stream: Option<Wire>,
    marks: u64,
}

/// What one command did: each effect with the database it belongs to.
type Deeds = Vec<(u64, Words)>;

impl Pair {
    fn start() -> Pair {
        Pair::with(Server::redis(SERVER_FLAGS))
    }

    fn with(redis: Server) -> Pair {
        let ours = Server::entourage(&[]);
        let mut pair = Pair {
            theirs: redis.dial(),
            ours: ours.dial(),
            their_stream: become_replica(&redis),
            our_stream: Server::is_stand_in().then(|| become_replica(&ours)),
            _servers: [redis, ours],
            marks: 0,
        };
        // What expires is deleted when a command meets it, not by the clock between two of them.
        for wire in [&mut pair.theirs, &mut pair.ours] {
            assert_eq!(wire.ask("DEBUG SET-ACTIVE-EXPIRE 0").to_string(), "+OK");
        }
        // So that both streams have said which database they are in.
        pair.play(&[]);
        pair
    }

    fn is_known(&mut self, name: &str) -> bool {
        let told = self.ours.cmd(&[name]);
        !told.text().is_some_and(|it| it.starts_with(b"ERR unknown command"))
    }

    /// Plays commands from empty databases; answers what differed, each command's name once.
    fn compare(&mut self, name: &str, commands: &[Words]) -> String {
        self.play(&[words(&["FLUSHALL"]), words(&["SELECT", "0"])]);
        let mut found = String::new();
        let mut seen = BTreeSet::new();
        for part in commands.chunks(LOOK_EVERY) {
            let (theirs, mut ours) = self.play(part);
            move_burials(&theirs, &mut ours);
            for ((command, theirs), ours) in part.iter().zip(&theirs).zip(&ours) {
                let (theirs, ours) = (known(command, theirs), known(command, ours));
                let same = are_same(&theirs, &ours) || is_burial(command, &theirs, &ours);
                if !same && seen.insert(command[0].to_ascii_uppercase()) {
                    let [command, theirs, ours] = [line(command), lines(&theirs), lines(&ours)];
                    let _ = write!(found, "{name}: {command}\n redis:\n{theirs} ours:\n{ours}");
                }
            }
        }
        found
    }

    /// Plays commands at both, each followed by a mark; answers the effects between the marks.
    fn play(&mut self, commands: &[Words]) -> (Vec<Deeds>, Vec<Deeds>) {
        let first = self.marks;
        let mut batch = vec![];
        for command in commands.iter().chain([&words(&["PING"])]) {
            self.marks += 1;
            batch.push(command.clone());
            batch.push(words(&["SET", MARK, &self.marks.to_string()]));
        }
        let from = master_offset(&mut self.ours);
        let last = Value::Simple(b"OK".into());
        for wire in [&mut self.theirs, &mut self.ours] {
            assert_eq!(wire.pipeline(&batch).last(), Some(&last));
        }
        let theirs = read_until_mark(&mut self.their_stream, self.marks);
        let ours = match &mut self.our_stream {
            Some(replica) => read_until_mark(replica, self.marks),
            None => read_log(&mut self.ours, from),
        };
        let deeds = |it| between_marks(it, first, commands.len());
        (deeds(theirs), deeds(ours))
    }
}

fn read_until_mark(replica: &mut Wire, mark: u64) -> Vec<Words> {
    let mut effects = vec![];
    while effects.last().and_then(mark_of) != Some(mark) {
        effects.push(as_words(&replica.read()));
    }
    effects
}

fn read_log(wire: &mut Wire, from: u64) -> Vec<Words> {
    let told = wire.cmd(&["DEBUG", "STREAM", &from.to_string()]);
    let Value::Bulk(bytes) = told else { panic!("DEBUG STREAM {from}: {told}") };
    let mut rest = &bytes[..];
    let mut effects = vec![];
    while let Some((value, len)) = (!rest.is_empty()).then(|| parse(rest)).flatten() {
        effects.push(as_words(&value));
        rest = &rest[len..];
    }
    assert!(rest.is_empty(), "the stream ends within a command: {}", rest.escape_ascii());
    effects
}

/// Asks for the whole stream and skips the snapshot.
fn become_replica(redis: &Server) -> Wire {
    let mut wire = redis.dial();
    wire.send_raw(b"PSYNC ? -1\r\n");
    let mut line = || loop {
        let line = wire.read_until(b"\n");
        if line != b"\n" {
            return String::from_utf8_lossy(&line).trim_end().to_owned();
        }
    };
    let told = line();
    assert!(told.starts_with("+FULLRESYNC"), "{told}");
    let length = line();
    let length = length.strip_prefix('$').and_then(|it| it.parse().ok());
    wire.read_exact(length.expect("the length of a snapshot"));
    wire
}

fn master_offset(wire: &mut Wire) -> u64 {
    let told = wire.ask("INFO replication").string();
    let line = told.lines().find_map(|it| it.strip_prefix("master_repl_offset:"));
    line.and_then(|it| it.trim().parse().ok()).unwrap_or_else(|| panic!("no offset in {told}"))
}

fn as_words(value: &Value) -> Words {
    value.list().iter().map(|it| it.text().expect("a word").to_vec()).collect()
}

fn mark_of(effect: &Words) -> Option<u64> {
    let is_mark = effect.len() == 3 && effect[1] == MARK.as_bytes();
    is_mark.then(|| String::from_utf8_lossy(&effect[2]).parse().ok()).flatten()
}

/// Sorts effects to their commands, and notes databases instead of SELECT.
fn between_marks(effects: Vec<Words>, first: u64, count: usize) -> Vec<Deeds> {
    // The last is for what comes behind the last mark.
    let mut deeds = vec![Deeds::new(); count + 2];
    let mut db = 0;
    let mut at = 0;
    for effect in effects {
        if let Some(mark) = mark_of(&effect) {
            at = (mark - first) as usize;
            continue;
        }
        match effect[0].to_ascii_uppercase().as_slice() {
            b"PING" | b"REPLCONF" => {}
            b"SELECT" => db = String::from_utf8_lossy(&effect[1]).parse().expect("a database"),
            _ => deeds[at].push((db, effect)),
        }
    }
    deeds
}

/// Redis keeps it to itself when XREADGROUP, XCLAIM and XAUTOCLAIM have created a consumer that has
/// got nothing; our replicas are told.
fn known(command: &Words, deeds: &Deeds) -> Deeds {
    let name = command[0].to_ascii_uppercase();
    if !name.starts_with(b"X") || name == b"XGROUP" {
        return deeds.clone();
    }
    let is_creation = |words: &Words| {
        2 < words.len() && words[0] == b"XGROUP" && words[1].eq_ignore_ascii_case(b"CREATECONSUMER")
    };
    let told: Deeds = deeds.iter().filter(|it| !is_creation(&it.1)).cloned().collect();
    let is_wrapped = told.first().is_some_and(|it| it.1 == [b"MULTI"]);
    match told.len() {
        2 | 3 if is_wrapped => told[1..told.len() - 1].to_vec(),
        _ => told,
    }
}

fn are_same(theirs: &Deeds, ours: &Deeds) -> bool {
    let are_same_words = |a: &Words, b: &Words| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || are_near(a, b))
    };
    let mut pairs = theirs.iter().zip(ours);
    theirs.len() == ours.len() && pairs.all(|(a, b)| a.0 == b.0 && are_same_words(&a.1, &b.1))
}

/// Redis deletes an expired key when a read meets it; here the master hears of it behind the batch
/// that the read is in. So a DEL that stands behind a command of ours and behind none of Redis' is
/// left out, if Redis has deleted that key before.
fn move_burials(theirs: &[Deeds], ours: &mut [Deeds]) {
    let is_del = |deed: &(u64, Words)| deed.1.len() == 2 && deed.1[0] == b"DEL";
    let mut buried = BTreeSet::new();
    for (theirs, ours) in theirs.iter().zip(ours) {
        buried.extend(theirs.iter().filter(|it| is_del(it)).cloned());
        while theirs.len() < ours.len()
            && ours.last().is_some_and(|it| is_del(it) && buried.contains(it))
        {
            ours.pop();
        }
    }
}

/// Where the next write to the key, or the master's own rounds, delete it first, the DEL comes from
/// there.
fn is_burial(command: &Words, theirs: &Deeds, ours: &Deeds) -> bool {
    let is_del = |deed: &(u64, Words)| deed.1.len() == 2 && deed.1[0] == b"DEL";
    let class = table().named(&command[0]).map(|it| it.spec.class);
    match (&theirs[..], &ours[..]) {
        ([deed], []) => class == Some(Class::Read) && is_del(deed),
        (_, [multi, deed, rest @ .., exec]) => {
            let is_wrapped = multi.1 == [b"MULTI"] && exec.1 == [b"EXEC"];
            is_wrapped && is_del(deed) && are_same(theirs, &rest.to_vec())
        }
        _ => false,
    }
}

fn are_near(a: &[u8], b: &[u8]) -> bool {
    let moment = |it: &[u8]| std::str::from_utf8(it).ok()?.parse::<i64>().ok();
    match (moment(a), moment(b)) {
        (Some(a), Some(b)) => MOMENT_MS_MIN <= a.min(b) && a.abs_diff(b) <= TOLERANCE_MS,
        _ => false,
    }
}

fn line(words: &Words) -> String {
    let text: Vec<String> = words.iter().map(|it| it.escape_ascii().to_string()).collect();
    text.join(" ").chars().take(400).collect()
}

fn lines(deeds: &Deeds) -> String {
    deeds.iter().map(|(db, words)| format!("   {db}: {}\n", line(words))).collect()
}
