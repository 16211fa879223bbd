//! PROXY FAILOVER in front of real servers: what is the master's waits, the master hands its role
//! over by its own FAILOVER, and all goes on at the other. Nothing is under way meanwhile, so
//! nobody hears of an error; when it takes too long, the master goes on as before.
//!
//! ```text
//!           nothing is under way       FAILOVER TO       the other is master
//!   pause ──────────────────────▶ idle ───────────▶ asked ─────────────────▶ release, REPLICAOF
//!     │                             │ refused         │ no answer, too long    at the others
//!     └── time is over ──▶ release ◀┘                 └──▶ FAILOVER ABORT, release
//! ```

use super::candidate::{Pair, address_at};
use super::failover_abort::{Ordered, give_up};
use super::talk::Talk;
use crate::base::ids::MemberId;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::config::Topology;
use crate::node::upstream::{MemberState, Report};
use crate::replication::ASK_MASTER_INFO;
use crate::runtime::{clock, tasks};
use crate::state::{Server, Upstream, WaitingRuns};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether nothing is under way, or the role has changed hands.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How long the master has to say so once its own time is over.
const GRACE: Duration = Duration::from_millis(500);
/// How long the master has to say that it has given up, while what is its own waits.
const ABORT_MAX: Duration = Duration::from_secs(2);
/// For how long it is told to where it does not answer.
const UNSETTLED_MAX: Duration = Duration::from_secs(60);

/// Ends the pause, whatever becomes of it.
struct Pause {
    upstream: Arc<Upstream>,
    begun: MonoUs,
}

impl Pause {
    fn begin(upstream: &Arc<Upstream>, until: MonoUs) -> Option<Pause> {
        let (begun, upstream) = (clock::mono_now(), upstream.clone());
        upstream.switchover.begin(until).then_some(Pause { upstream, begun })
    }

    /// What waits goes on, though the switchover is not over.
    fn release(&self) {
        self.upstream.switchover.release();
        self.tell();
    }

    fn tell(&self) {
        let workers = 0..self.upstream.workers();
        workers.map(|it| self.upstream.waiting(it)).for_each(WaitingRuns::tell);
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.upstream.switchover.end();
        self.tell();
    }
}

/// Why the master does not hand over.
enum NotBegun {
    /// It has said so, or was not asked.
    Refused(String),
    /// It has not answered: it may begin at any time.
    Unanswered(String),
}

/// Makes this replica the master, within this time. Answers for how many µs the master's requests
/// waited, and what is left to do by hand.
pub async fn switch_over(
    server: &Server,
    upstream: &Arc<Upstream>,
    to: MemberId,
    timeout: Duration,
) -> Result<(u64, Vec<String>), String> {
    if matches!(upstream.settings.topology, Topology::Sentinel(_)) {
        return Err("sentinels say who is master: order SENTINEL FAILOVER there".to_owned());
    }
    let view = upstream.view();
    let from = view.master.ok_or("there is no master that could hand over")?;
    let state = &view.members[to.index()].state;
    if from == to {
        return Err("it is the master".to_owned());
    }
    if !matches!(state, MemberState::Replica | MemberState::Drained) {
        return Err(format!("it is {state}"));
    }
    // They are told to follow the new master, whatever they look like while roles change. Whom the
    // stream does not come to now may follow anybody, or nobody on purpose. Places name them: only
    // members that sentinels have found are ever none any more.
    let is_other = |it: &usize| *it != from.index() && *it != to.index();
    let is_fed = |it: &usize| view.members[*it].state.may_be_fed();
    let (others, unfed): (Vec<usize>, Vec<usize>) =
        (0..view.members.len()).filter(is_other).partition(is_fed);
    let until = clock::mono_now().plus(timeout);
    let (mut old, mut new) = (open(upstream, from).await?, open(upstream, to).await?);
    let pair = Pair { master: &mut old, replica: &mut new };
    let address = address_at(pair, upstream, to).await?;
    let pause = Pause::begin(upstream, until).ok_or("another switchover is under way")?;
    let swap = Swap { upstream, from, to, address: &address, until };
    swap.until_idle().await?;
    let idle_us = clock::mono_now().since(pause.begun);
    match swap.ask(&mut old).await {
        Ok(()) => {}
        Err(NotBegun::Refused(why)) => return Err(why),
        Err(NotBegun::Unanswered(why)) => {
            settle(pause, from, Ordered::Unanswered(old)).await;
            return Err(why);
        }
    }
    if let Err(why) = swap.until_swapped(&mut old, &mut new).await {
        settle(pause, from, Ordered::Begun).await;
        return Err(why);
    }
    // Whoever watched something there has watched it at one who is no master any more.
    server.forwarding.drop_leases();
    let paused_us = clock::mono_now().since(pause.begun);
    drop(pause);
    log::info!(
        "event=upstream-switchover to={address} paused_us={paused_us} idle_after_us={idle_us}"
    );
    let mut left = follow_others(upstream, &others, &address).await;
    left.extend(unfed.iter().map(|it| upstream.member(MemberId::of(*it)).described.name.clone()));
    upstream.ask_now();
    Ok((paused_us, left))
}

async fn open(upstream: &Upstream, member: MemberId) -> Result<Talk, String> {
    let member = upstream.member(member);
    let talk = Talk::with(upstream, &member.address).await;
    talk.map_err(|it| format!("{} cannot be asked: {it}", member.described.name))
}

/// One handing over, within its pause.
struct Swap<'u> {
    upstream: &'u Upstream,
    from: MemberId,
    to: MemberId,
    address: &'u RemoteAddress,
    until: MonoUs,
}

impl Swap<'_> {
    fn left(&self) -> Option<Duration> {
        Some(clock::until(self.until)).filter(|it| !it.is_zero())
    }

    /// Until all that was sent to the master is answered.
    async fn until_idle(&self) -> Result<(), String> {
        let load = self.upstream.member(self.from).load.clone();
        while load.in_flight() != 0 || self.upstream.switchover.private_work() != 0 {
            self.left().ok_or("the master has not answered in time what it was sent before")?;
            tasks::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Has the master begin.
    async fn ask(&self, old: &mut Talk) -> Result<(), NotBegun> {
        let left = self.left().ok_or_else(|| NotBegun::Refused("its time is over".to_owned()))?;
        let (port, ms) = (self.address.port.to_string(), left.as_millis().max(1).to_string());
        let words: [&[u8]; 6] = [
            b"FAILOVER",
            b"TO",
            self.address.host.as_bytes(),
            port.as_bytes(),
            b"TIMEOUT",
            ms.as_bytes(),
        ];
        let reply = old.ask(&words, self.upstream.settings.replica_timeout).await;
        let reply = reply
            .map_err(|it| NotBegun::Unanswered(format!("the master has not answered: {it}")))?;
        if reply.starts_with(b"+OK") {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&reply);
        Err(NotBegun::Refused(format!("the master refuses: {}", why.trim_end())))
    }

    /// Until the other is the master, and this one its replica.
    async fn until_swapped(&self, old: &mut Talk, new: &mut Talk) -> Result<(), String> {
        let patience = self.upstream.settings.replica_timeout;
        loop {
            let asked_at = clock::mono_now();
            let olds = ask_info(old, patience).await?;
            let old_report = Report::read(&olds).ok_or("the master tells nothing of itself")?;
            if old_report.is_master {
                let text = String::from_utf8_lossy(&olds);
                if text.contains("master_failover_state:no-failover") {
                    return Err("it has not got everything in time".to_owned());
                }
            } else {
                // What was the master waits for nobody: the other is asked.
                let news = ask_info(new, patience).await?;
                if let Some(new_report) = Report::read(&news).filter(|it| it.is_master) {
                    let both = [(self.from, old_report), (self.to, new_report)];
                    self.upstream.reported_both(both, asked_at);
                    if self.upstream.view().master == Some(self.to) {
                        return Ok(());
                    }
                }
            }
            if self.until.plus(GRACE) <= clock::mono_now() {
                return Err("it has not become the master in time".to_owned());
            }
            tasks::sleep(LOOK_EVERY).await;
        }
    }
}

/// The master is to give up what it was told. What is its own waits for that, but not for long:
/// after that it goes on, and no other switchover begins before the master has said how it stands.
async fn settle(pause: Pause, master: MemberId, ordered: Ordered) {
    let upstream = pause.upstream.clone();
    let (of, name) = (upstream.clone(), upstream.member(master).described.name.clone());
    let mut giving_up = Box::pin(async move { give_up(&of, master, ordered).await });
    if tasks::within(ABORT_MAX, giving_up.as_mut()).await.is_none() {
        log::warn!("event=upstream-switchover-unsettled master={name} why=it does not answer");
        pause.release();
        tasks::spawn(async move {
            tasks::within(UNSETTLED_MAX, giving_up).await;
            drop(pause);
        });
    }
    upstream.ask_now();
}

async fn ask_info(talk: &mut Talk, patience: Duration) -> Result<Vec<u8>, String> {
    let told = talk.ask(&ASK_MASTER_INFO, patience).await;
    told.map_err(|it| format!("it is not known how far it has come: {it}"))
}

/// The other replicas follow the new master from here on: until now they have followed the old one,
/// which passes the stream on. Answers whom to tell by hand.
async fn follow_others(
    upstream: &Upstream,
    others: &[usize],
    address: &RemoteAddress,
) -> Vec<String> {
    let (members, mut left) = (upstream.members(), Vec::new());
    for member in others.iter().map(|it| &members[*it]) {
        let name = &member.described.name;
        match follow(upstream, member.id, address).await {
            Ok(()) => {}
            Err(why) => {
                log::warn!("event=upstream-follow-failed name={name} why={why}");
                left.push(name.clone());
            }
        }
    }
    left
}

async fn follow(
    upstream: &Upstream,
    replica: MemberId,
    master: &RemoteAddress,
) -> Result<(), String> {
    let mut talk = open(upstream, replica).await?;
    let port = master.port.to_string();
    let words: [&[u8]; 3] = [b"REPLICAOF", master.host.as_bytes(), port.as_bytes()];
    let reply = talk.ask(&words, upstream.settings.replica_timeout).await;
    let reply = reply.map_err(|it| it.to_string())?;
    match reply.strip_prefix(b"-") {
        Some(text) => Err(String::from_utf8_lossy(text).trim_end().to_owned()),
        None => Ok(()),
    }
}
