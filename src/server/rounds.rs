//! What happens by itself: expiry, heartbeats, idle clients.

use crate::admin::House;
use crate::base::limits::EXPIRE_KEYS_MAX;
use crate::base::time::MonoUs;
use crate::engine::Effects;
use crate::node;
use crate::runtime::{clock, tasks};
use std::sync::Arc;
use std::time::Duration;

/// Makes the rounds, `hz` times a second, until the proxy shuts down.
pub async fn rounds(house: Arc<House>) {
    let mut last_ping = clock::mono_now();
    while !house.is_closing() {
        let settings = house.settings();
        tasks::sleep(Duration::from_secs(1) / settings.set.hz as u32).await;
        let is_held = house.set.held(clock::mono_now()).is_some();
        if settings.set.active_expire && !is_held {
            expire(&house).await;
        }
        close_idle(&house);
        // Whoever meets a panic replaces the master at once; this is for when nobody was fit then.
        house.set.replace_quarantined_master();
        house.collect_seen();
        house.note_memory();
        let now = clock::mono_now();
        house.rates.lock().note(now, &house.counters);
        if last_ping.plus(settings.set.ping_every) <= now {
            last_ping = now;
            house.set.ping(now);
        }
    }
}

/// Deletes what has expired at the master, a bounded number of keys at a time.
async fn expire(house: &House) {
    let mut effects = Effects::default();
    loop {
        let roster = house.set.roster();
        let (wall, now) = (clock::wall_now(), clock::mono_now());
        let expired = {
            let mut writing = house.set.write(&roster);
            writing.expire(wall, EXPIRE_KEYS_MAX, &mut effects, now)
        };
        if expired < EXPIRE_KEYS_MAX {
            return;
        }
        tasks::give_way().await;
    }
}

fn close_idle(house: &House) {
    let Some(timeout) = house.settings().server.idle_timeout() else { return };
    let now = clock::mono_now();
    for client in house.clients.all() {
        let active = MonoUs(client.active.load(std::sync::atomic::Ordering::Relaxed));
        let is_parked = client.is_parked.load(std::sync::atomic::Ordering::Relaxed);
        if !is_parked && active.plus(timeout) < now {
            client.stream.close();
        }
    }
}

/// Starts a feed for every member; each idles while its member is the master.
pub fn start_feeds(house: &House) {
    for member in house.set.roster().iter() {
        node::start_feed(&house.set, member);
    }
}
