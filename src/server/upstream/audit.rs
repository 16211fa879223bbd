//! The auditor: reads that replicas have answered are read again, and what a replica then shows is
//! compared with the master's history.
//!
//! ```text
//!   master   ── read: M, at Q ─────────────────────────── PING ──▶  nobody has written it since M?
//!   replica        └──▶ proves to have Q, read: R ──▶──┘            then R must be M
//! ```
//!
//! The master tells who has written a key since it was read (CLIENT TRACKING). So what is wrong is
//! wrong: the replica has shown what is no part of the history that it has proved to have.

use super::dispatch::answer_to;
use super::talk::{Talk, other};
use crate::base::places::Places;
use crate::base::position::Position;
use crate::base::remote_address::RemoteAddress;
use crate::node::upstream::{ReadRun, Report, RunKind, Sample};
use crate::replication::ASK_MASTER_INFO;
use crate::resp::Protocol;
use crate::route::{Allowed, Ladder, Step};
use crate::runtime::{clock, tasks};
use crate::state::{Aim, CheckOutcome, Upstream};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long a replica has to get what the master had.
const WAIT: Duration = Duration::from_secs(1);
/// How long to rest when the master cannot be asked.
const REST: Duration = Duration::from_millis(100);

/// Checks what is sampled, until the process ends.
pub async fn attend(upstream: Arc<Upstream>) {
    let audit = &upstream.checks.audit;
    let mut connection = None;
    loop {
        let news = audit.news();
        let Some(sample) = audit.take() else {
            news.await;
            continue;
        };
        let outcome = match check(&upstream, &mut connection, &sample).await {
            Ok(outcome) => outcome,
            Err(error) => {
                log::debug!("event=audit-unchecked why={error}");
                connection = None;
                tasks::sleep(REST).await;
                CheckOutcome::Unchecked
            }
        };
        audit.count(outcome);
    }
}

/// A connection to the master, which tells what is written of what was read over it.
struct Tracking {
    talk: Talk,
    master: RemoteAddress,
    patience: Duration,
    /// Something that was read here has been written since this was cleared.
    has_moved: bool,
}

impl Tracking {
    async fn open(upstream: &Upstream) -> io::Result<Tracking> {
        let master = upstream.view().master.ok_or_else(|| other("there is no master"))?;
        let (settings, member) = (&upstream.settings, upstream.member(master));
        let talk = Talk::with(upstream, &member.address).await?;
        let (master, patience) = (member.address.clone(), settings.replica_timeout);
        let mut tracking = Tracking { talk, master, patience, has_moved: false };
        for words in [&[&b"HELLO"[..], b"3"][..], &[b"CLIENT", b"TRACKING", b"ON"]] {
            let reply = tracking.ask(words).await?;
            if reply.starts_with(b"-") {
                return Err(other(String::from_utf8_lossy(&reply).trim_end()));
            }
        }
        Ok(tracking)
    }

    /// Sends this; answers its reply. Notes what was told ahead of that.
    async fn ask(&mut self, words: &[&[u8]]) -> io::Result<Vec<u8>> {
        let ask = async {
            self.talk.send(words).await?;
            loop {
                let reply = self.talk.next().await?;
                if !reply.starts_with(b">") {
                    return Ok(reply);
                }
                self.has_moved = true;
            }
        };
        let answered = tasks::within(self.patience, ask).await;
        answered.unwrap_or_else(|| Err(other("it does not answer")))
    }
}

async fn check(
    upstream: &Arc<Upstream>,
    connection: &mut Option<Tracking>,
    sample: &Sample,
) -> io::Result<CheckOutcome> {
    let master = upstream.view().master.map(|it| upstream.member(it));
    let is_of_now = |it: &Tracking| master.as_ref().is_some_and(|at| at.address == it.master);
    let mut tracking = match connection.take().filter(is_of_now) {
        Some(tracking) => tracking,
        None => Tracking::open(upstream).await?,
    };
    let (words, db) = (sample.words(), sample.db.to_string());
    tracking.ask(&[b"SELECT", db.as_bytes()]).await?;
    let at_master = tracking.ask(&words).await?;
    // What was told until here is of what was read before.
    tracking.has_moved = false;
    let report = Report::read(&tracking.ask(&ASK_MASTER_INFO).await?);
    let report = report.filter(|it| it.is_master).ok_or_else(|| other("it is no master"))?;
    let at_replica = read_at_replica(upstream, sample, report.at).await?;
    let Some(at_replica) = at_replica.filter(|it| !it.starts_with(b"-")) else {
        *connection = Some(tracking);
        return Ok(CheckOutcome::Unchecked);
    };
    tracking.ask(&[b"PING"]).await?;
    let mut outcome = match (tracking.has_moved, at_replica == at_master) {
        (true, _) => CheckOutcome::Moved,
        (false, true) => CheckOutcome::Agreed,
        (false, false) => CheckOutcome::Wrong,
    };
    if outcome == CheckOutcome::Wrong {
        // A key that has expired is gone at the master once somebody looks.
        let again = tracking.ask(&words).await?;
        tracking.ask(&[b"PING"]).await?;
        if again != at_master || tracking.has_moved {
            outcome = CheckOutcome::Moved;
        }
    }
    if outcome == CheckOutcome::Wrong {
        let name = &upstream.member(sample.member).described.name;
        let what = format!(
            "audit {}: {name} has proved {} and does not show what the master had there",
            sample.told(),
            report.at
        );
        upstream.checks.found(&what, "");
    }
    *connection = Some(tracking);
    Ok(outcome)
}

/// What the same replica shows once it has proved to have all of this; `None` when it does not
/// answer.
async fn read_at_replica(
    upstream: &Arc<Upstream>,
    sample: &Sample,
    needs: Position,
) -> io::Result<Option<Vec<u8>>> {
    let places = Places::of([sample.member].into_iter());
    let ladder = Ladder::new(&[Step::Wait(WAIT), Step::Error]).unwrap_or_default();
    let read = ReadRun {
        needs: Some(needs),
        allowed: Some(Allowed { places, named: true }),
        ladder,
        step: 0,
        waits_until: None,
        tried: Places::default(),
    };
    let run = sample.again(Protocol::Resp3, RunKind::Read(read), clock::mono_now());
    Ok(answer_to(upstream, run, Aim::Replica(sample.member), WAIT * 2).await)
}
