//! Connections that belong to one client are used again by the next: RESET takes away whatever the
//! one before has left there, and the server tells anew what it is.

use super::master_connection::MasterConnection;
use super::question::found;
use crate::replication::{ASK_MASTER_INFO, MasterInfo};
use crate::resp::{Protocol, encode_command};
use crate::runtime::{clock, tasks};
use crate::state::{IdleLink, Server};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to answer what cleans its connection, or whether it is still there.
const PATIENCE: Duration = Duration::from_secs(1);

/// One that is kept and still there, to whoever is master now.
pub async fn take(server: &Arc<Server>, protocol: Protocol) -> Option<MasterConnection> {
    server.upstream.as_ref()?;
    let address = server.set.remote()?.address.clone();
    let idle = server.forwarding.idle.take(&address, protocol, clock::mono_now())?;
    let master = Mutex::new(found(None));
    let connection = MasterConnection { link: idle.link, of: address, master };
    tasks::within(PATIENCE, is_there(server, connection)).await?
}

/// The connection, if its server is there and a master of the set's history: one that was deposed
/// may still say that it is a master. Nothing of a client's was sent before.
async fn is_there(server: &Server, connection: MasterConnection) -> Option<MasterConnection> {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, ASK_MASTER_INFO.into_iter());
    connection.send(&bytes).await.ok()?;
    let told = connection.replies().next(&connection.link).await.ok()?;
    let is_ours = |it: &MasterInfo| it.is_master && it.at.replid == server.set.history().replid;
    let info = MasterInfo::read(&told).filter(is_ours)?;
    *connection.master.lock() = found(Some(info.at.replid));
    Some(connection)
}

/// Cleans one whose client does not need it any more, and keeps it. One to whoever was the master
/// before ends here.
pub fn give_back(server: &Arc<Server>, connection: MasterConnection, protocol: Protocol) {
    let is_of_now = server.set.remote().is_some_and(|it| it.address == connection.of);
    if server.upstream.is_none() || !is_of_now {
        return;
    }
    let server = server.clone();
    tasks::spawn(async move {
        let cleaned = tasks::within(PATIENCE, clean(&server, &connection, protocol)).await;
        if cleaned == Some(true) {
            let (MasterConnection { link, of, .. }, since) = (connection, clock::mono_now());
            let idle = IdleLink { link, protocol, address: of, since };
            server.forwarding.idle.put(idle, since);
        }
    });
}

/// Answers whether the connection is as it was when it began.
async fn clean(server: &Server, connection: &MasterConnection, protocol: Protocol) -> bool {
    let settings = server.settings();
    let mut all: Vec<Vec<&str>> = vec![vec!["RESET"]];
    if let Some((user, password)) = settings.upstream.as_ref().and_then(|it| it.login()) {
        all.push([Some("AUTH"), user, Some(password)].into_iter().flatten().collect());
    }
    if protocol == Protocol::Resp3 {
        all.push(vec!["HELLO", "3"]);
    }
    let mut bytes = Vec::new();
    for words in &all {
        encode_command(&mut bytes, words.iter().map(|it| it.as_bytes()));
    }
    if connection.send(&bytes).await.is_err() {
        return false;
    }
    let mut replies = connection.replies();
    for _ in &all {
        match replies.next(&connection.link).await {
            Ok(reply) if !reply.starts_with(b"-") => {}
            Ok(_) | Err(_) => return false,
        }
    }
    true
}
