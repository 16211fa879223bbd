//! One client's memory: what its connection has said, and what it has seen.
//!
//! **Invariant:** no member, no socket. A session decides nothing; it is what decisions read.

mod last_reply;
mod lost;
mod once;
mod shared_floors;
mod subscriptions;
mod token;
mod watches;

pub use last_reply::LastReply;
pub use lost::Lost;
pub use once::{Once, Tags};
pub use shared_floors::{Raised, Shared, SharedFloor, SharedFloors};
pub use subscriptions::{SubscriptionKind, Subscriptions};
pub use token::TokenSigner;
pub use watches::{Watch, Watches};

use crate::base::ids::CommandId;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::{Coverage, Offset, Position, ReplId, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::replication::ReplicaHello;
use crate::resp::OwnedRequest;
use crate::route::{Acks, Ladder, Level, StickyScope};
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
    /// Whether it may do more than AUTH.
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
        if let Some(shared) = &self.shared {
            shared.raise_to_all(at, self.id);
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
mod tests {
    use super::*;
    use crate::base::position::ReplId;
    use std::sync::Arc;

    const OLD: ReplId = ReplId::new([1; 20]);
    const NEW: ReplId = ReplId::new([2; 20]);

    fn carried(replid: ReplId, offset: u64) -> Session {
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let mut session = Session::default();
        session.wrote(at(replid, offset), MonoUs(1));
        let history = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(50));
        session.carry_over(&history);
        session
    }

    #[test]
    fn a_floor_that_a_failover_shares_goes_on_in_the_new_history() {
        let session = carried(OLD, 50);
        assert_eq!(session.floor, Some(Position { replid: NEW, offset: Offset::new(50) }));
        assert_eq!((session.lost, session.last_write), (None, Offset::new(50)));
        assert_eq!(carried(NEW, 90).floor.map(|it| it.offset), Some(Offset::new(90)));
    }

    #[test]
    fn what_a_failover_cut_off_is_lost_and_the_session_goes_on_from_before() {
        let session = carried(OLD, 80);
        assert_eq!(session.lost, Some(Lost { from: Offset::new(50), to: Offset::new(80) }));
        assert_eq!(session.floor, Some(Position { replid: NEW, offset: Offset::new(50) }));
        assert_eq!(session.last_write, Offset::new(50), "WAIT waits for what there is");
    }

    #[test]
    fn of_a_history_that_was_replaced_only_own_writes_are_lost() {
        let history = ReplicationHistory::new(OLD).replaced(NEW);
        let old = Position { replid: OLD, offset: Offset::new(80) };
        let (mut reader, mut writer) = (Session::default(), Session::default());
        reader.saw(old);
        writer.wrote(old, MonoUs(1));
        [&mut reader, &mut writer].into_iter().for_each(|it| it.carry_over(&history));
        let start = Some(Position { replid: NEW, offset: Offset::ZERO });
        assert_eq!((reader.floor, reader.lost), (start, None));
        let lost = Some(Lost { from: Offset::ZERO, to: Offset::new(80) });
        assert_eq!((writer.floor, writer.lost), (start, lost));
    }

    #[test]
    fn what_a_history_that_comes_later_has_cut_off_is_told_when_it_comes() {
        let old = ReplicationHistory::new(OLD);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let mut session = Session::default();
        session.was_told(at(OLD, 80), &old, Some(MonoUs(1)));
        session.was_told(at(NEW, 90), &old, Some(MonoUs(2)));
        session.was_told(at(NEW, 95), &old, None);
        assert_eq!((session.floor, session.lost), (Some(at(NEW, 95)), None));
        session.carry_over(&old);
        assert_eq!((session.floor, session.lost), (Some(at(NEW, 95)), None));
        let (mut same, new) = (session.clone(), old.promoted(NEW, Offset::new(50)));
        session.carry_over(&new);
        let lost = Lost { from: Offset::new(50), to: Offset::new(80) };
        assert_eq!((session.floor, session.lost.take()), (Some(at(NEW, 95)), Some(lost)));
        assert_eq!(session.last_write, Offset::new(90));
        session.carry_over(&new);
        assert_eq!(session.lost, None, "once");
        same.carry_over(&old.promoted(NEW, Offset::new(85)));
        assert_eq!((same.floor, same.lost), (Some(at(NEW, 95)), None));
    }

    #[test]
    fn what_was_written_in_a_history_that_never_comes_is_lost_with_it() {
        let old = ReplicationHistory::new(OLD);
        let unknown = ReplId::new([9; 20]);
        let at = Position { replid: unknown, offset: Offset::new(90) };
        let mut session = Session::default();
        session.was_told(at, &old, Some(MonoUs(1)));
        session.carry_over(&old.promoted(NEW, Offset::new(50)).lacking(unknown));
        assert_eq!(session.lost, Some(Lost { from: Offset::ZERO, to: at.offset }));
        assert_eq!(session.last_write, Offset::ZERO);
    }

    #[test]
    fn a_floor_of_an_unknown_history_is_kept_until_everything_has_been_seen() {
        let unknown = ReplId::new([9; 20]);
        let mut session = carried(unknown, 10);
        assert_eq!(session.floor.map(|it| it.replid), Some(unknown));
        let seen = Position { replid: NEW, offset: Offset::new(60) };
        assert!(!session.saw(seen), "a replica that is behind may have less than was seen");
        assert_eq!(session.floor.map(|it| it.replid), Some(unknown));
        session.saw_all(seen);
        assert_eq!(session.floor, Some(seen));
    }

    #[test]
    fn a_write_is_recent_for_as_long_as_its_route_says() {
        let lately = |session: &Session, ms, now| {
            session.wrote_lately(Some(Duration::from_millis(ms)), MonoUs(now))
        };
        let mut session = Session::default();
        assert!(!lately(&session, 5, 0), "it has written nothing");
        session.wrote(Position { replid: OLD, offset: Offset::new(1) }, MonoUs(1000));
        assert!(lately(&session, 5, 1000) && lately(&session, 5, 5999));
        assert!(!lately(&session, 5, 6000) && !lately(&session, 5, 9000));
        assert!(!session.wrote_lately(None, MonoUs(1000)), "no route asks for it");
    }

    #[test]
    fn where_a_write_stands_is_kept_while_it_is_not_the_history_of_today() {
        let old = ReplicationHistory::new(OLD);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let told = |session: &mut Session, replid, it, wrote: bool| {
            session.was_told(at(replid, it), &old, wrote.then_some(MonoUs(1)));
            session.wrote_in
        };
        let (mut writer, mut reader) = (Session::default(), Session::default());
        assert_eq!(told(&mut writer, OLD, 80, true), None);
        assert_eq!(told(&mut writer, NEW, 90, true), Some(NEW));
        assert_eq!(told(&mut writer, OLD, 95, false), Some(NEW), "a read moves no write");
        assert_eq!(told(&mut reader, OLD, 80, false), None);
        assert_eq!(told(&mut reader, NEW, 90, false), None, "it has written nothing");
    }

    #[test]
    fn a_session_shares_its_floor_with_those_of_its_name_or_user() {
        let named = |scope, is_known| Session {
            scope: Some(scope),
            is_known,
            name: "app".into(),
            user: "ann".into(),
            ..Session::default()
        };
        let with = |scope, is_known| {
            let session = named(scope, is_known);
            session.shares_with().map(|(scope, name)| (scope, name.to_owned()))
        };
        let (of_name, of_user) = (StickyScope::ClientName, StickyScope::User);
        assert_eq!(with(StickyScope::Connection, true), None);
        assert_eq!(with(of_name, true), Some((of_name, "app".to_owned())));
        assert_eq!(with(of_user, true), Some((of_user, "ann".to_owned())));
        assert_eq!(with(of_user, false), None, "nobody knows who it is");
        let nameless = Session { name: "".into(), ..named(of_name, true) };
        assert_eq!(nameless.shares_with(), None);
    }

    #[test]
    fn of_what_a_master_had_before_it_began_anew_only_own_writes_are_told_as_lost() {
        let old = ReplicationHistory::new(OLD);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        for wrote in [None, Some(MonoUs(1))] {
            let mut session = Session::default();
            session.was_told(at(OLD, 80), &old, wrote);
            session.was_told(at(NEW, 5), &old, None);
            session.carry_over(&old.replaced(NEW));
            let lost = Lost { from: Offset::ZERO, to: Offset::new(80) };
            assert_eq!((session.floor, session.lost), (Some(at(NEW, 5)), wrote.map(|_| lost)));
        }
    }

    /// Two that share the floor of a user.
    fn sharing() -> [Session; 2] {
        let (all, old) = (Arc::new(SharedFloors::default()), ReplicationHistory::new(OLD));
        let head = Position { replid: OLD, offset: Offset::new(900) };
        [1, 2].map(|id| {
            let shared = Some(all.join(StickyScope::User, "ann", &old, head));
            Session { id, shared, ..Session::default() }
        })
    }

    #[test]
    fn what_one_of_a_scope_has_seen_the_others_have_seen() {
        let old = ReplicationHistory::new(OLD);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let [mut one, mut two] = sharing();
        one.saw(at(OLD, 70));
        assert!(one.share(&old) && two.share(&old));
        assert_eq!(two.floor, Some(at(OLD, 70)));
        two.share_all(at(OLD, 90));
        assert_eq!(two.floor, Some(at(OLD, 90)));
        assert!(one.share(&old));
        assert_eq!(one.floor, Some(at(OLD, 90)));
        one.floor = Some(at(NEW, 5));
        assert!(!one.share(&old), "they cannot be compared");
        assert_eq!(one.floor, Some(at(NEW, 5)));
        assert!(Session::default().share(&old), "it shares none");
    }

    #[test]
    fn where_floors_cannot_be_compared_the_history_that_was_told_last_decides() {
        let old = ReplicationHistory::new(OLD);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let raised = |it: &Session| it.shared.as_ref().and_then(|it| it.raised().to);
        let [mut one, mut two] = sharing();
        two.share_all(at(OLD, 90));
        one.floor = Some(at(NEW, 5));
        for session in [&mut one, &mut two] {
            session.share_told(&old, at(NEW, 3));
            assert_eq!(session.floor, Some(at(NEW, 5)), "the higher of those of that history");
            assert_eq!(raised(session), Some(at(NEW, 5)));
        }
        let [mut one, _two] = sharing();
        one.share_all(at(OLD, 90));
        one.share_told(&old, at(NEW, 3));
        assert_eq!(one.floor, Some(at(NEW, 3)), "nobody has seen more of it");
    }

    #[test]
    fn who_has_written_is_told_what_its_scope_has_lost_with_a_whole_history() {
        let new = ReplicationHistory::new(OLD).replaced(NEW);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        for has_written in [false, true] {
            let [mut one, mut two] = sharing();
            one.share_all(at(OLD, 90));
            two.last_write = if has_written { Offset::new(60) } else { Offset::ZERO };
            assert!(two.share(&new));
            let lost = Lost { from: Offset::ZERO, to: Offset::new(90) };
            assert_eq!(two.floor, Some(at(NEW, 0)));
            assert_eq!(two.lost, has_written.then_some(lost));
        }
    }

    #[test]
    fn a_message_raises_the_floor_to_where_it_was_published() {
        let old = ReplicationHistory::new(OLD);
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let head = at(OLD, 99);
        let mut session = Session { subscriptions: Some(Box::default()), ..Session::default() };
        let mut told = |at, history: &ReplicationHistory, head| {
            session.heard(at, history, head);
            let told = session.subscriptions.as_ref().and_then(|it| it.told_in(history));
            (session.floor, told)
        };
        let both = |it| (Some(it), Some(it));
        assert_eq!(told(at(OLD, 30), &old, head), both(at(OLD, 30)));
        assert_eq!(told(at(OLD, 20), &old, head), both(at(OLD, 30)), "it never falls");
        assert_eq!(told(at(NEW, 40), &old, head), both(head), "nobody knows where that is");
        let mut session = Session::default();
        session.heard(at(OLD, 80), &old.promoted(NEW, Offset::new(50)), at(NEW, 95));
        assert_eq!(session.floor, Some(at(NEW, 50)), "the rest has been cut off");
    }

    #[test]
    fn a_session_subscribes_or_watches_while_there_is_a_name_or_a_key() {
        let mut session = Session::default();
        assert!(!session.is_subscribed() && !session.is_watching());
        session.subscriptions = Some(Box::default());
        assert!(!session.is_subscribed());
        let subscriptions = session.subscriptions.as_mut().unwrap();
        subscriptions.add(SubscriptionKind::Channel, "news".into());
        assert!(session.is_subscribed());
        assert!(session.watches.add(0, b"key", OLD, || 1) && session.is_watching());
    }
}
