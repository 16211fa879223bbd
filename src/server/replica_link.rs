//! Serves a replica on the wire, from the moment at which its connection has asked for the stream.
//!
//! ```text
//!            the stream is kept from where it asks
//!   Asked ──────────────────────────────────────────────────────▶ Stream
//!     │                                                             ▲
//!     └──▶ Snapshot ──▶ File ──▶ (with a mark: first ACK) ──────────┘
//! ```

use super::connection::Connection;
use crate::base::limits::WIRE_CHUNK_BYTES;
use crate::base::position::{Position, ReplId};
use crate::base::time::MonoUs;
use crate::engine::rdb::{FileInfo, ReplicationInfo, SnapshotWriter};
use crate::node::{Next, Overtaken, ReplicaSet, SnapshotReader, new_replid};
use crate::replication::{Asked, FileContents, FromReplica, ReplicaReader, Started};
use crate::replication::{DisconnectReason, FollowerId, FollowerState, PeerFault};
use crate::runtime::link::Link;
use crate::runtime::stream::Socket;
use crate::runtime::{allocation, clock, tasks};
use crate::state::version::REDIS_VERSION;
use crate::state::{Client, Message, Server};
use event_listener::Event;
use futures::future::{Either, select};
use parking_lot::Mutex;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::Poll;
use std::time::Duration;

/// How often a replica that waits for its file hears that its master lives.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 4 << 10;
/// How often a link is looked after; more often where the gate wants to know more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_MIN: Duration = Duration::from_millis(1);
/// The same while it is sent its file: what is kept for that counts against its limit.
const LOOK_EVERY_OF_FILE: Duration = Duration::from_millis(100);
/// How often one that waits for others to have their files asks for its own.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Why a link ends.
enum LinkEnd {
    /// The socket.
    Io(io::Error),
    /// The replica broke the protocol.
    Peer(PeerFault),
    /// It is sent nothing any more.
    Disconnected(DisconnectReason),
    /// The member that its file is of has other data by now: it has to ask again.
    Overtaken,
    /// The history goes on under another name, which the replica learns when it asks again.
    Renamed,
    /// CLIENT KILL.
    Killed,
    /// It has what it asked for, or the proxy shuts down.
    Done,
}

impl From<io::Error> for LinkEnd {
    fn from(error: io::Error) -> LinkEnd {
        LinkEnd::Io(error)
    }
}

impl From<Overtaken> for LinkEnd {
    fn from(_: Overtaken) -> LinkEnd {
        LinkEnd::Overtaken
    }
}

impl From<PeerFault> for LinkEnd {
    fn from(fault: PeerFault) -> LinkEnd {
        LinkEnd::Peer(fault)
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("replica-closed")
            }
            LinkEnd::Io(error) => write!(f, "{error}"),
            LinkEnd::Peer(fault) => fault.fmt(f),
            LinkEnd::Disconnected(DisconnectReason::FeedLimit) => f.write_str("output-limit"),
            LinkEnd::Disconnected(why) => why.fmt(f),
            LinkEnd::Overtaken => f.write_str("data-replaced"),
            LinkEnd::Renamed => f.write_str("history-renamed"),
            LinkEnd::Killed => f.write_str("killed"),
            LinkEnd::Done => f.write_str("done"),
        }
    }
}

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

struct ReplicaLink {
    server: Arc<Server>,
    /// It as a client.
    client: Arc<Client>,
    name: String,
    asked: Asked,
    // Dropped before the link: who sees that it has ended finds the replica on no list.
    registered: Arc<Registered>,
    link: Link,
    /// The file that it is being sent.
    file: Mutex<Option<Arc<SnapshotReader>>>,
    /// All of the file has been sent, so that the next acknowledgement says that it is loaded.
    is_file_sent: AtomicBool,
    loaded: Event,
}

/// Serves the replica until its link ends. `unread` is what it has sent behind what it asked for.
pub async fn serve_replica(connection: Connection, socket: Socket, asked: Asked, unread: Vec<u8>) {
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
    let id = set.add_wire_follower(name.clone(), bytes_max);
    let replica_link = ReplicaLink {
        registered: Arc::new(Registered { set, id }),
        server,
        client: connection.caller.client.clone(),
        name,
        asked,
        link,
        file: Mutex::new(None),
        is_file_sent: AtomicBool::new(false),
        loaded: Event::new(),
    };
    let ended = replica_link.run(unread).await;
    if let LinkEnd::Peer(fault) = &ended {
        replica_link.server.counters.peer_faults.fetch_add(1, Relaxed);
        replica_link.set().disconnect_wire(id, *fault);
    }
    log::warn!("event=replica-left replica={} why={ended}", replica_link.name);
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

impl ReplicaLink {
    fn set(&self) -> &ReplicaSet {
        &self.registered.set
    }

    fn id(&self) -> FollowerId {
        self.registered.id
    }

    async fn run(&self, unread: Vec<u8>) -> LinkEnd {
        let (write, read) = (pin!(self.write()), pin!(self.read(unread)));
        let all = select(write, read);
        let (told, look) = (pin!(self.told_to_end()), pin!(self.look_after()));
        let watch = select(told, look);
        let ended = match select(all, watch).await {
            Either::Left((Either::Left((ended, _)) | Either::Right((ended, _)), _)) => ended,
            Either::Right((Either::Left((ended, _)) | Either::Right((ended, _)), _)) => {
                return ended;
            }
        };
        ended.err().unwrap_or(LinkEnd::Done)
    }

    /// Ready when somebody ends the client.
    async fn told_to_end(&self) -> LinkEnd {
        let mailbox = &self.client.mailbox;
        poll_fn(|context| {
            mailbox.wake_next(context.waker());
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

    /// Reads acknowledgements.
    async fn read(&self, unread: Vec<u8>) -> Result<(), LinkEnd> {
        let mut reader = ReplicaReader::default();
        reader.take(&unread, |it| self.heard(it))?;
        let mut bytes = vec![0; READ_BYTES];
        loop {
            let count = self.in_time(self.link.read(&mut bytes)).await?;
            self.client.active.store(clock::mono_now().0, Relaxed);
            reader.take(&bytes[..count], |it| self.heard(it))?;
        }
    }

    fn heard(&self, said: FromReplica) -> Result<(), PeerFault> {
        let FromReplica::Acked { applied, .. } = said else { return Ok(()) };
        let now = clock::mono_now();
        let is_loading = matches!(self.state(), FollowerState::FullResync { .. });
        if is_loading && self.is_file_sent.load(Acquire) {
            self.begin_stream(now);
        }
        self.set().ack(self.id(), applied, now)
    }

    fn state(&self) -> FollowerState {
        self.set().follower_state(self.id())
    }

    fn begin_stream(&self, now: MonoUs) {
        self.set().online_wire(self.id(), now);
        self.loaded.notify(1);
        log::info!("event=replica-online replica={}", self.name);
    }

    /// Sends what it asked for, and then the stream.
    async fn write(&self) -> Result<(), LinkEnd> {
        let resumed = self.asked.from.and_then(|it| self.set().resume_wire(self.id(), it));
        let replid = match resumed {
            Some(replid) => {
                self.resume(replid).await?;
                replid
            }
            None => {
                let wire = &self.set().wire;
                if self.asked.from.is_some() {
                    wire.partial_resyncs_refused.fetch_add(1, Relaxed);
                }
                wire.full_resyncs.fetch_add(1, Relaxed);
                let at = self.full_resync().await?;
                if self.asked.hello.wants_file_only {
                    return self.wait_for_end().await;
                }
                at.replid
            }
        };
        self.stream(replid).await
    }

    async fn resume(&self, replid: ReplId) -> Result<(), LinkEnd> {
        self.set().wire.partial_resyncs.fetch_add(1, Relaxed);
        self.send(self.asked.answer(Started::Resumed { replid }).as_bytes()).await?;
        self.set().heard_wire(self.id(), clock::mono_now());
        let at = self.asked.from.map(|it| it.offset).unwrap_or_default();
        log::info!("event=partial-resync replica={} offset={at}", self.name);
        Ok(())
    }

    async fn full_resync(&self) -> Result<Position, LinkEnd> {
        let began = clock::mono_now();
        let takes_mark = self.asked.hello.takes_mark && self.asked.is_named;
        let Read { file, counted } = self.while_alive(self.snapshot(takes_mark)).await?;
        let at = file.snapshot().at();
        self.send(self.asked.answer(Started::Full { at }).as_bytes()).await?;
        // As long as a replication id, and as random.
        let mark = new_replid().to_string();
        let bytes = match self.asked.hello.contents {
            FileContents::All => {
                *self.file.lock() = Some(file.clone());
                let len = match counted {
                    Some(counted) => Some(self.while_alive(length_of(counted)).await??),
                    None => None,
                };
                self.announce(&mark, len).await?;
                self.send_file(&file).await?
            }
            FileContents::NoKeys => {
                let bytes = self.without_keys(file_info(at, file.snapshot().stream_db()));
                let len = bytes.len() as u64;
                self.announce(&mark, (!takes_mark).then_some(len)).await?;
                self.send(&bytes).await?;
                len
            }
        };
        *self.file.lock() = None;
        drop(file);
        self.end_file(takes_mark.then_some(&mark)).await?;
        log::info!(
            "event=full-resync replica={} offset={} bytes={bytes} us={}",
            self.name,
            at.offset,
            clock::mono_now().since(began)
        );
        Ok(at)
    }

    /// Waits for a snapshot. One whose file has to be counted first is nobody else's.
    async fn snapshot(&self, takes_mark: bool) -> Read {
        let delay = self.server.settings().set.diskless_sync_delay;
        tasks::sleep(self.set().wire.gather(clock::mono_now(), delay)).await;
        loop {
            let registered = self.registered.clone();
            let taken = tasks::apart(move || {
                let Registered { set, id } = &*registered;
                if takes_mark {
                    let file = set.snapshot(*id, file_info)?;
                    return Some(Read { file: Arc::new(file), counted: None });
                }
                let [counted, file] = set.counted_snapshot(*id, file_info)?;
                Some(Read { file: Arc::new(file), counted: Some(counted) })
            });
            if let Some(read) = taken.await {
                return read;
            }
            tasks::sleep(ASK_EVERY).await;
        }
    }

    /// Lets the replica know that somebody is there until `work` is done.
    async fn while_alive<T>(&self, work: impl Future<Output = T>) -> Result<T, LinkEnd> {
        let alive = async {
            loop {
                tasks::sleep(ALIVE_EVERY).await;
                if let Err(ended) = self.send(b"\n").await {
                    return ended;
                }
            }
        };
        match select(pin!(work), pin!(alive)).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right((ended, _)) => Err(ended),
        }
    }

    /// A file without keys.
    fn without_keys(&self, info: FileInfo) -> Vec<u8> {
        let (mut file, mut bytes) = (SnapshotWriter::new(info), Vec::new());
        let engine = self.set().new_engine();
        while let Some(piece) = file.next_piece(&engine) {
            bytes.extend_from_slice(piece);
        }
        bytes
    }

    /// Says how long the file will be, or what stands behind it.
    async fn announce(&self, mark: &str, len: Option<u64>) -> Result<(), LinkEnd> {
        let announced = match len {
            Some(len) => format!("${len}\r\n"),
            None => format!("$EOF:{mark}\r\n"),
        };
        self.send(announced.as_bytes()).await
    }

    /// Sends the file. Answers how long it is.
    async fn send_file(&self, file: &SnapshotReader) -> Result<u64, LinkEnd> {
        let mut bytes = 0;
        while let Some(piece) = file.next().await? {
            bytes += piece.len() as u64;
            self.send(&piece).await?;
            tasks::give_way().await;
        }
        Ok(bytes)
    }

    /// The file is sent: with a mark, the replica says when it has loaded it.
    async fn end_file(&self, mark: Option<&String>) -> Result<(), LinkEnd> {
        let has_stream = !self.asked.hello.wants_file_only;
        if let Some(mark) = mark {
            let loaded = self.loaded.listen();
            self.is_file_sent.store(true, Release);
            self.send(mark.as_bytes()).await?;
            if has_stream {
                loaded.await;
            }
        } else if has_stream {
            self.begin_stream(clock::mono_now());
        }
        Ok(())
    }

    async fn stream(&self, replid: ReplId) -> Result<(), LinkEnd> {
        loop {
            let news = self.set().wire_news();
            match self.set().next_for_wire(self.id(), replid, WIRE_CHUNK_BYTES) {
                Next::Bytes(bytes) => self.send(&bytes).await?,
                Next::Nothing if self.server.is_closing() => return Ok(()),
                Next::Nothing => news.await,
                Next::Renamed => return Err(LinkEnd::Renamed),
                Next::Disconnected(why) => return Err(LinkEnd::Disconnected(why)),
            }
        }
    }

    /// It has what it wanted, and closes when it likes.
    async fn wait_for_end(&self) -> Result<(), LinkEnd> {
        let closing = self.server.closing();
        if !self.server.is_closing() {
            closing.await;
        }
        Ok(())
    }

    async fn send(&self, bytes: &[u8]) -> Result<(), LinkEnd> {
        let sent = self.in_time(self.link.send(bytes)).await;
        if sent.is_ok() {
            let worker = tasks::worker();
            self.server.counters.bytes_out.add(worker, bytes.len() as u64);
        }
        sent
    }

    /// What takes longer than `repl-timeout` ends the link.
    async fn in_time<T>(&self, io: impl Future<Output = io::Result<T>>) -> Result<T, LinkEnd> {
        let timeout = self.server.settings().set.repl_timeout;
        match tasks::within(timeout, io).await {
            Some(done) => Ok(done?),
            None => Err(PeerFault::Silent.into()),
        }
    }
}

/// A file to send, and the same to count if it is to be announced by its length.
struct Read {
    file: Arc<SnapshotReader>,
    counted: Option<SnapshotReader>,
}

fn file_info(at: Position, stream_db: Option<usize>) -> FileInfo {
    FileInfo {
        redis_version: REDIS_VERSION,
        made_s: clock::wall_now().0 / 1000,
        used_bytes: allocation::allocated_bytes(),
        replication: Some(ReplicationInfo {
            stream_db,
            id: at.replid.to_string(),
            offset: at.offset.bytes(),
        }),
        is_aof_base: false,
    }
}

/// How long a file is: it is made once for that alone, and nothing of it is kept.
async fn length_of(file: SnapshotReader) -> Result<u64, Overtaken> {
    let mut bytes = 0;
    while let Some(piece) = file.next().await? {
        bytes += piece.len() as u64;
        tasks::give_way().await;
    }
    Ok(bytes)
}
