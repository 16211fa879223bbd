//! The steps of a schedule, drawn one by one: what a client says, or that it hangs up.

use crate::rounds::CALLS;
use crate::shrink::line;
use crate::support::{Words, words};
use entourage::base::random::Random;
use std::fmt;

/// What one client does.
#[derive(Clone)]
pub enum Step {
    /// It sends these commands at once. Words that begin with `@` are known when they are sent.
    Say(usize, Vec<Words>),
    /// It closes its connection.
    HangUp(usize),
}

impl Step {
    /// Whether a key's time is over behind it.
    pub fn expires(&self) -> bool {
        matches!(self, Step::Say(_, commands) if commands[0][0] == b"PEXPIRE")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Say(client, commands) => {
                let lines: Vec<String> = commands.iter().map(line).collect();
                write!(f, "{client}: {}", lines.join(" | ").replace(CALLS, "…"))
            }
            Step::HangUp(client) => write!(f, "{client} hangs up"),
        }
    }
}

/// Types of which a schedule has the most.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Theme {
    Lists,
    SortedSets,
    Streams,
}

use Theme::{Lists, SortedSets, Streams};

/// Lines of each theme.
type Table = &'static [(Theme, &'static [&'static str])];

/// What the keys are called.
pub const KEYS: [&str; 3] = ["a", "b", "c"];
/// The operator, who never waits, and so many others at least and at most.
const OTHERS: [u64; 2] = [2, 5];
const STEPS: [u64; 2] = [8, 40];

/// Calls that wait until they are served. In a line, `|` stands between commands, `@x` and `@y` are
/// different keys, and the other words with an `@` are in [`Draw::word`].
const WAITS: Table = &[
    (
        Lists,
        &[
            "BLPOP @keys 0",
            "BRPOP @keys 0",
            "BLMOVE @key @key @side @side 0",
            "BRPOPLPUSH @key @key 0",
            "BLMPOP 0 1 @key @side COUNT 2",
            "BLMPOP 0 3 @key @key @key @side COUNT 10",
            "BLMPOP 0 2 @key @key @side",
        ],
    ),
    (
        SortedSets,
        &[
            "BZPOPMIN @keys 0",
            "BZPOPMAX @keys 0",
            "BZMPOP 0 1 @key @end COUNT 2",
            "BZMPOP 0 3 @key @key @key @end",
        ],
    ),
    (
        Streams,
        &[
            "XREAD BLOCK 0 STREAMS @key @since",
            "XREAD COUNT 1 BLOCK 0 STREAMS @x @y @since @since",
            "XREADGROUP GROUP @group @consumer BLOCK 0 STREAMS @key >",
            "XREADGROUP GROUP @group @consumer COUNT 1 BLOCK 0 STREAMS @key >",
            "XREADGROUP GROUP @group @consumer BLOCK 0 NOACK STREAMS @x @y > >",
            "XREADGROUP GROUP @group @consumer COUNT 2 BLOCK 0 STREAMS @x @y > @since",
        ],
    ),
];

/// Calls whose time is soon over, unless they find something at once.
const LIMITED: &[&str] = &[
    "BLPOP @keys 0.01",
    "BLMOVE @key @key LEFT RIGHT 0.01",
    "BLMPOP 0.001 1 @key RIGHT",
    "BZPOPMIN @keys 0.01",
    "BZMPOP 0.01 1 @key MAX",
    "XREAD BLOCK 10 STREAMS @key $",
    "XREADGROUP GROUP @group @consumer BLOCK 1 STREAMS @x @y > >",
];

/// What fills keys, empties them and reads them. What a store puts in the place of another type
/// serves who waits for it here, and not at Valkey, so there is nothing in its place.
const FILLS: Table = &[
    (
        Lists,
        &[
            "LPUSH @key @value",
            "LPUSH @key @value @value @value",
            "RPUSH @key @value",
            "RPUSH @key @value @value",
            "RPUSH @key @value @value @value",
            "LPUSHX @key @value",
            "LINSERT @key BEFORE @value i",
            "LMOVE @key @key @side @side",
            "RPOPLPUSH @key @key",
            "LPOP @key",
            "LREM @key 0 @value",
            "LTRIM @key 1 -1",
            "LMPOP 1 @key @side",
            "LRANGE @key 0 -1",
            "DEL @x | SORT @y ALPHA STORE @x",
        ],
    ),
    (
        SortedSets,
        &[
            "ZADD @key @score @value",
            "ZADD @key @score @value @score @value",
            "ZADD @key XX @score @value",
            "ZADD @key INCR 1 @value",
            "ZINCRBY @key 1 @value",
            "GEOADD @key 1 1 @value",
            "ZREM @key @value",
            "ZPOPMIN @key",
            "ZMPOP 1 @key @end",
            "ZREMRANGEBYRANK @key 0 0",
            "ZRANGE @key 0 -1 WITHSCORES",
            "DEL @x | ZUNIONSTORE @x 2 @y @y",
            "DEL @x | ZINTERSTORE @x 1 @y",
            "DEL @x | ZDIFFSTORE @x 1 @y",
            "DEL @x | ZRANGESTORE @x @y 0 -1",
            "DEL @x | GEOSEARCHSTORE @x @y FROMLONLAT 1 1 BYRADIUS 9000 km",
        ],
    ),
    (
        Streams,
        &[
            "XADD @key @next f @value",
            "XADD @key @next f @value",
            "XADD @key @next f @value",
            "XADD @key NOMKSTREAM @next f @value",
            "XADD @key MAXLEN 1 @next f @value",
            "XADD @key MAXLEN 0 @next f @value",
            "XGROUP CREATE @key @group $ MKSTREAM",
            "XGROUP CREATE @key @group 0 MKSTREAM",
            "XGROUP CREATE @key @group $ MKSTREAM",
            "XGROUP CREATE @key @group 1",
            "XGROUP DESTROY @key @group",
            "XGROUP SETID @key @group 0",
            "XGROUP SETID @key @group $",
            "XGROUP CREATECONSUMER @key @group @consumer",
            "XGROUP DELCONSUMER @key @group @consumer",
            "XDEL @key @some",
            "XTRIM @key MAXLEN 1",
            "XTRIM @key MAXLEN 0",
            "XSETID @key @next",
            "XACK @key @group @some",
            "XAUTOCLAIM @key @group @consumer 0 0",
            "XCLAIM @key @group @consumer 0 @some",
            "XREADGROUP GROUP @group @consumer STREAMS @key >",
            "XLEN @key",
        ],
    ),
];

/// What takes keys away, moves them, and makes others of them.
const DISTURBS: &[&str] = &[
    "DEL @keys",
    "UNLINK @keys",
    "GETDEL @key",
    "RENAME @key @key",
    "RENAMENX @key @key",
    "COPY @key @key REPLACE",
    "COPY @key @key DB @db REPLACE",
    "MOVE @key @db",
    "SWAPDB 0 1",
    "FLUSHDB",
    "FLUSHALL",
    "SELECT @db",
    "SET @key text",
    "SET @key text GET",
    "SADD @key 1 2",
    "SPOP @key 9",
    "HSET @key f v",
    "SUNIONSTORE @key @key @key",
    "BITOP OR @key @key",
    "PFMERGE @key @key",
    "RESTORE @key 0 @payload REPLACE",
    "RESTORE @key 0 @payload",
    "RESTORE @key 1 @payload REPLACE ABSTTL",
    "PEXPIREAT @key 4102444800000",
    "PERSIST @key",
    "TOUCH @key",
];
/// The same for a key that is looked after until it is gone.
const EXPIRES: &str = "PEXPIRE @key 1";

/// What clients say of themselves.
const SESSION: &[&str] = &[
    "HELLO 3",
    "HELLO 2",
    "CLIENT NO-TOUCH ON",
    "WATCH @key",
    "WATCH @key",
    "UNWATCH",
    "SELECT @db",
    "RESET",
    "PING",
];
/// What they say only where nothing else is said: how many replicas there are, and the last word.
const ALONE: &[&str] = &["WAIT 0 0", "CLIENT REPLY SKIP | RESET", "QUIT"];

/// What ends the wait of `@victim`.
const ENDS: &[&str] = &[
    "CLIENT UNBLOCK @victim",
    "CLIENT UNBLOCK @victim TIMEOUT",
    "CLIENT UNBLOCK @victim ERROR",
    "CLIENT KILL ID @victim",
];

/// Draws the steps of one schedule.
pub struct Draw {
    random: Random,
    /// Clients, the operator among them, who is number 0.
    clients: usize,
    /// How many steps there are.
    pub steps: usize,
    theme: Option<Theme>,
    last_id: u64,
}

impl Draw {
    /// A schedule of this seed.
    pub fn new(mut random: Random) -> Draw {
        let mut between = |[low, high]: [u64; 2]| low + random.below(high + 1 - low);
        let (clients, steps) = (1 + between(OTHERS) as usize, between(STEPS) as usize);
        let themes = [Some(Lists), Some(SortedSets), Some(Streams), Some(Streams), None, None];
        let theme = themes[random.below(themes.len() as u64) as usize];
        Draw { random, clients, steps, theme, last_id: 0 }
    }

    /// The next step. What runs behind a wait that has ended runs beside what others have sent:
    /// while somebody has sent more than its wait, no step is more than one command, and nobody
    /// else sends more than its wait.
    pub fn step(&mut self, blocked: &[usize], is_busy: bool) -> Step {
        let free: Vec<usize> = (1..self.clients).filter(|it| !blocked.contains(it)).collect();
        let dice = self.random.below(100);
        if dice < 30 && !free.is_empty() {
            let who = self.one_of(&free);
            return self.wait(who, is_busy);
        }
        if dice < 40 && !blocked.is_empty() {
            let victim = self.one_of(blocked);
            return match self.random.below(10) {
                0..3 => Step::HangUp(victim),
                3 if !is_busy => Step::Say(victim, self.single(FILLS)),
                _ => Step::Say(0, vec![self.end_of(victim)]),
            };
        }
        let who = self.one_of(&[&[0, 0], &free[..]].concat());
        match dice {
            ..65 => Step::Say(who, self.single(FILLS)),
            65..76 => Step::Say(who, self.transaction(|it| it.line_of(DISTURBS))),
            76 => Step::Say(who, self.commands(EXPIRES)),
            77..86 => Step::Say(who, self.transaction(|it| it.several(blocked))),
            86..92 => Step::Say(who, vec![self.script()]),
            92..97 if !free.is_empty() => {
                let who = self.one_of(&free);
                let lines = if dice == 96 { ALONE } else { SESSION };
                Step::Say(who, self.line_of(lines))
            }
            97 if !is_busy => Step::Say(who, [self.single(FILLS), self.single(FILLS)].concat()),
            _ => Step::Say(who, self.single(FILLS)),
        }
    }

    /// Somebody begins to wait.
    fn wait(&mut self, who: usize, is_busy: bool) -> Step {
        let wait = self.single(WAITS);
        let reply = |mode: &str| words(&["CLIENT", "REPLY", mode]);
        let commands = match self.random.below(20) {
            0 => self.line_of(LIMITED),
            1 if !is_busy => [vec![reply("SKIP")], wait].concat(),
            2 if !is_busy => {
                let behind = self.several(&[]);
                [vec![reply("OFF")], wait, behind, vec![reply("ON")]].concat()
            }
            3..5 if !is_busy => [wait, self.several(&[])].concat(),
            5 if !is_busy => {
                let (session, behind) = (self.line_of(SESSION), self.several(&[]));
                let last = if self.random.below(4) == 0 { self.line_of(&["QUIT"]) } else { vec![] };
                [wait, session, behind, last].concat()
            }
            _ => wait,
        };
        Step::Say(who, commands)
    }

    /// Several commands are one transaction.
    fn transaction(&mut self, draw: impl FnOnce(&mut Draw) -> Vec<Words>) -> Vec<Words> {
        let commands = draw(self);
        match commands.len() {
            1 if self.random.below(2) == 0 => commands,
            _ => [vec![words(&["MULTI"])], commands, vec![words(&["EXEC"])]].concat(),
        }
    }

    fn single(&mut self, table: Table) -> Vec<Words> {
        let lines = self.lines(table);
        let commands = self.line_of(lines);
        match commands.len() {
            1 => commands,
            _ => [vec![words(&["MULTI"])], commands, vec![words(&["EXEC"])]].concat(),
        }
    }

    /// Some commands of all kinds, and maybe one that ends the wait of one of these clients.
    fn several(&mut self, victims: &[usize]) -> Vec<Words> {
        let mut commands = vec![];
        for _ in 0..=self.random.below(4) {
            let lines = match self.random.below(20) {
                0..12 => self.lines(FILLS),
                12..17 => DISTURBS,
                _ => self.lines(WAITS),
            };
            commands.extend(self.line_of(lines));
        }
        if !victims.is_empty() && self.random.below(4) == 0 {
            let at = self.random.below(commands.len() as u64 + 1) as usize;
            let victim = self.one_of(victims);
            commands.insert(at, self.end_of(victim));
        }
        commands
    }

    /// The same, called by a script. It calls no pops that wait, which Valkey allows.
    fn script(&mut self) -> Words {
        let mut eval = words(&["EVAL", CALLS, "0"]);
        for command in self.several(&[]) {
            if !command[0].starts_with(b"B") {
                eval.push(command.len().to_string().into_bytes());
                eval.extend(command);
            }
        }
        eval
    }

    fn end_of(&mut self, victim: usize) -> Words {
        let line = self.one_of(ENDS).replace("@victim", &format!("@client{victim}"));
        words(&line.split(' ').collect::<Vec<_>>())
    }

    /// The lines of the theme, most of the time.
    fn lines(&mut self, table: Table) -> &'static [&'static str] {
        let is_themed = |it: &(Theme, _)| Some(it.0) == self.theme;
        let themed = table.iter().position(is_themed).filter(|_| self.random.below(20) < 17);
        table[themed.unwrap_or_else(|| self.random.below(table.len() as u64) as usize)].1
    }

    fn line_of(&mut self, lines: &[&str]) -> Vec<Words> {
        let line = self.one_of(lines);
        self.commands(line)
    }

    /// The commands of a line.
    fn commands(&mut self, line: &str) -> Vec<Words> {
        let x = self.random.below(3) as usize;
        let y = (x + 1 + self.random.below(2) as usize) % KEYS.len();
        let commands = line.split(" | ");
        commands
            .map(|it| it.split(' ').flat_map(|word| self.word(word, KEYS[x], KEYS[y])).collect())
            .collect()
    }

    /// What stands for a word.
    fn word(&mut self, word: &str, x: &str, y: &str) -> Words {
        let ids = self.last_id + 2;
        let text = match word {
            "@x" => x.to_owned(),
            "@y" => y.to_owned(),
            "@key" => self.one_of(&KEYS).to_owned(),
            "@keys" => {
                let count = self.one_of(&[1, 1, 2, 3]);
                return (0..count).map(|_| self.one_of(&KEYS).into()).collect();
            }
            "@db" => self.one_of(&["0", "1"]).to_owned(),
            "@side" => self.one_of(&["LEFT", "RIGHT"]).to_owned(),
            "@end" => self.one_of(&["MIN", "MAX"]).to_owned(),
            "@value" => self.one_of(&["v", "w", "x", "1", "2", "3"]).to_owned(),
            "@score" => self.one_of(&["1", "2", "3", "-1", "1.5", "inf"]).to_owned(),
            "@group" => self.one_of(&["g", "g", "h"]).to_owned(),
            "@consumer" => self.one_of(&["p", "q"]).to_owned(),
            "@payload" => self.one_of(&["@list", "@zset", "@stream", "@string"]).to_owned(),
            "@since" if self.random.below(2) == 0 => "$".into(),
            "@since" => self.random.below(ids).to_string(),
            "@some" => format!("{}-1", self.random.below(ids)),
            "@next" if self.random.below(7) == 0 => format!("{}-2", self.random.below(ids)),
            "@next" => {
                self.last_id += 1;
                let sequence = self.one_of(&["1", "2", "*"]);
                format!("{}-{sequence}", self.last_id)
            }
            plain => plain.to_owned(),
        };
        vec![text.into_bytes()]
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.below(all.len() as u64) as usize]
    }
}
