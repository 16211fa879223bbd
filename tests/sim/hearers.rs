//! Clients that have subscribed: what the stream says was published, and what it says has changed,
//! held against what each of them is told. Who delivers to whom, and when, is not known here.

use super::finding::Checker;
use super::frame::Frame;
use super::ledger::{Ledger, Write};
use super::peer::Peer;
use super::world::{Before, World};
use entourage::session::SubscriptionKind;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What somebody has subscribed to.
pub type Name = (u8, String);

/// The numbers that kinds have in names.
pub const CHANNEL: u8 = 0;
pub const PATTERN: u8 = 1;
pub const SHARD: u8 = 2;

/// A message, as of its place in the stream.
pub struct Published {
    kind: u8,
    channel: String,
    message: String,
    /// The request that published it, or made the change that it tells of.
    pub number: u64,
    /// The last checked write that stands before it.
    place: u64,
    /// A keyspace event: those are told in the stream's order, whoever has made them.
    pub is_event: bool,
}

impl Published {
    /// What PUBLISH or SPUBLISH has said.
    pub fn of(words: &[String], place: u64) -> Published {
        Published {
            kind: if words[0] == "SPUBLISH" { SHARD } else { CHANNEL },
            channel: words[1].clone(),
            message: words[2].clone(),
            number: words[2][1..].parse().expect("a number"),
            place,
            is_event: false,
        }
    }

    /// What is told of a write to a checked key, on one of the two channels.
    fn event(write: &Write, place: u64, of_key: bool) -> Published {
        let ((db, key), number) = (write.key, write.number);
        let (channel, message) = match of_key {
            true => (format!("__keyspace@{db}__:k{key}"), "set".to_owned()),
            false => (format!("__keyevent@{db}__:set"), format!("k{key}")),
        };
        Published { kind: CHANNEL, channel, message, number, place, is_event: true }
    }

    /// Whether who has subscribed to this name is told.
    fn is_for(&self, (kind, name): &Name) -> bool {
        match (*kind, self.kind) {
            (CHANNEL, CHANNEL) | (SHARD, SHARD) => *name == self.channel,
            (PATTERN, CHANNEL) => fits(name, &self.channel),
            _ => false,
        }
    }
}

/// Whether a pattern of texts and stars fits.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    (0..=text.len()).any(|it| fits(rest, &text[it..]))
}

/// Which keyspace events are asked for.
#[derive(Clone, Copy, Default)]
pub struct EventsAsked {
    pub on_keyspace: bool,
    pub on_keyevent: bool,
}

impl EventsAsked {
    /// As the letters of `notify-keyspace-events` say. Checked keys are strings.
    pub fn of(letters: &str) -> EventsAsked {
        let has_strings = letters.contains(['$', 'A']);
        EventsAsked {
            on_keyspace: has_strings && letters.contains('K'),
            on_keyevent: has_strings && letters.contains('E'),
        }
    }
}

impl Ledger {
    /// What is told of the last write.
    pub fn tell_of_write(&mut self) {
        let place = self.last();
        let Some(write) = self.at(place).copied() else { return };
        if self.events.on_keyspace {
            self.published.push(Published::event(&write, place, true));
        }
        if self.events.on_keyevent {
            self.published.push(Published::event(&write, place, false));
        }
    }
}

/// What a client has subscribed to, and what it is to be told.
#[derive(Default)]
pub struct Hearing {
    /// Of each name, what it has not been told yet, in the stream's order.
    owed: BTreeMap<Name, VecDeque<usize>>,
    /// What it may be told: it came when the client was unsubscribing, or subscribing apart.
    may_come: BTreeSet<(Name, usize)>,
    /// What it has published itself, until it is known whether it had subscribed before.
    own: VecDeque<usize>,
}

impl Hearing {
    fn is_owed(&mut self, all: &[Published], at: usize) {
        let meant = self.owed.iter_mut().filter(|it| all[at].is_for(it.0));
        meant.for_each(|it| it.1.push_back(at));
    }

    /// What it has published itself before it made this request has found its subscriptions as they
    /// are now.
    fn settle_own(&mut self, all: &[Published], number: u64) {
        while let Some(at) = self.own.front().copied().filter(|it| all[*it].number <= number) {
            self.own.pop_front();
            self.is_owed(all, at);
        }
    }

    fn subscribe(&mut self, name: Name) {
        self.owed.entry(name).or_default();
    }

    fn unsubscribe(&mut self, name: &Name) {
        let late = self.owed.remove(name).into_iter().flatten();
        self.may_come.extend(late.map(|it| (name.clone(), it)));
    }

    /// It is told a message on this name. Answers which it is, and whether others that it was to be
    /// told before are left; `None` when it was not to be told it.
    fn take(&mut self, all: &[Published], name: &Name, words: [&str; 2]) -> Option<(usize, Left)> {
        let is_this = |it: &usize| all[*it].channel == words[0] && all[*it].message == words[1];
        let queue = self.owed.get(name);
        if queue.is_none_or(|it| !it.iter().any(is_this)) {
            let number = self.own.iter().find(|it| is_this(it)).map(|it| all[*it].number);
            self.settle_own(all, number.unwrap_or(0));
        }
        if let Some(queue) = self.owed.get_mut(name)
            && let Some(at) = queue.iter().position(is_this)
        {
            let left = queue.iter().take(at).copied().collect();
            return queue.remove(at).map(|it| (it, left));
        }
        let late = self.may_come.iter().find(|it| it.0 == *name && is_this(&it.1)).cloned()?;
        self.may_come.remove(&late);
        Some((late.1, Vec::new()))
    }
}

/// Messages that were passed over.
type Left = Vec<usize>;

impl World {
    /// Those who have subscribed are owed what has been published since the last look. `own` has
    /// published it, and may have subscribed in the same breath.
    pub fn note_published(&mut self, own: u64) {
        let World { ledger, hearings, noted_published, .. } = self;
        hearings.entry(own).or_default();
        for at in *noted_published..ledger.published.len() {
            for (id, hearing) in hearings.iter_mut() {
                match *id == own {
                    true => hearing.own.push_back(at),
                    false => hearing.is_owed(&ledger.published, at),
                }
            }
        }
        *noted_published = ledger.published.len();
    }

    /// Everything that a connection has said to an event has been looked at.
    pub fn settle_own_published(&mut self, id: u64) {
        if let Some(hearing) = self.hearings.get_mut(&id) {
            hearing.settle_own(&self.ledger.published, u64::MAX);
        }
    }

    /// Whether a connection is told that it has subscribed, or has not any more.
    pub fn subscription_fits(
        &mut self,
        peer: &Peer,
        ((kind, name), is_on): (&Name, bool),
        (number, count): (u64, i64),
        frame: &Frame,
        before: &Before,
    ) -> bool {
        let word = format!(
            "{}{}subscribe",
            ["", "p", "s"][usize::from(*kind)],
            if is_on { "" } else { "un" }
        );
        let (Frame::Push(all) | Frame::Array(Some(all))) = frame else { return false };
        let told = [Frame::bulk(&word), Frame::bulk(name), Frame::Int(count)];
        let name = (*kind, name.clone());
        let published = &self.ledger.published;
        let hearing = self.hearings.entry(peer.id()).or_default();
        hearing.settle_own(published, number);
        match is_on {
            true => hearing.subscribe(name.clone()),
            false => hearing.unsubscribe(&name),
        }
        if is_on && before.is_apart {
            // Others have gone on meanwhile.
            let maybe =
                (before.published..published.len()).filter(|it| published[*it].is_for(&name));
            hearing.may_come.extend(maybe.map(|it| (name.clone(), it)));
        }
        self.count(if is_on { "subscribed" } else { "unsubscribed" });
        all[..] == told
    }

    /// A message. Answers whether this is one.
    pub fn hear(&mut self, peer: &mut Peer, frame: &Frame) -> bool {
        let (Frame::Push(all) | Frame::Array(Some(all))) = frame else { return false };
        let words: Vec<&str> = all.iter().filter_map(Frame::text).collect();
        let (name, channel, message) = match words[..] {
            ["message", channel, message] => ((CHANNEL, channel.to_owned()), channel, message),
            ["smessage", channel, message] => ((SHARD, channel.to_owned()), channel, message),
            ["pmessage", pattern, channel, message] => {
                ((PATTERN, pattern.to_owned()), channel, message)
            }
            _ => return false,
        };
        let id = peer.id();
        self.tell(format!("client {id} hears {words:?}"));
        if is_unchecked(channel, message) {
            return true;
        }
        let published = &self.ledger.published;
        let found = self.hearings.get_mut(&id);
        let found = found.and_then(|it| it.take(published, &name, [channel, message]));
        let Some((at, left)) = found else {
            self.find(Checker::Heard, format!("client {id} hears {words:?}, which it was not to"));
            return true;
        };
        let (owners, of) = (&self.owners, &published[at]);
        let owner = |it: &Published| owners.get(&it.number);
        let is_before = |it: &&usize| {
            let it = &published[**it];
            it.is_event == of.is_event && (it.is_event || owner(it) == owner(of))
        };
        let (place, is_event) = (of.place, of.is_event);
        if left.iter().any(|it| is_before(&it)) {
            self.find(
                Checker::Heard,
                format!("client {id} hears {words:?} before what was before"),
            );
        }
        peer.seen = peer.seen.max(place);
        peer.told = peer.told.max(place);
        self.count(if is_event { "events heard" } else { "messages heard" });
        true
    }

    /// In the end, everybody has heard what there was to hear.
    pub fn look_at_unheard(&mut self) {
        let here: BTreeSet<u64> = self.peers.iter().flatten().map(Peer::id).collect();
        let unheard = self.hearings.iter().filter(|it| here.contains(it.0)).find_map(|it| {
            let (name, queue) = it.1.owed.iter().find(|it| !it.1.is_empty())?;
            let first = &self.ledger.published[queue[0]];
            Some(format!("client {} never hears {} on {name:?}", it.0, first.message))
        });
        if let Some(what) = unheard {
            self.find(Checker::Heard, what);
        }
    }

    /// Whoever has left has left nothing subscribed, and who is here is still subscribed.
    pub fn look_for_gone_hearers(&mut self) {
        if self.away().next().is_some() {
            return;
        }
        let mut meant: BTreeMap<&Name, usize> = BTreeMap::new();
        let names = self.hearings.values().flat_map(|it| it.owed.keys());
        names.for_each(|it| *meant.entry(it).or_default() += 1);
        let kinds =
            [SubscriptionKind::Channel, SubscriptionKind::Pattern, SubscriptionKind::ShardChannel];
        let pubsub = &self.server.pubsub;
        let known: usize = kinds.iter().map(|it| pubsub.count(*it)).sum();
        let is_as_meant = |(name, count): (&&Name, &usize)| {
            pubsub.subscribers(kinds[usize::from(name.0)], name.1.as_bytes()) == *count
        };
        if known != meant.len() || !meant.iter().all(is_as_meant) {
            let what = format!("{known} names are subscribed to, meant are {meant:?}");
            self.find(Checker::LeftBehind, what);
        }
    }
}

/// Whether this is an event of what is not checked key by key.
fn is_unchecked(channel: &str, message: &str) -> bool {
    let is_of_key = |it: &str| it.strip_prefix('k').is_some_and(|it| it.parse::<u64>().is_ok());
    match (channel.strip_prefix("__keyspace@"), channel.strip_prefix("__keyevent@")) {
        (Some(of), _) => {
            message != "set" || !of.split_once("__:").is_some_and(|it| is_of_key(it.1))
        }
        (_, Some(of)) => !of.ends_with("__:set") || !is_of_key(message),
        _ => false,
    }
}
