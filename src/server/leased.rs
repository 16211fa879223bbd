//! Sends what belongs to one client's own connection to the remote master: WATCH and the
//! transaction behind it, and calls that wait for keys.

use super::forward::{failed, role_offset};
use super::master_connection::{Fault, MasterConnection};
use crate::command::codes;
use crate::commands::Leased;
use crate::resp::{Protocol, encode_command};
use crate::state::{Answering, Client, Forwarded, JobReply, Lease, Server};
use std::sync::Arc;

/// Has these requests done over the client's own connection. When the client goes, so does the
/// connection, and the master ends what waits there.
pub async fn forward_leased(
    server: &Arc<Server>,
    client: &Client,
    forwarded: Forwarded,
    how: Leased,
) -> JobReply {
    let lease = server.forwarding.take_lease(client.id);
    let kept = lease.filter(|it| it.protocol == forwarded.protocol);
    if kept.is_none() && how == Leased::Exec {
        // What it watched has ended with its connection: nobody knows what has changed since.
        let reply = Ok(aborted(&forwarded));
        return JobReply { reply, wrote: None };
    }
    let (connection, db) = match kept {
        Some(lease) => {
            let db = lease.db;
            (MasterConnection::of(lease), db)
        }
        None => match MasterConnection::open(server, forwarded.protocol).await {
            Ok(connection) => (connection, 0),
            Err(fault) => {
                return failed(forwarded, &codes::master_unreachable(&fault).to_string());
            }
        },
    };
    let (protocol, db_after) = (forwarded.protocol, forwarded.db_after);
    let (reply, lease) = exchange(connection, db, forwarded).await;
    if let (Leased::Watch, Some(lease)) = (how, lease) {
        let lease = Lease { protocol, db: db_after, ..lease };
        server.forwarding.put_lease(client.id, lease);
    }
    reply
}

/// What EXEC answers when a watched key has changed.
fn aborted(forwarded: &Forwarded) -> Vec<u8> {
    match forwarded.protocol {
        Protocol::Resp2 => b"*-1\r\n".to_vec(),
        Protocol::Resp3 => b"_\r\n".to_vec(),
    }
}

async fn exchange(
    connection: MasterConnection,
    db: usize,
    forwarded: Forwarded,
) -> (JobReply, Option<Lease>) {
    let mut bytes = Vec::new();
    let selects = forwarded.db != db;
    if selects {
        let number = forwarded.db.to_string();
        encode_command(&mut bytes, [&b"SELECT"[..], number.as_bytes()].into_iter());
    }
    bytes.extend_from_slice(&forwarded.bytes);
    encode_command(&mut bytes, [&b"ROLE"[..]].into_iter());
    let (of_master, protocol) = (forwarded.replies_of_master(), forwarded.protocol);
    let mut answering = Answering::new(forwarded.replies);
    let mut replies = connection.replies();
    let done = async {
        connection.send(&bytes).await?;
        if selects {
            replies.next(&connection).await?;
        }
        for _ in 0..of_master {
            answering.take(&replies.next(&connection).await?);
        }
        let role = replies.next(&connection).await?;
        Ok::<_, Fault>(role_offset(&role))
    };
    match done.await {
        Ok(wrote) => {
            let reply = JobReply { reply: Ok(answering.into_bytes()), wrote };
            (reply, Some(connection.into_lease(replies, 0, protocol)))
        }
        Err(fault) => {
            log::warn!("event=forward-lost runs=1 why={fault}");
            let reply = Ok(answering.failed(&codes::FORWARD_LOST.to_string()));
            (JobReply { reply, wrote: None }, None)
        }
    }
}
