//! The house: what all connections share, and what operators look at.

use super::clients::Clients;
use crate::metrics::shards::Shards;
use crate::node::Set;
use crate::route::{MinReplicas, Routes};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::Duration;

/// When a client that does not read its replies is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutputLimit {
    /// Bytes that close at once; 0 for none.
    pub hard: u64,
    /// Bytes that close when they stay for `soft_for`; 0 for none.
    pub soft: u64,
    /// How long they may stay.
    pub soft_for: Duration,
}

/// What may change while the proxy runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Most clients at a time.
    pub max_clients: usize,
    /// The password of the default user.
    pub password: Option<String>,
    /// Idle clients are closed after this long.
    pub idle_timeout: Option<Duration>,
    /// How long SHUTDOWN and SIGTERM wait for clients.
    pub shutdown_timeout: Duration,
    /// For clients that do not read.
    pub output_limit: OutputLimit,
    /// The gate in front of writes.
    pub min_replicas: Option<MinReplicas>,
    /// Rules and levels.
    pub routes: Arc<Routes>,
    /// Whether DEBUG is answered.
    pub debug: bool,
    /// Whether service times are recorded.
    pub metrics: bool,
}

/// Counts of the whole process, for INFO.
#[derive(Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections refused because there were too many.
    pub refused: AtomicU64,
    /// Bytes read from clients.
    pub bytes_in: AtomicU64,
    /// Bytes written to clients.
    pub bytes_out: AtomicU64,
    /// Commands executed.
    pub commands: AtomicU64,
    /// Error replies.
    pub errors: AtomicU64,
    /// Clients closed because they did not read.
    pub overflowed: AtomicU64,
}

/// What all connections share.
pub struct House {
    /// The members.
    pub set: Arc<Set>,
    /// Service times and the like.
    pub metrics: Shards,
    /// Who is connected.
    pub clients: Clients,
    /// Counts.
    pub counters: Counters,
    settings: RwLock<Arc<Settings>>,
    settings_generation: AtomicU64,
    is_closing: AtomicBool,
}

impl House {
    /// A house around `set`, with a metrics shard for each of `workers`.
    pub fn new(set: Arc<Set>, workers: usize, settings: Settings) -> House {
        House {
            set,
            metrics: Shards::new(workers),
            clients: Clients::default(),
            counters: Counters::default(),
            settings: RwLock::new(Arc::new(settings)),
            settings_generation: AtomicU64::new(1),
            is_closing: AtomicBool::new(false),
        }
    }

    /// What may change, as it is now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Grows whenever the settings change.
    #[inline]
    pub fn settings_generation(&self) -> u64 {
        self.settings_generation.load(Acquire)
    }

    /// Changes the settings.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.write();
        let mut changed = (**settings).clone();
        change(&mut changed);
        *settings = Arc::new(changed);
        self.settings_generation.fetch_add(1, AcqRel);
    }

    /// Whether the proxy is shutting down.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Acquire)
    }

    /// Begins to shut down. Answers whether it was not yet.
    pub fn close(&self) -> bool {
        !self.is_closing.swap(true, AcqRel)
    }
}
