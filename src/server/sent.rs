//! Requests that were sent to the remote master together, and whose replies come in their order.

use super::master_connection::Fault;
use crate::base::position::Offset;
use crate::node::{FoundMaster, Told};
use crate::resp::encode_command;
use crate::state::{Answering, JobReply, Queued, Wrote};
use futures::channel::oneshot::Sender;
use std::collections::VecDeque;

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
pub struct Sent {
    master: FoundMaster,
    steps: VecDeque<Step>,
    waiting: Vec<(Answering, Sender<JobReply>)>,
}

impl Sent {
    /// None yet, over a connection that has found this master.
    pub fn to(master: FoundMaster) -> Sent {
        Sent { master, steps: VecDeque::new(), waiting: Vec::new() }
    }

    /// Adds a client's requests to those that are about to be sent as `bytes`. `db` is the database
    /// that is selected there, while that is known.
    pub fn add(&mut self, queued: Queued, db: &mut Option<usize>, bytes: &mut Vec<u8>) {
        let Queued { forwarded, answer } = queued;
        if *db != Some(forwarded.db) {
            let number = forwarded.db.to_string();
            encode_command(bytes, [&b"SELECT"[..], number.as_bytes()].into_iter());
            self.steps.push_back(Step::Selected);
        }
        bytes.extend_from_slice(&forwarded.bytes);
        let of = self.waiting.len();
        self.steps.extend((0..forwarded.replies_of_master()).map(|_| Step::Of(of)));
        *db = (!forwarded.selects).then_some(forwarded.db);
        self.waiting.push((Answering::new(forwarded.replies), answer));
    }

    /// No more are added: the master is asked where its stream stands behind them.
    pub fn close(&mut self, bytes: &mut Vec<u8>) {
        encode_command(bytes, [&b"ROLE"[..]].into_iter());
        self.steps.push_back(Step::Role);
    }

    /// Takes the next reply. Answers whether it was the last. A server that is no master any more
    /// is an error: what it tells when it has become one again is of another history.
    pub fn take(&mut self, reply: &[u8]) -> Result<bool, Fault> {
        match self.steps.pop_front() {
            Some(Step::Of(of)) => self.waiting[of].0.take(reply),
            Some(Step::Role) => {
                let offset = role_offset(reply);
                self.finish(offset.map(|offset| Wrote::There(Told { offset, by: self.master })));
                return offset.map(|_| true).ok_or(Fault::NotMaster);
            }
            Some(Step::Selected) | None => {}
        }
        Ok(self.steps.is_empty())
    }

    fn finish(&mut self, wrote: Option<Wrote>) {
        for (answering, answer) in self.waiting.drain(..) {
            let reply = Ok(answering.into_bytes());
            // Whoever has gone meanwhile hears nothing.
            let _ = answer.send(JobReply { reply, wrote });
        }
    }

    /// What was not answered never will be: it gets this error.
    pub fn fail(self, text: &str) {
        for (answering, answer) in self.waiting {
            let reply = Ok(answering.failed(text));
            let _ = answer.send(JobReply { reply, wrote: None });
        }
    }
}

/// The offset in the reply of ROLE, of one that is a master.
fn role_offset(reply: &[u8]) -> Option<Offset> {
    let rest = reply.strip_prefix(b"*3\r\n$6\r\nmaster\r\n:")?;
    let end = rest.iter().position(|it| *it == b'\r')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some(Offset::new(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Protocol;
    use crate::state::{Awaited, Forwarded};
    use futures::channel::oneshot::channel;

    const MASTER: FoundMaster = FoundMaster { connection: 3, replid: None };

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
        let (mut batch, mut db, mut bytes) = (Sent::to(MASTER), Some(0), Vec::new());
        [one, two].into_iter().for_each(|it| batch.add(it, &mut db, &mut bytes));
        batch.close(&mut bytes);
        assert_eq!(db, Some(3));
        assert!(bytes.ends_with(b"*1\r\n$4\r\nROLE\r\n"));
        let role = b"*3\r\n$6\r\nmaster\r\n:77\r\n*0\r\n";
        let replies: [&[u8]; 6] =
            [b"+A\r\n", b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b":1\r\n", role];
        let ends: Vec<bool> = replies.iter().map(|it| batch.take(it).unwrap()).collect();
        assert_eq!(ends, [false, false, false, false, false, true]);
        let reply = |it: &mut futures::channel::oneshot::Receiver<JobReply>| {
            let it = it.try_recv().unwrap().unwrap();
            (it.reply.unwrap(), it.wrote)
        };
        let wrote = Some(Wrote::There(Told { offset: Offset::new(77), by: MASTER }));
        assert_eq!(reply(&mut first), (b"-ERR here\r\n+A\r\n-ERR here\r\n".to_vec(), wrote));
        assert_eq!(reply(&mut second), (b":1\r\n".to_vec(), wrote));
    }

    #[test]
    fn what_a_transaction_may_have_selected_is_not_taken_for_granted() {
        let (mut batch, mut db, mut bytes) = (Sent::to(MASTER), Some(0), Vec::new());
        let (mut transaction, _first) = queued(0, vec![Awaited::Last(1)]);
        transaction.forwarded.selects = true;
        batch.add(transaction, &mut db, &mut bytes);
        assert_eq!(db, None);
        bytes.clear();
        batch.add(queued(0, vec![Awaited::Last(1)]).0, &mut db, &mut bytes);
        assert!(bytes.starts_with(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"));
        assert_eq!(db, Some(0));
    }

    #[test]
    fn who_is_no_master_any_more_is_asked_nothing_further() {
        let (one, mut answered) = queued(0, vec![Awaited::Last(1)]);
        let (mut batch, mut bytes) = (Sent::to(MASTER), Vec::new());
        batch.add(one, &mut Some(0), &mut bytes);
        batch.close(&mut bytes);
        assert!(!batch.take(b"-READONLY\r\n").unwrap());
        let role = b"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:5\r\n";
        assert!(matches!(batch.take(role), Err(Fault::NotMaster)));
        let reply = answered.try_recv().unwrap().unwrap();
        assert_eq!((reply.reply.unwrap(), reply.wrote), (b"-READONLY\r\n".to_vec(), None));
    }

    #[test]
    fn the_offset_of_a_replica_is_no_floor() {
        assert_eq!(role_offset(b"*5\r\n$5\r\nslave\r\n"), None);
        assert_eq!(role_offset(b"-ERR\r\n"), None);
    }
}
