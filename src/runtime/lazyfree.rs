//! Frees large values on a thread of its own, so that no command waits for it.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Most frees that may wait; more are done by whoever brings them.
const WAITING_MAX: usize = 1024;

static WAITING: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// Frees that wait: each is a large value, or a few.
pub fn waiting() -> u64 {
    WAITING.load(Relaxed)
}

/// Frees that are done.
pub fn freed() -> u64 {
    FREED.load(Relaxed)
}

/// Drops `remains` elsewhere.
pub fn free_async(remains: impl Any + Send) {
    static DOOR: OnceLock<Option<SyncSender<Box<dyn Any + Send>>>> = OnceLock::new();
    let Some(door) = DOOR.get_or_init(open) else { return };
    WAITING.fetch_add(1, Relaxed);
    match door.try_send(Box::new(remains)) {
        Ok(()) => {}
        Err(TrySendError::Full(remains) | TrySendError::Disconnected(remains)) => rest(remains),
    }
}

fn open() -> Option<SyncSender<Box<dyn Any + Send>>> {
    let (door, inside) = sync_channel::<Box<dyn Any + Send>>(WAITING_MAX);
    let work = move || inside.into_iter().for_each(rest);
    std::thread::Builder::new().name("entourage-lazyfree".into()).spawn(work).ok()?;
    Some(door)
}

fn rest(remains: Box<dyn Any + Send>) {
    drop(remains);
    WAITING.fetch_sub(1, Relaxed);
    FREED.fetch_add(1, Relaxed);
}
