//! The shell around a connection: its socket, its mailbox and its alarm. It decides nothing: what
//! happens becomes an event, what the core wants is done.

use super::connection::{Action, BatchContext, Connection, Event, SYNC, Why, WorkerScratch};
use super::jobs;
use super::placement::{Place, Placement, Threads};
use super::replica_link::serve_replica;
use super::upstream::at_members;
use crate::base::ids::{BlockId, SlotId};
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::commands::{BlockOn, Job};
use crate::node::{Condition, MemberList, Wait};
use crate::replication::Asked;
use crate::runtime::clock::{self, SystemClock};
use crate::runtime::lazyfree;
use crate::runtime::stream::{self, Socket, Stream};
use crate::runtime::tasks::{self, Alarm};
use crate::runtime::worker;
use crate::state::{Client, JobReply, MailboxOverflow, Message, Server};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

mod hear;
#[cfg(test)]
mod tests;
mod transmit;

thread_local! {
    /// One for each turn that may be under way within others.
    // They are large, and taken out for each turn.
    #[allow(clippy::vec_box)]
    static SCRATCH: RefCell<Vec<Box<WorkerScratch>>> = const { RefCell::new(Vec::new()) };
}

/// A connection and what it is connected to.
pub struct Shell {
    connection: Connection,
    // Beside those of the connection, so that a batch can borrow them.
    server: Arc<Server>,
    member_list: MemberList,
    stream: Stream,
    alarm: Alarm,
    /// The wait of the core, while it has one that others end.
    wait: Option<Wait>,
    /// Its wait for the disk, while replies are held for that.
    sync: Option<Wait>,
    /// Who is woken by the mailbox.
    mailbox_waker: Option<Waker>,
    /// There may be something to read, of which nobody will tell.
    may_read: bool,
    /// The peer sends no more. What it has sent before is served, unless it would have to wait.
    has_peer_ended: bool,
    /// The socket has taken no more the last time; it will tell when it does.
    is_full: bool,
    /// There may be room for more: others have their turn first.
    may_send: bool,
    /// It has written in this turn.
    wrote: bool,
    actions: Vec<Action>,
    /// What its peer has asked for that is a replica.
    follows: Option<Box<Asked>>,
    placement: Placement,
    threads: Arc<Threads>,
}

/// What to do before the next turn.
enum Next {
    /// Wait for something to happen.
    Wait,
    /// Let others have their turn: there is, or may be, more to do.
    GiveWay,
    /// Go on at this worker.
    MoveTo(Place),
    /// Go on as a replica's.
    Follow(Box<Asked>),
    /// Nothing: it is over.
    End(Why),
}

/// What a connection waits for.
#[derive(Default)]
pub struct Waits {
    /// What its core waits for.
    wait: Option<Wait>,
    /// The disk.
    sync: Option<Wait>,
}

/// Serves a connection over this socket until it ends, or goes on at another thread. It may have
/// `waits` that began elsewhere.
pub async fn serve(
    connection: Connection,
    waits: Waits,
    socket: Socket,
    place: Place,
    threads: Arc<Threads>,
) {
    match Stream::new(socket) {
        Ok(stream) => {
            let shell = Shell::new(connection, stream, Placement::at(place), threads);
            let Waits { wait, sync } = waits;
            Shell { wait, sync, ..shell }.run().await;
        }
        Err(error) => log::warn!("event=watch-failed why={error}"),
    }
}

impl Shell {
    fn new(
        connection: Connection,
        stream: Stream,
        placement: Placement,
        threads: Arc<Threads>,
    ) -> Shell {
        Shell {
            server: connection.caller.server.clone(),
            member_list: connection.caller.member_list.clone(),
            connection,
            stream,
            alarm: Alarm::default(),
            wait: None,
            sync: None,
            mailbox_waker: None,
            may_read: false,
            has_peer_ended: false,
            is_full: false,
            may_send: false,
            wrote: false,
            actions: Vec::new(),
            follows: None,
            placement,
            threads,
        }
    }

    async fn run(mut self) {
        match self.turns().await {
            Ok(Next::MoveTo(place)) => self.move_to(place),
            Ok(Next::Follow(asked)) => self.follow(*asked),
            Ok(Next::End(why)) => self.end(&why),
            Ok(Next::Wait | Next::GiveWay) => unreachable!("another turn follows"),
            // What ends a connection early is the peer's doing, and the peer knows.
            Err(error) => self.end(&error),
        }
    }

    /// Turn after turn, until it ends or goes on elsewhere.
    async fn turns(&mut self) -> io::Result<Next> {
        loop {
            match self.turn()? {
                Next::Wait => poll_fn(|context| self.poll_happening(context)).await,
                Next::GiveWay => {
                    tasks::give_way().await;
                    // Messages without end keep nobody from saying that it wants no more of them.
                    // Whoever has said more than was done already is read later.
                    if self.connection.has_more() {
                        continue;
                    }
                    poll_fn(|context| {
                        self.may_read |= self.stream.poll_readable(context).is_ready();
                        Poll::Ready(())
                    })
                    .await;
                }
                last => return Ok(last),
            }
        }
    }

    /// Another thread serves it from here on.
    fn move_to(self, place: Place) {
        let Shell { connection, wait, sync, stream, threads, .. } = self;
        match stream.into_socket() {
            Ok(socket) => {
                let its = threads.clone();
                let waits = Waits { wait, sync };
                threads.spawn(place, move || serve(connection, waits, socket, place, its));
            }
            Err(error) => log::warn!("event=watch-failed why={error}"),
        }
    }

    /// It is no client any more, but a replica.
    fn follow(self, asked: Asked) {
        let home = (self.placement.home(), self.threads.clone());
        let Shell { mut connection, stream, .. } = self;
        match stream.into_socket() {
            Ok(socket) => {
                let unread = connection.take_unread();
                tasks::spawn(serve_replica(connection, socket, asked, unread, home));
            }
            Err(error) => log::warn!("event=watch-failed why={error}"),
        }
    }

    fn end(mut self, why: &dyn std::fmt::Display) {
        if let Some(spent) = self.connection.take_spent() {
            lazyfree::free_async(spent);
        }
        let id = self.connection.caller.client.id;
        log::debug!("event=closed client={id} why={why}");
    }

    /// Ready when something has happened: input, room for output, a message, or the alarm.
    fn poll_happening(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mailbox = &self.connection.caller.client.mailbox;
        if !self.mailbox_waker.as_ref().is_some_and(|it| it.will_wake(context.waker())) {
            mailbox.wake(context.waker());
            self.mailbox_waker = Some(context.waker().clone());
        }
        let mut has_happened = mailbox.has_messages();
        if self.stream.poll_readable(context).is_ready() {
            self.may_read = true;
            has_happened = true;
        }
        if self.is_full && self.stream.poll_writable(context).is_ready() {
            has_happened = true;
        }
        has_happened |= self.alarm.poll(self.connection.poll_deadline(), context).is_ready();
        if has_happened { Poll::Ready(()) } else { Poll::Pending }
    }

    /// One turn: what has happened is handled, and what there is to send is sent.
    fn turn(&mut self) -> io::Result<Next> {
        if self.hear()? {
            return Ok(self.next());
        }
        // That of a turn that has panicked has gone with it.
        let mut scratch = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_else(new_scratch);
        scratch.works_long = self.placement.is_long();
        scratch.is_within = worker::turns_within() != 0;
        self.lend_output(&mut scratch);
        let next = self.turn_with(&mut scratch);
        self.return_output(&mut scratch);
        if !scratch.spent.is_empty() {
            lazyfree::free_async(std::mem::take(&mut scratch.spent));
        }
        SCRATCH.with_borrow_mut(|it| it.push(scratch));
        next
    }

    fn turn_with(&mut self, scratch: &mut WorkerScratch) -> io::Result<Next> {
        let ready_before = tasks::count_ready();
        let has_messages = self.connection.caller.client.mailbox.has_messages();
        let now = self.connection.poll_deadline().map(|due| (due, clock::mono_now()));
        let now = now.and_then(|(due, now)| (due <= now).then_some(now));
        // A client that has gone before its wait ended has asked for nothing: the socket is asked,
        // since the word of its end may still be on its way. What has been served is done.
        let mailbox = &self.connection.caller.client.mailbox;
        let is_told = || has_messages && !mailbox.begins_with_served();
        let ends_wait = self.connection.is_blocked() && (now.is_some() || is_told());
        if ends_wait {
            self.read_all(scratch)?;
        }
        if has_messages {
            self.take_messages(scratch);
        }
        // Nor is it served if it has been killed before its turn came.
        if self.connection.is_long_next() {
            self.read_all(scratch)?;
        }
        if let Some(now) = now {
            self.handle(Event::Time(now), scratch);
        }
        if self.may_read {
            self.read(scratch)?;
        } else if self.connection.has_more() {
            self.handle(Event::Proceed, scratch);
        }
        let transmitted = self.transmit_in_turn(ready_before);
        self.close_if_gone(scratch);
        self.server.set.apply_after_batch(&mut scratch.unapplied_batches);
        // What it wants for others is done even if its own socket has failed.
        if let Some(why) = self.act() {
            return Ok(Next::End(why));
        }
        transmitted?;
        Ok(self.next())
    }

    /// Reads until nothing is left, or the peer turns out to have gone, and serves nothing of it:
    /// its end may stand behind bytes that do not fill a read, before the poller tells of it.
    fn read_all(&mut self, scratch: &mut WorkerScratch) -> io::Result<()> {
        while !self.connection.is_closed() && self.read_as(|it| Event::Unserved(it), scratch)? {}
        self.close_if_gone(scratch);
        Ok(())
    }

    /// Tells of a peer that has gone, once nothing that it has sent can be served any more.
    fn close_if_gone(&mut self, scratch: &mut WorkerScratch) {
        let goes_on = self.connection.has_more() && !self.connection.is_long_next();
        // It may read what is held for the disk.
        let goes_on = goes_on || self.connection.caller.is_unsynced();
        if self.has_peer_ended && !goes_on {
            self.handle(Event::PeerClosed, scratch);
        }
    }

    fn next(&mut self) -> Next {
        let connection = &self.connection;
        let is_sent = connection.poll_transmit().is_none() && !connection.caller.is_unsynced();
        if connection.is_closing() && is_sent {
            return self.follows.take().map_or(Next::End(Why::Done), Next::Follow);
        }
        if let Some(place) = self.placement.must_go_to(connection.is_long_next()) {
            return Next::MoveTo(place);
        }
        let has_messages = connection.caller.client.mailbox.has_messages();
        if self.may_read || self.may_send || connection.has_more() || has_messages {
            return Next::GiveWay;
        }
        // Everything that had arrived is answered, as far as it can be: the time to leave. What
        // waits is told to end by a message of its own.
        let waits_or_works = connection.is_blocked() || connection.is_at_work();
        let waits_or_works = waits_or_works || connection.caller.is_unsynced();
        // In an upgrade somebody else serves by now: there is time to take what was asked for.
        let is_owed = !is_sent && self.server.upgrade.successor().is_some();
        if connection.caller.server.is_closing() && !waits_or_works && !is_owed {
            return Next::End(Why::ServerClosing);
        }
        if is_sent
            && !connection.is_blocked()
            && let Some(place) = self.placement.should_go_to(&self.threads)
        {
            return Next::MoveTo(place);
        }
        Next::Wait
    }

    /// Handles one event, as a batch of its own.
    fn handle(&mut self, event: Event<'_>, scratch: &mut WorkerScratch) {
        let Shell { connection, server, member_list, actions, .. } = self;
        let began_ns = clock::mono_ns();
        // What has changed since the last batch is looked at before members are lent to this one.
        connection.caller.refresh(MonoUs(began_ns / 1000));
        if !Arc::ptr_eq(member_list, &connection.caller.member_list) {
            *member_list = connection.caller.member_list.clone();
        }
        let (set, clock) = (&server.set, &SystemClock);
        let mut context = BatchContext::begin(scratch, set, member_list, clock, began_ns, actions);
        connection.handle(event, &mut context);
        self.placement.note(context.writes);
        self.wrote |= context.writes != 0;
    }

    fn take_messages(&mut self, scratch: &mut WorkerScratch) {
        match self.connection.caller.client.mailbox.take() {
            Ok(messages) => {
                for message in messages {
                    if !self.keep_heard(&message) {
                        self.handle(Event::Message(message), scratch);
                    }
                }
            }
            Err(MailboxOverflow) => self.handle(Event::MailboxOverflow, scratch),
        }
    }

    /// Reads once. A read that fills its room may have left some behind, of which nobody tells;
    /// after the peer has hung up, everything is read to the end.
    fn read(&mut self, scratch: &mut WorkerScratch) -> io::Result<()> {
        let Some(room) = self.connection.room() else {
            self.read_as(|it| Event::Bytes(it), scratch)?;
            return Ok(());
        };
        let size = room.capacity() - room.len();
        let has_ended = self.stream.has_ended();
        let read = self.stream.try_read_more(room);
        let count = *read.as_ref().unwrap_or(&0);
        self.handle_read(read, size, has_ended, scratch, Event::Received { count })
    }

    /// Reads once, and makes this event of it. Answers whether there was anything.
    fn read_as(
        &mut self,
        event: fn(&[u8]) -> Event<'_>,
        scratch: &mut WorkerScratch,
    ) -> io::Result<bool> {
        let has_ended = self.stream.has_ended();
        let mut input = std::mem::take(&mut scratch.input);
        let read = self.stream.try_read(&mut input);
        let count = *read.as_ref().unwrap_or(&0);
        let event = event(&input[..count]);
        let done = self.handle_read(read, input.len(), has_ended, scratch, event);
        scratch.input = input;
        done.map(|()| count != 0)
    }

    fn handle_read(
        &mut self,
        read: io::Result<usize>,
        room: usize,
        has_ended: bool,
        scratch: &mut WorkerScratch,
        event: Event<'_>,
    ) -> io::Result<()> {
        match read {
            Ok(0) => {
                self.may_read = false;
                self.has_peer_ended = true;
            }
            Ok(count) => {
                self.may_read = count == room || has_ended;
                self.server.counters.bytes_in.add(scratch.worker, count as u64);
                self.server.counters.reads.add(scratch.worker, 1);
                self.handle(event, scratch);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.may_read = false;
                if let Event::Received { .. } = event {
                    self.handle(event, scratch);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Does what the core wants. Answers why the connection is to end, if it is.
    fn act(&mut self) -> Option<Why> {
        if !self.connection.is_blocked() {
            self.wait = None;
        }
        let mut ends = None;
        let is_over = self.connection.is_closed();
        for action in std::mem::take(&mut self.actions) {
            match action {
                // Nobody is left to wait for it.
                Action::Block(..) | Action::Apart(..) | Action::Sync(_) if is_over => {}
                Action::Sync(offset) => self.wait_for_disk(offset),
                Action::Block(id, on) => self.block(id, on),
                Action::Apart(job, slot) => self.start(job, slot),
                Action::Later(jobs) => self.start_later(jobs),
                Action::Follow(asked) => self.follows = Some(asked),
                Action::Close(why) => {
                    self.note_end(why);
                    ends = Some(why);
                }
            }
        }
        ends
    }

    fn block(&mut self, id: BlockId, on: BlockOn) {
        self.wait = None;
        let (condition, offset) = match on {
            BlockOn::Offset(condition, offset) => (condition, offset),
            BlockOn::Released => (Condition::Unpaused, Offset::ZERO),
            BlockOn::Free(member) => (Condition::Free { member }, Offset::ZERO),
            BlockOn::Time | BlockOn::Slot(_) | BlockOn::Keys => return,
        };
        let client = self.connection.caller.client.clone();
        let set = &self.connection.caller.server.set;
        self.wait = set.wait_for(condition, offset, client.clone(), id);
        if self.wait.is_none() {
            client.mailbox.post(Message::Woken(id));
        }
    }

    fn wait_for_disk(&mut self, offset: Offset) {
        self.sync = None;
        let client = self.connection.caller.client.clone();
        let set = &self.connection.caller.server.set;
        self.sync = set.wait_for(Condition::Durable, offset, client.clone(), SYNC);
        if self.sync.is_none() {
            client.mailbox.post(Message::Woken(SYNC));
        }
    }

    fn start(&self, job: Job, slot: SlotId) {
        let caller = &self.connection.caller;
        let (server, client) = (caller.server.clone(), caller.client.clone());
        let Some(job) = at_members(job, &server, &client, slot) else { return };
        tasks::spawn(async move {
            let mut owed = OwedReply { client: client.clone(), slot, reply: None };
            owed.reply = jobs::run(job, &server, &client).await;
        });
    }

    fn start_later(&self, jobs: Vec<Job>) {
        let caller = &self.connection.caller;
        let (server, client) = (caller.server.clone(), caller.client.clone());
        tasks::spawn(async move {
            for job in jobs {
                let done = jobs::work(job, &server, &client).await;
                if let Err(why) = done.reply {
                    log::warn!("event=job-failed client={} why={why}", client.id);
                }
            }
        });
    }

    /// An end that an operator wants to read of.
    fn note_end(&self, why: Why) {
        let client = &self.connection.caller.client;
        let held = client.unsent.load(Relaxed);
        let limits = &self.server.log_limits;
        let (limit, event) = match why {
            Why::OutputLimit => (&limits.output_limit, "output-limit"),
            Why::QueryLimit => (&limits.query_limit, "query-buffer-limit"),
            Why::MailboxOverflow => (&limits.mailbox_overflow, "mailbox-overflow"),
            Why::PeerClosed | Why::Done | Why::Killed | Why::ServerClosing => return,
        };
        if let Some(count) = limit.note(clock::mono_now()) {
            let who = client.logged();
            log::warn!("event={event} {who} bytes={held} count={count}");
        }
    }

    /// An empty reply buffer is lent for the turn, so that an idle connection keeps none.
    fn lend_output(&mut self, scratch: &mut WorkerScratch) {
        let out = &mut self.connection.caller.replies.out;
        if out.capacity() == 0 {
            out.lend_buffer(scratch.take_output());
        }
    }

    fn return_output(&mut self, scratch: &mut WorkerScratch) {
        scratch.spent.extend(self.connection.caller.replies.take_spent());
        if self.connection.poll_transmit().is_none() {
            scratch.return_output(self.connection.caller.replies.out.return_buffer());
        }
    }
}

#[cold]
fn new_scratch() -> Box<WorkerScratch> {
    let mut scratch = WorkerScratch::new(tasks::worker(), clock::entropy());
    scratch.let_others_in = worker::let_others_in;
    scratch.has_hung_up = stream::has_hung_up;
    Box::new(scratch)
}

/// The reply of a job, which its client gets however the job ends, a panic included.
struct OwedReply {
    client: Arc<Client>,
    slot: SlotId,
    reply: Option<JobReply>,
}

impl Drop for OwedReply {
    fn drop(&mut self) {
        let failed = || JobReply { reply: Err("ERR internal error".to_owned()), wrote: None };
        let reply = self.reply.take().unwrap_or_else(failed);
        self.client.mailbox.post(Message::Filled(self.slot, reply));
    }
}
