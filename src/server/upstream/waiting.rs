//! Runs that wait for a master, or for their replica to have what they need: one task at each
//! worker sends them on.

use super::dispatch::submit;
use crate::runtime::clock;
use crate::runtime::tasks::Alarm;
use crate::state::{AimedRun, Upstream};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// Sends on what waits at this worker, until the process ends.
pub async fn attend(upstream: Arc<Upstream>, worker: usize) {
    let mut alarm = Alarm::default();
    poll_fn(|context| {
        let waiting = upstream.waiting(worker);
        waiting.wake_next(context.waker());
        loop {
            let (due, next) = waiting.take_due(clock::mono_now());
            let is_done = due.is_empty();
            for (aim, (run, waiter)) in due {
                if !waiter.has_gone() {
                    submit(&upstream, AimedRun { run, aim, worker }, waiter);
                }
            }
            if is_done && alarm.poll(next, context).is_pending() {
                return Poll::<()>::Pending;
            }
        }
    })
    .await;
}
