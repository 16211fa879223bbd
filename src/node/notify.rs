//! Keyspace events on their way to subscribers: what the master's writes have raised is told under
//! the lock of the write, as soon as that is in the log. So all hear of all events in the order of
//! the stream, and nobody of one that is not in it.

use crate::base::position::Position;
use crate::command::{Event, EventClasses, RaisedEvent};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering::*};

/// Who tells subscribers. Never waits.
pub trait EventSink: Send + Sync {
    /// Tells these events, in this order, on the kinds of channels that `classes` has. What raised
    /// them stands before `at`.
    fn tell(&self, classes: EventClasses, events: &[RaisedEvent], at: Position);
}

/// A message that is told behind so many of a transaction's events, once the log has it.
pub struct Behind {
    /// So many.
    pub events: usize,
    /// Tells it; the transaction stands before the position.
    pub tell: Box<dyn FnOnce(Position)>,
}

/// Which events are asked for, and who tells them.
#[derive(Default)]
pub struct KeyspaceEvents {
    asked: AtomicU16,
    sink: OnceLock<Box<dyn EventSink>>,
}

impl KeyspaceEvents {
    /// From now on `sink` tells them.
    pub fn install(&self, sink: Box<dyn EventSink>) {
        let _ = self.sink.set(sink);
    }

    /// From the next batch on these classes are asked for.
    pub fn ask(&self, classes: EventClasses) {
        self.asked.store(classes.heard().bits(), Relaxed);
    }

    /// The classes that are asked for; none while nobody can hear of any.
    #[inline]
    pub fn asked(&self) -> EventClasses {
        EventClasses::from_bits_truncate(self.asked.load(Relaxed))
    }

    /// Tells these events, which were asked for. What raised them stands before `at`.
    pub fn tell(&self, events: &[RaisedEvent], at: Position) {
        if let Some(sink) = self.sink.get() {
            sink.tell(self.asked(), events, at);
        }
    }

    /// Tells of keys that a read has missed at a member whose data stands at `at`.
    #[cold]
    pub fn tell_missed(&self, db: usize, keys: Vec<Box<[u8]>>, at: Position) {
        let missed = |key| RaisedEvent { event: Event::KEY_MISS, db, key };
        let events: Vec<RaisedEvent> = keys.into_iter().map(missed).collect();
        if !events.is_empty() {
            self.tell(&events, at);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::time::WallMs;
    use crate::engine::Thresholds;
    use crate::node::transaction::tests::write;
    use crate::node::{Applied, ApplyBudget, ReplicaSet, new_replid};
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// What was told, with where it stands.
    #[derive(Clone, Default)]
    pub struct Heard(Arc<Mutex<Vec<(String, Position)>>>);

    impl EventSink for Heard {
        fn tell(&self, _: EventClasses, events: &[RaisedEvent], at: Position) {
            let shown = |it: &RaisedEvent| format!("{} {}", it.event.name, it.key.escape_ascii());
            self.0.lock().extend(events.iter().map(|it| (shown(it), at)));
        }
    }

    impl Heard {
        /// Hears of everything that happens in this set from now on.
        pub fn of(set: &ReplicaSet) -> Heard {
            let heard = Heard::default();
            set.events.install(Box::new(heard.clone()));
            set.events.ask(EventClasses::all());
            heard
        }

        /// What was told since the last look.
        pub fn take(&self) -> Vec<String> {
            self.0.lock().drain(..).map(|it| it.0).collect()
        }
    }

    #[test]
    fn the_master_alone_tells_and_says_where_the_change_stands() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let heard = Heard::of(&set);
        write(&set, "RPUSH l a", WallMs(1));
        let at = set.position();
        assert_eq!(heard.0.lock()[..], [("new l".into(), at), ("rpush l".into(), at)]);
        set.fail_over(set.member(MemberId(1))).unwrap();
        heard.take();
        write(&set, "RPOP l", WallMs(1));
        assert_eq!(heard.take(), ["rpop l", "del l"]);
        // Who was the master repeats what it is told, and raises nothing.
        let old = set.member(MemberId(0));
        while set.apply(old, ApplyBudget::SHORT) == Applied::Some {}
        assert_eq!(old.applied(), set.head());
        assert_eq!(set.read(old).engine().written().events.count(), 0);
        assert_eq!(heard.take(), [""; 0]);
    }

    #[test]
    fn nothing_is_noted_that_nobody_asks_for() {
        let set = ReplicaSet::new(0, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let heard = Heard::of(&set);
        set.events.ask(EventClasses::parse("A").unwrap());
        write(&set, "SET k v", WallMs(1));
        set.events.ask(EventClasses::parse("Kl").unwrap());
        write(&set, "SET k v", WallMs(1));
        assert_eq!(heard.take(), [""; 0]);
        assert_eq!(set.read(set.member(MemberId(0))).engine().written().events.count(), 0);
    }

    #[test]
    fn a_key_that_a_read_has_missed_is_told_with_where_it_was_looked_for() {
        let set = ReplicaSet::new(0, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let (heard, at) = (Heard::of(&set), set.position());
        set.events.tell_missed(0, vec![], at);
        assert_eq!(heard.take(), [""; 0]);
        set.events.tell_missed(0, vec![b"k"[..].into(), b"l"[..].into()], at);
        assert_eq!(heard.0.lock()[..], [("keymiss k".into(), at), ("keymiss l".into(), at)]);
    }
}
