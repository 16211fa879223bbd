//! The log: one stream, kept as a backlog of bytes and a window of records, and its followers.

use super::backlog::Backlog;
use super::followers::{
    DisconnectReason, Follower, FollowerId, FollowerKind, FollowerState, Followers,
};
use super::peer_fault::PeerFault;
use super::window::{PendingRecord, What, Window};
use crate::base::limits::FOLLOWER_BYTES_MAX;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Coverage, Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use bytes::Bytes;
use std::collections::VecDeque;

mod repeated;

pub use repeated::Repeated;

/// The stream of one set.
pub struct Log<S> {
    history: ReplicationHistory,
    head: Offset,
    selected: Option<usize>,
    /// The database that another master's stream has selected at the head, while it is repeated.
    repeated_db: Option<usize>,
    /// Whether bytes are kept: from the first follower on. Before that only the offset moves.
    is_kept: bool,
    backlog: Backlog,
    window: Window<S>,
    followers: Followers,
    backlog_bytes: usize,
    feed_bytes_max: usize,
}

impl<S: Clone> Log<S> {
    /// A stream whose first byte will stand at `start`. `backlog_bytes` are kept for partial
    /// resyncs; a hosted replica that falls further behind than `feed_bytes_max` is disconnected.
    pub fn new(
        history: ReplicationHistory,
        start: Offset,
        backlog_bytes: usize,
        feed_bytes_max: usize,
    ) -> Log<S> {
        Log {
            history,
            head: start,
            selected: None,
            repeated_db: None,
            is_kept: false,
            backlog: Backlog::new(start),
            window: Window::new(start),
            followers: Followers::default(),
            backlog_bytes,
            feed_bytes_max,
        }
    }

    /// The end of the stream.
    pub fn head(&self) -> Offset {
        self.head
    }

    /// The stream's history and those before it.
    pub fn history(&self) -> &ReplicationHistory {
        &self.history
    }

    /// Begins a new history at the head: a promotion.
    pub fn begin_history(&mut self, history: ReplicationHistory) {
        self.history = history;
        self.selected = None;
        self.repeated_db = None;
    }

    /// First byte and number of bytes of the backlog.
    pub fn backlog(&self) -> (Offset, u64) {
        if self.is_kept { (self.backlog.start(), self.backlog.len()) } else { (self.head, 0) }
    }

    /// The stream's bytes from `from` on, chunk by chunk; `None` when they are not all kept.
    pub fn stream_from(&mut self, from: Offset) -> Option<Vec<Bytes>> {
        let is_there = self.keeps_bytes_from(from);
        is_there.then(|| self.backlog.chunks(from, self.head))
    }

    /// Changes `repl-backlog-size`.
    pub fn set_backlog_bytes(&mut self, bytes: usize) {
        self.backlog_bytes = bytes;
        self.trim();
    }

    /// Changes how far a hosted replica may fall behind.
    pub fn set_feed_bytes_max(&mut self, bytes: usize) {
        self.feed_bytes_max = bytes;
        self.followers.set_bytes_max(FollowerKind::Hosted, bytes as u64);
        self.look_after_bounds(self.head);
    }

    /// A new follower, before its handshake.
    pub fn add_follower(&mut self, kind: FollowerKind, name: String) -> FollowerId {
        if !self.is_kept {
            self.is_kept = true;
            self.backlog = Backlog::new(self.head);
            self.selected = None;
        }
        let bytes_max = match kind {
            FollowerKind::Hosted => self.feed_bytes_max,
            FollowerKind::Wire | FollowerKind::Upgrade | FollowerKind::AppendOnlyFile => {
                FOLLOWER_BYTES_MAX
            }
        };
        self.followers.add(kind, name, bytes_max as u64)
    }

    /// Changes how many bytes may wait for a follower.
    pub fn set_wire_bytes_max(&mut self, id: FollowerId, bytes_max: u64) {
        self.followers.set_bytes_max_of(id, bytes_max);
    }

    /// The follower lives.
    pub fn heard(&mut self, id: FollowerId, now: MonoUs) {
        self.followers.heard(id, now);
    }

    /// The follower is gone for good. Answers what it was.
    pub fn remove_follower(&mut self, id: FollowerId) -> FollowerKind {
        let kind = self.followers.get(id).kind;
        self.followers.remove(id);
        self.forget_taken();
        self.trim();
        kind
    }

    /// Whether there are followers at the other end of a link.
    pub fn has_followers_on_wire(&self) -> bool {
        self.followers().any(|(_, it)| it.kind.is_on_wire())
    }

    /// The follower, which must be there.
    pub fn follower(&self, id: FollowerId) -> &Follower {
        self.followers.get(id)
    }

    /// All followers.
    pub fn followers(&self) -> impl Iterator<Item = (FollowerId, &Follower)> {
        self.followers.iter()
    }

    /// The follower asks from where on it can be sent the stream.
    pub fn handshake(&mut self, id: FollowerId) {
        self.followers.change(id, FollowerState::handshake);
    }

    /// The follower will get a copy of what the stream has made until now, and goes on from there.
    pub fn full_resync(&mut self, id: FollowerId) {
        self.full_resync_at(id, self.head);
    }

    /// The follower will get a copy of what the stream had made until `at`, and goes on from there,
    /// if the stream is kept from there on. Answers whether it is.
    pub fn full_resync_from(&mut self, id: FollowerId, at: Offset) -> bool {
        let is_kept = self.keeps_for(id, at);
        if is_kept {
            self.full_resync_at(id, at);
        }
        is_kept
    }

    /// The follower will get a copy of `other`, and goes on from where `other` is. Answers whether
    /// there is such a place: `other` is online.
    pub fn full_resync_like(&mut self, id: FollowerId, other: FollowerId) -> bool {
        let FollowerState::Online { sent, .. } = self.follower(other).state else { return false };
        self.full_resync_at(id, sent);
        true
    }

    fn full_resync_at(&mut self, id: FollowerId, at: Offset) {
        assert!(self.keeps_for(id, at), "a copy at {at} from where the stream is not kept");
        self.followers.change(id, |it| it.full_resync(at));
        let is_forgotten = is_planted(Planted::SelectForgotten);
        if self.follower(id).kind != FollowerKind::Hosted && !is_forgotten {
            // It cannot know which database was selected before.
            self.selected = None;
        }
    }

    /// The follower has everything before `from` and goes on there, if the stream is kept from
    /// there on. Answers whether it does; otherwise it needs a full resync.
    pub fn resume(&mut self, id: FollowerId, from: Position) -> bool {
        let offset = match self.history.cover(from) {
            Coverage::To(offset) => offset,
            Coverage::Lost(_) if is_planted(Planted::CutOffResumed) => from.offset,
            Coverage::Lost(_) | Coverage::Foreign => return false,
        };
        // A history that was replaced as a whole shares its beginning alone, and no data.
        if offset == Offset::ZERO && !self.history.goes_on_from(from.replid) {
            return false;
        }
        let can = self.keeps_for(id, offset);
        if can {
            self.followers.change(id, |it| it.resume(offset));
        }
        can
    }

    /// The follower has its copy, which stands at `acked`.
    pub fn online(&mut self, id: FollowerId, acked: Offset) {
        self.followers.change(id, |it| it.online(acked));
    }

    /// The follower is sent nothing from here on, and nothing is kept for it.
    pub fn disconnect(&mut self, id: FollowerId, why: DisconnectReason) {
        self.followers.change(id, |it| it.disconnect(why));
        self.forget_taken();
        self.trim();
    }

    /// Whether a follower has gone over its bound since [`Log::take_over_bound`] was asked.
    #[inline]
    pub fn has_over_bound(&self) -> bool {
        self.followers.has_over_bound()
    }

    /// The followers that went over their bound since the last time this was asked.
    pub fn take_over_bound(&mut self) -> Vec<FollowerId> {
        self.followers.take_over_bound()
    }

    /// When the first write was appended that this hosted replica has not taken; `None` when it has
    /// taken all.
    pub fn waiting_since(&self, id: FollowerId) -> Option<MonoUs> {
        self.follower(id).state.next().and_then(|it| self.window.oldest_after(it))
    }

    /// A hosted replica has applied everything before `applied`. It takes whole writes until there
    /// are `most` records or more in `due`, or as many bytes as one take may be of, or none left.
    pub fn take(
        &mut self,
        id: FollowerId,
        applied: Offset,
        most: usize,
        due: &mut VecDeque<PendingRecord<S>>,
    ) {
        let Log { followers, window, backlog, .. } = self;
        if followers.send_hosted(id, applied, |sent| window.take(sent, most, backlog, due)) {
            self.forget_taken();
            self.trim_if_due();
        }
    }

    /// The next bytes for a follower that takes bytes, at most `most`; none when it was sent all
    /// there are, or is not online.
    pub fn next_chunk(&mut self, id: FollowerId, most: usize) -> Bytes {
        let follower = self.followers.get(id);
        assert_ne!(follower.kind, FollowerKind::Hosted, "a hosted replica takes records");
        let FollowerState::Online { sent, .. } = follower.state else { return Bytes::new() };
        let chunk = self.backlog.chunk(sent, most);
        self.followers.send(id, sent.after(chunk.len()));
        self.trim_if_due();
        chunk
    }

    /// A follower that takes bytes says what it has. One that cannot have that is disconnected.
    pub fn ack(&mut self, id: FollowerId, offset: Offset, now: MonoUs) -> Result<(), PeerFault> {
        let kind = self.follower(id).kind;
        assert_ne!(kind, FollowerKind::Hosted, "a hosted replica acknowledges when it takes more");
        self.followers.ack(id, offset, now)
    }

    /// A replica on the wire says what it has on disk. One that cannot have that is disconnected.
    pub fn synced(&mut self, id: FollowerId, offset: Offset) -> Result<(), PeerFault> {
        self.followers.synced(id, offset)
    }

    /// Begins a write of `commands` commands; more than one stand between MULTI and EXEC.
    pub fn write(&mut self, commands: usize, at: impl Into<WriteTime>) -> Entry<'_, S> {
        let WriteTime { at, is_long } = at.into();
        let (before, first_record) = (self.head, self.window.len());
        let wrap = Wrap::of(commands);
        Entry { log: self, at, is_long, before, first_record, wrap, began_block: false }
    }

    /// The heartbeat that lets a replica tell silence from a dead link.
    pub fn ping(&mut self, at: MonoUs) {
        self.own_words(b"*1\r\n$4\r\nPING\r\n", at);
    }

    /// Asks replicas on the wire what they have applied.
    pub fn ask_for_acks(&mut self, at: MonoUs) {
        self.own_words(b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n", at);
    }

    fn own_words(&mut self, words: &[u8], at: MonoUs) {
        let mut entry = self.write(1, at);
        entry.append(words);
        entry.close();
    }

    fn keeps_bytes_from(&self, offset: Offset) -> bool {
        self.backlog().0 <= offset && offset <= self.head
    }

    /// Whether what this follower takes is kept from `offset` on. Without a hosted replica that is
    /// fed there are no records of what has been written.
    fn keeps_for(&mut self, id: FollowerId, offset: Offset) -> bool {
        if self.follower(id).kind != FollowerKind::Hosted {
            return self.keeps_bytes_from(offset);
        }
        if !self.followers.feeds_hosted() {
            self.window = Window::new(self.head);
        }
        self.window.start() <= offset && offset <= self.head
    }

    #[inline]
    fn forget_taken(&mut self) {
        let keep_from = self.followers.keep_records_from();
        self.window.forget(keep_from.unwrap_or(self.head));
    }

    /// What somebody needed until now may be more than a backlog should have.
    #[inline]
    fn trim_if_due(&mut self) {
        if self.backlog.is_due_for_trim(self.backlog_bytes) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let keep_from = self.followers.keep_bytes_from();
        self.backlog.trim(self.backlog_bytes, keep_from.unwrap_or(self.head));
    }

    /// Forgets what no follower needs: nobody is expected to ask for it.
    pub fn release_backlog(&mut self) {
        let keep_from = self.followers.keep_bytes_from();
        self.backlog.release(keep_from.unwrap_or(self.head));
    }

    /// To be called after a write from `before` on that began a block, or with the stream's end
    /// when a bound has changed.
    #[cold]
    fn look_after_bounds(&mut self, before: Offset) {
        self.followers.look_after_bounds(before, self.head);
        self.forget_taken();
        self.trim();
    }
}

/// Whether a write's commands need MULTI and EXEC around them, and how far that has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrap {
    Single,
    Unopened,
    Opened,
}

impl Wrap {
    fn of(commands: usize) -> Wrap {
        if commands <= 1 { Wrap::Single } else { Wrap::Unopened }
    }
}

/// When a write is appended, and whether it has taken long: then it will elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct WriteTime {
    /// When.
    pub at: MonoUs,
    /// Whether who repeats it should have a thread of its own.
    pub is_long: bool,
}

impl From<MonoUs> for WriteTime {
    fn from(at: MonoUs) -> WriteTime {
        WriteTime { at, is_long: false }
    }
}

/// A write being appended. Nothing of it is visible to followers before [`Entry::close`].
pub struct Entry<'l, S> {
    log: &'l mut Log<S>,
    at: MonoUs,
    is_long: bool,
    /// Where the stream ended before it.
    before: Offset,
    first_record: usize,
    wrap: Wrap,
    /// The time to look after bounds.
    began_block: bool,
}

impl<S: Clone> Entry<'_, S> {
    /// Appends one encoded command. `shared` are the entries that are its whole effect; without
    /// any, hosted replicas run the command.
    #[inline]
    pub fn propagate(&mut self, db: usize, words: &[u8], shared: impl ExactSizeIterator<Item = S>) {
        self.select(db);
        let from = self.append(words);
        self.record(db, from, shared);
    }

    /// Appends one encoded command that changes no key: hosted replicas pass over it.
    pub fn propagate_passed(&mut self, db: usize, words: &[u8]) {
        self.select(db);
        self.append(words);
    }

    /// As [`Entry::propagate`], for a long command that stays in the memory where it is: pieces of
    /// it, of which there is one where hosted replicas run the command.
    #[cold]
    pub fn propagate_owned(
        &mut self,
        db: usize,
        pieces: impl IntoIterator<Item = Bytes>,
        shared: impl ExactSizeIterator<Item = S>,
    ) {
        self.select(db);
        let from = self.log.head;
        for piece in pieces {
            self.log.head = self.log.head.after(piece.len());
            if self.log.is_kept {
                self.log.backlog.append_owned(piece);
                self.began_block = true;
            }
        }
        self.record(db, from, shared);
    }

    /// What hosted replicas do with the command that stands in the stream from `from` on.
    // As above.
    #[inline(always)]
    fn record(&mut self, db: usize, from: Offset, shared: impl ExactSizeIterator<Item = S>) {
        if !self.log.followers.feeds_hosted() {
            return;
        }
        if shared.len() == 0 {
            let (to, is_long) = (self.log.head, self.is_long);
            self.log.window.push(self.at, db, What::Repeat { from, to, is_long });
        }
        shared.for_each(|it| self.log.window.push(self.at, db, What::ApplyShared(it)));
    }

    /// Ends the write. Answers where the stream ends now.
    pub fn close(mut self) -> Offset {
        if self.wrap == Wrap::Opened {
            self.append(b"*1\r\n$4\r\nEXEC\r\n");
        }
        let end = self.log.head;
        if self.log.followers.feeds_hosted() && self.before < end {
            if self.first_record == self.log.window.len() {
                self.log.window.push(self.at, 0, What::Pass);
            }
            self.log.window.close(self.first_record, end);
        }
        if self.began_block {
            self.log.look_after_bounds(self.before);
        }
        end
    }

    // Its other callers are cold.
    #[inline(always)]
    fn select(&mut self, db: usize) {
        if self.log.selected != Some(db) {
            self.append_select(db);
        }
        if self.wrap == Wrap::Unopened {
            self.append(b"*1\r\n$5\r\nMULTI\r\n");
            self.wrap = Wrap::Opened;
        }
    }

    #[cold]
    fn append_select(&mut self, db: usize) {
        let mut words = Vec::with_capacity(32);
        let mut digits = itoa::Buffer::new();
        let args: [&[u8]; 2] = [b"SELECT", digits.format(db).as_bytes()];
        crate::resp::encode_command(&mut words, args.into_iter());
        self.append(&words);
        self.log.selected = Some(db);
    }

    #[inline]
    fn append(&mut self, words: &[u8]) -> Offset {
        let from = self.log.head;
        self.log.head = from.after(words.len());
        if self.log.is_kept {
            self.began_block |= self.log.backlog.append(words);
        }
        from
    }
}

#[cfg(test)]
mod tests;
