//! Serves a replica on the wire, from the moment at which its connection has asked for the stream.
//!
//! ```text
//!   beside the workers                                           at its worker
//!            the stream is kept from where it asks
//!   Asked ──────────────────────────────────────────────────────▶ Stream
//!     │                                                             ▲
//!     └──▶ Snapshot ──▶ File ──▶ (with a mark: first ACK) ──────────┘
//! ```
//!
//! A file is long work. The stream is not: its worker sends it when it has written, and hears
//! acknowledgements as it hears clients.

mod full_resync;
mod link_end;

use super::connection::Connection;
use super::placement::{Place, Threads};
use crate::base::limits::WIRE_CHUNK_BYTES;
use crate::base::position::ReplId;
use crate::base::time::MonoUs;
use crate::node::{Next, ReplicaSet, SnapshotReader};
use crate::replication::{Asked, FromReplica, ReplicaReader};
use crate::replication::{DisconnectReason, FollowerId, FollowerKind, FollowerState, PeerFault};
use crate::runtime::link::{Exchange, Link, WorkerLink};
use crate::runtime::stream::Socket;
use crate::runtime::{clock, tasks};
use crate::state::{Client, Message, Server};
use event_listener::Event;
use futures::future::{Either, select};
use link_end::LinkEnd;
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::task::Poll;
use std::time::Duration;

const READ_BYTES: usize = 4 << 10;
/// How often a link is looked after; more often where the gate wants to know more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_MIN: Duration = Duration::from_millis(1);
/// The same while it is sent its file: what is kept for that counts against its limit.
const LOOK_EVERY_OF_FILE: Duration = Duration::from_millis(100);

/// The replica in the log, for as long as somebody works for it.
struct Registered {
    set: Arc<ReplicaSet>,
    id: FollowerId,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.set.remove_follower(self.id);
    }
}

/// A replica on the wire, whoever exchanges bytes with it.
struct Replica {
    server: Arc<Server>,
    /// It as a client.
    client: Arc<Client>,
    name: String,
    asked: Asked,
    registered: Arc<Registered>,
    reader: Mutex<ReplicaReader>,
    /// Since when it has not taken what it is being sent, in µs; 0 while nothing is.
    sending_since: AtomicU64,
    /// The file that it is being sent.
    file: Mutex<Option<Arc<SnapshotReader>>>,
    /// All of the file has been sent, so that the next acknowledgement says that it is loaded.
    is_file_sent: AtomicBool,
    loaded: Event,
}

/// A replica and the link to it.
struct ReplicaLink<L> {
    // Dropped before the link: who sees that it has ended finds the replica on no list.
    replica: Replica,
    link: L,
}

impl<L> Deref for ReplicaLink<L> {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.replica
    }
}

/// Serves the replica until its link ends. `unread` is what it has sent behind what it asked for;
/// `home` is the worker that will send it the stream.
pub async fn serve_replica(
    connection: Connection,
    socket: Socket,
    asked: Asked,
    unread: Vec<u8>,
    (home, threads): (Place, Arc<Threads>),
) {
    let server = connection.caller.server.clone();
    let name = name_of(&connection, &asked);
    if asked.takes_over {
        let candidate = server.clone();
        let _ = tasks::apart(move || candidate.follow(None)).await;
        log::info!("event=took-over from={name}");
    }
    let link = match Link::of(socket) {
        Ok(link) => link,
        Err(error) => return log::warn!("event=watch-failed why={error}"),
    };
    connection.caller.client.flags.is_replica.store(true, Relaxed);
    let set = server.set.clone();
    let bytes_max = server.settings().server.output_limits.replica.hard_bytes;
    let kind = match connection.caller.client.peer.is_trusted {
        true => FollowerKind::Upgrade,
        false => FollowerKind::Wire,
    };
    let id = set.add_wire_follower(kind, name.clone(), bytes_max);
    let replica = Replica {
        server,
        client: connection.caller.client.clone(),
        name,
        asked,
        registered: Arc::new(Registered { set, id }),
        reader: Mutex::default(),
        sending_since: AtomicU64::new(0),
        file: Mutex::new(None),
        is_file_sent: AtomicBool::new(false),
        loaded: Event::new(),
    };
    let replica_link = ReplicaLink { replica, link };
    let opened = match replica_link.take(&unread) {
        Ok(()) => replica_link.while_watched(replica_link.open()).await,
        Err(fault) => Err(fault.into()),
    };
    match opened {
        Ok(Some(replid)) => {
            let ReplicaLink { replica, link } = replica_link;
            match link.into_socket() {
                Ok(socket) => {
                    threads.spawn(home, move || stream(replica, connection, socket, replid))
                }
                Err(error) => replica.ended(&error.into()),
            }
        }
        Ok(None) => replica_link.ended(&LinkEnd::Done),
        Err(why) => replica_link.ended(&why),
    }
}

/// Sends the stream until the link ends.
async fn stream(replica: Replica, connection: Connection, socket: Socket, replid: ReplId) {
    let link = match WorkerLink::of(socket) {
        Ok(link) => link,
        Err(error) => return replica.ended(&error.into()),
    };
    let replica_link = ReplicaLink { replica, link };
    let ended = replica_link.while_watched(replica_link.stream(replid)).await;
    replica_link.ended(&ended.err().unwrap_or(LinkEnd::Done));
    drop(replica_link);
    // Until now it was among the clients.
    drop(connection);
}

/// The address that others reach it at.
fn name_of(connection: &Connection, asked: &Asked) -> String {
    let peer = &connection.caller.client.peer.address;
    let host = asked.hello.host.as_deref();
    let host = host.unwrap_or_else(|| peer.rsplit_once(':').map_or(peer.as_str(), |it| it.0));
    format!("{host}:{}", asked.hello.port)
}

impl Replica {
    fn set(&self) -> &ReplicaSet {
        &self.registered.set
    }

    fn id(&self) -> FollowerId {
        self.registered.id
    }

    fn ended(&self, why: &LinkEnd) {
        if let LinkEnd::Peer(fault) = why {
            self.server.counters.peer_faults.fetch_add(1, Relaxed);
            self.set().disconnect_wire(self.id(), *fault);
        }
        log::warn!("event=replica-left replica={} why={why}", self.name);
    }

    /// Ready when somebody ends the client.
    async fn told_to_end(&self) -> LinkEnd {
        let mailbox = &self.client.mailbox;
        poll_fn(|context| {
            mailbox.wake(context.waker());
            while mailbox.has_messages() {
                let Ok(messages) = mailbox.take() else { return Poll::Ready(LinkEnd::Killed) };
                for message in messages {
                    match message {
                        Message::Killed => return Poll::Ready(LinkEnd::Killed),
                        // It is sent what there is, and then it ends.
                        Message::ServerClosing => self.set().tell_wire(),
                        // Nothing that it asked for as a client is still under way.
                        _ => {}
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Asks what the replica has, for a gate in milliseconds, and holds it to its limits: what
    /// waits for it of the stream, and what is kept until it has been sent its file.
    async fn look_after(&self) -> LinkEnd {
        let mut soft_since = None;
        loop {
            let settings = self.server.settings();
            let gate = settings.set.gate().map(|it| it.max_lag / 3);
            let kept = || self.file.lock().as_ref().map(|it| it.kept_bytes() as u64);
            let longest = if kept().is_some() { LOOK_EVERY_OF_FILE } else { LOOK_EVERY };
            let period = gate.unwrap_or(LOOK_EVERY).clamp(LOOK_EVERY_MIN, longest);
            tasks::sleep(period).await;
            let now = clock::mono_now();
            if self.is_silent(settings.set.repl_timeout, now) {
                return PeerFault::Silent.into();
            }
            if gate.is_some() && self.state().is_online() {
                self.set().ask_wire_every(period, now);
            }
            let state = self.state();
            if let FollowerState::Disconnected { why } = state {
                return LinkEnd::Disconnected(why);
            }
            // The limits may have been changed.
            let limit = self.server.settings().server.output_limits.replica;
            let kept = kept().unwrap_or(0);
            if limit.hard_bytes != 0 && limit.hard_bytes <= kept {
                return LinkEnd::Disconnected(DisconnectReason::FeedLimit);
            }
            self.set().bound_wire(self.id(), limit.hard_bytes.saturating_sub(kept));
            let waiting = kept + state.next().map_or(0, |it| self.set().head().since(it));
            if limit.soft_bytes == 0 || waiting < limit.soft_bytes {
                soft_since = None;
                continue;
            }
            if soft_since.get_or_insert(now).plus(limit.soft_for) <= now {
                return LinkEnd::Disconnected(DisconnectReason::FeedLimit);
            }
        }
    }

    /// Whether nothing has come from it for this long, or it has taken nothing.
    fn is_silent(&self, timeout: Duration, now: MonoUs) -> bool {
        let heard_at = self.client.active.load(Relaxed);
        let sending_since = self.sending_since.load(Relaxed);
        let is_over = |since: u64| MonoUs(since).plus(timeout) <= now;
        is_over(heard_at) || (sending_since != 0 && is_over(sending_since))
    }

    /// Acknowledgements have come.
    fn take(&self, bytes: &[u8]) -> Result<(), PeerFault> {
        self.client.active.store(clock::mono_now().0, Relaxed);
        self.reader.lock().take(bytes, |it| self.heard(it))
    }

    fn heard(&self, said: FromReplica) -> Result<(), PeerFault> {
        let FromReplica::Acked { applied, on_disk } = said else { return Ok(()) };
        let now = clock::mono_now();
        if self.is_file_sent.load(Acquire) {
            self.begin_stream(now);
        }
        if let Some(on_disk) = on_disk {
            self.set().synced_on_wire(self.id(), on_disk)?;
        }
        self.set().ack(self.id(), applied, now)
    }

    fn state(&self) -> FollowerState {
        self.set().follower_state(self.id())
    }

    /// The replica has loaded its file: the first time that is known, it comes online.
    fn begin_stream(&self, now: MonoUs) {
        if !matches!(self.state(), FollowerState::FullResync { .. }) {
            return;
        }
        self.set().online_wire(self.id(), now);
        self.loaded.notify(1);
        log::info!("event=replica-online replica={}", self.name);
    }
}

impl<L: Exchange> ReplicaLink<L> {
    /// Does `work`, and reads acknowledgements meanwhile, until somebody ends the link.
    async fn while_watched<T>(
        &self,
        work: impl Future<Output = Result<T, LinkEnd>>,
    ) -> Result<T, LinkEnd> {
        let (work, read) = (pin!(work), pin!(self.read()));
        let (told, look) = (pin!(self.told_to_end()), pin!(self.look_after()));
        match select(select(work, read), select(told, look)).await {
            Either::Left((Either::Left((done, _)), _)) => done,
            Either::Left((Either::Right((ended, _)), _)) => Err(ended),
            Either::Right((Either::Left((ended, _)) | Either::Right((ended, _)), _)) => Err(ended),
        }
    }

    async fn read(&self) -> LinkEnd {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            let taken = match self.link.read(&mut bytes).await {
                Ok(count) => {
                    self.server.counters.received_from_peer(count);
                    self.take(&bytes[..count]).map_err(LinkEnd::from)
                }
                Err(error) => Err(error.into()),
            };
            if let Err(ended) = taken {
                return ended;
            }
        }
    }

    async fn send(&self, bytes: &[u8]) -> Result<(), LinkEnd> {
        self.sending_since.store(clock::mono_now().0, Relaxed);
        self.link.send(bytes).await?;
        self.sending_since.store(0, Relaxed);
        self.server.counters.sent_to_peer(bytes.len());
        Ok(())
    }
}

impl ReplicaLink<WorkerLink> {
    /// A send at a time: clients of the same worker have their turns between, and what they write
    /// leaves together.
    async fn stream(&self, replid: ReplId) -> Result<(), LinkEnd> {
        loop {
            let news = self.set().wire_news();
            match self.set().next_for_wire(self.id(), replid, WIRE_CHUNK_BYTES) {
                Next::Bytes(bytes) => {
                    self.send(&bytes).await?;
                    tasks::give_way().await;
                }
                Next::Nothing if self.server.is_closing() => return Ok(()),
                Next::Nothing => news.await,
                Next::Renamed => return Err(LinkEnd::Renamed),
                Next::Disconnected(why) => return Err(LinkEnd::Disconnected(why)),
            }
        }
    }
}
