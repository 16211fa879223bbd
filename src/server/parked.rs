//! Connections that stand still: waiting for replicas, for a time, or for a replica to read from.

use super::acks::{Confirmed, Wanted};
use super::connection::{Awaited, Connection};
use super::scratch::with_scratch;
use crate::base::position::Offset;
use crate::command::Fault;
use crate::commands::{Migration, Park};
use crate::metrics::batch::Batch;
use crate::node::{Member, ReplicaSet};
use crate::runtime::{clock, tasks};
use futures::FutureExt;
use futures::future::{BoxFuture, pending, select_all};
use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::time::Duration;

/// Why a connection stands still, with the reply it owes.
#[derive(Debug)]
pub enum Parked {
    /// WAIT.
    Wait { route: u16, offset: Offset, replicas: usize, timeout: Option<Duration> },
    /// A write whose reply, [`Connection::owed`], needs confirmation.
    Acks(Confirmation),
    /// WAITAOF.
    WaitAof { timeout: Option<Duration> },
    /// DEBUG SLEEP.
    Sleep { time: Duration },
    /// PROXY FAILOVER.
    FailOver { candidate: usize },
    /// PROXY RELOAD.
    Reload,
    /// MIGRATE.
    Migrate(Box<Migration>),
}

/// The confirmation that a write waits for.
#[derive(Debug)]
pub struct Confirmation {
    /// The write's route.
    pub route: u16,
    /// Where the write ends.
    pub offset: Offset,
    /// Which replicas must have applied it, and how long it waits for them.
    pub wanted: Wanted,
}

impl Parked {
    /// What a verb on this route asks for.
    pub fn of(park: Park, route: u16) -> Parked {
        match park {
            Park::Wait { offset, replicas, timeout } => {
                Parked::Wait { route, offset, replicas, timeout }
            }
            Park::WaitAof { timeout } => Parked::WaitAof { timeout },
            Park::Sleep { time } => Parked::Sleep { time },
            Park::FailOver { candidate } => Parked::FailOver { candidate },
            Park::Reload => Parked::Reload,
            Park::Migrate(migration) => Parked::Migrate(migration),
        }
    }

    /// Whether the time is spent on the command itself, not on waiting for others.
    pub fn is_work(&self) -> bool {
        matches!(
            self,
            Parked::Sleep { .. } | Parked::Migrate(_) | Parked::FailOver { .. } | Parked::Reload
        )
    }
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    Reached,
    TimeUp,
    Unblocked,
    Gone,
}

impl Connection {
    /// Stands still as long as it must, then writes the reply.
    pub async fn stand(&mut self, parked: Parked) {
        let began = clock::mono_now();
        let mark = self.reply.mark();
        let is_work = parked.is_work();
        match parked {
            Parked::Wait { route, offset, replicas, timeout } => {
                let ended = self.until_applied(offset, replicas, timeout).await;
                self.record(|it| it.wait(route, clock::mono_now().since(began)));
                match ended {
                    Ended::Unblocked => self.reply.error(UNBLOCKED),
                    _ => self.reply.count(count_applied(&self.server.set, offset)),
                }
            }
            Parked::Acks(acks) => self.confirm(acks).await,
            Parked::WaitAof { timeout } => {
                let never = usize::MAX;
                match self.until_applied(Offset::ZERO, never, timeout).await {
                    Ended::Unblocked => self.reply.error(UNBLOCKED),
                    _ => self.nothing_on_disk(),
                }
            }
            Parked::Sleep { time } => match self.sleep(time).await {
                Ended::Unblocked => self.reply.error(UNBLOCKED),
                _ => self.reply.ok(),
            },
            Parked::Migrate(migration) => {
                self.client.is_parked.store(true, Release);
                let parked = self.migrate(*migration).await;
                if let Some(Parked::Acks(acks)) = parked {
                    self.owed = self.reply.take(mark);
                    self.confirm(acks).await;
                }
                self.client.is_parked.store(false, Release);
            }
            Parked::FailOver { candidate } => self.fail_over(candidate).await,
            Parked::Reload => self.reload().await,
        }
        if is_work {
            let request = std::mem::take(&mut self.parked_request);
            self.log_if_slow(&request, clock::mono_now().since(began) * 1000);
        }
        self.silence(mark);
    }

    /// Answers what is owed once enough replicas have applied everything up to `offset`.
    async fn confirm(&mut self, acks: Confirmation) {
        let Confirmation { route, offset, wanted } = acks;
        let began = clock::mono_now();
        let set = self.server.set.clone();
        let look = || wanted.confirmed(&set, offset, count_applied(&set, offset));
        // What ended the wait counts: a replica that resumes just then asks for no more.
        let last = OnceLock::new();
        let reached = until(&set, || {
            let confirmed = look();
            confirmed.is_final() && last.set(confirmed).is_ok()
        });
        self.stand_until(reached, wanted.timeout()).await;
        self.record(|it| it.wait(route, clock::mono_now().since(began)));
        let confirmed = last.get().copied().unwrap_or_else(look);
        let owed = std::mem::take(&mut self.owed);
        match confirmed.is_enough() {
            true => self.reply.buffer().extend(owed),
            false => {
                let Confirmed { acked, wanted, .. } = confirmed;
                let offset = offset.bytes();
                self.answer_fault(&Fault::NotDurable { offset, acked, wanted });
            }
        }
    }

    /// Inside a transaction nothing waits.
    pub fn answer_at_once(&mut self, park: Park) {
        match park {
            Park::Wait { offset, .. } => {
                self.reply.count(count_applied(&self.server.set, offset));
            }
            Park::WaitAof { .. } => self.nothing_on_disk(),
            Park::Sleep { .. } => self.reply.ok(),
            Park::FailOver { .. } => unreachable!("FAILOVER is never queued"),
            Park::Reload => unreachable!("RELOAD is never queued"),
            Park::Migrate(_) => unreachable!("a transaction queues nothing that is far"),
        }
    }

    /// WAITAOF's answer: nobody writes a file, neither here nor at replicas.
    fn nothing_on_disk(&mut self) {
        self.reply.array(2);
        self.reply.int(0);
        self.reply.int(0);
    }

    /// Waits until a replica has what is needed: the one awaited, or another that may be read.
    /// Planning again says what came of it.
    pub async fn await_member(&mut self, awaited: &Awaited) {
        let Awaited { place, needs, at_most, ref key } = *awaited;
        let began = clock::mono_now();
        let set = self.server.set.clone();
        let member_list = self.member_list.clone();
        let member = usize::from(place.member);
        let reached = until(&set, || {
            let may_serve = |it: &Member| it.index == member || it.in_service();
            member_list
                .iter()
                .any(|it| it.index != set.master() && may_serve(it) && needs <= it.applied())
        });
        self.stand_until(reached, Some(at_most)).await;
        let micros = clock::mono_now().since(began);
        self.record(|it| it.floor_wait(place, micros, key.as_ref()));
    }

    /// Notes what a wait came to, and hands it over: a client that is answered may look for it.
    fn record(&self, note: impl FnOnce(&mut Batch)) {
        with_scratch(|it| {
            note(&mut it.metrics);
            self.server.metrics.flush(tasks::worker(), &mut it.metrics);
        });
    }

    async fn until_applied(
        &self,
        offset: Offset,
        replicas: usize,
        timeout: Option<Duration>,
    ) -> Ended {
        let set = self.server.set.clone();
        let reached = until(&set, || replicas <= count_applied(&set, offset));
        self.stand_until(reached, timeout).await
    }

    /// Stands still until `done`, or until the time is up, or CLIENT UNBLOCK says so, or the peer
    /// is gone.
    async fn stand_until(
        &self,
        done: impl Future<Output = ()> + Send,
        timeout: Option<Duration>,
    ) -> Ended {
        self.client.unblocked.store(0, Release);
        self.client.is_parked.store(true, Release);
        let ends: [BoxFuture<'_, Ended>; 4] = [
            done.map(|()| Ended::Reached).boxed(),
            self.until_unblocked().boxed(),
            self.until_hung_up().map(|()| Ended::Gone).boxed(),
            time_up(timeout).map(|()| Ended::TimeUp).boxed(),
        ];
        let (ended, ..) = select_all(ends).await;
        self.client.is_parked.store(false, Release);
        ended
    }

    async fn sleep(&self, time: Duration) -> Ended {
        let began = clock::mono_now();
        let ended = self.stand_until(pending(), Some(time)).await;
        if ended == Ended::Gone && self.server.is_closing() {
            // It is us who hung up, and what was asked before is answered.
            let slept = Duration::from_micros(clock::mono_now().since(began));
            tasks::sleep(time.saturating_sub(slept)).await;
        }
        ended
    }

    async fn until_unblocked(&self) -> Ended {
        loop {
            let listener = self.client.unblock.listen();
            match self.client.unblocked.swap(0, AcqRel) {
                0 => listener.await,
                1 => return Ended::TimeUp,
                _ => return Ended::Unblocked,
            }
        }
    }

    /// Waits until nobody is held back. Answers whether the peer is still there.
    pub async fn until_released(&self) -> bool {
        let released = async {
            loop {
                let released = self.server.set.release();
                let now = clock::mono_now();
                match self.server.set.pause_in_force(now) {
                    Some((_, until)) => {
                        let left = Duration::from_micros(until.since(now));
                        tasks::within(left, released).await;
                    }
                    None => return,
                }
            }
        };
        // Who is unblocked looks again, and is held as before.
        self.stand_until(released, None).await != Ended::Gone
    }

    /// Waits until the peer is gone. Looks rarely: nobody waits for this to be quick.
    async fn until_hung_up(&self) {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        while !self.client.stream.is_hung_up() {
            tasks::sleep(LOOK_EVERY).await;
        }
    }
}

const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

async fn time_up(timeout: Option<Duration>) {
    match timeout {
        Some(time) => tasks::sleep(time).await,
        None => pending().await,
    }
}

/// Replicas that have applied everything up to `offset`.
fn count_applied(set: &ReplicaSet, offset: Offset) -> usize {
    let master = set.master();
    let has = |it: &&std::sync::Arc<crate::node::Member>| {
        it.index != master && it.is_sound() && offset <= it.applied()
    };
    set.member_list().iter().filter(has).count()
}

/// Waits until `done`, looking again whenever a replica has applied something.
async fn until(set: &ReplicaSet, done: impl Fn() -> bool) {
    loop {
        let listener = set.applied.listen();
        if done() {
            return;
        }
        listener.await;
    }
}
