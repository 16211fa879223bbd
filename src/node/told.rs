//! What the remote master has told of where its stream stands.
//!
//! The master may be of a history that the link has not come to yet: while the first snapshot is
//! under way, and after the master was replaced. What it tells then is a place in a history that
//! nobody here knows, and is never taken for one in ours.

use crate::base::position::{Coverage, Offset, Position, ReplId, ReplicationHistory};
use crate::route::Floor;
use parking_lot::Mutex;

/// Whom a connection to the master has found there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundMaster {
    /// What was found later has a higher number.
    pub number: u64,
    /// The master's history; `None` when it does not tell.
    pub replid: Option<ReplId>,
}

/// Where that master's stream stood behind what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The place.
    pub offset: Offset,
    /// Who has told.
    pub by: FoundMaster,
}

impl Told {
    /// The place. A master that does not tell its history is taken to be of the one here.
    pub fn position(&self, history: &ReplicationHistory) -> Position {
        Position { replid: self.by.replid.unwrap_or(history.replid), offset: self.offset }
    }
}

/// The furthest place that it has told anybody here.
#[derive(Debug, Default)]
pub struct ToldFloor(Mutex<Option<(Position, u64)>>);

impl ToldFloor {
    /// It has told `at`, by the finding of this number. Of two histories that which was found later
    /// is the newer one.
    pub fn raise(&self, at: Position, number: u64) {
        let mut told = self.0.lock();
        *told = match *told {
            Some((last, by)) if last.replid == at.replid => {
                let offset = last.offset.max(at.offset);
                Some((Position { offset, ..at }, by.max(number)))
            }
            Some((_, by)) if number < by => return,
            _ => Some((at, number)),
        };
    }

    /// It has told a place of a history that is over, which goes as far as `at` in that of today.
    /// That has come late: it takes the place of nothing that was found since.
    pub fn raise_late(&self, at: Position, today: &ReplicationHistory) {
        let mut told = self.0.lock();
        let (last, by) = told.map_or((at, 0), |it| it);
        if let Coverage::To(offset) | Coverage::Lost(offset) = today.cover(last) {
            *told = Some((Position { offset: offset.max(at.offset), ..at }, by));
        }
    }

    /// The floor of whoever wants to see what anybody here was told. What a failover has cut off
    /// since is told to those alone who have seen it.
    pub fn floor(&self, history: &ReplicationHistory) -> Floor {
        let told = *self.0.lock();
        match told.map(|it| history.cover(it.0)) {
            Some(Coverage::To(offset)) => Floor::Needs(offset),
            Some(Coverage::Lost(shared)) => Floor::Needs(shared),
            Some(Coverage::Foreign) => Floor::Foreign,
            None => Floor::NONE,
        }
    }

    /// The place itself, in whatever history.
    pub fn position(&self) -> Option<Position> {
        self.0.lock().map(|it| it.0)
    }

    /// The set follows another master, or none: what the one before has told is no promise of it.
    pub fn forget(&self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: ReplId = ReplId::new([1; 20]);
    const NEW: ReplId = ReplId::new([2; 20]);

    fn at(replid: ReplId, bytes: u64) -> Position {
        Position { replid, offset: Offset::new(bytes) }
    }

    #[test]
    fn a_place_in_a_history_that_has_not_come_yet_is_no_place_in_ours() {
        let (floor, old) = (ToldFloor::default(), ReplicationHistory::new(OLD));
        floor.raise(at(OLD, 70), 1);
        assert_eq!(floor.floor(&old), Floor::Needs(Offset::new(70)));
        floor.raise(at(NEW, 40), 2);
        assert_eq!(floor.floor(&old), Floor::Foreign);
        floor.raise(at(OLD, 90), 1);
        assert_eq!(floor.floor(&old), Floor::Foreign, "that one has come late");
        let new = old.promoted(NEW, Offset::new(30));
        assert_eq!(floor.floor(&new), Floor::Needs(Offset::new(40)));
        floor.forget();
        assert_eq!(floor.floor(&new), Floor::NONE);
    }

    #[test]
    fn what_comes_late_of_a_history_that_is_over_lowers_nothing() {
        let new = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(50));
        let floor = ToldFloor::default();
        floor.raise_late(at(NEW, 30), &new);
        assert_eq!(floor.position(), Some(at(NEW, 30)));
        floor.raise(at(NEW, 90), 1);
        floor.raise_late(at(NEW, 50), &new);
        assert_eq!(floor.position(), Some(at(NEW, 90)));
        let floor = ToldFloor::default();
        floor.raise(at(OLD, 40), 1);
        floor.raise_late(at(NEW, 45), &new);
        assert_eq!(floor.position(), Some(at(NEW, 45)));
        let unknown = at(ReplId::new([9; 20]), 0);
        floor.raise(unknown, 2);
        floor.raise_late(at(NEW, 50), &new);
        assert_eq!(floor.position(), Some(unknown), "it may be anywhere in the history of today");
    }

    #[test]
    fn what_was_cut_off_is_no_floor_for_others() {
        let floor = ToldFloor::default();
        floor.raise(at(OLD, 70), 1);
        let new = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(50));
        assert_eq!(floor.floor(&new), Floor::Needs(Offset::new(50)));
    }

    #[test]
    fn of_one_history_the_furthest_place_counts_whoever_was_told_of_it() {
        let at = |it| Position { replid: ReplId::new([1; 20]), offset: Offset::new(it) };
        let told = ToldFloor::default();
        [(80, 1), (60, 1), (70, 2)].iter().for_each(|it| told.raise(at(it.0), it.1));
        assert_eq!(told.position(), Some(at(80)));
        told.raise(at(90), 1);
        assert_eq!(told.position(), Some(at(90)));
    }
}
