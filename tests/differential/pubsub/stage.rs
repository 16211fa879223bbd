//! One server with the connections of a schedule, and what each of them has got.

use super::steps::Step;
use crate::support::wire::encode;
use crate::support::{
    Server, Value, Wire, Words, ok, until_alone_with_replicas, until_gone, within, words,
};
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

/// A server that has not said what the other has said for so long does not say it.
const PATIENCE: Duration = Duration::from_secs(3);
/// When the time of a key that has a millisecond is over, and its clock has noticed.
const EXPIRY: Duration = Duration::from_millis(4);
/// Fields of CLIENT LIST that are the same at both.
const FIELDS: [&str; 7] = ["db", "sub", "psub", "ssub", "multi", "user", "resp"];

/// What can be seen since a step began.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What each connection has got.
    pub frames: BTreeMap<usize, Vec<Value>>,
    /// What CLIENT LIST tells of each that is there.
    pub told: BTreeMap<usize, String>,
}

struct Client {
    wire: Wire,
    id: i64,
}

/// One server.
pub struct Stage<'s> {
    server: &'s Server,
    operator: Wire,
    clients: BTreeMap<usize, Client>,
    seen: Seen,
}

impl<'s> Stage<'s> {
    /// Nobody listens, and nothing is there.
    pub fn new(server: &'s Server) -> Stage<'s> {
        let mut operator = server.dial();
        ok(&mut operator, "FLUSHALL");
        ok(&mut operator, "CONFIG RESETSTAT");
        operator.cmd(&["CONFIG", "SET", "notify-keyspace-events", ""]);
        Stage { server, operator, clients: BTreeMap::new(), seen: Seen::default() }
    }

    /// A step begins.
    pub fn begin(&mut self, step: &Step) {
        self.seen.frames.clear();
        match step {
            Step::HangUp(client) => self.hang_up(*client),
            Step::Say(client, commands) => {
                let bytes: Vec<u8> = commands.iter().flat_map(|it| encode(it)).collect();
                let _ = self.client(*client).wire.try_send_raw(&bytes);
            }
            Step::Expire(key) => {
                let key = key.as_bytes();
                self.operator.cmd(&[b"SET", key, b"soon over"]);
                self.operator.cmd(&[b"PEXPIRE", key, b"1"]);
                sleep(EXPIRY);
                self.operator.cmd(&[b"DEL", key]);
            }
        }
    }

    fn hang_up(&mut self, client: usize) {
        self.seen.told.remove(&client);
        let Some(gone) = self.clients.remove(&client) else { return };
        drop(gone.wire);
        until_gone(&mut self.operator, gone.id);
    }

    fn client(&mut self, number: usize) -> &mut Client {
        let server = self.server;
        self.clients.entry(number).or_insert_with(|| {
            let mut wire = server.dial();
            let id = wire.ask("CLIENT ID").int().expect("a number");
            Client { wire, id }
        })
    }

    /// Waits until nothing more comes: a server of one thread has done what it has got, and sent
    /// what it has to say, before it answers twice.
    pub fn rest(&mut self) -> Seen {
        (0..2).for_each(|_| assert_eq!(self.operator.ask("PING").string(), "PONG"));
        self.look();
        self.seen.clone()
    }

    /// Waits until the same can be seen here.
    pub fn follow(&mut self, wanted: &Seen) -> Result<(), Seen> {
        let is_there = within(PATIENCE, || {
            self.look();
            let has_more = self.seen.frames.iter().any(|(client, frames)| {
                wanted.frames.get(client).map_or(0, Vec::len) < frames.len()
            });
            let is_same = are_same(wanted, &self.seen);
            (is_same || has_more).then_some(is_same)
        });
        if is_there == Some(true) { Ok(()) } else { Err(self.seen.clone()) }
    }

    fn look(&mut self) {
        let list = self.operator.ask("CLIENT LIST").string();
        self.seen.told.clear();
        for (number, client) in &mut self.clients {
            let line = list.lines().find(|it| it.starts_with(&format!("id={} ", client.id)));
            if let Some(line) = line {
                self.seen.told.insert(*number, told(line));
            }
            while client.wire.has_input() {
                let Some(frame) = client.wire.try_read() else { break };
                self.seen.frames.entry(*number).or_default().push(frame);
            }
        }
    }

    /// All connections go.
    pub fn end(mut self) {
        self.clients.clear();
        self.operator.cmd(&["CONFIG", "SET", "notify-keyspace-events", ""]);
        until_alone_with_replicas(&mut self.operator);
    }
}

fn told(line: &str) -> String {
    let is_told = |it: &&str| it.split_once('=').is_some_and(|(name, _)| FIELDS.contains(&name));
    line.split(' ').filter(is_told).collect::<Vec<_>>().join(" ")
}

fn are_same(wanted: &Seen, seen: &Seen) -> bool {
    let frames = |it: &Seen| -> Vec<_> {
        it.frames.iter().map(|(client, frames)| (*client, brought_in_order(frames))).collect()
    };
    wanted.told == seen.told && frames(wanted) == frames(seen)
}

/// What differs.
pub fn difference(wanted: &Seen, seen: &Seen) -> String {
    let shown = |frames: &Vec<Value>| -> Vec<String> {
        let [replies, pushes] = brought_in_order(frames);
        replies.iter().chain(&pushes).map(Value::to_string).collect()
    };
    let mut text = String::new();
    for (client, told) in &wanted.told {
        let ours = seen.told.get(client);
        if ours != Some(told) {
            text += &format!("client {client}\n  redis:     {told}\n  entourage: {ours:?}\n");
        }
    }
    let clients: Vec<_> = wanted.frames.keys().chain(seen.frames.keys()).collect();
    for client in clients {
        let [theirs, ours] = [wanted, seen].map(|it| it.frames.get(client).map(shown));
        if theirs != ours {
            text += &format!("{client} got\n  redis:     {theirs:?}\n  entourage: {ours:?}\n");
        }
    }
    text
}

/// Replies, and what is pushed: a subscriber that writes hears of it behind the reply here. Where
/// tables of different making have different orders, there is one.
fn brought_in_order(frames: &[Value]) -> [Vec<Value>; 2] {
    let (pushes, replies): (Vec<Value>, Vec<Value>) =
        frames.iter().cloned().partition(|it| kind(it).is_some());
    [replies.iter().map(shown).collect(), in_order(pushes)]
}

/// Who pushes, where it is no reply.
fn kind(frame: &Value) -> Option<&[u8]> {
    const KINDS: [&[u8]; 3] = [b"message", b"pmessage", b"smessage"];
    let first = frame.items()?.first()?.text()?;
    (KINDS.contains(&first) || first.ends_with(b"subscribe")).then_some(first)
}

fn shown(reply: &Value) -> Value {
    let is_hello = reply.items().is_some_and(|it| it.contains(&Value::Bulk(b"version".to_vec())));
    match reply {
        _ if is_hello => Value::Simple(b"HELLO".to_vec()),
        Value::Array(it) if it.iter().all(|it| matches!(it, Value::Bulk(_))) => reply.sorted(1),
        Value::Array(it) => Value::Array(it.iter().map(shown).collect()),
        _ => reply.clone(),
    }
}

/// Who leaves all of a kind is told of each, and who has several patterns that fit hears of each, in
/// any order.
fn in_order(mut frames: Vec<Value>) -> Vec<Value> {
    let about = |it: &Value| (it.list()[0].clone(), it.list().get(2..).map(<[Value]>::to_vec));
    let is_end = |it: &Value| kind(it).is_some_and(|it| it.ends_with(b"unsubscribe"));
    let is_pattern = |it: &Value| kind(it) == Some(b"pmessage");
    let belong = |one: &Value, other: &Value| {
        (is_end(one) && one.list()[0] == other.list()[0])
            || (is_pattern(one) && about(one) == about(other))
    };
    for run in frames.chunk_by_mut(belong) {
        let mut names: Vec<Value> = run.iter().map(|it| it.list()[1].clone()).collect();
        names.sort();
        for (frame, name) in run.iter_mut().zip(names) {
            match frame {
                Value::Push(items) | Value::Array(items) => items[1] = name,
                other => panic!("{other}"),
            }
        }
    }
    frames
}

/// Words as they are sent.
pub fn said(line: &str) -> Words {
    words(&line.split(' ').collect::<Vec<_>>())
}
