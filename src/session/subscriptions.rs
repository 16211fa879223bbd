//! What a connection has subscribed to, and how far its reads must have come for what it was told.

use crate::base::position::{Coverage, Position, ReplicationHistory};
use bytes::Bytes;
use std::collections::BTreeSet;

/// What can be subscribed to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SubscriptionKind {
    /// A channel (SUBSCRIBE).
    Channel,
    /// All channels whose names match a pattern (PSUBSCRIBE).
    Pattern,
    /// A shard channel (SSUBSCRIBE).
    ShardChannel,
}

impl SubscriptionKind {
    /// All of them.
    pub const ALL: [SubscriptionKind; 3] =
        [SubscriptionKind::Channel, SubscriptionKind::Pattern, SubscriptionKind::ShardChannel];
}

/// The subscriptions of one connection, by name.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    channels: BTreeSet<Bytes>,
    patterns: BTreeSet<Bytes>,
    shard_channels: BTreeSet<Bytes>,
    /// Of all names.
    name_bytes: usize,
    told: Option<Position>,
}

impl Subscriptions {
    /// The names of this kind.
    pub fn of(&self, kind: SubscriptionKind) -> &BTreeSet<Bytes> {
        match kind {
            SubscriptionKind::Channel => &self.channels,
            SubscriptionKind::Pattern => &self.patterns,
            SubscriptionKind::ShardChannel => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: SubscriptionKind) -> &mut BTreeSet<Bytes> {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
            SubscriptionKind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Adds a name. Answers whether it is new.
    pub fn add(&mut self, kind: SubscriptionKind, name: Bytes) -> bool {
        let bytes = name.len();
        let is_new = self.of_mut(kind).insert(name);
        self.name_bytes += if is_new { bytes } else { 0 };
        is_new
    }

    /// Takes a name out. Answers whether it was there.
    pub fn remove(&mut self, kind: SubscriptionKind, name: &[u8]) -> bool {
        let was_there = self.of_mut(kind).remove(name);
        self.name_bytes -= if was_there { name.len() } else { 0 };
        was_there
    }

    /// Takes all names out.
    pub fn take_names(&mut self) -> Subscriptions {
        let told = self.told;
        std::mem::replace(self, Subscriptions { told, ..Subscriptions::default() })
    }

    /// How many there are of all kinds.
    pub fn len(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    /// Bytes of memory that they take, but for the allocator's: here, and where messages look for
    /// their receivers.
    pub fn kept_bytes(&self) -> usize {
        self.name_bytes + self.len() * 2 * size_of::<Bytes>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are, as replies to subscribing and unsubscribing count them: those of shard
    /// channels apart.
    pub fn counted_with(&self, kind: SubscriptionKind) -> usize {
        match kind {
            SubscriptionKind::ShardChannel => self.shard_channels.len(),
            _ => self.channels.len() + self.patterns.len(),
        }
    }

    /// A message that was published at this position has been delivered.
    pub fn heard(&mut self, at: Position, history: &ReplicationHistory) {
        let told = self.told_in(history).filter(|it| at.offset < it.offset);
        self.told = Some(told.unwrap_or(at));
    }

    /// A read has seen the end of the stream, which is behind every message of a history that is
    /// not known any more: it need not be looked for at the master from here on.
    #[cold]
    pub fn saw_end(&mut self, end: Position, history: &ReplicationHistory) {
        if self.told.is_some_and(|it| history.cover(it) == Coverage::Foreign) {
            self.told = Some(end);
        }
    }

    /// Where the last message stands that was delivered, in today's history: no read at any level
    /// may be older. A message that a failover has cut off asks for what the histories share.
    pub fn told_in(&self, history: &ReplicationHistory) -> Option<Position> {
        let told = self.told?;
        match history.cover(told) {
            Coverage::To(offset) | Coverage::Lost(offset) => {
                Some(Position { replid: history.replid, offset })
            }
            Coverage::Foreign => Some(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};

    const OLD: ReplId = ReplId::new([1; 20]);
    const NEW: ReplId = ReplId::new([2; 20]);

    #[test]
    fn what_was_told_only_rises_and_outlives_a_failover_and_unsubscribing() {
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let old = ReplicationHistory::new(OLD);
        let mut subscriptions = Subscriptions::default();
        assert_eq!(subscriptions.told_in(&old), None);
        for (heard, told) in [(30, 30), (20, 30), (70, 70)] {
            subscriptions.heard(at(OLD, heard), &old);
            assert_eq!(subscriptions.told_in(&old), Some(at(OLD, told)));
        }
        let new = old.promoted(NEW, Offset::new(50));
        assert_eq!(subscriptions.told_in(&new), Some(at(NEW, 50)), "the rest is lost");
        subscriptions.heard(at(NEW, 60), &new);
        subscriptions.take_names();
        assert_eq!(subscriptions.told_in(&new), Some(at(NEW, 60)));
    }

    #[test]
    fn what_was_told_in_a_forgotten_history_gives_way_to_the_end_of_the_stream() {
        let at = |replid, it| Position { replid, offset: Offset::new(it) };
        let mut subscriptions = Subscriptions::default();
        let (old, new) = (ReplicationHistory::new(OLD), ReplicationHistory::new(NEW));
        subscriptions.saw_end(at(OLD, 5), &old);
        assert_eq!(subscriptions.told_in(&old), None);
        subscriptions.heard(at(OLD, 30), &old);
        subscriptions.saw_end(at(OLD, 50), &old);
        assert_eq!(subscriptions.told_in(&old), Some(at(OLD, 30)), "it is known");
        assert_eq!(subscriptions.told_in(&new), Some(at(OLD, 30)));
        subscriptions.saw_end(at(NEW, 70), &new);
        assert_eq!(subscriptions.told_in(&new), Some(at(NEW, 70)));
    }

    #[test]
    fn shard_channels_are_counted_apart() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.add(SubscriptionKind::Channel, Bytes::from_static(b"a")));
        assert!(!subscriptions.add(SubscriptionKind::Channel, Bytes::from_static(b"a")));
        assert!(subscriptions.add(SubscriptionKind::Pattern, Bytes::from_static(b"a")));
        assert!(subscriptions.add(SubscriptionKind::ShardChannel, Bytes::from_static(b"a")));
        assert_eq!(subscriptions.counted_with(SubscriptionKind::Pattern), 2);
        assert_eq!(subscriptions.counted_with(SubscriptionKind::ShardChannel), 1);
        assert!(subscriptions.remove(SubscriptionKind::Pattern, b"a"));
        assert!(!subscriptions.remove(SubscriptionKind::Pattern, b"a"));
        assert_eq!(subscriptions.kept_bytes(), 2 + 4 * size_of::<Bytes>());
        assert_eq!((subscriptions.len(), subscriptions.take_names().len()), (2, 2));
        assert!(subscriptions.is_empty() && subscriptions.kept_bytes() == 0);
    }

    #[test]
    fn nothing_is_subscribed_before_the_first_name_and_after_the_last() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.is_empty());
        subscriptions.add(SubscriptionKind::Channel, "news".into());
        assert!(!subscriptions.is_empty());
        assert_eq!(subscriptions.take_names().len(), 1);
        assert!(subscriptions.is_empty());
    }

    #[test]
    fn the_names_of_a_kind_are_its_own() {
        for kind in SubscriptionKind::ALL {
            let mut subscriptions = Subscriptions::default();
            assert!(subscriptions.add(kind, "a".into()) && subscriptions.add(kind, "b".into()));
            for other in SubscriptionKind::ALL {
                let names: Vec<_> = subscriptions.of(other).iter().cloned().collect();
                let expected = if other == kind { vec!["a", "b"] } else { vec![] };
                assert_eq!(names, expected, "{kind:?} {other:?}");
            }
        }
    }
}
