//! One client's memory: what its connection has said, and what it has seen.
//!
//! **Invariant:** no member, no socket. A session decides nothing; it is what decisions read.

mod last_reply;
mod lost;
mod once;
mod shared_floors;
mod subscriptions;
mod token;
mod tracking;
mod watches;

pub use last_reply::LastReply;
pub use lost::Lost;
pub use once::{Once, Tags};
pub use shared_floors::{Raised, Shared, SharedFloor, SharedFloors};
pub use subscriptions::{SubscriptionKind, Subscriptions};
pub use token::TokenSigner;
pub use tracking::{CachedReads, Tracking};
pub use watches::{Watch, Watches};

use crate::acl::User;
use crate::base::ids::CommandId;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Coverage, Offset, Position, ReplId, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::replication::ReplicaHello;
use crate::resp::OwnedRequest;
use crate::route::{Acks, Ladder, Level, StickyScope};
use std::sync::Arc;
use std::time::Duration;

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    /// Always.
    #[default]
    On,
    /// Never.
    Off,
    /// Not for the next command.
    SkipNext,
    /// Not for this command.
    SkipThis,
}

/// Acknowledgements a session asks for with every write (PROXY ACKS).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskedAcks {
    /// How many replicas.
    pub acks: Acks,
    /// How long to wait for them; without an end when zero.
    pub timeout: Duration,
}

/// A transaction being queued.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// The commands, by number in the table, with their arguments.
    pub commands: Vec<(CommandId, OwnedRequest)>,
    /// Memory they take, in bytes.
    pub bytes: usize,
    /// A command was refused while queueing: EXEC will abort.
    pub is_poisoned: bool,
}

/// What one connection has said and seen.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Number of the connection.
    pub id: u64,
    /// The selected database.
    pub db: usize,
    /// The user it is.
    pub user: String,
    /// What that user may do; `None` when it is everything.
    pub rules: Option<Arc<User>>,
    /// Whether it has logged in, or came while nobody had to.
    pub has_logged_in: bool,
    /// Whether it may do more than AUTH: it has logged in, or nobody has to now.
    pub is_known: bool,
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: String,
    /// CLIENT REPLY.
    pub replies: ReplyMode,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// MONITOR.
    pub is_monitor: bool,
    /// What a read must not read before: raised by own writes and own reads.
    pub floor: Option<Position>,
    /// The floor that it shares with others of its scope: what they see raises its own.
    pub shared: Option<SharedFloor>,
    /// Whose floor that is where it has not said: what its listener or the default say.
    pub scope_default: StickyScope,
    /// PROXY CONSISTENCY SCOPE.
    pub scope: Option<StickyScope>,
    /// Where its last write ended; what WAIT waits for.
    pub last_write: Offset,
    /// The history in which that is, where it is not the one of the set here.
    pub wrote_in: Option<ReplId>,
    /// What a failover has cut off, until the client has been told.
    pub lost: Option<Lost>,
    /// What it had seen before its floor became one of a history that is not known here yet.
    pub before: Option<Before>,
    /// When its last write was, for `sticky-for`.
    pub last_write_at: Option<MonoUs>,
    /// PROXY CONSISTENCY.
    pub level: Option<Level>,
    /// PROXY ATLEAST … WAIT … ELSE: instead of the routes' ladders.
    pub ladder: Option<Box<Ladder>>,
    /// PROXY TAG. Only a RESP3 client has any.
    pub tags: Tags,
    /// Where its last reply came from (PROXY LAST).
    pub last: LastReply,
    /// The level of the last read that had one of its own (PROXY ONCE).
    pub once_level: Option<Level>,
    /// PROXY ACKS.
    pub acks: Option<AskedAcks>,
    /// MULTI.
    pub queue: Option<Queue>,
    /// WATCH.
    pub watches: Watches,
    /// WATCH at the remote master, over a connection of its own.
    pub watches_remote: bool,
    /// REPLCONF: what a replica has said of itself.
    pub hello: Option<Box<ReplicaHello>>,
    /// SUBSCRIBE and its kin: from the first subscription on.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// CLIENT TRACKING.
    pub tracking: Option<Box<Tracking>>,
}

/// What a session had seen of a history that the remote master may have left since.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    floor: Position,
    has_written: bool,
}

impl Session {
    /// Carries what the session has seen over into the stream of today. What a failover has cut off
    /// is put down as lost, once; a floor of a history that is not known any more stays as it is,
    /// and sends reads to the master until one has raised a new floor.
    pub fn carry_over(&mut self, history: &ReplicationHistory) {
        let Some(floor) = self.floor else { return };
        self.settle_before(floor, history);
        // Before what has been cut off of its writes is forgotten.
        let has_written = self.last_write != Offset::ZERO;
        self.settle_last_write(history);
        let offset = match history.cover(floor) {
            Coverage::To(offset) => offset,
            Coverage::Lost(_) if is_planted(Planted::FloorKept) => floor.offset,
            Coverage::Lost(from) => {
                if is_missed(from, has_written) {
                    self.lost = Some(Lost { from, to: floor.offset });
                }
                self.last_write = self.last_write.min(from);
                from
            }
            Coverage::Foreign => return,
        };
        self.floor = Some(Position { replid: history.replid, offset });
    }

    /// Once the history of its last write is known, so is how much of that is there.
    fn settle_last_write(&mut self, history: &ReplicationHistory) {
        let Some(replid) = self.wrote_in else { return };
        let kept = match history.cover(Position { replid, offset: self.last_write }) {
            Coverage::To(offset) | Coverage::Lost(offset) => offset,
            Coverage::Foreign => return,
        };
        self.last_write = self.last_write.min(kept);
        self.wrote_in = None;
    }

    /// Once the history of its floor is known, so is what that has cut off.
    #[inline]
    fn settle_before(&mut self, floor: Position, history: &ReplicationHistory) {
        if self.before.is_some()
            && history.cover(floor) != Coverage::Foreign
            && let Some(before) = self.before.take()
            && let Coverage::Lost(from) = history.cover(before.floor)
            && is_missed(from, before.has_written)
        {
            self.lost = Some(Lost { from, to: before.floor.offset });
        }
    }

    /// Raises the floor to what one member had. A floor of a history that is not known any more
    /// stays: what it asks for may be more than this. Answers whether the two could be compared.
    #[inline]
    pub fn saw(&mut self, seen: Position) -> bool {
        match &mut self.floor {
            Some(floor) if is_of_history(floor, seen) => {
                floor.offset = floor.offset.max(seen.offset);
                true
            }
            Some(_) if !is_planted(Planted::FloorForgotten) => false,
            floor => {
                *floor = Some(seen);
                true
            }
        }
    }

    /// Raises the floor to the end of the stream, which is behind every floor there can be.
    #[inline]
    pub fn saw_all(&mut self, head: Position) {
        if !self.saw(head) {
            self.floor = Some(head);
        }
    }

    /// The remote master has answered, behind which its stream stood at `at`: a write at this time,
    /// or a read. That may be a place in a history that has not come here yet, which may have cut
    /// off what this session had seen.
    pub fn was_told(
        &mut self,
        at: Position,
        history: &ReplicationHistory,
        wrote_at: Option<MonoUs>,
    ) {
        let before = self.floor;
        if history.cover(at) == Coverage::Foreign && self.before.is_none() {
            let has_written = self.last_write != Offset::ZERO;
            let floor = self.floor.filter(|it| it.replid != at.replid);
            self.before = floor.map(|floor| Before { floor, has_written });
        }
        self.settle_before(at, history);
        match wrote_at {
            Some(now) => {
                self.wrote(at, now);
                self.wrote_in = (at.replid != history.replid).then_some(at.replid);
            }
            None => {
                // What it has written stands in the history of its floor until now.
                let last = self.floor.filter(|_| self.last_write != Offset::ZERO);
                self.wrote_in = self.wrote_in.or(last.map(|it| it.replid));
                self.saw_all(at);
            }
        }
        if at.replid != history.replid {
            // It may have come late, of a history that is known to be over.
            self.carry_over(history);
            if let Some(before) = before {
                self.saw(before);
            }
        }
        if let Some(shared) = &self.shared {
            shared.raise_to_all(self.floor.unwrap_or(at), self.id);
        }
    }

    /// Remembers a write that ended at `end`.
    #[inline]
    pub fn wrote(&mut self, end: Position, at: MonoUs) {
        self.saw_all(end);
        self.last_write = end.offset;
        self.wrote_in = None;
        self.last_write_at = Some(at);
    }

    /// The scope of its floor and the name it has there, if it shares one.
    pub fn shares_with(&self) -> Option<(StickyScope, &str)> {
        let scope = self.scope.unwrap_or(self.scope_default);
        let name = match scope {
            StickyScope::Connection => return None,
            StickyScope::ClientName => &self.name,
            StickyScope::User => &self.user,
        };
        (self.is_known && !name.is_empty()).then_some((scope, name))
    }

    /// Raises its floor and the one it shares to the higher of the two. Answers whether they could
    /// be compared: if not, this history may be the older one.
    pub fn share(&mut self, history: &ReplicationHistory) -> bool {
        let Some(shared) = &self.shared else { return true };
        match shared.share(self.floor, self.id, history) {
            Shared::At(_) if is_planted(Planted::SharedFloorUnread) => {}
            Shared::At(at) => self.floor = at,
            Shared::Lost(at, lost) => {
                self.floor = Some(at);
                if is_missed(lost.from, self.last_write != Offset::ZERO) {
                    self.lost.get_or_insert(lost);
                }
            }
            Shared::Foreign => return false,
        }
        true
    }

    /// As [`Session::share`] where the two cannot be compared, in a set that follows a remote
    /// master, which has told last that its stream stands at `told`: a floor of that history is the
    /// newer one, and one of a history that nobody has heard of since goes up to there.
    pub fn share_told(&mut self, history: &ReplicationHistory, told: Position) {
        let Some(shared) = &self.shared else { return };
        let is_newest = |it: &Position| it.replid == told.replid;
        let offsets = [self.floor, shared.raised().to].map(|it| it.filter(is_newest));
        let offset = offsets.into_iter().flatten().map(|it| it.offset).max();
        let at = Position { offset: offset.unwrap_or(told.offset), ..told };
        self.was_told(at, history, None);
    }

    /// Raises both to the end of the stream, which is behind every floor there can be.
    pub fn share_all(&mut self, head: Position) {
        self.saw_all(head);
        if let Some(shared) = &self.shared {
            shared.raise_to_all(head, self.id);
        }
    }

    /// A message that was published at this position has been delivered: what its publisher had
    /// written before it is seen from here on. `head` is the end of the stream.
    pub fn heard(&mut self, at: Position, history: &ReplicationHistory, head: Position) {
        let at = match history.cover(at) {
            Coverage::To(offset) | Coverage::Lost(offset) => {
                Position { replid: history.replid, offset }
            }
            Coverage::Foreign => head,
        };
        self.saw(at);
        if let Some(subscriptions) = &mut self.subscriptions {
            subscriptions.heard(at, history);
        }
    }

    /// Whether it subscribes to anything.
    #[inline]
    pub fn is_subscribed(&self) -> bool {
        self.subscriptions.as_ref().is_some_and(|it| !it.is_empty())
    }

    /// Whether the last write is less than `sticky_for` ago.
    pub fn wrote_lately(&self, sticky_for: Option<Duration>, now: MonoUs) -> bool {
        match (sticky_for, self.last_write_at) {
            (Some(time), Some(at)) => now < at.plus(time),
            _ => false,
        }
    }

    /// Between WATCH or MULTI and EXEC: everything goes to the master.
    pub fn is_watching(&self) -> bool {
        !self.watches.is_empty()
    }
}

/// Whether a session misses what is behind `from`: of a history that is gone as a whole, what it
/// has written.
fn is_missed(from: Offset, has_written: bool) -> bool {
    from != Offset::ZERO || has_written
}

/// Whether a floor counts the bytes that `seen` counts.
#[inline]
fn is_of_history(floor: &Position, seen: Position) -> bool {
    floor.replid == seen.replid || is_planted(Planted::HistoriesMixed)
}

#[cfg(test)]
mod tests;
