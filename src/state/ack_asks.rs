//! Who waits for replicas of a real master, on the way to the one connection that asks for them.

use super::mailbox::JobReply;
use super::run_waiter::RunWaiter;
use crate::base::position::Position;
use crate::base::time::MonoUs;
use event_listener::{Event, EventListener};
use futures::channel::oneshot::Sender;
use parking_lot::Mutex;

/// Most that wait to be taken.
const ASKS_MAX: usize = 64 << 10;

/// How many replicas have acknowledged, or why that is not known.
pub type Acked = Result<usize, &'static str>;

/// Who is told of it.
pub enum AckWaiter {
    /// WAIT, which is a task.
    Task(Sender<Acked>),
    /// Who waits for the replies of a run of writes, which are made of it.
    Run(RunWaiter, Box<dyn FnOnce(Acked) -> JobReply + Send>),
}

/// Somebody waits for replicas.
pub struct AckAsk {
    /// What they are to have.
    pub written: Position,
    /// How many are to have it.
    pub replicas: usize,
    /// Until when to wait for that.
    pub until: Option<MonoUs>,
    /// Who waits.
    pub waiter: AckWaiter,
}

impl AckAsk {
    /// Whether nobody waits any more.
    pub fn has_gone(&self) -> bool {
        match &self.waiter {
            AckWaiter::Task(sender) => sender.is_canceled(),
            AckWaiter::Run(waiter, _) => waiter.has_gone(),
        }
    }

    /// So many have acknowledged.
    pub fn settle(self, acked: Acked) {
        match self.waiter {
            // Whoever has gone meanwhile hears nothing.
            AckWaiter::Task(sender) => drop(sender.send(acked)),
            AckWaiter::Run(waiter, reply) => waiter.answer(reply(acked)),
        }
    }
}

/// Those who have come since they were taken last.
#[derive(Default)]
pub struct AckAsks {
    all: Mutex<Vec<AckAsk>>,
    news: Event,
}

impl AckAsks {
    /// One more waits. It is told at once when too many do.
    pub fn push(&self, ask: AckAsk) {
        let mut all = self.all.lock();
        if ASKS_MAX <= all.len() {
            drop(all);
            return ask.settle(Err("FORWARDQUEUE too many wait for replicas: try again later"));
        }
        all.push(ask);
        drop(all);
        self.news.notify(usize::MAX);
    }

    /// Those who have come.
    pub fn take(&self) -> Vec<AckAsk> {
        std::mem::take(&mut *self.all.lock())
    }

    /// Whether nobody has come.
    pub fn is_empty(&self) -> bool {
        self.all.lock().is_empty()
    }

    /// Hears of the next; look at [`AckAsks::is_empty`] after asking for it.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }
}
