//! Floors that several sessions share: those of one client name, or of one user.
//!
//! A session takes what the others have seen when it begins a batch, and gives what it has seen
//! before the batch's replies leave. So a read sees at least what any reply has shown that one of
//! them had received when the read was sent. There are never more floors than sessions that keep to
//! one: a floor goes with the last of them, and what it was is part of every floor that begins
//! later, since a client may close its connection before it opens the next.

use super::lost::Lost;
use crate::base::limits::HISTORIES_MAX;
use crate::base::position::{Coverage, Position, ReplicationHistory};
use crate::route::StickyScope;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Who shares a floor: the sessions of this scope with this name.
type Key = (StickyScope, String);

/// All floors that are shared.
#[derive(Default, Debug)]
pub struct SharedFloors(Mutex<Kept>);

#[derive(Default, Debug)]
struct Kept {
    floors: HashMap<Key, Entry>,
    /// What floors had come to when the last of their sessions left: the furthest in each history,
    /// newest last.
    left: Vec<Position>,
}

/// A floor, and how many sessions keep to it.
#[derive(Debug)]
struct Entry {
    floor: Arc<Floor>,
    sessions: usize,
}

#[derive(Debug)]
struct Floor {
    key: Key,
    raised: Mutex<Raised>,
}

/// How far a shared floor has been raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Raised {
    /// Up to here, in one history.
    pub to: Option<Position>,
    /// The session that did it last, 0 for one that had left before.
    pub by: u64,
}

/// What came of holding a session's floor and the shared one together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shared {
    /// Both stand here now.
    At(Option<Position>),
    /// The same, and a failover has cut off what the others had seen.
    Lost(Position, Lost),
    /// One of them is of a history that is not known: nothing has changed.
    Foreign,
}

/// A session's part in a shared floor, until it is dropped.
#[derive(Debug)]
pub struct SharedFloor {
    all: Arc<SharedFloors>,
    floor: Arc<Floor>,
}

impl SharedFloors {
    /// The floor of this scope and name. One that begins now begins at what those who have left had
    /// seen, which is `head` when its history is not known any more.
    pub fn join(
        self: &Arc<SharedFloors>,
        scope: StickyScope,
        name: &str,
        history: &ReplicationHistory,
        head: Position,
    ) -> SharedFloor {
        let mut kept = self.0.lock();
        let key = (scope, name.to_owned());
        if !kept.floors.contains_key(&key) {
            let raised = Mutex::new(Raised { to: kept.left(history, head), by: 0 });
            let floor = Arc::new(Floor { key: key.clone(), raised });
            kept.floors.insert(key.clone(), Entry { floor, sessions: 0 });
        }
        let entry = kept.floors.get_mut(&key).expect("it is there now");
        entry.sessions += 1;
        SharedFloor { all: self.clone(), floor: entry.floor.clone() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().floors.len()
    }

    fn leave(&self, floor: &Floor) {
        let mut kept = self.0.lock();
        let Some(entry) = kept.floors.get_mut(&floor.key) else { return };
        entry.sessions -= 1;
        if entry.sessions != 0 {
            return;
        }
        kept.floors.remove(&floor.key);
        if let Some(at) = floor.raised.lock().to {
            kept.remember(at);
        }
    }
}

impl Kept {
    fn remember(&mut self, at: Position) {
        if let Some(known) = self.left.iter_mut().find(|it| it.replid == at.replid) {
            known.offset = known.offset.max(at.offset);
            return;
        }
        self.left.push(at);
        if HISTORIES_MAX < self.left.len() {
            self.left.remove(0);
        }
    }

    /// What those who have left had seen, in the history of today.
    fn left(&self, history: &ReplicationHistory, head: Position) -> Option<Position> {
        let today = |it: &Position| match history.cover(*it) {
            Coverage::To(offset) | Coverage::Lost(offset) => Some(offset),
            Coverage::Foreign => None,
        };
        let offsets: Option<Vec<_>> = self.left.iter().map(today).collect();
        match offsets {
            Some(offsets) => {
                let offset = offsets.into_iter().max()?;
                Some(Position { replid: history.replid, offset })
            }
            None => Some(head),
        }
    }
}

impl SharedFloor {
    /// Its scope and name.
    pub fn key(&self) -> (StickyScope, &str) {
        (self.floor.key.0, &self.floor.key.1)
    }

    /// How many sessions keep to it.
    pub fn sessions(&self) -> usize {
        let kept = self.all.0.lock();
        kept.floors.get(&self.floor.key).map_or(0, |it| it.sessions)
    }

    /// How far it has been raised, and who did that.
    pub fn raised(&self) -> Raised {
        *self.floor.raised.lock()
    }

    /// Raises it and the floor of session `by` to the higher of the two.
    pub fn share(&self, own: Option<Position>, by: u64, history: &ReplicationHistory) -> Shared {
        let mut raised = self.floor.raised.lock();
        if own.is_some_and(|it| it.replid != history.replid) {
            return Shared::Foreign;
        }
        let today = |offset| Position { replid: history.replid, offset };
        let (theirs, lost) = match raised.to.map(|it| (it, history.cover(it))) {
            None => (None, None),
            Some((_, Coverage::To(offset))) => (Some(today(offset)), None),
            Some((it, Coverage::Lost(from))) => {
                (Some(today(from)), Some(Lost { from, to: it.offset }))
            }
            Some((_, Coverage::Foreign)) => return Shared::Foreign,
        };
        let is_mine = match (own, theirs) {
            (Some(own), Some(theirs)) => theirs.offset < own.offset,
            (own, _) => own.is_some(),
        };
        raised.to = if is_mine { own } else { theirs };
        if is_mine {
            raised.by = by;
        }
        match (raised.to, lost) {
            (Some(at), Some(lost)) => Shared::Lost(at, lost),
            (at, _) => Shared::At(at),
        }
    }

    /// Raises it to the end of the stream, which is behind every floor there can be.
    pub fn raise_to_all(&self, head: Position, by: u64) {
        let mut raised = self.floor.raised.lock();
        let has_more = |it: Position| it.replid == head.replid && head.offset <= it.offset;
        if !raised.to.is_some_and(has_more) {
            *raised = Raised { to: Some(head), by };
        }
    }
}

/// A copy of a session shares what the session shares.
impl Clone for SharedFloor {
    fn clone(&self) -> SharedFloor {
        if let Some(entry) = self.all.0.lock().floors.get_mut(&self.floor.key) {
            entry.sessions += 1;
        }
        SharedFloor { all: self.all.clone(), floor: self.floor.clone() }
    }
}

impl Drop for SharedFloor {
    fn drop(&mut self) {
        self.all.leave(&self.floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};

    const OLD: ReplId = ReplId::new([1; 20]);
    const NEW: ReplId = ReplId::new([2; 20]);

    fn at(replid: ReplId, bytes: u64) -> Position {
        Position { replid, offset: Offset::new(bytes) }
    }

    fn old() -> ReplicationHistory {
        ReplicationHistory::new(OLD)
    }

    /// A failover that cut the old history off at 50.
    fn new() -> ReplicationHistory {
        old().promoted(NEW, Offset::new(50))
    }

    fn join(all: &Arc<SharedFloors>, name: &str) -> SharedFloor {
        all.join(StickyScope::ClientName, name, &old(), at(OLD, 900))
    }

    #[test]
    fn what_one_has_seen_all_of_its_name_have_seen_and_no_others() {
        let all = Arc::new(SharedFloors::default());
        let (one, same, other) = (join(&all, "app"), join(&all, "app"), join(&all, "jobs"));
        assert_eq!((all.count(), one.sessions(), other.sessions()), (2, 2, 1));
        assert_eq!(one.share(Some(at(OLD, 70)), 1, &old()), Shared::At(Some(at(OLD, 70))));
        assert_eq!(same.share(None, 2, &old()), Shared::At(Some(at(OLD, 70))));
        assert_eq!(same.share(Some(at(OLD, 60)), 2, &old()), Shared::At(Some(at(OLD, 70))));
        assert_eq!(same.raised(), Raised { to: Some(at(OLD, 70)), by: 1 });
        assert_eq!(other.share(None, 3, &old()), Shared::At(None));
        let of_user = all.join(StickyScope::User, "app", &old(), at(OLD, 900));
        assert_eq!(of_user.share(None, 4, &old()), Shared::At(None));
    }

    #[test]
    fn a_floor_goes_with_its_last_session_and_what_it_was_does_not() {
        let all = Arc::new(SharedFloors::default());
        for it in 0..10_000 {
            let floor = join(&all, &format!("name-{it}"));
            floor.share(Some(at(OLD, it)), it, &old());
            assert_eq!(all.count(), 1);
        }
        assert_eq!((all.count(), all.0.lock().left.len()), (0, 1));
        let next = join(&all, "name-1");
        assert_eq!(next.raised().to, Some(at(OLD, 9_999)), "it may be the same client");
        let copy = next.clone();
        drop(next);
        assert_eq!((all.count(), copy.sessions()), (1, 1));
        drop(copy);
        assert_eq!(all.count(), 0);
    }

    #[test]
    fn floors_of_two_histories_are_compared_by_what_a_failover_has_kept() {
        let all = Arc::new(SharedFloors::default());
        let floor = join(&all, "app");
        floor.share(Some(at(OLD, 50)), 1, &old());
        assert_eq!(floor.share(Some(at(NEW, 40)), 2, &new()), Shared::At(Some(at(NEW, 50))));
        assert_eq!(floor.share(Some(at(OLD, 60)), 1, &old()), Shared::Foreign, "it looks again");
        assert_eq!(floor.share(Some(at(OLD, 60)), 1, &new()), Shared::Foreign);
        assert_eq!(floor.raised().to, Some(at(NEW, 50)), "and nothing has changed");
        floor.raise_to_all(at(OLD, 80), 1);
        let lost = Lost { from: Offset::new(50), to: Offset::new(80) };
        assert_eq!(floor.share(None, 2, &new()), Shared::Lost(at(NEW, 50), lost));
        assert_eq!(floor.share(None, 3, &new()), Shared::At(Some(at(NEW, 50))), "told once");
    }

    #[test]
    fn a_floor_that_begins_after_a_failover_begins_in_the_new_history() {
        let all = Arc::new(SharedFloors::default());
        for offset in [30, 80] {
            let floor = join(&all, "app");
            floor.share(Some(at(OLD, offset)), 1, &old());
            drop(floor);
            let next = all.join(StickyScope::User, "u", &new(), at(NEW, 70));
            assert_eq!(next.raised().to, Some(at(NEW, offset.min(50))));
        }
        let unknown = ReplicationHistory::new(ReplId::new([9; 20]));
        let head = Position { replid: unknown.replid, offset: Offset::new(7) };
        let next = all.join(StickyScope::User, "u", &unknown, head);
        assert_eq!(next.raised().to, Some(head), "all there is");
    }

    #[test]
    fn all_there_is_raises_a_floor_that_has_less_or_counts_otherwise() {
        let all = Arc::new(SharedFloors::default());
        let floor = join(&all, "app");
        floor.raise_to_all(at(OLD, 80), 1);
        assert_eq!(floor.raised(), Raised { to: Some(at(OLD, 80)), by: 1 });
        floor.raise_to_all(at(OLD, 70), 2);
        floor.raise_to_all(at(OLD, 80), 2);
        assert_eq!(floor.raised(), Raised { to: Some(at(OLD, 80)), by: 1 }, "it has it already");
        floor.raise_to_all(at(OLD, 90), 2);
        assert_eq!(floor.raised(), Raised { to: Some(at(OLD, 90)), by: 2 });
        floor.raise_to_all(at(NEW, 60), 3);
        assert_eq!(floor.raised(), Raised { to: Some(at(NEW, 60)), by: 3 });
    }

    #[test]
    fn a_floor_has_a_name_and_was_raised_by_who_was_first() {
        let all = Arc::new(SharedFloors::default());
        let (one, same) = (join(&all, "app"), join(&all, "app"));
        assert_eq!(one.key(), (StickyScope::ClientName, "app"));
        for (by, floor) in [(1, &one), (2, &same)] {
            floor.share(Some(at(OLD, 70)), by, &old());
            assert_eq!(floor.raised(), Raised { to: Some(at(OLD, 70)), by: 1 });
        }
    }

    #[test]
    fn of_those_who_left_a_bounded_number_of_histories_is_remembered() {
        let all = Arc::new(SharedFloors::default());
        for it in 0..HISTORIES_MAX as u8 + 5 {
            join(&all, "app").raise_to_all(at(ReplId::new([it; 20]), 70), 1);
            assert_eq!(all.0.lock().left.len(), HISTORIES_MAX.min(usize::from(it) + 1));
        }
    }
}
