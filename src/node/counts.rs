//! What a member's data comes to, for those who show it. They wait for nobody: of a member that is
//! held they get what was seen of it last, which is late and never early.

use crate::base::limits::DATABASES;
use crate::base::time::WallMs;
use crate::engine::{Engine, Expired};
use crate::script::Libraries;
use std::sync::Arc;

/// Counts of one member.
#[derive(Clone, Default, Debug)]
pub struct MemberCounts {
    /// Changes since the start (Redis' `dirty`).
    pub changes: u64,
    /// Keys it has deleted because their time had come.
    pub expired: Expired,
    /// Of each database.
    pub spaces: [SpaceCounts; DATABASES],
    /// Its libraries of functions.
    pub libraries: Arc<Libraries>,
}

/// What a deadline takes in its index: nodes of eleven entries of twenty bytes are two thirds full.
const INDEXED_BYTES: usize = 32;

/// Counts of one database.
#[derive(Clone, Copy, Default, Debug)]
pub struct SpaceCounts {
    /// Keys.
    pub keys: usize,
    /// Those of them that have a deadline.
    pub with_deadline: usize,
    /// Hashes that have fields with a deadline.
    pub with_field_deadlines: usize,
    /// Mean time that those keys have left, in milliseconds.
    pub mean_ttl_ms: u64,
    /// Bytes of the table at this member.
    pub table_bytes: usize,
    /// About what the index of deadlines takes.
    pub deadline_bytes: usize,
}

/// What was seen of a member's data last.
#[derive(Default)]
pub struct SeenCounts {
    /// As it was then.
    pub counts: MemberCounts,
    /// Whether it is so now, and the thread that asks may hold the member itself.
    pub is_shown: bool,
}

impl MemberCounts {
    /// Those of this data.
    pub(super) fn of(engine: &Engine, now: WallMs) -> MemberCounts {
        let spaces = std::array::from_fn(|index| {
            let space = engine.space(index);
            let indexed = space.with_deadline() + space.with_field_deadlines();
            SpaceCounts {
                keys: space.len(),
                with_deadline: space.with_deadline(),
                mean_ttl_ms: space.mean_ttl_ms(now),
                table_bytes: space.table().bytes(),
                with_field_deadlines: space.with_field_deadlines(),
                deadline_bytes: indexed * INDEXED_BYTES,
            }
        });
        let written = engine.written();
        let (changes, expired) = (written.changes, written.expired);
        MemberCounts { changes, expired, spaces, libraries: engine.libraries().clone() }
    }

    /// Keys in all databases.
    pub fn keys(&self) -> usize {
        self.spaces.iter().map(|it| it.keys).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::engine::Thresholds;
    use crate::node::transaction::tests::write;
    use crate::node::{ReplicaSet, new_replid};

    #[test]
    fn who_shows_counts_does_not_wait_for_a_member() {
        let now = WallMs(1_000_000);
        let set = ReplicaSet::new(0, 7, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        write(&set, "SET a 1 PX 5000", now);
        let told = set.master_counts(now);
        assert_eq!((told.keys(), told.changes, told.spaces[0].with_deadline), (1, 1, 1));
        write(&set, "SET b 1", now);
        let master = set.member(MemberId(0));
        let held = master.lock_to_write();
        assert_eq!(set.master_counts(now).keys(), 1, "what was seen last");
        drop(held);
        assert_eq!(set.master_counts(now).keys(), 2);
    }

    #[test]
    fn thresholds_reach_a_member_that_is_held_when_it_is_free() {
        let set = ReplicaSet::new(0, 7, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let (member_list, master) = (set.member_list(), set.member(MemberId(0)));
        let changed = Thresholds { stream_node_entries: 7, ..Thresholds::default() };
        let long = set.write_long(&member_list);
        set.set_thresholds(changed);
        drop(long);
        assert_eq!(master.lock_to_read().engine.shared().thresholds.stream_node_entries, 7);
    }
}
