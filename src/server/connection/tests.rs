//! Connections without shells: what they answer, request by request, in one thread.

mod buffers;
mod following;
mod forwarded;
mod held;
mod long;
mod reads;
mod refused;
mod rights;
mod scripts;
mod served;
mod timed;
mod upstream;

use super::{Action, BatchContext, Connection, Event, WorkerScratch};
use crate::base::remote_address::RemoteAddress;
use crate::base::time::{Clock, MonoUs, WallMs};
use crate::config::Config;
use crate::engine::Thresholds;
use crate::node::{RemoteMaster, ReplicaSet, new_replid};
use crate::session::TokenSigner;
use crate::state::{ProcessInfo, Server};
use std::sync::Arc;

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn mono_ns(&self) -> u64 {
        5_000_000_000
    }

    fn wall_now(&self) -> WallMs {
        WallMs(1_700_000_000_000)
    }
}

/// A clock that stands still at some other time.
struct StillAt(MonoUs);

impl Clock for StillAt {
    fn mono_ns(&self) -> u64 {
        self.0.0 * 1000
    }

    fn wall_now(&self) -> WallMs {
        Still.wall_now()
    }
}

const NOW: MonoUs = MonoUs(5_000_000);

/// A proxy whose connections are served by the calling thread.
struct Proxy {
    server: Arc<Server>,
    scratch: WorkerScratch,
    actions: Vec<Action>,
    /// When the next batch begins.
    now: MonoUs,
}

impl Proxy {
    fn new(config: &str) -> Proxy {
        let config = Config::parse("a test", config).expect("it is sound");
        let (id, thresholds) = (new_replid(), Thresholds::default());
        let set = ReplicaSet::new(config.set.replicas, 1, id, thresholds, 1 << 20, 1 << 20);
        let (birth, signer) = (ProcessInfo::now(0, String::new()), TokenSigner::new(b"a secret"));
        let server = Server::new(Arc::new(set), 1, config, birth, signer, None);
        Proxy::of(Arc::new(server))
    }

    /// Another thread of the same proxy.
    fn of(server: Arc<Server>) -> Proxy {
        Proxy { server, scratch: WorkerScratch::new(0, 1), actions: Vec::new(), now: NOW }
    }

    fn connect(&self) -> Connection {
        let client = self.server.clients.enter_from_nowhere(NOW);
        Connection::open(self.server.clone(), client, "main".into(), NOW)
    }

    fn handle(&mut self, connection: &mut Connection, event: Event<'_>) {
        self.handle_by(&StillAt(self.now), connection, event);
    }

    fn handle_by(&mut self, clock: &dyn Clock, connection: &mut Connection, event: Event<'_>) {
        connection.caller.refresh(self.now);
        let member_list = connection.caller.member_list.clone();
        let (set, actions) = (&self.server.set, &mut self.actions);
        let mut context = BatchContext::begin(
            &mut self.scratch,
            set,
            &member_list,
            clock,
            self.now.0 * 1000,
            actions,
        );
        connection.handle(event, &mut context);
    }

    /// Sends one line, and answers what is to be sent back.
    fn ask(&mut self, connection: &mut Connection, line: &str) -> String {
        self.send(connection, format!("{line}\r\n").as_bytes())
    }

    fn send(&mut self, connection: &mut Connection, bytes: &[u8]) -> String {
        self.handle(connection, Event::Bytes(bytes));
        let all = replies(connection);
        self.go_on(connection, all)
    }

    /// Serves what waits until replies have left, or for a thread for long work.
    fn go_on(&mut self, connection: &mut Connection, mut all: String) -> String {
        while connection.has_more() {
            self.scratch.works_long = connection.is_long_next();
            self.handle(connection, Event::Proceed);
            self.scratch.works_long = false;
            let more = replies(connection);
            if more.is_empty() {
                break;
            }
            all = format!("{all} {more}").trim().to_owned();
        }
        all
    }

    /// As [`Proxy::ask`], of a client that has said nothing before.
    fn ask_anew(&mut self, line: &str) -> String {
        let mut connection = self.connect();
        self.ask(&mut connection, line)
    }
}

fn replies(connection: &mut Connection) -> String {
    let mut all = Vec::new();
    while let Some(bytes) = connection.poll_transmit() {
        let count = bytes.len();
        all.extend_from_slice(bytes);
        connection.transmitted(count);
    }
    String::from_utf8_lossy(&all).replace("\r\n", " ").trim_end().to_owned()
}

/// The first word of a reply: the code of an error.
fn code(reply: &str) -> &str {
    reply.split(' ').next().unwrap_or_default()
}

fn follow(proxy: &Proxy) {
    let address = RemoteAddress { host: "there".into(), port: 1 };
    proxy.server.set.follow(RemoteMaster::new(address, NOW));
}
