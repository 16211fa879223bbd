//! The executor: how many workers, tasks on them, and sleeping.

use crate::base::time::MonoUs;
use async_global_executor::GlobalExecutorConfig;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

static WORKERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Starts the executor with this many worker threads. Call once, before anything is spawned.
///
/// The threads of async-std's executor also poll for readiness, so no other thread may block on a
/// future that uses the reactor, or events would change threads.
pub fn start(threads: usize) {
    let config = GlobalExecutorConfig::default()
        .with_min_threads(threads)
        .with_max_threads(threads)
        .with_thread_name_fn(|| "entourage-worker".to_string());
    async_global_executor::init_with_config(config);
}

/// Number of the calling worker thread, counted from 0 in the order they first asked.
pub fn worker() -> usize {
    WORKER.with(|it| {
        if it.get() == usize::MAX {
            it.set(WORKERS.fetch_add(1, Relaxed));
        }
        it.get()
    })
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

/// Wakes its task at a time that may change.
#[derive(Default)]
pub struct Alarm {
    set_for: Option<MonoUs>,
    timer: Option<async_io::Timer>,
}

impl Alarm {
    /// Ready when it is `due`, if that is ever.
    pub fn poll(&mut self, due: Option<MonoUs>, context: &mut Context<'_>) -> Poll<()> {
        if due != self.set_for {
            let left = |it: MonoUs| Duration::from_micros(it.since(super::clock::mono_now()));
            self.timer = due.map(|it| async_io::Timer::after(left(it)));
            self.set_for = due;
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if Pin::new(timer).poll(context).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        self.set_for = None;
        Poll::Ready(())
    }
}
