//! DEBUG RELOAD and DEBUG CHANGE-REPL-ID: the same data out of a file, and the same stream under
//! another name.

use super::ReplicaSet;
use super::failover::{FORCED, new_replid};
use super::member_state::Hold;
use crate::base::position::Position;
use crate::base::time::WallMs;
use crate::engine::Engine;
use crate::runtime::{lazyfree, steps};

/// What came of putting data that has been a file in the master's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reloaded {
    /// It is there.
    Done,
    /// Something was written meanwhile, so it is of the past.
    Overtaken,
    /// It is not what the master has: the file, or its reader, is wrong. Nothing has changed.
    Differs,
}

impl ReplicaSet {
    /// Puts the master's data, as it was at `at` and has been written and read since, in the place
    /// of what it was made of. Nothing else may be in it: replicas keep what they have, and the
    /// stream goes on.
    pub fn reload_with(&self, mut engine: Engine, at: Position, now: WallMs) -> Reloaded {
        let _alone = self.change();
        let head = self.member(self.master());
        let long = self.hold_long(head, Hold::Write);
        let mut hosted = head.lock_to_write();
        steps::works();
        let outcome = if self.position() != at {
            Reloaded::Overtaken
        } else if hosted.engine.digest(now) != engine.digest(now) {
            Reloaded::Differs
        } else {
            Reloaded::Done
        };
        if outcome == Reloaded::Done {
            let (before, after) = (hosted.engine.written(), engine.written_mut());
            (after.expired, after.changes) = (before.expired, before.changes);
            engine.shared_mut().thresholds = hosted.engine.shared().thresholds;
            // What waits for keys, or watches them, is noted in the engine that goes.
            self.key_waiters.end_all(&FORCED);
            std::mem::swap(&mut hosted.engine, &mut engine);
        }
        drop((hosted, long));
        lazyfree::free_async(engine);
        outcome
    }

    /// Begins a history that goes on with all of the one before. Answers its name.
    pub fn change_history(&self) -> Position {
        let _alone = self.change();
        let member_list = self.member_list();
        let guard = self.write_long(&member_list);
        let mut log = self.log.lock();
        let history = log.history().promoted(new_replid(), log.head());
        log.begin_history(history.clone());
        self.install_master(self.master(), history);
        drop((log, guard));
        self.begin_wire_history();
        self.wake_waiters();
        self.tell_wire();
        self.position()
    }
}
