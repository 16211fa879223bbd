//! What a client asks of one command, and of the replies' tags.

use crate::base::ids::MemberId;
use crate::base::position::Position;
use crate::route::{Ladder, Level};

/// What one command asks for itself (PROXY ONCE).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Once {
    /// LEVEL.
    pub level: Option<Level>,
    /// ATLEAST: a floor beside the session's own.
    pub floor: Option<Position>,
    /// ELSE stale, and the token of ATLEAST is of a history that nobody knows.
    pub may_be_stale: bool,
    /// WAIT and ELSE.
    pub ladder: Option<Ladder>,
    /// AT: the member that must serve it, as it is.
    pub at: Option<MemberId>,
    /// SEED: how its random numbers fall.
    pub seed: Option<u64>,
}

impl Once {
    /// The level of a read that would otherwise have `level`: a floor means nothing to one weaker
    /// than sticky.
    pub fn level_over(&self, level: Level) -> Level {
        match (self.level, self.floor) {
            (Some(level), _) => level,
            (None, Some(_)) if Level::Sticky.weakness() < level.weakness() => Level::Sticky,
            (None, _) => level,
        }
    }
}

/// Which replies carry word of where they come from (PROXY TAG).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tags {
    /// None.
    #[default]
    Off,
    /// Those of reads that their ladder let be stale.
    Stale,
    /// Those of all reads and writes.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};

    #[test]
    fn a_floor_makes_a_level_sticky_that_would_not_look_at_it() {
        let floor = Position { replid: ReplId::new([1; 20]), offset: Offset::new(5) };
        let over = |level, floor, it| Once { level, floor, ..Once::default() }.level_over(it);
        assert_eq!(over(None, None, Level::Eventual), Level::Eventual);
        assert_eq!(over(None, Some(floor), Level::Eventual), Level::Sticky);
        assert_eq!(over(None, Some(floor), Level::Sticky), Level::Sticky);
        assert_eq!(over(None, Some(floor), Level::Linearizable), Level::Linearizable);
        let eventual = Some(Level::Eventual);
        assert_eq!(over(eventual, Some(floor), Level::Master), Level::Eventual, "it is asked for");
    }
}
