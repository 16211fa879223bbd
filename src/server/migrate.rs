//! MIGRATE: copies keys to another server, then deletes those that have arrived and are as they
//! were.
//!
//! Redis stands still meanwhile. Here others go on, so every key is watched, as WATCH does it, from
//! before it is copied until it is deleted: a key that has changed in between stays here, and the
//! reply says so. No write is lost; the other server then has an older value beside it.

use super::migrate_peer::MigratePeer;
use crate::base::ids::BlockId;
use crate::base::position::Offset;
use crate::command::{Args, CallEnv, Fault, codes};
use crate::commands::{Credentials, Migration};
use crate::engine::{Effects, rdb, verbs};
use crate::node::{Condition, MasterGuard, MemberFlags, Verb, Wake};
use crate::node::{is_stale, unwatch_all, watch};
use crate::resp::{OwnedRequest, Protocol, Reply};
use crate::runtime::clock;
use crate::runtime::tasks;
use crate::session::{Session, Watch};
use crate::state::{Client, JobReply, Server, Wrote};
use event_listener::Event;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

const CONNECTING: Fault = Fault::Static("IOERR error or timeout connecting to the client");
const WRITING: Fault = Fault::Static("IOERR error or timeout writing to target instance");
/// Redis' own words.
const READING: Fault = Fault::Static("IOERR error or timeout reading to target instance");

/// Keys sent before their replies are read: more would fill both sides' buffers.
const SENT_MAX: usize = 64;

/// What came of the keys.
#[derive(Default)]
struct MigrateResult {
    /// Keys the other server has.
    arrived: Vec<Box<[u8]>>,
    /// Keys that were there.
    found: usize,
    /// The first thing that went wrong.
    fault: Option<Fault>,
}

/// Moves keys of this database to another server for a client, and says what came of it. If keys
/// were deleted here, it says where that write ends.
pub async fn migrate(
    server: &Arc<Server>,
    client: &Arc<Client>,
    db: usize,
    migration: &Migration,
) -> JobReply {
    let session = Session { db, ..Session::default() };
    let mut mover =
        Mover { server: server.clone(), client: client.clone(), db, wrote: None, session };
    let moved = mover.move_keys(migration).await;
    let reply = match moved {
        Ok(0) => Ok(JobReply::line("NOKEY")),
        Ok(_) => Ok(JobReply::line("OK")),
        Err(fault) => Err(fault.to_string()),
    };
    JobReply { reply, wrote: mover.wrote.map(Wrote::Here) }
}

/// One MIGRATE at work.
struct Mover {
    server: Arc<Server>,
    client: Arc<Client>,
    db: usize,
    /// Where its deletions end in the stream.
    wrote: Option<Offset>,
    /// What it watches: nothing to do with what its client watches.
    session: Session,
}

/// However it ends, given up included, nothing is watched afterwards.
impl Drop for Mover {
    fn drop(&mut self) {
        unwatch_all(&self.server.set, &mut self.session);
    }
}

/// Ends when CLIENT PAUSE does.
#[derive(Default)]
struct Unpaused(Event);

impl Wake for Unpaused {
    fn wake(&self, _: BlockId) {
        self.0.notify(usize::MAX);
    }
}

impl Mover {
    /// Waits until nobody is held back. Answers whether the client is still there: what was asked
    /// for by one that has gone is not done.
    async fn until_unpaused(&self) -> bool {
        loop {
            let unpaused = Arc::new(Unpaused::default());
            let listener = unpaused.0.listen();
            let set = &self.server.set;
            let (condition, offset) = (Condition::Unpaused, Offset::ZERO);
            let wait = set.wait_for(condition, offset, unpaused.clone(), BlockId(0));
            let now = clock::mono_now();
            let left = set.pause_in_force(now).map(|(_, until)| until.since(now));
            match (wait, left) {
                (Some(_wait), Some(us)) => {
                    tasks::within(Duration::from_micros(us), listener).await;
                }
                _ => return !self.client.mailbox.is_closed(),
            }
        }
    }

    async fn move_keys(&mut self, migration: &Migration) -> Result<usize, Fault> {
        let set = self.server.set.clone();
        let keys = || migration.keys.iter().map(|it| &**it);
        if !migration.copies {
            let member_list = set.member_list();
            let mut writing = set.write(&member_list);
            let (wall, now) = (clock::wall_now(), clock::mono_now());
            watch(&set, &mut writing, &mut self.session, keys(), wall, now)?;
        }
        let result = self.send_keys(migration).await;
        let changed = self.delete(&result.arrived).await?;
        match (result.fault, changed) {
            (Some(fault), _) => Err(fault),
            (None, 0) => Ok(result.found),
            (None, changed) => Err(codes::keys_changed(changed, result.found)),
        }
    }

    async fn send_keys(&self, migration: &Migration) -> MigrateResult {
        let mut result = MigrateResult::default();
        let mut peer: Option<MigratePeer> = None;
        for keys in migration.keys.chunks(SENT_MAX) {
            let sent = async {
                let payloads = self.payloads(keys, migration.replaces);
                result.found += payloads.len();
                if payloads.is_empty() {
                    return Ok(());
                }
                let peer = match &mut peer {
                    Some(peer) => peer,
                    none => none.insert(introduce(migration).await?),
                };
                send(peer, payloads, &mut result).await
            };
            if let Err(fault) = sent.await {
                // What the other server has said before counts for more.
                result.fault.get_or_insert(fault);
                break;
            }
        }
        result
    }

    /// RESTORE for every key that is there, as it is now.
    fn payloads(&self, keys: &[Box<[u8]>], replaces: bool) -> Vec<(Box<[u8]>, OwnedRequest)> {
        let (set, wall) = (&self.server.set, clock::wall_now());
        let mut payloads = Vec::new();
        for key in keys {
            // One lock for each key: others may go on in between.
            let reading = set.read(set.member(set.master()));
            let Some(slot) = reading.engine().view(self.db, wall).peek(key) else {
                continue;
            };
            let ttl = slot.deadline().map_or(0, |it| wall.until(it).max(1)).to_string();
            let payload = rdb::dump(slot);
            drop(reading);
            let mut words: Vec<&[u8]> = vec![b"RESTORE", key, ttl.as_bytes(), &payload];
            if replaces {
                words.push(b"REPLACE");
            }
            payloads.push((key.clone(), OwnedRequest::of(words)));
        }
        payloads
    }

    /// Deletes those of `keys` that are as they were when they were watched. Answers how many are
    /// not. While writers are held back it waits.
    async fn delete(&mut self, keys: &[Box<[u8]>]) -> Result<usize, Fault> {
        let keys: HashSet<&[u8]> = keys.iter().map(|it| &**it).collect();
        let has_arrived = |it: &&Watch| keys.contains(&*it.key);
        let arrived: Vec<Watch> =
            self.session.watches.iter().filter(has_arrived).cloned().collect();
        let arrived: Vec<&Watch> = arrived.iter().collect();
        loop {
            match self.delete_now(&arrived) {
                Some(outcome) => return outcome,
                None if self.until_unpaused().await => {}
                // Nobody waits for the answer any more, and the keys are safe where they are.
                None => return Ok(0),
            }
        }
    }

    /// As [`Mover::delete`]; `None` while writers are held back.
    fn delete_now(&mut self, arrived: &[&Watch]) -> Option<Result<usize, Fault>> {
        if arrived.is_empty() {
            return Some(Ok(0));
        }
        let (set, member_list) = (self.server.set.clone(), self.server.set.member_list());
        let wall = clock::wall_now();
        let mut writing = set.write(&member_list);
        if set.pause_in_force(clock::mono_now()).is_some() {
            return None;
        }
        if writing.member().is(MemberFlags::QUARANTINED) {
            return Some(Err(Fault::MasterDown));
        }
        let (mut same, mut changed) = (Vec::new(), 0);
        for watch in arrived {
            match is_stale(&set, &mut writing, watch, wall) {
                true => changed += usize::from(is_there(&mut writing, watch)),
                false => same.push(&*watch.key),
            }
        }
        let outcome = self.delete_all(&same, &mut writing);
        drop(writing);
        if !same.is_empty() {
            self.wrote = Some(set.head());
        }
        Some(outcome.map(|()| changed))
    }

    fn delete_all(&self, keys: &[&[u8]], writing: &mut MasterGuard<'_>) -> Result<(), Fault> {
        let Some(row) = verbs::find(b"DEL").filter(|_| !keys.is_empty()) else { return Ok(()) };
        let Some(verb) = row.run.write_verb() else { return Ok(()) };
        let request = OwnedRequest::of([&b"DEL"[..]].iter().chain(keys));
        let env = CallEnv::new(clock::wall_now(), clock::entropy());
        let args = Args::new(request.borrow(), 1, self.db, &env);
        let (mut effects, mut reply) = (Effects::default(), Reply::new(Protocol::Resp2));
        let transaction = writing.begin(&mut effects, clock::mono_now());
        transaction.call_and_commit(Verb::Write(&row.spec, verb), args, &mut reply).map(drop)
    }
}

/// Whether a key has a value here: one whose time has come meanwhile has not, and is no change.
fn is_there(writing: &mut MasterGuard<'_>, watch: &Watch) -> bool {
    writing.engine().view(watch.db, clock::wall_now()).peek(&watch.key).is_some()
}

/// Connects, says who we are and which database is meant, and hears that both are well.
async fn introduce(migration: &Migration) -> Result<MigratePeer, Fault> {
    let Migration { host, port, timeout, .. } = migration;
    let peer = MigratePeer::connect(host, *port, *timeout).await;
    let mut peer = peer.map_err(|it| match it.kind() {
        // Redis notices only when it writes.
        ErrorKind::ConnectionRefused => WRITING,
        _ => CONNECTING,
    })?;
    if let Some(Credentials { user, password }) = &migration.credentials {
        let words = [Some(&b"AUTH"[..]), user.as_deref(), Some(password)];
        let words: Vec<&[u8]> = words.into_iter().flatten().collect();
        ask(&mut peer, &words).await??;
    }
    ask(&mut peer, &[b"SELECT", migration.db.to_string().as_bytes()]).await??;
    Ok(peer)
}

async fn ask(peer: &mut MigratePeer, words: &[&[u8]]) -> Result<Result<(), Fault>, Fault> {
    peer.send(words).await.map_err(|_| WRITING)?;
    receive(peer).await
}

async fn receive(peer: &mut MigratePeer) -> Result<Result<(), Fault>, Fault> {
    let heard = peer.receive().await.map_err(|_| READING)?;
    Ok(heard
        .map_err(|text| Fault::Message(format!("ERR Target instance replied with error: {text}"))))
}

async fn send(
    peer: &mut MigratePeer,
    payloads: Vec<(Box<[u8]>, OwnedRequest)>,
    result: &mut MigrateResult,
) -> Result<(), Fault> {
    for (_, request) in &payloads {
        let words: Vec<&[u8]> = request.borrow().iter().collect();
        peer.send(&words).await.map_err(|_| WRITING)?;
    }
    for (key, _) in payloads {
        match receive(peer).await? {
            Ok(()) => result.arrived.push(key),
            Err(fault) => drop(result.fault.get_or_insert(fault)),
        }
    }
    Ok(())
}
