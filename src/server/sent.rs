//! Requests that were sent to the remote master together, and whose replies come in their order.

use super::master_connection::Fault;
use super::question::Question;
use crate::node::{Answering, FoundMaster, Selected};
use crate::resp::encode_command;
use crate::state::{JobReply, Queued, Wrote};
use futures::channel::oneshot::Sender;
use std::collections::VecDeque;

/// What the next reply is.
enum Step {
    /// The reply of SELECT.
    Selected,
    /// One of these requests'.
    Of(usize),
    /// Where the master's stream stands.
    End(Question),
}

/// What a reply was.
#[derive(Debug)]
pub enum Took {
    /// More come.
    More,
    /// The last: this master has told where its stream stands.
    Last(FoundMaster),
    /// The last: the master has not told.
    Untold,
}

/// Requests that were sent together.
#[derive(Default)]
pub struct Sent {
    steps: VecDeque<Step>,
    waiting: Vec<(Answering, Sender<JobReply>)>,
    selected: Selected,
}

impl Sent {
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
    pub fn close(&mut self, question: Question, bytes: &mut Vec<u8>) {
        question.encode(bytes);
        self.steps.push_back(Step::End(question));
    }

    /// Takes the next reply. A server that is no master any more is an error: what it tells when it
    /// has become one again is of another history. So is one that has not selected what it should,
    /// behind the last reply: what is selected now is not known.
    pub fn take(&mut self, reply: &[u8]) -> Result<Took, Fault> {
        let took = self.take_next(reply)?;
        match self.selected.refusal() {
            Some(error) if !matches!(took, Took::More) => {
                Err(Fault::Refused(String::from_utf8_lossy(error).trim_end().to_owned()))
            }
            _ => Ok(took),
        }
    }

    fn take_next(&mut self, reply: &[u8]) -> Result<Took, Fault> {
        match self.steps.pop_front() {
            Some(Step::Of(of)) => self.waiting[of].0.take(self.selected.reply(reply)),
            // A server that is busy with a script, or must not be asked.
            Some(Step::End(_)) if reply.starts_with(b"-") => {
                self.finish(None);
                return Ok(Took::Untold);
            }
            Some(Step::End(question)) => {
                let told = question.answer(reply);
                self.finish(told.map(Wrote::There));
                return told.map(|it| Took::Last(it.by)).ok_or(Fault::NotMaster);
            }
            Some(Step::Selected) => _ = self.selected.take(reply),
            None => {}
        }
        Ok(Took::More)
    }

    /// Whether nobody waits any more.
    pub fn is_answered(&self) -> bool {
        self.waiting.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::{Offset, ReplId};
    use crate::node::{Awaited, Told};
    use crate::resp::Protocol;
    use crate::state::Forwarded;
    use futures::channel::oneshot::channel;

    const MASTER: FoundMaster = FoundMaster { number: 3, replid: None };

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
        let (mut batch, mut db, mut bytes) = (Sent::default(), Some(0), Vec::new());
        [one, two].into_iter().for_each(|it| batch.add(it, &mut db, &mut bytes));
        batch.close(Question::Role(MASTER), &mut bytes);
        assert_eq!(db, Some(3));
        assert!(bytes.ends_with(b"*1\r\n$4\r\nROLE\r\n"));
        let role = b"*3\r\n$6\r\nmaster\r\n:77\r\n*0\r\n";
        let replies: [&[u8]; 6] =
            [b"+A\r\n", b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n", b":1\r\n", role];
        let is_last = |it| matches!(it, Took::Last(MASTER));
        let ends: Vec<bool> = replies.iter().map(|it| is_last(batch.take(it).unwrap())).collect();
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
        let (mut batch, mut db, mut bytes) = (Sent::default(), Some(0), Vec::new());
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
    fn what_was_done_in_another_database_is_an_error_and_the_connection_ends() {
        let (one, mut answered) = queued(9, vec![Awaited::Last(1), Awaited::Last(1)]);
        let (mut batch, mut bytes) = (Sent::default(), Vec::new());
        batch.add(one, &mut Some(0), &mut bytes);
        batch.close(Question::Role(MASTER), &mut bytes);
        let (no, busy) = (b"-ERR DB index is out of range\r\n", b"-BUSY x\r\n");
        for reply in [&no[..], b"+OK\r\n", busy] {
            assert!(matches!(batch.take(reply), Ok(Took::More)));
        }
        let role = b"*3\r\n$6\r\nmaster\r\n:77\r\n*0\r\n";
        assert!(matches!(batch.take(role), Err(Fault::Refused(_))));
        let reply = answered.try_recv().unwrap().unwrap().reply.unwrap();
        assert_eq!(reply, [&no[..], busy].concat());
    }

    #[test]
    fn who_is_no_master_any_more_is_asked_nothing_further() {
        let (one, mut answered) = queued(0, vec![Awaited::Last(1)]);
        let (mut batch, mut bytes) = (Sent::default(), Vec::new());
        batch.add(one, &mut Some(0), &mut bytes);
        batch.close(Question::Role(MASTER), &mut bytes);
        assert!(matches!(batch.take(b"-READONLY\r\n"), Ok(Took::More)));
        let role = b"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:5\r\n";
        assert!(matches!(batch.take(role), Err(Fault::NotMaster)));
        let reply = answered.try_recv().unwrap().unwrap();
        assert_eq!((reply.reply.unwrap(), reply.wrote), (b"-READONLY\r\n".to_vec(), None));
    }

    #[test]
    fn a_master_may_tell_its_history_with_the_place() {
        let replid = ReplId::new([7; 20]);
        let (one, mut answered) = queued(0, vec![Awaited::Last(1)]);
        let (mut batch, mut bytes) = (Sent::default(), Vec::new());
        batch.add(one, &mut Some(0), &mut bytes);
        batch.close(Question::Info, &mut bytes);
        batch.take(b"+OK\r\n").unwrap();
        let told =
            format!("$9\r\nrole:master\r\nmaster_replid:{replid}\r\nmaster_repl_offset:50\r\n");
        let Ok(Took::Last(by)) = batch.take(told.as_bytes()) else { panic!("no end") };
        assert_eq!(by.replid, Some(replid));
        let wrote = Some(Wrote::There(Told { offset: Offset::new(50), by }));
        assert_eq!(answered.try_recv().unwrap().unwrap().wrote, wrote);
    }
}
