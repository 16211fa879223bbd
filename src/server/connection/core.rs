//! The connection's core: everything that can happen to it is one event, everything it wants is one
//! action. It decides; the shell does.

use super::batch::BatchContext;
use super::blocked::{Blocked, Resumed, WaitEnd, filled};
use super::caller::Caller;
use super::durable::SYNC;
use super::event::{Action, Event, Why};
use super::overflow::{SoftLimit, UNCOUNTED_BYTES, is_too_much, reply_bytes_max};
use super::requests::{BatchEnd, serve};
use super::scratch::Spent;
use super::unread::{Lent, Unread};
use crate::base::ids::{BlockId, SlotId};
use crate::base::limits::{
    ADOPTED_BYTES_MIN, BATCH_REQUESTS_MAX, SEND_BYTES_MAX, UNKNOWN_QUERY_BYTES_MAX,
};
use crate::base::planted::{Planted, is_planted};
use crate::base::time::MonoUs;
use crate::command::EventClasses;
use crate::commands::{Block, BlockOn, Outcome, ReadRetry, Resume};
use crate::metrics::batch::Batch;
use crate::node::BlockedClient;
use crate::pubsub::Delivery;
use crate::resp::Decoder;
use crate::state::{Client, JobReply, Message, Server, UnblockAs, Waiting};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// After this a wait for keys is tried to be ended again, when somebody else was about to.
const CLAIM_AGAIN: Duration = Duration::from_millis(1);

/// What a connection is at.
///
/// ```text
///             a request waits              its wait ends
///   Serving ───────────────────▶ Blocked ───────────────▶ Serving
///      │ QUIT, malformed input      │
///      ▼                            │ gone, killed, past a limit
///   Closing ── replies are out ──▶ Closed
/// ```
enum State {
    /// Requests are served as they come.
    Serving,
    /// A request waits, and what comes behind it is kept.
    Blocked(Box<Blocked>),
    /// It closes when its replies are out. Nothing more is served.
    Closing,
    /// It is over.
    Closed,
}

/// One connection.
pub struct Connection {
    /// Its client, as requests see it.
    pub caller: Caller,
    decoder: Decoder,
    unread: Unread,
    state: State,
    soft_limit: SoftLimit,
    /// What the read at the front of the input has settled, when it has waited.
    retry: Option<Box<ReadRetry>>,
    /// The proxy shuts down: this ends when it has no more to do.
    is_leaving: bool,
}

impl Connection {
    /// The connection of this client, which has sent nothing yet.
    pub fn open(
        server: Arc<Server>,
        client: Arc<Client>,
        listener: Arc<str>,
        now: MonoUs,
    ) -> Connection {
        let caller = Caller::new(server, client, listener, now);
        let decoder = Decoder::new(caller.limits());
        Connection {
            caller,
            decoder,
            unread: Unread::default(),
            state: State::Serving,
            soft_limit: SoftLimit::default(),
            retry: None,
            is_leaving: false,
        }
    }

    /// Handles one event. What it wants done is added to the context's actions; what it has to send
    /// is in [`Connection::poll_transmit`]. No lock is held afterwards.
    pub fn handle(&mut self, event: Event<'_>, context: &mut BatchContext<'_, '_>) {
        self.begin(context);
        match event {
            Event::Bytes(bytes) => self.receive(bytes, context),
            Event::Unserved(bytes) => self.keep(bytes, context.actions),
            Event::Received { count } => {
                self.unread.commit(count);
                self.proceed(context);
            }
            Event::Proceed => self.proceed(context),
            Event::Message(message) => self.message(message, context),
            Event::Time(now) => self.time(now, context),
            Event::PeerClosed if is_planted(Planted::HangUpUnnoticed) && self.is_blocked() => {}
            Event::PeerClosed => self.close(Why::PeerClosed, context.actions),
            Event::MailboxOverflow if is_planted(Planted::OverflowUnnoticed) => {}
            Event::MailboxOverflow => self.overflow(Why::MailboxOverflow, context.actions),
        }
        context.locks.release();
        if !is_planted(Planted::SharedFloorLate) {
            self.caller.share_floor(context.now);
        }
        context.end(&mut self.caller);
        self.note_unread();
        if self.caller.replies.out.is_overflowing() {
            // A reply was not built to its end: it is past the limit already.
            self.overflow(Why::OutputLimit, context.actions);
        }
    }

    /// More waits for this client than may.
    #[cold]
    fn overflow(&mut self, why: Why, actions: &mut Vec<Action>) {
        // It counts once: what else comes before its socket is closed is of no interest.
        if !matches!(self.state, State::Closed) {
            self.caller.server.counters.overflowed.fetch_add(1, Relaxed);
            self.close(why, actions);
        }
    }

    fn begin(&mut self, context: &mut BatchContext<'_, '_>) {
        let limits = self.caller.limits();
        self.decoder.limit(limits);
        self.caller.share_floor(context.now);
        self.caller.keep_up_told();
        let env = &context.scratch.env;
        env.now.set(context.clock.wall_now());
        env.bulk_bytes_max.set(limits.bulk_bytes_max);
        env.note_misses(context.set.events.asked().contains(EventClasses::KEY_MISS));
        env.touches.set(!self.caller.session.no_touch);
        self.caller.replies.out.set_limit(reply_bytes_max(self.caller.output_limit()));
        let server = &self.caller.settings.server;
        if context.scratch.metrics.is_on() != server.metrics {
            context.scratch.metrics = if server.metrics { Batch::default() } else { Batch::off() };
        }
        context.stopwatch.measure(server);
    }

    /// Serves what has come, unless something is before it.
    fn receive(&mut self, bytes: &[u8], context: &mut BatchContext<'_, '_>) {
        if !self.unread.is_empty() || !self.may_serve() {
            self.keep(bytes, context.actions);
            return self.proceed(context);
        }
        // What one read brings is little, and its peer may have gone when it is over.
        let (taken, ended) = self.serve(bytes, u64::MAX, context);
        let left = &bytes[taken..];
        match ended {
            BatchEnd::OutOfInput if !left.is_empty() => self.unread.keep_unfinished(left),
            _ => self.unread.append(left),
        }
        self.ended(ended, context);
    }

    /// Keeps what has come, to be served when it is its turn.
    fn keep(&mut self, bytes: &[u8], actions: &mut Vec<Action>) {
        if !self.is_closing() {
            self.unread.append(bytes);
            self.check_query_limit(actions);
        }
    }

    /// Serves what waits to be served, one batch of it.
    fn proceed(&mut self, context: &mut BatchContext<'_, '_>) {
        while self.has_more() {
            let (front, from) = self.unread.take_front();
            let may_be_whole = self.decoder.may_go_on(front.len() - from);
            let lent = Lent::new(front, may_be_whole, context.scratch);
            let input = &lent.bytes()[from..];
            let (taken, ended) = self.serve(input, BATCH_REQUESTS_MAX, context);
            let is_unfinished = matches!(ended, BatchEnd::OutOfInput);
            let (front, served) = lent.take_back(from + taken, context.scratch);
            let has_more = self.unread.put_back(front, served, is_unfinished);
            self.ended(ended, context);
            if taken != 0 || !has_more || self.is_long_next() {
                break;
            }
        }
        self.check_query_limit(context.actions);
    }

    fn serve(
        &mut self,
        input: &[u8],
        at_most: u64,
        context: &mut BatchContext<'_, '_>,
    ) -> (usize, BatchEnd) {
        self.caller.long_place = None;
        let (mark, written) = (self.caller.replies.mark(), self.caller.session.last_write);
        let retry = self.retry.take();
        let served = serve(&mut self.caller, &mut self.decoder, input, retry, at_most, context);
        self.caller.hold_until_durable(mark, written, context.actions);
        self.caller.replies.settle(mark);
        // The last run of commands may have been slow.
        context.locks.release();
        context.end_run();
        if context.has_slow() {
            self.caller.tell_slow_run(input, context);
        }
        served
    }

    fn ended(&mut self, ended: BatchEnd, context: &mut BatchContext<'_, '_>) {
        match ended {
            BatchEnd::OutOfInput | BatchEnd::TurnOver => {}
            BatchEnd::With(outcome) => self.come_to(outcome, context),
        }
    }

    fn come_to(&mut self, outcome: Outcome, context: &mut BatchContext<'_, '_>) {
        match outcome {
            Outcome::Answered | Outcome::Execute(_) | Outcome::Publish(_) => {}
            Outcome::Long => assert!(self.is_long_next(), "it has its place among those who wait"),
            Outcome::Block(block) => self.block(*block, context),
            Outcome::Paused => {
                let pause = context.set.pause_in_force(context.now);
                let left = pause.map(|(_, until)| until.since(context.now)).unwrap_or_default();
                let timeout = Some(Duration::from_micros(left));
                let block = Block::new(BlockOn::Released, timeout, Resume::Again);
                self.block(block, context);
            }
            Outcome::Busy(member) => {
                let block = Block::new(BlockOn::Free(member), None, Resume::Again);
                self.block(block, context);
            }
            Outcome::Apart(apart) => {
                let (mut job, request) = *apart;
                let slot = self.caller.replies.open_slot();
                let then = filled(&mut job, request);
                self.block(Block::new(BlockOn::Slot(slot), None, then), context);
                context.actions.push(Action::Apart(job, slot));
            }
            Outcome::Close => self.state = State::Closing,
            Outcome::Follow(asked) => {
                self.state = State::Closing;
                context.actions.push(Action::Follow(asked));
            }
        }
    }

    fn block(&mut self, block: Block, context: &mut BatchContext<'_, '_>) {
        let blocked = self.caller.begin_wait(block, context.now);
        if self.is_leaving && !blocked.is_work() {
            return self.leave_unblocked(blocked, context);
        }
        if blocked.on != BlockOn::Keys {
            self.caller.client.set_waiting(blocked.waiting(), blocked.id);
        }
        context.actions.push(Action::Block(blocked.id, blocked.on));
        self.state = State::Blocked(Box::new(blocked));
    }

    fn message(&mut self, message: Message, context: &mut BatchContext<'_, '_>) {
        match message {
            Message::Woken(SYNC) => {
                self.caller.has_synced(context.actions);
                self.proceed(context);
            }
            Message::Woken(id) => {
                let is_meant = |it: &Blocked| it.id == id || is_planted(Planted::AnyWakeUpEndsWait);
                self.end_wait(is_meant, WaitEnd::Reached, context);
            }
            Message::Unblocked(id, how) => {
                let ended = match how {
                    UnblockAs::Timeout => WaitEnd::TimeUp,
                    UnblockAs::Error => WaitEnd::Unblocked,
                };
                // The master ends what waits there: it may have been served already.
                let is_remote = match &mut self.state {
                    State::Blocked(blocked) if blocked.id == id => blocked.unblock_remote(how),
                    _ => false,
                };
                if !is_remote {
                    self.end_wait(|it| it.id == id, ended, context);
                }
            }
            Message::Filled(slot, job_reply) => self.fill(slot, job_reply, context),
            Message::Served(id, job_reply) => self.served(id, job_reply, context),
            Message::Published(_) if self.is_closing() => {}
            Message::Published(_) if is_planted(Planted::MessageDropped) && self.is_blocked() => {}
            Message::Published(delivery) => self.caller.deliver(&delivery),
            Message::Told(_) if self.is_closing() => {}
            Message::Told(change) => match &mut self.state {
                State::Blocked(it) if it.on == BlockOn::Keys => self.caller.told_in_wait(change),
                _ => self.caller.told_change(&change),
            },
            Message::Disclaimed => self.caller.tell_later(),
            Message::Push(bytes) => self.caller.replies.push(&bytes),
            // What was shown before RESET or QUIT may still come.
            Message::Shown(_) if !self.caller.session.is_monitor || self.is_closing() => {}
            Message::Shown(line) => self.caller.replies.push(&line),
            Message::Killed => self.close(Why::Killed, context.actions),
            Message::RulesChanged => {
                self.caller.keep_up_rights();
                if !self.caller.may_hear_all() {
                    self.close(Why::Killed, context.actions);
                }
            }
            Message::ServerClosing | Message::UserGone => self.leave(context),
        }
    }

    /// How long a message may be that is published to this client, to be heard without a batch:
    /// nothing waits, and nothing has changed that a batch would begin with. `None` when it is an
    /// event like others.
    pub fn room_to_hear(&self) -> Option<usize> {
        let caller = &self.caller;
        let is_serving = matches!(self.state, State::Serving) && self.soft_limit.is_unused();
        let is_same = caller.is_up_to_date() && caller.session.shared.is_none();
        let most = reply_bytes_max(caller.output_limit()) - 1;
        (is_serving && is_same).then(|| most.saturating_sub(caller.replies.out.bytes().len()))
    }

    /// As [`Connection::room_to_hear`], of a message that may be sent straight away: nothing stands
    /// before it.
    pub fn hears_at_once(&self) -> Option<usize> {
        let is_idle = self.caller.replies.are_idle() && !self.has_more();
        self.room_to_hear().filter(|_| is_idle).map(|it| it.min(SEND_BYTES_MAX))
    }

    /// Takes such a message: there is no lock and no look at a clock. Answers the bytes that are to
    /// be sent, and what is not is for [`Connection::keep_unsent`].
    pub fn hear<'d>(&mut self, delivery: &'d Delivery) -> Option<&'d [u8]> {
        let caller = &mut self.caller;
        if !caller.hear(delivery) {
            return None;
        }
        caller.client.mirror_delivery(caller.session.floor, delivery.time);
        Some(delivery.bytes(caller.replies.out.protocol()))
    }

    /// A message, or the end of one, that is not sent straight away.
    pub fn keep_unsent(&mut self, rest: &[u8]) {
        // The batch before may have begun when it did not subscribe to anything.
        let caller = &mut self.caller;
        caller.replies.out.set_limit(reply_bytes_max(caller.output_limit()));
        caller.replies.push(rest);
    }

    /// The wait is over, if there is one and it is meant.
    fn end_wait(
        &mut self,
        is_meant: impl FnOnce(&Blocked) -> bool,
        ended: WaitEnd,
        context: &mut BatchContext<'_, '_>,
    ) {
        let Some(blocked) = self.take_blocked(is_meant) else { return };
        let resumed = self.caller.resume(*blocked, ended, context);
        self.caller.tell_later();
        self.go_on(resumed, context);
    }

    /// The wait, if there is one and it is meant: it is over, and requests are served again.
    fn take_blocked(&mut self, is_meant: impl FnOnce(&Blocked) -> bool) -> Option<Box<Blocked>> {
        match std::mem::replace(&mut self.state, State::Serving) {
            State::Blocked(blocked) if is_meant(&blocked) => {
                self.caller.client.set_waiting(Waiting::No, blocked.id);
                Some(blocked)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    fn fill(&mut self, slot: SlotId, job_reply: JobReply, context: &mut BatchContext<'_, '_>) {
        let Some(blocked) = self.take_blocked(|it| it.is_for(slot)) else {
            if let (true, Ok(reply)) = (is_planted(Planted::SlotFilledTwice), job_reply.reply) {
                self.caller.replies.push(&reply);
            }
            return;
        };
        let resumed = self.caller.filled(*blocked, slot, job_reply, context);
        self.go_on(resumed, context);
    }

    /// Who has made a key ready has served the call that waited for it.
    fn served(&mut self, id: BlockId, job_reply: JobReply, context: &mut BatchContext<'_, '_>) {
        let Some(blocked) = self.take_blocked(|it| it.id == id) else { return };
        let (mark, written) = (self.caller.replies.mark(), self.caller.session.last_write);
        let resumed = self.caller.served(*blocked, job_reply, context);
        self.caller.hold_until_durable(mark, written, context.actions);
        self.caller.replies.settle(mark);
        self.caller.tell_later();
        self.go_on(resumed, context);
    }

    fn go_on(&mut self, resumed: Resumed, context: &mut BatchContext<'_, '_>) {
        match resumed {
            Resumed::Answered => {}
            Resumed::Blocked(block) => return self.block(*block, context),
            Resumed::Again(retry) => self.retry = retry,
        }
        if self.is_leaving && !self.unread.has_requests() {
            self.state = State::Closing;
            return;
        }
        self.proceed(context);
    }

    fn time(&mut self, now: MonoUs, context: &mut BatchContext<'_, '_>) {
        let is_over = |it: &Blocked| it.until.is_some_and(|until| until <= now);
        if let State::Blocked(blocked) = &mut self.state
            && blocked.on == BlockOn::Keys
            && is_over(blocked)
            && !self.caller.client.claim(blocked.id)
        {
            // Somebody else ends it, or is about to find that it goes on.
            blocked.until = Some(now.plus(CLAIM_AGAIN));
        }
        self.end_wait(is_over, WaitEnd::TimeUp, context);
        self.check_output(now, context.actions);
    }

    /// The proxy shuts down: what waits for others is answered now, what waits to be done is not
    /// done, and what works goes on to its end.
    fn leave(&mut self, context: &mut BatchContext<'_, '_>) {
        self.is_leaving = true;
        let State::Blocked(blocked) = &self.state else { return };
        if blocked.can_end_early() {
            self.end_wait(|_| true, WaitEnd::TimeUp, context);
        } else if !blocked.is_work() {
            self.close(Why::ServerClosing, context.actions);
        }
    }

    /// As [`Connection::leave`], for a wait that would begin only now.
    fn leave_unblocked(&mut self, blocked: Blocked, context: &mut BatchContext<'_, '_>) {
        if !blocked.can_end_early() {
            return self.close(Why::ServerClosing, context.actions);
        }
        let resumed = self.caller.resume(blocked, WaitEnd::TimeUp, context);
        assert!(matches!(resumed, Resumed::Answered), "what waits for others has its answer");
    }

    fn close(&mut self, why: Why, actions: &mut Vec<Action>) {
        if !matches!(self.state, State::Closed) {
            // From here on nobody serves what it waits for.
            self.caller.client.claim(self.caller.last_block);
            self.state = State::Closed;
            actions.push(Action::Close(why));
        }
    }

    /// Whether the next request may be served: nothing waits, and all replies so far have left.
    fn may_serve(&self) -> bool {
        let is_serving = match &self.state {
            State::Serving => true,
            State::Blocked(blocked) => {
                is_planted(Planted::ReplyOvertakes) && blocked.can_end_early()
            }
            State::Closing | State::Closed => false,
        };
        is_serving && self.caller.replies.are_sent()
    }

    /// Whether there is something to serve now.
    pub fn has_more(&self) -> bool {
        self.may_serve() && self.unread.has_requests()
    }

    /// Whether a shutdown has to wait for it.
    pub fn is_at_work(&self) -> bool {
        match &self.state {
            State::Serving => self.has_more(),
            State::Blocked(blocked) => blocked.is_work(),
            State::Closing | State::Closed => false,
        }
    }

    /// Whether it ends as soon as what it has to send is sent.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed)
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether its replies may be past a limit.
    #[inline]
    pub fn has_much_to_send(&self) -> bool {
        UNCOUNTED_BYTES < self.caller.replies.to_send().len() as u64
    }

    /// Whether it must go to a thread for long work before it goes on.
    #[inline]
    pub fn is_long_next(&self) -> bool {
        self.caller.long_place.is_some()
    }

    /// Whether a request waits.
    pub fn is_blocked(&self) -> bool {
        matches!(self.state, State::Blocked(_))
    }

    /// What to add to what is read, when all there is is an unfinished request: so a large one is
    /// not copied.
    pub fn room(&mut self) -> Option<&mut Vec<u8>> {
        if !self.may_serve() {
            return None;
        }
        let most = self.query_bytes_max();
        // A byte over the limit tells a request that is too long.
        self.unread.room(most + 1)
    }

    /// Bytes to send, in order. [`Connection::transmitted`] says how many have been.
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        let bytes = self.caller.replies.to_send();
        if bytes.is_empty() { None } else { Some(bytes) }
    }

    /// This many bytes of [`Connection::poll_transmit`] have been sent.
    pub fn transmitted(&mut self, count: usize) {
        self.caller.replies.sent(count);
    }

    /// When it wants to be told the time.
    pub fn poll_deadline(&self) -> Option<MonoUs> {
        let wait = match &self.state {
            State::Blocked(blocked) => blocked.until,
            _ => None,
        };
        let limit = self.caller.output_limit();
        match (wait, self.soft_limit.ends(limit)) {
            (Some(wait), Some(soft_limit)) => Some(wait.min(soft_limit)),
            (wait, soft_limit) => wait.or(soft_limit),
        }
    }

    /// Closes a connection whose peer does not take its replies.
    pub fn check_output(&mut self, now: MonoUs, actions: &mut Vec<Action>) {
        if self.is_closed() {
            return;
        }
        let held = self.caller.replies.held_bytes() as u64;
        self.caller.client.unsent.store(held, Relaxed);
        let limit = self.caller.output_limit();
        if is_too_much(limit, held) || self.soft_limit.is_over(limit, held, now) {
            self.overflow(Why::OutputLimit, actions);
        }
    }

    /// How much it may have sent that is not executed.
    fn query_bytes_max(&self) -> usize {
        let most = self.caller.settings.server.query_bytes_max;
        if self.caller.session.is_known { most } else { most.min(UNKNOWN_QUERY_BYTES_MAX) }
    }

    fn check_query_limit(&mut self, actions: &mut Vec<Action>) {
        if self.query_bytes_max() < self.unread.len() {
            self.close(Why::QueryLimit, actions);
        }
    }

    /// What its peer has sent and nobody has read.
    pub fn take_unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread).into_bytes()
    }

    /// What it holds for its client, if that is much: nobody needs it when the connection has
    /// ended.
    pub fn take_spent(&mut self) -> Option<Spent> {
        let (unread, session) = (std::mem::take(&mut self.unread), &mut self.caller.session);
        let queue = session.queue.take();
        let replies = self.caller.replies.out.take_sent();
        let queued = queue.as_ref().map_or(0, |it| it.bytes);
        let is_much = ADOPTED_BYTES_MIN <= unread.len() + queued + replies.len();
        if is_much { Some(Box::new((unread, queue, replies))) } else { None }
    }

    fn note_unread(&self) {
        self.caller.client.unread.store(self.unread.len() as u64, Relaxed);
    }
}

/// However a connection ends, a panic in its task included, nobody finds it on a list afterwards.
impl Drop for Connection {
    fn drop(&mut self) {
        if !is_planted(Planted::WatchLeftBehind) {
            self.caller.unwatch_all();
        }
        if !is_planted(Planted::SubscriptionLeftBehind) {
            self.caller.end_subscriptions();
        }
        self.caller.leave();
        self.caller.client.mailbox.close();
    }
}
