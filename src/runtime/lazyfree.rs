//! Frees large values on a thread of its own, so that no command waits for it.
//!
//! What it frees was allocated by the workers, and goes back to them: each takes back what is its
//! own, with a look at every block. So this thread frees a part at a time, and goes on when all
//! workers have taken that back; none of them has more than a part to look at when it allocates
//! next. Afterwards what nobody needs is returned to the system.

use super::allocation;
use super::inbox::Inbox;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// Most frees that may wait; more are done by whoever brings them.
const WAITING_MAX: usize = 1024;
/// Without another free for so long, memory is returned to the system.
const QUIET: Duration = Duration::from_millis(100);
/// How many times workers take back then: what they have taken back they keep for another while.
const ROUNDS: u32 = 3;
/// Memory that workers have freed by themselves is returned this often.
const RETURN_EVERY: Duration = Duration::from_secs(1);
/// How long, and how often, a worker is waited for. One that is at work takes back later.
const LOOKS_MAX: u32 = 40;
const BETWEEN_LOOKS: Duration = Duration::from_micros(100);

static WAITING: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
/// Of those, what was done when they were counted from 0 again.
static FORGOTTEN: AtomicU64 = AtomicU64::new(0);
static OWNERS: Mutex<Vec<Arc<Inbox>>> = Mutex::new(Vec::new());

type Remains = Box<dyn Any + Send>;

/// Frees that wait: each is a large value, or a few.
pub fn waiting() -> u64 {
    WAITING.load(Relaxed)
}

/// Frees that are done, since the process began.
pub fn freed() -> u64 {
    FREED.load(Relaxed)
}

/// Frees that are done since they were counted from 0 again.
pub fn freed_lately() -> u64 {
    freed().saturating_sub(FORGOTTEN.load(Relaxed))
}

/// Counts the frees that are done from 0 again, where they are shown.
pub fn reset_freed() {
    FORGOTTEN.store(freed(), Relaxed);
}

/// Drops `remains` elsewhere.
pub fn free_async(remains: impl Any + Send) {
    let Some(door) = door() else { return };
    WAITING.fetch_add(1, Relaxed);
    match door.try_send(Box::new(remains)) {
        Ok(()) => {}
        Err(TrySendError::Full(remains) | TrySendError::Disconnected(remains)) => rest(remains),
    }
}

/// Returns to the system what nobody needs, soon: MEMORY PURGE.
pub fn give_back_soon() {
    free_async(());
}

/// The worker of this inbox takes back what is freed of its memory, and this thread begins to
/// return memory to the system.
pub fn add_owner(inbox: Arc<Inbox>) {
    OWNERS.lock().push(inbox);
    allocation::pause_others(ask_to_take_back);
    door();
}

fn door() -> Option<&'static SyncSender<Remains>> {
    static DOOR: OnceLock<Option<SyncSender<Remains>>> = OnceLock::new();
    DOOR.get_or_init(open).as_ref()
}

fn open() -> Option<SyncSender<Remains>> {
    let (door, inside) = sync_channel::<Remains>(WAITING_MAX);
    let work = move || {
        allocation::return_only_when_asked();
        allocation::pace_frees(owners_take_back);
        work(&inside);
    };
    thread::Builder::new().name("entourage-lazyfree".into()).spawn(work).ok()?;
    Some(door)
}

fn work(inside: &Receiver<Remains>) {
    let mut rounds = 0;
    loop {
        match inside.recv_timeout(if rounds == 0 { RETURN_EVERY } else { QUIET }) {
            Ok(remains) => {
                rest(remains);
                rounds = ROUNDS;
            }
            Err(RecvTimeoutError::Timeout) => {
                if rounds != 0 {
                    rounds -= 1;
                    owners_take_back();
                }
                allocation::give_back();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Has every worker take back what is its own. Called from within the allocator: it allocates
/// nothing and waits for nobody.
pub fn ask_to_take_back() {
    // Whoever has it locked asks them, too.
    if let Some(owners) = OWNERS.try_lock() {
        owners.iter().for_each(|it| it.ask_to_take_back());
    }
}

/// Has every worker take back what is its own, and waits for those that can at once.
fn owners_take_back() {
    let owners = OWNERS.lock();
    owners.iter().for_each(|it| it.ask_to_take_back());
    for _ in 0..LOOKS_MAX {
        if owners.iter().all(|it| it.has_taken_back()) {
            return;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

fn rest(remains: Remains) {
    drop(remains);
    WAITING.fetch_sub(1, Relaxed);
    FREED.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_frees_sees_none_taken_back() {
        let before = freed();
        free_async(vec![0_u8; 100]);
        while freed() == before {
            thread::yield_now();
        }
        let done = freed();
        reset_freed();
        let lately = freed_lately();
        assert!(done + lately <= freed(), "{lately} since {done}");
    }
}
