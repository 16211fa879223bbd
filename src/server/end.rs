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
/// a worker. An end without a snapshot waits for nobody, not for another end either.
pub fn end(server: &Server, order: EndOrder) -> Result<(), String> {
    let ended = match order.saves {
        Some(false) => {
            server.persistence.end_without();
            Ok(())
        }
        _ if !server.persistence.begin_ending() => Err("an end is under way".to_owned()),
        _ => end_with_snapshot(server, order),
    };
    match &ended {
        Ok(()) => _ = server.close(),
        Err(why) => log::warn!("event=shutdown-refused why={why:?}"),
    }
    ended
}

fn end_with_snapshot(server: &Server, order: EndOrder) -> Result<(), String> {
    let decide = |it| match server.persistence.decide_end(it) {
        true => Ok(()),
        false => Err(called_off()),
    };
    match last_snapshot(server, order).and_then(decide) {
        Err(why) if server.persistence.give_end_up() => {
            server.set.let_writers_go(clock::mono_now());
            Err(why)
        }
        // Where it has failed, another order has decided the end meanwhile.
        _ => Ok(()),
    }
}

fn called_off() -> String {
    "it has been called off".to_owned()
}

fn last_snapshot(server: &Server, order: EndOrder) -> Result<LastSnapshot, String> {
    let settings = server.settings();
    let disk_settings = &settings.set.disk;
    let wanted = order.saves.unwrap_or(!disk_settings.save.is_empty());
    let Some(disk) = server.disk() else {
        // A directory that is still to come from the process before gets it behind that.
        let is_late = wanted && server.upgrade.awaits_files();
        return Ok(if is_late { LastSnapshot::Wanted } else { LastSnapshot::Unwanted });
    };
    if server.set.is_loading() {
        // What there is by now is on disk; of the rest a snapshot is made behind the load.
        return Ok(if wanted { LastSnapshot::Wanted } else { LastSnapshot::Unwanted });
    }
    let trouble = server.persistence.status().aof.trouble.clone();
    let trouble = trouble.filter(|_| disk_settings.has_aof() && !order.is_forced);
    if let Some(why) = trouble {
        return Err(format!("the append-only file cannot be written: {why}"));
    }
    if !wanted {
        return Ok(LastSnapshot::Unwanted);
    }
    while !server.persistence.begin(Background::Save, clock::mono_now()) {
        if server.persistence.is_end_called_off() {
            return Err(called_off());
        }
        tasks::rest(LOOK_EVERY);
    }
    server.set.hold_writers(clock::mono_now());
    if server.persistence.is_end_called_off() {
        server.persistence.status().background = None;
        return Err(called_off());
    }
    let (changes, was_ok) = (server.changes(), server.persistence.status().save.is_ok);
    match save_begun(server, &*disk) {
        Ok(()) => Ok(LastSnapshot::Has(changes)),
        Err(_) if order.is_forced => Ok(LastSnapshot::Unwanted),
        Err(why) => {
            // Whoever has asked for the end hears of it: writes are not stopped for it.
            server.persistence.status().save.is_ok = was_ok;
            server.settle_disk_trouble();
            Err(format!("no snapshot can be written: {why}"))
        }
    }
}
