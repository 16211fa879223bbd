//! Before the end: the last snapshot is made while there is somebody to tell that it cannot be.

use super::disk::save_begun;
use crate::runtime::{clock, tasks};
use crate::state::{Background, EndOrder, LastSnapshot, Server};
use std::time::Duration;

/// How often who waits for another's work on files looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Closes the server once what is to be on disk is there. What cannot be written leaves it as it
/// was, unless the order is forced; answers why then. Writers are held back from the snapshot on,
/// so that it holds every write that has been answered. Takes as long as a snapshot takes: not for
/// a worker.
pub fn end(server: &Server, order: EndOrder) -> Result<(), String> {
    if !server.persistence.begin_ending() {
        return Err("an end is under way".to_owned());
    }
    let ended =
        last_snapshot(server, order).and_then(|last| match server.persistence.decide_end(last) {
            true => Ok(()),
            false => Err("it has been called off".to_owned()),
        });
    match &ended {
        Ok(()) => _ = server.close(),
        Err(why) => {
            log::warn!("event=shutdown-refused why={why:?}");
            server.persistence.give_end_up();
            server.set.set_ending(false);
        }
    }
    ended
}

fn last_snapshot(server: &Server, order: EndOrder) -> Result<LastSnapshot, String> {
    let settings = server.settings();
    let wanted = order.saves.unwrap_or(!settings.set.disk.save.is_empty());
    let Some(disk) = server.disk() else { return Ok(LastSnapshot::Unwanted) };
    if server.set.is_loading() {
        // What there is by now is on disk; of the rest a snapshot is made behind the load.
        return Ok(if wanted { LastSnapshot::Wanted } else { LastSnapshot::Unwanted });
    }
    let trouble = server.persistence.status().aof.trouble.clone();
    if let (Some(why), false) = (trouble, order.is_forced) {
        return Err(format!("the append-only file cannot be written: {why}"));
    }
    if !wanted {
        return Ok(LastSnapshot::Unwanted);
    }
    server.set.set_ending(true);
    while !server.persistence.begin(Background::Save, clock::mono_now()) {
        if server.persistence.is_end_called_off() {
            return Err("it has been called off".to_owned());
        }
        tasks::rest(LOOK_EVERY);
    }
    let changes = server.changes();
    match save_begun(server, &*disk) {
        Ok(()) => Ok(LastSnapshot::Has(changes)),
        Err(_) if order.is_forced => Ok(LastSnapshot::Unwanted),
        Err(why) => Err(format!("no snapshot can be written: {why}")),
    }
}
