//! A client that caches what it reads: its reads enter the table of readers, and it is told of what
//! has changed behind the replies that have read it.

use super::batch::{BatchContext, LockCache};
use super::caller::Caller;
use crate::base::position::{Offset, Position};
use crate::command::Class;
use crate::commands::Command;
use crate::node::Transaction;
use crate::pubsub::tracking::redirection_broken;
use crate::resp::{Protocol, Request};
use crate::session::{CachedReads, Tracking};
use crate::state::ToldChange;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

impl Caller {
    /// This command has read at a member whose data stands at `at`, and is held as it is.
    #[inline]
    pub fn cache_read(&mut self, command: &Command, request: Request<'_>, at: Position) {
        if self.session.tracking.is_some() && command.spec.class == Class::Read {
            self.enter_reads(command, request, at);
        }
    }

    #[inline(never)]
    fn enter_reads(&mut self, command: &Command, request: Request<'_>, at: Position) {
        let Some(asked) = &self.session.tracking else { return };
        let server = &self.server;
        command.spec.keys.each(request, |key| server.tracking.read(&self.client, asked, key, at));
        let generation = server.set.generation();
        if generation != self.set_generation && generation != self.forgotten_generation {
            // The stream it was read in may have ended before anybody could know of this read.
            server.tracking.forget_for(self.client.id, server.set.position());
            self.forgotten_generation = generation;
        }
    }

    /// As [`Caller::cache_read`], of what goes to a remote master, all of which the stream here has
    /// not brought yet. What is told before the reply has come is told behind it. Of a script
    /// nobody here knows what it reads: it is told of the keys that it names.
    #[inline]
    pub fn cache_forwarded(&mut self, command: &Command, request: Request<'_>) {
        let reads = command.spec.class == Class::Read || command.runs_script();
        if self.session.tracking.is_some() && reads {
            self.enter_reads(command, request, self.position(self.server.set.head()));
        }
    }

    /// A call waits for these keys that it reads, if it does.
    #[cold]
    pub fn cache_wait(&mut self, command: &Command, request: Request<'_>) {
        self.cached_wait.clear();
        let Some(asked) = &self.session.tracking else { return };
        if command.spec.class == Class::Read && asked.caches_read() {
            let wait = &mut self.cached_wait;
            command.spec.keys.each(request, |key| wait.push(key.into()));
        }
    }

    /// That call has been made when the stream ended at `at`. What made a key ready has been told
    /// before its reply, and took it out of the table.
    #[cold]
    pub fn cache_served(&mut self, at: Offset) {
        let keys = std::mem::take(&mut self.cached_wait);
        let Some(asked) = &self.session.tracking else { return };
        let asked = Tracking { reads: CachedReads::All, ..(**asked).clone() };
        let at = self.position(at);
        keys.iter().for_each(|key| self.server.tracking.read(&self.client, &asked, key, at));
    }

    /// As [`Caller::cache_read`], within a transaction, whose end is not known yet.
    #[inline]
    pub fn cache_read_within(
        &mut self,
        command: &Command,
        request: Request<'_>,
        transaction: &mut Transaction<'_, '_>,
    ) {
        let Some(asked) = &self.session.tracking else { return };
        if command.spec.class == Class::Read && asked.caches_read() {
            let id = self.client.id;
            command.spec.keys.each(request, |key| transaction.note_read(id, key));
        }
    }

    /// The master is locked to write, and one that caches what it reads may not want to hear of its
    /// own changes.
    #[inline]
    pub fn write_as_caching(&self, context: &mut BatchContext<'_, '_>) {
        if self.session.tracking.is_some()
            && let LockCache::Writing(guard) = &mut context.locks
        {
            guard.written_by(self.client.id);
        }
    }

    /// A request is done with, and what it has changed itself it is told behind its reply. Where
    /// replies are held, those of a batch take their places together when it ends: what there is to
    /// tell comes as messages, behind them.
    #[cold]
    pub fn end_cached(&mut self, request: Request<'_>) {
        self.end_said(request);
        if self.replies.has_pending() || self.gathered.is_some() {
            return;
        }
        if self.client.mailbox.has_messages() {
            self.client.mailbox.take_told().iter().for_each(|it| self.told_change(it));
        }
    }

    /// A request is done with, or waits on: CLIENT CACHING was for it.
    pub fn end_said(&mut self, request: Request<'_>) {
        let is_client = request.get(0).is_some_and(|it| it.eq_ignore_ascii_case(b"CLIENT"));
        if let Some(tracking) = &mut self.session.tracking
            && !is_client
            && self.session.queue.is_none()
        {
            tracking.is_said = false;
        }
    }

    /// As [`Caller::told_change`], while it waits for keys: once somebody serves it, that comes
    /// behind the reply.
    #[cold]
    pub fn told_in_wait(&mut self, change: ToldChange) {
        if self.client.is_blocked() {
            return self.told_change(&change);
        }
        self.told_later.push(change);
        self.client.flags.is_told_later.store(true, Relaxed);
        fence(SeqCst);
        if self.client.is_blocked() {
            self.tell_later();
        }
    }

    /// The wait is answered, or goes on: what it could not be told before.
    #[inline]
    pub fn tell_later(&mut self) {
        if !self.told_later.is_empty() {
            self.client.flags.is_told_later.store(false, Relaxed);
            std::mem::take(&mut self.told_later).iter().for_each(|it| self.told_change(it));
        }
    }

    /// It is told of a change of what it caches, or another client does. What comes behind CLIENT
    /// TRACKING OFF is late.
    #[cold]
    pub fn told_change(&mut self, change: &ToldChange) {
        let (caches, protocol) = (self.session.tracking.is_some(), self.replies.out.protocol());
        match change {
            ToldChange::Own(_) | ToldChange::RedirectBroken(_) if !caches => return,
            ToldChange::Own(told) | ToldChange::ForAnother(told) => self.told(told.at),
            ToldChange::RedirectBroken(_) => {}
        }
        match (change, protocol) {
            (ToldChange::Own(told) | ToldChange::ForAnother(told), Protocol::Resp3) => {
                self.replies.push(told.pushed());
            }
            (ToldChange::RedirectBroken(to), Protocol::Resp3) => {
                self.replies.push(&redirection_broken(*to));
            }
            (ToldChange::ForAnother(told), Protocol::Resp2) if self.session.is_subscribed() => {
                self.replies.push(told.published());
            }
            (_, Protocol::Resp2) => {}
        }
    }

    fn told(&mut self, at: Position) {
        let head = self.position(self.server.set.head());
        self.session.heard(at, &self.history, head);
    }

    /// Takes notice of what others were told in its place: its reads are not older from here on.
    #[inline]
    pub fn keep_up_told(&mut self) {
        if self.session.tracking.is_some()
            && let Some(at) = self.client.told_elsewhere.take()
        {
            self.told(at);
        }
    }
}
