//! Where clients come in.

use super::connection::Connection;
use super::visitor::Visitor;
use crate::admin::House;
use crate::node::Hold;
use crate::resp::{OwnedRequest, Protocol, Reply};
use crate::runtime::stream::{Acceptor, Stream};
use crate::runtime::{clock, tasks};
use crate::session::Session;
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
pub async fn listen(house: Arc<House>, listener: Listener) {
    const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
    loop {
        let closing = house.closing();
        if house.is_closing() {
            break;
        }
        let accepting = pin!(listener.acceptor.accept());
        match select(accepting, closing).await {
            Either::Left((Ok(stream), _)) => welcome(&house, &listener, stream),
            Either::Left((Err(error), _)) => {
                log::warn!("event=accept-failed listener={} why={error}", listener.name);
                tasks::sleep(REST_AFTER_ERROR).await;
            }
            Either::Right(_) => break,
        }
    }
    listener.acceptor.leave();
}

fn welcome(house: &Arc<House>, listener: &Listener, stream: Stream) {
    let settings_generation = house.settings_generation();
    let settings = house.settings();
    let now = clock::mono_now();
    stream.keep_alive(settings.server.tcp_keepalive);
    let stream = Arc::new(stream);
    house.counters.accepted.fetch_add(1, Relaxed);
    let Some(client) = house.clients.enter(stream.clone(), settings.server.maxclients, now) else {
        house.counters.refused.fetch_add(1, Relaxed);
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
    let set_generation = house.set.generation();
    let visitor = Visitor {
        house: house.clone(),
        client,
        session,
        reply: Reply::new(Protocol::Resp2),
        listener: listener.name.clone(),
        listener_level: settings.listener_level(&listener.name),
        settings,
        settings_generation,
        roster: house.set.roster(),
        lineage: house.set.lineage(),
        set_generation,
        hold: house.set.held(now).map_or(Hold::Nobody, |it| it.0),
        climb: None,
        tag: None,
        owed: Vec::new(),
        parked_request: OwnedRequest::default(),
    };
    tasks::spawn(Connection::new(visitor).attend());
}
