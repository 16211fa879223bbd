//! Clients that wait for elements of lists, sorted sets and streams: what the stream says was pushed and
//! taken, held against what clients were told. Who serves whom, and when, is not known here.

use super::asked::{Pop, Tail};
use super::finding::Checker;
use super::frame::Frame;
use super::peer::Peer;
use super::world::World;
use entourage::commands::BlockOn;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// A list or a sorted set, with its database.
type Queue = (usize, String);

/// Entries with their ids, and how many of them the group has been given.
#[derive(Default)]
struct Stream {
    entries: Vec<(String, String)>,
    given: usize,
}

/// The lists, sorted sets and streams as the stream has made them, and what was taken out of them.
#[derive(Default)]
pub struct Elements {
    lists: HashMap<Queue, VecDeque<String>>,
    zsets: HashMap<Queue, BTreeSet<(u64, String)>>,
    streams: HashMap<Queue, Stream>,
    pushed: HashSet<String>,
    /// Where each element was taken from that nobody has been told of.
    taken: HashMap<String, Queue>,
    /// How often each was moved without anybody having been told.
    moved: HashMap<String, u64>,
    /// What was pushed and taken, for the trace.
    pub told: Vec<String>,
    /// What makes no sense.
    pub wrong: Vec<String>,
}

impl Elements {
    /// One more command of the stream.
    pub fn take(&mut self, db: usize, words: &[String]) {
        self.told.push(words.join(" "));
        let queue = || (db, words[1].clone());
        match (words[0].as_str(), words.len()) {
            ("RPUSH" | "LPUSH", _) => {
                for element in &words[2..] {
                    self.note_push(element);
                    let list = self.lists.entry(queue()).or_default();
                    match words[0].as_str() {
                        "RPUSH" => list.push_back(element.clone()),
                        _ => list.push_front(element.clone()),
                    }
                }
            }
            ("ZADD", _) => {
                for pair in words[2..].chunks(2) {
                    self.note_push(&pair[1]);
                    let score = pair[0].parse().expect("a score");
                    self.zsets.entry(queue()).or_default().insert((score, pair[1].clone()));
                }
            }
            ("LPOP" | "RPOP", 2) => {
                let element = self.pop(&queue(), words[0] == "LPOP");
                self.note_taken(element, queue());
            }
            ("ZPOPMIN", 2) => {
                let element = self.zsets.get_mut(&queue()).and_then(BTreeSet::pop_first);
                self.note_taken(element.map(|it| it.1), queue());
            }
            ("ZREM", 3) => {
                let zset = self.zsets.entry(queue()).or_default();
                let found = zset.first().filter(|it| it.1 == words[2]).cloned();
                let element = found.filter(|it| zset.remove(it));
                self.note_taken(element.map(|it| it.1), queue());
            }
            ("LMOVE" | "RPOPLPUSH", _) => {
                let is_lmove = words[0] == "LMOVE";
                let Some(element) = self.pop(&queue(), is_lmove) else {
                    return self.wrong.push(format!("{words:?} of an empty list"));
                };
                *self.moved.entry(element.clone()).or_default() += 1;
                let list = self.lists.entry((db, words[2].clone())).or_default();
                if is_lmove { list.push_back(element) } else { list.push_front(element) }
            }
            ("XADD", 5) => {
                self.note_push(&words[4]);
                let stream = self.streams.entry(queue()).or_default();
                stream.entries.push((words[2].clone(), words[4].clone()));
            }
            ("XCLAIM", _) => {
                let stream = self.streams.entry(queue()).or_default();
                let next = stream.entries.get(stream.given).filter(|it| it.0 == words[5]);
                let element = next.map(|it| it.1.clone());
                stream.given += 1;
                self.note_taken(element, queue());
            }
            _ => self.wrong.push(format!("{words:?} in the stream")),
        }
    }

    /// Whether a command of the stream is about a list or a sorted set that is waited for.
    pub fn is_about(words: &[String]) -> bool {
        words.get(1).is_some_and(|it| it.starts_with(['q', 'z', 't']))
    }

    /// How many entries a stream has.
    pub fn entries(&self, db: usize, key: &str) -> usize {
        self.streams.get(&(db, key.to_owned())).map_or(0, |it| it.entries.len())
    }

    /// Whether these are a stream's next entries behind so many.
    fn are_next(&self, tail: &Tail, behind: usize, told: &[&str]) -> bool {
        let stream = self.streams.get(&(tail.db, tail.key.clone()));
        let entries = stream.and_then(|it| it.entries.get(behind..)).unwrap_or_default();
        let words = entries.iter().flat_map(|it| [it.0.as_str(), "n", it.1.as_str()]);
        !told.is_empty() && words.take(told.len()).eq(told.iter().copied())
    }

    fn pop(&mut self, queue: &Queue, from_the_left: bool) -> Option<String> {
        let list = self.lists.get_mut(queue)?;
        if from_the_left { list.pop_front() } else { list.pop_back() }
    }

    fn note_push(&mut self, element: &str) {
        if !self.pushed.insert(element.to_owned()) {
            self.wrong.push(format!("{element} was pushed twice"));
        }
    }

    fn note_taken(&mut self, element: Option<String>, queue: Queue) {
        match element {
            Some(element) => {
                self.taken.insert(element, queue);
            }
            None => self.wrong.push(format!("taken out of {queue:?}, which has none")),
        }
    }

    /// Somebody is told of an element. Answers whether it is theirs to be told.
    fn is_told(&mut self, pop: &Pop, key: &str, element: &str) -> bool {
        let is_asked = pop.keys.iter().any(|it| it == key);
        if pop.moves_to.is_none() {
            let queue = self.taken.remove(element);
            return is_asked && queue == Some((pop.db, key.to_owned()));
        }
        let times = self.moved.get_mut(element).filter(|it| 0 < **it);
        times.map(|it| *it -= 1).is_some()
    }

    /// Nobody is to be told any more of what was taken before.
    pub fn forget_untold(&mut self) {
        self.taken.clear();
        self.moved.clear();
        self.told.clear();
    }

    /// Elements that were taken or moved, and nobody was told.
    fn untold(&self) -> u64 {
        self.taken.len() as u64 + self.moved.values().sum::<u64>()
    }
}

/// A client's wait for an element, as the others see it.
pub struct PopWait {
    pop: Pop,
    kind: char,
    /// Who began to wait earlier has a smaller one.
    number: u64,
    /// How many failovers there had been.
    failovers: u64,
    /// Somebody has ended it.
    is_over: bool,
    /// Somebody has served it.
    is_served: bool,
    /// Clients that had waited longer for the same when it was served.
    passed_over: Vec<u64>,
}

impl World {
    /// Whether a call that waits for an element can be answered like this.
    pub fn pop_fits(&mut self, peer: &mut Peer, pop: &Pop, arrived: u64, frame: &Frame) -> bool {
        let id = peer.id();
        let wait = peer.pop_wait.take();
        let text = |it: &Frame| match it {
            Frame::Bulk(Some(text)) => text.clone(),
            _ => String::new(),
        };
        let (key, element) = match frame {
            frame if frame.is_nil() => {
                let is_over = arrived + pop.ms * 1000 <= self.clock.mono_now_us();
                if !is_over && !self.unblocked.contains(&id) && wait.is_some() {
                    self.find(Checker::Early, format!("client {id} waited less for {pop:?}"));
                }
                return true;
            }
            Frame::Error(_) if frame.is_error("NOTDURABLE") => {
                self.may_be_lost += 1;
                return true;
            }
            // Whoever was to make the group was refused.
            Frame::Error(_) if frame.is_error("NOGROUP") && wait.is_none() => return true,
            Frame::Error(_) => {
                let is_forced = wait.is_some_and(|it| it.failovers < self.failovers());
                if is_forced {
                    self.count("unblocked by a failover");
                }
                let is_meant = is_forced || self.unblocked.contains(&id);
                return is_meant && frame.is_error("UNBLOCKED");
            }
            frame if pop.keys[0].starts_with('t') => match frame.texts()[..] {
                [key, _, "n", element] => (key.to_owned(), element.to_owned()),
                _ => return false,
            },
            Frame::Array(Some(all)) if 2 <= all.len() => (text(&all[0]), text(&all[1])),
            Frame::Bulk(Some(element)) => (pop.keys[0].clone(), element.clone()),
            _ => return false,
        };
        if !self.ledger.elements.is_told(pop, &key, &element) {
            self.find(Checker::Popped, format!("client {id} got {element}, which was not its"));
        }
        match wait {
            Some(wait) => {
                self.count("served");
                if !wait.passed_over.is_empty() {
                    let what = format!("client {id} got {element} before {:?}", wait.passed_over);
                    self.find(Checker::Popped, what);
                }
            }
            None => self.count("popped at once"),
        }
        true
    }

    /// Whether a call that waits for what is added to a stream can be answered like this.
    pub fn tail_fits(&mut self, peer: &mut Peer, tail: &Tail, frame: &Frame) -> bool {
        let (id, behind) = (peer.id(), peer.waits_behind.take());
        let is_unblocked = self.unblocked.contains(&id);
        let elements = &self.ledger.elements;
        if frame.is_error("UNBLOCKED") {
            return true;
        }
        let Some(behind) = behind else { return !matches!(frame, Frame::Error(_)) };
        if frame.is_nil() {
            if behind < elements.entries(tail.db, &tail.key) && !is_unblocked {
                self.find(Checker::Popped, format!("client {id} is not told of {tail:?}"));
            }
            return true;
        }
        let texts = frame.texts();
        let is_next = texts.first() == Some(&tail.key.as_str())
            && elements.are_next(tail, behind, &texts[1..]);
        self.count("entries told");
        is_next
    }

    /// Looks who has come to wait for an element, and whose wait somebody has just ended.
    pub fn look_at_poppers(&mut self, peer: &mut Peer) {
        let is_waiting = |it: &Peer| it.shell.is_waiting_for_keys();
        if !peer.shell.connection.is_closing() {
            // It has its element, which waits for acknowledgements.
            let is_held = matches!(peer.shell.blocked_on(), Some(BlockOn::Offset(..)));
            peer.owes_element = is_held && peer.script.first_pop().is_some();
        }
        if peer.waits_behind.is_none()
            && !peer.was_apart
            && is_waiting(peer)
            && let Some(tail) = peer.script.first_tail()
        {
            peer.waits_behind = Some(self.ledger.elements.entries(tail.db, &tail.key));
        }
        if peer.pop_wait.is_none()
            && is_waiting(peer)
            && let Some(pop) = peer.script.first_pop()
        {
            self.last_pop += 1;
            peer.pop_wait = Some(PopWait {
                kind: pop.keys[0].chars().next().unwrap_or_default(),
                pop,
                number: self.last_pop,
                failovers: self.failovers(),
                is_over: false,
                is_served: false,
                passed_over: Vec::new(),
            });
        }
        self.look_at_ended_waits(Some(peer));
    }

    /// A wait that has just ended: who has waited longer for the same, and still does?
    pub fn look_at_ended_waits(&mut self, own: Option<&mut Peer>) {
        let failovers = self.failovers();
        let mut peers: Vec<&mut Peer> = self.peers.iter_mut().flatten().chain(own).collect();
        let waits = |it: &Peer| it.shell.is_waiting_for_keys() && it.client().is_blocked();
        let waiting: Vec<(u64, usize, char, u64, Vec<String>)> = peers
            .iter()
            .filter(|it| waits(it))
            .filter_map(|it| it.pop_wait.as_ref().map(|wait| (it, wait)))
            .map(|(it, wait)| (it.id(), wait.pop.db, wait.kind, wait.number, wait.pop.keys.clone()))
            .collect();
        let (mut left_behind, mut ended) = (None, Vec::new());
        for peer in &mut peers {
            let (id, still_waits) = (peer.id(), waits(peer));
            let is_told = peer.shell.is_waiting_for_keys() && !peer.client().is_waiting();
            let Some(wait) = peer.pop_wait.as_mut().filter(|it| !it.is_over) else { continue };
            if still_waits {
                if wait.failovers < failovers {
                    left_behind = Some(id);
                }
                continue;
            }
            wait.is_over = true;
            ended.push(id);
            wait.is_served = is_told && wait.failovers == failovers;
            let is_before = |it: &&(u64, usize, char, u64, Vec<String>)| {
                it.1 == wait.pop.db
                    && it.2 == wait.kind
                    && it.3 < wait.number
                    && wait.pop.keys.iter().all(|key| it.4.contains(key))
            };
            wait.passed_over = waiting.iter().filter(is_before).map(|it| it.0).collect();
        }
        ended.iter().for_each(|it| self.tell(format!("client {it} waits no more")));
        if let Some(id) = left_behind {
            self.find(Checker::Popped, format!("client {id} waits on through a failover"));
        }
    }

    /// A client leaves that may have been served and not told.
    pub fn note_lost_element(&mut self, peer: &Peer) {
        if peer.owes_element || peer.pop_wait.as_ref().is_some_and(|it| it.is_served) {
            self.may_be_lost += 1;
            self.count("left with its element");
            self.tell(format!("client {} leaves with its element", peer.id()));
        }
    }

    /// Nobody who has gone stands in line for a key.
    pub fn look_for_gone_poppers(&mut self) {
        let mut keys = HashSet::new();
        for peer in self.peers.iter().flatten() {
            if let Some(wait) = &peer.pop_wait
                && peer.shell.blocked_on() == Some(BlockOn::Keys)
            {
                keys.extend(wait.pop.keys.iter().map(|it| (wait.pop.db, it.clone())));
            }
            if let Some(tail) = peer.script.first_tail()
                && peer.shell.blocked_on() == Some(BlockOn::Keys)
            {
                keys.insert((tail.db, tail.key));
            }
        }
        let waited_for = self.set().key_waiters.keys();
        if keys.len() < waited_for {
            let what = format!("{waited_for} keys are waited for, {} by the living", keys.len());
            self.find(Checker::LeftBehind, what);
        }
    }

    /// What the stream says of elements makes sense.
    pub fn look_at_stream(&mut self) {
        let told = std::mem::take(&mut self.ledger.elements.told);
        told.into_iter().for_each(|it| self.tell(it));
        if let Some(what) = self.ledger.elements.wrong.pop() {
            self.find(Checker::Popped, what);
        }
    }

    /// In the end, whoever has got an element knows.
    pub fn look_at_elements(&mut self) {
        self.look_at_stream();
        let (untold, may_be) = (self.ledger.elements.untold(), self.may_be_lost);
        if may_be < untold {
            let Elements { taken, moved, .. } = &self.ledger.elements;
            let all = format!("{taken:?} {moved:?}");
            self.find(Checker::Popped, format!("{untold} lost, {may_be} may be, of {all}"));
        }
    }
}
