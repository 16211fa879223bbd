//! One member that is a real server, and the requests that wait to be sent there.

use super::run_waiter::RunWaiter;
use crate::base::ids::MemberId;
use crate::base::remote_address::RemoteAddress;
use crate::node::upstream::{MemberLoad, Run};
use crate::resp::Protocol;
use crate::route::MemberConfig;
use event_listener::Event;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::task::Waker;

/// Most runs of requests that wait for one member at one worker.
pub const QUEUED_MAX: usize = 16 << 10;

/// Where a run is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// To the master, whoever that is when it is sent.
    Master,
    /// To this replica.
    Replica(MemberId),
    /// Where its ladder says.
    Ladder,
    /// To a replica that lacks at most so many bytes of what the master has, which is asked first.
    Head {
        /// How many.
        bytes: u64,
    },
}

/// A run with where it is to go.
#[derive(Debug)]
pub struct AimedRun {
    /// The run.
    pub run: Run,
    /// Where it is to go.
    pub aim: Aim,
    /// The worker that serves its client.
    pub worker: usize,
}

/// Runs that wait, each with who waits for it.
pub type WaitingRun = (Run, RunWaiter);

/// What waits to be sent over one connection.
#[derive(Default)]
pub struct UpstreamLane {
    queue: Mutex<Queue>,
    has_any: AtomicBool,
    task: AtomicWaker,
}

#[derive(Default)]
struct Queue {
    all: VecDeque<WaitingRun>,
    bytes: usize,
}

impl UpstreamLane {
    /// Has a run sent. `Err` with it when too many wait.
    // Its error is what it was given.
    #[allow(clippy::result_large_err)]
    pub fn push(&self, waiting: WaitingRun, bytes_max: usize) -> Result<(), WaitingRun> {
        let mut queue = self.queue.lock();
        let bytes = queue.bytes + waiting.0.bytes.len();
        if QUEUED_MAX <= queue.all.len() || (bytes_max < bytes && queue.bytes != 0) {
            return Err(waiting);
        }
        queue.bytes = bytes;
        queue.all.push_back(waiting);
        self.has_any.store(true, Release);
        drop(queue);
        self.task.wake();
        Ok(())
    }

    /// Takes what replicas may serve: what is the master's goes on waiting.
    pub fn take_reads(&self) -> Vec<WaitingRun> {
        let mut queue = self.queue.lock();
        let (reads, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut queue.all).into_iter().partition(|it| !it.0.is_for_master());
        queue.bytes = kept.iter().map(|it| it.0.bytes.len()).sum();
        queue.all = kept.into();
        self.has_any.store(!queue.all.is_empty(), Release);
        reads
    }

    /// Takes all that waits.
    pub fn take(&self) -> VecDeque<WaitingRun> {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        self.has_any.store(false, Release);
        std::mem::take(&mut queue.all)
    }

    /// Whether anything waits.
    #[inline]
    pub fn has_any(&self) -> bool {
        self.has_any.load(Acquire)
    }

    /// Who is woken by the next. Look at [`UpstreamLane::has_any`] afterwards.
    pub fn wake_next(&self, task: &Waker) {
        self.task.register(task);
    }
}

/// What was counted at one member.
#[derive(Default)]
pub struct UpstreamCounts {
    /// Connections that were made.
    pub connects: AtomicU64,
    /// Connections that could not be made, or ended while something was to be answered.
    pub faults: AtomicU64,
    /// Runs of requests that were answered.
    pub answered: AtomicU64,
    /// Runs of reads whose replica has proved to have what they need.
    pub accepted: AtomicU64,
    /// Runs of reads whose replica has not.
    pub refused: AtomicU64,
    /// Writes that were sent and not answered.
    pub lost: AtomicU64,
}

/// A member that is a real server.
pub struct UpstreamMember {
    /// Its place.
    pub id: MemberId,
    /// What an operator says of it.
    pub described: MemberConfig,
    /// Where it is.
    pub address: RemoteAddress,
    /// What was counted.
    pub counts: UpstreamCounts,
    /// How busy it is.
    pub load: Arc<MemberLoad>,
    lanes: Vec<[UpstreamLane; 2]>,
    is_gone: AtomicBool,
    gone: Event,
}

impl UpstreamMember {
    /// One at this place and address, with lanes for so many workers.
    pub fn new(
        id: MemberId,
        described: MemberConfig,
        address: RemoteAddress,
        load: Arc<MemberLoad>,
        workers: usize,
    ) -> UpstreamMember {
        UpstreamMember {
            id,
            described,
            address,
            counts: UpstreamCounts::default(),
            load,
            lanes: (0..workers).map(|_| Default::default()).collect(),
            is_gone: AtomicBool::new(false),
            gone: Event::new(),
        }
    }

    /// It is none any more; another may have its place later.
    pub fn end(&self) {
        self.is_gone.store(true, SeqCst);
        self.gone.notify(usize::MAX);
    }

    /// Whether it is none any more.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(SeqCst)
    }

    /// Ready when it is none any more.
    pub async fn ended(&self) {
        loop {
            let gone = self.gone.listen();
            if self.is_gone() {
                return;
            }
            gone.await;
        }
    }

    /// The connection of this worker's clients.
    pub fn lane(&self, worker: usize, protocol: Protocol) -> &UpstreamLane {
        let lanes = &self.lanes[worker % self.lanes.len()];
        &lanes[usize::from(protocol == Protocol::Resp3)]
    }
}
