//! A connection to a member that the clients of one worker share.

use super::dispatch::{not_sent, settle};
use crate::base::time::MonoUs;
use crate::node::upstream::{Backoff, ConnectionFault, MemberState, Patience, Pipeline};
use crate::resp::Protocol;
use crate::runtime::clock;
use crate::runtime::link::{Link, WorkerLink};
use crate::runtime::tasks::{self, Alarm};
use crate::state::{RunWaiter, Upstream, UpstreamMember, WaitingRun};
use futures::future::{Either, select};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

/// Room for what is read at once.
const READ_BYTES: usize = 64 << 10;
/// Reads in a row before others have their turn.
const READS_MAX: usize = 16;

/// Serves this connection until its member is none any more. It is made when something is to be
/// sent.
pub async fn attend(
    upstream: Arc<Upstream>,
    member: Arc<UpstreamMember>,
    worker: usize,
    protocol: Protocol,
) {
    let lane = Lane { upstream, member, worker, protocol };
    let mut backoff = Backoff::new(clock::entropy());
    loop {
        let ended = pin!(lane.member.ended());
        select(pin!(lane.something_to_send()), ended).await;
        if lane.member.is_gone() {
            return lane.give_back();
        }
        let fault = match lane.connect().await {
            Ok(link) => {
                lane.member.counts.connects.fetch_add(1, Relaxed);
                let mut exchange = lane.exchange(link);
                let fault = loop {
                    let overtaken = pin!(lane.overtaken());
                    let turns = poll_fn(|context| exchange.poll(context));
                    let ended = match select(turns, overtaken).await {
                        Either::Left((fault, _)) => Some(fault),
                        Either::Right(_) => None,
                    };
                    match ended {
                        Some(fault) => break fault,
                        None if lane.member.is_gone() => break ConnectionFault::Overtaken,
                        // What it would still answer as the master counts no more.
                        None if exchange.pipeline.has_runs_of_master() => {
                            break ConnectionFault::Overtaken;
                        }
                        None => {}
                    }
                };
                let Exchange { pipeline, .. } = exchange;
                if pipeline.is_ready() {
                    backoff.succeeded();
                }
                let (was_idle, lost) = (pipeline.deadline().is_none(), pipeline.end());
                lane.note_fault(&fault, was_idle);
                for done in lost {
                    settle(&lane.upstream, worker, &lane.member, done);
                }
                if was_idle {
                    // A server may close a connection that nobody uses.
                    continue;
                }
                fault
            }
            Err(fault) => {
                lane.note_fault(&fault, false);
                fault
            }
        };
        lane.give_back();
        log::debug!("event=upstream-rest name={} why={fault}", lane.member.described.name);
        lane.rest(backoff.failed()).await;
    }
}

struct Lane {
    upstream: Arc<Upstream>,
    member: Arc<UpstreamMember>,
    worker: usize,
    protocol: Protocol,
}

impl Lane {
    fn queue(&self) -> &crate::state::UpstreamLane {
        self.member.lane(self.worker, self.protocol)
    }

    async fn something_to_send(&self) {
        poll_fn(|context| {
            self.queue().wake_next(context.waker());
            if self.queue().has_any() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Ready once another has become the master in its place, or it is no member any more.
    async fn overtaken(&self) {
        select(pin!(self.replaced()), pin!(self.member.ended())).await;
    }

    /// Another that has its place comes there long after this one has ended.
    async fn replaced(&self) {
        loop {
            let news = self.upstream.news();
            if self.upstream.is_master(&self.member) {
                return self.upstream.other_master(Some(self.member.id)).await;
            }
            news.await;
        }
    }

    /// Leaves the server alone for this time. Reads that come meanwhile go elsewhere, and what is
    /// the master's once that is another.
    async fn rest(&self, time: Duration) {
        let due = clock::mono_now().plus(time);
        loop {
            let news = self.upstream.news();
            match select(pin!(self.rest_until(due)), news).await {
                Either::Left(_) => return,
                Either::Right(_) => {}
            }
        }
    }

    async fn rest_until(&self, due: MonoUs) {
        let mut alarm = Alarm::default();
        poll_fn(|context| {
            self.queue().wake_next(context.waker());
            if alarm.poll(Some(due), context).is_ready() {
                return Poll::Ready(());
            }
            if !self.upstream.is_master(&self.member) {
                self.give_back();
            }
            for waiting in self.queue().take_reads() {
                not_sent(&self.upstream, self.worker, &self.member, waiting);
            }
            Poll::Pending
        })
        .await;
    }

    async fn connect(&self) -> Result<WorkerLink, ConnectionFault> {
        let address = &self.member.address;
        let connect = async {
            let tls = self.upstream.tls.upstream();
            let link = Link::connect_as(&address.host, address.port, tls.as_ref()).await?;
            WorkerLink::of(link.into_socket()?)
        };
        let connected = tasks::within(self.upstream.settings.connect_timeout, connect).await;
        connected.ok_or(ConnectionFault::TimedOut)?.map_err(of_io)
    }

    fn exchange(&self, link: WorkerLink) -> Exchange<'_> {
        let settings = &self.upstream.settings;
        let patience =
            Patience { replica: settings.replica_timeout, master: settings.reply_timeout };
        let (epoch, now) = (self.upstream.epoch(), clock::mono_now());
        let pipeline = Pipeline::open(settings.login(), self.protocol, patience, epoch, now);
        Exchange { lane: self, link, pipeline, alarm: Alarm::default(), is_full: false }
    }

    fn note_fault(&self, fault: &ConnectionFault, was_idle: bool) {
        // Another may have its place by then.
        if was_idle || self.member.is_gone() {
            return;
        }
        self.member.counts.faults.fetch_add(1, Relaxed);
        self.member.load.failed();
        log::warn!(
            "event=upstream-connection-ended name={} address={} why={fault}",
            self.member.described.name,
            self.member.address
        );
        match fault {
            ConnectionFault::Refused(text) => {
                self.upstream.failed(&self.member, MemberState::Refused(text.clone()));
            }
            ConnectionFault::Broken | ConnectionFault::Unasked => {
                self.upstream.failed(&self.member, MemberState::Garbage(fault.to_string()));
            }
            ConnectionFault::Io(_) | ConnectionFault::TimedOut | ConnectionFault::Overtaken => {}
        }
        self.upstream.doubt(&self.member);
    }

    /// What has not been sent goes elsewhere.
    fn give_back(&self) {
        for waiting in self.queue().take() {
            not_sent(&self.upstream, self.worker, &self.member, waiting);
        }
    }

    /// What may be sent now: what is the master's only to a master.
    fn take(&self) -> Vec<WaitingRun> {
        let is_master = self.upstream.is_master(&self.member)
            && self.upstream.switchover.waits_until().is_none();
        let mut taken = Vec::new();
        for waiting in self.queue().take() {
            match waiting.0.is_for_master() && !is_master || waiting.1.has_gone() {
                true => not_sent(&self.upstream, self.worker, &self.member, waiting),
                false => taken.push(waiting),
            }
        }
        taken
    }
}

/// A connection at work.
struct Exchange<'l> {
    lane: &'l Lane,
    link: WorkerLink,
    pipeline: Pipeline<RunWaiter>,
    alarm: Alarm,
    is_full: bool,
}

impl Exchange<'_> {
    /// Ready with what ends the connection.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionFault> {
        match self.turn(context) {
            Ok(poll) => poll.map(|()| ConnectionFault::TimedOut),
            Err(fault) => Poll::Ready(fault),
        }
    }

    /// Ready when the server has been silent for too long.
    fn turn(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, ConnectionFault> {
        let queue = self.lane.queue();
        for _ in 0..READS_MAX {
            queue.wake_next(context.waker());
            let mut has_moved = self.submit(clock::mono_now());
            has_moved |= self.send()?;
            has_moved |= self.receive()?;
            if has_moved {
                continue;
            }
            if self.link.poll_readable(context).is_ready() {
                continue;
            }
            if self.is_full && self.link.poll_writable(context).is_ready() {
                self.is_full = false;
                continue;
            }
            return Ok(self.alarm.poll(self.pipeline.deadline(), context));
        }
        context.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    fn submit(&mut self, now: MonoUs) -> bool {
        let Exchange { lane, pipeline, .. } = self;
        if !lane.queue().has_any() || !pipeline.is_ready() || !pipeline.has_room() {
            return false;
        }
        let epoch = lane.upstream.epoch();
        pipeline.submit(lane.take(), epoch, now);
        true
    }

    fn send(&mut self) -> Result<bool, ConnectionFault> {
        let mut has_moved = false;
        while !self.pipeline.to_send().is_empty() && !self.is_full {
            match self.link.try_write(self.pipeline.to_send()) {
                Ok(0) => return Err(of_io(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.pipeline.sent(count);
                    has_moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_full = true,
                Err(error) => return Err(of_io(error)),
            }
        }
        Ok(has_moved)
    }

    fn receive(&mut self) -> Result<bool, ConnectionFault> {
        let room = self.pipeline.room();
        room.reserve(READ_BYTES);
        match self.link.try_read_more(room) {
            Ok(0) => Err(of_io(ErrorKind::UnexpectedEof.into())),
            Ok(_) => {
                let mut done = Vec::new();
                self.pipeline.heard(clock::mono_now());
                let handled = self.pipeline.handle(&mut done);
                let Lane { upstream, member, worker, .. } = self.lane;
                for report in self.pipeline.take_reports() {
                    upstream.reported(member, report, MonoUs::default());
                }
                if let Some(asked_at) = self.pipeline.take_answered() {
                    member.load.answered(asked_at, clock::mono_now());
                }
                done.into_iter().for_each(|it| settle(upstream, *worker, member, it));
                handled.map(|()| true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(of_io(error)),
        }
    }
}

fn of_io(error: io::Error) -> ConnectionFault {
    ConnectionFault::Io(error.to_string())
}
