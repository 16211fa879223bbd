//! A connection's own state, from one batch to the next.

use super::scratch::WorkerScratch;
use super::tag::Tag;
use super::timing::Stopwatch;
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::command::Fault;
use crate::config::Config;
use crate::metrics::Place;
use crate::metrics::worst::Key;
use crate::node::{MasterGuard, Member, MemberFlag, MemberList, PauseMode, ReadGuard, ReplicaSet};
use crate::resp::{AuthState, Limits, OwnedRequest, Reply};
use crate::route::{LadderPosition, Level};
use crate::runtime::clock;
use crate::session::Session;
use crate::state::{Client, Server};
use std::sync::Arc;
use std::time::Duration;

/// A connected client, as its task sees it.
pub struct Connection {
    /// What all connections share.
    pub server: Arc<Server>,
    /// What others may know of it.
    pub client: Arc<Client>,
    /// What it has said and seen.
    pub session: Session,
    /// Replies that have not left yet.
    pub reply: Reply,
    /// Name of the listener it came in by.
    pub listener: Arc<str>,
    /// The listener's own level.
    pub listener_level: Option<Level>,
    /// The settings as of `settings_generation`.
    pub settings: Arc<Config>,
    /// Which settings these are.
    pub settings_generation: u64,
    /// The members as of `set_generation`.
    pub member_list: MemberList,
    /// The stream's history as of then.
    pub history: ReplicationHistory,
    /// Which members and history these are.
    pub set_generation: u64,
    /// Who was held back as of then.
    pub pause_mode: PauseMode,
    /// How far the read at hand has come, after it has waited.
    pub retry: Option<ReadRetry>,
    /// Where the reply at hand comes from, if the client wants to know.
    pub tag: Option<Tag>,
    /// The reply of a write that waits to be confirmed.
    pub owed: Vec<u8>,
    /// The request that is worked on while its client stands still.
    pub parked_request: OwnedRequest,
}

/// What earlier plans of one read have settled.
#[derive(Clone, Copy, Debug)]
pub struct ReadRetry {
    /// The route of the read.
    pub route: u16,
    /// The step of its ladder that it stands on.
    pub step: u8,
    /// When that step's wait ends, if it is one.
    pub ends: Option<MonoUs>,
    /// What it needs: it does not move while the read waits.
    pub needs: Position,
}

impl ReadRetry {
    /// Where that is on the ladder by now.
    pub fn ladder_position(&self, now: MonoUs) -> LadderPosition {
        let left = self.ends.map(|it| Duration::from_micros(it.since(now)));
        LadderPosition { step: self.step, left }
    }
}

/// Why a batch ended before its input did.
#[derive(Debug)]
pub enum Stop {
    /// Replies must leave before more are made.
    Flush,
    /// The connection waits; the request has been taken.
    Park(super::parked::Parked),
    /// The read waits for a replica, and will be planned again: the request has not been taken.
    Await(Box<Awaited>),
    /// The client is held back by CLIENT PAUSE: the request has not been taken.
    LockCache,
    /// The connection closes once its replies are out.
    Close,
    /// The proxy shuts down.
    ShutDown,
}

/// The replica a read waits for.
#[derive(Debug)]
pub struct Awaited {
    /// The read's route, and the replica.
    pub place: Place,
    /// What it is to apply.
    pub needs: Offset,
    /// How long the read waits.
    pub at_most: Duration,
    /// The first key that is to be read.
    pub key: Option<Key>,
}

/// The lock a batch holds, so that neighbours that go to the same member take it once.
pub enum LockCache<'s> {
    /// None.
    Nothing,
    /// A member's, to read.
    ReadGuard(ReadGuard<'s>),
    /// The master's, to write.
    MasterGuard(MasterGuard<'s>),
}

impl<'s> LockCache<'s> {
    /// Lets go.
    pub fn release(&mut self) {
        *self = LockCache::Nothing;
    }

    /// Holds `member` to read.
    #[inline]
    pub fn read(&mut self, set: &'s ReplicaSet, member: &'s Member) -> &ReadGuard<'s> {
        if !matches!(self, LockCache::ReadGuard(it) if it.member().index == member.index) {
            self.release();
            *self = LockCache::ReadGuard(set.read(member));
        }
        match self {
            LockCache::ReadGuard(reading) => reading,
            _ => unreachable!("just locked to read"),
        }
    }

    /// Holds the master to write.
    #[inline]
    pub fn write(
        &mut self,
        set: &'s ReplicaSet,
        member_list: &'s MemberList,
    ) -> &mut MasterGuard<'s> {
        if !matches!(self, LockCache::MasterGuard(_)) {
            self.release();
            *self = LockCache::MasterGuard(set.write(member_list));
        }
        match self {
            LockCache::MasterGuard(writing) => writing,
            _ => unreachable!("just locked to write"),
        }
    }
}

impl<'s> BatchContext<'s, '_> {
    /// Locks the master to write. One that a panic has taken out of service is replaced first.
    #[inline]
    pub fn master(&mut self) -> Result<&mut MasterGuard<'s>, Fault> {
        // Looked at under the lock: its last holder's verb may have panicked while this waited.
        if self.locks.write(self.set, self.member_list).member().is(MemberFlag::Quarantined) {
            self.locks.release();
            self.set.replace_quarantined_master();
        }
        let writing = self.locks.write(self.set, self.member_list);
        match writing.member().is(MemberFlag::Quarantined) {
            true => Err(Fault::MasterDown),
            false => Ok(writing),
        }
    }
}

/// One batch at work: the worker's scratch, the lock it holds, and when it began.
pub struct BatchContext<'s, 'd> {
    /// The worker's scratch.
    pub scratch: &'d mut WorkerScratch,
    /// The set, borrowed apart from the connection so that locks can outlive a call.
    pub set: &'s ReplicaSet,
    /// The members of this batch.
    pub member_list: &'s MemberList,
    /// The lock.
    pub locks: LockCache<'s>,
    /// When the batch began.
    pub now: MonoUs,
    /// The stopwatch.
    pub stopwatch: Stopwatch,
    /// The bytes of the requests.
    pub input: &'d [u8],
    /// Where in them the request at hand begins.
    pub at: usize,
    /// Commands of this batch that reached their handler or the queue.
    pub served: u64,
}

impl Connection {
    /// Takes notice of settings and topology that have changed since the last batch.
    #[inline]
    pub fn refresh(&mut self) {
        let generation = self.server.settings_generation();
        if generation != self.settings_generation {
            self.settings_generation = generation;
            self.take_settings();
        }
        self.refresh_set();
    }

    #[cold]
    fn take_settings(&mut self) {
        let before = std::mem::replace(&mut self.settings, self.server.settings());
        self.listener_level = self.settings.listener_level(&self.listener);
        let ladder = |it: &Config, route| it.routes.get(route).ladder;
        let stands = |it: &ReadRetry| ladder(&before, it.route) == ladder(&self.settings, it.route);
        // Unless its ladder is there no more.
        self.retry = self.retry.take().filter(stands);
    }

    #[inline]
    fn refresh_set(&mut self) {
        let generation = self.server.set.generation();
        if generation != self.set_generation {
            self.set_generation = generation;
            self.member_list = self.server.set.member_list();
            self.history = self.server.set.history();
            self.pause_mode = self
                .server
                .set
                .pause_in_force(clock::mono_now())
                .map_or(PauseMode::Nobody, |it| it.0);
            self.session.carry_over(&self.history);
        }
    }

    /// How much one request may pause_mode: as configured, and less before AUTH.
    #[inline]
    pub fn limits(&self) -> Limits {
        let standing =
            if self.session.is_known { AuthState::Known } else { AuthState::Unauthenticated };
        let bulk_bytes_max = self.settings.server.bulk_bytes_max;
        Limits { bulk_bytes_max, ..Limits::of(standing) }
    }

    /// Whether the request at hand waits until a pause_mode is over.
    #[inline]
    pub fn is_held(&mut self, writes: impl FnOnce(&Connection) -> bool) -> bool {
        self.pause_mode != PauseMode::Nobody && self.is_held_now(writes)
    }

    #[cold]
    fn is_held_now(&mut self, writes: impl FnOnce(&Connection) -> bool) -> bool {
        match self.server.set.pause_in_force(clock::mono_now()) {
            Some((PauseMode::All, _)) => true,
            Some(_) => writes(self),
            None => {
                self.pause_mode = PauseMode::Nobody;
                false
            }
        }
    }

    /// As [`Connection::refresh`], in the middle of a request, whose settings stay as they are.
    /// Refuses it when what it builds on has been lost.
    #[inline]
    pub fn keep_up(&mut self, set: &ReplicaSet) -> Result<(), Fault> {
        if set.generation() == self.set_generation {
            return Ok(());
        }
        self.refresh_set();
        self.take_lost().map_or(Ok(()), Err)
    }

    /// What a failover has taken from this session: said once.
    #[inline]
    pub fn take_lost(&mut self) -> Option<Fault> {
        let lost = self.session.lost.take()?;
        Some(Fault::LostWrite { from: lost.from.bytes(), to: lost.to.bytes() })
    }

    /// The stream's end at `offset`, in the history of this batch.
    #[inline]
    pub fn position(&self, offset: Offset) -> Position {
        Position { replid: self.history.replid, offset }
    }

    /// Ends all watches.
    pub fn unwatch_all(&mut self) {
        crate::node::unwatch_all(&self.server.set, &mut self.session);
    }
}
