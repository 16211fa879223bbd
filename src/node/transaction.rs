//! A transaction: one, some or many calls at the master, whose effects enter the log as one write.
//!
//! A single command, EXEC, MIGRATE's deletion, active expiry and scripts are all this: nothing else
//! changes a master.
//!
//! ```text
//!            call           call_and_commit, commit, drop
//!   begin ──▶ open ──▶ open ──────────────────────────────▶ in the log, as one write
//!               │ a verb panics
//!               ▼                     drop
//!            broken off ──────────────────────────────────▶ in the log: what the calls before did,
//!                                                           if the member stays in service
//! ```

use super::master_guard::MasterGuard;
use super::member::Member;
use super::member_state::MemberFlags;
use super::notify::Behind;
use super::read_guard::{PANICKED, ShownCounts, VerbResult};
use crate::base::limits::ADOPTED_BYTES_MIN;
use crate::base::position::Offset;
use crate::base::time::{MonoUs, WallMs};
use crate::command::{Args, Fault, Spec};
use crate::engine::{
    BlockingVerb, Called, EffectBody, Effects, Engine, Evicted, Item, KeySlot, ReadVerb, WriteVerb,
};
use crate::replication::{Log, WriteTime};
use crate::resp::{Reply, encode_command};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a transaction calls.
#[derive(Clone, Copy)]
pub enum Verb<'c> {
    /// A read, which sees what the calls before it did.
    Read(ReadVerb),
    /// A write.
    Write(&'c Spec, WriteVerb),
    /// A write that may wait for keys.
    Blocking(&'c Spec, BlockingVerb),
}

/// A transaction at work. What its calls do is done at once, and cannot be undone: so it commits
/// whatever happens, when it is dropped at the latest. Followers see nothing of it before.
pub struct Transaction<'g, 's> {
    guard: &'g mut MasterGuard<'s>,
    /// What its calls did, but for the words of the client that the last call may have sent.
    effects: &'g mut Effects,
    at: MonoUs,
    /// The time of its last call.
    now: WallMs,
    /// How many of `effects` are of calls that have ended.
    settled: usize,
    /// How many of the events that were raised are of such calls.
    settled_events: usize,
    /// It has called something.
    has_called: bool,
    /// A verb has panicked: nothing more is called.
    is_broken: bool,
}

impl<'s> MasterGuard<'s> {
    /// Begins a transaction that gathers what it does in `effects`, and is appended as of `at`.
    #[inline]
    pub fn begin<'g>(&'g mut self, effects: &'g mut Effects, at: MonoUs) -> Transaction<'g, 's> {
        effects.clear();
        Transaction {
            guard: self,
            effects,
            at,
            now: WallMs(0),
            settled: 0,
            settled_events: 0,
            has_called: false,
            is_broken: false,
        }
    }
}

impl Transaction<'_, '_> {
    /// The member that is written.
    pub fn member(&self) -> &Member {
        self.guard.member
    }

    /// The data as its calls have left it.
    pub fn engine(&self) -> &Engine {
        &self.guard.hosted.engine
    }

    /// Until what is answered is dropped, whoever shows what the data comes to shows it as calls
    /// so far have left it, and does not try to lock it.
    pub fn show_counts(&self, now: WallMs) -> ShownCounts<'_> {
        ShownCounts::of(self.guard.member, self.engine(), now)
    }

    /// It turns out to be long: no worker waits for it from here on.
    pub fn become_long(&mut self) {
        self.guard.become_long();
    }

    /// How many commands of the stream its calls have come to so far.
    pub fn effects(&self) -> usize {
        self.effects.items().len()
    }

    /// Makes one of several calls. It never waits: a verb that would have to is answered as one
    /// whose time is over. `Err` is the reply; when it is [`PANICKED`] the transaction is broken
    /// off.
    pub fn call(&mut self, verb: Verb<'_>, args: Args<'_>, reply: &mut Reply) -> VerbResult {
        if self.is_broken {
            return Err(PANICKED);
        }
        if self.member().is(MemberFlags::QUARANTINED) {
            return Err(Fault::MasterDown);
        }
        self.has_called = true;
        self.now = args.now();
        let outcome = self.make(verb, args, reply);
        if !self.is_broken {
            self.effects.keep_sent(self.settled, args.request());
            self.settle(args);
        }
        outcome.map(drop)
    }

    /// Makes the last call, or the only one, and commits. The words it was sent go from the request
    /// straight into the log; what the transaction did stays in its effects, for the caller to see.
    /// Only a call that is alone can answer [`Called::Block`]. The caller has seen that the master
    /// is not quarantined.
    #[inline]
    pub fn call_and_commit(
        mut self,
        verb: Verb<'_>,
        args: Args<'_>,
        reply: &mut Reply,
    ) -> Result<Called, Fault> {
        if self.is_broken {
            return Err(PANICKED);
        }
        let mark = reply.mark();
        let outcome = self.make(verb, args, reply);
        if !self.effects.is_empty() {
            self.append_as_sent(args);
        }
        if self.guard.notes_events() {
            self.settle(args);
            self.guard.tell_events();
        }
        if self.guard.notes_changes() {
            self.guard.tell_changes();
        }
        if self.guard.hosted.engine.has_blocked() {
            self.guard.serve_blocked(self.at, args.now());
        }
        let is_alone = !self.has_called;
        // All that dropping would do is done.
        std::mem::forget(self);
        if let Ok(Called::Block(_)) = outcome {
            if !is_alone {
                return Ok(Called::Done);
            }
            reply.cut(mark);
        }
        outcome
    }

    /// Lets the stream say these words, an encoded command that changes no key. Answers whether it
    /// will: not when the transaction is broken off.
    pub fn pass(&mut self, db: usize, words: &[u8]) -> bool {
        let is_sound = !self.is_broken && !self.member().is(MemberFlags::QUARANTINED);
        // A replica's stream says what its master's says, and nothing else.
        if is_sound && !self.guard.set.is_following() {
            self.effects.pass(db, words);
            self.settled = self.effects();
        }
        is_sound
    }

    /// The client of this number, which caches what it reads, has read `key` as its calls have left
    /// it so far.
    #[cold]
    pub fn note_read(&mut self, by: u64, key: &[u8]) {
        let changes = self.guard.hosted.engine.changes_noted();
        let reads = self.guard.reads.get_or_insert_default();
        reads.by = by;
        reads.note(key, changes);
    }

    /// Deletes `key` if its time has come.
    pub fn expire(&mut self, db: usize, key: &[u8], now: WallMs) {
        if !self.member().is(MemberFlags::QUARANTINED) {
            self.now = now;
            self.guard.hosted.engine.expire(db, now, key, self.effects);
            self.settle_expired();
        }
    }

    /// Deletes up to `most` keys and fields whose time has come. Answers how many; more than `most`
    /// where that has cost as much.
    pub fn expire_due(&mut self, now: WallMs, most: usize) -> usize {
        if self.member().is(MemberFlags::QUARANTINED) {
            return 0;
        }
        let expired = self.guard.hosted.engine.expire_due(now, most, self.effects);
        self.settle_expired();
        expired
    }

    /// Evicts the key that is to go next; `None` when none may go.
    pub fn evict(&mut self, now: WallMs) -> Option<Evicted> {
        if self.member().is(MemberFlags::QUARANTINED) {
            return None;
        }
        let evicted = self.guard.hosted.engine.evict(now, self.effects);
        self.settle_expired();
        evicted
    }

    /// How many events its calls have raised so far.
    pub fn events(&self) -> usize {
        self.guard.hosted.engine.written().events.count()
    }

    /// Appends what all calls did as one write. Answers where the stream ends now.
    pub fn commit(self) -> Offset {
        self.commit_and_tell(Vec::new())
    }

    /// As [`Transaction::commit`]; these messages are told between its events, before anybody is
    /// served whose key is ready.
    pub fn commit_and_tell(mut self, messages: Vec<Behind>) -> Offset {
        let set = self.guard.set;
        self.end(messages);
        // All that dropping would do is done.
        std::mem::forget(self);
        set.head()
    }

    fn end(&mut self, messages: Vec<Behind>) {
        // Of a call that was not caught nothing is known.
        self.effects.cut(self.settled);
        if !self.effects.is_empty() {
            self.append_all(Sent::Borrowed(&[]));
            // Whatever panics from here on: it is appended once.
            self.effects.clear();
        }
        if self.guard.notes_events() {
            self.guard.hosted.engine.written_mut().events.cut(self.settled_events);
        }
        if self.guard.notes_changes() {
            self.guard.tell_changes();
        }
        if self.guard.notes_events() || !messages.is_empty() {
            self.guard.tell_events_and(messages);
        }
        if self.guard.hosted.engine.has_blocked() {
            self.guard.serve_blocked(self.at, self.now);
        }
        self.effects.shrink();
    }

    /// As [`Transaction::commit`], for effects that have nothing to do with each other: each is a
    /// write of its own, so that replicas need not apply them together.
    pub fn commit_each(mut self) {
        if !self.effects.is_empty() {
            self.in_log(|log, effects, at| {
                let items = effects.items().iter().map(std::slice::from_ref);
                items.for_each(|it| append(log, it, effects, &Sent::Borrowed(&[]), at));
            });
        }
        self.effects.clear();
    }

    /// What the call has done and raised is done.
    fn settle(&mut self, args: Args<'_>) {
        if self.guard.notes_events() && args.env.notes_misses() {
            let missed = args.env.take_missed();
            let events = &mut self.guard.hosted.engine.written_mut().events;
            events.miss(self.settled_events, args.db, &missed);
        }
        self.settle_expired();
    }

    fn settle_expired(&mut self) {
        self.settled = self.effects();
        self.settled_events = self.guard.hosted.engine.written().events.count();
    }

    /// Runs a verb and catches its panic.
    #[inline]
    fn make(&mut self, verb: Verb<'_>, args: Args<'_>, reply: &mut Reply) -> Result<Called, Fault> {
        let done = |()| Called::Done;
        match verb {
            Verb::Read(verb) => {
                self.caught(reply, |engine, _, reply| engine.read(verb, args, reply)).map(done)
            }
            Verb::Write(spec, verb) => self
                .caught(reply, |engine, effects, reply| {
                    engine.write(spec, verb, args, effects, reply)
                })
                .map(done),
            Verb::Blocking(spec, verb) => self.caught(reply, |engine, effects, reply| {
                engine.write(spec, verb, args, effects, reply)
            }),
        }
    }

    #[inline]
    fn caught<T>(
        &mut self,
        reply: &mut Reply,
        run: impl FnOnce(&mut Engine, &mut Effects, &mut Reply) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mark = reply.mark();
        let (engine, effects) = (&mut self.guard.hosted.engine, &mut *self.effects);
        let run = AssertUnwindSafe(|| run(engine, effects, reply));
        catch_unwind(run).unwrap_or_else(|_| {
            reply.cut(mark);
            self.break_off();
            Err(PANICKED)
        })
    }

    /// A verb panicked, and what it said means nothing. What its member did before goes with the
    /// member; if there is none to take over, it stays, and the log must say so.
    #[cold]
    fn break_off(&mut self) {
        self.is_broken = true;
        self.guard.set.quarantine(self.guard.member);
        let stays = !self.member().is(MemberFlags::QUARANTINED);
        self.effects.cut(if stays { self.settled } else { 0 });
        let events = if stays { self.settled_events } else { 0 };
        self.guard.hosted.engine.written_mut().events.cut(events);
    }

    fn append_as_sent(&mut self, args: Args<'_>) {
        if let Some(wire) = args.request().wire() {
            let is_long = ADOPTED_BYTES_MIN <= wire.len();
            return match is_long.then(|| args.env.adopt(wire)).flatten() {
                Some(wire) => self.append_all(Sent::Owned(wire)),
                None => self.append_all(Sent::Borrowed(wire)),
            };
        }
        let mut encoded = Vec::new();
        encode_command(&mut encoded, args.request().iter());
        self.append_all(Sent::Borrowed(&encoded));
    }

    #[inline]
    fn append_all(&mut self, sent: Sent<'_>) {
        self.in_log(|log, effects, at| append(log, effects.items(), effects, &sent, at));
    }

    /// Appends to the log, and lets everybody see it.
    #[inline]
    fn in_log(&mut self, append: impl FnOnce(&mut Log<KeySlot>, &Effects, WriteTime)) {
        let at = WriteTime { at: self.at, is_long: self.guard.is_long() };
        let MasterGuard { set, member, has_news, .. } = &mut *self.guard;
        let mut log = set.log.lock();
        append(&mut log, self.effects, at);
        set.publish(log, member);
        *has_news = true;
    }
}

impl Drop for Transaction<'_, '_> {
    /// Commits.
    fn drop(&mut self) {
        self.end(Vec::new());
    }
}

/// The words of a transaction's last call, encoded.
enum Sent<'r> {
    /// To be copied.
    Borrowed(&'r [u8]),
    /// To be kept where they are.
    Owned(Bytes),
}

/// Appends `items` of `effects` as one write; `sent` are the words of the last call, if any of them
/// says these.
#[inline]
fn append(
    log: &mut Log<KeySlot>,
    items: &[Item],
    effects: &Effects,
    sent: &Sent<'_>,
    at: WriteTime,
) {
    let mut entry = log.write(items.len(), at);
    for item in items {
        let shared = effects.shared()[item.shared.clone()].iter().cloned();
        let words = match &item.body {
            EffectBody::AsSent => match sent {
                Sent::Borrowed(words) => words,
                Sent::Owned(words) => {
                    entry.propagate_owned(item.db, [words.clone()], shared);
                    continue;
                }
            },
            EffectBody::Instead(span) => &effects.words()[span.clone()],
            EffectBody::Passed(span) => {
                entry.propagate_passed(item.db, &effects.words()[span.clone()]);
                continue;
            }
            EffectBody::Around(at) => {
                entry.propagate_owned(item.db, effects.pieces(*at), shared);
                continue;
            }
        };
        entry.propagate(item.db, words, shared);
    }
    entry.close();
}

#[cfg(test)]
pub(super) mod tests;
