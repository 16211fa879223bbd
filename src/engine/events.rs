//! The events that writes have raised and nobody has been told of yet. At the master alone, and
//! only of the classes that are asked for: whoever writes there asks, and takes them.

use crate::command::{Event, EventClasses, RaisedEvent};

/// The events that writes have raised and nobody has been told of yet.
#[derive(Default)]
pub struct Events {
    asked: EventClasses,
    raised: Vec<RaisedEvent>,
}

impl Events {
    /// Asks for the events of these classes.
    #[inline]
    pub fn ask(&mut self, classes: EventClasses) {
        self.asked = classes;
    }

    /// Whether any are asked for.
    #[inline]
    pub fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Notes an event, if it is asked for.
    #[inline]
    pub fn raise(&mut self, event: Event, db: usize, key: &[u8]) {
        if self.asked.intersects(event.class) {
            self.note(self.raised.len(), event, db, key);
        }
    }

    #[cold]
    fn note(&mut self, at: usize, event: Event, db: usize, key: &[u8]) {
        self.raised.insert(at, RaisedEvent { event, db, key: key.into() });
    }

    /// Notes keys that a call has missed, whose own events are those from number `from` on.
    /// Commands look before they act: so it comes before what they did, and behind what had
    /// expired.
    #[cold]
    pub fn miss(&mut self, from: usize, db: usize, keys: &[Box<[u8]>]) {
        if !self.asked.intersects(Event::KEY_MISS.class) {
            return;
        }
        let expired = self.raised[from..].iter().take_while(|it| it.event == Event::EXPIRED);
        let at = from + expired.count();
        keys.iter().enumerate().for_each(|(n, key)| self.note(at + n, Event::KEY_MISS, db, key));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.raised.len()
    }

    /// Forgets all but the first `kept`: what raised the others has not happened.
    pub fn cut(&mut self, kept: usize) {
        self.raised.truncate(kept);
    }

    /// Tells all, and forgets them.
    pub fn take(&mut self) -> Vec<RaisedEvent> {
        std::mem::take(&mut self.raised)
    }
}
