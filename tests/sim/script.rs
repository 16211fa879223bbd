//! What a simulated client says: requests drawn from the seed, as bytes.

mod settings;
mod subscribing;

use super::apart::LONG_ELEMENTS;
use super::asked::{Asked, AskedFor, Pop, Queued, Tail, What};
use super::crash::Token;
use super::hearers::{CHANNEL, Name, PATTERN, SHARD};
use super::ledger::Key;
use entourage::base::random::Random;
use entourage::route::Level;
use std::collections::BTreeSet;

pub const KEYS: u64 = 5;
pub const DATABASES: usize = 2;
/// Lists, sorted sets and streams, each, that clients wait for.
const QUEUES: usize = 2;

/// Channels that are published on.
const CHANNELS: usize = 3;
const UNSUBSCRIBE: [&str; 3] = ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];

/// Calls what its arguments hold: how many words, and these words, again and again.
const CALLS: &str = "local all, at = {}, 1 while ARGV[at] do local to = at + ARGV[at] \
    all[#all + 1] = redis.call(unpack(ARGV, at + 1, to)) at = to + 1 end return all";

const LEVELS: &[&str] = &[
    "sticky",
    "sticky",
    "sticky",
    "global",
    "linearizable",
    "linearizable",
    "master",
    "bounded 2ms",
    "bounded 500b",
    "eventual",
    "eventual",
];

/// What a client that draws its next request can see of the others.
pub struct Around<'a> {
    pub random: &'a mut Random,
    /// The number of the last request of all.
    pub last_number: &'a mut u64,
    /// Numbers of the clients that are there.
    pub clients: &'a [u64],
    /// How many members there are.
    pub members: usize,
    /// How many replicas count, whatever happens, once everything has been delivered.
    pub counted: usize,
    /// Tokens that have been handed out, with the last write their sessions had seen.
    pub tokens: &'a [Token],
    /// Reads may end with an error on lag.
    pub may_lag: bool,
}

impl Around<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn number(&mut self) -> u64 {
        *self.last_number += 1;
        *self.last_number
    }

    fn any_of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }
}

/// A client as it will be when all it has written has been served.
pub struct Script {
    /// Number of its connection.
    pub id: u64,
    db: usize,
    level: Level,
    /// CLIENT SETNAME, and who shares its floor.
    name: String,
    scope: &'static str,
    acks: AskedFor,
    /// Its own ladder, instead of the route's, may end with an error.
    own_ladder: bool,
    /// Requests that follow have no reply.
    is_silent: bool,
    /// It speaks RESP3: it may ask for other things while it is subscribed.
    pub is_resp3: bool,
    pub subscribed: BTreeSet<Name>,
    /// It has said QUIT.
    pub has_quit: bool,
    /// What was written and is to be sent.
    pub to_send: Vec<u8>,
    /// What was written and has not been answered.
    pub asked: std::collections::VecDeque<Asked>,
}

impl Script {
    pub fn new(id: u64) -> Script {
        Script {
            id,
            db: 0,
            level: Level::Sticky,
            name: String::new(),
            scope: "connection",
            acks: AskedFor::Nothing,
            own_ladder: false,
            is_silent: false,
            is_resp3: false,
            subscribed: BTreeSet::new(),
            has_quit: false,
            to_send: Vec::new(),
            asked: Default::default(),
        }
    }

    /// Writes one request, or a few that belong together.
    pub fn draw(&mut self, around: &mut Around<'_>) {
        if self.is_silent {
            return self.draw_silent(around);
        }
        if self.only_listens() {
            return self.draw_listening(around);
        }
        match around.below(117) {
            0..20 => self.set(around),
            20..29 => self.count(around),
            29..44 => self.get(around),
            44..47 => self.many(around),
            47..50 => self.pop(around),
            50 | 51 => self.push(around),
            52..55 => self.echo(around),
            55 => self.say("PING", &[], What::Ping),
            56..62 => self.wait(around),
            62..69 => self.transaction(around),
            69..73 => self.consistency(around),
            73..75 => self.ask_for_acks(around),
            75..77 => self.pause(around),
            77 | 78 => self.say("CLIENT UNPAUSE", &[], What::Unpause),
            79..82 => self.unblock(around),
            82 => self.kill(around),
            83 | 84 => self.hush(around),
            85 => self.sleep(around),
            86 => self.order(around),
            87 => self.fail_over(around),
            88 => self.say("PROXY RELOAD", &[], What::Granted),
            89 if around.below(2) == 0 => self.panic(around),
            90 | 91 => self.say("PROXY TOKEN", &[], What::Token),
            92 | 93 => self.at_least(around),
            94 => self.select(around),
            96 | 97 => self.fleeting(around),
            95 if around.below(2) == 0 => self.quit(),
            100..103 => self.subscribe(around),
            103 => self.unsubscribe(around),
            104..107 => self.publish(around),
            108..111 => self.pop(around),
            111..114 => self.push(around),
            114..117 => self.call_several(around),
            107 => self.say_hello([2, 3, 3][around.below(3)]),
            _ => self.other(around),
        }
    }

    fn say(&mut self, name: &str, args: &[String], what: What) {
        self.say_as(name, args, what, false);
    }

    fn say_as(&mut self, name: &str, args: &[String], what: What, is_inline: bool) {
        if self.has_quit {
            return;
        }
        let words: Vec<&str> = name.split(' ').chain(args.iter().map(String::as_str)).collect();
        match is_inline {
            true => self.to_send.extend_from_slice((words.join(" ") + "\r\n").as_bytes()),
            false => self.write_words(&words),
        }
        self.asked.push_back(Asked::new(what, !self.is_silent));
    }

    fn write_words(&mut self, words: &[&str]) {
        let text = words.iter().fold(format!("*{}\r\n", words.len()), |text, it| {
            text + &format!("${}\r\n{it}\r\n", it.len())
        });
        self.to_send.extend_from_slice(text.as_bytes());
    }

    /// Says it from within a script, whose reply is that of the command.
    fn call(&mut self, eval: &str, words: &[String], what: What) {
        let script = ["return redis.pcall(unpack(ARGV))", "1", words[1].as_str()].map(String::from);
        let args: Vec<String> = script.into_iter().chain(words.iter().cloned()).collect();
        self.say(eval, &args, what);
    }

    fn count(&mut self, around: &mut Around<'_>) {
        let (counter, what) = (self.counter(), What::Incr { acks: self.acks });
        match around.below(4) {
            0 => self.call("EVAL", &["INCR".into(), counter], what),
            _ => self.say("INCR", &[counter], what),
        }
    }

    fn counter(&self) -> String {
        format!("c{}", self.id)
    }

    fn key(&self, around: &mut Around<'_>) -> Key {
        (self.db, around.random.below(KEYS))
    }

    fn value(&self, number: u64, around: &mut Around<'_>) -> String {
        format!("{number}:{}", "x".repeat(around.below(150)))
    }

    fn set(&mut self, around: &mut Around<'_>) {
        let (key, number) = (self.key(around), around.number());
        let value = self.value(number, around);
        let (what, name) = (What::Set { key, number, acks: self.acks }, format!("k{}", key.1));
        match around.below(6) {
            0 => {
                let mut words = vec![name, value];
                // Of many words, it is long.
                for _ in 0..[1, 1, 5][around.below(3)] {
                    words.extend([format!("x{}", key.1), number.to_string()]);
                }
                self.say("MSET", &words, what);
            }
            1 => self.say_as("SET", &[name, value], what, true),
            2 => self.call("EVAL", &["SET".into(), name, value], what),
            _ => self.say("SET", &[name, value], what),
        }
    }

    fn get(&mut self, around: &mut Around<'_>) {
        let (key, name) = (self.key(around), "GET");
        let may_lag = self.own_ladder || around.may_lag;
        let key_name = format!("k{}", key.1);
        match around.below(10) {
            8 => {
                // Where it is behind, it may be stale.
                let what = What::GetStale { key, may_lag };
                let level = around.any_of(&["sticky", "global", "linearizable"]);
                let how = format!("PROXY ONCE LEVEL {level} WAIT 1 ELSE STALE DO GET");
                self.say(&how, &[key_name], what);
            }
            9 => self.get_at_a_member(key, around),
            0 | 1 => {
                let level = around.any_of(&["sticky", "linearizable", "global", "eventual"]);
                let what = What::Get { key, level: Level::parse(level).unwrap(), may_lag };
                self.say(
                    &format!("PROXY ONCE LEVEL {level} DO GET"),
                    std::slice::from_ref(&key_name),
                    what,
                );
                // What it has seen there says where it may read now.
                self.say(name, &[key_name], self.get_of(key, may_lag));
            }
            2 => self.say_as(name, &[key_name], self.get_of(key, may_lag), true),
            3 => {
                let eval = around.any_of(&["EVAL", "EVAL_RO"]);
                self.call(eval, &[name.into(), key_name], self.get_of(key, may_lag));
            }
            _ => self.say(name, &[key_name], self.get_of(key, may_lag)),
        }
    }

    /// Reads a few keys wherever that is, and then as its level says.
    pub fn look_around(&mut self, around: &mut Around<'_>) {
        if self.only_listens() {
            return;
        }
        for _ in 0..1 + around.below(3) {
            let (key, may_lag) = (self.key(around), self.own_ladder || around.may_lag);
            let words = [format!("k{}", key.1)];
            let what = What::Get { key, level: Level::Eventual, may_lag };
            self.say("PROXY ONCE LEVEL eventual DO GET", &words, what);
            self.say("GET", &words, self.get_of(key, may_lag));
        }
    }

    /// A read at one member as it is, or of what the master alone can tell.
    fn get_at_a_member(&mut self, key: Key, around: &mut Around<'_>) {
        let key_name = format!("k{}", key.1);
        if around.below(3) == 0 {
            let acks = AskedFor::Nothing;
            return self.say("OBJECT IDLETIME", &[key_name], What::Other { acks });
        }
        let member = 1 + around.below(around.members);
        let how = format!("PROXY ONCE AT n{member} DO GET");
        self.say(&how, &[key_name], What::GetAt { key });
    }

    fn get_of(&self, key: Key, may_lag: bool) -> What {
        What::Get { key, level: self.level, may_lag }
    }

    /// A read that is long.
    fn many(&mut self, around: &mut Around<'_>) {
        let key = self.key(around);
        let may_lag = self.own_ladder || around.may_lag;
        let words = vec![format!("k{}", key.1); LONG_ELEMENTS + around.below(4)];
        self.say("MGET", &words, What::Many { key, level: self.level, may_lag });
    }

    /// Waits for an entry of a stream, in a group or for its own.
    fn pop_entry(&mut self, ms: u64, around: &mut Around<'_>) {
        let (key, ms_word) = (format!("t{}", around.below(QUEUES)), ms.to_string());
        if around.below(2) == 0 {
            let words = [ms_word, "STREAMS".to_owned(), key.clone(), "$".to_owned()];
            let what = What::Tail { tail: Tail { db: self.db, key } };
            return self.say("XREAD BLOCK", &words, what);
        }
        let words = [key.clone(), "g".to_owned(), "0".to_owned(), "MKSTREAM".to_owned()];
        self.say("XGROUP CREATE", &words, What::Group);
        let how = format!("XREADGROUP GROUP g c{} COUNT 1 BLOCK {ms} STREAMS {key} >", self.id);
        let pop = Pop { keys: vec![key], db: self.db, moves_to: None, ms };
        self.say(&how, &[], What::Pop { pop });
    }

    fn pop(&mut self, around: &mut Around<'_>) {
        let ms = 1 + around.random.below(40);
        let which = around.below(7);
        if 4 < which {
            return self.pop_entry(ms, around);
        }
        let kind = if which == 4 { 'z' } else { 'q' };
        let mut keys: Vec<String> =
            (0..1 + around.below(2)).map(|_| format!("{kind}{}", around.below(QUEUES))).collect();
        keys.dedup();
        let to = format!("q{}", around.below(QUEUES));
        let moves_to = (which == 3).then(|| to.clone());
        let (name, mut words) = match which {
            0 | 1 => ("BLPOP", keys.clone()),
            2 => ("BRPOP", keys.clone()),
            3 => {
                keys.truncate(1);
                ("BLMOVE", vec![keys[0].clone(), to, "LEFT".to_owned(), "RIGHT".to_owned()])
            }
            _ => ("BZPOPMIN", keys.clone()),
        };
        words.push(format!("0.{ms:03}"));
        let pop = Pop { keys, db: self.db, moves_to, ms };
        self.say(name, &words, What::Pop { pop });
    }

    fn push(&mut self, around: &mut Around<'_>) {
        let (name, words) = self.push_words(around);
        self.say(name, &words, What::Other { acks: self.acks });
    }

    /// Each element is pushed once.
    fn push_words(&self, around: &mut Around<'_>) -> (&'static str, Vec<String>) {
        let (which, at) = (around.below(5), around.below(QUEUES));
        if which == 4 {
            let element = format!("e{}", around.number());
            return ("XADD", vec![format!("t{at}"), "*".to_owned(), "n".to_owned(), element]);
        }
        let key = if which == 3 { format!("z{at}") } else { format!("q{at}") };
        let mut words = vec![key];
        // Of many words, it is long.
        for _ in 0..[1, 1, 2, LONG_ELEMENTS][around.below(4)] {
            let number = around.number();
            if which == 3 {
                words.push((number % 3).to_string());
            }
            words.push(format!("e{number}"));
        }
        (["RPUSH", "RPUSH", "LPUSH", "ZADD"][which], words)
    }

    fn echo(&mut self, around: &mut Around<'_>) {
        let number = around.number();
        self.say("ECHO", &[number.to_string()], What::Echo { number });
    }

    fn wait(&mut self, around: &mut Around<'_>) {
        let replicas = around.below(around.members + 1);
        // Without an end only for what comes in the end.
        let is_endless = replicas <= around.counted && around.below(8) == 0;
        let ms = if is_endless { 0 } else { 1 + around.below(30) };
        let args = [replicas.to_string(), ms.to_string()];
        self.say("WAIT", &args, What::Wait { replicas });
    }

    /// WATCH, if it is one that may fail, then MULTI, commands and EXEC.
    fn transaction(&mut self, around: &mut Around<'_>) {
        if around.below(2) == 0 {
            let keys: Vec<Key> = (0..1 + around.below(2)).map(|_| self.key(around)).collect();
            let names: Vec<String> = keys.iter().map(|it| format!("k{}", it.1)).collect();
            self.say("WATCH", &names, What::Watch { keys });
            match around.below(6) {
                0 => return self.say("UNWATCH", &[], What::Unwatch),
                // It is left to watch.
                1 => return,
                2 => self.get(around),
                _ => {}
            }
        }
        self.say("MULTI", &[], What::Multi);
        let mut queued = Vec::new();
        let reads_alone = around.below(3) == 0;
        for _ in 0..1 + around.below(3) {
            let (command, words) = self.one_of_several(reads_alone, around);
            queued.push(command);
            self.say(&words[0], &words[1..], What::Queued);
        }
        if around.below(10) == 0 {
            return self.say("DISCARD", &[], What::Unwatch);
        }
        let (acks, level) = (self.acks, self.level);
        let may_lag = self.own_ladder || around.may_lag;
        self.say("EXEC", &[], What::Exec { queued, acks, level, may_lag });
    }

    /// A command that stands among others in a transaction or a script.
    fn one_of_several(
        &mut self,
        reads_alone: bool,
        around: &mut Around<'_>,
    ) -> (Queued, Vec<String>) {
        let key = self.key(around);
        let name = format!("k{}", key.1);
        match if reads_alone { 0 } else { around.below(5) } {
            1 if around.below(3) == 0 => {
                let number = around.number();
                (Queued::Publish { number }, self.publish_words(number, around))
            }
            4 => {
                let (name, words) = self.push_words(around);
                (Queued::Push, [vec![name.to_owned()], words].concat())
            }
            0 => (Queued::Get { key }, vec!["GET".to_owned(), name]),
            1 => (Queued::Incr, vec!["INCR".to_owned(), self.counter()]),
            _ => {
                let number = around.number();
                let value = self.value(number, around);
                (Queued::Set { number }, vec!["SET".to_owned(), name, value])
            }
        }
    }

    /// Several commands from within a script.
    fn call_several(&mut self, around: &mut Around<'_>) {
        let is_read_only = around.below(4) == 0;
        let mut words = vec![CALLS.to_owned(), "0".to_owned()];
        let mut calls = Vec::new();
        for _ in 0..1 + around.below(4) {
            let (call, of_call) = self.one_of_several(is_read_only, around);
            calls.push(call);
            words.push(of_call.len().to_string());
            words.extend(of_call);
        }
        let reads_at = is_read_only.then_some(self.level);
        let may_lag = self.own_ladder || around.may_lag;
        let what = What::Script { calls, acks: self.acks, reads_at, may_lag };
        self.say(if is_read_only { "EVAL_RO" } else { "EVAL" }, &words, what);
    }

    fn sleep(&mut self, around: &mut Around<'_>) {
        let ms = 1 + around.random.below(9);
        self.say("DEBUG SLEEP", &[format!("0.00{ms}")], What::Sleep { ms });
    }

    fn order(&mut self, around: &mut Around<'_>) {
        let member = format!("n{}", 1 + around.below(around.members));
        let order = around.any_of(&["PAUSE", "RESUME", "RESUME", "DRAIN", "UNDRAIN"]).to_owned();
        self.say("PROXY NODE", &[member, order], What::Order);
    }

    fn fail_over(&mut self, around: &mut Around<'_>) {
        let member = format!("n{}", 1 + around.below(around.members));
        self.say("PROXY FAILOVER TO", &[member], What::Order);
    }

    fn panic(&mut self, around: &mut Around<'_>) {
        let kind = around.any_of(&["READ", "WRITE"]).to_owned();
        self.say("DEBUG PANIC", &[kind], What::Panic);
    }

    fn at_least(&mut self, around: &mut Around<'_>) {
        if around.tokens.is_empty() {
            return;
        }
        let token = around.tokens[around.below(around.tokens.len())].clone();
        let mut args = vec![token.text.clone()];
        if around.below(4) == 0 {
            // It stays: the token may be refused.
            self.own_ladder = true;
            args.extend(["WAIT", "3", "ELSE", "ERROR"].map(str::to_owned));
        }
        self.say("PROXY ATLEAST", &args, What::AtLeast { token });
    }

    fn select(&mut self, around: &mut Around<'_>) {
        self.db = around.below(DATABASES);
        self.say("SELECT", &[self.db.to_string()], What::Granted);
    }

    fn other(&mut self, around: &mut Around<'_>) {
        let (key, number) = (self.key(around).1, around.number());
        let padding = "x".repeat(around.below(100));
        let words = match around.below(8) {
            0 => format!("INCRBYFLOAT f{key} 1.5"),
            1 => format!("HSET h{key} field{} {number} b {padding}x", number % 7),
            2 => format!("APPEND s{key} {number}"),
            3 => format!("SADD m{key} a b c d e f {number} {padding}x"),
            4 => format!("SUNIONSTORE m{} m{key} m0", number % 3),
            5 => format!("HPEXPIRE h{key} {} FIELDS 2 b field1", 1 + number % 200),
            6 => format!("HSETEX h{key} PX {} FIELDS 1 field2 {number}", 1 + number % 100),
            _ => format!("DEL h{key} s{key} f{key} m{key}"),
        };
        self.say(&words, &[], What::Other { acks: self.acks });
    }

    /// A key that expires soon, or a look at one.
    fn fleeting(&mut self, around: &mut Around<'_>) {
        let name = format!("e{}", around.random.below(KEYS));
        if around.below(2) == 0 {
            let may_lag = self.own_ladder || around.may_lag;
            return self.say("GET", &[name], What::GetFleeting { may_lag });
        }
        let (number, ms) = (around.number(), 1 + around.below(200));
        let words = [name, number.to_string(), "PX".to_owned(), ms.to_string()];
        self.say("SET", &words, What::Other { acks: self.acks });
    }

    fn quit(&mut self) {
        self.say("QUIT", &[], What::Quit);
        self.has_quit = true;
    }

    /// The call for an element that is to be answered next, if that is one.
    pub fn first_pop(&self) -> Option<Pop> {
        match self.asked.iter().find(|it| it.has_reply).map(|it| &it.what) {
            Some(What::Pop { pop }) => Some(pop.clone()),
            _ => None,
        }
    }

    /// The same, of a call that waits for what is added to a stream.
    pub fn first_tail(&self) -> Option<Tail> {
        match self.asked.iter().find(|it| it.has_reply).map(|it| &it.what) {
            Some(What::Tail { tail }) => Some(tail.clone()),
            _ => None,
        }
    }

    /// In the end, when every replica has everything: two reads, and where a third would go.
    pub fn end(&mut self, around: &mut Around<'_>) {
        self.end_silence();
        if self.only_listens() {
            self.unsubscribe_all(u64::MAX - 1);
        }
        self.say("UNWATCH", &[], What::Unwatch);
        self.stand_at("sticky");
        for key in 0..2 {
            let what = self.get_of((self.db, key), around.may_lag || self.own_ladder);
            self.say("GET", &[format!("k{key}")], what);
        }
        self.say("PROXY EXPLAIN GET k0", &[], What::Explain);
    }
}
