//! Who of the members is the master, in which history, and who may serve reads: by what they have
//! told of themselves, and what sentinels say.
//!
//! A member is believed only what it has told last: a failed probe takes back the one before, and
//! an answer that contradicts it makes it doubtful until the next.

use super::ejection::{Ejection, is_slow};
use super::member_load::MemberLoad;
use super::report::Report;
use super::scan_cursor::ScanCursor;
use crate::base::ids::MemberId;
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::route::{Allowed, Candidate, Members, MinReplicas};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Places of the master that are remembered, to tell how old what a replica has is.
const SAMPLES_MAX: usize = 256;

/// How a member stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberState {
    /// Nothing has been heard of it.
    Unknown,
    /// It is the master.
    Master,
    /// It is a replica whose stream comes.
    Replica,
    /// It is a replica whose stream comes, and an operator has taken it away from readers.
    Drained,
    /// An operator has taken it away from everything, whatever it tells.
    Maintenance,
    /// It is a replica without a link to its master.
    LinkDown,
    /// It is a replica that loads a snapshot of its master.
    Syncing,
    /// It is a replica of another history than the master's.
    OtherHistory,
    /// It says that it is a master, and so does another.
    TwoMasters,
    /// It says that it is a master, and sentinels name another, or none.
    NotAppointed,
    /// It has answered what it would not as it was known.
    Doubtful,
    /// It loads its data.
    Loading,
    /// It cannot be reached.
    Unreachable(String),
    /// It does not answer.
    Silent,
    /// It does not let us in.
    Refused(String),
    /// What it answers is none of what Redis answers.
    Garbage(String),
}

impl MemberState {
    /// Whether the master's stream comes there.
    pub fn is_fed(&self) -> bool {
        matches!(self, MemberState::Replica | MemberState::Drained)
    }

    /// Whether the master's stream comes there, or may still come: it is being asked.
    pub fn may_be_fed(&self) -> bool {
        self.is_fed() || *self == MemberState::Doubtful
    }

    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            MemberState::Unknown => "unknown",
            MemberState::Master => "master",
            MemberState::Replica => "replica",
            MemberState::Drained => "drained",
            MemberState::LinkDown => "link-down",
            MemberState::Syncing => "syncing",
            MemberState::Maintenance => "maintenance",
            MemberState::OtherHistory => "other-history",
            MemberState::TwoMasters => "two-masters",
            MemberState::NotAppointed => "not-appointed",
            MemberState::Doubtful => "doubtful",
            MemberState::Loading => "loading",
            MemberState::Unreachable(_) => "unreachable",
            MemberState::Silent => "silent",
            MemberState::Refused(_) => "refused",
            MemberState::Garbage(_) => "garbage",
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            MemberState::Unreachable(why)
            | MemberState::Refused(why)
            | MemberState::Garbage(why) => {
                write!(f, " ({why})")
            }
            _ => Ok(()),
        }
    }
}

/// One member.
struct Status {
    told: Result<Report, MemberState>,
    /// When it was asked for that.
    told_at: MonoUs,
    state: MemberState,
    /// Until when it is known to have had all that the master had.
    fresh_at: Option<MonoUs>,
    /// How often it could not be reached: it may have begun anew each time.
    lives: u64,
    load: Arc<MemberLoad>,
    /// How much of the reads it is to have, beside others.
    weight: u32,
    /// Since when its stream comes again.
    fed_since: Option<MonoUs>,
    availability: Availability,
    ejection: Ejection,
}

/// What an operator leaves to a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Availability {
    /// All that it can do.
    #[default]
    Full,
    /// No reads of a replica.
    Drained,
    /// Nothing at all.
    Maintenance,
}

/// Who says which member is the master.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Appointment {
    /// The members themselves: the one that says so.
    Reports,
    /// Sentinels.
    Sentinels(Option<MemberId>),
}

/// All members.
pub struct Topology {
    members: Vec<Status>,
    appointment: Appointment,
    master: Option<MemberId>,
    history: Option<ReplicationHistory>,
    epoch: u64,
    samples: VecDeque<(MonoUs, Offset)>,
    /// When a member was last asked.
    last_asked_at: MonoUs,
    eject_for: Duration,
    judged_at: MonoUs,
}

/// The members as they stand at one time.
#[derive(Clone, Debug)]
pub struct UpstreamView {
    /// The master, if there is one.
    pub master: Option<MemberId>,
    /// All of them, by place.
    pub members: Vec<ViewMember>,
    /// The master's history, once there has been one.
    pub history: Option<ReplicationHistory>,
    /// Grows with each change.
    pub epoch: u64,
}

/// One member at one time.
#[derive(Clone, Debug)]
pub struct ViewMember {
    /// How it stands.
    pub state: MemberState,
    /// Where its stream stood when it last told.
    pub at: Option<Position>,
    /// Until when it is known to have had all that the master had.
    pub fresh_at: Option<MonoUs>,
    /// Which of its lives this is: another has other cursors.
    pub life: u8,
    /// How busy it is.
    pub load: Arc<MemberLoad>,
    /// Its weight in percent: less while it is new.
    pub share: u32,
    /// It is spared, since it has failed or is slow: while others can serve.
    pub is_ejected: bool,
    /// How often it has been.
    pub ejections: u64,
}

impl Topology {
    /// No members yet. With sentinels nobody is master before they say so.
    pub fn new(has_sentinels: bool) -> Topology {
        let appointment = match has_sentinels {
            true => Appointment::Sentinels(None),
            false => Appointment::Reports,
        };
        Topology {
            members: Vec::new(),
            appointment,
            master: None,
            history: None,
            epoch: 0,
            samples: VecDeque::new(),
            last_asked_at: MonoUs::default(),
            eject_for: Duration::ZERO,
            judged_at: MonoUs::default(),
        }
    }

    /// One more member of this weight, of which nothing is known.
    pub fn add(&mut self, weight: u32) -> MemberId {
        self.members.push(Status {
            told: Err(MemberState::Unknown),
            told_at: MonoUs::default(),
            state: MemberState::Unknown,
            fresh_at: None,
            lives: 0,
            load: Arc::default(),
            weight,
            fed_since: None,
            availability: Availability::Full,
            ejection: Ejection::default(),
        });
        self.epoch += 1;
        MemberId::of(self.members.len() - 1)
    }

    /// An operator takes a member away, or gives it back. Answers whether anything has changed.
    pub fn leave(&mut self, member: MemberId, availability: Availability) -> bool {
        self.members[member.index()].availability = availability;
        self.settle()
    }

    /// How long a replica is spared at first that fails or is slow; zero for never.
    pub fn eject_for(&mut self, first: Duration) {
        self.eject_for = first;
    }

    /// Sentinels name this member as the master, or none. Answers whether anything has changed.
    pub fn appoint(&mut self, master: Option<MemberId>) -> bool {
        self.appointment = Appointment::Sentinels(master);
        self.settle()
    }

    /// A member that was asked then has told this of itself. Answers whether anything has changed
    /// but places.
    pub fn reported(&mut self, member: MemberId, report: Report, asked_at: MonoUs) -> bool {
        let (is_master, at) = (report.is_master, report.at);
        self.last_asked_at = self.last_asked_at.max(asked_at);
        let status = &mut self.members[member.index()];
        if asked_at != MonoUs::default() {
            if asked_at < status.told_at {
                // It was on its way while the member has told something newer.
                return false;
            }
            status.told_at = asked_at;
        }
        status.told = Ok(report);
        let mut has_changed = self.settle();
        has_changed |= self.judge();
        if is_master && self.master == Some(member) {
            self.sample(asked_at, at.offset);
        }
        let is_of_this = |it: &ReplicationHistory| it.replid == at.replid;
        if self.history.as_ref().is_some_and(is_of_this) {
            let had = self.samples.iter().rev().find(|it| it.1 <= at.offset).map(|it| it.0);
            let status = &mut self.members[member.index()];
            if status.state.is_fed() {
                status.fresh_at = status.fresh_at.max(had);
            }
        }
        has_changed
    }

    /// Two that have changed roles have told this of themselves, both asked then: there is no time
    /// at which neither or each of them is the master. Answers whether anything has changed.
    pub fn reported_both(&mut self, both: [(MemberId, Report); 2], asked_at: MonoUs) -> bool {
        let [(first, report), other] = both;
        self.members[first.index()].told = Ok(report.clone());
        self.members[other.0.index()].told = Ok(other.1.clone());
        let has_changed = self.reported(first, report, asked_at);
        has_changed | self.reported(other.0, other.1, asked_at)
    }

    /// Spares the replicas that fail or are slow, and no longer those that have been for long
    /// enough. Answers whether anything has changed.
    fn judge(&mut self) -> bool {
        let now = self.last_asked_at;
        if self.eject_for.is_zero() || now.since(self.judged_at) < JUDGE_EVERY_US {
            return false;
        }
        self.judged_at = now;
        // One slow answer among fast ones says nothing of the server; who was not asked since the
        // last look is as it was known before.
        let fastest: Vec<Option<u32>> =
            self.members.iter().map(|it| it.load.take_least_us()).collect();
        let serves = |it: &Status| it.state == MemberState::Replica;
        let took = |(it, fastest): (&Status, &Option<u32>)| {
            Some(fastest.unwrap_or(it.load.took_us())).filter(|us| serves(it) && *us != 0)
        };
        let times: Vec<Option<u32>> = self.members.iter().zip(&fastest).map(took).collect();
        let mut has_changed = false;
        for (at, status) in self.members.iter_mut().enumerate() {
            let faults = status.load.take_faults();
            if !status.state.may_be_fed() {
                // It is spared anyway, and begins with little when it is back.
                status.ejection.away();
                continue;
            }
            let is_slow = fastest[at].filter(|_| serves(status)).and_then(|it| {
                let others = times.iter().enumerate().filter(|other| other.0 != at);
                is_slow(it, others.filter_map(|it| *it.1).collect())
            });
            let was_ejected = status.ejection.is_ejected();
            status.ejection.judge(faults, is_slow, self.eject_for, now);
            if was_ejected != status.ejection.is_ejected() {
                has_changed = true;
                if was_ejected {
                    status.fed_since = Some(now);
                }
            }
        }
        self.epoch += u64::from(has_changed);
        has_changed
    }

    /// A member could not be asked, or has not answered what it was asked. Answers whether anything
    /// has changed.
    pub fn failed(&mut self, member: MemberId, state: MemberState) -> bool {
        let status = &mut self.members[member.index()];
        let was_reached = !matches!(status.told, Err(MemberState::Unreachable(_)));
        let is_reached = !matches!(state, MemberState::Unreachable(_));
        status.lives += u64::from(was_reached && !is_reached);
        status.told = Err(state);
        self.settle()
    }

    /// How everything stands.
    pub fn view(&self) -> UpstreamView {
        let member = |it: &Status| ViewMember {
            state: it.state.clone(),
            at: it.told.as_ref().ok().map(|it| it.at),
            fresh_at: it.fresh_at,
            life: ScanCursor::life_of(it.lives),
            load: it.load.clone(),
            share: it.weight * warm_percent(it.fed_since, self.last_asked_at),
            is_ejected: it.ejection.is_ejected(),
            ejections: it.ejection.count(),
        };
        UpstreamView {
            master: self.master,
            members: self.members.iter().map(member).collect(),
            history: self.history.clone(),
            epoch: self.epoch,
        }
    }

    /// What a replica must have to be at most so many µs behind the master, and since when the
    /// master has had it; `None` when that is not known of any place.
    pub fn needs_for_age(&self, age_us_max: u64, now: MonoUs) -> Option<(Position, MonoUs)> {
        let replid = self.history.as_ref().filter(|_| self.master.is_some())?.replid;
        let is_young = |it: &&(MonoUs, Offset)| now.since(it.0) <= age_us_max;
        let (at, offset) = *self.samples.iter().find(is_young)?;
        Some((Position { replid, offset }, at))
    }

    fn sample(&mut self, at: MonoUs, offset: Offset) {
        if self.samples.back().is_some_and(|it| at <= it.0) {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            // Every other of the older ones: what is long ago need not be told so exactly.
            let mut at = 0;
            self.samples.retain(|_| {
                at += 1;
                SAMPLES_MAX / 2 < at || at % 2 == 0
            });
        }
        self.samples.push_back((at, offset));
    }

    fn settle(&mut self) -> bool {
        let says_so = |it: &Status| {
            it.availability != Availability::Maintenance
                && it.told.as_ref().is_ok_and(|it| it.is_master)
        };
        let mut masters = (0..self.members.len()).filter(|it| says_so(&self.members[*it]));
        let (first, second) = (masters.next(), masters.next());
        let master = match self.appointment {
            Appointment::Reports if second.is_some() => None,
            Appointment::Reports => first.map(MemberId::of),
            Appointment::Sentinels(named) => {
                named.filter(|it| self.members.get(it.index()).is_some_and(says_so))
            }
        };
        let mut has_changed = std::mem::replace(&mut self.master, master) != master;
        has_changed |= self.settle_history();
        for at in 0..self.members.len() {
            let state = self.state_of(at, second.is_some());
            let status = &mut self.members[at];
            if status.state != state {
                match &state {
                    // It may have been fed all the time.
                    MemberState::Doubtful => {}
                    it if it.is_fed() => {
                        // At the start of everything there is nobody to spare it.
                        let is_first = status.state == MemberState::Unknown;
                        if !is_first && !status.state.may_be_fed() {
                            status.fed_since = Some(self.last_asked_at);
                        }
                    }
                    _ => (status.fresh_at, status.fed_since) = (None, None),
                }
                status.state = state;
                has_changed = true;
            }
        }
        self.epoch += u64::from(has_changed);
        has_changed
    }

    /// The master's history goes on with the one before as far as it says.
    fn settle_history(&mut self) -> bool {
        let Some(master) = self.master else { return false };
        let Ok(report) = &self.members[master.index()].told else { return false };
        let replid = report.at.replid;
        let history = match &self.history {
            Some(history) if history.replid == replid => return false,
            Some(history) => history.followed(replid, &report.past, None),
            None => ReplicationHistory::new(replid),
        };
        self.history = Some(history);
        self.samples.clear();
        true
    }

    fn state_of(&self, at: usize, has_two: bool) -> MemberState {
        if self.members[at].availability == Availability::Maintenance {
            return MemberState::Maintenance;
        }
        let report = match &self.members[at].told {
            Err(state) => return state.clone(),
            Ok(report) => report,
        };
        if report.is_master {
            return match self.appointment {
                _ if self.master == Some(MemberId::of(at)) => MemberState::Master,
                Appointment::Reports if has_two => MemberState::TwoMasters,
                Appointment::Reports | Appointment::Sentinels(_) => MemberState::NotAppointed,
            };
        }
        let is_of_this = |it: &ReplicationHistory| it.replid == report.at.replid;
        match report {
            Report { is_syncing: true, .. } => MemberState::Syncing,
            Report { is_linked: false, .. } => MemberState::LinkDown,
            _ if !self.history.as_ref().is_none_or(is_of_this) => MemberState::OtherHistory,
            _ if self.members[at].availability == Availability::Drained => MemberState::Drained,
            _ => MemberState::Replica,
        }
    }
}

/// Least time from one look at who fails or is slow to the next.
const JUDGE_EVERY_US: u64 = 100_000;
/// How long a replica whose stream has come back gets less to do: what it serves is not in its
/// caches yet.
const WARMS_UP_US: u64 = 10_000_000;
/// How much it does at first.
const COLD_PERCENT: u64 = 10;

/// How much of its share a replica does that has been fed since then.
fn warm_percent(fed_since: Option<MonoUs>, now: MonoUs) -> u32 {
    let Some(since) = fed_since else { return 100 };
    let fed_us = now.since(since).min(WARMS_UP_US);
    (COLD_PERCENT + (100 - COLD_PERCENT) * fed_us / WARMS_UP_US) as u32
}

impl UpstreamView {
    /// The less busy of two replicas in service that suit, each drawn by its share; `random` are 64
    /// random bits.
    pub fn replica(
        &self,
        allowed: Option<Allowed>,
        random: u64,
        suits: impl Fn(MemberId) -> bool,
    ) -> Option<MemberId> {
        let can = |at: &usize| {
            let id = MemberId::of(*at);
            self.serves_reads(*at) && allowed.is_none_or(|it| it.places.has(id)) && suits(id)
        };
        // Those that are spared serve while nobody else can.
        let is_spared = |at: &usize| self.members[*at].is_ejected;
        let are_all_spared = (0..self.members.len()).filter(can).all(|at| is_spared(&at));
        let may = |at: &usize| can(at) && (are_all_spared || !is_spared(at));
        let all = || (0..self.members.len()).filter(may);
        let share = |at: usize| u64::from(self.members[at].share.max(1));
        let total: u64 = all().map(share).sum();
        let draw = |bits: u64| {
            let mut left = bits.checked_rem(total)?;
            all().find(|at| match left.checked_sub(share(*at)) {
                Some(less) => {
                    left = less;
                    false
                }
                None => true,
            })
        };
        let (one, other) = (draw(random & 0xFFFF_FFFF)?, draw(random >> 32)?);
        Some(MemberId::of(if self.cost(other) < self.cost(one) { other } else { one }))
    }

    /// What one more read costs at this member, beside others.
    fn cost(&self, at: usize) -> u32 {
        let ViewMember { load, share, .. } = &self.members[at];
        load.cost(*share)
    }

    /// Whether one of those that may serve is being asked again: it may serve in a moment.
    pub fn is_any_doubtful(&self, allowed: Option<Allowed>) -> bool {
        let may = |at: &usize| allowed.is_none_or(|it| it.places.has(MemberId::of(*at)));
        (0..self.members.len())
            .filter(may)
            .any(|it| self.members[it].state == MemberState::Doubtful)
    }

    /// A replica that has lost its link: what it has is old, and better than nothing for who takes
    /// that.
    pub fn unfed_replica(
        &self,
        allowed: Option<Allowed>,
        suits: impl Fn(MemberId) -> bool,
    ) -> Option<MemberId> {
        let may = |at: &usize| {
            let id = MemberId::of(*at);
            allowed.is_none_or(|it| it.places.has(id)) && suits(id)
        };
        let is_unfed = |at: &usize| self.members[*at].state == MemberState::LinkDown;
        (0..self.members.len()).find(|at| is_unfed(at) && may(at)).map(MemberId::of)
    }

    /// Whether this member serves reads as a replica, and is not spared.
    pub fn is_preferred(&self, at: usize) -> bool {
        self.serves_reads(at) && !self.members[at].is_ejected
    }

    /// Whether this member serves reads as a replica.
    pub fn serves_reads(&self, at: usize) -> bool {
        self.members[at].state == MemberState::Replica
    }

    /// Whether enough replicas are near now for writes to pass.
    pub fn lets_through(&self, gate: MinReplicas, now: MonoUs) -> bool {
        let lag_us = u64::try_from(gate.max_lag.as_micros()).unwrap_or(u64::MAX);
        gate.replicas <= self.fresh_replicas(lag_us, now)
    }

    /// How many replicas are known to have had, at most so many µs ago, all that the master had.
    pub fn fresh_replicas(&self, age_us_max: u64, now: MonoUs) -> usize {
        let is_fresh = |it: &&ViewMember| {
            it.state.may_be_fed() && it.fresh_at.is_some_and(|at| now.since(at) <= age_us_max)
        };
        self.members.iter().filter(is_fresh).count()
    }
}

/// As a plan sees them: whether a replica has what a read needs shows when it answers.
impl Members for UpstreamView {
    fn master(&self) -> Option<MemberId> {
        self.master
    }

    fn head(&self) -> Offset {
        Offset::MAX
    }

    fn replicas(&self) -> usize {
        self.members.len()
    }

    fn replica(&self, at: usize) -> Candidate {
        Candidate {
            member: MemberId::of(at),
            applied: Offset::MAX,
            in_service: self.serves_reads(at),
            paused: false,
            in_flight: self.cost(at),
            behind_us: 0,
        }
    }
}

#[cfg(test)]
pub mod tests;
