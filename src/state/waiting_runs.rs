//! Requests to real servers that wait until there is a master, or for a time.

use super::upstream_member::{Aim, QUEUED_MAX, WaitingRun};
use crate::base::time::MonoUs;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::task::Waker;

/// Runs of one worker's clients that wait for a master, or for a time.
#[derive(Default)]
pub struct WaitingRuns {
    all: Mutex<WaitingQueue>,
    task: AtomicWaker,
}

#[derive(Default)]
struct WaitingQueue {
    all: Vec<(MonoUs, Aim, WaitingRun)>,
    bytes: usize,
    has_news: bool,
}

impl WaitingRuns {
    /// A run waits until then, or until there is news of the members. `Err` when too many wait.
    #[allow(clippy::result_large_err)]
    pub fn push(
        &self,
        until: MonoUs,
        aim: Aim,
        waiting: WaitingRun,
        bytes_max: usize,
    ) -> Result<(), WaitingRun> {
        let mut queue = self.all.lock();
        let bytes = queue.bytes + waiting.0.bytes.len();
        if QUEUED_MAX <= queue.all.len() || (bytes_max < bytes && queue.bytes != 0) {
            return Err(waiting);
        }
        queue.bytes = bytes;
        queue.all.push((until, aim, waiting));
        drop(queue);
        self.task.wake();
        Ok(())
    }

    /// Takes those whose time has come, or all for the master when there is news. Answers when the
    /// next is due.
    pub fn take_due(&self, now: MonoUs) -> (Vec<(Aim, WaitingRun)>, Option<MonoUs>) {
        let mut queue = self.all.lock();
        let has_news = std::mem::take(&mut queue.has_news);
        let (due, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut queue.all)
            .into_iter()
            .partition(|it| it.0 <= now || (has_news && it.1 == Aim::Master));
        queue.bytes = kept.iter().map(|it| it.2.0.bytes.len()).sum();
        queue.all = kept;
        let next = queue.all.iter().map(|it| it.0).min();
        (due.into_iter().map(|it| (it.1, it.2)).collect(), next)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.all.lock().all.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// There is news of the members.
    pub fn tell(&self) {
        self.all.lock().has_news = true;
        self.task.wake();
    }

    /// Who is woken by news. Call [`WaitingRuns::take_due`] afterwards.
    pub fn wake_next(&self, task: &Waker) {
        self.task.register(task);
    }
}
