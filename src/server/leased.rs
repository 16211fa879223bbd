//! Sends what belongs to one client's own connection to the remote master: WATCH and the
//! transaction behind it, and calls that wait for keys.

use super::forward::{failed, lost_at, name_at, reply_of};
use super::leased_pool;
use super::leased_wait::wait_for_keys;
use super::master_connection::{Fault, MasterConnection};
use super::sent::{Sent, Took};
use crate::command::codes;
use crate::commands::Leased;
use crate::resp::Protocol;
use crate::runtime::tasks;
use crate::state::{Client, Forwarded, JobReply, Lease, PRIVATE_MAX, PrivatePlace, Queued, Server};
use futures::channel::oneshot::channel;
use parking_lot::Mutex;
use std::sync::Arc;

/// Has these requests done over the client's own connection. When the client goes, so does the
/// connection, and the master ends what waits there.
pub async fn forward_leased(
    server: &Arc<Server>,
    client: &Client,
    mut forwarded: Forwarded,
    how: Leased,
) -> JobReply {
    let switchover = server.upstream.as_ref().map(|it| &it.switchover);
    // What ends by itself is waited for by a switchover, and what comes later waits for that.
    let _work = match (how, switchover) {
        (Leased::Watch | Leased::WatchMore | Leased::Exec, Some(switchover)) => {
            Some(switchover.enter().await)
        }
        (Leased::Once, Some(switchover)) => {
            switchover.over().await;
            None
        }
        (Leased::Kill, _) | (_, None) => None,
    };
    let remote = server.set.remote();
    let is_of_now = |it: &Lease| remote.as_ref().is_some_and(|remote| remote.address == it.of);
    // What is over behind its reply has a connection of its own: what the client watches stays
    // watched.
    let lease = match how {
        Leased::Once | Leased::Kill => None,
        Leased::Watch | Leased::WatchMore | Leased::Exec => server.forwarding.take_lease(client.id),
    };
    let kept = lease.filter(|it| it.protocol == forwarded.protocol && is_of_now(it));
    if kept.is_none()
        && let Some(reply) = ended(how, &forwarded)
    {
        return JobReply { reply: Ok(reply), wrote: None };
    }
    if kept.is_none()
        && let Some(upstream) = &server.upstream
    {
        let master = upstream.other_master(None);
        if tasks::within(upstream.settings.buffer_for, master).await.is_none() {
            return failed(forwarded, &codes::NO_REAL_MASTER.text());
        }
    }
    let (db, protocol, unblocked) = (forwarded.db, forwarded.protocol, forwarded.unblocked.take());
    let mut place = forwarded.place.take();
    let (connection, selected) = match kept {
        Some(Lease { link, of, db, master, place: its, .. }) => {
            place = its;
            (MasterConnection { link, of, master: Mutex::new(master) }, Some(db))
        }
        None if !has_place(server, &mut place) => {
            return failed(forwarded, &codes::PRIVATE_LIMIT.to_string());
        }
        None => match open(server, protocol).await {
            Ok(connection) => (connection, Some(0)),
            Err(fault) => {
                let of = server.set.remote().and_then(|it| name_at(server, &it.address));
                let why = of.map_or_else(|| fault.to_string(), |it| format!("{it}: {fault}"));
                return failed(forwarded, &codes::master_unreachable(why).to_string());
            }
        },
    };
    if let Some(unblocked) = unblocked {
        let (reply, connection) = wait_for_keys(server, connection, forwarded, unblocked).await;
        if let Some(connection) = connection {
            leased_pool::give_back(server, connection, protocol);
        }
        return reply;
    }
    let (reply, connection) = exchange(server, connection, selected, forwarded).await;
    match (how, connection) {
        (Leased::Watch | Leased::WatchMore, Some(connection)) => {
            let MasterConnection { link, of, master } = connection;
            let lease = Lease { link, of, db, protocol, master: master.into_inner(), place };
            server.forwarding.put_lease(client.id, lease);
        }
        (_, Some(connection)) => leased_pool::give_back(server, connection, protocol),
        (_, None) => {}
    }
    reply
}

/// One that was another client's and is clean, or a new one.
async fn open(server: &Arc<Server>, protocol: Protocol) -> Result<MasterConnection, Fault> {
    match leased_pool::take(server, protocol).await {
        Some(connection) => Ok(connection),
        None => MasterConnection::open(server, protocol).await,
    }
}

/// Takes a place for one more connection to a real server; to others they are not bounded.
fn has_place(server: &Server, place: &mut Option<PrivatePlace>) -> bool {
    if server.upstream.is_some() && place.is_none() {
        *place = server.forwarding.enter_private(PRIVATE_MAX);
        return place.is_some();
    }
    true
}

/// What is answered where what the client watched has ended with its connection: nobody knows what
/// has changed since, so its EXEC is answered as if a watched key had, whatever it watches more.
/// `None` of what begins anew.
fn ended(how: Leased, forwarded: &Forwarded) -> Option<Vec<u8>> {
    match (how, forwarded.protocol) {
        (Leased::Exec, Protocol::Resp2) => Some(b"*-1\r\n".to_vec()),
        (Leased::Exec, Protocol::Resp3) => Some(b"_\r\n".to_vec()),
        (Leased::WatchMore, _) => Some(b"+OK\r\n".to_vec()),
        (Leased::Watch | Leased::Once | Leased::Kill, _) => None,
    }
}

/// Answers the connection, too, unless it has ended.
async fn exchange(
    server: &Server,
    connection: MasterConnection,
    mut db: Option<usize>,
    forwarded: Forwarded,
) -> (JobReply, Option<MasterConnection>) {
    let (answer, answered) = channel();
    let (mut sent, mut bytes) = (Sent::default(), Vec::new());
    sent.add(Queued { forwarded, answer }, &mut db, &mut bytes);
    sent.close(connection.question(&server.set), &mut bytes);
    let mut replies = connection.replies();
    let done = async {
        connection.send(&bytes).await?;
        while let Took::More = sent.take(&replies.next(&connection.link).await?)? {}
        Ok::<_, Fault>(())
    };
    let done = done.await;
    if let Err(fault) = &done
        && !sent.is_answered()
    {
        log::warn!("event=forward-lost runs=1 why={fault}");
        sent.fail(&lost_at(server, &connection.of));
    }
    (reply_of(answered).await, done.is_ok().then_some(connection))
}
