//! The log of a replica: it repeats another master's stream, the same bytes at the same offsets.

use super::{Entry, Log, WriteTime};
use crate::base::position::{Offset, ReplicationHistory};
use crate::replication::backlog::Backlog;
use crate::replication::followers::{DisconnectReason, FollowerId, FollowerState};
use crate::replication::window::Window;

impl<S: Clone> Log<S> {
    /// The stream goes on with another master's data, which stands at `at` of `history`; there
    /// `selected` is the database. Nothing of what was there is kept, and no follower is fed any
    /// more.
    pub fn replace(&mut self, history: ReplicationHistory, at: Offset, selected: usize) {
        let fed = self.followers.iter().filter(|it| it.1.state.is_fed());
        let fed: Vec<FollowerId> = fed.map(|it| it.0).collect();
        let disconnected = |it: FollowerState| it.disconnect(DisconnectReason::Replaced);
        fed.into_iter().for_each(|it| self.followers.change(it, disconnected));
        self.history = history;
        self.head = at;
        self.selected = None;
        self.repeated_db = Some(selected);
        self.backlog = Backlog::new(at);
        self.window = Window::new(at);
    }

    /// The stream goes on from `at` of `history`, with data that comes from files. `tail` says
    /// where its last bytes before that begin, and what they are.
    pub fn restore(
        &mut self,
        history: ReplicationHistory,
        at: Offset,
        tail: (Offset, Vec<u8>),
        repeated_db: Option<usize>,
    ) {
        self.replace(history, at, 0);
        self.repeated_db = repeated_db;
        let (start, bytes) = tail;
        assert_eq!(start.after(bytes.len()), at, "the tail ends where the stream goes on");
        self.is_kept = true;
        self.backlog = Backlog::new(start);
        if !bytes.is_empty() {
            self.backlog.append(&bytes);
        }
    }

    /// The master's stream goes on under another name, from here on.
    pub fn rename_history(&mut self, history: ReplicationHistory) {
        self.history = history;
    }

    /// The database that another master's stream has selected at the head; `None` when the stream
    /// says it next.
    pub fn repeated_db(&self) -> Option<usize> {
        self.repeated_db
    }

    /// Keeps the stream's bytes from here on, for who may ask for them later.
    pub fn keep(&mut self) {
        if !self.is_kept {
            self.is_kept = true;
            self.backlog = Backlog::new(self.head);
        }
    }

    /// Begins a write that another master's stream says.
    pub fn repeat(&mut self, at: impl Into<WriteTime>) -> Repeated<'_, S> {
        Repeated(self.write(1, at))
    }
}

/// A write of another master's stream being appended, byte for byte.
pub struct Repeated<'l, S>(Entry<'l, S>);

impl<S: Clone> Repeated<'_, S> {
    /// Bytes that hosted replicas pass over.
    pub fn pass(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.append(bytes);
        }
    }

    /// A command of this database. `shared` are the entries that are its whole effect; without any,
    /// hosted replicas run the command.
    pub fn command(&mut self, db: usize, words: &[u8], shared: impl ExactSizeIterator<Item = S>) {
        let from = self.0.append(words);
        self.0.record(db, from, shared);
    }

    /// Ends the write, behind which `db` is selected. Answers where the stream ends now.
    pub fn close(self, db: usize) -> Offset {
        self.0.log.repeated_db = Some(db);
        self.0.close()
    }
}
