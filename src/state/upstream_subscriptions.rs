//! What clients subscribe to at real servers: one connection subscribes for all of them.

use super::clients::Client;
use super::mailbox::Message;
use crate::base::ids::BlockId;
use crate::session::SubscriptionKind;
use bytes::Bytes;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
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
    /// How many of them are not subscribed to yet.
    left: usize,
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
    wants: HashMap<u64, Want>,
    /// Who of them waits for a name.
    by_name: HashMap<SubscribedName, Vec<u64>>,
    last: u64,
    /// What the master has answered to names that it refuses, lately.
    refused: HashMap<SubscribedName, String>,
    /// Names that nobody waited for when it was looked last.
    new: Vec<SubscribedName>,
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

    /// What the master has answered if it has just refused one of these.
    pub fn refusal<'n>(
        &self,
        kind: SubscriptionKind,
        mut names: impl Iterator<Item = &'n [u8]>,
    ) -> Option<String> {
        let inner = self.inner.lock();
        if inner.refused.is_empty() {
            return None;
        }
        names.find_map(|it| inner.refused.get(&(kind, Bytes::copy_from_slice(it))).cloned())
    }

    /// The master refuses to subscribe to this: who waits for it is told so.
    pub fn refuse(&self, name: SubscribedName, text: String) {
        let mut inner = self.inner.lock();
        for id in inner.by_name.remove(&name).unwrap_or_default() {
            if let Some(want) = inner.wants.remove(&id) {
                want.wake();
            }
        }
        inner.refused.insert(name, text);
    }

    /// This wait of the client ends once all of these are subscribed to.
    pub fn want(&self, mut names: Vec<SubscribedName>, client: Arc<Client>, block: BlockId) {
        names.sort();
        names.dedup();
        let mut inner = self.inner.lock();
        inner.last += 1;
        let id = inner.last;
        if let Some(ready) = inner.wait(id, Want { names, left: 0, client, block }) {
            ready.wake();
        }
        drop(inner);
        self.news.notify(usize::MAX);
    }

    /// Those that somebody has begun to wait for since they were taken last.
    pub fn take_new(&self) -> Vec<SubscribedName> {
        std::mem::take(&mut self.inner.lock().new)
    }

    /// What is waited for.
    pub fn wanted(&self) -> Vec<SubscribedName> {
        self.inner.lock().by_name.keys().cloned().collect()
    }

    /// Whoever has gone waits for nothing.
    pub fn forget_gone(&self) {
        let mut inner = self.inner.lock();
        // It may be asked again.
        inner.refused.clear();
        let Inner { wants, by_name, .. } = &mut *inner;
        let before = wants.len();
        wants.retain(|_, it| !it.client.mailbox.is_closed());
        if wants.len() != before {
            by_name.retain(|_, ids| {
                ids.retain(|it| wants.contains_key(it));
                !ids.is_empty()
            });
        }
    }

    /// This is subscribed to now: who waited for nothing else goes on.
    pub fn cover(&self, name: SubscribedName) {
        let mut inner = self.inner.lock();
        let waiting = inner.by_name.remove(&name).unwrap_or_default();
        inner.covered.add(name.0, name.1);
        for id in waiting {
            let Some(want) = inner.wants.get_mut(&id) else { continue };
            want.left -= 1;
            if want.left == 0
                && let Some(ready) = inner.wants.remove(&id)
            {
                ready.wake();
            }
        }
    }

    /// This will not be subscribed to any more.
    pub fn uncover(&self, kind: SubscriptionKind, name: &[u8]) {
        self.inner.lock().covered.remove(kind, name);
    }

    /// Nothing is subscribed to any more: who waits waits for all of its names again.
    pub fn uncover_all(&self) {
        let mut inner = self.inner.lock();
        inner.covered = SubscribedNames::default();
        inner.by_name.clear();
        inner.new.clear();
        for (id, want) in std::mem::take(&mut inner.wants) {
            inner.wait(id, want);
        }
    }

    /// Hears of the next who waits.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }
}

impl Inner {
    /// Waits for what of its names is not subscribed to. Answers it if that is nothing.
    fn wait(&mut self, id: u64, mut want: Want) -> Option<Want> {
        let Inner { covered, by_name, new, .. } = self;
        let missing = want.names.iter().filter(|it| !covered.of(it.0).contains(&it.1));
        want.left = 0;
        for name in missing {
            want.left += 1;
            let waiting = by_name.entry(name.clone()).or_default();
            if waiting.is_empty() {
                new.push(name.clone());
            }
            waiting.push(id);
        }
        if want.left == 0 {
            return Some(want);
        }
        self.wants.insert(id, want);
        None
    }
}

impl Want {
    fn wake(self) {
        self.client.mailbox.post(Message::Woken(self.block));
    }
}
