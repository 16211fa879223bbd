//! Who of the members is the master, in which history, and who may serve reads: by what they have
//! told of themselves, and what sentinels say.
//!
//! A member is believed only what it has told last: a failed probe takes back the one before, and
//! an answer that contradicts it makes it doubtful until the next.

use super::ejection::{Ejection, is_slow};
use super::member_load::MemberLoad;
use super::member_state::MemberState;
use super::report::Report;
use super::scan_cursor::ScanCursor;
use super::view::{UpstreamView, ViewMember};
use crate::base::ids::MemberId;
use crate::base::limits::REPLICAS_MAX;
use crate::base::places::Places;
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Places of the master that are remembered, to tell how old what a replica has is.
const SAMPLES_MAX: usize = 256;

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
    /// Since when it is at its place, or nobody is.
    since: MonoUs,
    /// Answers of sentinels, one after another, that have not named it.
    unnamed: u32,
}

/// For how long places are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Answers of sentinels that a member which is down is kept for without being named.
    pub unnamed_max: u32,
    /// How long nobody has a place that another had. Whatever was on its way to that one has an end
    /// by then.
    pub rest: Duration,
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
    keeping: Option<Keeping>,
    /// The name of this process among those that are in front of servers.
    run_id: String,
}

impl Status {
    fn new(weight: u32, lives: u64, since: MonoUs) -> Status {
        Status {
            told: Err(MemberState::Unknown),
            told_at: MonoUs::default(),
            state: MemberState::Unknown,
            fresh_at: None,
            lives,
            load: Arc::default(),
            weight,
            fed_since: None,
            availability: Availability::Full,
            ejection: Ejection::default(),
            since,
            unnamed: 0,
        }
    }

    fn is_there(&self) -> bool {
        self.state != MemberState::Gone
    }

    /// Whether it is of no use to anybody: it cannot be asked, or is of another set.
    fn is_useless(&self) -> bool {
        let is_down = self.told.as_ref().is_err_and(MemberState::is_down);
        // What an operator has said of it must hold when it comes back.
        let is_spoken_of = self.availability != Availability::Full;
        (is_down || self.state.is_of_others()) && !is_spoken_of && self.load.in_flight() == 0
    }
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
            keeping: None,
            run_id: String::new(),
        }
    }

    /// One more member of this weight, of which nothing is known. It has the place of one that is
    /// gone, if one has rested for long enough; `None` when there is none for it.
    pub fn add(&mut self, weight: u32, now: MonoUs) -> Option<MemberId> {
        let rest_us = self.keeping.map_or(u64::MAX, |it| it.rest.as_micros() as u64);
        let may = |it: &Status| !it.is_there() && rest_us <= now.since(it.since);
        let place = match self.members.iter().position(may) {
            Some(place) => {
                // Cursors of the one before are not its own.
                let lives = self.members[place].lives + 1;
                self.members[place] = Status::new(weight, lives, now);
                place
            }
            None if self.members.len() <= REPLICAS_MAX => {
                self.members.push(Status::new(weight, 0, now));
                self.members.len() - 1
            }
            None => return None,
        };
        self.epoch += 1;
        Some(MemberId::of(place))
    }

    /// For how long sentinels' members are kept; without it, for ever.
    pub fn set_keeping(&mut self, keeping: Keeping) {
        self.keeping = Some(keeping);
    }

    /// The name of this process: a member that says it is called so is this process itself.
    pub fn set_run_id(&mut self, run_id: &str) {
        run_id.clone_into(&mut self.run_id);
    }

    /// A sentinel has named these, and no others. Answers those that are members no more: they are
    /// of no use, and no sentinel has named them for long.
    pub fn note_named(&mut self, named: Places, now: MonoUs) -> Places {
        let Some(Keeping { unnamed_max, .. }) = self.keeping else { return Places::default() };
        let appointed = match self.appointment {
            Appointment::Sentinels(appointed) => appointed,
            Appointment::Reports => None,
        };
        let mut gone = Places::default();
        for (at, status) in self.members.iter_mut().enumerate() {
            let id = MemberId::of(at);
            let is_named = named.has(id) || appointed == Some(id);
            status.unnamed = if is_named { 0 } else { status.unnamed.saturating_add(1) };
            if status.is_there() && unnamed_max < status.unnamed && status.is_useless() {
                status.told = Err(MemberState::Gone);
                status.since = now;
                gone = gone.with(id);
            }
        }
        if !gone.is_empty() {
            self.settle();
        }
        gone
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
        if !status.is_there() {
            return false;
        }
        if asked_at != MonoUs::default() {
            if asked_at < status.told_at || asked_at < status.since {
                // It was on its way while the member has told something newer, or another had its
                // place.
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
        if !status.is_there() {
            return false;
        }
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
                && it.told.as_ref().is_ok_and(|it| it.is_master && it.proxy.is_none())
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
        let told = &self.members[at].told;
        if matches!(told, Err(MemberState::Gone)) {
            return MemberState::Gone;
        }
        if self.members[at].availability == Availability::Maintenance {
            return MemberState::Maintenance;
        }
        let report = match told {
            Err(state) => return state.clone(),
            Ok(report) => report,
        };
        match &report.proxy {
            Some(run_id) if *run_id == self.run_id => {
                return MemberState::Proxy("it is this proxy itself".to_owned());
            }
            Some(run_id) => {
                let why = format!("it is no server but an Entourage in front of some: {run_id}");
                return MemberState::Proxy(why);
            }
            None => {}
        }
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

#[cfg(test)]
pub mod tests;
