//! The server: what all connections share, and what operators look at.

use super::accounts::Accounts;
use super::alerts::Alerts;
use super::clients::{Client, Clients};
use super::config_file::{ConfigFile, Source};
use super::counters::Counters;
use super::failover::Failovers;
use super::forwarding::Forwarding;
use super::log_limits::LogLimits;
use super::logging::Logging;
use super::long_queue::LongQueue;
use super::monitors::Monitors;
use super::persistence::Persistence;
use super::proxied::Proxied;
use super::rates::Rates;
use super::scripting::Scripting;
use super::slowlog::Slowlog;
use super::tls::Tls;
use super::told_events::ToldEvents;
use super::tracking::{ToldChanges, Tracking};
use super::upgrade::Upgrade;
use super::upstream::Upstream;
use crate::acl::User;
use crate::base::limits::SUBSCRIPTIONS_ENDED_MAX;
use crate::base::position::ReplicationHistory;
use crate::base::time::WallMs;
use crate::config::{Checked, Config};
use crate::engine::Expired;
use crate::metrics::Delay;
use crate::metrics::batch::Batch;
use crate::metrics::distribution::Distribution;
use crate::metrics::shards::Shards;
use crate::metrics::snapshot::{LongWork, Snapshot};
use crate::node::{AllowedMembers, MemberList, ReplicaSet, new_replid};
use crate::pubsub::PubSub;
use crate::runtime::disk::Disk;
use crate::runtime::pid_file::PidFile;
use crate::runtime::{allocation, clock, lazyfree, process, tasks};
use crate::session::{Session, SharedFloor, SharedFloors, Subscriptions, TokenSigner};
use event_listener::Event;
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};

/// Open files beside the clients' sockets: listeners, the reactor's, the log's (Redis'
/// `CONFIG_MIN_RESERVED_FDS`).
const OTHER_FILES: u64 = 32;

/// How many clients the limit of open files lets in, at most `wanted`. The limit is raised if it
/// can be.
pub fn clients_allowed(wanted: usize) -> usize {
    let files = process::allow_files(wanted as u64 + OTHER_FILES);
    wanted.min(files.saturating_sub(OTHER_FILES) as usize)
}

/// Lets in no more clients than there can be sockets for, and says so.
pub fn clamp_maxclients(config: &mut Config) {
    let wanted = config.server.maxclients;
    let allowed = clients_allowed(wanted);
    if allowed < wanted {
        config.server.maxclients = allowed;
        log::warn!("event=few-files maxclients={allowed} wanted={wanted} why=open-files-limit");
    }
}

/// A line for each setting that does not do what it seems to.
pub fn log_warnings(warnings: &[String]) {
    warnings.iter().for_each(|it| log::warn!("event=config-warning why={it}"));
}

/// Which process this is.
pub struct ProcessInfo {
    /// A name that no other run has.
    pub run_id: String,
    /// When it started.
    pub at: WallMs,
    /// The port of its first TCP listener, 0 without one.
    pub port: u16,
    /// The port of its first listener with TLS, 0 without one.
    pub tls_port: u16,
    /// The config file it was started with.
    pub file: String,
    /// The file that has its number, if there is one.
    pid_file: OnceLock<PidFile>,
}

impl ProcessInfo {
    /// A process that starts now, with this port and config file.
    pub fn now(port: u16, file: String) -> ProcessInfo {
        let (run_id, at) = (new_replid().to_string(), clock::wall_now());
        ProcessInfo { run_id, at, port, tls_port: 0, file, pid_file: OnceLock::new() }
    }

    /// Takes the file with its number away: it ends.
    pub fn remove_pid_file(&self) {
        if let Some(file) = self.pid_file.get() {
            file.remove();
        }
    }

    /// Has a file with its number from now on.
    pub fn keep_pid_file(&self, file: PidFile) {
        // Nobody keeps a second one.
        let _ = self.pid_file.set(file);
    }
}

/// Which members may serve which routes, with the settings and the members it was worked out from.
type KeptAllowed = Option<(Arc<Config>, MemberList, Option<Arc<AllowedMembers>>)>;

/// What all connections share.
pub struct Server {
    /// The members.
    pub set: Arc<ReplicaSet>,
    /// Service times and the like.
    pub metrics: Shards,
    /// Who is connected.
    pub clients: Clients,
    /// Who subscribes to what.
    pub pubsub: Arc<PubSub>,
    /// Who caches what it reads.
    pub tracking: Arc<Tracking>,
    /// Who may do what.
    pub accounts: Accounts,
    /// Counts.
    pub counters: Counters,
    /// What the counts gained lately.
    pub rates: Mutex<Rates>,
    /// Of what operators are told.
    pub alerts: Alerts,
    /// The log, and what it has told lately.
    pub logging: Arc<Logging>,
    /// What keeps the log short.
    pub log_limits: LogLimits,
    /// Who waits for a thread for long work.
    pub long_queue: Arc<LongQueue>,
    /// Scripts and functions.
    pub scripting: Scripting,
    /// Who is shown every command.
    pub monitors: Monitors,
    /// Commands that took long.
    pub slowlog: Mutex<Slowlog>,
    /// Which process this is.
    pub process_info: ProcessInfo,
    /// What signs tokens.
    pub token_signer: TokenSigner,
    /// Certificates and handshakes.
    pub tls: Arc<Tls>,
    /// Clients that come by a proxy which says who they are.
    pub proxied: Proxied,
    /// FAILOVER, while one is under way.
    pub failovers: Failovers,
    /// The process that takes our place, or whose place we take.
    pub upgrade: Upgrade,
    /// The connections to a remote master.
    pub forwarding: Forwarding,
    /// The members, where they are real servers.
    pub upstream: Option<Arc<Upstream>>,
    /// The floors that sessions share.
    pub shared_floors: Arc<SharedFloors>,
    /// What is done with files.
    pub persistence: Persistence,
    pub(super) disk: OnceLock<Arc<dyn Disk>>,
    settings: RwLock<Arc<Config>>,
    settings_generation: AtomicU64,
    changing: Mutex<()>,
    allowed: Mutex<KeptAllowed>,
    config_file: Mutex<ConfigFile>,
    is_closing: AtomicBool,
    closing: Event,
    /// DEBUG PAUSE-CRON: what happens by itself does not.
    pub cron_paused: AtomicBool,
    pub(super) memory_peak: AtomicU64,
    pub(super) memory_at_start: u64,
}

impl Server {
    /// A server around `set`, with a metrics shard for each of `workers`. `source` is where its
    /// settings came from.
    pub fn new(
        set: Arc<ReplicaSet>,
        workers: usize,
        settings: Config,
        process_info: ProcessInfo,
        token_signer: TokenSigner,
        source: Source,
    ) -> Server {
        set.count_hosted(settings.set.count_hosted);
        set.expect_file(settings.set.disk.has_aof());
        let pubsub: Arc<PubSub> = Arc::default();
        set.events.install(Box::new(ToldEvents(pubsub.clone())));
        set.events.ask(settings.set.events);
        let tracking = Arc::new(Tracking::new(set.changes.clone()));
        tracking.limit(settings.server.cached_keys_max);
        set.changes.install(Box::new(ToldChanges(tracking.clone())));
        set.eviction.set_limit(settings.set.memory.bytes as u64, settings.set.memory.slice_us());
        set.forward_writes(settings.set.follow.writes.forwards().unwrap_or(true));
        set.latency.set_threshold(settings.server.latency_monitor_ms as u64);
        if !settings.server.metrics {
            *set.seen.lock() = Batch::off();
        }
        let tls = Arc::<Tls>::default();
        let upstream = Upstream::configured(&settings, &set, workers, &tls, &process_info.run_id);
        let settings = Arc::new(settings);
        let name = process_info.file.clone();
        Server {
            set,
            metrics: Shards::new(workers),
            clients: Clients::default(),
            pubsub,
            tracking,
            accounts: Accounts::new(settings.server.password()),
            counters: Counters::default(),
            rates: Mutex::new(Rates::default()),
            alerts: Alerts::default(),
            logging: Arc::default(),
            log_limits: LogLimits::default(),
            long_queue: Arc::default(),
            scripting: Scripting::default(),
            monitors: Monitors::default(),
            slowlog: Mutex::new(Slowlog::default()),
            process_info,
            token_signer,
            tls,
            proxied: Proxied::default(),
            failovers: Failovers::default(),
            upgrade: Upgrade::default(),
            forwarding: Forwarding::new(workers),
            upstream,
            shared_floors: Arc::default(),
            persistence: Persistence::default(),
            disk: OnceLock::new(),
            config_file: Mutex::new(ConfigFile::new(name, source, settings.clone())),
            settings: RwLock::new(settings),
            settings_generation: AtomicU64::new(1),
            changing: Mutex::new(()),
            allowed: Mutex::new(None),
            is_closing: AtomicBool::new(false),
            cron_paused: AtomicBool::new(false),
            closing: Event::new(),
            memory_peak: AtomicU64::new(0),
            memory_at_start: allocation::allocated_bytes(),
        }
    }

    /// The configuration in force.
    pub fn settings(&self) -> Arc<Config> {
        self.settings.read().clone()
    }

    /// Lets the session keep to the floor that its scope and its name or user say. It goes on from
    /// all it has seen so far, and leaves that to those whose floor it shared until now.
    pub fn settle_scope(&self, session: &mut Session) {
        if session.shared.as_ref().map(SharedFloor::key) == session.shares_with() {
            return;
        }
        let (history, told) = (self.set.history(), self.set.told());
        let head = told.unwrap_or_else(|| self.set.position());
        session.carry_over(&history);
        self.share_floor(session, &history);
        let join = |(scope, name)| self.shared_floors.join(scope, name, &history, head);
        session.shared = session.shares_with().map(join);
        self.share_floor(session, &history);
    }

    /// Raises the session's floor and the one that it shares to the higher of the two.
    pub fn share_floor(&self, session: &mut Session, history: &ReplicationHistory) {
        if session.share(history) {
            return;
        }
        match self.set.told() {
            Some(told) => session.share_told(history, told),
            None => session.share_all(self.set.position()),
        }
    }

    /// Ends the subscriptions of a client that has gone: at once, unless they are so many that the
    /// worker's other clients would notice.
    pub fn end_subscriptions(&self, number: u64, names: Subscriptions) {
        let ended = EndedSubscriptions { pubsub: self.pubsub.clone(), number, names };
        if SUBSCRIPTIONS_ENDED_MAX < ended.names.len() {
            lazyfree::free_async(ended);
        }
    }

    /// Grows whenever the settings change.
    #[inline]
    pub fn settings_generation(&self) -> u64 {
        self.settings_generation.load(Acquire)
    }

    /// Lets all connections look at the settings and the users again before their next batch.
    pub(super) fn notice_change(&self) {
        self.settings_generation.fetch_add(1, AcqRel);
    }

    /// Which of these members may serve which routes of these settings; `None` when all may serve
    /// all. Worked out once: connections share it, however many routes there are.
    pub fn allowed_members(
        &self,
        settings: &Arc<Config>,
        member_list: &MemberList,
    ) -> Option<Arc<AllowedMembers>> {
        let mut kept = self.allowed.lock();
        if let Some((of_settings, of_members, allowed)) = &*kept
            && Arc::ptr_eq(of_settings, settings)
            && Arc::ptr_eq(of_members, member_list)
        {
            return allowed.clone();
        }
        let allowed = AllowedMembers::of(&settings.routes, member_list).map(Arc::new);
        *kept = Some((settings.clone(), member_list.clone(), allowed.clone()));
        allowed
    }

    /// Changes the settings and puts them in force, unless `change` refuses.
    pub fn change_settings<E>(
        &self,
        change: impl FnOnce(&mut Config) -> Result<(), E>,
    ) -> Result<(), E> {
        self.take_settings(change, |_| true)
    }

    /// A new `requirepass` is the default user's where `sets_password` says so.
    fn take_settings<E>(
        &self,
        change: impl FnOnce(&mut Config) -> Result<(), E>,
        sets_password: impl FnOnce(&Config) -> bool,
    ) -> Result<(), E> {
        let _alone = self.changing.lock();
        let before = self.settings();
        let mut after = (*before).clone();
        change(&mut after)?;
        if after.thresholds != before.thresholds {
            self.set.set_thresholds(after.thresholds);
        }
        if after.set != before.set {
            self.set.bound_log(after.set.backlog_bytes, after.set.feed_bytes_max);
            self.set.count_hosted(after.set.count_hosted);
            self.set.expect_file(after.set.disk.has_aof());
            self.set.events.ask(after.set.events);
            let memory = after.set.memory;
            self.set.eviction.set_limit(memory.bytes as u64, memory.slice_us());
            if let Some(forwards) = after.set.follow.writes.forwards() {
                self.set.forward_writes(forwards);
            }
        }
        self.tracking.limit(after.server.cached_keys_max);
        self.set.latency.set_threshold(after.server.latency_monitor_ms as u64);
        self.logging.settle(&after.server);
        let is_new = after.server.requirepass != before.server.requirepass;
        let password =
            (is_new && sets_password(&after)).then(|| after.server.password().map(str::to_owned));
        *self.settings.write() = Arc::new(after);
        self.settle_disk_trouble();
        self.notice_change();
        if let Some(password) = password {
            self.set_default_password(password.as_deref());
        }
        Ok(())
    }

    /// Reads the config file again and puts it in force for all connections, or says on one line
    /// why nothing has changed. Reads a file: not for a worker that has clients to serve.
    pub fn reload(&self, asked_by: &str) -> Result<(), String> {
        let reloaded = self.reload_file(asked_by);
        if reloaded.is_err() && self.tls.is_used() {
            // Certificates end, whatever else stands in the way of the file.
            match self.tls.load(&self.settings()) {
                Ok(()) => log::info!("event=tls-files-read by={asked_by}"),
                Err(why) => log::error!("event=tls-files-refused by={asked_by} why={why:?}"),
            }
        }
        reloaded
    }

    fn reload_file(&self, asked_by: &str) -> Result<(), String> {
        let file = &self.process_info.file;
        // One at a time from the file on, so that the text that was read last is in force at last.
        let mut config_file = self.config_file.lock();
        let read = config_file.read().map_err(|why| why.replace('\n', "; "));
        let Checked { config: read, warnings } = read?;
        let master = read.set.master.clone();
        let members = self.set.described();
        let is_new = config_file.says_another_master(master.as_ref());
        if is_new && master.as_ref().is_some_and(|it| self.is_own(it)) {
            return Err(format!("{file}: set.master: it is this server itself"));
        }
        let mut changed = Vec::new();
        let before = self.settings();
        let change = |settings: &mut Config| {
            let after = settings.reloaded(read, &members);
            let mut after = after.map_err(|why| format!("{file}: {why}"))?;
            clamp_maxclients(&mut after);
            changed = settings.changes(&after);
            // Files may be new behind names that are not.
            self.tls.load(&after).map_err(|why| format!("{file}: {why}"))?;
            // What REPLICAOF has said stays until the file says something else than before: CONFIG
            // REWRITE must know both.
            let mut said = after.clone();
            said.set.master = master.clone();
            config_file.is_in_force(Arc::new(said));
            *settings = after;
            Ok::<(), String>(())
        };
        self.take_settings(change, |after| !after.describes_default())?;
        let users = self.take_described_users(&before, &self.settings());
        users.map_err(|why| format!("{file}: {why}"))?;
        if is_new {
            self.follow_as_the_file_says(master).map_err(|why| format!("{file}: {why}"))?;
            changed.push("set.master".to_owned());
        }
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(",") };
        log::info!("event=reloaded by={asked_by} file={file} changed={changed}");
        log_warnings(&warnings);
        Ok(())
    }

    /// Writes into the config file what was changed at run time, or says on one line why it is as
    /// it was. Reads and writes a file: not for a worker that has clients to serve.
    pub fn rewrite_config(&self, asked_by: &str) -> Result<(), String> {
        // A reload waits: it must find the file as it is to be.
        let mut config_file = self.config_file.lock();
        let (running, members) = (self.settings(), self.set.described());
        let clamp = |it: &mut Config| {
            it.server.maxclients = clients_allowed(it.server.maxclients);
        };
        let users = self.users_to_write(&running);
        let written = config_file.rewrite(&running, &members, users, clamp)?;
        let mut keys = "nothing".to_owned();
        if let Some((written, read)) = written {
            keys = written.join(",");
            self.change_settings(|settings| {
                settings.members = read.members;
                settings.users = read.users;
                settings.set.replicas = read.set.replicas;
                Ok::<(), String>(())
            })?;
        }
        let file = &self.process_info.file;
        log::info!("event=config-rewritten by={asked_by} file={file} keys={keys}");
        Ok(())
    }

    /// Everything recorded so far. What the set has seen is collected first.
    pub fn snapshot(&self) -> Snapshot {
        self.collect_seen();
        let (waiting, refused) = (self.long_queue.waiting() as u64, self.long_queue.refused());
        let mut snapshot = self.metrics.snapshot();
        snapshot.long_work = LongWork { waiting, refused };
        snapshot.disk = self.persistence.disk_use();
        snapshot
    }

    /// As [`Server::snapshot`], of one delay alone, which costs less.
    pub fn delay(&self, delay: Delay) -> Distribution {
        self.collect_seen();
        self.metrics.delay(delay)
    }

    /// Takes what the set has seen into the calling worker's shard.
    pub fn collect_seen(&self) {
        self.metrics.flush(tasks::worker(), &mut self.set.seen.lock());
    }

    /// Forgets what has been counted: CONFIG RESETSTAT.
    pub fn reset_stats(&self) {
        self.collect_seen();
        self.metrics.reset();
        self.counters.reset();
        self.tls.reset();
        self.proxied.reset();
        self.long_queue.reset();
        lazyfree::reset_freed();
        let expired = self.expired_ever();
        self.counters.expired_before.store(expired.keys, Relaxed);
        self.counters.expired_fields_before.store(expired.fields, Relaxed);
        self.rates.lock().reset();
        let set = &self.set;
        for count in [&set.full_resyncs, &set.panics, &set.quarantines] {
            count.store(0, Relaxed);
        }
        set.eviction.reset();
    }

    /// What was deleted because its time had come. A replica never does that by itself, so
    /// each was counted by whoever was the master then.
    pub fn expired_ever(&self) -> Expired {
        let member_list = self.set.member_list();
        let now = clock::wall_now();
        let counted = member_list.iter().map(|it| self.set.counts(it, now).expired);
        counted.fold(Expired::default(), |sum, it| Expired {
            keys: sum.keys + it.keys,
            fields: sum.fields + it.fields,
        })
    }

    /// Makes the client this user, if there is one of that name who lets it in. Answers whether it
    /// is so.
    pub fn log_in(
        &self,
        client: &Client,
        session: &mut Session,
        name: &str,
        lets_in: impl FnOnce(&User) -> bool,
    ) -> bool {
        let is_let_in = self.accounts.look(|users| {
            let is_let_in = users.get(name).is_some_and(|it| lets_in(it));
            if is_let_in {
                // Whoever removes the user from here on finds this client.
                client.names.lock().user = name.into();
            }
            is_let_in
        });
        if is_let_in {
            session.user = name.into();
            session.rules = self.accounts.rules_of(name);
            (session.has_logged_in, session.is_known) = (true, true);
            self.settle_scope(session);
        }
        is_let_in
    }

    /// Whether the proxy is shutting down.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Acquire)
    }

    /// Whether it shuts down, or does once the last snapshot is made.
    pub fn is_ending(&self) -> bool {
        self.is_closing() || self.persistence.is_ending()
    }

    /// Begins to shut down. Answers whether it was not yet.
    pub fn close(&self) -> bool {
        let is_first = !self.is_closing.swap(true, AcqRel);
        self.upgrade.drop_sockets();
        self.closing.notify(usize::MAX);
        is_first
    }

    /// Waits until it shuts down.
    pub async fn closed(&self) {
        let closing = self.closing.listen();
        if !self.is_closing() {
            closing.await;
        }
    }
}

/// Subscriptions of a client that has gone, which end when this is dropped.
struct EndedSubscriptions {
    pubsub: Arc<PubSub>,
    number: u64,
    names: Subscriptions,
}

impl Drop for EndedSubscriptions {
    fn drop(&mut self) {
        self.pubsub.unsubscribe_all(&self.names, self.number);
    }
}
