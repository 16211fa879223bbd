//! The checked configuration, and its defaults.

use super::access::AccessFrom;
use super::alerts::Alerts;
use super::disk::Disk;
use super::http::Http;
use super::listener::{Listener, Proxies};
use super::locate::Place;
use super::logging::{Log, LogLevel};
use super::memory::Memory;
use super::tls::Tls;
use super::upstream::Upstream;
use super::user_table::UserTable;
use crate::base::limits::{BULK_BYTES_MAX, QUERY_BYTES_MAX};
use crate::base::remote_address::RemoteAddress;
use crate::command::EventClasses;
use crate::engine::Thresholds;
use crate::route::CountHosted;
use crate::route::{Acks, Level, MemberConfig, MinReplicas, Routes, Selector, StickyScope};
use std::time::Duration;

/// Everything an operator can say.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where clients come in; at least one.
    pub listeners: Vec<Listener>,
    /// Connections and the process.
    pub server: Server,
    /// Certificates and keys.
    pub tls: Tls,
    /// The status page and what is for programs beside it.
    pub http: Http,
    /// `[alerts]`
    pub alerts: Alerts,
    /// The hosted replica set.
    pub set: ReplicaSet,
    /// The set's members are real servers.
    pub upstream: Option<Upstream>,
    /// What the file says of members, by place: the first is the master at the start. Never more
    /// than there are places.
    pub members: Vec<MemberConfig>,
    /// The users that the file describes.
    pub users: Vec<UserTable>,
    /// Levels, ladders and acks, by rule.
    pub routes: Routes,
    /// Who shares a floor at level `sticky`, unless their listener or session says otherwise.
    pub sticky_scope: StickyScope,
    /// When collections leave their compact forms.
    pub thresholds: Thresholds,
}

/// Connections and the process.
#[derive(Clone, PartialEq, Debug)]
pub struct Server {
    /// Worker threads; 0 for one per core.
    pub threads: usize,
    /// Connections at most.
    pub maxclients: usize,
    /// An idle client is closed after this long; zero for never.
    pub timeout: Duration,
    /// How often an idle connection is probed; zero for never.
    pub tcp_keepalive: Duration,
    /// How long SIGTERM waits for clients and replicas.
    pub shutdown_timeout: Duration,
    /// The file with the number of the process; empty for none.
    pub pidfile: String,
    /// The path by which another process takes this one's place; empty for none.
    pub upgrade_socket: String,
    /// The default user's password; empty for none.
    pub requirepass: String,
    /// The file of users; empty for none.
    pub aclfile: String,
    /// What signs tokens, the same at proxies that exchange them; empty for a random one.
    pub token_secret: String,
    /// How much output may wait for a client.
    pub output_limits: OutputLimits,
    /// How much input may wait for its request to be complete.
    pub query_bytes_max: usize,
    /// The longest bulk string of a request.
    pub bulk_bytes_max: usize,
    /// Commands that take this many µs or more are kept by the slow log; below 0 for none.
    pub slowlog_slower_than_us: i64,
    /// Entries of the slow log.
    pub slowlog_entries_max: usize,
    /// What takes so many ms is a sample of LATENCY; 0 is nothing.
    pub latency_monitor_ms: usize,
    /// Keys that clients may cache together; 0 is without a limit.
    pub cached_keys_max: usize,
    /// Entries of ACL LOG.
    pub acl_log_entries_max: usize,
    /// What new users may hear: `allchannels` or `resetchannels`.
    pub acl_pubsub_default: String,
    /// A script that runs for so many ms keeps others from the master; 0 for never.
    pub busy_reply_ms: usize,
    /// A script that executes more instructions is stopped; 0 for never.
    pub script_instructions_max: usize,
    /// What is worth a line in the log.
    pub loglevel: LogLevel,
    /// How the log is written, and where.
    pub log: Log,
    /// Whether clients from other machines are refused while there is no password.
    pub protected_mode: bool,
    /// Who may say DEBUG, which can put a member out of service.
    pub debug: AccessFrom,
    /// Who may change protected parameters.
    pub protected_configs: AccessFrom,
    /// Whether service times and staleness are recorded.
    pub metrics: bool,
    /// Whether service times are kept per command.
    pub latency_tracking: bool,
    /// The percentiles of `INFO latencystats`.
    pub latency_percentiles: Vec<f64>,
}

/// The hosted replica set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaSet {
    /// Hosted replicas beside the master.
    pub replicas: usize,
    /// Stream bytes kept for partial resync.
    pub backlog_bytes: usize,
    /// How far a hosted replica may fall behind before it is disconnected and must resync.
    pub feed_bytes_max: usize,
    /// How often an idle master says PING on the stream.
    pub ping_every: Duration,
    /// How long a replication link may be silent.
    pub repl_timeout: Duration,
    /// How long a full resync over the wire waits for others to join it.
    pub diskless_sync_delay: Duration,
    /// As soon as so many wait for one, it begins; 0 for never.
    pub sync_max_replicas: usize,
    /// How long the backlog outlives the last replica on the wire; 0 for ever.
    pub backlog_ttl: Duration,
    /// Whether hosted replicas count as replicas.
    pub count_hosted: CountHosted,
    /// Good replicas a write needs; 0 for none.
    pub min_replicas: usize,
    /// How far behind a good replica may be.
    pub max_lag: Duration,
    /// Whether the master looks for expired keys by itself.
    pub active_expire: bool,
    /// The classes of events that subscribers hear of.
    pub events: EventClasses,
    /// How often a second it does.
    pub hz: usize,
    /// The master that the set follows, if it does.
    pub master: Option<RemoteAddress>,
    /// How it follows one.
    pub follow: Follow,
    /// What is written to disk.
    pub disk: Disk,
    /// How much memory there may be.
    pub memory: Memory,
}

/// How a set follows a remote master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Follow {
    /// The user that logs in at the master; empty for the default one.
    pub user: String,
    /// That user's password; empty for none.
    pub password: String,
    /// What becomes of the writes of clients.
    pub writes: FollowWrites,
    /// Whether it serves what it has while the link is down.
    pub serves_stale: bool,
    /// Which replica Sentinel promotes first: the lowest, but never 0.
    pub priority: usize,
    /// Whether Sentinel tells others of it.
    pub is_announced: bool,
    /// The address at which others reach it; empty for the one that it comes from.
    pub announce_ip: String,
    /// The port at which others reach it; 0 for that of its first listener.
    pub announce_port: usize,
    /// Redis' word for where a snapshot is loaded. Here that is always beside the old data.
    pub diskless_load: String,
}

/// What becomes of the writes of clients in a set that follows a master.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FollowWrites {
    /// They are forwarded to a master that the configuration names, and refused by REPLICAOF's.
    #[default]
    Auto,
    /// They are forwarded to the master.
    Forward,
    /// They are refused, as Redis does.
    Readonly,
}

impl FollowWrites {
    /// All of them with their names.
    pub const ALL: [(FollowWrites, &str); 3] = [
        (FollowWrites::Auto, "auto"),
        (FollowWrites::Forward, "forward"),
        (FollowWrites::Readonly, "readonly"),
    ];

    /// Whether they are forwarded, where the configuration decides.
    pub fn forwards(self) -> Option<bool> {
        match self {
            FollowWrites::Auto => None,
            FollowWrites::Forward => Some(true),
            FollowWrites::Readonly => Some(false),
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        FollowWrites::ALL[self as usize].1
    }
}

impl ReplicaSet {
    /// The setting that asks for a file where there is no directory for it.
    pub(super) fn lacks_dir(&self) -> Option<&'static str> {
        let disk = &self.disk;
        let asks = [("appendonly", disk.appendonly), ("save", !disk.save.is_empty())];
        asks.into_iter().find(|it| it.1 && disk.dir.is_empty()).map(|it| it.0)
    }

    /// The gate writes pass, if there is one: both of its settings must say something.
    pub fn gate(&self) -> Option<MinReplicas> {
        match (self.min_replicas, self.max_lag) {
            (0, _) | (_, Duration::ZERO) => None,
            (replicas, max_lag) => Some(MinReplicas { replicas, max_lag }),
        }
    }
}

impl Config {
    /// Whether requests have to be asked for more than who sends them: writes are refused when too
    /// few replicas are near, or commands by their route.
    pub fn refuses_anything(&self) -> bool {
        self.set.gate().is_some() || self.routes.refuses()
    }

    /// Whether users come from a file of their own.
    pub fn has_users_file(&self) -> bool {
        !self.server.aclfile.is_empty()
    }

    /// Whether the default user is as a file says it, and `requirepass` is for nobody.
    pub fn describes_default(&self) -> bool {
        self.has_users_file() || self.users.iter().any(UserTable::is_default)
    }

    /// Whether a new user may hear all channels.
    pub fn hears_all(&self) -> bool {
        self.server.acl_pubsub_default == "allchannels"
    }

    /// The level of the listener of this name.
    pub fn listener_level(&self, name: &str) -> Option<Level> {
        self.listeners.iter().find(|it| it.name == name)?.level
    }

    /// Whom the listener of this name believes who its clients are, if proxies connect there.
    pub fn listener_proxies(&self, name: &str) -> Option<&Proxies> {
        self.listeners.iter().find(|it| it.name == name)?.proxies.as_ref()
    }

    /// Who shares a floor where the session has not said it: of those that come in by the listener
    /// of this name.
    pub fn listener_scope(&self, name: &str) -> StickyScope {
        let listener = self.listeners.iter().find(|it| it.name == name);
        listener.and_then(|it| it.sticky_scope).unwrap_or(self.sticky_scope)
    }

    /// Every member of the set at the start: those that the file describes, then those it does not.
    pub fn all_members(&self) -> Vec<MemberConfig> {
        let unnamed = (self.members.len()..=self.set.replicas).map(MemberConfig::unnamed);
        self.members.iter().cloned().chain(unnamed).collect()
    }

    /// Every member that is hosted at the start. In the place of real servers stands one that has
    /// nothing.
    pub fn hosted_members(&self) -> Vec<MemberConfig> {
        match self.upstream {
            Some(_) => MemberConfig::all_unnamed(0),
            None => self.all_members(),
        }
    }

    /// What no server could keep, if these settings ask for it. Told of a file and flags at the
    /// start; CONFIG SET takes such settings, as Redis does.
    pub(super) fn contradiction(&self) -> Option<(Place, String)> {
        self.upstream_misfit()
            .or_else(|| self.lost_member())
            .or_else(|| self.strange_member())
            .or_else(|| self.shut_gate())
            .or_else(|| self.no_dir())
            .or_else(|| self.no_file_to_wait_for())
            .or_else(|| self.users_twice())
            .or_else(|| self.half_tls())
            .or_else(|| self.http.contradiction())
    }

    fn lost_member(&self) -> Option<(Place, String)> {
        let ReplicaSet { replicas, .. } = self.set;
        let lost = self.members.get(replicas + 1)?;
        let why = format!(
            "set.replicas = {replicas} has no place for member `{}`; write {} at least",
            lost.name,
            self.members.len() - 1
        );
        Some((Place::Member(replicas + 1), why))
    }

    /// An entry of a route's `members` that a flag has left without anybody.
    fn strange_member(&self) -> Option<(Place, String)> {
        let members = self.all_members();
        let selects = |entry: &Selector| members.iter().any(|it| entry.selects(&it.name, &it.tags));
        self.routes.all().iter().enumerate().find_map(|(at, route)| {
            let strange = route.members.iter().find(|it| !selects(it))?;
            let (name, known) = (&route.name, selectable(&members));
            let key = "members";
            let place =
                at.checked_sub(1).map_or(Place::Consistency(key), |it| Place::Route(it, key));
            Some((place, format!("route `{name}` names member `{strange}`; there are {known}")))
        })
    }

    fn no_file_to_wait_for(&self) -> Option<(Place, String)> {
        if self.set.disk.has_aof() {
            return None;
        }
        let at = self.routes.all().iter().position(|it| it.acks == Acks::Fsync)?;
        let place =
            at.checked_sub(1).map_or(Place::Consistency("acks"), |it| Place::Route(it, "acks"));
        let why = "acks = \"fsync\" needs an append-only file: set set.dir and set.appendonly";
        Some((place, why.to_owned()))
    }

    /// One could be meant to hold for the other, and would not.
    fn users_twice(&self) -> Option<(Place, String)> {
        let is_twice = self.has_users_file() && !self.users.is_empty();
        let why = "server.aclfile beside [[user]]: users come either from a file of their own or \
                   from this one; leave one of them out";
        is_twice.then(|| (Place::Server("aclfile"), why.to_owned()))
    }

    fn no_dir(&self) -> Option<(Place, String)> {
        let key = self.set.lacks_dir()?;
        let why = format!("set.{key} needs set.dir: without a directory nothing is written");
        Some((Place::Set(key), why))
    }

    fn shut_gate(&self) -> Option<(Place, String)> {
        let ReplicaSet { replicas, .. } = self.set;
        // How many replicas there are is not said of real servers.
        let gate = self.set.gate().filter(|_| self.upstream.is_none());
        let wanted = gate.map(|it| it.replicas).filter(|it| replicas < *it)?;
        let why = format!(
            "set.min-replicas-to-write = {wanted} with set.replicas = {replicas} refuses every \
             write; write {replicas} at most, or raise set.replicas"
        );
        Some((Place::Set("min-replicas-to-write"), why))
    }
}

/// What a route's `members` may name: all names, then all tags.
pub(super) fn selectable(members: &[MemberConfig]) -> String {
    let names = members.iter().map(|it| it.name.clone());
    let mut tags: Vec<String> = members.iter().flat_map(|it| it.tags.clone()).collect();
    tags.sort();
    tags.dedup();
    let tags = tags.into_iter().map(|it| Selector::Tag(it).to_string());
    names.chain(tags).collect::<Vec<_>>().join(", ")
}

/// How much output may wait for a client, by kind of client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas on the wire.
    pub replica: OutputLimit,
    /// Subscribers.
    pub pubsub: OutputLimit,
}

/// One kind's limit; zeros for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimit {
    /// Bytes that close the client at once.
    pub hard_bytes: u64,
    /// Bytes that close the client when they stay.
    pub soft_bytes: u64,
    /// For how long.
    pub soft_for: Duration,
}

impl Server {
    /// The default user's password, if it has one.
    pub fn password(&self) -> Option<&str> {
        (!self.requirepass.is_empty()).then_some(self.requirepass.as_str())
    }

    /// What signs tokens, if it was chosen.
    pub fn token_secret(&self) -> Option<&str> {
        (!self.token_secret.is_empty()).then_some(self.token_secret.as_str())
    }

    /// How long a client may be idle, if that has an end.
    pub fn idle_timeout(&self) -> Option<Duration> {
        (!self.timeout.is_zero()).then_some(self.timeout)
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listeners: vec![Listener::default()],
            server: Server::default(),
            tls: Tls::default(),
            http: Http::default(),
            alerts: Alerts::default(),
            set: ReplicaSet::default(),
            upstream: None,
            members: Vec::new(),
            users: Vec::new(),
            routes: Routes::default(),
            sticky_scope: StickyScope::default(),
            thresholds: Thresholds::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Server {
        Server {
            threads: 0,
            maxclients: 10_000,
            timeout: Duration::ZERO,
            tcp_keepalive: Duration::from_secs(300),
            shutdown_timeout: Duration::from_secs(10),
            pidfile: String::new(),
            upgrade_socket: String::new(),
            requirepass: String::new(),
            aclfile: String::new(),
            token_secret: String::new(),
            output_limits: OutputLimits::default(),
            query_bytes_max: QUERY_BYTES_MAX,
            bulk_bytes_max: BULK_BYTES_MAX,
            slowlog_slower_than_us: 10_000,
            slowlog_entries_max: 128,
            latency_monitor_ms: 0,
            cached_keys_max: 1_000_000,
            acl_log_entries_max: 128,
            acl_pubsub_default: "resetchannels".into(),
            busy_reply_ms: 5000,
            script_instructions_max: 0,
            loglevel: LogLevel::default(),
            log: Log::default(),
            protected_mode: true,
            debug: AccessFrom::Local,
            protected_configs: AccessFrom::No,
            metrics: true,
            latency_tracking: true,
            latency_percentiles: vec![50.0, 99.0, 99.9],
        }
    }
}

impl Default for ReplicaSet {
    fn default() -> ReplicaSet {
        ReplicaSet {
            replicas: 2,
            backlog_bytes: 1 << 20,
            feed_bytes_max: 64 << 20,
            ping_every: Duration::from_secs(10),
            repl_timeout: Duration::from_secs(60),
            diskless_sync_delay: Duration::ZERO,
            sync_max_replicas: 0,
            backlog_ttl: Duration::from_secs(3600),
            count_hosted: CountHosted::default(),
            min_replicas: 0,
            max_lag: Duration::from_secs(10),
            active_expire: true,
            events: EventClasses::NONE,
            hz: 10,
            master: None,
            follow: Follow::default(),
            disk: Disk::default(),
            memory: Memory::default(),
        }
    }
}

impl Default for OutputLimits {
    fn default() -> OutputLimits {
        let limit = |hard_mb: u64, soft_mb: u64, secs| OutputLimit {
            hard_bytes: hard_mb << 20,
            soft_bytes: soft_mb << 20,
            soft_for: Duration::from_secs(secs),
        };
        OutputLimits {
            normal: limit(0, 0, 0),
            replica: limit(256, 64, 60),
            pubsub: limit(32, 8, 60),
        }
    }
}
