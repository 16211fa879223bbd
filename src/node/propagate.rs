//! Words in the stream that change no key: PUBLISH. Replicas on the wire are sent them, and hosted
//! replicas pass over them.

use super::replica_set::ReplicaSet;
use crate::base::ids::MemberId;
use crate::base::position::Position;
use crate::base::time::MonoUs;

/// Why words are not appended now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldBack {
    /// A replica is so far behind that writers wait for it.
    Behind(MemberId),
    /// CLIENT PAUSE is in force.
    Paused,
}

impl ReplicaSet {
    /// Appends these words, an encoded command of database `db`. Answers where the stream ends
    /// now.
    ///
    /// No member is locked, so that whoever holds the master for long is not waited for: the roles
    /// change under the log's lock.
    pub fn propagate(&self, db: usize, words: &[u8], at: MonoUs) -> Result<Position, HeldBack> {
        if let Some(behind) = self.far_behind() {
            return Err(HeldBack::Behind(behind));
        }
        let mut log = self.log.lock();
        // Under the log's lock: when CLIENT PAUSE has been answered, the stream stands still.
        if self.pause_in_force(at).is_some() {
            return Err(HeldBack::Paused);
        }
        // A replica's stream says what its master's says, and nothing else.
        if self.is_following() {
            return Ok(Position { replid: log.history().replid, offset: log.head() });
        }
        let mut entry = log.write(1, at);
        entry.propagate_passed(db, words);
        let offset = entry.close();
        let replid = log.history().replid;
        self.publish(log, self.member(self.master()));
        self.replicas().for_each(|it| it.note_work());
        self.tell_wire_in_turn();
        Ok(Position { replid, offset })
    }
}

#[cfg(test)]
mod tests {
    use crate::base::ids::MemberId;
    use crate::base::time::{MonoUs, WallMs};
    use crate::engine::Thresholds;
    use crate::node::transaction::tests::write;
    use crate::node::{Applied, ApplyBudget, ReplicaSet, new_replid};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread;

    const WORDS: &[u8] = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nx\r\n";

    fn set() -> ReplicaSet {
        ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    #[test]
    fn the_stream_says_the_words_and_a_hosted_replica_passes_over_them() {
        let set = set();
        write(&set, "SET k v", WallMs(1));
        let from = set.head();
        let end = set.propagate(3, WORDS, MonoUs(1)).unwrap();
        assert_eq!(end, set.position());
        let bytes = set.stream_from(from).unwrap().concat();
        assert_eq!(bytes, [b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", WORDS].concat());
        let replica = set.member(MemberId(1));
        while set.apply(replica, ApplyBudget::SHORT) == Applied::Some {}
        assert_eq!(replica.applied(), end.offset);
    }

    #[test]
    fn the_master_is_not_waited_for_and_a_failover_finds_the_whole_stream() {
        let set = set();
        let member_list = set.member_list();
        let held = set.write_long(&member_list);
        let before = set.head();
        set.propagate(0, WORDS, MonoUs(1)).unwrap();
        assert!(before < set.head());
        drop(held);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    let _ = set.propagate(0, WORDS, MonoUs(1));
                }
            });
            for round in 0..20 {
                let target = set.member(MemberId(1 + round % 2));
                if target.id != set.master() {
                    set.fail_over(target).unwrap();
                }
            }
            is_over.store(true, Relaxed);
        });
        for member in set.member_list().iter() {
            while set.apply(member, ApplyBudget::SHORT) == Applied::Some {}
            assert_eq!(member.applied(), set.head(), "{}", member.name);
        }
    }
}
