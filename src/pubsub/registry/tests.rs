//! Subscribing, unsubscribing and publishing, without connections.

use super::*;
use crate::base::position::{Offset, Position, ReplId};
use crate::base::time::MonoUs;
use crate::pubsub::Delivery;
use crate::resp::Protocol;
use SubscriptionKind::{Channel, Pattern, ShardChannel};
use proptest::prelude::*;
use std::collections::BTreeSet;

struct Reader {
    number: u64,
    got: Mutex<Vec<String>>,
}

impl Reader {
    fn new(number: u64) -> Arc<Reader> {
        Arc::new(Reader { number, got: Mutex::default() })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.got.lock())
    }
}

impl Subscriber for Reader {
    fn number(&self) -> u64 {
        self.number
    }

    fn deliver(&self, message: &Arc<Delivery>) {
        let bytes = message.bytes(Protocol::Resp2).to_vec();
        self.got.lock().push(String::from_utf8(bytes).unwrap().replace("\r\n", " "));
    }
}

const AT: Position = Position { replid: ReplId::new([1; 20]), offset: Offset::ZERO };

fn publish(pubsub: &PubSub, kind: SubscriptionKind, channel: &str, message: &str) -> usize {
    let words = [channel.as_bytes(), message.as_bytes()];
    let publication = pubsub.publish(kind, words, usize::MAX).unwrap();
    let receivers = publication.receivers();
    publication.deliver(AT, MonoUs(1), None);
    receivers
}

fn subscribe(pubsub: &PubSub, kind: SubscriptionKind, name: &str, reader: &Arc<Reader>) {
    pubsub.subscribe(kind, Bytes::copy_from_slice(name.as_bytes()), reader.clone());
}

#[test]
fn a_message_reaches_its_channel_and_the_patterns_that_match() {
    let (pubsub, reader, other) = (PubSub::default(), Reader::new(1), Reader::new(2));
    subscribe(&pubsub, Channel, "news", &reader);
    subscribe(&pubsub, Pattern, "n*", &reader);
    subscribe(&pubsub, Pattern, "m*", &reader);
    subscribe(&pubsub, ShardChannel, "news", &other);
    assert_eq!(publish(&pubsub, Channel, "news", "hi"), 2);
    let message = "*3 $7 message $4 news $2 hi ";
    assert_eq!(reader.take(), [message, "*4 $8 pmessage $2 n* $4 news $2 hi "]);
    assert_eq!(publish(&pubsub, ShardChannel, "news", "hi"), 1);
    assert_eq!((reader.take(), other.take()), (vec![], vec![message.replace("7 m", "8 sm")]));
    assert_eq!(publish(&pubsub, Channel, "old", "hi"), 0);
}

#[test]
fn nothing_is_left_of_names_without_subscribers() {
    let (pubsub, reader) = (PubSub::default(), Reader::new(1));
    for kind in [Channel, Pattern, ShardChannel] {
        subscribe(&pubsub, kind, "a", &reader);
        assert_eq!((pubsub.count(kind), pubsub.subscribers(kind, b"a")), (1, 1));
        pubsub.unsubscribe(kind, b"a", 9);
        assert_eq!(pubsub.count(kind), 1, "another has");
        pubsub.unsubscribe(kind, b"a", 1);
        assert_eq!((pubsub.count(kind), pubsub.subscribers(kind, b"a")), (0, 0));
    }
    assert_eq!(pubsub.registry.read().pattern_bytes, 0);
    assert_eq!(Arc::strong_count(&reader), 1);
}

#[test]
fn what_a_publisher_has_taken_along_does_not_change() {
    let pubsub = PubSub::default();
    let readers: Vec<_> = (0..200).map(Reader::new).collect();
    readers.iter().for_each(|it| subscribe(&pubsub, Channel, "a", it));
    let taken = pubsub.publish(Channel, [b"a", b"x"], usize::MAX).unwrap();
    (0..200).for_each(|it| pubsub.unsubscribe(Channel, b"a", it));
    assert_eq!(pubsub.count(Channel), 0);
    taken.deliver(AT, MonoUs(1), Some(7));
    let got: Vec<usize> = readers.iter().map(|it| it.take().len()).collect();
    assert_eq!((got.iter().sum::<usize>(), got[7]), (199, 0));
}

#[test]
fn what_takes_long_is_refused_by_its_number_of_receivers_or_of_patterns() {
    let pubsub = PubSub::default();
    let words: [&[u8]; 2] = [b"abc", b"x"];
    (0..10).for_each(|it| subscribe(&pubsub, Channel, "abc", &Reader::new(it)));
    assert!(pubsub.publish(Channel, words, 9).is_err());
    assert!(pubsub.publish(Channel, words, 10).is_ok());
    (0..5).for_each(|it| subscribe(&pubsub, Pattern, &format!("x{it}"), &Reader::new(it)));
    assert!(pubsub.publish(Channel, words, 14).is_err());
    assert!(pubsub.publish(Channel, words, 15).is_ok());
    (0..5).for_each(|it| subscribe(&pubsub, Pattern, "a*", &Reader::new(it)));
    assert!(pubsub.publish(Channel, words, 14).is_err(), "received ten times, and five times");
    subscribe(&pubsub, Pattern, &"*".repeat(100_000), &Reader::new(1));
    assert!(pubsub.publish(Channel, words, 1000).is_err());
    assert!(pubsub.publish(Channel, [b"other", b"x"], usize::MAX).is_ok());
}

#[test]
fn names_are_listed_in_parts_and_all_of_them() {
    let (pubsub, reader) = (PubSub::default(), Reader::new(1));
    let all: Vec<String> = (0..1000).map(|it| format!("c{it:04}")).collect();
    all.iter().for_each(|it| subscribe(&pubsub, Channel, it, &reader));
    assert_eq!(pubsub.names(Channel, None), all);
    assert_eq!(pubsub.names(Channel, Some(b"*99")).len(), 10);
    assert!(pubsub.names(Pattern, None).is_empty());
}

proptest! {
    /// The registry beside a set of pairs.
    #[test]
    fn it_is_a_set_of_names_with_their_subscribers(
        steps in prop::collection::vec((any::<bool>(), 0..3usize, 0..4u8, 0..150u64), 1..300),
    ) {
        let pubsub = PubSub::default();
        let readers: Vec<_> = (0..150).map(Reader::new).collect();
        let mut model = BTreeSet::new();
        for (adds, kind_at, name, number) in steps {
            let (kind, text) = ([Channel, Pattern, ShardChannel][kind_at], format!("n{name}"));
            let is_new = !model.contains(&(kind_at, name, number));
            if adds && is_new {
                model.insert((kind_at, name, number));
                subscribe(&pubsub, kind, &text, &readers[number as usize]);
            } else if !adds {
                model.remove(&(kind_at, name, number));
                pubsub.unsubscribe(kind, text.as_bytes(), number);
            }
            let count = |of: usize| model.iter().filter(|it| it.0 == of && it.1 == name).count();
            prop_assert_eq!(pubsub.subscribers(kind, text.as_bytes()), count(kind_at));
            let received = publish(&pubsub, Channel, &text, "x");
            prop_assert_eq!(received, count(0) + count(1));
        }
    }
}
