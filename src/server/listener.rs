//! Where clients come in.

use super::connection::Connection;
use super::placement::Threads;
use super::shell::serve;
use crate::runtime::stream::{Acceptor, Socket};
use crate::runtime::{clock, tasks};
use crate::state::Server;
use futures::future::{Either, select};
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
}

const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// Accepts clients until the proxy shuts down, and gives each to the worker that has the fewest.
pub async fn listen(server: Arc<Server>, threads: Arc<Threads>, listener: Listener) {
    const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
    loop {
        let closing = server.closing();
        if server.is_closing() {
            break;
        }
        let accepting = pin!(listener.acceptor.accept());
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

fn welcome(server: &Arc<Server>, threads: &Arc<Threads>, listener: &Listener, socket: Socket) {
    let settings = server.settings();
    let now = clock::mono_now();
    socket.keep_alive(settings.server.tcp_keepalive);
    server.counters.accepted.fetch_add(1, Relaxed);
    let maxclients = settings.server.maxclients;
    let Some(client) = server.clients.enter(socket.peer(), maxclients, now) else {
        server.counters.refused.fetch_add(1, Relaxed);
        log::debug!("event=refused-client why=maxclients");
        // The peer is turned away whether or not it hears why.
        let _ = socket.try_write(TOO_MANY);
        return;
    };
    let connection = Connection::open(server.clone(), client, listener.name.clone(), now);
    let (place, its) = (threads.place(), threads.clone());
    threads.spawn(place, move || serve(connection, None, socket, place, its));
}
