//! Rounds of commands: several clients at once, each round with thresholds of its own.

use super::classes::{Class, answers_coordinates, class, forgets_zero_signs, witness};
use super::client::{Client, Mismatch, Model, Servers};
use super::families::{
    BITMAPS, ENCODINGS, ENTRIES, GEO, HASHES, HYPERLOGLOG, KEYS, LISTS, NEWER, NEWER_ENCODINGS,
    SCRIPTS, SETS, SORT, SORTED_SETS, STREAMS, STRINGS,
};
use super::grammar::{Grammar, SPOILT_ONE_IN};
use super::keyspace;
use super::libraries;
use super::lua;
use super::replay::Replay;
use super::scripted;
use super::shrink;
use crate::support::{Value, Wire, Words, until, within, words};
use entourage::base::random::Random;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

const CLIENTS: usize = 4;
/// One pipeline of so many has a transaction in it, of up to so many commands.
const TRANSACTION_ONE_IN: u64 = 8;
const QUEUED_MAX: u64 = 5;
/// One pipeline of so many has a script in it, which calls up to so many commands.
const SCRIPT_ONE_IN: u64 = 8;
const CALLED_MAX: u64 = 5;
/// After one look of so many everything goes.
const FLUSH_ONE_IN: u64 = 4;
const BATCH: u64 = 100;
/// A newer server has other words for mistakes, and thresholds take some that are none in C.
const SELDOM: u64 = u64::MAX;
/// After so many commands of all clients everything in their databases is compared.
const LOOK_EVERY: u64 = 2_000;
const ROUND: u64 = 10_000;
const DIGEST_PATIENCE: Duration = Duration::from_secs(5);

/// A family of commands, and the settings its encodings turn on.
pub struct Family {
    text: &'static str,
    /// Whose replies count.
    pub model: Model,
    /// What some change for all only one may do.
    pub clients: usize,
    /// How many members follow the master. A limit that changes reaches a replica before or behind
    /// what is still on its way there: the form of a collection is each member's own, so where
    /// limits change in the middle only the master's can be compared.
    pub replicas: &'static str,
    /// It is of scripts and functions, which are everybody's, and which scripts do not call.
    is_of_scripts: bool,
    /// One command of so many is spoilt.
    spoilt_one_in: u64,
    thresholds: &'static [&'static str],
    /// Its sorted sets may have a zero of either sign, which digests tell.
    forgets_zero_signs: bool,
}

const OF_HASHES: &[&str] = &["hash-max-listpack-entries", "hash-max-listpack-value"];
const OF_STREAMS: &[&str] = &["stream-node-max-entries"];
const OF_LISTS: &[&str] = &["list-max-listpack-size"];
const OF_SETS: &[&str] = &["set-max-intset-entries"];
const OF_ZSETS: &[&str] =
    &["zset-max-listpack-entries", "zset-max-listpack-value", "set-max-intset-entries"];
const OF_HASHES_AND_ZSETS: &[&str] = &[
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
];
const OF_LISTS_AND_SETS: &[&str] = &[
    "list-max-listpack-size",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
];

impl Family {
    /// A family by its name on the command line.
    pub fn named(name: &str) -> Family {
        let (text, thresholds) = match name {
            "strings" => (STRINGS, &[][..]),
            "bitmaps" => (BITMAPS, &[][..]),
            "hyperloglog" => (HYPERLOGLOG, &[][..]),
            "geo" => (GEO, OF_ZSETS),
            "keys" => (KEYS, OF_HASHES),
            "hashes" => (HASHES, OF_HASHES),
            "lists" => (LISTS, OF_LISTS),
            "sets" => (SETS, OF_SETS),
            "sorted_sets" => (SORTED_SETS, OF_ZSETS),
            "sort" => (SORT, OF_LISTS),
            "encodings" => (ENCODINGS, OF_HASHES_AND_ZSETS),
            "newer_encodings" => (NEWER_ENCODINGS, OF_LISTS_AND_SETS),
            "newer" => (NEWER, OF_HASHES),
            "entries" => (ENTRIES, OF_STREAMS),
            "streams" => (STREAMS, OF_STREAMS),
            "scripts" => (SCRIPTS, &[][..]),
            other => panic!("no family {other}; there are {}", super::FAMILIES),
        };
        let (model, clients, spoilt_one_in) = match name {
            "encodings" => (Model::Redis, 1, SELDOM),
            "newer_encodings" => (Model::Valkey, 1, SELDOM),
            "newer" => (Model::Valkey, CLIENTS, SELDOM),
            "streams" => (Model::Valkey, CLIENTS, SPOILT_ONE_IN),
            "scripts" => (Model::Redis, 1, SPOILT_ONE_IN),
            _ => (Model::Redis, CLIENTS, SPOILT_ONE_IN),
        };
        let forgets_zero_signs = ["sorted_sets", "geo", "sort", "encodings"].contains(&name);
        let is_of_scripts = name == "scripts";
        let replicas = if clients == 1 && !is_of_scripts { "0" } else { "2" };
        Family {
            text,
            model,
            clients,
            replicas,
            is_of_scripts,
            spoilt_one_in,
            thresholds,
            forgets_zero_signs,
        }
    }
}

/// What one round sets the thresholds to, how big its big groups are, and how many commands it has.
struct Setting {
    threshold: Option<&'static str>,
    crowd: u64,
    commands: u64,
}

const SETTINGS: &[Setting] = &[
    Setting { threshold: None, crowd: 300, commands: ROUND },
    Setting { threshold: Some("8"), crowd: 12, commands: ROUND },
    Setting { threshold: Some("64"), crowd: 80, commands: ROUND },
    Setting { threshold: Some("1"), crowd: 6, commands: ROUND },
    // Structures of many nodes.
    Setting { threshold: None, crowd: 4000, commands: ROUND / 10 },
];

/// Plays `count` commands; answers how many were played.
pub fn play_all(
    servers: &Servers,
    family: &Family,
    replay: &Replay,
    seed: u64,
    count: u64,
    failures: &mut Failures,
) -> u64 {
    let mut grammar = Grammar::read(family.text, family.spoilt_one_in);
    drop_what_they_lack(&mut grammar, servers, failures);
    let defaults = defaults(&mut servers.theirs.dial(), family);
    let mut played = 0;
    for number in 0.. {
        if count <= played || failures.is_full() {
            break;
        }
        let setting = &SETTINGS[number as usize % SETTINGS.len()];
        let set = set_thresholds(servers, &defaults, setting, failures);
        let random = random_of(seed, number);
        // Who is alone speaks now the one protocol, now the other.
        let first = if family.is_of_scripts { number as usize % 2 } else { 0 };
        let clients = first..first + family.clients;
        let clients = clients.map(|it| Client::dial(servers, it, setting.crowd));
        let mut round = Round {
            clients: clients.collect(),
            grammar: &grammar,
            random,
            has_libraries: family.is_of_scripts,
            played: 0,
        };
        // Whoever changes them needs to know what they were, to play it again.
        if let [alone] = &mut round.clients[..] {
            alone.log.extend(set);
        }
        if 1 < family.clients && round.clients.iter().all(|it| !it.speaks_resp3) {
            failures.once("HELLO 3 is refused".into());
        }
        if let Err((client, mismatch)) = round.play(setting.commands.min(count - played)) {
            let threshold = setting.threshold.unwrap_or("default");
            let place = format!("round {number}, thresholds {threshold}");
            failures.add(servers, &round.clients[client], &mismatch, &place);
        }
        played += round.played;
        // The next round begins with FLUSHALL, so that is all there is to see of this one.
        wait_for_equal_digests(servers, failures);
        if let Err(why) = replay.compare(&servers.ours) {
            failures.once(format!("round {number}: {why}"));
        }
        if servers.model == Model::Redis && !family.forgets_zero_signs {
            wait_for_their_digest(servers, &format!("round {number}"), failures);
        }
        if family.is_of_scripts {
            continue;
        }
        if let Err(why) = scripted::compare(servers, &grammar, &mut random_of(seed, !number)) {
            failures.once(format!("round {number}: {why}"));
        }
    }
    played
}

fn random_of(seed: u64, number: u64) -> Random {
    Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number))
}

/// Optional commands that a server does not know are left out; others are failures.
fn drop_what_they_lack(grammar: &mut Grammar, servers: &Servers, failures: &mut Failures) {
    let mut wire = servers.ours.dial();
    let mut missing = BTreeSet::new();
    grammar.retain(|shape| {
        let told = wire.cmd(&[&shape.name]);
        let is_known = !told.text().is_some_and(|it| it.starts_with(b"ERR unknown command"));
        let is_wanted = is_known || shape.name == "NOSUCHCOMMAND";
        if !is_wanted && !shape.is_optional {
            missing.insert(shape.name.clone());
        }
        is_wanted
    });
    if !missing.is_empty() {
        failures.once(format!("unknown commands: {missing:?}"));
    }
}

fn defaults(wire: &mut Wire, family: &Family) -> Vec<(&'static str, String)> {
    let value =
        |name: &&'static str| (*name, wire.cmd(&["CONFIG", "GET", name]).list()[1].string());
    family.thresholds.iter().map(value).collect()
}

/// Empties both and sets their thresholds; answers the words that did the latter.
fn set_thresholds(
    servers: &Servers,
    defaults: &[(&'static str, String)],
    setting: &Setting,
    failures: &mut Failures,
) -> Vec<Words> {
    let (mut theirs, mut ours) = (servers.theirs.dial(), servers.ours.dial());
    for wire in [&mut theirs, &mut ours] {
        for command in lua::emptying() {
            assert_eq!(wire.cmd(&command).string(), "OK");
        }
    }
    let mut said = vec![];
    for (name, default) in defaults {
        let command = words(&["CONFIG", "SET", name, setting.threshold.unwrap_or(default)]);
        match ours.cmd(&command).string().as_str() {
            "OK" => assert_eq!(theirs.cmd(&command).string(), "OK"),
            why => failures.once(format!("CONFIG SET {name}: {why}")),
        }
        said.push(command);
    }
    said
}

struct Round<'a> {
    clients: Vec<Client>,
    grammar: &'a Grammar,
    random: Random,
    has_libraries: bool,
    played: u64,
}

impl Round<'_> {
    fn play(&mut self, count: u64) -> Result<(), (usize, Mismatch)> {
        let mut next_look = LOOK_EVERY;
        while self.played < count {
            self.exchange()?;
            if next_look <= self.played || count <= self.played {
                next_look += LOOK_EVERY;
                self.on_each_client(keyspace::compare)?;
                if self.has_libraries {
                    self.on_each_client(libraries::exchange)?;
                }
                self.flush_now_and_then()?;
            }
        }
        Ok(())
    }

    /// While nothing is on its way.
    fn flush_now_and_then(&mut self) -> Result<(), (usize, Mismatch)> {
        let command = match self.random.below(2 * FLUSH_ONE_IN) {
            0 => words(&["FLUSHALL"]),
            1 => words(&["FLUSHDB"]),
            _ => return Ok(()),
        };
        self.clients[0].play(&[command]).map(drop).map_err(|it| (0, it))
    }

    /// One pipeline of every client, all on their way at the same time.
    fn exchange(&mut self) -> Result<(), (usize, Mismatch)> {
        let mut batches = vec![];
        for client in &mut self.clients {
            let batch = batch(self.grammar, &mut self.random, client);
            client.send(&batch);
            self.played += batch.len() as u64;
            batches.push(batch);
        }
        let mut batches = batches.iter();
        self.on_each_client(|it| it.receive(batches.next().expect("one each")).map(drop))
    }

    fn on_each_client(
        &mut self,
        mut deed: impl FnMut(&mut Client) -> Result<(), Mismatch>,
    ) -> Result<(), (usize, Mismatch)> {
        let results: Vec<_> = self.clients.iter_mut().map(&mut deed).collect();
        let failed = results.into_iter().enumerate().find_map(|(at, it)| Some((at, it.err()?)));
        failed.map_or(Ok(()), Err)
    }
}

/// A pipeline. It ends behind a command that takes out at random, because the next command could
/// only be compared after both sides were brought together again.
fn batch(grammar: &Grammar, random: &mut Random, client: &Client) -> Vec<Words> {
    let mut batch = vec![];
    if random.below(TRANSACTION_ONE_IN) == 0 {
        transact(grammar, random, client, &mut batch);
    }
    if random.below(SCRIPT_ONE_IN) == 0 && client.runs_scripts() {
        batch.push(script(grammar, random, client));
    }
    for _ in 0..=random.below(BATCH) {
        let command = command(grammar, random, client);
        let witness = witness(&command);
        let pops = class(&command) == Class::Popped;
        batch.push(command);
        batch.extend(witness);
        if pops {
            break;
        }
    }
    batch
}

fn command(grammar: &Grammar, random: &mut Random, client: &Client) -> Words {
    let command = grammar.command(random, &client.vocabulary);
    lua::put_in(command, random, &client.vocabulary)
}

/// Commands whose replies are the same to the last byte, also in the one of EXEC.
fn transact(grammar: &Grammar, random: &mut Random, client: &Client, batch: &mut Vec<Words>) {
    batch.push(words(&["MULTI"]));
    for _ in 0..random.below(QUEUED_MAX + 1) {
        let command = command(grammar, random, client);
        if class(&command) == Class::Exact {
            batch.push(command);
        }
    }
    let end = if random.below(8) == 0 { "DISCARD" } else { "EXEC" };
    batch.push(words(&[end]));
}

/// Calls the commands in its arguments, each behind the number of its words.
pub const CALLS: &str = "local replies, at = {}, 1 \
    while at <= #ARGV do \
        local count = tonumber(ARGV[at]) \
        replies[#replies + 1] = redis.pcall(unpack(ARGV, at + 1, at + count)) \
        at = at + count + 1 \
    end \
    return replies";

/// Commands whose replies are the same to the last byte, called by a script.
fn script(grammar: &Grammar, random: &mut Random, client: &Client) -> Words {
    let mut eval = words(&["EVAL", CALLS, "0"]);
    let speaks_resp3 = random.below(4) == 0;
    if speaks_resp3 {
        eval[1] = format!("redis.setresp(3) {CALLS}").into_bytes();
    }
    for _ in 0..=random.below(CALLED_MAX) {
        let command = command(grammar, random, client);
        let is_told_otherwise = speaks_resp3 && answers_coordinates(&command);
        let is_same = class(&command) == Class::Exact && !forgets_zero_signs(&command);
        if is_same && !is_told_otherwise {
            eval.push(command.len().to_string().into_bytes());
            eval.extend(command);
        }
    }
    eval
}

/// `DEBUG DIGEST` of a set lists each member's name, offset and digest.
fn wait_for_equal_digests(servers: &Servers, failures: &mut Failures) {
    let mut wire = servers.ours.dial();
    let told = wire.ask("DEBUG DIGEST MEMBERS");
    if told.is_error() {
        return failures.once(format!("DEBUG DIGEST: {told}"));
    }
    until("equal digests of all members", || {
        let told = wire.cmd(&words(&["DEBUG", "DIGEST", "MEMBERS"]));
        let members = told.items().unwrap_or(&[]).iter();
        let digests: BTreeSet<_> = members.map(|it| it.items()?.last()).collect();
        (digests.len() == 1 && !digests.contains(&None)).then_some(())
    });
}

/// Both have the same data. What has expired is counted by Redis until its cron has found it.
fn wait_for_their_digest(servers: &Servers, place: &str, failures: &mut Failures) {
    let (mut theirs, mut ours) = (servers.theirs.dial(), servers.ours.dial());
    let mut told = || [&mut theirs, &mut ours].map(|it| it.ask("DEBUG DIGEST").string());
    let are_equal = within(DIGEST_PATIENCE, || {
        let [theirs, ours] = told();
        (theirs == ours).then_some(())
    });
    if are_equal.is_none() {
        let [theirs, ours] = told();
        failures.once(format!("{place}: the digest is {ours}, and that of Redis {theirs}"));
    }
}

/// What has been found, each kind once.
pub struct Failures {
    max: usize,
    seen: BTreeSet<String>,
    told: Vec<String>,
}

impl Failures {
    /// Up to `max` of them.
    pub fn new(max: usize) -> Failures {
        Failures { max, seen: BTreeSet::new(), told: vec![] }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn is_full(&self) -> bool {
        self.max <= self.told.len()
    }

    fn once(&mut self, what: String) {
        if self.seen.insert(what.clone()) {
            self.told.push(what);
        }
    }

    fn add(&mut self, servers: &Servers, client: &Client, mismatch: &Mismatch, place: &str) {
        let command = &client.log[mismatch.at];
        let name = command[0].to_ascii_uppercase().escape_ascii().to_string();
        let kind = format!("{name} {:?}", std::mem::discriminant(&mismatch.ours));
        if !self.seen.insert(kind) {
            return;
        }
        let cut = |it: &Value| it.to_string().chars().take(600).collect::<String>();
        self.told.push(format!(
            "{place}, client {}, command {}: {}\n  redis:     {}\n  entourage: {}\n{}",
            client.index,
            mismatch.at,
            shrink::line(command),
            cut(&mismatch.theirs),
            cut(&mismatch.ours),
            shrink::shrink(servers, client, mismatch)
        ));
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told.iter().try_for_each(|it| writeln!(f, "--- {it}"))
    }
}
