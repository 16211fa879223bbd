//! Keyspace events as messages: on `__keyspace@<db>__:<key>` the event's name, and on
//! `__keyevent@<db>__:<event>` the key.

use crate::base::position::Position;
use crate::command::{EventClasses, RaisedEvent};
use crate::node::EventSink;
use crate::pubsub::PubSub;
use crate::runtime::clock;
use crate::session::SubscriptionKind;
use std::sync::Arc;

/// Tells those who have subscribed.
pub struct ToldEvents(pub Arc<PubSub>);

impl EventSink for ToldEvents {
    fn tell(&self, classes: EventClasses, events: &[RaisedEvent], at: Position) {
        if self.0.is_empty() {
            return;
        }
        for RaisedEvent { event, db, key } in events {
            let name = event.name.as_bytes();
            if classes.contains(EventClasses::KEYSPACE) {
                let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
                self.publish(&channel, name, at);
            }
            if classes.contains(EventClasses::KEYEVENT) {
                let channel = [format!("__keyevent@{db}__:").as_bytes(), name].concat();
                self.publish(&channel, key, at);
            }
        }
    }
}

impl ToldEvents {
    fn publish(&self, channel: &[u8], message: &[u8], at: Position) {
        let words = [channel, message];
        if let Ok(publication) = self.0.publish(SubscriptionKind::Channel, words, usize::MAX) {
            publication.deliver(at, clock::mono_now(), None);
        }
    }
}
