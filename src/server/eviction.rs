//! Evictions that no client waits for: of keys, a slice at a time, and of clients.

use crate::node::Room;
use crate::runtime::clock::SystemClock;
use crate::runtime::tasks;
use crate::state::{Client, Server};
use futures::future::select;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Goes on with what writes have no time for, and with what nobody writes for: until there is room,
/// or no key may go.
pub async fn evict(server: Arc<Server>) {
    loop {
        let wanted = server.set.eviction.wanted();
        if server.is_closing() {
            return;
        }
        while make_room(&server) == Room::Soon && !server.is_closing() {
            tasks::give_way().await;
        }
        select(wanted, pin!(server.closed())).await;
    }
}

/// As one write does. Whoever holds the master for long is not waited for: the next look comes
/// soon.
fn make_room(server: &Server) -> Room {
    if !server.set.eviction.is_tight() {
        return Room::Enough;
    }
    let member_list = server.set.member_list();
    match server.set.write_unless_long(&member_list) {
        Some(mut writing) => writing.make_room(&SystemClock),
        None => Room::Enough,
    }
}

/// Closes those clients whose buffers are largest, until all together keep to `maxmemory-clients`.
pub fn close_largest(server: &Server) {
    let Some(limit) = server.settings().set.memory.clients_bytes() else { return };
    let mut all = server.client_bytes();
    if all <= limit {
        return;
    }
    let may_go =
        |it: &Arc<Client>| !it.flags.no_evict.load(Relaxed) && !it.flags.is_replica.load(Relaxed);
    let clients = server.clients.all().into_iter().filter(may_go);
    let mut clients: Vec<(u64, Arc<Client>)> = clients.map(|it| (it.buffered(), it)).collect();
    clients.sort_unstable_by_key(|it| std::cmp::Reverse(it.0));
    for (bytes, client) in clients {
        if all <= limit || bytes == 0 {
            return;
        }
        all -= bytes.min(all);
        // It may take a moment to go.
        if client.flags.is_closing.swap(true, Relaxed) {
            continue;
        }
        server.counters.evicted_clients.fetch_add(1, Relaxed);
        log::info!("event=client-evicted id={} bytes={bytes} limit={limit}", client.id);
        client.kill();
    }
}
