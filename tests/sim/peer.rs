//! A simulated client: what it says, its connection, and what it has seen.

use super::ledger::{Key, Ledger};
use super::members::value_at;
use super::poppers::PopWait;
use super::script::Script;
use super::shell::Shell;
use entourage::base::position::ReplId;
use entourage::node::{Member, ReplicaSet};
use entourage::state::Client;
use std::collections::BTreeMap;

/// Keys that a client watches, as of when.
pub struct Watching {
    pub keys: Vec<Key>,
    /// The last write of all before that, and the last one that may have been before it: others go
    /// on while a request is served apart.
    pub since: u64,
    /// See [`Watching::since`].
    pub since_at_most: u64,
    pub replid: ReplId,
}

/// A client.
pub struct Peer {
    pub script: Script,
    pub shell: Shell,
    /// The worker that its connection lives at.
    pub worker: usize,
    /// The newest write it has made or seen.
    pub seen: u64,
    /// The newest write before what it has been told as a subscriber.
    pub told: u64,
    /// Those with whom it shares that, if with any.
    pub group: Option<String>,
    /// Its newest write to each key, and how often it raised its counter.
    pub own: BTreeMap<Key, u64>,
    pub incrs: u64,
    pub incrs_answered: u64,
    pub watching: Vec<Watching>,
    /// It had left before it was last served.
    pub was_gone: bool,
    /// Its wait for an element, until it is answered.
    pub pop_wait: Option<PopWait>,
    /// How many entries the stream had when it began to wait for more, unless others went on then.
    pub waits_behind: Option<usize>,
    /// It was served apart last.
    pub was_apart: bool,
    /// It has an element, and is not told of it yet.
    pub owes_element: bool,
    /// A command of its transaction was refused.
    pub is_poisoned: bool,
    /// It takes its replies.
    pub is_reading: bool,
}

impl Peer {
    pub fn new(shell: Shell, worker: usize) -> Peer {
        Peer {
            script: Script::new(shell.id()),
            shell,
            worker,
            seen: 0,
            told: 0,
            group: None,
            own: BTreeMap::new(),
            incrs: 0,
            incrs_answered: 0,
            watching: Vec::new(),
            was_gone: false,
            pop_wait: None,
            waits_behind: None,
            was_apart: false,
            owes_element: false,
            is_poisoned: false,
            is_reading: true,
        }
    }

    pub fn id(&self) -> u64 {
        self.script.id
    }

    /// What others know of it.
    pub fn client(&self) -> &Client {
        &self.shell.connection.caller.client
    }

    /// Sends as much of what it has written as there is room for, at most `most` bytes.
    pub fn send(&mut self, most: usize) -> usize {
        let (room, script) = (self.shell.inbox_max - self.shell.inbox.len(), &mut self.script);
        let count = script.to_send.len().min(room).min(most);
        self.shell.inbox.extend(script.to_send.drain(..count));
        count
    }

    /// Whether this member has everything that this client has written; `None` when nobody can
    /// look.
    pub fn is_all_at(&self, set: &ReplicaSet, ledger: &Ledger, member: &Member) -> Option<bool> {
        if !is_in_sight(set, member) {
            return None;
        }
        let has = |(key, place): (&Key, &u64)| *place <= place_at(set, ledger, member, *key);
        Some(self.own.iter().all(has) && self.incrs <= self.counter_at(set, member))
    }

    fn counter_at(&self, set: &ReplicaSet, member: &Member) -> u64 {
        let name = format!("c{}", self.id());
        let values =
            (0..super::script::DATABASES).filter_map(|it| value_at(set, member, it, &name));
        values.filter_map(|it| it.parse::<u64>().ok()).sum()
    }
}

/// Whether a member can be looked at: nobody changes it for long.
pub fn is_in_sight(set: &ReplicaSet, member: &Member) -> bool {
    set.read_unless_long(member).is_some()
}

/// The place of the write that a member shows for this key.
pub fn place_at(set: &ReplicaSet, ledger: &Ledger, member: &Member, key: Key) -> u64 {
    let value = value_at(set, member, key.0, &format!("k{}", key.1));
    value.map_or(0, |it| ledger.place(super::ledger::number_of(&it)))
}
