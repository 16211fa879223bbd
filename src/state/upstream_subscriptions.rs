//! What clients subscribe to at real servers: one connection subscribes for all of them.

use super::clients::Client;
use super::mailbox::Message;
use crate::base::ids::BlockId;
use crate::session::SubscriptionKind;
use bytes::Bytes;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A name of a kind.
pub type SubscribedName = (SubscriptionKind, Bytes);

/// Names by kind.
#[derive(Clone, Debug, Default)]
pub struct SubscribedNames([BTreeSet<Bytes>; 3]);

impl SubscribedNames {
    /// Those of this kind.
    pub fn of(&self, kind: SubscriptionKind) -> &BTreeSet<Bytes> {
        &self.0[kind as usize]
    }

    /// One more. Answers whether it is new.
    pub fn add(&mut self, kind: SubscriptionKind, name: Bytes) -> bool {
        self.0[kind as usize].insert(name)
    }

    /// One less.
    pub fn remove(&mut self, kind: SubscriptionKind, name: &[u8]) {
        self.0[kind as usize].remove(name);
    }
}

/// Who waits for names to be subscribed to.
struct Want {
    names: Vec<SubscribedName>,
    client: Arc<Client>,
    block: BlockId,
}

/// What is subscribed to, and who waits for more.
#[derive(Default)]
pub struct UpstreamSubscriptions {
    inner: Mutex<Inner>,
    news: Event,
}

#[derive(Default)]
struct Inner {
    covered: SubscribedNames,
    wants: Vec<Want>,
}

impl UpstreamSubscriptions {
    /// Whether all of these are subscribed to.
    pub fn covers<'n>(
        &self,
        kind: SubscriptionKind,
        mut names: impl Iterator<Item = &'n [u8]>,
    ) -> bool {
        let inner = self.inner.lock();
        let covered = inner.covered.of(kind);
        names.all(|it| covered.contains(it))
    }

    /// This wait of the client ends once all of these are subscribed to.
    pub fn want(&self, names: Vec<SubscribedName>, client: Arc<Client>, block: BlockId) {
        let mut inner = self.inner.lock();
        // Whoever has gone waits for nothing.
        inner.wants.retain(|it| !it.client.mailbox.is_closed());
        inner.wants.push(Want { names, client, block });
        drop(inner);
        self.news.notify(usize::MAX);
    }

    /// What is waited for.
    pub fn wanted(&self) -> Vec<SubscribedName> {
        let inner = self.inner.lock();
        let wants = inner.wants.iter().filter(|it| !it.client.mailbox.is_closed());
        wants.flat_map(|it| it.names.iter().cloned()).collect()
    }

    /// These are subscribed to now: who waited for no more than these goes on.
    pub fn cover(&self, covered: &SubscribedNames) {
        let mut inner = self.inner.lock();
        inner.covered = covered.clone();
        let is_there = |it: &Want| it.names.iter().all(|it| covered.of(it.0).contains(&it.1));
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.wants).into_iter().partition(is_there);
        inner.wants = waiting;
        drop(inner);
        ready.into_iter().for_each(|it| it.client.mailbox.post(Message::Woken(it.block)));
    }

    /// Hears of the next who waits.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }
}
