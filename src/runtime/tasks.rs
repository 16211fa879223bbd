//! Tasks, sleeping, and work on threads of its own: on async-std's executor, beside the workers.
//! Only an [`Alarm`] is a worker's.

use super::clock;
use super::local::{LOCAL, TimerKey};
use crate::base::time::MonoUs;
use async_global_executor::GlobalExecutorConfig;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

/// Starts async-std's executor, for all that is no connection: one thread. Call once, before
/// anything is spawned.
pub fn start() {
    let config = GlobalExecutorConfig::default()
        .with_min_threads(1)
        .with_max_threads(1)
        .with_thread_name_fn(|| "background".to_string());
    async_global_executor::init_with_config(config);
}

/// Number of the calling worker, counted from 0. Threads that are no workers pass as the first.
#[inline]
pub fn worker() -> usize {
    LOCAL.with(|it| it.worker()).unwrap_or(0)
}

/// How many tasks of the calling worker are ready and wait for their turn.
#[inline]
pub fn count_ready() -> usize {
    LOCAL.with(|it| it.count_ready())
}

/// Lets the calling thread, which is nobody's but ours, wait for this.
pub fn wait_for<T>(work: impl Future<Output = T>) -> T {
    async_std::task::block_on(work)
}

/// Runs a task beside the others.
pub fn spawn<F>(task: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    async_std::task::spawn(task);
}

/// Runs long work on a thread of its own, and waits for it.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    async_std::task::spawn_blocking(work).await
}

/// Runs work that does not end on a thread of its own.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Lets the calling thread, which is nobody's but ours, rest.
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// Waits.
pub async fn sleep(time: Duration) {
    async_io::Timer::after(time).await;
}

/// Lets others run first.
pub async fn give_way() {
    async_std::task::yield_now().await;
}

/// Waits for `work`, at most for `time`. `None` when the time was up first.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = std::pin::pin!(work);
    match futures::future::select(work, async_io::Timer::after(time)).await {
        futures::future::Either::Left((done, _)) => Some(done),
        futures::future::Either::Right(_) => None,
    }
}

/// Wakes its task, which is a worker's, at a time that may change.
#[derive(Default)]
pub struct Alarm {
    timer: Option<TimerKey>,
}

impl Alarm {
    /// Ready when it is `due`, if that is ever.
    pub fn poll(&mut self, due: Option<MonoUs>, context: &mut Context<'_>) -> Poll<()> {
        let set_for = self.timer.map(|it| it.0);
        if due == set_for && due.is_none() {
            return Poll::Pending;
        }
        if due.is_some_and(|it| it <= clock::mono_now()) {
            self.clear();
            return Poll::Ready(());
        }
        if due != set_for {
            self.clear();
            let set = |due| LOCAL.with(|it| it.set_timer(due, context.waker().clone()));
            self.timer = due.map(set);
        }
        Poll::Pending
    }

    fn clear(&mut self) {
        if let Some(timer) = self.timer.take() {
            // A thread that ends has no timers left.
            let _ = LOCAL.try_with(|it| it.clear_timer(timer));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}
