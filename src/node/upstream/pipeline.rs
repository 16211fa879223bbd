//! One connection to a server, which many clients share: what is sent, and what the replies mean.
//!
//! All that waits leaves together. Ahead of reads that need something of a replica it is asked how
//! it stands, and each of them is accepted by that; behind what matters to its client it is asked
//! again: no reply can have shown more than that. What was sent and is not answered when the
//! connection ends is handed back as lost.

use super::report::Report;
use super::run::Run;
use super::stand::{ROLE, Stand};
use crate::base::position::{Position, ReplId};
use crate::base::time::MonoUs;
use crate::node::{Answering, Selected};
use crate::replication::ASK_MASTER_INFO;
use crate::resp::{Protocol, ReplyScanner, encode_command};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The longest reply.
const REPLY_BYTES_MAX: usize = 1 << 30;
/// Read bytes that were handled are kept until they are so many.
const HANDLED_BYTES_MAX: usize = 64 << 10;
/// Bytes of requests that are sent and not answered, at most.
const IN_FLIGHT_BYTES_MAX: usize = 16 << 20;
/// The database that a new connection has selected.
const FIRST_DB: usize = 0;
/// An epoch that never is.
const NEVER: u64 = u64::MAX;

/// What ends a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectionFault {
    /// The socket.
    Io(String),
    /// It did not answer in time.
    TimedOut,
    /// What it said when it was told who we are.
    Refused(String),
    /// What it sent is no reply.
    Broken,
    /// It sent a reply that nobody waits for.
    Unasked,
    /// Another has become the master.
    Overtaken,
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionFault::Io(error) => f.write_str(error),
            ConnectionFault::TimedOut => f.write_str("it does not answer"),
            ConnectionFault::Refused(text) => f.write_str(text),
            ConnectionFault::Broken => f.write_str("its bytes are no reply"),
            ConnectionFault::Unasked => f.write_str("it sent a reply that nobody waits for"),
            ConnectionFault::Overtaken => f.write_str("another has become the master"),
        }
    }
}

/// What became of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is answered, and nothing was asked of where the stream stands.
    Answered,
    /// It is answered, and the stream stood here behind it.
    AnsweredAt(Position),
    /// It is answered, and the server has not told where its stream stands.
    Untold,
    /// The replica has not, or cannot prove to have, what it needs: nothing of it counts.
    Behind,
    /// The server is no master any more: what it reads may be old.
    NotMaster,
    /// Nothing of it was done: the server is no master, or loads, or has no link.
    Bounced,
    /// The connection ended before all of it was answered.
    Lost,
}

/// A run that has come to an end here.
#[derive(Debug)]
pub struct Done<W> {
    /// The run.
    pub run: Run,
    /// Who waits for it.
    pub waiter: W,
    /// Its replies.
    pub replies: Answering,
    /// What became of it.
    pub verdict: Verdict,
}

/// How a server stood when it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stood {
    /// Where its stream stood; `None` when its history is not known, or it has nothing.
    pub at: Option<Position>,
    /// Whether it was a master.
    pub is_master: bool,
    /// Whether it was one, or had a link to one.
    pub is_linked: bool,
}

/// How to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    /// ROLE: its history is known.
    Role,
    /// INFO, which names that.
    Info,
}

/// What the next reply is.
enum Step {
    /// That of who we are, which may not be an error.
    Greeted,
    /// One that does not matter.
    Ignored,
    /// That of SELECT.
    Selected,
    /// That of INFO, when the connection begins.
    Introduced,
    /// How it stands, ahead of the requests.
    Ahead(Question),
    /// That of PING.
    Pinged,
    /// One of this run's.
    Of(usize),
    /// How it stands, behind the requests.
    Behind(Question),
}

/// What was sent together.
struct Batch<W> {
    steps: VecDeque<Step>,
    runs: Vec<(Run, W, Answering)>,
    ahead: Option<Stood>,
    behind: Option<Stood>,
    is_behind_asked: bool,
    epoch: u64,
    asked_at: MonoUs,
    due: MonoUs,
    /// How long the server may be silent before it.
    patience: Duration,
    bytes: usize,
}

/// How long a server may take to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Reads of a replica.
    pub replica: Duration,
    /// What is the master's.
    pub master: Duration,
}

/// What is known of the server's history.
struct Found {
    replid: ReplId,
    /// Its master, if it has one.
    follows: Option<(Vec<u8>, u16)>,
    /// As of when.
    epoch: u64,
}

/// One connection.
pub struct Pipeline<W> {
    patience: Patience,
    /// What the server has selected behind all that was sent, where that is known.
    db: Option<usize>,
    selected: Selected,
    found: Option<Found>,
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    handled: usize,
    scanner: ReplyScanner,
    batches: VecDeque<Batch<W>>,
    in_flight_bytes: usize,
    reports: Vec<Report>,
    /// When something came last.
    heard_at: MonoUs,
    /// When the first was asked of what was answered since it was looked last.
    answered: Option<MonoUs>,
    is_ready: bool,
    is_loading: bool,
    is_busy: bool,
}

impl<W> Pipeline<W> {
    /// A connection that has just begun, and what it says first.
    pub fn open(
        login: Option<(Option<&str>, &str)>,
        protocol: Protocol,
        patience: Patience,
        epoch: u64,
        now: MonoUs,
    ) -> Pipeline<W> {
        let (mut out, mut steps) = (Vec::new(), VecDeque::new());
        let mut say = |words: &[&[u8]], step| {
            encode_command(&mut out, words.iter().copied());
            steps.push_back(step);
        };
        if let Some((user, password)) = login {
            let words = [Some("AUTH"), user, Some(password)];
            let words: Vec<&[u8]> = words.into_iter().flatten().map(str::as_bytes).collect();
            say(&words, Step::Greeted);
        }
        if protocol == Protocol::Resp3 {
            say(&[b"HELLO", b"3"], Step::Greeted);
        }
        say(&[b"CLIENT", b"SETNAME", b"entourage"], Step::Ignored);
        say(&ASK_MASTER_INFO, Step::Introduced);
        let first = Batch {
            steps,
            runs: Vec::new(),
            ahead: None,
            behind: None,
            is_behind_asked: false,
            epoch,
            asked_at: now,
            due: now.plus(patience.replica),
            patience: patience.replica,
            bytes: 0,
        };
        Pipeline {
            patience,
            db: Some(FIRST_DB),
            selected: Selected::default(),
            found: None,
            out,
            sent: 0,
            input: Vec::new(),
            handled: 0,
            scanner: ReplyScanner::default(),
            batches: VecDeque::from([first]),
            in_flight_bytes: 0,
            reports: Vec::new(),
            heard_at: now,
            answered: None,
            is_ready: false,
            is_loading: false,
            is_busy: false,
        }
    }

    /// Whether the server has taken us in.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether the server loads its data, by its answer to the last probe.
    pub fn is_loading(&self) -> bool {
        self.is_loading
    }

    /// Whether the server is busy with a script, by its answer to the last probe.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Asks how the server stands.
    pub fn probe(&mut self, epoch: u64, now: MonoUs) {
        encode_command(&mut self.out, [&b"PING"[..]].into_iter());
        Question::Info.encode(&mut self.out);
        self.batches.push_back(Batch {
            steps: VecDeque::from([Step::Pinged, Step::Behind(Question::Info)]),
            runs: Vec::new(),
            ahead: None,
            behind: None,
            is_behind_asked: true,
            epoch,
            asked_at: now,
            due: now.plus(self.patience.replica),
            patience: self.patience.replica,
            bytes: 0,
        });
    }

    /// Whether more may be sent: so much is not answered that it would only be more to lose.
    pub fn has_room(&self) -> bool {
        self.in_flight_bytes < IN_FLIGHT_BYTES_MAX
    }

    /// Sends these together. `epoch` is that of what is known of the members now.
    pub fn submit(&mut self, runs: Vec<(Run, W)>, epoch: u64, now: MonoUs) {
        if runs.is_empty() {
            return;
        }
        let question = match &self.found {
            Some(found) if found.epoch == epoch => Question::Role,
            _ => Question::Info,
        };
        let mut steps = VecDeque::new();
        let before = self.out.len();
        if runs.iter().any(|it| it.0.needs().is_some()) {
            question.encode(&mut self.out);
            steps.push_back(Step::Ahead(question));
        }
        let wants_place = runs.iter().any(|it| it.0.wants_place());
        let has_master = runs.iter().any(|it| it.0.is_for_master());
        let mut taken = Vec::with_capacity(runs.len());
        for (run, waiter) in runs {
            if self.db != Some(run.db) {
                let number = run.db.to_string();
                let words = [&b"SELECT"[..], number.as_bytes()];
                encode_command(&mut self.out, words.into_iter());
                steps.push_back(Step::Selected);
            }
            self.out.extend_from_slice(&run.bytes);
            let of = taken.len();
            steps.extend((0..run.server_replies()).map(|_| Step::Of(of)));
            self.db = (!run.selects).then_some(run.db);
            let answering = Answering::new(run.replies.clone());
            taken.push((run, waiter, answering));
        }
        if wants_place {
            question.encode(&mut self.out);
            steps.push_back(Step::Behind(question));
        }
        let bytes = self.out.len() - before;
        self.in_flight_bytes += bytes;
        let patience = if has_master { self.patience.master } else { self.patience.replica };
        self.batches.push_back(Batch {
            steps,
            runs: taken,
            ahead: None,
            behind: None,
            is_behind_asked: wants_place,
            epoch,
            asked_at: now,
            due: now.plus(patience),
            patience,
            bytes,
        });
    }

    /// What is to be sent.
    pub fn to_send(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// So many bytes of it have been.
    pub fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Where what is received is to be added.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    /// Handles what was received; adds what has come to an end to `done`.
    pub fn handle(&mut self, done: &mut Vec<Done<W>>) -> Result<(), ConnectionFault> {
        let input = std::mem::take(&mut self.input);
        let handled = self.handle_in(&input, done);
        self.input = input;
        if self.handled == self.input.len() {
            self.input.clear();
            self.handled = 0;
        } else if HANDLED_BYTES_MAX < self.handled {
            self.input.drain(..self.handled);
            self.handled = 0;
        }
        handled
    }

    fn handle_in(&mut self, input: &[u8], done: &mut Vec<Done<W>>) -> Result<(), ConnectionFault> {
        loop {
            let rest = &input[self.handled..];
            let found = self.scanner.poll(rest).map_err(|_| ConnectionFault::Broken)?;
            let Some(len) = found else {
                let is_too_long = REPLY_BYTES_MAX < rest.len();
                return if is_too_long { Err(ConnectionFault::Broken) } else { Ok(()) };
            };
            self.handled += len;
            self.take(&rest[..len], done)?;
        }
    }

    /// When the server has been silent for too long; `None` while nothing is asked of it.
    pub fn deadline(&self) -> Option<MonoUs> {
        let front = self.batches.front()?;
        Some(front.due.max(self.heard_at.plus(front.patience)))
    }

    /// Whether something is not answered that only a master may answer.
    pub fn has_runs_of_master(&self) -> bool {
        self.batches.iter().flat_map(|it| &it.runs).any(|it| it.0.is_for_master())
    }

    /// Something of it has come now: a long reply takes its time, and is no silence.
    pub fn heard(&mut self, now: MonoUs) {
        self.heard_at = now;
    }

    /// What the server has told of itself since this was asked.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// When the oldest was asked of what was answered since this was looked at last.
    pub fn take_answered(&mut self) -> Option<MonoUs> {
        self.answered.take()
    }

    /// The connection has ended: what was not answered.
    pub fn end(self) -> Vec<Done<W>> {
        let runs = self.batches.into_iter().flat_map(|it| it.runs);
        let lost = |(run, waiter, replies)| Done { run, waiter, replies, verdict: Verdict::Lost };
        runs.map(lost).collect()
    }

    fn take(&mut self, reply: &[u8], done: &mut Vec<Done<W>>) -> Result<(), ConnectionFault> {
        if reply.starts_with(b">") {
            return Ok(());
        }
        let batch = self.batches.front_mut().ok_or(ConnectionFault::Unasked)?;
        let epoch = batch.epoch;
        match batch.steps.pop_front().ok_or(ConnectionFault::Unasked)? {
            // Who does not log in is told so by the first that it asks.
            Step::Introduced if reply.starts_with(b"-NOAUTH") => {
                let text = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
                return Err(ConnectionFault::Refused(text));
            }
            Step::Greeted if reply.starts_with(b"-") => {
                let text = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
                return Err(ConnectionFault::Refused(text));
            }
            Step::Greeted | Step::Ignored => {}
            Step::Introduced => {
                self.is_ready = true;
                self.stood(Question::Info, reply, epoch);
            }
            Step::Pinged => {
                self.is_loading = reply.starts_with(b"-LOADING");
                self.is_busy = reply.starts_with(b"-BUSY");
            }
            Step::Selected => {
                if !self.selected.take(reply) {
                    self.db = None;
                }
            }
            Step::Of(of) => batch.runs[of].2.take(self.selected.reply(reply)),
            Step::Ahead(question) => {
                let stood = self.stood(question, reply, epoch);
                self.front().ahead = stood;
            }
            Step::Behind(question) => {
                let stood = self.stood(question, reply, epoch);
                self.front().behind = stood;
            }
        }
        if self.front().steps.is_empty()
            && let Some(batch) = self.batches.pop_front()
        {
            self.in_flight_bytes -= batch.bytes;
            self.answered.get_or_insert(batch.asked_at);
            batch.judge(done);
        }
        Ok(())
    }

    fn front(&mut self) -> &mut Batch<W> {
        self.batches.front_mut().expect("its reply is being taken")
    }

    /// How the server stands by its answer to this question; `None` when that is none.
    fn stood(&mut self, question: Question, reply: &[u8], epoch: u64) -> Option<Stood> {
        match question {
            Question::Info => {
                let report = Report::read(reply)?;
                let stood = Stood {
                    at: Some(report.at),
                    is_master: report.is_master,
                    is_linked: report.is_master || report.is_linked,
                };
                let (replid, follows) = (report.at.replid, report.follows.clone());
                self.found = Some(Found { replid, follows, epoch });
                self.reports.push(report);
                Some(stood)
            }
            Question::Role => {
                let found = self.found.as_mut()?;
                let (follows, is_linked, offset) = match Stand::read(reply)? {
                    Stand::Master(offset) => (None, true, Some(offset)),
                    Stand::Replica { master, is_linked, applied } => {
                        (Some(master), is_linked, applied)
                    }
                };
                let known = found.follows.as_ref().map(|(host, port)| (host.as_slice(), *port));
                let is_same = follows == known && is_linked;
                if !is_same {
                    // Its history may be another by now: it is asked for that next time.
                    found.epoch = NEVER;
                }
                let at = offset.map(|offset| Position { replid: found.replid, offset });
                let at = at.filter(|_| is_same);
                Some(Stood { at, is_master: follows.is_none(), is_linked })
            }
        }
    }
}

impl Question {
    fn encode(self, out: &mut Vec<u8>) {
        match self {
            Question::Role => encode_command(out, ROLE.into_iter()),
            Question::Info => encode_command(out, ASK_MASTER_INFO.into_iter()),
        }
    }
}

impl<W> Batch<W> {
    /// All replies are here: what they are worth.
    fn judge(self, done: &mut Vec<Done<W>>) {
        let Batch { runs, ahead, behind, is_behind_asked, .. } = self;
        for (run, waiter, replies) in runs {
            let verdict = match run.needs() {
                // A master that answers like this has run a script that does.
                _ if replies.is_bounced() && !behind.is_some_and(|it| it.is_master) => {
                    Verdict::Bounced
                }
                Some(needs) => judge_read(needs, ahead, behind),
                None if !run.wants_place() || !is_behind_asked => Verdict::Answered,
                None => match behind {
                    Some(Stood { is_master: false, .. }) => Verdict::NotMaster,
                    Some(Stood { at: Some(at), .. }) => Verdict::AnsweredAt(at),
                    Some(_) | None => Verdict::Untold,
                },
            };
            done.push(Done { run, waiter, replies, verdict });
        }
    }
}

/// Whether a replica that stood like this ahead of a read and behind it had what the read needs.
fn judge_read(needs: Position, ahead: Option<Stood>, behind: Option<Stood>) -> Verdict {
    let place = |it: Option<Stood>| {
        let it = it.filter(|it| it.is_linked)?;
        it.at.filter(|at| at.replid == needs.replid)
    };
    match (place(ahead), place(behind)) {
        (Some(ahead), Some(behind)) if needs.offset <= ahead.offset => Verdict::AnsweredAt(behind),
        _ => Verdict::Behind,
    }
}

#[cfg(test)]
mod tests;
