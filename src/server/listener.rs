//! Where clients come in.

use super::connection::Connection;
use super::placement::Threads;
use super::shell::{Waits, serve};
use crate::base::limits::TLS_HANDSHAKE_MS_MAX;
use crate::runtime::handshake::shake_hands;
use crate::runtime::stream::{Acceptor, Socket};
use crate::runtime::{clock, tasks};
use crate::state::{HandshakePlace, Server};
use futures::future::{Either, select};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A listener: its socket and its name.
pub struct Listener {
    /// Its name, for route rules and its clients' level.
    pub name: Arc<str>,
    /// Where it listens.
    pub acceptor: Acceptor,
    /// Whether its clients speak TLS.
    pub tls: bool,
}

/// Redis' text: all that it advises can be done here.
const PROTECTED: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is \
    enabled and no password is set for the default user. In this mode connections are only \
    accepted from the loopback interface. If you want to connect from external computers to Redis \
    you may adopt one of the following solutions: 1) Just disable protected mode sending the \
    command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from \
    the same host the server is running, however MAKE SURE Redis is not publicly accessible from \
    internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you \
    can just disable the protected mode by editing the Redis configuration file, and setting the \
    protected mode option to 'no', and then restarting the server. 3) If you started the server \
    manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an \
    authentication password for the default user. NOTE: You only need to do one of the above \
    things in order for the server to start accepting connections from the outside.\r\n";
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// Accepts clients until the proxy shuts down, and gives each to the worker that has the fewest.
pub async fn listen(server: Arc<Server>, threads: Arc<Threads>, listener: Listener) {
    const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
    loop {
        let closing = server.closing();
        if server.is_closing() {
            break;
        }
        let accepting = pin!(accept(&server, &listener));
        match select(accepting, closing).await {
            Either::Left((Ok(socket), _)) => welcome(&server, &threads, &listener, socket),
            Either::Left((Err(error), _)) => {
                log::warn!("event=accept-failed listener={} why={error}", listener.name);
                tasks::sleep(REST_AFTER_ERROR).await;
            }
            Either::Right(_) => break,
        }
    }
    listener.acceptor.leave();
}

async fn accept(server: &Server, listener: &Listener) -> io::Result<Socket> {
    if !listener.tls {
        return listener.acceptor.accept().await;
    }
    // Those in force when the client comes, whenever they were read.
    let tls = || server.tls.listeners().expect("they are read before the first client comes");
    listener.acceptor.accept_tls(tls).await
}

fn welcome(server: &Arc<Server>, threads: &Arc<Threads>, listener: &Listener, socket: Socket) {
    let settings = server.settings();
    let now = clock::mono_now();
    socket.keep_alive(settings.server.tcp_keepalive);
    server.counters.accepted.fetch_add(1, Relaxed);
    let (peer, maxclients) = (socket.peer(), settings.server.maxclients);
    let is_open = settings.server.protected_mode && server.accounts.needs_no_password();
    if is_open && !peer.is_local {
        if let Some(count) = server.log_limits.protected_mode.note(now) {
            let (name, from) = (&listener.name, &peer.address);
            log::warn!(
                "event=refused-client why=protected-mode listener={name} peer={from} count={count}"
            );
        }
        return turn_away(server, listener, &socket, PROTECTED);
    }
    let shaking = match listener.tls.then(|| server.tls.begin()) {
        Some(None) => {
            server.tls.crowded.fetch_add(1, Relaxed);
            log::debug!("event=refused-client why=tls-handshakes");
            return turn_away(server, listener, &socket, TOO_MANY);
        }
        place => place.flatten(),
    };
    let Some(client) = server.clients.enter(peer, maxclients, now) else {
        log::debug!("event=refused-client why=maxclients");
        return turn_away(server, listener, &socket, TOO_MANY);
    };
    let connection = Connection::open(server.clone(), client, listener.name.clone(), now);
    let (place, its) = (threads.place(), threads.clone());
    match shaking {
        None => {
            threads.spawn(place, move || serve(connection, Waits::default(), socket, place, its))
        }
        Some(shaking) => threads.spawn(place, move || async move {
            if let Some(socket) = shake(&connection, socket, shaking).await {
                serve(connection, Waits::default(), socket, place, its).await;
            }
        }),
    }
}

/// Makes the handshake, for which there is some time.
async fn shake(connection: &Connection, socket: Socket, _place: HandshakePlace) -> Option<Socket> {
    const PATIENCE: Duration = Duration::from_millis(TLS_HANDSHAKE_MS_MAX);
    let (server, client) = (&connection.caller.server, &connection.caller.client);
    let (closing, handshake) = (server.closing(), pin!(shake_hands(socket)));
    if server.is_closing() {
        return None;
    }
    let why = match tasks::within(PATIENCE, select(handshake, closing)).await {
        Some(Either::Left((Ok(socket), _))) => {
            server.tls.handshakes.fetch_add(1, Relaxed);
            return Some(socket);
        }
        Some(Either::Left((Err(error), _))) if error.kind() == ErrorKind::UnexpectedEof => {
            "the client has hung up".to_owned()
        }
        Some(Either::Left((Err(error), _))) => error.to_string(),
        Some(Either::Right(_)) => return None,
        None => "it takes too long".to_owned(),
    };
    server.tls.failures.fetch_add(1, Relaxed);
    if let Some(count) = server.log_limits.tls_handshake.note(clock::mono_now()) {
        let (id, peer) = (client.id, &client.peer.address);
        log::warn!("event=tls-handshake-failed client={id} peer={peer} why={why:?} count={count}");
    }
    None
}

/// The peer is turned away whether or not it hears why. Before a handshake it cannot.
fn turn_away(server: &Server, listener: &Listener, socket: &Socket, why: &[u8]) {
    server.counters.refused.fetch_add(1, Relaxed);
    if listener.tls {
        return;
    }
    let _ = socket.try_write(why);
}
