//! What a write did, as commands the world may repeat: all that ever enters the stream.

use super::slot::KeySlot;
use crate::base::limits::{EFFECTS_BYTES_KEPT, EFFECTS_KEPT};
use crate::resp::{Request, encode_command};
use std::ops::Range;

/// One command of the stream.
#[derive(Debug)]
pub struct Item {
    /// The database it belongs to.
    pub db: usize,
    /// Its words.
    pub body: EffectBody,
    /// Entries in [`Effects::shared`] that are this command's whole effect; empty when hosted
    /// replicas must run it.
    pub shared: Range<usize>,
}

/// The words of an effect.
#[derive(Debug, PartialEq, Eq)]
pub enum EffectBody {
    /// The client's own.
    AsSent,
    /// Others: a span of [`Effects::words`], encoded for the stream.
    Instead(Range<usize>),
}

/// The effects of a transaction's calls, in order. Reused from one transaction to the next.
#[derive(Default)]
pub struct Effects {
    db: usize,
    items: Vec<Item>,
    words: Vec<u8>,
    shared: Vec<KeySlot>,
}

impl Effects {
    /// Forgets all effects; those that follow belong to database `db`.
    pub fn begin(&mut self, db: usize) {
        self.clear();
        self.select(db);
    }

    /// Forgets all effects.
    pub fn clear(&mut self) {
        self.items.clear();
        self.words.clear();
        self.shared.clear();
    }

    /// Effects that follow belong to database `db`; those that are there stay.
    pub fn select(&mut self, db: usize) {
        self.db = db;
    }

    /// The stream repeats the client's words.
    pub fn as_sent(&mut self) {
        self.push(self.db, EffectBody::AsSent);
    }

    /// The stream says this command. May be called more than once; several commands of one write
    /// are wrapped in MULTI and EXEC.
    pub fn propagate(&mut self, words: &[&[u8]]) {
        self.say_in(self.db, words);
    }

    /// As [`Effects::say`], for another database than the session's.
    pub fn say_in(&mut self, db: usize, words: &[&[u8]]) {
        self.say_all(db, words.iter().copied());
    }

    /// As [`Effects::say_in`], for words that come from an iterator.
    pub fn say_all<'a>(&mut self, db: usize, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        let start = self.words.len();
        encode_command(&mut self.words, words);
        self.push(db, EffectBody::Instead(start..self.words.len()));
    }

    /// Hands hosted replicas the entry that the last said command stored, so that they need not run
    /// it. Right only when the entries shared this way are all that command changed.
    pub fn share(&mut self, slot: KeySlot) {
        self.shared.push(slot);
        let last = self.items.last_mut().expect("say a command before sharing what it stored");
        last.shared.end = self.shared.len();
    }

    /// Nothing was said: the write changed nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The commands in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Encoded words that [`EffectBody::Instead`] points into.
    pub fn words(&self) -> &[u8] {
        &self.words
    }

    /// Entries that [`Item::shared`] points into.
    pub fn shared(&self) -> &[KeySlot] {
        &self.shared
    }

    /// Forgets what was said after the first `items` commands: a verb that failed has done nothing.
    pub fn cut(&mut self, items: usize) {
        self.items.truncate(items);
        let span_end = |it: &Item| match &it.body {
            EffectBody::AsSent => None,
            EffectBody::Instead(span) => Some(span.end),
        };
        self.words.truncate(self.items.iter().rev().find_map(span_end).unwrap_or(0));
        self.shared.truncate(self.items.last().map_or(0, |it| it.shared.end));
    }

    /// Copies the words of `request`, which the commands from number `items` on say as it was sent:
    /// from here on they do not need the request any more.
    pub fn keep_sent(&mut self, items: usize, request: Request<'_>) {
        let mut kept = None;
        let as_sent = |it: &&mut Item| it.body == EffectBody::AsSent;
        for item in self.items[items..].iter_mut().filter(as_sent) {
            let words = &mut self.words;
            let span = kept.get_or_insert_with(|| {
                let start = words.len();
                match request.wire() {
                    Some(wire) => words.extend_from_slice(wire),
                    None => encode_command(words, request.iter()),
                }
                start..words.len()
            });
            item.body = EffectBody::Instead(span.clone());
        }
    }

    /// Gives back the room of effects that were long.
    pub fn shrink(&mut self) {
        self.clear();
        self.items.shrink_to(EFFECTS_KEPT);
        self.words.shrink_to(EFFECTS_BYTES_KEPT);
        self.shared.shrink_to(EFFECTS_KEPT);
    }

    fn push(&mut self, db: usize, body: EffectBody) {
        let at = self.shared.len();
        self.items.push(Item { db, body, shared: at..at });
    }
}
