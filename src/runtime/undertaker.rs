//! Frees large values on a thread of its own, so that no command waits for it.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Most burials that may wait; more are done by whoever brings them.
const WAITING_MAX: usize = 1024;

/// Drops `remains` elsewhere.
pub fn bury(remains: impl Any + Send) {
    static DOOR: OnceLock<Option<SyncSender<Box<dyn Any + Send>>>> = OnceLock::new();
    let Some(door) = DOOR.get_or_init(open) else { return };
    match door.try_send(Box::new(remains)) {
        Ok(()) => {}
        Err(TrySendError::Full(remains) | TrySendError::Disconnected(remains)) => drop(remains),
    }
}

fn open() -> Option<SyncSender<Box<dyn Any + Send>>> {
    let (door, inside) = sync_channel::<Box<dyn Any + Send>>(WAITING_MAX);
    let work = move || inside.into_iter().for_each(drop);
    std::thread::Builder::new().name("entourage-undertaker".into()).spawn(work).ok()?;
    Some(door)
}
