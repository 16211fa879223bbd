//! One server with the clients of a schedule, and what can be seen of them when all is at rest.

use super::steps::{KEYS, Step};
use crate::support::wire::encode;
use crate::support::{
    Server, Value, Wire, Words, info_field, ok, until, until_alone_with_replicas, until_gone,
    within, words,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A server that has not come where the other is for so long does not come there.
const PATIENCE: Duration = Duration::from_secs(10);
/// What INFO counts of those who wait.
const COUNTS: [&str; 3] =
    ["blocked_clients", "total_blocking_keys", "total_blocking_keys_on_nokey"];
/// Keys of types that are restored, and how they come to be.
const PAYLOADS: [(&str, &str); 4] = [
    ("list", "RPUSH list r1 r2"),
    ("zset", "ZADD zset 1 m 2 n"),
    ("stream", "XADD stream 5-1 f v"),
    ("string", "SET string text"),
];

/// Where a client stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Free,
    Blocked,
    Closed,
}

/// What can be seen since a step began.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    pub states: BTreeMap<usize, State>,
    pub replies: BTreeMap<usize, Vec<String>>,
    /// Keyspace events.
    pub events: Vec<String>,
    pub counts: Vec<String>,
}

impl Seen {
    /// Whether it may still become what is wanted.
    fn may_become(&self, wanted: &Seen) -> bool {
        let begins = |(client, replies): (&usize, &Vec<String>)| {
            wanted.replies.get(client).is_some_and(|it| it.starts_with(replies))
        };
        self.replies.iter().all(begins) && wanted.events.starts_with(&self.events)
    }
}

struct Client {
    wire: Wire,
    id: i64,
    /// Replies that are to come.
    owed: usize,
    /// It has sent more than one command, or more than its wait.
    says_more: bool,
}

/// One server.
pub struct Stage<'s> {
    server: &'s Server,
    operator: Wire,
    listener: Wire,
    clients: BTreeMap<usize, Client>,
    payloads: Vec<(Vec<u8>, Vec<u8>)>,
    seen: Seen,
    /// Whose replies differ from server to server.
    not_shown: Option<usize>,
    /// Whose wait ends by itself.
    limited: Option<usize>,
}

impl<'s> Stage<'s> {
    /// Nobody waits, and nothing is there.
    pub fn new(server: &'s Server) -> Stage<'s> {
        let (mut operator, mut listener) = (server.dial(), server.dial());
        ok(&mut operator, "FLUSHALL");
        let payloads = PAYLOADS.map(|(name, line)| {
            operator.ask(line);
            let Value::Bulk(payload) = operator.ask(&format!("DUMP {name}")) else {
                panic!("{line} leaves {name}")
            };
            (format!("@{name}").into_bytes(), payload)
        });
        ok(&mut operator, "FLUSHALL");
        ok(&mut operator, "CONFIG SET notify-keyspace-events KEA");
        listener.ask("PSUBSCRIBE __keyevent@*");
        Stage {
            server,
            operator,
            listener,
            clients: BTreeMap::new(),
            payloads: payloads.into(),
            seen: Seen::default(),
            not_shown: None,
            limited: None,
        }
    }

    /// Another connection, for what is no client of the schedule.
    pub fn operator(&mut self) -> &mut Wire {
        &mut self.operator
    }

    /// Who waits.
    pub fn blocked(&self) -> Vec<usize> {
        let is_blocked = |it: &(&usize, &State)| *it.1 == State::Blocked;
        self.seen.states.iter().filter(is_blocked).map(|(client, _)| *client).collect()
    }

    /// Whether somebody has sent more than the call that waits.
    pub fn is_busy(&self) -> bool {
        self.blocked().iter().any(|it| self.clients[it].says_more)
    }

    /// A step begins.
    pub fn begin(&mut self, step: &Step) {
        (self.not_shown, self.limited) = (None, None);
        self.seen.replies.clear();
        self.seen.events.clear();
        match step {
            Step::HangUp(client) => self.hang_up(*client),
            Step::Say(client, commands) => self.say(*client, commands),
        }
    }

    fn hang_up(&mut self, client: usize) {
        self.seen.states.remove(&client);
        let Some(gone) = self.clients.remove(&client) else { return };
        drop(gone.wire);
        until_gone(&mut self.operator, gone.id);
    }

    fn say(&mut self, client: usize, commands: &[Words]) {
        let sent: Vec<Words> =
            commands.iter().map(|it| it.iter().map(|it| self.known(it)).collect()).collect();
        let name = |it: &Words| String::from_utf8_lossy(&it[0]).into_owned();
        self.not_shown = (name(&commands[0]) == "WAIT").then_some(client);
        let is_blocked = self.blocked().contains(&client);
        self.limited = is_limited(&commands[0]).then_some(client);
        let client = self.client(client);
        client.owed += answers(commands);
        client.says_more = is_blocked || 1 < commands.len();
        // It may have been killed a moment ago.
        let bytes: Vec<u8> = sent.iter().flat_map(|it| encode(it)).collect();
        let _ = client.wire.try_send_raw(&bytes);
    }

    /// A word as it is sent to this server.
    fn known(&mut self, word: &[u8]) -> Vec<u8> {
        if let Some((_, payload)) = self.payloads.iter().find(|(name, _)| name == word) {
            return payload.clone();
        }
        match word.strip_prefix(b"@client") {
            Some(number) => {
                let number = String::from_utf8_lossy(number).parse().expect("a number");
                self.client(number).id.to_string().into_bytes()
            }
            None => word.to_vec(),
        }
    }

    fn client(&mut self, number: usize) -> &mut Client {
        if self.seen.states.get(&number) == Some(&State::Closed) {
            self.clients.remove(&number);
            self.seen.states.remove(&number);
        }
        let server = self.server;
        self.clients.entry(number).or_insert_with(|| {
            let mut wire = server.dial();
            let id = wire.ask("CLIENT ID").int().expect("a number");
            Client { wire, id, owed: 0, says_more: false }
        })
    }

    /// Waits until nothing happens any more: a server of one thread does what it has got before it
    /// takes what comes later.
    pub fn rest(&mut self) -> Seen {
        until("all to be at rest", || {
            self.look();
            let before = self.seen.clone();
            self.look();
            (self.is_quiet() && self.seen == before).then_some(())
        });
        self.seen.clone()
    }

    fn is_quiet(&self) -> bool {
        self.clients.iter().all(|(number, client)| match self.seen.states[number] {
            State::Free => client.owed == 0,
            State::Blocked => self.limited != Some(*number),
            State::Closed => true,
        })
    }

    /// Waits until the same can be seen here.
    pub fn follow(&mut self, wanted: &Seen) -> Result<(), Seen> {
        let is_there = within(PATIENCE, || {
            self.look();
            (self.seen == *wanted || !self.seen.may_become(wanted)).then(|| self.seen == *wanted)
        });
        if is_there == Some(true) { Ok(()) } else { Err(self.seen.clone()) }
    }

    /// Waits until keys whose time is over are gone. Who asks for one that is over deletes it.
    pub fn expire(&mut self) {
        until("keys to expire", || {
            let mut is_over = true;
            for db in ["1", "0"] {
                ok(&mut self.operator, &format!("SELECT {db}"));
                for key in KEYS {
                    let left = self.operator.cmd(&["PTTL", key]);
                    is_over &= !left.int().is_some_and(|it| (0..1000).contains(&it));
                }
            }
            is_over.then_some(())
        });
    }

    fn look(&mut self) {
        let list = self.operator.ask("CLIENT LIST").string();
        for (number, client) in &mut self.clients {
            let line = list.lines().find(|it| it.starts_with(&format!("id={} ", client.id)));
            let flags = line.and_then(|it| it.split(' ').find_map(|it| it.strip_prefix("flags=")));
            let state = match flags {
                None => State::Closed,
                Some(flags) if flags.contains('b') => State::Blocked,
                Some(_) => State::Free,
            };
            self.seen.states.insert(*number, state);
            while client.wire.has_input() {
                let reply = client.wire.read().to_string();
                let is_shown = self.not_shown != Some(*number) && !reply.contains("\"version\"");
                let shown = if is_shown { reply } else { "a reply".into() };
                self.seen.replies.entry(*number).or_default().push(shown);
                client.owed = client.owed.saturating_sub(1);
            }
        }
        while self.listener.has_input() {
            self.seen.events.push(self.listener.read().to_string());
        }
        let operator = &mut self.operator;
        let count = |it: &str| format!("{it} {:?}", info_field(operator, "clients", it));
        self.seen.counts = COUNTS.map(count).into();
    }

    /// All clients go, and nobody is left who waits.
    pub fn end(mut self) {
        self.clients.clear();
        drop(self.listener);
        until_alone_with_replicas(&mut self.operator);
        for name in COUNTS {
            until("nobody to wait", || {
                let count = info_field(&mut self.operator, "clients", name)?;
                (count == "0").then_some(())
            });
        }
    }
}

/// How many replies these commands get.
fn answers(commands: &[Words]) -> usize {
    let (mut is_off, mut is_skipped, mut count) = (false, false, 0);
    for command in commands {
        let mode = (command.starts_with(&words(&["CLIENT", "REPLY"]))).then(|| &command[2][..]);
        match mode {
            Some(b"OFF") => is_off = true,
            Some(b"SKIP") => is_skipped = true,
            Some(_) => (is_off, count) = (false, count + 1),
            None if is_off || std::mem::take(&mut is_skipped) => {}
            None => count += 1,
        }
    }
    count
}

/// Whether this is the call of a step whose time is soon over.
fn is_limited(command: &Words) -> bool {
    let limit = command.windows(2).find(|it| it[0] == b"BLOCK").map(|it| &it[1]);
    let is_short = |it: &[u8]| it.starts_with(b"0.0");
    limit.is_some_and(|it| it != b"0") || command.iter().any(|it| is_short(it))
}
