//! Who subscribes to what.
//!
//! One lock guards it, and nobody holds that for longer than it takes to look up a name: a
//! publisher takes the list of a channel's subscribers and the list of patterns along, and matches
//! and delivers without it.

use super::publication::Publication;
use super::subscribers::{Receivers, Subscriber, Subscribers};
use crate::base::glob::{self, Case};
use crate::session::{SubscriptionKind, Subscriptions};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

/// Names that are looked at under one acquisition of the lock.
const NAMES_AT_A_TIME: usize = 256;
/// Comparing this many bytes of patterns with bytes of a channel's name takes as long as handing a
/// message to one subscriber.
const COMPARED_BYTES: usize = 128;

/// Names with their subscribers. A tree, which never has to move all its names at once.
type Names = BTreeMap<Bytes, Subscribers>;

/// All patterns with their subscribers, as of when a publisher asked.
type Patterns = Arc<[(Bytes, Receivers)]>;

/// Who subscribes to what.
#[derive(Default)]
pub struct PubSub {
    registry: RwLock<Registry>,
}

#[derive(Default)]
struct Registry {
    channels: Names,
    patterns: Names,
    shard_channels: Names,
    /// The bytes of all patterns together.
    pattern_bytes: usize,
    /// The list that publishers take along, until a pattern's subscribers change.
    listed: Mutex<Option<Patterns>>,
}

/// It would be received too often, or is to be compared with too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany;

impl Registry {
    fn names(&self, kind: SubscriptionKind) -> &Names {
        match kind {
            SubscriptionKind::Channel => &self.channels,
            SubscriptionKind::Pattern => &self.patterns,
            SubscriptionKind::ShardChannel => &self.shard_channels,
        }
    }

    fn names_mut(&mut self, kind: SubscriptionKind) -> &mut Names {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => {
                *self.listed.get_mut() = None;
                &mut self.patterns
            }
            SubscriptionKind::ShardChannel => &mut self.shard_channels,
        }
    }

    fn list_patterns(&self) -> Patterns {
        let listed = |(name, it): (&Bytes, &Subscribers)| (name.clone(), it.receivers());
        let list = || self.patterns.iter().map(listed).collect();
        self.listed.lock().get_or_insert_with(list).clone()
    }
}

impl PubSub {
    /// Lets `subscriber`, which has not, subscribe to `name`.
    pub fn subscribe(&self, kind: SubscriptionKind, name: Bytes, subscriber: Arc<dyn Subscriber>) {
        let mut registry = self.registry.write();
        let len = name.len();
        match registry.names_mut(kind).entry(name) {
            Entry::Occupied(mut subscribers) => subscribers.get_mut().add(subscriber),
            Entry::Vacant(place) => {
                place.insert(Subscribers::One(subscriber));
                if kind == SubscriptionKind::Pattern {
                    registry.pattern_bytes += len;
                }
            }
        }
    }

    /// The subscriber of this number, which has, subscribes to `name` no more.
    pub fn unsubscribe(&self, kind: SubscriptionKind, name: &[u8], number: u64) {
        let mut registry = self.registry.write();
        let names = registry.names_mut(kind);
        let Some(subscribers) = names.get_mut(name) else { return };
        if subscribers.remove(number) {
            return;
        }
        names.remove(name);
        if kind == SubscriptionKind::Pattern {
            registry.pattern_bytes -= name.len();
        }
    }

    /// The subscriber of this number subscribes to none of these any more.
    pub fn unsubscribe_all(&self, names: &Subscriptions, number: u64) {
        for kind in SubscriptionKind::ALL {
            names.of(kind).iter().for_each(|it| self.unsubscribe(kind, it, number));
        }
    }

    /// A message for all who subscribe to `channel`, or to a pattern that it matches. `Err` when
    /// that would take longer than handing a message to `most` subscribers.
    pub fn publish(
        &self,
        kind: SubscriptionKind,
        [channel, message]: [&[u8]; 2],
        most: usize,
    ) -> Result<Publication, TooMany> {
        let (receivers, patterns) = self.look_up(kind, channel, most)?;
        let mut publication = Publication::none();
        let mut add = |kind, name, receivers: Receivers| {
            publication.add(kind, name, receivers, [channel, message]);
            if most < publication.receivers() { Err(TooMany) } else { Ok(()) }
        };
        if let Some((name, receivers)) = receivers {
            add(kind, name, receivers)?;
        }
        for (pattern, receivers) in patterns.iter().flat_map(|it| it.iter()) {
            if glob::matches(pattern, channel, Case::Exact) {
                add(SubscriptionKind::Pattern, pattern.clone(), receivers.clone())?;
            }
        }
        Ok(publication)
    }

    /// The subscribers of a channel, and the patterns that its name is to be compared with.
    #[allow(clippy::type_complexity)]
    fn look_up(
        &self,
        kind: SubscriptionKind,
        channel: &[u8],
        most: usize,
    ) -> Result<(Option<(Bytes, Receivers)>, Option<Patterns>), TooMany> {
        let registry = self.registry.read();
        let subscribers = registry.names(kind).get_key_value(channel);
        let receivers = subscribers.map_or(0, |it| it.1.len());
        let has_patterns = kind == SubscriptionKind::Channel && !registry.patterns.is_empty();
        let compared = registry.pattern_bytes.saturating_mul(channel.len()) / COMPARED_BYTES;
        let compared =
            if has_patterns { compared.saturating_add(registry.patterns.len()) } else { 0 };
        if most < receivers.saturating_add(compared) {
            return Err(TooMany);
        }
        let receivers = subscribers.map(|(name, it)| (name.clone(), it.receivers()));
        Ok((receivers, has_patterns.then(|| registry.list_patterns())))
    }

    /// Whether nobody subscribes to any channel or pattern.
    pub fn is_empty(&self) -> bool {
        let registry = self.registry.read();
        registry.channels.is_empty() && registry.patterns.is_empty()
    }

    /// How many names of this kind have subscribers.
    pub fn count(&self, kind: SubscriptionKind) -> usize {
        self.registry.read().names(kind).len()
    }

    /// How many subscribe to this name.
    pub fn subscribers(&self, kind: SubscriptionKind, name: &[u8]) -> usize {
        self.registry.read().names(kind).get(name).map_or(0, Subscribers::len)
    }

    /// Whether anybody subscribes to this.
    pub fn has_name(&self, kind: SubscriptionKind, name: &[u8]) -> bool {
        self.registry.read().names(kind).contains_key(name)
    }

    /// The names of this kind that have subscribers and match the pattern, if there is one.
    pub fn names(&self, kind: SubscriptionKind, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let mut found = Vec::new();
        let mut from: Option<Bytes> = None;
        loop {
            let some: Vec<Bytes> = {
                let registry = self.registry.read();
                let start = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let names = registry.names(kind).range::<[u8], _>((start, Bound::Unbounded));
                names.take(NAMES_AT_A_TIME).map(|it| it.0.clone()).collect()
            };
            from = some.last().cloned();
            if from.is_none() {
                return found;
            }
            let fits = |it: &Bytes| pattern.is_none_or(|by| glob::matches(by, it, Case::Exact));
            found.extend(some.into_iter().filter(fits));
        }
    }
}

#[cfg(test)]
mod tests;
