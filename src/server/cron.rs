//! What happens by itself: expiry, heartbeats, idle clients, the log.

use super::alert_checks::{AlertChecks, is_watched};
use super::alert_delivery::AlertDelivery;
use super::eviction;
use super::notices::Notices;
use crate::base::limits::EXPIRE_KEYS_MAX;
use crate::base::time::MonoUs;
use crate::engine::Effects;
use crate::metrics::latency_events::LatencyEvent;
use crate::node;
use crate::runtime::{clock, tasks};
use crate::state::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// `timeout` is in seconds, and the log is told of nothing more often.
const SLOW_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs `hz` times a second, until the proxy shuts down.
pub async fn cron(server: Arc<Server>) {
    let mut last_ping = clock::mono_now();
    let (mut last_slow_look, mut notices) = (last_ping, Notices::default());
    let mut alerts = AlertWatch::default();
    while !server.is_closing() {
        tasks::sleep(Duration::from_secs(1) / server.settings().set.hz as u32).await;
        let settings = server.settings();
        if server.cron_paused.load(Relaxed) {
            continue;
        }
        let is_paused = server.set.pause_in_force(clock::mono_now()).is_some();
        // A replica deletes nothing by itself.
        let may_expire = settings.set.active_expire && !server.set.is_following();
        if may_expire && !is_paused {
            expire(&server).await;
        }
        // Whoever meets a panic replaces the master at once; this is for when nobody was fit then.
        server.set.replace_quarantined_master();
        server.set.free_ended_walks();
        server.tracking.keep_within(server.set.position());
        server.collect_seen();
        server.note_memory();
        let now = clock::mono_now();
        server.set.look_at_memory(settings.set.backlog_bytes, now, clock::wall_now());
        eviction::close_largest(&server);
        if last_slow_look.plus(SLOW_LOOK_EVERY) <= now {
            last_slow_look = now;
            close_idle(&server, now);
            // For INFO, when it finds a member held for long.
            server.expired_ever();
            notices.tell(&server, now);
            tell_held_back(&server, now);
            alerts.check(&server, now);
            server.set.release_backlog(settings.set.backlog_ttl, now);
        }
        server.rates.lock().note(now, &server.counters, server.set.head());
        if last_ping.plus(settings.set.ping_every) <= now && server.set.ping(now) {
            last_ping = now;
        }
    }
    // Nobody comes to tell of it later.
    tell_held_back(&server, clock::mono_now().plus(SLOW_LOOK_EVERY));
}

/// What looks for alerts and tells of them.
#[derive(Default)]
struct AlertWatch {
    checks: AlertChecks,
    delivery: AlertDelivery,
}

impl AlertWatch {
    fn check(&mut self, server: &Arc<Server>, now: MonoUs) {
        let readings = self.checks.readings(server, now);
        let settings = server.settings();
        let is_watched = |kind| is_watched(&settings.alerts, kind);
        let changed = server.alerts.check(readings, is_watched, now, clock::wall_now());
        self.delivery.deliver(server, &changed);
    }
}

/// What the log was spared and is to know all the same.
fn tell_held_back(server: &Server, now: MonoUs) {
    server.logging.tell_left_out();
    server.log_limits.tell(now);
    server.long_queue.tell(now);
    server.set.tell_panics(now);
}

/// Deletes what has expired at the master, a bounded number of keys and fields at a time.
async fn expire(server: &Server) {
    let mut effects = Effects::default();
    loop {
        let member_list = server.set.member_list();
        let (wall, now) = (clock::wall_now(), clock::mono_now());
        let expired = {
            // Whoever holds the master for long is not waited for: this thread has others to serve.
            let Some(mut writing) = server.set.write_unless_long(&member_list) else { return };
            if server.set.is_following() {
                return;
            }
            let began = clock::mono_now();
            let mut transaction = writing.begin(&mut effects, now);
            let expired = transaction.expire_due(wall, EXPIRE_KEYS_MAX);
            transaction.commit_each();
            let took_us = clock::mono_now().since(began);
            server.set.latency.note(LatencyEvent::ExpireCycle, took_us, clock::wall_now());
            server.counters.expire_us.fetch_add(took_us, Relaxed);
            expired
        };
        if expired < EXPIRE_KEYS_MAX {
            return;
        }
        tasks::give_way().await;
    }
}

fn close_idle(server: &Server, now: MonoUs) {
    let Some(timeout) = server.settings().server.idle_timeout() else { return };
    server.clients.each(|client| {
        let active = MonoUs(client.active.load(Relaxed));
        // A subscriber listens.
        let (is_replica, is_monitor) = (&client.flags.is_replica, &client.flags.is_monitor);
        let listens = client.subscribed.is_any() || is_monitor.load(Relaxed);
        let is_waiting = client.is_waiting() || listens || is_replica.load(Relaxed);
        if !is_waiting && active.plus(timeout) < now {
            client.kill();
        }
    });
}

/// Starts a feed for every member; each idles while its member is the master.
pub fn start_feeds(server: &Server) {
    for member in server.set.member_list().iter() {
        node::start_feed(&server.set, member);
    }
}
