//! The offset a read must not read before, settled from what its session and this proxy have seen.

use super::Level;
use crate::base::position::{Coverage, Offset, Position, ReplicationHistory};
use std::fmt;

/// A floor as the stream of today sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Floor {
    /// A member that has applied this much keeps the promise.
    Needs(Offset),
    /// A failover cut off what the session saw last; the stream shares its past up to here.
    Lost(Offset),
    /// The floor belongs to a history this stream knows nothing of.
    Foreign,
}

impl Floor {
    /// No promise to keep.
    pub const NONE: Floor = Floor::Needs(Offset::ZERO);

    /// The floor of a read at `level`: `own` is the session's, `everyone` the proxy-wide one, and
    /// `head` the master's offset when the read arrived. A stronger level keeps the weaker ones'
    /// promises.
    #[inline]
    pub fn of(
        level: Level,
        own: Option<Position>,
        everyone: Option<Position>,
        head: Offset,
        history: &ReplicationHistory,
    ) -> Floor {
        let covered = |it: &Option<Position>| Floor::covered(it.as_ref(), history);
        match level {
            Level::Sticky => covered(&own),
            Level::Global => covered(&own).and(covered(&everyone)),
            Level::Linearizable => covered(&own).and(Floor::Needs(head)),
            Level::Master | Level::Bounded { .. } | Level::Eventual => Floor::NONE,
        }
    }

    /// This floor and, at a level that has one, another that was asked for beside it.
    pub fn and_of(self, level: Level, asked: Position, history: &ReplicationHistory) -> Floor {
        self.and(Floor::of(level, Some(asked), None, Offset::ZERO, history))
    }

    #[inline]
    fn covered(seen: Option<&Position>, history: &ReplicationHistory) -> Floor {
        let Some(seen) = seen else { return Floor::NONE };
        match history.cover(*seen) {
            Coverage::To(offset) => Floor::Needs(offset),
            Coverage::Lost(shared) => Floor::Lost(shared),
            Coverage::Foreign => Floor::Foreign,
        }
    }

    /// Both floors at once; what was lost stays lost.
    pub fn and(self, other: Floor) -> Floor {
        match (self, other) {
            (Floor::Needs(one), Floor::Needs(other)) => Floor::Needs(one.max(other)),
            (Floor::Needs(_), lost) => lost,
            (lost, _) => lost,
        }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Floor::Needs(offset) if *offset == Offset::ZERO => f.write_str("none"),
            Floor::Needs(offset) => write!(f, "{offset}"),
            Floor::Lost(shared) => write!(f, "lost beyond {shared}"),
            Floor::Foreign => f.write_str("of an unknown history"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::ReplId;

    const OLD: ReplId = ReplId::new([1; 20]);
    const NEW: ReplId = ReplId::new([2; 20]);

    fn floor(level: Level, own: Option<(ReplId, u64)>, everyone: u64) -> Floor {
        let history = ReplicationHistory::new(OLD).promoted(NEW, Offset::new(50));
        let own = own.map(|(replid, it)| Position { replid, offset: Offset::new(it) });
        let everyone = Position { replid: NEW, offset: Offset::new(everyone) };
        Floor::of(level, own, Some(everyone), Offset::new(900), &history)
    }

    #[test]
    fn a_stronger_level_keeps_the_weaker_promises() {
        let needs = |it| Floor::Needs(Offset::new(it));
        assert_eq!(floor(Level::Sticky, Some((NEW, 100)), 700), needs(100));
        assert_eq!(floor(Level::Sticky, None, 700), Floor::NONE);
        assert_eq!(floor(Level::Global, Some((NEW, 100)), 700), needs(700));
        assert_eq!(floor(Level::Global, Some((NEW, 800)), 700), needs(800));
        assert_eq!(floor(Level::Linearizable, Some((NEW, 800)), 700), needs(900));
        assert_eq!(floor(Level::Eventual, Some((NEW, 800)), 700), Floor::NONE);
    }

    #[test]
    fn a_floor_cut_off_by_a_failover_is_never_taken_for_a_number() {
        let lost = Floor::Lost(Offset::new(50));
        assert_eq!(floor(Level::Sticky, Some((OLD, 50)), 0), Floor::Needs(Offset::new(50)));
        assert_eq!(floor(Level::Sticky, Some((OLD, 51)), 0), lost);
        assert_eq!(floor(Level::Linearizable, Some((OLD, 51)), 0), lost);
        assert_eq!(floor(Level::Global, Some((ReplId::new([9; 20]), 1)), 0), Floor::Foreign);
        assert_eq!(lost.to_string(), "lost beyond 50");
    }
}
