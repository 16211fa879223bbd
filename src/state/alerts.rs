//! The alerts: of what operators are told, and what is raised now.

use crate::base::hysteresis::{Edge, Found, Hysteresis};
use crate::base::time::{MonoUs, WallMs};
use crate::metrics::json::Json;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Subjects that alerts are kept of: members, replicas on the wire and routes, for each kind.
const TRACKED_MAX: usize = 16 << 10;

/// What operators are told of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AlertKind {
    /// A replica is far behind, in bytes.
    LagBytes,
    /// A replica is far behind, in time.
    Lag,
    /// Reads of a route are stale.
    StalenessP99,
    /// There are replicas, and none serves.
    NoReplicaInService,
    /// Writes are refused for want of replicas.
    GateClosed,
    /// The master has changed.
    Failover,
    /// Replicas are copied again and again.
    ResyncStorm,
    /// The machine's memory is used up.
    Memory,
    /// The disk is too slow, or fails.
    FsyncLate,
    /// A replica lacks much of what is kept for it.
    BacklogWindow,
    /// The links' timeout is too near to the pings.
    ReplTimeout,
    /// The master that is followed follows another.
    DeepChain,
    /// Nothing comes from the master that is followed.
    LinkDown,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [AlertKind; 13] = [
        AlertKind::LagBytes,
        AlertKind::Lag,
        AlertKind::StalenessP99,
        AlertKind::NoReplicaInService,
        AlertKind::GateClosed,
        AlertKind::Failover,
        AlertKind::ResyncStorm,
        AlertKind::Memory,
        AlertKind::FsyncLate,
        AlertKind::BacklogWindow,
        AlertKind::ReplTimeout,
        AlertKind::DeepChain,
        AlertKind::LinkDown,
    ];

    /// Its name, which is that of its setting in `[alerts]`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::LagBytes => "lag-bytes",
            AlertKind::Lag => "lag",
            AlertKind::StalenessP99 => "staleness-p99",
            AlertKind::NoReplicaInService => "no-replica-in-service",
            AlertKind::GateClosed => "gate-closed",
            AlertKind::Failover => "failover",
            AlertKind::ResyncStorm => "resync-storm",
            AlertKind::Memory => "memory",
            AlertKind::FsyncLate => "fsync-late",
            AlertKind::BacklogWindow => "backlog-window",
            AlertKind::ReplTimeout => "repl-timeout",
            AlertKind::DeepChain => "deep-chain",
            AlertKind::LinkDown => "link-down",
        }
    }

    /// What its values count.
    pub fn unit(self) -> &'static str {
        match self {
            AlertKind::LagBytes => "bytes",
            AlertKind::Lag | AlertKind::StalenessP99 | AlertKind::LinkDown => "us",
            AlertKind::Memory | AlertKind::BacklogWindow => "percent",
            AlertKind::NoReplicaInService
            | AlertKind::GateClosed
            | AlertKind::Failover
            | AlertKind::ResyncStorm
            | AlertKind::FsyncLate
            | AlertKind::ReplTimeout
            | AlertKind::DeepChain => "count",
        }
    }
}

/// What an alert is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// The whole server.
    Server,
    /// A member, or a replica on the wire.
    Member(String),
    /// A route.
    Route(String),
}

impl Subject {
    /// The member's name; empty where it is about none.
    pub fn member(&self) -> &str {
        if let Subject::Member(name) = self { name } else { "" }
    }

    /// The route's name; empty where it is about none.
    pub fn route(&self) -> &str {
        if let Subject::Route(name) = self { name } else { "" }
    }
}

/// What one check has measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// For which alert.
    pub kind: AlertKind,
    /// Of what.
    pub subject: Subject,
    /// How much it is; `None` where nobody can tell.
    pub value: Option<u64>,
    /// What it may be.
    pub threshold: u64,
    /// What that means, in one sentence.
    pub what: String,
}

/// An alert that is raised, or was until now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// Which it is.
    pub kind: AlertKind,
    /// What it is about.
    pub subject: Subject,
    /// When it was raised.
    pub since: WallMs,
    /// What was measured last.
    pub value: u64,
    /// The most that was measured while it was raised.
    pub worst: u64,
    /// What it may be.
    pub threshold: u64,
    /// What it means, in one sentence: as it was at its worst.
    pub what: String,
}

impl Alert {
    /// Writes what it is about and how it stands into an object, behind its name.
    pub fn describe(&self, object: &mut Json) {
        object.name("member").string(self.subject.member());
        object.name("route").string(self.subject.route());
        object.name("what").string(&self.what);
        object.name("value").number(self.value);
        object.name("worst").number(self.worst);
        object.name("threshold").number(self.threshold);
        object.name("unit").string(self.kind.unit());
        object.name("since-ms").number(self.since.0);
    }
}

/// An alert that has been raised or cleared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// It.
    pub alert: Alert,
    /// How it has changed.
    pub edge: Edge,
    /// Why, where it is over.
    pub ending: Option<Ending>,
}

/// Why an alert is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// What was measured is well below the threshold.
    Below,
    /// What it was about is gone: nothing is known of it any more.
    Gone,
    /// Nobody wants to know any more.
    Unwatched,
}

impl Ending {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Below => "below",
            Ending::Gone => "gone",
            Ending::Unwatched => "unwatched",
        }
    }
}

/// All that is known of alerts.
#[derive(Default)]
pub struct Alerts(Mutex<BTreeMap<(AlertKind, Subject), Tracked>>);

struct Tracked {
    state: Hysteresis,
    alert: Alert,
}

impl Alerts {
    /// Takes what was measured now, each subject once, and answers what has changed. A subject of
    /// which nothing was measured is gone, which is as good as well below. A kind that is not
    /// `watched` is cleared at once.
    pub fn check(
        &self,
        readings: Vec<Reading>,
        is_watched: impl Fn(AlertKind) -> bool,
        now: MonoUs,
        wall: WallMs,
    ) -> Vec<Changed> {
        let mut all = self.0.lock();
        let mut found: BTreeMap<_, Reading> =
            readings.into_iter().map(|it| ((it.kind, it.subject.clone()), it)).collect();
        let mut changed = Vec::new();
        all.retain(|place, tracked| {
            let reading = found.remove(place).filter(|it| is_watched(it.kind));
            let (edge, ending) = match &reading {
                Some(reading) => (tracked.read(reading, now, wall), Ending::Below),
                None if !is_watched(place.0) => (tracked.state.end(now), Ending::Unwatched),
                // What was measured last stays: it has not become better.
                None => (tracked.state.check(Found::Under, now), Ending::Gone),
            };
            changed.extend(edge.map(|edge| {
                let ending = (edge != Edge::Raised).then_some(ending);
                Changed { alert: tracked.alert.clone(), edge, ending }
            }));
            reading.is_some() || tracked.state.is_raised()
        });
        let room = TRACKED_MAX.saturating_sub(all.len());
        let new = found.into_iter().filter(|it| is_watched(it.1.kind));
        for (place, reading) in new.take(room) {
            let mut tracked = Tracked::new(&reading);
            // One check alone raises nothing.
            tracked.read(&reading, now, wall);
            all.insert(place, tracked);
        }
        changed
    }

    /// Those that are raised.
    pub fn raised(&self) -> Vec<Alert> {
        let all = self.0.lock();
        let raised = all.values().filter(|it| it.state.is_raised());
        raised.map(|it| it.alert.clone()).collect()
    }

    /// All that are watched, by what they are about, and whether each is raised.
    pub fn all(&self) -> Vec<(AlertKind, Subject, bool)> {
        let all = self.0.lock();
        let each = all.iter().map(|((kind, subject), it)| (*kind, subject.clone(), it));
        each.map(|(kind, subject, it)| (kind, subject, it.state.is_raised())).collect()
    }
}

impl Tracked {
    fn new(reading: &Reading) -> Tracked {
        let Reading { kind, subject, value, threshold, what } = reading.clone();
        let value = value.unwrap_or(0);
        let alert = Alert { kind, subject, since: WallMs(0), value, worst: value, threshold, what };
        Tracked { state: Hysteresis::default(), alert }
    }

    fn read(&mut self, reading: &Reading, now: MonoUs, wall: WallMs) -> Option<Edge> {
        let alert = &mut self.alert;
        alert.threshold = reading.threshold;
        if let Some(value) = reading.value {
            alert.value = value;
            if !self.state.is_raised() || alert.worst <= value {
                (alert.worst, alert.what) = (value, reading.what.clone());
            }
        }
        let edge = self.state.check(Found::of(reading.value, reading.threshold), now);
        if edge == Some(Edge::Raised) {
            self.alert.since = wall;
        }
        edge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(member: &str, value: u64) -> Reading {
        Reading {
            kind: AlertKind::LagBytes,
            subject: Subject::Member(member.into()),
            value: Some(value),
            threshold: 100,
            what: format!("{member} is {value} bytes behind"),
        }
    }

    fn check(alerts: &Alerts, readings: &[Reading], at: u64) -> Vec<(String, bool)> {
        let changed = alerts.check(readings.to_vec(), |_| true, MonoUs(at), WallMs(at));
        let told = |it: Changed| (it.alert.subject.member().to_owned(), it.edge == Edge::Raised);
        changed.into_iter().map(told).collect()
    }

    #[test]
    fn each_subject_is_raised_once_and_cleared_once() {
        let alerts = Alerts::default();
        let mut told = Vec::new();
        for at in 0..10 {
            let n3 = if at < 5 { 50 } else { 500 };
            told.extend(check(&alerts, &[reading("n2", 200 + at), reading("n3", n3)], at));
        }
        assert_eq!(told, [("n2".to_owned(), true), ("n3".to_owned(), true)]);
        let raised = alerts.raised();
        assert_eq!((raised[0].since, raised[0].worst, raised[0].value), (WallMs(2), 209, 209));
        told.clear();
        for at in 10..20 {
            told.extend(check(&alerts, &[reading("n2", 10), reading("n3", 90)], at));
        }
        assert_eq!(told, [("n2".to_owned(), false)]);
        let raised = alerts.raised();
        assert_eq!((raised.len(), raised[0].what.as_str()), (1, "n3 is 500 bytes behind"));
        assert_eq!((raised[0].value, raised[0].worst), (90, 500));
        assert_eq!(alerts.all().len(), 2);
    }

    #[test]
    fn who_is_gone_is_cleared_and_forgotten() {
        let alerts = Alerts::default();
        (0..5).for_each(|at| drop(check(&alerts, &[reading("n2", 200)], at)));
        let gone: Vec<_> = (5..15)
            .flat_map(|at| alerts.check(Vec::new(), |_| true, MonoUs(at), WallMs(at)))
            .collect();
        assert_eq!(gone.len(), 1);
        assert_eq!((gone[0].ending, gone[0].alert.value), (Some(Ending::Gone), 200));
        assert!(alerts.all().is_empty());
    }

    #[test]
    fn what_has_become_better_says_so() {
        let alerts = Alerts::default();
        let check =
            |value, at| alerts.check(vec![reading("n2", value)], |_| true, MonoUs(at), WallMs(at));
        let raised: Vec<_> = (0..5).flat_map(|at| check(200, at)).collect();
        assert_eq!((raised.len(), raised[0].ending), (1, None));
        let cleared: Vec<_> = (5..15).flat_map(|at| check(10, at)).collect();
        assert_eq!((cleared.len(), cleared[0].ending), (1, Some(Ending::Below)));
    }

    #[test]
    fn what_nobody_can_tell_leaves_it_as_it_is() {
        let alerts = Alerts::default();
        let unknown = Reading { value: None, ..reading("n2", 0) };
        (0..5).for_each(|at| drop(check(&alerts, &[reading("n2", 200)], at)));
        let told: Vec<_> =
            (5..30).flat_map(|at| check(&alerts, std::slice::from_ref(&unknown), at)).collect();
        assert!(told.is_empty() && alerts.raised()[0].worst == 200);
    }

    #[test]
    fn what_nobody_wants_to_know_any_more_is_cleared_at_once() {
        let alerts = Alerts::default();
        (0..5).for_each(|at| drop(check(&alerts, &[reading("n2", 200)], at)));
        let changed = alerts.check(vec![reading("n2", 200)], |_| false, MonoUs(7), WallMs(7));
        assert_eq!(changed[0].edge, Edge::Cleared { after_us: 5 });
        assert_eq!(changed[0].ending, Some(Ending::Unwatched));
        assert!(alerts.all().is_empty());
    }
}
