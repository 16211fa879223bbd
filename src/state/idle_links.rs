//! Connections to the master that belonged to one client each, cleaned and kept for the next.

use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::resp::Protocol;
use crate::runtime::link::Link;
use parking_lot::Mutex;

/// Most that are kept.
const KEPT_MAX: usize = 32;
/// For how long one is kept that nobody takes: less than servers keep those that say nothing.
const KEPT_US: u64 = 30_000_000;

/// A connection that is as it was when it began, but for who is logged in and its protocol.
pub struct IdleLink {
    /// The connection. Nothing has come over it that was not read.
    pub link: Link,
    /// What it is answered in.
    pub protocol: Protocol,
    /// Whose it is.
    pub address: RemoteAddress,
    /// Since when nobody uses it.
    pub since: MonoUs,
}

/// Those that are kept.
#[derive(Default)]
pub struct IdleLinks {
    all: Mutex<Vec<IdleLink>>,
}

impl IdleLinks {
    /// One more, if there is room.
    pub fn put(&self, link: IdleLink, now: MonoUs) {
        let mut all = self.all.lock();
        all.retain(|it| now.since(it.since) < KEPT_US);
        if all.len() < KEPT_MAX {
            all.push(link);
        }
    }

    /// The one that was put last of those to this server.
    pub fn take(
        &self,
        address: &RemoteAddress,
        protocol: Protocol,
        now: MonoUs,
    ) -> Option<IdleLink> {
        let mut all = self.all.lock();
        all.retain(|it| now.since(it.since) < KEPT_US);
        let fits = |it: &IdleLink| it.protocol == protocol && it.address == *address;
        let at = all.iter().rposition(fits)?;
        Some(all.remove(at))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
