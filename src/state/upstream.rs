//! A set whose members are real servers: what is known of them, and the requests that wait for
//! them.

use super::ack_asks::AckAsks;
use super::checks::Checks;
use super::head_asks::HeadAsks;
use super::hedges::Hedges;
use super::known_scripts::KnownScripts;
use super::run_waiter::RunWaiter;
use super::switchover::Switchover;
use super::tls::Tls;
use super::upstream_subscriptions::UpstreamSubscriptions;
use crate::base::ids::MemberId;
use crate::base::places::Places;
use crate::base::position::Position;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::config;
use crate::node::upstream::{
    Availability, MemberLoad, MemberState, Report, Run, Topology, UpstreamView,
};
use crate::node::{RemoteMaster, ReplicaSet};
use crate::resp::Protocol;
use crate::route::{Allowed, MemberConfig, Route};
use crate::runtime::clock;
use event_listener::{Event, EventListener};
use futures::task::AtomicWaker;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::task::Waker;

/// Most runs of requests that wait for one member at one worker.
const QUEUED_MAX: usize = 16 << 10;

/// Where a run is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// To the master, whoever that is when it is sent.
    Master,
    /// To this replica.
    Replica(MemberId),
    /// Where its ladder says.
    Ladder,
    /// To a replica that lacks at most so many bytes of what the master has, which is asked first.
    Head {
        /// How many.
        bytes: u64,
    },
}

/// A run with where it is to go.
#[derive(Debug)]
pub struct AimedRun {
    /// The run.
    pub run: Run,
    /// Where it is to go.
    pub aim: Aim,
    /// The worker that serves its client.
    pub worker: usize,
}

/// Runs that wait, each with who waits for it.
pub type WaitingRun = (Run, RunWaiter);

/// What waits to be sent over one connection.
#[derive(Default)]
pub struct UpstreamLane {
    queue: Mutex<Queue>,
    has_any: AtomicBool,
    task: AtomicWaker,
}

#[derive(Default)]
struct Queue {
    all: VecDeque<WaitingRun>,
    bytes: usize,
}

impl UpstreamLane {
    /// Has a run sent. `Err` with it when too many wait.
    // Its error is what it was given.
    #[allow(clippy::result_large_err)]
    pub fn push(&self, waiting: WaitingRun, bytes_max: usize) -> Result<(), WaitingRun> {
        let mut queue = self.queue.lock();
        let bytes = queue.bytes + waiting.0.bytes.len();
        if QUEUED_MAX <= queue.all.len() || (bytes_max < bytes && queue.bytes != 0) {
            return Err(waiting);
        }
        queue.bytes = bytes;
        queue.all.push_back(waiting);
        self.has_any.store(true, Release);
        drop(queue);
        self.task.wake();
        Ok(())
    }

    /// Takes what replicas may serve: what is the master's goes on waiting.
    pub fn take_reads(&self) -> Vec<WaitingRun> {
        let mut queue = self.queue.lock();
        let (reads, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut queue.all).into_iter().partition(|it| !it.0.is_for_master());
        queue.bytes = kept.iter().map(|it| it.0.bytes.len()).sum();
        queue.all = kept.into();
        self.has_any.store(!queue.all.is_empty(), Release);
        reads
    }

    /// Takes all that waits.
    pub fn take(&self) -> VecDeque<WaitingRun> {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        self.has_any.store(false, Release);
        std::mem::take(&mut queue.all)
    }

    /// Whether anything waits.
    #[inline]
    pub fn has_any(&self) -> bool {
        self.has_any.load(Acquire)
    }

    /// Who is woken by the next. Look at [`UpstreamLane::has_any`] afterwards.
    pub fn wake_next(&self, task: &Waker) {
        self.task.register(task);
    }
}

/// What was counted at one member.
#[derive(Default)]
pub struct UpstreamCounts {
    /// Connections that were made.
    pub connects: AtomicU64,
    /// Connections that could not be made, or ended while something was to be answered.
    pub faults: AtomicU64,
    /// Runs of requests that were answered.
    pub answered: AtomicU64,
    /// Runs of reads whose replica has proved to have what they need.
    pub accepted: AtomicU64,
    /// Runs of reads whose replica has not.
    pub refused: AtomicU64,
    /// Writes that were sent and not answered.
    pub lost: AtomicU64,
}

/// A member that is a real server.
pub struct UpstreamMember {
    /// Its place.
    pub id: MemberId,
    /// What an operator says of it.
    pub described: MemberConfig,
    /// Where it is.
    pub address: RemoteAddress,
    /// What was counted.
    pub counts: UpstreamCounts,
    /// How busy it is.
    pub load: Arc<MemberLoad>,
    lanes: Vec<[UpstreamLane; 2]>,
}

impl UpstreamMember {
    /// The connection of this worker's clients.
    pub fn lane(&self, worker: usize, protocol: Protocol) -> &UpstreamLane {
        let lanes = &self.lanes[worker % self.lanes.len()];
        &lanes[usize::from(protocol == Protocol::Resp3)]
    }
}

/// Runs of one worker's clients that wait for a master, or for a time.
#[derive(Default)]
pub struct WaitingRuns {
    all: Mutex<WaitingQueue>,
    task: AtomicWaker,
}

#[derive(Default)]
struct WaitingQueue {
    all: Vec<(MonoUs, Aim, WaitingRun)>,
    bytes: usize,
    has_news: bool,
}

impl WaitingRuns {
    /// A run waits until then, or until there is news of the members. `Err` when too many wait.
    #[allow(clippy::result_large_err)]
    pub fn push(
        &self,
        until: MonoUs,
        aim: Aim,
        waiting: WaitingRun,
        bytes_max: usize,
    ) -> Result<(), WaitingRun> {
        let mut queue = self.all.lock();
        let bytes = queue.bytes + waiting.0.bytes.len();
        if QUEUED_MAX <= queue.all.len() || (bytes_max < bytes && queue.bytes != 0) {
            return Err(waiting);
        }
        queue.bytes = bytes;
        queue.all.push((until, aim, waiting));
        drop(queue);
        self.task.wake();
        Ok(())
    }

    /// Takes those whose time has come, or all for the master when there is news. Answers when the
    /// next is due.
    pub fn take_due(&self, now: MonoUs) -> (Vec<(Aim, WaitingRun)>, Option<MonoUs>) {
        let mut queue = self.all.lock();
        let has_news = std::mem::take(&mut queue.has_news);
        let (due, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut queue.all)
            .into_iter()
            .partition(|it| it.0 <= now || (has_news && it.1 == Aim::Master));
        queue.bytes = kept.iter().map(|it| it.2.0.bytes.len()).sum();
        queue.all = kept;
        let next = queue.all.iter().map(|it| it.0).min();
        (due.into_iter().map(|it| (it.1, it.2)).collect(), next)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.all.lock().all.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// There is news of the members.
    pub fn tell(&self) {
        self.all.lock().has_news = true;
        self.task.wake();
    }

    /// Who is woken by news. Call [`WaitingRuns::take_due`] afterwards.
    pub fn wake_next(&self, task: &Waker) {
        self.task.register(task);
    }
}

/// A set whose members are real servers.
pub struct Upstream {
    /// What was configured.
    pub settings: config::Upstream,
    /// How members are reached, where that is with TLS.
    pub tls: Arc<Tls>,
    set: Arc<ReplicaSet>,
    members: RwLock<Arc<[Arc<UpstreamMember>]>>,
    topology: Mutex<Topology>,
    view: RwLock<Arc<UpstreamView>>,
    epoch: AtomicU64,
    waiting: Vec<WaitingRuns>,
    hedges: Vec<Hedges>,
    doubts: Event,
    news: Event,
    /// Who waits for replicas.
    pub acks: AckAsks,
    /// Reads that are checked after they were answered.
    pub checks: Checks,
    /// Whether the master hands its role over.
    pub switchover: Switchover,
    /// Who waits to be told where the master stands.
    pub head: HeadAsks,
    /// What clients subscribe to.
    pub subscriptions: UpstreamSubscriptions,
    /// Databases that a master has selected, a bit for each.
    selected: AtomicU64,
    /// Scripts that went to members.
    pub scripts: KnownScripts,
}

impl Upstream {
    /// The set that is configured, if one is. Nothing is known of its members yet, and nothing is
    /// done at the hosted set in whose place it stands.
    pub fn configured(
        settings: &config::Config,
        set: &Arc<ReplicaSet>,
        workers: usize,
        tls: &Arc<Tls>,
    ) -> Option<Arc<Upstream>> {
        let upstream = settings.upstream.clone()?;
        let mut topology =
            Topology::new(matches!(upstream.topology, config::Topology::Sentinel(_)));
        topology.eject_for(upstream.tuning.eject_for);
        let view = Arc::new(topology.view());
        let tuning = &upstream.tuning;
        let shadow_one_in = tuning.shadow.as_ref().map_or(0, |_| tuning.shadow_one_in);
        let checks = Checks::new(tuning.audit_one_in, shadow_one_in);
        let upstream = Upstream {
            settings: upstream,
            tls: tls.clone(),
            set: set.clone(),
            members: RwLock::new(Arc::new([])),
            topology: Mutex::new(topology),
            view: RwLock::new(view),
            epoch: AtomicU64::new(0),
            waiting: (0..workers.max(1)).map(|_| WaitingRuns::default()).collect(),
            hedges: (0..workers.max(1)).map(|_| Hedges::default()).collect(),
            doubts: Event::new(),
            news: Event::new(),
            acks: AckAsks::default(),
            checks,
            switchover: Switchover::default(),
            head: HeadAsks::default(),
            subscriptions: UpstreamSubscriptions::default(),
            selected: AtomicU64::new(1),
            scripts: KnownScripts::default(),
        };
        upstream.serve_master(nowhere());
        for member in &settings.members {
            upstream.add(member.clone());
        }
        Some(Arc::new(upstream))
    }

    /// One more member. Answers it, unless it has no address or is there already.
    pub fn add(&self, described: MemberConfig) -> Option<Arc<UpstreamMember>> {
        let address = described.address.clone()?;
        // Locked in this order by whoever locks both.
        let mut topology = self.topology.lock();
        let mut members = self.members.write();
        if members.iter().any(|it| it.address == address) {
            return None;
        }
        let id = topology.add(described.weight);
        let view = topology.view();
        let lanes = self.waiting.iter().map(|_| Default::default()).collect();
        let load = view.members[id.index()].load.clone();
        let counts = UpstreamCounts::default();
        let member = UpstreamMember { id, described, address, counts, load, lanes };
        let member = Arc::new(member);
        *members = members.iter().cloned().chain([member.clone()]).collect();
        self.publish(topology.view());
        Some(member)
    }

    /// The members, by place.
    pub fn members(&self) -> Arc<[Arc<UpstreamMember>]> {
        self.members.read().clone()
    }

    /// The member at this place.
    pub fn member(&self, id: MemberId) -> Arc<UpstreamMember> {
        self.members.read()[id.index()].clone()
    }

    /// The place of the member at this address.
    pub fn place_of(&self, address: &RemoteAddress) -> Option<MemberId> {
        self.members.read().iter().find(|it| it.address == *address).map(|it| it.id)
    }

    /// How the members stand.
    pub fn view(&self) -> Arc<UpstreamView> {
        self.view.read().clone()
    }

    /// Grows whenever how they stand has changed.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Acquire)
    }

    /// Runs of this worker's clients that wait.
    pub fn waiting(&self, worker: usize) -> &WaitingRuns {
        &self.waiting[worker % self.waiting.len()]
    }

    /// Reads of this worker's clients that another replica may be asked for, too.
    pub fn hedges(&self, worker: usize) -> &Hedges {
        &self.hedges[worker % self.hedges.len()]
    }

    /// For how many workers there are connections.
    pub fn workers(&self) -> usize {
        self.waiting.len()
    }

    /// Who may serve reads of this route; `None` when all may.
    pub fn allowed(&self, route: &Route) -> Option<Allowed> {
        let members = self.members();
        let is_plain = route.members.is_empty() && !members.iter().any(|it| it.described.dedicated);
        if is_plain {
            return None;
        }
        let told = |it: &Arc<UpstreamMember>| (it.id, it.described.clone());
        let all: Vec<_> = members.iter().map(told).collect();
        route.allowed(
            all.iter().map(|(id, it)| (*id, it.name.as_str(), it.tags.as_slice(), it.dedicated)),
        )
    }

    /// What a replica must have to be at most so old; `None` when nobody can tell.
    pub fn needs_for_age(&self, age_us_max: u64, now: MonoUs) -> Option<Position> {
        self.head.note_age(age_us_max, now);
        Some(self.topology.lock().needs_for_age(age_us_max, now)?.0)
    }

    /// The same for whoever only looks, with when the master was asked for it.
    pub fn look_for_age(&self, age_us_max: u64, now: MonoUs) -> Option<(Position, MonoUs)> {
        self.topology.lock().needs_for_age(age_us_max, now)
    }

    /// A member that was asked then has told this of itself.
    pub fn reported(&self, member: MemberId, report: Report, asked_at: MonoUs) {
        let mut topology = self.topology.lock();
        let has_changed = topology.reported(member, report, asked_at);
        self.settle(&topology, has_changed);
    }

    /// Two that have changed roles have told this of themselves, both asked then.
    pub fn reported_both(&self, both: [(MemberId, Report); 2], asked_at: MonoUs) {
        let mut topology = self.topology.lock();
        let has_changed = topology.reported_both(both, asked_at);
        self.settle(&topology, has_changed);
    }

    /// A member cannot be asked.
    pub fn failed(&self, member: MemberId, state: MemberState) {
        let mut topology = self.topology.lock();
        let has_changed = topology.failed(member, state);
        self.settle(&topology, has_changed);
    }

    /// An answer of this member contradicts how it is known, or it has not answered: it serves
    /// nobody before it has been asked again, which is now.
    pub fn doubt(&self, member: MemberId) {
        let is_believed =
            |it: &MemberState| matches!(it, MemberState::Master | MemberState::Replica);
        // Of whom nothing is believed it is asked anyway.
        if is_believed(&self.view().members[member.index()].state) {
            self.failed(member, MemberState::Doubtful);
            self.ask_now();
        }
    }

    /// Members and sentinels are asked now.
    pub fn ask_now(&self) {
        self.doubts.notify(usize::MAX);
    }

    /// Hears when members are to be asked at once.
    pub fn doubts(&self) -> EventListener {
        self.doubts.listen()
    }

    /// A master has selected this database.
    pub fn note_selected(&self, db: usize) {
        self.selected.fetch_or(1 << db.min(63), Relaxed);
    }

    /// Whether a master has selected this database before; all begin in the first.
    pub fn has_selected(&self, db: usize) -> bool {
        self.selected.load(Relaxed) & 1 << db.min(63) != 0
    }

    /// Ready once a server is the master that is not this one.
    pub async fn other_master(&self, than: Option<MemberId>) {
        loop {
            let news = self.news();
            let master = self.view().master;
            if master.is_some() && master != than {
                return;
            }
            news.await;
        }
    }

    /// Hears when how they stand has changed.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }

    /// An operator takes a member away, or gives it back.
    pub fn leave(&self, member: MemberId, availability: Availability) {
        let mut topology = self.topology.lock();
        let has_changed = topology.leave(member, availability);
        self.settle(&topology, has_changed);
    }

    /// The replicas of our own zone that serve reads now, of those that may: they are asked first.
    /// `None` when there are none, or we are in no zone.
    pub fn near(&self, view: &UpstreamView, allowed: Option<Allowed>) -> Option<Allowed> {
        let zone = self.settings.zone.as_ref()?;
        let members = self.members();
        let is_near = |it: &&Arc<UpstreamMember>| {
            it.described.zone.as_ref() == Some(zone)
                && view.is_preferred(it.id.index())
                && allowed.is_none_or(|of| of.places.has(it.id))
        };
        let places = Places::of(members.iter().filter(is_near).map(|it| it.id));
        let named = allowed.is_some_and(|it| it.named);
        (!places.is_empty()).then_some(Allowed { places, named })
    }

    /// Sentinels name this member as the master, or none.
    pub fn appoint(&self, master: Option<MemberId>) {
        let mut topology = self.topology.lock();
        let has_changed = topology.appoint(master);
        self.settle(&topology, has_changed);
    }

    fn settle(&self, topology: &Topology, has_changed: bool) {
        let before = self.view();
        let view = topology.view();
        // Before anybody sees the new view: a session is told once what a failover has cut off.
        if let Some(history) = &view.history
            && before.history.as_ref().is_none_or(|it| it.replid != history.replid)
        {
            self.set.take_upstream_history(history.clone());
        }
        self.publish(view);
        if !has_changed {
            return;
        }
        let view = self.view();
        self.tell_of_changes(&before, &view);
        if before.master != view.master {
            self.settle_master(&view);
        }
        self.waiting.iter().for_each(WaitingRuns::tell);
        self.news.notify(usize::MAX);
    }

    /// Connections of clients' own go where the set says. One that is only doubted is left there.
    fn settle_master(&self, view: &UpstreamView) {
        let is_doubted = view.members.iter().any(|it| it.state == MemberState::Doubtful);
        let address = match view.master {
            Some(master) => self.members.read()[master.index()].address.clone(),
            None if is_doubted => return,
            None => nowhere(),
        };
        if self.set.remote().is_none_or(|it| it.address != address) {
            self.serve_master(address);
        }
    }

    fn serve_master(&self, address: RemoteAddress) {
        self.set.take_upstream_master(RemoteMaster::new(address, clock::mono_now()));
    }

    fn publish(&self, view: UpstreamView) {
        let view = Arc::new(view);
        self.epoch.store(view.epoch, Release);
        *self.view.write() = view;
    }

    fn tell_of_changes(&self, before: &UpstreamView, after: &UpstreamView) {
        for (member, now) in self.members().iter().zip(&after.members) {
            let then = before.members.get(member.id.index()).map(|it| &it.state);
            if then != Some(&now.state) {
                let then = then.map_or("none", MemberState::as_str);
                let (name, state) = (&member.described.name, &now.state);
                log::info!(
                    "event=upstream-member name={name} address={} state={state} before={then}",
                    member.address
                );
            }
        }
    }
}

/// Where nobody is: what belongs to a master waits for one, or is refused.
fn nowhere() -> RemoteAddress {
    RemoteAddress { host: "no-master.invalid".to_owned(), port: 1 }
}
