//! Where clients come in.

use super::connection::Connection;
use super::shell::Shell;
use crate::runtime::stream::{Acceptor, Stream};
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

/// Accepts clients until the proxy shuts down.
pub async fn listen(server: Arc<Server>, listener: Listener) {
    const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
    loop {
        let closing = server.closing();
        if server.is_closing() {
            break;
        }
        let accepting = pin!(listener.acceptor.accept());
        match select(accepting, closing).await {
            Either::Left((Ok(stream), _)) => welcome(&server, &listener, stream),
            Either::Left((Err(error), _)) => {
                log::warn!("event=accept-failed listener={} why={error}", listener.name);
                tasks::sleep(REST_AFTER_ERROR).await;
            }
            Either::Right(_) => break,
        }
    }
    listener.acceptor.leave();
}

fn welcome(server: &Arc<Server>, listener: &Listener, stream: Stream) {
    let settings = server.settings();
    let now = clock::mono_now();
    stream.keep_alive(settings.server.tcp_keepalive);
    server.counters.accepted.fetch_add(1, Relaxed);
    let maxclients = settings.server.maxclients;
    let Some(client) = server.clients.enter(stream.peer(), maxclients, now) else {
        server.counters.refused.fetch_add(1, Relaxed);
        log::debug!("event=refused-client why=maxclients");
        // The peer is turned away whether or not it hears why.
        let _ = stream.try_write(TOO_MANY);
        stream.close();
        return;
    };
    let connection = Connection::open(server.clone(), client, listener.name.clone(), now);
    tasks::spawn(Shell::new(connection, stream).run());
}
