//! Who waits for keys: of each key a queue, first come, first served.
//!
//! A waiter stands in the queues of all its keys. It is found by a key that has changed, so that
//! waiters at other keys cost nothing. Queues grow, and are served, under the master's lock only;
//! who gives up leaves without it.

use crate::base::ids::BlockId;
use crate::base::limits::DATABASES;
use crate::base::planted::{Planted, is_planted};
use crate::base::position::Offset;
use crate::command::{Fault, Spec};
use crate::engine::{BlockingKeys, BlockingVerb, Kind};
use crate::resp::{OwnedRequest, Protocol, Reply};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// It is called again, too, when that is not so, to be refused.
    pub insists: bool,
    /// Waiters that came later have a greater one.
    pub number: u64,
}

/// The calls that wait for keys of one set.
#[derive(Default)]
pub struct KeyWaiters {
    queues: Mutex<Queues>,
}

/// Those that wait for one key, by number.
#[derive(Default)]
struct Queue {
    waiters: BTreeMap<u64, Arc<Waiter>>,
    /// Those of them that insist on what they wait for.
    insisting: BTreeSet<u64>,
}

impl Queue {
    fn insert(&mut self, waiter: Arc<Waiter>) {
        if waiter.insists {
            self.insisting.insert(waiter.number);
        }
        self.waiters.insert(waiter.number, waiter);
    }

    fn remove(&mut self, number: u64) -> bool {
        self.insisting.remove(&number);
        self.waiters.remove(&number).is_some()
    }
}

#[derive(Default)]
struct Queues {
    /// Of each database, by key, by number.
    databases: [HashMap<Box<[u8]>, Queue>; DATABASES],
    last: u64,
    /// Databases and keys of waits that were given up, which the master's engine still notes.
    given_up: Vec<(usize, Vec<Box<[u8]>>)>,
}

impl KeyWaiters {
    /// One more waits, behind all others at each of its keys.
    pub fn enter(self: &Arc<Self>, keys: BlockingKeys, call: BlockedCall) -> KeyWait {
        let mut queues = self.queues.lock();
        queues.last += 1;
        let BlockingKeys { keys, kind, insists, .. } = keys;
        let waiter = Arc::new(Waiter { call, keys, kind, insists, number: queues.last });
        let database = &mut queues.databases[waiter.call.db];
        for key in &waiter.keys {
            database.entry(key.clone()).or_default().insert(waiter.clone());
        }
        KeyWait { waiters: self.clone(), waiter }
    }

    /// The first that waits for `key` behind the one of this number.
    pub fn next(&self, db: usize, key: &[u8], behind: u64) -> Option<Arc<Waiter>> {
        let queues = self.queues.lock();
        let queue = queues.databases[db].get(key)?;
        if is_planted(Planted::LastComesFirst) {
            return queue.waiters.range(behind + 1..).next_back().map(|(_, waiter)| waiter.clone());
        }
        queue.waiters.range(behind + 1..).next().map(|(_, waiter)| waiter.clone())
    }

    /// As [`KeyWaiters::next`], of those that insist on what they wait for.
    pub fn next_insisting(&self, db: usize, key: &[u8], behind: u64) -> Option<Arc<Waiter>> {
        let queues = self.queues.lock();
        let queue = queues.databases[db].get(key)?;
        queue.waiters.get(queue.insisting.range(behind + 1..).next()?).cloned()
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
        let databases = {
            let mut queues = self.queues.lock();
            // The next master's engine notes nothing for them. Numbers go on: who was ended here
            // may give up later, and must not be taken for another.
            queues.given_up.clear();
            std::mem::take(&mut queues.databases)
        };
        let queues = databases.into_iter().flat_map(HashMap::into_values);
        let waiters: BTreeMap<u64, Arc<Waiter>> = queues.flat_map(|it| it.waiters).collect();
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

    /// How many of those are waited for by calls that insist on what they wait for.
    pub fn insisting_keys(&self) -> usize {
        let insist = |it: &&Queue| !it.insisting.is_empty();
        let queues = self.queues.lock();
        queues.databases.iter().flat_map(HashMap::values).filter(insist).count()
    }
}

impl Queues {
    fn remove(&mut self, waiter: &Waiter) -> bool {
        let database = &mut self.databases[waiter.call.db];
        let mut was_there = false;
        for key in &waiter.keys {
            let Some(queue) = database.get_mut(key) else { continue };
            was_there |= queue.remove(waiter.number);
            if queue.waiters.is_empty() {
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

    /// Bytes of memory that the words take, and the keys among them that are waited for.
    pub fn argument_bytes(&self) -> usize {
        let keys: usize = self.waiter.keys.iter().map(|it| it.len()).sum();
        self.waiter.call.request.footprint() + keys
    }
}

impl Drop for KeyWait {
    fn drop(&mut self) {
        if !is_planted(Planted::WaiterStaysInLine) {
            self.waiters.give_up(&self.waiter);
        }
    }
}

impl fmt::Debug for KeyWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyWait({} {})", self.waiter.call.spec.name, self.waiter.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::position::ReplId;
    use crate::base::time::WallMs;
    use crate::engine::{Run, Thresholds, verbs};
    use crate::node::transaction::tests::write;
    use crate::node::{ReplicaSet, new_replid};

    /// A client that may be claimed, and what it was told.
    #[derive(Default)]
    struct Told {
        is_gone: std::sync::atomic::AtomicBool,
        claims: std::sync::atomic::AtomicUsize,
        replies: Mutex<Vec<String>>,
    }

    impl BlockedClient for Told {
        fn claim(&self, _: BlockId) -> bool {
            use std::sync::atomic::Ordering::Relaxed;
            self.claims.fetch_add(1, Relaxed);
            !self.is_gone.load(Relaxed)
        }
        fn disclaim(&self, _: BlockId) {}
        fn served(&self, block: BlockId, reply: Result<Reply, Fault>, wrote: Option<Offset>) {
            assert_eq!(reply.is_ok(), wrote.is_some());
            let text = reply.map(|it| String::from_utf8(it.into_bytes()).unwrap());
            let text = text.unwrap_or_else(|it| it.to_string()).replace("\r\n", " ");
            self.replies.lock().push(format!("{}: {text}", block.0));
        }
    }

    fn set() -> ReplicaSet {
        let replid: ReplId = new_replid();
        ReplicaSet::new(1, 1, replid, Thresholds::default(), 1 << 20, 1 << 20)
    }

    fn block(set: &ReplicaSet, line: &str, number: u64, client: &Arc<Told>) -> KeyWait {
        let words: Vec<&str> = line.split(' ').collect();
        let keys = words[1..words.len() - 1].iter().map(|it| it.as_bytes());
        let kind = if line.starts_with("BZ") { Kind::Zset } else { Kind::List };
        block_for(set, BlockingKeys::of(keys, kind, None), line, number, client)
    }

    fn block_for(
        set: &ReplicaSet,
        keys: BlockingKeys,
        line: &str,
        number: u64,
        client: &Arc<Told>,
    ) -> KeyWait {
        let request = OwnedRequest::of(line.split(' '));
        let row = verbs::find(request.borrow().get(0).unwrap()).unwrap();
        let Run::Blocking(verb) = row.run else { panic!("{line} blocks") };
        let (spec, client) = (&row.spec, client.clone());
        let (protocol, reply_bytes_max) = (Protocol::Resp2, 1 << 20);
        let block = BlockId(number);
        let call =
            BlockedCall { spec, verb, request, db: 0, protocol, reply_bytes_max, client, block };
        set.write(&set.member_list()).block(keys, call)
    }

    fn told(client: &Told) -> Vec<String> {
        std::mem::take(&mut client.replies.lock())
    }

    #[test]
    fn the_first_that_waits_is_served_first_and_once() {
        let (set, client) = (set(), Arc::new(Told::default()));
        let _waits: Vec<KeyWait> =
            (1..=3).map(|it| block(&set, "BLPOP j k 0", it, &client)).collect();
        assert_eq!(set.key_waiters.keys(), 2);
        write(&set, "RPUSH k a b", WallMs(1));
        assert_eq!(told(&client), ["1: *2 $1 k $1 a ", "2: *2 $1 k $1 b "]);
        write(&set, "RPUSH j c d", WallMs(1));
        assert_eq!(told(&client), ["3: *2 $1 j $1 c "]);
        assert_eq!(set.key_waiters.keys(), 0);
        assert!(!set.write(&set.member_list()).engine().has_blocked(), "nothing is noted any more");
    }

    #[test]
    fn who_gave_up_or_is_gone_is_not_served_and_leaves_nothing_behind() {
        let (set, client, gone) = (set(), Arc::new(Told::default()), Arc::new(Told::default()));
        drop(block(&set, "BLPOP k 0", 1, &client));
        gone.is_gone.store(true, std::sync::atomic::Ordering::Relaxed);
        let wait = block(&set, "BLPOP k 0", 2, &gone);
        write(&set, "RPUSH k a", WallMs(1));
        assert!(told(&client).is_empty() && told(&gone).is_empty());
        drop(wait);
        write(&set, "RPUSH k b", WallMs(1));
        assert!(!set.write(&set.member_list()).engine().has_blocked());
        assert_eq!(set.key_waiters.keys(), 0);
    }

    #[test]
    fn who_waits_at_other_keys_or_for_another_type_is_not_looked_at() {
        let (set, others, client) = (set(), Arc::new(Told::default()), Arc::new(Told::default()));
        let _others: Vec<KeyWait> = (0..10_000)
            .map(|it| block(&set, &format!("BLPOP other:{it} 0"), it, &others))
            .collect();
        let _zset = block(&set, "BZPOPMIN k 0", 1, &others);
        let _wait = block(&set, "BLPOP k 0", 2, &client);
        write(&set, "RPUSH k a", WallMs(1));
        assert_eq!(told(&client), ["2: *2 $1 k $1 a "]);
        assert_eq!(others.claims.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!(set.key_waiters.keys(), 10_001);
    }

    #[test]
    fn who_insists_on_a_key_is_told_when_it_goes_and_who_does_not_is_not_looked_at() {
        let (set, others, client) = (set(), Arc::new(Told::default()), Arc::new(Told::default()));
        let insisting = |number| {
            let keys = BlockingKeys::of([&b"k"[..]].into_iter(), Kind::Stream, None);
            let keys = BlockingKeys { insists: true, ..keys };
            let line = "XREADGROUP GROUP g c BLOCK 0 STREAMS k >";
            block_for(&set, keys, line, number, &client)
        };
        let _others: Vec<KeyWait> =
            (0..100).map(|it| block(&set, "BLPOP k 0", it, &others)).collect();
        write(&set, "XGROUP CREATE k g $ MKSTREAM", WallMs(1));
        let _waits = [insisting(200), insisting(201)];
        write(&set, "XACK k g 1-1", WallMs(1));
        write(&set, "XADD k 1-1 f v", WallMs(1));
        assert_eq!(told(&client), ["200: *1 *2 $1 k *1 *2 $3 1-1 *2 $1 f $1 v "]);
        write(&set, "DEL k", WallMs(1));
        let text = "NOGROUP No such key 'k' or consumer group 'g' in XREADGROUP with GROUP option";
        assert_eq!(told(&client), [format!("201: {text}")]);
        assert_eq!(others.claims.load(std::sync::atomic::Ordering::Relaxed), 0);
    }

    #[test]
    fn a_served_call_may_ready_another_and_each_is_a_write_of_its_own() {
        let (set, client) = (set(), Arc::new(Told::default()));
        let _last = block(&set, "BLPOP c 0", 1, &client);
        // Its destination is taken for a key, too, which changes nothing.
        let _first = block(&set, "BRPOPLPUSH a c 0", 2, &client);
        let before = set.head();
        write(&set, "RPUSH a v", WallMs(1));
        assert_eq!(told(&client), ["2: $1 v ", "1: *2 $1 c $1 v "]);
        let stream = set.stream_from(before).unwrap().concat();
        let stream = String::from_utf8(stream).unwrap().replace("\r\n", " ");
        assert!(stream.ends_with("$1 v *3 $9 RPOPLPUSH $1 a $1 c *2 $4 LPOP $1 c "), "{stream}");
    }

    #[test]
    fn who_gives_up_after_a_failover_is_not_taken_for_who_waits_since() {
        let (set, old, new) = (set(), Arc::new(Told::default()), Arc::new(Told::default()));
        let ended = block(&set, "BLPOP k 0", 1, &old);
        set.fail_over(set.member(crate::base::ids::MemberId(1))).unwrap();
        let _waits = block(&set, "BLPOP k 0", 2, &new);
        drop(ended);
        assert_eq!(set.key_waiters.keys(), 1);
        write(&set, "RPUSH k a", WallMs(1));
        assert_eq!(told(&new), ["2: *2 $1 k $1 a "]);
        assert!(!set.write(&set.member_list()).engine().has_blocked());
    }

    #[test]
    fn a_failover_ends_all_waits() {
        let (set, client) = (set(), Arc::new(Told::default()));
        let _waits = [block(&set, "BLPOP k 0", 1, &client), block(&set, "BLPOP j 0", 2, &client)];
        set.fail_over(set.member(crate::base::ids::MemberId(1))).unwrap();
        let told = told(&client);
        assert!(told.len() == 2 && told[0].starts_with("1: UNBLOCKED force unblock"), "{told:?}");
        assert_eq!(set.key_waiters.keys(), 0);
    }
}
