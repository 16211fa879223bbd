//! What happens by itself: expiry, heartbeats, idle clients, and the end.

use crate::admin::House;
use crate::base::limits::EXPIRE_KEYS_MAX;
use crate::base::time::MonoUs;
use crate::engine::Effects;
use crate::node;
use crate::runtime::{clock, tasks};
use std::sync::Arc;
use std::time::Duration;

/// How often the rounds are made.
const EVERY: Duration = Duration::from_millis(100);

/// Starts the feeds and makes the rounds until the proxy shuts down.
pub async fn rounds(house: Arc<House>, ping_every: Duration) {
    let mut last_ping = clock::mono_now();
    while !house.is_closing() {
        tasks::sleep(EVERY).await;
        expire(&house).await;
        close_idle(&house);
        let now = clock::mono_now();
        if last_ping.plus(ping_every) <= now {
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
    let Some(timeout) = house.settings().idle_timeout else { return };
    let now = clock::mono_now();
    for client in house.clients.all() {
        let active = MonoUs(client.active.load(std::sync::atomic::Ordering::Relaxed));
        let is_parked = client.is_parked.load(std::sync::atomic::Ordering::Relaxed);
        if !is_parked && active.plus(timeout) < now {
            client.stream.close();
        }
    }
}

/// Begins to shut down: no new clients, and those that are here may finish what they have sent.
pub fn shut_down(house: &House) {
    house.close();
}

/// Starts a feed for every member; each idles while its member is the master.
pub fn start_feeds(house: &House) {
    for member in house.set.roster().iter() {
        tasks::spawn(node::feed(house.set.clone(), member.clone()));
    }
}
