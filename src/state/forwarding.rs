//! Requests on their way to the remote master, and what becomes of them.

use super::idle_links::IdleLinks;
use super::mailbox::{JobReply, UnblockAs};
use crate::base::remote_address::RemoteAddress;
use crate::node::{Awaited, FoundMaster};
use crate::resp::Protocol;
use crate::runtime::link::Link;
use event_listener::{Event, EventListener};
use futures::channel::oneshot::{Receiver, Sender, channel};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// Most bytes of requests that wait to be sent over one connection.
const QUEUED_BYTES_MAX: usize = 64 << 20;
/// Most runs of requests that wait to be sent over one connection.
const QUEUED_MAX: usize = 16 << 10;

/// Requests of one client, in their order, that are sent to the master together.
#[derive(Debug)]
pub struct Forwarded {
    /// The worker that serves the client.
    pub worker: usize,
    /// The database they are for.
    pub db: usize,
    /// They say SELECT themselves, and nobody knows whether the master has done that.
    pub selects: bool,
    /// What they are answered in.
    pub protocol: Protocol,
    /// The encoded requests.
    pub bytes: Vec<u8>,
    /// The replies, in their order.
    pub replies: VecDeque<Awaited>,
    /// They are one script that is named by its SHA-1, and this is its text, for a master that does
    /// not know it.
    pub script: Option<Arc<[u8]>>,
    /// Its place among the connections that belong to one client each, if it has one already.
    pub place: Option<PrivatePlace>,
    /// CLIENT UNBLOCK comes here, for a call that waits for keys.
    pub unblocked: Option<Receiver<UnblockAs>>,
}

impl Forwarded {
    /// No request yet.
    pub fn new(db: usize, protocol: Protocol) -> Forwarded {
        Forwarded {
            worker: 0,
            db,
            selects: false,
            protocol,
            bytes: Vec::new(),
            replies: VecDeque::new(),
            script: None,
            place: None,
            unblocked: None,
        }
    }

    /// How many replies the master sends.
    pub fn replies_of_master(&self) -> usize {
        self.replies.iter().map(Awaited::count).sum()
    }
}

/// Requests that wait to be sent, and who waits for their replies.
pub struct Queued {
    /// The requests.
    pub forwarded: Forwarded,
    /// Who waits.
    pub answer: Sender<JobReply>,
}

/// A shared connection to the master: one task sends what many clients have to send.
#[derive(Default)]
pub struct Lane {
    queue: Mutex<Queue>,
    news: Event,
    has_task: AtomicBool,
}

#[derive(Default)]
struct Queue {
    all: VecDeque<Queued>,
    bytes: usize,
}

impl Lane {
    /// Has requests sent. Answers where their replies come; `Err` with them when too many wait.
    pub fn send(&self, forwarded: Forwarded) -> Result<Receiver<JobReply>, Forwarded> {
        let (answer, answered) = channel();
        let mut queue = self.queue.lock();
        let bytes = queue.bytes + forwarded.bytes.len();
        if QUEUED_MAX <= queue.all.len() || (QUEUED_BYTES_MAX < bytes && queue.bytes != 0) {
            return Err(forwarded);
        }
        queue.bytes = bytes;
        queue.all.push_back(Queued { forwarded, answer });
        drop(queue);
        self.news.notify(usize::MAX);
        Ok(answered)
    }

    /// All that waits to be sent.
    pub fn take(&self) -> VecDeque<Queued> {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        std::mem::take(&mut queue.all)
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.queue.lock().all.is_empty()
    }

    /// Hears of more; look at [`Lane::is_empty`] after asking for it.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }

    /// Answers whether nobody serves it yet: who hears so does from here on.
    pub fn wants_task(&self) -> bool {
        !self.has_task.swap(true, AcqRel)
    }
}

/// A connection to the master of one client alone: it watches keys, or waits for some.
pub struct Lease {
    /// The connection. Nothing has come over it that was not read.
    pub link: Link,
    /// The master that the set followed when it was made: what was watched there means nothing once
    /// that is another.
    pub of: RemoteAddress,
    /// The database it has selected.
    pub db: usize,
    /// What it is answered in.
    pub protocol: Protocol,
    /// Whom it has found there.
    pub master: FoundMaster,
    /// Its place among connections of this kind, where these are bounded.
    pub place: Option<PrivatePlace>,
}

/// Connections to real servers that belong to one client each, at most.
pub const PRIVATE_MAX: usize = 1000;

/// A place among the connections that belong to one client each.
#[derive(Debug)]
pub struct PrivatePlace(Arc<AtomicUsize>);

impl Drop for PrivatePlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

/// All connections to the master.
pub struct Forwarding {
    lanes: [Vec<Arc<Lane>>; 2],
    leases: Mutex<HashMap<u64, Lease>>,
    leased: AtomicUsize,
    private: Arc<AtomicUsize>,
    /// Connections of one client each that nobody needs now.
    pub idle: IdleLinks,
}

impl Forwarding {
    /// A shared connection for each of `workers` and either protocol, none of them connected yet.
    pub fn new(workers: usize) -> Forwarding {
        let lanes = || (0..workers.max(1)).map(|_| Arc::default()).collect();
        Forwarding {
            lanes: [lanes(), lanes()],
            leases: Mutex::default(),
            leased: AtomicUsize::new(0),
            private: Arc::default(),
            idle: IdleLinks::default(),
        }
    }

    /// A place among the connections that belong to one client each; `None` when there are `most`.
    pub fn enter_private(&self, most: usize) -> Option<PrivatePlace> {
        let place = PrivatePlace(self.private.clone());
        if self.private.fetch_add(1, AcqRel) < most { Some(place) } else { None }
    }

    /// How many have such a place.
    pub fn private(&self) -> usize {
        self.private.load(Acquire)
    }

    /// The shared connection of this worker's clients.
    pub fn lane(&self, worker: usize, protocol: Protocol) -> &Arc<Lane> {
        let lanes = &self.lanes[usize::from(protocol == Protocol::Resp3)];
        &lanes[worker % lanes.len()]
    }

    /// The connection of this client alone, if it has one.
    pub fn take_lease(&self, client: u64) -> Option<Lease> {
        if self.leased.load(Acquire) == 0 {
            return None;
        }
        let lease = self.leases.lock().remove(&client)?;
        self.leased.fetch_sub(1, AcqRel);
        Some(lease)
    }

    /// The client keeps this connection.
    pub fn put_lease(&self, client: u64, lease: Lease) {
        if self.leases.lock().insert(client, lease).is_none() {
            self.leased.fetch_add(1, AcqRel);
        }
    }

    /// Nobody keeps a connection: what was watched there has ended.
    pub fn drop_leases(&self) {
        let mut leases = self.leases.lock();
        self.leased.fetch_sub(leases.len(), AcqRel);
        leases.clear();
    }

    /// How many clients have a connection of their own.
    pub fn leased(&self) -> usize {
        self.leased.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Forwarded {
        Forwarded { bytes: vec![0; bytes], ..Forwarded::new(0, Protocol::Resp2) }
    }

    #[test]
    fn connections_of_one_client_each_are_bounded() {
        let forwarding = Forwarding::new(1);
        let places: Vec<_> = (0..2).map(|_| forwarding.enter_private(2)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(forwarding.enter_private(2).is_none());
        assert_eq!(forwarding.private(), 2);
        drop(places);
        assert_eq!(forwarding.private(), 0);
        assert!(forwarding.enter_private(2).is_some());
    }

    #[test]
    fn a_lane_is_bounded_but_for_one_long_request() {
        let lane = Lane::default();
        assert!(lane.send(of(QUEUED_BYTES_MAX + 1)).is_ok());
        assert!(lane.send(of(1)).is_err());
        assert_eq!(lane.take().len(), 1);
        for _ in 0..QUEUED_MAX {
            assert!(lane.send(of(1)).is_ok());
        }
        assert!(lane.send(of(1)).is_err());
    }
}
