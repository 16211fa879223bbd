//! What the alerts are measured by, once a second: members, hosted, on the wire and upstream alike,
//! the gate, the disk, memory.

use crate::base::size::{format_duration, format_size};
use crate::base::time::MonoUs;
use crate::commands::{observed, table};
use crate::config::{self, Config};
use crate::metrics::distribution::Distribution;
use crate::metrics::recent::{RecentCount, RecentDistributions};
use crate::node::{FollowerStatus, LinkPhase};
use crate::replication::FollowerState;
use crate::runtime::process;
use crate::state::{AlertKind, Reading, Server, Subject, Upstream};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// For how long it is told that the master has changed, or that the disk was late.
const LATELY: Duration = Duration::from_secs(5 * 60);
/// Within which full resyncs are counted.
const STORM: Duration = Duration::from_secs(10 * 60);
/// Whose reads are looked at.
const READS: Duration = Duration::from_secs(60);
/// Looking at all that was recorded is not for every second.
const LOOK_AT_READS_EVERY: Duration = Duration::from_secs(5);
/// A link should outlive so many pings that are not heard.
const PINGS_MIN: u32 = 5;
/// A replica on the wire that was silent for longer says nothing of what it has: they acknowledge
/// once a second.
const SILENT_US: u64 = 2_000_000;

/// What is remembered from one check to the next.
pub struct AlertChecks {
    master: Option<String>,
    failovers: u64,
    recent_failovers: RecentCount,
    resyncs: RecentCount,
    late_fsyncs: RecentCount,
    reads: RecentDistributions,
    looked_at_reads: Option<MonoUs>,
    staleness_us: BTreeMap<String, u64>,
    /// When each real server was last known to have all that the master had.
    fresh_at: BTreeMap<String, MonoUs>,
}

impl Default for AlertChecks {
    fn default() -> AlertChecks {
        AlertChecks {
            master: None,
            failovers: 0,
            recent_failovers: RecentCount::default(),
            resyncs: RecentCount::default(),
            late_fsyncs: RecentCount::default(),
            reads: RecentDistributions::new(READS),
            looked_at_reads: None,
            staleness_us: BTreeMap::new(),
            fresh_at: BTreeMap::new(),
        }
    }
}

/// A replica at one time, wherever it is.
struct Replica {
    name: String,
    /// How it stands, in a word.
    state: String,
    lag_bytes: Option<u64>,
    lag_us: Option<u64>,
    /// Whether it serves reads; `None` of one that does nothing of the kind.
    serves: Option<bool>,
    /// How much it lacks of what is kept for it, how much that is, and by which setting.
    lacks: Option<(u64, u64, &'static str)>,
}

/// Whether `[alerts]` asks for this one.
pub fn is_watched(settings: &config::Alerts, kind: AlertKind) -> bool {
    match kind {
        AlertKind::LagBytes => settings.lag_bytes != 0,
        AlertKind::Lag => !settings.lag.is_zero(),
        AlertKind::StalenessP99 => !settings.staleness_p99.is_zero(),
        AlertKind::NoReplicaInService => settings.no_replica_in_service,
        AlertKind::GateClosed => settings.gate_closed,
        AlertKind::Failover => settings.failover,
        AlertKind::ResyncStorm => settings.resync_storm != 0,
        AlertKind::Memory => settings.memory_percent != 0,
        AlertKind::FsyncLate => settings.fsync_late,
        AlertKind::BacklogWindow => settings.backlog_percent != 0,
        AlertKind::ReplTimeout => settings.repl_timeout,
        AlertKind::DeepChain => settings.deep_chain,
        AlertKind::LinkDown => !settings.link_down.is_zero(),
    }
}

impl AlertChecks {
    /// All that can be measured now.
    pub fn readings(&mut self, server: &Server, now: MonoUs) -> Vec<Reading> {
        let settings = server.settings();
        let replicas = match &server.upstream {
            Some(upstream) => self.upstream_replicas(upstream, now),
            None => replicas(server, &settings, now),
        };
        let mut readings: Vec<Reading> =
            replicas.iter().flat_map(|it| of_replica(it, &settings.alerts)).collect();
        readings.extend(nobody_serves(&replicas));
        readings.extend(closed_gate(server, &settings, now));
        readings.extend(self.failover(server, now));
        readings.extend(self.storm(server, &settings, now));
        readings.push(memory(server, &settings));
        readings.extend(self.late_fsync(server, now));
        readings.extend(near_timeout(server, &settings));
        readings.extend(chain(server));
        readings.extend(broken_link(server, &settings, now));
        readings.extend(self.stale_reads(server, &settings, now));
        readings
    }

    /// Real servers that are not the master. One that says nothing is behind since it last had all;
    /// one that has never said anything, since it was first looked at.
    fn upstream_replicas(&mut self, upstream: &Upstream, now: MonoUs) -> Vec<Replica> {
        let (members, view) = (upstream.members(), upstream.view());
        let head = view.master.and_then(|it| view.members.get(it.index())?.at);
        let mut fresh_at = BTreeMap::new();
        let mut replicas = Vec::new();
        for (member, stands) in view.there(&members) {
            let name = &member.described.name;
            let before = self.fresh_at.get(name).copied();
            let is_master = view.master == Some(member.id);
            let known = if is_master { Some(now) } else { stands.fresh_at };
            let fresh = known.or(before).unwrap_or(now);
            fresh_at.insert(name.clone(), fresh);
            if is_master {
                continue;
            }
            let same = head.zip(stands.at).filter(|(head, at)| head.replid == at.replid);
            replicas.push(Replica {
                name: name.clone(),
                state: stands.state.as_str().to_owned(),
                lag_bytes: same.map(|(head, at)| head.offset.since(at.offset)),
                lag_us: Some(now.since(fresh)),
                serves: Some(view.serves_reads(member.id.index())),
                lacks: None,
            });
        }
        self.fresh_at = fresh_at;
        replicas
    }

    fn failover(&mut self, server: &Server, now: MonoUs) -> Option<Reading> {
        let set = &server.set;
        let (id, what) = if let Some(upstream) = &server.upstream {
            let name = upstream.view().master.map(|it| upstream.member(it).described.name.clone());
            return self.failover_upstream(name, now);
        } else if let Some(remote) = set.remote() {
            let address = remote.address.to_string();
            let what = format!("the master has changed: this set follows {address}");
            (address, what)
        } else {
            // Each promotion begins a history of its own.
            let name = &set.member(set.master()).name;
            let what = format!("the master has changed: it is {name}");
            (set.history().replid.to_string(), what)
        };
        Some(self.count_failovers(id, what, now))
    }

    /// While no real server is the master, the last is remembered: none has taken its place yet.
    fn failover_upstream(&mut self, master: Option<String>, now: MonoUs) -> Option<Reading> {
        let name = master.or_else(|| self.master.clone())?;
        let what = format!("the master has changed: it is {name}");
        Some(self.count_failovers(name, what, now))
    }

    fn count_failovers(&mut self, id: String, what: String, now: MonoUs) -> Reading {
        if self.master.as_ref().is_some_and(|it| *it != id) {
            self.failovers += 1;
        }
        self.master = Some(id);
        let count = self.recent_failovers.within(LATELY, self.failovers, now);
        of_server(AlertKind::Failover, count, 0, what)
    }

    fn storm(&mut self, server: &Server, settings: &Config, now: MonoUs) -> Option<Reading> {
        if server.upstream.is_some() {
            return None;
        }
        let set = &server.set;
        let resyncs = set.full_resyncs.load(Relaxed) + set.wire.full_resyncs.load(Relaxed);
        let count = self.resyncs.within(STORM, resyncs, now);
        let what = format!("{count} full resyncs in ten minutes");
        Some(of_server(AlertKind::ResyncStorm, count, settings.alerts.resync_storm as u64, what))
    }

    fn late_fsync(&mut self, server: &Server, now: MonoUs) -> Option<Reading> {
        server.disk()?;
        let aof = server.persistence.status().aof.clone();
        let late = self.late_fsyncs.within(LATELY, aof.late_fsyncs + aof.failed_fsyncs, now);
        let what = "the append-only file was not on disk when it should have been".to_owned();
        Some(of_server(AlertKind::FsyncLate, late, 0, what))
    }

    fn stale_reads(&mut self, server: &Server, settings: &Config, now: MonoUs) -> Vec<Reading> {
        let threshold = micros(settings.alerts.staleness_p99);
        if !settings.server.metrics || threshold == 0 {
            return Vec::new();
        }
        if self.looked_at_reads.is_none_or(|it| it.plus(LOOK_AT_READS_EVERY) <= now) {
            self.looked_at_reads = Some(now);
            let routes = observed(server, table(), |snapshot, names| {
                let mut routes: BTreeMap<String, Distribution> = BTreeMap::new();
                for (place, behind) in snapshot.staleness() {
                    routes.entry(names.route(place).into_owned()).or_default().add(&behind.micros);
                }
                routes
            });
            self.staleness_us = self.reads.percentiles(99.0, routes, now);
        }
        let reading = |(route, us): (&String, &u64)| Reading {
            kind: AlertKind::StalenessP99,
            subject: Subject::Route(route.clone()),
            value: Some(*us),
            threshold,
            what: format!("one in a hundred reads of route {route} was {} behind", shown_us(*us)),
        };
        self.staleness_us.iter().map(reading).collect()
    }
}

fn of_server(kind: AlertKind, value: u64, threshold: u64, what: String) -> Reading {
    Reading { kind, subject: Subject::Server, value: Some(value), threshold, what }
}

/// Hosted replicas and those on the wire.
fn replicas(server: &Server, settings: &Config, now: MonoUs) -> Vec<Replica> {
    let (set, head) = (&server.set, server.set.head());
    let replica = |it: FollowerStatus| {
        let lag = head.since(it.acked);
        match &it.member {
            Some(member) => Replica {
                state: member.flags(),
                lag_bytes: Some(lag),
                lag_us: set.lacks_us(member, now),
                serves: Some(member.in_service()),
                lacks: Some((lag, settings.set.feed_bytes_max as u64, "replica-feed-limit")),
                name: it.name,
            },
            None => {
                let (mut lag_bytes, mut lacks) = (None, None);
                // While it is given a copy it has nothing that could be far behind.
                if let FollowerState::Online { sent, .. } = it.state {
                    let is_silent = SILENT_US < it.silent_us;
                    let unsent = if is_silent { lag } else { head.since(sent) };
                    let kept = settings.set.backlog_bytes as u64;
                    lag_bytes = Some(lag);
                    lacks = Some((unsent, kept, "repl-backlog-size"));
                }
                let lag_us = Some(it.behind_us).filter(|it| *it != u64::MAX);
                let state = it.state.to_string();
                Replica { name: it.name, state, lag_bytes, lag_us, serves: None, lacks }
            }
        }
    };
    set.followers(now).into_iter().filter(FollowerStatus::is_replica).map(replica).collect()
}

fn of_replica(replica: &Replica, settings: &config::Alerts) -> Vec<Reading> {
    let Replica { name, state, lag_bytes, lag_us, lacks, .. } = replica;
    let reading = |kind, value: Option<u64>, threshold, what| Reading {
        kind,
        subject: Subject::Member(name.clone()),
        value,
        threshold,
        what,
    };
    let bytes = lag_bytes.unwrap_or(0);
    let behind = format!("{name} ({state}) is {} behind the master", shown_bytes(bytes));
    let for_us = shown_us(lag_us.unwrap_or(0));
    let late = format!("{name} ({state}) has been behind the master for {for_us}");
    let mut all = vec![
        reading(AlertKind::LagBytes, *lag_bytes, settings.lag_bytes as u64, behind),
        reading(AlertKind::Lag, *lag_us, micros(settings.lag), late),
    ];
    if let Some((bytes, kept, setting)) = *lacks {
        let percent = u128::from(bytes) * 100 / u128::from(kept.max(1));
        let percent = u64::try_from(percent).unwrap_or(u64::MAX);
        let what = format!(
            "{name} lacks {} of the {} that are kept for it: {setting} {} would do",
            shown_bytes(bytes),
            shown_bytes(kept),
            format_size(size_that_would_do(bytes, kept)),
        );
        let threshold = settings.backlog_percent as u64;
        all.push(reading(AlertKind::BacklogWindow, Some(percent), threshold, what));
    }
    all
}

/// Of which what is lacking now is a quarter at most, and more than there is.
fn size_that_would_do(lacks: u64, kept: u64) -> u64 {
    const MOST: u64 = 1 << 62;
    let wanted = lacks.saturating_mul(4).max(kept.saturating_add(1)).min(MOST);
    wanted.next_power_of_two()
}

fn nobody_serves(replicas: &[Replica]) -> Option<Reading> {
    let mut serving = replicas.iter().filter_map(|it| it.serves).peekable();
    serving.peek()?;
    let value = u64::from(!serving.any(|it| it));
    let what = "no replica is in service: all reads go to the master".to_owned();
    Some(of_server(AlertKind::NoReplicaInService, value, 0, what))
}

fn closed_gate(server: &Server, settings: &Config, now: MonoUs) -> Option<Reading> {
    let gate = settings.set.gate()?;
    let is_open = match &server.upstream {
        Some(upstream) => upstream.view().lets_through(gate, now),
        // Its master has a gate of its own.
        None if server.set.is_following() => return None,
        None => gate.allows(server.set.fed(now)),
    };
    let what = format!(
        "writes are answered -NOREPLICAS: fewer than {} replicas are within {}",
        gate.replicas,
        format_duration(gate.max_lag)
    );
    Some(of_server(AlertKind::GateClosed, u64::from(!is_open), 0, what))
}

fn memory(server: &Server, settings: &Config) -> Reading {
    let (resident, machine) = (server.memory().resident, process::machine_bytes());
    let (most, whose) = match process::allowed_bytes() {
        Some(allowed) if allowed < machine || machine == 0 => (allowed, "its control group's"),
        Some(_) | None => (machine, "the machine's"),
    };
    let percent = u128::from(resident) * 100 / u128::from(most.max(1));
    let what =
        format!("this process has {} of {whose} {}", shown_bytes(resident), shown_bytes(most));
    let value = Some(percent as u64).filter(|_| most != 0);
    let threshold = settings.alerts.memory_percent as u64;
    Reading { value, ..of_server(AlertKind::Memory, 0, threshold, what) }
}

fn near_timeout(server: &Server, settings: &Config) -> Option<Reading> {
    if server.upstream.is_some() {
        return None;
    }
    let (timeout, ping) = (settings.set.repl_timeout, settings.set.ping_every);
    let least = ping * PINGS_MIN;
    let what = format!(
        "repl-timeout is {} and a ping is sent every {}: set it to {} or more",
        format_duration(timeout),
        format_duration(ping),
        format_duration(least),
    );
    Some(of_server(AlertKind::ReplTimeout, u64::from(timeout < least), 0, what))
}

fn chain(server: &Server) -> Option<Reading> {
    let remote = server.set.remote().filter(|_| server.upstream.is_none())?;
    let above = remote.above() as u64;
    let what = format!(
        "the master {} follows another ({above} above it): follow that one",
        remote.address
    );
    Some(of_server(AlertKind::DeepChain, above, 0, what))
}

/// While a snapshot is loaded nothing is wrong with the link.
fn broken_link(server: &Server, settings: &Config, now: MonoUs) -> Option<Reading> {
    let remote = server.set.remote().filter(|_| server.upstream.is_none())?;
    let status = remote.status();
    let is_well = matches!(status.phase, LinkPhase::Connected | LinkPhase::Sync);
    let down_us = if is_well { 0 } else { now.since(status.down_since) };
    let why = status.fault.as_ref().map_or_else(String::new, |(name, _)| format!(" ({name})"));
    let what = format!(
        "the link to the master {} has been down for {}{why}",
        remote.address,
        shown_us(down_us)
    );
    Some(of_server(AlertKind::LinkDown, down_us, micros(settings.alerts.link_down), what))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// `1.5 MB`, for people.
fn shown_bytes(bytes: u64) -> String {
    for (unit, each) in [("GB", 1u64 << 30), ("MB", 1 << 20), ("KB", 1 << 10)] {
        if each <= bytes {
            return format!("{:.1} {unit}", bytes as f64 / each as f64);
        }
    }
    format!("{bytes} bytes")
}

/// `1.5 s`, for people.
fn shown_us(us: u64) -> String {
    match us {
        0..1_000_000 => format!("{} ms", us / 1000),
        us => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(lag_bytes: u64, kept: u64) -> Replica {
        Replica {
            name: "n2".into(),
            state: "ok".into(),
            lag_bytes: Some(lag_bytes),
            lag_us: None,
            serves: Some(true),
            lacks: Some((lag_bytes, kept, "repl-backlog-size")),
        }
    }

    #[test]
    fn a_replica_that_lacks_much_of_what_is_kept_is_told_with_the_size_that_would_do() {
        let readings = of_replica(&replica(700 << 10, 1 << 20), &config::Alerts::default());
        let window = readings.iter().find(|it| it.kind == AlertKind::BacklogWindow).unwrap();
        assert_eq!((window.value, window.threshold), (Some(68), 50));
        let told = "n2 lacks 700.0 KB of the 1.0 MB that are kept for it: repl-backlog-size 4mb \
                    would do";
        assert_eq!(window.what, told);
        assert_eq!(size_that_would_do(0, 1 << 20), 2 << 20);
        assert_eq!(size_that_would_do(u64::MAX, 1), 1 << 62);
        let bytes = readings.iter().find(|it| it.kind == AlertKind::LagBytes).unwrap();
        assert_eq!((bytes.value, bytes.threshold), (Some(700 << 10), 10 << 20));
        let time = readings.iter().find(|it| it.kind == AlertKind::Lag).unwrap();
        assert_eq!((time.value, time.threshold), (None, 5_000_000));
    }

    #[test]
    fn nobody_serves_where_some_could_and_none_does() {
        let with = |serves: &[Option<bool>]| {
            let replicas: Vec<_> =
                serves.iter().map(|it| Replica { serves: *it, ..replica(0, 1) }).collect();
            nobody_serves(&replicas).map(|it| it.value)
        };
        assert_eq!([with(&[]), with(&[None])], [None, None], "there is nobody who could");
        assert_eq!(with(&[Some(false), None]), Some(Some(1)));
        assert_eq!(with(&[Some(false), Some(true)]), Some(Some(0)));
    }

    #[test]
    fn a_failover_is_counted_on_while_nobody_is_master() {
        let (mut checks, at) = (AlertChecks::default(), |s: u64| MonoUs(s * 1_000_000));
        let mut count = |name: Option<&str>, s| {
            let reading = checks.failover_upstream(name.map(str::to_owned), at(s));
            reading.map(|it| (it.value, it.what))
        };
        assert_eq!(count(None, 1), None, "nobody knows of any");
        assert_eq!(count(Some("n1"), 2).map(|it| it.0), Some(Some(0)));
        assert_eq!(count(None, 3).map(|it| it.0), Some(Some(0)));
        let told = Some((Some(1), "the master has changed: it is n2".to_owned()));
        assert_eq!(count(Some("n2"), 4), told);
        assert_eq!(count(None, 5), told);
        assert_eq!(count(Some("n2"), 6), told);
    }

    #[test]
    fn numbers_are_told_for_people() {
        assert_eq!([shown_bytes(7), shown_bytes(3 << 19)], ["7 bytes", "1.5 MB"]);
        assert_eq!([shown_us(7_900), shown_us(5_250_000)], ["7 ms", "5.2 s"]);
    }
}
