//! Whether a master serves.

use crate::state::Server;

/// Why no master serves.
pub fn unserved(server: &Server) -> Option<String> {
    if server.is_closing() {
        // A process that has taken our place serves, at the same sockets.
        let has_successor = server.upgrade.successor().is_some();
        return (!has_successor).then(|| "the process shuts down".to_owned());
    }
    if let Some(upstream) = &server.upstream {
        let is_there = upstream.view().master.is_some();
        return (!is_there).then(|| "no master is known".to_owned());
    }
    let set = &server.set;
    if set.is_loading() {
        return Some("data is being loaded".to_owned());
    }
    if let Some(remote) = set.remote().filter(|it| !it.is_connected()) {
        return Some(format!("the link to the master {} is down", remote.address));
    }
    let master = set.member(set.master());
    (!master.is_sound()).then(|| format!("the master {} is {}", master.name, master.flags()))
}
