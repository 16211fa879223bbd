//! Who waits for keys: of each key a queue, first come, first served.
//!
//! A waiter stands in the queues of all its keys. It is found by a key that has changed, so that
//! waiters at other keys cost nothing. Queues grow, and are served, under the master's lock only;
//! who gives up leaves without it.

use crate::base::ids::BlockId;
use crate::base::limits::DATABASES;
use crate::base::position::Offset;
use crate::command::{Fault, Spec};
use crate::engine::{BlockingKeys, BlockingVerb, Kind};
use crate::resp::{OwnedRequest, Protocol, Reply};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// A client whose call waits for keys. Called with the master's lock held: it only leaves a
/// message.
pub trait BlockedClient: Send + Sync {
    /// Takes the right to end this wait. False when somebody else has it: the client's time is
    /// over, or CLIENT UNBLOCK or CLIENT KILL has come.
    fn claim(&self, block: BlockId) -> bool;
    /// Gives that right back: the wait goes on.
    fn disclaim(&self, block: BlockId);
    /// The wait has ended: this is the reply, and where the write ends that was made for it.
    fn served(&self, block: BlockId, reply: Result<Reply, Fault>, wrote: Option<Offset>);
}

/// A call to be made again when a key is ready, as the session stood that made it.
pub struct BlockedCall {
    /// What is known of the command.
    pub spec: &'static Spec,
    /// What runs it.
    pub verb: BlockingVerb,
    /// The words.
    pub request: OwnedRequest,
    /// The session's database.
    pub db: usize,
    /// What the session speaks.
    pub protocol: Protocol,
    /// How long the reply may become.
    pub reply_bytes_max: usize,
    /// Who made it.
    pub client: Arc<dyn BlockedClient>,
    /// Which wait of that client this is.
    pub block: BlockId,
}

/// A call that waits.
pub struct Waiter {
    /// The call.
    pub call: BlockedCall,
    /// Its keys.
    pub keys: Vec<Box<[u8]>>,
    /// What must be under one of them.
    pub kind: Kind,
    /// Waiters that came later have a greater one.
    pub number: u64,
}

/// The calls that wait for keys of one set.
#[derive(Default)]
pub struct KeyWaiters {
    queues: Mutex<Queues>,
}

#[derive(Default)]
struct Queues {
    /// Of each database, by key, by number.
    databases: [HashMap<Box<[u8]>, BTreeMap<u64, Arc<Waiter>>>; DATABASES],
    last: u64,
    /// Databases and keys of waits that were given up, which the master's engine still notes.
    given_up: Vec<(usize, Vec<Box<[u8]>>)>,
}

impl KeyWaiters {
    /// One more waits, behind all others at each of its keys.
    pub fn enter(self: &Arc<Self>, keys: BlockingKeys, call: BlockedCall) -> KeyWait {
        let mut queues = self.queues.lock();
        queues.last += 1;
        let BlockingKeys { keys, kind, .. } = keys;
        let waiter = Arc::new(Waiter { call, keys, kind, number: queues.last });
        let database = &mut queues.databases[waiter.call.db];
        for key in &waiter.keys {
            database.entry(key.clone()).or_default().insert(waiter.number, waiter.clone());
        }
        KeyWait { waiters: self.clone(), waiter }
    }

    /// The first that waits for `key` behind the one of this number.
    pub fn next(&self, db: usize, key: &[u8], behind: u64) -> Option<Arc<Waiter>> {
        let queues = self.queues.lock();
        let queue = queues.databases[db].get(key)?;
        queue.range(behind + 1..).next().map(|(_, waiter)| waiter.clone())
    }

    /// Takes a waiter out of its queues. Answers whether it was there.
    pub fn remove(&self, waiter: &Waiter) -> bool {
        self.queues.lock().remove(waiter)
    }

    /// Takes a waiter out that is not served. What is noted for it is forgotten later, by who holds
    /// the master's lock.
    fn give_up(&self, waiter: &Waiter) {
        let mut queues = self.queues.lock();
        if queues.remove(waiter) {
            queues.given_up.push((waiter.call.db, waiter.keys.clone()));
        }
    }

    /// Databases and keys of the waits that were given up since the last look.
    pub fn take_given_up(&self) -> Vec<(usize, Vec<Box<[u8]>>)> {
        std::mem::take(&mut self.queues.lock().given_up)
    }

    /// Ends all waits with this fault.
    pub fn end_all(&self, fault: &Fault) {
        let Queues { databases, .. } = std::mem::take(&mut *self.queues.lock());
        let waiters = databases.into_iter().flat_map(HashMap::into_values).flatten();
        let waiters: BTreeMap<u64, Arc<Waiter>> = waiters.collect();
        for waiter in waiters.values() {
            let BlockedCall { client, block, .. } = &waiter.call;
            if client.claim(*block) {
                client.served(*block, Err(fault.clone()), None);
            }
        }
    }

    /// How many keys are waited for.
    pub fn keys(&self) -> usize {
        self.queues.lock().databases.iter().map(HashMap::len).sum()
    }
}

impl Queues {
    fn remove(&mut self, waiter: &Waiter) -> bool {
        let database = &mut self.databases[waiter.call.db];
        let mut was_there = false;
        for key in &waiter.keys {
            let Some(queue) = database.get_mut(key) else { continue };
            was_there |= queue.remove(&waiter.number).is_some();
            if queue.is_empty() {
                database.remove(key);
            }
        }
        was_there
    }
}

/// A wait for keys. Dropped, it is given up.
pub struct KeyWait {
    waiters: Arc<KeyWaiters>,
    waiter: Arc<Waiter>,
}

impl KeyWait {
    /// The words of the call.
    pub fn request(&self) -> &OwnedRequest {
        &self.waiter.call.request
    }
}

impl Drop for KeyWait {
    fn drop(&mut self) {
        self.waiters.give_up(&self.waiter);
    }
}

impl fmt::Debug for KeyWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyWait({} {})", self.waiter.call.spec.name, self.waiter.number)
    }
}
