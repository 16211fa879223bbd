//! What waits, and how it goes on when its wait has ended.

use super::batch::BatchContext;
use super::caller::Caller;
use crate::base::ids::{BlockId, RouteId, SlotId};
use crate::base::planted::{Planted, is_planted};
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::command::{Class, Fault, codes};
use crate::commands::{Block, BlockOn, Job, Leased, Outcome, ReadRetry, Resume, table};
use crate::node::{Condition, Confirmed, PauseMode, Wanted};
use crate::resp::OwnedRequest;
use crate::route::Reason;
use crate::session::LastReply;
use crate::state::{JobReply, UNBLOCKED, UnblockAs, Waiting, Wrote};
use futures::channel::oneshot::channel;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A wait of a connection: nothing else of it runs before it has ended.
///
/// ```text
///            Woken, Filled          ┐
///  blocked ─ Time ──────────────────┼─▶ resume: an answer, another wait, or the request again
///     │      Unblocked              ┘
///     └───── PeerClosed, Killed ──────▶ nothing: what was asked for is dropped
/// ```
#[derive(Debug)]
pub struct Blocked {
    /// Which wait this is: what was meant for another is ignored.
    pub id: BlockId,
    /// What it waits for.
    pub on: BlockOn,
    /// When its time is over, if it ends by itself.
    pub until: Option<MonoUs>,
    /// When it began.
    since: MonoUs,
    route: RouteId,
    then: Resume,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEnd {
    /// What it waited for has come.
    Reached,
    /// Its time was over first, or CLIENT UNBLOCK said so.
    TimeUp,
    /// CLIENT UNBLOCK said so, with an error.
    Unblocked,
}

/// What becomes of a request whose wait has ended.
#[derive(Debug)]
pub enum Resumed {
    /// It is answered.
    Answered,
    /// It goes on waiting, for something else.
    Blocked(Box<Block>),
    /// It is served again, from where it stands.
    Again(Option<Box<ReadRetry>>),
}

impl Blocked {
    /// A wait that begins at `now`.
    fn begin(id: BlockId, block: Block, now: MonoUs) -> Blocked {
        let Block { on, timeout, then, route } = block;
        Blocked { id, on, until: timeout.map(|it| now.plus(it)), since: now, route, then }
    }

    /// Bytes of memory that the arguments of its request take: one that is served again from its
    /// start is still among what was not served.
    fn argument_bytes(&self) -> usize {
        match &self.then {
            Resume::Served(wait) => wait.argument_bytes(),
            Resume::AnswerOk(request)
            | Resume::Filled(request)
            | Resume::Remote { request, .. } => request.footprint(),
            Resume::CountAcks(_)
            | Resume::CountFsyncs(_)
            | Resume::Confirm { .. }
            | Resume::Retry(_)
            | Resume::Again => 0,
        }
    }

    /// Whether CLIENT UNBLOCK can end it.
    pub fn waiting(&self) -> Waiting {
        match self.then {
            Resume::Again if is_planted(Planted::UnblockEndsPause) => Waiting::Blocked,
            Resume::Again | Resume::Filled(_) => Waiting::Held,
            _ => Waiting::Blocked,
        }
    }

    /// Whether time is spent on the command itself, so that a shutdown waits for it.
    pub fn is_work(&self) -> bool {
        matches!(self.then, Resume::AnswerOk(_) | Resume::Filled(_))
    }

    /// Whether the answer can be given now as if its time were up: a shutdown does not wait.
    pub fn can_end_early(&self) -> bool {
        matches!(self.then, Resume::CountAcks(_) | Resume::CountFsyncs(_) | Resume::Confirm { .. })
    }

    /// Tells of CLIENT UNBLOCK to who waits at the remote master for it. `false` when it was
    /// sent nowhere.
    pub fn unblock_remote(&mut self, how: UnblockAs) -> bool {
        let Resume::Remote { unblock, .. } = &mut self.then else { return false };
        // Whoever has its reply already hears nothing.
        let _ = unblock.take().map(|it| it.send(how));
        true
    }

    /// The slot of the reply that is owed until a write is confirmed.
    fn owed_slot(&self) -> Option<SlotId> {
        let Resume::Confirm { slot, .. } = &self.then else { return None };
        *slot
    }

    /// Whether it waits for this slot.
    pub fn is_for(&self, slot: SlotId) -> bool {
        self.on == BlockOn::Slot(slot)
    }
}

impl Caller {
    /// A wait begins, behind all replies so far. What a write owes until it is confirmed has its
    /// place from here on.
    pub fn begin_wait(&mut self, mut block: Block, now: MonoUs) -> Blocked {
        if let Resume::Confirm { slot, .. } = &mut block.then
            && !is_planted(Planted::ReplyOvertakes)
        {
            slot.get_or_insert_with(|| self.replies.open_slot());
        }
        self.last_block = self.next_block();
        let blocked = Blocked::begin(self.last_block, block, now);
        self.client.note_wait(blocked.argument_bytes(), blocked.until.is_some());
        blocked
    }

    /// The wait has ended: what becomes of its request. What is answered has taken its place.
    pub fn resume(
        &mut self,
        blocked: Blocked,
        ended: WaitEnd,
        context: &mut BatchContext<'_, '_>,
    ) -> Resumed {
        let (mark, slot) = (self.replies.mark(), blocked.owed_slot());
        let resumed = self.end_wait(blocked, ended, context);
        match slot {
            // It may be on disk later than at replicas.
            Some(slot) if matches!(resumed, Resumed::Answered) => {
                self.fill_owed(slot, mark, context.actions);
            }
            Some(_) => {}
            None => {
                self.hold_until_durable(mark, Offset::MAX, context.actions);
                self.replies.settle(mark);
            }
        }
        resumed
    }

    fn end_wait(
        &mut self,
        blocked: Blocked,
        ended: WaitEnd,
        context: &mut BatchContext<'_, '_>,
    ) -> Resumed {
        self.client.active.store(context.now.0, Relaxed);
        let waited_us = context.now.since(blocked.since);
        let mark = self.replies.mark();
        match blocked.then {
            Resume::Again => {
                if is_planted(Planted::UnblockEndsPause) {
                    self.pause_mode = PauseMode::Nobody;
                }
                return Resumed::Again(None);
            }
            Resume::Retry(retry) => {
                if let Some((place, key)) = &retry.waits_for {
                    context.scratch.metrics.floor_wait(*place, waited_us, key.as_ref());
                }
                return Resumed::Again(Some(retry));
            }
            Resume::CountAcks(offset) => {
                context.scratch.metrics.wait(blocked.route, waited_us);
                match ended {
                    WaitEnd::Unblocked => self.unblocked(None, context),
                    _ => self.replies.out.count(acks_told(blocked.on, offset, context)),
                }
            }
            Resume::CountFsyncs(offset) => match ended {
                WaitEnd::Unblocked => self.unblocked(None, context),
                _ => self.count_fsyncs(offset, context),
            },
            Resume::AnswerOk(request) => {
                match ended {
                    WaitEnd::Unblocked => self.unblocked(Some(&request), context),
                    _ => self.replies.out.ok(),
                }
                self.log_if_slow(&request, waited_us * 1000, context.clock.wall_now());
            }
            Resume::Confirm { wanted, offset, owed, slot } => {
                let next = wanted.next_condition(context.set, offset);
                if let (WaitEnd::Reached, Some(condition)) = (ended, next) {
                    let on = BlockOn::Offset(condition, offset);
                    let left = |it: MonoUs| Duration::from_micros(it.since(context.now));
                    let timeout = blocked.until.map(left);
                    let then = Resume::Confirm { wanted, offset, owed, slot };
                    let block = Block { on, timeout, then, route: blocked.route };
                    return Resumed::Blocked(Box::new(block));
                }
                context.scratch.metrics.wait(blocked.route, waited_us);
                self.confirm(&wanted, offset, &owed, context);
            }
            Resume::Served(wait) => match ended {
                WaitEnd::Unblocked => self.unblocked(Some(wait.request()), context),
                _ => self.replies.out.null_array(),
            },
            Resume::Filled(_) | Resume::Remote { .. } => {
                unreachable!("a job's wait ends when its slot is filled")
            }
        }
        self.silence(mark);
        Resumed::Answered
    }

    /// CLIENT UNBLOCK has ended a wait with an error.
    fn unblocked(&mut self, request: Option<&OwnedRequest>, context: &mut BatchContext<'_, '_>) {
        let fault = Fault::Static(UNBLOCKED);
        match request {
            Some(request) => self.fail_kept(request, &fault, context),
            None => self.answer_fault(&fault),
        }
    }

    /// Answers a request that has waited, and failed.
    fn fail_kept(
        &mut self,
        request: &OwnedRequest,
        fault: &Fault,
        context: &mut BatchContext<'_, '_>,
    ) {
        match table().locate(request.borrow()) {
            Ok(command) => self.fail(command, fault, context),
            Err(_) => self.answer_fault(fault),
        }
    }

    /// Answers what is owed if enough replicas have acknowledged the write, and else that it is
    /// done and not confirmed.
    fn confirm(
        &mut self,
        wanted: &Wanted,
        offset: Offset,
        owed: &[u8],
        context: &BatchContext<'_, '_>,
    ) {
        let set = context.set;
        if wanted.wants_sync() && set.durable() < offset {
            return self.answer_fault(&codes::NOT_ON_DISK);
        }
        let confirmed = wanted.confirmed(set, offset, set.acked_by(offset));
        if confirmed.is_enough() || is_planted(Planted::TimeConfirms) {
            self.replies.out.append(owed);
            return;
        }
        let Confirmed { acked, wanted, .. } = confirmed;
        if let Some(count) = self.server.log_limits.not_durable.note(context.now) {
            let who = self.client.logged();
            log::warn!(
                "event=not-durable {who} offset={offset} acked={acked}/{wanted} count={count}"
            );
        }
        self.answer_fault(&Fault::NotDurable { offset: offset.bytes(), acked, wanted });
    }

    /// A job has done its work: its reply, and what the session must know of it. A write that is to
    /// be confirmed goes on waiting.
    pub fn filled(
        &mut self,
        blocked: Blocked,
        slot: SlotId,
        job_reply: JobReply,
        context: &mut BatchContext<'_, '_>,
    ) -> Resumed {
        let (Resume::Filled(request) | Resume::Remote { request, .. }) = blocked.then else {
            unreachable!("only a job's wait is for a slot")
        };
        let took_ns = context.now.since(blocked.since) * 1000;
        self.log_if_slow(&request, took_ns, context.clock.wall_now());
        self.settle_db(&job_reply.reply);
        if self.server.upstream.is_some() {
            self.note_told_loss(&job_reply.reply);
        }
        let mark = self.replies.mark();
        match job_reply.reply {
            Ok(reply) => self.replies.out.append_owned(reply),
            Err(text) => self.fail_kept(&request, &Fault::Message(text), context),
        }
        let confirmation = job_reply.wrote.and_then(|it| self.job_wrote(&request, it, context));
        if let Some(Outcome::Block(mut block)) = confirmation {
            if let Resume::Confirm { owed, slot: place, .. } = &mut block.then {
                *owed = self.replies.out.take(mark);
                // What was pushed meanwhile stands behind it.
                *place = Some(slot);
            }
            return Resumed::Blocked(block);
        }
        self.silence(mark);
        let reply = self.replies.out.take(mark);
        self.fill(slot, reply);
        Resumed::Answered
    }

    /// A call that waited for keys has been made: its reply, and what the session must know of it.
    /// A write that is to be confirmed goes on waiting.
    pub fn served(
        &mut self,
        blocked: Blocked,
        job_reply: JobReply,
        context: &mut BatchContext<'_, '_>,
    ) -> Resumed {
        let Resume::Served(wait) = blocked.then else {
            unreachable!("only a wait for keys is served")
        };
        self.client.active.store(context.now.0, Relaxed);
        // The time of the write that served it is that one's; its wait is nobody's.
        self.log_if_slow(wait.request(), 0, context.clock.wall_now());
        let mark = self.replies.mark();
        let (master, route) = (context.set.master(), blocked.route);
        self.session.last = LastReply::of_master(master, route, Reason::Write);
        match job_reply.reply {
            Ok(reply) => self.replies.out.append_owned(reply),
            Err(text) => self.fail_kept(wait.request(), &Fault::Message(text), context),
        }
        if let Some(Wrote::Here(at)) = job_reply.wrote
            && !self.cached_wait.is_empty()
        {
            self.cache_served(at);
        }
        let confirmation =
            job_reply.wrote.and_then(|it| self.job_wrote(wait.request(), it, context));
        if let Some(Outcome::Block(mut block)) = confirmation {
            if let Resume::Confirm { owed, .. } = &mut block.then {
                *owed = self.replies.out.take(mark);
            }
            return Resumed::Blocked(block);
        }
        self.silence(mark);
        Resumed::Answered
    }

    fn fill(&mut self, slot: SlotId, reply: Vec<u8>) {
        let is_filled = self.replies.fill(slot, reply);
        assert!(is_filled, "{slot:?} is filled once");
    }

    /// The session remembers what a job has written for it. Answers what must be confirmed before
    /// its reply may leave.
    fn job_wrote(
        &mut self,
        request: &OwnedRequest,
        wrote: Wrote,
        context: &BatchContext<'_, '_>,
    ) -> Option<Outcome> {
        self.refresh(context.now);
        // What is not known here is a write of a real server.
        let command = table().locate(request.borrow()).ok();
        let is_read = command.is_some_and(|it| it.class(request.borrow()) == Class::Read);
        match wrote {
            Wrote::Here(end) if is_read => self.session.saw_all(self.position(end)),
            Wrote::Here(end) => self.session.wrote(self.position(end), context.now),
            Wrote::There(told) => {
                let at = context.set.was_told(told);
                self.session.was_told(at, &self.history, (!is_read).then_some(context.now));
            }
        }
        // Real servers were asked before the reply came here.
        if is_read || self.server.upstream.is_some() {
            return None;
        }
        let command = command?;
        let route = self.origin(None).route(command, request.borrow());
        self.confirmation_of(command, request.borrow(), route)
    }

    /// Inside a transaction nothing waits.
    pub fn answer_at_once(&mut self, block: Block, context: &BatchContext<'_, '_>) {
        match block.then {
            Resume::CountAcks(offset) => self.replies.out.count(context.set.acked_by(offset)),
            Resume::CountFsyncs(offset) => self.count_fsyncs(offset, context),
            Resume::AnswerOk(_) => self.replies.out.ok(),
            Resume::Confirm { .. }
            | Resume::Retry(_)
            | Resume::Again
            | Resume::Served(_)
            | Resume::Remote { .. }
            | Resume::Filled(_) => {
                unreachable!("no session verb asks for this")
            }
        }
    }

    /// WAITAOF's answer: in how many files this is here, and at replicas.
    fn count_fsyncs(&mut self, offset: Offset, context: &BatchContext<'_, '_>) {
        let is_here = self.settings.set.disk.has_aof() && offset <= context.set.durable();
        self.replies.out.array(2);
        self.replies.out.int(i64::from(is_here));
        self.replies.out.count(context.set.on_disk_at(offset));
    }
}

/// What WAIT answers.
fn acks_told(on: BlockOn, offset: Offset, context: &BatchContext<'_, '_>) -> usize {
    match on {
        BlockOn::Offset(Condition::AckedBy(wanted), _)
            if is_planted(Planted::WaitAnswersWanted) =>
        {
            wanted
        }
        _ => context.set.acked_by(offset),
    }
}

/// What happens when this job has filled its slot. CLIENT UNBLOCK reaches what waits at the master.
pub fn filled(job: &mut Job, request: OwnedRequest) -> Resume {
    let unblocked = match job {
        Job::Leased(forwarded, Leased::Once) => &mut forwarded.unblocked,
        Job::WaitAtMaster(wait) => &mut wait.unblocked,
        _ => return Resume::Filled(request),
    };
    let (unblock, receiver) = channel();
    *unblocked = Some(receiver);
    Resume::Remote { request, unblock: Some(unblock) }
}
