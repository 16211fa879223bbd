//! What a write did, as commands the world may repeat: all that ever enters the stream.

use super::slot::KeySlot;
use crate::base::limits::{EFFECTS_BYTES_KEPT, EFFECTS_KEPT};
use crate::resp::{Request, encode_command, encode_header, encode_length, encode_word};
use bytes::Bytes;
use std::borrow::Cow;
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
    /// Others, which change no key: hosted replicas pass over them.
    Passed(Range<usize>),
    /// Others around a long value: the one of this number, see [`Effects::pieces`].
    Around(usize),
}

/// The words of a command around a long value that stays where it was read into.
#[derive(Debug)]
struct Around {
    /// A span of [`Effects::words`].
    before: Range<usize>,
    value: Bytes,
    /// A span of [`Effects::words`].
    after: Range<usize>,
}

/// The effects of a transaction's calls, in order. Reused from one transaction to the next.
#[derive(Default)]
pub struct Effects {
    db: usize,
    items: Vec<Item>,
    words: Vec<u8>,
    /// What commands with long values have; beside them, since few have any.
    around: Vec<Around>,
    shared: Vec<KeySlot>,
}

impl Effects {
    /// Forgets all effects; those that follow belong to database `db`.
    pub fn begin(&mut self, db: usize) {
        self.clear();
        self.select(db);
    }

    /// Forgets all effects.
    #[inline]
    pub fn clear(&mut self) {
        self.items.clear();
        self.words.clear();
        self.shared.clear();
        if !self.around.is_empty() {
            self.around.clear();
        }
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

    /// As [`Effects::propagate`], for `count` words that `say` says one by one.
    pub fn propagate_each(&mut self, count: usize, say: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        let start = self.words.len();
        encode_header(&mut self.words, count);
        let mut said = 0;
        say(&mut |word| {
            said += 1;
            encode_word(&mut self.words, word);
        });
        assert_eq!(said, count, "a command has the words that it says it has");
        self.push(self.db, EffectBody::Instead(start..self.words.len()));
    }

    /// The stream says this encoded command, which changes no key: hosted replicas pass over it.
    pub fn pass(&mut self, db: usize, encoded: &[u8]) {
        let start = self.words.len();
        self.words.extend_from_slice(encoded);
        self.push(db, EffectBody::Passed(start..self.words.len()));
    }

    /// The stream says `command`, a key and a long value that is not copied, and words behind it.
    #[cold]
    pub fn propagate_long(&mut self, command: &[u8], key: &[u8], value: Bytes, rest: &[&[u8]]) {
        let start = self.words.len();
        encode_header(&mut self.words, 3 + rest.len());
        [command, key].iter().for_each(|it| encode_word(&mut self.words, it));
        encode_length(&mut self.words, value.len());
        let middle = self.words.len();
        self.words.extend_from_slice(b"\r\n");
        rest.iter().for_each(|it| encode_word(&mut self.words, it));
        let (before, after) = (start..middle, middle..self.words.len());
        self.push(self.db, EffectBody::Around(self.around.len()));
        self.around.push(Around { before, value, after });
    }

    /// Hands hosted replicas the entry that the last said command stored, so that they need not run
    /// it. Right only when the entries shared this way are all that command changed.
    pub fn share(&mut self, slot: KeySlot) {
        self.shared.push(slot);
        let last = self.items.last_mut().expect("say a command before sharing what it stored");
        last.shared.end = self.shared.len();
    }

    /// The stream repeats the client's words; hosted replicas take what they have stored, if that
    /// is an entry that can be shared.
    pub fn as_sent_with(&mut self, stored: Option<KeySlot>) {
        self.as_sent();
        if let Some(stored) = stored {
            self.share(stored);
        }
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

    /// A command as it is encoded in the stream; `None` for one that stands there as it was sent.
    pub fn encoded(&self, body: &EffectBody) -> Option<Cow<'_, [u8]>> {
        match body {
            EffectBody::AsSent => None,
            EffectBody::Instead(span) | EffectBody::Passed(span) => {
                Some(Cow::Borrowed(&self.words[span.clone()]))
            }
            EffectBody::Around(at) => Some(Cow::Owned(self.pieces(*at).concat())),
        }
    }

    /// The pieces of [`EffectBody::Around`], in order; its value is shared, not copied.
    #[cold]
    pub fn pieces(&self, at: usize) -> [Bytes; 3] {
        let Around { before, value, after } = &self.around[at];
        let words = |it: &Range<usize>| Bytes::copy_from_slice(&self.words[it.clone()]);
        [words(before), value.clone(), words(after)]
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
            EffectBody::Instead(span) | EffectBody::Passed(span) => Some(span.end),
            EffectBody::Around(at) => Some(self.around[*at].after.end),
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
