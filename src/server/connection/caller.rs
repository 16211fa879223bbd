//! Who calls: one client's session, the settings and members it goes by, and its replies.

use super::gathered::Gathered;
use super::replies::Replies;
use crate::acl::DEFAULT_USER;
use crate::base::ids::{BlockId, RouteId, SlotId};
use crate::base::position::{Offset, Position, ReplicationHistory};
use crate::base::time::MonoUs;
use crate::command::Fault;
use crate::command::codes::READ_ONLY;
use crate::config::{Config, OutputLimit};
use crate::node::{
    AllowedMembers, DiskTrouble, MemberList, PauseMode, ReplicaSet, Writes, unwatch_all,
};
use crate::resp::{AuthState, Limits, Protocol, Reply};
use crate::route::{Allowed, Level};
use crate::session::Session;
use crate::state::{Client, LongPlace, Server, ToldChange};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a connection's requests see of their connection.
pub struct Caller {
    /// What all connections share.
    pub server: Arc<Server>,
    /// What others may know of it.
    pub client: Arc<Client>,
    /// What it has said and seen.
    pub session: Session,
    /// Replies that have not left yet.
    pub replies: Replies,
    /// Name of the listener it came in by.
    pub listener: Arc<str>,
    /// The listener's own level.
    pub listener_level: Option<Level>,
    /// The settings as of `settings_generation`.
    pub settings: Arc<Config>,
    /// Which settings these are.
    pub settings_generation: u64,
    /// Which users' rules its own are of.
    pub rights_generation: u64,
    /// The members as of `set_generation`.
    pub member_list: MemberList,
    /// The stream's history as of then.
    pub history: ReplicationHistory,
    /// Which members and history these are.
    pub set_generation: u64,
    /// Which of them may serve which routes of these settings, unless all may serve all.
    pub allowed: Option<Arc<AllowedMembers>>,
    /// Who was held back as of then.
    pub pause_mode: PauseMode,
    /// Writes that are about to be forwarded.
    pub gathered: Option<Box<Gathered>>,
    /// The databases that what is forwarded selects, each with the place of its reply.
    pub selects_forwarded: Vec<(usize, usize)>,
    /// What became of writes as of then.
    pub writes: Writes,
    /// The set follows a master, has no link to it, and does not serve what it has, as of then.
    pub is_stale: bool,
    /// How many messages have come by its mailbox so far.
    pub heard: u64,
    /// Requests may be refused for what the set is, or what the settings say, whoever asks.
    pub is_gated: bool,
    /// There is a limit of memory, and clients may write here.
    pub limits_memory: bool,
    /// There was no room when the request at hand was looked at.
    pub lacks_memory: bool,
    /// Data is being loaded, as of then.
    pub is_loading: bool,
    /// Why writes are refused for the sake of the disk, as of then.
    pub disk_trouble: Option<DiskTrouble>,
    /// Replies to writes wait until those are on disk.
    pub syncs_always: bool,
    /// Replies that wait for that: their slots, each with where its writes end.
    pub unsynced: VecDeque<(SlotId, Offset)>,
    /// Its last wait.
    pub last_block: BlockId,
    /// Which members and history it was told last that all it caches may be of another.
    pub forgotten_generation: u64,
    /// The keys that it waits for to read and cache them.
    pub cached_wait: Vec<Box<[u8]>>,
    /// What it is to be told of cached keys behind the reply of its wait, which is being served.
    pub told_later: Vec<ToldChange>,
    /// The next request takes long: it is served on a thread for that, and this is its place among
    /// those who wait for one.
    pub long_place: Option<LongPlace>,
}

impl Caller {
    /// A client that has said nothing yet.
    pub fn new(
        server: Arc<Server>,
        client: Arc<Client>,
        listener: Arc<str>,
        now: MonoUs,
    ) -> Caller {
        let settings_generation = server.settings_generation();
        let rights_generation = server.accounts.generation();
        let settings = server.settings();
        let set_generation = server.set.generation();
        let is_trusted = client.peer.is_trusted;
        let is_known = is_trusted || server.accounts.lets_in_anybody();
        let session = Session {
            id: client.id,
            user: DEFAULT_USER.into(),
            rules: match is_trusted {
                true => None,
                false => server.accounts.rules_of(DEFAULT_USER),
            },
            has_logged_in: is_known,
            is_known,
            scope_default: settings.listener_scope(&listener),
            ..Session::default()
        };
        client.names.lock().listener = listener.clone();
        let member_list = server.set.member_list();
        let pause = server.set.pause_in_force(now);
        let mut caller = Caller {
            session,
            replies: Replies::new(Reply::new(Protocol::Resp2)),
            listener_level: settings.listener_level(&listener),
            listener,
            settings_generation,
            rights_generation,
            allowed: server.allowed_members(&settings, &member_list),
            member_list,
            history: server.set.history(),
            set_generation,
            pause_mode: pause.map_or(PauseMode::Nobody, |it| it.0),
            gathered: None,
            selects_forwarded: Vec::new(),
            writes: Writes::Here,
            is_stale: false,
            heard: 0,
            is_gated: false,
            limits_memory: false,
            lacks_memory: false,
            is_loading: false,
            disk_trouble: None,
            syncs_always: false,
            unsynced: VecDeque::new(),
            last_block: BlockId::default(),
            forgotten_generation: set_generation,
            cached_wait: Vec::new(),
            told_later: Vec::new(),
            long_place: None,
            settings,
            server,
            client,
        };
        caller.server.settle_scope(&mut caller.session);
        caller.settle_gate();
        caller
    }

    /// Works out what may refuse a request for what the set is.
    fn settle_gate(&mut self) {
        let set = &self.server.set;
        let serves_stale = self.settings.set.follow.serves_stale;
        self.writes = set.writes();
        self.is_stale = !serves_stale && set.remote().is_some_and(|it| !it.is_connected());
        let is_here = self.writes == Writes::Here;
        self.is_loading = set.is_loading();
        self.disk_trouble = set.disk_trouble();
        self.limits_memory = is_here && self.settings.set.memory.bytes != 0;
        // Nobody looks any more where there is no limit.
        self.lacks_memory &= self.limits_memory;
        let is_held_up = self.is_loading || self.disk_trouble.is_some();
        self.is_gated = !is_here || self.is_stale || is_held_up || self.settings.refuses_anything();
        self.syncs_always = self.settings.set.disk.syncs_always();
    }

    /// Takes notice of settings and topology that have changed since the last batch.
    #[inline]
    pub fn refresh(&mut self, now: MonoUs) {
        let generation = self.server.settings_generation();
        if generation != self.settings_generation {
            self.settings_generation = generation;
            self.take_settings();
        }
        self.refresh_set(now);
    }

    /// Whether nothing has changed that [`Caller::refresh`] would take notice of.
    #[inline]
    pub fn is_up_to_date(&self) -> bool {
        self.server.settings_generation() == self.settings_generation
            && self.server.set.generation() == self.set_generation
    }

    #[cold]
    fn take_settings(&mut self) {
        self.keep_up_rights();
        self.settings = self.server.settings();
        self.listener_level = self.settings.listener_level(&self.listener);
        self.session.scope_default = self.settings.listener_scope(&self.listener);
        self.server.settle_scope(&mut self.session);
        self.allowed = self.server.allowed_members(&self.settings, &self.member_list);
        self.settle_gate();
    }

    #[inline]
    fn refresh_set(&mut self, now: MonoUs) {
        let generation = self.server.set.generation();
        if generation != self.set_generation {
            self.set_generation = generation;
            self.member_list = self.server.set.member_list();
            self.allowed = self.server.allowed_members(&self.settings, &self.member_list);
            self.history = self.server.set.history();
            let pause = self.server.set.pause_in_force(now);
            self.pause_mode = pause.map_or(PauseMode::Nobody, |it| it.0);
            self.session.carry_over(&self.history);
            self.session.share(&self.history);
            self.settle_gate();
        }
    }

    /// Takes what others who share its floor have seen, and gives them what this session has seen:
    /// when a batch begins, so that it sees what any reply has shown that its client has received
    /// before it sent the batch, and when it ends, before its replies leave.
    #[inline]
    pub fn share_floor(&mut self, now: MonoUs) {
        if self.session.shared.is_some() {
            self.share_floor_now(now);
        }
    }

    #[cold]
    fn share_floor_now(&mut self, now: MonoUs) {
        if self.session.share(&self.history) {
            return;
        }
        // Another has seen a failover that this has not.
        self.refresh_set(now);
        self.server.share_floor(&mut self.session, &self.history);
    }

    /// The members that may serve reads of this route, unless all may: where nothing is said of
    /// members, that is one look at an empty place.
    #[inline]
    pub fn allowed_on(&self, route: RouteId) -> Option<Allowed> {
        self.allowed.as_ref()?.on(route)
    }

    /// How much one request may hold: as configured, and less before AUTH.
    #[inline]
    pub fn limits(&self) -> Limits {
        let auth =
            if self.session.is_known { AuthState::Known } else { AuthState::Unauthenticated };
        let bulk_bytes_max = self.settings.server.bulk_bytes_max;
        Limits { bulk_bytes_max, ..Limits::of(auth) }
    }

    /// As [`Caller::refresh`], in the middle of a request, whose settings stay as they are.
    /// Refuses it when what it builds on has been lost.
    #[inline]
    pub fn keep_up(&mut self, set: &ReplicaSet, now: MonoUs) -> Result<(), Fault> {
        if set.generation() == self.set_generation {
            return Ok(());
        }
        self.refresh_set(now);
        self.take_lost().map_or(Ok(()), Err)
    }

    /// As [`Caller::keep_up`], with the master's lock held: whoever writes now must be one who may.
    #[inline]
    pub fn keep_up_to_write(&mut self, set: &ReplicaSet, now: MonoUs) -> Result<(), Fault> {
        if set.generation() == self.set_generation {
            return Ok(());
        }
        self.keep_up(set, now)?;
        self.may_write()
    }

    /// Whether clients may write here.
    pub fn may_write(&self) -> Result<(), Fault> {
        match self.writes {
            Writes::Here => Ok(()),
            Writes::Refused => Err(READ_ONLY),
            Writes::Forwarded => Ok(()),
        }
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

    /// The number of the wait that this request asks for, if it does.
    pub fn next_block(&self) -> BlockId {
        BlockId(self.last_block.0 + 1)
    }

    /// How much may wait for it to take.
    #[inline]
    pub fn output_limit(&self) -> OutputLimit {
        let limits = &self.settings.server.output_limits;
        let listens = self.session.is_subscribed() || self.session.is_monitor;
        if listens { limits.pubsub } else { limits.normal }
    }

    /// Ends all subscriptions, and what MONITOR has begun.
    pub fn end_subscriptions(&mut self) {
        if self.session.is_monitor {
            self.server.monitors.leave(&self.client);
        }
        if let Some(subscriptions) = &mut self.session.subscriptions {
            let ended = subscriptions.take_names();
            self.server.end_subscriptions(self.client.id, ended);
        }
    }

    /// It is over: nobody finds it from here on.
    pub fn leave(&self) {
        if self.session.tracking.is_some() {
            self.server.tracking.leave(self.client.id);
        }
        drop(self.server.forwarding.take_lease(self.client.id));
        self.server.clients.leave(self.client.id);
    }

    /// Ends all watches, wherever they are.
    pub fn unwatch_all(&mut self) {
        self.end_remote_watches();
        unwatch_all(&self.server.set, &mut self.session);
    }
}
