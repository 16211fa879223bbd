//! Where clients come in.

use super::connection::Connection;
use super::connection_task::ConnectionTask;
use crate::node::PauseMode;
use crate::resp::{OwnedRequest, Protocol, Reply};
use crate::runtime::stream::{Acceptor, Stream};
use crate::runtime::{clock, tasks};
use crate::session::Session;
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
    let settings_generation = server.settings_generation();
    let settings = server.settings();
    let now = clock::mono_now();
    stream.keep_alive(settings.server.tcp_keepalive);
    let stream = Arc::new(stream);
    server.counters.accepted.fetch_add(1, Relaxed);
    let Some(client) = server.clients.enter(stream.clone(), settings.server.maxclients, now) else {
        server.counters.refused.fetch_add(1, Relaxed);
        log::debug!("event=refused-client why=maxclients");
        // The peer is turned away whether or not it hears why.
        let _ = stream.try_write(TOO_MANY);
        stream.close();
        return;
    };
    let session = Session {
        id: client.id,
        user: "default".into(),
        is_known: settings.server.password().is_none(),
        ..Session::default()
    };
    let set_generation = server.set.generation();
    let connection = Connection {
        server: server.clone(),
        client,
        session,
        reply: Reply::new(Protocol::Resp2),
        listener: listener.name.clone(),
        listener_level: settings.listener_level(&listener.name),
        settings,
        settings_generation,
        member_list: server.set.member_list(),
        history: server.set.history(),
        set_generation,
        pause_mode: server.set.pause_in_force(now).map_or(PauseMode::Nobody, |it| it.0),
        retry: None,
        tag: None,
        owed: Vec::new(),
        parked_request: OwnedRequest::default(),
    };
    tasks::spawn(ConnectionTask::new(connection).attend());
}
