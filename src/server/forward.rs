//! Sends clients' requests to the remote master, over connections that they share.
//!
//! All that waits leaves in one write, and behind it a ROLE: its answer says where the master's
//! stream stood when all of it was done, which becomes the floor of those who have asked. What was
//! sent and is not answered when the connection ends is an error, and is never sent again.

use super::master_connection::{Fault, MasterConnection};
use crate::base::position::Offset;
use crate::command::codes;
use crate::resp::{Protocol, encode_command};
use crate::runtime::tasks;
use crate::state::{Answering, Forwarded, JobReply, Lane, Queued, Server};
use futures::channel::oneshot::Sender;
use futures::future::{Either, select};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for the master when it cannot be reached, before the next is told so.
const REST: Duration = Duration::from_millis(20);

/// Has these requests done by the master; answers their replies.
pub async fn forward(server: &Arc<Server>, forwarded: Forwarded) -> JobReply {
    let lane = server.forwarding.lane(forwarded.worker, forwarded.protocol);
    if lane.wants_task() {
        let protocol = forwarded.protocol;
        tasks::spawn(serve_lane(server.clone(), lane.clone(), protocol));
    }
    match lane.send(forwarded) {
        Ok(answered) => answered.await.unwrap_or_else(|_| {
            let reply = Err(codes::FORWARD_LOST.to_string());
            JobReply { reply, wrote: None }
        }),
        Err(forwarded) => failed(forwarded, &codes::FORWARD_QUEUE.to_string()),
    }
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
        let (send, receive) =
            (pin!(send_all(lane, &connection, &sent)), pin!(receive_all(&connection, &sent)));
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
    lane: &Lane,
    connection: &MasterConnection,
    sent: &Mutex<VecDeque<Sent>>,
) -> Fault {
    let mut db = 0;
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
        batch.close(&mut bytes);
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
        let reply = match replies.next(connection).await {
            Ok(reply) => reply,
            Err(fault) => return fault,
        };
        let mut sent = sent.lock();
        let Some(batch) = sent.front_mut() else { return Fault::Unasked };
        if batch.take(&reply) {
            sent.pop_front();
        }
    }
}

/// What the next reply is.
enum Step {
    /// The reply of SELECT.
    Selected,
    /// One of these requests'.
    Of(usize),
    /// That of ROLE.
    Role,
}

/// Requests that were sent together.
#[derive(Default)]
struct Sent {
    steps: VecDeque<Step>,
    waiting: Vec<(Answering, Sender<JobReply>)>,
}

impl Sent {
    fn add(&mut self, queued: Queued, db: &mut usize, bytes: &mut Vec<u8>) {
        let Queued { forwarded, answer } = queued;
        if forwarded.db != *db {
            let number = forwarded.db.to_string();
            encode_command(bytes, [&b"SELECT"[..], number.as_bytes()].into_iter());
            self.steps.push_back(Step::Selected);
        }
        bytes.extend_from_slice(&forwarded.bytes);
        let of = self.waiting.len();
        self.steps.extend((0..forwarded.replies_of_master()).map(|_| Step::Of(of)));
        *db = forwarded.db_after;
        self.waiting.push((Answering::new(forwarded.replies), answer));
    }

    fn close(&mut self, bytes: &mut Vec<u8>) {
        encode_command(bytes, [&b"ROLE"[..]].into_iter());
        self.steps.push_back(Step::Role);
    }

    /// Takes the next reply. Answers whether it was the last.
    fn take(&mut self, reply: &[u8]) -> bool {
        match self.steps.pop_front() {
            Some(Step::Of(of)) => self.waiting[of].0.take(reply),
            Some(Step::Role) => self.finish(role_offset(reply)),
            Some(Step::Selected) | None => {}
        }
        self.steps.is_empty()
    }

    fn finish(&mut self, wrote: Option<Offset>) {
        for (answering, answer) in self.waiting.drain(..) {
            let reply = Ok(answering.into_bytes());
            // Whoever has gone meanwhile hears nothing.
            let _ = answer.send(JobReply { reply, wrote });
        }
    }

    fn fail(self, text: &str) {
        for (answering, answer) in self.waiting {
            let reply = Ok(answering.failed(text));
            let _ = answer.send(JobReply { reply, wrote: None });
        }
    }
}

/// The offset in the reply of ROLE, of one that is a master.
pub fn role_offset(reply: &[u8]) -> Option<Offset> {
    let rest = reply.strip_prefix(b"*3\r\n$6\r\nmaster\r\n:")?;
    let end = rest.iter().position(|it| *it == b'\r')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some(Offset::new(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Awaited;
    use futures::channel::oneshot::channel;

    fn queued(
        db: usize,
        replies: Vec<Awaited>,
    ) -> (Queued, futures::channel::oneshot::Receiver<JobReply>) {
        let (answer, answered) = channel();
        let mut forwarded = Forwarded::new(db, Protocol::Resp2);
        forwarded.bytes = b"*1\r\n$4\r\nPING\r\n".to_vec();
        forwarded.replies = replies.into();
        (Queued { forwarded, answer }, answered)
    }

    #[test]
    fn replies_go_to_those_who_asked_with_the_offset_behind_them() {
        let known = Awaited::Known(b"-ERR here\r\n".to_vec());
        let (one, mut first) = queued(0, vec![known.clone(), Awaited::Last(1), known.clone()]);
        let (two, mut second) = queued(3, vec![Awaited::Last(3)]);
        let (mut batch, mut db, mut bytes) = (Sent::default(), 0, Vec::new());
        [one, two].into_iter().for_each(|it| batch.add(it, &mut db, &mut bytes));
        batch.close(&mut bytes);
        assert_eq!(db, 3);
        assert!(bytes.ends_with(b"*1\r\n$4\r\nROLE\r\n"));
        let role = b"*3\r\n$6\r\nmaster\r\n:77\r\n*0\r\n";
        let replies: [&[u8]; 6] =
            [b"+A\r\n", b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b":1\r\n", role];
        let ends: Vec<bool> = replies.iter().map(|it| batch.take(it)).collect();
        assert_eq!(ends, [false, false, false, false, false, true]);
        let reply = |it: &mut futures::channel::oneshot::Receiver<JobReply>| {
            let it = it.try_recv().unwrap().unwrap();
            (it.reply.unwrap(), it.wrote)
        };
        let wrote = Some(Offset::new(77));
        assert_eq!(reply(&mut first), (b"-ERR here\r\n+A\r\n-ERR here\r\n".to_vec(), wrote));
        assert_eq!(reply(&mut second), (b":1\r\n".to_vec(), wrote));
    }

    #[test]
    fn the_offset_of_a_replica_is_no_floor() {
        assert_eq!(role_offset(b"*5\r\n$5\r\nslave\r\n"), None);
        assert_eq!(role_offset(b"-ERR\r\n"), None);
    }
}
