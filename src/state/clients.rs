//! Who is connected: what CLIENT LIST shows, CLIENT KILL closes and INFO counts.

use crate::base::time::MonoUs;
use crate::resp::Protocol;
use crate::runtime::stream::Stream;
use crate::session::Session;
use event_listener::Event;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::*};

/// What others may know of a connection. Written by its own task, once per batch.
pub struct Client {
    /// Its number.
    pub id: u64,
    /// Its socket, so that others can close it.
    pub stream: Arc<Stream>,
    /// The peer's address.
    pub address: String,
    /// Our own address.
    pub local_address: String,
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
    /// Keys under WATCH.
    pub watching: AtomicU32,
    /// Bytes of an unfinished request.
    pub unread: AtomicU64,
    /// Bytes of replies that the peer has not taken.
    pub unsent: AtomicU64,
    /// Commands so far.
    pub commands: AtomicU64,
    /// Whether it is parked in a command that waits.
    pub is_parked: AtomicBool,
    /// Notified by CLIENT UNBLOCK.
    pub unblock: Event,
    /// How CLIENT UNBLOCK ends the wait: 0 not, 1 as a timeout, 2 with an error.
    pub unblocked: AtomicU8,
    /// Marks of CLIENT LIST.
    pub flags: ClientFlags,
    /// Names, which change rarely.
    pub names: Mutex<ClientNames>,
}

/// Marks that CLIENT LIST shows.
#[derive(Default)]
pub struct ClientFlags {
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    /// Over a unix socket.
    pub is_unix: AtomicBool,
    /// To be closed once its replies are out.
    pub is_closing: AtomicBool,
}

impl ClientFlags {
    /// Takes back what the client asked for.
    pub fn clear(&self) {
        self.no_evict.store(false, Relaxed);
        self.no_touch.store(false, Relaxed);
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
}

impl Client {
    /// Copies what others may know out of the connection's own memory.
    pub fn mirror(&self, session: &Session, protocol: Protocol) {
        let queued = session.queue.as_ref().map_or(0, |it| it.commands.len() as u32 + 1);
        self.queued.store(queued, Relaxed);
        self.watching.store(session.watches.len() as u32, Relaxed);
        self.db.store(session.db as u8, Relaxed);
        self.protocol.store(if protocol == Protocol::Resp3 { 3 } else { 2 }, Relaxed);
    }

    fn new(id: u64, stream: Arc<Stream>, now: MonoUs) -> Client {
        let (address, local_address) = stream.addresses();
        let flags = ClientFlags::default();
        flags.is_unix.store(stream.is_unix(), Relaxed);
        Client {
            id,
            stream,
            address,
            local_address,
            since: now,
            active: AtomicU64::new(now.0),
            db: AtomicU8::new(0),
            command: AtomicU16::new(u16::MAX),
            protocol: AtomicU8::new(2),
            queued: AtomicU32::new(0),
            watching: AtomicU32::new(0),
            unread: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            is_parked: AtomicBool::new(false),
            unblock: Event::new(),
            unblocked: AtomicU8::new(0),
            flags,
            names: Mutex::new(ClientNames { user: "default".into(), ..ClientNames::default() }),
        }
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
    pub fn enter(&self, stream: Arc<Stream>, most: usize, now: MonoUs) -> Option<Arc<Client>> {
        let mut all = self.all.lock();
        if most <= all.len() {
            return None;
        }
        let id = self.last.fetch_add(1, Relaxed) + 1;
        let client = Arc::new(Client::new(id, stream, now));
        all.insert(id, client.clone());
        Some(client)
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

    /// The one with this number.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.all.lock().get(&id).cloned()
    }
}
