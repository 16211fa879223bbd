//! Every write in the order it was done, as the stream's words tell it: the truth that replies are
//! held against. Places in the stream mean nothing here; writes are counted.

use super::hearers::{EventsAsked, Published};
use super::poppers::Elements;
use entourage::base::position::Offset;
use entourage::node::ReplicaSet;
use entourage::resp::{AuthState, Decoder, Limits, Request, Step};
use std::collections::HashMap;

/// A key that is checked, with its database.
pub type Key = (usize, u64);

/// A write to a checked key.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub key: Key,
    /// Which request it was: each value says so.
    pub number: u64,
    /// When it was done.
    pub at: u64,
}

/// Something new in the stream.
#[derive(Clone, Copy, Debug)]
pub enum Done {
    /// A write to a checked key, by the number of its request.
    Write(u64),
    /// An INCR of the counter of this client.
    Incr(u64),
    /// What this request has published.
    Published(u64),
}

/// What has been written.
pub struct Ledger {
    /// The first is write 1.
    writes: Vec<Write>,
    by_key: HashMap<Key, Vec<u64>>,
    by_number: HashMap<u64, u64>,
    /// The stream's database.
    db: usize,
    /// Commands that it has.
    pub said: usize,
    looked: Offset,
    decoder: Decoder,
    /// When what this request has written expires.
    pub deadlines: HashMap<u64, u64>,
    /// Lists and sorted sets that clients wait for.
    pub elements: Elements,
    /// What was published, and which events were raised, in order.
    pub published: Vec<Published>,
    /// Which are asked for.
    pub events: EventsAsked,
}

impl Ledger {
    pub fn new(start: Offset, events: EventsAsked) -> Ledger {
        Ledger {
            writes: Vec::new(),
            by_key: HashMap::new(),
            by_number: HashMap::new(),
            db: 0,
            said: 0,
            looked: start,
            decoder: Decoder::new(Limits::of(AuthState::Known)),
            deadlines: HashMap::new(),
            elements: Elements::default(),
            published: Vec::new(),
            events,
        }
    }

    /// Reads on in the stream. Answers what is new there.
    pub fn read_on(&mut self, set: &ReplicaSet, now: u64) -> Vec<Done> {
        if set.head() == self.looked {
            return Vec::new();
        }
        let bytes = set.stream_from(self.looked).expect("the backlog keeps everything").concat();
        self.looked = self.looked.after(bytes.len());
        let (mut rest, mut done) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let Ok(Step::Ready { consumed }) = self.decoder.poll(rest) else {
                panic!("half a command in the stream")
            };
            let words = words(self.decoder.request(rest));
            self.take(&words, now, &mut done);
            rest = &rest[consumed..];
        }
        done
    }

    fn take(&mut self, words: &[String], now: u64, done: &mut Vec<Done>) {
        self.said += 1;
        match words[0].as_str() {
            "SELECT" => self.db = words[1].parse().expect("a database"),
            "SET" if words.get(3).is_some_and(|it| it == "PXAT") => {
                let deadline = words[4].parse().expect("a time");
                self.deadlines.insert(number_of(&words[2]), deadline);
            }
            "SET" | "MSET" => {
                for pair in words[1..].chunks(2) {
                    let Some(key) = pair[0].strip_prefix('k').and_then(|it| it.parse().ok()) else {
                        continue;
                    };
                    done.push(self.write((self.db, key), number_of(&pair[1]), now));
                }
            }
            "INCR" => {
                let client = words[1][1..].parse().expect("a client");
                done.push(Done::Incr(client));
            }
            "PUBLISH" | "SPUBLISH" => {
                let published = Published::of(words, self.last());
                done.push(Done::Published(published.number));
                self.published.push(published);
            }
            _ if Elements::is_about(words) => self.elements.take(self.db, words),
            _ => {}
        }
    }

    fn write(&mut self, key: Key, number: u64, at: u64) -> Done {
        self.writes.push(Write { key, number, at });
        let place = self.last();
        self.by_key.entry(key).or_default().push(place);
        self.by_number.entry(number).or_insert(place);
        self.tell_of_write();
        Done::Write(number)
    }

    /// The last write of all.
    pub fn last(&self) -> u64 {
        self.writes.len() as u64
    }

    /// The place of the write that this request made; 0 when it has made none, or is 0.
    pub fn place(&self, number: u64) -> u64 {
        self.by_number.get(&number).copied().unwrap_or(0)
    }

    /// How often this request has published something.
    pub fn published_by(&self, number: u64) -> usize {
        self.published.iter().rev().filter(|it| it.number == number && !it.is_event).count()
    }

    /// The place of the last write that this request made.
    pub fn newest(&self, number: u64) -> u64 {
        let Some(first) = self.at(self.place(number)) else { return 0 };
        let all = self.by_key[&first.key].iter().rev();
        all.copied().find(|it| self.writes[*it as usize - 1].number == number).unwrap_or(0)
    }

    /// The write at this place.
    pub fn at(&self, place: u64) -> Option<&Write> {
        self.writes.get((place as usize).wrapping_sub(1))
    }

    /// The last write to a key at or before `place`: what somebody who has seen that one must see.
    pub fn latest(&self, key: Key, place: u64) -> u64 {
        let Some(all) = self.by_key.get(&key) else { return 0 };
        all[..all.partition_point(|it| *it <= place)].last().copied().unwrap_or(0)
    }

    /// Writes to a key behind `from` and before `to`.
    pub fn between(&self, key: Key, from: u64, to: u64) -> impl Iterator<Item = &Write> {
        let all = self.by_key.get(&key).into_iter().flatten();
        all.filter(move |it| from < **it && **it < to).filter_map(|it| self.at(*it))
    }

    /// The last write that was done at this time or before.
    pub fn done_by(&self, at: u64) -> u64 {
        self.writes.partition_point(|it| it.at <= at) as u64
    }
}

/// The number of the request that wrote this value.
pub fn number_of(value: &str) -> u64 {
    value.split(':').next().and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn words(request: Request<'_>) -> Vec<String> {
    request.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect()
}
