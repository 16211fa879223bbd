//! Sends clients' requests to the remote master, over connections that they share.
//!
//! All that waits leaves in one write, and behind it a ROLE or INFO: that says where the master's
//! stream stood when all of it was done, which becomes the floor of those who have asked. What was
//! sent and is not answered when the connection ends is an error, and is never sent again.

use super::master_connection::{Fault, MasterConnection};
use super::sent::{Sent, Took};
use crate::base::remote_address::RemoteAddress;
use crate::command::codes;
use crate::node::{Answering, Awaited, NOSCRIPT_REPLIES};
use crate::resp::{Protocol, encode_command};
use crate::runtime::tasks;
use crate::state::{Forwarded, JobReply, Lane, Queued, Server};
use futures::channel::oneshot::Receiver;
use futures::future::{Either, select};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for the master when it cannot be reached, before the next is told so.
const REST: Duration = Duration::from_millis(20);

/// Has these requests done by the master; answers their replies. A script that the master does not
/// know and that is known here is sent once more, its text ahead.
pub async fn forward(server: &Arc<Server>, mut forwarded: Forwarded) -> JobReply {
    let again = forwarded.script.take().map(|text| {
        let (worker, bytes) = (forwarded.worker, forwarded.bytes.clone());
        let again = Forwarded::new(forwarded.db, forwarded.protocol);
        (text, Forwarded { worker, bytes, ..again })
    });
    let reply = forward_once(server, forwarded).await;
    let is_unknown = |it: &Vec<u8>| NOSCRIPT_REPLIES.contains(&it.as_slice());
    match again {
        Some((text, again)) if reply.reply.as_ref().is_ok_and(is_unknown) => {
            forward_once(server, with_script(again, &text)).await
        }
        _ => reply,
    }
}

/// These requests, which name this script, with its text ahead.
fn with_script(mut forwarded: Forwarded, script: &[u8]) -> Forwarded {
    let requests = std::mem::take(&mut forwarded.bytes);
    encode_command(&mut forwarded.bytes, [&b"SCRIPT"[..], b"LOAD", script].into_iter());
    forwarded.bytes.extend_from_slice(&requests);
    forwarded.replies.push_back(Awaited::Last(2));
    forwarded
}

async fn forward_once(server: &Arc<Server>, forwarded: Forwarded) -> JobReply {
    let lane = server.forwarding.lane(forwarded.worker, forwarded.protocol);
    if lane.wants_task() {
        let protocol = forwarded.protocol;
        tasks::spawn(serve_lane(server.clone(), lane.clone(), protocol));
    }
    match lane.send(forwarded) {
        Ok(answered) => reply_of(answered).await,
        Err(forwarded) => failed(forwarded, &codes::FORWARD_QUEUE.to_string()),
    }
}

/// The replies, once they have come.
pub async fn reply_of(answered: Receiver<JobReply>) -> JobReply {
    answered.await.unwrap_or_else(|_| {
        let reply = Err(codes::FORWARD_LOST.to_string());
        JobReply { reply, wrote: None }
    })
}

/// The replies of requests that are not sent.
pub fn failed(forwarded: Forwarded, text: &str) -> JobReply {
    let reply = Ok(Answering::new(forwarded.replies).failed(text));
    JobReply { reply, wrote: None }
}

/// Serves one shared connection until the process ends.
async fn serve_lane(server: Arc<Server>, lane: Arc<Lane>, protocol: Protocol) {
    loop {
        let news = lane.news();
        if lane.is_empty() {
            news.await;
            continue;
        }
        match MasterConnection::open(&server, protocol).await {
            Ok(connection) => share(&server, &lane, connection).await,
            Err(fault) => {
                let text = codes::master_unreachable(&fault).to_string();
                for Queued { forwarded, answer } in lane.take() {
                    // Whoever has gone hears nothing.
                    let _ = answer.send(failed(forwarded, &text));
                }
                tasks::sleep(REST).await;
            }
        }
    }
}

/// Lets all who send here share this connection, until it ends.
async fn share(server: &Arc<Server>, lane: &Arc<Lane>, connection: MasterConnection) {
    let sent = Mutex::new(VecDeque::new());
    let fault = {
        let (send, receive) = (
            pin!(send_all(server, lane, &connection, &sent)),
            pin!(receive_all(&connection, &sent)),
        );
        // A set that follows another master from now on sends it nothing more.
        let other = pin!(server.set.remote_changes());
        match select(select(send, receive), other).await {
            Either::Left((Either::Left((fault, _)) | Either::Right((fault, _)), _)) => fault,
            Either::Right(_) => Fault::Closed,
        }
    };
    let lost = sent.into_inner();
    if !lost.is_empty() {
        log::warn!("event=forward-lost runs={} why={fault}", lost.len());
    }
    let text = codes::FORWARD_LOST.to_string();
    lost.into_iter().for_each(|it: Sent| it.fail(&text));
}

/// Sends what waits, as it comes. Ends with what ends the connection.
async fn send_all(
    server: &Arc<Server>,
    lane: &Lane,
    connection: &MasterConnection,
    sent: &Mutex<VecDeque<Sent>>,
) -> Fault {
    let mut db = Some(0);
    loop {
        let news = lane.news();
        let queued = lane.take();
        if queued.is_empty() {
            news.await;
            continue;
        }
        let mut bytes = Vec::new();
        let mut batch = Sent::default();
        queued.into_iter().for_each(|it| batch.add(it, &mut db, &mut bytes));
        batch.close(connection.question(&server.set), &mut bytes);
        // Before it is sent: its replies may be there before the write is done.
        sent.lock().push_back(batch);
        if let Err(fault) = connection.send(&bytes).await {
            return fault;
        }
    }
}

/// Gives replies to those who wait for them. Ends with what ends the connection.
async fn receive_all(connection: &MasterConnection, sent: &Mutex<VecDeque<Sent>>) -> Fault {
    let mut replies = connection.replies();
    loop {
        let reply = match replies.next(&connection.link).await {
            Ok(reply) => reply,
            Err(fault) => return fault.into(),
        };
        let mut sent = sent.lock();
        let Some(batch) = sent.front_mut() else { return Fault::Unasked };
        match batch.take(&reply) {
            Ok(Took::More) => {}
            Ok(Took::Untold) => drop(sent.pop_front()),
            Ok(Took::Last(master)) => {
                *connection.master.lock() = master;
                sent.pop_front();
            }
            Err(fault) => {
                sent.pop_front();
                return fault;
            }
        }
    }
}

/// How operators call the real server at this address.
pub fn name_at(server: &Server, address: &RemoteAddress) -> Option<String> {
    let upstream = server.upstream.as_ref()?;
    Some(upstream.member(upstream.place_of(address)?).described.name.clone())
}

/// What a client is told whose connection to this master has ended.
pub fn lost_at(server: &Server, address: &RemoteAddress) -> String {
    let name = name_at(server, address);
    name.map_or(codes::FORWARD_LOST, |it| codes::lost_at(&it)).to_string()
}
