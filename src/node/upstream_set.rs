//! A hosted set that holds the place of one whose members are real servers: nothing is written
//! here, and its history is that of their master.

use super::remote_master::RemoteMaster;
use super::replica_set::ReplicaSet;
use crate::base::position::ReplicationHistory;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;

impl ReplicaSet {
    /// This is the master from here on. What was told of the one before holds as far as their
    /// histories go together.
    pub fn take_upstream_master(&self, remote: RemoteMaster) {
        let _alone = self.change();
        self.forwards.store(true, Release);
        self.is_following.store(true, Release);
        *self.remote.write() = Some(Arc::new(remote));
        self.announce();
        self.remote_change.notify(usize::MAX);
    }

    /// The master's history is this one. Whoever has seen what is no part of it is told so.
    pub fn take_upstream_history(&self, history: ReplicationHistory) {
        let _alone = self.change();
        self.install_master(self.master(), history);
    }
}
