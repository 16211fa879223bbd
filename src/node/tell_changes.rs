//! Telling which keys have changed, under the master's lock, and when nothing holds any more.

use super::master_guard::MasterGuard;
use super::replica_set::ReplicaSet;
use crate::engine::{Change, Engine};

impl ReplicaSet {
    /// Whoever writes from here on notes what changes, if anybody caches what it reads: waits for a
    /// write that is at work.
    pub fn note_changes(&self) {
        drop(self.write(&self.member_list()));
    }

    /// The engine notes changes if, and only if, somebody caches what it reads. The master's, whose
    /// lock is held.
    #[inline]
    pub(super) fn settle_changes(&self, engine: &mut Engine) {
        if engine.is_tracked() != self.changes.are_asked() {
            self.changes.settle(engine, self.head());
        }
    }

    /// The stream has another history, or other data: nothing holds of what clients have cached.
    /// Called when that can be seen, and without the log's lock.
    pub(super) fn forget_cached(&self) {
        if !self.changes.forget_places() {
            return;
        }
        // Behind the places: of a write in between, one of the two tells.
        let at = self.position();
        self.changes.note_all(at.offset);
        if let Some(sink) = self.changes.sink() {
            sink.forget(at);
        }
    }
}

impl MasterGuard<'_> {
    /// The client of this number writes from here on.
    pub fn written_by(&mut self, client: u64) {
        self.by = Some(client);
    }

    /// Whether writes note which keys change.
    #[inline]
    pub(super) fn notes_changes(&self) -> bool {
        self.hosted.engine.is_tracked()
    }

    /// Tells which keys have changed, all of which is in the log, and what the transaction at hand
    /// has read.
    #[cold]
    pub(super) fn tell_changes(&mut self) {
        let MasterGuard { set, hosted, changed, reads, broadcast, by, told_left, .. } = self;
        let changes = &set.changes;
        hosted.engine.take_changed(changed);
        let reads = reads.take();
        if changed.is_empty() && reads.is_none() {
            return;
        }
        let at = set.position();
        let broadcasts = changes.are_broadcast();
        let Some(sink) = changes.sink() else { return };
        for change in changed.iter() {
            let Change::Key { key, expired } = change else { continue };
            changes.note(changes.hash(key), at.offset);
            if broadcasts && sink.is_broadcast(key) {
                let by = by.filter(|_| !expired).unwrap_or(0);
                broadcast.entry(key.into()).or_insert(by);
            }
        }
        if changed.iter().any(|it| it == Change::All) {
            changes.note_all(at.offset);
        }
        sink.tell(changed, reads.as_deref(), at, *by, told_left);
    }

    /// Tells those who are told of all keys with a prefix, once for all that was written under this
    /// lock.
    #[cold]
    pub(super) fn tell_broadcast(&mut self) {
        let keys = std::mem::take(&mut self.broadcast);
        if let Some(sink) = self.set.changes.sink() {
            sink.broadcast(keys, self.set.position(), &mut self.told_left);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::ids::MemberId;
    use crate::base::position::Position;
    use crate::base::time::WallMs;
    use crate::engine::{Change, ChangedKeys, Thresholds};
    use crate::node::transaction::tests::write;
    use crate::node::{Applied, ApplyBudget, BroadcastKeys, ChangeSink, ReplicaSet};
    use crate::node::{TransactionReads, new_replid};
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// What was told, with where it stands.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<(String, Position)>>>);

    impl ChangeSink for Told {
        fn tell(
            &self,
            changed: &ChangedKeys,
            _: Option<&TransactionReads>,
            at: Position,
            _: Option<u64>,
            _: &mut usize,
        ) {
            let shown = |it: Change<'_>| match it {
                Change::Key { key, .. } => key.escape_ascii().to_string(),
                Change::All => "all".into(),
            };
            self.0.lock().extend(changed.iter().map(|it| (shown(it), at)));
        }

        fn is_broadcast(&self, _: &[u8]) -> bool {
            false
        }

        fn broadcast(&self, _: BroadcastKeys, _: Position, _: &mut usize) {}

        fn forget(&self, at: Position) {
            self.0.lock().push(("forget".into(), at));
        }
    }

    fn set() -> (ReplicaSet, Told) {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let told = Told::default();
        set.changes.install(Box::new(told.clone()));
        (set, told)
    }

    #[test]
    fn a_change_is_told_with_its_place_and_found_behind_who_lacks_it() {
        let (set, told) = set();
        write(&set, "SET before 1", WallMs(1));
        let unseen = set.head();
        set.changes.ask(1, false);
        set.note_changes();
        assert!(told.0.lock().is_empty(), "nobody asked for that one");
        let behind =
            |key: &str, at| set.changes.change_behind(set.changes.hash(key.as_bytes()), at);
        assert_eq!(behind("before", crate::base::position::Offset::ZERO), Some(unseen));
        assert_eq!(behind("before", unseen), None);
        write(&set, "SET k 1", WallMs(1));
        let changed = set.position();
        write(&set, "SET other 1", WallMs(1));
        assert_eq!(told.0.lock()[0], ("k".into(), changed));
        assert_eq!(behind("k", unseen), Some(changed.offset), "a replica there lacks it");
        assert_eq!(behind("k", changed.offset), None);
        write(&set, "FLUSHALL", WallMs(1));
        assert_eq!(behind("k", changed.offset), Some(set.head()), "all may have changed");
        set.changes.ask(0, false);
        let count = told.0.lock().len();
        write(&set, "SET k 2", WallMs(1));
        assert_eq!(told.0.lock().len(), count, "nobody asks any more");
    }

    #[test]
    fn a_failover_ends_all_and_the_new_master_tells_of_changes() {
        let (set, told) = set();
        set.changes.ask(1, false);
        set.note_changes();
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert_eq!(told.0.lock().pop().unwrap(), ("forget".into(), set.position()));
        write(&set, "SET k 1", WallMs(1));
        assert_eq!(told.0.lock().pop().unwrap(), ("k".into(), set.position()));
        let old = set.member(MemberId(0));
        while set.apply(old, ApplyBudget::SHORT) == Applied::Some {}
        assert_eq!(set.read(old).engine().changes_noted(), 0, "who repeats it notes nothing");
        assert!(told.0.lock().is_empty());
    }
}
