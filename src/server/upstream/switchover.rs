//! PROXY FAILOVER in front of real servers: what is the master's waits, the master hands its role
//! over by its own FAILOVER, and all goes on at the other. Nothing is under way meanwhile, so
//! nobody hears of an error; when it takes too long, the master goes on as before.
//!
//! ```text
//!           nothing is under way       FAILOVER TO       the other is master
//!   pause ──────────────────────▶ idle ───────────▶ asked ─────────────────▶ release, REPLICAOF
//!     └───────────── time is over, refused ──────────┘                       at the others
//!                          └──▶ FAILOVER ABORT, release
//! ```

use super::talk::Talk;
use crate::base::ids::MemberId;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::config::Topology;
use crate::node::upstream::{MemberState, Report};
use crate::replication::ASK_MASTER_INFO;
use crate::runtime::{clock, tasks};
use crate::state::{Server, Upstream, WaitingRuns};
use std::time::Duration;

/// How often it is looked whether nothing is under way, or the role has changed hands.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How long the master has to say so once its own time is over.
const GRACE: Duration = Duration::from_millis(500);
/// How long the master has to say that it has given up.
const ABORT_MAX: Duration = Duration::from_secs(2);

/// Ends the pause, whatever becomes of it.
struct Pause<'u> {
    upstream: &'u Upstream,
    begun: MonoUs,
}

impl<'u> Pause<'u> {
    fn begin(upstream: &'u Upstream, until: MonoUs) -> Option<Pause<'u>> {
        let begun = clock::mono_now();
        upstream.switchover.begin(until).then_some(Pause { upstream, begun })
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.upstream.switchover.end();
        let workers = 0..self.upstream.workers();
        workers.map(|it| self.upstream.waiting(it)).for_each(WaitingRuns::tell);
    }
}

/// Makes this replica the master, within this time. Answers for how many µs the master's requests
/// waited, and what is left to do by hand.
pub async fn switch_over(
    server: &Server,
    upstream: &Upstream,
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
    // They are told to follow the new master, whatever they look like while roles change.
    let is_other = |it: &usize| *it != from.index() && *it != to.index();
    let is_fed = |it: &usize| view.members[*it].state.may_be_fed();
    let others: Vec<usize> = (0..view.members.len()).filter(is_other).filter(is_fed).collect();
    let until = clock::mono_now().plus(timeout);
    let (mut old, mut new) = (open(upstream, from).await?, open(upstream, to).await?);
    let address = address_at(&mut old, upstream, to).await?;
    let pause = Pause::begin(upstream, until).ok_or("another switchover is under way")?;
    let swap = Swap { upstream, from, to, address: &address, until };
    swap.until_idle().await?;
    let idle_us = clock::mono_now().since(pause.begun);
    swap.ask(&mut old).await?;
    if let Err(why) = swap.until_swapped(&mut old, &mut new).await {
        abort(&mut old, upstream).await;
        return Err(why);
    }
    // Whoever watched something there has watched it at one who is no master any more.
    server.forwarding.drop_leases();
    let paused_us = clock::mono_now().since(pause.begun);
    drop(pause);
    log::info!(
        "event=upstream-switchover to={address} paused_us={paused_us} idle_after_us={idle_us}"
    );
    let left = follow_others(upstream, &others, &address).await;
    upstream.ask_now();
    Ok((paused_us, left))
}

async fn open(upstream: &Upstream, member: MemberId) -> Result<Talk, String> {
    let (settings, member) = (&upstream.settings, upstream.member(member));
    let talk = Talk::open(&member.address, settings.login(), settings.connect_timeout).await;
    talk.map_err(|it| format!("{} cannot be asked: {it}", member.described.name))
}

/// Where the master knows this replica: it may have another address there than here.
async fn address_at(
    master: &mut Talk,
    upstream: &Upstream,
    replica: MemberId,
) -> Result<RemoteAddress, String> {
    let told = master.ask(&ASK_MASTER_INFO, upstream.settings.replica_timeout).await;
    let told = told.map_err(|it| format!("the master cannot be asked: {it}"))?;
    let ours = upstream.member(replica).address.clone();
    let replicas = replicas_in(&String::from_utf8_lossy(&told));
    let of_port: Vec<_> = replicas.into_iter().filter(|it| it.port == ours.port).collect();
    let same = of_port.iter().find(|it| it.host == ours.host);
    match (same, of_port.as_slice()) {
        (Some(same), _) => Ok(same.clone()),
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err("the master does not know it as a replica that is online".to_owned()),
        (None, _) => Err("the master knows several replicas by its port".to_owned()),
    }
}

/// The replicas that a master tells to be online: `slave0:ip=…,port=…,state=online,…`.
fn replicas_in(info: &str) -> Vec<RemoteAddress> {
    let replica = |line: &str| {
        let (name, fields) = line.trim().split_once(':')?;
        name.strip_prefix("slave")?.parse::<u32>().ok()?;
        let field =
            |name: &str| fields.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        let port = field("port")?.parse().ok()?;
        (field("state")? == "online")
            .then(|| Some(RemoteAddress { host: field("ip")?.to_owned(), port }))?
    };
    info.lines().filter_map(replica).collect()
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
        while load.in_flight() != 0 {
            self.left().ok_or("the master has not answered in time what it was sent before")?;
            tasks::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Has the master begin.
    async fn ask(&self, old: &mut Talk) -> Result<(), String> {
        let left = self.left().ok_or("its time is over")?;
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
        let reply = reply.map_err(|it| format!("the master cannot be asked: {it}"))?;
        if reply.starts_with(b"+OK") {
            return Ok(());
        }
        Err(format!("the master refuses: {}", String::from_utf8_lossy(&reply).trim_end()))
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

async fn ask_info(talk: &mut Talk, patience: Duration) -> Result<Vec<u8>, String> {
    let told = talk.ask(&ASK_MASTER_INFO, patience).await;
    told.map_err(|it| format!("it is not known how far it has come: {it}"))
}

/// The master is to give up; comes back when it has, or when that takes too long.
async fn abort(old: &mut Talk, upstream: &Upstream) {
    let patience = upstream.settings.replica_timeout;
    let until = clock::mono_now().plus(ABORT_MAX);
    let asked = old.ask(&[b"FAILOVER", b"ABORT"], patience).await;
    log::warn!("event=upstream-switchover-aborted reply={:?}", asked.map(|it| it.len()));
    while clock::mono_now() < until {
        match ask_info(old, patience).await {
            Ok(told) if !String::from_utf8_lossy(&told).contains("failover_state:no-failover") => {
                tasks::sleep(LOOK_EVERY).await;
            }
            _ => break,
        }
    }
    upstream.ask_now();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_from_what_their_master_tells() {
        let info = "role:master\r\nconnected_slaves:3\r\n\
                    slave0:ip=10.0.0.1,port=7001,state=online,offset=5,lag=0\r\n\
                    slave1:ip=::1,port=7002,state=wait_bgsave,offset=0,lag=0\r\n\
                    slave2:ip=db,port=7003,state=online,offset=5,lag=1,type=replica\r\n\
                    slave_expires_tracked_keys:0\r\n";
        let told: Vec<String> = replicas_in(info).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.1:7001", "db:7003"]);
    }
}
