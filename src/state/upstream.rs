//! A set whose members are real servers: what is known of them, and the requests that wait for
//! them.

use super::ack_asks::AckAsks;
use super::checks::Checks;
use super::head_asks::HeadAsks;
use super::hedges::Hedges;
use super::known_scripts::KnownScripts;
use super::switchover::Switchover;
use super::tls::Tls;
use super::upstream_member::UpstreamMember;
use super::upstream_subscriptions::UpstreamSubscriptions;
use super::waiting_runs::WaitingRuns;
use crate::base::ids::MemberId;
use crate::base::places::Places;
use crate::base::position::Position;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::config;
use crate::node::upstream::{Availability, Keeping, MemberState, Report, Topology, UpstreamView};
use crate::node::{RemoteMaster, ReplicaSet};
use crate::route::{Allowed, MemberConfig, Route};
use crate::runtime::clock;
use event_listener::{Event, EventListener};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::Duration;

/// A set whose members are real servers.
pub struct Upstream {
    /// What was configured.
    pub settings: config::Upstream,
    /// How members are reached, where that is with TLS.
    pub tls: Arc<Tls>,
    set: Arc<ReplicaSet>,
    members: RwLock<Arc<[Arc<UpstreamMember>]>>,
    /// How many there have been, which names the next that nobody has named.
    found: AtomicUsize,
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
        run_id: &str,
    ) -> Option<Arc<Upstream>> {
        let upstream = settings.upstream.clone()?;
        let mut topology =
            Topology::new(matches!(upstream.topology, config::Topology::Sentinel(_)));
        topology.eject_for(upstream.tuning.eject_for);
        topology.set_run_id(run_id);
        if let config::Topology::Sentinel(sentinels) = &upstream.topology {
            topology.set_keeping(keeping(&upstream, sentinels.addresses.len()));
        }
        let view = Arc::new(topology.view());
        let tuning = &upstream.tuning;
        let shadow_one_in = tuning.shadow.as_ref().map_or(0, |_| tuning.shadow_one_in);
        let checks = Checks::new(tuning.audit_one_in, shadow_one_in);
        let upstream = Upstream {
            settings: upstream,
            tls: tls.clone(),
            set: set.clone(),
            members: RwLock::new(Arc::new([])),
            found: AtomicUsize::new(0),
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

    /// One more member that sentinels have named. Answers it, unless it is there already, or there
    /// is no place for it.
    pub fn find(&self, address: RemoteAddress) -> Option<Arc<UpstreamMember>> {
        if self.place_of(&address).is_some() {
            return None;
        }
        let unnamed = MemberConfig::unnamed(self.found.fetch_add(1, Relaxed));
        self.add(MemberConfig { address: Some(address), ..unnamed })
    }

    /// One more member. Answers it, unless it has no address, is there already, or there is no
    /// place for it.
    pub fn add(&self, described: MemberConfig) -> Option<Arc<UpstreamMember>> {
        let address = described.address.clone()?;
        // Locked in this order by whoever locks both.
        let mut topology = self.topology.lock();
        let mut members = self.members.write();
        if members.iter().any(|it| it.address == address && !it.is_gone()) {
            return None;
        }
        let id = topology.add(described.weight, clock::mono_now())?;
        let view = topology.view();
        let load = view.members[id.index()].load.clone();
        let workers = self.waiting.len();
        let member = Arc::new(UpstreamMember::new(id, described, address, load, workers));
        let mut all = members.to_vec();
        all.truncate(id.index());
        all.push(member.clone());
        all.extend(members.iter().skip(all.len()).cloned());
        *members = all.into();
        self.publish(view);
        Some(member)
    }

    /// A sentinel has named the members at these addresses, and no others: who is of no use and has
    /// not been named for long is none any more.
    pub fn note_named(&self, addresses: &[RemoteAddress]) {
        let mut topology = self.topology.lock();
        let members = self.members();
        let is_named = |it: &&Arc<UpstreamMember>| addresses.contains(&it.address);
        let places = Places::of(members.iter().filter(is_named).map(|it| it.id));
        let gone = topology.note_named(places, clock::mono_now());
        for member in gone.iter().map(|it| &members[it.index()]) {
            member.end();
            let (name, address) = (&member.described.name, &member.address);
            log::info!("event=upstream-forgotten name={name} address={address}");
        }
        if !gone.is_empty() {
            self.settle(&topology, true);
        }
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
        let members = self.members.read();
        let is_there = |it: &&Arc<UpstreamMember>| it.address == *address && !it.is_gone();
        members.iter().find(is_there).map(|it| it.id)
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

    /// Whether this member is the master. Another that has its place now is not meant.
    pub fn is_master(&self, member: &UpstreamMember) -> bool {
        self.view().master == Some(member.id) && !member.is_gone()
    }

    /// A member that was asked then has told this of itself.
    pub fn reported(&self, member: &UpstreamMember, report: Report, asked_at: MonoUs) {
        let mut topology = self.topology.lock();
        // Under the lock: it is none any more before another has its place.
        if member.is_gone() {
            return;
        }
        let has_changed = topology.reported(member.id, report, asked_at);
        self.settle(&topology, has_changed);
    }

    /// Two that have changed roles have told this of themselves, both asked then. They are named by
    /// their places: where a switchover is ordered here, no sentinels say who the members are, and
    /// nobody takes another's place.
    pub fn reported_both(&self, both: [(MemberId, Report); 2], asked_at: MonoUs) {
        let mut topology = self.topology.lock();
        let has_changed = topology.reported_both(both, asked_at);
        self.settle(&topology, has_changed);
    }

    /// A member cannot be asked.
    pub fn failed(&self, member: &UpstreamMember, state: MemberState) {
        let mut topology = self.topology.lock();
        if member.is_gone() {
            return;
        }
        let has_changed = topology.failed(member.id, state);
        self.settle(&topology, has_changed);
    }

    /// An answer of this member contradicts how it is known, or it has not answered: it serves
    /// nobody before it has been asked again, which is now.
    pub fn doubt(&self, member: &UpstreamMember) {
        let is_believed =
            |it: &MemberState| matches!(it, MemberState::Master | MemberState::Replica);
        // Of whom nothing is believed it is asked anyway.
        if is_believed(&self.view().members[member.id.index()].state) {
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

    /// Ready once a server is the master that is not at this place; with `None`, once any is.
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

/// Answers of each sentinel in a row that do not name a member before it is none any more.
const UNNAMED_MAX: u32 = 60;

/// For how long members are kept that so many sentinels name.
fn keeping(settings: &config::Upstream, sentinels: usize) -> Keeping {
    let config::Upstream { connect_timeout, replica_timeout, reply_timeout, buffer_for, .. } =
        settings;
    // Two tries of what is sent, and all that it may wait for.
    let tries: Duration = (*connect_timeout + *replica_timeout + *reply_timeout) * 2;
    let unnamed_max = UNNAMED_MAX.saturating_mul(u32::try_from(sentinels).unwrap_or(u32::MAX));
    Keeping { unnamed_max, rest: tries + *buffer_for }
}

/// Where nobody is: what belongs to a master waits for one, or is refused.
fn nowhere() -> RemoteAddress {
    RemoteAddress { host: "no-master.invalid".to_owned(), port: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::ReplId;
    use crate::config::Config;
    use crate::engine::Thresholds;

    /// Behind one sentinel, with places that rest for 6 ms.
    fn upstream() -> Arc<Upstream> {
        let text = "[upstream]\nsentinels = [\"s:1\"]\nconnect-timeout = \"1ms\"\n\
                    replica-timeout = \"1ms\"\nreply-timeout = \"1ms\"\nbuffer-for = \"0s\"\n";
        let settings = Config::parse("a test", text).unwrap();
        let thresholds = Thresholds::default();
        let set = ReplicaSet::new(1, 1, ReplId::new([1; 20]), thresholds, 1 << 20, 1 << 20);
        Upstream::configured(&settings, &Arc::new(set), 1, &Arc::default(), "me").unwrap()
    }

    fn at(port: u16) -> RemoteAddress {
        RemoteAddress { host: "h".to_owned(), port }
    }

    fn report(role: &str) -> Report {
        let replid = ReplId::new([7; 20]);
        let text =
            format!("$1\r\nrole:{role}\r\nmaster_replid:{replid}\r\nmaster_repl_offset:5\r\n");
        Report::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_heard_of_one_that_is_gone_is_not_taken_for_anothers_at_its_place() {
        let upstream = upstream();
        let (old, other) = (upstream.find(at(1)).unwrap(), upstream.find(at(2)).unwrap());
        assert!(upstream.find(at(1)).is_none(), "it is there");
        (0..UNNAMED_MAX).for_each(|_| upstream.note_named(&[at(2)]));
        assert!(!old.is_gone());
        upstream.note_named(&[at(2)]);
        assert!(old.is_gone() && !other.is_gone());
        assert_eq!((upstream.place_of(&at(1)), upstream.view().count()), (None, 1));
        std::thread::sleep(Duration::from_millis(20));
        let new = upstream.find(at(1)).unwrap();
        assert_eq!((new.id, new.is_gone()), (old.id, false));
        assert_ne!(new.described.name, old.described.name);
        assert!(Arc::ptr_eq(&new, &upstream.member(old.id)));
        let state = || upstream.view().members[new.id.index()].state.clone();
        upstream.failed(&old, MemberState::Silent);
        upstream.reported(&old, report("master"), clock::mono_now());
        assert_eq!(state(), MemberState::Unknown);
        upstream.appoint(Some(new.id));
        upstream.reported(&new, report("master"), clock::mono_now());
        assert!(upstream.is_master(&new) && !upstream.is_master(&old));
        upstream.doubt(&old);
        assert_eq!(state(), MemberState::Master);
    }
}
