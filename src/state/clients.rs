//! Who is connected: what CLIENT LIST shows, CLIENT KILL closes and INFO counts.

use super::mailbox::{JobReply, Mailbox, Message, UnblockAs, Wrote};
use super::told_elsewhere::ToldElsewhere;
use crate::base::ids::BlockId;
use crate::base::position::{Offset, Position};
use crate::base::time::MonoUs;
use crate::command::Fault;
use crate::node::{BlockedClient, Wake};
use crate::pubsub::{Delivery, Subscriber};
use crate::resp::{Protocol, Reply};
use crate::route::Level;
use crate::runtime::stream::Peer;
use crate::session::{Session, SubscriptionKind, Subscriptions};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::*, fence,
};

/// What others may know of a connection. Written by its own task, once per batch.
pub struct Client {
    /// Its number.
    pub id: u64,
    /// How others hand it things.
    pub mailbox: Mailbox,
    /// Whom it is connected to.
    pub peer: Peer,
    /// When it connected.
    pub since: MonoUs,
    /// When it last sent a command.
    pub active: AtomicU64,
    /// Its database.
    pub db: AtomicU8,
    /// Number of the last command in the table, 0xFFFF before the first.
    pub command: AtomicU16,
    /// 2 or 3.
    pub protocol: AtomicU8,
    /// Commands queued in MULTI, plus one; 0 outside.
    pub queued: AtomicU32,
    /// Memory that they take, in bytes.
    pub queued_bytes: AtomicU64,
    /// Keys under WATCH.
    pub watching: AtomicU32,
    /// Bytes of those, and of the names that it subscribes to.
    pub names_bytes: AtomicU64,
    /// Bytes of the prefixes that it is told of, for CLIENT TRACKING.
    pub prefixes_bytes: AtomicU64,
    /// The offset of its floor; [`NO_FLOOR`] without one.
    pub floor: AtomicU64,
    /// Which level its names hold.
    level: AtomicU64,
    /// Bytes of an unfinished request.
    pub unread: AtomicU64,
    /// Bytes of replies that the peer has not taken.
    pub unsent: AtomicU64,
    /// Bytes of memory that the arguments take of a request that waits apart from those.
    pub argument_bytes: AtomicU64,
    /// Commands so far.
    pub commands: AtomicU64,
    /// Whether its connection waits, whether CLIENT UNBLOCK may end that, and above these
    /// [`WAITING_BITS`] the number of the wait.
    waiting: AtomicU64,
    /// What it subscribes to.
    pub subscribed: Subscribed,
    /// Marks of CLIENT LIST.
    pub flags: ClientFlags,
    /// Who is told of what it caches, plus one: 0 while it caches nothing, 1 when that is itself.
    pub redirect: AtomicU64,
    /// What was told another in its place.
    pub told_elsewhere: ToldElsewhere,
    /// Names, which change rarely.
    pub names: Mutex<ClientNames>,
}

/// Whether a client's connection waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// It does not wait.
    No,
    /// It waits, and CLIENT UNBLOCK cannot change that: CLIENT PAUSE, and work that goes on.
    Held,
    /// It waits, and CLIENT UNBLOCK ends that.
    Blocked,
}

/// Bits of a [`Waiting`] below the number of its wait.
const WAITING_BITS: u32 = 2;
const WAITING_MASK: u64 = (1 << WAITING_BITS) - 1;

impl Waiting {
    fn of(self, block: BlockId) -> u64 {
        block.0 << WAITING_BITS | self as u64
    }
}

/// Marks that CLIENT LIST shows.
#[derive(Default)]
pub struct ClientFlags {
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    /// To be closed once its replies are out.
    pub is_closing: AtomicBool,
    /// It is sent the stream: a replica on the wire.
    pub is_replica: AtomicBool,
    /// It is shown every command: MONITOR.
    pub is_monitor: AtomicBool,
    /// It is told of all keys with a prefix: CLIENT TRACKING … BCAST.
    pub is_broadcast: AtomicBool,
    /// Who was told of what it caches has gone.
    pub is_redirect_broken: AtomicBool,
    /// It waits, and that ends by itself.
    pub is_timed: AtomicBool,
    /// It is to be told of cached keys once its wait is answered, or goes on.
    pub is_told_later: AtomicBool,
}

impl ClientFlags {
    /// Takes back what the client asked for.
    pub fn clear(&self) {
        self.no_evict.store(false, Relaxed);
        self.no_touch.store(false, Relaxed);
    }
}

/// How many names of each kind a client subscribes to.
#[derive(Default)]
pub struct Subscribed {
    /// Channels.
    pub channels: AtomicU32,
    /// Patterns.
    pub patterns: AtomicU32,
    /// Shard channels.
    pub shard_channels: AtomicU32,
}

impl Subscribed {
    /// Lets others see what there is now.
    pub fn note(&self, subscriptions: &Subscriptions) {
        let count = |kind| subscriptions.of(kind).len() as u32;
        self.channels.store(count(SubscriptionKind::Channel), Relaxed);
        self.patterns.store(count(SubscriptionKind::Pattern), Relaxed);
        self.shard_channels.store(count(SubscriptionKind::ShardChannel), Relaxed);
    }

    /// Whether there is any.
    pub fn is_any(&self) -> bool {
        [&self.channels, &self.patterns, &self.shard_channels]
            .iter()
            .any(|it| it.load(Relaxed) != 0)
    }
}

/// Names a client goes by.
#[derive(Default, Clone)]
pub struct ClientNames {
    /// The user.
    pub user: String,
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: String,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: String,
    /// The listener it came in by.
    pub listener: Arc<str>,
    /// PROXY CONSISTENCY.
    pub level: Option<Level>,
}

/// Of [`Client::floor`]: it has seen nothing yet.
pub const NO_FLOOR: u64 = u64::MAX;

/// A number that differs where levels do.
#[inline]
fn number_of(level: Option<Level>) -> u64 {
    match level {
        None => 0,
        Some(Level::Bounded { ms, bytes }) => {
            let number = |bound: Option<u64>| bound.map_or(0, |it| it.wrapping_add(1));
            number(ms).wrapping_add(number(bytes).rotate_left(32)) << 3 | 7
        }
        Some(level) => 1 + u64::from(level.weakness()),
    }
}

impl Client {
    /// Copies what others may know out of the connection's own memory.
    pub fn mirror(&self, session: &Session, protocol: Protocol) {
        let queued = session.queue.as_ref().map_or(0, |it| it.commands.len() as u32 + 1);
        self.queued.store(queued, Relaxed);
        let bytes = session.queue.as_ref().map_or(0, |it| it.bytes as u64);
        self.queued_bytes.store(bytes, Relaxed);
        self.watching.store(session.watches.len() as u32, Relaxed);
        let subscribed = session.subscriptions.as_ref().map_or(0, |it| it.kept_bytes());
        self.names_bytes.store((session.watches.kept_bytes() + subscribed) as u64, Relaxed);
        self.mirror_floor(session.floor);
        // Nobody else stores it.
        if self.level.load(Relaxed) != number_of(session.level) {
            self.level.store(number_of(session.level), Relaxed);
            self.names.lock().level = session.level;
        }
        self.db.store(session.db as u8, Relaxed);
        self.protocol.store(if protocol == Protocol::Resp3 { 3 } else { 2 }, Relaxed);
    }

    /// As [`Client::mirror`], when all that has happened is that it was sent a message.
    pub fn mirror_delivery(&self, floor: Option<Position>, time: MonoUs) {
        self.mirror_floor(floor);
        self.active.store(time.0, Relaxed);
    }

    /// Who it is, as lines of the log say it.
    pub fn logged(&self) -> String {
        let user = &self.names.lock().user;
        format!("client={} addr={} user={user:?}", self.id, self.peer.address)
    }

    fn mirror_floor(&self, floor: Option<Position>) {
        self.floor.store(floor.map_or(NO_FLOOR, |it| it.offset.bytes()), Relaxed);
    }

    /// Its next wait keeps arguments that take so many bytes, and ends by itself or not. That holds
    /// until [`Client::set_waiting`] says that it waits no more.
    pub fn note_wait(&self, argument_bytes: usize, is_timed: bool) {
        self.argument_bytes.store(argument_bytes as u64, Relaxed);
        self.flags.is_timed.store(is_timed, Relaxed);
    }

    /// Says whether it waits, and which of its waits that is.
    pub fn set_waiting(&self, waiting: Waiting, block: BlockId) {
        if waiting == Waiting::No {
            self.note_wait(0, false);
        }
        self.waiting.store(waiting.of(block), Release);
    }

    /// Whether its connection waits.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Acquire) & WAITING_MASK != Waiting::No as u64
    }

    /// Whether it waits and nobody has ended that.
    pub fn is_blocked(&self) -> bool {
        self.waiting.load(Acquire) & WAITING_MASK == Waiting::Blocked as u64
    }

    /// Ends its wait, if CLIENT UNBLOCK can do that. Answers whether it could.
    pub fn unblock(&self, how: UnblockAs) -> bool {
        let block = self.block();
        let could = self.claim(block);
        if could {
            // By its number: that wait may end by itself, and another begin, before this is taken.
            self.mailbox.post(Message::Unblocked(block, how));
        }
        could
    }

    /// Ends its connection. What it waits for is not done any more.
    pub fn kill(&self) {
        self.claim(self.block());
        self.mailbox.post(Message::Killed);
    }

    /// Lets it close itself if it subscribes to what its user may not hear.
    pub fn check_subscriptions(&self) {
        // Either it is seen here to subscribe, or it sees that users have changed.
        fence(SeqCst);
        if self.subscribed.is_any() {
            self.mailbox.post(Message::RulesChanged);
        }
    }

    /// The last of its waits.
    fn block(&self) -> BlockId {
        BlockId(self.waiting.load(Acquire) >> WAITING_BITS)
    }

    /// Makes one mark of this wait another. Answers whether the one was there.
    fn exchange(&self, block: BlockId, from: Waiting, to: Waiting) -> bool {
        let (from, to) = (from.of(block), to.of(block));
        self.waiting.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// A client that has said nothing yet.
    pub fn new(id: u64, peer: Peer, now: MonoUs) -> Client {
        Client {
            id,
            mailbox: Mailbox::default(),
            peer,
            since: now,
            active: AtomicU64::new(now.0),
            db: AtomicU8::new(0),
            command: AtomicU16::new(u16::MAX),
            protocol: AtomicU8::new(2),
            queued: AtomicU32::new(0),
            queued_bytes: AtomicU64::new(0),
            watching: AtomicU32::new(0),
            names_bytes: AtomicU64::new(0),
            prefixes_bytes: AtomicU64::new(0),
            floor: AtomicU64::new(NO_FLOOR),
            level: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            argument_bytes: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            subscribed: Subscribed::default(),
            flags: ClientFlags::default(),
            redirect: AtomicU64::new(0),
            told_elsewhere: ToldElsewhere::default(),
            names: Mutex::new(ClientNames { user: "default".into(), ..ClientNames::default() }),
        }
    }
}

impl Subscriber for Client {
    fn number(&self) -> u64 {
        self.id
    }

    fn deliver(&self, delivery: &Arc<Delivery>) {
        self.mailbox.post(Message::Published(delivery.clone()));
    }
}

impl Wake for Client {
    fn wake(&self, block: BlockId) {
        self.mailbox.post(Message::Woken(block));
    }
}

impl BlockedClient for Client {
    fn claim(&self, block: BlockId) -> bool {
        self.exchange(block, Waiting::Blocked, Waiting::Held)
    }

    fn disclaim(&self, block: BlockId) {
        self.exchange(block, Waiting::Held, Waiting::Blocked);
        // Either it is seen here to wait for that, or it sees that the wait goes on.
        fence(SeqCst);
        if self.flags.is_told_later.load(Relaxed) {
            self.mailbox.post(Message::Disclaimed);
        }
    }

    fn served(&self, block: BlockId, reply: Result<Reply, Fault>, wrote: Option<Offset>) {
        // Nobody finds it blocked any more, though its own task is yet to hear of it.
        self.set_waiting(Waiting::No, block);
        if reply.as_ref().is_ok_and(Reply::is_overflowing) {
            // It was not built to its end: it is past the limit already.
            return self.mailbox.post(Message::Killed);
        }
        let reply = reply.map(Reply::into_bytes).map_err(|it| it.to_string());
        let wrote = wrote.map(Wrote::Here);
        self.mailbox.post(Message::Served(block, JobReply { reply, wrote }));
    }
}

/// The connections, by number.
#[derive(Default)]
pub struct Clients {
    all: Mutex<BTreeMap<u64, Arc<Client>>>,
    last: AtomicU64,
}

impl Clients {
    /// Registers a connection, unless there are `most` already.
    pub fn enter(&self, peer: Peer, most: usize, now: MonoUs) -> Option<Arc<Client>> {
        let mut all = self.all.lock();
        if most <= all.len() {
            return None;
        }
        let id = self.last.fetch_add(1, Relaxed) + 1;
        let client = Arc::new(Client::new(id, peer, now));
        all.insert(id, client.clone());
        Some(client)
    }

    /// As [`Clients::enter`], for a client of a test, from nowhere.
    #[cfg(test)]
    pub fn enter_from_nowhere(&self, now: MonoUs) -> Arc<Client> {
        let peer = Peer {
            address: "client:1".into(),
            local_address: "proxy:6379".into(),
            is_unix: false,
            is_local: true,
            is_trusted: false,
            descriptor: 0,
        };
        self.enter(peer, usize::MAX, now).expect("there is room")
    }

    /// Forgets a connection.
    pub fn leave(&self, id: u64) {
        self.all.lock().remove(&id);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.lock().len()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.all.lock().values().cloned().collect()
    }

    /// Shows each of them, oldest first, while none can come or go.
    pub fn each(&self, show: impl FnMut(&Client)) {
        self.all.lock().values().map(|it| &**it).for_each(show);
    }

    /// The one with this number.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.all.lock().get(&id).cloned()
    }
}
