//! The steps of a schedule, drawn one by one: what a connection says, or that it hangs up.

use super::stage::said;
use crate::shrink::line;
use crate::support::{Words, words};
use entourage::base::random::Random;
use std::fmt;

/// What happens.
#[derive(Clone)]
pub enum Step {
    /// A connection sends these commands at once.
    Say(usize, Vec<Words>),
    /// It closes.
    HangUp(usize),
    /// The time of a key is over.
    Expire(&'static str),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Say(client, commands) => {
                let lines: Vec<String> = commands.iter().map(line).collect();
                write!(f, "{client}: {}", lines.join(" | "))
            }
            Step::HangUp(client) => write!(f, "{client} hangs up"),
            Step::Expire(key) => write!(f, "{key} expires"),
        }
    }
}

/// Connections of a schedule, at least and at most, and its steps.
const CLIENTS: [u64; 2] = [2, 4];
const STEPS: [u64; 2] = [10, 40];
/// Commands that are sent at once, at most.
const TOGETHER_MAX: u64 = 3;

const KEYS: [&str; 4] = ["k", "k2", "news.1", "[a]"];
/// Channels, those of keyspace events among them. The empty one is last.
const CHANNELS: &[&str] = &[
    "a",
    "b",
    "a",
    "news.1",
    "news.22",
    "[a]",
    "a*b",
    "\\",
    "A",
    "\u{e9}\r\n",
    "__keyspace@0__:k",
    "__keyevent@0__:set",
    "__keyevent@1__:del",
    "",
];
const PATTERNS: &[&str] = &[
    "*",
    "a",
    "[ab]",
    "[^a]",
    "[^a]*",
    "[b-a]*",
    "news.[0-9]",
    "news.*[2]",
    "n?ws.?",
    "\\[a\\]",
    "\\[*",
    "[",
    "[a",
    "[a-",
    "[]]",
    "[\\]a]*",
    "a\\*b",
    "a**********b",
    "\\\\",
    "\\",
    "",
    "?",
    "__key*",
    "__keyspace@[01]__:*",
    "__keyspace@0__:[kn]*",
    "__keyevent@*__:[^e]*",
    "__keyevent@?__:?el",
    "__keyevent@0__:expire*",
];
const CLASSES: &[&str] = &[
    "KEA", "KEA", "KEAmn", "KEA", "Kg$", "E$", "El", "KEs", "KEh", "KEz", "KEx", "KEt", "Kn", "Em",
    "KEe", "KEd", "A", "g$", "K", "KAE", "KEgg", "",
];

/// What begins and ends subscriptions.
const SUBSCRIBES: &[&str] = &[
    "SUBSCRIBE @channels",
    "SUBSCRIBE @channels",
    "PSUBSCRIBE @patterns",
    "PSUBSCRIBE @patterns",
    "SSUBSCRIBE @channels",
    "UNSUBSCRIBE @channels",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE @patterns",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE @channels",
    "SUNSUBSCRIBE",
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "subscribe @channel @channel",
];

/// What is told to them, and of them.
const PUBLISHES: &[&str] = &[
    "PUBLISH @channel @text",
    "PUBLISH @channel @text",
    "PUBLISH @channel @text",
    "SPUBLISH @channel @text",
    "SPUBLISH @channel @text",
    "PUBLISH @channel",
    "SPUBLISH @channel x y",
    "PUBSUB CHANNELS",
    "PUBSUB CHANNELS @pattern",
    "PUBSUB NUMSUB @channels",
    "PUBSUB NUMSUB",
    "PUBSUB NUMPAT",
    "PUBSUB NUMPAT x",
    "PUBSUB SHARDCHANNELS",
    "PUBSUB SHARDCHANNELS @pattern",
    "PUBSUB SHARDNUMSUB @channels",
    "PUBSUB SHARDNUMSUB",
    "PUBSUB NOSUCH",
    "PUBSUB",
    "PUBSUB CHANNELS a b",
    "EVAL return#redis.call('PUBLISH',ARGV[1],ARGV[2]) 0 @channel @text",
    "EVAL return#{redis.call('PUBLISH',ARGV[1],1),redis.call('SPUBLISH',ARGV[1],2)} 0 @channel",
    "EVAL return#redis.pcall('SUBSCRIBE',ARGV[1]) 0 @channel",
];

/// What changes keys, whose events are told.
const WRITES: &[&str] = &[
    "SET @key @text",
    "SET @key @text EX 1000",
    "SET @key @text PX 100000 GET",
    "SETEX @key 1000 v",
    "SETNX @key v",
    "GETSET @key v",
    "GETDEL @key",
    "GETEX @key EX 1000",
    "GETEX @key PERSIST",
    "APPEND @key v",
    "INCR @key",
    "INCRBYFLOAT @key 1.5",
    "SETRANGE @key 1 v",
    "SETBIT @key 3 1",
    "MSET @key 1 @key 2",
    "MSETNX @key 1 @key 2",
    "DEL @key @key",
    "UNLINK @key",
    "EXPIRE @key 1000",
    "EXPIRE @key -1",
    "PEXPIREAT @key 1",
    "PERSIST @key",
    "RENAME @key @key",
    "RENAMENX @key @key",
    "COPY @key @key REPLACE",
    "COPY @key @key DB 1 REPLACE",
    "MOVE @key 1",
    "TOUCH @key",
    "LPUSH @key 1 2",
    "RPUSHX @key 3",
    "LPOP @key",
    "RPOP @key 5",
    "LSET @key 0 v",
    "LREM @key 0 1",
    "LTRIM @key 5 6",
    "LINSERT @key BEFORE 1 0",
    "LMOVE @key @key LEFT RIGHT",
    "RPOPLPUSH @key @key",
    "LMPOP 2 @key @key LEFT COUNT 2",
    "SADD @key 1 2 3",
    "SREM @key 1 2 3",
    "SMOVE @key @key 2",
    "SINTERSTORE @key @key @key",
    "SUNIONSTORE @key @key @key",
    "HSET @key f v",
    "HDEL @key f",
    "HINCRBY @key f 1",
    "HINCRBYFLOAT @key f 1",
    "ZADD @key 1 m",
    "ZADD @key INCR 1 m",
    "ZADD @key NX 5 m",
    "ZREM @key m",
    "ZPOPMIN @key",
    "ZRANGESTORE @key @key 0 -1",
    "ZUNIONSTORE @key 2 @key @key",
    "ZREMRANGEBYRANK @key 0 -1",
    "SORT @key ALPHA STORE @key",
    "XADD @key 1-1 f v",
    "XADD @key MAXLEN 0 2-1 f v",
    "XDEL @key 1-1",
    "XTRIM @key MAXLEN 0",
    "XGROUP CREATE @key g $ MKSTREAM",
    "XGROUP CREATECONSUMER @key g c",
    "XGROUP DESTROY @key g",
    "XSETID @key 9-1",
    "PFADD @key 1 2",
    "PFMERGE @key @key",
    "BITOP NOT @key @key",
    "GEOADD @key 1 1 m",
    "SWAPDB 0 1",
    "FLUSHDB",
    "FLUSHALL",
    "GET @key",
    "EXISTS @key nosuch",
    "TYPE @key",
    "LRANGE @key 0 -1",
    "SMISMEMBER @key 1",
    "HGETALL nosuch",
];

/// What connections say of themselves.
const SESSION: &[&str] = &[
    "HELLO 3",
    "HELLO 3",
    "HELLO 2",
    "RESET",
    "PING",
    "PING text",
    "PING a b",
    "QUIT",
    "SELECT 1",
    "SELECT 0",
    "GET k",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "ECHO x",
    "CLIENT GETNAME",
    "NOSUCH",
    "AUTH x",
];

/// Draws the steps of one schedule.
pub struct Draw {
    random: Random,
    clients: u64,
}

impl Draw {
    /// A schedule of this seed.
    pub fn new(mut random: Random) -> Draw {
        let clients = CLIENTS[0] + random.below(CLIENTS[1] + 1 - CLIENTS[0]);
        Draw { random, clients }
    }

    /// All of them.
    pub fn steps(mut self) -> Vec<Step> {
        let count = STEPS[0] + self.random.below(STEPS[1] + 1 - STEPS[0]);
        let mut steps = vec![];
        for client in 0..self.clients as usize {
            let protocol = self.one_of(&["HELLO 3", "HELLO 2"]);
            steps.push(Step::Say(client, vec![said(protocol)]));
        }
        steps.extend((0..count).map(|_| self.step()));
        steps
    }

    fn step(&mut self) -> Step {
        let who = self.random.below(self.clients) as usize;
        match self.random.below(100) {
            0 => Step::HangUp(who),
            1..4 => Step::Expire(self.one_of(&KEYS)),
            4..9 => {
                let classes = self.one_of(CLASSES);
                let set = words(&["CONFIG", "SET", "notify-keyspace-events", classes]);
                Step::Say(who, vec![set, words(&["CONFIG", "GET", "notify-keyspace-events"])])
            }
            9..14 => Step::Say(who, self.unheard()),
            14..21 => Step::Say(who, self.transaction()),
            21..27 => Step::Say(who, vec![self.command(SESSION)]),
            27..34 => {
                let count = 1 + self.random.below(TOGETHER_MAX);
                Step::Say(who, (0..count).map(|_| self.any_command()).collect())
            }
            34..55 => Step::Say(who, vec![self.command(SUBSCRIBES)]),
            55..78 => Step::Say(who, vec![self.command(PUBLISHES)]),
            _ => Step::Say(who, vec![self.command(WRITES)]),
        }
    }

    fn any_command(&mut self) -> Words {
        let lines = [SUBSCRIBES, SUBSCRIBES, PUBLISHES, WRITES, SESSION];
        let lines = lines[self.random.below(lines.len() as u64) as usize];
        self.command(lines)
    }

    /// Commands whose replies are not wanted, and one that is answered again.
    fn unheard(&mut self) -> Vec<Words> {
        let count = 1 + self.random.below(TOGETHER_MAX);
        let mode = self.one_of(&["CLIENT REPLY OFF", "CLIENT REPLY SKIP"]);
        let mut commands = vec![said(mode)];
        commands.extend((0..count).map(|_| self.any_command()));
        // A Redis that may not say so does not end the connection.
        commands.retain(|it| it[0] != b"QUIT");
        commands.extend([said("CLIENT REPLY ON"), said("PING")]);
        commands
    }

    /// What a transaction changes is told before what it publishes, so it does one of both.
    fn transaction(&mut self) -> Vec<Words> {
        let lines = self.one_of_lines();
        let mut commands = vec![said("MULTI")];
        commands.extend((0..=self.random.below(TOGETHER_MAX)).map(|_| self.command(lines)));
        commands.push(said(if self.random.below(8) == 0 { "DISCARD" } else { "EXEC" }));
        commands
    }

    fn one_of_lines(&mut self) -> &'static [&'static str] {
        [SUBSCRIBES, PUBLISHES, WRITES][self.random.below(3) as usize]
    }

    fn command(&mut self, lines: &[&str]) -> Words {
        let line = self.one_of(lines);
        line.split(' ').flat_map(|it| self.word(it)).collect()
    }

    /// What stands for a word.
    fn word(&mut self, word: &str) -> Words {
        let all = match word {
            "@key" => return words(&[self.one_of(&KEYS)]),
            "@text" => return words(&[self.one_of(&["x", "", "12", "a\r\nb"])]),
            "@channel" | "@channels" => CHANNELS,
            "@pattern" | "@patterns" => PATTERNS,
            // Words of Lua have spaces between them.
            plain => return words(&[plain.replace('#', " ")]),
        };
        let count = if word.ends_with('s') { 1 + self.random.below(3) } else { 1 };
        let all: Vec<&str> = (0..count).map(|_| self.one_of(all)).collect();
        words(&all)
    }

    fn one_of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.random.below(all.len() as u64) as usize]
    }
}
