//! The task that keeps the link to a remote master: it carries bytes, time and work between the
//! socket, the link's state machine and the set, and connects anew when the link has ended.

use super::master_connection::{MasterConnection, connect_to_master};
use crate::base::position::Position;
use crate::base::random::Random;
use crate::base::time::MonoUs;
use crate::engine::rdb::{LoadedFile, Loader, Transfer};
use crate::node::{LinkPhase, RemoteMaster, Repeat, RepeatEnd, is_message};
use crate::pubsub::Publication;
use crate::replication::{
    Answer, LinkFault, Login, MasterInfo, ReplicaConfig, ReplicaLink, StreamBatch, StreamReader,
};
use crate::resp::{AuthState, Decoder, Limits, Protocol, Step};
use crate::runtime::link::{Exchange, Link};
use crate::runtime::{clock, tasks};
use crate::session::SubscriptionKind;
use crate::state::Server;
use futures::future::{Either, select};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Bytes read at a time: a snapshot comes fast.
const READ_BYTES: usize = 256 << 10;
/// Commands that are taken from the stream at a time.
const COMMANDS_MAX: usize = 512;
/// The first wait before a link is tried again, and the longest. Each is up to half shorter, so
/// that the replicas of a master that comes back do not all come at once.
const WAIT_MS_MIN: u64 = 50;
const WAIT_MS_MAX: u64 = 1000;
/// How long to let others go on who are in the way.
const REST: Duration = Duration::from_millis(1);

/// Follows whatever master the set is given, until the process ends.
pub async fn follow(server: Arc<Server>) {
    let mut random = Random::new(clock::entropy());
    loop {
        let changed = server.set.remote_changes();
        let Some(remote) = server.set.remote() else {
            changed.await;
            continue;
        };
        // Whatever is at work for a master that is no longer followed ends here.
        let _ = select(pin!(keep_linked(&server, &remote, &mut random)), changed).await;
    }
}

/// Connects again and again.
async fn keep_linked(server: &Arc<Server>, remote: &Arc<RemoteMaster>, random: &mut Random) {
    let mut wait_ms = WAIT_MS_MIN;
    let mut follower = Follower {
        server: server.clone(),
        remote: remote.clone(),
        resumes: true,
        says_version: false,
    };
    loop {
        let fault = match follower.link().await {
            Ok(never) => match never {},
            Err(fault) => fault,
        };
        let was_connected = remote.is_connected();
        follower.note(&fault, wait_ms);
        if was_connected {
            wait_ms = WAIT_MS_MIN;
        }
        let ms = wait_ms / 2 + random.below(wait_ms / 2 + 1);
        wait_ms = (wait_ms * 2).min(WAIT_MS_MAX);
        tasks::sleep(Duration::from_millis(ms)).await;
    }
}

/// Nothing has this type: a link only ends with a fault.
enum Never {}

/// One master being followed.
struct Follower {
    server: Arc<Server>,
    remote: Arc<RemoteMaster>,
    /// Whether the data here is what the stream has made of it, so that it may go on.
    resumes: bool,
    /// The last snapshot was broken off by the master: it may hold what only a Valkey's file does,
    /// which is made for those alone who say that they read it.
    says_version: bool,
}

/// A connected link.
struct Connected {
    server: Arc<Server>,
    socket: Link,
    link: ReplicaLink,
    buffer: Vec<u8>,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken(match error.kind() {
            io::ErrorKind::UnexpectedEof => LinkFault::Closed,
            _ => LinkFault::Broken(error.to_string()),
        })
    }
}

/// A fault of the socket.
struct Broken(LinkFault);

impl From<Broken> for LinkFault {
    fn from(broken: Broken) -> LinkFault {
        broken.0
    }
}

impl Connected {
    /// Sends what is to be sent, and waits for the next bytes: so many are in the buffer then.
    async fn next(&mut self) -> Result<usize, LinkFault> {
        loop {
            self.send().await?;
            let now = clock::mono_now();
            let left = Duration::from_micros(self.link.poll_deadline().since(now));
            let read = tasks::within(left, self.socket.read(&mut self.buffer)).await;
            let now = clock::mono_now();
            match read {
                Some(read) => {
                    let count = read.map_err(Broken::from)?;
                    self.server.counters.received_from_peer(count);
                    self.link.heard(now);
                    self.handle_time(now)?;
                    return Ok(count);
                }
                None => self.handle_time(now)?,
            }
        }
    }

    fn handle_time(&mut self, now: MonoUs) -> Result<(), LinkFault> {
        let set = &self.server.set;
        self.link.synced(set.expects_file().then(|| set.durable()));
        self.link.handle_time(now)
    }

    async fn send(&mut self) -> Result<(), LinkFault> {
        let output = self.link.take_output();
        if !output.is_empty() {
            self.socket.send(&output).await.map_err(Broken::from)?;
        }
        Ok(())
    }
}

/// Looks whether the master follows another, and says so.
async fn note_chain(server: Arc<Server>) {
    // Who does not answer is asked when the link is up the next time.
    let _ = MasterConnection::open(&server, Protocol::Resp2).await;
}

impl Follower {
    fn enter(&self, phase: LinkPhase) {
        self.server.set.enter_link_phase(&self.remote, phase, clock::mono_now());
    }

    /// Says what has ended the link.
    fn note(&mut self, fault: &LinkFault, wait_ms: u64) {
        let (name, address) = (fault.name(), &self.remote.address);
        // A verb that panicked may have done a part of its work.
        self.resumes &= !matches!(fault, LinkFault::Panicked(_));
        self.remote.note_fault(name, fault.to_string());
        self.server.counters.link_fault(name);
        self.enter(LinkPhase::Waiting);
        if let Some(count) = self.server.log_limits.link_fault.note(clock::mono_now()) {
            log::warn!(
                "event=link-down master={address} fault={name} why={:?} next-ms={wait_ms} \
                 count={count}",
                fault.to_string()
            );
        }
    }

    /// What this replica says of itself.
    fn config(&self) -> ReplicaConfig {
        let settings = self.server.settings();
        let follow = &settings.set.follow;
        let login = follow.login().map(|(user, password)| Login {
            user: user.map(str::to_owned),
            password: password.to_owned(),
        });
        // Whoever upgrades us, or is upgraded, needs no password, and reaches us at a path.
        let is_upgrade = self.remote.address.is_path();
        let login = login.filter(|_| !is_upgrade);
        let port = match follow.announce_port {
            _ if is_upgrade => 0,
            0 => self.server.announced_port(),
            port => port as u16,
        };
        let ip = match is_upgrade {
            true => self.server.upgrade.path(),
            false => follow.announce_ip.clone(),
        };
        let ip = (!ip.is_empty()).then_some(ip);
        ReplicaConfig {
            login,
            port,
            ip,
            timeout: settings.set.repl_timeout,
            asks_to_take_over: self.remote.asks_to_take_over(),
            says_version: self.says_version,
        }
    }

    /// Connects, and follows the stream for as long as there is one.
    async fn link(&mut self) -> Result<Never, LinkFault> {
        self.enter(LinkPhase::Connecting);
        let config = self.config();
        let address = &self.remote.address;
        let socket = tasks::within(config.timeout, connect_to_master(&self.server, address));
        let socket = socket.await.ok_or(LinkFault::Silent)?;
        let socket = socket.map_err(Broken::from)?;
        self.enter(LinkPhase::Handshake);
        let (has, db) = self.server.set.resume_from();
        let has = has.filter(|_| self.resumes);
        let link = ReplicaLink::new(config, has, clock::mono_now());
        let (server, buffer) = (self.server.clone(), vec![0; READ_BYTES]);
        let mut connected = Connected { server, socket, link, buffer };
        let (answer, behind) = self.shake_hands(&mut connected).await?;
        let (mut reader, first) = match answer {
            Answer::Continue(new) => {
                if let Some(replid) = new {
                    let told = MasterConnection::info_once(&self.server).await;
                    let past = MasterInfo::past_of(told.as_ref(), replid)?;
                    let renamed = self.server.set.rename_stream(&self.remote, replid, &past);
                    renamed.map_err(|_| LinkFault::NotFollowed)?;
                } else {
                    // Otherwise it has been asked for its past, and tells this, too.
                    tasks::spawn(note_chain(self.server.clone()));
                }
                log::info!(
                    "event=partial-resync master={} position={}",
                    self.remote.address,
                    self.at()
                );
                (StreamReader::new(db), behind)
            }
            Answer::FullResync(at) => {
                let loaded = self.load(&mut connected, at, behind).await;
                self.says_version |= matches!(loaded, Err(LinkFault::Closed));
                loaded?
            }
        };
        self.resumes = true;
        self.enter(LinkPhase::Connected);
        reader.push(&first);
        loop {
            self.repeat(&mut connected, &mut reader).await?;
            let count = connected.next().await?;
            self.remote.heard(clock::mono_now());
            reader.push(&connected.buffer[..count]);
        }
    }

    fn at(&self) -> Position {
        self.server.set.position()
    }

    /// The handshake, up to the answer to PSYNC and the bytes that have come behind it.
    async fn shake_hands(&self, connected: &mut Connected) -> Result<(Answer, Vec<u8>), LinkFault> {
        loop {
            let count = connected.next().await?;
            let now = clock::mono_now();
            self.remote.heard(now);
            let bytes = &connected.buffer[..count];
            let (taken, answer) = connected.link.handle_bytes(bytes, now)?;
            if let Some(answer) = answer {
                return Ok((answer, bytes[taken..].to_vec()));
            }
        }
    }

    /// Loads a snapshot beside the data, and puts it in its place. Answers the stream behind it,
    /// and what has come of that.
    async fn load(
        &self,
        connected: &mut Connected,
        at: Position,
        behind: Vec<u8>,
    ) -> Result<(StreamReader, Vec<u8>), LinkFault> {
        self.enter(LinkPhase::Sync);
        let began = clock::mono_now();
        log::info!("event=full-resync-begins master={} position={at}", self.remote.address);
        let loader = Loader::new(self.server.set.new_engine(), clock::wall_now());
        let mut loading = Loading { loader, transfer: Transfer::default(), taken: 0 };
        let mut bytes = behind;
        loop {
            // One piece is loaded while the next comes.
            let piece = std::mem::take(&mut bytes);
            let load = tasks::apart(move || loading.take(piece));
            let (loaded, next) = match select(pin!(load), pin!(connected.next())).await {
                Either::Left((loaded, _)) => (loaded, None),
                Either::Right((next, load)) => (load.await, Some(next)),
            };
            let (after, left) = loaded?;
            loading = after;
            self.remote.has_loaded(loading.taken, loading.total());
            if let Some(mut left) = left {
                if let Some(count) = next.transpose()? {
                    left.extend_from_slice(&connected.buffer[..count]);
                }
                let told = MasterConnection::info_once(&self.server).await;
                self.tell_dropped(told.as_ref());
                let past = MasterInfo::past_of(told.as_ref(), at.replid)?;
                let db = self.put_in_place(loading.loader, at, past).await?;
                connected.link.loaded(at.offset, clock::mono_now());
                let us = clock::mono_now().since(began);
                log::info!("event=full-resync-ends master={} us={us}", self.remote.address);
                return Ok((StreamReader::new(db), left));
            }
            let count = match next {
                Some(next) => next?,
                None => connected.next().await?,
            };
            self.remote.heard(clock::mono_now());
            bytes = connected.buffer[..count].to_vec();
        }
    }

    /// Says what is lost of a history of its own.
    fn tell_dropped(&self, told: Option<&MasterInfo>) {
        let (Some(before), _) = self.server.set.resume_from() else { return };
        let dropped = told.and_then(|it| it.lacks(before));
        self.server.counters.dropped_history_bytes.fetch_add(dropped.unwrap_or(0), Relaxed);
        let address = &self.remote.address;
        let (bytes, why) = match dropped {
            Some(0) => return,
            Some(bytes) => (bytes.to_string(), "nobody-had-taken-them-over"),
            None => ("all".to_owned(), "the-master-does-not-know-them"),
        };
        log::warn!(
            "event=history-dropped master={address} position={before} bytes={bytes} why={why}"
        );
    }

    /// Answers the database that the stream has selected.
    async fn put_in_place(
        &self,
        loader: Loader,
        at: Position,
        past: Vec<Position>,
    ) -> Result<usize, LinkFault> {
        let LoadedFile { engine, aux, keys, expired, .. } =
            loader.finish().map_err(|it| LinkFault::Snapshot(it.to_string()))?;
        let text = aux.iter().find(|it| it.0 == b"repl-stream-db").map(|it| it.1.as_slice());
        let db = text.and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
        let db = db.filter(|it| *it < crate::base::limits::DATABASES).unwrap_or(0);
        let (server, remote) = (self.server.clone(), self.remote.clone());
        let put = tasks::apart(move || server.set.replace_data(&remote, engine, at, db, &past));
        put.await.map_err(|_| LinkFault::NotFollowed)?;
        self.server.persistence.status().load_ended((keys, expired));
        Ok(db)
    }

    /// Does all whole writes that have come.
    async fn repeat(
        &self,
        connected: &mut Connected,
        reader: &mut StreamReader,
    ) -> Result<(), LinkFault> {
        let mut batch = StreamBatch::default();
        loop {
            let taken = reader.take(COMMANDS_MAX, &mut batch);
            if batch.writes.is_empty() {
                return taken;
            }
            self.repeat_batch(reader, &mut batch).await?;
            connected.link.applied(self.server.set.head());
            taken?;
            let now = clock::mono_now();
            connected.link.heard(now);
            connected.handle_time(now)?;
            if batch.asks_ack {
                connected.link.acknowledge(now);
            }
            connected.send().await?;
            tasks::give_way().await;
        }
    }

    async fn repeat_batch(
        &self,
        reader: &mut StreamReader,
        batch: &mut StreamBatch,
    ) -> Result<(), LinkFault> {
        let (server, remote) = (&self.server, &self.remote);
        let mut done = 0;
        loop {
            let bytes = reader.bytes();
            let mut repeat = Repeat { remote, bytes, batch, done };
            let ended = server.set.repeat(&mut repeat);
            self.deliver(&repeat, done);
            done = repeat.done;
            match ended? {
                RepeatEnd::All => return Ok(()),
                RepeatEnd::Some => tasks::give_way().await,
                RepeatEnd::Held => tasks::sleep(REST).await,
                RepeatEnd::Behind(_) => {
                    server.set.push();
                    tasks::sleep(REST).await;
                }
                RepeatEnd::Long => done = self.repeat_long(reader, batch, done).await?,
            }
        }
    }

    /// Does the write number `done` of the batch on a thread for long work. Answers how many are
    /// done then.
    async fn repeat_long(
        &self,
        reader: &mut StreamReader,
        batch: &mut StreamBatch,
        done: usize,
    ) -> Result<usize, LinkFault> {
        let (server, remote) = (self.server.clone(), self.remote.clone());
        // They go there and come back: what is held may be long.
        let lent = std::mem::replace(reader, StreamReader::new(0));
        let lent_batch = std::mem::take(batch);
        let long = tasks::apart(move || {
            let (bytes, batch) = (lent.bytes(), &lent_batch);
            let mut repeat = Repeat { remote: &remote, bytes, batch, done };
            let ended = server.set.repeat_long(&mut repeat);
            let after = repeat.done;
            (ended, after, lent, lent_batch)
        });
        let (ended, after, lent, lent_batch) = long.await;
        (*reader, *batch) = (lent, lent_batch);
        let bytes = reader.bytes();
        self.deliver(&Repeat { remote: &self.remote, bytes, batch, done: after }, done);
        ended.map(|()| after)
    }

    /// Hands the messages of the writes from number `from` on to those who have subscribed here.
    fn deliver(&self, repeat: &Repeat<'_>, from: usize) {
        let mut decoder = None;
        for write in &repeat.batch.writes[from..repeat.done] {
            for command in repeat.batch.commands_of(write) {
                let words = &repeat.bytes[command.from..command.to];
                if !may_be_message(words) {
                    continue;
                }
                let decoder =
                    decoder.get_or_insert_with(|| Decoder::new(Limits::of(AuthState::Known)));
                let Ok(Step::Ready { .. }) = decoder.poll(words) else { continue };
                let request = decoder.request(words);
                let [name, channel, message] = [0, 1, 2].map(|it| request.get(it));
                let (Some(name), Some(channel), Some(message)) = (name, channel, message) else {
                    continue;
                };
                if !is_message(name) {
                    continue;
                }
                let kind = match name.len() {
                    7 => SubscriptionKind::Channel,
                    _ => SubscriptionKind::ShardChannel,
                };
                let found = self.server.pubsub.publish(kind, [channel, message], usize::MAX);
                let publication = found.unwrap_or_else(|_| Publication::none());
                publication.deliver(self.at(), clock::mono_now(), None);
            }
        }
    }
}

/// Whether an encoded command may be PUBLISH or SPUBLISH, by its number of words and the length of
/// the first.
fn may_be_message(words: &[u8]) -> bool {
    words.starts_with(b"*3\r\n$7\r\n") || words.starts_with(b"*3\r\n$8\r\n")
}

/// A snapshot being loaded.
struct Loading {
    loader: Loader,
    transfer: Transfer,
    /// Bytes of the transfer so far.
    taken: u64,
}

impl Loading {
    /// Takes the next bytes. Answers itself, and what belongs to the stream behind the snapshot
    /// once that is whole.
    fn take(mut self, bytes: Vec<u8>) -> Result<(Loading, Option<Vec<u8>>), LinkFault> {
        let Loading { loader, transfer, taken } = &mut self;
        let fed = transfer.feed(&bytes, loader);
        let count = fed.map_err(|it| LinkFault::Snapshot(it.to_string()))?;
        *taken += count as u64;
        let behind = transfer.is_done().then(|| bytes[count..].to_vec());
        Ok((self, behind))
    }

    /// Bytes there are, if that is known.
    fn total(&self) -> Option<u64> {
        self.transfer.left().map(|it| self.taken + it)
    }
}
