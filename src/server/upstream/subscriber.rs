//! Subscribes at the master for all clients, over one connection, and tells on what comes.
//!
//! Behind messages the master is asked where its stream stands, before they are told on: whoever is
//! told reads nothing older than what their publishers had written.

use super::talk::{Talk, other};
use crate::base::position::{Offset, Position};
use crate::base::time::MonoUs;
use crate::node::upstream::{Backoff, Pushed, Stand, UpstreamView, is_first};
use crate::runtime::{clock, tasks};
use crate::session::SubscriptionKind;
use crate::state::{Server, SubscribedName, SubscribedNames, Upstream, UpstreamMember};
use bytes::Bytes;
use futures::future::{Either, select};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for names that nobody subscribes to any more, and whether the master is
/// still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Subscribes until the process ends.
pub async fn attend(server: Arc<Server>, upstream: Arc<Upstream>) {
    let mut backoff = Backoff::new(clock::entropy());
    loop {
        let (news, changes) = (upstream.subscriptions.news(), upstream.news());
        upstream.subscriptions.forget_gone();
        let has_names = !names(&server, &upstream).is_empty();
        let Some(master) = upstream.view().master.filter(|_| has_names) else {
            select(select(news, changes), pin!(tasks::sleep(LOOK_EVERY))).await;
            continue;
        };
        let master = upstream.member(master);
        let error = match Talk::with(&upstream, &master.address).await {
            Ok(talk) => {
                let mut subscriber = Subscriber {
                    server: &server,
                    upstream: &upstream,
                    master: &master,
                    talk,
                    asked: SubscribedNames::default(),
                    covered: SubscribedNames::default(),
                    unused: BTreeSet::new(),
                    messages: Vec::new(),
                    behind: None,
                    pinged_at: None,
                    expected: VecDeque::new(),
                    next_look: clock::mono_now().plus(LOOK_EVERY),
                };
                let error = subscriber.serve().await.err();
                backoff.succeeded();
                error
            }
            Err(error) => Some(error),
        };
        upstream.subscriptions.uncover_all();
        let why = error.map_or_else(|| "another is the master".to_owned(), |it| it.to_string());
        let (name, address) = (&master.described.name, &master.address);
        log::warn!("event=upstream-subscriber-ended name={name} address={address} why={why}");
        tasks::sleep(backoff.failed()).await;
    }
}

/// All names that clients subscribe to, or wait for.
fn names(server: &Server, upstream: &Upstream) -> Vec<SubscribedName> {
    let of_kind = |kind| {
        let names = server.pubsub.names(kind, None);
        names.into_iter().map(move |it| (kind, it))
    };
    let all = SubscriptionKind::ALL.into_iter().flat_map(of_kind);
    all.chain(upstream.subscriptions.wanted()).collect()
}

/// A message that is to be told on.
type Message = (SubscriptionKind, Bytes, Bytes);

/// What an answer is of.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Expected {
    /// PING.
    Pong,
    /// ROLE.
    Place,
    /// A subscription: it is confirmed by a push, or refused by a reply.
    Subscribed(SubscribedName),
    /// The end of a subscription, likewise.
    Unsubscribed(SubscribedName),
}

struct Subscriber<'s> {
    server: &'s Server,
    upstream: &'s Upstream,
    master: &'s UpstreamMember,
    talk: Talk,
    asked: SubscribedNames,
    covered: SubscribedNames,
    /// Those that nobody subscribed to when it was looked last.
    unused: BTreeSet<SubscribedName>,
    messages: Vec<Message>,
    /// How many of the messages had come when the master was asked where it stands.
    behind: Option<usize>,
    /// When it was sent the PING that it has not answered.
    pinged_at: Option<MonoUs>,
    /// What was sent whose answer has not come, in its order.
    expected: VecDeque<Expected>,
    /// When it is looked after next, however much comes.
    next_look: MonoUs,
}

impl Subscriber<'_> {
    /// Ends with what ends the connection; `Ok` when the master is another.
    async fn serve(&mut self) -> io::Result<()> {
        let patience = self.upstream.settings.replica_timeout;
        let hello = self.talk.ask(&[b"HELLO", b"3"], patience).await?;
        if hello.starts_with(b"-") {
            return Err(other(String::from_utf8_lossy(&hello).trim_end()));
        }
        self.subscribe(names(self.server, self.upstream)).await?;
        loop {
            let (news, changes) = (self.upstream.subscriptions.news(), self.upstream.news());
            // While there is none it may be the same that comes back, with what it had to tell.
            let is_another = self.upstream.view().master.is_some_and(|it| it != self.master.id);
            if is_another || self.master.is_gone() {
                return Ok(());
            }
            self.subscribe(self.upstream.subscriptions.take_new()).await?;
            let told = select(news, changes);
            let left = self.next_look.since(clock::mono_now());
            let tick = pin!(tasks::sleep(Duration::from_micros(left)));
            let next = {
                let frame = pin!(self.talk.next());
                match select(select(told, tick), frame).await {
                    Either::Left((Either::Left(_), _)) => Next::News,
                    Either::Left((Either::Right(_), _)) => Next::Tick,
                    Either::Right((frame, _)) => Next::Frame(frame?),
                }
            };
            match next {
                Next::News => {}
                Next::Tick => self.look_after().await?,
                Next::Frame(frame) => self.take(&frame).await?,
            }
        }
    }

    /// Asks for what of these is not asked for yet.
    async fn subscribe(&mut self, names: Vec<SubscribedName>) -> io::Result<()> {
        for (kind, name) in names {
            if self.asked.add(kind, name.clone()) {
                let word: &[u8] = match kind {
                    SubscriptionKind::Channel => b"SUBSCRIBE",
                    SubscriptionKind::Pattern => b"PSUBSCRIBE",
                    SubscriptionKind::ShardChannel => b"SSUBSCRIBE",
                };
                self.talk.send(&[word, &name]).await?;
                self.expected.push_back(Expected::Subscribed((kind, name)));
            }
        }
        Ok(())
    }

    /// What nobody has subscribed to for a while is given up.
    async fn look_after(&mut self) -> io::Result<()> {
        let now = clock::mono_now();
        self.next_look = now.plus(LOOK_EVERY);
        match self.pinged_at {
            // One that is busy with a script tells afterwards what was published.
            Some(at) if at.plus(self.upstream.settings.reply_timeout) <= now => {
                return Err(other("it does not answer"));
            }
            Some(_) => {}
            None => {
                self.pinged_at = Some(now);
                self.talk.send(&[b"PING"]).await?;
                self.expected.push_back(Expected::Pong);
            }
        }
        self.upstream.subscriptions.forget_gone();
        let all = names(self.server, self.upstream);
        let used: BTreeSet<SubscribedName> = all.iter().cloned().collect();
        self.subscribe(all).await?;
        let before = std::mem::take(&mut self.unused);
        for kind in SubscriptionKind::ALL {
            let word: &[u8] = match kind {
                SubscriptionKind::Channel => b"UNSUBSCRIBE",
                SubscriptionKind::Pattern => b"PUNSUBSCRIBE",
                SubscriptionKind::ShardChannel => b"SUNSUBSCRIBE",
            };
            for name in self.covered.of(kind).clone() {
                let key = (kind, name.clone());
                if used.contains(&key) {
                    continue;
                }
                if before.contains(&key) {
                    self.upstream.subscriptions.uncover(kind, &name);
                    if self.server.pubsub.has_name(kind, &name) {
                        // Somebody came before it was uncovered.
                        self.upstream.subscriptions.cover((kind, name));
                        continue;
                    }
                    self.covered.remove(kind, &name);
                    self.asked.remove(kind, &name);
                    self.talk.send(&[word, &name]).await?;
                    self.expected.push_back(Expected::Unsubscribed((kind, name)));
                } else {
                    self.unused.insert(key);
                }
            }
        }
        Ok(())
    }

    async fn take(&mut self, frame: &[u8]) -> io::Result<()> {
        if !frame.starts_with(b">") {
            return self.take_reply(frame).await;
        }
        match Pushed::read(frame).ok_or_else(|| other("its bytes are no push"))? {
            Pushed::Subscribed(kind, name) => {
                self.is_confirmed(&Expected::Subscribed((kind, name.clone())));
                self.covered.add(kind, name.clone());
                self.upstream.subscriptions.cover((kind, name));
            }
            Pushed::Unsubscribed(kind, name) => {
                self.is_confirmed(&Expected::Unsubscribed((kind, name)));
            }
            Pushed::Message { kind, pattern, channel, message } => {
                let (channels, patterns) = (
                    self.covered.of(SubscriptionKind::Channel),
                    self.covered.of(SubscriptionKind::Pattern),
                );
                if is_first(pattern.as_ref(), &channel, channels, patterns) {
                    self.messages.push((kind, channel, message));
                }
                self.ask_place().await?;
            }
            Pushed::Other => {}
        }
        Ok(())
    }

    /// This has been answered by a push.
    fn is_confirmed(&mut self, expected: &Expected) {
        if let Some(at) = self.expected.iter().position(|it| it == expected) {
            self.expected.remove(at);
        }
    }

    async fn ask_place(&mut self) -> io::Result<()> {
        if self.behind.is_none() && !self.messages.is_empty() {
            self.behind = Some(self.messages.len());
            self.talk.send(&[b"ROLE"]).await?;
            self.expected.push_back(Expected::Place);
        }
        Ok(())
    }

    async fn take_reply(&mut self, reply: &[u8]) -> io::Result<()> {
        match self.expected.pop_front().ok_or_else(|| other("it answers what nobody asked"))? {
            Expected::Pong => {
                self.pinged_at = None;
                return Ok(());
            }
            Expected::Subscribed((kind, name)) => {
                self.asked.remove(kind, &name);
                let text = String::from_utf8_lossy(reply.strip_prefix(b"-").unwrap_or(reply));
                let text = text.trim_end().to_owned();
                self.upstream.subscriptions.refuse((kind, name), text);
                return Ok(());
            }
            // Messages of it that come are told to nobody.
            Expected::Unsubscribed(_) => return Ok(()),
            Expected::Place => {}
        }
        let Some(behind) = self.behind.take() else { return Ok(()) };
        let view = self.upstream.view();
        let at = match Stand::read(reply) {
            Some(Stand::Master(offset)) => position(&view, offset),
            Some(Stand::Replica { .. }) => return Err(other("it is the master no more")),
            // It must not be asked.
            None => position(&view, Offset::ZERO),
        };
        for (kind, channel, message) in self.messages.drain(..behind) {
            let found = self.server.pubsub.publish(kind, [&channel, &message], usize::MAX);
            if let (Ok(publication), Some(at)) = (found, at) {
                publication.deliver(at, clock::mono_now(), None);
            }
        }
        self.ask_place().await
    }
}

enum Next {
    News,
    Tick,
    Frame(Vec<u8>),
}

fn position(view: &UpstreamView, offset: Offset) -> Option<Position> {
    Some(Position { replid: view.history.as_ref()?.replid, offset })
}
