//! Where clients come in.

use super::connection::Connection;
use super::placement::{Place, Threads};
use super::shell::{Waits, serve};
use crate::base::limits::{
    PROXY_HEADER_MS_MAX, PROXY_HEADERS_MAX, TLS_HANDSHAKE_MS_MAX, TLS_HANDSHAKES_MAX,
};
use crate::config::{Config, Proxies};
use crate::runtime::acceptor::Acceptor;
use crate::runtime::handshake::shake_hands;
use crate::runtime::proxied::{Unproxied, take_header};
use crate::runtime::proxy_header::ProxyHeader;
use crate::runtime::stream::{Peer, Socket};
use crate::runtime::tls::UserField;
use crate::runtime::{clock, tasks};
use crate::state::{HandshakePlace, Server};
use futures::future::{Either, pending, select};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A listener: its socket, and what is known of those who come in there.
pub struct Listener {
    /// Where it listens.
    pub acceptor: Acceptor,
    /// What is known of its clients.
    pub way: WayIn,
}

/// How a client has come in.
#[derive(Clone)]
pub struct WayIn {
    /// The name of its listener, for route rules and its level.
    pub listener: Arc<str>,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Whether it comes by the socket for upgrades, whose path only our own user can open.
    pub is_trusted: bool,
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
const UNTRUSTED: &[u8] = b"-DENIED this port is for the proxies that proxy-trusted names\r\n";
const UNPROXIED: &[u8] =
    b"-ERR this port is for proxies that send the header of the PROXY protocol, \
    version 1 or 2\r\n";

/// Accepts clients until the proxy shuts down, and gives each to the worker that has the fewest.
pub async fn listen(server: Arc<Server>, threads: Arc<Threads>, listener: Listener) {
    const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
    loop {
        let (closed, accepting) = (pin!(server.closed()), pin!(accept(&server, &listener)));
        match select(closed, accepting).await {
            Either::Left(_) => break,
            Either::Right((Ok(socket), _)) => welcome(&server, &threads, &listener, socket),
            Either::Right((Err(error), _)) => {
                log::warn!("event=accept-failed listener={} why={error}", listener.way.listener);
                tasks::sleep(REST_AFTER_ERROR).await;
            }
        }
    }
    // A path that another process listens at now is that one's to take away.
    if server.upgrade.claimed_by().is_none() || listener.way.is_trusted {
        listener.acceptor.leave();
    }
}

async fn accept(server: &Server, listener: &Listener) -> io::Result<Socket> {
    if !listener.way.tls {
        return listener.acceptor.accept().await;
    }
    // Those in force when the client comes, whenever they were read.
    let tls = || server.tls.listeners().expect("they are read before the first client comes");
    listener.acceptor.accept_tls(tls).await
}

fn welcome(server: &Arc<Server>, threads: &Arc<Threads>, listener: &Listener, socket: Socket) {
    let settings = server.settings();
    socket.keep_alive(settings.server.tcp_keepalive);
    server.counters.accepted.fetch_add(1, Relaxed);
    let way = listener.way.clone();
    let (place, its) = (threads.place(), threads.clone());
    let Some(proxies) = settings.listener_proxies(&way.listener) else {
        let peer = Peer { is_trusted: way.is_trusted, ..socket.peer() };
        let admitted = admit(server, &way, &socket, peer);
        let Some(admitted) = admitted else { return };
        return threads.spawn(place, move || attend(admitted, socket, place, its));
    };
    let Some(waiting) = hear_proxy(server, &way, &socket, proxies, settings.server.maxclients)
    else {
        return;
    };
    let server = server.clone();
    threads.spawn(place, move || async move {
        let peer = socket.peer();
        let proxied = take_proxy_header(&server, &way, socket, &peer, waiting).await;
        let Some((socket, header)) = proxied else { return };
        if let Some(admitted) = admit(&server, &way, &socket, peer.behind(header)) {
            attend(admitted, socket, place, its).await;
        }
    });
}

/// A client that may come in.
struct Admitted {
    connection: Connection,
    /// It has yet to shake hands.
    shaking: Option<HandshakePlace>,
}

/// Lets a client in, or turns it away.
fn admit(server: &Arc<Server>, way: &WayIn, socket: &Socket, peer: Peer) -> Option<Admitted> {
    let (settings, now) = (server.settings(), clock::mono_now());
    let is_open = settings.server.protected_mode && server.accounts.needs_no_password();
    if is_open && !peer.is_local {
        if let Some(count) = server.log_limits.protected_mode.note(now) {
            let (name, from) = (&way.listener, &peer.address);
            log::warn!(
                "event=refused-client why=protected-mode listener={name} peer={from} count={count}"
            );
        }
        return turn_away(server, way, socket, PROTECTED);
    }
    let shaking = match way.tls.then(|| server.tls.shaking.begin(TLS_HANDSHAKES_MAX)) {
        Some(None) => {
            server.tls.crowded.fetch_add(1, Relaxed);
            log::debug!("event=refused-client why=tls-handshakes");
            return turn_away(server, way, socket, TOO_MANY);
        }
        place => place.flatten(),
    };
    // However many there are, who takes our place comes in.
    let most = if way.is_trusted { usize::MAX } else { settings.server.maxclients };
    let Some(client) = server.clients.enter(peer, most, now) else {
        log::debug!("event=refused-client why=maxclients");
        return turn_away(server, way, socket, TOO_MANY);
    };
    let connection = Connection::open(server.clone(), client, way.listener.clone(), now);
    Some(Admitted { connection, shaking })
}

/// Serves a client that was let in, at its worker.
async fn attend(admitted: Admitted, socket: Socket, place: Place, threads: Arc<Threads>) {
    let Admitted { mut connection, shaking } = admitted;
    let socket = match shaking {
        None => Some(socket),
        Some(shaking) => shake(&mut connection, socket, shaking).await,
    };
    if let Some(socket) = socket {
        serve(connection, Waits::default(), socket, place, threads).await;
    }
}

/// A place to wait for the header, if this is a proxy that is believed.
fn hear_proxy(
    server: &Server,
    way: &WayIn,
    socket: &Socket,
    proxies: &Proxies,
    maxclients: usize,
) -> Option<HandshakePlace> {
    if !socket.comes_from(&proxies.trusted) {
        server.proxied.untrusted.fetch_add(1, Relaxed);
        if let Some(count) = server.log_limits.proxy_untrusted.note(clock::mono_now()) {
            let (name, from) = (&way.listener, socket.peer().address);
            log::warn!(
                "event=refused-client why=untrusted-proxy listener={name} peer={from} count={count}"
            );
        }
        return turn_away(server, way, socket, UNTRUSTED);
    }
    // Each of them has a file, as clients have.
    let most = maxclients.saturating_sub(server.clients.count()).min(PROXY_HEADERS_MAX);
    match server.proxied.waiting.begin(most) {
        Some(place) => Some(place),
        None => {
            log::debug!("event=refused-client why=proxy-headers");
            turn_away(server, way, socket, TOO_MANY)
        }
    }
}

/// Waits until who is on the way in is of no interest: the proxy shuts down, and no other process
/// takes its place, for whose sake its clients are served to their end.
async fn until_cut_off(server: &Server) {
    server.closed().await;
    if server.upgrade.successor().is_some() {
        pending::<()>().await;
    }
}

/// Hears of a proxy whom it has connected for. There is some time for that.
async fn take_proxy_header(
    server: &Server,
    way: &WayIn,
    socket: Socket,
    peer: &Peer,
    _place: HandshakePlace,
) -> Option<(Socket, ProxyHeader)> {
    const PATIENCE: Duration = Duration::from_millis(PROXY_HEADER_MS_MAX);
    let tell = |socket: &Socket| way.tell(socket, UNPROXIED);
    let taking = pin!(take_header(socket, tell));
    let cut_off = pin!(until_cut_off(server));
    let why = match tasks::within(PATIENCE, select(taking, cut_off)).await {
        Some(Either::Left((Ok(taken), _))) => {
            server.proxied.headers.fetch_add(1, Relaxed);
            return Some(taken);
        }
        Some(Either::Left((Err(Unproxied::Fault(fault)), _))) => fault.to_string(),
        // Those who only look whether somebody listens are none to tell of.
        Some(Either::Left((Err(Unproxied::Socket(error)), _))) => {
            log::debug!("event=closed peer={} why={error}", peer.address);
            return None;
        }
        Some(Either::Right(_)) => return None,
        None => "the header takes too long".to_owned(),
    };
    server.counters.refused.fetch_add(1, Relaxed);
    server.proxied.faults.fetch_add(1, Relaxed);
    if let Some(count) = server.log_limits.proxy_header.note(clock::mono_now()) {
        let (name, from) = (&way.listener, &peer.address);
        log::warn!(
            "event=proxy-header-refused listener={name} peer={from} why={why:?} count={count}"
        );
    }
    None
}

/// Makes the handshake, for which there is some time.
async fn shake(
    connection: &mut Connection,
    socket: Socket,
    _place: HandshakePlace,
) -> Option<Socket> {
    const PATIENCE: Duration = Duration::from_millis(TLS_HANDSHAKE_MS_MAX);
    let (server, client) = (connection.caller.server.clone(), connection.caller.client.clone());
    let (handshake, cut_off) = (pin!(shake_hands(socket)), pin!(until_cut_off(&server)));
    let why = match tasks::within(PATIENCE, select(handshake, cut_off)).await {
        Some(Either::Left((Ok(socket), _))) => {
            server.tls.handshakes.fetch_add(1, Relaxed);
            if let Some(field) = user_field(&server.settings()) {
                connection.caller.log_in_by_certificate(&socket.peer_names(field));
            }
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

/// Where a client's certificate names its user, if it does.
fn user_field(settings: &Config) -> Option<UserField> {
    match settings.tls.client_user.as_str() {
        "CN" => Some(UserField::CommonName),
        "URI" => Some(UserField::Uri),
        _ => None,
    }
}

/// The peer is turned away, whether or not it hears why.
fn turn_away<T>(server: &Server, way: &WayIn, socket: &Socket, why: &[u8]) -> Option<T> {
    server.counters.refused.fetch_add(1, Relaxed);
    way.tell(socket, why);
    None
}

impl WayIn {
    /// A word to whoever has come, if it can be heard: before a handshake it cannot.
    fn tell(&self, socket: &Socket, word: &[u8]) {
        if !self.tls {
            let _ = socket.try_write(word);
        }
    }
}
