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
