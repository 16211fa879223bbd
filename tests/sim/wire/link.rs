//! A link between two sets, with what is under way on it.

use super::master_end::{Ended, MasterEnd};
use super::pipe::Pipe;
use super::replica_end::{Event, ReplicaEnd};
use entourage::base::position::ReplicationHistory;
use entourage::base::time::MonoUs;
use entourage::node::{RemoteMaster, ReplicaSet};
use entourage::replication::LinkFault;
use std::sync::Arc;

pub struct Link {
    /// The number of the set that follows.
    pub replica: usize,
    /// The number of the set that is followed.
    pub master: usize,
    up: Pipe,
    down: Pipe,
    /// `None` when that end has seen that the link has ended.
    pub at_master: Option<MasterEnd>,
    /// See above.
    pub at_replica: Option<ReplicaEnd>,
}

impl Link {
    /// A link that has just been connected. `marks` says how the master sends a file.
    pub fn connect(
        (replica, set): (usize, &ReplicaSet),
        master: usize,
        remote: Arc<RemoteMaster>,
        (resumes, marks): (bool, bool),
        now: MonoUs,
    ) -> Link {
        let mut link = Link {
            replica,
            master,
            up: Pipe::default(),
            down: Pipe::default(),
            at_master: Some(MasterEnd::new(marks)),
            at_replica: Some(ReplicaEnd::new(set, remote, resumes, now)),
        };
        link.send_up();
        link
    }

    /// Whether this set serves it as the master.
    pub fn is_served_by(&self, number: usize) -> bool {
        self.master == number && self.at_master.is_some()
    }

    /// Whether the replica repeats the stream.
    pub fn has_stream(&self) -> bool {
        self.at_replica.as_ref().is_some_and(ReplicaEnd::has_stream)
    }

    /// Whether the master sends it the stream.
    pub fn serves_stream(&self) -> bool {
        self.at_master.as_ref().is_some_and(MasterEnd::serves_stream)
    }

    /// Whether the replica counts as one of this master's.
    pub fn is_online(&self, set: &ReplicaSet) -> bool {
        self.at_master.as_ref().is_some_and(|it| it.is_online(set))
    }

    /// How many bytes are on their way, up and down.
    pub fn under_way(&self) -> (usize, usize) {
        (self.up.len(), self.down.len())
    }

    /// Whether both ends have left.
    pub fn is_over(&self) -> bool {
        self.at_master.is_none() && self.at_replica.is_none()
    }

    /// Only so many of the bytes that are on their way still arrive.
    pub fn cut(&mut self, keep_up: usize, keep_down: usize) {
        self.up.cut(keep_up);
        self.down.cut(keep_down);
    }

    fn send_up(&mut self) {
        if let Some(end) = &mut self.at_replica {
            self.up.send(&end.take_output());
        }
    }

    /// Time has passed at the replica.
    pub fn handle_time(&mut self, now: MonoUs) {
        if let Some(end) = &mut self.at_replica {
            end.handle_time(now);
        }
        self.send_up();
    }

    /// The master's end does the next thing there is to do. Answers whether there was any.
    pub fn work(&mut self, set: &ReplicaSet, most: usize, now: MonoUs) -> Result<bool, Ended> {
        let Some(end) = &mut self.at_master else { return Ok(false) };
        let worked = end.work(set, most, now, &mut self.down);
        if worked.is_err() {
            self.leave_master(set);
        }
        worked
    }

    /// At most so many bytes arrive at the master.
    pub fn deliver_up(&mut self, set: &ReplicaSet, most: usize, now: MonoUs) -> Result<(), Ended> {
        let bytes = self.up.deliver(most);
        let Some(end) = &mut self.at_master else { return Ok(()) };
        let taken = end.take(set, &bytes, now, &mut self.down);
        if taken.is_err() || self.up.is_over() {
            self.leave_master(set);
        }
        taken
    }

    /// At most so many bytes arrive at the replica. `master` is what the master answers to INFO.
    pub fn deliver_down(
        &mut self,
        set: &ReplicaSet,
        master: &ReplicationHistory,
        most: usize,
        now: MonoUs,
        events: &mut Vec<Event>,
    ) -> Result<(), LinkFault> {
        let bytes = self.down.deliver(most);
        let Some(end) = &mut self.at_replica else { return Ok(()) };
        let taken = end.take(set, master, &bytes, now, events);
        self.send_up();
        if taken.is_err() || self.down.is_over() {
            self.leave_replica(set, now);
        }
        taken
    }

    /// The replica ends the link.
    pub fn leave_replica(&mut self, set: &ReplicaSet, now: MonoUs) {
        if let Some(end) = self.at_replica.take() {
            end.leave(set, now);
            self.up.is_ended = true;
        }
    }

    fn leave_master(&mut self, set: &ReplicaSet) {
        if let Some(end) = self.at_master.take() {
            end.leave(set);
            self.down.is_ended = true;
        }
    }
}
