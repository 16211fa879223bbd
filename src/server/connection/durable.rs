//! Replies that wait until what they confirm is on disk: `appendfsync always`.
//!
//! A batch is served to its end, and all its replies are held together: whoever syncs covers the
//! writes of many batches at once. Meanwhile the connection goes on with what comes.

use super::caller::Caller;
use super::event::Action;
use crate::base::ids::{BlockId, SlotId};
use crate::base::position::Offset;
use crate::resp::Mark;

impl Caller {
    /// Holds what has been answered since `mark`, when the session's last write stood at `before`
    /// and a write has been made since.
    #[inline]
    pub fn hold_until_durable(&mut self, mark: Mark, before: Offset, actions: &mut Vec<Action>) {
        if self.syncs_always && self.session.last_write != before {
            self.hold(mark, actions);
        }
    }

    /// What has been answered since `mark` is the reply that this slot is for. Where its write is
    /// not on disk yet, it leaves when that is so.
    #[cold]
    pub fn fill_owed(&mut self, slot: SlotId, mark: Mark, actions: &mut Vec<Action>) {
        let (reply, end) = (self.replies.out.take(mark), self.session.last_write);
        let waits = self.syncs_always && self.server.set.durable() < end && !reply.is_empty();
        let is_filled = match waits {
            true => self.replies.fill_behind(slot, reply),
            false => self.replies.fill(slot, reply),
        };
        assert!(is_filled, "{slot:?} is filled once");
        if waits {
            self.wait_for_disk(slot, end, actions);
        }
    }

    #[cold]
    fn hold(&mut self, mark: Mark, actions: &mut Vec<Action>) {
        let end = self.session.last_write;
        if end <= self.server.set.durable() || self.replies.since(mark).is_empty() {
            return;
        }
        let slot = self.replies.open_slot();
        self.replies.settle(mark);
        self.wait_for_disk(slot, end, actions);
    }

    fn wait_for_disk(&mut self, slot: SlotId, end: Offset, actions: &mut Vec<Action>) {
        if self.unsynced.is_empty() {
            actions.push(Action::Sync(end));
        }
        self.unsynced.push_back((slot, end));
    }

    /// More is on disk: the replies that have waited for it leave.
    pub fn has_synced(&mut self, actions: &mut Vec<Action>) {
        let durable = self.server.set.durable();
        while let Some((slot, end)) = self.unsynced.front().copied() {
            if durable < end && self.server.set.expects_file() {
                return actions.push(Action::Sync(end));
            }
            self.unsynced.pop_front();
            let is_filled = self.replies.fill(slot, Vec::new());
            assert!(is_filled, "{slot:?} is filled once");
        }
    }

    /// Whether replies wait for the disk.
    #[inline]
    pub fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }
}

/// The number of the wait for the disk, which no other wait has.
pub const SYNC: BlockId = BlockId(u64::MAX);
